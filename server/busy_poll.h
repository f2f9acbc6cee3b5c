/* busy_poll.h: asking for more instead of sleeping, for a moment after an answer.
 *
 * A client that asks one thing after the other sends its next request some microseconds after an
 * answer. To wake a thread on a processor that has gone to sleep takes longer than that
 * (docs/PERFORMANCE.md), so that the loop stays awake for busy_poll_us. It sleeps where somebody
 * has a use for the processor: while calls are at work, where the client runs on the same one, and
 * for a while after it was seen that another program had it.
 */
#ifndef VTA_SERVER_BUSY_POLL_H
#define VTA_SERVER_BUSY_POLL_H

#include <uv.h>

struct busy_poll {
    uv_idle_t idle;     /* active: the loop does not sleep */
    uint64_t seen_ns;   /* uv_hrtime of the last answer, or look for more */
    uint64_t until_ns;  /* when it ends */
    uint64_t not_until; /* when it may begin again */
};

/* Does not keep the loop alive. */
void busy_poll_open(struct busy_poll *poll, uv_loop_t *loop);
/* Something was answered on a socket: stays awake for so long from now. 0: not at all. */
void busy_poll_for(struct busy_poll *poll, uint64_t us, int socket);
/* A call has begun, which wants the processor. May be called again. */
void busy_poll_stop(struct busy_poll *poll);
void busy_poll_close(struct busy_poll *poll); /* may be called again */

#endif
