/* stand_in.c: arrays of the binary interface, for programs that link no machine code. */
#include "worker/abi.h"
#include <stdlib.h>
int TVMArrayAlloc(const int64_t *shape, int ndim, int code, int bits, int lanes, int type, int id,
                  struct tvm_tensor **tensor);
__attribute__((weak)) int TVMArrayAlloc(const int64_t *shape, int ndim, int code, int bits,
                                        int lanes, int type, int id, struct tvm_tensor **tensor)
{
    struct tvm_tensor *t = calloc(1, sizeof *t);
    t->ndim = ndim;
    t->shape = malloc(8);
    t->shape[0] = shape[0];
    t->data = malloc((size_t)shape[0]);
    t->device.type = type;
    t->device.id = id;
    t->dtype.code = (uint8_t)code;
    t->dtype.bits = (uint8_t)bits;
    t->dtype.lanes = (uint16_t)lanes;
    *tensor = t;
    return 0;
}
__attribute__((weak)) int TVMArrayFree(struct tvm_tensor *t)
{
    free(t->shape);
    free(t->data);
    free(t);
    return 0;
}
