/* methods_upload.c: how a module file reaches the session (and the store): whole, or in chunks. */
#include "catalogue.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Whether the upload also goes to the store. */
static int arg_store(struct vta_request *request, uint32_t index, bool *store)
{
    bool has_store = request->service->options.store != NULL;
    struct vta_option options[] = { { .name = "store", .flag = store } };
    *store = has_store;
    int rc = vta_arg_options(request, index, options, 1);
    if (rc == 0 && *store && !has_store)
        return vta_error_set(request->error, VTA_EUNSUPPORTED,
                             "params[%" PRIu32 "].store: this server has no store", index);
    return rc;
}

static int check_file_bytes(struct vta_request *request, const char *name, uint64_t nbytes)
{
    uint64_t limit = request->service->options.module.file_bytes;
    if (nbytes <= limit)
        return 0;
    return vta_error_limit(request->error, VTA_ELIMIT, (int64_t)limit,
                           nbytes > INT64_MAX ? INT64_MAX : (int64_t)nbytes,
                           "'%s': %" PRIu64 " bytes pass the limit (module_bytes), %" PRIu64, name,
                           nbytes, limit);
}

/* Takes a complete file over: checks it, stores it where asked, and puts it on the shelf. *name
 * and *bytes are this function's from here on. */
static int accept_file(struct vta_request *request, char *name, uint8_t *bytes, uint64_t nbytes,
                       bool stored)
{
    struct vta_service *service = request->service;
    struct vta_shelf_module module = {
        .name = name, .bytes = bytes, .nbytes = nbytes, .stored = stored
    };
    struct vta_catalogue_entry entry = { .nbytes = nbytes, .stored = stored };
    struct vta_module_image image;
    int rc = vta_shelf_reserve(&service->shelf, name, request->error);
    if (rc != 0)
        goto fail;
    rc = vta_module_decode(&image, bytes, nbytes, &service->options.module, request->error);
    if (rc != 0) {
        vta_error_prefix(request->error, "%s", name);
        request->named = true;
        goto fail;
    }
    vta_module_image_clear(&image);
    if (stored) {
        struct vta_store store = vta_catalogue_store(service);
        rc = vta_store_put(&store, name, bytes, nbytes, request->error);
        if (rc != 0)
            goto fail;
    }
    vta_digest(bytes, nbytes, module.digest);
    memcpy(entry.digest, module.digest, sizeof entry.digest);
    vta_catalogue_pack(request, name, &entry, false);
    vta_shelf_put(&service->shelf, &module);
    return 0;
fail:
    free(name);
    free(bytes);
    return rc;
}

int vta_do_module_upload(struct vta_request *request)
{
    char name[VTA_NAME_MAX + 1];
    const uint8_t *bytes;
    size_t nbytes;
    bool store;
    int rc = vta_arg_module_name(request, 0, name);
    if (rc == 0)
        rc = vta_arg_bytes(request, 1, &bytes, &nbytes);
    if (rc == 0)
        rc = arg_store(request, 2, &store);
    if (rc == 0)
        rc = check_file_bytes(request, name, nbytes);
    if (rc == 0)
        rc = vta_shelf_admit(&request->service->shelf, name, nbytes, request->error);
    if (rc != 0)
        return rc;
    char *own_name = strdup(name);
    uint8_t *own_bytes = malloc(nbytes > 0 ? nbytes : 1);
    if (own_name == NULL || own_bytes == NULL) {
        free(own_name);
        free(own_bytes);
        return vta_error_set(request->error, VTA_ENOMEM, "'%s': no memory for %zu bytes", name,
                             nbytes);
    }
    if (nbytes > 0)
        memcpy(own_bytes, bytes, nbytes);
    return accept_file(request, own_name, own_bytes, nbytes, store);
}

int vta_do_module_upload_begin(struct vta_request *request)
{
    char name[VTA_NAME_MAX + 1];
    uint64_t total;
    bool store;
    vta_handle handle;
    int rc = vta_arg_module_name(request, 0, name);
    if (rc == 0)
        rc = vta_arg_uint(request, 1, UINT64_MAX, &total);
    if (rc == 0)
        rc = arg_store(request, 2, &store);
    if (rc == 0)
        rc = check_file_bytes(request, name, total);
    if (rc == 0)
        rc =
            vta_upload_begin(&request->service->shelf, name, total, store, &handle, request->error);
    if (rc == 0)
        msgpack_pack_uint64(request->packer, handle);
    return rc;
}

int vta_do_module_upload_chunk(struct vta_request *request)
{
    vta_handle handle;
    uint64_t offset;
    const uint8_t *bytes;
    size_t nbytes;
    int rc = vta_arg_handle(request, 0, &handle);
    if (rc == 0)
        rc = vta_arg_uint(request, 1, UINT64_MAX, &offset);
    if (rc == 0)
        rc = vta_arg_bytes(request, 2, &bytes, &nbytes);
    if (rc == 0)
        rc = vta_upload_chunk(&request->service->shelf, handle, offset, bytes, nbytes,
                              request->error);
    if (rc == 0)
        vta_result_nil(request);
    return rc;
}

int vta_do_module_upload_end(struct vta_request *request)
{
    struct vta_upload upload;
    vta_handle handle;
    int rc = vta_arg_handle(request, 0, &handle);
    if (rc == 0)
        rc = vta_upload_take(&request->service->shelf, handle, &upload, request->error);
    if (rc != 0)
        return rc;
    return accept_file(request, upload.name, upload.bytes, upload.total, upload.store);
}

int vta_do_module_upload_abort(struct vta_request *request)
{
    vta_handle handle;
    int rc = vta_arg_handle(request, 0, &handle);
    if (rc == 0)
        rc = vta_upload_abort(&request->service->shelf, handle, request->error);
    if (rc == 0)
        vta_result_nil(request);
    return rc;
}
