/* sniff.c: MessagePack-RPC opens with an array, TVM with its magic number.
 */
#include "sniff.h"

#include <string.h>

static const uint8_t tvm_magic[SNIFF_BYTES] = { 0x71, 0xf2, 0x0f, 0x00 };

enum sniff sniff(const uint8_t *bytes, size_t nbytes)
{
    if (nbytes == 0)
        return SNIFF_MORE;
    if ((bytes[0] & 0xf0) == 0x90 || bytes[0] == 0xdc || bytes[0] == 0xdd)
        return SNIFF_NATIVE;

    size_t known = nbytes < SNIFF_BYTES ? nbytes : SNIFF_BYTES;
    if (memcmp(bytes, tvm_magic, known) != 0)
        return SNIFF_UNKNOWN;
    return known == SNIFF_BYTES ? SNIFF_TVM : SNIFF_MORE;
}
