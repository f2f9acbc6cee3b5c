/* bench_tvm.c: what TVM sessions cost: set-up, round trips and copies as ratios to a raw pair of
 * processes that moves the same bytes in the same run, in turn; and a kernel and networks that TVM
 * compiled, where VTA_SHARED has them.
 */
#include <limits.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"
#include "networks.h"
#include "peers.h"
#include "tvm_client.h"

#define ROUNDS_MAX 9

/* Targets: a tenth of the 7 ms, 15 times the 0.09 GB/s, and a fifth of the 0.30 ms of TVM's own
 * server. */
#define SETUP_US  700.0
#define CROWD_MS  100.0
#define TRIP      1.1
#define COPY_GBS  1.35
#define KERNEL_MS 0.06
#define LOAD_MS   1.0
#define LOAD      10.0
#define EMULATED  3.0

struct amounts {
    size_t rounds, sessions, trips;
    uint64_t copy_bytes;
    int64_t number, repeat; /* of the evaluator */
};

static const struct amounts full = { ROUNDS_MAX, 50, 4000, UINT64_C(64) << 20, 100, 9 };
static const struct amounts tiny = { 1, 3, 50, UINT64_C(3) << 20, 2, 1 };

static struct bench {
    struct amounts much;
    const char *daemon_path;
    struct measure_table *table;
    struct peer daemon, raw;
    int session, raw_fd;
} bench;

/* ---- Rows ---------------------------------------------------------------------------------- */

struct samples {
    double ours[ROUNDS_MAX], raw[ROUNDS_MAX];
};

static double ratio_of(const struct samples *samples)
{
    double ratios[ROUNDS_MAX];
    for (size_t i = 0; i < bench.much.rounds; i++)
        ratios[i] = samples->ours[i] / samples->raw[i];
    return measure_median(ratios, bench.much.rounds);
}

/* A figure whose target is itself. */
static void plain_row(const char *name, double value, const char *unit, const char *of,
                      double target, bool at_least)
{
    measure_row(bench.table, name, value, unit, value, of, target, at_least);
}

/* ---- Set-up -------------------------------------------------------------------------------- */

static void measure_setup(const char *name, long pause_ns, double target)
{
    double *seconds = client_allocate(bench.much.sessions * sizeof *seconds);
    const struct timespec pause = { .tv_nsec = pause_ns };
    for (size_t i = 0; i < bench.much.sessions; i++) {
        nanosleep(&pause, NULL); /* the process before has ended by then, or not */
        double start = measure_now();
        int fd = client_open(bench.daemon.port);
        seconds[i] = measure_now() - start;
        close(fd);
    }
    plain_row(name, measure_median(seconds, bench.much.sessions) * 1e6, "µs", "µs", target, false);
    free(seconds);
}

/* From the first connection to InitServer's answer of the last. */
static void measure_crowd(const char *name)
{
    double seconds[ROUNDS_MAX];
    const struct timespec pause = { .tv_nsec = 200000000 }; /* for those before to end */
    int *fds = client_allocate(bench.much.sessions * sizeof *fds);
    for (size_t round = 0; round < bench.much.rounds; round++) {
        nanosleep(&pause, NULL);
        double start = measure_now();
        for (size_t i = 0; i < bench.much.sessions; i++)
            fds[i] = client_hello(bench.daemon.port);
        for (size_t i = 0; i < bench.much.sessions; i++)
            client_welcome(fds[i]);
        for (size_t i = 0; i < bench.much.sessions; i++)
            client_expect(client_receive(fds[i]), TVM_PACKET_RETURN);
        seconds[round] = measure_now() - start;
        for (size_t i = 0; i < bench.much.sessions; i++)
            close(fds[i]);
    }
    plain_row(name, measure_median(seconds, bench.much.rounds) * 1e3, "ms", "ms", CROWD_MS, false);
    free(fds);
}

/* ---- Round trips --------------------------------------------------------------------------- */

static const char unknown[] = "no.such.function";

