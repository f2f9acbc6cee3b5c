/* test_build.c: the public builder: what it adds to the recorder, and how a kernel ends. */
#include "kit.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct vta_hw hw;
static struct vta_build *build;
static struct vta_kernel kernel;
static struct vta_error error;
static int data, weight, result;

static const struct vta_uop_index zero_uop;
static const struct vta_uop_kernel one_step = { NULL, 0, &zero_uop, 1 };

static void start(void)
{
    vta_hw_default(&hw);
    build = vta_build_new(&hw, "f");
    struct vta_tensor_type inp = { { VTA_DTYPE_INT, 8 }, 4, { 1, 8, 1, 16 } };
    struct vta_tensor_type wgt = { { VTA_DTYPE_INT, 8 }, 4, { 8, 8, 16, 16 } };
    data = vta_build_param(build, "data", &inp, VTA_MEM_INP, VTA_ACCESS_READ);
    weight = vta_build_param(build, "weight", &wgt, VTA_MEM_WGT, VTA_ACCESS_READ);
    result = vta_build_param(build, "result", &inp, VTA_MEM_OUT, VTA_ACCESS_WRITE);
}

static void stop(void)
{
    vta_kernel_clear(&kernel);
}

TestSuite(build, .init = start, .fini = stop);

#define LOAD    VTA_UNIT_LOAD
#define COMPUTE VTA_UNIT_COMPUTE
#define STORE   VTA_UNIT_STORE

static void store_one(uint32_t offset)
{
    vta_build_push(build, COMPUTE, STORE);
    vta_build_pop(build, COMPUTE, STORE);
    vta_build_store(build, 0, result, offset, 1, 1, 1);
}

static void finish(void)
{
    cr_assert_eq(vta_build_finish(build, &kernel, &error), 0, "%s", error.message);
}

static struct vta_insn insn_at(uint32_t index)
{
    struct vta_layout layout;
    struct vta_insn insn;
    cr_assert_lt(index, kernel.insn_count);
    cr_assert_eq(vta_layout_make(&layout, &hw, &error), 0);
    vta_insn_decode(&insn, &layout, kernel.insns + (size_t)index * VTA_INSN_BYTES);
    return insn;
}

Test(build, moves_parameters_bytes_and_relocations_into_the_kernel)
{
    vta_build_load(build, data, 3, 1, 2, 2, NULL, 0, VTA_MEM_INP);
    vta_build_push(build, LOAD, COMPUTE);
    vta_build_pop(build, LOAD, COMPUTE);
    vta_build_gemm(build, &one_step, true);
    store_one(5);
    finish();
    cr_assert_str_eq(kernel.name, "f");
    cr_assert_eq(kernel.param_count, 3);
    cr_assert_str_eq(kernel.params[2].name, "result");
    cr_assert_eq(kernel.reloc_count, 3);
    cr_assert(kernel.relocs[0].insn == 0 && kernel.relocs[0].param == (uint32_t)data &&
              kernel.relocs[0].offset == 3);
    cr_assert(kernel.relocs[1].insn == 1 && kernel.relocs[1].param == VTA_PARAM_UOPS &&
              kernel.relocs[1].offset == 0);
    cr_assert(kernel.relocs[2].param == (uint32_t)result && kernel.relocs[2].offset == 5);
    for (uint32_t i = 0; i < kernel.reloc_count; i++)
        cr_assert_eq(insn_at(kernel.relocs[i].insn).mem.dram_base, 0);
    cr_assert_eq(insn_at(kernel.insn_count - 1).opcode, VTA_OP_FINISH);
}

Test(build, loads_equal_kernels_once)
{
    struct vta_uop_loop loops[2] = { { 4, 1, 1, 0 }, { 2, 0, 1, 1 } };
    struct vta_uop_index a[2] = { { 0, 0, 0 }, { 1, 2, 3 } }, b[2] = { { 0, 0, 0 }, { 1, 2, 3 } };
    struct vta_uop_kernel first = { loops, 2, a, 2 }, second = { loops, 2, b, 2 };
    vta_build_gemm(build, &first, false);
    vta_build_gemm(build, &second, false);
    store_one(0);
    finish();
    cr_assert_eq(kernel.uop_count, 2);
    cr_assert_eq(kit_predict(&kernel, &hw).uop_load_nbytes, 8);
}

Test(build, tells_kernels_apart_by_everything_that_they_hold)
{
    struct vta_uop_loop loop = { 4, 1, 1, 0 }, other = { 4, 1, 2, 0 };
    struct vta_uop_index uop = { 1, 0, 0 };
    struct vta_uop_kernel plain = { &loop, 1, &zero_uop, 1 }, loops = { &other, 1, &zero_uop, 1 },
                          uops = { &loop, 1, &uop, 1 };
    vta_build_gemm(build, &plain, false);
    vta_build_gemm(build, &plain, true);
    vta_build_gemm(build, &loops, false);
    vta_build_gemm(build, &uops, false);
    vta_build_alu(build, &plain, VTA_ALU_ADD);
    vta_build_alu(build, &plain, VTA_ALU_MAX);
    vta_build_alu_imm(build, &plain, VTA_ALU_ADD, 0);
    vta_build_alu_imm(build, &plain, VTA_ALU_ADD, 1);
    store_one(0);
    finish();
    cr_assert_eq(kernel.uop_count, 8);
}

