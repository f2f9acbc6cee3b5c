/* builtins_random.c: fills tensors with numbers, as tuners ask for, and empties caches between
 * their measurements.
 */
#include "builtins.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "worker.h"

/* ---- Random numbers (splitmix64): the same ones in every session ----------------------------- */

static uint64_t next(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* IEEE half of a multiple of 2^-10 in [0, 1): exact. */
static uint16_t half_of(uint32_t thousandths)
{
    if (thousandths == 0)
        return 0;
    unsigned shift = 0;
    while ((thousandths & 1024u) == 0) {
        thousandths <<= 1;
        shift++;
    }
    return (uint16_t)((15u - shift) << 10 | (thousandths & 1023u));
}

/* One number in [0, 1) of a float type; `to` is bits/8 bytes. */
static void put_float(uint8_t *to, struct tvm_dtype dtype, uint64_t bits)
{
    if (dtype.bits == 64) {
        double number = ldexp((double)(bits >> 11), -53);
        memcpy(to, &number, 8);
    } else if (dtype.bits == 32) {
        float number = ldexpf((float)(bits >> 40), -24);
        memcpy(to, &number, 4);
    } else if (dtype.code == TVM_DTYPE_BFLOAT) {
        float number = ldexpf((float)(bits >> 56), -8);
        uint32_t word;
        memcpy(&word, &number, 4);
        uint16_t upper = (uint16_t)(word >> 16);
        memcpy(to, &upper, 2);
    } else {
        uint16_t half = half_of((uint32_t)(bits >> 54));
        memcpy(to, &half, 2);
    }
}

static void fill_floats(uint8_t *bytes, uint64_t nbytes, struct tvm_dtype dtype, uint64_t *state)
{
    for (uint64_t at = 0; at < nbytes; at += dtype.bits / 8u)
        put_float(bytes + at, dtype, next(state));
}

/* Integers of whole bytes take any bits; of fewer bits, as many as they have. */
static void fill_integers(uint8_t *bytes, uint64_t nbytes, struct tvm_dtype dtype, uint64_t *state)
{
    for (uint64_t at = 0; at < nbytes; at += 8) {
        uint64_t word = next(state);
        memcpy(bytes + at, &word, nbytes - at < 8 ? nbytes - at : 8);
    }
    if (dtype.bits >= 8)
        return;
    for (uint64_t at = 0; at < nbytes; at++)
        bytes[at] &= (uint8_t)((1u << dtype.bits) - 1);
}

static bool fillable(struct tvm_dtype dtype)
{
    bool whole = dtype.bits % 8 == 0;
    if (dtype.code == TVM_DTYPE_INT || dtype.code == TVM_DTYPE_UINT)
        return (whole && dtype.bits <= 64) || (dtype.bits < 8 && dtype.lanes == 1);
    if (dtype.code == TVM_DTYPE_BFLOAT)
        return dtype.bits == 16;
    return dtype.code == TVM_DTYPE_FLOAT &&
           (dtype.bits == 16 || dtype.bits == 32 || dtype.bits == 64);
}

static int random_fill(struct function *function, union tvm_value *args, const int32_t *codes,
                       int count, struct result *result, struct vta_error *error)
{
    (void)result;
    int rc = arguments_count(function, count, 1, 1, error);
    if (rc == 0)
        rc = arguments_code(function, codes, 0, TVM_TENSOR, error);
    if (rc != 0)
        return rc;
    const struct tvm_tensor *tensor = args[0].p;
    struct tvm_dtype dtype = tensor->dtype;
    if (!fillable(dtype))
        return vta_error_set(error, VTA_EUNSUPPORTED,
                             "%s: no random numbers of type code %u with %u bits, %u lanes",
                             function->name, dtype.code, dtype.bits, dtype.lanes);
    uint64_t nbytes = tvm_bytes_of(tensor), state = UINT64_C(0x7674616420303930);
    uint8_t *bytes = (uint8_t *)tensor->data + tensor->byte_offset;
    if (nbytes == 0)
        return 0;
    if (dtype.code == TVM_DTYPE_FLOAT || dtype.code == TVM_DTYPE_BFLOAT)
        fill_floats(bytes, nbytes, dtype, &state);
    else
        fill_integers(bytes, nbytes, dtype, &state);
    return 0;
}

/* ---- Caches -------------------------------------------------------------------------------- */

static void flush(const uint8_t *bytes, uint64_t nbytes)
{
#if defined(__x86_64__)
    for (uint64_t at = 0; at < nbytes; at += 64)
        __builtin_ia32_clflush(bytes + at);
    __builtin_ia32_mfence();
#else
    (void)bytes, (void)nbytes;
#endif
}

/* The arguments of a kernel: all but the first, which is its input, leave the cache. */
static int cache_flush(struct function *function, union tvm_value *args, const int32_t *codes,
                       int count, struct result *result, struct vta_error *error)
{
    (void)function, (void)result, (void)error;
    for (int i = 1; i < count; i++) {
        const struct tvm_tensor *tensor = args[i].p;
        if (codes[i] == TVM_TENSOR && tensor->data != NULL)
            flush((const uint8_t *)tensor->data + tensor->byte_offset, tvm_bytes_of(tensor));
    }
    return 0;
}

const struct builtin builtins_random[] = {
    { "tvm.contrib.random.random_fill", { random_fill, NULL } },
    { "tvm.contrib.random.random_fill_for_measure", { random_fill, NULL } },
    { "cache_flush_cpu_non_first_arg", { cache_flush, NULL } },
    { NULL, { NULL, NULL } },
};
