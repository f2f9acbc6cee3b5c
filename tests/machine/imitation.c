/* imitation.c: machine code that does what TVM's does: a module of kernels that call every backend
 * function, run on the board, and fail. Kernels that attack the process are in tests/tvm/misbehave.
 *
 * Compiled to imitation.o and imitation.so, and never linked into a test: what it calls it finds as
 * TVM's modules do, some through variables that the loader sets, some by dynamic linking.
 *
 *   kernel                what it does
 *   vector_add(a, b, c)   c = low bits of a + b on the board; int32, int32, int8; 16·n numbers
 *   matmul(a, w, c)       c = a·wᵀ on the board, a (1, k, 1, 16), w (n, k, 16, 16), c (1, n, 1, 16)
 *   set_device()          calls the server's __tvm_set_device, kept in a variable
 *   add_one(x)            x + 1
 *   call_own(x)           add_one(x), found by name
 *   call_named(name, x)   a function of any name, called with an int; its result
 *   echo(text)            the same text
 *   pass_on()             gives echo what text returned, and what echo returned, with another call
 *                         between; 1 where it comes back
 *   find(name)            0, or −1 with the backend's words
 *   same_again(name)      1 where looking twice finds the same
 *   workspaces(n)         n workspaces that grow, written and freed; bytes that were not aligned
 *   device_workspace()    a workspace in DRAM, written through its CPU pointer and copied; 0
 *   parallel_sum(a)       the sum of int32 numbers by all tasks, in two steps with a barrier
 *   parallel_tasks(n)     how many tasks ran of n that were asked for
 *   parallel_nested()     tasks of a launch inside a task
 *   parallel_calls()      every task calls text(); 0
 *   parallel_fail(i)      task i fails with words of its own
 *   parallel_leave()      one task returns while the others wait for it at a barrier
 *   run_once()            how often a function ran that was asked to run once, in all calls
 *   array(n)              an int8 tensor 0, 1, …, n − 1
 *   same_array()          the same tensor at every call
 *   text(), bytes(), real(), foreign_array(), opaque()   results of these kinds
 *   constructed()         what a constructor has set
 *   last_error()          0 where setting and getting it agree
 *   fail(), fail_silently()   fails with words, and without
 *   fail_half_way(a)      records a load and a pop for the board, and fails
 *   outside(a)            loads behind the end of a on the board, and returns 0
 *   wild_pointer()        loads from an address of its own on the board
 *   copy_outside(a)       copies past the end of a buffer
 *   debug(flags)          sets the runtime's debug flags
 *   shut_down()           shuts VTA's runtime down
 *   spin_board()          runs on the board until it is stopped
 */
#include <stdbool.h>
#include <string.h>

#include "worker/abi_calls.h"

#define EXPORT __attribute__((visibility("default")))

enum {
    LOAD = 1,
    COMPUTE = 2,
    STORE = 3,
    WGT = 1,
    INP = 2,
    ACC = 3,
    OUT = 4
};

/* ---- What the loader fills in -------------------------------------------------------------- */

EXPORT void *__tvm_module_ctx;
EXPORT int (*__TVMFuncCall)(void *, union tvm_value *, int *, int, union tvm_value *, int *);
EXPORT void (*__TVMAPISetLastError)(const char *);
EXPORT int (*__TVMBackendGetFuncFromEnv)(void *, const char *, void **);
EXPORT void *(*__TVMBackendAllocWorkspace)(int, int, uint64_t, int, int);
EXPORT int (*__TVMBackendFreeWorkspace)(int, int, void *);
EXPORT int (*__TVMBackendParallelLaunch)(tvm_parallel_task, void *, int);
EXPORT int (*__TVMBackendParallelBarrier)(int, struct tvm_parallel_env *);
EXPORT const char __tvm_main__[] = "vector_add";

/* A kernel's head, and how it ends. */
#define KERNEL(name)                                                                               \
    EXPORT int name(union tvm_value *args, int32_t *codes, int count, union tvm_value *result,     \
                    int32_t *result_code, void *resource);                                         \
    int name(union tvm_value *args, int32_t *codes, int count, union tvm_value *result,            \
             int32_t *result_code, void *resource)
#define UNUSED()                                                                                   \
    (void)args, (void)codes, (void)count, (void)result, (void)result_code, (void)resource

#define RETURN_INT(value)                                                                          \
    do {                                                                                           \
        result->i = (value);                                                                       \
        *result_code = TVM_INT;                                                                    \
        return 0;                                                                                  \
    } while (0)

static int fail_with(const char *message)
{
    __TVMAPISetLastError(message);
    return -1;
}

