/* engine.c: finds and loads the plugin that emulates processors (engine.h). */
#include "engine.h"

#include <dlfcn.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "worker/cpu.h"

const struct engine_ops *engine_load(const char *path, struct vta_error *error)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const struct engine_ops *ops = library != NULL ? dlsym(library, ENGINE_PLUGIN_SYMBOL) : NULL;
    if (ops == NULL) {
        vta_error_set(error, VTA_EUNSUPPORTED, "install the package libunicorn2 (%s)", dlerror());
        return NULL;
    }
    if (ops->version == ENGINE_VERSION)
        return ops;
    vta_error_set(error, VTA_EUNSUPPORTED, "%s: it has version %u, not %u", path, ops->version,
                  ENGINE_VERSION);
    return NULL;
}

/* Why there is none. */
static struct vta_error missing = {
    .message = "this build has no vtad-engine-unicorn.so, which is made where the package "
               "libunicorn-dev is installed, and needs libunicorn2"
};

const char *cpu_engine_missing(void)
{
    return missing.message;
}

/* Where it is installed, and in a build folder. */
const struct engine_ops *cpu_engine_find(void)
{
    static const char *const names[] = { "vtad-engine-unicorn.so",
                                         "../emulator/vtad-engine-unicorn.so" };
    char path[PATH_MAX];
    const struct engine_ops *ops = NULL;
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 64);
    while (n > 0 && path[n - 1] != '/')
        n--;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && n > 0 && ops == NULL; i++) {
        strcpy(path + n, names[i]);
        ops = access(path, R_OK) == 0 ? engine_load(path, &missing) : NULL;
    }
    return ops;
}
