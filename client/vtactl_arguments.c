/* vtactl_arguments.c: vtactl's options as one table, from which parsing, help and suggestions come.
 */
#include "vtactl.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "core/suggest.h"

enum option_kind {
    OPTION_FLAG,   /* bool */
    OPTION_TEXT,   /* const char * */
    OPTION_LIST,   /* one more of struct texts */
    OPTION_U32,    /* uint32_t, from least */
    OPTION_U64,    /* uint64_t */
    OPTION_PORT,   /* int */
    OPTION_SECONDS /* unsigned milliseconds */
};

struct option {
    const char *name;
    char letter; /* or 0 */
    enum option_kind kind;
    size_t offset;        /* in struct arguments */
    uint32_t least;       /* of a number */
    const char *commands; /* "run bench"; NULL: all */
    const char *value;    /* for help */
    const char *help;
};

#define AT(member) offsetof(struct arguments, member)

static const struct option options[] = {
    { "host", 0, OPTION_TEXT, AT(host), 0, NULL, "HOST",
      "the daemon's host, or unix:PATH (default: $VTA_RPC_HOST, 127.0.0.1)" },
    { "port", 0, OPTION_PORT, AT(port), 1, NULL, "PORT",
      "its port (default: $VTA_RPC_PORT, 9091)" },
    { "local", 0, OPTION_FLAG, AT(local), 0, NULL, NULL, "a board in this process, no daemon" },
    { "hw", 0, OPTION_TEXT, AT(hw), 0, NULL, "FILE",
      "give the board the configuration of a vta_config.json, for this command" },
    { "bitstream", 0, OPTION_TEXT, AT(bitstream), 0, NULL, "NAME",
      "give it the one that a bitstream's name describes" },
    { "timeout", 0, OPTION_SECONDS, AT(timeout_ms), 0, NULL, "SECONDS",
      "longest wait for the daemon's bytes; 0: none (default: 10)" },
    { "json", 0, OPTION_FLAG, AT(json), 0, NULL, NULL, "print one JSON value" },
    { "help", 'h', OPTION_FLAG, AT(help), 0, NULL, NULL, "print help, also of one command" },
    { "version", 'V', OPTION_FLAG, AT(version), 0, NULL, NULL, "print the version" },
    { "random", 0, OPTION_FLAG, AT(random), 0, "run bench", NULL,
      "random bytes for inputs without a file" },
    { "seed", 0, OPTION_U64, AT(seed), 0, "run bench", "N", "of the random bytes (default: 0)" },
    { "out", 0, OPTION_LIST, AT(outs), 0, "run", "PARAM=FILE",
      "write a parameter's bytes to a file" },
    { "check", 0, OPTION_FLAG, AT(check), 0, "run", NULL,
      "compare results and counters with a board in this process" },
    { "stats", 0, OPTION_FLAG, AT(stats), 0, "run", NULL, "print the call's counters" },
    { "profile", 0, OPTION_TEXT, AT(profile), 0, "run bench", "NAME",
      "predict the board's time by this timing profile: a name, a .json file, auto, none" },
    { "input", 0, OPTION_LIST, AT(inputs), 0, "tvm-run", "[NAME=]FILE",
      "an input: .npy or raw numbers; without NAME: the only one that is no parameter" },
    { "output", 0, OPTION_TEXT, AT(output), 0, "tvm-run", "FILE",
      "write the output to a file (.npy or raw), or all to a folder" },
    { "runs", 0, OPTION_U32, AT(runs), 1, "tvm-run", "N", "how often it runs (default: 1)" },
    { "profile", 0, OPTION_FLAG, AT(layers), 0, "tvm-run", NULL, "time and counters of each node" },
    { "library", 0, OPTION_TEXT, AT(library), 0, "tvm-run", "NAME",
      "the library (default: graphlib-MACHINE.tar, or the only one)" },
    { "graph", 0, OPTION_TEXT, AT(graph), 0, "tvm-run", "NAME",
      "the graph (default: graph.json, or the library's)" },
    { "params", 0, OPTION_TEXT, AT(params), 0, "tvm-run", "NAME",
      "the parameters (default: params.bin, if it is there)" },
    { "key", 0, OPTION_TEXT, AT(key), 0, "tvm-run", "KEY", "the server's tvm_key" },
    { "clock", 0, OPTION_TEXT, AT(clock), 0, "bench", "CLOCK",
      "measure by the clock of the host or of the board" },
    { "trace", 0, OPTION_TEXT, AT(trace), 0, "run", "FILE",
      "write what the board does when, for Perfetto or chrome://tracing" },
    { "repeat", 0, OPTION_U32, AT(repeat), 1, "run bench", "N",
      "calls (run, default 1) or measurements (bench, default 3)" },
    { "number", 0, OPTION_U32, AT(number), 1, "bench", "N",
      "calls per measurement, at least (default: 1)" },
    { "min-repeat-ms", 0, OPTION_U32, AT(min_repeat_ms), 0, "bench", "MS",
      "raise the number until a measurement takes this long (default: 0)" },
    { "clear", 0, OPTION_FLAG, AT(clear), 0, "counters", NULL, "set them to 0 afterwards" },
    { "count", 'c', OPTION_U32, AT(count), 1, "ping", "N", "round trips (default: 4)" },
};

