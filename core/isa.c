/* isa.c: encodes and decodes instructions and micro-ops, from one table of fields.
 *
 * A row says what a field is called, how wide it is for a given configuration, and where its value
 * lives in struct vta_insn. Bit positions follow from the order of the rows (isa.h).
 */
#include "isa.h"

#include <string.h>

#define COMMON(member, n)                                                                          \
    {                                                                                              \
#member, VTA_WIDTH_FIXED, n, 0, offsetof(struct vta_insn, member)                          \
    }
#define MEM(member, n)                                                                             \
    {                                                                                              \
#member, VTA_WIDTH_FIXED, n, 0, offsetof(struct vta_insn, mem.member)                      \
    }
#define NEST(member, rule, n)                                                                      \
    {                                                                                              \
#member, rule, n, 0, offsetof(struct vta_insn, nest.member)                                \
    }
#define NEST_SIGNED(member, n)                                                                     \
    {                                                                                              \
#member, VTA_WIDTH_FIXED, n, 1, offsetof(struct vta_insn, nest.member)                     \
    }

/* clang-format off */
#define HEADER                                                                                     \
    COMMON(opcode, 3), COMMON(pop_prev, 1), COMMON(pop_next, 1), COMMON(push_prev, 1),             \
    COMMON(push_next, 1)

#define NEST_HEAD                                                                                  \
    NEST(reset, VTA_WIDTH_FIXED, 1),                                                                       \
    NEST(uop_begin, VTA_WIDTH_UOP, 0), NEST(uop_end, VTA_WIDTH_UOP, 1),                                            \
    NEST(iter_out, VTA_WIDTH_FIXED, 14), NEST(iter_in, VTA_WIDTH_FIXED, 14),                                       \
    NEST(dst_factor_out, VTA_WIDTH_ACC, 0), NEST(dst_factor_in, VTA_WIDTH_ACC, 0)

static const struct vta_field mem_fields[] = {
    HEADER,
    MEM(memory, 3), MEM(sram_base, 16), MEM(dram_base, 32),
    MEM(y_size, 16), MEM(x_size, 16), MEM(x_stride, 16),
    MEM(y_pad_before, 4), MEM(y_pad_after, 4), MEM(x_pad_before, 4), MEM(x_pad_after, 4),
};

static const struct vta_field gemm_fields[] = {
    HEADER, NEST_HEAD,
    NEST(src_factor_out, VTA_WIDTH_INP, 0), NEST(src_factor_in, VTA_WIDTH_INP, 0),
    NEST(wgt_factor_out, VTA_WIDTH_WGT, 0), NEST(wgt_factor_in, VTA_WIDTH_WGT, 0),
};

static const struct vta_field alu_fields[] = {
    HEADER, NEST_HEAD,
    NEST(src_factor_out, VTA_WIDTH_ACC, 0), NEST(src_factor_in, VTA_WIDTH_ACC, 0),
    NEST(alu_opcode, VTA_WIDTH_FIXED, 3), NEST(use_imm, VTA_WIDTH_FIXED, 1), NEST_SIGNED(imm, 16),
};
/* clang-format on */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct vta_format mem_format = {
    mem_fields, COUNT(mem_fields),
    "  {memory}[{sram_base},{sram_end})  {y_size}×{x_size}{rows? stride {x_stride}}  "
    "dram+{dram_base}"
    "{padding?  pad y{y_pad_before},{y_pad_after} x{x_pad_before},{x_pad_after}}"
};

static const struct vta_format gemm_format = {
    gemm_fields, COUNT(gemm_fields),
    "  uop[{uop_begin},{uop_end}) {iter_out}×{iter_in} {reset? reset}"
    " acc+{dst_factor_out},{dst_factor_in}"
    "{reset! inp+{src_factor_out},{src_factor_in} wgt+{wgt_factor_out},{wgt_factor_in}}"
};

static const struct vta_format alu_format = {
    alu_fields, COUNT(alu_fields),
    "  uop[{uop_begin},{uop_end}) {iter_out}×{iter_in} {reset? reset-ignored} {alu_opcode}"
    " acc+{dst_factor_out},{dst_factor_in}"
    "{use_imm? imm {imm}}{use_imm! acc+{src_factor_out},{src_factor_in}}"
};

static const struct vta_format header_format = { mem_fields, VTA_HEADER_FIELDS, "" };

const struct vta_format *vta_format_of(uint32_t opcode)
{
    switch (opcode) {
    case VTA_OP_LOAD:
    case VTA_OP_STORE:
        return &mem_format;
    case VTA_OP_GEMM:
        return &gemm_format;
    case VTA_OP_ALU:
        return &alu_format;
    default:
        return &header_format;
    }
}

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

const char *vta_core_unit_name(enum vta_core_unit unit)
{
    static const char *const names[VTA_CORE_UNITS] = { "load", "compute", "store" };
    return names[unit];
}

