/* graph.c: instances of a graph: their memory, the arguments of their nodes, and running them. */
#include "graph.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "abi_state.h"
#include "worker.h"

#define ALIGNMENT 64u /* what generated code may rely on */

/* ---- Making -------------------------------------------------------------------------------- */

static void graph_free(struct module *module)
{
    struct graph *graph = (struct graph *)module;
    const struct graph_plan *plan = graph->plan;
    for (uint32_t i = 0; graph->calls != NULL && i < plan->node_count; i++)
        function_release(graph->calls[i].function);
    for (uint32_t i = 0; graph->slots != NULL && i < plan->entry_count; i++)
        memory_release(graph->slots[i].memory);
    if (graph->calls != NULL) {
        free(graph->calls->tensors);
        free(graph->calls->args);
        free(graph->calls->codes);
    }
    free(graph->calls);
    free(graph->slots);
    free(graph->entries);
    graph_plan_free(graph->plan);
    free(graph);
}

static const struct module_ops graph_ops = { .find = graph_find, .free = graph_free };

struct graph *graph_of(struct module *module)
{
    return module->ops == &graph_ops ? (struct graph *)module : NULL;
}

static int no_memory(struct vta_error *error)
{
    return vta_error_set(error, VTA_ENOMEM, "graph: no memory for it");
}

/* Blocks for all nodes together; the first call has their beginnings. */
static int lay_out(struct graph *graph, struct vta_error *error)
{
    const struct graph_plan *plan = graph->plan;
    size_t count = 0, at = 0;
    for (uint32_t i = 0; i < plan->node_count; i++)
        count += plan->nodes[i].input_count + plan->nodes[i].output_count;
    graph->slots = calloc(plan->entry_count + 1, sizeof *graph->slots);
    graph->entries = calloc(plan->entry_count + 1, sizeof *graph->entries);
    graph->calls = calloc(plan->node_count, sizeof *graph->calls);
    if (graph->slots == NULL || graph->entries == NULL || graph->calls == NULL)
        return no_memory(error);
    graph->calls->tensors = calloc(count, sizeof *graph->calls->tensors);
    graph->calls->args = calloc(count, sizeof *graph->calls->args);
    graph->calls->codes = calloc(count, sizeof *graph->calls->codes);
    if (graph->calls->tensors == NULL || graph->calls->args == NULL || graph->calls->codes == NULL)
        return no_memory(error);
    for (uint32_t i = 0; i < plan->node_count; i++) {
        struct graph_call *call = &graph->calls[i];
        call->tensors = graph->calls->tensors + at;
        call->args = graph->calls->args + at;
        call->codes = graph->calls->codes + at;
        call->count = plan->nodes[i].input_count + plan->nodes[i].output_count;
        at += call->count;
    }
    return 0;
}

/* The device of this type, or the first: a graph may name types that a client does not have. */
static struct tvm_device pick_device(const struct graph_options *options, int32_t type)
{
    for (uint32_t i = 0; i < options->device_count; i++)
        if (options->devices[i].type == type)
            return options->devices[i];
    return options->devices[0];
}

static int take_storage(struct graph *graph, const struct graph_options *options,
                        struct vta_error *error)
{
    const struct graph_plan *plan = graph->plan;
    struct memory **memories = calloc(plan->storage_count + 1, sizeof(struct memory *));
    int rc = memories == NULL ? no_memory(error) : 0;
    for (uint32_t i = 0; i < plan->storage_count && rc == 0; i++) {
        const struct graph_storage *storage = &plan->storages[i];
        if (!storage->used)
            continue;
        memories[i] = memory_new(graph->module.worker, pick_device(options, storage->device_type),
                                 storage->nbytes == 0 ? 1 : storage->nbytes, error);
        if (memories[i] == NULL) {
            vta_error_prefix(error, "graph: storage %" PRIu32, i);
            rc = error->code;
        }
    }
    for (uint32_t i = 0; i < plan->entry_count && rc == 0; i++) {
        const struct graph_entry *entry = &plan->entries[i];
        struct memory *memory = memories[entry->storage];
        graph->slots[i] =
            (struct graph_slot){ .memory = memory_hold(memory), .data = memory->bytes };
        graph->entries[i] = (struct tvm_tensor){ .data = memory->bytes,
                                                 .device = memory->device,
                                                 .ndim = entry->ndim,
                                                 .dtype = entry->dtype,
                                                 .shape = entry->shape };
    }
    for (uint32_t i = 0; memories != NULL && i < plan->storage_count; i++)
        memory_release(memories[i]);
    free(memories);
    return rc;
}

static uint32_t entry_of(const struct graph_node *node, uint32_t argument)
{
    return argument < node->input_count ? node->inputs[argument]
                                        : node->first_entry + argument - node->input_count;
}

