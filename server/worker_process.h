/* worker_process.h: one worker process as the daemon sees it: asked for, given a session, watched,
 * heard and buried.
 *
 *     STARTING ──its first word──▶ RUNNING ──kill──▶ KILLED
 *         │                           └──its end is seen─┴──▶ OVER
 *         └──kill, or renewed─────────────────────────────────▲
 *
 * OVER ends when the scratch folder is gone and the handles are closed. A worker runs code of a
 * client's: nothing that it says is trusted but its first word, which comes before that code, and
 * whatever it does costs at most itself.
 */
#ifndef VTA_SERVER_WORKER_PROCESS_H
#define VTA_SERVER_WORKER_PROCESS_H

#include <uv.h>

#include "child.h"
#include "scratch.h"
#include "worker_channel.h"

struct template;
struct tracker_offer;

enum worker_state {
    WORKER_STARTING, /* whether there is a process is not known */
    WORKER_RUNNING,
    WORKER_KILLED, /* its session counts until the end of the process is seen */
    WORKER_OVER
};

struct worker_process {
    struct worker_process *previous, *next; /* template's list */
    struct template *template;
    enum worker_state state;
    unsigned references; /* channel, timer, removal of the folder; client, if watched */
    struct child child;
    pid_t pid; /* for the log, also after its end; 0: not known */
    struct worker_channel channel;
    struct channel_page *page;
    uv_timer_t timer; /* the next thing that could be overdue */
    uv_work_t removal;
    int removal_rc;
    char scratch[SCRATCH_PATH_MAX];
    /* Why it ends. In STARTING and RUNNING the worker's own word, which may be a lie, and "" if it
     * has said nothing; in KILLED the daemon's; in OVER of a trial also if it was none. */
    char reason[CHANNEL_LINE_MAX];
    int code; /* that came with the worker's own */

    /* Of the session. */
    uint64_t id; /* 0: there is none */
    uint64_t began_ms, timeout_ms;
    void *early; /* of the session, in STARTING; owned */
    size_t early_bytes;
    uv_poll_t client; /* whether the client is still there; client_fd is another of its socket */
    int client_fd;    /* -1: not watched */
    /* Since when the client says nothing more; 0: it may. One more limit while it is RUNNING, and
     * no state: the worker does not know it, and no other event means something else. */
    uint64_t left_ms;
    /* That its client came for; NULL: none. */
    struct tracker_offer *offer;
    char peer[160];
};

/* Asks the template for one, and makes what it needs. trial: no session comes. It tells the
 * template (template_worker_ready, …_over, …_gone), also after a failure. */
int worker_process_new(struct worker_process **worker, struct template *template, bool trial,
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

/* Gives it its session, at once after it was made. Its end gives the offer back. After a failure it
 * is ended. */
int worker_process_serve(struct worker_process *worker, const struct worker_session *session,
                         struct vta_error *error);

/* The template has ended: a session whose process was not forked yet gets another worker, in the
 * place of this one. */
void worker_process_renew(struct worker_process *worker);

/* Ends it now; the first reason given is the one that is logged. */
void worker_process_kill(struct worker_process *worker, const char *format, ...) VTA_PRINTF(2, 3);

/* The daemon stops: a worker that is busy may finish the request that it is at. */
void worker_process_drain(struct worker_process *worker);

/* The configuration has changed: a session has new limits. */
void worker_process_reloaded(struct worker_process *worker);

#endif
