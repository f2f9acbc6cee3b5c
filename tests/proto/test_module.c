/* test_module.c: module files: what is written is read, what is damaged is refused and why.
 *
 * Files that are wrong in one place are made from a right one: its msgpack is edited and the digest
 * put right again, so that the digest does not hide what is tested.
 */
#include "images.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAIL 41 /* "digest", its header, 32 bytes */

struct file {
    uint8_t *bytes;
    size_t nbytes;
};

static struct file encode(const struct vta_module_image *image)
{
    struct vta_error error = { 0 };
    struct file file;

    cr_assert_eq(vta_module_encode(image, &file.bytes, &file.nbytes, &error), 0, "%s",
                 error.message);
    return file;
}

static struct file small_file(void)
{
    struct vta_module_image image;
    struct file file;

    image_small(&image);
    file = encode(&image);
    vta_module_image_clear(&image);
    return file;
}

/* Decodes from memory of exactly this size, so that a sanitizer sees a read past its end. */
static int decode(const uint8_t *bytes, size_t nbytes, const struct vta_module_limits *limits,
                  struct vta_error *error)
{
    struct vta_module_image image;
    uint8_t *exact = malloc(nbytes > 0 ? nbytes : 1);
    int rc;

    memcpy(exact, bytes, nbytes);
    rc = vta_module_decode(&image, nbytes > 0 ? exact : NULL, nbytes, limits, error);
    free(exact);
    cr_assert(rc == 0 || (image.kernels == NULL && image.kernel_count == 0));
    vta_module_image_clear(&image);
    return rc;
}

static void renew_digest(struct file *file)
{
    vta_digest(file->bytes, file->nbytes - TAIL, file->bytes + file->nbytes - VTA_DIGEST_BYTES);
}

/* Replaces the first occurrence of `old` (both as bytes) and renews the digest. */
static void edit(struct file *file, const void *old, size_t old_size, const void *new,
                 size_t new_size)
{
    uint8_t *at = memmem(file->bytes, file->nbytes, old, old_size);
    size_t before;
    uint8_t *bytes;

    cr_assert_not_null(at, "the file does not hold what is to be edited");
    before = (size_t)(at - file->bytes);
    bytes = malloc(file->nbytes - old_size + new_size);
    memcpy(bytes, file->bytes, before);
    memcpy(bytes + before, new, new_size);
    memcpy(bytes + before + new_size, at + old_size, file->nbytes - before - old_size);
    free(file->bytes);
    file->bytes = bytes;
    file->nbytes += new_size - old_size;
    renew_digest(file);
}

#define EDIT(file, old, new) edit(file, old, sizeof old - 1, new, sizeof new - 1)

/* Expects a refusal with this code whose message holds this text; frees the file. */
static void refuse(struct file *file, int code, const char *text)
{
    struct vta_error error = { 0 };
    int rc = decode(file->bytes, file->nbytes, NULL, &error);

    cr_expect_eq(rc, code, "%s, not %s: %s", vta_error_name(rc), vta_error_name(code),
                 error.message);
    cr_expect_eq(error.code, rc);
    cr_expect_not_null(strstr(error.message, text), "'%s' does not say '%s'", error.message, text);
    free(file->bytes);
}

static void refuse_edit(const void *old, size_t old_size, const void *new, size_t new_size,
                        const char *text)
{
    struct file file = small_file();

    edit(&file, old, old_size, new, new_size);
    refuse(&file, VTA_EFORMAT, text);
}

#define REFUSE_EDIT(old, new, text) refuse_edit(old, sizeof old - 1, new, sizeof new - 1, text)

/* Expects that an image that was changed is not written; frees it. */
static void refuse_image(struct vta_module_image *image, int code, const char *text)
{
    struct vta_error error = { 0 };
    uint8_t *bytes = NULL;
    size_t nbytes;
    int rc = vta_module_encode(image, &bytes, &nbytes, &error);

    cr_expect_eq(rc, code, "%s: %s", vta_error_name(rc), error.message);
    cr_expect_not_null(strstr(error.message, text), "'%s' does not say '%s'", error.message, text);
    free(bytes);
    vta_module_image_clear(image);
}

