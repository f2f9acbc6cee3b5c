/* test_board.c: what programs do on a simulated board, number by number, and what a board keeps. */
#include <criterion/criterion.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vta/build.h>

#include "core/board.h"
#include "core/plan.h"

#include "kit.h"

static struct vta_error error;

/* A board with one buffer per parameter of the kit, 64 elements each. */
struct bench {
    struct kit kit;
    struct vta_board *board;
    struct vta_dram *dram;
    vta_handle buffers[4];
};

static void bench_open(struct bench *bench)
{
    struct vta_board_options options;
    kit_init(&bench->kit);
    vta_board_options_default(&options);
    cr_assert_eq(vta_board_open(&bench->board, &options, &error), 0, "%s", error.message);
    bench->dram = vta_board_dram(bench->board, &error);
    cr_assert_not_null(bench->dram, "%s", error.message);
    for (uint32_t i = 0; i < 4; i++) {
        uint64_t nbytes;
        vta_tensor_nbytes(&bench->kit.params[i].type, &nbytes, NULL);
        cr_assert_eq(vta_dram_alloc(bench->dram, nbytes, &bench->buffers[i], &error), 0, "%s",
                     error.message);
    }
}

static void bench_close(struct bench *bench)
{
    vta_board_close(bench->board);
}

static void *bytes_of(struct bench *bench, uint32_t param)
{
    uint64_t nbytes;
    uint8_t *bytes;
    vta_dram_lookup(bench->dram, bench->buffers[param], &nbytes, NULL, NULL);
    cr_assert_eq(vta_dram_span(bench->dram, bench->buffers[param], 0, nbytes, &bytes, &error), 0);
    return bytes;
}

static struct vta_program *verified(const struct kit *kit)
{
    struct vta_program *program = kit_program(kit);
    struct vta_verify_options options = { 0 };
    cr_assert_eq(vta_verify(program, &options, &error), 0, "%s", error.message);
    return program;
}

static int run(struct bench *bench, struct vta_control *control, struct vta_run_result *result)
{
    struct vta_program *program = verified(&bench->kit);
    int rc = vta_board_run(bench->board, program, bench->buffers, 4, control, result, &error);
    vta_program_free(program);
    return rc;
}

/* Orders what was added before it, in program order, and stores ACC entry `acc` to out[0]. */
static void store_first(struct kit *kit, uint32_t acc)
{
    kit->insns[kit->insn_count - 1].push_next = 1;
    kit_move(kit, KIT_OUT, 0, acc, 1)->pop_prev = 1;
    kit_finish(kit);
}

Test(board, multiplies_a_vector_by_a_transposed_tile)
{
    struct bench bench;
    bench_open(&bench);
    int8_t *inp = bytes_of(&bench, KIT_INP), *wgt = bytes_of(&bench, KIT_WGT);
    const int8_t *out = bytes_of(&bench, KIT_OUT);
    for (int i = 0; i < 16; i++)
        inp[i] = (int8_t)(i - 8);
    for (int i = 0; i < 256; i++)
        wgt[i] = (int8_t)(i * 7 % 11 - 5);
    kit_uop(&bench.kit, 0, 3, 0, 0);
    kit_move(&bench.kit, KIT_INP, 0, 0, 1);
    kit_move(&bench.kit, KIT_WGT, 0, 0, 1)->push_next = 1;
    kit_gemm(&bench.kit)->pop_prev = 1;
    store_first(&bench.kit, 3);
    cr_assert_eq(run(&bench, NULL, NULL), 0, "%s", error.message);
    for (int o = 0; o < 16; o++) {
        int sum = 0;
        for (int i = 0; i < 16; i++)
            sum += inp[i] * wgt[o * 16 + i];
        cr_expect_eq(out[o], (int8_t)sum, "column %d", o);
    }
    bench_close(&bench);
}

/* ALU of ACC entry 0 (loaded with `a`) and an immediate, the whole 32 bits fetched by shifts. */
static int32_t alu_imm(uint32_t opcode, int32_t a, int32_t imm)
{
    uint32_t result = 0;
    for (int byte = 0; byte < 4; byte++) {
        struct bench bench;
        bench_open(&bench);
        int32_t *acc = bytes_of(&bench, KIT_ACC);
        for (int i = 0; i < 16; i++)
            acc[i] = a;
        kit_uop(&bench.kit, 0, 0, 0, 0);
        kit_move(&bench.kit, KIT_ACC, 0, 0, 1);
        kit_alu(&bench.kit, opcode, imm);
        kit_alu(&bench.kit, 3, 8 * byte);
        store_first(&bench.kit, 0);
        cr_assert_eq(run(&bench, NULL, NULL), 0, "%s", error.message);
        result |= (uint32_t)((const uint8_t *)bytes_of(&bench, KIT_OUT))[7] << 8 * byte;
        bench_close(&bench);
    }
    return (int32_t)result;
}

