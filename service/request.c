/* request.c: reading params and packing results; see request.h. */
#include "request.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/suggest.h"

/* ---- Text ---------------------------------------------------------------------------------- */

/* Length of the UTF-8 character at bytes, or 0 where there is none or it is a control character. */
static size_t character(const unsigned char *bytes, size_t nbytes)
{
    static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
    unsigned char first = bytes[0];
    if (first < 0x80)
        return first >= 0x20 && first != 0x7f ? 1 : 0;
    size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || length > nbytes)
        return 0;
    uint32_t code = first & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (bytes[i] & 0x3fu);
    }
    bool valid = code >= least[length] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
    return valid && code >= 0xa0 ? length : 0;
}

void vta_printable(char *text, size_t size, const char *bytes, size_t nbytes)
{
    size_t used = 0;
    while (nbytes > 0) {
        size_t length = character((const unsigned char *)bytes, nbytes);
        size_t step = length > 0 ? length : 1;
        if (used + step >= size)
            break;
        memcpy(text + used, length > 0 ? bytes : "?", step);
        used += step;
        bytes += step;
        nbytes -= step;
    }
    text[used] = '\0';
}

bool vta_is_printable(const char *text)
{
    size_t nbytes = strlen(text);
    while (nbytes > 0) {
        size_t length = character((const unsigned char *)text, nbytes);
        if (length == 0)
            return false;
        text += length;
        nbytes -= length;
    }
    return true;
}

/* ---- Params -------------------------------------------------------------------------------- */

#define WHAT_MAX 32

/* "params[1]" */
static const char *place(char what[WHAT_MAX], uint32_t index)
{
    snprintf(what, WHAT_MAX, "params[%" PRIu32 "]", index);
    return what;
}

int vta_arg_uint(const struct vta_request *request, uint32_t index, uint64_t max, uint64_t *value)
{
    char what[WHAT_MAX];
    return vta_get_uint(&request->params[index], max, value, place(what, index), request->error);
}

int vta_arg_bool(const struct vta_request *request, uint32_t index, bool *value)
{
    char what[WHAT_MAX];
    return vta_get_bool(&request->params[index], value, place(what, index), request->error);
}

int vta_arg_bytes(const struct vta_request *request, uint32_t index, const uint8_t **bytes,
                  size_t *nbytes)
{
    char what[WHAT_MAX];
    return vta_get_bytes(&request->params[index], bytes, nbytes, place(what, index),
                         request->error);
}

int vta_arg_handle(const struct vta_request *request, uint32_t index, vta_handle *handle)
{
    return vta_arg_uint(request, index, INT64_MAX, handle);
}

int vta_arg_text(const struct vta_request *request, uint32_t index, char *name)
{
    char what[WHAT_MAX];
    int rc = vta_get_text(&request->params[index], name, VTA_NAME_MAX, place(what, index),
                          request->error);
    if (rc == 0 && !vta_is_printable(name))
        return vta_error_set(request->error, VTA_EINVAL,
                             "params[%" PRIu32 "]: expected UTF-8 without control characters",
                             index);
    return rc;
}

