/* test_verify.c: each rule of the verifier, and that what stays within bounds is never refused. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "kit.h"

static struct vta_error error;

#define EXPECT_REFUSED(kit, rc, text)                                                              \
    do {                                                                                           \
        cr_expect_eq(kit_verify(kit, &error), rc, "code %d: %s", error.code, error.message);       \
        cr_expect(strstr(error.message, text) != NULL, "%s", error.message);                       \
    } while (0)

#define EXPECT_ACCEPTED(kit) cr_expect_eq(kit_verify(kit, &error), 0, "%s", error.message)

Test(verify, accepts_a_program_that_stays_within_bounds)
{
    struct kit kit;
    kit_init(&kit);
    kit_uop(&kit, 0, 2047, 2047, 1023);
    kit_move(&kit, KIT_INP, 0, 2048 - 64, 64)->push_next = 1;
    kit_move(&kit, KIT_WGT, 0, 1024 - 64, 64)->push_next = 1;
    kit_gemm(&kit)->pop_prev = 1;
    kit_gemm(&kit)->pop_prev = 1;
    kit_alu(&kit, 3, 8)->push_next = 1;
    kit_move(&kit, KIT_OUT, 63, 2047, 1)->pop_prev = 1;
    kit_finish(&kit);
    EXPECT_ACCEPTED(&kit);
}

Test(verify, names_the_instruction_the_index_and_the_depth)
{
    struct kit kit;
    kit_init(&kit);
    kit_uop(&kit, 0, 0, 0, 1000);
    struct vta_insn *gemm = kit_gemm(&kit);
    gemm->nest.iter_in = 312;
    gemm->nest.wgt_factor_in = 1;
    kit_finish(&kit);
    EXPECT_REFUSED(&kit, VTA_ESRAM,
                   "refused: insn 1 GEMM: weight index reaches 1311, WGT has 1024");
    cr_expect_eq(error.insn, 1);
    cr_expect(error.has_limit && error.limit == 1023 && error.value == 1311);
    cr_expect(strstr(error.message, "uop[0,1) 1×312") != NULL, "%s", error.message);
}

Test(verify, judges_loops_by_their_extremes_and_not_by_their_factors)
{
    struct kit kit;
    kit_init(&kit);
    kit_uop(&kit, 0, 0, 0, 0);
    struct vta_insn *gemm = kit_gemm(&kit);
    gemm->nest.iter_out = 1; /* a factor of a loop that runs once moves nothing */
    gemm->nest.dst_factor_out = 2047;
    gemm->nest.wgt_factor_out = 1023;
    gemm->nest.iter_in = 2048;
    gemm->nest.dst_factor_in = 1;
    kit_finish(&kit);
    EXPECT_ACCEPTED(&kit);
    gemm->nest.iter_in = 2049;
    EXPECT_REFUSED(&kit, VTA_ESRAM, "accumulator index reaches 2048, ACC has 2048");
}

Test(verify, ignores_operands_that_are_not_used)
{
    struct kit kit;
    kit_init(&kit);
    kit_uop(&kit, 0, 0, 2047, 1023);
    struct vta_insn *reset = kit_gemm(&kit); /* a reset reads neither input nor weight */
    reset->nest.reset = 1;
    reset->nest.iter_out = 100;
    reset->nest.src_factor_out = reset->nest.wgt_factor_out = 1;
    struct vta_insn *imm = kit_alu(&kit, 0, 5); /* an immediate takes no source */
    imm->nest.iter_in = 100;
    imm->nest.src_factor_in = 1;
    kit_finish(&kit);
    EXPECT_ACCEPTED(&kit);
    imm->nest.use_imm = 0;
    EXPECT_REFUSED(&kit, VTA_ESRAM, "source index reaches 2146, ACC has 2048");
}

Test(verify, ignores_nests_that_run_no_step)
{
    struct kit kit;
    kit_init(&kit);
    struct vta_insn *gemm = kit_gemm(&kit);
    gemm->nest.iter_in = 0;
    gemm->nest.uop_end = 9000;
    struct vta_insn *alu = kit_alu(&kit, 1, 0);
    alu->nest.uop_begin = alu->nest.uop_end = 77;
    kit_finish(&kit);
    EXPECT_ACCEPTED(&kit);
}

