/* Machine code as TVM generates it in a real worker, inside its box: every function of the backend,
 * kernels on the board, and the modules that TVM itself compiled, where $VTA_SHARED has them.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board.h"
#include "tests/machine/expected.h"

#define CPU     1
#define EXT_DEV 12

static struct daemon daemon_;
static struct client client;

static void setup(void)
{
    daemon_init(&daemon_);
    board_start(&daemon_, (const char *const[]){ "--tvm-threads", "3", NULL });
    client_open(&client, daemon_.port);
}

static void teardown(void)
{
    client_close(&client);
    board_stop(&daemon_);
    daemon_clear(&daemon_);
}

TestSuite(machine, .init = setup, .fini = teardown, .timeout = 120);

/* An answer without an error. */
static void expect_done(const struct answer *answer)
{
    cr_assert_eq(answer->packet, 4, "%s", answer->text != NULL ? answer->text : "it ended");
}

static struct tensor tensor_of(int32_t device, uint8_t bits, int32_t ndim, const int64_t *shape)
{
    struct tensor tensor = { .device = device, .bits = bits, .ndim = ndim };
    memcpy(tensor.shape, shape, (size_t)ndim * sizeof *shape);
    client_alloc(&client, &tensor);
    return tensor;
}

static int64_t call_int(uint64_t module, const char *name, int64_t argument)
{
    struct answer answer =
        client_call(&client, client_kernel(&client, module, name), "i", argument);
    expect_done(&answer);
    return (int64_t)answer.number;
}

/* One of the seven, of profiler_status. */
static int64_t counter(const char *name)
{
    struct answer status = client_ask(&client, "vta.simulator.profiler_status", "");
    expect_done(&status);
    const char *at = strstr(status.text, name);
    cr_assert_not_null(at, "%s in %s", name, status.text);
    return strtoll(at + strlen(name) + 2, NULL, 10);
}

/* ---- The backend --------------------------------------------------------------------------- */

Test(machine, gives_machine_code_its_whole_backend_inside_the_box)
{
    static const struct {
        const char *name;
        int64_t argument, want;
    } rows[] = {
        { "constructed", 0, 42 },    { "add_one", 41, 42 },      { "call_own", 41, 42 },
        { "workspaces", 40, 0 },     { "workspaces", 40, 0 },    { "device_workspace", 0, 0 },
        { "parallel_tasks", 0, 3 },  { "parallel_tasks", 2, 2 }, { "parallel_tasks", 64, 3 },
        { "parallel_nested", 0, 1 }, { "parallel_calls", 0, 0 }, { "run_once", 0, 1 },
        { "run_once", 0, 1 },        { "last_error", 0, 0 },
    };
    const uint64_t module = client_load(&client, IMITATION_O);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_expect_eq(call_int(module, rows[i].name, rows[i].argument), rows[i].want, "%s",
                     rows[i].name);
    struct answer answer = client_call(&client, client_kernel(&client, module, "set_device"), "");
    expect_done(&answer);
    answer = client_call(&client, client_kernel(&client, module, "parallel_fail"), "i", INT64_C(2));
    expect_exception(&answer, "parallel_fail: a task failed");
    answer = client_call(&client, client_kernel(&client, module, "parallel_leave"), "");
    expect_done(&answer);
}

Test(machine, sums_a_tensor_in_parallel)
{
    int32_t numbers[1000];
    int64_t sum = 0;
    for (int i = 0; i < 1000; i++)
        sum += numbers[i] = i * i - 7777;
    const uint64_t module = client_load(&client, IMITATION_SO);
    const uint64_t kernel = client_kernel(&client, module, "parallel_sum");
    struct tensor tensor = tensor_of(CPU, 32, 1, (int64_t[]){ 1000 });
    client_copy_to(&client, &tensor, numbers, sizeof numbers);
    for (int i = 0; i < 50; i++) {
        struct answer answer = client_call(&client, kernel, "t", &tensor);
        expect_int(&answer, sum);
    }
}

/* ---- On the board -------------------------------------------------------------------------- */

