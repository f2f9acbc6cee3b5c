/* graph_debug.c: what the debug executor has beside the functions of every graph: single nodes, and
 * how long each takes.
 */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi_state.h"
#include "evaluator.h"
#include "graph.h"
#include "worker.h"

/* ---- One node ------------------------------------------------------------------------------ */

static int node_argument(const struct function *function, const struct graph *graph,
                         const union tvm_value *args, const int32_t *codes, int index,
                         uint32_t *node, struct vta_error *error)
{
    const struct graph_plan *plan = graph->plan;
    int64_t number = 0;
    if (codes[index] != TVM_STRING) {
        int rc = arguments_int(function, args, codes, index, 0, (int64_t)plan->node_count - 1,
                               &number, error);
        *node = (uint32_t)number;
        return rc;
    }
    for (*node = 0; *node < plan->node_count; ++*node)
        if (strcmp(plan->nodes[*node].name, args[index].s) == 0)
            return 0;
    return vta_error_set(error, VTA_ENOTFOUND, "%s: no node is called '%.64s'", function->name,
                         args[index].s);
}

/* Runs the nodes that were not run since the last node that was asked for; from the first one if
 * that lies behind. */
static int execute_node(GRAPH_CALL_ARGUMENTS)
{
    uint32_t node;
    (void)result;
    int rc = arguments_count(function, count, 1, 1, error);
    if (rc == 0)
        rc = node_argument(function, graph, args, codes, 0, &node, error);
    if (rc != 0 || graph->executed == node)
        return rc;
    if (graph->executed > node)
        graph->executed = -1;
    while (rc == 0 && graph->executed < node) {
        rc = graph_run_node(graph, (uint32_t)(graph->executed + 1), error);
        if (rc == 0)
            graph->executed++;
    }
    return rc;
}

/* A copy of an output, because the next node may use its storage for something else. */
static int copy_entry(const struct graph *graph, uint32_t entry, struct result *result,
                      struct vta_error *error)
{
    const struct tvm_device cpu = { .type = TVM_CPU };
    const uint64_t nbytes = graph->plan->entries[entry].nbytes;
    struct memory *memory = memory_new(graph->module.worker, cpu, nbytes == 0 ? 1 : nbytes, error);
    if (memory == NULL)
        return error->code;
    struct tvm_tensor like = graph->entries[entry];
    like.device = cpu;
    like.data = memory->bytes;
    int rc = graph_copy_out(graph, entry, &like, error);
    struct tvm_tensor *view = rc == 0 ? abi_view(memory, &like, error) : NULL;
    memory_release(memory);
    if (view == NULL)
        return error->code;
    *result = (struct result){ .code = TVM_NDARRAY, .value.p = view };
    return 0;
}

static int get_node_output(GRAPH_CALL_ARGUMENTS)
{
    uint32_t node = 0;
    int64_t output = 0;
    int rc = arguments_count(function, count, 2, 2, error);
    if (rc == 0)
        rc = node_argument(function, graph, args, codes, 0, &node, error);
    if (rc == 0)
        rc = arguments_int(function, args, codes, 1, 0,
                           (int64_t)graph->plan->nodes[node].output_count - 1, &output, error);
    if (rc != 0)
        return rc;
    return copy_entry(graph, graph->plan->nodes[node].first_entry + (uint32_t)output, result,
                      error);
}

/* Runs the graph up to a node and copies its first output. */
static int debug_get_output(GRAPH_CALL_ARGUMENTS)
{
    const struct tvm_tensor *tensor;
    uint32_t node = 0;
    (void)result;
    int rc = arguments_count(function, count, 2, 2, error);
    if (rc == 0)
        rc = node_argument(function, graph, args, codes, 0, &node, error);
    if (rc == 0)
        rc = graph_tensor_argument(function, args, codes, 1, &tensor, error);
    graph->executed = -1;
    for (uint32_t i = 0; i <= node && rc == 0; i++)
        rc = graph_run_node(graph, i, error);
    if (rc != 0)
        return rc;
    if (graph->plan->nodes[node].output_count == 0)
        return vta_error_set(error, VTA_EINVAL, "%s: node %" PRIu32 " has no output",
                             function->name, node);
    rc = graph_copy_out(graph, graph->plan->nodes[node].first_entry, tensor, error);
    if (rc != 0)
        vta_error_prefix(error, "%s", function->name);
    return rc;
}

/* ---- Times --------------------------------------------------------------------------------- */