Test(verify, refuses_micro_ops_that_nothing_loaded)
{
    struct kit kit;
    kit_init(&kit);
    kit_uop(&kit, 0, 0, 0, 0);
    kit_uop(&kit, 2, 0, 0, 0);
    kit_gemm(&kit)->nest.uop_end = 3;
    kit_finish(&kit);
    EXPECT_REFUSED(&kit, VTA_EUOP, "uses micro-op 1, which no earlier instruction has loaded");
    kit.insns[2].nest.uop_end = 8193;
    EXPECT_REFUSED(&kit, VTA_ESRAM, "micro-op index reaches 8192, UOP has 8192");
}

Test(verify, knows_that_a_later_load_replaces_a_micro_op)
{
    struct kit kit;
    kit_init(&kit);
    kit_uop(&kit, 0, 2047, 0, 0);
    kit_uop(&kit, 0, 0, 0, 0);
    struct vta_insn *gemm = kit_gemm(&kit);
    gemm->nest.iter_in = 2048;
    gemm->nest.dst_factor_in = 1;
    kit_finish(&kit);
    EXPECT_ACCEPTED(&kit);
}

Test(verify, refuses_what_leaves_an_sram)
{
    struct kit kit;
    kit_init(&kit);
    struct vta_insn *load = kit_move(&kit, KIT_INP, 0, 2040, 8);
    kit_finish(&kit);
    EXPECT_ACCEPTED(&kit);
    load->mem.x_pad_after = 1;
    EXPECT_REFUSED(&kit, VTA_ESRAM, "insn 0 LOAD: INP index reaches 2048, INP has 2048");
    load->mem.x_pad_after = 0;
    load->mem.y_pad_before = 1;
    EXPECT_REFUSED(&kit, VTA_ESRAM, "INP index reaches 2055");
}

Test(verify, refuses_what_leaves_its_parameter)
{
    struct kit kit;
    kit_init(&kit);
    struct vta_insn *load = kit_move(&kit, KIT_WGT, 60, 0, 4);
    kit_finish(&kit);
    EXPECT_ACCEPTED(&kit);
    load->mem.x_size = 5;
    EXPECT_REFUSED(&kit, VTA_EDRAM, "bytes 15360 to 16640 of parameter 1, which has 16384");
    load->mem.x_size = 1;
    load->mem.y_size = 2;
    load->mem.x_stride = 3;
    EXPECT_ACCEPTED(&kit);
    load->mem.x_stride = 65535;
    EXPECT_REFUSED(&kit, VTA_EDRAM, "of parameter 1");
}

Test(verify, refuses_a_store_to_a_parameter_that_is_only_read)
{
    struct kit kit;
    kit_init(&kit);
    kit_move(&kit, KIT_OUT, 0, 0, 1);
    kit.relocs[0].param = KIT_INP;
    kit_finish(&kit);
    EXPECT_REFUSED(&kit, VTA_EDRAM, "stores to parameter 0, which is read-only");
}

Test(verify, refuses_absolute_addresses_where_nothing_says_what_is_there)
{
    struct kit kit;
    kit_init(&kit);
    kit_move(&kit, KIT_INP, 0, 0, 1);
    kit_finish(&kit);
    struct vta_program *program = kit_program(&kit);
    struct vta_verify_options options = { 0 };
    program->bases[0] = VTA_BASE_ABSOLUTE;
    program->insns[0].mem.dram_base = 256;
    cr_expect_eq(vta_verify(program, &options, &error), VTA_EDRAM);
    cr_expect(strstr(error.message, "DRAM 0x1000 to 0x1010") != NULL, "%s", error.message);
    vta_program_free(program);
}

Test(verify, refuses_unknown_opcodes_and_memory_types)
{
    struct kit kit;
    kit_init(&kit);
    kit_add(&kit, (struct vta_insn){ .opcode = 6 });
    kit_finish(&kit);
    EXPECT_REFUSED(&kit, VTA_EOPCODE, "opcode 6 is unknown");

    kit_init(&kit);
    kit_move(&kit, KIT_INP, 0, 0, 1)->mem.memory = 7;
    kit_finish(&kit);
    EXPECT_REFUSED(&kit, VTA_EOPCODE, "memory type 7 cannot be loaded into");

    kit_init(&kit);
    kit_move(&kit, KIT_OUT, 0, 0, 1)->mem.memory = VTA_MEM_ACC;
    kit_finish(&kit);
    EXPECT_REFUSED(&kit, VTA_EOPCODE, "stores come from OUT");

    kit_init(&kit);
    kit_move(&kit, KIT_OUT, 0, 0, 1)->mem.x_pad_before = 1;
    kit_finish(&kit);
    EXPECT_REFUSED(&kit, VTA_EOPCODE, "a store has no padding");

    kit_init(&kit);
    kit_uop(&kit, 0, 0, 0, 0);
    kit_alu(&kit, 5, 0);
    kit_finish(&kit);
    EXPECT_REFUSED(&kit, VTA_EOPCODE, "ALU opcode 5 is unknown");
}

