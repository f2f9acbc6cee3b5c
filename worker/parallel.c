/* parallel.c: the threads of parallel launches (parallel.h).
 *
 * A launch is numbered; a thread that sees a new number runs its task if it has one, and says that
 * it is done. What tasks share is guarded by one lock, which nobody holds while a task runs.
 */
#include "parallel.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi_state.h"

#define ERROR_TEXT 512

/* What the tasks of one launch share; env.sync points to it. */
struct group {
    uint32_t tasks, arrived, returned;
    uint64_t generation; /* of the barrier */
};

struct member {
    pthread_t thread;
    uint32_t index; /* task number; 0 is the launching thread's and has no member */
    int status;
    char error[ERROR_TEXT];
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t launched; /* a launch, or the end */
    pthread_cond_t moved;    /* a task has returned, or a barrier has opened */
    struct member *members;  /* owned; they do not move while threads run */
    uint32_t count, capacity;
    uint64_t launch; /* counts */
    bool stopping;

    tvm_parallel_task task;
    void *data;
    struct tvm_parallel_env env;
    struct group group;
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER,
           .launched = PTHREAD_COND_INITIALIZER,
           .moved = PTHREAD_COND_INITIALIZER };

/* Held during a launch: a thread of the machine code's own that launches meanwhile runs alone. */
static pthread_mutex_t launching = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local bool inside; /* a task */

/* ---- Barriers ------------------------------------------------------------------------------ */

/* Opens the barrier where everybody who still runs is at it. The lock is held. */
static void open_if_complete(struct group *group)
{
    if (group->arrived == 0 || group->arrived + group->returned < group->tasks)
        return;
    group->arrived = 0;
    group->generation++;
    pthread_cond_broadcast(&pool.moved);
}

void parallel_barrier(const struct tvm_parallel_env *env)
{
    struct group *group = env->sync;
    if (env->num_task <= 1)
        return;
    pthread_mutex_lock(&pool.lock);
    const uint64_t generation = group->generation;
    group->arrived++;
    open_if_complete(group);
    while (group->generation == generation)
        pthread_cond_wait(&pool.moved, &pool.lock);
    pthread_mutex_unlock(&pool.lock);
}

/* ---- Tasks --------------------------------------------------------------------------------- */

/* The lock is not held. */
static int run_task(uint32_t index)
{
    inside = true;
    const int status = pool.task((int)index, &pool.env, pool.data);
    inside = false;
    return status;
}

static void task_returned(void)
{
    pool.group.returned++;
    open_if_complete(&pool.group);
    if (pool.group.returned == pool.group.tasks)
        pthread_cond_broadcast(&pool.moved);
}

static void *member_run(void *argument)
{
    struct member *member = argument;
    uint64_t seen = 0;
    pthread_mutex_lock(&pool.lock);
    while (!pool.stopping) {
        if (pool.launch == seen || member->index >= pool.group.tasks) {
            seen = pool.launch;
            pthread_cond_wait(&pool.launched, &pool.lock);
            continue;
        }
        seen = pool.launch;
        pthread_mutex_unlock(&pool.lock);
        member->status = run_task(member->index);
        if (member->status != 0)
            snprintf(member->error, sizeof member->error, "%s", TVMGetLastError());
        pthread_mutex_lock(&pool.lock);
        task_returned();
    }
    pthread_mutex_unlock(&pool.lock);
    abi_forget_returned();
    return NULL;
}

/* ---- The pool ------------------------------------------------------------------------------ */

/* Signals are for the thread that serves the session. */
static int start_member(struct member *member)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int rc = pthread_create(&member->thread, NULL, member_run, member);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

/* Makes members up to `wanted`, of the `most` that there may ever be; fewer where the system has
 * no more threads to give. */
static void grow(uint32_t wanted, uint32_t most)
{
    if (pool.members == NULL) {
        pool.members = calloc(most, sizeof *pool.members);
        pool.capacity = pool.members != NULL ? most : 0;
    }
    while (pool.count < wanted && pool.count < pool.capacity) {
        struct member *member = &pool.members[pool.count];
        member->index = pool.count + 1;
        if (start_member(member) != 0)
            return;
        pool.count++;
    }
}

static int run_alone(tvm_parallel_task task, void *data)
{
    struct group group = { .tasks = 1 };
    struct tvm_parallel_env env = { .sync = &group, .num_task = 1 };
    return task(0, &env, data);
}

/* The launching thread's part of a launch. Returns its own task's result. */
static int run_together(tvm_parallel_task task, void *data, uint32_t tasks)
{
    pthread_mutex_lock(&pool.lock);
    pool.task = task;
    pool.data = data;
    pool.group = (struct group){ .tasks = tasks };
    pool.env = (struct tvm_parallel_env){ .sync = &pool.group, .num_task = (int32_t)tasks };
    pool.launch++;
    pthread_cond_broadcast(&pool.launched);
    pthread_mutex_unlock(&pool.lock);

    const int status = run_task(0);

    pthread_mutex_lock(&pool.lock);
    task_returned();
    while (pool.group.returned < tasks)
        pthread_cond_wait(&pool.moved, &pool.lock);
    pool.group.tasks = 0; /* a thread that starts late has no task */
    pthread_mutex_unlock(&pool.lock);
    return status;
}

/* The results of all tasks but the launching thread's. */
static int others_result(uint32_t tasks)
{
    for (uint32_t i = 0; i + 1 < tasks; i++) {
        if (pool.members[i].status != 0) {
            TVMAPISetLastError(pool.members[i].error);
            return pool.members[i].status;
        }
    }
    return 0;
}

int parallel_launch(tvm_parallel_task task, void *data, int num_task, uint32_t threads)
{
    uint32_t tasks = num_task > 0 && (uint32_t)num_task < threads ? (uint32_t)num_task : threads;
    if (inside || tasks <= 1 || pthread_mutex_trylock(&launching) != 0)
        return run_alone(task, data);
    grow(tasks - 1, threads - 1);
    if (tasks > pool.count + 1)
        tasks = pool.count + 1;
    int status = run_together(task, data, tasks);
    if (status == 0)
        status = others_result(tasks);
    pthread_mutex_unlock(&launching);
    return status;
}

void parallel_stop(void)
{
    pthread_mutex_lock(&pool.lock);
    pool.stopping = true;
    pthread_cond_broadcast(&pool.launched);
    pthread_mutex_unlock(&pool.lock);
    for (uint32_t i = 0; i < pool.count; i++)
        pthread_join(pool.members[i].thread, NULL);
    free(pool.members);
    pool.members = NULL;
    pool.count = pool.capacity = 0;
    pool.stopping = false;
}
