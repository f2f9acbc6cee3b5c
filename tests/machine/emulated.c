/* emulated.c: opens an emulated processor for a test, loads and calls (emulated.h). */
#include "emulated.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void emulated_open(struct emulated *emulated, unsigned machine, const char *code)
{
    char name[64];
    memset(emulated, 0, sizeof *emulated);
    emulated->machine = machine;
    emulated->suffix = machine == EM_ARM ? "armv7" : "aarch64";
    kit_open(&emulated->kit, 1);
    const struct engine_ops *engine = engine_load(getenv("VTA_ENGINE"), &emulated->kit.error);
    cr_assert_not_null(engine, "%s", emulated->kit.error.message);
    cr_assert_eq(cpu_emulated_open(&emulated->cpu, machine, &emulated->kit.worker, engine,
                                   &emulated->kit.error),
                 0, "%s", emulated->kit.error.message);
    emulated->module = kit_module(&emulated->kit, kit_built("imitation.so"));
    if (code == NULL)
        return;
    snprintf(name, sizeof name, "%s-%s.o", code, emulated->suffix);
    emulated_load(emulated, kit_built(name));
}

/* What a loader stores into the module's variables. */
static void set_variable(struct emulated *emulated, const char *name, uint64_t value)
{
    const struct cpu_ops *ops = emulated->cpu->ops;
    struct code_symbol symbol;
    if (!ops->symbol(emulated->code, name, &symbol))
        return;
    uint8_t *variable = ops->memory(emulated->cpu, symbol.address, ops->pointer_bytes);
    cr_assert_not_null(variable);
    memcpy(variable, &value, ops->pointer_bytes);
}

static void set_variables(struct emulated *emulated)
{
    static const char *const names[] = { "__TVMFuncCall",
                                         "__TVMAPISetLastError",
                                         "__TVMBackendGetFuncFromEnv",
                                         "__TVMBackendAllocWorkspace",
                                         "__TVMBackendFreeWorkspace",
                                         "__TVMBackendParallelLaunch",
                                         "__TVMBackendParallelBarrier" };
    set_variable(emulated, "__tvm_module_ctx", emulated->code->context);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        set_variable(emulated, names[i], emulated->cpu->ops->import(emulated->cpu, names[i] + 2));
}

void emulated_load(struct emulated *emulated, const char *path)
{
    size_t nbytes;
    char *bytes = kit_read(path, &nbytes);
    const char *slash = strrchr(path, '/');
    const struct image_file file = { .name = slash != NULL ? slash + 1 : path,
                                     .bytes = (const uint8_t *)bytes,
                                     .nbytes = nbytes };
    cr_assert_eq(emulated->cpu->ops->load(emulated->cpu, emulated->module, "module.o", &file, 1,
                                          &emulated->code, &emulated->kit.error),
                 0, "%s", emulated->kit.error.message);
    free(bytes);
    set_variables(emulated);
    cr_assert_eq(emulated->cpu->ops->initialise(emulated->code, &emulated->kit.error), 0, "%s",
                 emulated->kit.error.message);
}

void emulated_close(struct emulated *emulated)
{
    if (emulated->code != NULL)
        emulated->cpu->ops->unload(emulated->code);
    emulated->cpu->ops->close(emulated->cpu);
    module_release(emulated->module);
    kit_close(&emulated->kit);
}

int emulated_call(struct emulated *emulated, const char *name, union tvm_value *args,
                  const int32_t *codes, int count, struct result *result)
{
    struct code_symbol symbol;
    cr_assert(emulated->cpu->ops->symbol(emulated->code, name, &symbol), "no %s", name);
    cr_assert(symbol.function);
    *result = (struct result){ .code = TVM_NULL };
    return emulated->cpu->ops->call(emulated->code, name, symbol.address, args, codes, count,
                                    result, &emulated->kit.error);
}

int64_t emulated_int(struct emulated *emulated, const char *name, int count, const int64_t *args)
{
    const int32_t codes[16] = { TVM_INT };
    struct result result;
    cr_assert_eq(emulated_call(emulated, name, (union tvm_value *)args, codes, count, &result), 0,
                 "%s: %s", name, emulated->kit.error.message);
    cr_assert_eq(result.code, TVM_INT, "%s", name);
    return result.value.i;
}

void emulated_fails(struct emulated *emulated, const char *name, int64_t arg, int code,
                    const char *words)
{
    const int32_t codes[1] = { TVM_INT };
    union tvm_value args[1] = { { .i = arg } };
    struct result result;
    cr_expect_eq(emulated_call(emulated, name, args, codes, 1, &result), code, "%s: %s", name,
                 emulated->kit.error.message);
    cr_expect_not_null(strstr(emulated->kit.error.message, words), "%s: %s", name,
                       emulated->kit.error.message);
}
