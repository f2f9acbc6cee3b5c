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

/* Seconds between the two calls, those of them inside the device, and what the board would take for
 * the latter (0: not known). If the clock is the board's, its time is in the place of the device's,
 * and it is VTA_ESTATE if that is not known. */
struct stopwatch {
    uint64_t began;
};
struct stopwatch_time {
    double seconds, inside, board;
};
void stopwatch_start(struct stopwatch *stopwatch, struct worker *worker);
int stopwatch_stop(const struct stopwatch *stopwatch, struct worker *worker,
                   struct stopwatch_time *time, struct vta_error *error);

/* The call of runtime.RPCTimeEvaluator, in every version's signature; its result is a function. */
int evaluator_make(struct function *function, union tvm_value *args, const int32_t *codes,
                   int count, struct result *result, struct vta_error *error);

#endif
