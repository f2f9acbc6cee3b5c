/* test_runs.c: running functions, timing them, and stopping them from other threads. */
#include <criterion/criterion.h>

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness.h"

static struct vta_service_options options;
static struct vta_service *service;

static void open_small(void)
{
    small_options(&options);
    service = open_service(&options);
}

static void close_small(void)
{
    vta_service_free(service);
    release_answers();
}

TestSuite(run, .init = open_small, .fini = close_small);
TestSuite(time_evaluator, .init = open_small, .fini = close_small);
TestSuite(stop, .init = open_small, .fini = close_small);

static vta_handle alloc(uint64_t nbytes)
{
    return as_uint(cr_ok(ask(service, "buffer.alloc", "u", nbytes))->result);
}

#define DATA_BYTES (ADD_ROWS * 16 * 4)
#define RES_BYTES  (ADD_ROWS * 16)

/* ---- Running ------------------------------------------------------------------------------- */

Test(run, computes_and_counts)
{
    vta_handle add = get_function(service, KERNEL_ADD, "m", "add");
    vta_handle buffers[2] = { alloc(DATA_BYTES), alloc(RES_BYTES) };
    int32_t data[ADD_ROWS * 16];
    int8_t expect[ADD_ROWS * 16];
    for (int i = 0; i < ADD_ROWS * 16; i++) {
        data[i] = 3 * i - 90;
        expect[i] = (int8_t)(data[i] + 1);
    }
    cr_ok(ask(service, "buffer.write", "uub", buffers[0], UINT64_C(0), data, sizeof data));
    const msgpack_object *map = cr_ok(ask(service, "run", "uh", add, buffers, (size_t)2))->result;
    cr_assert_eq(uint_at(at(map, "counters"), "alu_counter"), ADD_ROWS);
    cr_assert_eq(uint_at(at(map, "counters"), "acc_load_nbytes"), DATA_BYTES);
    as_uint(at(map, "wall_ns"));
    const msgpack_object *got =
        cr_ok(ask(service, "buffer.read", "uuu", buffers[1], UINT64_C(0), (uint64_t)RES_BYTES))
            ->result;
    cr_assert_eq(memcmp(got->via.bin.ptr, expect, sizeof expect), 0);
    struct vta_service_stats stats;
    vta_service_stats(service, &stats);
    cr_assert_eq(stats.runs, 1);
}

Test(run, counts_but_does_not_compute_when_execution_is_skipped)
{
    vta_handle add = get_function(service, KERNEL_ADD, "m", "add");
    vta_handle buffers[2] = { alloc(DATA_BYTES), alloc(RES_BYTES) };
    cr_ok(ask(service, "board.skip_execution", "t"));
    const msgpack_object *map = cr_ok(ask(service, "run", "uh", add, buffers, (size_t)2))->result;
    cr_assert_eq(uint_at(at(map, "counters"), "alu_counter"), ADD_ROWS);
    const msgpack_object *got =
        cr_ok(ask(service, "buffer.read", "uuu", buffers[1], UINT64_C(0), UINT64_C(1)))->result;
    cr_assert_eq(got->via.bin.ptr[0], 0);
    cr_ok(ask(service, "board.skip_execution", "F"));
    cr_ok(ask(service, "run", "uh", add, buffers, (size_t)2));
    got = cr_ok(ask(service, "buffer.read", "uuu", buffers[1], UINT64_C(0), UINT64_C(1)))->result;
    cr_assert_eq(got->via.bin.ptr[0], 1);
}

Test(run, takes_one_buffer_for_two_parameters)
{
    vta_handle add = get_function(service, KERNEL_ADD, "m", "add");
    vta_handle buffer = alloc(DATA_BYTES), both[2] = { buffer, buffer };
    cr_ok(ask(service, "run", "uh", add, both, (size_t)2));
    const msgpack_object *got =
        cr_ok(ask(service, "buffer.read", "uuu", buffer, UINT64_C(0), (uint64_t)RES_BYTES + 1))
            ->result;
    cr_assert_eq(got->via.bin.ptr[RES_BYTES - 1], 1);
    cr_assert_eq(got->via.bin.ptr[RES_BYTES], 0);
}

