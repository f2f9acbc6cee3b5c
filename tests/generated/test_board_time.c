/* test_board_time.c: what must hold of the timing of any program: random valid programs on random
 * boards.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hazard.h"
#include "core/timing.h"
#include "core/timing_profile.h"
#include "core/verify.h"

#include "random_program.h"

/* One program, and what an observer saw of it. */
struct subject {
    struct vta_program *program;
    uint8_t *dram;
    struct vta_timing_event *events; /* by instruction */
    uint32_t *order;                 /* instructions in the order of their events */
    uint32_t seen;
};

static const void *read_dram(void *context, uint64_t address, uint64_t nbytes)
{
    return address >= RANDOM_DRAM_BEGIN && address + nbytes <= RANDOM_DRAM_BYTES
               ? (const uint8_t *)context + address
               : NULL;
}

static void subject_make(struct subject *subject, struct rng *rng)
{
    struct vta_error error = { 0 };
    struct vta_hw hw;
    uint32_t count;
    const struct vta_tokens before = { .load_to_compute = rng_between(rng, 0, 2),
                                       .compute_to_load = rng_between(rng, 0, 2),
                                       .compute_to_store = rng_between(rng, 0, 2),
                                       .store_to_compute = rng_between(rng, 0, 2) };
    random_hw(rng, &hw);
    subject->dram = calloc(1, RANDOM_DRAM_BYTES);
    random_dram(rng, &hw, subject->dram);
    uint8_t *bytes = random_stream(rng, &hw, subject->dram, before, &count);
    const struct vta_verify_options options = { .before = before,
                                                .reader = read_dram,
                                                .context = subject->dram };
    cr_assert_eq(vta_program_from_stream(&subject->program, &hw, bytes, count, read_dram,
                                         subject->dram, &error),
                 0, "%s", error.message);
    cr_assert_eq(vta_verify(subject->program, &options, &error), 0, "%s", error.message);
    subject->events = calloc(count, sizeof(*subject->events));
    subject->order = calloc(count, sizeof(*subject->order));
    subject->seen = 0;
    free(bytes);
}

static void subject_clear(struct subject *subject)
{
    vta_program_free(subject->program);
    free(subject->dram);
    free(subject->events);
    free(subject->order);
}

static double between(struct rng *rng, double low, double high)
{
    return low + (high - low) * rng_between(rng, 0, 1000) / 1000;
}

static struct vta_timing_profile random_profile(struct rng *rng)
{
    return (struct vta_timing_profile){
        .clock_mhz = between(rng, 50, 400),
        .port_bytes_per_cycle = between(rng, 1, 32),
        .dram_bytes_per_cycle = between(rng, 1, 16),
        .cache_kib = rng_between(rng, 0, 64),
        .dma_row_cycles = rng_between(rng, 0, 100),
        .insn_cycles = rng_between(rng, 0, 100),
        .gemm_loop_cycles = between(rng, 0, 20),
        .alu_cycles = between(rng, 0, 30),
        .host_call_us = between(rng, 0, 100),
        .host_insn_ns = between(rng, 0, 500),
    };
}

static void note(void *context, const struct vta_timing_event *event)
{
    struct subject *subject = context;
    cr_assert(subject->seen < subject->program->count);
    subject->events[event->insn] = *event;
    subject->order[subject->seen++] = event->insn;
}

static struct vta_timing replay(struct subject *subject, const struct vta_timing_profile *profile)
{
    const struct vta_timing_observer observer = { note, subject };
    struct vta_error error = { 0 };
    struct vta_timing timing;
    subject->seen = 0;
    cr_assert_eq(vta_timing_replay(&timing, subject->program, profile, &observer, NULL, &error), 0,
                 "%s", error.message);
    return timing;
}

/* What units lost at the port. */
static uint64_t port_waits(const struct vta_timing *timing)
{
    uint64_t sum = 0;
    for (int u = 0; u < VTA_CORE_UNITS; u++)
        sum += timing->units[u].waits[VTA_WAIT_MEMORY];
    return sum;
}

