/* races.c: parallel launches over and over from two threads, for ThreadSanitizer to watch
 * (Criterion does not run under it). Exits with 0 where every sum was right and no error was lost.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "worker/parallel.h"

#define LAUNCHES 3000
#define THREADS  4

struct work {
    int failing; /* task that fails, or -1 */
    int tasks;   /* that there were */
    int parts[THREADS], first, second;
};

/* Each adds its part; after a barrier the last task adds them up, after another one the first
 * takes the sum over. */
static int add(int task, struct tvm_parallel_env *env, void *data)
{
    struct work *work = data;
    work->parts[task] = task + 1;
    TVMBackendParallelBarrier(task, env);
    if (task == env->num_task - 1)
        for (int i = 0; i < env->num_task; i++)
            work->first += work->parts[i];
    TVMBackendParallelBarrier(task, env);
    if (task == 0) {
        work->second = work->first;
        work->tasks = env->num_task;
    }
    if (task != work->failing)
        return 0;
    TVMAPISetLastError("this one");
    return -1;
}

/* While the other thread has the pool, a launch runs as one task. */
static void *launch_often(void *wrong)
{
    for (int i = 0; i < LAUNCHES; i++) {
        struct work work = { .failing = i % (THREADS + 2) - 1 };
        TVMAPISetLastError("");
        const int status = parallel_launch(add, &work, i % (THREADS + 1), THREADS);
        const int fails = work.failing >= 0 && work.failing < work.tasks;
        if (work.second == work.tasks * (work.tasks + 1) / 2 && status == -fails &&
            strcmp(TVMGetLastError(), fails ? "this one" : "") == 0)
            continue;
        fprintf(stderr, "launch %d: %d tasks, sum %d, status %d, error '%s'\n", i, work.tasks,
                work.second, status, TVMGetLastError());
        *(int *)wrong = 1;
    }
    return NULL;
}

int main(void)
{
    pthread_t beside;
    int wrong[2] = { 0, 0 };
    if (pthread_create(&beside, NULL, launch_often, &wrong[0]) != 0)
        return 2;
    launch_often(&wrong[1]);
    pthread_join(beside, NULL);
    parallel_stop();
    return wrong[0] + wrong[1];
}
