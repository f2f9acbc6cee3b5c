/* graph_factory.h: a graph that a library brings, with its parameters, as a module: calling its
 * name with devices makes an instance.
 */
#ifndef VTA_WORKER_GRAPH_FACTORY_H
#define VTA_WORKER_GRAPH_FACTORY_H

#include "blob.h"
#include "module.h"

/* section: as graph_image_take reads it; copied. Its kernels are found in its first import. NULL
 * with *error. */
struct module *graph_factory_new(struct worker *worker, const struct blob *section,
                                 struct vta_error *error);

#endif
