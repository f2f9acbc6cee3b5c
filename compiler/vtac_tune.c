/* vtac_tune.c: vtac tune-profile: fits timing profiles to measured cases and says how well. */
#include "vtac.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/case.h"
#include "tune.h"

static const struct option options[] = { { "leave-one-out", no_argument, NULL, 'l' },
                                         { "help", no_argument, NULL, 'h' },
                                         { NULL, 0, NULL, 0 } };

/* Everything that a call works on. */
struct tuning {
    struct replay_case *recorded;
    struct vta_program **programs;
    struct vta_tune_case *cases;
    size_t count;
    struct vta_timing_profile profiles[VTA_TUNE_BUILDS];
    size_t builds;
};

static void tuning_clear(struct tuning *tuning)
{
    for (size_t i = 0; i < tuning->count; i++) {
        vta_program_free(tuning->programs[i]);
        replay_case_clear(&tuning->recorded[i]);
    }
    free(tuning->recorded);
    free(tuning->programs);
    free(tuning->cases);
}

/* ---- Reading ------------------------------------------------------------------------------- */

/* The profile that a build starts from: its own where one ships, which gives it its words; else one
 * of the same kind of board under the build's name. */
static int open_profile(struct vta_timing_profile *profile, const struct replay_case *rc,
                        struct vta_error *error)
{
    if (vta_profile_find(profile, rc->bitstream, error) == 0)
        return 0;
    int result = vta_profile_find(profile, vta_profile_name(0), error);
    if (result != 0)
        return result;
    if (snprintf(profile->name, sizeof(profile->name), "%s", rc->bitstream) >=
        (int)sizeof(profile->name))
        return vta_error_set(error, VTA_EFORMAT, "bitstream '%s' is too long for a name",
                             rc->bitstream);
    snprintf(profile->board, sizeof(profile->board), "%s", rc->bitstream);
    profile->note[0] = '\0';
    vta_hw_bitstream(&rc->hw, profile->hardware);
    profile->measured = true;
    return 0;
}

static int find_build(struct tuning *tuning, const struct replay_case *rc, size_t *build,
                      struct vta_error *error)
{
    for (*build = 0; *build < tuning->builds; ++*build)
        if (strcmp(tuning->profiles[*build].name, rc->bitstream) == 0)
            return 0;
    if (tuning->builds == VTA_TUNE_BUILDS)
        return vta_error_limit(error, VTA_ELIMIT, VTA_TUNE_BUILDS, VTA_TUNE_BUILDS + 1,
                               "at most %d builds are fitted at once", VTA_TUNE_BUILDS);
    return open_profile(&tuning->profiles[tuning->builds++], rc, error);
}

static int read_case(struct tuning *tuning, const char *folder, struct vta_error *error)
{
    struct replay_case *rc = &tuning->recorded[tuning->count];
    struct vta_tune_case *one = &tuning->cases[tuning->count];
    struct vta_program **program = &tuning->programs[tuning->count];
    tuning->count++; /* from here on it is cleared */
    int result = replay_case_read(rc, folder, error);
    if (result == 0 && (rc->measured_s == 0 || rc->bitstream == NULL))
        result = vta_error_set(error, VTA_EFORMAT, "the case has no measured_s and bitstream");
    if (result == 0)
        result = replay_case_program(program, rc, error);
    if (result == 0)
        result = find_build(tuning, rc, &one->build, error);
    if (result != 0) {
        vta_error_prefix(error, "%s", folder);
        return result;
    }
    one->program = *program;
    one->measured_s = rc->measured_s;
    return 0;
}

