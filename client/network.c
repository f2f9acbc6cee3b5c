/* network.c: a network that TVM compiled, set up at a server from its files and run there.
 */
#include "network.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* ---- Files --------------------------------------------------------------------------------- */

struct file {
    uint8_t *bytes; /* owned; a zero byte follows them */
    size_t nbytes;
};

static int read_open_file(struct file *file, FILE *stream, struct vta_error *error)
{
    struct stat status;
    if (fstat(fileno(stream), &status) != 0)
        return vta_error_set(error, VTA_EIO, "%s", strerror(errno));
    if (!S_ISREG(status.st_mode))
        return vta_error_set(error, VTA_EINVAL, "not a regular file");
    file->nbytes = (size_t)status.st_size;
    file->bytes = malloc(file->nbytes + 1);
    if (file->bytes == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for %zu bytes", file->nbytes);
    if (fread(file->bytes, 1, file->nbytes, stream) != file->nbytes)
        return vta_error_set(error, VTA_EIO, "it has less than its %zu bytes", file->nbytes);
    file->bytes[file->nbytes] = '\0';
    return 0;
}

/* path NULL: nothing. */
static int read_file(struct file *file, const char *path, struct vta_error *error)
{
    if (path == NULL)
        return 0;
    FILE *stream = fopen(path, "rb");
    if (stream == NULL)
        return vta_error_set(error, errno == ENOENT ? VTA_ENOTFOUND : VTA_EIO, "%s: %s", path,
                             strerror(errno));
    int rc = read_open_file(file, stream, error);
    if (rc != 0)
        vta_error_prefix(error, "%s", path);
    fclose(stream);
    return rc;
}

struct files {
    const struct vta_network_options *options;
    struct file library, graph, params;
};

static int read_files(struct files *files, struct vta_error *error)
{
    if (files->options->library == NULL)
        return vta_error_set(error, VTA_EINVAL, "a network needs a library");
    int rc = read_file(&files->library, files->options->library, error);
    if (rc == 0)
        rc = read_file(&files->graph, files->options->graph, error);
    return rc != 0 ? rc : read_file(&files->params, files->options->params, error);
}

static void free_files(struct files *files)
{
    free(files->library.bytes);
    free(files->graph.bytes);
    free(files->params.bytes);
}

/* ---- Setting up ---------------------------------------------------------------------------- */

static int read_graph(struct vta_network *network, const struct files *files, const char *text,
                      const char *name, struct vta_error *error)
{
    int rc = network_graph_read(&network->graph, text, error);
    if (rc != 0) {
        vta_error_prefix(error, "%s", name);
        return rc;
    }
    if (files->params.bytes == NULL)
        return 0;
    rc = network_graph_mark_params(&network->graph, files->params.bytes, files->params.nbytes,
                                   error);
    if (rc != 0)
        vta_error_prefix(error, "%s", files->options->params);
    return rc;
}

/* Reconfigures the session's board, before anything is on it. */
static int configure(struct vta_network *network, const struct vta_network_options *options,
                     struct vta_error *error)
{
    int rc = 0;
    if (options->bitstream != NULL) {
        const struct tvm_item name = vta_tvm_text(options->bitstream);
        rc = vta_tvm_ask(&network->tvm, "tvm.contrib.vta.init", &name, 1, NULL, error);
    }
    if (rc == 0 && options->hw != NULL) {
        const struct tvm_item text = vta_tvm_text(options->hw);
        rc = vta_tvm_ask(&network->tvm, "tvm.contrib.vta.reconfig_runtime", &text, 1, NULL, error);
    }
    return rc;
}

static const char *last_component(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static int load_library(struct vta_network *network, const struct files *files, uint64_t *library,
                        struct vta_error *error)
{
    const char *name = last_component(files->options->library);
    const struct tvm_item args[] = { vta_tvm_text(name),
                                     vta_tvm_bytes(files->library.bytes, files->library.nbytes) };
    int rc = vta_tvm_ask(&network->tvm, "tvm.rpc.server.upload", args, 2, "uploading the library",
                         error);
    if (rc == 0)
        rc = vta_tvm_ask(&network->tvm, "tvm.rpc.server.load_module", args, 1, NULL, error);
    if (rc == 0)
        *library = network->tvm.items[1].handle;
    return rc;
}

/* The graph that the library brings, if it does; *found: it does. */
static int graph_of_library(struct vta_network *network, const struct files *files,
                            uint64_t library, bool *found, struct vta_error *error)
{
    uint64_t function;
    int rc = vta_tvm_member(&network->tvm, library, "get_graph_json", &function, error);
    *found = rc == 0 && function != 0;
    if (rc != 0)
        return rc;
    if (!*found)
        return files->graph.bytes != NULL
                   ? 0
                   : vta_error_set(error, VTA_ENOTFOUND,
                                   "%s: it brings no graph, and no file with one is given",
                                   files->options->library);
    rc = vta_tvm_call(&network->tvm, function, NULL, 0, NULL, error);
    if (rc != 0)
        return rc;
    if (network->tvm.items[1].code != TVM_STRING)
        return vta_error_set(error, VTA_EPROTO, "get_graph_json gave no text");
    network_graph_clear(&network->graph); /* the library's is the one that runs */
    return read_graph(network, files, network->tvm.items[1].bytes.data, files->options->library,
                      error);
}

static struct tvm_item device(int32_t type)
{
    return (struct tvm_item){ .code = TVM_DEVICE, .device = { .type = type } };
}

/* An instance of the graph that the library brings. */
static int create_from_library(struct vta_network *network, const struct files *files,
                               uint64_t library, struct vta_error *error)
{
    const struct tvm_item args[] = { vta_tvm_text("default"), device(TVM_EXT_DEV),
                                     device(TVM_CPU) };
    const char *name = network->profile ? "debug_create" : "default";
    uint64_t function;
    int rc = vta_tvm_member(&network->tvm, library, name, &function, error);
    if (rc == 0 && function == 0)
        rc = vta_error_set(error, VTA_ENOTFOUND, "%s: its network is not called 'default'",
                           files->options->library);
    if (rc != 0)
        return rc;
    return network->profile ? vta_tvm_call(&network->tvm, function, args, 3, NULL, error)
                            : vta_tvm_call(&network->tvm, function, args + 1, 2, NULL, error);
}

/* An instance of the graph in the file. */
static int create_from_graph(struct vta_network *network, const struct files *files,
                             uint64_t library, struct vta_error *error)
{
    const struct tvm_item args[] = { vta_tvm_text((const char *)files->graph.bytes),
                                     { .code = TVM_MODULE, .handle = library },
                                     vta_tvm_int(TVM_EXT_DEV),
                                     vta_tvm_int(0),
                                     vta_tvm_int(TVM_CPU),
                                     vta_tvm_int(0) };
    const char *name =
        network->profile ? "tvm.graph_executor_debug.create" : "tvm.graph_executor.create";
    return vta_tvm_ask(&network->tvm, name, args, sizeof args / sizeof args[0], NULL, error);
}

static int load_params(struct vta_network *network, const struct files *files,
                       struct vta_error *error)
{
    if (files->params.bytes == NULL)
        return 0;
    const struct tvm_item params = vta_tvm_bytes(files->params.bytes, files->params.nbytes);
    int rc = vta_network_call(network, "load_params", &params, 1, "sending parameters", error);
    if (rc != 0)
        vta_error_prefix(error, "%s", files->options->params);
    return rc;
}

static int set_up(struct vta_network *network, const struct files *files, struct vta_error *error)
{
    uint64_t library = 0;
    bool brings_graph = false;
    int rc = configure(network, files->options, error);
    if (rc == 0)
        rc = load_library(network, files, &library, error);
    if (rc == 0)
        rc = graph_of_library(network, files, library, &brings_graph, error);
    if (rc == 0)
        rc = brings_graph ? create_from_library(network, files, library, error)
                          : create_from_graph(network, files, library, error);
    if (rc != 0)
        return rc;
    network->module = network->tvm.items[1].handle;
    return load_params(network, files, error);
}

/* Files first, so that what is wrong with them needs no server. */
static int open_network(struct vta_network *network, struct files *files, struct vta_error *error)
{
    const struct vta_network_options *options = files->options;
    int rc = read_files(files, error);
    if (rc == 0 && files->graph.bytes != NULL)
        rc = read_graph(network, files, (const char *)files->graph.bytes, options->graph, error);
    if (rc == 0)
        rc = vta_tvm_open(&network->tvm, options->host, options->port, options->timeout_ms,
                          options->key, error);
    if (rc != 0)
        return rc;
    network->tvm.progress = options->progress;
    network->tvm.progress_context = options->progress_context;
    return set_up(network, files, error);
}

struct vta_network *vta_network_open(const struct vta_network_options *options,
                                     struct vta_error *error)
{
    struct files files = { .options = options };
    struct vta_network *network = calloc(1, sizeof *network);
    if (network == NULL) {
        vta_error_set(error, VTA_ENOMEM, "no memory for a network");
        return NULL;
    }
    network->profile = options->profile;
    if (open_network(network, &files, error) != 0) {
        vta_network_close(network);
        network = NULL;
    }
    free_files(&files);
    return network;
}

void vta_network_close(struct vta_network *network)
{
    if (network == NULL)
        return;
    vta_tvm_close(&network->tvm);
    network_graph_clear(&network->graph);
    free(network);
}

/* ---- Asking it ----------------------------------------------------------------------------- */

int vta_network_call(struct vta_network *network, const char *name, const struct tvm_item *args,
                     uint32_t count, const char *what, struct vta_error *error)
{
    uint64_t function;
    int rc = vta_tvm_member(&network->tvm, network->module, name, &function, error);
    if (rc != 0)
        return rc;
    if (function == 0)
        return vta_error_set(error, VTA_EUNSUPPORTED, "%s: its networks have no function '%s'",
                             network->tvm.peer, name);
    return vta_tvm_call(&network->tvm, function, args, count, what, error);
}

const struct vta_network_tensor *vta_network_input(const struct vta_network *network, size_t index)
{
    return index < network->graph.input_count ? &network->graph.inputs[index] : NULL;
}

const struct vta_network_tensor *vta_network_output(const struct vta_network *network, size_t index)
{
    return index < network->graph.output_count ? &network->graph.outputs[index] : NULL;
}

/* A tensor of the network's memory. Its shape is in the answer, so it is used before the next. */
static int view(struct vta_network *network, const char *function, const struct tvm_item *key,
                uint64_t nbytes, uint64_t *handle, struct tvm_wire_tensor *tensor,
                uint8_t shape[8 * TVM_NDIM_MAX], struct vta_error *error)
{
    struct vta_tvm *tvm = &network->tvm;
    uint64_t theirs;
    int rc = vta_network_call(network, function, key, 1, NULL, error);
    if (rc != 0)
        return rc;
    if (tvm->count < 3 || tvm->items[1].code != TVM_TENSOR)
        return vta_error_set(error, VTA_EPROTO, "%s gave no tensor", function);
    *tensor = tvm->items[1].tensor;
    *handle = tvm->items[2].handle;
    memcpy(shape, tensor->shape, 8 * (size_t)tensor->ndim);
    tensor->shape = shape;
    rc = tvm_tensor_nbytes(tensor, &theirs, error);
    if (rc == 0 && theirs != nbytes)
        rc = vta_error_set(error, VTA_ESIZE,
                           "%s: %" PRIu64 " bytes at the server, %" PRIu64 " in the graph",
                           function, theirs, nbytes);
    return rc;
}

int vta_network_set_input(struct vta_network *network, const char *name, const void *bytes,
                          size_t nbytes, struct vta_error *error)
{
    uint8_t shape[8 * TVM_NDIM_MAX];
    struct tvm_wire_tensor tensor;
    struct vta_error reason = { .insn = -1 };
    uint64_t handle;
    const struct vta_network_tensor *input = network_graph_input(&network->graph, name, &reason);
    int rc = reason.code;
    if (input != NULL && nbytes != input->nbytes)
        rc = vta_error_limit(&reason, VTA_ESIZE, (int64_t)input->nbytes, (int64_t)nbytes,
                             "%s: %zu bytes, the input has %" PRIu64, input->name, nbytes,
                             input->nbytes);
    if (rc == 0) {
        const struct tvm_item key = vta_tvm_text(input->name);
        rc = view(network, "get_input", &key, nbytes, &handle, &tensor, shape, &reason);
    }
    if (rc == 0)
        rc = vta_tvm_copy_to(&network->tvm, &tensor, bytes, nbytes, "sending an input", &reason);
    if (rc == 0)
        rc = vta_tvm_free_tensor(&network->tvm, handle, &reason);
    if (rc != 0 && error != NULL)
        *error = reason;
    return rc;
}

int vta_network_get_output(struct vta_network *network, size_t index, void *bytes, size_t nbytes,
                           struct vta_error *error)
{
    uint8_t shape[8 * TVM_NDIM_MAX];
    struct tvm_wire_tensor tensor;
    uint64_t handle;
    const struct vta_network_tensor *output = vta_network_output(network, index);
    if (output == NULL)
        return vta_error_limit(error, VTA_ERANGE, (int64_t)network->graph.output_count,
                               (int64_t)index, "no output %zu: the network has %zu", index,
                               network->graph.output_count);
    if (nbytes != output->nbytes)
        return vta_error_limit(error, VTA_ESIZE, (int64_t)output->nbytes, (int64_t)nbytes,
                               "%s: %zu bytes, the output has %" PRIu64, output->name, nbytes,
                               output->nbytes);
    const struct tvm_item key = vta_tvm_int((int64_t)index);
    int rc = view(network, "get_output", &key, nbytes, &handle, &tensor, shape, error);
    if (rc == 0)
        rc = vta_tvm_copy_from(&network->tvm, &tensor, bytes, nbytes, error);
    return rc != 0 ? rc : vta_tvm_free_tensor(&network->tvm, handle, error);
}

int vta_network_run(struct vta_network *network, uint64_t *ns, struct vta_error *error)
{
    struct timespec before, after;
    uint64_t function;
    int rc = vta_tvm_member(&network->tvm, network->module, "run", &function, error);
    if (rc != 0)
        return rc;
    clock_gettime(CLOCK_MONOTONIC, &before);
    rc = vta_tvm_call(&network->tvm, function, NULL, 0, NULL, error);
    clock_gettime(CLOCK_MONOTONIC, &after);
    if (rc == 0 && ns != NULL)
        *ns = (uint64_t)(after.tv_sec - before.tv_sec) * 1000000000u + (uint64_t)after.tv_nsec -
              (uint64_t)before.tv_nsec;
    return rc;
}
