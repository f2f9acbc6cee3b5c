/* networks.c: measures a network from its upload to a run. What of a run is inside streams, and how
 * many multiplications those make, the debug executor's profile and the counters say.
 */
#include "networks.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "tvm_client.h"

#define MACS_PER_GEMM 256.0 /* of the default configuration: 1×16 by 16×16 */

struct network {
    struct measure_table *table;
    int session;
    const char *name, *folder;
    uint64_t module;
};

static void *read_file(const struct network *network, const char *name, size_t *nbytes)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", network->folder, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        client_give_up(path);
    *nbytes = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = client_allocate(*nbytes + 1);
    if (fread(bytes, 1, *nbytes, file) != *nbytes)
        client_give_up(path);
    fclose(file);
    bytes[*nbytes] = '\0';
    return bytes;
}

static void row(const struct network *network, const char *what, double value, const char *unit)
{
    char name[64];
    snprintf(name, sizeof name, "%s: %s", network->name, what);
    measure_row(network->table, name, value, unit, value, unit, NAN, false);
}

static uint64_t member(const struct network *network, const char *name)
{
    struct body values = { .size = 0 };
    body_put_u32(&values, 3);
    body_put_u32(&values, TVM_MODULE);
    body_put_u32(&values, TVM_STRING);
    body_put_u32(&values, TVM_INT);
    body_put_u64(&values, network->module);
    body_put_text(&values, name);
    body_put_u64(&values, 0);
    client_call(network->session,
                client_function(network->session, "tvm.rpc.server.ModuleGetFunction"), &values);
    return client_value(1).handle;
}

static void call_plain(const struct network *network, uint64_t function)
{
    struct body values = { .size = 0 };
    body_put_u32(&values, 0);
    client_call(network->session, function, &values);
}

/* tvm.graph_executor_debug.create(JSON, module, 12, 0). */
static uint64_t create(const struct network *network, const char *json, size_t nbytes,
                       uint64_t library)
{
    static const uint32_t codes[] = { TVM_STRING, TVM_MODULE, TVM_INT, TVM_INT };
    struct body body = { .size = 0 };
    const uint64_t rest[] = { library, TVM_EXT_DEV, 0 };
    uint8_t *bulk = client_allocate(nbytes + sizeof rest);
    memcpy(bulk, json, nbytes);
    memcpy(bulk + nbytes, rest, sizeof rest);
    body_put_u64(&body, client_function(network->session, "tvm.graph_executor_debug.create"));
    body_put_u32(&body, 4);
    body_put(&body, codes, sizeof codes);
    body_put_u64(&body, nbytes);
    client_send(network->session, TVM_PACKET_CALL_FUNC, &body, bulk, nbytes + sizeof rest);
    client_expect(client_receive(network->session), TVM_PACKET_RETURN);
    free(bulk);
    return client_value(1).handle;
}

static void set_up(struct network *network)
{
    size_t library_bytes, json_bytes;
    struct utsname host;
    char file[sizeof host.machine + 16];
    uname(&host);
    snprintf(file, sizeof file, "graphlib-%s.tar", host.machine);
    void *library = read_file(network, file, &library_bytes);
    char *json = read_file(network, "graph.json", &json_bytes);
    double start = measure_now();
    client_upload(network->session, "graphlib.tar", library, library_bytes);
    network->module =
        create(network, json, json_bytes, client_load(network->session, "graphlib.tar"));
    row(network, "set-up", (measure_now() - start) * 1e3, "ms");
    free(library);
    free(json);
}

static void set_params(const struct network *network)
{
    size_t nbytes;
    void *params = read_file(network, "params.bin", &nbytes);
    struct body body = { .size = 0 };
    body_put_u64(&body, member(network, "load_params"));
    body_put_u32(&body, 1);
    body_put_u32(&body, TVM_BYTES);
    body_put_u64(&body, nbytes);
    double start = measure_now();
    client_send(network->session, TVM_PACKET_CALL_FUNC, &body, params, nbytes);
    client_expect(client_receive(network->session), TVM_PACKET_RETURN);
    row(network, "load_params", (measure_now() - start) * 1e3, "ms");
    free(params);
}

/* The sum of the numbers behind each place of `key`. */
static double sum_of(const char *text, const char *key)
{
    double sum = 0;
    while ((text = strstr(text, key)) != NULL) {
        text += strlen(key);
        sum += strtod(text, NULL);
    }
    return sum;
}

static void measure_run(const struct network *network, size_t runs)
{
    const uint64_t run = member(network, "run");
    double *seconds = client_allocate(runs * sizeof *seconds);
    for (size_t i = 0; i <= runs; i++) {
        double start = measure_now();
        call_plain(network, run);
        seconds[i > 0 ? i - 1 : 0] = measure_now() - start; /* the first is a warm-up */
    }
    row(network, "one run", measure_median(seconds, runs) * 1e3, "ms");
    free(seconds);
    call_plain(network, client_function(network->session, "vta.simulator.profiler_clear"));
    call_plain(network, run);
    call_plain(network, client_function(network->session, "vta.simulator.profiler_status"));
    const double macs = MACS_PER_GEMM * sum_of(client_value(1).bytes.data, "\"gemm_counter\":");
    call_plain(network, member(network, "profile_rpc"));
    const double inside = sum_of(client_value(1).bytes.data, "\"VTA (us)\":{\"microseconds\":");
    row(network, "inside streams", inside * 1e-3, "ms");
    row(network, "inside streams", macs / inside * 1e-3, "GMAC/s");
}

void measure_networks(struct measure_table *table, int session, size_t runs)
{
    static const char *const names[] = { "small", "resnet18" };
    const char *shared = getenv("VTA_SHARED");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char folder[PATH_MAX], graph[PATH_MAX + 16];
        snprintf(folder, sizeof folder, "%s/tvm/networks/%s", shared != NULL ? shared : "../shared",
                 names[i]);
        snprintf(graph, sizeof graph, "%s/graph.json", folder);
        FILE *file = fopen(graph, "rb");
        if (file == NULL) {
            fprintf(stderr, "bench_tvm: SKIPPED: no %s (VTA_SHARED), so no network\n", graph);
            continue;
        }
        fclose(file);
        struct network network = {
            .table = table, .session = session, .name = names[i], .folder = folder
        };
        set_up(&network);
        set_params(&network);
        measure_run(&network, runs);
    }
}
