/* lanes.h: the element-wise operations as plain loops. Each kernel set includes it and compiles it
 * for its own instruction set; LANES names the set. One whose instruction set shifts lanes by
 * different amounts defines LANES_SHR, a function for tensor–tensor shifts.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "alu.h"

#ifndef LANES
#error "define LANES before including lanes.h"
#endif

#define LANES_PASTE_(a, b) a##_##b
#define LANES_PASTE(a, b)  LANES_PASTE_(a, b)
#define LANES_NAME(name)   LANES_PASTE(name, LANES)

#define DEFINE_LANES_IMM(op)                                                                       \
    static void LANES_NAME(op##_imm)(int32_t * dst, size_t count, int32_t imm)                     \
    {                                                                                              \
        for (size_t i = 0; i < count; i++)                                                         \
            dst[i] = vta_alu_##op(dst[i], imm);                                                    \
    }

#define DEFINE_LANES_TWO(op)                                                                       \
    static void LANES_NAME(op##_same)(int32_t * dst, size_t count)                                 \
    {                                                                                              \
        for (size_t i = 0; i < count; i++)                                                         \
            dst[i] = vta_alu_##op(dst[i], dst[i]);                                                 \
    }                                                                                              \
    static void LANES_NAME(op##_apart)(int32_t *restrict dst, const int32_t *restrict src,         \
                                       size_t count)                                               \
    {                                                                                              \
        for (size_t i = 0; i < count; i++)                                                         \
            dst[i] = vta_alu_##op(dst[i], src[i]);                                                 \
    }                                                                                              \
    static void LANES_NAME(op)(int32_t * dst, const int32_t *src, size_t count)                    \
    {                                                                                              \
        if (dst == src)                                                                            \
            LANES_NAME(op##_same)(dst, count);                                                     \
        else                                                                                       \
            LANES_NAME(op##_apart)(dst, src, count);                                               \
    }

#define DEFINE_LANES(op)                                                                           \
    DEFINE_LANES_IMM(op)                                                                           \
    DEFINE_LANES_TWO(op)

DEFINE_LANES(min)
DEFINE_LANES(max)
DEFINE_LANES(add)
DEFINE_LANES(mul)

/* The direction and what is past the width are decided once, outside the loops. */
static void LANES_NAME(shr_imm)(int32_t *dst, size_t count, int32_t imm)
{
    const int32_t right = imm > 31 ? 31 : imm;
    if (imm >= 0)
        for (size_t i = 0; i < count; i++)
            dst[i] >>= right;
    else if (imm >= -31)
        for (size_t i = 0; i < count; i++)
            dst[i] = (int32_t)((uint32_t)dst[i] << -imm);
    else
        memset(dst, 0, count * sizeof(*dst));
}

#ifndef LANES_SHR
DEFINE_LANES_TWO(shr)
#define LANES_SHR LANES_NAME(shr)
#endif

static void LANES_NAME(widen)(int32_t *restrict to, const int8_t *restrict from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = from[i];
}

static void LANES_NAME(truncate)(int8_t *restrict to, const int32_t *restrict from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = (int8_t)from[i];
}

#define LANES_MEMBERS                                                                              \
    .alu_imm = { LANES_NAME(min_imm), LANES_NAME(max_imm), LANES_NAME(add_imm),                    \
                 LANES_NAME(shr_imm), LANES_NAME(mul_imm) },                                       \
    .alu = { LANES_NAME(min), LANES_NAME(max), LANES_NAME(add), LANES_SHR, LANES_NAME(mul) },      \
    .widen = LANES_NAME(widen), .truncate = LANES_NAME(truncate)
