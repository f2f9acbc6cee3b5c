/* replay_hazards.c: vta-replay --hazards: what may go wrong with recorded streams on a board
 * (replay.h).
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/hazard.h"

#include "case.h"
#include "replay.h"

static const char not_complete[] = "the search was not complete: there may be more";

/* Puts what was found into a list of texts, or prints it. */
static void tell(const struct vta_program *program, const struct vta_hazards *hazards, cJSON *texts)
{
    char text[VTA_HAZARD_TEXT];
    for (uint32_t i = 0; i < hazards->count; i++) {
        vta_hazard_print(program, &hazards->items[i], text, sizeof(text));
        if (texts != NULL)
            cJSON_AddItemToArray(texts, cJSON_CreateString(text));
        else
            printf("      %s\n", text);
    }
    const uint64_t found = vta_hazards_count(hazards) + vta_hazards_warnings(hazards);
    if (texts == NULL && found > hazards->count)
        printf("      and %llu more\n", (unsigned long long)(found - hazards->count));
    if (texts == NULL && !hazards->complete)
        printf("      %s\n", not_complete);
}

static cJSON *add_case(cJSON *list, const char *name, bool ok, const char *reason)
{
    cJSON *entry = cJSON_CreateObject();
    cJSON_AddStringToObject(entry, "name", name);
    cJSON_AddBoolToObject(entry, "ok", ok);
    cJSON_AddStringToObject(entry, "reason", reason);
    cJSON_AddItemToArray(list, entry);
    return cJSON_AddArrayToObject(entry, "hazards");
}

/* Returns whether the case has no hazard. */
static bool report(const struct replay_case *rc, const struct vta_program *program,
                   const struct vta_hazards *hazards, cJSON *list)
{
    const uint64_t count = vta_hazards_count(hazards), warnings = vta_hazards_warnings(hazards);
    cJSON *texts = NULL;
    if (list != NULL)
        texts = add_case(list, rc->name, count == 0, hazards->complete ? "" : not_complete);
    else if (count == 0 && warnings == 0)
        printf("ok    %s\n", rc->name);
    else
        printf("%-4s  %s: %llu hazards, %llu warnings\n", count == 0 ? "ok" : "FAIL", rc->name,
               (unsigned long long)count, (unsigned long long)warnings);
    tell(program, hazards, texts);
    return count == 0;
}

static bool check(const char *folder, const struct vta_hazard_options *options, cJSON *list)
{
    struct replay_case rc;
    struct vta_program *program = NULL;
    struct vta_hazards *hazards = NULL;
    struct vta_error error;
    bool good = false;
    int result = replay_case_read(&rc, folder, &error);
    if (result == 0)
        result = replay_case_program(&program, &rc, &error);
    if (result == 0)
        result = vta_hazards_find(&hazards, program, options, &error);
    if (result == 0)
        good = report(&rc, program, hazards, list);
    else if (list != NULL)
        add_case(list, rc.name != NULL ? rc.name : folder, false, error.message);
    else
        printf("FAIL  %s: %s\n", rc.name != NULL ? rc.name : folder, error.message);
    vta_hazards_free(hazards);
    vta_program_free(program);
    replay_case_clear(&rc);
    return good;
}

int replay_hazards(char **folders, int count, bool strict_board, bool json)
{
    const struct vta_hazard_options options = { .strict_board = strict_board,
                                                .list_at_most = VTA_HAZARDS_LISTED };
    cJSON *list = json ? cJSON_CreateArray() : NULL;
    int good = 0;
    for (int i = 0; i < count; i++)
        good += check(folders[i], &options, list);
    if (json) {
        char *text = cJSON_Print(list);
        puts(text != NULL ? text : "[]");
        cJSON_free(text);
        cJSON_Delete(list);
    } else {
        printf("%d of %d cases have no hazard\n", good, count);
    }
    return good == count ? 0 : 1;
}
