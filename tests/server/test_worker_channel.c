/* What a worker says, as the daemon hears it. Time is the loop's own: a test waits for its timers.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/worker_channel.h"

static uv_loop_t loop;
static struct worker_channel channel;
static int worker; /* the other end */
static struct {
    unsigned messages, broken, hung_up, closed;
    uint64_t last_id;
} heard;

static void on_message(void *owner, const struct channel_head *head, const uint8_t *payload,
                       size_t nbytes)
{
    cr_assert_eq(owner, &heard);
    cr_assert_eq(nbytes, 4);
    cr_assert_eq(memcmp(payload, "word", 4), 0);
    cr_assert_eq(head->id, heard.last_id + 1);
    heard.last_id = head->id;
    heard.messages++;
}

static void on_broken(void *owner)
{
    cr_assert_eq(owner, &heard);
    heard.broken++;
}

static void on_hung_up(void *owner)
{
    cr_assert_eq(owner, &heard);
    heard.hung_up++;
}

static void on_closed(void *owner)
{
    cr_assert_eq(owner, &heard);
    heard.closed++;
}

static const struct worker_channel_events events = {
    .message = on_message, .broken = on_broken, .hung_up = on_hung_up, .closed = on_closed
};

static void setup(void)
{
    int ends[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    cr_assert_eq(uv_loop_init(&loop), 0);
    worker_channel_open(&channel, &loop, ends[0], &events, &heard);
    worker = ends[1];
}

static void teardown(void)
{
    worker_channel_close(&channel);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(heard.closed, 1);
    cr_assert(fcntl(channel.fd, F_GETFD) < 0 && errno == EBADF, "the socket is still open");
    cr_assert_eq(uv_loop_close(&loop), 0);
    close(worker);
}

TestSuite(worker_channel, .init = setup, .fini = teardown);

static uint64_t said;

/* Says one more word; false where there is no room for it. */
static bool say(void)
{
    const struct channel_head head = { .type = CHANNEL_LOG, .id = said + 1 };
    if (channel_send(worker, &head, "word", 4, -1, false) != 0)
        return false;
    said++;
    return true;
}

/* Talks until nobody listens any more. */
static void talk(void)
{
    while (channel.state == WORKER_CHANNEL_OPEN) {
        while (say())
            ;
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    cr_assert_eq(channel.state, WORKER_CHANNEL_THROTTLED);
}

Test(worker_channel, hears_messages_in_their_order)
{
    for (unsigned i = 0; i < 10; i++)
        cr_assert(say());
    while (heard.messages < 10)
        uv_run(&loop, UV_RUN_ONCE);
    cr_assert_eq(heard.broken + heard.hung_up, 0);
}

Test(worker_channel, is_throttled_where_too_much_is_said_in_a_second)
{
    talk();
    cr_assert_geq(channel.messages, WORKER_CHANNEL_MESSAGES);
    cr_assert_lt(channel.messages, WORKER_CHANNEL_MESSAGES + 100); /* so many are heard at once */
    while (say())
        ;
    unsigned before = heard.messages;
    cr_assert_lt(before, said);
    while (channel.state == WORKER_CHANNEL_THROTTLED) { /* the only event there can be */
        cr_assert_eq(heard.messages, before);
        uv_run(&loop, UV_RUN_ONCE);
    }
    cr_assert_eq(channel.state, WORKER_CHANNEL_OPEN);
    while (heard.messages < said)
        uv_run(&loop, UV_RUN_ONCE);
}

Test(worker_channel, tells_all_that_was_said_when_it_is_drained)
{
    talk();
    while (say())
        ;
    cr_assert_lt(heard.messages, said);
    worker_channel_drain(&channel);
    cr_assert_eq(heard.messages, said);
    cr_assert_eq(channel.state, WORKER_CHANNEL_THROTTLED);
}

Test(worker_channel, goes_on_after_a_message_that_is_none)
{
    cr_assert_eq(send(worker, "x", 1, 0), 1);
    cr_assert(say());
    while (heard.messages == 0)
        uv_run(&loop, UV_RUN_ONCE);
    cr_assert_eq(heard.broken, 1);
    cr_assert_eq(channel.state, WORKER_CHANNEL_OPEN);
}

Test(worker_channel, tells_once_that_the_other_end_is_gone_after_its_last_words)
{
    cr_assert(say());
    close(worker);
    worker = -1;
    while (heard.hung_up == 0)
        uv_run(&loop, UV_RUN_ONCE);
    cr_assert_eq(heard.messages, 1);
    cr_assert_eq(channel.state, WORKER_CHANNEL_HUNG_UP);
    uv_run(&loop, UV_RUN_DEFAULT); /* nothing is watched any more */
    cr_assert_eq(heard.hung_up, 1);
}

Test(worker_channel, takes_no_descriptors)
{
    const struct channel_head head = { .type = CHANNEL_LOG, .id = 1 };
    int pipe_ends[2];
    char byte;
    cr_assert_eq(pipe2(pipe_ends, O_CLOEXEC), 0);
    cr_assert_eq(channel_send(worker, &head, "word", 4, pipe_ends[1], false), 0);
    close(pipe_ends[1]);
    while (heard.messages == 0)
        uv_run(&loop, UV_RUN_ONCE);
    cr_assert_eq(read(pipe_ends[0], &byte, 1), 0, "the daemon has kept it");
    close(pipe_ends[0]);
}
