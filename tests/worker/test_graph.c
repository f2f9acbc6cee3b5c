/* test_graph.c: graphs that run: random ones against a plain evaluation of the same nodes, and
 * those that a library brings.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"
#include "worker/abi_calls.h"
#include "worker/graph.h"
#include "worker/graph_factory.h"
#include "worker/module_tree.h"

static struct kit kit;
static struct module *library;
static struct vta_error error;

static void begin(void)
{
    char path[128];
    kit_open(&kit, NULL);
    snprintf(path, sizeof path, "%s/m", kit.scratch);
    FILE *file = fopen(path, "w");
    fputs("imitation", file);
    fclose(file);
    cr_assert_eq(kit_loader.load(&kit.worker, path, &library, &error), 0);
}

static void end(void)
{
    module_release(library);
    cr_assert_eq(kit_modules(), 0);
    cr_assert_eq(worker_cpu_bytes(&kit.worker), 0);
    kit_close(&kit);
}

TestSuite(graph, .timeout = 120);

static uint64_t state;

static uint32_t below(uint32_t count)
{
    state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)((state >> 33) % count);
}

/* ---- Random graphs ------------------------------------------------------------------------- */

#define NODES   40u
#define LINKS   4u
#define OUTPUTS 2u
#define BYTES   48u
#define FOREVER UINT32_MAX

enum kind {
    INPUT,
    MIX,
    SPLIT,
    NOP,
    COPY
};

struct value {
    uint32_t length, columns; /* elements; columns 0: one dimension */
    uint32_t device, storage;
    uint32_t group;  /* the value whose bytes these are */
    uint32_t needed; /* of a group: the last node that reads it */
    uint8_t bytes[BYTES];
};

struct node {
    enum kind kind;
    bool flatten;
    uint32_t inputs[LINKS]; /* values */
    uint32_t input_count, first, output_count;
};

struct random_graph {
    struct node nodes[NODES];
    struct value values[NODES * OUTPUTS];
    uint32_t heads[3];
    uint32_t node_count, value_count, head_count, input_count;
    char text[32768];
};

static struct random_graph g;

static struct value *group_of(uint32_t value)
{
    return &g.values[g.values[value].group];
}

static void need(uint32_t value, uint32_t node)
{
    struct value *group = group_of(value);
    if (group->needed < node)
        group->needed = node;
}

static void add_value(uint32_t node, uint32_t length, uint32_t device)
{
    struct value *value = &g.values[g.value_count];
    *value = (struct value){ .length = length, .device = device, .group = g.value_count };
    value->needed = g.nodes[node].kind == INPUT ? FOREVER : node;
    if (length % 2 == 0 && below(2) == 0)
        value->columns = length / 2;
    g.value_count++;
}

static void add_node(bool two_devices)
{
    const uint32_t index = g.node_count++;
    struct node *node = &g.nodes[index];
    const uint32_t device = two_devices && below(3) == 0 ? TVM_CPU : TVM_EXT_DEV;
    *node = (struct node){ .first = g.value_count, .output_count = 1 };
    node->kind = index < g.input_count ? INPUT : (enum kind)(MIX + below(4));
    node->input_count = node->kind == INPUT ? 0 : node->kind == MIX ? 1 + below(LINKS) : 1;
    for (uint32_t i = 0; i < node->input_count; i++) {
        node->inputs[i] = below(node->first);
        need(node->inputs[i], index);
    }
    const struct value *from = &g.values[node->inputs[0]];
    node->flatten = node->kind == SPLIT || below(2) == 0;
    if (node->kind == SPLIT)
        node->output_count = OUTPUTS;
    for (uint32_t i = 0; i < node->output_count; i++)
        add_value(index, node->kind == NOP || node->kind == COPY ? from->length : 1 + below(BYTES),
                  node->kind == NOP ? from->device : device);
    if (node->kind == NOP) {
        g.values[node->first].group = from->group;
        need(node->first, index);
    }
}

