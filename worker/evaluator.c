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
    struct evaluator_numbers numbers;
    int64_t cache_flush_bytes;
};

/* One call of an evaluator. */
struct evaluation {
    struct worker *worker;
    struct function *timed, *prepare;
    const struct evaluator_numbers *numbers;
    union tvm_value *args;
    const int32_t *codes;
    int count;
    int64_t number; /* as raised so far; kept from measurement to measurement */
    uint64_t calls; /* made so far */
    uint8_t *flush; /* what the cache is filled with; owned, or NULL */
    size_t flush_bytes;
};

/* ---- Clocks -------------------------------------------------------------------------------- */

void stopwatch_start(struct stopwatch *stopwatch, struct worker *worker)
{
    struct vta_run_result earlier;
    if (worker->runtime != NULL)
        vta_runtime_take_result(worker->runtime, &earlier);
    stopwatch->began = deadline_now();
}

/* The sum of the runs since it was last taken. False if there were none. */
static bool take_runs(struct worker *worker, struct vta_run_result *sum)
{
    if (worker->runtime == NULL)
        return false;
    vta_runtime_take_result(worker->runtime, sum);
    return sum->wall_ns > 0;
}

static int no_board_time(struct vta_error *error)
{
    return vta_error_set(error, VTA_ESTATE,
                         "the clock is the board's, but no timing profile says how fast that is");
}

int stopwatch_stop(const struct stopwatch *stopwatch, struct worker *worker,
                   struct stopwatch_time *time, struct vta_error *error)
{
    struct vta_run_result sum;
    const uint64_t wall_ns = deadline_now() - stopwatch->began;
    *time = (struct stopwatch_time){ .seconds = (double)wall_ns * 1e-9 };
    if (!take_runs(worker, &sum))
        return 0;
    time->inside = (double)sum.wall_ns * 1e-9;
    time->board = (double)sum.board_ns * 1e-9;
    if (!worker->options.board_clock)
        return 0;
    if (sum.board_ns == 0)
        return no_board_time(error);
    const uint64_t host_ns = wall_ns > sum.wall_ns ? wall_ns - sum.wall_ns : 0;
    time->seconds = (double)(host_ns + sum.board_ns) * 1e-9;
    time->inside = time->board;
    return 0;
}

/* ---- Measuring ----------------------------------------------------------------------------- */

/* Why an evaluation may not go on: time is up, or it makes too many calls. */
static int may_call(const struct evaluation *evaluation, struct vta_error *error)
{
    const struct worker *worker = evaluation->worker;
    uint64_t limit = worker->options.max_evaluations;
    int stop = atomic_load(&worker->control.stop);
    if (stop != 0)
        return vta_error_limit(
            error, stop, worker->options.run_deadline_ms, worker->options.run_deadline_ms,
            "%s: stopped after %" PRIu64 " calls: passed the deadline of %" PRIu32 " ms",
            evaluation->timed->name, evaluation->calls, worker->options.run_deadline_ms);
    if (evaluation->calls >= limit)
        return vta_error_limit(error, VTA_ELIMIT, (int64_t)limit, (int64_t)evaluation->calls + 1,
                               "%s: more than %" PRIu64 " calls in one evaluation",
                               evaluation->timed->name, limit);
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
    struct stopwatch stopwatch;
    struct stopwatch_time time;
    int rc = 0;
    *seconds = 0;
    stopwatch_start(&stopwatch, evaluation->worker);
    for (int64_t i = 0; i < evaluation->number && rc == 0; i++)
        rc = call_once(evaluation, evaluation->timed, error);
    if (rc != 0)
        return rc;
    rc = stopwatch_stop(&stopwatch, evaluation->worker, &time, error);
    *seconds = time.seconds;
    if (rc != 0)
        vta_error_prefix(error, "%s", evaluation->timed->name);
    return rc;
}

/* As many calls as should take min_repeat_ms, and more than half again at least. */
static int64_t raised(const struct evaluation *evaluation, double seconds)
{
    double number = (double)evaluation->number;
    double wanted = (double)evaluation->numbers->min_repeat_ms / (seconds * 1e3 / number) + 1;
    double least = number * 1.618;
    double next = fmax(wanted, fmax(least, number + 1));
    return next < (double)INT32_MAX ? (int64_t)next : INT32_MAX;
}

