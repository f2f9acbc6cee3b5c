/* test_compiled.c: modules that TVM compiled, loaded and called in this process: results against
 * plain C, counters, call after call. Skipped where there are no such modules ($VTA_SHARED).
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "expected.h"
#include "kit.h"

static struct kit kit;
static const char *folder;

static void start(void)
{
    folder = getenv("VTA_SHARED");
    kit_open(&kit, 1);
}

static void stop(void)
{
    kit_close(&kit);
}

TestSuite(compiled, .init = start, .fini = stop, .timeout = 120);

static struct module *compiled(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/tvm/%s", folder, name);
    return kit_module(&kit, path);
}

static void fill(const struct kit_tensor *tensor, uint64_t nbytes, uint32_t seed)
{
    expected_fill(tensor->tensor.data, nbytes, seed);
}

/* ---- Dense --------------------------------------------------------------------------------- */

static void expect_dense(const int8_t *data, const int8_t *weight, const int8_t *result, int in,
                         int out)
{
    for (int o = 0; o < out; o++)
        cr_assert_eq(result[o], expected_dense(data, weight, in, o), "column %d is %d, not %d", o,
                     result[o], expected_dense(data, weight, in, o));
}

static void call_dense(const char *name, const char *entry, int in, int out, int calls,
                       struct vta_counters *last)
{
    struct module *module = compiled(name);
    struct function *function = kit_function(module, entry);
    struct kit_tensor data = kit_device_tensor(&kit, 8, 4, (int64_t[]){ 1, in / 16, 1, 16 });
    struct kit_tensor weight =
        kit_device_tensor(&kit, 8, 4, (int64_t[]){ out / 16, in / 16, 16, 16 });
    struct kit_tensor result = kit_device_tensor(&kit, 8, 4, (int64_t[]){ 1, out / 16, 1, 16 });
    for (int call = 0; call < calls; call++) {
        struct result nothing;
        fill(&data, (uint64_t)in, (uint32_t)call);
        fill(&weight, (uint64_t)in * (uint64_t)out, (uint32_t)call + 100);
        memset(result.tensor.data, 0x55, (size_t)out);
        vta_board_clear_counters(kit.worker.board);
        cr_assert_eq(kit_call(&kit, function, (struct kit_tensor *[]){ &data, &weight, &result }, 3,
                              &nothing),
                     0, "call %d: %s", call, kit.error.message);
        expect_dense(data.tensor.data, weight.tensor.data, result.tensor.data, in, out);
        const struct vta_counters now = vta_board_counters(kit.worker.board);
        cr_assert(call == 0 || memcmp(&now, last, sizeof now) == 0, "call %d counts otherwise",
                  call);
        *last = now;
    }
    function_release(function);
    module_release(module);
}

static void expect_tutorial(struct vta_counters counters)
{
    cr_expect_eq(counters.inp_load_nbytes, 4096u);
    cr_expect_eq(counters.wgt_load_nbytes, 1048576u);
    cr_expect_eq(counters.acc_load_nbytes, 0u);
    cr_expect_eq(counters.uop_load_nbytes, 20u);
    cr_expect_eq(counters.out_store_nbytes, 1024u);
    cr_expect_eq(counters.gemm_counter, 4096u);
    cr_expect_eq(counters.alu_counter, 192u);
}

Test(compiled, multiplies_from_an_object_file_twice_and_ten_times)
{
    struct vta_counters counters;
    call_dense("gemm.o", "my_gemm", 1024, 1024, 2, &counters);
    expect_tutorial(counters);
    call_dense("gemm.o", "my_gemm", 1024, 1024, 10, &counters);
    expect_tutorial(counters);
}

Test(compiled, multiplies_from_a_shared_library_and_from_an_archive)
{
    struct vta_counters counters;
    call_dense("gemm.so", "my_gemm", 1024, 1024, 2, &counters);
    expect_tutorial(counters);
    call_dense("gemm.tar", "my_gemm", 1024, 1024, 2, &counters);
    expect_tutorial(counters);
}

Test(compiled, finds_the_default_kernel_and_calls_dense)
{
    struct vta_counters counters;
    call_dense("dense.o", "__tvm_main__", 256, 128, 3, &counters);
    cr_expect_eq(counters.gemm_counter, 8u * 16);
    cr_expect_eq(counters.out_store_nbytes, 128u);
}

/* ---- Streams ------------------------------------------------------------------------------- */

/* Checks one line of a dump against the instruction that libvta made of the same call. Only where
 * buffers lie may differ, by the same number of elements for each memory. */
static void expect_line(const char *line, const struct vta_insn *want, uint32_t index,
                        int64_t shift[VTA_MEM_COUNT])
{
    char text[VTA_DISASM_TEXT], have[VTA_DISASM_TEXT + 16];
    struct vta_insn moved = *want;
    const char *dram = strstr(line, "dram+");
    if (dram != NULL && want->opcode <= VTA_OP_STORE) {
        const int64_t at = strtoll(dram + 5, NULL, 10);
        int64_t *by = &shift[want->mem.memory];
        if (*by == INT64_MIN)
            *by = at - want->mem.dram_base;
        moved.mem.dram_base = (uint32_t)(want->mem.dram_base + *by);
    }
    vta_insn_print(&moved, text, sizeof text);
    snprintf(have, sizeof have, "%5u  %s", index, text);
    cr_assert_str_eq(line, have, "\n%s\n%s", line, have);
}

