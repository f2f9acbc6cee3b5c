/* array.c: arrays in the board's DRAM, and bytes to and from them. How a matrix is tiled is in
 * tiling.c.
 */
#include "array.h"

#include <inttypes.h>
#include <stdlib.h>

#define EXT_DEV 12 /* TVM's device type of an accelerator */

struct vta_device vta_ext_dev(struct vta_session *session, int device_id)
{
    return (struct vta_device){ session, EXT_DEV, device_id };
}

struct vta_ndarray *vta_ndarray_empty(struct vta_device device, const struct vta_tensor_type *type,
                                      struct vta_error *error)
{
    struct vta_session *session = device.session;
    const msgpack_object *result;
    struct vta_error reason;
    uint64_t nbytes, handle;

    if (device.device_type != EXT_DEV || device.device_id != 0) {
        vta_error_set(error, VTA_EINVAL, "device type %d id %d: a session has only ext_dev (%d) 0",
                      device.device_type, device.device_id, EXT_DEV);
        return NULL;
    }
    if (vta_tensor_nbytes(type, &nbytes, error) != 0)
        return NULL;
    msgpack_pack_uint64(vta_request_begin(session, "buffer.alloc", 1), nbytes);
    if (vta_request_call(session, VTA_PROMPT, NULL, &result, error) != 0)
        return NULL;
    if (vta_get_uint(result, UINT64_MAX, &handle, "result", &reason) != 0) {
        vta_session_bad_result(session, "buffer.alloc", &reason, error);
        return NULL;
    }
    struct vta_ndarray *array = calloc(1, sizeof *array);
    if (array == NULL) {
        vta_error_set(error, VTA_ENOMEM, "no memory for an array");
        return NULL;
    }
    *array = (struct vta_ndarray){ session, *type, nbytes, handle };
    vta_session_hold(session);
    return array;
}

struct vta_ndarray *vta_ndarray_from(struct vta_device device, const struct vta_tensor_type *type,
                                     const void *bytes, struct vta_error *error)
{
    struct vta_ndarray *array = vta_ndarray_empty(device, type, error);

    if (array != NULL && vta_ndarray_copy_from(array, bytes, array->nbytes, error) != 0) {
        vta_ndarray_free(array);
        array = NULL;
    }
    return array;
}

void vta_ndarray_free(struct vta_ndarray *array)
{
    if (array == NULL)
        return;
    if (array->session->open) {
        msgpack_pack_uint64(vta_request_begin(array->session, "buffer.free", 1), array->handle);
        vta_request_call(array->session, VTA_PATIENT, NULL, NULL, NULL);
    }
    vta_session_release(array->session);
    free(array);
}

const struct vta_tensor_type *vta_ndarray_type(const struct vta_ndarray *array)
{
    return &array->type;
}

uint64_t vta_ndarray_nbytes(const struct vta_ndarray *array)
{
    return array->nbytes;
}

/* ---- Bytes --------------------------------------------------------------------------------- */

static int check_size(const struct vta_ndarray *array, uint64_t nbytes, struct vta_error *error)
{
    int rc = vta_session_usable(array->session, error);

    if (rc == 0 && nbytes != array->nbytes)
        rc =
            vta_error_limit(error, VTA_ESIZE, (int64_t)array->nbytes, (int64_t)nbytes,
                            "the array has %" PRIu64 " bytes, not %" PRIu64, array->nbytes, nbytes);
    return rc;
}

int vta_ndarray_copy_from(struct vta_ndarray *array, const void *bytes, size_t nbytes,
                          struct vta_error *error)
{
    struct vta_bulk bulk = { .what = "write",
                             .method = "buffer.write",
                             .handle = array->handle,
                             .from = bytes,
                             .total = nbytes };
    int rc = check_size(array, nbytes, error);

    return rc != 0 ? rc : vta_bulk_move(array->session, &bulk, error);
}

int vta_ndarray_copy_to(struct vta_ndarray *array, void *bytes, size_t nbytes,
                        struct vta_error *error)
{
    struct vta_bulk bulk = { .what = "read",
                             .method = "buffer.read",
                             .handle = array->handle,
                             .into = bytes,
                             .total = nbytes };
    int rc = check_size(array, nbytes, error);

    return rc != 0 ? rc : vta_bulk_move(array->session, &bulk, error);
}

int vta_ndarray_copy(struct vta_ndarray *to, const struct vta_ndarray *from,
                     struct vta_error *error)
{
    int rc = check_size(to, from->nbytes, error);

    if (rc != 0)
        return rc;
    if (to->session != from->session)
        return vta_error_set(error, VTA_EINVAL, "the arrays are of different sessions");
    msgpack_packer *packer = vta_request_begin(to->session, "buffer.copy", 5);
    msgpack_pack_uint64(packer, to->handle);
    msgpack_pack_uint64(packer, 0);
    msgpack_pack_uint64(packer, from->handle);
    msgpack_pack_uint64(packer, 0);
    msgpack_pack_uint64(packer, from->nbytes);
    return vta_request_call(to->session, VTA_PATIENT, NULL, NULL, error);
}
