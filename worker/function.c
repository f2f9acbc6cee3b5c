/* function.c: references to functions, calls of them, their results, and checks of arguments. */
#include "function.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "module.h"
#include "worker.h"

struct function *function_hold(struct function *function)
{
    function->references++;
    return function;
}

void function_release(struct function *function)
{
    if (function == NULL || --function->references > 0)
        return;
    if (function->ops->free != NULL)
        function->ops->free(function);
}

/* ---- Results ------------------------------------------------------------------------------- */

void result_clear(struct result *result)
{
    switch (result->code) {
    case TVM_MODULE:
        module_release(result->value.p);
        break;
    case TVM_FUNCTION:
        function_release(result->value.p);
        break;
    case TVM_NDARRAY:
        TVMArrayFree(result->value.p);
        break;
    default:
        break;
    }
    free(result->bytes);
    *result = (struct result){ .code = TVM_NULL };
}

int result_string(struct result *result, const char *text, struct vta_error *error)
{
    char *copy = strdup(text);
    if (copy == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for %zu bytes of text", strlen(text));
    *result = (struct result){
        .code = TVM_STRING, .value.p = copy, .bytes = copy, .nbytes = strlen(text)
    };
    return 0;
}

/* ---- Calls --------------------------------------------------------------------------------- */

int function_call(struct function *function, union tvm_value *args, const int32_t *codes, int count,
                  struct result *result, struct vta_error *error)
{
    struct worker *worker = function->worker;
    *result = (struct result){ .code = TVM_NULL };
    int rc = function->ops->call(function, args, codes, count, result, error);
    if (worker->runtime == NULL || !vta_runtime_failed(worker->runtime))
        return rc;
    /* The kernel's own words, if any, are about what follows from this. */
    rc = vta_runtime_take_error(worker->runtime, error);
    if (rc == VTA_EDEADLINE)
        vta_error_set(error, rc, "stopped: a run passed the deadline of %u ms",
                      worker->options.run_deadline_ms);
    vta_error_prefix(error, "%s", function->name);
    result_clear(result);
    return rc;
}

/* ---- Arguments ----------------------------------------------------------------------------- */

int arguments_count(const struct function *function, int count, int least, int most,
                    struct vta_error *error)
{
    if (count >= least && count <= most)
        return 0;
    if (least == most)
        return vta_error_set(error, VTA_EINVAL, "%s takes %d argument%s, got %d", function->name,
                             least, least == 1 ? "" : "s", count);
    return vta_error_set(error, VTA_EINVAL, "%s takes %d to %d arguments, got %d", function->name,
                         least, most, count);
}

int arguments_code(const struct function *function, const int32_t *codes, int index,
                   enum tvm_code wanted, struct vta_error *error)
{
    if (codes[index] == (int32_t)wanted)
        return 0;
    return vta_error_set(error, VTA_EINVAL, "argument %d of %s: expected type %s, got %s",
                         index + 1, function->name, tvm_code_name(wanted),
                         tvm_code_name(codes[index]));
}

int arguments_int(const struct function *function, const union tvm_value *args,
                  const int32_t *codes, int index, int64_t least, int64_t most, int64_t *value,
                  struct vta_error *error)
{
    if (codes[index] != TVM_UINT && codes[index] != TVM_BOOL) {
        int rc = arguments_code(function, codes, index, TVM_INT, error);
        if (rc != 0)
            return rc;
    }
    int64_t given = args[index].i;
    if (given < least || given > most)
        return vta_error_limit(error, VTA_EINVAL, given < least ? least : most, given,
                               "argument %d of %s is %" PRId64 ", not from %" PRId64 " to %" PRId64,
                               index + 1, function->name, given, least, most);
    *value = given;
    return 0;
}
