/* vtac_check.c: vtac disasm and vtac verify: a module's instructions, shown or judged. */
#include "vtac.h"

#include <string.h>

#include <vta/module.h>

static const struct option options[] = { { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 } };

/* Opens FILE of "FILE [more…]", up to max_args of them. Returns VTAC_OK, or an exit status with
 * *stop set. */
static int open_file(const struct vtac_command *command, int argc, char **argv, int max_args,
                     struct vta_module_image *image, bool *stop)
{
    struct vta_error error;
    int option, status = VTAC_OK;
    *stop = true;
    while ((option = vtac_option(command, argc, argv, options, &status)) != -1) {
        if (option == VTAC_STOP)
            return status;
        return vtac_wrong_usage(command, "it writes to standard output only");
    }
    if (optind >= argc)
        return vtac_wrong_usage(command, "a module file is expected");
    if (argc - optind > max_args)
        return vtac_wrong_usage(command, "'%s' is one argument too many", argv[optind + max_args]);
    if (vta_module_open(image, argv[optind], &error) != 0)
        return vtac_failed(command, &error);
    *stop = false;
    return VTAC_OK;
}

/* ---- vtac disasm --------------------------------------------------------------------------- */

static void print_line(void *context, const char *line)
{
    (void)context;
    puts(line);
}

static int disassemble(const struct vtac_command *command, const struct vta_kernel *kernel,
                       const struct vta_hw *hw)
{
    struct vta_program *program = NULL;
    struct vta_error error;
    if (vtac_program(&program, kernel, hw, false, &error) != 0) {
        vta_error_prefix(&error, "%s", kernel->name);
        return vtac_failed(command, &error);
    }
    printf("%s: %u instructions, %u micro-ops\n", kernel->name, kernel->insn_count,
           kernel->uop_count);
    vta_program_print(program, print_line, NULL);
    vta_program_free(program);
    return VTAC_OK;
}

static int run_disasm(const struct vtac_command *command, int argc, char **argv)
{
    struct vta_module_image image;
    bool stop;
    int status = open_file(command, argc, argv, 2, &image, &stop);
    if (stop)
        return status;
    const char *only = optind + 1 < argc ? argv[optind + 1] : NULL;
    bool first = true;
    for (uint32_t i = 0; i < image.kernel_count; i++) {
        if (only != NULL && strcmp(only, image.kernels[i].name) != 0)
            continue;
        fputs(first ? "" : "\n", stdout);
        first = false;
        int one = disassemble(command, &image.kernels[i], &image.hw);
        status = one != VTAC_OK ? one : status;
    }
    if (first && only != NULL) {
        struct vta_error error;
        vtac_no_function(&error, argv[optind], &image, only);
        status = vtac_failed(command, &error);
    }
    vta_module_image_clear(&image);
    return status;
}

const struct vtac_command vtac_disasm = {
    "disasm", "print a module's instructions",
    "FILE [FUNCTION]\n"
    "\n"
    "Prints each instruction of a module's functions, or of one of them.\n"
    "\n"
    "  --help            this text\n",
    run_disasm
};

/* ---- vtac verify --------------------------------------------------------------------------- */

static int run_verify(const struct vtac_command *command, int argc, char **argv)
{
    struct vta_module_image image;
    bool stop;
    int status = open_file(command, argc, argv, 1, &image, &stop);
    if (stop)
        return status;
    for (uint32_t i = 0; i < image.kernel_count; i++) {
        struct vta_program *program = NULL;
        struct vta_error error;
        if (vtac_program(&program, &image.kernels[i], &image.hw, true, &error) == 0) {
            printf("%s: %s: accepted\n", argv[optind], image.kernels[i].name);
        } else {
            printf("%s: %s: %s\n", argv[optind], image.kernels[i].name, error.message);
            status = VTAC_FAILED;
        }
        vta_program_free(program);
    }
    vta_module_image_clear(&image);
    return status;
}

const struct vtac_command vtac_verify = {
    "verify", "say of each function whether a board may run it",
    "FILE\n"
    "\n"
    "Decides for each function of a module file whether it is safe to run, and prints the reason\n"
    "where it is not. Exit status: 0 only if every function is accepted.\n"
    "\n"
    "  --help            this text\n",
    run_verify
};
