/* bench_rpc.c: what a daemon and its client library cost on top of the loopback socket between
 * them. Each figure is a ratio to a raw pair of processes that moves the same bytes, measured in
 * the same run, in turn. Medians of rounds, of the rounds' ratios too, so that what else the
 * machine does falls on both sides.
 */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vta/client.h>

#include "proto/rpc.h"

#include "measure.h"
#include "peers.h"

#define ROUNDS_MAX   9
#define WINDOW       64u  /* pipelined requests */
#define FIRST_MSGID  256u /* from here to 65535 ids, and so messages, have one size */
#define SESSION_BYTE 1024u
#define TARGET_KIB   64.0

/* How much of everything. */
struct amounts {
    size_t rounds, pings, pipelined, sessions;
    uint64_t bulk_bytes;
};

static const struct amounts full = { ROUNDS_MAX, 4000, 40000, 200, UINT64_C(64) << 20 };
static const struct amounts tiny = { 1, 50, 200, 4, UINT64_C(3) << 20 };

struct bench {
    struct amounts much;
    const char *daemon_path;
    struct measure_table *table;
    int processors[2]; /* the client's and the peers' */
    struct peer daemon, raw;
    struct vta_session *session;
    int raw_fd;
    size_t request_bytes, reply_bytes;
    msgpack_sbuffer requests; /* pings with ids from FIRST_MSGID on, and answers to them */
    msgpack_sbuffer replies;
    char *received;
    double *trips; /* seconds of each round trip of a round */
};

static void must(bool good, const struct vta_error *error)
{
    if (good)
        return;
    fprintf(stderr, "bench_rpc: %s\n", error->message);
    exit(1);
}

static void *allocate(size_t nbytes)
{
    void *bytes = malloc(nbytes);
    if (bytes == NULL) {
        fprintf(stderr, "bench_rpc: no memory for %zu bytes\n", nbytes);
        exit(1);
    }
    memset(bytes, 1, nbytes);
    return bytes;
}

static void add_row(const struct bench *bench, const char *name, double value, const char *unit,
                    double ratio, const char *ratio_of, double target, bool at_least)
{
    if (!isfinite(value) || !isfinite(ratio) || (at_least && value <= 0)) {
        fprintf(stderr, "bench_rpc: %s: %g %s, ratio %g\n", name, value, unit, ratio);
        exit(1);
    }
    measure_row(bench->table, name, value, unit, ratio, ratio_of, target, at_least);
}

/* What both took in each round. */
struct samples {
    double ours[ROUNDS_MAX], raw[ROUNDS_MAX];
};

/* The median of the rounds' ours / raw; leaves the samples as they are. */
static double ratio_of(const struct samples *samples, size_t rounds)
{
    double ratios[ROUNDS_MAX];
    for (size_t i = 0; i < rounds; i++)
        ratios[i] = samples->ours[i] / samples->raw[i];
    return measure_median(ratios, rounds);
}

/* Seconds of `amount` of something, as a row of a rate. */
static void rate_row(const struct bench *bench, const char *name, double amount, const char *unit,
                     struct samples *seconds, double target)
{
    size_t rounds = bench->much.rounds;
    double ratio = 1 / ratio_of(seconds, rounds);
    add_row(bench, name, amount / measure_median(seconds->ours, rounds), unit, ratio,
            "of the raw pair's", target, true);
}

/* Seconds as a row of a time. */
static void time_row(const struct bench *bench, const char *name, struct samples *seconds,
                     double target)
{
    size_t rounds = bench->much.rounds;
    double ratio = ratio_of(seconds, rounds);
    add_row(bench, name, measure_median(seconds->ours, rounds) * 1e6, "µs", ratio,
            "times the raw pair's", target, false);
}

/* ---- Messages ------------------------------------------------------------------------------ */

