/* Every method once through a socket, and the errors that a client meets.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

static struct daemon daemon_;
static struct session session;
static struct wire *const wire = &session.wire;

static void setup(void)
{
    daemon_init(&daemon_);
    daemon_start(&daemon_, NULL);
    session_open(&session, daemon_.port, 1);
}

static void teardown(void)
{
    session_close(&session);
    daemon_stop(&daemon_);
    daemon_clear(&daemon_);
}

TestSuite(methods, .init = setup, .fini = teardown);

Test(methods, hello_says_who_answers_and_what_the_limits_are)
{
    const msgpack_object *hello = wire_call(wire, NULL, "hello", "s", "test");
    cr_assert(wire_is_text(wire_get(hello, "server"), "vtad " VTAD_VERSION));
    cr_assert_eq(wire_uint(wire_get(hello, "protocol")), 1);
    cr_assert(wire_is_text(wire_get(hello, "bitstream"), "1x16_i8w8a32_15_15_18_17"));
    cr_assert_eq(wire_uint(wire_get(wire_get(hello, "limits"), "message_bytes")), 8u << 20);
}

Test(methods, ping_returns_what_it_is_given)
{
    cr_assert_eq(wire_uint(wire_call(wire, NULL, "ping", "u", (uint64_t)77)), 77);
    cr_assert_eq(wire_call(wire, NULL, "ping", "")->type, MSGPACK_OBJECT_NIL);
}

Test(methods, cancel_without_a_run_says_false)
{
    cr_assert(!wire_bool(wire_call(wire, NULL, "cancel", "")));
}

Test(methods, modules_go_up_in_chunks_and_come_down_whole)
{
    uint8_t *bytes;
    size_t nbytes;
    make_module(1, &bytes, &nbytes);
    uint64_t upload =
        wire_uint(wire_call(wire, NULL, "module.upload_begin", "su", "b.vta", (uint64_t)nbytes));
    for (size_t at = 0; at < nbytes; at += 100)
        wire_call(wire, NULL, "module.upload_chunk", "uub", upload, (uint64_t)at, bytes + at,
                  nbytes - at < 100 ? nbytes - at : (size_t)100);
    wire_call(wire, NULL, "module.upload_end", "u", upload);

    const msgpack_object *stat = wire_call(wire, NULL, "module.stat", "s", "b.vta");
    cr_assert_eq(wire_uint(wire_get(stat, "bytes")), nbytes);
    const msgpack_object *down = wire_call(wire, NULL, "module.download", "s", "b.vta");
    cr_assert_eq(down->via.bin.size, nbytes);
    cr_assert_eq(memcmp(down->via.bin.ptr, bytes, nbytes), 0);
    down = wire_call(wire, NULL, "module.download", "suu", "b.vta", (uint64_t)7, (uint64_t)9);
    cr_assert_eq(down->via.bin.size, 9);
    cr_assert_eq(memcmp(down->via.bin.ptr, bytes + 7, 9), 0);

    cr_assert_eq(wire_call(wire, NULL, "module.list", "")->via.array.size, 2);
    wire_call(wire, NULL, "module.remove", "s", "b.vta");
    cr_assert_eq(wire_call(wire, NULL, "module.list", "")->via.array.size, 1);
    wire_call(wire, "not-found", "module.stat", "s", "b.vta");
    free(bytes);
}

Test(methods, an_upload_can_be_given_up)
{
    uint64_t upload =
        wire_uint(wire_call(wire, NULL, "module.upload_begin", "su", "b.vta", (uint64_t)100));
    wire_call(wire, NULL, "module.upload_abort", "u", upload);
    wire_call(wire, "bad-handle", "module.upload_end", "u", upload);
}

Test(methods, a_function_has_parameters_and_runs)
{
    const msgpack_object *add = wire_call(wire, NULL, "function.get", "us", session.module, "add");
    cr_assert_eq(wire_get(add, "params")->via.array.size, 3);
    session_check_add(&session);
    wire_call(wire, NULL, "module.unload", "u", session.module);
    wire_call(wire, "bad-handle", "run", "uh", session.add, session.buffers, (size_t)3);
}

Test(methods, time_evaluator_returns_seconds_per_repeat)
{
    const msgpack_object *times =
        wire_call(wire, NULL, "time_evaluator", "uhuuu", session.add, session.buffers, (size_t)3,
                  (uint64_t)2, (uint64_t)3, (uint64_t)0);
    cr_assert_eq(times->via.array.size, 3);
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_gt(times->via.array.ptr[i].via.f64, 0);
}

Test(methods, buffers_are_copied_and_freed)
{
    uint64_t copy = wire_uint(wire_call(wire, NULL, "buffer.alloc", "u", (uint64_t)100));
    wire_call(wire, NULL, "buffer.copy", "uuuuu", copy, (uint64_t)10, session.buffers[0],
              (uint64_t)4, (uint64_t)8);
    const msgpack_object *bytes =
        wire_call(wire, NULL, "buffer.read", "uuu", copy, (uint64_t)10, (uint64_t)8);
    cr_assert_eq(memcmp(bytes->via.bin.ptr, &session.a[1], 8), 0);
    wire_call(wire, NULL, "buffer.free", "u", copy);
    wire_call(wire, "bad-handle", "buffer.read", "uuu", copy, (uint64_t)0, (uint64_t)1);
    wire_call(wire, "out-of-range", "buffer.read", "uuu", session.buffers[0], (uint64_t)255,
              (uint64_t)2);
}

Test(methods, counters_sum_up_and_are_cleared)
{
    session_check_add(&session);
    session_check_add(&session);
    struct vta_counters counters = wire_counters(wire_call(wire, NULL, "counters.get", ""));
    cr_assert_eq(counters.alu_counter, 2 * ADD_NUMBERS / 16);
    wire_call(wire, NULL, "counters.clear", "");
    counters = wire_counters(wire_call(wire, NULL, "counters.get", ""));
    cr_assert_eq(counters.alu_counter, 0);
}

Test(methods, skipped_execution_counts_but_does_not_compute)
{
    wire_call(wire, NULL, "board.skip_execution", "t", 1);
    wire_call(wire, NULL, "run", "uh", session.add, session.buffers, (size_t)3);
    const msgpack_object *bytes = wire_call(wire, NULL, "buffer.read", "uuu", session.buffers[2],
                                            (uint64_t)0, (uint64_t)ADD_NUMBERS);
    for (uint32_t i = 0; i < ADD_NUMBERS; i++)
        cr_assert_eq(bytes->via.bin.ptr[i], 0);
    struct vta_counters counters = wire_counters(wire_call(wire, NULL, "counters.get", ""));
    cr_assert_eq(counters.out_store_nbytes, ADD_NUMBERS);
}

Test(methods, a_board_is_programmed_before_its_first_use_only)
{
    const msgpack_object *info = wire_call(wire, NULL, "board.info", "");
    cr_assert(wire_bool(wire_get(info, "used")));
    wire_call(wire, "wrong-state", "board.program", "s", "4x8_i8w8a32_15_15_18_17");
    wire_call(wire, NULL, "board.program", "s", "1x16_i8w8a32_15_15_18_17");

    struct wire fresh;
    wire_connect(&fresh, daemon_.port);
    wire_call(&fresh, NULL, "board.program", "s", "4x8_i8w8a32_15_15_18_17");
    wire_call(&fresh, NULL, "board.reconfigure", "s", "{\"LOG_BATCH\": 1}");
    cr_assert(wire_is_text(wire_get(wire_call(&fresh, NULL, "board.info", ""), "bitstream"),
                           "2x16_i8w8a32_15_15_18_17"));
    wire_call(&fresh, "bad-configuration", "board.reconfigure", "s", "{\"LOG_BACH\": 1}");
    cr_assert(wire_says(&fresh, "LOG_BATCH"));
    wire_call(&fresh, NULL, "board.reconfigure", "s", "{\"LOG_BATCH\": 1, \"LOG_BUS_WIDTH\": 6}");
    daemon_wait_log(&daemon_, "hardware: unknown key 'LOG_BUS_WIDTH' is ignored");
    wire_close(&fresh);
}

Test(methods, device_attributes_are_a_boards)
{
    const msgpack_object *device = wire_call(wire, NULL, "device.attributes", "");
    cr_assert(wire_bool(wire_get(device, "exist")));
    cr_assert_eq(wire_uint(wire_get(device, "device_type")), 12);
}

Test(methods, an_unknown_method_is_an_error_and_the_session_goes_on)
{
    wire_call(wire, "unknown-method", "pong", "");
    cr_assert(wire_says(wire, "ping"));
    wire_call(wire, "invalid-argument", "buffer.alloc", "s", "many");
    wire_call(wire, "invalid-argument", "buffer.alloc", "");
    wire_call(wire, NULL, "ping", "");
}

Test(methods, a_notification_is_executed_and_not_answered)
{
    session_check_add(&session);
    wire_notify(wire, "counters.clear");
    wire_notify(wire, "ping");
    wire_notify(wire, "module.list");
    wire_notify(wire, "nonsense");
    struct vta_counters counters = wire_counters(wire_call(wire, NULL, "counters.get", ""));
    cr_assert_eq(counters.alu_counter, 0);
}
