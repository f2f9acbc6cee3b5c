/* fuzz_object.c: machine code of a client as a relocatable object, for whichever machine its header
 * says. */
#include "images.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    images(data, size, false);
    return 0;
}
