/* matmul_nest.c: the loop nest of a matrix multiply at each step of its schedule.
 *
 * Three axes, each counted in tiles: b over the batch, o over the outputs, k over the inputs. In a
 * blocked nest an axis x is a loop xo over blocks and a loop xi inside one. All steps name axes,
 * blocks and tails through the same functions, so that they cannot tell different stories.
 */
#include "matmul.h"

#include <stdlib.h>

struct axis {
    const char *outer, *inner, *length; /* names: of the two loops, of the block's length */
    uint32_t all, block;                /* tiles */
};

struct maker {
    struct nest *nest;
    const struct vta_hw *hw;
    const struct vta_matmul *matmul;
    struct axis b, o, k;
};

static const struct nest_expr *number(struct maker *m, int64_t value)
{
    return vta_nest_const(m->nest, value);
}

static void note(struct nest_stmt *stmt, const char *text)
{
    stmt->note = text;
}

/* ---- Axes ---------------------------------------------------------------------------------- */

/* Opens the loop over an axis' blocks. */
static const struct nest_expr *open_blocks(struct maker *m, const struct axis *axis,
                                           struct nest_stmt ***outer)
{
    uint32_t blocks = axis->all / axis->block + (axis->all % axis->block != 0);
    return vta_nest_open(m->nest, axis->outer, number(m, blocks), outer);
}

/* The first tile of a block. */
static const struct nest_expr *block_start(struct maker *m, const struct axis *axis,
                                           const struct nest_expr *index)
{
    return vta_nest_mul(m->nest, index, number(m, axis->block));
}

/* The tiles in a block; the last one may have fewer. */
static const struct nest_expr *block_length(struct maker *m, const struct axis *axis,
                                            const struct nest_expr *index)
{
    if (axis->all % axis->block == 0)
        return number(m, axis->block);
    const struct nest_expr *rest =
        vta_nest_sub(m->nest, number(m, axis->all), block_start(m, axis, index));
    return vta_nest_let(m->nest, axis->length, vta_nest_min(m->nest, number(m, axis->block), rest));
}

/* ---- Definition and blocking --------------------------------------------------------------- */

/* A tile index and an index inside the tile. */
struct place {
    const struct nest_expr *tile, *lane;
};

static struct nest_access at(const char *tensor, struct place row, struct place column)
{
    return (struct nest_access){ tensor, { row.tile, column.tile, row.lane, column.lane } };
}

static struct nest_stmt *assign(struct maker *m, enum nest_assign how, struct nest_access to)
{
    struct nest_stmt *stmt = vta_nest_append(m->nest, NEST_ASSIGN);
    stmt->assign = how;
    stmt->to = to;
    return stmt;
}

static void assign_apply(struct maker *m, enum vta_alu_opcode op, int32_t imm,
                         struct nest_access to)
{
    struct nest_stmt *stmt = assign(m, NEST_APPLY, to);
    stmt->op = op;
    stmt->imm = imm;
}

static void assign_start(struct maker *m, struct place b, struct place o)
{
    struct nest_access acc = at("acc", b, o);
    if (!m->matmul->bias) {
        assign(m, NEST_ZERO, acc);
        return;
    }
    assign(m, NEST_COPY, acc)->a = (struct nest_access){ "bias", { o.tile, b.lane, o.lane } };
}

static void assign_sum(struct maker *m, struct place b, struct place o, struct place k)
{
    struct nest_stmt *stmt = assign(m, NEST_PRODUCT, at("acc", b, o));
    stmt->a = at("data", b, k);
    stmt->b = at("weight", o, k);
}

static void assign_end(struct maker *m, struct place b, struct place o)
{
    if (m->matmul->shift)
        assign_apply(m, VTA_ALU_SHR, m->matmul->shift_by, at("acc", b, o));
    if (m->matmul->clip) {
        assign_apply(m, VTA_ALU_MAX, m->matmul->clip_lo, at("acc", b, o));
        assign_apply(m, VTA_ALU_MIN, m->matmul->clip_hi, at("acc", b, o));
    }
    struct nest_stmt *stmt = assign(m, NEST_COPY, at("result", b, o));
    stmt->a = at("acc", b, o);
    note(stmt, "low bits");
}

/* The accumulators of b × o, then k, as the definition has them: number by number. */
static void make_definition(struct maker *m)
{
    struct nest_stmt **outer[6];
    struct place b, o, k;
    b.tile = vta_nest_open(m->nest, "b", number(m, m->b.all), &outer[0]);
    o.tile = vta_nest_open(m->nest, "o", number(m, m->o.all), &outer[1]);
    b.lane = vta_nest_open(m->nest, "bl", number(m, m->hw->batch), &outer[2]);
    o.lane = vta_nest_open(m->nest, "ol", number(m, m->hw->block), &outer[3]);
    assign_start(m, b, o);
    k.tile = vta_nest_open(m->nest, "k", number(m, m->k.all), &outer[4]);
    k.lane = vta_nest_open(m->nest, "kl", number(m, m->hw->block), &outer[5]);
    assign_sum(m, b, o, k);
    vta_nest_close(m->nest, outer[4]);
    assign_end(m, b, o);
}

