/* board.c: one emulated board (board.h): who may run what on it, and what is left behind. */
#include "board.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stream_cache.h"
#include "timing_kept.h"

/* What a board keeps of the streams that ran on it. */
#define KEPT_STREAMS 32
#define KEPT_BYTES   (UINT64_C(64) << 20)

struct vta_board {
    struct vta_board_options options;
    struct vta_dram *dram;              /* NULL until first use */
    struct vta_dev *device;             /* NULL until the first run */
    struct vta_stream_cache *streams;   /* NULL until the first stream */
    struct vta_timing_profile *profile; /* owned; NULL: none, or not yet looked for */
    bool profile_sought;
    struct vta_watch watch;
    bool used, skip;
    struct vta_tokens tokens;
    struct vta_counters counters;
};

/* ---- Whose time it predicts ---------------------------------------------------------------- */

static void forget_profile(struct vta_board *board)
{
    free(board->profile);
    board->profile = NULL;
    board->profile_sought = false;
}

int vta_board_set_timing(struct vta_board *board, enum vta_board_timing timing,
                         const struct vta_timing_profile *profile, struct vta_error *error)
{
    struct vta_timing_profile *copy = NULL;
    if (timing == VTA_BOARD_TIMING_PROFILE) {
        copy = malloc(sizeof(*copy));
        if (copy == NULL)
            return vta_error_set(error, VTA_ENOMEM, "no memory for a timing profile");
        *copy = *profile;
    }
    forget_profile(board);
    board->options.timing = timing;
    board->options.profile = NULL; /* the copy alone is used */
    board->profile = copy;
    board->profile_sought = timing != VTA_BOARD_TIMING_AUTO;
    return 0;
}

const struct vta_timing_profile *vta_board_profile(struct vta_board *board)
{
    struct vta_timing_profile found;
    if (!board->profile_sought && vta_profile_for_hw(&found, &board->options.hw, NULL) == 0) {
        board->profile = malloc(sizeof(found));
        if (board->profile != NULL)
            *board->profile = found;
    }
    board->profile_sought = true;
    return board->profile;
}

/* ---- Life ---------------------------------------------------------------------------------- */

void vta_board_options_default(struct vta_board_options *options)
{
    memset(options, 0, sizeof(*options));
    vta_hw_default(&options->hw);
    options->device = &vta_sim_device;
    options->dram_bytes = UINT64_C(512) << 20;
    options->hazards.policy = VTA_HAZARDS_WARN;
}

