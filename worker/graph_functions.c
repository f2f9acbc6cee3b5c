/* graph_functions.c: what a client asks an instance of a graph for: inputs, outputs, a run. Forms
 * of arguments are those of TVM 0.8 to 0.18.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "graph.h"
#include "worker.h"

/* ---- Arguments and results ----------------------------------------------------------------- */

int graph_tensor_argument(const struct function *function, const union tvm_value *args,
                          const int32_t *codes, int index, const struct tvm_tensor **tensor,
                          struct vta_error *error)
{
    int rc = arguments_code(function, codes, index, TVM_TENSOR, error);
    if (rc == 0)
        *tensor = args[index].p;
    return rc;
}

int graph_result_view(const struct graph *graph, uint32_t entry, struct result *result,
                      struct vta_error *error)
{
    struct tvm_tensor *view = graph_view(graph, entry, error);
    if (view == NULL)
        return VTA_ENOMEM;
    *result = (struct result){ .code = TVM_NDARRAY, .value.p = view };
    return 0;
}

int graph_cannot_send(GRAPH_CALL_ARGUMENTS)
{
    (void)graph, (void)args, (void)codes, (void)count, (void)result;
    return vta_error_set(error, VTA_EUNSUPPORTED, "%s: its result cannot be sent to a client",
                         function->name);
}

static int result_int(struct result *result, int64_t value)
{
    *result = (struct result){ .code = TVM_INT, .value.i = value };
    return 0;
}

/* Argument `index` names an input, by name or number. *entry is its output; *found is false for a
 * name that no input has. */
static int input_argument(const struct function *function, const struct graph *graph,
                          const union tvm_value *args, const int32_t *codes, int index,
                          uint32_t *entry, bool *found, struct vta_error *error)
{
    const struct graph_plan *plan = graph->plan;
    int64_t number = 0;
    if (codes[index] == TVM_STRING) {
        number = graph_plan_input(plan, args[index].s);
    } else {
        int rc = arguments_int(function, args, codes, index, 0, (int64_t)plan->input_count - 1,
                               &number, error);
        if (rc != 0)
            return rc;
    }
    *found = number >= 0;
    if (*found)
        *entry = plan->nodes[plan->inputs[number]].first_entry;
    return 0;
}

/* The same of an output, whose name is its node's. */
static int output_argument(const struct function *function, const struct graph *graph,
                           const union tvm_value *args, const int32_t *codes, int index,
                           uint32_t *entry, bool *found, struct vta_error *error)
{
    const struct graph_plan *plan = graph->plan;
    int64_t number = 0;
    if (codes[index] != TVM_STRING) {
        int rc = arguments_int(function, args, codes, index, 0, (int64_t)plan->output_count - 1,
                               &number, error);
        *found = rc == 0;
        if (rc == 0)
            *entry = plan->outputs[number];
        return rc;
    }
    *found = false;
    for (uint32_t i = 0; i < plan->output_count && !*found; i++) {
        *entry = plan->outputs[i];
        *found = strcmp(plan->nodes[plan->entries[*entry].node].name, args[index].s) == 0;
    }
    return 0;
}

/* ---- Inputs -------------------------------------------------------------------------------- */

/* A key and a tensor at `index`. */
static int set_one(const struct function *function, struct graph *graph,
                   const union tvm_value *args, const int32_t *codes, int index, bool *found,
                   struct vta_error *error)
{
    const struct tvm_tensor *tensor;
    uint32_t entry = 0;
    int rc = input_argument(function, graph, args, codes, index, &entry, found, error);
    if (rc == 0)
        rc = graph_tensor_argument(function, args, codes, index + 1, &tensor, error);
    if (rc != 0 || !*found)
        return rc;
    rc = graph_copy_in(graph, entry, tensor, error);
    if (rc != 0)
        vta_error_prefix(error, "%s", function->name);
    return rc;
}

static int set_input(GRAPH_CALL_ARGUMENTS)
{
    bool found;
    (void)result;
    int rc = arguments_count(function, count, 2, 2, error);
    return rc != 0 ? rc : set_one(function, graph, args, codes, 0, &found, error);
}

typedef int (*entry_argument)(const struct function *function, const struct graph *graph,
                              const union tvm_value *args, const int32_t *codes, int index,
                              uint32_t *entry, bool *found, struct vta_error *error);

/* The entry that argument 0 names becomes the tensor at argument 1, without a copy. */
static int set_zero_copy(const struct function *function, struct graph *graph,
                         const union tvm_value *args, const int32_t *codes, int count,
                         entry_argument argument, struct vta_error *error)
{
    const struct tvm_tensor *tensor;
    uint32_t entry = 0;
    bool found = false;
    int rc = arguments_count(function, count, 2, 2, error);
    if (rc == 0)
        rc = argument(function, graph, args, codes, 0, &entry, &found, error);
    if (rc == 0)
        rc = graph_tensor_argument(function, args, codes, 1, &tensor, error);
    if (rc != 0 || !found)
        return rc;
    rc = graph_bind(graph, entry, tensor, error);
    if (rc != 0)
        vta_error_prefix(error, "%s", function->name);
    return rc;
}

