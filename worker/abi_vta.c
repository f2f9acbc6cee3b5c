/* abi_vta.c: VTA's runtime under the names that machine code calls: each function is one of
 * core/runtime's on the runtime of this process's worker.
 *
 * The command handle and the number of cycles to wait mean nothing here. A buffer is the host
 * address of its DRAM, so that its CPU pointer is itself. Without a runtime (no memory for its
 * DRAM) the functions that can say so do, and the rest does nothing; the session's first tensor on
 * the device had failed before.
 */
#include <string.h>

#include "abi_calls.h"
#include "worker.h"

/* Of this process's worker, or NULL with the reason set as the thread's last error. */
static struct vta_runtime *runtime_now(void)
{
    struct worker *worker = worker_current();
    struct vta_error error;
    if (worker == NULL) {
        TVMAPISetLastError("no session: VTA is called from outside of one");
        return NULL;
    }
    if (worker->runtime != NULL)
        return worker->runtime;
    struct vta_runtime *runtime = worker_runtime(worker, &error);
    if (runtime == NULL)
        TVMAPISetLastError(error.message);
    return runtime;
}

void *VTATLSCommandHandle(void)
{
    return runtime_now();
}

void VTARuntimeShutdown(void)
{
    struct worker *worker = worker_current();
    if (worker != NULL && worker->runtime != NULL)
        vta_runtime_reset(worker->runtime);
}

void VTASetDebugMode(void *cmd, int flags)
{
    struct vta_runtime *runtime = runtime_now();
    (void)cmd;
    if (runtime != NULL)
        vta_runtime_set_debug(runtime, (uint32_t)flags);
}

/* ---- Buffers ------------------------------------------------------------------------------- */

void *VTABufferAlloc(size_t nbytes)
{
    struct vta_runtime *runtime = runtime_now();
    struct vta_error error;
    if (runtime == NULL)
        return NULL;
    void *buffer = vta_runtime_alloc(runtime, nbytes, &error);
    if (buffer == NULL)
        TVMAPISetLastError(error.message);
    return buffer;
}

void VTABufferFree(void *buffer)
{
    struct vta_runtime *runtime = runtime_now();
    struct vta_error error;
    if (runtime != NULL && buffer != NULL && vta_runtime_release(runtime, buffer, &error) != 0)
        vta_runtime_fail(runtime, &error);
}

/* Whether [pointer + offset, … + nbytes) lies in a live buffer. Else the runtime fails. */
static bool check_buffer(struct vta_runtime *runtime, const void *pointer, size_t offset,
                         size_t nbytes)
{
    struct vta_error error;
    const char *at = (const char *)((uintptr_t)pointer + offset);
    if (vta_runtime_find(runtime, at, nbytes, NULL, NULL, &error) == 0)
        return true;
    vta_error_prefix(&error, "VTABufferCopy");
    vta_runtime_fail(runtime, &error);
    return false;
}

/* kind: bit 1: `from` is a device buffer, bit 0: `to` is. */
void VTABufferCopy(const void *from, size_t from_offset, void *to, size_t to_offset, size_t nbytes,
                   int kind)
{
    struct vta_runtime *runtime = runtime_now();
    if (runtime == NULL || nbytes == 0)
        return;
    if ((kind & 2) != 0 && !check_buffer(runtime, from, from_offset, nbytes))
        return;
    if ((kind & 1) != 0 && !check_buffer(runtime, to, to_offset, nbytes))
        return;
    memmove((char *)to + to_offset, (const char *)from + from_offset, nbytes);
}

void *VTABufferCPUPtr(void *cmd, void *buffer)
{
    (void)cmd;
    return buffer;
}

/* The processor and the board see the same memory at any time. */
void VTAWriteBarrier(void *cmd, void *buffer, uint32_t elem_bits, uint32_t start, uint32_t extent)
{
    (void)cmd;
    (void)buffer;
    (void)elem_bits;
    (void)start;
    (void)extent;
}

