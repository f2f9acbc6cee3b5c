/* kernels_portable.c: the arithmetic in portable C, for every configuration.
 *
 * Numbers of at most 8 bits lie as 16-bit pairs, in loops that compilers turn into what vectors
 * the baseline processor has. Where inputs or weights are wider, both lie as 32-bit integers, row
 * by row, as in DRAM.
 */
#include "kernels.h"
#include "kernels_pairs.h"

#include <string.h>

#define LANES portable
#include "lanes.h"

static bool always(void)
{
    return true;
}

static bool everything(const struct vta_hw *hw)
{
    (void)hw;
    return true;
}

static bool is_wide(const struct vta_sram *sram)
{
    return sram->inp_bits > 8 || sram->wgt_bits > 8 || sram->block > 64;
}

/* ---- Loading ------------------------------------------------------------------------------- */

static void layout(struct vta_sram *sram)
{
    if (!is_wide(sram)) {
        vta_pairs_layout(sram);
        return;
    }
    sram->inp_stride = (size_t)sram->batch * sram->block * sizeof(int32_t);
    sram->wgt_stride = (size_t)sram->block * sram->block * sizeof(int32_t);
}

static void load_wide(int32_t *to, const uint8_t *from, size_t count, uint32_t bits)
{
    if (from == NULL) {
        memset(to, 0, count * sizeof(*to));
        return;
    }
    for (size_t i = 0; i < count; i++) {
        int16_t half;
        int8_t byte;
        switch (bits) {
        case 32:
            memcpy(&to[i], from + 4 * i, sizeof(to[i]));
            break;
        case 16:
            memcpy(&half, from + 2 * i, sizeof(half));
            to[i] = half;
            break;
        default:
            vta_unpack_one(&byte, from, i, bits);
            to[i] = byte;
        }
    }
}

static void load_inp(const struct vta_sram *sram, size_t to, const uint8_t *from, size_t tiles)
{
    if (is_wide(sram))
        load_wide((int32_t *)(void *)(sram->inp + to * sram->inp_stride), from,
                  tiles * sram->batch * sram->block, sram->inp_bits);
    else
        vta_pairs_load_inp(sram, to, from, tiles);
}

static void load_wgt(const struct vta_sram *sram, size_t to, const uint8_t *from, size_t tiles)
{
    if (is_wide(sram))
        load_wide((int32_t *)(void *)(sram->wgt + to * sram->wgt_stride), from,
                  tiles * sram->block * sram->block, sram->wgt_bits);
    else
        vta_pairs_load_wgt(sram, to, from, tiles);
}

/* ---- GEMM ---------------------------------------------------------------------------------- */

/* acc[o] += Σ_i inp[i] · wgt[o][i]; a sum of at most 64 products of bytes fits 32 bits. A function
 * of its own for each block size in wide use: loops of constant length are what compilers
 * vectorise. */
#define DEFINE_ROW(name, block_of)                                                                 \
    static __attribute__((noinline)) void name(int32_t *restrict acc, const int16_t *restrict inp, \
                                               const int16_t *restrict wgt, uint32_t any_block)    \
    {                                                                                              \
        enum {                                                                                     \
            MOST = 64                                                                              \
        };                                                                                         \
        const uint32_t block = block_of;                                                           \
        int32_t sums[MOST];                                                                        \
        (void)any_block;                                                                           \
        for (uint32_t o = 0; o < block; o++)                                                       \
            sums[o] = 0;                                                                           \
        for (uint32_t i = 0; i < block; i += 2)                                                    \
            for (uint32_t o = 0; o < block; o++)                                                   \
                sums[o] +=                                                                         \
                    inp[i] * wgt[i * block + 2 * o] + inp[i + 1] * wgt[i * block + 2 * o + 1];     \
        for (uint32_t o = 0; o < block; o++)                                                       \
            acc[o] = (int32_t)((uint32_t)acc[o] + (uint32_t)sums[o]);                              \
    }

DEFINE_ROW(row_pairs, any_block)
DEFINE_ROW(row_pairs_8, 8)
DEFINE_ROW(row_pairs_16, 16)
DEFINE_ROW(row_pairs_32, 32)

static void row_wide(int32_t *restrict acc, const int32_t *restrict inp,
                     const int32_t *restrict wgt, uint32_t block)
{
    for (uint32_t o = 0; o < block; o++) {
        uint32_t sum = (uint32_t)acc[o];
        for (uint32_t i = 0; i < block; i++)
            sum += (uint32_t)inp[i] * (uint32_t)wgt[o * block + i];
        acc[o] = (int32_t)sum;
    }
}

#define DEFINE_GEMM(name, row, type, block_of)                                                     \
    static void name(const struct vta_sram *sram, const struct vta_gemm_block *g)                  \
    {                                                                                              \
        const uint32_t batch = sram->batch, block = block_of;                                      \
        const size_t inp_row = sram->inp_stride / batch;                                           \
        for (uint32_t n = 0; n < g->outputs * g->positions; n++) {                                 \
            const uint32_t p = n % g->positions, out = n / g->positions;                           \
            const size_t dst = (size_t)g->dst + p * g->position_dst + out * g->output_dst;         \
            const size_t src = (size_t)g->src + p * g->position_src;                               \
            const size_t tile = (size_t)g->wgt + out * g->output_wgt;                              \
            int32_t *acc = sram->acc + dst * batch * block;                                        \
            for (uint32_t s = 0; s < g->step_count; s++) {                                         \
                const uint8_t *inp = sram->inp + (src + g->steps[s].src) * sram->inp_stride;       \
                const uint8_t *wgt = sram->wgt + (tile + g->steps[s].wgt) * sram->wgt_stride;      \
                for (uint32_t b = 0; b < batch; b++)                                               \
                    row(acc + b * block, (const type *)(const void *)(inp + b * inp_row),          \
                        (const type *)(const void *)wgt, block);                                   \
            }                                                                                      \
        }                                                                                          \
    }

DEFINE_GEMM(gemm_pairs, row_pairs, int16_t, sram->block)
DEFINE_GEMM(gemm_pairs_8, row_pairs_8, int16_t, 8)
DEFINE_GEMM(gemm_pairs_16, row_pairs_16, int16_t, 16)
DEFINE_GEMM(gemm_pairs_32, row_pairs_32, int16_t, 32)
DEFINE_GEMM(gemm_wide, row_wide, int32_t, sram->block)

static void gemm(const struct vta_sram *sram, const struct vta_gemm_block *g)
{
    if (is_wide(sram)) {
        gemm_wide(sram, g);
        return;
    }
    switch (sram->block) {
    case 8:
        gemm_pairs_8(sram, g);
        break;
    case 16:
        gemm_pairs_16(sram, g);
        break;
    case 32:
        gemm_pairs_32(sram, g);
        break;
    default:
        gemm_pairs(sram, g);
    }
}

const struct vta_kernels vta_kernels_portable = {
    .name = "portable",
    .usable = always,
    .supports = everything,
    .layout = layout,
    .load_inp = load_inp,
    .load_wgt = load_wgt,
    .gemm = gemm,
    LANES_MEMBERS,
};
