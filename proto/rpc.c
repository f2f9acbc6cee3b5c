/* rpc.c: the three MessagePack-RPC messages of rpc.h, and errors inside them. What a method or a
 * parameter means is not known here. */
#include "rpc.h"

#include <stdio.h>
#include <string.h>

/* ---- Decoding ------------------------------------------------------------------------------ */

/* Bytes → object. The scanner has seen them whole, so anything but success is a contradiction. */
static int unpack(msgpack_object *object, const uint8_t *bytes, size_t nbytes, msgpack_zone *zone,
                  struct vta_error *error)
{
    size_t offset = 0;
    msgpack_unpack_return rc = msgpack_unpack((const char *)bytes, nbytes, &offset, zone, object);

    if (rc == MSGPACK_UNPACK_NOMEM_ERROR)
        return vta_error_set(error, VTA_ENOMEM, "message: no memory for a message of %zu bytes",
                             nbytes);
    if (rc == MSGPACK_UNPACK_EXTRA_BYTES)
        return vta_error_set(error, VTA_EPROTO, "message: %zu bytes follow the value",
                             nbytes - offset);
    if (rc != MSGPACK_UNPACK_SUCCESS)
        return vta_error_set(error, VTA_EPROTO, "message: not a whole MessagePack value");
    return 0;
}

static int unexpected(const char *place, const char *expected, const msgpack_object *object,
                      struct vta_error *error)
{
    return vta_unexpected(object, VTA_EPROTO, place, expected, error);
}

static int read_msgid(struct vta_rpc_message *message, const msgpack_object *object,
                      struct vta_error *error)
{
    if (object->type != MSGPACK_OBJECT_POSITIVE_INTEGER || object->via.u64 > UINT32_MAX)
        return unexpected("msgid", "an integer from 0 to 4294967295", object, error);
    message->msgid = (uint32_t)object->via.u64;
    return 0;
}

static int read_method(struct vta_rpc_message *message, const msgpack_object *method,
                       const msgpack_object *params, struct vta_error *error)
{
    if (method->type != MSGPACK_OBJECT_STR || method->via.str.size == 0)
        return unexpected("method", "a name", method, error);
    if (params->type != MSGPACK_OBJECT_ARRAY)
        return unexpected("params", "an array", params, error);
    message->method = method->via.str.ptr;
    message->method_length = method->via.str.size;
    message->params = *params;
    return 0;
}

static int read_message(struct vta_rpc_message *message, const msgpack_object *whole,
                        struct vta_error *error)
{
    static const uint32_t entries[] = { 4, 4, 3 };
    static const char *const names[] = { "a request", "a response", "a notification" };
    const msgpack_object *entry = whole->via.array.ptr;
    uint64_t type;
    int rc;

    if (whole->type != MSGPACK_OBJECT_ARRAY || whole->via.array.size == 0)
        return unexpected("message", "an array of 3 or 4", whole, error);
    if (entry[0].type != MSGPACK_OBJECT_POSITIVE_INTEGER || entry[0].via.u64 > VTA_RPC_NOTIFY)
        return unexpected("message type", "0 (request), 1 (response) or 2 (notification)",
                          &entry[0], error);
    type = entry[0].via.u64;
    if (whole->via.array.size != entries[type])
        return vta_error_set(error, VTA_EPROTO, "message: %s is an array of %u, got an array of %u",
                             names[type], entries[type], whole->via.array.size);

    message->type = (enum vta_rpc_type)type;
    if (message->type == VTA_RPC_NOTIFY)
        return read_method(message, &entry[1], &entry[2], error);
    rc = read_msgid(message, &entry[1], error);
    if (rc != 0)
        return rc;
    if (message->type == VTA_RPC_REQUEST)
        return read_method(message, &entry[2], &entry[3], error);
    message->error = entry[2];
    message->result = entry[3];
    return 0;
}

int vta_rpc_decode(struct vta_rpc_message *message, const uint8_t *bytes, size_t nbytes,
                   msgpack_zone *zone, struct vta_error *error)
{
    msgpack_object whole;
    int rc;

    memset(message, 0, sizeof *message);
    rc = unpack(&whole, bytes, nbytes, zone, error);
    if (rc != 0)
        return rc;
    return read_message(message, &whole, error);
}

/* ---- Packing ------------------------------------------------------------------------------- */