Test(build, finds_equal_kernels_among_thousands)
{
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 2000; i++) {
            struct vta_uop_index uop = { i, 0, 0 };
            struct vta_uop_kernel one = { NULL, 0, &uop, 1 };
            vta_build_gemm(build, &one, true);
        }
    }
    store_one(0);
    finish();
    cr_assert_eq(kernel.uop_count, 2000);
    cr_assert_eq(kit_predict(&kernel, &hw).uop_load_nbytes, 8000, "they all stay cached");
}

/* ---- The end ------------------------------------------------------------------------------- */

/* kit_predict asserts that the verifier accepts: queues empty, FINISH last and after every store.
 */
Test(build, drains_tokens_of_every_queue_before_finish)
{
    vta_build_load(build, data, 0, 1, 1, 1, NULL, 0, VTA_MEM_INP);
    for (int i = 0; i < 3; i++)
        vta_build_push(build, LOAD, COMPUTE);
    vta_build_gemm(build, &one_step, true);
    for (int i = 0; i < 4; i++) {
        vta_build_push(build, COMPUTE, LOAD);
        vta_build_push(build, COMPUTE, STORE);
    }
    vta_build_pop(build, COMPUTE, STORE);
    vta_build_store(build, 0, result, 0, 1, 1, 1);
    for (int i = 0; i < 5; i++)
        vta_build_push(build, STORE, COMPUTE);
    finish();
    kit_predict(&kernel, &hw);
}

Test(build, counts_pops_that_are_still_pending_at_the_end)
{
    vta_build_gemm(build, &one_step, true);
    store_one(0);
    vta_build_push(build, STORE, COMPUTE);
    vta_build_pop(build, STORE, COMPUTE);
    vta_build_push(build, COMPUTE, LOAD);
    vta_build_pop(build, COMPUTE, LOAD);
    finish();
    kit_predict(&kernel, &hw);
}

Test(build, orders_the_last_store_before_finish_even_with_tokens_left_from_earlier_ones)
{
    vta_build_gemm(build, &one_step, true);
    for (uint32_t i = 0; i < 4; i++) {
        store_one(i);
        vta_build_push(build, STORE, COMPUTE);
    }
    store_one(4);
    finish();
    kit_predict(&kernel, &hw);
}

Test(build, ends_an_empty_kernel)
{
    finish();
    kit_predict(&kernel, &hw);
}

Test(build, gives_the_verifiers_refusal_naming_the_kernel)
{
    vta_build_pop(build, LOAD, COMPUTE);
    vta_build_gemm(build, &one_step, true);
    vta_build_pop(build, LOAD, COMPUTE);
    vta_build_gemm(build, &one_step, true);
    cr_assert_eq(vta_build_finish(build, &kernel, &error), VTA_EDEADLOCK, "%s", error.message);
    cr_assert_eq(strncmp(error.message, "f: refused: deadlock", 20), 0, "%s", error.message);
    cr_assert_null(kernel.insns);
}

Test(build, refuses_a_load_beyond_its_parameter)
{
    vta_build_load(build, data, 7, 1, 2, 2, NULL, 0, VTA_MEM_INP);
    cr_assert_eq(vta_build_finish(build, &kernel, &error), VTA_EDRAM, "%s", error.message);
}

/* ---- Errors -------------------------------------------------------------------------------- */

Test(build, keeps_the_first_error_and_does_nothing_after_it)
{
    cr_assert_eq(vta_build_push(build, LOAD, STORE), VTA_EINVAL);
    cr_assert_eq(vta_build_gemm(build, &one_step, true), VTA_EINVAL);
    cr_assert_eq(vta_build_store(build, 0, result, 0, 70000, 1, 1), VTA_EINVAL);
    cr_assert_eq(vta_build_count(build), 0);
    cr_assert_eq(vta_build_finish(build, &kernel, &error), VTA_EINVAL);
    cr_assert_not_null(strstr(error.message, "push"), "%s", error.message);
    cr_assert_not_null(strstr(error.message, "f: "), "%s", error.message);
}

/* Whether the kernel under construction ends with this code and these words. */
static void expect_error(int code, const char *words)
{
    cr_assert_eq(vta_build_finish(build, &kernel, &error), code, "%s", error.message);
    cr_assert_not_null(strstr(error.message, words), "no '%s' in: %s", words, error.message);
}

