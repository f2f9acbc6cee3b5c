/* bench_core.c: what the simulated core computes per second, each row as a ratio against a baseline
 * that is measured in the same run, alternating with it. One core; medians.
 */
#include <glob.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vta/build.h>
#include <vta/compile.h>

#include "core/board.h"
#include "core/hazard.h"
#include "core/plan.h"
#include "core/verify.h"
#include "tests/reference/reference.h"
#include "tools/case.h"

#include "baseline.h"
#include "measure.h"

#define ROUNDS 9

static struct measure_table *table;
static bool smoke; /* one round of everything, for a test */

static int rounds(void)
{
    return smoke ? 1 : ROUNDS;
}

static void must(int rc, const struct vta_error *error)
{
    if (rc == 0)
        return;
    fprintf(stderr, "bench_core: %s\n", error->message);
    exit(1);
}

/* ---- Two things timed in turn -------------------------------------------------------------- */

struct work {
    void (*run)(void *context);
    void *context;
    uint32_t times; /* runs per sample */
};

static double seconds_of(const struct work *work)
{
    double start = measure_now();
    for (uint32_t i = 0; i < work->times; i++)
        work->run(work->context);
    return (measure_now() - start) / work->times;
}

/* Median seconds of both, one sample of each in turn after a warm-up. */
static void compare(const struct work *a, const struct work *b, double *seconds_a,
                    double *seconds_b)
{
    double sa[ROUNDS], sb[ROUNDS];
    seconds_of(a);
    if (b != NULL)
        seconds_of(b);
    for (int i = 0; i < rounds(); i++) {
        sa[i] = seconds_of(a);
        sb[i] = b != NULL ? seconds_of(b) : 0;
    }
    *seconds_a = measure_median(sa, (size_t)rounds());
    *seconds_b = measure_median(sb, (size_t)rounds());
}

/* ---- GEMM kernel and ALU alone ------------------------------------------------------------- */

struct kernel_bench {
    const struct vta_kernels *kernels;
    const struct bench_baseline *baseline;
    struct vta_sram sram;
    struct vta_gemm_block block;
    struct vta_step steps[16];
    size_t footprint;
    int32_t sink;
    size_t count;
    uint8_t *from, *to; /* WGT_BYTES of DRAM, and as many to copy to */
};

#define WGT_BYTES (256u << 10) /* the whole WGT SRAM */

static void run_gemm(void *context)
{
    struct kernel_bench *b = context;
    b->kernels->gemm(&b->sram, &b->block);
}

static void run_dot(void *context)
{
    struct kernel_bench *b = context;
    b->sink += b->baseline->dot(b->sram.wgt, b->footprint, 1);
}

static void run_alu_imm(void *context)
{
    struct kernel_bench *b = context;
    b->kernels->alu_imm[VTA_ALU_ADD](b->sram.acc, b->count, 3);
}

static void run_add(void *context)
{
    struct kernel_bench *b = context;
    b->baseline->add(b->sram.acc, b->count, 3);
}

static void run_alu_two(void *context)
{
    struct kernel_bench *b = context;
    b->kernels->alu[VTA_ALU_ADD](b->sram.acc, b->sram.acc + b->count, b->count);
}

static void run_add_two(void *context)
{
    struct kernel_bench *b = context;
    b->baseline->add_two(b->sram.acc, b->sram.acc + b->count, b->count);
}

static void run_load_wgt(void *context)
{
    struct kernel_bench *b = context;
    b->kernels->load_wgt(&b->sram, 0, b->from, WGT_BYTES / 256);
}

static void run_copy(void *context)
{
    struct kernel_bench *b = context;
    memcpy(b->to, b->from, WGT_BYTES);
    __asm__ volatile("" : : "r"(b->to) : "memory");
}

static void *zeroed(size_t nbytes)
{
    void *bytes = aligned_alloc(64, (nbytes + 63) / 64 * 64);
    if (bytes == NULL)
        exit(1);
    memset(bytes, 0, nbytes);
    return bytes;
}

