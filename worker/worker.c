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

int worker_open(struct worker *worker, const struct worker_options *options,
                const struct worker_host *host, const struct module_loader *loader,
                const char *scratch, struct vta_error *error)
{
    *worker = (struct worker){ .options = *options, .host = *host, .loader = loader };
    worker->scratch_fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (worker->scratch_fd < 0)
        return vta_error_set(error, VTA_EIO, "%s: %s", scratch, strerror(errno));
    int rc = VTA_ENOMEM;
    worker->scratch = strdup(scratch);
    if (worker->scratch == NULL) {
        vta_error_set(error, rc, "no memory for a worker");
        goto fail;
    }
    struct vta_board_options board = options->board;
    board.hazards.report = log_hazard;
    board.hazards.context = worker;
    rc = vta_board_open(&worker->board, &board, error);
    if (rc != 0)
        goto fail;
    if (options->run_deadline_ms != 0) {
        rc = deadline_new(&worker->deadline, options->run_deadline_ms, &worker->control, error);
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
    abi_clear(worker);
    vta_runtime_free(worker->runtime);
    vta_board_close(worker->board);
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

int worker_take_memory(struct worker *worker, uint64_t nbytes, struct vta_error *error)
{
    uint64_t most = worker->options.max_cpu_bytes, used = atomic_load(&worker->cpu_bytes);
    do {
        if (nbytes > most || used > most - nbytes)
            return vta_error_limit(error, VTA_ELIMIT, (int64_t)most,
                                   nbytes > INT64_MAX ? INT64_MAX : (int64_t)nbytes,
                                   "cpu: %" PRIu64 " bytes more than the %" PRIu64
                                   " in use pass the limit of %" PRIu64,
                                   nbytes, used, most);
    } while (!atomic_compare_exchange_weak(&worker->cpu_bytes, &used, used + nbytes));
    return 0;
}

void worker_give_memory(struct worker *worker, uint64_t nbytes)
{
    atomic_fetch_sub(&worker->cpu_bytes, nbytes);
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
