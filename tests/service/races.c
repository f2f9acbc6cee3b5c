/* races.c: one thread calls, others stop, ask urgently and read sums, all the time. Meant for
 * ThreadSanitizer (-Db_sanitize=thread), but what it checks holds everywhere: a stop that was
 * accepted fails exactly one run.
 */
#include "check.h"
#include "harness.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

static struct vta_service *service;
static atomic_bool enough;

/* After ever different pauses, to meet the moments in which a run begins or ends. */
static void *stop(void *accepted)
{
    for (unsigned i = 0; !atomic_load(&enough); i++) {
        for (volatile unsigned pause = i * 7919 % 4001; pause > 0; pause--)
            ;
        *(uint64_t *)accepted += vta_service_stop(service, VTA_EDEADLINE);
    }
    return NULL;
}

static void *cancel(void *accepted)
{
    while (!atomic_load(&enough)) {
        *(uint64_t *)accepted += cr_ok(ask_urgent(service, "cancel", ""))->result->via.boolean;
        cr_ok(ask_urgent(service, "ping", "u", UINT64_C(1)));
        sched_yield();
    }
    release_answers();
    return NULL;
}

static void *watch(void *seen)
{
    struct vta_service_stats stats;
    while (!atomic_load(&enough)) {
        vta_service_stats(service, &stats);
        *(uint64_t *)seen = stats.calls;
        sched_yield();
    }
    return NULL;
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

int main(void)
{
    struct vta_service_options options;
    pthread_t threads[3];
    uint64_t stopped = 0, cancelled = 0, seen = 0, deadlines = 0, cancels = 0;
    small_options(&options);
    service = open_service(&options);
    vta_handle tiny = get_function(service, KERNEL_TINY, "t", "tiny");
    vta_handle slow = get_function(service, KERNEL_SLOW, "s", "slow");
    pthread_create(&threads[0], NULL, stop, &stopped);
    pthread_create(&threads[1], NULL, cancel, &cancelled);
    pthread_create(&threads[2], NULL, watch, &seen);

    double until = seconds_now() + 0.7;
    for (uint64_t i = 0; seconds_now() < until; i++) {
        vta_handle function = i % 50 == 0 ? slow : tiny;
        int code = ask(service, "run", "uh", function, NULL, (size_t)0)->error.code;
        cr_assert(code == 0 || code == VTA_EDEADLINE || code == VTA_ECANCELLED);
        deadlines += code == VTA_EDEADLINE;
        cancels += code == VTA_ECANCELLED;
    }
    atomic_store(&enough, true);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(deadlines, stopped);
    cr_assert_eq(cancels, cancelled);
    cr_assert_lt(0u, deadlines + cancels);
    cr_ok(ask(service, "run", "uh", tiny, NULL, (size_t)0));
    release_answers();
    vta_service_free(service);
    return 0;
}
