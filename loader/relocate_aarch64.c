/* relocate_aarch64.c: relocation types of 64-bit ARM (relocate.h), after ELF for the Arm 64-bit
 * Architecture.
 */
#include <elf.h>
#include <string.h>

#include "relocate.h"

#ifndef R_AARCH64_PLT32
#define R_AARCH64_PLT32 314
#endif
#ifndef R_AARCH64_GOTPCREL32
#define R_AARCH64_GOTPCREL32 315
#endif

/* An immediate in an instruction. */
enum {
    IMM26 = FIELD_MACHINE, /* b, bl */
    IMM19,                 /* b.cond, ldr literal */
    IMM14,                 /* tbz */
    IMM12,                 /* add, ldr, str */
    IMM16,                 /* movz, movk */
    IMM16_SIGNED,          /* movz or, for a negative number, movn */
    IMM21                  /* adr, adrp */
};

#define ROW(id, ...) [R_AARCH64_##id] = { .name = "R_AARCH64_" #id, __VA_ARGS__ }
#define KNOWN(id)    [R_AARCH64_##id] = { .name = "R_AARCH64_" #id }

static const struct relocation_type types[] = {
    ROW(NONE, NOTHING),
    ROW(ABS64, ADDRESS, FIELD_64),
    ROW(ABS32, ADDRESS, FIELD_32, EITHER, 32),
    ROW(ABS16, ADDRESS, FIELD_16, EITHER, 16),
    ROW(PREL64, DISTANCE, FIELD_64),
    ROW(PREL32, DISTANCE, FIELD_32, EITHER, 32),
    ROW(PREL16, DISTANCE, FIELD_16, EITHER, 16),
    ROW(PLT32, BRANCH, FIELD_32, SIGNED, 32),
    ROW(MOVW_UABS_G0, ADDRESS, IMM16, UNSIGNED, 16, 0),
    ROW(MOVW_UABS_G0_NC, ADDRESS, IMM16, ANY, 0, 0),
    ROW(MOVW_UABS_G1, ADDRESS, IMM16, UNSIGNED, 32, 16),
    ROW(MOVW_UABS_G1_NC, ADDRESS, IMM16, ANY, 0, 16),
    ROW(MOVW_UABS_G2, ADDRESS, IMM16, UNSIGNED, 48, 32),
    ROW(MOVW_UABS_G2_NC, ADDRESS, IMM16, ANY, 0, 32),
    ROW(MOVW_UABS_G3, ADDRESS, IMM16, ANY, 0, 48),
    ROW(MOVW_SABS_G0, ADDRESS, IMM16_SIGNED, SIGNED, 17, 0),
    ROW(MOVW_SABS_G1, ADDRESS, IMM16_SIGNED, SIGNED, 33, 16),
    ROW(MOVW_SABS_G2, ADDRESS, IMM16_SIGNED, SIGNED, 49, 32),
    ROW(MOVW_PREL_G0, DISTANCE, IMM16_SIGNED, SIGNED, 17, 0),
    ROW(MOVW_PREL_G0_NC, DISTANCE, IMM16, ANY, 0, 0),
    ROW(MOVW_PREL_G1, DISTANCE, IMM16_SIGNED, SIGNED, 33, 16),
    ROW(MOVW_PREL_G1_NC, DISTANCE, IMM16, ANY, 0, 16),
    ROW(MOVW_PREL_G2, DISTANCE, IMM16_SIGNED, SIGNED, 49, 32),
    ROW(MOVW_PREL_G2_NC, DISTANCE, IMM16, ANY, 0, 32),
    ROW(MOVW_PREL_G3, DISTANCE, IMM16_SIGNED, ANY, 0, 48),
    ROW(LD_PREL_LO19, DISTANCE, IMM19, SIGNED, 21, 2),
    ROW(ADR_PREL_LO21, DISTANCE, IMM21, SIGNED, 21, 0),
    ROW(ADR_PREL_PG_HI21, PAGE_DISTANCE, IMM21, SIGNED, 33, 12),
    ROW(ADR_PREL_PG_HI21_NC, PAGE_DISTANCE, IMM21, ANY, 0, 12),
    ROW(ADD_ABS_LO12_NC, ADDRESS, IMM12, ANY, 0, 0),
    ROW(LDST8_ABS_LO12_NC, ACCESS, IMM12, ANY, 0, 0),
    ROW(LDST16_ABS_LO12_NC, ACCESS, IMM12, ANY, 0, 1),
    ROW(LDST32_ABS_LO12_NC, ACCESS, IMM12, ANY, 0, 2),
    ROW(LDST64_ABS_LO12_NC, ACCESS, IMM12, ANY, 0, 3),
    ROW(LDST128_ABS_LO12_NC, ACCESS, IMM12, ANY, 0, 4),
    ROW(TSTBR14, BRANCH, IMM14, SIGNED, 16, 2),
    ROW(CONDBR19, BRANCH, IMM19, SIGNED, 21, 2),
    ROW(JUMP26, BRANCH, IMM26, SIGNED, 28, 2),
    ROW(CALL26, BRANCH, IMM26, SIGNED, 28, 2),
    ROW(GOTREL64, GOT_OFFSET, FIELD_64),
    ROW(GOTREL32, GOT_OFFSET, FIELD_32, SIGNED, 32),
    ROW(GOT_LD_PREL19, ENTRY_DISTANCE, IMM19, SIGNED, 21, 2),
    ROW(GOTPCREL32, ENTRY_DISTANCE, FIELD_32, SIGNED, 32),
    ROW(ADR_GOT_PAGE, ENTRY_PAGE_DISTANCE, IMM21, SIGNED, 33, 12),
    ROW(LD64_GOT_LO12_NC, ENTRY_ADDRESS, IMM12, ANY, 0, 3),
    ROW(LD64_GOTOFF_LO15, ENTRY, IMM12, UNSIGNED, 15, 3),
    ROW(LD64_GOTPAGE_LO15, ENTRY_PAGE_OFFSET, IMM12, UNSIGNED, 15, 3),
    /* In libraries. */
    ROW(GLOB_DAT, ADDRESS, FIELD_64),
    ROW(JUMP_SLOT, ADDRESS, FIELD_64),
    ROW(RELATIVE, RELATIVE, FIELD_64),
    KNOWN(COPY),
    KNOWN(IRELATIVE),
    KNOWN(TLS_DTPMOD),
    KNOWN(TLS_DTPREL),
    KNOWN(TLS_TPREL),
    KNOWN(TLSDESC),
    KNOWN(TLSGD_ADR_PAGE21),
    KNOWN(TLSGD_ADD_LO12_NC),
    KNOWN(TLSIE_ADR_GOTTPREL_PAGE21),
    KNOWN(TLSIE_LD64_GOTTPREL_LO12_NC),
    KNOWN(TLSLE_MOVW_TPREL_G2),
    KNOWN(TLSLE_MOVW_TPREL_G1),
    KNOWN(TLSLE_MOVW_TPREL_G1_NC),
    KNOWN(TLSLE_MOVW_TPREL_G0),
    KNOWN(TLSLE_MOVW_TPREL_G0_NC),
    KNOWN(TLSLE_ADD_TPREL_HI12),
    KNOWN(TLSLE_ADD_TPREL_LO12),
    KNOWN(TLSLE_ADD_TPREL_LO12_NC),
    KNOWN(TLSDESC_ADR_PAGE21),
    KNOWN(TLSDESC_LD64_LO12),
    KNOWN(TLSDESC_ADD_LO12),
    KNOWN(TLSDESC_CALL),
};

