/* images.c: loads foreign bytes as an image, and checks what comes out (images.h). */
#include "images.h"

#include <stdlib.h>
#include <string.h>

#include "loader/image.h"

#define NBYTES_MAX (4u << 20)
#define ADDRESS    UINT64_C(0x40000000)

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* Memory of exactly the image's size, so that a step past its end is seen. */
static int reserve(void *context, uint64_t nbytes, uint8_t **bytes, uint64_t *address,
                   struct vta_error *error)
{
    uint8_t **memory = context;
    must(nbytes > 0 && nbytes % IMAGE_PAGE == 0 && *memory == NULL);
    if (nbytes > NBYTES_MAX)
        return vta_error_set(error, VTA_ENOMEM, "not so much");
    *memory = calloc(1, nbytes);
    must(*memory != NULL);
    *bytes = *memory;
    *address = ADDRESS;
    return 0;
}

/* Some are near, some far, some odd, some not there. */
static uint64_t import(void *context, const char *name)
{
    static const uint64_t addresses[] = { 0, 0x41000000, 0x41000001, 0xf0000000, 0x7f0000001000 };
    (void)context;
    return addresses[strlen(name) % (sizeof addresses / sizeof addresses[0])];
}

static void check(const struct image *image)
{
    uint64_t end = 0;
    for (uint32_t i = 0; i < image->part_count; i++) {
        const struct image_part *part = &image->parts[i];
        must(part->offset == end && part->nbytes > 0 && part->nbytes % IMAGE_PAGE == 0);
        must((part->access & (IMAGE_WRITE | IMAGE_EXECUTE)) != (IMAGE_WRITE | IMAGE_EXECUTE));
        end += part->nbytes;
    }
    must(end == image->nbytes);
    for (uint32_t i = 0; i < image->symbol_count; i++) {
        const struct image_symbol *symbol = &image->symbols[i];
        const uint64_t offset = (symbol->address & ~(uint64_t)symbol->function) - image->address;
        must(offset <= image->nbytes && symbol->nbytes <= image->nbytes - offset);
        const struct image_symbol *found = image_find(image, symbol->name);
        must(symbol->local || (found != NULL && strcmp(found->name, symbol->name) == 0));
        found = image_at(image, symbol->address);
        must(!symbol->function || offset == image->nbytes || found != NULL);
    }
    must(image_at(image, image->address - 1) == NULL);
    must(image_at(image, image->address + image->nbytes) == NULL);
}

void images(const uint8_t *data, size_t size, bool library)
{
    uint8_t *memory = NULL;
    const struct image_host host = { reserve, import, &memory };
    struct vta_error error = { 0 };
    struct image image;
    unsigned machine;
    bool is_library;
    /* A copy of its own, so that a step past the end is seen, and alignment is that of a file. */
    uint8_t *bytes = malloc(size + (size == 0));
    must(bytes != NULL);
    memcpy(bytes, data, size);
    const struct image_file file = { "f", bytes, size };
    int rc = image_identify(&file, &machine, &is_library, &error);
    must(rc == 0 || (rc == error.code && error.message[0] != '\0'));
    if (rc == 0 && is_library == library) {
        rc = image_load(&image, &file, 1, "module", &host, &error);
        must(rc == 0 || (rc == error.code && error.message[0] != '\0'));
        free(bytes); /* nothing of the file is needed any longer */
        bytes = NULL;
        if (rc == 0) {
            must(image.machine == machine);
            check(&image);
            image_clear(&image);
        }
    }
    free(memory);
    free(bytes);
}
