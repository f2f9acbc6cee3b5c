/* test_runtime.c: the command queue that generated code calls: what it records, when it runs by
 * itself, what a call leaves behind, and how it fails and goes on. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "queue.h"

static void start(void)
{
    queue_open(NULL, 0);
}

TestSuite(runtime, .init = start, .fini = queue_close, .timeout = 60);

enum {
    LOAD = 1,
    COMPUTE = 2,
    STORE = 3
};

/* ACC[0] += 1 */
static const struct queue_kernel add_one = {
    .mode = 1, .opcode = 2, .use_imm = 1, .imm = 1, .uop_count = 1
};
static const struct queue_kernel clear = { .reset = 1, .uop_count = 1 };

static void expect_error(int code, const char *message)
{
    cr_expect(vta_runtime_failed(queue.runtime));
    cr_expect_eq(queue_take_error(), code);
    cr_expect_str_eq(queue.error.message, message);
    cr_expect(!vta_runtime_failed(queue.runtime));
}

/* Stores ACC[0] after it was computed, and runs. */
static void store_and_run(void *out)
{
    queue_push_pop(COMPUTE, STORE);
    queue_store(0, out, 0, 1);
    queue_synchronise();
}

/* ---- Matrix multiply ----------------------------------------------------------------------- */

struct matmul {
    int8_t *data, *weight, *result;
    void *sites[5];
};

static struct matmul matmul_open(void)
{
    struct matmul m = { .data = queue_alloc(1024),
                        .weight = queue_alloc(1024 * 1024),
                        .result = queue_alloc(1024) };
    uint32_t seed = 1;
    for (uint32_t i = 0; i < 1024 + 1024 * 1024; i++) {
        seed = seed * 1664525 + 1013904223;
        *(i < 1024 ? &m.data[i] : &m.weight[i - 1024]) = (int8_t)(seed >> 24);
    }
    return m;
}

/* weight is tiled (64, 64, 16, 16). */
static void expect_product(const struct matmul *m)
{
    for (uint32_t o = 0; o < 1024; o++) {
        int32_t sum = 0;
        for (uint32_t i = 0; i < 1024; i++)
            sum += m->data[i] * m->weight[((o / 16 * 64 + i / 16) * 16 + o % 16) * 16 + i % 16];
        sum >>= 8;
        sum = sum < 0 ? 0 : sum > 127 ? 127 : sum;
        cr_assert_eq(m->result[o], sum, "column %u is %d, not %d", o, m->result[o], sum);
    }
}

static void expect_tutorial_counters(struct vta_counters c, uint64_t calls)
{
    cr_expect_eq(c.inp_load_nbytes, 4096 * calls);
    cr_expect_eq(c.wgt_load_nbytes, 1048576 * calls);
    cr_expect_eq(c.acc_load_nbytes, 0);
    cr_expect_eq(c.uop_load_nbytes, 20 * calls);
    cr_expect_eq(c.out_store_nbytes, 1024 * calls);
    cr_expect_eq(c.gemm_counter, 4096 * calls);
    cr_expect_eq(c.alu_counter, 192 * calls);
}

Test(runtime, multiplies_as_the_tutorial_does_with_its_counters)
{
    struct matmul m = matmul_open();
    queue_matmul(m.data, m.weight, m.result, m.sites, false);
    cr_assert_eq(queue_take_error(), 0, "%s", queue.error.message);
    expect_product(&m);
    expect_tutorial_counters(vta_board_counters(queue.board), 1);
    cr_expect_eq(queue.recorded, 5u);
}

Test(runtime, hands_a_left_over_token_to_the_next_call_and_the_tenth)
{
    struct matmul m = matmul_open();
    for (uint32_t call = 0; call < 10; call++) {
        memset(m.result, 0x55, 1024);
        m.data[call] = (int8_t)(m.data[call] + 1);
        queue_matmul(m.data, m.weight, m.result, m.sites, call > 0);
        cr_assert_eq(queue_take_error(), 0, "call %u: %s", call, queue.error.message);
        cr_assert_eq(vta_board_tokens(queue.board).store_to_compute, 1);
        expect_product(&m);
        expect_tutorial_counters(vta_board_counters(queue.board), 1);
        vta_board_clear_counters(queue.board);
    }
    cr_expect_eq(queue.recorded, 5u, "kernels are recorded once");
}

