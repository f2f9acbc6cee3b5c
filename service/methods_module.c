/* methods_module.c: modules that are there: what they are, their bytes, loading and unloading. */
#include "catalogue.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int vta_do_module_stat(struct vta_request *request)
{
    char name[VTA_NAME_MAX + 1];
    struct vta_catalogue_entry entry;
    int rc = vta_arg_module_name(request, 0, name);
    if (rc == 0)
        rc = vta_catalogue_stat(request, name, &entry);
    if (rc == 0)
        vta_catalogue_pack(request, name, &entry, true);
    return rc;
}

int vta_do_module_download(struct vta_request *request)
{
    char name[VTA_NAME_MAX + 1];
    uint64_t offset = 0, length = UINT64_MAX;
    const uint8_t *bytes;
    int rc = vta_arg_module_name(request, 0, name);
    if (rc == 0 && request->count == 2)
        return vta_error_set(request->error, VTA_EINVAL, "takes 1 or 3 params, got 2");
    if (rc == 0 && request->count == 3)
        rc = vta_arg_uint(request, 1, INT64_MAX, &offset);
    if (rc == 0 && request->count == 3)
        rc = vta_arg_uint(request, 2, INT64_MAX, &length);
    if (rc == 0)
        rc = vta_catalogue_bytes(request, name, offset, request->service->options.max_read_bytes,
                                 &bytes, &length);
    if (rc == 0)
        vta_result_bulk(request, bytes, length);
    return rc;
}

/* ---- module.list --------------------------------------------------------------------------- */

#define STEPS_PER_FILE 4096 /* as core/control.h counts them, of reading one of the store */

struct name_list {
    char **names; /* owned, with what it points to */
    size_t count, capacity;
};

/* Adds a copy; a vta_store_each callback. Only memory can be missing. */
static int add_name(void *context, const char *name)
{
    struct name_list *list = context;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        char **names = realloc(list->names, capacity * sizeof *names);
        if (names == NULL)
            return VTA_ENOMEM;
        list->names = names;
        list->capacity = capacity;
    }
    if ((list->names[list->count] = strdup(name)) == NULL)
        return VTA_ENOMEM;
    list->count++;
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of the session's modules and the store's, sorted, each once. */
static int collect_names(struct vta_request *request, struct name_list *list)
{
    const struct vta_shelf *shelf = &request->service->shelf;
    int rc = 0;
    for (uint32_t i = 0; i < shelf->count && rc == 0; i++)
        rc = add_name(list, shelf->modules[i].name);
    if (rc == 0 && request->service->options.store != NULL) {
        struct vta_store store = vta_catalogue_store(request->service);
        rc = vta_store_each(&store, add_name, list, request->error);
    }
    if (rc == VTA_ENOMEM)
        return vta_error_set(request->error, rc, "no memory for a list of modules");
    if (rc != 0 || list->count == 0)
        return rc;
    qsort(list->names, list->count, sizeof *list->names, compare_names);
    size_t kept = 1;
    for (size_t i = 1; i < list->count; i++) {
        if (strcmp(list->names[i], list->names[kept - 1]) == 0)
            free(list->names[i]);
        else
            list->names[kept++] = list->names[i];
    }
    list->count = kept;
    return 0;
}

int vta_do_module_list(struct vta_request *request)
{
    struct name_list list = { 0 };
    struct vta_catalogue_entry *entries = NULL;
    uint32_t found = 0;
    int rc = collect_names(request, &list);
    if (rc == 0 && (entries = calloc(list.count + 1, sizeof *entries)) == NULL)
        rc = vta_error_set(request->error, VTA_ENOMEM, "no memory for a list of modules");
    for (size_t i = 0; i < list.count && rc == 0; i++) {
        rc = vta_control_step(&request->service->control, STEPS_PER_FILE);
        if (rc != 0) {
            vta_control_error(&request->service->control, rc, request->error, "%zu of %zu modules",
                              i, list.count);
            break;
        }
        rc = vta_catalogue_stat(request, list.names[i], &entries[found]);
        if (rc != 0 && rc != VTA_ENOMEM) { /* removed meanwhile, or its file cannot be read */
            list.names[i][0] = '\0';
            rc = 0;
        } else {
            found++;
        }
    }
    if (rc == 0) {
        msgpack_pack_array(request->packer, found);
        found = 0;
        for (size_t i = 0; i < list.count; i++)
            if (list.names[i][0] != '\0')
                vta_catalogue_pack(request, list.names[i], &entries[found++], true);
    }
    for (size_t i = 0; i < list.count; i++)
        free(list.names[i]);
    free(list.names);
    free(entries);
    return rc;
}

/* ---- Removing ------------------------------------------------------------------------------ */

/* A module that the session keeps for itself is removed from the session only: the store may have
 * another of its name. One that its upload stored goes from both. */
