/* awake.h: whether to look for more instead of sleeping, for a moment after an answer.
 *
 * A client that asks one thing after the other sends its next request some microseconds after an
 * answer. To wake a thread on a processor that has gone to sleep takes longer than that
 * (docs/PERFORMANCE.md). It is better asleep where somebody has a use for the processor: where the
 * client runs on the same one (or may, as one of a Unix socket), and for a while after it was seen
 * that another program had it.
 */
#ifndef VTA_WORKER_AWAKE_H
#define VTA_WORKER_AWAKE_H

#include <stdbool.h>
#include <stdint.h>

/* Times of CLOCK_MONOTONIC in ns; all zero at first. */
struct awake {
    uint64_t seen;      /* of the last answer, or look for more */
    uint64_t until;     /* when the moment ends */
    uint64_t not_until; /* when another may begin */
};

/* A client is to be waited for on this socket. Whether to look for its bytes, for so long. */
bool awake_begin(struct awake *awake, uint64_t us, int socket);
/* Nothing has come. Whether to look once more. */
bool awake_still(struct awake *awake);

#endif
