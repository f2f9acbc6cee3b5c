/* verify.c: decides, before it runs, whether a program is safe on a board (verify.h).
 *
 * Every rule here is exact, with one choice of words: a transfer's rows must lie inside one buffer
 * together with what is between them. Order between units is in tokens.c, micro-op ranges in
 * uop_extent.c; races that a board may lose are no business of this file.
 */
#include "verify.h"

#include <stdio.h>
#include <stdlib.h>

#include "hazard.h"
#include "plan.h"
#include "tokens.h"
#include "uop_extent.h"

struct verifier {
    struct vta_program *program;
    const struct vta_verify_options *options;
    struct vta_uop_extents uops;
    struct vta_counters counters;
    uint64_t work;
    uint64_t spent; /* steps on telling micro-ops apart */
};

/* Adds limit and value to an error that has been set. */
static int with_limit(struct vta_error *error, uint64_t limit, uint64_t value, int rc)
{
    if (error != NULL) {
        error->has_limit = true;
        error->limit = (int64_t)limit;
        error->value = (int64_t)value;
    }
    return rc;
}

/* ---- LOAD and STORE ------------------------------------------------------------------------ */

static int check_memory_type(const struct verifier *v, uint32_t i, struct vta_error *error)
{
    const struct vta_insn *insn = &v->program->insns[i];
    uint32_t memory = insn->mem.memory;
    if (insn->opcode == VTA_OP_STORE) {
        if (memory == VTA_MEM_OUT || vta_insn_is_nop(insn))
            return 0;
        return vta_program_error(v->program, i, VTA_EOPCODE, error,
                                 "stores come from OUT (memory type %d), this one from %u",
                                 VTA_MEM_OUT, memory);
    }
    if (memory < VTA_MEM_COUNT && memory != VTA_MEM_OUT)
        return 0;
    return vta_program_error(v->program, i, VTA_EOPCODE, error,
                             "memory type %u cannot be loaded into", memory);
}

static int check_sram_range(const struct verifier *v, uint32_t i, struct vta_error *error)
{
    const struct vta_mem_insn *mem = &v->program->insns[i].mem;
    uint64_t rows = (uint64_t)mem->y_pad_before + mem->y_size + mem->y_pad_after;
    uint64_t columns = (uint64_t)mem->x_pad_before + mem->x_size + mem->x_pad_after;
    uint64_t end = mem->sram_base + rows * columns;
    uint32_t depth = v->program->hw.depth[mem->memory];
    if (rows * columns == 0 || end <= depth)
        return 0;
    int rc = vta_program_error(v->program, i, VTA_ESRAM, error, "%s index reaches %llu, %s has %u",
                               vta_memory_name((enum vta_memory)mem->memory),
                               (unsigned long long)(end - 1),
                               vta_memory_name((enum vta_memory)mem->memory), depth);
    return with_limit(error, depth - 1, end - 1, rc);
}

/* [begin, end) counts elements of `bytes` bytes from the base of `what`, which has nbytes. */
static int refuse_dram(const struct verifier *v, uint32_t i, uint64_t begin, uint64_t end,
                       uint64_t nbytes, const char *what, struct vta_error *error)
{
    int rc = vta_program_error(
        v->program, i, VTA_EDRAM, error, "bytes %llu to %llu of %s, which has %llu",
        (unsigned long long)begin, (unsigned long long)end, what, (unsigned long long)nbytes);
    return with_limit(error, nbytes, end, rc);
}

static int check_absolute(const struct verifier *v, uint32_t i, uint64_t begin, uint64_t end,
                          struct vta_error *error)
{
    const struct vta_verify_options *options = v->options;
    if (options->reader != NULL && options->reader(options->context, begin, end - begin) != NULL)
        return 0;
    return vta_program_error(v->program, i, VTA_EDRAM, error,
                             "DRAM 0x%llx to 0x%llx is not inside one buffer",
                             (unsigned long long)begin, (unsigned long long)end);
}

