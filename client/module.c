/* module.c: loaded modules and their functions: what they are, and calling them.
 */
#include "session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"

struct vta_module {
    struct vta_session *session; /* held */
    uint64_t handle;
    size_t count;
    char **names; /* owned */
    uint64_t hazards_found;
    size_t hazard_count;
    struct hazard {
        char *text; /* owned */
        bool warning;
    } * hazards;
};

struct vta_function {
    struct vta_session *session; /* held */
    uint64_t handle;
    char *name; /* owned, as the params and their names */
    uint32_t param_count;
    struct vta_param *params;
    struct vta_counters counters;
};

#define HAZARD_MAX_BYTES 4096u /* of a finding's message */
#define NAME_MAX_BYTES   4096u /* of a function or parameter; a server's own limit is lower */

static int get_array(const msgpack_object *map, const char *key, uint32_t max,
                     const msgpack_object_array **array, struct vta_error *error)
{
    const msgpack_object *value = vta_result_get(map, key);

    if (value->type != MSGPACK_OBJECT_ARRAY)
        return vta_error_set(error, VTA_EPROTO, "%s: expected an array", key);
    if (value->via.array.size > max)
        return vta_error_set(error, VTA_EPROTO, "%s: %u entries, at most %u", key,
                             value->via.array.size, max);
    *array = &value->via.array;
    return 0;
}

/* A string's copy; the caller frees *name. */
static int get_name(const msgpack_object *object, const char *what, char **name,
                    struct vta_error *error)
{
    char text[NAME_MAX_BYTES + 1];
    int rc = vta_get_text(object, text, NAME_MAX_BYTES, what, error);

    if (rc == 0 && (*name = strdup(text)) == NULL)
        rc = vta_error_set(error, VTA_ENOMEM, "no memory for a name");
    return rc;
}

/* ---- Modules ------------------------------------------------------------------------------- */

/* Releases the host's side only. */
static void forget_module(struct vta_module *module)
{
    for (size_t i = 0; i < module->count; i++)
        free(module->names[i]);
    free(module->names);
    for (size_t i = 0; i < module->hazard_count; i++)
        free(module->hazards[i].text);
    free(module->hazards);
    vta_session_release(module->session);
    free(module);
}

/* "my_gemm: race: …" */
static int read_hazard(struct hazard *hazard, const msgpack_object *map, struct vta_error *error)
{
    char text[HAZARD_MAX_BYTES + 1];
    char *name = NULL;
    const msgpack_object *warning = vta_result_get(map, "warning");
    int rc = get_name(vta_result_get(map, "function"), "function", &name, error);

    if (rc == 0)
        rc = vta_get_text(vta_result_get(map, "message"), text, HAZARD_MAX_BYTES, "message", error);
    if (rc == 0 && asprintf(&hazard->text, "%s: %s", name, text) < 0) {
        hazard->text = NULL;
        rc = vta_error_set(error, VTA_ENOMEM, "no memory for a hazard");
    }
    hazard->warning = warning->type == MSGPACK_OBJECT_BOOLEAN && warning->via.boolean;
    free(name);
    return rc;
}

/* Servers of before hazards send none. */
static int read_hazards(struct vta_module *module, const msgpack_object *map,
                        struct vta_error *error)
{
    const msgpack_object_array *list;

    if (vta_result_get(map, "hazards")->type == MSGPACK_OBJECT_NIL)
        return 0;
    int rc = vta_get_uint(vta_result_get(map, "hazards_found"), UINT64_MAX, &module->hazards_found,
                          "hazards_found", error);
    if (rc == 0)
        rc = get_array(map, "hazards", UINT16_MAX, &list, error);
    if (rc != 0)
        return rc;
    module->hazards = calloc((size_t)list->size + 1, sizeof *module->hazards);
    if (module->hazards == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for %u hazards", list->size);
    for (uint32_t i = 0; rc == 0 && i < list->size; i++) {
        rc = read_hazard(&module->hazards[i], &list->ptr[i], error);
        module->hazard_count += rc == 0;
    }
    return rc;
}

static int read_module(struct vta_module *module, const msgpack_object *map,
                       struct vta_error *error)
{
    const msgpack_object_array *names;
    int rc =
        vta_get_uint(vta_result_get(map, "module"), UINT64_MAX, &module->handle, "module", error);

