/* test_rpc.c: messages and their values: what is packed is decoded, what is wrong is named. */
#include "proto/rpc.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* ---- Helpers ------------------------------------------------------------------------------- */

static msgpack_zone zone;
static msgpack_sbuffer buffer;
static msgpack_packer packer;

static void set_up(void)
{
    cr_assert(msgpack_zone_init(&zone, 4096));
    msgpack_sbuffer_init(&buffer);
    msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
}

static void tear_down(void)
{
    msgpack_zone_destroy(&zone);
    msgpack_sbuffer_destroy(&buffer);
}

TestSuite(rpc, .init = set_up, .fini = tear_down);
TestSuite(values, .init = set_up, .fini = tear_down);

/* Decodes what was packed, after the scanner has found it whole. */
static struct vta_rpc_message decode_packed(void)
{
    struct vta_wire_limits limits;
    struct vta_scan scan;
    struct vta_rpc_message message;
    struct vta_error error = { 0 };
    size_t taken;

    vta_wire_limits_default(&limits);
    vta_scan_init(&scan, &limits);
    cr_assert_eq(vta_scan_feed(&scan, (const uint8_t *)buffer.data, buffer.size, &taken, &error), 1,
                 "%s", error.message);
    cr_assert_eq(taken, buffer.size);
    cr_assert_eq(vta_rpc_decode(&message, (const uint8_t *)buffer.data, buffer.size, &zone, &error),
                 0, "%s", error.message);
    return message;
}

static void refuse_bytes(const void *bytes, size_t nbytes, const char *text)
{
    struct vta_rpc_message message;
    struct vta_error error = { 0 };

    cr_expect_eq(vta_rpc_decode(&message, bytes, nbytes, &zone, &error), VTA_EPROTO);
    cr_expect_str_eq(error.message, text);
}

#define REFUSE(bytes, text) refuse_bytes(bytes, sizeof bytes - 1, text)

/* One value from its msgpack bytes, which are a literal and so outlive it. */
static msgpack_object value_of(const char *bytes, size_t nbytes)
{
    msgpack_object object;
    size_t offset = 0;

    cr_assert_eq(msgpack_unpack(bytes, nbytes, &offset, &zone, &object), MSGPACK_UNPACK_SUCCESS);
    return object;
}

#define VALUE(bytes)                                                                               \
    (msgpack_object[])                                                                             \
    {                                                                                              \
        value_of(bytes, sizeof bytes - 1)                                                          \
    }

/* ---- Messages ------------------------------------------------------------------------------ */

Test(rpc, decodes_the_request_that_was_packed)
{
    struct vta_rpc_message message;

    vta_rpc_pack_request(&packer, UINT32_MAX, "buffer.write", 3);
    msgpack_pack_uint32(&packer, 7);
    msgpack_pack_uint32(&packer, 0);
    msgpack_pack_bin(&packer, 4);
    msgpack_pack_bin_body(&packer, "\0\1\2\3", 4);
    message = decode_packed();
    cr_expect_eq(message.type, VTA_RPC_REQUEST);
    cr_expect_eq(message.msgid, UINT32_MAX);
    cr_assert_eq(message.method_length, strlen("buffer.write"));
    cr_expect_eq(memcmp(message.method, "buffer.write", message.method_length), 0);
    cr_assert_eq(message.params.via.array.size, 3);
    cr_expect_eq(message.params.via.array.ptr[0].via.u64, 7);
}

Test(rpc, leaves_large_data_where_it_arrived)
{
    struct vta_rpc_message message;
    const uint8_t *bytes;
    size_t nbytes;
    char *data = calloc(1, 100000);

    vta_rpc_pack_request(&packer, 1, "buffer.write", 1);
    msgpack_pack_bin(&packer, 100000);
    msgpack_pack_bin_body(&packer, data, 100000);
    message = decode_packed();
    cr_assert_eq(
        vta_get_bytes(&message.params.via.array.ptr[0], &bytes, &nbytes, "params[0]", NULL), 0);
    cr_expect_eq(nbytes, 100000);
    cr_expect_eq((const char *)bytes, buffer.data + buffer.size - 100000);
    cr_expect((const char *)message.method > buffer.data &&
              message.method < buffer.data + buffer.size);
    free(data);
}

