/* engine.h: an emulator of a processor: registers, mapped memory, running from an address. Knows
 * nothing of modules, calls or TVM; cpu_emulated.c does.
 *
 * The one implementation is a plugin (engine_unicorn.c), because Unicorn is GPL-2: a shared object
 * that exports `vta_engine_ops`, which a process may lack.
 */
#ifndef VTA_EMULATOR_ENGINE_H
#define VTA_EMULATOR_ENGINE_H

#include <stdint.h>

#include <vta/error.h>

#define ENGINE_PLUGIN_SYMBOL "vta_engine_ops"

struct engine;

/* Integer registers: r0 to r12 on ARM, x0 to x28 on AArch64; and those with a task. */
enum engine_register {
    ENGINE_X0 = 0,
    ENGINE_SP = 64,
    ENGINE_LR,
    ENGINE_PC
};

enum engine_fault {
    ENGINE_OK,
    ENGINE_STOPPED, /* engine_stop */
    ENGINE_READ,    /* of memory that is not mapped, or not readable */
    ENGINE_WRITE,
    ENGINE_FETCH,     /* a jump to memory that is not mapped or not executable */
    ENGINE_UNDEFINED, /* an instruction that the processor does not have */
    ENGINE_EXCEPTION, /* a trap or a system call; `address` is its number */
    ENGINE_INTERNAL   /* of the emulator; `address` is its error number */
};

struct engine_outcome {
    enum engine_fault fault;
    /* Of the instruction; with ENGINE_READ and ENGINE_WRITE, of the first of those between two
     * jumps that it is one of. */
    uint64_t pc;
    uint64_t address; /* that it wanted */
};

/* The number with which trap() is called as a run begins. */
#define ENGINE_BEGIN UINT32_MAX

struct engine_options {
    unsigned machine; /* EM_ARM or EM_AARCH64 */
    /* Every word in [trap_begin, trap_begin + 4 · trap_count) is an instruction that returns to its
     * caller; before it runs, trap() is called with its number, on the thread that runs. Inside,
     * registers may be read and written, and run() called again, which leaves lr and sp changed.
     * trap() returns 0, or nonzero to end the run with ENGINE_STOPPED. The pages of these words and
     * of one more are the engine's; trap_begin begins one. */
    uint64_t trap_begin;
    uint32_t trap_count;
    int (*trap)(void *context, uint32_t number);
    void *context;
};

struct engine_ops {
    uint32_t version; /* ENGINE_VERSION */
    /* VTA_EUNSUPPORTED for another machine; VTA_ENOMEM. */
    int (*open)(struct engine **engine, const struct engine_options *options,
                struct vta_error *error);
    void (*close)(struct engine *engine);

    /* Makes host memory [bytes, bytes + nbytes) visible at `address`; whole pages. access: enum
     * image_access. */
    int (*map)(struct engine *engine, uint64_t address, uint64_t nbytes, unsigned access,
               void *bytes, struct vta_error *error);
    void (*unmap)(struct engine *engine, uint64_t address, uint64_t nbytes);

    /* `count` integer registers from `first`; or 64-bit floating-point registers d0…, as their
     * bits. */
    void (*read)(struct engine *engine, enum engine_register first, uint32_t count,
                 uint64_t *values);
    void (*write)(struct engine *engine, enum engine_register first, uint32_t count,
                  const uint64_t *values);
    void (*read_float)(struct engine *engine, uint32_t first, uint32_t count, uint64_t *values);
    void (*write_float)(struct engine *engine, uint32_t first, uint32_t count,
                        const uint64_t *values);

    /* Every register as after open(): code may have changed the processor's mode. Outside of run().
     */
    void (*reset)(struct engine *engine);

    /* Runs from `begin` (odd: Thumb) until control reaches `until`, which is mapped. Nested from
     * trap(): every register but the results is then the caller's affair. */
    void (*run)(struct engine *engine, uint64_t begin, uint64_t until,
                struct engine_outcome *outcome);
    /* Ends every run() that is under way, soon; none that begins later, but from trap() of those.
     * Any thread. */
    void (*stop)(struct engine *engine);
};

#define ENGINE_VERSION 2u

/* The plugin at `path`, which stays loaded; or NULL with VTA_EUNSUPPORTED and what the system says,
 * or which version it is. */
const struct engine_ops *engine_load(const char *path, struct vta_error *error);

#endif
