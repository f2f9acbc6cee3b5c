/* test_plan.c: nests in normal form, shapes that are shared, and nests that a plan has no room for.
 */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "core/board.h"
#include "core/plan.h"

#include "kit.h"

static struct vta_error error;

static struct vta_gemm_shape gemm_shape(struct vta_nest_insn nest, const struct vta_uop *uops)
{
    struct vta_gemm_shape shape;
    cr_assert_eq(vta_gemm_shape_make(&shape, &nest, uops, &error), 0);
    return shape;
}

static struct vta_alu_shape alu_shape(struct vta_nest_insn nest, const struct vta_uop *uops,
                                      bool reads_src)
{
    struct vta_alu_shape shape;
    cr_assert_eq(vta_alu_shape_make(&shape, &nest, uops, reads_src, &error), 0);
    return shape;
}

Test(plan, takes_the_loop_that_keeps_the_weights_as_positions)
{
    const struct vta_uop uop = { 5, 6, 7 };
    struct vta_gemm_shape shape = gemm_shape((struct vta_nest_insn){ .uop_end = 1,
                                                                     .iter_out = 14,
                                                                     .iter_in = 3,
                                                                     .dst_factor_out = 1,
                                                                     .src_factor_out = 2,
                                                                     .src_factor_in = 1,
                                                                     .wgt_factor_in = 1 },
                                             &uop);
    cr_expect_eq(shape.outer_count, 0);
    cr_expect(shape.positions.extent == 14 && shape.positions.dst == 1);
    cr_expect_eq(shape.positions.src, 2);
    cr_assert_eq(shape.group_count, 1);
    cr_expect(shape.groups[0].dst == 5 && shape.groups[0].count == 3);
    cr_expect(shape.steps[2].src == 8 && shape.steps[2].wgt == 9);
    vta_gemm_shape_clear(&shape);
}

Test(plan, gathers_micro_ops_by_their_accumulator)
{
    const struct vta_uop uops[] = { { 1, 10, 0 }, { 0, 20, 1 }, { 1, 11, 2 }, { 0, 21, 3 } };
    struct vta_gemm_shape shape =
        gemm_shape((struct vta_nest_insn){ .uop_end = 4, .iter_out = 1, .iter_in = 1 }, uops);
    cr_assert_eq(shape.group_count, 2);
    cr_expect(shape.groups[0].dst == 0 && shape.groups[1].dst == 1);
    cr_expect(shape.steps[0].src == 20 && shape.steps[1].src == 21);
    cr_expect(shape.steps[2].src == 10 && shape.steps[3].src == 11);
    cr_expect(shape.positions.extent == 1 && shape.outputs.extent == 1);
    vta_gemm_shape_clear(&shape);
}

Test(plan, leaves_a_long_reduction_as_a_loop)
{
    const struct vta_uop uops[2] = { { 0 } };
    struct vta_gemm_shape shape =
        gemm_shape((struct vta_nest_insn){ .uop_end = 2, .iter_out = 16383, .iter_in = 1 }, uops);
    cr_expect_eq(shape.outer_count, 1);
    cr_expect_eq(shape.step_count, 2);
    vta_gemm_shape_clear(&shape);
}

Test(plan, joins_consecutive_tiles_into_one_run)
{
    const struct vta_uop uops[] = { { 8, 0, 0 }, { 9, 1, 0 }, { 10, 2, 0 }, { 12, 3, 0 } };
    struct vta_alu_shape shape =
        alu_shape((struct vta_nest_insn){ .uop_end = 4, .iter_out = 1, .iter_in = 1 }, uops, true);
    cr_assert_eq(shape.run_count, 2);
    cr_expect(shape.runs[0].dst == 8 && shape.runs[0].tiles == 3);
    cr_expect(shape.runs[1].dst == 12 && shape.runs[1].src == 3 && shape.runs[1].tiles == 1);
    vta_alu_shape_clear(&shape);

    shape = alu_shape(
        (struct vta_nest_insn){
            .uop_end = 1, .iter_out = 4, .iter_in = 16, .dst_factor_out = 16, .dst_factor_in = 1 },
        uops, false);
    cr_expect(shape.run_count == 1 && shape.runs[0].tiles == 64 && shape.outer_count == 0);
    vta_alu_shape_clear(&shape);
}

