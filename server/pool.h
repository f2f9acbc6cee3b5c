/* pool.h: worker processes for TVM sessions: some are kept warm, so that a session starts at once;
 * connections whose handshake is done wait here for one.
 *
 * At most max_tvm_sessions serve or are waited for. A worker that cannot be started is tried again
 * after a pause that doubles; one whose box is not complete, where the configuration requires it,
 * ends TVM sessions until the configuration is read again.
 *
 *     CLOSED ──open──▶ RUNNING ──a start fails──▶ PAUSING ──the pause is over──▶ RUNNING
 *       └──open, TVM is turned off──▶ REFUSING
 *
 *     RUNNING ┐
 *     PAUSING ┴─no worker can serve──▶ REFUSING
 *
 *     RUNNING  ┐ ┌──reload──▶ RUNNING, or REFUSING where TVM is turned off
 *     PAUSING  ┼─┤
 *     REFUSING ┘ └──the daemon stops──▶ STOPPING ──all processes are gone──▶ CLOSED
 */
#ifndef VTA_SERVER_POOL_H
#define VTA_SERVER_POOL_H

#include <limits.h>

#include "worker_process.h"

struct server;

/* Somebody who waits for a worker. Not owned: it stays where it is from pool_request until one of
 * its functions is called or it is cancelled. */
struct pool_request {
    struct pool_request *previous, *next;
    bool waiting; /* is in the pool's list */
    /* An idle worker; to be served by worker_process_serve, or left alone. */
    void (*ready)(struct pool_request *request, struct worker_process *worker);
    void (*failed)(struct pool_request *request, const struct vta_error *error);
};

enum pool_state {
    POOL_CLOSED,
    POOL_RUNNING, /* starts workers */
    POOL_PAUSING, /* starts none for a while; who asks for one waits */
    POOL_REFUSING,
    POOL_STOPPING /* starts none, gives none */
};

struct pool {
    struct server *server;
    enum pool_state state;
    struct children children;
    struct scratch scratch;
    uv_timer_t pause;                  /* active in PAUSING */
    uv_timer_t refill;                 /* a little after a session has begun */
    struct worker_process *workers;    /* owned; each goes by itself once its process has ended */
    struct pool_request *first, *last; /* who waits, oldest first */
    uint64_t waiting;                  /* how many */
    char program[PATH_MAX];            /* vtad-worker */
    unsigned failed;                   /* starts in a row */
    struct vta_error refusal;          /* in REFUSING: why there are no TVM sessions */
    /* What the box is made of has been logged since the configuration was read. No state: a pool of
     * none starts one worker to know it, whether there was a pause meanwhile or not. */
    bool box_known;
};

/* Opens the pool and starts its workers. What keeps it from working is logged, and is the answer to
 * every request. */
void pool_open(struct pool *pool, struct server *server);

/* VTA_EUNSUPPORTED where there are no TVM sessions, VTA_ELIMIT where there are too many,
 * VTA_ECLOSED where the server stops, else 0: ready or failed is called once, before this returns
 * or from the loop, unless it is cancelled before. */
int pool_request(struct pool *pool, struct pool_request *request, struct vta_error *error);
/* Nothing where it does not wait. */
void pool_cancel(struct pool *pool, struct pool_request *request);

/* Whether a request could be served, sooner or later. */
bool pool_is_open(const struct pool *pool);

/* The configuration has changed: idle workers that know the old one are let go. */
void pool_reloaded(struct pool *pool);
void pool_drain(struct pool *pool);         /* no more sessions; busy ones finish their request */
void pool_kill(struct pool *pool);          /* none at all */
bool pool_is_over(const struct pool *pool); /* after one of these: whether no process is left */
void pool_close(struct pool *pool);         /* once it is over; the loop frees the rest */
void pool_clear(struct pool *pool);         /* after the loop */

/* What worker_process.c tells. */
void pool_worker_ready(struct pool *pool, struct worker_process *worker,
                       const struct channel_ready *ready);
/* last: its state when it ended. */
void pool_worker_ended(struct pool *pool, struct worker_process *worker, enum worker_state last);
void pool_worker_gone(struct pool *pool, struct worker_process *worker);

#endif
