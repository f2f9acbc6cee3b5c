/* Messages of a TVM tracker: what is read, what is refused, and that what is written looks as TVM's
 * own tracker and servers write it.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "proto/tvm_tracker.h"

static struct tvm_tracker_request request;
static struct vta_error error;
static msgpack_sbuffer out;

static void setup(void)
{
    error = (struct vta_error){ .insn = -1 };
    msgpack_sbuffer_init(&out);
}

static void teardown(void)
{
    msgpack_sbuffer_destroy(&out);
}

TestSuite(tvm_tracker, .init = setup, .fini = teardown);

static int parse(const char *json)
{
    return tvm_tracker_parse(&request, json, strlen(json), &error);
}

static void refuse(const char *json, int code, const char *reason)
{
    cr_assert_eq(parse(json), code, "%s: %s", json, error.message);
    cr_assert_not_null(strstr(error.message, reason), "%s: %s", json, error.message);
}

/* What was written is one message, and this is its JSON. */
static void expect(const char *json)
{
    size_t length = 0;
    cr_assert_eq(tvm_tracker_frame((uint8_t *)out.data, out.size, 1 << 20, &length, &error), 0);
    cr_assert_eq(out.size, TVM_TRACKER_HEAD + length);
    cr_assert_eq(length, strlen(json), "%.*s", (int)length, out.data + TVM_TRACKER_HEAD);
    cr_assert_arr_eq(out.data + TVM_TRACKER_HEAD, json, length);
    out.size = 0;
}

Test(tvm_tracker, begins_with_a_magic_number)
{
    uint8_t magic[TVM_TRACKER_HEAD];
    tvm_tracker_magic(magic);
    cr_assert_arr_eq(magic, "\x71\xf2\x02\x00", 4);
    cr_assert(tvm_tracker_is_magic(magic));
    cr_assert_not(tvm_tracker_is_magic((const uint8_t *)"\x71\xf2\x0f\x00"));
}

Test(tvm_tracker, a_frame_is_whole_when_its_last_byte_is_there)
{
    const uint8_t bytes[] = "\x03\0\0\0[1]\x01";
    size_t length = 0;
    for (size_t n = 0; n < 7; n++)
        cr_assert_eq(tvm_tracker_frame(bytes, n, 100, &length, &error), 1);
    cr_assert_eq(tvm_tracker_frame(bytes, 7, 3, &length, &error), 0);
    cr_assert_eq(length, 3);
    cr_assert_eq(tvm_tracker_frame(bytes, 8, 100, &length, &error), 0);
    cr_assert_eq(length, 3);
}

Test(tvm_tracker, a_frame_of_another_size_is_refused_at_its_head)
{
    size_t length;
    cr_assert_eq(tvm_tracker_frame((const uint8_t *)"\x04\0\0\0", 4, 3, &length, &error),
                 VTA_ELIMIT);
    cr_assert_eq(error.limit, 3);
    cr_assert_eq(error.value, 4);
    cr_assert_eq(tvm_tracker_frame((const uint8_t *)"\0\0\0\0", 4, 3, &length, &error), VTA_EPROTO);
    cr_assert_eq(tvm_tracker_frame((const uint8_t *)"\xff\xff\xff\xff", 4, 3, &length, &error),
                 VTA_ELIMIT);
}

Test(tvm_tracker, reads_what_a_server_says)
{
    cr_assert_eq(parse("[5, {\"key\": \"server:pynq\", \"addr\": [null, 9292]}]"), 0);
    cr_assert_eq(request.code, TVM_TRACKER_INFO);
    cr_assert_str_eq(request.key, "pynq");
    cr_assert_str_eq(request.host, "");
    cr_assert_eq(request.port, 9292);
    cr_assert_eq(parse("[3, \"pynq\", [9292, \"pynq:0.17\"], \"10.0.0.7\"]"), 0);
    cr_assert_eq(request.code, TVM_TRACKER_PUT);
    cr_assert_str_eq(request.key, "pynq");
    cr_assert_str_eq(request.match_key, "pynq:0.17");
    cr_assert_str_eq(request.host, "10.0.0.7");
    cr_assert_eq(request.port, 9292);
    cr_assert_eq(parse("[3, \"pynq\", [1, \"k\"], null]"), 0);
    cr_assert_str_eq(request.host, "");
    cr_assert_eq(parse(" [7]\n"), 0);
    cr_assert_eq(request.code, TVM_TRACKER_PENDING);
}