Test(plan, does_not_join_steps_that_read_what_earlier_ones_wrote)
{
    const struct vta_uop uops[] = { { 1, 0, 0 }, { 2, 1, 0 }, { 3, 2, 0 } };
    struct vta_alu_shape shape =
        alu_shape((struct vta_nest_insn){ .uop_end = 3, .iter_out = 1, .iter_in = 1 }, uops, true);
    cr_expect_eq(shape.run_count, 3, "each tile takes what the one before it has just become");
    vta_alu_shape_clear(&shape);
    shape = alu_shape(
        (struct vta_nest_insn){
            .uop_end = 1, .iter_out = 1, .iter_in = 9, .dst_factor_in = 1, .src_factor_in = 1 },
        uops, true);
    cr_expect(shape.run_count == 1 && shape.runs[0].tiles == 1 && shape.outer_count == 1);
    vta_alu_shape_clear(&shape);
}

Test(plan, joins_steps_only_where_no_iteration_brings_them_to_what_they_write)
{
    const struct vta_uop apart[] = { { 10, 0, 0 }, { 11, 1, 0 } },
                         same[] = { { 0, 0, 0 }, { 1, 1, 0 } };
    struct vta_alu_shape shape = alu_shape(
        (struct vta_nest_insn){ .uop_end = 2, .iter_out = 2, .iter_in = 1, .src_factor_out = 9 },
        apart, true);
    cr_expect_eq(shape.run_count, 2, "the second iteration takes 9 and 10 into 10 and 11");
    vta_alu_shape_clear(&shape);
    shape = alu_shape(
        (struct vta_nest_insn){ .uop_end = 2, .iter_out = 3, .iter_in = 1, .src_factor_out = 4 },
        apart, true);
    cr_expect_eq(shape.run_count, 1, "8 and 9 are the last that it takes");
    vta_alu_shape_clear(&shape);
    shape = alu_shape(
        (struct vta_nest_insn){ .uop_end = 2, .iter_out = 1, .iter_in = 2, .dst_factor_in = 1 },
        same, true);
    cr_expect_eq(shape.run_count, 2, "the second iteration takes 0 and 1 into 1 and 2");
    vta_alu_shape_clear(&shape);
    shape = alu_shape((struct vta_nest_insn){ .uop_end = 1,
                                              .iter_out = 2,
                                              .iter_in = 10,
                                              .dst_factor_in = 1,
                                              .src_factor_out = 1,
                                              .src_factor_in = 1 },
                      apart, true);
    cr_expect(shape.runs[0].tiles == 1 && shape.outer_count == 2, "10 is read as it has become");
    vta_alu_shape_clear(&shape);
}

Test(plan, gives_equal_nests_one_shape_until_their_micro_ops_change)
{
    struct kit kit;
    struct vta_plan *plan;
    kit_init(&kit);
    kit_uop(&kit, 0, 1, 0, 0);
    kit_gemm(&kit);
    kit_alu(&kit, 0, 1);
    kit_gemm(&kit);
    kit_alu(&kit, 1, 9); /* another operation, the same nest */
    kit_uop(&kit, 0, 2, 0, 0);
    kit_gemm(&kit);
    kit_finish(&kit);
    struct vta_program *program = kit_program(&kit);
    struct vta_verify_options options = { 0 };
    cr_assert_eq(vta_verify(program, &options, &error), 0, "%s", error.message);
    cr_assert_eq(vta_plan_make(&plan, program, NULL, &error), 0);
    cr_expect_eq(plan->op_count, 7, "no-ops and FINISH are gone");
    cr_expect_eq(plan->gemm_count, 2);
    cr_expect_eq(plan->alu_count, 1);
    vta_plan_free(plan);
    vta_program_free(program);
}

