/* bitstream.c: reads the header of a .bit file, from any bytes. */
#include "bitstream.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const uint8_t begin[] = { 0x00, 0x09, 0x0f, 0xf0, 0x0f, 0xf0, 0x0f,
                                 0xf0, 0x0f, 0xf0, 0x00, 0x00, 0x01 };

struct cursor {
    const uint8_t *bytes;
    size_t left;
};

static bool take(struct cursor *cursor, size_t nbytes, const uint8_t **taken)
{
    if (nbytes > cursor->left)
        return false;
    *taken = cursor->bytes;
    cursor->bytes += nbytes;
    cursor->left -= nbytes;
    return true;
}

static int cut_short(char key, struct vta_error *error)
{
    return vta_error_set(error, VTA_EFORMAT, "a bitstream's header that is truncated in field '%c'",
                         key);
}

/* The key, which comes next. */
static int take_key(struct cursor *cursor, char key, struct vta_error *error)
{
    const uint8_t *byte;
    if (!take(cursor, 1, &byte))
        return cut_short(key, error);
    if (*byte != (uint8_t)key)
        return vta_error_set(error, VTA_EFORMAT,
                             "a bitstream's header with byte 0x%02x in place of field '%c'", *byte,
                             key);
    return 0;
}

static int take_text(struct cursor *cursor, char key, char text[VTA_BITSTREAM_TEXT],
                     struct vta_error *error)
{
    const uint8_t *length, *bytes;
    int rc = take_key(cursor, key, error);
    if (rc != 0)
        return rc;
    if (!take(cursor, 2, &length))
        return cut_short(key, error);
    size_t nbytes = (size_t)length[0] << 8 | length[1], used = 0;
    if (!take(cursor, nbytes, &bytes))
        return cut_short(key, error);
    for (; used < nbytes && used < VTA_BITSTREAM_TEXT - 1 && bytes[used] != 0; used++)
        text[used] = bytes[used] >= ' ' && bytes[used] <= '~' ? (char)bytes[used] : '?';
    text[used] = '\0';
    return 0;
}

static int take_size(struct cursor *cursor, char key, uint32_t *nbytes, struct vta_error *error)
{
    const uint8_t *size;
    int rc = take_key(cursor, key, error);
    if (rc != 0)
        return rc;
    if (!take(cursor, 4, &size))
        return cut_short(key, error);
    *nbytes = (uint32_t)size[0] << 24 | (uint32_t)size[1] << 16 | (uint32_t)size[2] << 8 | size[3];
    return 0;
}

int vta_bitstream_read(struct vta_bitstream *bitstream, const uint8_t *bytes, size_t nbytes,
                       struct vta_error *error)
{
    struct cursor cursor = { .bytes = bytes, .left = nbytes };
    const uint8_t *first;
    *bitstream = (struct vta_bitstream){ .nbytes = 0 };
    if (!take(&cursor, sizeof begin, &first) || memcmp(first, begin, sizeof begin) != 0)
        return vta_error_set(error, VTA_EFORMAT,
                             "no bitstream: it does not begin as a .bit file does");
    int rc = take_text(&cursor, 'a', bitstream->design, error);
    if (rc == 0)
        rc = take_text(&cursor, 'b', bitstream->part, error);
    if (rc == 0)
        rc = take_text(&cursor, 'c', bitstream->date, error);
    if (rc == 0)
        rc = take_text(&cursor, 'd', bitstream->time, error);
    if (rc == 0)
        rc = take_size(&cursor, 'e', &bitstream->nbytes, error);
    return rc;
}

void vta_bitstream_print(const struct vta_bitstream *bitstream, char line[VTA_BITSTREAM_LINE])
{
    snprintf(line, VTA_BITSTREAM_LINE, "design '%s', part '%s', made %s %s, %u bytes",
             bitstream->design, bitstream->part, bitstream->date, bitstream->time,
             bitstream->nbytes);
}
