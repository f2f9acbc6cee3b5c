/* marshal.c: a call of emulated code to one of our functions (imports.h): where its arguments are,
 * by the procedure call standards of ARM (hard floats) and AArch64, the call, and where its result
 * goes.
 */
#include <elf.h>
#include <ffi.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "imports.h"
#include "worker/worker.h"

enum from {
    FROM_CORE,
    FROM_FLOAT, /* index: of a double; on ARM of a float for `f` */
    FROM_STACK  /* index: bytes from sp */
};

struct place {
    char letter;
    uint8_t from, index, nbytes;
};

struct import_layout {
    struct place places[IMPORT_ARGS];
    uint8_t count, core, floats, stack_bytes; /* registers and bytes that are looked at */
    char result;
    bool soft; /* floats in core registers */
    ffi_type *types[IMPORT_ARGS];
    ffi_cif cif;
};

/* ---- Layout -------------------------------------------------------------------------------- */

/* What is taken already of registers and stack. */
struct taken {
    uint32_t core, stack;
    uint32_t floats; /* on ARM a bit for each of s0 to s15, else a count */
};

static ffi_type *type_of(char letter)
{
    switch (letter) {
    case 'v':
        return &ffi_type_void;
    case 'i':
        return &ffi_type_sint32;
    case 'f':
        return &ffi_type_float;
    case 'd':
        return &ffi_type_double;
    case 'p':
        return &ffi_type_pointer;
    default:
        return &ffi_type_sint64;
    }
}

static uint32_t bytes_of(char letter, bool arm)
{
    const bool word = strchr("znwp", letter) != NULL;
    return strchr("if", letter) != NULL || (word && arm) ? 4 : 8;
}

static void on_stack(struct place *place, struct taken *taken, bool arm)
{
    const uint32_t slot = arm ? place->nbytes : 8;
    taken->stack = (taken->stack + slot - 1) / slot * slot;
    place->from = FROM_STACK;
    place->index = (uint8_t)taken->stack;
    taken->stack += slot;
}

static void place_core(struct place *place, struct taken *taken, bool arm)
{
    const uint32_t wanted = arm && place->nbytes == 8 ? 2 : 1, most = arm ? 4 : 8;
    taken->core = (taken->core + wanted - 1) / wanted * wanted;
    if (taken->core + wanted > most) {
        taken->core = most;
        on_stack(place, taken, arm);
        return;
    }
    place->from = FROM_CORE;
    place->index = (uint8_t)taken->core;
    taken->core += wanted;
}

/* The first free register that is wide enough; none is free any more once one went to the stack. */
static void place_float(struct place *place, struct taken *taken, bool arm)
{
    const uint32_t wanted = place->nbytes / 4, bits = (1u << wanted) - 1;
    uint32_t at = arm ? 0 : taken->floats;
    while (arm && at < 16 && (taken->floats & (bits << at)) != 0)
        at += wanted;
    if (at >= (arm ? 16u : 8u)) {
        taken->floats = arm ? UINT32_MAX : 8;
        on_stack(place, taken, arm);
        return;
    }
    taken->floats = arm ? taken->floats | bits << at : at + 1;
    place->from = FROM_FLOAT;
    place->index = (uint8_t)(arm ? at / wanted : at);
}

static void lay_out(const struct import *import, bool arm, struct import_layout *layout)
{
    const char *letters = import->signature;
    struct taken taken = { 0 };
    layout->soft = arm && letters[0] == '~';
    letters += letters[0] == '~';
    layout->result = letters[0];
    for (letters++; *letters != '\0'; letters++) {
        struct place *place = &layout->places[layout->count];
        *place = (struct place){ .letter = *letters, .nbytes = (uint8_t)bytes_of(*letters, arm) };
        if (strchr("fd", *letters) != NULL && !layout->soft) {
            place_float(place, &taken, arm);
            layout->floats = 8;
        } else {
            place_core(place, &taken, arm);
        }
        layout->types[layout->count++] = type_of(*letters);
    }
    layout->core = (uint8_t)taken.core;
    layout->stack_bytes = (uint8_t)taken.stack;
    if (import->host != NULL)
        ffi_prep_cif(&layout->cif, FFI_DEFAULT_ABI, layout->count, type_of(layout->result),
                     layout->types);
}

struct import_layout *import_layouts(bool arm)
{
    struct import_layout *layouts = calloc(import_count(), sizeof *layouts);
    for (uint32_t i = 1; layouts != NULL && i < import_count(); i++)
        lay_out(import_at(i), arm, &layouts[i]);
    return layouts;
}

