/* ordering.h: which instructions of a program are ordered, whatever the units' speeds.
 *
 * One instruction *precedes* another where it has ended before the other starts, on every board:
 * because both belong to one unit, or because a chain of tokens leads from the one to the other.
 * Tokens that a run starts with come from before the run and order nothing inside it.
 *
 * Every instruction carries a vector clock: how many instructions of each unit have ended when it
 * ends. Along a unit clocks only grow. So what does not precede an instruction, nor follow it, is
 * one stretch of each other unit, which vta_concurrent_begin opens.
 */
#ifndef VTA_CORE_ORDERING_H
#define VTA_CORE_ORDERING_H

#include "program.h"

struct vta_clock {
    uint32_t ended[VTA_CORE_UNITS];
};

struct vta_ordering {
    uint32_t count[VTA_CORE_UNITS];  /* instructions of each unit */
    uint32_t *insns[VTA_CORE_UNITS]; /* their indices, in order */
    uint32_t *positions;             /* of each instruction in its unit */
    struct vta_clock *clocks;        /* one per instruction, itself included */
};

/* For a program that vta_verify accepted. VTA_ENOMEM. Release also after a failure. */
int vta_ordering_make(struct vta_ordering *ordering, const struct vta_program *program,
                      struct vta_error *error);
void vta_ordering_clear(struct vta_ordering *ordering);

/* The first position of another unit whose instruction does not precede `insn`. */
static inline uint32_t vta_concurrent_begin(const struct vta_ordering *ordering, uint32_t insn,
                                            enum vta_core_unit unit)
{
    return ordering->clocks[insn].ended[unit];
}

/* Whether the instruction at a position of another unit precedes `insn`. */
static inline bool vta_precedes(const struct vta_ordering *ordering, enum vta_core_unit unit,
                                uint32_t position, uint32_t insn)
{
    return ordering->clocks[insn].ended[unit] > position;
}

#endif
