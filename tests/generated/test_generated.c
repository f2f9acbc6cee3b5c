/* test_generated.c: random programs on random configurations: the simulator against the plain
 * reference interpreter, and the verifier's verdicts against what the reference meets.
 */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "core/board.h"
#include "core/verify.h"
#include "tests/reference/reference.h"

#include "random_program.h"

/* Both sides of a comparison, with the same DRAM. */
struct pair {
    struct vta_hw hw;
    struct vta_board *board;
    struct vta_dram *dram;
    vta_handle all;
    struct ref_board reference;
};

static void pair_open(struct pair *pair, struct rng *rng)
{
    struct vta_error error = { 0 };
    struct vta_board_options options;
    uint8_t *bytes = malloc(RANDOM_DRAM_BYTES);

    random_hw(rng, &pair->hw);
    random_dram(rng, &pair->hw, bytes);
    vta_board_options_default(&options);
    options.hw = pair->hw;
    options.dram_bytes = UINT64_C(4) << 20;
    cr_assert_eq(vta_board_open(&pair->board, &options, &error), 0, "%s", error.message);
    pair->dram = vta_board_dram(pair->board, &error);
    cr_assert_not_null(pair->dram, "%s", error.message);
    cr_assert_eq(vta_dram_alloc_at(pair->dram, RANDOM_DRAM_BEGIN,
                                   RANDOM_DRAM_BYTES - RANDOM_DRAM_BEGIN, &pair->all, &error),
                 0, "%s", error.message);
    memcpy(vta_dram_base(pair->dram) + RANDOM_DRAM_BEGIN, bytes + RANDOM_DRAM_BEGIN,
           RANDOM_DRAM_BYTES - RANDOM_DRAM_BEGIN);
    ref_open(&pair->reference, &pair->hw, bytes, RANDOM_DRAM_BEGIN, RANDOM_DRAM_BYTES);
}

static void pair_close(struct pair *pair)
{
    vta_board_close(pair->board);
    free(pair->reference.dram);
    ref_close(&pair->reference);
}

/* Decodes and verifies for the board's present tokens; NULL with *error where it is refused. */
static struct vta_program *accept(struct pair *pair, const uint8_t *bytes, uint32_t count,
                                  uint64_t max_work, struct vta_error *error)
{
    struct vta_program *program = NULL;
    struct vta_verify_options options = { .before = vta_board_tokens(pair->board),
                                          .max_work = max_work,
                                          .reader = vta_dram_reader_fn,
                                          .context = pair->dram };
    if (vta_program_from_stream(&program, &pair->hw, bytes, count, vta_dram_reader_fn, pair->dram,
                                error) != 0)
        return NULL;
    if (vta_verify(program, &options, error) == 0)
        return program;
    vta_program_free(program);
    return NULL;
}

static void check_same(struct pair *pair, const char *name)
{
    const struct vta_tokens tokens = vta_board_tokens(pair->board);
    const struct vta_counters counters = vta_board_counters(pair->board);
    const uint64_t *want = pair->reference.tokens;
    cr_assert_eq(memcmp(vta_dram_base(pair->dram) + RANDOM_DRAM_BEGIN,
                        pair->reference.dram + RANDOM_DRAM_BEGIN,
                        RANDOM_DRAM_BYTES - RANDOM_DRAM_BEGIN),
                 0, "DRAM differs on %s", name);
    cr_assert_eq(memcmp(&counters, &pair->reference.counters, sizeof(counters)), 0,
                 "counters differ on %s", name);
    cr_assert(tokens.load_to_compute == want[0] && tokens.compute_to_load == want[1] &&
                  tokens.compute_to_store == want[2] && tokens.store_to_compute == want[3],
              "tokens differ on %s", name);
}

static void run_both(struct pair *pair, struct rng *rng, const char *name)
{
    struct vta_error error = { 0 };
    uint32_t count, index;
    uint8_t *bytes =
        random_stream(rng, &pair->hw, pair->reference.dram, vta_board_tokens(pair->board), &count);
    struct vta_program *program = accept(pair, bytes, count, 0, &error);
    cr_assert_not_null(program, "refused on %s: %s", name, error.message);
    cr_assert_eq(vta_board_run(pair->board, program, NULL, 0, NULL, NULL, &error), 0, "%s",
                 error.message);
    enum ref_outcome outcome = ref_run(&pair->reference, bytes, count, &index);
    cr_assert_eq(outcome, REF_DONE, "the reference met a %s at insn %u", ref_outcome_name(outcome),
                 index);
    check_same(pair, name);
    vta_program_free(program);
    free(bytes);
}

