/* elf_file.c: looks at ELF files, and trusts nothing in them (elf_file.h). */
#include "elf_file.h"

#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#define THIS_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define THIS_MACHINE EM_AARCH64
#elif defined(__riscv)
#define THIS_MACHINE EM_RISCV
#else
#define THIS_MACHINE EM_NONE
#endif
#define THIS_CLASS (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "headers are read as they lie");

/* ---- Machines ------------------------------------------------------------------------------ */

#define MACHINE_TEXT 64

static void machine_text(char text[MACHINE_TEXT], unsigned machine)
{
    static const struct {
        unsigned machine;
        const char *name, *constant;
    } names[] = {
        { EM_X86_64, "x86-64", "EM_X86_64" },
        { EM_386, "32-bit x86", "EM_386" },
        { EM_ARM, "ARM", "EM_ARM" },
        { EM_AARCH64, "64-bit ARM", "EM_AARCH64" },
        { EM_RISCV, "RISC-V", "EM_RISCV" },
        { EM_MIPS, "MIPS", "EM_MIPS" },
        { EM_PPC64, "64-bit PowerPC", "EM_PPC64" },
        { EM_S390, "S/390", "EM_S390" },
        { EM_NONE, "no machine", "EM_NONE" },
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].machine == machine) {
            snprintf(text, MACHINE_TEXT, "%s (%s)", names[i].name, names[i].constant);
            return;
        }
    }
    snprintf(text, MACHINE_TEXT, "machine type %u", machine);
}

/* The two fields before which nothing depends on class; `big`: in the other byte order. */
static unsigned half_at(const uint8_t *bytes, size_t offset, bool big)
{
    return big ? (unsigned)bytes[offset] << 8 | bytes[offset + 1]
               : (unsigned)bytes[offset + 1] << 8 | bytes[offset];
}

static int check_machine(const uint8_t *bytes, const char *name, struct vta_error *error)
{
    const bool big = bytes[EI_DATA] == ELFDATA2MSB;
    const unsigned machine = half_at(bytes, offsetof(Elf64_Ehdr, e_machine), big);
    char theirs[MACHINE_TEXT], ours[MACHINE_TEXT];
    machine_text(theirs, machine);
    machine_text(ours, THIS_MACHINE);
    if (machine != THIS_MACHINE)
        return vta_error_set(error, VTA_EHARDWARE, "%s: built for %s, this server is %s", name,
                             theirs, ours);
    if (bytes[EI_CLASS] != THIS_CLASS || bytes[EI_DATA] != ELFDATA2LSB)
        return vta_error_set(error, VTA_EHARDWARE,
                             "%s: built for %s with another word size or byte order than this "
                             "server's",
                             name, theirs);
    return 0;
}

/* ---- Whether all of it is there ------------------------------------------------------------ */

static int truncated(const char *name, const char *what, uint64_t end, size_t nbytes,
                     struct vta_error *error)
{
    return vta_error_limit(
        error, VTA_EFORMAT, (int64_t)nbytes, end > INT64_MAX ? INT64_MAX : (int64_t)end,
        "%s: truncated: %s up to byte %" PRIu64 ", the file has %zu", name, what, end, nbytes);
}

/* [offset, offset + count·size) must lie inside the file. */
static int check_inside(const char *name, const char *what, uint64_t offset, uint64_t count,
                        uint64_t size, size_t nbytes, struct vta_error *error)
{
    uint64_t length, end;
    if (__builtin_mul_overflow(count, size, &length) ||
        __builtin_add_overflow(offset, length, &end))
        end = UINT64_MAX;
    return end <= nbytes ? 0 : truncated(name, what, end, nbytes, error);
}

static Elf64_Shdr section_at(const uint8_t *bytes, const Elf64_Ehdr *header, uint64_t index)
{
    Elf64_Shdr section;
    memcpy(&section, bytes + header->e_shoff + index * sizeof section, sizeof section);
    return section;
}

/* Sections; a file with more than fit the header's field says so in section 0. */
static uint64_t section_count(const uint8_t *bytes, size_t nbytes, const Elf64_Ehdr *header)
{
    if (header->e_shoff == 0)
        return 0;
    if (header->e_shnum != 0)
        return header->e_shnum;
    if (header->e_shoff > nbytes || nbytes - header->e_shoff < sizeof(Elf64_Shdr))
        return 1;
    return section_at(bytes, header, 0).sh_size;
}

