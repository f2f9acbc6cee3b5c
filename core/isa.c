/* isa.c: encodes and decodes instructions and micro-ops, from one table of fields.
 *
 * A row says what a field is called, how wide it is for a given configuration, and where its value
 * lives in struct vta_insn. Bit positions follow from the order of the rows (isa.h).
 */
#include "isa.h"

#include <string.h>

enum width_rule {
    W_FIXED, /* the row's own number of bits */
    W_UOP,   /* log2 of a memory's depth … */
    W_INP,
    W_WGT,
    W_ACC
};

struct field {
    const char *name;
    enum width_rule rule;
    uint8_t bits; /* W_FIXED: the width; else added to the depth's logarithm */
    uint8_t is_signed;
    uint16_t offset; /* of the uint32_t (or int32_t) member */
};

#define COMMON(member, n)                                                                          \
    {                                                                                              \
#member, W_FIXED, n, 0, offsetof(struct vta_insn, member)                                  \
    }
#define MEM(member, n)                                                                             \
    {                                                                                              \
#member, W_FIXED, n, 0, offsetof(struct vta_insn, mem.member)                              \
    }
#define NEST(member, rule, n)                                                                      \
    {                                                                                              \
#member, rule, n, 0, offsetof(struct vta_insn, nest.member)                                \
    }
#define NEST_SIGNED(member, n)                                                                     \
    {                                                                                              \
#member, W_FIXED, n, 1, offsetof(struct vta_insn, nest.member)                             \
    }

/* clang-format off */
#define HEADER                                                                                     \
    COMMON(opcode, 3), COMMON(pop_prev, 1), COMMON(pop_next, 1), COMMON(push_prev, 1),             \
    COMMON(push_next, 1)

#define NEST_HEAD                                                                                  \
    NEST(reset, W_FIXED, 1),                                                                       \
    NEST(uop_begin, W_UOP, 0), NEST(uop_end, W_UOP, 1),                                            \
    NEST(iter_out, W_FIXED, 14), NEST(iter_in, W_FIXED, 14),                                       \
    NEST(dst_factor_out, W_ACC, 0), NEST(dst_factor_in, W_ACC, 0)

static const struct field mem_fields[] = {
    HEADER,
    MEM(memory, 3), MEM(sram_base, 16), MEM(dram_base, 32),
    MEM(y_size, 16), MEM(x_size, 16), MEM(x_stride, 16),
    MEM(y_pad_before, 4), MEM(y_pad_after, 4), MEM(x_pad_before, 4), MEM(x_pad_after, 4),
};

static const struct field gemm_fields[] = {
    HEADER, NEST_HEAD,
    NEST(src_factor_out, W_INP, 0), NEST(src_factor_in, W_INP, 0),
    NEST(wgt_factor_out, W_WGT, 0), NEST(wgt_factor_in, W_WGT, 0),
};

static const struct field alu_fields[] = {
    HEADER, NEST_HEAD,
    NEST(src_factor_out, W_ACC, 0), NEST(src_factor_in, W_ACC, 0),
    NEST(alu_opcode, W_FIXED, 3), NEST(use_imm, W_FIXED, 1), NEST_SIGNED(imm, 16),
};
/* clang-format on */

#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))
#define HEADER_FIELDS 5 /* FINISH and unknown opcodes have no more */

_Static_assert(COUNT(mem_fields) <= VTA_LAYOUT_FIELDS, "layout holds LOAD and STORE");
_Static_assert(COUNT(gemm_fields) <= VTA_LAYOUT_FIELDS, "layout holds GEMM");
_Static_assert(COUNT(alu_fields) <= VTA_LAYOUT_FIELDS, "layout holds ALU");

enum vta_core_unit vta_insn_unit(const struct vta_insn *insn)
{
    switch (insn->opcode) {
    case VTA_OP_STORE:
        return VTA_CORE_STORE;
    case VTA_OP_LOAD:
        return insn->mem.memory == VTA_MEM_INP || insn->mem.memory == VTA_MEM_WGT
                   ? VTA_CORE_LOAD
                   : VTA_CORE_COMPUTE;
    default:
        return VTA_CORE_COMPUTE;
    }
}

static uint32_t field_width(const struct field *field, const struct vta_hw *hw)
{
    switch (field->rule) {
    case W_UOP:
        return (uint32_t)hw->log_depth[VTA_MEM_UOP] + field->bits;
    case W_INP:
        return (uint32_t)hw->log_depth[VTA_MEM_INP] + field->bits;
    case W_WGT:
        return (uint32_t)hw->log_depth[VTA_MEM_WGT] + field->bits;
    case W_ACC:
        return (uint32_t)hw->log_depth[VTA_MEM_ACC] + field->bits;
    case W_FIXED:
        break;
    }
    return field->bits;
}

static int place_fields(struct vta_field_place *places, const struct field *fields, size_t count,
                        const char *format, const struct vta_hw *hw, struct vta_error *error)
{
    uint32_t bit = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t width = field_width(&fields[i], hw);
        if (bit < 64 && bit + width > 64)
            bit = 64;
        if (bit + width > 128)
            return vta_error_limit(error, VTA_ECONFIG, 128, bit + width,
                                   "field %s of %s would end at bit %u, an instruction has 128; "
                                   "the SRAMs are too deep for the instruction format",
                                   fields[i].name, format, bit + width);
        places[i] = (struct vta_field_place){ .bit = (uint8_t)bit, .width = (uint8_t)width };
        bit += width;
    }
    return 0;
}

