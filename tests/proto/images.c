/* images.c: makes and compares module images. Instructions are arbitrary bytes: a module file does
 * not look into them. */
#include "images.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t below(struct rng *rng, uint32_t bound)
{
    return rng_between(rng, 0, bound - 1);
}

static void *copy(const void *bytes, size_t nbytes)
{
    void *memory = malloc(nbytes > 0 ? nbytes : 1);

    if (memory == NULL)
        abort();
    if (nbytes > 0)
        memcpy(memory, bytes, nbytes);
    return memory;
}

static struct vta_param param_of(const char *name, struct vta_tensor_type type,
                                 enum vta_memory memory, enum vta_access access)
{
    return (struct vta_param){
        .name = copy(name, strlen(name) + 1), .type = type, .memory = memory, .access = access
    };
}

void image_small(struct vta_module_image *image)
{
    const struct vta_tensor_type acc = { .dtype = { VTA_DTYPE_INT, 32 },
                                         .ndim = 4,
                                         .shape = { 1, 8, 1, 16 } };
    const struct vta_tensor_type out = { .dtype = { VTA_DTYPE_INT, 8 },
                                         .ndim = 4,
                                         .shape = { 1, 8, 1, 16 } };
    const struct vta_param params[] = {
        param_of("a", acc, VTA_MEM_ACC, VTA_ACCESS_READ),
        param_of("sum", out, VTA_MEM_OUT, VTA_ACCESS_WRITE),
    };
    const uint32_t uops[] = { 0x00000800, 0xfffffffe };
    const struct vta_reloc relocs[] = { { 0, VTA_PARAM_UOPS, 0 }, { 1, 0, 0 }, { 2, 1, 4 } };
    uint8_t insns[3 * VTA_INSN_BYTES];
    struct vta_kernel kernel;

    for (size_t i = 0; i < sizeof insns; i++)
        insns[i] = (uint8_t)i;
    kernel = (struct vta_kernel){
        .name = copy("add", 4),
        .param_count = 2,
        .insn_count = 3,
        .uop_count = 2,
        .reloc_count = 3,
        .params = copy(params, sizeof params),
        .insns = copy(insns, sizeof insns),
        .uops = copy(uops, sizeof uops),
        .relocs = copy(relocs, sizeof relocs),
    };
    memset(image, 0, sizeof *image);
    vta_hw_default(&image->hw);
    image->kernels = copy(&kernel, sizeof kernel);
    image->kernel_count = 1;
}

static void random_hw(struct vta_hw *hw, struct rng *rng)
{
    struct vta_error error;

    do {
        memset(hw, 0, sizeof *hw);
        hw->target = (enum vta_target)below(rng, VTA_TARGET_COUNT);
        strcpy(hw->hw_ver, below(rng, 2) != 0 ? "0.0.2" : "");
        hw->log_inp_width = (uint8_t)(1 + below(rng, 3));
        hw->log_wgt_width = (uint8_t)(1 + below(rng, 3));
        hw->log_acc_width = 5;
        hw->log_batch = (uint8_t)below(rng, 3);
        hw->log_block = (uint8_t)(3 + below(rng, 3));
        hw->log_uop_buff = (uint8_t)(12 + below(rng, 4));
        hw->log_inp_buff = (uint8_t)(12 + below(rng, 4));
        hw->log_wgt_buff = (uint8_t)(14 + below(rng, 5));
        hw->log_acc_buff = (uint8_t)(13 + below(rng, 5));
    } while (vta_hw_derive(hw, &error) != 0);
}

/* A name that no other index has, of letters of every UTF-8 length. */
static char *random_name(struct rng *rng, uint32_t index)
{
    static const char *const letters[] = { "a", "Z", " ", "é", "€", "𝛼", "/", "'" };
    char name[128];
    int length = snprintf(name, sizeof name, "%u", index);

    for (uint32_t n = below(rng, 16); n > 0; n--)
        length +=
            snprintf(name + length, sizeof name - (size_t)length, "%s", letters[below(rng, 8)]);
    return copy(name, (size_t)length + 1);
}

static struct vta_param random_param(struct rng *rng, uint32_t index)
{
    static const struct vta_dtype dtypes[] = { { VTA_DTYPE_INT, 8 },   { VTA_DTYPE_INT, 32 },
                                               { VTA_DTYPE_UINT, 4 },  { VTA_DTYPE_INT, 2 },
                                               { VTA_DTYPE_UINT, 64 }, { VTA_DTYPE_FLOAT, 16 } };
    static const enum vta_memory memories[] = { VTA_MEM_WGT, VTA_MEM_INP, VTA_MEM_ACC, VTA_MEM_OUT,
                                                VTA_MEM_ACC_8BIT };
    struct vta_param param = {
        .name = random_name(rng, index),
        .type = { .dtype = dtypes[below(rng, 6)], .ndim = 1 + below(rng, VTA_MAX_NDIM) },
        .memory = memories[below(rng, 5)],
        .access = (enum vta_access)(1 + below(rng, 3)),
    };

