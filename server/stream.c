/* stream.c: libuv's TCP and pipe handles as a transport.
 */
#include "stream.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"

#define KEEPALIVE_S 60 /* a peer that vanished without a word is noticed some minutes later */

/*     PAUSED ◀──read──▶ READING
 *        └──gone, broken──┤
 *                         ▼
 *                       ENDED ──close──▶ CLOSING ──▶ freed
 *
 * Any state goes to CLOSING when the owner closes it. */
enum stream_state {
    STREAM_PAUSED,
    STREAM_READING,
    STREAM_ENDED, /* the owner has been told */
    STREAM_CLOSING
};

struct stream {
    struct transport transport;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    uv_shutdown_t shutdown;
    enum stream_state state;
    struct hangup *hangup; /* while reading is stopped; owned */
};

/* Bytes that the kernel did not take at once: the rest of a head, copied, and the rest of a bulk,
 * where it is. */
struct pending {
    uv_write_t request;
    struct stream *stream;
    char head[];
};

/* Watches, on a duplicate of the descriptor, for the peer's going away while nothing is read. */
struct hangup {
    uv_poll_t poll;
    struct stream *stream; /* NULL: no longer interested */
    int fd;
};

static struct stream *of(const struct transport *transport)
{
    return (struct stream *)transport;
}

static bool is_open(const struct stream *stream)
{
    return stream->state == STREAM_PAUSED || stream->state == STREAM_READING;
}

static void tell_ended(struct stream *stream, const char *reason)
{
    if (!is_open(stream))
        return;
    stream->state = STREAM_ENDED;
    stream->transport.events->ended(stream->transport.owner, reason);
}

/* ---- Hang-ups ------------------------------------------------------------------------------ */

static void hangup_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void hangup_stop(struct stream *stream)
{
    struct hangup *hangup = stream->hangup;
    if (hangup == NULL)
        return;
    stream->hangup = NULL;
    hangup->stream = NULL;
    uv_close((uv_handle_t *)&hangup->poll, hangup_closed);
    close(hangup->fd);
}

static void on_hangup(uv_poll_t *poll, int status, int events)
{
    struct stream *stream = ((struct hangup *)poll->data)->stream;
    if (stream == NULL || (status == 0 && (events & UV_DISCONNECT) == 0))
        return;
    hangup_stop(stream);
    tell_ended(stream, status != 0 ? "connection lost" : NULL);
}

/* Without the memory or descriptor for it, a hang-up is noticed when reading goes on. */
static void hangup_start(struct stream *stream)
{
    int fd;
    struct hangup *hangup = calloc(1, sizeof *hangup);
    if (hangup == NULL || uv_fileno(&stream->uv.handle, &fd) != 0 ||
        (hangup->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0) {
        free(hangup);
        return;
    }
    if (uv_poll_init(stream->uv.handle.loop, &hangup->poll, hangup->fd) != 0) {
        close(hangup->fd);
        free(hangup);
        return;
    }
    hangup->poll.data = hangup;
    hangup->stream = stream;
    stream->hangup = hangup;
    uv_poll_start(&hangup->poll, UV_DISCONNECT, on_hangup);
}

/* ---- Reading ------------------------------------------------------------------------------- */

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct stream *stream = handle->data;
    uint8_t *bytes = NULL;
    size_t nbytes = 0;
    (void)suggested;
    stream->transport.events->room(stream->transport.owner, &bytes, &nbytes);
    *buffer = uv_buf_init((char *)bytes, (unsigned)nbytes);
}

static void on_bytes(uv_stream_t *handle, ssize_t nread, const uv_buf_t *buffer)
{
    struct stream *stream = handle->data;
    (void)buffer;
    if (nread >= 0) {
        stream->transport.received += (size_t)nread;
        stream->transport.events->arrived(stream->transport.owner, (size_t)nread);
        return;
    }
    uv_read_stop(handle);
    tell_ended(stream, nread == UV_EOF ? NULL : uv_strerror((int)nread));
}

static void resume(struct stream *stream)
{
    stream->state = STREAM_READING;
    hangup_stop(stream);
    int rc = uv_read_start(&stream->uv.stream, on_room, on_bytes);
    if (rc != 0)
        tell_ended(stream, uv_strerror(rc));
}

static void pause_reading(struct stream *stream)
{
    stream->state = STREAM_PAUSED;
    uv_read_stop(&stream->uv.stream);
    hangup_start(stream);
}

static void stream_read(struct transport *transport, bool on)
{
    struct stream *stream = of(transport);
    if (on && stream->state == STREAM_PAUSED)
        resume(stream);
    else if (!on && stream->state == STREAM_READING)
        pause_reading(stream);
}

/* ---- Writing ------------------------------------------------------------------------------- */

static void on_written(uv_write_t *request, int status)
{
    struct pending *pending = (struct pending *)request;
    struct stream *stream = pending->stream;
    free(pending);
    if (stream->state == STREAM_CLOSING)
        return;
    if (status < 0)
        tell_ended(stream, uv_strerror(status));
    else if (stream->uv.stream.write_queue_size == 0)
        stream->transport.events->drained(stream->transport.owner);
}

