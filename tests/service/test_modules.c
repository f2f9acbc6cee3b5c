/* test_modules.c: module files in a session: uploading, looking, loading, and every refusal. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "harness.h"

static struct vta_service_options options;
static struct vta_service *service;
static uint8_t *file;
static size_t nbytes;

static void open_small(void)
{
    small_options(&options);
    service = open_service(&options);
    file = make_simple(&nbytes, KERNEL_ADD, "add");
}

static void close_small(void)
{
    vta_service_free(service);
    release_answers();
    free(file);
}

TestSuite(upload, .init = open_small, .fini = close_small);
TestSuite(modules, .init = open_small, .fini = close_small);

static bool bytes_are(const msgpack_object *got, const void *bytes, size_t n)
{
    return got->type == MSGPACK_OBJECT_BIN && got->via.bin.size == n &&
           memcmp(got->via.bin.ptr, bytes, n) == 0;
}

static bool digest_is(const msgpack_object *text, const void *bytes, size_t n)
{
    uint8_t digest[VTA_DIGEST_BYTES];
    char hex[2 * VTA_DIGEST_BYTES + 1];
    vta_digest(bytes, n, digest);
    for (int i = 0; i < VTA_DIGEST_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return is_text(text, hex);
}

/* ---- Uploading ----------------------------------------------------------------------------- */

Test(upload, keeps_the_bytes_and_tells_their_digest)
{
    const msgpack_object *map =
        cr_ok(ask(service, "module.upload", "sb", "a.vta", file, nbytes))->result;
    cr_assert(is_text(at(map, "name"), "a.vta"));
    cr_assert_eq(uint_at(map, "bytes"), nbytes);
    cr_assert(digest_is(at(map, "digest"), file, nbytes));
    cr_assert(
        bytes_are(cr_ok(ask(service, "module.download", "s", "a.vta"))->result, file, nbytes));
}

Test(upload, checks_the_file)
{
    cr_fails(ask(service, "module.upload", "sb", "a.vta", "nonsense", (size_t)8), VTA_EFORMAT,
             "a.vta: ");
    cr_fails(ask(service, "module.upload", "sb", "a.vta", "", (size_t)0), VTA_EFORMAT, "a.vta: ");
    uint8_t *broken = malloc(nbytes);
    for (size_t i = 0; i < nbytes; i++) {
        memcpy(broken, file, nbytes);
        broken[i] ^= 0x40;
        cr_assert_neq(ask(service, "module.upload", "sb", "b.vta", broken, nbytes)->error.code, 0,
                      "byte %zu", i);
    }
    free(broken);
    cr_assert_eq(cr_ok(ask(service, "module.list", ""))->result->via.array.size, 0);
}

