/* inbound.c: the buffer between a wire and the packets that come over it. */
#include "inbound.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_BYTES ((size_t)64 << 10)

int inbound_open(struct inbound *inbound, const struct wire *wire, const void *early,
                 size_t early_bytes, struct vta_error *error)
{
    size_t size = early_bytes > BUFFER_BYTES ? early_bytes : BUFFER_BYTES;
    *inbound = (struct inbound){ .wire = wire, .size = size, .end = early_bytes };
    inbound->bytes = malloc(size);
    if (inbound->bytes == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a buffer of %zu bytes", size);
    if (early_bytes > 0)
        memcpy(inbound->bytes, early, early_bytes);
    return 0;
}

void inbound_close(struct inbound *inbound)
{
    free(inbound->bytes);
    inbound->bytes = NULL;
}

/* One read from the wire; *got is at least 1. */
static int read_some(struct inbound *inbound, uint8_t *to, size_t nbytes, size_t *got,
                     struct vta_error *error)
{
    ssize_t n = inbound->wire->read(inbound->wire->context, to, nbytes);
    if (n > 0) {
        *got = (size_t)n;
        return 0;
    }
    if (n == 0)
        return vta_error_set(error, VTA_ECLOSED, "the client closed the connection");
    return vta_error_set(error, VTA_EIO, "receiving: %s", strerror(errno));
}

/* Room for nbytes from begin on; doubles, so that memory follows what has arrived. */
static int make_room(struct inbound *inbound, size_t nbytes, struct vta_error *error)
{
    size_t have = inbound->end - inbound->begin;
    if (inbound->begin > 0 && inbound->size - inbound->begin < nbytes) {
        memmove(inbound->bytes, inbound->bytes + inbound->begin, have);
        inbound->begin = 0;
        inbound->end = have;
    }
    if (inbound->end < inbound->size)
        return 0;
    size_t size = inbound->size * 2;
    uint8_t *bytes = realloc(inbound->bytes, size);
    if (bytes == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a packet's first %zu bytes", size);
    inbound->bytes = bytes;
    inbound->size = size;
    return 0;
}

int inbound_need(struct inbound *inbound, size_t nbytes, struct vta_error *error)
{
    while (inbound->end - inbound->begin < nbytes) {
        size_t got;
        int rc = make_room(inbound, nbytes, error);
        if (rc == 0)
            rc = read_some(inbound, inbound->bytes + inbound->end, inbound->size - inbound->end,
                           &got, error);
        if (rc != 0)
            return rc;
        inbound->end += got;
    }
    return 0;
}

/* A buffer that a large packet needed goes with it. */
static void shrink(struct inbound *inbound)
{
    if (inbound->size <= 16 * BUFFER_BYTES)
        return;
    uint8_t *bytes = realloc(inbound->bytes, BUFFER_BYTES);
    if (bytes == NULL)
        return;
    inbound->bytes = bytes;
    inbound->size = BUFFER_BYTES;
}

void inbound_take(struct inbound *inbound, size_t nbytes)
{
    inbound->begin += nbytes;
    if (inbound->begin < inbound->end)
        return;
    inbound->begin = inbound->end = 0;
    shrink(inbound);
}

/* What has arrived already, at most nbytes. */
static size_t arrived(const struct inbound *inbound, uint64_t nbytes)
{
    size_t have = inbound->end - inbound->begin;
    return nbytes < have ? (size_t)nbytes : have;
}

int inbound_skip(struct inbound *inbound, uint64_t nbytes, struct vta_error *error)
{
    for (;;) {
        size_t have = arrived(inbound, nbytes);
        inbound_take(inbound, have);
        nbytes -= have;
        if (nbytes == 0)
            return 0;
        int rc = inbound_need(inbound, 1, error);
        if (rc != 0)
            return rc;
    }
}

int inbound_receive(struct inbound *inbound, uint8_t *to, uint64_t nbytes, struct vta_error *error)
{
    size_t have = arrived(inbound, nbytes);
    if (have > 0)
        memcpy(to, inbound->bytes + inbound->begin, have);
    inbound_take(inbound, have);
    for (uint64_t at = have; at < nbytes;) {
        size_t got;
        int rc = read_some(inbound, to + at, (size_t)(nbytes - at), &got, error);
        if (rc != 0)
            return rc;
        at += got;
    }
    return 0;
}
