/* The moment after an answer in which the loop does not sleep.
 */
#include <criterion/criterion.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "server/busy_poll.h"

enum {
    HOUR_MS = 3600000
};

static uv_loop_t loop;
static uv_timer_t alarm_clock; /* something that the loop waits for */
static struct busy_poll busy;
static int client;

/* What the kernel notes of a peer on this machine: where it ran when it sent. */
static void client_runs_on(int cpu)
{
    cr_assert_eq(setsockopt(client, SOL_SOCKET, SO_INCOMING_CPU, &cpu, sizeof cpu), 0);
}

static int bind_to_this_processor(void)
{
    int cpu = sched_getcpu();
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    cr_assert_eq(sched_setaffinity(0, sizeof set, &set), 0);
    return sched_getcpu();
}

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
    client = socket(AF_INET, SOCK_STREAM, 0);
    client_runs_on(bind_to_this_processor() + 1);
    uv_run(&loop, UV_RUN_NOWAIT); /* registers the loop's own descriptors */
}

static void teardown(void)
{
    uv_close((uv_handle_t *)&alarm_clock, NULL);
    busy_poll_close(&busy);
    busy_poll_close(&busy);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&loop), 0);
    close(client);
}

TestSuite(busy_poll, .init = setup, .fini = teardown);

static bool sleeps(void)
{
    return uv_backend_timeout(&loop) != 0;
}

Test(busy_poll, does_not_let_the_loop_sleep_after_an_answer)
{
    cr_assert(sleeps());
    busy_poll_for(&busy, 1000, client);
    cr_assert_not(sleeps());
}

/* Whether another program had the processor meanwhile, which this test cannot help. */
static bool was_away(void)
{
    bool was = busy.awake.not_until != 0;
    busy.awake.not_until = 0;
    return was;
}

Test(busy_poll, ends_by_itself)
{
    busy_poll_for(&busy, 100, client);
    while (!sleeps())
        uv_run(&loop, UV_RUN_NOWAIT);
    cr_assert(was_away() || uv_hrtime() >= busy.awake.until);
    busy_poll_for(&busy, 1000, client); /* and begins again */
    cr_assert_not(sleeps());
}

Test(busy_poll, counts_from_the_last_answer)
{
    busy_poll_for(&busy, 100, client);
    uint64_t first = busy.awake.until;
    busy_poll_for(&busy, 1000, client);
    while (!sleeps())
        uv_run(&loop, UV_RUN_NOWAIT);
    cr_assert(was_away() || uv_hrtime() >= first + 900000);
}

Test(busy_poll, leaves_the_processor_to_a_client_that_runs_on_it)
{
    busy_poll_for(&busy, 1000, client);
    client_runs_on(sched_getcpu());
    busy_poll_for(&busy, 1000, client);
    cr_assert(sleeps());
}

Test(busy_poll, sleeps_where_the_kernel_does_not_say_where_the_client_runs)
{
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    busy_poll_for(&busy, 1000, pair[0]);
    cr_assert(sleeps());
    close(pair[0]);
    close(pair[1]);
}

Test(busy_poll, pauses_where_another_program_had_the_processor)
{
    busy_poll_for(&busy, 1000, client);
    busy.awake.seen -= 1000000; /* as if that had been the last time that it came to look */
    uv_run(&loop, UV_RUN_NOWAIT);
    cr_assert(sleeps());
    busy_poll_for(&busy, 1000, client);
    cr_assert(sleeps());
    busy.awake.not_until = 0; /* the pause is over */
    busy_poll_for(&busy, 1000, client);
    cr_assert_not(sleeps());
}

Test(busy_poll, ends_when_a_call_begins)
{
    busy_poll_for(&busy, 1000, client);
    busy_poll_stop(&busy);
    cr_assert(sleeps());
    busy_poll_stop(&busy);
}

Test(busy_poll, is_nothing_where_its_time_is_0)
{
    busy_poll_for(&busy, 0, client);
    cr_assert(sleeps());
}

Test(busy_poll, does_not_keep_the_loop_alive)
{
    uv_timer_stop(&alarm_clock);
    busy_poll_for(&busy, UINT64_C(3600000000), client);
    cr_assert_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
}

Test(busy_poll, does_not_begin_once_it_is_closed)
{
    busy_poll_close(&busy);
    busy_poll_for(&busy, 1000, client);
    uv_run(&loop, UV_RUN_NOWAIT);
    cr_assert(sleeps());
}