/* A node as a function, for the evaluator. */
struct node_function {
    struct function function; /* first */
    struct graph *graph;
    uint32_t node;
};

static int node_call(struct function *function, union tvm_value *args, const int32_t *codes,
                     int count, struct result *result, struct vta_error *error)
{
    const struct node_function *made = (struct node_function *)function;
    (void)args, (void)codes, (void)count, (void)result;
    return graph_run_node(made->graph, made->node, error);
}

static const struct function_ops node_ops = { .call = node_call };

/* Seconds of a node, `repeat` of them: 0 for what runs nothing. */
static int time_node(struct graph *graph, uint32_t index, const struct evaluator_numbers *numbers,
                     double *seconds, struct vta_error *error)
{
    const struct graph_node *node = &graph->plan->nodes[index];
    struct node_function made = { .function = { .ops = &node_ops,
                                                .worker = graph->module.worker,
                                                .name = node->name,
                                                .references = 1,
                                                .network = true },
                                  .graph = graph,
                                  .node = index };
    for (int64_t i = 0; i < numbers->repeat; i++)
        seconds[i] = 0;
    if (node->op == GRAPH_INPUT || node->op == GRAPH_NOP)
        return 0;
    return evaluator_time(&made.function, NULL, NULL, 0, numbers, seconds, error);
}

/* number, repeat, min_repeat_ms and what later versions add, from argument `at` on. */
static int read_numbers(const struct function *function, const union tvm_value *args,
                        const int32_t *codes, int at, int count, struct evaluator_numbers *numbers,
                        struct vta_error *error)
{
    const int64_t most = function->worker->options.max_evaluations;
    *numbers =
        (struct evaluator_numbers){ .limit_zero_time_iterations = 100, .repeats_to_cooldown = 1 };
    int64_t *const five[] = { &numbers->cooldown_interval_ms, &numbers->repeats_to_cooldown };
    int64_t *const six[] = { &numbers->limit_zero_time_iterations, &numbers->cooldown_interval_ms,
                             &numbers->repeats_to_cooldown };
    const int extras = count - at - 3;
    int rc = arguments_int(function, args, codes, at, 1, most, &numbers->number, error);
    if (rc == 0)
        rc = arguments_int(function, args, codes, at + 1, 1, most, &numbers->repeat, error);
    if (rc == 0)
        rc = arguments_int(function, args, codes, at + 2, 0, INT32_MAX, &numbers->min_repeat_ms,
                           error);
    for (int i = 0; i < extras && rc == 0; i++)
        rc = arguments_int(function, args, codes, at + 3 + i, 0, INT32_MAX,
                           extras == 2 ? five[i] : six[i], error);
    if (rc == 0 && numbers->repeats_to_cooldown == 0)
        rc = vta_error_set(error, VTA_EINVAL, "%s: repeats_to_cooldown is 1 or more",
                           function->name);
    return rc;
}

static int result_doubles(struct result *result, void *bytes, size_t nbytes)
{
    *result =
        (struct result){ .code = TVM_BYTES, .value.p = bytes, .bytes = bytes, .nbytes = nbytes };
    return 0;
}

/* The last of each node's times as text, as TVM 0.8 wants it; with a comma behind each. */
static int result_times(struct result *result, const double *seconds, uint32_t nodes,
                        int64_t repeat, struct vta_error *error)
{
    char *text = NULL;
    size_t nbytes;
    FILE *file = open_memstream(&text, &nbytes);
    for (uint32_t i = 0; i < nodes && file != NULL; i++)
        fprintf(file, "%g,", seconds[(i + 1) * (uint64_t)repeat - 1]);
    if (file == NULL || fclose(file) != 0) {
        free(text);
        return vta_error_set(error, VTA_ENOMEM, "no memory for the times of %" PRIu32 " nodes",
                             nodes);
    }
    *result =
        (struct result){ .code = TVM_STRING, .value.p = text, .bytes = text, .nbytes = nbytes };
    return 0;
}

/* Times of every node: text for clients of 0.8, and for later ones, who give five or six
 * arguments, bytes: i64 nodes, then `repeat` doubles a node. */
