/* image_library.c: a shared library to an image, by its program headers and its dynamic section
 * alone (image_build.h). Tables are read from the file, which nothing changes.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "image_build.h"

#define TAG_COUNT 40 /* of the dynamic section: those below, and one more */

struct library {
    struct image_build *build;
    const struct elf_view *elf;
    uint64_t low; /* the address in the file of the image's first byte */
    uint64_t tags[TAG_COUNT], gnu_hash;
    const uint8_t *symbols, *names;
    uint64_t symbol_count;
    uint64_t *imports; /* by symbol: its address, once it was asked for; owned */
    bool *asked;       /* owned */
};

static int damaged(const struct library *library, const char *what)
{
    return vta_error_set(library->build->error, VTA_EFORMAT, "%s: its %s is damaged or missing",
                         library->elf->file->name, what);
}

static int unsupported(const struct library *library, const char *what, uint64_t where)
{
    return vta_error_set(library->build->error, VTA_EUNSUPPORTED,
                         "%s: segment at 0x%" PRIx64 ": %s", library->elf->file->name, where, what);
}

/* ---- Segments ------------------------------------------------------------------------------ */

static uint64_t page_down(uint64_t value)
{
    return value & ~(uint64_t)(IMAGE_PAGE - 1);
}

static unsigned access_of(const Elf64_Phdr *segment)
{
    return IMAGE_READ | ((segment->p_flags & PF_W) != 0 ? IMAGE_WRITE : 0) |
           ((segment->p_flags & PF_X) != 0 ? IMAGE_EXECUTE : 0);
}

/* Adds a segment to the parts; what is between it and the one before belongs to that one. */
static int add_segment(struct library *library, const Elf64_Phdr *segment, uint64_t *end,
                       unsigned *access)
{
    const unsigned wanted = access_of(segment);
    const uint64_t begin = page_down(segment->p_vaddr);
    if (segment->p_filesz > segment->p_memsz || segment->p_vaddr > UINT64_MAX / 2 ||
        segment->p_memsz > IMAGE_NBYTES_MAX)
        return damaged(library, "segment table");
    if ((wanted & IMAGE_WRITE) != 0 && (wanted & IMAGE_EXECUTE) != 0)
        return unsupported(library, "it is both writable and executable", segment->p_vaddr);
    if (*access == 0) {
        library->low = begin;
    } else if (begin < *end && *access != wanted) {
        return unsupported(library,
                           "it is not after the one before, or shares a page with other access",
                           segment->p_vaddr);
    } else if (begin < library->low || begin - library->low > IMAGE_NBYTES_MAX) {
        return damaged(library, "segment table");
    } else if (begin > *end) {
        *end = begin;
    }
    int rc = *access == 0 || *access == wanted
                 ? 0
                 : image_add_part(library->build, *end - library->low, *access);
    const uint64_t last = image_page_up(segment->p_vaddr + segment->p_memsz);
    *end = *access == 0 || last > *end ? last : *end;
    *access = wanted;
    return rc;
}

static int map_segments(struct library *library)
{
    const struct elf_view *elf = library->elf;
    uint64_t end = 0;
    unsigned access = 0;
    int rc = 0;
    for (uint64_t i = 0; rc == 0 && i < elf->segment_count; i++) {
        const Elf64_Phdr segment = elf_view_segment(elf, i);
        if (segment.p_type == PT_TLS && segment.p_memsz > 0)
            rc = unsupported(library, "thread-local variables (PT_TLS)", segment.p_vaddr);
        else if (segment.p_type == PT_LOAD && (segment.p_memsz > 0 || segment.p_filesz > 0))
            rc = add_segment(library, &segment, &end, &access);
    }
    if (rc == 0)
        rc = image_reserve(library->build, end - library->low);
    if (rc == 0)
        rc = image_add_part(library->build, end - library->low, access);
    for (uint64_t i = 0; rc == 0 && i < elf->segment_count; i++) {
        const Elf64_Phdr segment = elf_view_segment(elf, i);
        if (segment.p_type == PT_LOAD && segment.p_filesz > 0)
            memcpy(library->build->image->bytes + (segment.p_vaddr - library->low),
                   elf->file->bytes + segment.p_offset, segment.p_filesz);
    }
    return rc;
}

