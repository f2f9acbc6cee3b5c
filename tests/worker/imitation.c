/* imitation.c: modules without machine code: functions of this file, reached as those of a loaded
 * library are (kit.h lists them).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"
#include "worker/abi_calls.h"

struct imitation {
    struct module head;
    int64_t calls;
};

struct imitated {
    struct function head;
    struct imitation *module; /* a reference */
};

static unsigned modules;

unsigned kit_modules(void)
{
    return modules;
}

static int64_t elements(const struct tvm_tensor *tensor)
{
    int64_t count = 1;
    for (int32_t i = 0; i < tensor->ndim; i++)
        count *= tensor->shape[i];
    return count;
}

static uint8_t *bytes_of(const struct tvm_tensor *tensor)
{
    return (uint8_t *)tensor->data + tensor->byte_offset;
}

/* ---- Plain functions ----------------------------------------------------------------------- */

typedef int (*imitated_fn)(struct imitated *function, union tvm_value *args, const int32_t *codes,
                           int count, struct result *result, struct vta_error *error);

static int fail(struct imitated *function, union tvm_value *args, const int32_t *codes, int count,
                struct result *result, struct vta_error *error)
{
    (void)args, (void)codes, (void)count, (void)result;
    return vta_error_set(error, VTA_EINVAL, "%s: words of its own", function->head.name);
}

static int echo(struct imitated *function, union tvm_value *args, const int32_t *codes, int count,
                struct result *result, struct vta_error *error)
{
    if (count != 1)
        return fail(function, args, codes, count, result, error);
    if (codes[0] == TVM_STRING)
        return result_string(result, args[0].s, error);
    result->code = codes[0];
    result->value = args[0];
    if (codes[0] == TVM_BYTES) {
        const struct tvm_bytes *bytes = args[0].p;
        result->bytes = malloc(bytes->size + 1);
        memcpy(result->bytes, bytes->data, bytes->size);
        result->nbytes = bytes->size;
    }
    return 0;
}

static int add_one(struct imitated *function, union tvm_value *args, const int32_t *codes,
                   int count, struct result *result, struct vta_error *error)
{
    if (count != 2 || codes[0] != TVM_TENSOR || codes[1] != TVM_TENSOR)
        return fail(function, args, codes, count, result, error);
    const struct tvm_tensor *from = args[0].p, *to = args[1].p;
    if (elements(from) != elements(to))
        return fail(function, args, codes, count, result, error);
    for (int64_t i = 0; i < elements(from); i++)
        bytes_of(to)[i] = (uint8_t)(bytes_of(from)[i] + 1);
    return 0;
}

static bool are_tensors(const int32_t *codes, int count)
{
    for (int i = 0; i < count; i++)
        if (codes[i] != TVM_TENSOR)
            return false;
    return count >= 2;
}

static int mix(struct imitated *function, union tvm_value *args, const int32_t *codes, int count,
               struct result *result, struct vta_error *error)
{
    if (!are_tensors(codes, count))
        return fail(function, args, codes, count, result, error);
    const struct tvm_tensor *to = args[count - 1].p;
    for (int64_t i = 0; i < elements(to); i++) {
        unsigned sum = 1;
        for (int k = 0; k < count - 1; k++) {
            const struct tvm_tensor *from = args[k].p;
            sum += (unsigned)(k + 1) * bytes_of(from)[i % elements(from)];
        }
        bytes_of(to)[i] = (uint8_t)sum;
    }
    return 0;
}

static int split(struct imitated *function, union tvm_value *args, const int32_t *codes, int count,
                 struct result *result, struct vta_error *error)
{
    if (!are_tensors(codes, count) || ((struct tvm_tensor *)args[0].p)->ndim != 1)
        return fail(function, args, codes, count, result, error);
    const struct tvm_tensor *from = args[0].p;
    for (int k = 1; k < count; k++) {
        const struct tvm_tensor *to = args[k].p;
        for (int64_t i = 0; i < elements(to); i++)
            bytes_of(to)[i] = (uint8_t)((k + 1) * bytes_of(from)[i % elements(from)]);
    }
    return 0;
}

static int count_calls(struct imitated *function, union tvm_value *args, const int32_t *codes,
                       int count, struct result *result, struct vta_error *error)
{
    (void)args, (void)codes, (void)count, (void)error;
    *result = (struct result){ .code = TVM_INT, .value.i = function->module->calls };
    return 0;
}

