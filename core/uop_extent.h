/* uop_extent.h: the micro-op SRAM as the verifier sees it: for any range of entries, whether all
 * are loaded and the largest index each field reaches.
 *
 * A load is one assignment of a run of the program's micro-ops, whatever its length: both loads
 * and queries cost O(log depth · log micro-ops). So a program that loads its micro-ops over and
 * over costs no more to verify than its instructions.
 */
#ifndef VTA_CORE_UOP_EXTENT_H
#define VTA_CORE_UOP_EXTENT_H

#include "isa.h"

/* The join over a range of entries. */
struct vta_uop_extent {
    struct vta_uop max; /* field by field */
    uint32_t loaded;    /* 1 where every entry of the range was loaded */
};

struct vta_uop_extents {
    /* The program's micro-ops: a segment tree of maxima; leaf i is node image_size + i. */
    struct vta_uop *image;
    uint32_t image_size;
    /* The SRAM: a segment tree whose nodes may stand for a whole run of the image. */
    struct vta_uop_node *nodes;
    uint32_t depth; /* a power of two */
};

/* uops are copied. Release with vta_uop_extents_free, also after a failure. */
int vta_uop_extents_init(struct vta_uop_extents *extents, uint32_t depth,
                         const struct vta_uop *uops, uint32_t uop_count, struct vta_error *error);
void vta_uop_extents_free(struct vta_uop_extents *extents);

#define VTA_UOP_ZEROS UINT32_MAX

/* Entries [begin, begin + count) are loaded from micro-ops `from`…, or with VTA_UOP_ZEROS as
 * padding is. The range must lie inside the depth, the run inside the micro-ops. */
void vta_uop_extents_load(struct vta_uop_extents *extents, uint32_t begin, uint32_t count,
                          uint32_t from);

/* The join over [begin, end), which must lie inside the depth. */
struct vta_uop_extent vta_uop_extents_query(const struct vta_uop_extents *extents, uint32_t begin,
                                            uint32_t end);

#endif
