/* relocate_arm.c: relocation types of 32-bit ARM (relocate.h), after ELF for the Arm Architecture:
 * ARM and Thumb instructions, and calls from one state to the other.
 */
#include <elf.h>
#include <string.h>

#include "relocate.h"

/* A number in an instruction, ARM or Thumb. A 32-bit Thumb instruction is two halves, the first of
 * which is the low half of its word here. */
enum {
    BRANCH_ARM = FIELD_MACHINE, /* b, bl, blx */
    BRANCH_THUMB,               /* b.w, bl, blx */
    BRANCH_THUMB_20,            /* b<c>.w */
    BRANCH_THUMB_11,            /* b */
    BRANCH_THUMB_8,             /* b<c> */
    MOV_ARM,                    /* movw, movt */
    MOV_THUMB,
    LDR_ARM, /* with a sign of its own: ldr, add and sub, adr */
    ADD_ARM,
    LDR_THUMB,
    ADR_THUMB,
    PREL31 /* all but the highest bit */
};

#define ROW(number, id, ...) [number] = { .name = "R_ARM_" #id, __VA_ARGS__ }
#define KNOWN(number, id)    [number] = { .name = "R_ARM_" #id }

static const struct relocation_type types[] = {
    ROW(0, NONE, NOTHING),
    ROW(40, V4BX, NOTHING),
    ROW(2, ABS32, ADDRESS, FIELD_32),
    ROW(5, ABS16, ADDRESS, FIELD_16, EITHER, 16),
    ROW(8, ABS8, ADDRESS, FIELD_8, EITHER, 8),
    ROW(38, TARGET1, ADDRESS, FIELD_32),
    ROW(3, REL32, DISTANCE, FIELD_32),
    ROW(42, PREL31, DISTANCE, PREL31, SIGNED, 31),
    ROW(1, PC24, BRANCH, BRANCH_ARM, SIGNED, 26),
    ROW(27, PLT32, BRANCH, BRANCH_ARM, SIGNED, 26),
    ROW(28, CALL, BRANCH, BRANCH_ARM, SIGNED, 26),
    ROW(29, JUMP24, BRANCH, BRANCH_ARM, SIGNED, 26),
    ROW(10, THM_CALL, BRANCH, BRANCH_THUMB, SIGNED, 25),
    ROW(30, THM_JUMP24, BRANCH, BRANCH_THUMB, SIGNED, 25),
    ROW(51, THM_JUMP19, BRANCH, BRANCH_THUMB_20, SIGNED, 21),
    ROW(102, THM_JUMP11, BRANCH, BRANCH_THUMB_11, SIGNED, 12),
    ROW(103, THM_JUMP8, BRANCH, BRANCH_THUMB_8, SIGNED, 9),
    ROW(43, MOVW_ABS_NC, ADDRESS, MOV_ARM, ANY, 0, 0),
    ROW(44, MOVT_ABS, ADDRESS, MOV_ARM, ANY, 0, 16),
    ROW(45, MOVW_PREL_NC, DISTANCE, MOV_ARM, ANY, 0, 0),
    ROW(46, MOVT_PREL, DISTANCE, MOV_ARM, ANY, 0, 16),
    ROW(47, THM_MOVW_ABS_NC, ADDRESS, MOV_THUMB, ANY, 0, 0),
    ROW(48, THM_MOVT_ABS, ADDRESS, MOV_THUMB, ANY, 0, 16),
    ROW(49, THM_MOVW_PREL_NC, DISTANCE, MOV_THUMB, ANY, 0, 0),
    ROW(50, THM_MOVT_PREL, DISTANCE, MOV_THUMB, ANY, 0, 16),
    ROW(4, LDR_PC_G0, DISTANCE, LDR_ARM, SIGNED, 13),
    ROW(58, ALU_PC_G0, DISTANCE, ADD_ARM),
    ROW(54, THM_PC12, WORD_DISTANCE, LDR_THUMB, SIGNED, 13),
    ROW(53, THM_ALU_PREL_11_0, WORD_DISTANCE, ADR_THUMB, SIGNED, 13),
    ROW(24, GOTOFF32, GOT_OFFSET, FIELD_32),
    ROW(25, BASE_PREL, GOT_DISTANCE, FIELD_32),
    ROW(26, GOT_BREL, ENTRY, FIELD_32),
    ROW(95, GOT_ABS, ENTRY_ADDRESS, FIELD_32),
    ROW(96, GOT_PREL, ENTRY_DISTANCE, FIELD_32),
    ROW(41, TARGET2, ENTRY_DISTANCE, FIELD_32),
    /* In libraries. */
    ROW(21, GLOB_DAT, VALUE, FIELD_32),
    ROW(22, JUMP_SLOT, VALUE, FIELD_32),
    ROW(23, RELATIVE, RELATIVE, FIELD_32),
    KNOWN(20, COPY),
    KNOWN(160, IRELATIVE),
    KNOWN(9, SBREL32),
    KNOWN(11, THM_PC8),
    KNOWN(52, THM_JUMP6),
    KNOWN(57, ALU_PC_G0_NC),
    KNOWN(59, ALU_PC_G1_NC),
    KNOWN(60, ALU_PC_G1),
    KNOWN(61, ALU_PC_G2),
    KNOWN(62, LDR_PC_G1),
    KNOWN(63, LDR_PC_G2),
    KNOWN(64, LDRS_PC_G0),
    KNOWN(97, GOT_BREL12),
    KNOWN(13, TLS_DESC),
    KNOWN(17, TLS_DTPMOD32),
    KNOWN(18, TLS_DTPOFF32),
    KNOWN(19, TLS_TPOFF32),
    KNOWN(90, TLS_GOTDESC),
    KNOWN(91, TLS_CALL),
    KNOWN(93, THM_TLS_CALL),
    KNOWN(104, TLS_GD32),
    KNOWN(105, TLS_LDM32),
    KNOWN(106, TLS_LDO32),
    KNOWN(107, TLS_IE32),
    KNOWN(108, TLS_LE32),
};

