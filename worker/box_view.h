/* box_view.h: the file system as a boxed process sees it: Landlock rules; where root, a new root
 * folder. Private to box.c.
 */
#ifndef VTA_WORKER_BOX_VIEW_H
#define VTA_WORKER_BOX_VIEW_H

#include <stdbool.h>

#include <vta/error.h>

bool box_view_has_landlock(void);

/* Lets the process see the folder alone, and no network. Returns the version of Landlock that
 * took hold, 0 where the kernel has none, or a negative VTA_E… code. Needs no_new_privs. */
int box_view_landlock(const char *scratch, struct vta_error *error);

/* Makes the folder the root of the file system. For root, before it gives that up. */
int box_view_chroot(const char *scratch, struct vta_error *error);

#endif
