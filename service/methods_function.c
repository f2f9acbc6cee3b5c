/* methods_function.c: what a loaded module's function is. Running it is methods_run.c. */
#include "request.h"

static const char *access_name(enum vta_access access)
{
    switch (access) {
    case VTA_ACCESS_READ:
        return "read";
    case VTA_ACCESS_WRITE:
        return "write";
    case VTA_ACCESS_READ_WRITE:
        return "read-write";
    }
    return "read-write";
}

static void pack_param(struct vta_request *request, const struct vta_param *param, uint64_t nbytes)
{
    char dtype[8];
    vta_dtype_print(param->type.dtype, dtype);
    vta_result_map(request, 6);
    vta_result_text(request, "name", param->name);
    vta_result_text(request, "dtype", dtype);
    vta_result_key(request, "shape");
    msgpack_pack_array(request->packer, param->type.ndim);
    for (uint32_t i = 0; i < param->type.ndim; i++)
        msgpack_pack_uint64(request->packer, param->type.shape[i]);
    vta_result_text(request, "memory", vta_memory_name(param->memory));
    vta_result_text(request, "access", access_name(param->access));
    vta_result_uint(request, "bytes", nbytes);
}

int vta_do_function_get(struct vta_request *request)
{
    char name[VTA_NAME_MAX + 1];
    vta_handle module;
    struct vta_loaded_function *function;
    int rc = vta_arg_handle(request, 0, &module);
    if (rc == 0)
        rc = vta_arg_text(request, 1, name);
    if (rc == 0)
        rc =
            vta_loaded_function(&request->service->loaded, module, name, &function, request->error);
    if (rc != 0)
        return rc;
    const struct vta_kernel *kernel = function->kernel;
    vta_result_map(request, 6);
    vta_result_uint(request, "function", function->handle);
    vta_result_text(request, "name", kernel->name);
    vta_result_key(request, "params");
    msgpack_pack_array(request->packer, kernel->param_count);
    for (uint32_t i = 0; i < kernel->param_count; i++)
        pack_param(request, &kernel->params[i], function->program->params[i].nbytes);
    vta_result_uint(request, "insns", kernel->insn_count);
    vta_result_uint(request, "uops", kernel->uop_count);
    vta_result_key(request, "counters");
    vta_pack_counters(request->packer, &function->program->counters);
    return 0;
}
