/* session.h: one TVM session from InitServer to its end: packets in, answers out.
 */
#ifndef VTA_WORKER_SESSION_H
#define VTA_WORKER_SESSION_H

#include "wire.h"
#include "worker.h"

/* Serves until the peer shuts down or closes (0), or what it sent cannot be framed any more or the
 * wire broke (negative; *error says why, for the log). early: bytes that were read before. */
int session_run(struct worker *worker, const struct wire *wire, const void *early,
                size_t early_bytes, struct vta_error *error);

#endif
