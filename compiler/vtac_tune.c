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

#define BUILDS_MOST 16

/* Everything that a call works on. */
struct tuning {
    struct measured {
        struct replay_case recorded;
        struct vta_program *program; /* owned */
        size_t build;
    } * cases; /* owned */
    size_t count;
    struct vta_timing_profile profiles[BUILDS_MOST];
    size_t builds;
};

static void tuning_clear(struct tuning *tuning)
{
    for (size_t i = 0; i < tuning->count; i++) {
        vta_program_free(tuning->cases[i].program);
        replay_case_clear(&tuning->cases[i].recorded);
    }
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
    if (tuning->builds == BUILDS_MOST)
        return vta_error_limit(error, VTA_ELIMIT, BUILDS_MOST, BUILDS_MOST + 1,
                               "at most %d builds are fitted at once", BUILDS_MOST);
    return open_profile(&tuning->profiles[tuning->builds++], rc, error);
}

static int read_case(struct tuning *tuning, const char *folder, struct vta_error *error)
{
    struct measured *one = &tuning->cases[tuning->count++]; /* from here on it is cleared */
    struct replay_case *rc = &one->recorded;
    int result = replay_case_read(rc, folder, error);
    if (result == 0 && (rc->measured_s == 0 || rc->bitstream == NULL))
        result = vta_error_set(error, VTA_EFORMAT, "the case has no measured_s and bitstream");
    if (result == 0)
        result = replay_case_program(&one->program, rc, error);
    if (result == 0)
        result = find_build(tuning, rc, &one->build, error);
    if (result != 0)
        vta_error_prefix(error, "%s", folder);
    return result;
}

static int read_cases(struct tuning *tuning, char **folders, size_t count, struct vta_error *error)
{
    int result = 0;
    tuning->cases = calloc(count, sizeof(*tuning->cases));
    if (tuning->cases == NULL)
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

/* What is known of a case of a build. */
struct row {
    const struct measured *one;
    double predicted, left_out; /* predicted/measured, by numbers fitted with and without it */
};

static int ratio_of(double *ratio, const struct measured *one,
                    const struct vta_timing_profile *profile, struct vta_error *error)
{
    struct vta_timing timing;
    int rc = vta_timing_replay(&timing, one->program, profile, NULL, NULL, error);
    *ratio = rc == 0 ? (double)timing.total_ns * 1e-9 / one->recorded.measured_s : 0;
    return rc;
}

static void print_summary(const char *what, const struct row *rows, size_t count, bool left_out)
{
    double *errors = calloc(count, sizeof(*errors));
    if (errors == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        errors[i] = fabs((left_out ? rows[i].left_out : rows[i].predicted) - 1);
    qsort(errors, count, sizeof(*errors), compare_doubles);
    printf("  %-10s median %4.1f %%, 90th percentile %4.1f %%, worst %4.1f %%\n", what,
           (errors[(count - 1) / 2] + errors[count / 2]) * 50,
           errors[(count * 9 + 9) / 10 - 1] * 100, errors[count - 1] * 100);
    free(errors);
}

static void print_build(const struct vta_timing_profile *profile, const struct row *rows,
                        size_t count, bool cross)
{
    printf("%s, %zu case%s\n", profile->name, count, count == 1 ? "" : "s");
    for (size_t k = 0; k < VTA_PROFILE_NUMBER_COUNT; k++) {
        const struct vta_profile_number *number = &vta_profile_numbers()[k];
        printf("  %-22s %g\n", number->name,
               *(const double *)((const char *)profile + number->offset));
    }
    printf("  %-22s %12s %12s %8s%s\n", "case", "measured ms", "predicted ms", "ratio",
           cross ? "  without it" : "");
    for (size_t i = 0; i < count; i++) {
        double ms = rows[i].one->recorded.measured_s * 1e3;
        printf("  %-22s %12.3f %12.3f %8.3f", rows[i].one->recorded.name, ms,
               ms * rows[i].predicted, rows[i].predicted);
        if (cross)
            printf("  %10.3f", rows[i].left_out);
        putchar('\n');
    }
    print_summary("error", rows, count, false);
    if (cross)
        print_summary("without it", rows, count, true);
    putchar('\n');
}

/* ---- Fitting ------------------------------------------------------------------------------- */

/* Fits one build and fills a row for each of its cases. */
static int fit(struct vta_timing_profile *profile, const struct vta_tune_case *cases,
               struct row *rows, size_t count, bool cross, struct vta_error *error)
{
    int rc = vta_tune(profile, cases, count, SIZE_MAX, error);
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = ratio_of(&rows[i].predicted, rows[i].one, profile, error);
    for (size_t i = 0; i < count && rc == 0 && cross; i++) {
        struct vta_timing_profile other = *profile;
        rc = vta_tune(&other, cases, count, i, error);
        if (rc == 0)
            rc = ratio_of(&rows[i].left_out, rows[i].one, &other, error);
    }
    return rc;
}

static int tune_build(struct tuning *tuning, size_t build, bool cross, struct vta_error *error)
{
    struct vta_tune_case *cases = calloc(tuning->count, sizeof(*cases));
    struct row *rows = calloc(tuning->count, sizeof(*rows));
    size_t n = 0;
    int rc =
        cases == NULL || rows == NULL ? vta_error_set(error, VTA_ENOMEM, "no memory to fit") : 0;
    for (size_t i = 0; i < tuning->count && rc == 0; i++) {
        const struct measured *one = &tuning->cases[i];
        if (one->build != build)
            continue;
        rows[n].one = one;
        cases[n++] = (struct vta_tune_case){ .program = one->program,
                                             .measured_s = one->recorded.measured_s };
    }
    if (rc == 0)
        rc = fit(&tuning->profiles[build], cases, rows, n, cross, error);
    if (rc == 0)
        print_build(&tuning->profiles[build], rows, n, cross);
    free(cases);
    free(rows);
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
    for (size_t b = 0; b < tuning.builds && rc == 0; b++)
        rc = tune_build(&tuning, b, cross, &error);
    if (rc == 0 && output != NULL)
        rc = write_profiles(&tuning, output, &error);
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
    "insn.bin and dram_in.bin. Clock, port and cache are taken from the profile that ships under "
    "the\n"
    "build's name, or from a Pynq's; the other seven numbers are fitted.\n"
    "\n"
    "  -o FILE|FOLDER    write the profile to FILE, or each to FOLDER/BITSTREAM.json\n"
    "  --leave-one-out   predict each case with numbers fitted without it, too (slow)\n"
    "  --help            this text\n",
    run_tune
};