void vta_rpc_pack_request(msgpack_packer *packer, uint32_t msgid, const char *method,
                          uint32_t param_count)
{
    msgpack_pack_array(packer, 4);
    msgpack_pack_uint8(packer, VTA_RPC_REQUEST);
    msgpack_pack_uint32(packer, msgid);
    vta_pack_str(packer, method);
    msgpack_pack_array(packer, param_count);
}

void vta_rpc_pack_notify(msgpack_packer *packer, const char *method, uint32_t param_count)
{
    msgpack_pack_array(packer, 3);
    msgpack_pack_uint8(packer, VTA_RPC_NOTIFY);
    vta_pack_str(packer, method);
    msgpack_pack_array(packer, param_count);
}

void vta_rpc_pack_result(msgpack_packer *packer, uint32_t msgid)
{
    msgpack_pack_array(packer, 4);
    msgpack_pack_uint8(packer, VTA_RPC_RESPONSE);
    msgpack_pack_uint32(packer, msgid);
    msgpack_pack_nil(packer);
}

void vta_rpc_pack_error(msgpack_packer *packer, uint32_t msgid, const struct vta_error *error)
{
    bool has_insn = error->insn >= 0;

    msgpack_pack_array(packer, 4);
    msgpack_pack_uint8(packer, VTA_RPC_RESPONSE);
    msgpack_pack_uint32(packer, msgid);

    msgpack_pack_map(packer, 2u + (has_insn ? 1 : 0) + (error->has_limit ? 2 : 0));
    vta_pack_str(packer, "code");
    vta_pack_str(packer, vta_error_name(error->code));
    vta_pack_str(packer, "message");
    vta_pack_str(packer, error->message);
    if (has_insn) {
        vta_pack_str(packer, "insn");
        msgpack_pack_int64(packer, error->insn);
    }
    if (error->has_limit) {
        vta_pack_str(packer, "limit");
        msgpack_pack_int64(packer, error->limit);
        vta_pack_str(packer, "value");
        msgpack_pack_int64(packer, error->value);
    }
    msgpack_pack_nil(packer);
}

/* ---- Errors that came ---------------------------------------------------------------------- */

/* A peer's text, for a terminal: what is too long is cut between characters, control characters
 * but newlines become '?'. */
static void copy_text(char *to, size_t size, const char *from, size_t length)
{
    if (length >= size) {
        length = size - 1;
        while (length > 0 && ((uint8_t)from[length] & 0xc0) == 0x80)
            length--;
    }
    for (size_t i = 0; i < length; i++) {
        uint8_t c = (uint8_t)from[i];
        to[i] = (c < 0x20 && c != '\n') || c == 0x7f ? '?' : from[i];
    }
    to[length] = '\0';
}

/* An error of a server that is not vtad: a string, or any other value as msgpack-c prints it. */
static int foreign_error(const msgpack_object *object, struct vta_error *error)
{
    char text[VTA_ERROR_TEXT], printed[VTA_ERROR_TEXT];

    if (object->type == MSGPACK_OBJECT_STR) {
        copy_text(text, sizeof text, object->via.str.ptr, object->via.str.size);
    } else {
        int length = msgpack_object_print_buffer(printed, sizeof printed, *object);
        copy_text(text, sizeof text, printed, length < 0 ? 0 : strnlen(printed, sizeof printed));
    }
    return vta_error_set(error, VTA_EPROTO, "%s", text[0] != '\0' ? text : "an error without text");
}

static bool read_number(const msgpack_object *map, const char *key, int64_t *value)
{
    const msgpack_object *object = vta_map_get(map, key);

    return object != NULL && vta_get_int(object, INT64_MIN, INT64_MAX, value, key, NULL) == 0;
}

int vta_rpc_unpack_error(const msgpack_object *object, struct vta_error *error)
{
    const msgpack_object *code = vta_map_get(object, "code");
    const msgpack_object *message = vta_map_get(object, "message");
    struct vta_error read = { .insn = -1 };
    char name[64];

    if (object->type == MSGPACK_OBJECT_NIL)
        return 0;
    if (code == NULL || message == NULL || message->type != MSGPACK_OBJECT_STR ||
        vta_get_text(code, name, sizeof name - 1, "code", NULL) != 0)
        return foreign_error(object, error);

    read.code = vta_error_from_name(name);
    copy_text(read.message, sizeof read.message, message->via.str.ptr, message->via.str.size);
    if (!read_number(object, "insn", &read.insn) || read.insn < 0)
        read.insn = -1;
    read.has_limit =
        read_number(object, "limit", &read.limit) && read_number(object, "value", &read.value);
    if (error != NULL)
        *error = read;
    return read.code;
}
