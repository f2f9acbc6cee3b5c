/* network_graph.c: reads the JSON of a graph and the names in a file of parameters.
 */
#include "network_graph.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/tvm.h"

#define NODES_MAX    65536
#define PARAMS_MAGIC UINT64_C(0xF7E58D4F05049CB7)

static int damaged(struct vta_error *error, const char *what)
{
    return vta_error_set(error, VTA_EFORMAT, "not a graph of TVM: %s", what);
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static const cJSON *array_of(const cJSON *object, const char *key)
{
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsArray(array) ? array : NULL;
}

/* "attrs": {key: ["list_…", [values]]}. */
static const cJSON *attribute(const cJSON *json, const char *key)
{
    const cJSON *attrs = cJSON_GetObjectItemCaseSensitive(json, "attrs");
    const cJSON *values = cJSON_GetArrayItem(array_of(attrs, key), 1);
    return cJSON_IsArray(values) ? values : NULL;
}

/* A whole number from 0 to below `end`. */
static bool index_of(const cJSON *item, int end, int *index)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble < end) ||
        item->valuedouble != floor(item->valuedouble))
        return false;
    *index = (int)item->valuedouble;
    return true;
}

static const char *text_of(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

/* ---- Tensors ------------------------------------------------------------------------------- */

static int read_shape(struct vta_network_tensor *tensor, const cJSON *shape,
                      struct vta_error *error)
{
    const int ndim = cJSON_GetArraySize(shape);
    if (ndim > VTA_MAX_NDIM)
        return vta_error_limit(error, VTA_ELIMIT, VTA_MAX_NDIM, ndim,
                               "%d dimensions, at most %d are possible", ndim, VTA_MAX_NDIM);
    tensor->type.ndim = (uint32_t)ndim;
    tensor->nbytes = (tensor->type.dtype.bits + 7u) / 8u;
    uint64_t *extent = tensor->type.shape;
    const cJSON *item;
    cJSON_ArrayForEach(item, shape)
    {
        if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble < 0x1p53))
            return vta_error_set(error, VTA_EFORMAT, "an extent is not a number");
        *extent = (uint64_t)item->valuedouble;
        if (__builtin_mul_overflow(tensor->nbytes, *extent, &tensor->nbytes))
            return vta_error_set(error, VTA_ESIZE, "its bytes pass 64 bits");
        extent++;
    }
    return 0;
}

/* Output `output` of a node. */
static int read_tensor(struct vta_network_tensor *tensor, const cJSON *json, int node, int output,
                       struct vta_error *error)
{
    const cJSON *nodes = array_of(json, "nodes"), *shapes = attribute(json, "shape");
    const cJSON *row = cJSON_GetArrayItem(array_of(json, "node_row_ptr"), node);
    int entry = 0;
    tensor->name = text_of(cJSON_GetArrayItem(nodes, node), "name");
    if (tensor->name == NULL || !index_of(row, cJSON_GetArraySize(shapes), &entry))
        return damaged(error, "a node without a name or a row");
    const cJSON *shape = cJSON_GetArrayItem(shapes, entry + output);
    const char *type =
        cJSON_GetStringValue(cJSON_GetArrayItem(attribute(json, "dltype"), entry + output));
    if (!cJSON_IsArray(shape) || type == NULL)
        return damaged(error, "an input or output without type and shape");
    int rc =
        vta_dtype_parse(&tensor->type.dtype, strcmp(type, "bool") == 0 ? "uint1" : type, error);
    if (rc == 0)
        rc = read_shape(tensor, shape, error);
    if (rc != 0)
        vta_error_prefix(error, "'%.64s'", tensor->name);
    return rc;
}

static int read_inputs(struct network_graph *graph, struct vta_error *error)
{
    const cJSON *list = array_of(graph->json, "arg_nodes"), *item;
    const int nodes = cJSON_GetArraySize(array_of(graph->json, "nodes"));
    int node, rc = 0;
    graph->inputs = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof *graph->inputs);
    if (graph->inputs == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for the inputs of a graph");
    cJSON_ArrayForEach(item, list)
    {
        if (!index_of(item, nodes, &node))
            return damaged(error, "an input is no node");
        rc = read_tensor(&graph->inputs[graph->input_count], graph->json, node, 0, error);
        if (rc != 0)
            return rc;
        graph->input_count++;
    }
    return 0;
}

static int read_outputs(struct network_graph *graph, struct vta_error *error)
{
    const cJSON *list = array_of(graph->json, "heads"), *item;
    const int nodes = cJSON_GetArraySize(array_of(graph->json, "nodes"));
    int node, output, rc = 0;
    graph->outputs = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof *graph->outputs);
    if (graph->outputs == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for the outputs of a graph");
    cJSON_ArrayForEach(item, list)
    {
        if (!index_of(cJSON_GetArrayItem(item, 0), nodes, &node) ||
            !index_of(cJSON_GetArrayItem(item, 1), NODES_MAX, &output))
            return damaged(error, "an output is no node's");
        rc = read_tensor(&graph->outputs[graph->output_count], graph->json, node, output, error);
        if (rc != 0)
            return rc;
        graph->output_count++;
    }
    return 0;
}

