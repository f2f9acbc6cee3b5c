/* kernels_avx2.c: the arithmetic on AVX2.
 *
 * vpmaddwd multiplies signed 16-bit numbers and adds two products per 32-bit lane, exactly. So
 * inputs and weights are widened to 16 bits when they are loaded into SRAM.
 */
#include <immintrin.h>

#include "alu.h"
#include "kernels_pairs.h"

/* vpsravd and vpsllvd take any unsigned amount: past the width the sign is left, or nothing. */
static void shr_two(int32_t *dst, const int32_t *src, size_t count)
{
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)(dst + i));
        __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(src + i));
        __m256i right = _mm256_srav_epi32(a, b);
        __m256i left = _mm256_sllv_epi32(a, _mm256_sub_epi32(_mm256_setzero_si256(), b));
        __m256i either = _mm256_blendv_epi8(right, left, _mm256_srai_epi32(b, 31));
        _mm256_storeu_si256((__m256i *)(void *)(dst + i), either);
    }
    for (; i < count; i++)
        dst[i] = vta_alu_shr(dst[i], src[i]);
}

#define LANES     avx2
#define LANES_SHR shr_two
#include "lanes.h"

#define BIASED 0
#include "kernels_rows.h"

typedef __m256i y_vec;
enum {
    y_lanes = 8
};
#define y_load(p)     _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define y_load_wgt(p) _mm256_load_si256((const __m256i *)(const void *)(p))
#define y_store(p, x) _mm256_storeu_si256((__m256i *)(void *)(p), x)
#define y_zero()      _mm256_setzero_si256()
#define y_set1(x)     _mm256_set1_epi32(x)
#define y_add(a, b)   _mm256_add_epi32(a, b)
#define y_sub(a, b)   _mm256_sub_epi32(a, b)
#define y_flip(x)     (x)

/* The barrier keeps gcc from making all products first and spilling them. */
static ALWAYS_INLINE __m256i y_dot(__m256i acc, __m256i w, __m256i x)
{
    acc = _mm256_add_epi32(acc, _mm256_madd_epi16(w, x));
    __asm__("" : "+x"(acc));
    return acc;
}

/* Four lanes, or the first two or one of them: `mask` says which are there. */
#define SMALL(name, lanes_, m1, m2, m3)                                                            \
    typedef __m128i name##_vec;                                                                    \
    enum {                                                                                         \
        name##_lanes = lanes_                                                                      \
    };                                                                                             \
    static ALWAYS_INLINE __m128i name##_load(const void *p)                                        \
    {                                                                                              \
        return _mm_maskload_epi32(p, _mm_set_epi32(m3, m2, m1, -1));                               \
    }                                                                                              \
    static ALWAYS_INLINE void name##_store(int32_t *p, __m128i x)                                  \
    {                                                                                              \
        _mm_maskstore_epi32(p, _mm_set_epi32(m3, m2, m1, -1), x);                                  \
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
    static ALWAYS_INLINE __m128i name##_dot(__m128i acc, __m128i w, __m128i x)                     \
    {                                                                                              \
        return _mm_add_epi32(acc, _mm_madd_epi16(w, x));                                           \
    }

SMALL(x4, 4, -1, -1, -1)
SMALL(x2, 2, -1, 0, 0)
SMALL(x1, 1, 0, 0, 0)
#define x4_load_wgt  x4_load
#define x4_sub(a, b) _mm_sub_epi32(a, b)
#define x4_flip(x)   (x)
#define x2_load_wgt  x2_load
#define x2_sub(a, b) _mm_sub_epi32(a, b)
#define x2_flip(x)   (x)
#define x1_load_wgt  x1_load
#define x1_sub(a, b) _mm_sub_epi32(a, b)
#define x1_flip(x)   (x)

/* block, vector, vectors per row, groups per row, rows and outputs at once */
DEFINE_ROWS(32, y, 4, 16, 2, 2)
DEFINE_ROWS(16, y, 2, 8, 4, 4)
DEFINE_ROWS(8, y, 1, 4, 8, 8)
DEFINE_ROWS(4, x4, 1, 2, 8, 8)
DEFINE_ROWS(2, x2, 1, 1, 8, 8)
DEFINE_ROWS(1, x1, 1, 1, 8, 8)

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
    return __builtin_cpu_supports("avx2");
}