static double trip_ours(void)
{
    struct body body = { .size = 0 };
    body_put_u32(&body, 1);
    body_put_u32(&body, TVM_STRING);
    body_put_text(&body, unknown);
    double start = measure_now();
    for (size_t i = 0; i < bench.much.trips; i++) {
        client_send(bench.session, TVM_PACKET_GET_GLOBAL_FUNC, &body, "", 0);
        client_expect(client_receive(bench.session), TVM_PACKET_RETURN);
    }
    return (measure_now() - start) / (double)bench.much.trips;
}

/* The same bytes, read in the same two pieces by this side. */
static double trip_raw(void)
{
    const struct raw_order order = { RAW_ANSWER, bench.much.trips,
                                     TVM_HEADER_BYTES + 16 + sizeof unknown - 1,
                                     8 + client_answer_bytes() };
    uint8_t bytes[512];
    memset(bytes, 0, sizeof bytes);
    peer_send(bench.raw_fd, &order, sizeof order);
    double start = measure_now();
    for (size_t i = 0; i < bench.much.trips; i++) {
        peer_send(bench.raw_fd, bytes, order.request_bytes);
        peer_receive(bench.raw_fd, bytes, 8);
        peer_receive(bench.raw_fd, bytes, order.reply_bytes - 8);
    }
    return (measure_now() - start) / (double)bench.much.trips;
}

static void measure_trips(const char *name)
{
    struct samples samples;
    client_function(bench.session, unknown); /* so that the size of its answer is known */
    for (size_t i = 0; i <= bench.much.rounds; i++) {
        size_t at = i > 0 ? i - 1 : 0; /* the first is a warm-up, and measured again */
        samples.raw[at] = trip_raw();
        samples.ours[at] = trip_ours();
    }
    double ratio = ratio_of(&samples);
    measure_row(bench.table, name, measure_median(samples.ours, bench.much.rounds) * 1e6, "µs",
                ratio, "times the raw pair's", TRIP, false);
}

/* ---- Copies -------------------------------------------------------------------------------- */

/* type: its code, and its bits times 256. */
static void put_shaped(struct body *body, uint64_t data, uint32_t device, uint32_t type,
                       const uint64_t *shape, uint32_t ndim)
{
    body_put_u64(body, data);
    body_put_u32(body, device);
    body_put_u32(body, 0);
    body_put_u32(body, ndim);
    body_put_u32(body, type | 1 << 16);
    body_put(body, shape, ndim * sizeof *shape);
    body_put_u64(body, 0);
}

static void put_tensor(struct body *body, uint64_t data, uint32_t device, uint64_t elements)
{
    put_shaped(body, data, device, 8 << 8, &elements, 1);
}

static uint64_t allocate_tensor(uint32_t device, uint64_t nbytes)
{
    struct body body = { .size = 0 };
    body_put_u32(&body, 2);
    body_put_u32(&body, TVM_TENSOR);
    body_put_u32(&body, TVM_NULL);
    put_tensor(&body, 0, device, nbytes);
    client_send(bench.session, TVM_PACKET_DEV_ALLOC_DATA_WITH_SCOPE, &body, NULL, 0);
    client_expect(client_receive(bench.session), TVM_PACKET_RETURN);
    return client_value(0).handle;
}

static double copy_to(uint64_t data, uint32_t device, const uint8_t *bytes, uint64_t nbytes)
{
    struct body body = { .size = 0 };
    double start = measure_now();
    put_tensor(&body, data, device, nbytes);
    body_put_u64(&body, nbytes);
    client_send(bench.session, TVM_PACKET_COPY_TO_REMOTE, &body, bytes, nbytes);
    client_expect(client_receive(bench.session), TVM_PACKET_RETURN);
    return measure_now() - start;
}

