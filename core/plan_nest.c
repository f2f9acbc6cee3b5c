/* plan_nest.c: loop nests in normal form (plan.h).
 *
 * GEMM steps only add, modulo 2^32, so they may be sorted: by the accumulator they add to. ALU
 * steps may depend on each other through ACC, so they are only joined where that changes nothing.
 */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

/* A reduction loop is written out into steps up to this many; beyond, it stays a loop. */
#define STEPS_MAX 16384u

static int no_memory(struct vta_error *error)
{
    return vta_error_set(error, VTA_ENOMEM, "no memory to plan a program");
}

bool vta_nest_is_empty(const struct vta_nest_insn *nest)
{
    return nest->iter_out == 0 || nest->iter_in == 0 || nest->uop_end <= nest->uop_begin;
}

bool vta_nest_same(const struct vta_nest_insn *a, const struct vta_nest_insn *b)
{
    return a->uop_begin == b->uop_begin && a->uop_end == b->uop_end && a->iter_out == b->iter_out &&
           a->iter_in == b->iter_in && a->dst_factor_out == b->dst_factor_out &&
           a->dst_factor_in == b->dst_factor_in && a->src_factor_out == b->src_factor_out &&
           a->src_factor_in == b->src_factor_in && a->wgt_factor_out == b->wgt_factor_out &&
           a->wgt_factor_in == b->wgt_factor_in && a->use_imm == b->use_imm;
}

uint32_t vta_nest_hash(const struct vta_nest_insn *nest, uint32_t kind, uint32_t generation)
{
    const uint32_t words[] = { nest->uop_begin,
                               nest->uop_end,
                               nest->iter_out,
                               nest->iter_in,
                               nest->dst_factor_out,
                               nest->dst_factor_in,
                               nest->src_factor_out,
                               nest->src_factor_in,
                               nest->wgt_factor_out,
                               nest->wgt_factor_in,
                               nest->use_imm,
                               kind,
                               generation };
    uint64_t hash = 0;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        hash = (hash ^ words[i]) * 0x9E3779B97F4A7C15u;
    return (uint32_t)(hash >> 32);
}

void vta_gemm_shape_clear(struct vta_gemm_shape *shape)
{
    free(shape->groups);
    free(shape->steps);
    memset(shape, 0, sizeof(*shape));
}

void vta_alu_shape_clear(struct vta_alu_shape *shape)
{
    free(shape->runs);
    memset(shape, 0, sizeof(*shape));
}

/* The nest's loops that run more than once, outermost first. */
static uint32_t loops_of(const struct vta_nest_insn *nest, struct vta_plan_loop loops[2])
{
    uint32_t count = 0;
    if (nest->iter_out > 1)
        loops[count++] = (struct vta_plan_loop){ nest->iter_out, nest->dst_factor_out,
                                                 nest->src_factor_out, nest->wgt_factor_out };
    if (nest->iter_in > 1)
        loops[count++] = (struct vta_plan_loop){ nest->iter_in, nest->dst_factor_in,
                                                 nest->src_factor_in, nest->wgt_factor_in };
    return count;
}

static struct vta_plan_loop take_loop(struct vta_plan_loop *loops, uint32_t *count, uint32_t index)
{
    struct vta_plan_loop loop = loops[index];
    for (uint32_t i = index + 1; i < *count; i++)
        loops[i - 1] = loops[i];
    (*count)--;
    return loop;
}

/* ---- GEMM ---------------------------------------------------------------------------------- */

/* Takes the longest loop whose iterations meet the same weights (or inputs) and different
 * accumulators. */
static struct vta_plan_loop take_independent(struct vta_plan_loop *loops, uint32_t *count,
                                             bool same_inputs)
{
    int best = -1;
    for (uint32_t i = 0; i < *count; i++) {
        uint32_t moves = same_inputs ? loops[i].src : loops[i].wgt;
        if (moves == 0 && loops[i].dst != 0 && (best < 0 || loops[i].extent > loops[best].extent))
            best = (int)i;
    }
    if (best < 0)
        return (struct vta_plan_loop){ .extent = 1 };
    return take_loop(loops, count, (uint32_t)best);
}

/* Takes a loop over which the accumulator stays, if it is short enough to be written out. */
static struct vta_plan_loop take_reduction(struct vta_plan_loop *loops, uint32_t *count,
                                           uint32_t uop_count)
{
    for (uint32_t i = 0; i < *count; i++)
        if (loops[i].dst == 0 && (uint64_t)loops[i].extent * uop_count <= STEPS_MAX)
            return take_loop(loops, count, i);
    return (struct vta_plan_loop){ .extent = 1 };
}

struct keyed_uop {
    struct vta_uop uop;
    uint32_t order;
};

