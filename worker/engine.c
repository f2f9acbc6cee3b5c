/* engine.c: loads the plugin that emulates processors (engine.h). */
#include "engine.h"

#include <dlfcn.h>
#include <stddef.h>

const struct engine_ops *engine_load(const char *path, struct vta_error *error)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const struct engine_ops *ops = library != NULL ? dlsym(library, ENGINE_PLUGIN_SYMBOL) : NULL;
    if (ops == NULL) {
        vta_error_set(error, VTA_EUNSUPPORTED, "%s", dlerror());
        return NULL;
    }
    if (ops->version == ENGINE_VERSION)
        return ops;
    vta_error_set(error, VTA_EUNSUPPORTED, "%s: it has version %u, not %u", path, ops->version,
                  ENGINE_VERSION);
    return NULL;
}