/* ---- Round trips --------------------------------------------------------------------------- */

Test(module, reads_what_it_wrote)
{
    struct rng rng = rng_seeded("module");

    for (uint32_t round = 0, rounds = rng_runs(300); round < rounds; round++) {
        struct vta_module_image image, read;
        struct vta_error error = { 0 };
        struct file file, again;

        image_random(&image, &rng);
        file = encode(&image);
        cr_assert_eq(vta_module_decode(&read, file.bytes, file.nbytes, NULL, &error), 0,
                     "round %u: %s", round, error.message);
        cr_assert(image_equal(&image, &read), "round %u", round);
        again = encode(&read);
        cr_assert_eq(file.nbytes, again.nbytes);
        cr_assert_eq(memcmp(file.bytes, again.bytes, file.nbytes), 0, "round %u", round);
        free(file.bytes);
        free(again.bytes);
        vta_module_image_clear(&image);
        vta_module_image_clear(&read);
    }
}

Test(module, derives_the_hardware_that_it_reads)
{
    struct vta_module_image image;
    struct vta_hw hw;
    struct file file = small_file();

    vta_hw_default(&hw);
    cr_assert_eq(vta_module_decode(&image, file.bytes, file.nbytes, NULL, NULL), 0);
    cr_expect_eq(image.hw.depth[VTA_MEM_WGT], hw.depth[VTA_MEM_WGT]);
    cr_expect_eq(image.hw.target, VTA_TARGET_SIM);
    cr_expect_str_eq(image.hw.hw_ver, "0.0.2");
    vta_module_image_clear(&image);
    free(file.bytes);
}

/* The bytes of the dump in docs/MODULE.md: lines of "    00000010: 75 6c …". */
static struct file documented_file(void)
{
    FILE *doc = fopen(MODULE_DOC, "r");
    struct file file = { malloc(4096), 0 };
    char line[256];

    cr_assert_not_null(doc, "%s", MODULE_DOC);
    while (fgets(line, sizeof line, doc) != NULL) {
        unsigned offset, byte;
        int at = 0, length;

        if (sscanf(line, "    %8x:%n", &offset, &at) != 1 || at == 0)
            continue;
        cr_assert_eq(offset, file.nbytes);
        for (int i = 0; i < 16; i++, at += length) {
            cr_assert_eq(sscanf(line + at, " %2x%n", &byte, &length), 1, "%s", line);
            file.bytes[file.nbytes++] = (uint8_t)byte;
        }
    }
    fclose(doc);
    return file;
}

Test(module, reads_the_file_that_the_documentation_shows)
{
    struct file file = documented_file();
    struct vta_module_image image;
    struct vta_error error = { 0 };

    cr_assert_eq(vta_module_decode(&image, file.bytes, file.nbytes, NULL, &error), 0, "%s",
                 error.message);
    cr_assert_eq(image.kernel_count, 1);
    cr_expect_str_eq(image.kernels[0].name, "copy");
    cr_expect_eq(image.kernels[0].insn_count, 2);
    cr_expect_eq(image.kernels[0].params[0].memory, VTA_MEM_ACC);
    vta_module_image_clear(&image);
    free(file.bytes);
}

/* ---- Damage -------------------------------------------------------------------------------- */

Test(module, refuses_a_file_cut_short_anywhere)
{
    struct file file = small_file();

    for (size_t n = 0; n < file.nbytes; n++) {
        struct vta_error error = { 0 };

        cr_assert_eq(decode(file.bytes, n, NULL, &error), VTA_EFORMAT, "%zu bytes: %s", n,
                     error.message);
        cr_expect(strncmp(error.message, "cut short: ", 11) == 0 ||
                      strncmp(error.message, "not a module file", 17) == 0,
                  "%zu bytes: %s", n, error.message);
    }
    free(file.bytes);
}

