/* vtactl_timing.c: whose time vtactl asks for.
 */
#include "vtactl.h"

#include <stdlib.h>
#include <string.h>

#include "core/timing_profile.h"

bool is_profile_path(const char *name)
{
    size_t length = name != NULL ? strlen(name) : 0;
    if (length == 0)
        return false;
    return strchr(name, '/') != NULL || (length > 5 && strcmp(name + length - 5, ".json") == 0);
}

int choose_timing(struct tool *tool, struct vta_timing_choice *choice)
{
    const struct arguments *arguments = &tool->arguments;
    struct vta_timing_profile profile;
    const char *text = arguments->profile;
    char *json = NULL;
    /* A file is here, not where the daemon is: its text is sent. */
    if (is_profile_path(text)) {
        if (vta_profile_from_file(&profile, text, &tool->error) != 0)
            return EXIT_FAILED;
        text = json = vta_profile_to_json(&profile);
        if (json == NULL) {
            vta_error_set(&tool->error, VTA_ENOMEM, "no memory for a timing profile");
            return EXIT_FAILED;
        }
    }
    int rc = vta_select_timing(tool->session, text, arguments->clock, choice, &tool->error);
    free(json);
    return rc == 0 ? 0 : EXIT_FAILED;
}