Test(upload, refuses_names_that_no_module_may_have)
{
    static const char *const bad[] = { "a/b",  "..",   ".",        "a\nb",
                                       "\x7f", "\xff", "\xc2\x85", "\xed\xa0\x80" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_fails(ask(service, "module.upload", "sb", bad[i], file, nbytes), VTA_EINVAL,
                 "module.upload: params[0]");
    char name[257];
    memset(name, 'n', 256);
    name[256] = '\0';
    cr_fails(ask(service, "module.upload", "sb", name, file, nbytes), VTA_EINVAL, "params[0]");
    cr_fails(ask(service, "module.upload", "sb", "", file, nbytes), VTA_EINVAL,
             "params[0]: expected a module's name: UTF-8 of 1 to 255 bytes without control "
             "characters; this one has 0 bytes");
    name[255] = '\0';
    cr_ok(ask(service, "module.upload", "sb", name, file, nbytes));
    cr_ok(ask(service, "module.upload", "sb", "\xc3\xa9\xe2\x82\xac %2F..x", file, nbytes));
    cr_ok(ask(service, "module.stat", "s", "\xc3\xa9\xe2\x82\xac %2F..x"));
}

Test(upload, with_store_needs_a_store)
{
    cr_fails(ask(service, "module.upload", "sbB", "a.vta", file, nbytes, "store", 1),
             VTA_EUNSUPPORTED, "module.upload: params[2].store");
    cr_fails(ask(service, "module.upload_begin", "suB", "a.vta", (uint64_t)nbytes, "store", 1),
             VTA_EUNSUPPORTED, "store");
    cr_ok(ask(service, "module.upload", "sbB", "a.vta", file, nbytes, "store", 0));
}

Test(upload, in_chunks_is_the_same_as_whole)
{
    vta_handle up = as_uint(
        cr_ok(ask(service, "module.upload_begin", "su", "a.vta", (uint64_t)nbytes))->result);
    for (size_t offset = 0; offset < nbytes; offset += 100) {
        size_t n = nbytes - offset < 100 ? nbytes - offset : 100;
        cr_ok(ask(service, "module.upload_chunk", "uub", up, (uint64_t)offset, file + offset, n));
    }
    const msgpack_object *map = cr_ok(ask(service, "module.upload_end", "u", up))->result;
    cr_assert(digest_is(at(map, "digest"), file, nbytes));
    cr_assert(
        bytes_are(cr_ok(ask(service, "module.download", "s", "a.vta"))->result, file, nbytes));
    cr_fails(ask(service, "module.upload_end", "u", up), VTA_EHANDLE, "stale");
}

Test(upload, takes_chunks_in_order_only)
{
    vta_handle up =
        as_uint(cr_ok(ask(service, "module.upload_begin", "su", "a.vta", UINT64_C(10)))->result);
    cr_ok(ask(service, "module.upload_chunk", "uub", up, UINT64_C(0), "12345678", (size_t)8));
    cr_fails(ask(service, "module.upload_chunk", "uub", up, UINT64_C(10), "x", (size_t)1),
             VTA_ERANGE, "offset 10, but 8 bytes");
    cr_fails(ask(service, "module.upload_chunk", "uub", up, UINT64_C(0), "x", (size_t)1),
             VTA_ERANGE, "offset 0");
    cr_fails(ask(service, "module.upload_chunk", "uub", up, UINT64_C(8), "xyz", (size_t)3),
             VTA_ERANGE, "announced 10");
    cr_fails(ask(service, "module.upload_end", "u", up), VTA_ESIZE, "8 of the announced 10");
    cr_ok(ask(service, "module.upload_chunk", "uub", up, UINT64_C(8), "90", (size_t)2));
    cr_fails(ask(service, "module.upload_end", "u", up), VTA_EFORMAT, "a.vta: ");
    cr_fails(ask(service, "module.upload_chunk", "uub", up, UINT64_C(10), "", (size_t)0),
             VTA_EHANDLE, "stale");
}

Test(upload, that_is_aborted_leaves_nothing)
{
    vta_handle up =
        as_uint(cr_ok(ask(service, "module.upload_begin", "su", "a.vta", UINT64_C(10)))->result);
    cr_ok(ask(service, "module.upload_chunk", "uub", up, UINT64_C(0), "12345678", (size_t)8));
    cr_ok(ask(service, "module.upload_abort", "u", up));
    cr_fails(ask(service, "module.upload_abort", "u", up), VTA_EHANDLE, "stale");
    cr_fails(ask(service, "module.stat", "s", "a.vta"), VTA_ENOTFOUND, "a.vta");
    cr_fails(ask(service, "module.upload_chunk", "uub", UINT64_C(77), UINT64_C(0), "", (size_t)0),
             VTA_EHANDLE, "module.upload_chunk: ");
}

Test(upload, counts_what_has_arrived_not_what_is_announced)
{
    static uint8_t half[33u << 10];
    uint64_t total = options.max_upload_bytes;
    vta_handle a = as_uint(cr_ok(ask(service, "module.upload_begin", "su", "a", total))->result);
    vta_handle b = as_uint(cr_ok(ask(service, "module.upload_begin", "su", "b", total))->result);
    cr_ok(ask(service, "module.upload_chunk", "uub", a, UINT64_C(0), half, sizeof half));
    struct answer *answer =
        ask(service, "module.upload_chunk", "uub", b, UINT64_C(0), half, sizeof half);
    cr_fails(answer, VTA_ELIMIT, "upload_bytes");
    cr_assert_eq(answer->error.limit, (int64_t)options.max_upload_bytes);
    cr_assert_eq(answer->error.value, (int64_t)(2 * sizeof half));
    cr_ok(ask(service, "module.upload_abort", "u", a));
    cr_ok(ask(service, "module.upload_chunk", "uub", b, UINT64_C(0), half, sizeof half));
    cr_fails(ask(service, "module.upload_begin", "su", "c", total), VTA_ELIMIT, "upload_bytes");
}

Test(upload, keeps_the_limits)
{
    struct answer *answer = ask(service, "module.upload_begin", "su", "a", UINT64_MAX);
    cr_fails(answer, VTA_ELIMIT, "module_bytes");
    cr_assert_eq(answer->error.limit, (int64_t)options.module.file_bytes);
    cr_fails(ask(service, "module.upload_begin", "su", "a", options.max_upload_bytes + 1),
             VTA_ELIMIT, "upload_bytes");

    size_t big_bytes;
    uint8_t *big = make_big(&big_bytes, 65u << 10, 0);
    cr_fails(ask(service, "module.upload", "sb", "big", big, big_bytes), VTA_ELIMIT,
             "upload_bytes");
    free(big);

    char name[2] = "a";
    for (uint32_t i = 0; i < options.max_modules; i++, name[0]++)
        cr_ok(ask(service, "module.upload", "sb", name, file, nbytes));
    answer = ask(service, "module.upload", "sb", "more", file, nbytes);
    cr_fails(answer, VTA_ELIMIT, "modules");
    cr_assert_eq(answer->error.limit, options.max_modules);
    cr_ok(ask(service, "module.upload", "sb", "a", file, nbytes)); /* replaces */
    cr_ok(ask(service, "module.remove", "s", "b"));
    cr_ok(ask(service, "module.upload", "sb", "more", file, nbytes));

    for (uint32_t i = 0; i < options.max_modules; i++)
        cr_ok(ask(service, "module.upload_begin", "su", "u", UINT64_C(1)));
    cr_fails(ask(service, "module.upload_begin", "su", "u", UINT64_C(1)), VTA_ELIMIT, "upload");
}

/* ---- Looking ------------------------------------------------------------------------------- */

Test(modules, are_listed_by_name)
{
    cr_ok(ask(service, "module.upload", "sb", "b", file, nbytes));
    cr_ok(ask(service, "module.upload", "sb", "c", file, nbytes));
    cr_ok(ask(service, "module.upload", "sb", "a", file, nbytes));
    const msgpack_object *list = cr_ok(ask(service, "module.list", ""))->result;
    cr_assert_eq(list->via.array.size, 3);
    cr_assert(is_text(at(&list->via.array.ptr[0], "name"), "a"));
    cr_assert(is_text(at(&list->via.array.ptr[1], "name"), "b"));
    cr_assert(is_text(at(&list->via.array.ptr[2], "name"), "c"));
    cr_ok(ask(service, "module.remove", "s", "b"));
    list = cr_ok(ask(service, "module.list", ""))->result;
    cr_assert_eq(list->via.array.size, 2);
    cr_assert(is_text(at(&list->via.array.ptr[1], "name"), "c"));
}

Test(modules, say_their_size_and_digest)
{
    cr_ok(ask(service, "module.upload", "sb", "a", file, nbytes));
    const msgpack_object *map = cr_ok(ask(service, "module.stat", "s", "a"))->result;
    cr_assert(is_text(at(map, "name"), "a"));
    cr_assert_eq(uint_at(map, "bytes"), nbytes);
    cr_assert(digest_is(at(map, "digest"), file, nbytes));
    cr_assert_eq(at(map, "stored")->via.boolean, false);
}

Test(modules, are_downloaded_whole_or_in_parts)
{
    cr_ok(ask(service, "module.upload", "sb", "a", file, nbytes));
    cr_assert(bytes_are(
        cr_ok(ask(service, "module.download", "suu", "a", UINT64_C(7), UINT64_C(20)))->result,
        file + 7, 20));
    cr_assert(bytes_are(
        cr_ok(ask(service, "module.download", "suu", "a", (uint64_t)nbytes, UINT64_C(0)))->result,
        "", 0));
    cr_fails(ask(service, "module.download", "suu", "a", UINT64_C(1), (uint64_t)nbytes), VTA_ERANGE,
             "module.download: 'a' has");
    cr_fails(ask(service, "module.download", "suu", "a", (uint64_t)nbytes + 1, UINT64_C(0)),
             VTA_ERANGE, "'a' has");
    cr_fails(ask(service, "module.download", "su", "a", UINT64_C(1)), VTA_EINVAL, "1 or 3 params");

    size_t big_bytes;
    uint8_t *big = make_big(&big_bytes, options.max_read_bytes, 0);
    cr_ok(ask(service, "module.upload", "sb", "big", big, big_bytes));
    cr_fails(ask(service, "module.download", "s", "big"), VTA_ELIMIT, "read_bytes");
    cr_assert(bytes_are(
        cr_ok(ask(service, "module.download", "suu", "big", UINT64_C(0), options.max_read_bytes))
            ->result,
        big, options.max_read_bytes));
    free(big);
}

Test(modules, that_are_not_there_are_not_found)
{
    cr_fails(ask(service, "module.stat", "s", "no"), VTA_ENOTFOUND, "module.stat: no module 'no'");
    cr_fails(ask(service, "module.download", "s", "no"), VTA_ENOTFOUND, "no module 'no'");
    cr_fails(ask(service, "module.remove", "s", "no"), VTA_ENOTFOUND, "no module 'no'");
    cr_fails(ask(service, "module.load", "s", "no"), VTA_ENOTFOUND, "no module 'no'");
}

/* ---- Loading ------------------------------------------------------------------------------- */

static vta_handle load(const char *name)
{
    return uint_at(cr_ok(ask(service, "module.load", "s", name))->result, "module");
}

Test(modules, load_with_the_names_of_their_functions)
{
    const enum kernel_kind kinds[] = { KERNEL_ADD, KERNEL_TINY };
    const char *const names[] = { "one", "two" };
    struct vta_hw hw;
    size_t n;
    vta_hw_default(&hw);
    uint8_t *bytes = make_module(&hw, &n, kinds, names, 2);
    cr_ok(ask(service, "module.upload", "sb", "m", bytes, n));
    free(bytes);
    const msgpack_object *map = cr_ok(ask(service, "module.load", "s", "m"))->result;
    const msgpack_object *functions = at(map, "functions");
    cr_assert_eq(functions->via.array.size, 2);
    cr_assert(is_text(&functions->via.array.ptr[0], "one"));
    cr_assert(is_text(&functions->via.array.ptr[1], "two"));
}

Test(modules, are_refused_with_the_verifiers_reason)
{
    uint8_t *bytes;
    size_t n;
    bytes = make_simple(&n, KERNEL_DEADLOCK, "my_gemm");
    cr_ok(ask(service, "module.upload", "sb", "gemm.vta", bytes, n));
    free(bytes);
    struct answer *answer = ask(service, "module.load", "s", "gemm.vta");
    cr_fails(answer, VTA_EDEADLOCK, "gemm.vta: my_gemm: refused: deadlock");
    cr_assert_eq(strncmp(answer->error.message, "gemm.vta: ", 10), 0, "%s", answer->error.message);

    bytes = make_simple(&n, KERNEL_OUTSIDE, "add");
    cr_ok(ask(service, "module.upload", "sb", "out.vta", bytes, n));
    free(bytes);
    answer = ask(service, "module.load", "s", "out.vta");
    cr_fails(answer, VTA_EDRAM, "out.vta: add: ");
    cr_assert_eq(answer->error.insn, 1);
}

/* Loads KERNEL_RACING by another policy. */
static struct answer *load_racing(enum vta_hazard_policy policy)
{
    vta_service_free(service);
    options.board.hazards.policy = policy;
    service = open_service(&options);
    size_t n;
    uint8_t *bytes = make_simple(&n, KERNEL_RACING, "add");
    cr_ok(ask(service, "module.upload", "sb", "add.vta", bytes, n));
    free(bytes);
    return ask(service, "module.load", "s", "add.vta");
}

Test(modules, are_loaded_with_what_may_go_wrong_on_a_board)
{
    const msgpack_object *result = cr_ok(load_racing(VTA_HAZARDS_WARN))->result;
    const msgpack_object *list = at(result, "hazards"), *race = &list->via.array.ptr[0];
    cr_assert_eq(uint_at(result, "hazards_found"), 1);
    cr_assert_eq(list->via.array.size, 1);
    cr_assert(is_text(at(race, "function"), "add"));
    cr_assert(is_text(at(race, "kind"), "race"));
    cr_assert(is_text(at(race, "memory"), "OUT"));
    cr_assert(!at(race, "warning")->via.boolean);
    cr_assert_eq(uint_at(race, "insn"), 2);
    cr_assert_eq(uint_at(race, "other"), 3);
    cr_assert_eq(uint_at(race, "begin"), 0);
    cr_assert_eq(uint_at(race, "end"), ADD_ROWS);
    cr_assert_eq(uint_at(race, "count"), ADD_ROWS);
}

Test(modules, with_hazards_are_refused_where_the_policy_is_to_fail)
{
    struct answer *answer = load_racing(VTA_HAZARDS_FAIL);
    cr_fails(answer, VTA_EHAZARD,
             "add.vta: add: refused: race: OUT 0 to 3: insn 2 ALU writes what "
             "insn 3 STORE reads");
    cr_assert_eq(answer->error.insn, 2);
}

Test(modules, are_not_looked_at_for_hazards_where_the_policy_is_off)
{
    const msgpack_object *result = cr_ok(load_racing(VTA_HAZARDS_OFF))->result;
    cr_assert_eq(uint_at(result, "hazards_found"), 0);
    cr_assert_eq(at(result, "hazards")->via.array.size, 0);
}

Test(modules, that_read_what_nothing_has_written_are_loaded_whatever_the_policy)
{
    size_t n;
    vta_service_free(service);
    options.board.hazards.policy = VTA_HAZARDS_FAIL;
    service = open_service(&options);
    uint8_t *bytes = make_simple(&n, KERNEL_TINY, "tiny");
    cr_ok(ask(service, "module.upload", "sb", "tiny", bytes, n));
    free(bytes);
    const msgpack_object *result = cr_ok(ask(service, "module.load", "s", "tiny"))->result;
    const msgpack_object *first = &at(result, "hazards")->via.array.ptr[0];
    cr_assert(uint_at(result, "hazards_found") > 0);
    cr_assert(is_text(at(first, "kind"), "unwritten"));
    cr_assert(at(first, "warning")->via.boolean);
    cr_assert_eq(at(first, "other")->type, MSGPACK_OBJECT_NIL);
}

Test(modules, for_other_hardware_are_refused)
{
    struct vta_hw hw;
    size_t n;
    enum kernel_kind kind = KERNEL_TINY;
    const char *name = "tiny";
    vta_hw_default(&hw);
    hw.log_batch = 1;
    cr_assert_eq(vta_hw_derive(&hw, NULL), 0);
    uint8_t *bytes = make_module(&hw, &n, &kind, &name, 1);
    cr_ok(ask(service, "module.upload", "sb", "other", bytes, n));
    free(bytes);
    cr_fails(ask(service, "module.load", "s", "other"), VTA_EHARDWARE, "other: ");
    cr_ok(ask(service, "board.reconfigure", "O", "LOG_BATCH", UINT64_C(1)));
    cr_ok(ask(service, "module.load", "s", "other"));
}

Test(modules, with_too_much_work_are_refused)
{
    vta_service_free(service);
    options.board.max_work = 1000;
    service = open_service(&options);
    uint8_t *bytes;
    size_t n;
    bytes = make_simple(&n, KERNEL_SLOW, "slow");
    cr_ok(ask(service, "module.upload", "sb", "slow", bytes, n));
    free(bytes);
    struct answer *answer = ask(service, "module.load", "s", "slow");
    cr_fails(answer, VTA_EWORK, "slow: slow: ");
    cr_assert(answer->error.has_limit);
    cr_assert_eq(answer->error.limit, 1000);
}

Test(modules, keep_the_limits_when_loaded)
{
    cr_ok(ask(service, "module.upload", "sb", "a", file, nbytes));
    for (uint32_t i = 0; i < options.max_modules; i++)
        load("a");
    struct answer *answer = ask(service, "module.load", "s", "a");
    cr_fails(answer, VTA_ELIMIT, "module");
    cr_assert_eq(answer->error.limit, options.max_modules);
}

Test(modules, loaded_often_keep_the_limit_of_bytes)
{
    size_t big_bytes;
    uint8_t *big = make_big(&big_bytes, 30u << 10, 0);
    cr_ok(ask(service, "module.upload", "sb", "big", big, big_bytes));
    free(big);
    vta_handle first = load("big");
    load("big");
    cr_fails(ask(service, "module.load", "s", "big"), VTA_ELIMIT, "upload_bytes");
    cr_ok(ask(service, "module.unload", "u", first));
    load("big");
}

Test(modules, stay_loaded_when_their_name_is_removed_or_replaced)
{
    vta_handle tiny = get_function(service, KERNEL_TINY, "m", "tiny");
    cr_ok(ask(service, "module.upload", "sb", "m", file, nbytes));
    cr_ok(ask(service, "run", "uh", tiny, NULL, (size_t)0));
    cr_ok(ask(service, "module.remove", "s", "m"));
    cr_ok(ask(service, "run", "uh", tiny, NULL, (size_t)0));
}

Test(modules, take_their_functions_along_when_unloaded)
{
    cr_ok(ask(service, "module.upload", "sb", "a", file, nbytes));
    vta_handle module = load("a");
    uint64_t function =
        uint_at(cr_ok(ask(service, "function.get", "us", module, "add"))->result, "function");
    cr_ok(ask(service, "module.unload", "u", module));
    cr_fails(ask(service, "module.unload", "u", module), VTA_EHANDLE, "stale");
    cr_fails(ask(service, "function.get", "us", module, "add"), VTA_EHANDLE, "stale");
    cr_fails(ask(service, "run", "uh", function, NULL, (size_t)0), VTA_EHANDLE,
             "run: function handle");
    cr_fails(ask(service, "run", "uh", module, NULL, (size_t)0), VTA_EHANDLE, "module");
}

/* ---- Functions ----------------------------------------------------------------------------- */

Test(modules, tell_what_a_function_takes)
{
    cr_ok(ask(service, "module.upload", "sb", "a", file, nbytes));
    vta_handle module = load("a");
    const msgpack_object *map = cr_ok(ask(service, "function.get", "us", module, "add"))->result;
    uint64_t function = uint_at(map, "function");
    cr_assert(is_text(at(map, "name"), "add"));
    cr_assert_eq(uint_at(map, "insns"), 5);
    cr_assert_eq(uint_at(map, "uops"), 1);
    const msgpack_object *params = at(map, "params");
    cr_assert_eq(params->via.array.size, 2);
    const msgpack_object *data = &params->via.array.ptr[0], *res = &params->via.array.ptr[1];
    cr_assert(is_text(at(data, "name"), "data"));
    cr_assert(is_text(at(data, "dtype"), "int32"));
    cr_assert(is_text(at(data, "memory"), "ACC"));
    cr_assert(is_text(at(data, "access"), "read"));
    cr_assert_eq(uint_at(data, "bytes"), ADD_ROWS * 64);
    cr_assert_eq(at(data, "shape")->via.array.size, 2);
    cr_assert_eq(as_uint(&at(data, "shape")->via.array.ptr[0]), ADD_ROWS);
    cr_assert_eq(as_uint(&at(data, "shape")->via.array.ptr[1]), 16);
    cr_assert(is_text(at(res, "memory"), "OUT"));
    cr_assert(is_text(at(res, "access"), "write"));
    cr_assert_eq(uint_at(res, "bytes"), ADD_ROWS * 16);
    const msgpack_object *counters = at(map, "counters");
    cr_assert_eq(uint_at(counters, "acc_load_nbytes"), ADD_ROWS * 64);
    cr_assert_eq(uint_at(counters, "out_store_nbytes"), ADD_ROWS * 16);
    cr_assert_eq(uint_at(counters, "alu_counter"), ADD_ROWS);

    map = cr_ok(ask(service, "function.get", "us", module, "add"))->result;
    cr_assert_eq(uint_at(map, "function"), function, "the same handle again");
    cr_fails(ask(service, "function.get", "us", module, "ad"), VTA_ENOTFOUND,
             "function.get: a: no function 'ad'");
    cr_fails(ask(service, "function.get", "us", function, "add"), VTA_EHANDLE, "function");
}

Test(modules, keep_the_limit_of_functions)
{
    enum kernel_kind kinds[] = { KERNEL_TINY, KERNEL_TINY, KERNEL_TINY, KERNEL_TINY, KERNEL_TINY };
    const char *const names[] = { "a", "b", "c", "d", "e" };
    struct vta_hw hw;
    size_t n;
    vta_hw_default(&hw);
    uint8_t *bytes = make_module(&hw, &n, kinds, names, 5);
    cr_ok(ask(service, "module.upload", "sb", "m", bytes, n));
    free(bytes);
    vta_handle module = load("m");
    for (uint32_t i = 0; i < options.max_functions; i++)
        cr_ok(ask(service, "function.get", "us", module, names[i]));
    struct answer *answer = ask(service, "function.get", "us", module, "e");
    cr_fails(answer, VTA_ELIMIT, "function");
    cr_assert_eq(answer->error.limit, options.max_functions);
    cr_ok(ask(service, "function.get", "us", module, "a"));
}