static double copy_from(uint64_t data, uint32_t device, uint8_t *bytes, uint64_t nbytes)
{
    struct body body = { .size = 0 };
    uint8_t head[TVM_HEADER_BYTES];
    uint32_t code;
    double start = measure_now();
    put_tensor(&body, data, device, nbytes);
    body_put_u64(&body, nbytes);
    client_send(bench.session, TVM_PACKET_COPY_FROM_REMOTE, &body, NULL, 0);
    peer_receive(bench.session, head, sizeof head);
    memcpy(&code, head + 8, sizeof code);
    if (code != TVM_PACKET_COPY_ACK)
        client_give_up("a copy was refused");
    peer_receive(bench.session, bytes, nbytes);
    return measure_now() - start;
}

static double raw_to(uint8_t *piece, uint64_t nbytes)
{
    const struct raw_order order = { RAW_SINK, nbytes, 0, 0 };
    double start = measure_now();
    peer_send(bench.raw_fd, &order, sizeof order);
    for (uint64_t at = 0; at < nbytes; at += RAW_PIECE)
        peer_send(bench.raw_fd, piece, RAW_PIECE);
    peer_receive(bench.raw_fd, piece, 1);
    return measure_now() - start;
}

static double raw_from(uint8_t *piece, uint64_t nbytes)
{
    const struct raw_order order = { RAW_SOURCE, nbytes, 0, 0 };
    double start = measure_now();
    peer_send(bench.raw_fd, &order, sizeof order);
    for (uint64_t left = nbytes; left > 0;)
        left -= peer_receive_some(bench.raw_fd, piece, left < RAW_PIECE ? left : RAW_PIECE);
    return measure_now() - start;
}

static void copy_row(const char *what, const char *device, struct samples *samples)
{
    char name[64], of[64];
    double bytes = (double)bench.much.copy_bytes, ratio = 1 / ratio_of(samples);
    snprintf(name, sizeof name, "copy %s %s, %u MiB", what, device,
             (unsigned)(bench.much.copy_bytes >> 20));
    snprintf(of, sizeof of, "GB/s; %.2f of the raw pair's", ratio);
    plain_row(name, bytes / 1e9 / measure_median(samples->ours, bench.much.rounds), "GB/s", of,
              COPY_GBS, true);
}

static void measure_copies(uint32_t device, const char *name)
{
    struct samples to, from;
    uint64_t nbytes = bench.much.copy_bytes, data = allocate_tensor(device, nbytes);
    uint8_t *out = client_allocate(nbytes), *back = client_allocate(nbytes),
            *piece = client_allocate(RAW_PIECE);
    for (size_t i = 0; i < nbytes; i++)
        out[i] = (uint8_t)(i * 2654435761u >> 13);
    for (size_t i = 0; i <= bench.much.rounds; i++) {
        size_t at = i > 0 ? i - 1 : 0;
        to.raw[at] = raw_to(piece, nbytes);
        to.ours[at] = copy_to(data, device, out, nbytes);
        from.raw[at] = raw_from(piece, nbytes);
        from.ours[at] = copy_from(data, device, back, nbytes);
    }
    if (memcmp(out, back, nbytes) != 0)
        client_give_up("what was read is not what was written");
    copy_row("to", name, &to);
    copy_row("from", name, &from);
    free(out);
    free(back);
    free(piece);
}

/* ---- A compiled kernel --------------------------------------------------------------------- */

/* RPCTimeEvaluator(module, name, 12, 0, number, repeat, 0, ""). */
static uint64_t evaluator(uint64_t module, const char *name, int64_t number)
{
    static const uint32_t codes[] = { TVM_MODULE, TVM_STRING, TVM_INT, TVM_INT,
                                      TVM_INT,    TVM_INT,    TVM_INT, TVM_STRING };
    struct body values = { .size = 0 };
    uint64_t function = client_function(bench.session, "runtime.RPCTimeEvaluator");
    body_put_u32(&values, sizeof codes / sizeof codes[0]);
    body_put(&values, codes, sizeof codes);
    body_put_u64(&values, module);
    body_put_text(&values, name);
    body_put_u64(&values, TVM_EXT_DEV);
    body_put_u64(&values, 0);
    body_put_u64(&values, (uint64_t)number);
    body_put_u64(&values, (uint64_t)bench.much.repeat);
    body_put_u64(&values, 0);
    body_put_text(&values, "");
    client_call(bench.session, function, &values);
    return client_value(1).handle;
}