/* Storage that nobody needs any more is taken again, as TVM's planner does. */
static void place_values(void)
{
    uint32_t storages = 0, holder[NODES * OUTPUTS];
    for (uint32_t n = 0; n < g.node_count; n++)
        for (uint32_t v = g.nodes[n].first; v < g.nodes[n].first + g.nodes[n].output_count; v++) {
            struct value *value = &g.values[v];
            if (value->group != v) {
                value->storage = group_of(v)->storage;
                continue;
            }
            uint32_t at = 0;
            while (at < storages && (g.values[holder[at]].needed >= n || below(4) == 0 ||
                                     g.values[holder[at]].device != value->device))
                at++;
            if (at == storages)
                storages++;
            holder[at] = v;
            value->storage = at;
        }
}

static size_t print_node(char *text, const struct node *node, uint32_t index)
{
    static const char *const functions[] = { "", "mix", "split", "__nop", "__copy" };
    size_t at =
        (size_t)sprintf(text, "%s{\"name\":\"n%u\",\"op\":\"%s\",\"inputs\":[",
                        index == 0 ? "" : ",", index, node->kind == INPUT ? "null" : "tvm_op");
    for (uint32_t i = 0; i < node->input_count; i++) {
        uint32_t from = 0;
        while (g.nodes[from].first + g.nodes[from].output_count <= node->inputs[i])
            from++;
        at += (size_t)sprintf(text + at, "%s[%u,%u,0]", i == 0 ? "" : ",", from,
                              node->inputs[i] - g.nodes[from].first);
    }
    at += (size_t)sprintf(text + at, "]");
    if (node->kind != INPUT)
        at += (size_t)sprintf(text + at,
                              ",\"attrs\":{\"func_name\":\"%s\",\"num_inputs\":\"%u\","
                              "\"num_outputs\":\"%u\",\"flatten_data\":\"%d\"}",
                              functions[node->kind], node->input_count, node->output_count,
                              node->flatten);
    return at + (size_t)sprintf(text + at, "}");
}

static size_t print_shapes(char *text)
{
    size_t at = (size_t)sprintf(text, "\"shape\":[\"list_shape\",[");
    for (uint32_t v = 0; v < g.value_count; v++) {
        const struct value *value = &g.values[v];
        at += (size_t)sprintf(text + at, v == 0 ? "" : ",");
        at += value->columns > 0 ? (size_t)sprintf(text + at, "[%u,%u]",
                                                   value->length / value->columns, value->columns)
                                 : (size_t)sprintf(text + at, "[%u]", value->length);
    }
    return at + (size_t)sprintf(text + at, "]]");
}

static void print_graph(void)
{
    char *text = g.text;
    text += sprintf(text, "{\"nodes\":[");
    for (uint32_t n = 0; n < g.node_count; n++)
        text += print_node(text, &g.nodes[n], n);
    text += sprintf(text, "],\"arg_nodes\":[");
    for (uint32_t n = 0; n < g.input_count; n++)
        text += sprintf(text, "%s%u", n == 0 ? "" : ",", n);
    text += sprintf(text, "],\"heads\":[");
    for (uint32_t h = 0; h < g.head_count; h++) {
        uint32_t n = 0;
        while (g.nodes[n].first + g.nodes[n].output_count <= g.heads[h])
            n++;
        text += sprintf(text, "%s[%u,%u,0]", h == 0 ? "" : ",", n, g.heads[h] - g.nodes[n].first);
    }
    text += sprintf(text, "],\"node_row_ptr\":[");
    for (uint32_t n = 0; n < g.node_count; n++)
        text += sprintf(text, "%u,", g.nodes[n].first);
    text += sprintf(text, "%u],\"attrs\":{", g.value_count);
    text += print_shapes(text);
    text += sprintf(text, ",\"dltype\":[\"list_str\",[");
    for (uint32_t v = 0; v < g.value_count; v++)
        text += sprintf(text, "%s\"int8\"", v == 0 ? "" : ",");
    text += sprintf(text, "]],\"storage_id\":[\"list_int\",[");
    for (uint32_t v = 0; v < g.value_count; v++)
        text += sprintf(text, "%s%u", v == 0 ? "" : ",", g.values[v].storage);
    text += sprintf(text, "]],\"device_index\":[\"list_int\",[");
    for (uint32_t v = 0; v < g.value_count; v++)
        text += sprintf(text, "%s%u", v == 0 ? "" : ",", g.values[v].device);
    sprintf(text, "]]}}");
}

