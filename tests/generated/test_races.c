/* test_races.c: what core/hazard finds against the plain oracle, which compares every pair of
 * instructions: on random programs, and on streams of the compiler and of TVM with tokens removed.
 */
#include <criterion/criterion.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vta/compile.h>

#include "core/board.h"
#include "core/hazard.h"
#include "core/verify.h"
#include "tests/reference/races.h"
#include "tools/case.h"

#include "random_program.h"

/* A stream with the DRAM that it reads micro-ops from. */
struct stream {
    const char *name;
    struct vta_hw hw;
    uint8_t *bytes;
    uint32_t count;
    struct vta_tokens before;
    uint8_t *dram;
    uint64_t dram_begin, dram_end;
};

static const void *read_dram(void *context, uint64_t address, uint64_t nbytes)
{
    const struct stream *stream = context;
    return address >= stream->dram_begin && address <= stream->dram_end &&
                   nbytes <= stream->dram_end - address
               ? stream->dram + address
               : NULL;
}

/* What the verifier says of the stream with these instructions; a program where that is 0. */
static int verify(struct stream *stream, const uint8_t *bytes, struct vta_program **program,
                  struct vta_error *error)
{
    const struct vta_verify_options options = { .before = stream->before,
                                                .reader = read_dram,
                                                .context = stream };
    int rc = vta_program_from_stream(program, &stream->hw, bytes, stream->count, read_dram, stream,
                                     error);
    return rc != 0 ? rc : vta_verify(*program, &options, error);
}

static int compare_races(const void *a, const void *b)
{
    const struct ref_race *x = a, *y = b;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    if (x->second != y->second)
        return x->second < y->second ? -1 : 1;
    return x->memory < y->memory ? -1 : x->memory > y->memory;
}

/* The findings in the oracle's terms. */
static struct ref_race *as_races(const struct vta_hazards *hazards)
{
    struct ref_race *races = calloc(hazards->count + 1, sizeof(*races));
    for (uint32_t i = 0; i < hazards->count; i++) {
        const struct vta_hazard *hazard = &hazards->items[i];
        cr_assert(hazard->kind == VTA_HAZARD_RACE || hazard->kind == VTA_HAZARD_UNWRITTEN);
        races[i] = (struct ref_race){ .first = hazard->first,
                                      .second = hazard->second,
                                      .memory = hazard->memory,
                                      .begin = hazard->extent.begin,
                                      .end = hazard->extent.end,
                                      .count = hazard->extent.count };
    }
    return races;
}

static void compare_found(const struct stream *stream, const struct vta_program *program,
                          struct ref_races *want)
{
    const struct vta_hazard_options options = { 0 };
    struct vta_hazards *hazards;
    struct vta_error error = { 0 };
    cr_assert_eq(vta_hazards_find(&hazards, program, &options, &error), 0, "%s", error.message);
    cr_assert(hazards->complete, "%s: counting gave up", stream->name);
    struct ref_race *found = as_races(hazards);
    qsort(found, hazards->count, sizeof(*found), compare_races);
    if (want->count != 0)
        qsort(want->items, want->count, sizeof(*want->items), compare_races);
    for (size_t i = 0; i < hazards->count || i < want->count; i++) {
        const struct ref_race nothing = { UINT32_MAX, UINT32_MAX, 99, 0, 0, 0 };
        const struct ref_race *a = i < hazards->count ? &found[i] : &nothing;
        const struct ref_race *b = i < want->count ? &want->items[i] : &nothing;
        cr_assert(compare_races(a, b) == 0 && a->begin == b->begin && a->end == b->end &&
                      a->count == b->count,
                  "%s: found insns %u and %u, memory %u, %llu of %llu to %llu; the oracle's next "
                  "is insns %u and %u, memory %u, %llu of %llu to %llu",
                  stream->name, a->first, a->second, a->memory, (unsigned long long)a->count,
                  (unsigned long long)a->begin, (unsigned long long)a->end, b->first, b->second,
                  b->memory, (unsigned long long)b->count, (unsigned long long)b->begin,
                  (unsigned long long)b->end);
    }
    free(found);
    vta_hazards_free(hazards);
}

