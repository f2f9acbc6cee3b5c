/* Each limit, and what a client is told when it passes it.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

static struct daemon daemon_;
static struct wire wire;

static void setup(void)
{
    daemon_init(&daemon_);
}

static void teardown(void)
{
    if (wire.fd > 0)
        wire_close(&wire);
    if (daemon_.pid > 0)
        daemon_stop(&daemon_);
    daemon_clear(&daemon_);
}

TestSuite(limits, .init = setup, .fini = teardown);

static void start(const char *flag, const char *value)
{
    const char *const flags[] = { flag, value, NULL };
    daemon_start(&daemon_, flags);
    wire_connect(&wire, daemon_.port);
}

static void expect_limit(uint64_t limit)
{
    cr_assert_eq(wire_uint(wire_get(&wire.error, "limit")), limit);
}

Test(limits, one_session_too_many_is_told_so_and_closed)
{
    start("--max-sessions", "3");
    struct wire more[2], extra;
    for (int i = 0; i < 2; i++) {
        wire_connect(&more[i], daemon_.port);
        wire_call(&more[i], NULL, "ping", "");
    }
    wire_call(&wire, NULL, "ping", "");
    wire_connect(&extra, daemon_.port);
    wire_expect(&extra, 0, "limit");
    cr_assert(wire_says(&extra, "max_sessions"));
    wire_expect_end(&extra);
    wire_close(&extra);
    daemon_wait_log(&daemon_, "connection 4 from ");

    wire_close(&more[0]); /* and then there is room again */
    daemon_wait_log(&daemon_, "ended: the peer closed");
    wire_connect(&more[0], daemon_.port);
    wire_call(&more[0], NULL, "ping", "");
    for (int i = 0; i < 2; i++)
        wire_close(&more[i]);
}

Test(limits, a_refused_connection_that_stays_open_takes_no_place)
{
    start("--max-sessions", "1");
    struct wire refused, next;
    wire_call(&wire, NULL, "ping", "");
    wire_connect(&refused, daemon_.port);
    wire_expect(&refused, 0, "limit");
    wire_close(&wire);
    daemon_wait_log(&daemon_, "ended: the peer closed");
    wire_connect(&next, daemon_.port);
    wire_call(&next, NULL, "ping", "");
    wire_close(&next);
    wire_close(&refused);
    wire_connect(&wire, daemon_.port);
}

Test(limits, dram_of_a_board)
{
    start("--dram-bytes", "1MiB");
    wire_call(&wire, NULL, "buffer.alloc", "u", (uint64_t)(512 << 10));
    wire_call(&wire, "limit", "buffer.alloc", "u", (uint64_t)(768 << 10));
    expect_limit(1 << 20);
}

Test(limits, buffers_of_a_session)
{
    start("--max-buffers", "2");
    wire_call(&wire, NULL, "buffer.alloc", "u", (uint64_t)1);
    wire_call(&wire, NULL, "buffer.alloc", "u", (uint64_t)1);
    wire_call(&wire, "limit", "buffer.alloc", "u", (uint64_t)1);
    expect_limit(2);
}

Test(limits, modules_of_a_session)
{
    uint8_t *bytes;
    size_t nbytes;
    make_module(1, &bytes, &nbytes);
    start("--max-modules", "1");
    wire_call(&wire, NULL, "module.upload", "sb", "a", bytes, nbytes);
    wire_call(&wire, NULL, "module.upload", "sb", "a", bytes, nbytes);
    wire_call(&wire, "limit", "module.upload", "sb", "b", bytes, nbytes);
    expect_limit(1);
    free(bytes);
}

Test(limits, functions_of_a_session)
{
    uint8_t *bytes;
    size_t nbytes;
    make_module(1, &bytes, &nbytes);
    start("--max-functions", "1");
    wire_call(&wire, NULL, "module.upload", "sb", "a", bytes, nbytes);
    uint64_t module =
        wire_uint(wire_get(wire_call(&wire, NULL, "module.load", "s", "a"), "module"));
    wire_call(&wire, NULL, "function.get", "us", module, "add");
    wire_call(&wire, "limit", "function.get", "us", module, "spin");
    expect_limit(1);
    free(bytes);
}

Test(limits, bytes_of_uploads)
{
    start("--max-upload-bytes", "4096");
    wire_call(&wire, "limit", "module.upload_begin", "su", "a", (uint64_t)5000);
    expect_limit(4096);
}

