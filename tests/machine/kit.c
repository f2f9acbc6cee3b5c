/* kit.c: a worker in the process of a test (kit.h). */
#include "kit.h"

#include <criterion/criterion.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/abi_state.h"

static void keep_log(void *context, int level, const char *text)
{
    struct kit *kit = context;
    const size_t length = strlen(text);
    (void)level;
    if (kit->log_room - kit->log_used < length + 2) {
        kit->log_room = 2 * (kit->log_room + length + 2);
        kit->log = realloc(kit->log, kit->log_room);
        cr_assert_not_null(kit->log);
    }
    memcpy(kit->log + kit->log_used, text, length);
    memcpy(kit->log + kit->log_used + length, "\n", 2);
    kit->log_used += length + 1;
}

void kit_open(struct kit *kit, uint32_t threads)
{
    struct worker_options options;
    const struct worker_host host = { .log = keep_log, .context = kit };
    memset(kit, 0, sizeof *kit);
    kit->log = strdup("");
    kit->log_room = 1;
    strcpy(kit->scratch, "/tmp/vtad-machine-XXXXXX");
    cr_assert_not_null(mkdtemp(kit->scratch));
    worker_options_default(&options);
    options.threads = threads;
    cr_assert_eq(
        worker_open(&kit->worker, &options, &host, &module_code_loader, kit->scratch, &kit->error),
        0, "%s", kit->error.message);
}

static void expect_empty(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    cr_assert_not_null(folder);
    while ((entry = readdir(folder)) != NULL)
        cr_expect(entry->d_name[0] == '.' && strlen(entry->d_name) <= 2, "left over: %s",
                  entry->d_name);
    closedir(folder);
}

void kit_close(struct kit *kit)
{
    abi_clear(&kit->worker);
    cr_expect_eq(worker_cpu_bytes(&kit->worker), 0u);
    worker_close(&kit->worker);
    expect_empty(kit->scratch);
    cr_expect_eq(rmdir(kit->scratch), 0);
    free(kit->log);
}

/* ---- Files --------------------------------------------------------------------------------- */

char *kit_read(const char *path, size_t *nbytes)
{
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file, "%s", path);
    fseek(file, 0, SEEK_END);
    *nbytes = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*nbytes + 1);
    cr_assert_eq(fread(bytes, 1, *nbytes, file), *nbytes);
    fclose(file);
    return bytes;
}

char *kit_upload(struct kit *kit, const char *name, const void *bytes, size_t nbytes)
{
    char *path = NULL;
    cr_assert_gt(asprintf(&path, "%s/%s", kit->scratch, name), 0);
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, nbytes, file), nbytes);
    fclose(file);
    return path;
}

char *kit_upload_file(struct kit *kit, const char *name, const char *path)
{
    size_t nbytes;
    char *bytes = kit_read(path, &nbytes);
    char *uploaded = kit_upload(kit, name, bytes, nbytes);
    free(bytes);
    return uploaded;
}

const char *kit_built(const char *name)
{
    static char path[512];
    const char *folder = getenv("VTA_MACHINE_DIR");
    cr_assert_not_null(folder, "VTA_MACHINE_DIR is not set: run this with meson test");
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

int kit_load(struct kit *kit, const char *name, const void *bytes, size_t nbytes,
             struct module **module)
{
    char *path = kit_upload(kit, name, bytes, nbytes);
    int rc = module_code_loader.load(&kit->worker, path, module, &kit->error);
    unlink(path);
    free(path);
    return rc;
}

struct module *kit_module(struct kit *kit, const char *path)
{
    const char *slash = strrchr(path, '/');
    struct module *module = NULL;
    size_t nbytes;
    char *bytes = kit_read(path, &nbytes);
    int rc = kit_load(kit, slash != NULL ? slash + 1 : path, bytes, nbytes, &module);
    free(bytes);
    cr_assert_eq(rc, 0, "%s", kit->error.message);
    return module;
}

struct function *kit_function(struct module *module, const char *name)
{
    struct function *function = module_find(module, name, false);
    cr_assert_not_null(function, "%s", name);
    return function;
}

/* ---- Tensors and calls --------------------------------------------------------------------- */

struct kit_tensor kit_tensor(void *data, int bits, int ndim, const int64_t *shape)
{
    struct kit_tensor made = { .tensor = { .data = data,
                                           .device = { .type = TVM_CPU },
                                           .ndim = ndim,
                                           .dtype = { TVM_DTYPE_INT, (uint8_t)bits, 1 } } };
    memcpy(made.shape, shape, (size_t)ndim * sizeof *shape);
    return made;
}

struct kit_tensor kit_device_tensor(struct kit *kit, int bits, int ndim, const int64_t *shape)
{
    uint64_t nbytes = (uint64_t)bits / 8;
    for (int i = 0; i < ndim; i++)
        nbytes *= (uint64_t)shape[i];
    struct vta_runtime *runtime = worker_runtime(&kit->worker, &kit->error);
    cr_assert_not_null(runtime, "%s", kit->error.message);
    void *data = vta_runtime_alloc(runtime, nbytes, &kit->error);
    cr_assert_not_null(data, "%s", kit->error.message);
    struct kit_tensor made = kit_tensor(data, bits, ndim, shape);
    made.tensor.device.type = TVM_EXT_DEV;
    return made;
}

int kit_call(struct kit *kit, struct function *function, struct kit_tensor *const *tensors,
             int count, struct result *result)
{
    union tvm_value args[8];
    int32_t codes[8];
    for (int i = 0; i < count; i++) {
        tensors[i]->tensor.shape = tensors[i]->shape;
        args[i].p = &tensors[i]->tensor;
        codes[i] = TVM_TENSOR;
    }
    return function_call(function, args, codes, count, result, &kit->error);
}

static int call_int(struct kit *kit, struct module *module, const char *name, int64_t argument,
                    struct result *result)
{
    struct function *function = kit_function(module, name);
    union tvm_value value = { .i = argument };
    const int32_t code = TVM_INT;
    int rc = function_call(function, &value, &code, 1, result, &kit->error);
    function_release(function);
    return rc;
}

int64_t kit_int(struct kit *kit, struct module *module, const char *name, int64_t argument)
{
    struct result result;
    cr_assert_eq(call_int(kit, module, name, argument, &result), 0, "%s", kit->error.message);
    cr_assert_eq(result.code, TVM_INT, "%s returned type code %d", name, result.code);
    return result.value.i;
}

int kit_fails(struct kit *kit, struct module *module, const char *name, int64_t argument)
{
    struct result result;
    int rc = call_int(kit, module, name, argument, &result);
    result_clear(&result);
    return rc;
}
