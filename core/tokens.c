/* tokens.c: walks a program over its dependence queues (tokens.h). */
#include "tokens.h"

#include <stdio.h>
#include <string.h>

const char *vta_queue_name(enum vta_queue queue)
{
    static const char *const names[VTA_QUEUE_COUNT] = { "load→compute", "compute→load",
                                                        "compute→store", "store→compute" };
    return queue < VTA_QUEUE_COUNT ? names[queue] : "no queue";
}

uint32_t vta_tokens_in(const struct vta_tokens *tokens, enum vta_queue queue)
{
    switch (queue) {
    case VTA_QUEUE_LOAD_COMPUTE:
        return tokens->load_to_compute;
    case VTA_QUEUE_COMPUTE_LOAD:
        return tokens->compute_to_load;
    case VTA_QUEUE_COMPUTE_STORE:
        return tokens->compute_to_store;
    case VTA_QUEUE_STORE_COMPUTE:
        return tokens->store_to_compute;
    case VTA_QUEUE_COUNT:
        break;
    }
    return 0;
}

enum vta_queue vta_pop_queue(enum vta_core_unit unit, bool next)
{
    switch (unit) {
    case VTA_CORE_LOAD:
        return next ? VTA_QUEUE_COMPUTE_LOAD : VTA_QUEUE_COUNT;
    case VTA_CORE_COMPUTE:
        return next ? VTA_QUEUE_STORE_COMPUTE : VTA_QUEUE_LOAD_COMPUTE;
    case VTA_CORE_STORE:
        return next ? VTA_QUEUE_COUNT : VTA_QUEUE_COMPUTE_STORE;
    }
    return VTA_QUEUE_COUNT;
}

enum vta_queue vta_push_queue(enum vta_core_unit unit, bool next)
{
    switch (unit) {
    case VTA_CORE_LOAD:
        return next ? VTA_QUEUE_LOAD_COMPUTE : VTA_QUEUE_COUNT;
    case VTA_CORE_COMPUTE:
        return next ? VTA_QUEUE_COMPUTE_STORE : VTA_QUEUE_COMPUTE_LOAD;
    case VTA_CORE_STORE:
        return next ? VTA_QUEUE_COUNT : VTA_QUEUE_STORE_COMPUTE;
    }
    return VTA_QUEUE_COUNT;
}

/* The unit that feeds a queue. */
static enum vta_core_unit producer_of(enum vta_queue queue)
{
    switch (queue) {
    case VTA_QUEUE_LOAD_COMPUTE:
        return VTA_CORE_LOAD;
    case VTA_QUEUE_STORE_COMPUTE:
        return VTA_CORE_STORE;
    default:
        return VTA_CORE_COMPUTE;
    }
}

struct walk {
    const struct vta_program *program;
    uint32_t head[VTA_CORE_UNITS];       /* each unit's next instruction; count: it has finished */
    int64_t last[VTA_CORE_UNITS];        /* its last one that ran, or -1 */
    uint64_t queue[VTA_QUEUE_COUNT + 1]; /* tokens now; the extra one is "no queue" */
};

static void queues_from_tokens(uint64_t *queues, const struct vta_tokens *tokens)
{
    for (int queue = 0; queue < VTA_QUEUE_COUNT; queue++)
        queues[queue] = vta_tokens_in(tokens, (enum vta_queue)queue);
}

/* The first instruction of a unit at or after `index`. */
static uint32_t next_of(const struct vta_program *program, enum vta_core_unit unit, uint32_t index)
{
    while (index < program->count && vta_insn_unit(&program->insns[index]) != unit)
        index++;
    return index;
}

/* The queue that keeps an instruction from starting, or VTA_QUEUE_COUNT. */
static enum vta_queue blocked_on(const struct walk *walk, enum vta_core_unit unit,
                                 const struct vta_insn *insn)
{
    enum vta_queue prev = vta_pop_queue(unit, false), next = vta_pop_queue(unit, true);
    if (insn->pop_prev && prev != VTA_QUEUE_COUNT && walk->queue[prev] == 0)
        return prev;
    if (insn->pop_next && next != VTA_QUEUE_COUNT && walk->queue[next] == 0)
        return next;
    return VTA_QUEUE_COUNT;
}

static void pass(struct walk *walk, enum vta_core_unit unit)
{
    const struct vta_insn *insn = &walk->program->insns[walk->head[unit]];
    enum vta_queue pop_prev = vta_pop_queue(unit, false), pop_next = vta_pop_queue(unit, true);
    if (insn->pop_prev && pop_prev != VTA_QUEUE_COUNT)
        walk->queue[pop_prev]--;
    if (insn->pop_next && pop_next != VTA_QUEUE_COUNT)
        walk->queue[pop_next]--;
    walk->queue[vta_push_queue(unit, false)] += insn->push_prev;
    walk->queue[vta_push_queue(unit, true)] += insn->push_next;
    walk->last[unit] = walk->head[unit];
    walk->head[unit] = next_of(walk->program, unit, walk->head[unit] + 1);
}

/* The unit whose next instruction is the first in the program among those that may start, or
 * VTA_CORE_UNITS. */
static int choose(const struct walk *walk)
{
    int best = VTA_CORE_UNITS;
    for (int unit = 0; unit < VTA_CORE_UNITS; unit++) {
        uint32_t head = walk->head[unit];
        if (head == walk->program->count || (best != VTA_CORE_UNITS && head > walk->head[best]))
            continue;
        if (blocked_on(walk, (enum vta_core_unit)unit, &walk->program->insns[head]) ==
            VTA_QUEUE_COUNT)
            best = unit;
    }
    return best;
}

