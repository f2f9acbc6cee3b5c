/* graph_factory.c: a library's graph as a module, and the functions that make an instance of it. */
#include "graph_factory.h"

#include <stdlib.h>
#include <string.h>

#include "graph.h"
#include "objects.h"
#include "worker.h"

struct factory {
    struct module module;   /* first */
    uint8_t *bytes;         /* what the image points into; owned, or NULL: */
    struct factory *source; /* whose bytes they are; a reference */
    struct graph_image image;
    char *name; /* of the graph; owned */
};

/* ---- Instances ----------------------------------------------------------------------------- */

/* Devices are the arguments from `first` on. */
static int read_devices(const struct function *function, const union tvm_value *args,
                        const int32_t *codes, int first, int count, struct graph_options *options,
                        struct vta_error *error)
{
    int rc = arguments_count(function, count, first + 1, first + GRAPH_DEVICES_MAX, error);
    for (int i = first; i < count && rc == 0; i++) {
        rc = arguments_code(function, codes, i, TVM_DEVICE, error);
        if (rc != 0)
            return rc;
        options->devices[options->device_count++] = args[i].device;
        rc = objects_device(args[i].device, error);
    }
    return rc;
}

static int make_instance(const struct function *function, struct factory *factory,
                         const union tvm_value *args, const int32_t *codes, int first, int count,
                         struct result *result, struct vta_error *error)
{
    struct graph_options options = { .json = factory->image.json.text,
                                     .json_bytes = factory->image.json.length,
                                     .debug = first > 0 };
    struct graph *graph;
    int rc = read_devices(function, args, codes, first, count, &options, error);
    if (rc != 0)
        return rc;
    if (factory->module.import_count == 0)
        return vta_error_set(error, VTA_ENOTFOUND, "%s: the graph comes without a library",
                             function->name);
    options.library = factory->module.imports[0];
    rc = graph_new(&graph, function->worker, &options, error);
    if (rc != 0)
        return rc;
    rc = graph_set_params(graph, &factory->image.params, error);
    if (rc != 0)
        module_release(&graph->module);
    else
        *result = (struct result){ .code = TVM_MODULE, .value.p = &graph->module };
    return rc;
}

/* ---- Functions ----------------------------------------------------------------------------- */

typedef int (*factory_fn)(struct function *function, struct factory *factory, union tvm_value *args,
                          const int32_t *codes, int count, struct result *result,
                          struct vta_error *error);

#define CALL_ARGUMENTS                                                                             \
    struct function *function, struct factory *factory, union tvm_value *args,                     \
        const int32_t *codes, int count, struct result *result, struct vta_error *error

static int create(CALL_ARGUMENTS)
{
    return make_instance(function, factory, args, codes, 0, count, result, error);
}

static int debug_create(CALL_ARGUMENTS)
{
    int rc = arguments_count(function, count, 2, 1 + GRAPH_DEVICES_MAX, error);
    if (rc == 0)
        rc = arguments_code(function, codes, 0, TVM_STRING, error);
    if (rc != 0)
        return rc;
    if (strcmp(args[0].s, factory->name) != 0)
        return vta_error_set(error, VTA_ENOTFOUND, "%s: there is no graph '%.64s', only '%.64s'",
                             function->name, args[0].s, factory->name);
    return make_instance(function, factory, args, codes, 1, count, result, error);
}

static int get_graph_json(CALL_ARGUMENTS)
{
    const struct blob_text *json = &factory->image.json;
    (void)args, (void)codes;
    int rc = arguments_count(function, count, 0, 0, error);
    if (rc != 0)
        return rc;
    char *text = malloc(json->length + 1);
    if (text == NULL)
        return vta_error_set(error, VTA_ENOMEM, "%s: no memory", function->name);
    memcpy(text, json->text, json->length);
    text[json->length] = '\0';
    *result = (struct result){
        .code = TVM_STRING, .value.p = text, .bytes = text, .nbytes = json->length
    };
    return 0;
}

/* A map of tensors, which has no form on the wire. */
static int get_graph_params(CALL_ARGUMENTS)
{
    (void)factory, (void)args, (void)codes, (void)count, (void)result;
    return vta_error_set(error, VTA_EUNSUPPORTED,
                         "%s: its result cannot be sent to a client; get_input of an instance "
                         "gives each parameter",
                         function->name);
}

