/* cpu.h: what runs machine code: this processor, or an emulated one. Two implementations:
 * cpu_native.c and cpu_emulated.c. The ELF machine of a file says which one serves it.
 *
 * An address is one of the code's own: on this processor a pointer, on an emulated one a number
 * that cpu_memory makes a pointer of. Called from the session's thread, but for stop.
 */
#ifndef VTA_WORKER_CPU_H
#define VTA_WORKER_CPU_H

#include "function.h"
#include "loader/image.h"

struct cpu;
struct module;

/* Code and data that were loaded; each implementation has more behind it. */
struct code {
    struct cpu *cpu;
    struct module *module; /* whose code it is; what it gets back as its __tvm_module_ctx */
    uint64_t context;      /* that value, as the code sees it */
};

struct code_symbol {
    uint64_t address, nbytes; /* nbytes 0: unknown */
    bool function;
};

struct cpu_ops {
    unsigned machine; /* ELF machine */
    uint32_t pointer_bytes;

    /* Loads objects, or one library; calls nothing in it. name: of the module, lives as long as the
     * code. Fails as image_load does. */
    int (*load)(struct cpu *cpu, struct module *module, const char *name,
                const struct image_file *files, uint32_t count, struct code **code,
                struct vta_error *error);
    /* Calls the code's initialisers. */
    int (*initialise)(struct code *code, struct vta_error *error);
    /* Its finalisers, too, if it was initialised. */
    void (*unload)(struct code *code);

    /* A symbol that the code itself defines. */
    bool (*symbol)(const struct code *code, const char *name, struct code_symbol *symbol);
    /* Host memory of [address, address + nbytes), or NULL if not all of it is the code's to use. */
    uint8_t *(*memory)(struct cpu *cpu, uint64_t address, uint64_t nbytes);
    /* The address under which code calls a function of the binary interface (abi_calls.h); 0: none.
     */
    uint64_t (*import)(struct cpu *cpu, const char *name);

    /* Calls a kernel. VTA_EINVAL with its last error if it returned nonzero; on an emulated
     * processor also VTA_EREFUSED naming function, address and reason if it did what its memory
     * does not allow, and VTA_EDEADLINE if it was stopped. */
    int (*call)(struct code *code, const char *name, uint64_t address, union tvm_value *args,
                const int32_t *codes, int count, struct result *result, struct vta_error *error);
    /* Ends a call that is under way, if this processor can. Any thread. */
    void (*stop)(struct cpu *cpu);
    void (*close)(struct cpu *cpu);
};

struct cpu {
    const struct cpu_ops *ops;
    struct worker *worker;
};

/* This processor. */
int cpu_native_open(struct cpu **cpu, struct worker *worker, struct vta_error *error);

/* The engine of emulated processors, a plugin that lies beside this program; NULL if there is none.
 */
struct engine_ops;
const struct engine_ops *cpu_engine_find(void);
const char *cpu_engine_missing(void); /* why there is none, for a message */

/* An emulated processor over the memory of the worker's board and of its cpu device.
 * VTA_EUNSUPPORTED naming the package to install if there is no engine, or the limits that do not
 * fit its addresses. */
int cpu_emulated_open(struct cpu **cpu, unsigned machine, struct worker *worker,
                      const struct engine_ops *engine, struct vta_error *error);

#endif
