/* signatures.h: the signatures of the functions of worker/imports.c that only compute, by number:
 * so that emulated code (guest.c) and a test can call any of them with the same bits.
 *
 * X1, X2, X3(signature, result, parameters…), soft ones (~) with SOFT before the result.
 */
#ifndef VTA_TESTS_MACHINE_SIGNATURES_H
#define VTA_TESTS_MACHINE_SIGNATURES_H

#include <stdint.h>

#if defined(__arm__)
#define SOFT __attribute__((pcs("aapcs")))
#else
#define SOFT
#endif

/* clang-format off */
#define SIGNATURES(X1, X2, X3)                                                                     \
    X1("dd", double, double) X2("ddd", double, double, double)                                     \
    X1("ff", float, float) X2("fff", float, float, float)                                          \
    X3("dddd", double, double, double, double) X3("ffff", float, float, float, float)              \
    X2("ddi", double, double, int32_t) X2("ffi", float, float, int32_t)                            \
    X2("ddn", double, double, long) X2("ffn", float, float, long)                                  \
    X1("id", int32_t, double) X1("if", int32_t, float) X1("nd", long, double) X1("nf", long, float) \
    X1("ld", int64_t, double) X1("lf", int64_t, float) X1("dl", double, int64_t)                   \
    X1("fl", float, int64_t) X1("fi", float, int32_t)                                              \
    X1("ii", int32_t, int32_t) X1("il", int32_t, int64_t) X2("iii", int32_t, int32_t, int32_t)     \
    X2("lll", int64_t, int64_t, int64_t) X2("lli", int64_t, int64_t, int32_t)                      \
    X2("ill", int32_t, int64_t, int64_t)                                                           \
    X1("~dd", SOFT double, double) X2("~ddd", SOFT double, double, double)                         \
    X1("~ff", SOFT float, float) X2("~fff", SOFT float, float, float)                              \
    X2("~idd", SOFT int32_t, double, double) X2("~iff", SOFT int32_t, float, float)                \
    X1("~id", SOFT int32_t, double) X1("~if", SOFT int32_t, float)                                 \
    X1("~ld", SOFT int64_t, double) X1("~lf", SOFT int64_t, float)                                 \
    X1("~di", SOFT double, int32_t) X1("~fi", SOFT float, int32_t)                                 \
    X1("~dl", SOFT double, int64_t) X1("~fl", SOFT float, int64_t)                                 \
    X1("~df", SOFT double, float) X1("~fd", SOFT float, double)
/* clang-format on */

/* A value of any of these types as 64 bits, and back. */
#define FROM_BITS(type, bits)                                                                      \
    ((union {                                                                                      \
         uint64_t whole;                                                                           \
         type value;                                                                               \
     }){ .whole = (bits) }                                                                         \
         .value)

static inline uint64_t bits_of_d(double value)
{
    return ((union {
               double value;
               uint64_t whole;
           }){ value })
        .whole;
}

static inline uint64_t bits_of_f(float value)
{
    return ((union {
               float value;
               uint32_t whole;
           }){ value })
        .whole;
}

#define TO_BITS(value)                                                                             \
    _Generic((value), double                                                                       \
             : bits_of_d, float                                                                    \
             : bits_of_f, int32_t                                                                  \
             : bits_of_i, int64_t                                                                  \
             : bits_of_l, default                                                                  \
             : bits_of_n)(value)

static inline uint64_t bits_of_i(int32_t value)
{
    return (uint32_t)value;
}

static inline uint64_t bits_of_l(int64_t value)
{
    return (uint64_t)value;
}

static inline uint64_t bits_of_n(long value)
{
    return (unsigned long)value;
}

/* Calls a function of signature `index` at `address`. */
static inline uint64_t call_signature(uint32_t index, uintptr_t address, const uint64_t *bits)
{
    uint32_t at = 0;
#define CALL1(name, result, a)                                                                     \
    if (index == at++)                                                                             \
        return TO_BITS(((result(*)(a))address)(FROM_BITS(a, bits[0])));
#define CALL2(name, result, a, b)                                                                  \
    if (index == at++)                                                                             \
        return TO_BITS(((result(*)(a, b))address)(FROM_BITS(a, bits[0]), FROM_BITS(b, bits[1])));
#define CALL3(name, result, a, b, c)                                                               \
    if (index == at++)                                                                             \
        return TO_BITS(((result(*)(a, b, c))address)(FROM_BITS(a, bits[0]), FROM_BITS(b, bits[1]), \
                                                     FROM_BITS(c, bits[2])));
    SIGNATURES(CALL1, CALL2, CALL3)
    return 0;
}

#endif
