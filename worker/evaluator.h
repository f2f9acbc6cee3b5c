/* evaluator.h: runtime.RPCTimeEvaluator: a function that times another. */
#ifndef VTA_WORKER_EVALUATOR_H
#define VTA_WORKER_EVALUATOR_H

#include "function.h"

/* How often to call. */
struct evaluator_numbers {
    int64_t number, repeat, min_repeat_ms; /* at least 1, 1, 0 */
    int64_t limit_zero_time_iterations, cooldown_interval_ms, repeats_to_cooldown;
};

/* Times a function: once to warm up, then `repeat` measurements, in seconds per call. By the clock
 * that the worker's options name. VTA_ELIMIT past max_evaluations, VTA_EDEADLINE, or what a call
 * fails with. */
int evaluator_time(struct function *timed, union tvm_value *args, const int32_t *codes, int count,
                   const struct evaluator_numbers *numbers, double *seconds,
                   struct vta_error *error);

/* Seconds between the two calls, and those of them inside the device. If the clock is the board's,
 * what the board would take is in the place of the latter. VTA_ESTATE if that is not known. */
struct stopwatch {
    uint64_t began;
};
void stopwatch_start(struct stopwatch *stopwatch, struct worker *worker);
int stopwatch_stop(const struct stopwatch *stopwatch, struct worker *worker, double *seconds,
                   double *inside, struct vta_error *error);

/* The call of runtime.RPCTimeEvaluator, in every version's signature; its result is a function. */
int evaluator_make(struct function *function, union tvm_value *args, const int32_t *codes,
                   int count, struct result *result, struct vta_error *error);

#endif
