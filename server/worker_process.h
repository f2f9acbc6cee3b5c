/* worker_process.h: one worker process as the daemon sees it: started, told what it needs, given a
 * session, watched, heard and buried.
 *
 *     STARTING ──ready──▶ IDLE ──session──▶ SERVING
 *         │                │                   │
 *       kill             kill                kill
 *         ▼                ▼                   ▼
 *      ABORTED ─reload─▶ RETIRED             KILLED
 *
 * Any state goes to REAPED when the end of the process is seen; that one is over when the scratch
 * folder is gone and the handles are closed. A reload retires what knows the old configuration and
 * has no session. A worker runs code of a client's: nothing that it says is trusted, and whatever
 * it does costs at most itself.
 */
#ifndef VTA_SERVER_WORKER_PROCESS_H
#define VTA_SERVER_WORKER_PROCESS_H

#include <uv.h>

#include "child.h"
#include "scratch.h"
#include "worker_channel.h"

struct pool;
struct tracker_offer;

enum worker_state {
    WORKER_STARTING,
    WORKER_IDLE,
    WORKER_SERVING,
    WORKER_ABORTED, /* was not ready in time, or breaks the rules: a start that has failed */
    WORKER_RETIRED, /* was let go: its end says nothing about the next one */
    WORKER_KILLED,  /* its session counts until the end of the process is seen */
    WORKER_REAPED
};

struct worker_process {
    struct worker_process *previous, *next; /* pool's list */
    struct pool *pool;
    enum worker_state state;
    unsigned references; /* child, channel, timer, removal of the folder; client, where watched */
    struct child child;
    pid_t pid; /* for the log, also after its end */
    struct worker_channel channel;
    struct channel_page *page;
    uv_timer_t timer; /* the next thing that could be overdue */
    uv_work_t removal;
    int removal_rc;
    char scratch[SCRATCH_PATH_MAX];
    /* Why it ends. In STARTING, IDLE and SERVING the worker's own word, which may be a lie, and ""
     * where it has said nothing; in ABORTED, RETIRED and KILLED the daemon's. */
    char reason[CHANNEL_LINE_MAX];
    int code; /* that came with the worker's own */

    /* Of the session. */
    uint64_t id, began_ms, timeout_ms;
    uv_poll_t client; /* whether the client is still there; client_fd is another of its socket */
    int client_fd;    /* -1: not watched */
    /* Since when the client says nothing more; 0: it may. One more limit while it is SERVING, and
     * no state: the worker does not know it, and no other event means something else. */
    uint64_t left_ms;
    /* That its client came for; NULL: none. */
    struct tracker_offer *offer;
    char peer[160];
};

/* Starts one. It tells the pool (pool_worker_ready, pool_worker_ended, pool_worker_gone). */
int worker_process_start(struct worker_process **worker, struct pool *pool,
                         struct vta_error *error);

struct worker_session {
    uint64_t id;
    const char *peer;
    uint64_t timeout_ms;         /* that the client has asked for; 0: none */
    int fd;                      /* the client's socket; stays the caller's */
    struct tracker_offer *offer; /* of a tracker, that the client has come for; or NULL */
    const void *early;           /* what the client has sent already, after the handshake */
    size_t early_bytes;          /* at most CHANNEL_EARLY_MAX */
};

/* Gives an idle worker its session, whose end gives the offer back. VTA_EIO where the worker does
 * not take it; it is ended then, and the offer stays the caller's. */
int worker_process_serve(struct worker_process *worker, const struct worker_session *session,
                         struct vta_error *error);

/* Ends it now; the first reason given is the one that is logged. */
void worker_process_kill(struct worker_process *worker, const char *format, ...) VTA_PRINTF(2, 3);

/* The daemon stops: a worker that is busy may finish the request that it is at. */
void worker_process_drain(struct worker_process *worker);

/* The configuration has changed: a session has new limits, what has none is retired. */
void worker_process_reloaded(struct worker_process *worker);

#endif
