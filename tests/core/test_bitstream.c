/* test_bitstream.c: headers of .bit files: read, cut anywhere, and made printable. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "core/bitstream.h"

static struct vta_error error;
static uint8_t file[70000];
static size_t used;

static void put(const void *bytes, size_t nbytes)
{
    cr_assert_leq(used + nbytes, sizeof file);
    memcpy(file + used, bytes, nbytes);
    used += nbytes;
}

static void put_field(char key, const char *text, size_t nbytes)
{
    const uint8_t head[] = { (uint8_t)key, (uint8_t)(nbytes >> 8), (uint8_t)nbytes };
    put(head, sizeof head);
    put(text, nbytes);
}

#define FIELD(key, text) put_field(key, text, sizeof text) /* with its zero byte */

static void put_begin(void)
{
    used = 0;
    put("\x00\x09\x0f\xf0\x0f\xf0\x0f\xf0\x0f\xf0\x00\x00\x01", 13);
}

static void put_file(void)
{
    put_begin();
    FIELD('a', "vta_wrapper;UserID=0XFFFFFFFF;Version=2018.3");
    FIELD('b', "7z020clg400");
    FIELD('c', "2019/07/09");
    FIELD('d', "12:34:56");
    put("e\x00\x3d\xbb\x7c", 5);
}

Test(bitstream, is_described_in_one_line)
{
    struct vta_bitstream bitstream;
    char line[VTA_BITSTREAM_LINE];
    put_file();
    put("\xff\xff\xff\xff\xaa\x99\x55\x66", 8); /* the configuration itself */
    cr_assert_eq(vta_bitstream_read(&bitstream, file, used, &error), 0, "%s", error.message);
    cr_assert_str_eq(bitstream.part, "7z020clg400");
    cr_assert_eq(bitstream.nbytes, 0x3dbb7cu);
    vta_bitstream_print(&bitstream, line);
    cr_assert_str_eq(line, "design 'vta_wrapper;UserID=0XFFFFFFFF;Version=2018.3', part "
                           "'7z020clg400', made 2019/07/09 12:34:56, 4045692 bytes");
}

Test(bitstream, that_is_cut_anywhere_is_none)
{
    struct vta_bitstream bitstream;
    put_file();
    for (size_t cut = 0; cut < used; cut++) {
        uint8_t *copy = malloc(cut + 1); /* a sanitizer sees what is read behind it */
        memcpy(copy, file, cut);
        copy = realloc(copy, cut > 0 ? cut : 1);
        cr_assert_eq(vta_bitstream_read(&bitstream, copy, cut, &error), VTA_EFORMAT, "%zu", cut);
        cr_assert_not_null(strstr(error.message, cut < 13 ? "no bitstream" : "truncated in field"),
                           "%zu: %s", cut, error.message);
        free(copy);
    }
    cr_assert_eq(vta_bitstream_read(&bitstream, NULL, 0, &error), VTA_EFORMAT);
}

Test(bitstream, has_its_fields_in_their_order)
{
    struct vta_bitstream bitstream;
    put_begin();
    FIELD('a', "x");
    FIELD('c', "x");
    cr_assert_eq(vta_bitstream_read(&bitstream, file, used, &error), VTA_EFORMAT);
    cr_assert_str_eq(error.message, "a bitstream's header with byte 0x63 in place of field 'b'");
    put_file();
    file[1] = 8;
    cr_assert_eq(vta_bitstream_read(&bitstream, file, used, &error), VTA_EFORMAT);
    cr_assert_not_null(strstr(error.message, "no bitstream"));
}

Test(bitstream, has_texts_that_are_printable_and_not_too_long)
{
    static char text[65535];
    struct vta_bitstream bitstream;
    char line[VTA_BITSTREAM_LINE];
    memset(text, 'x', sizeof text);
    put_begin();
    put_field('a', text, sizeof text); /* no zero byte at its end */
    put_field('b', "\x1b[31m\n\xc3\xa9\x7f", 9);
    put_field('c', "", 0);
    put_field('d', "ab\0cd", 5);
    put("e\xff\xff\xff\xff", 5);
    cr_assert_eq(vta_bitstream_read(&bitstream, file, used, &error), 0, "%s", error.message);
    cr_assert_eq(strlen(bitstream.design), VTA_BITSTREAM_TEXT - 1);
    cr_assert_str_eq(bitstream.part, "?[31m????");
    cr_assert_str_eq(bitstream.date, "");
    cr_assert_str_eq(bitstream.time, "ab");
    vta_bitstream_print(&bitstream, line);
    cr_assert_not_null(strstr(line, "4294967295 bytes"));
}
