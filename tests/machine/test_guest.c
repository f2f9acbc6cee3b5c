/* test_guest.c: emulated code and what it finds: every function of the table, what it may not do,
 * and how it is stopped. Its kernels are in guest.c and imitation.c.
 */
#include "emulated.h"

#include <math.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emulator/imports.h"
#include "signatures.h"

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

/* ---- Functions that compute ------------------------------------------------------------------ */

static const char *const signatures[] = {
#define NAME(name, ...) name,
    SIGNATURES(NAME, NAME, NAME)
};

static int signature_of(const char *text)
{
    for (size_t i = 0; i < COUNT(signatures); i++)
        if (strcmp(signatures[i], text) == 0)
            return (int)i;
    return -1;
}

static const double numbers[] = { 0.0,  -0.0,   1.0,   -1.5,   0.3,  2.5,       -7.0,     100.7,
                                  1e10, -3e9,   5e18,  1.8e19, 7e37, 1e-40,     65519.0,  6e-8,
                                  NAN,  -1e300, 1e300, 5e-324, 42.0, -INFINITY, INFINITY, 0.9999 };
static const int64_t integers[] = { 0,         1,         -1,        7,         -7,
                                    2,         31,        63,        64,        -1000003,
                                    INT32_MIN, INT32_MAX, INT64_MIN, INT64_MAX, 0x123456789abcdef,
                                    0x3c01,    0x8001,    0x7c00,    0xfe00,    UINT32_MAX };

static uint32_t values_of(char letter)
{
    return strchr("fd", letter) != NULL ? COUNT(numbers) : COUNT(integers);
}

static uint64_t value_of(char letter, uint32_t index)
{
    if (letter == 'd')
        return bits_of_d(numbers[index]);
    if (letter == 'f')
        return bits_of_f((float)numbers[index]);
    return letter == 'i' ? bits_of_i((int32_t)integers[index]) : (uint64_t)integers[index];
}

static bool same(const struct emulated *emulated, char letter, uint64_t a, uint64_t b)
{
    if (letter == 'd' && isnan(FROM_BITS(double, a)))
        return isnan(FROM_BITS(double, b));
    if (letter == 'f' && isnan(FROM_BITS(float, a)))
        return isnan(FROM_BITS(float, b));
    if (letter == 'n' && emulated->machine == EM_ARM)
        return (uint32_t)a == (uint32_t)b;
    return a == b;
}

static void compare(struct emulated *emulated, const struct import *import, const char *letters,
                    const uint64_t bits[3])
{
    const int signature = signature_of(import->signature);
    uint64_t here[3] = { bits[0], bits[1], bits[2] };
    /* A long is narrower there, and sign-extended here. */
    for (int i = 0; i < 3 && letters[1 + i] != '\0'; i++)
        if (letters[1 + i] == 'n' && emulated->machine == EM_ARM)
            here[i] = (uint64_t)(int64_t)(int32_t)bits[i];
    const uint64_t expected = call_signature((uint32_t)signature, (uintptr_t)import->host, here);
    const int64_t args[5] = { signature,
                              (int64_t)emulated->cpu->ops->import(emulated->cpu, import->name),
                              (int64_t)bits[0], (int64_t)bits[1], (int64_t)bits[2] };
    const uint64_t found = (uint64_t)emulated_int(emulated, "call_function", 5, args);
    cr_assert(same(emulated, letters[0], expected, found),
              "%s(0x%llx, 0x%llx, 0x%llx): 0x%llx, not 0x%llx", import->name,
              (unsigned long long)bits[0], (unsigned long long)bits[1], (unsigned long long)bits[2],
              (unsigned long long)found, (unsigned long long)expected);
}