/* ---- The graph ----------------------------------------------------------------------------- */

/* Those that a profile has rows for: what calls a kernel or copies, and has arguments. */
static int read_calls(struct network_graph *graph, struct vta_error *error)
{
    const cJSON *nodes = array_of(graph->json, "nodes"), *node;
    uint32_t index = 0;
    graph->calls = calloc((size_t)cJSON_GetArraySize(nodes) + 1, sizeof *graph->calls);
    if (graph->calls == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for the nodes of a graph");
    cJSON_ArrayForEach(node, nodes)
    {
        const char *op = text_of(node, "op"), *name = text_of(node, "name");
        const char *function =
            text_of(cJSON_GetObjectItemCaseSensitive(node, "attrs"), "func_name");
        if (op != NULL && strcmp(op, "tvm_op") == 0 && name != NULL && function != NULL &&
            strcmp(function, "__nop") != 0)
            graph->calls[graph->call_count++] =
                (struct network_call){ .name = name, .function = function, .node = index };
        index++;
    }
    return 0;
}

int network_graph_read(struct network_graph *graph, const char *text, struct vta_error *error)
{
    *graph = (struct network_graph){ .json = cJSON_Parse(text) };
    if (graph->json == NULL)
        return damaged(error, "it is no JSON");
    if (array_of(graph->json, "nodes") == NULL || array_of(graph->json, "arg_nodes") == NULL ||
        array_of(graph->json, "heads") == NULL)
        return damaged(error, "it lacks nodes, arg_nodes or heads");
    const int nodes = cJSON_GetArraySize(array_of(graph->json, "nodes"));
    if (nodes > NODES_MAX)
        return vta_error_limit(error, VTA_ELIMIT, NODES_MAX, nodes, "%d nodes, at most %d", nodes,
                               NODES_MAX);
    int rc = read_inputs(graph, error);
    if (rc == 0)
        rc = read_outputs(graph, error);
    return rc != 0 ? rc : read_calls(graph, error);
}

void network_graph_clear(struct network_graph *graph)
{
    free(graph->inputs);
    free(graph->outputs);
    free(graph->calls);
    cJSON_Delete(graph->json);
    *graph = (struct network_graph){ 0 };
}

/* ---- Names --------------------------------------------------------------------------------- */

static void mark(struct network_graph *graph, const char *name, size_t length)
{
    for (size_t i = 0; i < graph->input_count; i++)
        if (strlen(graph->inputs[i].name) == length &&
            memcmp(graph->inputs[i].name, name, length) == 0)
            graph->inputs[i].parameter = true;
}

int network_graph_mark_params(struct network_graph *graph, const uint8_t *bytes, size_t nbytes,
                              struct vta_error *error)
{
    const uint8_t *const end = bytes + nbytes;
    if (nbytes < 24 || tvm_get_u64(bytes) != PARAMS_MAGIC)
        return vta_error_set(error, VTA_EFORMAT,
                             "not a file of parameters, as save_param_dict makes it");
    const uint64_t count = tvm_get_u64(bytes + 16);
    bytes += 24;
    for (uint64_t i = 0; i < count; i++) {
        if (end - bytes < 8 || tvm_get_u64(bytes) > (uint64_t)(end - bytes - 8))
            return vta_error_set(error, VTA_EFORMAT,
                                 "cut short within the name of parameter %" PRIu64 " of %" PRIu64,
                                 i + 1, count);
        const size_t length = (size_t)tvm_get_u64(bytes);
        mark(graph, (const char *)bytes + 8, length);
        bytes += 8 + length;
    }
    return 0;
}

/* "data, mask" of the inputs that are no parameters. */
static void list_inputs(const struct network_graph *graph, char *text, size_t size)
{
    size_t used = 0;
    *text = '\0';
    for (size_t i = 0; i < graph->input_count && used < size; i++)
        if (!graph->inputs[i].parameter)
            used += (size_t)snprintf(text + used, size - used, "%s%s", used == 0 ? "" : ", ",
                                     graph->inputs[i].name);
}

static struct vta_network_tensor *only_input(const struct network_graph *graph,
                                             struct vta_error *error)
{
    struct vta_network_tensor *found = NULL;
    size_t count = 0;
    for (size_t i = 0; i < graph->input_count; i++)
        if (!graph->inputs[i].parameter) {
            found = &graph->inputs[i];
            count++;
        }
    if (count == 1)
        return found;
    char names[256];
    list_inputs(graph, names, sizeof names);
    vta_error_set(error, VTA_EINVAL, "%zu inputs are no parameters, so that one must be named%s%s",
                  count, count == 0 ? "" : ": ", names);
    return NULL;
}

struct vta_network_tensor *network_graph_input(const struct network_graph *graph, const char *name,
                                               struct vta_error *error)
{
    if (name == NULL)
        return only_input(graph, error);
    for (size_t i = 0; i < graph->input_count; i++)
        if (strcmp(graph->inputs[i].name, name) == 0)
            return &graph->inputs[i];
    char names[256];
    list_inputs(graph, names, sizeof names);
    vta_error_set(error, VTA_ENOTFOUND, "no input '%s'; there are %s", name, names);
    return NULL;
}