static int64_t elements(const struct tvm_tensor *tensor)
{
    int64_t n = 1;
    for (int i = 0; i < tensor->ndim; i++)
        n *= tensor->shape[i];
    return n;
}

/* ---- On the board -------------------------------------------------------------------------- */

static int add_uop(void *signature)
{
    int32_t tiles;
    memcpy(&tiles, signature, sizeof tiles);
    VTAUopLoopBegin((uint32_t)tiles, 1, 1, 0);
    VTAUopPush(1, 0, 0, (uint32_t)tiles, 0, 2, 0, 0);
    VTAUopLoopEnd();
    return 0;
}

KERNEL(vector_add)
{
    static void *site;
    UNUSED();
    if (count != 3)
        return fail_with("Assert fail: (num_args == 3), vector_add: num_args should be 3");
    const struct tvm_tensor *a = args[0].p, *b = args[1].p, *c = args[2].p;
    const int32_t tiles = (int32_t)(elements(a) / 16);
    void *cmd = VTATLSCommandHandle();
    VTALoadBuffer2D(cmd, a->data, 0, (uint32_t)tiles, 1, (uint32_t)tiles, 0, 0, 0, 0, 0, ACC);
    VTALoadBuffer2D(cmd, b->data, 0, (uint32_t)tiles, 1, (uint32_t)tiles, 0, 0, 0, 0,
                    (uint32_t)tiles, ACC);
    if (VTAPushALUOp(&site, add_uop, (void *)&tiles, sizeof tiles) != 0)
        return -1;
    VTADepPush(cmd, COMPUTE, STORE);
    VTADepPop(cmd, COMPUTE, STORE);
    VTAStoreBuffer2D(cmd, 0, OUT, c->data, 0, (uint32_t)tiles, 1, (uint32_t)tiles);
    VTASynchronize(cmd, 1u << 31);
    return 0;
}

static int reset_uop(void *signature)
{
    (void)signature;
    VTAUopPush(0, 1, 0, 0, 0, 0, 0, 0);
    return 0;
}

static int gemm_uop(void *signature)
{
    int32_t k;
    memcpy(&k, signature, sizeof k);
    VTAUopLoopBegin((uint32_t)k, 0, 1, 1);
    VTAUopPush(0, 0, 0, 0, 0, 0, 0, 0);
    VTAUopLoopEnd();
    return 0;
}

/* One tile of results after the other; leaves a store→compute token and a pop for it behind. */
KERNEL(matmul)
{
    static void *reset_site, *gemm_site;
    static bool called;
    UNUSED();
    const struct tvm_tensor *a = args[0].p, *w = args[1].p, *c = args[2].p;
    const int32_t k = (int32_t)a->shape[1], n = (int32_t)c->shape[1];
    void *cmd = VTATLSCommandHandle();
    if (!called)
        VTADepPush(cmd, STORE, COMPUTE);
    for (int32_t i = 0; i < n; i++) {
        if (i > 0 || !called)
            VTADepPop(cmd, STORE, COMPUTE);
        if (VTAPushGEMMOp(&reset_site, reset_uop, NULL, 0) != 0)
            return -1;
        VTADepPush(cmd, COMPUTE, LOAD);
        VTADepPop(cmd, COMPUTE, LOAD);
        VTALoadBuffer2D(cmd, a->data, 0, (uint32_t)k, 1, (uint32_t)k, 0, 0, 0, 0, 0, INP);
        VTALoadBuffer2D(cmd, w->data, (uint32_t)(i * k), (uint32_t)k, 1, (uint32_t)k, 0, 0, 0, 0, 0,
                        WGT);
        VTADepPush(cmd, LOAD, COMPUTE);
        VTADepPop(cmd, LOAD, COMPUTE);
        if (VTAPushGEMMOp(&gemm_site, gemm_uop, (void *)&k, sizeof k) != 0)
            return -1;
        VTADepPush(cmd, COMPUTE, STORE);
        VTADepPop(cmd, COMPUTE, STORE);
        VTAStoreBuffer2D(cmd, 0, OUT, c->data, (uint32_t)i, 1, 1, 1);
        VTADepPush(cmd, STORE, COMPUTE);
    }
    VTASynchronize(cmd, 1u << 31);
    VTADepPop(cmd, STORE, COMPUTE);
    called = true;
    return 0;
}

KERNEL(outside)
{
    UNUSED();
    const struct tvm_tensor *a = args[0].p;
    void *cmd = VTATLSCommandHandle();
    VTALoadBuffer2D(cmd, a->data, (uint32_t)elements(a), 1, 1, 1, 0, 0, 0, 0, 0, INP);
    VTASynchronize(cmd, 1u << 31);
    return 0;
}