/* With all combinations of values, thinned out for three parameters. */
static void compare_all(struct emulated *emulated, const struct import *import)
{
    const char *letters = import->signature + (import->signature[0] == '~');
    const size_t count = strlen(letters) - 1;
    const uint32_t a = values_of(letters[1]), b = count > 1 ? values_of(letters[2]) : 1;
    const uint32_t c = count > 2 ? values_of(letters[3]) : 1;
    for (uint32_t i = 0; i<a * b * c; i += count> 2 ? 7 : 1) {
        const uint64_t bits[3] = { value_of(letters[1], i % a),
                                   count > 1 ? value_of(letters[2], i / a % b) : 0,
                                   count > 2 ? value_of(letters[3], i / a / b) : 0 };
        compare(emulated, import, letters, bits);
    }
}

/* Those that other tests call, because there is more to them than numbers. */
static bool is_called_elsewhere(const char *name)
{
    static const char *const names[] = { "memcpy",
                                         "memmove",
                                         "memset",
                                         "memcmp",
                                         "bcmp",
                                         "strlen",
                                         "strcmp",
                                         "frexp",
                                         "frexpf",
                                         "modf",
                                         "modff",
                                         "remquo",
                                         "remquof",
                                         "lgamma_r",
                                         "lgammaf_r",
                                         "sincos",
                                         "sincosf",
                                         "__aeabi_idivmod",
                                         "__aeabi_uidivmod",
                                         "__aeabi_ldivmod",
                                         "__aeabi_uldivmod",
                                         "abort",
                                         "__stack_chk_fail" };
    for (size_t i = 0; i < COUNT(names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return strncmp(name, "TVM", 3) == 0 || strncmp(name, "VTA", 3) == 0 ||
           strncmp(name, "__aeabi_mem", 11) == 0;
}

ON_BOTH(guest, computes_as_this_machine_does, "guest")
{
    uint32_t compared = 0;
    for (uint32_t i = 1; i < import_count(); i++) {
        const struct import *import = import_at(i);
        if (strcmp(import->signature, "v") == 0 || strlen(import->signature) == 1 ||
            is_called_elsewhere(import->name))
            continue;
        cr_assert_geq(signature_of(import->signature), 0, "%s: a test for %s", import->name,
                      import->signature);
        compare_all(emulated, import);
        compared++;
    }
    cr_expect_gt(compared, 150u);
}

ON_BOTH(guest, gets_second_results_through_pointers, "guest")
{
    static const double values[] = { 0.75, -123.456, 3e10, -0.3 };
    for (size_t v = 0; v < COUNT(values); v++) {
        const double x = values[v], y = 3.5;
        const float f = (float)x;
        double first[10], second[10], sine, cosine;
        float whole, fsine, fcosine;
        int n;
        first[0] = frexp(x, &n), second[0] = n;
        first[1] = frexpf(f, &n), second[1] = n;
        first[2] = modf(x, &second[2]);
        first[3] = modff(f, &whole), second[3] = whole;
        first[4] = remquo(x, y, &n), second[4] = n;
        first[5] = remquof(f, (float)y, &n), second[5] = n;
        first[6] = lgamma_r(x, &n), second[6] = n;
        first[7] = lgammaf_r(f, &n), second[7] = n;
        sincos(x, &sine, &cosine);
        first[8] = sine, second[8] = cosine;
        sincosf(f, &fsine, &fcosine);
        first[9] = fsine, second[9] = fcosine;
        for (int which = 0; which < 20; which++) {
            union tvm_value args[4] = {
                { .i = which / 2 }, { .f = x }, { .f = y }, { .i = which % 2 }
            };
            const int32_t codes[4] = { TVM_INT, TVM_FLOAT, TVM_FLOAT, TVM_INT };
            const double expected = which % 2 == 0 ? first[which / 2] : second[which / 2];
            struct result result;
            cr_assert_eq(emulated_call(emulated, "two_results", args, codes, 4, &result), 0, "%s",
                         emulated->kit.error.message);
            cr_expect_eq(result.value.f, expected, "%d of %g: %.17g, not %.17g", which, x,
                         result.value.f, expected);
        }
    }
}

ON_BOTH(guest, divides, "guest")
{
    for (size_t i = 0; i < COUNT(integers); i++) {
        for (size_t k = 0; k < COUNT(integers); k++) {
            const int64_t a = integers[i], b = integers[k];
            const int32_t n = (int32_t)a, d = (int32_t)b;
            if (b == 0 || d == 0 || (a == INT64_MIN && b == -1) || (n == INT32_MIN && d == -1))
                continue;
            const int64_t expected[4] = {
                (int64_t)((uint64_t)(uint32_t)(n / d) << 32 | (uint32_t)(n % d)),
                (int64_t)((uint64_t)((uint32_t)n / (uint32_t)d) << 32 | (uint32_t)n % (uint32_t)d),
                (a / b) ^ (int64_t)((uint64_t)(a % b) << 1),
                (int64_t)((uint64_t)a / (uint64_t)b ^ ((uint64_t)a % (uint64_t)b) << 1)
            };
            for (int kind = 0; kind < 4; kind++)
                cr_expect_eq(emulated_int(emulated, "divide", 3, (const int64_t[]){ kind, a, b }),
                             expected[kind], "%d: %lld, %lld", kind, (long long)a, (long long)b);
            if (emulated->machine != EM_ARM)
                continue;
            cr_expect_eq(emulated_int(emulated, "divide_signed", 3, (const int64_t[]){ 0, a, b }),
                         expected[0]);
            cr_expect_eq(emulated_int(emulated, "divide_unsigned", 3, (const int64_t[]){ 0, a, b }),
                         expected[1]);
        }
    }
}

Test(guest, divides_by_zero_as_an_arm_does)
{
    struct emulated emulated;
    emulated_open(&emulated, EM_ARM, "guest");
    cr_expect_eq(emulated_int(&emulated, "divide_signed", 3, (const int64_t[]){ 0, -7, 0 }),
                 (int64_t)(uint32_t)-7);
    cr_expect_eq(emulated_int(&emulated, "divide_signed", 3, (const int64_t[]){ 0, INT32_MIN, -1 }),
                 (int64_t)((uint64_t)(uint32_t)INT32_MIN << 32));
    cr_expect_eq(emulated_int(&emulated, "divide", 3, (const int64_t[]){ 2, INT64_MIN, -1 }),
                 INT64_MIN);
    cr_expect_eq(emulated_int(&emulated, "divide", 3, (const int64_t[]){ 3, 9, 0 }), 18);
    emulated_close(&emulated);
}

ON_BOTH(guest, moves_and_compares_memory, "guest")
{
    cr_expect_eq(emulated_int(emulated, "memory", 0, NULL), 0);
}

ON_BOTH(guest, finds_every_function_of_the_interface, NULL)
{
    FILE *list = fopen(getenv("VTA_ABI_LIST"), "r");
    char line[128];
    uint32_t found = 0;
    cr_assert_not_null(list);
    while (fgets(line, sizeof line, list) != NULL) {
        char name[64];
        if (sscanf(line, " %63[A-Za-z0-9]", name) != 1)
            continue;
        cr_expect_neq(emulated->cpu->ops->import(emulated->cpu, name), 0u, "%s", name);
        found++;
    }
    fclose(list);
    cr_expect_gt(found, 30u);
    cr_expect_eq(emulated->cpu->ops->import(emulated->cpu, "system"), 0u);
}

/* ---- Arguments and results ------------------------------------------------------------------- */

ON_BOTH(guest, gets_arguments_of_every_kind, "guest")
{
    int16_t *memory = worker_alloc(&emulated->kit.worker, 4096, &emulated->kit.error);
    int64_t shape[2] = { 2, 3 }, strides[2] = { 8, 2 };
    struct tvm_tensor tensor = { .data = memory,
                                 .device = { TVM_CPU, 0 },
                                 .ndim = 2,
                                 .dtype = { 0, 16, 1 },
                                 .shape = shape,
                                 .strides = strides,
                                 .byte_offset = 64 };
    struct tvm_bytes bytes = { "a\0b", 3 };
    union tvm_value args[6] = {
        { .p = &tensor }, { .s = "words" }, { .p = &bytes }, { .f = 0.5 }, { .device = { 12, 7 } }
    };
    const int32_t codes[6] = { TVM_TENSOR, TVM_STRING, TVM_BYTES, TVM_FLOAT, TVM_DEVICE, TVM_NULL };
    struct result result;
    memory[32 + 12] = 1234;
    cr_assert_eq(emulated_call(emulated, "arguments", args, codes, 6, &result), 0, "%s",
                 emulated->kit.error.message);
    cr_expect_eq(result.value.i, 0, "step %lld", (long long)result.value.i);
    /* What it cannot be given. */
    char *large = malloc(2 << 20);
    memset(large, 'x', (2 << 20) - 1);
    large[(2 << 20) - 1] = '\0';
    args[1].s = large;
    cr_expect_eq(emulated_call(emulated, "arguments", args, codes, 6, &result), VTA_ELIMIT);
    free(large);
    args[1].s = "words";
    tensor.data = shape;
    cr_expect_eq(emulated_call(emulated, "arguments", args, codes, 6, &result), VTA_EREFUSED);
    const int32_t function[1] = { TVM_FUNCTION };
    cr_expect_eq(emulated_call(emulated, "arguments", args, function, 1, &result),
                 VTA_EUNSUPPORTED);
    worker_release(&emulated->kit.worker, memory, NULL);
}

static struct result call_int(struct emulated *emulated, const char *name, int64_t arg)
{
    union tvm_value args[1] = { { .i = arg } };
    const int32_t codes[1] = { TVM_INT };
    struct result result;
    cr_assert_eq(emulated_call(emulated, name, args, codes, 1, &result), 0, "%s: %s", name,
                 emulated->kit.error.message);
    return result;
}

ON_BOTH(guest, returns_every_kind, "imitation")
{
    struct result result = call_int(emulated, "text", 0);
    cr_expect_eq(result.code, TVM_STRING);
    cr_expect_str_eq(result.bytes, "words");
    result_clear(&result);
    result = call_int(emulated, "bytes", 0);
    cr_expect_eq(result.code, TVM_BYTES);
    cr_expect_eq(result.nbytes, 3u);
    cr_expect_arr_eq(result.bytes, "a\0b", 3);
    result_clear(&result);
    result = call_int(emulated, "real", 0);
    cr_expect_eq(result.code, TVM_FLOAT);
    cr_expect_eq(result.value.f, 0.5);
    result = call_int(emulated, "array", 5);
    cr_expect_eq(result.code, TVM_NDARRAY);
    const struct tvm_tensor *tensor = result.value.p;
    cr_expect_eq(tensor->ndim, 1);
    cr_expect_eq(tensor->shape[0], 5);
    for (int i = 0; i < 5; i++)
        cr_expect_eq(((int8_t *)tensor->data)[i], i);
    result_clear(&result);
    result = call_int(emulated, "same_array", 0);
    result_clear(&result);
    emulated_fails(emulated, "same_array", 0, VTA_EINVAL, "not its own to give");
    emulated_fails(emulated, "foreign_array", 0, VTA_EINVAL, "not its own to give");
    emulated_fails(emulated, "opaque", 0, VTA_EUNSUPPORTED, "type code 3");
}

/* ---- Calls back ------------------------------------------------------------------------------ */

ON_BOTH(guest, uses_tvms_backend, "imitation")
{
    cr_expect_eq(emulated_int(emulated, "constructed", 0, NULL), 42);
    for (int i = 0; i < 2; i++) {
        cr_expect_eq(emulated_int(emulated, "call_own", 1, (const int64_t[]){ 41 }), 42);
        cr_expect_eq(call_int(emulated, "set_device", 0).code, TVM_NULL);
        cr_expect_eq(emulated_int(emulated, "run_once", 0, NULL), 1);
        cr_expect_eq(emulated_int(emulated, "workspaces", 1, (const int64_t[]){ 40 }), 0);
        cr_expect_eq(emulated_int(emulated, "device_workspace", 0, NULL), 0);
        cr_expect_eq(emulated_int(emulated, "parallel_tasks", 1, (const int64_t[]){ 4 }), 1);
        cr_expect_eq(emulated_int(emulated, "parallel_nested", 0, NULL), 1);
        cr_expect_eq(emulated_int(emulated, "parallel_calls", 0, NULL), 0);
        cr_expect_eq(call_int(emulated, "parallel_leave", 0).code, TVM_NULL);
        cr_expect_eq(emulated_int(emulated, "pass_on", 0, NULL), 1);
        cr_expect_eq(emulated_int(emulated, "last_error", 0, NULL), 0);
    }
    emulated_fails(emulated, "parallel_fail", 0, VTA_EINVAL, "a task failed");
    emulated_fails(emulated, "fail", 0, VTA_EINVAL, "words of its own");
    emulated_fails(emulated, "fail_silently", 0, VTA_EINVAL, "did not say why");
}

static int call_named(struct emulated *emulated, const char *name, union tvm_value value,
                      int32_t code, struct result *result)
{
    union tvm_value args[2] = { { .s = name }, value };
    const int32_t codes[2] = { TVM_STRING, code };
    return emulated_call(emulated, "call_named", args, codes, 2, result);
}

ON_BOTH(guest, passes_values_to_functions_and_gets_theirs, "imitation")
{
    struct tvm_bytes bytes = { "a\0b", 3 };
    struct result result;
    cr_assert_eq(call_named(emulated, "add_one", (union tvm_value){ .i = -5 }, TVM_INT, &result),
                 0);
    cr_expect_eq(result.value.i, -4);
    cr_assert_eq(call_named(emulated, "text", (union tvm_value){ 0 }, TVM_NULL, &result), 0);
    cr_expect_str_eq(result.bytes, "words");
    result_clear(&result);
    cr_assert_eq(call_named(emulated, "echo", (union tvm_value){ .p = &bytes }, TVM_BYTES, &result),
                 0, "%s", emulated->kit.error.message);
    cr_expect_eq(result.nbytes, 3u);
    cr_expect_arr_eq(result.bytes, "a\0b", 3);
    result_clear(&result);
    cr_assert_eq(call_named(emulated, "array", (union tvm_value){ .i = 7 }, TVM_INT, &result), 0,
                 "%s", emulated->kit.error.message);
    cr_expect_eq(((struct tvm_tensor *)result.value.p)->shape[0], 7);
    result_clear(&result);
    /* Failures of the function are the code's to pass on. */
    cr_expect_eq(call_named(emulated, "fail", (union tvm_value){ 0 }, TVM_NULL, &result),
                 VTA_EINVAL);
    cr_expect_not_null(strstr(emulated->kit.error.message, "words of its own"));
    cr_expect_eq(call_named(emulated, "nobody", (union tvm_value){ 0 }, TVM_NULL, &result),
                 VTA_EINVAL);
}

/* Any function may take a tensor. */
ON_BOTH(guest, passes_tensors_on, "imitation")
{
    const int64_t shape[] = { 1000 };
    int32_t *memory = worker_alloc(&emulated->kit.worker, 4000, &emulated->kit.error);
    struct kit_tensor tensor = kit_tensor(memory, 32, 1, shape);
    union tvm_value value = { .p = &tensor.tensor };
    const int32_t code = TVM_TENSOR;
    struct result result;
    int64_t sum = 0;
    tensor.tensor.shape = tensor.shape;
    for (int i = 0; i < 1000; i++)
        sum += memory[i] = i * i - 5000;
    cr_assert_eq(emulated_call(emulated, "parallel_sum", &value, &code, 1, &result), 0, "%s",
                 emulated->kit.error.message);
    cr_expect_eq(result.value.i, sum);
    cr_assert_eq(call_named(emulated, "parallel_sum", value, TVM_TENSOR, &result), 0, "%s",
                 emulated->kit.error.message);
    cr_expect_eq(result.value.i, sum);
    worker_release(&emulated->kit.worker, memory, NULL);
}

/* A module of it is one as any other: what it finds by name is its own, and runs within its call.
 */
ON_BOTH(guest, calls_its_own_functions_by_name, NULL)
{
    struct kit *kit = &emulated->kit;
    struct function *function;
    struct result result;
    char name[64];
    kit->worker.options.engine = engine_load(getenv("VTA_ENGINE"), &kit->error);
    snprintf(name, sizeof name, "imitation-%s.o", emulated->suffix);
    struct module *module = kit_module(kit, kit_built(name));
    for (int i = 0; i < 2; i++) {
        cr_expect_eq(kit_int(kit, module, "call_own", 41), 42);
        cr_expect_eq(kit_int(kit, module, "pass_on", 0), 1);
        cr_expect_eq(kit_int(kit, module, "parallel_calls", 0), 0);
        cr_expect_eq(kit_int(kit, module, "constructed", 0), 42);
        cr_expect_eq(kit_fails(kit, module, "fail", 0), VTA_EINVAL);
        cr_expect_str_eq(kit->error.message, "fail: words of its own");
    }
    function = kit_function(module, "call_named");
    union tvm_value args[2] = { { .s = "array" }, { .i = 3 } };
    const int32_t codes[2] = { TVM_STRING, TVM_INT };
    cr_assert_eq(function_call(function, args, codes, 2, &result, &kit->error), 0, "%s",
                 kit->error.message);
    cr_expect_eq(((int8_t *)((struct tvm_tensor *)result.value.p)->data)[2], 2);
    result_clear(&result);
    function_release(function);
    module_release(module);
    snprintf(name, sizeof name, "guest-%s.o", emulated->suffix);
    module = kit_module(kit, kit_built(name));
    cr_expect_eq(kit_fails(kit, module, "read_at", 0), VTA_EREFUSED);
    cr_expect_eq(strncmp(kit->error.message, "read_at: read at 0x0", 20), 0, "%s",
                 kit->error.message);
    module_release(module);
}

/* ---- What it may not do ---------------------------------------------------------------------- */

/* The session lives on. */
static void expect_alive(struct emulated *emulated)
{
    cr_expect_eq(emulated_int(emulated, "memory", 0, NULL), 0);
}

ON_BOTH(guest, says_where_it_leaves_its_memory, "guest")
{
    const int64_t code = emulated_int(emulated, "own_code", 0, NULL);
    const int64_t constant = emulated_int(emulated, "own_constant", 0, NULL);
    emulated_fails(emulated, "read_at", 0xf2345678, VTA_EREFUSED, "read at 0xf2345678");
    emulated_fails(emulated, "read_at", 0xf2345678, VTA_EREFUSED, "in read_at+0x");
    emulated_fails(emulated, "read_at", 0, VTA_EREFUSED, "(module.o)");
    emulated_fails(emulated, "write_at", 0xf2345678, VTA_EREFUSED, "write at 0xf2345678");
    emulated_fails(emulated, "write_at", code & ~INT64_C(3), VTA_EREFUSED,
                   "not its memory to write");
    emulated_fails(emulated, "write_at", constant, VTA_EREFUSED, "not its memory to write");
    emulated_fails(emulated, "jump_to", 0xf2345678, VTA_EREFUSED, "jump to 0xf2345678");
    emulated_fails(emulated, "jump_to", 0xf2345678, VTA_EREFUSED,
                   "the last call was in jump_to+0x");
    emulated_fails(emulated, "jump_to", constant, VTA_EREFUSED, "which is not its code");
    emulated_fails(emulated, "undefined", 0, VTA_EREFUSED, "an instruction at 0x");
    emulated_fails(emulated, "system_call", 0, VTA_EREFUSED, "exception");
    emulated_fails(emulated, "aborts", 0, VTA_EREFUSED, "it called abort");
    cr_expect_eq(emulated_int(emulated, "deep", 1, (const int64_t[]){ 500 }), 500);
    emulated_fails(emulated, "deep", 2000, VTA_EREFUSED, "its stack of 1048576 bytes is full");
    emulated_fails(emulated, "endless_launches", 0, VTA_ELIMIT, "deep");
    expect_alive(emulated);
}

ON_BOTH(guest, is_refused_memory_that_it_does_not_have, "guest")
{
    static const int64_t sizes[] = { 1, 4096, UINT32_MAX, INT64_MAX, -1 };
    const int64_t constant = emulated_int(emulated, "own_constant", 0, NULL);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        const bool narrow = emulated->machine == EM_ARM && sizes[i] == INT64_MAX;
        union tvm_value args[3] = { { .i = 0xf2345678 }, { .i = constant }, { .i = sizes[i] } };
        const int32_t codes[3] = { TVM_INT };
        struct result result;
        cr_expect_eq(emulated_call(emulated, "copies", args, codes, 3, &result), VTA_EREFUSED);
        args[0].i = constant;
        args[1].i = sizes[i];
        cr_expect_eq(emulated_call(emulated, "fills", args, codes, 2, &result), VTA_EREFUSED);
        cr_expect_not_null(strstr(emulated->kit.error.message, "by memset"), "%s (%d)",
                           emulated->kit.error.message, narrow);
    }
    emulated_fails(emulated, "says_wild_text", 0xf2345678, VTA_EREFUSED, "TVMAPISetLastError");
    emulated_fails(emulated, "says_wild_text", 0, VTA_EREFUSED, "TVMAPISetLastError");
    for (int code = TVM_STRING; code <= TVM_BYTES; code++) {
        union tvm_value args[2] = { { .i = 0xf2345678 }, { .i = code } };
        const int32_t codes[2] = { TVM_INT, TVM_INT };
        struct result result;
        cr_expect_eq(emulated_call(emulated, "returns_wild_text", args, codes, 2, &result),
                     VTA_EREFUSED, "%s", emulated->kit.error.message);
    }
    expect_alive(emulated);
}

ON_BOTH(guest, leaves_a_clean_queue_when_it_goes_wrong, "guest")
{
    worker_runtime(&emulated->kit.worker, &emulated->kit.error);
    emulated_fails(emulated, "wild_recording", 0xf2345678, VTA_EREFUSED, "in wild_uop+0x");
    cr_expect_not(vta_runtime_failed(emulated->kit.worker.runtime));
    cr_expect_eq(vta_runtime_take_error(emulated->kit.worker.runtime, &emulated->kit.error), 0);
    expect_alive(emulated);
}

ON_BOTH(guest, fails_as_native_code_does_on_the_board, "imitation")
{
    static const int64_t shape[] = { 16 };
    struct kit_tensor tensor = kit_device_tensor(&emulated->kit, 8, 1, shape);
    union tvm_value value = { .p = &tensor.tensor };
    const int32_t code = TVM_TENSOR;
    struct result result;
    tensor.tensor.shape = tensor.shape;
    cr_expect_eq(emulated_call(emulated, "outside", &value, &code, 1, &result), 0);
    cr_expect_neq(vta_runtime_take_error(emulated->kit.worker.runtime, &emulated->kit.error), 0);
    cr_expect_eq(emulated_call(emulated, "copy_outside", &value, &code, 1, &result), 0);
    cr_expect_eq(vta_runtime_take_error(emulated->kit.worker.runtime, &emulated->kit.error),
                 VTA_ERANGE);
    cr_expect_eq(emulated_call(emulated, "wild_pointer", &value, &code, 1, &result), 0);
    cr_expect_eq(vta_runtime_take_error(emulated->kit.worker.runtime, &emulated->kit.error),
                 VTA_ERANGE);
}

/* ---- Stopping -------------------------------------------------------------------------------- */

static void *stop_soon(void *context)
{
    struct emulated *emulated = context;
    atomic_store(&emulated->kit.worker.call.stop, VTA_EDEADLINE);
    emulated->cpu->ops->stop(emulated->cpu);
    return NULL;
}

static void expect_stopped(struct emulated *emulated, const char *name)
{
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, stop_soon, emulated), 0);
    emulated_fails(emulated, name, 0, VTA_EDEADLINE, "stopped");
    pthread_join(thread, NULL);
    atomic_store(&emulated->kit.worker.call.stop, 0);
    expect_alive(emulated);
}