static int run_individual(GRAPH_CALL_ARGUMENTS)
{
    struct evaluator_numbers numbers;
    const uint32_t nodes = graph->plan->node_count;
    const int64_t most = function->worker->options.max_evaluations;
    int rc = arguments_count(function, count, 3, 6, error);
    if (rc == 0 && count == 4)
        rc = arguments_count(function, count, 5, 6, error);
    if (rc == 0)
        rc = read_numbers(function, args, codes, 0, count, &numbers, error);
    if (rc != 0)
        return rc;
    if (numbers.repeat > most / nodes)
        return vta_error_limit(error, VTA_ELIMIT, most, numbers.repeat,
                               "%s: %" PRId64 " times of %" PRIu32 " nodes, at most %" PRId64
                               " together",
                               function->name, numbers.repeat, nodes, most);
    const size_t nbytes = sizeof(int64_t) + nodes * (size_t)numbers.repeat * sizeof(double);
    int64_t *bytes = malloc(nbytes);
    double *seconds = (double *)(bytes + 1);
    if (bytes == NULL)
        return vta_error_set(error, VTA_ENOMEM, "%s: no memory", function->name);
    *bytes = nodes;
    rc = graph_run(graph, error);
    for (uint32_t i = 0; i < nodes && rc == 0; i++)
        rc = time_node(graph, i, &numbers, seconds + i * (uint64_t)numbers.repeat, error);
    if (rc == 0 && count > 3)
        return result_doubles(result, bytes, nbytes);
    if (rc == 0)
        rc = result_times(result, seconds, nodes, numbers.repeat, error);
    free(bytes);
    return rc;
}

static int run_individual_node(GRAPH_CALL_ARGUMENTS)
{
    struct evaluator_numbers numbers;
    uint32_t node = 0;
    int rc = arguments_count(function, count, 4, 7, error);
    if (rc == 0 && count == 5)
        rc = arguments_count(function, count, 6, 7, error);
    if (rc == 0)
        rc = node_argument(function, graph, args, codes, 0, &node, error);
    if (rc == 0)
        rc = read_numbers(function, args, codes, 1, count, &numbers, error);
    if (rc != 0)
        return rc;
    const size_t nbytes = (size_t)numbers.repeat * sizeof(double);
    double *seconds = malloc(nbytes);
    if (seconds == NULL)
        return vta_error_set(error, VTA_ENOMEM, "%s: no memory", function->name);
    /* Its inputs are what they are in a run. */
    graph->executed = -1;
    for (uint32_t i = 0; i < node && rc == 0; i++)
        rc = graph_run_node(graph, i, error);
    if (rc == 0)
        rc = time_node(graph, node, &numbers, seconds, error);
    if (rc == 0)
        return result_doubles(result, seconds, nbytes);
    free(seconds);
    return rc;
}

/* ---- Reports ------------------------------------------------------------------------------- */

/* {"unit": value}, the form of every number in a report. */
static void add_number(cJSON *row, const char *name, const char *unit, double value)
{
    cJSON_AddNumberToObject(cJSON_AddObjectToObject(row, name), unit, value);
}

static void add_text(cJSON *row, const char *name, const char *text)
{
    cJSON_AddStringToObject(cJSON_AddObjectToObject(row, name), "string", text);
}

static const char *device_text(const struct tvm_tensor *tensor)
{
    return tensor->device.type == TVM_CPU ? "cpu0" : "ext_dev0";
}

/* "float32[1, 3, 32, 32], int8[16]": the node's arguments. */
static void add_shapes(cJSON *row, const struct graph_call *call)
{
    char *text = NULL;
    size_t nbytes;
    FILE *file = open_memstream(&text, &nbytes);
    if (file == NULL)
        return;
    for (uint32_t i = 0; i < call->count; i++) {
        const struct tvm_tensor *tensor = &call->tensors[i];
        const char *type = tensor->dtype.code == TVM_DTYPE_INT     ? "int"
                           : tensor->dtype.code == TVM_DTYPE_UINT  ? "uint"
                           : tensor->dtype.code == TVM_DTYPE_FLOAT ? "float"
                                                                   : "bfloat";
        fprintf(file, "%s%s%u", i == 0 ? "" : ", ", type, tensor->dtype.bits);
        if (tensor->dtype.lanes > 1)
            fprintf(file, "x%u", tensor->dtype.lanes);
        for (int32_t d = 0; d < tensor->ndim; d++)
            fprintf(file, "%s%" PRId64, d == 0 ? "[" : ", ", tensor->shape[d]);
        fputs(tensor->ndim == 0 ? "[]" : "]", file);
    }
    if (fclose(file) == 0)
        add_text(row, "Argument Shapes", text);
    free(text);
}