Test(run, refuses_buffers_that_do_not_fit_and_names_the_parameter)
{
    vta_handle add = get_function(service, KERNEL_ADD, "m", "add");
    vta_handle unused[2] = { 1, 2 };
    cr_fails(ask(service, "run", "uh", add, unused, (size_t)2), VTA_EHANDLE,
             "run: parameter 0 'data': buffer handle");
    cr_assert_eq(at(cr_ok(ask(service, "board.info", ""))->result, "used")->via.boolean, false);

    vta_handle buffers[3] = { alloc(DATA_BYTES), alloc(RES_BYTES - 1), add };
    cr_fails(ask(service, "run", "uh", add, buffers, (size_t)2), VTA_ESIZE,
             "run: parameter 1 'res' needs 64 bytes, buffer has 63");
    cr_fails(ask(service, "run", "uh", add, buffers, (size_t)1), VTA_EINVAL,
             "add takes 2 buffers, got 1");
    cr_fails(ask(service, "run", "uh", add, buffers, (size_t)3), VTA_EINVAL,
             "add takes 2 buffers, got 3");
    cr_fails(ask(service, "run", "uh", add, &buffers[1], (size_t)2), VTA_ESIZE, "'data'");
    buffers[1] = add;
    cr_fails(ask(service, "run", "uh", add, buffers, (size_t)2), VTA_EHANDLE, "parameter 1 'res'");
    cr_fails(ask(service, "run", "us", add, "x"), VTA_EINVAL, "run: params[1]: expected an array");
    cr_fails(ask(service, "run", "um", add, "\x92\x01\xc0", (size_t)3), VTA_EINVAL,
             "run: params[1][1]: ");
    cr_fails(ask(service, "run", "uh", buffers[0], buffers, (size_t)2), VTA_EHANDLE, "buffer");
    struct vta_service_stats stats;
    vta_service_stats(service, &stats);
    cr_assert_eq(stats.runs, 0);
}

Test(run, refuses_what_was_loaded_for_another_configuration)
{
    vta_handle tiny = get_function(service, KERNEL_TINY, "m", "tiny");
    cr_ok(ask(service, "board.reconfigure", "O", "LOG_BATCH", UINT64_C(1)));
    cr_fails(ask(service, "run", "uh", tiny, NULL, (size_t)0), VTA_EHARDWARE, "run: m: tiny: ");
    cr_fails(ask(service, "time_evaluator", "uhuuu", tiny, NULL, (size_t)0, UINT64_C(1),
                 UINT64_C(1), UINT64_C(0)),
             VTA_EHARDWARE, "time_evaluator: m: tiny: ");
    cr_ok(ask(service, "board.reconfigure", "O", "LOG_BATCH", UINT64_C(0)));
    cr_ok(ask(service, "run", "uh", tiny, NULL, (size_t)0));
}

/* ---- Timing -------------------------------------------------------------------------------- */

static uint64_t gemms(void)
{
    return uint_at(cr_ok(ask(service, "counters.get", ""))->result, "gemm_counter");
}

Test(time_evaluator, runs_once_to_warm_up_and_then_number_times_repeat)
{
    vta_handle tiny = get_function(service, KERNEL_TINY, "m", "tiny");
    const msgpack_object *list = cr_ok(ask(service, "time_evaluator", "uhuuu", tiny, NULL,
                                           (size_t)0, UINT64_C(10), UINT64_C(3), UINT64_C(0)))
                                     ->result;
    cr_assert_eq(list->via.array.size, 3);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(list->via.array.ptr[i].type, MSGPACK_OBJECT_FLOAT64);
        cr_assert_gt(list->via.array.ptr[i].via.f64, 0);
        cr_assert_lt(list->via.array.ptr[i].via.f64, 1);
    }
    cr_assert_eq(gemms(), 31);
    struct vta_service_stats stats;
    vta_service_stats(service, &stats);
    cr_assert_eq(stats.runs, 31);
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

Test(time_evaluator, raises_number_until_a_repeat_is_long_enough)
{
    vta_service_free(service);
    options.max_evaluations = 100000000;
    service = open_service(&options);
    vta_handle tiny = get_function(service, KERNEL_TINY, "m", "tiny");
    double start = seconds_now();
    const msgpack_object *list = cr_ok(ask(service, "time_evaluator", "uhuuu", tiny, NULL,
                                           (size_t)0, UINT64_C(1), UINT64_C(2), UINT64_C(20)))
                                     ->result;
    double took = seconds_now() - start, per_call = list->via.array.ptr[0].via.f64;
    cr_assert_eq(list->via.array.size, 2);
    cr_assert_geq(took, 0.040, "two repeats of 20 ms at least, took %g s", took);
    cr_assert_geq((double)gemms() * per_call, 0.015, "runs × time per call is about a repeat");
}