static uint32_t field_nbytes(unsigned field)
{
    return field == BRANCH_THUMB_11 || field == BRANCH_THUMB_8 ? 2 : 4;
}

static uint32_t get(const struct relocation *r)
{
    uint32_t word = 0;
    memcpy(&word, r->bytes, field_nbytes(r->type->field));
    return word;
}

/* ---- Branches ------------------------------------------------------------------------------ */

static bool is_blx_arm(uint32_t word)
{
    return word >> 25 == 0x7d;
}

static bool is_call_arm(uint32_t word)
{
    return word >> 24 == 0xeb || is_blx_arm(word);
}

static bool is_blx_thumb(uint32_t word)
{
    return (word >> 16 & 0xd000) == 0xc000;
}

static bool is_call_thumb(uint32_t word)
{
    return (word >> 16 & 0xc000) == 0xc000;
}

/* From Thumb: ldr pc, [pc, #4]. From ARM, 4 bytes on: ldr pc, [pc, #-4]. Then the address. */
static void stub(uint8_t *bytes, uint64_t target)
{
    relocation_put32(bytes, 0xf004f8df);
    relocation_put32(bytes + 4, 0xe51ff004);
    relocation_put32(bytes + 8, (uint32_t)target);
}

/* Only a call that is always taken can go to code in the other state. */
static void aim(struct relocation *r, bool fits)
{
    const bool thumb_code = r->type->field != BRANCH_ARM;
    if (r->type->formula != BRANCH || (uint32_t)r->addend != (thumb_code ? -4u : -8u))
        return;
    const bool can_switch = r->type->field == BRANCH_ARM     ? is_call_arm(get(r))
                            : r->type->field == BRANCH_THUMB ? is_call_thumb(get(r))
                                                             : false;
    if (fits && (can_switch || !r->function || r->thumb == thumb_code))
        return;
    r->symbol = r->stub + (thumb_code ? 0 : 4);
    r->thumb = thumb_code;
    r->function = true;
}

