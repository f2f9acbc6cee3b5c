/* vtac_show.c: vtac show: what a module file holds, and what its functions will count. */
#include "vtac.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdlib.h>

#include <vta/module.h>

static const char *access_name(enum vta_access access)
{
    return access == VTA_ACCESS_READ ? "read" : access == VTA_ACCESS_WRITE ? "write" : "read-write";
}

/* ---- For people ---------------------------------------------------------------------------- */

static void print_param(const struct vta_param *param)
{
    char dtype[8];
    uint64_t nbytes = 0;
    vta_dtype_print(param->type.dtype, dtype);
    vta_tensor_nbytes(&param->type, &nbytes, NULL);
    printf("    %-8s %s (", param->name, dtype);
    for (uint32_t i = 0; i < param->type.ndim; i++)
        printf("%s%" PRIu64, i > 0 ? ", " : "", param->type.shape[i]);
    printf(")  %" PRIu64 " bytes, %s tiles, %s\n", nbytes, vta_memory_name(param->memory),
           access_name(param->access));
}

static int print_kernel(const struct vta_kernel *kernel, const struct vta_hw *hw)
{
    struct vta_program *program = NULL;
    struct vta_error error;
    printf("\n%s\n  %u instructions, %u micro-ops\n", kernel->name, kernel->insn_count,
           kernel->uop_count);
    for (uint32_t i = 0; i < kernel->param_count; i++)
        print_param(&kernel->params[i]);
    if (vtac_program(&program, kernel, hw, true, &error) != 0) {
        printf("  %s\n", error.message);
        return VTAC_FAILED;
    }
#define PRINT_COUNTER(name) printf("    %-16s %16" PRIu64 "\n", #name, program->counters.name);
    printf("  one call counts\n");
    VTA_COUNTERS(PRINT_COUNTER)
#undef PRINT_COUNTER
    vta_program_free(program);
    return VTAC_OK;
}

static int print_image(const struct vta_module_image *image, const char *path)
{
    char bitstream[VTA_BITSTREAM_NAME];
    int status = VTAC_OK;
    vta_hw_bitstream(&image->hw, bitstream);
    printf("%s: %u function%s for %s\n", path, image->kernel_count,
           image->kernel_count == 1 ? "" : "s", bitstream);
    for (uint32_t i = 0; i < image->kernel_count; i++) {
        int one = print_kernel(&image->kernels[i], &image->hw);
        status = one != VTAC_OK ? one : status;
    }
    return status;
}

/* ---- For machines -------------------------------------------------------------------------- */

static cJSON *param_json(const struct vta_param *param)
{
    char dtype[8];
    uint64_t nbytes = 0;
    cJSON *json = cJSON_CreateObject(), *shape;
    vta_dtype_print(param->type.dtype, dtype);
    vta_tensor_nbytes(&param->type, &nbytes, NULL);
    cJSON_AddStringToObject(json, "name", param->name);
    cJSON_AddStringToObject(json, "dtype", dtype);
    shape = cJSON_AddArrayToObject(json, "shape");
    for (uint32_t i = 0; i < param->type.ndim; i++)
        cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)param->type.shape[i]));
    cJSON_AddNumberToObject(json, "nbytes", (double)nbytes);
    cJSON_AddStringToObject(json, "memory", vta_memory_name(param->memory));
    cJSON_AddStringToObject(json, "access", access_name(param->access));
    return json;
}

static cJSON *kernel_json(const struct vta_kernel *kernel, const struct vta_hw *hw, int *status)
{
    struct vta_program *program = NULL;
    struct vta_error error;
    cJSON *json = cJSON_CreateObject(), *params, *counters;
    cJSON_AddStringToObject(json, "name", kernel->name);
    cJSON_AddNumberToObject(json, "instructions", kernel->insn_count);
    cJSON_AddNumberToObject(json, "micro_ops", kernel->uop_count);
    params = cJSON_AddArrayToObject(json, "params");
    for (uint32_t i = 0; i < kernel->param_count; i++)
        cJSON_AddItemToArray(params, param_json(&kernel->params[i]));
    if (vtac_program(&program, kernel, hw, true, &error) != 0) {
        cJSON_AddStringToObject(json, "refused", error.message);
        *status = VTAC_FAILED;
        return json;
    }
    counters = cJSON_AddObjectToObject(json, "counters");
#define ADD_COUNTER(name) cJSON_AddNumberToObject(counters, #name, (double)program->counters.name);
    VTA_COUNTERS(ADD_COUNTER)
#undef ADD_COUNTER
    vta_program_free(program);
    return json;
}

static int print_json(const struct vta_module_image *image, const char *path)
{
    char bitstream[VTA_BITSTREAM_NAME];
    int status = VTAC_OK;
    cJSON *json = cJSON_CreateObject(), *functions;
    vta_hw_bitstream(&image->hw, bitstream);
    cJSON_AddStringToObject(json, "file", path);
    cJSON_AddStringToObject(json, "hardware", bitstream);
    functions = cJSON_AddArrayToObject(json, "functions");
    for (uint32_t i = 0; i < image->kernel_count; i++)
        cJSON_AddItemToArray(functions, kernel_json(&image->kernels[i], &image->hw, &status));
    char *text = cJSON_Print(json);
    if (text != NULL)
        puts(text);
    else
        status = VTAC_FAILED;
    free(text);
    cJSON_Delete(json);
    return status;
}

/* ---- The command --------------------------------------------------------------------------- */

static int run(const struct vtac_command *command, int argc, char **argv)
{
    static const struct option options[] = { { "json", no_argument, NULL, 'j' },
                                             { "help", no_argument, NULL, 'h' },
                                             { NULL, 0, NULL, 0 } };
    struct vta_module_image image;
    struct vta_error error;
    int option, status;
    bool json = false;
    while ((option = vtac_option(command, argc, argv, options, &status)) != -1) {
        if (option == VTAC_STOP)
            return status;
        if (option != 'j')
            return vtac_wrong_usage(command, "it writes to standard output only");
        json = true;
    }
    if (optind + 1 != argc)
        return vtac_wrong_usage(command, "one module file is expected");
    if (vta_module_open(&image, argv[optind], &error) != 0)
        return vtac_failed(command, &error);
    status = json ? print_json(&image, argv[optind]) : print_image(&image, argv[optind]);
    vta_module_image_clear(&image);
    return status;
}

const struct vtac_command vtac_show = {
    "show", "list a module's functions, parameters, sizes and counters",
    "[--json] FILE\n"
    "\n"
    "Lists the functions of a module file: parameters, sizes, and what one call will add to the\n"
    "seven counters, which is known without running it.\n"
    "\n"
    "  --json            one JSON object\n"
    "  --help            this text\n",
    run
};