Test(rpc, decodes_the_notification_that_was_packed)
{
    struct vta_rpc_message message;

    vta_rpc_pack_notify(&packer, "cancel", 0);
    message = decode_packed();
    cr_expect_eq(message.type, VTA_RPC_NOTIFY);
    cr_expect_eq(message.method_length, 6);
    cr_expect_eq(message.params.type, MSGPACK_OBJECT_ARRAY);
    cr_expect_eq(message.params.via.array.size, 0);
}

Test(rpc, decodes_the_result_that_was_packed)
{
    struct vta_rpc_message message;

    vta_rpc_pack_result(&packer, 41);
    msgpack_pack_true(&packer);
    message = decode_packed();
    cr_expect_eq(message.type, VTA_RPC_RESPONSE);
    cr_expect_eq(message.msgid, 41);
    cr_expect_eq(message.error.type, MSGPACK_OBJECT_NIL);
    cr_expect_eq(vta_rpc_unpack_error(&message.error, NULL), 0);
    cr_expect(message.result.via.boolean);
}

Test(rpc, decodes_what_is_nested_as_deep_as_the_scanner_allows)
{
    vta_rpc_pack_request(&packer, 1, "ping", 1);
    for (int depth = 2; depth < VTA_SCAN_DEPTH_MAX; depth++)
        msgpack_pack_array(&packer, 1);
    msgpack_pack_nil(&packer);
    decode_packed();
}

Test(rpc, says_what_is_wrong_with_a_message)
{
    REFUSE("\x07", "message: expected an array of 3 or 4, got 7");
    REFUSE("\x81\x01\x02", "message: expected an array of 3 or 4, got a map of 1");
    REFUSE("\x90", "message: expected an array of 3 or 4, got an array of 0");
    REFUSE("\x94\x03\x01\xa1x\x90",
           "message type: expected 0 (request), 1 (response) or 2 (notification), got 3");
    REFUSE("\x94\xff\x01\xa1x\x90",
           "message type: expected 0 (request), 1 (response) or 2 (notification), got -1");
    REFUSE("\x93\x00\x01\xa1x", "message: a request is an array of 4, got an array of 3");
    REFUSE("\x91\x01", "message: a response is an array of 4, got an array of 1");
    REFUSE("\x94\x02\x01\xa1x\x90", "message: a notification is an array of 3, got an array of 4");
    REFUSE("\x94\x00\xff\xa1x\x90", "msgid: expected an integer from 0 to 4294967295, got -1");
    REFUSE("\x94\x00\xcf\0\0\0\1\0\0\0\0\xa1x\x90",
           "msgid: expected an integer from 0 to 4294967295, got 4294967296");
    REFUSE("\x94\x00\x01\x05\x90", "method: expected a name, got 5");
    REFUSE("\x94\x00\x01\xa0\x90", "method: expected a name, got a string of 0 bytes");
    REFUSE("\x94\x00\x01\xa1x\x80", "params: expected an array, got a map of 0");
    REFUSE("\x93\x02\xa1x\xc0", "params: expected an array, got nil");
    REFUSE("\x94\x00\x01\xa1x", "message: not a whole MessagePack value");
    REFUSE("\x93\x02\xa1x\x90\x01\x02", "message: 2 bytes follow the value");
}

/* ---- Errors -------------------------------------------------------------------------------- */

Test(rpc, carries_every_error_unchanged)
{
    static const int codes[] = {
#define CODE(symbol, value, name, text) symbol,
        VTA_ERRORS(CODE)
#undef CODE
    };

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        struct vta_error sent, got = { 0 };
        struct vta_rpc_message message;

        vta_error_limit(&sent, codes[i], 8, 9, "weights: %d tiles\nthe limit is 8: é", 9);
        sent.insn = i % 2 == 0 ? (int64_t)i : -1;
        sent.has_limit = i % 3 != 0;
        msgpack_sbuffer_clear(&buffer);
        vta_rpc_pack_error(&packer, (uint32_t)i, &sent);
        message = decode_packed();
        cr_expect_eq(message.msgid, i);
        cr_expect_eq(message.result.type, MSGPACK_OBJECT_NIL);
        cr_expect_eq(vta_rpc_unpack_error(&message.error, &got), codes[i]);
        cr_expect_eq(got.code, codes[i]);
        cr_expect_eq(got.insn, sent.insn);
        cr_expect_eq(got.has_limit, sent.has_limit);
        cr_expect(!got.has_limit || (got.limit == 8 && got.value == 9));
        cr_expect_str_eq(got.message, sent.message);
    }
}

