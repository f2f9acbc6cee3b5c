/* runtime.h: the command queue of a board's libvta: calls of generated host code in, runs on a
 * board out. Records with record.h, keeps micro-op kernels per call site, synchronises by running
 * the stream on a board.
 *
 * Knows nothing of C symbols, processes or clients: a worker gives it to machine code under the
 * names that generated code calls (worker/abi_vta). Not thread-safe; one per board.
 *
 * A pointer that generated code calls a buffer is the host address of its DRAM
 * (vta_dram_base + DRAM address), so that the same pointer serves the processor and the board, and
 * a pointer into the middle of a buffer is one. Every call that takes one checks that it lies in a
 * live allocation of the board; what else it may touch, the verifier decides at synchronise.
 *
 * Errors: the C functions of libvta return nothing. A failing call sets the runtime's error, which
 * sticks until it is taken; while it is set, calls record nothing. Whoever called the
 * kernel takes it (vta_runtime_take_error), which also forgets the stream, pending pops and the
 * micro-op cache, and empties the board's token queues: a clean queue.
 */
#ifndef VTA_CORE_RUNTIME_H
#define VTA_CORE_RUNTIME_H

#include "board.h"
#include "record.h"

struct vta_runtime;

/* Debug flags of libvta's VTASetDebugMode. */
enum vta_runtime_debug {
    VTA_DEBUG_DUMP_INSN = 1 << 1,
    VTA_DEBUG_DUMP_UOP = 1 << 2,
    VTA_DEBUG_SKIP_READ_BARRIER = 1 << 3,
    VTA_DEBUG_SKIP_WRITE_BARRIER = 1 << 4,
    VTA_DEBUG_FORCE_SERIAL = 1 << 5
};

struct vta_runtime_options {
    uint64_t transfer_bytes; /* a stream that would pass it synchronises by itself: 1 << 25 */
    uint32_t max_kernels;    /* micro-op kernels kept; VTA_ELIMIT beyond in one stream */
    /* One line of a dump, without the newline; NULL: dumps go nowhere. */
    void (*log)(void *context, const char *line);
    void *context;
    /* Looked at by a run in progress; NULL: nobody stops runs. */
    struct vta_control *control;
};

void vta_runtime_options_default(struct vta_runtime_options *options);

/* board must outlive it, and its DRAM is the runtime's: nobody else allocates there. */
int vta_runtime_new(struct vta_runtime **runtime, struct vta_board *board,
                    const struct vta_runtime_options *options, struct vta_error *error);
void vta_runtime_free(struct vta_runtime *runtime); /* NULL is allowed; the buffers go, too */

/* Whether a call has failed since the last take, without taking. */
bool vta_runtime_failed(const struct vta_runtime *runtime);
/* 0, or the first failure's code with *error filled; the queue is clean afterwards. */
int vta_runtime_take_error(struct vta_runtime *runtime, struct vta_error *error);
/* A failure of something that is called beside these functions: sticks like one of theirs. */
void vta_runtime_fail(struct vta_runtime *runtime, const struct vta_error *error);
/* Forgets what was recorded, pending pops and the board's tokens, and any error: for a caller whose
 * kernel gave up half-way. */
void vta_runtime_abandon(struct vta_runtime *runtime);
/* As after vta_runtime_new, but for the buffers and the result of runs: no error, stream, pending
 * pops, kernels or debug flags. */
void vta_runtime_reset(struct vta_runtime *runtime);

/* ---- Buffers ------------------------------------------------------------------------------- */

/* Page-aligned DRAM; NULL with *error. */
void *vta_runtime_alloc(struct vta_runtime *runtime, uint64_t nbytes, struct vta_error *error);
/* VTA_EHANDLE where no live buffer begins at it. */
int vta_runtime_release(struct vta_runtime *runtime, void *buffer, struct vta_error *error);
/* The live buffer that holds [pointer, pointer + nbytes): its begin and size. VTA_ERANGE. */
int vta_runtime_find(const struct vta_runtime *runtime, const void *pointer, uint64_t nbytes,
                     void **begin, uint64_t *buffer_bytes, struct vta_error *error);

/* ---- What generated code calls; the parameters are named as libvta names them ---------------- */

void vta_runtime_load_2d(struct vta_runtime *runtime, const void *src, uint32_t src_elem_offset,
                         uint32_t x_size, uint32_t y_size, uint32_t x_stride, uint32_t x_pad_before,
                         uint32_t y_pad_before, uint32_t x_pad_after, uint32_t y_pad_after,
                         uint32_t sram_index, uint32_t memory);
void vta_runtime_store_2d(struct vta_runtime *runtime, uint32_t sram_index, uint32_t memory,
                          void *dst, uint32_t dst_elem_offset, uint32_t x_size, uint32_t y_size,
                          uint32_t x_stride);
void vta_runtime_uop_push(struct vta_runtime *runtime, uint32_t mode, uint32_t reset, uint32_t dst,
                          uint32_t src, uint32_t wgt, uint32_t opcode, uint32_t use_imm,
                          int32_t imm);
void vta_runtime_loop_begin(struct vta_runtime *runtime, uint32_t extent, uint32_t dst_factor,
                            uint32_t src_factor, uint32_t wgt_factor);
void vta_runtime_loop_end(struct vta_runtime *runtime);
/* mode 0 GEMM, 1 ALU. *call_site identifies the kernels of one place in the code; signature (0 or 4
 * bytes) tells them apart. record() makes the calls above; nonzero: it failed. 0, or -1. */
int vta_runtime_kernel(struct vta_runtime *runtime, uint32_t mode, void **call_site,
                       int (*record)(void *signature), void *signature, int signature_bytes);
void vta_runtime_push(struct vta_runtime *runtime, int from, int to);
void vta_runtime_pop(struct vta_runtime *runtime, int from, int to);
void vta_runtime_synchronise(struct vta_runtime *runtime);
void vta_runtime_set_debug(struct vta_runtime *runtime, uint32_t flags);

/* The result of all runs since it was last asked: board time and wall time for evaluators. The
 * board's time is 0 where that of any run is not known. */
void vta_runtime_take_result(struct vta_runtime *runtime, struct vta_run_result *sum);

#endif
