/* worker_channel.c: reads from the channel while it may.
 */
#include "worker_channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCK_BYTES       (160 << 10) /* for the largest message */
#define MESSAGES_AT_ONCE 64          /* per return to the loop */

static uint64_t now_ms(const struct worker_channel *channel)
{
    return uv_now(channel->poll.loop);
}

/* Takes up to that many messages; false where the other end is gone. */
static bool hear(struct worker_channel *channel, unsigned most)
{
    static uint8_t payload[CHANNEL_PAYLOAD_MAX];
    struct channel_head head;
    size_t nbytes;
    int fd;
    for (unsigned i = 0; i < most; i++) {
        if (channel_receive(channel->fd, &head, payload, &nbytes, &fd, false)) {
            if (fd >= 0)
                close(fd); /* a worker has none to give */
            channel->messages++;
            channel->events->message(channel->owner, &head, payload, nbytes);
        } else if (errno == EPROTO) {
            channel->events->broken(channel->owner);
        } else {
            return errno == EAGAIN;
        }
    }
    return true;
}

static bool may_say_more(struct worker_channel *channel)
{
    uint64_t second = now_ms(channel) / 1000;
    if (channel->second != second) {
        channel->second = second;
        channel->messages = 0;
    }
    return channel->messages < WORKER_CHANNEL_MESSAGES;
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void on_second(uv_timer_t *timer)
{
    struct worker_channel *channel = timer->data;
    if (channel->state != WORKER_CHANNEL_THROTTLED)
        return;
    channel->state = WORKER_CHANNEL_OPEN;
    uv_poll_start(&channel->poll, UV_READABLE, on_readable);
}

/* Only while it is OPEN. */
static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct worker_channel *channel = poll->data;
    (void)status;
    (void)events;
    bool there = hear(channel, MESSAGES_AT_ONCE);
    if (channel->state == WORKER_CHANNEL_CLOSED)
        return; /* by its owner, for what was said */
    if (!there) {
        channel->state = WORKER_CHANNEL_HUNG_UP;
        uv_poll_stop(poll);
        channel->events->hung_up(channel->owner);
    } else if (!may_say_more(channel)) {
        channel->state = WORKER_CHANNEL_THROTTLED;
        uv_poll_stop(poll);
        uv_timer_start(&channel->pause, on_second, 1000 - now_ms(channel) % 1000, 0);
    }
}

int worker_channel_pair(int ends[2], struct vta_error *error)
{
    int size = SOCK_BYTES;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return vta_error_set(error, VTA_EIO, "socketpair: %s", strerror(errno));
    for (int i = 0; i < 2; i++)
        setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    return 0;
}

int worker_channel_say(int channel, const struct channel_head *head, const void *payload,
                       size_t nbytes, int fd, struct vta_error *error)
{
    if (channel_send(channel, head, payload, nbytes, fd, false) == 0 || errno == ECONNRESET ||
        errno == EPIPE)
        return 0;
    return vta_error_set(error, VTA_EIO, "a worker's channel: %s", strerror(errno));
}

void worker_channel_open(struct worker_channel *channel, uv_loop_t *loop, int fd,
                         const struct worker_channel_events *events, void *owner)
{
    *channel = (struct worker_channel){
        .state = WORKER_CHANNEL_OPEN, .fd = fd, .handles = 2, .events = events, .owner = owner
    };
    uv_poll_init(loop, &channel->poll, fd);
    uv_timer_init(loop, &channel->pause);
    channel->poll.data = channel->pause.data = channel;
    uv_poll_start(&channel->poll, UV_READABLE, on_readable);
}

void worker_channel_drain(struct worker_channel *channel)
{
    hear(channel, UINT16_MAX);
}

static void on_closed(uv_handle_t *handle)
{
    struct worker_channel *channel = handle->data;
    if (--channel->handles > 0)
        return;
    close(channel->fd);
    channel->events->closed(channel->owner);
}

void worker_channel_close(struct worker_channel *channel)
{
    channel->state = WORKER_CHANNEL_CLOSED;
    uv_close((uv_handle_t *)&channel->poll, on_closed);
    uv_close((uv_handle_t *)&channel->pause, on_closed);
}
