/* requests.h: a session's state and what serves its packets. Private to the session:
 *
 * session.c     frames packets, sends answers
 * requests.c    InitServer, CallFunc, and the system calls
 * copy.c        bulk to and from memory
 */
#ifndef VTA_WORKER_REQUESTS_H
#define VTA_WORKER_REQUESTS_H

#include "inbound.h"
#include "values.h"

struct session {
    struct worker *worker;
    const struct wire *wire;
    struct inbound inbound;
    struct objects objects;
    bool ready; /* InitServer has been here */
    struct tvm_item items[TVM_ITEMS_MAX];
    struct values values;
};

/* What goes back: a return of these items. */
struct answer {
    struct tvm_item items[3];
    uint32_t count;
    struct result result; /* what the items point into */
};

/* One request that has arrived whole: 0 with *answer, or the exception in *error. */
int request_serve(struct session *session, uint32_t code, struct tvm_reader *body,
                  struct answer *answer, struct vta_error *error);

/* "CallFunc"; NULL for a code that is no request. */
const char *request_name(uint32_t code);

/* VTA_ESTATE before InitServer, VTA_EPROTO for what is no request. */
int request_allowed(const struct session *session, uint32_t code, struct vta_error *error);

/* CopyToRemote, of which only length and code have been taken; body_bytes are left. Returns 0 with
 * *refused telling whether *error is an exception to send, or negative: the wire broke. */
int copy_to_remote(struct session *session, uint64_t body_bytes, bool *refused,
                   struct vta_error *error);

/* CopyFromRemote: where the bytes are, or the exception. */
int copy_from_remote(struct session *session, struct tvm_reader *body, uint8_t **bytes,
                     uint64_t *nbytes, struct vta_error *error);

/* Copies one tensor's memory to another's, which has as many bytes (VTA_ESIZE). */
int copy_among_remote(struct session *session, const struct tvm_wire_tensor *from,
                      const struct tvm_wire_tensor *to, struct vta_error *error);

#endif
