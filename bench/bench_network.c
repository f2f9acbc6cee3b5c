/* bench_network.c: where the time of a whole network goes: every kernel of ResNet-18, as TVM
 * compiled it, called in the graph's order with tensors of the right shapes. Prints a row for each
 * kind of operator, convolutions by shape: how long its streams take on the simulated board, and
 * what the calls cost besides (recording a stream and recognising it, or what the processor
 * computes). Only where VTA_SHARED has the network.
 */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/text_file.h"
#include "worker/worker.h"

#include "measure.h"

#define ROUNDS      40
#define TENSORS_MAX 6 /* of a kernel */
#define TARGET_MS   28.0

extern char **environ;

struct op {
    const char *name; /* the graph's */
    struct function *function;
    uint32_t tensor_count;
    struct tvm_tensor tensors[TENSORS_MAX];
    int64_t shapes[TENSORS_MAX][8];
    char kind[64];
    double macs;            /* of a convolution on the board */
    double stream, besides; /* least seconds of all rounds */
};

static struct {
    struct worker worker;
    struct vta_runtime *runtime;
    cJSON *graph;
    const cJSON *shapes, *types, *storages, *rows; /* by entry; entries by node */
    void *storage[256];
    struct op *ops;
    uint32_t op_count;
} net;

static _Noreturn void give_up(const char *what, const struct vta_error *error)
{
    fprintf(stderr, "bench_network: %s: %s\n", what, error != NULL ? error->message : "failed");
    exit(1);
}

/* ---- The graph ----------------------------------------------------------------------------- */

static int item(const cJSON *array, int index)
{
    return cJSON_GetArrayItem(array, index)->valueint;
}

/* The second half of an attribute, [type, values]. */
static const cJSON *attribute(const char *name)
{
    const cJSON *attrs = cJSON_GetObjectItem(net.graph, "attrs");
    return cJSON_GetArrayItem(cJSON_GetObjectItem(attrs, name), 1);
}

static uint64_t read_shape(int entry, int64_t shape[8], int *count)
{
    const cJSON *list = cJSON_GetArrayItem(net.shapes, entry);
    uint64_t numbers = 1;
    *count = cJSON_GetArraySize(list);
    for (int i = 0; i < *count && i < 8; i++) {
        shape[i] = item(list, i);
        numbers *= (uint64_t)shape[i];
    }
    return numbers;
}

static struct tvm_dtype type_of(int entry)
{
    const char *name = cJSON_GetArrayItem(net.types, entry)->valuestring;
    const bool is_float = name[0] == 'f';
    return (struct tvm_dtype){ .code = is_float ? TVM_DTYPE_FLOAT : TVM_DTYPE_INT,
                               .bits = strcmp(name, "int8") == 0 ? 8 : 32,
                               .lanes = 1 };
}

/* Storage is shared by entries as the graph says; each gets room for the largest of them. */
static void allocate(void)
{
    uint64_t need[256] = { 0 };
    struct vta_error error;
    int64_t shape[8];
    int ndim;
    for (int e = 0; e < cJSON_GetArraySize(net.shapes); e++) {
        const int id = item(net.storages, e);
        const uint64_t nbytes = read_shape(e, shape, &ndim) * type_of(e).bits / 8;
        need[id] = nbytes > need[id] ? nbytes : need[id];
    }
    for (int id = 0; id < 256; id++) {
        if (need[id] == 0)
            continue;
        net.storage[id] = vta_runtime_alloc(net.runtime, need[id], &error);
        if (net.storage[id] == NULL)
            give_up("storage", &error);
        for (uint64_t i = 0; i < need[id]; i++) /* numbers that are small in every type */
            ((uint8_t *)net.storage[id])[i] = i % 4 == 3 ? 0 : (uint8_t)(i * 7 % 11);
    }
}

