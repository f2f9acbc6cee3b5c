/* values.h: values of the wire as values in memory, and results as values of the wire.
 */
#ifndef VTA_WORKER_VALUES_H
#define VTA_WORKER_VALUES_H

#include "objects.h"

/* The arguments of one call, in the binary interface's form; kept from call to call. */
struct values {
    union tvm_value values[TVM_ITEMS_MAX];
    int32_t codes[TVM_ITEMS_MAX];
    union {
        struct tvm_tensor tensor;
        struct tvm_bytes bytes;
    } behind[TVM_ITEMS_MAX]; /* what values point to */
    int64_t *shapes;         /* of all tensors; owned */
    size_t shapes_size;
};

/* Looks every handle up and checks every tensor against its memory. The values point into the
 * items' packet and the objects, and are good for one call. */
int values_from_items(struct values *values, const struct objects *objects,
                      const struct tvm_item *items, uint32_t count, struct vta_error *error);
void values_free(struct values *values);

/* What is sent for a result: the type code and the value. Takes what the result owns out of it,
 * but for bytes, which the items point to. name: the function's, for messages. */
int values_to_items(struct objects *objects, const char *name, struct result *result,
                    struct tvm_item items[3], uint32_t *count, struct vta_error *error);

#endif
