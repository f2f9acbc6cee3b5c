/* wire.c: see wire.h. A large binary result does not pass through the buffer: its header is
 * recognised and the payload is received where it belongs.
 */
#include "wire.h"

#include <stdlib.h>
#include <string.h>

#define WIRE_CAPACITY ((size_t)16 << 10) /* room for a header and what follows it */

int vta_wire_open(struct vta_wire *wire, struct vta_transport *transport, struct vta_error *error)
{
    struct vta_wire_limits limits;

    memset(wire, 0, sizeof *wire);
    vta_wire_limits_default(&limits);
    vta_scan_init(&wire->scan, &limits);
    wire->buffer = malloc(WIRE_CAPACITY);
    if (wire->buffer == NULL || !msgpack_zone_init(&wire->zone, MSGPACK_ZONE_CHUNK_SIZE)) {
        free(wire->buffer);
        transport->ops->close(transport);
        return vta_error_set(error, VTA_ENOMEM, "no memory for a session");
    }
    wire->capacity = WIRE_CAPACITY;
    wire->transport = transport;
    return 0;
}

void vta_wire_close(struct vta_wire *wire)
{
    if (wire->transport == NULL)
        return;
    wire->transport->ops->close(wire->transport);
    wire->transport = NULL;
    msgpack_zone_destroy(&wire->zone);
    free(wire->buffer);
    wire->buffer = NULL;
}

int vta_wire_send(struct vta_wire *wire, const void *head, size_t head_bytes, const void *blob,
                  size_t nbytes, struct vta_error *error)
{
    struct iovec parts[2] = { { .iov_base = (void *)head, .iov_len = head_bytes },
                              { .iov_base = (void *)blob, .iov_len = nbytes } };

    return wire->transport->ops->send(wire->transport, parts, nbytes == 0 ? 1 : 2, error);
}

/* ---- Receiving ----------------------------------------------------------------------------- */

/* Makes room behind `end`: at the front first, then by doubling what has really arrived. */
static int make_room(struct vta_wire *wire, struct vta_error *error)
{
    if (wire->begin == wire->end)
        wire->begin = wire->end = 0;
    if (wire->end < wire->capacity)
        return 0;
    if (wire->begin > 0) {
        memmove(wire->buffer, wire->buffer + wire->begin, wire->end - wire->begin);
        wire->end -= wire->begin;
        wire->begin = 0;
        return 0;
    }
    uint8_t *larger = realloc(wire->buffer, wire->capacity * 2);
    if (larger == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for an answer of over %zu bytes",
                             wire->capacity);
    wire->buffer = larger;
    wire->capacity *= 2;
    return 0;
}

static int receive_more(struct vta_wire *wire, struct vta_error *error)
{
    size_t got;
    int rc = make_room(wire, error);
    if (rc != 0)
        return rc;
    struct iovec part = { wire->buffer + wire->end, wire->capacity - wire->end };
    rc = wire->transport->ops->receive(wire->transport, &part, 1, &got, error);
    if (rc == 0)
        wire->end += got;
    return rc;
}

static const struct vta_pending *find_pending(const struct vta_pending *pending, size_t count,
                                              uint32_t msgid)
{
    for (size_t i = 0; i < count; i++)
        if (pending[i].msgid == msgid)
            return &pending[i];
    return NULL;
}

/* An unsigned integer as msgpack has it, 1 to 5 bytes. Returns its size, 0 where more bytes are
 * needed to tell, -1 where it is none of these. */
static int read_uint(const uint8_t *bytes, size_t nbytes, uint32_t *value)
{
    if (nbytes == 0)
        return 0;
    if (bytes[0] < 0x80) {
        *value = bytes[0];
        return 1;
    }
    if (bytes[0] < 0xcc || bytes[0] > 0xce)
        return -1;
    size_t width = (size_t)1 << (bytes[0] - 0xcc);
    if (nbytes < 1 + width)
        return 0;
    *value = 0;
    for (size_t i = 0; i < width; i++)
        *value = *value << 8 | bytes[1 + i];
    return (int)(1 + width);
}

/* Recognises [1, msgid, nil, bin …] up to the payload. Returns as read_uint. */
static int read_binary_head(const uint8_t *bytes, size_t nbytes, uint32_t *msgid, uint32_t *length)
{
    static const uint8_t opening[2] = { 0x94, VTA_RPC_RESPONSE };

    if (nbytes < sizeof opening)
        return memcmp(bytes, opening, nbytes) == 0 ? 0 : -1;
    if (memcmp(bytes, opening, sizeof opening) != 0)
        return -1;
    int id = read_uint(bytes + 2, nbytes - 2, msgid);
    if (id <= 0)
        return id;
    size_t at = 2 + (size_t)id;
    if (nbytes < at + 2)
        return nbytes == at || bytes[at] == 0xc0 ? 0 : -1;
    uint8_t kind = bytes[at + 1]; /* bin8, bin16, bin32: as uint8, uint16, uint32, 8 lower */
    if (bytes[at] != 0xc0 || kind < 0xc4 || kind > 0xc6)
        return -1;
    size_t width = (size_t)1 << (kind - 0xc4);
    if (nbytes < at + 2 + width)
        return 0;
    *length = 0;
    for (size_t i = 0; i < width; i++)
        *length = *length << 8 | bytes[at + 2 + i];
    return (int)(at + 2 + width);
}

