/* loaded.c: from a module file's bytes to programs that may run; see loaded.h. */
#include "loaded.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/suggest.h"
#include "core/verify.h"

void vta_loaded_init(struct vta_loaded_set *set, uint32_t max_modules, uint32_t max_functions,
                     uint64_t bytes_limit)
{
    memset(set, 0, sizeof *set);
    vta_handles_init(&set->modules, VTA_HANDLE_MODULE, max_modules);
    vta_handles_init(&set->functions, VTA_HANDLE_FUNCTION, max_functions);
    set->bytes_limit = bytes_limit;
}

static void loaded_free(struct vta_loaded *loaded)
{
    if (loaded == NULL)
        return;
    if (loaded->functions != NULL)
        for (uint32_t i = 0; i < loaded->image.kernel_count; i++)
            vta_program_free(loaded->functions[i].program);
    free(loaded->functions);
    vta_module_image_clear(&loaded->image);
    free(loaded->name);
    free(loaded);
}

void vta_loaded_clear(struct vta_loaded_set *set)
{
    uint32_t index = 0;
    vta_handle handle;
    struct vta_loaded *loaded;
    while ((loaded = vta_handles_next(&set->modules, &index, &handle)) != NULL)
        loaded_free(loaded);
    vta_handles_clear(&set->functions);
    vta_handles_clear(&set->modules);
}

/* A kernel's streams are not needed once its program exists. */
static void release_streams(struct vta_kernel *kernel)
{
    free(kernel->insns);
    free(kernel->uops);
    free(kernel->relocs);
    kernel->insns = NULL;
    kernel->uops = NULL;
    kernel->relocs = NULL;
}

/* Looks for hazards, as far as anyone wants to know. */
static int find_hazards(const struct vta_loaded_function *function,
                        const struct vta_loading *loading, struct vta_error *error)
{
    struct vta_program *program = function->program;
    const struct vta_hazard_options options = { .strict_board = loading->strict_board,
                                                .list_at_most = VTA_HAZARDS_LISTED,
                                                .control = loading->control };
    int rc = vta_program_find_hazards(program, &options, error);
    if (rc == 0 && loading->hazards == VTA_HAZARDS_FAIL)
        rc = vta_hazards_error(program, program->hazards, error);
    return rc;
}

static int verify_function(struct vta_loaded *loaded, uint32_t index,
                           const struct vta_loading *loading, struct vta_error *error)
{
    struct vta_loaded_function *function = &loaded->functions[index];
    struct vta_kernel *kernel = &loaded->image.kernels[index];
    struct vta_verify_options options = { .tokens_must_end_empty = true,
                                          .max_work = loading->max_work,
                                          .control = loading->control };

    function->module = loaded;
    function->kernel = kernel;
    int rc = vta_program_from_kernel(&function->program, kernel, &loaded->image.hw, error);
    if (rc == 0)
        rc = vta_verify(function->program, &options, error);
    if (rc == 0)
        release_streams(kernel);
    return rc;
}

static int verify_all(struct vta_loaded *loaded, const struct vta_loading *loading,
                      struct vta_error *error)
{
    int rc = vta_hw_compare(&loaded->image.hw, loading->hw, error);
    if (rc != 0)
        return rc;
    loaded->functions = calloc((size_t)loaded->image.kernel_count + 1, sizeof *loaded->functions);
    if (loaded->functions == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for its functions");
    uint32_t i = 0, count = loaded->image.kernel_count;
    while (i < count && (rc = verify_function(loaded, i, loading, error)) == 0)
        i++;
    if (rc == 0 && loading->hazards != VTA_HAZARDS_OFF)
        for (i = 0; i < count && (rc = find_hazards(&loaded->functions[i], loading, error)) == 0;)
            i++;
    if (rc != 0)
        vta_error_prefix(error, "%s", loaded->image.kernels[i].name);
    return rc;
}

static int admit(const struct vta_loaded_set *set, uint64_t nbytes, struct vta_error *error)
{
    if (nbytes <= set->bytes_limit && set->bytes <= set->bytes_limit - nbytes)
        return 0;
    return vta_error_limit(error, VTA_ELIMIT, (int64_t)set->bytes_limit,
                           (int64_t)(set->bytes + nbytes),
                           "%" PRIu64 " bytes more than the %" PRIu64
                           " of loaded modules would pass upload_bytes, %" PRIu64,
                           nbytes, set->bytes, set->bytes_limit);
}

int vta_loaded_add(struct vta_loaded_set *set, const char *name, const uint8_t *bytes,
                   size_t nbytes, const struct vta_loading *loading, struct vta_loaded **result,
                   struct vta_error *error)
{
    struct vta_loaded *loaded = calloc(1, sizeof *loaded);
    int rc;
    if (loaded == NULL || (loaded->name = strdup(name)) == NULL) {
        rc = vta_error_set(error, VTA_ENOMEM, "no memory to load it");
        goto fail;
    }
    loaded->nbytes = nbytes;
    rc = admit(set, nbytes, error);
    if (rc == 0)
        rc = vta_module_decode(&loaded->image, bytes, nbytes, loading->limits, error);
    if (rc == 0)
        rc = verify_all(loaded, loading, error);
    if (rc == 0)
        rc = vta_handles_add(&set->modules, loaded, &loaded->handle, error);
    if (rc != 0)
        goto fail;
    set->bytes += nbytes;
    *result = loaded;
    return 0;
fail:
    loaded_free(loaded);
    vta_error_prefix(error, "%s", name);
    return rc;
}

int vta_loaded_remove(struct vta_loaded_set *set, vta_handle handle, struct vta_error *error)
{
    struct vta_loaded *loaded = vta_handles_remove(&set->modules, handle, error);
    if (loaded == NULL)
        return VTA_EHANDLE;
    for (uint32_t i = 0; i < loaded->image.kernel_count; i++)
        if (loaded->functions[i].handle != 0)
            vta_handles_remove(&set->functions, loaded->functions[i].handle, NULL);
    set->bytes -= loaded->nbytes;
    loaded_free(loaded);
    return 0;
}

#define SUGGEST_MAX 256 /* functions among which a near name is looked for */

static int no_function(const struct vta_loaded *loaded, const char *name, struct vta_error *error)
{
    const char *names[SUGGEST_MAX];
    uint32_t count = loaded->image.kernel_count;
    if (count > SUGGEST_MAX)
        count = SUGGEST_MAX;
    for (uint32_t i = 0; i < count; i++)
        names[i] = loaded->image.kernels[i].name;
    const char *near = vta_suggest(name, names, count);
    return vta_error_set(error, VTA_ENOTFOUND, "%s: no function '%s'%s%s%s", loaded->name, name,
                         near != NULL ? ": did you mean '" : "", near != NULL ? near : "",
                         near != NULL ? "'?" : "");
}

int vta_loaded_function(struct vta_loaded_set *set, vta_handle module, const char *name,
                        struct vta_loaded_function **result, struct vta_error *error)
{
    struct vta_loaded *loaded = vta_handles_get(&set->modules, module, error);
    if (loaded == NULL)
        return VTA_EHANDLE;
    const struct vta_kernel *kernel = vta_module_image_find(&loaded->image, name);
    if (kernel == NULL)
        return no_function(loaded, name, error);
    struct vta_loaded_function *function = &loaded->functions[kernel - loaded->image.kernels];
    if (function->handle == 0) {
        int rc = vta_handles_add(&set->functions, function, &function->handle, error);
        if (rc != 0)
            return rc;
    }
    *result = function;
    return 0;
}
