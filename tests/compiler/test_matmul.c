/* test_matmul.c: compiled matrix multiplies: their counters, their results, what is refused. */
#include "kit.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct vta_matmul tutorial = { .batch = 1,
                                            .in = 1024,
                                            .out = 1024,
                                            .block_batch = 1,
                                            .block_in = 256,
                                            .block_out = 256,
                                            .shift = true,
                                            .shift_by = 8,
                                            .clip = true,
                                            .clip_lo = 0,
                                            .clip_hi = 127 };

/* What a resolved matmul must count, from its sizes alone (micro-ops aside). */
static struct vta_counters formula(const struct vta_matmul *m, const struct vta_hw *hw)
{
    uint64_t b = m->batch / hw->batch, i = m->in / hw->block, o = m->out / hw->block;
    uint64_t b_blocks = (m->batch + m->block_batch - 1) / m->block_batch;
    uint64_t o_blocks = (m->out + m->block_out - 1) / m->block_out;
    return (struct vta_counters){
        .inp_load_nbytes = b * i * o_blocks * hw->sram_elem_bytes[VTA_MEM_INP],
        .wgt_load_nbytes = o * i * b_blocks * hw->sram_elem_bytes[VTA_MEM_WGT],
        .acc_load_nbytes = m->bias ? b * o * hw->sram_elem_bytes[VTA_MEM_ACC] : 0,
        .out_store_nbytes = b * o * hw->batch * hw->block * hw->out_bits / 8,
        .gemm_counter = b * i * o,
        .alu_counter = b * o * ((m->shift ? 1 : 0) + (m->clip ? 2 : 0)),
    };
}

static void expect_formula(const struct vta_matmul *m, const struct vta_hw *hw)
{
    struct vta_matmul resolved = *m;
    struct vta_kernel kernel;
    struct vta_error error;
    cr_assert_eq(vta_matmul_resolve(&resolved, hw, &error), 0, "%s", error.message);
    cr_assert_eq(vta_compile_matmul(&kernel, hw, "f", m, &error), 0, "%s", error.message);
    struct vta_counters have = kit_predict(&kernel, hw), want = formula(&resolved, hw);
    want.uop_load_nbytes = have.uop_load_nbytes;
#define SAME(name) cr_assert_eq(have.name, want.name, #name " is not the formula's");
    VTA_COUNTERS(SAME)
#undef SAME
    vta_kernel_clear(&kernel);
}

Test(matmul, counts_what_the_tutorial_counts)
{
    struct vta_hw hw;
    struct vta_kernel kernel;
    struct vta_error error;
    vta_hw_default(&hw);
    cr_assert_eq(vta_compile_matmul(&kernel, &hw, "my_gemm", &tutorial, &error), 0, "%s",
                 error.message);
    struct vta_counters counters = kit_predict(&kernel, &hw);
    cr_assert_eq(counters.inp_load_nbytes, 4096);
    cr_assert_eq(counters.wgt_load_nbytes, 1048576);
    cr_assert_eq(counters.acc_load_nbytes, 0);
    cr_assert_eq(counters.uop_load_nbytes, 20);
    cr_assert_eq(counters.out_store_nbytes, 1024);
    cr_assert_eq(counters.gemm_counter, 4096);
    cr_assert_eq(counters.alu_counter, 192);
    vta_kernel_clear(&kernel);
}

Test(matmul, computes_the_tutorials_product)
{
    struct vta_hw hw;
    vta_hw_default(&hw);
    kit_check_matmul(&tutorial, &hw, 1);
}

/* log2 of batch, block, and width: 1x16, 4x8, 2x32, 1x8, 1x16 of int4, 2x16 of int2. */
static const unsigned shapes[][3] = { { 0, 4, 3 }, { 2, 3, 3 }, { 1, 5, 3 },
                                      { 0, 3, 3 }, { 0, 4, 2 }, { 1, 4, 1 } };

static struct vta_matmul random_matmul(const struct vta_hw *hw, uint32_t *seed)
{
    struct vta_matmul m = { 0 };
    m.batch = hw->batch * (1 + kit_random(seed) % 6);
    m.in = hw->block * (1 + kit_random(seed) % 9);
    m.out = hw->block * (1 + kit_random(seed) % 9);
    m.block_batch = hw->batch * (kit_random(seed) % 4);
    m.block_in = hw->block * (kit_random(seed) % 5);
    m.block_out = hw->block * (kit_random(seed) % 5);
    m.bias = kit_random(seed) % 2;
    m.shift = kit_random(seed) % 2;
    m.shift_by = (int32_t)(kit_random(seed) % 12);
    m.clip = kit_random(seed) % 2;
    m.clip_lo = -(int32_t)(kit_random(seed) % 128);
    m.clip_hi = (int32_t)(kit_random(seed) % 128);
    return m;
}

