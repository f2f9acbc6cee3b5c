/* evaluator.h: runtime.RPCTimeEvaluator: a function that times another. */
#ifndef VTA_WORKER_EVALUATOR_H
#define VTA_WORKER_EVALUATOR_H

#include "function.h"

/* The call of runtime.RPCTimeEvaluator, in every version's signature; its result is a function. */
int evaluator_make(struct function *function, union tvm_value *args, const int32_t *codes,
                   int count, struct result *result, struct vta_error *error);

#endif