/* Whether [address, address + nbytes) of the file's addresses is in the image. */
static bool is_inside(const struct library *library, uint64_t address, uint64_t nbytes)
{
    const uint64_t offset = address - library->low, all = library->build->image->nbytes;
    return offset <= all && nbytes <= all - offset;
}

/* Its bytes in the file, or NULL if they are not all there. */
static const uint8_t *file_bytes(const struct library *library, uint64_t address, uint64_t nbytes)
{
    for (uint64_t i = 0; i < library->elf->segment_count; i++) {
        const Elf64_Phdr segment = elf_view_segment(library->elf, i);
        const uint64_t offset = address - segment.p_vaddr;
        if (segment.p_type == PT_LOAD && offset <= segment.p_filesz &&
            nbytes <= segment.p_filesz - offset)
            return library->elf->file->bytes + segment.p_offset + offset;
    }
    return NULL;
}

/* ---- The dynamic section ------------------------------------------------------------------- */

static int read_tags(struct library *library)
{
    const struct elf_view *elf = library->elf;
    const size_t size = elf_address_nbytes(elf);
    for (uint64_t i = 0; i < elf->segment_count; i++) {
        const Elf64_Phdr segment = elf_view_segment(elf, i);
        if (segment.p_type != PT_DYNAMIC)
            continue;
        const uint8_t *entries = elf->file->bytes + segment.p_offset;
        for (uint64_t at = 0; at + 2 * size <= segment.p_filesz; at += 2 * size) {
            const uint64_t tag = elf_view_address(elf, entries + at);
            const uint64_t value = elf_view_address(elf, entries + at + size);
            if (tag == DT_NULL)
                return 0;
            if (tag < TAG_COUNT)
                library->tags[tag] = value;
            else if (tag == DT_GNU_HASH)
                library->gnu_hash = value;
        }
        return 0;
    }
    return damaged(library, "dynamic section");
}

static bool word_at(const struct library *library, uint64_t address, uint32_t *word)
{
    const uint8_t *bytes = file_bytes(library, address, 4);
    *word = bytes != NULL ? relocation_get32(bytes) : 0;
    return bytes != NULL;
}

/* The newer table does not say how many symbols there are: its last chain ends with the last one.
 */
static bool count_by_chains(const struct library *library, uint64_t *count)
{
    const uint64_t table = library->gnu_hash;
    uint32_t buckets, first, filters, last = 0, word = 0;
    if (!word_at(library, table, &buckets) || !word_at(library, table + 4, &first) ||
        !word_at(library, table + 8, &filters))
        return false;
    const uint64_t bucket = table + 16 + (uint64_t)filters * elf_address_nbytes(library->elf);
    for (uint32_t i = 0; i < buckets; i++) {
        if (!word_at(library, bucket + 4 * (uint64_t)i, &word))
            return false;
        last = word > last ? word : last;
    }
    if (last < first) {
        *count = first;
        return last == 0;
    }
    const uint64_t chain = bucket + 4 * (uint64_t)buckets;
    do {
        if (!word_at(library, chain + 4 * ((uint64_t)last - first), &word))
            return false;
        last++;
    } while ((word & 1) == 0);
    *count = last;
    return true;
}

static int read_symbols(struct library *library)
{
    uint32_t count = 0;
    if (library->tags[DT_HASH] != 0) {
        if (!word_at(library, library->tags[DT_HASH] + 4, &count))
            return damaged(library, "hash table");
        library->symbol_count = count;
    } else if (library->gnu_hash == 0 || !count_by_chains(library, &library->symbol_count)) {
        return damaged(library, "hash table");
    }
    library->symbols = file_bytes(library, library->tags[DT_SYMTAB],
                                  library->symbol_count * elf_symbol_nbytes(library->elf));
    library->names = file_bytes(library, library->tags[DT_STRTAB], library->tags[DT_STRSZ]);
    if (library->symbols == NULL || library->names == NULL)
        return damaged(library, "symbol table");
    library->imports = calloc(library->symbol_count + 1, sizeof *library->imports);
    library->asked = calloc(library->symbol_count + 1, sizeof *library->asked);
    return library->imports != NULL && library->asked != NULL ? 0 : image_no_memory(library->build);
}