/* `steps` steps for each of `outputs` outputs: every weight vector is loaded once. */
static void gemm_row(struct kernel_bench *b, const char *where, uint32_t outputs, uint32_t steps)
{
    double ours, best;
    char name[64];
    for (uint32_t i = 0; i < steps; i++)
        b->steps[i] = (struct vta_step){ i, i };
    b->block = (struct vta_gemm_block){ .positions = 1,
                                        .outputs = outputs,
                                        .output_dst = 1,
                                        .output_wgt = steps,
                                        .steps = b->steps,
                                        .step_count = steps };
    b->footprint = outputs * steps * b->sram.wgt_stride;
    const uint32_t times = smoke ? 1 : 40000 / outputs;
    compare(&(struct work){ run_gemm, b, times }, &(struct work){ run_dot, b, times }, &ours,
            &best);
    snprintf(name, sizeof(name), "GEMM kernel %s, %s", b->kernels->name, where);
    measure_row(table, name, outputs * steps * 256 / ours / 1e9, "GMAC/s", best / ours,
                "of one dot product per vector loaded", 0.60, true);
}

static void alu_rows(struct kernel_bench *b)
{
    double ours, best;
    char name[64];
    const uint32_t times = smoke ? 1 : 400;
    b->count = 1024 * 16; /* half the ACC SRAM, so that two operands fit */
    compare(&(struct work){ run_alu_imm, b, times }, &(struct work){ run_add, b, times }, &ours,
            &best);
    snprintf(name, sizeof(name), "ALU %s, add an immediate", b->kernels->name);
    measure_row(table, name, b->count / ours / 1e9, "Gop/s", best / ours, "of a streaming add",
                0.50, true);
    compare(&(struct work){ run_alu_two, b, times }, &(struct work){ run_add_two, b, times }, &ours,
            &best);
    snprintf(name, sizeof(name), "ALU %s, add two tensors", b->kernels->name);
    measure_row(table, name, b->count / ours / 1e9, "Gop/s", best / ours, "of a streaming add",
                0.50, true);
}

/* What rearranging weights costs beyond moving them. */
static void load_row(struct kernel_bench *b)
{
    double ours, copy;
    char name[64];
    const uint32_t times = smoke ? 1 : 400;
    b->from = zeroed(WGT_BYTES);
    b->to = zeroed(WGT_BYTES);
    for (size_t i = 0; i < WGT_BYTES; i++)
        b->from[i] = (uint8_t)rand();
    compare(&(struct work){ run_load_wgt, b, times }, &(struct work){ run_copy, b, times }, &ours,
            &copy);
    snprintf(name, sizeof(name), "load of 256 KiB of weights, %s", b->kernels->name);
    measure_row(table, name, WGT_BYTES / ours / 1e9, "GB/s", ours / copy, "times a memcpy", NAN,
                false);
    free(b->from);
    free(b->to);
}

static void kernel_rows(const struct vta_kernels *kernels, const struct bench_baseline *baseline)
{
    struct kernel_bench b = {
        .kernels = kernels,
        .baseline = baseline,
        .sram = { .batch = 1, .block = 16, .inp_bits = 8, .wgt_bits = 8, .out_bits = 8 }
    };
    kernels->layout(&b.sram);
    b.sram.inp = zeroed(2048 * b.sram.inp_stride);
    b.sram.wgt = zeroed(1024 * b.sram.wgt_stride);
    b.sram.acc = zeroed(2048 * 64);
    gemm_row(&b, "16 KiB of weights in L1", 4, (uint32_t)(4096 / b.sram.wgt_stride));
    gemm_row(&b, "over the whole WGT SRAM", 64, 16);
    load_row(&b);
    alu_rows(&b);
    free(b.sram.inp);
    free(b.sram.wgt);
    free(b.sram.acc);
}

/* ---- Whole programs ------------------------------------------------------------------------ */

struct program_bench {
    struct vta_board *board;
    struct vta_program *program;
    vta_handle buffers[8];
    struct vta_tokens before;
};

static void run_program(void *context)
{
    struct program_bench *b = context;
    struct vta_error error;
    vta_board_set_tokens(b->board, b->before);
    must(vta_board_run(b->board, b->program, b->buffers, b->program->param_count, NULL, NULL,
                       &error),
         &error);
}

