/* baseline_vnni.c: see baseline.h; AVX-512 with VNNI. */
#include <immintrin.h>

#include "baseline.h"

DEFINE_STREAMING_ADDS

static __attribute__((noinline)) int32_t dot(const uint8_t *bytes, size_t nbytes, size_t repeat)
{
    const __m512i x = _mm512_set1_epi32(0x01020304);
    __m512i acc[16];
    for (int k = 0; k < 16; k++)
        acc[k] = _mm512_setzero_si512();
    for (size_t r = 0; r < repeat; r++)
        for (size_t at = 0; at < nbytes; at += 1024)
#pragma GCC unroll 16
            for (int k = 0; k < 16; k++)
                acc[k] = _mm512_dpbusd_epi32(acc[k], _mm512_load_si512(bytes + at + 64 * k), x);
    for (int k = 1; k < 16; k++)
        acc[0] = _mm512_add_epi32(acc[0], acc[k]);
    return _mm512_reduce_add_epi32(acc[0]);
}

const struct bench_baseline bench_baseline_vnni = { "vnni", dot, add, add_two };
