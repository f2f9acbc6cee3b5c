/* plan_weights.c: finds weights that need not be loaded: one GEMM alone reads them, each tile for
 * one position, and another LOAD overwrites them before the program ends. Whether they were in SRAM
 * then makes no difference, and a kernel set that can do so reads them from DRAM.
 *
 * A LOAD is a candidate until something else reads or partly overwrites its tiles, or until a STORE
 * comes before its GEMM (which might write what it was to load).
 */
#include "plan.h"

#define CANDIDATES_MAX 8 /* more buffers than schedules use */

struct candidate {
    struct vta_plan_op *load, *user; /* user: the GEMM, NULL: not yet */
    uint32_t begin, end;             /* WGT tiles */
};

struct finder {
    struct candidate candidates[CANDIDATES_MAX];
    uint32_t count;
};

static void drop(struct finder *f, uint32_t index)
{
    f->candidates[index] = f->candidates[--f->count];
}

/* Whether the tiles lie in DRAM one behind the other. */
static bool is_one_row(const struct vta_mem_insn *load)
{
    return load->y_size == 1 || load->x_stride == load->x_size;
}

/* Whether the tiles of each output lie in DRAM as they would in SRAM, and those of the next as far
 * away each time. */
static bool may_read(const struct vta_gemm_shape *shape, const struct candidate *candidate,
                     const struct vta_mem_insn *load)
{
    const struct vta_plan_loop *outputs = &shape->outputs;
    if (shape->outer_count != 0 || shape->group_count != 1 || shape->positions.extent != 1 ||
        shape->wgt_begin < candidate->begin || shape->wgt_end > candidate->end)
        return false;
    const uint32_t first = shape->wgt_begin - candidate->begin;
    const uint32_t last =
        shape->wgt_end - 1 - (outputs->extent - 1) * outputs->wgt - candidate->begin;
    return is_one_row(load) ||
           (outputs->wgt % load->x_size == 0 && first / load->x_size == last / load->x_size);
}

void vta_plan_weights_at(const struct vta_gemm_shape *shape, const struct vta_mem_insn *load,
                         uint64_t *first, uint64_t *next)
{
    const uint32_t tile = shape->wgt_begin - load->sram_base, row = load->x_size;
    *first = tile;
    *next = shape->outputs.wgt;
    if (is_one_row(load))
        return;
    *first = (uint64_t)(tile / row) * load->x_stride + tile % row;
    *next = (uint64_t)(shape->outputs.wgt / row) * load->x_stride;
}

static void meet_load(struct finder *f, struct vta_plan_op *op, const struct vta_mem_insn *load)
{
    const bool padded =
        load->y_pad_before + load->y_pad_after + load->x_pad_before + load->x_pad_after != 0;
    const uint32_t begin = load->sram_base;
    const uint64_t columns = (uint64_t)load->x_pad_before + load->x_size + load->x_pad_after;
    const uint64_t rows = (uint64_t)load->y_pad_before + load->y_size + load->y_pad_after;
    const uint32_t end = begin + (uint32_t)(columns * rows);
    for (uint32_t i = f->count; i-- > 0;) {
        struct candidate *c = &f->candidates[i];
        if (c->begin >= end || c->end <= begin)
            continue;
        if (c->user != NULL && c->begin >= begin && c->end <= end) {
            c->load->partner = c->user->insn;
            c->user->partner = c->load->insn;
        }
        drop(f, i);
    }
    if (!padded && begin < end && f->count < CANDIDATES_MAX)
        f->candidates[f->count++] = (struct candidate){ .load = op, .begin = begin, .end = end };
}

static void meet_gemm(struct finder *f, struct vta_plan_op *op, const struct vta_gemm_shape *shape,
                      const struct vta_program *program)
{
    for (uint32_t i = f->count; i-- > 0;) {
        struct candidate *c = &f->candidates[i];
        if (c->begin >= shape->wgt_end || c->end <= shape->wgt_begin)
            continue;
        if (c->user == NULL && may_read(shape, c, &program->insns[c->load->insn].mem))
            c->user = op;
        else
            drop(f, i);
    }
}

static void meet_store(struct finder *f)
{
    for (uint32_t i = f->count; i-- > 0;)
        if (f->candidates[i].user == NULL)
            drop(f, i);
}

void vta_plan_find_partners(struct vta_plan *plan, const struct vta_program *program)
{
    struct finder f = { .count = 0 };
    if (program->hw.batch != 1)
        return;
    for (uint32_t i = 0; i < plan->op_count; i++) {
        struct vta_plan_op *op = &plan->ops[i];
        const struct vta_mem_insn *mem = &program->insns[op->insn].mem;
        if (op->kind == VTA_PLAN_LOAD && mem->memory == VTA_MEM_WGT)
            meet_load(&f, op, mem);
        else if (op->kind == VTA_PLAN_STORE)
            meet_store(&f);
        else if (op->kind == VTA_PLAN_GEMM && op->shape == VTA_SHAPE_AT_RUN)
            f.count = 0;
        else if (op->kind == VTA_PLAN_GEMM)
            meet_gemm(&f, op, &plan->gemm_shapes[op->shape], program);
    }
}
