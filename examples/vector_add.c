/* vector_add.c: a kernel written by hand with the builder: C = A + B.
 *
 *     vector_add [--local] [--config vta_config.json]
 *
 * A and B are 32-bit numbers that go into the accumulators, where the ALU adds them; C is the low
 * 8 bits of the sums. One pass, no blocking: 64 tiles of each.
 */
#include <stdio.h>
#include <stdlib.h>

#include <vta/build.h>

#include "example.h"

enum {
    TILES = 64
};

/* Accumulators 0 to 63 hold A, then the sums; 64 to 127 hold B. */
static void build_add(struct example *example, struct vta_kernel *kernel)
{
    const struct vta_hw *hw = &example->hw;
    struct vta_tensor_type wide = { { VTA_DTYPE_INT, 32 }, 3, { TILES, hw->batch, hw->block } };
    struct vta_tensor_type narrow = { { VTA_DTYPE_INT, 8 }, 3, { TILES, hw->batch, hw->block } };
    struct vta_build *build = vta_build_new(hw, "vector_add");
    int a = vta_build_param(build, "a", &wide, VTA_MEM_ACC, VTA_ACCESS_READ);
    int b = vta_build_param(build, "b", &wide, VTA_MEM_ACC, VTA_ACCESS_READ);
    int c = vta_build_param(build, "c", &narrow, VTA_MEM_OUT, VTA_ACCESS_WRITE);

    /* Loads of ACC, like GEMM and ALU, are the compute unit's: they need no tokens between them. */
    vta_build_load(build, a, 0, 1, TILES, TILES, NULL, 0, VTA_MEM_ACC);
    vta_build_load(build, b, 0, 1, TILES, TILES, NULL, TILES, VTA_MEM_ACC);

    /* One micro-op, acc[0] += acc[64], in a loop that moves both by one. */
    struct vta_uop_loop loop = { .extent = TILES, .dst = 1, .src = 1 };
    struct vta_uop_index uop = { .dst = 0, .src = TILES };
    struct vta_uop_kernel add = { &loop, 1, &uop, 1 };
    vta_build_alu(build, &add, VTA_ALU_ADD);

    /* The store unit waits for the sums. */
    vta_build_push(build, VTA_UNIT_COMPUTE, VTA_UNIT_STORE);
    vta_build_pop(build, VTA_UNIT_COMPUTE, VTA_UNIT_STORE);
    vta_build_store(build, 0, c, 0, 1, TILES, TILES);

    /* The first failure of any call above is reported here. */
    example_check(example, "build", vta_build_finish(build, kernel, &example->error));
}

static struct vta_ndarray *array_from(struct example *example, const struct vta_param *param,
                                      const void *numbers)
{
    struct vta_ndarray *array =
        vta_ndarray_from(vta_ext_dev(example->session, 0), &param->type, numbers, &example->error);
    example_check_pointer(example, param->name, array);
    return array;
}

int main(int argc, char **argv)
{
    struct example example;
    struct vta_kernel kernel;
    example_open(&example, argc, argv);
    build_add(&example, &kernel);
    struct vta_module *module = example_send(&example, &kernel, "vector_add.vta");

    size_t count = (size_t)TILES * example.hw.batch * example.hw.block;
    int32_t *a = malloc(count * sizeof(*a)), *b = malloc(count * sizeof(*b));
    int8_t *c = calloc(count, 1);
    example_random_int32(a, count, -128, 127);
    example_random_int32(b, count, -128, 127);

    struct vta_function *add = vta_module_function(module, "vector_add", &example.error);
    example_check_pointer(&example, "vector_add", add);
    struct vta_ndarray *arrays[3] = { array_from(&example, vta_function_param(add, 0), a),
                                      array_from(&example, vta_function_param(add, 1), b),
                                      array_from(&example, vta_function_param(add, 2), c) };
    example_call(&example, module, "vector_add", arrays, 3);
    example_check(&example, "read", vta_ndarray_copy_to(arrays[2], c, count, &example.error));

    int wrong = 0;
    for (size_t i = 0; i < count; i++)
        wrong += c[i] != (int8_t)(a[i] + b[i]);
    if (wrong == 0)
        printf("Successful vector add test!\n");
    else
        fprintf(stderr, "%d of %zu sums are wrong\n", wrong, count);

    for (int i = 0; i < 3; i++)
        vta_ndarray_free(arrays[i]);
    free(a);
    free(b);
    free(c);
    vta_function_free(add);
    vta_module_free(module);
    example_close(&example);
    return wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
