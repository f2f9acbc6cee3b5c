/* graph_plan.h: TVM's graph JSON, checked, as plain structs: nodes in the order in which they run,
 * and their outputs, called entries, with shapes and the storage that each lies in.
 *
 * Pure: knows neither modules nor devices. What a plan says holds: every index is inside its
 * array, a node's inputs come from nodes before it, and sizes do not overflow.
 */
#ifndef VTA_WORKER_GRAPH_PLAN_H
#define VTA_WORKER_GRAPH_PLAN_H

#include <stdbool.h>

#include <vta/error.h>

#include "proto/tvm.h"

#define GRAPH_JSON_MAX    (UINT32_C(4) << 20) /* bytes */
#define GRAPH_NODES_MAX   16384u
#define GRAPH_ENTRIES_MAX 65536u
#define GRAPH_LINKS_MAX   1024u /* inputs, and outputs, of a node */

enum graph_op {
    GRAPH_INPUT, /* "null": an input or a parameter */
    GRAPH_CALL,
    GRAPH_NOP, /* "__nop": one input in another shape, in the same storage */
    GRAPH_COPY /* "__copy": one input, on another device perhaps */
};

struct graph_node {
    enum graph_op op;
    const char *name;
    const char *function;   /* NULL for an input */
    const char *hash;       /* of the function's text, for reports; NULL: none */
    const uint32_t *inputs; /* entries */
    uint32_t input_count;
    uint32_t first_entry, output_count;
    bool flatten; /* its function gets tensors of one dimension */
};

struct graph_entry {
    struct tvm_dtype dtype;
    int32_t ndim;
    int64_t *shape;
    int64_t elements; /* of it */
    uint64_t nbytes;
    uint32_t node; /* whose output it is */
    uint32_t storage;
    uint32_t root; /* the entry whose bytes these are, through __nop nodes; itself mostly */
};

struct graph_storage {
    uint64_t nbytes;     /* of its largest entry */
    int32_t device_type; /* any number; 0: the graph does not say */
    bool used;
};

struct graph_plan {
    struct graph_node *nodes;
    struct graph_entry *entries;
    struct graph_storage *storages;
    uint32_t *inputs;  /* nodes */
    uint32_t *outputs; /* entries */
    uint32_t node_count, entry_count, storage_count, input_count, output_count;
    struct graph_block *blocks; /* everything that the plan points to */
};

/* text need not be terminated. VTA_EFORMAT naming the node and what is wrong, VTA_ELIMIT,
 * VTA_ESIZE, VTA_ENOMEM. */
int graph_plan_read(struct graph_plan **plan, const char *text, size_t nbytes,
                    struct vta_error *error);
void graph_plan_free(struct graph_plan *plan); /* NULL is allowed */

/* The index of an input among the inputs, by name; -1: none. */
int64_t graph_plan_input(const struct graph_plan *plan, const char *name);

#endif
