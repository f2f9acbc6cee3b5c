/* methods_run.c: running functions: once, or often and timed. */
#include "request.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A function and the buffers that it will run on. */
struct call {
    const struct vta_loaded_function *function;
    vta_handle *buffers; /* owned */
    uint32_t count;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- Binding ------------------------------------------------------------------------------- */

/* params[1]: one buffer per parameter of the function. */
static int read_buffers(struct vta_request *request, struct call *call)
{
    const msgpack_object *list = &request->params[1];
    const struct vta_loaded_function *function = call->function;
    if (list->type != MSGPACK_OBJECT_ARRAY)
        return vta_error_set(request->error, VTA_EINVAL,
                             "params[1]: expected an array of buffer handles");
    if (list->via.array.size != function->program->param_count)
        return vta_error_set(request->error, VTA_EINVAL,
                             "%s: %s takes %" PRIu32 " buffers, got %" PRIu32,
                             function->module->name, function->kernel->name,
                             function->program->param_count, list->via.array.size);
    call->count = list->via.array.size;
    call->buffers = calloc((size_t)call->count + 1, sizeof *call->buffers);
    if (call->buffers == NULL)
        return vta_error_set(request->error, VTA_ENOMEM, "no memory for %" PRIu32 " handles",
                             call->count);
    int rc = 0;
    for (uint32_t i = 0; i < call->count && rc == 0; i++) {
        rc = vta_get_uint(&list->via.array.ptr[i], INT64_MAX, &call->buffers[i], "a buffer handle",
                          request->error);
        if (rc != 0)
            vta_error_prefix(request->error, "params[1][%" PRIu32 "]", i);
    }
    return rc;
}

/* Whether every buffer is there and large enough. The same one may serve several parameters. */
static int check_buffers(struct vta_request *request, const struct call *call)
{
    for (uint32_t i = 0; i < call->count; i++) {
        struct vta_dram *dram = vta_request_dram(request, call->buffers[i]);
        uint64_t need = call->function->program->params[i].nbytes, have;
        const char *name = call->function->kernel->params[i].name;
        int rc = dram == NULL
                     ? request->error->code
                     : vta_dram_lookup(dram, call->buffers[i], &have, NULL, request->error);
        if (rc != 0) {
            vta_error_prefix(request->error, "parameter %" PRIu32 " '%s'", i, name);
            return rc;
        }
        if (have < need)
            return vta_error_set(request->error, VTA_ESIZE,
                                 "parameter %" PRIu32 " '%s' needs %" PRIu64
                                 " bytes, buffer has %" PRIu64,
                                 i, name, need, have);
    }
    return 0;
}

/* The board may have been configured anew since the module was loaded. */
static int check_hardware(struct vta_request *request, const struct call *call)
{
    int rc = vta_hw_compare(&call->function->program->hw, vta_board_hw(request->service->board),
                            request->error);
    if (rc != 0)
        vta_error_prefix(request->error, "%s: %s", call->function->module->name,
                         call->function->kernel->name);
    return rc;
}

/* The last parameter may ask for less time than the session allows. */
static int read_deadline(struct vta_request *request)
{
    uint32_t wanted = 0;
    const uint32_t longest = request->service->options.run_deadline_ms;
    const struct vta_option options[] = { { .name = "deadline_ms", .number = &wanted } };
    int rc = vta_arg_options(request, request->method->max_params - 1u, options, 1);
    if (rc == 0 && wanted != 0 && (longest == 0 || wanted < longest))
        vta_control_set_deadline(&request->service->control, wanted);
    return rc;
}

static int read_call(struct vta_request *request, struct call *call)
{
    vta_handle handle;
    int rc = vta_arg_handle(request, 0, &handle);
    if (rc == 0)
        rc = read_deadline(request);
    if (rc != 0)
        return rc;
    call->function = vta_handles_get(&request->service->loaded.functions, handle, request->error);
    if (call->function == NULL)
        return VTA_EHANDLE;
    rc = read_buffers(request, call);
    if (rc == 0)
        rc = check_hardware(request, call);
    if (rc == 0)
        rc = check_buffers(request, call);
    return rc;
}

/* ---- Running, stoppable -------------------------------------------------------------------- */

/* What a run that was stopped, or has failed or not, tells its caller. */
static int run_end(struct vta_request *request, const struct call *call, int rc)
{
    struct vta_service *service = request->service;
    const char *module = call->function->module->name, *name = call->function->kernel->name;
    if (rc == 0)
        rc = vta_control_look(&service->control);
    int stop = vta_call_end(service);
    if (stop == 0 && rc == VTA_EDEADLINE)
        stop = rc;
    if (stop != 0)
        return vta_control_error(&service->control, stop, request->error, "%s: %s", module, name);
    if (rc != 0)
        vta_error_prefix(request->error, "%s: %s", module, name);
    return rc;
}

#define STEPS_PER_RUN 128 /* as core/control.h counts them, beside those of the run itself */

static int run_once(struct vta_request *request, const struct call *call,
                    struct vta_run_result *result)
{
    struct vta_service *service = request->service;
    int stop = vta_control_step(&service->control, STEPS_PER_RUN);
    if (stop != 0)
        return stop;
    atomic_fetch_add(&service->runs, 1);
    return vta_board_run(service->board, call->function->program, call->buffers, call->count,
                         &service->control, result, request->error);
}

int vta_do_run(struct vta_request *request)
{
    struct call call = { 0 };
    struct vta_run_result result;
    int rc = read_call(request, &call);
    if (rc == 0)
        rc = run_end(request, &call, run_once(request, &call, &result));
    if (rc == 0) {
        vta_result_map(request, result.board_ns != 0 ? 4 : 2);
        vta_result_key(request, "counters");
        vta_pack_counters(request->packer, &result.counters);
        vta_result_uint(request, "wall_ns", result.wall_ns);
        if (result.board_ns != 0) {
            vta_result_uint(request, "board_ns", result.board_ns);
            vta_result_uint(request, "board_cycles", result.board_cycles);
        }
    }
    free(call.buffers);
    return rc;
}

/* ---- Timing -------------------------------------------------------------------------------- */

struct evaluation {
    uint64_t number, repeat, min_repeat_ms;
    uint64_t runs; /* made so far */
};

static int read_evaluation(struct vta_request *request, struct evaluation *evaluation)
{
    uint64_t limit = request->service->options.max_evaluations;
    uint64_t items = request->service->options.wire.items;
    int rc = vta_arg_uint(request, 2, UINT32_MAX, &evaluation->number);
    if (rc == 0)
        rc = vta_arg_uint(request, 3, UINT32_MAX, &evaluation->repeat);
    if (rc == 0)
        rc = vta_arg_uint(request, 4, UINT32_MAX, &evaluation->min_repeat_ms);
    if (rc != 0)
        return rc;
    if (evaluation->number == 0 || evaluation->repeat == 0)
        return vta_error_set(request->error, VTA_EINVAL,
                             "params[2] and params[3]: number and repeat are 1 or more");
    if (evaluation->repeat > items)
        return vta_error_limit(request->error, VTA_ELIMIT, (int64_t)items,
                               (int64_t)evaluation->repeat,
                               "repeat %" PRIu64 " passes the limit of %" PRIu64 " results",
                               evaluation->repeat, items);
    if (evaluation->number > limit / evaluation->repeat)
        return vta_error_limit(request->error, VTA_ELIMIT, (int64_t)limit,
                               (int64_t)(evaluation->number * evaluation->repeat),
                               "%" PRIu64 " × %" PRIu64
                               " runs pass the limit (evaluations), %" PRIu64,
                               evaluation->number, evaluation->repeat, limit);
    return 0;
}

/* Runs `number` times; *seconds is how long that took. */
static int measure(struct vta_request *request, const struct call *call,
                   struct evaluation *evaluation, double *seconds)
{
    uint64_t limit = request->service->options.max_evaluations;
    struct vta_run_result result;
    if (evaluation->number > limit - evaluation->runs)
        return vta_error_limit(request->error, VTA_ELIMIT, (int64_t)limit,
                               (int64_t)(evaluation->runs + evaluation->number),
                               "min_repeat_ms %" PRIu64 " needs %" PRIu64 " runs after %" PRIu64
                               ", the limit (evaluations) is %" PRIu64,
                               evaluation->min_repeat_ms, evaluation->number, evaluation->runs,
                               limit);
    int rc = 0;
    uint64_t start = now_ns();
    for (uint64_t i = 0; i < evaluation->number && rc == 0; i++)
        rc = run_once(request, call, &result);
    *seconds = (double)(now_ns() - start) * 1e-9;
    evaluation->runs += evaluation->number;
    return rc;
}

/* A number of runs that should take min_repeat_ms, as one measurement suggests; it grows by more
 * than half at least, so that a few steps suffice. */
static uint64_t raised(const struct evaluation *evaluation, double seconds)
{
    double want = (double)evaluation->min_repeat_ms * 1e-3;
    double number = (double)evaluation->number;
    double scaled = seconds > 0 ? ceil(number * want / seconds) : number * 1000;
    double least = ceil(number * 1.618);
    double next = scaled > least ? scaled : least;
    return next < (double)UINT32_MAX ? (uint64_t)next : UINT32_MAX;
}

/* Why a run had no predicted time. */
static int no_board_time(struct vta_request *request)
{
    const struct vta_timing_profile *profile = vta_board_profile(request->service->board);
    if (profile != NULL)
        return vta_error_set(request->error, VTA_EDEADLOCK,
                             "the clock is the board's, and %s would hang: its queues are too "
                             "short for the function",
                             profile->name);
    return vta_error_set(request->error, VTA_ESTATE,
                         "the clock is the board's, but no timing profile says how fast that is");
}

/* The board's clock: one run, which gives the function its effects, and a time that is the same
 * however often it is asked for. */
static int evaluate_on_board(struct vta_request *request, const struct call *call,
                             const struct evaluation *evaluation)
{
    struct vta_run_result result = { 0 };
    int rc = run_once(request, call, &result);
    if (rc == 0 && result.board_ns == 0)
        rc = no_board_time(request);
    msgpack_pack_array(request->packer, (size_t)evaluation->repeat);
    for (uint64_t i = 0; i < evaluation->repeat && rc == 0; i++)
        msgpack_pack_double(request->packer, (double)result.board_ns * 1e-9);
    return rc;
}

/* Warm-up, then `repeat` measurements, each packed as seconds per call. */
static int evaluate(struct vta_request *request, const struct call *call,
                    struct evaluation *evaluation)
{
    struct vta_run_result result;
    double want = (double)evaluation->min_repeat_ms * 1e-3;
    int rc = run_once(request, call, &result);
    msgpack_pack_array(request->packer, (size_t)evaluation->repeat);
    for (uint64_t i = 0; i < evaluation->repeat && rc == 0; i++) {
        double seconds = 0;
        rc = measure(request, call, evaluation, &seconds);
        while (rc == 0 && seconds < want) {
            evaluation->number = raised(evaluation, seconds);
            rc = measure(request, call, evaluation, &seconds);
        }
        if (rc == 0)
            msgpack_pack_double(request->packer, seconds / (double)evaluation->number);
    }
    return rc;
}

int vta_do_time_evaluator(struct vta_request *request)
{
    struct call call = { 0 };
    struct evaluation evaluation = { 0 };
    int rc = read_evaluation(request, &evaluation);
    if (rc == 0)
        rc = read_call(request, &call);
    if (rc == 0)
        rc = run_end(request, &call,
                     request->service->board_clock ? evaluate_on_board(request, &call, &evaluation)
                                                   : evaluate(request, &call, &evaluation));
    free(call.buffers);
    return rc;
}