#define OPTION_COUNT (sizeof options / sizeof options[0])

static bool takes(const struct command *command, const struct option *option)
{
    if (option->commands == NULL || command == NULL)
        return true;
    const char *found = strstr(option->commands, command->name);
    return found != NULL && (found == option->commands || found[-1] == ' ');
}

void print_options(FILE *file, const struct command *command)
{
    const char *heading =
        command != NULL ? "\nOptions:\n" : "\nOptions of every command:\n"; /* "": printed */
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option *option = &options[i];
        char left[64], letter[8] = "";
        if ((option->commands == NULL) != (command == NULL) || !takes(command, option))
            continue;
        if (option->letter != 0)
            snprintf(letter, sizeof letter, "-%c, ", option->letter);
        snprintf(left, sizeof left, "%s--%s%s%s", letter, option->name,
                 option->value != NULL ? " " : "", option->value != NULL ? option->value : "");
        fprintf(file, "%s  %-20s %s\n", heading, left, option->help);
        heading = "";
    }
}

/* ---- Values -------------------------------------------------------------------------------- */

static int bad_value(const struct option *option, const char *text, const char *expected)
{
    fprintf(stderr, "vtactl: --%s: expected %s, got '%s'\n", option->name, expected, text);
    return EXIT_USAGE;
}

static bool parse_number(const char *text, uint64_t least, uint64_t most, uint64_t *value)
{
    char *end;

    errno = 0;
    *value = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && *value >= least &&
           *value <= most;
}

static int set_seconds(unsigned *milliseconds, const struct option *option, const char *text)
{
    char *end;
    double seconds = strtod(text, &end);

    if (end == text || *end != '\0' || !(seconds >= 0 && seconds <= 1e6))
        return bad_value(option, text, "seconds, 0 to 1000000");
    *milliseconds = (unsigned)(seconds * 1000 + 0.5);
    if (*milliseconds == 0 && seconds > 0)
        *milliseconds = 1;
    return 0;
}

static int add_text(struct texts *texts, const struct option *option, const char *text)
{
    if (texts->count == OUTS_MAX) {
        fprintf(stderr, "vtactl: --%s: at most %d of them\n", option->name, OUTS_MAX);
        return EXIT_USAGE;
    }
    texts->texts[texts->count++] = text;
    return 0;
}

static int set_option(struct arguments *arguments, const struct option *option, const char *text)
{
    void *place = (char *)arguments + option->offset;
    uint64_t number;

    switch (option->kind) {
    case OPTION_FLAG:
        *(bool *)place = true;
        return 0;
    case OPTION_TEXT:
        *(const char **)place = text;
        return 0;
    case OPTION_LIST:
        return add_text(place, option, text);
    case OPTION_SECONDS:
        return set_seconds(place, option, text);
    case OPTION_U32:
        if (!parse_number(text, option->least, UINT32_MAX, &number))
            return bad_value(option, text, option->least == 0 ? "a number" : "a number from 1");
        *(uint32_t *)place = (uint32_t)number;
        return 0;
    case OPTION_U64:
        if (!parse_number(text, 0, UINT64_MAX, place))
            return bad_value(option, text, "a number");
        return 0;
    case OPTION_PORT:
        if (!parse_number(text, 1, 65535, &number))
            return bad_value(option, text, "a port, 1 to 65535");
        *(int *)place = (int)number;
        return 0;
    }
    return EXIT_USAGE;
}

/* ---- Parsing ------------------------------------------------------------------------------- */

