/* test_networks.c: a graph executor as a client sees it: every function by its name, in every form
 * of arguments, and what happens to memory that both sides work on.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"

static struct kit kit;
static struct client client;
static struct reply reply;
static uint64_t library, network; /* modules */

/* y = mix(add_one(x), p): 2 + x + 2 p; x, p and y are 16 numbers of a byte. */
#define GRAPH(first)                                                                               \
    "{\"nodes\":[{\"op\":\"null\",\"name\":\"x\",\"inputs\":[]},"                                  \
    "{\"op\":\"null\",\"name\":\"p\",\"inputs\":[]},"                                              \
    "{\"op\":\"tvm_op\",\"name\":\"first\",\"inputs\":[[0,0,0]],\"attrs\":{\"func_name\":\"" first \
    "\",\"num_inputs\":\"1\",\"num_outputs\":\"1\",\"flatten_data\":\"0\",\"hash\":\"abc\"}},"     \
    "{\"op\":\"tvm_op\",\"name\":\"y\",\"inputs\":[[2,0,0],[1,0,0]],\"attrs\":{"                   \
    "\"func_name\":\"mix\",\"num_inputs\":\"2\",\"num_outputs\":\"1\",\"flatten_data\":\"0\"}}],"  \
    "\"arg_nodes\":[0,1],\"heads\":[[3,0,0]],\"node_row_ptr\":[0,1,2,3,4],\"attrs\":{"             \
    "\"shape\":[\"list_shape\",[[4,4],[16],[4,4],[16]]],"                                          \
    "\"dltype\":[\"list_str\",[\"int8\",\"int8\",\"int8\",\"int8\"]],"                             \
    "\"storage_id\":[\"list_int\",[0,1,2,3]],\"device_index\":[\"list_int\",[12,12,12,12]]}}"

static const char graph_text[] = GRAPH("add_one");

static void begin_with(uint32_t deadline_ms)
{
    struct worker_options options;
    kit_options(&options);
    options.max_handles = 512;
    options.run_deadline_ms = deadline_ms;
    kit_open(&kit, &options);
    client_open(&client, &kit);
    library = module_of(&client, "m.so");
    network = 0;
}

static void begin(void)
{
    begin_with(0);
}

static void end(void)
{
    client_close(&client);
    cr_assert_eq(client.rc, 0, "%s", client.error.message);
    cr_assert_eq(worker_cpu_bytes(&kit.worker), 0);
    cr_assert_eq(kit_modules(), 0);
    kit_close(&kit);
}

TestSuite(networks, .timeout = 60);

static uint64_t create(const char *name, const char *text)
{
    uint64_t function = function_of(&client, name);
    cr_assert_neq(function, 0, "%s", name);
    call(&client, &reply, function, "smii", text, library, (int64_t)TVM_EXT_DEV, (int64_t)0);
    return expect_handle(&reply, TVM_MODULE);
}

/* A function of the network at hand, which is made if there is none. */
static uint64_t f(const char *name)
{
    if (network == 0)
        network = create("tvm.graph_executor.create", graph_text);
    return kernel_of(&client, network, name);
}

static struct tensor sixteen(int device, uint8_t fill)
{
    struct tensor tensor = { .device = device, .bits = 8, .ndim = 1, .shape = { 16 } };
    uint8_t bytes[16];
    memset(bytes, fill, sizeof bytes);
    tensor.data = memory_of(&client, device, 256);
    copy_to(&client, &tensor, bytes, sizeof bytes);
    return tensor;
}

/* The tensor that the last call returned; *handle frees it. */
static struct tensor returned(uint64_t *handle)
{
    struct tensor tensor = { .bits = 8, .ndim = 1, .shape = { 16 } };
    cr_assert_eq(reply.code, TVM_PACKET_RETURN);
    cr_assert_eq(reply.items[0].i, TVM_NDARRAY);
    const struct tvm_wire_tensor *wire = &reply.items[1].tensor;
    tensor.data = wire->data;
    tensor.device = wire->device.type;
    cr_assert_eq(wire->dtype.bits, 8);
    *handle = reply.items[2].handle;
    reply_free(&reply);
    return tensor;
}

