/* test_image_errors.c: files that are not as they should be: what is wrong is named, and nothing is
 * read that is not there.
 */
#include <criterion/criterion.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image_kit.h"
#include "loader/elf_view.h"
#include "loader/relocate.h"

static struct kit_files files;
static struct kit_host host;
static struct vta_error error;

/* A tool that is lacking is named when the samples are made (manifest). */
static void add(const char *name)
{
    if (!kit_add_file(&files, name))
        cr_skip_test("SKIPPED: no %s: clang or ld.lld was not here to make it", name);
}

/* The module by clang for x86-64 without PIC; every import has an address. */
static void begin(void)
{
    add("clang-x86_64-plain-O1.1.o");
    add("clang-x86_64-plain-O1.2.o");
    kit_host(&host);
    host.any = 0x1000;
}

static void end(void)
{
    kit_free_files(&files);
    kit_release(&host);
}

TestSuite(image_errors, .init = begin, .fini = end);

static void only(const char *name)
{
    kit_free_files(&files);
    add(name);
}

static int load(void)
{
    struct image image;
    error = (struct vta_error){ 0 };
    int rc = image_load(&image, files.files, files.count, "module", &host.host, &error);
    if (rc == 0)
        image_clear(&image);
    kit_release(&host);
    cr_assert_eq(rc, error.code);
    return rc;
}

static void expect(int code, const char *first, const char *second)
{
    int rc = load();
    cr_assert_eq(rc, code, "%d: %s", rc, error.message);
    cr_assert(strstr(error.message, first) != NULL, "%s: %s", first, error.message);
    cr_assert(strstr(error.message, second) != NULL, "%s: %s", second, error.message);
}

/* ---- Changes to the first file, which is for a 64-bit machine ------------------------------- */

static uint8_t *bytes(void)
{
    return (uint8_t *)files.files[0].bytes;
}

static Elf64_Ehdr *header(void)
{
    return (Elf64_Ehdr *)bytes();
}

/* A section of a 32-bit file. */
static Elf64_Shdr arm_section(const char *name)
{
    struct elf_view elf;
    cr_assert_eq(elf_view_open(&elf, &files.files[0], &error), 0, "%s", error.message);
    for (uint64_t i = 1; i < elf.section_count; i++) {
        const Elf64_Shdr found = elf_view_section(&elf, i);
        if (strcmp(elf_view_section_name(&elf, &found), name) == 0)
            return found;
    }
    cr_assert_fail("no section %s", name);
    return (Elf64_Shdr){ 0 };
}

static Elf64_Shdr *section(const char *name)
{
    struct elf_view elf;
    cr_assert_eq(elf_view_open(&elf, &files.files[0], &error), 0, "%s", error.message);
    for (uint64_t i = 1; i < elf.section_count; i++) {
        const Elf64_Shdr found = elf_view_section(&elf, i);
        if (strcmp(elf_view_section_name(&elf, &found), name) == 0)
            return (Elf64_Shdr *)(bytes() + elf.section_offset) + i;
    }
    cr_assert_fail("no section %s", name);
    return NULL;
}

static Elf64_Rela *relocation(const char *name, uint32_t type)
{
    const Elf64_Shdr *table = section(name);
    Elf64_Rela *entries = (Elf64_Rela *)(bytes() + table->sh_offset);
    for (uint64_t i = 0; i < table->sh_size / sizeof *entries; i++) {
        if (ELF64_R_TYPE(entries[i].r_info) == type)
            return &entries[i];
    }
    cr_assert_fail("no relocation %u in %s", type, name);
    return NULL;
}

static Elf64_Sym *symbol(const char *name)
{
    const Elf64_Shdr *table = section(".symtab");
    const char *names = (const char *)bytes() + section(".strtab")->sh_offset;
    Elf64_Sym *symbols = (Elf64_Sym *)(bytes() + table->sh_offset);
    for (uint64_t i = 0; i < table->sh_size / sizeof *symbols; i++) {
        if (strcmp(names + symbols[i].st_name, name) == 0)
            return &symbols[i];
    }
    cr_assert_fail("no symbol %s", name);
    return NULL;
}

