/* test_module.c: machine code as a module: found by name, called, and what comes back. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "expected.h"
#include "kit.h"
#include "worker/module_tree.h"

static struct kit kit;
static struct module *module;

static void start(void)
{
    kit_open(&kit, 2);
    module = kit_module(&kit, kit_built("imitation.so"));
}

static void stop(void)
{
    module_release(module);
    kit_close(&kit);
}

TestSuite(module, .init = start, .fini = stop, .timeout = 60);

static int call_tensors(const char *name, struct kit_tensor *const *tensors, int count)
{
    struct function *function = kit_function(module, name);
    struct result result;
    int rc = kit_call(&kit, function, tensors, count, &result);
    result_clear(&result);
    function_release(function);
    return rc;
}

/* ---- Finding ------------------------------------------------------------------------------- */

Test(module, finds_its_own_functions_only)
{
    struct function *function = kit_function(module, "add_one");
    function_release(function);
    cr_expect_null(module_find(module, "no_such_function", true));
    cr_expect_null(module_find(module, "malloc", true), "of a library that it is linked with");
    cr_expect_null(module_find(module, "__tvm_module_ctx", true), "a variable");
    cr_expect_null(module_find(module, "", true));
}

Test(module, finds_its_default_kernel_by_the_variable_that_names_it)
{
    struct kit_tensor a = kit_device_tensor(&kit, 32, 1, (int64_t[]){ 16 });
    struct kit_tensor c = kit_device_tensor(&kit, 8, 1, (int64_t[]){ 16 });
    ((int32_t *)a.tensor.data)[5] = 21;
    cr_assert_eq(call_tensors("__tvm_main__", (struct kit_tensor *[]){ &a, &a, &c }, 3), 0, "%s",
                 kit.error.message);
    cr_expect_eq(((int8_t *)c.tensor.data)[5], 42);
}

Test(module, finds_functions_of_imported_modules_depth_first)
{
    struct module *tree = kit_module(&kit, kit_built("tree.so"));
    cr_expect_null(module_find(tree, "add_one", true));
    cr_assert_eq(module_import(tree, module, &kit.error), 0);
    cr_expect_null(module_find(tree, "add_one", false));
    struct function *function = module_find(tree, "add_one", true);
    cr_expect_not_null(function);
    function_release(function);
    cr_expect_eq(module_import(module, tree, &kit.error), VTA_EINVAL);
    cr_expect_eq(module_import(module, module, &kit.error), VTA_EINVAL);
    module_release(tree);
}

Test(module, stays_mapped_while_a_function_of_it_is_held)
{
    struct module *second = kit_module(&kit, kit_built("imitation.so"));
    struct function *function = kit_function(second, "add_one");
    union tvm_value value = { .i = 6 };
    const int32_t code = TVM_INT;
    struct result result;
    module_release(second);
    cr_assert_eq(function_call(function, &value, &code, 1, &result, &kit.error), 0);
    cr_expect_eq(result.value.i, 7);
    function_release(function);
}

Test(module, maps_a_second_load_beside_the_first)
{
    cr_expect_eq(kit_int(&kit, module, "run_once", 0), 1);
    cr_expect_eq(kit_int(&kit, module, "run_once", 0), 1);
    struct module *second = kit_module(&kit, kit_built("imitation.so"));
    cr_expect_eq(kit_int(&kit, second, "run_once", 0), 1, "it has variables of its own");
    module_release(second);
}

Test(module, maps_what_was_uploaded_anew_under_the_same_name)
{
    struct module *other = NULL;
    size_t nbytes;
    char *bytes = kit_read(kit_built("tree.so"), &nbytes);
    cr_assert_eq(kit_load(&kit, "imitation.so", bytes, nbytes, &other), 0, "%s", kit.error.message);
    free(bytes);
    cr_expect_null(module_find(other, "add_one", true));
    struct function *function = kit_function(other, "variant");
    function_release(function);
    module_release(other);
    cr_expect_eq(kit_int(&kit, module, "add_one", 1), 2, "the first is as it was");
}

Test(module, runs_constructors_when_it_is_mapped)
{
    cr_expect_eq(kit_int(&kit, module, "constructed", 0), 42);
}

/* ---- On the board -------------------------------------------------------------------------- */