/* The stream in kit.log against a recorded one. */
static void expect_stream(const char *name)
{
    char path[512], head[64];
    int64_t shift[VTA_MEM_COUNT];
    struct vta_layout layout;
    size_t nbytes;
    for (int i = 0; i < VTA_MEM_COUNT; i++)
        shift[i] = INT64_MIN;
    vta_layout_make(&layout, vta_board_hw(kit.worker.board), NULL);
    snprintf(path, sizeof path, "%s/golden/%s/insn.bin", folder, name);
    uint8_t *bytes = (uint8_t *)kit_read(path, &nbytes);
    const uint32_t count = (uint32_t)(nbytes / VTA_INSN_BYTES);
    char *line = strtok(kit.log, "\n");
    snprintf(head, sizeof head, "%u instructions, ", count);
    cr_assert_eq(strncmp(line, head, strlen(head)), 0, "%s: %s", name, line);
    for (uint32_t i = 0; i < count; i++) {
        struct vta_insn insn;
        vta_insn_decode(&insn, &layout, bytes + i * VTA_INSN_BYTES);
        line = strtok(NULL, "\n");
        cr_assert_not_null(line);
        expect_line(line, &insn, i, shift);
    }
    free(bytes);
}

/* Calls with zeros, and keeps the stream of the last call. */
static void dump_call(const char *name, const char *entry, int in, int out, int calls)
{
    struct module *module = compiled(name);
    struct function *function = kit_function(module, entry);
    struct kit_tensor data = kit_device_tensor(&kit, 8, 4, (int64_t[]){ 1, in / 16, 1, 16 });
    struct kit_tensor weight =
        kit_device_tensor(&kit, 8, 4, (int64_t[]){ out / 16, in / 16, 16, 16 });
    struct kit_tensor result = kit_device_tensor(&kit, 8, 4, (int64_t[]){ 1, out / 16, 1, 16 });
    struct result nothing;
    for (int call = 0; call < calls; call++) {
        kit.log_used = 0;
        vta_runtime_set_debug(kit.worker.runtime, call + 1 == calls ? VTA_DEBUG_DUMP_INSN : 0);
        cr_assert_eq(kit_call(&kit, function, (struct kit_tensor *[]){ &data, &weight, &result }, 3,
                              &nothing),
                     0, "%s", kit.error.message);
    }
    function_release(function);
    module_release(module);
}

Test(compiled, records_the_very_streams_that_libvta_recorded)
{
    dump_call("gemm.o", "my_gemm", 1024, 1024, 1);
    expect_stream("tutorial-matrix_multiply_opt-1x16");
    dump_call("dense.o", "kernel", 256, 128, 2);
    expect_stream("dense-1x16");
}

/* ---- Convolution --------------------------------------------------------------------------- */

Test(compiled, convolves_with_padding_and_bias)
{
    struct module *module = compiled("conv3x3_pad.o");
    struct function *function = kit_function(module, "kernel");
    struct kit_tensor data = kit_device_tensor(&kit, 8, 6, (int64_t[]){ 1, 4, 14, 14, 1, 16 });
    struct kit_tensor weight = kit_device_tensor(&kit, 8, 6, (int64_t[]){ 4, 4, 3, 3, 16, 16 });
    struct kit_tensor bias = kit_device_tensor(&kit, 32, 6, (int64_t[]){ 1, 4, 1, 1, 1, 16 });
    struct kit_tensor result = kit_device_tensor(&kit, 8, 6, (int64_t[]){ 1, 4, 14, 14, 1, 16 });
    int8_t *out = result.tensor.data;
    int32_t *biases = bias.tensor.data;
    for (int i = 0; i < 64; i++)
        biases[i] = i * 4 - 100;
    for (uint32_t call = 0; call < 3; call++) {
        struct result nothing;
        fill(&data, 4 * 14 * 14 * 16, call);
        fill(&weight, 4 * 4 * 9 * 256, call + 7);
        cr_assert_eq(kit_call(&kit, function,
                              (struct kit_tensor *[]){ &data, &weight, &bias, &result }, 4,
                              &nothing),
                     0, "%s", kit.error.message);
        for (int o = 0; o < 64; o++)
            for (int y = 0; y < 14; y++)
                for (int x = 0; x < 14; x++)
                    cr_assert_eq(
                        out[((o / 16 * 14 + y) * 14 + x) * 16 + o % 16],
                        expected_convolution(data.tensor.data, weight.tensor.data, biases, o, y, x),
                        "channel %d row %d column %d", o, y, x);
    }
    function_release(function);
    module_release(module);
}

/* ---- What is refused ----------------------------------------------------------------------- */

Test(compiled, refuses_code_for_another_machine_without_an_emulator)
{
    char path[512];
    struct module *module;
    size_t nbytes;
    snprintf(path, sizeof path, "%s/tvm/gemm_armv7.o", folder);
    char *bytes = kit_read(path, &nbytes);
    cr_expect_eq(kit_load(&kit, "gemm_armv7.o", bytes, nbytes, &module), VTA_EUNSUPPORTED);
    cr_expect(strncmp(kit.error.message, "gemm_armv7.o: built for ", 24) == 0, "%s",
              kit.error.message);
    free(bytes);
}

Test(compiled, passes_on_what_a_kernel_asserts)
{
    struct module *module = compiled("gemm.so");
    struct function *function = kit_function(module, "my_gemm");
    struct kit_tensor data = kit_device_tensor(&kit, 8, 4, (int64_t[]){ 1, 64, 1, 16 });
    struct result nothing;
    cr_expect_eq(kit_call(&kit, function, (struct kit_tensor *[]){ &data }, 1, &nothing),
                 VTA_EINVAL);
    cr_expect_eq(strncmp(kit.error.message, "my_gemm: Assert fail: ", 22), 0, "%s",
                 kit.error.message);
    cr_expect_eq(
        kit_call(&kit, function, (struct kit_tensor *[]){ &data, &data, &data }, 3, &nothing),
        VTA_EINVAL);
    function_release(function);
    module_release(module);
}