static void make_random(bool two_devices)
{
    memset(&g, 0, sizeof g);
    g.input_count = 1 + below(4);
    const uint32_t nodes = g.input_count + 1 + below(NODES - 5);
    while (g.node_count < nodes)
        add_node(two_devices);
    g.head_count = 1 + below(3);
    for (uint32_t h = 0; h < g.head_count; h++) {
        g.heads[h] = below(g.value_count);
        need(g.heads[h], FOREVER);
    }
    place_values();
    print_graph();
}

/* What every value is, without storage. */
static void evaluate(void)
{
    for (uint32_t n = g.input_count; n < g.node_count; n++) {
        const struct node *node = &g.nodes[n];
        for (uint32_t o = 0; o < node->output_count; o++) {
            struct value *to = &g.values[node->first + o];
            for (uint32_t i = 0; i < to->length; i++) {
                const struct value *from = &g.values[node->inputs[0]];
                unsigned sum = node->kind == MIX;
                for (uint32_t k = 0; k < node->input_count; k++) {
                    from = &g.values[node->inputs[k]];
                    sum += (k + 1) * from->bytes[i % from->length];
                }
                to->bytes[i] = (uint8_t)(node->kind == SPLIT ? (o + 2) * sum : sum);
            }
        }
    }
}

/* ---- Instances of them --------------------------------------------------------------------- */

/* A tensor over the bytes that a value is expected to have, or over memory of its device. */
struct own_tensor {
    struct tvm_tensor tensor;
    int64_t extent;
    struct memory *memory;
};

static struct tvm_tensor *plain(struct own_tensor *own, uint32_t value, void *bytes)
{
    own->extent = g.values[value].length;
    own->tensor = (struct tvm_tensor){ .data = bytes,
                                       .device = { .type = TVM_CPU },
                                       .ndim = 1,
                                       .dtype = { TVM_DTYPE_INT, 8, 1 },
                                       .shape = &own->extent };
    return &own->tensor;
}

static void set_inputs(struct graph *graph)
{
    struct own_tensor own;
    for (uint32_t n = 0; n < g.input_count; n++) {
        struct value *value = &g.values[n];
        for (uint32_t i = 0; i < value->length; i++)
            value->bytes[i] = (uint8_t)below(256);
        cr_assert_eq(graph_copy_in(graph, n, plain(&own, n, value->bytes), &error), 0);
    }
    evaluate();
}

static void check_value(struct graph *graph, uint32_t value, const char *what)
{
    struct own_tensor own;
    uint8_t got[BYTES];
    cr_assert_eq(graph_copy_out(graph, value, plain(&own, value, got), &error), 0);
    cr_assert_eq(memcmp(got, g.values[value].bytes, g.values[value].length), 0, "%s: value %u\n%s",
                 what, value, g.text);
}

static void check_heads(struct graph *graph, const char *what)
{
    cr_assert_eq(graph_run(graph, &error), 0, "%s", error.message);
    for (uint32_t h = 0; h < g.head_count; h++)
        check_value(graph, g.heads[h], what);
}

