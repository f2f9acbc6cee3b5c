/* fuzz_rpc.c: any bytes as a stream of MessagePack-RPC messages, in chunks whose size the first
 * byte says. What the scanner ends, msgpack-c must end there too; what decodes is read with every
 * reader. Where the stream is cut must not matter.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/rpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void read_value(const msgpack_object *object)
{
    struct vta_error error = { 0 };
    struct vta_counters counters;
    char text[17];
    uint64_t number;
    int64_t integer;
    bool boolean;
    const uint8_t *bytes;
    size_t nbytes;

    (void)vta_get_uint(object, 1000, &number, "value", &error);
    (void)vta_get_int(object, -1000, 1000, &integer, "value", &error);
    (void)vta_get_bool(object, &boolean, "value", &error);
    (void)vta_get_counter_map(object, &counters, "value", &error);
    (void)vta_map_get(object, "code");
    if (vta_get_text(object, text, 16, "value", &error) == 0)
        must(strlen(text) == object->via.str.size);
    if (vta_get_bytes(object, &bytes, &nbytes, "value", &error) == 0)
        for (size_t i = 0; i < nbytes; i++)
            (void)*(const volatile uint8_t *)(bytes + i); /* all of them are there */
    must(vta_rpc_unpack_error(object, &error) <= 0);
    must(memchr(error.message, '\0', sizeof error.message) != NULL);
}

static void read_message(const uint8_t *bytes, size_t nbytes)
{
    struct vta_rpc_message message;
    struct vta_error error = { 0 };
    msgpack_zone zone;

    must(msgpack_zone_init(&zone, 1024));
    if (vta_rpc_decode(&message, bytes, nbytes, &zone, &error) != 0) {
        must(error.code == VTA_EPROTO && error.message[0] != '\0');
        must(strcmp(error.message, "message: not a whole MessagePack value") != 0);
    } else if (message.type == VTA_RPC_RESPONSE) {
        read_value(&message.error);
        read_value(&message.result);
    } else {
        must(message.method >= (const char *)bytes &&
             message.method + message.method_length <= (const char *)bytes + nbytes);
        for (uint32_t i = 0; i < message.params.via.array.size; i++)
            read_value(&message.params.via.array.ptr[i]);
    }
    msgpack_zone_destroy(&zone);
}

/* Scans the stream in chunks; returns where it stopped, and what it was told last in *rc. */
static size_t scan_stream(const uint8_t *data, size_t size, size_t chunk, bool read, int *rc)
{
    struct vta_wire_limits limits;
    struct vta_scan scan;
    size_t begin = 0, at = 0;

    vta_wire_limits_default(&limits);
    limits.items = 4096;
    vta_scan_init(&scan, &limits);
    for (*rc = 0; at < size && *rc >= 0;) {
        size_t taken, offered = size - at < chunk ? size - at : chunk;

        *rc = vta_scan_feed(&scan, data + at, offered, &taken, NULL);
        must(taken <= offered && (*rc != 0 || taken == offered));
        at += taken;
        if (*rc == 1) {
            if (read)
                read_message(data + begin, at - begin);
            begin = at;
        }
    }
    return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int rc, whole_rc;
    size_t at;

    if (size < 2)
        return 0;
    at = scan_stream(data + 1, size - 1, 1 + data[0] % 16u, true, &rc);
    must(at == scan_stream(data + 1, size - 1, size, false, &whole_rc));
    must(rc == whole_rc || (rc >= 0 && whole_rc >= 0));
    return 0;
}