static int set_input_zero_copy(GRAPH_CALL_ARGUMENTS)
{
    (void)result;
    return set_zero_copy(function, graph, args, codes, count, input_argument, error);
}

/* An entry as a result, or copied into the tensor at argument 1, if there is one. */
static int give(const struct function *function, const struct graph *graph, uint32_t entry,
                const union tvm_value *args, const int32_t *codes, int count, struct result *result,
                struct vta_error *error)
{
    const struct tvm_tensor *tensor;
    if (count == 1)
        return graph_result_view(graph, entry, result, error);
    int rc = graph_tensor_argument(function, args, codes, 1, &tensor, error);
    if (rc != 0)
        return rc;
    rc = graph_copy_out(graph, entry, tensor, error);
    if (rc != 0)
        vta_error_prefix(error, "%s", function->name);
    return rc;
}

/* Null for a name that no input has. */
static int get_input(GRAPH_CALL_ARGUMENTS)
{
    uint32_t entry = 0;
    bool found = false;
    int rc = arguments_count(function, count, 1, 2, error);
    if (rc == 0)
        rc = input_argument(function, graph, args, codes, 0, &entry, &found, error);
    if (rc != 0 || !found)
        return rc;
    return give(function, graph, entry, args, codes, count, result, error);
}

static int get_num_inputs(GRAPH_CALL_ARGUMENTS)
{
    (void)args, (void)codes;
    int rc = arguments_count(function, count, 0, 0, error);
    return rc != 0 ? rc : result_int(result, graph->plan->input_count);
}

static int get_input_index(GRAPH_CALL_ARGUMENTS)
{
    int rc = arguments_count(function, count, 1, 1, error);
    if (rc == 0)
        rc = arguments_code(function, codes, 0, TVM_STRING, error);
    return rc != 0 ? rc : result_int(result, graph_plan_input(graph->plan, args[0].s));
}

/* ---- Outputs ------------------------------------------------------------------------------- */

static int set_output_zero_copy(GRAPH_CALL_ARGUMENTS)
{
    (void)result;
    return set_zero_copy(function, graph, args, codes, count, output_argument, error);
}

static int get_output(GRAPH_CALL_ARGUMENTS)
{
    uint32_t entry = 0;
    bool found = false;
    int rc = arguments_count(function, count, 1, 2, error);
    if (rc == 0)
        rc = output_argument(function, graph, args, codes, 0, &entry, &found, error);
    if (rc != 0)
        return rc;
    if (!found)
        return vta_error_set(error, VTA_ENOTFOUND, "%s: no output is of a node '%.64s'",
                             function->name, args[0].s);
    return give(function, graph, entry, args, codes, count, result, error);
}

static int get_num_outputs(GRAPH_CALL_ARGUMENTS)
{
    (void)args, (void)codes;
    int rc = arguments_count(function, count, 0, 0, error);
    return rc != 0 ? rc : result_int(result, graph->plan->output_count);
}

/* ---- Runs ---------------------------------------------------------------------------------- */

static int run(GRAPH_CALL_ARGUMENTS)
{
    (void)args, (void)codes, (void)result;
    int rc = arguments_count(function, count, 0, 0, error);
    return rc != 0 ? rc : graph_run(graph, error);
}

/* The device that outputs would be copied to, then keys and tensors. The outputs are a list, which
 * has no form on the wire: null is returned, and they are asked for one by one. */
static int run_from_inputs(GRAPH_CALL_ARGUMENTS)
{
    int64_t unread;
    bool found = true;
    (void)result;
    if (count < 2 || count % 2 != 0)
        return vta_error_set(error, VTA_EINVAL,
                             "%s takes a device's type and id and then pairs of an input and a "
                             "tensor, got %d arguments",
                             function->name, count);
    int rc = arguments_int(function, args, codes, 0, INT32_MIN, INT32_MAX, &unread, error);
    if (rc == 0)
        rc = arguments_int(function, args, codes, 1, INT32_MIN, INT32_MAX, &unread, error);
    for (int i = 2; i < count && rc == 0; i += 2) {
        rc = set_one(function, graph, args, codes, i, &found, error);
        if (rc == 0 && !found)
            rc = vta_error_set(error, VTA_ENOTFOUND, "%s: no input is called '%.64s'",
                               function->name, args[i].s);
    }
    return rc != 0 ? rc : graph_run(graph, error);
}

/* ---- Parameters ---------------------------------------------------------------------------- */

static int bytes_argument(const struct function *function, const union tvm_value *args,
                          const int32_t *codes, int index, const struct tvm_bytes **bytes,
                          struct vta_error *error)
{
    int rc = arguments_code(function, codes, index, TVM_BYTES, error);
    if (rc == 0)
        *bytes = args[index].p;
    return rc;
}

