/* function.c: references to functions, calls of them, their results, and checks of arguments. */
#include "function.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "abi_state.h"
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

static int result_bytes(struct result *result, int32_t code, const void *data, size_t nbytes,
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

int result_string(struct result *result, const char *text, struct vta_error *error)
{
    return result_bytes(result, TVM_STRING, text, strlen(text), error);
}

int result_take(const union tvm_value *value, int32_t code, struct result *result,
                struct vta_error *error)
{
    const struct tvm_bytes *bytes;
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
        return result_bytes(result, code, value->s, strlen(value->s), error);
    case TVM_BYTES:
        bytes = value->p;
        if (bytes == NULL)
            break;
        return result_bytes(result, code, bytes->data, bytes->size, error);
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
