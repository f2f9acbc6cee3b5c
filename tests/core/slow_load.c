/* slow_load.c: encodes the instructions of slow_load.h. */
#include "slow_load.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/isa.h"
#include <vta/module.h>

#define ROWS  36000u /* instructions of `rows` */
#define NESTS 40000u /* nests of `nests`, with a load before each */
#define DEPTH 8192u

static struct vta_layout layout;

static void put(struct vta_kernel *kernel, const struct vta_insn *insn)
{
    const uint32_t index = kernel->insn_count++;
    struct vta_error error;
    cr_assert_eq(
        vta_insn_encode(insn, &layout, kernel->insns + (size_t)index * VTA_INSN_BYTES, &error), 0,
        "%s", error.message);
}

static void load(struct vta_kernel *kernel, uint32_t from, uint32_t rows)
{
    const struct vta_insn insn = {
        .opcode = VTA_OP_LOAD,
        .mem = { .memory = VTA_MEM_UOP, .y_size = rows, .x_size = 1, .x_stride = 1 }
    };
    kernel->relocs[kernel->reloc_count++] =
        (struct vta_reloc){ .insn = kernel->insn_count, .param = VTA_PARAM_UOPS, .offset = from };
    put(kernel, &insn);
}

/* Micro-ops that use one entry in two, so that their footprint has many runs. */
static void begin(struct vta_kernel *kernel, const char *name, uint32_t insns)
{
    *kernel = (struct vta_kernel){ .name = strdup(name), .uop_count = DEPTH };
    kernel->insns = malloc((size_t)insns * VTA_INSN_BYTES);
    kernel->relocs = malloc(insns * sizeof(*kernel->relocs));
    kernel->uops = malloc(DEPTH * sizeof(*kernel->uops));
    for (uint32_t i = 0; i < DEPTH; i++) {
        const struct vta_uop uop = { 2 * i % 2048, 2 * i % 2048, 2 * i % 1024 };
        cr_assert_eq(vta_uop_encode(&uop, &layout, &kernel->uops[i], NULL), 0);
    }
}

void make_slow_load(uint8_t **bytes, size_t *nbytes)
{
    const struct vta_insn finish = { .opcode = VTA_OP_FINISH };
    const struct vta_insn nest = { .opcode = VTA_OP_GEMM,
                                   .nest = { .uop_end = DEPTH, .iter_out = 1, .iter_in = 1 } };
    struct vta_error error = { 0 };
    struct vta_module_image image = { 0 };
    struct vta_kernel kernel;
    vta_hw_default(&image.hw);
    cr_assert_eq(vta_layout_make(&layout, &image.hw, &error), 0);
    begin(&kernel, "rows", ROWS + 1);
    for (uint32_t i = 0; i < ROWS; i++)
        load(&kernel, 0, DEPTH);
    put(&kernel, &finish);
    cr_assert_eq(vta_module_image_add(&image, &kernel, &error), 0, "%s", error.message);
    begin(&kernel, "nests", 2 * NESTS + 2);
    load(&kernel, 0, DEPTH);
    for (uint32_t i = 0; i < NESTS; i++) {
        load(&kernel, 1 + i % 2, 1);
        put(&kernel, &nest);
    }
    put(&kernel, &finish);
    cr_assert_eq(vta_module_image_add(&image, &kernel, &error), 0, "%s", error.message);
    cr_assert_eq(vta_module_encode(&image, bytes, nbytes, &error), 0, "%s", error.message);
    vta_module_image_clear(&image);
}