static int load_params(GRAPH_CALL_ARGUMENTS)
{
    const struct tvm_bytes *bytes;
    struct graph_params params;
    (void)result;
    int rc = arguments_count(function, count, 1, 1, error);
    if (rc == 0)
        rc = bytes_argument(function, args, codes, 0, &bytes, error);
    if (rc != 0)
        return rc;
    rc = graph_params_read(bytes->data, bytes->size, &params, error);
    if (rc == 0)
        rc = graph_set_params(graph, &params, error);
    if (rc != 0)
        vta_error_prefix(error, "%s", function->name);
    graph_params_clear(&params);
    return rc;
}

/* The other graph's memory of each input that the list names and both have. */
static int share_all(struct graph *graph, const struct graph *other,
                     const struct graph_params *params, struct vta_error *error)
{
    const struct graph_plan *plan = graph->plan;
    for (uint32_t i = 0; i < plan->input_count; i++) {
        const struct graph_node *node = &plan->nodes[plan->inputs[i]];
        const int64_t theirs = graph_plan_input(other->plan, node->name);
        uint32_t p = 0;
        while (p < params->count && !blob_text_is(&params->items[p].name, node->name))
            p++;
        if (p == params->count || theirs < 0)
            continue;
        const uint32_t entry = other->plan->nodes[other->plan->inputs[theirs]].first_entry;
        if (graph_stopped(graph, error) ||
            graph_bind(graph, node->first_entry, &other->entries[entry], error) != 0) {
            vta_error_prefix(error, "parameter '%.64s'", node->name);
            return error->code;
        }
    }
    return 0;
}

static int share_params(GRAPH_CALL_ARGUMENTS)
{
    const struct tvm_bytes *bytes;
    struct graph_params params;
    (void)result;
    int rc = arguments_count(function, count, 2, 2, error);
    if (rc == 0)
        rc = arguments_code(function, codes, 0, TVM_MODULE, error);
    if (rc == 0)
        rc = bytes_argument(function, args, codes, 1, &bytes, error);
    if (rc != 0)
        return rc;
    const struct graph *other = graph_of(args[0].p);
    if (other == NULL)
        return vta_error_set(error, VTA_EINVAL, "argument 1 of %s is a module that is no graph",
                             function->name);
    rc = graph_params_read_names(bytes->data, bytes->size, &params, error);
    if (rc == 0)
        rc = share_all(graph, other, &params, error);
    if (rc != 0)
        vta_error_prefix(error, "%s", function->name);
    graph_params_clear(&params);
    return rc;
}

/* get_input_info gives a map, which has no form on the wire, but clients from 0.9 on ask for the
 * function when they set up a graph. */
const struct graph_function graph_functions[] = { { "set_input", set_input },
                                                  { "set_input_zero_copy", set_input_zero_copy },
                                                  { "set_output_zero_copy", set_output_zero_copy },
                                                  { "get_input", get_input },
                                                  { "get_output", get_output },
                                                  { "get_num_inputs", get_num_inputs },
                                                  { "get_num_outputs", get_num_outputs },
                                                  { "get_input_index", get_input_index },
                                                  { "get_input_info", graph_cannot_send },
                                                  { "run", run },
                                                  { "run_from_inputs", run_from_inputs },
                                                  { "load_params", load_params },
                                                  { "share_params", share_params },
                                                  { NULL, NULL } };

/* ---- As functions -------------------------------------------------------------------------- */

struct instance_function {
    struct function function; /* first */
    struct graph *graph;      /* a reference */
    const struct graph_function *kind;
};

static int instance_call(struct function *function, union tvm_value *args, const int32_t *codes,
                         int count, struct result *result, struct vta_error *error)
{
    const struct instance_function *made = (struct instance_function *)function;
    return made->kind->call(function, made->graph, args, codes, count, result, error);
}

static void instance_free(struct function *function)
{
    struct instance_function *made = (struct instance_function *)function;
    module_release(&made->graph->module);
    free(made);
}

static const struct function_ops instance_ops = { .call = instance_call, .free = instance_free };

static const struct graph_function *find_kind(const struct graph_function *table, const char *name)
{
    while (table->name != NULL && strcmp(table->name, name) != 0)
        table++;
    return table->name == NULL ? NULL : table;
}

struct function *graph_find(struct module *module, const char *name)
{
    struct graph *graph = (struct graph *)module;
    const struct graph_function *kind = find_kind(graph_functions, name);
    if (kind == NULL && graph->debug)
        kind = find_kind(graph_debug_functions, name);
    if (kind == NULL)
        return NULL;
    struct instance_function *made = malloc(sizeof *made);
    if (made == NULL)
        return NULL;
    *made = (struct instance_function){ .function = { .ops = &instance_ops,
                                                      .worker = module->worker,
                                                      .name = kind->name,
                                                      .references = 1,
                                                      .network = true },
                                        .graph = graph,
                                        .kind = kind };
    module_hold(module);
    return &made->function;
}