/* One of the `repeat` numbers. */
static int measure(struct evaluation *evaluation, double *per_call, struct vta_error *error)
{
    const struct evaluator_numbers *numbers = evaluation->numbers;
    double seconds = 0;
    int64_t zeros = 0;
    int rc = 0;
    if (evaluation->prepare != NULL)
        rc = call_once(evaluation, evaluation->prepare, error);
    if (evaluation->flush != NULL)
        memset(evaluation->flush, (int)evaluation->calls & 0xff, evaluation->flush_bytes);
    while (rc == 0) {
        rc = call_often(evaluation, &seconds, error);
        if (seconds <= 0)
            zeros++;
        if (seconds * 1e3 >= (double)numbers->min_repeat_ms ||
            (seconds <= 0 && zeros >= numbers->limit_zero_time_iterations))
            break;
        if (rc == 0)
            evaluation->number = raised(evaluation, fmax(seconds, 1e-9));
    }
    *per_call = seconds / (double)evaluation->number;
    return rc;
}

/* The pause that was asked for after every so many measurements, the first one included. */
static void cool_down(const struct evaluation *evaluation, int64_t measurement)
{
    const struct evaluator_numbers *numbers = evaluation->numbers;
    if (numbers->cooldown_interval_ms > 0 && measurement % numbers->repeats_to_cooldown == 0)
        deadline_pause(evaluation->worker->deadline, (uint32_t)numbers->cooldown_interval_ms);
}

/* A kernel by the board's clock: the first call says it all, because the time is the same however
 * often it is asked for. What ran nothing on the board is measured, and a network, because the
 * time of its host's part is known from measuring only. */
static int timed_by_board(const struct evaluation *evaluation, double *seconds, bool *timed,
                          struct vta_error *error)
{
    struct vta_run_result sum;
    *timed = false;
    if (!evaluation->worker->options.board_clock || evaluation->timed->network ||
        !take_runs(evaluation->worker, &sum))
        return 0;
    if (sum.board_ns == 0) {
        int rc = no_board_time(error);
        vta_error_prefix(error, "%s", evaluation->timed->name);
        return rc;
    }
    *timed = true;
    for (int64_t i = 0; i < evaluation->numbers->repeat; i++)
        seconds[i] = (double)sum.board_ns * 1e-9;
    return 0;
}

static int evaluate(struct evaluation *evaluation, double *seconds, struct vta_error *error)
{
    struct stopwatch warm_up;
    bool timed = false;
    evaluation->number = evaluation->numbers->number;
    stopwatch_start(&warm_up, evaluation->worker);
    int rc = call_once(evaluation, evaluation->timed, error);
    if (rc == 0)
        rc = timed_by_board(evaluation, seconds, &timed, error);
    if (timed)
        return rc;
    for (int64_t i = 0; i < evaluation->numbers->repeat && rc == 0; i++) {
        rc = measure(evaluation, &seconds[i], error);
        if (rc == 0)
            cool_down(evaluation, i);
    }
    return rc;
}

int evaluator_time(struct function *timed, union tvm_value *args, const int32_t *codes, int count,
                   const struct evaluator_numbers *numbers, double *seconds,
                   struct vta_error *error)
{
    struct evaluation evaluation = { .worker = timed->worker,
                                     .timed = timed,
                                     .numbers = numbers,
                                     .args = args,
                                     .codes = codes,
                                     .count = count };
    return evaluate(&evaluation, seconds, error);
}

static int evaluator_call(struct function *function, union tvm_value *args, const int32_t *codes,
                          int count, struct result *result, struct vta_error *error)
{
    const struct evaluator *evaluator = (struct evaluator *)function;
    struct worker *worker = function->worker;
    struct evaluation evaluation = { .worker = worker,
                                     .timed = evaluator->timed,
                                     .prepare = evaluator->prepare,
                                     .numbers = &evaluator->numbers,
                                     .args = args,
                                     .codes = codes,
                                     .count = count,
                                     .flush_bytes = (size_t)evaluator->cache_flush_bytes };
    size_t nbytes = (size_t)evaluator->numbers.repeat * sizeof(double);
    double *seconds = NULL;
    int rc = 0;
    if (evaluation.flush_bytes > 0) {
        evaluation.flush = worker_alloc(worker, evaluation.flush_bytes, error);
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
    int64_t *const two[] = { &evaluator->numbers.cooldown_interval_ms,
                             &evaluator->numbers.repeats_to_cooldown };
    int64_t *const four[] = { &evaluator->numbers.limit_zero_time_iterations,
                              &evaluator->numbers.cooldown_interval_ms,
                              &evaluator->numbers.repeats_to_cooldown,
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
    if (rc == 0 && evaluator->numbers.cooldown_interval_ms > 0 &&
        evaluator->numbers.repeats_to_cooldown == 0)
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
        rc = arguments_int(maker, args, codes, 4, 1, most, &evaluator->numbers.number, error);
    if (rc == 0)
        rc = arguments_int(maker, args, codes, 5, 1, most, &evaluator->numbers.repeat, error);
    if (rc == 0)
        rc = arguments_int(maker, args, codes, 6, 0, INT32_MAX, &evaluator->numbers.min_repeat_ms,
                           error);
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
    evaluator->numbers.repeats_to_cooldown = 1;
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
