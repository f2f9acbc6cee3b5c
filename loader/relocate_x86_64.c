/* relocate_x86_64.c: relocation types of x86-64 (relocate.h), after its System V ABI. */
#include <elf.h>
#include <string.h>

#include "relocate.h"

#define ROW(id, ...) [R_X86_64_##id] = { .name = "R_X86_64_" #id, __VA_ARGS__ }
#define KNOWN(id)    [R_X86_64_##id] = { .name = "R_X86_64_" #id }

static const struct relocation_type types[] = {
    ROW(NONE, NOTHING),
    ROW(64, ADDRESS, FIELD_64),
    ROW(32, ADDRESS, FIELD_32, UNSIGNED, 32),
    ROW(32S, ADDRESS, FIELD_32, SIGNED, 32),
    ROW(16, ADDRESS, FIELD_16, EITHER, 16),
    ROW(8, ADDRESS, FIELD_8, EITHER, 8),
    ROW(PC64, DISTANCE, FIELD_64),
    ROW(PC32, DISTANCE, FIELD_32, SIGNED, 32),
    ROW(PC16, DISTANCE, FIELD_16, SIGNED, 16),
    ROW(PC8, DISTANCE, FIELD_8, SIGNED, 8),
    ROW(PLT32, BRANCH, FIELD_32, SIGNED, 32),
    ROW(PLTOFF64, GOT_OFFSET, FIELD_64),
    ROW(GOT32, ENTRY, FIELD_32, SIGNED, 32),
    ROW(GOT64, ENTRY, FIELD_64),
    ROW(GOTPLT64, ENTRY, FIELD_64),
    ROW(GOTPCREL, ENTRY_DISTANCE, FIELD_32, SIGNED, 32),
    ROW(GOTPCRELX, ENTRY_DISTANCE, FIELD_32, SIGNED, 32),
    ROW(REX_GOTPCRELX, ENTRY_DISTANCE, FIELD_32, SIGNED, 32),
    ROW(GOTPCREL64, ENTRY_DISTANCE, FIELD_64),
    ROW(GOTOFF64, GOT_OFFSET, FIELD_64),
    ROW(GOTPC32, GOT_DISTANCE, FIELD_32, SIGNED, 32),
    ROW(GOTPC64, GOT_DISTANCE, FIELD_64),
    ROW(SIZE32, SIZE, FIELD_32, UNSIGNED, 32),
    ROW(SIZE64, SIZE, FIELD_64),
    /* In libraries. */
    ROW(GLOB_DAT, VALUE, FIELD_64),
    ROW(JUMP_SLOT, VALUE, FIELD_64),
    ROW(RELATIVE, RELATIVE, FIELD_64),
    ROW(RELATIVE64, RELATIVE, FIELD_64),
    KNOWN(COPY),
    KNOWN(IRELATIVE),
    KNOWN(DTPMOD64),
    KNOWN(DTPOFF64),
    KNOWN(DTPOFF32),
    KNOWN(TPOFF64),
    KNOWN(TPOFF32),
    KNOWN(TLSGD),
    KNOWN(TLSLD),
    KNOWN(GOTTPOFF),
    KNOWN(GOTPC32_TLSDESC),
    KNOWN(TLSDESC_CALL),
    KNOWN(TLSDESC),
};

/* jmp *0(%rip); the address */
static void stub(uint8_t *bytes, uint64_t target)
{
    static const uint8_t jump[] = { 0xff, 0x25, 0, 0, 0, 0 };
    memcpy(bytes, jump, sizeof jump);
    memcpy(bytes + sizeof jump, &target, sizeof target);
}

/* The instruction with this PC-relative operand jumps or calls there, or takes the address; what
 * else there is reads or writes a variable. */
static bool wants_function(const struct relocation *r)
{
    const uint8_t *at = r->bytes;
    if (!r->code || r->type != &types[R_X86_64_PC32])
        return true;
    if (r->before < 2)
        return r->before == 1 && (at[-1] & 0xfe) == 0xe8;
    return (at[-1] & 0xfe) == 0xe8 ||                     /* call, jmp */
           (at[-2] == 0x0f && (at[-1] & 0xf0) == 0x80) || /* a conditional jump */
           (at[-2] == 0x8d && (at[-1] & 0xc7) == 0x05);   /* lea */
}

static void aim(struct relocation *r, bool fits)
{
    const unsigned formula = r->type->formula;
    if (fits)
        return;
    if (formula == BRANCH ||
        (r->imported && (formula == ADDRESS || formula == DISTANCE) && wants_function(r)))
        r->symbol = r->stub;
}

const struct relocation_machine relocation_x86_64 = {
    .machine = EM_X86_64,
    .wide = true,
    .types = types,
    .type_count = sizeof types / sizeof types[0],
    .branch_reach = INT32_MAX,
    .address_reach = INT32_MAX,
    .stub_nbytes = 16,
    .stub = stub,
    .aim = aim,
};
