/* test_backend.c: the functions that machine code calls: TVM's backend and what is exported. */
#include <criterion/criterion.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"
#include "worker/abi_calls.h"
#include "worker/builtins.h"
#include "worker/parallel.h"
#include "worker/workspace.h"

static struct kit kit;
static struct module *module;

static void start(void)
{
    kit_open(&kit, 4);
    module = kit_module(&kit, kit_built("imitation.so"));
}

static void stop(void)
{
    module_release(module);
    kit_close(&kit);
}

TestSuite(backend, .init = start, .fini = stop, .timeout = 60);

static int call_text(const char *name, const char *text, int64_t number, struct result *result)
{
    struct function *function = kit_function(module, name);
    union tvm_value values[2] = { { .s = text }, { .i = number } };
    const int32_t codes[2] = { TVM_STRING, TVM_INT };
    int rc = function_call(function, values, codes, 2, result, &kit.error);
    function_release(function);
    return rc;
}

/* ---- Exports ------------------------------------------------------------------------------- */

Test(backend, exports_the_names_that_machine_code_calls_and_no_others)
{
    static const char *const names[] = {
        "TVMFuncCall",
        "TVMAPISetLastError",
        "TVMGetLastError",
        "TVMBackendGetFuncFromEnv",
        "TVMBackendAllocWorkspace",
        "TVMBackendFreeWorkspace",
        "TVMBackendParallelLaunch",
        "TVMBackendParallelBarrier",
        "TVMBackendRegisterSystemLibSymbol",
        "TVMBackendRunOnce",
        "TVMArrayAlloc",
        "TVMArrayFree",
        "VTATLSCommandHandle",
        "VTARuntimeShutdown",
        "VTABufferAlloc",
        "VTABufferFree",
        "VTABufferCopy",
        "VTABufferCPUPtr",
        "VTAWriteBarrier",
        "VTAReadBarrier",
        "VTASetDebugMode",
        "VTALoadBuffer2D",
        "VTAStoreBuffer2D",
        "VTAUopPush",
        "VTAUopLoopBegin",
        "VTAUopLoopEnd",
        "VTAPushGEMMOp",
        "VTAPushALUOp",
        "VTADepPush",
        "VTADepPop",
        "VTASynchronize",
    };
    static const char *const hidden[] = { "worker_current", "vta_runtime_synchronise", "abi_clear",
                                          "vta_hw_default" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        cr_expect_not_null(dlsym(RTLD_DEFAULT, names[i]), "%s", names[i]);
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++)
        cr_expect_null(dlsym(RTLD_DEFAULT, hidden[i]), "%s", hidden[i]);
}

/* ---- Functions ----------------------------------------------------------------------------- */

Test(backend, finds_and_calls_its_own_functions_and_the_servers)
{
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(kit_int(&kit, module, "call_own", 41), 42);
        cr_expect_eq(kit_fails(&kit, module, "set_device", 0), 0, "%s", kit.error.message);
    }
}

Test(backend, lets_a_call_have_what_another_returned)
{
    cr_expect_eq(kit_int(&kit, module, "pass_on", 0), 1);
}

Test(backend, keeps_what_it_found_for_the_module)
{
    struct result result;
    cr_assert_eq(call_text("same_again", "add_one", 0, &result), 0, "%s", kit.error.message);
    cr_expect_eq(result.value.i, 1);
    cr_assert_eq(call_text("same_again", "__tvm_set_device", 0, &result), 0);
    cr_expect_eq(result.value.i, 1);
}

Test(backend, finds_functions_of_imported_modules)
{
    struct module *second = kit_module(&kit, kit_built("imitation.so"));
    struct module *tree = kit_module(&kit, kit_built("tree.so"));
    struct result result;
    cr_assert_eq(call_text("find", "variant", 0, &result), VTA_EINVAL);
    cr_assert_eq(module_import(module, second, &kit.error), 0);
    cr_assert_eq(module_import(second, tree, &kit.error), 0);
    module_release(second);
    module_release(tree);
    cr_expect_eq(call_text("find", "variant", 0, &result), 0, "%s", kit.error.message);
    cr_expect_eq(call_text("same_again", "variant", 0, &result), 0);
    cr_expect_eq(result.value.i, 1);
}

