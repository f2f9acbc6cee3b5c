/* test_remote.c: the client library and a daemon process.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "board.h"
#include "tests/integration/daemon.h"

static struct daemon daemon_;

static void start(void)
{
    daemon_init(&daemon_);
    daemon_start(&daemon_, NULL);
}

static void stop(void)
{
    daemon_stop(&daemon_);
    daemon_clear(&daemon_);
}

TestSuite(remote, .init = start, .fini = stop);

static struct vta_session *connect_to_daemon(void)
{
    struct vta_error error = { .message = "" };
    struct vta_session *session = vta_connect("127.0.0.1", daemon_.port, &error);

    cr_assert_not_null(session, "%s", error.message);
    return session;
}

Test(remote, session_can_hold_the_whole_conversation)
{
    struct vta_session *session = connect_to_daemon();

    cr_assert_not(vta_session_is_local(session));
    board_converse(session);
}

Test(remote, environment_names_the_daemon)
{
    char port[16];
    struct vta_error error;

    snprintf(port, sizeof port, "%d", daemon_.port);
    setenv("VTA_RPC_HOST", "localhost", 1);
    setenv("VTA_RPC_PORT", port, 1);
    struct vta_session *session = vta_connect(NULL, 0, &error);
    cr_assert_not_null(session, "%s", error.message);
    cr_assert_eq(vta_ping(session, NULL, NULL), 0);
    vta_close(session);
    setenv("VTA_RPC_PORT", "many", 1);
    cr_assert_null(vta_connect(NULL, 0, &error));
    cr_assert_eq(error.code, VTA_EINVAL);
}

Test(remote, daemon_that_dies_breaks_its_sessions_for_good)
{
    struct board board;
    struct vta_error error, again;

    board_open(&board, connect_to_daemon());
    daemon_signal(&daemon_, SIGKILL);
    daemon_wait(&daemon_);
    cr_assert_eq(vta_ping(board.session, NULL, &error), VTA_EIO);
    cr_assert_not_null(strstr(error.message, "127.0.0.1:"), "%s", error.message);
    cr_assert_eq(vta_ping(board.session, NULL, &again), VTA_ECLOSED);
    cr_assert_not_null(strstr(again.message, error.message), "%s", again.message);
    cr_assert_eq(vta_call(board.add, board.arrays, 3, NULL, &error), VTA_ECLOSED);
    board_close(&board);
    daemon_start(&daemon_, NULL); /* for stop() */
}

Test(remote, message_past_the_limit_is_explained_with_the_daemons_last_words)
{
    struct vta_error error;

    daemon_stop(&daemon_);
    daemon_start(&daemon_, (const char *[]){ "--max-message-bytes", "65536", NULL });
    struct vta_session *session = connect_to_daemon();
    size_t nbytes = 4 << 20;
    struct vta_tensor_type type = { { VTA_DTYPE_INT, 8 }, 1, { nbytes } };
    uint8_t *bytes = malloc(nbytes);
    memset(bytes, 42, nbytes);
    /* Chunks keep to the limit that hello announced. */
    struct vta_ndarray *array = vta_ndarray_from(vta_ext_dev(session, 0), &type, bytes, &error);
    cr_assert_not_null(array, "%s", error.message);
    cr_assert_eq(vta_ndarray_copy_to(array, bytes, nbytes, &error), 0, "%s", error.message);
    for (size_t i = 0; i < nbytes; i++)
        cr_assert_eq(bytes[i], 42);
    /* A name that is longer than a message does not. */
    char *name = malloc(100001);
    memset(name, 'x', 100000);
    name[100000] = '\0';
    int rc = vta_remove(session, name, &error);
    cr_assert(rc == VTA_ELIMIT, "%s: %s", vta_error_name(rc), error.message);
    cr_assert_eq(vta_ping(session, NULL, &error), VTA_ECLOSED);
    vta_ndarray_free(array);
    vta_close(session);
    free(name);
    free(bytes);
}

Test(remote, unix_socket_serves_as_well)
{
    struct vta_error error = { .message = "" };
    char where[128];

    daemon_stop(&daemon_);
    snprintf(where, sizeof where, "unix:%s/socket", daemon_.dir);
    daemon_start(&daemon_, (const char *[]){ "--listen", where, NULL });
    if (!daemon_has_logged(&daemon_, where))
        daemon_wait_log(&daemon_, where);
    struct vta_session *session = vta_connect(where, 0, &error);
    cr_assert_not_null(session, "%s", error.message);
    board_converse(session);
    cr_assert_null(vta_connect("unix:/none/socket", 0, &error));
    cr_assert_eq(error.code, VTA_EIO);
}

