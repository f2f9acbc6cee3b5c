/* kernels.h: the arithmetic of the simulated core, one implementation per instruction set.
 *
 * A kernel set decides how tiles lie in the simulator's INP and WGT SRAM (it fills and reads them
 * itself) and multiplies them; ACC is always int32, row by row. Nothing here checks an index.
 *
 * Words: a *step* multiplies one INP tile by one WGT tile into one ACC tile. Steps of one GEMM
 * instruction only add to ACC, modulo 2^32, so they may run in any order.
 */
#ifndef VTA_CORE_KERNELS_H
#define VTA_CORE_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include <vta/hw.h>

/* The simulator's SRAM, in the order that its kernel set wants. */
struct vta_sram {
    uint32_t batch, block;
    uint32_t inp_bits, wgt_bits, out_bits;
    uint8_t *inp, *wgt; /* inp_stride and wgt_stride bytes per tile, 64-byte aligned */
    size_t inp_stride, wgt_stride;
    bool reads_dram; /* gemm takes weights in DRAM, too */
    int32_t *acc;    /* batch × block per tile */
};

struct vta_step {
    uint32_t src, wgt; /* tiles */
};

/* A box of steps. Positions meet the same weights, outputs the same inputs: for each output o, for
 * each position p, for each step s:
 * ACC[dst + o·output_dst + p·position_dst] +=
 *     INP[src + p·position_src + s.src] · WGT[wgt + o·output_wgt + s.wgt]ᵀ.
 * Where there are several positions, position_dst is not 0; output_dst likewise. */
struct vta_gemm_block {
    uint32_t dst, src, wgt;
    uint32_t positions, position_dst, position_src;
    uint32_t outputs, output_dst, output_wgt;
    const struct vta_step *steps;
    uint32_t step_count;
    /* Not NULL (only if reads_dram, for one position): the weights are not in SRAM. Here is tile
     * dram_tile, the first that a step names, of the first output, with the output's other tiles
     * behind it; from output to output are dram_output bytes. wgt and output_wgt are not used. */
    const uint8_t *dram;
    uint32_t dram_tile;
    size_t dram_output;
};

struct vta_kernels {
    const char *name;
    bool (*usable)(void); /* this processor has what it takes */
    bool (*supports)(const struct vta_hw *hw);
    /* Sets inp_stride, wgt_stride and reads_dram. */
    void (*layout)(struct vta_sram *sram);

    /* `tiles` tiles from packed DRAM bytes (or zeros, where from is NULL) to SRAM tile `to`. */
    void (*load_inp)(const struct vta_sram *sram, size_t to, const uint8_t *from, size_t tiles);
    void (*load_wgt)(const struct vta_sram *sram, size_t to, const uint8_t *from, size_t tiles);
    void (*gemm)(const struct vta_sram *sram, const struct vta_gemm_block *block);

    /* Over `count` numbers; by ALU opcode. dst and src are the same or do not overlap. */
    void (*alu_imm[5])(int32_t *dst, size_t count, int32_t imm);
    void (*alu[5])(int32_t *dst, const int32_t *src, size_t count);
    /* ACC_8BIT, and stores to int8. */
    void (*widen)(int32_t *to, const int8_t *from, size_t count);
    void (*truncate)(int8_t *to, const int32_t *from, size_t count);
};

/* The best set that this processor runs and that supports hw. $VTA_KERNELS (a set's name) or
 * vta_kernels_force narrows the choice; where the named set cannot serve, portable does. */
const struct vta_kernels *vta_kernels_choose(const struct vta_hw *hw);

/* Whether a set of this name can be had: VTA_EINVAL for an unknown name (with a suggestion),
 * VTA_EUNSUPPORTED where this build or processor cannot run it. */
int vta_kernels_check(const char *name, struct vta_error *error);

/* Names a set for every later choice; NULL undoes it. Fails as vta_kernels_check does. Call before
 * threads start. */
int vta_kernels_force(const char *name, struct vta_error *error);

/* All sets of this build, best first, and how many. */
const struct vta_kernels *const *vta_kernels_all(size_t *count);

/* Packed numbers of 1, 2 or 4 bits (low bits first) or 8 to signed bytes; shared by the sets. */
void vta_unpack_int8(int8_t *to, const uint8_t *from, size_t count, uint32_t bits);
/* The index-th of them alone. */
void vta_unpack_one(int8_t *to, const uint8_t *from, size_t index, uint32_t bits);

#endif