Test(plan, reads_no_micro_op_where_padding_is_all_there_is)
{
    struct kit kit;
    struct vta_plan *plan;
    kit_init(&kit);
    struct vta_insn *load = kit_uop(&kit, 0, 0, 0, 0);
    load->mem.y_size = 0; /* no row of data, … */
    load->mem.y_pad_before = 1;
    load->mem.x_size = 500; /* … however long; the kernel has one micro-op */
    kit_gemm(&kit)->nest.uop_end = 500;
    kit_finish(&kit);
    struct vta_program *program = kit_program(&kit);
    struct vta_verify_options options = { 0 };
    cr_assert_eq(vta_verify(program, &options, &error), 0, "%s", error.message);
    cr_assert_eq(vta_plan_make(&plan, program, NULL, &error), 0);
    cr_expect_eq(plan->gemm_shapes[0].step_count, 500);
    vta_plan_free(plan);
    vta_program_free(program);
}

Test(plan, takes_padding_for_zeros_even_where_the_same_micro_op_lies_behind_it)
{
    struct kit kit;
    struct vta_plan *plan;
    kit_init(&kit);
    kit_uop(&kit, 0, 2047, 0, 0);
    struct vta_insn *padding = kit_uop(&kit, 0, 2047, 0, 0);
    padding->mem.y_size = 0;
    padding->mem.y_pad_before = 1;
    struct vta_insn *alu = kit_alu(&kit, 2, 1);
    alu->nest.iter_in = 2048;
    alu->nest.dst_factor_in = 1;
    kit_finish(&kit);
    struct vta_program *program = kit_program(&kit);
    struct vta_verify_options options = { 0 };
    cr_assert_eq(vta_verify(program, &options, &error), 0, "%s", error.message);
    cr_assert_eq(vta_plan_make(&plan, program, NULL, &error), 0);
    cr_expect_eq(plan->alu_shapes[0].runs[0].dst, 0);
    vta_plan_free(plan);
    vta_program_free(program);
}

Test(plan, is_given_up_when_the_run_is_stopped)
{
    struct kit kit;
    struct vta_plan *plan = NULL;
    struct vta_control control = { .stop = VTA_ECANCELLED };
    kit_init(&kit);
    kit_uop(&kit, 0, 0, 0, 0);
    kit_finish(&kit);
    struct vta_program *program = kit_program(&kit);
    struct vta_verify_options options = { 0 };
    cr_assert_eq(vta_verify(program, &options, &error), 0, "%s", error.message);
    cr_expect_eq(vta_plan_make(&plan, program, &control, &error), VTA_ECANCELLED);
    cr_expect_str_eq(error.message, "kit: the run was cancelled while it was planned");
    cr_expect_null(plan);
    vta_program_free(program);
}

/* ---- Weights ------------------------------------------------------------------------------- */

/* Two outputs from two inputs and four tiles of weights. */
static struct vta_insn *dense(struct kit *kit)
{
    struct vta_insn *gemm = kit_gemm(kit);
    gemm->nest.iter_out = gemm->nest.iter_in = 2;
    gemm->nest.dst_factor_out = gemm->nest.src_factor_in = gemm->nest.wgt_factor_in = 1;
    gemm->nest.wgt_factor_out = 2;
    return gemm;
}

/* The partner of the LOAD at `index`. */
static uint32_t partner_of(const struct kit *kit, uint32_t index)
{
    struct vta_plan *plan;
    struct vta_program *program = kit_program(kit);
    struct vta_verify_options options = { 0 };
    uint32_t partner = VTA_NO_PARTNER, back = index;
    cr_assert_eq(vta_verify(program, &options, &error), 0, "%s", error.message);
    cr_assert_eq(vta_plan_make(&plan, program, NULL, &error), 0);
    for (uint32_t i = 0; i < plan->op_count; i++)
        if (plan->ops[i].insn == index)
            partner = plan->ops[i].partner;
    for (uint32_t i = 0; i < plan->op_count; i++)
        if (plan->ops[i].insn == partner)
            back = plan->ops[i].partner;
    cr_expect_eq(back, index, "partners name each other");
    vta_plan_free(plan);
    vta_program_free(program);
    return partner;
}