/* ---- Signals and threads ------------------------------------------------------------------- */

static void on_alarm(int number)
{
    (void)number;
}

Test(remote, signals_do_not_disturb_transfers)
{
    struct sigaction action = { .sa_handler = on_alarm }; /* without SA_RESTART */
    struct itimerval often = { { 0, 700 }, { 0, 700 } }, never = { { 0, 0 }, { 0, 0 } };

    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    board_converse(connect_to_daemon());
    setitimer(ITIMER_REAL, &never, NULL);
}

static void *converse_in_a_thread(void *nothing)
{
    struct board board;

    board_open(&board, connect_to_daemon());
    for (int i = 0; i < 20; i++)
        board_check_add(&board);
    board_close(&board);
    board_open(&board, vta_local_session(NULL, NULL));
    for (int i = 0; i < 20; i++)
        board_check_add(&board);
    board_close(&board);
    return nothing;
}

Test(remote, sessions_work_in_threads_of_their_own)
{
    pthread_t threads[8];

    for (int i = 0; i < 8; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, converse_in_a_thread, NULL), 0);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
}

/* ---- Long runs ----------------------------------------------------------------------------- */

/* Runs a kernel of so many rounds; returns how long that took. */
static uint64_t spin_ns(struct vta_session *session, uint32_t rounds)
{
    struct vta_error error = { .message = "" };
    struct vta_tensor_type type = board_int8;
    struct vta_run_stats stats = { 0 };
    uint8_t *bytes;
    size_t nbytes;

    make_module(rounds, &bytes, &nbytes);
    cr_assert_eq(vta_upload_bytes(session, "spin.vta", bytes, nbytes, &error), 0, "%s",
                 error.message);
    struct vta_module *module = vta_load_module(session, "spin.vta", &error);
    cr_assert_not_null(module, "%s", error.message);
    struct vta_function *spin = vta_module_function(module, "spin", &error);
    struct vta_ndarray *out = vta_ndarray_empty(vta_ext_dev(session, 0), &type, &error);
    cr_assert_eq(vta_call(spin, &out, 1, &stats, &error), 0, "%s", error.message);
    vta_ndarray_free(out);
    vta_function_free(spin);
    vta_module_free(module);
    free(bytes);
    return stats.wall_ns;
}

/* The timeout leaves a busy machine time to answer; how many rounds pass it depends on the machine,
 * so a few are measured first. */
Test(remote, run_may_take_longer_than_the_timeout)
{
    const unsigned timeout_ms = 1000;
    struct vta_error error = { .message = "" };
    struct vta_session *session = connect_to_daemon();
    const uint64_t few = spin_ns(session, 4);
    vta_close(session);

    session = vta_connect_timeout("127.0.0.1", daemon_.port, timeout_ms, &error);
    cr_assert_not_null(session, "%s", error.message);
    const uint64_t wanted = UINT64_C(1500000) * timeout_ms;
    uint64_t rounds = 4 + 4 * wanted / (few + 1), took = 0;
    for (int i = 0; i < 4 && took <= wanted * 2 / 3; i++, rounds *= 2)
        took = spin_ns(session, (uint32_t)rounds);
    cr_assert_gt(took, wanted * 2 / 3, "the run was too short to show anything");
    cr_assert_eq(vta_ping(session, NULL, &error), 0, "%s", error.message);
    vta_close(session);
}

Test(remote, deadline_of_the_daemon_ends_a_run_in_its_words)
{
    struct vta_error error = { .message = "" };
    struct vta_tensor_type type = board_int8;
    uint8_t *bytes;
    size_t nbytes;

    daemon_stop(&daemon_);
    daemon_start(&daemon_, (const char *[]){ "--run-deadline-ms", "50", NULL });
    struct vta_session *session = connect_to_daemon();
    make_module(3000, &bytes, &nbytes);
    cr_assert_eq(vta_upload_bytes(session, "spin.vta", bytes, nbytes, &error), 0);
    struct vta_module *module = vta_load_module(session, "spin.vta", &error);
    struct vta_function *spin = vta_module_function(module, "spin", &error);
    struct vta_ndarray *out = vta_ndarray_empty(vta_ext_dev(session, 0), &type, &error);
    cr_assert_eq(vta_call(spin, &out, 1, NULL, &error), VTA_EDEADLINE, "%s", error.message);
    cr_assert_not_null(strstr(error.message, "deadline"), "%s", error.message);
    cr_assert_eq(vta_ping(session, NULL, NULL), 0, "the session goes on");
    vta_ndarray_free(out);
    vta_function_free(spin);
    vta_module_free(module);
    vta_close(session);
    free(bytes);
}
