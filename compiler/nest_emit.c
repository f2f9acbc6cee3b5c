/* nest_emit.c: runs a lowered nest once against a builder.
 *
 * A nest may say more than one instruction's fields hold: 16 bits for the stride of a copy, 14 for
 * the iterations of a GEMM, the UOP SRAM for its micro-ops. Such an operation becomes several
 * instructions. The sizes of a copy always fit their 16 bits: a GEMM instruction has 32 bits for
 * the depths of INP, WGT and ACC together, and each axis of a block is in two of them.
 */
#include "nest.h"

#include <stdlib.h>

#define MAX_STRIDE 65535u /* x_stride */
#define MAX_ITER   16383u /* iter_out, iter_in */

struct emitter {
    struct vta_build *build;
    struct vta_uop_index *uops; /* room for one kernel that fills the UOP SRAM */
    uint32_t uop_depth;
    uint32_t max_insns;
    int64_t values[NEST_VARS];
};

static uint32_t eval(const struct emitter *emitter, const struct nest_expr *expr)
{
    return (uint32_t)vta_nest_eval(expr, emitter->values);
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* ---- Copies -------------------------------------------------------------------------------- */

/* One instruction. */
static int copy_part(const struct emitter *emitter, const struct nest_stmt *stmt, uint32_t offset,
                     uint32_t sram, uint32_t y, uint32_t x, uint32_t stride)
{
    if (stmt->kind == NEST_LOAD)
        return vta_build_load(emitter->build, stmt->param, offset, y, x, stride, NULL, sram,
                              stmt->memory);
    return vta_build_store(emitter->build, sram, stmt->param, offset, y, x, stride);
}

static int emit_copy(const struct emitter *emitter, const struct nest_stmt *stmt)
{
    uint32_t offset = eval(emitter, stmt->offset), stride = eval(emitter, stmt->stride);
    uint32_t y = eval(emitter, stmt->y), x = eval(emitter, stmt->x);
    int rc = 0;
    if (y == 1 || stride <= MAX_STRIDE)
        return copy_part(emitter, stmt, offset, 0, y, x, y == 1 ? x : stride);
    for (uint32_t row = 0; row < y && rc == 0; row++)
        rc = copy_part(emitter, stmt, offset + row * stride, row * x, 1, x, x);
    return rc;
}

/* ---- GEMM and ALU -------------------------------------------------------------------------- */

/* An operation on accumulators 0 to n - 1, one after the other. An ALU instruction holds four
 * factors of ACC's width, so that n is at most 2048. */
static int emit_flat(const struct emitter *emitter, const struct nest_stmt *stmt)
{
    bool alu = stmt->kind == NEST_ALU;
    struct vta_uop_loop loop = { .extent = eval(emitter, stmt->extent), .dst = 1, .src = alu };
    struct vta_uop_index uop = { 0, 0, 0 };
    struct vta_uop_kernel kernel = { &loop, 1, &uop, 1 };
    return alu ? vta_build_alu_imm(emitter->build, &kernel, stmt->op, stmt->imm)
               : vta_build_gemm(emitter->build, &kernel, true);
}

/* One axis of a GEMM: iterations, and what each adds to the indices. */
struct axis {
    uint32_t count, dst, src, wgt;
};

/* One instruction: axes[0] and axes[1] are its loops, axes[2] its micro-ops, from index `from`. */
static int gemm_part(const struct emitter *emitter, const struct axis axes[3],
                     struct vta_uop_index from)
{
    struct vta_uop_loop loops[2] = { { .extent = axes[0].count }, { .extent = axes[1].count } };
    for (int i = 0; i < 2; i++) {
        if (loops[i].extent > 1)
            loops[i] =
                (struct vta_uop_loop){ axes[i].count, axes[i].dst, axes[i].src, axes[i].wgt };
    }
    for (uint32_t i = 0; i < axes[2].count; i++) {
        emitter->uops[i] = (struct vta_uop_index){ .dst = from.dst + i * axes[2].dst,
                                                   .src = from.src + i * axes[2].src,
                                                   .wgt = from.wgt + i * axes[2].wgt };
    }
    struct vta_uop_kernel kernel = { loops, 2, emitter->uops, axes[2].count };
    return vta_build_gemm(emitter->build, &kernel, false);
}

/* Cuts axis i into parts that fit, then the axes after it. */
static int gemm_parts(const struct emitter *emitter, const struct axis axes[3], int i,
                      struct vta_uop_index from)
{
    if (i == 3)
        return gemm_part(emitter, axes, from);
    struct axis part[3] = { axes[0], axes[1], axes[2] };
    uint32_t most = i == 2 ? emitter->uop_depth : MAX_ITER;
    int rc = 0;
    for (uint32_t at = 0; at < axes[i].count && rc == 0; at += most) {
        part[i].count = smaller(axes[i].count - at, most);
        struct vta_uop_index start = { .dst = from.dst + at * axes[i].dst,
                                       .src = from.src + at * axes[i].src,
                                       .wgt = from.wgt + at * axes[i].wgt };
        rc = gemm_parts(emitter, part, i + 1, start);
    }
    return rc;
}

/* The shortest axis becomes micro-ops, so that kernels are short; the others become loops. */
static int emit_gemm(const struct emitter *emitter, const struct nest_stmt *stmt)
{
    uint32_t b = eval(emitter, stmt->b_count), o = eval(emitter, stmt->o_count);
    uint32_t k = eval(emitter, stmt->k_count);
    const struct axis by_b = { b, o, k, 0 }, by_o = { o, 1, 0, k }, by_k = { k, 0, 1, 1 };
    struct axis axes[3] = { by_o, by_k, by_b };
    if (o < b && o <= k) {
        axes[0] = by_b;
        axes[2] = by_o;
    } else if (k < b && k < o) {
        axes[0] = by_b;
        axes[1] = by_o;
        axes[2] = by_k;
    }
    return gemm_parts(emitter, axes, 0, (struct vta_uop_index){ 0, 0, 0 });
}

/* ---- The walk ------------------------------------------------------------------------------ */

static int emit_list(struct emitter *emitter, const struct nest_stmt *stmt,
                     struct vta_error *error);

static int emit_loop(struct emitter *emitter, const struct nest_stmt *stmt, struct vta_error *error)
{
    int64_t extent = vta_nest_eval(stmt->extent, emitter->values);
    int rc = 0;
    for (int64_t i = 0; i < extent && rc == 0; i++) {
        emitter->values[stmt->var] = i;
        rc = emit_list(emitter, stmt->body, error);
    }
    return rc;
}

static int emit_stmt(struct emitter *emitter, const struct nest_stmt *stmt, struct vta_error *error)
{
    switch (stmt->kind) {
    case NEST_FOR:
        return emit_loop(emitter, stmt, error);
    case NEST_LET:
        emitter->values[stmt->var] = vta_nest_eval(stmt->extent, emitter->values);
        return 0;
    case NEST_PUSH:
        return vta_build_push(emitter->build, stmt->from_unit, stmt->to_unit);
    case NEST_POP:
        return vta_build_pop(emitter->build, stmt->from_unit, stmt->to_unit);
    case NEST_LOAD:
    case NEST_STORE:
        return emit_copy(emitter, stmt);
    case NEST_RESET:
    case NEST_ALU:
        return emit_flat(emitter, stmt);
    case NEST_GEMM:
        return emit_gemm(emitter, stmt);
    default:
        return vta_error_set(error, VTA_EINTERNAL, "the nest is not lowered");
    }
}

static int emit_list(struct emitter *emitter, const struct nest_stmt *stmt, struct vta_error *error)
{
    for (; stmt != NULL; stmt = stmt->next) {
        int rc = emit_stmt(emitter, stmt, error);
        if (rc != 0)
            return rc;
        if (vta_build_count(emitter->build) > emitter->max_insns)
            return vta_error_limit(error, VTA_ELIMIT, emitter->max_insns,
                                   vta_build_count(emitter->build),
                                   "more than %u instructions, which is what a module file holds "
                                   "per function: choose larger blocks",
                                   emitter->max_insns);
    }
    return 0;
}

int vta_nest_emit(const struct nest *nest, const struct vta_hw *hw, struct vta_build *build,
                  uint32_t max_insns, struct vta_error *error)
{
    struct emitter emitter = { .build = build,
                               .uop_depth = hw->depth[VTA_MEM_UOP],
                               .max_insns = max_insns };
    emitter.uops = calloc(emitter.uop_depth, sizeof(*emitter.uops));
    if (nest->out_of_memory || emitter.uops == NULL) {
        free(emitter.uops);
        return vta_error_set(error, VTA_ENOMEM, "no memory for the loop nest");
    }
    int rc = emit_list(&emitter, nest->body, error);
    free(emitter.uops);
    return rc;
}
