/* guest_values.c: TVM's values and tensors, from our memory to that of emulated code and back. On
 * ARM a pointer has 4 bytes: a DLTensor is another struct there, and a value's upper half is
 * nothing.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "imports.h"

/* Where the fields of a DLTensor are. */
struct tensor_layout {
    uint32_t device, ndim, dtype, shape, strides, byte_offset, nbytes;
};

static const struct tensor_layout *tensor_layout(const struct guest *guest)
{
    static const struct tensor_layout arm = { 4, 12, 16, 20, 24, 32, 40 };
    static const struct tensor_layout aarch64 = { 8, 16, 20, 24, 32, 40, 48 };
    return guest->pointer_bytes == 4 ? &arm : &aarch64;
}

uint64_t guest_tensor_bytes(const struct guest *guest, int32_t ndim)
{
    return tensor_layout(guest)->nbytes + 16 * (uint64_t)ndim;
}

void guest_put_tensor(const struct guest *guest, const struct tvm_tensor *tensor, uint8_t *to,
                      uint64_t address)
{
    const struct tensor_layout *at = tensor_layout(guest);
    const uint64_t extents = 8 * (uint64_t)tensor->ndim;
    const uint64_t data = guest_address(guest, tensor->data), shape = address + at->nbytes;
    const uint64_t strides = tensor->strides != NULL ? shape + extents : 0;
    memcpy(to, &data, guest->pointer_bytes);
    memcpy(to + at->device, &tensor->device, sizeof tensor->device);
    memcpy(to + at->ndim, &tensor->ndim, sizeof tensor->ndim);
    memcpy(to + at->dtype, &tensor->dtype, sizeof tensor->dtype);
    memcpy(to + at->shape, &shape, guest->pointer_bytes);
    memcpy(to + at->strides, &strides, guest->pointer_bytes);
    memcpy(to + at->byte_offset, &tensor->byte_offset, sizeof tensor->byte_offset);
    if (extents > 0)
        memcpy(to + at->nbytes, tensor->shape, extents);
    if (strides != 0)
        memcpy(to + at->nbytes + extents, tensor->strides, extents);
}

/* ---- To the code ---------------------------------------------------------------------------- */

static uint64_t push_tensor(struct guest *guest, const struct tvm_tensor *tensor)
{
    uint64_t address = 0;
    if (tensor->data != NULL && guest_address(guest, tensor->data) == 0) {
        guest_fail(guest, VTA_EREFUSED, "a tensor's memory is not on a device that it has");
        return 0;
    }
    uint8_t *to = guest_push(guest, guest_tensor_bytes(guest, tensor->ndim), &address);
    if (to != NULL)
        guest_put_tensor(guest, tensor, to, address);
    return address;
}

/* With a zero byte behind it. */
static uint64_t push_bytes(struct guest *guest, const char *bytes, uint64_t nbytes)
{
    uint64_t address = 0;
    uint8_t *to = guest_push(guest, nbytes + 1, &address);
    if (to != NULL) {
        memcpy(to, bytes, nbytes);
        to[nbytes] = 0;
    }
    return address;
}

static uint64_t push_view(struct guest *guest, const struct tvm_bytes *bytes)
{
    uint64_t address = 0;
    const uint64_t data = push_bytes(guest, bytes->data, bytes->size), size = bytes->size;
    uint8_t *to = guest_push(guest, 2 * guest->pointer_bytes, &address);
    if (to != NULL) {
        memcpy(to, &data, guest->pointer_bytes);
        memcpy(to + guest->pointer_bytes, &size, guest->pointer_bytes);
    }
    return address;
}

static uint64_t push_value(struct guest *guest, const union tvm_value *value, int32_t code)
{
    switch (code) {
    case TVM_TENSOR:
    case TVM_NDARRAY:
        return push_tensor(guest, value->p);
    case TVM_STRING:
        return push_bytes(guest, value->s, strlen(value->s));
    case TVM_BYTES:
        return push_view(guest, value->p);
    case TVM_MODULE:
    case TVM_FUNCTION:
    case TVM_OBJECT:
        guest_fail(guest, VTA_EUNSUPPORTED, "an emulated kernel cannot be given a %s",
                   tvm_code_name(code));
        return 0;
    default:
        return (uint64_t)value->i;
    }
}