static void open_board(struct program_bench *b, const struct vta_hw *hw, const char *kernels,
                       uint64_t dram_bytes)
{
    struct vta_error error;
    struct vta_board_options options;
    vta_board_options_default(&options);
    options.hw = *hw;
    options.dram_bytes = dram_bytes;
    must(vta_kernels_force(kernels, &error), &error);
    must(vta_board_open(&b->board, &options, &error), &error);
}

static void close_bench(struct program_bench *b)
{
    vta_program_free(b->program);
    vta_board_close(b->board);
    vta_kernels_force(NULL, NULL);
}

/* A kernel's program on a board with one random buffer per parameter. Takes the kernel. */
static void open_kernel(struct program_bench *b, const struct vta_hw *hw, struct vta_kernel *kernel,
                        const char *kernels)
{
    struct vta_error error;
    struct vta_verify_options verify = { .tokens_must_end_empty = true };
    memset(b, 0, sizeof(*b));
    open_board(b, hw, kernels, UINT64_C(64) << 20);
    must(vta_program_from_kernel(&b->program, kernel, hw, &error), &error);
    must(vta_verify(b->program, &verify, &error), &error);
    struct vta_dram *dram = vta_board_dram(b->board, &error);
    for (uint32_t i = 0; i < kernel->param_count; i++) {
        uint8_t *bytes;
        uint64_t nbytes = b->program->params[i].nbytes;
        must(vta_dram_alloc(dram, nbytes, &b->buffers[i], &error), &error);
        must(vta_dram_span(dram, b->buffers[i], 0, nbytes, &bytes, &error), &error);
        for (uint64_t k = 0; k < nbytes; k++)
            bytes[k] = (uint8_t)rand();
    }
    run_program(b); /* SRAM appears, the plan is made */
}