/* ldr x16, .+8; br x16; the address */
static void stub(uint8_t *bytes, uint64_t target)
{
    relocation_put32(bytes, 0x58000050);
    relocation_put32(bytes + 4, 0xd61f0200);
    memcpy(bytes + 8, &target, sizeof target);
}

/* An address that two instructions make together is the same in both, so it depends on the symbol
 * only. */
static void aim(struct relocation *r, bool fits)
{
    const unsigned formula = r->type->formula, field = r->type->field;
    const bool short_address = field == IMM12 || field == IMM21 || field == FIELD_32;
    if (formula == BRANCH
            ? !fits && r->addend == 0
            : r->far && short_address &&
                  (formula == ADDRESS || formula == DISTANCE || formula == PAGE_DISTANCE))
        r->symbol = r->stub;
}

static uint32_t field_nbytes(unsigned field)
{
    (void)field;
    return 4;
}

/* Puts `width` bits of a value into an instruction, from bit `lsb` on. */
static uint32_t put(uint32_t insn, int64_t value, unsigned lsb, unsigned width)
{
    const uint32_t mask = (1u << width) - 1;
    return (insn & ~(mask << lsb)) | (((uint32_t)value & mask) << lsb);
}

static uint32_t encode(uint32_t insn, unsigned field, int64_t value)
{
    switch (field) {
    case IMM26:
        return put(insn, value, 0, 26);
    case IMM19:
        return put(insn, value, 5, 19);
    case IMM14:
        return put(insn, value, 5, 14);
    case IMM16:
        return put(insn, value, 5, 16);
    case IMM16_SIGNED:
        return put(put(insn, value >= 0 ? 2 : 0, 29, 2), value >= 0 ? value : ~value, 5, 16);
    default: /* IMM21 */
        return put(put(insn, value, 29, 2), value >> 2, 5, 19);
    }
}

static bool write(const struct relocation *r, int64_t value)
{
    const uint32_t insn = relocation_get32(r->bytes);
    const unsigned kept =
        12u - (r->type->field == IMM12 && r->type->bits == 0 ? r->type->shift : 0);
    relocation_put32(r->bytes, r->type->field == IMM12
                                   ? put(insn, value & ((1 << kept) - 1), 10, 12)
                                   : encode(insn, r->type->field, value));
    return true;
}

const struct relocation_machine relocation_aarch64 = {
    .machine = EM_AARCH64,
    .wide = true,
    .types = types,
    .type_count = sizeof types / sizeof types[0],
    .branch_reach = UINT64_C(127) << 20,
    .address_reach = UINT64_C(0xffff0000),
    .stub_nbytes = 16,
    .stub = stub,
    .aim = aim,
    .field_nbytes = field_nbytes,
    .write = write,
};