static int itself(struct imitated *function, union tvm_value *args, const int32_t *codes, int count,
                  struct result *result, struct vta_error *error)
{
    (void)args, (void)codes, (void)count, (void)error;
    *result = (struct result){ .code = TVM_FUNCTION, .value.p = function_hold(&function->head) };
    return 0;
}

static int self(struct imitated *function, union tvm_value *args, const int32_t *codes, int count,
                struct result *result, struct vta_error *error)
{
    (void)args, (void)codes, (void)count, (void)error;
    *result =
        (struct result){ .code = TVM_MODULE, .value.p = module_hold(&function->module->head) };
    return 0;
}

static int pointer(struct imitated *function, union tvm_value *args, const int32_t *codes,
                   int count, struct result *result, struct vta_error *error)
{
    (void)args, (void)codes, (void)count, (void)error;
    *result = (struct result){ .code = TVM_OPAQUE, .value.p = function };
    return 0;
}

static int takes(struct imitated *function, union tvm_value *args, const int32_t *codes, int count,
                 struct result *result, struct vta_error *error)
{
    char text[512];
    size_t length = 0;
    (void)function, (void)args;
    text[0] = '\0';
    for (int i = 0; i < count && length < sizeof text - 8; i++)
        length +=
            (size_t)snprintf(text + length, sizeof text - length, i == 0 ? "%d" : ",%d", codes[i]);
    return result_string(result, text, error);
}

static int array(struct imitated *function, union tvm_value *args, const int32_t *codes, int count,
                 struct result *result, struct vta_error *error)
{
    if (count != 1 || codes[0] != TVM_INT || args[0].i < 1 || args[0].i > 1000)
        return fail(function, args, codes, count, result, error);
    struct tvm_tensor *tensor = NULL;
    if (TVMArrayAlloc(&args[0].i, 1, TVM_DTYPE_INT, 8, 1, TVM_CPU, 0, &tensor) != 0)
        return vta_error_set(error, VTA_ENOMEM, "no array");
    for (int64_t i = 0; i < args[0].i; i++)
        bytes_of(tensor)[i] = (uint8_t)i;
    *result = (struct result){ .code = TVM_NDARRAY, .value.p = tensor };
    return 0;
}

/* ---- Functions that run on the board ------------------------------------------------------- */

#define COMPUTE 2
#define STORE   3
#define ADD     2

/* Adds numbers to themselves: 16 at a time, `rounds` tiles. The callback that records has no
 * argument of its own, as in generated code. */
static int64_t rounds, repeats;
static bool unordered; /* the store does not wait for its numbers */

static int record_double(void *signature)
{
    struct vta_runtime *runtime = worker_current()->runtime;
    (void)signature;
    if (repeats > 1)
        vta_runtime_loop_begin(runtime, (uint32_t)repeats, 0, 0, 0);
    vta_runtime_loop_begin(runtime, (uint32_t)rounds, repeats > 1 ? 0 : 1, repeats > 1 ? 0 : 1, 0);
    vta_runtime_uop_push(runtime, 1, 0, 0, 0, 0, ADD, 0, 0);
    vta_runtime_loop_end(runtime);
    if (repeats > 1)
        vta_runtime_loop_end(runtime);
    return 0;
}

static int board_call(struct imitated *function, int kernels, uint32_t load_tiles,
                      union tvm_value *args, struct vta_error *error)
{
    struct vta_runtime *runtime = worker_runtime(function->head.worker, error);
    void *site = NULL;
    if (runtime == NULL)
        return VTA_ENOMEM;
    vta_runtime_load_2d(runtime, bytes_of(args[0].p), 0, load_tiles, 1, load_tiles, 0, 0, 0, 0, 0,
                        VTA_MEM_ACC);
    for (int i = 0; i < kernels; i++)
        vta_runtime_kernel(runtime, 1, &site, record_double, NULL, 0);
    if (!unordered) {
        vta_runtime_push(runtime, COMPUTE, STORE);
        vta_runtime_pop(runtime, COMPUTE, STORE);
    }
    vta_runtime_store_2d(runtime, 0, VTA_MEM_OUT, bytes_of(args[1].p), 0, 1, 1, 1);
    vta_runtime_synchronise(runtime);
    return 0;
}

static bool on_board(union tvm_value *args, const int32_t *codes, int count)
{
    for (int i = 0; i < 2; i++)
        if (count != 2 || codes[i] != TVM_TENSOR ||
            ((struct tvm_tensor *)args[i].p)->device.type != TVM_EXT_DEV ||
            elements(args[i].p) != 16)
            return false;
    return ((struct tvm_tensor *)args[0].p)->dtype.bits == 32;
}

