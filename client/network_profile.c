/* network_profile.c: where the time of a network goes: the debug executor's report, and what each
 * node adds to the board's counters.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "network.h"

/* ---- The report ---------------------------------------------------------------------------- */

/* {"Duration (us)": {"microseconds": 12.5}}, in nanoseconds; 0: there is none. */
static uint64_t ns_of(const cJSON *row, const char *key)
{
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(row, key), "microseconds");
    if (!cJSON_IsNumber(number) || !(number->valuedouble > 0 && number->valuedouble < 1e15))
        return 0;
    return (uint64_t)(number->valuedouble * 1e3 + 0.5);
}

static void copy_text(char *to, size_t size, const cJSON *row, const char *key)
{
    const char *text = cJSON_GetStringValue(
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(row, key), "string"));
    snprintf(to, size, "%s", text != NULL ? text : "");
}

static int read_report(const char *text, struct vta_network_node **nodes, size_t *count,
                       struct vta_error *error)
{
    cJSON *report = cJSON_Parse(text);
    const cJSON *calls = cJSON_GetObjectItemCaseSensitive(report, "calls"), *row;
    int rc = 0;
    *count = 0;
    *nodes = calloc((size_t)cJSON_GetArraySize(calls) + 1, sizeof **nodes);
    if (!cJSON_IsArray(calls))
        rc = vta_error_set(error, VTA_EPROTO, "profile_rpc gave no report");
    else if (*nodes == NULL)
        rc = vta_error_set(error, VTA_ENOMEM, "no memory for a profile");
    else
        cJSON_ArrayForEach(row, calls)
        {
            struct vta_network_node *node = &(*nodes)[(*count)++];
            copy_text(node->name, sizeof node->name, row, "Name");
            copy_text(node->device, sizeof node->device, row, "Device");
            node->wall_ns = ns_of(row, "Duration (us)");
            node->vta_ns = ns_of(row, "VTA (us)");
            node->board_ns = ns_of(row, "Board (us)");
        }
    cJSON_Delete(report);
    return rc;
}

/* ---- Counters ------------------------------------------------------------------------------ */

static uint64_t counter_of(const cJSON *status, const char *key)
{
    const double number = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(status, key));
    return number >= 0 && number < 0x1p63 ? (uint64_t)number : 0;
}

/* What the board has counted so far. */
static int read_counters(struct vta_network *network, uint64_t status_function,
                         struct vta_counters *counters, struct vta_error *error)
{
    struct vta_tvm *tvm = &network->tvm;
    int rc = vta_tvm_call(tvm, status_function, NULL, 0, NULL, error);
    if (rc != 0)
        return rc;
    cJSON *status = tvm->items[1].code == TVM_STRING ? cJSON_Parse(tvm->items[1].bytes.data) : NULL;
    if (!cJSON_IsObject(status))
        rc = vta_error_set(error, VTA_EPROTO, "vta.simulator.profiler_status gave no counters");
#define READ(name) counters->name = counter_of(status, #name);
    VTA_COUNTERS(READ)
#undef READ
    cJSON_Delete(status);
    return rc;
}

static int execute(struct vta_network *network, uint64_t function, uint32_t node,
                   struct vta_error *error)
{
    const struct tvm_item arg = vta_tvm_int(node);
    return vta_tvm_call(&network->tvm, function, &arg, 1, NULL, error);
}

/* Runs the network node by node; a node's counters are what they are more after it than before. */
static int count_nodes(struct vta_network *network, uint64_t execute_node, uint64_t status,
                       struct vta_network_node *nodes, struct vta_error *error)
{
    struct vta_counters before = { 0 }, after = { 0 };
    int rc = execute(network, execute_node, 0, error); /* from the first one on */
    if (rc == 0)
        rc = read_counters(network, status, &before, error);
    for (size_t i = 0; i < network->graph.call_count && rc == 0; i++) {
        rc = execute(network, execute_node, network->graph.calls[i].node, error);
        if (rc == 0)
            rc = read_counters(network, status, &after, error);
#define SUBTRACT(name) nodes[i].counters.name = after.name - before.name;
        VTA_COUNTERS(SUBTRACT)
#undef SUBTRACT
        nodes[i].counted = rc == 0;
        before = after;
    }
    return rc;
}

/* Whether the report's rows are the graph's nodes, one by one: it has kernels' names. */
static bool rows_are_calls(const struct network_graph *graph, const struct vta_network_node *nodes,
                           size_t count)
{
    if (count != graph->call_count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (strncmp(nodes[i].name, graph->calls[i].function, sizeof nodes[i].name - 1) != 0)
            return false;
    return true;
}

/* Names of nodes instead of kernels', and counters; as far as the server can. */
static int add_counters(struct vta_network *network, struct vta_network_node *nodes, size_t count,
                        struct vta_error *error)
{
    uint64_t execute_node = 0, status = 0;
    if (!rows_are_calls(&network->graph, nodes, count))
        return 0;
    for (size_t i = 0; i < count; i++)
        snprintf(nodes[i].name, sizeof nodes[i].name, "%s", network->graph.calls[i].name);
    int rc = vta_tvm_member(&network->tvm, network->module, "execute_node", &execute_node, error);
    if (rc == 0)
        rc = vta_tvm_function(&network->tvm, "vta.simulator.profiler_status", &status, error);
    if (rc != 0 || execute_node == 0 || status == 0)
        return rc;
    return count_nodes(network, execute_node, status, nodes, error);
}

int vta_network_profile(struct vta_network *network, struct vta_network_node **nodes, size_t *count,
                        struct vta_error *error)
{
    struct vta_tvm *tvm = &network->tvm;
    if (!network->profile)
        return vta_error_set(error, VTA_ESTATE, "the network was not opened with `profile`");
    int rc = vta_network_call(network, "profile_rpc", NULL, 0, NULL, error);
    if (rc != 0)
        return rc;
    if (tvm->items[1].code != TVM_STRING)
        return vta_error_set(error, VTA_EPROTO, "profile_rpc gave no report");
    rc = read_report(tvm->items[1].bytes.data, nodes, count, error);
    if (rc == 0)
        rc = add_counters(network, *nodes, *count, error);
    if (rc != 0) {
        free(*nodes);
        *nodes = NULL;
        *count = 0;
    }
    return rc;
}
