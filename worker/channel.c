/* channel.c: sends and receives single messages; neither end's logic.
 */
#include "channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

uint64_t channel_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* One word, so that the other side never sees half of a change: time, and busy in bit 0. */
void channel_busy(struct channel_page *page, bool busy)
{
    atomic_store(&page->activity, channel_now() << 1 | (busy ? 1 : 0));
}

uint64_t channel_since(const struct channel_page *page, bool *busy)
{
    uint64_t activity = atomic_load(&page->activity);
    *busy = (activity & 1) != 0;
    return activity >> 1;
}

/* Room for one descriptor. */
union control {
    struct cmsghdr head;
    char bytes[CMSG_SPACE(sizeof(int))];
};

int channel_send(int channel, const struct channel_head *head, const void *payload, size_t nbytes,
                 int fd, bool wait)
{
    struct iovec pieces[2] = { { .iov_base = (void *)head, .iov_len = sizeof *head },
                               { .iov_base = (void *)payload, .iov_len = nbytes } };
    struct msghdr message = { .msg_iov = pieces, .msg_iovlen = nbytes > 0 ? 2 : 1 };
    union control control;
    if (fd >= 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *passed = CMSG_FIRSTHDR(&message);
        passed->cmsg_level = SOL_SOCKET;
        passed->cmsg_type = SCM_RIGHTS;
        passed->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(passed), &fd, sizeof fd);
    }
    ssize_t n;
    do /* a worker has no sendmsg, which could pass descriptors on */
        n = wait && fd < 0 ? writev(channel, message.msg_iov, (int)message.msg_iovlen)
                           : sendmsg(channel, &message, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
    while (n < 0 && errno == EINTR);
    return n < 0 ? -1 : 0;
}

/* The one descriptor of a message, or -1. More than one is no message of ours, and they are closed:
 * the room for one is room for two, by the alignment of what control messages are made of. */
static int take_descriptor(struct msghdr *message, bool *good)
{
    int fd = -1;
    for (struct cmsghdr *each = CMSG_FIRSTHDR(message); each != NULL;
         each = CMSG_NXTHDR(message, each)) {
        if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = CMSG_LEN(0); at + sizeof fd <= each->cmsg_len; at += sizeof fd) {
            if (fd >= 0) {
                close(fd);
                *good = false;
            }
            memcpy(&fd, (const char *)each + at, sizeof fd);
        }
    }
    return fd;
}

bool channel_receive(int channel, struct channel_head *head, void *payload, size_t *nbytes, int *fd,
                     bool wait)
{
    union control control;
    struct iovec pieces[2] = { { .iov_base = head, .iov_len = sizeof *head },
                               { .iov_base = payload, .iov_len = CHANNEL_PAYLOAD_MAX } };
    struct msghdr message = { .msg_iov = pieces,
                              .msg_iovlen = 2,
                              .msg_control = control.bytes,
                              .msg_controllen = sizeof control.bytes };
    ssize_t n;
    *fd = -1;
    do
        n = recvmsg(channel, &message, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return false;
    bool good = n >= (ssize_t)sizeof *head && (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;
    *fd = take_descriptor(&message, &good);
    if (good) {
        *nbytes = (size_t)n - sizeof *head;
        return true;
    }
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    errno = n == 0 ? EPIPE : EPROTO;
    return false;
}

void channel_clean_line(char *line, const void *text, size_t nbytes)
{
    const unsigned char *from = text;
    size_t length = nbytes < CHANNEL_LINE_MAX - 1 ? nbytes : CHANNEL_LINE_MAX - 1;
    while (length > 0 && (from[length - 1] == '\n' || from[length - 1] == '\0'))
        length--;
    for (size_t i = 0; i < length; i++)
        line[i] = from[i] < 0x20 || from[i] == 0x7f ? ' ' : (char)from[i];
    line[length] = '\0';
}
