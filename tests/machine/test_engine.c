/* test_engine.c: the emulator of a processor by itself: registers, memory, traps, faults, stopping.
 * Code is a few instructions for each of both machines.
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <elf.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "emulator/engine.h"
#include "loader/image.h"

#define CODE   0x10000u
#define DATA   0x20000u
#define STACK  0x30000u
#define TRAPS  0x40000u
#define RETURN TRAPS
#define COUNT  2000u /* of traps: more than a page of them */

enum word {
    ADD_1, /* to register 0 */
    LOAD,  /* register 1 from [register 0] */
    STORE,
    JUMP, /* to register 0 */
    UNDEFINED,
    SYSTEM, /* call 5 */
    LOOP,   /* for ever */
    RET,
    PUSH, /* the return address */
    CALL, /* register 0 */
    POP,  /* and return, with RET behind it */
    ADD_FLOATS,
    ADD_LANES,
    WAIT, /* for an interrupt */
    WORDS
};

static const struct machine {
    unsigned elf;
    uint32_t words[WORDS];
} machines[] = {
    { EM_ARM,
      { 0xe2800001, 0xe5901000, 0xe5801000, 0xe12fff10, 0xe7f000f0, 0xef000005, 0xeafffffe,
        0xe12fff1e, 0xe92d4010, 0xe12fff30, 0xe8bd4010, 0xee300b01, 0xf2000801, 0xe320f003 } },
    { EM_AARCH64,
      { 0x91000400, 0xf9400001, 0xf9000001, 0xd61f0000, 0x00000000, 0xd40000a1, 0x14000000,
        0xd65f03c0, 0xa9bf7bfd, 0xd63f0000, 0xa8c17bfd, 0x1e612800, 0x0e218400, 0xd503207f } },
};

struct bench {
    const struct machine *machine;
    const struct engine_ops *ops;
    struct engine *engine;
    uint32_t *code, *data, *stack;
    struct vta_error error;
    uint32_t begins, traps, last;
    int (*on_trap)(struct bench *bench, uint32_t number);
    sem_t running;
};

static int trap(void *context, uint32_t number)
{
    struct bench *bench = context;
    if (number == ENGINE_BEGIN) {
        bench->begins++;
        return bench->on_trap != NULL ? bench->on_trap(bench, number) : 0;
    }
    bench->traps++;
    bench->last = number;
    return bench->on_trap != NULL ? bench->on_trap(bench, number) : 0;
}

static uint32_t *map(struct bench *bench, uint64_t address, unsigned access)
{
    uint32_t *bytes = aligned_alloc(IMAGE_PAGE, IMAGE_PAGE);
    cr_assert_not_null(bytes);
    memset(bytes, 0, IMAGE_PAGE);
    cr_assert_eq(bench->ops->map(bench->engine, address, IMAGE_PAGE, access, bytes, &bench->error),
                 0, "%s", bench->error.message);
    return bytes;
}

static void open_bench(struct bench *bench, const struct machine *machine)
{
    memset(bench, 0, sizeof *bench);
    bench->machine = machine;
    bench->ops = engine_load(getenv("VTA_ENGINE"), &bench->error);
    cr_assert_not_null(bench->ops, "%s", bench->error.message);
    const struct engine_options options = { machine->elf, TRAPS, COUNT, trap, bench };
    cr_assert_eq(bench->ops->open(&bench->engine, &options, &bench->error), 0, "%s",
                 bench->error.message);
    bench->code = map(bench, CODE, IMAGE_READ | IMAGE_EXECUTE);
    bench->data = map(bench, DATA, IMAGE_READ | IMAGE_WRITE);
    bench->stack = map(bench, STACK, IMAGE_READ | IMAGE_WRITE);
    sem_init(&bench->running, 0, 0);
}

static void close_bench(struct bench *bench)
{
    bench->ops->close(bench->engine);
    free(bench->code);
    free(bench->data);
    free(bench->stack);
    sem_destroy(&bench->running);
}

static void put(struct bench *bench, uint32_t at, const enum word *words, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        bench->code[at + i] = bench->machine->words[words[i]];
}

#define PUT(at, ...)                                                                               \
    put(bench, at, (const enum word[]){ __VA_ARGS__ },                                             \
        sizeof((const enum word[]){ __VA_ARGS__ }) / sizeof(enum word))

