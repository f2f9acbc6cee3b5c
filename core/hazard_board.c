/* hazard_board.c: what a board does unlike the simulator, as far as a program alone shows it
 * (hazard.h, strict_board): operations that a board lacks, and queues that it bounds. Stale OUT
 * entries are found in hazard_sram.c.
 *
 * How long the queues are says tokens.h; the fetch unit deals in order, so a unit whose queue is
 * full keeps instructions from all.
 */
#include <vta/build.h>

#include "hazard_find.h"
#include "plan.h"
#include "tokens.h"

/* ---- Single instructions ------------------------------------------------------------------- */

static bool pads(const struct vta_mem_insn *mem)
{
    return mem->y_pad_before + mem->y_pad_after + mem->x_pad_before + mem->x_pad_after != 0;
}

/* What a board does not do of an instruction, or VTA_HAZARD_KINDS. */
static enum vta_hazard_kind difference_of(const struct vta_insn *insn)
{
    const struct vta_nest_insn *nest = &insn->nest;
    switch (insn->opcode) {
    case VTA_OP_LOAD:
        if (vta_insn_is_nop(insn))
            return VTA_HAZARD_KINDS;
        if (insn->mem.memory == VTA_MEM_ACC_8BIT)
            return VTA_HAZARD_ACC_8BIT;
        if (insn->mem.memory != VTA_MEM_INP && insn->mem.memory != VTA_MEM_ACC && pads(&insn->mem))
            return VTA_HAZARD_PADDING;
        return VTA_HAZARD_KINDS;
    case VTA_OP_ALU:
        if (vta_nest_is_empty(nest))
            return VTA_HAZARD_KINDS;
        if (nest->alu_opcode == VTA_ALU_MUL)
            return VTA_HAZARD_MUL;
        if (nest->alu_opcode == VTA_ALU_SHR && nest->use_imm && (nest->imm < -16 || nest->imm > 15))
            return VTA_HAZARD_SHIFT;
        return VTA_HAZARD_KINDS;
    default:
        return VTA_HAZARD_KINDS;
    }
}

static int find_operations(struct vta_finder *finder, struct vta_error *error)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < finder->program->count; i++) {
        const struct vta_hazard hazard = { .kind = difference_of(&finder->program->insns[i]),
                                           .first = i,
                                           .second = VTA_HAZARD_NO_INSN,
                                           .memory = VTA_MEM_COUNT };
        if (hazard.kind != VTA_HAZARD_KINDS)
            rc = vta_finder_add(finder, &hazard, error);
    }
    return rc;
}

/* ---- Bounded queues ------------------------------------------------------------------------ */

/* What a unit does next for the instruction that it holds. */
enum stage {
    STAGE_TAKE,
    STAGE_POP_PREV,
    STAGE_POP_NEXT,
    STAGE_PUSH_PREV,
    STAGE_PUSH_NEXT
};

struct machine {
    const struct vta_finder *finder;
    uint32_t dealt;                   /* instructions, in the program's order */
    uint32_t waiting[VTA_CORE_UNITS]; /* dealt to a unit and not yet taken */
    uint32_t taken[VTA_CORE_UNITS];
    enum stage stages[VTA_CORE_UNITS];
    uint32_t tokens[VTA_QUEUE_COUNT];
};

static bool pop(struct machine *machine, bool wanted, enum vta_queue queue)
{
    if (!wanted || queue == VTA_QUEUE_COUNT)
        return true;
    if (machine->tokens[queue] == 0)
        return false;
    machine->tokens[queue]--;
    return true;
}

static bool push(struct machine *machine, bool wanted, enum vta_queue queue)
{
    if (!wanted || queue == VTA_QUEUE_COUNT)
        return true;
    if (machine->tokens[queue] >= VTA_BOARD_TOKENS)
        return false;
    machine->tokens[queue]++;
    return true;
}

