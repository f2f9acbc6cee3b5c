/* builtins_vta.c: functions about the board: its configuration, its counters, its device. */
#include "builtins.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "objects.h"
#include "worker.h"

/* ---- Configuration ------------------------------------------------------------------------- */

/* A bitstream's name without folders before it and the suffix of a file behind it. */
static void bitstream_name(char name[VTA_BITSTREAM_NAME], const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash == NULL ? path : slash + 1;
    size_t length = strnlen(base, VTA_BITSTREAM_NAME - 1);
    if (length > 4 && memcmp(base + length - 4, ".bin", 4) == 0)
        length -= 4;
    memcpy(name, base, length);
    name[length] = '\0';
}

/* "Programs the FPGA": the board becomes what the bitstream is. */
static int vta_init(struct function *function, union tvm_value *args, const int32_t *codes,
                    int count, struct result *result, struct vta_error *error)
{
    struct vta_board *board = function->worker->board;
    char name[VTA_BITSTREAM_NAME];
    struct vta_hw hw;
    (void)result;
    int rc = arguments_count(function, count, 1, 1, error);
    if (rc == 0)
        rc = arguments_code(function, codes, 0, TVM_STRING, error);
    if (rc != 0)
        return rc;
    bitstream_name(name, args[0].s);
    rc = vta_hw_from_bitstream(&hw, name, vta_board_hw(board)->target, error);
    return rc != 0 ? rc : vta_board_reconfigure(board, &hw, error);
}

static int reconfig_runtime(struct function *function, union tvm_value *args, const int32_t *codes,
                            int count, struct result *result, struct vta_error *error)
{
    struct vta_hw hw;
    (void)result;
    int rc = arguments_count(function, count, 1, 1, error);
    if (rc == 0)
        rc = arguments_code(function, codes, 0, TVM_STRING, error);
    if (rc == 0)
        rc = vta_hw_from_json(&hw, args[0].s, strlen(args[0].s), error);
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
