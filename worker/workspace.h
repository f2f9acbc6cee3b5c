/* workspace.h: temporary memory of kernels. On the processor it comes from a pool, so that a
 * kernel that asks for the same sizes at every call costs the host nothing; on the device it is a
 * buffer in DRAM. Any thread.
 */
#ifndef VTA_WORKER_WORKSPACE_H
#define VTA_WORKER_WORKSPACE_H

#include "worker.h"

#define WORKSPACE_ALIGNMENT 64u

/* NULL with *error: VTA_ELIMIT past the worker's cpu memory, VTA_EINVAL for another device. */
void *workspace_alloc(struct worker *worker, int device_type, uint64_t nbytes,
                      struct vta_error *error);
/* VTA_EHANDLE where it is none that was given out. */
int workspace_free(struct worker *worker, int device_type, void *workspace,
                   struct vta_error *error);

/* What is in use now, for a call that may not come to its end; and then to free what it took since.
 */
struct workspace_mark {
    uint32_t cpu, device;
};
struct workspace_mark workspace_mark(void);
void workspace_free_since(struct worker *worker, struct workspace_mark mark);

/* Gives the processor's back, also what kernels never freed. Buffers on the device go with the
 * runtime. */
void workspace_clear(struct worker *worker);

#endif
