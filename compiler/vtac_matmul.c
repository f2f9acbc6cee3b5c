/* vtac_matmul.c: vtac matmul and vtac schedule: the same operator, compiled or printed. */
#include "vtac.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vta/module.h>

#include "core/suggest.h"

/* ---- vtac matmul --------------------------------------------------------------------------- */

static int write_stdout(const struct vta_module_image *image, struct vta_error *error)
{
    uint8_t *bytes;
    size_t nbytes;
    int rc = vta_module_encode(image, &bytes, &nbytes, error);
    if (rc != 0)
        return rc;
    if (fwrite(bytes, 1, nbytes, stdout) != nbytes)
        rc = vta_error_set(error, VTA_EIO, "cannot write to standard output");
    free(bytes);
    return rc;
}

/* Writes the module; to a file, says what it wrote. */
static int write_module(const struct vta_module_image *image, const char *path,
                        struct vta_error *error)
{
    const struct vta_kernel *kernel = &image->kernels[0];
    char bitstream[VTA_BITSTREAM_NAME];
    if (strcmp(path, "-") == 0)
        return write_stdout(image, error);
    int rc = vta_module_save(image, path, error);
    if (rc != 0)
        return rc;
    vta_hw_bitstream(&image->hw, bitstream);
    printf("%s: %s for %s, %u instructions, %u micro-ops\n", path, kernel->name, bitstream,
           kernel->insn_count, kernel->uop_count);
    return 0;
}

static int compile(const struct vtac_operator *op, const char *path, struct vta_error *error)
{
    struct vta_module_image image = { .hw = op->hw };
    struct vta_kernel kernel;
    int rc = vta_compile_matmul(&kernel, &op->hw, op->name, &op->matmul, error);
    if (rc != 0)
        return rc;
    rc = vta_module_image_add(&image, &kernel, error);
    if (rc == 0)
        rc = write_module(&image, path, error);
    vta_kernel_clear(&kernel);
    vta_module_image_clear(&image);
    return rc;
}

static int run_matmul(const struct vtac_command *command, int argc, char **argv)
{
    static const struct option options[] = { VTAC_OPERATOR_OPTIONS,
                                             { "name", required_argument, NULL, 'n' },
                                             { "output", required_argument, NULL, 'o' },
                                             { NULL, 0, NULL, 0 } };
    struct vtac_operator op;
    struct vta_error error;
    bool stop;
    int status = vtac_operator_options(command, argc, argv, options, &op, &stop);
    if (stop)
        return status;
    if (op.name == NULL)
        op.name = "matmul";
    if (op.output != NULL && strcmp(op.output, "-") == 0 && isatty(STDOUT_FILENO))
        return vtac_wrong_usage(command, "a module file is not text: it will not go to a terminal");

    char *own = NULL;
    if (op.output == NULL && asprintf(&own, "%s.vta", op.name) < 0)
        own = NULL;
    const char *path = op.output != NULL ? op.output : own;
    int rc = path != NULL ? compile(&op, path, &error)
                          : vta_error_set(&error, VTA_ENOMEM, "no memory for a file name");
    free(own);
    return rc == 0 ? VTAC_OK : vtac_failed(command, &error);
}

const struct vtac_command vtac_matmul = {
    "matmul", "compile a matrix multiply into a module file",
    "--in N --out N [OPTION…]\n"
    "\n"
    "Compiles result = data · weightᵀ, data batch × in, weight out × in, into a module file.\n"
    "\n" VTAC_OPERATOR_USAGE "  --name NAME       of the function (default: matmul)\n"
    "  -o, --output FILE module file (default: NAME.vta; -: standard output)\n"
    "  --help            this text\n"
    "\n"
    "Sizes count numbers. Blocks need not divide the matrix, but must fit the SRAMs together.\n",
    run_matmul
};

/* ---- vtac schedule ------------------------------------------------------------------------- */

static int print_step(const struct vtac_operator *op, enum vta_schedule_step step, bool heading,
                      struct vta_error *error)
{
    char *text;
    int rc = vta_matmul_schedule(&text, &op->hw, &op->matmul, step, error);
    if (rc != 0)
        return rc;
    if (heading)
        printf("%s// %s\n", step == 0 ? "" : "\n", vta_schedule_step_name(step));
    fputs(text, stdout);
    free(text);
    return 0;
}

static int unknown_step(const struct vtac_command *command, const char *given)
{
    const char *names[VTA_SCHEDULE_STEPS];
    for (int i = 0; i < VTA_SCHEDULE_STEPS; i++)
        names[i] = vta_schedule_step_name((enum vta_schedule_step)i);
    const char *nearest = vta_suggest(given, names, VTA_SCHEDULE_STEPS);
    if (nearest != NULL)
        return vtac_wrong_usage(command, "unknown step '%s': did you mean '%s'?", given, nearest);
    return vtac_wrong_usage(command, "unknown step '%s': definition, blocked or lowered", given);
}

static int run_schedule(const struct vtac_command *command, int argc, char **argv)
{
    static const struct option options[] = { VTAC_OPERATOR_OPTIONS,
                                             { "step", required_argument, NULL, 'p' },
                                             { "name", required_argument, NULL, 'n' },
                                             { "output", required_argument, NULL, 'o' },
                                             { NULL, 0, NULL, 0 } };
    struct vtac_operator op;
    struct vta_error error;
    bool stop;
    int status = vtac_operator_options(command, argc, argv, options, &op, &stop);
    if (stop)
        return status;
    bool found = op.step == NULL;
    for (int i = 0; i < VTA_SCHEDULE_STEPS; i++) {
        enum vta_schedule_step step = (enum vta_schedule_step)i;
        if (op.step != NULL && strcmp(op.step, vta_schedule_step_name(step)) != 0)
            continue;
        found = true;
        if (print_step(&op, step, op.step == NULL, &error) != 0)
            return vtac_failed(command, &error);
    }
    return found ? VTAC_OK : unknown_step(command, op.step);
}

const struct vtac_command vtac_schedule = {
    "schedule", "print a matrix multiply's loop nest at each step of its schedule",
    "--in N --out N [OPTION…]\n"
    "\n"
    "Prints the loop nest of 'vtac matmul' with the same options: as defined, after blocking, and\n"
    "lowered to VTA's operations with dependence pushes and pops.\n"
    "\n" VTAC_OPERATOR_USAGE "  --step STEP       only definition, blocked or lowered\n"
    "  --name, -o        accepted as 'vtac matmul' takes them, and not used\n"
    "  --help            this text\n",
    run_schedule
};
