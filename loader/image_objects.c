/* image_objects.c: relocatable objects to an image: their sections, which symbols need a GOT entry
 * or a stub, and their relocations (image_build.h).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image_build.h"

const char *section_name(const struct object *object, const struct section *section)
{
    return elf_view_section_name(&object->elf, &section->header);
}

/* ---- Sections ------------------------------------------------------------------------------ */

static int refuse_section(const struct objects *objects, const struct object *object,
                          const struct section *section, const char *reason)
{
    return vta_error_set(objects->build->error, VTA_EUNSUPPORTED, "%s: section %.200s: %s",
                         object->elf.file->name, section_name(object, section), reason);
}

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static int place_section(struct objects *objects, struct object *object, struct section *section)
{
    const uint64_t flags = section->header.sh_flags, alignment = section->header.sh_addralign;
    const char *name = section_name(object, section);
    if (section->header.sh_type == SHT_NULL || (flags & SHF_ALLOC) == 0)
        return 0;
    if ((flags & SHF_TLS) != 0)
        return refuse_section(objects, object, section,
                              "thread-local variables (SHF_TLS) are not supported");
    if ((flags & SHF_COMPRESSED) != 0)
        return refuse_section(objects, object, section, "it is compressed (SHF_COMPRESSED)");
    if ((flags & SHF_WRITE) != 0 && (flags & SHF_EXECINSTR) != 0)
        return refuse_section(objects, object, section, "it is both writable and executable");
    if ((alignment & (alignment - 1)) != 0 || alignment > IMAGE_PAGE)
        return refuse_section(objects, object, section,
                              "its alignment is not a power of two up to 4096");
    if (section->header.sh_size != 0 &&
        (begins_with(name, ".ctors") || begins_with(name, ".dtors")))
        return refuse_section(objects, object, section,
                              "constructors must be in .init_array, destructors in .fini_array");
    if (section->header.sh_size > IMAGE_NBYTES_MAX)
        return vta_error_limit(
            objects->build->error, VTA_ELIMIT, (int64_t)IMAGE_NBYTES_MAX, INT64_MAX,
            "%s: section %.200s: 0x%" PRIx64 " bytes, allowed are 0x%" PRIx64,
            object->elf.file->name, name, section->header.sh_size, IMAGE_NBYTES_MAX);
    section->place = (flags & SHF_EXECINSTR) != 0 ? SECTION_CODE
                     : (flags & SHF_WRITE) != 0   ? SECTION_DATA
                                                  : SECTION_CONST;
    if (section->place == SECTION_CODE)
        objects->code_nbytes += section->header.sh_size;
    return 0;
}

static int read_symbol_table(struct objects *objects, struct object *object,
                             const Elf64_Shdr *table)
{
    const struct image_file *file = object->elf.file;
    const size_t nbytes = elf_symbol_nbytes(&object->elf);
    Elf64_Shdr names = { .sh_type = SHT_NULL };
    if (table->sh_link < object->elf.section_count)
        names = object->sections[table->sh_link].header;
    if (object->symbol_table != NULL || names.sh_type != SHT_STRTAB ||
        table->sh_size / nbytes > UINT32_MAX / 2)
        return vta_error_set(objects->build->error, VTA_EFORMAT,
                             "%s: its symbol table is damaged, or there are two", file->name);
    object->symbol_table = file->bytes + table->sh_offset;
    object->symbol_count = (uint32_t)(table->sh_size / nbytes);
    object->names = file->bytes + names.sh_offset;
    object->names_nbytes = names.sh_size;
    return 0;
}

static int read_object(struct objects *objects, struct object *object)
{
    const uint64_t count = object->elf.section_count;
    uint64_t contents = 0;
    int rc = 0;
    object->sections = calloc(count + 1, sizeof *object->sections);
    if (object->sections == NULL)
        return image_no_memory(objects->build);
    for (uint64_t i = 0; i < count; i++)
        object->sections[i].header = elf_view_section(&object->elf, i);
    for (uint64_t i = 1; rc == 0 && i < count; i++) {
        struct section *section = &object->sections[i];
        if (section->header.sh_type != SHT_NOBITS && section->header.sh_type != SHT_NULL)
            contents += section->header.sh_size;
        if (contents > object->elf.file->nbytes)
            return vta_error_set(objects->build->error, VTA_EFORMAT,
                                 "%s: its sections overlap: together they have more bytes than the "
                                 "file, %zu",
                                 object->elf.file->name, object->elf.file->nbytes);
        if (section->header.sh_type == SHT_SYMTAB_SHNDX)
            return refuse_section(objects, object, section, "an object has too many sections");
        if (section->header.sh_type == SHT_SYMTAB)
            rc = read_symbol_table(objects, object, &section->header);
        if (rc == 0)
            rc = place_section(objects, object, section);
    }
    return rc;
}

/* ---- Relocations --------------------------------------------------------------------------- */

