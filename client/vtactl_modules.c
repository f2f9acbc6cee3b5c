/* vtactl_modules.c: upload, download, ls, rm.
 */
#include "vtactl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static cJSON *module_as_json(const struct vta_module_info *info)
{
    cJSON *object = cJSON_CreateObject();

    cJSON_AddStringToObject(object, "name", info->name);
    json_u64(object, "bytes", info->bytes);
    cJSON_AddStringToObject(object, "digest", info->digest);
    cJSON_AddBoolToObject(object, "stored", info->stored);
    return object;
}

int command_ls(struct tool *tool)
{
    struct vta_module_info *list;
    size_t count;

    if (vta_list_modules(tool->session, &list, &count, &tool->error) != 0)
        return EXIT_FAILED;
    if (tool->arguments.json) {
        cJSON_Delete(tool->json);
        tool->json = cJSON_CreateArray();
    }
    for (size_t i = 0; i < count; i++) {
        if (tool->arguments.json)
            cJSON_AddItemToArray(tool->json, module_as_json(&list[i]));
        else
            printf("%10" PRIu64 "  %.16s…  %s%s\n", list[i].bytes, list[i].digest, list[i].name,
                   list[i].stored ? "" : " (of this session)");
    }
    free(list);
    return 0;
}

/* What the daemon has under this name, from its list. */
static int find_module(struct tool *tool, const char *name, struct vta_module_info *info)
{
    struct vta_module_info *list;
    size_t count;
    int rc = vta_list_modules(tool->session, &list, &count, &tool->error);

    if (rc != 0)
        return rc;
    rc = VTA_ENOTFOUND;
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].name, name) == 0) {
            *info = list[i];
            rc = 0;
        }
    free(list);
    if (rc != 0)
        vta_error_set(&tool->error, rc, "%s: was uploaded, but is not in the daemon's list", name);
    return rc;
}

int command_upload(struct tool *tool)
{
    const struct arguments *arguments = &tool->arguments;
    const char *path = arguments->operands[0];
    const char *name = arguments->operand_count > 1 ? arguments->operands[1] : base_name(path);
    struct vta_module_info info;

    if (vta_upload(tool->session, path, name, &tool->error) != 0 ||
        find_module(tool, name, &info) != 0)
        return EXIT_FAILED;
    if (arguments->json) {
        cJSON_Delete(tool->json);
        tool->json = module_as_json(&info);
    } else {
        printf("%s: %" PRIu64 " bytes, %s\n", info.name, info.bytes, info.digest);
    }
    if (!info.stored)
        fprintf(stderr, "%s: there is no store, so the module ends with this session\n", name);
    return 0;
}

int command_download(struct tool *tool)
{
    const struct arguments *arguments = &tool->arguments;
    const char *name = arguments->operands[0];
    const char *path = arguments->operand_count > 1 ? arguments->operands[1] : name;
    void *bytes;
    size_t nbytes;

    if (vta_download(tool->session, name, &bytes, &nbytes, &tool->error) != 0)
        return EXIT_FAILED;
    int rc = write_file(path, bytes, nbytes, &tool->error);
    free(bytes);
    if (rc != 0)
        return EXIT_FAILED;
    if (arguments->json) {
        cJSON_AddStringToObject(tool->json, "name", name);
        cJSON_AddStringToObject(tool->json, "file", path);
        json_u64(tool->json, "bytes", nbytes);
    } else {
        printf("%s: %zu bytes\n", path, nbytes);
    }
    return 0;
}

int command_rm(struct tool *tool)
{
    const struct arguments *arguments = &tool->arguments;
    cJSON *removed = arguments->json ? cJSON_AddArrayToObject(tool->json, "removed") : NULL;

    for (size_t i = 0; i < arguments->operand_count; i++) {
        if (vta_remove(tool->session, arguments->operands[i], &tool->error) != 0)
            return EXIT_FAILED;
        if (removed != NULL)
            cJSON_AddItemToArray(removed, cJSON_CreateString(arguments->operands[i]));
    }
    return 0;
}