Test(backend, times_functions_of_imported_modules)
{
    struct module *tree = kit_module(&kit, kit_built("tree.so"));
    struct function *maker = builtin_find(&kit.worker, "runtime.RPCTimeEvaluator");
    union tvm_value args[] = { { .p = module }, { .s = "variant" }, { .i = TVM_CPU }, { .i = 0 },
                               { .i = 1 },      { .i = 2 },         { .i = 0 },       { .s = "" } };
    const int32_t codes[] = { TVM_MODULE, TVM_STRING, TVM_INT, TVM_INT,
                              TVM_INT,    TVM_INT,    TVM_INT, TVM_STRING };
    struct result evaluator, seconds;
    cr_assert_eq(function_call(maker, args, codes, 8, &evaluator, &kit.error), VTA_ENOTFOUND);
    cr_assert_eq(module_import(module, tree, &kit.error), 0);
    module_release(tree);
    cr_assert_eq(function_call(maker, args, codes, 8, &evaluator, &kit.error), 0, "%s",
                 kit.error.message);
    cr_assert_eq(function_call(evaluator.value.p, NULL, NULL, 0, &seconds, &kit.error), 0);
    cr_expect_eq(seconds.nbytes, 2 * sizeof(double));
    result_clear(&seconds);
    result_clear(&evaluator);
    function_release(maker);
}

Test(backend, says_what_it_did_not_find)
{
    struct result result;
    cr_expect_eq(call_text("find", "tvm.contrib.cblas.matmul", 0, &result), VTA_EINVAL);
    cr_expect_str_eq(kit.error.message,
                     "find: imitation.so: it calls tvm.contrib.cblas.matmul, which neither it nor "
                     "a module it imports nor this server has");
    void *function;
    cr_expect_eq(TVMBackendGetFuncFromEnv(NULL, "f", &function), -1);
    cr_expect_str_eq(TVMGetLastError(),
                     "f is looked up for a module that this server did not load");
}

Test(backend, passes_failures_through_machine_code_to_its_caller)
{
    struct result result;
    cr_expect_eq(call_text("call_named", "fail", 0, &result), VTA_EINVAL);
    cr_expect_str_eq(kit.error.message, "call_named: fail: words of its own");
    cr_expect_eq(call_text("call_named", "text", 0, &result), 0);
    cr_expect_str_eq(result.bytes, "words");
    result_clear(&result);
    cr_expect_eq(call_text("call_named", "array", 3, &result), 0, "%s", kit.error.message);
    cr_expect_eq(result.code, TVM_NDARRAY);
    result_clear(&result);
    int code;
    union tvm_value value;
    cr_expect_eq(TVMFuncCall(NULL, NULL, NULL, 0, &value, &code), -1);
}

Test(backend, keeps_the_last_error_also_when_it_is_set_to_itself)
{
    cr_expect_eq(kit_int(&kit, module, "last_error", 0), 0);
    TVMAPISetLastError(NULL);
    cr_expect_str_empty(TVMGetLastError());
    char *longest = malloc(5000);
    memset(longest, 'x', 4999);
    longest[4999] = '\0';
    TVMAPISetLastError(longest);
    cr_expect_eq(strlen(TVMGetLastError()), (size_t)VTA_ERROR_TEXT - 1);
    free(longest);
}

/* ---- Workspaces ---------------------------------------------------------------------------- */

Test(backend, gives_aligned_workspaces_and_takes_them_back)
{
    for (int i = 0; i < 3; i++)
        cr_expect_eq(kit_int(&kit, module, "workspaces", 40), 0);
    const uint64_t kept = worker_cpu_bytes(&kit.worker);
    cr_expect_eq(kit_int(&kit, module, "workspaces", 40), 0);
    cr_expect_eq(worker_cpu_bytes(&kit.worker), kept, "the same sizes come from the pool");
}

Test(backend, gives_workspaces_on_the_device)
{
    cr_expect_eq(kit_int(&kit, module, "device_workspace", 0), 0);
    struct vta_dram_stats stats;
    vta_board_memory(kit.worker.board, &stats);
    cr_expect_eq(stats.allocations, 0u);
}