static bool write_branch_arm(uint32_t *word, const struct relocation *r, int32_t value)
{
    const bool to_thumb = r->function ? r->thumb : is_blx_arm(*word);
    const uint32_t low = (uint32_t)value >> 2 & 0xffffff;
    if (to_thumb ? !is_call_arm(*word) : (value & 3) != 0)
        return false;
    if (to_thumb)
        *word = 0xfa000000 | ((uint32_t)value & 2) << 23 | low;
    else
        *word = (is_blx_arm(*word) ? 0xeb000000 : *word & 0xff000000) | low;
    return true;
}

static bool write_branch_thumb(uint32_t *word, const struct relocation *r, int32_t value)
{
    const bool to_arm = r->function ? !r->thumb : is_blx_thumb(*word);
    if (to_arm) /* from the address of the instruction, rounded down to a word */
        value = (value + 3) & ~3;
    if ((to_arm && !is_call_thumb(*word)) || value >= 1 << 24)
        return false;
    const uint32_t v = (uint32_t)value, sign = v >> 24 & 1;
    const uint32_t first = 0xf000 | sign << 10 | (v >> 12 & 0x3ff);
    const uint32_t second = (to_arm                 ? 0xc000
                             : is_call_thumb(*word) ? 0xd000
                                                    : 0x9000) |
                            ((v >> 23 & 1) ^ sign ^ 1) << 13 | ((v >> 22 & 1) ^ sign ^ 1) << 11 |
                            (v >> 1 & 0x7ff);
    *word = second << 16 | first;
    return true;
}

/* ---- Fields -------------------------------------------------------------------------------- */

static int32_t extend(uint32_t value, unsigned bits)
{
    return (int32_t)(value << (32 - bits)) >> (32 - bits);
}

static int32_t with_sign(bool positive, uint32_t magnitude)
{
    return (int32_t)(positive ? magnitude : -magnitude);
}

/* The 12 bits of a Thumb instruction that are in three places, and back. */
static uint32_t split_get(uint32_t word)
{
    return (word >> 10 & 1) << 11 | (word >> 28 & 7) << 8 | (word >> 16 & 0xff);
}

static uint32_t split_put(uint32_t word, uint32_t value)
{
    return (word & 0x8f00fbff) | (value >> 11 & 1) << 10 | (value >> 8 & 7) << 28 |
           (value & 0xff) << 16;
}

static uint32_t rotate_right(uint32_t value, unsigned by)
{
    return by == 0 ? value : value >> by | value << (32 - by);
}

static uint64_t read(const struct relocation *r)
{
    const uint32_t word = get(r), first = word & 0xffff, second = word >> 16;
    const uint32_t sign = first >> 10 & 1, j1 = second >> 13 & 1, j2 = second >> 11 & 1;
    int32_t value = 0;
    switch (r->type->field) {
    case BRANCH_ARM:
        value = extend(word << 2, 26) | (is_blx_arm(word) ? word >> 23 & 2 : 0);
        break;
    case BRANCH_THUMB:
        value = extend(sign << 24 | (j1 ^ sign ^ 1) << 23 | (j2 ^ sign ^ 1) << 22 |
                           (first & 0x3ff) << 12 | (second & 0x7ff) << 1,
                       25);
        break;
    case BRANCH_THUMB_20:
        value = extend(
            sign << 20 | j2 << 19 | j1 << 18 | (first & 0x3f) << 12 | (second & 0x7ff) << 1, 21);
        break;
    case BRANCH_THUMB_11:
        value = extend(word << 1, 12);
        break;
    case BRANCH_THUMB_8:
        value = extend(word << 1, 9);
        break;
    case MOV_ARM:
        value = extend((word >> 4 & 0xf000) | (word & 0xfff), 16);
        break;
    case MOV_THUMB:
        value = extend((first & 0xf) << 12 | split_get(word), 16);
        break;
    case LDR_ARM:
        value = with_sign((word >> 23 & 1) != 0, word & 0xfff);
        break;
    case ADD_ARM:
        value = with_sign((word >> 23 & 1) != 0, rotate_right(word & 0xff, word >> 7 & 0x1e));
        break;
    case LDR_THUMB:
        value = with_sign((first >> 7 & 1) != 0, second & 0xfff);
        break;
    case ADR_THUMB:
        value = with_sign((first & 0xa0) == 0, split_get(word));
        break;
    case PREL31:
        value = extend(word, 31);
        break;
    }
    return (uint64_t)(int64_t)value;
}