static int check_symbol(const struct library *library, const Elf64_Sym *symbol, const char *name)
{
    const unsigned type = ELF64_ST_TYPE(symbol->st_info);
    if (name == NULL)
        return damaged(library, "symbol table");
    if (symbol->st_shndx == SHN_UNDEF || symbol->st_shndx == SHN_ABS)
        return 0;
    if (type == STT_GNU_IFUNC || type == STT_TLS)
        return vta_error_set(
            library->build->error, VTA_EUNSUPPORTED,
            "%s: symbol %.200s: its type, %s, is not supported", library->elf->file->name, name,
            type == STT_TLS ? "thread-local (STT_TLS)" : "indirect function (STT_GNU_IFUNC)");
    if (!is_inside(library, symbol->st_value, symbol->st_size))
        return damaged(library, "symbol table");
    return 0;
}

static int export_symbols(struct library *library)
{
    int rc = image_expect_symbols(library->build, library->symbol_count);
    for (uint64_t i = 1; rc == 0 && i < library->symbol_count; i++) {
        const Elf64_Sym symbol = elf_view_symbol(library->elf, library->symbols, i);
        const char *name = elf_text(library->names, library->tags[DT_STRSZ], symbol.st_name);
        const unsigned type = ELF64_ST_TYPE(symbol.st_info);
        rc = check_symbol(library, &symbol, name);
        if (rc != 0 || symbol.st_shndx == SHN_UNDEF || symbol.st_shndx == SHN_ABS ||
            type == STT_SECTION || ELF64_ST_BIND(symbol.st_info) == STB_LOCAL)
            continue;
        image_export(library->build,
                     &(struct image_symbol){ .name = name,
                                             .address = library->build->image->address +
                                                        symbol.st_value - library->low,
                                             .nbytes = symbol.st_size,
                                             .function = type == STT_FUNC });
    }
    return rc;
}

/* ---- Relocations --------------------------------------------------------------------------- */

/* Puts a symbol's address into a relocation; *name: for messages. */
static int find_symbol(struct library *library, uint64_t index, struct relocation *relocation,
                       const char **name)
{
    const Elf64_Sym symbol = elf_view_symbol(library->elf, library->symbols, index);
    const bool weak = ELF64_ST_BIND(symbol.st_info) == STB_WEAK;
    *name = elf_text(library->names, library->tags[DT_STRSZ], symbol.st_name);
    if (*name == NULL)
        return damaged(library, "symbol table");
    relocation->imported = symbol.st_shndx == SHN_UNDEF;
    if (!relocation->imported) {
        relocation->symbol = symbol.st_value;
        if (symbol.st_shndx != SHN_ABS)
            relocation->symbol += library->build->image->address - library->low;
    } else {
        if (!library->asked[index])
            library->imports[index] = image_import(library->build, *name, weak);
        library->asked[index] = true;
        relocation->symbol = library->imports[index];
    }
    if (library->elf->machine == EM_ARM &&
        (relocation->imported || ELF64_ST_TYPE(symbol.st_info) == STT_FUNC)) {
        relocation->thumb = (relocation->symbol & 1) != 0;
        relocation->symbol &= ~UINT64_C(1);
    }
    relocation->nbytes = symbol.st_size;
    return 0;
}

static int apply(struct library *library, const Elf64_Rela *entry, bool addend)
{
    struct image_build *build = library->build;
    const struct image_file *file = library->elf->file;
    const uint64_t index = ELF64_R_SYM(entry->r_info), offset = entry->r_offset - library->low;
    struct relocation relocation = {
        .type = relocation_type(build->machine, (uint32_t)ELF64_R_TYPE(entry->r_info)),
        .place = build->image->address + offset,
        .addend = (uint64_t)entry->r_addend,
        .base = build->image->address - library->low,
    };
    const char *name = "";
    int rc = index == 0 ? 0
             : index < library->symbol_count
                 ? find_symbol(library, index, &relocation, &name)
                 : image_refuse_relocation(build, file, "", entry, "", "there is no such symbol");
    if (rc != 0)
        return rc;
    if (relocation.type->formula == UNSUPPORTED || relocation_uses_entry(relocation.type))
        return image_refuse_relocation(build, file, "", entry, name, "this type is not supported");
    if (!is_inside(library, entry->r_offset, relocation_nbytes(build->machine, relocation.type)))
        return image_refuse_relocation(build, file, "", entry, name, "it lies outside the library");
    relocation.bytes = build->image->bytes + offset;
    if (!addend)
        relocation.addend = relocation_addend(build->machine, &relocation);
    return image_relocate(build, &relocation, file, "", entry, name);
}

