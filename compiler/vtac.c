/* vtac.c: the compiler as a tool: picks the command, and holds what the commands share. */
#include "vtac.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/suggest.h"

static const struct vtac_command *const commands[] = { &vtac_matmul, &vtac_schedule, &vtac_show,
                                                       &vtac_disasm, &vtac_verify,   &vtac_time,
                                                       &vtac_tune,   &vtac_check };
#define COMMANDS (sizeof commands / sizeof commands[0])

/* ---- Reports ------------------------------------------------------------------------------- */

int vtac_wrong_usage(const struct vtac_command *command, const char *format, ...)
{
    va_list args;
    fprintf(stderr, "vtac %s: ", command->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nTry 'vtac %s --help'.\n", command->name);
    return VTAC_USAGE;
}

int vtac_failed(const struct vtac_command *command, const struct vta_error *error)
{
    fprintf(stderr, "vtac %s: %s\n", command->name, error->message);
    return VTAC_FAILED;
}

/* ---- Options ------------------------------------------------------------------------------- */

static int unknown_option(const struct vtac_command *command, const char *given,
                          const struct option *options)
{
    const char *names[32];
    size_t count = 0;
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(given + strspn(given, "-"), "="),
             given + strspn(given, "-"));
    for (; options[count].name != NULL && count < sizeof names / sizeof names[0]; count++)
        names[count] = options[count].name;
    const char *nearest = vta_suggest(name, names, count);
    if (nearest != NULL)
        return vtac_wrong_usage(command, "unknown option '%s': did you mean '--%s'?", given,
                                nearest);
    return vtac_wrong_usage(command, "unknown option '%s'", given);
}

int vtac_option(const struct vtac_command *command, int argc, char **argv,
                const struct option *options, int *status)
{
    opterr = 0;
    int at = optind;
    int option = getopt_long(argc, argv, ":o:h", options, NULL);
    const char *given = at < argc ? argv[optind > at ? optind - 1 : at] : "";
    switch (option) {
    case 'h':
        printf("usage: vtac %s %s", command->name, command->usage);
        *status = VTAC_OK;
        return VTAC_STOP;
    case '?':
        *status = unknown_option(command, given, options);
        return VTAC_STOP;
    case ':':
        *status = vtac_wrong_usage(command, "option '%s' needs an argument", given);
        return VTAC_STOP;
    default:
        return option;
    }
}

bool vtac_numbers(const struct vtac_command *command, const char *option, const char *text,
                  int64_t min, int64_t max, int64_t *numbers, int count)
{
    const char *at = text;
    for (int i = 0; i < count; i++) {
        char *end;
        errno = 0;
        numbers[i] = strtoll(at, &end, 10);
        bool read = end != at && errno == 0 && *end == (i + 1 < count ? ',' : '\0');
        if (!read || numbers[i] < min || numbers[i] > max) {
            vtac_wrong_usage(command, "%s takes %s%s from %lld to %lld, not '%s'", option,
                             count == 1   ? "a whole number"
                             : count == 2 ? "two whole numbers"
                                          : "three whole numbers",
                             count == 1 ? "" : " with commas between them,", (long long)min,
                             (long long)max, text);
            return false;
        }
        at = end + 1;
    }
    return true;
}

bool vtac_number(const struct vtac_command *command, const char *option, const char *text,
                 int64_t min, int64_t max, int64_t *number)
{
    return vtac_numbers(command, option, text, min, max, number, 1);
}

/* ---- Programs ------------------------------------------------------------------------------ */

int vtac_program(struct vta_program **program, const struct vta_kernel *kernel,
                 const struct vta_hw *hw, bool verified, struct vta_error *error)
{
    struct vta_verify_options options = { .tokens_must_end_empty = true };
    int rc = vta_program_from_kernel(program, kernel, hw, error);
    if (rc == 0 && verified)
        rc = vta_verify(*program, &options, error);
    if (rc == 0)
        return 0;
    vta_program_free(*program);
    *program = NULL;
    return rc;
}

int vtac_no_function(struct vta_error *error, const char *file,
                     const struct vta_module_image *image, const char *given)
{
    const char *names[64] = { NULL };
    char list[256] = "";
    size_t count = 0, used = 0;
    for (; count < image->kernel_count && count < sizeof names / sizeof names[0]; count++) {
        names[count] = image->kernels[count].name;
        if (used < sizeof list)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s",
                                     count == 0 ? "" : ", ", names[count]);
    }
    const char *nearest = vta_suggest(given, names, count);
    if (nearest != NULL)
        return vta_error_set(error, VTA_ENOTFOUND, "%s: no function '%s': did you mean '%s'?", file,
                             given, nearest);
    return vta_error_set(error, VTA_ENOTFOUND, "%s: no function '%s'; it has %s%s", file, given,
                         list, used < sizeof list && count == image->kernel_count ? "" : ", …");
}

/* ---- Commands ------------------------------------------------------------------------------ */

static void print_usage(FILE *file)
{
    fputs(
        "usage: vtac COMMAND …\n"
        "\n"
        "Compiles operators for the Versatile Tensor Accelerator into module files, and looks into "
        "such files.\n"
        "\n",
        file);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(file, "  %-12s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\n'vtac COMMAND --help' describes a command. --version prints the version.\n"
          "Exit status: 0 done, 1 failed or refused, 2 wrong usage.\n",
          file);
}

static int unknown_command(const char *given)
{
    const char *names[COMMANDS];
    for (size_t i = 0; i < COMMANDS; i++)
        names[i] = commands[i]->name;
    const char *nearest = vta_suggest(given, names, COMMANDS);
    if (nearest != NULL)
        fprintf(stderr, "vtac: unknown command '%s': did you mean '%s'?\n", given, nearest);
    else
        fprintf(stderr, "vtac: unknown command '%s'\nTry 'vtac --help'.\n", given);
    return VTAC_USAGE;
}

/* What went to stdout may fail only now: a full disk, a closed pipe. */
static int finish(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fprintf(stderr, "vtac: cannot write to standard output: %s\n", strerror(errno));
    return status == VTAC_OK ? VTAC_FAILED : status;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return VTAC_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_usage(stdout);
        return finish(VTAC_OK);
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("vtac %s\n", VTAD_VERSION);
        return finish(VTAC_OK);
    }
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(argv[1], commands[i]->name) == 0)
            return finish(commands[i]->run(commands[i], argc - 1, argv + 1));
    }
    return unknown_command(argv[1]);
}
