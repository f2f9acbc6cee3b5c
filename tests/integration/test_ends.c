/* How runs, sessions and the daemon end: cancel, deadline, disconnect, signals.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "session.h"

static struct daemon daemon_;
static struct session session;
static struct wire *const wire = &session.wire;

static void setup(void)
{
    daemon_init(&daemon_);
}

static void teardown(void)
{
    if (session.wire.fd > 0)
        session_close(&session);
    if (daemon_.pid > 0)
        daemon_stop(&daemon_);
    daemon_clear(&daemon_);
}

TestSuite(ends, .init = setup, .fini = teardown);

static void start(const char *const *flags, uint32_t spins)
{
    daemon_start(&daemon_, flags);
    session_open(&session, daemon_.port, spins);
}

/* ---- Runs ---------------------------------------------------------------------------------- */

Test(ends, a_run_is_cancelled_by_the_method)
{
    start(NULL, SPINS_FOR_EVER);
    uint32_t run = session_spin(&session);
    cr_assert(wire_bool(wire_call(wire, NULL, "cancel", "")));
    wire_expect(wire, run, "cancelled");
    session_check_add(&session);
}

Test(ends, a_run_is_cancelled_by_closing_the_connection)
{
    static const char *const flags[] = { "--threads", "1", NULL };
    start(flags, SPINS_FOR_EVER);
    session_spin(&session);
    wire_close(wire);
    daemon_wait_log(&daemon_, "ended: the peer closed");
    /* The one thread is free again. */
    session_open(&session, daemon_.port, 1);
    session_check_add(&session);
}

/* As docs/PROTOCOL.md says: who closes the sending side has gone, whatever it has asked for. */
Test(ends, a_run_is_cancelled_by_closing_the_sending_side_and_what_waits_is_not_answered)
{
    static const char *const flags[] = { "--threads", "1", NULL };
    start(flags, SPINS_FOR_EVER);
    session_spin(&session);
    wire_request(wire, "hello", "s", "behind the run");
    cr_assert_eq(shutdown(wire->fd, SHUT_WR), 0);
    wire_expect_end(wire);
    daemon_wait_log(&daemon_, "ended: the peer closed");
    wire_close(wire);
    session_open(&session, daemon_.port, 1);
    session_check_add(&session);
}

Test(ends, a_run_that_waits_for_a_thread_is_cancelled_too)
{
    static const char *const flags[] = { "--threads", "1", NULL };
    start(flags, SPINS_FOR_EVER);
    static struct session second;
    session_open(&second, daemon_.port, SPINS_FOR_EVER);
    session_spin(&session); /* takes the thread */
    uint32_t waiting = session_spin(&second);
    cr_assert(wire_bool(wire_call(&second.wire, NULL, "cancel", "")));
    wire_expect(&second.wire, waiting, "cancelled");
    waiting = session_spin(&second);
    session_close(&second); /* while it waits */
    daemon_wait_log(&daemon_, "ended: the peer closed");
}

Test(ends, a_run_ends_at_the_deadline_it_asks_for)
{
    start(NULL, SPINS_FOR_EVER);
    wire_call(wire, "deadline", "run", "uho", session.spin, &session.buffers[2], (size_t)1,
              "deadline_ms", (uint64_t)50);
    wire_call(wire, "deadline", "time_evaluator", "uhuuuo", session.spin, &session.buffers[2],
              (size_t)1, (uint64_t)1, (uint64_t)1, (uint64_t)0, "deadline_ms", (uint64_t)50);
    session_check_add(&session);
}

Test(ends, a_run_ends_at_the_daemons_deadline_whatever_it_asks_for)
{
    static const char *const flags[] = { "--run-deadline-ms", "50", NULL };
    start(flags, SPINS_FOR_EVER);
    wire_call(wire, "deadline", "run", "uho", session.spin, &session.buffers[2], (size_t)1,
              "deadline_ms", (uint64_t)1000000);
    wire_call(wire, "deadline", "run", "uh", session.spin, &session.buffers[2], (size_t)1);
}

Test(ends, the_log_tells_each_sessions_runs_and_bytes)
{
    start(NULL, 1);
    session_check_add(&session);
    session_check_add(&session);
    wire_close(wire);
    const char *line = daemon_wait_log(&daemon_, "session 1 from 127.0.0.1:");
    cr_assert_not_null(strstr(line, "began"), "%s", line);
    line = daemon_wait_log(&daemon_, "session 1 from 127.0.0.1:");
    cr_assert_not_null(strstr(line, "ended: the peer closed; "), "%s", line);
    cr_assert_not_null(strstr(line, " s, 2 runs, "), "%s", line);
    cr_assert_not_null(strstr(line, " bytes in, "), "%s", line);
    cr_assert_not_null(strstr(line, " bytes out"), "%s", line);
}

/* ---- Signals ------------------------------------------------------------------------------- */