int vta_do_module_remove(struct vta_request *request)
{
    struct vta_service *service = request->service;
    char name[VTA_NAME_MAX + 1];
    int rc = vta_arg_module_name(request, 0, name);
    if (rc != 0)
        return rc;
    const struct vta_shelf_module *module = vta_shelf_find(&service->shelf, name);
    bool own = module != NULL;
    bool stored = service->options.store != NULL && (!own || module->stored);
    if (!own && !stored)
        return vta_error_set(request->error, VTA_ENOTFOUND, "no module '%s'", name);
    if (stored) {
        struct vta_store store = vta_catalogue_store(service);
        rc = vta_store_remove(&store, name, request->error);
        if (rc != 0 && !(own && rc == VTA_ENOTFOUND))
            return rc;
    }
    vta_shelf_remove(&service->shelf, name);
    vta_result_nil(request);
    return 0;
}

/* ---- module.load --------------------------------------------------------------------------- */

#define FINDINGS_MAX 64u /* hazards that one answer lists */

static void pack_insn(struct vta_request *request, const char *key, uint32_t insn)
{
    if (insn != VTA_HAZARD_NO_INSN) {
        vta_result_uint(request, key, insn);
    } else {
        vta_result_key(request, key);
        msgpack_pack_nil(request->packer);
    }
}

static void pack_hazard(struct vta_request *request, const struct vta_loaded_function *function,
                        const struct vta_hazard *hazard)
{
    const bool somewhere = hazard->extent.count != 0;
    char text[VTA_HAZARD_TEXT];
    vta_hazard_print(function->program, hazard, text, sizeof text);
    vta_result_map(request, somewhere ? 10 : 6);
    vta_result_text(request, "function", function->kernel->name);
    vta_result_text(request, "kind", vta_hazard_name(hazard->kind));
    vta_result_bool(request, "warning", vta_hazard_is_warning(hazard->kind));
    pack_insn(request, "insn", hazard->first);
    pack_insn(request, "other", hazard->second);
    vta_result_text(request, "message", text);
    if (!somewhere)
        return;
    vta_result_text(request, "memory",
                    hazard->memory == VTA_HAZARD_DRAM
                        ? "DRAM"
                        : vta_memory_name((enum vta_memory)hazard->memory));
    vta_result_uint(request, "begin", hazard->extent.begin);
    vta_result_uint(request, "end", hazard->extent.end);
    vta_result_uint(request, "count", hazard->extent.count);
}

/* What loading found: how much in all, and the first of it. */
static void pack_hazards(struct vta_request *request, const struct vta_loaded *loaded)
{
    uint64_t found = 0, listed = 0;
    for (uint32_t i = 0; i < loaded->image.kernel_count; i++) {
        const struct vta_hazards *hazards = loaded->functions[i].program->hazards;
        if (hazards == NULL)
            continue;
        found += vta_hazards_count(hazards) + vta_hazards_warnings(hazards);
        listed += hazards->count;
    }
    vta_result_uint(request, "hazards_found", found);
    vta_result_key(request, "hazards");
    uint64_t room = listed < FINDINGS_MAX ? listed : FINDINGS_MAX;
    msgpack_pack_array(request->packer, room);
    for (uint32_t i = 0; i < loaded->image.kernel_count; i++) {
        const struct vta_loaded_function *function = &loaded->functions[i];
        const struct vta_hazards *hazards = function->program->hazards;
        for (uint32_t k = 0; hazards != NULL && k < hazards->count && room > 0; k++, room--)
            pack_hazard(request, function, &hazards->items[k]);
    }
}

int vta_do_module_load(struct vta_request *request)
{
    struct vta_service *service = request->service;
    const struct vta_service_options *options = &service->options;
    char name[VTA_NAME_MAX + 1];
    const uint8_t *bytes;
    uint64_t nbytes = UINT64_MAX;
    struct vta_loaded *loaded;
    int rc = vta_arg_module_name(request, 0, name);
    if (rc == 0)
        rc = vta_catalogue_bytes(request, name, 0, UINT64_MAX, &bytes, &nbytes);
    if (rc != 0)
        return rc;
    const struct vta_loading loading = { .limits = &options->module,
                                         .hw = vta_board_hw(service->board),
                                         .max_work = options->board.max_work,
                                         .hazards = options->board.hazards.policy,
                                         .strict_board = options->board.hazards.strict_board,
                                         .control = &service->control };
    rc = vta_loaded_add(&service->loaded, name, bytes, nbytes, &loading, &loaded, request->error);
    if (rc == 0 && (rc = vta_call_end(service)) != 0) {
        vta_loaded_remove(&service->loaded, loaded->handle, NULL);
        vta_control_error(&service->control, rc, request->error, "%s", name);
    }
    free(service->scratch);
    service->scratch = NULL;
    if (rc != 0) {
        request->named = true;
        return rc;
    }
    vta_result_map(request, 4);
    vta_result_uint(request, "module", loaded->handle);
    vta_result_key(request, "functions");
    msgpack_pack_array(request->packer, loaded->image.kernel_count);
    for (uint32_t i = 0; i < loaded->image.kernel_count; i++)
        vta_pack_str(request->packer, loaded->image.kernels[i].name);
    pack_hazards(request, loaded);
    return 0;
}

int vta_do_module_unload(struct vta_request *request)
{
    vta_handle handle;
    int rc = vta_arg_handle(request, 0, &handle);
    if (rc == 0)
        rc = vta_loaded_remove(&request->service->loaded, handle, request->error);
    if (rc == 0)
        vta_result_nil(request);
    return rc;
}
