/* uop_extent.h: the micro-op SRAM as the verifier sees it: for any range of entries, whether all
 * are loaded and the largest index each field reaches.
 *
 * A LOAD is one assignment, whatever its length and however many rows it has: both loads and
 * queries cost O(log depth · log micro-ops). So a program that loads its micro-ops over and over
 * costs no more to verify than its instructions.
 *
 * Of rows that are apart in DRAM a query knows a bound first: the largest index among all
 * micro-ops from the first row to the last, those between rows too. Only if the bound does not do
 * are the entries told apart, once per load.
 */
#ifndef VTA_CORE_UOP_EXTENT_H
#define VTA_CORE_UOP_EXTENT_H

#include "program.h"

/* The join over a range of entries. */
struct vta_uop_extent {
    struct vta_uop max; /* field by field; no entry reaches more */
    bool loaded;        /* every entry of the range was loaded */
    bool exact;         /* some entry reaches max, for each field */
};

struct vta_uop_extents {
    const struct vta_program *program;
    struct vta_uop *image; /* its micro-ops: a segment tree of maxima; leaf i is uop_count + i */
    struct vta_uop_node *nodes; /* the SRAM: a segment tree, whose nodes may stand for a load */
    uint32_t depth;             /* a power of two */
    uint64_t steps;             /* nodes visited, of both trees */
};

/* The program stays the caller's. Release with vta_uop_extents_free, also after a failure. */
int vta_uop_extents_init(struct vta_uop_extents *extents, const struct vta_program *program,
                         struct vta_error *error);
void vta_uop_extents_free(struct vta_uop_extents *extents);

/* A LOAD UOP of the program that is no no-op and leaves neither SRAM nor micro-ops. */
void vta_uop_extents_load(struct vta_uop_extents *extents, uint32_t insn);

/* The join over [begin, end), which must lie inside the depth. */
struct vta_uop_extent vta_uop_extents_query(struct vta_uop_extents *extents, uint32_t begin,
                                            uint32_t end);

/* Makes the join over [begin, end) exact. Costs as much as there are entries, those excepted that
 * were told apart before. */
void vta_uop_extents_tell_apart(struct vta_uop_extents *extents, uint32_t begin, uint32_t end);

#endif
