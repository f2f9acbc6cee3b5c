/* test_graph_plan.c: what of a network is read before anything of it exists: its graph, and its
 * parameters. A graph that is right, every way to be wrong, and thousands that are wrong somehow.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/graph_params.h"
#include "worker/graph_plan.h"

TestSuite(graph_plan, .timeout = 60);

/* Two inputs, a sum, its numbers in another shape, two halves, and a copy to another device. */
static const char good[] =
    "{\"nodes\":[{\"op\":\"null\",\"name\":\"x\",\"inputs\":[]},"
    "{\"op\":\"null\",\"name\":\"p\",\"inputs\":[]},"
    "{\"op\":\"tvm_op\",\"name\":\"sum\",\"inputs\":[[0,0,0],[1,0,0]],\"attrs\":{"
    "\"func_name\":\"add\",\"num_inputs\":\"2\",\"num_outputs\":\"1\",\"flatten_data\":\"0\","
    "\"hash\":\"c0ffee\"}},"
    "{\"op\":\"tvm_op\",\"name\":\"flat\",\"inputs\":[[2,0,0]],\"attrs\":{"
    "\"func_name\":\"__nop\",\"num_inputs\":\"1\",\"num_outputs\":\"1\",\"flatten_data\":\"0\"}},"
    "{\"op\":\"tvm_op\",\"name\":\"halves\",\"inputs\":[[3,0]],\"control_deps\":[1],\"attrs\":{"
    "\"func_name\":\"split\",\"num_inputs\":\"1\",\"num_outputs\":\"2\",\"flatten_data\":\"1\"}},"
    "{\"op\":\"tvm_op\",\"name\":\"host\",\"inputs\":[[4,1,0]],\"attrs\":{"
    "\"func_name\":\"__copy\",\"num_inputs\":\"1\",\"num_outputs\":\"1\",\"flatten_data\":\"0\"}}],"
    "\"arg_nodes\":[0,1],\"heads\":[[5,0,0],[4,0]],\"node_row_ptr\":[0,1,2,3,4,6,7],\"attrs\":{"
    "\"shape\":[\"list_shape\",[[2,8],[16],[4,4],[16],[8],[8],[8]]],"
    "\"dltype\":[\"list_str\",[\"int8\",\"int8\",\"int32\",\"int32\",\"bool\",\"float32x4\","
    "\"float32x4\"]],"
    "\"storage_id\":[\"list_int\",[0,1,2,2,3,0,9]],"
    "\"device_index\":[\"list_int\",[12,12,12,12,12,12,1]]}}";

static struct vta_error error;

static int read_text(const char *text, size_t nbytes, struct graph_plan **plan)
{
    /* Of its own size, so that a step past the end is seen. */
    char *copy = malloc(nbytes + 1);
    memcpy(copy, text, nbytes);
    copy = realloc(copy, nbytes == 0 ? 1 : nbytes);
    memset(&error, 0, sizeof error);
    int rc = graph_plan_read(plan, copy, nbytes, &error);
    free(copy);
    return rc;
}

Test(graph_plan, says_what_the_graph_says)
{
    struct graph_plan *plan;
    cr_assert_eq(read_text(good, strlen(good), &plan), 0, "%s", error.message);
    cr_expect_eq(plan->node_count, 6);
    cr_expect_eq(plan->entry_count, 7);
    cr_expect_eq(plan->input_count, 2);
    cr_expect_eq(plan->output_count, 2);
    cr_expect_eq(plan->outputs[0], 6);
    cr_expect_eq(plan->outputs[1], 4);
    cr_expect_eq(graph_plan_input(plan, "p"), 1);
    cr_expect_eq(graph_plan_input(plan, "sum"), -1);
    cr_expect_eq(plan->nodes[0].op, GRAPH_INPUT);
    cr_expect_eq(plan->nodes[3].op, GRAPH_NOP);
    cr_expect_eq(plan->nodes[5].op, GRAPH_COPY);
    const struct graph_node *halves = &plan->nodes[4];
    cr_expect_eq(halves->op, GRAPH_CALL);
    cr_expect_str_eq(halves->function, "split");
    cr_expect(halves->flatten);
    cr_expect_eq(halves->first_entry, 4);
    cr_expect_eq(halves->output_count, 2);
    cr_expect_eq(halves->inputs[0], 3);
    cr_expect_str_eq(plan->nodes[2].hash, "c0ffee");
    cr_expect_eq(plan->entries[3].root, 2);
    cr_expect_eq(plan->entries[3].nbytes, 64);
    cr_expect_eq(plan->entries[4].dtype.code, TVM_DTYPE_UINT);
    cr_expect_eq(plan->entries[4].nbytes, 8);
    cr_expect_eq(plan->entries[5].dtype.lanes, 4);
    cr_expect_eq(plan->entries[5].nbytes, 128);
    cr_expect_eq(plan->storage_count, 10);
    cr_expect_eq(plan->storages[0].nbytes, 128);
    cr_expect_eq(plan->storages[0].device_type, TVM_EXT_DEV);
    cr_expect_not(plan->storages[8].used);
    cr_expect_eq(plan->storages[9].device_type, TVM_CPU);
    graph_plan_free(plan);
}

