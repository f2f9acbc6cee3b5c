/* vtac_time.c: vtac time: how long a board takes for a module's functions, and why.
 */
#include "vtac.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <string.h>

#include <vta/module.h>

#include "core/timing.h"
#include "core/timing_profile.h"

static const struct option options[] = {
    { "profile", required_argument, NULL, 'p' }, { "trace", required_argument, NULL, 't' },
    { "svg", required_argument, NULL, 's' },     { "json", no_argument, NULL, 'j' },
    { "help", no_argument, NULL, 'h' },          { NULL, 0, NULL, 0 }
};

struct request {
    const char *profile, *file, *function; /* NULL where not given */
    const char *trace, *svg;               /* files to write; NULL: none */
    bool json;
};

static double share(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : (double)part / (double)whole;
}

/* ---- For a terminal ------------------------------------------------------------------------ */

static void print_time(uint64_t ns)
{
    if (ns < 1000000)
        printf("%.1f µs", (double)ns * 1e-3);
    else if (ns < 1000000000)
        printf("%.3f ms", (double)ns * 1e-6);
    else
        printf("%.3f s", (double)ns * 1e-9);
}

#define BAR 32

/* A bar of eighths, filled to `part` of 1. */
static void print_bar(double part)
{
    static const char *const eighths[] = { "", "▏", "▎", "▍", "▌", "▋", "▊", "▉" };
    int filled = (int)(part * BAR * 8 + 0.5);
    int columns = 0;
    for (; columns < filled / 8; columns++)
        fputs("█", stdout);
    if (filled % 8 != 0) {
        fputs(eighths[filled % 8], stdout);
        columns++;
    }
    for (; columns < BAR; columns++)
        fputs("·", stdout);
}

/* "load→compute 12 %, memory port 3 %": a unit's waits from 1 % up, the longest first. */
static void print_waits(const struct vta_timing_unit *unit, uint64_t cycles)
{
    bool printed[VTA_WAIT_COUNT] = { false };
    for (int n = 0; n < VTA_WAIT_COUNT; n++) {
        int longest = -1;
        for (int i = 0; i < VTA_WAIT_COUNT; i++)
            if (!printed[i] && (longest < 0 || unit->waits[i] > unit->waits[longest]))
                longest = i;
        if (share(unit->waits[longest], cycles) < 0.005)
            break;
        printf("%s%s %.0f %%", n == 0 ? "" : ", ",
               vta_timing_wait_name((enum vta_timing_wait)longest),
               share(unit->waits[longest], cycles) * 100);
        printed[longest] = true;
    }
}

static void print_units(const struct vta_timing *timing)
{
    printf("  %-8s %-*s  busy  waits for\n", "unit", BAR, "");
    for (int u = 0; u < VTA_CORE_UNITS; u++) {
        const struct vta_timing_unit *unit = &timing->units[u];
        double busy = share(unit->busy, timing->cycles);
        printf("  %-8s ", vta_core_unit_name((enum vta_core_unit)u));
        print_bar(busy);
        printf(" %3.0f %%  ", busy * 100);
        print_waits(unit, timing->cycles);
        putchar('\n');
    }
}

static void print_roofline(const struct vta_timing *timing,
                           const struct vta_timing_profile *profile)
{
    double macs = share(timing->macs, timing->cycles);
    double seconds = (double)timing->device_ns * 1e-9;
    double rate = seconds > 0 ? (double)timing->port_bytes / seconds * 1e-6 : 0;
    double peak = profile->port_bytes_per_cycle * profile->clock_mhz;
    printf("  compute  %.4g of %" PRIu64 " MACs a cycle (%.0f %%), %.4g of %.4g GOP/s\n", macs,
           timing->peak_macs_per_cycle, macs * 100 / (double)timing->peak_macs_per_cycle,
           macs * 2e-3 * profile->clock_mhz,
           (double)timing->peak_macs_per_cycle * 2e-3 * profile->clock_mhz);
    printf("  memory   %.4g of %.4g MB/s (%.0f %%), %" PRIu64 " bytes in %" PRIu64 " rows\n", rate,
           peak, rate * 100 / peak, timing->port_bytes, timing->rows);
    printf("  %.4g MACs a byte; the board's ridge is at %.4g\n",
           share(timing->macs, timing->port_bytes),
           (double)timing->peak_macs_per_cycle / profile->port_bytes_per_cycle);
}

