/* vtactl_run.c: run and bench.
 */
#include "vtactl_call.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- run ----------------------------------------------------------------------------------- */

/* Calls the function `repeat` times; the host time of each goes to times, the rest of the last one
 * to *last. */
static int call_often(struct call *call, uint32_t repeat, uint64_t *times,
                      struct vta_run_stats *last, struct vta_error *error)
{
    for (uint32_t i = 0; i < repeat; i++) {
        int rc = vta_call(call->function, call->arrays, call->count, last, error);
        if (rc != 0)
            return rc;
        times[i] = last->wall_ns;
    }
    return 0;
}

static int compare_operand(const struct operand *one, const struct operand *other,
                           struct vta_error *error)
{
    for (size_t i = 0; one->after != NULL && i < one->nbytes; i++)
        if (one->after[i] != other->after[i])
            return vta_error_set(error, VTA_EINTERNAL,
                                 "check: %s differs from the local session at byte %zu: 0x%02x, "
                                 "not 0x%02x",
                                 one->param->name, i, one->after[i], other->after[i]);
    return 0;
}

/* Does the same on a local session, and compares. */
static int check(struct tool *tool, const struct call *call, uint32_t repeat,
                 const struct vta_counters *counters)
{
    struct vta_server_info info;
    struct vta_run_stats expected = { 0 };
    struct call other = { 0 };
    uint64_t *times = calloc(repeat, sizeof *times);
    struct vta_session *local = NULL;
    int rc = VTA_ENOMEM;

    if (times == NULL)
        vta_error_set(&tool->error, rc, "no memory for the check");
    else
        rc = vta_server_info(tool->session, &info, &tool->error);
    if (rc == 0 && (local = vta_local_session(&info.hw, &tool->error)) == NULL)
        rc = tool->error.code;
    if (rc == 0)
        rc = call_open_copy(&other, local, call, tool->arguments.operands[0], &tool->error);
    if (rc == 0)
        rc = call_load(&other, &tool->error);
    if (rc == 0)
        rc = call_often(&other, repeat, times, &expected, &tool->error);
    if (rc == 0)
        rc = call_fetch(&other, &tool->error);
    for (size_t i = 0; rc == 0 && i < call->count; i++)
        rc = compare_operand(&call->operands[i], &other.operands[i], &tool->error);
    if (rc == 0 && memcmp(counters, &expected.counters, sizeof *counters) != 0)
        rc = vta_error_set(&tool->error, VTA_EINTERNAL,
                           "check: the counters differ from the local session's");
    call_close(&other);
    vta_close(local);
    free(times);
    return rc;
}

static int compare_times(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;

    return one < other ? -1 : one > other;
}

static int write_outputs(struct tool *tool, const struct call *call)
{
    for (size_t i = 0; i < call->count; i++) {
        const struct operand *operand = &call->operands[i];
        if (operand->out != NULL &&
            write_file(operand->out, operand->after, operand->nbytes, &tool->error) != 0)
            return tool->error.code;
    }
    return 0;
}

/* "  on the board: 1.234 ms, 105120 cycles (1x16-2019-11)". */
static void print_board(const struct vta_run_stats *stats, const struct vta_timing_choice *choice)
{
    printf("on the board: ");
    if (stats->board_ns == 0) {
        puts("unknown, there is no timing profile");
        return;
    }
    print_seconds((double)stats->board_ns / 1e9);
    printf(", %" PRIu64 " cycles (%s%s)\n", stats->board_cycles, choice->profile,
           choice->measured ? "" : ", not measured");
}

static void print_run(const struct tool *tool, const struct call *call, uint64_t *times,
                      uint32_t repeat, const struct vta_run_stats *last,
                      const struct vta_timing_choice *choice)
{
    size_t written = 0;

    for (size_t i = 0; i < call->count; i++)
        written += call->operands[i].after != NULL ? call->operands[i].nbytes : 0;
    qsort(times, repeat, sizeof *times, compare_times);
    printf("%s: ", vta_function_name(call->function));
    print_seconds((double)times[repeat / 2] / 1e9);
    if (repeat > 1) {
        printf(" (median of %" PRIu32 " runs, min ", repeat);
        print_seconds((double)times[0] / 1e9);
        printf(", max ");
        print_seconds((double)times[repeat - 1] / 1e9);
        putchar(')');
    }
    putchar('\n');
    if (tool->arguments.stats || tool->arguments.profile != NULL)
        print_board(last, choice);
    if (tool->arguments.check)
        printf("check: %zu bytes and the counters are identical to the local session's\n", written);
    if (tool->arguments.stats) {
        putchar('\n');
        print_counters(&last->counters);
    }
}

static void run_as_json(const struct tool *tool, const struct call *call, const uint64_t *times,
                        uint32_t repeat, const struct vta_run_stats *last,
                        const struct vta_timing_choice *choice)
{
    cJSON *json = tool->json;

    cJSON_AddStringToObject(json, "module", base_name(tool->arguments.operands[0]));
    cJSON_AddStringToObject(json, "function", vta_function_name(call->function));
    cJSON *list = cJSON_AddArrayToObject(json, "wall_ns");
    for (uint32_t i = 0; i < repeat; i++)
        cJSON_AddItemToArray(list, cJSON_CreateNumber((double)times[i]));
    if (last->board_ns != 0) {
        json_u64(json, "board_ns", last->board_ns);
        json_u64(json, "board_cycles", last->board_cycles);
        cJSON_AddStringToObject(json, "profile", choice->profile);
        cJSON_AddBoolToObject(json, "measured", choice->measured);
    }
    cJSON_AddItemToObject(json, "counters", json_counters(&last->counters));
    list = cJSON_AddArrayToObject(json, "outputs");
    for (size_t i = 0; i < call->count; i++) {
        const struct operand *operand = &call->operands[i];
        if (operand->after == NULL)
            continue;
        cJSON *output = cJSON_CreateObject();
        cJSON_AddStringToObject(output, "param", operand->param->name);
        json_u64(output, "bytes", operand->nbytes);
        if (operand->out != NULL)
            cJSON_AddStringToObject(output, "file", operand->out);
        cJSON_AddItemToArray(list, output);
    }
    if (tool->arguments.check)
        cJSON_AddStringToObject(json, "check", "identical");
}