Test(graph_plan, needs_neither_devices_nor_control_deps)
{
    struct graph_plan *plan;
    char *text = strdup(good);
    char *at = strstr(text, ",\"device_index\"");
    strcpy(at, "}}");
    cr_assert_eq(read_text(text, strlen(text), &plan), 0, "%s", error.message);
    cr_expect_eq(plan->storages[9].device_type, 0);
    graph_plan_free(plan);
    free(text);
}

/* The graph with one piece of it replaced, and what the refusal says. */
static const struct {
    const char *piece, *by, *words;
    int code;
} wrong[] = {
    { "\"nodes\"", "\"knots\"", "it has no nodes", VTA_EFORMAT },
    { "\"op\":\"null\",\"name\":\"x\"", "\"op\":\"nil\",\"name\":\"x\"",
      "node 0 'x': its op is 'nil', not null or tvm_op", VTA_EFORMAT },
    { "\"name\":\"sum\"", "\"title\":\"sum\"", "node 2 '': it has no name", VTA_EFORMAT },
    { "\"func_name\":\"add\"", "\"func_name\":7", "node 2 'sum': it has no func_name",
      VTA_EFORMAT },
    { "\"num_inputs\":\"2\"", "\"num_inputs\":\"3\"", "has 2 inputs, but should have 3",
      VTA_EFORMAT },
    { "\"num_inputs\":\"2\"", "\"num_inputs\":\"-2\"", "num_inputs is '-2'", VTA_EFORMAT },
    { "\"num_inputs\":\"2\"", "\"num_inputs\":\"99999999999999999999\"", "not a number up to 1024",
      VTA_EFORMAT },
    { "\"num_inputs\":\"2\"", "\"num_inputs\":2", "num_inputs is not there, or not a text",
      VTA_EFORMAT },
    { "\"num_outputs\":\"2\"", "\"num_outputs\":\"1\"", "node_row_ptr: item 5 is not 5",
      VTA_EFORMAT },
    { "\"flatten_data\":\"1\"", "\"flatten_data\":\"2\"", "flatten_data is '2'", VTA_EFORMAT },
    { "[[0,0,0],[1,0,0]]", "[[0,0,0],[2,0,0]]",
      "node 2 'sum': input 1: is of node 2, which is none of the 2 that come before", VTA_EFORMAT },
    { "[[0,0,0],[1,0,0]]", "[[0,0,0],[5,0,0]]", "is of node 5", VTA_EFORMAT },
    { "[[0,0,0],[1,0,0]]", "[[0,0,0],[1,1,0]]", "input 1: is output 1 of node 1, which has 1",
      VTA_EFORMAT },
    { "[[0,0,0],[1,0,0]]", "[[0,0,0],[-1,0,0]]", "is of node -1", VTA_EFORMAT },
    { "[[0,0,0],[1,0,0]]", "[[0,0,0],[0.5,0,0]]", "is of node 0.5", VTA_EFORMAT },
    { "[[0,0,0],[1,0,0]]", "[[0,0,0],1]", "input 1: is not [node, output, version]", VTA_EFORMAT },
    { "[[0,0,0],[1,0,0]]", "[[0,0,0],[1]]", "input 1: is not [node, output, version]",
      VTA_EFORMAT },
    { "[[0,0,0],[1,0,0]]", "{}", "has -1 inputs, but should have 2", VTA_EFORMAT },
    { "\"control_deps\":[1]", "\"control_deps\":[4]", "waits for a node that does not come before",
      VTA_EFORMAT },
    { "\"storage_id\":[\"list_int\",[0,1,2,2", "\"storage_id\":[\"list_int\",[0,1,2,4",
      "node 3 'flat': __nop from storage 2 to 4", VTA_EFORMAT },
    { "[4,4],[16],[8]", "[4,4],[15],[8]", "node 3 'flat': __nop of 64 bytes to 60", VTA_EFORMAT },
    { "[8],[8],[8]]", "[8],[8],[7]]", "node 5 'host': __copy of 128 bytes to 112", VTA_EFORMAT },
    { "\"arg_nodes\":[0,1]", "\"arg_nodes\":[0,2]", "arg_nodes: item 1 is no node whose op is null",
      VTA_EFORMAT },
    { "\"arg_nodes\":[0,1]", "\"arg_nodes\":[0,0]", "or is there twice", VTA_EFORMAT },
    { "\"arg_nodes\":[0,1]", "\"arg_nodes\":[0,6]", "arg_nodes: item 1", VTA_EFORMAT },
    { "\"arg_nodes\":[0,1]", "\"arg_nodes\":0", "arg_nodes is not a list", VTA_EFORMAT },
    { "\"heads\":[[5,0,0],[4,0]]", "\"heads\":[[5,0,0],[6,0]]", "heads: item 1: is of node 6",
      VTA_EFORMAT },
    { "\"heads\":[[5,0,0],[4,0]]", "\"heads\":[[5,1,0],[4,0]]", "heads: item 0: is output 1",
      VTA_EFORMAT },
    { "[0,1,2,3,4,6,7]", "[0,1,2,3,4,6]", "node_row_ptr does not have one number more",
      VTA_EFORMAT },
    { "[0,1,2,3,4,6,7]", "[0,1,2,3,4,6,8]", "node_row_ptr: item 6 is not 7", VTA_EFORMAT },
    { "\"list_shape\"", "\"list_int\"", "attrs: shape is not [\"list_shape\", […]]", VTA_EFORMAT },
    { "[[2,8],[16]", "[[16]", "attrs: shape has 6 items for 7 outputs", VTA_EFORMAT },
    { "[[2,8],[16]", "[[2,-8],[16]", "node 0 'x': extent 1 of a shape is not a number",
      VTA_EFORMAT },
    { "[[2,8],[16]", "[[2,1e300],[16]", "extent 1 of a shape is not a number", VTA_EFORMAT },
    { "[[2,8],[16]", "[[140737488355328,140737488355328],[16]",
      "extent 1 of a shape, 140737488355328, is too much", VTA_ESIZE },
    { "[[2,8],[16]", "[[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],[16]",
      "a shape is not a list of up to 32 extents", VTA_EFORMAT },
    { "\"bool\"", "\"handle\"", "node 4 'halves': its type is 'handle', which is unknown",
      VTA_EFORMAT },
    { "\"bool\"", "\"int0\"", "its type is 'int0'", VTA_EFORMAT },
    { "\"bool\"", "\"int8x\"", "its type is 'int8x'", VTA_EFORMAT },
    { "\"bool\"", "\"int8x65536\"", "its type is", VTA_EFORMAT },
    { "\"bool\"", "8", "its type is '?'", VTA_EFORMAT },
    { "[0,1,2,2,3,0,9]", "[0,1,2,2,3,0,65536]", "its storage_id is not a number below 65536",
      VTA_EFORMAT },
    { "[0,1,2,2,3,0,9]", "[0,1,2,2,3,0,-1]", "its storage_id is not a number", VTA_EFORMAT },
    { "[0,1,2,2,3,0,9]", "[0,1,2,2,3,0,0]",
      "node 5 'host': storage 0 is on device type 12 for another node, on 1 here", VTA_EFORMAT },
    { "[12,12,12,12,12,12,1]", "[12,12,12,12,12,12,\"cpu\"]", "device_index is no device type",
      VTA_EFORMAT },
    { "\"device_index\":[\"list_int\",[12,12,12,12,12,12,1]]",
      "\"storage_scope\":[\"list_str\",[\"\",\"\",\"global\",\"\",\"\",\"\",\"global.texture\"]]",
      "node 5 'host': there is no storage scope 'global.texture'", VTA_EUNSUPPORTED },
    { "}}", "", "it is not JSON", VTA_EFORMAT },
};

