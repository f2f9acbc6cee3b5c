/* tune.h: fits timing profiles to programs that a board was timed with.
 *
 * Cases of several hardware builds of one board are fitted together: what belongs to the board
 * (memory, the host, what starts an instruction) is one number for all of them, what belongs to a
 * build (its GEMM loop, its ALU) one for each. What the hardware's documents say (clock, width of
 * the port, size of the cache) is taken from the profiles as they come.
 */
#ifndef VTA_COMPILER_TUNE_H
#define VTA_COMPILER_TUNE_H

#include "core/timing.h"
#include "core/timing_profile.h"

struct vta_tune_case {
    const struct vta_program *program; /* verified; not owned */
    double measured_s;
    size_t build; /* index of its profile */
};

/* At most this many builds at once. */
#define VTA_TUNE_BUILDS 8

/* Fits the profiles (`builds` of them) to the cases; `without` is the index of a case that does not
 * count, or SIZE_MAX. Numbers are rounded to three digits, so that a profile can be written down.
 * quick starts from the profiles as they are and searches nearby. The same input gives the same
 * result. VTA_EINVAL without cases, or an error of vta_timing_replay. */
int vta_tune(struct vta_timing_profile *profiles, size_t builds, const struct vta_tune_case *cases,
             size_t count, size_t without, bool quick, struct vta_error *error);

#endif
