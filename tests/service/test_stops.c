/* test_stops.c: calls that are stopped while they wait, load, or are about to succeed; runs are in
 * test_runs.c.
 */
#include <criterion/criterion.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "tests/core/slow_load.h"

static struct vta_service_options options;
static struct vta_service *service;

static void open_small(void)
{
    small_options(&options);
    options.max_upload_bytes = 8 << 20;
    service = open_service(&options);
}

static void close_small(void)
{
    vta_service_free(service);
    release_answers();
}

TestSuite(stops, .init = open_small, .fini = close_small, .timeout = 100);

static void upload(struct vta_service *to, uint8_t *bytes, size_t nbytes)
{
    cr_ok(ask(to, "module.upload", "sb", "m", bytes, nbytes));
    free(bytes);
}

static void upload_slow(struct vta_service *to)
{
    uint8_t *bytes;
    size_t nbytes;
    make_slow_load(&bytes, &nbytes);
    upload(to, bytes, nbytes);
}

/* ---- Loading ------------------------------------------------------------------------------- */

static void *stop_once(void *unused)
{
    (void)unused;
    while (!vta_service_stop(service, VTA_ECANCELLED))
        sched_yield();
    return NULL;
}

Test(stops, end_a_load)
{
    pthread_t thread;
    upload_slow(service);
    pthread_create(&thread, NULL, stop_once, NULL);
    cr_fails(ask(service, "module.load", "s", "m"), VTA_ECANCELLED, "cancelled after ");
    pthread_join(thread, NULL);
}

Test(stops, end_a_load_at_its_deadline)
{
    options.load_deadline_ms = 30;
    struct vta_service *strict = open_service(&options);
    upload_slow(strict);
    struct answer *answer = ask(strict, "module.load", "s", "m");
    cr_fails(answer, VTA_EDEADLINE, "passed its deadline of 30 ms");
    cr_fails(answer, VTA_EDEADLINE, "m: ");
    cr_assert(answer->error.has_limit);
    cr_assert_eq(answer->error.limit, 30);
    cr_assert_leq(30, answer->error.value);
    vta_service_free(strict);
}

/* ---- Waiting ------------------------------------------------------------------------------- */

Test(stops, of_a_call_that_waits_keep_it_from_having_any_effect)
{
    size_t nbytes;
    uint8_t *bytes = make_simple(&nbytes, KERNEL_TINY, "tiny");
    vta_service_announce(service);
    cr_assert(vta_service_stop(service, VTA_ECANCELLED));
    cr_assert(vta_service_stopped(service));
    cr_assert_not(vta_service_stop(service, VTA_ECANCELLED), "it is stopped already");
    cr_fails(ask(service, "module.upload", "sb", "m", bytes, nbytes), VTA_ECANCELLED,
             "module.upload: cancelled");
    cr_fails(ask(service, "module.stat", "s", "m"), VTA_ENOTFOUND, "");
    upload(service, bytes, nbytes);

    vta_service_announce(service);
    cr_assert(vta_service_stop(service, VTA_ECANCELLED));
    cr_assert_eq(vta_service_withdraw(service), VTA_ECANCELLED);
    cr_assert_not(vta_service_stop(service, VTA_ECANCELLED), "it is gone");
    cr_ok(ask(service, "module.load", "s", "m"));
}

Test(stops, find_nothing_once_the_call_is_over)
{
    vta_service_announce(service);
    cr_ok(ask(service, "module.list", ""));
    cr_assert_not(vta_service_stop(service, VTA_ECANCELLED));
}

/* ---- Succeeding ---------------------------------------------------------------------------- */

/* Stops after ever different pauses, to meet the moments in which a load begins or ends. */
struct stopper {
    atomic_bool enough;
    uint64_t stops;
};

static void *stop_always(void *context)
{
    struct stopper *stopper = context;
    for (unsigned i = 0; !atomic_load(&stopper->enough); i++) {
        for (volatile unsigned pause = i * 7919 % 40009; pause > 0; pause--)
            ;
        stopper->stops += vta_service_stop(service, VTA_ECANCELLED);
    }
    return NULL;
}

/* A load that was stopped has loaded nothing: else there would soon be too many modules. */
Test(stops, that_were_accepted_fail_one_load_each_which_leaves_nothing)
{
    struct stopper stopper = { .stops = 0 };
    pthread_t thread;
    uint64_t stopped = 0, loaded = 0;
    size_t nbytes;
    uint8_t *bytes = make_simple(&nbytes, KERNEL_TINY, "tiny");
    upload(service, bytes, nbytes);
    pthread_create(&thread, NULL, stop_always, &stopper);
    for (uint64_t i = 0; i < 3000 || ((stopped < 10 || loaded < 10) && i < 10000000); i++) {
        struct answer *answer = ask(service, "module.load", "s", "m");
        if (answer->error.code != 0) {
            cr_fails(answer, VTA_ECANCELLED, "cancelled");
            stopped++;
            continue;
        }
        loaded++;
        cr_ok(ask(service, "module.unload", "u", uint_at(answer->result, "module")));
    }
    atomic_store(&stopper.enough, true);
    pthread_join(thread, NULL);
    cr_assert_eq(stopped, stopper.stops);
    cr_assert(stopped >= 10 && loaded >= 10);
}
