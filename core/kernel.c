/* kernel.c: number types, tensor sizes, and who owns what in a kernel and a module image. */
#include <vta/kernel.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Types --------------------------------------------------------------------------------- */

static const char *const dtype_names[] = {
    [VTA_DTYPE_INT] = "int",
    [VTA_DTYPE_UINT] = "uint",
    [VTA_DTYPE_FLOAT] = "float",
};

static bool dtype_exists(struct vta_dtype dtype)
{
    switch (dtype.bits) {
    case 1:
    case 2:
    case 4:
    case 8:
        return dtype.code == VTA_DTYPE_INT || dtype.code == VTA_DTYPE_UINT;
    case 16:
    case 32:
    case 64:
        return dtype.code <= VTA_DTYPE_FLOAT;
    default:
        return false;
    }
}

int vta_dtype_parse(struct vta_dtype *dtype, const char *text, struct vta_error *error)
{
    static const uint8_t widths[] = { 1, 2, 4, 8, 16, 32, 64 };
    for (uint8_t code = VTA_DTYPE_INT; code <= VTA_DTYPE_FLOAT; code++) {
        for (size_t i = 0; i < sizeof widths; i++) {
            struct vta_dtype candidate = { .code = code, .bits = widths[i] };
            char name[8];
            vta_dtype_print(candidate, name);
            if (dtype_exists(candidate) && strcmp(name, text) == 0) {
                *dtype = candidate;
                return 0;
            }
        }
    }
    return vta_error_set(error, VTA_EINVAL,
                         "'%.32s' is no number type; int and uint have 1, 2, 4, 8, 16, 32 or 64 "
                         "bits (int8), float 16, 32 or 64",
                         text);
}

void vta_dtype_print(struct vta_dtype dtype, char *text)
{
    if (dtype_exists(dtype))
        snprintf(text, 8, "%s%u", dtype_names[dtype.code], dtype.bits);
    else
        strcpy(text, "?");
}

int vta_tensor_nbytes(const struct vta_tensor_type *type, uint64_t *nbytes, struct vta_error *error)
{
    *nbytes = 0;
    if (!dtype_exists(type->dtype))
        return vta_error_set(error, VTA_EINVAL, "there is no number type of code %u and %u bits",
                             type->dtype.code, type->dtype.bits);
    if (type->ndim > VTA_MAX_NDIM)
        return vta_error_limit(error, VTA_ESIZE, VTA_MAX_NDIM, type->ndim,
                               "a tensor has at most %d axes, not %u", VTA_MAX_NDIM, type->ndim);
    uint64_t bits = type->dtype.bits;
    for (uint32_t i = 0; i < type->ndim; i++)
        if (type->shape[i] == 0)
            bits = 0;
    for (uint32_t i = 0; i < type->ndim && bits != 0; i++)
        if (__builtin_mul_overflow(bits, type->shape[i], &bits))
            return vta_error_set(error, VTA_ESIZE,
                                 "a tensor's size passes 2^64 bits at axis %u, which has %" PRIu64,
                                 i, type->shape[i]);
    if (bits % 8 != 0)
        return vta_error_set(error, VTA_ESIZE, "a tensor of %" PRIu64 " bits is not whole bytes",
                             bits);
    *nbytes = bits / 8;
    return 0;
}

/* ---- Kernels and images -------------------------------------------------------------------- */

void vta_kernel_clear(struct vta_kernel *kernel)
{
    if (kernel->params != NULL)
        for (uint32_t i = 0; i < kernel->param_count; i++)
            free(kernel->params[i].name);
    free(kernel->params);
    free(kernel->name);
    free(kernel->insns);
    free(kernel->uops);
    free(kernel->relocs);
    *kernel = (struct vta_kernel){ 0 };
}

void vta_module_image_clear(struct vta_module_image *image)
{
    if (image->kernels != NULL)
        for (uint32_t i = 0; i < image->kernel_count; i++)
            vta_kernel_clear(&image->kernels[i]);
    free(image->kernels);
    *image = (struct vta_module_image){ 0 };
}

const struct vta_kernel *vta_module_image_find(const struct vta_module_image *image,
                                               const char *name)
{
    for (uint32_t i = 0; i < image->kernel_count; i++)
        if (strcmp(image->kernels[i].name, name) == 0)
            return &image->kernels[i];
    return NULL;
}

int vta_module_image_add(struct vta_module_image *image, struct vta_kernel *kernel,
                         struct vta_error *error)
{
    if (kernel->name == NULL)
        return vta_error_set(error, VTA_EINVAL, "a kernel without a name");
    if (vta_module_image_find(image, kernel->name) != NULL)
        return vta_error_set(error, VTA_EEXIST, "there is a kernel '%s' already", kernel->name);
    struct vta_kernel *kernels =
        realloc(image->kernels, ((size_t)image->kernel_count + 1) * sizeof *kernels);
    if (kernels == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for kernel '%s'", kernel->name);
    image->kernels = kernels;
    image->kernels[image->kernel_count++] = *kernel;
    *kernel = (struct vta_kernel){ 0 };
    return 0;
}
