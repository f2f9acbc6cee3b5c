/* timeline.h: what each instruction of a program did and when, on the model of a board: a replay
 * (timing.h) with its events kept, and two ways of showing them.
 */
#ifndef VTA_CORE_TIMELINE_H
#define VTA_CORE_TIMELINE_H

#include <stdio.h>

#include "timing.h"
#include "timing_profile.h"

struct vta_timeline {
    const struct vta_program *program; /* must outlive it */
    struct vta_timing_profile profile;
    struct vta_timing timing;
    struct vta_timing_event *events; /* one per instruction, by its index; owned */
};

/* Replays a verified program. Fails as vta_timing_replay does. Release in every case. */
int vta_timeline_make(struct vta_timeline *timeline, const struct vta_program *program,
                      const struct vta_timing_profile *profile, struct vta_error *error);
void vta_timeline_clear(struct vta_timeline *timeline);

/* Cycles since the start in nanoseconds, rounded down: monotonous, so that what follows each other
 * in cycles does not overlap in time. */
uint64_t vta_timeline_ns(const struct vta_timeline *timeline, uint64_t cycles);

/* What an instruction is called: "LOAD inp", "GEMM", "ALU max", "NOP". */
#define VTA_TIMELINE_NAME 24
void vta_timeline_name(const struct vta_insn *insn, char name[VTA_TIMELINE_NAME]);

/* timeline_trace.c: a Trace Event file, which Perfetto and chrome://tracing open. One track per
 * unit and one for fetch; a slice per instruction and per wait for a token; an arrow per token;
 * counters for tokens, for commands that wait, and for the memory port. VTA_EIO or VTA_ENOMEM. */
int vta_timeline_trace(const struct vta_timeline *timeline, FILE *file, struct vta_error *error);

/* timeline_svg.c: a picture for a report, in itself complete: where each unit's time went, the
 * timeline, the critical path, and the program under the roofline of its hardware. VTA_EIO or
 * VTA_ENOMEM. */
int vta_timeline_svg(const struct vta_timeline *timeline, FILE *file, struct vta_error *error);

#endif