static void set_type(Elf64_Rela *entry, uint32_t type)
{
    entry->r_info = ELF64_R_INFO(ELF64_R_SYM(entry->r_info), type);
}

/* ---- Files --------------------------------------------------------------------------------- */

Test(image_errors, is_none_in_what_is_whole)
{
    cr_assert_eq(load(), 0, "%s", error.message);
}

Test(image_errors, names_the_byte_at_which_a_file_is_cut_off)
{
    static const char *const names[] = { "clang-x86_64-plain-O1.2.o", "clang-arm-plain-O1.2.o",
                                         "clang-aarch64-pic-O1.2.o", "clang-arm-pic-O1.linked.so",
                                         "clang-aarch64-pic-O1.linked.so" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        only(names[i]);
        uint8_t *whole = bytes();
        const size_t nbytes = files.files[0].nbytes;
        for (size_t n = 0; n < nbytes; n++) {
            uint8_t *part = malloc(n + (n == 0)); /* so that a step past the end is seen */
            memcpy(part, whole, n);
            files.files[0].bytes = part;
            files.files[0].nbytes = n;
            if (load() != VTA_EFORMAT ||
                strstr(error.message, n < SELFMAG ? "not an ELF file" : "truncated") == NULL)
                cr_assert_fail("%s, %zu bytes: %s", names[i], n, error.message);
            free(part);
        }
        files.files[0].bytes = whole;
    }
}

Test(image_errors, names_machines_that_differ)
{
    kit_free_files(&files);
    add("clang-x86_64-plain-O1.1.o");
    add("clang-arm-plain-O1.2.o");
    expect(VTA_EHARDWARE, "clang-arm-plain-O1.2.o: built for ARM (EM_ARM)", "x86-64");
}

Test(image_errors, names_a_machine_that_nothing_runs)
{
    header()->e_machine = EM_RISCV;
    expect(VTA_EHARDWARE, "RISC-V (EM_RISCV)", "x86-64, ARM or 64-bit ARM");
}

Test(image_errors, refuses_another_word_size)
{
    bytes()[EI_CLASS] = ELFCLASS32;
    expect(VTA_EHARDWARE, "x86-64", "word size");
}

Test(image_errors, refuses_an_old_abi)
{
    only("clang-arm-plain-O1.2.o");
    ((Elf32_Ehdr *)bytes())->e_flags = EF_ARM_EABI_VER4;
    expect(VTA_EHARDWARE, "EABI version 5", "0x4000000");
}

Test(image_errors, refuses_an_executable)
{
    header()->e_type = ET_EXEC;
    expect(VTA_EFORMAT, "executable", "clang-x86_64");
}

Test(image_errors, refuses_a_library_among_objects)
{
    add("clang-x86_64-pic-O1.linked.so");
    expect(VTA_EFORMAT, "clang-x86_64-pic-O1.linked.so", "among object files");
}

Test(image_errors, tells_objects_and_libraries)
{
    unsigned machine = 0;
    bool library = true;
    cr_assert_eq(image_identify(&files.files[0], &machine, &library, &error), 0);
    cr_assert_eq(machine, EM_X86_64);
    cr_assert_not(library);
    only("clang-arm-pic-O1.linked.so");
    cr_assert_eq(image_identify(&files.files[0], &machine, &library, &error), 0);
    cr_assert_eq(machine, EM_ARM);
    cr_assert(library);
}

/* ---- Sections ------------------------------------------------------------------------------ */

Test(image_errors, names_a_section_of_thread_local_variables)
{
    section(".data")->sh_flags |= SHF_TLS;
    expect(VTA_EUNSUPPORTED, ".data", "SHF_TLS");
}

Test(image_errors, names_a_compressed_section)
{
    section(".data")->sh_flags |= SHF_COMPRESSED;
    expect(VTA_EUNSUPPORTED, ".data", "SHF_COMPRESSED");
}

