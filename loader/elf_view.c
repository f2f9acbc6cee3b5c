/* elf_view.c: reads ELF files, and trusts nothing in them (elf_view.h). */
#include "elf_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "headers are read as they lie");

/* ---- Machines ------------------------------------------------------------------------------ */

/* elf_class: of a machine that an image can hold; others are known by name. */
static const struct machine {
    unsigned machine;
    uint8_t elf_class;
    const char *name, *constant;
} machines[] = {
    { EM_X86_64, ELFCLASS64, "x86-64", "EM_X86_64" },
    { EM_ARM, ELFCLASS32, "ARM", "EM_ARM" },
    { EM_AARCH64, ELFCLASS64, "64-bit ARM", "EM_AARCH64" },
    { EM_386, 0, "32-bit x86", "EM_386" },
    { EM_RISCV, 0, "RISC-V", "EM_RISCV" },
    { EM_MIPS, 0, "MIPS", "EM_MIPS" },
    { EM_PPC64, 0, "64-bit PowerPC", "EM_PPC64" },
    { EM_S390, 0, "S/390", "EM_S390" },
    { EM_NONE, 0, "no machine", "EM_NONE" },
};

static const struct machine *machine_of(unsigned machine)
{
    for (size_t i = 0; i < sizeof machines / sizeof machines[0]; i++) {
        if (machines[i].machine == machine)
            return &machines[i];
    }
    return NULL;
}

void elf_machine_text(char text[ELF_MACHINE_TEXT], unsigned machine)
{
    const struct machine *known = machine_of(machine);
    if (known != NULL)
        snprintf(text, ELF_MACHINE_TEXT, "%s (%s)", known->name, known->constant);
    else
        snprintf(text, ELF_MACHINE_TEXT, "machine type %u", machine);
}

/* The field before which nothing depends on class; `big`: in the other byte order. */
static unsigned machine_field(const uint8_t *bytes, bool big)
{
    const uint8_t *at = bytes + offsetof(Elf64_Ehdr, e_machine);
    return big ? (unsigned)at[0] << 8 | at[1] : (unsigned)at[1] << 8 | at[0];
}

static int check_machine(struct elf_view *elf, struct vta_error *error)
{
    const uint8_t *bytes = elf->file->bytes;
    char theirs[ELF_MACHINE_TEXT];
    elf->machine = machine_field(bytes, bytes[EI_DATA] == ELFDATA2MSB);
    const struct machine *known = machine_of(elf->machine);
    elf_machine_text(theirs, elf->machine);
    if (known == NULL || known->elf_class == 0)
        return vta_error_set(error, VTA_EHARDWARE,
                             "%s: built for %s; machine code can be for x86-64, ARM or 64-bit ARM",
                             elf->file->name, theirs);
    if (bytes[EI_CLASS] != known->elf_class || bytes[EI_DATA] != ELFDATA2LSB)
        return vta_error_set(error, VTA_EHARDWARE,
                             "%s: built for %s with another word size or byte order than the "
                             "usual one",
                             elf->file->name, theirs);
    elf->wide = known->elf_class == ELFCLASS64;
    return 0;
}

/* ---- Whether all of it is there ------------------------------------------------------------ */

static int truncated(const struct image_file *file, const char *what, uint64_t end,
                     struct vta_error *error)
{
    return vta_error_limit(error, VTA_EFORMAT, (int64_t)file->nbytes,
                           end > INT64_MAX ? INT64_MAX : (int64_t)end,
                           "%s: truncated: %s up to byte %" PRIu64 ", the file has %zu", file->name,
                           what, end, file->nbytes);
}

/* [offset, offset + count·size) must lie inside the file. */
static int check_inside(const struct elf_view *elf, const char *what, uint64_t offset,
                        uint64_t count, uint64_t size, struct vta_error *error)
{
    uint64_t length, end;
    if (__builtin_mul_overflow(count, size, &length) ||
        __builtin_add_overflow(offset, length, &end))
        end = UINT64_MAX;
    return end <= elf->file->nbytes ? 0 : truncated(elf->file, what, end, error);
}

/* Fields of a header that both classes have. */
#define COPY(to, from, field) (to).field = (from).field

