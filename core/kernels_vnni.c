/* kernels_vnni.c: the arithmetic on AVX-512 with VNNI.
 *
 * vpdpbusd multiplies unsigned by signed bytes, four products per 32-bit lane. Inputs and weights
 * are kept as unsigned bytes, number + 128. Whichever is used more often, the inputs or the
 * weights, stays unsigned in a dot product (kernels_rows.h).
 */
#include <immintrin.h>

#include "kernels.h"

/* vpsravd and vpsllvd take any unsigned amount: past the width the sign is left, or nothing. */
static void shr_two(int32_t *dst, const int32_t *src, size_t count)
{
    const __m512i zero = _mm512_setzero_si512();
    for (size_t i = 0; i < count; i += 16) {
        __mmask16 there = count - i >= 16 ? 0xffff : (__mmask16)((1u << (count - i)) - 1);
        __m512i a = _mm512_maskz_loadu_epi32(there, dst + i);
        __m512i b = _mm512_maskz_loadu_epi32(there, src + i);
        __m512i right = _mm512_srav_epi32(a, b);
        __m512i either = _mm512_mask_sllv_epi32(right, _mm512_cmplt_epi32_mask(b, zero), a,
                                                _mm512_sub_epi32(zero, b));
        _mm512_mask_storeu_epi32(dst + i, there, either);
    }
}

#define LANES     vnni
#define LANES_SHR shr_two
#include "lanes.h"

#define BIASED 1
#include "kernels_rows.h"

/* ---- Vectors of 16, 8 and 4 lanes; 2 and 1 are 4 with a mask ----------------------------------
 */

typedef __m512i z_vec;
enum {
    z_lanes = 16
};
#define z_load(p)        _mm512_loadu_si512(p)
#define z_load_wgt(p)    _mm512_load_si512(p)
#define z_store(p, x)    _mm512_storeu_si512(p, x)
#define z_zero()         _mm512_setzero_si512()
#define z_set1(x)        _mm512_set1_epi32(x)
#define z_add(a, b)      _mm512_add_epi32(a, b)
#define z_sub(a, b)      _mm512_sub_epi32(a, b)
#define z_flip(x)        _mm512_xor_si512(x, _mm512_set1_epi8((char)0x80))
#define z_dot(acc, u, s) _mm512_dpbusd_epi32(acc, u, s)

typedef __m256i y_vec;
enum {
    y_lanes = 8
};
#define y_load(p)        _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define y_load_wgt(p)    _mm256_load_si256((const __m256i *)(const void *)(p))
#define y_store(p, x)    _mm256_storeu_si256((__m256i *)(void *)(p), x)
#define y_zero()         _mm256_setzero_si256()
#define y_set1(x)        _mm256_set1_epi32(x)
#define y_add(a, b)      _mm256_add_epi32(a, b)
#define y_sub(a, b)      _mm256_sub_epi32(a, b)
#define y_flip(x)        _mm256_xor_si256(x, _mm256_set1_epi8((char)0x80))
#define y_dot(acc, u, s) _mm256_dpbusd_epi32(acc, u, s)

#define SMALL(name, lanes_, mask)                                                                  \
    typedef __m128i name##_vec;                                                                    \
    enum {                                                                                         \
        name##_lanes = lanes_                                                                      \
    };                                                                                             \
    static ALWAYS_INLINE __m128i name##_load(const int32_t *p)                                     \
    {                                                                                              \
        return _mm_maskz_loadu_epi32(mask, p);                                                     \
    }                                                                                              \
    static ALWAYS_INLINE __m128i name##_load_wgt(const uint8_t *p)                                 \
    {                                                                                              \
        return _mm_maskz_loadu_epi32(mask, p);                                                     \
    }                                                                                              \
    static ALWAYS_INLINE void name##_store(int32_t *p, __m128i x)                                  \
    {                                                                                              \
        _mm_mask_storeu_epi32(p, mask, x);                                                         \
    }                                                                                              \
    static ALWAYS_INLINE __m128i name##_zero(void)                                                 \
    {                                                                                              \
        return _mm_setzero_si128();                                                                \
    }                                                                                              \
    static ALWAYS_INLINE __m128i name##_set1(int32_t x)                                            \
    {                                                                                              \
        return _mm_set1_epi32(x);                                                                  \
    }                                                                                              \
    static ALWAYS_INLINE __m128i name##_add(__m128i a, __m128i b)                                  \
    {                                                                                              \
        return _mm_add_epi32(a, b);                                                                \
    }                                                                                              \
    static ALWAYS_INLINE __m128i name##_sub(__m128i a, __m128i b)                                  \
    {                                                                                              \
        return _mm_sub_epi32(a, b);                                                                \
    }                                                                                              \
    static ALWAYS_INLINE __m128i name##_flip(__m128i x)                                            \
    {                                                                                              \
        return _mm_xor_si128(x, _mm_set1_epi8((char)0x80));                                        \
    }                                                                                              \
    static ALWAYS_INLINE __m128i name##_dot(__m128i acc, __m128i u, __m128i s)                     \
    {                                                                                              \
        return _mm_dpbusd_epi32(acc, u, s);                                                        \
    }

