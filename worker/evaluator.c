/* evaluator.c: times a function as runtime.RPCTimeEvaluator does on a board: once to warm up, then
 * `repeat` measurements of `number` calls, raised until a measurement takes min_repeat_ms.
 */
#include "evaluator.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deadline.h"
#include "module.h"
#include "worker.h"

struct evaluator {
    struct function function;
    struct function *timed;   /* a reference */
    struct function *prepare; /* before each measurement; a reference, or NULL */
    char *name;               /* owned */
    int64_t number, repeat, min_repeat_ms;
    int64_t limit_zero_time_iterations, cooldown_interval_ms, repeats_to_cooldown;
    int64_t cache_flush_bytes;
};

/* One call of an evaluator. */
struct evaluation {
    struct evaluator *evaluator;
    union tvm_value *args;
    const int32_t *codes;
    int count;
    int64_t number; /* as raised so far; kept from measurement to measurement */
    uint64_t calls; /* made so far */
    uint8_t *flush; /* what the cache is filled with; owned, or NULL */
};

/* ---- Measuring ----------------------------------------------------------------------------- */

/* Why an evaluation may not go on: time is up, or it makes too many calls. */
static int may_call(const struct evaluation *evaluation, struct vta_error *error)
{
    const struct evaluator *evaluator = evaluation->evaluator;
    const struct worker *worker = evaluator->function.worker;
    uint64_t limit = worker->options.max_evaluations;
    int stop = atomic_load(&worker->control.stop);
    if (stop != 0)
        return vta_error_limit(
            error, stop, worker->options.run_deadline_ms, worker->options.run_deadline_ms,
            "%s: stopped after %" PRIu64 " calls: passed the deadline of %" PRIu32 " ms",
            evaluator->timed->name, evaluation->calls, worker->options.run_deadline_ms);
    if (evaluation->calls >= limit)
        return vta_error_limit(error, VTA_ELIMIT, (int64_t)limit, (int64_t)evaluation->calls + 1,
                               "%s: more than %" PRIu64 " calls in one evaluation",
                               evaluator->timed->name, limit);
    return 0;
}

static int call_once(struct evaluation *evaluation, struct function *function,
                     struct vta_error *error)
{
    struct result result;
    int rc = may_call(evaluation, error);
    if (rc != 0)
        return rc;
    rc = function_call(function, evaluation->args, evaluation->codes, evaluation->count, &result,
                       error);
    result_clear(&result);
    evaluation->calls++;
    return rc;
}

static int call_often(struct evaluation *evaluation, double *seconds, struct vta_error *error)
{
    struct evaluator *evaluator = evaluation->evaluator;
    int rc = 0;
    uint64_t began = deadline_now();
    for (int64_t i = 0; i < evaluation->number && rc == 0; i++)
        rc = call_once(evaluation, evaluator->timed, error);
    *seconds = (double)(deadline_now() - began) * 1e-9;
    return rc;
}

/* As many calls as should take min_repeat_ms, and more than half again at least. */
static int64_t raised(const struct evaluation *evaluation, double seconds)
{
    double number = (double)evaluation->number;
    double wanted = (double)evaluation->evaluator->min_repeat_ms / (seconds * 1e3 / number) + 1;
    double least = number * 1.618;
    double next = fmax(wanted, fmax(least, number + 1));
    return next < (double)INT32_MAX ? (int64_t)next : INT32_MAX;
}

/* One of the `repeat` numbers. */
static int measure(struct evaluation *evaluation, double *per_call, struct vta_error *error)
{
    const struct evaluator *evaluator = evaluation->evaluator;
    double seconds = 0;
    int64_t zeros = 0;
    int rc = 0;
    if (evaluator->prepare != NULL)
        rc = call_once(evaluation, evaluator->prepare, error);
    if (evaluation->flush != NULL)
        memset(evaluation->flush, (int)evaluation->calls & 0xff,
               (size_t)evaluator->cache_flush_bytes);
    while (rc == 0) {
        rc = call_often(evaluation, &seconds, error);
        if (seconds <= 0)
            zeros++;
        if (seconds * 1e3 >= (double)evaluator->min_repeat_ms ||
            (seconds <= 0 && zeros >= evaluator->limit_zero_time_iterations))
            break;
        if (rc == 0)
            evaluation->number = raised(evaluation, fmax(seconds, 1e-9));
    }
    *per_call = seconds / (double)evaluation->number;
    return rc;
}