Test(runtime, sums_the_results_of_its_runs_until_asked)
{
    struct matmul m = matmul_open();
    struct vta_run_result sum;
    queue_matmul(m.data, m.weight, m.result, m.sites, false);
    queue_matmul(m.data, m.weight, m.result, m.sites, true);
    vta_runtime_take_result(queue.runtime, &sum);
    expect_tutorial_counters(sum.counters, 2);
    cr_expect_gt(sum.wall_ns, 0u);
    vta_runtime_take_result(queue.runtime, &sum);
    expect_tutorial_counters(sum.counters, 0);
}

Test(runtime, sums_the_boards_time_while_every_run_has_one)
{
    struct matmul m = matmul_open();
    struct vta_run_result one, two;
    queue_matmul(m.data, m.weight, m.result, m.sites, false);
    vta_runtime_take_result(queue.runtime, &one);
    queue_matmul(m.data, m.weight, m.result, m.sites, true);
    vta_runtime_take_result(queue.runtime, &one);
    cr_expect_gt(one.board_cycles, 0u);
    queue_matmul(m.data, m.weight, m.result, m.sites, true);
    queue_matmul(m.data, m.weight, m.result, m.sites, true);
    vta_runtime_take_result(queue.runtime, &two);
    cr_expect_eq(two.board_cycles, 2 * one.board_cycles);
    cr_expect_eq(two.board_ns, 2 * one.board_ns);
    queue_matmul(m.data, m.weight, m.result, m.sites, true);
    cr_assert_eq(vta_board_set_timing(queue.board, VTA_BOARD_TIMING_OFF, NULL, &queue.error), 0);
    queue_matmul(m.data, m.weight, m.result, m.sites, true);
    cr_assert_eq(queue_take_error(), 0);
    vta_runtime_take_result(queue.runtime, &two);
    cr_expect_eq(two.board_cycles + two.board_ns, 0u);
    expect_tutorial_counters(two.counters, 2);
}

/* ---- Force serial -------------------------------------------------------------------------- */

Test(runtime, forces_serial_with_the_same_results_counters_and_tokens)
{
    struct matmul m = matmul_open();
    for (uint32_t call = 0; call < 6; call++) {
        memset(m.result, 0x55, 1024);
        /* Switched at any time. */
        vta_runtime_set_debug(queue.runtime, call % 3 == 1 ? VTA_DEBUG_FORCE_SERIAL : 0);
        queue_matmul(m.data, m.weight, m.result, m.sites, call > 0);
        cr_assert_eq(queue_take_error(), 0, "call %u: %s", call, queue.error.message);
        const struct vta_tokens tokens = vta_board_tokens(queue.board);
        cr_expect_eq(tokens.store_to_compute, 1u);
        cr_expect_eq(tokens.load_to_compute + tokens.compute_to_load + tokens.compute_to_store, 0u);
        expect_product(&m);
        expect_tutorial_counters(vta_board_counters(queue.board), call + 1);
    }
}

Test(runtime, chains_every_instruction_to_the_one_before_when_serial)
{
    int8_t *inp = queue_alloc(64), *out = queue_alloc(64);
    void *site = NULL;
    vta_runtime_set_debug(queue.runtime, VTA_DEBUG_FORCE_SERIAL | VTA_DEBUG_DUMP_INSN);
    queue_load(inp, 0, 1, 0, VTA_MEM_INP);
    queue_kernel(&clear, &site);
    queue_kernel(&add_one, (void *[]){ NULL });
    queue_load(inp, 0, 1, 1, VTA_MEM_INP);
    queue_store(0, out, 0, 1);
    queue_synchronise();
    cr_assert_eq(queue.line_count, 1 + 14);
    static const char *const want[] = {
        "NOP    push:load  (compute)",
        "LOAD   pop:compute push:compute",
        "LOAD   pop:load  uop",
        "GEMM    uop[0,1)",
        "LOAD    uop[1,2)",
        "ALU    push:load",
        "LOAD   pop:compute push:compute",
        "NOP    pop:load push:store  (compute)",
        "STORE  pop:compute push:compute",
        "NOP    pop:store push:load  (compute)",
    };
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        const char *line = queue.lines[1 + i];
        char first[64] = "";
        for (size_t k = 0; want[i][k] != '\0'; k++)
            first[k] = line[7 + k];
        cr_expect_str_eq(first, want[i], "line %zu: %s", i, line);
    }
    cr_expect_eq(out[0], 1);
}

