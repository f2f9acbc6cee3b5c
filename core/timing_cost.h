/* timing_cost.h: what each instruction of a program costs a board by itself, before units wait for
 * one another. Who waits for whom is timing.c's.
 */
#ifndef VTA_CORE_TIMING_COST_H
#define VTA_CORE_TIMING_COST_H

#include "control.h"
#include "program.h"
#include "timing_profile.h"

/* One instruction on a board that does nothing else. */
struct vta_cost {
    uint64_t cycles; /* from having its tokens to its end */
    uint64_t port;   /* of these, cycles in which the memory port carries its bytes */
    uint64_t bytes;  /* that it moves over the port */
    uint64_t rows;   /* of them, one after another */
};

/* Fills costs (program->count entries). The program is verified.
 *
 * Returns 0, VTA_ENOMEM, or what control ends it with. */
int vta_costs(struct vta_cost *costs, const struct vta_program *program,
              const struct vta_timing_profile *profile, struct vta_control *control,
              struct vta_error *error);

#endif