static enum ref_outcome outcome_of(int rc)
{
    return rc == VTA_EDEADLOCK ? REF_DEADLOCK : rc == VTA_EFINISH ? REF_BAD_FINISH : REF_DONE;
}

/* How often each kind of verdict was met. */
struct verdicts {
    uint32_t clean, racing, refused;
    uint64_t races[REF_DRAM + 1]; /* by memory */
};

/* Holds verifier and finder against the oracle, for the stream with these token bits. */
static void check(struct stream *stream, const struct ref_touched *touched, const uint8_t *bytes,
                  struct verdicts *verdicts)
{
    struct vta_program *program = NULL;
    struct vta_error error = { 0 };
    const uint64_t tokens[4] = { stream->before.load_to_compute, stream->before.compute_to_load,
                                 stream->before.compute_to_store, stream->before.store_to_compute };
    int rc = verify(stream, bytes, &program, &error);
    struct ref_races want = ref_races_find(touched, bytes, tokens);
    cr_assert(rc == 0 || rc == VTA_EDEADLOCK || rc == VTA_EFINISH, "%s: %s", stream->name,
              error.message);
    cr_assert_eq(want.outcome, outcome_of(rc), "%s: the oracle says %s; verifier: %s", stream->name,
                 ref_outcome_name(want.outcome), rc == 0 ? "yes" : error.message);
    if (rc == 0)
        compare_found(stream, program, &want);
    bool races = false;
    for (size_t i = 0; i < want.count; i++) {
        races |= want.items[i].second != UINT32_MAX;
        verdicts->races[want.items[i].memory] += want.items[i].second != UINT32_MAX;
    }
    verdicts->refused += rc != 0;
    verdicts->racing += rc == 0 && races;
    verdicts->clean += rc == 0 && !races;
    free(want.items);
    vta_program_free(program);
}

/* ---- Tokens -------------------------------------------------------------------------------- */

/* The four token bits in the first byte of an instruction. */
enum {
    POP_PREV = 1 << 3,
    POP_NEXT = 1 << 4,
    PUSH_PREV = 1 << 5,
    PUSH_NEXT = 1 << 6
};

struct bit {
    uint32_t insn;
    uint8_t mask;
};

/* The bits of a stream that pop or push a queue, in order. queue: as in struct vta_tokens. */
static uint32_t bits_of(const struct stream *stream, int queue, bool pops, struct bit *bits)
{
    static const struct {
        enum vta_core_unit unit;
        uint8_t mask;
    } pushers[4] = { { VTA_CORE_LOAD, PUSH_NEXT },
                     { VTA_CORE_COMPUTE, PUSH_PREV },
                     { VTA_CORE_COMPUTE, PUSH_NEXT },
                     { VTA_CORE_STORE, PUSH_PREV } },
      poppers[4] = { { VTA_CORE_COMPUTE, POP_PREV },
                     { VTA_CORE_LOAD, POP_NEXT },
                     { VTA_CORE_STORE, POP_PREV },
                     { VTA_CORE_COMPUTE, POP_NEXT } };
    struct vta_layout layout;
    uint32_t count = 0;
    vta_layout_make(&layout, &stream->hw, NULL);
    for (uint32_t i = 0; i < stream->count; i++) {
        struct vta_insn insn;
        const uint8_t mask = pops ? poppers[queue].mask : pushers[queue].mask;
        vta_insn_decode(&insn, &layout, stream->bytes + (size_t)i * 16);
        if (vta_insn_unit(&insn) == (pops ? poppers[queue].unit : pushers[queue].unit) &&
            (stream->bytes[(size_t)i * 16] & mask) != 0)
            bits[count++] = (struct bit){ i, mask };
    }
    return count;
}

static void flip(const struct stream *stream, struct bit bit)
{
    stream->bytes[(size_t)bit.insn * 16] ^= bit.mask;
}

/* Removes tokens one at a time, each push with the pop that takes it: all, or of each queue only
 * the one in the middle. */