Test(board, shifts_arithmetically_and_left_by_negative_amounts)
{
    cr_expect_eq(alu_imm(3, -1000, 3), -125);
    cr_expect_eq(alu_imm(3, -1, 31), -1);
    cr_expect_eq(alu_imm(3, INT32_MIN, 31), -1);
    cr_expect_eq(alu_imm(3, INT32_MAX, 31), 0);
    cr_expect_eq(alu_imm(3, -5, 32), -1);
    cr_expect_eq(alu_imm(3, 5, 1000), 0);
    cr_expect_eq(alu_imm(3, 5, 0), 5);
    cr_expect_eq(alu_imm(3, 3, -4), 48);
    cr_expect_eq(alu_imm(3, 1, -31), INT32_MIN);
    cr_expect_eq(alu_imm(3, -1, -32), 0);
    cr_expect_eq(alu_imm(3, -1, -32768), 0);
}

Test(board, wraps_at_32_bits)
{
    cr_expect_eq(alu_imm(2, INT32_MAX, 1), INT32_MIN);
    cr_expect_eq(alu_imm(2, INT32_MIN, -1), INT32_MAX);
    cr_expect_eq(alu_imm(4, 0x10001, 0x7fff), (int32_t)(0x10001u * 0x7fffu));
    cr_expect_eq(alu_imm(4, INT32_MIN, -1), INT32_MIN);
    cr_expect_eq(alu_imm(0, -7, 3), -7);
    cr_expect_eq(alu_imm(1, -7, 3), 3);
}

Test(board, pads_with_zeros_and_widens_bytes)
{
    struct bench bench;
    bench_open(&bench);
    int8_t *acc = bytes_of(&bench, KIT_ACC); /* read as int8 */
    const int8_t *out = bytes_of(&bench, KIT_OUT);
    for (int i = 0; i < 64; i++)
        acc[i] = (int8_t)(i - 100);
    struct vta_insn *load = kit_move(&bench.kit, KIT_ACC, 0, 0, 1);
    load->mem.memory = VTA_MEM_ACC_8BIT;
    load->mem.y_size = 2;
    load->mem.x_stride = 2;
    load->mem.y_pad_before = load->mem.x_pad_before = load->mem.x_pad_after = 1;
    load->push_next = 1;
    kit_move(&bench.kit, KIT_OUT, 0, 0, 9)->pop_prev = 1; /* one row of padding, two of data */
    kit_finish(&bench.kit);
    cr_assert_eq(run(&bench, NULL, NULL), 0, "%s", error.message);
    for (int entry = 0; entry < 9; entry++) {
        for (int i = 0; i < 16; i++) {
            int want = entry == 4 ? i - 100 : entry == 7 ? 32 + i - 100 : 0;
            cr_expect_eq(out[entry * 16 + i], want, "entry %d number %d", entry, i);
        }
    }
    bench_close(&bench);
}

/* One result each, of one ACC entry each, into `count` parameters. */
static struct vta_program *many_results(uint32_t count)
{
    const struct vta_tensor_type row = { { VTA_DTYPE_INT, 8 }, 2, { 1, 16 } };
    const struct vta_verify_options options = { 0 };
    struct vta_program *program = NULL;
    struct vta_kernel kernel;
    struct vta_hw hw;
    char name[8];
    vta_hw_default(&hw);
    struct vta_build *build = vta_build_new(&hw, "many");
    for (uint32_t i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "r%u", i);
        vta_build_param(build, name, &row, VTA_MEM_OUT, VTA_ACCESS_WRITE);
        const struct vta_uop_index uop = { i, i, 0 };
        const struct vta_uop_kernel one = { NULL, 0, &uop, 1 };
        vta_build_gemm(build, &one, true);
        vta_build_alu_imm(build, &one, VTA_ALU_ADD, (int32_t)i + 1);
    }
    vta_build_push(build, VTA_UNIT_COMPUTE, VTA_UNIT_STORE);
    vta_build_pop(build, VTA_UNIT_COMPUTE, VTA_UNIT_STORE);
    for (uint32_t i = 0; i < count; i++)
        vta_build_store(build, i, (int)i, 0, 1, 1, 1);
    cr_assert_eq(vta_build_finish(build, &kernel, &error), 0, "%s", error.message);
    cr_assert_eq(vta_program_from_kernel(&program, &kernel, &hw, &error), 0, "%s", error.message);
    vta_kernel_clear(&kernel);
    cr_assert_eq(vta_verify(program, &options, &error), 0, "%s", error.message);
    return program;
}

