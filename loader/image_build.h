/* image_build.h: an image while it is made: what image.c, which begins and ends it, shares with
 * image_objects.c, image_symbols.c and image_layout.c (relocatable objects) and image_library.c.
 */
#ifndef VTA_LOADER_IMAGE_BUILD_H
#define VTA_LOADER_IMAGE_BUILD_H

#include "elf_view.h"
#include "relocate.h"

#define IMAGE_NBYTES_MAX (UINT64_C(1) << 30)

/* A function to call before or after the others; by order, then as found. */
struct image_call {
    uint32_t order, found;
    uint64_t address;
};

struct image_calls {
    struct image_call *calls; /* owned */
    uint32_t count, capacity;
};

struct image_build {
    struct image *image;
    const struct image_host *host;
    const char *name; /* of the module */
    const struct relocation_machine *machine;
    struct vta_error *error;
    uint32_t symbol_capacity; /* of image->symbols, whose names are still those of the files */
    struct image_calls init, fini;
    uint32_t missing; /* imports that nobody has */
    char missing_names[VTA_ERROR_TEXT / 2];
};

/* ---- image.c ------------------------------------------------------------------------------- */

int image_no_memory(const struct image_build *build);
/* Room for `count` symbols; image_export adds one of them. */
int image_expect_symbols(struct image_build *build, uint64_t count);
void image_export(struct image_build *build, const struct image_symbol *symbol);
/* The address of an import; if nobody has it and it is not weak, it is noted as missing. */
uint64_t image_import(struct image_build *build, const char *name, bool weak);
/* VTA_ENOTFOUND naming the missing imports, if there are any. */
int image_check_missing(const struct image_build *build);
/* The image's memory. */
int image_reserve(struct image_build *build, uint64_t nbytes);
/* Adds whole pages at the end of the parts, or widens the last one if it has the same access. */
int image_add_part(struct image_build *build, uint64_t end, unsigned access);
/* Adds the functions of an array of addresses in the image, inside it. */
int image_add_calls(struct image_build *build, struct image_calls *calls, uint32_t order,
                    uint64_t offset, uint64_t nbytes);
int image_add_call(struct image_build *build, struct image_calls *calls, uint32_t order,
                   uint64_t address);
/* Says why a relocation cannot be made. where: section or "", offset in it. */
int image_refuse_relocation(const struct image_build *build, const struct image_file *file,
                            const char *where, const Elf64_Rela *entry, const char *symbol,
                            const char *reason);
/* relocate(), with the reason in the error. */
int image_relocate(const struct image_build *build, struct relocation *relocation,
                   const struct image_file *file, const char *where, const Elf64_Rela *entry,
                   const char *symbol);

static inline uint64_t image_page_up(uint64_t value)
{
    return (value + IMAGE_PAGE - 1) & ~(uint64_t)(IMAGE_PAGE - 1);
}

/* ---- image_library.c ----------------------------------------------------------------------- */

int image_load_library(struct image_build *build, const struct elf_view *elf);

/* ---- Objects ------------------------------------------------------------------------------- */

enum section_place {
    SECTION_LEFT_OUT,
    SECTION_DISCARDED,
    SECTION_CODE,
    SECTION_CONST,
    SECTION_DATA
};

struct section {
    Elf64_Shdr header;
    enum section_place place;
    uint64_t offset; /* in the image */
};

struct object;

/* A symbol of one object if it is local; otherwise what all of them mean by a name. */
struct symbol {
    const char *name;
    const struct object *object; /* whose section it is in */
    uint32_t section;            /* or SHN_UNDEF, SHN_ABS, SHN_COMMON */
    uint64_t value, nbytes; /* common: its alignment; once laid out, where it is in the image */
    uint64_t address;       /* without the Thumb bit */
    uint8_t type;
    bool local, hidden;
    bool weak; /* a weak definition; if undefined: nobody insists on it */
    bool used, imported, far, thumb;
    uint32_t entry, stub; /* number of its GOT entry and of its stub, from 1; 0: none */
};

struct object {
    struct elf_view elf;
    struct section *sections;    /* owned */
    const uint8_t *symbol_table; /* in the file */
    const uint8_t *names;
    uint64_t names_nbytes;
    uint32_t *symbols; /* of each of its symbols, the index in objects->symbols; owned */
    uint32_t symbol_count;
};

struct objects {
    struct image_build *build;
    struct object *list; /* owned */
    uint32_t count;
    struct symbol *symbols; /* owned; the first one is what relocations without a symbol are to */
    uint32_t symbol_count;
    struct symbol *got, *handle; /* those that this loader provides, or NULL */
    uint64_t code_nbytes;
    uint32_t entry_count, stub_count;
    uint64_t entry_offset, stub_offset; /* in the image */
};

/* image_objects.c: what is in the files, and the order of the work. Takes opened files. */
int image_load_objects(struct image_build *build, const struct elf_view *files, uint32_t count);
const char *section_name(const struct object *object, const struct section *section);

/* image_symbols.c: groups, then all symbols; where each is once the image has its memory. */
int symbols_resolve(struct objects *objects);
void symbols_place(struct objects *objects);
void symbols_export(struct objects *objects);

/* image_layout.c: puts sections, GOT and stubs into the image's memory. */
int layout_make(struct objects *objects);
void layout_fill(struct objects *objects);

#endif