Test(time_evaluator, keeps_the_limits)
{
    vta_handle tiny = get_function(service, KERNEL_TINY, "m", "tiny");
    struct answer *answer = ask(service, "time_evaluator", "uhuuu", tiny, NULL, (size_t)0,
                                UINT64_C(501), UINT64_C(2), UINT64_C(0));
    cr_fails(answer, VTA_ELIMIT, "time_evaluator: 501 × 2 runs pass the limit (evaluations), 1000");
    cr_assert_eq(answer->error.limit, 1000);
    cr_assert_eq(answer->error.value, 1002);
    cr_assert_eq(gemms(), 0);
    cr_fails(ask(service, "time_evaluator", "uhuuu", tiny, NULL, (size_t)0, UINT64_C(1),
                 UINT64_C(1), UINT64_C(4000000000)),
             VTA_ELIMIT, "(evaluations) is 1000");
    cr_assert_leq(gemms(), 1001);
    cr_fails(ask(service, "time_evaluator", "uhuuu", tiny, NULL, (size_t)0, UINT64_C(1),
                 (uint64_t)options.wire.items + 1, UINT64_C(0)),
             VTA_ELIMIT, "repeat");
    cr_fails(ask(service, "time_evaluator", "uhuuu", tiny, NULL, (size_t)0, UINT64_C(0),
                 UINT64_C(1), UINT64_C(0)),
             VTA_EINVAL, "1 or more");
    cr_fails(ask(service, "time_evaluator", "uhuuu", tiny, NULL, (size_t)0, UINT64_C(1),
                 UINT64_C(0), UINT64_C(0)),
             VTA_EINVAL, "1 or more");
    cr_fails(ask(service, "time_evaluator", "uhuuu", UINT64_C(9), NULL, (size_t)0, UINT64_C(1),
                 UINT64_C(1), UINT64_C(0)),
             VTA_EHANDLE, "time_evaluator: ");
}

/* ---- Deadlines ----------------------------------------------------------------------------- */

/* The deadline that a run passed. */
static int64_t deadline_passed(struct answer *answer)
{
    cr_fails(answer, VTA_EDEADLINE, "passed its deadline of ");
    cr_assert(answer->error.has_limit);
    cr_assert_leq(answer->error.limit, answer->error.value);
    return answer->error.limit;
}

Test(stop, deadline_is_the_shorter_of_request_and_session)
{
    vta_handle slow = get_function(service, KERNEL_SLOW, "m", "slow");
    cr_assert_eq(deadline_passed(ask(service, "run", "uhO", slow, NULL, (size_t)0, "deadline_ms",
                                     UINT64_C(30))),
                 30);
    options.run_deadline_ms = 20;
    struct vta_service *strict = open_service(&options);
    slow = get_function(strict, KERNEL_SLOW, "m", "slow");
    cr_assert_eq(deadline_passed(ask(strict, "run", "uh", slow, NULL, (size_t)0)), 20);
    cr_assert_eq(deadline_passed(
                     ask(strict, "run", "uhO", slow, NULL, (size_t)0, "deadline_ms", UINT64_C(50))),
                 20);
    cr_assert_eq(
        deadline_passed(ask(strict, "time_evaluator", "uhuuuO", slow, NULL, (size_t)0, UINT64_C(1),
                            UINT64_C(1), UINT64_C(0), "deadline_ms", UINT64_C(9))),
        9);
    vta_service_free(strict);
}

/* Not even a device that computes nothing makes an evaluation endless. */
Test(stop, deadline_ends_an_evaluation_of_runs_that_take_no_time)
{
    vta_service_free(service);
    options.max_evaluations = UINT32_MAX;
    service = open_service(&options);
    vta_handle tiny = get_function(service, KERNEL_TINY, "t", "tiny");
    cr_ok(ask(service, "board.skip_execution", "t"));
    cr_assert_eq(deadline_passed(ask(service, "time_evaluator", "uhuuuO", tiny, NULL, (size_t)0,
                                     UINT64_C(2000000000), UINT64_C(1), UINT64_C(0), "deadline_ms",
                                     UINT64_C(20))),
                 20);
}

/* ---- Stopping ------------------------------------------------------------------------------ */

/* Stops whatever runs, once, as soon as something does. */
static void *stop_once(void *code)
{
    while (!vta_service_stop(service, *(int *)code))
        sched_yield();
    return NULL;
}