static Elf64_Ehdr read_header(const struct elf_view *elf)
{
    Elf64_Ehdr header;
    Elf32_Ehdr narrow;
    if (elf->wide) {
        memcpy(&header, elf->file->bytes, sizeof header);
        return header;
    }
    memcpy(&narrow, elf->file->bytes, sizeof narrow);
    header = (Elf64_Ehdr){ .e_type = narrow.e_type };
    COPY(header, narrow, e_shoff);
    COPY(header, narrow, e_shnum);
    COPY(header, narrow, e_shentsize);
    COPY(header, narrow, e_shstrndx);
    COPY(header, narrow, e_phoff);
    COPY(header, narrow, e_phnum);
    COPY(header, narrow, e_phentsize);
    COPY(header, narrow, e_flags);
    return header;
}

static int check_sections(struct elf_view *elf, const Elf64_Ehdr *header, struct vta_error *error)
{
    const size_t size = elf->wide ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
    if (header->e_shoff == 0)
        return 0;
    if (header->e_shentsize != size)
        return vta_error_set(error, VTA_EFORMAT, "%s: section headers of %u bytes, not %zu",
                             elf->file->name, header->e_shentsize, size);
    elf->section_offset = header->e_shoff;
    elf->section_count = header->e_shnum;
    elf->section_names = header->e_shstrndx;
    int rc = check_inside(elf, "section headers", elf->section_offset, 1, size, error);
    if (rc == 0 && elf->section_count == 0) /* more than fit the field: section 0 says how many */
        elf->section_count = elf_view_section(elf, 0).sh_size;
    if (rc == 0 && elf->section_names == SHN_XINDEX)
        elf->section_names = elf_view_section(elf, 0).sh_link;
    if (rc == 0)
        rc = check_inside(elf, "section headers", elf->section_offset, elf->section_count, size,
                          error);
    for (uint64_t i = 0; rc == 0 && i < elf->section_count; i++) {
        const Elf64_Shdr section = elf_view_section(elf, i);
        if (section.sh_type != SHT_NOBITS && section.sh_type != SHT_NULL)
            rc = check_inside(elf, "a section", section.sh_offset, 1, section.sh_size, error);
    }
    return rc;
}

static int check_segments(struct elf_view *elf, const Elf64_Ehdr *header, struct vta_error *error)
{
    const size_t size = elf->wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
    if (header->e_phnum == 0)
        return 0;
    if (header->e_phentsize != size)
        return vta_error_set(error, VTA_EFORMAT, "%s: program headers of %u bytes, not %zu",
                             elf->file->name, header->e_phentsize, size);
    elf->segment_offset = header->e_phoff;
    elf->segment_count = header->e_phnum;
    int rc =
        check_inside(elf, "program headers", elf->segment_offset, elf->segment_count, size, error);
    for (uint64_t i = 0; rc == 0 && i < elf->segment_count; i++) {
        const Elf64_Phdr segment = elf_view_segment(elf, i);
        rc = check_inside(elf, "a segment", segment.p_offset, 1, segment.p_filesz, error);
    }
    return rc;
}

/* ---- Build attributes of ARM ---------------------------------------------------------------- */

struct attributes {
    const uint8_t *at, *end;
};

/* A number in 7-bit groups, low ones first; beyond the end 0. */
static uint32_t take_uleb(struct attributes *attributes)
{
    uint32_t value = 0;
    for (unsigned shift = 0; attributes->at < attributes->end; shift += 7) {
        const uint8_t byte = *attributes->at++;
        value |= shift < 32 ? (uint32_t)(byte & 0x7f) << shift : 0;
        if ((byte & 0x80) == 0)
            break;
    }
    return value;
}

/* Whether floats are passed in VFP registers, as the attributes of a file say: 'A', u32 length,
 * "aeabi", 1 (of the file), u32 length, then pairs of a tag and a value ("Addenda to, and Errata
 * in, the ABI for the Arm Architecture"). Compilers state the alignment that they need; a file that
 * does not is an assembler's, which passes no floats. */