Test(module, adds_vectors_on_the_board)
{
    const int64_t n = 16 * 20;
    struct kit_tensor a = kit_device_tensor(&kit, 32, 1, &n),
                      b = kit_device_tensor(&kit, 32, 1, &n);
    struct kit_tensor c = kit_device_tensor(&kit, 8, 1, &n);
    for (int64_t i = 0; i < n; i++) {
        ((int32_t *)a.tensor.data)[i] = (int32_t)i * 3;
        ((int32_t *)b.tensor.data)[i] = (int32_t)i - 100;
    }
    cr_assert_eq(call_tensors("vector_add", (struct kit_tensor *[]){ &a, &b, &c }, 3), 0, "%s",
                 kit.error.message);
    for (int64_t i = 0; i < n; i++)
        cr_assert_eq(((int8_t *)c.tensor.data)[i], (int8_t)(i * 4 - 100), "%d", (int)i);
    const struct vta_counters counters = vta_board_counters(kit.worker.board);
    cr_expect_eq(counters.acc_load_nbytes, 40u * 64);
    cr_expect_eq(counters.alu_counter, 20u);
    cr_expect_eq(counters.out_store_nbytes, 20u * 16);
}

Test(module, multiplies_call_after_call_with_a_token_left_over)
{
    struct kit_tensor a = kit_device_tensor(&kit, 8, 4, (int64_t[]){ 1, 3, 1, 16 });
    struct kit_tensor w = kit_device_tensor(&kit, 8, 4, (int64_t[]){ 5, 3, 16, 16 });
    struct kit_tensor c = kit_device_tensor(&kit, 8, 4, (int64_t[]){ 1, 5, 1, 16 });
    int8_t *x = a.tensor.data, *y = w.tensor.data, *z = c.tensor.data;
    for (int call = 0; call < 10; call++) {
        for (int i = 0; i < 48; i++)
            x[i] = (int8_t)(i * 7 + call);
        for (int i = 0; i < 5 * 3 * 256; i++)
            y[i] = (int8_t)(i * 31 + call);
        cr_assert_eq(call_tensors("matmul", (struct kit_tensor *[]){ &a, &w, &c }, 3), 0, "%s",
                     kit.error.message);
        for (int o = 0; o < 80; o++)
            cr_assert_eq(z[o], (int8_t)expected_product(x, y, 48, o), "call %d column %d", call, o);
        cr_expect_eq(vta_board_counters(kit.worker.board).gemm_counter, 15u);
        cr_expect_eq(vta_board_tokens(kit.worker.board).store_to_compute, 1u);
        vta_board_clear_counters(kit.worker.board);
    }
}

Test(module, fails_the_call_that_left_an_error_in_the_runtime)
{
    struct kit_tensor a = kit_device_tensor(&kit, 8, 1, (int64_t[]){ 16 });
    cr_expect_eq(call_tensors("outside", (struct kit_tensor *[]){ &a }, 1), VTA_EDRAM);
    cr_expect(strncmp(kit.error.message, "outside: refused: insn 0 LOAD: ", 31) == 0, "%s",
              kit.error.message);
    cr_expect_eq(call_tensors("wild_pointer", NULL, 0), VTA_ERANGE);
    cr_expect_str_eq(kit.error.message, "wild_pointer: load: a pointer outside every buffer");
    cr_expect_eq(call_tensors("copy_outside", (struct kit_tensor *[]){ &a }, 1), VTA_ERANGE);
    cr_expect_str_eq(kit.error.message, "copy_outside: VTABufferCopy: 11 bytes at offset 6 of a "
                                        "buffer that has 16");
}

Test(module, drops_what_a_kernel_recorded_that_gave_up_half_way)
{
    struct kit_tensor a = kit_device_tensor(&kit, 32, 1, (int64_t[]){ 16 });
    struct kit_tensor c = kit_device_tensor(&kit, 8, 1, (int64_t[]){ 16 });
    cr_expect_eq(call_tensors("fail_half_way", (struct kit_tensor *[]){ &a }, 1), VTA_EINVAL);
    cr_expect_str_eq(kit.error.message, "fail_half_way: half-way");
    cr_expect_eq(call_tensors("vector_add", (struct kit_tensor *[]){ &a, &a, &c }, 3), 0, "%s",
                 kit.error.message);
    cr_expect_eq(vta_board_counters(kit.worker.board).inp_load_nbytes, 0u);
}