Test(ends, sigterm_lets_runs_finish_and_answers_them)
{
    static const char *const flags[] = { "--threads", "4", "--grace-ms", "60000", NULL };
    start(flags, 1);
    static struct session others[4];
    uint32_t runs[4];
    for (int i = 0; i < 4; i++)
        session_open(&others[i], daemon_.port, 4);
    for (int i = 0; i < 4; i++)
        runs[i] = session_spin(&others[i]);
    uint32_t late = wire_request(&others[0].wire, "run", "uh", others[0].spin,
                                 &others[0].buffers[2], (size_t)1);
    wire_call(&others[0].wire, NULL, "ping", "");
    daemon_signal(&daemon_, SIGTERM);
    wire_expect_end(wire); /* an idle session is closed at once */
    for (int i = 0; i < 4; i++)
        wire_expect(&others[i].wire, runs[i], NULL);
    wire_expect(&others[0].wire, late, "closed");
    for (int i = 0; i < 4; i++) {
        wire_expect_end(&others[i].wire);
        session_close(&others[i]);
    }
    cr_assert_eq(daemon_wait(&daemon_), 0, "%s", daemon_.log);
}

Test(ends, sigterm_cancels_runs_when_the_grace_time_is_over)
{
    static const char *const flags[] = { "--grace-ms", "100", NULL };
    start(flags, SPINS_FOR_EVER);
    uint32_t run = session_spin(&session);
    daemon_signal(&daemon_, SIGTERM);
    wire_expect(wire, run, "cancelled");
    wire_expect_end(wire);
    wire_close(wire);
    cr_assert_eq(daemon_wait(&daemon_), 0, "%s", daemon_.log);
}

Test(ends, a_client_that_reads_nothing_does_not_hold_up_the_end)
{
    static const char *const flags[] = { "--grace-ms", "100", NULL };
    start(flags, 1);
    uint64_t buffer = wire_uint(wire_call(wire, NULL, "buffer.alloc", "u", (uint64_t)(8 << 20)));
    for (int i = 0; i < 4; i++)
        wire_request(wire, "buffer.read", "uuu", buffer, (uint64_t)0, (uint64_t)(8 << 20));
    daemon_signal(&daemon_, SIGTERM);
    cr_assert_eq(daemon_wait(&daemon_), 0, "%s", daemon_.log);
}

Test(ends, a_second_sigterm_ends_everything_at_once)
{
    static const char *const flags[] = { "--grace-ms", "3600000", NULL };
    start(flags, SPINS_FOR_EVER);
    session_spin(&session);
    daemon_signal(&daemon_, SIGTERM);
    daemon_wait_log(&daemon_, "stopping: ");
    daemon_signal(&daemon_, SIGTERM);
    wire_expect_end(wire);
    cr_assert_eq(daemon_wait(&daemon_), 0, "%s", daemon_.log);
}

/* Whatever is still there when the grace time is over would be logged; the template of workers is
 * not what is asked about. */
Test(ends, a_refused_client_that_does_not_close_does_not_hold_up_the_end)
{
    static const char *const flags[] = { "--max-sessions", "1", "--tvm", "off",
                                         "--grace-ms",     "1", NULL };
    struct wire refused;
    start(flags, 1);
    wire_connect(&refused, daemon_.port);
    wire_expect(&refused, 0, "limit");
    daemon_signal(&daemon_, SIGTERM);
    cr_assert_eq(daemon_wait(&daemon_), 0, "%s", daemon_.log);
    cr_expect_not(daemon_has_logged(&daemon_, "the grace time is over"), "%s", daemon_.log);
    wire_expect_end(&refused);
    wire_close(&refused);
}

Test(ends, sigint_stops_as_sigterm_does)
{
    start(NULL, 1);
    daemon_signal(&daemon_, SIGINT);
    cr_assert_eq(daemon_wait(&daemon_), 0, "%s", daemon_.log);
}

Test(ends, sighup_applies_what_can_be_and_names_what_cannot)
{
    start(NULL, 1);
    daemon_write_config(&daemon_, "{\"max_buffers\": 2, \"threads\": 3, \"max_sessions\": 2}");
    daemon_signal(&daemon_, SIGHUP);
    daemon_wait_log(&daemon_, "reload: max_sessions has changed");
    daemon_wait_log(&daemon_, "reload: max_buffers has changed, for new sessions");
    daemon_wait_log(&daemon_, "reload: threads has changed, which needs a restart");
    daemon_wait_log(&daemon_, "reload: done");

    wire_call(wire, NULL, "buffer.alloc", "u", (uint64_t)1); /* the fourth of an old session */
    struct wire fresh, third;
    wire_connect(&fresh, daemon_.port);
    wire_call(&fresh, NULL, "buffer.alloc", "u", (uint64_t)1);
    wire_call(&fresh, NULL, "buffer.alloc", "u", (uint64_t)1);
    wire_call(&fresh, "limit", "buffer.alloc", "u", (uint64_t)1);
    wire_connect(&third, daemon_.port);
    wire_expect(&third, 0, "limit");
    wire_close(&third);
    wire_close(&fresh);
}