Test(board, binds_every_buffer_of_a_program_that_has_many)
{
    enum {
        MANY = 40
    };
    struct bench bench;
    vta_handle buffers[MANY];
    int8_t bytes[16];
    bench_open(&bench);
    struct vta_program *program = many_results(MANY);
    for (int i = 0; i < MANY; i++)
        cr_assert_eq(vta_dram_alloc(bench.dram, sizeof(bytes), &buffers[i], &error), 0);
    cr_assert_eq(vta_board_run(bench.board, program, buffers, MANY, NULL, NULL, &error), 0, "%s",
                 error.message);
    for (int i = 0; i < MANY; i++) {
        cr_assert_eq(vta_dram_read(bench.dram, buffers[i], 0, bytes, sizeof(bytes), &error), 0);
        for (int k = 0; k < 16; k++)
            cr_assert_eq(bytes[k], i + 1, "buffer %d", i);
    }
    buffers[MANY - 1] ^= UINT64_C(1) << 40;
    cr_assert_eq(vta_board_run(bench.board, program, buffers, MANY, NULL, NULL, &error),
                 VTA_EHANDLE);
    vta_program_free(program);
    bench_close(&bench);
}

Test(board, keeps_counters_of_each_run_and_their_sum)
{
    struct bench bench;
    struct vta_run_result result;
    bench_open(&bench);
    kit_uop(&bench.kit, 0, 0, 0, 0);
    kit_move(&bench.kit, KIT_INP, 0, 0, 2)->push_next = 1;
    kit_gemm(&bench.kit)->pop_prev = 1;
    kit_finish(&bench.kit);
    for (uint32_t i = 1; i <= 3; i++) {
        cr_assert_eq(run(&bench, NULL, &result), 0, "%s", error.message);
        cr_expect_eq(result.counters.inp_load_nbytes, 32u);
        cr_expect_eq(vta_board_counters(bench.board).inp_load_nbytes, 32u * i);
        cr_expect_eq(vta_board_counters(bench.board).gemm_counter, i);
    }
    vta_board_clear_counters(bench.board);
    cr_expect_eq(vta_board_counters(bench.board).gemm_counter, 0u);
    bench_close(&bench);
}

Test(board, counts_without_computing_when_told_to_skip)
{
    struct bench bench;
    bench_open(&bench);
    memset(bytes_of(&bench, KIT_OUT), 0x5a, 16);
    kit_uop(&bench.kit, 0, 0, 0, 0);
    kit_alu(&bench.kit, 2, 1);
    store_first(&bench.kit, 0);
    vta_board_set_skip(bench.board, true);
    cr_assert_eq(run(&bench, NULL, NULL), 0, "%s", error.message);
    cr_expect_eq(vta_board_counters(bench.board).alu_counter, 1u);
    cr_expect_eq(vta_board_counters(bench.board).out_store_nbytes, 16u);
    cr_expect_eq(((uint8_t *)bytes_of(&bench, KIT_OUT))[0], 0x5a);
    vta_board_set_skip(bench.board, false);
    cr_assert_eq(run(&bench, NULL, NULL), 0, "%s", error.message);
    cr_expect_eq(((uint8_t *)bytes_of(&bench, KIT_OUT))[0], 1);
    bench_close(&bench);
}

Test(board, hands_tokens_from_one_run_to_the_next)
{
    struct bench bench;
    bench_open(&bench);
    kit_add(&bench.kit, (struct vta_insn){ .opcode = VTA_OP_STORE, .push_prev = 1 });
    kit_add(&bench.kit, (struct vta_insn){ .opcode = VTA_OP_FINISH });
    struct vta_program *program = verified(&bench.kit);
    cr_assert_eq(vta_board_run(bench.board, program, bench.buffers, 4, NULL, NULL, &error), 0);
    cr_expect_eq(vta_board_tokens(bench.board).store_to_compute, 1);
    cr_expect_eq(vta_board_run(bench.board, program, bench.buffers, 4, NULL, NULL, &error),
                 VTA_ESTATE, "it was verified for empty queues");
    struct vta_verify_options options = { .before = vta_board_tokens(bench.board) };
    cr_assert_eq(vta_verify(program, &options, &error), 0);
    cr_assert_eq(vta_board_run(bench.board, program, bench.buffers, 4, NULL, NULL, &error), 0);
    cr_expect_eq(vta_board_tokens(bench.board).store_to_compute, 2);
    vta_program_free(program);
    bench_close(&bench);
}

