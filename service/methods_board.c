/* methods_board.c: what the board is, and its counters. */
#include "request.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEVICE_TYPE_EXT_DEV 12 /* TVM's kDLExtDev */

int vta_do_board_info(struct vta_request *request)
{
    struct vta_service *service = request->service;
    const struct vta_hw *hw = vta_board_hw(service->board);
    struct vta_device_info info;
    struct vta_dram_stats dram;
    char bitstream[VTA_BITSTREAM_NAME];

    vta_board_info(service->board, &info);
    vta_hw_bitstream(hw, bitstream);
    vta_board_memory(service->board, &dram);
    vta_result_map(request, 9);
    vta_result_text(request, "device", info.name);
    vta_result_text(request, "kernels", info.kernels);
    vta_result_hardware(request, "hardware", hw);
    vta_result_text(request, "bitstream", bitstream);
    vta_result_uint(request, "dram_bytes", service->options.board.dram_bytes);
    vta_result_uint(request, "dram_used", dram.used);
    vta_result_uint(request, "buffers", dram.allocations);
    vta_result_bool(request, "skip_execution", vta_board_skip(service->board));
    vta_result_bool(request, "used", vta_board_used(service->board));
    return 0;
}

/* What the board is now. */
static int result_configuration(struct vta_request *request)
{
    const struct vta_hw *hw = vta_board_hw(request->service->board);
    char bitstream[VTA_BITSTREAM_NAME];
    vta_hw_bitstream(hw, bitstream);
    vta_result_map(request, 2);
    vta_result_hardware(request, "hardware", hw);
    vta_result_text(request, "bitstream", bitstream);
    return 0;
}

int vta_do_board_program(struct vta_request *request)
{
    char name[VTA_NAME_MAX + 1];
    bool spelled;
    int rc = vta_arg_text(request, 0, name);
    if (rc == 0)
        rc = vta_board_program(request->service->board, name, &spelled, request->error);
    return rc != 0 ? rc : result_configuration(request);
}

/* One pair of a configuration map, as JSON has it. What the keys mean is vta_hw_read_json's. */
static int add_key(cJSON *json, const msgpack_object_kv *pair, struct vta_error *error)
{
    char key[64], what[96], text[64];
    int64_t number;
    int rc = vta_get_text(&pair->key, key, sizeof key - 1, "params[0]: a key", error);
    if (rc != 0)
        return rc;
    vta_printable(text, sizeof text, key, strlen(key));
    snprintf(what, sizeof what, "params[0].%s", text);
    if (pair->val.type == MSGPACK_OBJECT_STR) {
        rc = vta_get_text(&pair->val, text, sizeof text - 1, what, error);
        if (rc == 0 && cJSON_AddStringToObject(json, key, text) == NULL)
            rc = vta_error_set(error, VTA_ENOMEM, "%s: no memory", what);
        return rc;
    }
    rc = vta_get_int(&pair->val, INT32_MIN, INT32_MAX, &number, what, error);
    if (rc == 0 && cJSON_AddNumberToObject(json, key, (double)number) == NULL)
        rc = vta_error_set(error, VTA_ENOMEM, "%s: no memory", what);
    return rc;
}

static int hw_from_map(struct vta_hw *hw, const msgpack_object_map *map,
                       const struct vta_hw_warnings *warnings, struct vta_error *error)
{
    char *text = NULL;
    int rc = 0;
    cJSON *json = cJSON_CreateObject();
    if (json == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a configuration");
    if (map->size > 64)
        rc = vta_error_limit(error, VTA_EINVAL, 64, map->size,
                             "params[0]: a configuration of %" PRIu32 " keys, at most 64",
                             map->size);
    for (uint32_t i = 0; i < map->size && rc == 0; i++)
        rc = add_key(json, &map->ptr[i], error);
    if (rc == 0 && (text = cJSON_PrintUnformatted(json)) == NULL)
        rc = vta_error_set(error, VTA_ENOMEM, "no memory for a configuration");
    if (rc == 0)
        rc = vta_hw_read_json(hw, text, strlen(text), warnings, error);
    cJSON_free(text);
    cJSON_Delete(json);
    return rc;
}

#define CONFIG_TEXT_MAX 65536u

int vta_do_board_reconfigure(struct vta_request *request)
{
    const struct vta_hw_warnings *warnings = &request->service->options.warnings;
    const msgpack_object *config = &request->params[0];
    struct vta_hw hw;
    const uint8_t *text;
    size_t length;
    int rc;
    if (config->type == MSGPACK_OBJECT_MAP) {
        rc = hw_from_map(&hw, &config->via.map, warnings, request->error);
    } else if (config->type != MSGPACK_OBJECT_STR && config->type != MSGPACK_OBJECT_BIN) {
        rc = vta_error_set(request->error, VTA_EINVAL,
                           "params[0]: expected a map of vta_config.json's keys, or its text");
    } else {
        rc = vta_arg_bytes(request, 0, &text, &length);
        if (rc == 0 && length > CONFIG_TEXT_MAX)
            rc = vta_error_limit(request->error, VTA_EINVAL, CONFIG_TEXT_MAX, (int64_t)length,
                                 "params[0]: a configuration of %zu bytes, at most %u", length,
                                 CONFIG_TEXT_MAX);
        if (rc == 0)
            rc = vta_hw_read_json(&hw, (const char *)text, length, warnings, request->error);
    }
    if (rc == 0)
        rc = vta_board_reconfigure(request->service->board, &hw, request->error);
    return rc != 0 ? rc : result_configuration(request);
}

int vta_do_board_skip_execution(struct vta_request *request)
{
    bool skip;
    int rc = vta_arg_bool(request, 0, &skip);
    if (rc != 0)
        return rc;
    vta_board_set_skip(request->service->board, skip);
    vta_result_nil(request);
    return 0;
}

int vta_do_device_attributes(struct vta_request *request)
{
    struct vta_device_info info;
    vta_board_info(request->service->board, &info);
    vta_result_map(request, 6);
    vta_result_bool(request, "exist", true);
    vta_result_uint(request, "device_type", DEVICE_TYPE_EXT_DEV);
    vta_result_text(request, "name", info.name);
    vta_result_uint(request, "max_threads", 1);
    vta_result_uint(request, "dram_bytes", request->service->options.board.dram_bytes);
    vta_result_uint(request, "page_bytes", VTA_DRAM_PAGE);
    return 0;
}

int vta_do_counters_get(struct vta_request *request)
{
    struct vta_counters counters = vta_board_counters(request->service->board);
    vta_pack_counters(request->packer, &counters);
    return 0;
}

int vta_do_counters_clear(struct vta_request *request)
{
    vta_board_clear_counters(request->service->board);
    vta_result_nil(request);
    return 0;
}
