/* graph_params.c: reads named tensors: a head, names, tensors. */
#include "graph_params.h"

#include <inttypes.h>
#include <stdlib.h>

#define LIST_MAGIC   UINT64_C(0xF7E58D4F05049CB7)
#define TENSOR_MAGIC UINT64_C(0xDD5E40F096B4A13F)

void graph_params_clear(struct graph_params *params)
{
    free(params->items);
    *params = (struct graph_params){ 0 };
}

static int damaged(struct vta_error *error, const char *what)
{
    return vta_error_set(error, VTA_EFORMAT, "parameters: %s", what);
}

int graph_params_take_names(struct blob *blob, struct graph_params *params, struct vta_error *error)
{
    uint64_t count;
    *params = (struct graph_params){ 0 };
    if (!blob_u64(blob, &count))
        return damaged(error, "they end before their number");
    if (count > GRAPH_PARAMS_MAX)
        return vta_error_limit(
            error, VTA_ELIMIT, GRAPH_PARAMS_MAX, count > INT64_MAX ? INT64_MAX : (int64_t)count,
            "parameters: %" PRIu64 " of them, at most %u", count, GRAPH_PARAMS_MAX);
    /* Each has a length at least, so that a number alone takes no memory. */
    if (count > blob->left / sizeof(uint64_t))
        return damaged(error, "they end within the names");
    struct graph_param *items = calloc(count == 0 ? 1 : count, sizeof *items);
    if (items == NULL)
        return vta_error_set(error, VTA_ENOMEM, "parameters: no memory for %" PRIu64, count);
    for (uint64_t i = 0; i < count; i++)
        if (!blob_text(blob, &items[i].name)) {
            free(items);
            return damaged(error, "they end within the names");
        }
    *params = (struct graph_params){ .items = items, .count = (uint32_t)count };
    return 0;
}

/* u64 magic, u64 0, device, ndim, type, extents, bytes, data; the shape says how many bytes. */
static const char *take_tensor(struct blob *blob, struct graph_param *param)
{
    uint64_t magic, reserved, nbytes;
    struct tvm_device device;
    int32_t ndim;
    if (!blob_u64(blob, &magic) || !blob_u64(blob, &reserved) ||
        !blob_copy(blob, &device, sizeof device) || !blob_copy(blob, &ndim, sizeof ndim) ||
        !blob_copy(blob, &param->dtype, sizeof param->dtype))
        return "it ends within the head of its tensor";
    if (magic != TENSOR_MAGIC)
        return "its tensor does not begin as one";
    if (ndim < 0 || ndim > (int32_t)TVM_NDIM_MAX)
        return "its tensor has a wrong number of dimensions";
    if (!blob_span(blob, (uint64_t)ndim, sizeof(int64_t), &param->shape) ||
        !blob_u64(blob, &nbytes) || !blob_span(blob, nbytes, 1, &param->data))
        return "it ends within its tensor";
    const struct tvm_wire_tensor tensor = { .dtype = param->dtype,
                                            .ndim = (uint32_t)ndim,
                                            .shape = param->shape };
    param->ndim = (uint32_t)ndim;
    if (tvm_tensor_nbytes(&tensor, &param->nbytes, NULL) != 0 || param->nbytes != nbytes)
        return "its tensor has other bytes than its type and shape say";
    return NULL;
}

int graph_params_take_tensors(struct blob *blob, struct graph_params *params,
                              struct vta_error *error)
{
    for (uint32_t i = 0; i < params->count; i++) {
        const struct blob_text *name = &params->items[i].name;
        const char *wrong = take_tensor(blob, &params->items[i]);
        if (wrong != NULL)
            return vta_error_set(error, VTA_EFORMAT, "parameters: '%.*s': %s",
                                 blob_text_width(name), name->text, wrong);
    }
    return 0;
}

static int take_head(struct blob *blob, struct vta_error *error)
{
    uint64_t magic, reserved;
    if (!blob_u64(blob, &magic) || !blob_u64(blob, &reserved) || magic != LIST_MAGIC)
        return damaged(error, "they do not begin as a list of parameters");
    return 0;
}

int graph_params_read(const void *bytes, uint64_t nbytes, struct graph_params *params,
                      struct vta_error *error)
{
    struct blob blob = { bytes, nbytes };
    uint64_t tensors;
    *params = (struct graph_params){ 0 };
    int rc = take_head(&blob, error);
    if (rc == 0)
        rc = graph_params_take_names(&blob, params, error);
    if (rc == 0 && (!blob_u64(&blob, &tensors) || tensors != params->count))
        rc = damaged(error, "there are not as many tensors as names");
    if (rc == 0)
        rc = graph_params_take_tensors(&blob, params, error);
    if (rc == 0 && blob.left > 0)
        rc = damaged(error, "there are bytes behind them");
    if (rc != 0)
        graph_params_clear(params);
    return rc;
}

int graph_params_read_names(const void *bytes, uint64_t nbytes, struct graph_params *params,
                            struct vta_error *error)
{
    struct blob blob = { bytes, nbytes };
    *params = (struct graph_params){ 0 };
    int rc = take_head(&blob, error);
    return rc == 0 ? graph_params_take_names(&blob, params, error) : rc;
}

/* ---- Factories ----------------------------------------------------------------------------- */

int graph_image_take(struct blob *blob, struct graph_image *image, struct vta_error *error)
{
    uint64_t count;
    *image = (struct graph_image){ 0 };
    if (!blob_text(blob, &image->json) || !blob_u64(blob, &count))
        return vta_error_set(error, VTA_EFORMAT, "a graph's factory ends within its graph");
    int rc = graph_params_take_names(blob, &image->params, error);
    if (rc == 0 && count != image->params.count)
        rc = damaged(error, "there are not as many tensors as names");
    if (rc == 0)
        rc = graph_params_take_tensors(blob, &image->params, error);
    if (rc == 0 && !blob_text(blob, &image->name))
        rc = vta_error_set(error, VTA_EFORMAT, "a graph's factory ends within its name");
    if (rc != 0)
        graph_params_clear(&image->params);
    return rc;
}
