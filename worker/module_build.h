/* module_build.h: from an uploaded .o, .tar or .so to a shared library in a folder of its own,
 * ready to be mapped. Maps nothing itself.
 */
#ifndef VTA_WORKER_MODULE_BUILD_H
#define VTA_WORKER_MODULE_BUILD_H

#include "worker.h"

struct module_build {
    const char *name; /* the upload's last part, for messages; in the caller's path */
    char *folder;     /* made for this build; owned */
    char *library;    /* path of the shared library in it; owned */
    uint8_t *bytes;   /* the library's; owned, never NULL after success */
    size_t nbytes;
    char **objects; /* that were linked; owned */
    uint32_t object_count;
};

/* path: the upload. Fails as module_loader.load says. Release with module_build_clear in any
 * case. */
int module_build_make(struct module_build *build, struct worker *worker, const char *path,
                      struct vta_error *error);
/* Removes the folder; a library that is mapped stays. */
void module_build_clear(struct module_build *build);

/* Why a library could not be mapped, in words about the upload: VTA_ENOTFOUND with the symbols that
 * nobody has, or VTA_EFORMAT with `reason`, which is dlerror's. */
int module_build_explain(const struct module_build *build, const char *reason,
                         struct vta_error *error);

#endif