Test(runtime, refuses_more_tokens_in_serial_than_a_queue_holds)
{
    for (uint32_t more = 0; more <= 1; more++) {
        vta_runtime_set_debug(queue.runtime, VTA_DEBUG_FORCE_SERIAL);
        for (uint32_t i = 0; i < 1024 + more; i++)
            vta_runtime_push(queue.runtime, COMPUTE, LOAD);
        vta_runtime_synchronise(queue.runtime);
        if (more == 0)
            cr_expect_eq(vta_board_tokens(queue.board).compute_to_load, 1024u);
        cr_expect_eq(queue_take_error(), more == 0 ? 0 : VTA_ELIMIT, "%s", queue.error.message);
        vta_runtime_abandon(queue.runtime);
    }
    cr_expect_str_eq(queue.error.message, "compute→load holds 1025 tokens, a board's queue 1024");
}

Test(runtime, refuses_a_stream_in_serial_that_it_refuses_otherwise)
{
    vta_runtime_set_debug(queue.runtime, VTA_DEBUG_FORCE_SERIAL);
    vta_runtime_pop(queue.runtime, LOAD, COMPUTE);
    queue_kernel(&clear, (void *[]){ NULL });
    vta_runtime_pop(queue.runtime, LOAD, COMPUTE);
    vta_runtime_synchronise(queue.runtime);
    cr_expect_eq(queue_take_error(), VTA_EDEADLOCK);
}

/* ---- Kernels ------------------------------------------------------------------------------- */

Test(runtime, records_a_kernel_once_per_call_site)
{
    void *here = NULL, *there = NULL;
    for (int i = 0; i < 3; i++) {
        queue_kernel(&add_one, &here);
        queue_kernel(&add_one, &there);
    }
    cr_expect_eq(queue.recorded, 2u);
    cr_expect_neq(here, there);
    store_and_run(queue_alloc(64));
    cr_expect_eq(vta_board_counters(queue.board).uop_load_nbytes, 8u, "two kernels, loaded once");
}

static int record_by_signature(void *signature)
{
    int32_t imm;
    memcpy(&imm, signature, sizeof(imm));
    queue.recorded++;
    vta_runtime_uop_push(queue.runtime, 1, 0, 0, 0, 0, 2, 1, imm);
    return 0;
}

static int keyed(void **site, int32_t signature)
{
    return vta_runtime_kernel(queue.runtime, 1, site, record_by_signature, &signature, 4);
}

Test(runtime, tells_the_kernels_of_a_call_site_apart_by_signature)
{
    static const int32_t signatures[] = { 5, 3, 5, -7, 100, 3, -7, 5 };
    int8_t *out = queue_alloc(64);
    void *site = NULL;
    int32_t sum = 0;
    queue_kernel(&clear, (void *[]){ NULL });
    queue.recorded = 0;
    for (int i = 0; i < 8; i++) {
        cr_assert_eq(keyed(&site, signatures[i]), 0);
        sum += signatures[i];
    }
    cr_expect_eq(queue.recorded, 4u);
    store_and_run(out);
    cr_expect_eq(out[3], sum);
}

Test(runtime, takes_a_number_that_another_runtime_left_for_a_new_call_site)
{
    void *site = NULL, *junk = (void *)0x5eed5eed;
    queue_kernel(&add_one, &site);
    vta_runtime_reset(queue.runtime);
    queue_kernel(&add_one, &site);
    queue_kernel(&add_one, &junk);
    cr_expect_eq(queue.recorded, 3u);
    store_and_run(queue_alloc(64));
}

Test(runtime, takes_the_only_loop_of_a_gemm_as_outer_and_of_an_alu_as_inner)
{
    static const struct queue_kernel gemm = {
        .reset = 1, .loop_count = 1, .loops = { { 3, 2, 0, 0 } }, .uop_count = 1
    };
    static const struct queue_kernel alu = { .mode = 1,
                                             .opcode = 2,
                                             .use_imm = 1,
                                             .imm = 4,
                                             .loop_count = 1,
                                             .loops = { { 5, 1, 1, 0 } },
                                             .uop_count = 1 };
    vta_runtime_set_debug(queue.runtime, VTA_DEBUG_DUMP_INSN);
    queue_kernel(&gemm, (void *[]){ NULL });
    queue_kernel(&alu, (void *[]){ NULL });
    queue_synchronise();
    cr_expect_eq(queue_count_lines("3×1"), 1u);
    cr_expect_eq(queue_count_lines("1×5"), 1u);
}

/* What a callback does wrong after its first micro-op, which is add_one's. */
static void (*misdeed)(void);

static int record_misdeed(void *signature)
{
    (void)signature;
    vta_runtime_uop_push(queue.runtime, 1, 0, 0, 0, 0, 2, 1, 1);
    misdeed();
    return 0;
}

static void expect_misdeed(void (*what)(void), int code, const char *message)
{
    void *site = NULL;
    misdeed = what;
    cr_expect_eq(vta_runtime_kernel(queue.runtime, 1, &site, record_misdeed, NULL, 0), -1);
    expect_error(code, message);
    cr_expect_null(site, "nothing was kept");
}

