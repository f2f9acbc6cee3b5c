/* fuzz_library.c: machine code of a client as a shared library, for whichever machine its header
 * says. */
#include "images.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    images(data, size, true);
    return 0;
}
