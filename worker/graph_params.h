/* graph_params.h: named tensors as TVM serialises them, a graph's parameters; and the graph,
 * parameters and name that a library brings as a factory.
 *
 * Pure; what is read points into the bytes that it was read from.
 */
#ifndef VTA_WORKER_GRAPH_PARAMS_H
#define VTA_WORKER_GRAPH_PARAMS_H

#include <vta/error.h>

#include "blob.h"
#include "proto/tvm.h"

#define GRAPH_PARAMS_MAX 16384u

struct graph_param {
    struct blob_text name;
    struct tvm_dtype dtype;
    uint32_t ndim;
    const uint8_t *shape; /* ndim × i64, not aligned */
    const uint8_t *data;
    uint64_t nbytes; /* what type and shape say */
};

struct graph_params {
    struct graph_param *items; /* owned */
    uint32_t count;
};

void graph_params_clear(struct graph_params *params);

/* The names of a list: u64 count, each u64 length and text; items without tensors. VTA_EFORMAT,
 * VTA_ELIMIT, VTA_ENOMEM; there is nothing to clear then. */
int graph_params_take_names(struct blob *blob, struct graph_params *params,
                            struct vta_error *error);
/* The tensor of each item. */
int graph_params_take_tensors(struct blob *blob, struct graph_params *params,
                              struct vta_error *error);

/* The bytes of load_params: names and tensors, and nothing behind them. */
int graph_params_read(const void *bytes, uint64_t nbytes, struct graph_params *params,
                      struct vta_error *error);
/* The names alone, whatever follows them: what share_params wants to know. */
int graph_params_read_names(const void *bytes, uint64_t nbytes, struct graph_params *params,
                            struct vta_error *error);

/* A factory: u64 length and graph JSON, u64 count, names, tensors, u64 length and name. */
struct graph_image {
    struct blob_text json, name;
    struct graph_params params; /* graph_params_clear */
};

/* Errors as above; there is nothing to clear then. */
int graph_image_take(struct blob *blob, struct graph_image *image, struct vta_error *error);

#endif