static void add_tensor(struct op *op, int entry)
{
    struct tvm_tensor *tensor = &op->tensors[op->tensor_count];
    int64_t *shape = op->shapes[op->tensor_count++];
    *tensor = (struct tvm_tensor){ .data = net.storage[item(net.storages, entry)],
                                   .device = { .type = TVM_EXT_DEV },
                                   .dtype = type_of(entry),
                                   .shape = shape };
    int ndim;
    read_shape(entry, shape, &ndim);
    tensor->ndim = ndim;
}

/* What the table calls it; blocks of 16 channels are written out. */
static void name_kind(struct op *op)
{
    const int64_t *in = op->shapes[0], *wgt = op->shapes[1];
    const int64_t *out = op->shapes[op->tensor_count - 1];
    if (strstr(op->name, "nn_conv2d") != NULL && op->tensors[1].dtype.bits == 8) {
        snprintf(op->kind, sizeof op->kind,
                 "%lldx%lld, %lld to %lld channels, %lldx%lld to %lldx%lld", (long long)wgt[2],
                 (long long)wgt[3], (long long)wgt[1] * 16, (long long)wgt[0] * 16,
                 (long long)in[2], (long long)in[3], (long long)out[2], (long long)out[3]);
        op->macs = (double)(wgt[0] * wgt[1] * wgt[2] * wgt[3] * 256 * out[2] * out[3]);
    } else if (op->stream > 0) {
        snprintf(op->kind, sizeof op->kind, "additions");
    } else {
        snprintf(op->kind, sizeof op->kind, "on the processor");
    }
}

static void add_op(const cJSON *node, int index, struct module *module)
{
    struct op *op = &net.ops[net.op_count++];
    const cJSON *input, *inputs = cJSON_GetObjectItem(node, "inputs");
    op->name = cJSON_GetObjectItem(cJSON_GetObjectItem(node, "attrs"), "func_name")->valuestring;
    op->function = module_find(module, op->name, false);
    if (op->function == NULL || cJSON_GetArraySize(inputs) >= TENSORS_MAX)
        give_up(op->name, NULL);
    cJSON_ArrayForEach(input, inputs) add_tensor(op, item(net.rows, item(input, 0)));
    add_tensor(op, item(net.rows, index));
    op->stream = op->besides = INFINITY;
}

/* ---- The module ---------------------------------------------------------------------------- */

static struct module *load(const char *folder)
{
    const struct worker_host host = { 0 };
    struct worker_options options;
    struct module *module = NULL;
    struct vta_error error = { 0 };
    worker_options_default(&options);
    char path[512];
    snprintf(path, sizeof path, "%s/graphlib-x86_64.tar", folder);
    char scratch[] = "/tmp/vtad-bench-XXXXXX";
    if (mkdtemp(scratch) == NULL ||
        worker_open(&net.worker, &options, &host, &module_code_loader, scratch, &error) != 0)
        give_up("worker", &error);
    net.runtime = worker_runtime(&net.worker, &error);
    if (net.runtime == NULL || module_code_loader.load(&net.worker, path, &module, &error) != 0)
        give_up(path, &error);
    rmdir(scratch);
    return module;
}

/* ---- Measuring ----------------------------------------------------------------------------- */

static void call(struct op *op)
{
    union tvm_value args[TENSORS_MAX];
    int32_t codes[TENSORS_MAX];
    struct vta_run_result run;
    struct result nothing;
    struct vta_error error;
    for (uint32_t i = 0; i < op->tensor_count; i++) {
        args[i].p = &op->tensors[i];
        codes[i] = TVM_TENSOR;
    }
    const double start = measure_now();
    if (function_call(op->function, args, codes, (int)op->tensor_count, &nothing, &error) != 0)
        give_up("a kernel", &error);
    const double seconds = measure_now() - start;
    vta_runtime_take_result(net.runtime, &run);
    const double stream = (double)run.wall_ns * 1e-9;
    op->stream = stream < op->stream ? stream : op->stream;
    op->besides = seconds - stream < op->besides ? seconds - stream : op->besides;
}

