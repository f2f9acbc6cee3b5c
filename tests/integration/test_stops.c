/* How calls are stopped, by cancel, disconnect and SIGTERM, over a real daemon: a cancel that was
 * answered true is kept, and nobody spends another client's time.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>

#include "proto/rpc.h"
#include "session.h"
#include "tests/core/slow_load.h"

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

TestSuite(stops, .init = setup, .fini = teardown, .timeout = 200);

/* Both threads of the daemon, so that what one client does is felt by the next. */
static const char *const flags[] = { "--threads", "2", "--tvm", "off", NULL };

/* ---- Cancel -------------------------------------------------------------------------------- */

#define RACES 4000

/* One request and a cancel that follows it after some pings. True: it was cancelled. */
static bool race(uint32_t msgid, int pings)
{
    for (int i = 0; i < pings; i++)
        wire_notify(wire, "ping");
    const uint32_t cancel = wire_request(wire, "cancel", "");
    bool promised = false, failed = false;
    struct vta_error error;
    for (int i = 0; i < 2; i++) { /* the answers come in either order */
        cr_assert(wire_read(wire));
        cr_assert(wire->msgid == cancel || wire->msgid == msgid);
        if (wire->msgid == cancel)
            promised = wire_bool(&wire->result);
        else
            failed = vta_rpc_unpack_error(&wire->error, &error) != 0;
        if (failed && wire->msgid == msgid)
            cr_assert_eq(error.code, VTA_ECANCELLED, "%s", error.message);
    }
    cr_assert_eq(promised, failed, "cancel was answered %s, the call has %s",
                 promised ? "true" : "false", failed ? "failed" : "succeeded");
    return promised;
}

/* Runs take some microseconds, and cancels come ever later. */
Test(stops, a_cancel_that_was_answered_true_is_kept)
{
    unsigned seed = 1;
    int cancelled = 0;
    daemon_start(&daemon_, flags);
    session_open(&session, daemon_.port, 1);
    for (int i = 0; i < RACES || ((cancelled == 0 || cancelled == i) && i < 100 * RACES); i++) {
        const uint32_t run =
            wire_request(wire, "run", "uh", session.add, session.buffers, (size_t)3);
        cancelled += race(run, rand_r(&seed) % 12);
    }
    cr_log_info("%d cancelled", cancelled);
    cr_assert_lt(0, cancelled);
    session_check_add(&session);
}

/* ---- Loads --------------------------------------------------------------------------------- */

static void upload_slow(struct wire *to)
{
    uint8_t *bytes;
    size_t nbytes;
    make_slow_load(&bytes, &nbytes);
    wire_call(to, NULL, "module.upload", "sb", "slow.vta", bytes, nbytes);
    free(bytes);
}

/* Begins to load it; returns the request's msgid once it has been taken up. */
static uint32_t load_slow(struct wire *to)
{
    const uint32_t load = wire_request(to, "module.load", "s", "slow.vta");
    wire_call(to, NULL, "ping", "");
    return load;
}

Test(stops, a_load_is_cancelled_by_the_method)
{
    daemon_start(&daemon_, flags);
    session_open(&session, daemon_.port, 1);
    upload_slow(wire);
    const uint32_t load = load_slow(wire);
    cr_assert(wire_bool(wire_call(wire, NULL, "cancel", "")));
    wire_expect(wire, load, "cancelled");
    session_check_add(&session);
}

Test(stops, a_load_ends_at_the_daemons_deadline)
{
    static const char *const strict[] = { "--load-deadline-ms", "50", "--tvm", "off", NULL };
    daemon_start(&daemon_, strict);
    session_open(&session, daemon_.port, 1);
    upload_slow(wire);
    wire_call(wire, "deadline", "module.load", "s", "slow.vta");
    cr_assert(wire_says(wire, "passed its deadline of 50 ms"));
    session_check_add(&session);
}

/* More of them than threads, again and again: were one not stopped, those who come after it would
 * wait for ever longer. */
Test(stops, loads_whose_clients_are_gone_take_nobodys_time)
{
    daemon_start(&daemon_, flags);
    for (int round = 0; round < 5; round++) {
        struct wire gone[4];
        for (int i = 0; i < 4; i++) {
            wire_connect(&gone[i], daemon_.port);
            upload_slow(&gone[i]);
        }
        for (int i = 0; i < 4; i++)
            load_slow(&gone[i]);
        for (int i = 0; i < 4; i++)
            wire_close(&gone[i]);
        session_open(&session, daemon_.port, 1);
        session_check_add(&session);
        session_close(&session);
    }
}

Test(stops, sigterm_ends_loads_whose_clients_are_gone)
{
    daemon_start(&daemon_, flags);
    struct wire gone[4];
    for (int i = 0; i < 4; i++) {
        wire_connect(&gone[i], daemon_.port);
        upload_slow(&gone[i]);
    }
    for (int i = 0; i < 4; i++)
        load_slow(&gone[i]);
    for (int i = 0; i < 4; i++)
        wire_close(&gone[i]);
    daemon_signal(&daemon_, SIGTERM);
    cr_assert_eq(daemon_wait(&daemon_), 0, "%s", daemon_.log);
}

Test(stops, sigterm_ends_a_load_when_the_grace_time_is_over)
{
    static const char *const hurried[] = { "--grace-ms", "1", "--tvm", "off", NULL };
    daemon_start(&daemon_, hurried);
    wire_connect(wire, daemon_.port);
    upload_slow(wire);
    const uint32_t load = load_slow(wire);
    daemon_signal(&daemon_, SIGTERM);
    wire_expect(wire, load, "cancelled");
    cr_assert_eq(daemon_wait(&daemon_), 0, "%s", daemon_.log);
}
