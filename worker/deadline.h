/* deadline.h: stops what takes too long: sets a run's control when time is up.
 *
 * One thread that sleeps. Arming it costs no system call where it is asleep until an earlier
 * moment anyway, which between calls that follow each other it is.
 */
#ifndef VTA_WORKER_DEADLINE_H
#define VTA_WORKER_DEADLINE_H

#include "core/device.h"

struct deadline;

/* control outlives it. passed: called on the deadline's thread once control->stop is set; may be
 * NULL, must not wait. */
int deadline_new(struct deadline **deadline, uint32_t ms, struct vta_control *control,
                 void (*passed)(void *context), void *context, struct vta_error *error);
void deadline_free(struct deadline *deadline); /* NULL is allowed */

/* From now on for `ms`: then control->stop becomes VTA_EDEADLINE. NULL is allowed: nothing. */
void deadline_arm(struct deadline *deadline);
/* Ends that; control->stop is 0 again. Returns whether time was up. */
bool deadline_disarm(struct deadline *deadline);

/* The clock that deadlines go by: CLOCK_MONOTONIC in ns. */
uint64_t deadline_now(void);

/* Waits for ms, or until the deadline is over. deadline may be NULL. */
void deadline_pause(struct deadline *deadline, uint32_t ms);

#endif
