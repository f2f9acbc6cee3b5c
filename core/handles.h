/* handles.h: handles that a client may hold: an index into a table, a generation and a kind, never
 * an address. A stale, forged or foreign handle is an error message.
 *
 * Layout of the 64-bit value: bits 0…23 index, 24…55 generation (never 0), 56…62 kind. Bit 63 is 0,
 * so a handle is a positive integer in every language. 0 is never a handle.
 */
#ifndef VTA_CORE_HANDLES_H
#define VTA_CORE_HANDLES_H

#include <stddef.h>
#include <stdint.h>

#include <vta/error.h>

typedef uint64_t vta_handle;

enum vta_handle_kind {
    VTA_HANDLE_BUFFER = 1,
    VTA_HANDLE_MODULE = 2,
    VTA_HANDLE_FUNCTION = 3,
    VTA_HANDLE_UPLOAD = 4,
    VTA_HANDLE_DATA = 5,
    VTA_HANDLE_TENSOR = 6
};

/* "buffer", "module", … */
const char *vta_handle_kind_name(enum vta_handle_kind kind);

/* A table of pointers. Plain struct, zero-initialised with its kind and limit. */
struct vta_handles {
    enum vta_handle_kind kind;
    uint32_t limit; /* entries at once; VTA_ELIMIT beyond */
    uint32_t count; /* live entries */
    uint32_t size;  /* slots allocated */
    uint32_t free_head;
    struct vta_handle_slot {
        void *value;         /* NULL: free */
        uint32_t generation; /* of the current or next user */
        uint32_t next_free;
    } * slots;
};

void vta_handles_init(struct vta_handles *handles, enum vta_handle_kind kind, uint32_t limit);
void vta_handles_clear(struct vta_handles *handles); /* the values are the caller's to free */

/* value must not be NULL. */
int vta_handles_add(struct vta_handles *handles, void *value, vta_handle *handle,
                    struct vta_error *error);

/* The value, or NULL with VTA_EHANDLE: "buffer handle 0x… is stale (freed before)", "… was never
 * given out", "handle 0x… is of kind function, not buffer". */
void *vta_handles_get(const struct vta_handles *handles, vta_handle handle,
                      struct vta_error *error);

/* Takes the value out; its handle is stale from then on. */
void *vta_handles_remove(struct vta_handles *handles, vta_handle handle, struct vta_error *error);

/* Iteration: the next live entry at or after *index, or NULL; *index moves past it. */
void *vta_handles_next(const struct vta_handles *handles, uint32_t *index, vta_handle *handle);

#endif