/* All sixteen numbers are this. */
static void check_numbers(const struct tensor *tensor, int number)
{
    uint8_t bytes[16];
    copy_from(&client, tensor, bytes, sizeof bytes);
    for (int i = 0; i < 16; i++)
        cr_assert_eq(bytes[i], number, "number %d is %d, not %d", i, bytes[i], number);
}

static void check_output(int number)
{
    uint64_t handle;
    call(&client, &reply, f("run"), "");
    expect_null(&reply);
    call(&client, &reply, f("get_output"), "i", (int64_t)0);
    struct tensor output = returned(&handle);
    check_numbers(&output, number);
    ask(&client, &reply, TVM_PACKET_FREE_HANDLE, "hi", handle, (int64_t)TVM_NDARRAY);
    expect_null(&reply);
}

static void set_input(const char *name, uint8_t fill)
{
    struct tensor tensor = sixteen(TVM_CPU, fill);
    call(&client, &reply, f("set_input"), "st", name, &tensor);
    expect_null(&reply);
    ask(&client, &reply, TVM_PACKET_DEV_FREE_DATA, "dh", TVM_CPU, 0, tensor.data);
    expect_null(&reply);
}

/* ---- Making -------------------------------------------------------------------------------- */

Test(networks, are_made_by_every_name, .init = begin, .fini = end)
{
    const char *names[] = { "tvm.graph_executor.create", "tvm.graph_runtime.create",
                            "tvm.graph_executor_debug.create", "tvm.graph_runtime_debug.create" };
    for (size_t i = 0; i < 4; i++) {
        network = create(names[i], graph_text);
        set_input("x", 3);
        check_output(5);
    }
}

Test(networks, are_made_on_several_devices_and_with_a_finder, .init = begin, .fini = end)
{
    uint64_t make = function_of(&client, "tvm.graph_executor.create");
    const int64_t ext_dev = TVM_EXT_DEV, cpu = TVM_CPU, zero = 0;
    call(&client, &reply, make, "smiiii", graph_text, library, ext_dev, zero, cpu, zero);
    network = expect_handle(&reply, TVM_MODULE);
    check_output(2);
    call(&client, &reply, make, "smnii", graph_text, library, cpu, zero);
    network = expect_handle(&reply, TVM_MODULE);
    check_output(2);
    call(&client, &reply, make, "smFii", graph_text, library, make, ext_dev, zero);
    network = expect_handle(&reply, TVM_MODULE);
    check_output(2);
}

Test(networks, that_are_wrong_are_refused, .init = begin, .fini = end)
{
    uint64_t make = function_of(&client, "tvm.graph_executor.create");
    const int64_t ext_dev = TVM_EXT_DEV, zero = 0;
    call(&client, &reply, make, "smi", graph_text, library, ext_dev);
    expect_exception(&reply, "takes 4 to 19 arguments, got 3");
    call(&client, &reply, make, "smiii", graph_text, library, ext_dev, zero, ext_dev);
    expect_exception(&reply, "1 to 8 devices, each a type and an id, got 5 arguments");
    call(&client, &reply, make, "ssii", graph_text, "m", ext_dev, zero);
    expect_exception(&reply, "argument 2 of tvm.graph_executor.create: expected type");
    call(&client, &reply, make, "smii", graph_text, library, (int64_t)2, zero);
    expect_exception(&reply, "device type 2 id 0 does not exist");
    call(&client, &reply, make, "smii", "{}", library, ext_dev, zero);
    expect_exception(&reply, "graph: it has no nodes");
    call(&client, &reply, make, "smii", GRAPH("no_such"), library, ext_dev, zero);
    expect_exception(&reply, "graph: node 2 'first': the module has no function no_such");
}

Test(networks, keep_their_library, .init = begin, .fini = end)
{
    f("run");
    ask(&client, &reply, TVM_PACKET_FREE_HANDLE, "hi", library, (int64_t)TVM_MODULE);
    expect_null(&reply);
    check_output(2);
}

