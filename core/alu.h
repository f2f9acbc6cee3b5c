/* alu.h: what the ALU does to one number: 32 bits, wrapping. */
#ifndef VTA_CORE_ALU_H
#define VTA_CORE_ALU_H

#include <stdint.h>

static inline int32_t vta_alu_min(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static inline int32_t vta_alu_max(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

static inline int32_t vta_alu_add(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

static inline int32_t vta_alu_mul(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a * (uint32_t)b);
}

/* Arithmetic; a negative amount shifts left. Amounts past the width shift everything out.
 * Both directions are computed and one chosen, so that loops over it have no branches. */
static inline int32_t vta_alu_shr(int32_t a, int32_t b)
{
    int32_t right = a >> (b < 0 ? 0 : b > 31 ? 31 : b);
    uint32_t amount = b > 0 ? 0 : b < -31 ? 31 : (uint32_t)-b;
    int32_t left = b < -31 ? 0 : (int32_t)((uint32_t)a << amount);
    return b >= 0 ? right : left;
}

#endif
