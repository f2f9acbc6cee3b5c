/* fuzz_bitstream.c: any bytes as the header of a .bit file, which a client may upload.
 *
 * What is accepted is printed in one printable line; what is refused must say why.
 */
#include "core/bitstream.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vta_bitstream bitstream;
    struct vta_error error = { 0 };
    char line[VTA_BITSTREAM_LINE];
    int rc = vta_bitstream_read(&bitstream, data, size, &error);
    if (rc != 0) {
        expect(error.code == rc && error.message[0] != '\0');
        return 0;
    }
    vta_bitstream_print(&bitstream, line);
    expect(strlen(line) > 0 && strcmp(line + strlen(line) - 6, " bytes") == 0);
    for (const char *at = line; *at != '\0'; at++)
        expect(*at >= ' ' && *at <= '~');
    return 0;
}
