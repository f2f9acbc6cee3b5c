/* network.h: a network at a server, as the files that ask it something share it.
 */
#ifndef VTA_CLIENT_NETWORK_H
#define VTA_CLIENT_NETWORK_H

#include "network_graph.h"
#include "tvm_client.h"

struct vta_network {
    struct vta_tvm tvm;
    struct network_graph graph;
    uint64_t module; /* the instance's handle */
    bool profile;    /* it is the debug executor's */
};

/* Calls a function of the instance; the result as vta_tvm_call leaves it. */
int vta_network_call(struct vta_network *network, const char *name, const struct tvm_item *args,
                     uint32_t count, const char *what, struct vta_error *error);

#endif
