/* How TVM sessions end: crashes, hangs, limits, time-outs, and the daemon's own end. In each case
 * the client sees the connection close, the log says why, and the next session is served.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "board.h"
#include "worker/channel.h"

static struct daemon daemon_;
static struct client client;

static void setup(void)
{
    daemon_init(&daemon_);
}

static void teardown(void)
{
    client_close(&client);
    if (daemon_.pid > 0)
        board_stop(&daemon_);
    daemon_clear(&daemon_);
}

TestSuite(tvm_ends, .init = setup, .fini = teardown);

#define FLAGS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* Calls a kernel that does not come back: the connection must close. */
static void call_to_the_end(const char *kernel, const char *log)
{
    client_open(&client, daemon_.port);
    struct answer answer = client_call(&client, board_kernel(&client, kernel), "i", UINT64_C(3));
    cr_assert_eq(answer.packet, 0, "%s was answered: packet %u", kernel, answer.packet);
    client_close(&client);
    const char *line = daemon_wait_log(&daemon_, "ended: ");
    cr_assert_not_null(strstr(line, log), "%s: '%s' is not in: %s", kernel, log, line);
}

Test(tvm_ends, a_worker_that_crashes_is_one_session_and_a_line_in_the_log)
{
    static const struct {
        const char *kernel, *log;
    } rows[] = {
        { "segfault", "signal 11" },       { "abort_process", "signal 6" },
        { "divide_by_zero", "signal 8" },  { "exit_process", "exit status 3" },
        { "overflow_stack", "signal 11" }, { "close_everything", "the worker process died" }
    };
    board_start(&daemon_, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        /* A sanitizer turns a signal into an exit. */
        call_to_the_end(rows[i].kernel, VTA_SANITIZED ? "the worker process died" : rows[i].log);
        board_check(&daemon_);
        daemon_wait_log(&daemon_, "ended: the client closed");
    }
}

Test(tvm_ends, a_crash_names_the_function_and_the_offset_in_it)
{
    static const char *const files[] = { MISBEHAVE_O, MISBEHAVE_SO };
    board_start(&daemon_, NULL);
    for (int i = 0; i < 2; i++) {
        client_open(&client, daemon_.port);
        const uint64_t kernel = client_kernel(&client, client_load(&client, files[i]), "segfault");
        struct answer answer = client_call(&client, kernel, "i", UINT64_C(3));
        cr_assert_eq(answer.packet, 0);
        client_close(&client);
        const char *line = daemon_wait_log(&daemon_, "SIGSEGV");
        cr_expect_not_null(strstr(line, "in segfault+0x"), "%s", line);
        cr_expect_not_null(strstr(line, strrchr(files[i], '/') + 1), "%s", line);
        daemon_wait_log(&daemon_, "ended: ");
    }
}

Test(tvm_ends, a_call_past_its_deadline_is_killed)
{
    board_start(&daemon_, FLAGS("--tvm-call-deadline-ms", "300"));
    call_to_the_end("loop_for_ever", "the limit is 300 (tvm_call_deadline_ms)");
    call_to_the_end("sleep_for_ever", "the limit is 300 (tvm_call_deadline_ms)");
    board_check(&daemon_);
}

Test(tvm_ends, a_call_that_comes_with_the_handshake_has_a_deadline_too)
{
    char *bytes;
    size_t nbytes;
    board_start(&daemon_, FLAGS("--tvm-call-deadline-ms", "300"));
    client_record = open_memstream(&bytes, &nbytes);
    call_to_the_end("sleep_for_ever", "the limit is 300 (tvm_call_deadline_ms)");
    fclose(client_record);
    client_record = NULL;
    client_connect(&client, daemon_.port); /* handles are the same in each session */
    client_send(&client, bytes, nbytes);
    daemon_wait_log(&daemon_, "the limit is 300 (tvm_call_deadline_ms)");
    free(bytes);
}

/* Opens a session whose machine code says to the daemon that the session has ended well. */
static void forge_last_words(void)
{
    client_open(&client, daemon_.port);
    struct answer answer = client_call(&client, board_kernel(&client, "say"), "isi",
                                       (uint64_t)CHANNEL_ENDED, "the client closed", UINT64_C(1));
    expect_int(&answer, 1);
}

Test(tvm_ends, a_crash_is_logged_whatever_machine_code_has_said_before)
{
    board_start(&daemon_, NULL);
    forge_last_words();
    cr_assert_eq(client_call(&client, board_kernel(&client, "segfault"), "").packet, 0);
    cr_assert_not_null(strstr(daemon_wait_log(&daemon_, "ended: "), "the worker process died"));
}

