/* vtactl.c: the command-line tool: finds the command, opens the session, reports how it ended.
 */
#include "vtactl.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/bitstream.h"
#include "core/text_file.h"

static const struct command commands[] = {
    { "info", "", "what the daemon and its board are", 0, 0, command_info, false },
    { "upload", "FILE [NAME]", "send a module file", 1, 2, command_upload, false },
    { "download", "NAME [FILE]", "fetch a module file", 1, 2, command_download, false },
    { "ls", "", "list the modules that a session sees", 0, 0, command_ls, false },
    { "rm", "NAME...", "remove modules", 1, SIZE_MAX, command_rm, false },
    { "run", "MODULE FUNCTION [[PARAM=]FILE...]", "call a function", 2, SIZE_MAX, command_run,
      false },
    { "bench", "MODULE FUNCTION [[PARAM=]FILE...]", "measure a function's time", 2, SIZE_MAX,
      command_bench, false },
    { "tvm-run", "FOLDER", "run a network that TVM compiled", 1, 1, command_tvm_run, true },
    { "counters", "", "print the board's counters", 0, 0, command_counters, false },
    { "ping", "", "measure round trips", 0, 0, command_ping, false },
    { NULL, NULL, NULL, 0, 0, NULL, false },
};

static void print_help(const struct command *command)
{
    if (command != NULL) {
        printf("Usage: vtactl %s%s%s [OPTION...]\n\n%s\n", command->name,
               *command->operands != '\0' ? " " : "", command->operands, command->summary);
        print_options(stdout, command);
    } else {
        puts("Usage: vtactl COMMAND [OPERAND...] [OPTION...]\n\n"
             "Uses a VTA board: a daemon's (vtad), or one in this process (--local).\n\nCommands:");
        for (const struct command *one = commands; one->name != NULL; one++)
            printf("  %-9s %-34s %s\n", one->name, one->operands, one->summary);
    }
    print_options(stdout, NULL);
    puts("\nExit status: 0 success, 1 failure, 2 wrong usage. See vtactl(1).");
}

static int check_operands(const struct command *command, const struct arguments *arguments)
{
    if (arguments->operand_count >= command->least && arguments->operand_count <= command->most)
        return 0;
    fprintf(stderr, "vtactl: usage: vtactl %s%s%s\n", command->name,
            *command->operands != '\0' ? " " : "", command->operands);
    return EXIT_USAGE;
}

static void warn_of_hardware(void *context, const char *text)
{
    fprintf(stderr, "vtactl: %s: %s\n", (const char *)context, text);
}

/* A bitstream that is a file here: says what its header says, or that it is none. */
static void describe_bitstream(const char *path)
{
    struct vta_error error;
    struct vta_bitstream bitstream;
    char *bytes, line[VTA_BITSTREAM_LINE];
    size_t nbytes;
    if (vta_text_read(path, VTA_BITSTREAM_HEAD, &bytes, &nbytes, &error) != 0)
        return; /* a name, and no file */
    if (vta_bitstream_read(&bitstream, (const uint8_t *)bytes, nbytes, &error) == 0)
        vta_bitstream_print(&bitstream, line);
    else
        snprintf(line, sizeof line, "%s", error.message);
    fprintf(stderr, "vtactl: %s: %s\n", path, line);
    free(bytes);
}

/* The board takes the name alone. */
static int program(struct tool *tool, const char *path)
{
    const char *slash = strrchr(path, '/');
    describe_bitstream(path);
    return vta_program_fpga(tool->session, slash != NULL ? slash + 1 : path, &tool->error);
}

/* A session's board is its own, so what it becomes here ends with this command. */
static int configure_board(struct tool *tool, const struct vta_hw *hw)
{
    const struct arguments *arguments = &tool->arguments;
    int rc = 0;

    if (arguments->bitstream != NULL)
        rc = program(tool, arguments->bitstream);
    else if (arguments->hw != NULL && !arguments->local)
        rc = vta_reconfig_runtime(tool->session, hw, &tool->error);
    return rc == 0 ? 0 : EXIT_FAILED;
}

static int open_session(struct tool *tool)
{
    const struct arguments *arguments = &tool->arguments;
    const struct vta_hw_warnings warnings = { .line = warn_of_hardware,
                                              .context = (void *)arguments->hw };
    struct vta_hw hw;

    if (arguments->hw != NULL && vta_hw_read_file(&hw, arguments->hw, &warnings, &tool->error) != 0)
        return EXIT_FAILED;
    if (arguments->local)
        tool->session = vta_local_session(arguments->hw != NULL ? &hw : NULL, &tool->error);
    else
        tool->session = vta_connect_timeout(arguments->host, arguments->port, arguments->timeout_ms,
                                            &tool->error);
    if (tool->session == NULL)
        return EXIT_FAILED;
    if (isatty(STDERR_FILENO) && !arguments->json)
        vta_set_progress(tool->session, print_progress, NULL);
    return configure_board(tool, &hw);
}

/* Prints the one JSON value, or the error for a person; returns the exit status. */
static int report(struct tool *tool, int status)
{
    if (status == EXIT_FAILED)
        fprintf(stderr, "%s\n", tool->error.message);
    if (tool->arguments.json && status != EXIT_USAGE) {
        if (status == EXIT_FAILED) {
            cJSON_Delete(tool->json);
            tool->json = cJSON_CreateObject();
            cJSON_AddItemToObject(tool->json, "error", json_error(&tool->error));
        }
        char *text = cJSON_PrintUnformatted(tool->json);
        if (text == NULL) {
            fputs("vtactl: no memory for the result\n", stderr);
            return EXIT_FAILED;
        }
        puts(text);
        cJSON_free(text);
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fputs("vtactl: cannot write to standard output\n", stderr);
        return EXIT_FAILED;
    }
    return status;
}

int main(int argc, char **argv)
{
    struct tool tool = { .arguments = { .timeout_ms = 10000 } };
    const struct command *command = NULL;
    int status = EXIT_USAGE;

    if (argc < 2) {
        fputs("vtactl: a command is missing; see vtactl --help\n", stderr);
        return EXIT_USAGE;
    }
    tool.arguments.operands = calloc((size_t)argc, sizeof *tool.arguments.operands);
    if (tool.arguments.operands == NULL ||
        parse_arguments(&tool.arguments, argv, commands, &command) != 0)
        goto done;
    if (tool.arguments.version || tool.arguments.help) {
        if (tool.arguments.version)
            puts("vtactl " VTAD_VERSION);
        else
            print_help(command);
        status = 0;
        goto done;
    }
    if (command == NULL) {
        fputs("vtactl: a command is missing; see vtactl --help\n", stderr);
        goto done;
    }
    status = check_operands(command, &tool.arguments);
    if (status != 0)
        goto done;
    if (tool.arguments.json)
        tool.json = cJSON_CreateObject();
    status = command->own_session ? 0 : open_session(&tool);
    if (status == 0)
        status = command->run(&tool);
    status = report(&tool, status);
    vta_close(tool.session);

done:
    cJSON_Delete(tool.json);
    free(tool.arguments.operands);
    return status;
}
