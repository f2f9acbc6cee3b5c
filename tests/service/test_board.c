/* test_board.c: buffers, the board's configuration, its counters, as a client meets them. */
#include <criterion/criterion.h>

#include <string.h>

#include "harness.h"

static struct vta_service_options options;
static struct vta_service *service;

static void open_small(void)
{
    small_options(&options);
    service = open_service(&options);
}

static void close_small(void)
{
    vta_service_free(service);
    release_answers();
}

static vta_handle alloc(uint64_t nbytes)
{
    return as_uint(cr_ok(ask(service, "buffer.alloc", "u", nbytes))->result);
}

/* Whether buffer[offset…] holds these bytes. */
static bool holds(vta_handle buffer, uint64_t offset, const void *bytes, uint64_t nbytes)
{
    const msgpack_object *got =
        cr_ok(ask(service, "buffer.read", "uuu", buffer, offset, nbytes))->result;
    cr_assert_eq(got->type, MSGPACK_OBJECT_BIN);
    return got->via.bin.size == nbytes && memcmp(got->via.bin.ptr, bytes, nbytes) == 0;
}

TestSuite(buffers, .init = open_small, .fini = close_small);
TestSuite(board, .init = open_small, .fini = close_small);

/* ---- Buffers ------------------------------------------------------------------------------- */

Test(buffers, begin_zeroed_and_hold_what_is_written)
{
    vta_handle buffer = alloc(10000);
    cr_assert(holds(buffer, 9990, "\0\0\0\0\0\0\0\0\0", 10));
    cr_ok(ask(service, "buffer.write", "uub", buffer, UINT64_C(5), "hello", (size_t)5));
    cr_assert(holds(buffer, 4, "\0hello", 7));
    cr_assert(holds(buffer, 10000, "", 0));
    cr_ok(ask(service, "buffer.write", "uus", buffer, UINT64_C(0), "text")); /* str for bin */
    cr_assert(holds(buffer, 0, "text\0hello", 10));
}

Test(buffers, are_read_without_a_copy)
{
    vta_handle buffer = alloc(8192);
    struct answer *answer =
        cr_ok(ask(service, "buffer.read", "uuu", buffer, UINT64_C(0), UINT64_C(8192)));
    cr_assert_eq(answer->bulk_bytes, 8192);
    cr_assert_lt(answer->head_bytes, 64);
}

Test(buffers, are_copied_also_onto_themselves)
{
    vta_handle from = alloc(16), to = alloc(16);
    cr_ok(ask(service, "buffer.write", "uub", from, UINT64_C(0), "0123456789abcdef", (size_t)16));
    cr_ok(ask(service, "buffer.copy", "uuuuu", to, UINT64_C(2), from, UINT64_C(4), UINT64_C(6)));
    cr_assert(holds(to, 0,
                    "\0\0"
                    "456789\0",
                    9));
    cr_ok(ask(service, "buffer.copy", "uuuuu", from, UINT64_C(1), from, UINT64_C(0), UINT64_C(15)));
    cr_assert(holds(from, 0, "00123456789abcde", 16));
}

Test(buffers, refuse_what_lies_outside)
{
    vta_handle a = alloc(100), b = alloc(100);
    cr_fails(ask(service, "buffer.write", "uub", a, UINT64_C(98), "xyz", (size_t)3), VTA_ERANGE,
             "buffer.write: ");
    cr_fails(ask(service, "buffer.read", "uuu", a, UINT64_MAX, UINT64_C(2)), VTA_ERANGE,
             "buffer.read: ");
    cr_fails(ask(service, "buffer.read", "uuu", a, UINT64_C(0), UINT64_C(101)), VTA_ERANGE, "101");
    cr_fails(ask(service, "buffer.copy", "uuuuu", a, UINT64_C(0), b, UINT64_C(1), UINT64_C(100)),
             VTA_ERANGE, "buffer.copy: ");
    cr_fails(ask(service, "buffer.copy", "uuuuu", a, UINT64_C(1), b, UINT64_C(0), UINT64_C(100)),
             VTA_ERANGE, "buffer.copy: ");
}

Test(buffers, refuse_handles_that_are_none)
{
    cr_fails(ask(service, "buffer.free", "u", UINT64_C(5)), VTA_EHANDLE, "buffer.free: buffer");
    vta_handle buffer = alloc(100);
    cr_ok(ask(service, "buffer.free", "u", buffer));
    cr_fails(ask(service, "buffer.free", "u", buffer), VTA_EHANDLE, "stale");
    cr_fails(ask(service, "buffer.write", "uub", buffer, UINT64_C(0), "x", (size_t)1), VTA_EHANDLE,
             "stale");
    cr_fails(ask(service, "buffer.read", "uuu", buffer, UINT64_C(0), UINT64_C(1)), VTA_EHANDLE,
             "stale");
    cr_fails(
        ask(service, "buffer.copy", "uuuuu", buffer, UINT64_C(0), buffer, UINT64_C(0), UINT64_C(1)),
        VTA_EHANDLE, "stale");
    vta_handle tiny = get_function(service, KERNEL_TINY, "tiny.vta", "tiny");
    cr_fails(ask(service, "buffer.free", "u", tiny), VTA_EHANDLE, "function");
    cr_fails(ask(service, "buffer.free", "u", UINT64_C(0)), VTA_EHANDLE, "never a handle");
}