bool guest_push_values(struct guest *guest, const union tvm_value *values, const int32_t *codes,
                       int count, uint64_t *values_address, uint64_t *codes_address)
{
    uint8_t *to = guest_push(guest, 8 * (uint64_t)count, values_address);
    uint8_t *to_codes = guest_push(guest, 4 * (uint64_t)count, codes_address);
    for (int i = 0; i < count && guest->error.code == 0; i++) {
        const uint64_t value = push_value(guest, &values[i], codes[i]);
        memcpy(to + 8 * (size_t)i, &value, sizeof value);
        memcpy(to_codes + 4 * (size_t)i, &codes[i], sizeof codes[i]);
    }
    return guest->error.code == 0;
}

/* ---- From the code -------------------------------------------------------------------------- */

/* Bytes from the data pointer to the end of the last element, and no fewer than without strides,
 * which some of our functions do not look at; false: extents or strides that no memory has. */
static bool extent_of(const struct tvm_tensor *tensor, uint64_t *nbytes)
{
    uint64_t last = 0, step = 1;
    bool empty = false;
    for (int32_t i = tensor->ndim; i-- > 0;) {
        const uint64_t stride = tensor->strides != NULL ? (uint64_t)tensor->strides[i] : step;
        uint64_t length;
        if (tensor->shape[i] < 0 || (tensor->strides != NULL && tensor->strides[i] < 0) ||
            __builtin_mul_overflow(step, (uint64_t)tensor->shape[i], &step))
            return false;
        if (tensor->shape[i] == 0)
            empty = true;
        else if (__builtin_mul_overflow(stride, (uint64_t)tensor->shape[i] - 1, &length) ||
                 __builtin_add_overflow(last, length, &last))
            return false;
    }
    const uint64_t element = ((uint64_t)tensor->dtype.bits * tensor->dtype.lanes + 7) / 8;
    *nbytes = 0;
    if (empty)
        return true;
    if (last < step - 1)
        last = step - 1;
    return !__builtin_mul_overflow(last, element, &last) &&
           !__builtin_add_overflow(last, element, &last) &&
           !__builtin_add_overflow(last, tensor->byte_offset, nbytes);
}

static const uint8_t *need(struct guest *guest, uint64_t address, uint64_t nbytes, const char *what)
{
    const uint8_t *bytes = guest_memory(guest, address, nbytes, IMAGE_READ);
    if (bytes == NULL)
        guest_fail(guest, VTA_EREFUSED,
                   "%s: %s of %" PRIu64 " bytes at 0x%" PRIx64 " is not in its memory",
                   guest->calling != NULL ? guest->calling : "its result", what, nbytes, address);
    return bytes;
}

static uint64_t word_at(const struct guest *guest, const uint8_t *bytes)
{
    uint64_t word = 0;
    memcpy(&word, bytes, guest->pointer_bytes);
    return word;
}

/* A copy of a DLTensor, malloc'ed; NULL: the call fails. */
static struct tvm_tensor *read_tensor(struct guest *guest, uint64_t address)
{
    const struct tensor_layout *at = tensor_layout(guest);
    const uint8_t *from = need(guest, address, at->nbytes, "a tensor");
    struct tvm_tensor *tensor;
    int32_t ndim;
    uint64_t nbytes = 0;
    if (from == NULL)
        return NULL;
    memcpy(&ndim, from + at->ndim, sizeof ndim);
    if (ndim < 0 || ndim > (int32_t)TVM_NDIM_MAX) {
        guest_fail(guest, VTA_EREFUSED, "a tensor of %d dimensions", ndim);
        return NULL;
    }
    const uint64_t shape_address = word_at(guest, from + at->shape);
    const uint64_t strides_address = word_at(guest, from + at->strides);
    const uint64_t extents = 8 * (uint64_t)ndim;
    const uint8_t *shape = from, *strides = NULL;
    if (ndim > 0)
        shape = need(guest, shape_address, extents, "a shape");
    if (strides_address != 0 && ndim > 0)
        strides = need(guest, strides_address, extents, "strides");
    if (guest->error.code != 0 || (tensor = malloc(sizeof *tensor + 2 * extents)) == NULL)
        return NULL;
    *tensor = (struct tvm_tensor){ .ndim = ndim, .shape = (int64_t *)(tensor + 1) };
    memcpy(&tensor->device, from + at->device, sizeof tensor->device);
    memcpy(&tensor->dtype, from + at->dtype, sizeof tensor->dtype);
    memcpy(&tensor->byte_offset, from + at->byte_offset, sizeof tensor->byte_offset);
    memcpy(tensor->shape, shape, extents);
    if (strides != NULL) {
        tensor->strides = tensor->shape + ndim;
        memcpy(tensor->strides, strides, extents);
    }
    const uint64_t data = word_at(guest, from);
    if (!extent_of(tensor, &nbytes))
        guest_fail(guest, VTA_EREFUSED, "a tensor of more bytes than there are");
    else if (data != 0 || nbytes > 0)
        tensor->data = (void *)need(guest, data, nbytes == 0 ? 1 : nbytes, "a tensor's memory");
    return tensor;
}