Test(graph_plan, refuses_a_wrong_graph_and_names_the_node)
{
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[sizeof good + 256];
        const char *at = strstr(good, wrong[i].piece);
        struct graph_plan *plan;
        cr_assert_not_null(at, "row %zu", i);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, wrong[i].by,
                 at + strlen(wrong[i].piece));
        cr_assert_eq(read_text(text, strlen(text), &plan), wrong[i].code, "row %zu: %s", i,
                     error.message);
        cr_expect_eq(error.code, wrong[i].code);
        cr_expect(strncmp(error.message, "graph: ", 7) == 0, "%s", error.message);
        cr_expect_not_null(strstr(error.message, wrong[i].words), "row %zu: %s", i, error.message);
    }
}

Test(graph_plan, limits_what_a_graph_can_ask_for)
{
    struct graph_plan *plan;
    const size_t most = (size_t)GRAPH_JSON_MAX + 1;
    char *text = malloc(most);
    memset(text, '[', most);
    cr_expect_eq(read_text(text, most, &plan), VTA_ELIMIT);
    cr_expect_eq(error.limit, GRAPH_JSON_MAX);
    cr_expect_eq(read_text(text, most - 1, &plan), VTA_EFORMAT);
    size_t at = (size_t)sprintf(text, "{\"nodes\":[");
    for (uint32_t i = 0; i <= GRAPH_NODES_MAX; i++)
        at += (size_t)sprintf(text + at, "%s{\"op\":\"null\",\"name\":\"n\"}", i == 0 ? "" : ",");
    at += (size_t)sprintf(text + at, "]}");
    cr_expect_eq(read_text(text, at, &plan), VTA_ELIMIT);
    cr_expect_eq(error.limit, GRAPH_NODES_MAX);
    free(text);
}

