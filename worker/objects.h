/* objects.h: what a client holds handles of: memory, functions, modules, arrays that functions
 * returned. Handles are looked up; an address never comes from the wire.
 */
#ifndef VTA_WORKER_OBJECTS_H
#define VTA_WORKER_OBJECTS_H

#include "core/handles.h"
#include "worker.h"

struct objects {
    struct worker *worker;
    struct vta_handles data;      /* struct allocation */
    struct vta_handles functions; /* struct function, a reference each */
    struct vta_handles modules;   /* struct module, a reference each */
    struct vta_handles arrays;    /* struct array */
};

void objects_init(struct objects *objects, struct worker *worker);
/* Frees everything that is still alive. */
void objects_clear(struct objects *objects);

/* VTA_ENOTFOUND where there is no such device. */
int objects_device(struct tvm_device device, struct vta_error *error);

/* Zeroed memory of a device. alignment: a power of two up to a page, or 0. */
int objects_alloc(struct objects *objects, struct tvm_device device, uint64_t nbytes,
                  uint64_t alignment, vta_handle *handle, struct vta_error *error);
/* VTA_EHANDLE also where it is another device's, or the memory of a returned array. */
int objects_free_data(struct objects *objects, struct tvm_device device, vta_handle handle,
                      struct vta_error *error);

/* The memory of a tensor: where its data begins, without its byte offset; [offset, offset +
 * nbytes) lies inside. *begin is NULL for a tensor without data, which only 0 bytes may have. */
int objects_memory(const struct objects *objects, const struct tvm_wire_tensor *tensor,
                   uint64_t nbytes, uint8_t **begin, struct vta_error *error);

/* Each takes over the reference, also where it fails. An array gets two handles: of itself, and of
 * its memory, which goes with it. */
int objects_add_function(struct objects *objects, struct function *function, vta_handle *handle,
                         struct vta_error *error);
int objects_add_module(struct objects *objects, struct module *module, vta_handle *handle,
                       struct vta_error *error);
int objects_add_array(struct objects *objects, struct tvm_tensor *tensor, vta_handle *data,
                      vta_handle *handle, struct vta_error *error);

/* What a handle of any kind names, as a value for a call: a pointer, with the type code of what it
 * is: TVM_FUNCTION, TVM_MODULE, TVM_TENSOR for an array's struct tvm_tensor, TVM_OPAQUE for
 * memory. No new reference. */
int objects_find(const struct objects *objects, vta_handle handle, void **pointer, int32_t *code,
                 struct vta_error *error);

/* No new reference. NULL with VTA_EHANDLE. */
struct function *objects_function(const struct objects *objects, vta_handle handle,
                                  struct vta_error *error);

/* One reference less. code: TVM_FUNCTION, TVM_MODULE, TVM_NDARRAY, or TVM_OBJECT for either. */
int objects_free(struct objects *objects, vta_handle handle, int64_t code, struct vta_error *error);

#endif