KERNEL(wild_pointer)
{
    static int32_t numbers[16];
    UNUSED();
    VTALoadBuffer2D(VTATLSCommandHandle(), numbers, 0, 1, 1, 1, 0, 0, 0, 0, 0, ACC);
    return 0;
}

KERNEL(copy_outside)
{
    char bytes[64] = { 0 };
    UNUSED();
    const struct tvm_tensor *a = args[0].p;
    VTABufferCopy(bytes, 0, a->data, (size_t)elements(a) - 10, 11, 1);
    return 0;
}

KERNEL(fail_half_way)
{
    UNUSED();
    const struct tvm_tensor *a = args[0].p;
    void *cmd = VTATLSCommandHandle();
    VTALoadBuffer2D(cmd, a->data, 0, 1, 1, 1, 0, 0, 0, 0, 0, INP);
    VTADepPop(cmd, COMPUTE, LOAD);
    return fail_with("half-way");
}

static int endless_uop(void *signature)
{
    (void)signature;
    VTAUopLoopBegin(16383, 0, 0, 0);
    VTAUopLoopBegin(16383, 0, 0, 0);
    VTAUopPush(0, 0, 0, 0, 0, 0, 0, 0);
    VTAUopLoopEnd();
    VTAUopLoopEnd();
    return 0;
}

KERNEL(spin_board)
{
    static void *site;
    UNUSED();
    for (int i = 0; i < 10000; i++)
        VTAPushGEMMOp(&site, endless_uop, NULL, 0);
    VTASynchronize(VTATLSCommandHandle(), 1u << 31);
    return 0;
}

KERNEL(debug)
{
    UNUSED();
    VTASetDebugMode(VTATLSCommandHandle(), (int)args[0].i);
    return 0;
}

KERNEL(shut_down)
{
    UNUSED();
    VTARuntimeShutdown();
    return 0;
}

/* ---- Functions ----------------------------------------------------------------------------- */

KERNEL(set_device)
{
    static void *function;
    union tvm_value values[2] = { { .i = TVM_EXT_DEV }, { .i = 0 } }, nothing;
    int types[2] = { TVM_INT, TVM_INT }, nothing_code;
    UNUSED();
    if (function == NULL &&
        __TVMBackendGetFuncFromEnv(__tvm_module_ctx, "__tvm_set_device", &function) != 0)
        return -1;
    return __TVMFuncCall(function, values, types, 2, &nothing, &nothing_code);
}

KERNEL(add_one)
{
    UNUSED();
    RETURN_INT(args[0].i + 1);
}

static int has_called_own;

KERNEL(call_own)
{
    static void *function;
    UNUSED();
    has_called_own = 1;
    if (function == NULL && TVMBackendGetFuncFromEnv(__tvm_module_ctx, "add_one", &function) != 0)
        return -1;
    return TVMFuncCall(function, args, codes, count, result, result_code);
}

KERNEL(call_named)
{
    void *function;
    UNUSED();
    if (TVMBackendGetFuncFromEnv(__tvm_module_ctx, args[0].s, &function) != 0)
        return -1;
    return TVMFuncCall(function, args + 1, codes + 1, count - 1, result, result_code);
}

KERNEL(echo)
{
    (void)count, (void)resource;
    *result = args[0];
    *result_code = codes[0];
    return 0;
}

KERNEL(pass_on)
{
    static const char *const names[] = { "text", "echo", "add_one", "echo" };
    union tvm_value given = { .s = "" }, value;
    int given_code = TVM_STRING, code;
    void *function;
    UNUSED();
    for (int i = 0; i < 4; i++) {
        if (TVMBackendGetFuncFromEnv(__tvm_module_ctx, names[i], &function) != 0 ||
            TVMFuncCall(function, &given, &given_code, 1, &value, &code) != 0)
            return -1;
        if (code == TVM_STRING)
            given = value;
    }
    RETURN_INT(strcmp(given.s, "words") == 0);
}

KERNEL(find)
{
    void *function;
    UNUSED();
    return TVMBackendGetFuncFromEnv(__tvm_module_ctx, args[0].s, &function);
}

KERNEL(same_again)
{
    void *first = NULL, *second = NULL;
    UNUSED();
    if (TVMBackendGetFuncFromEnv(__tvm_module_ctx, args[0].s, &first) != 0 ||
        TVMBackendGetFuncFromEnv(__tvm_module_ctx, args[0].s, &second) != 0)
        return -1;
    RETURN_INT(first == second && first != NULL);
}

