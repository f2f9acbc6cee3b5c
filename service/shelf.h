/* shelf.h: the module files that a session holds by name, and the uploads that are not complete.
 *
 * Bytes only: what they mean is loaded.h's, what outlives the session store.h's. A shelf that is
 * not used costs nothing.
 */
#ifndef VTA_SERVICE_SHELF_H
#define VTA_SERVICE_SHELF_H

#include "core/handles.h"

#include <vta/module.h>

struct vta_shelf_module {
    char *name;     /* owned */
    uint8_t *bytes; /* owned */
    uint64_t nbytes;
    uint8_t digest[VTA_DIGEST_BYTES];
    bool stored; /* its upload wrote it to the store, too */
};

struct vta_upload {
    char *name;     /* owned */
    uint8_t *bytes; /* owned */
    uint64_t total, arrived, capacity;
    bool store;
};

struct vta_shelf {
    struct vta_shelf_module *modules; /* by ascending name */
    uint32_t count, capacity, limit;
    uint64_t bytes, bytes_limit; /* of modules and of what has arrived of uploads */
    struct vta_handles uploads;  /* of struct vta_upload */
};

void vta_shelf_init(struct vta_shelf *shelf, uint32_t limit, uint64_t bytes_limit);
void vta_shelf_clear(struct vta_shelf *shelf);

/* The module with this name, or NULL; valid until the shelf changes. */
const struct vta_shelf_module *vta_shelf_find(const struct vta_shelf *shelf, const char *name);

/* VTA_ELIMIT where `nbytes` more do not fit the limit. */
int vta_shelf_admit(const struct vta_shelf *shelf, const char *name, uint64_t nbytes,
                    struct vta_error *error);

/* Makes room for one more module of this name, so that vta_shelf_put cannot fail. */
int vta_shelf_reserve(struct vta_shelf *shelf, const char *name, struct vta_error *error);

/* Takes *module over, in place of one with its name. After vta_shelf_reserve. */
void vta_shelf_put(struct vta_shelf *shelf, struct vta_shelf_module *module);

/* Whether there was one. */
bool vta_shelf_remove(struct vta_shelf *shelf, const char *name);

/* Opens an upload; nothing is allocated for its announced total. */
int vta_upload_begin(struct vta_shelf *shelf, const char *name, uint64_t total, bool store,
                     vta_handle *handle, struct vta_error *error);
int vta_upload_chunk(struct vta_shelf *shelf, vta_handle handle, uint64_t offset,
                     const uint8_t *bytes, uint64_t nbytes, struct vta_error *error);

/* Takes a complete upload off the shelf into *upload, whose name and bytes the caller owns from
 * then on. VTA_ESIZE, and it stays, where bytes are missing. */
int vta_upload_take(struct vta_shelf *shelf, vta_handle handle, struct vta_upload *upload,
                    struct vta_error *error);
int vta_upload_abort(struct vta_shelf *shelf, vta_handle handle, struct vta_error *error);

#endif