SMALL(x4, 4, 15)
SMALL(x2, 2, 3)
SMALL(x1, 1, 1)

/* block, vector, vectors per row, groups per row, rows and outputs at once */
DEFINE_ROWS(64, z, 4, 16, 4, 4)
DEFINE_ROWS(32, z, 2, 8, 8, 4)
DEFINE_ROWS(16, z, 1, 4, 14, 8)
DEFINE_ROWS(8, y, 1, 2, 14, 8)
DEFINE_ROWS(4, x4, 1, 1, 8, 8)
DEFINE_ROWS(2, x2, 1, 1, 8, 8)
DEFINE_ROWS(1, x1, 1, 1, 8, 8)

/* ---- Weights in DRAM -----------------------------------------------------------------------
 *
 * Blocks of 16. A row of 16 inputs, in each of the four 128-bit lanes, meets the rows of four
 * outputs as they lie in DRAM; the four sums of four products of an output are added up at the end.
 */

/* The sums of the four lanes of each 128-bit lane, in the order of the outputs: those of a are
 * outputs 0 to 3, of b 4 to 7 and so on. */
static ALWAYS_INLINE __m512i add_lanes(__m512i a, __m512i b, __m512i c, __m512i d)
{
    const __m512i order = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
    __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    __m512i sums = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    return _mm512_permutexvar_epi32(order, sums);
}

/* `count` outputs from their weights in DRAM; inlined for two counts. */
static ALWAYS_INLINE void outputs_from_dram(const struct vta_sram *sram,
                                            const struct vta_gemm_block *g, uint32_t output,
                                            const int count)
{
    const uint8_t *dram = g->dram + output * g->dram_output;
    const __m512i zero = _mm512_setzero_si512();
    __m512i acc[4][4], bias = zero;
    for (int o = 0; o < count; o++)
        for (int v = 0; v < 4; v++)
            acc[o][v] = zero;
    for (uint32_t s = 0; s < g->step_count; s++) {
        const uint8_t *inp = sram->inp + (size_t)(g->src + g->steps[s].src) * 16;
        const uint8_t *wgt = dram + (size_t)(g->steps[s].wgt - g->dram_tile) * 256;
        const __m512i x =
            z_flip(_mm512_broadcast_i32x4(_mm_load_si128((const __m128i *)(const void *)inp)));
        bias = z_dot(bias, z_flip(zero), x);
        for (int o = 0; o < count; o++)
            for (int v = 0; v < 4; v++)
                acc[o][v] =
                    z_dot(acc[o][v],
                          z_flip(z_load(wgt + (size_t)o * g->dram_output + (size_t)v * 64)), x);
    }
    for (int o = 0; o < count; o++) {
        int32_t *to = sram->acc + (size_t)(g->dst + (output + (uint32_t)o) * g->output_dst) * 16;
        for (int v = 0; v < 4; v++)
            acc[o][v] = z_sub(acc[o][v], bias);
        z_store(to, z_add(z_load(to), add_lanes(acc[o][0], acc[o][1], acc[o][2], acc[o][3])));
    }
}

