/* test_timing.c: cycle counts of small programs, worked out by hand, and what a replay reports of
 * them. Properties of any program are tests/generated's.
 */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "core/timing_kept.h"

#include "kit.h"

static struct vta_error error;

/* Round numbers: fetch deals the first instruction at cycle 12, then one every 2. */
static const struct vta_timing_profile simple = {
    .name = "simple",
    .clock_mhz = 100,
    .port_bytes_per_cycle = 8,
    .dram_bytes_per_cycle = 4,
    .cache_kib = 512,
    .dma_row_cycles = 10,
    .insn_cycles = 5,
    .gemm_loop_cycles = 2,
    .alu_cycles = 3,
    .host_call_us = 1,
    .host_insn_ns = 100,
};

/* What an observer saw, by instruction. */
static struct vta_timing_event events[4096];
static uint32_t event_count;

static void note(void *context, const struct vta_timing_event *event)
{
    (void)context;
    events[event->insn] = *event;
    event_count++;
}

static const struct vta_timing_observer observer = { note, NULL };

static struct vta_program *verified(const struct kit *kit, struct vta_tokens before)
{
    struct vta_program *program = kit_program(kit);
    struct vta_verify_options options = { .before = before };
    cr_assert_eq(vta_verify(program, &options, &error), 0, "%s", error.message);
    return program;
}

static struct vta_timing replay(const struct kit *kit, const struct vta_timing_profile *profile)
{
    struct vta_timing timing;
    struct vta_program *program = verified(kit, (struct vta_tokens){ 0 });
    event_count = 0;
    cr_assert_eq(vta_timing_replay(&timing, program, profile, &observer, NULL, &error), 0, "%s",
                 error.message);
    vta_program_free(program);
    return timing;
}

/* How long instruction `index` of a kit runs. */
static uint64_t duration(const struct kit *kit, uint32_t index)
{
    replay(kit, &simple);
    return events[index].end - events[index].start;
}

Test(timing, adds_fetch_starts_rows_and_steps_of_one_unit)
{
    struct kit kit;
    kit_init(&kit);
    kit_uop(&kit, 0, 0, 0, 0); /* dealt 12; 5 + 10 + 1 cycle for 4 bytes: ends 28 */
    kit_alu(&kit, 3, 8);       /* 5 + 3: ends 36 */
    kit_finish(&kit);          /* a store's no-op, 16 to 21; FINISH, 36 to 41 */
    struct vta_timing timing = replay(&kit, &simple);
    cr_expect_eq(event_count, 4);
    cr_expect_eq(events[0].dealt, 12);
    cr_expect_eq(events[0].end, 28);
    cr_expect_eq(events[1].end, 36);
    cr_expect_eq(events[2].left, 21);
    cr_expect_eq(events[3].popped_next, 2);
    cr_assert_eq(timing.cycles, 41);
    cr_expect_eq(timing.device_ns, 410);
    cr_expect_eq(timing.host_ns, 1400);
    cr_expect_eq(timing.total_ns, 1810);

    const struct vta_timing_unit *compute = &timing.units[VTA_CORE_COMPUTE];
    cr_expect_eq(compute->insns, 3);
    cr_expect_eq(compute->busy, 29);
    cr_expect_eq(compute->waits[VTA_WAIT_DEAL], 12);
    cr_expect_eq(timing.units[VTA_CORE_LOAD].idle, 41);
    cr_expect_eq(timing.units[VTA_CORE_STORE].idle, 20);
    cr_expect_eq(timing.path[VTA_PART_FETCH], 12);
    cr_expect_eq(timing.path[VTA_PART_LOAD_COMPUTE], 16);
    cr_expect_eq(timing.path[VTA_PART_ALU], 8);
    cr_expect_eq(timing.path[VTA_PART_OTHER], 5);
}

