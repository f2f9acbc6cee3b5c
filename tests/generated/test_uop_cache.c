/* test_uop_cache.c: random micro-op kernels, recorded against a model of the micro-op SRAM that
 * remembers for every entry whose it is: what is loaded, where to, and that each instruction finds
 * its own kernel's micro-ops there.
 */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include <vta/build.h>

#include "core/isa.h"

#include "random.h"

#define KERNELS 600 /* the first half of 1 or 2 micro-ops, the others of 3 to 9 */
#define CALLS   3000
#define DEPTH   512u
#define NOBODY  UINT32_MAX

static struct vta_error error;

static struct model {
    uint32_t sizes[KERNELS];
    uint32_t owners[DEPTH]; /* by entry: the kernel that is cached there, or NOBODY */
    uint32_t begins[KERNELS];
    uint32_t end; /* of what is used */
} model;

static uint32_t calls[CALLS]; /* kernels, in order */

static bool is_cached(uint32_t kernel)
{
    return model.begins[kernel] != NOBODY;
}

/* A new kernel goes behind the last one, or where it does not fit there to the beginning, and
 * evicts all that it overlaps. */
static void place(uint32_t kernel)
{
    const uint32_t size = model.sizes[kernel];
    const uint32_t begin = model.end + size > DEPTH ? 0 : model.end;
    for (uint32_t i = begin; i < begin + size; i++) {
        const uint32_t evicted = model.owners[i];
        if (evicted == NOBODY)
            continue;
        for (uint32_t k = 0; k < model.sizes[evicted]; k++)
            model.owners[model.begins[evicted] + k] = NOBODY;
        model.begins[evicted] = NOBODY;
    }
    for (uint32_t i = begin; i < begin + size; i++)
        model.owners[i] = kernel;
    model.begins[kernel] = begin;
    model.end = begin + size;
}

/* Micro-op i of a kernel: no two are the same. */
static struct vta_uop uop_of(uint32_t kernel, uint32_t i)
{
    return (struct vta_uop){ i, kernel, 0 };
}

static void draw(struct rng *rng)
{
    memset(&model, 0xff, sizeof(model));
    model.end = 0;
    for (uint32_t i = 0; i < KERNELS; i++)
        model.sizes[i] = i < KERNELS / 2 ? rng_between(rng, 1, 2) : rng_between(rng, 3, 9);
    /* Short ones for a while, then long ones, then all; some again soon. */
    for (uint32_t i = 0, phase = 0; i < CALLS; i++) {
        if (rng_one_in(rng, 200))
            phase = rng_between(rng, 0, 2);
        if (i > 8 && rng_one_in(rng, 3))
            calls[i] = calls[i - rng_between(rng, 1, 8)];
        else
            calls[i] = rng_between(rng, phase == 1 ? KERNELS / 2 : 0,
                                   phase == 0 ? KERNELS / 2 - 1 : KERNELS - 1);
    }
}

static void record(struct vta_kernel *kernel, const struct vta_hw *hw)
{
    struct vta_build *build = vta_build_new(hw, "calls");
    for (uint32_t i = 0; i < CALLS; i++) {
        struct vta_uop_index uops[16];
        for (uint32_t k = 0; k < model.sizes[calls[i]]; k++) {
            const struct vta_uop uop = uop_of(calls[i], k);
            uops[k] = (struct vta_uop_index){ uop.dst, uop.src, uop.wgt };
        }
        const struct vta_uop_kernel called = { NULL, 0, uops, model.sizes[calls[i]] };
        cr_assert_eq(vta_build_gemm(build, &called, true), 0);
    }
    cr_assert_eq(vta_build_finish(build, kernel, &error), 0, "%s", error.message);
}

/* What was recorded, read again instruction by instruction. */
struct reading {
    const struct vta_kernel *kernel;
    struct vta_layout layout;
    uint32_t insn, reloc;
    uint32_t sram[DEPTH];
};

static struct vta_insn next_insn(struct reading *reading)
{
    struct vta_insn insn;
    cr_assert_lt(reading->insn, reading->kernel->insn_count);
    vta_insn_decode(&insn, &reading->layout,
                    reading->kernel->insns + (size_t)reading->insn++ * VTA_INSN_BYTES);
    return insn;
}

static void expect_load(struct reading *reading, uint32_t called, uint32_t call)
{
    const struct vta_reloc *reloc = &reading->kernel->relocs[reading->reloc++];
    const struct vta_insn load = next_insn(reading);
    cr_assert(load.opcode == VTA_OP_LOAD && load.mem.memory == VTA_MEM_UOP, "call %u", call);
    cr_assert_eq(load.mem.sram_base, model.begins[called], "call %u", call);
    cr_assert_eq(load.mem.x_size, model.sizes[called], "call %u", call);
    cr_assert(reloc->insn == reading->insn - 1 && reloc->param == VTA_PARAM_UOPS, "call %u", call);
    cr_assert_leq(reloc->offset + load.mem.x_size, reading->kernel->uop_count, "call %u", call);
    memcpy(reading->sram + load.mem.sram_base, reading->kernel->uops + reloc->offset,
           load.mem.x_size * sizeof(*reading->sram));
}

static void expect_call(struct reading *reading, uint32_t called, uint32_t call)
{
    if (!is_cached(called)) {
        place(called);
        expect_load(reading, called, call);
    }
    const struct vta_insn gemm = next_insn(reading);
    cr_assert_eq(gemm.opcode, VTA_OP_GEMM, "call %u: loaded though it was cached", call);
    cr_assert_eq(gemm.nest.uop_begin, model.begins[called], "call %u", call);
    cr_assert_eq(gemm.nest.uop_end, model.begins[called] + model.sizes[called], "call %u", call);
    for (uint32_t i = 0; i < model.sizes[called]; i++) {
        const struct vta_uop uop = uop_of(called, i);
        uint32_t word;
        cr_assert_eq(vta_uop_encode(&uop, &reading->layout, &word, &error), 0);
        cr_assert_eq(reading->sram[gemm.nest.uop_begin + i], word, "call %u", call);
    }
}

Test(uop_cache, loads_a_kernel_where_a_board_has_it_no_more_and_never_otherwise)
{
    struct rng rng = rng_seeded("test_uop_cache");
    struct vta_hw hw;
    vta_hw_default(&hw);
    hw.log_uop_buff = 11;
    cr_assert_eq(vta_hw_derive(&hw, &error), 0, "%s", error.message);
    cr_assert_eq(hw.depth[VTA_MEM_UOP], DEPTH);
    const uint32_t runs = rng_runs(30);
    for (uint32_t run = 0; run < runs; run++) {
        struct vta_kernel kernel = { 0 };
        struct reading reading = { .kernel = &kernel };
        draw(&rng);
        record(&kernel, &hw);
        cr_assert_eq(vta_layout_make(&reading.layout, &hw, &error), 0);
        for (uint32_t i = 0; i < CALLS; i++)
            expect_call(&reading, calls[i], i);
        vta_kernel_clear(&kernel);
    }
}