static void print_timing(const char *name, const struct vta_timing *timing,
                         const struct vta_timing_profile *profile)
{
    char path[VTA_TIMING_PATH_TEXT];
    printf("%s: ", name);
    print_time(timing->total_ns);
    printf(" a call on %s%s\n", profile->name, profile->measured ? "" : " (not measured)");
    printf("  device ");
    print_time(timing->device_ns);
    printf(", %" PRIu64 " cycles at %g MHz; host ", timing->cycles, profile->clock_mhz);
    print_time(timing->host_ns);
    vta_timing_path_print(timing, path, sizeof path);
    printf("\n  %s\n\n", path);
    print_units(timing);
    putchar('\n');
    print_roofline(timing, profile);
}

/* ---- For a program ------------------------------------------------------------------------- */

/* Exact, where a double would not be. */
static void add_count(cJSON *object, const char *name, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    cJSON_AddRawToObject(object, name, text);
}

static cJSON *json_unit(const struct vta_timing_unit *unit)
{
    cJSON *object = cJSON_CreateObject();
    add_count(object, "insns", unit->insns);
    add_count(object, "busy", unit->busy);
    cJSON *waits = cJSON_AddObjectToObject(object, "waits");
    for (int i = 0; i < VTA_WAIT_COUNT; i++)
        add_count(waits, vta_timing_wait_name((enum vta_timing_wait)i), unit->waits[i]);
    add_count(object, "idle", unit->idle);
    return object;
}

static cJSON *json_timing(const char *name, const struct vta_timing *timing)
{
    static const char *const parts[VTA_PART_COUNT] = { "gemm", "alu",   "load in compute",
                                                       "load", "store", "fetch",
                                                       "other" };
    char text[VTA_TIMING_PATH_TEXT];
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "name", name);
    add_count(object, "total_ns", timing->total_ns);
    add_count(object, "device_ns", timing->device_ns);
    add_count(object, "host_ns", timing->host_ns);
    add_count(object, "cycles", timing->cycles);
    cJSON *units = cJSON_AddObjectToObject(object, "units");
    for (int u = 0; u < VTA_CORE_UNITS; u++)
        cJSON_AddItemToObject(units, vta_core_unit_name((enum vta_core_unit)u),
                              json_unit(&timing->units[u]));
    cJSON *path = cJSON_AddObjectToObject(object, "critical_path");
    for (int i = 0; i < VTA_PART_COUNT; i++)
        add_count(path, parts[i], timing->path[i]);
    vta_timing_path_print(timing, text, sizeof text);
    cJSON_AddStringToObject(object, "in_words", text);
    add_count(object, "macs", timing->macs);
    add_count(object, "peak_macs_per_cycle", timing->peak_macs_per_cycle);
    add_count(object, "port_bytes", timing->port_bytes);
    add_count(object, "port_busy", timing->port_busy);
    add_count(object, "rows", timing->rows);
    return object;
}

static int print_json(const struct vtac_command *command, cJSON *root)
{
    struct vta_error error;
    char *text = cJSON_Print(root);
    if (text == NULL) {
        vta_error_set(&error, VTA_ENOMEM, "no memory for the result");
        return vtac_failed(command, &error);
    }
    puts(text);
    cJSON_free(text);
    return VTAC_OK;
}

/* ---- The command --------------------------------------------------------------------------- */

static int read_request(const struct vtac_command *command, int argc, char **argv,
                        struct request *request, bool *stop)
{
    int option, status = VTAC_OK;
    *stop = true;
    while ((option = vtac_option(command, argc, argv, options, &status)) != -1) {
        switch (option) {
        case VTAC_STOP:
            return status;
        case 'p':
            request->profile = optarg;
            break;
        case 't':
            request->trace = optarg;
            break;
        case 's':
            request->svg = optarg;
            break;
        case 'j':
            request->json = true;
            break;
        default:
            return vtac_wrong_usage(command, "it writes to standard output only");
        }
    }
    if (optind >= argc)
        return vtac_wrong_usage(command, "a module file is expected");
    if (argc - optind > 2)
        return vtac_wrong_usage(command, "'%s' is one argument too many", argv[optind + 2]);
    request->file = argv[optind];
    request->function = optind + 1 < argc ? argv[optind + 1] : NULL;
    *stop = false;
    return VTAC_OK;
}

static int find_profile(struct vta_timing_profile *profile, const struct request *request,
                        const struct vta_hw *hw, struct vta_error *error)
{
    if (request->profile != NULL)
        return vta_profile_find(profile, request->profile, error);
    int rc = vta_profile_for_hw(profile, hw, error);
    if (rc != 0)
        vta_error_prefix(error, "--profile is needed");
    return rc;
}

