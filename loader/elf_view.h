/* elf_view.h: an ELF file as it is read, and trusted in nothing: headers, sections, segments,
 * symbols and relocations of 32-bit and 64-bit files, all in their 64-bit form. Bytes in, an answer
 * out.
 */
#ifndef VTA_LOADER_ELF_VIEW_H
#define VTA_LOADER_ELF_VIEW_H

#include <elf.h>

#include "image.h"

#define ELF_NAME_MAX     4095u /* bytes of a name */
#define ELF_MACHINE_TEXT 64

/* A file whose sections and segments all lie inside it. */
struct elf_view {
    const struct image_file *file;
    unsigned machine;
    bool wide;    /* 64-bit */
    bool library; /* otherwise a relocatable object */
    uint64_t section_offset, section_count, section_names;
    uint64_t segment_offset, segment_count;
};

/* For a machine that an image can hold, in its one class, byte order and ABI. Fails as
 * image_identify does. */
int elf_view_open(struct elf_view *elf, const struct image_file *file, struct vta_error *error);

/* "ARM (EM_ARM)" */
void elf_machine_text(char text[ELF_MACHINE_TEXT], unsigned machine);

/* index: below section_count or segment_count. */
Elf64_Shdr elf_view_section(const struct elf_view *elf, uint64_t index);
Elf64_Phdr elf_view_segment(const struct elf_view *elf, uint64_t index);
/* "" if it has no readable name. */
const char *elf_view_section_name(const struct elf_view *elf, const Elf64_Shdr *section);

/* The bytes of one symbol, relocation or address in the file. */
size_t elf_symbol_nbytes(const struct elf_view *elf);
size_t elf_relocation_nbytes(const struct elf_view *elf, bool addend);
size_t elf_address_nbytes(const struct elf_view *elf);

/* Entry `index` of a table of symbols or relocations. Without an addend of its own, r_addend is 0.
 */
Elf64_Sym elf_view_symbol(const struct elf_view *elf, const uint8_t *table, uint64_t index);
Elf64_Rela elf_view_relocation(const struct elf_view *elf, const uint8_t *table, uint64_t index,
                               bool addend);
uint64_t elf_view_address(const struct elf_view *elf, const uint8_t *bytes);

/* The string at `offset` of a table of strings, or NULL if it does not end in it. */
const char *elf_text(const uint8_t *table, uint64_t nbytes, uint64_t offset);

#endif
