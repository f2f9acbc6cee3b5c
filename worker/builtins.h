/* builtins.h: the server's own functions, a table for each subject. Private to builtins_….
 */
#ifndef VTA_WORKER_BUILTINS_H
#define VTA_WORKER_BUILTINS_H

#include "function.h"

struct builtin {
    const char *name;
    struct function_ops ops;
};

/* Each ends with a NULL name. */
extern const struct builtin builtins_rpc[];    /* files, modules, timing */
extern const struct builtin builtins_vta[];    /* the board */
extern const struct builtin builtins_random[]; /* tensors for tuners */
extern const struct builtin builtins_graph[];  /* networks */

/* Whether a function carries a file in its arguments, so that its packets may be long. */
bool builtin_is_upload(const struct function *function);

#endif