Test(tvm_tracker, reads_what_servers_in_other_languages_say)
{
    cr_assert_eq(parse("[5, {\"key\" : \"server:android\", \"addr\": [null, \"5001\"]}]"), 0);
    cr_assert_eq(request.port, 5001);
    cr_assert_eq(parse("[5, {\"key\": \"server:proxy[pynq,zcu]\"}]"), 0);
    cr_assert_str_eq(request.key, "proxy[pynq,zcu]");
    cr_assert_eq(request.port, 0);
    cr_assert_eq(parse("[5, {\"key\": \"client\"}]"), 0);
    cr_assert_str_eq(request.key, "");
    cr_assert_eq(parse("[3, \"pynq\", [9292, \"k\"]]"), 0);
}

Test(tvm_tracker, reads_what_a_client_says)
{
    cr_assert_eq(parse("[4, \"pynq\", \"\", 1]"), 0);
    cr_assert_eq(request.code, TVM_TRACKER_REQUEST);
    cr_assert_str_eq(request.key, "pynq");
    cr_assert_eq(request.priority, 1);
    cr_assert_eq(parse("[4, \"pynq\", \"Zo\\u00eb \\\"[[[[[[[[[[[[\", -2.5, \"later\"]"), 0);
    cr_assert_eq(request.priority, -2.5);
    cr_assert_eq(parse("[4, \"pynq\", null, 1e999]"), 0);
    cr_assert(isinf(request.priority));
    cr_assert_eq(parse("[1]"), 0);
    cr_assert_eq(parse("[6]"), 0);
    cr_assert_eq(parse("[2, \"stop-me\"]"), 0);
    cr_assert_eq(request.code, TVM_TRACKER_STOP);
    cr_assert_str_eq(request.key, "stop-me");
}

