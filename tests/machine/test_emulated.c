/* test_emulated.c: kernels that TVM compiled for ARM and AArch64, run on an emulated processor: the
 * folder tvm/arm of VTA_SHARED.
 */
#include "emulated.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT 1000

static const char *recorded(const struct emulated *emulated, const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/tvm/arm/%s%s%s.o", getenv("VTA_SHARED"), name,
             emulated != NULL ? "-" : "", emulated != NULL ? emulated->suffix : "");
    return path;
}

/* ---- On the board ---------------------------------------------------------------------------- */

static struct result call_tensors(struct emulated *emulated, const char *name,
                                  struct kit_tensor *tensors, int count)
{
    union tvm_value args[8];
    int32_t codes[8];
    struct result result;
    for (int i = 0; i < count; i++) {
        tensors[i].tensor.shape = tensors[i].shape;
        args[i].p = &tensors[i].tensor;
        codes[i] = TVM_TENSOR;
    }
    cr_assert_eq(emulated_call(emulated, name, args, codes, count, &result), 0, "%s",
                 emulated->kit.error.message);
    cr_assert_eq(vta_runtime_take_error(emulated->kit.worker.runtime, &emulated->kit.error), 0,
                 "%s", emulated->kit.error.message);
    return result;
}

static int8_t clip(int32_t value)
{
    return (int8_t)(value < 0 ? 0 : value > 127 ? 127 : value);
}

static void expect_product(const int8_t *a, const int8_t *b, const int8_t *c)
{
    for (int n = 0; n < 1024; n++) {
        int32_t sum = 0;
        for (int k = 0; k < 1024; k++)
            sum += a[k] * b[((n / 16 * 64 + k / 16) * 16 + n % 16) * 16 + k % 16];
        cr_assert_eq(c[n], clip(sum >> 8), "output %d: %d, not %d", n, c[n], clip(sum >> 8));
    }
}

ON_BOTH(emulated, multiplies_matrices, NULL)
{
    static const int64_t vector[] = { 1, 64, 1, 16 }, matrix[] = { 64, 64, 16, 16 };
    struct kit *kit = &emulated->kit;
    struct kit_tensor tensors[3] = { kit_device_tensor(kit, 8, 4, vector),
                                     kit_device_tensor(kit, 8, 4, matrix),
                                     kit_device_tensor(kit, 8, 4, vector) };
    int8_t *a = tensors[0].tensor.data, *b = tensors[1].tensor.data;
    emulated_load(emulated, recorded(emulated, "gemm"));
    for (int i = 0; i < 1024; i++)
        a[i] = (int8_t)(i * 7 % 253 - 126);
    for (int i = 0; i < 1 << 20; i++)
        b[i] = (int8_t)(i * 31 % 251 - 125);
    for (int call = 0; call < 2; call++) {
        vta_board_clear_counters(kit->worker.board);
        call_tensors(emulated, "my_gemm", tensors, 3);
        expect_product(a, b, tensors[2].tensor.data);
        const struct vta_counters counters = vta_board_counters(kit->worker.board);
        cr_expect_eq(counters.inp_load_nbytes, 4096u);
        cr_expect_eq(counters.wgt_load_nbytes, 1048576u);
        cr_expect_eq(counters.acc_load_nbytes, 0u);
        cr_expect_eq(counters.uop_load_nbytes, 20u);
        cr_expect_eq(counters.out_store_nbytes, 1024u);
        cr_expect_eq(counters.gemm_counter, 4096u);
        cr_expect_eq(counters.alu_counter, 192u);
        memset(tensors[2].tensor.data, 0, 1024);
        a[0]++;
    }
}

ON_BOTH(emulated, adds_vectors, NULL)
{
    static const int64_t shape[] = { 1, 64, 1, 16 };
    struct kit *kit = &emulated->kit;
    struct kit_tensor tensors[3] = { kit_device_tensor(kit, 32, 4, shape),
                                     kit_device_tensor(kit, 32, 4, shape),
                                     kit_device_tensor(kit, 8, 4, shape) };
    int32_t *a = tensors[0].tensor.data, *b = tensors[1].tensor.data;
    emulated_load(emulated, recorded(emulated, "vadd"));
    for (int i = 0; i < 1024; i++) {
        a[i] = i * 97 - 50000;
        b[i] = 77 - i * i;
    }
    call_tensors(emulated, "my_vadd", tensors, 3);
    const int8_t *c = tensors[2].tensor.data;
    for (int i = 0; i < 1024; i++)
        cr_assert_eq(c[i], (int8_t)(a[i] + b[i]), "element %d", i);
}

