/* image.c: begins and ends an image, and answers what is in it (image.h). What is between is in
 * image_objects.c and image_library.c.
 */
#include "image.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image_build.h"

#define NAMED_SYMBOLS   8u /* in a message */
#define TEXT_NBYTES_MAX (UINT64_C(64) << 20)

int image_no_memory(const struct image_build *build)
{
    return vta_error_set(build->error, VTA_ENOMEM, "%s: no memory to load it", build->name);
}

/* ---- Symbols ------------------------------------------------------------------------------- */

int image_expect_symbols(struct image_build *build, uint64_t count)
{
    if (count > UINT32_MAX / sizeof *build->image->symbols)
        return image_no_memory(build);
    build->image->symbols = calloc(count + 1, sizeof *build->image->symbols);
    build->symbol_capacity = (uint32_t)count;
    return build->image->symbols != NULL ? 0 : image_no_memory(build);
}

void image_export(struct image_build *build, const struct image_symbol *symbol)
{
    if (build->image->symbol_count < build->symbol_capacity)
        build->image->symbols[build->image->symbol_count++] = *symbol;
}

static int by_name(const void *a, const void *b)
{
    const struct image_symbol *x = a, *y = b;
    const int order = strcmp(x->name, y->name);
    return order != 0 ? order : (x->address > y->address) - (x->address < y->address);
}

/* Sorts the symbols, and gives them names that outlive the files. */
static int keep_symbols(struct image_build *build)
{
    struct image *image = build->image;
    uint64_t nbytes = 1;
    for (uint32_t i = 0; i < image->symbol_count; i++)
        nbytes += strlen(image->symbols[i].name) + 1;
    if (nbytes > TEXT_NBYTES_MAX)
        return vta_error_limit(build->error, VTA_EFORMAT, TEXT_NBYTES_MAX, (int64_t)nbytes,
                               "%s: its symbols have names of %" PRIu64
                               " bytes, allowed are %" PRIu64,
                               build->name, nbytes, TEXT_NBYTES_MAX);
    image->text = malloc(nbytes);
    if (image->text == NULL)
        return image_no_memory(build);
    qsort(image->symbols, image->symbol_count, sizeof *image->symbols, by_name);
    char *text = image->text;
    for (uint32_t i = 0; i < image->symbol_count; i++) {
        const size_t length = strlen(image->symbols[i].name) + 1;
        image->symbols[i].name = memcpy(text, image->symbols[i].name, length);
        text += length;
    }
    return 0;
}