static int unknown_option(const char *text, size_t length)
{
    const char *names[OPTION_COUNT];
    char name[64];

    snprintf(name, sizeof name, "%.*s", (int)(length < 63 ? length : 63), text);
    for (size_t i = 0; i < OPTION_COUNT; i++)
        names[i] = options[i].name;
    const char *near = vta_suggest(name, names, OPTION_COUNT);
    if (near != NULL)
        fprintf(stderr, "vtactl: unknown option '--%s': did you mean '--%s'?\n", name, near);
    else
        fprintf(stderr, "vtactl: unknown option '--%s'; see vtactl --help\n", name);
    return EXIT_USAGE;
}

static int unknown_command(const char *name, const struct command *commands)
{
    const char *names[32];
    size_t count = 0;

    for (; commands[count].name != NULL && count < 32; count++)
        names[count] = commands[count].name;
    const char *near = vta_suggest(name, names, count);
    if (near != NULL)
        fprintf(stderr, "vtactl: unknown command '%s': did you mean '%s'?\n", name, near);
    else
        fprintf(stderr, "vtactl: unknown command '%s'; see vtactl --help\n", name);
    return EXIT_USAGE;
}

static const struct command *find_command(const struct command *commands, const char *name)
{
    for (; name != NULL && commands->name != NULL; commands++)
        if (strcmp(commands->name, name) == 0)
            return commands;
    return NULL;
}

/* The option that an argument names; its value, where it is in the same argument ("--a=b", "-c5"),
 * goes to *value. NULL for none. Of two with the same name, the one that the command takes, if a
 * command stands before it. */
static const struct option *find_option(const char *argument, const struct command *command,
                                        const char **value)
{
    *value = NULL;
    if (argument[1] != '-') {
        for (size_t i = 0; i < OPTION_COUNT; i++)
            if (options[i].letter != 0 && options[i].letter == argument[1]) {
                *value = argument[2] != '\0' ? argument + 2 : NULL;
                return &options[i];
            }
        return NULL;
    }
    const char *name = argument + 2;
    size_t length = strcspn(name, "=");
    const struct option *found = NULL;
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (strlen(options[i].name) == length && memcmp(options[i].name, name, length) == 0 &&
            (found == NULL || (command != NULL && takes(command, &options[i]))))
            found = &options[i];
    *value = found != NULL && name[length] == '=' ? name + length + 1 : NULL;
    return found;
}

/* Takes one option with its value; *argv moves past them. given[] notes it. */
static int parse_option(struct arguments *arguments, char ***argv, const struct command *command,
                        bool given[])
{
    const char *argument = *(*argv)++, *value;
    const struct option *option = find_option(argument, command, &value);

    if (option == NULL && argument[1] == '-')
        return unknown_option(argument + 2, strcspn(argument + 2, "="));
    if (option == NULL) {
        fprintf(stderr, "vtactl: unknown option '%s'; see vtactl --help\n", argument);
        return EXIT_USAGE;
    }
    given[option - options] = true;
    if (option->kind == OPTION_FLAG && value != NULL) {
        fprintf(stderr, "vtactl: --%s takes no value\n", option->name);
        return EXIT_USAGE;
    }
    if (option->kind != OPTION_FLAG && value == NULL) {
        if (**argv == NULL) {
            fprintf(stderr, "vtactl: --%s needs a value: %s\n", option->name, option->value);
            return EXIT_USAGE;
        }
        value = *(*argv)++;
    }
    return set_option(arguments, option, value);
}

int parse_arguments(struct arguments *arguments, char **argv, const struct command *commands,
                    const struct command **command)
{
    bool given[OPTION_COUNT] = { false }, only_operands = false;
    const char *name = NULL;

    for (argv++; *argv != NULL;) {
        if (!only_operands && strcmp(*argv, "--") == 0) {
            only_operands = true;
            argv++;
        } else if (!only_operands && (*argv)[0] == '-' && (*argv)[1] != '\0') {
            int rc = parse_option(arguments, &argv, find_command(commands, name), given);
            if (rc != 0)
                return rc;
        } else if (name == NULL) {
            name = *argv++;
        } else {
            arguments->operands[arguments->operand_count++] = *argv++;
        }
    }
    *command = find_command(commands, name);
    if (name != NULL && *command == NULL)
        return unknown_command(name, commands);
    for (size_t i = 0; i < OPTION_COUNT && *command != NULL; i++)
        if (given[i] && !takes(*command, &options[i])) {
            fprintf(stderr, "vtactl: %s does not take --%s\n", (*command)->name, options[i].name);
            return EXIT_USAGE;
        }
    if (arguments->hw != NULL && arguments->bitstream != NULL) {
        fputs("vtactl: --hw does not go with --bitstream: each says what the board is\n", stderr);
        return EXIT_USAGE;
    }
    return 0;
}