Test(backend, refuses_workspaces_past_the_limit_and_of_strange_devices)
{
    struct vta_error *error = &kit.error;
    const uint64_t limit = kit.worker.options.max_cpu_bytes;
    cr_expect_null(workspace_alloc(&kit.worker, TVM_CPU, limit + 1, error));
    cr_expect_eq(error->code, VTA_ELIMIT);
    cr_expect_null(workspace_alloc(&kit.worker, TVM_CPU, UINT64_MAX, error));
    cr_expect_eq(error->code, VTA_ELIMIT);
    void *most = workspace_alloc(&kit.worker, TVM_CPU, limit / 10 * 9, error);
    cr_assert_not_null(most);
    cr_expect_null(workspace_alloc(&kit.worker, TVM_CPU, limit / 10 * 9, error));
    cr_expect_eq(workspace_free(&kit.worker, TVM_CPU, most, error), 0);
    cr_expect_eq(workspace_free(&kit.worker, TVM_CPU, most, error), VTA_EHANDLE);
    void *small = workspace_alloc(&kit.worker, TVM_CPU, limit / 10 * 3, error);
    cr_expect_not_null(small, "what waits in the pool makes room: %s", error->message);
    cr_expect_null(workspace_alloc(&kit.worker, 2, 64, error));
    cr_expect_eq(error->code, VTA_EINVAL);
    cr_expect_eq(workspace_free(&kit.worker, TVM_EXT_DEV, small, error), VTA_EINVAL);
}

/* ---- Parallel launches --------------------------------------------------------------------- */

Test(backend, sums_in_parallel_with_a_barrier)
{
    int32_t numbers[1000];
    const int64_t shape[] = { 1000 };
    int64_t want = 0;
    struct kit_tensor tensor = kit_tensor(numbers, 32, 1, shape);
    struct function *function = kit_function(module, "parallel_sum");
    for (int i = 0; i < 1000; i++)
        want += numbers[i] = i * i - 5000;
    for (int call = 0; call < 300; call++) {
        struct result result;
        cr_assert_eq(kit_call(&kit, function, (struct kit_tensor *[]){ &tensor }, 1, &result), 0);
        cr_assert_eq(result.value.i, want);
    }
    function_release(function);
}

Test(backend, runs_as_many_tasks_as_asked_and_as_there_are_threads)
{
    static const int asked[] = { 0, 1, 2, 3, 4, 5, 64, -1 }, ran[] = { 4, 1, 2, 3, 4, 4, 4, 4 };
    for (int i = 0; i < 8; i++)
        cr_expect_eq(kit_int(&kit, module, "parallel_tasks", asked[i]), ran[i], "%d", asked[i]);
    kit.worker.options.threads = 1;
    cr_expect_eq(kit_int(&kit, module, "parallel_tasks", 8), 1);
}

Test(backend, runs_a_launch_inside_a_task_alone)
{
    cr_expect_eq(kit_int(&kit, module, "parallel_nested", 0), 1);
}

Test(backend, lets_every_task_call_functions_that_return_text)
{
    for (int i = 0; i < 20; i++)
        cr_expect_eq(kit_int(&kit, module, "parallel_calls", 0), 0);
}

Test(backend, passes_on_the_error_of_any_task)
{
    for (int task = 0; task < 4; task++) {
        cr_expect_eq(kit_fails(&kit, module, "parallel_fail", task), VTA_EINVAL);
        cr_expect_str_eq(kit.error.message, "parallel_fail: a task failed");
    }
    cr_expect_eq(kit_fails(&kit, module, "parallel_fail", 9), 0);
}

Test(backend, opens_a_barrier_for_those_who_are_left)
{
    for (int i = 0; i < 100; i++)
        cr_expect_eq(kit_fails(&kit, module, "parallel_leave", 0), 0);
}

Test(backend, starts_threads_again_after_they_were_stopped)
{
    cr_expect_eq(kit_int(&kit, module, "parallel_tasks", 0), 4);
    parallel_stop();
    cr_expect_eq(kit_int(&kit, module, "parallel_tasks", 0), 4);
}

/* ---- Without a session --------------------------------------------------------------------- */

Test(outside, does_nothing_but_say_so_where_there_is_no_session)
{
    void *function;
    struct tvm_tensor *tensor;
    cr_expect_null(VTATLSCommandHandle());
    cr_expect_eq(TVMBackendGetFuncFromEnv(NULL, "f", &function), -1);
    cr_expect_not_null(strstr(TVMGetLastError(), "no session"));
    cr_expect_null(TVMBackendAllocWorkspace(TVM_CPU, 0, 64, 0, 8));
    cr_expect_eq(TVMBackendFreeWorkspace(TVM_CPU, 0, NULL), -1);
    cr_expect_eq(TVMArrayAlloc(NULL, 0, 0, 8, 1, TVM_CPU, 0, &tensor), -1);
    cr_expect_null(VTABufferAlloc(64));
    cr_expect_eq(VTADepPush(NULL, 1, 2), -1);
    VTABufferFree(NULL);
    VTASynchronize(NULL, 0);
    VTARuntimeShutdown();
}