/* The instruction that a unit holds or, before STAGE_POP_PREV, takes next. */
static uint32_t held_by(const struct machine *machine, enum vta_core_unit unit)
{
    const uint32_t next = machine->taken[unit] - (machine->stages[unit] != STAGE_TAKE);
    return machine->finder->ordering.insns[unit][next];
}

/* One step of a unit; false where it has to wait. */
static bool step(struct machine *machine, enum vta_core_unit unit)
{
    if (machine->stages[unit] == STAGE_TAKE) {
        if (machine->waiting[unit] == 0)
            return false;
        machine->waiting[unit]--;
        machine->taken[unit]++;
        machine->stages[unit] = STAGE_POP_PREV;
        return true;
    }
    const struct vta_insn *insn = &machine->finder->program->insns[held_by(machine, unit)];
    bool done = false;
    switch (machine->stages[unit]) {
    case STAGE_TAKE:
        break;
    case STAGE_POP_PREV:
        done = pop(machine, insn->pop_prev, vta_pop_queue(unit, false));
        break;
    case STAGE_POP_NEXT:
        done = pop(machine, insn->pop_next, vta_pop_queue(unit, true));
        break;
    case STAGE_PUSH_PREV:
        done = push(machine, insn->push_prev, vta_push_queue(unit, false));
        break;
    case STAGE_PUSH_NEXT:
        done = push(machine, insn->push_next, vta_push_queue(unit, true));
        break;
    }
    if (done)
        machine->stages[unit] =
            machine->stages[unit] == STAGE_PUSH_NEXT ? STAGE_TAKE : machine->stages[unit] + 1;
    return done;
}

/* Deals one instruction; false where its unit's queue is full or there is none. */
static bool deal(struct machine *machine)
{
    const struct vta_program *program = machine->finder->program;
    if (machine->dealt == program->count)
        return false;
    const enum vta_core_unit unit = vta_insn_unit(&program->insns[machine->dealt]);
    if (machine->waiting[unit] == VTA_BOARD_COMMANDS)
        return false;
    machine->waiting[unit]++;
    machine->dealt++;
    return true;
}

/* Runs until nothing moves any more. In which order does not matter: every queue has one end that
 * feeds it and one that it feeds. */
static int settle(struct machine *machine, struct vta_error *error)
{
    int rc = 0;
    for (bool moved = true; rc == 0 && moved;) {
        moved = deal(machine);
        for (int unit = 0; unit < VTA_CORE_UNITS; unit++)
            while (step(machine, (enum vta_core_unit)unit))
                moved = true;
        rc = vta_finder_step(machine->finder, 1, error);
    }
    return rc;
}

static int find_full_queues(struct vta_finder *finder, struct vta_error *error)
{
    const struct vta_tokens *before = &finder->program->before;
    struct machine machine = { .finder = finder };
    struct vta_hazard hazard = { .kind = VTA_HAZARD_QUEUE,
                                 .first = VTA_HAZARD_NO_INSN,
                                 .second = VTA_HAZARD_NO_INSN,
                                 .memory = VTA_MEM_COUNT };

    for (int queue = 0; queue < VTA_QUEUE_COUNT; queue++)
        machine.tokens[queue] = vta_tokens_in(before, (enum vta_queue)queue);
    int rc = settle(&machine, error);
    if (rc != 0)
        return rc;
    for (int unit = 0; unit < VTA_CORE_UNITS; unit++) {
        if (machine.stages[unit] == STAGE_TAKE)
            continue;
        uint32_t held = held_by(&machine, (enum vta_core_unit)unit);
        hazard.first = held < hazard.first ? held : hazard.first;
    }
    if (machine.dealt != finder->program->count)
        hazard.second = machine.dealt;
    return hazard.first == VTA_HAZARD_NO_INSN ? 0 : vta_finder_add(finder, &hazard, error);
}

int vta_find_differences(struct vta_finder *finder, struct vta_error *error)
{
    int rc = find_operations(finder, error);
    return rc != 0 ? rc : find_full_queues(finder, error);
}
