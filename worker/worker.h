/* worker.h: what one worker process is about: a board, its runtime, a scratch folder, limits, and
 * the way to say something to the daemon's log. One per process: generated code finds it by
 * worker_current.
 */
#ifndef VTA_WORKER_WORKER_H
#define VTA_WORKER_WORKER_H

#include <pthread.h>

#include "core/board.h"
#include "core/dram.h"
#include "core/runtime.h"
#include "module.h"

struct cpu;
struct deadline;
struct engine_ops;

#define WORKER_CPUS_MAX 3u /* this processor, ARM, AArch64 */

struct worker_options {
    struct vta_board_options board;
    uint32_t run_deadline_ms;        /* of one VTA run; 0: none */
    uint32_t call_deadline_ms;       /* of one call of a client, for emulated code; 0: none */
    uint64_t max_message_bytes;      /* of one packet that is not a copy */
    uint64_t max_upload_bytes;       /* all files of the scratch folder together */
    uint32_t max_files;              /* in it */
    uint64_t max_cpu_bytes;          /* memory of the cpu device: tensors and workspaces together */
    uint32_t max_handles;            /* functions, modules, tensors: each */
    uint32_t max_evaluations;        /* kernel calls of one RPCTimeEvaluator call */
    uint32_t threads;                /* of parallel launches; at least 1 */
    bool board_clock;                /* evaluators report the board's time, not the host's */
    const struct engine_ops *engine; /* of emulated processors; NULL: there is none */
};

/* The memory of the cpu device has 32-bit offsets, from 1 page on. */
#define WORKER_CPU_BYTES_MAX ((UINT64_C(1) << 32) - 4096)

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
    struct vta_runtime *runtime;       /* made at first use of the device */
    struct vta_control control;        /* of the run in progress */
    struct deadline *deadline;         /* sets control.stop; NULL without run_deadline_ms */
    struct cpu *cpus[WORKER_CPUS_MAX]; /* that a module was loaded for; the first is this one */
    _Atomic uint32_t cpu_count;
    struct vta_control call;        /* of the client's call in progress: emulated code obeys it */
    struct deadline *call_deadline; /* sets call.stop; NULL until there is emulated code */
    struct vta_dram *cpu_memory;    /* of the cpu device, under cpu_lock: one range, so that an
                                       emulated processor sees it as it is */
    pthread_mutex_t cpu_lock;
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

/* The processor for code of an ELF machine, made by the first call. VTA_EHARDWARE if it is neither
 * this machine nor one that can be emulated, VTA_EUNSUPPORTED as cpu_emulated_open says. */
int worker_cpu(struct worker *worker, unsigned machine, struct cpu **cpu, struct vta_error *error);

/* The worker of this process, for machine code; set by worker_open. */
struct worker *worker_current(void);

/* Memory of the cpu device: zeroed, whole pages. NULL with VTA_ELIMIT past max_cpu_bytes, or
 * VTA_ENOMEM. Any thread. */
void *worker_alloc(struct worker *worker, uint64_t nbytes, struct vta_error *error);
/* VTA_EHANDLE if worker_alloc did not return it or it was released; error may be NULL. */
int worker_release(struct worker *worker, const void *memory, struct vta_error *error);
/* Bytes in use, in whole pages. */
uint64_t worker_cpu_bytes(struct worker *worker);

void worker_log(struct worker *worker, int level, const char *format, ...) VTA_PRINTF(3, 4);

#endif
