/* test_verify_cost.c: micro-ops that are loaded in rows: the verifier's verdicts against a plain
 * walk over a copy of the SRAM, and what they cost, counted by the control.
 */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "core/verify.h"

#include "random.h"

#define UOPS 4096u

static struct vta_error error;
static struct vta_hw hw;
static struct vta_uop uops[UOPS];
static struct vta_insn *insns;
static uint32_t *bases;
static uint32_t count, capacity;

static void start(void)
{
    vta_hw_default(&hw);
    memset(uops, 0, sizeof(uops));
}

static void end(void)
{
    free(insns);
    free(bases);
    insns = NULL;
    bases = NULL;
    count = capacity = 0;
}

TestSuite(verify_cost, .init = start, .fini = end, .timeout = 300);

static struct vta_insn *add(struct vta_insn insn)
{
    if (count == capacity) {
        capacity = capacity == 0 ? 256 : capacity * 2;
        insns = realloc(insns, capacity * sizeof(*insns));
        bases = realloc(bases, capacity * sizeof(*bases));
    }
    insns[count] = insn;
    return &insns[count++];
}

static struct vta_mem_insn *add_load(uint32_t sram, uint32_t dram, uint32_t rows, uint32_t columns,
                                     uint32_t stride)
{
    return &add((struct vta_insn){ .opcode = VTA_OP_LOAD,
                                   .mem = { .memory = VTA_MEM_UOP,
                                            .sram_base = sram,
                                            .dram_base = dram,
                                            .y_size = rows,
                                            .x_size = columns,
                                            .x_stride = stride } })
                ->mem;
}

static void add_gemm(uint32_t begin, uint32_t end_)
{
    add((struct vta_insn){
        .opcode = VTA_OP_GEMM,
        .nest = { .uop_begin = begin, .uop_end = end_, .iter_out = 1, .iter_in = 1 } });
}

/* The program that was added. */
static struct vta_program *make(void)
{
    struct vta_program *program;
    const struct vta_decoded decoded = {
        .insns = insns, .bases = bases, .count = count, .uops = uops, .uop_count = UOPS
    };
    error = (struct vta_error){ .insn = -1 };
    for (uint32_t i = 0; i < count; i++)
        bases[i] = insns[i].opcode == VTA_OP_LOAD && insns[i].mem.y_size != 0 ? VTA_BASE_UOPS
                                                                              : VTA_BASE_ABSOLUTE;
    cr_assert_eq(vta_program_from_decoded(&program, &hw, &decoded, &error), 0, "%s", error.message);
    return program;
}

/* Verifies what was added; *steps as the control counts them. */
static int verify(uint64_t *steps)
{
    struct vta_control control = { 0 };
    const struct vta_verify_options options = { .control = &control };
    struct vta_program *program = make();
    int rc = vta_verify(program, &options, &error);
    *steps = control.steps;
    vta_program_free(program);
    return rc;
}

/* ---- Verdicts ------------------------------------------------------------------------------ */

#define ENTRIES 64u /* of the SRAM, that these programs use */

/* The SRAM, entry by entry. */
static struct entry {
    bool loaded;
    struct vta_uop uop;
} sram[ENTRIES];

static void walk_load(const struct vta_mem_insn *mem)
{
    struct entry *to = &sram[mem->sram_base];
    const uint32_t columns = mem->x_pad_before + mem->x_size + mem->x_pad_after;
    for (uint32_t y = 0; y < mem->y_pad_before + mem->y_size + mem->y_pad_after; y++) {
        for (uint32_t x = 0; x < columns; x++, to++) {
            const uint32_t row = y - mem->y_pad_before, column = x - mem->x_pad_before;
            *to = (struct entry){ .loaded = true };
            if (row < mem->y_size && column < mem->x_size) /* else padding */
                to->uop = uops[mem->dram_base + row * mem->x_stride + column];
        }
    }
}

