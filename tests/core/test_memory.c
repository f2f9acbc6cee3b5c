/* test_memory.c: what becomes of core/ when memory runs out.
 *
 * Everything that it allocates is allocated through the wrappers below (the linker's --wrap). Each
 * job runs once with all the memory it wants, then once for each allocation that it made, and that
 * one is refused, or that one and all after it. A job that fails then says VTA_ENOMEM; one that
 * goes on gives the same result; neither leaves anything behind.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <vta/build.h>

#include "core/board.h"
#include "core/hazard.h"
#include "core/runtime.h"
#include "core/timeline.h"
#include "core/verify.h"

/* ---- Allocations --------------------------------------------------------------------------- */

#define LIVE_MAX 4096

static struct {
    bool counting;
    uint32_t made;   /* allocations asked for since counting began */
    uint32_t refuse; /* the number of one that is refused; 0: none */
    bool lasting;    /* and of all after it */
    void *live[LIVE_MAX];
    uint32_t live_count;
} heap;

static bool refused(void)
{
    if (!heap.counting)
        return false;
    heap.made++;
    return heap.refuse != 0 && (heap.lasting ? heap.made >= heap.refuse : heap.made == heap.refuse);
}

static void *noted(void *block)
{
    if (heap.counting && block != NULL) {
        cr_assert_lt(heap.live_count, (uint32_t)LIVE_MAX);
        heap.live[heap.live_count++] = block;
    }
    return block;
}

/* What the C library has allocated itself, as for asprintf, is not in the list. */
static void forgotten(const void *block)
{
    for (uint32_t i = heap.live_count; block != NULL && i > 0; i--)
        if (heap.live[i - 1] == block) {
            heap.live[i - 1] = heap.live[--heap.live_count];
            return;
        }
}

/* Under the name that <sys/mman.h> gives it where offsets have 64 bits. */
void *__real_mmap64(void *at, size_t size, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t size);
void *__wrap_mmap64(void *at, size_t size, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void *at, size_t size);
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
char *__real_strdup(const char *text);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
char *__wrap_strdup(const char *text);
void __wrap_free(void *block);

void *__wrap_malloc(size_t size)
{
    return refused() ? NULL : noted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return refused() ? NULL : noted(__real_calloc(count, size));
}

void *__wrap_realloc(void *block, size_t size)
{
    if (refused())
        return NULL;
    forgotten(block);
    return noted(__real_realloc(block, size));
}

char *__wrap_strdup(const char *text)
{
    return refused() ? NULL : noted(__real_strdup(text));
}

void __wrap_free(void *block)
{
    forgotten(block);
    __real_free(block);
}

void *__wrap_mmap64(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (refused()) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return noted(__real_mmap64(at, size, protection, flags, fd, offset));
}

int __wrap_munmap(void *at, size_t size)
{
    forgotten(at);
    return __real_munmap(at, size);
}

/* ---- Jobs ---------------------------------------------------------------------------------- */

/* A job does something with core/ from begin to end. Its result is a number that says what came
 * out. Returns 0 or the code of what failed. */
typedef int job(uint64_t *result, struct vta_error *error);

