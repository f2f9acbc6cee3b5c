/* session.h: one TVM session from InitServer to its end: packets in, answers out; and the wire that
 * they come and go by (wire.c).
 */
#ifndef VTA_WORKER_SESSION_H
#define VTA_WORKER_SESSION_H

#include <sys/uio.h>

#include "worker.h"

/* Where bytes come from and go to; blocking. A socket is one, memory another (tests, fuzzing). */
struct wire {
    /* Up to nbytes, at least 1; 0 at the end; -1 with errno. */
    ssize_t (*read)(void *context, void *bytes, size_t nbytes);
    /* All of it, or -1 with errno. */
    int (*write)(void *context, struct iovec *pieces, int count);
    void *context;
};

struct wire wire_socket(const int *fd); /* *fd outlives it */

/* Serves until the peer shuts down or closes (0), or what it sent cannot be framed any more or the
 * wire broke (negative; *error says why, for the log). early: bytes that were read before. */
int session_run(struct worker *worker, const struct wire *wire, const void *early,
                size_t early_bytes, struct vta_error *error);

#endif