static int compare_keyed(const void *a, const void *b)
{
    const struct keyed_uop *x = a, *y = b;
    if (x->uop.dst != y->uop.dst)
        return x->uop.dst < y->uop.dst ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* Micro-ops by accumulator, each accumulator's in their own order. */
static struct keyed_uop *sort_uops(const struct vta_uop *uops, uint32_t count)
{
    struct keyed_uop *sorted = malloc(count * sizeof(*sorted));
    bool in_order = true;
    if (sorted == NULL)
        return NULL;
    for (uint32_t i = 0; i < count; i++) {
        sorted[i] = (struct keyed_uop){ uops[i], i };
        in_order = in_order && (i == 0 || uops[i - 1].dst <= uops[i].dst);
    }
    if (!in_order)
        qsort(sorted, count, sizeof(*sorted), compare_keyed);
    return sorted;
}

static void add_steps(struct vta_gemm_shape *shape, struct vta_gemm_group *group,
                      struct vta_uop uop, const struct vta_plan_loop *reduction)
{
    for (uint32_t i = 0; i < reduction->extent; i++)
        shape->steps[group->first + group->count++] = (struct vta_step){
            .src = uop.src + i * reduction->src,
            .wgt = uop.wgt + i * reduction->wgt,
        };
}

static void find_weights(struct vta_gemm_shape *shape)
{
    const struct vta_plan_loop *outputs = &shape->outputs;
    uint32_t least = UINT32_MAX, most = 0;
    for (uint32_t i = 0; i < shape->step_count; i++) {
        const uint32_t wgt = shape->steps[i].wgt;
        least = wgt < least ? wgt : least;
        most = wgt > most ? wgt : most;
    }
    most += (outputs->extent - 1) * outputs->wgt;
    for (uint32_t i = 0; i < shape->outer_count; i++)
        most += (shape->outer[i].extent - 1) * shape->outer[i].wgt;
    shape->wgt_begin = least;
    shape->wgt_end = most + 1;
}

int vta_gemm_shape_make(struct vta_gemm_shape *shape, const struct vta_nest_insn *nest,
                        const struct vta_uop *uops, struct vta_error *error)
{
    const uint32_t count = nest->uop_end - nest->uop_begin;
    memset(shape, 0, sizeof(*shape));
    shape->outer_count = loops_of(nest, shape->outer);
    shape->positions = take_independent(shape->outer, &shape->outer_count, false);
    shape->outputs = take_independent(shape->outer, &shape->outer_count, true);
    struct vta_plan_loop reduction = take_reduction(shape->outer, &shape->outer_count, count);

    struct keyed_uop *sorted = sort_uops(uops, count);
    shape->groups = malloc(count * sizeof(*shape->groups));
    shape->steps = malloc((size_t)count * reduction.extent * sizeof(*shape->steps));
    if (sorted == NULL || shape->groups == NULL || shape->steps == NULL) {
        free(sorted);
        return no_memory(error);
    }
    struct vta_gemm_group *group = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (group == NULL || group->dst != sorted[i].uop.dst) {
            uint32_t first = group == NULL ? 0 : group->first + group->count;
            group = &shape->groups[shape->group_count++];
            *group = (struct vta_gemm_group){ .dst = sorted[i].uop.dst, .first = first };
        }
        add_steps(shape, group, sorted[i].uop, &reduction);
    }
    shape->step_count = count * reduction.extent;
    find_weights(shape);
    free(sorted);
    return 0;
}

/* ---- ALU ----------------------------------------------------------------------------------- */

/* How many tiles dst lies beyond src, at least and at most, over all iterations of these loops. */
struct distance {
    int64_t least, most;
};

static struct distance distance_of(const struct vta_alu_run *run, const struct vta_plan_loop *loops,
                                   uint32_t count)
{
    struct distance distance = { (int64_t)run->dst - run->src, (int64_t)run->dst - run->src };
    for (uint32_t i = 0; i < count; i++) {
        int64_t moves = ((int64_t)loops[i].dst - loops[i].src) * ((int64_t)loops[i].extent - 1);
        if (moves < 0)
            distance.least += moves;
        else
            distance.most += moves;
    }
    return distance;
}

/* Whether `tiles` steps may be one run at every distance: a run reads a tile before or after it is
 * written unlike single steps only where the two ranges overlap without being equal. */
static bool may_join(struct distance distance, uint64_t tiles, bool reads_src)
{
    return !reads_src || (distance.least == 0 && distance.most == 0) ||
           distance.least >= (int64_t)tiles || distance.most <= -(int64_t)tiles;
}

/* Whether the only run, repeated by the innermost loop, continues itself; if so it grows. */
static bool join_loop(struct vta_alu_shape *shape, bool reads_src)
{
    struct vta_alu_run *run = &shape->runs[0];
    const uint32_t others = shape->outer_count - 1;
    const struct vta_plan_loop *loop = &shape->outer[others];
    uint64_t tiles = (uint64_t)run->tiles * loop->extent;
    if (loop->dst != run->tiles || (reads_src && loop->src != run->tiles) ||
        !may_join(distance_of(run, shape->outer, others), tiles, reads_src))
        return false;
    run->tiles = (uint32_t)tiles;
    shape->outer_count--;
    return true;
}

int vta_alu_shape_make(struct vta_alu_shape *shape, const struct vta_nest_insn *nest,
                       const struct vta_uop *uops, bool reads_src, struct vta_error *error)
{
    const uint32_t count = nest->uop_end - nest->uop_begin;
    struct vta_alu_run *run = NULL;
    struct distance distance = { 0 };

    memset(shape, 0, sizeof(*shape));
    shape->outer_count = loops_of(nest, shape->outer);
    shape->runs = malloc(count * sizeof(*shape->runs));
    if (shape->runs == NULL)
        return no_memory(error);
    for (uint32_t i = 0; i < count; i++) {
        const struct vta_uop *uop = &uops[i];
        if (run != NULL && uop->dst == run->dst + run->tiles &&
            (!reads_src || uop->src == run->src + run->tiles) &&
            may_join(distance, (uint64_t)run->tiles + 1, reads_src)) {
            run->tiles++;
            continue;
        }
        run = &shape->runs[shape->run_count++];
        *run = (struct vta_alu_run){ .dst = uop->dst, .src = uop->src, .tiles = 1 };
        distance = distance_of(run, shape->outer, shape->outer_count);
    }
    while (shape->run_count == 1 && shape->outer_count > 0 && join_loop(shape, reads_src))
        ;
    return 0;
}