Test(networks, have_the_functions_that_clients_ask_for, .init = begin, .fini = end)
{
    static const char *const plain[] = { "set_input",       "set_input_zero_copy",
                                         "get_input",       "set_output_zero_copy",
                                         "get_output",      "get_num_inputs",
                                         "get_num_outputs", "get_input_index",
                                         "get_input_info",  "run",
                                         "run_from_inputs", "load_params",
                                         "share_params" };
    static const char *const debug[] = { "execute_node",   "get_node_output", "debug_get_output",
                                         "run_individual", "profile",         "run_individual_node",
                                         "profile_rpc" };
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        cr_assert_neq(f(plain[i]), 0, "%s", plain[i]);
    uint64_t get = function_of(&client, "tvm.rpc.server.ModuleGetFunction");
    for (size_t i = 0; i < sizeof debug / sizeof debug[0]; i++) {
        call(&client, &reply, get, "msi", network, debug[i], (int64_t)0);
        expect_null(&reply);
    }
    network = create("tvm.graph_executor_debug.create", graph_text);
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        cr_assert_neq(f(plain[i]), 0, "%s", plain[i]);
    for (size_t i = 0; i < sizeof debug / sizeof debug[0]; i++)
        cr_assert_neq(f(debug[i]), 0, "%s", debug[i]);
    call(&client, &reply, f("get_input_info"), "");
    expect_exception(&reply, "get_input_info: its result cannot be sent");
    call(&client, &reply, f("profile"), "");
    expect_exception(&reply, "profile: its result cannot be sent");
}

/* ---- Inputs and outputs -------------------------------------------------------------------- */

Test(networks, take_inputs_by_name_and_index, .init = begin, .fini = end)
{
    struct tensor cpu = sixteen(TVM_CPU, 7), ext_dev = sixteen(TVM_EXT_DEV, 20), few = cpu;
    uint64_t set = f("set_input");
    few.shape[0] = 15;
    call(&client, &reply, set, "st", "x", &cpu);
    expect_null(&reply);
    call(&client, &reply, set, "it", (int64_t)1, &ext_dev);
    expect_null(&reply);
    check_output(2 + 7 + 2 * 20);
    call(&client, &reply, set, "st", "nobody", &cpu);
    expect_null(&reply);
    call(&client, &reply, set, "st", "y", &cpu);
    expect_null(&reply);
    check_output(2 + 7 + 2 * 20);
    call(&client, &reply, set, "it", (int64_t)2, &cpu);
    expect_exception(&reply, "argument 1 of set_input is 2, not from 0 to 1");
    call(&client, &reply, set, "st", "x", &few);
    expect_exception(&reply, "set_input: a tensor of 15 bytes, but the graph's has 16");
    call(&client, &reply, set, "ss", "x", "y");
    expect_exception(&reply, "argument 2 of set_input: expected type");
    call(&client, &reply, set, "s", "x");
    expect_exception(&reply, "set_input takes 2 arguments, got 1");
}

Test(networks, say_what_inputs_and_outputs_they_have, .init = begin, .fini = end)
{
    call(&client, &reply, f("get_num_inputs"), "");
    cr_expect_eq(expect_int(&reply), 2);
    call(&client, &reply, f("get_num_outputs"), "");
    cr_expect_eq(expect_int(&reply), 1);
    call(&client, &reply, f("get_input_index"), "s", "p");
    cr_expect_eq(expect_int(&reply), 1);
    call(&client, &reply, f("get_input_index"), "s", "y");
    cr_expect_eq(expect_int(&reply), -1);
}

Test(networks, give_tensors_of_their_memory, .init = begin, .fini = end)
{
    uint64_t handle, later;
    uint8_t nine[16];
    memset(nine, 9, sizeof nine);
    call(&client, &reply, f("get_input"), "s", "x");
    struct tensor x = returned(&handle);
    cr_expect_eq(x.device, TVM_EXT_DEV);
    copy_to(&client, &x, nine, sizeof nine);
    check_output(2 + 9);
    call(&client, &reply, f("get_input"), "i", (int64_t)0);
    struct tensor again = returned(&later);
    check_numbers(&again, 9);
    call(&client, &reply, f("get_input"), "s", "nobody");
    expect_null(&reply);
    call(&client, &reply, f("get_output"), "s", "y");
    struct tensor y = returned(&later);
    check_numbers(&y, 2 + 9);
    call(&client, &reply, f("get_output"), "s", "first");
    expect_exception(&reply, "get_output: no output is of a node 'first'");
    call(&client, &reply, f("get_output"), "i", (int64_t)1);
    expect_exception(&reply, "argument 1 of get_output is 1, not from 0 to 0");
    /* It is not the client's to free as data; as a tensor, once. */
    ask(&client, &reply, TVM_PACKET_DEV_FREE_DATA, "dh", TVM_EXT_DEV, 0, x.data);
    expect_exception(&reply, "is the memory of an array that a function returned");
    ask(&client, &reply, TVM_PACKET_FREE_HANDLE, "hi", handle, (int64_t)TVM_NDARRAY);
    expect_null(&reply);
    ask(&client, &reply, TVM_PACKET_FREE_HANDLE, "hi", handle, (int64_t)TVM_NDARRAY);
    expect_exception(&reply, "stale");
    check_output(2 + 9);
}

