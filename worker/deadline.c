/* deadline.c: the thread that watches the clock for a worker. */
#include "deadline.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct deadline {
    struct vta_control *control;
    void (*passed)(void *context);
    void *context;
    uint32_t ms;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Below: under the lock. Moments of CLOCK_MONOTONIC in ns; 0: none. */
    uint64_t armed;    /* when time is up */
    uint64_t sleeping; /* when the thread looks again by itself */
    bool ending;
};

uint64_t deadline_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static struct timespec timespec_of(uint64_t moment)
{
    return (struct timespec){ .tv_sec = (time_t)(moment / 1000000000u),
                              .tv_nsec = (long)(moment % 1000000000u) };
}

static void sleep_until(struct deadline *deadline, uint64_t moment)
{
    struct timespec at = timespec_of(moment);
    deadline->sleeping = moment;
    if (moment == 0)
        pthread_cond_wait(&deadline->changed, &deadline->lock);
    else
        pthread_cond_timedwait(&deadline->changed, &deadline->lock, &at);
    deadline->sleeping = 0;
}

static void *watch(void *context)
{
    struct deadline *deadline = context;
    pthread_mutex_lock(&deadline->lock);
    while (!deadline->ending) {
        if (deadline->armed != 0 && deadline_now() >= deadline->armed) {
            atomic_store(&deadline->control->stop, VTA_EDEADLINE);
            if (deadline->passed != NULL)
                deadline->passed(deadline->context);
            deadline->armed = 0;
            pthread_cond_broadcast(&deadline->changed); /* to who pauses */
        }
        sleep_until(deadline, deadline->armed);
    }
    pthread_mutex_unlock(&deadline->lock);
    return NULL;
}

int deadline_new(struct deadline **result, uint32_t ms, struct vta_control *control,
                 void (*passed)(void *context), void *context, struct vta_error *error)
{
    pthread_condattr_t clock;
    struct deadline *deadline = calloc(1, sizeof *deadline);
    if (deadline == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a deadline");
    deadline->ms = ms;
    deadline->control = control;
    deadline->passed = passed;
    deadline->context = context;
    pthread_mutex_init(&deadline->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&deadline->changed, &clock);
    pthread_condattr_destroy(&clock);
    int failed = pthread_create(&deadline->thread, NULL, watch, deadline);
    if (failed != 0) {
        vta_error_set(error, VTA_ENOMEM, "no thread for the deadline: %s", strerror(failed));
        goto fail;
    }
    *result = deadline;
    return 0;
fail:
    pthread_cond_destroy(&deadline->changed);
    pthread_mutex_destroy(&deadline->lock);
    free(deadline);
    return VTA_ENOMEM;
}

void deadline_free(struct deadline *deadline)
{
    if (deadline == NULL)
        return;
    pthread_mutex_lock(&deadline->lock);
    deadline->ending = true;
    pthread_cond_signal(&deadline->changed);
    pthread_mutex_unlock(&deadline->lock);
    pthread_join(deadline->thread, NULL);
    pthread_cond_destroy(&deadline->changed);
    pthread_mutex_destroy(&deadline->lock);
    free(deadline);
}

void deadline_arm(struct deadline *deadline)
{
    if (deadline == NULL)
        return;
    uint64_t moment = deadline_now() + (uint64_t)deadline->ms * 1000000u;
    pthread_mutex_lock(&deadline->lock);
    deadline->armed = moment;
    if (deadline->sleeping == 0)
        pthread_cond_signal(&deadline->changed);
    pthread_mutex_unlock(&deadline->lock);
}

bool deadline_disarm(struct deadline *deadline)
{
    if (deadline == NULL)
        return false;
    pthread_mutex_lock(&deadline->lock);
    deadline->armed = 0;
    pthread_mutex_unlock(&deadline->lock);
    return atomic_exchange(&deadline->control->stop, 0) == VTA_EDEADLINE;
}

void deadline_pause(struct deadline *deadline, uint32_t ms)
{
    uint64_t until = deadline_now() + (uint64_t)ms * 1000000u;
    struct timespec at = timespec_of(until);
    if (deadline == NULL) {
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
            ;
        return;
    }
    pthread_mutex_lock(&deadline->lock);
    while (deadline_now() < until && atomic_load(&deadline->control->stop) == 0)
        pthread_cond_timedwait(&deadline->changed, &deadline->lock, &at);
    pthread_mutex_unlock(&deadline->lock);
}
