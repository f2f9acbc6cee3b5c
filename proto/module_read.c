/* module_read.c: the bytes of a module file as an image.
 *
 * In order: size, format and version, limits (the scanner), digest, structure, and last the rules
 * of module_check.c. Nothing is allocated by what the bytes announce before the scanner has passed
 * them.
 */
#include "module_format.h"
#include "scan.h"
#include "values.h"

#include "core/suggest.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Before the structure ------------------------------------------------------------------ */

/* What follows the first byte, a map of at most 15 entries, in every version of the format. */
static const char opening[] = "\246format\252vta-module\247version";

static int check_version(const uint8_t *bytes, size_t nbytes, struct vta_error *error)
{
    const size_t at = sizeof opening; /* one byte of map header, the opening without its NUL */

    if (nbytes <= at || (bytes[0] & 0xf0) != 0x80 ||
        memcmp(bytes + 1, opening, sizeof opening - 1) != 0)
        return vta_error_set(error, VTA_EFORMAT,
                             "not a module file: it must begin with a map whose first entries are "
                             "'format': '%s' and 'version'",
                             MODULE_FORMAT_NAME);
    if (bytes[at] == VTA_MODULE_FORMAT)
        return 0;
    if (bytes[at] <= 0x7f)
        return vta_error_set(error, VTA_EVERSION, "format version %u; this build reads version %d",
                             bytes[at], VTA_MODULE_FORMAT);
    return vta_error_set(error, VTA_EVERSION,
                         "format version beyond 127, or not a number; this build reads version %d",
                         VTA_MODULE_FORMAT);
}

/* How many values a module within its limits holds at most: what bounds memory while reading. */
static uint32_t most_values(const struct vta_module_limits *limits, size_t nbytes)
{
    const uint64_t per_param = 1 + 2 * PARAM_KEYS + VTA_MAX_NDIM;
    const uint64_t around = 1 + 2 * MODULE_KEYS + 2 * HARDWARE_KEYS;
    uint64_t most;

    if (__builtin_mul_overflow(limits->params + UINT64_C(1), per_param, &most) ||
        __builtin_add_overflow(most, UINT64_C(1) + 2 * FUNCTION_KEYS, &most) ||
        __builtin_mul_overflow(most, limits->kernels + UINT64_C(1), &most) ||
        __builtin_add_overflow(most, around, &most) || most > nbytes)
        most = nbytes; /* a value is a byte at least */
    return most > UINT32_MAX ? UINT32_MAX : (uint32_t)most;
}

/* One whole value and nothing behind it, within the limits. */
static int check_extent(const uint8_t *bytes, size_t nbytes, const struct vta_module_limits *limits,
                        struct vta_error *error)
{
    struct vta_wire_limits wire = {
        .message_bytes = UINT64_MAX,
        .depth = 6, /* module, functions, function, params, param, shape */
        .items = most_values(limits, nbytes),
        .total_items = most_values(limits, nbytes),
        .text_bytes = UINT64_MAX, /* what is longer than the file is cut short */
        .blob_bytes = UINT64_MAX,
    };
    struct vta_scan scan;
    size_t taken;
    int rc;

    vta_scan_init(&scan, &wire);
    rc = vta_scan_feed(&scan, bytes, nbytes, &taken, error);
    if (rc == 0)
        return vta_error_set(error, VTA_EFORMAT, "cut short: %zu bytes, at least %llu are missing",
                             nbytes, (unsigned long long)vta_scan_wanted(&scan));
    if (rc > 0 && taken < nbytes)
        return vta_error_set(error, VTA_EFORMAT, "%zu bytes follow the module's %zu",
                             nbytes - taken, taken);
    return rc > 0 ? 0 : rc;
}

static int check_digest(const uint8_t *bytes, size_t nbytes, struct vta_error *error)
{
    size_t covered = nbytes < MODULE_TAIL_BYTES ? 0 : nbytes - MODULE_TAIL_BYTES;
    const uint8_t *tail = bytes + covered;
    uint8_t digest[VTA_DIGEST_BYTES];

    if (covered == 0 || memcmp(tail, DIGEST_ENTRY, DIGEST_ENTRY_BYTES) != 0)
        return vta_error_set(error, VTA_EFORMAT,
                             "the last entry is not 'digest', a binary of %d bytes",
                             VTA_DIGEST_BYTES);
    vta_digest(bytes, covered, digest);
    if (memcmp(tail + DIGEST_ENTRY_BYTES, digest, sizeof digest) != 0)
        return vta_error_set(error, VTA_EDIGEST,
                             "the digest does not match: the file was damaged or changed");
    return 0;
}

