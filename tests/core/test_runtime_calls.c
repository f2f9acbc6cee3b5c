/* test_runtime_calls.c: random sequences of a runtime's calls against a model that does what each
 * call says, at once: no stream, no tokens, no micro-op cache, no units. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "../generated/random.h"
#include "queue.h"

enum {
    LOAD = 1,
    COMPUTE = 2,
    STORE = 3
};

#define BLOCK   16
#define ENTRIES 64 /* of each SRAM that are used: so few that calls meet each other's results */
#define DRAM    96 /* elements of each buffer */
#define KERNELS 24

static struct model {
    int8_t inp[ENTRIES][BLOCK], wgt[ENTRIES][BLOCK][BLOCK];
    int32_t acc[ENTRIES][BLOCK];
    int8_t out[DRAM][BLOCK]; /* what the result buffer holds */
    struct vta_counters counters;
} model;

static struct scene {
    struct rng rng;
    int8_t (*inp)[BLOCK], (*wgt)[BLOCK][BLOCK], (*out)[BLOCK]; /* in DRAM */
    int32_t (*acc)[BLOCK];
    struct queue_kernel kernels[KERNELS];
    void *sites[KERNELS];
    int last; /* unit of the last call, 0 after a synchronise */
} scene;

/* ---- Order --------------------------------------------------------------------------------- */

/* Everything that was called before is over when the next instruction of `unit` begins. */
static void order(int unit)
{
    int from = scene.last;
    scene.last = unit;
    if (from == 0 || from == unit)
        return;
    if (from != COMPUTE && unit != COMPUTE) {
        queue_push_pop(from, COMPUTE);
        from = COMPUTE;
    }
    queue_push_pop(from, unit);
}

/* ---- Loads and stores ---------------------------------------------------------------------- */

struct shape {
    uint32_t sram, dram, x, y, stride, x_before, x_after, y_before, y_after;
};

static struct shape random_shape(bool pads)
{
    struct rng *rng = &scene.rng;
    struct shape s = { .x = rng_between(rng, 1, 4), .y = rng_between(rng, 1, 3) };
    s.stride = rng_between(rng, 1, 8);
    if (pads && rng_one_in(rng, 3)) {
        s.x_before = rng_between(rng, 0, 2);
        s.x_after = rng_between(rng, 0, 2);
        s.y_before = rng_between(rng, 0, 2);
        s.y_after = rng_between(rng, 0, 2);
    }
    const uint32_t entries = (s.y_before + s.y + s.y_after) * (s.x_before + s.x + s.x_after);
    s.sram = rng_between(rng, 0, ENTRIES - entries);
    s.dram = rng_between(rng, 0, DRAM - (s.y - 1) * s.stride - s.x);
    return s;
}

/* Copies `bytes` per element as a load does: padding is zero. */
static void model_load(uint8_t *sram, const uint8_t *dram, size_t bytes, const struct shape *s)
{
    const uint32_t columns = s->x_before + s->x + s->x_after;
    const uint32_t rows = s->y_before + s->y + s->y_after;
    for (uint32_t row = 0; row < rows; row++)
        for (uint32_t column = 0; column < columns; column++) {
            uint8_t *to = sram + (s->sram + row * columns + column) * bytes;
            const uint32_t y = row - s->y_before, x = column - s->x_before;
            if (y < s->y && x < s->x)
                memcpy(to, dram + (s->dram + y * s->stride + x) * bytes, bytes);
            else
                memset(to, 0, bytes);
        }
}

static void load(uint32_t memory)
{
    const struct shape s = random_shape(memory != VTA_MEM_WGT);
    const uint64_t n = (uint64_t)s.x * s.y;
    const void *from = memory == VTA_MEM_INP   ? (void *)scene.inp
                       : memory == VTA_MEM_WGT ? (void *)scene.wgt
                                               : (void *)scene.acc;
    order(memory == VTA_MEM_ACC ? COMPUTE : LOAD);
    vta_runtime_load_2d(queue.runtime, from, s.dram, s.x, s.y, s.stride, s.x_before, s.y_before,
                        s.x_after, s.y_after, s.sram, memory);
    if (memory == VTA_MEM_INP) {
        model_load((uint8_t *)model.inp, from, sizeof model.inp[0], &s);
        model.counters.inp_load_nbytes += n * sizeof model.inp[0];
    } else if (memory == VTA_MEM_WGT) {
        model_load((uint8_t *)model.wgt, from, sizeof model.wgt[0], &s);
        model.counters.wgt_load_nbytes += n * sizeof model.wgt[0];
    } else {
        model_load((uint8_t *)model.acc, from, sizeof model.acc[0], &s);
        model.counters.acc_load_nbytes += n * sizeof model.acc[0];
    }
}

