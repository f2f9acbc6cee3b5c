/* worker_spawn.h: what a worker process needs to be there before it can be talked to: a folder, the
 * page that both see, a pair of sockets, and the program itself. What it does then is
 * worker_process.h's business.
 */
#ifndef VTA_SERVER_WORKER_SPAWN_H
#define VTA_SERVER_WORKER_SPAWN_H

#include "worker_process.h"

/* Fills worker's scratch, page and child, whose `ended` is set, and tells the process what the
 * configuration says. *channel is the daemon's end, the caller's. On failure nothing is left. */
int worker_spawn(struct worker_process *worker, int *channel, struct vta_error *error);

#endif