/* add or sub with an 8-bit number, rotated */
static bool write_add_arm(uint32_t *word, int32_t value)
{
    const uint32_t magnitude = value < 0 ? -(uint32_t)value : (uint32_t)value;
    for (unsigned turn = 0; turn < 32; turn += 2) {
        const uint32_t number = rotate_right(magnitude, (32 - turn) & 31);
        if (number <= 0xff) {
            *word = (*word & 0xff3ff000) | (value < 0 ? 1u << 22 : 1u << 23) | turn << 7 | number;
            return true;
        }
    }
    return false;
}

static bool write_word(uint32_t *word, const struct relocation *r, int32_t value)
{
    const uint32_t v = (uint32_t)value;
    const uint32_t up = value >= 0, magnitude = up ? v : -v;
    switch (r->type->field) {
    case BRANCH_ARM:
        return write_branch_arm(word, r, value);
    case BRANCH_THUMB:
        return write_branch_thumb(word, r, value);
    case BRANCH_THUMB_20:
        *word = (*word & 0xd000fbc0) | (v >> 20 & 1) << 10 | (v >> 12 & 0x3f) |
                (v >> 18 & 1) << 29 | (v >> 19 & 1) << 27 | (v >> 1 & 0x7ff) << 16;
        return !r->function || r->thumb;
    case BRANCH_THUMB_11:
        *word = (*word & 0xf800) | (v >> 1 & 0x7ff);
        return !r->function || r->thumb;
    case BRANCH_THUMB_8:
        *word = (*word & 0xff00) | (v >> 1 & 0xff);
        return !r->function || r->thumb;
    case MOV_ARM:
        *word = (*word & 0xfff0f000) | (v & 0xf000) << 4 | (v & 0xfff);
        return true;
    case MOV_THUMB:
        *word = split_put(*word & 0xfffffff0, v) | (v >> 12 & 0xf);
        return true;
    case LDR_ARM:
        *word = (*word & 0xff7ff000) | up << 23 | magnitude;
        return magnitude <= 0xfff;
    case ADD_ARM:
        return write_add_arm(word, value);
    case LDR_THUMB:
        *word = (*word & 0xf000ff7f) | up << 7 | magnitude << 16;
        return magnitude <= 0xfff;
    case ADR_THUMB:
        *word = split_put(*word & 0xffffff5f, magnitude) | (up ? 0 : 0xa0);
        return magnitude <= 0xfff;
    default: /* PREL31 */
        *word = (*word & 0x80000000) | (v & 0x7fffffff);
        return true;
    }
}

static bool write(const struct relocation *r, int64_t value)
{
    uint32_t word = get(r);
    if (!write_word(&word, r, (int32_t)value))
        return false;
    memcpy(r->bytes, &word, field_nbytes(r->type->field));
    return true;
}

const struct relocation_machine relocation_arm = {
    .machine = EM_ARM,
    .types = types,
    .type_count = sizeof types / sizeof types[0],
    .branch_reach = 0, /* its own functions may be in the other state */
    .address_reach = UINT64_MAX,
    .stub_nbytes = 12,
    .stub = stub,
    .aim = aim,
    .field_nbytes = field_nbytes,
    .read = read,
    .write = write,
};
