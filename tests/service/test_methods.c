/* test_methods.c: the table, its document, and what every method has in common. */
#include <criterion/criterion.h>

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "service/methods.h"

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

TestSuite(methods, .init = open_small, .fini = close_small);

/* ---- The document -------------------------------------------------------------------------- */

static char *read_document(void)
{
    FILE *file = fopen(VTA_SOURCE_ROOT "/docs/PROTOCOL.md", "r");
    cr_assert_not_null(file, "docs/PROTOCOL.md cannot be read");
    char *text = calloc(1, 1 << 17);
    size_t n = fread(text, 1, (1 << 17) - 1, file);
    cr_assert_gt(n, 0);
    fclose(file);
    return text;
}

/* The method of a line "| `name` | …" of one of the tables headed "| method |", or false. */
static bool method_of_line(const char *line, char name[64])
{
    return sscanf(line, "| `%63[^`]` |", name) == 1;
}

Test(methods, are_exactly_those_of_the_document)
{
    char *text = read_document(), *save = NULL, name[64];
    size_t count, documented = 0;
    const struct vta_method *methods = vta_methods(&count);
    bool *seen = calloc(count, sizeof *seen), in_table = false;
    for (char *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        if (line[0] != '|')
            in_table = false;
        else if (strncmp(line, "| method |", 10) == 0)
            in_table = true;
        else if (in_table && method_of_line(line, name)) {
            const struct vta_method *method = vta_method_find(name, strlen(name));
            cr_assert_not_null(method, "PROTOCOL.md has %s, the table has not", name);
            cr_assert_not(seen[method - methods], "PROTOCOL.md has %s twice", name);
            seen[method - methods] = true;
            documented++;
        }
    }
    for (size_t i = 0; i < count; i++)
        cr_assert(seen[i], "PROTOCOL.md lacks %s", methods[i].name);
    cr_assert_eq(documented, count);
    free(seen);
    free(text);
}

Test(methods, name_every_error_code_in_the_document)
{
    char *text = read_document(), quoted[64];
#define CHECK_CODE(symbol, value, name, meaning)                                                   \
    snprintf(quoted, sizeof quoted, "`%s`", name);                                                 \
    cr_assert_not_null(strstr(text, quoted), "PROTOCOL.md lacks the code %s", name);
    VTA_ERRORS(CHECK_CODE)
#undef CHECK_CODE
    free(text);
}

/* ---- Classes ------------------------------------------------------------------------------- */

static enum vta_method_class class_of(const char *method)
{
    return vta_service_class(method, strlen(method));
}

Test(methods, say_how_they_want_to_be_called)
{
    static const char *const quick[] = {
        "hello",        "function.get",   "buffer.alloc",      "buffer.write",
        "buffer.read",  "board.info",     "board.program",     "board.reconfigure",
        "counters.get", "counters.clear", "device.attributes", "board.skip_execution"
    };
    for (size_t i = 0; i < sizeof quick / sizeof quick[0]; i++)
        cr_assert_eq(class_of(quick[i]), VTA_METHOD_QUICK, "%s", quick[i]);
    cr_assert_eq(class_of("ping"), VTA_METHOD_URGENT);
    cr_assert_eq(class_of("cancel"), VTA_METHOD_URGENT);
    static const char *const slow[] = { "run", "time_evaluator", "buffer.free", "buffer.copy" };
    for (size_t i = 0; i < sizeof slow / sizeof slow[0]; i++)
        cr_assert_eq(class_of(slow[i]), VTA_METHOD_SLOW, "%s", slow[i]);
    size_t count;
    const struct vta_method *methods = vta_methods(&count);
    for (size_t i = 0; i < count; i++)
        if (strncmp(methods[i].name, "module.", 7) == 0)
            cr_assert_eq(class_of(methods[i].name), VTA_METHOD_SLOW, "%s", methods[i].name);
    cr_assert_eq(class_of("modul.load"), VTA_METHOD_UNKNOWN);
    cr_assert_eq(class_of(""), VTA_METHOD_UNKNOWN);
    cr_assert_eq(vta_service_class("pingpong", 4), VTA_METHOD_URGENT);
}

/* ---- What all have in common --------------------------------------------------------------- */

