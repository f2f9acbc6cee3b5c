/* wire.h: whole messages over a transport. Knows requests, answers and limits; no method.
 *
 * A *pending* request has been sent and not been answered. Nothing that a peer sends is decoded
 * before the scanner has seen it whole and within the limits, and memory grows with what has
 * arrived, never with what was announced.
 */
#ifndef VTA_CLIENT_WIRE_H
#define VTA_CLIENT_WIRE_H

#include "proto/rpc.h"
#include "transport.h"

struct vta_wire {
    struct vta_transport *transport; /* owned */
    struct vta_scan scan;
    msgpack_zone zone; /* of the last answer */
    uint8_t *buffer;   /* received bytes: [begin, end) */
    size_t capacity, begin, end;
    size_t scanned; /* bytes after begin that the scanner has taken */
};

/* Takes the transport over, also where it fails. */
int vta_wire_open(struct vta_wire *wire, struct vta_transport *transport, struct vta_error *error);
void vta_wire_close(struct vta_wire *wire);

/* head, then nbytes of blob (neither is kept): one message. */
int vta_wire_send(struct vta_wire *wire, const void *head, size_t head_bytes, const void *blob,
                  size_t nbytes, struct vta_error *error);

struct vta_pending {
    uint32_t msgid;
    const char *method;
    uint8_t *into; /* where a binary result of exactly into_bytes goes, or NULL */
    size_t into_bytes;
    bool probe; /* for the session: a ping of its own */
};

struct vta_answer {
    const struct vta_pending *pending; /* the one it answers; NULL: the peer's last words */
    bool stored;                       /* the result went to pending->into */
    struct vta_rpc_message message;    /* unless stored; valid until the next receive */
};

/* The next answer to any of the pending requests. VTA_ETIMEOUT: one may wait again, unless a
 * pending one has `into`. VTA_EPROTO, VTA_ELIMIT, VTA_EIO: the stream is lost. */
int vta_wire_receive(struct vta_wire *wire, const struct vta_pending *pending, size_t count,
                     struct vta_answer *answer, struct vta_error *error);

#endif