static int predict(struct vta_timing *timing, const struct request *request,
                   const struct vta_kernel *kernel, const struct vta_hw *hw,
                   const struct vta_timing_profile *profile, struct vta_error *error)
{
    struct vta_program *program = NULL;
    int rc = vtac_program(&program, kernel, hw, true, error);
    if (rc == 0)
        rc = vta_timing_replay(timing, program, profile, NULL, NULL, error);
    if (rc == 0)
        rc = vtac_draw(program, profile, request->trace, request->svg, error);
    if (rc != 0)
        vta_error_prefix(error, "%s", kernel->name);
    vta_program_free(program);
    return rc;
}

/* Every function, or the one that is asked for; list: where they go as JSON, or NULL. */
static int time_functions(const struct request *request, const struct vta_module_image *image,
                          const struct vta_timing_profile *profile, cJSON *list,
                          struct vta_error *error)
{
    int rc = 0, timed = 0;
    for (uint32_t i = 0; i < image->kernel_count && rc == 0; i++) {
        const struct vta_kernel *kernel = &image->kernels[i];
        struct vta_timing timing;
        if (request->function != NULL && strcmp(request->function, kernel->name) != 0)
            continue;
        rc = predict(&timing, request, kernel, &image->hw, profile, error);
        if (rc == 0 && list != NULL) {
            cJSON_AddItemToArray(list, json_timing(kernel->name, &timing));
        } else if (rc == 0) {
            fputs(timed == 0 ? "" : "\n", stdout);
            print_timing(kernel->name, &timing, profile);
        }
        timed++;
    }
    return rc == 0 && timed == 0 && request->function != NULL
               ? vtac_no_function(error, request->file, image, request->function)
               : rc;
}

/* A file shows one function. */
static int check_drawing(const struct request *request, const struct vta_module_image *image,
                         struct vta_error *error)
{
    if ((request->trace == NULL && request->svg == NULL) || request->function != NULL ||
        image->kernel_count == 1)
        return 0;
    return vta_error_set(error, VTA_EINVAL,
                         "%s shows one function, the module has %u: name one, as '%s'",
                         request->trace != NULL ? "--trace" : "--svg", image->kernel_count,
                         image->kernel_count != 0 ? image->kernels[0].name : "FUNCTION");
}

static int run_time(const struct vtac_command *command, int argc, char **argv)
{
    struct request request = { .json = false };
    struct vta_module_image image;
    struct vta_timing_profile profile;
    struct vta_error error;
    bool stop;
    int status = read_request(command, argc, argv, &request, &stop);
    if (stop)
        return status;
    if (vta_module_open(&image, request.file, &error) != 0)
        return vtac_failed(command, &error);
    cJSON *root = request.json ? cJSON_CreateObject() : NULL;
    int rc = check_drawing(&request, &image, &error);
    if (rc == 0)
        rc = find_profile(&profile, &request, &image.hw, &error);
    if (rc == 0 && root != NULL) {
        cJSON_AddStringToObject(root, "file", request.file);
        cJSON_AddStringToObject(root, "profile", profile.name);
        cJSON_AddBoolToObject(root, "measured", profile.measured);
        cJSON_AddNumberToObject(root, "clock_mhz", profile.clock_mhz);
    }
    if (rc == 0)
        rc =
            time_functions(&request, &image, &profile,
                           root != NULL ? cJSON_AddArrayToObject(root, "functions") : NULL, &error);
    status = rc == 0 ? VTAC_OK : vtac_failed(command, &error);
    if (rc == 0 && root != NULL)
        status = print_json(command, root);
    cJSON_Delete(root);
    vta_module_image_clear(&image);
    return status;
}

const struct vtac_command vtac_time = {
    "time", "predict how long a board takes, and say why",
    "[--profile NAME] [--trace FILE] [--svg FILE] [--json] FILE [FUNCTION]\n"
    "\n"
    "Predicts how long a board takes for each function of a module file, or for one: the call "
    "with\n"
    "its host's side, how busy the units are and what they wait for, what the critical path\n"
    "consists of, and how far from the board's peaks that is.\n"
    "\n"
    "  --profile NAME    the board: a timing profile's name, or a .json file (default: the "
    "measured\n"
    "                    one for the module's hardware)\n"
    "  --trace FILE      also write what the units do when, for Perfetto or chrome://tracing\n"
    "  --svg FILE        also draw it, with the units' times and a roofline\n"
    "  --json            print one JSON object\n"
    "  --help            this text\n",
    run_time
};