Test(methods, that_do_not_exist_are_refused_with_the_nearest_name)
{
    cr_fails(ask(service, "modul.load", "s", "x"), VTA_EMETHOD,
             "unknown method 'modul.load': did you mean 'module.load'?");
    cr_fails(ask(service, "completely_different_thing", ""), VTA_EMETHOD,
             "unknown method 'completely_different_thing'");
    cr_fails(ask(service, "", ""), VTA_EMETHOD, "unknown method ''");
    cr_fails(ask(service, "bad\x01\xff\x1b[2J", ""), VTA_EMETHOD, "unknown method 'bad???[2J'");
}

Test(methods, refuse_too_few_and_too_many_params)
{
    size_t count;
    const struct vta_method *methods = vta_methods(&count);
    static const char nils[] = "nnnnnnnnnn";
    char text[64];
    for (size_t i = 0; i < count; i++) {
        const struct vta_method *m = &methods[i];
        snprintf(text, sizeof text, "%s: takes ", m->name);
        cr_fails(ask(service, m->name, nils + sizeof nils - 2 - m->max_params), VTA_EINVAL, text);
        if (m->min_params > 0)
            cr_fails(ask(service, m->name, nils + sizeof nils - m->min_params), VTA_EINVAL, text);
    }
    cr_fails(ask(service, "run", "u", UINT64_C(1)), VTA_EINVAL, "run: takes 2 to 3 params, got 1");
    cr_fails(ask(service, "cancel", "n"), VTA_EINVAL, "cancel: takes 0 params, got 1");
}

Test(methods, refuse_params_of_another_type_and_say_which)
{
    size_t count;
    const struct vta_method *methods = vta_methods(&count);
    static const char nils[] = "nnnnnnnnnn";
    char text[64];
    for (size_t i = 0; i < count; i++) {
        const struct vta_method *m = &methods[i];
        if (m->min_params == 0)
            continue;
        snprintf(text, sizeof text, "%s: params[", m->name);
        cr_fails(ask(service, m->name, nils + sizeof nils - 1 - m->min_params), VTA_EINVAL, text);
    }
    cr_fails(ask(service, "module.load", "u", UINT64_C(3)), VTA_EINVAL,
             "module.load: params[0]: expected");
    cr_fails(ask(service, "buffer.alloc", "i", INT64_C(-1)), VTA_EINVAL,
             "buffer.alloc: params[0]: expected");
    cr_fails(ask(service, "buffer.alloc", "f", 1.5), VTA_EINVAL, "params[0]");
}

Test(methods, refuse_unknown_options_with_a_suggestion)
{
    cr_fails(ask(service, "module.upload", "sbB", "x", "", (size_t)0, "stroe", 1), VTA_EINVAL,
             "module.upload: params[2]: unknown option 'stroe': did you mean 'store'?");
    cr_fails(ask(service, "run", "uhO", UINT64_C(1), NULL, (size_t)0, "deadline", UINT64_C(1)),
             VTA_EINVAL, "run: params[2]: unknown option 'deadline': did you mean 'deadline_ms'?");
    cr_fails(ask(service, "run", "uhs", UINT64_C(1), NULL, (size_t)0, "x"), VTA_EINVAL,
             "run: params[2]: expected a map of options");
    cr_fails(ask(service, "run", "uhB", UINT64_C(1), NULL, (size_t)0, "deadline_ms", 1), VTA_EINVAL,
             "run: params[2].deadline_ms: expected");
}

Test(methods, count_calls_and_failures)
{
    struct vta_service_stats stats;
    ask(service, "board.info", "");
    ask(service, "nothing", "");
    ask_urgent(service, "ping", "");
    vta_service_stats(service, &stats);
    cr_assert_eq(stats.calls, 3);
    cr_assert_eq(stats.failures, 1);
    cr_assert_eq(stats.runs, 0);
}

/* ---- Session ------------------------------------------------------------------------------- */

