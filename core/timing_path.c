/* timing_path.c: why a program takes as long as it takes, in numbers and in words
 * (timing_path.h, and vta_timing_path_print of timing.h).
 */
#include "timing_path.h"

#include <stdio.h>
#include <string.h>

static enum vta_timing_part part_of(const struct vta_insn *insn)
{
    if (vta_insn_is_nop(insn))
        return VTA_PART_OTHER;
    switch (insn->opcode) {
    case VTA_OP_GEMM:
        return VTA_PART_GEMM;
    case VTA_OP_ALU:
        return VTA_PART_ALU;
    case VTA_OP_STORE:
        return VTA_PART_STORE;
    case VTA_OP_LOAD:
        return vta_insn_unit(insn) == VTA_CORE_LOAD ? VTA_PART_LOAD : VTA_PART_LOAD_COMPUTE;
    default:
        return VTA_PART_OTHER;
    }
}

/* The instruction of the same unit before index, or VTA_TIMING_NONE. */
static uint32_t before_in_unit(const struct vta_program *program, uint32_t index)
{
    enum vta_core_unit unit = vta_insn_unit(&program->insns[index]);
    while (index-- > 0)
        if (vta_insn_unit(&program->insns[index]) == unit)
            return index;
    return VTA_TIMING_NONE;
}

/* Follows fetch back from the dealing of an instruction to the one whose taking it had waited for,
 * or to its own start (VTA_TIMING_NONE). */
static uint32_t before_dealing(uint64_t *path, const struct vta_moments *moments, uint32_t index)
{
    uint32_t at = index;
    while (moments[at].made_room == VTA_TIMING_NONE && at > 0)
        at--;
    uint32_t room = moments[at].made_room;
    path[VTA_PART_FETCH] +=
        moments[index].dealt - (room == VTA_TIMING_NONE ? 0 : moments[at].dealt);
    return room;
}

/* What decided that an instruction came to the head of its unit when it did: the one before it,
 * or its dealing. VTA_TIMING_NONE: the beginning. */
static uint32_t before_head(uint64_t *path, const struct vta_program *program,
                            const struct vta_moments *moments, uint32_t index, bool *at_head)
{
    uint32_t previous = before_in_unit(program, index);
    *at_head = false;
    if (previous != VTA_TIMING_NONE && moments[previous].left == moments[index].head)
        return previous;
    *at_head = true; /* of the one that made room */
    return before_dealing(path, moments, index);
}

static uint32_t last_to_leave(const struct vta_program *program, const struct vta_moments *moments)
{
    uint32_t last = program->count - 1;
    for (uint32_t i = program->count; i-- > 0;)
        if (moments[i].left > moments[last].left)
            last = i;
    return last;
}

void vta_timing_path(uint64_t *path, const struct vta_program *program,
                     const struct vta_moments *moments)
{
    memset(path, 0, VTA_PART_COUNT * sizeof(*path));
    uint32_t at = program->count == 0 ? VTA_TIMING_NONE : last_to_leave(program, moments);
    uint64_t until = at == VTA_TIMING_NONE ? 0 : moments[at].left; /* from 0: not yet explained */
    bool at_head = false;
    while (at != VTA_TIMING_NONE) {
        const struct vta_moments *moment = &moments[at];
        if (!at_head) {
            path[part_of(&program->insns[at])] += moment->end - moment->start;
            path[VTA_PART_OTHER] += until - moment->end;
            until = moment->start;
            if (moment->start > moment->head) {
                enum vta_queue prev = vta_pop_queue(vta_insn_unit(&program->insns[at]), false);
                at = moment->waited_for == prev ? moment->popped_prev : moment->popped_next;
                continue;
            }
        }
        until = moment->head;
        at = before_head(path, program, moments, at, &at_head);
    }
}

/* ---- In words ------------------------------------------------------------------------------ */

struct share {
    const char *bound, *waits; /* how it reads as the largest share, and as another */
    uint64_t cycles;
};

/* The shares of a path as the units see them, the largest first. */
static void rank(struct share shares[5], const uint64_t *path)
{
    const uint64_t compute = path[VTA_PART_GEMM] + path[VTA_PART_ALU] + path[VTA_PART_LOAD_COMPUTE];
    const struct share all[5] = {
        { "compute-bound", "waiting for compute", compute },
        { "load-bound", "waiting for load→compute", path[VTA_PART_LOAD] },
        { "store-bound", "waiting for store→compute", path[VTA_PART_STORE] },
        { "fetch-bound", "waiting for fetch", path[VTA_PART_FETCH] },
        { "bound by synchronisation", "synchronisation", path[VTA_PART_OTHER] },
    };
    for (int i = 0; i < 5; i++) {
        int at = i;
        for (; at > 0 && shares[at - 1].cycles < all[i].cycles; at--)
            shares[at] = shares[at - 1];
        shares[at] = all[i];
    }
}

size_t vta_timing_path_print(const struct vta_timing *timing, char *text, size_t size)
{
    struct share shares[5];
    size_t length = 0;
    rank(shares, timing->path);
    if (size > 0)
        text[0] = '\0';
    for (int i = 0; i < 5; i++) {
        uint64_t percent = timing->cycles == 0
                               ? 0
                               : (shares[i].cycles * 100 + timing->cycles / 2) / timing->cycles;
        if (i > 0 && percent == 0)
            break;
        char *at = length < size ? text + length : NULL;
        size_t room = length < size ? size - length : 0;
        int n =
            i == 0
                ? snprintf(at, room, "%s %llu %%", shares[i].bound, (unsigned long long)percent)
                : snprintf(at, room, "; %llu %% %s", (unsigned long long)percent, shares[i].waits);
        length += n > 0 ? (size_t)n : 0;
    }
    return length;
}
