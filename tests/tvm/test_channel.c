/* What a worker taken over by its client's code may say to the daemon: nothing that costs more than
 * the session.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "board.h"
#include "tests/integration/session.h"
#include "worker/channel.h"

static struct daemon daemon_;
static struct client client;
static uint64_t module;

static void setup(void)
{
    daemon_init(&daemon_);
    board_start(&daemon_, (const char *const[]){ "--tvm-call-deadline-ms", "3000", NULL });
    client_open(&client, daemon_.port);
    module = client_load(&client, MISBEHAVE_SO);
}

static void teardown(void)
{
    client_close(&client);
    board_check(&daemon_);
    board_stop(&daemon_);
    daemon_clear(&daemon_);
}

TestSuite(channel, .init = setup, .fini = teardown);

static struct answer say(uint64_t count, uint64_t type, uint64_t number, uint64_t nbytes)
{
    return client_call(&client, client_kernel(&client, module, "say_to_daemon"), "iiii", count,
                       type, number, nbytes);
}

static void talk_without_end(void)
{
    struct packet packet;
    uint64_t talk = client_kernel(&client, module, "say_to_daemon");
    packet_begin(&packet, 3);
    packet_u64(&packet, talk);
    packet_values(&packet, "iiii", UINT64_C(1000000000), (uint64_t)CHANNEL_LOG, UINT64_C(4),
                  UINT64_C(1000));
    packet_send(&client, &packet);
}

static void expect_killed(void)
{
    daemon_wait_log(&daemon_, "ended: the worker does not keep to the channel's rules");
    client_expect_end(&client);
}

Test(channel, refuses_messages_of_unknown_types)
{
    say(1, 99, 0, 10);
    expect_killed();
}

Test(channel, refuses_what_only_the_daemon_says)
{
    say(1, 1, 0, 4000);
    expect_killed();
}

Test(channel, refuses_to_hear_from_a_session_that_it_is_ready)
{
    say(1, CHANNEL_READY, 0, sizeof(struct channel_ready));
    expect_killed();
}

/* Which the daemon would kill in its place. */
Test(channel, refuses_to_hear_of_another_process)
{
    say(1, CHANNEL_STARTED, (uint64_t)getpid(), 0);
    expect_killed();
}

Test(channel, refuses_messages_that_are_cut_short)
{
    client_call(&client, client_kernel(&client, module, "mumble_to_daemon"), "i", UINT64_C(7));
    expect_killed();
}

Test(channel, takes_a_message_of_nothing_for_its_end)
{
    client_call(&client, client_kernel(&client, module, "mumble_to_daemon"), "i", UINT64_C(0));
    daemon_wait_log(&daemon_, "ended: the worker process died");
    client_expect_end(&client);
}

Test(channel, logs_lines_without_control_characters_and_of_no_level_that_there_is_not)
{
    struct answer answer = say(1, CHANNEL_LOG, 1000, 100);
    expect_int(&answer, 1);
    const char *line = daemon_wait_log(&daemon_, "session 1: ");
    cr_assert_null(strchr(line, 0x1b), "%s", line);
}

Test(channel, of_a_worker_that_talks_without_end_is_read_slowly_and_others_are_served)
{
    struct session native;
    talk_without_end();
    daemon_wait_log(&daemon_, "session 1: ");
    session_open(&native, daemon_.port, 1);
    session_check_add(&native);
    session_close(&native);
    board_check(&daemon_);
    client_expect_end(&client); /* at its deadline */
}

Test(channel, does_not_let_a_worker_drown_the_lines_of_the_daemon)
{
    talk_without_end();
    client_expect_end(&client); /* three seconds of lines that nobody reads */
    daemon_wait_log(&daemon_, "(tvm_call_deadline_ms)");
}

Test(channel, believes_no_last_word_before_the_end)
{
    struct answer answer = say(1, CHANNEL_ENDED, 0, 10);
    expect_int(&answer, 1);
    cr_assert_neq(client_function(&client, "tvm.rpc.server.upload"), 0);
    client_close(&client);
    daemon_wait_log(&daemon_, "session 1 from");
}
