/* vtac_hazards.c: vtac check: whether a module's functions do on a board what they do in a
 * simulator.
 */
#include "vtac.h"

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <vta/module.h>

#include "core/hazard.h"

/* What one function turned out to be. */
struct verdict {
    struct vta_program *program; /* NULL: refused, for the reason in error */
    struct vta_hazards *hazards;
    struct vta_error error;
};

static void judge(struct verdict *verdict, const struct vta_kernel *kernel, const struct vta_hw *hw,
                  const struct vta_hazard_options *options)
{
    memset(verdict, 0, sizeof *verdict);
    if (vtac_program(&verdict->program, kernel, hw, true, &verdict->error) != 0)
        return;
    if (vta_hazards_find(&verdict->hazards, verdict->program, options, &verdict->error) != 0) {
        vta_program_free(verdict->program);
        verdict->program = NULL;
    }
}

static void verdict_clear(struct verdict *verdict)
{
    vta_hazards_free(verdict->hazards);
    vta_program_free(verdict->program);
}

static bool is_good(const struct verdict *verdict)
{
    return verdict->program != NULL && vta_hazards_count(verdict->hazards) == 0;
}

/* ---- For people ---------------------------------------------------------------------------- */

/* "and 12 more races" for each kind of which not all are listed. */
static void print_rest(const struct vta_hazards *hazards, const char *where, const char *name)
{
    uint64_t listed[VTA_HAZARD_KINDS] = { 0 };
    for (uint32_t i = 0; i < hazards->count; i++)
        listed[hazards->items[i].kind]++;
    for (int kind = 0; kind < VTA_HAZARD_KINDS; kind++)
        if (hazards->found[kind] > listed[kind])
            printf("%s: %s: and %s%llu more of %s\n", where, name,
                   hazards->complete ? "" : "at least ",
                   (unsigned long long)(hazards->found[kind] - listed[kind]),
                   vta_hazard_name((enum vta_hazard_kind)kind));
}

static void print_verdict(const struct verdict *verdict, const char *where, const char *name)
{
    char text[VTA_HAZARD_TEXT];
    if (verdict->program == NULL) {
        printf("%s: %s: %s\n", where, name, verdict->error.message);
        return;
    }
    for (uint32_t i = 0; i < verdict->hazards->count; i++) {
        vta_hazard_print(verdict->program, &verdict->hazards->items[i], text, sizeof text);
        printf("%s: %s: %s\n", where, name, text);
    }
    print_rest(verdict->hazards, where, name);
    if (is_good(verdict))
        printf("%s: %s: accepted, no hazards%s\n", where, name,
               verdict->hazards->complete ? "" : " found, but not everything was compared");
}

/* ---- For machines -------------------------------------------------------------------------- */

static void add_insn(cJSON *json, const char *key, uint32_t insn)
{
    if (insn == VTA_HAZARD_NO_INSN)
        cJSON_AddNullToObject(json, key);
    else
        cJSON_AddNumberToObject(json, key, insn);
}

static cJSON *hazard_json(const struct vta_program *program, const struct vta_hazard *hazard)
{
    char text[VTA_HAZARD_TEXT];
    cJSON *json = cJSON_CreateObject();
    vta_hazard_print(program, hazard, text, sizeof text);
    cJSON_AddStringToObject(json, "kind", vta_hazard_name(hazard->kind));
    cJSON_AddBoolToObject(json, "warning", vta_hazard_is_warning(hazard->kind));
    add_insn(json, "insn", hazard->first);
    add_insn(json, "other", hazard->second);
    cJSON_AddStringToObject(json, "message", text);
    if (hazard->extent.count == 0)
        return json;
    cJSON_AddStringToObject(json, "memory",
                            hazard->memory == VTA_HAZARD_DRAM
                                ? "DRAM"
                                : vta_memory_name((enum vta_memory)hazard->memory));
    cJSON_AddNumberToObject(json, "begin", (double)hazard->extent.begin);
    cJSON_AddNumberToObject(json, "end", (double)hazard->extent.end);
    cJSON_AddNumberToObject(json, "count", (double)hazard->extent.count);
    return json;
}

