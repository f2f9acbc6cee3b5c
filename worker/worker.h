/* worker.h: what one worker process is about: a board, its runtime, a scratch folder, limits, and
 * the way to say something to the daemon's log. One per process: generated code finds it by
 * worker_current.
 */
#ifndef VTA_WORKER_WORKER_H
#define VTA_WORKER_WORKER_H

#include "core/board.h"
#include "core/runtime.h"
#include "module.h"

struct deadline;

struct worker_options {
    struct vta_board_options board;
    uint32_t run_deadline_ms;   /* of one VTA run; 0: none */
    uint64_t max_message_bytes; /* of one packet that is not a copy */
    uint64_t max_upload_bytes;  /* all files of the scratch folder together */
    uint32_t max_files;         /* in it */
    uint64_t max_cpu_bytes;     /* cpu tensors and workspaces together */
    uint32_t max_handles;       /* functions, modules, tensors: each */
    uint32_t max_evaluations;   /* kernel calls of one RPCTimeEvaluator call */
    uint32_t threads;           /* of parallel launches; at least 1 */
    bool board_clock;           /* evaluators report the board's time, not the host's */
};

/* No deadline, 64 MiB of a packet, 256 MiB in 256 files, 1 GiB of cpu memory, 65536 handles, 10
 * million evaluations, one thread, the host's clock; the board's own defaults. */
void worker_options_default(struct worker_options *options);

/* How the process talks to the daemon; channel.h is the real one, tests have their own. */
struct worker_host {
    void (*log)(void *context, int level, const char *text); /* enum log_level of server/log.h */
    void *context;
};

struct worker {
    struct worker_options options;
    struct worker_host host;
    const struct module_loader *loader;
    char *scratch;  /* absolute path of the folder; owned */
    int scratch_fd; /* the folder, open */
    struct vta_board *board;
    struct vta_runtime *runtime; /* made at first use of the device */
    struct vta_control control;  /* of the run in progress */
    struct deadline *deadline;   /* sets control.stop; NULL without run_deadline_ms */
    _Atomic uint64_t cpu_bytes;  /* in use, of max_cpu_bytes */
};

/* host's log may be NULL: nobody is told. scratch exists, and is
 * copied; loader outlives the worker, which must not move. VTA_EIO where the folder cannot be
 * opened, VTA_ENOMEM; nothing is to be closed then. */
int worker_open(struct worker *worker, const struct worker_options *options,
                const struct worker_host *host, const struct module_loader *loader,
                const char *scratch, struct vta_error *error);
void worker_close(struct worker *worker);

/* The worker's, made by the first call, which counts as first use of the device. NULL with *error
 * (VTA_ENOMEM). */
struct vta_runtime *worker_runtime(struct worker *worker, struct vta_error *error);

/* The worker of this process, for machine code; set by worker_open. */
struct worker *worker_current(void);

/* Counts memory against max_cpu_bytes; VTA_ELIMIT past it. Any thread. */
int worker_take_memory(struct worker *worker, uint64_t nbytes, struct vta_error *error);
void worker_give_memory(struct worker *worker, uint64_t nbytes);

void worker_log(struct worker *worker, int level, const char *format, ...) VTA_PRINTF(3, 4);

#endif