static int stream_write(struct transport *transport, const void *head, size_t head_bytes,
                        const void *bulk, size_t bulk_bytes)
{
    struct stream *stream = of(transport);
    if (!is_open(stream))
        return UV_ECANCELED;

    uv_buf_t pieces[2] = { { .base = (char *)head, .len = head_bytes },
                           { .base = (char *)bulk, .len = bulk_bytes } };
    int rc = uv_try_write(&stream->uv.stream, pieces, bulk_bytes > 0 ? 2 : 1);
    if (rc < 0 && rc != UV_EAGAIN)
        return rc;
    size_t sent = rc > 0 ? (size_t)rc : 0;
    transport->sent += head_bytes + bulk_bytes;
    if (sent == head_bytes + bulk_bytes)
        return 0;

    size_t head_sent = sent < head_bytes ? sent : head_bytes;
    size_t head_left = head_bytes - head_sent;
    size_t bulk_sent = sent - head_sent;
    struct pending *pending = malloc(sizeof *pending + head_left);
    if (pending == NULL)
        return UV_ENOMEM;
    pending->stream = stream;
    if (head_left > 0)
        memcpy(pending->head, (const char *)head + head_sent, head_left);
    pieces[0] = uv_buf_init(pending->head, (unsigned)head_left);
    if (bulk_bytes > 0) /* else bulk may be NULL */
        pieces[1] = (uv_buf_t){ .base = (char *)bulk + bulk_sent, .len = bulk_bytes - bulk_sent };
    rc = uv_write(&pending->request, &stream->uv.stream, head_left > 0 ? pieces : pieces + 1,
                  head_left > 0 && bulk_bytes > 0 ? 2 : 1, on_written);
    if (rc != 0) {
        free(pending);
        return rc;
    }
    return bulk_bytes > 0;
}

static size_t stream_unsent(const struct transport *transport)
{
    return of(transport)->uv.stream.write_queue_size;
}

static int stream_descriptor(const struct transport *transport)
{
    int fd;
    return uv_fileno(&of(transport)->uv.handle, &fd) == 0 ? fd : -1;
}

/* ---- The end ------------------------------------------------------------------------------- */

static void on_finished(uv_shutdown_t *request, int status)
{
    (void)request;
    (void)status; /* a peer that is gone already shows when reading */
}

static void stream_finish(struct transport *transport)
{
    struct stream *stream = of(transport);
    if (stream->state != STREAM_CLOSING)
        uv_shutdown(&stream->shutdown, &stream->uv.stream, on_finished);
}

static void on_closed(uv_handle_t *handle)
{
    struct stream *stream = handle->data;
    stream->transport.events->closed(stream->transport.owner);
    free(stream);
}

static void stream_close(struct transport *transport)
{
    struct stream *stream = of(transport);
    if (stream->state == STREAM_CLOSING)
        return;
    hangup_stop(stream);
    stream->state = STREAM_CLOSING;
    uv_close(&stream->uv.handle, on_closed);
}

static const struct transport_ops stream_ops = { .read = stream_read,
                                                 .write = stream_write,
                                                 .unsent = stream_unsent,
                                                 .descriptor = stream_descriptor,
                                                 .finish = stream_finish,
                                                 .close = stream_close };

/* ---- The beginning ------------------------------------------------------------------------- */

static void name_unix_peer(struct stream *stream)
{
    int fd;
    struct ucred peer;
    socklen_t size = sizeof peer;
    char *text = stream->transport.peer;
    if (uv_fileno(&stream->uv.handle, &fd) == 0 &&
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
        snprintf(text, sizeof stream->transport.peer, "unix:pid=%d,uid=%u", (int)peer.pid,
                 (unsigned)peer.uid);
    else
        snprintf(text, sizeof stream->transport.peer, "unix");
}

static void name_tcp_peer(struct stream *stream)
{
    struct sockaddr_storage address;
    int size = sizeof address;
    if (uv_tcp_getpeername(&stream->uv.tcp, (struct sockaddr *)&address, &size) == 0)
        address_print((struct sockaddr *)&address, stream->transport.peer);
    else
        snprintf(stream->transport.peer, sizeof stream->transport.peer, "unknown");
}

static void on_refused(uv_handle_t *handle)
{
    free(handle->data);
}

struct transport *stream_accept(uv_stream_t *listener, const struct transport_events *events,
                                void *owner, int *rc)
{
    struct stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) {
        *rc = UV_ENOMEM;
        return NULL;
    }
    bool tcp = listener->type == UV_TCP;
    *rc = tcp ? uv_tcp_init(listener->loop, &stream->uv.tcp)
              : uv_pipe_init(listener->loop, &stream->uv.pipe, 0);
    if (*rc != 0) {
        free(stream);
        return NULL;
    }
    stream->uv.handle.data = stream;
    *rc = uv_accept(listener, &stream->uv.stream);
    if (*rc != 0) {
        uv_close(&stream->uv.handle, on_refused);
        return NULL;
    }

    stream->transport.ops = &stream_ops;
    stream->transport.events = events;
    stream->transport.owner = owner;
    if (tcp) {
        uv_tcp_nodelay(&stream->uv.tcp, 1);
        uv_tcp_keepalive(&stream->uv.tcp, 1, KEEPALIVE_S);
        name_tcp_peer(stream);
    } else {
        name_unix_peer(stream);
    }
    return &stream->transport;
}
