/* vtac_operator.c: the options that say what to compile. */
#include "vtac.h"

#include <string.h>

#define NAME_MOST 255 /* what module files allow */

static bool take_block(const struct vtac_command *command, struct vta_matmul *m)
{
    int64_t block[3];
    if (!vtac_numbers(command, "--block", optarg, 0, UINT32_MAX, block, 3))
        return false;
    m->block_batch = (uint32_t)block[0];
    m->block_in = (uint32_t)block[1];
    m->block_out = (uint32_t)block[2];
    return true;
}

static bool take_size(const struct vtac_command *command, const char *option, uint32_t *size)
{
    int64_t number;
    if (!vtac_number(command, option, optarg, 1, UINT32_MAX, &number))
        return false;
    *size = (uint32_t)number;
    return true;
}

static bool take_shift(const struct vtac_command *command, struct vta_matmul *m)
{
    int64_t number;
    if (!vtac_number(command, "--shift", optarg, 0, 31, &number))
        return false;
    m->shift = true;
    m->shift_by = (int32_t)number;
    return true;
}

static bool take_clip(const struct vtac_command *command, struct vta_matmul *m)
{
    int64_t ends[2];
    if (!vtac_numbers(command, "--clip", optarg, INT16_MIN, INT16_MAX, ends, 2))
        return false;
    m->clip = true;
    m->clip_lo = (int32_t)ends[0];
    m->clip_hi = (int32_t)ends[1];
    return true;
}

static void warn_of_hardware(void *context, const char *text)
{
    fprintf(stderr, "vtac: %s: %s\n", (const char *)context, text);
}

static int take(const struct vtac_command *command, int option, struct vtac_operator *op)
{
    const struct vta_hw_warnings warnings = { .line = warn_of_hardware, .context = optarg };
    struct vta_matmul *m = &op->matmul;
    struct vta_error error;
    switch (option) {
    case 'c':
        if (vta_hw_read_file(&op->hw, optarg, &warnings, &error) != 0)
            return vtac_failed(command, &error);
        return VTAC_OK;
    case 'b':
        return take_size(command, "--batch", &m->batch) ? VTAC_OK : VTAC_USAGE;
    case 'i':
        return take_size(command, "--in", &m->in) ? VTAC_OK : VTAC_USAGE;
    case 'u':
        return take_size(command, "--out", &m->out) ? VTAC_OK : VTAC_USAGE;
    case 'k':
        return take_block(command, m) ? VTAC_OK : VTAC_USAGE;
    case 's':
        return take_shift(command, m) ? VTAC_OK : VTAC_USAGE;
    case 'l':
        return take_clip(command, m) ? VTAC_OK : VTAC_USAGE;
    case 'a':
        m->bias = true;
        return VTAC_OK;
    case 'n':
        op->name = optarg;
        if (*optarg != '\0' && strlen(optarg) <= NAME_MOST)
            return VTAC_OK;
        return vtac_wrong_usage(command, "--name takes a name of 1 to %d bytes, not %zu", NAME_MOST,
                                strlen(optarg));
    case 'p':
        op->step = optarg;
        return VTAC_OK;
    default:
        op->output = optarg;
        return VTAC_OK;
    }
}

int vtac_operator_options(const struct vtac_command *command, int argc, char **argv,
                          const struct option *options, struct vtac_operator *op, bool *stop)
{
    int option, status = VTAC_OK;
    memset(op, 0, sizeof(*op));
    vta_hw_default(&op->hw);
    *stop = true;
    while ((option = vtac_option(command, argc, argv, options, &status)) != -1) {
        if (option != VTAC_STOP)
            status = take(command, option, op);
        if (option == VTAC_STOP || status != VTAC_OK)
            return status;
    }
    if (optind < argc)
        return vtac_wrong_usage(command, "'%s': only options are expected", argv[optind]);
    if (op->matmul.in == 0 || op->matmul.out == 0)
        return vtac_wrong_usage(command, "--in and --out are needed");
    if (op->matmul.batch == 0)
        op->matmul.batch = op->hw.batch;
    *stop = false;
    return VTAC_OK;
}
