/* emulated.h: an emulated processor in the process of a test, and kernels of compiled code on it.
 */
#ifndef VTA_TESTS_MACHINE_EMULATED_H
#define VTA_TESTS_MACHINE_EMULATED_H

#include <criterion/criterion.h>

#include <elf.h>

#include "emulator/engine.h"
#include "kit.h"
#include "worker/cpu.h"

struct emulated {
    struct kit kit;
    struct cpu *cpu;
    struct module *module; /* of this machine's code, whose functions the emulated code finds */
    struct code *code;     /* that was loaded; NULL: none */
    const char *suffix;    /* of files for this machine: "armv7", "aarch64" */
    unsigned machine;
};

/* Asserts that all of it works. code: NULL, or a file that the build made, without "-armv7.o". */
void emulated_open(struct emulated *emulated, unsigned machine, const char *code);
void emulated_load(struct emulated *emulated, const char *path);
void emulated_close(struct emulated *emulated);

/* Calls a kernel; the code, with kit.error. */
int emulated_call(struct emulated *emulated, const char *name, union tvm_value *args,
                  const int32_t *codes, int count, struct result *result);
/* With ints, and expects an int. */
int64_t emulated_int(struct emulated *emulated, const char *name, int count, const int64_t *args);
/* With one int; expects the code and a part of the message. */
void emulated_fails(struct emulated *emulated, const char *name, int64_t arg, int code,
                    const char *words);

/* A test for each machine. */
#define ON_BOTH(suite, name, file)                                                                 \
    static void suite##_##name(struct emulated *emulated);                                         \
    Test(suite, name##_on_arm)                                                                     \
    {                                                                                              \
        struct emulated emulated;                                                                  \
        emulated_open(&emulated, EM_ARM, file);                                                    \
        suite##_##name(&emulated);                                                                 \
        emulated_close(&emulated);                                                                 \
    }                                                                                              \
    Test(suite, name##_on_aarch64)                                                                 \
    {                                                                                              \
        struct emulated emulated;                                                                  \
        emulated_open(&emulated, EM_AARCH64, file);                                                \
        suite##_##name(&emulated);                                                                 \
        emulated_close(&emulated);                                                                 \
    }                                                                                              \
    static void suite##_##name(struct emulated *emulated)

#endif
