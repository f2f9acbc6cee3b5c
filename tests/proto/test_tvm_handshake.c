/* The first bytes of a TVM connection: what is one, what is not, what is answered.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "proto/tvm_handshake.h"

static uint8_t bytes[TVM_HANDSHAKE_MAX + 64];
static struct tvm_handshake handshake;
static struct vta_error error;

static void put(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

/* A handshake with this text in bytes; returns its size. */
static size_t make(const char *text)
{
    size_t length = strlen(text);
    put(bytes, TVM_MAGIC);
    put(bytes + 4, (uint32_t)length);
    memcpy(bytes + 8, text, length);
    return 8 + length;
}

static int parse(const char *text)
{
    return tvm_handshake_parse(&handshake, bytes, make(text), &error);
}

Test(tvm_handshake, reads_the_key_of_a_client_without_options)
{
    cr_assert_eq(parse("client:"), 0);
    cr_assert_eq(handshake.bytes, 15);
    cr_assert_eq(handshake.timeout_ms, 0);
    cr_assert(tvm_handshake_matches(&handshake, ""));
    cr_assert_not(tvm_handshake_matches(&handshake, "board"));
}

Test(tvm_handshake, matches_the_whole_first_word_and_nothing_less)
{
    cr_assert_eq(parse("client:board7 -timeout=3"), 0);
    cr_assert(tvm_handshake_matches(&handshake, "board7"));
    cr_assert_not(tvm_handshake_matches(&handshake, "board"));
    cr_assert_not(tvm_handshake_matches(&handshake, "board77"));
    cr_assert_not(tvm_handshake_matches(&handshake, ""));
    cr_assert_eq(parse("server:board7"), 0);
    cr_assert_not(tvm_handshake_matches(&handshake, "board7"));
    cr_assert_eq(parse("clientboard7"), 0);
    cr_assert_not(tvm_handshake_matches(&handshake, "board7"));
}

Test(tvm_handshake, a_text_without_a_word_matches_no_key)
{
    cr_assert_eq(parse(""), 0);
    cr_assert_not(tvm_handshake_matches(&handshake, ""));
    cr_assert_eq(parse(" \t\n "), 0);
    cr_assert_not(tvm_handshake_matches(&handshake, ""));
}

Test(tvm_handshake, reads_the_timeout_among_options_that_it_does_not_know)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } rows[] = {
        { "client: -timeout=10", 10000 },      { "client:x  -flavour=mild -timeout=0.25", 250 },
        { "client: -timeout=.5 -other", 500 }, { "client: -timeout=0.0001", 1 },
        { "client: -timeout=7.", 7000 },       { "client: timeout=5", 0 }
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_assert_eq(parse(rows[i].text), 0, "%s: %s", rows[i].text, error.message);
        cr_assert_eq(handshake.timeout_ms, rows[i].ms, "%s", rows[i].text);
    }
}

Test(tvm_handshake, refuses_a_timeout_that_is_no_time)
{
    static const char *const texts[] = { "client: -timeout=",           "client: -timeout=soon",
                                         "client: -timeout=0",          "client: -timeout=-1",
                                         "client: -timeout=1e3",        "client: -timeout=1.2.3",
                                         "client: -timeout=nan",        "client: -timeout=.",
                                         "client: -timeout=99999999999" };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        cr_assert_eq(parse(texts[i]), VTA_EPROTO, "%s", texts[i]);
        cr_assert_not_null(strstr(error.message, "-timeout="), "%s", error.message);
    }
}

Test(tvm_handshake, asks_for_more_until_it_is_whole_and_leaves_what_follows)
{
    size_t size = make("client:key -timeout=2");
    for (size_t n = 0; n < size; n++)
        cr_assert_eq(tvm_handshake_parse(&handshake, bytes, n, &error), 1, "%zu bytes", n);
    memset(bytes + size, 0xee, 20);
    cr_assert_eq(tvm_handshake_parse(&handshake, bytes, size + 20, &error), 0);
    cr_assert_eq(handshake.bytes, size);
}

Test(tvm_handshake, refuses_another_magic_number_and_a_key_beyond_the_limit)
{
    size_t size = make("client:");
    bytes[0]++;
    cr_assert_eq(tvm_handshake_parse(&handshake, bytes, size, &error), VTA_EPROTO);
    make("client:");
    put(bytes + 4, TVM_HANDSHAKE_TEXT_MAX + 1);
    cr_assert_eq(tvm_handshake_parse(&handshake, bytes, 8, &error), VTA_ELIMIT);
    cr_assert_eq(error.limit, TVM_HANDSHAKE_TEXT_MAX);
    cr_assert_eq(error.value, TVM_HANDSHAKE_TEXT_MAX + 1);
    put(bytes + 4, UINT32_MAX); /* a negative length */
    cr_assert_eq(tvm_handshake_parse(&handshake, bytes, 8, &error), VTA_ELIMIT);
    put(bytes + 4, TVM_HANDSHAKE_TEXT_MAX);
    cr_assert_eq(tvm_handshake_parse(&handshake, bytes, 8, &error), 1);
}

Test(tvm_handshake, welcomes_with_the_servers_key_and_refuses_with_a_number)
{
    uint8_t out[TVM_HANDSHAKE_MAX];
    static const uint8_t welcome[] = "\x71\xf2\x0f\x00\x0b\x00\x00\x00server:pynq";
    cr_assert_eq(tvm_handshake_answer(out, TVM_MAGIC, "pynq"), sizeof welcome - 1);
    cr_assert_arr_eq(out, welcome, sizeof welcome - 1);
    cr_assert_eq(tvm_handshake_answer(out, TVM_KEY_MISMATCH, "pynq"), 4);
    cr_assert_arr_eq(out, "\x73\xf2\x0f\x00", 4);
}