Test(networks, copy_into_a_tensor_that_is_given, .init = begin, .fini = end)
{
    struct tensor own = sixteen(TVM_CPU, 0), few = own;
    few.shape[0] = 8;
    set_input("x", 5);
    check_output(7);
    call(&client, &reply, f("get_output"), "it", (int64_t)0, &own);
    expect_null(&reply);
    check_numbers(&own, 7);
    call(&client, &reply, f("get_input"), "st", "x", &own);
    expect_null(&reply);
    check_numbers(&own, 5);
    call(&client, &reply, f("get_output"), "it", (int64_t)0, &few);
    expect_exception(&reply, "get_output: a tensor of 8 bytes, but the graph's has 16");
}

Test(networks, leave_the_tensors_that_they_gave, .init = begin, .fini = end)
{
    uint64_t handle, functions[3] = { f("run"), f("get_output"), 0 };
    call(&client, &reply, functions[0], "");
    expect_null(&reply);
    call(&client, &reply, functions[1], "i", (int64_t)0);
    struct tensor output = returned(&handle);
    for (int i = 0; i < 2; i++) {
        ask(&client, &reply, TVM_PACKET_FREE_HANDLE, "hi", functions[i], (int64_t)TVM_FUNCTION);
        expect_null(&reply);
    }
    ask(&client, &reply, TVM_PACKET_FREE_HANDLE, "hi", network, (int64_t)TVM_MODULE);
    expect_null(&reply);
    ask(&client, &reply, TVM_PACKET_FREE_HANDLE, "hi", library, (int64_t)TVM_MODULE);
    expect_null(&reply);
    cr_expect_eq(kit_modules(), 0);
    check_numbers(&output, 2);
}

Test(networks, run_from_inputs_in_one_call, .init = begin, .fini = end)
{
    struct tensor x = sixteen(TVM_CPU, 1), p = sixteen(TVM_CPU, 10), own = sixteen(TVM_CPU, 0);
    const int64_t cpu = TVM_CPU, zero = 0;
    uint64_t run = f("run_from_inputs");
    call(&client, &reply, run, "iistit", cpu, zero, "x", &x, (int64_t)1, &p);
    expect_null(&reply);
    call(&client, &reply, f("get_output"), "it", zero, &own);
    expect_null(&reply);
    check_numbers(&own, 2 + 1 + 20);
    call(&client, &reply, run, "iist", cpu, zero, "nobody", &x);
    expect_exception(&reply, "run_from_inputs: no input is called 'nobody'");
    call(&client, &reply, run, "iis", cpu, zero, "x");
    expect_exception(&reply, "pairs of an input and a tensor, got 3 arguments");
}

/* ---- Memory of both sides ------------------------------------------------------------------ */

Test(networks, work_on_the_clients_memory, .init = begin, .fini = end)
{
    struct tensor in = sixteen(TVM_EXT_DEV, 4), out = sixteen(TVM_EXT_DEV, 0);
    uint8_t eight[16];
    memset(eight, 8, sizeof eight);
    in.offset = 128;
    copy_to(&client, &in, eight, sizeof eight);
    call(&client, &reply, f("set_input_zero_copy"), "st", "x", &in);
    expect_null(&reply);
    call(&client, &reply, f("set_output_zero_copy"), "it", (int64_t)0, &out);
    expect_null(&reply);
    check_output(2 + 8);
    check_numbers(&out, 2 + 8);
    memset(eight, 80, sizeof eight);
    copy_to(&client, &in, eight, sizeof eight);
    check_output(2 + 80);
    check_numbers(&out, 2 + 80);
    /* set_input means the same memory, and so does the name of an output. */
    set_input("x", 30);
    check_numbers(&in, 30);
    call(&client, &reply, f("set_output_zero_copy"), "st", "y", &in);
    expect_null(&reply);
    check_output(2 + 30);
    check_numbers(&in, 2 + 30);
    check_numbers(&out, 2 + 80);
    call(&client, &reply, f("set_input_zero_copy"), "st", "nobody", &in);
    expect_null(&reply);
}