Test(module, refuses_a_file_with_any_bit_flipped)
{
    struct file file = small_file();

    for (size_t bit = 0; bit < file.nbytes * 8; bit++) {
        struct vta_error error = { 0 };

        file.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        cr_assert_neq(decode(file.bytes, file.nbytes, NULL, &error), 0, "bit %zu", bit);
        cr_assert_neq(error.message[0], '\0', "bit %zu", bit);
        file.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    free(file.bytes);
}

Test(module, survives_any_byte_changed_under_a_right_digest)
{
    struct file file = small_file();

    for (size_t at = 0; at + TAIL < file.nbytes; at++) {
        uint8_t was = file.bytes[at];

        for (unsigned value = 0; value < 256; value++) {
            struct vta_error error = { 0 };

            file.bytes[at] = (uint8_t)value;
            renew_digest(&file);
            if (decode(file.bytes, file.nbytes, NULL, &error) != 0)
                cr_assert_neq(error.message[0], '\0', "byte %zu = %u", at, value);
        }
        file.bytes[at] = was;
    }
    free(file.bytes);
}

Test(module, says_when_the_digest_does_not_match)
{
    struct file file = small_file();
    uint8_t *insns = memmem(file.bytes, file.nbytes, "\x00\x01\x02\x03\x04", 5);

    cr_assert_not_null(insns);
    insns[3] ^= 0x10;
    refuse(&file, VTA_EDIGEST, "digest does not match");
}

Test(module, refuses_bytes_behind_the_end)
{
    struct file file = small_file();

    file.bytes = realloc(file.bytes, file.nbytes + 3);
    memset(file.bytes + file.nbytes, 0, 3);
    file.nbytes += 3;
    refuse(&file, VTA_EFORMAT, "3 bytes follow");
}

Test(module, refuses_what_is_no_module_file)
{
    static const char *const others[] = { "", "\x80", "hello", "{\"TARGET\": \"sim\"}",
                                          "\205\246format\252vta-modul3\247version\1" };

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct vta_error error = { 0 };

        cr_expect_eq(decode((const uint8_t *)others[i], strlen(others[i]), NULL, &error),
                     VTA_EFORMAT);
        cr_expect_not_null(strstr(error.message, "not a module file"), "%s", error.message);
    }
}

Test(module, says_which_version_it_reads_when_given_a_later_one)
{
    struct file file = small_file();

    EDIT(&file, "\xa7version\x01", "\xa7version\x02");
    refuse(&file, VTA_EVERSION, "format version 2; this build reads version 1");
}

/* ---- Structure ----------------------------------------------------------------------------- */

Test(module, suggests_the_key_that_was_meant)
{
    REFUSE_EDIT("\xa5insns", "\xa4insn", "functions[0]: unknown key 'insn': did you mean 'insns'?");
    REFUSE_EDIT("\xa9LOG_BLOCK", "\xa8LOG_BLOK",
                "hardware: unknown key 'LOG_BLOK': did you mean 'LOG_BLOCK'?");
    REFUSE_EDIT("\xa6memory", "\xa6memery",
                "functions[0]: params[0]: unknown key 'memery': did you mean 'memory'?");
}

Test(module, refuses_keys_missing_doubled_or_out_of_order)
{
    REFUSE_EDIT("\x8b\xa6TARGET\xa3sim", "\x8a", "hardware: key 'HW_VER' where 'TARGET' must come");
    REFUSE_EDIT("\xa6"
                "access\xa5write",
                "\xa4name\xa5write", "key 'name' comes twice");
    REFUSE_EDIT("\x85\xa4name\xa3"
                "add",
                "\x86\xa4name\xa3"
                "add\xa4name\xa3"
                "add",
                "functions[0]: key 'name' comes twice");
    REFUSE_EDIT("\x8b\xa6TARGET", "\x8b\x07", "hardware: a key: expected a string, got 7");
}