static struct vta_kernel tutorial_kernel(const struct vta_hw *hw)
{
    struct vta_error error;
    struct vta_kernel kernel;
    struct vta_matmul matmul = { .batch = 1,
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
    must(vta_compile_matmul(&kernel, hw, "my_gemm", &matmul, &error), &error);
    return kernel;
}

static uint8_t *copy_from, *copy_to;

static void run_memcpy(void *unused)
{
    (void)unused;
    memcpy(copy_to, copy_from, 1 << 20);
    __asm__ volatile("" : : "r"(copy_to) : "memory");
}

static void tutorial_rows(const char *kernels)
{
    struct vta_hw hw;
    struct program_bench ours, portable;
    double seconds, copy, plain;
    char name[64];
    vta_hw_default(&hw);
    struct vta_kernel kernel = tutorial_kernel(&hw);
    open_kernel(&ours, &hw, &kernel, kernels);
    const uint32_t times = smoke ? 1 : 100;
    copy_from = zeroed(1 << 20);
    copy_to = zeroed(1 << 20);
    compare(&(struct work){ run_program, &ours, times }, &(struct work){ run_memcpy, NULL, times },
            &seconds, &copy);
    snprintf(name, sizeof(name), "tutorial matmul, %s", kernels);
    measure_row(table, name, 1048576 / seconds / 1e9, "GMAC/s", seconds / copy,
                "times a memcpy of its weights", 2.0, false);
    open_kernel(&portable, &hw, &kernel, "portable");
    compare(&(struct work){ run_program, &ours, times },
            &(struct work){ run_program, &portable, smoke ? 1 : 10 }, &seconds, &plain);
    measure_row(table, name, 1048576 / seconds / 1e9, "GMAC/s", plain / seconds,
                "times the portable kernels' speed", 4.0, true);
    close_bench(&ours);
    close_bench(&portable);
    vta_kernel_clear(&kernel);
    free(copy_from);
    free(copy_to);
}

static void *run_often(void *context)
{
    for (int i = 0; i < (smoke ? 1 : 2000); i++)
        run_program(context);
    return NULL;
}

/* Two boards in two threads against one in one: what sharing nothing is worth. */
static void cores_row(const char *kernels)
{
    struct vta_hw hw;
    struct program_bench boards[2];
    double one[ROUNDS], two[ROUNDS];
    pthread_t threads[2];
    vta_hw_default(&hw);
    struct vta_kernel kernel = tutorial_kernel(&hw);
    for (int i = 0; i < 2; i++)
        open_kernel(&boards[i], &hw, &kernel, kernels);
    for (int round = 0; round < rounds(); round++) {
        double start = measure_now();
        run_often(&boards[0]);
        one[round] = measure_now() - start;
        start = measure_now();
        for (int i = 0; i < 2; i++)
            if (pthread_create(&threads[i], NULL, run_often, &boards[i]) != 0)
                exit(1);
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
        two[round] = measure_now() - start;
    }
    double alone = measure_median(one, (size_t)rounds());
    double together = measure_median(two, (size_t)rounds());
    measure_row(table, "tutorial matmul on two boards, two cores",
                2.0 * (smoke ? 1 : 2000) * 1048576 / together / 1e9, "GMAC/s", 2 * alone / together,
                "times one board's speed", 1.7, true);
    close_bench(&boards[0]);
    close_bench(&boards[1]);
    vta_kernel_clear(&kernel);
}

/* Seven instructions: what one call costs. */
static void call_row(const char *kernels)
{
    struct vta_hw hw;
    struct vta_kernel kernel;
    struct vta_error error;
    struct program_bench b;
    const struct vta_tensor_type acc = { { VTA_DTYPE_INT, 32 }, 2, { 1, 16 } };
    const struct vta_tensor_type out = { { VTA_DTYPE_INT, 8 }, 2, { 1, 16 } };
    const struct vta_uop_index uop = { 0, 0, 0 };
    const struct vta_uop_kernel one = { .uops = &uop, .uop_count = 1 };
    double seconds, unused;
    vta_hw_default(&hw);
    struct vta_build *build = vta_build_new(&hw, "shift");
    int a = vta_build_param(build, "a", &acc, VTA_MEM_ACC, VTA_ACCESS_READ);
    int c = vta_build_param(build, "c", &out, VTA_MEM_OUT, VTA_ACCESS_WRITE);
    vta_build_load(build, a, 0, 1, 1, 1, NULL, 0, VTA_MEM_ACC);
    vta_build_alu_imm(build, &one, VTA_ALU_SHR, 1);
    vta_build_push(build, VTA_UNIT_COMPUTE, VTA_UNIT_STORE);
    vta_build_pop(build, VTA_UNIT_COMPUTE, VTA_UNIT_STORE);
    vta_build_store(build, 0, c, 0, 1, 1, 1);
    must(vta_build_finish(build, &kernel, &error), &error);
    open_kernel(&b, &hw, &kernel, kernels);
    compare(&(struct work){ run_program, &b, smoke ? 1 : 20000 }, NULL, &seconds, &unused);
    char name[64];
    snprintf(name, sizeof(name), "a run of %u instructions, call to return", kernel.insn_count);
    measure_row(table, name, seconds * 1e6, "µs", seconds * 1e6, "µs", 5.0, false);
    close_bench(&b);
    vta_kernel_clear(&kernel);
}

/* ---- Recorded streams ---------------------------------------------------------------------- */

static void open_case(struct program_bench *b, const struct replay_case *rc, const char *kernels)
{
    struct vta_error error;
    vta_handle all;
    memset(b, 0, sizeof(*b));
    open_board(b, &rc->hw, kernels, (UINT64_C(1) << 32) - VTA_DRAM_PAGE);
    struct vta_dram *dram = vta_board_dram(b->board, &error);
    must(vta_dram_alloc_at(dram, VTA_DRAM_PAGE, (UINT64_C(1) << 32) - VTA_DRAM_PAGE, &all, &error),
         &error);
    uint32_t *words = (uint32_t *)(void *)vta_dram_base(dram);
    for (size_t i = VTA_DRAM_PAGE / 4; i < (72u << 20) / 4; i++)
        words[i] = (uint32_t)i * 2654435761u;
    for (size_t i = 0; i < rc->in.count; i++)
        memcpy(vta_dram_base(dram) + rc->in.segments[i].address,
               rc->in.bytes + rc->in.segments[i].offset, rc->in.segments[i].nbytes);
    struct vta_verify_options verify = { .before = rc->before,
                                         .reader = vta_dram_reader_fn,
                                         .context = dram };
    must(vta_program_from_stream(&b->program, &rc->hw, rc->insns, rc->insn_count,
                                 vta_dram_reader_fn, dram, &error),
         &error);
    must(vta_verify(b->program, &verify, &error), &error);
    b->before = rc->before;
    run_program(b);
}

static double macs_of(const struct replay_case *rc)
{
    return (double)rc->counters.gemm_counter * rc->hw.batch * rc->hw.block * rc->hw.block;
}

static void case_row(const struct replay_case *rc, const char *kernels, double target)
{
    struct program_bench b;
    double seconds, unused;
    char name[96];
    open_case(&b, rc, kernels);
    compare(&(struct work){ run_program, &b, 1 }, NULL, &seconds, &unused);
    double speed = macs_of(rc) / seconds / 1e9;
    snprintf(name, sizeof(name), "%s, %s", rc->name, kernels);
    measure_row(table, name, speed, "GMAC/s", speed, "GMAC/s", target, true);
    close_bench(&b);
}

struct decide {
    struct program_bench *bench;
    const struct replay_case *rc;
};

/* Decode, verify and plan, from the bytes. */
static void run_decide(void *context)
{
    struct decide *d = context;
    struct vta_error error;
    struct vta_program *program;
    struct vta_plan *plan;
    struct vta_dram *dram = vta_board_dram(d->bench->board, &error);
    struct vta_verify_options verify = { .before = d->rc->before,
                                         .reader = vta_dram_reader_fn,
                                         .context = dram };
    must(vta_program_from_stream(&program, &d->rc->hw, d->rc->insns, d->rc->insn_count,
                                 vta_dram_reader_fn, dram, &error),
         &error);
    must(vta_verify(program, &verify, &error), &error);
    must(vta_plan_make(&plan, program, NULL, &error), &error);
    vta_plan_free(plan);
    vta_program_free(program);
}

/* What a run costs that counts and does not compute. */
static void skip_row(const struct replay_case *rc, const char *kernels, double target)
{
    struct program_bench b;
    double seconds, unused;
    char name[96];
    open_case(&b, rc, kernels);
    vta_board_set_skip(b.board, true);
    compare(&(struct work){ run_program, &b, smoke ? 1 : 1000 }, NULL, &seconds, &unused);
    snprintf(name, sizeof(name), "%s, counted and not computed", rc->name);
    measure_row(table, name, seconds * 1e6, "µs", seconds * 1e6, "µs", target, false);
    close_bench(&b);
}

static void decide_row(const struct replay_case *rc, const char *kernels)
{
    struct program_bench b;
    double run, decide;
    char name[96];
    open_case(&b, rc, kernels);
    struct decide d = { &b, rc };
    compare(&(struct work){ run_program, &b, 1 }, &(struct work){ run_decide, &d, 1 }, &run,
            &decide);
    snprintf(name, sizeof(name), "decode, verify and plan %s", rc->name);
    measure_row(table, name, decide * 1e3, "ms", decide / run, "of its run", 0.10, false);
    close_bench(&b);
}

static void run_find_hazards(void *context)
{
    static const struct vta_hazard_options options = { .list_at_most = VTA_HAZARDS_LISTED };
    const struct program_bench *b = context;
    struct vta_hazards *hazards;
    struct vta_error error;
    must(vta_hazards_find(&hazards, b->program, &options, &error), &error);
    vta_hazards_free(hazards);
}

static void hazard_row(const struct replay_case *rc, const char *kernels, double target)
{
    struct program_bench b;
    double run, find;
    char name[96];
    open_case(&b, rc, kernels);
    compare(&(struct work){ run_program, &b, 1 }, &(struct work){ run_find_hazards, &b, 1 }, &run,
            &find);
    snprintf(name, sizeof(name), "look for hazards in %s", rc->name);
    measure_row(table, name, find * 1e3, "ms", find / run, "of its run", target, false);
    close_bench(&b);
}

static void reference_row(const struct replay_case *rc, const char *kernels)
{
    struct program_bench b;
    struct ref_board reference;
    uint32_t index;
    double seconds, unused;
    char name[96];
    open_case(&b, rc, kernels);
    compare(&(struct work){ run_program, &b, 10 }, NULL, &seconds, &unused);
    struct vta_error error;
    ref_open(&reference, &rc->hw, vta_dram_base(vta_board_dram(b.board, &error)), VTA_DRAM_PAGE,
             UINT64_C(1) << 32);
    reference.tokens[3] = rc->before.store_to_compute;
    double start = measure_now();
    if (ref_run(&reference, rc->insns, rc->insn_count, &index) != REF_DONE)
        exit(1);
    double slow = measure_now() - start;
    snprintf(name, sizeof(name), "%s, %s", rc->name, kernels);
    measure_row(table, name, macs_of(rc) / seconds / 1e9, "GMAC/s", slow / seconds,
                "times the reference interpreter's speed", 1.0, true);
    ref_close(&reference);
    close_bench(&b);
}

/* Calls `row` for each case whose folder matches. */
static void each_case(const char *shared, const char *pattern,
                      void (*row)(const struct replay_case *, const char *, double),
                      const char *kernels, double target)
{
    char path[4096];
    glob_t found;
    struct vta_error error;
    snprintf(path, sizeof(path), "%s/%s", shared, pattern);
    if (glob(path, 0, NULL, &found) != 0) {
        fprintf(stderr, "SKIPPED: no recorded streams at %s (set VTA_SHARED)\n", path);
        return;
    }
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct replay_case rc;
        must(replay_case_read(&rc, found.gl_pathv[i], &error), &error);
        row(&rc, kernels, target);
        replay_case_clear(&rc);
    }
    globfree(&found);
}