/* ---- Workspaces ---------------------------------------------------------------------------- */

KERNEL(workspaces)
{
    void *taken[64];
    int64_t unaligned = 0, n = args[0].i;
    UNUSED();
    for (int64_t i = 0; i < n; i++) {
        const uint64_t nbytes = (uint64_t)i * 1000 + 1;
        taken[i] = (i % 2 == 0 ? TVMBackendAllocWorkspace : __TVMBackendAllocWorkspace)(
            TVM_CPU, 0, nbytes, TVM_DTYPE_FLOAT, 32);
        if (taken[i] == NULL)
            return -1;
        unaligned += (uintptr_t)taken[i] % 64 != 0;
        memset(taken[i], (int)i, nbytes);
    }
    for (int64_t i = 0; i < n; i++)
        unaligned += ((unsigned char *)taken[i])[i * 1000] != i;
    while (n-- > 0)
        if ((n % 2 == 0 ? TVMBackendFreeWorkspace : __TVMBackendFreeWorkspace)(TVM_CPU, 0,
                                                                               taken[n]) != 0)
            return -1;
    RETURN_INT(unaligned);
}

KERNEL(device_workspace)
{
    char text[8] = "";
    UNUSED();
    void *cmd = VTATLSCommandHandle();
    char *workspace = TVMBackendAllocWorkspace(TVM_EXT_DEV, 0, 100, TVM_DTYPE_INT, 8);
    char *buffer = VTABufferAlloc(100);
    if (workspace == NULL || buffer == NULL)
        return -1;
    memcpy(VTABufferCPUPtr(cmd, workspace), "copied", sizeof "copied");
    VTAWriteBarrier(cmd, workspace, 8, 0, 100);
    VTABufferCopy(workspace, 0, buffer, 10, 7, 3);
    VTAReadBarrier(cmd, buffer, 8, 0, 100);
    VTABufferCopy(buffer, 10, text, 0, 7, 2);
    VTABufferCopy("x", 0, buffer, 99, 1, 1);
    const int64_t wrong = strcmp(text, "copied") != 0 || buffer[99] != 'x';
    VTABufferFree(buffer);
    if (TVMBackendFreeWorkspace(TVM_EXT_DEV, 0, workspace) != 0)
        return -1;
    RETURN_INT(wrong);
}

/* ---- Parallel launches --------------------------------------------------------------------- */

struct sum {
    const struct tvm_tensor *tensor;
    int64_t parts[64], total;
};

static int sum_task(int task, struct tvm_parallel_env *env, void *data)
{
    struct sum *sum = data;
    const int32_t *numbers = sum->tensor->data;
    const int64_t n = elements(sum->tensor);
    const int64_t step = (n + env->num_task - 1) / env->num_task;
    for (int64_t i = step * task; i < n && i < step * (task + 1); i++)
        sum->parts[task] += numbers[i];
    if (__TVMBackendParallelBarrier(task, env) != 0)
        return -1;
    if (task == env->num_task - 1)
        for (int i = 0; i < env->num_task; i++)
            sum->total += sum->parts[i];
    return 0;
}

KERNEL(parallel_sum)
{
    struct sum sum = { .tensor = args[0].p };
    UNUSED();
    if (__TVMBackendParallelLaunch(sum_task, &sum, 0) != 0)
        return -1;
    RETURN_INT(sum.total);
}

static int count_task(int task, struct tvm_parallel_env *env, void *data)
{
    (void)env;
    ((int64_t *)data)[task]++;
    return 0;
}

static int64_t launch_counting(int tasks)
{
    int64_t counts[64] = { 0 }, sum = 0;
    if (TVMBackendParallelLaunch(count_task, counts, tasks) != 0)
        return -1;
    for (int i = 0; i < 64; i++)
        sum += counts[i] == 1 ? 1 : counts[i] == 0 ? 0 : 1000;
    return sum;
}

KERNEL(parallel_tasks)
{
    UNUSED();
    RETURN_INT(launch_counting((int)args[0].i));
}

static int nested_task(int task, struct tvm_parallel_env *env, void *data)
{
    (void)env;
    ((int64_t *)data)[task] = launch_counting(0);
    return 0;
}

KERNEL(parallel_nested)
{
    int64_t counts[64] = { 0 }, most = 0;
    UNUSED();
    if (TVMBackendParallelLaunch(nested_task, counts, 0) != 0)
        return -1;
    for (int i = 0; i < 64; i++)
        most = counts[i] > most ? counts[i] : most;
    RETURN_INT(most);
}