Test(verify, refuses_a_pop_that_no_push_can_meet)
{
    struct kit kit;
    kit_init(&kit);
    kit_uop(&kit, 0, 0, 0, 0);
    kit_move(&kit, KIT_INP, 0, 0, 1)->push_next = 1;
    kit_gemm(&kit)->pop_prev = 1;
    kit_gemm(&kit)->pop_prev = 1;
    kit_finish(&kit);
    EXPECT_REFUSED(&kit, VTA_EDEADLOCK, "refused: deadlock\n  insn 3  GEMM   pop:load");
    cr_expect(strstr(error.message, "waits for a token from load; load has finished at insn 1") !=
                  NULL,
              "%s", error.message);
    cr_expect(strstr(error.message, "load→compute: 1 pushed, 2 popped") != NULL, "%s",
              error.message);
    cr_expect_eq(error.insn, 3);
}

Test(verify, names_every_unit_of_a_circle)
{
    struct kit kit;
    kit_init(&kit);
    struct vta_insn *load = kit_move(&kit, KIT_INP, 0, 0, 1);
    load->pop_next = load->push_next = 1;
    kit_uop(&kit, 0, 0, 0, 0)->pop_prev = 1;
    kit_gemm(&kit)->push_prev = 1;
    kit_finish(&kit);
    EXPECT_REFUSED(&kit, VTA_EDEADLOCK, "insn 0  LOAD   pop:compute");
    cr_expect(strstr(error.message, "compute waits at insn 1") != NULL, "%s", error.message);
    cr_expect(strstr(error.message, "load waits at insn 0") != NULL, "%s", error.message);
}

Test(verify, ignores_token_bits_that_lead_nowhere)
{
    struct kit kit;
    kit_init(&kit);
    struct vta_insn *load = kit_move(&kit, KIT_INP, 0, 0, 1);
    load->pop_prev = load->push_prev = 1; /* load has no previous unit */
    kit_finish(&kit);
    EXPECT_ACCEPTED(&kit);
}

Test(verify, counts_tokens_that_an_earlier_run_left)
{
    struct kit kit;
    kit_init(&kit);
    kit_uop(&kit, 0, 0, 0, 0)->pop_next = 1;
    kit_add(&kit, (struct vta_insn){ .opcode = VTA_OP_FINISH });
    EXPECT_REFUSED(&kit, VTA_EDEADLOCK, "store has no instructions");

    struct vta_program *program = kit_program(&kit);
    struct vta_verify_options options = { .before = { .store_to_compute = 2 } };
    cr_expect_eq(vta_verify(program, &options, &error), 0, "%s", error.message);
    cr_expect_eq(program->after.store_to_compute, 1);
    options.tokens_must_end_empty = true;
    cr_expect_eq(vta_verify(program, &options, &error), VTA_EFINISH);
    cr_expect(strstr(error.message, "store→compute 1") != NULL, "%s", error.message);
    vta_program_free(program);
}

Test(verify, runs_instructions_in_program_order_wherever_tokens_allow_it)
{
    struct kit kit;
    kit_init(&kit);
    kit_move(&kit, KIT_INP, 0, 0, 1)->pop_next = 1; /* waits for insn 2 */
    kit_move(&kit, KIT_OUT, 0, 0, 1);
    kit_uop(&kit, 0, 0, 0, 0)->push_prev = 1;
    kit_finish(&kit);
    struct vta_program *program = kit_program(&kit);
    struct vta_verify_options options = { 0 };
    cr_assert_eq(vta_verify(program, &options, &error), 0, "%s", error.message);
    const uint32_t want[] = { 1, 2, 0, 3, 4 };
    cr_expect_eq(memcmp(program->order, want, sizeof(want)), 0);
    vta_program_free(program);
}