/* Runs the code at a word with `value` in register 0; what is in it afterwards. */
static uint64_t run(struct bench *bench, uint32_t at, uint64_t value,
                    struct engine_outcome *outcome)
{
    const uint64_t sp = STACK + IMAGE_PAGE, lr = RETURN;
    bench->ops->write(bench->engine, ENGINE_X0, 1, &value);
    bench->ops->write(bench->engine, ENGINE_SP, 1, &sp);
    bench->ops->write(bench->engine, ENGINE_LR, 1, &lr);
    bench->ops->run(bench->engine, CODE + 4 * at, RETURN, outcome);
    bench->ops->read(bench->engine, ENGINE_X0, 1, &value);
    return value;
}

static void expect_run(struct bench *bench, uint32_t at, uint64_t value, uint64_t expected)
{
    struct engine_outcome outcome;
    cr_expect_eq(run(bench, at, value, &outcome), expected);
    cr_expect_eq(outcome.fault, ENGINE_OK);
}

static void expect_fault(struct bench *bench, uint64_t value, enum engine_fault fault, uint64_t pc,
                         uint64_t address)
{
    struct engine_outcome outcome;
    run(bench, 0, value, &outcome);
    cr_expect_eq(outcome.fault, fault, "fault %d", outcome.fault);
    cr_expect_eq(outcome.pc, pc, "pc %llx", (unsigned long long)outcome.pc);
    cr_expect_eq(outcome.address, address, "address %llx", (unsigned long long)outcome.address);
    PUT(1000, ADD_1, RET); /* and it goes on */
    expect_run(bench, 1000, 1, 2);
}

#define ON_BOTH(name)                                                                              \
    static void name(struct bench *bench);                                                         \
    Test(engine, name##_on_arm)                                                                    \
    {                                                                                              \
        struct bench bench;                                                                        \
        open_bench(&bench, &machines[0]);                                                          \
        name(&bench);                                                                              \
        close_bench(&bench);                                                                       \
    }                                                                                              \
    Test(engine, name##_on_aarch64)                                                                \
    {                                                                                              \
        struct bench bench;                                                                        \
        open_bench(&bench, &machines[1]);                                                          \
        name(&bench);                                                                              \
        close_bench(&bench);                                                                       \
    }                                                                                              \
    static void name(struct bench *bench)

Test(engine, says_which_machine_it_lacks)
{
    struct vta_error error;
    struct engine *engine;
    const struct engine_options options = { EM_RISCV, TRAPS, COUNT, trap, NULL };
    const struct engine_ops *ops = engine_load(getenv("VTA_ENGINE"), &error);
    cr_assert_not_null(ops, "%s", error.message);
    cr_expect_eq(ops->open(&engine, &options, &error), VTA_EUNSUPPORTED);
}

Test(engine, says_that_a_plugin_is_missing)
{
    struct vta_error error;
    cr_expect_null(engine_load("/nowhere/engine.so", &error));
    cr_expect_eq(error.code, VTA_EUNSUPPORTED);
}

/* Unicorn itself would end the process. */
Test(engine, says_that_there_is_no_room)
{
    struct vta_error error;
    struct engine *engine;
    struct rlimit before, none = { 0 };
    const struct engine_options options = { EM_ARM, TRAPS, COUNT, trap, NULL };
    const struct engine_ops *ops = engine_load(getenv("VTA_ENGINE"), &error);
    cr_assert_not_null(ops, "%s", error.message);
    cr_assert_eq(getrlimit(RLIMIT_AS, &before), 0);
    none.rlim_max = before.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_AS, &none), 0);
    const int rc = ops->open(&engine, &options, &error);
    cr_assert_eq(setrlimit(RLIMIT_AS, &before), 0);
    cr_expect_eq(rc, VTA_ENOMEM);
}

/* ---- Registers and memory -------------------------------------------------------------------- */

/* Unicorn would end the process. */
ON_BOTH(refuses_more_ranges_than_there_is_room_for)
{
    static uint8_t page[IMAGE_PAGE] __attribute__((aligned(4096)));
    int rc = 0;
    uint64_t at = 0x60000000;
    for (; rc == 0 && at < 0x61000000; at += 2 * IMAGE_PAGE)
        rc = bench->ops->map(bench->engine, at, IMAGE_PAGE, IMAGE_READ, page, &bench->error);
    cr_expect_eq(rc, VTA_ELIMIT);
    cr_expect_not_null(strstr(bench->error.message, "free some"), "%s", bench->error.message);
    bench->ops->unmap(bench->engine, 0x60000000, IMAGE_PAGE);
    rc = bench->ops->map(bench->engine, at, IMAGE_PAGE, IMAGE_READ, page, &bench->error);
    cr_expect_eq(rc, 0, "%s", bench->error.message);
}

