/* module_code.c: machine code as a module: loaded on the processor that it was compiled for, told
 * its context, found by symbol name, called.
 */
#include "module_code.h"

#include <elf.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "module_tree.h"
#include "upload.h"
#include "worker.h"

#define MAIN_TEXT 256

struct code_module {
    struct module module; /* first */
    char *name;           /* for messages; owned */
    struct code *code;
    /* What machine code asked for by name and keeps pointers to: none of them holds this module. */
    struct kept {
        char *name; /* owned */
        struct function *function;
    } * kept;
    uint32_t kept_count, kept_capacity;
};

struct kernel {
    struct function function; /* first */
    uint64_t address;
    struct code_module *owner; /* a reference, if `holds` */
    bool holds;
    char name[];
};

/* Guards what machine code looks up from any of its threads. */
static pthread_mutex_t lookups = PTHREAD_MUTEX_INITIALIZER;

/* ---- Calls --------------------------------------------------------------------------------- */

static int kernel_call(struct function *function, union tvm_value *args, const int32_t *codes,
                       int count, struct result *result, struct vta_error *error)
{
    const struct kernel *kernel = (struct kernel *)function;
    struct code *code = kernel->owner->code;
    struct vta_runtime *runtime = function->worker->runtime;
    int rc = code->cpu->ops->call(code, kernel->name, kernel->address, args, codes, count, result,
                                  error);
    if (rc == 0)
        return 0;
    vta_error_prefix(error, "%s", kernel->name);
    /* It gave up half-way. An error of the runtime is for whoever called from outside to take. */
    if (runtime != NULL && !vta_runtime_failed(runtime))
        vta_runtime_abandon(runtime);
    return rc;
}

static void kernel_free(struct function *function)
{
    struct kernel *kernel = (struct kernel *)function;
    struct module *module = kernel->holds ? &kernel->owner->module : NULL;
    free(kernel);
    module_release(module);
}

static const struct function_ops kernel_ops = { .call = kernel_call, .free = kernel_free };

/* ---- Symbols ------------------------------------------------------------------------------- */

static bool symbol_of(const struct code_module *module, const char *name,
                      struct code_symbol *symbol)
{
    return module->code->cpu->ops->symbol(module->code, name, symbol);
}

/* Where a kernel's code begins; the variable __tvm_main__ holds the name of the default one. */
static bool find_code(const struct code_module *module, const char *name, uint64_t *address)
{
    struct cpu *cpu = module->code->cpu;
    struct code_symbol symbol;
    char entry[MAIN_TEXT];
    bool found = symbol_of(module, name, &symbol);
    if (found && strcmp(name, "__tvm_main__") == 0) {
        const uint64_t nbytes =
            symbol.nbytes != 0 && symbol.nbytes < MAIN_TEXT ? symbol.nbytes : MAIN_TEXT - 1;
        const uint8_t *text = cpu->ops->memory(cpu, symbol.address, nbytes);
        if (text == NULL)
            return false;
        snprintf(entry, sizeof entry, "%.*s", (int)nbytes, (const char *)text);
        found = symbol_of(module, entry, &symbol);
    }
    if (!found || !symbol.function)
        return false;
    *address = symbol.address;
    return true;
}

static struct function *make_kernel(struct code_module *module, const char *name, bool holds)
{
    uint64_t address;
    if (!find_code(module, name, &address))
        return NULL;
    struct kernel *kernel = malloc(sizeof *kernel + strlen(name) + 1);
    if (kernel == NULL)
        return NULL;
    *kernel = (struct kernel){ .function = { .ops = &kernel_ops,
                                             .worker = module->module.worker,
                                             .name = kernel->name,
                                             .references = 1 },
                               .address = address,
                               .owner = module,
                               .holds = holds };
    memcpy(kernel->name, name, strlen(name) + 1);
    if (holds)
        module_hold(&module->module);
    return &kernel->function;
}

static struct function *code_find(struct module *module, const char *name)
{
    return make_kernel((struct code_module *)module, name, true);
}

static void code_free(struct module *head)
{
    struct code_module *module = (struct code_module *)head;
    if (module->code != NULL) /* its finalisers may use all that follows */
        module->code->cpu->ops->unload(module->code);
    for (uint32_t i = 0; i < module->kept_count; i++) {
        function_release(module->kept[i].function);
        free(module->kept[i].name);
    }
    free(module->kept);
    free(module->name);
    free(module);
}

static const struct module_ops code_ops = { .find = code_find, .free = code_free };

/* ---- The environment of machine code ------------------------------------------------------- */

/* An imported module's function holds that module, which this one holds anyway. */
static struct function *search(struct code_module *module, const char *name)
{
    struct function *found = make_kernel(module, name, false);
    for (uint32_t i = 0; found == NULL && i < module->module.import_count; i++)
        found = module_find(module->module.imports[i], name, true);
    return found != NULL ? found : builtin_find(module->module.worker, name);
}

static bool keep(struct code_module *module, const char *name, struct function *function)
{
    if (module->kept_count == module->kept_capacity) {
        uint32_t capacity = module->kept_capacity == 0 ? 4 : module->kept_capacity * 2;
        struct kept *kept = realloc(module->kept, capacity * sizeof *kept);
        if (kept == NULL)
            return false;
        module->kept = kept;
        module->kept_capacity = capacity;
    }
    char *copy = strdup(name);
    if (copy == NULL)
        return false;
    module->kept[module->kept_count++] = (struct kept){ .name = copy, .function = function };
    return true;
}