Test(tvm_tracker, refuses_what_is_no_request)
{
    static const char *const bad[] = { "",
                                       "[",
                                       "[1] [1]",
                                       "nul",
                                       "1",
                                       "{}",
                                       "[]",
                                       "[\"1\"]",
                                       "[3]",
                                       "[3, \"k\"]",
                                       "[3, \"k\", 9]",
                                       "[3, \"k\", [9]]",
                                       "[3, \"k\", [\"m\", 9]]",
                                       "[3, 1, [9, \"m\"]]",
                                       "[3, \"k\", [9, \"m\"], 7]",
                                       "[3, \"k\", {\"a\": 9, \"b\": 8}]",
                                       "[4, \"k\"]",
                                       "[4, \"k\", \"\", \"1\"]",
                                       "[4, \"k\", \"\", true]",
                                       "[4, [\"k\"], \"\", 1]",
                                       "[5]",
                                       "[5, \"server:k\"]",
                                       "[5, {}]",
                                       "[5, {\"key\": \"server:k\", \"addr\": 1}]",
                                       "[5, {\"key\": \"server:k\", \"addr\": []}]",
                                       "[2]",
                                       "[4, \"a\\u0000b\", \"\", 1]" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refuse(bad[i], VTA_EPROTO, "tracker: ");
    cr_assert_eq(tvm_tracker_parse(&request, "[1]\0", 4, &error), VTA_EPROTO);
}

Test(tvm_tracker, refuses_codes_that_it_does_not_know)
{
    refuse("[0]", VTA_EUNSUPPORTED, "the code 0 is not known");
    refuse("[8]", VTA_EUNSUPPORTED, "the code 8 is not known");
    refuse("[-1]", VTA_EUNSUPPORTED, "the code -1 is not known");
    refuse("[1.5]", VTA_EUNSUPPORTED, "the code 1.5 is not known");
    refuse("[1e300]", VTA_EUNSUPPORTED, "the code 1e+300 is not known");
}

Test(tvm_tracker, refuses_ports_that_are_none)
{
    static const char *const ports[] = {
        "0",         "-1",     "65536", "1.5",    "1e99", "null",
        "\"65536\"", "\"9x\"", "\"\"",  "\"-1\"", "true", "\"99999999999999999999\""
    };
    for (size_t i = 0; i < sizeof ports / sizeof ports[0]; i++) {
        char json[96];
        snprintf(json, sizeof json, "[3, \"k\", [%s, \"m\"], null]", ports[i]);
        refuse(json, VTA_EPROTO, "the port is not a number from 1 to 65535");
    }
    cr_assert_eq(parse("[3, \"k\", [65535, \"m\"], null]"), 0);
}

Test(tvm_tracker, refuses_words_that_no_handshake_could_say)
{
    refuse("[4, \"a b\", \"\", 1]", VTA_EPROTO, "the key is not one word");
    refuse("[4, \"\", \"\", 1]", VTA_EPROTO, "the key is not one word");
    refuse("[4, \"a\\\"b\", \"\", 1]", VTA_EPROTO, "the key is not one word");
    refuse("[4, \"a\\\\b\", \"\", 1]", VTA_EPROTO, "the key is not one word");
    refuse("[4, \"a\\u00ffb\", \"\", 1]", VTA_EPROTO, "the key is not one word");
    refuse("[3, \"k\", [9, \"m\\n\"], null]", VTA_EPROTO, "the match key is not one word");
    refuse("[3, \"k\", [9, \"m\"], \"a b\"]", VTA_EPROTO, "the address is not one word");
}

/* A put whose words have so many bytes. */
static int parse_long(size_t key, size_t match, size_t host)
{
    static char text[3][512], json[2048];
    const size_t lengths[] = { key, match, host };
    for (int i = 0; i < 3; i++) {
        memset(text[i], 'x', sizeof text[i]);
        text[i][lengths[i]] = '\0';
    }
    snprintf(json, sizeof json, "[3, \"%s\", [9, \"%s\"], \"%s\"]", text[0], text[1], text[2]);
    return parse(json);
}

Test(tvm_tracker, words_have_limits)
{
    cr_assert_eq(parse_long(128, 255, 255), 0);
    cr_assert_eq(strlen(request.key), 128);
    cr_assert_eq(strlen(request.match_key), 255);
    cr_assert_eq(strlen(request.host), 255);
    cr_assert_eq(parse_long(129, 1, 1), VTA_ELIMIT);
    cr_assert_eq(error.limit, 128);
    cr_assert_eq(error.value, 129);
    cr_assert_eq(parse_long(1, 256, 1), VTA_ELIMIT);
    cr_assert_eq(parse_long(1, 1, 256), VTA_ELIMIT);
}

Test(tvm_tracker, json_has_a_depth)
{
    cr_assert_eq(parse("[1, [[[[[[[]]]]]]]]"), 0);
    refuse("[1, [[[[[[[[]]]]]]]]]", VTA_ELIMIT, "depth 9, the limit is 8");
    refuse("[1, {\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}}}}]", VTA_ELIMIT,
           "depth 9, the limit is 8");
}

Test(tvm_tracker, writes_what_a_recorded_server_said)
{
    tvm_tracker_ask_info(&out, "pynq", NULL, 9292);
    expect("[5, {\"key\": \"server:pynq\", \"addr\": [null, 9292]}]");
    tvm_tracker_ask_put(&out, "pynq", 9292, "pynq:0.17661602642237406", NULL);
    expect("[3, \"pynq\", [9292, \"pynq:0.17661602642237406\"], null]");
    tvm_tracker_ask_put(&out, "pynq", 9292, "k", "board7.example");
    expect("[3, \"pynq\", [9292, \"k\"], \"board7.example\"]");
    tvm_tracker_ask(&out, TVM_TRACKER_PENDING);
    expect("[7]");
}

Test(tvm_tracker, writes_what_a_recorded_tracker_said)
{
    static const char *const keys[] = { "pynq:0.1", "pynq:0.2" };
    static const struct tvm_tracker_queue queues[] = { { "pynq", 1, 0 }, { "zcu", 0, 2 } };
    static const struct tvm_tracker_server servers[] = { { "pynq", "127.0.0.1", 9292 },
                                                         { "zcu", "::1", 1 } };
    tvm_tracker_answer(&out, 0);
    expect("0");
    tvm_tracker_answer_board(&out, "127.0.0.1", 9292, "pynq:0.17661602642237406");
    expect("[0, [\"127.0.0.1\", 9292, \"pynq:0.17661602642237406\"]]");
    tvm_tracker_answer_pending(&out, keys, 0);
    expect("[]");
    tvm_tracker_answer_pending(&out, keys, 2);
    expect("[\"pynq:0.1\", \"pynq:0.2\"]");
    tvm_tracker_answer_summary(&out, queues, 1, servers, 1);
    expect("[0, {\"queue_info\": {\"pynq\": {\"free\": 1, \"pending\": 0}}, "
           "\"server_info\": [{\"key\": \"server:pynq\", \"addr\": [\"127.0.0.1\", 9292]}]}]");
    tvm_tracker_answer_summary(&out, queues, 2, servers, 2);
    expect("[0, {\"queue_info\": {\"pynq\": {\"free\": 1, \"pending\": 0}, "
           "\"zcu\": {\"free\": 0, \"pending\": 2}}, "
           "\"server_info\": [{\"key\": \"server:pynq\", \"addr\": [\"127.0.0.1\", 9292]}, "
           "{\"key\": \"server:zcu\", \"addr\": [\"::1\", 1]}]}]");
    tvm_tracker_answer_refusal(&out, "no");
    expect("[-1, \"no\"]");
}

Test(tvm_tracker, what_is_written_is_read_again)
{
    char key[129], match[256], host[256];
    memset(key, '~', sizeof key);
    memset(match, '!', sizeof match);
    memset(host, '%', sizeof host);
    key[128] = match[255] = host[255] = '\0';
    cr_assert_eq(tvm_tracker_ask_put(&out, key, 65535, match, host), 0);
    cr_assert_eq(tvm_tracker_parse(&request, out.data + 4, out.size - 4, &error), 0, "%s",
                 error.message);
    cr_assert_str_eq(request.key, key);
    cr_assert_str_eq(request.match_key, match);
    cr_assert_str_eq(request.host, host);
}

static unsigned listed;

static void count(void *owner, const char *match_key)
{
    listed += owner == &listed && match_key[0] == 'p';
}

Test(tvm_tracker, reads_a_trackers_answers)
{
    int number = 7;
    cr_assert_eq(tvm_tracker_read(&number, "0", 1, &error), 0);
    cr_assert_eq(number, 0);
    cr_assert_eq(tvm_tracker_read(&number, " -1", 3, &error), 0);
    cr_assert_eq(number, -1);
    cr_assert_eq(tvm_tracker_read(&number, "[0]", 3, &error), VTA_EPROTO);
    cr_assert_eq(tvm_tracker_read(&number, "0.5", 3, &error), VTA_EPROTO);
    cr_assert_eq(tvm_tracker_read(&number, "zero", 4, &error), VTA_EPROTO);
    cr_assert_eq(number, -1);
    const char *keys = "[\"pynq:0.1\", 5, \"pynq:0.2\"]";
    cr_assert_eq(tvm_tracker_read_pending(keys, strlen(keys), count, &listed, &error), 0);
    cr_assert_eq(listed, 2);
    cr_assert_eq(tvm_tracker_read_pending("[]", 2, count, &listed, &error), 0);
    cr_assert_eq(tvm_tracker_read_pending("0", 1, count, &listed, &error), VTA_EPROTO);
    cr_assert_eq(tvm_tracker_read_pending("{\"a\": \"p\"}", 10, count, &listed, &error),
                 VTA_EPROTO);
    cr_assert_eq(listed, 2);
}