    if (rc == 0)
        rc = get_array(map, "functions", UINT16_MAX, &names, error);
    if (rc != 0)
        return rc;
    module->names = calloc((size_t)names->size + 1, sizeof *module->names);
    if (module->names == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for %u names", names->size);
    for (uint32_t i = 0; i < names->size; i++) {
        rc = get_name(&names->ptr[i], "functions", &module->names[i], error);
        if (rc != 0)
            return rc;
        module->count++;
    }
    return read_hazards(module, map, error);
}

struct vta_module *vta_load_module(struct vta_session *session, const char *name,
                                   struct vta_error *error)
{
    const msgpack_object *result;
    struct vta_error reason;

    vta_pack_str(vta_request_begin(session, "module.load", 1), name);
    if (vta_request_call(session, VTA_PATIENT, NULL, &result, error) != 0)
        return NULL;
    struct vta_module *module = calloc(1, sizeof *module);
    if (module == NULL) {
        vta_error_set(error, VTA_ENOMEM, "no memory for a module");
        return NULL;
    }
    module->session = session;
    vta_session_hold(session);
    if (read_module(module, result, &reason) == 0)
        return module;
    vta_session_bad_result(session, "module.load", &reason, error);
    forget_module(module);
    return NULL;
}

void vta_module_free(struct vta_module *module)
{
    if (module == NULL)
        return;
    if (module->session->open) {
        msgpack_packer *packer = vta_request_begin(module->session, "module.unload", 1);
        msgpack_pack_uint64(packer, module->handle);
        vta_request_call(module->session, VTA_PATIENT, NULL, NULL, NULL);
    }
    forget_module(module);
}

size_t vta_module_function_count(const struct vta_module *module)
{
    return module->count;
}

const char *vta_module_function_name(const struct vta_module *module, size_t index)
{
    return index < module->count ? module->names[index] : NULL;
}

uint64_t vta_module_hazards_found(const struct vta_module *module)
{
    return module->hazards_found;
}

const char *vta_module_hazard(const struct vta_module *module, size_t index, bool *warning)
{
    if (index >= module->hazard_count)
        return NULL;
    if (warning != NULL)
        *warning = module->hazards[index].warning;
    return module->hazards[index].text;
}

/* ---- Functions ----------------------------------------------------------------------------- */

static int read_shape(const msgpack_object *map, struct vta_tensor_type *type,
                      struct vta_error *error)
{
    const msgpack_object_array *shape;
    int rc = get_array(map, "shape", VTA_MAX_NDIM, &shape, error);

    for (uint32_t i = 0; rc == 0 && i < shape->size; i++)
        rc = vta_get_uint(&shape->ptr[i], UINT64_MAX, &type->shape[i], "shape", error);
    if (rc == 0)
        type->ndim = shape->size;
    return rc;
}

static int read_memory(const msgpack_object *map, enum vta_memory *memory, struct vta_error *error)
{
    char text[16];
    int rc = vta_get_text(vta_result_get(map, "memory"), text, sizeof text - 1, "memory", error);

    if (rc != 0)
        return rc;
    for (int i = 0; i < VTA_MEM_COUNT; i++)
        if (strcmp(text, vta_memory_name((enum vta_memory)i)) == 0) {
            *memory = (enum vta_memory)i;
            return 0;
        }
    return vta_error_set(error, VTA_EPROTO, "memory: \"%s\" is not known here", text);
}

static int read_access(const msgpack_object *map, enum vta_access *access, struct vta_error *error)
{
    static const char *const names[] = { "read", "write", "read-write" };
    char text[16];
    int rc = vta_get_text(vta_result_get(map, "access"), text, sizeof text - 1, "access", error);

    if (rc != 0)
        return rc;
    for (int i = 0; i < 3; i++)
        if (strcmp(text, names[i]) == 0) {
            *access = (enum vta_access)(VTA_ACCESS_READ + i);
            return 0;
        }
    return vta_error_set(error, VTA_EPROTO, "access: \"%s\" is not known here", text);
}

static int read_param(const msgpack_object *map, struct vta_param *param, struct vta_error *error)
{
    char dtype[16];
    int rc = get_name(vta_result_get(map, "name"), "name", &param->name, error);

    if (rc == 0)
        rc = vta_get_text(vta_result_get(map, "dtype"), dtype, sizeof dtype - 1, "dtype", error);
    if (rc == 0)
        rc = vta_dtype_parse(&param->type.dtype, dtype, error);
    if (rc == 0)
        rc = read_shape(map, &param->type, error);
    if (rc == 0)
        rc = read_memory(map, &param->memory, error);
    if (rc == 0)
        rc = read_access(map, &param->access, error);
    return rc;
}

static int read_function(struct vta_function *function, const msgpack_object *map,
                         struct vta_error *error)
{
    const msgpack_object_array *params;
    int rc = vta_get_uint(vta_result_get(map, "function"), UINT64_MAX, &function->handle,
                          "function", error);