/* Weights for a GEMM, and others in their place; each step may be changed. */
struct scene {
    struct kit kit;
    struct vta_insn *gemm, *again;
    uint32_t load, reload;
};

static void begin_scene(struct scene *scene, bool with_store)
{
    struct kit *kit = &scene->kit;
    kit_init(kit);
    kit_uop(kit, 0, 0, 0, 0);
    scene->load = kit->insn_count;
    kit_move(kit, KIT_WGT, 0, 0, 4)->push_next = 1;
    if (with_store)
        kit_move(kit, KIT_OUT, 0, 0, 1)->push_prev = 1;
    scene->gemm = dense(kit);
    scene->gemm->pop_prev = scene->gemm->push_prev = 1;
    scene->gemm->pop_next = with_store;
    scene->reload = kit->insn_count;
    struct vta_insn *reload = kit_move(kit, KIT_WGT, 8, 0, 4);
    reload->pop_next = reload->push_next = 1;
    scene->again = dense(kit);
    scene->again->pop_prev = 1;
    kit_finish(kit);
}

Test(plan, pairs_weights_that_are_overwritten_with_the_only_nest_that_reads_them)
{
    struct scene scene;
    begin_scene(&scene, false);
    cr_expect_eq(partner_of(&scene.kit, scene.load), scene.load + 1);
    cr_expect_eq(partner_of(&scene.kit, scene.reload), VTA_NO_PARTNER, "later programs see them");
}

Test(plan, loads_weights_that_a_store_may_change_before_they_are_read)
{
    struct scene scene;
    begin_scene(&scene, true);
    cr_expect_eq(partner_of(&scene.kit, scene.load), VTA_NO_PARTNER);
}

Test(plan, loads_weights_that_are_read_more_than_once_or_not_overwritten)
{
    struct scene scene;
    begin_scene(&scene, false);
    scene.gemm->nest.wgt_factor_out = 0; /* positions */
    cr_expect_eq(partner_of(&scene.kit, scene.load), VTA_NO_PARTNER);
    begin_scene(&scene, false);
    scene.kit.insns[scene.reload].mem.x_size = 3; /* one tile stays */
    cr_expect_eq(partner_of(&scene.kit, scene.load), VTA_NO_PARTNER);
    begin_scene(&scene, false);
    scene.kit.insns[scene.reload].mem.sram_base = 4; /* the second nest reads the same */
    cr_expect_eq(partner_of(&scene.kit, scene.load), VTA_NO_PARTNER);
}

/* ---- Beyond the bound ---------------------------------------------------------------------- */

#define NESTS 150
#define UOPS  8192

/* A kernel of NESTS GEMM, ALU or reset nests over ever fewer of 8192 micro-ops for ACC entry 0,
 * from one weight and one input of 1. */