static void make_call(struct graph *graph, uint32_t index)
{
    const struct graph_node *node = &graph->plan->nodes[index];
    struct graph_call *call = &graph->calls[index];
    for (uint32_t i = 0; i < call->count; i++) {
        struct graph_entry *entry = &graph->plan->entries[entry_of(node, i)];
        call->tensors[i] = graph->entries[entry_of(node, i)];
        if (node->flatten) {
            call->tensors[i].ndim = 1;
            call->tensors[i].shape = &entry->elements;
        }
        call->args[i].p = &call->tensors[i];
        call->codes[i] = TVM_TENSOR;
    }
}

/* Before anything is allocated for the network. */
static int find_function(struct graph *graph, uint32_t index, struct module *library,
                         struct vta_error *error)
{
    const struct graph_node *node = &graph->plan->nodes[index];
    struct graph_call *call = &graph->calls[index];
    if (node->op != GRAPH_CALL)
        return 0;
    call->function = module_find(library, node->function, true);
    if (call->function != NULL)
        return 0;
    return vta_error_set(error, VTA_ENOTFOUND,
                         "graph: node %" PRIu32 " '%.64s': the module has no function %.200s",
                         index, node->name, node->function);
}

/* Code that finds parameters in itself, not in what a client sets. */
static int check_library(struct module *library, struct vta_error *error)
{
    struct function *linked = module_find(library, "_lookup_linked_param", true);
    function_release(linked);
    return linked == NULL
               ? 0
               : vta_error_set(error, VTA_EUNSUPPORTED,
                               "graph: the module has its parameters linked in, which cannot be "
                               "taken out of it; build it without link-params");
}

static int fill(struct graph *graph, const struct graph_options *options, struct vta_error *error)
{
    int rc = graph_plan_read(&graph->plan, options->json, options->json_bytes, error);
    if (rc == 0)
        rc = check_library(options->library, error);
    if (rc == 0)
        rc = lay_out(graph, error);
    for (uint32_t i = 0; rc == 0 && i < graph->plan->node_count; i++)
        rc = find_function(graph, i, options->library, error);
    if (rc == 0)
        rc = take_storage(graph, options, error);
    for (uint32_t i = 0; rc == 0 && i < graph->plan->node_count; i++)
        make_call(graph, i);
    return rc;
}

int graph_new(struct graph **graph, struct worker *worker, const struct graph_options *options,
              struct vta_error *error)
{
    struct graph *made = calloc(1, sizeof *made);
    if (made == NULL)
        return no_memory(error);
    made->module = (struct module){ .ops = &graph_ops, .worker = worker, .references = 1 };
    made->debug = options->debug;
    made->executed = -1;
    int rc = fill(made, options, error);
    if (rc != 0)
        module_release(&made->module);
    else
        *graph = made;
    return rc;
}

/* ---- Running ------------------------------------------------------------------------------- */

static int at_node(const struct graph *graph, uint32_t index, int rc, struct vta_error *error)
{
    if (rc != 0)
        vta_error_prefix(error, "graph: node %" PRIu32 " '%.64s'", index,
                         graph->plan->nodes[index].name);
    return rc;
}

bool graph_stopped(const struct graph *graph, struct vta_error *error)
{
    const struct worker *worker = graph->module.worker;
    const int stop = atomic_load(&worker->control.stop);
    if (stop != 0)
        vta_error_set(error, stop, "stopped: passed the deadline of %" PRIu32 " ms",
                      worker->options.run_deadline_ms);
    return stop != 0;
}

int graph_run_node(struct graph *graph, uint32_t index, struct vta_error *error)
{
    const struct graph_node *node = &graph->plan->nodes[index];
    const struct graph_call *call = &graph->calls[index];
    struct result result;
    if (graph_stopped(graph, error))
        return at_node(graph, index, error->code, error);
    if (node->op == GRAPH_COPY)
        return graph_copy_in(graph, node->first_entry, &call->tensors[0], error);
    if (call->function == NULL)
        return 0;
    int rc =
        function_call(call->function, call->args, call->codes, (int)call->count, &result, error);
    result_clear(&result);
    return at_node(graph, index, rc, error);
}

int graph_run(struct graph *graph, struct vta_error *error)
{
    int rc = 0;
    graph->executed = -1;
    for (uint32_t i = 0; i < graph->plan->node_count && rc == 0; i++)
        rc = graph_run_node(graph, i, error);
    return rc;
}

/* ---- Numbers ------------------------------------------------------------------------------- */

static uint8_t *data_of(const struct graph *graph, uint32_t entry)
{
    return graph->slots[graph->plan->entries[entry].root].data;
}

static int check_bytes(const struct graph *graph, uint32_t entry, uint64_t nbytes,
                       struct vta_error *error)
{
    const uint64_t own = graph->plan->entries[entry].nbytes;
    if (nbytes == own)
        return 0;
    return vta_error_set(error, VTA_ESIZE,
                         "a tensor of %" PRIu64 " bytes, but the graph's has %" PRIu64, nbytes,
                         own);
}

