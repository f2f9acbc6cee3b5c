/* worker_furnish.h: what a worker process needs: a folder, the page that both see, and to know what
 * the configuration says.
 */
#ifndef VTA_SERVER_WORKER_FURNISH_H
#define VTA_SERVER_WORKER_FURNISH_H

#include "worker_process.h"

/* Fills worker's scratch and page, and sends START into its channel. What there is after a failure
 * goes with the worker. */
int worker_furnish(struct worker_process *worker, bool trial, struct vta_error *error);

#endif
