/* worker_limits.c: the client's absence, its own time-out, a call's deadline, idleness.
 */
#include "worker_limits.h"

#include <stdio.h>

#include "config.h"

/* An emulated call ends itself at the limit, and its session goes on; this is what it may be late.
 */
#define LATE_MS 500u

static uint64_t call_limit(const struct config *config)
{
    return config->tvm_call_deadline_ms != 0 ? config->tvm_call_deadline_ms + LATE_MS : 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* A worker that waits now may be busy from the next moment on, and the other way round, so that the
 * limit of what it does not do is a whole one from now. */
static uint64_t next_look(const struct worker_times *times, const struct config *config)
{
    uint64_t call = call_limit(config), idle = config->idle_timeout_s * 1000;
    uint64_t next = UINT64_MAX;
    if (times->alone)
        next = config->grace_ms - times->left;
    if (times->timeout != 0)
        next = least(next, times->timeout - times->age);
    if (call != 0)
        next = least(next, times->busy ? call - times->spent : call);
    if (idle != 0)
        next = least(next, times->busy ? idle : idle - times->spent);
    return next;
}

uint64_t worker_limits_check(const struct worker_times *times, const struct config *config,
                             char *reason, size_t size)
{
    unsigned long long call = call_limit(config), idle = config->idle_timeout_s * 1000;
    unsigned long long spent = times->spent;
    if (times->alone && times->left >= config->grace_ms)
        snprintf(reason, size, "the client closed, and a call went on for %llu ms more",
                 (unsigned long long)times->left);
    else if (times->timeout != 0 && times->age >= times->timeout)
        snprintf(reason, size, "the client's own -timeout of %.3f s has passed",
                 (double)times->timeout / 1000);
    else if (times->busy && call != 0 && spent >= call)
        snprintf(reason, size, "a call took %llu ms, the limit is %llu (tvm_call_deadline_ms)",
                 spent, (unsigned long long)config->tvm_call_deadline_ms);
    else if (!times->busy && idle != 0 && spent >= idle)
        snprintf(reason, size, "the session was idle for %llu s, the limit is %llu s", spent / 1000,
                 idle / 1000);
    else
        return next_look(times, config);
    return 0;
}