Test(module, refuses_values_of_the_wrong_type)
{
    REFUSE_EDIT("\xa3"
                "add",
                "\x07", "functions[0]: name: expected a string, got 7");
    REFUSE_EDIT("\xa3sim",
                "\xa4"
                "simm",
                "hardware: TARGET: 'simm'");
    REFUSE_EDIT("\xa5int32", "\xa5int33", "params[0]: 'int33' is no number type");
    REFUSE_EDIT("\x94\x01\x08\x01\x10", "\x94\x01\x08\xff\x10",
                "params[0]: shape[2]: expected an integer");
    REFUSE_EDIT("\x94\x01\x08\x01\x10", "\x94\x01\x08\x00\x10", "shape[2]: 0");
    REFUSE_EDIT("\x94\x01\x08\x01\x10", "\x90", "shape: 0 axes");
    REFUSE_EDIT("\x94\x01\x08\x01\x10", "\x99\1\1\1\1\1\1\1\1\1",
                "shape: expected an array of 1 to 8, got an array of 9");
    REFUSE_EDIT("\x94\x01\x08\x01\x10", "\x92\xcf\x80\0\0\0\0\0\0\0\xcf\x80\0\0\0\0\0\0\0",
                "passes 2^64 bits");
    REFUSE_EDIT("\xa3"
                "ACC",
                "\xa3UOP", "memory: 'UOP'");
    REFUSE_EDIT("\xa5write", "\xa5wrote", "access: 'wrote'");
    REFUSE_EDIT("\xa4uops\xc4\x08\x00\x08\x00\x00\xfe\xff\xff\xff", "\xa4uops\xc4\x03\x00\x08\x00",
                "uops: 3 bytes, not a multiple of 4");
    REFUSE_EDIT("\xa4uops\xc4\x08\x00\x08\x00\x00\xfe\xff\xff\xff", "\xa4uops\xc0",
                "uops: expected a binary, got nil");
}

Test(module, refuses_relocations_that_lead_nowhere)
{
    const uint8_t third[] = { 2, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0 };
    const uint8_t beyond[] = { 3, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0 };
    const uint8_t param[] = { 2, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0 };
    const uint8_t again[] = { 1, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0 };

    refuse_edit(third, 12, beyond, 12, "'add': relocs[2]: instruction 3, the function has 3");
    refuse_edit(third, 12, param, 12, "'add': relocs[2]: parameter 2, the function has 2");
    refuse_edit(third, 12, again, 12, "relocs[2]: instruction 1 after instruction 1");
}

Test(module, refuses_names_that_would_disturb_a_terminal)
{
    REFUSE_EDIT("\xa3"
                "add",
                "\xa3"
                "a\x1b"
                "d",
                "name: byte 1 is a control character");
    REFUSE_EDIT("\xa3"
                "add",
                "\xa3"
                "a\xc2\x9b",
                "name: byte 1 is a control character");
    REFUSE_EDIT("\xa3"
                "add",
                "\xa3"
                "a\xc0\xaf",
                "name: byte 1 is not UTF-8");
    REFUSE_EDIT("\xa3"
                "add",
                "\xa3"
                "\xed\xa0\x80",
                "name: byte 0 is not UTF-8");
    REFUSE_EDIT("\xa3"
                "add",
                "\xa4"
                "\xf4\x90\x80\x80",
                "name: byte 0 is not UTF-8");
    REFUSE_EDIT("\xa3"
                "add",
                "\xa2"
                "a\xe2",
                "name: byte 1 is not UTF-8");
    REFUSE_EDIT("\xa3"
                "add",
                "\xa3"
                "a\0d",
                "name: a string with NUL in it");
    REFUSE_EDIT("\xa3"
                "add",
                "\xa0", "name: empty");
}

Test(module, refuses_hardware_that_cannot_be)
{
    struct file file = small_file();

    EDIT(&file, "\xa9LOG_BLOCK\x04", "\xa9LOG_BLOCK\x28");
    refuse(&file, VTA_ECONFIG, "hardware: ");
}

Test(module, refuses_a_digest_that_is_not_last_and_plain)
{
    struct file file = small_file();

    file.bytes[file.nbytes - 34] = 0xd9; /* a string of 32 bytes */
    refuse(&file, VTA_EFORMAT, "the last entry is not 'digest'");
}

