/* uop_extent.h: the micro-op SRAM as the verifier sees it: for any range of entries, whether all
 * are loaded and the largest index each field reaches. Updates and queries cost O(n + log depth).
 */
#ifndef VTA_CORE_UOP_EXTENT_H
#define VTA_CORE_UOP_EXTENT_H

#include "isa.h"

/* The join over a range of entries. */
struct vta_uop_extent {
    struct vta_uop max; /* field by field */
    uint32_t loaded;    /* 1 where every entry of the range was loaded */
};

/* A segment tree: node 1 is the root, entry i is node depth + i. */
struct vta_uop_extents {
    uint32_t depth; /* a power of two */
    struct vta_uop_extent *nodes;
};

int vta_uop_extents_init(struct vta_uop_extents *extents, uint32_t depth, struct vta_error *error);
void vta_uop_extents_free(struct vta_uop_extents *extents);

/* Entries [begin, begin + count) are loaded from uops, or with zeros where uops is NULL.
 * The range must lie inside the depth. */
void vta_uop_extents_load(struct vta_uop_extents *extents, uint32_t begin, uint32_t count,
                          const struct vta_uop *uops);

/* The join over [begin, end), which must not be empty and lie inside the depth. */
struct vta_uop_extent vta_uop_extents_query(const struct vta_uop_extents *extents, uint32_t begin,
                                            uint32_t end);

/* The first entry of [begin, end) that was never loaded, or end. */
uint32_t vta_uop_extents_hole(const struct vta_uop_extents *extents, uint32_t begin, uint32_t end);

#endif
