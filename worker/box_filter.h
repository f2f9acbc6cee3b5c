/* box_filter.h: which system calls a boxed process may make. Private to box.c.
 */
#ifndef VTA_WORKER_BOX_FILTER_H
#define VTA_WORKER_BOX_FILTER_H

#include <stdbool.h>

#include <vta/error.h>

/* Each returns 0, VTA_EUNSUPPORTED where the kernel has no seccomp filters, or VTA_EIO. They need
 * no_new_privs. */

/* Makes the filter of workers: what is listed; everything else is EPERM. more: another filter may
 * follow. This takes milliseconds, and box_filter_worker, which installs it, does not. */
int box_filter_prepare(bool more, struct vta_error *error);
int box_filter_worker(struct vta_error *error);
int box_filter_opening(struct vta_error *error); /* no more files, on top of another */

#endif
