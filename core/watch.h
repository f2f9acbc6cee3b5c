/* watch.h: what a board says about the programs that run on it: hazards, by a policy.
 *
 * Knows which SRAM entries something has written since the board was opened, so that a program
 * that reads what an earlier one left is not warned of.
 */
#ifndef VTA_CORE_WATCH_H
#define VTA_CORE_WATCH_H

#include "hazard.h"

struct vta_watch_options {
    enum vta_hazard_policy policy;
    bool strict_board;
    /* Takes warnings, a line at a time without its newline. NULL: nobody listens, and with the
     * policy `warn` nobody looks. */
    void (*report)(void *context, const char *line);
    void *context;
};

struct vta_watch {
    struct vta_watch_options options;
    struct vta_marks written; /* empty until the first program ran */
    bool unknown;             /* a program ran that nobody looked at: everything may be written */
};

/* What to look for in raw streams, or NULL where nobody would hear of it. */
const struct vta_hazard_options *vta_watch_looks_for(const struct vta_watch *watch);

/* Before a stream's program runs. `first`: it was not seen before, so its races are told, and that
 * there may be more where not everything was compared. What it reads and nothing has written is
 * told once. VTA_EHAZARD where the policy is to fail. */
int vta_watch_before(struct vta_watch *watch, const struct vta_program *program, bool first,
                     struct vta_error *error);

/* After any program ran. */
void vta_watch_after(struct vta_watch *watch, const struct vta_program *program);

/* The board is as after power-up. Also releases what the watch holds. */
void vta_watch_reset(struct vta_watch *watch);

#endif
