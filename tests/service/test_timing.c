/* test_timing.c: whose time is predicted, and whose clock time evaluators answer in. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/timing_profile.h"

#include "harness.h"

static struct vta_service_options options;
static struct vta_service *service;
static vta_handle add, buffers[2];

static vta_handle alloc(uint64_t nbytes)
{
    return as_uint(cr_ok(ask(service, "buffer.alloc", "u", nbytes))->result);
}

static void open_with_function(void)
{
    small_options(&options);
    service = open_service(&options);
    add = get_function(service, KERNEL_ADD, "m", "add");
    buffers[0] = alloc(ADD_ROWS * 16 * 4);
    buffers[1] = alloc(ADD_ROWS * 16);
}

static void close_all(void)
{
    vta_service_free(service);
    release_answers();
}

TestSuite(timing, .init = open_with_function, .fini = close_all);

static void expect_text(const msgpack_object *map, const char *key, const char *text)
{
    const msgpack_object *value = at(map, key);
    cr_assert_eq(value->type, MSGPACK_OBJECT_STR, "%s", key);
    cr_assert(value->via.str.size == strlen(text) &&
                  memcmp(value->via.str.ptr, text, strlen(text)) == 0,
              "%s is %.*s", key, (int)value->via.str.size, value->via.str.ptr);
}

static const msgpack_object *run(void)
{
    return cr_ok(ask(service, "run", "uh", add, buffers, (size_t)2))->result;
}

static const msgpack_object *evaluate(uint64_t number, uint64_t repeat)
{
    return cr_ok(ask(service, "time_evaluator", "uhuuu", add, buffers, (size_t)2, number, repeat,
                     UINT64_C(0)))
        ->result;
}

static uint64_t runs(void)
{
    struct vta_service_stats stats;
    vta_service_stats(service, &stats);
    return stats.runs;
}

Test(timing, is_the_newest_measured_boards_and_the_hosts_clock_by_default)
{
    const msgpack_object *map = cr_ok(ask(service, "board.timing", ""))->result;
    expect_text(map, "profile", "1x16-2019-11");
    expect_text(map, "clock", "host");
    cr_assert(at(map, "measured")->via.boolean);
}

Test(timing, of_both_clocks_is_in_every_run)
{
    const msgpack_object *map = run();
    uint64_t ns = uint_at(map, "board_ns"), cycles = uint_at(map, "board_cycles");
    as_uint(at(map, "wall_ns"));
    cr_assert(cycles > 0 && ns > cycles * 10, "%llu ns, %llu cycles", (unsigned long long)ns,
              (unsigned long long)cycles);
    cr_assert_eq(uint_at(run(), "board_ns"), ns);

    expect_text(cr_ok(ask(service, "board.timing", "s", "1x16-2019-08"))->result, "profile",
                "1x16-2019-08");
    cr_assert(uint_at(run(), "board_ns") > ns, "its ALU is slower");
    cr_ok(ask(service, "board.timing", "s", "auto"));
    cr_assert_eq(uint_at(run(), "board_ns"), ns);
}

Test(timing, is_left_out_where_there_is_no_profile)
{
    const msgpack_object *map = cr_ok(ask(service, "board.timing", "s", "none"))->result;
    cr_assert_eq(at(map, "profile")->type, MSGPACK_OBJECT_NIL);
    cr_assert_not(at(map, "measured")->via.boolean);
    cr_assert_eq(run()->via.map.size, 2);
    cr_fails(ask(service, "board.timing", "ns", "board"), VTA_ESTATE,
             "the board's clock needs a timing profile, and there is none");
    expect_text(cr_ok(ask(service, "board.timing", ""))->result, "clock", "host");
}

Test(timing, by_the_boards_clock_is_the_prediction_after_one_run)
{
    uint64_t ns = uint_at(run(), "board_ns"), before = runs();
    expect_text(cr_ok(ask(service, "board.timing", "ns", "board"))->result, "clock", "board");
    const msgpack_object *times = evaluate(10, 3);
    cr_assert_eq(times->via.array.size, 3);
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_float_eq(times->via.array.ptr[i].via.f64, (double)ns * 1e-9, 1e-15);
    cr_assert_eq(runs(), before + 1);

    cr_ok(ask(service, "board.timing", "ns", "host"));
    before = runs();
    evaluate(10, 3);
    cr_assert_eq(runs(), before + 31);
}

Test(timing, by_the_boards_clock_needs_a_profile)
{
    cr_ok(ask(service, "board.timing", "ns", "board"));
    cr_ok(ask(service, "board.timing", "s", "none"));
    cr_fails(ask(service, "time_evaluator", "uhuuu", add, buffers, (size_t)2, UINT64_C(1),
                 UINT64_C(1), UINT64_C(0)),
             VTA_ESTATE, "the clock is the board's, but no timing profile");
}

Test(timing, takes_a_profile_from_the_client_as_text)
{
    struct vta_timing_profile profile;
    struct vta_error error;
    cr_assert_eq(vta_profile_shipped(&profile, "1x16-2019-11", &error), 0);
    snprintf(profile.name, sizeof profile.name, "mine");
    profile.measured = false;
    profile.host_call_us += 1000000;
    char *text = vta_profile_to_json(&profile);
    uint64_t ns = uint_at(run(), "board_ns");
    const msgpack_object *map = cr_ok(ask(service, "board.timing", "s", text))->result;
    expect_text(map, "profile", "mine");
    cr_assert_not(at(map, "measured")->via.boolean);
    cr_assert_eq(uint_at(run(), "board_ns"), ns + 1000000000u);
    free(text);
}

Test(timing, refuses_what_it_does_not_know_and_stays_as_it_was)
{
    cr_fails(ask(service, "board.timing", "s", "1x16-2019-8"), VTA_ENOTFOUND,
             "did you mean '1x16-2019-08'?");
    cr_fails(ask(service, "board.timing", "s", "/etc/passwd"), VTA_ENOTFOUND,
             "there is no timing profile '/etc/passwd'");
    cr_fails(ask(service, "board.timing", "s", "../p.json"), VTA_ENOTFOUND, "");
    cr_fails(ask(service, "board.timing", "s", "{}"), VTA_ECONFIG, "name is missing");
    cr_fails(ask(service, "board.timing", "s", "{"), VTA_EFORMAT, "not JSON");
    cr_fails(ask(service, "board.timing", "u", UINT64_C(1)), VTA_EINVAL, "params[0]");
    cr_fails(ask(service, "board.timing", "ss", "none", "sundial"), VTA_EINVAL,
             "the clock is 'host' or 'board', not 'sundial'");
    const msgpack_object *map = cr_ok(ask(service, "board.timing", ""))->result;
    expect_text(map, "profile", "1x16-2019-11");
    expect_text(map, "clock", "host");
}

Test(timing, follows_the_boards_hardware_while_it_is_chosen_by_it)
{
    vta_service_free(service);
    service = open_service(&options);
    cr_ok(ask(service, "board.program", "s", "4x8_i8w8a32_15_16_16_18"));
    expect_text(cr_ok(ask(service, "board.timing", ""))->result, "profile", "4x8-2019-08");
    cr_ok(ask(service, "board.timing", "s", "ultra96"));
    cr_ok(ask(service, "board.program", "s", "1x16_i8w8a32_15_15_18_17"));
    expect_text(cr_ok(ask(service, "board.timing", ""))->result, "profile", "ultra96");
}

Test(timing, starts_as_the_options_say)
{
    struct vta_timing_profile profile;
    struct vta_error error;
    cr_assert_eq(vta_profile_shipped(&profile, "zcu104", &error), 0);
    options.board.timing = VTA_BOARD_TIMING_PROFILE;
    options.board.profile = &profile;
    options.board_clock = true;
    vta_service_free(service);
    service = open_service(&options);
    memset(&profile, 0, sizeof profile); /* it was copied */
    const msgpack_object *map = cr_ok(ask(service, "board.timing", ""))->result;
    expect_text(map, "profile", "zcu104");
    expect_text(map, "clock", "board");
}
