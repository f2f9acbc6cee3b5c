/* check_kernels.c: every kernel set that this processor runs, held number by number against plain
 * loops. A program of its own without a test framework, so that it can also be built for another
 * processor and run under an emulator.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/alu.h"
#include "core/kernels.h"
#include "tests/generated/random.h"

#define TILES 40
#define STEPS 24

static int failures, checks;

static void expect(bool ok, const char *set, const char *what, const struct vta_hw *hw)
{
    checks++;
    if (ok)
        return;
    failures++;
    fprintf(stderr, "%s: %s is wrong for %ux%u, int%u by int%u\n", set, what, hw->batch, hw->block,
            hw->inp_bits, hw->wgt_bits);
}

/* Random packed bytes, extreme ones often. */
static void fill(struct rng *rng, uint8_t *bytes, size_t count)
{
    static const uint8_t extremes[] = { 0x80, 0x7f, 0xff, 0x00, 0x88, 0x77 };
    const uint32_t style = rng_between(rng, 0, 3);
    for (size_t i = 0; i < count; i++)
        bytes[i] = style == 0   ? 0x80
                   : style == 1 ? extremes[rng_between(rng, 0, 5)]
                                : (uint8_t)rng_next(rng);
}

static int number(const uint8_t *bytes, size_t index, uint32_t bits)
{
    int value = 0;
    for (uint32_t k = 0; k < bits; k++)
        value |= (bytes[(index * bits + k) / 8] >> (index * bits + k) % 8 & 1) << k;
    return value >> (bits - 1) ? value - (1 << bits) : value;
}

struct case_data {
    struct vta_hw hw;
    uint8_t *inp, *wgt; /* TILES tiles each, packed */
    int32_t *acc;       /* what there was before */
    struct vta_gemm_block block;
    struct vta_step steps[STEPS];
};

static void plain_gemm(const struct case_data *c, int32_t *acc)
{
    const struct vta_hw *hw = &c->hw;
    const struct vta_gemm_block *g = &c->block;
    const size_t batch = hw->batch, block = hw->block;
    for (uint32_t n = 0; n < g->outputs * g->positions * g->step_count; n++) {
        const uint32_t s = n % g->step_count, p = n / g->step_count % g->positions;
        const uint32_t o = n / g->step_count / g->positions;
        const size_t dst = g->dst + p * g->position_dst + o * g->output_dst;
        const size_t src = g->src + p * g->position_src + g->steps[s].src;
        const size_t wgt = g->wgt + o * g->output_wgt + g->steps[s].wgt;
        for (size_t lane = 0; lane < batch * block; lane++) {
            const size_t b = lane / block, out = lane % block;
            uint32_t sum = (uint32_t)acc[dst * batch * block + lane];
            for (size_t i = 0; i < block; i++)
                sum += (uint32_t)number(c->inp, (src * batch + b) * block + i, hw->inp_bits) *
                       (uint32_t)number(c->wgt, (wgt * block + out) * block + i, hw->wgt_bits);
            acc[dst * batch * block + lane] = (int32_t)sum;
        }
    }
}

static void *aligned(size_t nbytes)
{
    return aligned_alloc(64, (nbytes + 63) / 64 * 64);
}

/* in_dram: with weights that are not loaded; false if the set cannot. */
static bool set_gemm(const struct vta_kernels *set, const struct case_data *c, int32_t *acc,
                     bool in_dram)
{
    const struct vta_hw *hw = &c->hw;
    struct vta_sram sram = { .batch = hw->batch,
                             .block = hw->block,
                             .inp_bits = hw->inp_bits,
                             .wgt_bits = hw->wgt_bits,
                             .out_bits = hw->out_bits,
                             .acc = acc };
    set->layout(&sram);
    if (in_dram && (!sram.reads_dram || c->block.positions != 1))
        return false;
    sram.inp = aligned(TILES * sram.inp_stride);
    sram.wgt = aligned(TILES * sram.wgt_stride);
    set->load_inp(&sram, 0, NULL, TILES); /* zeros first, then everything in uneven pieces */
    set->load_wgt(&sram, 0, NULL, TILES);
    for (size_t t = 0, n; t < TILES; t += n) {
        n = t % 7 + 1 < TILES - t ? t % 7 + 1 : TILES - t;
        set->load_inp(&sram, t, c->inp + t * hw->dram_elem_bytes[VTA_MEM_INP], n);
        if (!in_dram)
            set->load_wgt(&sram, t, c->wgt + t * hw->dram_elem_bytes[VTA_MEM_WGT], n);
    }
    struct vta_gemm_block block = c->block;
    if (in_dram) {
        const size_t tile = hw->dram_elem_bytes[VTA_MEM_WGT];
        block.dram = c->wgt + block.wgt * tile;
        block.dram_output = block.output_wgt * tile;
    }
    set->gemm(&sram, &block);
    free(sram.inp);
    free(sram.wgt);
    return true;
}

