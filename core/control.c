/* control.c: stopping, deadlines and budgets of long work (control.h). */
#include "control.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#define STEPS_PER_LOOK 4096 /* between two looks: less than a tenth of a millisecond */
#define NS_PER_MS      1000000u

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void vta_control_begin(struct vta_control *control, uint32_t deadline_ms, uint64_t budget)
{
    control->begun_ns = now_ns();
    control->budget = budget;
    control->steps = 0;
    vta_control_set_deadline(control, deadline_ms);
}

void vta_control_set_deadline(struct vta_control *control, uint32_t ms)
{
    control->deadline_ns = ms == 0 ? 0 : control->begun_ns + (uint64_t)ms * NS_PER_MS;
    control->look_at = 0;
}

int vta_control_look(const struct vta_control *control)
{
    if (control == NULL)
        return 0;
    int stop = atomic_load_explicit(&control->stop, memory_order_relaxed);
    if (stop != 0 || control->deadline_ns == 0)
        return stop;
    return now_ns() < control->deadline_ns ? 0 : VTA_EDEADLINE;
}

int vta_control_turn(struct vta_control *control)
{
    if (control->budget != 0 && control->steps > control->budget)
        return VTA_EWORK;
    control->look_at = control->steps + STEPS_PER_LOOK;
    if (control->budget != 0 && control->look_at > control->budget)
        control->look_at = control->budget + 1;
    return vta_control_look(control);
}

int vta_control_error(const struct vta_control *control, int code, struct vta_error *error,
                      const char *format, ...)
{
    char what[VTA_ERROR_TEXT / 2];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    if (code == VTA_EWORK)
        return vta_error_limit(error, code, (int64_t)control->budget, (int64_t)control->steps,
                               "%s: %" PRIu64 " steps pass the budget of %" PRIu64, what,
                               control->steps, control->budget);
    if (control->begun_ns == 0)
        return vta_error_set(error, code, "%s: %s", what, vta_error_text(code));
    const uint64_t ms = (now_ns() - control->begun_ns) / NS_PER_MS;
    if (code != VTA_EDEADLINE)
        return vta_error_set(error, code, "%s: cancelled after %" PRIu64 " ms", what, ms);
    if (control->deadline_ns == 0)
        return vta_error_set(error, code, "%s: stopped after %" PRIu64 " ms: %s", what, ms,
                             vta_error_text(code));
    const uint64_t limit = (control->deadline_ns - control->begun_ns) / NS_PER_MS;
    return vta_error_limit(
        error, code, (int64_t)limit, (int64_t)ms,
        "%s: stopped after %" PRIu64 " ms: passed its deadline of %" PRIu64 " ms", what, ms, limit);
}
