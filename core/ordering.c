/* ordering.c: vector clocks over the three units (ordering.h). */
#include "ordering.h"

#include <stdlib.h>
#include <string.h>

#include "tokens.h"

/* The instructions that push a queue, in order, and how many of them have been popped. */
struct queue {
    uint32_t *pushers;
    uint32_t pushed, popped;
    uint32_t before; /* tokens from before the run that are still there */
};

struct walk {
    const struct vta_program *program;
    struct vta_ordering *ordering;
    struct vta_clock now[VTA_CORE_UNITS]; /* of each unit's last instruction */
    struct queue queues[VTA_QUEUE_COUNT];
};

void vta_ordering_clear(struct vta_ordering *ordering)
{
    free(ordering->insns[0]); /* one block for all units */
    free(ordering->positions);
    free(ordering->clocks);
    memset(ordering, 0, sizeof(*ordering));
}

static void join(struct vta_clock *clock, const struct vta_clock *other)
{
    for (int unit = 0; unit < VTA_CORE_UNITS; unit++)
        if (other->ended[unit] > clock->ended[unit])
            clock->ended[unit] = other->ended[unit];
}

static void pop(struct walk *walk, enum vta_queue which, struct vta_clock *clock)
{
    struct queue *queue = which == VTA_QUEUE_COUNT ? NULL : &walk->queues[which];
    if (queue == NULL)
        return;
    if (queue->before > 0)
        queue->before--;
    else
        join(clock, &walk->ordering->clocks[queue->pushers[queue->popped++]]);
}

static void push(struct walk *walk, enum vta_queue which, uint32_t insn)
{
    if (which != VTA_QUEUE_COUNT)
        walk->queues[which].pushers[walk->queues[which].pushed++] = insn;
}

static void pass(struct walk *walk, uint32_t index)
{
    const struct vta_insn *insn = &walk->program->insns[index];
    const enum vta_core_unit unit = vta_insn_unit(insn);
    struct vta_clock *clock = &walk->ordering->clocks[index];

    *clock = walk->now[unit];
    if (insn->pop_prev)
        pop(walk, vta_pop_queue(unit, false), clock);
    if (insn->pop_next)
        pop(walk, vta_pop_queue(unit, true), clock);
    clock->ended[unit]++;
    walk->now[unit] = *clock;
    if (insn->push_prev)
        push(walk, vta_push_queue(unit, false), index);
    if (insn->push_next)
        push(walk, vta_push_queue(unit, true), index);
}

/* Deals the instructions to their units. */
static void deal(struct vta_ordering *ordering, const struct vta_program *program)
{
    uint32_t at[VTA_CORE_UNITS] = { 0 };
    for (uint32_t i = 0; i < program->count; i++)
        ordering->count[vta_insn_unit(&program->insns[i])]++;
    ordering->insns[1] = ordering->insns[0] + ordering->count[0];
    ordering->insns[2] = ordering->insns[1] + ordering->count[1];
    for (uint32_t i = 0; i < program->count; i++) {
        const enum vta_core_unit unit = vta_insn_unit(&program->insns[i]);
        ordering->positions[i] = at[unit];
        ordering->insns[unit][at[unit]++] = i;
    }
}

int vta_ordering_make(struct vta_ordering *ordering, const struct vta_program *program,
                      struct vta_error *error)
{
    const size_t count = (size_t)program->count + 1;
    struct walk walk = { .program = program, .ordering = ordering };

    memset(ordering, 0, sizeof(*ordering));
    uint32_t *pushers = malloc(VTA_QUEUE_COUNT * count * sizeof(*pushers));
    ordering->insns[0] = malloc(count * sizeof(uint32_t));
    ordering->positions = malloc(count * sizeof(*ordering->positions));
    ordering->clocks = malloc(count * sizeof(*ordering->clocks));
    if (pushers == NULL || ordering->insns[0] == NULL || ordering->positions == NULL ||
        ordering->clocks == NULL) {
        free(pushers);
        return vta_error_set(error, VTA_ENOMEM, "no memory to order a program");
    }
    deal(ordering, program);
    for (size_t i = 0; i < VTA_QUEUE_COUNT; i++)
        walk.queues[i] =
            (struct queue){ .pushers = pushers + i * count,
                            .before = vta_tokens_in(&program->before, (enum vta_queue)i) };
    for (uint32_t i = 0; i < program->count; i++)
        pass(&walk, program->order[i]);
    free(pushers);
    return 0;
}
