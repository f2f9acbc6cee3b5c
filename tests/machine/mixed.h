/* mixed.h: functions with many arguments of every kind, which emulated code calls (mixed.c) and a
 * test answers (test_marshal.c). X(name, signature of imports.h, result, parameters, arguments,
 * what it returns of them).
 */
#ifndef VTA_TESTS_MACHINE_MIXED_H
#define VTA_TESTS_MACHINE_MIXED_H

#include <stddef.h>
#include <stdint.h>

#if defined(__arm__)
#define SOFT __attribute__((pcs("aapcs"))) /* floats in core registers */
#else
#define SOFT
#endif

/* Sums in which every parameter has a weight of its own; computed by the test alone. */
#define SUM2(t)  ((t)a + (t)b * 3)
#define SUM3(t)  (SUM2(t) + (t)c * 5)
#define SUM4(t)  (SUM3(t) + (t)d * 7)
#define SUM5(t)  (SUM4(t) + (t)e * 11)
#define SUM8(t)  (SUM5(t) + (t)f * 13 + (t)g * 17 + (t)h * 19)
#define SUM10(t) (SUM8(t) + (t)i * 23 + (t)j * 29)
#define SUM11(t) (SUM10(t) + (t)k * 31)

#define MIXED(X)                                                                                   \
    X(ints, "liiiiiiii", int64_t,                                                                  \
      (int32_t a, int32_t b, int32_t c, int32_t d, int32_t e, int32_t f, int32_t g, int32_t h),    \
      (1, -2, 3, -4, 5, -6, INT32_MIN, 8), SUM8(int64_t))                                          \
    X(wide, "llilililili", uint64_t,                                                               \
      (int64_t a, int32_t b, int64_t c, int32_t d, int64_t e, int32_t f, int64_t g, int32_t h,     \
       int64_t i, int32_t j),                                                                      \
      (-1, 2, INT64_MIN, 4, 0x123456789abcdef, -6, 7, 8, 9, 10), SUM10(uint64_t))                  \
    X(aligned, "liliil", uint64_t, (int32_t a, int64_t b, int32_t c, int32_t d, int64_t e),        \
      (1, 0x1111111122222222, 3, 4, -5), SUM5(uint64_t))                                           \
    X(sizes, "zznznznzn", size_t,                                                                  \
      (size_t a, long b, size_t c, long d, size_t e, long f, size_t g, long h),                    \
      (0xfffffff0u, -2, 3, -4, 5, -6, 7, -8), SUM8(size_t))                                        \
    X(negative, "nni", long, (long a, int32_t b), (-7, -8), SUM2(long))                            \
    X(doubles, "dddddddddddd", double,                                                             \
      (double a, double b, double c, double d, double e, double f, double g, double h, double i,   \
       double j, double k),                                                                        \
      (0.5, -1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5, 1e10), SUM11(double))                    \
    X(floats, "ffffffffffff", float,                                                               \
      (float a, float b, float c, float d, float e, float f, float g, float h, float i, float j,   \
       float k),                                                                                   \
      (0.5f, -1.5f, 2.5f, 3.5f, 4.5f, 5.5f, 6.5f, 7.5f, 8.5f, 9.5f, 1e3f), SUM11(float))           \
    X(filled, "dfdfdfdfdfdf", double,                                                              \
      (float a, double b, float c, double d, float e, double f, float g, double h, float i,        \
       double j, float k),                                                                         \
      (0.5f, -1.5, 2.5f, 3.5, 4.5f, 5.5, 6.5f, 7.5, 8.5f, 9.5, 10.5f), SUM11(double))              \
    X(spilled, "ffddddddddf", float,                                                               \
      (float a, double b, double c, double d, double e, double f, double g, double h, double i,    \
       float j),                                                                                   \
      (0.5f, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5f), (float)SUM10(double))                  \
    X(all, "didlfzdnflid", double,                                                                 \
      (int32_t a, double b, int64_t c, float d, size_t e, double f, long g, float h, int64_t i,    \
       int32_t j, double k),                                                                       \
      (-1, 2.5, -3, 4.5f, 5, 6.5, -7, 8.5f, INT64_C(1) << 40, -10, 11.5), SUM11(double))           \
    X(soft, "~ddfdif", SOFT double, (double a, float b, double c, int32_t d, float e),             \
      (1.5, 2.5f, 3.5, -4, 5.5f), SUM5(double))                                                    \
    X(soft_float, "~fiffd", SOFT float, (int32_t a, float b, float c, double d),                   \
      (-1, 2.5f, 3.5f, 4.5), (float)SUM4(double))                                                  \
    X(soft_long, "~lfl", SOFT int64_t, (float a, int64_t b), (1.5f, -2), (int64_t)SUM2(double))    \
    X(nothing, "i", int32_t, (void), (), -7)

#endif