/* What vta_ping and the daemon say, for as many requests as a round pipelines. */
static void pack_messages(struct bench *bench)
{
    msgpack_packer request, reply;
    msgpack_sbuffer_init(&bench->requests);
    msgpack_sbuffer_init(&bench->replies);
    msgpack_packer_init(&request, &bench->requests, msgpack_sbuffer_write);
    msgpack_packer_init(&reply, &bench->replies, msgpack_sbuffer_write);
    for (uint32_t i = 0; i < bench->much.pipelined; i++) {
        vta_rpc_pack_request(&request, FIRST_MSGID + i, "ping", 0);
        vta_rpc_pack_result(&reply, FIRST_MSGID + i);
        msgpack_pack_nil(&reply);
    }
    bench->request_bytes = bench->requests.size / bench->much.pipelined;
    bench->reply_bytes = bench->replies.size / bench->much.pipelined;
    bench->received = allocate(bench->replies.size);
}

static void order(const struct bench *bench, enum raw_kind kind, uint64_t count)
{
    struct raw_order order = { kind, count, bench->request_bytes, bench->reply_bytes };
    peer_send(bench->raw_fd, &order, sizeof order);
}

/* ---- Round trips --------------------------------------------------------------------------- */

static void ping_daemon(struct bench *bench)
{
    struct vta_error error;
    must(vta_ping(bench->session, NULL, &error) == 0, &error);
}

static void ping_raw(struct bench *bench)
{
    peer_send(bench->raw_fd, bench->requests.data, bench->request_bytes);
    peer_receive(bench->raw_fd, bench->received, bench->reply_bytes);
}

/* Seconds of a round trip in each round. */
struct trips {
    struct samples median, tail, mean;
};

static void round_of_trips(struct bench *bench, void (*ping)(struct bench *), double *median,
                           double *tail, double *mean)
{
    size_t count = bench->much.pings;
    double start = measure_now(), before = start;
    for (size_t i = 0; i < count; i++) {
        ping(bench);
        double after = measure_now();
        bench->trips[i] = after - before;
        before = after;
    }
    *mean = (before - start) / (double)count;
    *median = measure_median(bench->trips, count);
    *tail = measure_percentile(bench->trips, count, 0.99);
}

static void name_row(char name[64], const char *what, const char *where)
{
    snprintf(name, 64, "round trip, %s, %s", where, what);
}

/* `where` says on which processors. */
static void measure_trips(struct bench *bench, const char *where)
{
    struct trips trips;
    char name[64];
    bench->trips = allocate(bench->much.pings * sizeof *bench->trips);
    for (size_t i = 0; i <= bench->much.rounds; i++) {
        size_t at = i > 0 ? i - 1 : 0; /* the first is a warm-up, and measured again */
        order(bench, RAW_ANSWER, bench->much.pings);
        round_of_trips(bench, ping_raw, &trips.median.raw[at], &trips.tail.raw[at],
                       &trips.mean.raw[at]);
        round_of_trips(bench, ping_daemon, &trips.median.ours[at], &trips.tail.ours[at],
                       &trips.mean.ours[at]);
    }
    free(bench->trips);
    name_row(name, "median", where);
    time_row(bench, name, &trips.median, 1.5);
    name_row(name, "99th percentile", where);
    time_row(bench, name, &trips.tail, 1.5);
    snprintf(name, sizeof name, "round trips, %s", where);
    rate_row(bench, name, 1e-3, "k/s", &trips.mean, 1 / 1.5);
}

/* ---- Pipelined requests -------------------------------------------------------------------- */

/* Keeps WINDOW requests under way until all are answered. Returns seconds. */
static double pipeline(struct bench *bench, int fd)
{
    size_t count = bench->much.pipelined, sent = WINDOW, got = 0;
    double start = measure_now();
    peer_send(fd, bench->requests.data, sent * bench->request_bytes);
    while (got < bench->replies.size) {
        got += peer_receive_some(fd, bench->received + got, bench->replies.size - got);
        size_t due = got / bench->reply_bytes + WINDOW;
        due = due < count ? due : count;
        if (due > sent)
            peer_send(fd, bench->requests.data + sent * bench->request_bytes,
                      (due - sent) * bench->request_bytes);
        sent = due;
    }
    return measure_now() - start;
}