Test(verify, demands_one_finish_at_the_end)
{
    struct kit kit;
    kit_init(&kit);
    EXPECT_REFUSED(&kit, VTA_EFINISH, "the program has no instructions");
    kit_uop(&kit, 0, 0, 0, 0);
    EXPECT_REFUSED(&kit, VTA_EFINISH, "is the last instruction, which must be FINISH");
    kit_add(&kit, (struct vta_insn){ .opcode = VTA_OP_FINISH });
    EXPECT_ACCEPTED(&kit);
    kit_add(&kit, (struct vta_insn){ .opcode = VTA_OP_FINISH });
    EXPECT_REFUSED(&kit, VTA_EFINISH, "insn 1 FINISH: is not the last of 3 instructions");
}

Test(verify, demands_that_every_store_is_ordered_before_finish)
{
    struct kit kit;
    kit_init(&kit);
    struct vta_insn *first = kit_move(&kit, KIT_OUT, 0, 0, 1);
    first->push_prev = 1;
    struct vta_insn *second = kit_move(&kit, KIT_OUT, 1, 1, 1);
    kit_add(&kit, (struct vta_insn){ .opcode = VTA_OP_FINISH, .pop_next = 1 });
    EXPECT_REFUSED(&kit, VTA_EFINISH, "insn 1 STORE: is not ordered before FINISH");
    second->push_prev = 1;
    EXPECT_REFUSED(&kit, VTA_EFINISH, "the token of this store comes later");
    first->push_prev = 0;
    EXPECT_ACCEPTED(&kit);
}

Test(verify, bounds_the_work_without_running_it)
{
    struct kit kit;
    kit_init(&kit);
    kit_uop(&kit, 0, 0, 0, 0);
    struct vta_insn *gemm = kit_gemm(&kit);
    gemm->nest.iter_out = gemm->nest.iter_in = 16383;
    kit_finish(&kit);
    struct vta_program *program = kit_program(&kit);
    struct vta_verify_options options = { .max_work = 268402689 };
    cr_expect_eq(vta_verify(program, &options, &error), VTA_EWORK);
    cr_expect(strstr(error.message, "reaches 268402690 micro-op steps") != NULL, "%s",
              error.message);
    options.max_work = 268402690;
    cr_expect_eq(vta_verify(program, &options, &error), 0, "%s", error.message);
    cr_expect_eq(program->counters.gemm_counter, 268402689u);
    vta_program_free(program);
}

Test(verify, predicts_the_seven_counters)
{
    struct kit kit;
    kit_init(&kit);
    kit_uop(&kit, 0, 0, 0, 0);
    struct vta_insn *load = kit_move(&kit, KIT_INP, 0, 0, 3);
    load->mem.y_size = 2;
    load->mem.x_stride = 4;
    load->mem.y_pad_before = load->mem.x_pad_after = 2; /* padding is not counted */
    kit_move(&kit, KIT_WGT, 0, 0, 5);
    kit_move(&kit, KIT_ACC, 0, 0, 7);
    struct vta_insn *gemm = kit_gemm(&kit);
    gemm->nest.iter_out = 3;
    gemm->nest.iter_in = 4;
    struct vta_insn *reset = kit_gemm(&kit); /* a reset is not counted */
    reset->nest.reset = 1;
    kit_alu(&kit, 2, 1)->nest.iter_in = 6;
    kit_move(&kit, KIT_OUT, 0, 0, 9);
    kit_finish(&kit);
    struct vta_program *program = kit_program(&kit);
    struct vta_verify_options options = { 0 };
    cr_assert_eq(vta_verify(program, &options, &error), 0, "%s", error.message);
    cr_expect_eq(program->counters.inp_load_nbytes, 6 * 16u);
    cr_expect_eq(program->counters.wgt_load_nbytes, 5 * 256u);
    cr_expect_eq(program->counters.acc_load_nbytes, 7 * 64u);
    cr_expect_eq(program->counters.uop_load_nbytes, 4u);
    cr_expect_eq(program->counters.out_store_nbytes, 9 * 16u);
    cr_expect_eq(program->counters.gemm_counter, 12u);
    cr_expect_eq(program->counters.alu_counter, 6u);
    vta_program_free(program);
}