/* ---- Limits -------------------------------------------------------------------------------- */

static void refuse_limits(const struct vta_module_limits *limits, int64_t limit, int64_t value,
                          const char *text)
{
    struct vta_error error = { 0 };
    struct file file = small_file();

    cr_expect_eq(decode(file.bytes, file.nbytes, limits, &error), VTA_ELIMIT, "%s", error.message);
    cr_expect_not_null(strstr(error.message, text), "'%s' does not say '%s'", error.message, text);
    cr_expect(error.has_limit);
    cr_expect_eq(error.limit, limit);
    cr_expect_eq(error.value, value);
    free(file.bytes);
}

Test(module, names_the_limit_that_is_passed_and_the_value)
{
    struct vta_module_limits limits;

    vta_module_limits_default(&limits);
    limits.insns = 2;
    refuse_limits(&limits, 2, 3, "functions[0]: 3 insns, the limit is 2");
    vta_module_limits_default(&limits);
    limits.uops = 1;
    refuse_limits(&limits, 1, 2, "functions[0]: 2 uops, the limit is 1");
    vta_module_limits_default(&limits);
    limits.params = 1;
    refuse_limits(&limits, 1, 2, "functions[0]: 2 parameters, the limit is 1");
    vta_module_limits_default(&limits);
    limits.kernels = 0;
    refuse_limits(&limits, 0, 1, "1 functions, the limit is 0");
    vta_module_limits_default(&limits);
    limits.name_bytes = 2;
    refuse_limits(&limits, 2, 3, "3 bytes in a name, the limit is 2");
}

Test(module, holds_the_size_against_its_limit_before_anything_else)
{
    struct vta_module_limits limits;
    struct vta_error error = { 0 };
    uint8_t byte = 0;

    vta_module_limits_default(&limits);
    cr_expect_eq(limits.file_bytes, 64u << 20);
    cr_expect_eq(
        vta_module_decode(&(struct vta_module_image){ 0 }, &byte, (64u << 20) + 1, NULL, &error),
        VTA_ELIMIT);
    cr_expect_str_eq(error.message, "67108865 bytes in a module file, the limit is 67108864");
}

Test(module, allocates_nothing_for_what_a_file_only_announces)
{
    struct file file = { malloc(64), 0 };
    static const char announced[] =
        "\205\246format\252vta-module\247version\1\250hardware\335\177\377\377\377";

    file.nbytes = sizeof announced - 1;
    memcpy(file.bytes, announced, file.nbytes);
    refuse(&file, VTA_ELIMIT, "an array of 2147483647 entries, the limit is");
}

Test(module, does_not_write_what_it_would_not_read)
{
    struct vta_module_image image;

    image_small(&image);
    image.kernels[0].relocs[1].insn = 0;
    refuse_image(&image, VTA_EFORMAT, "they must ascend");
    image_small(&image);
    image.kernels[0].name[1] = '\n';
    refuse_image(&image, VTA_EFORMAT, "control character");
    image_small(&image);
    image.kernels[0].params[1].name[0] = 'a';
    image.kernels[0].params[1].name[1] = '\0';
    refuse_image(&image, VTA_EFORMAT, "functions[0]: 'add': two parameters are named 'a'");
    image_small(&image);
    image.kernels[0].params[0].type.shape[3] = 0;
    refuse_image(&image, VTA_EFORMAT, "params[0]: 'a': shape[3]: 0");
    image_small(&image);
    image.kernels[0].params[0].memory = VTA_MEM_UOP;
    refuse_image(&image, VTA_EFORMAT, "memory");
    image_small(&image);
    image.hw.log_block = 40;
    refuse_image(&image, VTA_ECONFIG, "LOG_BLOCK");
    image_small(&image);
    vta_kernel_clear(&image.kernels[0]);
    image.kernel_count = 0;
    refuse_image(&image, VTA_EFORMAT, "expected at least one");
}