static uint64_t state;

static uint32_t below(uint32_t count)
{
    state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)((state >> 33) % count);
}

/* Bytes replaced, left out, doubled, and numbers changed: whatever comes of it is accepted, or
 * refused with a reason. */
Test(graph_plan, survives_every_mutation)
{
    static const char bytes[] = "0123456789[]{},:\"-.ex ";
    unsigned accepted = 0;
    state = 20260801;
    for (int round = 0; round < 20000; round++) {
        char text[sizeof good];
        size_t nbytes = strlen(good);
        struct graph_plan *plan;
        memcpy(text, good, sizeof good);
        for (uint32_t i = 0; i <= below(3); i++) {
            const size_t at = below((uint32_t)nbytes - 8), span = 1 + below(6);
            switch (below(3)) {
            case 0:
                text[at] = bytes[below(sizeof bytes - 1)];
                break;
            case 1:
                memmove(text + at, text + at + span, nbytes - at - span);
                nbytes -= span;
                break;
            default:
                memmove(text + at + 1, text + at, nbytes - at - 1);
            }
        }
        int rc = read_text(text, nbytes, &plan);
        if (rc == 0)
            graph_plan_free(plan);
        else
            cr_assert(rc == error.code && error.message[0] != '\0', "round %d", round);
        accepted += rc == 0;
    }
    cr_expect_gt(accepted, 100);
    cr_expect_lt(accepted, 15000);
}

/* ---- Parameters ---------------------------------------------------------------------------- */

struct list {
    uint8_t bytes[512];
    size_t size;
};

static void put(struct list *list, uint64_t value, size_t nbytes)
{
    memcpy(list->bytes + list->size, &value, nbytes);
    list->size += nbytes;
}

