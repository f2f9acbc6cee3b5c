/* isa.h: VTA's instructions as plain structs, and the one table from which encoder, decoder and
 * disassembler come.
 *
 * Field widths follow from the hardware configuration; a layout holds the bit positions for one
 * configuration. Positions run low bits first in two 64-bit words; a field that would cross from
 * the first word into the second starts at bit 64.
 */
#ifndef VTA_CORE_ISA_H
#define VTA_CORE_ISA_H

#include <stddef.h>

#include <vta/hw.h>

enum vta_opcode {
    VTA_OP_LOAD = 0,
    VTA_OP_STORE = 1,
    VTA_OP_GEMM = 2,
    VTA_OP_FINISH = 3,
    VTA_OP_ALU = 4
};

/* LOAD and STORE. Counts are elements of `memory`. */
struct vta_mem_insn {
    uint32_t memory; /* enum vta_memory, or 6 or 7, which the verifier refuses */
    uint32_t sram_base, dram_base;
    uint32_t y_size, x_size, x_stride;
    uint32_t y_pad_before, y_pad_after, x_pad_before, x_pad_after;
};

/* GEMM and ALU: for y < iter_out, x < iter_in, u in [uop_begin, uop_end). */
struct vta_nest_insn {
    uint32_t reset;
    uint32_t uop_begin, uop_end;
    uint32_t iter_out, iter_in;
    uint32_t dst_factor_out, dst_factor_in;
    uint32_t src_factor_out, src_factor_in;
    uint32_t wgt_factor_out, wgt_factor_in; /* GEMM only */
    uint32_t alu_opcode, use_imm;           /* ALU only, as imm */
    int32_t imm;
};

struct vta_insn {
    uint32_t opcode; /* enum vta_opcode, or 5…7, which the verifier refuses */
    uint32_t pop_prev, pop_next, push_prev, push_next; /* 0 or 1 */
    union {
        struct vta_mem_insn mem;
        struct vta_nest_insn nest;
    };
};

#define VTA_INSN_WORDS (sizeof(struct vta_insn) / sizeof(uint32_t))

struct vta_uop {
    uint32_t dst, src, wgt;
};

/* The three units; enum vta_unit of vta/build.h has the same values. */
#define VTA_CORE_UNITS 3
enum vta_core_unit {
    VTA_CORE_LOAD = 0,
    VTA_CORE_COMPUTE = 1,
    VTA_CORE_STORE = 2
};

/* The unit that executes an instruction: by opcode, and for LOAD by memory type. */
enum vta_core_unit vta_insn_unit(const struct vta_insn *insn);

/* "load", "compute", "store". */
const char *vta_core_unit_name(enum vta_core_unit unit);

/* A LOAD or STORE with x_size 0: it only carries dependence bits. */
static inline bool vta_insn_is_nop(const struct vta_insn *insn)
{
    return (insn->opcode == VTA_OP_LOAD || insn->opcode == VTA_OP_STORE) && insn->mem.x_size == 0;
}

/* A row of the table: what a field is called, how wide it is, where its value lives. */
struct vta_field {
    const char *name; /* that of the member */
    enum vta_field_width {
        VTA_WIDTH_FIXED, /* `bits` */
        VTA_WIDTH_UOP,   /* `bits` more than log2 of a memory's depth … */
        VTA_WIDTH_INP,
        VTA_WIDTH_WGT,
        VTA_WIDTH_ACC
    } width;
    uint8_t bits;
    uint8_t is_signed;
    uint16_t offset; /* of the uint32_t (or int32_t) member in struct vta_insn */
};

/* One of the three formats, and FINISH, which is a header alone. */
struct vta_format {
    const struct vta_field *fields;
    size_t count;
    const char *text; /* how the fields behind the header read; see disasm.c */
};

/* The fields that every instruction opens with: opcode and the four token bits. */
#define VTA_HEADER_FIELDS 5

/* The format of an opcode; unknown ones have FINISH's. */
const struct vta_format *vta_format_of(uint32_t opcode);

#define VTA_LAYOUT_FIELDS 24

/* Bit positions of every field of the three formats, for one hardware configuration. */
struct vta_layout {
    struct vta_field_place {
        uint8_t bit, width; /* bit 0…127 */
    } mem[VTA_LAYOUT_FIELDS], gemm[VTA_LAYOUT_FIELDS], alu[VTA_LAYOUT_FIELDS];
    uint8_t uop_width[3]; /* dst, src, wgt */
    /* By format as above, for each word of struct vta_insn: a value fits its field if none of the
     * bits of `beyond` is set in value + `add`. */
    struct vta_layout_fit {
        uint32_t add[VTA_INSN_WORDS], beyond[VTA_INSN_WORDS];
    } fit_mem, fit_gemm, fit_alu;
};

/* VTA_ECONFIG where a format does not fit 128 bits or a micro-op 32. vta_hw_derive calls it, so a
 * valid configuration always has a layout. */
int vta_layout_make(struct vta_layout *layout, const struct vta_hw *hw, struct vta_error *error);

/* Never fails: every bit pattern decodes to something, which the verifier judges. */
void vta_insn_decode(struct vta_insn *insn, const struct vta_layout *layout,
                     const uint8_t bytes[VTA_INSN_BYTES]);

/* VTA_ERANGE where a value does not fit its field (the message names field, limit and value). */
int vta_insn_encode(const struct vta_insn *insn, const struct vta_layout *layout,
                    uint8_t bytes[VTA_INSN_BYTES], struct vta_error *error);

/* Whether vta_insn_encode would succeed; for whoever does not want the bytes. */
bool vta_insn_fits(const struct vta_insn *insn, const struct vta_layout *layout);

void vta_uop_decode(struct vta_uop *uop, const struct vta_layout *layout, uint32_t word);
int vta_uop_encode(const struct vta_uop *uop, const struct vta_layout *layout, uint32_t *word,
                   struct vta_error *error);

/* The words of a disassembly: "LOAD"; "inp"; "max". Never NULL, also for what the verifier refuses.
 */
const char *vta_opcode_word(uint32_t opcode);
const char *vta_memory_word(uint32_t memory);
const char *vta_alu_word(uint32_t alu_opcode);

/* One line without its index: "GEMM   pop:load push:load  uop[1,2) 16×16  acc+1,0 inp+0,1 …".
 * UTF-8, always terminated; returns the length it needed. */
#define VTA_DISASM_TEXT 192
size_t vta_insn_print(const struct vta_insn *insn, char *text, size_t size);

#endif