    if (rc == 0)
        rc = get_name(vta_result_get(map, "name"), "name", &function->name, error);
    if (rc == 0)
        rc = vta_get_counter_map(vta_result_get(map, "counters"), &function->counters, "counters",
                                 error);
    if (rc == 0)
        rc = get_array(map, "params", UINT16_MAX, &params, error);
    if (rc != 0)
        return rc;
    function->params = calloc((size_t)params->size + 1, sizeof *function->params);
    if (function->params == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for %u parameters", params->size);
    function->param_count = params->size;
    for (uint32_t i = 0; rc == 0 && i < params->size; i++)
        rc = read_param(&params->ptr[i], &function->params[i], error);
    return rc;
}

struct vta_function *vta_module_function(struct vta_module *module, const char *name,
                                         struct vta_error *error)
{
    struct vta_session *session = module->session;
    const msgpack_object *result;
    struct vta_error reason;

    msgpack_packer *packer = vta_request_begin(session, "function.get", 2);
    msgpack_pack_uint64(packer, module->handle);
    vta_pack_str(packer, name);
    if (vta_request_call(session, VTA_PROMPT, NULL, &result, error) != 0)
        return NULL;
    struct vta_function *function = calloc(1, sizeof *function);
    if (function == NULL) {
        vta_error_set(error, VTA_ENOMEM, "no memory for a function");
        return NULL;
    }
    function->session = session;
    vta_session_hold(session);
    if (read_function(function, result, &reason) == 0)
        return function;
    vta_session_bad_result(session, "function.get", &reason, error);
    vta_function_free(function);
    return NULL;
}

void vta_function_free(struct vta_function *function)
{
    if (function == NULL)
        return;
    for (uint32_t i = 0; i < function->param_count; i++)
        free(function->params[i].name);
    free(function->params);
    free(function->name);
    vta_session_release(function->session);
    free(function);
}

const char *vta_function_name(const struct vta_function *function)
{
    return function->name;
}

size_t vta_function_param_count(const struct vta_function *function)
{
    return function->param_count;
}

const struct vta_param *vta_function_param(const struct vta_function *function, size_t index)
{
    return index < function->param_count ? &function->params[index] : NULL;
}

struct vta_counters vta_function_counters(const struct vta_function *function)
{
    return function->counters;
}

/* ---- Calls --------------------------------------------------------------------------------- */

/* "int8 (1, 64, 1, 16)" */
static void print_type(const struct vta_tensor_type *type, char *text, size_t size)
{
    char dtype[16];
    size_t used;

    vta_dtype_print(type->dtype, dtype);
    used = (size_t)snprintf(text, size, "%s (", dtype);
    for (uint32_t i = 0; i < type->ndim && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%" PRIu64, i > 0 ? ", " : "",
                                 type->shape[i]);
    if (used < size)
        snprintf(text + used, size - used, ")");
}

static bool same_type(const struct vta_tensor_type *a, const struct vta_tensor_type *b)
{
    return a->dtype.code == b->dtype.code && a->dtype.bits == b->dtype.bits && a->ndim == b->ndim &&
           memcmp(a->shape, b->shape, a->ndim * sizeof a->shape[0]) == 0;
}

static int check_array(const struct vta_function *function, uint32_t index,
                       const struct vta_ndarray *array, struct vta_error *error)
{
    const struct vta_param *param = &function->params[index];
    char want[256], have[256];

    if (array == NULL)
        return vta_error_set(error, VTA_EINVAL, "%s: parameter %u (%s): no array", function->name,
                             index, param->name);
    if (array->session != function->session)
        return vta_error_set(error, VTA_EINVAL,
                             "%s: parameter %u (%s): the array is of another session",
                             function->name, index, param->name);
    if (same_type(&param->type, &array->type))
        return 0;
    print_type(&param->type, want, sizeof want);
    print_type(&array->type, have, sizeof have);
    return vta_error_set(error, VTA_ESIZE, "%s: parameter %u (%s) is %s, the array is %s",
                         function->name, index, param->name, want, have);
}

/* Everything that can be known before the daemon is asked. */
static int check_call(const struct vta_function *function, struct vta_ndarray *const *arrays,
                      size_t count, struct vta_error *error)
{
    int rc = vta_session_usable(function->session, error);

    if (rc != 0)
        return rc;
    if (count != function->param_count)
        return vta_error_limit(error, VTA_ESIZE, function->param_count, (int64_t)count,
                               "%s has %u parameters, %zu arrays were given", function->name,
                               function->param_count, count);
    for (uint32_t i = 0; rc == 0 && i < function->param_count; i++)
        rc = check_array(function, i, arrays[i], error);
    return rc;
}

static msgpack_packer *begin_call(struct vta_function *function, const char *method,
                                  uint32_t param_count, struct vta_ndarray *const *arrays)
{
    msgpack_packer *packer = vta_request_begin(function->session, method, param_count);

    msgpack_pack_uint64(packer, function->handle);
    msgpack_pack_array(packer, function->param_count);
    for (uint32_t i = 0; i < function->param_count; i++)
        msgpack_pack_uint64(packer, arrays[i]->handle);
    return packer;
}

/* The predicted time, which is missing where there is no timing profile. */
static int read_board_time(const msgpack_object *map, struct vta_run_stats *stats,
                           struct vta_error *error)
{
    const msgpack_object *ns = vta_result_get(map, "board_ns");
    stats->board_ns = stats->board_cycles = 0;
    if (ns->type == MSGPACK_OBJECT_NIL)
        return 0;
    int rc = vta_get_uint(ns, UINT64_MAX, &stats->board_ns, "board_ns", error);
    return rc != 0 ? rc
                   : vta_get_uint(vta_result_get(map, "board_cycles"), UINT64_MAX,
                                  &stats->board_cycles, "board_cycles", error);
}

static int read_stats(const msgpack_object *map, struct vta_run_stats *stats,
                      struct vta_error *error)
{
    int rc =
        vta_get_counter_map(vta_result_get(map, "counters"), &stats->counters, "counters", error);