Test(matmul, is_right_for_random_shapes_and_blockings_on_every_configuration)
{
    uint32_t seed = 2024;
    for (size_t s = 0; s < COUNT(shapes); s++) {
        struct vta_hw hw;
        kit_hw(&hw, shapes[s][0], shapes[s][1], shapes[s][2]);
        for (int i = 0; i < 60; i++) {
            struct vta_matmul m = random_matmul(&hw, &seed);
            expect_formula(&m, &hw);
            kit_check_matmul(&m, &hw, seed);
        }
    }
}

Test(matmul, makes_short_kernels_whichever_axis_is_the_shortest)
{
    struct vta_hw hw;
    vta_hw_default(&hw);
    static const uint32_t tiles[][3] = { { 2, 5, 7 }, { 7, 2, 5 }, { 5, 7, 2 },
                                         { 3, 3, 3 }, { 1, 1, 1 }, { 4, 2, 2 } };
    for (size_t i = 0; i < COUNT(tiles); i++) {
        struct vta_matmul m = { .batch = tiles[i][0],
                                .in = tiles[i][1] * 16,
                                .out = tiles[i][2] * 16,
                                .block_batch = tiles[i][0],
                                .block_in = tiles[i][1] * 16,
                                .block_out = tiles[i][2] * 16 };
        struct vta_kernel kernel;
        cr_assert_eq(vta_compile_matmul(&kernel, &hw, "f", &m, NULL), 0);
        uint32_t shortest = tiles[i][0];
        for (int j = 1; j < 3; j++)
            shortest = tiles[i][j] < shortest ? tiles[i][j] : shortest;
        cr_assert_eq(kernel.uop_count, 1 + shortest);
        vta_kernel_clear(&kernel);
        kit_check_matmul(&m, &hw, (uint32_t)i);
    }
}

Test(matmul, splits_a_kernel_that_passes_the_uop_sram)
{
    struct vta_hw hw;
    struct vta_error error;
    vta_hw_default(&hw);
    hw.log_uop_buff = 3; /* two micro-ops */
    cr_assert_eq(vta_hw_derive(&hw, &error), 0, "%s", error.message);
    cr_assert_eq(hw.depth[VTA_MEM_UOP], 2);
    struct vta_matmul m = { .batch = 5,
                            .in = 7 * 16,
                            .out = 9 * 16,
                            .block_batch = 5,
                            .block_in = 7 * 16,
                            .block_out = 9 * 16,
                            .shift = true,
                            .shift_by = 3 };
    expect_formula(&m, &hw);
    kit_check_matmul(&m, &hw, 7);
}

Test(matmul, splits_a_gemm_whose_loop_passes_its_field)
{
    struct vta_hw hw;
    struct vta_error error;
    kit_hw(&hw, 0, 0, 3); /* tiles of one number */
    hw.log_inp_buff = 16;
    hw.log_wgt_buff = 15;
    hw.log_acc_buff = 3;
    cr_assert_eq(vta_hw_derive(&hw, &error), 0, "%s", error.message);
    struct vta_matmul m = {
        .batch = 2, .in = 66000, .out = 1, .block_batch = 2, .block_in = 32768, .block_out = 1
    };
    expect_formula(&m, &hw);
    kit_check_matmul(&m, &hw, 3);
}

Test(matmul, copies_row_by_row_where_the_stride_passes_its_field)
{
    struct vta_hw hw;
    kit_hw(&hw, 0, 0, 3);
    struct vta_matmul m = {
        .batch = 2, .in = 70000, .out = 3, .block_batch = 2, .block_in = 300, .block_out = 3
    };
    expect_formula(&m, &hw);
    kit_check_matmul(&m, &hw, 4);
}

Test(matmul, takes_a_block_larger_than_the_matrix_as_the_whole_matrix)
{
    struct vta_hw hw;
    struct vta_matmul m = {
        .batch = 1, .in = 64, .out = 32, .block_batch = 1, .block_in = 256, .block_out = 256
    };
    vta_hw_default(&hw);
    cr_assert_eq(vta_matmul_resolve(&m, &hw, NULL), 0);
    cr_assert_eq(m.block_in, 64);
    cr_assert_eq(m.block_out, 32);
}

