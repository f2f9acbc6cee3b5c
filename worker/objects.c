/* objects.c: handles of memory, functions, modules and returned arrays. */
#include "objects.h"

#include <inttypes.h>
#include <stdlib.h>

#include "memory.h"

#define PAGE_BYTES 4096u

struct allocation {
    struct tvm_device device;
    uint8_t *bytes; /* NULL only for 0 bytes */
    uint64_t nbytes;
    struct memory *memory; /* a reference; NULL: of a returned array, which has its own */
};

struct array {
    struct tvm_tensor *tensor; /* owned, by TVMArrayFree */
    vta_handle data;           /* of an allocation of its memory */
};

void objects_init(struct objects *objects, struct worker *worker)
{
    uint32_t most = worker->options.max_handles;
    objects->worker = worker;
    vta_handles_init(&objects->data, VTA_HANDLE_DATA, most);
    vta_handles_init(&objects->functions, VTA_HANDLE_FUNCTION, most);
    vta_handles_init(&objects->modules, VTA_HANDLE_MODULE, most);
    vta_handles_init(&objects->arrays, VTA_HANDLE_TENSOR, most);
}

/* ---- Memory -------------------------------------------------------------------------------- */

int objects_device(struct tvm_device device, struct vta_error *error)
{
    bool known = device.type == TVM_CPU || device.type == TVM_EXT_DEV;
    if (known && device.id == 0)
        return 0;
    return vta_error_set(error, VTA_ENOTFOUND,
                         "device type %" PRId32 " id %" PRId32
                         " does not exist; this server has cpu (1) and ext_dev (12), id 0",
                         device.type, device.id);
}

static const char *device_name(struct tvm_device device)
{
    return device.type == TVM_CPU ? "cpu" : device.type == TVM_EXT_DEV ? "ext_dev" : "another";
}

static void free_allocation(struct allocation *allocation)
{
    memory_release(allocation->memory);
    free(allocation);
}

