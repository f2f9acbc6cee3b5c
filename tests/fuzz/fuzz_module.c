/* fuzz_module.c: any bytes as a module file. They are read as they are, and once more with their
 * digest put right, since the digest would hide everything behind it. What is accepted must be
 * writable, and what is written must be readable and the same bytes again.
 */
#include <stdlib.h>
#include <string.h>

#include <vta/module.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void write_and_read_again(const struct vta_module_image *image)
{
    struct vta_module_image again;
    uint8_t *first, *second;
    size_t first_size, second_size;

    must(vta_module_encode(image, &first, &first_size, NULL) == 0);
    must(vta_module_decode(&again, first, first_size, NULL, NULL) == 0);
    must(vta_module_encode(&again, &second, &second_size, NULL) == 0);
    must(first_size == second_size && memcmp(first, second, first_size) == 0);
    vta_module_image_clear(&again);
    free(first);
    free(second);
}

static void read_once(const uint8_t *data, size_t size)
{
    struct vta_module_image image;
    struct vta_error error = { 0 };
    int rc = vta_module_decode(&image, data, size, NULL, &error);

    must(rc == error.code);
    if (rc == 0)
        write_and_read_again(&image);
    else
        must(error.message[0] != '\0' && image.kernels == NULL);
    vta_module_image_clear(&image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *right;

    read_once(data, size);
    if (size <= VTA_DIGEST_BYTES + 9)
        return 0;
    right = malloc(size);
    must(right != NULL);
    memcpy(right, data, size);
    memcpy(right + size - VTA_DIGEST_BYTES - 9, "\246digest\304\040", 9);
    vta_digest(right, size - VTA_DIGEST_BYTES - 9, right + size - VTA_DIGEST_BYTES);
    read_once(right, size);
    free(right);
    return 0;
}
