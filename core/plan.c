/* plan.c: compiles a verified program into a plan (plan.h): walks it in execution order, keeps the
 * micro-op SRAM as it changes, and gives equal nests one shape.
 */
#include "plan.h"

#include "device.h"

#include <stdlib.h>
#include <string.h>

struct planner {
    const struct vta_program *program;
    struct vta_plan *plan;
    struct vta_uop *sram; /* micro-op SRAM at this point */
    uint32_t generation;  /* counts changes of its content */
    uint64_t entries;     /* groups, steps and runs so far */
    uint32_t gemm_capacity, alu_capacity;
    struct seen *seen;  /* hash table: nests that have a shape */
    uint32_t seen_size; /* a power of two */
};

/* A nest, with the micro-ops it had. */
struct seen {
    bool used;
    uint32_t insn, generation, shape;
    enum vta_plan_kind kind;
};

static int no_memory(struct vta_error *error)
{
    return vta_error_set(error, VTA_ENOMEM, "no memory to plan a program");
}

void vta_plan_free(struct vta_plan *plan)
{
    if (plan == NULL)
        return;
    for (uint32_t i = 0; i < plan->gemm_count; i++)
        vta_gemm_shape_clear(&plan->gemm_shapes[i]);
    for (uint32_t i = 0; i < plan->alu_count; i++)
        vta_alu_shape_clear(&plan->alu_shapes[i]);
    free(plan->gemm_shapes);
    free(plan->alu_shapes);
    free(plan->ops);
    free(plan);
}

/* ---- Micro-op SRAM ------------------------------------------------------------------------- */

/* Whether a load would change nothing. Only asked of the common case, one row of data alone. */
static bool is_there(const struct vta_uop *sram, const struct vta_mem_insn *mem,
                     const struct vta_uop *image)
{
    return mem->y_size == 1 && mem->y_pad_before + mem->y_pad_after == 0 &&
           mem->x_pad_before + mem->x_pad_after == 0 &&
           memcmp(sram + mem->sram_base, image + mem->dram_base, mem->x_size * sizeof(*sram)) == 0;
}

bool vta_uops_load(struct vta_uop *sram, const struct vta_mem_insn *mem,
                   const struct vta_uop *image)
{
    const size_t columns = (size_t)mem->x_pad_before + mem->x_size + mem->x_pad_after;
    const size_t rows = (size_t)mem->y_pad_before + mem->y_size + mem->y_pad_after;
    struct vta_uop *to = sram + mem->sram_base;

    if (is_there(sram, mem, image))
        return false;
    if (columns * rows != (size_t)mem->x_size * mem->y_size)
        memset(to, 0, columns * rows * sizeof(*to));
    to += mem->y_pad_before * columns + mem->x_pad_before;
    for (uint32_t y = 0; y < mem->y_size; y++)
        memcpy(to + y * columns, image + mem->dram_base + (size_t)y * mem->x_stride,
               mem->x_size * sizeof(*to));
    return true;
}

/* ---- Shapes -------------------------------------------------------------------------------- */

/* The table's slot of a nest: the one that holds it, or an empty one. */
static struct seen *find_seen(const struct planner *p, uint32_t insn, enum vta_plan_kind kind)
{
    const struct vta_nest_insn *nest = &p->program->insns[insn].nest;
    uint32_t at = vta_nest_hash(nest, (uint32_t)kind, p->generation);
    for (;; at++) {
        struct seen *seen = &p->seen[at & (p->seen_size - 1)];
        if (!seen->used || (seen->kind == kind && seen->generation == p->generation &&
                            vta_nest_same(nest, &p->program->insns[seen->insn].nest)))
            return seen;
    }
}

/* Room for one more element of an array that doubles. */
static void *grown(void *array, uint32_t count, uint32_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    uint32_t wanted = *capacity == 0 ? 8 : *capacity * 2;
    void *moved = realloc(array, wanted * size);
    if (moved != NULL)
        *capacity = wanted;
    return moved;
}

static int make_shape(struct planner *p, const struct vta_nest_insn *nest, enum vta_plan_kind kind,
                      uint32_t *shape, struct vta_error *error)
{
    struct vta_plan *plan = p->plan;
    const struct vta_uop *uops = p->sram + nest->uop_begin;
    if (kind == VTA_PLAN_GEMM) {
        void *shapes = grown(plan->gemm_shapes, plan->gemm_count, &p->gemm_capacity,
                             sizeof(*plan->gemm_shapes));
        if (shapes == NULL)
            return no_memory(error);
        plan->gemm_shapes = shapes;
        *shape = plan->gemm_count++; /* counted first: vta_plan_free releases what a failure left */
        int rc = vta_gemm_shape_make(&plan->gemm_shapes[*shape], nest, uops, error);
        p->entries += nest->uop_end - nest->uop_begin + plan->gemm_shapes[*shape].step_count;
        return rc;
    }
    void *shapes =
        grown(plan->alu_shapes, plan->alu_count, &p->alu_capacity, sizeof(*plan->alu_shapes));
    if (shapes == NULL)
        return no_memory(error);
    plan->alu_shapes = shapes;
    *shape = plan->alu_count++;
    p->entries += nest->uop_end - nest->uop_begin;
    return vta_alu_shape_make(&plan->alu_shapes[*shape], nest, uops,
                              kind == VTA_PLAN_ALU && !nest->use_imm, error);
}

