/* tune.h: fits a timing profile to programs that a board was timed with.
 *
 * What the hardware's documents say (clock, width of the port, size of the cache) is taken from the
 * profile as it comes; the other numbers are fitted, each held near what such a board has unless
 * the cases say otherwise.
 */
#ifndef VTA_COMPILER_TUNE_H
#define VTA_COMPILER_TUNE_H

#include "core/timing.h"
#include "core/timing_profile.h"

struct vta_tune_case {
    const struct vta_program *program; /* verified; not owned */
    double measured_s;
};

/* Fits *profile to the cases; `without` is the index of one that does not count, or SIZE_MAX.
 * Numbers are rounded to three digits, so that a profile can be written down. The same cases give
 * the same numbers. VTA_EINVAL where no case counts, or an error of vta_timing_replay. */
int vta_tune(struct vta_timing_profile *profile, const struct vta_tune_case *cases, size_t count,
             size_t without, struct vta_error *error);

#endif
