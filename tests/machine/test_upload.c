/* test_upload.c: from an upload to a module: what is told by content, loaded, and refused. */
#include <criterion/criterion.h>

#include <archive.h>
#include <archive_entry.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kit.h"
#include "loader/image.h"

static struct kit kit;
static char *object, *library;
static size_t object_bytes, library_bytes;

static void start(void)
{
    kit_open(&kit, 1);
    object = kit_read(kit_built("imitation.o"), &object_bytes);
    library = kit_read(kit_built("imitation.so"), &library_bytes);
}

static void stop(void)
{
    free(object);
    free(library);
    kit_close(&kit);
}

TestSuite(upload, .init = start, .fini = stop, .timeout = 120);

static int load(const char *name, const void *bytes, size_t nbytes)
{
    struct module *module = NULL;
    int rc = kit_load(&kit, name, bytes, nbytes, &module);
    if (rc == 0) {
        cr_expect_eq(kit_int(&kit, module, "add_one", 8), 9);
        module_release(module);
    }
    return rc;
}

/* ---- Archives ------------------------------------------------------------------------------ */

struct tar {
    char bytes[1 << 20];
    size_t used;
    struct archive *archive;
};

static struct tar tar;

static void tar_open(bool gzip)
{
    memset(&tar, 0, sizeof tar);
    tar.archive = archive_write_new();
    archive_write_set_format_ustar(tar.archive);
    if (gzip)
        archive_write_add_filter_gzip(tar.archive);
    cr_assert_eq(archive_write_open_memory(tar.archive, tar.bytes, sizeof tar.bytes, &tar.used),
                 ARCHIVE_OK);
}

static void tar_add(const char *name, unsigned type, const void *bytes, size_t nbytes)
{
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, type);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, type == AE_IFREG ? (la_int64_t)nbytes : 0);
    if (type == AE_IFLNK)
        archive_entry_set_symlink(entry, "/etc/passwd");
    cr_assert_eq(archive_write_header(tar.archive, entry), ARCHIVE_OK);
    if (type == AE_IFREG)
        cr_assert_eq(archive_write_data(tar.archive, bytes, nbytes), (la_ssize_t)nbytes);
    archive_entry_free(entry);
}

static void tar_close(void)
{
    archive_write_close(tar.archive);
    archive_write_free(tar.archive);
}

Test(upload, loads_an_object_file_a_library_and_archives_of_objects)
{
    cr_expect_eq(load("a.o", object, object_bytes), 0, "%s", kit.error.message);
    cr_expect_eq(load("a.so", library, library_bytes), 0, "%s", kit.error.message);
    for (int gzip = 0; gzip < 2; gzip++) {
        tar_open(gzip);
        tar_add("lib0.o", AE_IFREG, object, object_bytes);
        tar_close();
        cr_expect_eq(load("a.tar", tar.bytes, tar.used), 0, "%s", kit.error.message);
    }
}

Test(upload, tells_kinds_by_content_and_not_by_name)
{
    cr_expect_eq(load("a.so", object, object_bytes), 0, "%s", kit.error.message);
    cr_expect_eq(load("no extension", library, library_bytes), 0, "%s", kit.error.message);
    cr_expect_eq(load("a.o", "#!/bin/sh\n", 10), VTA_EFORMAT);
    cr_expect_str_eq(kit.error.message, "a.o: neither an object file, a tar archive of them, nor a "
                                        "shared library");
    cr_expect_eq(load("empty.so", "", 0), VTA_EFORMAT);
}

Test(upload, loads_only_object_files_and_uses_no_path_of_an_archive)
{
    tar_open(false);
    tar_add("../../../../tmp/vtad-outside.o", AE_IFREG, object, object_bytes);
    tar_add("/tmp/vtad-outside.o", AE_IFLNK, NULL, 0);
    tar_add("folder", AE_IFDIR, NULL, 0);
    tar_add("README", AE_IFREG, "text", 4);
    tar_close();
    cr_expect_eq(load("a.tar", tar.bytes, tar.used), 0, "%s", kit.error.message);
    cr_expect_neq(access("/tmp/vtad-outside.o", F_OK), 0);
}

Test(upload, refuses_archives_without_objects_and_damaged_ones)
{
    tar_open(false);
    tar_add("README", AE_IFREG, "text", 4);
    tar_add("model.so", AE_IFREG, library, library_bytes);
    tar_close();
    cr_expect_eq(load("a.tar", tar.bytes, tar.used), VTA_EFORMAT);
    cr_expect_str_eq(kit.error.message,
                     "a.tar: an archive of 2 members, none of which is an object file");
    tar_open(true);
    tar_add("lib0.o", AE_IFREG, object, object_bytes);
    tar_close();
    cr_expect_eq(load("a.tar", tar.bytes, tar.used / 2), VTA_EFORMAT);
    cr_expect(strncmp(kit.error.message, "a.tar: a damaged archive: ", 26) == 0, "%s",
              kit.error.message);
    cr_expect_eq(load("a.tar", "\x1f\x8b garbage", 10), VTA_EFORMAT);
}

