/* remote.c: the transport to a daemon: a blocking TCP or Unix socket.
 *
 * Waits are bounded by the socket's own timeouts, so that a call costs one write and one read.
 * No message is known here, and no signal is raised or lost.
 */
#include "transport.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define REMOTE_WINDOW 8

struct remote {
    struct vta_transport transport;
    int fd;
    unsigned timeout_ms; /* 0: none */
};

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Waits for events until start + timeout_ms, whatever signals arrive. 0, VTA_ETIMEOUT, VTA_EIO. */
static int wait_for(int fd, short events, uint64_t start, unsigned timeout_ms)
{
    struct pollfd poller = { .fd = fd, .events = events };

    for (;;) {
        int wait = -1;
        if (timeout_ms != 0) {
            uint64_t passed = now_ms() - start;
            uint64_t left = passed >= timeout_ms ? 0 : timeout_ms - passed;
            wait = left > INT_MAX ? INT_MAX : (int)left;
        }
        int ready = poll(&poller, 1, wait);
        if (ready > 0)
            return 0;
        if (ready == 0)
            return VTA_ETIMEOUT;
        if (errno != EINTR)
            return VTA_EIO;
    }
}

/* Drops `sent` bytes from the front of the parts; returns whether any are left. */
static bool advance(struct iovec **parts, size_t *count, size_t sent)
{
    while (*count > 0 && sent >= (*parts)->iov_len) {
        sent -= (*parts)->iov_len;
        (*parts)++;
        (*count)--;
    }
    if (*count == 0)
        return false;
    (*parts)->iov_base = (char *)(*parts)->iov_base + sent;
    (*parts)->iov_len -= sent;
    return true;
}

static int remote_send(struct vta_transport *transport, struct iovec *parts, size_t count,
                       struct vta_error *error)
{
    struct remote *remote = (struct remote *)transport;
    uint64_t start = now_ms();

    for (;;) {
        struct msghdr message = { .msg_iov = parts, .msg_iovlen = count };
        ssize_t sent = sendmsg(remote->fd, &message, MSG_NOSIGNAL);
        if (sent >= 0) {
            if (!advance(&parts, &count, (size_t)sent))
                return 0;
            start = now_ms();
        } else if (errno == EINTR) {
            int rc = wait_for(remote->fd, POLLOUT, start, remote->timeout_ms);
            if (rc == VTA_ETIMEOUT)
                errno = EAGAIN;
            if (rc != 0)
                break;
        } else {
            break;
        }
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return vta_error_set(error, VTA_ETIMEOUT, "the peer took no bytes for %u ms",
                             remote->timeout_ms);
    return vta_error_set(error, VTA_EIO, "sending failed: %s", strerror(errno));
}

static int remote_receive(struct vta_transport *transport, struct iovec *parts, size_t count,
                          size_t *got, struct vta_error *error)
{
    struct remote *remote = (struct remote *)transport;
    uint64_t start = now_ms();

    for (;;) {
        struct msghdr message = { .msg_iov = parts, .msg_iovlen = count };
        ssize_t received = recvmsg(remote->fd, &message, 0);
        if (received > 0) {
            *got = (size_t)received;
            return 0;
        }
        if (received == 0)
            return vta_error_set(error, VTA_EIO, "the peer closed the connection");
        if (errno != EINTR)
            break;
        int rc = wait_for(remote->fd, POLLIN, start, remote->timeout_ms);
        if (rc == VTA_ETIMEOUT)
            errno = EAGAIN;
        if (rc != 0)
            break;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return vta_error_set(error, VTA_ETIMEOUT, "no answer within %u ms", remote->timeout_ms);
    return vta_error_set(error, VTA_EIO, "receiving failed: %s", strerror(errno));
}

static void remote_close(struct vta_transport *transport)
{
    struct remote *remote = (struct remote *)transport;

    close(remote->fd);
    free(remote);
}

static const struct vta_transport_ops remote_ops = { remote_send, remote_receive, remote_close };

/* ---- Connecting ---------------------------------------------------------------------------- */

/* Connects one socket within what is left of the time. Returns the socket, or -1 with errno. */
static int connect_one(const struct sockaddr *address, socklen_t length, uint64_t start,
                       unsigned timeout_ms)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;

    int failure = 0;
    if (connect(fd, address, length) != 0)
        failure = errno;
    if (failure == EINPROGRESS || failure == EINTR) {
        socklen_t size = sizeof failure;
        int rc = wait_for(fd, POLLOUT, start, timeout_ms);
        if (rc == VTA_ETIMEOUT)
            failure = ETIMEDOUT;
        else if (rc != 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0)
            failure = errno;
    }
    if (failure == 0)
        return fd;
    close(fd);
    errno = failure;
    return -1;
}

/* From now on blocking, with the session's timeout on each wait. */
static int settle(int fd, int family, unsigned timeout_ms)
{
    struct timeval timeout = { .tv_sec = timeout_ms / 1000,
                               .tv_usec = (suseconds_t)(timeout_ms % 1000) * 1000 };
    int on = 1;
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) != 0)
        return -1;
    if (family == AF_UNIX)
        return 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on); /* a courtesy */
    return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static int connect_unix(const char *path, unsigned timeout_ms, int *family, struct vta_error *error)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    size_t length = strlen(path);

    *family = AF_UNIX;
    if (length == 0 || length >= sizeof address.sun_path)
        return vta_error_limit(error, VTA_EINVAL, sizeof address.sun_path - 1, (int64_t)length,
                               "a Unix socket's path has 1 to %zu bytes, this one has %zu",
                               sizeof address.sun_path - 1, length);
    memcpy(address.sun_path, path, length + 1);
    int fd = connect_one((const struct sockaddr *)&address, sizeof address, now_ms(), timeout_ms);
    if (fd < 0)
        return vta_error_set(error, errno == ETIMEDOUT || errno == EAGAIN ? VTA_ETIMEOUT : VTA_EIO,
                             "cannot connect: %s", strerror(errno));
    return fd;
}