int vta_arg_module_name(const struct vta_request *request, uint32_t index, char *name)
{
    const msgpack_object *param = &request->params[index];
    int rc = vta_arg_text(request, index, name);
    if (rc != 0 && param->type == MSGPACK_OBJECT_STR)
        return vta_error_set(request->error, rc,
                             "params[%" PRIu32
                             "]: expected a module's name: UTF-8 of 1 to %d bytes "
                             "without control characters; this one has %" PRIu32 " bytes",
                             index, VTA_NAME_MAX, param->via.str.size);
    if (rc != 0)
        return rc;
    if (strchr(name, '/') != NULL || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return vta_error_set(request->error, VTA_EINVAL,
                             "params[%" PRIu32 "]: expected a module's name without '/', got '%s'",
                             index, name);
    return 0;
}

struct vta_dram *vta_request_dram(const struct vta_request *request, vta_handle handle)
{
    struct vta_service *service = request->service;
    if (vta_board_used(service->board))
        return vta_board_dram(service->board, request->error);
    vta_error_set(request->error, VTA_EHANDLE,
                  "buffer handle 0x%" PRIx64 ": the session has no buffers", handle);
    return NULL;
}

#define OPTIONS_MAX 8

static int unknown_option(const struct vta_request *request, const char *what,
                          const msgpack_object *key, const struct vta_option *options,
                          uint32_t count)
{
    const char *names[OPTIONS_MAX];
    char text[64] = "";
    if (key->type == MSGPACK_OBJECT_STR)
        vta_printable(text, sizeof text, key->via.str.ptr, key->via.str.size);
    for (uint32_t i = 0; i < count; i++)
        names[i] = options[i].name;
    const char *near = vta_suggest(text, names, count);
    if (near == NULL && count == 1)
        near = names[0];
    return vta_error_set(request->error, VTA_EINVAL, "%s: unknown option '%s'%s%s%s", what, text,
                         near != NULL ? ": did you mean '" : "", near != NULL ? near : "",
                         near != NULL ? "'?" : "");
}

static int read_option(const struct vta_request *request, const char *what,
                       const msgpack_object_kv *pair, const struct vta_option *options,
                       uint32_t count)
{
    const msgpack_object *key = &pair->key;
    const struct vta_option *option = NULL;
    for (uint32_t i = 0; i < count && key->type == MSGPACK_OBJECT_STR; i++)
        if (key->via.str.size == strlen(options[i].name) &&
            memcmp(key->via.str.ptr, options[i].name, key->via.str.size) == 0)
            option = &options[i];
    if (option == NULL)
        return unknown_option(request, what, key, options, count);

    char where[2 * WHAT_MAX];
    snprintf(where, sizeof where, "%s.%s", what, option->name);
    if (option->flag != NULL)
        return vta_get_bool(&pair->val, option->flag, where, request->error);
    uint64_t number;
    int rc = vta_get_uint(&pair->val, UINT32_MAX, &number, where, request->error);
    if (rc == 0)
        *option->number = (uint32_t)number;
    return rc;
}

int vta_arg_options(const struct vta_request *request, uint32_t index,
                    const struct vta_option *options, uint32_t count)
{
    char what[WHAT_MAX];
    if (index >= request->count)
        return 0;
    place(what, index);
    const msgpack_object *map = &request->params[index];
    if (map->type != MSGPACK_OBJECT_MAP)
        return vta_error_set(request->error, VTA_EINVAL, "%s: expected a map of options", what);
    int rc = 0;
    for (uint32_t i = 0; i < map->via.map.size && rc == 0; i++)
        rc = read_option(request, what, &map->via.map.ptr[i], options, count);
    return rc;
}

/* ---- Results ------------------------------------------------------------------------------- */

void vta_result_nil(struct vta_request *request)
{
    msgpack_pack_nil(request->packer);
}

void vta_result_map(struct vta_request *request, uint32_t pairs)
{
    msgpack_pack_map(request->packer, pairs);
}

void vta_result_key(struct vta_request *request, const char *key)
{
    vta_pack_str(request->packer, key);
}

void vta_result_text(struct vta_request *request, const char *key, const char *value)
{
    vta_result_key(request, key);
    vta_pack_str(request->packer, value);
}

void vta_result_uint(struct vta_request *request, const char *key, uint64_t value)
{
    vta_result_key(request, key);
    msgpack_pack_uint64(request->packer, value);
}

void vta_result_bool(struct vta_request *request, const char *key, bool value)
{
    vta_result_key(request, key);
    if (value)
        msgpack_pack_true(request->packer);
    else
        msgpack_pack_false(request->packer);
}

void vta_result_hardware(struct vta_request *request, const char *key, const struct vta_hw *hw)
{
    const struct vta_hw_key *keys = vta_hw_keys();
    vta_result_key(request, key);
    vta_result_map(request, 2 + VTA_HW_KEY_COUNT);
    vta_result_text(request, "TARGET", vta_target_name(hw->target));
    vta_result_text(request, "HW_VER", hw->hw_ver);
    for (int i = 0; i < VTA_HW_KEY_COUNT; i++)
        vta_result_uint(request, keys[i].name, *((const uint8_t *)hw + keys[i].offset));
}

void vta_result_bulk(struct vta_request *request, const uint8_t *bytes, uint64_t nbytes)
{
    msgpack_pack_bin(request->packer, (size_t)nbytes);
    request->reply->bulk = bytes;
    request->reply->bulk_bytes = nbytes;
}
