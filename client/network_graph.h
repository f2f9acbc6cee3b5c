/* network_graph.h: what a client needs to know of a network before it runs: its inputs and outputs,
 * which inputs are parameters, and which nodes do something. Read from what TVM saved.
 */
#ifndef VTA_CLIENT_NETWORK_GRAPH_H
#define VTA_CLIENT_NETWORK_GRAPH_H

#include <cjson/cJSON.h>

#include <vta/client.h>

struct network_call {
    const char *name, *function; /* the node's, and its kernel's */
    uint32_t node;
};

struct network_graph {
    cJSON *json; /* names point into it */
    struct vta_network_tensor *inputs, *outputs;
    size_t input_count, output_count;
    struct network_call *calls; /* the nodes that do something */
    size_t call_count;
};

/* text ends with a zero byte. VTA_EFORMAT, VTA_ELIMIT, VTA_ENOMEM; graph is to be cleared in any
 * case. */
int network_graph_read(struct network_graph *graph, const char *text, struct vta_error *error);
void network_graph_clear(struct network_graph *graph);

/* Marks the inputs that a file of parameters has. */
int network_graph_mark_params(struct network_graph *graph, const uint8_t *bytes, size_t nbytes,
                              struct vta_error *error);

/* The input of this name; NULL: the only one that is no parameter. NULL with VTA_ENOTFOUND or, if
 * there are several, VTA_EINVAL. */
struct vta_network_tensor *network_graph_input(const struct network_graph *graph, const char *name,
                                               struct vta_error *error);

#endif