static int check_dram_range(const struct verifier *v, uint32_t i, struct vta_error *error)
{
    const struct vta_program *program = v->program;
    const struct vta_insn *insn = &program->insns[i];
    const struct vta_mem_insn *mem = &insn->mem;
    if (mem->y_size == 0)
        return 0;
    uint64_t elem = program->hw.dram_elem_bytes[mem->memory];
    uint64_t begin = mem->dram_base * elem;
    uint64_t end = begin + ((uint64_t)(mem->y_size - 1) * mem->x_stride + mem->x_size) * elem;

    if (program->bases[i] == VTA_BASE_ABSOLUTE && mem->memory == VTA_MEM_UOP)
        return vta_program_error(program, i, VTA_EDRAM, error,
                                 "micro-ops at DRAM 0x%llx to 0x%llx are not inside one buffer",
                                 (unsigned long long)begin, (unsigned long long)end);
    if (program->bases[i] == VTA_BASE_ABSOLUTE)
        return check_absolute(v, i, begin, end, error);
    if (program->bases[i] == VTA_BASE_UOPS) {
        uint64_t nbytes = (uint64_t)program->uop_count * VTA_UOP_BYTES;
        return end <= nbytes ? 0 : refuse_dram(v, i, begin, end, nbytes, "the micro-ops", error);
    }
    const struct vta_program_param *param = &program->params[program->bases[i]];
    char what[32];
    snprintf(what, sizeof(what), "parameter %u", program->bases[i]);
    if (end > param->nbytes)
        return refuse_dram(v, i, begin, end, param->nbytes, what, error);
    if (insn->opcode == VTA_OP_STORE && (param->access & VTA_ACCESS_WRITE) == 0)
        return vta_program_error(program, i, VTA_EDRAM, error, "stores to %s, which is read-only",
                                 what);
    return 0;
}

/* Work that passes the limit, if there is one. */
static int add_work(struct verifier *v, uint32_t i, uint64_t steps, struct vta_error *error)
{
    uint64_t limit = v->options->max_work;
    v->work = v->work > UINT64_MAX - steps ? UINT64_MAX : v->work + steps;
    if (limit == 0 || v->work <= limit)
        return 0;
    int rc = vta_program_error(v->program, i, VTA_EWORK, error,
                               "the program's work reaches %llu micro-op steps, the limit is %llu",
                               (unsigned long long)v->work, (unsigned long long)limit);
    return with_limit(error, limit, v->work, rc);
}

static void count_mem(struct verifier *v, const struct vta_insn *insn)
{
    const struct vta_hw *hw = &v->program->hw;
    uint64_t elements = (uint64_t)insn->mem.x_size * insn->mem.y_size;
    uint64_t nbytes = elements * hw->sram_elem_bytes[insn->mem.memory];
    switch (insn->mem.memory) {
    case VTA_MEM_UOP:
        v->counters.uop_load_nbytes += nbytes;
        break;
    case VTA_MEM_WGT:
        v->counters.wgt_load_nbytes += nbytes;
        break;
    case VTA_MEM_INP:
        v->counters.inp_load_nbytes += nbytes;
        break;
    case VTA_MEM_OUT:
        v->counters.out_store_nbytes += elements * hw->batch * hw->block * hw->out_bits / 8;
        break;
    default: /* ACC and ACC_8BIT */
        v->counters.acc_load_nbytes += nbytes;
        break;
    }
}

static int verify_mem(struct verifier *v, uint32_t i, struct vta_error *error)
{
    const struct vta_insn *insn = &v->program->insns[i];
    const struct vta_mem_insn *mem = &insn->mem;
    int rc = check_memory_type(v, i, error);
    if (rc != 0 || vta_insn_is_nop(insn))
        return rc;
    if (insn->opcode == VTA_OP_STORE &&
        mem->y_pad_before + mem->y_pad_after + mem->x_pad_before + mem->x_pad_after != 0)
        return vta_program_error(v->program, i, VTA_EOPCODE, error, "a store has no padding");
    rc = check_sram_range(v, i, error);
    if (rc == 0)
        rc = check_dram_range(v, i, error);
    if (rc != 0)
        return rc;
    count_mem(v, insn);
    if (mem->memory != VTA_MEM_UOP)
        return 0;
    rc = add_work(v, i, (uint64_t)mem->x_size * mem->y_size, error);
    if (rc == 0)
        vta_uop_extents_load(&v->uops, i);
    return rc;
}

/* ---- GEMM and ALU -------------------------------------------------------------------------- */

/* The largest index that an operand reaches in a nest that is not empty. */
static uint64_t reach(const struct vta_nest_insn *nest, uint32_t base, uint32_t factor_out,
                      uint32_t factor_in)
{
    return base + (uint64_t)(nest->iter_out - 1) * factor_out +
           (uint64_t)(nest->iter_in - 1) * factor_in;
}

static int check_index(const struct verifier *v, uint32_t i, const char *operand,
                       enum vta_memory memory, uint64_t index, struct vta_error *error)
{
    uint32_t depth = v->program->hw.depth[memory];
    if (index < depth)
        return 0;
    int rc = vta_program_error(v->program, i, VTA_ESRAM, error, "%s index reaches %llu, %s has %u",
                               operand, (unsigned long long)index, vta_memory_name(memory), depth);
    return with_limit(error, depth - 1, index, rc);
}

