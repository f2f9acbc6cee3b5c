/* The process that workers are forked from: many sessions at once, its death, and programs that are
 * none. The worker program is a script that becomes the real one, or does not.
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "board.h"

#define FIFTY 50

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

TestSuite(template, .init = setup, .fini = teardown);

/* While the file `bad` is there, the program does this, having made the file `did`. */
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
    board_start(&daemon_, (const char *const[]){ "--tvm-worker", program, NULL });
}

static void wait_for_a_start(void)
{
    const struct timespec pause = { .tv_nsec = 10000000 };
    char path[160];
    snprintf(path, sizeof path, "%s/did", daemon_.dir);
    for (int i = 0; i < WAIT_MS / 10; i++, nanosleep(&pause, NULL))
        if (access(path, F_OK) == 0)
            return;
    cr_assert_fail("no template was started");
}

/* From now on, templates are good. */
static void mend(void)
{
    char path[160];
    snprintf(path, sizeof path, "%s/bad", daemon_.dir);
    cr_assert_eq(unlink(path), 0);
}

static void mend_and_reload(void)
{
    mend();
    daemon_signal(&daemon_, SIGHUP);
    daemon_wait_log(&daemon_, "reload: done");
}

/* Starts, and returns the template, which is then the daemon's only process. */
static int start(void)
{
    int pid;
    board_start(&daemon_, NULL);
    daemon_wait_log(&daemon_, "TVM sessions run in a box of ");
    board_expect(&daemon_, 1, 0, 0);
    cr_assert_eq(board_pids(&daemon_, &pid, 1), 1);
    return pid;
}

static void kill_template(int pid)
{
    cr_assert_eq(kill(pid, SIGKILL), 0);
    daemon_wait_log(&daemon_, "warning: the template of TVM workers has ended (signal 9");
}

/* ---- Sessions ------------------------------------------------------------------------------- */

Test(template, serves_fifty_sessions_that_begin_at_once)
{
    static struct client clients[FIFTY];
    uint8_t bytes[64];
    struct packet packet;
    start();
    for (int i = 0; i < FIFTY; i++) {
        client_connect(&clients[i], daemon_.port);
        client_send(&clients[i], bytes, greeting(bytes, "client:"));
    }
    for (int i = 0; i < FIFTY; i++) {
        cr_assert(client_read(&clients[i], bytes, 15));
        packet_init_server(&packet);
        packet_send(&clients[i], &packet);
    }
    for (int i = 0; i < FIFTY; i++)
        cr_assert_eq(client_answer(&clients[i], 0).packet, 4);
    board_expect(&daemon_, FIFTY + 1, FIFTY, 0);
    for (int i = 0; i < FIFTY; i++) {
        uint64_t add = board_kernel(&clients[i], "add");
        struct answer answer = client_call(&clients[i], add, "ii", (uint64_t)i, UINT64_C(1));
        expect_int(&answer, i + 1);
        client_close(&clients[i]);
    }
    board_expect(&daemon_, 1, 0, 0);
}

Test(template, is_replaced_when_it_dies_and_sessions_go_on)
{
    int template = start();
    client_open(&client, daemon_.port);
    uint64_t add = board_kernel(&client, "add");
    for (int i = 0; i < 3; i++) {
        kill_template(template);
        board_check(&daemon_); /* whether the next one is there already or not */
        struct answer answer = client_call(&client, add, "ii", UINT64_C(40), UINT64_C(2));
        expect_int(&answer, 42);
        daemon_wait_log(&daemon_, "TVM sessions run in a box of ");
        int pids[2];
        board_expect(&daemon_, 2, 1, 0);
        cr_assert_eq(board_pids(&daemon_, pids, 2), 2);
        template = pids[1]; /* the older one is the worker */
    }
}

Test(template, is_replaced_when_it_dies_and_no_session_is_there)
{
    int template = start();
    for (int i = 0; i < 3; i++) {
        kill_template(template);
        daemon_wait_log(&daemon_, "TVM sessions run in a box of ");
        board_expect(&daemon_, 1, 0, 0);
        cr_assert_eq(board_pids(&daemon_, &template, 1), 1);
    }
    board_check(&daemon_);
}