ON_BOTH(keeps_registers)
{
    const uint32_t count = bench->machine->elf == EM_ARM ? 13 : 29;
    uint64_t values[32], floats[32], found[32];
    const uint64_t sp = STACK + 64, lr = CODE + 4;
    for (uint32_t i = 0; i < 32; i++) {
        values[i] = 0x80000001u + i * 0x01010101u;
        floats[i] = 0x0123456789abcdefu * (i + 1);
    }
    bench->ops->write(bench->engine, ENGINE_X0, count, values);
    bench->ops->write(bench->engine, ENGINE_SP, 1, &sp);
    bench->ops->write(bench->engine, ENGINE_LR, 1, &lr);
    bench->ops->write_float(bench->engine, 0, 32, floats);
    bench->ops->read(bench->engine, ENGINE_X0, count, found);
    cr_expect_arr_eq(found, values, count * sizeof values[0]);
    bench->ops->read_float(bench->engine, 0, 32, found);
    cr_expect_arr_eq(found, floats, sizeof floats);
    bench->ops->read(bench->engine, ENGINE_X0 + 3, 2, found);
    cr_expect_eq(found[1], values[4]);
    bench->ops->read(bench->engine, ENGINE_SP, 1, found);
    cr_expect_eq(found[0], sp);
    bench->ops->read(bench->engine, ENGINE_LR, 1, found);
    cr_expect_eq(found[0], lr);
}

ON_BOTH(has_floats_and_lanes)
{
    const double values[2] = { 1.5, 2.25 };
    uint64_t bits[2];
    double sum;
    memcpy(bits, values, sizeof bits);
    PUT(0, ADD_FLOATS, RET, ADD_LANES, RET);
    bench->ops->write_float(bench->engine, 0, 2, bits);
    expect_run(bench, 0, 7, 7);
    bench->ops->read_float(bench->engine, 0, 1, bits);
    memcpy(&sum, bits, sizeof sum);
    cr_expect_eq(sum, 3.75);
    bits[0] = 0x0102030405060708;
    bits[1] = 0xffffffffffffffff;
    bench->ops->write_float(bench->engine, 0, 2, bits);
    expect_run(bench, 2, 7, 7);
    bench->ops->read_float(bench->engine, 0, 1, bits);
    cr_expect_eq(bits[0], 0x0001020304050607u);
}

ON_BOTH(sees_the_hosts_memory)
{
    uint64_t value;
    PUT(0, LOAD, RET);
    bench->data[4] = 0x1234567;
    expect_run(bench, 0, DATA + 16, DATA + 16);
    bench->ops->read(bench->engine, ENGINE_X0 + 1, 1, &value);
    cr_expect_eq(value, 0x1234567u);
    bench->data[4] = 0x7654321;
    expect_run(bench, 0, DATA + 16, DATA + 16);
    bench->ops->read(bench->engine, ENGINE_X0 + 1, 1, &value);
    cr_expect_eq(value, 0x7654321u);
    PUT(0, RET); /* written before, but translated already: not seen, and not promised */
}

ON_BOTH(forgets_code_that_was_unmapped)
{
    PUT(0, ADD_1, RET);
    expect_run(bench, 0, 1, 2);
    bench->ops->unmap(bench->engine, CODE, IMAGE_PAGE);
    struct engine_outcome outcome;
    run(bench, 0, 1, &outcome);
    cr_expect_eq(outcome.fault, ENGINE_FETCH);
    uint32_t *first = bench->code;
    bench->code = map(bench, CODE, IMAGE_READ | IMAGE_EXECUTE);
    PUT(0, ADD_1, ADD_1, RET);
    expect_run(bench, 0, 1, 3);
    free(first);
}

/* ---- Faults ---------------------------------------------------------------------------------- */

ON_BOTH(reports_reads)
{
    PUT(0, ADD_1, JUMP); /* so that the block of the access begins at it */
    PUT(4, LOAD, RET);
    expect_run(bench, 4, DATA, DATA);
    PUT(0, LOAD, RET);
    expect_fault(bench, 0x12345678, ENGINE_READ, CODE, 0x12345678);
    expect_fault(bench, 0, ENGINE_READ, CODE, 0);
}

ON_BOTH(reports_writes)
{
    PUT(0, STORE, RET);
    expect_run(bench, 0, DATA, DATA);
    expect_fault(bench, 0x12345678, ENGINE_WRITE, CODE, 0x12345678);
    expect_fault(bench, CODE + 64, ENGINE_WRITE, CODE, CODE + 64);
    expect_fault(bench, TRAPS, ENGINE_WRITE, CODE, TRAPS);
}

