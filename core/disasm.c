/* disasm.c: instructions as lines that a person wants to read. */
#include "isa.h"

#include <stdarg.h>
#include <stdio.h>

struct line {
    char *text;
    size_t size, used; /* used may pass size: the length that was needed */
};

VTA_PRINTF(2, 3)
static void put(struct line *line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t room = line->used < line->size ? line->size - line->used : 0;
    int n = vsnprintf(room != 0 ? line->text + line->used : NULL, room, format, args);
    va_end(args);
    if (n > 0)
        line->used += (size_t)n;
}

static const char *const unit_names[VTA_CORE_UNITS] = { "load", "compute", "store" };

/* " pop:load": a token from or to a neighbour; a bit that leads nowhere is shown as such. */
static void put_token(struct line *line, const char *verb, uint32_t set, int neighbour)
{
    if (set != 0)
        put(line, " %s:%s", verb,
            neighbour >= 0 && neighbour < VTA_CORE_UNITS ? unit_names[neighbour] : "nobody");
}

static void put_tokens(struct line *line, const struct vta_insn *insn)
{
    int unit = (int)vta_insn_unit(insn);
    put_token(line, "pop", insn->pop_prev, unit - 1);
    put_token(line, "pop", insn->pop_next, unit + 1);
    put_token(line, "push", insn->push_prev, unit - 1);
    put_token(line, "push", insn->push_next, unit + 1);
}

static void put_mem(struct line *line, const struct vta_mem_insn *mem)
{
    static const char *const names[8] = {
        "uop", "wgt", "inp", "acc", "out", "acc8", "mem6", "mem7"
    };
    uint64_t rows = (uint64_t)mem->y_pad_before + mem->y_size + mem->y_pad_after;
    uint64_t columns = (uint64_t)mem->x_pad_before + mem->x_size + mem->x_pad_after;
    put(line, "  %s[%u,%llu)  %u×%u", names[mem->memory & 7], mem->sram_base,
        (unsigned long long)(mem->sram_base + rows * columns), mem->y_size, mem->x_size);
    if (mem->y_size > 1)
        put(line, " stride %u", mem->x_stride);
    put(line, "  dram+%u", mem->dram_base);
    if (mem->y_pad_before + mem->y_pad_after + mem->x_pad_before + mem->x_pad_after != 0)
        put(line, "  pad y%u,%u x%u,%u", mem->y_pad_before, mem->y_pad_after, mem->x_pad_before,
            mem->x_pad_after);
}

static void put_factors(struct line *line, const char *name, uint32_t out, uint32_t in)
{
    put(line, " %s+%u,%u", name, out, in);
}

static void put_gemm(struct line *line, const struct vta_nest_insn *nest)
{
    put(line, "  uop[%u,%u) %u×%u %s", nest->uop_begin, nest->uop_end, nest->iter_out,
        nest->iter_in, nest->reset ? " reset" : "");
    put_factors(line, "acc", nest->dst_factor_out, nest->dst_factor_in);
    if (nest->reset)
        return;
    put_factors(line, "inp", nest->src_factor_out, nest->src_factor_in);
    put_factors(line, "wgt", nest->wgt_factor_out, nest->wgt_factor_in);
}

static void put_alu(struct line *line, const struct vta_nest_insn *nest)
{
    static const char *const names[8] = { "min", "max", "add", "shr", "mul", "op5", "op6", "op7" };
    put(line, "  uop[%u,%u) %u×%u  %s", nest->uop_begin, nest->uop_end, nest->iter_out,
        nest->iter_in, names[nest->alu_opcode & 7]);
    put_factors(line, "acc", nest->dst_factor_out, nest->dst_factor_in);
    if (nest->use_imm)
        put(line, " imm %d", nest->imm);
    else
        put_factors(line, "acc", nest->src_factor_out, nest->src_factor_in);
}

size_t vta_insn_print(const struct vta_insn *insn, char *text, size_t size)
{
    static const char *const names[8] = { "LOAD", "STORE", "GEMM", "FINISH",
                                          "ALU",  "OP5",   "OP6",  "OP7" };
    struct line line = { .text = text, .size = size };

    if (size != 0)
        text[0] = '\0';
    if (vta_insn_is_nop(insn)) {
        put(&line, "%-6s", "NOP");
        put_tokens(&line, insn);
        put(&line, "  (%s)", unit_names[vta_insn_unit(insn)]);
        return line.used;
    }
    put(&line, "%-6s", names[insn->opcode & 7]);
    put_tokens(&line, insn);
    switch (insn->opcode) {
    case VTA_OP_LOAD:
    case VTA_OP_STORE:
        put_mem(&line, &insn->mem);
        break;
    case VTA_OP_GEMM:
        put_gemm(&line, &insn->nest);
        break;
    case VTA_OP_ALU:
        put_alu(&line, &insn->nest);
        break;
    default:
        break;
    }
    return line.used;
}