Test(networks, keep_memory_that_the_client_frees, .init = begin, .fini = end)
{
    struct tensor in = sixteen(TVM_EXT_DEV, 4), out = sixteen(TVM_EXT_DEV, 0);
    call(&client, &reply, f("set_input_zero_copy"), "st", "x", &in);
    expect_null(&reply);
    call(&client, &reply, f("set_output_zero_copy"), "it", (int64_t)0, &out);
    expect_null(&reply);
    const uint64_t freed[] = { in.data, out.data };
    for (int i = 0; i < 2; i++) {
        ask(&client, &reply, TVM_PACKET_DEV_FREE_DATA, "dh", TVM_EXT_DEV, 0, freed[i]);
        expect_null(&reply);
    }
    /* What is taken now lies elsewhere. */
    struct tensor others[] = { sixteen(TVM_EXT_DEV, 99), sixteen(TVM_EXT_DEV, 98) };
    check_output(2 + 4);
    check_numbers(&others[0], 99);
    check_numbers(&others[1], 98);
    call(&client, &reply, f("set_input_zero_copy"), "st", "x", &in);
    expect_exception(&reply, "stale");
}

Test(networks, work_only_on_memory_that_fits, .init = begin, .fini = end)
{
    uint64_t bind = f("set_input_zero_copy");
    struct tensor good = sixteen(TVM_EXT_DEV, 4), tensor = good;
    tensor.shape[0] = 12;
    call(&client, &reply, bind, "st", "x", &tensor);
    expect_exception(&reply, "set_input_zero_copy: a tensor of 12 bytes, but the graph's has 16");
    tensor = good;
    tensor.code = TVM_DTYPE_UINT;
    call(&client, &reply, bind, "st", "x", &tensor);
    expect_exception(&reply, "a tensor of type code 1 with 8 bits");
    tensor = good;
    tensor.offset = 8;
    call(&client, &reply, bind, "st", "x", &tensor);
    expect_exception(&reply, "does not begin at a multiple of 64 bytes");
    tensor = sixteen(TVM_CPU, 1);
    call(&client, &reply, bind, "st", "x", &tensor);
    expect_exception(&reply, "a tensor on device type 1, but the graph's is on 12");
    check_output(2);
}

static void put_params(struct packet *blob, uint8_t number)
{
    put_u64(blob, UINT64_C(0xF7E58D4F05049CB7));
    put_u64(blob, 0);
    put_u64(blob, 2);
    put_text(blob, "p");
    put_text(blob, "unknown");
    put_u64(blob, 2);
    for (int i = 0; i < 2; i++) {
        put_u64(blob, UINT64_C(0xDD5E40F096B4A13F));
        put_u64(blob, 0);
        put_u32(blob, TVM_CPU);
        put_u32(blob, 0);
        put_u32(blob, 1);
        put_u32(blob, 0x00010800);
        put_u64(blob, 16);
        put_u64(blob, 16);
        for (int n = 0; n < 16; n++)
            put_bytes(blob, &number, 1);
    }
}

