/* image_kit.c: files, hosts and processors for the suites of images (image_kit.h). */
#include "image_kit.h"

#include <criterion/criterion.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifdef HAVE_UNICORN
#include <unicorn/unicorn.h>
#endif

/* ---- Files --------------------------------------------------------------------------------- */

bool kit_add_file(struct kit_files *files, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", name[0] == '/' ? "" : getenv("VTA_IMAGE_SAMPLES"), name);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    cr_assert_lt(files->count, KIT_FILES_MAX);
    fseek(file, 0, SEEK_END);
    const long nbytes = ftell(file);
    rewind(file);
    uint8_t *bytes = malloc((size_t)nbytes + 1);
    cr_assert_not_null(bytes);
    cr_assert_eq(fread(bytes, 1, (size_t)nbytes, file), (size_t)nbytes);
    fclose(file);
    files->files[files->count++] = (struct image_file){ strdup(name), bytes, (size_t)nbytes };
    return true;
}

void kit_free_files(struct kit_files *files)
{
    for (uint32_t i = 0; i < files->count; i++) {
        free((char *)files->files[i].name);
        free((uint8_t *)files->files[i].bytes);
    }
    files->count = 0;
}

/* ---- Hosts --------------------------------------------------------------------------------- */

static int reserve(void *context, uint64_t nbytes, uint8_t **bytes, uint64_t *address,
                   struct vta_error *error)
{
    struct kit_host *host = context;
    if (nbytes > host->nbytes_max)
        return vta_error_set(error, VTA_ENOMEM, "the host has no %zu bytes", (size_t)nbytes);
    host->bytes =
        mmap(NULL, nbytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    cr_assert_neq(host->bytes, MAP_FAILED);
    host->nbytes = nbytes;
    *bytes = host->bytes;
    *address = host->address != 0 ? host->address : (uintptr_t)host->bytes;
    return 0;
}

static uint64_t import(void *context, const char *name)
{
    const struct kit_host *host = context;
    const struct image_symbol *symbol =
        host->imports != NULL ? image_find(host->imports, name) : NULL;
    return symbol != NULL ? symbol->address : host->any;
}

void kit_host(struct kit_host *host)
{
    *host = (struct kit_host){ .host = { reserve, import, host }, .nbytes_max = 256u << 20 };
}

void kit_protect(const struct image *image)
{
    for (uint32_t i = 0; i < image->part_count; i++) {
        const struct image_part *part = &image->parts[i];
        const int access = ((part->access & IMAGE_READ) != 0 ? PROT_READ : 0) |
                           ((part->access & IMAGE_WRITE) != 0 ? PROT_WRITE : 0) |
                           ((part->access & IMAGE_EXECUTE) != 0 ? PROT_EXEC : 0);
        cr_assert_eq(mprotect(image->bytes + part->offset, part->nbytes, access), 0);
    }
}

void kit_release(struct kit_host *host)
{
    if (host->bytes != NULL)
        munmap(host->bytes, host->nbytes);
    host->bytes = NULL;
}

/* ---- Processors ---------------------------------------------------------------------------- */

#ifdef HAVE_UNICORN

#define STACK     0x20000000u
#define STACK_END 0x20100000u
#define RETURN    0x21000000u /* where calls return to */

struct kit_cpu {
    unsigned machine;
    uc_engine *engine;
};

static void check(uc_err reason, const char *what)
{
    if (reason != UC_ERR_OK)
        cr_assert_fail("%s: %s", what, uc_strerror(reason));
}

/* Floating point is off when a processor starts. */
static void enable_floating_point(struct kit_cpu *cpu)
{
    uint64_t value = 0;
    if (cpu->machine == EM_ARM) {
        check(uc_reg_read(cpu->engine, UC_ARM_REG_C1_C0_2, &value), "CPACR");
        value |= 0xf << 20;
        check(uc_reg_write(cpu->engine, UC_ARM_REG_C1_C0_2, &value), "CPACR");
        value = 1 << 30;
        check(uc_reg_write(cpu->engine, UC_ARM_REG_FPEXC, &value), "FPEXC");
    } else {
        value = 3 << 20;
        check(uc_reg_write(cpu->engine, UC_ARM64_REG_CPACR_EL1, &value), "CPACR_EL1");
    }
}

struct kit_cpu *kit_cpu_open(unsigned machine)
{
    struct kit_cpu *cpu = calloc(1, sizeof *cpu);
    cr_assert_not_null(cpu);
    cpu->machine = machine;
    check(uc_open(machine == EM_ARM ? UC_ARCH_ARM : UC_ARCH_ARM64, UC_MODE_ARM, &cpu->engine),
          "open");
    if (machine == EM_ARM)
        check(uc_ctl_set_cpu_model(cpu->engine, UC_CPU_ARM_CORTEX_A15), "model");
    enable_floating_point(cpu);
    check(uc_mem_map(cpu->engine, STACK, STACK_END - STACK, UC_PROT_READ | UC_PROT_WRITE), "stack");
    check(uc_mem_map(cpu->engine, RETURN, 4096, UC_PROT_READ | UC_PROT_EXEC), "return");
    return cpu;
}

void kit_cpu_map(struct kit_cpu *cpu, const struct image *image)
{
    for (uint32_t i = 0; i < image->part_count; i++) {
        const struct image_part *part = &image->parts[i];
        const uint32_t access = ((part->access & IMAGE_READ) != 0 ? UC_PROT_READ : 0) |
                                ((part->access & IMAGE_WRITE) != 0 ? UC_PROT_WRITE : 0) |
                                ((part->access & IMAGE_EXECUTE) != 0 ? UC_PROT_EXEC : 0);
        check(uc_mem_map_ptr(cpu->engine, image->address + part->offset, part->nbytes, access,
                             image->bytes + part->offset),
              "map");
    }
}

uint64_t kit_cpu_call(struct kit_cpu *cpu, uint64_t address, uint64_t x)
{
    const bool arm = cpu->machine == EM_ARM;
    uint64_t sp = STACK_END - 64, lr = RETURN, high = x >> 32, pc = 0;
    if (arm) {
        x &= UINT32_MAX;
        uc_reg_write(cpu->engine, UC_ARM_REG_R1, &high);
    }
    uc_reg_write(cpu->engine, arm ? (int)UC_ARM_REG_R0 : (int)UC_ARM64_REG_X0, &x);
    uc_reg_write(cpu->engine, arm ? (int)UC_ARM_REG_SP : (int)UC_ARM64_REG_SP, &sp);
    uc_reg_write(cpu->engine, arm ? (int)UC_ARM_REG_LR : (int)UC_ARM64_REG_LR, &lr);
    const uc_err reason = uc_emu_start(cpu->engine, address, RETURN, 0, 10000000);
    uc_reg_read(cpu->engine, arm ? (int)UC_ARM_REG_PC : (int)UC_ARM64_REG_PC, &pc);
    if (reason != UC_ERR_OK || pc != RETURN)
        cr_assert_fail("call of 0x%zx: %s at 0x%zx", (size_t)address, uc_strerror(reason),
                       (size_t)pc);
    x = high = 0;
    uc_reg_read(cpu->engine, arm ? (int)UC_ARM_REG_R0 : (int)UC_ARM64_REG_X0, &x);
    if (arm) {
        uc_reg_read(cpu->engine, UC_ARM_REG_R1, &high);
        x = (x & UINT32_MAX) | high << 32;
    }
    return x;
}

void kit_cpu_close(struct kit_cpu *cpu)
{
    uc_close(cpu->engine);
    free(cpu);
}

#else

struct kit_cpu *kit_cpu_open(unsigned machine)
{
    (void)machine;
    return NULL;
}

void kit_cpu_map(struct kit_cpu *cpu, const struct image *image)
{
    (void)cpu;
    (void)image;
}

uint64_t kit_cpu_call(struct kit_cpu *cpu, uint64_t address, uint64_t x)
{
    (void)cpu;
    (void)address;
    return x;
}

void kit_cpu_close(struct kit_cpu *cpu)
{
    (void)cpu;
}

#endif
