/* images.h: loads foreign bytes as an image, and checks what comes out. Nothing of it runs. */
#ifndef FUZZ_IMAGE_H
#define FUZZ_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* library: whether they must be one, or an object; what is the other is left alone. */
void images(const uint8_t *data, size_t size, bool library);

#endif