static bool passes_floats_in_vfp(const uint8_t *bytes, uint64_t nbytes)
{
    static const uint8_t head[] = "aeabi\0\1";
    const uint32_t align_needed = 24, vfp_args = 28, raw_name = 4, name = 5, compatibility = 32;
    bool compiled = false;
    if (nbytes < 16 || bytes[0] != 'A' || memcmp(bytes + 5, head, 7) != 0)
        return true;
    struct attributes attributes = { bytes + 16, bytes + nbytes };
    while (attributes.at < attributes.end) {
        const uint32_t tag = take_uleb(&attributes);
        compiled = compiled || tag == align_needed;
        if (tag == vfp_args)
            return (take_uleb(&attributes) & 1) != 0; /* 1: VFP, 3: it does not matter */
        if (tag == compatibility)
            take_uleb(&attributes);
        if (tag == raw_name || tag == name || (tag >= compatibility && (tag & 1) != 0) ||
            tag == compatibility)
            while (attributes.at < attributes.end && *attributes.at++ != '\0')
                ;
        else
            take_uleb(&attributes);
    }
    return !compiled;
}

static int check_float_abi(const struct elf_view *elf, struct vta_error *error)
{
    for (uint64_t i = 0; elf->machine == EM_ARM && i < elf->section_count; i++) {
        const Elf64_Shdr section = elf_view_section(elf, i);
        if (section.sh_type == SHT_ARM_ATTRIBUTES &&
            !passes_floats_in_vfp(elf->file->bytes + section.sh_offset, section.sh_size))
            return vta_error_set(error, VTA_EHARDWARE,
                                 "%s: built for ARM (EM_ARM) with floats in integer registers; "
                                 "wanted is hard float (gnueabihf, -mfloat-abi=hard)",
                                 elf->file->name);
    }
    return 0;
}

static int check_kind(struct elf_view *elf, const Elf64_Ehdr *header, struct vta_error *error)
{
    const char *name = elf->file->name;
    elf->library = header->e_type == ET_DYN;
    if (elf->machine == EM_ARM && ((header->e_flags & EF_ARM_EABIMASK) != EF_ARM_EABI_VER5 ||
                                   (header->e_flags & EF_ARM_ABI_FLOAT_SOFT) != 0))
        return vta_error_set(error, VTA_EHARDWARE,
                             "%s: built for ARM (EM_ARM) with ABI flags 0x%x; wanted is EABI "
                             "version 5 with hard float (gnueabihf)",
                             name, header->e_flags);
    switch (header->e_type) {
    case ET_REL:
    case ET_DYN:
        return 0;
    case ET_EXEC:
        return vta_error_set(error, VTA_EFORMAT,
                             "%s: an executable, neither an object file nor a shared library",
                             name);
    default:
        return vta_error_set(error, VTA_EFORMAT,
                             "%s: ELF type %u, neither an object file nor a shared library", name,
                             header->e_type);
    }
}

int elf_view_open(struct elf_view *elf, const struct image_file *file, struct vta_error *error)
{
    *elf = (struct elf_view){ .file = file };
    if (file->nbytes < SELFMAG || memcmp(file->bytes, ELFMAG, SELFMAG) != 0)
        return vta_error_set(error, VTA_EFORMAT,
                             "%s: not an ELF file, neither an object file nor a shared library",
                             file->name);
    if (file->nbytes < offsetof(Elf64_Ehdr, e_version))
        return truncated(file, "an ELF header", sizeof(Elf32_Ehdr), error);
    int rc = check_machine(elf, error);
    if (rc == 0)
        rc = check_inside(elf, "an ELF header", 0, 1,
                          elf->wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr), error);
    if (rc != 0)
        return rc;
    const Elf64_Ehdr header = read_header(elf);
    rc = check_sections(elf, &header, error);
    if (rc == 0)
        rc = check_segments(elf, &header, error);
    if (rc == 0)
        rc = check_kind(elf, &header, error);
    return rc == 0 ? check_float_abi(elf, error) : rc;
}

/* ---- Tables -------------------------------------------------------------------------------- */