Test(image_errors, names_a_section_that_is_writable_and_executable)
{
    section(".text")->sh_flags |= SHF_WRITE;
    expect(VTA_EUNSUPPORTED, ".text", "writable and executable");
}

Test(image_errors, names_a_section_with_too_great_an_alignment)
{
    section(".data")->sh_addralign = 8192;
    expect(VTA_EUNSUPPORTED, ".data", "alignment");
}

Test(image_errors, limits_the_size_of_an_image)
{
    section(".bss")->sh_size = UINT64_C(3) << 30;
    expect(VTA_ELIMIT, ".bss", "0x40000000");
    section(".bss")->sh_size = (UINT64_C(1) << 30) - 4096;
    expect(VTA_ELIMIT, "module", "1073741824");
    section(".bss")->sh_size = UINT64_MAX - 100;
    expect(VTA_ELIMIT, ".bss", "0x40000000");
}

Test(image_errors, says_what_the_host_says_about_memory)
{
    host.nbytes_max = 4096;
    expect(VTA_ENOMEM, "the host has no", "bytes");
}

Test(image_errors, refuses_sections_that_overlap)
{
    Elf64_Shdr *first = section(".text"), *second = section(".comment");
    second->sh_offset = first->sh_offset;
    second->sh_size = files.files[0].nbytes - first->sh_offset;
    expect(VTA_EFORMAT, "overlap", "bytes");
}

/* ---- Symbols ------------------------------------------------------------------------------- */

Test(image_errors, names_what_nobody_has)
{
    host.any = 0;
    expect(VTA_ENOTFOUND, "wants symbols that nobody has: ", "host_scale");
    cr_assert(strstr(error.message, "nobody_has_th") == NULL, "weak: %s", error.message);
}

Test(image_errors, names_eight_at_most_of_what_nobody_has)
{
    host.any = 0;
    files.count = 1;
    int rc = load();
    cr_assert_eq(rc, VTA_ENOTFOUND);
    unsigned commas = 0;
    for (const char *at = error.message; *at != '\0'; at++)
        commas += *at == ',';
    cr_assert_eq(commas, 8, "%s", error.message);
    cr_assert_not_null(strstr(error.message, ", …"), "%s", error.message);
    files.count = 2;
}

Test(image_errors, names_what_is_defined_twice)
{
    kit_free_files(&files);
    add("clang-x86_64-plain-O1.2.o");
    add("clang-x86_64-pic-O2.2.o");
    expect(VTA_EEXIST, "is defined in clang-x86_64-plain-O1.2.o and in clang-x86_64-pic-O2.2.o",
           "common_pair");
}

Test(image_errors, names_an_indirect_function)
{
    symbol("sample_calls")->st_info = ELF64_ST_INFO(STB_GLOBAL, STT_GNU_IFUNC);
    expect(VTA_EUNSUPPORTED, "sample_calls", "STT_GNU_IFUNC");
}

Test(image_errors, refuses_a_symbol_outside_its_section)
{
    symbol("sample_calls")->st_size = 1 << 20;
    expect(VTA_EFORMAT, "symbol", "damaged");
    symbol("sample_calls")->st_size = 0;
    symbol("sample_calls")->st_value = UINT64_MAX;
    expect(VTA_EFORMAT, "symbol", "damaged");
    symbol("sample_calls")->st_value = 0;
    symbol("sample_calls")->st_shndx = 200;
    expect(VTA_EFORMAT, "symbol", "damaged");
}

Test(image_errors, refuses_a_name_outside_its_table)
{
    symbol("sample_calls")->st_name = 1 << 20;
    expect(VTA_EFORMAT, "symbol", "damaged");
}

/* ---- Relocations --------------------------------------------------------------------------- */

Test(image_errors, names_a_relocation_that_is_not_supported)
{
    set_type(relocation(".rela.text", R_X86_64_PLT32), R_X86_64_TPOFF32);
    expect(VTA_EUNSUPPORTED,
           "clang-x86_64-plain-O1.1.o: relocation R_X86_64_TPOFF32 (23) at .text+0x",
           "against other_");
}