Test(limits, bytes_of_a_read)
{
    start("--max-read-bytes", "1024");
    uint64_t buffer = wire_uint(wire_call(&wire, NULL, "buffer.alloc", "u", (uint64_t)4096));
    wire_call(&wire, NULL, "buffer.read", "uuu", buffer, (uint64_t)0, (uint64_t)1024);
    wire_call(&wire, "limit", "buffer.read", "uuu", buffer, (uint64_t)0, (uint64_t)1025);
    expect_limit(1024);
}

Test(limits, runs_of_a_time_evaluator)
{
    static struct session session;
    start("--max-evaluations", "10");
    session_open(&session, daemon_.port, 1);
    wire_call(&session.wire, "limit", "time_evaluator", "uhuuu", session.add, session.buffers,
              (size_t)3, (uint64_t)10, (uint64_t)10, (uint64_t)0);
    session_close(&session);
}

Test(limits, work_of_a_run)
{
    uint8_t *bytes;
    size_t nbytes;
    make_module(1, &bytes, &nbytes);
    start("--max-work", "1000");
    wire_call(&wire, NULL, "module.upload", "sb", "a", bytes, nbytes);
    wire_call(&wire, "refused-work", "module.load", "s", "a");
    expect_limit(1000);
    free(bytes);
}

Test(limits, a_message_that_is_too_long_ends_the_session)
{
    start("--max-message-bytes", "4096");
    wire_call(&wire, NULL, "hello", "");
    cr_assert_eq(wire_uint(wire_get(wire_get(&wire.result, "limits"), "message_bytes")), 4096);
    static uint8_t bytes[5000];
    uint64_t buffer = wire_uint(wire_call(&wire, NULL, "buffer.alloc", "u", (uint64_t)8192));
    wire_request(&wire, "buffer.write", "uub", buffer, (uint64_t)0, bytes, sizeof bytes);
    wire_expect(&wire, 0, "limit");
    expect_limit(4096);
    wire_expect_end(&wire);
}

Test(limits, an_announced_length_costs_nothing_and_is_refused)
{
    start("--max-message-bytes", "1MiB");
    wire_send(&wire, "\x94\x00\x01\xa4ping\x91\xc6\xff\xff\xff\xff", 15);
    wire_expect(&wire, 0, "limit");
    wire_expect_end(&wire);
}

Test(limits, what_is_not_messagepack_rpc_ends_the_session)
{
    start("--max-sessions", "10");
    wire_call(&wire, NULL, "ping", "");
    wire_send(&wire, "\xc1", 1);
    wire_expect(&wire, 0, "protocol");
    wire_expect_end(&wire);
    wire_close(&wire);

    static const char *const wrong[] = { "\x90", "\x93\x00\x01\xa1x", "\x94\x07\x01\xa1x\x90",
                                         "\x94\x00\x01\xa1x\xc0", "\x94\x01\x05\xc0\xc0" };
    static const size_t sizes[] = { 1, 5, 6, 6, 5 };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        wire_connect(&wire, daemon_.port);
        wire_send(&wire, wrong[i], sizes[i]);
        wire_expect(&wire, 0, "protocol");
        wire_expect_end(&wire);
        wire_close(&wire);
    }
    wire_connect(&wire, daemon_.port);
}

Test(limits, an_idle_session_is_told_so_and_closed)
{
    start("--idle-timeout-s", "1");
    wire_call(&wire, NULL, "ping", "");
    wire_expect(&wire, 0, "timeout");
    expect_limit(1);
    wire_expect_end(&wire);
}

Test(limits, a_session_that_runs_is_not_idle)
{
    static struct session session;
    start("--idle-timeout-s", "1");
    session_open(&session, daemon_.port, SPINS_FOR_EVER);
    wire_call(&session.wire, "deadline", "run", "uho", session.spin, &session.buffers[2], (size_t)1,
              "deadline_ms", (uint64_t)2500);
    wire_call(&session.wire, NULL, "ping", "");
    session_close(&session);
}

Test(limits, a_connection_that_says_nothing_is_closed)
{
    start("--handshake-timeout-ms", "100");
    wire_expect_end(&wire);
    daemon_wait_log(&daemon_, "no protocol within 100 ms");
}

Test(limits, idle_time_can_be_limited_by_a_reload)
{
    start("--max-sessions", "4");
    wire_call(&wire, NULL, "ping", "");
    daemon_write_config(&daemon_, "{\"idle_timeout_s\": 1}");
    daemon_signal(&daemon_, SIGHUP);
    wire_expect(&wire, 0, "timeout");
    wire_expect_end(&wire);
}
