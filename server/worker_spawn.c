/* worker_spawn.c: what the process is told; folder, page, sockets, process, undone in reverse where
 * one fails.
 */
#include "worker_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pool.h"
#include "server.h"

#define CHANNEL_SOCK_BYTES (160 << 10) /* for the largest message */
#define PROCESSES_MAX      8192        /* and threads of all workers; a bomb's end is at half */
#define MORE_BYTES         (UINT64_C(2) << 30) /* of address space, for code, stacks and messages */
#define PACKET_BYTES       (UINT64_C(1) << 20) /* of a packet besides the file that it uploads */

static void make_start(const struct config *config, struct channel_start *start)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    *start = (struct channel_start){
        .bytes = sizeof *start,
        .build = VTAD_VERSION,
        .hw = config->hw,
        .dram_bytes = config->dram_bytes,
        .max_work = config->max_work,
        .hazards = (enum vta_hazard_policy)config->hazards,
        .strict_board = config->strict_board != 0,
        .timing = config->timing,
        .profile = config->timing_profile,
        .board_clock = config->clock == CLOCK_BOARD,
        .max_upload_bytes = config->max_tvm_upload_bytes,
        .max_message_bytes = config->max_tvm_upload_bytes + PACKET_BYTES,
        .max_cpu_bytes = config->max_tvm_cpu_bytes,
        .max_files = (uint32_t)config->max_tvm_files,
        .max_handles = (uint32_t)config->max_tvm_handles,
        .max_evaluations = (uint32_t)config->max_evaluations,
        .run_deadline_ms = (uint32_t)config->run_deadline_ms,
        .call_deadline_ms = (uint32_t)config->tvm_call_deadline_ms,
        .busy_poll_us = (uint32_t)config->busy_poll_us,
        .threads = (uint32_t)(config->tvm_threads != 0 ? config->tvm_threads
                              : processors > 0         ? (uint64_t)processors
                                                       : 1),
        .memory_bytes = config->tvm_memory_bytes != 0
                            ? config->tvm_memory_bytes
                            : config->dram_bytes + config->max_tvm_cpu_bytes + MORE_BYTES,
        .file_bytes = config->max_tvm_upload_bytes,
        .cpu_s = (uint32_t)config->tvm_cpu_s,
        .processes = PROCESSES_MAX,
        .box_required = config->tvm_box == TVM_BOX_REQUIRE,
    };
    if (config->kernels != 0)
        snprintf(start->kernels, sizeof start->kernels, "%s", config_kernels[config->kernels]);
    snprintf(start->user, sizeof start->user, "%s", config->tvm_user);
}

static int make_page(struct worker_process *worker, int *memfd, struct vta_error *error)
{
    /* Sealed: memory that the other side could take away would be a SIGBUS here. */
    *memfd = memfd_create("vtad-worker", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (*memfd < 0 || ftruncate(*memfd, sizeof *worker->page) != 0 ||
        fcntl(*memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return vta_error_set(error, VTA_EIO, "memfd: %s", strerror(errno));
    void *page = mmap(NULL, sizeof *worker->page, PROT_READ | PROT_WRITE, MAP_SHARED, *memfd, 0);
    if (page == MAP_FAILED)
        return vta_error_set(error, VTA_EIO, "memfd: %s", strerror(errno));
    worker->page = page;
    return 0;
}

static int make_channel(int ends[2], struct vta_error *error)
{
    int size = CHANNEL_SOCK_BYTES;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return vta_error_set(error, VTA_EIO, "socketpair: %s", strerror(errno));
    for (int i = 0; i < 2; i++)
        setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    return 0;
}

static int tell_start(const struct worker_process *worker, int channel, int memfd,
                      struct vta_error *error)
{
    const struct channel_head head = { .type = CHANNEL_START };
    struct channel_start start;
    make_start(&worker->pool->server->config, &start);
    snprintf(start.scratch, sizeof start.scratch, "%s", worker->scratch);
    if (channel_send(channel, &head, &start, sizeof start, memfd, false) != 0)
        return vta_error_set(error, VTA_EIO, "a worker's channel: %s", strerror(errno));
    return 0;
}

int worker_spawn(struct worker_process *worker, int *channel, struct vta_error *error)
{
    struct pool *pool = worker->pool;
    char *arguments[] = { pool->program, (char *)"serve", NULL };
    int ends[2] = { -1, -1 }, memfd = -1;
    int rc = scratch_make(&pool->scratch, worker->scratch, error);
    if (rc != 0)
        return rc;
    if ((rc = make_page(worker, &memfd, error)) != 0 || (rc = make_channel(ends, error)) != 0 ||
        (rc = tell_start(worker, ends[0], memfd, error)) != 0 ||
        (rc = child_spawn(&pool->children, &worker->child, arguments, ends[1], error)) != 0)
        goto fail;
    close(ends[1]);
    close(memfd);
    *channel = ends[0];
    return 0;

fail:
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    if (memfd >= 0)
        close(memfd);
    if (worker->page != NULL)
        munmap(worker->page, sizeof *worker->page);
    worker->page = NULL;
    rmdir(worker->scratch);
    return rc;
}