ON_BOTH(guest, gives_back_what_a_failed_call_took, "guest")
{
    struct vta_dram_stats stats;
    for (int i = 0; i < 3; i++) {
        emulated_fails(emulated, "leaves_a_workspace", TVM_CPU, VTA_EREFUSED, "write at 0x4");
        emulated_fails(emulated, "leaves_a_workspace", TVM_EXT_DEV, VTA_EREFUSED, "write at 0x4");
    }
    vta_board_memory(emulated->kit.worker.board, &stats);
    cr_expect_eq(stats.allocations, 0u);
    cr_expect_lt(worker_cpu_bytes(&emulated->kit.worker), UINT64_C(1) << 20);
}

ON_BOTH(guest, begins_each_call_with_a_fresh_processor, "guest")
{
    cr_expect_eq(emulated_int(emulated, "has_small_numbers", 0, NULL), 1);
    cr_expect_eq(emulated_int(emulated, "flushes_to_zero", 0, NULL), 0);
    cr_expect_eq(emulated_int(emulated, "has_small_numbers", 0, NULL), 1);
}

ON_BOTH(guest, is_stopped, "guest")
{
    for (int i = 0; i < 50; i++) {
        expect_stopped(emulated, "endless");
        expect_stopped(emulated, "endless_task");
    }
}

