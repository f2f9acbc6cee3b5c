/* module_check.c: the rules that an image must keep to be written or to be used after reading.
 *
 * One gate for both directions, so that whatever is written can be read. Whether instructions are
 * safe is the verifier's part.
 */
#include "module_format.h"

#include <stdlib.h>
#include <string.h>

const char *const vta_module_keys[MODULE_KEYS] = { "format", "version", "hardware", "functions",
                                                   "digest" };
const char *const vta_function_keys[FUNCTION_KEYS] = { "name", "params", "insns", "uops",
                                                       "relocs" };
const char *const vta_param_keys[PARAM_KEYS] = { "name", "dtype", "shape", "memory", "access" };
const char *const vta_access_names[4] = { NULL, "read", "write", "read-write" };

int vta_module_limit(const char *things, uint64_t value, uint64_t limit, struct vta_error *error)
{
    if (value <= limit)
        return 0;
    return vta_error_limit(error, VTA_ELIMIT, (int64_t)limit, (int64_t)value,
                           "%llu %s, the limit is %llu", (unsigned long long)value, things,
                           (unsigned long long)limit);
}

/* ---- Names --------------------------------------------------------------------------------- */

/* Bytes of the UTF-8 character at text (which ends with NUL), or 0 where there is none: overlong
 * forms, surrogates and what lies beyond U+10FFFF are none. *point is the character. */
static size_t utf8_character(const uint8_t *text, uint32_t *point)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t length;

    if (text[0] < 0x80) {
        *point = text[0];
        return 1;
    }
    if (text[0] < 0xc0 || text[0] >= 0xf8)
        return 0;
    length = text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
    *point = text[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        *point = *point << 6 | (text[i] & 0x3fu);
    }
    if (*point < least[length] || *point > 0x10ffff || (*point >= 0xd800 && *point <= 0xdfff))
        return 0;
    return length;
}