Test(tvm_ends, a_deadline_is_logged_whatever_machine_code_has_said_before)
{
    board_start(&daemon_, FLAGS("--tvm-call-deadline-ms", "300"));
    forge_last_words();
    cr_assert_eq(client_call(&client, board_kernel(&client, "loop_for_ever"), "").packet, 0);
    cr_assert_not_null(strstr(daemon_wait_log(&daemon_, "ended: "), "the limit is 300"));
}

Test(tvm_ends, machine_code_that_says_too_much_to_the_daemon_has_to_wait)
{
    board_start(&daemon_, FLAGS("--tvm-call-deadline-ms", "1000"));
    client_open(&client, daemon_.port);
    struct answer answer = client_call(&client, board_kernel(&client, "say"), "isi",
                                       (uint64_t)CHANNEL_ENDED, "word", UINT64_C(5000));
    cr_assert_eq(answer.packet, 0, "5000 messages were taken within a second");
    board_check(&daemon_);
}

Test(tvm_ends, a_session_that_only_waits_has_no_deadline)
{
    const struct timespec pause = { .tv_nsec = 600000000 };
    board_start(&daemon_, FLAGS("--tvm-call-deadline-ms", "200"));
    client_open(&client, daemon_.port);
    nanosleep(&pause, NULL);
    cr_assert_neq(client_function(&client, "tvm.rpc.server.upload"), 0);
}

Test(tvm_ends, a_session_ends_at_the_timeout_that_its_client_asks_for)
{
    board_start(&daemon_, NULL);
    cr_assert_eq(client_greet(&client, daemon_.port, "client: -timeout=0.3"), MAGIC);
    client_expect_end(&client);
    daemon_wait_log(&daemon_, "the client's own -timeout of 0.300 s has passed");
}

Test(tvm_ends, a_session_that_is_idle_for_too_long_ends)
{
    board_start(&daemon_, FLAGS("--idle-timeout-s", "1"));
    client_open(&client, daemon_.port);
    client_expect_end(&client);
    daemon_wait_log(&daemon_, "the session was idle for 1 s, the limit is 1 s");
}

Test(tvm_ends, processor_time_is_limited)
{
    board_start(&daemon_, FLAGS("--tvm-cpu-s", "1"));
    call_to_the_end("loop_for_ever", "the worker process died");
}

Test(tvm_ends, a_peer_that_closes_in_the_middle_of_a_packet_ends_its_session)
{
    struct packet packet;
    board_start(&daemon_, NULL);
    client_open(&client, daemon_.port);
    packet_begin(&packet, 3);
    packet_u64(&packet, 1);
    client_send(&client, packet.bytes, packet.size - 3);
    client_close(&client);
    daemon_wait_log(&daemon_, "ended: ");
    board_check(&daemon_);
}

Test(tvm_ends, garbage_after_the_handshake_ends_the_session)
{
    uint8_t bytes[256];
    memset(bytes, 0xa5, sizeof bytes);
    board_start(&daemon_, NULL);
    cr_assert_eq(client_greet(&client, daemon_.port, "client:"), MAGIC);
    client_send(&client, bytes, sizeof bytes);
    client_send(&client, bytes, sizeof bytes);
    while (client_read(&client, bytes, 1)) /* an exception may come first */
        ;
    daemon_wait_log(&daemon_, "ended: ");
    board_check(&daemon_);
}

/* ---- The daemon's end ---------------------------------------------------------------------- */

Test(tvm_ends, a_daemon_that_stops_ends_idle_sessions_at_once)
{
    board_start(&daemon_, FLAGS("--grace-ms", "600000"));
    client_open(&client, daemon_.port);
    daemon_signal(&daemon_, SIGTERM);
    client_expect_end(&client);
    cr_assert_eq(daemon_wait(&daemon_), 0);
    cr_assert(daemon_has_logged(&daemon_, "ended: the server stops"));
}

/* Sends a call and waits until the kernel is at work. */
static void begin_call(const char *kernel, uint64_t milliseconds)
{
    struct packet packet;
    client_open(&client, daemon_.port);
    uint64_t nap = board_kernel(&client, kernel);
    packet_begin(&packet, 3);
    packet_u64(&packet, nap);
    packet_values(&packet, "i", milliseconds);
    packet_send(&client, &packet);
    board_wait_at_work(&daemon_);
}

Test(tvm_ends, a_daemon_that_stops_lets_a_request_finish)
{
    board_start(&daemon_, FLAGS("--grace-ms", "600000"));
    begin_call("nap", 1500);
    daemon_signal(&daemon_, SIGTERM);
    struct answer answer = client_answer(&client, 1);
    expect_int(&answer, 1500);
    client_expect_end(&client);
    cr_assert_eq(daemon_wait(&daemon_), 0);
}

