/* races.h: the plain oracle for hazards: every step of every instruction writes down what it
 * touches, every pair of instructions is compared, and order is an explicit table of which
 * instruction precedes which. Slow; shares nothing with core/ but the configuration's sizes.
 */
#ifndef VTA_TESTS_RACES_H
#define VTA_TESTS_RACES_H

#include "reference.h"

/* What each instruction of a stream touches: independent of its token bits. */
struct ref_touched;

/* The instructions' operands must be in range (a stream that the verifier accepts but for its
 * tokens). dram: what its micro-ops are read from, by
 * absolute address. */
struct ref_touched *ref_touched_new(const struct vta_hw *hw, const uint8_t *insns, uint32_t count,
                                    const uint8_t *dram);
void ref_touched_free(struct ref_touched *touched);

#define REF_DRAM 6u

/* Two instructions that race, or (second == UINT32_MAX) one that reads what nothing has written. */
struct ref_race {
    uint32_t first, second;
    unsigned memory;            /* memory id, or REF_DRAM */
    uint64_t begin, end, count; /* entries or bytes: first, one past the last, how many */
};

struct ref_races {
    enum ref_outcome
        outcome;            /* REF_DONE, REF_DEADLOCK or REF_BAD_FINISH; only the first has races */
    struct ref_race *items; /* released with free() */
    size_t count;
};

/* insns: the same stream as that of `touched`, with any token bits. tokens: in the four queues
 * before it, in the order of struct ref_board. */
struct ref_races ref_races_find(const struct ref_touched *touched, const uint8_t *insns,
                                const uint64_t tokens[4]);

#endif