int objects_alloc(struct objects *objects, struct tvm_device device, uint64_t nbytes,
                  uint64_t alignment, vta_handle *handle, struct vta_error *error)
{
    int rc = objects_device(device, error);
    if (rc != 0)
        return rc;
    if ((alignment & (alignment - 1)) != 0 || alignment > PAGE_BYTES)
        return vta_error_limit(error, VTA_EINVAL, PAGE_BYTES, (int64_t)alignment,
                               "an alignment of %" PRIu64 " is not a power of two up to %u",
                               alignment, PAGE_BYTES);
    struct allocation *allocation = malloc(sizeof *allocation);
    if (allocation == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for an allocation");
    struct memory *memory = memory_new(objects->worker, device, nbytes, error);
    if (memory == NULL) {
        free(allocation);
        return error->code;
    }
    *allocation = (struct allocation){
        .device = device, .bytes = memory->bytes, .nbytes = nbytes, .memory = memory
    };
    rc = vta_handles_add(&objects->data, allocation, handle, error);
    if (rc != 0)
        free_allocation(allocation);
    return rc;
}

/* A device that a client named beside a handle is the one that the memory is on. */
static int same_device(const struct allocation *allocation, struct tvm_device device,
                       vta_handle handle, struct vta_error *error)
{
    if (allocation->device.type == device.type && allocation->device.id == device.id)
        return 0;
    return vta_error_set(
        error, VTA_EHANDLE,
        "data handle 0x%" PRIx64 " is memory of %s, not of %s (type %" PRId32 " id %" PRId32 ")",
        handle, device_name(allocation->device), device_name(device), device.type, device.id);
}

int objects_free_data(struct objects *objects, struct tvm_device device, vta_handle handle,
                      struct vta_error *error)
{
    struct allocation *allocation = vta_handles_get(&objects->data, handle, error);
    if (allocation == NULL)
        return VTA_EHANDLE;
    int rc = same_device(allocation, device, handle, error);
    if (rc != 0)
        return rc;
    if (allocation->memory == NULL)
        return vta_error_set(error, VTA_EHANDLE,
                             "data handle 0x%" PRIx64
                             " is the memory of an array that a function returned; it goes when "
                             "the array is freed",
                             handle);
    vta_handles_remove(&objects->data, handle, NULL);
    free_allocation(allocation);
    return 0;
}

int objects_memory(const struct objects *objects, const struct tvm_wire_tensor *tensor,
                   uint64_t nbytes, uint8_t **begin, struct vta_error *error)
{
    if (tensor->data == 0) {
        *begin = NULL;
        if (nbytes == 0 && tensor->byte_offset == 0)
            return objects_device(tensor->device, error);
        return vta_error_set(error, VTA_EHANDLE,
                             "a tensor of %" PRIu64 " bytes has no data (handle 0)", nbytes);
    }
    const struct allocation *allocation = vta_handles_get(&objects->data, tensor->data, error);
    if (allocation == NULL)
        return VTA_EHANDLE;
    int rc = same_device(allocation, tensor->device, tensor->data, error);
    if (rc != 0)
        return rc;
    uint64_t offset = tensor->byte_offset;
    if (offset > allocation->nbytes || nbytes > allocation->nbytes - offset)
        return vta_error_set(error, VTA_ERANGE,
                             "%" PRIu64 " bytes at byte offset %" PRIu64
                             " pass the end of data handle 0x%" PRIx64 ", which has %" PRIu64
                             " bytes",
                             nbytes, offset, tensor->data, allocation->nbytes);
    *begin = allocation->bytes;
    return 0;
}

/* ---- Functions, modules, arrays ------------------------------------------------------------ */

int objects_add_function(struct objects *objects, struct function *function, vta_handle *handle,
                         struct vta_error *error)
{
    int rc = vta_handles_add(&objects->functions, function, handle, error);
    if (rc != 0)
        function_release(function);
    return rc;
}

int objects_add_module(struct objects *objects, struct module *module, vta_handle *handle,
                       struct vta_error *error)
{
    int rc = vta_handles_add(&objects->modules, module, handle, error);
    if (rc != 0)
        module_release(module);
    return rc;
}

int objects_add_array(struct objects *objects, struct tvm_tensor *tensor, vta_handle *data,
                      vta_handle *handle, struct vta_error *error)
{
    struct array *array = malloc(sizeof *array);
    struct allocation *memory = malloc(sizeof *memory);
    int rc = VTA_ENOMEM;
    if (array == NULL || memory == NULL) {
        vta_error_set(error, rc, "no memory for an array's handle");
        goto fail;
    }
    *memory = (struct allocation){ .device = tensor->device,
                                   .bytes = tensor->data,
                                   .nbytes = tvm_bytes_of(tensor) + tensor->byte_offset };
    rc = vta_handles_add(&objects->data, memory, data, error);
    if (rc != 0)
        goto fail;
    *array = (struct array){ .tensor = tensor, .data = *data };
    rc = vta_handles_add(&objects->arrays, array, handle, error);
    if (rc == 0)
        return 0;
    vta_handles_remove(&objects->data, *data, NULL);
fail:
    free(memory);
    free(array);
    TVMArrayFree(tensor);
    return rc;
}

static void free_array(struct objects *objects, struct array *array)
{
    free(vta_handles_remove(&objects->data, array->data, NULL));
    TVMArrayFree(array->tensor);
    free(array);
}

static enum vta_handle_kind kind_of(vta_handle handle)
{
    return (enum vta_handle_kind)(handle >> 56);
}

struct function *objects_function(const struct objects *objects, vta_handle handle,
                                  struct vta_error *error)
{
    return vta_handles_get(&objects->functions, handle, error);
}

int objects_find(const struct objects *objects, vta_handle handle, void **pointer, int32_t *code,
                 struct vta_error *error)
{
    const struct allocation *memory;
    const struct array *array;
    switch (kind_of(handle)) {
    case VTA_HANDLE_FUNCTION:
        *code = TVM_FUNCTION;
        *pointer = vta_handles_get(&objects->functions, handle, error);
        break;
    case VTA_HANDLE_MODULE:
        *code = TVM_MODULE;
        *pointer = vta_handles_get(&objects->modules, handle, error);
        break;
    case VTA_HANDLE_TENSOR:
        *code = TVM_TENSOR;
        array = vta_handles_get(&objects->arrays, handle, error);
        *pointer = array == NULL ? NULL : array->tensor;
        break;
    default:
        *code = TVM_OPAQUE;
        memory = vta_handles_get(&objects->data, handle, error);
        if (memory == NULL)
            return VTA_EHANDLE;
        *pointer = memory->bytes;
        return 0;
    }
    return *pointer == NULL ? VTA_EHANDLE : 0;
}

static int free_function(struct objects *objects, vta_handle handle, struct vta_error *error)
{
    struct function *function = vta_handles_remove(&objects->functions, handle, error);
    function_release(function);
    return function == NULL ? VTA_EHANDLE : 0;
}

static int free_module(struct objects *objects, vta_handle handle, struct vta_error *error)
{
    struct module *module = vta_handles_remove(&objects->modules, handle, error);
    module_release(module);
    return module == NULL ? VTA_EHANDLE : 0;
}

int objects_free(struct objects *objects, vta_handle handle, int64_t code, struct vta_error *error)
{
    struct array *array;
    switch (code) {
    case TVM_FUNCTION:
        return free_function(objects, handle, error);
    case TVM_MODULE:
        return free_module(objects, handle, error);
    case TVM_TENSOR:
    case TVM_NDARRAY:
        array = vta_handles_remove(&objects->arrays, handle, error);
        if (array == NULL)
            return VTA_EHANDLE;
        free_array(objects, array);
        return 0;
    case TVM_OBJECT:
        return kind_of(handle) == VTA_HANDLE_MODULE ? free_module(objects, handle, error)
                                                    : free_function(objects, handle, error);
    default:
        return vta_error_set(error, VTA_EINVAL,
                             "type code %" PRId64
                             " has no handles to free; modules (9), functions (10) and arrays (13) "
                             "have",
                             code);
    }
}

void objects_clear(struct objects *objects)
{
    void *value;
    for (uint32_t i = 0; (value = vta_handles_next(&objects->arrays, &i, NULL)) != NULL;)
        free_array(objects, value);
    for (uint32_t i = 0; (value = vta_handles_next(&objects->functions, &i, NULL)) != NULL;)
        function_release(value);
    for (uint32_t i = 0; (value = vta_handles_next(&objects->modules, &i, NULL)) != NULL;)
        module_release(value);
    for (uint32_t i = 0; (value = vta_handles_next(&objects->data, &i, NULL)) != NULL;)
        free_allocation(value);
    vta_handles_clear(&objects->arrays);
    vta_handles_clear(&objects->functions);
    vta_handles_clear(&objects->modules);
    vta_handles_clear(&objects->data);
}
