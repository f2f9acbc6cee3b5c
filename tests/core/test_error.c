/* test_error.c: what a caller, and a peer that decodes strictly, find in struct vta_error. */
#include <criterion/criterion.h>

#include <stdint.h>
#include <string.h>

#include <vta/error.h>

Test(error, fills_every_member_and_returns_the_code)
{
    struct vta_error error;
    memset(&error, 0x5a, sizeof error);
    cr_assert_eq(vta_error_set(&error, VTA_ESIZE, "%s has %d", "x", 3), VTA_ESIZE);
    cr_assert_eq(error.code, VTA_ESIZE);
    cr_assert_eq(error.insn, -1);
    cr_assert_not(error.has_limit);
    cr_assert_eq(error.limit, 0);
    cr_assert_eq(error.value, 0);
    cr_assert_str_eq(error.message, "x has 3");
}

Test(error, carries_a_limit_and_the_value_that_passed_it)
{
    struct vta_error error;
    cr_assert_eq(vta_error_limit(&error, VTA_ELIMIT, 10, 11, "11 of 10"), VTA_ELIMIT);
    cr_assert(error.has_limit);
    cr_assert_eq(error.limit, 10);
    cr_assert_eq(error.value, 11);
    cr_assert_eq(error.insn, -1);
    vta_error_set(&error, VTA_EIO, "later");
    cr_assert_not(error.has_limit, "a reused error must not keep an older one's limit");
}

Test(error, has_a_text_for_success_and_for_codes_that_nobody_defined)
{
    cr_assert_str_eq(vta_error_text(0), "success");
    cr_assert_str_eq(vta_error_text(12345), "an error that this version does not know");
}

Test(error, does_without_a_struct)
{
    cr_assert_eq(vta_error_set(NULL, VTA_EIO, "x"), VTA_EIO);
    cr_assert_eq(vta_error_limit(NULL, VTA_ELIMIT, 1, 2, "x"), VTA_ELIMIT);
    vta_error_prefix(NULL, "x");
}

Test(error, prefixes_without_losing_what_is_known)
{
    struct vta_error error;
    vta_error_limit(&error, VTA_ESRAM, 1024, 1311, "weight index reaches 1311");
    error.insn = 17;
    vta_error_prefix(&error, "%s", "gemm.vta");
    cr_assert_eq(error.code, VTA_ESRAM);
    cr_assert_str_eq(error.message, "gemm.vta: weight index reaches 1311");
    cr_assert_eq(error.insn, 17);
    cr_assert(error.has_limit);
    cr_assert_eq(error.value, 1311);
}

Test(error, may_quote_its_own_message)
{
    struct vta_error error;
    vta_error_set(&error, VTA_EIO, "inner");
    vta_error_set(&error, VTA_EINVAL, "outer: %s", error.message);
    cr_assert_str_eq(error.message, "outer: inner");
    vta_error_prefix(&error, "again %s", error.message);
    cr_assert_str_eq(error.message, "again outer: inner: outer: inner");
}

Test(error, cuts_a_long_message_between_characters)
{
    /* Shifted byte by byte, so that the cut falls on every byte of a character. */
    static const char *const characters[] = { "é", "→", "𝄞" };
    for (size_t c = 0; c < 3; c++) {
        size_t bytes = strlen(characters[c]);
        for (size_t shift = 0; shift < bytes; shift++) {
            char text[4 * VTA_ERROR_TEXT];
            size_t length = shift;
            memset(text, 'a', shift);
            for (; length < 2 * VTA_ERROR_TEXT; length += bytes)
                memcpy(text + length, characters[c], bytes);
            text[length] = '\0';

            struct vta_error error;
            vta_error_set(&error, VTA_EIO, "%s", text);
            size_t kept = strlen(error.message);
            cr_assert_lt(kept, VTA_ERROR_TEXT);
            cr_assert_gt(kept, VTA_ERROR_TEXT - 1 - bytes);
            cr_assert_eq((kept - shift) % bytes, 0, "half a character of %zu bytes is left", bytes);
            cr_assert_eq(memcmp(error.message, text, kept), 0);

            vta_error_set(&error, VTA_EIO, "%s", text + shift);
            text[shift] = '\0';
            vta_error_prefix(&error, "p%s", text);
            kept = strlen(error.message);
            cr_assert_gt(kept, VTA_ERROR_TEXT - 1 - bytes);
            cr_assert_eq((kept - 3 - shift) % bytes, 0, "the prefix broke a character");
        }
    }
}

Test(error, keeps_a_message_that_just_fits)
{
    char text[VTA_ERROR_TEXT];
    memset(text, 'x', sizeof text - 1);
    memcpy(text + sizeof text - 4, "→", 4); /* three bytes and the end */
    struct vta_error error;
    vta_error_set(&error, VTA_EIO, "%s", text);
    cr_assert_str_eq(error.message, text);
}

Test(error, replaces_bytes_that_belong_to_no_character)
{
    static const struct {
        const char *bytes, *message;
    } cases[] = {
        { "a\xff"
          "b",
          "a?b" },
        { "\xc3", "?" },                         /* cut short by the end */
        { "\xe2\x86", "??" },                    /* likewise */
        { "\xc0\xaf", "??" },                    /* overlong */
        { "\xe0\x80\xaf", "???" },               /* overlong */
        { "\xed\xa0\x80", "???" },               /* a surrogate */
        { "\xf4\x90\x80\x80", "????" },          /* beyond U+10FFFF */
        { "\xe2\x86\x92\x92", "\xe2\x86\x92?" }, /* a stray continuation */
        { "né→𝄞", "né→𝄞" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct vta_error error;
        vta_error_set(&error, VTA_EIO, "%s", cases[i].bytes);
        cr_assert_str_eq(error.message, cases[i].message, "case %zu", i);
    }
}

Test(error, names_every_code_and_finds_it_by_name)
{
    static const int codes[] = {
#define CODE(symbol, value, name, text) symbol,
        VTA_ERRORS(CODE)
#undef CODE
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        const char *name = vta_error_name(codes[i]);
        cr_assert_str_neq(name, "unknown");
        cr_assert_eq(vta_error_from_name(name), codes[i], "%s", name);
        for (size_t j = 0; j < i; j++) {
            cr_assert_neq(codes[i], codes[j]);
            cr_assert_str_neq(name, vta_error_name(codes[j]));
        }
    }
    cr_assert_str_eq(vta_error_name(VTA_ESRAM), "refused-sram");
    cr_assert_str_eq(vta_error_name(0), "unknown");
    cr_assert_str_eq(vta_error_name(INT32_MIN), "unknown");
    cr_assert_gt(strlen(vta_error_text(INT32_MIN)), 0);
    cr_assert_eq(vta_error_from_name("no such code"), VTA_EINTERNAL);
}