Test(module, stops_on_the_board_when_its_control_says_so)
{
    atomic_store(&kit.worker.control.stop, VTA_EDEADLINE);
    cr_expect_eq(call_tensors("spin_board", NULL, 0), VTA_EDEADLINE);
    atomic_store(&kit.worker.control.stop, 0);
}

Test(module, dumps_into_the_log_and_forgets_flags_and_kernels_at_shutdown)
{
    struct kit_tensor a = kit_device_tensor(&kit, 32, 1, (int64_t[]){ 16 });
    struct kit_tensor c = kit_device_tensor(&kit, 8, 1, (int64_t[]){ 16 });
    struct kit_tensor *tensors[] = { &a, &a, &c };
    cr_assert_eq(kit_fails(&kit, module, "debug", VTA_DEBUG_DUMP_INSN | VTA_DEBUG_DUMP_UOP), 0);
    cr_assert_eq(call_tensors("vector_add", tensors, 3), 0);
    cr_expect_not_null(strstr(kit.log, "ALU kernel of 1 micro-ops, 1 loops"));
    cr_expect_not_null(strstr(kit.log, "FINISH"));
    cr_assert_eq(kit_fails(&kit, module, "shut_down", 0), 0);
    kit.log[0] = '\0';
    kit.log_used = 0;
    cr_assert_eq(call_tensors("vector_add", tensors, 3), 0);
    cr_expect_str_empty(kit.log);
}

/* ---- Results and failures ------------------------------------------------------------------ */

Test(module, gives_back_numbers_text_bytes_and_tensors)
{
    struct result result;
    const int32_t code = TVM_INT;
    union tvm_value value = { .i = 5 };
    static const struct {
        const char *name;
        int code;
        const char *bytes;
        size_t nbytes;
    } rows[] = { { "text", TVM_STRING, "words", 5 }, { "bytes", TVM_BYTES, "a\0b", 3 } };
    for (size_t i = 0; i < 2; i++) {
        struct function *function = kit_function(module, rows[i].name);
        cr_assert_eq(function_call(function, &value, &code, 1, &result, &kit.error), 0);
        cr_expect_eq(result.code, rows[i].code);
        cr_expect_eq(result.nbytes, rows[i].nbytes);
        cr_expect_eq(memcmp(result.bytes, rows[i].bytes, rows[i].nbytes), 0);
        result_clear(&result);
        function_release(function);
    }
    struct function *real = kit_function(module, "real");
    cr_assert_eq(function_call(real, &value, &code, 1, &result, &kit.error), 0);
    cr_expect_eq(result.code, TVM_FLOAT);
    cr_expect_eq(result.value.f, 0.5);
    function_release(real);
    struct function *array = kit_function(module, "array");
    cr_assert_eq(function_call(array, &value, &code, 1, &result, &kit.error), 0);
    cr_assert_eq(result.code, TVM_NDARRAY);
    const struct tvm_tensor *tensor = result.value.p;
    cr_expect_eq(tensor->shape[0], 5);
    cr_expect_eq(((int8_t *)tensor->data)[4], 4);
    cr_expect_gt(worker_cpu_bytes(&kit.worker), 0u);
    result_clear(&result);
    cr_expect_eq(worker_cpu_bytes(&kit.worker), 0u);
    function_release(array);
}

Test(module, refuses_results_that_are_nobodys)
{
    cr_expect_eq(kit_fails(&kit, module, "foreign_array", 0), VTA_EINVAL);
    cr_expect_str_eq(kit.error.message,
                     "foreign_array: its result is a tensor that is not its own to give: "
                     "TVMArrayAlloc did not make it, or it was returned before");
    struct function *same_array = kit_function(module, "same_array");
    struct result first, second;
    cr_assert_eq(kit_call(&kit, same_array, NULL, 0, &first), 0, "%s", kit.error.message);
    cr_expect_eq(kit_call(&kit, same_array, NULL, 0, &second), VTA_EINVAL);
    result_clear(&first);
    cr_expect_eq(kit_call(&kit, same_array, NULL, 0, &second), VTA_EINVAL);
    function_release(same_array);
    cr_expect_eq(kit_fails(&kit, module, "opaque", 0), VTA_EUNSUPPORTED);
    cr_expect_eq(kit_fails(&kit, module, "array", -1), VTA_EINVAL);
    cr_expect(strncmp(kit.error.message, "array: TVMArrayAlloc: extent 0 is -1", 36) == 0, "%s",
              kit.error.message);
    cr_expect_eq(kit_fails(&kit, module, "array", INT64_MAX), VTA_EINVAL);
}