ON_BOTH(reports_jumps)
{
    PUT(0, JUMP);
    expect_fault(bench, 0x12345678, ENGINE_FETCH, 0x12345678, 0x12345678);
    expect_fault(bench, DATA, ENGINE_FETCH, DATA, DATA);
}

ON_BOTH(reports_undefined_instructions)
{
    struct engine_outcome outcome;
    PUT(0, ADD_1, UNDEFINED);
    run(bench, 0, 1, &outcome);
    cr_expect_eq(outcome.fault, ENGINE_UNDEFINED);
    cr_expect_eq(outcome.pc, CODE + 4);
}

ON_BOTH(reports_exceptions)
{
    struct engine_outcome outcome;
    PUT(0, SYSTEM, RET, WAIT, RET, ADD_1, RET);
    run(bench, 0, 1, &outcome);
    cr_expect_eq(outcome.fault, ENGINE_EXCEPTION);
    run(bench, 2, 1, &outcome);
    cr_expect_eq(outcome.fault, ENGINE_EXCEPTION);
    expect_run(bench, 4, 1, 2);
}

/* ---- Traps ----------------------------------------------------------------------------------- */

static int add_ten(struct bench *bench, uint32_t number)
{
    uint64_t value;
    if (number == ENGINE_BEGIN)
        return 0;
    bench->ops->read(bench->engine, ENGINE_X0, 1, &value);
    value += 10;
    bench->ops->write(bench->engine, ENGINE_X0, 1, &value);
    return 0;
}

ON_BOTH(calls_traps)
{
    PUT(0, PUSH, CALL, ADD_1, POP, RET);
    bench->on_trap = add_ten;
    for (uint32_t number = 1; number < COUNT; number += 333) {
        expect_run(bench, 0, TRAPS + 4 * number, TRAPS + 4 * number + 11);
        cr_expect_eq(bench->last, number);
    }
    cr_expect_eq(bench->begins, bench->traps);
}

static int refuse(struct bench *bench, uint32_t number)
{
    (void)bench;
    return number != ENGINE_BEGIN;
}

ON_BOTH(ends_at_the_wish_of_a_trap)
{
    struct engine_outcome outcome;
    PUT(0, PUSH, CALL, ADD_1, POP, RET);
    bench->on_trap = refuse;
    cr_expect_eq(run(bench, 0, TRAPS + 4, &outcome), TRAPS + 4);
    cr_expect_eq(outcome.fault, ENGINE_STOPPED);
    bench->on_trap = NULL;
    expect_run(bench, 0, TRAPS + 4, TRAPS + 5);
}

/* Runs the code at word 8 inside. */
static struct engine_outcome inner;

static int run_inside(struct bench *bench, uint32_t number)
{
    uint64_t sp, lr;
    if (number == ENGINE_BEGIN)
        return 0;
    bench->ops->read(bench->engine, ENGINE_SP, 1, &sp);
    bench->ops->read(bench->engine, ENGINE_LR, 1, &lr);
    const uint64_t value = 41, back = RETURN, below = sp - 64;
    bench->ops->write(bench->engine, ENGINE_X0, 1, &value);
    bench->ops->write(bench->engine, ENGINE_SP, 1, &below);
    bench->ops->write(bench->engine, ENGINE_LR, 1, &back);
    bench->ops->run(bench->engine, CODE + 4 * 8, RETURN, &inner);
    bench->ops->write(bench->engine, ENGINE_SP, 1, &sp);
    bench->ops->write(bench->engine, ENGINE_LR, 1, &lr);
    return 0;
}

ON_BOTH(runs_within_a_trap)
{
    PUT(0, PUSH, CALL, ADD_1, POP, RET);
    PUT(8, ADD_1, RET);
    bench->on_trap = run_inside;
    for (int i = 0; i < 3; i++)
        expect_run(bench, 0, TRAPS + 4, 43);
    cr_expect_eq(inner.fault, ENGINE_OK);
    cr_expect_eq(bench->begins, 6u);
}

ON_BOTH(goes_on_after_a_fault_within_a_trap)
{
    PUT(0, PUSH, CALL, ADD_1, POP, RET);
    PUT(8, LOAD, RET);
    bench->on_trap = run_inside;
    expect_run(bench, 0, TRAPS + 4, 42);
    cr_expect_eq(inner.fault, ENGINE_READ);
    bench->code[8] = 0;
    bench->ops->unmap(bench->engine, CODE, IMAGE_PAGE);
    cr_assert_eq(bench->ops->map(bench->engine, CODE, IMAGE_PAGE, IMAGE_READ | IMAGE_EXECUTE,
                                 bench->code, &bench->error),
                 0);
    PUT(8, SYSTEM, RET);
    expect_run(bench, 0, TRAPS + 4, 42);
    cr_expect_eq(inner.fault, ENGINE_EXCEPTION);
}

