/* inbound.h: bytes from a wire, buffered, so that a request that is all there takes one read.
 *
 * What was announced allocates nothing: the buffer grows as bytes arrive. Bulk goes past it,
 * straight to where it belongs.
 */
#ifndef VTA_WORKER_INBOUND_H
#define VTA_WORKER_INBOUND_H

#include <stdbool.h>
#include <stdint.h>

#include <vta/error.h>

#include "wire.h"

struct inbound {
    const struct wire *wire;
    uint8_t *bytes; /* owned */
    size_t size;
    size_t begin, end; /* what has arrived and was not taken */
};

int inbound_open(struct inbound *inbound, const struct wire *wire, const void *early,
                 size_t early_bytes, struct vta_error *error);
void inbound_close(struct inbound *inbound);

/* Waits until nbytes are there, at inbound->bytes + inbound->begin, which may move. VTA_ECLOSED,
 * VTA_EIO, VTA_ENOMEM. */
int inbound_need(struct inbound *inbound, size_t nbytes, struct vta_error *error);
/* What inbound_need waited for has been worked on. */
void inbound_take(struct inbound *inbound, size_t nbytes);
/* Receives nbytes and forgets them. */
int inbound_skip(struct inbound *inbound, uint64_t nbytes, struct vta_error *error);
/* Receives nbytes into memory. */
int inbound_receive(struct inbound *inbound, uint8_t *to, uint64_t nbytes, struct vta_error *error);

static inline bool inbound_empty(const struct inbound *inbound)
{
    return inbound->begin == inbound->end;
}

#endif