/* ---- Maps, strings, names from lists ------------------------------------------------------- */

/* A copy of a string, for messages: what does not print becomes '?', what is long is cut. */
static void printable(const msgpack_object_str *str, char text[64])
{
    size_t length = str->size < 63 ? str->size : 63;

    for (size_t i = 0; i < length; i++)
        text[i] = str->ptr[i] < 0x20 || str->ptr[i] > 0x7e ? '?' : str->ptr[i];
    text[length] = '\0';
}

/* Where it is empty its pointer is nobody's. */
static bool has_nul(const msgpack_object_str *str)
{
    return str->size > 0 && memchr(str->ptr, '\0', str->size) != NULL;
}

static bool is_text(const msgpack_object *object, const char *text)
{
    size_t length = strlen(text);

    return object->type == MSGPACK_OBJECT_STR && object->via.str.size == length &&
           (length == 0 || memcmp(object->via.str.ptr, text, length) == 0);
}

/* Says what is wrong with a key that should have been keys[i] (or with there being one at all). */
static int wrong_key(const msgpack_object *key, const char *const *keys, uint32_t count, uint32_t i,
                     struct vta_error *error)
{
    const char *near;
    char text[64];

    if (key->type != MSGPACK_OBJECT_STR)
        return vta_unexpected(key, VTA_EFORMAT, "a key", "a string", error);
    for (uint32_t k = 0; k < count; k++) {
        if (!is_text(key, keys[k]))
            continue;
        if (k < i)
            return vta_error_set(error, VTA_EFORMAT, "key '%s' comes twice", keys[k]);
        return vta_error_set(error, VTA_EFORMAT, "key '%s' where '%s' must come", keys[k], keys[i]);
    }
    printable(&key->via.str, text);
    near = vta_suggest(text, keys, count);
    if (near == NULL)
        return vta_error_set(error, VTA_EFORMAT, "unknown key '%s'", text);
    return vta_error_set(error, VTA_EFORMAT, "unknown key '%s': did you mean '%s'?", text, near);
}

/* A map with exactly these keys in this order; its entries are then found by index. */
static int check_keys(const msgpack_object *map, const char *const *keys, uint32_t count,
                      struct vta_error *error)
{
    if (map->type != MSGPACK_OBJECT_MAP)
        return vta_unexpected(map, VTA_EFORMAT, "value", "a map", error);
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object *key = &map->via.map.ptr[i].key;

        if (i >= count || !is_text(key, keys[i]))
            return wrong_key(key, keys, count, i, error);
    }
    if (map->via.map.size < count)
        return vta_error_set(error, VTA_EFORMAT, "key '%s' is missing", keys[map->via.map.size]);
    return 0;
}

static const msgpack_object *entry(const msgpack_object *map, uint32_t index)
{
    return &map->via.map.ptr[index].val;
}

/* A string without NUL, copied; the caller frees it. */
static int read_string(const msgpack_object *object, const char *what, char **text,
                       struct vta_error *error)
{
    const msgpack_object_str *str = &object->via.str;

    if (object->type != MSGPACK_OBJECT_STR)
        return vta_unexpected(object, VTA_EFORMAT, what, "a string", error);
    if (has_nul(str))
        return vta_error_set(error, VTA_EFORMAT, "%s: a string with NUL in it", what);
    *text = strndup(str->size > 0 ? str->ptr : "", str->size);
    return *text != NULL ? 0 : vta_error_set(error, VTA_ENOMEM, "%s: no memory", what);
}

/* The index of a name in a list (entries may be NULL). */
static int read_choice(const msgpack_object *object, const char *what, const char *const *names,
                       uint32_t count, uint32_t *choice, struct vta_error *error)
{
    char text[64];

    if (object->type != MSGPACK_OBJECT_STR)
        return vta_unexpected(object, VTA_EFORMAT, what, "a string", error);
    for (uint32_t i = 0; i < count; i++) {
        if (names[i] != NULL && is_text(object, names[i])) {
            *choice = i;
            return 0;
        }
    }
    printable(&object->via.str, text);
    return vta_error_set(error, VTA_EFORMAT, "%s: '%s' is not one that this build knows", what,
                         text);
}

