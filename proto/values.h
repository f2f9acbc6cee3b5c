/* values.h: reading and writing single msgpack values, with errors that name the place.
 *
 * Readers return 0 or VTA_EINVAL with "params[1]: expected …, got …", where `what` names the place
 * ("params[1]", "hardware.LOG_BATCH"); on failure *value is untouched.
 */
#ifndef VTA_PROTO_VALUES_H
#define VTA_PROTO_VALUES_H

#include <msgpack.h>

#include <vta/hw.h>

/* Packing with C strings. */
void vta_pack_str(msgpack_packer *packer, const char *text);
void vta_pack_counters(msgpack_packer *packer, const struct vta_counters *counters);

int vta_get_uint(const msgpack_object *object, uint64_t max, uint64_t *value, const char *what,
                 struct vta_error *error);
int vta_get_int(const msgpack_object *object, int64_t min, int64_t max, int64_t *value,
                const char *what, struct vta_error *error);
int vta_get_bool(const msgpack_object *object, bool *value, const char *what,
                 struct vta_error *error);
/* A string of 1…max bytes without NUL, copied and terminated into text[max + 1]. */
int vta_get_text(const msgpack_object *object, char *text, size_t max, const char *what,
                 struct vta_error *error);
/* A bin (or str, which old libraries send for bytes); points into the message. */
int vta_get_bytes(const msgpack_object *object, const uint8_t **bytes, size_t *nbytes,
                  const char *what, struct vta_error *error);
/* A map with all seven; other keys are passed over. */
int vta_get_counter_map(const msgpack_object *object, struct vta_counters *counters,
                        const char *what, struct vta_error *error);

/* The value of a map's string key, or NULL. */
const msgpack_object *vta_map_get(const msgpack_object *map, const char *key);

/* Says "what: expected …, got an array of 3" with this code; returns it. */
int vta_unexpected(const msgpack_object *object, int code, const char *what, const char *expected,
                   struct vta_error *error);

#endif