Test(build, refuses_a_store_to_a_parameter_that_is_only_read)
{
    vta_build_store(build, 0, weight, 0, 1, 1, 1);
    expect_error(VTA_EINVAL, "weight is declared read-only");
}

Test(build, refuses_a_load_from_a_parameter_that_is_only_written)
{
    vta_build_load(build, result, 0, 1, 1, 1, NULL, 0, VTA_MEM_ACC);
    expect_error(VTA_EINVAL, "result is declared write-only");
}

Test(build, refuses_a_parameter_that_was_never_declared)
{
    vta_build_load(build, 3, 0, 1, 1, 1, NULL, 0, VTA_MEM_INP);
    expect_error(VTA_EINVAL, "parameter 3 of 3");
}

Test(build, refuses_loads_into_memories_that_have_none)
{
    vta_build_load(build, data, 0, 1, 1, 1, NULL, 0, VTA_MEM_OUT);
    expect_error(VTA_EINVAL, "memory 4");
}

Test(build, refuses_padding_beyond_its_field)
{
    struct vta_pad pad = { .x_before = 16 };
    vta_build_load(build, data, 0, 1, 1, 1, &pad, 0, VTA_MEM_INP);
    expect_error(VTA_ERANGE, "x_pad_before");
}

Test(build, refuses_copies_of_nothing)
{
    vta_build_load(build, data, 0, 1, 0, 0, NULL, 0, VTA_MEM_INP);
    expect_error(VTA_EINVAL, "nothing to move");
}

Test(build, refuses_a_parameter_of_no_memory_or_no_access)
{
    const struct vta_tensor_type row = { { VTA_DTYPE_INT, 8 }, 2, { 1, 16 } };
    cr_expect_eq(vta_build_param(build, "x", &row, VTA_MEM_UOP, VTA_ACCESS_READ), VTA_EINVAL);
    expect_error(VTA_EINVAL, "memory 0 has no tensors");
    start();
    cr_expect_eq(vta_build_param(build, "x", &row, (enum vta_memory)99, VTA_ACCESS_READ),
                 VTA_EINVAL);
    expect_error(VTA_EINVAL, "memory 99 has no tensors");
    start();
    cr_expect_eq(vta_build_param(build, "x", &row, VTA_MEM_INP, (enum vta_access)0), VTA_EINVAL);
    expect_error(VTA_EINVAL, "access 0 is none of read, write, read_write");
}

Test(build, refuses_a_second_parameter_of_the_same_name)
{
    struct vta_tensor_type type = { { VTA_DTYPE_INT, 8 }, 1, { 16 } };
    cr_assert_eq(vta_build_param(build, "data", &type, VTA_MEM_INP, VTA_ACCESS_READ), VTA_EEXIST);
    expect_error(VTA_EEXIST, "data");
}

Test(build, refuses_a_parameter_without_whole_bytes)
{
    struct vta_tensor_type type = { { VTA_DTYPE_INT, 4 }, 1, { 3 } };
    cr_assert_lt(vta_build_param(build, "odd", &type, VTA_MEM_INP, VTA_ACCESS_READ), 0);
    expect_error(VTA_ESIZE, "odd");
}

Test(build, refuses_a_kernel_larger_than_the_uop_sram_naming_both)
{
    struct vta_uop_index *uops = calloc(9000, sizeof(*uops));
    struct vta_uop_kernel large = { NULL, 0, uops, 9000 };
    vta_build_gemm(build, &large, true);
    free(uops);
    expect_error(VTA_ELIMIT, "9000 micro-ops, the UOP SRAM holds 1 to 8192");
}

Test(build, refuses_three_loops_and_no_micro_ops)
{
    struct vta_uop_loop loops[3] = { { 1, 0, 0, 0 }, { 1, 0, 0, 0 }, { 1, 0, 0, 0 } };
    struct vta_uop_kernel three = { loops, 3, &zero_uop, 1 };
    cr_assert_eq(vta_build_gemm(build, &three, true), VTA_EINVAL);
    expect_error(VTA_EINVAL, "3 loops");
    build = vta_build_new(&hw, "g");
    struct vta_uop_kernel none = { NULL, 0, &zero_uop, 0 };
    vta_build_gemm(build, &none, true);
    expect_error(VTA_EINVAL, "0 micro-ops");
}

Test(build, refuses_a_micro_op_beyond_its_field)
{
    struct vta_uop_index uop = { 2048, 0, 0 };
    struct vta_uop_kernel one = { NULL, 0, &uop, 1 };
    vta_build_gemm(build, &one, true);
    expect_error(VTA_ERANGE, "2048");
}

Test(build, refuses_an_immediate_beyond_16_bits)
{
    vta_build_alu_imm(build, &one_step, VTA_ALU_ADD, 32768);
    expect_error(VTA_ERANGE, "32768");
}

Test(build, may_be_given_up_at_any_time)
{
    vta_build_gemm(build, &one_step, true);
    vta_build_free(build);
    vta_build_free(NULL);
}
