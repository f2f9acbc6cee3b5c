/* case.c: reads the folder of a recorded run (case.h). */
#include "case.h"

#include "core/verify.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (256u << 20)

/* A whole file, with a NUL behind it. */
static uint8_t *read_file(const char *folder, const char *name, size_t *nbytes,
                          struct vta_error *error)
{
    char path[4096];
    uint8_t *bytes = NULL;
    FILE *file = NULL;
    long size = -1;

    if (name[0] == '\0' || strchr(name, '/') != NULL ||
        snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path)) {
        vta_error_set(error, VTA_EFORMAT, "'%s' is not the name of a file in the case", name);
        return NULL;
    }
    file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0 ||
        fseek(file, 0, SEEK_SET) != 0) {
        vta_error_set(error, VTA_EIO, "%s: %s", path, strerror(errno));
        goto done;
    }
    if ((unsigned long)size > FILE_MAX) {
        vta_error_limit(error, VTA_ELIMIT, FILE_MAX, size, "%s has %ld bytes, at most %u are read",
                        path, size, FILE_MAX);
        goto done;
    }
    bytes = malloc((size_t)size + 1);
    if (bytes == NULL || fread(bytes, 1, (size_t)size, file) != (size_t)size) {
        vta_error_set(error, VTA_EIO, "%s cannot be read", path);
        free(bytes);
        bytes = NULL;
        goto done;
    }
    bytes[size] = '\0';
    *nbytes = (size_t)size;
done:
    if (file != NULL)
        fclose(file);
    return bytes;
}

static int get_number(const cJSON *object, const char *key, uint64_t max, uint64_t *value,
                      struct vta_error *error)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_IsNumber(item) || item->valuedouble < 0 || item->valuedouble > (double)max ||
        item->valuedouble != (double)(uint64_t)item->valuedouble)
        return vta_error_set(error, VTA_EFORMAT, "case.json: %s is not a number from 0 to %llu",
                             key, (unsigned long long)max);
    *value = (uint64_t)item->valuedouble;
    return 0;
}

static int read_tokens(const cJSON *root, const char *key, struct vta_tokens *tokens,
                       struct vta_error *error)
{
    static const char *const names[] = { "load_to_compute", "compute_to_load", "compute_to_store",
                                         "store_to_compute" };
    uint32_t *const places[] = { &tokens->load_to_compute, &tokens->compute_to_load,
                                 &tokens->compute_to_store, &tokens->store_to_compute };
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(root, key);
    for (int i = 0; i < 4; i++) {
        uint64_t value;
        int rc = get_number(object, names[i], 1u << 20, &value, error);
        if (rc != 0) {
            vta_error_prefix(error, "%s", key);
            return rc;
        }
        *places[i] = (uint32_t)value;
    }
    return 0;
}

static int read_counters(const cJSON *root, struct vta_counters *counters, struct vta_error *error)
{
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(root, "counters");
#define READ_COUNTER(name)                                                                         \
    if (get_number(object, #name, UINT64_C(1) << 52, &counters->name, error) != 0) {               \
        vta_error_prefix(error, "counters");                                                       \
        return VTA_EFORMAT;                                                                        \
    }
    VTA_COUNTERS(READ_COUNTER)
#undef READ_COUNTER
    return 0;
}

static int read_segment(const cJSON *item, const struct replay_memory *memory,
                        struct replay_segment *segment, struct vta_error *error)
{
    uint64_t values[3];
    if (cJSON_GetArraySize(item) != 3)
        return vta_error_set(error, VTA_EFORMAT,
                             "case.json: a segment is [address, bytes, offset in file]");
    for (int i = 0; i < 3; i++) {
        const cJSON *number = cJSON_GetArrayItem(item, i);
        if (!cJSON_IsNumber(number) || number->valuedouble < 0 || number->valuedouble > 4294967296.)
            return vta_error_set(error, VTA_EFORMAT,
                                 "case.json: a segment's numbers are 0 to 4294967296");
        values[i] = (uint64_t)number->valuedouble;
    }
    *segment = (struct replay_segment){ values[0], values[1], values[2] };
    if (segment->offset + segment->nbytes > memory->nbytes)
        return vta_error_set(
            error, VTA_EFORMAT, "case.json: a segment ends at byte %llu of a file of %zu",
            (unsigned long long)(segment->offset + segment->nbytes), memory->nbytes);
    if (segment->address + segment->nbytes > UINT64_C(1) << 32 || segment->address < 4096)
        return vta_error_set(
            error, VTA_EFORMAT, "case.json: a segment at 0x%llx with %llu bytes is not in DRAM",
            (unsigned long long)segment->address, (unsigned long long)segment->nbytes);
    return 0;
}

static int read_memory(const cJSON *root, const char *key, const char *folder,
                       struct replay_memory *memory, struct vta_error *error)
{
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(root, key);
    const cJSON *file = cJSON_GetObjectItemCaseSensitive(object, "file");
    const cJSON *segments = cJSON_GetObjectItemCaseSensitive(object, "segments"), *item;
    if (object == NULL)
        return 0;
    if (!cJSON_IsString(file) || !cJSON_IsArray(segments))
        return vta_error_set(error, VTA_EFORMAT, "case.json: %s needs file and segments", key);
    memory->bytes = read_file(folder, file->valuestring, &memory->nbytes, error);
    if (memory->bytes == NULL)
        return error->code;
    memory->segments = calloc((size_t)cJSON_GetArraySize(segments) + 1, sizeof(*memory->segments));
    if (memory->segments == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for the segments of a case");
    cJSON_ArrayForEach(item, segments)
    {
        int rc = read_segment(item, memory, &memory->segments[memory->count], error);
        if (rc != 0)
            return rc;
        memory->count++;
    }
    return 0;
}

static int read_hw(const cJSON *root, struct vta_hw *hw, struct vta_error *error)
{
    char *text = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(root, "hw"));
    if (text == NULL)
        return vta_error_set(error, VTA_EFORMAT, "case.json has no hw");
    int rc = vta_hw_from_json(hw, text, strlen(text), error);
    cJSON_free(text);
    return rc;
}

static int read_insns(const cJSON *root, const char *folder, struct replay_case *rc,
                      struct vta_error *error)
{
    const cJSON *file = cJSON_GetObjectItemCaseSensitive(root, "insn");
    uint64_t count;
    size_t nbytes;
    rc->insns =
        read_file(folder, cJSON_IsString(file) ? file->valuestring : "insn.bin", &nbytes, error);
    if (rc->insns == NULL)
        return error->code;
    if (get_number(root, "insn_count", FILE_MAX / VTA_INSN_BYTES, &count, error) != 0)
        return error->code;
    if (count * VTA_INSN_BYTES != nbytes)
        return vta_error_set(error, VTA_EFORMAT, "insn.bin has %zu bytes, insn_count is %llu",
                             nbytes, (unsigned long long)count);
    rc->insn_count = (uint32_t)count;
    return 0;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median of measured_s, and bitstream; a case need not have them. */
static int read_measured(const cJSON *root, struct replay_case *rc, struct vta_error *error)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "measured_s"), *item;
    const cJSON *bitstream = cJSON_GetObjectItemCaseSensitive(root, "bitstream");
    double values[64];
    size_t count = 0;
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsNumber(item) || !(item->valuedouble > 0) || count == 64)
            return vta_error_set(error, VTA_EFORMAT,
                                 "case.json: measured_s is not a list of up to 64 times");
        values[count++] = item->valuedouble;
    }
    qsort(values, count, sizeof(*values), compare_doubles);
    if (count > 0)
        rc->measured_s = (values[(count - 1) / 2] + values[count / 2]) / 2;
    if (cJSON_IsString(bitstream)) {
        rc->bitstream = strdup(bitstream->valuestring);
        if (rc->bitstream == NULL)
            return vta_error_set(error, VTA_ENOMEM, "no memory for a case");
    }
    return 0;
}