/* The first entry of [begin, end) that was never loaded; there is one. */
static uint32_t first_hole(struct verifier *v, uint32_t begin, uint32_t end)
{
    while (end - begin > 1) {
        uint32_t middle = begin + (end - begin) / 2;
        if (vta_uop_extents_query(&v->uops, begin, middle).loaded)
            begin = middle;
        else
            end = middle;
    }
    return begin;
}

static int check_uops_loaded(struct verifier *v, uint32_t i, struct vta_error *error)
{
    const struct vta_nest_insn *nest = &v->program->insns[i].nest;
    int rc = check_index(v, i, "micro-op", VTA_MEM_UOP, (uint64_t)nest->uop_end - 1, error);
    if (rc != 0)
        return rc;
    if (vta_uop_extents_query(&v->uops, nest->uop_begin, nest->uop_end).loaded)
        return 0;
    return vta_program_error(v->program, i, VTA_EUOP, error,
                             "uses micro-op %u, which no earlier instruction has loaded",
                             first_hole(v, nest->uop_begin, nest->uop_end));
}

/* Whether a nest stays in its SRAMs if its micro-ops reach no further than max. */
static int check_reach(const struct verifier *v, uint32_t i, const struct vta_uop *max,
                       struct vta_error *error)
{
    const struct vta_insn *insn = &v->program->insns[i];
    const struct vta_nest_insn *nest = &insn->nest;
    uint64_t dst = reach(nest, max->dst, nest->dst_factor_out, nest->dst_factor_in);
    uint64_t src = reach(nest, max->src, nest->src_factor_out, nest->src_factor_in);
    uint64_t wgt = reach(nest, max->wgt, nest->wgt_factor_out, nest->wgt_factor_in);
    int rc = check_index(v, i, "accumulator", VTA_MEM_ACC, dst, error);
    if (rc != 0)
        return rc;
    if (insn->opcode == VTA_OP_ALU)
        return nest->use_imm ? 0 : check_index(v, i, "source", VTA_MEM_ACC, src, error);
    if (nest->reset)
        return 0;
    rc = check_index(v, i, "input", VTA_MEM_INP, src, error);
    return rc != 0 ? rc : check_index(v, i, "weight", VTA_MEM_WGT, wgt, error);
}

/* Checks a nest's micro-ops one by one, within the cost that verify.h promises. */
static int tell_apart(struct verifier *v, uint32_t i, struct vta_error *error)
{
    const struct vta_program *program = v->program;
    const struct vta_nest_insn *nest = &program->insns[i].nest;
    const uint64_t limit =
        VTA_VERIFY_ENTRIES + 16 * ((uint64_t)program->count + program->uop_count);
    const uint64_t before = v->uops.steps;
    vta_uop_extents_tell_apart(&v->uops, nest->uop_begin, nest->uop_end);
    v->spent += v->uops.steps - before;
    if (v->spent <= limit)
        return 0;
    int rc = vta_program_error(program, i, VTA_EWORK, error,
                               "telling apart the micro-ops that were loaded in rows takes %llu "
                               "steps, the limit is %llu",
                               (unsigned long long)v->spent, (unsigned long long)limit);
    return with_limit(error, limit, v->spent, rc);
}

static int check_operands(struct verifier *v, uint32_t i, struct vta_error *error)
{
    const struct vta_nest_insn *nest = &v->program->insns[i].nest;
    struct vta_uop_extent extent = vta_uop_extents_query(&v->uops, nest->uop_begin, nest->uop_end);
    if (!extent.exact && check_reach(v, i, &extent.max, NULL) != 0) {
        int rc = tell_apart(v, i, error);
        if (rc != 0)
            return rc;
        extent = vta_uop_extents_query(&v->uops, nest->uop_begin, nest->uop_end);
    }
    return check_reach(v, i, &extent.max, error);
}

static int verify_nest(struct verifier *v, uint32_t i, struct vta_error *error)
{
    const struct vta_insn *insn = &v->program->insns[i];
    const struct vta_nest_insn *nest = &insn->nest;
    if (insn->opcode == VTA_OP_ALU && nest->alu_opcode > 4)
        return vta_program_error(v->program, i, VTA_EOPCODE, error, "ALU opcode %u is unknown",
                                 nest->alu_opcode);
    if (vta_nest_is_empty(nest))
        return 0; /* touches nothing */
    int rc = check_uops_loaded(v, i, error);
    if (rc == 0)
        rc = check_operands(v, i, error);
    if (rc != 0)
        return rc;

    uint64_t steps = (uint64_t)nest->iter_out * nest->iter_in * (nest->uop_end - nest->uop_begin);
    if (insn->opcode == VTA_OP_ALU)
        v->counters.alu_counter += steps;
    else if (!nest->reset)
        v->counters.gemm_counter += steps;
    return add_work(v, i, steps, error);
}

