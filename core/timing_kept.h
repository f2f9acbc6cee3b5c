/* timing_kept.h: the time of a program, predicted once and kept with it: it does not depend on
 * data, so that repeated runs cost nothing.
 */
#ifndef VTA_CORE_TIMING_KEPT_H
#define VTA_CORE_TIMING_KEPT_H

#include "timing.h"
#include "timing_profile.h"

/* As vta_timing_replay, from what is kept where this program was predicted by the same numbers
 * before, also for the answer that a board would hang. Any thread. */
int vta_timing_of(struct vta_timing *timing, const struct vta_program *program,
                  const struct vta_timing_profile *profile, struct vta_control *control,
                  struct vta_error *error);

/* For vta_program_free alone. NULL is allowed. */
struct vta_timing_kept;
void vta_timing_kept_free(struct vta_timing_kept *kept);

#endif
