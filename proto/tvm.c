/* tvm.c: reading and writing TVM's packets. Every read is bounds-checked, every count has a limit;
 * nothing is allocated.
 */
#include "tvm.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

const char *tvm_code_name(int32_t code)
{
    switch (code) {
    case TVM_INT:
        return "int";
    case TVM_UINT:
        return "uint";
    case TVM_FLOAT:
        return "float";
    case TVM_OPAQUE:
        return "opaque handle";
    case TVM_NULL:
        return "null";
    case TVM_DTYPE:
        return "dtype";
    case TVM_DEVICE:
        return "device";
    case TVM_TENSOR:
        return "tensor";
    case TVM_OBJECT:
        return "object";
    case TVM_MODULE:
        return "module";
    case TVM_FUNCTION:
        return "function";
    case TVM_STRING:
        return "string";
    case TVM_BYTES:
        return "bytes";
    case TVM_NDARRAY:
        return "array";
    case TVM_BOOL:
        return "bool";
    default:
        return "unknown type";
    }
}

/* ---- Little-endian numbers ----------------------------------------------------------------- */

static uint64_t get_number(const uint8_t *bytes, unsigned nbytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < nbytes; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

uint32_t tvm_get_u32(const uint8_t *bytes)
{
    return (uint32_t)get_number(bytes, 4);
}

uint64_t tvm_get_u64(const uint8_t *bytes)
{
    return get_number(bytes, 8);
}

static uint8_t *put_number(uint8_t *bytes, uint64_t value, unsigned nbytes)
{
    for (unsigned i = 0; i < nbytes; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    return bytes + nbytes;
}

/* ---- Tensors ------------------------------------------------------------------------------- */

int64_t tvm_extent(const struct tvm_wire_tensor *tensor, uint32_t dimension)
{
    return (int64_t)get_number(tensor->shape + 8 * (size_t)dimension, 8);
}

int tvm_tensor_nbytes(const struct tvm_wire_tensor *tensor, uint64_t *nbytes,
                      struct vta_error *error)
{
    uint32_t bits = (uint32_t)tensor->dtype.bits * tensor->dtype.lanes;
    if (bits == 0)
        return vta_error_set(error, VTA_EFORMAT,
                             "a tensor's type has %u bits and %u lanes; both are 1 or more",
                             tensor->dtype.bits, tensor->dtype.lanes);
    uint64_t product = (bits + 7) / 8;
    bool empty = false;
    for (uint32_t i = 0; i < tensor->ndim; i++) {
        int64_t extent = tvm_extent(tensor, i);
        if (extent < 0)
            return vta_error_set(error, VTA_ESIZE, "dimension %" PRIu32 " of a tensor is %" PRId64,
                                 i, extent);
        if (extent == 0)
            empty = true;
        else if (__builtin_mul_overflow(product, (uint64_t)extent, &product))
            return vta_error_set(error, VTA_ESIZE,
                                 "the shape of a tensor overflows at dimension %" PRIu32
                                 ", which is %" PRId64,
                                 i, extent);
    }
    *nbytes = empty ? 0 : product;
    return 0;
}

/* ---- Reading ------------------------------------------------------------------------------- */

static int need(const struct tvm_reader *reader, uint64_t nbytes, const char *what,
                struct vta_error *error)
{
    if (nbytes <= reader->left)
        return 0;
    return vta_error_set(error, VTA_EFORMAT,
                         "the packet ends within %s: %" PRIu64 " bytes are needed, %zu are left",
                         what, nbytes, reader->left);
}

/* The next nbytes, which are there. */
static uint8_t *take(struct tvm_reader *reader, size_t nbytes)
{
    uint8_t *at = reader->at;
    reader->at += nbytes;
    reader->left -= nbytes;
    return at;
}

static uint64_t take_number(struct tvm_reader *reader, unsigned nbytes)
{
    return get_number(take(reader, nbytes), nbytes);
}

int tvm_read_u32(struct tvm_reader *reader, uint32_t *value, const char *what,
                 struct vta_error *error)
{
    int rc = need(reader, 4, what, error);
    if (rc == 0)
        *value = (uint32_t)take_number(reader, 4);
    return rc;
}

int tvm_read_u64(struct tvm_reader *reader, uint64_t *value, const char *what,
                 struct vta_error *error)
{
    int rc = need(reader, 8, what, error);
    if (rc == 0)
        *value = take_number(reader, 8);
    return rc;
}

static int read_bytes(struct tvm_reader *reader, char **bytes, size_t *length, const char *what,
                      struct vta_error *error)
{
    uint64_t nbytes;
    int rc = tvm_read_u64(reader, &nbytes, what, error);
    if (rc == 0)
        rc = need(reader, nbytes, what, error);
    if (rc != 0)
        return rc;
    *length = (size_t)nbytes;
    *bytes = (char *)take(reader, *length);
    return 0;
}

int tvm_read_text(struct tvm_reader *reader, char **text, size_t *length, const char *what,
                  struct vta_error *error)
{
    char *bytes;
    int rc = read_bytes(reader, &bytes, length, what, error);
    if (rc != 0)
        return rc;
    if (memchr(bytes, '\0', *length) != NULL)
        return vta_error_set(error, VTA_EFORMAT, "%s has a zero byte in it", what);
    *text = memmove(bytes - 1, bytes, *length); /* over the end of its length, which is read */
    (*text)[*length] = '\0';
    return 0;
}

static struct tvm_dtype take_dtype(struct tvm_reader *reader)
{
    struct tvm_dtype dtype = { .code = (uint8_t)take_number(reader, 1) };
    dtype.bits = (uint8_t)take_number(reader, 1);
    dtype.lanes = (uint16_t)take_number(reader, 2);
    return dtype;
}

static struct tvm_device take_device(struct tvm_reader *reader)
{
    struct tvm_device device = { .type = (int32_t)take_number(reader, 4) };
    device.id = (int32_t)take_number(reader, 4);
    return device;
}

int tvm_read_tensor(struct tvm_reader *reader, struct tvm_wire_tensor *tensor, const char *what,
                    struct vta_error *error)
{
    int rc = need(reader, 8 + 8 + 4 + 4, what, error);
    if (rc != 0)
        return rc;
    tensor->data = take_number(reader, 8);
    tensor->device = take_device(reader);
    int32_t ndim = (int32_t)take_number(reader, 4);
    tensor->dtype = take_dtype(reader);
    if (ndim < 0 || ndim > (int32_t)TVM_NDIM_MAX)
        return vta_error_limit(error, VTA_EFORMAT, TVM_NDIM_MAX, ndim,
                               "%s has %" PRId32 " dimensions, from 0 to %u are possible", what,
                               ndim, TVM_NDIM_MAX);
    tensor->ndim = (uint32_t)ndim;
    rc = need(reader, 8 * (uint64_t)tensor->ndim + 8, what, error);
    if (rc != 0)
        return rc;
    tensor->shape = take(reader, 8 * (size_t)tensor->ndim);
    tensor->byte_offset = take_number(reader, 8);
    return 0;
}

/* Newer clients send modules and functions as objects: the index of a type, and the handle. */
#define OBJECT_OF_RPC 9u

static int read_object(struct tvm_reader *reader, uint64_t *handle, const char *what,
                       struct vta_error *error)
{
    int rc = need(reader, 4 + 8, what, error);
    if (rc != 0)
        return rc;
    uint32_t type = (uint32_t)take_number(reader, 4);
    if (type != OBJECT_OF_RPC)
        return vta_error_set(error, VTA_EFORMAT,
                             "%s is an object of type %" PRIu32
                             "; only objects of this server (%u) can be sent",
                             what, type, OBJECT_OF_RPC);
    *handle = take_number(reader, 8);
    return 0;
}

static int read_float(struct tvm_reader *reader, double *value, const char *what,
                      struct vta_error *error)
{
    uint64_t bits;
    int rc = tvm_read_u64(reader, &bits, what, error);
    if (rc == 0)
        memcpy(value, &bits, sizeof bits);
    return rc;
}

static int read_item(struct tvm_reader *reader, struct tvm_item *item, const char *what,
                     struct vta_error *error)
{
    int rc;
    switch (item->code) {
    case TVM_INT:
    case TVM_UINT:
    case TVM_BOOL:
    case TVM_OPAQUE:
    case TVM_MODULE:
    case TVM_FUNCTION:
        return tvm_read_u64(reader, &item->handle, what, error);
    case TVM_FLOAT:
        return read_float(reader, &item->f, what, error);
    case TVM_NULL:
        item->handle = 0;
        return 0;
    case TVM_DTYPE:
        rc = need(reader, 8, what, error);
        if (rc == 0) {
            item->dtype = take_dtype(reader);
            take(reader, 4);
        }
        return rc;
    case TVM_DEVICE:
        rc = need(reader, 8, what, error);
        if (rc == 0)
            item->device = take_device(reader);
        return rc;
    case TVM_TENSOR:
        return tvm_read_tensor(reader, &item->tensor, what, error);
    case TVM_OBJECT:
        return read_object(reader, &item->handle, what, error);
    case TVM_STRING:
        return tvm_read_text(reader, &item->bytes.data, &item->bytes.size, what, error);
    case TVM_BYTES:
        return read_bytes(reader, &item->bytes.data, &item->bytes.size, what, error);
    default:
        return vta_error_set(error, VTA_EFORMAT, "%s has type code %" PRId32 ", which is none",
                             what, item->code);
    }
}

/* "value 3 of 7": made only where it is said. */
static int item_error(struct vta_error *error, uint32_t index, uint32_t count, int code)
{
    vta_error_prefix(error, "value %" PRIu32 " of %" PRIu32, index + 1, count);
    return code;
}

int tvm_read_sequence(struct tvm_reader *reader, struct tvm_item *items, uint32_t *count,
                      struct vta_error *error)
{
    uint32_t announced;
    int rc = tvm_read_u32(reader, &announced, "the number of values", error);
    if (rc != 0)
        return rc;
    if (announced > TVM_ITEMS_MAX)
        return vta_error_limit(error, VTA_EFORMAT, TVM_ITEMS_MAX, (int32_t)announced,
                               "a sequence of %" PRId32 " values, from 0 to %u are possible",
                               (int32_t)announced, TVM_ITEMS_MAX);
    rc = need(reader, 4 * (uint64_t)announced, "the type codes", error);
    if (rc != 0)
        return rc;
    for (uint32_t i = 0; i < announced; i++)
        items[i].code = (int32_t)take_number(reader, 4);
    for (uint32_t i = 0; i < announced; i++) {
        rc = read_item(reader, &items[i], tvm_code_name(items[i].code), error);
        if (rc != 0)
            return item_error(error, i, announced, rc);
    }
    *count = announced;
    return 0;
}

int tvm_read_end(const struct tvm_reader *reader, struct vta_error *error)
{
    if (reader->left == 0)
        return 0;
    return vta_error_set(error, VTA_EFORMAT, "%zu bytes follow where the packet should end",
                         reader->left);
}

/* ---- Writing ------------------------------------------------------------------------------- */

void tvm_write_header(uint8_t header[TVM_HEADER_BYTES], enum tvm_packet code, uint64_t body_bytes)
{
    put_number(put_number(header, 4 + body_bytes, 8), (uint64_t)code, 4);
}

static uint8_t *put_device(uint8_t *at, struct tvm_device device)
{
    at = put_number(at, (uint32_t)device.type, 4);
    return put_number(at, (uint32_t)device.id, 4);
}

static uint8_t *put_dtype(uint8_t *at, struct tvm_dtype dtype)
{
    at = put_number(at, dtype.code, 1);
    at = put_number(at, dtype.bits, 1);
    return put_number(at, dtype.lanes, 2);
}

static uint8_t *put_tensor(uint8_t *at, const struct tvm_wire_tensor *tensor)
{
    at = put_number(at, tensor->data, 8);
    at = put_device(at, tensor->device);
    at = put_number(at, tensor->ndim, 4);
    at = put_dtype(at, tensor->dtype);
    if (tensor->ndim > 0)
        memcpy(at, tensor->shape, 8 * (size_t)tensor->ndim);
    return put_number(at + 8 * (size_t)tensor->ndim, tensor->byte_offset, 8);
}

static uint8_t *put_item(uint8_t *at, const struct tvm_item *item)
{
    uint64_t bits;
    switch (item->code) {
    case TVM_FLOAT:
        memcpy(&bits, &item->f, sizeof bits);
        return put_number(at, bits, 8);
    case TVM_NULL:
        return at;
    case TVM_DTYPE:
        return put_number(put_dtype(at, item->dtype), 0, 4);
    case TVM_DEVICE:
        return put_device(at, item->device);
    case TVM_TENSOR:
        return put_tensor(at, &item->tensor);
    case TVM_STRING:
    case TVM_BYTES:
        return put_number(at, item->bytes.size, 8);
    default:
        return put_number(at, item->handle, 8);
    }
}

size_t tvm_write_packet(uint8_t *head, enum tvm_packet code, const struct tvm_item *items,
                        uint32_t count)
{
    uint8_t *at = put_number(head + TVM_HEADER_BYTES, count, 4);
    uint64_t later = 0;
    for (uint32_t i = 0; i < count; i++)
        at = put_number(at, (uint32_t)items[i].code, 4);
    for (uint32_t i = 0; i < count; i++) {
        at = put_item(at, &items[i]);
        if (items[i].code == TVM_STRING || items[i].code == TVM_BYTES)
            later = items[i].bytes.size;
    }
    size_t nbytes = (size_t)(at - head);
    tvm_write_header(head, code, nbytes - TVM_HEADER_BYTES + later);
    return nbytes;
}

static bool has_bytes(const struct tvm_item *item)
{
    return item->code == TVM_STRING || item->code == TVM_BYTES;
}

uint64_t tvm_sequence_bytes_max(const struct tvm_item *items, uint32_t count)
{
    uint64_t nbytes = 4 + (4 + TVM_TENSOR_BYTES_MAX) * (uint64_t)count;
    for (uint32_t i = 0; i < count; i++)
        nbytes += has_bytes(&items[i]) ? items[i].bytes.size : 0;
    return nbytes;
}

uint8_t *tvm_write_sequence(uint8_t *at, const struct tvm_item *items, uint32_t count)
{
    at = put_number(at, count, 4);
    for (uint32_t i = 0; i < count; i++)
        at = put_number(at, (uint32_t)items[i].code, 4);
    for (uint32_t i = 0; i < count; i++) {
        at = put_item(at, &items[i]);
        if (has_bytes(&items[i]) && items[i].bytes.size > 0) {
            memcpy(at, items[i].bytes.data, items[i].bytes.size);
            at += items[i].bytes.size;
        }
    }
    return at;
}