/* A box of steps that stays inside TILES tiles of each memory. */
static void random_block(struct rng *rng, struct case_data *c)
{
    c->block = (struct vta_gemm_block){
        .dst = rng_between(rng, 0, 3),
        .src = rng_between(rng, 0, 3),
        .wgt = rng_between(rng, 0, 3),
        .positions = rng_between(rng, 1, 11),
        .position_dst = 1,
        .position_src = rng_between(rng, 0, 2),
        .outputs = rng_between(rng, 1, 11),
        .output_dst = rng_between(rng, 1, 2),
        .output_wgt = rng_between(rng, 0, 2),
        .steps = c->steps,
        .step_count = rng_between(rng, 1, STEPS),
    };
    if (rng_one_in(rng, 2))
        c->block.positions = 1;
    for (uint32_t i = 0; i < STEPS; i++)
        c->steps[i] = (struct vta_step){ rng_between(rng, 0, 12), rng_between(rng, 0, 12) };
}

static void check_gemm(struct rng *rng, const struct vta_hw *hw)
{
    struct case_data c = { .hw = *hw };
    size_t count;
    const struct vta_kernels *const *sets = vta_kernels_all(&count);
    const size_t lanes = (size_t)TILES * hw->batch * hw->block;
    int32_t *want = malloc(lanes * sizeof(*want)), *got = aligned(lanes * sizeof(*got));

    c.inp = malloc(TILES * hw->dram_elem_bytes[VTA_MEM_INP]);
    c.wgt = malloc(TILES * hw->dram_elem_bytes[VTA_MEM_WGT]);
    c.acc = malloc(lanes * sizeof(*c.acc));
    fill(rng, c.inp, TILES * hw->dram_elem_bytes[VTA_MEM_INP]);
    fill(rng, c.wgt, TILES * hw->dram_elem_bytes[VTA_MEM_WGT]);
    fill(rng, (uint8_t *)c.acc, lanes * sizeof(*c.acc));
    random_block(rng, &c);
    memcpy(want, c.acc, lanes * sizeof(*want));
    plain_gemm(&c, want);
    for (size_t i = 0; i < count; i++) {
        if (!sets[i]->usable() || !sets[i]->supports(hw))
            continue;
        memcpy(got, c.acc, lanes * sizeof(*got));
        set_gemm(sets[i], &c, got, false);
        expect(memcmp(got, want, lanes * sizeof(*got)) == 0, sets[i]->name, "GEMM", hw);
        memcpy(got, c.acc, lanes * sizeof(*got));
        if (set_gemm(sets[i], &c, got, true))
            expect(memcmp(got, want, lanes * sizeof(*got)) == 0, sets[i]->name,
                   "GEMM with weights in DRAM", hw);
    }
    free(c.inp);
    free(c.wgt);
    free(c.acc);
    free(want);
    free(got);
}

static int32_t plain_alu(uint32_t opcode, int32_t a, int32_t b)
{
    static int32_t (*const ops[])(int32_t, int32_t) = { vta_alu_min, vta_alu_max, vta_alu_add,
                                                        vta_alu_shr, vta_alu_mul };
    return ops[opcode](a, b);
}

