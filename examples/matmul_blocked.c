/* matmul_blocked.c: VTA's blocked matrix multiply, step by step: declare, schedule, compile on the
 * host, send, run on the board, check.
 *
 *     matmul_blocked [--local] [--config vta_config.json]
 *
 * A fully connected layer: data 1 × 1024 times the transpose of weight 1024 × 1024, then a shift
 * right by 8 and clipping to 0 … 127. The weights (1 MiB) do not fit the weight SRAM (256 KiB), so
 * the computation is cut into blocks of 256 × 256.
 */
#include <stdio.h>
#include <stdlib.h>

#include <vta/compile.h>

#include "example.h"

enum {
    INPUTS = 1024,
    OUTPUTS = 1024,
    BLOCK = 256,
    SHIFT = 8,
    LOW = 0,
    HIGH = 127
};

struct layer {
    uint32_t batch;
    int8_t *data, *weight, *result; /* row-major: batch × in, out × in, batch × out */
};

/* 1. What to compute, and the schedule: how large a block is in the SRAMs at one time. */
static struct vta_matmul declare(uint32_t batch)
{
    return (struct vta_matmul){
        .batch = batch,
        .in = INPUTS,
        .out = OUTPUTS,
        .block_batch = batch,
        .block_in = BLOCK,
        .block_out = BLOCK,
        .shift = true,
        .shift_by = SHIFT,
        .clip = true,
        .clip_lo = LOW,
        .clip_hi = HIGH,
    };
}

/* 2. The loop nest at each step of the schedule. */
static void print_schedule(struct example *example, const struct vta_matmul *matmul)
{
    static const char *const titles[VTA_SCHEDULE_STEPS] = {
        "The computation as it is defined",
        "After blocking",
        "After lowering to copies, tensor instructions and dependence tokens",
    };
    for (int i = 0; i < VTA_SCHEDULE_STEPS; i++) {
        char *text;
        example_check(example, "schedule",
                      vta_matmul_schedule(&text, &example->hw, matmul, (enum vta_schedule_step)i,
                                          &example->error));
        printf("// %s\n%s\n", titles[i], text);
        free(text);
    }
}

/* 3. Compiled here, on the host; saved, uploaded and loaded there, on the board. */
static struct vta_module *compile(struct example *example, const struct vta_matmul *matmul)
{
    struct vta_kernel kernel;
    example_check(example, "compile",
                  vta_compile_matmul(&kernel, &example->hw, "my_gemm", matmul, &example->error));
    return example_send(example, &kernel, "gemm.vta");
}

/* An array on the board from a row-major matrix, packed into the tiles that the hardware reads. */
static struct vta_ndarray *send_matrix(struct example *example, const struct vta_param *param,
                                       const int8_t *matrix, size_t rows, size_t columns)
{
    const uint64_t *shape = param->type.shape; /* the last two axes are one tile */
    int8_t *tiled = malloc(rows * columns);
    example_check(
        example, "pack",
        vta_pack_2d(tiled, matrix, rows, columns, shape[2], shape[3], 1, &example->error));
    struct vta_ndarray *array =
        vta_ndarray_from(vta_ext_dev(example->session, 0), &param->type, tiled, &example->error);
    example_check_pointer(example, param->name, array);
    free(tiled);
    return array;
}

static void receive_matrix(struct example *example, struct vta_ndarray *array, int8_t *matrix,
                           size_t rows, size_t columns)
{
    const uint64_t *shape = vta_ndarray_type(array)->shape;
    int8_t *tiled = malloc(rows * columns);
    example_check(example, "read",
                  vta_ndarray_copy_to(array, tiled, rows * columns, &example->error));
    example_check(
        example, "unpack",
        vta_unpack_2d(matrix, tiled, rows, columns, shape[2], shape[3], 1, &example->error));
    free(tiled);
}

/* 4. Random data to the board, one call, the result back. */
static void run(struct example *example, struct vta_module *module, struct layer *layer)
{
    struct vta_function *gemm = vta_module_function(module, "my_gemm", &example->error);
    example_check_pointer(example, "my_gemm", gemm);
    struct vta_ndarray *arrays[3] = {
        send_matrix(example, vta_function_param(gemm, 0), layer->data, layer->batch, INPUTS),
        send_matrix(example, vta_function_param(gemm, 1), layer->weight, OUTPUTS, INPUTS),
        vta_ndarray_empty(vta_ext_dev(example->session, 0), &vta_function_param(gemm, 2)->type,
                          &example->error),
    };
    example_check_pointer(example, "result", arrays[2]);
    example_call(example, module, "my_gemm", arrays, 3);
    receive_matrix(example, arrays[2], layer->result, layer->batch, OUTPUTS);
    for (int i = 0; i < 3; i++)
        vta_ndarray_free(arrays[i]);
    vta_function_free(gemm);
}

/* 5. The same in plain C. */
static int reference(const struct layer *layer, size_t row, size_t output)
{
    int32_t sum = 0;
    for (size_t i = 0; i < INPUTS; i++)
        sum += layer->data[row * INPUTS + i] * layer->weight[output * INPUTS + i];
    sum >>= SHIFT;
    return sum < LOW ? LOW : sum > HIGH ? HIGH : sum;
}

static int count_wrong(const struct layer *layer)
{
    int wrong = 0;
    for (size_t row = 0; row < layer->batch; row++) {
        for (size_t output = 0; output < OUTPUTS; output++)
            wrong += layer->result[row * OUTPUTS + output] != reference(layer, row, output);
    }
    return wrong;
}

int main(int argc, char **argv)
{
    struct example example;
    example_open(&example, argc, argv);

    struct vta_matmul matmul = declare(example.hw.batch);
    print_schedule(&example, &matmul);
    struct vta_module *module = compile(&example, &matmul);

    struct layer layer = { .batch = matmul.batch };
    layer.data = malloc((size_t)layer.batch * INPUTS);
    layer.weight = malloc((size_t)OUTPUTS * INPUTS);
    layer.result = malloc((size_t)layer.batch * OUTPUTS);
    example_random_int8(layer.data, (size_t)layer.batch * INPUTS, -128, 127);
    example_random_int8(layer.weight, (size_t)OUTPUTS * INPUTS, -128, 127);
    run(&example, module, &layer);

    int wrong = count_wrong(&layer);
    if (wrong == 0)
        printf("Successful blocked matrix multiply test!\n");
    else
        fprintf(stderr, "%d results are wrong\n", wrong);
    free(layer.data);
    free(layer.weight);
    free(layer.result);
    vta_module_free(module);
    example_close(&example);
    return wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