static void gemm_from_dram(const struct vta_sram *sram, const struct vta_gemm_block *g)
{
    uint32_t output = 0;
    for (; g->outputs - output >= 4; output += 4)
        outputs_from_dram(sram, g, output, 4);
    for (; output < g->outputs; output++)
        outputs_from_dram(sram, g, output, 1);
}

static void gemm(const struct vta_sram *sram, const struct vta_gemm_block *g)
{
    if (g->dram != NULL) {
        gemm_from_dram(sram, g);
        return;
    }
    switch (sram->block) {
        GEMM_CASE(64)
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
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}

static bool supports(const struct vta_hw *hw)
{
    return hw->inp_bits <= 8 && hw->wgt_bits <= 8 && hw->block <= 64;
}

/* Bytes of an input row, or of one output's weights: whole groups. */
static size_t padded(const struct vta_sram *sram)
{
    return sram->block < 4 ? 4 : sram->block;
}

static void layout(struct vta_sram *sram)
{
    sram->inp_stride = sram->batch * padded(sram);
    sram->wgt_stride = sram->block * padded(sram);
    sram->reads_dram = sram->batch == 1 && sram->block == 16 && sram->wgt_bits == 8;
}

/* Rows of 1, 2 or 4 bytes, zeros behind them, as words of unsigned bytes. */
static void load_short_rows(uint8_t *to, const uint8_t *from, size_t rows, uint32_t block)
{
    const uint32_t flip = 0x80808080;
    uint32_t *words = (uint32_t *)(void *)to;
    if (block == 1)
        for (size_t r = 0; r < rows; r++)
            words[r] = from[r] ^ flip;
    else
        for (size_t r = 0; r < rows; r++) {
            uint32_t word = 0;
            uint16_t half;
            if (block == 2) {
                memcpy(&half, from + 2 * r, sizeof(half));
                word = half;
            } else {
                memcpy(&word, from + 4 * r, sizeof(word));
            }
            words[r] = word ^ flip;
        }
}

static void load_inp(const struct vta_sram *sram, size_t to, const uint8_t *from, size_t tiles)
{
    uint8_t *bytes = sram->inp + to * sram->inp_stride;
    const size_t rows = tiles * sram->batch, row = padded(sram);
    if (from == NULL) {
        memset(bytes, 0x80, tiles * sram->inp_stride);
        return;
    }
    if (row == sram->block && sram->inp_bits == 8) {
        for (size_t i = 0; i < rows * row; i++)
            bytes[i] = from[i] ^ 0x80;
        return;
    }
    if (sram->inp_bits == 8) {
        load_short_rows(bytes, from, rows, sram->block);
        return;
    }
    memset(bytes, 0x80, rows * row);
    for (size_t i = 0; i < rows * sram->block; i++) {
        int8_t number;
        vta_unpack_one(&number, from, i, sram->inp_bits);
        bytes[i / sram->block * row + i % sram->block] = (uint8_t)number ^ 0x80;
    }
}

/* 16 rows of 16 signed bytes → 4 groups of 16 outputs, unsigned, `stride` bytes apart. Lane L of
 * a, b, c and d holds the rows L, 4 + L, 8 + L and 12 + L. */
static ALWAYS_INLINE void rearrange_rows(uint8_t *to, size_t stride, __m512i a, __m512i b,
                                         __m512i c, __m512i d)
{
    const __m512i order = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
    const __m512i bias = _mm512_set1_epi8((char)0x80);
    /* a 4×4 transposition in each 128-bit lane */
    __m512i ab0 = _mm512_unpacklo_epi32(a, b), ab1 = _mm512_unpackhi_epi32(a, b);
    __m512i cd0 = _mm512_unpacklo_epi32(c, d), cd1 = _mm512_unpackhi_epi32(c, d);
    __m512i groups[4] = { _mm512_unpacklo_epi64(ab0, cd0), _mm512_unpackhi_epi64(ab0, cd0),
                          _mm512_unpacklo_epi64(ab1, cd1), _mm512_unpackhi_epi64(ab1, cd1) };
    for (size_t g = 0; g < 4; g++)
        _mm512_store_si512(to + stride * g,
                           _mm512_xor_si512(bias, _mm512_permutexvar_epi32(order, groups[g])));
}

/* A 16×16 tile, row-major signed → [group][output][4] unsigned. */
static ALWAYS_INLINE void rearrange_16(uint8_t *to, const uint8_t *from)
{
    rearrange_rows(to, 64, _mm512_loadu_si512(from), _mm512_loadu_si512(from + 64),
                   _mm512_loadu_si512(from + 128), _mm512_loadu_si512(from + 192));
}

/* 16 bytes from each of 4 rows that are 32 bytes long. */
static ALWAYS_INLINE __m512i rows_of_32(const uint8_t *from)
{
    const __m128i *row = (const __m128i *)(const void *)from;
    __m512i rows = _mm512_castsi128_si512(_mm_loadu_si128(row));
    rows = _mm512_inserti32x4(rows, _mm_loadu_si128(row + 2), 1);
    rows = _mm512_inserti32x4(rows, _mm_loadu_si128(row + 4), 2);
    return _mm512_inserti32x4(rows, _mm_loadu_si128(row + 6), 3);
}

/* A 32×32 tile likewise, a quarter at a time. */
static ALWAYS_INLINE void rearrange_32(uint8_t *to, const uint8_t *from)
{
    for (size_t o = 0; o < 32; o += 16)
        for (size_t i = 0; i < 32; i += 16) {
            const uint8_t *rows = from + o * 32 + i;
            rearrange_rows(to + i * 32 + o * 4, 128, rows_of_32(rows), rows_of_32(rows + 128),
                           rows_of_32(rows + 256), rows_of_32(rows + 384));
        }
}

/* An 8×8 tile likewise: one vector. */
static ALWAYS_INLINE void rearrange_8(uint8_t *to, const uint8_t *from)
{
    const __m512i order = _mm512_set_epi32(15, 13, 11, 9, 7, 5, 3, 1, 14, 12, 10, 8, 6, 4, 2, 0);
    _mm512_store_si512(to,
                       _mm512_xor_si512(_mm512_set1_epi8((char)0x80),
                                        _mm512_permutexvar_epi32(order, _mm512_loadu_si512(from))));
}

/* Any block: one tile of signed bytes. */
static void rearrange(uint8_t *to, const int8_t *from, size_t block, size_t groups)
{
    for (size_t o = 0; o < block; o++)
        for (size_t i = 0; i < groups * 4; i++)
            to[(i / 4 * block + o) * 4 + i % 4] =
                (uint8_t)((i < block ? from[o * block + i] : 0) ^ 0x80);
}

static void load_wgt(const struct vta_sram *sram, size_t to, const uint8_t *from, size_t tiles)
{
    uint8_t *bytes = sram->wgt + to * sram->wgt_stride;
    const size_t numbers = (size_t)sram->block * sram->block;
    if (from == NULL) {
        memset(bytes, 0x80, tiles * sram->wgt_stride);
        return;
    }
    switch (sram->wgt_bits == 8 ? sram->block : 0) {
    case 32:
        for (size_t t = 0; t < tiles; t++)
            rearrange_32(bytes + t * 1024, from + t * 1024);
        return;
    case 16:
        for (size_t t = 0; t < tiles; t++)
            rearrange_16(bytes + t * 256, from + t * 256);
        return;
    case 8:
        for (size_t t = 0; t < tiles; t++)
            rearrange_8(bytes + t * 64, from + t * 64);
        return;
    case 4:
    case 2:
    case 1:
        load_short_rows(bytes, from, tiles * sram->block, sram->block);
        return;
    }
    int8_t tile[64 * 64];
    for (size_t t = 0; t < tiles; t++) {
        vta_unpack_int8(tile, from + t * numbers * sram->wgt_bits / 8, numbers, sram->wgt_bits);
        rearrange(bytes + t * sram->wgt_stride, tile, sram->block, padded(sram) / 4);
    }
}

const struct vta_kernels vta_kernels_vnni = {
    .name = "vnni",
    .usable = usable,
    .supports = supports,
    .layout = layout,
    .load_inp = load_inp,
    .load_wgt = load_wgt,
    .gemm = gemm,
    LANES_MEMBERS,
};
