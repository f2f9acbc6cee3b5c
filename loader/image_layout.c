/* image_layout.c: where sections, GOT and stubs of objects are in an image: code and stubs, then
 * the GOT and what is only read, then variables, then those that begin as zeros (image_build.h).
 */
#include <inttypes.h>
#include <string.h>

#include "image_build.h"

#define ENTRY_ALIGNMENT 8u
#define STUB_ALIGNMENT  16u

/* Takes `nbytes` from *end on. Both are at most IMAGE_NBYTES_MAX before, so that nothing overflows.
 */
static int take(struct objects *objects, uint64_t nbytes, uint64_t alignment, uint64_t *end,
                uint64_t *offset)
{
    const uint64_t begin = alignment > 1 ? (*end + alignment - 1) & ~(alignment - 1) : *end;
    if (begin + nbytes > IMAGE_NBYTES_MAX)
        return vta_error_limit(objects->build->error, VTA_ELIMIT, (int64_t)IMAGE_NBYTES_MAX,
                               (int64_t)(begin + nbytes),
                               "%s: its code and data have more than %" PRIu64 " bytes",
                               objects->build->name, IMAGE_NBYTES_MAX);
    *offset = begin;
    *end = begin + nbytes;
    return 0;
}

static int take_sections(struct objects *objects, enum section_place place, bool zeros,
                         uint64_t *end)
{
    int rc = 0;
    for (uint32_t i = 0; i < objects->count; i++) {
        const struct object *object = &objects->list[i];
        for (uint64_t j = 1; rc == 0 && j < object->elf.section_count; j++) {
            struct section *section = &object->sections[j];
            if (section->place == place && (section->header.sh_type == SHT_NOBITS) == zeros)
                rc = take(objects, section->header.sh_size, section->header.sh_addralign, end,
                          &section->offset);
        }
    }
    return rc;
}

static int take_common(struct objects *objects, uint64_t *end)
{
    int rc = 0;
    for (uint32_t i = 1; rc == 0 && i < objects->symbol_count; i++) {
        struct symbol *symbol = &objects->symbols[i];
        const uint64_t alignment = symbol->value;
        if (symbol->section != SHN_COMMON)
            continue;
        if (symbol->nbytes > IMAGE_NBYTES_MAX || alignment > IMAGE_PAGE ||
            (alignment & (alignment - 1)) != 0)
            return vta_error_set(
                objects->build->error, VTA_EUNSUPPORTED,
                "%s: symbol %.200s: %" PRIu64 " common bytes with alignment %" PRIu64,
                symbol->object->elf.file->name, symbol->name, symbol->nbytes, alignment);
        rc = take(objects, symbol->nbytes, alignment, end, &symbol->value);
    }
    return rc;
}

/* Ends a part at a page. */
static int end_part(struct objects *objects, unsigned access, uint64_t *end)
{
    *end = image_page_up(*end);
    return image_add_part(objects->build, *end, access);
}

int layout_make(struct objects *objects)
{
    const struct relocation_machine *machine = objects->build->machine;
    const uint64_t entries = (uint64_t)objects->entry_count * (machine->wide ? 8 : 4);
    const uint64_t stubs = (uint64_t)objects->stub_count * machine->stub_nbytes;
    uint64_t end = 0;
    int rc = take_sections(objects, SECTION_CODE, false, &end);
    if (rc == 0)
        rc = take(objects, stubs, STUB_ALIGNMENT, &end, &objects->stub_offset);
    if (rc == 0)
        rc = take_sections(objects, SECTION_CODE, true, &end);
    if (rc == 0)
        rc = end_part(objects, IMAGE_READ | IMAGE_EXECUTE, &end);
    if (rc == 0)
        rc = take(objects, entries, ENTRY_ALIGNMENT, &end, &objects->entry_offset);
    if (rc == 0)
        rc = take_sections(objects, SECTION_CONST, false, &end);
    if (rc == 0)
        rc = take_sections(objects, SECTION_CONST, true, &end);
    if (rc == 0)
        rc = end_part(objects, IMAGE_READ, &end);
    if (rc == 0)
        rc = take_sections(objects, SECTION_DATA, false, &end);
    if (rc == 0)
        rc = take_sections(objects, SECTION_DATA, true, &end);
    if (rc == 0)
        rc = take_common(objects, &end);
    if (rc == 0)
        rc = end_part(objects, IMAGE_READ | IMAGE_WRITE, &end);
    return rc == 0 ? image_reserve(objects->build, end) : rc;
}

static void fill_tables(struct objects *objects)
{
    const struct relocation_machine *machine = objects->build->machine;
    const struct image *image = objects->build->image;
    const size_t size = machine->wide ? 8 : 4;
    for (uint32_t i = 0; i < objects->symbol_count; i++) {
        const struct symbol *symbol = &objects->symbols[i];
        const uint64_t address = symbol->address | symbol->thumb;
        if (symbol->entry != 0)
            memcpy(image->bytes + objects->entry_offset + (symbol->entry - 1) * size, &address,
                   size);
        if (symbol->stub != 0)
            machine->stub(image->bytes + objects->stub_offset +
                              (uint64_t)(symbol->stub - 1) * machine->stub_nbytes,
                          address);
    }
}

void layout_fill(struct objects *objects)
{
    uint8_t *bytes = objects->build->image->bytes;
    for (uint32_t i = 0; i < objects->count; i++) {
        const struct object *object = &objects->list[i];
        for (uint64_t j = 1; j < object->elf.section_count; j++) {
            const struct section *section = &object->sections[j];
            if (section->place >= SECTION_CODE && section->header.sh_type != SHT_NOBITS)
                memcpy(bytes + section->offset, object->elf.file->bytes + section->header.sh_offset,
                       section->header.sh_size);
        }
    }
    fill_tables(objects);
}
