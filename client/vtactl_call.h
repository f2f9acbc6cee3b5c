/* vtactl_call.h: a function of a module on a session, with host bytes for each parameter.
 */
#ifndef VTA_VTACTL_CALL_H
#define VTA_VTACTL_CALL_H

#include "vtactl.h"

/* One parameter's bytes on the host: what the board starts with, and what it ends with. */
struct operand {
    const struct vta_param *param; /* of the function */
    size_t nbytes;
    uint8_t *before, *after; /* owned; after: only where the function writes */
    const char *out;         /* file for `after`, or NULL */
};

struct call {
    struct vta_session *session; /* not owned; whatever else is */
    struct vta_module *module;
    struct vta_function *function;
    size_t count;
    struct operand *operands;
    struct vta_ndarray **arrays;
};

/* The module on the session: a file is uploaded, else the name of an uploaded one is meant. The
 * function and room for each parameter's bytes. */
int call_open(struct call *call, struct vta_session *session, const char *module,
              const char *function, struct vta_error *error);
/* The same function on another session, with copies of the first one's bytes. */
int call_open_copy(struct call *call, struct vta_session *session, const struct call *from,
                   const char *module, struct vta_error *error);
void call_close(struct call *call);

/* Fills `before` from "PARAM=FILE" or "FILE" (the next parameter that is read), or at random. */
int call_inputs(struct call *call, const struct arguments *arguments, bool zeros,
                struct vta_error *error);
/* Notes where --out wants results. */
int call_outputs(struct call *call, const struct arguments *arguments, struct vta_error *error);

/* Makes the arrays on the board. */
int call_load(struct call *call, struct vta_error *error);
/* Fetches what the function wrote. */
int call_fetch(struct call *call, struct vta_error *error);

/* vtactl_trace.c: writes --trace. 0, or the code with the reason in tool->error. */
int write_trace(struct tool *tool, const struct call *call, const struct vta_timing_choice *choice);

#endif