/* ---- Opening --------------------------------------------------------------------------------- */

Test(guest, names_what_is_missing_or_does_not_fit)
{
    struct kit kit;
    struct cpu *cpu = NULL;
    kit_open(&kit, 1);
    cr_expect_eq(cpu_emulated_open(&cpu, EM_ARM, &kit.worker, NULL, &kit.error), VTA_EUNSUPPORTED);
    cr_expect_not_null(strstr(kit.error.message, "libunicorn2"), "%s", kit.error.message);
    const struct engine_ops *engine = engine_load(getenv("VTA_ENGINE"), &kit.error);
    cr_expect_eq(cpu_emulated_open(&cpu, EM_RISCV, &kit.worker, engine, &kit.error),
                 VTA_EUNSUPPORTED);
    kit_close(&kit);
}

static void expect_large(unsigned machine, int code)
{
    struct worker_options options;
    const struct worker_host host = { 0 };
    struct worker worker;
    struct vta_error error;
    struct cpu *cpu = NULL;
    worker_options_default(&options);
    options.board.dram_bytes = UINT64_C(3) << 30;
    cr_assert_eq(worker_open(&worker, &options, &host, NULL, "/tmp", &error), 0);
    const struct engine_ops *engine = engine_load(getenv("VTA_ENGINE"), &error);
    cr_expect_eq(cpu_emulated_open(&cpu, machine, &worker, engine, &error), code, "%s",
                 error.message);
    cr_expect_not(vta_board_used(worker.board));
    if (cpu != NULL)
        cpu->ops->close(cpu);
    worker_close(&worker);
}

Test(guest, fits_an_arms_addresses_or_says_so)
{
    expect_large(EM_ARM, VTA_EUNSUPPORTED);
    expect_large(EM_AARCH64, 0);
}