/* A loop over the tiles of one block, as the index of the whole axis. */
static struct place open_tiles(struct maker *m, const struct axis *axis,
                               const struct nest_expr *index, const struct nest_expr *length,
                               struct nest_stmt ***outer)
{
    const struct nest_expr *inner = vta_nest_open(m->nest, axis->inner, length, outer);
    return (struct place){ .tile = vta_nest_add(m->nest, block_start(m, axis, index), inner) };
}

/* One pass over the accumulators of a block: its start (phase 0) or its end (phase 1). */
static void make_pass(struct maker *m, const struct nest_expr *bo, const struct nest_expr *oo,
                      const struct nest_expr *b_length, const struct nest_expr *o_length, int phase)
{
    struct nest_stmt **outer[4];
    struct place b = open_tiles(m, &m->b, bo, b_length, &outer[0]);
    struct place o = open_tiles(m, &m->o, oo, o_length, &outer[1]);
    b.lane = vta_nest_open(m->nest, "bl", number(m, m->hw->batch), &outer[2]);
    o.lane = vta_nest_open(m->nest, "ol", number(m, m->hw->block), &outer[3]);
    if (phase == 0)
        assign_start(m, b, o);
    else
        assign_end(m, b, o);
    vta_nest_close(m->nest, outer[0]);
}

static void make_blocked(struct maker *m)
{
    struct nest_stmt **blocks[3], **outer[6];
    const struct nest_expr *bo = open_blocks(m, &m->b, &blocks[0]);
    const struct nest_expr *b_length = block_length(m, &m->b, bo);
    const struct nest_expr *oo = open_blocks(m, &m->o, &blocks[1]);
    const struct nest_expr *o_length = block_length(m, &m->o, oo);
    make_pass(m, bo, oo, b_length, o_length, 0);

    const struct nest_expr *ko = open_blocks(m, &m->k, &blocks[2]);
    const struct nest_expr *k_length = block_length(m, &m->k, ko);
    struct place b = open_tiles(m, &m->b, bo, b_length, &outer[0]);
    struct place o = open_tiles(m, &m->o, oo, o_length, &outer[1]);
    struct place k = open_tiles(m, &m->k, ko, k_length, &outer[2]);
    b.lane = vta_nest_open(m->nest, "bl", number(m, m->hw->batch), &outer[3]);
    o.lane = vta_nest_open(m->nest, "ol", number(m, m->hw->block), &outer[4]);
    k.lane = vta_nest_open(m->nest, "kl", number(m, m->hw->block), &outer[5]);
    assign_sum(m, b, o, k);
    vta_nest_close(m->nest, blocks[2]);
    make_pass(m, bo, oo, b_length, o_length, 1);
}

/* ---- Lowered ------------------------------------------------------------------------------- */

static struct nest_stmt *order(struct maker *m, enum nest_kind kind, enum vta_unit from,
                               enum vta_unit to)
{
    struct nest_stmt *stmt = vta_nest_append(m->nest, kind);
    stmt->from_unit = from;
    stmt->to_unit = to;
    return stmt;
}

/* y rows of x tiles of a tensor, whose tile (row, column) is the first. */
static struct nest_stmt *copy(struct maker *m, enum nest_kind kind, const char *tensor, int param,
                              enum vta_memory memory, const struct nest_expr *row,
                              const struct nest_expr *column, uint32_t columns,
                              const struct nest_expr *y, const struct nest_expr *x)
{
    struct nest_stmt *stmt = vta_nest_append(m->nest, kind);
    stmt->tensor = tensor;
    stmt->param = param;
    stmt->memory = memory;
    stmt->offset = vta_nest_add(m->nest, vta_nest_mul(m->nest, row, number(m, columns)), column);
    stmt->stride = number(m, columns);
    stmt->y = y;
    stmt->x = x;
    return stmt;
}

static void alu(struct maker *m, enum vta_alu_opcode op, int32_t imm,
                const struct nest_expr *extent)
{
    struct nest_stmt *stmt = vta_nest_append(m->nest, NEST_ALU);
    stmt->op = op;
    stmt->imm = imm;
    stmt->extent = extent;
}