static bool supports(const struct vta_hw *hw)
{
    return hw->inp_bits <= 8 && hw->wgt_bits <= 8 && hw->block <= 32;
}

/* Eight rows of 16 signed bytes → 8 groups × 8 outputs × 2 numbers: an 8×8 transposition of pairs.
 * `to` is the first of 8 vectors, each `stride` bytes after the one before. */
static ALWAYS_INLINE void rearrange_8x16(uint8_t *to, size_t stride, const __m128i rows[8])
{
    __m256i r[8], t[8];
    for (int i = 0; i < 8; i++)
        r[i] = _mm256_cvtepi8_epi16(rows[i]);
    for (int i = 0; i < 4; i++) {
        t[2 * i] = _mm256_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        r[4 * i] = _mm256_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 1] = _mm256_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 2] = _mm256_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
        r[4 * i + 3] = _mm256_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        _mm256_store_si256((__m256i *)(void *)(to + stride * (size_t)i),
                           _mm256_permute2x128_si256(r[i], r[4 + i], 0x20));
        _mm256_store_si256((__m256i *)(void *)(to + stride * (size_t)(4 + i)),
                           _mm256_permute2x128_si256(r[i], r[4 + i], 0x31));
    }
}

/* A tile of 16 or 32 rows and columns. */
static ALWAYS_INLINE void rearrange(uint8_t *to, const uint8_t *from, size_t block)
{
    for (size_t o = 0; o < block; o += 8)
        for (size_t i = 0; i < block; i += 16) {
            __m128i rows[8];
            for (size_t r = 0; r < 8; r++)
                rows[r] =
                    _mm_loadu_si128((const __m128i *)(const void *)(from + (o + r) * block + i));
            rearrange_8x16(to + (i / 2 * block + o) * 4, block * 4, rows);
        }
}

/* Two 8×8 tiles side by side. */
static ALWAYS_INLINE void rearrange_8_twice(uint8_t *to, const uint8_t *from)
{
    __m128i rows[8];
    for (size_t r = 0; r < 8; r++)
        rows[r] =
            _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)(const void *)(from + 8 * r)),
                               _mm_loadl_epi64((const __m128i *)(const void *)(from + 64 + 8 * r)));
    rearrange_8x16(to, 32, rows);
}

static ALWAYS_INLINE void rearrange_4(uint8_t *to, const uint8_t *from)
{
    const __m128i pairs = _mm_set_epi8(15, 14, 11, 10, 7, 6, 3, 2, 13, 12, 9, 8, 5, 4, 1, 0);
    __m128i tile = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)from), pairs);
    _mm256_store_si256((__m256i *)(void *)to, _mm256_cvtepi8_epi16(tile));
}

static void load_wgt(const struct vta_sram *sram, size_t to, const uint8_t *from, size_t tiles)
{
    uint8_t *bytes = sram->wgt + to * sram->wgt_stride;
    size_t t = 0;
    switch (from != NULL && sram->wgt_bits == 8 ? sram->block : 0) {
    case 32:
        for (; t < tiles; t++)
            rearrange(bytes + t * 2048, from + t * 1024, 32);
        return;
    case 16:
        for (; t < tiles; t++)
            rearrange(bytes + t * 512, from + t * 256, 16);
        return;
    case 8:
        for (; t + 2 <= tiles; t += 2)
            rearrange_8_twice(bytes + t * 128, from + t * 64);
        from += t * 64; /* one may be left */
        break;
    case 4:
        for (; t < tiles; t++)
            rearrange_4(bytes + t * 32, from + t * 16);
        return;
    }
    vta_pairs_load_wgt(sram, to + t, from, tiles - t);
}

const struct vta_kernels vta_kernels_avx2 = {
    .name = "avx2",
    .usable = usable,
    .supports = supports,
    .layout = vta_pairs_layout,
    .load_inp = vta_pairs_load_inp,
    .load_wgt = load_wgt,
    .gemm = gemm,
    LANES_MEMBERS,
};