int vta_layout_make(struct vta_layout *layout, const struct vta_hw *hw, struct vta_error *error)
{
    memset(layout, 0, sizeof(*layout));
    uint32_t dst = hw->log_depth[VTA_MEM_ACC], wgt = hw->log_depth[VTA_MEM_WGT];
    uint32_t src = hw->log_depth[VTA_MEM_INP] > dst ? hw->log_depth[VTA_MEM_INP] : dst;
    if (dst + src + wgt > 32)
        return vta_error_limit(error, VTA_ECONFIG, 32, dst + src + wgt,
                               "a micro-op needs %u bits (ACC index %u, source index %u, WGT index "
                               "%u), it has 32; make an SRAM smaller",
                               dst + src + wgt, dst, src, wgt);
    layout->uop_width[0] = (uint8_t)dst;
    layout->uop_width[1] = (uint8_t)src;
    layout->uop_width[2] = (uint8_t)wgt;

    int rc = place_fields(layout->mem, mem_fields, COUNT(mem_fields), "LOAD", hw, error);
    if (rc == 0)
        rc = place_fields(layout->gemm, gemm_fields, COUNT(gemm_fields), "GEMM", hw, error);
    if (rc == 0)
        rc = place_fields(layout->alu, alu_fields, COUNT(alu_fields), "ALU", hw, error);
    return rc;
}

/* The rows and places for an opcode. */
static size_t format_of(uint32_t opcode, const struct vta_layout *layout,
                        const struct field **fields, const struct vta_field_place **places)
{
    switch (opcode) {
    case VTA_OP_GEMM:
        *fields = gemm_fields;
        *places = layout->gemm;
        return COUNT(gemm_fields);
    case VTA_OP_ALU:
        *fields = alu_fields;
        *places = layout->alu;
        return COUNT(alu_fields);
    case VTA_OP_LOAD:
    case VTA_OP_STORE:
        *fields = mem_fields;
        *places = layout->mem;
        return COUNT(mem_fields);
    default:
        *fields = mem_fields;
        *places = layout->mem;
        return HEADER_FIELDS;
    }
}

static uint64_t load_le64(const uint8_t *bytes)
{
    uint64_t word = 0;
    for (int i = 7; i >= 0; i--)
        word = word << 8 | bytes[i];
    return word;
}

static void store_le64(uint8_t *bytes, uint64_t word)
{
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(word >> (8 * i));
}

/* Widths are 1…32, so the shifts are defined. */
static uint32_t mask_of(uint32_t width)
{
    return (uint32_t)((UINT64_C(1) << width) - 1);
}

void vta_insn_decode(struct vta_insn *insn, const struct vta_layout *layout,
                     const uint8_t bytes[VTA_INSN_BYTES])
{
    const uint64_t words[2] = { load_le64(bytes), load_le64(bytes + 8) };
    const struct field *fields;
    const struct vta_field_place *places;
    size_t count = format_of((uint32_t)(words[0] & 7), layout, &fields, &places);

    memset(insn, 0, sizeof(*insn));
    for (size_t i = 0; i < count; i++) {
        uint32_t bit = places[i].bit, width = places[i].width;
        uint32_t value = (uint32_t)(words[bit >> 6] >> (bit & 63)) & mask_of(width);
        if (fields[i].is_signed && value >> (width - 1) != 0)
            value |= ~mask_of(width);
        memcpy((char *)insn + fields[i].offset, &value, sizeof(value));
    }
}

int vta_insn_encode(const struct vta_insn *insn, const struct vta_layout *layout,
                    uint8_t bytes[VTA_INSN_BYTES], struct vta_error *error)
{
    uint64_t words[2] = { 0, 0 };
    const struct field *fields;
    const struct vta_field_place *places;
    size_t count = format_of(insn->opcode, layout, &fields, &places);

    for (size_t i = 0; i < count; i++) {
        uint32_t value, bit = places[i].bit, width = places[i].width;
        memcpy(&value, (const char *)insn + fields[i].offset, sizeof(value));
        int64_t number = fields[i].is_signed ? (int64_t)(int32_t)value : (int64_t)value;
        int64_t high = fields[i].is_signed ? mask_of(width) >> 1 : mask_of(width);
        int64_t low = fields[i].is_signed ? -high - 1 : 0;
        if (number < low || number > high)
            return vta_error_limit(error, VTA_ERANGE, number < low ? low : high, number,
                                   "%s is %lld, its field holds %lld to %lld", fields[i].name,
                                   (long long)number, (long long)low, (long long)high);
        words[bit >> 6] |= (uint64_t)(value & mask_of(width)) << (bit & 63);
    }
    store_le64(bytes, words[0]);
    store_le64(bytes + 8, words[1]);
    return 0;
}

void vta_uop_decode(struct vta_uop *uop, const struct vta_layout *layout, uint32_t word)
{
    const uint8_t *width = layout->uop_width;
    uop->dst = word & mask_of(width[0]);
    uop->src = word >> width[0] & mask_of(width[1]);
    uop->wgt = word >> (width[0] + width[1]) & mask_of(width[2]);
}

int vta_uop_encode(const struct vta_uop *uop, const struct vta_layout *layout, uint32_t *word,
                   struct vta_error *error)
{
    static const char *const names[3] = { "ACC index", "source index", "WGT index" };
    const uint32_t values[3] = { uop->dst, uop->src, uop->wgt };
    uint32_t bit = 0;

    *word = 0;
    for (int i = 0; i < 3; i++) {
        uint32_t mask = mask_of(layout->uop_width[i]);
        if (values[i] > mask)
            return vta_error_limit(error, VTA_ERANGE, mask, values[i],
                                   "micro-op: %s is %u, its field holds 0 to %u", names[i],
                                   values[i], mask);
        *word |= values[i] << bit;
        bit += layout->uop_width[i];
    }
    return 0;
}