Test(timing, makes_a_unit_wait_for_the_token_that_another_pushes_at_its_end)
{
    struct kit kit;
    kit_init(&kit);
    kit_uop(&kit, 0, 0, 0, 0);                        /* 12 to 28 */
    kit_move(&kit, KIT_INP, 0, 0, 64)->push_next = 1; /* 14; 5 + 10 + 1024/8: ends 157 */
    kit_gemm(&kit)->pop_prev = 1;                     /* waits from 28; 5 + 1·(1 + 2): ends 165 */
    kit_finish(&kit);                                 /* FINISH ends 170 */
    struct vta_timing timing = replay(&kit, &simple);
    cr_assert_eq(timing.cycles, 170);
    cr_expect_eq(events[2].head, 28);
    cr_expect_eq(events[2].start, 157);
    cr_expect_eq(events[2].popped_prev, 1);
    cr_expect_eq(events[2].popped_next, VTA_TIMING_NONE);
    cr_expect_eq(events[2].waited_for, VTA_QUEUE_LOAD_COMPUTE);
    cr_expect_eq(timing.units[VTA_CORE_COMPUTE].waits[VTA_WAIT_LOAD_COMPUTE], 129);
    cr_expect_eq(timing.path[VTA_PART_LOAD], 143);
    cr_expect_eq(timing.path[VTA_PART_FETCH], 14);
    cr_expect_eq(timing.macs, 256);
    cr_expect_eq(timing.port_bytes, 5 * 16 + 4 + 1024);

    char text[VTA_TIMING_PATH_TEXT];
    vta_timing_path_print(&timing, text, sizeof text);
    cr_expect_str_eq(text, "load-bound 84 %; 8 % waiting for fetch; 5 % waiting for compute; 3 % "
                           "synchronisation");
}

Test(timing, counts_padding_by_the_entry_and_loads_but_not_stores_by_the_row)
{
    struct kit kit;
    kit_init(&kit);
    struct vta_mem_insn *mem = &kit_move(&kit, KIT_INP, 0, 0, 4)->mem;
    mem->x_pad_before = mem->x_pad_after = mem->y_pad_before = 1;
    mem->y_pad_after = 2; /* 3 rows of 6, and 2 beside the one of data */
    mem = &kit_move(&kit, KIT_INP, 0, 100, 2)->mem;
    mem->y_size = 4;
    mem->x_stride = 8;
    mem = &kit_move(&kit, KIT_OUT, 0, 0, 2)->mem;
    mem->y_size = 4;
    mem->x_stride = 8;
    kit_finish(&kit);
    cr_expect_eq(duration(&kit, 0), 5 + 10 + 20 + 2 * 16 + 8);
    cr_expect_eq(duration(&kit, 1), 5 + 4 * 10 + 16);
    cr_expect_eq(duration(&kit, 2), 5 + 16);
}

Test(timing, enters_the_loop_of_a_gemm_once_per_iteration)
{
    struct kit kit;
    kit_init(&kit);
    kit_uop(&kit, 0, 0, 0, 0);
    struct vta_nest_insn *nest = &kit_gemm(&kit)->nest;
    nest->iter_out = 3;
    nest->iter_in = 4;
    nest = &kit_alu(&kit, 2, 1)->nest;
    nest->iter_in = 7;
    kit_finish(&kit);
    cr_expect_eq(duration(&kit, 1), 5 + 12 * (1 + 2));
    cr_expect_eq(duration(&kit, 2), 5 + 7 * 3);
}

Test(timing, shares_the_port_between_units_that_want_all_of_it)
{
    struct vta_timing_profile profile = simple;
    struct kit kit;
    profile.dma_row_cycles = profile.insn_cycles = 0;
    kit_init(&kit);
    kit_move(&kit, KIT_INP, 0, 0, 64); /* dealt 2; 128 cycles of port */
    kit_move(&kit, KIT_ACC, 0, 0, 64); /* dealt 4; 512 */
    kit_finish(&kit);
    struct vta_timing timing = replay(&kit, &profile);
    /* The first has 126 left when the second begins, and goes on at half its pace. */
    cr_expect_eq(events[0].end, 4 + 2 * 126);
    cr_expect_eq(events[0].port_wait, 126);
    cr_expect_eq(events[1].end, 2 + 128 + 512);
    cr_expect_eq(timing.cycles, 642);
    cr_expect_eq(timing.units[VTA_CORE_LOAD].busy, 128);
    cr_expect_eq(timing.units[VTA_CORE_LOAD].waits[VTA_WAIT_MEMORY], 126);
}