const struct image_symbol *image_find(const struct image *image, const char *name)
{
    uint32_t low = 0, high = image->symbol_count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (strcmp(image->symbols[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < image->symbol_count && strcmp(image->symbols[low].name, name) == 0; low++) {
        if (!image->symbols[low].local)
            return &image->symbols[low];
    }
    return NULL;
}

const struct image_symbol *image_at(const struct image *image, uint64_t address)
{
    const uint64_t thumb = image->machine == EM_ARM;
    const struct image_symbol *best = NULL;
    if (address - image->address >= image->nbytes)
        return NULL;
    for (uint32_t i = 0; i < image->symbol_count; i++) {
        const struct image_symbol *symbol = &image->symbols[i];
        if (symbol->function && (symbol->address & ~thumb) <= address &&
            (best == NULL || symbol->address > best->address))
            best = symbol;
    }
    return best;
}

/* ---- Imports ------------------------------------------------------------------------------- */

uint64_t image_import(struct image_build *build, const char *name, bool weak)
{
    const uint64_t address = build->host->import(build->host->context, name);
    if (address != 0 || weak)
        return address;
    if (build->missing++ < NAMED_SYMBOLS) {
        const size_t used = strlen(build->missing_names);
        snprintf(build->missing_names + used, sizeof build->missing_names - used, "%s%.56s",
                 used > 0 ? ", " : "", name);
    }
    return 0;
}

int image_check_missing(const struct image_build *build)
{
    if (build->missing == 0)
        return 0;
    if (build->missing == 1)
        return vta_error_set(build->error, VTA_ENOTFOUND,
                             "%s: it wants a symbol that nobody has: %s", build->name,
                             build->missing_names);
    if (build->missing > NAMED_SYMBOLS)
        return vta_error_set(build->error, VTA_ENOTFOUND,
                             "%s: it wants %u symbols that nobody has: %s, …", build->name,
                             build->missing, build->missing_names);
    return vta_error_set(build->error, VTA_ENOTFOUND, "%s: it wants symbols that nobody has: %s",
                         build->name, build->missing_names);
}

/* ---- Memory -------------------------------------------------------------------------------- */

int image_reserve(struct image_build *build, uint64_t nbytes)
{
    struct image *image = build->image;
    if (nbytes == 0)
        return vta_error_set(build->error, VTA_EFORMAT, "%s: no code and no data in it",
                             build->name);
    if (nbytes > IMAGE_NBYTES_MAX)
        return vta_error_limit(build->error, VTA_ELIMIT, (int64_t)IMAGE_NBYTES_MAX,
                               nbytes > INT64_MAX ? INT64_MAX : (int64_t)nbytes,
                               "%s: its code and data have %" PRIu64 " bytes, allowed are %" PRIu64,
                               build->name, nbytes, IMAGE_NBYTES_MAX);
    image->nbytes = nbytes;
    return build->host->reserve(build->host->context, nbytes, &image->bytes, &image->address,
                                build->error);
}

int image_add_part(struct image_build *build, uint64_t end, unsigned access)
{
    struct image *image = build->image;
    struct image_part *last = image->part_count > 0 ? &image->parts[image->part_count - 1] : NULL;
    const uint64_t begin = last != NULL ? last->offset + last->nbytes : 0;
    if (end == begin)
        return 0;
    if (last != NULL && last->access == access) {
        last->nbytes = end - last->offset;
        return 0;
    }
    struct image_part *parts =
        realloc(image->parts, (image->part_count + 1) * sizeof *image->parts);
    if (parts == NULL)
        return image_no_memory(build);
    image->parts = parts;
    parts[image->part_count++] = (struct image_part){ begin, end - begin, access };
    return 0;
}

/* ---- Functions to call --------------------------------------------------------------------- */

int image_add_call(struct image_build *build, struct image_calls *calls, uint32_t order,
                   uint64_t address)
{
    if (calls->count == calls->capacity) {
        const uint32_t capacity = calls->capacity * 2 + 8;
        struct image_call *more = realloc(calls->calls, capacity * sizeof *more);
        if (more == NULL)
            return image_no_memory(build);
        calls->calls = more;
        calls->capacity = capacity;
    }
    calls->calls[calls->count] = (struct image_call){ order, calls->count, address };
    calls->count++;
    return 0;
}

int image_add_calls(struct image_build *build, struct image_calls *calls, uint32_t order,
                    uint64_t offset, uint64_t nbytes)
{
    const uint32_t size = build->machine->wide ? 8 : 4;
    int rc = 0;
    for (uint64_t at = 0; rc == 0 && nbytes - at >= size; at += size) {
        uint64_t address = 0;
        memcpy(&address, build->image->bytes + offset + at, size);
        if (address != 0 && address != (size == 8 ? UINT64_MAX : UINT32_MAX))
            rc = image_add_call(build, calls, order, address);
    }
    return rc;
}

static int by_order(const void *a, const void *b)
{
    const struct image_call *x = a, *y = b;
    return x->order != y->order ? (x->order > y->order) - (x->order < y->order)
                                : (x->found > y->found) - (x->found < y->found);
}

static int keep_calls(struct image_build *build, struct image_calls *calls, bool backwards,
                      uint64_t **addresses, uint32_t *count)
{
    if (calls->count == 0)
        return 0;
    *addresses = malloc(calls->count * sizeof **addresses);
    if (*addresses == NULL)
        return image_no_memory(build);
    qsort(calls->calls, calls->count, sizeof *calls->calls, by_order);
    for (uint32_t i = 0; i < calls->count; i++)
        (*addresses)[i] = calls->calls[backwards ? calls->count - 1 - i : i].address;
    *count = calls->count;
    return 0;
}

/* ---- Relocations --------------------------------------------------------------------------- */

int image_refuse_relocation(const struct image_build *build, const struct image_file *file,
                            const char *where, const Elf64_Rela *entry, const char *symbol,
                            const char *reason)
{
    const uint32_t number = (uint32_t)ELF64_R_TYPE(entry->r_info);
    const struct relocation_type *type = relocation_type(build->machine, number);
    char about[160] = "";
    if (symbol[0] != '\0')
        snprintf(about, sizeof about, " against %.120s", symbol);
    return vta_error_set(
        build->error, type->formula == UNSUPPORTED ? VTA_EUNSUPPORTED : VTA_EFORMAT,
        "%s: relocation %s (%u) at %s+0x%" PRIx64 "%s: %s", file->name,
        type->name != NULL ? type->name : "type", number, where, entry->r_offset, about, reason);
}

int image_relocate(const struct image_build *build, struct relocation *relocation,
                   const struct image_file *file, const char *where, const Elf64_Rela *entry,
                   const char *symbol)
{
    int64_t value = 0, first, last;
    char reason[160];
    if (relocate(build->machine, relocation, &value))
        return 0;
    relocation_range(relocation->type, &first, &last);
    if (value < first || value > last)
        snprintf(reason, sizeof reason,
                 "the value %" PRId64 " (0x%" PRIx64 ") is not in the range %" PRId64 " to %" PRId64
                 "%s",
                 value, (uint64_t)value, first, last,
                 relocation->imported ? "; it is imported" : "");
    else
        snprintf(reason, sizeof reason,
                 "the instruction cannot hold the value %" PRId64 " (0x%" PRIx64 ")", value,
                 (uint64_t)value);
    return image_refuse_relocation(build, file, where, entry, symbol, reason);
}

/* ---- Loading ------------------------------------------------------------------------------- */

int image_identify(const struct image_file *file, unsigned *machine, bool *library,
                   struct vta_error *error)
{
    struct elf_view elf;
    int rc = elf_view_open(&elf, file, error);
    if (rc == 0) {
        *machine = elf.machine;
        *library = elf.library;
    }
    return rc;
}

static int open_files(struct image_build *build, const struct image_file *files, uint32_t count,
                      struct elf_view *views)
{
    for (uint32_t i = 0; i < count; i++) {
        char first[ELF_MACHINE_TEXT], other[ELF_MACHINE_TEXT];
        int rc = elf_view_open(&views[i], &files[i], build->error);
        if (rc != 0)
            return rc;
        if (views[i].library && count > 1)
            return vta_error_set(build->error, VTA_EFORMAT,
                                 "%s: a shared library among object files", files[i].name);
        if (views[i].machine == views[0].machine)
            continue;
        elf_machine_text(first, views[0].machine);
        elf_machine_text(other, views[i].machine);
        return vta_error_set(build->error, VTA_EHARDWARE, "%s: built for %s, but %s for %s",
                             files[i].name, other, files[0].name, first);
    }
    return 0;
}

static int load(struct image_build *build, const struct image_file *files, uint32_t count,
                struct elf_view *views)
{
    struct image *image = build->image;
    int rc = open_files(build, files, count, views);
    if (rc != 0)
        return rc;
    image->machine = views[0].machine;
    build->machine = relocation_machine(image->machine);
    rc = views[0].library ? image_load_library(build, &views[0])
                          : image_load_objects(build, views, count);
    if (rc == 0)
        rc = keep_symbols(build);
    if (rc == 0)
        rc = keep_calls(build, &build->init, false, &image->init, &image->init_count);
    if (rc == 0)
        rc = keep_calls(build, &build->fini, true, &image->fini, &image->fini_count);
    return rc;
}

int image_load(struct image *image, const struct image_file *files, uint32_t count,
               const char *name, const struct image_host *host, struct vta_error *error)
{
    struct image_build build = { .image = image, .host = host, .name = name, .error = error };
    *image = (struct image){ 0 };
    if (count == 0)
        return vta_error_set(error, VTA_EFORMAT, "%s: no object file in it", name);
    struct elf_view *views = calloc(count, sizeof *views);
    int rc = views != NULL ? load(&build, files, count, views) : image_no_memory(&build);
    free(views);
    free(build.init.calls);
    free(build.fini.calls);
    if (rc != 0)
        image_clear(image);
    return rc;
}

void image_clear(struct image *image)
{
    free(image->parts);
    free(image->symbols);
    free(image->init);
    free(image->fini);
    free(image->text);
    *image = (struct image){ 0 };
}
