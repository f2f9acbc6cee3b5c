/* module_dso.c: machine code as a module: mapped, told its context, found by symbol name, called.
 *
 * Every load maps a file of its own, made from bytes that were checked, and removed once it is
 * mapped: so the same name can be uploaded and loaded again, and nobody can change what runs. What
 * makes that file of the upload is in module_build.c.
 */
#include "module_dso.h"

#include <dlfcn.h>
#include <elf.h>
#include <inttypes.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi_calls.h"
#include "abi_state.h"
#include "module_build.h"
#include "module_tree.h"
#include "worker.h"

#define MAIN_TEXT 256

struct kernel;

struct dso {
    struct module module; /* first */
    char *name;           /* for messages; owned */
    void *library;        /* of dlopen */
    struct link_map *map;
    /* What machine code asked for by name and keeps pointers to: none of them holds this module. */
    struct kept {
        char *name; /* owned */
        struct function *function;
    } * kept;
    uint32_t kept_count, kept_capacity;
};

struct kernel {
    struct function function; /* first */
    tvm_kernel code;
    struct dso *dso; /* a reference, where `holds` */
    bool holds;
    char name[];
};

/* Guards what machine code looks up from any of its threads. */
static pthread_mutex_t lookups = PTHREAD_MUTEX_INITIALIZER;

/* ---- Calls --------------------------------------------------------------------------------- */

