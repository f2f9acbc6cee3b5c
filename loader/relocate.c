/* relocate.c: computes relocations and writes plain fields; those of instructions are in
 * relocate_x86_64.c, relocate_arm.c and relocate_aarch64.c (relocate.h).
 */
#include "relocate.h"

#include <elf.h>
#include <stddef.h>
#include <string.h>

#define PAGE(address) ((address) & ~UINT64_C(0xfff))

const struct relocation_machine *relocation_machine(unsigned machine)
{
    switch (machine) {
    case EM_X86_64:
        return &relocation_x86_64;
    case EM_ARM:
        return &relocation_arm;
    case EM_AARCH64:
        return &relocation_aarch64;
    default:
        return NULL;
    }
}

const struct relocation_type *relocation_type(const struct relocation_machine *machine,
                                              uint32_t number)
{
    static const struct relocation_type unknown = { 0 };
    return number < machine->type_count ? &machine->types[number] : &unknown;
}

bool relocation_uses_entry(const struct relocation_type *type)
{
    return type->formula >= ENTRY && type->formula <= ENTRY_PAGE_OFFSET;
}

uint32_t relocation_get32(const uint8_t *bytes)
{
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

void relocation_put32(uint8_t *bytes, uint32_t word)
{
    memcpy(bytes, &word, sizeof word);
}

/* ---- Fields -------------------------------------------------------------------------------- */

uint32_t relocation_nbytes(const struct relocation_machine *machine,
                           const struct relocation_type *type)
{
    if (type->formula == NOTHING)
        return 0;
    return type->field < FIELD_MACHINE ? 1u << type->field : machine->field_nbytes(type->field);
}

uint64_t relocation_addend(const struct relocation_machine *machine,
                           const struct relocation *relocation)
{
    uint64_t value = 0;
    if (relocation->type->formula == NOTHING)
        return 0;
    if (relocation->type->field >= FIELD_MACHINE)
        return machine->read(relocation);
    const uint32_t nbytes = 1u << relocation->type->field;
    const unsigned unused = 64 - 8 * nbytes;
    memcpy(&value, relocation->bytes, nbytes);
    return (uint64_t)((int64_t)(value << unused) >> unused);
}

static void write_plain(uint8_t *bytes, unsigned field, int64_t value)
{
    memcpy(bytes, &value, (size_t)1 << field);
}

/* ---- Values -------------------------------------------------------------------------------- */

void relocation_range(const struct relocation_type *type, int64_t *first, int64_t *last)
{
    *first = INT64_MIN;
    *last = INT64_MAX;
    if (type->check == ANY || type->bits >= 64)
        return;
    *first = type->check == UNSIGNED ? 0 : -(INT64_C(1) << (type->bits - 1));
    *last = (INT64_C(1) << (type->check == SIGNED ? type->bits - 1 : type->bits)) - 1;
}

static bool fits(const struct relocation_type *type, int64_t value)
{
    int64_t first, last;
    relocation_range(type, &first, &last);
    return value >= first && value <= last;
}

static uint64_t formula_value(const struct relocation *r)
{
    const uint64_t address = (r->symbol + r->addend) | r->thumb;
    const uint64_t entry = r->entry + r->addend;
    switch ((enum relocation_formula)r->type->formula) {
    case ADDRESS:
    case ACCESS:
        return address;
    case DISTANCE:
    case BRANCH:
        return address - r->place;
    case WORD_DISTANCE:
        return address - (r->place & ~UINT64_C(3));
    case PAGE_DISTANCE:
        return PAGE(address) - PAGE(r->place);
    case ENTRY:
        return entry - r->got;
    case ENTRY_ADDRESS:
        return entry;
    case ENTRY_DISTANCE:
        return entry - r->place;
    case ENTRY_PAGE_DISTANCE:
        return PAGE(entry) - PAGE(r->place);
    case ENTRY_PAGE_OFFSET:
        return entry - PAGE(r->got);
    case GOT_OFFSET:
        return address - r->got;
    case GOT_DISTANCE:
        return r->got + r->addend - r->place;
    case SIZE:
        return r->nbytes + r->addend;
    case VALUE:
        return r->symbol | r->thumb;
    case RELATIVE:
        return r->base + r->addend;
    case UNSUPPORTED:
    case NOTHING:
        break;
    }
    return 0;
}

static int64_t value_of(const struct relocation_machine *machine, const struct relocation *r)
{
    const uint64_t value = formula_value(r);
    return machine->wide ? (int64_t)value : (int32_t)value;
}

bool relocate(const struct relocation_machine *machine, struct relocation *r, int64_t *value)
{
    const struct relocation_type *type = r->type;
    if (type->formula == NOTHING)
        return true;
    *value = value_of(machine, r);
    if (r->stub != 0) {
        machine->aim(r, fits(type, *value));
        *value = value_of(machine, r);
    }
    if (!fits(type, *value) || (type->formula == ACCESS && r->far))
        return false;
    /* What a field leaves out for alignment must be 0; pages and halves are left out otherwise. */
    if (type->shift < 12 && (*value & ((INT64_C(1) << type->shift) - 1)) != 0)
        return false;
    if (type->field >= FIELD_MACHINE)
        return machine->write(r, *value >> type->shift);
    write_plain(r->bytes, type->field, *value);
    return true;
}
