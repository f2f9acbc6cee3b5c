/* results.h: what a kernel has returned, made a result that outlives its memory. */
#ifndef VTA_WORKER_RESULTS_H
#define VTA_WORKER_RESULTS_H

#include "function.h"

/* Text and bytes are copied; a tensor is taken over (abi_take_array). VTA_EINVAL for a tensor that
 * is not the code's to give, VTA_EUNSUPPORTED for other type codes and for no text. */
int result_take(struct result *result, const union tvm_value *value, int32_t code,
                struct vta_error *error);

#endif