static struct vta_kernel long_kernel(const struct kit *kit, uint8_t *bytes, uint32_t *uops,
                                     struct vta_reloc *relocs)
{
    struct vta_insn insns[NESTS + 8] = { { 0 } };
    uint32_t n = 0;
    insns[n].mem = (struct vta_mem_insn){ VTA_MEM_INP, 0, 0, 1, 1, 0, 0, 0, 0, 0 };
    insns[n++].push_next = 1;
    insns[n].mem = (struct vta_mem_insn){ VTA_MEM_WGT, 0, 0, 1, 1, 0, 0, 0, 0, 0 };
    insns[n++].push_next = 1;
    insns[n].mem = (struct vta_mem_insn){ VTA_MEM_UOP, 0, 0, 1, UOPS, 0, 0, 0, 0, 0 };
    insns[n++].pop_prev = 1;
    for (uint32_t i = 0; i < NESTS; i++, n++) {
        insns[n].opcode = i % 2 == 0 ? VTA_OP_GEMM : VTA_OP_ALU;
        insns[n].pop_prev = i == 0;
        insns[n].push_next = i == NESTS - 1;
        insns[n].nest = (struct vta_nest_insn){ .reset = i == 100,
                                                .uop_begin = i,
                                                .uop_end = UOPS,
                                                .iter_out = 1,
                                                .iter_in = 1,
                                                .alu_opcode = 2,
                                                .use_imm = 1,
                                                .imm = 1 };
    }
    insns[n].opcode = VTA_OP_STORE;
    insns[n].pop_prev = insns[n].push_prev = 1;
    insns[n++].mem = (struct vta_mem_insn){ VTA_MEM_OUT, 0, 0, 1, 1, 0, 0, 0, 0, 0 };
    insns[n].opcode = VTA_OP_FINISH;
    insns[n++].pop_next = 1;
    for (uint32_t i = 0; i < n; i++)
        cr_assert_eq(vta_insn_encode(&insns[i], &kit->layout, bytes + i * VTA_INSN_BYTES, &error),
                     0, "%s", error.message);
    relocs[0] = (struct vta_reloc){ 0, KIT_INP, 0 };
    relocs[1] = (struct vta_reloc){ 1, KIT_WGT, 0 };
    relocs[2] = (struct vta_reloc){ 2, VTA_PARAM_UOPS, 0 };
    relocs[3] = (struct vta_reloc){ NESTS + 3, KIT_OUT, 0 };
    return (struct vta_kernel){ .name = (char *)"long",
                                .param_count = 4,
                                .insn_count = n,
                                .uop_count = UOPS,
                                .reloc_count = 4,
                                .params = (struct vta_param *)kit->params,
                                .insns = bytes,
                                .uops = uops,
                                .relocs = relocs };
}

Test(plan, runs_nests_that_it_has_no_room_for)
{
    struct kit kit;
    struct vta_board_options options;
    struct vta_verify_options verify = { 0 };
    struct vta_board *board;
    struct vta_program *program;
    struct vta_reloc relocs[4];
    uint8_t bytes[(NESTS + 8) * VTA_INSN_BYTES], *out, *span;
    uint32_t *uops = calloc(UOPS, sizeof(*uops));
    vta_handle buffers[4];

    kit_init(&kit);
    struct vta_kernel kernel = long_kernel(&kit, bytes, uops, relocs);
    cr_assert_eq(vta_program_from_kernel(&program, &kernel, &kit.hw, &error), 0, "%s",
                 error.message);
    cr_assert_eq(vta_verify(program, &verify, &error), 0, "%s", error.message);
    vta_board_options_default(&options);
    cr_assert_eq(vta_board_open(&board, &options, &error), 0);
    struct vta_dram *dram = vta_board_dram(board, &error);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(vta_dram_alloc(dram, 64 * 256, &buffers[i], &error), 0);
    for (int i = 0; i < 2; i++) {
        vta_dram_span(dram, buffers[i], 0, 256, &span, NULL);
        memset(span, 0, 256);
        span[0] = 1;
    }
    cr_assert_eq(vta_board_run(board, program, buffers, 4, NULL, NULL, &error), 0, "%s",
                 error.message);
    uint32_t want = 0; /* nest 100 is a reset; GEMMs reach number 0 alone */
    for (uint32_t i = 101; i < NESTS; i++)
        want += UOPS - i;
    uint32_t others = 0;
    for (uint32_t i = 101; i < NESTS; i += 2)
        others += UOPS - i;
    vta_dram_span(dram, buffers[KIT_OUT], 0, 16, &out, NULL);
    cr_expect_eq(out[0], (uint8_t)want);
    cr_expect_eq(out[1], (uint8_t)others);
    cr_expect(program->plan->ops[NESTS].shape == VTA_SHAPE_AT_RUN, "the bound was passed");
    vta_board_close(board);
    vta_program_free(program);
    free(uops);
}