Test(timing, reads_at_the_pace_of_dram_what_the_cache_cannot_hold)
{
    struct vta_timing_profile profile = simple;
    struct kit kit;
    kit_init(&kit);
    kit_move(&kit, KIT_INP, 0, 0, 64); /* 1 KiB: two blocks */
    kit_finish(&kit);
    profile.cache_kib = 1;
    replay(&kit, &profile);
    cr_expect_eq(events[0].port_busy, 1024 / 8);
    profile.cache_kib = 0.5;
    replay(&kit, &profile);
    cr_expect_eq(events[0].port_busy, 1024 / 4);

    /* What was read a moment ago is still there; another parameter has addresses of its own. */
    kit_init(&kit);
    kit_move(&kit, KIT_INP, 0, 0, 32);
    kit_move(&kit, KIT_INP, 0, 0, 32);
    kit_move(&kit, KIT_WGT, 0, 0, 2);
    kit_move(&kit, KIT_WGT, 2, 0, 2);
    kit_move(&kit, KIT_INP, 0, 0, 32);
    kit_finish(&kit);
    profile.cache_kib = 1;
    replay(&kit, &profile);
    cr_expect_eq(events[0].port_busy, 512 / 4);
    cr_expect_eq(events[1].port_busy, 512 / 8);
    cr_expect_eq(events[2].port_busy, 512 / 4);
    cr_expect_eq(events[4].port_busy, 512 / 4, "replaced in the order of filling");
}

static uint64_t resident_kib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)usage.ru_maxrss;
}

/* Native parameters may be larger than any board's DRAM: here 2^40 bytes, of which every row is
 * 16 MiB from the one before. */
Test(timing, needs_no_more_memory_where_rows_are_far_apart)
{
    struct kit kit;
    kit_init(&kit);
    kit.params[KIT_WGT].type.shape[0] = UINT64_C(1) << 32;
    for (uint32_t i = 0; i < 60; i++) {
        struct vta_mem_insn *mem = &kit_move(&kit, KIT_WGT, i << 26, 0, 1)->mem;
        mem->y_size = 1024;
        mem->x_stride = 65535;
    }
    kit_finish(&kit);
    const uint64_t before = resident_kib();
    struct vta_timing timing = replay(&kit, &simple);
    cr_expect_lt(resident_kib() - before, 16384u);
    cr_expect_eq(timing.rows, 60 * 1024);
    cr_expect_eq(events[0].port_busy, 1024 * 256 / 4);
}

Test(timing, starts_with_the_tokens_that_the_program_was_verified_for)
{
    struct kit kit;
    struct vta_timing timing;
    kit_init(&kit);
    kit_uop(&kit, 0, 0, 0, 0);
    kit_alu(&kit, 3, 8)->pop_next = 1;
    kit_finish(&kit);
    struct vta_program *program = verified(&kit, (struct vta_tokens){ .store_to_compute = 1 });
    cr_assert_eq(vta_timing_replay(&timing, program, &simple, &observer, NULL, &error), 0);
    cr_expect_eq(events[1].popped_next, VTA_TIMING_BEFORE);
    cr_expect_eq(events[1].start, events[1].head);
    cr_expect_eq(events[1].waited_for, VTA_QUEUE_COUNT);
    cr_expect_eq(timing.cycles, 41);
    vta_program_free(program);
}

Test(timing, refuses_what_has_not_been_verified)
{
    struct kit kit;
    struct vta_timing timing;
    kit_init(&kit);
    kit_finish(&kit);
    struct vta_program *program = kit_program(&kit);
    cr_expect_eq(vta_timing_replay(&timing, program, &simple, NULL, NULL, &error), VTA_ESTATE);
    vta_program_free(program);
}

