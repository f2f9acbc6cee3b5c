/* board.c: what is asked of a session's board as a whole: information, configuration, counters.
 */
#include "session.h"

#include <stdlib.h>
#include <string.h>

/* ---- Information --------------------------------------------------------------------------- */

static int read_hardware(const msgpack_object *map, struct vta_hw *hw, struct vta_error *error)
{
    const struct vta_hw_key *keys = vta_hw_keys();
    char target[32];
    int rc;

    memset(hw, 0, sizeof *hw);
    for (size_t i = 0; i < VTA_HW_KEY_COUNT; i++) {
        uint64_t value;
        rc =
            vta_get_uint(vta_result_get(map, keys[i].name), UINT8_MAX, &value, keys[i].name, error);
        if (rc != 0)
            return rc;
        *((uint8_t *)hw + keys[i].offset) = (uint8_t)value;
    }
    rc = vta_get_text(vta_result_get(map, "HW_VER"), hw->hw_ver, sizeof hw->hw_ver - 1, "HW_VER",
                      error);
    if (rc == 0)
        rc =
            vta_get_text(vta_result_get(map, "TARGET"), target, sizeof target - 1, "TARGET", error);
    if (rc != 0)
        return rc;
    hw->target = VTA_TARGET_COUNT;
    for (int i = 0; i < VTA_TARGET_COUNT; i++)
        if (strcmp(target, vta_target_name((enum vta_target)i)) == 0)
            hw->target = (enum vta_target)i;
    if (hw->target == VTA_TARGET_COUNT)
        return vta_error_set(error, VTA_ECONFIG, "TARGET is \"%s\", which is not known here",
                             target);
    return vta_hw_derive(hw, error);
}

static int read_number(const msgpack_object *map, const char *key, uint64_t *value,
                       struct vta_error *error)
{
    return vta_get_uint(vta_result_get(map, key), UINT64_MAX, value, key, error);
}

static int read_small(const msgpack_object *map, const char *key, uint32_t *value,
                      struct vta_error *error)
{
    uint64_t wide;
    int rc = vta_get_uint(vta_result_get(map, key), UINT32_MAX, &wide, key, error);

    if (rc == 0)
        *value = (uint32_t)wide;
    return rc;
}

static int read_info(const msgpack_object *hello, struct vta_server_info *info,
                     struct vta_error *error)
{
    const msgpack_object *limits = vta_result_get(hello, "limits");
    int rc;

    memset(info, 0, sizeof *info);
    if ((rc = vta_get_text(vta_result_get(hello, "server"), info->server, sizeof info->server - 1,
                           "server", error)) != 0 ||
        (rc = vta_get_text(vta_result_get(hello, "device"), info->device, sizeof info->device - 1,
                           "device", error)) != 0 ||
        (rc = vta_get_text(vta_result_get(hello, "bitstream"), info->bitstream,
                           sizeof info->bitstream - 1, "bitstream", error)) != 0 ||
        (rc = read_small(hello, "protocol", &info->protocol, error)) != 0 ||
        (rc = read_small(hello, "module_format", &info->module_format, error)) != 0 ||
        (rc = read_hardware(vta_result_get(hello, "hardware"), &info->hw, error)) != 0 ||
        (rc = read_number(limits, "message_bytes", &info->message_bytes, error)) != 0 ||
        (rc = read_number(limits, "dram_bytes", &info->dram_bytes, error)) != 0 ||
        (rc = read_number(limits, "upload_bytes", &info->upload_bytes, error)) != 0 ||
        (rc = read_number(limits, "read_bytes", &info->read_bytes, error)) != 0 ||
        (rc = read_small(limits, "modules", &info->modules, error)) != 0 ||
        (rc = read_small(limits, "buffers", &info->buffers, error)) != 0)
        return rc;
    return read_small(limits, "run_deadline_ms", &info->run_deadline_ms, error);
}

int vta_server_info(struct vta_session *session, struct vta_server_info *info,
                    struct vta_error *error)
{
    const msgpack_object *hello;
    struct vta_error reason;