static uint64_t mix(uint64_t hash, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* Runs the job with and without memory; it asks for some at least so often. */
static void starve(job *run, uint32_t at_least)
{
    uint64_t expected = 0;
    struct vta_error error = { 0 };
    heap.counting = true;
    heap.made = heap.refuse = 0;
    cr_assert_eq(run(&expected, &error), 0, "%s", error.message);
    const uint32_t made = heap.made;
    cr_assert_geq(made, at_least, "%u allocations", made);
    cr_assert_eq(heap.live_count, 0, "%u allocations are left", heap.live_count);
    for (uint32_t i = 0; i < 2 * made; i++) {
        uint64_t result = expected;
        error = (struct vta_error){ 0 };
        heap.made = 0;
        heap.refuse = i / 2 + 1;
        heap.lasting = i % 2 == 1;
        const int rc = run(&result, &error);
        cr_assert(rc == 0 || rc == VTA_ENOMEM, "without allocation %u: %s", heap.refuse,
                  error.message);
        cr_assert_eq(error.code, rc, "without allocation %u", heap.refuse);
        cr_assert(rc == 0 || strstr(error.message, "memory") != NULL, "without allocation %u: '%s'",
                  heap.refuse, error.message);
        cr_assert_eq(result, expected, "without allocation %u", heap.refuse);
        cr_assert_eq(heap.live_count, 0, "without allocation %u: %u are left", heap.refuse,
                     heap.live_count);
    }
    heap.counting = false;
}

/* ---- Building ------------------------------------------------------------------------------ */

enum {
    ROWS = 16
};

/* A tile of INP times one of WGT, with the micro-ops of ROWS kernels; clipped, and stored. */
static int build_tile(struct vta_kernel *kernel, struct vta_error *error)
{
    const struct vta_tensor_type rows = { { VTA_DTYPE_INT, 8 }, 2, { ROWS, 16 } };
    const struct vta_tensor_type tile = { { VTA_DTYPE_INT, 8 }, 2, { 16, 16 } };
    struct vta_hw hw;
    vta_hw_default(&hw);
    struct vta_build *build = vta_build_new(&hw, "tile");
    if (build == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a builder");
    const int a = vta_build_param(build, "a", &rows, VTA_MEM_INP, VTA_ACCESS_READ);
    const int b = vta_build_param(build, "b", &tile, VTA_MEM_WGT, VTA_ACCESS_READ);
    const int c = vta_build_param(build, "c", &rows, VTA_MEM_OUT, VTA_ACCESS_READ_WRITE);
    vta_build_load(build, a, 0, 1, ROWS, ROWS, NULL, 0, VTA_MEM_INP);
    vta_build_load(build, b, 0, 1, 1, 1, NULL, 0, VTA_MEM_WGT);
    vta_build_push(build, VTA_UNIT_LOAD, VTA_UNIT_COMPUTE);
    vta_build_pop(build, VTA_UNIT_LOAD, VTA_UNIT_COMPUTE);
    for (uint32_t i = 0; i < ROWS; i++) {
        const struct vta_uop_index uop = { i, i, 0 };
        const struct vta_uop_kernel one = { NULL, 0, &uop, 1 };
        vta_build_gemm(build, &one, true);
        vta_build_gemm(build, &one, false);
        vta_build_alu_imm(build, &one, VTA_ALU_MAX, 0);
    }
    vta_build_push(build, VTA_UNIT_COMPUTE, VTA_UNIT_STORE);
    vta_build_pop(build, VTA_UNIT_COMPUTE, VTA_UNIT_STORE);
    vta_build_store(build, 0, c, 0, 1, ROWS, ROWS);
    /* Races with the store before it, where both touch the last row. */
    vta_build_load(build, c, ROWS - 1, 1, 1, 1, NULL, ROWS, VTA_MEM_INP);
    return vta_build_finish(build, kernel, error);
}

static int build(uint64_t *result, struct vta_error *error)
{
    struct vta_module_image image = { 0 };
    struct vta_kernel kernel = { 0 };
    int rc = build_tile(&kernel, error);
    if (rc == 0) {
        *result = mix(kernel.reloc_count, kernel.insns, (size_t)kernel.insn_count * 16);
        *result = mix(*result, kernel.uops, kernel.uop_count * sizeof(*kernel.uops));
        rc = vta_module_image_add(&image, &kernel, error);
    }
    vta_kernel_clear(&kernel);
    vta_module_image_clear(&image);
    return rc;
}

Test(memory, may_run_out_while_a_kernel_is_built)
{
    starve(build, 20);
}

/* ---- Running ------------------------------------------------------------------------------- */

static struct vta_kernel tile; /* built with all the memory it wants */

static void make_tile(void)
{
    struct vta_error error = { 0 };
    cr_assert_eq(build_tile(&tile, &error), 0, "%s", error.message);
}

static void clear_tile(void)
{
    vta_kernel_clear(&tile);
}

/* From a module's bytes to a verified program whose hazards are known. */
static int decide(struct vta_program **program, struct vta_error *error)
{
    const struct vta_verify_options verify = { .tokens_must_end_empty = true };
    const struct vta_hazard_options hazards = { .strict_board = true };
    struct vta_hw hw;
    vta_hw_default(&hw);
    int rc = vta_program_from_kernel(program, &tile, &hw, error);
    if (rc != 0)
        return rc;
    rc = vta_verify(*program, &verify, error);
    if (rc == 0)
        rc = vta_program_find_hazards(*program, &hazards, error);
    return rc;
}

static int run_on(struct vta_board *board, const struct vta_program *program, uint64_t *result,
                  struct vta_error *error)
{
    vta_handle buffers[3];
    struct vta_run_result run;
    uint8_t bytes[16 * 16];
    struct vta_dram *dram = vta_board_dram(board, error);
    if (dram == NULL)
        return error->code;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 37);
    int rc = 0;
    for (int i = 0; rc == 0 && i < 3; i++) {
        rc = vta_dram_alloc(dram, sizeof(bytes), &buffers[i], error);
        if (rc == 0)
            rc = vta_dram_write(dram, buffers[i], 0, bytes, sizeof(bytes), error);
    }
    if (rc == 0)
        rc = vta_board_run(board, program, buffers, 3, NULL, &run, error);
    if (rc == 0)
        rc = vta_dram_read(dram, buffers[2], 0, bytes, sizeof(bytes), error);
    if (rc == 0)
        *result = mix(run.counters.gemm_counter, bytes, sizeof(bytes));
    return rc;
}

static int run(uint64_t *result, struct vta_error *error)
{
    struct vta_program *program = NULL;
    struct vta_board *board = NULL;
    struct vta_board_options options;
    struct vta_timing_profile profile;
    vta_board_options_default(&options);
    options.timing = VTA_BOARD_TIMING_PROFILE;
    options.profile = &profile;
    int rc = vta_profile_shipped(&profile, "ultra96", error);
    if (rc == 0)
        rc = decide(&program, error);
    if (rc == 0)
        rc = vta_board_open(&board, &options, error);
    if (rc == 0)
        rc = run_on(board, program, result, error);
    if (rc == 0)
        *result += vta_hazards_count(program->hazards);
    vta_board_close(board);
    vta_program_free(program);
    return rc;
}

Test(memory, may_run_out_between_a_module_and_its_result, .init = make_tile, .fini = clear_tile)
{
    starve(run, 40);
}

/* ---- Timelines ----------------------------------------------------------------------------- */

static int draw(uint64_t *result, struct vta_error *error)
{
    struct vta_timing_profile profile;
    struct vta_program *program = NULL;
    struct vta_timeline timeline = { 0 };
    FILE *nowhere = fopen("/dev/null", "w");
    cr_assert_not_null(nowhere);
    int rc = vta_profile_shipped(&profile, "1x16-2019-11", error);
    if (rc == 0)
        rc = decide(&program, error);
    if (rc == 0)
        rc = vta_timeline_make(&timeline, program, &profile, error);
    if (rc == 0)
        rc = vta_timeline_trace(&timeline, nowhere, error);
    if (rc == 0)
        rc = vta_timeline_svg(&timeline, nowhere, error);
    if (rc == 0)
        *result = timeline.timing.cycles;
    vta_timeline_clear(&timeline);
    vta_program_free(program);
    fclose(nowhere);
    return rc;
}

Test(memory, may_run_out_while_a_timeline_is_drawn, .init = make_tile, .fini = clear_tile)
{
    starve(draw, 30);
}

/* ---- The runtime --------------------------------------------------------------------------- */

static struct vta_runtime *recording;
static uint32_t row;

static int record_reset(void *signature)
{
    (void)signature;
    vta_runtime_uop_push(recording, 0, 1, row, 0, 0, 0, 0, 0);
    return 0;
}

/* Adds row + 1 to every number of an ACC entry. */
static int record_add(void *signature)
{
    (void)signature;
    vta_runtime_loop_begin(recording, 1, 0, 0, 0);
    vta_runtime_uop_push(recording, 1, 0, row, 0, 0, VTA_ALU_ADD, 1, (int32_t)row + 1);
    vta_runtime_loop_end(recording);
    return 0;
}

/* ROWS results, each from kernels of its own, stored at once. */
static void call_rows(uint8_t *out)
{
    static void *sites[2]; /* numbers that another runtime left mean nothing to this one */
    for (row = 0; row < ROWS; row++) {
        vta_runtime_kernel(recording, 0, &sites[0], record_reset, &row, sizeof(row));
        vta_runtime_kernel(recording, 1, &sites[1], record_add, &row, sizeof(row));
    }
    vta_runtime_push(recording, VTA_UNIT_COMPUTE, VTA_UNIT_STORE);
    vta_runtime_pop(recording, VTA_UNIT_COMPUTE, VTA_UNIT_STORE);
    vta_runtime_store_2d(recording, 0, VTA_MEM_OUT, out, 0, ROWS, 1, ROWS);
    vta_runtime_synchronise(recording);
}

static int call_twice(struct vta_board *board, uint64_t *result, struct vta_error *error)
{
    uint8_t *out = vta_runtime_alloc(recording, ROWS * 16, error);
    if (out == NULL)
        return error->code;
    uint64_t hash = 0;
    int rc = 0;
    for (int i = 0; rc == 0 && i < 2; i++) {
        vta_runtime_set_debug(recording, i == 0 ? 0 : VTA_DEBUG_FORCE_SERIAL);
        memset(out, 0, ROWS * 16);
        call_rows(out);
        rc = vta_runtime_take_error(recording, error);
        hash = mix(hash, out, ROWS * 16);
    }
    if (rc == 0)
        *result = hash + vta_board_counters(board).alu_counter;
    return rc;
}

static void hear(void *context, const char *line)
{
    (void)context;
    (void)line;
}

static int call(uint64_t *result, struct vta_error *error)
{
    struct vta_board *board = NULL;
    struct vta_board_options options;
    struct vta_runtime_options runtime;
    vta_board_options_default(&options);
    options.hazards.policy = VTA_HAZARDS_FAIL;
    options.hazards.report = hear;
    vta_runtime_options_default(&runtime);
    recording = NULL;
    int rc = vta_board_open(&board, &options, error);
    if (rc == 0)
        rc = vta_runtime_new(&recording, board, &runtime, error);
    if (rc == 0)
        rc = call_twice(board, result, error);
    vta_runtime_free(recording);
    vta_board_close(board);
    return rc;
}

Test(memory, may_run_out_in_any_call_of_the_runtime)
{
    starve(call, 60);
}

/* ---- Texts --------------------------------------------------------------------------------- */

static int read_texts(uint64_t *result, struct vta_error *error)
{
    static const char hw_text[] = "{\"TARGET\": \"pynq\", \"LOG_BLOCK\": 4}";
    struct vta_hw hw;
    struct vta_timing_profile profile;
    int rc = vta_hw_from_json(&hw, hw_text, sizeof(hw_text) - 1, error);
    if (rc == 0)
        rc = vta_profile_shipped(&profile, "ultra96", error);
    if (rc == 0)
        *result = hw.log_block + (uint64_t)profile.clock_mhz;
    return rc;
}

Test(memory, may_run_out_while_configurations_are_read)
{
    starve(read_texts, 2);
}