Test(module, passes_on_what_a_kernel_says_and_that_it_says_nothing)
{
    cr_expect_eq(kit_fails(&kit, module, "fail", 0), VTA_EINVAL);
    cr_expect_str_eq(kit.error.message, "fail: words of its own");
    cr_expect_eq(kit_fails(&kit, module, "fail_silently", 0), VTA_EINVAL);
    cr_expect_str_eq(kit.error.message, "fail_silently: it returned -1 and did not say why");
}

/* ---- Import trees -------------------------------------------------------------------------- */

static int load_built(const char *name)
{
    struct module *other = NULL;
    size_t nbytes;
    char *bytes = kit_read(kit_built(name), &nbytes);
    int rc = kit_load(&kit, name, bytes, nbytes, &other);
    free(bytes);
    if (rc == 0)
        module_release(other);
    return rc;
}

Test(module, reads_the_tree_of_what_a_library_imports)
{
    cr_expect_eq(load_built("tree.so"), 0, "%s", kit.error.message);
    cr_expect_eq(load_built("foreign.so"), VTA_EUNSUPPORTED);
    cr_expect_str_eq(kit.error.message, "foreign.so: it imports a module of kind 'cuda', which "
                                        "only TVM's own runtime can load");
    cr_expect_eq(load_built("torn.so"), VTA_EFORMAT);
    cr_expect_str_eq(kit.error.message, "torn.so: __tvm_dev_mblob: it ends inside its tree");
    cr_expect_eq(load_built("long.so"), VTA_EFORMAT);
    cr_expect_str_eq(kit.error.message,
                     "long.so: __tvm_dev_mblob is longer than the variable it is in");
}

/* A kind that has nothing but empty lists. */
static size_t put_kind(uint8_t *bytes, const char *kind, int numbers)
{
    const uint64_t length = strlen(kind);
    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, kind, length);
    memset(bytes + 8 + length, 0, 8 * (size_t)numbers);
    return 8 + length + 8 * (size_t)numbers;
}

Test(module, checks_every_number_of_an_import_tree)
{
    /* Two modules; rows 0, 1, 1 and the child 1. */
    uint64_t tree[] = { 0, 0, 0, 3, 0, 1, 1, 1, 1 };
    uint8_t bytes[256];
    static const struct {
        int index;
        uint64_t value;
        int code;
    } rows[] = {
        { 3, 3, 0 },           { 3, 2, VTA_EFORMAT },          { 3, 1ull << 61, VTA_EFORMAT },
        { 3, 4, VTA_EFORMAT }, { 5, 2, VTA_EFORMAT },          { 5, UINT64_MAX, VTA_EFORMAT },
        { 4, 2, VTA_EFORMAT }, { 7, UINT64_MAX, VTA_EFORMAT }, { 8, 2, VTA_EFORMAT },
        { 8, 0, 0 },
    };
    struct module_tree read;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t numbers[9], three = 3;
        size_t at = 8;
        memcpy(numbers, tree, sizeof numbers);
        numbers[rows[i].index] = rows[i].value;
        memcpy(bytes, &three, 8);
        at += put_kind(bytes + at, "_lib", 0);
        at += put_kind(bytes + at, "const_loader", 4);
        at += put_kind(bytes + at, "_import_tree", 0);
        memcpy(bytes + at, numbers + 3, 48), at += 48;
        cr_expect_eq(module_tree_read(&read, bytes, at, "t", &kit.error), rows[i].code, "row %zu",
                     i);
        if (i == 0)
            for (size_t cut = 0; cut < at; cut++)
                cr_expect_eq(module_tree_read(&read, bytes, cut, "t", &kit.error), VTA_EFORMAT);
    }
}

Test(module, wants_the_library_in_its_tree_once)
{
    struct module_tree read;
    uint8_t bytes[64];
    uint64_t two = 2;
    memcpy(bytes, &two, 8);
    size_t at = 8 + put_kind(bytes + 8, "_lib", 0);
    at += put_kind(bytes + at, "_lib", 0);
    cr_expect_eq(module_tree_read(&read, bytes, at, "t", &kit.error), VTA_EFORMAT);
    cr_expect_str_eq(kit.error.message, "t: __tvm_dev_mblob: the library is not in its tree once");
}