/* ---- On the processor ------------------------------------------------------------------------ */

/* Steps between two floats of the same sign. */
static int64_t float_steps(float a, float b)
{
    int32_t x, y;
    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    return a == b ? 0 : llabs((int64_t)x - y);
}

static int64_t double_steps(double a, double b)
{
    int64_t x, y;
    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    return a == b ? 0 : llabs(x - y);
}

/* Four steps. AArch64's code has a fused multiply-add, which rounds once: a step of the largest
 * term of a sum whose terms cancel. */
static bool close_float(const struct emulated *emulated, float a, float b)
{
    return float_steps(a, b) <= 4 ||
           (emulated->machine == EM_AARCH64 && fabsf(a - b) <= 4 * FLT_EPSILON * 8);
}

ON_BOTH(emulated, does_arithmetic, NULL)
{
    static const uint8_t bits[] = { 32, 64, 32, 64, 32, 64, 32, 64 };
    static const uint8_t codes[] = { 2, 0, 0, 2, 2, 0, 0, 2 };
    const int64_t shape[] = { COUNT };
    struct kit_tensor tensors[8];
    const uint8_t *expected[8];
    char path[512];
    size_t nbytes, at = 0;
    snprintf(path, sizeof path, "%s/tvm/arm/math-data.bin", getenv("VTA_SHARED"));
    char *data = kit_read(path, &nbytes);
    cr_assert_eq(nbytes, 2u * COUNT * (4 + 8 + 4 + 8));
    for (int i = 0; i < 8; i++) {
        const size_t size = (size_t)COUNT * bits[i] / 8;
        void *memory = worker_alloc(&emulated->kit.worker, size, &emulated->kit.error);
        cr_assert_not_null(memory);
        tensors[i] = kit_tensor(memory, bits[i], 1, shape);
        tensors[i].tensor.dtype.code = codes[i];
        expected[i] = (const uint8_t *)data + at;
        if (i < 4)
            memcpy(memory, expected[i], size);
        at += size;
    }
    emulated_load(emulated, recorded(emulated, "math"));
    worker_runtime(&emulated->kit.worker, &emulated->kit.error);
    call_tensors(emulated, "math", tensors, 8);
    for (int i = 0; i < COUNT; i++) {
        float b;
        double f;
        memcpy(&b, expected[4] + 4 * i, sizeof b);
        memcpy(&f, expected[7] + 8 * i, sizeof f);
        cr_expect(close_float(emulated, ((float *)tensors[4].tensor.data)[i], b), "B[%d]", i);
        cr_expect_leq(double_steps(((double *)tensors[7].tensor.data)[i], f), 4, "F[%d]", i);
    }
    cr_expect_arr_eq(tensors[5].tensor.data, expected[5], 8 * COUNT);
    cr_expect_arr_eq(tensors[6].tensor.data, expected[6], 4 * COUNT);
    for (int i = 0; i < 8; i++)
        worker_release(&emulated->kit.worker, tensors[i].tensor.data, NULL);
    free(data);
}

/* Modules come and go in the same place. */
ON_BOTH(emulated, loads_and_unloads, NULL)
{
    static const int64_t shape[] = { 1, 64, 1, 16 };
    for (int i = 0; i < 3; i++) {
        struct kit_tensor tensors[3] = { kit_device_tensor(&emulated->kit, 32, 4, shape),
                                         kit_device_tensor(&emulated->kit, 32, 4, shape),
                                         kit_device_tensor(&emulated->kit, 8, 4, shape) };
        emulated_load(emulated, recorded(emulated, i % 2 == 0 ? "vadd" : "gemm"));
        if (i % 2 == 0)
            call_tensors(emulated, "my_vadd", tensors, 3);
        emulated->cpu->ops->unload(emulated->code);
        emulated->code = NULL;
    }
}