    if (rc == 0)
        rc = vta_get_uint(vta_result_get(map, "wall_ns"), UINT64_MAX, &stats->wall_ns, "wall_ns",
                          error);
    if (rc == 0)
        rc = read_board_time(map, stats, error);
    return rc;
}

int vta_call(struct vta_function *function, struct vta_ndarray *const *arrays, size_t count,
             struct vta_run_stats *stats, struct vta_error *error)
{
    const msgpack_object *result;
    struct vta_run_stats ignored;
    struct vta_error reason;
    int rc = check_call(function, arrays, count, error);

    if (rc != 0)
        return rc;
    begin_call(function, "run", 2, arrays);
    rc = vta_request_call(function->session, VTA_PATIENT, NULL, &result, error);
    if (rc == 0 && read_stats(result, stats != NULL ? stats : &ignored, &reason) != 0)
        return vta_session_bad_result(function->session, "run", &reason, error);
    return rc;
}

/* A float; some packers write whole ones as integers. */
static bool get_float(const msgpack_object *object, double *value)
{
    switch (object->type) {
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        *value = object->via.f64;
        return true;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        *value = (double)object->via.u64;
        return true;
    default:
        return false;
    }
}

static int read_results(const msgpack_object *result, uint32_t repeat, double *results,
                        struct vta_error *error)
{
    if (result->type != MSGPACK_OBJECT_ARRAY || result->via.array.size != repeat)
        return vta_error_set(error, VTA_EPROTO, "expected an array of %u numbers", repeat);
    for (uint32_t i = 0; i < repeat; i++)
        if (!get_float(&result->via.array.ptr[i], &results[i]))
            return vta_error_set(error, VTA_EPROTO, "result %u: expected a number", i);
    return 0;
}

int vta_time_evaluator(struct vta_function *function, struct vta_ndarray *const *arrays,
                       size_t count, uint32_t number, uint32_t repeat, uint32_t min_repeat_ms,
                       double *results, struct vta_error *error)
{
    const msgpack_object *result;
    struct vta_error reason;
    int rc = check_call(function, arrays, count, error);

    if (rc != 0)
        return rc;
    msgpack_packer *packer = begin_call(function, "time_evaluator", 5, arrays);
    msgpack_pack_uint32(packer, number);
    msgpack_pack_uint32(packer, repeat);
    msgpack_pack_uint32(packer, min_repeat_ms);
    rc = vta_request_call(function->session, VTA_PATIENT, NULL, &result, error);
    if (rc == 0 && read_results(result, repeat, results, &reason) != 0)
        return vta_session_bad_result(function->session, "time_evaluator", &reason, error);
    return rc;
}
