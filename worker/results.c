/* results.c: copies what a kernel has returned (results.h). */
#include "results.h"

#include <stdlib.h>
#include <string.h>

#include "abi_state.h"

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

int result_take(struct result *result, const union tvm_value *value, int32_t code,
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