static void check_lanes(struct rng *rng, const struct vta_kernels *set, const struct vta_hw *hw)
{
    enum {
        MOST = 200
    };
    int32_t a[MOST], b[MOST], got[MOST];
    int8_t bytes[MOST];
    const uint32_t count = rng_between(rng, 1, MOST);
    bool imm_ok = true, two_ok = true, same_ok = true, narrow_ok = true;
    fill(rng, (uint8_t *)a, sizeof(a));
    fill(rng, (uint8_t *)b, sizeof(b));
    for (uint32_t op = 0; op < 5; op++) {
        int32_t imm = op == 3 ? (int32_t)rng_between(rng, 0, 80) - 40 : (int16_t)rng_next(rng);
        for (uint32_t i = 0; i < count && op == 3; i++)
            b[i] = rng_one_in(rng, 4) ? b[i] : (int32_t)rng_between(rng, 0, 80) - 40;
        memcpy(got, a, sizeof(got));
        set->alu_imm[op](got, count, imm);
        for (uint32_t i = 0; i < MOST; i++)
            imm_ok = imm_ok && got[i] == (i < count ? plain_alu(op, a[i], imm) : a[i]);
        memcpy(got, a, sizeof(got));
        set->alu[op](got, b, count);
        for (uint32_t i = 0; i < MOST; i++)
            two_ok = two_ok && got[i] == (i < count ? plain_alu(op, a[i], b[i]) : a[i]);
        memcpy(got, b, sizeof(got));
        set->alu[op](got, got, count);
        for (uint32_t i = 0; i < count; i++)
            same_ok = same_ok && got[i] == plain_alu(op, b[i], b[i]);
    }
    set->truncate(bytes, a, count);
    set->widen(got, bytes, count);
    for (uint32_t i = 0; i < count; i++)
        narrow_ok = narrow_ok && bytes[i] == (int8_t)a[i] && got[i] == (int8_t)a[i];
    expect(imm_ok, set->name, "an immediate ALU operation", hw);
    expect(two_ok, set->name, "a tensor–tensor ALU operation", hw);
    expect(same_ok, set->name, "an ALU operation of a tile with itself", hw);
    expect(narrow_ok, set->name, "widening or truncating", hw);
}

/* The sizes that the kernels look at; no buffers, so nothing to derive. */
static struct vta_hw small_hw(uint32_t batch, uint32_t block, uint32_t inp_bits, uint32_t wgt_bits)
{
    struct vta_hw hw = { .batch = batch,
                         .block = block,
                         .inp_bits = inp_bits,
                         .wgt_bits = wgt_bits,
                         .out_bits = inp_bits };
    hw.dram_elem_bytes[VTA_MEM_INP] = batch * block * inp_bits / 8;
    hw.dram_elem_bytes[VTA_MEM_WGT] = block * block * wgt_bits / 8;
    return hw;
}

int main(void)
{
    struct rng rng = rng_seeded("kernels");
    size_t count;
    const struct vta_kernels *const *sets = vta_kernels_all(&count);
    const uint32_t runs = rng_runs(6);

    for (uint32_t batch = 1; batch <= 32; batch *= 2)
        for (uint32_t block = 1; block <= 64; block *= 2)
            for (uint32_t bits = 0; bits < 16; bits++) {
                struct vta_hw hw = small_hw(batch, block, 1u << bits % 4, 1u << bits / 4);
                if (hw.dram_elem_bytes[VTA_MEM_INP] == 0 || hw.dram_elem_bytes[VTA_MEM_WGT] == 0 ||
                    batch * block > 256)
                    continue;
                for (uint32_t i = 0; i < (bits == 15 ? runs : 1 + runs / 10); i++)
                    check_gemm(&rng, &hw);
            }
    for (size_t i = 0; i < count; i++) {
        const struct vta_hw hw = small_hw(1, 16, 8, 8);
        if (!sets[i]->usable())
            continue;
        printf("kernel set %s\n", sets[i]->name);
        for (uint32_t n = 0; n < runs * 10; n++)
            check_lanes(&rng, sets[i], &hw);
    }
    printf("%d checks, %d failures\n", checks, failures);
    return failures == 0 ? 0 : 1;
}