Test(methods, hello_says_who_answers_and_what_is_allowed)
{
    const msgpack_object *hello = cr_ok(ask(service, "hello", "s", "a client"))->result;
    cr_assert(is_text(at(hello, "server"), "test 1.0"));
    cr_assert_eq(uint_at(hello, "protocol"), 1);
    cr_assert_eq(uint_at(hello, "module_format"), VTA_MODULE_FORMAT);
    cr_assert(is_text(at(hello, "device"), "sim"));
    cr_assert(is_text(at(hello, "bitstream"), "1x16_i8w8a32_15_15_18_17"));
    cr_assert_eq(at(hello, "store")->via.boolean, false);
    const msgpack_object *hardware = at(hello, "hardware");
    cr_assert_eq(hardware->via.map.size, 2 + VTA_HW_KEY_COUNT);
    cr_assert(is_text(at(hardware, "TARGET"), "sim"));
    cr_assert(is_text(at(hardware, "HW_VER"), "0.0.2"));
    cr_assert_eq(uint_at(hardware, "LOG_BLOCK"), 4);
    cr_assert_eq(uint_at(hardware, "LOG_ACC_BUFF_SIZE"), 17);
    const msgpack_object *limits = at(hello, "limits");
    cr_assert_eq(uint_at(limits, "message_bytes"), options.wire.message_bytes);
    cr_assert_eq(uint_at(limits, "dram_bytes"), options.board.dram_bytes);
    cr_assert_eq(uint_at(limits, "modules"), options.max_modules);
    cr_assert_eq(uint_at(limits, "module_bytes"), options.module.file_bytes);
    cr_assert_eq(uint_at(limits, "upload_bytes"), options.max_upload_bytes);
    cr_assert_eq(uint_at(limits, "functions"), options.max_functions);
    cr_assert_eq(uint_at(limits, "buffers"), options.max_buffers);
    cr_assert_eq(uint_at(limits, "read_bytes"), options.max_read_bytes);
    cr_assert_eq(uint_at(limits, "run_deadline_ms"), options.run_deadline_ms);
    cr_assert_eq(uint_at(limits, "load_deadline_ms"), options.load_deadline_ms);
    cr_assert_eq(uint_at(limits, "evaluations"), options.max_evaluations);
    cr_assert_eq(uint_at(limits, "work"), options.board.max_work);
    cr_ok(ask(service, "hello", ""));
}

Test(methods, ping_gives_back_what_it_got)
{
    cr_assert_eq(as_uint(cr_ok(ask_urgent(service, "ping", "u", UINT64_C(42)))->result), 42);
    cr_assert_eq(cr_ok(ask_urgent(service, "ping", ""))->result->type, MSGPACK_OBJECT_NIL);
    cr_assert(is_text(cr_ok(ask(service, "ping", "s", "in order, too"))->result, "in order, too"));
    cr_assert_eq(uint_at(cr_ok(ask(service, "ping", "O", "k", UINT64_C(7)))->result, "k"), 7);
}

Test(methods, that_are_not_urgent_are_refused_where_only_those_are_safe)
{
    cr_fails(ask_urgent(service, "buffer.alloc", "u", UINT64_C(4096)), VTA_EMETHOD,
             "unknown method 'buffer.alloc'");
}

Test(methods, cancel_without_a_run_changes_nothing)
{
    cr_assert_eq(cr_ok(ask_urgent(service, "cancel", ""))->result->via.boolean, false);
    cr_assert_not(vta_service_stop(service, VTA_EDEADLINE));
    vta_handle tiny = get_function(service, KERNEL_TINY, "tiny.vta", "tiny");
    cr_ok(ask(service, "run", "uh", tiny, NULL, (size_t)0));
}

/* ---- Cost ---------------------------------------------------------------------------------- */

Test(idle, costs_less_than_16_kib)
{
    small_options(&options);
    vta_service_free(open_service(&options)); /* what the first use of malloc takes for itself */
    size_t before = mallinfo2().uordblks;
    enum {
        SERVICES = 64
    };
    struct vta_service *services[SERVICES];
    for (int i = 0; i < SERVICES; i++)
        services[i] = open_service(&options);
    size_t after = mallinfo2().uordblks;
    cr_assert_lt((after - before) / SERVICES, 16384, "%zu bytes each", (after - before) / SERVICES);
    for (int i = 0; i < SERVICES; i++)
        vta_service_free(services[i]);
}