/* Copies text or bytes that belong to the machine code. */
static int copy_bytes(struct result *result, int code, const char *data, size_t nbytes,
                      struct vta_error *error)
{
    char *bytes = malloc(nbytes + 1);
    if (bytes == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a result of %zu bytes", nbytes);
    memcpy(bytes, data, nbytes);
    bytes[nbytes] = '\0';
    *result = (struct result){ .code = code, .value.p = bytes, .bytes = bytes, .nbytes = nbytes };
    return 0;
}

static int take_result(const union tvm_value *value, int code, struct result *result,
                       struct vta_error *error)
{
    switch (code) {
    case TVM_INT:
    case TVM_UINT:
    case TVM_BOOL:
    case TVM_FLOAT:
    case TVM_NULL:
    case TVM_DTYPE:
    case TVM_DEVICE:
        *result = (struct result){ .code = code, .value = *value };
        return 0;
    case TVM_STRING:
        if (value->s == NULL)
            break;
        return copy_bytes(result, code, value->s, strlen(value->s), error);
    case TVM_BYTES: {
        const struct tvm_bytes *bytes = value->p;
        if (bytes == NULL)
            break;
        return copy_bytes(result, code, bytes->data, bytes->size, error);
    }
    case TVM_NDARRAY:
        if (!abi_take_array(value->p))
            return vta_error_set(
                error, VTA_EINVAL,
                "its result is a tensor that is not its own to give: TVMArrayAlloc "
                "did not make it, or it was returned before");
        *result = (struct result){ .code = code, .value = *value };
        return 0;
    default:
        break;
    }
    return vta_error_set(error, VTA_EUNSUPPORTED, "its result has type code %d (%s)", code,
                         tvm_code_name(code));
}

static int call_code(const struct kernel *kernel, union tvm_value *args, const int32_t *codes,
                     int count, struct result *result, struct vta_error *error)
{
    union tvm_value value = { 0 };
    int32_t code = TVM_NULL;
    abi_forget_error();
    const int status = kernel->code(args, (int32_t *)codes, count, &value, &code, NULL);
    if (status == 0)
        return take_result(&value, code, result, error);
    if (abi_has_error())
        return vta_error_set(error, VTA_EINVAL, "%s", TVMGetLastError());
    return vta_error_set(error, VTA_EINVAL, "it returned %d and did not say why", status);
}

static int kernel_call(struct function *function, union tvm_value *args, const int32_t *codes,
                       int count, struct result *result, struct vta_error *error)
{
    const struct kernel *kernel = (struct kernel *)function;
    struct vta_runtime *runtime = function->worker->runtime;
    int rc = call_code(kernel, args, codes, count, result, error);
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
    struct module *module = kernel->holds ? &kernel->dso->module : NULL;
    free(kernel);
    module_release(module);
}

static const struct function_ops kernel_ops = { .call = kernel_call, .free = kernel_free };

/* ---- Symbols ------------------------------------------------------------------------------- */

/* A symbol that the library itself defines, not one of the libraries that it is linked with.
 * *symbol: its entry, or NULL where another name for the same address hides it. */
static void *own_symbol(const struct dso *dso, const char *name, const ElfW(Sym) * *symbol)
{
    Dl_info info;
    struct link_map *map = NULL;
    void *address = dlsym(dso->library, name);
    *symbol = NULL;
    if (address == NULL || dladdr1(address, &info, (void **)&map, RTLD_DL_LINKMAP) == 0 ||
        map != dso->map)
        return NULL;
    if (dladdr1(address, &info, (void **)symbol, RTLD_DL_SYMENT) == 0 || info.dli_sname == NULL ||
        strcmp(info.dli_sname, name) != 0)
        *symbol = NULL;
    return address;
}

/* A kernel's code; the variable __tvm_main__ holds the name of the default one. */
static tvm_kernel own_code(const struct dso *dso, const char *name)
{
    const ElfW(Sym) * symbol;
    char entry[MAIN_TEXT];
    void *address = own_symbol(dso, name, &symbol);
    if (address != NULL && strcmp(name, "__tvm_main__") == 0) {
        snprintf(entry, sizeof entry, "%.*s", MAIN_TEXT - 1, (const char *)address);
        address = own_symbol(dso, entry, &symbol);
    }
    if (address == NULL || (symbol != NULL && ELF64_ST_TYPE(symbol->st_info) != STT_FUNC))
        return NULL;
    tvm_kernel code;
    memcpy(&code, &address, sizeof code);
    return code;
}

static struct function *make_kernel(struct dso *dso, const char *name, bool holds)
{
    tvm_kernel code = own_code(dso, name);
    if (code == NULL)
        return NULL;
    struct kernel *kernel = malloc(sizeof *kernel + strlen(name) + 1);
    if (kernel == NULL)
        return NULL;
    *kernel = (struct kernel){ .function = { .ops = &kernel_ops,
                                             .worker = dso->module.worker,
                                             .name = kernel->name,
                                             .references = 1 },
                               .code = code,
                               .dso = dso,
                               .holds = holds };
    memcpy(kernel->name, name, strlen(name) + 1);
    if (holds)
        module_hold(&dso->module);
    return &kernel->function;
}

static struct function *dso_find(struct module *module, const char *name)
{
    return make_kernel((struct dso *)module, name, true);
}

static void dso_free(struct module *module)
{
    struct dso *dso = (struct dso *)module;
    for (uint32_t i = 0; i < dso->kept_count; i++) {
        function_release(dso->kept[i].function);
        free(dso->kept[i].name);
    }
    free(dso->kept);
    if (dso->library != NULL)
        dlclose(dso->library);
    free(dso->name);
    free(dso);
}

static const struct module_ops dso_ops = { .find = dso_find, .free = dso_free };

/* ---- The environment of machine code ------------------------------------------------------- */

/* An imported module's function holds that module, which this one holds anyway. */
static struct function *search(struct dso *dso, const char *name)
{
    struct function *found = make_kernel(dso, name, false);
    for (uint32_t i = 0; found == NULL && i < dso->module.import_count; i++)
        found = module_find(dso->module.imports[i], name, true);
    return found != NULL ? found : builtin_find(dso->module.worker, name);
}

static bool keep(struct dso *dso, const char *name, struct function *function)
{
    if (dso->kept_count == dso->kept_capacity) {
        uint32_t capacity = dso->kept_capacity == 0 ? 4 : dso->kept_capacity * 2;
        struct kept *kept = realloc(dso->kept, capacity * sizeof *kept);
        if (kept == NULL)
            return false;
        dso->kept = kept;
        dso->kept_capacity = capacity;
    }
    char *copy = strdup(name);
    if (copy == NULL)
        return false;
    dso->kept[dso->kept_count++] = (struct kept){ .name = copy, .function = function };
    return true;
}

static struct function *find_kept(struct dso *dso, const char *name, struct vta_error *error)
{
    for (uint32_t i = 0; i < dso->kept_count; i++)
        if (strcmp(dso->kept[i].name, name) == 0)
            return dso->kept[i].function;
    struct function *found = search(dso, name);
    if (found == NULL) {
        vta_error_set(error, VTA_ENOTFOUND,
                      "%s: it calls %s, which neither it nor a module it imports nor this server "
                      "has",
                      dso->name, name);
        return NULL;
    }
    if (keep(dso, name, found))
        return found;
    function_release(found);
    vta_error_set(error, VTA_ENOMEM, "no memory to remember %s", name);
    return NULL;
}

struct function *module_dso_env(struct module *module, const char *name, struct vta_error *error)
{
    if (module == NULL || module->ops != &dso_ops) {
        vta_error_set(error, VTA_EINVAL,
                      "%s is looked up for a module that this server did not "
                      "load",
                      name);
        return NULL;
    }
    pthread_mutex_lock(&lookups);
    struct function *found = find_kept((struct dso *)module, name, error);
    pthread_mutex_unlock(&lookups);
    return found;
}

/* ---- Loading ------------------------------------------------------------------------------- */

/* Stores into a variable of the library, where it has one. */
static void set_variable(const struct dso *dso, const char *name, const void *value)
{
    const ElfW(Sym) * symbol;
    void *variable = own_symbol(dso, name, &symbol);
    if (variable != NULL && (symbol == NULL || symbol->st_size == sizeof(void *)))
        memcpy(variable, value, sizeof(void *));
}

static void set_context(struct dso *dso)
{
#define SET_CALL(name)                                                                             \
    do {                                                                                           \
        __typeof__(&name) call = name;                                                             \
        set_variable(dso, "__" #name, &call);                                                      \
    } while (0)
    void *context = &dso->module;
    set_variable(dso, "__tvm_module_ctx", &context);
    SET_CALL(TVMFuncCall);
    SET_CALL(TVMAPISetLastError);
    SET_CALL(TVMBackendGetFuncFromEnv);
    SET_CALL(TVMBackendAllocWorkspace);
    SET_CALL(TVMBackendFreeWorkspace);
    SET_CALL(TVMBackendParallelLaunch);
    SET_CALL(TVMBackendParallelBarrier);
#undef SET_CALL
}

/* The module that stands for the library and what it brings: the root of its tree. The tree has a
 * u64 size in front. */
static int find_root(struct dso *dso, struct module **root, struct vta_error *error)
{
    const ElfW(Sym) * symbol;
    struct module_tree tree;
    const uint8_t *blob = own_symbol(dso, "__tvm_dev_mblob", &symbol);
    uint64_t nbytes;
    if (blob == NULL) {
        *root = module_hold(&dso->module);
        return 0;
    }
    memcpy(&nbytes, blob, sizeof nbytes);
    if (symbol != NULL &&
        (symbol->st_size < sizeof nbytes || nbytes > symbol->st_size - sizeof nbytes))
        return vta_error_set(error, VTA_EFORMAT,
                             "%s: __tvm_dev_mblob is longer than the variable it is in", dso->name);
    int rc = module_tree_read(&tree, blob + sizeof nbytes, nbytes, dso->name, error);
    return rc == 0 ? module_tree_modules(&tree, &dso->module, root, error) : rc;
}

static int map_library(struct dso *dso, const struct module_build *build, struct vta_error *error)
{
    dso->library = dlopen(build->library, RTLD_NOW | RTLD_LOCAL);
    if (dso->library == NULL)
        return module_build_explain(build, dlerror(), error);
    if (dlinfo(dso->library, RTLD_DI_LINKMAP, &dso->map) != 0)
        return vta_error_set(error, VTA_EINTERNAL, "%s: mapped, but not found", dso->name);
    return 0;
}

static int dso_load(struct worker *worker, const char *path, struct module **module,
                    struct vta_error *error)
{
    struct module_build build;
    struct dso *dso = calloc(1, sizeof *dso);
    if (dso == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a module");
    dso->module = (struct module){ .ops = &dso_ops, .worker = worker, .references = 1 };
    int rc = module_build_make(&build, worker, path, error);
    if (rc == 0) {
        dso->name = strdup(build.name);
        rc = dso->name != NULL ? map_library(dso, &build, error)
                               : vta_error_set(error, VTA_ENOMEM, "no memory for a module");
    }
    module_build_clear(&build);
    if (rc == 0) {
        set_context(dso);
        rc = find_root(dso, module, error);
    }
    module_release(&dso->module);
    return rc;
}

static int dso_linked(struct worker *worker, const char *path, char **bytes, size_t *nbytes,
                      struct vta_error *error)
{
    struct module_build build;
    int rc = module_build_make(&build, worker, path, error);
    if (rc == 0) {
        *bytes = (char *)build.bytes;
        *nbytes = build.nbytes;
        build.bytes = NULL;
    }
    module_build_clear(&build);
    return rc;
}

const struct module_loader module_dso_loader = { .load = dso_load, .linked = dso_linked };