static void store(void)
{
    const struct shape s = random_shape(false);
    order(STORE);
    vta_runtime_store_2d(queue.runtime, s.sram, VTA_MEM_OUT, scene.out, s.dram, s.x, s.y, s.stride);
    for (uint32_t y = 0; y < s.y; y++)
        for (uint32_t x = 0; x < s.x; x++)
            for (int i = 0; i < BLOCK; i++)
                model.out[s.dram + y * s.stride + x][i] =
                    (int8_t)model.acc[s.sram + y * s.x + x][i];
    model.counters.out_store_nbytes += (uint64_t)s.x * s.y * BLOCK;
}

/* ---- Kernels ------------------------------------------------------------------------------- */

/* Indices stay below ENTRIES: 4·2 and 4·2 steps from below 32. */
static struct queue_kernel random_kernel(void)
{
    struct rng *rng = &scene.rng;
    struct queue_kernel k = { .mode = rng_one_in(rng, 2), .loop_count = rng_between(rng, 0, 2) };
    k.reset = k.mode == 0 && rng_one_in(rng, 4);
    k.opcode = k.mode == 1 ? rng_between(rng, 0, 4) : 0;
    k.use_imm = k.mode == 1 && rng_one_in(rng, 2);
    k.imm = k.use_imm ? (int32_t)rng_between(rng, 0, 40) - 20 : 0;
    k.uop_count = rng_between(rng, 1, 4);
    for (uint32_t i = 0; i < k.loop_count; i++)
        k.loops[i] = (struct vta_uop_loop){ rng_between(rng, 1, 5), rng_between(rng, 0, 2),
                                            rng_between(rng, 0, 2),
                                            k.mode == 0 ? rng_between(rng, 0, 2) : 0 };
    for (uint32_t i = 0; i < k.uop_count; i++)
        k.uops[i] = (struct vta_uop){ rng_between(rng, 0, 31), rng_between(rng, 0, 31),
                                      k.mode == 0 ? rng_between(rng, 0, 31) : 0 };
    return k;
}

static int32_t shift(int32_t a, int32_t by)
{
    if (by >= 0)
        return by > 31 ? -(a < 0) : a >> by;
    return by < -31 ? 0 : (int32_t)((uint32_t)a << -by);
}

static int32_t alu(uint32_t opcode, int32_t a, int32_t b)
{
    switch (opcode) {
    case 0:
        return a < b ? a : b;
    case 1:
        return a > b ? a : b;
    case 2:
        return (int32_t)((uint32_t)a + (uint32_t)b);
    case 3:
        return shift(a, b);
    default:
        return (int32_t)((uint32_t)a * (uint32_t)b);
    }
}

static void model_step(const struct queue_kernel *k, uint32_t dst, uint32_t src, uint32_t wgt)
{
    for (int o = 0; o < BLOCK && k->mode == 1; o++)
        model.acc[dst][o] =
            alu(k->opcode, model.acc[dst][o], k->use_imm ? k->imm : model.acc[src][o]);
    for (int o = 0; o < BLOCK && k->mode == 0; o++) {
        int32_t sum = 0;
        for (int i = 0; i < BLOCK; i++)
            sum += model.inp[src][i] * model.wgt[wgt][o][i];
        model.acc[dst][o] = k->reset ? 0 : (int32_t)((uint32_t)model.acc[dst][o] + (uint32_t)sum);
    }
}