/* An output's or input's memory becomes another's, which nobody else holds. */
static void bind_some(struct graph *graph)
{
    uint32_t bound[2] = { below(g.input_count), g.heads[below(g.head_count)] };
    for (int i = 0; i < 2; i++) {
        struct own_tensor own;
        struct tvm_tensor *tensor = plain(&own, bound[i], NULL);
        tensor->device.type = (int32_t)g.values[bound[i]].device;
        own.memory = memory_new(&kit.worker, tensor->device, 4096, &error);
        cr_assert_not_null(own.memory);
        tensor->data = own.memory->bytes;
        tensor->byte_offset = 64 * below(4);
        cr_assert_eq(graph_bind(graph, bound[i], tensor, &error), 0, "%s", error.message);
        memory_release(own.memory);
    }
}

/* Node by node, each output as it is then. */
static void check_nodes(struct graph *graph)
{
    for (uint32_t n = 0; n < g.node_count; n++) {
        cr_assert_eq(graph_run_node(graph, n, &error), 0, "%s", error.message);
        for (uint32_t o = 0; o < g.nodes[n].output_count; o++)
            check_value(graph, g.nodes[n].first + o, "node");
    }
}

static struct graph *make_instance(bool two_devices)
{
    struct graph *graph;
    struct graph_options options = { .json = g.text,
                                     .json_bytes = strlen(g.text),
                                     .library = library,
                                     .devices = { { .type = TVM_EXT_DEV }, { .type = TVM_CPU } },
                                     .device_count = two_devices ? 2 : 1,
                                     .debug = true };
    cr_assert_eq(graph_new(&graph, &kit.worker, &options, &error), 0, "%s\n%s", error.message,
                 g.text);
    return graph;
}

static void check_random(bool two_devices, uint64_t seed)
{
    state = seed;
    for (int round = 0; round < 200; round++) {
        make_random(two_devices);
        struct graph *graph = make_instance(two_devices);
        set_inputs(graph);
        check_heads(graph, "first run");
        check_heads(graph, "second run");
        check_nodes(graph);
        bind_some(graph);
        set_inputs(graph);
        check_heads(graph, "bound");
        check_nodes(graph);
        module_release(&graph->module);
    }
}

Test(graph, computes_what_its_nodes_do_on_one_device, .init = begin, .fini = end)
{
    check_random(false, 1);
}

Test(graph, computes_what_its_nodes_do_on_two_devices, .init = begin, .fini = end)
{
    check_random(true, 2);
}

Test(graph, falls_back_to_the_first_device_for_one_it_does_not_have, .init = begin, .fini = end)
{
    state = 3;
    do
        make_random(true);
    while (strstr(g.text, ",1,") == NULL);
    struct graph *graph = make_instance(false);
    for (uint32_t v = 0; v < g.value_count; v++)
        cr_expect_eq(graph->entries[v].device.type, TVM_EXT_DEV);
    set_inputs(graph);
    check_heads(graph, "one device");
    module_release(&graph->module);
}

Test(graph, takes_no_more_memory_than_there_is, .init = begin, .fini = end)
{
    static const char text[] =
        "{\"nodes\":[{\"op\":\"null\",\"name\":\"a\"},{\"op\":\"null\",\"name\":\"b\"}],"
        "\"arg_nodes\":[0,1],\"heads\":[],\"node_row_ptr\":[0,1,2],\"attrs\":{"
        "\"shape\":[\"list_shape\",[[1000],[2000000]]],\"dltype\":[\"list_str\",[\"int8\","
        "\"int8\"]],\"storage_id\":[\"list_int\",[0,1]]}}";
    struct graph *graph;
    struct graph_options options = { .json = text,
                                     .json_bytes = strlen(text),
                                     .library = library,
                                     .devices = { { .type = TVM_CPU } },
                                     .device_count = 1 };
    cr_assert_eq(graph_new(&graph, &kit.worker, &options, &error), VTA_ELIMIT);
    cr_expect(strncmp(error.message, "graph: storage 1: cpu: 2000000 bytes more", 41) == 0, "%s",
              error.message);
}

/* ---- Factories ----------------------------------------------------------------------------- */