Test(generated, simulator_agrees_with_the_reference_on_random_programs, .timeout = 600)
{
    struct rng rng = rng_seeded("random programs");
    char name[VTA_BITSTREAM_NAME];
    const uint32_t runs = rng_runs(1000);
    for (uint32_t i = 0; i < runs; i++) {
        struct pair pair;
        pair_open(&pair, &rng);
        vta_hw_bitstream(&pair.hw, name);
        for (int k = 0; k < 3; k++) /* SRAM, tokens and counters live on between runs */
            run_both(&pair, &rng, name);
        pair_close(&pair);
    }
}

/* A refusal and what the reference meets are of one kind. */
static bool agree(int rc, enum ref_outcome outcome)
{
    return (rc == 0) == (outcome == REF_DONE);
}

Test(generated, verifier_refuses_exactly_what_goes_wrong_in_the_reference, .timeout = 600)
{
    struct rng rng = rng_seeded("mutated programs");
    const uint32_t runs = rng_runs(3000);
    uint32_t refused = 0, accepted = 0;
    for (uint32_t i = 0; i < runs; i++) {
        struct pair pair;
        struct vta_error error = { 0 };
        uint32_t count, index;
        pair_open(&pair, &rng);
        uint8_t *bytes = random_stream(&rng, &pair.hw, pair.reference.dram,
                                       vta_board_tokens(pair.board), &count);
        for (uint32_t flips = rng_between(&rng, 1, 3); flips > 0; flips--) {
            uint32_t bit = rng_between(&rng, 0, count * 128 - 1);
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        struct vta_program *program = accept(&pair, bytes, count, 20000, &error);
        bool writes_uops = program == NULL && error.code == VTA_EUOP &&
                           strstr(error.message, "stores to bytes") != NULL;
        if (error.code != VTA_EWORK && !writes_uops) {
            pair.reference.max_steps = 40000;
            enum ref_outcome outcome = ref_run(&pair.reference, bytes, count, &index);
            cr_assert(outcome == REF_TOO_LONG || agree(error.code, outcome),
                      "verifier: %s; reference: %s at insn %u",
                      program == NULL ? error.message : "accepted", ref_outcome_name(outcome),
                      index);
            refused += program == NULL;
            accepted += program != NULL;
            if (program != NULL) {
                cr_assert_eq(vta_board_run(pair.board, program, NULL, 0, NULL, NULL, &error), 0);
                check_same(&pair, "a mutated program");
            }
        }
        vta_program_free(program);
        free(bytes);
        pair_close(&pair);
    }
    cr_assert(refused > runs / 10, "only %u of %u were refused", refused, runs);
    cr_assert(accepted > runs / 10, "only %u of %u were accepted", accepted, runs);
}

Test(generated, decoding_what_was_encoded_gives_the_instruction_back)
{
    struct rng rng = rng_seeded("encode and decode");
    for (uint32_t i = 0; i < rng_runs(2000); i++) {
        struct vta_hw hw;
        struct vta_layout layout;
        struct vta_insn insn, again;
        struct vta_uop uop, uop_again;
        uint8_t bytes[VTA_INSN_BYTES], copy[VTA_INSN_BYTES];
        uint32_t word, word_again;
        random_hw(&rng, &hw);
        cr_assert_eq(vta_layout_make(&layout, &hw, NULL), 0);
        for (int k = 0; k < 16; k += 8) {
            uint64_t bits = rng_next(&rng);
            memcpy(bytes + k, &bits, sizeof(bits));
        }
        vta_insn_decode(&insn, &layout, bytes);
        cr_assert_eq(vta_insn_encode(&insn, &layout, copy, NULL), 0);
        vta_insn_decode(&again, &layout, copy);
        cr_assert_eq(memcmp(&insn, &again, sizeof(insn)), 0);

        word = (uint32_t)rng_next(&rng);
        vta_uop_decode(&uop, &layout, word);
        cr_assert_eq(vta_uop_encode(&uop, &layout, &word_again, NULL), 0);
        vta_uop_decode(&uop_again, &layout, word_again);
        cr_assert_eq(memcmp(&uop, &uop_again, sizeof(uop)), 0);
    }
}