Test(stop, ends_a_run_with_its_name_and_the_reason)
{
    vta_handle slow = get_function(service, KERNEL_SLOW, "m.vta", "slow");
    int code = VTA_ECANCELLED;
    pthread_t thread;
    pthread_create(&thread, NULL, stop_once, &code);
    struct answer *answer = ask(service, "run", "uh", slow, NULL, (size_t)0);
    pthread_join(thread, NULL);
    cr_fails(answer, VTA_ECANCELLED, "run: m.vta: slow: cancelled after ");

    answer = ask(service, "run", "uhO", slow, NULL, (size_t)0, "deadline_ms", UINT64_C(5));
    cr_fails(answer, VTA_EDEADLINE, "run: m.vta: slow: stopped after ");
    cr_assert_eq(deadline_passed(answer), 5);

    vta_handle tiny = get_function(service, KERNEL_TINY, "t.vta", "tiny");
    cr_ok(ask(service, "run", "uh", tiny, NULL, (size_t)0));
}

static void *cancel_urgently(void *unused)
{
    (void)unused;
    while (!cr_ok(ask_urgent(service, "cancel", ""))->result->via.boolean)
        sched_yield();
    release_answers();
    return NULL;
}

Test(stop, by_cancel_is_answered_while_the_run_is_in_progress)
{
    vta_handle slow = get_function(service, KERNEL_SLOW, "m", "slow");
    pthread_t thread;
    pthread_create(&thread, NULL, cancel_urgently, NULL);
    struct answer *answer = ask(service, "run", "uh", slow, NULL, (size_t)0);
    pthread_join(thread, NULL);
    cr_fails(answer, VTA_ECANCELLED, "cancelled after ");
}

Test(stop, ends_an_evaluation_inside_and_between_runs)
{
    vta_service_free(service);
    options.max_evaluations = UINT32_MAX;
    service = open_service(&options);
    vta_handle slow = get_function(service, KERNEL_SLOW, "m", "slow");
    vta_handle tiny = get_function(service, KERNEL_TINY, "t", "tiny");
    int code = VTA_ECANCELLED;
    pthread_t thread;
    pthread_create(&thread, NULL, stop_once, &code);
    cr_fails(ask(service, "time_evaluator", "uhuuu", slow, NULL, (size_t)0, UINT64_C(3),
                 UINT64_C(3), UINT64_C(0)),
             VTA_ECANCELLED, "time_evaluator: m: slow: cancelled");
    pthread_join(thread, NULL);
    pthread_create(&thread, NULL, stop_once, &code);
    cr_fails(ask(service, "time_evaluator", "uhuuu", tiny, NULL, (size_t)0, UINT64_C(1000000000),
                 UINT64_C(1), UINT64_C(0)),
             VTA_ECANCELLED, "time_evaluator: t: tiny: cancelled");
    pthread_join(thread, NULL);
}

/* Stops after ever different pauses, to meet the moments in which a run begins or ends; counts the
 * stops that found one. */
struct stopper {
    atomic_bool enough;
    uint64_t stops;
};

static void *stop_always(void *context)
{
    struct stopper *stopper = context;
    for (unsigned i = 0; !atomic_load(&stopper->enough); i++) {
        for (volatile unsigned pause = i * 7919 % 4001; pause > 0; pause--)
            ;
        if (vta_service_stop(service, VTA_ECANCELLED))
            stopper->stops++;
    }
    return NULL;
}

/* Each stop that was told "yes" is exactly one run that failed; none falls into the next run. */
Test(stop, that_was_accepted_fails_exactly_one_run)
{
    vta_handle tiny = get_function(service, KERNEL_TINY, "t", "tiny");
    struct stopper stopper = { .stops = 0 };
    pthread_t thread;
    uint64_t failed = 0;
    pthread_create(&thread, NULL, stop_always, &stopper);
    double until = seconds_now() + 0.5;
    for (uint64_t i = 0; seconds_now() < until || (failed == 0 && i < 1000000); i++) {
        struct answer *answer = ask(service, "run", "uh", tiny, NULL, (size_t)0);
        if (answer->error.code != 0) {
            cr_fails(answer, VTA_ECANCELLED, "cancelled");
            failed++;
        }
    }
    atomic_store(&stopper.enough, true);
    pthread_join(thread, NULL);
    cr_assert_eq(failed, stopper.stops);
    cr_ok(ask(service, "run", "uh", tiny, NULL, (size_t)0));
}