static void put_kind(struct packet *blob, const char *kind)
{
    put_text(blob, kind);
}

/* One int8 tensor of `length` numbers, all `value`. */
static void put_param(struct packet *blob, uint32_t length, uint8_t value)
{
    put_u64(blob, UINT64_C(0xDD5E40F096B4A13F));
    put_u64(blob, 0);
    put_u32(blob, TVM_CPU);
    put_u32(blob, 0);
    put_u32(blob, 1);
    put_u32(blob, 0x00010800);
    put_u64(blob, length);
    put_u64(blob, length);
    for (uint32_t i = 0; i < length; i++)
        put_bytes(blob, &value, 1);
}

static const char sum_text[] =
    "{\"nodes\":[{\"op\":\"null\",\"name\":\"x\"},{\"op\":\"null\",\"name\":\"p\"},"
    "{\"op\":\"tvm_op\",\"name\":\"sum\",\"inputs\":[[0,0],[1,0]],\"attrs\":{\"func_name\":\"mix\","
    "\"num_inputs\":\"2\",\"num_outputs\":\"1\",\"flatten_data\":\"0\"}}],"
    "\"arg_nodes\":[0,1],\"heads\":[[2,0]],\"node_row_ptr\":[0,1,2,3],\"attrs\":{"
    "\"shape\":[\"list_shape\",[[4],[4],[4]]],\"dltype\":[\"list_str\",[\"int8\",\"int8\","
    "\"int8\"]],\"storage_id\":[\"list_int\",[0,1,2]]}}";

/* A factory, constants and the library, one importing the next; or, without a tree, in any order.
 */
static void put_library(struct packet *blob, bool tree, uint32_t param_bytes)
{
    put_u64(blob, tree ? 4 : 1);
    put_kind(blob, tree ? "GraphExecutorFactory" : "GraphRuntimeFactory");
    put_text(blob, sum_text);
    put_u64(blob, 2);
    put_u64(blob, 2);
    put_text(blob, "unknown");
    put_text(blob, "p");
    put_param(blob, 7, 1);
    put_param(blob, param_bytes, 5);
    put_text(blob, "default");
    if (!tree)
        return;
    put_kind(blob, "const_loader");
    for (int i = 0; i < 4; i++)
        put_u64(blob, 0);
    put_kind(blob, "_lib");
    put_kind(blob, "_import_tree");
    const uint64_t rows[] = { 4, 0, 1, 2, 2, 2, 1, 2 };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        put_u64(blob, rows[i]);
}

static struct module *root_of(bool tree, uint32_t param_bytes)
{
    struct packet blob = { 0 };
    struct module_tree read;
    struct module *root;
    put_library(&blob, tree, param_bytes);
    cr_assert_eq(module_tree_read(&read, blob.bytes, blob.size, "l", &error), 0, "%s",
                 error.message);
    cr_assert_eq(module_tree_modules(&read, library, &root, &error), 0, "%s", error.message);
    packet_free(&blob);
    return root;
}

/* What a module's function returns for arguments of which the first may be a text. */
static int ask_module(struct module *module, const char *name, const char *text,
                      struct result *result)
{
    struct function *function = module_find(module, name, false);
    union tvm_value args[2] = { { .s = text } };
    int32_t codes[2] = { TVM_STRING, TVM_DEVICE };
    cr_assert_not_null(function, "%s", name);
    args[text != NULL].device = (struct tvm_device){ .type = TVM_CPU };
    codes[text != NULL] = TVM_DEVICE;
    const bool devices = strcmp(name, "default") == 0 || text != NULL;
    int rc = function_call(function, args, codes, devices ? 1 + (text != NULL) : 0, result, &error);
    function_release(function);
    return rc;
}

