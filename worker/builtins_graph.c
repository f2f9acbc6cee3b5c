/* builtins_graph.c: makes graph executors: tvm.graph_executor.create and the names that it has
 * beside.
 */
#include "builtins.h"

#include <string.h>

#include "graph.h"
#include "objects.h"

/* Devices are pairs of a type and an id, from `first` on. */
static int read_devices(const struct function *function, const union tvm_value *args,
                        const int32_t *codes, int first, int count, struct graph_options *options,
                        struct vta_error *error)
{
    const int pairs = (count - first) / 2;
    if (pairs < 1 || pairs > GRAPH_DEVICES_MAX || (count - first) % 2 != 0)
        return vta_error_set(error, VTA_EINVAL,
                             "%s takes a graph, a module and 1 to %d devices, each a type and an "
                             "id, got %d arguments",
                             function->name, GRAPH_DEVICES_MAX, count);
    for (int i = 0; i < pairs; i++) {
        int64_t type = 0, id = 0;
        int rc =
            arguments_int(function, args, codes, first + 2 * i, INT32_MIN, INT32_MAX, &type, error);
        if (rc == 0)
            rc = arguments_int(function, args, codes, first + 2 * i + 1, INT32_MIN, INT32_MAX, &id,
                               error);
        if (rc != 0)
            return rc;
        struct tvm_device device = { .type = (int32_t)type, .id = (int32_t)id };
        rc = objects_device(device, error);
        if (rc != 0)
            return rc;
        options->devices[options->device_count++] = device;
    }
    return 0;
}

/* A graph as JSON, a module, devices. Before the devices may be a function that finds parameters
 * which are linked into the module, or null; those of this server's modules never are. */
static int make(struct function *function, const union tvm_value *args, const int32_t *codes,
                int count, bool debug, struct result *result, struct vta_error *error)
{
    struct graph *graph;
    int rc = arguments_count(function, count, 4, 3 + 2 * GRAPH_DEVICES_MAX, error);
    if (rc == 0)
        rc = arguments_code(function, codes, 0, TVM_STRING, error);
    if (rc == 0)
        rc = arguments_code(function, codes, 1, TVM_MODULE, error);
    if (rc != 0)
        return rc;
    struct graph_options options = {
        .json = args[0].s, .json_bytes = strlen(args[0].s), .library = args[1].p, .debug = debug
    };
    const bool finder = codes[2] == TVM_FUNCTION || codes[2] == TVM_NULL || codes[2] == TVM_OPAQUE;
    rc = read_devices(function, args, codes, finder ? 3 : 2, count, &options, error);
    if (rc == 0)
        rc = graph_new(&graph, function->worker, &options, error);
    if (rc == 0)
        *result = (struct result){ .code = TVM_MODULE, .value.p = &graph->module };
    return rc;
}

static int create(struct function *function, union tvm_value *args, const int32_t *codes, int count,
                  struct result *result, struct vta_error *error)
{
    return make(function, args, codes, count, false, result, error);
}

static int create_debug(struct function *function, union tvm_value *args, const int32_t *codes,
                        int count, struct result *result, struct vta_error *error)
{
    return make(function, args, codes, count, true, result, error);
}

const struct builtin builtins_graph[] = {
    { "tvm.graph_executor.create", { create, NULL } },
    { "tvm.graph_runtime.create", { create, NULL } }, /* its name before 0.8 */
    { "tvm.graph_executor_debug.create", { create_debug, NULL } },
    { "tvm.graph_runtime_debug.create", { create_debug, NULL } },
    { NULL, { NULL, NULL } },
};
