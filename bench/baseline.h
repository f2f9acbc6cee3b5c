/* baseline.h: what a core can do at best, for bench_core to compare with: one dot-product
 * instruction per vector that is loaded, and a streaming add. Compiled per instruction set.
 */
#ifndef VTA_BENCH_BASELINE_H
#define VTA_BENCH_BASELINE_H

#include <stddef.h>
#include <stdint.h>

/* Loads `nbytes` (a multiple of 1024) `repeat` times, a dot product for each vector. */
struct bench_baseline {
    const char *kernels; /* the kernel set it belongs to */
    int32_t (*dot)(const uint8_t *bytes, size_t nbytes, size_t repeat);
    void (*add)(int32_t *numbers, size_t count, int32_t value);
    void (*add_two)(int32_t *to, const int32_t *from, size_t count);
};

extern const struct bench_baseline bench_baseline_vnni, bench_baseline_avx2;

#define DEFINE_STREAMING_ADDS                                                                      \
    static __attribute__((noinline)) void add(int32_t *numbers, size_t count, int32_t value)       \
    {                                                                                              \
        for (size_t i = 0; i < count; i++)                                                         \
            numbers[i] += value;                                                                   \
    }                                                                                              \
    static __attribute__((noinline)) void add_two(int32_t *restrict to,                            \
                                                  const int32_t *restrict from, size_t count)      \
    {                                                                                              \
        for (size_t i = 0; i < count; i++)                                                         \
            to[i] += from[i];                                                                      \
    }

#endif