int replay_case_read(struct replay_case *rc, const char *folder, struct vta_error *error)
{
    struct vta_error unused;
    size_t nbytes;
    memset(rc, 0, sizeof(*rc));
    error = error != NULL ? error : &unused;
    char *text = (char *)read_file(folder, "case.json", &nbytes, error);
    if (text == NULL)
        return error->code;
    cJSON *root = cJSON_ParseWithLength(text, nbytes);
    free(text);
    if (root == NULL)
        return vta_error_set(error, VTA_EFORMAT, "%s/case.json is not JSON", folder);

    const cJSON *name = cJSON_GetObjectItemCaseSensitive(root, "name");
    rc->name = strdup(cJSON_IsString(name) ? name->valuestring : folder);
    int result = rc->name == NULL ? VTA_ENOMEM : read_hw(root, &rc->hw, error);
    if (result == 0)
        result = read_insns(root, folder, rc, error);
    if (result == 0)
        result = read_memory(root, "dram_in", folder, &rc->in, error);
    if (result == 0)
        result = read_memory(root, "dram_out", folder, &rc->out, error);
    if (result == 0)
        result = read_counters(root, &rc->counters, error);
    if (result == 0)
        result = read_tokens(root, "tokens_before", &rc->before, error);
    if (result == 0)
        result = read_tokens(root, "tokens_after", &rc->after, error);
    if (result == 0)
        result = read_measured(root, rc, error);
    cJSON_Delete(root);
    return result;
}

void replay_case_clear(struct replay_case *rc)
{
    free(rc->name);
    free(rc->bitstream);
    free(rc->insns);
    free(rc->in.bytes);
    free(rc->in.segments);
    free(rc->out.bytes);
    free(rc->out.segments);
    memset(rc, 0, sizeof(*rc));
}

/* ---- As a program -------------------------------------------------------------------------- */

/* What the case recorded of DRAM: it holds every micro-op. */
static const void *read_segments(void *context, uint64_t address, uint64_t nbytes)
{
    const struct replay_memory *memory = context;
    for (size_t i = 0; i < memory->count; i++) {
        const struct replay_segment *segment = &memory->segments[i];
        if (address >= segment->address && nbytes <= segment->nbytes &&
            address - segment->address <= segment->nbytes - nbytes)
            return memory->bytes + segment->offset + (address - segment->address);
    }
    return NULL;
}

/* For the verifier, which asks only whether there is memory: all 4 GiB are. */
static const void *any_address(void *context, uint64_t address, uint64_t nbytes)
{
    return address + nbytes <= UINT64_C(1) << 32 ? context : NULL;
}

int replay_case_program(struct vta_program **program, const struct replay_case *rc,
                        struct vta_error *error)
{
    struct replay_memory memory = rc->in;
    struct vta_verify_options options = { .before = rc->before,
                                          .reader = any_address,
                                          .context = &memory };
    int result = vta_program_from_stream(program, &rc->hw, rc->insns, rc->insn_count, read_segments,
                                         &memory, error);
    if (result != 0)
        return result;
    result = vta_verify(*program, &options, error);
    if (result != 0) {
        vta_program_free(*program);
        *program = NULL;
    }
    return result;
}
