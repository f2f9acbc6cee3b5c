/* function.h: whatever can be called by name or handle: the server's own functions, kernels of
 * loaded modules, time evaluators. One calling convention for requests from the wire (session) and
 * for machine code (TVMFuncCall).
 */
#ifndef VTA_WORKER_FUNCTION_H
#define VTA_WORKER_FUNCTION_H

#include <stdbool.h>

#include <vta/error.h>

#include "abi.h"

struct worker;
struct function;

/* What a call gives back. value.p of TVM_STRING and TVM_BYTES (a struct tvm_bytes is not used here:
 * bytes, nbytes) points to `bytes`, owned by the result; of TVM_MODULE and TVM_FUNCTION it is a
 * struct module or function with one reference that the receiver owns; of TVM_NDARRAY a struct
 * tvm_tensor * that abi_tvm's TVMArrayAlloc made and the receiver frees. */
struct result {
    int32_t code; /* enum tvm_code */
    union tvm_value value;
    char *bytes; /* malloc'ed; NULL unless code is TVM_STRING or TVM_BYTES */
    size_t nbytes;
};

void result_clear(struct result *result); /* releases what it owns; becomes TVM_NULL */
/* What machine code returned, as a result of its own: copies text and bytes, takes a tensor over.
 * VTA_EUNSUPPORTED for a type that cannot be a result, VTA_EINVAL for a tensor that is not the
 * code's to give. */
int result_take(const union tvm_value *value, int32_t code, struct result *result,
                struct vta_error *error);
/* Copies a text into *result. */
int result_string(struct result *result, const char *text, struct vta_error *error);

struct function_ops {
    /* 0, or a negative VTA_E… code with *error, which becomes the client's exception. */
    int (*call)(struct function *function, union tvm_value *args, const int32_t *codes, int count,
                struct result *result, struct vta_error *error);
    void (*free)(struct function *function); /* at the last release; NULL: static */
};

struct function {
    const struct function_ops *ops;
    struct worker *worker;
    const char *name; /* for messages; lives as long as the function */
    unsigned references;
    bool network; /* runs several kernels, and the host's part between them is part of its time */
};

struct function *function_hold(struct function *function);
void function_release(struct function *function); /* NULL is allowed */

/* A call from the wire or by an evaluator, not from machine code: the error that a kernel left in
 * the runtime becomes the call's, after the function's name, whatever the kernel returned; the
 * runtime's queue is clean afterwards. */
int function_call(struct function *function, union tvm_value *args, const int32_t *codes, int count,
                  struct result *result, struct vta_error *error);

/* ---- For callees --------------------------------------------------------------------------- */

/* Each returns 0, or VTA_EINVAL: "my.function takes 2 arguments, got 3"; "argument 1 of
 * my.function: expected type string, got float"; "argument 2 of my.function is 7, not from 0 to 1".
 */
int arguments_count(const struct function *function, int count, int least, int most,
                    struct vta_error *error);
int arguments_code(const struct function *function, const int32_t *codes, int index,
                   enum tvm_code wanted, struct vta_error *error);
/* An int, uint or bool from least to most. */
int arguments_int(const struct function *function, const union tvm_value *args,
                  const int32_t *codes, int index, int64_t least, int64_t most, int64_t *value,
                  struct vta_error *error);

/* The server's own functions by name (builtins.c); NULL: unknown. A reference is the caller's. */
struct function *builtin_find(struct worker *worker, const char *name);

#endif
