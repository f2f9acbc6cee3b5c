/* worker.c: what one worker process holds, made and undone. */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi_state.h"
#include "cpu.h"
#include "deadline.h"
#include "server/log.h"

static struct worker *current;

struct worker *worker_current(void)
{
    return current;
}

void worker_options_default(struct worker_options *options)
{
    *options = (struct worker_options){
        .max_message_bytes = UINT64_C(64) << 20,
        .max_upload_bytes = UINT64_C(256) << 20,
        .max_files = 256,
        .max_cpu_bytes = UINT64_C(1) << 30,
        .max_handles = 65536,
        .max_evaluations = 10000000,
        .threads = 1,
    };
    vta_board_options_default(&options->board);
}

/* A line about a stream that a board may run otherwise. */
static void log_hazard(void *context, const char *line)
{
    worker_log(context, LOG_LEVEL_WARNING, "%s", line);
}

static int open_cpu_memory(struct worker *worker, struct vta_error *error)
{
    const uint64_t most = worker->options.max_cpu_bytes;
    if (most == 0 || most > WORKER_CPU_BYTES_MAX)
        return vta_error_limit(error, VTA_EINVAL, (int64_t)WORKER_CPU_BYTES_MAX, (int64_t)most,
                               "cpu: a limit of %" PRIu64
                               " bytes of memory is not from 1 to %" PRIu64,
                               most, WORKER_CPU_BYTES_MAX);
    /* Its first page is nobody's (dram.h). */
    const uint64_t pages = (most + VTA_DRAM_PAGE - 1) / VTA_DRAM_PAGE + 1;
    return vta_dram_open(&worker->cpu_memory, pages * VTA_DRAM_PAGE, most, error);
}

int worker_open(struct worker *worker, const struct worker_options *options,
                const struct worker_host *host, const struct module_loader *loader,
                const char *scratch, struct vta_error *error)
{
    *worker = (struct worker){
        .options = *options, .host = *host, .loader = loader, .cpu_lock = PTHREAD_MUTEX_INITIALIZER
    };
    worker->scratch_fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (worker->scratch_fd < 0)
        return vta_error_set(error, VTA_EIO, "%s: %s", scratch, strerror(errno));
    int rc = VTA_ENOMEM;
    worker->scratch = strdup(scratch);
    if (worker->scratch == NULL) {
        vta_error_set(error, rc, "no memory for a worker");
        goto fail;
    }
    rc = open_cpu_memory(worker, error);
    if (rc != 0)
        goto fail;
    struct vta_board_options board = options->board;
    board.hazards.report = log_hazard;
    board.hazards.context = worker;
    rc = vta_board_open(&worker->board, &board, error);
    if (rc != 0)
        goto fail;
    if (options->run_deadline_ms != 0) {
        rc = deadline_new(&worker->deadline, options->run_deadline_ms, &worker->control, NULL, NULL,
                          error);
        if (rc != 0)
            goto fail;
    }
    current = worker;
    return 0;
fail:
    worker_close(worker);
    return rc;
}

void worker_close(struct worker *worker)
{
    deadline_free(worker->deadline);
    deadline_free(worker->call_deadline);
    abi_clear(worker);
    for (uint32_t i = 0; i < worker->cpu_count; i++)
        worker->cpus[i]->ops->close(worker->cpus[i]);
    vta_runtime_free(worker->runtime);
    vta_board_close(worker->board);
    vta_dram_close(worker->cpu_memory);
    free(worker->scratch);
    close(worker->scratch_fd);
    if (current == worker)
        current = NULL;
}

/* A line of a runtime's dump. */
static void log_dump(void *context, const char *line)
{
    worker_log(context, LOG_LEVEL_INFO, "%s", line);
}

struct vta_runtime *worker_runtime(struct worker *worker, struct vta_error *error)
{
    struct vta_runtime_options options;
    if (worker->runtime != NULL)
        return worker->runtime;
    vta_runtime_options_default(&options);
    options.log = log_dump;
    options.context = worker;
    options.control = &worker->control;
    if (vta_runtime_new(&worker->runtime, worker->board, &options, error) != 0)
        worker->runtime = NULL;
    return worker->runtime;
}

/* ---- Processors ----------------------------------------------------------------------------- */