/* The pause that was asked for after every so many measurements, the first one included. */
static void cool_down(const struct evaluator *evaluator, int64_t measurement)
{
    if (evaluator->cooldown_interval_ms > 0 && measurement % evaluator->repeats_to_cooldown == 0)
        deadline_pause(evaluator->function.worker->deadline,
                       (uint32_t)evaluator->cooldown_interval_ms);
}

/* The one place that decides by which clock. By the board's, the first call says it all: the time
 * is the same however often it is asked for. What ran nothing on the board is timed here. */
static int timed_by_board(const struct evaluation *evaluation, double *seconds, bool *timed,
                          struct vta_error *error)
{
    struct worker *worker = evaluation->evaluator->function.worker;
    struct vta_run_result sum = { 0 };
    *timed = false;
    if (!worker->options.board_clock || worker->runtime == NULL)
        return 0;
    vta_runtime_take_result(worker->runtime, &sum);
    if (sum.wall_ns == 0)
        return 0;
    if (sum.board_ns == 0)
        return vta_error_set(error, VTA_ESTATE,
                             "%s: the clock is the board's, but no timing profile says how fast "
                             "that is",
                             evaluation->evaluator->timed->name);
    *timed = true;
    for (int64_t i = 0; i < evaluation->evaluator->repeat; i++)
        seconds[i] = (double)sum.board_ns * 1e-9;
    return 0;
}

static int evaluate(struct evaluation *evaluation, double *seconds, struct vta_error *error)
{
    struct evaluator *evaluator = evaluation->evaluator;
    struct vta_run_result earlier;
    bool timed = false;
    if (evaluator->function.worker->runtime != NULL)
        vta_runtime_take_result(evaluator->function.worker->runtime, &earlier);
    int rc = call_once(evaluation, evaluator->timed, error);
    if (rc == 0)
        rc = timed_by_board(evaluation, seconds, &timed, error);
    if (timed)
        return rc;
    for (int64_t i = 0; i < evaluator->repeat && rc == 0; i++) {
        rc = measure(evaluation, &seconds[i], error);
        if (rc == 0)
            cool_down(evaluator, i);
    }
    return rc;
}

static int evaluator_call(struct function *function, union tvm_value *args, const int32_t *codes,
                          int count, struct result *result, struct vta_error *error)
{
    struct evaluator *evaluator = (struct evaluator *)function;
    struct worker *worker = function->worker;
    struct evaluation evaluation = { .evaluator = evaluator,
                                     .args = args,
                                     .codes = codes,
                                     .count = count,
                                     .number = evaluator->number };
    size_t nbytes = (size_t)evaluator->repeat * sizeof(double);
    uint64_t flush = (uint64_t)evaluator->cache_flush_bytes;
    double *seconds = NULL;
    int rc = 0;
    if (flush > 0) {
        evaluation.flush = worker_alloc(worker, flush, error);
        if (evaluation.flush == NULL)
            return error->code;
    }
    seconds = malloc(nbytes);
    if (seconds == NULL)
        rc = vta_error_set(error, VTA_ENOMEM, "%s: no memory to time it", evaluator->timed->name);
    else
        rc = evaluate(&evaluation, seconds, error);
    if (evaluation.flush != NULL)
        worker_release(worker, evaluation.flush, NULL);
    if (rc != 0) {
        free(seconds);
        return rc;
    }
    *result = (struct result){
        .code = TVM_BYTES, .value.p = seconds, .bytes = (char *)seconds, .nbytes = nbytes
    };
    return 0;
}

/* ---- Making one ---------------------------------------------------------------------------- */

static void evaluator_free(struct function *function)
{
    struct evaluator *evaluator = (struct evaluator *)function;
    function_release(evaluator->timed);
    function_release(evaluator->prepare);
    free(evaluator->name);
    free(evaluator);
}

static const struct function_ops evaluator_ops = { evaluator_call, evaluator_free };

/* module or null, name */
static int find_timed(struct function *maker, const union tvm_value *args, const int32_t *codes,
                      struct evaluator *evaluator, struct vta_error *error)
{
    int rc = arguments_code(maker, codes, 1, TVM_STRING, error);
    bool null = codes[0] == TVM_NULL || (codes[0] == TVM_OPAQUE && args[0].p == NULL);
    if (rc == 0 && !null)
        rc = arguments_code(maker, codes, 0, TVM_MODULE, error);
    if (rc != 0)
        return rc;
    evaluator->timed =
        null ? builtin_find(maker->worker, args[1].s) : module_find(args[0].p, args[1].s, true);
    if (evaluator->timed == NULL)
        return vta_error_set(error, VTA_ENOTFOUND, "%s: %s has no function %.200s", maker->name,
                             null ? "the server" : "the module", args[1].s);
    return 0;
}

