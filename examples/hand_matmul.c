/* hand_matmul.c: a small matrix multiply written by hand with the builder.
 *
 *     hand_matmul [--local] [--config vta_config.json]
 *
 * One row of tiles: data is 1 × 16 tiles, weight 16 × 16 tiles, the result 1 × 16 tiles. All of it
 * fits the SRAMs, so there is one load of each and one GEMM. `vtac matmul` writes the same kernel,
 * and larger ones; this shows what is inside.
 */
#include <stdio.h>
#include <stdlib.h>

#include <vta/build.h>

#include "example.h"

enum {
    TILES = 16
};

/* Zeroes accumulators 0 to 15, then adds data · weightᵀ to them. */
static void build_sums(struct vta_build *build)
{
    struct vta_uop_index uop = { 0, 0, 0 };
    struct vta_uop_loop all = { .extent = TILES, .dst = 1 };
    struct vta_uop_kernel zero = { &all, 1, &uop, 1 };
    vta_build_gemm(build, &zero, true);

    /* Outer loop: over the results, each with a row of weight tiles. Inner loop: over the tiles of
     * that row and of data. */
    struct vta_uop_loop loops[2] = { { .extent = TILES, .dst = 1, .wgt = TILES },
                                     { .extent = TILES, .src = 1, .wgt = 1 } };
    struct vta_uop_kernel sums = { loops, 2, &uop, 1 };
    vta_build_pop(build, VTA_UNIT_LOAD, VTA_UNIT_COMPUTE);
    vta_build_gemm(build, &sums, false);
}

static void build_matmul(struct example *example, struct vta_kernel *kernel)
{
    const struct vta_hw *hw = &example->hw;
    struct vta_dtype int8 = { VTA_DTYPE_INT, 8 };
    struct vta_tensor_type row = { int8, 4, { 1, TILES, hw->batch, hw->block } };
    struct vta_tensor_type square = { int8, 4, { TILES, TILES, hw->block, hw->block } };
    struct vta_build *build = vta_build_new(hw, "hand_matmul");
    int data = vta_build_param(build, "data", &row, VTA_MEM_INP, VTA_ACCESS_READ);
    int weight = vta_build_param(build, "weight", &square, VTA_MEM_WGT, VTA_ACCESS_READ);
    int result = vta_build_param(build, "result", &row, VTA_MEM_OUT, VTA_ACCESS_WRITE);

    /* The load unit fetches both, then tells the compute unit. */
    vta_build_load(build, data, 0, 1, TILES, TILES, NULL, 0, VTA_MEM_INP);
    vta_build_load(build, weight, 0, TILES, TILES, TILES, NULL, 0, VTA_MEM_WGT);
    vta_build_push(build, VTA_UNIT_LOAD, VTA_UNIT_COMPUTE);

    build_sums(build);

    /* The compute unit tells the store unit. */
    vta_build_push(build, VTA_UNIT_COMPUTE, VTA_UNIT_STORE);
    vta_build_pop(build, VTA_UNIT_COMPUTE, VTA_UNIT_STORE);
    vta_build_store(build, 0, result, 0, 1, TILES, TILES);

    example_check(example, "build", vta_build_finish(build, kernel, &example->error));
}

/* Result (row, output) in plain C, from the tiles as they are: weight tile (i, j) holds outputs
 * i·block … by inputs j·block …. */
static int8_t reference(const struct vta_hw *hw, const int8_t *data, const int8_t *weight,
                        size_t row, size_t output)
{
    int32_t sum = 0;
    for (size_t tile = 0; tile < TILES; tile++) {
        const int8_t *inputs = data + (tile * hw->batch + row) * hw->block;
        const int8_t *weights =
            weight +
            ((output / hw->block * TILES + tile) * hw->block + output % hw->block) * hw->block;
        for (size_t i = 0; i < hw->block; i++)
            sum += inputs[i] * weights[i];
    }
    return (int8_t)sum;
}

static int count_wrong(const struct vta_hw *hw, const int8_t *data, const int8_t *weight,
                       const int8_t *result)
{
    int wrong = 0;
    for (size_t row = 0; row < hw->batch; row++) {
        for (size_t output = 0; output < (size_t)TILES * hw->block; output++) {
            size_t at = (output / hw->block * hw->batch + row) * hw->block + output % hw->block;
            wrong += result[at] != reference(hw, data, weight, row, output);
        }
    }
    return wrong;
}

int main(int argc, char **argv)
{
    struct example example;
    struct vta_kernel kernel;
    example_open(&example, argc, argv);
    build_matmul(&example, &kernel);
    struct vta_module *module = example_send(&example, &kernel, "hand_matmul.vta");

    struct vta_function *function = vta_module_function(module, "hand_matmul", &example.error);
    example_check_pointer(&example, "hand_matmul", function);
    int8_t *bytes[3];
    size_t nbytes[3];
    struct vta_ndarray *arrays[3];
    for (size_t i = 0; i < 3; i++) {
        const struct vta_param *param = vta_function_param(function, i);
        struct vta_device dev = vta_ext_dev(example.session, 0);
        arrays[i] = vta_ndarray_empty(dev, &param->type, &example.error);
        example_check_pointer(&example, param->name, arrays[i]);
        nbytes[i] = vta_ndarray_nbytes(arrays[i]);
        bytes[i] = malloc(nbytes[i]);
        example_random_int8(bytes[i], nbytes[i], -128, 127);
        example_check(&example, param->name,
                      vta_ndarray_copy_from(arrays[i], bytes[i], nbytes[i], &example.error));
    }
    example_call(&example, module, "hand_matmul", arrays, 3);
    example_check(&example, "read",
                  vta_ndarray_copy_to(arrays[2], bytes[2], nbytes[2], &example.error));

    int wrong = count_wrong(&example.hw, bytes[0], bytes[1], bytes[2]);
    if (wrong == 0)
        printf("Successful matrix multiply test!\n");
    else
        fprintf(stderr, "%d results are wrong\n", wrong);
    for (int i = 0; i < 3; i++) {
        vta_ndarray_free(arrays[i]);
        free(bytes[i]);
    }
    vta_function_free(function);
    vta_module_free(module);
    example_close(&example);
    return wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
