/* parallel.h: parallel launches of machine code: tasks that run at the same time, each on a thread
 * of its own, and meet at barriers.
 *
 * Threads appear at the first launch that wants them, and stay. One launch at a time; a launch
 * from within a task runs as one task on its thread.
 */
#ifndef VTA_WORKER_PARALLEL_H
#define VTA_WORKER_PARALLEL_H

#include <stdint.h>

#include "abi_calls.h"

/* Runs task(i, env, data) for i < env->num_task ≤ threads, task 0 on the calling thread. num_task
 * is what is asked for, 0: as many as there are threads; fewer run where there are not so many.
 * 0, or the first nonzero result by task number, whose last error is then the caller's. */
int parallel_launch(tvm_parallel_task task, void *data, int num_task, uint32_t threads);

/* Waits until every task of the launch is here or has returned. */
void parallel_barrier(const struct tvm_parallel_env *env);

/* Ends the threads. No launch is under way. */
void parallel_stop(void);

#endif