/* The accumulators of a block before its sums: zero, or the bias once per row of tiles. */
static void lower_start(struct maker *m, const struct nest_expr *o_start,
                        const struct nest_expr *b_length, const struct nest_expr *o_length)
{
    if (!m->matmul->bias) {
        vta_nest_append(m->nest, NEST_RESET)->extent = vta_nest_mul(m->nest, b_length, o_length);
        return;
    }
    struct nest_stmt *stmt = copy(m, NEST_LOAD, "bias", MATMUL_BIAS, VTA_MEM_ACC, number(m, 0),
                                  o_start, 0, b_length, o_length);
    note(stmt, "the same row for each b");
}

/* One block of k: load what it needs when GEMM is done with the last one, then add it up. */
static void lower_sum(struct maker *m, const struct nest_expr *b_start,
                      const struct nest_expr *o_start, const struct nest_expr *b_length,
                      const struct nest_expr *o_length)
{
    struct nest_stmt **outer;
    const struct nest_expr *ko = open_blocks(m, &m->k, &outer);
    const struct nest_expr *k_start = block_start(m, &m->k, ko);
    const struct nest_expr *k_length = block_length(m, &m->k, ko);
    order(m, NEST_POP, VTA_UNIT_COMPUTE, VTA_UNIT_LOAD);
    copy(m, NEST_LOAD, "data", MATMUL_DATA, VTA_MEM_INP, b_start, k_start, m->k.all, b_length,
         k_length);
    copy(m, NEST_LOAD, "weight", MATMUL_WEIGHT, VTA_MEM_WGT, o_start, k_start, m->k.all, o_length,
         k_length);
    order(m, NEST_PUSH, VTA_UNIT_LOAD, VTA_UNIT_COMPUTE);
    order(m, NEST_POP, VTA_UNIT_LOAD, VTA_UNIT_COMPUTE);
    struct nest_stmt *gemm = vta_nest_append(m->nest, NEST_GEMM);
    gemm->b_count = b_length;
    gemm->o_count = o_length;
    gemm->k_count = k_length;
    order(m, NEST_PUSH, VTA_UNIT_COMPUTE, VTA_UNIT_LOAD);
    vta_nest_close(m->nest, outer);
}

static void make_lowered(struct maker *m)
{
    struct nest_stmt **outer[2];
    note(order(m, NEST_PUSH, VTA_UNIT_STORE, VTA_UNIT_COMPUTE), "acc and out are free");
    note(order(m, NEST_PUSH, VTA_UNIT_COMPUTE, VTA_UNIT_LOAD), "inp and wgt are free");
    const struct nest_expr *bo = open_blocks(m, &m->b, &outer[0]);
    const struct nest_expr *b_start = block_start(m, &m->b, bo);
    const struct nest_expr *b_length = block_length(m, &m->b, bo);
    const struct nest_expr *oo = open_blocks(m, &m->o, &outer[1]);
    const struct nest_expr *o_start = block_start(m, &m->o, oo);
    const struct nest_expr *o_length = block_length(m, &m->o, oo);
    const struct nest_expr *accs = vta_nest_mul(m->nest, b_length, o_length);

    order(m, NEST_POP, VTA_UNIT_STORE, VTA_UNIT_COMPUTE);
    lower_start(m, o_start, b_length, o_length);
    lower_sum(m, b_start, o_start, b_length, o_length);
    if (m->matmul->shift)
        alu(m, VTA_ALU_SHR, m->matmul->shift_by, accs);
    if (m->matmul->clip) {
        alu(m, VTA_ALU_MAX, m->matmul->clip_lo, accs);
        alu(m, VTA_ALU_MIN, m->matmul->clip_hi, accs);
    }
    order(m, NEST_PUSH, VTA_UNIT_COMPUTE, VTA_UNIT_STORE);
    order(m, NEST_POP, VTA_UNIT_COMPUTE, VTA_UNIT_STORE);
    copy(m, NEST_STORE, "result", m->matmul->bias ? MATMUL_BIAS + 1 : MATMUL_BIAS, VTA_MEM_OUT,
         b_start, o_start, m->o.all, b_length, o_length);
    order(m, NEST_PUSH, VTA_UNIT_STORE, VTA_UNIT_COMPUTE);
    vta_nest_close(m->nest, outer[0]);
}

void vta_matmul_nest(struct nest *nest, const struct vta_hw *hw, const struct vta_matmul *matmul,
                     enum vta_schedule_step step)
{
    struct maker m = {
        .nest = nest,
        .hw = hw,
        .matmul = matmul,
        .b = { "bo", "bi", "bn", matmul->batch / hw->batch, matmul->block_batch / hw->batch },
        .o = { "oo", "oi", "on", matmul->out / hw->block, matmul->block_out / hw->block },
        .k = { "ko", "ki", "kn", matmul->in / hw->block, matmul->block_in / hw->block },
    };
    if (step == VTA_SCHEDULE_DEFINITION)
        make_definition(&m);
    else if (step == VTA_SCHEDULE_BLOCKED)
        make_blocked(&m);
    else
        make_lowered(&m);
}