static void check_without_each_token(struct stream *stream, const struct ref_touched *touched,
                                     bool all, struct verdicts *verdicts)
{
    const uint32_t before[4] = { stream->before.load_to_compute, stream->before.compute_to_load,
                                 stream->before.compute_to_store, stream->before.store_to_compute };
    struct bit *pushes = calloc(stream->count + 1, sizeof(*pushes));
    struct bit *pops = calloc(stream->count + 1, sizeof(*pops));
    for (int queue = 0; queue < 4; queue++) {
        uint32_t pushed = bits_of(stream, queue, false, pushes);
        uint32_t popped = bits_of(stream, queue, true, pops);
        for (uint32_t k = all ? 0 : pushed / 2; k < pushed; k += all ? 1 : pushed) {
            const bool taken = k + before[queue] < popped;
            flip(stream, pushes[k]);
            if (taken)
                flip(stream, pops[k + before[queue]]);
            check(stream, touched, stream->bytes, verdicts);
            flip(stream, pushes[k]);
            if (taken)
                flip(stream, pops[k + before[queue]]);
        }
    }
    free(pushes);
    free(pops);
}

/* Changes single token bits at random. */
static void check_with_flipped_bits(struct stream *stream, const struct ref_touched *touched,
                                    struct rng *rng, uint32_t times, struct verdicts *verdicts)
{
    for (uint32_t i = 0; i < times; i++) {
        const struct bit bit = { rng_between(rng, 0, stream->count - 1),
                                 (uint8_t)(1u << rng_between(rng, 3, 6)) };
        flip(stream, bit);
        check(stream, touched, stream->bytes, verdicts);
        flip(stream, bit);
    }
}

/* ---- Random programs ----------------------------------------------------------------------- */

Test(races, are_those_of_the_oracle_on_random_programs, .timeout = 600)
{
    struct rng rng = rng_seeded("races of random programs");
    struct verdicts verdicts = { 0 };
    const uint32_t runs = rng_runs(500);
    for (uint32_t i = 0; i < runs; i++) {
        struct stream stream = { .name = "a random program",
                                 .dram = calloc(1, RANDOM_DRAM_BYTES),
                                 .dram_begin = RANDOM_DRAM_BEGIN,
                                 .dram_end = RANDOM_DRAM_BYTES };
        random_hw(&rng, &stream.hw);
        random_dram(&rng, &stream.hw, stream.dram);
        stream.before.load_to_compute = rng_between(&rng, 0, 2);
        stream.before.compute_to_load = rng_between(&rng, 0, 2);
        stream.before.compute_to_store = rng_between(&rng, 0, 2);
        stream.before.store_to_compute = rng_between(&rng, 0, 2);
        stream.bytes = random_stream(&rng, &stream.hw, stream.dram, stream.before, &stream.count);
        struct ref_touched *touched =
            ref_touched_new(&stream.hw, stream.bytes, stream.count, stream.dram);
        check(&stream, touched, stream.bytes, &verdicts);
        check_with_flipped_bits(&stream, touched, &rng, 3, &verdicts);
        ref_touched_free(touched);
        free(stream.bytes);
        free(stream.dram);
    }
    cr_assert(verdicts.racing > runs / 4 && verdicts.clean > runs / 20,
              "%u racing, %u clean, %u refused", verdicts.racing, verdicts.clean, verdicts.refused);
}

/* ---- The tutorial's matrix multiply -------------------------------------------------------- */