static int walk_nest(const struct vta_nest_insn *nest)
{
    for (uint32_t u = nest->uop_begin; u < nest->uop_end; u++)
        if (!sram[u].loaded)
            return VTA_EUOP;
    for (uint32_t u = nest->uop_begin; u < nest->uop_end; u++)
        if (sram[u].uop.dst + nest->iter_in - 1 >= hw.depth[VTA_MEM_ACC] ||
            sram[u].uop.src >= hw.depth[VTA_MEM_INP] || sram[u].uop.wgt >= hw.depth[VTA_MEM_WGT])
            return VTA_ESRAM;
    return 0;
}

/* The verdict, and the instruction that it is about. */
static int walk(int64_t *insn)
{
    memset(sram, 0, sizeof(sram));
    for (uint32_t i = 0; i < count; i++) {
        int rc = 0;
        if (insns[i].opcode == VTA_OP_LOAD)
            walk_load(&insns[i].mem);
        else if (insns[i].opcode == VTA_OP_GEMM)
            rc = walk_nest(&insns[i].nest);
        *insn = i;
        if (rc != 0)
            return rc;
    }
    *insn = -1;
    return 0;
}

static void draw_load(struct rng *rng)
{
    struct vta_mem_insn *mem = add_load(0, 0, rng_between(rng, 0, 12), rng_between(rng, 1, 5), 0);
    mem->x_stride = rng_between(rng, 0, 8);
    mem->dram_base = rng_between(rng, 0, 64);
    if (rng_one_in(rng, 4))
        mem->x_pad_before = rng_between(rng, 0, 2);
    if (rng_one_in(rng, 4))
        mem->x_pad_after = rng_between(rng, 0, 2);
    if (rng_one_in(rng, 4))
        mem->y_pad_before = rng_between(rng, 0, 2);
    if (rng_one_in(rng, 4))
        mem->y_pad_after = rng_between(rng, 0, 2);
    const uint32_t rows = mem->y_pad_before + mem->y_size + mem->y_pad_after;
    const uint32_t columns = mem->x_pad_before + mem->x_size + mem->x_pad_after;
    if (rows * columns > ENTRIES)
        *mem = (struct vta_mem_insn){ .memory = VTA_MEM_UOP, .y_size = 1, .x_size = 1 };
    else
        mem->sram_base = rng_between(rng, 0, ENTRIES - rows * columns);
}

/* One micro-op in eight is such that the nest must not use it. */
static void draw_program(struct rng *rng)
{
    for (uint32_t i = 0; i < 256; i++) {
        uops[i] = (struct vta_uop){ rng_between(rng, 0, 2000), 0, 0 };
        if (rng_one_in(rng, 8))
            uops[i].dst = 2047;
    }
    count = 0;
    add_load(0, 0, 1, ENTRIES, 0);
    for (uint32_t i = rng_between(rng, 1, 20); i > 0; i--)
        draw_load(rng);
    for (uint32_t i = rng_between(rng, 1, 20); i > 0; i--) {
        const uint32_t begin = rng_between(rng, 0, ENTRIES - 1);
        add_gemm(begin, rng_between(rng, begin + 1, begin + 8 < ENTRIES ? begin + 8 : ENTRIES));
        insns[count - 1].nest.iter_in = rng_between(rng, 1, 2);
        insns[count - 1].nest.dst_factor_in = 1;
        if (rng_one_in(rng, 2))
            draw_load(rng);
    }
    add((struct vta_insn){ .opcode = VTA_OP_FINISH });
}

Test(verify_cost, verdicts_on_rows_are_those_of_a_plain_walk)
{
    struct rng rng = rng_seeded("rows of micro-ops");
    uint32_t accepted = 0, refused = 0;
    for (uint32_t i = rng_runs(20000); i > 0; i--) {
        int64_t insn;
        uint64_t steps;
        draw_program(&rng);
        const int want = walk(&insn);
        cr_assert_eq(verify(&steps), want, "insn %lld: %s", (long long)insn, error.message);
        cr_assert_eq(error.insn, insn, "insn %lld: %s", (long long)insn, error.message);
        accepted += want == 0;
        refused += want != 0;
    }
    cr_assert(accepted > 0 && refused > 0, "%u accepted, %u refused", accepted, refused);
}

/* ---- Costs --------------------------------------------------------------------------------- */

