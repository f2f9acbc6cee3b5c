/* transport.h: bytes to a service and back. Two kinds: a socket (remote.c), and a service in this
 * process that is fed the very same bytes (local.c). Everything above speaks messages (wire.h) and
 * does not know which it has; so both give the same answers and the same errors.
 */
#ifndef VTA_CLIENT_TRANSPORT_H
#define VTA_CLIENT_TRANSPORT_H

#include <stddef.h>
#include <sys/uio.h>

#include <vta/error.h>
#include <vta/hw.h>

struct vta_transport {
    const struct vta_transport_ops *ops;
    unsigned window; /* requests that may be under way at once */
};

struct vta_transport_ops {
    /* Sends every byte of the parts, which together are one message. The parts are used up.
     * VTA_EIO, VTA_ETIMEOUT: the stream is lost. */
    int (*send)(struct vta_transport *transport, struct iovec *parts, size_t count,
                struct vta_error *error);
    /* Waits for at least one byte and fills the parts in order; *got is how many came.
     * VTA_ETIMEOUT where none came in time (one may wait again), VTA_EIO. */
    int (*receive)(struct vta_transport *transport, struct iovec *parts, size_t count, size_t *got,
                   struct vta_error *error);
    void (*close)(struct vta_transport *transport);
};

/* host is a name, an address (IPv6 with or without brackets) or "unix:PATH"; port 1…65535.
 * timeout_ms bounds connecting and each later wait; 0: none. */
int vta_remote_open(struct vta_transport **transport, const char *host, int port,
                    unsigned timeout_ms, struct vta_error *error);

/* hw NULL: the default. */
int vta_local_open(struct vta_transport **transport, const struct vta_hw *hw,
                   struct vta_error *error);

#endif
