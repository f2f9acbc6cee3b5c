/* modules.c: encodes the instructions of modules.h.
 */
#include "modules.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/isa.h"
#include <vta/module.h>

#define TILES  (ADD_NUMBERS / 16) /* ACC elements of 16 numbers each */
#define EXTENT (1u << 12)

/* Appends an instruction, with a relocation to a parameter where param is not NONE. */
#define NONE (UINT32_MAX - 1)
static void add_insn(struct vta_kernel *kernel, const struct vta_layout *layout,
                     struct vta_insn insn, uint32_t param)
{
    struct vta_error error;
    uint32_t index = kernel->insn_count++;
    kernel->insns = realloc(kernel->insns, (size_t)kernel->insn_count * VTA_INSN_BYTES);
    cr_assert_eq(
        vta_insn_encode(&insn, layout, kernel->insns + (size_t)index * VTA_INSN_BYTES, &error), 0,
        "%s", error.message);
    if (param == NONE)
        return;
    kernel->relocs = realloc(kernel->relocs, (kernel->reloc_count + 1) * sizeof *kernel->relocs);
    kernel->relocs[kernel->reloc_count++] = (struct vta_reloc){ .insn = index, .param = param };
}

static void add_param(struct vta_kernel *kernel, const char *name, uint8_t bits,
                      enum vta_memory memory, enum vta_access access)
{
    kernel->params = realloc(kernel->params, (kernel->param_count + 1) * sizeof *kernel->params);
    kernel->params[kernel->param_count++] = (struct vta_param){
        .name = strdup(name),
        .type = { .dtype = { VTA_DTYPE_INT, bits }, .ndim = 1, .shape = { ADD_NUMBERS } },
        .memory = memory,
        .access = access,
    };
}

static struct vta_insn load(enum vta_memory memory, uint32_t sram_base, uint32_t elements)
{
    return (struct vta_insn){ .opcode = VTA_OP_LOAD,
                              .mem = { .memory = memory,
                                       .sram_base = sram_base,
                                       .y_size = 1,
                                       .x_size = elements,
                                       .x_stride = elements } };
}

/* One micro-op that uses entry 0 of everything, loaded to the start of the UOP SRAM. */
static void add_uop(struct vta_kernel *kernel, const struct vta_layout *layout, uint32_t src)
{
    struct vta_uop uop = { .src = src };
    kernel->uops = calloc(1, sizeof *kernel->uops);
    kernel->uop_count = 1;
    cr_assert_eq(vta_uop_encode(&uop, layout, kernel->uops, NULL), 0);
    add_insn(kernel, layout, load(VTA_MEM_UOP, 0, 1), VTA_PARAM_UOPS);
}

static void make_add(struct vta_kernel *kernel, const struct vta_layout *layout)
{
    kernel->name = strdup("add");
    add_param(kernel, "a", 32, VTA_MEM_ACC, VTA_ACCESS_READ);
    add_param(kernel, "b", 32, VTA_MEM_ACC, VTA_ACCESS_READ);
    add_param(kernel, "out", 8, VTA_MEM_OUT, VTA_ACCESS_WRITE);
    add_uop(kernel, layout, TILES);
    add_insn(kernel, layout, load(VTA_MEM_ACC, 0, TILES), 0);
    add_insn(kernel, layout, load(VTA_MEM_ACC, TILES, TILES), 1);
    add_insn(kernel, layout,
             (struct vta_insn){ .opcode = VTA_OP_ALU,
                                .push_next = 1,
                                .nest = { .uop_end = 1,
                                          .iter_out = 1,
                                          .iter_in = TILES,
                                          .dst_factor_in = 1,
                                          .src_factor_in = 1,
                                          .alu_opcode = 2 } },
             NONE);
    struct vta_insn store = load(VTA_MEM_OUT, 0, TILES);
    store.opcode = VTA_OP_STORE;
    store.pop_prev = store.push_prev = 1;
    add_insn(kernel, layout, store, 2);
    add_insn(kernel, layout, (struct vta_insn){ .opcode = VTA_OP_FINISH, .pop_next = 1 }, NONE);
}

static void make_spin(struct vta_kernel *kernel, const struct vta_layout *layout, uint32_t spins)
{
    kernel->name = strdup("spin");
    add_param(kernel, "out", 8, VTA_MEM_OUT, VTA_ACCESS_READ);
    add_uop(kernel, layout, 0);
    for (uint32_t i = 0; i < spins; i++)
        add_insn(kernel, layout,
                 (struct vta_insn){
                     .opcode = VTA_OP_GEMM,
                     .nest = { .reset = 1, .uop_end = 1, .iter_out = EXTENT, .iter_in = EXTENT } },
                 NONE);
    add_insn(kernel, layout, (struct vta_insn){ .opcode = VTA_OP_FINISH }, NONE);
}

void make_module(uint32_t spins, uint8_t **bytes, size_t *nbytes)
{
    struct vta_error error = { 0 };
    struct vta_module_image image = { 0 };
    struct vta_layout layout;
    struct vta_kernel kernel = { 0 };
    vta_hw_default(&image.hw);
    cr_assert_eq(vta_layout_make(&layout, &image.hw, &error), 0);
    make_add(&kernel, &layout);
    cr_assert_eq(vta_module_image_add(&image, &kernel, &error), 0, "%s", error.message);
    make_spin(&kernel, &layout, spins);
    cr_assert_eq(vta_module_image_add(&image, &kernel, &error), 0, "%s", error.message);
    cr_assert_eq(vta_module_encode(&image, bytes, nbytes, &error), 0, "%s", error.message);
    vta_module_image_clear(&image);
}