static void kernel(void)
{
    static const struct vta_uop_loop once = { .extent = 1 };
    const uint32_t which = rng_between(&scene.rng, 0, KERNELS - 1);
    const struct queue_kernel *k = &scene.kernels[which];
    const struct vta_uop_loop *a = k->loop_count > 0 ? &k->loops[0] : &once;
    const struct vta_uop_loop *b = k->loop_count > 1 ? &k->loops[1] : &once;
    order(COMPUTE);
    cr_assert_eq(queue_kernel(k, &scene.sites[which]), 0);
    for (uint32_t y = 0; y < a->extent; y++)
        for (uint32_t x = 0; x < b->extent; x++)
            for (uint32_t u = 0; u < k->uop_count; u++)
                model_step(k, k->uops[u].dst + y * a->dst + x * b->dst,
                           k->uops[u].src + y * a->src + x * b->src,
                           k->uops[u].wgt + y * a->wgt + x * b->wgt);
    const uint64_t steps = (uint64_t)a->extent * b->extent * k->uop_count;
    if (k->mode == 1)
        model.counters.alu_counter += steps;
    else if (!k->reset)
        model.counters.gemm_counter += steps;
}

/* ---- Sequences ----------------------------------------------------------------------------- */

static void fill(void *bytes, size_t nbytes)
{
    for (size_t i = 0; i < nbytes; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)rng_next(&scene.rng);
}

static void compare(uint32_t step)
{
    struct vta_counters have = vta_board_counters(queue.board);
    have.uop_load_nbytes = 0; /* the model has no cache */
    cr_assert_arr_eq(scene.out, model.out, sizeof model.out, "results differ after %u calls", step);
    cr_assert_arr_eq(&have, &model.counters, sizeof have, "counters differ after %u calls", step);
}

/* Leaves a token over now and then, which the next compute instruction pops. */
static void synchronise(uint32_t step)
{
    struct rng *rng = &scene.rng;
    const bool left_over = rng_one_in(rng, 3);
    if (left_over)
        vta_runtime_push(queue.runtime, STORE, COMPUTE);
    vta_runtime_set_debug(queue.runtime, rng_one_in(rng, 3) ? VTA_DEBUG_FORCE_SERIAL : 0);
    queue_synchronise();
    scene.last = 0;
    if (left_over)
        vta_runtime_pop(queue.runtime, STORE, COMPUTE);
    compare(step);
}

static void call(uint32_t step)
{
    switch (rng_between(&scene.rng, 0, 9)) {
    case 0:
        load(VTA_MEM_INP);
        break;
    case 1:
        load(VTA_MEM_WGT);
        break;
    case 2:
        load(VTA_MEM_ACC);
        break;
    case 3:
    case 4:
        store();
        break;
    case 5:
        if (rng_one_in(&scene.rng, 4))
            synchronise(step);
        break;
    default:
        kernel();
        break;
    }
    cr_assert(!vta_runtime_failed(queue.runtime), "call %u", step);
}

/* SRAM starts as zeros on a board, and survives a run. */
static void open_scene(struct rng rng)
{
    struct vta_hw hw;
    vta_hw_default(&hw);
    hw.log_uop_buff = 6; /* 16 micro-ops: kernels evict each other all the time */
    cr_assert_eq(vta_hw_derive(&hw, &queue.error), 0, "%s", queue.error.message);
    memset(&model, 0, sizeof model);
    memset(&scene, 0, sizeof scene);
    scene.rng = rng;
    /* As many instructions as a stream holds before it runs by itself: few, or all. */
    queue_open(&hw, rng_one_in(&scene.rng, 2) ? 16 * rng_between(&scene.rng, 12, 60) : 0);
    scene.inp = queue_alloc(DRAM * sizeof *scene.inp);
    scene.wgt = queue_alloc(DRAM * sizeof *scene.wgt);
    scene.acc = queue_alloc(DRAM * sizeof *scene.acc);
    scene.out = queue_alloc(DRAM * sizeof *scene.out);
    fill(scene.inp, DRAM * sizeof *scene.inp);
    fill(scene.wgt, DRAM * sizeof *scene.wgt);
    fill(scene.acc, DRAM * sizeof *scene.acc);
    for (int i = 0; i < KERNELS; i++)
        scene.kernels[i] = random_kernel();
}

Test(runtime_calls, do_what_they_say_whatever_the_stream_looks_like, .timeout = 100)
{
    struct rng rng = rng_seeded("test_runtime_calls");
    const uint32_t runs = rng_runs(300);
    for (uint32_t run = 0; run < runs; run++) {
        open_scene(rng);
        for (uint32_t step = 0; step < 400; step++)
            call(step);
        synchronise(400);
        rng = scene.rng;
        queue_close();
    }
}
