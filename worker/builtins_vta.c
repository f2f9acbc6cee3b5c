/* builtins_vta.c: functions about the board: its configuration, its counters, its device. */
#include "builtins.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bitstream.h"
#include "files.h"
#include "objects.h"
#include "server/log.h"
#include "worker.h"

/* ---- Configuration ------------------------------------------------------------------------- */

/* A file of the session with this name, uploaded to be programmed: its header goes to the log. */
static void log_bitstream(struct worker *worker, const char *name)
{
    struct vta_bitstream bitstream;
    struct vta_error error;
    char *bytes, line[VTA_BITSTREAM_LINE];
    size_t nbytes;
    if (files_read(worker, name, &bytes, &nbytes, &error) != 0)
        return; /* there need not be one */
    if (vta_bitstream_read(&bitstream, (const uint8_t *)bytes, nbytes, &error) == 0) {
        vta_bitstream_print(&bitstream, line);
        worker_log(worker, LOG_LEVEL_INFO, "%s: %s", name, line);
    } else {
        worker_log(worker, LOG_LEVEL_WARNING, "%s: %s", name, error.message);
    }
    free(bytes);
}

/* "Programs the FPGA": the board becomes what the bitstream is, as far as its name says so. */
static int vta_init(struct function *function, union tvm_value *args, const int32_t *codes,
                    int count, struct result *result, struct vta_error *error)
{
    struct worker *worker = function->worker;
    char have[VTA_BITSTREAM_NAME];
    bool spelled;
    (void)result;
    int rc = arguments_count(function, count, 1, 1, error);
    if (rc == 0)
        rc = arguments_code(function, codes, 0, TVM_STRING, error);
    if (rc != 0)
        return rc;
    log_bitstream(worker, args[0].s);
    rc = vta_board_program(worker->board, args[0].s, &spelled, error);
    if (rc == 0 && !spelled) {
        vta_hw_bitstream(vta_board_hw(worker->board), have);
        worker_log(worker, LOG_LEVEL_INFO,
                   "bitstream '%.200s' is named after no configuration: the board stays %s",
                   args[0].s, have);
    }
    return rc;
}

static void warn_of_hardware(void *context, const char *text)
{
    worker_log(context, LOG_LEVEL_WARNING, "hardware: %s", text);
}

static int reconfig_runtime(struct function *function, union tvm_value *args, const int32_t *codes,
                            int count, struct result *result, struct vta_error *error)
{
    const struct vta_hw_warnings warnings = { .line = warn_of_hardware,
                                              .context = function->worker };
    struct vta_hw hw;
    (void)result;
    int rc = arguments_count(function, count, 1, 1, error);
    if (rc == 0)
        rc = arguments_code(function, codes, 0, TVM_STRING, error);
    if (rc == 0)
        rc = vta_hw_read_json(&hw, args[0].s, strlen(args[0].s), &warnings, error);
    return rc != 0 ? rc : vta_board_reconfigure(function->worker->board, &hw, error);
}

/* ---- Counters ------------------------------------------------------------------------------ */

static int profiler_clear(struct function *function, union tvm_value *args, const int32_t *codes,
                          int count, struct result *result, struct vta_error *error)
{
    (void)args, (void)codes, (void)result;
    int rc = arguments_count(function, count, 0, 0, error);
    if (rc == 0)
        vta_board_clear_counters(function->worker->board);
    return rc;
}

static int profiler_status(struct function *function, union tvm_value *args, const int32_t *codes,
                           int count, struct result *result, struct vta_error *error)
{
    char text[512];
    int length = 0;
    (void)args, (void)codes;
    int rc = arguments_count(function, count, 0, 0, error);
    if (rc != 0)
        return rc;
    struct vta_counters counters = vta_board_counters(function->worker->board);
#define PRINT_COUNTER(name)                                                                        \
    length += snprintf(text + length, sizeof text - (size_t)length, "%s\"%s\":%" PRIu64,           \
                       length == 0 ? "{" : ",", #name, counters.name);
    VTA_COUNTERS(PRINT_COUNTER)
#undef PRINT_COUNTER
    snprintf(text + length, sizeof text - (size_t)length, "}");
    return result_string(result, text, error);
}

/* 1: count, but do not execute. */
static int profiler_debug_mode(struct function *function, union tvm_value *args,
                               const int32_t *codes, int count, struct result *result,
                               struct vta_error *error)
{
    int64_t flag;
    (void)result;
    int rc = arguments_count(function, count, 1, 1, error);
    if (rc == 0)
        rc = arguments_int(function, args, codes, 0, INT32_MIN, INT32_MAX, &flag, error);
    if (rc == 0)
        vta_board_set_skip(function->worker->board, (flag & 1) != 0);
    return rc;
}

/* What is done about races and the like: "off", "warn" or "fail"; with 1, also about what a board
 * lacks. */
static int set_hazards(struct function *function, union tvm_value *args, const int32_t *codes,
                       int count, struct result *result, struct vta_error *error)
{
    enum vta_hazard_policy policy;
    int64_t strict_board = 0;
    (void)result;
    int rc = arguments_count(function, count, 1, 2, error);
    if (rc == 0)
        rc = arguments_code(function, codes, 0, TVM_STRING, error);
    if (rc == 0 && count == 2)
        rc = arguments_int(function, args, codes, 1, 0, 1, &strict_board, error);
    if (rc != 0)
        return rc;
    if (!vta_hazard_policy_parse(&policy, args[0].s))
        return vta_error_set(error, VTA_EINVAL, "%s: expected off, warn or fail, got '%.64s'",
                             function->name, args[0].s);
    vta_board_set_hazards(function->worker->board, policy, strict_board != 0);
    return 0;
}

/* ---- The device ---------------------------------------------------------------------------- */

/* On a board this hands out an object of the C++ runtime. That it is found says that the device
 * exists; nobody calls it. */
static int device_api(struct function *function, union tvm_value *args, const int32_t *codes,
                      int count, struct result *result, struct vta_error *error)
{
    (void)function, (void)args, (void)codes, (void)count, (void)result, (void)error;
    return 0;
}

static int set_device(struct function *function, union tvm_value *args, const int32_t *codes,
                      int count, struct result *result, struct vta_error *error)
{
    int64_t type, id;
    (void)result;
    int rc = arguments_count(function, count, 2, 2, error);
    if (rc == 0)
        rc = arguments_int(function, args, codes, 0, INT32_MIN, INT32_MAX, &type, error);
    if (rc == 0)
        rc = arguments_int(function, args, codes, 1, INT32_MIN, INT32_MAX, &id, error);
    if (rc != 0)
        return rc;
    struct tvm_device device = { .type = (int32_t)type, .id = (int32_t)id };
    return objects_device(device, error);
}

const struct builtin builtins_vta[] = {
    { "tvm.contrib.vta.init", { vta_init, NULL } },
    { "tvm.contrib.vta.reconfig_runtime", { reconfig_runtime, NULL } },
    { "vta.simulator.profiler_clear", { profiler_clear, NULL } },
    { "vta.simulator.profiler_status", { profiler_status, NULL } },
    { "vta.simulator.profiler_debug_mode", { profiler_debug_mode, NULL } },
    { "vtad.hazards", { set_hazards, NULL } },
    { "device_api.ext_dev", { device_api, NULL } },
    { "__tvm_set_device", { set_device, NULL } },
    { NULL, { NULL, NULL } },
};
