/* vtactl_network_print.c: what tvm-run has found out: times, outputs and layers, for people and for
 * machines.
 */
#include "vtactl.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define TOP 5

/* ---- Outputs ------------------------------------------------------------------------------- */

static bool is_float32(const struct vta_network_tensor *tensor)
{
    return tensor->type.dtype.code == VTA_DTYPE_FLOAT && tensor->type.dtype.bits == 32;
}

/* Numbers of a 1×N float32 output, which are most often scores of classes; 0 for others. */
static size_t score_count(const struct vta_network_tensor *tensor)
{
    if (!is_float32(tensor) || tensor->type.ndim != 2 || tensor->type.shape[0] != 1)
        return 0;
    return (size_t)tensor->type.shape[1];
}

static float score(const void *bytes, size_t index)
{
    float number;
    memcpy(&number, (const uint8_t *)bytes + index * sizeof number, sizeof number);
    return number;
}

/* Places of the largest scores, in order; returns how many. */
static size_t top_of(const void *bytes, size_t count, size_t top[TOP])
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        size_t at = found;
        while (at > 0 && score(bytes, i) > score(bytes, top[at - 1]))
            at--;
        if (at == TOP)
            continue;
        const size_t last = found < TOP ? found++ : TOP - 1;
        memmove(&top[at + 1], &top[at], (last - at) * sizeof top[0]);
        top[at] = i;
    }
    return found;
}

static void print_type(const struct vta_tensor_type *type)
{
    char name[16];
    vta_dtype_print(type->dtype, name);
    printf("%s[", name);
    for (uint32_t i = 0; i < type->ndim; i++)
        printf("%s%" PRIu64, i == 0 ? "" : ", ", type->shape[i]);
    printf("]");
}

static void print_output(const struct network_result *result, size_t index)
{
    const struct vta_network_tensor *tensor = vta_network_output(result->network, index);
    size_t top[TOP];
    printf("output %zu: %s ", index, tensor->name);
    print_type(&tensor->type);
    if (result->files[index] != NULL)
        printf(" in %s", result->files[index]);
    puts("");
    const size_t count = top_of(result->outputs[index], score_count(tensor), top);
    for (size_t i = 0; i < count; i++)
        printf("  %6zu: %g\n", top[i], (double)score(result->outputs[index], top[i]));
}

static cJSON *output_as_json(const struct network_result *result, size_t index)
{
    const struct vta_network_tensor *tensor = vta_network_output(result->network, index);
    cJSON *object = cJSON_CreateObject();
    char dtype[16];
    size_t top[TOP];
    vta_dtype_print(tensor->type.dtype, dtype);
    cJSON_AddStringToObject(object, "name", tensor->name);
    cJSON_AddStringToObject(object, "dtype", dtype);
    cJSON *shape = cJSON_AddArrayToObject(object, "shape");
    for (uint32_t i = 0; i < tensor->type.ndim; i++)
        cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)tensor->type.shape[i]));
    if (result->files[index] != NULL)
        cJSON_AddStringToObject(object, "file", result->files[index]);
    const size_t count = top_of(result->outputs[index], score_count(tensor), top);
    cJSON *list = count > 0 ? cJSON_AddArrayToObject(object, "top") : NULL;
    for (size_t i = 0; i < count; i++) {
        cJSON *row = cJSON_CreateObject();
        cJSON_AddNumberToObject(row, "index", (double)top[i]);
        cJSON_AddNumberToObject(row, "value", (double)score(result->outputs[index], top[i]));
        cJSON_AddItemToArray(list, row);
    }
    return object;
}

/* ---- Layers -------------------------------------------------------------------------------- */

static void add_node(struct vta_network_node *sum, const struct vta_network_node *node)
{
    sum->wall_ns += node->wall_ns;
    sum->vta_ns += node->vta_ns;
    sum->board_ns += node->board_ns;
    sum->counted = sum->counted || node->counted;
#define ADD(name) sum->counters.name += node->counters.name;
    VTA_COUNTERS(ADD)
#undef ADD
}

/* Milliseconds, and nothing for 0: a node that has no part on VTA. */
static void print_ms(uint64_t ns)
{
    if (ns == 0)
        printf(" %10s", "-");
    else
        printf(" %10.3f", (double)ns * 1e-6);
}

static void print_node(const struct vta_network_node *node, int width)
{
    printf("%-*s", width, node->name);
    print_ms(node->wall_ns);
    print_ms(node->vta_ns);
    print_ms(node->board_ns);
    if (node->counted) {
        const struct vta_counters *counters = &node->counters;
        printf(" %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %10" PRIu64, counters->gemm_counter,
               counters->alu_counter,
               counters->inp_load_nbytes + counters->wgt_load_nbytes + counters->acc_load_nbytes +
                   counters->uop_load_nbytes,
               counters->out_store_nbytes);
    }
    puts("");
}

static void print_nodes(const struct network_result *result)
{
    struct vta_network_node sum = { .name = "total" };
    int width = 5;
    for (size_t i = 0; i < result->node_count; i++) {
        add_node(&sum, &result->nodes[i]);
        const int length = (int)strlen(result->nodes[i].name);
        width = length > width ? length : width;
    }
    printf("\n%-*s %10s %10s %10s", width, "node", "host ms", "VTA ms", "board ms");
    if (sum.counted)
        printf(" %10s %10s %10s %10s", "GEMMs", "ALUs", "loaded B", "stored B");
    puts("");
    for (size_t i = 0; i < result->node_count; i++)
        print_node(&result->nodes[i], width);
    print_node(&sum, width);
}

static cJSON *node_as_json(const struct vta_network_node *node)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "name", node->name);
    cJSON_AddStringToObject(object, "device", node->device);
    json_u64(object, "wall_ns", node->wall_ns);
    json_u64(object, "vta_ns", node->vta_ns);
    json_u64(object, "board_ns", node->board_ns);
    if (node->counted)
        cJSON_AddItemToObject(object, "counters", json_counters(&node->counters));
    return object;
}

/* ---- All of it ----------------------------------------------------------------------------- */

void print_network(const struct network_result *result)
{
    for (size_t i = 0; i < result->runs; i++) {
        printf(result->runs == 1 ? "run: " : "run %zu: ", i + 1);
        print_seconds((double)result->run_ns[i] * 1e-9);
        puts("");
    }
    for (size_t i = 0; vta_network_output(result->network, i) != NULL; i++)
        print_output(result, i);
    if (result->node_count > 0)
        print_nodes(result);
}

void network_as_json(const struct network_result *result, cJSON *json)
{
    cJSON_AddStringToObject(json, "folder", result->folder);
    cJSON_AddStringToObject(json, "library", result->library);
    cJSON *runs = cJSON_AddArrayToObject(json, "run_ns");
    for (size_t i = 0; i < result->runs; i++)
        cJSON_AddItemToArray(runs, cJSON_CreateNumber((double)result->run_ns[i]));
    cJSON *outputs = cJSON_AddArrayToObject(json, "outputs");
    for (size_t i = 0; vta_network_output(result->network, i) != NULL; i++)
        cJSON_AddItemToArray(outputs, output_as_json(result, i));
    if (result->node_count == 0)
        return;
    cJSON *nodes = cJSON_AddArrayToObject(json, "nodes");
    for (size_t i = 0; i < result->node_count; i++)
        cJSON_AddItemToArray(nodes, node_as_json(&result->nodes[i]));
}
