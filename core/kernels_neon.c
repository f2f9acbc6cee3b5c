/* kernels_neon.c: the arithmetic on 64-bit ARM's NEON (Advanced SIMD), which every such processor
 * has. Four signed bytes per 32-bit lane; products are widened to 16 bits and added pairwise.
 */
#include <arm_neon.h>

#include "kernels.h"

#define LANES neon
#include "lanes.h"

#define BIASED 0
#include "kernels_rows.h"

static ALWAYS_INLINE int32x4_t dot(int32x4_t acc, int32x4_t w, int32x4_t x)
{
    int8x16_t w8 = vreinterpretq_s8_s32(w), x8 = vreinterpretq_s8_s32(x);
    int16x8_t low = vmull_s8(vget_low_s8(w8), vget_low_s8(x8));
    int16x8_t high = vmull_high_s8(w8, x8);
    return vaddq_s32(acc, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
}

#define COMMON(name, lanes_)                                                                       \
    typedef int32x4_t name##_vec;                                                                  \
    enum {                                                                                         \
        name##_lanes = lanes_                                                                      \
    };

COMMON(q, 4)
#define q_load(p)        vld1q_s32(p)
#define q_load_wgt(p)    vreinterpretq_s32_u8(vld1q_u8(p))
#define q_store(p, x)    vst1q_s32(p, x)
#define q_zero()         vdupq_n_s32(0)
#define q_set1(x)        vdupq_n_s32(x)
#define q_add(a, b)      vaddq_s32(a, b)
#define q_sub(a, b)      vsubq_s32(a, b)
#define q_flip(x)        (x)
#define q_dot(acc, w, x) dot(acc, w, x)

COMMON(d, 2)
#define d_load(p)        vcombine_s32(vld1_s32(p), vdup_n_s32(0))
#define d_load_wgt(p)    vreinterpretq_s32_u8(vcombine_u8(vld1_u8(p), vdup_n_u8(0)))
#define d_store(p, x)    vst1_s32(p, vget_low_s32(x))
#define d_zero()         vdupq_n_s32(0)
#define d_set1(x)        vdupq_n_s32(x)
#define d_add(a, b)      vaddq_s32(a, b)
#define d_sub(a, b)      vsubq_s32(a, b)
#define d_flip(x)        (x)
#define d_dot(acc, w, x) dot(acc, w, x)

COMMON(s, 1)
#define s_load(p)        vsetq_lane_s32(*(p), vdupq_n_s32(0), 0)
#define s_load_wgt(p)    vsetq_lane_s32(vta_group(p), vdupq_n_s32(0), 0)
#define s_store(p, x)    (*(p) = vgetq_lane_s32(x, 0))
#define s_zero()         vdupq_n_s32(0)
#define s_set1(x)        vdupq_n_s32(x)
#define s_add(a, b)      vaddq_s32(a, b)
#define s_sub(a, b)      vsubq_s32(a, b)
#define s_flip(x)        (x)
#define s_dot(acc, w, x) dot(acc, w, x)

/* block, vector, vectors per row, groups per row, rows and outputs at once */
DEFINE_ROWS(32, q, 8, 8, 2, 2)
DEFINE_ROWS(16, q, 4, 4, 4, 4)
DEFINE_ROWS(8, q, 2, 2, 8, 8)
DEFINE_ROWS(4, q, 1, 1, 8, 8)
DEFINE_ROWS(2, d, 1, 1, 8, 8)
DEFINE_ROWS(1, s, 1, 1, 8, 8)

static void gemm(const struct vta_sram *sram, const struct vta_gemm_block *g)
{
    switch (sram->block) {
        GEMM_CASE(32)
        GEMM_CASE(16)
        GEMM_CASE(8)
        GEMM_CASE(4)
        GEMM_CASE(2)
        GEMM_CASE(1)
    }
}

/* ---- SRAM ---------------------------------------------------------------------------------- */

static bool usable(void)
{
    return true;
}

static bool supports(const struct vta_hw *hw)
{
    return hw->inp_bits <= 8 && hw->wgt_bits <= 8 && hw->block <= 32;
}

/* Bytes of an input row, or of one output's weights: whole groups of four. */
static size_t padded(const struct vta_sram *sram)
{
    return sram->block < 4 ? 4 : sram->block;
}

static void layout(struct vta_sram *sram)
{
    sram->inp_stride = sram->batch * padded(sram);
    sram->wgt_stride = sram->block * padded(sram);
}

static void load_inp(const struct vta_sram *sram, size_t to, const uint8_t *from, size_t tiles)
{
    int8_t *bytes = (int8_t *)(sram->inp + to * sram->inp_stride);
    const size_t rows = tiles * sram->batch, row = padded(sram);
    if (from == NULL || row != sram->block)
        memset(bytes, 0, tiles * sram->inp_stride);
    if (from == NULL)
        return;
    if (row == sram->block)
        vta_unpack_int8(bytes, from, rows * row, sram->inp_bits);
    else
        for (size_t i = 0; i < rows * sram->block; i++)
            vta_unpack_one(bytes + i / sram->block * row + i % sram->block, from, i,
                           sram->inp_bits);
}

/* One tile of signed bytes, row-major → [group][output][4]. */
static void rearrange(int8_t *to, const int8_t *from, size_t block, size_t groups)
{
    for (size_t g = 0; g < groups; g++)
        for (size_t o = 0; o < block; o++) {
            int32_t group = 0;
            if (block >= 4)
                memcpy(&group, from + o * block + 4 * g, 4);
            else
                memcpy(&group, from + o * block, block);
            memcpy(to + (g * block + o) * 4, &group, 4);
        }
}

static void load_wgt(const struct vta_sram *sram, size_t to, const uint8_t *from, size_t tiles)
{
    int8_t *bytes = (int8_t *)(sram->wgt + to * sram->wgt_stride), tile[32 * 32];
    const size_t numbers = (size_t)sram->block * sram->block;
    if (from == NULL) {
        memset(bytes, 0, tiles * sram->wgt_stride);
        return;
    }
    for (size_t t = 0; t < tiles; t++) {
        vta_unpack_int8(tile, from + t * numbers * sram->wgt_bits / 8, numbers, sram->wgt_bits);
        rearrange(bytes + t * sram->wgt_stride, tile, sram->block, padded(sram) / 4);
    }
}

const struct vta_kernels vta_kernels_neon = {
    .name = "neon",
    .usable = usable,
    .supports = supports,
    .layout = layout,
    .load_inp = load_inp,
    .load_wgt = load_wgt,
    .gemm = gemm,
    LANES_MEMBERS,
};