/* The kernel as a stream: its parameters one behind the other, its micro-ops before them. */
static void bind(struct stream *stream, const struct vta_hw *hw, const struct vta_kernel *kernel)
{
    struct vta_layout layout;
    uint64_t addresses[8],
        end = 4096 + (((uint64_t)kernel->uop_count * 4 + 4095) & ~UINT64_C(4095));
    for (uint32_t i = 0; i < kernel->param_count; i++) {
        uint64_t nbytes;
        cr_assert_eq(vta_tensor_nbytes(&kernel->params[i].type, &nbytes, NULL), 0);
        addresses[i] = end;
        end += (nbytes + 4095) & ~UINT64_C(4095);
    }
    *stream = (struct stream){ .name = kernel->name,
                               .hw = *hw,
                               .count = kernel->insn_count,
                               .bytes = malloc((size_t)kernel->insn_count * 16),
                               .dram = calloc(1, end),
                               .dram_begin = 4096,
                               .dram_end = end };
    memcpy(stream->dram + 4096, kernel->uops, (size_t)kernel->uop_count * 4);
    memcpy(stream->bytes, kernel->insns, (size_t)kernel->insn_count * 16);
    vta_layout_make(&layout, hw, NULL);
    for (uint32_t i = 0; i < kernel->reloc_count; i++) {
        const struct vta_reloc *reloc = &kernel->relocs[i];
        uint8_t *at = stream->bytes + (size_t)reloc->insn * 16;
        struct vta_insn insn;
        vta_insn_decode(&insn, &layout, at);
        uint64_t base = reloc->param == VTA_PARAM_UOPS ? 4096 : addresses[reloc->param];
        insn.mem.dram_base =
            (uint32_t)(base / hw->dram_elem_bytes[insn.mem.memory]) + reloc->offset;
        cr_assert_eq(vta_insn_encode(&insn, &layout, at, NULL), 0);
    }
}

static void compile_tutorial(struct vta_kernel *kernel, const struct vta_hw *hw)
{
    struct vta_error error = { 0 };
    const struct vta_matmul matmul = { .batch = 1,
                                       .in = 1024,
                                       .out = 1024,
                                       .block_batch = 1,
                                       .block_in = 256,
                                       .block_out = 256,
                                       .shift = true,
                                       .shift_by = 8,
                                       .clip = true,
                                       .clip_hi = 127 };
    cr_assert_eq(vta_compile_matmul(kernel, hw, "my_gemm", &matmul, &error), 0, "%s",
                 error.message);
}

Test(races, every_token_of_the_tutorial_is_missed_or_proved_redundant, .timeout = 300)
{
    struct vta_hw hw;
    struct vta_kernel kernel;
    struct stream stream;
    struct verdicts whole = { 0 }, without = { 0 };
    vta_hw_default(&hw);
    compile_tutorial(&kernel, &hw);
    bind(&stream, &hw, &kernel);
    struct ref_touched *touched =
        ref_touched_new(&stream.hw, stream.bytes, stream.count, stream.dram);
    check(&stream, touched, stream.bytes, &whole);
    cr_assert_eq(whole.clean, 1, "the tutorial's stream has a race");
    check_without_each_token(&stream, touched, true, &without);
    cr_assert(without.racing + without.refused > 0);
    fprintf(stderr, "tutorial: %u tokens: %u missed (%u races, %u refused), %u redundant\n",
            without.racing + without.refused + without.clean, without.racing + without.refused,
            without.racing, without.refused, without.clean);
    ref_touched_free(touched);
    free(stream.bytes);
    free(stream.dram);
    vta_kernel_clear(&kernel);
}

/* ---- Recorded streams ---------------------------------------------------------------------- */

struct recorded {
    struct replay_case rc;
    struct vta_board *board;
    struct stream stream;
};

static void recorded_open(struct recorded *recorded, const char *path)
{
    struct vta_board_options options;
    struct vta_error error = { 0 };
    vta_handle all;
    cr_assert_eq(replay_case_read(&recorded->rc, path, &error), 0, "%s", error.message);
    const struct replay_case *rc = &recorded->rc;
    vta_board_options_default(&options);
    options.hw = rc->hw;
    options.dram_bytes = (UINT64_C(1) << 32) - VTA_DRAM_PAGE;
    cr_assert_eq(vta_board_open(&recorded->board, &options, &error), 0, "%s", error.message);
    struct vta_dram *dram = vta_board_dram(recorded->board, &error);
    cr_assert_not_null(dram, "%s", error.message);
    cr_assert_eq(vta_dram_alloc_at(dram, VTA_DRAM_PAGE, options.dram_bytes, &all, &error), 0, "%s",
                 error.message);
    for (size_t i = 0; i < rc->in.count; i++)
        memcpy(vta_dram_base(dram) + rc->in.segments[i].address,
               rc->in.bytes + rc->in.segments[i].offset, rc->in.segments[i].nbytes);
    recorded->stream = (struct stream){ .name = rc->name,
                                        .hw = rc->hw,
                                        .bytes = rc->insns,
                                        .count = rc->insn_count,
                                        .before = rc->before,
                                        .dram = vta_dram_base(dram),
                                        .dram_begin = VTA_DRAM_PAGE,
                                        .dram_end = UINT64_C(1) << 32 };
}