Test(machine, multiplies_on_the_board_call_after_call_and_times_it)
{
    int8_t x[48], y[5 * 3 * 256], z[80];
    const uint64_t module = client_load(&client, IMITATION_SO);
    const uint64_t kernel = client_kernel(&client, module, "matmul");
    struct tensor a = tensor_of(EXT_DEV, 8, 4, (int64_t[]){ 1, 3, 1, 16 });
    struct tensor w = tensor_of(EXT_DEV, 8, 4, (int64_t[]){ 5, 3, 16, 16 });
    struct tensor c = tensor_of(EXT_DEV, 8, 4, (int64_t[]){ 1, 5, 1, 16 });
    for (uint32_t call = 0; call < 10; call++) {
        expected_fill(x, sizeof x, call);
        expected_fill(y, sizeof y, call + 50);
        client_copy_to(&client, &a, x, sizeof x);
        client_copy_to(&client, &w, y, sizeof y);
        client_ask(&client, "vta.simulator.profiler_clear", "");
        struct answer answer = client_call(&client, kernel, "ttt", &a, &w, &c);
        expect_done(&answer);
        client_copy_from(&client, &c, z, sizeof z);
        for (int o = 0; o < 80; o++)
            cr_assert_eq(z[o], (int8_t)expected_product(x, y, 48, o), "call %u column %d", call, o);
        cr_expect_eq(counter("gemm_counter"), 15);
        cr_expect_eq(counter("out_store_nbytes"), 80);
    }
    struct answer timer =
        client_ask(&client, "runtime.RPCTimeEvaluator", "msiiiiis", module, "matmul", INT64_C(12),
                   INT64_C(0), INT64_C(3), INT64_C(2), INT64_C(0), "");
    expect_done(&timer);
    struct answer times = client_call(&client, timer.number, "ttt", &a, &w, &c);
    expect_done(&times);
    cr_expect_eq(times.nbytes, 2 * sizeof(double));
}

Test(machine, goes_on_with_a_clean_queue_after_the_board_refused_a_kernel)
{
    const uint64_t module = client_load(&client, IMITATION_SO);
    struct tensor a = tensor_of(EXT_DEV, 32, 1, (int64_t[]){ 16 });
    struct tensor c = tensor_of(EXT_DEV, 8, 1, (int64_t[]){ 16 });
    int32_t numbers[16];
    int8_t sums[16];
    for (int i = 0; i < 16; i++)
        numbers[i] = i;
    client_copy_to(&client, &a, numbers, sizeof numbers);
    for (int round = 0; round < 2; round++) {
        struct answer answer =
            client_call(&client, client_kernel(&client, module, "outside"), "t", &c);
        expect_exception(&answer, "outside: refused: insn 0 LOAD: ");
        answer = client_call(&client, client_kernel(&client, module, "wild_pointer"), "");
        expect_exception(&answer, "wild_pointer: load: a pointer outside every buffer");
        answer = client_call(&client, client_kernel(&client, module, "fail_half_way"), "t", &a);
        expect_exception(&answer, "fail_half_way: half-way");
        answer =
            client_call(&client, client_kernel(&client, module, "vector_add"), "ttt", &a, &a, &c);
        expect_done(&answer);
        client_copy_from(&client, &c, sums, sizeof sums);
        for (int i = 0; i < 16; i++)
            cr_expect_eq(sums[i], 2 * i);
    }
}

Test(machine, says_which_symbols_and_kinds_of_modules_nobody_has)
{
    size_t nbytes;
    static const struct {
        const char *path, *words;
    } rows[] = { { WANTS_SO, "nobody_has_this" }, { FOREIGN_SO, "kind 'cuda'" } };
    for (int i = 0; i < 2; i++) {
        char *bytes = read_file(rows[i].path, &nbytes);
        client_upload(&client, "odd.so", bytes, nbytes);
        free(bytes);
        struct answer answer = client_ask(&client, "tvm.rpc.server.load_module", "s", "odd.so");
        expect_exception(&answer, rows[i].words);
    }
    board_check(&daemon_);
}

/* ---- What TVM compiled --------------------------------------------------------------------- */

/* The path of such a module, or NULL where there are none. */
static const char *compiled(const char *name)
{
    static char path[512];
    const char *shared = getenv("VTA_SHARED");
    snprintf(path, sizeof path, "%s/tvm/%s", shared != NULL ? shared : SHARED_DEFAULT, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "SKIPPED: no compiled module at %s (set VTA_SHARED)\n", path);
        return NULL;
    }
    fclose(file);
    return path;
}