    for (uint32_t axis = 0; axis < param.type.ndim; axis++)
        param.type.shape[axis] = 1 + below(rng, axis < 2 ? 1000 : 20);
    param.type.shape[0] *= 8; /* whole bytes */
    return param;
}

static struct vta_kernel random_kernel(struct rng *rng, uint32_t index)
{
    struct vta_kernel kernel = {
        .name = random_name(rng, index),
        .param_count = below(rng, 6),
        .insn_count = below(rng, 200),
        .uop_count = below(rng, 100),
    };
    uint8_t insns[200 * VTA_INSN_BYTES];
    uint32_t uops[100];
    struct vta_reloc relocs[200];
    struct vta_param params[6];

    for (size_t i = 0; i < sizeof insns; i++)
        insns[i] = (uint8_t)rng_next(rng);
    for (size_t i = 0; i < 100; i++)
        uops[i] = (uint32_t)rng_next(rng);
    for (uint32_t i = 0; i < kernel.param_count; i++)
        params[i] = random_param(rng, i);
    for (uint32_t i = 0; i < kernel.insn_count; i++) {
        uint32_t param = below(rng, kernel.param_count + 1);

        if (below(rng, 3) == 0)
            relocs[kernel.reloc_count++] =
                (struct vta_reloc){ .insn = i,
                                    .param = param < kernel.param_count ? param : VTA_PARAM_UOPS,
                                    .offset = (uint32_t)rng_next(rng) };
    }
    kernel.params = copy(params, kernel.param_count * sizeof *params);
    kernel.insns = copy(insns, (size_t)kernel.insn_count * VTA_INSN_BYTES);
    kernel.uops = copy(uops, kernel.uop_count * sizeof *uops);
    kernel.relocs = copy(relocs, kernel.reloc_count * sizeof *relocs);
    return kernel;
}

void image_random(struct vta_module_image *image, struct rng *rng)
{
    memset(image, 0, sizeof *image);
    random_hw(&image->hw, rng);
    image->kernel_count = 1 + below(rng, 5);
    image->kernels = calloc(image->kernel_count, sizeof *image->kernels);
    if (image->kernels == NULL)
        abort();
    for (uint32_t i = 0; i < image->kernel_count; i++)
        image->kernels[i] = random_kernel(rng, i);
}

static bool same_bytes(const void *a, const void *b, size_t nbytes)
{
    return nbytes == 0 || memcmp(a, b, nbytes) == 0;
}

static bool param_equal(const struct vta_param *a, const struct vta_param *b)
{
    return strcmp(a->name, b->name) == 0 && a->memory == b->memory && a->access == b->access &&
           a->type.dtype.code == b->type.dtype.code && a->type.dtype.bits == b->type.dtype.bits &&
           a->type.ndim == b->type.ndim &&
           same_bytes(a->type.shape, b->type.shape, a->type.ndim * sizeof a->type.shape[0]);
}

static bool kernel_equal(const struct vta_kernel *a, const struct vta_kernel *b)
{
    if (strcmp(a->name, b->name) != 0 || a->param_count != b->param_count ||
        a->insn_count != b->insn_count || a->uop_count != b->uop_count ||
        a->reloc_count != b->reloc_count)
        return false;
    for (uint32_t i = 0; i < a->param_count; i++)
        if (!param_equal(&a->params[i], &b->params[i]))
            return false;
    return same_bytes(a->insns, b->insns, (size_t)a->insn_count * VTA_INSN_BYTES) &&
           same_bytes(a->uops, b->uops, a->uop_count * sizeof *a->uops) &&
           same_bytes(a->relocs, b->relocs, a->reloc_count * sizeof *a->relocs);
}

bool image_equal(const struct vta_module_image *a, const struct vta_module_image *b)
{
    if (!vta_hw_equal(&a->hw, &b->hw) || a->hw.target != b->hw.target ||
        strcmp(a->hw.hw_ver, b->hw.hw_ver) != 0 || a->kernel_count != b->kernel_count)
        return false;
    for (uint32_t i = 0; i < a->kernel_count; i++)
        if (!kernel_equal(&a->kernels[i], &b->kernels[i]))
            return false;
    return true;
}
