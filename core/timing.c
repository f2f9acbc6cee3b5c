/* timing.c: replays a program over the three units in time (timing.h).
 *
 * Time goes from event to event: an instruction is dealt, gets its tokens, ends, or finds room for
 * the tokens it pushes. Between events each running instruction goes on at its own pace
 * (timing_cost.c); where the running ones together want more than the memory port carries, those
 * that use it slow down alike.
 */
#include "timing.h"

#include "timing_cost.h"
#include "timing_path.h"
#include "timing_profile.h"

#include <math.h>
#include <stdlib.h>

#define ONE   (UINT64_C(1) << 16) /* fixed point: a cycle of work, or the whole port */
#define NEVER UINT64_MAX

#define STEPS_PER_EVENT 8 /* as control.h counts them */

struct unit {
    enum phase {
        TAKE,     /* waits for its next instruction to be dealt */
        POP_PREV, /* has it, waits for its tokens: for one, then for the other */
        POP_NEXT,
        RUN,
        PUSH_PREV, /* has executed it, waits for room in the queues that it pushes to */
        PUSH_NEXT,
        DONE
    } phase;
    const uint32_t *insns;        /* its instructions, by index */
    uint32_t count, dealt, taken; /* of them */
    uint32_t insn;                /* the one at hand */
    uint64_t left;                /* work that is left of it, in 1/ONE cycles */
    uint64_t share;               /* of the port that it wants, in 1/ONE */
    enum vta_queue blocked;       /* the queue it waited for last */
};

struct queue {
    uint64_t before, pushed, popped; /* tokens: at first, and since */
    uint32_t *pushers;               /* the instruction that pushed each */
};

struct replay {
    const struct vta_program *program;
    const struct vta_timing_observer *observer;
    struct vta_timing *timing;
    struct vta_cost *costs;      /* owned, as the next three */
    struct vta_moments *moments; /* per instruction */
    uint32_t *lists;             /* what the units' insns and the queues' pushers point into */
    struct unit units[VTA_CORE_UNITS];
    struct queue queues[VTA_QUEUE_COUNT];
    uint64_t now;
    uint64_t slowdown; /* of what uses the port, in 1/ONE */

    uint32_t fetched;      /* instructions dealt */
    uint64_t fetch_ready;  /* when the next one can be dealt */
    uint64_t fetch_cycles; /* per instruction */
    bool fetch_stalled;    /* on a full command queue */
};

const char *vta_timing_wait_name(enum vta_timing_wait wait)
{
    switch (wait) {
    case VTA_WAIT_DEAL:
        return "fetch";
    case VTA_WAIT_SPACE:
        return "queue space";
    case VTA_WAIT_MEMORY:
        return "memory port";
    default:
        return vta_queue_name((enum vta_queue)wait);
    }
}

/* ---- Setting up ---------------------------------------------------------------------------- */

/* Gives each unit the list of its instructions, and each queue room for its pushers. */
static void split(struct replay *replay)
{
    const struct vta_program *program = replay->program;
    uint32_t counts[VTA_CORE_UNITS] = { 0 }, at[VTA_CORE_UNITS] = { 0 };
    uint32_t *list = replay->lists;
    for (uint32_t i = 0; i < program->count; i++)
        counts[vta_insn_unit(&program->insns[i])]++;
    for (int u = 1; u < VTA_CORE_UNITS; u++)
        at[u] = at[u - 1] + counts[u - 1];
    for (int u = 0; u < VTA_CORE_UNITS; u++) {
        replay->units[u] = (struct unit){ .insns = list + at[u], .count = counts[u] };
        replay->units[u].phase = counts[u] == 0 ? DONE : TAKE;
    }
    for (uint32_t i = 0; i < program->count; i++)
        list[at[vta_insn_unit(&program->insns[i])]++] = i;
    for (int q = 0; q < VTA_QUEUE_COUNT; q++) {
        replay->queues[q].pushers = list + (size_t)program->count * (size_t)(q + 1);
        replay->queues[q].before = vta_tokens_in(&program->before, (enum vta_queue)q);
    }
}

