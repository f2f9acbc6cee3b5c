/* worker_furnish.c: folder, page, START.
 */
#include "worker_furnish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server.h"
#include "template.h"

#define PROCESSES_MAX 8192 /* and threads of all workers; a bomb's end is at half */
/* Of address space, for code, stacks, messages, and two emulators that reserve 1 GiB each. */
#define MORE_BYTES   (UINT64_C(4) << 30)
#define PACKET_BYTES (UINT64_C(1) << 20) /* of a packet besides the file that it uploads */

static uint32_t processors(void)
{
    static long count; /* asked for once, which takes as long as a fork */
    if (count == 0)
        count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (uint32_t)count : 1;
}

static void make_start(const struct config *config, struct channel_start *start)
{
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
        .threads = config->tvm_threads != 0 ? (uint32_t)config->tvm_threads : processors(),
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

static int tell_start(const struct worker_process *worker, bool trial, int channel, int memfd,
                      struct vta_error *error)
{
    const struct channel_head head = { .type = CHANNEL_START };
    const struct scratch *scratch = &worker->template->scratch;
    struct channel_start start;
    make_start(&worker->template->server->config, &start);
    start.trial = trial;
    start.uid = scratch->uid;
    start.gid = scratch->gid;
    snprintf(start.scratch, sizeof start.scratch, "%s", worker->scratch);
    return worker_channel_say(channel, &head, &start, sizeof start, memfd, error);
}

int worker_furnish(struct worker_process *worker, bool trial, struct vta_error *error)
{
    int memfd = -1;
    int rc = scratch_make(&worker->template->scratch, worker->scratch, error);
    if (rc != 0) {
        worker->scratch[0] = '\0';
        return rc;
    }
    rc = make_page(worker, &memfd, error);
    if (rc == 0)
        rc = tell_start(worker, trial, worker->channel.fd, memfd, error);
    if (memfd >= 0)
        close(memfd);
    return rc;
}