Test(matmul, chooses_blocks_that_read_everything_once_where_the_srams_allow_it)
{
    struct vta_hw hw;
    vta_hw_default(&hw);
    struct vta_matmul m = { .batch = 1, .in = 1024, .out = 1024 };
    cr_assert_eq(vta_matmul_resolve(&m, &hw, NULL), 0);
    struct vta_counters counters = formula(&m, &hw);
    cr_assert_eq(counters.inp_load_nbytes, 1024);
    cr_assert_eq(counters.wgt_load_nbytes, 1024 * 1024);
    kit_check_matmul(&m, &hw, 9);
}

Test(matmul, chooses_what_is_left_to_choose)
{
    struct vta_hw hw;
    vta_hw_default(&hw);
    struct vta_matmul m = { .batch = 64, .in = 512, .out = 768, .block_out = 48 };
    cr_assert_eq(vta_matmul_resolve(&m, &hw, NULL), 0);
    cr_assert_eq(m.block_out, 48);
    cr_assert_neq(m.block_batch, 0);
    cr_assert_neq(m.block_in, 0);
    kit_check_matmul(&m, &hw, 10);
}

/* ---- Refusals ------------------------------------------------------------------------------ */

static void expect_refusal(struct vta_matmul m, int code, const char *const *words)
{
    struct vta_hw hw;
    struct vta_kernel kernel;
    struct vta_error error;
    vta_hw_default(&hw);
    cr_assert_eq(vta_compile_matmul(&kernel, &hw, "f", &m, &error), code, "%s", error.message);
    cr_assert_eq(error.code, code);
    for (; *words != NULL; words++)
        cr_assert_not_null(strstr(error.message, *words), "no '%s' in: %s", *words, error.message);
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

Test(matmul, names_the_size_that_is_no_multiple_of_its_tile)
{
    expect_refusal((struct vta_matmul){ .batch = 1, .in = 1000, .out = 16 }, VTA_EINVAL,
                   WORDS("in is 1000", "16"));
    expect_refusal((struct vta_matmul){ .batch = 0, .in = 16, .out = 16 }, VTA_EINVAL,
                   WORDS("batch is 0"));
    expect_refusal((struct vta_matmul){ .batch = 1, .in = 16, .out = 16, .block_out = 8 },
                   VTA_EINVAL, WORDS("block's out is 8"));
}

Test(matmul, names_the_sram_that_a_block_does_not_fit_and_the_bytes)
{
    struct vta_matmul m = { .batch = 4096,
                            .in = 1024,
                            .out = 1024,
                            .block_batch = 1,
                            .block_in = 1024,
                            .block_out = 1024 };
    expect_refusal(m, VTA_ESRAM, WORDS("WGT", "1048576", "262144"));
    m.block_out = 16;
    m.block_batch = 64;
    expect_refusal(m, VTA_ESRAM, WORDS("INP", "65536", "32768"));
    m.block_batch = 4096;
    m.block_in = 16;
    expect_refusal(m, VTA_ESRAM, WORDS("INP", "65536"));
    m.block_batch = 64;
    m.block_out = 1024;
    expect_refusal(m, VTA_ESRAM, WORDS("ACC", "262144", "131072"));
}

Test(matmul, refuses_immediates_that_an_instruction_cannot_hold)
{
    struct vta_matmul m = { .batch = 1, .in = 16, .out = 16, .shift = true, .shift_by = 32 };
    expect_refusal(m, VTA_EINVAL, WORDS("32", "31"));
    m.shift = false;
    m.clip = true;
    m.clip_hi = 40000;
    expect_refusal(m, VTA_EINVAL, WORDS("40000", "32767"));
    m.clip_lo = 5;
    m.clip_hi = 4;
    expect_refusal(m, VTA_EINVAL, WORDS("5", "4"));
}

Test(matmul, refuses_tensors_that_pass_dram_addresses)
{
    expect_refusal((struct vta_matmul){ .batch = 1, .in = 1 << 20, .out = 1 << 20 }, VTA_ELIMIT,
                   WORDS("weight", "4 GiB"));
}

Test(matmul, refuses_more_instructions_than_a_module_holds)
{
    struct vta_matmul m = {
        .batch = 1, .in = 32768, .out = 32768, .block_batch = 1, .block_in = 16, .block_out = 16
    };
    expect_refusal(m, VTA_ELIMIT, WORDS("4194304", "larger blocks"));
}

/* ---- Printing ------------------------------------------------------------------------------ */

static char *schedule(const struct vta_matmul *m, enum vta_schedule_step step)
{
    struct vta_hw hw;
    struct vta_error error;
    char *text;
    vta_hw_default(&hw);
    cr_assert_eq(vta_matmul_schedule(&text, &hw, m, step, &error), 0, "%s", error.message);
    return text;
}

Test(schedule, prints_the_tutorials_lowered_nest)
{
    char *text = schedule(&tutorial, VTA_SCHEDULE_LOWERED);
    cr_assert_str_eq(
        text, "push store→compute  // acc and out are free\n"
              "push compute→load  // inp and wgt are free\n"
              "for bo in 0..1:\n"
              "  for oo in 0..4:\n"
              "    pop store→compute\n"
              "    gemm reset acc[0..16]\n"
              "    for ko in 0..4:\n"
              "      pop compute→load\n"
              "      load inp[0] <- data[bo*64 + ko*16]: 1 × 16 tiles, stride 64\n"
              "      load wgt[0] <- weight[oo*1024 + ko*16]: 16 × 16 tiles, stride 64\n"
              "      push load→compute\n"
              "      pop load→compute\n"
              "      gemm acc[b*16 + o] += inp[b*16 + k] · wgt[o*16 + k]ᵀ: b in 0..1, o in 0..16, "
              "k in 0..16\n"
              "      push compute→load\n"
              "    alu shr acc[0..16], 8\n"
              "    alu max acc[0..16], 0\n"
              "    alu min acc[0..16], 127\n"
              "    push compute→store\n"
              "    pop compute→store\n"
              "    store result[bo*64 + oo*16] <- out[0]: 1 × 16 tiles, stride 64\n"
              "    push store→compute\n");
    free(text);
}

Test(schedule, prints_the_definition_number_by_number)
{
    char *text = schedule(&tutorial, VTA_SCHEDULE_DEFINITION);
    cr_assert_not_null(strstr(text, "acc[b, o, bl, ol] += data[b, k, bl, kl] * "
                                    "weight[o, k, ol, kl]\n"),
                       "%s", text);
    cr_assert_not_null(strstr(text, "acc[b, o, bl, ol] = shr(acc[b, o, bl, ol], 8)\n"));
    cr_assert_not_null(strstr(text, "for k in 0..64:\n"));
    free(text);
}

Test(schedule, prints_loops_over_and_inside_blocks)
{
    char *text = schedule(&tutorial, VTA_SCHEDULE_BLOCKED);
    cr_assert_not_null(strstr(text, "for ko in 0..4:\n"), "%s", text);
    cr_assert_not_null(strstr(text, "for ki in 0..16:\n"));
    cr_assert_not_null(strstr(text, "data[bo + bi, ko*16 + ki, bl, kl]"));
    free(text);
}

Test(schedule, names_the_lengths_of_blocks_that_do_not_divide_the_matrix)
{
    struct vta_matmul m = tutorial;
    m.out = 1040; /* 65 tiles */
    m.bias = true;
    char *text = schedule(&m, VTA_SCHEDULE_LOWERED);
    cr_assert_not_null(strstr(text, "let on = min(16, 65 - oo*16)\n"), "%s", text);
    cr_assert_not_null(strstr(text, "load acc[0] <- bias[oo*16]: 1 × on tiles, stride 0"));
    free(text);
    text = schedule(&m, VTA_SCHEDULE_BLOCKED);
    cr_assert_not_null(strstr(text, "for oi in 0..on:\n"), "%s", text);
    free(text);
}

Test(schedule, refuses_what_compiling_refuses)
{
    struct vta_hw hw;
    struct vta_error error;
    struct vta_matmul m = { .batch = 1, .in = 17, .out = 16 };
    char *text;
    vta_hw_default(&hw);
    cr_assert_eq(vta_matmul_schedule(&text, &hw, &m, VTA_SCHEDULE_LOWERED, &error), VTA_EINVAL);
    cr_assert_null(text);
    m.in = 16;
    cr_assert_eq(vta_matmul_schedule(&text, &hw, &m, (enum vta_schedule_step)9, &error),
                 VTA_EINVAL);
}