Test(ends, sighup_with_a_bad_file_changes_nothing_and_says_why)
{
    start(NULL, 1);
    daemon_write_config(&daemon_, "{\"max_buffers\": 1, \"max_sesions\": 2}");
    daemon_signal(&daemon_, SIGHUP);
    const char *line = daemon_wait_log(&daemon_, "reload: ");
    cr_assert_not_null(strstr(line, "did you mean 'max_sessions'?"), "%s", line);
    cr_assert_not_null(strstr(line, "stays as it was"), "%s", line);
    session_check_add(&session);
    struct wire fresh;
    wire_connect(&fresh, daemon_.port);
    wire_call(&fresh, NULL, "buffer.alloc", "u", (uint64_t)1);
    wire_call(&fresh, NULL, "buffer.alloc", "u", (uint64_t)1);
    wire_close(&fresh);
}

/* ---- Disconnects --------------------------------------------------------------------------- */

/* The conversation that is cut off: everything that holds something is in it. Handles are the same
 * in every session that makes the same things in the same order, so those of `session` do: the
 * first function and the first buffer. */
static void record(msgpack_sbuffer *all, size_t *ends, size_t *count)
{
    uint8_t *bytes;
    size_t nbytes;
    make_module(1, &bytes, &nbytes);
    msgpack_sbuffer_init(all);
    *count = 0;
    wire_pack(all, 1, "hello", "s", "test");
    ends[(*count)++] = all->size;
    wire_pack(all, 2, "module.upload", "sb", "t.vta", bytes, nbytes);
    ends[(*count)++] = all->size;
    wire_pack(all, 3, "module.load", "s", "t.vta");
    ends[(*count)++] = all->size;
    wire_pack(all, 4, "buffer.alloc", "u", (uint64_t)5000);
    ends[(*count)++] = all->size;
    wire_pack(all, 5, "module.upload_begin", "su", "u.vta", (uint64_t)nbytes);
    ends[(*count)++] = all->size;
    wire_pack(all, 6, "function.get", "us", session.module, "spin");
    ends[(*count)++] = all->size;
    wire_pack(all, 7, "run", "uh", session.add, &session.buffers[0], (size_t)1);
    ends[(*count)++] = all->size;
    wire_pack(all, 8, "buffer.read", "uuu", session.buffers[0], (uint64_t)0, (uint64_t)256);
    ends[(*count)++] = all->size;
    free(bytes);
}

static void cut_off_at(const msgpack_sbuffer *all, size_t nbytes)
{
    struct wire once;
    wire_connect(&once, daemon_.port);
    wire_send(&once, all->data, nbytes);
    wire_close(&once);
}

/* Afterwards the daemon must have nothing left of them: SIGTERM ends it at once, with nothing
 * leaked where it was built to look for that. */
Test(ends, a_client_may_vanish_after_any_message)
{
    msgpack_sbuffer all;
    size_t ends[16], count;
    start(NULL, 1);
    record(&all, ends, &count);
    for (int round = 0; round < 5; round++)
        for (size_t i = 0; i < count; i++)
            cut_off_at(&all, ends[i]);
    session_check_add(&session);

    /* The conversation is what it claims to be: uncut, every request in it succeeds. */
    struct wire whole;
    wire_connect(&whole, daemon_.port);
    wire_send(&whole, all.data, all.size);
    for (uint32_t msgid = 1; msgid <= count; msgid++)
        wire_expect(&whole, msgid, NULL);
    wire_close(&whole);
    msgpack_sbuffer_destroy(&all);
}

Test(ends, a_client_may_vanish_after_any_byte)
{
    msgpack_sbuffer all;
    size_t ends[16], count;
    start(NULL, 1);
    record(&all, ends, &count);
    for (size_t nbytes = 1; nbytes < ends[0] + 40; nbytes++)
        cut_off_at(&all, nbytes);
    for (size_t nbytes = ends[1] - 20; nbytes <= all.size; nbytes++)
        cut_off_at(&all, nbytes);
    session_check_add(&session);
    msgpack_sbuffer_destroy(&all);
}

Test(ends, a_client_may_vanish_at_a_random_moment_of_a_random_conversation)
{
    start(NULL, SPINS_FOR_EVER);
    unsigned seed = (unsigned)getpid() * 2654435761u;
    cr_log_info("seed %u", seed);
    for (int round = 0; round < 60; round++) {
        struct session once;
        session_open(&once, daemon_.port, SPINS_FOR_EVER);
        int steps = rand_r(&seed) % 6;
        for (int i = 0; i < steps; i++) {
            switch (rand_r(&seed) % 4) {
            case 0:
                wire_request(&once.wire, "run", "uh", once.spin, &once.buffers[2], (size_t)1);
                break;
            case 1:
                wire_request(&once.wire, "buffer.read", "uuu", once.buffers[0], (uint64_t)0,
                             (uint64_t)256);
                break;
            case 2:
                wire_request(&once.wire, "cancel", "");
                break;
            default:
                wire_request(&once.wire, "module.download", "s", "test.vta");
                break;
            }
        }
        if (rand_r(&seed) % 2 == 0)
            wire_send(&once.wire, "\x94\x00\xcd", 3); /* half a message */
        session_close(&once);
    }
    session_check_add(&session);
}