static int read_cases(struct tuning *tuning, char **folders, size_t count, struct vta_error *error)
{
    int result = 0;
    tuning->recorded = calloc(count, sizeof(*tuning->recorded));
    tuning->programs = calloc(count, sizeof(*tuning->programs));
    tuning->cases = calloc(count, sizeof(*tuning->cases));
    if (tuning->recorded == NULL || tuning->programs == NULL || tuning->cases == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for %zu cases", count);
    for (size_t i = 0; i < count && result == 0; i++)
        result = read_case(tuning, folders[i], error);
    return result;
}

/* ---- The table ----------------------------------------------------------------------------- */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int predict(const struct tuning *tuning, const struct vta_timing_profile *profiles, size_t i,
                   double *ratio, double *seconds, struct vta_error *error)
{
    struct vta_timing timing;
    int rc = vta_timing_replay(&timing, tuning->programs[i], &profiles[tuning->cases[i].build],
                               NULL, NULL, error);
    *seconds = rc == 0 ? (double)timing.total_ns * 1e-9 : 0;
    *ratio = *seconds / tuning->cases[i].measured_s;
    return rc;
}

static void print_summary(const char *what, double *errors, size_t count)
{
    qsort(errors, count, sizeof(*errors), compare_doubles);
    double median = (errors[(count - 1) / 2] + errors[count / 2]) / 2;
    printf("  %s of %zu: median %.1f %%, 90th percentile %.1f %%, worst %.1f %%\n", what, count,
           median * 100, errors[(count * 9 + 9) / 10 - 1] * 100, errors[count - 1] * 100);
}

/* One build: its numbers, its cases, how far off. left: ratios without each case, or NULL. */
static int print_build(const struct tuning *tuning, size_t build, const double *left,
                       struct vta_error *error)
{
    const struct vta_timing_profile *profile = &tuning->profiles[build];
    double *errors = calloc(2 * tuning->count, sizeof(*errors));
    size_t n = 0;
    int rc = errors == NULL ? vta_error_set(error, VTA_ENOMEM, "no memory for a table") : 0;
    printf("%s\n", profile->name);
    for (size_t k = 0; k < VTA_PROFILE_NUMBER_COUNT; k++) {
        const struct vta_profile_number *number = &vta_profile_numbers()[k];
        printf("  %-22s %g\n", number->name,
               *(const double *)((const char *)profile + number->offset));
    }
    printf("  %-22s %12s %12s %8s%s\n", "case", "measured ms", "predicted ms", "ratio",
           left != NULL ? "  without it" : "");
    for (size_t i = 0; i < tuning->count && rc == 0; i++) {
        double ratio, seconds;
        if (tuning->cases[i].build != build)
            continue;
        rc = predict(tuning, tuning->profiles, i, &ratio, &seconds, error);
        printf("  %-22s %12.3f %12.3f %8.3f", tuning->recorded[i].name,
               tuning->cases[i].measured_s * 1e3, seconds * 1e3, ratio);
        printf(left != NULL ? "  %10.3f\n" : "\n", left != NULL ? left[i] : 0);
        errors[tuning->count + n] = left != NULL ? fabs(left[i] - 1) : 0;
        errors[n++] = fabs(ratio - 1);
    }
    if (rc == 0)
        print_summary("error", errors, n);
    if (rc == 0 && left != NULL)
        print_summary("left out", errors + tuning->count, n);
    free(errors);
    return rc;
}

/* Predicts each case with profiles that were fitted without it. */
static int leave_out(struct tuning *tuning, double *left, struct vta_error *error)
{
    int rc = 0;
    for (size_t i = 0; i < tuning->count && rc == 0; i++) {
        struct vta_timing_profile profiles[VTA_TUNE_BUILDS];
        double seconds;
        memcpy(profiles, tuning->profiles, sizeof(profiles));
        rc = vta_tune(profiles, tuning->builds, tuning->cases, tuning->count, i, true, error);
        if (rc == 0)
            rc = predict(tuning, profiles, i, &left[i], &seconds, error);
    }
    return rc;
}

/* ---- Writing ------------------------------------------------------------------------------- */

/* To FILE where there is one build, else to FOLDER/NAME.json each. */
static int write_profiles(const struct tuning *tuning, const char *output, struct vta_error *error)
{
    struct stat about;
    bool folder = stat(output, &about) == 0 && S_ISDIR(about.st_mode);
    if (!folder && tuning->builds > 1)
        return vta_error_set(error, VTA_EINVAL, "-o %s: %zu builds need a folder to write to",
                             output, tuning->builds);
    for (size_t b = 0; b < tuning->builds; b++) {
        const struct vta_timing_profile *profile = &tuning->profiles[b];
        char path[4096];
        snprintf(path, sizeof(path), folder ? "%s/%s.json" : "%s", output, profile->name);
        char *text = vta_profile_to_json(profile);
        FILE *file = text != NULL ? fopen(path, "we") : NULL;
        bool written = file != NULL && fputs(text, file) >= 0;
        written = (file == NULL || fclose(file) == 0) && written;
        free(text);
        if (!written)
            return vta_error_set(error, VTA_EIO, "%s cannot be written", path);
    }
    return 0;
}

static int tune(struct tuning *tuning, bool cross, const char *output, struct vta_error *error)
{
    double *left = cross ? calloc(tuning->count, sizeof(*left)) : NULL;
    int rc = cross && left == NULL ? vta_error_set(error, VTA_ENOMEM, "no memory for a table") : 0;
    if (rc == 0)
        rc = vta_tune(tuning->profiles, tuning->builds, tuning->cases, tuning->count, SIZE_MAX,
                      false, error);
    if (rc == 0 && cross)
        rc = leave_out(tuning, left, error);
    for (size_t b = 0; b < tuning->builds && rc == 0; b++)
        rc = print_build(tuning, b, left, error);
    if (rc == 0 && output != NULL)
        rc = write_profiles(tuning, output, error);
    free(left);
    return rc;
}

static int run_tune(const struct vtac_command *command, int argc, char **argv)
{
    struct tuning tuning = { .count = 0 };
    struct vta_error error;
    const char *output = NULL;
    bool cross = false;
    int option, status = VTAC_OK;
    while ((option = vtac_option(command, argc, argv, options, &status)) != -1) {
        if (option == VTAC_STOP)
            return status;
        if (option == 'l')
            cross = true;
        else
            output = optarg;
    }
    if (optind == argc)
        return vtac_wrong_usage(command, "no case given");
    int rc = read_cases(&tuning, argv + optind, (size_t)(argc - optind), &error);
    if (rc == 0)
        rc = tune(&tuning, cross, output, &error);
    tuning_clear(&tuning);
    return rc == 0 ? VTAC_OK : vtac_failed(command, &error);
}

const struct vtac_command vtac_tune = {
    "tune-profile", "fit timing profiles to cases that a board was timed with",
    "[-o FILE|FOLDER] [--leave-one-out] CASE…\n"
    "\n"
    "Fits a timing profile for each hardware build among the cases, and prints what was measured\n"
    "against what is predicted. A CASE is a folder with case.json (with measured_s and "
    "bitstream),\n"
    "insn.bin and dram_in.bin. What belongs to the board is fitted as one number for all builds,\n"
    "what belongs to a build as one for each.\n"
    "\n"
    "  -o FILE|FOLDER    write the profile to FILE, or each to FOLDER/BITSTREAM.json\n"
    "  --leave-one-out   predict each case with numbers fitted without it, too (slow)\n"
    "  --help            this text\n",
    run_tune
};