static int run_for_ever_deeper(struct bench *bench, uint32_t number)
{
    const uint64_t value = TRAPS + 4;
    if (number == ENGINE_BEGIN)
        return 0;
    bench->ops->write(bench->engine, ENGINE_X0, 1, &value);
    bench->ops->run(bench->engine, CODE, RETURN, &inner);
    return inner.fault != ENGINE_OK;
}

ON_BOTH(has_a_limit_of_depth)
{
    struct engine_outcome outcome;
    PUT(0, PUSH, CALL, POP, RET, ADD_1, RET);
    bench->on_trap = run_for_ever_deeper;
    run(bench, 0, TRAPS + 4, &outcome);
    cr_expect_eq(outcome.fault, ENGINE_STOPPED);
    bench->on_trap = NULL;
    expect_run(bench, 4, 1, 2);
}

/* ---- Stopping -------------------------------------------------------------------------------- */

static void *stop_when_running(void *context)
{
    struct bench *bench = context;
    sem_wait(&bench->running);
    bench->ops->stop(bench->engine);
    return NULL;
}

static int say_that_it_runs(struct bench *bench, uint32_t number)
{
    if (number == ENGINE_BEGIN)
        sem_post(&bench->running);
    return 0;
}

ON_BOTH(is_stopped_by_another_thread)
{
    struct engine_outcome outcome;
    PUT(0, LOOP, ADD_1, RET);
    bench->on_trap = say_that_it_runs;
    for (int i = 0; i < 200; i++) {
        pthread_t thread;
        cr_assert_eq(pthread_create(&thread, NULL, stop_when_running, bench), 0);
        run(bench, 0, 1, &outcome);
        cr_assert_eq(outcome.fault, ENGINE_STOPPED);
        pthread_join(thread, NULL);
    }
    bench->on_trap = NULL;
    expect_run(bench, 1, 1, 2);
}

static int stop_at(struct bench *bench, uint32_t number)
{
    if (number == bench->last)
        bench->ops->stop(bench->engine);
    return 0;
}

ON_BOTH(is_stopped_as_it_begins)
{
    struct engine_outcome outcome;
    PUT(0, ADD_1, RET);
    bench->on_trap = stop_at;
    bench->last = ENGINE_BEGIN;
    cr_expect_eq(run(bench, 0, 1, &outcome), 1u);
    cr_expect_eq(outcome.fault, ENGINE_STOPPED);
    bench->on_trap = NULL;
    expect_run(bench, 0, 1, 2);
}

static int run_and_stop(struct bench *bench, uint32_t number)
{
    run_inside(bench, number);
    if (number != ENGINE_BEGIN)
        bench->ops->stop(bench->engine);
    return 0;
}

ON_BOTH(is_stopped_between_runs_within_a_trap)
{
    struct engine_outcome outcome;
    PUT(0, PUSH, CALL, ADD_1, POP, RET);
    PUT(8, ADD_1, RET);
    bench->on_trap = run_and_stop;
    run(bench, 0, TRAPS + 4, &outcome);
    cr_expect_eq(inner.fault, ENGINE_OK);
    cr_expect_eq(outcome.fault, ENGINE_STOPPED);
}

static int post_and_run(struct bench *bench, uint32_t number)
{
    if (number == ENGINE_BEGIN && bench->begins == 2)
        sem_post(&bench->running);
    return run_inside(bench, number);
}

ON_BOTH(is_stopped_with_all_runs_that_are_under_way)
{
    struct engine_outcome outcome;
    pthread_t thread;
    PUT(0, PUSH, CALL, LOOP);
    PUT(8, LOOP);
    bench->on_trap = post_and_run;
    cr_assert_eq(pthread_create(&thread, NULL, stop_when_running, bench), 0);
    run(bench, 0, TRAPS + 4, &outcome);
    pthread_join(thread, NULL);
    cr_expect_eq(inner.fault, ENGINE_STOPPED);
    cr_expect_eq(outcome.fault, ENGINE_STOPPED);
}

ON_BOTH(does_not_keep_a_stop_that_comes_too_late)
{
    PUT(0, ADD_1, RET);
    expect_run(bench, 0, 1, 2);
    bench->ops->stop(bench->engine);
    expect_run(bench, 0, 1, 2);
}