static struct tvm_bytes *read_view(struct guest *guest, uint64_t address)
{
    const uint8_t *from = need(guest, address, 2 * guest->pointer_bytes, "a byte array");
    struct tvm_bytes *bytes = from != NULL ? malloc(sizeof *bytes) : NULL;
    if (bytes == NULL)
        return NULL;
    const uint64_t data = word_at(guest, from), size = word_at(guest, from + guest->pointer_bytes);
    *bytes = (struct tvm_bytes){ .data = "", .size = size };
    if (size > 0)
        bytes->data = (const char *)need(guest, data, size, "a byte array");
    return bytes;
}

/* *made: what was allocated for it. */
static void read_value(struct guest *guest, union tvm_value *value, int32_t code, void **made)
{
    const uint64_t address = guest->pointer_bytes == 4 ? (uint32_t)value->i : (uint64_t)value->i;
    switch (code) {
    case TVM_TENSOR:
    case TVM_NDARRAY:
        value->p = *made = read_tensor(guest, address);
        break;
    case TVM_BYTES:
        value->p = *made = read_view(guest, address);
        break;
    case TVM_STRING:
        value->s = guest_text(guest, address);
        *made = NULL;
        if (value->s != NULL)
            return;
        guest_fail(guest, VTA_EREFUSED, "a text at 0x%" PRIx64 " is not in its memory", address);
        return;
    case TVM_MODULE:
    case TVM_FUNCTION:
    case TVM_OBJECT:
        guest_fail(guest, VTA_EUNSUPPORTED, "emulated code cannot pass a %s on",
                   tvm_code_name(code));
        return;
    default:
        return;
    }
    if (*made == NULL)
        guest_fail(guest, VTA_ENOMEM, "no memory for a value");
}

bool guest_read_values(struct guest *guest, struct guest_values *values, uint64_t values_address,
                       uint64_t codes_address, int64_t count)
{
    static const uint8_t none[8];
    *values = (struct guest_values){ 0 };
    if (count < 0 || count > (int64_t)(SIZE_MAX / 8)) {
        guest_fail(guest, VTA_EREFUSED, "a call with %" PRId64 " arguments", count);
        return false;
    }
    const uint8_t *from =
        count > 0 ? need(guest, values_address, 8 * (uint64_t)count, "arguments") : none;
    const uint8_t *codes =
        count > 0 ? need(guest, codes_address, 4 * (uint64_t)count, "type codes") : none;
    if (from == NULL || codes == NULL)
        return false;
    values->values = calloc((size_t)count + 1, sizeof *values->values);
    values->codes = calloc((size_t)count + 1, sizeof *values->codes);
    values->made = calloc((size_t)count + 1, sizeof *values->made);
    if (values->values == NULL || values->codes == NULL || values->made == NULL) {
        guest_fail(guest, VTA_ENOMEM, "no memory for %" PRId64 " arguments", count);
        return false;
    }
    memcpy(values->values, from, 8 * (size_t)count);
    memcpy(values->codes, codes, 4 * (size_t)count);
    for (; values->count < count && guest->error.code == 0; values->count++)
        read_value(guest, &values->values[values->count], values->codes[values->count],
                   &values->made[values->count]);
    return guest->error.code == 0;
}

void guest_values_free(struct guest_values *values)
{
    for (int i = 0; i < values->count; i++)
        free(values->made[i]);
    free(values->values);
    free(values->codes);
    free(values->made);
}

int guest_take_result(struct guest *guest, uint64_t value_address, uint64_t code_address,
                      struct result *result, struct vta_error *error)
{
    union tvm_value value = { 0 };
    int32_t code = TVM_NULL;
    void *made = NULL;
    const uint8_t *from = need(guest, value_address, sizeof value, "a result");
    const uint8_t *from_code = need(guest, code_address, sizeof code, "a result");
    if (from == NULL || from_code == NULL)
        return *error = guest->error, error->code;
    memcpy(&value, from, sizeof value);
    memcpy(&code, from_code, sizeof code);
    if (code == TVM_NDARRAY)
        value.p = guest_take_array(guest, guest->pointer_bytes == 4 ? (uint32_t)value.i
                                                                    : (uint64_t)value.i);
    else if (value.i != 0)
        read_value(guest, &value, code, &made);
    int rc = guest->error.code;
    if (rc == 0)
        rc = result_take(&value, code, result, error);
    else
        *error = guest->error;
    free(made);
    return rc;
}