/* ---- The whole program --------------------------------------------------------------------- */

static int verify_insn(struct verifier *v, uint32_t i, struct vta_error *error)
{
    const struct vta_insn *insn = &v->program->insns[i];
    switch (insn->opcode) {
    case VTA_OP_LOAD:
    case VTA_OP_STORE:
        return verify_mem(v, i, error);
    case VTA_OP_GEMM:
    case VTA_OP_ALU:
        return verify_nest(v, i, error);
    case VTA_OP_FINISH:
        if (i == v->program->count - 1)
            return 0;
        return vta_program_error(v->program, i, VTA_EFINISH, error,
                                 "is not the last of %u instructions", v->program->count);
    default:
        return vta_program_error(v->program, i, VTA_EOPCODE, error, "opcode %u is unknown",
                                 insn->opcode);
    }
}

static int check_end(const struct vta_program *program, struct vta_error *error)
{
    if (program->count == 0)
        return vta_error_set(error, VTA_EFINISH, "refused: the program has no instructions");
    if (program->insns[program->count - 1].opcode == VTA_OP_FINISH)
        return 0;
    return vta_program_error(program, program->count - 1, VTA_EFINISH, error,
                             "is the last instruction, which must be FINISH");
}

static int check_tokens(struct vta_program *program, const struct vta_verify_options *options,
                        struct vta_error *error)
{
    program->order = malloc(((size_t)program->count + 1) * sizeof(*program->order));
    if (program->order == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory to verify a program");
    program->before = options->before;
    int rc = vta_tokens_walk(program, &options->before, program->order, &program->after, error);
    if (rc == 0)
        rc = vta_tokens_check_finish(program, &options->before, error);
    if (rc != 0 || !options->tokens_must_end_empty)
        return rc;
    const struct vta_tokens *after = &program->after;
    if (after->load_to_compute + after->compute_to_load + after->compute_to_store +
            after->store_to_compute ==
        0)
        return 0;
    return vta_error_set(error, VTA_EFINISH,
                         "refused: tokens are left in the queues at the end\n"
                         "  load→compute %u, compute→load %u, compute→store %u, store→compute %u",
                         after->load_to_compute, after->compute_to_load, after->compute_to_store,
                         after->store_to_compute);
}

/* Counts what has been done since the last time; 0, or what control ends it with. */
static int look(const struct verifier *v, uint64_t steps, struct vta_error *error)
{
    struct vta_control *control = v->options->control;
    int rc = vta_control_step(control, steps);
    return rc == 0 ? 0 : vta_control_error(control, rc, error, "verification");
}

static int verify_insns(struct verifier *v, struct vta_error *error)
{
    const uint32_t count = v->program->count;
    int rc = look(v, v->program->hw.depth[VTA_MEM_UOP] + v->program->uop_count, error);
    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        const uint64_t before = v->uops.steps;
        rc = verify_insn(v, i, error);
        if (rc == 0)
            rc = look(v, 1 + v->uops.steps - before, error);
    }
    return rc;
}

int vta_verify(struct vta_program *program, const struct vta_verify_options *options,
               struct vta_error *error)
{
    struct verifier v = { .program = program, .options = options };
    int rc = vta_uop_extents_init(&v.uops, program, error);

    program->verified = false;
    free(program->order);
    program->order = NULL;
    vta_hazards_free(program->hazards);
    program->hazards = NULL;
    vta_plan_free(program->plan);
    program->plan = NULL;
    if (rc == 0)
        rc = verify_insns(&v, error);
    if (rc == 0)
        rc = check_end(program, error);
    if (rc == 0)
        rc = look(&v, program->count, error);
    if (rc == 0)
        rc = check_tokens(program, options, error);
    if (rc == 0) {
        program->counters = v.counters;
        program->work = v.work;
        program->verified = true;
    }
    vta_uop_extents_free(&v.uops);
    return rc;
}

int vta_verify_addresses(struct vta_program *program, const struct vta_verify_options *options,
                         struct vta_error *error)
{
    const struct verifier v = { .program = program, .options = options };
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < program->count; i++) {
        const struct vta_insn *insn = &program->insns[i];
        if (program->bases[i] == VTA_BASE_ABSOLUTE && insn->opcode <= VTA_OP_STORE &&
            !vta_insn_is_nop(insn))
            rc = check_dram_range(&v, i, error);
    }
    return rc;
}