/* How often the program pushes and pops a queue in all, what it starts with included. */
static void count_queue(const struct vta_program *program, const struct vta_tokens *before,
                        enum vta_queue queue, uint64_t *pushed, uint64_t *popped)
{
    uint64_t start[VTA_QUEUE_COUNT];
    queues_from_tokens(start, before);
    *pushed = start[queue];
    *popped = 0;
    for (uint32_t i = 0; i < program->count; i++) {
        const struct vta_insn *insn = &program->insns[i];
        enum vta_core_unit unit = vta_insn_unit(insn);
        *pushed += (insn->push_prev && vta_push_queue(unit, false) == queue) +
                   (insn->push_next && vta_push_queue(unit, true) == queue);
        *popped += (insn->pop_prev && vta_pop_queue(unit, false) == queue) +
                   (insn->pop_next && vta_pop_queue(unit, true) == queue);
    }
}

/* One waiting unit of a deadlock, as two lines of the message. Returns the length. */
static int describe_wait(const struct walk *walk, const struct vta_tokens *before, int unit,
                         char *text, size_t size)
{
    uint32_t head = walk->head[unit];
    const struct vta_insn *insn = &walk->program->insns[head];
    enum vta_queue queue = blocked_on(walk, (enum vta_core_unit)unit, insn);
    enum vta_core_unit from = producer_of(queue);
    const char *name = vta_core_unit_name(from);
    char disasm[VTA_DISASM_TEXT], reason[64];
    uint64_t pushed, popped;

    vta_insn_print(insn, disasm, sizeof(disasm));
    if (walk->head[from] != walk->program->count)
        snprintf(reason, sizeof(reason), "%s waits at insn %u", name, walk->head[from]);
    else if (walk->last[from] < 0)
        snprintf(reason, sizeof(reason), "%s has no instructions", name);
    else
        snprintf(reason, sizeof(reason), "%s has finished at insn %lld", name,
                 (long long)walk->last[from]);
    count_queue(walk->program, before, queue, &pushed, &popped);
    return snprintf(text, size,
                    "\n  insn %u  %s   waits for a token from %s; %s"
                    "\n  %s: %llu pushed, %llu popped",
                    head, disasm, name, reason, vta_queue_name(queue), (unsigned long long)pushed,
                    (unsigned long long)popped);
}

static int deadlock(const struct walk *walk, const struct vta_tokens *before,
                    struct vta_error *error)
{
    char text[VTA_ERROR_TEXT];
    size_t used = 0;
    uint32_t first = walk->program->count;

    text[0] = '\0';
    for (int unit = 0; unit < VTA_CORE_UNITS; unit++) {
        if (walk->head[unit] == walk->program->count)
            continue;
        if (walk->head[unit] < first)
            first = walk->head[unit];
        int n = describe_wait(walk, before, unit, text + used, sizeof(text) - used);
        if (n > 0)
            used += (size_t)n < sizeof(text) - used ? (size_t)n : sizeof(text) - used - 1;
    }
    vta_error_set(error, VTA_EDEADLOCK, "refused: deadlock%s", text);
    if (error != NULL)
        error->insn = first;
    return VTA_EDEADLOCK;
}

int vta_tokens_walk(const struct vta_program *program, const struct vta_tokens *before,
                    uint32_t *order, struct vta_tokens *after, struct vta_error *error)
{
    struct walk walk = { .program = program, .last = { -1, -1, -1 } };

    queues_from_tokens(walk.queue, before);
    for (int unit = 0; unit < VTA_CORE_UNITS; unit++)
        walk.head[unit] = next_of(program, (enum vta_core_unit)unit, 0);
    for (uint32_t done = 0; done < program->count; done++) {
        int unit = choose(&walk);
        if (unit == VTA_CORE_UNITS)
            return deadlock(&walk, before, error);
        order[done] = walk.head[unit];
        pass(&walk, (enum vta_core_unit)unit);
    }
    *after = (struct vta_tokens){
        .load_to_compute = (uint32_t)walk.queue[VTA_QUEUE_LOAD_COMPUTE],
        .compute_to_load = (uint32_t)walk.queue[VTA_QUEUE_COMPUTE_LOAD],
        .compute_to_store = (uint32_t)walk.queue[VTA_QUEUE_COMPUTE_STORE],
        .store_to_compute = (uint32_t)walk.queue[VTA_QUEUE_STORE_COMPUTE],
    };
    return 0;
}

int vta_tokens_check_finish(const struct vta_program *program, const struct vta_tokens *before,
                            struct vta_error *error)
{
    /* Stores run in order, so the last one that moves data stands for all. Its completion is told
     * to compute by the first push at or after it, the `needed`-th of store→compute; compute has
     * taken that token when it starts FINISH if it pops at least as many. */
    uint64_t pushed = before->store_to_compute, needed = 0, popped = 0;
    int64_t last_store = -1;

    for (uint32_t i = 0; i < program->count; i++) {
        const struct vta_insn *insn = &program->insns[i];
        switch (vta_insn_unit(insn)) {
        case VTA_CORE_STORE:
            if (!vta_insn_is_nop(insn) && insn->mem.y_size != 0) {
                last_store = i;
                needed = 0;
            }
            pushed += insn->push_prev;
            if (needed == 0 && insn->push_prev)
                needed = pushed;
            break;
        case VTA_CORE_COMPUTE:
            popped += insn->pop_next;
            break;
        case VTA_CORE_LOAD:
            break;
        }
    }
    if (last_store < 0 || (needed != 0 && popped >= needed))
        return 0;
    return vta_program_error(program, (uint32_t)last_store, VTA_EFINISH, error,
                             "is not ordered before FINISH: store→compute is popped %llu times, "
                             "and %s",
                             (unsigned long long)popped,
                             needed == 0 ? "this store pushes nothing there"
                                         : "the token of this store comes later");
}