/* Per instruction and micro-op: paths through two trees of 13 levels. */
#define STEPS_EACH 600u

static int cost(const char *what)
{
    uint64_t steps;
    add((struct vta_insn){ .opcode = VTA_OP_FINISH });
    const int rc = verify(&steps);
    const uint64_t input = (uint64_t)count + UOPS + hw.depth[VTA_MEM_UOP];
    cr_expect_leq(steps, STEPS_EACH * input + VTA_VERIFY_ENTRIES + 16 * input,
                  "%s: %llu steps for %u", what, (unsigned long long)steps, count);
    count = 0;
    return rc;
}

#define MANY 3000u

Test(verify_cost, is_linear_however_many_rows_are_loaded_however_often)
{
    for (uint32_t stride = 0; stride < 3; stride++) {
        for (uint32_t i = 0; i < MANY; i++)
            add_load(0, i % 2, 2047, 1, stride);
        cr_expect_eq(cost("rows of one"), 0, "%s", error.message);
    }
    for (uint32_t i = 0; i < MANY; i++) {
        add_load(i % 4096, i % 7, 1000, 2, 3)->x_pad_after = 1;
        add_gemm(i % 4096, i % 4096 + 3000);
    }
    cr_expect_eq(cost("padded rows"), 0, "%s", error.message);
    for (uint32_t i = 0; i < MANY; i++) {
        add_load(0, 1, 8191, 1, 0);
        add_load(i, 0, 1, 1, 0);
        add_gemm(i / 2, 8191);
    }
    cr_expect_eq(cost("one row, again and again"), 0, "%s", error.message);
}

/* Every other micro-op must not be used, and is not: to know that, entries must be told apart. Once
 * they are, using them again costs nothing. */
Test(verify_cost, is_linear_however_often_entries_that_were_told_apart_are_used)
{
    for (uint32_t i = 0; i < UOPS; i++)
        uops[i].dst = i % 2 == 0 ? 0 : 4000;
    add_load(0, 0, 2048, 1, 2);
    for (uint32_t i = 0; i < MANY; i++)
        add_gemm(i % 1000, 2048 - i % 999);
    cr_expect_eq(cost("told apart once"), 0, "%s", error.message);
    add_load(0, 0, 2048, 1, 2);
    add_load(2000, 1, 1, 1, 0);
    add_gemm(0, 2048);
    cr_expect_eq(cost("one that must not be used"), VTA_ESRAM, "%s", error.message);
    cr_expect(strstr(error.message, "accumulator index reaches 4000") != NULL, "%s", error.message);
}

Test(verify_cost, ends_where_entries_would_have_to_be_told_apart_for_ever)
{
    for (uint32_t i = 0; i < UOPS; i++)
        uops[i].dst = i % 2 == 0 ? 0 : 4000;
    for (uint32_t i = 0; i < MANY; i++) {
        add_load(0, 0, 2048, 1, 2);
        add_gemm(0, 2048);
    }
    cr_expect_eq(cost("told apart for ever"), VTA_EWORK, "%s", error.message);
    cr_expect(error.has_limit && error.value > error.limit, "%s", error.message);
}

/* ---- The control --------------------------------------------------------------------------- */

Test(verify_cost, is_bounded_by_one_budget_for_several_programs)
{
    struct vta_control control = { 0 };
    const struct vta_verify_options options = { .control = &control };
    int rc = 0, verified = 0;
    for (uint32_t i = 0; i < 100; i++)
        add_load(0, 0, 1, 1, 0);
    add((struct vta_insn){ .opcode = VTA_OP_FINISH });
    struct vta_program *program = make();
    vta_control_begin(&control, 0, 100000);
    while (rc == 0 && verified++ < 100)
        rc = vta_verify(program, &options, &error);
    cr_expect_eq(rc, VTA_EWORK);
    cr_expect(verified > 1, "%d verified", verified);
    cr_expect_eq(error.limit, 100000);
    cr_expect(error.value > error.limit);
    cr_expect_eq(vta_verify(program, &options, &error), VTA_EWORK, "a budget stays spent");
    vta_program_free(program);
}