/* ---- Calls --------------------------------------------------------------------------------- */

struct registers {
    uint64_t core[8], floats[8];
    const uint8_t *stack;
};

static bool read_registers(struct guest *guest, const struct import *import,
                           const struct import_layout *layout, struct registers *registers)
{
    if (layout->core > 0)
        guest->ops->read(guest->engine, ENGINE_X0, layout->core, registers->core);
    if (layout->floats > 0)
        guest->ops->read_float(guest->engine, 0, layout->floats, registers->floats);
    if (layout->stack_bytes == 0 && import->handler == NULL)
        return true;
    guest->ops->read(guest->engine, ENGINE_SP, 1, &guest->sp);
    registers->stack = guest_memory(guest, guest->sp, layout->stack_bytes, IMAGE_READ);
    if (registers->stack == NULL)
        guest_fail(guest, VTA_EREFUSED, "%s is called with a stack at 0x%" PRIx64, import->name,
                   guest->sp);
    return registers->stack != NULL;
}

static uint64_t fetch(const struct place *place, const struct registers *registers, bool arm)
{
    uint64_t value = 0;
    switch (place->from) {
    case FROM_CORE:
        value = registers->core[place->index];
        return arm && place->nbytes == 8 ? value | registers->core[place->index + 1] << 32 : value;
    case FROM_FLOAT:
        if (arm && place->nbytes == 4)
            return registers->floats[place->index / 2] >> (place->index % 2 * 32);
        return registers->floats[place->index];
    default:
        memcpy(&value, registers->stack + place->index, place->nbytes);
        return value;
    }
}

static bool take_argument(struct guest *guest, const struct import_layout *layout, uint32_t index,
                          const struct registers *registers, union import_value *value)
{
    const struct place *place = &layout->places[index];
    uint64_t room;
    value->w = fetch(place, registers, guest->pointer_bytes == 4);
    if (place->letter == 'n' && place->nbytes == 4)
        value->l = value->i;
    if (place->letter != 'p' || value->w == 0)
        return true;
    const uint64_t address = value->w;
    value->p = guest_span(guest, address, IMAGE_READ, &room);
    if (value->p == NULL)
        guest_fail(guest, VTA_EREFUSED,
                   "argument %u of %s is 0x%" PRIx64 ", which is not its memory", index + 1,
                   guest->calling, address);
    return value->p != NULL;
}

static void put_result(struct guest *guest, char letter, bool soft, union import_value *results)
{
    const bool arm = guest->pointer_bytes == 4;
    uint64_t words[4] = { results[0].w, results[1].w };
    uint32_t count = 1;
    switch (letter) {
    case 'v':
        return;
    case 'f':
    case 'd':
        if (!soft) {
            guest->ops->write_float(guest->engine, 0, 1, words);
            return;
        }
        break;
    case 'p':
        words[0] = guest_address(guest, results[0].p);
        break;
    case 'D':
    case 'Q':
        count = 2;
        break;
    default:
        break;
    }
    if (arm && strchr("ldQ", letter) != NULL) {
        words[3] = words[1] >> 32;
        words[2] = words[1];
        words[1] = words[0] >> 32;
        count *= 2;
    }
    guest->ops->write(guest->engine, ENGINE_X0, count, words);
}

static void call(struct guest *guest, uint32_t number)
{
    const struct import *import = import_at(number);
    struct import_layout *layout = &guest->imports[number];
    struct registers registers;
    union import_value args[IMPORT_ARGS], results[2] = { { .l = 0 } };
    void *pointers[IMPORT_ARGS];
    if (!read_registers(guest, import, layout, &registers))
        return;
    for (uint32_t i = 0; i < layout->count; i++) {
        if (!take_argument(guest, layout, i, &registers, &args[i]))
            return;
        pointers[i] = &args[i];
    }
    if (import->handler != NULL)
        import->handler(guest, args, results);
    else
        ffi_call(&layout->cif, import->host, results, pointers);
    if (guest_map_dram(guest) && guest->error.code == 0)
        put_result(guest, layout->result, layout->soft, results);
}

int import_trap(void *context, uint32_t number)
{
    struct guest *guest = context;
    if (number == ENGINE_BEGIN)
        return atomic_load(&guest->cpu.worker->call.stop) != 0;
    guest->calling = import_at(number)->name;
    if (number > 0)
        call(guest, number);
    return guest->error.code != 0;
}
