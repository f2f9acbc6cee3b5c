/* fuzz_object.c: machine code of a client as a relocatable object, for whichever machine its header
 * says. */
#include "fuzz_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_image(data, size, false);
    return 0;
}