Test(tvm_ends, a_daemon_that_stops_kills_what_does_not_finish_in_time)
{
    board_start(&daemon_, FLAGS("--grace-ms", "300"));
    begin_call("loop_for_ever", 0);
    daemon_signal(&daemon_, SIGTERM);
    client_expect_end(&client);
    cr_assert_eq(daemon_wait(&daemon_), 0);
    cr_assert(daemon_has_logged(&daemon_, "ended: the server stops"));
}

Test(tvm_ends, a_call_whose_client_is_gone_is_killed_after_a_while)
{
    board_start(&daemon_, FLAGS("--grace-ms", "300"));
    begin_call("loop_for_ever", 0);
    client_close(&client);
    daemon_wait_log(&daemon_, "ended: the client closed, and a call went on");
    board_check(&daemon_);
}

Test(tvm_ends, a_client_that_says_that_nothing_more_comes_gets_its_answer)
{
    board_start(&daemon_, NULL);
    begin_call("nap", 300);
    cr_assert_eq(shutdown(client.fd, SHUT_WR), 0);
    struct answer answer = client_answer(&client, 1);
    expect_int(&answer, 300);
    client_expect_end(&client);
    daemon_wait_log(&daemon_, "ended: the client closed; ");
}

/* Whether a process is there and has not ended. */
static bool is_alive(int pid)
{
    char path[64], state = 'X';
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    if (fscanf(file, "%*d %*s %c", &state) != 1)
        state = 'X';
    fclose(file);
    return state != 'Z' && state != 'X';
}

static void expect_gone(int pid)
{
    const struct timespec pause = { .tv_nsec = 10000000 };
    for (int i = 0; i < WAIT_MS / 10; i++, nanosleep(&pause, NULL))
        if (!is_alive(pid))
            return;
    cr_assert_fail("process %d is still there", pid);
}

Test(tvm_ends, workers_do_not_outlive_a_daemon_that_is_killed_and_its_folder_goes_with_the_next)
{
    int pids[2];
    board_start(&daemon_, NULL);
    begin_call("loop_for_ever", 0); /* so that it does not look at its channel */
    board_expect(&daemon_, 2, 1, 0);
    cr_assert_eq(board_pids(&daemon_, pids, 2), 2); /* the template and the worker */
    daemon_signal(&daemon_, SIGKILL);
    daemon_wait(&daemon_);
    client_expect_end(&client);
    client_close(&client);
    expect_gone(pids[0]);
    expect_gone(pids[1]);
    cr_assert_gt(board_folders(&daemon_), 0);

    board_start(&daemon_, NULL);
    daemon_wait_log(&daemon_, "which a daemon that was killed has left");
    board_check(&daemon_);
}

Test(tvm_ends, the_folder_of_a_daemon_that_runs_is_not_a_left_over)
{
    struct daemon second;
    board_start(&daemon_, NULL);
    client_open(&client, daemon_.port);
    daemon_init(&second);
    daemon_start(&second, FLAGS("--tvm-scratch", daemon_.dir));
    board_check(&second);
    daemon_stop(&second);
    daemon_clear(&second);
    client_upload(&client, "file", "bytes", 5);
    struct answer answer = client_ask(&client, "tvm.rpc.server.download", "s", "file");
    cr_assert_str_eq(answer.text, "bytes");
}

Test(tvm_ends, a_reload_changes_what_new_sessions_get)
{
    daemon_write_config(&daemon_, "{\"max_tvm_files\": 1}");
    board_start(&daemon_, NULL);
    client_open(&client, daemon_.port);
    daemon_write_config(&daemon_, "{\"tvm_key\": \"new\", \"max_tvm_files\": 2}");
    daemon_signal(&daemon_, SIGHUP);
    daemon_wait_log(&daemon_, "reload: done");
    client_upload(&client, "a", "1", 1); /* the session that was there goes on */
    client_close(&client);
    cr_assert_eq(client_greet(&client, daemon_.port, "client:"), KEY_MISMATCH);
    client_close(&client);

    struct packet packet;
    cr_assert_eq(client_greet(&client, daemon_.port, "client:new"), MAGIC);
    packet_init_server(&packet);
    packet_send(&client, &packet);
    cr_assert_eq(client_answer(&client, 0).packet, 4);
    client_upload(&client, "a", "1", 1);
    client_upload(&client, "b", "2", 1); /* the limit of the new configuration */
}

Test(tvm_ends, a_reload_turns_tvm_off_and_on)
{
    board_start(&daemon_, NULL);
    board_check(&daemon_);
    daemon_write_config(&daemon_, "{\"tvm\": \"off\"}");
    daemon_signal(&daemon_, SIGHUP);
    daemon_wait_log(&daemon_, "reload: done");
    cr_assert_eq(client_greet(&client, daemon_.port, "client:"), 0);
    client_close(&client);
    daemon_write_config(&daemon_, "{}");
    daemon_signal(&daemon_, SIGHUP);
    daemon_wait_log(&daemon_, "reload: done");
    board_check(&daemon_);
}