/* A kernel of a file below VTA_SHARED/tvm, with tensors on ext_dev. */
struct kernel {
    const char *file, *name;
    uint32_t bits, dtype; /* of every tensor */
    uint64_t shapes[3][4];
};

static const struct kernel gemm = { "gemm.o",
                                    "my_gemm",
                                    8,
                                    TVM_DTYPE_INT,
                                    { { 1, 64, 1, 16 }, { 64, 64, 16, 16 }, { 1, 64, 1, 16 } } };
static const struct kernel convolution = {
    "networks/small/graphlib-x86_64.tar",
    "tvmgen_default_fused_nn_conv2d_nn_relu",
    32,
    TVM_DTYPE_FLOAT,
    { { 1, 3, 32, 32 }, { 16, 3, 3, 3 }, { 1, 16, 32, 32 } }
};

static const char *shared_path(const char *file)
{
    static char path[PATH_MAX];
    const char *shared = getenv("VTA_SHARED");
    snprintf(path, sizeof path, "%s/tvm/%s", shared != NULL ? shared : "../shared", file);
    return path;
}

/* Loads the file; the module's handle. */
static uint64_t load_shared(const char *path)
{
    static uint8_t content[1 << 20];
    const char *name = strrchr(path, '/') + 1;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        client_give_up("a recorded module is missing");
    size_t nbytes = fread(content, 1, sizeof content, file);
    fclose(file);
    client_upload(bench.session, name, content, nbytes);
    return client_load(bench.session, name);
}

/* Milliseconds of a call, by the server's own evaluator. */
static double time_kernel(const struct kernel *kernel, const char *file, int64_t number)
{
    struct body values = { .size = 0 };
    uint64_t timed = evaluator(load_shared(shared_path(file)), kernel->name, number);
    body_put_u32(&values, 3);
    for (int i = 0; i < 3; i++)
        body_put_u32(&values, TVM_TENSOR);
    for (int i = 0; i < 3; i++) {
        const uint64_t *shape = kernel->shapes[i];
        uint64_t elements = shape[0] * shape[1] * shape[2] * shape[3];
        uint64_t nbytes = elements * kernel->bits / 8;
        uint64_t data = allocate_tensor(TVM_EXT_DEV, nbytes);
        uint8_t *numbers = client_allocate(nbytes);
        copy_to(data, TVM_EXT_DEV, numbers, nbytes);
        free(numbers);
        put_shaped(&values, data, TVM_EXT_DEV, kernel->dtype | kernel->bits << 8, shape, 4);
    }
    client_call(bench.session, timed, &values);
    double seconds[16];
    struct tvm_item result = client_value(1);
    size_t count = result.bytes.size / sizeof seconds[0];
    memcpy(seconds, result.bytes.data, count * sizeof seconds[0]);
    return measure_median(seconds, count) * 1e3;
}

/* The same kernel compiled for a board's processor, which is emulated. */
static void measure_emulated(const char *name, const struct kernel *kernel, const char *file,
                             int64_t number, double native_ms, double target)
{
    double ms = time_kernel(kernel, file, number);
    measure_row(bench.table, name, ms, "ms", ms / native_ms, "times the native call", target,
                false);
}

static double link_once(const char *object)
{
    char *arguments[] = { "ld", "-shared", "-o", "/dev/null", (char *)object, NULL };
    pid_t child;
    int status = -1;
    double start = measure_now();
    if (posix_spawnp(&child, "ld", NULL, NULL, arguments, environ) != 0)
        return NAN;
    waitpid(child, &status, 0);
    return status == 0 ? measure_now() - start : NAN;
}

