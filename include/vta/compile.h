/* vta/compile.h: operators with a schedule in, kernels out.
 *
 * Words: a *tile* is what one SRAM entry holds (BATCH × BLOCK numbers of data, BLOCK × BLOCK of
 * weights). A *block* is the part of the matrices that is in the SRAMs at one time. A *schedule*
 * says how large the blocks are; it changes what a kernel costs, never what it computes.
 *
 * A kernel goes into a module image (vta/kernel.h) and from there into a file (vta/module.h).
 */
#ifndef VTA_COMPILE_H
#define VTA_COMPILE_H

#include <vta/kernel.h>

#ifdef __cplusplus
extern "C" {
#endif

/* result = epilogue(bias + data · weightᵀ), data batch × in, weight out × in.
 *
 * Zero the struct, then fill what is needed. Sizes count numbers. The epilogue works on the
 * accumulators (32 bits): first the shift, then max with clip_lo, then min with clip_hi; the result
 * keeps the low bits of what is left. */
struct vta_matmul {
    uint32_t batch, in, out; /* multiples of BATCH, BLOCK, BLOCK */
    /* Numbers per block, multiples likewise; they need not divide the matrix: the last block of an
     * axis is then smaller. More than the axis has means all of it. 0: chosen (see below). */
    uint32_t block_batch, block_in, block_out;
    bool bias;  /* a fourth tensor, one number per output */
    bool shift; /* arithmetic shift right by shift_by, 0…31 */
    int32_t shift_by;
    bool clip; /* to clip_lo … clip_hi, 16 bits signed each */
    int32_t clip_lo, clip_hi;
};

/* Validates; fills the block sizes that are 0 and cuts those that pass their axis.
 *
 * A chosen blocking is the one that moves the fewest bytes from DRAM, of those whose blocks are
 * whole axes or powers of two of tiles and fit the SRAMs; where several move as few, the one with
 * the fewest steps.
 *
 * Returns 0, VTA_EINVAL (the message names the size and the tile), VTA_ESRAM (a block does not fit:
 * which SRAM, the bytes that it needs and has) or VTA_ELIMIT (a tensor of 4 GiB or more). */
VTA_API int vta_matmul_resolve(struct vta_matmul *matmul, const struct vta_hw *hw,
                               struct vta_error *error);

/* Compiles into *kernel (release it with vta_kernel_clear). Its parameters, all row-major:
 *   data    inp type   (batch/BATCH, in/BLOCK, BATCH, BLOCK)   read, INP tiles
 *   weight  wgt type   (out/BLOCK, in/BLOCK, BLOCK, BLOCK)     read, WGT tiles
 *   bias    acc type   (out/BLOCK, BATCH, BLOCK)               read, ACC tiles; only with bias; a
 *                      tile's BATCH rows are equal copies
 *   result  out type   (batch/BATCH, out/BLOCK, BATCH, BLOCK)  written, OUT tiles
 *
 * Returns what vta_matmul_resolve does, VTA_ELIMIT where the kernel needs more instructions than a
 * module file holds, or VTA_ENOMEM. */
VTA_API int vta_compile_matmul(struct vta_kernel *kernel, const struct vta_hw *hw, const char *name,
                               const struct vta_matmul *matmul, struct vta_error *error);

/* The steps on the way from definition to instructions. */
enum vta_schedule_step {
    VTA_SCHEDULE_DEFINITION, /* the sums, number by number */
    VTA_SCHEDULE_BLOCKED,    /* the same after blocking */
    VTA_SCHEDULE_LOWERED,    /* DMA, tensor instructions, tokens: what becomes the kernel */
    VTA_SCHEDULE_STEPS
};

/* "definition", "blocked", "lowered". */
VTA_API const char *vta_schedule_step_name(enum vta_schedule_step step);

/* The loop nest at a step as indented pseudo-code, several lines. The lowered one is printed from
 * the very nest that vta_compile_matmul walks. The caller frees *text. */
VTA_API int vta_matmul_schedule(char **text, const struct vta_hw *hw,
                                const struct vta_matmul *matmul, enum vta_schedule_step step,
                                struct vta_error *error);

#ifdef __cplusplus
}
#endif

#endif