Test(buffers, keep_the_limits)
{
    struct answer *answer = ask(service, "buffer.alloc", "u", options.board.dram_bytes + 1);
    cr_fails(answer, VTA_ELIMIT, "buffer.alloc: ");
    cr_assert(answer->error.has_limit);
    cr_assert_eq(answer->error.limit, (int64_t)options.board.dram_bytes);
    cr_fails(ask(service, "buffer.alloc", "u", UINT64_C(0)), VTA_EINVAL, "0 bytes");

    vta_handle buffer = alloc(options.max_read_bytes + 1);
    answer = ask(service, "buffer.read", "uuu", buffer, UINT64_C(0), options.max_read_bytes + 1);
    cr_fails(answer, VTA_ELIMIT, "read_bytes");
    cr_assert_eq(answer->error.limit, (int64_t)options.max_read_bytes);
    cr_assert_eq(answer->error.value, (int64_t)options.max_read_bytes + 1);

    for (uint32_t i = 1; i < options.max_buffers; i++)
        alloc(1);
    answer = ask(service, "buffer.alloc", "u", UINT64_C(1));
    cr_fails(answer, VTA_ELIMIT, "buffers");
    cr_assert_eq(answer->error.limit, options.max_buffers);
    cr_ok(ask(service, "buffer.free", "u", buffer));
    alloc(1);
}

/* ---- The board ----------------------------------------------------------------------------- */

Test(board, info_says_what_it_is_and_does_not_use_it)
{
    const msgpack_object *info = cr_ok(ask(service, "board.info", ""))->result;
    cr_assert(is_text(at(info, "device"), "sim"));
    cr_assert_eq(at(info, "kernels")->type, MSGPACK_OBJECT_STR);
    cr_assert(is_text(at(info, "bitstream"), "1x16_i8w8a32_15_15_18_17"));
    cr_assert_eq(uint_at(at(info, "hardware"), "LOG_BATCH"), 0);
    cr_assert_eq(uint_at(info, "dram_bytes"), options.board.dram_bytes);
    cr_assert_eq(uint_at(info, "dram_used"), 0);
    cr_assert_eq(at(info, "used")->via.boolean, false);
    cr_assert_eq(at(info, "skip_execution")->via.boolean, false);
    ask(service, "buffer.read", "uuu", UINT64_C(1), UINT64_C(0), UINT64_C(1));
    cr_assert_eq(at(cr_ok(ask(service, "board.info", ""))->result, "used")->via.boolean, false);

    alloc(4096);
    cr_ok(ask(service, "board.skip_execution", "t"));
    info = cr_ok(ask(service, "board.info", ""))->result;
    cr_assert_eq(uint_at(info, "dram_used"), 4096);
    cr_assert_eq(uint_at(info, "buffers"), 1);
    cr_assert_eq(at(info, "used")->via.boolean, true);
    cr_assert_eq(at(info, "skip_execution")->via.boolean, true);
}

Test(board, attributes_are_those_of_an_ext_dev)
{
    const msgpack_object *map = cr_ok(ask(service, "device.attributes", ""))->result;
    cr_assert_eq(at(map, "exist")->via.boolean, true);
    cr_assert_eq(uint_at(map, "device_type"), 12);
    cr_assert(is_text(at(map, "name"), "sim"));
    cr_assert_eq(uint_at(map, "max_threads"), 1);
    cr_assert_eq(uint_at(map, "dram_bytes"), options.board.dram_bytes);
    cr_assert_eq(uint_at(map, "page_bytes"), 4096);
}

Test(board, is_programmed_by_a_bitstreams_name)
{
    const msgpack_object *map =
        cr_ok(ask(service, "board.program", "s", "4x8_i8w8a32_15_15_18_17.bit"))->result;
    cr_assert(is_text(at(map, "bitstream"), "4x8_i8w8a32_15_15_18_17"));
    cr_assert_eq(uint_at(at(map, "hardware"), "LOG_BATCH"), 2);
    cr_assert_eq(uint_at(at(cr_ok(ask(service, "hello", ""))->result, "hardware"), "LOG_BLOCK"), 3);
    map = cr_ok(ask(service, "board.program", "s", "folder/design_1_wrapper.bit"))->result;
    cr_assert(is_text(at(map, "bitstream"), "4x8_i8w8a32_15_15_18_17"));
    cr_fails(ask(service, "board.program", "s", "3x8_i8w8a32_15_15_18_17"), VTA_ECONFIG,
             "not a power of two");
    cr_fails(ask(service, "board.program", "s", "1x16_i8w8a32_15_15_18_60"), VTA_ECONFIG,
             "board.program: ");
    cr_assert(is_text(at(cr_ok(ask(service, "board.info", ""))->result, "bitstream"),
                      "4x8_i8w8a32_15_15_18_17"));
}