/* One line for all operators of a kind, at the first of them. */
static void print_kind(uint32_t first, double all)
{
    const struct op *op = &net.ops[first];
    double stream = 0, besides = 0, macs = 0;
    uint32_t calls = 0;
    for (uint32_t i = 0; i < net.op_count; i++) {
        if (strcmp(net.ops[i].kind, op->kind) != 0)
            continue;
        if (i < first)
            return;
        calls++;
        stream += net.ops[i].stream;
        besides += net.ops[i].besides;
        macs += net.ops[i].macs;
    }
    printf("%-46s %5u %9.2f %6.1f %%", op->kind, calls, stream * 1e3, stream / all * 100);
    if (macs > 0)
        printf(" %9.0f", macs / stream * 1e-9);
    else
        printf(" %9s", "");
    printf(" %9.2f\n", besides * 1e3);
}

static void print_all(const struct measure_options *options)
{
    double stream = 0, macs = 0;
    for (uint32_t i = 0; i < net.op_count; i++) {
        stream += net.ops[i].stream;
        macs += net.ops[i].macs;
    }
    if (!options->json) {
        printf("%-46s %5s %9s %8s %9s %9s\n", "ResNet-18", "calls", "streams", "share", "GMAC/s",
               "besides");
        for (uint32_t i = 0; i < net.op_count; i++)
            print_kind(i, stream);
    }
    struct measure_table *table = measure_table_new("bench_network");
    measure_row(table, "ResNet-18, inside its streams", stream * 1e3, "ms", stream * 1e3, "ms",
                TARGET_MS, false);
    measure_row(table, "ResNet-18, inside its streams", macs / stream * 1e-9, "GMAC/s",
                macs / stream * 1e-9, "GMAC/s", NAN, true);
    measure_table_print(table, options->json);
    measure_table_free(table);
}

static void run(const struct measure_options *options, const char *folder)
{
    struct module *module = load(folder);
    const cJSON *node, *nodes = cJSON_GetObjectItem(net.graph, "nodes");
    int index = 0;
    net.shapes = attribute("shape");
    net.types = attribute("dltype");
    net.storages = attribute("storage_id");
    net.rows = cJSON_GetObjectItem(net.graph, "node_row_ptr");
    net.ops = calloc((size_t)cJSON_GetArraySize(nodes), sizeof *net.ops);
    if (net.ops == NULL)
        give_up("memory", NULL);
    allocate();
    cJSON_ArrayForEach(node, nodes)
    {
        if (strcmp(cJSON_GetObjectItem(node, "op")->valuestring, "null") != 0)
            add_op(node, index, module);
        index++;
    }
    for (int round = 0; round < (options->smoke ? 1 : ROUNDS); round++)
        for (uint32_t i = 0; i < net.op_count; i++)
            call(&net.ops[i]);
    for (uint32_t i = 0; i < net.op_count; i++)
        name_kind(&net.ops[i]);
    print_all(options);
    for (uint32_t i = 0; i < net.op_count; i++)
        function_release(net.ops[i].function);
    module_release(module);
    worker_close(&net.worker);
    free(net.ops);
}

int main(int argc, char **argv)
{
    struct measure_options options = { .name = "bench_network", .recordings = true };
    const char *shared = getenv("VTA_SHARED");
    char folder[400], path[450], *text;
    struct vta_error error;
    size_t length;
    measure_options(&options, argc, argv);
    snprintf(folder, sizeof folder, "%s/tvm/networks/resnet18", shared != NULL ? shared : ".");
    snprintf(path, sizeof path, "%s/graph.json", folder);
    if (access(path, R_OK) != 0) {
        fprintf(stderr, "bench_network: there is no %s\n", path);
        return 0;
    }
    if (vta_text_read(path, 1u << 20, &text, &length, &error) != 0)
        give_up(path, &error);
    net.graph = cJSON_ParseWithLength(text, length);
    free(text);
    if (net.graph == NULL)
        give_up(path, NULL);
    run(&options, folder);
    cJSON_Delete(net.graph);
    return 0;
}