Test(timing, does_not_overflow_where_a_nest_is_longer_than_anyone_would_wait)
{
    struct vta_timing_profile profile = simple;
    struct kit kit;
    kit_init(&kit);
    kit_uop(&kit, 0, 0, 0, 0);
    for (int i = 0; i < 40; i++) {
        struct vta_nest_insn *nest = &kit_alu(&kit, 3, 8)->nest;
        nest->iter_out = nest->iter_in = (1u << 14) - 1;
    }
    kit_finish(&kit);
    profile.alu_cycles = 100000;
    struct vta_timing timing = replay(&kit, &profile);
    cr_expect(timing.cycles > UINT64_C(40) << 40 && timing.cycles < UINT64_C(41) << 40);
    cr_expect(timing.total_ns > timing.cycles);
}

/* ---- Long streams: instructions without data ----------------------------------------------- */

static struct vta_program *stream(const struct vta_insn *insns, uint32_t count)
{
    struct vta_program *program = NULL;
    struct vta_verify_options options = { .max_work = 0 };
    struct vta_layout layout;
    struct vta_hw hw;
    vta_hw_default(&hw);
    vta_layout_make(&layout, &hw, NULL);
    uint8_t *bytes = malloc((size_t)count * VTA_INSN_BYTES);
    for (uint32_t i = 0; i < count; i++)
        cr_assert_eq(vta_insn_encode(&insns[i], &layout, bytes + i * VTA_INSN_BYTES, &error), 0);
    cr_assert_eq(vta_program_from_stream(&program, &hw, bytes, count, NULL, NULL, &error), 0);
    cr_assert_eq(vta_verify(program, &options, &error), 0, "%s", error.message);
    free(bytes);
    return program;
}

/* No-ops of each unit. */
static const struct vta_insn load = { .opcode = VTA_OP_LOAD, .mem.memory = VTA_MEM_INP };
static const struct vta_insn compute = { .opcode = VTA_OP_LOAD, .mem.memory = VTA_MEM_UOP };
static const struct vta_insn store = { .opcode = VTA_OP_STORE, .mem.memory = VTA_MEM_OUT };

Test(timing, stops_dealing_to_all_units_while_one_command_queue_is_full)
{
    struct vta_timing_profile profile = simple;
    struct vta_insn insns[602];
    struct vta_timing timing;
    profile.insn_cycles = 100;
    for (int i = 0; i < 600; i++)
        insns[i] = load;
    insns[600] = store;
    insns[600].push_prev = 1;
    insns[601] = (struct vta_insn){ .opcode = VTA_OP_FINISH, .pop_next = 1 };
    struct vta_program *program = stream(insns, 602);
    cr_assert_eq(vta_timing_replay(&timing, program, &profile, &observer, NULL, &error), 0);
    /* Load takes one every 100 cycles from 12 on; the last is dealt when it takes its 88th. */
    cr_expect_eq(events[511].dealt, 12 + 2 * 511);
    cr_expect_eq(events[599].dealt, 12 + 100 * 87);
    cr_expect_eq(events[601].dealt, 12 + 100 * 87 + 4);
    cr_expect_eq(timing.cycles, 12 + 100 * 600);
    vta_program_free(program);
}

Test(timing, says_that_a_board_would_hang_whose_queues_are_too_short)
{
    static struct vta_insn insns[3300];
    struct vta_timing timing;
    struct vta_timing_profile other = simple;
    uint32_t n = 0;
    insns[n] = compute; /* waits for the store, which is dealt only after the loads */
    insns[n++].pop_next = 1;
    for (int i = 0; i < 1600; i++) {
        insns[n] = load;
        insns[n++].push_next = 1;
    }
    insns[n] = store;
    insns[n++].push_prev = 1;
    for (int i = 0; i < 1600; i++) {
        insns[n] = compute;
        insns[n++].pop_prev = 1;
    }
    insns[n] = store;
    insns[n++].push_prev = 1;
    insns[n++] = (struct vta_insn){ .opcode = VTA_OP_FINISH, .pop_next = 1 };
    struct vta_program *program = stream(insns, n);
    cr_expect_eq(vta_timing_replay(&timing, program, &simple, NULL, NULL, &error), VTA_EDEADLOCK);
    cr_expect(strstr(error.message, "the board would hang") != NULL, "%s", error.message);
    /* That answer is kept too. */
    for (int i = 0; i < 2; i++) {
        error.code = 0;
        cr_expect_eq(vta_timing_of(&timing, program, &other, NULL, &error), VTA_EDEADLOCK);
        cr_expect_eq(error.code, VTA_EDEADLOCK);
    }
    vta_program_free(program);
}

