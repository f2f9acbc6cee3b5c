/* guest.h: what an emulated processor sees: its address space, its stack, its calls in and out.
 * cpu_emulated.c makes modules and kernels of it, imports.c answers the functions it calls.
 *
 * The address space, from 0 (pages that nobody has lie between two of these):
 *
 *   DRAM of the board, at its own addresses · memory of the cpu device · stack · trap words ·
 * modules
 *
 * guest address   a number as the code has it: 32 bits on ARM
 * segment         a range of it with the host memory behind it
 * import          a function or variable of ours that the code finds by name
 */
#ifndef VTA_EMULATOR_GUEST_H
#define VTA_EMULATOR_GUEST_H

#include "engine.h"
#include "worker/cpu.h"

struct import_layout;

struct guest_segment {
    uint64_t begin, nbytes;
    uint8_t *bytes;
};

/* A module's code. */
struct guest_code {
    struct code code; /* first */
    const char *name;
    struct image image;
    void *memory; /* of the image; owned */
    uint64_t memory_bytes;
    uint32_t mapped; /* parts */
    bool initialised;
    struct guest_code *next; /* by ascending address */
};

/* A tensor that TVMArrayAlloc made, and its DLTensor as the code sees it. */
struct guest_array {
    struct tvm_tensor *tensor;
    uint64_t address; /* in memory of the cpu device */
};

/* A function that the code has looked up; its number, from 1, is the handle. */
struct guest_function {
    const struct guest_code *code; /* NULL: no longer there */
    struct function *function;
};

struct guest {
    struct cpu cpu; /* first */
    unsigned machine;
    uint32_t pointer_bytes;
    const struct engine_ops *ops;
    struct engine *engine;
    uint32_t depth;      /* of guest_run */
    const char *calling; /* the import that the code calls */
    /* Why the call that is under way fails; code 0: it does not. Ends every run. */
    struct vta_error error;

    struct guest_segment dram, cpu_memory, stack; /* dram.bytes NULL: not mapped yet */
    uint64_t trap_begin, modules_begin, modules_end;
    uint64_t sp; /* of the code that calls or is about to be called */
    struct guest_code *codes;

    struct import_layout *imports; /* one for each import; owned */
    struct guest_array *arrays;
    struct guest_function *functions;
    uint32_t array_count, function_count;
    uint8_t *text;     /* of the last error, VTA_ERROR_TEXT bytes; in memory of the cpu device */
    uint8_t *returned; /* text or bytes that a function returned last; likewise */
};

/* Lays out and maps. VTA_EUNSUPPORTED if it does not fit, or what the engine says. */
int guest_open(struct guest *guest, struct vta_error *error);
void guest_close(struct guest *guest);
/* Releases what was made for code that is no longer there, all of it. */
void guest_forget(struct guest *guest);

/* Maps the board's DRAM if the device is used by now. False: the call fails. */
bool guest_map_dram(struct guest *guest);

/* ---- Memory -------------------------------------------------------------------------------- */

/* Host memory of `address`, if the code may access it so (enum image_access; 0: in any way), and
 * how many bytes follow there; or NULL. */
uint8_t *guest_span(const struct guest *guest, uint64_t address, unsigned access, uint64_t *room);
/* Host memory of [address, address + nbytes), or NULL. */
uint8_t *guest_memory(const struct guest *guest, uint64_t address, uint64_t nbytes,
                      unsigned access);
/* A text up to its end, or NULL. */
const char *guest_text(const struct guest *guest, uint64_t address);
/* The guest address of host memory; 0 if it has none. */
uint64_t guest_address(const struct guest *guest, const void *bytes);

/* A number of pointer size. Fail the call and return false if it is not the code's. */
bool guest_read_word(struct guest *guest, uint64_t address, uint64_t *word);
bool guest_write_word(struct guest *guest, uint64_t address, uint64_t word);
bool guest_write(struct guest *guest, uint64_t address, const void *bytes, uint64_t nbytes);

/* Room on the stack, aligned to 16, until guest->sp is set back; NULL: there is none, and the call
 * fails. */
uint8_t *guest_push(struct guest *guest, uint64_t nbytes, uint64_t *address);

/* ---- Calls --------------------------------------------------------------------------------- */

/* Calls a function with pointers and 32-bit numbers. 0 with what it returned; VTA_E… of
 * guest->error. */
int guest_run(struct guest *guest, uint64_t function, const uint64_t *args, uint32_t count,
              int32_t *result);

/* Has the call that is under way fail; the first reason stays. */
void guest_fail(struct guest *guest, int code, const char *format, ...) VTA_PRINTF(3, 4);

/* ---- Values (guest_values.c) ---------------------------------------------------------------- */

/* Values that the code has passed, as ours; what they point to is checked to be in its memory. */
struct guest_values {
    union tvm_value *values;
    int32_t *codes;
    void **made; /* for a value, or NULL; owned */
    int count;
};

/* Puts values on the stack as an array of TVMValue and one of type codes. False: the call fails. */
bool guest_push_values(struct guest *guest, const union tvm_value *values, const int32_t *codes,
                       int count, uint64_t *values_address, uint64_t *codes_address);
/* Reads such arrays. False: the call fails. guest_values_free in any case. */
bool guest_read_values(struct guest *guest, struct guest_values *values, uint64_t values_address,
                       uint64_t codes_address, int64_t count);
void guest_values_free(struct guest_values *values);
/* A DLTensor with its shape and strides behind it: its size, and written to where the code sees
 * `address`. */
uint64_t guest_tensor_bytes(const struct guest *guest, int32_t ndim);
void guest_put_tensor(const struct guest *guest, const struct tvm_tensor *tensor, uint8_t *to,
                      uint64_t address);
/* What a kernel has returned, as ours. */
int guest_take_result(struct guest *guest, uint64_t value_address, uint64_t code_address,
                      struct result *result, struct vta_error *error);

#endif