static void other_mode(void)
{
    vta_runtime_uop_push(queue.runtime, 0, 0, 0, 0, 0, 2, 1, 1);
}

static void other_reset(void)
{
    vta_runtime_uop_push(queue.runtime, 1, 1, 0, 0, 0, 2, 1, 1);
}

static void other_opcode(void)
{
    vta_runtime_uop_push(queue.runtime, 1, 0, 0, 0, 0, 3, 1, 1);
}

static void other_use(void)
{
    vta_runtime_uop_push(queue.runtime, 1, 0, 0, 0, 0, 2, 0, 1);
}

static void other_imm(void)
{
    vta_runtime_uop_push(queue.runtime, 1, 0, 0, 0, 0, 2, 1, -9);
}

static void no_mode(void)
{
    vta_runtime_uop_push(queue.runtime, 2, 0, 0, 0, 0, 2, 1, 1);
}

static void late_loop(void)
{
    vta_runtime_loop_begin(queue.runtime, 1, 1, 1, 1);
}

/* A loop that begins or goes on once another one has ended would not be a nest. */
static int record_loop_after_loop(void *signature)
{
    (void)signature;
    vta_runtime_loop_begin(queue.runtime, 2, 1, 1, 1);
    vta_runtime_loop_end(queue.runtime);
    vta_runtime_loop_begin(queue.runtime, 2, 1, 1, 1);
    return 0;
}

static int record_uop_after_loop(void *signature)
{
    (void)signature;
    vta_runtime_loop_begin(queue.runtime, 2, 1, 1, 1);
    vta_runtime_loop_end(queue.runtime);
    vta_runtime_uop_push(queue.runtime, 1, 0, 0, 0, 0, 2, 1, 1);
    return 0;
}

static int record_open_loop(void *signature)
{
    (void)signature;
    vta_runtime_loop_begin(queue.runtime, 2, 1, 1, 1);
    vta_runtime_uop_push(queue.runtime, 1, 0, 0, 0, 0, 2, 1, 1);
    return 0;
}

