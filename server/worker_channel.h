/* worker_channel.h: the daemon's end of a worker's channel: messages as events of the loop, so many
 * in a second and no more, because it may be a client's code that says them. What they mean is
 * worker_process.c's business.
 *
 *     OPEN ──too much in this second──▶ THROTTLED
 *      │ ◀───────the second is over────────┘
 *      └──the other end is gone──▶ HUNG_UP
 *
 * Any state goes to CLOSED with worker_channel_close.
 */
#ifndef VTA_SERVER_WORKER_CHANNEL_H
#define VTA_SERVER_WORKER_CHANNEL_H

#include <uv.h>

#include "worker/channel.h"

#define WORKER_CHANNEL_MESSAGES 1000 /* per second */

enum worker_channel_state {
    WORKER_CHANNEL_OPEN,
    WORKER_CHANNEL_THROTTLED, /* is not read from, so that who writes has to wait */
    WORKER_CHANNEL_HUNG_UP,
    WORKER_CHANNEL_CLOSED
};

struct worker_channel_events {
    void (*message)(void *owner, const struct channel_head *head, const uint8_t *payload,
                    size_t nbytes);
    void (*broken)(void *owner); /* a message that is none */
    void (*hung_up)(void *owner);
    void (*closed)(void *owner); /* the memory is the owner's again */
};

struct worker_channel {
    enum worker_channel_state state;
    int fd; /* owned */
    uv_poll_t poll;
    uv_timer_t pause;
    unsigned handles; /* that are not closed yet */
    const struct worker_channel_events *events;
    void *owner;
    /* Heard in the present second of the loop's time. */
    uint64_t second;
    unsigned messages;
};

/* A pair of sockets: the daemon's end, and the other one. */
int worker_channel_pair(int ends[2], struct vta_error *error);

/* Says something at the daemon's end, with a descriptor unless fd is negative. That the other end
 * is gone is no error: its process has ended, or the template that held it, and that is heard of.
 */
int worker_channel_say(int channel, const struct channel_head *head, const void *payload,
                       size_t nbytes, int fd, struct vta_error *error);

/* Begins to read from a socket, which becomes the channel's. */
void worker_channel_open(struct worker_channel *channel, uv_loop_t *loop, int fd,
                         const struct worker_channel_events *events, void *owner);
/* Tells everything that has been said and not heard yet, at once, however much it is. */
void worker_channel_drain(struct worker_channel *channel);
void worker_channel_close(struct worker_channel *channel);

#endif