static struct function *find_kept(struct code_module *module, const char *name,
                                  struct vta_error *error)
{
    for (uint32_t i = 0; i < module->kept_count; i++)
        if (strcmp(module->kept[i].name, name) == 0)
            return module->kept[i].function;
    struct function *found = search(module, name);
    if (found == NULL) {
        vta_error_set(error, VTA_ENOTFOUND,
                      "%s: it calls %s, which neither it nor a module it imports nor this server "
                      "has",
                      module->name, name);
        return NULL;
    }
    if (keep(module, name, found))
        return found;
    function_release(found);
    vta_error_set(error, VTA_ENOMEM, "no memory to remember %s", name);
    return NULL;
}

struct function *module_code_env(struct module *module, const char *name, struct vta_error *error)
{
    if (module == NULL || module->ops != &code_ops) {
        vta_error_set(error, VTA_EINVAL,
                      "%s is looked up for a module that this server did not "
                      "load",
                      name);
        return NULL;
    }
    pthread_mutex_lock(&lookups);
    struct function *found = find_kept((struct code_module *)module, name, error);
    pthread_mutex_unlock(&lookups);
    return found;
}

/* ---- Loading ------------------------------------------------------------------------------- */

/* Stores a pointer into a variable of the code, if it has one. */
static void set_pointer(const struct code_module *module, const char *name, uint64_t value)
{
    struct cpu *cpu = module->code->cpu;
    const uint32_t nbytes = cpu->ops->pointer_bytes;
    struct code_symbol symbol;
    if (!symbol_of(module, name, &symbol) || (symbol.nbytes != 0 && symbol.nbytes != nbytes))
        return;
    uint8_t *variable = cpu->ops->memory(cpu, symbol.address, nbytes);
    if (variable != NULL)
        memcpy(variable, &value, nbytes); /* little-endian: the low bytes */
}

static void set_context(const struct code_module *module)
{
    static const char *const calls[] = { "TVMFuncCall",
                                         "TVMAPISetLastError",
                                         "TVMBackendGetFuncFromEnv",
                                         "TVMBackendAllocWorkspace",
                                         "TVMBackendFreeWorkspace",
                                         "TVMBackendParallelLaunch",
                                         "TVMBackendParallelBarrier" };
    struct cpu *cpu = module->code->cpu;
    char variable[64];
    set_pointer(module, "__tvm_module_ctx", module->code->context);
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        snprintf(variable, sizeof variable, "__%s", calls[i]);
        set_pointer(module, variable, cpu->ops->import(cpu, calls[i]));
    }
}

/* The module that stands for the library and what it brings: the root of its tree. The tree has a
 * u64 size in front. */
static int find_root(struct code_module *module, struct module **root, struct vta_error *error)
{
    struct cpu *cpu = module->code->cpu;
    struct code_symbol symbol;
    struct module_tree tree;
    uint64_t nbytes;
    if (!symbol_of(module, "__tvm_dev_mblob", &symbol)) {
        *root = module_hold(&module->module);
        return 0;
    }
    const uint8_t *blob = cpu->ops->memory(cpu, symbol.address, sizeof nbytes);
    if (blob != NULL)
        memcpy(&nbytes, blob, sizeof nbytes);
    const bool fits = blob != NULL && nbytes <= UINT64_MAX - sizeof nbytes &&
                      (symbol.nbytes == 0 || nbytes + sizeof nbytes <= symbol.nbytes);
    blob = fits ? cpu->ops->memory(cpu, symbol.address, nbytes + sizeof nbytes) : NULL;
    if (blob == NULL)
        return vta_error_set(error, VTA_EFORMAT,
                             "%s: __tvm_dev_mblob is longer than the variable it is in",
                             module->name);
    int rc = module_tree_read(&tree, blob + sizeof nbytes, nbytes, module->name, error);
    return rc == 0 ? module_tree_modules(&tree, &module->module, root, error) : rc;
}

static int load_upload(struct code_module *module, const struct upload *upload,
                       struct vta_error *error)
{
    struct cpu *cpu;
    int rc = worker_cpu(module->module.worker, upload->machine, &cpu, error);
    if (rc != 0) {
        vta_error_prefix(error, "%s", upload->name);
        return rc;
    }
    module->name = strdup(upload->name);
    if (module->name == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a module");
    rc = cpu->ops->load(cpu, &module->module, module->name, upload->files, upload->count,
                        &module->code, error);
    if (rc != 0)
        return rc;
    set_context(module);
    return cpu->ops->initialise(module->code, error);
}

static int code_load(struct worker *worker, const char *path, struct module **result,
                     struct vta_error *error)
{
    struct upload upload;
    struct code_module *module = calloc(1, sizeof *module);
    if (module == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a module");
    module->module = (struct module){ .ops = &code_ops, .worker = worker, .references = 1 };
    int rc = upload_read(&upload, path, worker->options.max_upload_bytes, error);
    if (rc == 0) {
        rc = load_upload(module, &upload, error);
        upload_clear(&upload);
    }
    if (rc == 0)
        rc = find_root(module, result, error);
    module_release(&module->module);
    return rc;
}

const struct module_loader module_code_loader = { .load = code_load };
