/* abi_calls.h: every function that machine code finds by dynamic linking: TVM's backend and VTA's
 * runtime, under their own names. abi.list exports exactly these from whatever links them.
 *
 * Facts of TVM 0.8 to 0.18. Here stand only differences and what TVM leaves open.
 */
#ifndef VTA_WORKER_ABI_CALLS_H
#define VTA_WORKER_ABI_CALLS_H

#include "abi.h"

#define ABI_CALL __attribute__((visibility("default"), used))

/* ---- TVM's backend (abi_tvm.c) ------------------------------------------------------------- */

ABI_CALL int TVMFuncCall(void *function, union tvm_value *args, int *codes, int count,
                         union tvm_value *result, int *result_code);
/* Of the calling thread; a parallel launch hands a task's to the launching one. */
ABI_CALL void TVMAPISetLastError(const char *message);
ABI_CALL const char *TVMGetLastError(void);

/* *function lives as long as the module: generated code keeps it in a variable. */
ABI_CALL int TVMBackendGetFuncFromEnv(void *module_ctx, const char *name, void **function);
ABI_CALL void *TVMBackendAllocWorkspace(int device_type, int device_id, uint64_t nbytes,
                                        int dtype_code, int dtype_bits);
ABI_CALL int TVMBackendFreeWorkspace(int device_type, int device_id, void *workspace);

struct tvm_parallel_env {
    void *sync;
    int32_t num_task;
};
typedef int (*tvm_parallel_task)(int task, struct tvm_parallel_env *env, void *data);

ABI_CALL int TVMBackendParallelLaunch(tvm_parallel_task task, void *data, int num_task);
ABI_CALL int TVMBackendParallelBarrier(int task, struct tvm_parallel_env *env);
ABI_CALL int TVMBackendRegisterSystemLibSymbol(const char *name, void *address);
ABI_CALL int TVMBackendRunOnce(void **handle, int (*function)(void *), void *data, int nbytes);

ABI_CALL int TVMArrayAlloc(const int64_t *shape, int ndim, int dtype_code, int dtype_bits,
                           int dtype_lanes, int device_type, int device_id,
                           struct tvm_tensor **tensor);
/* TVMArrayFree is in abi.h. */

/* ---- VTA's runtime (abi_vta.c) ------------------------------------------------------------- */

ABI_CALL void *VTATLSCommandHandle(void);
ABI_CALL void VTARuntimeShutdown(void);
ABI_CALL void *VTABufferAlloc(size_t nbytes);
ABI_CALL void VTABufferFree(void *buffer);
ABI_CALL void VTABufferCopy(const void *from, size_t from_offset, void *to, size_t to_offset,
                            size_t nbytes, int kind);
ABI_CALL void *VTABufferCPUPtr(void *cmd, void *buffer);
ABI_CALL void VTAWriteBarrier(void *cmd, void *buffer, uint32_t elem_bits, uint32_t start,
                              uint32_t extent);
ABI_CALL void VTAReadBarrier(void *cmd, void *buffer, uint32_t elem_bits, uint32_t start,
                             uint32_t extent);
ABI_CALL void VTASetDebugMode(void *cmd, int flags);
ABI_CALL void VTALoadBuffer2D(void *cmd, void *src, uint32_t src_elem_offset, uint32_t x_size,
                              uint32_t y_size, uint32_t x_stride, uint32_t x_pad_before,
                              uint32_t y_pad_before, uint32_t x_pad_after, uint32_t y_pad_after,
                              uint32_t dst_sram_index, uint32_t dst_memory_type);
ABI_CALL void VTAStoreBuffer2D(void *cmd, uint32_t src_sram_index, uint32_t src_memory_type,
                               void *dst, uint32_t dst_elem_offset, uint32_t x_size,
                               uint32_t y_size, uint32_t x_stride);
ABI_CALL void VTAUopPush(uint32_t mode, uint32_t reset, uint32_t dst, uint32_t src, uint32_t wgt,
                         uint32_t opcode, uint32_t use_imm, int32_t imm);
ABI_CALL void VTAUopLoopBegin(uint32_t extent, uint32_t dst_factor, uint32_t src_factor,
                              uint32_t wgt_factor);
ABI_CALL void VTAUopLoopEnd(void);
ABI_CALL int VTAPushGEMMOp(void **uop_handle, int (*finit)(void *), void *signature, int nbytes);
ABI_CALL int VTAPushALUOp(void **uop_handle, int (*finit)(void *), void *signature, int nbytes);
ABI_CALL int VTADepPush(void *cmd, int from, int to);
ABI_CALL int VTADepPop(void *cmd, int from, int to);
ABI_CALL void VTASynchronize(void *cmd, uint32_t wait_cycles);

#endif
