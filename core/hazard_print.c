/* hazard_print.c: findings in words (hazard.h). */
#include <stdio.h>
#include <string.h>

#include "hazard.h"
#include "tokens.h"

struct text {
    char *at;
    size_t size, used;
};

VTA_PRINTF(2, 3) static void put(struct text *text, const char *format, ...)
{
    const size_t room = text->used < text->size ? text->size - text->used : 0;
    va_list args;
    va_start(args, format);
    int length = vsnprintf(room == 0 ? NULL : text->at + text->used, room, format, args);
    va_end(args);
    text->used += length > 0 ? (size_t)length : 0;
}

static const char *opcode_name(const struct vta_program *program, uint32_t insn)
{
    return vta_opcode_word(program->insns[insn].opcode);
}

/* "WGT 0 to 15", "8 entries of INP 0 to 30", "bytes 0 to 63 of parameter 2". */
static void put_place(struct text *text, const struct vta_hazard *hazard)
{
    const struct vta_extent *extent = &hazard->extent;
    const unsigned long long first = extent->begin, last = extent->end - 1;
    const bool dram = hazard->memory == VTA_HAZARD_DRAM;
    const char *memory = dram ? "DRAM" : vta_memory_name((enum vta_memory)hazard->memory);

    if (extent->count != extent->end - extent->begin)
        put(text, "%llu %s of ", (unsigned long long)extent->count, dram ? "bytes" : "entries");
    if (dram && hazard->base == VTA_BASE_ABSOLUTE)
        put(text, "DRAM 0x%llx to 0x%llx", first, last);
    else if (dram)
        put(text, "parameter %u, bytes %llu to %llu", hazard->base, first, last);
    else if (first == last)
        put(text, "%s %llu", memory, first);
    else
        put(text, "%s %llu to %llu", memory, first, last);
}

static void put_insn(struct text *text, const struct vta_program *program, uint32_t insn)
{
    char disasm[VTA_DISASM_TEXT];
    vta_insn_print(&program->insns[insn], disasm, sizeof(disasm));
    put(text, "\n  insn %u  %s", insn, disasm);
}

/* The queue from a unit to the one beside it. */
static enum vta_queue queue_towards(enum vta_core_unit from, enum vta_core_unit to)
{
    return vta_push_queue(from, to > from);
}

/* Which tokens would make the first of two instructions precede the second. */
static void put_remedy(struct text *text, const struct vta_program *program,
                       const struct vta_hazard *hazard)
{
    const enum vta_core_unit from = vta_insn_unit(&program->insns[hazard->first]);
    const enum vta_core_unit to = vta_insn_unit(&program->insns[hazard->second]);
    if (from == VTA_CORE_COMPUTE || to == VTA_CORE_COMPUTE) {
        put(text,
            "\n  ordered by: a push %s at or after insn %u, matched by a pop at or before insn %u",
            vta_queue_name(queue_towards(from, to)), hazard->first, hazard->second);
        return;
    }
    put(text,
        "\n  ordered by: a push %s at or after insn %u, matched by a pop of compute at or before a "
        "push %s, matched by a pop at or before insn %u",
        vta_queue_name(queue_towards(from, VTA_CORE_COMPUTE)), hazard->first,
        vta_queue_name(queue_towards(VTA_CORE_COMPUTE, to)), hazard->second);
}

static void put_race(struct text *text, const struct vta_program *program,
                     const struct vta_hazard *hazard)
{
    put_place(text, hazard);
    put(text, ": insn %u %s %s what insn %u %s %s, and no token orders them", hazard->first,
        opcode_name(program, hazard->first), hazard->first_writes ? "writes" : "reads",
        hazard->second, opcode_name(program, hazard->second),
        hazard->second_writes ? "writes" : "reads");
    put_insn(text, program, hazard->first);
    put_insn(text, program, hazard->second);
    put_remedy(text, program, hazard);
}

static void put_full_queue(struct text *text, const struct vta_program *program,
                           const struct vta_hazard *hazard)
{
    put(text, "insn %u waits for ever: ", hazard->first);
    if (hazard->second == VTA_HAZARD_NO_INSN)
        put(text, "a token queue holds %d tokens and is full", VTA_BOARD_TOKENS);
    else
        put(text, "%d instructions wait for %s, so insn %u and all behind it reach no unit",
            VTA_BOARD_COMMANDS, vta_core_unit_name(vta_insn_unit(&program->insns[hazard->second])),
            hazard->second);
    put_insn(text, program, hazard->first);
    if (hazard->second != VTA_HAZARD_NO_INSN)
        put_insn(text, program, hazard->second);
}

size_t vta_hazard_print(const struct vta_program *program, const struct vta_hazard *hazard,
                        char *buffer, size_t size)
{
    struct text text = { .at = buffer, .size = size };
    if (size != 0)
        buffer[0] = '\0';
    put(&text, "%s: ", vta_hazard_name(hazard->kind));
    switch (hazard->kind) {
    case VTA_HAZARD_RACE:
        put_race(&text, program, hazard);
        return text.used;
    case VTA_HAZARD_QUEUE:
        put_full_queue(&text, program, hazard);
        return text.used;
    case VTA_HAZARD_UNWRITTEN:
        put_place(&text, hazard);
        put(&text, ": insn %u %s reads what nothing has written", hazard->first,
            opcode_name(program, hazard->first));
        break;
    case VTA_HAZARD_STALE:
        put_place(&text, hazard);
        put(&text,
            ": insn %u STORE stores what a load put into ACC; on a board only GEMM and ALU reach "
            "OUT",
            hazard->first);
        break;
    case VTA_HAZARD_SHIFT:
        put(&text, "insn %u ALU shifts by %d; a board takes the low 5 bits as a signed number",
            hazard->first, program->insns[hazard->first].nest.imm);
        break;
    default:
        put(&text, "insn %u %s: %s", hazard->first, opcode_name(program, hazard->first),
            vta_hazard_text(hazard->kind));
        break;
    }
    put_insn(&text, program, hazard->first);
    return text.used;
}

int vta_hazards_error(const struct vta_program *program, const struct vta_hazards *hazards,
                      struct vta_error *error)
{
    const uint64_t count = vta_hazards_count(hazards);
    char text[VTA_HAZARD_TEXT], more[64] = "";
    const struct vta_hazard *first = NULL;

    for (uint32_t i = 0; first == NULL && i < hazards->count; i++)
        if (!vta_hazard_is_warning(hazards->items[i].kind))
            first = &hazards->items[i];
    if (first == NULL)
        return 0;
    if (count > 1)
        snprintf(more, sizeof(more), "\nand %llu more", (unsigned long long)(count - 1));
    vta_hazard_print(program, first, text, sizeof(text) - sizeof(more));
    vta_error_set(error, VTA_EHAZARD, "refused: %s%s", text, more);
    if (error != NULL)
        error->insn = first->first;
    return VTA_EHAZARD;
}
