/* template.h: the process that workers are forked from.
 *
 * It has one thread, and sees nothing of a client: START and SESSION wait in the channel that a
 * worker gets. A worker is a child of the daemon, not of the template: the daemon sees how it ends,
 * and a session does not end with the template.
 */
#ifndef VTA_WORKER_TEMPLATE_H
#define VTA_WORKER_TEMPLATE_H

#include <sys/types.h>

struct engine_ops;

/* Prepares what takes time, then forks a worker for each FORK, which calls serve with its end of
 * the channel at CHANNEL_FD. Ends with the daemon.
 *
 * engine   the emulator of other processors; NULL if it is not installed
 * daemon   the process that the worker is a child of */
_Noreturn void template_run(void (*serve)(const struct engine_ops *engine, pid_t daemon));

#endif