/* A relocation in a file. */
struct site {
    struct objects *objects;
    const struct object *object;
    const struct section *section; /* that it changes */
    Elf64_Rela entry;
    bool addend; /* in the entry; otherwise in the field */
    const struct relocation_type *type;
    struct symbol *symbol;
};

static const char *symbol_text(const struct site *site)
{
    const struct symbol *symbol = site->symbol;
    if (symbol->type == STT_SECTION && symbol->object != NULL && symbol->section < SHN_LORESERVE)
        return section_name(symbol->object, &symbol->object->sections[symbol->section]);
    return symbol->name;
}

static int refuse_site(const struct site *site, const char *reason)
{
    return image_refuse_relocation(site->objects->build, site->object->elf.file,
                                   section_name(site->object, site->section), &site->entry,
                                   site->symbol != NULL ? symbol_text(site) : "", reason);
}

static int visit_section(struct site *site, const Elf64_Shdr *table, int (*visit)(struct site *))
{
    const struct object *object = site->object;
    const struct relocation_machine *machine = site->objects->build->machine;
    const uint8_t *entries = object->elf.file->bytes + table->sh_offset;
    const uint64_t count = table->sh_size / elf_relocation_nbytes(&object->elf, site->addend);
    int rc = 0;
    if (!site->addend && machine->read == NULL)
        return refuse_section(site->objects, object, site->section,
                              "relocations without addends (SHT_REL)");
    for (uint64_t i = 0; rc == 0 && i < count; i++) {
        site->entry = elf_view_relocation(&object->elf, entries, i, site->addend);
        site->type = relocation_type(machine, (uint32_t)ELF64_R_TYPE(site->entry.r_info));
        site->symbol = NULL;
        const uint64_t symbol = ELF64_R_SYM(site->entry.r_info);
        if (symbol != 0 && symbol >= object->symbol_count)
            return refuse_site(site, "there is no such symbol");
        site->symbol = &site->objects->symbols[symbol != 0 ? object->symbols[symbol] : 0];
        if (site->type->formula == UNSUPPORTED)
            return refuse_site(site, "this type is not supported");
        if (site->type->formula == NOTHING)
            continue;
        const uint32_t nbytes = relocation_nbytes(machine, site->type);
        if (site->section->header.sh_type == SHT_NOBITS || site->section->header.sh_size < nbytes ||
            site->entry.r_offset > site->section->header.sh_size - nbytes)
            return refuse_site(site, "it lies outside its section");
        rc = visit(site);
    }
    return rc;
}

static int visit_relocations(struct objects *objects, int (*visit)(struct site *))
{
    int rc = 0;
    for (uint32_t i = 0; i < objects->count; i++) {
        const struct object *object = &objects->list[i];
        for (uint64_t j = 1; rc == 0 && j < object->elf.section_count; j++) {
            const Elf64_Shdr *table = &object->sections[j].header;
            struct site site = { .objects = objects, .object = object };
            if ((table->sh_type != SHT_REL && table->sh_type != SHT_RELA) ||
                table->sh_info >= object->elf.section_count)
                continue;
            site.section = &object->sections[table->sh_info];
            site.addend = table->sh_type == SHT_RELA;
            if (site.section->place >= SECTION_CODE)
                rc = visit_section(&site, table, visit);
        }
    }
    return rc;
}

/* What a symbol is that no file defines. */
static void find_import(struct objects *objects, struct symbol *symbol)
{
    symbol->address = image_import(objects->build, symbol->name, symbol->weak);
    symbol->imported = symbol->address != 0;
    if (objects->build->image->machine == EM_ARM) {
        symbol->thumb = (symbol->address & 1) != 0;
        symbol->address &= ~UINT64_C(1);
    }
}

static bool wants_stub(const struct objects *objects, const struct site *site)
{
    const struct relocation_machine *machine = objects->build->machine;
    const struct symbol *symbol = site->symbol;
    switch (site->type->formula) {
    case BRANCH:
        return symbol->section == SHN_UNDEF ||
               (symbol->type != STT_SECTION && objects->code_nbytes > machine->branch_reach);
    case ADDRESS:
    case DISTANCE:
    case PAGE_DISTANCE:
        return symbol->imported && site->type->field != FIELD_64 &&
               machine->address_reach != UINT64_MAX;
    default:
        return false;
    }
}

/* Where a section is that is described by tables for unwinding. */
static bool is_unwinding(const struct site *site)
{
    const char *name = section_name(site->object, site->section);
    return begins_with(name, ".eh_frame") || begins_with(name, ".gcc_except_table") ||
           begins_with(name, ".ARM.ex");
}

static bool is_left_out(const struct symbol *symbol)
{
    return symbol->section != SHN_UNDEF && symbol->section < SHN_LORESERVE &&
           symbol->object->sections[symbol->section].place < SECTION_CODE;
}

