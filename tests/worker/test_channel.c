/* test_channel.c: messages between the daemon and a worker, and what a hostile end may send. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker/channel.h"

#define MANY 64

static int ends[2];
static uint8_t payload[CHANNEL_PAYLOAD_MAX];

static void begin(void)
{
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
}

static void end(void)
{
    close(ends[0]);
    close(ends[1]);
}

TestSuite(channel, .init = begin, .fini = end);

static int descriptors(void)
{
    DIR *list = opendir("/proc/self/fd");
    int count = 0;
    cr_assert_not_null(list);
    while (readdir(list) != NULL)
        count++;
    closedir(list);
    return count;
}

/* A message with so many descriptors, as no end of ours sends it. */
static void send_with(int count)
{
    struct channel_head head = { .type = CHANNEL_LOG };
    struct iovec piece = { .iov_base = &head, .iov_len = sizeof head };
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(MANY * sizeof(int))];
    } control = { 0 };
    struct msghdr message = { .msg_iov = &piece,
                              .msg_iovlen = 1,
                              .msg_control = control.bytes,
                              .msg_controllen = CMSG_SPACE((size_t)count * sizeof(int)) };
    struct cmsghdr *passed = CMSG_FIRSTHDR(&message);
    passed->cmsg_level = SOL_SOCKET;
    passed->cmsg_type = SCM_RIGHTS;
    passed->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
    for (int i = 0; i < count; i++)
        memcpy(CMSG_DATA(passed) + (size_t)i * sizeof(int), &ends[1], sizeof(int));
    cr_assert_geq(sendmsg(ends[1], &message, 0), 0);
}

Test(channel, hands_over_a_message_with_its_descriptor)
{
    const struct channel_head sent = { .type = CHANNEL_SESSION, .number = -3, .id = 77 };
    struct channel_head head;
    size_t nbytes;
    int fd;
    cr_assert_eq(channel_send(ends[1], &sent, "early", 5, STDERR_FILENO, true), 0);
    cr_assert_eq(channel_send(ends[1], &sent, NULL, 0, -1, true), 0);
    cr_assert(channel_receive(ends[0], &head, payload, &nbytes, &fd, false));
    cr_assert_eq(memcmp(&head, &sent, sizeof head), 0);
    cr_assert_eq(nbytes, 5);
    cr_assert_eq(memcmp(payload, "early", 5), 0);
    cr_assert_geq(fd, 0);
    cr_assert_neq(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    close(fd);
    cr_assert(channel_receive(ends[0], &head, payload, &nbytes, &fd, false));
    cr_assert_eq(nbytes, 0);
    cr_assert_eq(fd, -1);
    cr_assert_not(channel_receive(ends[0], &head, payload, &nbytes, &fd, false));
    cr_assert_eq(errno, EAGAIN);
}

Test(channel, refuses_more_than_one_descriptor_and_keeps_none)
{
    const int before = descriptors();
    struct channel_head head;
    size_t nbytes;
    int fd;
    for (int count = 2; count <= MANY; count++) {
        send_with(count);
        cr_assert_not(channel_receive(ends[0], &head, payload, &nbytes, &fd, false), "%d", count);
        cr_assert_eq(errno, EPROTO);
        cr_assert_eq(fd, -1);
        cr_assert_eq(descriptors(), before, "%d descriptors came", count);
    }
}

Test(channel, refuses_what_is_too_short_or_too_long)
{
    static uint8_t bytes[CHANNEL_PAYLOAD_MAX + sizeof(struct channel_head) + 1];
    const int size = 4 * (int)sizeof bytes;
    struct channel_head head;
    size_t nbytes;
    int fd;
    setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    const size_t sizes[] = { 1, sizeof head - 1, sizeof bytes };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        cr_assert_eq(send(ends[1], bytes, sizes[i], 0), (ssize_t)sizes[i]);
        cr_assert_not(channel_receive(ends[0], &head, payload, &nbytes, &fd, false));
        cr_assert_eq(errno, EPROTO);
    }
    cr_assert_eq(send(ends[1], bytes, sizeof bytes - 1, 0), (ssize_t)sizeof bytes - 1);
    cr_assert(channel_receive(ends[0], &head, payload, &nbytes, &fd, false));
    cr_assert_eq(nbytes, CHANNEL_PAYLOAD_MAX);
}

Test(channel, says_that_the_other_end_is_gone)
{
    struct channel_head head;
    size_t nbytes;
    int fd;
    shutdown(ends[1], SHUT_RDWR);
    cr_assert_not(channel_receive(ends[0], &head, payload, &nbytes, &fd, false));
    cr_assert_eq(errno, EPIPE);
}
