/* disasm.c: instructions as lines that a person wants to read, from the formats' texts (isa.c).
 *
 * In a text, {name} is a field's value, {name?…} is there where the field is not 0, {name!…} where
 * it is. Three names are made of several fields: sram_end, rows and padding.
 */
#include "isa.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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

/* ---- Words --------------------------------------------------------------------------------- */

const char *vta_opcode_word(uint32_t opcode)
{
    static const char *const words[8] = { "LOAD", "STORE", "GEMM", "FINISH",
                                          "ALU",  "OP5",   "OP6",  "OP7" };
    return words[opcode & 7];
}

const char *vta_memory_word(uint32_t memory)
{
    static const char *const words[8] = {
        "uop", "wgt", "inp", "acc", "out", "acc8", "mem6", "mem7"
    };
    return words[memory & 7];
}

const char *vta_alu_word(uint32_t alu_opcode)
{
    static const char *const words[8] = { "min", "max", "add", "shr", "mul", "op5", "op6", "op7" };
    return words[alu_opcode & 7];
}

/* ---- Tokens -------------------------------------------------------------------------------- */

/* " pop:load": a token from or to a neighbour; a bit that leads nowhere is shown as such. */
static void put_token(struct line *line, const char *verb, uint32_t set, int neighbour)
{
    if (set != 0)
        put(line, " %s:%s", verb,
            neighbour >= 0 && neighbour < VTA_CORE_UNITS
                ? vta_core_unit_name((enum vta_core_unit)neighbour)
                : "nobody");
}

static void put_tokens(struct line *line, const struct vta_insn *insn)
{
    int unit = (int)vta_insn_unit(insn);
    put_token(line, "pop", insn->pop_prev, unit - 1);
    put_token(line, "pop", insn->pop_next, unit + 1);
    put_token(line, "push", insn->push_prev, unit - 1);
    put_token(line, "push", insn->push_next, unit + 1);
}

/* ---- Values -------------------------------------------------------------------------------- */

/* What is made of several fields of a LOAD or STORE: the end of its SRAM range, whether it has
 * several rows, and all its padding. */
static int64_t made_value(const struct vta_mem_insn *mem, const char *name, size_t length)
{
    int64_t rows = (int64_t)mem->y_pad_before + mem->y_size + mem->y_pad_after;
    int64_t columns = (int64_t)mem->x_pad_before + mem->x_size + mem->x_pad_after;
    if (strncmp(name, "sram_end", length) == 0)
        return mem->sram_base + rows * columns;
    if (strncmp(name, "rows", length) == 0)
        return mem->y_size > 1;
    return rows - mem->y_size + columns - mem->x_size; /* padding */
}

static int64_t value_of(const struct vta_insn *insn, const char *name, size_t length)
{
    const struct vta_format *format = vta_format_of(insn->opcode);
    for (size_t i = 0; i < format->count; i++) {
        const struct vta_field *field = &format->fields[i];
        if (strlen(field->name) != length || memcmp(field->name, name, length) != 0)
            continue;
        uint32_t value;
        memcpy(&value, (const char *)insn + field->offset, sizeof(value));
        return field->is_signed ? (int64_t)(int32_t)value : (int64_t)value;
    }
    return made_value(&insn->mem, name, length);
}

static void put_value(struct line *line, const struct vta_insn *insn, const char *name,
                      size_t length)
{
    int64_t value = value_of(insn, name, length);
    if (length == 6 && memcmp(name, "memory", length) == 0)
        put(line, "%s", vta_memory_word((uint32_t)value));
    else if (length == 10 && memcmp(name, "alu_opcode", length) == 0)
        put(line, "%s", vta_alu_word((uint32_t)value));
    else
        put(line, "%lld", (long long)value);
}

/* ---- Texts --------------------------------------------------------------------------------- */

/* The '}' that closes the '{' before text. */
static const char *closing(const char *text)
{
    for (int depth = 1;; text++) {
        depth += (*text == '{') - (*text == '}');
        if (depth == 0)
            return text;
    }
}

static void put_text(struct line *line, const struct vta_insn *insn, const char *text,
                     const char *end)
{
    while (text < end) {
        size_t plain = strcspn(text, "{");
        if (plain > (size_t)(end - text))
            plain = (size_t)(end - text);
        put(line, "%.*s", (int)plain, text);
        text += plain;
        if (text == end)
            return;
        const char *name = text + 1, *close = closing(name);
        const size_t length = strcspn(name, "}?!");
        if (name[length] == '}')
            put_value(line, insn, name, length);
        else if ((value_of(insn, name, length) != 0) == (name[length] == '?'))
            put_text(line, insn, name + length + 1, close);
        text = close + 1;
    }
}

size_t vta_insn_print(const struct vta_insn *insn, char *text, size_t size)
{
    struct line line = { .text = text, .size = size };

    if (size != 0)
        text[0] = '\0';
    if (vta_insn_is_nop(insn)) {
        put(&line, "%-6s", "NOP");
        put_tokens(&line, insn);
        put(&line, "  (%s)", vta_core_unit_name(vta_insn_unit(insn)));
        return line.used;
    }
    put(&line, "%-6s", vta_opcode_word(insn->opcode));
    put_tokens(&line, insn);
    const char *text_of = vta_format_of(insn->opcode)->text;
    put_text(&line, insn, text_of, text_of + strlen(text_of));
    return line.used;
}
