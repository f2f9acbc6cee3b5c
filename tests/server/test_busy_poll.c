/* The moment after an answer in which the loop does not sleep.
 */
#include <criterion/criterion.h>
#include <uv.h>

#include "server/busy_poll.h"

enum {
    HOUR_MS = 3600000
};

static uv_loop_t loop;
static uv_timer_t alarm_clock; /* something that the loop waits for */
static struct busy_poll busy;

static void on_alarm(uv_timer_t *timer)
{
    (void)timer;
    cr_assert_fail("nobody waits for an hour here");
}

static void setup(void)
{
    cr_assert_eq(uv_loop_init(&loop), 0);
    uv_timer_init(&loop, &alarm_clock);
    uv_timer_start(&alarm_clock, on_alarm, HOUR_MS, 0);
    busy_poll_open(&busy, &loop);
    uv_run(&loop, UV_RUN_NOWAIT); /* registers the loop's own descriptors */
}

static void teardown(void)
{
    uv_close((uv_handle_t *)&alarm_clock, NULL);
    busy_poll_close(&busy);
    busy_poll_close(&busy);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&loop), 0);
}

TestSuite(busy_poll, .init = setup, .fini = teardown);

static bool sleeps(void)
{
    return uv_backend_timeout(&loop) != 0;
}

Test(busy_poll, does_not_let_the_loop_sleep_after_an_answer)
{
    cr_assert(sleeps());
    busy_poll_for(&busy, 1000);
    cr_assert_not(sleeps());
}

Test(busy_poll, ends_by_itself)
{
    busy_poll_for(&busy, 100);
    while (!sleeps())
        uv_run(&loop, UV_RUN_NOWAIT);
    cr_assert_geq(uv_hrtime(), busy.until_ns);
    busy_poll_for(&busy, 1000); /* and begins again */
    cr_assert_not(sleeps());
}

Test(busy_poll, counts_from_the_last_answer)
{
    busy_poll_for(&busy, 100);
    uint64_t first = busy.until_ns;
    busy_poll_for(&busy, 1000);
    while (!sleeps())
        uv_run(&loop, UV_RUN_NOWAIT);
    cr_assert_geq(uv_hrtime(), first + 900000);
}

Test(busy_poll, ends_when_a_call_begins)
{
    busy_poll_for(&busy, 1000);
    busy_poll_stop(&busy);
    cr_assert(sleeps());
    busy_poll_stop(&busy);
}

Test(busy_poll, is_nothing_where_its_time_is_0)
{
    busy_poll_for(&busy, 0);
    cr_assert(sleeps());
}

Test(busy_poll, does_not_keep_the_loop_alive)
{
    uv_timer_stop(&alarm_clock);
    busy_poll_for(&busy, UINT64_C(3600000000));
    cr_assert_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
}

Test(busy_poll, does_not_begin_once_it_is_closed)
{
    busy_poll_close(&busy);
    busy_poll_for(&busy, 1000);
    uv_run(&loop, UV_RUN_NOWAIT);
    cr_assert(sleeps());
}