static int failing_task(int task, struct tvm_parallel_env *env, void *data)
{
    (void)env;
    if (task != *(int64_t *)data)
        return 0;
    __TVMAPISetLastError("a task failed");
    return -1;
}

static int calling_task(int task, struct tvm_parallel_env *env, void *data)
{
    union tvm_value value;
    int code;
    (void)env;
    if (TVMFuncCall(data, NULL, NULL, 0, &value, &code) != 0)
        return -1;
    return code == TVM_STRING && strcmp(value.s, "words") == 0 ? 0 : task + 1;
}

KERNEL(parallel_calls)
{
    void *function;
    UNUSED();
    if (TVMBackendGetFuncFromEnv(__tvm_module_ctx, "text", &function) != 0)
        return -1;
    RETURN_INT(TVMBackendParallelLaunch(calling_task, function, 0));
}

KERNEL(parallel_fail)
{
    UNUSED();
    return TVMBackendParallelLaunch(failing_task, &args[0].i, 0);
}

static int leaving_task(int task, struct tvm_parallel_env *env, void *data)
{
    (void)data;
    if (task == 0)
        return 0;
    for (int i = 0; i < 3; i++)
        TVMBackendParallelBarrier(task, env);
    return 0;
}

KERNEL(parallel_leave)
{
    UNUSED();
    return TVMBackendParallelLaunch(leaving_task, NULL, 0);
}

/* ---- Results ------------------------------------------------------------------------------- */

static int64_t ran;

static int run(void *data)
{
    ran += *(int64_t *)data;
    return 0;
}

KERNEL(run_once)
{
    static void *handle;
    int64_t one = 1;
    UNUSED();
    if (TVMBackendRunOnce(&handle, run, &one, sizeof one) != 0 ||
        TVMBackendRegisterSystemLibSymbol("run_once", &handle) != 0)
        return -1;
    RETURN_INT(ran);
}

KERNEL(array)
{
    struct tvm_tensor *tensor;
    UNUSED();
    if (TVMArrayAlloc(&args[0].i, 1, TVM_DTYPE_INT, 8, 1, TVM_CPU, 0, &tensor) != 0)
        return -1;
    for (int64_t i = 0; i < args[0].i; i++)
        ((int8_t *)tensor->data)[i] = (int8_t)i;
    result->p = tensor;
    *result_code = TVM_NDARRAY;
    return 0;
}

KERNEL(same_array)
{
    static struct tvm_tensor *tensor;
    int64_t shape = 4;
    UNUSED();
    if (tensor == NULL && TVMArrayAlloc(&shape, 1, TVM_DTYPE_INT, 8, 1, TVM_CPU, 0, &tensor) != 0)
        return -1;
    result->p = tensor;
    *result_code = TVM_NDARRAY;
    return 0;
}

KERNEL(foreign_array)
{
    static int64_t shape[1] = { 0 };
    static struct tvm_tensor tensor = { .ndim = 1, .shape = shape };
    UNUSED();
    result->p = &tensor;
    *result_code = TVM_NDARRAY;
    return 0;
}

KERNEL(text)
{
    UNUSED();
    result->s = "words";
    *result_code = TVM_STRING;
    return 0;
}

KERNEL(bytes)
{
    static const struct tvm_bytes bytes = { "a\0b", 3 };
    UNUSED();
    result->p = (void *)&bytes;
    *result_code = TVM_BYTES;
    return 0;
}

KERNEL(real)
{
    UNUSED();
    result->f = 0.5;
    *result_code = TVM_FLOAT;
    return 0;
}

KERNEL(opaque)
{
    UNUSED();
    result->p = result;
    *result_code = TVM_OPAQUE;
    return 0;
}

static int64_t constructor_ran;

__attribute__((constructor)) static void construct(void)
{
    constructor_ran = 42;
}

/* Uses what the module has looked up, which has to be there until this has run. */
__attribute__((destructor)) static void finish(void)
{
    void *function;
    if (has_called_own && TVMBackendGetFuncFromEnv(__tvm_module_ctx, "add_one", &function) == 0)
        TVMBackendGetFuncFromEnv(__tvm_module_ctx, "echo", &function);
}

KERNEL(constructed)
{
    UNUSED();
    RETURN_INT(constructor_ran);
}

KERNEL(last_error)
{
    UNUSED();
    TVMAPISetLastError("first");
    TVMAPISetLastError(TVMGetLastError());
    RETURN_INT(strcmp(TVMGetLastError(), "first"));
}

/* ---- Failing ------------------------------------------------------------------------------- */

KERNEL(fail)
{
    UNUSED();
    return fail_with("words of its own");
}

KERNEL(fail_silently)
{
    UNUSED();
    return -1;
}