static uint32_t field_width(const struct vta_field *field, const struct vta_hw *hw)
{
    switch (field->width) {
    case VTA_WIDTH_UOP:
        return (uint32_t)hw->log_depth[VTA_MEM_UOP] + field->bits;
    case VTA_WIDTH_INP:
        return (uint32_t)hw->log_depth[VTA_MEM_INP] + field->bits;
    case VTA_WIDTH_WGT:
        return (uint32_t)hw->log_depth[VTA_MEM_WGT] + field->bits;
    case VTA_WIDTH_ACC:
        return (uint32_t)hw->log_depth[VTA_MEM_ACC] + field->bits;
    case VTA_WIDTH_FIXED:
        break;
    }
    return field->bits;
}

/* Widths are 1…32, so the shifts are defined. */
static uint32_t mask_of(uint32_t width)
{
    return (uint32_t)((UINT64_C(1) << width) - 1);
}

static int place_fields(struct vta_field_place *places, struct vta_layout_fit *fit,
                        const struct vta_field *fields, size_t count, const char *format,
                        const struct vta_hw *hw, struct vta_error *error)
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
        fit->add[fields[i].offset / 4] = fields[i].is_signed ? UINT32_C(1) << (width - 1) : 0;
        fit->beyond[fields[i].offset / 4] = ~mask_of(width);
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

    int rc = place_fields(layout->mem, &layout->fit_mem, mem_fields, COUNT(mem_fields), "LOAD", hw,
                          error);
    if (rc == 0)
        rc = place_fields(layout->gemm, &layout->fit_gemm, gemm_fields, COUNT(gemm_fields), "GEMM",
                          hw, error);
    if (rc == 0)
        rc = place_fields(layout->alu, &layout->fit_alu, alu_fields, COUNT(alu_fields), "ALU", hw,
                          error);
    return rc;
}

/* Where a layout has the fields of an opcode. */
static const struct vta_field_place *places_of(const struct vta_layout *layout, uint32_t opcode)
{
    switch (opcode) {
    case VTA_OP_GEMM:
        return layout->gemm;
    case VTA_OP_ALU:
        return layout->alu;
    default:
        return layout->mem;
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

void vta_insn_decode(struct vta_insn *insn, const struct vta_layout *layout,
                     const uint8_t bytes[VTA_INSN_BYTES])
{
    const uint64_t words[2] = { load_le64(bytes), load_le64(bytes + 8) };
    const uint32_t opcode = (uint32_t)(words[0] & 7);
    const struct vta_format *format = vta_format_of(opcode);
    const struct vta_field_place *places = places_of(layout, opcode);

    memset(insn, 0, sizeof(*insn));
    for (size_t i = 0; i < format->count; i++) {
        uint32_t bit = places[i].bit, width = places[i].width;
        uint32_t value = (uint32_t)(words[bit >> 6] >> (bit & 63)) & mask_of(width);
        if (format->fields[i].is_signed && value >> (width - 1) != 0)
            value |= ~mask_of(width);
        memcpy((char *)insn + format->fields[i].offset, &value, sizeof(value));
    }
}

int vta_insn_encode(const struct vta_insn *insn, const struct vta_layout *layout,
                    uint8_t bytes[VTA_INSN_BYTES], struct vta_error *error)
{
    uint64_t words[2] = { 0, 0 };
    const struct vta_format *format = vta_format_of(insn->opcode);
    const struct vta_field_place *places = places_of(layout, insn->opcode);

    for (size_t i = 0; i < format->count; i++) {
        uint32_t value, bit = places[i].bit, width = places[i].width;
        memcpy(&value, (const char *)insn + format->fields[i].offset, sizeof(value));
        int64_t number = format->fields[i].is_signed ? (int64_t)(int32_t)value : (int64_t)value;
        int64_t high = format->fields[i].is_signed ? mask_of(width) >> 1 : mask_of(width);
        int64_t low = format->fields[i].is_signed ? -high - 1 : 0;
        if (number < low || number > high)
            return vta_error_limit(error, VTA_ERANGE, number < low ? low : high, number,
                                   "%s is %lld, its field holds %lld to %lld",
                                   format->fields[i].name, (long long)number, (long long)low,
                                   (long long)high);
        words[bit >> 6] |= (uint64_t)(value & mask_of(width)) << (bit & 63);
    }
    store_le64(bytes, words[0]);
    store_le64(bytes + 8, words[1]);
    return 0;
}

bool vta_insn_fits(const struct vta_insn *insn, const struct vta_layout *layout)
{
    const struct vta_layout_fit *fit = insn->opcode <= VTA_OP_STORE  ? &layout->fit_mem
                                       : insn->opcode == VTA_OP_GEMM ? &layout->fit_gemm
                                       : insn->opcode == VTA_OP_ALU  ? &layout->fit_alu
                                                                     : NULL;
    uint32_t words[VTA_INSN_WORDS], beyond = 0;
    if (fit == NULL) { /* FINISH: what follows the header is not looked at */
        uint8_t bytes[VTA_INSN_BYTES];
        return vta_insn_encode(insn, layout, bytes, NULL) == 0;
    }
    memcpy(words, insn, sizeof(words));
    for (size_t i = 0; i < VTA_INSN_WORDS; i++)
        beyond |= (words[i] + fit->add[i]) & fit->beyond[i];
    return beyond == 0;
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