/* The payload: first what is in the buffer, then straight from the transport; what comes behind
 * it goes to the buffer. */
static int receive_payload(struct vta_wire *wire, uint8_t *into, size_t nbytes,
                           struct vta_error *error)
{
    size_t have = wire->end - wire->begin;
    size_t part = have < nbytes ? have : nbytes;

    memcpy(into, wire->buffer + wire->begin, part);
    wire->begin += part;
    while (part < nbytes) { /* so the buffer is empty */
        struct iovec parts[2] = { { into + part, nbytes - part },
                                  { wire->buffer, wire->capacity } };
        size_t got;
        int rc = wire->transport->ops->receive(wire->transport, parts, 2, &got, error);
        if (rc != 0)
            return rc;
        wire->begin = 0;
        wire->end = got > nbytes - part ? got - (nbytes - part) : 0;
        part += got - wire->end;
    }
    return 0;
}

/* Whether the next message is a binary for a pending request that wants it in place: 1 and it is
 * there, 0 for any other message, or an error. */
static int receive_binary(struct vta_wire *wire, const struct vta_pending *pending, size_t count,
                          struct vta_answer *answer, struct vta_error *error)
{
    uint32_t msgid, length;
    int head;

    while ((head = read_binary_head(wire->buffer + wire->begin, wire->end - wire->begin, &msgid,
                                    &length)) == 0) {
        int rc = receive_more(wire, error);
        if (rc != 0)
            return rc;
    }
    if (head < 0)
        return 0;
    answer->pending = find_pending(pending, count, msgid);
    if (answer->pending == NULL || answer->pending->into == NULL)
        return 0;
    if (length != answer->pending->into_bytes)
        return vta_error_set(error, VTA_EPROTO, "%s answered with %u bytes, %zu were asked for",
                             answer->pending->method, length, answer->pending->into_bytes);
    wire->begin += (size_t)head;
    answer->stored = true;
    int rc = receive_payload(wire, answer->pending->into, length, error);
    return rc != 0 ? rc : 1;
}

/* One whole value, scanned: [begin, begin + *nbytes). */
static int receive_value(struct vta_wire *wire, size_t *nbytes, struct vta_error *error)
{
    for (;;) {
        size_t taken = 0;
        int rc = vta_scan_feed(&wire->scan, wire->buffer + wire->begin + wire->scanned,
                               wire->end - wire->begin - wire->scanned, &taken, error);
        if (rc < 0)
            return rc;
        wire->scanned += taken;
        if (rc == 1) {
            *nbytes = wire->scanned;
            wire->scanned = 0;
            return 0;
        }
        rc = receive_more(wire, error);
        if (rc != 0)
            return rc;
    }
}

int vta_wire_receive(struct vta_wire *wire, const struct vta_pending *pending, size_t count,
                     struct vta_answer *answer, struct vta_error *error)
{
    bool in_place = false;
    size_t nbytes;
    int rc;

    memset(answer, 0, sizeof *answer);
    for (size_t i = 0; i < count; i++)
        in_place = in_place || pending[i].into != NULL;
    if (in_place && wire->scanned == 0) {
        rc = receive_binary(wire, pending, count, answer, error);
        if (rc != 0)
            return rc < 0 ? rc : 0;
    }
    rc = receive_value(wire, &nbytes, error);
    if (rc != 0)
        return rc;
    const uint8_t *bytes = wire->buffer + wire->begin;
    wire->begin += nbytes; /* the bytes stay where they are until the next receive */
    msgpack_zone_clear(&wire->zone);
    rc = vta_rpc_decode(&answer->message, bytes, nbytes, &wire->zone, error);
    if (rc != 0)
        return rc;
    if (answer->message.type != VTA_RPC_RESPONSE)
        return vta_error_set(error, VTA_EPROTO, "the peer sent a request, not an answer");
    answer->pending = find_pending(pending, count, answer->message.msgid);
    if (answer->pending == NULL && answer->message.msgid != 0)
        return vta_error_set(error, VTA_EPROTO,
                             "the peer answered request %u, which is not pending",
                             answer->message.msgid);
    return 0;
}
