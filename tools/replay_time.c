/* replay_time.c: vta-replay --time: the timing model held against measured cases (replay.h). */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/timing.h"
#include "core/timing_profile.h"

#include "case.h"
#include "replay.h"

/* What is known of one case. */
struct row {
    char *name, *profile; /* owned */
    double measured_s, predicted_s;
    bool good;
};

static int predict(struct row *row, const struct replay_case *rc, const char *profile_name,
                   struct vta_error *error)
{
    struct vta_timing_profile profile;
    struct vta_program *program = NULL;
    struct vta_timing timing;
    if (profile_name == NULL)
        profile_name = rc->bitstream;
    if (profile_name == NULL)
        return vta_error_set(error, VTA_EFORMAT, "the case names no bitstream: give --profile");
    int result = vta_profile_find(&profile, profile_name, error);
    if (result == 0)
        result = replay_case_program(&program, rc, error);
    if (result == 0)
        result = vta_timing_replay(&timing, program, &profile, NULL, NULL, error);
    vta_program_free(program);
    if (result != 0)
        return result;
    row->profile = strdup(profile.name);
    row->measured_s = rc->measured_s;
    row->predicted_s = (double)timing.total_ns * 1e-9;
    row->good = row->profile != NULL;
    return 0;
}

static void read_row(struct row *row, const char *folder, const char *profile)
{
    struct replay_case rc;
    struct vta_error error;
    int result = replay_case_read(&rc, folder, &error);
    row->name = strdup(rc.name != NULL ? rc.name : folder);
    if (result == 0)
        result = predict(row, &rc, profile, &error);
    if (result != 0)
        fprintf(stderr, "vta-replay: %s: %s\n", folder, error.message);
    replay_case_clear(&rc);
}

/* ---- As lines ------------------------------------------------------------------------------ */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The summary of the rows with this profile; NULL: of all. Errors has room for count. */
static void print_summary(const struct row *rows, size_t count, const char *profile, double *errors)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (rows[i].good && rows[i].measured_s > 0 &&
            (profile == NULL || strcmp(rows[i].profile, profile) == 0))
            errors[n++] = fabs(rows[i].predicted_s / rows[i].measured_s - 1);
    if (n == 0)
        return;
    qsort(errors, n, sizeof(*errors), compare_doubles);
    printf("%-14s %3zu cases: median %4.1f %%, 90th percentile %4.1f %%, worst %4.1f %%\n",
           profile != NULL ? profile : "all", n, (errors[(n - 1) / 2] + errors[n / 2]) * 50,
           errors[(n * 9 + 9) / 10 - 1] * 100, errors[n - 1] * 100);
}

/* Whether no row before this one has its profile. */
static bool first_of_profile(const struct row *rows, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (rows[i].good && strcmp(rows[i].profile, rows[index].profile) == 0)
            return false;
    return true;
}

static void print_lines(const struct row *rows, size_t count, double *errors)
{
    size_t good = 0;
    for (size_t i = 0; i < count; i++)
        good += rows[i].good;
    if (good == 0)
        return;
    printf("%-22s %-14s %12s %12s %9s\n", "case", "profile", "measured ms", "predicted ms",
           "ratio");
    for (size_t i = 0; i < count; i++) {
        const struct row *row = &rows[i];
        if (!row->good)
            continue;
        printf("%-22s %-14s ", row->name, row->profile);
        if (row->measured_s > 0)
            printf("%12.3f %12.3f %9.3f\n", row->measured_s * 1e3, row->predicted_s * 1e3,
                   row->predicted_s / row->measured_s);
        else
            printf("%12s %12.3f %9s\n", "-", row->predicted_s * 1e3, "-");
    }
    puts("\n|predicted/measured - 1|");
    for (size_t i = 0; i < count; i++)
        if (rows[i].good && first_of_profile(rows, i))
            print_summary(rows, count, rows[i].profile, errors);
    print_summary(rows, count, NULL, errors);
}

/* ---- As JSON ------------------------------------------------------------------------------- */

static void print_json(const struct row *rows, size_t count)
{
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < count; i++) {
        if (!rows[i].good)
            continue;
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddStringToObject(entry, "name", rows[i].name);
        if (rows[i].measured_s > 0)
            cJSON_AddNumberToObject(entry, "measured_s", rows[i].measured_s);
        else
            cJSON_AddNullToObject(entry, "measured_s");
        cJSON_AddNumberToObject(entry, "predicted_s", rows[i].predicted_s);
        cJSON_AddItemToArray(list, entry);
    }
    char *text = cJSON_Print(list);
    puts(text != NULL ? text : "[]");
    cJSON_free(text);
    cJSON_Delete(list);
}

int replay_time(char **folders, int count, const char *profile, bool json)
{
    struct row *rows = calloc((size_t)count, sizeof(*rows));
    double *errors = calloc((size_t)count, sizeof(*errors));
    int status = rows != NULL && errors != NULL ? 0 : 1;
    if (status != 0)
        fputs("vta-replay: no memory\n", stderr);
    for (int i = 0; i < count && rows != NULL; i++) {
        read_row(&rows[i], folders[i], profile);
        status = rows[i].good ? status : 1;
    }
    if (rows != NULL && errors != NULL && json)
        print_json(rows, (size_t)count);
    else if (rows != NULL && errors != NULL)
        print_lines(rows, (size_t)count, errors);
    for (int i = 0; i < count && rows != NULL; i++) {
        free(rows[i].name);
        free(rows[i].profile);
    }
    free(rows);
    free(errors);
    return status;
}
