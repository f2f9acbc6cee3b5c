/* imports.h: the functions that emulated code finds by name: one table for every processor.
 * imports.c has the table and what stands behind it, marshal.c turns a call of the code into one of
 * ours.
 *
 * A signature is a letter for the result and one for each argument:
 *
 *   i  32 bits        l  64 bits       z  size_t        n  long        w  pointer, as a number
 *   p  pointer, which is NULL or into its memory; as one of ours: for functions that check the rest
 *   f  float          d  double        v  no result     D  two i       Q  two l (as results)
 *
 * `~` before it: floats travel in core registers on ARM, whatever the code's other functions do.
 */
#ifndef VTA_EMULATOR_IMPORTS_H
#define VTA_EMULATOR_IMPORTS_H

#include "guest.h"

#define IMPORT_ARGS 12u

union import_value {
    int64_t l;
    uint64_t w;
    int32_t i;
    float f;
    double d;
    void *p;
};

/* Serves a call: reads args, sets results[0] (and [1]), or has the call fail (guest_fail).
 * guest->sp is the caller's. */
typedef void (*import_handler)(struct guest *guest, const union import_value *args,
                               union import_value *results);

struct import {
    const char *name;
    const char *signature;
    void (*host)(void);     /* of that signature; or: */
    import_handler handler; /* if more is to be done than call it */
};

/* Entry 0 is no function, but the word that a call returns to. */
uint32_t import_count(void);
const struct import *import_at(uint32_t number);
/* 0: there is none. */
uint32_t import_find(const char *name);

/* Variables that code imports, in the last bytes of the stack. The offset, or −1. */
#define IMPORT_VARIABLES_BYTES 64u
void import_variables(uint8_t bytes[IMPORT_VARIABLES_BYTES]);
int import_variable(const char *name);

/* How the arguments of each import travel; malloc'ed. */
struct import_layout *import_layouts(bool arm);
/* The engine's trap(); the context is a struct guest. */
int import_trap(void *guest, uint32_t number);

/* ---- Those that are more than arithmetic (guest_tvm.c) -------------------------------------- */

#define IMPORT_HANDLER(name)                                                                       \
    void name(struct guest *guest, const union import_value *args, union import_value *results)

IMPORT_HANDLER(guest_func_call);
IMPORT_HANDLER(guest_set_last_error);
IMPORT_HANDLER(guest_get_last_error);
IMPORT_HANDLER(guest_get_func_from_env);
IMPORT_HANDLER(guest_parallel_launch);
IMPORT_HANDLER(guest_run_once);
IMPORT_HANDLER(guest_array_alloc);
IMPORT_HANDLER(guest_array_free);
IMPORT_HANDLER(guest_buffer_copy);
IMPORT_HANDLER(guest_push_gemm);
IMPORT_HANDLER(guest_push_alu);

/* Takes over a tensor that the code returns, at a guest address; NULL if it is none of its own. */
struct tvm_tensor *guest_take_array(struct guest *guest, uint64_t address);

#endif
