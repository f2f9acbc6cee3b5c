/* bitstream.h: the header of a Xilinx .bit file: which design it is, for which part, made when. A
 * board that is a program needs no more of it.
 *
 *     u16 9, 0f f0 0f f0 0f f0 0f f0 00, u16 1, then
 *     'a' design, 'b' part, 'c' date, 'd' time: each u16 length, text with a zero byte at its end
 *     'e' u32 length of the configuration that follows
 *
 * Numbers are big-endian.
 */
#ifndef VTA_CORE_BITSTREAM_H
#define VTA_CORE_BITSTREAM_H

#include <stddef.h>
#include <stdint.h>

#include <vta/error.h>

#define VTA_BITSTREAM_TEXT 256  /* of one field; a longer one is cut */
#define VTA_BITSTREAM_LINE 1100 /* of a description */
#define VTA_BITSTREAM_HEAD 8192 /* first bytes of a file, enough for a header */

/* Texts are printable ASCII; other bytes have become '?'. */
struct vta_bitstream {
    char design[VTA_BITSTREAM_TEXT], part[VTA_BITSTREAM_TEXT];
    char date[VTA_BITSTREAM_TEXT], time[VTA_BITSTREAM_TEXT];
    uint32_t nbytes; /* of the configuration, as the header says */
};

/* Reads the header that `bytes` begin with; what follows it is not looked at. VTA_EFORMAT: it is no
 * such header, or ends too early. */
int vta_bitstream_read(struct vta_bitstream *bitstream, const uint8_t *bytes, size_t nbytes,
                       struct vta_error *error);

/* "design 'x', part 'y', made DATE TIME, N bytes": one line for a log. */
void vta_bitstream_print(const struct vta_bitstream *bitstream, char line[VTA_BITSTREAM_LINE]);

#endif
