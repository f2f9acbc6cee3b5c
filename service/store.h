/* store.h: a directory in which named modules outlive sessions. Private to service/.
 *
 * A file's name is the module's, with '%' and a leading '.' percent-encoded; so whatever opens
 * with a dot is not a module. A file appears whole or not at all: it is written under a temporary
 * name, synced, renamed, and the directory synced. Any number of sessions and processes may use a
 * directory at once; each operation opens it anew, so nothing is kept between calls.
 */
#ifndef VTA_SERVICE_STORE_H
#define VTA_SERVICE_STORE_H

#include <stddef.h>
#include <stdint.h>

#include <vta/error.h>

struct vta_store {
    const char *path;
    uint32_t max_modules;
    uint64_t max_bytes;
    uint64_t max_module_bytes; /* one file; larger ones are not modules */
};

/* Writes or replaces a module. VTA_ELIMIT, VTA_EIO. */
int vta_store_put(const struct vta_store *store, const char *name, const uint8_t *bytes,
                  size_t nbytes, struct vta_error *error);

/* Size of a module. VTA_ENOTFOUND. */
int vta_store_size(const struct vta_store *store, const char *name, uint64_t *nbytes,
                   struct vta_error *error);

/* Reads [offset, offset + *nbytes), or with *nbytes UINT64_MAX what follows offset, and at most
 * `max` bytes (VTA_ELIMIT, read_bytes). The caller frees *bytes. VTA_ENOTFOUND, VTA_ERANGE. */
int vta_store_read(const struct vta_store *store, const char *name, uint64_t offset, uint64_t max,
                   uint8_t **bytes, uint64_t *nbytes, struct vta_error *error);

/* VTA_ENOTFOUND where there is none. */
int vta_store_remove(const struct vta_store *store, const char *name, struct vta_error *error);

/* Calls each(context, name) for every module, in no order, until one returns not 0; returns that
 * or 0. */
int vta_store_each(const struct vta_store *store, int (*each)(void *context, const char *name),
                   void *context, struct vta_error *error);

#endif