/* On the deadline's thread, which starts after the first emulated processor was made. */
static void stop_calls(void *context)
{
    struct worker *worker = context;
    for (uint32_t i = 1; i < atomic_load(&worker->cpu_count); i++)
        worker->cpus[i]->ops->stop(worker->cpus[i]);
}

static int add_cpu(struct worker *worker, unsigned machine, struct vta_error *error)
{
    struct cpu **cpu = &worker->cpus[worker->cpu_count];
    const uint32_t ms = worker->options.call_deadline_ms;
    int rc = worker->cpu_count == 0
                 ? cpu_native_open(cpu, worker, error)
                 : cpu_emulated_open(cpu, machine, worker, worker->options.engine, error);
    if (rc != 0)
        return rc;
    if (worker->cpu_count > 0 && ms != 0 && worker->call_deadline == NULL) {
        rc = deadline_new(&worker->call_deadline, ms, &worker->call, stop_calls, worker, error);
        if (rc != 0) {
            (*cpu)->ops->close(*cpu);
            return rc;
        }
        deadline_arm(worker->call_deadline); /* of the call that loads the module */
    }
    atomic_fetch_add(&worker->cpu_count, 1);
    return 0;
}

int worker_cpu(struct worker *worker, unsigned machine, struct cpu **cpu, struct vta_error *error)
{
    for (uint32_t i = 0;; i++) {
        if (i == worker->cpu_count) {
            int rc = add_cpu(worker, machine, error);
            if (rc != 0)
                return rc;
        }
        if (worker->cpus[i]->ops->machine == machine) {
            *cpu = worker->cpus[i];
            return 0;
        }
    }
}

/* ---- Memory of the cpu device --------------------------------------------------------------- */

void *worker_alloc(struct worker *worker, uint64_t nbytes, struct vta_error *error)
{
    struct vta_dram_stats stats;
    vta_handle handle;
    uint32_t address = 0;
    pthread_mutex_lock(&worker->cpu_lock);
    int rc = vta_dram_alloc(worker->cpu_memory, nbytes == 0 ? 1 : nbytes, &handle, error);
    if (rc == 0)
        vta_dram_lookup(worker->cpu_memory, handle, NULL, &address, NULL);
    vta_dram_stats(worker->cpu_memory, &stats);
    pthread_mutex_unlock(&worker->cpu_lock);
    if (rc == 0)
        return vta_dram_base(worker->cpu_memory) + address;
    if (rc == VTA_ELIMIT)
        vta_error_limit(
            error, rc, (int64_t)stats.quota, nbytes > INT64_MAX ? INT64_MAX : (int64_t)nbytes,
            "cpu: %" PRIu64 " bytes more than the %" PRIu64 " in use pass the limit of %" PRIu64,
            nbytes, stats.used, stats.quota);
    else
        vta_error_set(error, VTA_ENOMEM, "cpu: no memory for %" PRIu64 " bytes", nbytes);
    return NULL;
}

int worker_release(struct worker *worker, const void *memory, struct vta_error *error)
{
    const uint64_t offset =
        (uint64_t)((uintptr_t)memory - (uintptr_t)vta_dram_base(worker->cpu_memory));
    uint64_t begin, nbytes;
    vta_handle handle;
    pthread_mutex_lock(&worker->cpu_lock);
    const bool found = vta_dram_next(worker->cpu_memory, offset, &handle, &begin, &nbytes) &&
                       begin == offset && vta_dram_free(worker->cpu_memory, handle, NULL) == 0;
    pthread_mutex_unlock(&worker->cpu_lock);
    return found ? 0 : vta_error_set(error, VTA_EHANDLE, "cpu: no memory was allocated there");
}

uint64_t worker_cpu_bytes(struct worker *worker)
{
    struct vta_dram_stats stats;
    pthread_mutex_lock(&worker->cpu_lock);
    vta_dram_stats(worker->cpu_memory, &stats);
    pthread_mutex_unlock(&worker->cpu_lock);
    return stats.used;
}

void worker_log(struct worker *worker, int level, const char *format, ...)
{
    char text[1024];
    va_list args;
    if (worker->host.log == NULL)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    worker->host.log(worker->host.context, level, text);
}
