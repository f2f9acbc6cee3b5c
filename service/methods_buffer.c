/* methods_buffer.c: buffers in the board's DRAM. */
#include "request.h"

#include <inttypes.h>

int vta_do_buffer_alloc(struct vta_request *request)
{
    struct vta_service *service = request->service;
    struct vta_dram_stats stats;
    struct vta_dram *dram;
    uint64_t nbytes;
    vta_handle handle;
    int rc = vta_arg_uint(request, 0, UINT64_MAX, &nbytes);
    if (rc != 0)
        return rc;
    if ((dram = vta_board_dram(service->board, request->error)) == NULL)
        return request->error->code;
    vta_dram_stats(dram, &stats);
    if (stats.allocations >= service->options.max_buffers)
        return vta_error_limit(request->error, VTA_ELIMIT, service->options.max_buffers,
                               (int64_t)stats.allocations + 1,
                               "the session has %" PRIu32 " buffers, the limit (buffers)",
                               stats.allocations);
    rc = vta_dram_alloc(dram, nbytes, &handle, request->error);
    if (rc != 0)
        return rc;
    msgpack_pack_uint64(request->packer, handle);
    return 0;
}

int vta_do_buffer_free(struct vta_request *request)
{
    struct vta_dram *dram;
    vta_handle handle;
    int rc = vta_arg_handle(request, 0, &handle);
    if (rc != 0)
        return rc;
    if ((dram = vta_request_dram(request, handle)) == NULL)
        return request->error->code;
    rc = vta_dram_free(dram, handle, request->error);
    if (rc == 0)
        vta_result_nil(request);
    return rc;
}

int vta_do_buffer_write(struct vta_request *request)
{
    struct vta_dram *dram;
    vta_handle handle;
    uint64_t offset;
    const uint8_t *bytes;
    size_t nbytes;
    int rc = vta_arg_handle(request, 0, &handle);
    if (rc == 0)
        rc = vta_arg_uint(request, 1, UINT64_MAX, &offset);
    if (rc == 0)
        rc = vta_arg_bytes(request, 2, &bytes, &nbytes);
    if (rc != 0)
        return rc;
    if ((dram = vta_request_dram(request, handle)) == NULL)
        return request->error->code;
    rc = vta_dram_write(dram, handle, offset, bytes, nbytes, request->error);
    if (rc == 0)
        vta_result_nil(request);
    return rc;
}

int vta_do_buffer_read(struct vta_request *request)
{
    uint64_t max = request->service->options.max_read_bytes;
    struct vta_dram *dram;
    vta_handle handle;
    uint64_t offset, length;
    uint8_t *bytes;
    int rc = vta_arg_handle(request, 0, &handle);
    if (rc == 0)
        rc = vta_arg_uint(request, 1, UINT64_MAX, &offset);
    if (rc == 0)
        rc = vta_arg_uint(request, 2, UINT64_MAX, &length);
    if (rc != 0)
        return rc;
    if ((dram = vta_request_dram(request, handle)) == NULL)
        return request->error->code;
    rc = vta_dram_span(dram, handle, offset, length, &bytes, request->error);
    if (rc != 0)
        return rc;
    if (length > max)
        return vta_error_limit(request->error, VTA_ELIMIT, (int64_t)max, (int64_t)length,
                               "%" PRIu64 " bytes at once pass the limit (read_bytes), %" PRIu64
                               "; ask for parts",
                               length, max);
    vta_result_bulk(request, bytes, length);
    return 0;
}

int vta_do_buffer_copy(struct vta_request *request)
{
    struct vta_dram *dram;
    vta_handle to, from;
    uint64_t to_offset, from_offset, length;
    int rc = vta_arg_handle(request, 0, &to);
    if (rc == 0)
        rc = vta_arg_uint(request, 1, UINT64_MAX, &to_offset);
    if (rc == 0)
        rc = vta_arg_handle(request, 2, &from);
    if (rc == 0)
        rc = vta_arg_uint(request, 3, UINT64_MAX, &from_offset);
    if (rc == 0)
        rc = vta_arg_uint(request, 4, UINT64_MAX, &length);
    if (rc != 0)
        return rc;
    if ((dram = vta_request_dram(request, to)) == NULL)
        return request->error->code;
    rc = vta_dram_copy(dram, to, to_offset, from, from_offset, length, request->error);
    if (rc == 0)
        vta_result_nil(request);
    return rc;
}