static cJSON *verdict_json(const struct verdict *verdict, const char *name)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "name", name);
    cJSON_AddBoolToObject(json, "ok", is_good(verdict));
    if (verdict->program == NULL) {
        cJSON_AddStringToObject(json, "refused", verdict->error.message);
        cJSON_AddStringToObject(json, "code", vta_error_name(verdict->error.code));
        return json;
    }
    cJSON *found = cJSON_AddObjectToObject(json, "found");
    for (int kind = 0; kind < VTA_HAZARD_KINDS; kind++)
        if (verdict->hazards->found[kind] != 0)
            cJSON_AddNumberToObject(found, vta_hazard_name((enum vta_hazard_kind)kind),
                                    (double)verdict->hazards->found[kind]);
    cJSON_AddBoolToObject(json, "complete", verdict->hazards->complete);
    cJSON *list = cJSON_AddArrayToObject(json, "hazards");
    for (uint32_t i = 0; i < verdict->hazards->count; i++)
        cJSON_AddItemToArray(list, hazard_json(verdict->program, &verdict->hazards->items[i]));
    return json;
}

/* ---- The command --------------------------------------------------------------------------- */

static int check_image(const struct vta_module_image *image, const char *path,
                       const struct vta_hazard_options *options, cJSON *list)
{
    int status = VTAC_OK;
    for (uint32_t i = 0; i < image->kernel_count; i++) {
        const char *name = image->kernels[i].name;
        struct verdict verdict;
        judge(&verdict, &image->kernels[i], &image->hw, options);
        if (list != NULL)
            cJSON_AddItemToArray(list, verdict_json(&verdict, name));
        else
            print_verdict(&verdict, path, name);
        if (!is_good(&verdict))
            status = VTAC_FAILED;
        verdict_clear(&verdict);
    }
    return status;
}

/* One object for the file: {"file", "functions"}. */
static int check_as_json(const struct vta_module_image *image, const char *path,
                         const struct vta_hazard_options *options)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "file", path);
    int status = check_image(image, path, options, cJSON_AddArrayToObject(json, "functions"));
    char *text = cJSON_Print(json);
    if (text != NULL)
        puts(text);
    else
        status = VTAC_FAILED;
    free(text);
    cJSON_Delete(json);
    return status;
}

static int run(const struct vtac_command *command, int argc, char **argv)
{
    static const struct option options[] = { { "json", no_argument, NULL, 'j' },
                                             { "strict-board", no_argument, NULL, 's' },
                                             { "all", no_argument, NULL, 'a' },
                                             { "help", no_argument, NULL, 'h' },
                                             { NULL, 0, NULL, 0 } };
    struct vta_hazard_options wanted = { .list_at_most = VTA_HAZARDS_LISTED };
    struct vta_module_image image;
    struct vta_error error;
    int option, status;
    bool json = false;
    while ((option = vtac_option(command, argc, argv, options, &status)) != -1) {
        if (option == VTAC_STOP)
            return status;
        if (option == 'o')
            return vtac_wrong_usage(command, "it writes to standard output only");
        json = json || option == 'j';
        wanted.strict_board = wanted.strict_board || option == 's';
        if (option == 'a')
            wanted.list_at_most = 0;
    }
    if (optind + 1 != argc)
        return vtac_wrong_usage(command, "one module file is expected");
    if (vta_module_open(&image, argv[optind], &error) != 0)
        return vtac_failed(command, &error);
    status = json ? check_as_json(&image, argv[optind], &wanted)
                  : check_image(&image, argv[optind], &wanted, NULL);
    vta_module_image_clear(&image);
    return status;
}

const struct vtac_command vtac_check = {
    "check", "say of each function what may go wrong on a board",
    "[--strict-board] [--all] [--json] FILE\n"
    "\n"
    "Verifies each function of a module file, and looks for what a simulator does not mind and a\n"
    "board may: accesses of two units to the same memory that no token orders. Also warns of SRAM\n"
    "that is read and nothing has written. Exit status: 0 only if every function is accepted and\n"
    "has no hazard.\n"
    "\n"
    "  --strict-board    also what a board lacks: MUL, loads of 8-bit numbers into ACC, wide "
    "shifts,\n"
    "                    padding of WGT and UOP, and queues without end\n"
    "  --all             list every finding, not only the first of each kind\n"
    "  --json            one JSON object\n"
    "  --help            this text\n",
    run
};