int vta_board_open(struct vta_board **result, const struct vta_board_options *options,
                   struct vta_error *error)
{
    struct vta_board *board = calloc(1, sizeof(*board));
    if (board == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a board");
    board->options = *options;
    board->watch.options = options->hazards;
    int rc = vta_board_set_timing(board, options->timing, options->profile, error);
    if (rc != 0) {
        free(board);
        return rc;
    }
    *result = board;
    return 0;
}

static void close_device(struct vta_board *board)
{
    if (board->device != NULL)
        board->device->ops->close(board->device);
    board->device = NULL;
    vta_watch_reset(&board->watch);
}

void vta_board_close(struct vta_board *board)
{
    if (board == NULL)
        return;
    close_device(board);
    vta_stream_cache_free(board->streams);
    vta_dram_close(board->dram);
    free(board->profile);
    free(board);
}

const struct vta_hw *vta_board_hw(const struct vta_board *board)
{
    return &board->options.hw;
}

int vta_board_reconfigure(struct vta_board *board, const struct vta_hw *hw, struct vta_error *error)
{
    if (board->used && !vta_hw_equal(hw, &board->options.hw)) {
        char have[VTA_BITSTREAM_NAME], want[VTA_BITSTREAM_NAME];
        vta_hw_bitstream(&board->options.hw, have);
        vta_hw_bitstream(hw, want);
        return vta_error_set(error, VTA_ESTATE,
                             "the device is in use as %s; it can become %s only before its first "
                             "use",
                             have, want);
    }
    if (!board->used)
        close_device(board);
    if (board->options.timing == VTA_BOARD_TIMING_AUTO)
        forget_profile(board);
    board->options.hw = *hw;
    return 0;
}

int vta_board_program(struct vta_board *board, const char *name, bool *spelled,
                      struct vta_error *error)
{
    char base[VTA_BITSTREAM_NAME];
    struct vta_hw hw;
    const char *slash = strrchr(name, '/');
    int n = snprintf(base, sizeof base, "%s", slash != NULL ? slash + 1 : name);
    if (n > 4 && n < (int)sizeof base && strcmp(base + n - 4, ".bin") == 0)
        base[n - 4] = '\0';
    int rc = vta_hw_from_bitstream(&hw, base, board->options.hw.target, error);
    *spelled = rc != VTA_EFORMAT;
    if (!*spelled)
        return 0;
    return rc != 0 ? rc : vta_board_reconfigure(board, &hw, error);
}

struct vta_dram *vta_board_dram(struct vta_board *board, struct vta_error *error)
{
    /* Page 0 is never used, and addresses end at 4 GiB. */
    const uint64_t most = UINT64_C(1) << 32, page = VTA_DRAM_PAGE;
    const uint64_t wanted = (board->options.dram_bytes + page - 1) / page * page + page;
    if (board->dram == NULL && vta_dram_open(&board->dram, wanted < most ? wanted : most,
                                             board->options.dram_bytes, error) != 0) {
        board->dram = NULL;
        return NULL;
    }
    board->used = true;
    return board->dram;
}

void vta_board_memory(const struct vta_board *board, struct vta_dram_stats *stats)
{
    if (board->dram != NULL)
        vta_dram_stats(board->dram, stats);
    else
        *stats = (struct vta_dram_stats){ .capacity = board->options.dram_bytes,
                                          .quota = board->options.dram_bytes };
}

bool vta_board_used(const struct vta_board *board)
{
    return board->used;
}

/* ---- Running ------------------------------------------------------------------------------- */

static bool same_tokens(const struct vta_tokens *a, const struct vta_tokens *b)
{
    return a->load_to_compute == b->load_to_compute && a->compute_to_load == b->compute_to_load &&
           a->compute_to_store == b->compute_to_store && a->store_to_compute == b->store_to_compute;
}

static int check_run(const struct vta_board *board, const struct vta_program *program,
                     uint32_t buffer_count, struct vta_error *error)
{
    if (!program->verified)
        return vta_error_set(error, VTA_ESTATE, "%s has not been verified", program->name);
    int rc = vta_hw_compare(&program->hw, &board->options.hw, error);
    if (rc != 0) {
        vta_error_prefix(error, "%s", program->name);
        return rc;
    }
    if (!same_tokens(&program->before, &board->tokens))
        return vta_error_set(error, VTA_ESTATE,
                             "%s was verified for other token counts than the board has now",
                             program->name);
    if (buffer_count != program->param_count)
        return vta_error_set(error, VTA_EINVAL, "%s takes %u buffers, got %u", program->name,
                             program->param_count, buffer_count);
    return 0;
}

/* The DRAM address of every parameter, checked for size. */
static int bind(const struct vta_dram *dram, const struct vta_program *program,
                const vta_handle *buffers, uint32_t *addresses, struct vta_error *error)
{
    for (uint32_t i = 0; i < program->param_count; i++) {
        uint64_t nbytes;
        int rc = vta_dram_lookup(dram, buffers[i], &nbytes, &addresses[i], error);
        if (rc != 0) {
            vta_error_prefix(error, "%s: parameter %u", program->name, i);
            return rc;
        }
        if (nbytes < program->params[i].nbytes)
            return vta_error_limit(
                error, VTA_ESIZE, (int64_t)program->params[i].nbytes, (int64_t)nbytes,
                "%s: parameter %u needs %llu bytes, its buffer has %llu", program->name, i,
                (unsigned long long)program->params[i].nbytes, (unsigned long long)nbytes);
    }
    return 0;
}

void vta_counters_add(struct vta_counters *sum, const struct vta_counters *run)
{
#define ADD_COUNTER(name) sum->name += run->name;
    VTA_COUNTERS(ADD_COUNTER)
#undef ADD_COUNTER
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Adds what the board would take. A prediction that was stopped is none; whoever stopped it knows.
 */
static void predict(struct vta_board *board, const struct vta_program *program,
                    struct vta_control *control, struct vta_run_result *result)
{
    const struct vta_timing_profile *profile = vta_board_profile(board);
    struct vta_timing timing;
    if (profile == NULL || vta_timing_of(&timing, program, profile, control, NULL) != 0)
        return;
    result->board_cycles = timing.cycles;
    result->board_ns = timing.total_ns;
}

static int run_bound(struct vta_board *board, const struct vta_program *program,
                     const struct vta_binding *binding, struct vta_control *control,
                     struct vta_run_result *result, struct vta_error *error)
{
    struct vta_control nobody = { 0 };
    if (board->device == NULL) {
        int rc = board->options.device->open(&board->device, &board->options.hw, error);
        if (rc != 0)
            return rc;
    }
    uint64_t start = now_ns();
    int rc = board->device->ops->run(board->device, program, binding, board->dram, board->skip,
                                     control != NULL ? control : &nobody, error);
    uint64_t wall_ns = now_ns() - start;
    if (rc != 0) {
        board->device->ops->reset(board->device);
        vta_watch_reset(&board->watch);
        board->tokens = (struct vta_tokens){ 0 };
        return rc;
    }
    board->tokens = program->after;
    vta_watch_after(&board->watch, program);
    vta_counters_add(&board->counters, &program->counters);
    if (result != NULL) {
        *result = (struct vta_run_result){ .counters = program->counters, .wall_ns = wall_ns };
        predict(board, program, control, result);
    }
    return 0;
}

int vta_board_run(struct vta_board *board, const struct vta_program *program,
                  const vta_handle *buffers, uint32_t buffer_count, struct vta_control *control,
                  struct vta_run_result *result, struct vta_error *error)
{
    uint32_t few[16], *addresses = few;
    int rc = check_run(board, program, buffer_count, error);
    if (rc != 0)
        return rc;
    if (vta_board_dram(board, error) == NULL)
        return VTA_ENOMEM;
    if (buffer_count > sizeof(few) / sizeof(few[0])) {
        addresses = malloc(buffer_count * sizeof(*addresses));
        if (addresses == NULL)
            return vta_error_set(error, VTA_ENOMEM, "no memory to bind %u buffers", buffer_count);
    }
    rc = bind(board->dram, program, buffers, addresses, error);
    if (rc == 0) {
        struct vta_binding binding = { .count = buffer_count, .addresses = addresses };
        rc = run_bound(board, program, &binding, control, result, error);
    }
    if (addresses != few)
        free(addresses);
    return rc;
}

/* What streams are verified with, and the cache of those that were; both at first use. */
static int ready_for_streams(struct vta_board *board, struct vta_control *control,
                             struct vta_verify_options *options, struct vta_error *error)
{
    struct vta_dram *dram = vta_board_dram(board, error);
    if (dram == NULL)
        return VTA_ENOMEM;
    if (board->streams == NULL)
        board->streams = vta_stream_cache_new(KEPT_STREAMS, KEPT_BYTES);
    if (board->streams == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory to keep streams");
    vta_stream_cache_look_for(board->streams, vta_watch_looks_for(&board->watch));
    *options = (struct vta_verify_options){ .before = board->tokens,
                                            .max_work = board->options.max_work,
                                            .reader = vta_dram_reader_fn,
                                            .context = dram,
                                            .epoch = vta_dram_epoch(dram),
                                            .control = control };
    return 0;
}

/* Runs the program that the cache gave, unless its hazards are to fail. */
static int run_kept(struct vta_board *board, const struct vta_program *program,
                    struct vta_control *control, struct vta_run_result *result,
                    struct vta_error *error)
{
    int rc = vta_watch_before(&board->watch, program, vta_stream_cache_made(board->streams), error);
    return rc != 0 ? rc : vta_board_run(board, program, NULL, 0, control, result, error);
}

int vta_board_run_stream(struct vta_board *board, const uint8_t *insns, uint32_t count,
                         struct vta_control *control, struct vta_run_result *result,
                         struct vta_error *error)
{
    const struct vta_program *program = NULL;
    struct vta_verify_options options;
    int rc = ready_for_streams(board, control, &options, error);
    if (rc == 0)
        rc = vta_stream_cache_get(board->streams, &board->options.hw, insns, count, &options,
                                  &program, error);
    return rc != 0 ? rc : run_kept(board, program, control, result, error);
}

int vta_board_run_decoded(struct vta_board *board, const struct vta_decoded *decoded,
                          struct vta_control *control, struct vta_run_result *result,
                          struct vta_error *error)
{
    const struct vta_program *program = NULL;
    struct vta_verify_options options;
    int rc = ready_for_streams(board, control, &options, error);
    if (rc == 0)
        rc = vta_stream_cache_get_decoded(board->streams, &board->options.hw, decoded, &options,
                                          &program, error);
    return rc != 0 ? rc : run_kept(board, program, control, result, error);
}

/* ---- State --------------------------------------------------------------------------------- */

void vta_board_set_hazards(struct vta_board *board, enum vta_hazard_policy policy,
                           bool strict_board)
{
    board->watch.options.policy = policy;
    board->watch.options.strict_board = strict_board;
}

struct vta_tokens vta_board_tokens(const struct vta_board *board)
{
    return board->tokens;
}

void vta_board_set_tokens(struct vta_board *board, struct vta_tokens tokens)
{
    board->tokens = tokens;
}

struct vta_counters vta_board_counters(const struct vta_board *board)
{
    return board->counters;
}

void vta_board_clear_counters(struct vta_board *board)
{
    board->counters = (struct vta_counters){ 0 };
}

void vta_board_set_skip(struct vta_board *board, bool skip)
{
    board->skip = skip;
}

bool vta_board_skip(const struct vta_board *board)
{
    return board->skip;
}

void vta_board_info(const struct vta_board *board, struct vta_device_info *info)
{
    board->options.device->info(board->device, &board->options.hw, info);
}