static void put_name(struct list *list, const char *name)
{
    put(list, strlen(name), 8);
    memcpy(list->bytes + list->size, name, strlen(name));
    list->size += strlen(name);
}

/* A tensor of `extent` int32 on the cpu, which says that it has nbytes. */
static void put_numbers(struct list *list, uint32_t extent, uint64_t nbytes)
{
    put(list, UINT64_C(0xDD5E40F096B4A13F), 8);
    put(list, 0, 8);
    put(list, TVM_CPU, 4);
    put(list, 0, 4);
    put(list, 1, 4);
    put(list, 0x00012000, 4);
    put(list, extent, 8);
    put(list, nbytes, 8);
    for (uint32_t i = 0; i < extent; i++)
        put(list, 10 * extent + i, 4);
}

static void put_list(struct list *list, uint64_t tensors)
{
    put(list, UINT64_C(0xF7E58D4F05049CB7), 8);
    put(list, 0, 8);
    put(list, 2, 8);
    put_name(list, "p0");
    put_name(list, "longer");
    put(list, tensors, 8);
    put_numbers(list, 3, 12);
    put_numbers(list, 2, 8);
}

Test(graph_plan, reads_parameters_with_their_names)
{
    struct list list = { .size = 0 };
    struct graph_params params;
    int32_t number;
    put_list(&list, 2);
    cr_assert_eq(graph_params_read(list.bytes, list.size, &params, &error), 0, "%s", error.message);
    cr_expect_eq(params.count, 2);
    cr_expect(blob_text_is(&params.items[1].name, "longer"));
    cr_expect_eq(params.items[0].nbytes, 12);
    cr_expect_eq(params.items[0].dtype.bits, 32);
    memcpy(&number, params.items[1].data + 4, 4);
    cr_expect_eq(number, 21);
    graph_params_clear(&params);
    cr_assert_eq(graph_params_read_names(list.bytes, 24 + 10 + 14, &params, &error), 0);
    cr_expect_eq(params.count, 2);
    graph_params_clear(&params);
}

Test(graph_plan, refuses_parameters_that_end_anywhere)
{
    struct list list = { .size = 0 };
    struct graph_params params;
    put_list(&list, 2);
    for (size_t size = 0; size < list.size; size++) {
        uint8_t *bytes = malloc(size == 0 ? 1 : size);
        memcpy(bytes, list.bytes, size);
        memset(&error, 0, sizeof error);
        cr_expect_eq(graph_params_read(bytes, size, &params, &error), VTA_EFORMAT, "%zu", size);
        cr_expect_neq(error.message[0], '\0');
        free(bytes);
    }
}

Test(graph_plan, refuses_parameters_that_are_wrong)
{
    static const struct {
        size_t at;
        uint8_t by;
        const char *words;
    } rows[] = { { 0, 0, "do not begin as a list" },
                 { 48, 3, "not as many tensors as names" },
                 { 56, 0, "'p0': its tensor does not begin as one" },
                 { 80, 33, "'p0': its tensor has a wrong number of dimensions" },
                 { 88, 4, "'p0': its tensor has other bytes than its type and shape say" },
                 { 85, 0, "'p0': its tensor has other bytes than its type and shape say" } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct list list = { .size = 0 };
        struct graph_params params;
        put_list(&list, 2);
        list.bytes[rows[i].at] = rows[i].by;
        cr_expect_eq(graph_params_read(list.bytes, list.size, &params, &error), VTA_EFORMAT);
        cr_expect_not_null(strstr(error.message, rows[i].words), "row %zu: %s", i, error.message);
    }
    struct list many = { .size = 0 };
    struct graph_params params;
    put(&many, UINT64_C(0xF7E58D4F05049CB7), 8);
    put(&many, 0, 8);
    put(&many, UINT64_C(1) << 60, 8);
    cr_expect_eq(graph_params_read(many.bytes, many.size, &params, &error), VTA_ELIMIT);
    put_list(&many, 2);
    many.bytes[many.size++] = 0;
    cr_expect_eq(graph_params_read(many.bytes + 24, many.size - 24, &params, &error), VTA_EFORMAT);
    cr_expect_not_null(strstr(error.message, "there are bytes behind them"));
}
