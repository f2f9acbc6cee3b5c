/* test_clock.c: the configuration's profile and clock, as a client sees them.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#include "session.h"

static struct daemon daemon_;
static struct session session;

static void setup(void)
{
    daemon_init(&daemon_);
}

static void teardown(void)
{
    session_close(&session);
    if (daemon_.pid > 0)
        daemon_stop(&daemon_);
    daemon_clear(&daemon_);
}

TestSuite(clock, .init = setup, .fini = teardown);

static double first_time(void)
{
    const msgpack_object *times =
        wire_call(&session.wire, NULL, "time_evaluator", "uhuuu", session.add, session.buffers,
                  (size_t)3, (uint64_t)1, (uint64_t)2, (uint64_t)0);
    cr_assert_eq(times->via.array.size, 2);
    double first = times->via.array.ptr[0].via.f64;
    return first;
}

static uint64_t board_ns(void)
{
    const msgpack_object *run =
        wire_call(&session.wire, NULL, "run", "uh", session.add, session.buffers, (size_t)3);
    cr_assert_gt(wire_uint(wire_get(run, "wall_ns")), 0);
    return wire_uint(wire_get(run, "board_ns"));
}

Test(clock, is_the_boards_where_the_configuration_says_so)
{
    const char *const flags[] = { "--clock", "board", "--profile", "1x16-2019-08", NULL };
    daemon_start(&daemon_, flags);
    session_open(&session, daemon_.port, 1);
    uint64_t ns = board_ns();
    cr_assert_float_eq(first_time(), (double)ns * 1e-9, 1e-15);

    wire_call(&session.wire, NULL, "board.timing", "ns", "host");
    wire_call(&session.wire, NULL, "board.timing", "s", "ultra96");
    cr_assert_lt(board_ns(), ns);
    session_check_add(&session);
}

Test(clock, changes_for_new_sessions_at_a_reload)
{
    daemon_write_config(&daemon_, "{\"profile\": \"1x16-2019-08\"}");
    daemon_start(&daemon_, NULL);
    session_open(&session, daemon_.port, 1);
    uint64_t slow = board_ns();
    daemon_write_config(&daemon_, "{\"profile\": \"ultra96\", \"clock\": \"board\"}");
    daemon_signal(&daemon_, SIGHUP);
    daemon_wait_log(&daemon_, "reload: profile has changed, for new sessions");
    daemon_wait_log(&daemon_, "reload: clock has changed, for new sessions");
    daemon_wait_log(&daemon_, "reload: done");
    cr_assert_eq(board_ns(), slow, "a session keeps what it started with");
    session_close(&session);
    session_open(&session, daemon_.port, 1);
    uint64_t fast = board_ns();
    cr_assert_lt(fast, slow);
    cr_assert_float_eq(first_time(), (double)fast * 1e-9, 1e-15);
}
