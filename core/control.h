/* control.h: what bounds a long piece of work: it can be stopped, it has a deadline, and a budget.
 *
 * Whoever works counts *steps*: some nanoseconds each, an instruction or a few SRAM entries. At
 * every count it sees whether it was stopped; what time it is, every few thousand steps, so that
 * counting costs next to nothing. Several pieces of work that a client asks for at once share one
 * control, and so one budget. NULL stands for work that nothing bounds.
 */
#ifndef VTA_CORE_CONTROL_H
#define VTA_CORE_CONTROL_H

#include <vta/error.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vta_control {
    _Atomic int stop; /* set by any thread at any time: 0, or the code that the work ends with */
    /* The rest belongs to the thread that works. */
    uint64_t begun_ns, deadline_ns; /* of CLOCK_MONOTONIC; no begin: unknown; no deadline: none */
    uint64_t budget;                /* steps that may be made; 0: any number */
    uint64_t steps;                 /* steps made */
    uint64_t look_at;               /* steps at which it looks at clock and budget again */
};

/* Begins a piece of work now. Leaves `stop` as it is, which may have been set before. */
void vta_control_begin(struct vta_control *control, uint32_t deadline_ms, uint64_t budget);

/* Ends it `ms` after its begin; 0: no deadline. */
void vta_control_set_deadline(struct vta_control *control, uint32_t ms);

/* Looks at the flag and at the clock: 0, `stop`, or VTA_EDEADLINE. control may be NULL. */
int vta_control_look(const struct vta_control *control);

/* Looks at the budget, too: as vta_control_look, or VTA_EWORK. For vta_control_step. */
int vta_control_turn(struct vta_control *control);

/* Counts steps. Returns 0 to go on, `stop`, VTA_EDEADLINE, or VTA_EWORK beyond the budget, which
 * stays. control may be NULL. */
static inline int vta_control_step(struct vta_control *control, uint64_t steps)
{
    if (control == NULL)
        return 0;
    control->steps += steps;
    bool stopped = atomic_load_explicit(&control->stop, memory_order_relaxed) != 0;
    return stopped || control->steps >= control->look_at ? vta_control_turn(control) : 0;
}

/* Fills *error for such a code: what was under way (format), how long it took, and for a deadline
 * or a budget the limit and the value. Returns code. */
int vta_control_error(const struct vta_control *control, int code, struct vta_error *error,
                      const char *format, ...) VTA_PRINTF(4, 5);

#endif