static int connect_tcp(const char *host, int port, unsigned timeout_ms, int *family,
                       struct vta_error *error)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
    struct addrinfo *list = NULL;
    char service[16], name[256];
    uint64_t start = now_ms();
    size_t length = strlen(host);

    if (length >= 2 && host[0] == '[' && host[length - 1] == ']') { /* "[::1]" */
        host++;
        length -= 2;
    }
    if (length == 0 || length >= sizeof name)
        return vta_error_set(error, VTA_EINVAL, "a host name has 1 to %zu bytes, this one has %zu",
                             sizeof name - 1, length);
    memcpy(name, host, length);
    name[length] = '\0';
    snprintf(service, sizeof service, "%d", port);
    int rc = getaddrinfo(name, service, &hints, &list);
    if (rc != 0)
        return vta_error_set(error, VTA_EIO, "cannot resolve the name: %s",
                             rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));

    int fd = -1, failure = 0;
    for (const struct addrinfo *one = list; one != NULL && fd < 0; one = one->ai_next) {
        fd = connect_one(one->ai_addr, one->ai_addrlen, start, timeout_ms);
        failure = errno;
        *family = one->ai_family;
    }
    freeaddrinfo(list);
    if (fd < 0)
        return vta_error_set(error, failure == ETIMEDOUT ? VTA_ETIMEOUT : VTA_EIO,
                             "cannot connect: %s", strerror(failure));
    return fd;
}

int vta_remote_open(struct vta_transport **transport, const char *host, int port,
                    unsigned timeout_ms, struct vta_error *error)
{
    int family = AF_UNSPEC;
    int fd = strncmp(host, "unix:", 5) == 0 ? connect_unix(host + 5, timeout_ms, &family, error)
                                            : connect_tcp(host, port, timeout_ms, &family, error);
    if (fd < 0)
        return fd;

    struct remote *remote = NULL;
    int rc = VTA_ENOMEM;
    if (settle(fd, family, timeout_ms) != 0) {
        rc = vta_error_set(error, VTA_EIO, "cannot set up the socket: %s", strerror(errno));
        goto fail;
    }
    remote = calloc(1, sizeof *remote);
    if (remote == NULL) {
        vta_error_set(error, rc, "no memory for a connection");
        goto fail;
    }
    remote->transport = (struct vta_transport){ .ops = &remote_ops, .window = REMOTE_WINDOW };
    remote->fd = fd;
    remote->timeout_ms = timeout_ms;
    *transport = &remote->transport;
    return 0;

fail:
    close(fd);
    return rc;
}