Test(networks, load_and_share_parameters, .init = begin, .fini = end)
{
    struct packet blob = { 0 };
    put_params(&blob, 6);
    call(&client, &reply, f("load_params"), "b", blob.bytes, blob.size);
    expect_null(&reply);
    check_output(2 + 12);
    call(&client, &reply, f("load_params"), "b", blob.bytes, blob.size - 1);
    expect_exception(&reply, "load_params: parameters: 'unknown': it ends within its tensor");
    const uint64_t first = network;
    network = create("tvm.graph_executor.create", graph_text);
    check_output(2);
    call(&client, &reply, f("share_params"), "mb", first, blob.bytes, (size_t)24 + 9 + 15);
    expect_null(&reply);
    check_output(2 + 12);
    call(&client, &reply, f("share_params"), "mb", library, blob.bytes, blob.size);
    expect_exception(&reply, "argument 1 of share_params is a module that is no graph");
    /* One memory: what is set here is there, and stays when the first is gone. */
    set_input("p", 7);
    const uint64_t second = network;
    network = first;
    check_output(2 + 14);
    ask(&client, &reply, TVM_PACKET_FREE_HANDLE, "hi", first, (int64_t)TVM_MODULE);
    expect_null(&reply);
    network = second;
    check_output(2 + 14);
    packet_free(&blob);
}

/* ---- Errors and times ---------------------------------------------------------------------- */

Test(networks, name_the_node_that_fails, .init = begin, .fini = end)
{
    network = create("tvm.graph_executor.create", GRAPH("fail"));
    call(&client, &reply, f("run"), "");
    expect_exception(&reply, "graph: node 2 'first': fail: words of its own");
    call(&client, &reply, f("run"), "i", (int64_t)1);
    expect_exception(&reply, "run takes 0 arguments, got 1");
    call(&client, &reply, f("get_num_inputs"), "");
    cr_expect_eq(expect_int(&reply), 2);
}

/* x, of 16 int32, is doubled on the board; the second node is `then`. */
#define BOARD_GRAPH(first, then)                                                                   \
    "{\"nodes\":[{\"op\":\"null\",\"name\":\"x\"},{\"op\":\"tvm_op\",\"name\":\"a\","              \
    "\"inputs\":[[0,0,0]],\"attrs\":{\"func_name\":\"" first                                       \
    "\",\"num_inputs\":\"1\",\"num_outputs\":\"1\",\"flatten_data\":\"0\"}},"                      \
    "{\"op\":\"tvm_op\",\"name\":\"b\",\"inputs\":[[1,0,0]],\"attrs\":{\"func_name\":\"" then      \
    "\",\"num_inputs\":\"1\",\"num_outputs\":\"1\",\"flatten_data\":\"0\"}}],\"arg_nodes\":[0],"   \
    "\"heads\":[[2,0,0]],\"node_row_ptr\":[0,1,2,3],\"attrs\":{"                                   \
    "\"shape\":[\"list_shape\",[[16],[16],[16]]],\"dltype\":[\"list_str\",[\"int32\",\"int8\","    \
    "\"int8\"]],\"storage_id\":[\"list_int\",[0,1,2]]}}"

Test(networks, name_the_node_whose_stream_is_refused, .init = begin, .fini = end)
{
    network = create("tvm.graph_executor.create", BOARD_GRAPH("outside", "add_one"));
    call(&client, &reply, f("run"), "");
    expect_exception(&reply, "graph: node 1 'a': outside: refused: ");
    network = create("tvm.graph_executor.create", BOARD_GRAPH("double", "add_one"));
    check_output(1);
}

Test(networks, stop_at_the_deadline)
{
    begin_with(50);
    network = create("tvm.graph_executor.create", BOARD_GRAPH("spin", "add_one"));
    call(&client, &reply, f("run"), "");
    expect_exception(&reply, "graph: node 1 'a': spin: stopped: a run passed the deadline of 50");
    network = create("tvm.graph_executor.create", BOARD_GRAPH("double", "add_one"));
    check_output(1);
    end();
}

static uint64_t calls(void)
{
    call(&client, &reply, kernel_of(&client, library, "count"), "");
    return (uint64_t)expect_int(&reply);
}

Test(networks, are_timed_as_a_whole, .init = begin, .fini = end)
{
    uint64_t make = function_of(&client, "runtime.RPCTimeEvaluator");
    set_input("x", 1);
    const uint64_t before = calls();
    call(&client, &reply, make, "msiiiiis", network, "run", (int64_t)12, (int64_t)0, (int64_t)3,
         (int64_t)2, (int64_t)0, "");
    call(&client, &reply, expect_handle(&reply, TVM_FUNCTION), "");
    cr_assert_eq(reply.items[0].i, TVM_BYTES);
    cr_assert_eq(reply.items[1].bytes.size, 2 * sizeof(double));
    reply_free(&reply);
    /* Once to warm up, 2 × 3 times; two kernels each. The count of calls is a call. */
    cr_expect_eq(calls() - before, 1 + 2 * (1 + 2 * 3));
}