/* The compute unit waits for store, which is dealt last, behind more loads than the queues hold: it
 * goes on because compute takes what load has pushed before it waits, and makes room for one. */
Test(timing, lets_a_unit_take_its_first_token_while_the_second_is_not_there)
{
    enum {
        LOADS = VTA_BOARD_TOKENS + 1 + 1 + VTA_BOARD_COMMANDS
    };
    static struct vta_insn insns[2 * LOADS + 3];
    struct vta_timing timing;
    uint32_t n = 0;
    insns[n] = compute;
    insns[n].pop_prev = 1;
    insns[n++].pop_next = 1;
    for (int i = 0; i < LOADS; i++) {
        insns[n] = load;
        insns[n++].push_next = 1;
    }
    insns[n] = store;
    insns[n++].push_prev = 1;
    for (int i = 0; i < LOADS - 1; i++) {
        insns[n] = compute;
        insns[n++].pop_prev = 1;
    }
    insns[n++] = (struct vta_insn){ .opcode = VTA_OP_FINISH };
    struct vta_program *program = stream(insns, n);
    cr_expect_eq(vta_timing_replay(&timing, program, &simple, &observer, NULL, &error), 0, "%s",
                 error.message);
    cr_expect_eq(events[0].took, events[1].left);
    cr_expect_eq(events[0].start, events[LOADS + 1].left);
    cr_expect_eq(events[0].waited_for, VTA_QUEUE_STORE_COMPUTE);
    vta_program_free(program);
}

Test(timing, ends_with_the_code_of_whoever_stops_it)
{
    struct vta_control control = { .stop = VTA_ECANCELLED };
    struct vta_insn insns[2] = { store, { .opcode = VTA_OP_FINISH, .pop_next = 1 } };
    struct vta_timing timing;
    insns[0].push_prev = 1;
    struct vta_program *program = stream(insns, 2);
    cr_expect_eq(vta_timing_replay(&timing, program, &simple, NULL, &control, &error),
                 VTA_ECANCELLED);
    vta_program_free(program);
}

Test(timing, is_kept_with_the_program_for_each_profile)
{
    struct vta_timing_profile slow = simple;
    struct vta_timing one, two, three;
    struct kit kit;
    kit_init(&kit);
    kit_uop(&kit, 0, 0, 0, 0);
    kit_alu(&kit, 3, 8);
    kit_finish(&kit);
    struct vta_program *program = verified(&kit, (struct vta_tokens){ 0 });
    cr_assert_eq(vta_timing_of(&one, program, &simple, NULL, &error), 0);
    const struct vta_timing_kept *kept = program->timings;
    cr_assert_not_null(kept);
    cr_assert_eq(vta_timing_of(&two, program, &simple, NULL, &error), 0);
    cr_expect_eq(program->timings, kept, "predicted once");
    cr_expect_eq(memcmp(&one, &two, sizeof one), 0);
    slow.alu_cycles = 103;
    cr_assert_eq(vta_timing_of(&three, program, &slow, NULL, &error), 0);
    cr_expect_eq(three.cycles, one.cycles + 100);
    /* Beyond a few profiles nothing more is kept, and the answers stay right. */
    for (int i = 0; i < 20; i++) {
        slow.alu_cycles = 203 + i;
        cr_assert_eq(vta_timing_of(&three, program, &slow, NULL, &error), 0);
        cr_expect_eq(three.cycles, one.cycles + 200 + (uint64_t)i);
    }
    vta_program_free(program);
}
