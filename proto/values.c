/* values.c: single msgpack values of values.h. Which values a method wants is not known here. */
#include "values.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void vta_pack_str(msgpack_packer *packer, const char *text)
{
    size_t length = strlen(text);

    msgpack_pack_str(packer, length);
    msgpack_pack_str_body(packer, text, length);
}

void vta_pack_counters(msgpack_packer *packer, const struct vta_counters *counters)
{
    size_t count = 0;

#define COUNT(name) count++;
    VTA_COUNTERS(COUNT)
#undef COUNT
    msgpack_pack_map(packer, count);
#define PACK(name)                                                                                 \
    vta_pack_str(packer, #name);                                                                   \
    msgpack_pack_uint64(packer, counters->name);
    VTA_COUNTERS(PACK)
#undef PACK
}

static const char *plural(uint32_t count)
{
    return count == 1 ? "" : "s";
}

#define DESCRIBE_BYTES 48

/* What a value is: "nil", "-3", "an array of 3", "a string of 5 bytes". */
static void describe(const msgpack_object *object, char text[DESCRIBE_BYTES])
{
    const size_t size = DESCRIBE_BYTES;

    switch (object->type) {
    case MSGPACK_OBJECT_NIL:
        snprintf(text, size, "nil");
        return;
    case MSGPACK_OBJECT_BOOLEAN:
        snprintf(text, size, "%s", object->via.boolean ? "true" : "false");
        return;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        snprintf(text, size, "%" PRIu64, object->via.u64);
        return;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        snprintf(text, size, "%" PRId64, object->via.i64);
        return;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        snprintf(text, size, "the float %g", object->via.f64);
        return;
    case MSGPACK_OBJECT_STR:
        snprintf(text, size, "a string of %u byte%s", object->via.str.size,
                 plural(object->via.str.size));
        return;
    case MSGPACK_OBJECT_BIN:
        snprintf(text, size, "a binary of %u byte%s", object->via.bin.size,
                 plural(object->via.bin.size));
        return;
    case MSGPACK_OBJECT_ARRAY:
        snprintf(text, size, "an array of %u", object->via.array.size);
        return;
    case MSGPACK_OBJECT_MAP:
        snprintf(text, size, "a map of %u", object->via.map.size);
        return;
    default:
        snprintf(text, size, "an extension type");
        return;
    }
}

int vta_unexpected(const msgpack_object *object, int code, const char *what, const char *expected,
                   struct vta_error *error)
{
    char got[DESCRIBE_BYTES];

    describe(object, got);
    return vta_error_set(error, code, "%s: expected %s, got %s", what, expected, got);
}

static int unexpected(const msgpack_object *object, const char *what, const char *expected,
                      struct vta_error *error)
{
    return vta_unexpected(object, VTA_EINVAL, what, expected, error);
}

int vta_get_uint(const msgpack_object *object, uint64_t max, uint64_t *value, const char *what,
                 struct vta_error *error)
{
    char expected[64];

    if (object->type == MSGPACK_OBJECT_POSITIVE_INTEGER && object->via.u64 <= max) {
        *value = object->via.u64;
        return 0;
    }
    snprintf(expected, sizeof expected, "an integer from 0 to %" PRIu64, max);
    return unexpected(object, what, expected, error);
}

int vta_get_int(const msgpack_object *object, int64_t min, int64_t max, int64_t *value,
                const char *what, struct vta_error *error)
{
    char expected[96];

    if (object->type == MSGPACK_OBJECT_POSITIVE_INTEGER && object->via.u64 <= INT64_MAX &&
        (int64_t)object->via.u64 >= min && (int64_t)object->via.u64 <= max) {
        *value = (int64_t)object->via.u64;
        return 0;
    }
    if (object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER && object->via.i64 >= min &&
        object->via.i64 <= max) {
        *value = object->via.i64;
        return 0;
    }
    snprintf(expected, sizeof expected, "an integer from %" PRId64 " to %" PRId64, min, max);
    return unexpected(object, what, expected, error);
}

int vta_get_bool(const msgpack_object *object, bool *value, const char *what,
                 struct vta_error *error)
{
    if (object->type != MSGPACK_OBJECT_BOOLEAN)
        return unexpected(object, what, "true or false", error);
    *value = object->via.boolean;
    return 0;
}

int vta_get_text(const msgpack_object *object, char *text, size_t max, const char *what,
                 struct vta_error *error)
{
    const msgpack_object_str *str = &object->via.str;
    char expected[64];
    const char *nul;

    if (object->type != MSGPACK_OBJECT_STR || str->size == 0 || str->size > max) {
        snprintf(expected, sizeof expected, "a string of 1 to %zu bytes", max);
        return unexpected(object, what, expected, error);
    }
    nul = memchr(str->ptr, '\0', str->size);
    if (nul != NULL)
        return vta_error_set(error, VTA_EINVAL,
                             "%s: expected a string without NUL, byte %td is one", what,
                             nul - str->ptr);
    memcpy(text, str->ptr, str->size);
    text[str->size] = '\0';
    return 0;
}

int vta_get_bytes(const msgpack_object *object, const uint8_t **bytes, size_t *nbytes,
                  const char *what, struct vta_error *error)
{
    if (object->type == MSGPACK_OBJECT_BIN) {
        *bytes = (const uint8_t *)object->via.bin.ptr;
        *nbytes = object->via.bin.size;
        return 0;
    }
    if (object->type == MSGPACK_OBJECT_STR) {
        *bytes = (const uint8_t *)object->via.str.ptr;
        *nbytes = object->via.str.size;
        return 0;
    }
    return unexpected(object, what, "bytes", error);
}

static int get_counter(const msgpack_object *map, const char *key, uint64_t *value,
                       const char *what, struct vta_error *error)
{
    const msgpack_object *object = vta_map_get(map, key);
    int rc;

    if (object == NULL)
        return vta_error_set(error, VTA_EINVAL, "%s: '%s' is missing", what, key);
    rc = vta_get_uint(object, UINT64_MAX, value, key, error);
    if (rc != 0)
        vta_error_prefix(error, "%s", what);
    return rc;
}

int vta_get_counter_map(const msgpack_object *object, struct vta_counters *counters,
                        const char *what, struct vta_error *error)
{
    struct vta_counters read = { 0 };
    int rc = 0;

    if (object->type != MSGPACK_OBJECT_MAP)
        return unexpected(object, what, "a map of counters", error);
#define READ(name)                                                                                 \
    if (rc == 0)                                                                                   \
        rc = get_counter(object, #name, &read.name, what, error);
    VTA_COUNTERS(READ)
#undef READ
    if (rc == 0)
        *counters = read;
    return rc;
}

const msgpack_object *vta_map_get(const msgpack_object *map, const char *key)
{
    size_t length = strlen(key);

    if (map->type != MSGPACK_OBJECT_MAP)
        return NULL;
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object_kv *entry = &map->via.map.ptr[i];

        if (entry->key.type == MSGPACK_OBJECT_STR && entry->key.via.str.size == length &&
            (length == 0 || memcmp(entry->key.via.str.ptr, key, length) == 0))
            return &entry->val;
    }
    return NULL;
}