static int apply_table(struct library *library, uint64_t address, uint64_t nbytes, bool addend)
{
    const uint64_t size = elf_relocation_nbytes(library->elf, addend);
    const uint8_t *table = file_bytes(library, address, nbytes);
    int rc = 0;
    if (nbytes == 0)
        return 0;
    if (table == NULL || (!addend && library->build->machine->read == NULL))
        return damaged(library, "relocation table");
    for (uint64_t i = 0; rc == 0 && i < nbytes / size; i++) {
        const Elf64_Rela entry = elf_view_relocation(library->elf, table, i, addend);
        rc = apply(library, &entry, addend);
    }
    return rc;
}

/* Adds where the image lies to the address at `address`. */
static bool rebase(struct library *library, uint64_t address)
{
    const size_t size = elf_address_nbytes(library->elf);
    if (!is_inside(library, address, size))
        return false;
    uint8_t *bytes = library->build->image->bytes + (address - library->low);
    const uint64_t value =
        elf_view_address(library->elf, bytes) + library->build->image->address - library->low;
    memcpy(bytes, &value, size);
    return true;
}

/* Compact relative relocations: an even word is the address of one; an odd one has a bit for each
 * of the words that follow. */
static int apply_compact(struct library *library)
{
    const size_t size = elf_address_nbytes(library->elf);
    const uint64_t nbytes = library->tags[DT_RELRSZ];
    const uint8_t *table = file_bytes(library, library->tags[DT_RELR], nbytes);
    uint64_t next = 0;
    if (nbytes > 0 && table == NULL)
        return damaged(library, "relocation table");
    for (uint64_t at = 0; nbytes - at >= size; at += size) {
        const uint64_t word = elf_view_address(library->elf, table + at);
        if ((word & 1) == 0) {
            if (!rebase(library, word))
                return damaged(library, "relocation table");
            next = word + size;
            continue;
        }
        for (unsigned bit = 1; bit < 8 * size; bit++) {
            if ((word >> bit & 1) != 0 && !rebase(library, next + (bit - 1) * size))
                return damaged(library, "relocation table");
        }
        next += (8 * size - 1) * size;
    }
    return 0;
}

static int apply_all(struct library *library)
{
    const uint64_t *tags = library->tags;
    int rc = apply_compact(library);
    if (rc == 0)
        rc = apply_table(library, tags[DT_REL], tags[DT_RELSZ], false);
    if (rc == 0)
        rc = apply_table(library, tags[DT_RELA], tags[DT_RELASZ], true);
    if (rc == 0)
        rc = apply_table(library, tags[DT_JMPREL], tags[DT_PLTRELSZ], tags[DT_PLTREL] == DT_RELA);
    return rc == 0 ? image_check_missing(library->build) : rc;
}

/* ---- Functions to call --------------------------------------------------------------------- */

static int add_calls(struct library *library, struct image_calls *calls, unsigned function,
                     unsigned array, unsigned array_nbytes)
{
    struct image_build *build = library->build;
    const uint64_t *tags = library->tags;
    int rc = 0;
    if (tags[function] != 0)
        rc = image_add_call(build, calls, 0, build->image->address + tags[function] - library->low);
    if (rc != 0 || tags[array_nbytes] == 0)
        return rc;
    if (!is_inside(library, tags[array], tags[array_nbytes]))
        return damaged(library, "table of initialisers");
    return image_add_calls(build, calls, 1, tags[array] - library->low, tags[array_nbytes]);
}

/* ---- All of it ----------------------------------------------------------------------------- */

static int load(struct library *library)
{
    struct image_build *build = library->build;
    int rc = map_segments(library);
    if (rc == 0)
        rc = read_tags(library);
    if (rc == 0)
        rc = read_symbols(library);
    if (rc == 0)
        rc = apply_all(library);
    if (rc == 0)
        rc = add_calls(library, &build->init, DT_INIT, DT_INIT_ARRAY, DT_INIT_ARRAYSZ);
    if (rc == 0)
        rc = add_calls(library, &build->fini, DT_FINI, DT_FINI_ARRAY, DT_FINI_ARRAYSZ);
    return rc == 0 ? export_symbols(library) : rc;
}

int image_load_library(struct image_build *build, const struct elf_view *elf)
{
    struct library library = { .build = build, .elf = elf };
    int rc = load(&library);
    free(library.imports);
    free(library.asked);
    return rc;
}
