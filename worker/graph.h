/* graph.h: TVM's graph executor: a network as a module whose functions set inputs, run it and get
 * outputs.
 *
 * An instance owns the memory that its graph names, and has the arguments of every node laid out
 * when it is made: a run only calls. A node's kernel is any struct function; where an entry's
 * bytes are can be changed later (graph_bind), with a reference to that memory.
 *
 * graph.c            makes instances, runs nodes
 * graph_functions.c  the functions of an instance
 * graph_debug.c      those of the debug executor
 * graph_factory.c    instances from a graph that a library brings
 */
#ifndef VTA_WORKER_GRAPH_H
#define VTA_WORKER_GRAPH_H

#include "graph_params.h"
#include "graph_plan.h"
#include "memory.h"
#include "module.h"

#define GRAPH_DEVICES_MAX 8

/* Where the bytes of an entry are; entries with one root have one slot, the root's. */
struct graph_slot {
    struct memory *memory; /* a reference */
    uint8_t *data;         /* in it */
};

struct graph_call {
    struct function *function;  /* a reference; NULL: nothing to call */
    struct tvm_tensor *tensors; /* inputs, then outputs */
    union tvm_value *args;      /* the tensors' addresses */
    int32_t *codes;
    uint32_t count;
};

struct graph {
    struct module module; /* first */
    struct graph_plan *plan;
    struct graph_slot *slots;   /* by entry */
    struct graph_call *calls;   /* by node */
    struct tvm_tensor *entries; /* as tensors, by entry */
    bool debug;
    int64_t executed; /* the node up to which execute_node has come; -1: none */
};

struct graph_options {
    const char *json;
    size_t json_bytes;
    struct module *library;                       /* where its kernels are, with its imports */
    struct tvm_device devices[GRAPH_DEVICES_MAX]; /* the first is the default */
    uint32_t device_count;
    bool debug;
};

/* An instance, with one reference. VTA_ENOTFOUND naming a node whose kernel the library does not
 * have, memory's errors, and graph_plan_read's. */
int graph_new(struct graph **graph, struct worker *worker, const struct graph_options *options,
              struct vta_error *error);

/* The instance that a module is; NULL: it is another kind of module. */
struct graph *graph_of(struct module *module);

/* Whether the deadline of the call under way has passed; then with VTA_EDEADLINE in *error. */
bool graph_stopped(const struct graph *graph, struct vta_error *error);

/* Runs one node; inputs run nothing. Errors name the node; also VTA_EDEADLINE. */
int graph_run_node(struct graph *graph, uint32_t node, struct vta_error *error);
int graph_run(struct graph *graph, struct vta_error *error);

/* Copies a tensor's numbers into an entry, or an entry's into a tensor. VTA_ESIZE if one has other
 * bytes than the other. */
int graph_copy_in(struct graph *graph, uint32_t entry, const struct tvm_tensor *from,
                  struct vta_error *error);
int graph_copy_out(const struct graph *graph, uint32_t entry, const struct tvm_tensor *to,
                   struct vta_error *error);
/* Copies each parameter into the input of its name; unknown ones are passed over. */
int graph_set_params(struct graph *graph, const struct graph_params *params,
                     struct vta_error *error);

/* Has the nodes work on other memory from now on, of which a reference is taken. tensor: compact,
 * of the entry's type, bytes and device, aligned to 64 bytes, in a live struct memory. VTA_EINVAL,
 * VTA_EHANDLE. */
int graph_bind(struct graph *graph, uint32_t entry, const struct tvm_tensor *tensor,
               struct vta_error *error);

/* A tensor over an entry's memory, which keeps it alive; for a result. */
struct tvm_tensor *graph_view(const struct graph *graph, uint32_t entry, struct vta_error *error);

/* ---- Functions ----------------------------------------------------------------------------- */

#define GRAPH_CALL_ARGUMENTS                                                                       \
    struct function *function, struct graph *graph, union tvm_value *args, const int32_t *codes,   \
        int count, struct result *result, struct vta_error *error

struct graph_function {
    const char *name;
    int (*call)(GRAPH_CALL_ARGUMENTS);
};

/* Each ends with a NULL name. */
extern const struct graph_function graph_functions[];
extern const struct graph_function graph_debug_functions[];

/* The find of a graph's module. */
struct function *graph_find(struct module *module, const char *name);

/* ---- For its functions --------------------------------------------------------------------- */

/* Argument `index` as a tensor. */
int graph_tensor_argument(const struct function *function, const union tvm_value *args,
                          const int32_t *codes, int index, const struct tvm_tensor **tensor,
                          struct vta_error *error);
/* A result that is a view of an entry. */
int graph_result_view(const struct graph *graph, uint32_t entry, struct result *result,
                      struct vta_error *error);
/* A function that clients ask for, but whose result has no form on the wire. */
int graph_cannot_send(GRAPH_CALL_ARGUMENTS);

#endif