Elf64_Shdr elf_view_section(const struct elf_view *elf, uint64_t index)
{
    const uint8_t *at = elf->file->bytes + elf->section_offset;
    Elf64_Shdr section;
    Elf32_Shdr narrow;
    if (elf->wide) {
        memcpy(&section, at + index * sizeof section, sizeof section);
        return section;
    }
    memcpy(&narrow, at + index * sizeof narrow, sizeof narrow);
    return (Elf64_Shdr){ narrow.sh_name,      narrow.sh_type,   narrow.sh_flags, narrow.sh_addr,
                         narrow.sh_offset,    narrow.sh_size,   narrow.sh_link,  narrow.sh_info,
                         narrow.sh_addralign, narrow.sh_entsize };
}

Elf64_Phdr elf_view_segment(const struct elf_view *elf, uint64_t index)
{
    const uint8_t *at = elf->file->bytes + elf->segment_offset;
    Elf64_Phdr segment;
    Elf32_Phdr narrow;
    if (elf->wide) {
        memcpy(&segment, at + index * sizeof segment, sizeof segment);
        return segment;
    }
    memcpy(&narrow, at + index * sizeof narrow, sizeof narrow);
    return (Elf64_Phdr){ narrow.p_type,  narrow.p_flags,  narrow.p_offset, narrow.p_vaddr,
                         narrow.p_paddr, narrow.p_filesz, narrow.p_memsz,  narrow.p_align };
}

const char *elf_view_section_name(const struct elf_view *elf, const Elf64_Shdr *section)
{
    if (elf->section_names >= elf->section_count)
        return "";
    const Elf64_Shdr names = elf_view_section(elf, elf->section_names);
    const char *name = NULL;
    if (names.sh_type == SHT_STRTAB)
        name = elf_text(elf->file->bytes + names.sh_offset, names.sh_size, section->sh_name);
    return name != NULL ? name : "";
}

size_t elf_symbol_nbytes(const struct elf_view *elf)
{
    return elf->wide ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);
}

size_t elf_relocation_nbytes(const struct elf_view *elf, bool addend)
{
    if (elf->wide)
        return addend ? sizeof(Elf64_Rela) : sizeof(Elf64_Rel);
    return addend ? sizeof(Elf32_Rela) : sizeof(Elf32_Rel);
}

size_t elf_address_nbytes(const struct elf_view *elf)
{
    return elf->wide ? 8 : 4;
}

Elf64_Sym elf_view_symbol(const struct elf_view *elf, const uint8_t *table, uint64_t index)
{
    Elf64_Sym symbol;
    Elf32_Sym narrow;
    if (elf->wide) {
        memcpy(&symbol, table + index * sizeof symbol, sizeof symbol);
        return symbol;
    }
    memcpy(&narrow, table + index * sizeof narrow, sizeof narrow);
    return (Elf64_Sym){ narrow.st_name,  narrow.st_info,  narrow.st_other,
                        narrow.st_shndx, narrow.st_value, narrow.st_size };
}

Elf64_Rela elf_view_relocation(const struct elf_view *elf, const uint8_t *table, uint64_t index,
                               bool addend)
{
    const size_t nbytes = elf_relocation_nbytes(elf, addend);
    Elf64_Rela wide = { 0 };
    Elf32_Rela narrow = { 0 };
    if (elf->wide) {
        memcpy(&wide, table + index * nbytes, nbytes);
        return wide;
    }
    memcpy(&narrow, table + index * nbytes, nbytes);
    return (Elf64_Rela){ narrow.r_offset,
                         ELF64_R_INFO((uint64_t)ELF32_R_SYM(narrow.r_info),
                                      ELF32_R_TYPE(narrow.r_info)),
                         narrow.r_addend };
}

uint64_t elf_view_address(const struct elf_view *elf, const uint8_t *bytes)
{
    uint64_t address = 0;
    memcpy(&address, bytes, elf_address_nbytes(elf));
    return address;
}

const char *elf_text(const uint8_t *table, uint64_t nbytes, uint64_t offset)
{
    if (offset >= nbytes)
        return NULL;
    const uint64_t rest = nbytes - offset;
    const uint8_t *text = table + offset;
    return memchr(text, '\0', rest <= ELF_NAME_MAX ? rest : ELF_NAME_MAX + 1) != NULL
               ? (const char *)text
               : NULL;
}