static void measure_pipeline(struct bench *bench)
{
    struct samples seconds;
    int fd = peer_connect(bench->daemon.port); /* past the library, which waits for each answer */
    for (size_t i = 0; i <= bench->much.rounds; i++) {
        size_t at = i > 0 ? i - 1 : 0;
        order(bench, RAW_ANSWER, bench->much.pipelined);
        seconds.raw[at] = pipeline(bench, bench->raw_fd);
        seconds.ours[at] = pipeline(bench, fd);
        if (memcmp(bench->received, bench->replies.data, bench->replies.size) != 0) {
            fputs("bench_rpc: the daemon answered something else than expected\n", stderr);
            exit(1);
        }
    }
    close(fd);
    rate_row(bench, "requests, 64 pipelined", (double)bench->much.pipelined / 1e3, "k/s", &seconds,
             NAN);
}

/* ---- Bulk ---------------------------------------------------------------------------------- */

/* Both return seconds; `bytes` has bulk_bytes. */
static double write_raw(struct bench *bench, char *bytes)
{
    char done;
    double start = measure_now();
    order(bench, RAW_SINK, bench->much.bulk_bytes);
    for (uint64_t at = 0; at < bench->much.bulk_bytes; at += RAW_PIECE)
        peer_send(bench->raw_fd, bytes, RAW_PIECE);
    peer_receive(bench->raw_fd, &done, 1);
    return measure_now() - start;
}

static double read_raw(struct bench *bench, char *bytes)
{
    double start = measure_now();
    order(bench, RAW_SOURCE, bench->much.bulk_bytes);
    for (uint64_t left = bench->much.bulk_bytes; left > 0;)
        left -= peer_receive_some(bench->raw_fd, bytes, left < RAW_PIECE ? left : RAW_PIECE);
    return measure_now() - start;
}

static void bulk_row(const struct bench *bench, const char *what, struct samples *seconds)
{
    char name[64];
    snprintf(name, sizeof name, "%s, %u MiB", what, (unsigned)(bench->much.bulk_bytes >> 20));
    rate_row(bench, name, (double)bench->much.bulk_bytes / 1e9, "GB/s", seconds, 0.6);
}

static struct vta_ndarray *new_array(struct vta_session *session, uint64_t nbytes)
{
    struct vta_tensor_type type = { .ndim = 1, .shape = { nbytes } };
    struct vta_error error;
    must(vta_dtype_parse(&type.dtype, "int8", &error) == 0, &error);
    struct vta_ndarray *array = vta_ndarray_empty(vta_ext_dev(session, 0), &type, &error);
    must(array != NULL, &error);
    return array;
}

static void measure_bulk(struct bench *bench)
{
    struct samples writes, reads;
    size_t nbytes = bench->much.bulk_bytes;
    struct vta_ndarray *array = new_array(bench->session, nbytes);
    char *from = allocate(nbytes), *into = allocate(nbytes), *piece = allocate(RAW_PIECE);
    struct vta_error error;
    for (size_t i = 0; i < nbytes; i++)
        from[i] = (char)(i * 2654435761u >> 13);
    for (size_t i = 0; i <= bench->much.rounds; i++) {
        size_t at = i > 0 ? i - 1 : 0;
        writes.raw[at] = write_raw(bench, piece);
        double start = measure_now();
        must(vta_ndarray_copy_from(array, from, nbytes, &error) == 0, &error);
        writes.ours[at] = measure_now() - start;
        reads.raw[at] = read_raw(bench, piece);
        start = measure_now();
        must(vta_ndarray_copy_to(array, into, nbytes, &error) == 0, &error);
        reads.ours[at] = measure_now() - start;
    }
    if (memcmp(from, into, nbytes) != 0) {
        fputs("bench_rpc: what was read is not what was written\n", stderr);
        exit(1);
    }
    bulk_row(bench, "array write", &writes);
    bulk_row(bench, "array read", &reads);
    vta_ndarray_free(array);
    free(from);
    free(into);
    free(piece);
}

