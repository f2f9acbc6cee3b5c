/* test_image.c: modules of image_sample.c, loaded and run on their processor, against the same
 * source compiled into this test.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image_kit.h"
#include "image_sample.h"

static const struct {
    const char *name;
    word (*function)(word);
} samples[] = {
#define SAMPLE_ROW(name) { "sample_" #name, sample_##name },
    SAMPLES(SAMPLE_ROW)
#undef SAMPLE_ROW
};
#define SAMPLE_COUNT (sizeof samples / sizeof samples[0])

static const word inputs[] = { 0,   1,   23,  47,  70,  94,      117,        140,
                               163, 187, 210, 233, 254, 1000003, 0xfffffffe, 0x123456789abcdefull };
#define INPUT_COUNT (sizeof inputs / sizeof inputs[0])

/* ---- What has the imports ------------------------------------------------------------------ */

static const struct image_symbol own_symbols[] = {
    { "host_back", (uintptr_t)host_back, 0, true, false },
    { "host_mix", (uintptr_t)host_mix, 0, true, false },
    { "host_numbers", (uintptr_t)host_numbers, 32, false, false },
    { "host_scale", (uintptr_t)host_scale, 0, true, false },
};

/* Where an image and what has its imports are, as code sees it. */
struct place {
    const char *name;
    uint64_t image, imports;
};

static const struct place arm_places[] = {
    { "near", 0x40000000, 0x40800000 },
    { "far", 0x40000000, 0xc0000000 },
};
static const struct place aarch64_places[] = {
    { "near", 0x7f00000000, 0x7f00800000 },
    { "far from calls", 0x7f00000000, 0x7f40000000 },
    { "far", 0x7f00000000, 0x40000000 },
};

/* ---- One module ---------------------------------------------------------------------------- */

struct run {
    char module[256];
    struct image image;
    struct kit_cpu *cpu; /* NULL: this one */
};

static word call(const struct run *run, uint64_t address, word x)
{
    if (run->cpu != NULL)
        return kit_cpu_call(run->cpu, address, x);
    return ((word(*)(word))(uintptr_t)address)(x);
}

static word call_named(const struct run *run, const char *name, word x)
{
    const struct image_symbol *symbol = image_find(&run->image, name);
    if (symbol == NULL || !symbol->function)
        cr_assert_fail("%s: no function %s", run->module, name);
    return call(run, symbol->address, x);
}

static void compare(const struct run *run)
{
    for (uint32_t i = 0; i < run->image.init_count; i++)
        call(run, run->image.init[i], 0);
    call_named(run, "sample_reset", 0);
    sample_reset(0);
    for (size_t i = 0; i < INPUT_COUNT; i++) {
        for (size_t j = 0; j < SAMPLE_COUNT; j++) {
            const word got = call_named(run, samples[j].name, inputs[i]);
            const word expected = samples[j].function(inputs[i]);
            if (got != expected)
                cr_assert_fail("%s: %s(0x%llx) is 0x%llx, not 0x%llx", run->module, samples[j].name,
                               inputs[i], got, expected);
        }
    }
}

static void load(struct run *run, struct kit_files *files, struct kit_host *host)
{
    struct vta_error error = { 0 };
    int rc = image_load(&run->image, files->files, files->count, run->module, &host->host, &error);
    if (rc != 0)
        cr_assert_fail("%s: %s", run->module, error.message);
}

static void run_here(const char *module, struct kit_files *files)
{
    const struct image imports = { .symbols = (struct image_symbol *)own_symbols,
                                   .symbol_count = sizeof own_symbols / sizeof own_symbols[0] };
    struct run run = { 0 };
    struct kit_host host;
    kit_host(&host);
    host.imports = &imports;
    snprintf(run.module, sizeof run.module, "%s", module);
    load(&run, files, &host);
    kit_protect(&run.image);
    compare(&run);
    image_clear(&run.image);
    kit_release(&host);
}

static void run_emulated(const char *module, struct kit_files *files, const char *imports,
                         const struct place *place)
{
    struct kit_files import_files = { .count = 0 };
    struct run run = { 0 }, other = { 0 };
    struct kit_host host, import_host;
    kit_host(&host);
    kit_host(&import_host);
    cr_assert(kit_add_file(&import_files, imports), "%s", imports);
    import_host.address = place->imports;
    snprintf(other.module, sizeof other.module, "%s", imports);
    load(&other, &import_files, &import_host);
    host.address = place->image;
    host.imports = &other.image;
    snprintf(run.module, sizeof run.module, "%s, imports %s", module, place->name);
    load(&run, files, &host);
    run.cpu = kit_cpu_open(run.image.machine);
    kit_cpu_map(run.cpu, &other.image);
    kit_cpu_map(run.cpu, &run.image);
    compare(&run);
    kit_cpu_close(run.cpu);
    image_clear(&run.image);
    image_clear(&other.image);
    kit_release(&host);
    kit_release(&import_host);
    kit_free_files(&import_files);
}

/* ---- All of them --------------------------------------------------------------------------- */