static void check_sum(const struct result *made, uint8_t param)
{
    struct graph *graph = graph_of(made->value.p);
    int64_t four = 4;
    uint8_t x[4] = { 1, 2, 3, 4 }, sum[4];
    struct tvm_tensor tensor = {
        .data = x, .ndim = 1, .dtype = { TVM_DTYPE_INT, 8, 1 }, .shape = &four
    };
    cr_assert_not_null(graph);
    cr_assert_eq(graph_copy_in(graph, 0, &tensor, &error), 0);
    cr_assert_eq(graph_run(graph, &error), 0, "%s", error.message);
    tensor.data = sum;
    cr_assert_eq(graph_copy_out(graph, 2, &tensor, &error), 0);
    for (int i = 0; i < 4; i++)
        cr_expect_eq(sum[i], 1 + x[i] + 2 * param);
}

Test(graph, comes_from_a_library_with_its_parameters, .init = begin, .fini = end)
{
    struct module *root = root_of(true, 4);
    struct result made, debug, bare, other, json;
    cr_assert_eq(ask_module(root, "default", NULL, &made), 0, "%s", error.message);
    check_sum(&made, 5);
    cr_expect_null(module_find(made.value.p, "profile_rpc", false));
    cr_assert_eq(ask_module(root, "debug_create", "default", &debug), 0, "%s", error.message);
    struct function *profile = module_find(debug.value.p, "profile_rpc", false);
    cr_expect_not_null(profile);
    function_release(profile);
    cr_assert_eq(ask_module(root, "remove_params", NULL, &bare), 0, "%s", error.message);
    cr_assert_eq(ask_module(root, "get_graph_json", NULL, &json), 0, "%s", error.message);
    cr_expect_str_eq(json.bytes, sum_text);
    cr_expect_eq(ask_module(root, "get_graph_params", NULL, &other), VTA_EUNSUPPORTED);
    cr_expect_eq(ask_module(root, "debug_create", "other", &other), VTA_ENOTFOUND);
    cr_expect_null(module_find(root, "mix", false));
    struct function *kernel = module_find(root, "mix", true);
    cr_expect_not_null(kernel);
    function_release(kernel);
    /* An instance, and what came of the factory, outlive it. */
    module_release(root);
    check_sum(&made, 5);
    cr_assert_eq(ask_module(bare.value.p, "default", NULL, &other), 0, "%s", error.message);
    check_sum(&other, 0);
    check_sum(&debug, 5);
    result_clear(&made);
    result_clear(&debug);
    result_clear(&bare);
    result_clear(&other);
    result_clear(&json);
}

Test(graph, of_an_old_library_is_found_below_it, .init = begin, .fini = end)
{
    struct module *root = root_of(false, 4);
    cr_expect_eq(root, library);
    cr_expect_null(module_find(root, "default", false));
    cr_expect_eq(root->import_count, 1);
    struct result made;
    cr_expect_eq(ask_module(root->imports[0], "default", NULL, &made), VTA_ENOTFOUND);
    cr_expect_str_eq(error.message, "default: the graph comes without a library");
    module_release(root);
}

Test(graph, refuses_parameters_of_another_size, .init = begin, .fini = end)
{
    struct module *root = root_of(true, 3);
    struct result made;
    cr_expect_eq(ask_module(root, "default", NULL, &made), VTA_ESIZE);
    cr_expect_not_null(strstr(error.message, "parameter 'p': a tensor of 3 bytes, but the graph's "
                                             "has 4"));
    module_release(root);
}

Test(graph, of_a_library_that_imports_itself_is_refused, .init = begin, .fini = end)
{
    struct packet blob = { 0 };
    struct module_tree read;
    struct module *root;
    put_u64(&blob, 2);
    put_kind(&blob, "_lib");
    put_kind(&blob, "_import_tree");
    const uint64_t rows[] = { 2, 0, 1, 1, 0 };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        put_u64(&blob, rows[i]);
    cr_assert_eq(module_tree_read(&read, blob.bytes, blob.size, "l", &error), 0);
    cr_expect_eq(module_tree_modules(&read, library, &root, &error), VTA_EINVAL);
    packet_free(&blob);
}
