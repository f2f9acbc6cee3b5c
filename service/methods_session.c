/* methods_session.c: hello, ping, cancel. */
#include "request.h"

static void pack_limits(struct vta_request *request)
{
    const struct vta_service_options *options = &request->service->options;
    vta_result_key(request, "limits");
    vta_result_map(request, 12);
    vta_result_uint(request, "message_bytes", options->wire.message_bytes);
    vta_result_uint(request, "dram_bytes", options->board.dram_bytes);
    vta_result_uint(request, "modules", options->max_modules);
    vta_result_uint(request, "module_bytes", options->module.file_bytes);
    vta_result_uint(request, "upload_bytes", options->max_upload_bytes);
    vta_result_uint(request, "functions", options->max_functions);
    vta_result_uint(request, "buffers", options->max_buffers);
    vta_result_uint(request, "read_bytes", options->max_read_bytes);
    vta_result_uint(request, "run_deadline_ms", options->run_deadline_ms);
    vta_result_uint(request, "load_deadline_ms", options->load_deadline_ms);
    vta_result_uint(request, "evaluations", options->max_evaluations);
    vta_result_uint(request, "work", options->board.max_work);
}

int vta_do_hello(struct vta_request *request)
{
    const struct vta_service_options *options = &request->service->options;
    const struct vta_hw *hw = vta_board_hw(request->service->board);
    struct vta_device_info info;
    char bitstream[VTA_BITSTREAM_NAME], client[VTA_NAME_MAX + 1];

    if (request->count > 0) {
        int rc = vta_arg_text(request, 0, client);
        if (rc != 0)
            return rc;
    }
    vta_board_info(request->service->board, &info);
    vta_hw_bitstream(hw, bitstream);
    vta_result_map(request, 8);
    vta_result_text(request, "server", options->build);
    vta_result_uint(request, "protocol", 1);
    vta_result_uint(request, "module_format", VTA_MODULE_FORMAT);
    vta_result_text(request, "device", info.name);
    vta_result_hardware(request, "hardware", hw);
    vta_result_text(request, "bitstream", bitstream);
    vta_result_bool(request, "store", options->store != NULL);
    pack_limits(request);
    return 0;
}

int vta_do_ping(struct vta_request *request)
{
    if (request->count > 0)
        msgpack_pack_object(request->packer, request->params[0]);
    else
        vta_result_nil(request);
    return 0;
}

int vta_do_cancel(struct vta_request *request)
{
    if (vta_service_stop(request->service, VTA_ECANCELLED))
        msgpack_pack_true(request->packer);
    else
        msgpack_pack_false(request->packer);
    return 0;
}
