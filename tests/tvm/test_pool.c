/* Workers before they have a session: starts that fail, are overtaken by a reload, or by the
 * daemon's end. The worker program is a script that becomes the real one, or does not.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "board.h"

static struct daemon daemon_;
static struct client client;
static char program[128];

static void setup(void)
{
    daemon_init(&daemon_);
    snprintf(program, sizeof program, "%s/worker", daemon_.dir);
}

static void teardown(void)
{
    client_close(&client);
    if (daemon_.pid > 0)
        board_stop(&daemon_);
    daemon_clear(&daemon_);
}

TestSuite(pool, .init = setup, .fini = teardown);

/* While the file `bad` is there, a worker does this, having made the file `did`. */
static void start_with(const char *script)
{
    FILE *file = fopen(program, "w");
    cr_assert_not_null(file);
    fprintf(file,
            "#!/bin/sh\ncd '%s'\nif [ -e bad ]; then : > did; %s; fi\n"
            "exec " VTAD_WORKER_PATH " \"$@\"\n",
            daemon_.dir, script);
    fclose(file);
    cr_assert_eq(chmod(program, 0755), 0);
    char path[160];
    snprintf(path, sizeof path, "%s/bad", daemon_.dir);
    file = fopen(path, "w");
    cr_assert_not_null(file);
    fclose(file);
    board_start(&daemon_,
                (const char *const[]){ "--tvm-worker", program, "--tvm-pool", "1", NULL });
}

static void wait_for_a_start(void)
{
    const struct timespec pause = { .tv_nsec = 10000000 };
    char path[160];
    snprintf(path, sizeof path, "%s/did", daemon_.dir);
    for (int i = 0; i < WAIT_MS / 10; i++, nanosleep(&pause, NULL))
        if (access(path, F_OK) == 0)
            return;
    cr_assert_fail("no worker was started");
}

/* From the reload on, workers are good. */
static void mend_and_reload(void)
{
    char path[160];
    snprintf(path, sizeof path, "%s/bad", daemon_.dir);
    cr_assert_eq(unlink(path), 0);
    daemon_signal(&daemon_, SIGHUP);
    daemon_wait_log(&daemon_, "reload: done");
}

Test(pool, takes_a_worker_that_breaks_the_rules_before_it_is_ready_for_a_failed_start)
{
    start_with("echo garbage >&0; exec sleep 1000");
    for (int i = 0; i < 2; i++)
        daemon_wait_log(&daemon_, "a TVM worker could not be started: the worker does not keep to "
                                  "the channel's rules (signal 9");
    cr_assert_eq(client_greet(&client, daemon_.port, "client:"), 0);
}

Test(pool, starts_at_once_after_a_reload_whatever_has_failed_before)
{
    start_with("exit 3");
    for (int i = 0; i < 3; i++)
        daemon_wait_log(&daemon_, "could not be started: the process died (exit status 3)");
    mend_and_reload();
    board_check(&daemon_); /* what was started before fails for nobody */
}

Test(pool, counts_no_start_that_a_reload_has_overtaken_as_failed)
{
    start_with("exec sleep 1000");
    wait_for_a_start();
    mend_and_reload();
    daemon_wait_log(&daemon_, "is ready");
    board_check(&daemon_);
    board_expect(&daemon_, 1, 1, 0); /* a worker and its folder */
    cr_assert(!daemon_has_logged(&daemon_, "could not be started"));
    cr_assert(!daemon_has_logged(&daemon_, "idle worker"));
}

Test(pool, of_a_daemon_that_stops_waits_for_no_start)
{
    start_with("exec sleep 1000");
    wait_for_a_start();
    board_stop(&daemon_);
    cr_assert(!daemon_has_logged(&daemon_, "could not be started"));
}

Test(pool, replaces_workers_that_wait_at_a_reload)
{
    board_start(&daemon_, (const char *const[]){ "--tvm-pool", "2", NULL });
    for (int i = 0; i < 2; i++)
        daemon_wait_log(&daemon_, "is ready");
    daemon_signal(&daemon_, SIGHUP);
    for (int i = 0; i < 2; i++)
        daemon_wait_log(&daemon_, "is ready");
    board_expect(&daemon_, 2, 2, 0);
    cr_assert(!daemon_has_logged(&daemon_, "idle worker"));
}

Test(pool, serves_again_after_a_reload_turned_tvm_off_while_a_worker_started)
{
    start_with("exec sleep 1000");
    wait_for_a_start();
    daemon_write_config(&daemon_, "{\"tvm\": \"off\"}");
    daemon_signal(&daemon_, SIGHUP);
    daemon_wait_log(&daemon_, "reload: done");
    board_expect(&daemon_, 0, 0, 0);
    cr_assert_eq(client_greet(&client, daemon_.port, "client:"), 0);
    client_close(&client);
    daemon_write_config(&daemon_, "{}");
    mend_and_reload();
    board_check(&daemon_);
    cr_assert(!daemon_has_logged(&daemon_, "could not be started"));
}