static void expect_foreign(const msgpack_object *object, const char *message)
{
    struct vta_error error = { 0 };

    cr_expect_eq(vta_rpc_unpack_error(object, &error), VTA_EPROTO);
    cr_expect_str_eq(error.message, message);
}

Test(rpc, reads_errors_of_other_servers)
{
    expect_foreign(VALUE("\xa4none"), "none");
    expect_foreign(VALUE("\xa0"), "an error without text");
    expect_foreign(VALUE("\x07"), "7");
    expect_foreign(VALUE("\x92\x01\xa3two"), "[1, \"two\"]");
    expect_foreign(VALUE("\x81\xa4"
                         "code\x07"),
                   "{\"code\"=>7}");
    cr_expect_eq(vta_rpc_unpack_error(VALUE("\xa4none"), NULL), VTA_EPROTO);
}

Test(rpc, keeps_a_peers_text_from_disturbing_a_terminal)
{
    expect_foreign(VALUE("\xa8"
                         "a\x1b[2J\x07\nb"),
                   "a?[2J?\nb");
}

Test(rpc, cuts_a_long_text_between_characters)
{
    struct vta_error got = { 0 };
    char text[3 + 3 * VTA_ERROR_TEXT] = "\xda\x0c";
    msgpack_object object;

    for (size_t i = 0; i < VTA_ERROR_TEXT; i++)
        memcpy(text + 3 + 3 * i, "€", 3);
    object = value_of(text, sizeof text);
    cr_expect_eq(vta_rpc_unpack_error(&object, &got), VTA_EPROTO);
    cr_expect_eq(strlen(got.message), (VTA_ERROR_TEXT - 1) / 3 * 3);
    cr_expect_str_eq(got.message + strlen(got.message) - 3, "€");
}

/* ---- Values -------------------------------------------------------------------------------- */

static char said[VTA_ERROR_TEXT];
static struct vta_error error;

/* Keeps what a reader said; whether it said VTA_EINVAL. */
static bool refused(int rc)
{
    strcpy(said, error.message);
    return rc == VTA_EINVAL && error.code == VTA_EINVAL;
}

