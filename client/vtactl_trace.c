/* vtactl_trace.c: what a board does during a call, as a Trace Event file. It is worked out here,
 * from the module and a timing profile: time does not depend on data, so there is nothing to
 * record.
 */
#include "vtactl_call.h"

#include <stdlib.h>

#include <vta/module.h>

#include "core/timeline.h"
#include "core/verify.h"

/* The profile that the session predicts by. */
static int find_profile(struct tool *tool, const struct vta_timing_choice *choice,
                        struct vta_timing_profile *profile)
{
    if (choice->profile[0] == '\0')
        return vta_error_set(&tool->error, VTA_ENOTFOUND,
                             "trace: the board has no timing profile: choose one with --profile");
    if (is_profile_path(tool->arguments.profile))
        return vta_profile_from_file(profile, tool->arguments.profile, &tool->error);
    return vta_profile_find(profile, choice->profile, &tool->error);
}

/* The function's program, from the bytes that the session has of its module. */
static int find_program(struct tool *tool, const struct call *call, struct vta_program **program)
{
    const struct vta_verify_options options = { .tokens_must_end_empty = true };
    const char *name = vta_function_name(call->function);
    struct vta_module_image image = { 0 };
    void *bytes = NULL;
    size_t nbytes;
    int rc = vta_download(tool->session, base_name(tool->arguments.operands[0]), &bytes, &nbytes,
                          &tool->error);

    if (rc == 0)
        rc = vta_module_decode(&image, bytes, nbytes, NULL, &tool->error);
    free(bytes);
    if (rc != 0)
        return rc;
    const struct vta_kernel *kernel = vta_module_image_find(&image, name);
    if (kernel == NULL)
        rc = vta_error_set(&tool->error, VTA_ENOTFOUND, "trace: no function '%s' any more", name);
    else
        rc = vta_program_from_kernel(program, kernel, &image.hw, &tool->error);
    if (rc == 0)
        rc = vta_verify(*program, &options, &tool->error);
    vta_module_image_clear(&image);
    return rc;
}

static int write_timeline(struct tool *tool, const struct vta_timeline *timeline)
{
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);

    if (file == NULL)
        return vta_error_set(&tool->error, VTA_ENOMEM, "no memory for a trace");
    int rc = vta_timeline_trace(timeline, file, &tool->error);
    if (fclose(file) != 0 && rc == 0)
        rc = vta_error_set(&tool->error, VTA_ENOMEM, "no memory for a trace");
    if (rc == 0)
        rc = write_file(tool->arguments.trace, text, size, &tool->error);
    free(text);
    return rc;
}

int write_trace(struct tool *tool, const struct call *call, const struct vta_timing_choice *choice)
{
    struct vta_timing_profile profile;
    struct vta_program *program = NULL;
    struct vta_timeline timeline = { 0 };
    int rc = find_profile(tool, choice, &profile);

    if (rc == 0)
        rc = find_program(tool, call, &program);
    if (rc == 0)
        rc = vta_timeline_make(&timeline, program, &profile, &tool->error);
    if (rc == 0)
        rc = write_timeline(tool, &timeline);
    if (rc == 0 && tool->json != NULL)
        cJSON_AddStringToObject(tool->json, "trace", tool->arguments.trace);
    vta_timeline_clear(&timeline);
    vta_program_free(program);
    return rc;
}
