/* transport.h: bytes in, bytes out, back-pressure, close. TCP and Unix sockets are one kind
 * (stream.h); whoever speaks a protocol sees only this, so that another kind, as one that encrypts,
 * fits underneath.
 *
 * Everything happens on the loop's thread. Events come from the loop, except that none comes from
 * inside transport_write.
 */
#ifndef VTA_SERVER_TRANSPORT_H
#define VTA_SERVER_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct transport;

/* What a transport tells its owner. */
struct transport_events {
    /* Where do the next bytes go? *nbytes 0: no memory, the transport fails. */
    void (*room)(void *owner, uint8_t **bytes, size_t *nbytes);
    /* That many bytes are there now; also 0, where none came after all. */
    void (*arrived)(void *owner, size_t nbytes);
    /* Everything that was written is out. */
    void (*drained)(void *owner);
    /* The peer has closed its side (reason NULL), or the transport failed. Once. The owner closes
     * it; nothing but `closed` comes after that. */
    void (*ended)(void *owner, const char *reason);
    /* The transport is gone. */
    void (*closed)(void *owner);
};

struct transport_ops {
    void (*read)(struct transport *transport, bool on);
    int (*write)(struct transport *transport, const void *head, size_t head_bytes, const void *bulk,
                 size_t bulk_bytes);
    size_t (*unsent)(const struct transport *transport);
    int (*descriptor)(const struct transport *transport);
    void (*finish)(struct transport *transport);
    void (*close)(struct transport *transport);
};

struct transport {
    const struct transport_ops *ops;
    const struct transport_events *events;
    void *owner;
    char peer[160];          /* for the log */
    uint64_t received, sent; /* bytes; sent counts what is queued, too */
};

/* Starts or stops reading. While it is stopped, `ended` still comes when the peer goes away. */
static inline void transport_read(struct transport *transport, bool on)
{
    transport->ops->read(transport, on);
}

/* Writes two pieces, of which either may be empty. Returns 0: both were taken; 1: head was taken,
 * and bulk is read from where it is until `drained`; or a negative libuv code. */
static inline int transport_write(struct transport *transport, const void *head, size_t head_bytes,
                                  const void *bulk, size_t bulk_bytes)
{
    return transport->ops->write(transport, head, head_bytes, bulk, bulk_bytes);
}

/* Bytes that were written and are not out yet. */
static inline size_t transport_unsent(const struct transport *transport)
{
    return transport->ops->unsent(transport);
}

/* The socket, for another process to take over; it stays the transport's. */
static inline int transport_descriptor(const struct transport *transport)
{
    return transport->ops->descriptor(transport);
}

/* Tells the peer, after what was written, that no more comes. */
static inline void transport_finish(struct transport *transport)
{
    transport->ops->finish(transport);
}

/* Drops what is unsent and ends; `closed` follows from the loop. */
static inline void transport_close(struct transport *transport)
{
    transport->ops->close(transport);
}

#endif
