/* link_process.h: linker processes, which workers ask for: started with one end of a pair of
 * sockets, whose other end the worker gets. So many at once as there are processors; the others
 * wait. Each has tvm_link_deadline_ms.
 *
 *     WAITING ──a processor is free──▶ RUNNING ──its deadline──▶ OVERDUE ────┐
 *      │  │                              │  └──worker ends──▶ ORPHANED ──────┤
 *      │  └──cannot be started──┐        └──process ends──┐        process ends
 *      │                        └─────────────────────────┴──────────────────┴──▶ ENDED ──▶ freed
 *      └──worker ends──▶ WITHDRAWN ──▶ freed
 *
 * OVERDUE and ORPHANED are killed, and wait for the end of their process. All but WAITING and
 * WITHDRAWN take one of the places, until the folder is gone.
 */
#ifndef VTA_SERVER_LINK_PROCESS_H
#define VTA_SERVER_LINK_PROCESS_H

#include <uv.h>

#include "child.h"
#include "scratch.h"

struct pool;
struct worker_process;

enum link_state {
    LINK_WAITING,
    LINK_RUNNING,
    LINK_OVERDUE,
    LINK_ORPHANED,
    LINK_ENDED,
    LINK_WITHDRAWN
};

struct link_process {
    struct link_process *previous, *next; /* pool's list, oldest first */
    struct pool *pool;
    enum link_state state;
    struct worker_process *worker; /* who asked; NULL: it has ended, or knows the outcome */
    uint64_t session;              /* the worker's, for the log */
    struct child child;
    uv_timer_t timer;
    uv_work_t removal;
    unsigned references; /* timer; while it runs also child and removal */
    char folder[SCRATCH_PATH_MAX];
};

/* What a worker has asked for:
 *
 *     NOTHING ──LINK──▶ ONE ──LINK, while its process runs──▶ NEXT
 *                        ▲                                     │
 *                        └─────────the process ends────────────┘
 *
 * because a worker has its library before the process that made it has ended. Any goes to NOTHING
 * when the process ends with nothing asked for meanwhile, or the worker does. */
enum link_wish_state {
    LINK_WISH_NOTHING,
    LINK_WISH_ONE,
    LINK_WISH_NEXT
};

struct link_wish {
    enum link_wish_state state;
    struct link_process *link; /* that it waits for; NULL where it has asked for nothing */
    uint64_t id, next_id;      /* the worker's own numbers for this one and the next */
};

/* A worker asks. It is answered with a socket, or with the reason why not. */
void link_process_request(struct worker_process *worker, uint64_t id);
/* The worker has ended. */
void link_process_forget(struct worker_process *worker);

#endif
