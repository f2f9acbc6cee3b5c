/* sim_compute.c: the simulator's GEMM and ALU: shapes walked, tiles handed to the kernel set. */
#include "sim.h"

#include <string.h>

/* Tile steps between two looks at control: some 100 µs. */
#define STEPS_PER_LOOK 16384u

struct patience {
    const struct vta_control *control;
    uint64_t left;
};

static inline int stopped(struct patience *patience, uint64_t steps)
{
    if (steps < patience->left) {
        patience->left -= steps;
        return 0;
    }
    patience->left = STEPS_PER_LOOK;
    return vta_control_look(patience->control);
}

/* The offsets of one iteration of a shape's outer loops. */
struct offsets {
    uint32_t dst, src, wgt;
};

static struct offsets offsets_at(const struct vta_plan_loop *outer, uint32_t count, uint32_t y,
                                 uint32_t x)
{
    struct offsets at = { 0 };
    const uint32_t index[2] = { y, x };
    for (uint32_t i = 0; i < count; i++) {
        at.dst += index[i] * outer[i].dst;
        at.src += index[i] * outer[i].src;
        at.wgt += index[i] * outer[i].wgt;
    }
    return at;
}

static uint32_t extent_of(const struct vta_plan_loop *outer, uint32_t count, uint32_t index)
{
    return index < count ? outer[index].extent : 1;
}

/* ---- GEMM ---------------------------------------------------------------------------------- */

/* How many times `steps` may go between two looks. */
static uint32_t piece_of(uint32_t steps)
{
    return steps >= STEPS_PER_LOOK ? 1 : STEPS_PER_LOOK / steps;
}

/* One group at one iteration; in pieces of positions and outputs where it is long. */
static int gemm_group(const struct vta_sim *sim, const struct vta_gemm_shape *shape,
                      const struct vta_gemm_group *group, struct offsets at,
                      const struct vta_sim_weights *weights, struct patience *patience)
{
    const uint32_t all = shape->positions.extent;
    const uint32_t most = piece_of(group->count);
    const uint32_t positions = all < most ? all : most;
    const uint32_t outputs = piece_of(group->count * positions);
    struct vta_gemm_block block = {
        .dst = group->dst + at.dst,
        .src = at.src,
        .wgt = at.wgt,
        .position_dst = shape->positions.dst,
        .position_src = shape->positions.src,
        .output_dst = shape->outputs.dst,
        .output_wgt = shape->outputs.wgt,
        .steps = shape->steps + group->first,
        .step_count = group->count,
        .dram_tile = shape->wgt_begin,
        .dram_output = weights != NULL ? weights->output : 0,
    };
    for (uint32_t o = 0; o < shape->outputs.extent; o += block.outputs) {
        block.outputs = shape->outputs.extent - o < outputs ? shape->outputs.extent - o : outputs;
        for (uint32_t p = 0; p < all; p += block.positions) {
            block.positions = all - p < positions ? all - p : positions;
            block.dst = group->dst + at.dst + o * block.output_dst + p * block.position_dst;
            block.src = at.src + p * block.position_src;
            block.wgt = at.wgt + o * block.output_wgt;
            block.dram = weights != NULL ? weights->dram + o * weights->output : NULL;
            sim->kernels->gemm(&sim->sram, &block);
            int rc =
                stopped(patience, (uint64_t)block.positions * block.outputs * block.step_count);
            if (rc != 0)
                return rc;
        }
    }
    return 0;
}

int vta_sim_gemm(const struct vta_sim *sim, const struct vta_gemm_shape *shape,
                 const struct vta_sim_weights *weights, const struct vta_control *control)
{
    struct patience patience = { control, STEPS_PER_LOOK };
    const uint32_t ys = extent_of(shape->outer, shape->outer_count, 0);
    const uint32_t xs = extent_of(shape->outer, shape->outer_count, 1);
    for (uint32_t y = 0; y < ys; y++) {
        for (uint32_t x = 0; x < xs; x++) {
            struct offsets at = offsets_at(shape->outer, shape->outer_count, y, x);
            for (uint32_t g = 0; g < shape->group_count; g++) {
                int rc = gemm_group(sim, shape, &shape->groups[g], at, weights, &patience);
                if (rc != 0)
                    return rc;
            }
        }
    }
    return 0;
}

/* ---- Reset and ALU ------------------------------------------------------------------------- */

/* What to do to `count` numbers from ACC number dst (and src). */
struct lanes_op {
    int32_t *acc;
    size_t tile; /* numbers */
    void (*imm)(int32_t *dst, size_t count, int32_t imm);
    void (*two)(int32_t *dst, const int32_t *src, size_t count);
    int32_t value;
};

static void apply(const struct lanes_op *op, const struct vta_alu_run *run, struct offsets at)
{
    int32_t *dst = op->acc + (run->dst + at.dst) * op->tile;
    const size_t count = run->tiles * op->tile;
    if (op->imm != NULL)
        op->imm(dst, count, op->value);
    else if (op->two != NULL)
        op->two(dst, op->acc + (run->src + at.src) * op->tile, count);
    else
        memset(dst, 0, count * sizeof(*dst));
}

static int walk_runs(const struct lanes_op *op, const struct vta_alu_shape *shape,
                     const struct vta_control *control)
{
    struct patience patience = { control, STEPS_PER_LOOK };
    const uint32_t ys = extent_of(shape->outer, shape->outer_count, 0);
    const uint32_t xs = extent_of(shape->outer, shape->outer_count, 1);
    for (uint32_t y = 0; y < ys; y++) {
        for (uint32_t x = 0; x < xs; x++) {
            struct offsets at = offsets_at(shape->outer, shape->outer_count, y, x);
            uint64_t tiles = 0;
            for (uint32_t r = 0; r < shape->run_count; r++) {
                apply(op, &shape->runs[r], at);
                tiles += shape->runs[r].tiles;
            }
            int rc = stopped(&patience, tiles);
            if (rc != 0)
                return rc;
        }
    }
    return 0;
}

int vta_sim_reset(const struct vta_sim *sim, const struct vta_alu_shape *shape,
                  const struct vta_control *control)
{
    const struct lanes_op op = { .acc = sim->sram.acc,
                                 .tile = (size_t)sim->hw.batch * sim->hw.block };
    return walk_runs(&op, shape, control);
}

int vta_sim_alu(const struct vta_sim *sim, const struct vta_nest_insn *nest,
                const struct vta_alu_shape *shape, const struct vta_control *control)
{
    struct lanes_op op = { .acc = sim->sram.acc,
                           .tile = (size_t)sim->hw.batch * sim->hw.block,
                           .value = nest->imm };
    if (nest->use_imm)
        op.imm = sim->kernels->alu_imm[nest->alu_opcode];
    else
        op.two = sim->kernels->alu[nest->alu_opcode];
    return walk_runs(&op, shape, control);
}