/* ---- Memory -------------------------------------------------------------------------------- */

static void memory_row(const struct bench *bench, const char *name, double before, double after)
{
    double kib = (after - before) / (double)bench->much.sessions;
    add_row(bench, name, kib, "KiB", kib / TARGET_KIB, "of 64 KiB", 1, false);
}

static void use(struct vta_session *session)
{
    static char bytes[SESSION_BYTE];
    struct vta_error error;
    struct vta_ndarray *array = new_array(session, sizeof bytes);
    must(vta_ndarray_copy_from(array, bytes, sizeof bytes, &error) == 0, &error);
    must(vta_ndarray_copy_to(array, bytes, sizeof bytes, &error) == 0, &error);
    vta_ndarray_free(array);
}

/* A daemon of its own: what others left behind would hide what sessions take. */
static void measure_memory(struct bench *bench)
{
    size_t count = bench->much.sessions;
    struct vta_session **sessions = allocate(count * sizeof *sessions);
    struct peer daemon;
    struct vta_error error;
    peer_start_daemon(&daemon, bench->daemon_path);
    double before = peer_pss(&daemon);
    for (size_t i = 0; i < count; i++) {
        sessions[i] = vta_connect("127.0.0.1", daemon.port, &error);
        must(sessions[i] != NULL, &error);
    }
    memory_row(bench, "memory of a session that said hello", before, peer_pss(&daemon));
    for (size_t i = 0; i < count; i++)
        use(sessions[i]);
    memory_row(bench, "… that also had a buffer of 1 KiB", before, peer_pss(&daemon));
    for (size_t i = 0; i < count; i++)
        vta_close(sessions[i]);
    free(sessions);
    peer_stop(&daemon);
}

/* ---- All of it ----------------------------------------------------------------------------- */

static void bind_peers(const struct bench *bench, int processor)
{
    peer_bind(bench->daemon.pid, processor);
    peer_bind(bench->raw.pid, processor);
}

static void measure_all(struct bench *bench)
{
    struct vta_error error;
    pack_messages(bench);
    peer_start_raw(&bench->raw);
    bench->raw_fd = peer_connect(bench->raw.port);
    peer_start_daemon(&bench->daemon, bench->daemon_path);
    bench->session = vta_connect("127.0.0.1", bench->daemon.port, &error);
    must(bench->session != NULL, &error);

    measure_trips(bench, "unbound");
    peer_processors(bench->processors);
    peer_bind(0, bench->processors[0]);
    bind_peers(bench, bench->processors[0]);
    measure_trips(bench, "one core");
    bind_peers(bench, bench->processors[1]);
    if (bench->processors[1] != bench->processors[0])
        measure_trips(bench, "two cores");
    measure_pipeline(bench);
    measure_bulk(bench);

    vta_close(bench->session);
    close(bench->raw_fd);
    peer_stop(&bench->daemon);
    peer_stop(&bench->raw);
    msgpack_sbuffer_destroy(&bench->requests);
    msgpack_sbuffer_destroy(&bench->replies);
    free(bench->received);
    measure_memory(bench);
}

int main(int argc, char **argv)
{
    struct measure_options options = { .name = "bench_rpc", .daemon = peer_vtad() };
    measure_options(&options, argc, argv);
    struct bench bench = { .much = options.smoke ? tiny : full, .daemon_path = options.daemon };
    bench.table = measure_table_new("bench_rpc");
    measure_all(&bench);
    measure_table_print(bench.table, options.json);
    measure_table_free(bench.table);
    return 0;
}