Test(board_time, adds_up)
{
    struct rng rng = rng_seeded("board_time adds_up");
    for (uint32_t run = rng_runs(200); run > 0; run--) {
        struct subject subject;
        subject_make(&subject, &rng);
        struct vta_timing_profile profile = random_profile(&rng);
        struct vta_timing timing = replay(&subject, &profile);
        uint64_t insns = 0, path = 0;
        for (int u = 0; u < VTA_CORE_UNITS; u++) {
            const struct vta_timing_unit *unit = &timing.units[u];
            uint64_t sum = unit->busy + unit->idle;
            for (int i = 0; i < VTA_WAIT_COUNT; i++)
                sum += unit->waits[i];
            cr_assert_eq(sum, timing.cycles);
            cr_assert(unit->busy <= timing.cycles);
            insns += unit->insns;
        }
        for (int i = 0; i < VTA_PART_COUNT; i++)
            path += timing.path[i];
        cr_assert_eq(path, timing.cycles);
        cr_assert_eq(insns, subject.program->count);
        cr_assert_eq(timing.total_ns, timing.host_ns + timing.device_ns);
        subject_clear(&subject);
    }
}

Test(board_time, is_never_longer_than_one_thing_after_another)
{
    struct rng rng = rng_seeded("board_time is_never_longer");
    for (uint32_t run = rng_runs(200); run > 0; run--) {
        struct subject subject;
        subject_make(&subject, &rng);
        struct vta_timing_profile profile = random_profile(&rng);
        struct vta_timing timing = replay(&subject, &profile);
        uint64_t count = subject.program->count;
        uint64_t fetch = (uint64_t)(VTA_INSN_BYTES / profile.port_bytes_per_cycle + 1) * count;
        uint64_t serial = (uint64_t)profile.dma_row_cycles + fetch;
        for (int u = 0; u < VTA_CORE_UNITS; u++)
            serial += timing.units[u].busy;
        /* Ends are rounded up to whole cycles, each at most once per event around it. */
        cr_assert(timing.cycles <= serial + 3 * count, "%llu cycles, %llu in series",
                  (unsigned long long)timing.cycles, (unsigned long long)serial);
        subject_clear(&subject);
    }
}

/* The instruction whose push an event's pop took. */
static void check_pop(const struct subject *subject, const struct vta_timing_event *event,
                      uint32_t pusher, bool popped)
{
    cr_assert_eq(pusher != VTA_TIMING_NONE, popped);
    if (popped && pusher != VTA_TIMING_BEFORE)
        cr_assert(subject->events[pusher].end <= event->start);
}

Test(board_time, tells_an_observer_of_each_instruction_once_in_an_order_that_can_be)
{
    struct rng rng = rng_seeded("board_time tells_an_observer");
    for (uint32_t run = rng_runs(200); run > 0; run--) {
        struct subject subject;
        uint64_t left[VTA_CORE_UNITS] = { 0 };
        int64_t last[VTA_CORE_UNITS] = { -1, -1, -1 };
        subject_make(&subject, &rng);
        struct vta_timing_profile profile = random_profile(&rng);
        struct vta_timing timing = replay(&subject, &profile);
        cr_assert_eq(subject.seen, subject.program->count);
        for (uint32_t k = 0; k < subject.seen; k++) {
            uint32_t i = subject.order[k];
            const struct vta_timing_event *event = &subject.events[i];
            const struct vta_insn *insn = &subject.program->insns[i];
            enum vta_core_unit unit = vta_insn_unit(insn);
            cr_assert_eq(event->unit, unit);
            cr_assert(event->dealt <= event->head && event->head <= event->took);
            cr_assert(event->took <= event->start && event->start <= event->end);
            cr_assert(event->end <= event->gave && event->gave <= event->left);
            cr_assert(event->left <= timing.cycles);
            cr_assert((int64_t)i > last[unit] && event->head >= left[unit]);
            cr_assert(i == 0 || subject.events[i].dealt >= subject.events[i - 1].dealt);
            check_pop(&subject, event, event->popped_prev,
                      insn->pop_prev && vta_pop_queue(unit, false) != VTA_QUEUE_COUNT);
            check_pop(&subject, event, event->popped_next,
                      insn->pop_next && vta_pop_queue(unit, true) != VTA_QUEUE_COUNT);
            last[unit] = i;
            left[unit] = event->left;
        }
        subject_clear(&subject);
    }
}

Test(board_time, is_the_same_every_time)
{
    struct rng rng = rng_seeded("board_time is_the_same");
    for (uint32_t run = rng_runs(100); run > 0; run--) {
        struct subject subject;
        subject_make(&subject, &rng);
        struct vta_timing_profile profile = random_profile(&rng);
        struct vta_timing one = replay(&subject, &profile), other = replay(&subject, &profile);
        cr_assert_eq(memcmp(&one, &other, sizeof one), 0);
        struct vta_error error;
        cr_assert_eq(vta_timing_replay(&other, subject.program, &profile, NULL, NULL, &error), 0);
        cr_assert_eq(memcmp(&one, &other, sizeof one), 0, "an observer changed it");
        subject_clear(&subject);
    }
}

