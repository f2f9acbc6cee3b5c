/* image_symbols.c: what names mean in several objects that become one image: groups of sections of
 * which the first one stays, definitions, weak and common ones (image_build.h).
 */
#include <stdlib.h>
#include <string.h>

#include "image_build.h"

/* A name in an object: of a group (index: its section) or of a symbol. */
struct mention {
    const char *name;
    uint32_t object, index;
};

static int by_name(const void *a, const void *b)
{
    const struct mention *x = a, *y = b;
    const int order = strcmp(x->name, y->name);
    if (order != 0)
        return order;
    if (x->object != y->object)
        return x->object < y->object ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static int damaged(const struct objects *objects, const struct object *object, const char *what,
                   uint64_t index)
{
    return vta_error_set(objects->build->error, VTA_EFORMAT, "%s: %s %llu is damaged",
                         object->elf.file->name, what, (unsigned long long)index);
}

/* NULL: it has none that can be read. */
static const char *name_of(const struct object *object, const Elf64_Sym *symbol)
{
    if (symbol->st_name == 0)
        return "";
    return elf_text(object->names, object->names_nbytes, symbol->st_name);
}

/* ---- Groups -------------------------------------------------------------------------------- */

static int discard_group(struct objects *objects, struct object *object, const Elf64_Shdr *group,
                         uint32_t index)
{
    const uint8_t *words = object->elf.file->bytes + group->sh_offset;
    for (uint64_t at = 4; at + 4 <= group->sh_size; at += 4) {
        const uint32_t member = relocation_get32(words + at);
        if (member >= object->elf.section_count)
            return damaged(objects, object, "group section", index);
        object->sections[member].place = SECTION_DISCARDED;
    }
    return 0;
}

/* The groups of which only one may stay. groups: NULL to count them. */
static int find_groups(struct objects *objects, struct mention *groups, uint32_t *count)
{
    *count = 0;
    for (uint32_t i = 0; i < objects->count; i++) {
        const struct object *object = &objects->list[i];
        for (uint64_t j = 1; j < object->elf.section_count; j++) {
            const Elf64_Shdr *group = &object->sections[j].header;
            if (group->sh_type != SHT_GROUP)
                continue;
            if (group->sh_size < 4 || group->sh_info >= object->symbol_count)
                return damaged(objects, object, "group section", j);
            if ((relocation_get32(object->elf.file->bytes + group->sh_offset) & GRP_COMDAT) == 0)
                continue;
            const Elf64_Sym symbol =
                elf_view_symbol(&object->elf, object->symbol_table, group->sh_info);
            const char *name = name_of(object, &symbol);
            if (ELF64_ST_TYPE(symbol.st_info) == STT_SECTION &&
                symbol.st_shndx < object->elf.section_count)
                name = section_name(object, &object->sections[symbol.st_shndx]);
            if (name == NULL)
                return damaged(objects, object, "group section", j);
            if (groups != NULL)
                groups[*count] = (struct mention){ name, i, (uint32_t)j };
            ++*count;
        }
    }
    return 0;
}

static int resolve_groups(struct objects *objects)
{
    uint32_t count;
    int rc = find_groups(objects, NULL, &count);
    if (rc != 0 || count == 0)
        return rc;
    struct mention *groups = calloc(count, sizeof *groups);
    if (groups == NULL)
        return image_no_memory(objects->build);
    rc = find_groups(objects, groups, &count);
    qsort(groups, count, sizeof *groups, by_name);
    for (uint32_t i = 1; rc == 0 && i < count; i++) {
        struct object *object = &objects->list[groups[i].object];
        if (strcmp(groups[i].name, groups[i - 1].name) == 0)
            rc = discard_group(objects, object, &object->sections[groups[i].index].header,
                               groups[i].index);
    }
    free(groups);
    return rc;
}

/* ---- Symbols ------------------------------------------------------------------------------- */

/* A definition must lie in its section, and be of a kind that can be loaded. */
static int check_definition(const struct objects *objects, const struct object *object,
                            const Elf64_Sym *symbol, const char *name, uint32_t index)
{
    const uint64_t thumb = object->elf.machine == EM_ARM && symbol->st_info % 16 == STT_FUNC;
    const uint64_t value = symbol->st_value & ~thumb;
    const unsigned type = ELF64_ST_TYPE(symbol->st_info);
    if (type == STT_GNU_IFUNC || type == STT_TLS)
        return vta_error_set(
            objects->build->error, VTA_EUNSUPPORTED,
            "%s: symbol %.200s: its type, %s, is not supported", object->elf.file->name, name,
            type == STT_TLS ? "thread-local (STT_TLS)" : "indirect function (STT_GNU_IFUNC)");
    if (symbol->st_shndx >= SHN_LORESERVE)
        return symbol->st_shndx == SHN_ABS || symbol->st_shndx == SHN_COMMON
                   ? 0
                   : vta_error_set(objects->build->error, VTA_EUNSUPPORTED,
                                   "%s: symbol %.200s: section index 0x%x is not supported",
                                   object->elf.file->name, name, symbol->st_shndx);
    if (symbol->st_shndx >= object->elf.section_count)
        return damaged(objects, object, "symbol", index);
    const uint64_t nbytes = object->sections[symbol->st_shndx].header.sh_size;
    if (object->sections[symbol->st_shndx].place >= SECTION_CODE &&
        (value > nbytes || symbol->st_size > nbytes - value))
        return damaged(objects, object, "symbol", index);
    return 0;
}

static int rank(const struct symbol *symbol)
{
    if (symbol->section == SHN_UNDEF)
        return 0;
    if (symbol->section == SHN_COMMON)
        return 2;
    return symbol->weak ? 1 : 3;
}

static struct symbol make_symbol(const struct object *object, const Elf64_Sym *from,
                                 const char *name)
{
    const unsigned bind = ELF64_ST_BIND(from->st_info), visibility = from->st_other & 3;
    struct symbol symbol = {
        .name = name,
        .object = object,
        .section = from->st_shndx,
        .value = from->st_value,
        .nbytes = from->st_size,
        .type = ELF64_ST_TYPE(from->st_info),
        .local = bind == STB_LOCAL,
        .hidden = visibility == STV_HIDDEN || visibility == STV_INTERNAL,
        .weak = bind == STB_WEAK || bind == STB_GNU_UNIQUE,
    };
    if (!symbol.local && symbol.section < SHN_LORESERVE &&
        object->sections[symbol.section].place == SECTION_DISCARDED)
        symbol.section = SHN_UNDEF; /* the one of the first group is meant */
    if (object->elf.machine == EM_ARM && symbol.type == STT_FUNC && symbol.section != SHN_COMMON) {
        symbol.thumb = (symbol.value & 1) != 0;
        symbol.value &= ~UINT64_C(1);
    }
    return symbol;
}

/* Adds what another object says of a name. */
static int merge(struct objects *objects, struct symbol *symbol, const struct symbol *other)
{
    const int have = rank(symbol), more = rank(other);
    if (have == 3 && more == 3)
        return vta_error_set(objects->build->error, VTA_EEXIST,
                             "%s: %.200s is defined in %s and in %s", objects->build->name,
                             symbol->name, symbol->object->elf.file->name,
                             other->object->elf.file->name);
    const bool hidden = symbol->hidden || other->hidden;
    if (have == 2 && more == 2) {
        symbol->nbytes = other->nbytes > symbol->nbytes ? other->nbytes : symbol->nbytes;
        symbol->value = other->value > symbol->value ? other->value : symbol->value;
    } else if (have == 0 && more == 0) {
        symbol->weak = symbol->weak && other->weak;
    } else if (more > have) {
        *symbol = *other;
    }
    symbol->hidden = hidden;
    return 0;
}

/* All symbols of an object: checks them, adds the local ones, mentions the others. */
static int read_symbols(struct objects *objects, uint32_t which, struct mention *mentions,
                        uint32_t *count)
{
    struct object *object = &objects->list[which];
    object->symbols = calloc((size_t)object->symbol_count + 1, sizeof *object->symbols);
    if (object->symbols == NULL)
        return image_no_memory(objects->build);
    for (uint32_t i = 1; i < object->symbol_count; i++) {
        const Elf64_Sym from = elf_view_symbol(&object->elf, object->symbol_table, i);
        const char *name = name_of(object, &from);
        const bool local = ELF64_ST_BIND(from.st_info) == STB_LOCAL;
        if (name == NULL || (!local && name[0] == '\0'))
            return damaged(objects, object, "the name of symbol", i);
        int rc = from.st_shndx == SHN_UNDEF ? 0 : check_definition(objects, object, &from, name, i);
        if (rc != 0)
            return rc;
        if (!local) {
            mentions[(*count)++] = (struct mention){ name, which, i };
            continue;
        }
        object->symbols[i] = objects->symbol_count;
        objects->symbols[objects->symbol_count++] = make_symbol(object, &from, name);
    }
    return 0;
}

/* One symbol for each name that is mentioned. */
static int merge_mentions(struct objects *objects, struct mention *mentions, uint32_t count)
{
    qsort(mentions, count, sizeof *mentions, by_name);
    for (uint32_t i = 0; i < count; i++) {
        struct object *object = &objects->list[mentions[i].object];
        const Elf64_Sym from =
            elf_view_symbol(&object->elf, object->symbol_table, mentions[i].index);
        const struct symbol symbol = make_symbol(object, &from, mentions[i].name);
        int rc = 0;
        if (i == 0 || strcmp(mentions[i].name, mentions[i - 1].name) != 0)
            objects->symbols[objects->symbol_count++] = symbol;
        else
            rc = merge(objects, &objects->symbols[objects->symbol_count - 1], &symbol);
        if (rc != 0)
            return rc;
        object->symbols[mentions[i].index] = objects->symbol_count - 1;
    }
    return 0;
}

/* What a linker would define. */
static void provide(struct objects *objects)
{
    for (uint32_t i = 1; i < objects->symbol_count; i++) {
        struct symbol *symbol = &objects->symbols[i];
        struct symbol **provided = strcmp(symbol->name, "_GLOBAL_OFFSET_TABLE_") == 0
                                       ? &objects->got
                                   : strcmp(symbol->name, "__dso_handle") == 0 ? &objects->handle
                                                                               : NULL;
        if (provided == NULL || symbol->section != SHN_UNDEF || symbol->local)
            continue;
        *provided = symbol;
        symbol->section = SHN_ABS;
    }
}

int symbols_resolve(struct objects *objects)
{
    uint64_t total = 1;
    uint32_t count = 0;
    int rc = resolve_groups(objects);
    for (uint32_t i = 0; i < objects->count; i++)
        total += objects->list[i].symbol_count;
    if (rc == 0 && total > UINT32_MAX / 2)
        rc = image_no_memory(objects->build);
    if (rc != 0)
        return rc;
    struct mention *mentions = calloc(total, sizeof *mentions);
    objects->symbols = calloc(total, sizeof *objects->symbols);
    if (mentions == NULL || objects->symbols == NULL)
        rc = image_no_memory(objects->build);
    else
        objects->symbols[objects->symbol_count++] =
            (struct symbol){ .name = "", .section = SHN_ABS, .local = true };
    for (uint32_t i = 0; rc == 0 && i < objects->count; i++)
        rc = read_symbols(objects, i, mentions, &count);
    if (rc == 0)
        rc = merge_mentions(objects, mentions, count);
    if (rc == 0)
        provide(objects);
    free(mentions);
    return rc;
}

/* ---- Addresses ----------------------------------------------------------------------------- */

static bool is_far(const struct objects *objects, uint64_t address)
{
    const struct image *image = objects->build->image;
    const uint64_t end = image->address + image->nbytes;
    const uint64_t distance = address < image->address ? end - address : address - image->address;
    return distance > objects->build->machine->address_reach;
}

void symbols_place(struct objects *objects)
{
    const struct image *image = objects->build->image;
    for (uint32_t i = 1; i < objects->symbol_count; i++) {
        struct symbol *symbol = &objects->symbols[i];
        if (symbol->section == SHN_UNDEF)
            symbol->far = symbol->imported && is_far(objects, symbol->address);
        else if (symbol->section == SHN_ABS)
            symbol->address = symbol->value;
        else if (symbol->section == SHN_COMMON)
            symbol->address = image->address + symbol->value;
        else
            symbol->address =
                image->address + symbol->object->sections[symbol->section].offset + symbol->value;
    }
    if (objects->got != NULL)
        objects->got->address = image->address + objects->entry_offset;
    if (objects->handle != NULL)
        objects->handle->address = image->address;
}

void symbols_export(struct objects *objects)
{
    for (uint32_t i = 1; i < objects->symbol_count; i++) {
        const struct symbol *symbol = &objects->symbols[i];
        const bool function = symbol->type == STT_FUNC;
        if (symbol->section == SHN_UNDEF || symbol->section == SHN_ABS ||
            (symbol->local && !function) ||
            (symbol->section < SHN_LORESERVE &&
             symbol->object->sections[symbol->section].place < SECTION_CODE))
            continue;
        image_export(objects->build,
                     &(struct image_symbol){ .name = symbol->name,
                                             .address = symbol->address | symbol->thumb,
                                             .nbytes = symbol->nbytes,
                                             .function = function,
                                             .local = symbol->local || symbol->hidden });
    }
}
