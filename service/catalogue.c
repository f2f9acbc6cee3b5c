/* catalogue.c: one view of the session's modules and the store's; see catalogue.h. */
#include "catalogue.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct vta_store vta_catalogue_store(const struct vta_service *service)
{
    const struct vta_service_options *options = &service->options;
    return (struct vta_store){ .path = options->store,
                               .max_modules = options->max_store_modules,
                               .max_bytes = options->max_store_bytes,
                               .max_module_bytes = options->module.file_bytes };
}

static int no_module(struct vta_request *request, const char *name)
{
    return vta_error_set(request->error, VTA_ENOTFOUND, "no module '%s'", name);
}

static int shelf_bytes(struct vta_request *request, const struct vta_shelf_module *module,
                       uint64_t offset, uint64_t max, const uint8_t **bytes, uint64_t *nbytes)
{
    uint64_t want = *nbytes;
    if (offset <= module->nbytes && want == UINT64_MAX)
        want = module->nbytes - offset;
    if (offset > module->nbytes || want > module->nbytes - offset)
        return vta_error_set(request->error, VTA_ERANGE,
                             "'%s' has %" PRIu64 " bytes, not %" PRIu64 " at offset %" PRIu64,
                             module->name, module->nbytes, want, offset);
    if (want > max)
        return vta_error_limit(request->error, VTA_ELIMIT, (int64_t)max, (int64_t)want,
                               "'%s': %" PRIu64
                               " bytes at once pass the limit (read_bytes), %" PRIu64
                               "; ask for parts",
                               module->name, want, max);
    *bytes = module->bytes + offset;
    *nbytes = want;
    return 0;
}

int vta_catalogue_bytes(struct vta_request *request, const char *name, uint64_t offset,
                        uint64_t max, const uint8_t **bytes, uint64_t *nbytes)
{
    struct vta_service *service = request->service;
    const struct vta_shelf_module *module = vta_shelf_find(&service->shelf, name);
    if (module != NULL)
        return shelf_bytes(request, module, offset, max, bytes, nbytes);
    if (service->options.store == NULL)
        return no_module(request, name);
    struct vta_store store = vta_catalogue_store(service);
    free(service->scratch);
    service->scratch = NULL;
    int rc = vta_store_read(&store, name, offset, max, &service->scratch, nbytes, request->error);
    *bytes = service->scratch;
    return rc;
}

int vta_catalogue_stat(struct vta_request *request, const char *name,
                       struct vta_catalogue_entry *entry)
{
    const struct vta_shelf_module *module = vta_shelf_find(&request->service->shelf, name);
    struct vta_store store = vta_catalogue_store(request->service);
    uint64_t nbytes = UINT64_MAX;
    uint8_t *bytes;
    if (module != NULL) {
        entry->nbytes = module->nbytes;
        memcpy(entry->digest, module->digest, sizeof entry->digest);
        entry->stored = store.path != NULL && vta_store_size(&store, name, &nbytes, NULL) == 0;
        return 0;
    }
    if (store.path == NULL)
        return no_module(request, name);
    int rc = vta_store_read(&store, name, 0, UINT64_MAX, &bytes, &nbytes, request->error);
    if (rc != 0)
        return rc;
    entry->nbytes = nbytes;
    entry->stored = true;
    vta_digest(bytes, nbytes, entry->digest);
    free(bytes);
    return 0;
}

void vta_catalogue_pack(struct vta_request *request, const char *name,
                        const struct vta_catalogue_entry *entry, bool with_stored)
{
    static const char digits[] = "0123456789abcdef";
    char hex[2 * VTA_DIGEST_BYTES + 1];
    for (int i = 0; i < VTA_DIGEST_BYTES; i++) {
        hex[2 * i] = digits[entry->digest[i] >> 4];
        hex[2 * i + 1] = digits[entry->digest[i] & 15];
    }
    hex[2 * VTA_DIGEST_BYTES] = '\0';
    vta_result_map(request, with_stored ? 4 : 3);
    vta_result_text(request, "name", name);
    vta_result_uint(request, "bytes", entry->nbytes);
    vta_result_text(request, "digest", hex);
    if (with_stored)
        vta_result_bool(request, "stored", entry->stored);
}