int command_run(struct tool *tool)
{
    const struct arguments *arguments = &tool->arguments;
    uint32_t repeat = arguments->repeat != 0 ? arguments->repeat : 1;
    struct vta_run_stats last = { 0 };
    struct vta_timing_choice choice;
    struct call call;
    uint64_t *times = calloc(repeat, sizeof *times);
    int rc = call_open(&call, tool->session, arguments->operands[0], arguments->operands[1],
                       &tool->error);

    if (rc == 0 && times == NULL)
        rc = vta_error_set(&tool->error, VTA_ENOMEM, "no memory for %" PRIu32 " runs", repeat);
    if (rc == 0 && choose_timing(tool, &choice) != 0)
        rc = tool->error.code;
    if (rc == 0)
        print_hazards(tool, call.module, base_name(arguments->operands[0]));
    if (rc == 0)
        rc = call_inputs(&call, arguments, false, &tool->error);
    if (rc == 0)
        rc = call_outputs(&call, arguments, &tool->error);
    if (rc == 0)
        rc = call_load(&call, &tool->error);
    if (rc == 0)
        rc = call_often(&call, repeat, times, &last, &tool->error);
    if (rc == 0)
        rc = call_fetch(&call, &tool->error);
    if (rc == 0)
        rc = write_outputs(tool, &call);
    if (rc == 0 && arguments->check)
        rc = check(tool, &call, repeat, &last.counters);
    if (rc == 0 && arguments->trace != NULL)
        rc = write_trace(tool, &call, &choice);
    if (rc == 0 && arguments->json)
        run_as_json(tool, &call, times, repeat, &last, &choice);
    else if (rc == 0)
        print_run(tool, &call, times, repeat, &last, &choice);
    call_close(&call);
    free(times);
    return rc == 0 ? 0 : EXIT_FAILED;
}

/* ---- bench --------------------------------------------------------------------------------- */

static void print_bench(const struct tool *tool, const struct call *call, const double *seconds,
                        uint32_t repeat, const struct vta_timing_choice *choice)
{
    double least = seconds[0], most = seconds[0], sum = 0;

    for (uint32_t i = 0; i < repeat; i++) {
        least = seconds[i] < least ? seconds[i] : least;
        most = seconds[i] > most ? seconds[i] : most;
        sum += seconds[i];
    }
    if (tool->arguments.json) {
        cJSON_AddStringToObject(tool->json, "module", base_name(tool->arguments.operands[0]));
        cJSON_AddStringToObject(tool->json, "function", vta_function_name(call->function));
        cJSON_AddItemToObject(tool->json, "seconds", cJSON_CreateDoubleArray(seconds, (int)repeat));
        cJSON_AddNumberToObject(tool->json, "mean", sum / repeat);
        cJSON_AddNumberToObject(tool->json, "min", least);
        cJSON_AddNumberToObject(tool->json, "max", most);
        cJSON_AddStringToObject(tool->json, "clock", choice->board_clock ? "board" : "host");
        if (choice->board_clock)
            cJSON_AddStringToObject(tool->json, "profile", choice->profile);
        return;
    }
    if (choice->board_clock) {
        printf("%s: ", vta_function_name(call->function));
        print_seconds(seconds[0]);
        printf(" per call on the board (%s%s)\n", choice->profile,
               choice->measured ? "" : ", not measured");
        return;
    }
    printf("%s: mean ", vta_function_name(call->function));
    print_seconds(sum / repeat);
    printf(" per call (%" PRIu32 " measurement%s, min ", repeat, repeat == 1 ? "" : "s");
    print_seconds(least);
    printf(", max ");
    print_seconds(most);
    puts(")");
}

int command_bench(struct tool *tool)
{
    const struct arguments *arguments = &tool->arguments;
    uint32_t repeat = arguments->repeat != 0 ? arguments->repeat : 3;
    uint32_t number = arguments->number != 0 ? arguments->number : 1;
    struct vta_timing_choice choice;
    struct call call;
    double *seconds = calloc(repeat, sizeof *seconds);
    int rc = call_open(&call, tool->session, arguments->operands[0], arguments->operands[1],
                       &tool->error);

    if (rc == 0 && (seconds == NULL || repeat > INT32_MAX))
        rc = vta_error_set(&tool->error, VTA_ENOMEM, "no memory for %" PRIu32 " measurements",
                           repeat);
    if (rc == 0 && choose_timing(tool, &choice) != 0)
        rc = tool->error.code;
    if (rc == 0)
        print_hazards(tool, call.module, base_name(arguments->operands[0]));
    if (rc == 0)
        rc = call_inputs(&call, arguments, true, &tool->error);
    if (rc == 0)
        rc = call_load(&call, &tool->error);
    if (rc == 0)
        rc = vta_time_evaluator(call.function, call.arrays, call.count, number, repeat,
                                arguments->min_repeat_ms, seconds, &tool->error);
    if (rc == 0)
        print_bench(tool, &call, seconds, repeat, &choice);
    call_close(&call);
    free(seconds);
    return rc == 0 ? 0 : EXIT_FAILED;
}
