/* How long a worker's session may go on.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "server/config.h"
#include "server/worker_limits.h"

static struct config config;
static char reason[160];

static uint64_t check(struct worker_times times)
{
    memset(reason, 0, sizeof reason);
    return worker_limits_check(&times, &config, reason, sizeof reason);
}

static void setup(void)
{
    config.tvm_call_deadline_ms = 500;
    config.idle_timeout_s = 2;
    config.grace_ms = 300;
}

TestSuite(worker_limits, .init = setup);

Test(worker_limits, looks_again_when_the_first_one_could_pass)
{
    cr_assert_eq(check((struct worker_times){ .busy = true, .spent = 100 }), 900,
                 "and half a second more");
    cr_assert_eq(check((struct worker_times){ .busy = true, .spent = 999 }), 1);
    cr_assert_eq(check((struct worker_times){ .busy = true, .spent = 100, .timeout = 150 }), 150);
    cr_assert_eq(
        check((struct worker_times){ .busy = true, .spent = 100, .timeout = 150, .age = 149 }), 1);
    cr_assert_eq(check((struct worker_times){ .busy = true, .alone = true, .left = 200 }), 100);
    cr_assert_str_empty(reason);
}

Test(worker_limits, looks_at_a_session_that_waits_as_if_it_worked_from_now_on)
{
    cr_assert_eq(check((struct worker_times){ .spent = 100 }), 1000);
    cr_assert_eq(check((struct worker_times){ .spent = 1900 }), 100);
}

Test(worker_limits, looks_at_a_session_that_works_as_if_it_waited_from_now_on)
{
    config.tvm_call_deadline_ms = 0;
    cr_assert_eq(check((struct worker_times){ .busy = true, .spent = 100000 }), 2000);
}

Test(worker_limits, do_not_exist_where_they_are_zero)
{
    config.tvm_call_deadline_ms = config.idle_timeout_s = 0;
    cr_assert_eq(check((struct worker_times){ .busy = true, .spent = 100000 }), UINT64_MAX);
    cr_assert_eq(check((struct worker_times){ .spent = 100000 }), UINT64_MAX);
}

Test(worker_limits, say_which_one_has_passed)
{
    static const struct {
        struct worker_times times;
        const char *reason;
    } rows[] = {
        { { .alone = true, .left = 300 }, "the client closed, and a call went on for 300 ms more" },
        { { .timeout = 1500, .age = 1500 }, "the client's own -timeout of 1.500 s has passed" },
        { { .busy = true, .spent = 1000 },
          "a call took 1000 ms, the limit is 500 (tvm_call_deadline_ms)" },
        { { .spent = 2000 }, "the session was idle for 2 s, the limit is 2 s" }
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_assert_eq(check(rows[i].times), 0, "row %zu", i);
        cr_assert_str_eq(reason, rows[i].reason);
    }
}

Test(worker_limits, of_no_grace_end_a_session_with_its_client)
{
    config.grace_ms = 0;
    cr_assert_eq(check((struct worker_times){ .busy = true, .alone = true }), 0);
}