static void decide_case(const struct replay_case *rc, const char *kernels, double unused)
{
    (void)unused;
    decide_row(rc, kernels);
}

static void reference_case(const struct replay_case *rc, const char *kernels, double unused)
{
    (void)unused;
    reference_row(rc, kernels);
}

static bool usable(const char *name)
{
    size_t count;
    const struct vta_kernels *const *sets = vta_kernels_all(&count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(sets[i]->name, name) == 0)
            return sets[i]->usable();
    return false;
}

static const struct vta_kernels *set_named(const char *name)
{
    size_t count;
    const struct vta_kernels *const *sets = vta_kernels_all(&count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(sets[i]->name, name) == 0)
            return sets[i];
    return NULL;
}

int main(int argc, char **argv)
{
    const char *shared = getenv("VTA_SHARED") != NULL ? getenv("VTA_SHARED") : "../shared";
    struct measure_options options = { .name = "bench_core", .recordings = true };
    measure_options(&options, argc, argv);
    smoke = options.smoke;

    table = measure_table_new("bench_core");
    const char *best = usable("vnni") ? "vnni" : usable("avx2") ? "avx2" : "portable";
#ifdef VTA_BENCH_X86
    if (usable("vnni"))
        kernel_rows(set_named("vnni"), &bench_baseline_vnni);
    if (usable("avx2"))
        kernel_rows(set_named("avx2"), &bench_baseline_avx2);
#endif
    tutorial_rows(best);
    cores_row(best);
    call_row(best);
    if (usable("vnni")) {
        each_case(shared, "board/resnet-18-*", case_row, "vnni", 25);
        each_case(shared, "board/vgg-*", case_row, "vnni", 40);
    }
    if (usable("avx2"))
        each_case(shared, "board/resnet-18-*", case_row, "avx2", 12);
    each_case(shared, "board/vgg-37-*", decide_case, best, 0);
    each_case(shared, "board/vgg-37-*", hazard_row, best, 0.1);
    each_case(shared, "board/vgg-37-*", skip_row, best, 10);
    each_case(shared, "golden/tutorial-matrix_multiply_opt-*", reference_case, best, 0);
    each_case(shared, "board/mobilenet-g-55-*", reference_case, best, 0);
    measure_table_print(table, options.json);
    measure_table_free(table);
    return 0;
}