/* The name of the function before each measurement: the last argument, where it is a text. */
static int find_prepare(struct function *maker, const union tvm_value *args, const int32_t *codes,
                        int index, struct evaluator *evaluator, struct vta_error *error)
{
    int rc = arguments_code(maker, codes, index, TVM_STRING, error);
    if (rc != 0 || args[index].s[0] == '\0')
        return rc;
    evaluator->prepare = builtin_find(maker->worker, args[index].s);
    if (evaluator->prepare == NULL)
        return vta_error_set(error, VTA_ENOTFOUND,
                             "%s: the server has no function %.200s to call first", maker->name,
                             args[index].s);
    return 0;
}

/* What lies between min_repeat_ms and the name at the end depends on the client's version. */
static int read_extras(struct function *maker, const union tvm_value *args, const int32_t *codes,
                       int count, struct evaluator *evaluator, struct vta_error *error)
{
    int64_t *const two[] = { &evaluator->cooldown_interval_ms, &evaluator->repeats_to_cooldown };
    int64_t *const four[] = { &evaluator->limit_zero_time_iterations,
                              &evaluator->cooldown_interval_ms, &evaluator->repeats_to_cooldown,
                              &evaluator->cache_flush_bytes };
    int extras = count - 8; /* 0: 0.8, 2: 0.9, 3: 0.10 to 0.14, 4: 0.15 on */
    if (extras == 1)
        return vta_error_set(error, VTA_EINVAL,
                             "%s takes 7, 8, 10, 11 or 12 arguments by the client's version, got "
                             "%d",
                             maker->name, count);
    int rc = 0;
    for (int i = 0; i < extras && rc == 0; i++)
        rc = arguments_int(maker, args, codes, 7 + i, 0, INT32_MAX, extras == 2 ? two[i] : four[i],
                           error);
    if (rc == 0 && evaluator->cooldown_interval_ms > 0 && evaluator->repeats_to_cooldown == 0)
        rc = vta_error_set(error, VTA_EINVAL, "%s: repeats_to_cooldown is 1 or more", maker->name);
    return rc;
}

/* device type, device id, number, repeat, min_repeat_ms */
static int read_numbers(struct function *maker, const union tvm_value *args, const int32_t *codes,
                        struct evaluator *evaluator, struct vta_error *error)
{
    int64_t unread, most = maker->worker->options.max_evaluations;
    int rc = arguments_int(maker, args, codes, 2, INT32_MIN, INT32_MAX, &unread, error);
    if (rc == 0)
        rc = arguments_int(maker, args, codes, 3, INT32_MIN, INT32_MAX, &unread, error);
    if (rc == 0)
        rc = arguments_int(maker, args, codes, 4, 1, most, &evaluator->number, error);
    if (rc == 0)
        rc = arguments_int(maker, args, codes, 5, 1, most, &evaluator->repeat, error);
    if (rc == 0)
        rc = arguments_int(maker, args, codes, 6, 0, INT32_MAX, &evaluator->min_repeat_ms, error);
    return rc;
}

int evaluator_make(struct function *maker, union tvm_value *args, const int32_t *codes, int count,
                   struct result *result, struct vta_error *error)
{
    int rc = arguments_count(maker, count, 7, 12, error);
    if (rc != 0)
        return rc;
    struct evaluator *evaluator = calloc(1, sizeof *evaluator);
    if (evaluator == NULL)
        return vta_error_set(error, VTA_ENOMEM, "%s: no memory", maker->name);
    evaluator->function =
        (struct function){ .ops = &evaluator_ops, .worker = maker->worker, .references = 1 };
    evaluator->repeats_to_cooldown = 1;
    rc = find_timed(maker, args, codes, evaluator, error);
    if (rc == 0)
        rc = read_numbers(maker, args, codes, evaluator, error);
    if (rc == 0 && count > 7)
        rc = find_prepare(maker, args, codes, count - 1, evaluator, error);
    if (rc == 0)
        rc = read_extras(maker, args, codes, count, evaluator, error);
    if (rc == 0 && asprintf(&evaluator->name, "the evaluator of %s", evaluator->timed->name) < 0) {
        evaluator->name = NULL;
        rc = vta_error_set(error, VTA_ENOMEM, "%s: no memory", maker->name);
    }
    if (rc != 0) {
        evaluator_free(&evaluator->function);
        return rc;
    }
    evaluator->function.name = evaluator->name;
    *result = (struct result){ .code = TVM_FUNCTION, .value.p = &evaluator->function };
    return 0;
}