/* From the request to the answer, beside a linker on the same object. */
static void measure_load(void)
{
    struct samples samples;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", shared_path(gemm.file));
    load_shared(path);
    for (size_t i = 0; i < bench.much.rounds; i++) {
        samples.raw[i] = link_once(path);
        double start = measure_now();
        client_load(bench.session, "gemm.o");
        samples.ours[i] = measure_now() - start;
    }
    double ms = measure_median(samples.ours, bench.much.rounds) * 1e3;
    plain_row("load_module of gemm.o", ms, "ms", "ms", LOAD_MS, false);
    if (isnan(samples.raw[0]))
        fprintf(stderr, "bench_tvm: SKIPPED: no ld, so no ratio to linking\n");
    else
        measure_row(bench.table, "ld -shared of gemm.o",
                    measure_median(samples.raw, bench.much.rounds) * 1e3, "ms",
                    1 / ratio_of(&samples), "times the load", LOAD, true);
}

static void measure_modules(void)
{
    const int64_t number = bench.much.number;
    if (access(shared_path(gemm.file), R_OK) != 0) {
        fprintf(stderr, "bench_tvm: SKIPPED: no %s (VTA_SHARED), so no compiled kernels\n",
                shared_path(gemm.file));
        return;
    }
    measure_load();
    double native = time_kernel(&gemm, gemm.file, number);
    plain_row("gemm.o, as its time evaluator reports", native, "ms", "ms", KERNEL_MS, false);
    double convolved = time_kernel(&convolution, convolution.file, number);
    if (!HAVE_UNICORN) {
        fprintf(stderr, "bench_tvm: SKIPPED: built without Unicorn, so no emulated processors\n");
        return;
    }
    measure_emulated("gemm for ARM", &gemm, "arm/gemm-armv7.o", number, native, EMULATED);
    measure_emulated("gemm for AArch64", &gemm, "arm/gemm-aarch64.o", number, native, EMULATED);
    measure_emulated("3x3 convolution on the cpu, for ARM", &convolution,
                     "networks/small/graphlib-armv7.tar", 1, convolved, NAN);
    measure_emulated("3x3 convolution on the cpu, for AArch64", &convolution,
                     "networks/small/graphlib-aarch64.tar", 1, convolved, NAN);
}

/* ---- All of it ----------------------------------------------------------------------------- */

/* The daemon's workers, this one's among them. */
static void bind_workers(int processor)
{
    char path[64];
    int pid;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)bench.daemon.pid,
             (int)bench.daemon.pid);
    FILE *file = fopen(path, "r");
    while (file != NULL && fscanf(file, "%d", &pid) == 1)
        peer_bind(pid, processor);
    if (file != NULL)
        fclose(file);
    peer_bind(bench.raw.pid, processor);
}

static void measure_all(void)
{
    int processors[2];
    peer_start_raw(&bench.raw);
    bench.raw_fd = peer_connect(bench.raw.port);
    peer_start_daemon(&bench.daemon, bench.daemon_path);
    measure_setup("set-up, one now and then", 30000000, SETUP_US);
    measure_setup("set-up, one after another", 0, SETUP_US);
    measure_crowd("set-up, fifty at once");
    bench.session = client_open(bench.daemon.port);
    measure_trips("round trip, unbound");
    measure_copies(TVM_CPU, "cpu");
    measure_copies(TVM_EXT_DEV, "ext_dev");
    measure_modules();
    measure_networks(bench.table, bench.daemon.port, bench.much.rounds);
    peer_processors(processors);
    peer_bind(0, processors[0]);
    bind_workers(processors[0]);
    measure_trips("round trip, one core");
    bind_workers(processors[1]);
    if (processors[1] != processors[0])
        measure_trips("round trip, two cores");
    close(bench.session);
    close(bench.raw_fd);
    peer_stop(&bench.daemon);
    peer_stop(&bench.raw);
}

int main(int argc, char **argv)
{
    struct measure_options options = { .name = "bench_tvm",
                                       .recordings = true,
                                       .daemon = peer_vtad() };
    measure_options(&options, argc, argv);
    bench.much = options.smoke ? tiny : full;
    bench.daemon_path = options.daemon;
    bench.table = measure_table_new("bench_tvm");
    measure_all();
    measure_table_print(bench.table, options.json);
    measure_table_free(bench.table);
    return 0;
}
