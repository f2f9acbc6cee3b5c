/* networks.c: measures a network from its files to a run. What of a run is inside streams, and how
 * many multiplications those make, its profile says.
 */
#include "networks.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <vta/client.h>

#include "tvm_client.h"

#define MACS_PER_GEMM 256.0 /* of the default configuration: 1×16 by 16×16 */

static void row(struct measure_table *table, const char *network, const char *what, double value,
                const char *unit)
{
    char name[64];
    snprintf(name, sizeof name, "%s: %s", network, what);
    measure_row(table, name, value, unit, value, unit, NAN, false);
}

static struct vta_network *set_up(struct measure_table *table, const char *name, const char *folder,
                                  int port)
{
    char library[PATH_MAX + 128], graph[PATH_MAX + 16], params[PATH_MAX + 16];
    struct vta_error error;
    struct utsname host;
    uname(&host);
    snprintf(library, sizeof library, "%s/graphlib-%s.tar", folder, host.machine);
    snprintf(graph, sizeof graph, "%s/graph.json", folder);
    snprintf(params, sizeof params, "%s/params.bin", folder);
    if (access(graph, R_OK) != 0) {
        fprintf(stderr, "bench_tvm: SKIPPED: no %s (VTA_SHARED), so no network\n", graph);
        return NULL;
    }
    const struct vta_network_options options = { .host = "127.0.0.1",
                                                 .port = port,
                                                 .library = library,
                                                 .graph = graph,
                                                 .params = params,
                                                 .profile = true };
    const double start = measure_now();
    struct vta_network *network = vta_network_open(&options, &error);
    if (network == NULL)
        client_give_up(error.message);
    row(table, name, "set-up, with parameters", (measure_now() - start) * 1e3, "ms");
    return network;
}

static void measure_run(struct measure_table *table, const char *name, struct vta_network *network,
                        size_t runs)
{
    double *seconds = client_allocate(runs * sizeof *seconds), inside = 0, macs = 0;
    struct vta_network_node *nodes;
    struct vta_error error;
    size_t count;
    uint64_t ns;
    for (size_t i = 0; i <= runs; i++) {
        if (vta_network_run(network, &ns, &error) != 0)
            client_give_up(error.message);
        seconds[i > 0 ? i - 1 : 0] = (double)ns * 1e-9; /* the first is a warm-up */
    }
    row(table, name, "one run", measure_median(seconds, runs) * 1e3, "ms");
    free(seconds);
    if (vta_network_profile(network, &nodes, &count, &error) != 0)
        client_give_up(error.message);
    for (size_t i = 0; i < count; i++) {
        inside += (double)nodes[i].vta_ns * 1e-3;
        macs += MACS_PER_GEMM * (double)nodes[i].counters.gemm_counter;
    }
    free(nodes);
    row(table, name, "inside streams", inside * 1e-3, "ms");
    row(table, name, "inside streams", macs / inside * 1e-3, "GMAC/s");
}

void measure_networks(struct measure_table *table, int port, size_t runs)
{
    static const char *const names[] = { "small", "resnet18" };
    const char *shared = getenv("VTA_SHARED");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char folder[PATH_MAX];
        snprintf(folder, sizeof folder, "%s/tvm/networks/%s", shared != NULL ? shared : "../shared",
                 names[i]);
        struct vta_network *network = set_up(table, names[i], folder, port);
        if (network == NULL)
            continue;
        measure_run(table, names[i], network, runs);
        vta_network_close(network);
    }
}
