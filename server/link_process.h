/* link_process.h: linker processes, which workers ask for: started with one end of a pair of
 * sockets, whose other end the worker gets. So many at once as there are processors; the others
 * wait. Each has tvm_link_deadline_ms.
 */
#ifndef VTA_SERVER_LINK_PROCESS_H
#define VTA_SERVER_LINK_PROCESS_H

#include <uv.h>

#include "child.h"
#include "scratch.h"

struct pool;
struct worker_process;

struct link_process {
    struct link_process *previous, *next; /* pool's list, oldest first */
    struct pool *pool;
    struct worker_process *worker; /* who asked; NULL: it has ended */
    struct child child;
    uv_timer_t timer;
    uv_work_t removal;
    unsigned references; /* timer; while it runs also child and removal */
    bool started, timed_out;
    char folder[SCRATCH_PATH_MAX];
};

/* A worker asks. It is answered with a socket, or with the reason why not. */
void link_process_request(struct worker_process *worker, uint64_t id);
/* The worker has ended. */
void link_process_forget(struct worker_process *worker);

#endif
