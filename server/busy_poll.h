/* busy_poll.h: the loop, awake for a moment after an answer (worker/awake.h). It sleeps while calls
 * are at work, which have a use for the processors.
 */
#ifndef VTA_SERVER_BUSY_POLL_H
#define VTA_SERVER_BUSY_POLL_H

#include <uv.h>

#include "worker/awake.h"

struct busy_poll {
    uv_idle_t idle; /* active: the loop does not sleep */
    struct awake awake;
};

/* Does not keep the loop alive. */
void busy_poll_open(struct busy_poll *poll, uv_loop_t *loop);
/* Something was answered on a socket: stays awake for so long from now, or sleeps. */
void busy_poll_for(struct busy_poll *poll, uint64_t us, int socket);
/* A call has begun. May be called again. */
void busy_poll_stop(struct busy_poll *poll);
void busy_poll_close(struct busy_poll *poll); /* may be called again */

#endif