static int replay_open(struct replay *replay, const struct vta_timing_profile *profile,
                       struct vta_control *control, struct vta_error *error)
{
    const size_t count = replay->program->count;
    replay->costs = malloc((count + 1) * sizeof(*replay->costs));
    replay->moments = calloc(count + 1, sizeof(*replay->moments));
    replay->lists = malloc((count + 1) * (VTA_QUEUE_COUNT + 1) * sizeof(*replay->lists));
    if (replay->costs == NULL || replay->moments == NULL || replay->lists == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a program's timing");
    split(replay);
    replay->slowdown = ONE;
    replay->fetch_cycles = (uint64_t)ceil(VTA_INSN_BYTES / profile->port_bytes_per_cycle);
    replay->fetch_ready = (uint64_t)profile->dma_row_cycles + replay->fetch_cycles;
    return vta_costs(replay->costs, replay->program, profile, control, error);
}

static void replay_close(struct replay *replay)
{
    free(replay->costs);
    free(replay->moments);
    free(replay->lists);
}

/* ---- Fetch --------------------------------------------------------------------------------- */

/* Deals what can be dealt up to now. Command queues change at events only, so what was possible
 * between two of them is decided at the second. */
static void deal(struct replay *replay)
{
    const struct vta_program *program = replay->program;
    while (replay->fetched < program->count && replay->fetch_ready <= replay->now) {
        uint32_t index = replay->fetched;
        struct unit *unit = &replay->units[vta_insn_unit(&program->insns[index])];
        struct vta_moments *moments = &replay->moments[index];
        if (unit->dealt - unit->taken == VTA_BOARD_COMMANDS) {
            replay->fetch_stalled = true;
            return;
        }
        moments->dealt = replay->fetch_stalled ? replay->now : replay->fetch_ready;
        moments->made_room = replay->fetch_stalled ? unit->insns[unit->taken - 1] : VTA_TIMING_NONE;
        replay->fetch_stalled = false;
        replay->fetch_ready = moments->dealt + replay->fetch_cycles;
        replay->fetched++;
        unit->dealt++;
    }
}

/* ---- Units --------------------------------------------------------------------------------- */

static uint64_t tokens_in(const struct queue *queue)
{
    return queue->before + queue->pushed - queue->popped;
}

/* Takes a token, if one is wanted; who pushed it goes to *pusher. False where there is none. */
static bool take_token(struct replay *replay, struct unit *unit, bool wanted, enum vta_queue id,
                       uint32_t *pusher)
{
    *pusher = VTA_TIMING_NONE;
    if (!wanted || id == VTA_QUEUE_COUNT)
        return true;
    struct queue *queue = &replay->queues[id];
    if (tokens_in(queue) == 0) {
        unit->blocked = id;
        return false;
    }
    const uint64_t k = queue->popped++;
    *pusher = k < queue->before ? VTA_TIMING_BEFORE : queue->pushers[k - queue->before];
    return true;
}

/* Puts a token, if one is wanted. False where there is no room. */
static bool put_token(struct replay *replay, uint32_t insn, bool wanted, enum vta_queue id)
{
    if (!wanted || id == VTA_QUEUE_COUNT)
        return true;
    struct queue *queue = &replay->queues[id];
    if (tokens_in(queue) >= VTA_BOARD_TOKENS)
        return false;
    queue->pushers[queue->pushed++] = insn;
    return true;
}

static bool take(struct replay *replay, struct unit *unit)
{
    if (unit->dealt == unit->taken)
        return false;
    unit->insn = unit->insns[unit->taken++];
    unit->blocked = VTA_QUEUE_COUNT;
    unit->phase = POP_PREV;
    replay->moments[unit->insn].head = replay->now;
    return true;
}

/* A token is taken as soon as it is there: a unit that waits for its second one has made room in
 * the queue of its first. */
static bool pop_prev(struct replay *replay, struct unit *unit, enum vta_core_unit id)
{
    const struct vta_insn *insn = &replay->program->insns[unit->insn];
    if (!take_token(replay, unit, insn->pop_prev, vta_pop_queue(id, false),
                    &replay->moments[unit->insn].popped_prev))
        return false;
    replay->moments[unit->insn].took = replay->now;
    unit->phase = POP_NEXT;
    return true;
}

/* The last token starts the instruction. */
static bool pop_next(struct replay *replay, struct unit *unit, enum vta_core_unit id)
{
    struct vta_moments *moments = &replay->moments[unit->insn];
    const struct vta_cost *cost = &replay->costs[unit->insn];
    const struct vta_insn *insn = &replay->program->insns[unit->insn];
    if (!take_token(replay, unit, insn->pop_next, vta_pop_queue(id, true), &moments->popped_next))
        return false;
    moments->waited_for = unit->blocked;
    moments->start = replay->now;
    unit->phase = RUN;
    unit->left = cost->cycles * ONE;
    unit->share = cost->port == 0 ? 0 : cost->port * ONE / cost->cycles;
    return true;
}

static bool finish(struct replay *replay, struct unit *unit)
{
    if (unit->left != 0)
        return false;
    replay->moments[unit->insn].end = replay->now;
    unit->phase = PUSH_PREV;
    return true;
}

static void observe(const struct replay *replay, uint32_t insn, enum vta_core_unit id)
{
    const struct vta_moments *moments = &replay->moments[insn];
    const struct vta_cost *cost = &replay->costs[insn];
    struct vta_timing_event event = {
        .insn = insn,
        .unit = id,
        .dealt = moments->dealt,
        .head = moments->head,
        .took = moments->took,
        .start = moments->start,
        .end = moments->end,
        .gave = moments->gave,
        .left = moments->left,
        .popped_prev = moments->popped_prev,
        .popped_next = moments->popped_next,
        .waited_for = moments->start == moments->head ? VTA_QUEUE_COUNT : moments->waited_for,
        .port_begin = moments->start,
        .port_end = cost->bytes == 0 ? moments->start : moments->end,
        .port_busy = cost->port,
        .port_wait = moments->end - moments->start - cost->cycles,
        .bytes = cost->bytes,
        .rows = cost->rows,
    };
    replay->observer->insn(replay->observer->context, &event);
}

static bool push_prev(struct replay *replay, struct unit *unit, enum vta_core_unit id)
{
    const struct vta_insn *insn = &replay->program->insns[unit->insn];
    if (!put_token(replay, unit->insn, insn->push_prev, vta_push_queue(id, false)))
        return false;
    replay->moments[unit->insn].gave = replay->now;
    unit->phase = PUSH_NEXT;
    return true;
}

/* The last token that is put away frees the unit. */
static bool push_next(struct replay *replay, struct unit *unit, enum vta_core_unit id)
{
    const struct vta_insn *insn = &replay->program->insns[unit->insn];
    if (!put_token(replay, unit->insn, insn->push_next, vta_push_queue(id, true)))
        return false;
    replay->moments[unit->insn].left = replay->now;
    unit->phase = unit->taken == unit->count ? DONE : TAKE;
    if (replay->observer != NULL)
        observe(replay, unit->insn, id);
    return true;
}

/* One step of a unit that takes no time, if there is one. */
static bool step(struct replay *replay, enum vta_core_unit id)
{
    struct unit *unit = &replay->units[id];
    switch (unit->phase) {
    case TAKE:
        return take(replay, unit);
    case POP_PREV:
        return pop_prev(replay, unit, id);
    case POP_NEXT:
        return pop_next(replay, unit, id);
    case RUN:
        return finish(replay, unit);
    case PUSH_PREV:
        return push_prev(replay, unit, id);
    case PUSH_NEXT:
        return push_next(replay, unit, id);
    case DONE:
        return false;
    }
    return false;
}

/* ---- Time ---------------------------------------------------------------------------------- */

/* Everything that happens at this moment. */
static void settle(struct replay *replay)
{
    bool moved = true;
    while (moved) {
        moved = false;
        deal(replay);
        for (int id = 0; id < VTA_CORE_UNITS; id++)
            while (step(replay, (enum vta_core_unit)id))
                moved = true;
    }
    uint64_t wanted = 0;
    for (int id = 0; id < VTA_CORE_UNITS; id++)
        if (replay->units[id].phase == RUN)
            wanted += replay->units[id].share;
    replay->slowdown = wanted > ONE ? wanted : ONE;
}

static uint64_t pace(const struct replay *replay, const struct unit *unit)
{
    return unit->share == 0 ? ONE : replay->slowdown;
}

/* Cycles until a running instruction ends, if nothing changes. */
static uint64_t until_end(const struct replay *replay, const struct unit *unit)
{
    unsigned __int128 cycles = (unsigned __int128)unit->left * pace(replay, unit);
    return (uint64_t)((cycles + ONE * ONE - 1) / (ONE * ONE));
}

/* Cycles until the next event, or NEVER. */
static uint64_t until_event(const struct replay *replay)
{
    uint64_t next = NEVER;
    for (int id = 0; id < VTA_CORE_UNITS; id++) {
        const struct unit *unit = &replay->units[id];
        uint64_t cycles = NEVER;
        if (unit->phase == RUN)
            cycles = until_end(replay, unit);
        else if (unit->phase == TAKE && !replay->fetch_stalled)
            cycles = replay->fetch_ready - replay->now;
        if (cycles < next)
            next = cycles;
    }
    return next;
}

/* What a unit that does not run waits for. */
static enum vta_timing_wait cause(const struct unit *unit)
{
    switch (unit->phase) {
    case POP_PREV:
    case POP_NEXT:
        return (enum vta_timing_wait)unit->blocked;
    case PUSH_PREV:
    case PUSH_NEXT:
        return VTA_WAIT_SPACE;
    case TAKE:
    case RUN:
    case DONE:
        break;
    }
    return VTA_WAIT_DEAL;
}

static void advance(struct replay *replay, uint64_t cycles)
{
    for (int id = 0; id < VTA_CORE_UNITS; id++) {
        struct unit *unit = &replay->units[id];
        struct vta_timing_unit *sums = &replay->timing->units[id];
        if (unit->phase == RUN) {
            uint64_t work = (uint64_t)((unsigned __int128)cycles * ONE * ONE / pace(replay, unit));
            unit->left -= work < unit->left ? work : unit->left;
            sums->busy += cycles;
        } else if (unit->phase == DONE) {
            sums->idle += cycles;
        } else {
            sums->waits[cause(unit)] += cycles;
        }
    }
    replay->now += cycles;
}

static bool all_done(const struct replay *replay)
{
    return replay->units[VTA_CORE_LOAD].phase == DONE &&
           replay->units[VTA_CORE_COMPUTE].phase == DONE &&
           replay->units[VTA_CORE_STORE].phase == DONE;
}

static int run(struct replay *replay, struct vta_control *control, struct vta_error *error)
{
    for (settle(replay); !all_done(replay); settle(replay)) {
        uint64_t cycles = until_event(replay);
        if (cycles == NEVER)
            return vta_error_limit(error, VTA_EDEADLOCK, VTA_BOARD_TOKENS, VTA_BOARD_TOKENS + 1,
                                   "the board would hang: its token queues hold %d tokens and its "
                                   "command queues %d instructions, and the program needs more",
                                   VTA_BOARD_TOKENS, VTA_BOARD_COMMANDS);
        int rc = vta_control_step(control, STEPS_PER_EVENT);
        if (rc != 0)
            return vta_control_error(control, rc, error, "prediction of its time");
        advance(replay, cycles);
    }
    return 0;
}

/* ---- Sums ---------------------------------------------------------------------------------- */

static void sum_insns(struct replay *replay)
{
    struct vta_timing *timing = replay->timing;
    for (uint32_t i = 0; i < replay->program->count; i++) {
        const struct vta_insn *insn = &replay->program->insns[i];
        const struct vta_cost *cost = &replay->costs[i];
        const struct vta_moments *moments = &replay->moments[i];
        struct vta_timing_unit *unit = &timing->units[vta_insn_unit(insn)];
        uint64_t waited = moments->end - moments->start - cost->cycles;
        unit->insns++;
        unit->busy -= waited;
        unit->waits[VTA_WAIT_MEMORY] += waited;
        timing->port_bytes += cost->bytes + VTA_INSN_BYTES;
        timing->port_busy += cost->port + replay->fetch_cycles;
        timing->rows += cost->rows;
    }
}

static void sum_up(struct replay *replay, const struct vta_timing_profile *profile)
{
    struct vta_timing *timing = replay->timing;
    const struct vta_hw *hw = &replay->program->hw;
    timing->cycles = replay->now;
    timing->device_ns = (uint64_t)((double)replay->now * 1000 / profile->clock_mhz + 0.5);
    timing->host_ns = (uint64_t)(profile->host_call_us * 1000 +
                                 replay->program->count * profile->host_insn_ns + 0.5);
    timing->total_ns = timing->device_ns + timing->host_ns;
    sum_insns(replay);
    timing->gemm_ops = replay->program->counters.gemm_counter;
    timing->alu_ops = replay->program->counters.alu_counter;
    timing->peak_macs_per_cycle = (uint64_t)hw->batch * hw->block * hw->block;
    timing->macs = timing->gemm_ops * timing->peak_macs_per_cycle;
    vta_timing_path(timing->path, replay->program, replay->moments);
}

int vta_timing_replay(struct vta_timing *timing, const struct vta_program *program,
                      const struct vta_timing_profile *profile,
                      const struct vta_timing_observer *observer, struct vta_control *control,
                      struct vta_error *error)
{
    struct replay replay = { .program = program, .observer = observer, .timing = timing };
    if (!program->verified)
        return vta_error_set(error, VTA_ESTATE, "'%s' has not been verified", program->name);
    *timing = (struct vta_timing){ .cycles = 0 };
    int rc = replay_open(&replay, profile, control, error);
    if (rc == 0)
        rc = run(&replay, control, error);
    if (rc == 0)
        sum_up(&replay, profile);
    replay_close(&replay);
    return rc;
}