static void check_dense(const char *path, const char *name, int in, int out, int calls)
{
    int8_t *x = malloc((size_t)in), *y = malloc((size_t)in * (size_t)out), *z = malloc((size_t)out);
    const uint64_t kernel = client_kernel(&client, client_load(&client, path), name);
    struct tensor a = tensor_of(EXT_DEV, 8, 4, (int64_t[]){ 1, in / 16, 1, 16 });
    struct tensor w = tensor_of(EXT_DEV, 8, 4, (int64_t[]){ out / 16, in / 16, 16, 16 });
    struct tensor c = tensor_of(EXT_DEV, 8, 4, (int64_t[]){ 1, out / 16, 1, 16 });
    for (int call = 0; call < calls; call++) {
        expected_fill(x, (uint64_t)in, (uint32_t)call);
        expected_fill(y, (uint64_t)in * (uint64_t)out, (uint32_t)call + 9);
        client_copy_to(&client, &a, x, (size_t)in);
        client_copy_to(&client, &w, y, (size_t)in * (size_t)out);
        client_ask(&client, "vta.simulator.profiler_clear", "");
        struct answer answer = client_call(&client, kernel, "ttt", &a, &w, &c);
        expect_done(&answer);
        client_copy_from(&client, &c, z, (size_t)out);
        for (int o = 0; o < out; o++)
            cr_assert_eq(z[o], expected_dense(x, y, in, o), "call %d column %d", call, o);
    }
    free(x);
    free(y);
    free(z);
}

Test(machine, multiplies_as_the_tutorial_does_from_each_kind_of_file)
{
    static const char *const files[] = { "gemm.o", "gemm.so", "gemm.tar" };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        const char *path = compiled(files[i]);
        if (path == NULL)
            return;
        check_dense(path, "my_gemm", 1024, 1024, i == 0 ? 10 : 2);
        cr_expect_eq(counter("inp_load_nbytes"), 4096);
        cr_expect_eq(counter("wgt_load_nbytes"), 1048576);
        cr_expect_eq(counter("acc_load_nbytes"), 0);
        cr_expect_eq(counter("uop_load_nbytes"), 20);
        cr_expect_eq(counter("out_store_nbytes"), 1024);
        cr_expect_eq(counter("gemm_counter"), 4096);
        cr_expect_eq(counter("alu_counter"), 192);
    }
}

Test(machine, calls_a_dense_layer)
{
    const char *path = compiled("dense.o");
    if (path != NULL)
        check_dense(path, "kernel", 256, 128, 10);
}

Test(machine, convolves_with_padding_and_bias)
{
    static int8_t data[4 * 14 * 14 * 16], weight[4 * 4 * 9 * 256], result[4 * 14 * 14 * 16];
    int32_t bias[64];
    const char *path = compiled("conv3x3_pad.o");
    if (path == NULL)
        return;
    const uint64_t kernel = client_kernel(&client, client_load(&client, path), "kernel");
    struct tensor d = tensor_of(EXT_DEV, 8, 6, (int64_t[]){ 1, 4, 14, 14, 1, 16 });
    struct tensor w = tensor_of(EXT_DEV, 8, 6, (int64_t[]){ 4, 4, 3, 3, 16, 16 });
    struct tensor b = tensor_of(EXT_DEV, 32, 6, (int64_t[]){ 1, 4, 1, 1, 1, 16 });
    struct tensor r = tensor_of(EXT_DEV, 8, 6, (int64_t[]){ 1, 4, 14, 14, 1, 16 });
    for (int i = 0; i < 64; i++)
        bias[i] = i * 4 - 100;
    client_copy_to(&client, &b, bias, sizeof bias);
    for (uint32_t call = 0; call < 3; call++) {
        expected_fill(data, sizeof data, call);
        expected_fill(weight, sizeof weight, call + 5);
        client_copy_to(&client, &d, data, sizeof data);
        client_copy_to(&client, &w, weight, sizeof weight);
        struct answer answer = client_call(&client, kernel, "tttt", &d, &w, &b, &r);
        expect_done(&answer);
        client_copy_from(&client, &r, result, sizeof result);
        for (int o = 0; o < 64; o++)
            for (int y = 0; y < 14; y++)
                for (int x = 0; x < 14; x++)
                    cr_assert_eq(result[((o / 16 * 14 + y) * 14 + x) * 16 + o % 16],
                                 expected_convolution(data, weight, bias, o, y, x),
                                 "channel %d row %d column %d", o, y, x);
    }
}