/* Calls run for every module of a machine that the manifest names. */
static void each_module(const char *machine, void (*run)(const char *name, struct kit_files *files))
{
    char path[512], line[1024];
    unsigned count = 0;
    snprintf(path, sizeof path, "%s/../manifest", getenv("VTA_IMAGE_SAMPLES"));
    FILE *manifest = fopen(path, "r");
    cr_assert_not_null(manifest, "%s", path);
    while (fgets(line, sizeof line, manifest) != NULL) {
        struct kit_files files = { .count = 0 };
        char *rest = NULL;
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#')
            fprintf(stderr, "SKIPPED: modules by a tool that is not here: %s\n", line + 2);
        if (strcmp(line, "# no clang") == 0)
            cr_skip_test("SKIPPED: clang is not here");
        const char *word_text = strtok_r(line, " ", &rest);
        if (strcmp(word_text, machine) != 0)
            continue;
        const char *name = strtok_r(NULL, " ", &rest);
        while ((word_text = strtok_r(NULL, " ", &rest)) != NULL)
            cr_assert(kit_add_file(&files, word_text), "%s", word_text);
        run(name, &files);
        kit_free_files(&files);
        count++;
    }
    fclose(manifest);
    cr_assert_gt(count, 10, "few modules for %s: %u", machine, count);
}

static void skip_without_unicorn(void)
{
#ifndef HAVE_UNICORN
    cr_skip_test("SKIPPED: this build has no Unicorn, so no code for ARM runs");
#endif
}

static void run_arm(const char *name, struct kit_files *files)
{
    for (size_t i = 0; i < sizeof arm_places / sizeof arm_places[0]; i++) {
        run_emulated(name, files, "host-arm.o", &arm_places[i]);
        run_emulated(name, files, "host-thumb.o", &arm_places[i]);
    }
}

static void run_aarch64(const char *name, struct kit_files *files)
{
    for (size_t i = 0; i < sizeof aarch64_places / sizeof aarch64_places[0]; i++)
        run_emulated(name, files, "host-aarch64.o", &aarch64_places[i]);
}

Test(image, runs_x86_64_code_as_compiled_here)
{
#ifndef __x86_64__
    cr_skip_test("SKIPPED: this is no x86-64 processor");
#endif
    each_module("x86_64", run_here);
}

Test(image, runs_arm_code_on_an_emulated_processor)
{
    skip_without_unicorn();
    each_module("arm", run_arm);
}

Test(image, runs_thumb_code_on_an_emulated_processor)
{
    skip_without_unicorn();
    each_module("thumb", run_arm);
}

Test(image, runs_aarch64_code_on_an_emulated_processor)
{
    skip_without_unicorn();
    each_module("aarch64", run_aarch64);
}

/* ---- Against another linker ---------------------------------------------------------------- */

static uint64_t address_in_name(void *context, const char *name)
{
    (void)context;
    return strncmp(name, "at_", 3) == 0 ? strtoull(name + 3, NULL, 16) : 0;
}

static void compare_relocations(const char *machine)
{
    struct kit_files files = { .count = 0 }, expected = { .count = 0 };
    struct run run = { .module = "relocations" };
    struct kit_host host;
    char name[64];
    kit_host(&host);
    host.address = 0x40000000;
    host.host.import = address_in_name;
    snprintf(name, sizeof name, "relocations-%s.o", machine);
    snprintf(run.module, sizeof run.module, "%s", name);
    if (!kit_add_file(&files, name))
        cr_skip_test("SKIPPED: clang or ld.lld is not here to compare with");
    snprintf(name, sizeof name, "relocations-%s.bin", machine);
    cr_assert(kit_add_file(&expected, name), "%s", name);
    load(&run, &files, &host);
    const struct image_file *file = &expected.files[0];
    cr_assert(file->nbytes > 64 && file->nbytes <= run.image.nbytes);
    for (size_t i = 0; i < file->nbytes; i++) {
        if (run.image.bytes[i] != file->bytes[i])
            cr_assert_fail("%s: byte 0x%zx is 0x%02x, not 0x%02x", run.module, i,
                           run.image.bytes[i], file->bytes[i]);
    }
    image_clear(&run.image);
    kit_release(&host);
    kit_free_files(&files);
    kit_free_files(&expected);
}

Test(image, relocates_x86_64_as_a_linker_does)
{
    compare_relocations("x86_64");
}

Test(image, relocates_arm_as_a_linker_does)
{
    compare_relocations("arm");
}

Test(image, relocates_aarch64_as_a_linker_does)
{
    compare_relocations("aarch64");
}

/* ---- Modules that TVM compiled ------------------------------------------------------------- */

static void load_folder(const char *folder)
{
    unsigned count = 0;
    struct dirent *entry;
    DIR *directory = opendir(folder);
    cr_assert_not_null(directory, "%s", folder);
    while ((entry = readdir(directory)) != NULL) {
        const char *dot = strrchr(entry->d_name, '.');
        struct kit_files files = { .count = 0 };
        struct run run = { 0 };
        struct kit_host host;
        char path[512];
        if (dot == NULL || (strcmp(dot, ".o") != 0 && strcmp(dot, ".so") != 0))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        snprintf(run.module, sizeof run.module, "%s", entry->d_name);
        cr_assert(kit_add_file(&files, path), "%s", path);
        kit_host(&host);
        host.any = 0x1000;
        load(&run, &files, &host);
        cr_assert_not_null(image_find(&run.image, "__tvm_main__"), "%s", path);
        image_clear(&run.image);
        kit_release(&host);
        kit_free_files(&files);
        count++;
    }
    closedir(directory);
    cr_assert_gt(count, 0, "no modules in %s", folder);
}

Test(image, loads_every_module_that_tvm_compiled)
{
    char folder[256];
    const char *shared = getenv("VTA_SHARED");
    if (shared == NULL)
        cr_skip_test("SKIPPED: no compiled modules (set VTA_SHARED)");
    snprintf(folder, sizeof folder, "%s/tvm", shared);
    load_folder(folder);
    snprintf(folder, sizeof folder, "%s/tvm/arm", shared);
    load_folder(folder);
}