    msgpack_packer *packer = vta_request_begin(session, "hello", 1);
    vta_pack_str(packer, "libvta-client " VTAD_VERSION);
    int rc = vta_request_call(session, VTA_PROMPT, NULL, &hello, error);
    if (rc != 0)
        return rc;
    if (read_info(hello, info, &reason) != 0)
        return vta_session_bad_result(session, "hello", &reason, error);
    return 0;
}

/* ---- Configuration ------------------------------------------------------------------------- */

int vta_program_fpga(struct vta_session *session, const char *bitstream, struct vta_error *error)
{
    vta_pack_str(vta_request_begin(session, "board.program", 1), bitstream);
    return vta_request_call(session, VTA_PROMPT, NULL, NULL, error);
}

int vta_reconfig_runtime(struct vta_session *session, const struct vta_hw *hw,
                         struct vta_error *error)
{
    char *json = vta_hw_to_json(hw);

    if (json == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a configuration");
    vta_pack_str(vta_request_begin(session, "board.reconfigure", 1), json);
    free(json);
    return vta_request_call(session, VTA_PROMPT, NULL, NULL, error);
}

int vta_skip_execution(struct vta_session *session, bool skip, struct vta_error *error)
{
    msgpack_packer *packer = vta_request_begin(session, "board.skip_execution", 1);

    if (skip)
        msgpack_pack_true(packer);
    else
        msgpack_pack_false(packer);
    return vta_request_call(session, VTA_PROMPT, NULL, NULL, error);
}

/* ---- Timing -------------------------------------------------------------------------------- */

static int read_choice(const msgpack_object *map, struct vta_timing_choice *choice,
                       struct vta_error *error)
{
    const msgpack_object *profile = vta_result_get(map, "profile");
    char clock[16];
    int rc = 0;
    choice->profile[0] = choice->board[0] = '\0';
    if (profile->type != MSGPACK_OBJECT_NIL)
        rc = vta_get_text(profile, choice->profile, sizeof choice->profile - 1, "profile", error);
    if (rc == 0 && profile->type != MSGPACK_OBJECT_NIL) /* there is a board to describe */
        rc = vta_get_text(vta_result_get(map, "board"), choice->board, sizeof choice->board - 1,
                          "board", error);
    if (rc == 0)
        rc = vta_get_bool(vta_result_get(map, "measured"), &choice->measured, "measured", error);
    if (rc == 0)
        rc = vta_get_text(vta_result_get(map, "clock"), clock, sizeof clock - 1, "clock", error);
    choice->board_clock = rc == 0 && strcmp(clock, "board") == 0;
    return rc;
}

static void pack_text_or_nil(msgpack_packer *packer, const char *text)
{
    if (text != NULL)
        vta_pack_str(packer, text);
    else
        msgpack_pack_nil(packer);
}

int vta_select_timing(struct vta_session *session, const char *profile, const char *clock,
                      struct vta_timing_choice *choice, struct vta_error *error)
{
    const msgpack_object *result;
    struct vta_timing_choice ignored;
    struct vta_error reason;
    msgpack_packer *packer = vta_request_begin(session, "board.timing", 2);
    pack_text_or_nil(packer, profile);
    pack_text_or_nil(packer, clock);
    int rc = vta_request_call(session, VTA_PROMPT, NULL, &result, error);
    if (rc == 0 && read_choice(result, choice != NULL ? choice : &ignored, &reason) != 0)
        return vta_session_bad_result(session, "board.timing", &reason, error);
    return rc;
}

/* ---- Counters ------------------------------------------------------------------------------ */

int vta_get_counters(struct vta_session *session, struct vta_counters *counters,
                     struct vta_error *error)
{
    const msgpack_object *result;
    struct vta_error reason;

    vta_request_begin(session, "counters.get", 0);
    int rc = vta_request_call(session, VTA_PROMPT, NULL, &result, error);
    if (rc == 0 && vta_get_counter_map(result, counters, "counters", &reason) != 0)
        return vta_session_bad_result(session, "counters.get", &reason, error);
    return rc;
}

int vta_clear_counters(struct vta_session *session, struct vta_error *error)
{
    vta_request_begin(session, "counters.clear", 0);
    return vta_request_call(session, VTA_PROMPT, NULL, NULL, error);
}