/* A binary of whole records, at most `limit` of them. */
static int read_records(const msgpack_object *object, const char *what, uint32_t record_bytes,
                        uint64_t limit, const uint8_t **bytes, uint32_t *count,
                        struct vta_error *error)
{
    uint32_t size = object->via.bin.size;
    int rc;

    if (object->type != MSGPACK_OBJECT_BIN)
        return vta_unexpected(object, VTA_EFORMAT, what, "a binary", error);
    if (size % record_bytes != 0)
        return vta_error_set(error, VTA_EFORMAT, "%s: %u bytes, not a multiple of %u", what, size,
                             record_bytes);
    rc = vta_module_limit(what, size / record_bytes, limit, error);
    if (rc != 0)
        return rc;
    *bytes = (const uint8_t *)object->via.bin.ptr;
    *count = size / record_bytes;
    return 0;
}

/* Zeroed memory for count things, or NULL for none. */
static int allocate(void **memory, uint32_t count, size_t size, struct vta_error *error)
{
    *memory = NULL;
    if (count == 0)
        return 0;
    *memory = calloc(count, size);
    if (*memory == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for %u × %zu bytes", count, size);
    return 0;
}

static uint32_t little_endian(const uint8_t *bytes)
{
    uint32_t word;

    memcpy(&word, bytes, sizeof word);
    return le32toh(word);
}

/* ---- Hardware ------------------------------------------------------------------------------ */

/* May be empty; what it may hold is vta_hw_derive's rule. */
static int read_version(const msgpack_object *object, struct vta_hw *hw, struct vta_error *error)
{
    const msgpack_object_str *str = &object->via.str;

    if (object->type != MSGPACK_OBJECT_STR || str->size >= sizeof hw->hw_ver || has_nul(str))
        return vta_unexpected(object, VTA_EFORMAT, "HW_VER", "a text of at most 15 bytes", error);
    if (str->size > 0)
        memcpy(hw->hw_ver, str->ptr, str->size);
    return 0;
}

static int read_hardware(const msgpack_object *map, struct vta_hw *hw, struct vta_error *error)
{
    const struct vta_hw_key *log_keys = vta_hw_keys();
    const char *keys[HARDWARE_KEYS] = { "TARGET", "HW_VER" };
    const char *targets[VTA_TARGET_COUNT];
    uint32_t target = 0;
    int rc;

    memset(hw, 0, sizeof *hw);
    for (uint32_t i = 0; i < VTA_HW_KEY_COUNT; i++)
        keys[HARDWARE_LOG + i] = log_keys[i].name;
    for (uint32_t i = 0; i < VTA_TARGET_COUNT; i++)
        targets[i] = vta_target_name((enum vta_target)i);

    rc = check_keys(map, keys, HARDWARE_KEYS, error);
    if (rc == 0)
        rc = read_choice(entry(map, HARDWARE_TARGET), keys[HARDWARE_TARGET], targets,
                         VTA_TARGET_COUNT, &target, error);
    if (rc == 0)
        rc = read_version(entry(map, HARDWARE_VER), hw, error);
    hw->target = (enum vta_target)target;
    for (uint32_t i = 0; rc == 0 && i < VTA_HW_KEY_COUNT; i++) {
        uint64_t value = 0;

        rc = vta_get_uint(entry(map, HARDWARE_LOG + i), UINT8_MAX, &value, log_keys[i].name, error);
        *((uint8_t *)hw + log_keys[i].offset) = (uint8_t)value;
    }
    return rc != 0 ? rc : vta_hw_derive(hw, error);
}

/* ---- Functions ----------------------------------------------------------------------------- */

static int read_dtype(const msgpack_object *object, struct vta_dtype *dtype,
                      struct vta_error *error)
{
    char text[8];
    int rc = vta_get_text(object, text, sizeof text - 1, "dtype", error);

    return rc != 0 ? rc : vta_dtype_parse(dtype, text, error);
}

static int read_shape(const msgpack_object *object, struct vta_tensor_type *type,
                      struct vta_error *error)
{
    if (object->type != MSGPACK_OBJECT_ARRAY || object->via.array.size > VTA_MAX_NDIM)
        return vta_unexpected(object, VTA_EFORMAT, "shape", "an array of 1 to 8", error);
    type->ndim = object->via.array.size;
    for (uint32_t axis = 0; axis < type->ndim; axis++) {
        char what[24];
        int rc;

        snprintf(what, sizeof what, "shape[%u]", axis);
        rc =
            vta_get_uint(&object->via.array.ptr[axis], UINT64_MAX, &type->shape[axis], what, error);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int read_param(const msgpack_object *map, struct vta_param *param, struct vta_error *error)
{
    const char *memories[VTA_MEM_COUNT] = { NULL };
    uint32_t memory = 0, access = 0;
    int rc;

    for (uint32_t i = VTA_MEM_WGT; i < VTA_MEM_COUNT; i++)
        memories[i] = vta_memory_name((enum vta_memory)i);
    rc = check_keys(map, vta_param_keys, PARAM_KEYS, error);
    if (rc == 0)
        rc = read_string(entry(map, PARAM_NAME), "name", &param->name, error);
    if (rc == 0)
        rc = read_dtype(entry(map, PARAM_DTYPE), &param->type.dtype, error);
    if (rc == 0)
        rc = read_shape(entry(map, PARAM_SHAPE), &param->type, error);
    if (rc == 0)
        rc = read_choice(entry(map, PARAM_MEMORY), "memory", memories, VTA_MEM_COUNT, &memory,
                         error);
    if (rc == 0)
        rc = read_choice(entry(map, PARAM_ACCESS), "access", vta_access_names, 4, &access, error);
    param->memory = (enum vta_memory)memory;
    param->access = (enum vta_access)access;
    return rc;
}

static int read_params(const msgpack_object *array, struct vta_kernel *kernel,
                       const struct vta_module_limits *limits, struct vta_error *error)
{
    void *params;
    int rc;

    if (array->type != MSGPACK_OBJECT_ARRAY)
        return vta_unexpected(array, VTA_EFORMAT, "params", "an array", error);
    rc = vta_module_limit("parameters", array->via.array.size, limits->params, error);
    if (rc == 0)
        rc = allocate(&params, array->via.array.size, sizeof *kernel->params, error);
    if (rc != 0)
        return rc;
    kernel->params = params;
    kernel->param_count = array->via.array.size;
    for (uint32_t i = 0; i < kernel->param_count; i++) {
        rc = read_param(&array->via.array.ptr[i], &kernel->params[i], error);
        if (rc != 0) {
            vta_error_prefix(error, "params[%u]", i);
            return rc;
        }
    }
    return 0;
}

static int read_insns(const msgpack_object *object, struct vta_kernel *kernel,
                      const struct vta_module_limits *limits, struct vta_error *error)
{
    const uint8_t *bytes = NULL;
    uint32_t count = 0;
    void *insns;
    int rc = read_records(object, "insns", VTA_INSN_BYTES, limits->insns, &bytes, &count, error);

    if (rc == 0)
        rc = allocate(&insns, count, VTA_INSN_BYTES, error);
    if (rc != 0)
        return rc;
    kernel->insns = insns;
    kernel->insn_count = count;
    if (count > 0)
        memcpy(insns, bytes, (size_t)count * VTA_INSN_BYTES);
    return 0;
}

static int read_uops(const msgpack_object *object, struct vta_kernel *kernel,
                     const struct vta_module_limits *limits, struct vta_error *error)
{
    const uint8_t *bytes = NULL;
    uint32_t count = 0;
    void *uops;
    int rc = read_records(object, "uops", VTA_UOP_BYTES, limits->uops, &bytes, &count, error);

    if (rc == 0)
        rc = allocate(&uops, count, sizeof *kernel->uops, error);
    if (rc != 0)
        return rc;
    kernel->uops = uops;
    kernel->uop_count = count;
    for (uint32_t i = 0; i < count; i++)
        kernel->uops[i] = little_endian(bytes + (size_t)i * VTA_UOP_BYTES);
    return 0;
}

/* At most one relocation per instruction. */
static int read_relocs(const msgpack_object *object, struct vta_kernel *kernel,
                       struct vta_error *error)
{
    const uint8_t *bytes = NULL;
    uint32_t count = 0;
    void *relocs;
    int rc = read_records(object, "relocs", RELOC_BYTES, kernel->insn_count, &bytes, &count, error);

    if (rc == 0)
        rc = allocate(&relocs, count, sizeof *kernel->relocs, error);
    if (rc != 0)
        return rc;
    kernel->relocs = relocs;
    kernel->reloc_count = count;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *record = bytes + (size_t)i * RELOC_BYTES;

        kernel->relocs[i] = (struct vta_reloc){ .insn = little_endian(record),
                                                .param = little_endian(record + 4),
                                                .offset = little_endian(record + 8) };
    }
    return 0;
}

static int read_kernel(const msgpack_object *map, struct vta_kernel *kernel,
                       const struct vta_module_limits *limits, struct vta_error *error)
{
    int rc = check_keys(map, vta_function_keys, FUNCTION_KEYS, error);

    if (rc == 0)
        rc = read_string(entry(map, FUNCTION_NAME), "name", &kernel->name, error);
    if (rc == 0)
        rc = read_params(entry(map, FUNCTION_PARAMS), kernel, limits, error);
    if (rc == 0)
        rc = read_insns(entry(map, FUNCTION_INSNS), kernel, limits, error);
    if (rc == 0)
        rc = read_uops(entry(map, FUNCTION_UOPS), kernel, limits, error);
    if (rc == 0)
        rc = read_relocs(entry(map, FUNCTION_RELOCS), kernel, error);
    return rc;
}

static int read_kernels(const msgpack_object *array, struct vta_module_image *image,
                        const struct vta_module_limits *limits, struct vta_error *error)
{
    void *kernels;
    int rc;

    if (array->type != MSGPACK_OBJECT_ARRAY)
        return vta_unexpected(array, VTA_EFORMAT, "functions", "an array", error);
    rc = vta_module_limit("functions", array->via.array.size, limits->kernels, error);
    if (rc == 0)
        rc = allocate(&kernels, array->via.array.size, sizeof *image->kernels, error);
    if (rc != 0)
        return rc;
    image->kernels = kernels;
    image->kernel_count = array->via.array.size;
    for (uint32_t i = 0; i < image->kernel_count; i++) {
        rc = read_kernel(&array->via.array.ptr[i], &image->kernels[i], limits, error);
        if (rc != 0) {
            vta_error_prefix(error, "functions[%u]", i);
            return rc;
        }
    }
    return 0;
}

/* ---- The module ---------------------------------------------------------------------------- */

static int read_module(const msgpack_object *map, struct vta_module_image *image,
                       const struct vta_module_limits *limits, struct vta_error *error)
{
    int rc = check_keys(map, vta_module_keys, MODULE_KEYS, error);

    if (rc != 0)
        return rc;
    rc = read_hardware(entry(map, MODULE_HARDWARE), &image->hw, error);
    if (rc != 0) {
        vta_error_prefix(error, "hardware");
        return rc;
    }
    rc = read_kernels(entry(map, MODULE_FUNCTIONS), image, limits, error);
    return rc != 0 ? rc : vta_module_check(image, limits, error);
}

static int read_structure(const uint8_t *bytes, size_t nbytes, struct vta_module_image *image,
                          const struct vta_module_limits *limits, struct vta_error *error)
{
    msgpack_object root;
    msgpack_zone zone;
    size_t offset = 0;
    int rc;

    if (!msgpack_zone_init(&zone, MSGPACK_ZONE_CHUNK_SIZE))
        return vta_error_set(error, VTA_ENOMEM, "no memory to read a module");
    if (msgpack_unpack((const char *)bytes, nbytes, &offset, &zone, &root) ==
        MSGPACK_UNPACK_SUCCESS)
        rc = read_module(&root, image, limits, error);
    else
        rc = vta_error_set(error, VTA_ENOMEM, "no memory to read a module of %zu bytes", nbytes);
    msgpack_zone_destroy(&zone);
    return rc;
}

int vta_module_decode(struct vta_module_image *image, const uint8_t *bytes, size_t nbytes,
                      const struct vta_module_limits *limits, struct vta_error *error)
{
    struct vta_module_limits defaults;
    struct vta_error reason = { .insn = -1 };
    int rc;

    memset(image, 0, sizeof *image);
    vta_module_limits_default(&defaults);
    if (limits == NULL)
        limits = &defaults;

    rc = vta_module_limit("bytes in a module file", nbytes, limits->file_bytes, &reason);
    if (rc == 0)
        rc = check_version(bytes, nbytes, &reason);
    if (rc == 0)
        rc = check_extent(bytes, nbytes, limits, &reason);
    if (rc == 0)
        rc = check_digest(bytes, nbytes, &reason);
    if (rc == 0)
        rc = read_structure(bytes, nbytes, image, limits, &reason);
    if (rc == 0)
        return 0;

    vta_module_image_clear(image);
    /* What values.c and scan.c call a wrong argument or message is a wrong format here. */
    if (rc == VTA_EINVAL || rc == VTA_EPROTO || rc == VTA_ESIZE)
        rc = reason.code = VTA_EFORMAT;
    if (error != NULL)
        *error = reason;
    return rc;
}
