/* shelf.c: module files by name, and uploads in progress; see shelf.h. */
#include "shelf.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void vta_shelf_init(struct vta_shelf *shelf, uint32_t limit, uint64_t bytes_limit)
{
    memset(shelf, 0, sizeof *shelf);
    shelf->limit = limit;
    shelf->bytes_limit = bytes_limit;
    vta_handles_init(&shelf->uploads, VTA_HANDLE_UPLOAD, limit);
}

static void module_clear(struct vta_shelf_module *module)
{
    free(module->name);
    free(module->bytes);
}

static void upload_free(struct vta_upload *upload)
{
    free(upload->name);
    free(upload->bytes);
    free(upload);
}

void vta_shelf_clear(struct vta_shelf *shelf)
{
    for (uint32_t i = 0; i < shelf->count; i++)
        module_clear(&shelf->modules[i]);
    free(shelf->modules);

    uint32_t index = 0;
    vta_handle handle;
    struct vta_upload *upload;
    while ((upload = vta_handles_next(&shelf->uploads, &index, &handle)) != NULL)
        upload_free(upload);
    vta_handles_clear(&shelf->uploads);
    memset(shelf, 0, sizeof *shelf);
}

/* ---- Modules ------------------------------------------------------------------------------- */

/* Index of the first module whose name is not less. */
static uint32_t lower_bound(const struct vta_shelf *shelf, const char *name)
{
    uint32_t low = 0, high = shelf->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (strcmp(shelf->modules[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct vta_shelf *shelf, uint32_t index, const char *name)
{
    return index < shelf->count && strcmp(shelf->modules[index].name, name) == 0;
}

const struct vta_shelf_module *vta_shelf_find(const struct vta_shelf *shelf, const char *name)
{
    uint32_t index = lower_bound(shelf, name);
    return is_at(shelf, index, name) ? &shelf->modules[index] : NULL;
}

int vta_shelf_admit(const struct vta_shelf *shelf, const char *name, uint64_t nbytes,
                    struct vta_error *error)
{
    if (nbytes <= shelf->bytes_limit && shelf->bytes <= shelf->bytes_limit - nbytes)
        return 0;
    uint64_t after = nbytes > UINT64_MAX - shelf->bytes ? UINT64_MAX : shelf->bytes + nbytes;
    return vta_error_limit(error, VTA_ELIMIT, (int64_t)shelf->bytes_limit,
                           after > INT64_MAX ? INT64_MAX : (int64_t)after,
                           "'%s': %" PRIu64 " bytes more than the %" PRIu64
                           " that the session holds would pass upload_bytes, %" PRIu64,
                           name, nbytes, shelf->bytes, shelf->bytes_limit);
}

int vta_shelf_reserve(struct vta_shelf *shelf, const char *name, struct vta_error *error)
{
    if (vta_shelf_find(shelf, name) != NULL || shelf->count < shelf->capacity)
        return 0;
    if (shelf->count >= shelf->limit)
        return vta_error_limit(error, VTA_ELIMIT, shelf->limit, (int64_t)shelf->count + 1,
                               "'%s': the session holds %" PRIu32 " modules, the limit (modules)",
                               name, shelf->count);
    uint32_t capacity = shelf->capacity == 0 ? 4 : shelf->capacity * 2;
    if (capacity > shelf->limit)
        capacity = shelf->limit;
    struct vta_shelf_module *modules = realloc(shelf->modules, capacity * sizeof *modules);
    if (modules == NULL)
        return vta_error_set(error, VTA_ENOMEM, "'%s': no memory for its entry", name);
    shelf->modules = modules;
    shelf->capacity = capacity;
    return 0;
}

void vta_shelf_put(struct vta_shelf *shelf, struct vta_shelf_module *module)
{
    uint32_t index = lower_bound(shelf, module->name);
    struct vta_shelf_module *place = &shelf->modules[index];
    if (is_at(shelf, index, module->name)) {
        shelf->bytes -= place->nbytes;
        module_clear(place);
    } else {
        memmove(place + 1, place, (shelf->count - index) * sizeof *place);
        shelf->count++;
    }
    *place = *module;
    shelf->bytes += module->nbytes;
    memset(module, 0, sizeof *module);
}

bool vta_shelf_remove(struct vta_shelf *shelf, const char *name)
{
    uint32_t index = lower_bound(shelf, name);
    if (!is_at(shelf, index, name))
        return false;
    struct vta_shelf_module *place = &shelf->modules[index];
    shelf->bytes -= place->nbytes;
    module_clear(place);
    shelf->count--;
    memmove(place, place + 1, (shelf->count - index) * sizeof *place);
    return true;
}

/* ---- Uploads in progress ------------------------------------------------------------------- */

int vta_upload_begin(struct vta_shelf *shelf, const char *name, uint64_t total, bool store,
                     vta_handle *handle, struct vta_error *error)
{
    int rc = vta_shelf_admit(shelf, name, total, error);
    if (rc != 0)
        return rc;
    struct vta_upload *upload = calloc(1, sizeof *upload);
    if (upload == NULL || (upload->name = strdup(name)) == NULL) {
        rc = vta_error_set(error, VTA_ENOMEM, "'%s': no memory for an upload", name);
        goto fail;
    }
    upload->total = total;
    upload->store = store;
    rc = vta_handles_add(&shelf->uploads, upload, handle, error);
    if (rc != 0) {
        vta_error_prefix(error, "'%s'", name);
        goto fail;
    }
    return 0;
fail:
    if (upload != NULL)
        upload_free(upload);
    return rc;
}

/* Room for nbytes more, at least doubling, never past the announced total. */
static int upload_grow(struct vta_upload *upload, uint64_t nbytes, struct vta_error *error)
{
    uint64_t need = upload->arrived + nbytes;
    if (need <= upload->capacity)
        return 0;
    uint64_t capacity = upload->capacity > upload->total / 2 ? upload->total : upload->capacity * 2;
    if (capacity < need)
        capacity = need;
    uint8_t *bytes = realloc(upload->bytes, capacity);
    if (bytes == NULL)
        return vta_error_set(error, VTA_ENOMEM, "'%s': no memory for %" PRIu64 " bytes",
                             upload->name, capacity);
    upload->bytes = bytes;
    upload->capacity = capacity;
    return 0;
}

int vta_upload_chunk(struct vta_shelf *shelf, vta_handle handle, uint64_t offset,
                     const uint8_t *bytes, uint64_t nbytes, struct vta_error *error)
{
    struct vta_upload *upload = vta_handles_get(&shelf->uploads, handle, error);
    if (upload == NULL)
        return VTA_EHANDLE;
    if (offset != upload->arrived)
        return vta_error_set(error, VTA_ERANGE,
                             "'%s': a chunk for offset %" PRIu64 ", but %" PRIu64
                             " bytes have arrived so far",
                             upload->name, offset, upload->arrived);
    if (nbytes > upload->total - upload->arrived)
        return vta_error_set(error, VTA_ERANGE,
                             "'%s': a chunk of %" PRIu64 " bytes at offset %" PRIu64
                             " passes the announced %" PRIu64,
                             upload->name, nbytes, offset, upload->total);
    int rc = vta_shelf_admit(shelf, upload->name, nbytes, error);
    if (rc == 0)
        rc = upload_grow(upload, nbytes, error);
    if (rc != 0)
        return rc;
    if (nbytes > 0)
        memcpy(upload->bytes + upload->arrived, bytes, nbytes);
    upload->arrived += nbytes;
    shelf->bytes += nbytes;
    return 0;
}

int vta_upload_take(struct vta_shelf *shelf, vta_handle handle, struct vta_upload *upload,
                    struct vta_error *error)
{
    struct vta_upload *found = vta_handles_get(&shelf->uploads, handle, error);
    if (found == NULL)
        return VTA_EHANDLE;
    if (found->arrived != found->total)
        return vta_error_set(error, VTA_ESIZE,
                             "'%s': %" PRIu64 " of the announced %" PRIu64 " bytes have arrived",
                             found->name, found->arrived, found->total);
    vta_handles_remove(&shelf->uploads, handle, NULL);
    shelf->bytes -= found->arrived;
    *upload = *found;
    free(found);
    return 0;
}

int vta_upload_abort(struct vta_shelf *shelf, vta_handle handle, struct vta_error *error)
{
    struct vta_upload *upload = vta_handles_remove(&shelf->uploads, handle, error);
    if (upload == NULL)
        return VTA_EHANDLE;
    shelf->bytes -= upload->arrived;
    upload_free(upload);
    return 0;
}