void VTAReadBarrier(void *cmd, void *buffer, uint32_t elem_bits, uint32_t start, uint32_t extent)
{
    VTAWriteBarrier(cmd, buffer, elem_bits, start, extent);
}

/* ---- Instructions -------------------------------------------------------------------------- */

void VTALoadBuffer2D(void *cmd, void *src, uint32_t src_elem_offset, uint32_t x_size,
                     uint32_t y_size, uint32_t x_stride, uint32_t x_pad_before,
                     uint32_t y_pad_before, uint32_t x_pad_after, uint32_t y_pad_after,
                     uint32_t dst_sram_index, uint32_t dst_memory_type)
{
    struct vta_runtime *runtime = runtime_now();
    (void)cmd;
    if (runtime != NULL)
        vta_runtime_load_2d(runtime, src, src_elem_offset, x_size, y_size, x_stride, x_pad_before,
                            y_pad_before, x_pad_after, y_pad_after, dst_sram_index,
                            dst_memory_type);
}

void VTAStoreBuffer2D(void *cmd, uint32_t src_sram_index, uint32_t src_memory_type, void *dst,
                      uint32_t dst_elem_offset, uint32_t x_size, uint32_t y_size, uint32_t x_stride)
{
    struct vta_runtime *runtime = runtime_now();
    (void)cmd;
    if (runtime != NULL)
        vta_runtime_store_2d(runtime, src_sram_index, src_memory_type, dst, dst_elem_offset, x_size,
                             y_size, x_stride);
}

void VTAUopPush(uint32_t mode, uint32_t reset, uint32_t dst, uint32_t src, uint32_t wgt,
                uint32_t opcode, uint32_t use_imm, int32_t imm)
{
    struct vta_runtime *runtime = runtime_now();
    if (runtime != NULL)
        vta_runtime_uop_push(runtime, mode, reset, dst, src, wgt, opcode, use_imm, imm);
}

void VTAUopLoopBegin(uint32_t extent, uint32_t dst_factor, uint32_t src_factor, uint32_t wgt_factor)
{
    struct vta_runtime *runtime = runtime_now();
    if (runtime != NULL)
        vta_runtime_loop_begin(runtime, extent, dst_factor, src_factor, wgt_factor);
}

void VTAUopLoopEnd(void)
{
    struct vta_runtime *runtime = runtime_now();
    if (runtime != NULL)
        vta_runtime_loop_end(runtime);
}

int VTAPushGEMMOp(void **uop_handle, int (*finit)(void *), void *signature, int nbytes)
{
    struct vta_runtime *runtime = runtime_now();
    return runtime != NULL ? vta_runtime_kernel(runtime, 0, uop_handle, finit, signature, nbytes)
                           : -1;
}

int VTAPushALUOp(void **uop_handle, int (*finit)(void *), void *signature, int nbytes)
{
    struct vta_runtime *runtime = runtime_now();
    return runtime != NULL ? vta_runtime_kernel(runtime, 1, uop_handle, finit, signature, nbytes)
                           : -1;
}

int VTADepPush(void *cmd, int from, int to)
{
    struct vta_runtime *runtime = runtime_now();
    (void)cmd;
    if (runtime == NULL)
        return -1;
    vta_runtime_push(runtime, from, to);
    return vta_runtime_failed(runtime) ? -1 : 0;
}

int VTADepPop(void *cmd, int from, int to)
{
    struct vta_runtime *runtime = runtime_now();
    (void)cmd;
    if (runtime == NULL)
        return -1;
    vta_runtime_pop(runtime, from, to);
    return vta_runtime_failed(runtime) ? -1 : 0;
}

void VTASynchronize(void *cmd, uint32_t wait_cycles)
{
    struct vta_runtime *runtime = runtime_now();
    (void)cmd;
    (void)wait_cycles;
    if (runtime != NULL)
        vta_runtime_synchronise(runtime);
}
