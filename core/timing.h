/* timing.h: how long a board would take for a verified program.
 *
 * A program has no branch on data, so its time is decided before it runs, like its safety. The
 * replay here moves no data: three units run their own instructions in order, tokens order them,
 * a fetch unit deals instructions in program order into bounded command queues, and the units share
 * one memory port. What each instruction costs, and on which hardware, says a profile
 * (timing_profile.h). All times are whole cycles of the fabric clock, from the start of fetch.
 *
 * What is not modelled: that fetch, whose reads count as use of the port, would slow the units down
 * or be slowed by them; which DRAM bank or page an address falls into, refresh, and whatever else
 * the host's processor does to memory meanwhile.
 *
 * Deterministic; linear in instructions, DMA rows and the bytes that they load.
 */
#ifndef VTA_CORE_TIMING_H
#define VTA_CORE_TIMING_H

#include "control.h"
#include "program.h"
#include "tokens.h"

struct vta_timing_profile;

/* What a unit waits for while it does not execute. The first four are a token that has not been
 * pushed yet, and have the queues' numbers. */
enum vta_timing_wait {
    VTA_WAIT_LOAD_COMPUTE = VTA_QUEUE_LOAD_COMPUTE,
    VTA_WAIT_COMPUTE_LOAD = VTA_QUEUE_COMPUTE_LOAD,
    VTA_WAIT_COMPUTE_STORE = VTA_QUEUE_COMPUTE_STORE,
    VTA_WAIT_STORE_COMPUTE = VTA_QUEUE_STORE_COMPUTE,
    VTA_WAIT_DEAL,   /* fetch has not dealt it an instruction */
    VTA_WAIT_SPACE,  /* it has executed, but a queue that it pushes to is full */
    VTA_WAIT_MEMORY, /* its DMA goes on slowly, because others use the port too */
    VTA_WAIT_COUNT
};

/* "load→compute", …, "fetch", "queue space", "memory port". Never NULL. */
const char *vta_timing_wait_name(enum vta_timing_wait wait);

/* ---- Observing ----------------------------------------------------------------------------- */

#define VTA_TIMING_NONE UINT32_MAX /* no instruction: the bit is not set */
/* No instruction: the token was in the queue before the program began. */
#define VTA_TIMING_BEFORE (UINT32_MAX - 1)

/* One executed instruction. dealt ≤ head ≤ took ≤ start ≤ end ≤ gave ≤ left.
 *
 * A unit takes its two tokens one after the other, the previous unit's first, each as soon as it is
 * there; it puts its two in the same way.
 *
 * Depths of queues follow from the events alone. A command queue gains one at `dealt` and loses
 * one at `head`. A token queue begins with program->before, loses one at `took` (pop_prev) or
 * `start` (pop_next), gains one at `gave` (push_prev) or `left` (push_next). */
struct vta_timing_event {
    uint32_t insn; /* index in the program */
    enum vta_core_unit unit;
    uint64_t dealt; /* fetch has put it into its unit's command queue */
    uint64_t head;  /* its unit has taken it, and begins to wait for its tokens */
    uint64_t took;  /* it has the previous unit's token, if it pops one */
    uint64_t start; /* it has its tokens and executes */
    uint64_t end;   /* it has executed */
    uint64_t gave;  /* it has pushed the previous unit's token, if it pushes one */
    uint64_t left;  /* it has pushed its tokens: `end`, or later where a queue was full */

    /* Instructions whose push it popped, VTA_TIMING_NONE or VTA_TIMING_BEFORE. */
    uint32_t popped_prev, popped_next;
    /* The queue that decided `start`: the later of two; VTA_QUEUE_COUNT where start == head. */
    enum vta_queue waited_for;

    /* Use of the memory port: bytes 0 and both times `start` where it moves no data. */
    uint64_t port_begin, port_end; /* its first request, its last byte */
    uint64_t port_busy;            /* cycles in which the port carried its bytes, of these … */
    uint64_t port_wait; /* … and cycles that it lost because others used the port too */
    uint64_t bytes, rows;
};

/* Called once per instruction, when it has left its unit. Instructions of one unit come in their
 * order; there is no other promise about order. */
struct vta_timing_observer {
    void (*insn)(void *context, const struct vta_timing_event *event);
    void *context;
};

/* ---- The result ---------------------------------------------------------------------------- */

/* busy and every wait up to the unit's last instruction, and idle after it, add up to cycles. */
struct vta_timing_unit {
    uint64_t insns;
    uint64_t busy; /* executing; waits for the port not counted */
    uint64_t waits[VTA_WAIT_COUNT];
    uint64_t idle; /* it has finished, others have not */
};

/* What the longest chain of dependences from the first fetch to FINISH consists of. */
enum vta_timing_part {
    VTA_PART_GEMM,
    VTA_PART_ALU,
    VTA_PART_LOAD_COMPUTE, /* LOAD of UOP and ACC in the compute unit */
    VTA_PART_LOAD,         /* the load unit: what compute waits for as load→compute */
    VTA_PART_STORE,        /* the store unit: as store→compute */
    VTA_PART_FETCH,
    VTA_PART_OTHER, /* no-ops, FINISH, waiting for queue space */
    VTA_PART_COUNT
};

struct vta_timing {
    uint64_t cycles;    /* from the start of fetch to FINISH done */
    uint64_t device_ns; /* these cycles in time */
    uint64_t host_ns;   /* the host's side of the call: building the stream, starting, polling */
    uint64_t total_ns;  /* both: what a caller on the board's processor measures */

    struct vta_timing_unit units[VTA_CORE_UNITS];
    uint64_t path[VTA_PART_COUNT]; /* cycles of each on the critical path; together `cycles` */

    uint64_t gemm_ops, alu_ops;   /* steps of all nests */
    uint64_t port_bytes;          /* instructions, micro-ops and data */
    uint64_t port_busy;           /* cycles in which the port carried them */
    uint64_t rows;                /* DMA rows */
    uint64_t peak_macs_per_cycle; /* of the hardware, and … */
    uint64_t macs;                /* … what the program computes */
};

/* Replays a verified program. The profile's hardware need not be the program's: the program's own
 * configuration says how many bytes an element has. observer may be NULL, and control.
 *
 * Returns 0, VTA_ESTATE where the program has not been verified, VTA_EDEADLOCK where it would hang
 * because a queue of the board is too short for it (the verifier's queues have no end),
 * VTA_ENOMEM, or what control ends it with. */
int vta_timing_replay(struct vta_timing *timing, const struct vta_program *program,
                      const struct vta_timing_profile *profile,
                      const struct vta_timing_observer *observer, struct vta_control *control,
                      struct vta_error *error);

/* The critical path in words: "compute-bound 81 %; 12 % waiting for load→compute; 7 % fetch".
 * Always terminated; returns the length it needed. */
#define VTA_TIMING_PATH_TEXT 192
size_t vta_timing_path_print(const struct vta_timing *timing, char *text, size_t size);

#endif