/* ---- Node by node -------------------------------------------------------------------------- */

Test(networks, are_executed_node_by_node, .init = begin, .fini = end)
{
    uint64_t handle;
    network = create("tvm.graph_executor_debug.create", graph_text);
    set_input("x", 10);
    call(&client, &reply, f("execute_node"), "i", (int64_t)2);
    expect_null(&reply);
    call(&client, &reply, f("get_node_output"), "ii", (int64_t)2, (int64_t)0);
    struct tensor output = returned(&handle);
    cr_expect_eq(output.device, TVM_CPU);
    check_numbers(&output, 11);
    call(&client, &reply, f("get_node_output"), "ii", (int64_t)3, (int64_t)0);
    struct tensor unset = returned(&handle);
    check_numbers(&unset, 0);
    const uint64_t before = calls();
    call(&client, &reply, f("execute_node"), "i", (int64_t)3);
    expect_null(&reply);
    cr_expect_eq(calls() - before, 2);
    /* Back to the first kernel, then to where it is; a run forgets how far it had come. */
    for (int i = 0; i < 2; i++) {
        call(&client, &reply, f("execute_node"), "i", (int64_t)2);
        expect_null(&reply);
    }
    cr_expect_eq(calls() - before, 2 + 2);
    call(&client, &reply, f("run"), "");
    expect_null(&reply);
    call(&client, &reply, f("execute_node"), "i", (int64_t)2);
    expect_null(&reply);
    cr_expect_eq(calls() - before, 4 + 1 + 3);
    call(&client, &reply, f("get_node_output"), "ii", (int64_t)3, (int64_t)0);
    output = returned(&handle);
    check_numbers(&output, 12);
    call(&client, &reply, f("get_node_output"), "ii", (int64_t)3, (int64_t)1);
    expect_exception(&reply, "argument 2 of get_node_output is 1, not from 0 to 0");
    call(&client, &reply, f("execute_node"), "i", (int64_t)4);
    expect_exception(&reply, "argument 1 of execute_node is 4, not from 0 to 3");
    struct tensor own = sixteen(TVM_CPU, 0);
    call(&client, &reply, f("debug_get_output"), "st", "first", &own);
    expect_null(&reply);
    check_numbers(&own, 11);
    call(&client, &reply, f("debug_get_output"), "it", (int64_t)3, &own);
    expect_null(&reply);
    check_numbers(&own, 12);
    call(&client, &reply, f("debug_get_output"), "st", "nobody", &own);
    expect_exception(&reply, "debug_get_output: no node is called 'nobody'");
}

Test(networks, are_timed_node_by_node, .init = begin, .fini = end)
{
    double seconds[8], none;
    int64_t nodes;
    network = create("tvm.graph_executor_debug.create", graph_text);
    uint64_t run = f("run_individual");
    call(&client, &reply, run, "iii", (int64_t)2, (int64_t)3, (int64_t)0);
    cr_assert_eq(reply.items[0].i, TVM_STRING);
    cr_assert_eq(sscanf(reply.items[1].bytes.data, "%lf,%lf,%lf,%lf,", &none, &none, &seconds[2],
                        &seconds[3]),
                 4);
    cr_expect_eq(none, 0);
    cr_expect(seconds[2] > 0 && seconds[3] > 0);
    reply_free(&reply);
    for (int later = 0; later < 2; later++) {
        const uint64_t before = calls();
        call(&client, &reply, run, later ? "iiiiii" : "iiiii", (int64_t)1, (int64_t)2, (int64_t)0,
             (int64_t)1, (int64_t)1, (int64_t)1);
        cr_assert_eq(reply.items[0].i, TVM_BYTES);
        cr_assert_eq(reply.items[1].bytes.size, 8 + 4 * 2 * 8);
        memcpy(&nodes, reply.items[1].bytes.data, 8);
        memcpy(seconds, reply.items[1].bytes.data + 8, sizeof seconds);
        cr_expect_eq(nodes, 4);
        cr_expect_eq(seconds[3], 0);
        cr_expect(seconds[4] > 0 && seconds[7] > 0);
        reply_free(&reply);
        /* A run, and each node once to warm up and twice. */
        cr_expect_eq(calls() - before, 1 + 2 + 2 * 3);
    }
    call(&client, &reply, f("run_individual_node"), "iiiiiii", (int64_t)3, (int64_t)1, (int64_t)4,
         (int64_t)0, (int64_t)100, (int64_t)0, (int64_t)1);
    cr_assert_eq(reply.items[1].bytes.size, 32);
    reply_free(&reply);
    call(&client, &reply, run, "iiii", (int64_t)1, (int64_t)1, (int64_t)0, (int64_t)0);
    expect_exception(&reply, "run_individual takes 5 to 6 arguments, got 4");
    call(&client, &reply, run, "iii", (int64_t)1, (int64_t)26, (int64_t)0);
    expect_exception(&reply, "run_individual: 26 times of 4 nodes, at most 100 together");
}

