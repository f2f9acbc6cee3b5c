/* plan.h: a verified program compiled for the simulator: what is left to do at run time.
 *
 * No-ops, FINISH and token bits are gone; every GEMM and ALU instruction refers to a *shape*, its
 * loop nest in normal form, shared by all instructions that have the same one. A plan does not
 * depend on the kernel set and is immutable, like the program that it came from. Its size is
 * bounded: nests that pass the bound get their shape each time they run.
 */
#ifndef VTA_CORE_PLAN_H
#define VTA_CORE_PLAN_H

#include "kernels.h"
#include "program.h"

struct vta_control;

struct vta_plan_loop {
    uint32_t extent, dst, src, wgt; /* iterations, and what each adds, in tiles */
};

/* GEMM: for every iteration of the outer loops, for each group: one box of steps. */
struct vta_gemm_shape {
    struct vta_plan_loop outer[2];
    uint32_t outer_count;
    struct vta_plan_loop positions; /* iterations that meet the same weights; extent ≥ 1 */
    struct vta_plan_loop outputs;   /* iterations that meet the same inputs; extent ≥ 1 */
    uint32_t group_count;
    struct vta_gemm_group {
        uint32_t dst;          /* ACC tile */
        uint32_t first, count; /* of steps */
    } * groups;
    uint32_t step_count;
    struct vta_step *steps;
    uint32_t wgt_begin, wgt_end; /* WGT tiles that it reads lie between */
};

/* ALU and GEMM reset: for every iteration of the outer loops, for each run: `tiles` consecutive
 * ACC tiles, with as many consecutive source tiles. In program order where that can matter. */
struct vta_alu_shape {
    struct vta_plan_loop outer[2];
    uint32_t outer_count;
    uint32_t run_count;
    struct vta_alu_run {
        uint32_t dst, src, tiles;
    } * runs;
};

enum vta_plan_kind {
    VTA_PLAN_LOAD_UOP, /* only shapes made at run time read the micro-op SRAM */
    VTA_PLAN_LOAD,
    VTA_PLAN_STORE,
    VTA_PLAN_GEMM,
    VTA_PLAN_RESET,
    VTA_PLAN_ALU
};

struct vta_plan_op {
    enum vta_plan_kind kind;
    uint32_t insn;  /* index in the program */
    uint32_t shape; /* of gemm_shapes or alu_shapes; or VTA_SHAPE_AT_RUN */
    /* A LOAD of weights that one GEMM alone reads, and that GEMM, name each other's instruction:
     * the GEMM may read the weights in DRAM, and nothing be loaded. Else VTA_NO_PARTNER. */
    uint32_t partner;
};

#define VTA_SHAPE_AT_RUN UINT32_MAX
#define VTA_NO_PARTNER   UINT32_MAX
#define VTA_PLAN_ENTRIES (1u << 20) /* groups, steps and runs that a plan keeps */

struct vta_plan {
    uint32_t op_count, gemm_count, alu_count;
    struct vta_plan_op *ops;
    struct vta_gemm_shape *gemm_shapes;
    struct vta_alu_shape *alu_shapes;
    uint64_t nbytes; /* of memory, all of that together */
};

/* Compiles a verified program. Cost: linear in instructions and in the micro-ops that they load,
 * and for each different nest linear in its micro-ops (times their logarithm). control may be NULL.
 * Returns 0, VTA_ENOMEM, or what control ends it with, which is looked at before every
 * instruction. */
int vta_plan_make(struct vta_plan **plan, const struct vta_program *program,
                  const struct vta_control *control, struct vta_error *error);
void vta_plan_free(struct vta_plan *plan); /* NULL is allowed */

/* What a LOAD UOP does to a micro-op SRAM; image is the program's micro-ops. For whoever executes
 * one: the planner, footprints, and a run whose shapes the plan had no room for. False where one
 * row without padding, the common case, changed nothing. */
bool vta_uops_load(struct vta_uop *sram, const struct vta_mem_insn *mem,
                   const struct vta_uop *image);

/* plan_weights.c: finds partners among the operations of a plan. O(operations). */
void vta_plan_find_partners(struct vta_plan *plan, const struct vta_program *program);
/* Where a GEMM of this shape finds the weights of its partner: the tile wgt_begin of the first
 * output counted from the LOAD's first, and the next output's from there; in DRAM tiles. */
void vta_plan_weights_at(const struct vta_gemm_shape *shape, const struct vta_mem_insn *load,
                         uint64_t *first, uint64_t *next);

/* plan_nest.c: the normal form of one nest over these micro-ops (those of [uop_begin, uop_end)). */
int vta_gemm_shape_make(struct vta_gemm_shape *shape, const struct vta_nest_insn *nest,
                        const struct vta_uop *uops, struct vta_error *error);
int vta_alu_shape_make(struct vta_alu_shape *shape, const struct vta_nest_insn *nest,
                       const struct vta_uop *uops, bool reads_src, struct vta_error *error);
/* Releases what a shape owns, also after a failure. */
void vta_gemm_shape_clear(struct vta_gemm_shape *shape);
void vta_alu_shape_clear(struct vta_alu_shape *shape);
/* Whether two nests have the same steps if their micro-ops are the same: all but the operation of
 * an ALU, of which only whether it reads src counts. The hash goes with it; of what else the
 * answer shall depend on, `kind` and `generation` are mixed in. */
bool vta_nest_same(const struct vta_nest_insn *a, const struct vta_nest_insn *b);
uint32_t vta_nest_hash(const struct vta_nest_insn *nest, uint32_t kind, uint32_t generation);
/* Whether the nest has no step at all. */
bool vta_nest_is_empty(const struct vta_nest_insn *nest);

#endif