/* A template that is stopped forks nothing. */
Test(template, leaves_who_waits_to_the_next_one)
{
    struct packet packet;
    int template = start();
    cr_assert_eq(kill(template, SIGSTOP), 0);
    cr_assert_eq(client_greet(&client, daemon_.port, "client:"), MAGIC);
    packet_init_server(&packet);
    packet_send(&client, &packet);
    struct pollfd fd = { .fd = client.fd, .events = POLLIN };
    cr_assert_eq(poll(&fd, 1, 0), 0);
    kill_template(template);
    cr_assert_eq(client_answer(&client, 0).packet, 4);
    uint64_t add = board_kernel(&client, "add");
    struct answer answer = client_call(&client, add, "ii", UINT64_C(40), UINT64_C(2));
    expect_int(&answer, 42);
}

Test(template, that_dies_while_a_session_begins_costs_no_session)
{
    struct packet packet;
    uint8_t bytes[64];
    int template = start();
    for (int i = 0; i < 10; i++) {
        client_connect(&client, daemon_.port);
        client_send(&client, bytes, greeting(bytes, "client:"));
        kill_template(template);
        cr_assert(client_read(&client, bytes, 15));
        packet_init_server(&packet);
        packet_send(&client, &packet);
        cr_assert_eq(client_answer(&client, 0).packet, 4);
        client_close(&client);
        daemon_wait_log(&daemon_, "ended: the client closed");
        board_expect(&daemon_, 1, 0, 0);
        cr_assert_eq(board_pids(&daemon_, &template, 1), 1);
    }
}

Test(template, that_takes_no_wish_does_not_hold_up_the_end)
{
    cr_assert_eq(kill(start(), SIGSTOP), 0);
    cr_assert_eq(client_greet(&client, daemon_.port, "client:"), MAGIC);
    board_stop(&daemon_);
    cr_assert(daemon_has_logged(&daemon_, "ended: the server stops"));
    client_expect_end(&client);
}

/* KiB that a process has for itself, and its part of what it shares. */
static unsigned long memory_of(int pid)
{
    char path[64], line[256];
    unsigned long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "Pss: %lu", &kib) == 1)
            break;
    fclose(file);
    cr_assert_gt(kib, 0);
    return kib;
}

Test(template, and_daemon_are_small_while_nobody_is_there)
{
    if (VTA_SANITIZED)
        cr_skip("sanitised processes are larger");
    unsigned long kib = memory_of(start());
    kib += memory_of(daemon_.pid);
    cr_assert_lt(kib, 10240, "%lu KiB", kib);
}

/* ---- Starts --------------------------------------------------------------------------------- */

Test(template, that_cannot_start_is_tried_again_and_sessions_are_refused_meanwhile)
{
    start_with("exit 3");
    for (int i = 0; i < 3; i++)
        daemon_wait_log(&daemon_, "could not be started: the process died (exit status 3)");
    cr_assert_eq(client_greet(&client, daemon_.port, "client:"), 0);
    client_expect_end(&client);
    mend();
    daemon_wait_log(&daemon_, "TVM sessions run in a box of ");
    board_check(&daemon_);
}

Test(template, starts_at_once_after_a_reload_whatever_has_failed_before)
{
    start_with("exit 3");
    for (int i = 0; i < 3; i++)
        daemon_wait_log(&daemon_, "could not be started: the process died (exit status 3)");
    mend_and_reload();
    board_check(&daemon_); /* what was started before fails for nobody */
}

Test(template, of_a_daemon_that_stops_is_not_waited_for)
{
    start_with("exec sleep 1000");
    wait_for_a_start();
    board_stop(&daemon_);
    cr_assert(!daemon_has_logged(&daemon_, "could not be started"));
}

Test(template, stays_at_a_reload)
{
    int pid, template = start();
    daemon_signal(&daemon_, SIGHUP);
    daemon_wait_log(&daemon_, "TVM sessions run in a box of ");
    board_expect(&daemon_, 1, 0, 0);
    cr_assert_eq(board_pids(&daemon_, &pid, 1), 1);
    cr_assert_eq(pid, template);
}

Test(template, serves_again_after_a_reload_turned_tvm_off_while_it_started)
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