static struct factory *factory_make(struct worker *worker, const struct blob_text *name,
                                    struct vta_error *error);

/* The same graph without parameters. */
static int remove_params(CALL_ARGUMENTS)
{
    (void)args, (void)codes;
    int rc = arguments_count(function, count, 0, 0, error);
    if (rc != 0)
        return rc;
    struct factory *made = factory_make(function->worker, &factory->image.name, error);
    if (made == NULL)
        return VTA_ENOMEM;
    made->source = (struct factory *)module_hold(&factory->module);
    made->image.json = factory->image.json;
    made->image.name = factory->image.name;
    for (uint32_t i = 0; i < factory->module.import_count && rc == 0; i++)
        rc = module_import(&made->module, factory->module.imports[i], error);
    if (rc != 0)
        module_release(&made->module);
    else
        *result = (struct result){ .code = TVM_MODULE, .value.p = &made->module };
    return rc;
}

/* The graph's own name, "default" mostly, is the one of `create`. */
static const struct {
    const char *name;
    factory_fn call;
} kinds[] = { { "debug_create", debug_create },
              { "get_graph_json", get_graph_json },
              { "get_graph_params", get_graph_params },
              { "remove_params", remove_params } };

struct factory_function {
    struct function function; /* first */
    struct factory *factory;  /* a reference */
    factory_fn call;
};

static int factory_call(struct function *function, union tvm_value *args, const int32_t *codes,
                        int count, struct result *result, struct vta_error *error)
{
    const struct factory_function *made = (struct factory_function *)function;
    return made->call(function, made->factory, args, codes, count, result, error);
}

static void function_free(struct function *function)
{
    struct factory_function *made = (struct factory_function *)function;
    module_release(&made->factory->module);
    free(made);
}

static const struct function_ops factory_function_ops = { .call = factory_call,
                                                          .free = function_free };

/* ---- As a module --------------------------------------------------------------------------- */

static struct function *factory_find(struct module *module, const char *name)
{
    struct factory *factory = (struct factory *)module;
    factory_fn call = strcmp(name, factory->name) == 0 ? create : NULL;
    const char *kept = factory->name;
    for (size_t i = 0; call == NULL && i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].name, name) == 0) {
            call = kinds[i].call;
            kept = kinds[i].name;
        }
    struct factory_function *made = call == NULL ? NULL : malloc(sizeof *made);
    if (made == NULL)
        return NULL;
    *made = (struct factory_function){
        .function = { .ops = &factory_function_ops,
                      .worker = module->worker,
                      .name = kept,
                      .references = 1 },
        .factory = (struct factory *)module_hold(module),
        .call = call,
    };
    return &made->function;
}

static void factory_free(struct module *module)
{
    struct factory *factory = (struct factory *)module;
    if (factory->source != NULL)
        module_release(&factory->source->module);
    graph_params_clear(&factory->image.params);
    free(factory->bytes);
    free(factory->name);
    free(factory);
}

static const struct module_ops factory_ops = { .find = factory_find, .free = factory_free };

static struct factory *factory_make(struct worker *worker, const struct blob_text *name,
                                    struct vta_error *error)
{
    struct factory *factory = calloc(1, sizeof *factory);
    char *text = strndup(name->text, name->length);
    if (factory == NULL || text == NULL) {
        free(factory);
        free(text);
        vta_error_set(error, VTA_ENOMEM, "no memory for a module");
        return NULL;
    }
    factory->module = (struct module){ .ops = &factory_ops, .worker = worker, .references = 1 };
    factory->name = text;
    return factory;
}

struct module *graph_factory_new(struct worker *worker, const struct blob *section,
                                 struct vta_error *error)
{
    struct graph_image image;
    uint8_t *bytes = malloc(section->left == 0 ? 1 : section->left);
    if (bytes == NULL) {
        vta_error_set(error, VTA_ENOMEM, "no memory for a graph of %zu bytes",
                      (size_t)section->left);
        return NULL;
    }
    memcpy(bytes, section->at, section->left);
    struct blob blob = { bytes, section->left };
    if (graph_image_take(&blob, &image, error) != 0) {
        free(bytes);
        return NULL;
    }
    struct factory *factory = factory_make(worker, &image.name, error);
    if (factory == NULL) {
        graph_params_clear(&image.params);
        free(bytes);
        return NULL;
    }
    factory->bytes = bytes;
    factory->image = image;
    return &factory->module;
}