/* First pass: finds imports, and counts what the image needs besides the sections. */
static int demand(struct site *site)
{
    struct objects *objects = site->objects;
    struct symbol *symbol = site->symbol;
    if (is_left_out(symbol))
        return is_unwinding(site) ? 0 : refuse_site(site, "it is in a section that is left out");
    if (symbol->section == SHN_UNDEF && !symbol->used)
        find_import(objects, symbol);
    symbol->used = true;
    if (relocation_uses_entry(site->type) && symbol->entry == 0)
        symbol->entry = ++objects->entry_count;
    if (symbol->stub == 0 && wants_stub(objects, site))
        symbol->stub = ++objects->stub_count;
    return 0;
}

/* Second pass, over sections in the image. */
static int apply(struct site *site)
{
    const struct objects *objects = site->objects;
    const struct relocation_machine *machine = objects->build->machine;
    const struct image *image = objects->build->image;
    const struct symbol *symbol = site->symbol;
    const uint64_t offset = site->section->offset + site->entry.r_offset;
    if (is_left_out(symbol))
        return 0;
    struct relocation relocation = {
        .type = site->type,
        .bytes = image->bytes + offset,
        .before = site->entry.r_offset,
        .code = site->section->place == SECTION_CODE,
        .place = image->address + offset,
        .symbol = symbol->address,
        .addend = (uint64_t)site->entry.r_addend,
        .got = image->address + objects->entry_offset,
        .base = image->address,
        .nbytes = symbol->nbytes,
        .thumb = symbol->thumb,
        .function = symbol->type == STT_FUNC || symbol->imported,
        .imported = symbol->imported,
        .far = symbol->far,
    };
    if (!site->addend)
        relocation.addend = relocation_addend(machine, &relocation);
    if (symbol->entry != 0)
        relocation.entry =
            relocation.got + (symbol->entry - 1) * elf_address_nbytes(&site->object->elf);
    if (symbol->stub != 0)
        relocation.stub = image->address + objects->stub_offset +
                          (uint64_t)(symbol->stub - 1) * machine->stub_nbytes;
    return image_relocate(objects->build, &relocation, site->object->elf.file,
                          section_name(site->object, site->section), &site->entry,
                          symbol_text(site));
}

/* ---- Functions to call --------------------------------------------------------------------- */

/* Sections with a number come first, by that number; then those without. */
static uint32_t call_order(const char *name, const char *prefix)
{
    unsigned long number = 0xffff + 1;
    if (begins_with(name, prefix))
        number = strtoul(name + strlen(prefix), NULL, 10);
    return 1 + (number > 0xffff ? 0x10000 : (uint32_t)number);
}

static int find_calls(struct objects *objects)
{
    struct image_build *build = objects->build;
    int rc = 0;
    for (uint32_t i = 0; i < objects->count; i++) {
        const struct object *object = &objects->list[i];
        for (uint64_t j = 1; rc == 0 && j < object->elf.section_count; j++) {
            const struct section *section = &object->sections[j];
            const uint64_t nbytes = section->header.sh_size;
            if (section->place < SECTION_CODE)
                continue;
            const char *name = section_name(object, section);
            switch (section->header.sh_type) {
            case SHT_PREINIT_ARRAY:
                rc = image_add_calls(build, &build->init, 0, section->offset, nbytes);
                break;
            case SHT_INIT_ARRAY:
                rc = image_add_calls(build, &build->init, call_order(name, ".init_array."),
                                     section->offset, nbytes);
                break;
            case SHT_FINI_ARRAY:
                rc = image_add_calls(build, &build->fini, call_order(name, ".fini_array."),
                                     section->offset, nbytes);
                break;
            }
        }
    }
    return rc;
}

/* ---- All of it ----------------------------------------------------------------------------- */

static int load(struct objects *objects)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < objects->count; i++)
        rc = read_object(objects, &objects->list[i]);
    if (rc == 0)
        rc = symbols_resolve(objects);
    if (rc == 0)
        rc = visit_relocations(objects, demand);
    if (rc == 0)
        rc = image_check_missing(objects->build);
    if (rc == 0)
        rc = layout_make(objects);
    if (rc != 0)
        return rc;
    symbols_place(objects);
    layout_fill(objects);
    rc = visit_relocations(objects, apply);
    if (rc == 0)
        rc = find_calls(objects);
    if (rc == 0)
        rc = image_expect_symbols(objects->build, objects->symbol_count);
    if (rc == 0)
        symbols_export(objects);
    return rc;
}

int image_load_objects(struct image_build *build, const struct elf_view *files, uint32_t count)
{
    struct objects objects = { .build = build, .count = count };
    objects.list = calloc(count, sizeof *objects.list);
    if (objects.list == NULL)
        return image_no_memory(build);
    for (uint32_t i = 0; i < count; i++)
        objects.list[i].elf = files[i];
    int rc = load(&objects);
    for (uint32_t i = 0; i < count; i++) {
        free(objects.list[i].sections);
        free(objects.list[i].symbols);
    }
    free(objects.list);
    free(objects.symbols);
    /* The names of the image's symbols are in the files until they are copied. */
    return rc;
}
