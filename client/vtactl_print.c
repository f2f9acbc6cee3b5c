/* vtactl_print.c: how vtactl writes numbers, for people and for machines.
 */
#include "vtactl.h"

#include <inttypes.h>

void print_counters(const struct vta_counters *counters)
{
    puts("Execution statistics:");
#define PRINT(name) printf("\t%-16s: %16" PRIu64 "\n", #name, counters->name);
    VTA_COUNTERS(PRINT)
#undef PRINT
}

void print_seconds(double seconds)
{
    if (seconds < 1e-3)
        printf("%.1f µs", seconds * 1e6);
    else if (seconds < 1)
        printf("%.3f ms", seconds * 1e3);
    else
        printf("%.3f s", seconds);
}

/* Exact, where a JSON library's double would not be. */
void json_u64(cJSON *object, const char *name, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, value);
    cJSON_AddRawToObject(object, name, text);
}

static void hazards_as_json(cJSON *json, const struct vta_module *module)
{
    cJSON *list = cJSON_AddArrayToObject(json, "hazards");
    const char *text;

    json_u64(json, "hazards_found", vta_module_hazards_found(module));
    for (size_t i = 0; (text = vta_module_hazard(module, i, NULL)) != NULL; i++)
        cJSON_AddItemToArray(list, cJSON_CreateString(text));
}

void print_hazards(struct tool *tool, const struct vta_module *module, const char *name)
{
    const uint64_t found = vta_module_hazards_found(module);
    const char *text;
    size_t listed = 0;

    if (tool->json != NULL)
        hazards_as_json(tool->json, module);
    if (tool->json != NULL || found == 0)
        return;
    while ((text = vta_module_hazard(module, listed, NULL)) != NULL) {
        fprintf(stderr, "%s: %s\n", name, text);
        listed++;
    }
    if (listed < found)
        fprintf(stderr, "%s: and %" PRIu64 " more\n", name, found - listed);
}

cJSON *json_counters(const struct vta_counters *counters)
{
    cJSON *object = cJSON_CreateObject();

#define ADD(name) json_u64(object, #name, counters->name);
    VTA_COUNTERS(ADD)
#undef ADD
    return object;
}

cJSON *json_error(const struct vta_error *error)
{
    cJSON *object = cJSON_CreateObject();

    cJSON_AddStringToObject(object, "code", vta_error_name(error->code));
    cJSON_AddStringToObject(object, "message", error->message);
    if (error->insn >= 0)
        cJSON_AddNumberToObject(object, "insn", (double)error->insn);
    if (error->has_limit) {
        cJSON_AddNumberToObject(object, "limit", (double)error->limit);
        cJSON_AddNumberToObject(object, "value", (double)error->value);
    }
    return object;
}

void print_progress(void *context, const char *what, uint64_t done, uint64_t total)
{
    (void)context;
    fprintf(stderr, "\r%s: %" PRIu64 " of %" PRIu64 " MiB, %" PRIu64 " %%", what, done >> 20,
            total >> 20, total == 0 ? 100 : (uint64_t)((double)done * 100 / (double)total));
    fputs(done == total ? "\r\033[K" : "", stderr);
}
