/* baseline_avx2.c: see baseline.h; AVX2, whose dot product is a multiply-add and an add. */
#include <immintrin.h>

#include "baseline.h"

DEFINE_STREAMING_ADDS

static __attribute__((noinline)) int32_t dot(const uint8_t *bytes, size_t nbytes, size_t repeat)
{
    const __m256i x = _mm256_set1_epi32(0x00010002);
    __m256i acc[8];
    int32_t lanes[8], sum = 0;
    for (int k = 0; k < 8; k++)
        acc[k] = _mm256_setzero_si256();
    for (size_t r = 0; r < repeat; r++)
        for (size_t at = 0; at < nbytes; at += 256)
#pragma GCC unroll 8
            for (int k = 0; k < 8; k++)
                acc[k] = _mm256_add_epi32(
                    acc[k],
                    _mm256_madd_epi16(
                        _mm256_load_si256((const __m256i *)(const void *)(bytes + at + 32 * k)),
                        x));
    for (int k = 1; k < 8; k++)
        acc[0] = _mm256_add_epi32(acc[0], acc[k]);
    _mm256_storeu_si256((__m256i *)(void *)lanes, acc[0]);
    for (int k = 0; k < 8; k++)
        sum += lanes[k];
    return sum;
}

const struct bench_baseline bench_baseline_avx2 = { "avx2", dot, add, add_two };
