/* fuzz_graph.c: any bytes as a network's graph. What is accepted holds what graph_plan.h promises;
 * what is refused says why.
 */
#include <stdlib.h>
#include <string.h>

#include "worker/graph_plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check_entry(const struct graph_plan *plan, uint32_t index)
{
    const struct graph_entry *entry = &plan->entries[index];
    uint64_t nbytes = ((uint64_t)entry->dtype.bits * entry->dtype.lanes + 7) / 8;
    must(entry->ndim >= 0 && entry->ndim <= (int32_t)TVM_NDIM_MAX);
    for (int32_t i = 0; i < entry->ndim; i++) {
        must(entry->shape[i] >= 0);
        must(!__builtin_mul_overflow(nbytes, (uint64_t)entry->shape[i], &nbytes));
    }
    must(nbytes == entry->nbytes);
    must(entry->storage < plan->storage_count && plan->storages[entry->storage].used);
    must(plan->storages[entry->storage].nbytes >= nbytes);
    must(entry->root <= index && plan->entries[entry->root].root == entry->root);
    must(plan->entries[entry->root].nbytes == nbytes);
}

static void check_node(const struct graph_plan *plan, uint32_t index)
{
    const struct graph_node *node = &plan->nodes[index];
    must(strlen(node->name) <= GRAPH_JSON_MAX);
    must((node->op == GRAPH_INPUT) == (node->function == NULL));
    must(node->first_entry <= plan->entry_count &&
         node->output_count <= plan->entry_count - node->first_entry);
    for (uint32_t i = 0; i < node->input_count; i++)
        must(node->inputs[i] < node->first_entry);
    for (uint32_t i = 0; i < node->output_count; i++)
        must(plan->entries[node->first_entry + i].node == index);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vta_error error = { 0 };
    struct graph_plan *plan = NULL;
    int rc = graph_plan_read(&plan, (const char *)data, size, &error);
    if (rc != 0) {
        must(rc == error.code && error.message[0] != '\0');
        return 0;
    }
    must(plan->node_count > 0 && plan->node_count <= GRAPH_NODES_MAX);
    for (uint32_t i = 0; i < plan->node_count; i++)
        check_node(plan, i);
    for (uint32_t i = 0; i < plan->entry_count; i++)
        check_entry(plan, i);
    for (uint32_t i = 0; i < plan->input_count; i++) {
        const struct graph_node *node = &plan->nodes[plan->inputs[i]];
        must(plan->inputs[i] < plan->node_count && node->op == GRAPH_INPUT);
        must(graph_plan_input(plan, node->name) <= (int64_t)i);
    }
    for (uint32_t i = 0; i < plan->output_count; i++)
        must(plan->outputs[i] < plan->entry_count);
    graph_plan_free(plan);
    return 0;
}