/* One call: what TVM's own profiler says of it, and how much of it was on VTA. */
static void add_call(cJSON *calls, const struct graph *graph, uint32_t index,
                     const struct stopwatch_time *time, double total)
{
    const struct graph_node *node = &graph->plan->nodes[index];
    const struct graph_call *call = &graph->calls[index];
    cJSON *row = cJSON_CreateObject();
    add_text(row, "Name", node->function);
    add_number(row, "Duration (us)", "microseconds", time->seconds * 1e6);
    add_number(row, "VTA (us)", "microseconds", time->inside * 1e6);
    add_number(row, "Board (us)", "microseconds", time->board * 1e6);
    add_number(row, "Percent", "percent", total > 0 ? time->seconds / total * 100 : 0);
    add_number(row, "Count", "count", 1);
    add_text(row, "Device", device_text(&call->tensors[call->count - 1]));
    add_shapes(row, call);
    if (node->hash != NULL)
        add_text(row, "Hash", node->hash);
    cJSON_AddItemToArray(calls, row);
}

static void add_device(cJSON *devices, const char *name, double total)
{
    if (cJSON_GetObjectItemCaseSensitive(devices, name) != NULL)
        return;
    cJSON *row = cJSON_AddObjectToObject(devices, name);
    add_number(row, "Duration (us)", "microseconds", total * 1e6);
    add_number(row, "Percent", "percent", 100);
    add_number(row, "Count", "count", 1);
    add_text(row, "Device", name);
}

static bool has_row(const struct graph *graph, uint32_t node)
{
    const enum graph_op op = graph->plan->nodes[node].op;
    return (op == GRAPH_CALL || op == GRAPH_COPY) && graph->calls[node].count > 0;
}

/* The report as text; malloc'ed, NULL: no memory. */
static char *print_report(const struct graph *graph, const struct stopwatch_time *times)
{
    const uint32_t nodes = graph->plan->node_count;
    double total = 0;
    for (uint32_t i = 0; i < nodes; i++)
        total += times[i].seconds;
    cJSON *report = cJSON_CreateObject();
    cJSON *calls = cJSON_AddArrayToObject(report, "calls");
    cJSON *devices = cJSON_AddObjectToObject(report, "device_metrics");
    for (uint32_t i = 0; i < nodes; i++)
        if (has_row(graph, i)) {
            const struct graph_call *call = &graph->calls[i];
            add_call(calls, graph, i, &times[i], total);
            add_device(devices, device_text(&call->tensors[call->count - 1]), total);
        }
    char *text = cJSON_PrintUnformatted(report);
    cJSON_Delete(report);
    return text;
}

/* One run to warm up, and one in which every node is timed. */
static int time_run(struct graph *graph, struct stopwatch_time *times, struct vta_error *error)
{
    struct worker *worker = graph->module.worker;
    int rc = graph_run(graph, error);
    for (uint32_t i = 0; i < graph->plan->node_count && rc == 0; i++) {
        struct stopwatch stopwatch;
        stopwatch_start(&stopwatch, worker);
        rc = graph_run_node(graph, i, error);
        if (rc == 0)
            rc = stopwatch_stop(&stopwatch, worker, &times[i], error);
        if (!has_row(graph, i))
            times[i].seconds = 0;
    }
    return rc;
}

static int profile_rpc(GRAPH_CALL_ARGUMENTS)
{
    char *text = NULL;
    (void)args, (void)codes;
    int rc = arguments_count(function, count, 0, 0, error);
    if (rc != 0)
        return rc;
    struct stopwatch_time *times = calloc(graph->plan->node_count, sizeof *times);
    if (times == NULL)
        return vta_error_set(error, VTA_ENOMEM, "%s: no memory", function->name);
    rc = time_run(graph, times, error);
    if (rc == 0) {
        text = print_report(graph, times);
        if (text == NULL)
            rc = vta_error_set(error, VTA_ENOMEM, "%s: no memory", function->name);
    }
    free(times);
    if (rc == 0)
        *result = (struct result){
            .code = TVM_STRING, .value.p = text, .bytes = text, .nbytes = strlen(text)
        };
    return rc;
}

/* profile gives an object, which has no form on the wire, but clients ask for the function when
 * they set up a graph. */
const struct graph_function graph_debug_functions[] = { { "execute_node", execute_node },
                                                        { "get_node_output", get_node_output },
                                                        { "debug_get_output", debug_get_output },
                                                        { "run_individual", run_individual },
                                                        { "run_individual_node",
                                                          run_individual_node },
                                                        { "profile", graph_cannot_send },
                                                        { "profile_rpc", profile_rpc },
                                                        { NULL, NULL } };
