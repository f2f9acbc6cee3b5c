/* pool.h: worker processes for TVM sessions: some are kept warm, so that a session starts at once;
 * connections whose handshake is done wait here for one.
 *
 * At most max_tvm_sessions serve or are waited for. A worker that cannot be started is tried again
 * after a pause that doubles; one whose box is not complete, where the configuration requires it,
 * ends TVM sessions until the configuration is read again.
 */
#ifndef VTA_SERVER_POOL_H
#define VTA_SERVER_POOL_H

#include <limits.h>

#include "link_process.h"
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

struct pool {
    struct server *server;
    struct children children;
    struct scratch scratch;
    uv_timer_t retry;                  /* active: after a start that failed */
    uv_timer_t refill;                 /* a little after a session has begun */
    struct worker_process *workers;    /* owned; each goes by itself once its process has ended */
    struct link_process *links;        /* likewise; oldest first */
    struct pool_request *first, *last; /* who waits, oldest first */
    uint64_t waiting;                  /* how many */
    char program[PATH_MAX];            /* vtad-worker */
    char cache[PATH_MAX];              /* folder of linked libraries; "": none */
    bool open;       /* from pool_open to pool_close: its handles are the loop's */
    bool stopping;   /* nothing starts any more */
    bool reported;   /* what the box is made of has been logged */
    unsigned failed; /* starts in a row */
    /* Why there are no TVM sessions; code 0: there are. */
    struct vta_error refusal;
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
void pool_worker_ended(struct pool *pool, struct worker_process *worker);
void pool_worker_gone(struct pool *pool, struct worker_process *worker);

#endif