Test(image_errors, gives_the_number_of_a_relocation_that_is_not_known)
{
    set_type(relocation(".rela.text", R_X86_64_PLT32), 200);
    expect(VTA_EUNSUPPORTED, "relocation type (200) at .text+0x", "not supported");
}

Test(image_errors, refuses_a_relocation_outside_its_section)
{
    relocation(".rela.text", R_X86_64_PLT32)->r_offset = section(".text")->sh_size - 3;
    expect(VTA_EFORMAT, "R_X86_64_PLT32 (4)", "outside its section");
    relocation(".rela.text", R_X86_64_PLT32)->r_offset = UINT64_MAX - 1;
    expect(VTA_EFORMAT, "R_X86_64_PLT32 (4)", "outside its section");
}

Test(image_errors, refuses_a_relocation_to_a_symbol_that_is_not_there)
{
    relocation(".rela.text", R_X86_64_PLT32)->r_info = ELF64_R_INFO(5000, R_X86_64_PLT32);
    expect(VTA_EFORMAT, "R_X86_64_PLT32 (4)", "no such symbol");
}

Test(image_errors, gives_value_and_range_of_what_does_not_fit)
{
    host.address = UINT64_C(0x7f0000000000);
    expect(VTA_EFORMAT, "is not in the range 0 to 4294967295",
           "relocation R_X86_64_32 (10) at .text+0x");
}

Test(image_errors, names_a_variable_that_is_imported_from_too_far)
{
    only("clang-x86_64-pic-O1.1.o");
    Elf64_Rela *entry = relocation(".rela.text", R_X86_64_REX_GOTPCRELX);
    entry->r_info = ELF64_R_INFO(symbol("host_numbers") -
                                     (Elf64_Sym *)(bytes() + section(".symtab")->sh_offset),
                                 R_X86_64_PC32);
    host.any = UINT64_C(0x7f0000000000);
    expect(VTA_EFORMAT, "R_X86_64_PC32 (2)", "against host_numbers");
    cr_assert(strstr(error.message, "it is imported") != NULL, "%s", error.message);
}

Test(image_errors, refuses_an_instruction_that_cannot_hold_an_odd_address)
{
    only("clang-aarch64-plain-O0.1.o");
    host.address = 0x400000;
    const Elf64_Shdr *table = section(".rela.text");
    Elf64_Rela *entries = (Elf64_Rela *)(bytes() + table->sh_offset);
    for (uint64_t i = 0; i < table->sh_size / sizeof *entries; i++) {
        if (ELF64_R_TYPE(entries[i].r_info) == R_AARCH64_CALL26)
            entries[i].r_addend = 2;
    }
    expect(VTA_EFORMAT, "R_AARCH64_CALL26 (283)", "cannot hold");
}

/* Every row of the tables can be read: fields inside their type, names that say the number. */
Test(image_errors, has_no_relocation_type_without_a_size)
{
    static const unsigned machines[] = { EM_X86_64, EM_ARM, EM_AARCH64 };
    for (size_t i = 0; i < 3; i++) {
        const struct relocation_machine *machine = relocation_machine(machines[i]);
        for (uint32_t number = 0; number < machine->type_count + 10; number++) {
            const struct relocation_type *type = relocation_type(machine, number);
            if (type->formula == UNSUPPORTED || type->formula == NOTHING)
                continue;
            const uint32_t nbytes = relocation_nbytes(machine, type);
            cr_assert(nbytes >= 1 && nbytes <= 8, "%s", type->name);
            cr_assert(type->check == ANY || type->bits > 0, "%s", type->name);
        }
    }
}

Test(image_errors, refuses_arm_code_that_passes_floats_in_integer_registers)
{
    const uint8_t vfp_args[] = { 28, 1 };
    only("clang-arm-plain-O1.2.o");
    const Elf64_Shdr found = arm_section(".ARM.attributes");
    uint8_t *tag = memmem(bytes() + found.sh_offset, found.sh_size, vfp_args, sizeof vfp_args);
    cr_assert_not_null(tag);
    tag[1] = 0;
    expect(VTA_EHARDWARE, "clang-arm-plain-O1.2.o", "floats in integer registers");
}

