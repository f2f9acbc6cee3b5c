/* hazard_find.h: what the finders of hazards share: the program, its ordering, and the list that
 * they add to. Private to core/hazard…c.
 */
#ifndef VTA_CORE_HAZARD_FIND_H
#define VTA_CORE_HAZARD_FIND_H

#include "hazard.h"
#include "ordering.h"

struct vta_finder {
    const struct vta_program *program;
    const struct vta_hazard_options *options;
    struct vta_ordering ordering;
    struct vta_hazards *hazards;
    uint32_t capacity;
    uint64_t budget; /* comparisons of two instructions that are still allowed */
};

/* Counts a finding, and lists it where there is room. VTA_ENOMEM. */
int vta_finder_add(struct vta_finder *finder, const struct vta_hazard *hazard,
                   struct vta_error *error);

/* The same for a race, whichever of the two instructions comes first in the program. */
int vta_finder_add_race(struct vta_finder *finder, uint32_t insn, bool writes, uint32_t other,
                        const struct vta_hazard *where, struct vta_error *error);

/* Counts steps; 0, or what control ends the search with. */
int vta_finder_step(const struct vta_finder *finder, uint64_t steps, struct vta_error *error);

/* hazard_sram.c: races in INP, WGT and OUT; entries that are read unwritten; stale OUT entries. */
int vta_find_in_sram(struct vta_finder *finder, struct vta_error *error);

/* hazard_dram.c: races in DRAM. */
int vta_find_in_dram(struct vta_finder *finder, struct vta_error *error);

/* hazard_board.c: differences that an instruction shows alone, and bounded queues. */
int vta_find_differences(struct vta_finder *finder, struct vta_error *error);

#endif
