/* networks.h: what networks that TVM compiled cost: to set up, to run. */
#ifndef VTA_BENCH_NETWORKS_H
#define VTA_BENCH_NETWORKS_H

#include "measure.h"

/* Rows for each network in VTA_SHARED; none, with a message, if there are none. port: the
 * daemon's. runs: of which the median counts. */
void measure_networks(struct measure_table *table, int port, size_t runs);

#endif