static uint8_t *begin_of(const struct tvm_tensor *tensor)
{
    return tensor->data == NULL ? NULL : (uint8_t *)tensor->data + tensor->byte_offset;
}

int graph_copy_in(struct graph *graph, uint32_t entry, const struct tvm_tensor *from,
                  struct vta_error *error)
{
    const uint64_t nbytes = tvm_bytes_of(from);
    int rc = check_bytes(graph, entry, nbytes, error);
    if (rc == 0 && nbytes > 0)
        memmove(data_of(graph, entry), begin_of(from), nbytes);
    return rc;
}

int graph_copy_out(const struct graph *graph, uint32_t entry, const struct tvm_tensor *to,
                   struct vta_error *error)
{
    const uint64_t nbytes = tvm_bytes_of(to);
    int rc = check_bytes(graph, entry, nbytes, error);
    if (rc == 0 && nbytes > 0)
        memmove(begin_of(to), data_of(graph, entry), nbytes);
    return rc;
}

int graph_set_params(struct graph *graph, const struct graph_params *params,
                     struct vta_error *error)
{
    const struct graph_plan *plan = graph->plan;
    for (uint32_t i = 0; i < plan->input_count; i++) {
        const struct graph_node *node = &plan->nodes[plan->inputs[i]];
        const uint32_t entry = node->first_entry;
        if (graph_stopped(graph, error))
            return error->code;
        for (uint32_t p = 0; p < params->count; p++) {
            const struct graph_param *param = &params->items[p];
            if (!blob_text_is(&param->name, node->name))
                continue;
            if (check_bytes(graph, entry, param->nbytes, error) != 0) {
                vta_error_prefix(error, "parameter '%.64s'", node->name);
                return VTA_ESIZE;
            }
            if (param->nbytes > 0)
                memcpy(data_of(graph, entry), param->data, param->nbytes);
        }
    }
    return 0;
}

/* ---- Where they are ------------------------------------------------------------------------ */

static int check_fit(const struct graph *graph, uint32_t entry, const struct tvm_tensor *tensor,
                     struct vta_error *error)
{
    const struct tvm_tensor *own = &graph->entries[entry];
    int rc = check_bytes(graph, entry, tvm_bytes_of(tensor), error);
    if (rc != 0)
        return rc;
    if (tensor->dtype.code != own->dtype.code || tensor->dtype.bits != own->dtype.bits ||
        tensor->dtype.lanes != own->dtype.lanes)
        return vta_error_set(error, VTA_EINVAL,
                             "a tensor of type code %u with %u bits in %u lanes, but the graph's "
                             "is of type code %u with %u bits in %u lanes",
                             tensor->dtype.code, tensor->dtype.bits, tensor->dtype.lanes,
                             own->dtype.code, own->dtype.bits, own->dtype.lanes);
    if (tensor->device.type != own->device.type)
        return vta_error_set(error, VTA_EINVAL,
                             "a tensor on device type %" PRId32 ", but the graph's is on %" PRId32,
                             tensor->device.type, own->device.type);
    if ((uintptr_t)begin_of(tensor) % ALIGNMENT != 0)
        return vta_error_set(error, VTA_EINVAL,
                             "byte offset %" PRIu64 ": the tensor does not begin at a multiple of "
                             "%u bytes",
                             tensor->byte_offset, ALIGNMENT);
    return 0;
}

int graph_bind(struct graph *graph, uint32_t entry, const struct tvm_tensor *tensor,
               struct vta_error *error)
{
    const struct graph_plan *plan = graph->plan;
    const uint32_t root = plan->entries[entry].root;
    struct graph_slot *slot = &graph->slots[root];
    int rc = check_fit(graph, entry, tensor, error);
    if (rc != 0)
        return rc;
    uint8_t *data = begin_of(tensor);
    struct memory *memory = memory_find(graph->module.worker, data);
    if (memory == NULL || memory->nbytes - (uint64_t)(data - memory->bytes) < tvm_bytes_of(tensor))
        return vta_error_set(error, VTA_EHANDLE, "the tensor is not in memory of a device");
    memory_hold(memory);
    memory_release(slot->memory);
    *slot = (struct graph_slot){ .memory = memory, .data = data };
    for (uint32_t i = 0; i < plan->entry_count; i++)
        if (plan->entries[i].root == root)
            graph->entries[i].data = data;
    for (uint32_t i = 0; i < plan->node_count; i++)
        for (uint32_t a = 0; a < graph->calls[i].count; a++)
            if (plan->entries[entry_of(&plan->nodes[i], a)].root == root)
                graph->calls[i].tensors[a].data = data;
    return 0;
}

struct tvm_tensor *graph_view(const struct graph *graph, uint32_t entry, struct vta_error *error)
{
    return abi_view(graph->slots[graph->plan->entries[entry].root].memory, &graph->entries[entry],
                    error);
}
