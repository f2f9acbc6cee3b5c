/* timing_path.h: the longest chain of dependences of a replayed program, from when each of its
 * instructions did what.
 */
#ifndef VTA_CORE_TIMING_PATH_H
#define VTA_CORE_TIMING_PATH_H

#include "timing.h"

/* What the replay notes of an instruction; words as in struct vta_timing_event. */
struct vta_moments {
    uint64_t dealt, head, took, start, end, gave, left;
    uint32_t popped_prev, popped_next;
    enum vta_queue waited_for; /* VTA_QUEUE_COUNT: its tokens were there */
    uint32_t made_room;        /* dealt when this one was taken from a full command queue, or
                                  VTA_TIMING_NONE: fetch was not stalled */
};

/* Fills path (VTA_PART_COUNT entries), whose sum is the time at which the last one left. */
void vta_timing_path(uint64_t *path, const struct vta_program *program,
                     const struct vta_moments *moments);

#endif