/* 1 to `limit` bytes of UTF-8 without control characters. */
static int check_name(const char *name, uint32_t limit, struct vta_error *error)
{
    const uint8_t *text = (const uint8_t *)name;
    int rc;

    if (name == NULL || name[0] == '\0')
        return vta_error_set(error, VTA_EFORMAT, "name: empty");
    rc = vta_module_limit("bytes in a name", strlen(name), limit, error);
    if (rc != 0)
        return rc;
    while (*text != 0) {
        size_t at = (size_t)(text - (const uint8_t *)name);
        uint32_t point = 0;
        size_t length = utf8_character(text, &point);

        if (length == 0)
            return vta_error_set(error, VTA_EFORMAT, "name: byte %zu is not UTF-8", at);
        if (point < 0x20 || (point >= 0x7f && point < 0xa0))
            return vta_error_set(error, VTA_EFORMAT, "name: byte %zu is a control character", at);
        text += length;
    }
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorts the names; VTA_EFORMAT where two are equal. */
static int check_unique(const char **names, uint32_t count, const char *thing,
                        struct vta_error *error)
{
    qsort(names, count, sizeof *names, compare_names);
    for (uint32_t i = 1; i < count; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            return vta_error_set(error, VTA_EFORMAT, "two %s are named '%s'", thing, names[i]);
    return 0;
}

/* ---- Parameters ---------------------------------------------------------------------------- */

static int check_type(const struct vta_tensor_type *type, struct vta_error *error)
{
    uint64_t nbytes;

    if (type->ndim < 1 || type->ndim > VTA_MAX_NDIM)
        return vta_error_set(error, VTA_EFORMAT, "shape: %u axes, expected 1 to %u", type->ndim,
                             VTA_MAX_NDIM);
    for (uint32_t axis = 0; axis < type->ndim; axis++)
        if (type->shape[axis] == 0)
            return vta_error_set(error, VTA_EFORMAT, "shape[%u]: 0, expected at least 1", axis);
    return vta_tensor_nbytes(type, &nbytes, error);
}

static int check_param(const struct vta_param *param, const struct vta_module_limits *limits,
                       struct vta_error *error)
{
    int rc = check_name(param->name, limits->name_bytes, error);

    if (rc != 0)
        return rc;
    rc = check_type(&param->type, error);
    if (rc == 0 && (param->memory <= VTA_MEM_UOP || param->memory >= VTA_MEM_COUNT))
        rc = vta_error_set(error, VTA_EFORMAT, "memory: %d is none that a parameter can have",
                           (int)param->memory);
    if (rc == 0 && (param->access < VTA_ACCESS_READ || param->access > VTA_ACCESS_READ_WRITE))
        rc = vta_error_set(error, VTA_EFORMAT, "access: %d is none", (int)param->access);
    if (rc != 0) {
        vta_error_prefix(error, "'%s'", param->name);
        rc = VTA_EFORMAT; /* kernel.c calls a wrong type an argument or a size */
        if (error != NULL)
            error->code = rc;
    }
    return rc;
}

static int check_params(const struct vta_kernel *kernel, const struct vta_module_limits *limits,
                        struct vta_error *error)
{
    const char **names;
    int rc = vta_module_limit("parameters", kernel->param_count, limits->params, error);

    if (rc != 0 || kernel->param_count == 0)
        return rc;
    names = malloc(kernel->param_count * sizeof *names);
    if (names == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for %u names", kernel->param_count);
    for (uint32_t i = 0; rc == 0 && i < kernel->param_count; i++) {
        names[i] = kernel->params[i].name;
        rc = check_param(&kernel->params[i], limits, error);
        if (rc != 0)
            vta_error_prefix(error, "params[%u]", i);
    }
    if (rc == 0)
        rc = check_unique(names, kernel->param_count, "parameters", error);
    free(names);
    return rc;
}

/* ---- Functions ----------------------------------------------------------------------------- */

static int check_relocs(const struct vta_kernel *kernel, struct vta_error *error)
{
    for (uint32_t i = 0; i < kernel->reloc_count; i++) {
        const struct vta_reloc *reloc = &kernel->relocs[i];

        if (reloc->insn >= kernel->insn_count)
            return vta_error_set(error, VTA_EFORMAT,
                                 "relocs[%u]: instruction %u, the function has %u", i, reloc->insn,
                                 kernel->insn_count);
        if (i > 0 && reloc->insn <= kernel->relocs[i - 1].insn)
            return vta_error_set(error, VTA_EFORMAT,
                                 "relocs[%u]: instruction %u after instruction %u; they must "
                                 "ascend",
                                 i, reloc->insn, kernel->relocs[i - 1].insn);
        if (reloc->param >= kernel->param_count && reloc->param != VTA_PARAM_UOPS)
            return vta_error_set(error, VTA_EFORMAT,
                                 "relocs[%u]: parameter %u, the function has %u", i, reloc->param,
                                 kernel->param_count);
    }
    return 0;
}

static int check_kernel(const struct vta_kernel *kernel, const struct vta_module_limits *limits,
                        struct vta_error *error)
{
    int rc = check_name(kernel->name, limits->name_bytes, error);

    if (rc != 0)
        return rc;
    rc = check_params(kernel, limits, error);
    if (rc == 0)
        rc = vta_module_limit("instructions", kernel->insn_count, limits->insns, error);
    if (rc == 0)
        rc = vta_module_limit("micro-ops", kernel->uop_count, limits->uops, error);
    if (rc == 0)
        rc = check_relocs(kernel, error);
    if (rc != 0)
        vta_error_prefix(error, "'%s'", kernel->name);
    return rc;
}

int vta_module_check(const struct vta_module_image *image, const struct vta_module_limits *limits,
                     struct vta_error *error)
{
    const char **names;
    int rc = vta_module_limit("functions", image->kernel_count, limits->kernels, error);

    if (rc != 0)
        return rc;
    if (image->kernel_count == 0)
        return vta_error_set(error, VTA_EFORMAT, "functions: none, expected at least one");
    names = malloc(image->kernel_count * sizeof *names);
    if (names == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for %u names", image->kernel_count);
    for (uint32_t i = 0; rc == 0 && i < image->kernel_count; i++) {
        names[i] = image->kernels[i].name;
        rc = check_kernel(&image->kernels[i], limits, error);
        if (rc != 0)
            vta_error_prefix(error, "functions[%u]", i);
    }
    if (rc == 0)
        rc = check_unique(names, image->kernel_count, "functions", error);
    free(names);
    return rc;
}