Test(networks, are_profiled_as_tvm_reports_it, .init = begin, .fini = end)
{
    network = create("tvm.graph_executor_debug.create", graph_text);
    call(&client, &reply, f("profile_rpc"), "");
    cr_assert_eq(reply.items[0].i, TVM_STRING);
    const char *text = reply.items[1].bytes.data;
    const char *pieces[] = { "{\"calls\":[{\"Name\":{\"string\":\"add_one\"},\"Duration (us)\":{"
                             "\"microseconds\":",
                             "\"VTA (us)\":{\"microseconds\":0},\"Board "
                             "(us)\":{\"microseconds\":0},\"Percent\":{\"percent\":",
                             "\"Count\":{\"count\":1},\"Device\":{\"string\":\"ext_dev0\"},"
                             "\"Argument Shapes\":{\"string\":\"int8[4, 4], int8[4, 4]\"},"
                             "\"Hash\":{\"string\":\"abc\"}}",
                             "{\"Name\":{\"string\":\"mix\"}",
                             "\"string\":\"int8[4, 4], int8[16], int8[16]\"}}]",
                             "\"device_metrics\":{\"ext_dev0\":{\"Duration (us)\":{" };
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++)
        cr_expect_not_null(strstr(text, pieces[i]), "%s\n%s", pieces[i], text);
    reply_free(&reply);
}

/* By the board's clock a network takes what the board would for its streams, and its host's part.
 * This board takes a second for a call. */
static double time_by_board(enum vta_board_timing timing)
{
    struct worker_options options;
    struct vta_timing_profile slow;
    struct vta_error error;
    double seconds = 0;
    kit_options(&options);
    cr_assert_eq(vta_profile_for_hw(&slow, &options.board.hw, &error), 0, "%s", error.message);
    slow.host_call_us = 1e6;
    options.board.profile = &slow;
    options.max_handles = 512;
    options.board.timing = timing;
    options.board_clock = true;
    kit_open(&kit, &options);
    client_open(&client, &kit);
    library = module_of(&client, "m.so");
    network = create("tvm.graph_executor.create", BOARD_GRAPH("double", "add_one"));
    uint64_t make = function_of(&client, "runtime.RPCTimeEvaluator");
    call(&client, &reply, make, "msiiiiis", network, "run", (int64_t)12, (int64_t)0, (int64_t)20,
         (int64_t)1, (int64_t)0, "");
    call(&client, &reply, expect_handle(&reply, TVM_FUNCTION), "");
    if (timing == VTA_BOARD_TIMING_OFF) {
        expect_exception(&reply, "run: the clock is the board's, but no timing profile");
    } else {
        cr_assert_eq(reply.items[0].i, TVM_BYTES);
        memcpy(&seconds, reply.items[1].bytes.data, sizeof seconds);
        reply_free(&reply);
        /* Measured, unlike a kernel: once to warm up, and 20 times. */
        cr_expect_eq(calls(), 1 + 2 * 21);
    }
    end();
    return seconds;
}

Test(networks, are_timed_by_the_boards_clock)
{
    double seconds = time_by_board(VTA_BOARD_TIMING_PROFILE);
    cr_expect(seconds > 1 && seconds < 2, "%g", seconds);
    time_by_board(VTA_BOARD_TIMING_OFF);
}