static int check_sections(const uint8_t *bytes, size_t nbytes, const Elf64_Ehdr *header,
                          const char *name, struct vta_error *error)
{
    const uint64_t count = section_count(bytes, nbytes, header);
    if (count == 0)
        return 0;
    if (header->e_shentsize != sizeof(Elf64_Shdr))
        return vta_error_set(error, VTA_EFORMAT, "%s: section headers of %u bytes, not %zu", name,
                             header->e_shentsize, sizeof(Elf64_Shdr));
    int rc = check_inside(name, "section headers", header->e_shoff, count, sizeof(Elf64_Shdr),
                          nbytes, error);
    for (uint64_t i = 0; rc == 0 && i < count; i++) {
        const Elf64_Shdr section = section_at(bytes, header, i);
        if (section.sh_type != SHT_NOBITS && section.sh_type != SHT_NULL)
            rc = check_inside(name, "a section", section.sh_offset, 1, section.sh_size, nbytes,
                              error);
    }
    return rc;
}

static int check_segments(const uint8_t *bytes, size_t nbytes, const Elf64_Ehdr *header,
                          const char *name, struct vta_error *error)
{
    if (header->e_phnum == 0)
        return 0;
    if (header->e_phentsize != sizeof(Elf64_Phdr))
        return vta_error_set(error, VTA_EFORMAT, "%s: program headers of %u bytes, not %zu", name,
                             header->e_phentsize, sizeof(Elf64_Phdr));
    int rc = check_inside(name, "program headers", header->e_phoff, header->e_phnum,
                          sizeof(Elf64_Phdr), nbytes, error);
    for (uint64_t i = 0; rc == 0 && i < header->e_phnum; i++) {
        Elf64_Phdr segment;
        memcpy(&segment, bytes + header->e_phoff + i * sizeof segment, sizeof segment);
        rc = check_inside(name, "a segment", segment.p_offset, 1, segment.p_filesz, nbytes, error);
    }
    return rc;
}

static int kind_of(const Elf64_Ehdr *header, const char *name, enum elf_kind *kind,
                   struct vta_error *error)
{
    switch (header->e_type) {
    case ET_REL:
        *kind = ELF_OBJECT;
        return 0;
    case ET_DYN:
        *kind = ELF_LIBRARY;
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

int elf_check(const uint8_t *bytes, size_t nbytes, const char *name, enum elf_kind *kind,
              struct vta_error *error)
{
    Elf64_Ehdr header;
    *kind = ELF_NONE;
    if (nbytes < SELFMAG || memcmp(bytes, ELFMAG, SELFMAG) != 0)
        return 0;
    if (nbytes < offsetof(Elf64_Ehdr, e_version))
        return truncated(name, "an ELF header", sizeof header, nbytes, error);
    int rc = check_machine(bytes, name, error);
    if (rc != 0)
        return rc;
    if (nbytes < sizeof header)
        return truncated(name, "an ELF header", sizeof header, nbytes, error);
    memcpy(&header, bytes, sizeof header);
    rc = check_sections(bytes, nbytes, &header, name, error);
    if (rc == 0)
        rc = check_segments(bytes, nbytes, &header, name, error);
    return rc == 0 ? kind_of(&header, name, kind, error) : rc;
}

/* ---- Symbols ------------------------------------------------------------------------------- */

static bool take_undefined(const uint8_t *bytes, const Elf64_Shdr *symbols,
                           const Elf64_Shdr *strings,
                           bool (*take)(void *context, const char *symbol), void *context)
{
    const char *text = (const char *)bytes + strings->sh_offset;
    if (strings->sh_size == 0 || text[strings->sh_size - 1] != '\0')
        return true;
    for (uint64_t i = 1; i < symbols->sh_size / sizeof(Elf64_Sym); i++) {
        Elf64_Sym symbol;
        memcpy(&symbol, bytes + symbols->sh_offset + i * sizeof symbol, sizeof symbol);
        if (symbol.st_shndx != SHN_UNDEF || ELF64_ST_BIND(symbol.st_info) != STB_GLOBAL ||
            symbol.st_name >= strings->sh_size)
            continue;
        if (!take(context, text + symbol.st_name))
            return false;
    }
    return true;
}

void elf_undefined(const uint8_t *bytes, size_t nbytes,
                   bool (*take)(void *context, const char *symbol), void *context)
{
    Elf64_Ehdr header;
    memcpy(&header, bytes, sizeof header);
    const uint64_t count = section_count(bytes, nbytes, &header);
    for (uint64_t i = 0; i < count; i++) {
        const Elf64_Shdr symbols = section_at(bytes, &header, i);
        if (symbols.sh_type != SHT_DYNSYM || symbols.sh_link >= count)
            continue;
        const Elf64_Shdr strings = section_at(bytes, &header, symbols.sh_link);
        if (strings.sh_type == SHT_STRTAB &&
            !take_undefined(bytes, &symbols, &strings, take, context))
            return;
    }
}
