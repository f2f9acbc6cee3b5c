/* test_kernel.c: number types, tensor sizes, and that kernels have one owner. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include <vta/kernel.h>

static struct vta_error error;

Test(kernel, reads_what_it_prints_of_a_number_type)
{
    static const char *const names[] = { "int1",    "int2",   "int4",   "int8",   "int16",
                                         "int32",   "int64",  "uint1",  "uint2",  "uint4",
                                         "uint8",   "uint16", "uint32", "uint64", "float16",
                                         "float32", "float64" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct vta_dtype dtype;
        char text[8];
        cr_assert_eq(vta_dtype_parse(&dtype, names[i], &error), 0, "%s", names[i]);
        vta_dtype_print(dtype, text);
        cr_assert_str_eq(text, names[i]);
    }
}

Test(kernel, refuses_what_is_no_number_type)
{
    static const char *const names[] = { "",      "int",    "8",      "int3",   "int08",
                                         "int8 ", "float8", "Int8",   "int128", "int-8",
                                         "bool",  "uint",   "int8x4", "float1" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct vta_dtype dtype;
        cr_assert_eq(vta_dtype_parse(&dtype, names[i], &error), VTA_EINVAL, "'%s'", names[i]);
    }
}

Test(kernel, prints_any_bytes_as_some_number_type)
{
    for (unsigned code = 0; code < 256; code++) {
        for (unsigned bits = 0; bits < 256; bits++) {
            char text[8];
            memset(text, 'x', sizeof text);
            vta_dtype_print((struct vta_dtype){ (uint8_t)code, (uint8_t)bits }, text);
            cr_assert_not_null(memchr(text, 0, sizeof text));
        }
    }
}

static uint64_t nbytes_of(struct vta_tensor_type type)
{
    uint64_t nbytes = 0;
    cr_assert_eq(vta_tensor_nbytes(&type, &nbytes, &error), 0, "%s", error.message);
    return nbytes;
}

Test(kernel, sizes_a_tensor_with_numbers_below_a_byte_packed)
{
    cr_assert_eq(nbytes_of((struct vta_tensor_type){ { VTA_DTYPE_INT, 8 }, 4, { 1, 64, 1, 16 } }),
                 1024);
    cr_assert_eq(nbytes_of((struct vta_tensor_type){ { VTA_DTYPE_INT, 32 }, 2, { 3, 5 } }), 60);
    cr_assert_eq(nbytes_of((struct vta_tensor_type){ { VTA_DTYPE_INT, 4 }, 2, { 3, 6 } }), 9);
    cr_assert_eq(nbytes_of((struct vta_tensor_type){ { VTA_DTYPE_UINT, 1 }, 1, { 16 } }), 2);
    cr_assert_eq(nbytes_of((struct vta_tensor_type){ { VTA_DTYPE_FLOAT, 32 }, 0, { 0 } }), 4);
    cr_assert_eq(nbytes_of((struct vta_tensor_type){ { VTA_DTYPE_INT, 8 }, 2, { 3, 0 } }), 0);
}

Test(kernel, refuses_a_tensor_that_is_not_whole_bytes)
{
    struct vta_tensor_type type = { { VTA_DTYPE_INT, 4 }, 1, { 3 } };
    uint64_t nbytes;
    cr_assert_eq(vta_tensor_nbytes(&type, &nbytes, &error), VTA_ESIZE);
    cr_assert_not_null(strstr(error.message, "12 bits"));
}

Test(kernel, refuses_a_tensor_whose_size_overflows)
{
    struct vta_tensor_type type = { { VTA_DTYPE_INT, 8 }, 2, { UINT64_C(1) << 32, 1 << 29 } };
    uint64_t nbytes;
    cr_assert_eq(vta_tensor_nbytes(&type, &nbytes, &error), VTA_ESIZE);
    type.shape[1] = (1 << 29) - 1;
    cr_assert_eq(nbytes_of(type), UINT64_MAX / 8 + 1 - (UINT64_C(1) << 32));
    type = (struct vta_tensor_type){ { VTA_DTYPE_INT, 8 }, 3, { UINT64_MAX, UINT64_MAX, 0 } };
    cr_assert_eq(nbytes_of(type), 0, "an empty axis wins over any other");
}

Test(kernel, refuses_too_many_axes_and_unknown_number_types)
{
    struct vta_tensor_type type = { { VTA_DTYPE_INT, 8 }, VTA_MAX_NDIM + 1, { 1 } };
    uint64_t nbytes;
    cr_assert_eq(vta_tensor_nbytes(&type, &nbytes, &error), VTA_ESIZE);
    cr_assert_eq(error.limit, VTA_MAX_NDIM);
    type = (struct vta_tensor_type){ { VTA_DTYPE_INT, 3 }, 1, { 8 } };
    cr_assert_eq(vta_tensor_nbytes(&type, &nbytes, &error), VTA_EINVAL);
    type.dtype = (struct vta_dtype){ 9, 8 };
    cr_assert_eq(vta_tensor_nbytes(&type, &nbytes, &error), VTA_EINVAL);
}

/* A kernel that owns one of everything. */
static struct vta_kernel make(const char *name)
{
    struct vta_kernel kernel = {
        .name = strdup(name),
        .param_count = 1,
        .params = calloc(1, sizeof(struct vta_param)),
        .insns = malloc(VTA_INSN_BYTES),
        .uops = malloc(VTA_UOP_BYTES),
        .relocs = malloc(sizeof(struct vta_reloc)),
        .insn_count = 1,
        .uop_count = 1,
        .reloc_count = 1,
    };
    kernel.params[0].name = strdup("a");
    return kernel;
}

Test(kernel, moves_into_an_image_that_owns_it_from_then_on)
{
    struct vta_module_image image = { 0 };
    struct vta_kernel first = make("first"), second = make("second");
    cr_assert_eq(vta_module_image_add(&image, &first, &error), 0);
    cr_assert_eq(vta_module_image_add(&image, &second, &error), 0);
    cr_assert_null(first.name);
    cr_assert_null(first.params);
    cr_assert_eq(image.kernel_count, 2);
    cr_assert_eq(vta_module_image_find(&image, "second"), &image.kernels[1]);
    cr_assert_null(vta_module_image_find(&image, "third"));
    vta_module_image_clear(&image);
    cr_assert_eq(image.kernel_count, 0);
    cr_assert_null(image.kernels);
}

Test(kernel, stays_the_callers_where_its_name_is_taken)
{
    struct vta_module_image image = { 0 };
    struct vta_kernel first = make("same"), second = make("same"), nameless = { 0 };
    cr_assert_eq(vta_module_image_add(&image, &first, &error), 0);
    cr_assert_eq(vta_module_image_add(&image, &second, &error), VTA_EEXIST);
    cr_assert_not_null(second.name);
    cr_assert_eq(vta_module_image_add(&image, &nameless, &error), VTA_EINVAL);
    cr_assert_eq(image.kernel_count, 1);
    vta_kernel_clear(&second);
    vta_kernel_clear(&second); /* twice is once */
    vta_module_image_clear(&image);
}
