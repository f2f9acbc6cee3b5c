/* test_functions.c: calls: handles and their references, arguments and results of every type,
 * modules, errors, and what a failed call leaves.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"

static struct kit kit;
static struct client client;
static struct reply reply;
static uint64_t loaded; /* the module of kernel() */

static void begin(void)
{
    kit_open(&kit, NULL);
    client_open(&client, &kit);
}

static void end(void)
{
    loaded = 0;
    client_close(&client);
    cr_assert_eq(client.rc, 0, "%s", client.error.message);
    cr_assert_eq(worker_cpu_bytes(&kit.worker), 0);
    cr_assert_eq(kit_modules(), 0);
    kit_close(&kit);
}

static uint64_t kernel(const char *name)
{
    if (loaded == 0)
        loaded = module_of(&client, "m.so");
    return kernel_of(&client, loaded, name);
}

static void free_handle(uint64_t handle, int64_t code)
{
    ask(&client, &reply, TVM_PACKET_FREE_HANDLE, "hi", handle, code);
}

TestSuite(functions, .timeout = 60);

Test(functions, that_nobody_has_are_null, .init = begin, .fini = end)
{
    const char *names[] = { "tvm.rpc.server.GetCRTMaxPacketSize", "", "no.such", "fail",
                            "tvm.rpc.server.uploads" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        cr_assert_eq(function_of(&client, names[i]), 0);
}

Test(functions, of_a_board_are_there, .init = begin, .fini = end)
{
    const char *names[] = {
        "tvm.rpc.server.upload",
        "tvm.rpc.server.download",
        "tvm.rpc.server.remove",
        "tvm.rpc.server.workpath",
        "tvm.rpc.server.load_module",
        "tvm.rpc.server.ModuleGetFunction",
        "tvm.rpc.server.ImportModule",
        "tvm.rpc.server.download_linked_module",
        "runtime.RPCTimeEvaluator",
        "tvm.contrib.vta.init",
        "tvm.contrib.vta.reconfig_runtime",
        "vta.simulator.profiler_clear",
        "vta.simulator.profiler_status",
        "vta.simulator.profiler_debug_mode",
        "tvm.contrib.random.random_fill",
        "device_api.ext_dev",
        "__tvm_set_device",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        cr_assert_neq(function_of(&client, names[i]), 0, "%s", names[i]);
}

Test(functions, are_referenced_by_each_handle, .init = begin, .fini = end)
{
    uint64_t first = function_of(&client, "vta.simulator.profiler_clear");
    uint64_t second = function_of(&client, "vta.simulator.profiler_clear");
    cr_assert_neq(first, second);
    free_handle(first, TVM_FUNCTION);
    expect_null(&reply);
    call(&client, &reply, second, "");
    expect_null(&reply);
    call(&client, &reply, first, "");
    expect_exception(&reply, "is stale (freed before)");
    free_handle(first, TVM_FUNCTION);
    expect_exception(&reply, "FreeHandle: function handle");
}

Test(functions, are_freed_by_their_own_type, .init = begin, .fini = end)
{
    uint64_t function = kernel("count"), data = memory_of(&client, TVM_CPU, 8);
    uint64_t module = module_of(&client, "n.so");
    free_handle(function, TVM_MODULE);
    expect_exception(&reply, "is of kind function, not module");
    free_handle(module, TVM_FUNCTION);
    expect_exception(&reply, "is of kind module, not function");
    free_handle(function, TVM_NDARRAY);
    expect_exception(&reply, "is of kind function, not tensor");
    free_handle(data, TVM_FUNCTION);
    expect_exception(&reply, "is of kind data, not function");
    free_handle(function, TVM_INT);
    expect_exception(&reply, "type code 0 has no handles to free");
    free_handle(0, TVM_FUNCTION);
    expect_exception(&reply, "handle 0 is never a handle");
    free_handle(module, TVM_OBJECT);
    expect_null(&reply);
    free_handle(function, TVM_OBJECT);
    expect_null(&reply);
}

Test(functions, take_every_type_of_argument, .init = begin, .fini = end)
{
    uint64_t takes = kernel("takes"), data = memory_of(&client, TVM_EXT_DEV, 64);
    uint64_t module = module_of(&client, "n.so");
    struct tensor tensor = { .data = data, .device = 12, .bits = 8, .ndim = 1, .shape = { 64 } };
    call(&client, &reply, takes, "iulfnhhmFoodysbt", (int64_t)-1, (int64_t)1, (int64_t)1, 0.5, data,
         (uint64_t)0, module, takes, module, takes, 12, 0, 0, 8, 1, "text", "bytes", (size_t)5,
         &tensor);
    cr_assert_eq(reply.items[0].i, TVM_STRING);
    cr_assert_str_eq(reply.items[1].bytes.data, "0,1,15,2,4,3,3,9,10,9,10,6,5,11,12,7");
    reply_free(&reply);
}

Test(functions, return_every_type_of_result, .init = begin, .fini = end)
{
    uint64_t echo = kernel("echo");
    call(&client, &reply, echo, "i", (int64_t)-5);
    cr_assert_eq(reply.items[0].i, TVM_INT);
    cr_assert_eq(expect_int(&reply), -5);
    call(&client, &reply, echo, "f", 2.5);
    cr_assert_eq(reply.items[0].i, TVM_FLOAT);
    cr_assert_eq(reply.items[1].code, TVM_FLOAT);
    cr_assert_eq(reply.items[1].f, 2.5);
    reply_free(&reply);
    call(&client, &reply, echo, "n");
    expect_null(&reply);
    call(&client, &reply, echo, "l", (int64_t)1);
    cr_assert_eq(reply.items[1].code, TVM_BOOL);
    reply_free(&reply);
    call(&client, &reply, echo, "s", "grüß");
    cr_assert_eq(reply.items[0].i, TVM_STRING);
    cr_assert_str_eq(reply.items[1].bytes.data, "grüß");
    reply_free(&reply);
    call(&client, &reply, echo, "b", "a\0b", (size_t)3);
    cr_assert_eq(reply.items[0].i, TVM_BYTES);
    cr_assert_eq(reply.items[1].bytes.size, 3);
    cr_assert_eq(memcmp(reply.items[1].bytes.data, "a\0b", 3), 0);
    reply_free(&reply);
    call(&client, &reply, echo, "d", 12, 0);
    cr_assert_eq(reply.items[1].device.type, 12);
    reply_free(&reply);
    call(&client, &reply, echo, "y", 2, 32, 4);
    cr_assert_eq(reply.items[1].dtype.lanes, 4);
    reply_free(&reply);
}

Test(functions, return_functions_and_modules_as_new_references, .init = begin, .fini = end)
{
    uint64_t itself = kernel("itself"), self = kernel("self");
    call(&client, &reply, itself, "");
    uint64_t again = expect_handle(&reply, TVM_FUNCTION);
    free_handle(itself, TVM_FUNCTION);
    expect_null(&reply);
    call(&client, &reply, again, "");
    cr_assert_neq(expect_handle(&reply, TVM_FUNCTION), again);
    call(&client, &reply, self, "");
    uint64_t module = expect_handle(&reply, TVM_MODULE);
    cr_assert_neq(kernel_of(&client, module, "count"), 0);
}

Test(functions, return_arrays_that_are_freed_by_handle, .init = begin, .fini = end)
{
    uint8_t bytes[10];
    call(&client, &reply, kernel("array"), "i", (int64_t)10);
    cr_assert_eq(reply.code, TVM_PACKET_RETURN);
    cr_assert_eq(reply.count, 3);
    cr_assert_eq(reply.items[0].i, TVM_NDARRAY);
    cr_assert_eq(reply.items[1].code, TVM_TENSOR);
    cr_assert_eq(reply.items[1].tensor.ndim, 1);
    cr_assert_eq(tvm_extent(&reply.items[1].tensor, 0), 10);
    struct tensor tensor = {
        .data = reply.items[1].tensor.data, .device = TVM_CPU, .bits = 8, .ndim = 1, .shape = { 10 }
    };
    uint64_t handle = reply.items[2].handle;
    cr_assert_eq(reply.items[2].code, TVM_OPAQUE);
    reply_free(&reply);
    copy_from(&client, &tensor, bytes, sizeof bytes);
    cr_assert_eq(bytes[9], 9);
    call(&client, &reply, kernel("add_one"), "tt", &tensor, &tensor);
    expect_null(&reply);
    copy_from(&client, &tensor, bytes, sizeof bytes);
    cr_assert_eq(bytes[9], 10);
    ask(&client, &reply, TVM_PACKET_DEV_FREE_DATA, "dh", TVM_CPU, 0, tensor.data);
    expect_exception(&reply, "it goes when the array is freed");
    call(&client, &reply, kernel("takes"), "oh", handle, handle);
    cr_assert_str_eq(reply.items[1].bytes.data, "7,3"); /* as the tensor that it is */
    reply_free(&reply);
    free_handle(handle, TVM_NDARRAY);
    expect_null(&reply);
    call(&client, &reply, kernel("add_one"), "tt", &tensor, &tensor);
    expect_exception(&reply, "is stale");
    free_handle(handle, TVM_NDARRAY);
    expect_exception(&reply, "tensor handle");
    call(&client, &reply, kernel("array"), "i", (int64_t)10); /* left to the session's end */
    reply_free(&reply);
}

Test(functions, never_send_an_address, .init = begin, .fini = end)
{
    call(&client, &reply, kernel("pointer"), "");
    expect_exception(&reply, "pointer returned a value of type opaque handle");
}

Test(functions, get_tensors_that_lie_in_memory, .init = begin, .fini = end)
{
    struct tensor good = { .data = memory_of(&client, TVM_EXT_DEV, 64),
                           .device = TVM_EXT_DEV,
                           .bits = 8,
                           .ndim = 2,
                           .shape = { 8, 8 } };
    struct tensor large = good, moved = good, other = good, none = good;
    uint64_t add_one = kernel("add_one");
    large.shape[0] = 9;
    moved.offset = 1;
    other.device = TVM_CPU;
    none.data = 0;
    call(&client, &reply, add_one, "tt", &good, &good);
    expect_null(&reply);
    call(&client, &reply, add_one, "tt", &good, &large);
    expect_exception(&reply, "add_one: argument 2: 72 bytes at byte offset 0 pass the end");
    call(&client, &reply, add_one, "tt", &moved, &good);
    expect_exception(&reply, "add_one: argument 1: 64 bytes at byte offset 1 pass the end");
    call(&client, &reply, add_one, "tt", &good, &other);
    expect_exception(&reply, "add_one: argument 2: data handle");
    call(&client, &reply, add_one, "tt", &none, &good);
    expect_exception(&reply, "add_one: argument 1: a tensor of 64 bytes has no data");
    moved.shape[0] = 7;
    moved.offset = 8;
    call(&client, &reply, add_one, "tt", &moved, &moved);
    expect_null(&reply);
}

Test(functions, refuse_handles_of_another_kind, .init = begin, .fini = end)
{
    uint64_t takes = kernel("takes"), module = module_of(&client, "n.so");
    uint64_t data = memory_of(&client, TVM_CPU, 8);
    call(&client, &reply, takes, "m", takes);
    expect_exception(&reply, "is a function, not a module");
    call(&client, &reply, takes, "F", module);
    expect_exception(&reply, "is a module, not a function");
    call(&client, &reply, takes, "m", data);
    expect_exception(&reply, "is a opaque handle, not a module");
    call(&client, &reply, takes, "h", (uint64_t)0x1234);
    expect_exception(&reply, "takes: argument 1: ");
    call(&client, &reply, takes, "m", (uint64_t)(uintptr_t)&kit);
    expect_exception(&reply, "takes: argument 1: ");
    call(&client, &reply, module, "");
    expect_exception(&reply, "is of kind module, not function");
    call(&client, &reply, (uint64_t)(uintptr_t)&kit, "");
    expect_exception(&reply, "handle 0x");
    call(&client, &reply, 0, "");
    expect_exception(&reply, "handle 0 is never a handle");
}

Test(functions, say_why_they_failed_and_can_be_called_again, .init = begin, .fini = end)
{
    uint64_t fail = kernel("fail");
    for (int i = 0; i < 3; i++) {
        call(&client, &reply, fail, "");
        expect_exception(&reply, "fail: words of its own");
    }
    call(&client, &reply, kernel("count"), "");
    cr_assert_eq(expect_int(&reply), 4);
}

Test(functions, have_a_limit_of_handles, .init = begin, .fini = end)
{
    for (int i = 0; i < 32; i++)
        cr_assert_neq(function_of(&client, "vta.simulator.profiler_clear"), 0);
    ask(&client, &reply, TVM_PACKET_GET_GLOBAL_FUNC, "s", "vta.simulator.profiler_clear");
    expect_exception(&reply, "too many functions: the limit is 32");
}

/* ---- Modules ------------------------------------------------------------------------------- */

Test(functions, keep_their_module_loaded, .init = begin, .fini = end)
{
    uint64_t module = module_of(&client, "a.so"), count = kernel_of(&client, module, "count");
    free_handle(module, TVM_MODULE);
    expect_null(&reply);
    cr_assert_eq(kit_modules(), 1);
    call(&client, &reply, count, "");
    cr_assert_eq(expect_int(&reply), 1);
    free_handle(count, TVM_FUNCTION);
    expect_null(&reply);
    ask(&client, &reply, TVM_PACKET_GET_GLOBAL_FUNC, "s", "x"); /* after that one */
    reply_free(&reply);
    cr_assert_eq(kit_modules(), 0);
}

Test(functions, of_imported_modules_are_found_when_asked_for, .init = begin, .fini = end)
{
    uint64_t get = function_of(&client, "tvm.rpc.server.ModuleGetFunction");
    uint64_t import = function_of(&client, "tvm.rpc.server.ImportModule");
    uint64_t a = module_of(&client, "a.so"), b = module_of(&client, "b.so");
    call(&client, &reply, get, "msi", a, "no_such", (int64_t)1);
    expect_null(&reply);
    call(&client, &reply, import, "mm", a, b);
    expect_null(&reply);
    call(&client, &reply, import, "mm", b, a);
    expect_exception(&reply, "cannot import itself");
    call(&client, &reply, import, "mm", a, a);
    expect_exception(&reply, "cannot import itself");
    free_handle(b, TVM_MODULE);
    expect_null(&reply);
    cr_assert_eq(kit_modules(), 2);
    call(&client, &reply, get, "msl", a, "count", (int64_t)1);
    cr_assert_neq(expect_handle(&reply, TVM_FUNCTION), 0);
    call(&client, &reply, get, "ms", a, "__tvm_main__");
    cr_assert_neq(expect_handle(&reply, TVM_FUNCTION), 0);
    call(&client, &reply, get, "sss", "a", "b", "c");
    expect_exception(&reply,
                     "argument 1 of tvm.rpc.server.ModuleGetFunction: expected type module");
    call(&client, &reply, get, "msi", a, "count", (int64_t)7);
    expect_exception(&reply, "argument 3 of tvm.rpc.server.ModuleGetFunction is 7");
}

Test(functions, are_found_through_chains_of_imports_that_do_not_explode, .init = begin, .fini = end)
{
    uint64_t get = function_of(&client, "tvm.rpc.server.ModuleGetFunction");
    uint64_t import = function_of(&client, "tvm.rpc.server.ImportModule");
    uint64_t below = module_of(&client, "m.so");
    /* Each imports the one below twice: 2^14 ways to the bottom. */
    for (int i = 0; i < 14; i++) {
        uint64_t above = module_of(&client, "m.so");
        for (int twice = 0; twice < 2; twice++) {
            call(&client, &reply, import, "mm", above, below);
            if (i < 11)
                expect_null(&reply);
            else
                reply_free(&reply);
        }
        free_handle(below, TVM_MODULE);
        expect_null(&reply);
        below = above;
    }
    call(&client, &reply, get, "msi", below, "no_such", (int64_t)1);
    expect_null(&reply);
}

Test(functions, of_newer_clients_take_modules_as_objects, .init = begin, .fini = end)
{
    uint64_t get = function_of(&client, "tvm.rpc.server.ModuleGetFunction");
    call(&client, &reply, get, "osi", module_of(&client, "a.so"), "count", (int64_t)0);
    cr_assert_neq(expect_handle(&reply, TVM_FUNCTION), 0);
}

Test(functions, load_only_what_is_a_module, .init = begin, .fini = end)
{
    uint64_t upload = function_of(&client, "tvm.rpc.server.upload");
    uint64_t load = function_of(&client, "tvm.rpc.server.load_module");
    call(&client, &reply, upload, "sb", "a.o", "something else", (size_t)14);
    expect_null(&reply);
    call(&client, &reply, load, "s", "a.o");
    expect_exception(&reply, "a.o is no imitation");
    call(&client, &reply, load, "s", "b.o");
    expect_exception(&reply, "'b.o': there is no such file");
    call(&client, &reply, upload, "sb", "a.o", "imitation", (size_t)9);
    expect_null(&reply);
    call(&client, &reply, load, "s", "a.o");
    cr_assert_neq(expect_handle(&reply, TVM_MODULE), 0);
}

Test(functions, link_nothing_and_say_who_can, .init = begin, .fini = end)
{
    uint64_t linked = function_of(&client, "tvm.rpc.server.download_linked_module");
    call(&client, &reply, linked, "s", "a.o");
    expect_exception(&reply, "would return the shared library that a.o is linked to, but this "
                             "server links nothing; link it where the client runs");
    call(&client, &reply, linked, "");
    expect_exception(&reply, "download_linked_module takes 1 argument, got 0");
}

/* ---- The board ----------------------------------------------------------------------------- */

static struct tensor numbers, results;

static void board_tensors(void)
{
    numbers = (struct tensor){ .data = memory_of(&client, TVM_EXT_DEV, 64),
                               .device = TVM_EXT_DEV,
                               .bits = 32,
                               .ndim = 1,
                               .shape = { 16 } };
    results = (struct tensor){ .data = memory_of(&client, TVM_EXT_DEV, 16),
                               .device = TVM_EXT_DEV,
                               .bits = 8,
                               .ndim = 1,
                               .shape = { 16 } };
}

static void doubles(void)
{
    int32_t sent[16];
    int8_t got[16];
    for (int i = 0; i < 16; i++)
        sent[i] = i * 3 - 20;
    copy_to(&client, &numbers, sent, sizeof sent);
    call(&client, &reply, kernel("double"), "tt", &numbers, &results);
    expect_null(&reply);
    copy_from(&client, &results, got, sizeof got);
    for (int i = 0; i < 16; i++)
        cr_assert_eq(got[i], 2 * sent[i]);
}

Test(functions, run_on_the_board_and_are_counted, .init = begin, .fini = end)
{
    const char *expected = "{\"inp_load_nbytes\":0,\"wgt_load_nbytes\":0,\"acc_load_nbytes\":64,"
                           "\"uop_load_nbytes\":4,\"out_store_nbytes\":16,\"gemm_counter\":0,"
                           "\"alu_counter\":1}";
    uint64_t status = function_of(&client, "vta.simulator.profiler_status");
    board_tensors();
    doubles();
    call(&client, &reply, status, "");
    cr_assert_eq(reply.items[0].i, TVM_STRING);
    cr_assert_str_eq(reply.items[1].bytes.data, expected);
    reply_free(&reply);
    call(&client, &reply, function_of(&client, "vta.simulator.profiler_clear"), "");
    expect_null(&reply);
    doubles();
    call(&client, &reply, status, "");
    cr_assert_str_eq(reply.items[1].bytes.data, expected);
    reply_free(&reply);
}

Test(functions, count_without_executing_in_debug_mode_1, .init = begin, .fini = end)
{
    uint64_t mode = function_of(&client, "vta.simulator.profiler_debug_mode");
    int8_t got[16] = { 0 };
    board_tensors();
    call(&client, &reply, mode, "i", (int64_t)1);
    expect_null(&reply);
    int32_t ones[16] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
    copy_to(&client, &numbers, ones, sizeof ones);
    call(&client, &reply, kernel("double"), "tt", &numbers, &results);
    expect_null(&reply);
    copy_from(&client, &results, got, sizeof got);
    cr_assert_eq(got[0], 0);
    call(&client, &reply, function_of(&client, "vta.simulator.profiler_status"), "");
    cr_assert_neq(strstr(reply.items[1].bytes.data, "\"alu_counter\":1"), NULL);
    reply_free(&reply);
    call(&client, &reply, mode, "i", (int64_t)0);
    expect_null(&reply);
    doubles();
    call(&client, &reply, mode, "s", "on");
    expect_exception(&reply, "expected type int, got string");
}

Test(functions, fail_with_the_verifiers_reason_and_leave_a_clean_queue, .init = begin, .fini = end)
{
    board_tensors();
    for (int i = 0; i < 2; i++) {
        call(&client, &reply, kernel("outside"), "tt", &numbers, &results);
        expect_exception(&reply, "outside: ");
        call(&client, &reply, kernel("fail_both"), "tt", &numbers, &results);
        cr_assert_eq(strstr(reply.items[0].bytes.data, "words of its own"), NULL);
        expect_exception(&reply, "fail_both: ");
        doubles();
    }
}

Test(functions, that_may_race_on_a_board_are_told_of_in_the_log_once, .init = begin, .fini = end)
{
    board_tensors();
    doubles();
    cr_assert_eq(strstr(kit.log, "race"), NULL, "%s", kit.log);
    for (int i = 0; i < 2; i++) {
        call(&client, &reply, kernel("racing"), "tt", &numbers, &results);
        expect_null(&reply);
    }
    const char *first = strstr(kit.log, "race: OUT 0: insn ");
    cr_assert_not_null(first, "%s", kit.log);
    cr_assert_null(strstr(first + 1, "race: "), "%s", kit.log);
}

Test(functions, that_may_race_on_a_board_fail_where_the_policy_says_so)
{
    struct worker_options options;
    kit_options(&options);
    options.board.hazards.policy = VTA_HAZARDS_FAIL;
    kit_open(&kit, &options);
    client_open(&client, &kit);
    board_tensors();
    for (int i = 0; i < 2; i++) {
        call(&client, &reply, kernel("racing"), "tt", &numbers, &results);
        expect_exception(&reply, "refused: race: OUT 0: insn ");
        doubles();
    }
    end();
}

Test(functions, that_may_race_on_a_board_fail_where_the_client_says_so, .init = begin, .fini = end)
{
    uint64_t hazards = function_of(&client, "vtad.hazards");
    board_tensors();
    call(&client, &reply, hazards, "s", "off");
    expect_null(&reply);
    call(&client, &reply, kernel("racing"), "tt", &numbers, &results);
    expect_null(&reply);
    cr_assert_eq(strstr(kit.log, "race"), NULL, "%s", kit.log);
    call(&client, &reply, hazards, "s", "fail");
    expect_null(&reply);
    call(&client, &reply, kernel("racing"), "tt", &numbers, &results);
    expect_exception(&reply, "refused: race: OUT 0: insn ");
    doubles();
    call(&client, &reply, hazards, "si", "warn", (int64_t)1);
    expect_null(&reply);
    call(&client, &reply, kernel("racing"), "tt", &numbers, &results);
    expect_null(&reply);
    cr_assert_not_null(strstr(kit.log, "race: OUT 0: insn "), "%s", kit.log);
    call(&client, &reply, hazards, "s", "loud");
    expect_exception(&reply, "expected off, warn or fail, got 'loud'");
}

Test(functions, are_stopped_at_the_deadline)
{
    struct worker_options options;
    kit_options(&options);
    options.run_deadline_ms = 50;
    kit_open(&kit, &options);
    client_open(&client, &kit);
    board_tensors();
    call(&client, &reply, kernel("spin"), "tt", &numbers, &results);
    expect_exception(&reply, "spin: stopped: a run passed the deadline of 50 ms");
    doubles();
    end();
}

/* ---- Configuration ------------------------------------------------------------------------- */

Test(functions, take_the_bitstream_that_the_board_is, .init = begin, .fini = end)
{
    const char *names[] = { "1x16_i8w8a32_15_15_18_17", "1x16_i8w8a32_15_15_18_17.bit",
                            "/home/xilinx/1x16_i8w8a32_15_15_18_17.bit",
                            "1x16_i8w8a32_15_15_18_17.bin" };
    uint64_t init = function_of(&client, "tvm.contrib.vta.init");
    memory_of(&client, TVM_EXT_DEV, 8); /* the device is in use */
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        call(&client, &reply, init, "s", names[i]);
        expect_null(&reply);
    }
    call(&client, &reply, init, "s", "1x16_i8w8a32_14_15_18_17.bit");
    expect_exception(&reply, "only before its first use");
    call(&client, &reply, init, "s", "1x3_i8w8a32_15_15_18_17.bit");
    expect_exception(&reply, "LOG_BLOCK: 3 is not a power of two");
}

Test(functions, keep_the_configuration_for_a_bitstream_of_any_name, .init = begin, .fini = end)
{
    uint64_t init = function_of(&client, "tvm.contrib.vta.init");
    call(&client, &reply, init, "s", "4x8_i8w8a32_15_15_18_17.bit");
    expect_null(&reply);
    call(&client, &reply, init, "s", "vta.bit");
    expect_null(&reply);
    cr_assert_eq(vta_board_hw(kit.worker.board)->batch, 4);
    cr_assert_not_null(strstr(kit.log, "'vta.bit' is named after no configuration: the board stays "
                                       "4x8_i8w8a32_15_15_18_17"));
}

Test(functions, log_what_an_uploaded_bitstream_is, .init = begin, .fini = end)
{
    static const char bitstream[] = "\x00\x09\x0f\xf0\x0f\xf0\x0f\xf0\x0f\xf0\x00\x00\x01"
                                    "a\x00\x04vta\0b\x00\x03"
                                    "7z\0c\x00\x0b"
                                    "2019/07/09\0d\x00\x09"
                                    "12:34:56\0e\x00\x00\x00\x10";
    uint64_t init = function_of(&client, "tvm.contrib.vta.init");
    uint64_t upload = function_of(&client, "tvm.rpc.server.upload");
    call(&client, &reply, upload, "sb", "vta.bit", bitstream, sizeof bitstream - 1);
    expect_null(&reply);
    call(&client, &reply, init, "s", "vta.bit");
    expect_null(&reply);
    cr_assert_not_null(strstr(kit.log,
                              "vta.bit: design 'vta', part '7z', made 2019/07/09 12:34:56, "
                              "16 bytes"),
                       "%s", kit.log);
    call(&client, &reply, upload, "sb", "vta.bit", bitstream, sizeof bitstream - 3);
    expect_null(&reply);
    call(&client, &reply, init, "s", "vta.bit");
    expect_null(&reply);
    cr_assert_not_null(strstr(kit.log, "vta.bit: a bitstream's header that is truncated"));
    call(&client, &reply, upload, "sb", "vta.bit", "text", (size_t)4);
    expect_null(&reply);
    call(&client, &reply, init, "s", "vta.bit");
    expect_null(&reply);
    cr_assert_not_null(strstr(kit.log, "vta.bit: no bitstream"));
}

Test(functions, reconfigure_the_board_before_its_first_use, .init = begin, .fini = end)
{
    const char *smaller = "{\"TARGET\":\"sim\",\"HW_VER\":\"0.0.2\",\"LOG_INP_WIDTH\":3,"
                          "\"LOG_WGT_WIDTH\":3,\"LOG_ACC_WIDTH\":5,\"LOG_BATCH\":0,\"LOG_BLOCK\":4,"
                          "\"LOG_UOP_BUFF_SIZE\":14,\"LOG_INP_BUFF_SIZE\":14,"
                          "\"LOG_WGT_BUFF_SIZE\":17,\"LOG_ACC_BUFF_SIZE\":16,"
                          "\"LOG_BLOCK_IN\":4,\"LOG_BLOCK_OUT\":4,\"LOG_OUT_WIDTH\":3,"
                          "\"LOG_OUT_BUFF_SIZE\":14}";
    uint64_t reconfigure = function_of(&client, "tvm.contrib.vta.reconfig_runtime");
    call(&client, &reply, reconfigure, "s", "{\"LOG_INP_WIDTH\":3");
    expect_exception(&reply, "JSON");
    call(&client, &reply, reconfigure, "s", "{\"LOG_BATCH\":0,\"FPGA_DEVICE\":\"xc7z020\"}");
    expect_null(&reply);
    cr_assert_not_null(strstr(kit.log, "hardware: unknown key 'FPGA_DEVICE' is ignored"));
    call(&client, &reply, reconfigure, "s", smaller);
    expect_null(&reply);
    cr_assert_eq(vta_board_hw(kit.worker.board)->log_uop_buff, 14);
    board_tensors();
    doubles();
    call(&client, &reply, reconfigure, "s", smaller);
    expect_null(&reply);
    call(&client, &reply, function_of(&client, "tvm.contrib.vta.init"), "s",
         "1x16_i8w8a32_15_15_18_17.bit");
    expect_exception(&reply, "only before its first use");
    doubles();
}

/* ---- Timing -------------------------------------------------------------------------------- */

/* How often the module's functions were called, this call not counted. */
static int64_t calls(uint64_t count)
{
    call(&client, &reply, count, "");
    return expect_int(&reply) - 1;
}

Test(functions, are_timed_in_every_versions_words, .init = begin, .fini = end)
{
    uint64_t make = function_of(&client, "runtime.RPCTimeEvaluator");
    uint64_t module = module_of(&client, "a.so"), count = kernel_of(&client, module, "count");
    const int64_t cpu = TVM_CPU, id = 0, number = 3, repeat = 4, ms = 0, zero = 0, one = 1;
    int64_t before = 0;
    for (int version = 0; version < 5; version++) {
        switch (version) {
        case 0:
            call(&client, &reply, make, "msiiiii", module, "echo", cpu, id, number, repeat, ms);
            break;
        case 1:
            call(&client, &reply, make, "msiiiiis", module, "echo", cpu, id, number, repeat, ms,
                 "");
            break;
        case 2:
            call(&client, &reply, make, "msiiiiiiis", module, "echo", cpu, id, number, repeat, ms,
                 zero, one, "");
            break;
        case 3:
            call(&client, &reply, make, "msiiiiiiiis", module, "echo", cpu, id, number, repeat, ms,
                 zero, zero, one, "");
            break;
        default:
            call(&client, &reply, make, "osiiiiiiiiis", module, "echo", cpu, id, number, repeat, ms,
                 zero, one, one, (int64_t)4096, "");
        }
        uint64_t evaluator = expect_handle(&reply, TVM_FUNCTION);
        call(&client, &reply, evaluator, "i", (int64_t)7);
        cr_assert_eq(reply.code, TVM_PACKET_RETURN);
        cr_assert_eq(reply.items[0].i, TVM_BYTES);
        cr_assert_eq(reply.items[1].bytes.size, 4 * sizeof(double));
        for (size_t i = 0; i < 4; i++) {
            double seconds;
            memcpy(&seconds, reply.items[1].bytes.data + 8 * i, 8);
            cr_assert_geq(seconds, 0);
            cr_assert_lt(seconds, 10);
        }
        reply_free(&reply);
        int64_t after = calls(count);
        cr_assert_eq(after - before, 1 + 3 * 4); /* one to warm up */
        before = after + 1;
        ask(&client, &reply, TVM_PACKET_FREE_HANDLE, "hi", evaluator, (int64_t)TVM_FUNCTION);
        expect_null(&reply);
    }
    call(&client, &reply, make, "msiiiiiis", module, "echo", cpu, id, number, repeat, ms, zero, "");
    expect_exception(&reply, "takes 7, 8, 10, 11 or 12 arguments by the client's version, got 9");
}

Test(functions, are_called_more_often_until_min_repeat_ms)
{
    struct worker_options options;
    kit_options(&options);
    options.max_evaluations = 100000000;
    kit_open(&kit, &options);
    client_open(&client, &kit);
    uint64_t module = module_of(&client, "a.so"), count = kernel_of(&client, module, "count");
    call(&client, &reply, function_of(&client, "runtime.RPCTimeEvaluator"), "msiiiiis", module,
         "echo", (int64_t)1, (int64_t)0, (int64_t)1, (int64_t)2, (int64_t)3, "");
    call(&client, &reply, expect_handle(&reply, TVM_FUNCTION), "i", (int64_t)7);
    cr_assert_eq(reply.items[1].bytes.size, 16);
    double seconds;
    memcpy(&seconds, reply.items[1].bytes.data + 8, 8);
    reply_free(&reply);
    cr_assert_gt(seconds, 0);
    int64_t made = calls(count);
    cr_assert_gt(made, 20);
    cr_assert_geq((double)made * seconds, 0.003); /* the last measurement alone took that long */
    end();
}

Test(functions, of_the_server_can_be_timed_and_prepare, .init = begin, .fini = end)
{
    uint64_t make = function_of(&client, "runtime.RPCTimeEvaluator");
    struct tensor tensor = { .data = memory_of(&client, TVM_CPU, 64),
                             .device = TVM_CPU,
                             .bits = 8,
                             .ndim = 1,
                             .shape = { 64 } };
    call(&client, &reply, make, "nsiiiiis", "tvm.contrib.random.random_fill", (int64_t)1,
         (int64_t)0, (int64_t)2, (int64_t)2, (int64_t)0, "cache_flush_cpu_non_first_arg");
    call(&client, &reply, expect_handle(&reply, TVM_FUNCTION), "t", &tensor);
    cr_assert_eq(reply.code, TVM_PACKET_RETURN);
    cr_assert_eq(reply.items[1].bytes.size, 16);
    reply_free(&reply);
    call(&client, &reply, make, "nsiiiiis", "no.such", (int64_t)1, (int64_t)0, (int64_t)2,
         (int64_t)2, (int64_t)0, "");
    expect_exception(&reply, "the server has no function no.such");
    call(&client, &reply, make, "msiiiiis", module_of(&client, "a.so"), "no_such", (int64_t)1,
         (int64_t)0, (int64_t)2, (int64_t)2, (int64_t)0, "");
    expect_exception(&reply, "the module has no function no_such");
    call(&client, &reply, make, "nsiiiiis", "__tvm_set_device", (int64_t)1, (int64_t)0, (int64_t)2,
         (int64_t)2, (int64_t)0, "no.such");
    expect_exception(&reply, "no function no.such to call first");
}

/* How long "double" takes by the board's clock, asked twice in one evaluation. */
static void time_on_board(enum vta_board_timing timing, double *seconds)
{
    struct worker_options options;
    kit_options(&options);
    options.board.timing = timing;
    options.board_clock = true;
    kit_open(&kit, &options);
    client_open(&client, &kit);
    board_tensors();
    uint64_t make = function_of(&client, "runtime.RPCTimeEvaluator");
    uint64_t module = module_of(&client, "a.so"), count = kernel_of(&client, module, "count");
    doubles();
    call(&client, &reply, make, "msiiiiis", module, "double", (int64_t)12, (int64_t)0, (int64_t)50,
         (int64_t)2, (int64_t)0, "");
    call(&client, &reply, expect_handle(&reply, TVM_FUNCTION), "tt", &numbers, &results);
    if (seconds == NULL) {
        expect_exception(&reply, "double: the clock is the board's, but no timing profile");
    } else {
        cr_assert_eq(reply.items[1].bytes.size, 16);
        memcpy(seconds, reply.items[1].bytes.data, 16);
        reply_free(&reply);
    }
    cr_assert_eq(calls(count), 1);
    /* What runs nothing on the board is timed all the same. */
    call(&client, &reply, make, "msiiiiis", module, "echo", (int64_t)12, (int64_t)0, (int64_t)5,
         (int64_t)2, (int64_t)0, "");
    call(&client, &reply, expect_handle(&reply, TVM_FUNCTION), "i", (int64_t)1);
    cr_assert_eq(reply.items[1].bytes.size, 16);
    reply_free(&reply);
    end();
}

Test(functions, are_timed_by_the_boards_clock)
{
    double first[2], second[2];
    time_on_board(VTA_BOARD_TIMING_AUTO, first);
    time_on_board(VTA_BOARD_TIMING_AUTO, second);
    cr_assert_gt(first[0], 0);
    cr_assert_eq(memcmp(first, second, sizeof first), 0);
    cr_assert_eq(first[0], first[1]);
}

Test(functions, are_not_timed_by_the_clock_of_no_board)
{
    time_on_board(VTA_BOARD_TIMING_OFF, NULL);
}

Test(functions, are_timed_within_limits, .init = begin, .fini = end)
{
    uint64_t make = function_of(&client, "runtime.RPCTimeEvaluator");
    uint64_t module = module_of(&client, "a.so");
    call(&client, &reply, make, "msiiiiis", module, "echo", (int64_t)1, (int64_t)0, (int64_t)0,
         (int64_t)1, (int64_t)0, "");
    expect_exception(&reply, "argument 5 of runtime.RPCTimeEvaluator is 0, not from 1 to 100");
    call(&client, &reply, make, "msiiiiis", module, "echo", (int64_t)1, (int64_t)0, (int64_t)50,
         (int64_t)2, (int64_t)0, "");
    uint64_t evaluator = expect_handle(&reply, TVM_FUNCTION);
    call(&client, &reply, evaluator, "i", (int64_t)7);
    expect_exception(&reply, "echo: more than 100 calls in one evaluation");
    call(&client, &reply, evaluator, "ii", (int64_t)7, (int64_t)7);
    expect_exception(&reply, "echo: words of its own");
    call(&client, &reply, make, "msiiiiiiiiis", module, "echo", (int64_t)1, (int64_t)0, (int64_t)1,
         (int64_t)1, (int64_t)0, (int64_t)0, (int64_t)1, (int64_t)0, (int64_t)0, "");
    expect_exception(&reply, "repeats_to_cooldown is 1 or more");
    call(&client, &reply, make, "msiiiiiiiiis", module, "echo", (int64_t)1, (int64_t)0, (int64_t)1,
         (int64_t)1, (int64_t)0, (int64_t)0, (int64_t)0, (int64_t)0, (int64_t)1 << 30, "");
    call(&client, &reply, expect_handle(&reply, TVM_FUNCTION), "i", (int64_t)7);
    expect_exception(&reply, "pass the limit of 1048576");
}

Test(functions, are_timed_no_longer_than_the_deadline)
{
    struct worker_options options;
    kit_options(&options);
    options.run_deadline_ms = 50;
    options.max_evaluations = UINT32_MAX;
    kit_open(&kit, &options);
    client_open(&client, &kit);
    uint64_t make = function_of(&client, "runtime.RPCTimeEvaluator");
    uint64_t module = module_of(&client, "a.so");
    call(&client, &reply, make, "msiiiiis", module, "echo", (int64_t)1, (int64_t)0,
         (int64_t)INT32_MAX, (int64_t)1, (int64_t)0, "");
    call(&client, &reply, expect_handle(&reply, TVM_FUNCTION), "i", (int64_t)7);
    expect_exception(&reply, "passed the deadline of 50 ms");
    /* A pause between measurements ends then, too. */
    call(&client, &reply, make, "msiiiiiiis", module, "echo", (int64_t)1, (int64_t)0, (int64_t)1,
         (int64_t)2, (int64_t)0, (int64_t)3600000, (int64_t)1, "");
    call(&client, &reply, expect_handle(&reply, TVM_FUNCTION), "i", (int64_t)7);
    expect_exception(&reply, "passed the deadline of 50 ms");
    call(&client, &reply, kernel_of(&client, module, "echo"), "i", (int64_t)7);
    cr_assert_eq(expect_int(&reply), 7);
    end();
}

/* ---- Tensors for tuners, devices ------------------------------------------------------------ */

Test(functions, fill_tensors_with_numbers_of_their_type, .init = begin, .fini = end)
{
    const struct {
        uint8_t code, bits;
    } types[] = { { 0, 8 },  { 0, 32 }, { 1, 16 }, { 1, 1 }, { 0, 4 },
                  { 2, 16 }, { 2, 32 }, { 2, 64 }, { 4, 16 } };
    uint64_t fill = function_of(&client, "tvm.contrib.random.random_fill");
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct tensor tensor = { .device = i % 2 == 0 ? TVM_CPU : TVM_EXT_DEV,
                                 .code = types[i].code,
                                 .bits = types[i].bits,
                                 .ndim = 1,
                                 .shape = { 333 } };
        size_t nbytes = 333u * ((types[i].bits + 7u) / 8u);
        uint8_t bytes[333 * 8];
        tensor.data = memory_of(&client, tensor.device, nbytes);
        call(&client, &reply, fill, "t", &tensor);
        expect_null(&reply);
        copy_from(&client, &tensor, bytes, nbytes);
        unsigned zeros = 0;
        for (size_t k = 0; k < nbytes; k++)
            zeros += bytes[k] == 0;
        cr_assert_lt(zeros, nbytes * 3 / 4);
        for (size_t k = 0; k < 333 && types[i].bits < 8; k++)
            cr_assert_lt(bytes[k], 1 << types[i].bits);
        for (size_t k = 0; k < 333 && types[i].code == 2 && types[i].bits == 32; k++) {
            float number;
            memcpy(&number, bytes + 4 * k, 4);
            cr_assert(number >= 0 && number < 1);
        }
        for (size_t k = 0; k < 333 && types[i].code == 2 && types[i].bits == 64; k++) {
            double number;
            memcpy(&number, bytes + 8 * k, 8);
            cr_assert(number >= 0 && number < 1);
        }
        for (size_t k = 0; k < 333 && types[i].bits == 16 && types[i].code >= 2; k++) {
            uint16_t half, one = types[i].code == 2 ? 0x3c00 : 0x3f80;
            memcpy(&half, bytes + 2 * k, 2);
            cr_assert_lt(half, one); /* positive, and below 1 */
        }
    }
    struct tensor odd = { .data = memory_of(&client, 1, 9),
                          .device = 1,
                          .code = 2,
                          .bits = 24,
                          .ndim = 1,
                          .shape = { 3 } };
    call(&client, &reply, fill, "t", &odd);
    expect_exception(&reply, "no random numbers of type code 2 with 24 bits");
    call(&client, &reply, fill, "i", (int64_t)1);
    expect_exception(&reply, "expected type tensor, got int");
}

Test(functions, know_the_devices, .init = begin, .fini = end)
{
    uint64_t set = function_of(&client, "__tvm_set_device");
    call(&client, &reply, set, "ii", (int64_t)12, (int64_t)0);
    expect_null(&reply);
    call(&client, &reply, set, "ii", (int64_t)2, (int64_t)0);
    expect_exception(&reply, "device type 2 id 0 does not exist");
    call(&client, &reply, set, "i", (int64_t)2);
    expect_exception(&reply, "__tvm_set_device takes 2 arguments, got 1");
    call(&client, &reply, function_of(&client, "device_api.ext_dev"), "");
    expect_null(&reply);
}