Test(runtime, refuses_loops_that_are_no_nest_around_the_micro_ops)
{
    static const struct {
        int (*record)(void *signature);
        const char *message;
    } cases[] = {
        { record_loop_after_loop,
          "micro-op kernel: a loop of a micro-op kernel begins after another one has ended" },
        { record_uop_after_loop,
          "micro-op kernel: a micro-op after a loop of its kernel has ended" },
        { record_open_loop, "a micro-op kernel ends with 1 of its loops open" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        void *site = NULL;
        cr_expect_eq(vta_runtime_kernel(queue.runtime, 1, &site, cases[i].record, NULL, 0), -1);
        expect_error(VTA_EINVAL, cases[i].message);
        cr_expect_null(site, "nothing was kept");
    }
}

static void surplus_end(void)
{
    vta_runtime_loop_end(queue.runtime);
}

static void synchronise_inside(void)
{
    vta_runtime_synchronise(queue.runtime);
}

static void kernel_inside(void)
{
    queue_kernel(&clear, (void *[]){ NULL });
}

Test(runtime, refuses_a_recording_that_no_instruction_could_execute)
{
    expect_misdeed(other_mode, VTA_EINVAL,
                   "micro-op kernel: mode changes inside a micro-op kernel, from 1 to 0");
    expect_misdeed(other_reset, VTA_EINVAL,
                   "micro-op kernel: reset changes inside a micro-op kernel, from 0 to 1");
    expect_misdeed(other_opcode, VTA_EINVAL,
                   "micro-op kernel: opcode changes inside a micro-op kernel, from 2 to 3");
    expect_misdeed(other_use, VTA_EINVAL,
                   "micro-op kernel: use_imm changes inside a micro-op kernel, from 1 to 0");
    expect_misdeed(other_imm, VTA_EINVAL,
                   "micro-op kernel: imm changes inside a micro-op kernel, from 1 to -9");
    expect_misdeed(no_mode, VTA_EINVAL, "micro-op kernel: mode 2 is neither 0 (GEMM) nor 1 (ALU)");
    expect_misdeed(late_loop, VTA_EINVAL,
                   "micro-op kernel: a loop of a micro-op kernel begins after its first micro-op");
    expect_misdeed(surplus_end, VTA_EINVAL,
                   "micro-op kernel: a loop of a micro-op kernel ends that has not begun");
    expect_misdeed(synchronise_inside, VTA_ESTATE,
                   "synchronise inside the recording of a micro-op kernel");
    expect_misdeed(kernel_inside, VTA_ESTATE,
                   "a micro-op kernel is called while another one is recorded");
}

Test(runtime, refuses_a_third_loop_and_kernels_without_micro_ops)
{
    struct queue_kernel kernel = { .loop_count = 3, .uop_count = 1 };
    cr_expect_eq(queue_kernel(&kernel, (void *[]){ NULL }), -1);
    expect_error(VTA_EINVAL,
                 "micro-op kernel: a micro-op kernel has 3 loops, an instruction holds 2");
    kernel = (struct queue_kernel){ .loop_count = 1 };
    cr_expect_eq(queue_kernel(&kernel, (void *[]){ NULL }), -1);
    expect_error(VTA_EINVAL, "a micro-op kernel was recorded without micro-ops");
}

static int record_failure(void *signature)
{
    (void)signature;
    return -3;
}

Test(runtime, passes_on_that_a_recording_failed)
{
    void *site = NULL;
    cr_expect_eq(vta_runtime_kernel(queue.runtime, 0, &site, record_failure, NULL, 0), -1);
    expect_error(VTA_EINVAL, "the recording of a micro-op kernel returned -3");
    cr_expect_eq(vta_runtime_kernel(queue.runtime, 0, &site, record_failure, &site, 8), -1);
    expect_error(VTA_EINVAL, "a signature of 8 bytes, it has 0 or 4");
}

Test(runtime, refuses_micro_ops_outside_a_recording_and_of_the_other_mode)
{
    void *site = NULL;
    vta_runtime_uop_push(queue.runtime, 0, 0, 0, 0, 0, 0, 0, 0);
    expect_error(VTA_ESTATE,
                 "micro-op kernel: a micro-op outside the recording of a micro-op kernel");
    vta_runtime_loop_begin(queue.runtime, 1, 0, 0, 0);
    expect_error(VTA_ESTATE,
                 "micro-op kernel: a loop begins outside the recording of a micro-op kernel");
    vta_runtime_loop_end(queue.runtime);
    expect_error(VTA_ESTATE,
                 "micro-op kernel: a loop ends outside the recording of a micro-op kernel");
    queue_kernel(&add_one, &site);
    cr_expect_eq(vta_runtime_kernel(queue.runtime, 0, &site, record_failure, NULL, 0), -1);
    expect_error(VTA_EINVAL, "a GEMM call recorded ALU micro-ops");
}

Test(runtime, dumps_micro_ops_when_a_kernel_is_recorded)
{
    void *site = NULL;
    vta_runtime_set_debug(queue.runtime, VTA_DEBUG_DUMP_UOP);
    queue_kernel(&add_one, &site);
    queue_kernel(&add_one, &site);
    cr_assert_eq(queue.line_count, 2u);
    cr_expect_str_eq(queue.lines[0], "ALU kernel of 1 micro-ops, 0 loops");
    cr_expect_str_eq(queue.lines[1], "  uop 0  dst 0 src 0 wgt 0");
}

/* ---- Buffers ------------------------------------------------------------------------------- */

Test(runtime, allocates_whole_pages_inside_the_quota)
{
    uint8_t *a = queue_alloc(1), *b = queue_alloc(5000), *c = queue_alloc(1);
    cr_expect_eq(b - a, 4096);
    cr_expect_eq(c - b, 8192);
    cr_expect_null(vta_runtime_alloc(queue.runtime, UINT64_C(1) << 30, &queue.error));
    cr_expect_eq(queue.error.code, VTA_ELIMIT);
    cr_expect(!vta_runtime_failed(queue.runtime), "the caller has the error");
}

Test(runtime, releases_buffers_by_the_pointer_they_begin_at)
{
    uint8_t *a = queue_alloc(100), *b = queue_alloc(100);
    cr_expect_eq(vta_runtime_release(queue.runtime, a + 1, &queue.error), VTA_EHANDLE);
    cr_expect_eq(vta_runtime_release(queue.runtime, a, &queue.error), 0);
    cr_expect_eq(vta_runtime_release(queue.runtime, a, &queue.error), VTA_EHANDLE);
    cr_expect_eq(vta_runtime_release(queue.runtime, &queue, &queue.error), VTA_EHANDLE);
    cr_expect_eq(vta_runtime_release(queue.runtime, NULL, &queue.error), VTA_EHANDLE);
    cr_expect_eq(vta_runtime_release(queue.runtime, b, &queue.error), 0);
}

Test(runtime, finds_the_buffer_that_holds_a_range)
{
    uint8_t *a = queue_alloc(5000);
    void *begin = NULL;
    uint64_t nbytes = 0;
    cr_expect_eq(vta_runtime_find(queue.runtime, a + 4999, 1, &begin, &nbytes, &queue.error), 0);
    cr_expect_eq(begin, a);
    cr_expect_eq(nbytes, 5000u);
    cr_expect_eq(vta_runtime_find(queue.runtime, a, 5001, NULL, NULL, &queue.error), VTA_ERANGE);
    cr_expect_str_eq(queue.error.message, "5001 bytes at offset 0 of a buffer that has 5000");
    cr_expect_eq(vta_runtime_find(queue.runtime, a + 5000, 0, NULL, NULL, &queue.error),
                 VTA_ERANGE);
    cr_expect_str_eq(queue.error.message, "a pointer outside every buffer");
    cr_expect_eq(vta_runtime_find(queue.runtime, a - 1, 1, NULL, NULL, &queue.error), VTA_ERANGE);
    cr_expect_eq(vta_runtime_find(queue.runtime, NULL, 1, NULL, NULL, &queue.error), VTA_ERANGE);
}

Test(runtime, loads_from_the_middle_of_a_buffer)
{
    int8_t *acc = queue_alloc(256), *out = queue_alloc(64);
    ((int32_t *)acc)[32] = 42;
    queue_load(acc + 64, 1, 1, 0, VTA_MEM_ACC);
    queue_kernel(&add_one, (void *[]){ NULL });
    queue_push_pop(COMPUTE, STORE);
    queue_store(0, out + 16, 1, 1);
    queue_synchronise();
    cr_expect_eq(out[32], 43);
}

/* ---- Errors -------------------------------------------------------------------------------- */

Test(runtime, refuses_pointers_and_memories_at_the_call)
{
    int8_t *inp = queue_alloc(64);
    int outside = 0;
    queue_load(&outside, 0, 1, 0, VTA_MEM_INP);
    expect_error(VTA_ERANGE, "load: a pointer outside every buffer");
    queue_load(inp + 1, 0, 1, 0, VTA_MEM_INP);
    expect_error(VTA_EINVAL,
                 "load: a pointer to DRAM 0x1001 is not at a whole element of 16 bytes");
    queue_load(inp, UINT32_MAX, 1, 0, VTA_MEM_INP);
    expect_error(VTA_ERANGE, "load: element offset 4294967295 lies outside a board's DRAM");
    queue_load(inp, 0, 1, 0, VTA_MEM_UOP);
    expect_error(VTA_EOPCODE, "load: memory type 0 cannot be loaded from a buffer");
    queue_load(inp, 0, 1, 0, 9);
    expect_error(VTA_EOPCODE, "load: memory type 9 cannot be loaded from a buffer");
    queue_load(inp, 0, 1 << 16, 0, VTA_MEM_INP);
    expect_error(VTA_ERANGE, "load: x_size is 65536, its field holds 0 to 65535");
    vta_runtime_store_2d(queue.runtime, 0, VTA_MEM_ACC, inp, 0, 1, 1, 1);
    expect_error(VTA_EOPCODE, "store: memory type 3 cannot be stored, only OUT (4)");
    vta_runtime_push(queue.runtime, LOAD, STORE);
    expect_error(VTA_EINVAL, "push: no token queue leads from unit 1 to unit 3: units are 1 load, "
                             "2 compute and 3 store, and only neighbours share a queue");
}

Test(runtime, keeps_the_first_error_and_records_nothing_until_it_is_taken)
{
    int8_t *inp = queue_alloc(64);
    struct vta_error later = { .code = VTA_EIO, .message = "later" };
    queue_load(NULL, 0, 1, 0, VTA_MEM_INP);
    queue_load(inp, 0, 1, 0, VTA_MEM_INP);
    cr_expect_eq(queue_kernel(&add_one, (void *[]){ NULL }), -1);
    vta_runtime_fail(queue.runtime, &later);
    vta_runtime_synchronise(queue.runtime);
    cr_expect_eq(queue.recorded, 0u);
    expect_error(VTA_ERANGE, "load: a pointer outside every buffer");
    cr_expect_eq(vta_board_counters(queue.board).inp_load_nbytes, 0u);
    vta_runtime_fail(queue.runtime, &later);
    expect_error(VTA_EIO, "later");
}

Test(runtime, goes_on_with_a_clean_queue_after_a_refused_stream)
{
    struct matmul m = matmul_open();
    queue_matmul(m.data, m.weight, m.result, m.sites, false);
    cr_assert_eq(queue_take_error(), 0);
    /* A second pop for the token that the call has left. */
    vta_runtime_pop(queue.runtime, STORE, COMPUTE);
    queue_kernel(&clear, (void *[]){ NULL });
    vta_runtime_pop(queue.runtime, LOAD, COMPUTE);
    vta_runtime_synchronise(queue.runtime);
    vta_runtime_pop(queue.runtime, COMPUTE, LOAD);
    cr_expect_eq(queue_take_error(), VTA_EDEADLOCK);
    cr_expect(strncmp(queue.error.message, "refused: deadlock", 17) == 0);
    cr_expect_eq(vta_board_tokens(queue.board).store_to_compute, 0u);
    for (uint32_t call = 0; call < 2; call++) {
        memset(m.result, 0x55, 1024);
        queue_matmul(m.data, m.weight, m.result, m.sites, call > 0);
        cr_assert_eq(queue_take_error(), 0, "%s", queue.error.message);
        expect_product(&m);
    }
}

Test(runtime, refuses_at_synchronise_what_leaves_a_buffer_or_an_sram)
{
    int8_t *inp = queue_alloc(64);
    queue_load(inp, 3, 2, 0, VTA_MEM_INP);
    vta_runtime_synchronise(queue.runtime);
    cr_expect_eq(queue_take_error(), VTA_EDRAM);
    cr_expect_eq(queue.error.insn, 0);
    queue_load(inp, 0, 4, 2045, VTA_MEM_INP);
    vta_runtime_synchronise(queue.runtime);
    cr_expect_eq(queue_take_error(), VTA_ESRAM);
    queue_load(inp, 0, 4, 0, VTA_MEM_INP);
    cr_assert_eq(vta_runtime_release(queue.runtime, inp, &queue.error), 0);
    vta_runtime_synchronise(queue.runtime);
    cr_expect_eq(queue_take_error(), VTA_EDRAM, "the buffer has gone meanwhile");
}

Test(runtime, looks_again_where_a_kept_stream_had_its_buffers)
{
    int8_t *inp = queue_alloc(64);
    for (int i = 0; i < 2; i++) {
        queue_load(inp, 0, 4, 0, VTA_MEM_INP);
        queue_synchronise();
    }
    vta_runtime_release(queue.runtime, inp, NULL);
    cr_assert_eq(queue_alloc(32), inp, "the next one lies there, and is smaller");
    queue_load(inp, 0, 4, 0, VTA_MEM_INP);
    vta_runtime_synchronise(queue.runtime);
    cr_expect_eq(queue_take_error(), VTA_EDRAM);
}

/* ---- Synchronise --------------------------------------------------------------------------- */

Test(runtime, synchronises_an_empty_stream)
{
    queue_synchronise();
    queue_synchronise();
    const struct vta_tokens tokens = vta_board_tokens(queue.board);
    cr_expect_eq(tokens.store_to_compute + tokens.load_to_compute, 0u);
}

Test(runtime, forgets_the_micro_op_cache_at_synchronise)
{
    void *site = NULL;
    for (int i = 0; i < 3; i++) {
        queue_kernel(&add_one, &site);
        queue_kernel(&add_one, &site);
        queue_synchronise();
    }
    cr_expect_eq(vta_board_counters(queue.board).uop_load_nbytes, 12u);
    cr_expect_eq(queue.recorded, 1u);
}

Test(runtime, keeps_a_pop_that_is_pending_for_the_next_stream)
{
    vta_runtime_set_debug(queue.runtime, VTA_DEBUG_DUMP_INSN);
    vta_runtime_push(queue.runtime, COMPUTE, LOAD);
    vta_runtime_pop(queue.runtime, COMPUTE, LOAD);
    queue_synchronise();
    cr_expect_eq(vta_board_tokens(queue.board).compute_to_load, 0u,
                 "load's push at synchronise committed it");
    vta_runtime_push(queue.runtime, COMPUTE, STORE);
    queue_synchronise();
    vta_runtime_pop(queue.runtime, COMPUTE, STORE);
    cr_expect_eq(vta_board_tokens(queue.board).compute_to_store, 1u);
    queue_forget_lines();
    queue_store(0, queue_alloc(64), 0, 1);
    queue_synchronise();
    cr_expect_eq(queue_count_lines("STORE  pop:compute"), 1u);
    cr_expect_eq(vta_board_tokens(queue.board).compute_to_store, 0u);
}

Test(runtime, synchronises_by_itself_before_a_stream_passes_the_transfer_limit)
{
    queue_close();
    queue_open(NULL, 16 * 16); /* 16 instructions */
    int8_t *inp = queue_alloc(64);
    vta_runtime_set_debug(queue.runtime, VTA_DEBUG_DUMP_INSN);
    for (uint32_t i = 1; i <= 30; i++) {
        queue_load(inp, 0, 1, 0, VTA_MEM_INP);
        cr_expect_eq(vta_board_counters(queue.board).inp_load_nbytes, i / 12 * 12 * 16, "%u", i);
    }
    /* 12 loads, a no-op each of store and load that pushes, one that pops, FINISH. */
    cr_expect_eq(queue_count_lines("16 instructions"), 2u);
    queue_synchronise();
    cr_expect_eq(vta_board_counters(queue.board).inp_load_nbytes, 30u * 16);
}

static int record_32(void *signature)
{
    (void)signature;
    for (uint32_t i = 0; i < 32; i++)
        vta_runtime_uop_push(queue.runtime, 0, 1, i, 0, 0, 0, 0, 0);
    return 0;
}

Test(runtime, synchronises_by_itself_before_micro_ops_pass_the_transfer_limit)
{
    queue_close();
    queue_open(NULL, 16 * 16); /* would be 16 instructions, or 64 micro-ops: of two kernels */
    for (int i = 0; i < 5; i++) {
        void *site = NULL;
        cr_expect_eq(vta_runtime_kernel(queue.runtime, 0, &site, record_32, NULL, 0), 0);
        cr_expect_eq(vta_board_counters(queue.board).uop_load_nbytes, i / 2 * 64u * 4, "%d", i);
    }
    queue_synchronise();
    cr_expect_eq(vta_board_counters(queue.board).uop_load_nbytes, 5 * 32u * 4);
}

Test(runtime, fails_the_call_whose_run_is_stopped)
{
    struct vta_control control = { .stop = VTA_EDEADLINE };
    struct vta_runtime_options options;
    struct vta_runtime *runtime;
    vta_runtime_options_default(&options);
    options.control = &control;
    cr_assert_eq(vta_runtime_new(&runtime, queue.board, &options, &queue.error), 0);
    struct vta_runtime *usual = queue.runtime;
    queue.runtime = runtime;
    queue_kernel(&clear, (void *[]){ NULL });
    vta_runtime_synchronise(runtime);
    cr_expect_eq(queue_take_error(), VTA_EDEADLINE);
    atomic_store(&control.stop, 0);
    queue_kernel(&clear, (void *[]){ NULL });
    queue_synchronise();
    vta_runtime_free(runtime);
    queue.runtime = usual;
}

Test(runtime, keeps_at_most_so_many_kernels)
{
    struct vta_runtime_options options;
    struct vta_runtime *runtime, *usual = queue.runtime;
    vta_runtime_options_default(&options);
    options.max_kernels = 2;
    cr_assert_eq(vta_runtime_new(&runtime, queue.board, &options, &queue.error), 0);
    queue.runtime = runtime;
    queue_kernel(&clear, (void *[]){ NULL });
    queue_kernel(&clear, (void *[]){ NULL });
    queue_kernel(&clear, (void *[]){ NULL });
    expect_error(VTA_ELIMIT, "one more micro-op kernel than the 2 that are kept");
    vta_runtime_free(runtime);
    queue.runtime = usual;
}

Test(runtime, forgets_kernels_between_streams_before_there_are_too_many)
{
    struct vta_runtime_options options;
    struct vta_runtime *runtime, *usual = queue.runtime;
    void *lasting = NULL;
    vta_runtime_options_default(&options);
    options.max_kernels = 4;
    cr_assert_eq(vta_runtime_new(&runtime, queue.board, &options, &queue.error), 0);
    queue.runtime = runtime;
    for (int i = 0; i < 100; i++) {
        void *passing = NULL;
        cr_assert_eq(queue_kernel(&clear, &lasting), 0);
        cr_assert_eq(queue_kernel(&clear, &passing), 0);
        cr_assert_eq(queue_kernel(&clear, &lasting), 0);
        queue_synchronise();
    }
    cr_expect_eq(vta_board_counters(queue.board).uop_load_nbytes,
                 100u * 2u * clear.uop_count * VTA_UOP_BYTES);
    vta_runtime_free(runtime);
    queue.runtime = usual;
}

Test(runtime, gives_its_buffers_back_when_it_goes)
{
    struct vta_dram_stats stats;
    queue_alloc(100);
    queue_alloc(10000);
    vta_runtime_free(queue.runtime);
    queue.runtime = NULL;
    vta_board_memory(queue.board, &stats);
    cr_expect_eq(stats.allocations, 0u);
    cr_expect_eq(stats.used, 0u);
}
