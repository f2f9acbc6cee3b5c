/* marks.h: sets of SRAM entries: one bit for each entry of WGT, INP, ACC and OUT. */
#ifndef VTA_CORE_MARKS_H
#define VTA_CORE_MARKS_H

#include <vta/hw.h>

#include <stdbool.h>

/* Entries [begin, end) of a memory. */
struct vta_run {
    uint32_t begin, end;
};

/* What is said about a set of entries (or of bytes): the first, one past the last, how many. */
struct vta_extent {
    uint64_t begin, end, count; /* count 0: empty, and the others mean nothing */
};

struct vta_marks {
    uint32_t depth[VTA_MEM_OUT + 1]; /* by memory id; that of UOP is 0 */
    uint64_t *bits[VTA_MEM_OUT + 1];
};

/* An empty set. VTA_ENOMEM. Release with vta_marks_clear, which also a zeroed struct allows. */
int vta_marks_init(struct vta_marks *marks, const struct vta_hw *hw, struct vta_error *error);
void vta_marks_clear(struct vta_marks *marks);

/* Adds or takes out a run that lies inside the memory. */
void vta_marks_add(struct vta_marks *marks, enum vta_memory memory, struct vta_run run);
void vta_marks_take(struct vta_marks *marks, enum vta_memory memory, struct vta_run run);

/* Adds those entries of a run that `known` does not have. */
void vta_marks_add_missing(struct vta_marks *marks, enum vta_memory memory, struct vta_run run,
                           const struct vta_marks *known);

/* Adds to *extent the entries of a run that are in the set (or, with `missing`, that are not). */
void vta_marks_find(const struct vta_marks *marks, enum vta_memory memory, struct vta_run run,
                    bool missing, struct vta_extent *extent);

/* Adds to *extent the entries of a run that are in one set and not in the other. */
void vta_marks_find_only(const struct vta_marks *marks, const struct vta_marks *other,
                         enum vta_memory memory, struct vta_run run, struct vta_extent *extent);

/* Everything that is in `other`, which has the same depths, is in *marks too. */
void vta_marks_join(struct vta_marks *marks, const struct vta_marks *other);

/* Takes [begin, end), which it does not have yet, into an extent. */
void vta_extent_add(struct vta_extent *extent, uint64_t begin, uint64_t end);

#endif
