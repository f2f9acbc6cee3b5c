/* timeline.c: keeps the events of a replay (timeline.h). */
#include "timeline.h"

#include <stdlib.h>
#include <string.h>

static void keep_event(void *context, const struct vta_timing_event *event)
{
    struct vta_timeline *timeline = context;
    timeline->events[event->insn] = *event;
}

int vta_timeline_make(struct vta_timeline *timeline, const struct vta_program *program,
                      const struct vta_timing_profile *profile, struct vta_error *error)
{
    const struct vta_timing_observer observer = { keep_event, timeline };
    *timeline = (struct vta_timeline){ .program = program, .profile = *profile };
    timeline->events = calloc((size_t)program->count + 1, sizeof(*timeline->events));
    if (timeline->events == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a timeline");
    return vta_timing_replay(&timeline->timing, program, profile, &observer, NULL, error);
}

void vta_timeline_clear(struct vta_timeline *timeline)
{
    free(timeline->events);
    memset(timeline, 0, sizeof(*timeline));
}

uint64_t vta_timeline_ns(const struct vta_timeline *timeline, uint64_t cycles)
{
    return (uint64_t)((double)cycles * 1000.0 / timeline->profile.clock_mhz);
}

void vta_timeline_name(const struct vta_insn *insn, char name[VTA_TIMELINE_NAME])
{
    switch (insn->opcode) {
    case VTA_OP_LOAD:
    case VTA_OP_STORE:
        if (vta_insn_is_nop(insn))
            snprintf(name, VTA_TIMELINE_NAME, "NOP");
        else
            snprintf(name, VTA_TIMELINE_NAME, "%s %s", vta_opcode_word(insn->opcode),
                     vta_memory_word(insn->mem.memory));
        return;
    case VTA_OP_GEMM:
        snprintf(name, VTA_TIMELINE_NAME, insn->nest.reset ? "GEMM reset" : "GEMM");
        return;
    case VTA_OP_ALU:
        snprintf(name, VTA_TIMELINE_NAME, "ALU %s", vta_alu_word(insn->nest.alu_opcode));
        return;
    default:
        snprintf(name, VTA_TIMELINE_NAME, "FINISH");
    }
}