/* {"LOG_BATCH": 1, "TARGET": "pynq"} */
static const char batch_map[] = "\x82\xa9LOG_BATCH\x01\xa6TARGET\xa4pynq";

Test(board, is_reconfigured_by_a_map_or_by_json)
{
    const msgpack_object *map =
        cr_ok(ask(service, "board.reconfigure", "m", batch_map, sizeof batch_map - 1))->result;
    cr_assert_eq(uint_at(at(map, "hardware"), "LOG_BATCH"), 1);
    cr_assert(is_text(at(at(map, "hardware"), "TARGET"), "pynq"));
    map = cr_ok(ask(service, "board.reconfigure", "s", "{\"LOG_BLOCK\": 5, \"LOG_INP_WIDTH\": 2}"))
              ->result;
    cr_assert_eq(uint_at(at(map, "hardware"), "LOG_BATCH"), 0);
    cr_assert_eq(uint_at(at(map, "hardware"), "LOG_BLOCK"), 5);
}

static char warned[256];

static void keep_warning(void *context, const char *text)
{
    snprintf(context, sizeof warned, "%s", text);
}

Test(board, says_what_it_passes_over_of_a_configuration)
{
    options.warnings = (struct vta_hw_warnings){ .line = keep_warning, .context = warned };
    struct vta_service *loud = open_service(&options);
    cr_ok(ask(loud, "board.reconfigure", "s", "{\"LOG_BATCH\": 1, \"LOG_BUS_WIDTH\": 6}"));
    cr_assert_not_null(strstr(warned, "'LOG_BUS_WIDTH'"), "%s", warned);
    cr_ok(ask(loud, "board.reconfigure", "O", "LOG_BATCH", UINT64_C(0)));
    vta_service_free(loud);
}

Test(board, refuses_configurations_that_are_none)
{
    static const char text_value[] = "\x81\xa9LOG_BATCH\xa1x",
                      float_value[] = "\x81\xa9LOG_BATCH\xca\x3f\x80\x00\x00",
                      number_key[] = "\x81\x01\x01";
    cr_fails(ask(service, "board.reconfigure", "O", "LOG_BACH", UINT64_C(1)), VTA_ECONFIG,
             "LOG_BATCH");
    cr_fails(ask(service, "board.reconfigure", "O", "LOG_BATCH", UINT64_C(200)), VTA_ECONFIG,
             "board.reconfigure: ");
    cr_fails(ask(service, "board.reconfigure", "O", "LOG_BATCH", UINT64_MAX), VTA_EINVAL,
             "params[0].LOG_BATCH");
    cr_fails(ask(service, "board.reconfigure", "m", text_value, sizeof text_value - 1), VTA_ECONFIG,
             "LOG_BATCH");
    cr_fails(ask(service, "board.reconfigure", "m", float_value, sizeof float_value - 1),
             VTA_EINVAL, "params[0].LOG_BATCH");
    cr_fails(ask(service, "board.reconfigure", "m", number_key, sizeof number_key - 1), VTA_EINVAL,
             "params[0]");
    cr_fails(ask(service, "board.reconfigure", "s", "{\"LOG_BATCH\":"), VTA_EFORMAT,
             "board.reconfigure: ");
    cr_fails(ask(service, "board.reconfigure", "u", UINT64_C(1)), VTA_EINVAL, "params[0]");
}

Test(board, keeps_its_configuration_once_it_is_used)
{
    alloc(1);
    cr_fails(ask(service, "board.program", "s", "4x8_i8w8a32_15_15_18_17"), VTA_ESTATE,
             "board.program: ");
    cr_fails(ask(service, "board.reconfigure", "m", batch_map, sizeof batch_map - 1), VTA_ESTATE,
             "board.reconfigure: ");
    cr_ok(ask(service, "board.program", "s", "1x16_i8w8a32_15_15_18_17"));
    cr_ok(ask(service, "board.reconfigure", "O", "LOG_BATCH", UINT64_C(0)));
}

Test(board, sums_counters_until_they_are_cleared)
{
    vta_handle tiny = get_function(service, KERNEL_TINY, "tiny.vta", "tiny");
    const msgpack_object *map = cr_ok(ask(service, "counters.get", ""))->result;
    cr_assert_eq(map->via.map.size, 7);
    cr_assert_eq(uint_at(map, "gemm_counter"), 0);
    cr_ok(ask(service, "run", "uh", tiny, NULL, (size_t)0));
    cr_ok(ask(service, "run", "uh", tiny, NULL, (size_t)0));
    map = cr_ok(ask(service, "counters.get", ""))->result;
    cr_assert_eq(uint_at(map, "gemm_counter"), 2);
    cr_assert_eq(uint_at(map, "uop_load_nbytes"), 8);
    cr_assert_eq(uint_at(map, "alu_counter"), 0);
    cr_ok(ask(service, "counters.clear", ""));
    cr_assert_eq(uint_at(cr_ok(ask(service, "counters.get", ""))->result, "gemm_counter"), 0);
}
