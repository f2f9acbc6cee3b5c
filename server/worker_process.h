/* worker_process.h: one worker process as the daemon sees it: started, told what it needs, given a
 * session, watched, heard and buried.
 *
 *     STARTING ──ready──▶ IDLE ──session──▶ SERVING
 *         │                │                   │
 *         └────────────────┴───────────────────┴──▶ ENDING ──▶ freed
 *
 * ENDING begins when the process has ended or, unless it is SERVING, is killed: a session counts
 * until the end of its process is seen. It is over when that was seen and the scratch folder is
 * gone. A worker runs code of a client's: nothing that it says is trusted, and whatever it does
 * costs at most itself.
 */
#ifndef VTA_SERVER_WORKER_PROCESS_H
#define VTA_SERVER_WORKER_PROCESS_H

#include <uv.h>

#include "child.h"
#include "link_process.h"
#include "scratch.h"
#include "worker/channel.h"

struct pool;

enum worker_state {
    WORKER_STARTING,
    WORKER_IDLE,
    WORKER_SERVING,
    WORKER_ENDING
};

struct worker_process {
    struct worker_process *previous, *next; /* pool's list */
    struct pool *pool;
    enum worker_state state;
    unsigned references; /* child, channel, timer, removal of the folder; client, where watched */
    struct child child;
    pid_t pid; /* for the log, also after its end */
    uv_poll_t channel;
    int channel_fd;
    struct channel_page *page;
    uv_timer_t timer; /* the next thing that could be overdue */
    uv_work_t removal;
    int removal_rc;
    char scratch[SCRATCH_PATH_MAX];
    bool was_ready, outdated; /* outdated: the configuration has changed since its start */

    /* Of the session. */
    uint64_t id, began_ms, timeout_ms;
    uv_poll_t client; /* whether the client is still there; client_fd is another of its socket */
    int client_fd;    /* -1: not watched */
    uint64_t left_ms; /* since when the client says nothing more; 0: it may */
    char peer[160];
    char reason[CHANNEL_LINE_MAX]; /* why it ends; "": nobody has said */
    bool killed;                   /* by the daemon */
    bool said;                     /* the worker, which may say what it likes */
    int code;                      /* that came with the worker's own reason */
    struct link_wish wish;         /* what it wants linked */

    /* What it has said in the present second, of MESSAGES_PER_SECOND. */
    uint64_t second;
    unsigned messages;
    bool muted;
};

/* Starts one. It tells the pool (pool_worker_ready, pool_worker_ended, pool_worker_gone). */
int worker_process_start(struct worker_process **worker, struct pool *pool,
                         const struct channel_start *start, struct vta_error *error);

struct worker_session {
    uint64_t id;
    const char *peer;
    uint64_t timeout_ms; /* that the client has asked for; 0: none */
    int fd;              /* the client's socket; stays the caller's */
    const void *early;   /* what the client has sent already, after the handshake */
    size_t early_bytes;  /* at most CHANNEL_EARLY_MAX */
};

/* Gives an idle worker its session. VTA_EIO where it does not take it; it is ended then. */
int worker_process_serve(struct worker_process *worker, const struct worker_session *session,
                         struct vta_error *error);

/* Ends it now; the first reason given is the one that is logged. */
void worker_process_kill(struct worker_process *worker, const char *format, ...) VTA_PRINTF(2, 3);

/* The daemon stops: a worker that is busy may finish the request that it is at. */
void worker_process_drain(struct worker_process *worker);

/* Timeouts may have changed. */
void worker_process_reloaded(struct worker_process *worker);

#endif