Test(module, refuses_two_functions_of_one_name)
{
    struct vta_module_image image, other;

    image_small(&image);
    image_small(&other);
    image.kernels = realloc(image.kernels, 2 * sizeof *image.kernels);
    image.kernels[1] = other.kernels[0];
    image.kernel_count = 2;
    free(other.kernels);
    refuse_image(&image, VTA_EFORMAT, "two functions are named 'add'");
}

/* ---- On disk ------------------------------------------------------------------------------- */

static char folder[] = "/tmp/vta-module-XXXXXX";

static void make_folder(void)
{
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chdir(folder), 0);
}

static void remove_folder(void)
{
    unlink("a.vta");
    unlink("sub/b.vta");
    rmdir("sub");
    unlink("pipe");
    cr_expect_eq(chdir("/"), 0);
    cr_expect_eq(rmdir(folder), 0, "something was left behind in %s", folder);
}

TestSuite(module_file, .init = make_folder, .fini = remove_folder);

Test(module_file, opens_what_was_saved_in_this_and_another_folder)
{
    static const char *const paths[] = { "a.vta", "./a.vta", "sub/b.vta" };
    struct vta_module_image image, read;
    struct vta_error error = { 0 };

    image_small(&image);
    cr_assert_eq(mkdir("sub", 0777), 0);
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(vta_module_save(&image, paths[i], &error), 0, "%s", error.message);
        cr_assert_eq(vta_module_open(&read, paths[i], &error), 0, "%s", error.message);
        cr_expect(image_equal(&image, &read));
        vta_module_image_clear(&read);
    }
    vta_module_image_clear(&image);
}

Test(module_file, keeps_the_old_file_when_the_new_one_cannot_be_written)
{
    struct vta_module_image image, read;
    struct vta_error error = { 0 };

    image_small(&image);
    cr_assert_eq(vta_module_save(&image, "a.vta", &error), 0, "%s", error.message);
    image.kernels[0].relocs[1].insn = 0;
    cr_expect_eq(vta_module_save(&image, "a.vta", &error), VTA_EFORMAT);
    cr_expect_eq(strncmp(error.message, "a.vta: ", 7), 0, "%s", error.message);
    cr_expect_eq(vta_module_open(&read, "a.vta", &error), 0, "%s", error.message);
    vta_module_image_clear(&read);
    vta_module_image_clear(&image);
}

Test(module_file, names_the_path_when_there_is_no_such_folder_or_file)
{
    struct vta_module_image image, read;
    struct vta_error error = { 0 };

    image_small(&image);
    cr_expect_eq(vta_module_save(&image, "none/a.vta", &error), VTA_EIO);
    cr_expect_not_null(strstr(error.message, "none/a.vta: "), "%s", error.message);
    cr_expect_eq(vta_module_save(&image, "./", &error), VTA_EIO);
    cr_expect_eq(vta_module_open(&read, "a.vta", &error), VTA_EIO);
    cr_expect_not_null(strstr(error.message, "a.vta: cannot open: "), "%s", error.message);
    vta_module_image_clear(&image);
}

Test(module_file, leaves_devices_folders_and_pipes_alone)
{
    struct vta_module_image image, read;
    struct vta_error error = { 0 };
    struct stat status;

    image_small(&image);
    cr_assert_eq(mkdir("sub", 0777), 0);
    cr_assert_eq(mkfifo("pipe", 0666), 0);
    cr_expect_eq(vta_module_save(&image, "sub", &error), VTA_EIO);
    cr_expect_eq(vta_module_save(&image, "pipe", &error), VTA_EIO);
    cr_expect_eq(stat("pipe", &status), 0);
    cr_expect(S_ISFIFO(status.st_mode));
    cr_expect_eq(vta_module_open(&read, "pipe", &error), VTA_EIO);
    cr_expect_eq(vta_module_open(&read, "sub", &error), VTA_EIO);
    vta_module_image_clear(&image);
}

Test(module, digests_as_sha_256_does)
{
    static const uint8_t abc[] = { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea };
    uint8_t digest[VTA_DIGEST_BYTES];

    vta_digest("abc", 3, digest);
    cr_expect_eq(memcmp(digest, abc, sizeof abc), 0);
}
