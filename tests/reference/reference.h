/* reference.h: a deliberately plain VTA: what the simulator and the verifier are held against.
 *
 * It shares no code with core/ but the configuration's sizes. SRAM keeps the packed bytes that
 * DRAM has; every number is fetched bit by bit; every index is checked when it is used. Slow.
 */
#ifndef VTA_TESTS_REFERENCE_H
#define VTA_TESTS_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vta/hw.h>

enum ref_outcome {
    REF_DONE,
    REF_BAD_OPCODE,
    REF_BAD_SRAM,
    REF_BAD_DRAM,
    REF_BAD_UOP,
    REF_DEADLOCK,
    REF_BAD_FINISH,
    REF_TOO_LONG /* more than max_steps tile operations: undecided */
};

const char *ref_outcome_name(enum ref_outcome outcome);

struct ref_board {
    struct vta_hw hw;
    uint8_t *dram; /* the caller's; [dram_begin, dram_end) is valid */
    uint64_t dram_begin, dram_end;
    uint64_t max_steps;
    uint64_t tokens[4]; /* load→compute, compute→load, compute→store, store→compute */
    struct vta_counters counters;

    /* The reference's own. */
    uint8_t *sram[4]; /* packed bytes, by memory id */
    bool *uop_loaded;
    uint64_t steps;
    uint64_t stores_done, stores_total;
    uint64_t stores_known;  /* how many of them compute has heard of */
    uint64_t *store_tokens; /* stores done when each store→compute token was pushed */
    size_t store_pushed, store_popped;
};

/* Powers a board up. Nothing is kept of *hw. */
void ref_open(struct ref_board *board, const struct vta_hw *hw, uint8_t *dram, uint64_t dram_begin,
              uint64_t dram_end);
void ref_close(struct ref_board *board);

/* Runs a stream: of the instructions whose tokens are there, the first in the program goes next.
 * *index is the instruction that was at fault. */
enum ref_outcome ref_run(struct ref_board *board, const uint8_t *insns, uint32_t count,
                         uint32_t *index);

#endif
