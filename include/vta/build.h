/* vta/build.h: records VTA instruction streams, call by call, as a board's runtime does.
 *
 * A builder records one kernel: declare parameters, then call the operations in program order.
 * It follows the rules of VTA's own runtime (what a push or pop becomes, when a micro-op kernel
 * is loaded, what synchronise appends), so that a stream built here has a board's counters.
 *
 * Words: a *unit* is load, compute or store. A *push* from unit A to B and a *pop* by B order
 * everything before the push before everything after the pop. A *micro-op kernel* is a list of
 * micro-ops under at most two loops, kept in the UOP SRAM while there is room.
 *
 * Errors stick: the first failure is remembered, later calls do nothing and return it, and
 * vta_build_finish reports it. So a kernel may be written without a check per line.
 *
 * Not thread-safe; one builder per thread.
 */
#ifndef VTA_BUILD_H
#define VTA_BUILD_H

#include <vta/kernel.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vta_build; /* a kernel under construction */

enum vta_unit {
    VTA_UNIT_LOAD = 1,
    VTA_UNIT_COMPUTE = 2,
    VTA_UNIT_STORE = 3
};

enum vta_alu_opcode {
    VTA_ALU_MIN = 0,
    VTA_ALU_MAX = 1,
    VTA_ALU_ADD = 2,
    VTA_ALU_SHR = 3,
    VTA_ALU_MUL = 4
};

/* Starts a kernel with this name (copied) for this hardware (copied). NULL without memory. */
VTA_API struct vta_build *vta_build_new(const struct vta_hw *hw, const char *name);

/* Gives up. NULL is allowed. */
VTA_API void vta_build_free(struct vta_build *build);

/* Declares the next parameter; returns its index, or a negative VTA_E… code. Everything is copied.
 * memory  whose tiles it is laid out in: INP, WGT, ACC, OUT (or ACC_8BIT for an int8 accumulator)
 * access  what the kernel does with it; loads need READ, stores WRITE */
VTA_API int vta_build_param(struct vta_build *build, const char *name,
                            const struct vta_tensor_type *type, enum vta_memory memory,
                            enum vta_access access);

/* A 2D load: y_size rows of x_size elements, x_stride apart in DRAM, from element `offset` of a
 * parameter, to consecutive entries of `memory` from sram_base; zeros for the padding.
 * memory is INP, WGT, ACC or ACC_8BIT. All counts are elements of that memory. */
struct vta_pad {
    uint32_t y_before, y_after, x_before, x_after; /* 0…15 each */
};
VTA_API int vta_build_load(struct vta_build *build, int param, uint32_t offset, uint32_t y_size,
                           uint32_t x_size, uint32_t x_stride, const struct vta_pad *pad,
                           uint32_t sram_base, enum vta_memory memory);

/* The inverse, from OUT (what GEMM and ALU left there) to a parameter. */
VTA_API int vta_build_store(struct vta_build *build, uint32_t sram_base, int param, uint32_t offset,
                            uint32_t y_size, uint32_t x_size, uint32_t x_stride);

/* Order between units; from and to must be neighbours (load–compute or compute–store). */
VTA_API int vta_build_push(struct vta_build *build, enum vta_unit from, enum vta_unit to);
VTA_API int vta_build_pop(struct vta_build *build, enum vta_unit from, enum vta_unit to);

/* A micro-op kernel: what a GEMM or ALU instruction runs. Plain data; micro-ops are copied.
 * With one loop, GEMM takes it as the outer one and ALU as the inner one. */
struct vta_uop_index {
    uint32_t dst, src, wgt; /* ACC entry; INP (GEMM) or ACC (ALU) entry; WGT entry */
};
struct vta_uop_loop {
    uint32_t extent, dst, src, wgt; /* iterations, and what each adds to the three indices */
};
struct vta_uop_kernel {
    const struct vta_uop_loop *loops; /* outermost first */
    uint32_t loop_count;              /* 0…2 */
    const struct vta_uop_index *uops;
    uint32_t uop_count;
};

/* ACC[dst] += INP[src] · WGT[wgt]ᵀ over the kernel; with reset, ACC[dst] = 0.
 * A kernel equal in everything (micro-ops, loops, operation, immediate) to one that is still in the
 * UOP SRAM is not loaded again. */
VTA_API int vta_build_gemm(struct vta_build *build, const struct vta_uop_kernel *kernel,
                           bool reset);

/* ACC[dst] = op(ACC[dst], ACC[src]) over the kernel. */
VTA_API int vta_build_alu(struct vta_build *build, const struct vta_uop_kernel *kernel,
                          enum vta_alu_opcode op);

/* ACC[dst] = op(ACC[dst], imm) over the kernel; imm is 16 bits, signed. */
VTA_API int vta_build_alu_imm(struct vta_build *build, const struct vta_uop_kernel *kernel,
                              enum vta_alu_opcode op, int32_t imm);

/* Instructions recorded so far. */
VTA_API uint32_t vta_build_count(const struct vta_build *build);

/* Ends the kernel: orders every store and load before FINISH, drains what tokens are left so that
 * all queues end empty, verifies the result, and moves it into *kernel (release it with
 * vta_kernel_clear). Frees the builder in every case.
 *
 * Returns 0, the first error of an earlier call, or the verifier's refusal. */
VTA_API int vta_build_finish(struct vta_build *build, struct vta_kernel *kernel,
                             struct vta_error *error);

#ifdef __cplusplus
}
#endif

#endif
