/* values.c: between the wire's values and those of the binary interface. */
#include "values.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- Arguments ----------------------------------------------------------------------------- */

/* Room for every extent of every tensor, before anything points there. */
static int reserve_shapes(struct values *values, const struct tvm_item *items, uint32_t count,
                          struct vta_error *error)
{
    size_t need = 0;
    for (uint32_t i = 0; i < count; i++)
        if (items[i].code == TVM_TENSOR)
            need += items[i].tensor.ndim;
    if (need <= values->shapes_size)
        return 0;
    int64_t *shapes = realloc(values->shapes, need * sizeof *shapes);
    if (shapes == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for %zu extents", need);
    values->shapes = shapes;
    values->shapes_size = need;
    return 0;
}

static int tensor_value(const struct objects *objects, const struct tvm_wire_tensor *wire,
                        struct tvm_tensor *tensor, int64_t *shape, struct vta_error *error)
{
    uint64_t nbytes;
    uint8_t *begin;
    int rc = tvm_tensor_nbytes(wire, &nbytes, error);
    if (rc == 0)
        rc = objects_memory(objects, wire, nbytes, &begin, error);
    if (rc != 0)
        return rc;
    for (uint32_t i = 0; i < wire->ndim; i++)
        shape[i] = tvm_extent(wire, i);
    *tensor = (struct tvm_tensor){ .data = begin,
                                   .device = wire->device,
                                   .ndim = (int32_t)wire->ndim,
                                   .dtype = wire->dtype,
                                   .shape = shape,
                                   .byte_offset = wire->byte_offset };
    return 0;
}

/* A handle becomes a pointer, and where the kind says more than the client did, its code. */
static int handle_value(const struct objects *objects, const struct tvm_item *item,
                        union tvm_value *value, int32_t *code, struct vta_error *error)
{
    int32_t found;
    if (item->handle == 0) {
        value->p = NULL;
        *code = item->code == TVM_OPAQUE ? TVM_OPAQUE : TVM_NULL;
        return 0;
    }
    int rc = objects_find(objects, item->handle, &value->p, &found, error);
    if (rc != 0)
        return rc;
    bool any = item->code == TVM_OPAQUE || item->code == TVM_OBJECT;
    if (!any && found != item->code)
        return vta_error_set(error, VTA_EHANDLE, "handle 0x%" PRIx64 " is a %s, not a %s",
                             item->handle, tvm_code_name(found), tvm_code_name(item->code));
    *code = item->code == TVM_OPAQUE ? TVM_OPAQUE : found;
    return 0;
}

static int item_value(struct values *values, uint32_t i, const struct objects *objects,
                      const struct tvm_item *item, int64_t **shape, struct vta_error *error)
{
    union tvm_value *value = &values->values[i];
    int rc;
    values->codes[i] = item->code;
    switch (item->code) {
    case TVM_FLOAT:
        value->f = item->f;
        return 0;
    case TVM_NULL:
        value->p = NULL;
        return 0;
    case TVM_DTYPE:
        value->i = 0;
        value->dtype = item->dtype;
        return 0;
    case TVM_DEVICE:
        value->device = item->device;
        return 0;
    case TVM_STRING:
        value->s = item->bytes.data;
        return 0;
    case TVM_BYTES:
        values->behind[i].bytes =
            (struct tvm_bytes){ .data = item->bytes.data, .size = item->bytes.size };
        value->p = &values->behind[i].bytes;
        return 0;
    case TVM_TENSOR:
        rc = tensor_value(objects, &item->tensor, &values->behind[i].tensor, *shape, error);
        value->p = &values->behind[i].tensor;
        *shape += item->tensor.ndim;
        return rc;
    case TVM_OPAQUE:
    case TVM_MODULE:
    case TVM_FUNCTION:
    case TVM_OBJECT:
        return handle_value(objects, item, value, &values->codes[i], error);
    default: /* TVM_INT, TVM_UINT, TVM_BOOL */
        value->i = item->i;
        return 0;
    }
}

int values_from_items(struct values *values, const struct objects *objects,
                      const struct tvm_item *items, uint32_t count, struct vta_error *error)
{
    int rc = reserve_shapes(values, items, count, error);
    int64_t *shape = values->shapes;
    for (uint32_t i = 0; i < count && rc == 0; i++) {
        rc = item_value(values, i, objects, &items[i], &shape, error);
        if (rc != 0)
            vta_error_prefix(error, "argument %" PRIu32, i + 1);
    }
    return rc;
}

void values_free(struct values *values)
{
    free(values->shapes);
    values->shapes = NULL;
    values->shapes_size = 0;
}

/* ---- Results ------------------------------------------------------------------------------- */

/* The reference that a result owned is somebody else's now. */
static void taken(struct result *result)
{
    result->code = TVM_NULL;
}

static int array_items(struct objects *objects, struct result *result, struct tvm_item items[3],
                       struct vta_error *error)
{
    struct tvm_tensor *tensor = result->value.p;
    vta_handle data, handle;
    taken(result);
    int rc = objects_add_array(objects, tensor, &data, &handle, error);
    if (rc != 0)
        return rc;
    /* Extents in memory are as they are on the wire: this machine is little-endian. */
    items[1] = (struct tvm_item){ .code = TVM_TENSOR,
                                  .tensor = { .data = data,
                                              .device = tensor->device,
                                              .dtype = tensor->dtype,
                                              .ndim = (uint32_t)tensor->ndim,
                                              .shape = (const uint8_t *)tensor->shape,
                                              .byte_offset = tensor->byte_offset } };
    items[2] = (struct tvm_item){ .code = TVM_OPAQUE, .handle = handle };
    return 0;
}

static int unsendable(const char *name, int32_t code, struct vta_error *error)
{
    return vta_error_set(error, VTA_EUNSUPPORTED,
                         "%s returned a value of type %s (%" PRId32 "), which cannot be sent", name,
                         tvm_code_name(code), code);
}

int values_to_items(struct objects *objects, const char *name, struct result *result,
                    struct tvm_item items[3], uint32_t *count, struct vta_error *error)
{
    vta_handle handle = 0;
    int rc = 0;
    items[0] = (struct tvm_item){ .code = TVM_INT, .i = result->code };
    items[1] = (struct tvm_item){ .code = result->code };
    *count = 2;
    switch (result->code) {
    case TVM_INT:
    case TVM_UINT:
    case TVM_BOOL:
    case TVM_FLOAT:
        memcpy(&items[1].handle, &result->value, sizeof result->value);
        return 0;
    case TVM_NULL:
        return 0;
    case TVM_DTYPE:
        items[1].dtype = result->value.dtype;
        return 0;
    case TVM_DEVICE:
        items[1].device = result->value.device;
        return 0;
    case TVM_STRING:
    case TVM_BYTES:
        items[1].bytes.data = result->bytes;
        items[1].bytes.size = result->nbytes;
        return 0;
    case TVM_FUNCTION:
        rc = objects_add_function(objects, result->value.p, &handle, error);
        break;
    case TVM_MODULE:
        rc = objects_add_module(objects, result->value.p, &handle, error);
        break;
    case TVM_NDARRAY:
        if (((struct tvm_tensor *)result->value.p)->ndim > (int32_t)TVM_NDIM_MAX)
            return unsendable(name, result->code, error);
        *count = 3;
        return array_items(objects, result, items, error);
    default:
        return unsendable(name, result->code, error);
    }
    taken(result);
    items[1] = (struct tvm_item){ .code = TVM_OPAQUE, .handle = handle };
    return rc;
}