static void recorded_close(struct recorded *recorded)
{
    vta_board_close(recorded->board);
    replay_case_clear(&recorded->rc);
}

/* Calls `each` for every case of a folder of $VTA_SHARED; how many there were. */
static uint32_t each_recorded(const char *folder, void (*each)(struct recorded *, void *),
                              void *context)
{
    const char *shared = getenv("VTA_SHARED"), *root = getenv("VTA_SOURCE_ROOT");
    char path[4096], fallback[4096], one[8192];
    snprintf(fallback, sizeof(fallback), "%s/../shared", root != NULL ? root : ".");
    snprintf(path, sizeof(path), "%.2000s/%s", shared != NULL ? shared : fallback, folder);
    DIR *dir = opendir(path);
    uint32_t count = 0;
    if (dir == NULL) {
        fprintf(stderr, "SKIPPED: no %s (set VTA_SHARED)\n", path);
        cr_skip_test("no %s: set VTA_SHARED to try the streams that TVM compiled", path);
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        struct recorded recorded = { 0 };
        if (entry->d_name[0] == '.')
            continue;
        snprintf(one, sizeof(one), "%s/%s", path, entry->d_name);
        recorded_open(&recorded, one);
        each(&recorded, context);
        recorded_close(&recorded);
        count++;
    }
    closedir(dir);
    return count;
}

static void expect_nothing(struct recorded *recorded, void *context)
{
    const struct vta_hazard_options options = { .strict_board = true, .list_at_most = 1 };
    struct vta_program *program = NULL;
    struct vta_hazards *hazards;
    struct vta_error error = { 0 };
    char text[VTA_HAZARD_TEXT] = "";
    (void)context;
    cr_assert_eq(verify(&recorded->stream, recorded->stream.bytes, &program, &error), 0, "%s",
                 error.message);
    cr_assert_eq(vta_hazards_find(&hazards, program, &options, &error), 0, "%s", error.message);
    if (hazards->count != 0)
        vta_hazard_print(program, &hazards->items[0], text, sizeof(text));
    cr_assert_eq(hazards->count, 0, "%s: %s", recorded->stream.name, text);
    cr_assert(hazards->complete);
    vta_hazards_free(hazards);
    vta_program_free(program);
}

Test(races, nothing_is_found_in_streams_that_run_on_boards, .timeout = 300)
{
    uint32_t count = each_recorded("golden", expect_nothing, NULL);
    count += each_recorded("board", expect_nothing, NULL);
    cr_assert(count > 0);
}

struct mutations {
    struct rng rng;
    struct verdicts verdicts;
};

/* The oracle compares all pairs: of long streams it is asked about a few tokens only. */
static void mutate(struct recorded *recorded, void *context)
{
    struct mutations *mutations = context;
    struct stream *stream = &recorded->stream;
    const bool is_long = stream->count > 1000;
    struct ref_touched *touched =
        ref_touched_new(&stream->hw, stream->bytes, stream->count, stream->dram);
    check_without_each_token(stream, touched, !is_long, &mutations->verdicts);
    check_with_flipped_bits(stream, touched, &mutations->rng, is_long ? 1 : 20,
                            &mutations->verdicts);
    ref_touched_free(touched);
}

Test(races, are_those_of_the_oracle_in_recorded_streams_without_a_token, .timeout = 600)
{
    struct mutations mutations = { .rng = rng_seeded("races of recorded streams") };
    uint32_t count = each_recorded("golden", mutate, &mutations);
    const struct verdicts *verdicts = &mutations.verdicts;
    fprintf(stderr, "recorded: %u streams, %u changes: %u races, %u refused, %u harmless\n", count,
            verdicts->racing + verdicts->refused + verdicts->clean, verdicts->racing,
            verdicts->refused, verdicts->clean);
    cr_assert(verdicts->racing > 0 && verdicts->refused > 0);
}