/* Makes one number of a board dearer; returns its name. */
static const char *dearer(struct rng *rng, struct vta_timing_profile *profile)
{
    switch (rng_between(rng, 0, 5)) {
    case 0:
        profile->dma_row_cycles += 1 + rng_between(rng, 0, 200);
        return "dma_row_cycles";
    case 1:
        profile->insn_cycles += 1 + rng_between(rng, 0, 200);
        return "insn_cycles";
    case 2:
        profile->gemm_loop_cycles += between(rng, 0.1, 50);
        return "gemm_loop_cycles";
    case 3:
        profile->alu_cycles += between(rng, 0.1, 50);
        return "alu_cycles";
    case 4:
        profile->dram_bytes_per_cycle /= between(rng, 1.1, 8);
        return "dram_bytes_per_cycle";
    default:
        profile->port_bytes_per_cycle /= between(rng, 1.1, 8);
        return "port_bytes_per_cycle";
    }
}

/* Without a shared port the model is one of sums and maxima, which grow with their terms. A share
 * of the port may be won by being late, but never more than was lost at it. */
Test(board_time, does_not_shrink_where_a_cost_grows)
{
    struct rng rng = rng_seeded("board_time does_not_shrink");
    for (uint32_t run = rng_runs(300); run > 0; run--) {
        struct subject subject;
        subject_make(&subject, &rng);
        struct vta_timing_profile profile = random_profile(&rng);
        struct vta_timing before = replay(&subject, &profile);
        const char *what = dearer(&rng, &profile);
        struct vta_timing after = replay(&subject, &profile);
        cr_assert(after.cycles + port_waits(&before) >= before.cycles,
                  "%s: %llu cycles (%llu lost at the port) became %llu", what,
                  (unsigned long long)before.cycles, (unsigned long long)port_waits(&before),
                  (unsigned long long)after.cycles);
        subject_clear(&subject);
    }
}

Test(board_time, takes_less_of_a_clock_and_not_of_cycles_where_the_clock_is_faster)
{
    struct rng rng = rng_seeded("board_time takes_less");
    for (uint32_t run = rng_runs(50); run > 0; run--) {
        struct subject subject;
        subject_make(&subject, &rng);
        struct vta_timing_profile profile = random_profile(&rng);
        struct vta_timing slow = replay(&subject, &profile);
        profile.clock_mhz *= 2;
        struct vta_timing fast = replay(&subject, &profile);
        cr_assert_eq(fast.cycles, slow.cycles);
        cr_assert_eq(fast.host_ns, slow.host_ns);
        cr_assert(fast.device_ns * 2 + 2 >= slow.device_ns &&
                  fast.device_ns * 2 <= slow.device_ns + 2);
        subject_clear(&subject);
    }
}

/* ---- A board's queues ---------------------------------------------------------------------- */

#define TOKEN_INSNS 1200u

struct token_stream {
    struct vta_layout layout;
    uint8_t bytes[TOKEN_INSNS * VTA_INSN_BYTES];
    uint32_t count;
};

/* Which of an instruction's four token bits are set. */
enum {
    POP_PREV = 1,
    POP_NEXT = 2,
    PUSH_PREV = 4,
    PUSH_NEXT = 8
};

static void put_nop(struct token_stream *stream, enum vta_core_unit unit, uint32_t bits)
{
    static const uint32_t memories[VTA_CORE_UNITS] = { VTA_MEM_INP, VTA_MEM_UOP, VTA_MEM_OUT };
    const struct vta_insn insn = { .opcode = unit == VTA_CORE_STORE ? VTA_OP_STORE : VTA_OP_LOAD,
                                   .pop_prev = (bits & POP_PREV) != 0,
                                   .pop_next = (bits & POP_NEXT) != 0,
                                   .push_prev = (bits & PUSH_PREV) != 0,
                                   .push_next = (bits & PUSH_NEXT) != 0,
                                   .mem = { .memory = memories[unit] } };
    vta_insn_encode(&insn, &stream->layout, stream->bytes + stream->count++ * VTA_INSN_BYTES, NULL);
}

/* No-ops of which one token or one instruction decides whether the board's queues hold them:
 * compute waits for tokens from both sides, one of which pushes into a nearly full queue and fills
 * its command queue, before the other's instructions are dealt; compute then drains the first's. */
