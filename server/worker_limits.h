/* worker_limits.h: how long a worker's session may go on, as a decision about times: whatever
 * happens when one is over is worker_process.c's business.
 */
#ifndef VTA_SERVER_WORKER_LIMITS_H
#define VTA_SERVER_WORKER_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;

/* All in ms. */
struct worker_times {
    uint64_t age;     /* of the session */
    uint64_t spent;   /* of the call that it is at, or without one */
    bool busy;        /* which of the two */
    bool alone;       /* the client says nothing more … */
    uint64_t left;    /* … for so long */
    uint64_t timeout; /* that the client has asked for; 0: none */
};

/* 0 where a limit has passed, which the reason names; else in how many ms one could pass, from the
 * next moment on, or UINT64_MAX: none can. */
uint64_t worker_limits_check(const struct worker_times *times, const struct config *config,
                             char *reason, size_t size);

#endif