static int plan_nest(struct planner *p, uint32_t insn, enum vta_plan_kind kind, uint32_t *shape,
                     struct vta_error *error)
{
    struct seen *seen = find_seen(p, insn, kind);
    if (!seen->used && p->entries > VTA_PLAN_ENTRIES) {
        *shape = VTA_SHAPE_AT_RUN;
        return 0;
    }
    if (!seen->used) {
        int rc = make_shape(p, &p->program->insns[insn].nest, kind, shape, error);
        if (rc != 0)
            return rc;
        *seen = (struct seen){
            .used = true, .insn = insn, .generation = p->generation, .shape = *shape, .kind = kind
        };
    }
    *shape = seen->shape;
    return 0;
}

/* ---- The program --------------------------------------------------------------------------- */

static int plan_insn(struct planner *p, uint32_t index, struct vta_error *error)
{
    const struct vta_insn *insn = &p->program->insns[index];
    struct vta_plan_op op = { .insn = index, .partner = VTA_NO_PARTNER };
    int rc = 0;
    switch (insn->opcode) {
    case VTA_OP_LOAD:
        if (vta_insn_is_nop(insn))
            return 0;
        op.kind = insn->mem.memory == VTA_MEM_UOP ? VTA_PLAN_LOAD_UOP : VTA_PLAN_LOAD;
        if (op.kind == VTA_PLAN_LOAD_UOP)
            p->generation += vta_uops_load(p->sram, &insn->mem, p->program->uops);
        break;
    case VTA_OP_STORE:
        if (vta_insn_is_nop(insn))
            return 0;
        op.kind = VTA_PLAN_STORE;
        break;
    case VTA_OP_GEMM:
    case VTA_OP_ALU:
        if (vta_nest_is_empty(&insn->nest))
            return 0;
        op.kind = insn->opcode == VTA_OP_ALU ? VTA_PLAN_ALU
                  : insn->nest.reset         ? VTA_PLAN_RESET
                                             : VTA_PLAN_GEMM;
        rc = plan_nest(p, index, op.kind, &op.shape, error);
        break;
    default:
        return 0; /* FINISH */
    }
    p->plan->ops[p->plan->op_count++] = op;
    return rc;
}

/* What an outsider wants: 0, or the code to stop with. */
static int stopped(const struct vta_control *control, const struct vta_program *program,
                   struct vta_error *error)
{
    int rc = vta_control_look(control);
    return rc == 0 ? 0
                   : vta_error_set(error, rc, "%s: %s while it was planned", program->name,
                                   vta_error_text(rc));
}

static uint64_t bytes_of(const struct vta_plan *plan)
{
    uint64_t nbytes = sizeof(*plan) + plan->op_count * sizeof(*plan->ops) +
                      plan->gemm_count * sizeof(*plan->gemm_shapes) +
                      plan->alu_count * sizeof(*plan->alu_shapes);
    for (uint32_t i = 0; i < plan->gemm_count; i++)
        nbytes += plan->gemm_shapes[i].group_count * sizeof(*plan->gemm_shapes[i].groups) +
                  plan->gemm_shapes[i].step_count * sizeof(*plan->gemm_shapes[i].steps);
    for (uint32_t i = 0; i < plan->alu_count; i++)
        nbytes += plan->alu_shapes[i].run_count * sizeof(*plan->alu_shapes[i].runs);
    return nbytes;
}

int vta_plan_make(struct vta_plan **result, const struct vta_program *program,
                  const struct vta_control *control, struct vta_error *error)
{
    struct planner p = { .program = program, .seen_size = 16 };
    int rc = 0;

    while (p.seen_size < program->count * 2 && p.seen_size < UINT32_C(1) << 30)
        p.seen_size *= 2;
    p.plan = calloc(1, sizeof(*p.plan));
    p.sram = calloc(program->hw.depth[VTA_MEM_UOP], sizeof(*p.sram));
    p.seen = calloc(p.seen_size, sizeof(*p.seen));
    if (p.plan != NULL)
        p.plan->ops = malloc(((size_t)program->count + 1) * sizeof(*p.plan->ops));
    if (p.plan == NULL || p.sram == NULL || p.seen == NULL || p.plan->ops == NULL)
        rc = no_memory(error);
    for (uint32_t i = 0; rc == 0 && i < program->count; i++) {
        rc = stopped(control, program, error);
        if (rc == 0)
            rc = plan_insn(&p, program->order[i], error);
    }
    free(p.sram);
    free(p.seen);
    if (rc != 0) {
        vta_plan_free(p.plan);
        return rc;
    }
    vta_plan_find_partners(p.plan, program);
    p.plan->nbytes = bytes_of(p.plan);
    *result = p.plan;
    return 0;
}