static void put_tokens(struct token_stream *stream, struct rng *rng)
{
    const bool load_first = rng_one_in(rng, 2);
    const enum vta_core_unit many = load_first ? VTA_CORE_LOAD : VTA_CORE_STORE;
    const enum vta_core_unit few = load_first ? VTA_CORE_STORE : VTA_CORE_LOAD;
    const uint32_t repeated = rng_between(rng, 0, 15), drains = rng_between(rng, 1, 600);
    for (uint32_t i = rng_between(rng, 1, 3); i > 0; i--)
        put_nop(stream, VTA_CORE_COMPUTE, rng_between(rng, 0, 15));
    put_nop(stream, many, rng_between(rng, 0, 15));
    for (uint32_t i = VTA_BOARD_COMMANDS - 3 + rng_between(rng, 0, 6); i > 0; i--)
        put_nop(stream, many, repeated & (PUSH_PREV | PUSH_NEXT));
    for (uint32_t i = rng_between(rng, 1, 3); i > 0; i--)
        put_nop(stream, few, rng_between(rng, 0, 15));
    for (uint32_t i = 0; i < drains; i++)
        put_nop(stream, VTA_CORE_COMPUTE, load_first ? POP_PREV : POP_NEXT);
}

/* Of one token: none, few, or nearly as many as there is room for. */
static uint32_t random_count(struct rng *rng)
{
    return rng_one_in(rng, 2) ? rng_between(rng, 0, 1) : VTA_BOARD_TOKENS - rng_between(rng, 0, 3);
}

/* A program that ends on queues without bounds. */
static struct vta_program *random_tokens(struct rng *rng)
{
    static struct token_stream stream;
    const struct vta_insn finish = { .opcode = VTA_OP_FINISH };
    struct vta_error error = { 0 };
    struct vta_hw hw;
    vta_hw_default(&hw);
    vta_layout_make(&stream.layout, &hw, NULL);
    for (;;) {
        struct vta_program *program = NULL;
        const struct vta_verify_options options = { .before = {
                                                        .load_to_compute = random_count(rng),
                                                        .compute_to_load = random_count(rng),
                                                        .compute_to_store = random_count(rng),
                                                        .store_to_compute = random_count(rng) } };
        stream.count = 0;
        put_tokens(&stream, rng);
        vta_insn_encode(&finish, &stream.layout, stream.bytes + stream.count++ * VTA_INSN_BYTES,
                        NULL);
        cr_assert_eq(
            vta_program_from_stream(&program, &hw, stream.bytes, stream.count, NULL, NULL, &error),
            0, "%s", error.message);
        int rc = vta_verify(program, &options, &error);
        if (rc == 0)
            return program;
        cr_assert_eq(rc, VTA_EDEADLOCK, "%s", error.message);
        vta_program_free(program);
    }
}

Test(board_time, ends_exactly_where_no_queue_of_the_board_is_too_short)
{
    struct rng rng = rng_seeded("board_time ends_exactly");
    const struct vta_hazard_options strict = { .strict_board = true };
    const uint32_t runs = rng_runs(2000);
    uint32_t hung = 0;
    for (uint32_t run = 0; run < runs; run++) {
        struct vta_program *program = random_tokens(&rng);
        struct vta_timing_profile profile = random_profile(&rng);
        struct vta_hazards *hazards = NULL;
        struct vta_error error = { 0 };
        struct vta_timing timing;
        cr_assert_eq(vta_hazards_find(&hazards, program, &strict, &error), 0, "%s", error.message);
        const bool hangs = hazards->found[VTA_HAZARD_QUEUE] != 0;
        int rc = vta_timing_replay(&timing, program, &profile, NULL, NULL, &error);
        cr_assert_eq(rc, hangs ? VTA_EDEADLOCK : 0,
                     "core/hazard_board says that it %s, and timing %s", hangs ? "hangs" : "ends",
                     rc == 0 ? "that it ends" : error.message);
        uint64_t path = 0;
        for (int i = 0; rc == 0 && i < VTA_PART_COUNT; i++)
            path += timing.path[i];
        cr_assert(rc != 0 || path == timing.cycles, "the path explains %llu of %llu cycles",
                  (unsigned long long)path, (unsigned long long)timing.cycles);
        hung += hangs;
        vta_hazards_free(hazards);
        vta_program_free(program);
    }
    fprintf(stderr, "%u of %u programs would hang\n", hung, runs);
}