static int double_numbers(struct imitated *function, union tvm_value *args, const int32_t *codes,
                          int count, struct result *result, struct vta_error *error)
{
    if (!on_board(args, codes, count))
        return fail(function, args, codes, count, result, error);
    rounds = repeats = 1;
    return board_call(function, 1, 1, args, error);
}

static int racing(struct imitated *function, union tvm_value *args, const int32_t *codes, int count,
                  struct result *result, struct vta_error *error)
{
    unordered = true;
    int rc = double_numbers(function, args, codes, count, result, error);
    unordered = false;
    return rc;
}

static int outside(struct imitated *function, union tvm_value *args, const int32_t *codes,
                   int count, struct result *result, struct vta_error *error)
{
    if (!on_board(args, codes, count))
        return fail(function, args, codes, count, result, error);
    rounds = repeats = 1;
    return board_call(function, 1, 2000, args, error);
}

static int fail_both(struct imitated *function, union tvm_value *args, const int32_t *codes,
                     int count, struct result *result, struct vta_error *error)
{
    int rc = outside(function, args, codes, count, result, error);
    return rc != 0 ? rc : fail(function, args, codes, count, result, error);
}

static int spin(struct imitated *function, union tvm_value *args, const int32_t *codes, int count,
                struct result *result, struct vta_error *error)
{
    if (!on_board(args, codes, count))
        return fail(function, args, codes, count, result, error);
    rounds = repeats = 16383;
    return board_call(function, 1000, 1, args, error);
}

static const struct {
    const char *name;
    imitated_fn call;
} imitations[] = { { "echo", echo },
                   { "add_one", add_one },
                   { "mix", mix },
                   { "split", split },
                   { "double", double_numbers },
                   { "outside", outside },
                   { "spin", spin },
                   { "fail", fail },
                   { "fail_both", fail_both },
                   { "count", count_calls },
                   { "array", array },
                   { "itself", itself },
                   { "self", self },
                   { "pointer", pointer },
                   { "takes", takes },
                   { "__tvm_main__", add_one },
                   { "racing", racing } };

/* ---- Functions and modules as objects ------------------------------------------------------ */

static int imitated_call(struct function *head, union tvm_value *args, const int32_t *codes,
                         int count, struct result *result, struct vta_error *error)
{
    struct imitated *function = (struct imitated *)head;
    function->module->calls++;
    for (size_t i = 0; i < sizeof imitations / sizeof imitations[0]; i++)
        if (strcmp(imitations[i].name, head->name) == 0)
            return imitations[i].call(function, args, codes, count, result, error);
    abort();
}

static void imitated_free(struct function *head)
{
    struct imitated *function = (struct imitated *)head;
    module_release(&function->module->head);
    free(function);
}

static const struct function_ops imitated_ops = { imitated_call, imitated_free };

static struct function *imitation_find(struct module *module, const char *name)
{
    for (size_t i = 0; i < sizeof imitations / sizeof imitations[0]; i++) {
        if (strcmp(imitations[i].name, name) != 0)
            continue;
        struct imitated *function = calloc(1, sizeof *function);
        if (function == NULL)
            return NULL;
        function->head = (struct function){ .ops = &imitated_ops,
                                            .worker = module->worker,
                                            .name = imitations[i].name,
                                            .references = 1 };
        function->module = (struct imitation *)module_hold(module);
        return &function->head;
    }
    return NULL;
}

static void imitation_free(struct module *module)
{
    modules--;
    free(module);
}

static const struct module_ops imitation_ops = { imitation_find, imitation_free };

/* Whether the file begins with these words. */
static bool begins(const char *path, const char *words)
{
    char text[32] = "";
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    size_t got = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    return got >= strlen(words) && memcmp(text, words, strlen(words)) == 0;
}

static int load(struct worker *worker, const char *path, struct module **module,
                struct vta_error *error)
{
    const char *slash = strrchr(path, '/');
    if (!begins(path, "imitation"))
        return vta_error_set(error, VTA_EFORMAT, "%s is no imitation", slash + 1);
    struct imitation *made = calloc(1, sizeof *made);
    if (made == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for an imitation");
    made->head = (struct module){ .ops = &imitation_ops, .worker = worker, .references = 1 };
    modules++;
    *module = &made->head;
    return 0;
}

const struct module_loader kit_loader = { load };