Test(values, reads_unsigned_integers_up_to_a_maximum)
{
    uint64_t value = 5;

    cr_expect_eq(vta_get_uint(VALUE("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), UINT64_MAX, &value,
                              "x", &error),
                 0);
    cr_expect_eq(value, UINT64_MAX);
    cr_expect_eq(vta_get_uint(VALUE("\x09"), 9, &value, "x", &error), 0);
    cr_expect_eq(value, 9);
    cr_expect(refused(vta_get_uint(VALUE("\x0a"), 9, &value, "params[2]", &error)));
    cr_expect_str_eq(said, "params[2]: expected an integer from 0 to 9, got 10");
    cr_expect(refused(vta_get_uint(VALUE("\xff"), 9, &value, "params[2]", &error)));
    cr_expect_str_eq(said, "params[2]: expected an integer from 0 to 9, got -1");
    cr_expect(refused(vta_get_uint(VALUE("\xca\x3f\xc0\0\0"), 9, &value, "x", &error)));
    cr_expect_str_eq(said, "x: expected an integer from 0 to 9, got the float 1.5");
    cr_expect_eq(value, 9, "a refused value was written");
}

Test(values, reads_signed_integers_within_a_range)
{
    int64_t value = 5;

    cr_expect_eq(vta_get_int(VALUE("\xd3\x80\0\0\0\0\0\0\0"), INT64_MIN, 0, &value, "x", &error),
                 0);
    cr_expect_eq(value, INT64_MIN);
    cr_expect_eq(vta_get_int(VALUE("\xcc\x80"), -1, 128, &value, "x", &error), 0);
    cr_expect_eq(value, 128);
    cr_expect(refused(vta_get_int(VALUE("\xfe"), -1, 128, &value, "x", &error)));
    cr_expect_str_eq(said, "x: expected an integer from -1 to 128, got -2");
    cr_expect(refused(vta_get_int(VALUE("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), INT64_MIN,
                                  INT64_MAX, &value, "x", &error)));
    cr_expect(refused(vta_get_int(VALUE("\xc2"), 0, 1, &value, "x", &error)));
    cr_expect_str_eq(said, "x: expected an integer from 0 to 1, got false");
}

Test(values, reads_booleans_and_nothing_like_them)
{
    bool value = false;

    cr_expect_eq(vta_get_bool(VALUE("\xc3"), &value, "store", &error), 0);
    cr_expect(value);
    cr_expect(refused(vta_get_bool(VALUE("\x01"), &value, "options.store", &error)));
    cr_expect_str_eq(said, "options.store: expected true or false, got 1");
}

Test(values, reads_text_and_ends_it)
{
    char text[4] = "???";

    cr_expect_eq(vta_get_text(VALUE("\xa3"
                                    "abc"),
                              text, 3, "x", &error),
                 0);
    cr_expect_str_eq(text, "abc");
    cr_expect(refused(vta_get_text(VALUE("\xa4"
                                         "abcd"),
                                   text, 3, "params[0]", &error)));
    cr_expect_str_eq(said, "params[0]: expected a string of 1 to 3 bytes, got a string of 4 bytes");
    cr_expect(refused(vta_get_text(VALUE("\xa0"), text, 3, "x", &error)));
    cr_expect(refused(vta_get_text(VALUE("\x93\1\2\3"), text, 255, "params[1]", &error)));
    cr_expect_str_eq(said, "params[1]: expected a string of 1 to 255 bytes, got an array of 3");
    cr_expect(refused(vta_get_text(VALUE("\xa3"
                                         "a\0c"),
                                   text, 3, "x", &error)));
    cr_expect_str_eq(said, "x: expected a string without NUL, byte 1 is one");
    cr_expect_str_eq(text, "abc");
}

Test(values, reads_bytes_from_binaries_and_strings)
{
    const uint8_t *bytes;
    size_t nbytes;

    cr_expect_eq(vta_get_bytes(VALUE("\xc4\x02\x00\x01"), &bytes, &nbytes, "x", &error), 0);
    cr_expect(nbytes == 2 && bytes[1] == 1);
    cr_expect_eq(vta_get_bytes(VALUE("\xa2\x02\x03"), &bytes, &nbytes, "x", &error), 0);
    cr_expect(nbytes == 2 && bytes[1] == 3);
    cr_expect_eq(vta_get_bytes(VALUE("\xc4\x00"), &bytes, &nbytes, "x", &error), 0);
    cr_expect_eq(nbytes, 0);
    cr_expect(refused(vta_get_bytes(VALUE("\x81\x01\x01"), &bytes, &nbytes, "params[2]", &error)));
    cr_expect_str_eq(said, "params[2]: expected bytes, got a map of 1");
}

Test(values, reads_the_counters_that_were_packed)
{
    struct vta_counters counters = { 1, 2, 3, 4, 5, UINT64_MAX, 7 }, read = { 0 };
    msgpack_object object;
    size_t offset = 0;

    vta_pack_counters(&packer, &counters);
    cr_assert_eq(msgpack_unpack(buffer.data, buffer.size, &offset, &zone, &object),
                 MSGPACK_UNPACK_SUCCESS);
    cr_assert_eq(vta_get_counter_map(&object, &read, "result", &error), 0, "%s", error.message);
    cr_expect_eq(memcmp(&counters, &read, sizeof read), 0);
    object.via.map.size--;
    cr_expect(refused(vta_get_counter_map(&object, &read, "result", &error)));
    cr_expect_str_eq(said, "result: 'alu_counter' is missing");
    object.via.map.ptr[1].val = *VALUE("\xc3");
    cr_expect(refused(vta_get_counter_map(&object, &read, "result", &error)));
    cr_expect_str_eq(said, "result: wgt_load_nbytes: expected an integer from 0 to "
                           "18446744073709551615, got true");
    cr_expect(refused(vta_get_counter_map(VALUE("\x90"), &read, "result", &error)));
    cr_expect_str_eq(said, "result: expected a map of counters, got an array of 0");
}

Test(values, finds_the_entry_of_a_key_in_maps_only)
{
    const msgpack_object *map = VALUE("\x83\x01\x02\xa1"
                                      "a\x03\xa2"
                                      "ab\x04");

    cr_expect_eq(vta_map_get(map, "ab")->via.u64, 4);
    cr_expect_eq(vta_map_get(map, "a")->via.u64, 3);
    cr_expect_null(vta_map_get(map, "abc"));
    cr_expect_null(vta_map_get(map, ""));
    cr_expect_null(vta_map_get(VALUE("\x92\xa1"
                                     "a\x01"),
                               "a"));
    cr_expect_eq(vta_map_get(VALUE("\x81\xa0\x05"), "")->via.u64, 5);
}