Test(board, refuses_to_run_what_was_not_verified_or_does_not_fit)
{
    struct bench bench;
    bench_open(&bench);
    kit_finish(&bench.kit);
    struct vta_program *program = kit_program(&bench.kit);
    cr_expect_eq(vta_board_run(bench.board, program, bench.buffers, 4, NULL, NULL, &error),
                 VTA_ESTATE);
    struct vta_verify_options options = { 0 };
    cr_assert_eq(vta_verify(program, &options, &error), 0);
    cr_expect_eq(vta_board_run(bench.board, program, bench.buffers, 3, NULL, NULL, &error),
                 VTA_EINVAL);
    cr_expect_str_eq(error.message, "kit takes 4 buffers, got 3");
    const vta_handle swapped[] = { bench.buffers[0], bench.buffers[0], bench.buffers[2],
                                   bench.buffers[3] };
    cr_expect_eq(vta_board_run(bench.board, program, swapped, 4, NULL, NULL, &error), VTA_ESIZE);
    cr_expect_str_eq(error.message, "kit: parameter 1 needs 16384 bytes, its buffer has 1024");
    const vta_handle forged[] = { 1, bench.buffers[1], bench.buffers[2], bench.buffers[3] };
    cr_expect_eq(vta_board_run(bench.board, program, forged, 4, NULL, NULL, &error), VTA_EHANDLE);
    program->hw.log_batch = 1;
    cr_expect_eq(vta_board_run(bench.board, program, bench.buffers, 4, NULL, NULL, &error),
                 VTA_EHARDWARE);
    vta_program_free(program);
    bench_close(&bench);
}

static void *stop_soon(void *control)
{
    atomic_store(&((struct vta_control *)control)->stop, VTA_ECANCELLED);
    return NULL;
}

Test(board, stops_inside_one_endless_instruction, .timeout = 60)
{
    struct bench bench;
    struct vta_control control = { 0 };
    pthread_t thread;
    bench_open(&bench);
    kit_uop(&bench.kit, 0, 0, 0, 0);
    struct vta_insn *gemm = kit_gemm(&bench.kit);
    gemm->nest.iter_out = gemm->nest.iter_in = 16383;
    for (int i = 0; i < 40; i++) /* hours of work */
        kit_add(&bench.kit, *gemm);
    kit_finish(&bench.kit);
    struct vta_program *program = verified(&bench.kit);
    struct vta_plan *plan;
    cr_assert_eq(vta_plan_make(&plan, program, NULL, &error), 0);
    program->plan = plan; /* so that it is the run that is stopped */
    pthread_create(&thread, NULL, stop_soon, &control);
    cr_expect_eq(vta_board_run(bench.board, program, bench.buffers, 4, &control, NULL, &error),
                 VTA_ECANCELLED);
    pthread_join(thread, NULL);
    vta_program_free(program);
    cr_expect(strstr(error.message, "kit: the run was cancelled at insn") != NULL, "%s",
              error.message);
    cr_expect_eq(vta_board_counters(bench.board).gemm_counter, 0u, "a stopped run counts nothing");

    bench.kit.insn_count = 1;
    kit_finish(&bench.kit);
    cr_expect_eq(run(&bench, NULL, NULL), 0, "the board runs on: %s", error.message);
    bench_close(&bench);
}

Test(board, changes_its_configuration_only_before_first_use)
{
    struct vta_board_options options;
    struct vta_board *board;
    struct vta_hw wide;
    vta_board_options_default(&options);
    cr_assert_eq(vta_board_open(&board, &options, &error), 0);
    vta_hw_default(&wide);
    wide.log_acc_buff = 16;
    cr_assert_eq(vta_hw_derive(&wide, &error), 0, "%s", error.message);
    cr_expect_eq(vta_board_reconfigure(board, &wide, &error), 0, "%s", error.message);
    cr_expect(!vta_board_used(board));
    cr_assert_not_null(vta_board_dram(board, &error));
    cr_expect(vta_board_used(board));
    cr_expect_eq(vta_board_reconfigure(board, &wide, &error), 0, "the same is no change");
    cr_expect_eq(vta_board_reconfigure(board, &options.hw, &error), VTA_ESTATE);
    cr_expect(strstr(error.message, "1x16_i8w8a32_15_15_18_16") != NULL, "%s", error.message);
    vta_board_close(board);
}
