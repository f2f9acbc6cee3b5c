/* vtac.h: what the commands of the tool vtac share. Each command is a file; vtac.c picks one. */
#ifndef VTA_COMPILER_VTAC_H
#define VTA_COMPILER_VTAC_H

#include <getopt.h>
#include <stdio.h>

#include <vta/compile.h>
#include <vta/module.h>

#include "core/verify.h"

enum {
    VTAC_OK = 0,
    VTAC_FAILED = 1,
    VTAC_USAGE = 2
};

/* A command gets argv with its own name first and returns the exit status. */
struct vtac_command {
    const char *name, *summary, *usage;
    int (*run)(const struct vtac_command *command, int argc, char **argv);
};

extern const struct vtac_command vtac_matmul, vtac_schedule, vtac_show, vtac_disasm, vtac_verify;
extern const struct vtac_command vtac_time, vtac_tune, vtac_check;

/* getopt_long, except that an unknown option, or one without its argument, is reported with the
 * nearest known one, and --help is served. Returns the option, -1 at the end, or VTAC_STOP with the
 * exit status in *status. */
#define VTAC_STOP (-2)
int vtac_option(const struct vtac_command *command, int argc, char **argv,
                const struct option *options, int *status);

/* Reports on stderr, "vtac matmul: …"; returns VTAC_USAGE or VTAC_FAILED. */
int vtac_wrong_usage(const struct vtac_command *command, const char *format, ...) VTA_PRINTF(2, 3);
int vtac_failed(const struct vtac_command *command, const struct vta_error *error);

/* A whole number in [min, max]; false (with a report) where text is none. */
bool vtac_number(const struct vtac_command *command, const char *option, const char *text,
                 int64_t min, int64_t max, int64_t *number);
/* `count` of them, separated by commas. */
bool vtac_numbers(const struct vtac_command *command, const char *option, const char *text,
                  int64_t min, int64_t max, int64_t *numbers, int count);

/* The program of a kernel, verified or not; free it with vta_program_free. */
int vtac_program(struct vta_program **program, const struct vta_kernel *kernel,
                 const struct vta_hw *hw, bool verified, struct vta_error *error);

/* VTA_ENOTFOUND: the file's module has no function of this name, but a near one or others. */
int vtac_no_function(struct vta_error *error, const char *file,
                     const struct vta_module_image *image, const char *given);

struct vta_timing_profile;

/* Writes the timeline of a verified program to each file that is not NULL (vtac_draw.c). */
int vtac_draw(const struct vta_program *program, const struct vta_timing_profile *profile,
              const char *trace, const char *svg, struct vta_error *error);

/* What matmul and schedule take alike (vtac_operator.c). */
struct vtac_operator {
    struct vta_hw hw;
    struct vta_matmul matmul;
    const char *name;   /* --name; NULL: not given */
    const char *output; /* -o; NULL: not given */
    const char *step;   /* --step; NULL: not given */
};

/* Returns VTAC_OK, or an exit status with VTAC_STOP in *stop set. */
int vtac_operator_options(const struct vtac_command *command, int argc, char **argv,
                          const struct option *options, struct vtac_operator *op, bool *stop);

/* Rows of struct option that both have. */
#define VTAC_OPERATOR_OPTIONS                                                                      \
    { "config", required_argument, NULL, 'c' }, { "batch", required_argument, NULL, 'b' },         \
        { "in", required_argument, NULL, 'i' }, { "out", required_argument, NULL, 'u' },           \
        { "block", required_argument, NULL, 'k' }, { "shift", required_argument, NULL, 's' },      \
        { "clip", required_argument, NULL, 'l' }, { "bias", no_argument, NULL, 'a' },              \
    {                                                                                              \
        "help", no_argument, NULL, 'h'                                                             \
    }

#define VTAC_OPERATOR_USAGE                                                                        \
    "  --config FILE     hardware configuration, a vta_config.json (default: 1x16, int8)\n"        \
    "  --batch N         rows of data (default: BATCH of the hardware)\n"                          \
    "  --in N            inputs: columns of data and weight (required)\n"                          \
    "  --out N           outputs: rows of weight (required)\n"                                     \
    "  --block B,I,O     numbers of batch, in and out per block; 0: chosen (default: 0,0,0)\n"     \
    "  --bias            a third tensor, one number per output, is added\n"                        \
    "  --shift N         then an arithmetic shift right by 0 to 31\n"                              \
    "  --clip LO,HI      then max with LO and min with HI\n"

#endif