Test(upload, bounds_what_an_archive_unpacks_to)
{
    char *zeros = calloc(1, 300000);
    kit.worker.options.max_upload_bytes = 200000;
    tar_open(true);
    tar_add("lib0.o", AE_IFREG, zeros, 300000);
    tar_close();
    cr_assert_lt(tar.used, 10000u);
    cr_expect_eq(load("bomb.tar", tar.bytes, tar.used), VTA_ELIMIT);
    cr_expect_str_eq(kit.error.message, "bomb.tar: unpacks to more than 200000 bytes");
    tar_open(true);
    for (int i = 0; i < 1025; i++)
        tar_add("empty", AE_IFREG, "", 0);
    tar_close();
    cr_expect_eq(load("many.tar", tar.bytes, tar.used), VTA_ELIMIT);
    cr_expect_str_eq(kit.error.message, "many.tar: an archive of more than 1024 members");
    free(zeros);
}

/* ---- ELF ----------------------------------------------------------------------------------- */

static int check(const void *bytes, size_t nbytes)
{
    const struct image_file file = { .name = "f", .bytes = bytes, .nbytes = nbytes };
    unsigned machine;
    bool library_file;
    return image_identify(&file, &machine, &library_file, &kit.error);
}

Test(upload, names_the_symbols_that_nobody_has)
{
    size_t nbytes;
    char *bytes = kit_read(kit_built("wants.so"), &nbytes);
    cr_expect_eq(load("wants.so", bytes, nbytes), VTA_ENOTFOUND);
    cr_expect_not_null(strstr(kit.error.message, "nobody_has_this"), "%s", kit.error.message);
    cr_expect_not_null(strstr(kit.error.message, "nor_this"), "%s", kit.error.message);
    cr_expect_null(strstr(kit.error.message, kit.scratch), "%s", kit.error.message);
    free(bytes);
}

Test(upload, names_a_machine_that_no_module_can_be_for)
{
    static const struct {
        uint16_t machine;
        const char *name;
    } rows[] = { { EM_386, "32-bit x86 (EM_386)" },
                 { EM_RISCV, "RISC-V (EM_RISCV)" },
                 { 999, "machine type 999" } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char want[128];
        memcpy(object + offsetof(Elf64_Ehdr, e_machine), &rows[i].machine, 2);
        cr_expect_eq(load("a.o", object, object_bytes), VTA_EHARDWARE);
        snprintf(want, sizeof want, "a.o: built for %s; machine code can be for ", rows[i].name);
        cr_expect_eq(strncmp(kit.error.message, want, strlen(want)), 0, "%s", kit.error.message);
    }
    library[EI_CLASS] = ELFCLASS32;
    cr_expect_eq(load("a.so", library, library_bytes), VTA_EHARDWARE);
}

Test(upload, refuses_every_truncation)
{
    for (size_t cut = 4; cut < object_bytes; cut += cut < 200 ? 1 : 97)
        cr_assert_eq(check(object, cut), VTA_EFORMAT, "an object of %zu bytes", cut);
    cr_expect_eq(load("a.o", object, object_bytes - 1), VTA_EFORMAT);
    cr_expect(strncmp(kit.error.message, "a.o: truncated: ", 16) == 0, "%s", kit.error.message);
    for (size_t cut = 4; cut < library_bytes; cut += cut < 200 ? 1 : 97)
        cr_assert_eq(check(library, cut), VTA_EFORMAT, "a library of %zu bytes", cut);
}

Test(upload, refuses_headers_that_lead_outside)
{
    static const struct {
        size_t offset, size;
        uint64_t value;
    } rows[] = {
        { offsetof(Elf64_Ehdr, e_shoff), 8, UINT64_MAX - 10 },
        { offsetof(Elf64_Ehdr, e_shoff), 8, 1u << 30 },
        { offsetof(Elf64_Ehdr, e_shentsize), 2, 1 },
        { offsetof(Elf64_Ehdr, e_shnum), 2, 65000 },
        { offsetof(Elf64_Ehdr, e_phoff), 8, UINT64_MAX },
        { offsetof(Elf64_Ehdr, e_phentsize), 2, 8 },
        { offsetof(Elf64_Ehdr, e_phnum), 2, 65000 },
        { offsetof(Elf64_Ehdr, e_type), 2, ET_EXEC },
        { offsetof(Elf64_Ehdr, e_type), 2, ET_CORE },
        { offsetof(Elf64_Ehdr, e_type), 2, 77 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *copy = malloc(library_bytes);
        memcpy(copy, library, library_bytes);
        memcpy(copy + rows[i].offset, &rows[i].value, rows[i].size);
        cr_expect_eq(check(copy, library_bytes), VTA_EFORMAT, "row %zu", i);
        free(copy);
    }
}

Test(upload, survives_any_byte_changed_in_a_header)
{
    size_t nbytes;
    char *bytes = kit_read(kit_built("wants.so"), &nbytes);
    Elf64_Ehdr header;
    memcpy(&header, bytes, sizeof header);
    for (size_t at = 0; at < nbytes; at++) {
        if (at == sizeof header)
            at = header.e_shoff; /* the headers of sections lie at the end */
        for (int change = 1; change < 256; change = change * 3 + 1) {
            const char before = bytes[at];
            bytes[at] = (char)(bytes[at] + change);
            cr_expect_leq(check(bytes, nbytes), 0);
            bytes[at] = before;
        }
    }
    free(bytes);
}
