/* abi.h: the binary interface between TVM's compiled modules and whoever loads them: values,
 * tensors, type codes. Facts of TVM 0.8 to 0.18; the layout is the machine's own (x86-64, AArch64,
 * ARM).
 */
#ifndef VTA_WORKER_ABI_H
#define VTA_WORKER_ABI_H

#include <stddef.h>
#include <stdint.h>

#include "proto/tvm.h" /* type codes, devices, dtypes */

struct tvm_tensor {
    void *data;
    struct tvm_device device;
    int32_t ndim;
    struct tvm_dtype dtype;
    int64_t *shape;   /* ndim */
    int64_t *strides; /* NULL: compact, row-major */
    uint64_t byte_offset;
};

/* Bytes of a tensor whose shape has been checked, or is machine code's own. */
static inline uint64_t tvm_bytes_of(const struct tvm_tensor *tensor)
{
    uint64_t nbytes = ((uint64_t)tensor->dtype.bits * tensor->dtype.lanes + 7) / 8;
    for (int32_t i = 0; i < tensor->ndim; i++)
        nbytes *= (uint64_t)tensor->shape[i];
    return nbytes;
}

struct tvm_bytes {
    const char *data;
    size_t size;
};

union tvm_value {
    int64_t i;
    double f;
    void *p;
    const char *s;
    struct tvm_dtype dtype;
    struct tvm_device device;
};

_Static_assert(sizeof(union tvm_value) == 8, "a value is 8 bytes");
_Static_assert(sizeof(struct tvm_tensor) == (sizeof(void *) == 8 ? 48 : 40),
               "a DLTensor is 48 bytes, or 40");

/* A compiled kernel: 0, or -1 with a message set by TVMAPISetLastError. */
typedef int (*tvm_kernel)(union tvm_value *args, int32_t *codes, int count, union tvm_value *result,
                          int32_t *result_code, void *resource);

/* Releases a tensor of TVMArrayAlloc; 0. */
__attribute__((visibility("default"))) int TVMArrayFree(struct tvm_tensor *tensor);

#endif