/* ---- Libraries ----------------------------------------------------------------------------- */

static Elf64_Phdr *segment(uint32_t type, uint32_t flags)
{
    Elf64_Phdr *segments = (Elf64_Phdr *)(bytes() + header()->e_phoff);
    for (unsigned i = 0; i < header()->e_phnum; i++) {
        if (segments[i].p_type == type && (segments[i].p_flags & flags) == flags)
            return &segments[i];
    }
    cr_assert_fail("no segment %u", type);
    return NULL;
}

static Elf64_Dyn *tag(int64_t which)
{
    Elf64_Dyn *tags = (Elf64_Dyn *)(bytes() + segment(PT_DYNAMIC, 0)->p_offset);
    for (; tags->d_tag != DT_NULL; tags++) {
        if (tags->d_tag == which)
            return tags;
    }
    cr_assert_fail("no tag %d", (int)which);
    return NULL;
}

#define LIBRARY "clang-x86_64-pic-O1.linked.so"

Test(image_errors, names_a_segment_that_is_writable_and_executable)
{
    only(LIBRARY);
    segment(PT_LOAD, PF_X)->p_flags |= PF_W;
    expect(VTA_EUNSUPPORTED, LIBRARY, "writable and executable");
}

Test(image_errors, names_segments_that_share_a_page)
{
    only(LIBRARY);
    segment(PT_LOAD, PF_X)->p_vaddr -= 4096;
    expect(VTA_EUNSUPPORTED, LIBRARY, "shares a page");
}

Test(image_errors, refuses_a_segment_with_more_in_the_file_than_in_memory)
{
    only(LIBRARY);
    Elf64_Phdr *odd = segment(PT_GNU_STACK, 0);
    odd->p_type = PT_LOAD;
    odd->p_memsz = 0;
    odd->p_filesz = 64;
    odd->p_vaddr = 0x41414000;
    expect(VTA_EFORMAT, LIBRARY, "damaged");
}

Test(image_errors, names_thread_local_variables_of_a_library)
{
    only(LIBRARY);
    segment(PT_GNU_STACK, 0)->p_memsz = 8;
    segment(PT_GNU_STACK, 0)->p_type = PT_TLS;
    expect(VTA_EUNSUPPORTED, LIBRARY, "PT_TLS");
}

Test(image_errors, names_relocations_that_a_library_must_not_have)
{
    static const struct {
        uint32_t type;
        const char *text;
    } types[] = { { R_X86_64_COPY, "R_X86_64_COPY (5)" },
                  { R_X86_64_DTPMOD64, "R_X86_64_DTPMOD64 (16)" },
                  { R_X86_64_IRELATIVE, "R_X86_64_IRELATIVE (37)" } };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        only(LIBRARY);
        set_type((Elf64_Rela *)(bytes() + section(".rela.dyn")->sh_offset), types[i].type);
        expect(VTA_EUNSUPPORTED, types[i].text, "not supported");
    }
}

Test(image_errors, refuses_a_relocation_outside_a_library)
{
    only(LIBRARY);
    ((Elf64_Rela *)(bytes() + section(".rela.dyn")->sh_offset))->r_offset = UINT64_MAX - 4;
    expect(VTA_EFORMAT, LIBRARY, "outside the library");
}

Test(image_errors, refuses_tables_outside_a_library)
{
    static const int64_t tags[] = {
        DT_SYMTAB, DT_STRTAB, DT_HASH, DT_RELA, DT_JMPREL, DT_INIT_ARRAY
    };
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++) {
        only(LIBRARY);
        tag(tags[i])->d_un.d_ptr = UINT64_MAX - 64;
        expect(VTA_EFORMAT, LIBRARY, "damaged");
    }
}

Test(image_errors, names_what_nobody_has_for_a_library)
{
    only(LIBRARY);
    host.any = 0;
    expect(VTA_ENOTFOUND, "wants symbols that nobody has: ", "host_scale");
}
