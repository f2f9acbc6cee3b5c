/* The configuration: file, flags, limits, and what a reload may change.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/config.h"

static struct config config;
static struct vta_error error;

static void setup(void)
{
    error = (struct vta_error){ 0 };
    cr_assert_eq(config_defaults(&config, &error), 0, "%s", error.message);
}

static void teardown(void)
{
    config_clear(&config);
}

TestSuite(config, .init = setup, .fini = teardown);

static int read_text(const char *text)
{
    int rc = config_read_json(&config, text, strlen(text), &error);
    return rc != 0 ? rc : config_check(&config, &error);
}

static void refuse(const char *text, int code, const char *reason)
{
    cr_assert_eq(read_text(text), code, "%s gave %s", text, error.message);
    cr_assert_not_null(strstr(error.message, reason), "%s: %s", text, error.message);
}

Test(config, defaults_are_valid_and_listen_on_the_boards_port)
{
    cr_assert_eq(config_check(&config, &error), 0, "%s", error.message);
    cr_assert_eq(config.listen.count, 1);
    cr_assert_str_eq(config.listen.items[0], "127.0.0.1:9091");
    cr_assert_eq(config.dram_bytes, 512u << 20);
}

Test(config, reads_every_type_of_key)
{
    cr_assert_eq(read_text("{\"listen\": [\"[::1]:0\", \"unix:/tmp/x\"], \"log_level\": \"debug\","
                           "\"max_sessions\": 3, \"dram_bytes\": \"64MiB\", \"store\": \"/s\","
                           "\"max_read_bytes\": 4096, \"hardware\": {\"LOG_BATCH\": 1}}\n"),
                 0, "%s", error.message);
    cr_assert_eq(config.listen.count, 2);
    cr_assert_str_eq(config.listen.items[1], "unix:/tmp/x");
    cr_assert_eq(config.log_level, 4);
    cr_assert_eq(config.max_sessions, 3);
    cr_assert_eq(config.dram_bytes, 64u << 20);
    cr_assert_eq(config.max_read_bytes, 4096);
    cr_assert_str_eq(config.store, "/s");
    cr_assert_eq(config.hw.batch, 2);
}

Test(config, suggests_the_nearest_key)
{
    refuse("{\"max_sesions\": 3}", VTA_ECONFIG, "did you mean 'max_sessions'?");
    refuse("{\"zzzzzzzzzzzzz\": 3}", VTA_ECONFIG, "unknown key 'zzzzzzzzzzzzz'");
}

Test(config, names_key_limit_and_value)
{
    refuse("{\"max_sessions\": 0}", VTA_ECONFIG, "max_sessions: 0 is below the least value 1");
    cr_assert(error.has_limit);
    cr_assert_eq(error.limit, 1);
    cr_assert_eq(error.value, 0);
    refuse("{\"threads\": 1025}", VTA_ECONFIG, "threads: 1025 is above the greatest value 1024");
    refuse("{\"dram_bytes\": \"5GiB\"}", VTA_ECONFIG, "dram_bytes: 5368709120 is above");
    refuse("{\"dram_bytes\": 5000}", VTA_ECONFIG, "multiple of the page");
}

Test(config, refuses_values_of_another_type)
{
    refuse("{\"max_sessions\": \"3\"}", VTA_ECONFIG, "max_sessions: expected a whole number");
    refuse("{\"max_sessions\": 1.5}", VTA_ECONFIG, "whole number");
    refuse("{\"max_sessions\": -1}", VTA_ECONFIG, "whole number");
    refuse("{\"max_sessions\": 1e300}", VTA_ECONFIG, "whole number");
    refuse("{\"dram_bytes\": \"1 GiB\"}", VTA_ECONFIG, "KiB, MiB, GiB");
    refuse("{\"dram_bytes\": \"99999999999999999999\"}", VTA_ECONFIG, "dram_bytes");
    refuse("{\"dram_bytes\": \"99999999999999GiB\"}", VTA_ECONFIG, "above");
    refuse("{\"listen\": \"127.0.0.1:1\"}", VTA_ECONFIG, "array of strings");
    refuse("{\"listen\": [1]}", VTA_ECONFIG, "array of strings");
    refuse("{\"listen\": [\"x\"]}", VTA_EINVAL, "HOST:PORT");
    refuse("{\"log_level\": \"loud\"}", VTA_ECONFIG, "error, warning, notice, info, debug");
    refuse("{\"store\": 1}", VTA_ECONFIG, "store: expected a string");
    refuse("{\"hardware\": 3}", VTA_ECONFIG, "hardware: expected a path or an object");
    refuse("{\"hardware\": {\"LOG_BACH\": 3}}", VTA_ECONFIG, "LOG_BATCH");
}

Test(config, refuses_what_is_not_one_object)
{
    refuse("", VTA_EFORMAT, "line 1: not JSON");
    refuse("{\n\"max_sessions\": 3,\n!}", VTA_EFORMAT, "line 3: not JSON");
    refuse("{} {}", VTA_EFORMAT, "not JSON");
    refuse("[]", VTA_EFORMAT, "expected an object");
    refuse("{\"threads\": 1, \"threads\": 2}", VTA_ECONFIG, "'threads' appears twice");
}

Test(config, refuses_a_queue_that_cannot_hold_a_message)
{
    refuse("{\"max_message_bytes\": \"64MiB\"}", VTA_ECONFIG,
           "max_queued_bytes: 16777216 is below");
}

static char *write_file(const char *text)
{
    char *path = strdup("/tmp/vtad-config-XXXXXX");
    int fd = mkstemp(path);
    cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    return path;
}

Test(config, flags_override_the_file)
{
    char *path = write_file("{\"listen\": [\"127.0.0.1:1\"], \"max_sessions\": 7, \"threads\": 2}");
    const struct config_flag flags[] = { { config_find("listen", 6), "127.0.0.1:2" },
                                         { config_find("listen", 6), "127.0.0.1:3" },
                                         { config_find("threads", 7), "5" } };
    struct config_source source = { path, true, flags, 3 };
    config_clear(&config);
    cr_assert_eq(config_load(&config, &source, &error), 0, "%s", error.message);
    cr_assert_eq(config.listen.count, 2);
    cr_assert_str_eq(config.listen.items[0], "127.0.0.1:2");
    cr_assert_eq(config.max_sessions, 7);
    cr_assert_eq(config.threads, 5);
    unlink(path);
    free(path);
}

Test(config, a_file_may_be_missing_only_where_nobody_asked_for_it)
{
    struct config_source source = { .path = "/nonexistent/vtad.json" };
    config_clear(&config);
    cr_assert_eq(config_load(&config, &source, &error), 0, "%s", error.message);
    config_clear(&config);
    source.path_required = true;
    cr_assert_eq(config_load(&config, &source, &error), VTA_EIO);
    cr_assert_not_null(strstr(error.message, "/nonexistent/vtad.json"));
}

Test(config, every_flag_value_that_is_printed_reads_back_the_same)
{
    char *text = NULL;
    size_t length = 0, count;
    FILE *file = open_memstream(&text, &length);
    cr_assert_eq(
        read_text("{\"max_sessions\": 9, \"store\": \"a \\\"b\\\"\", \"log\": \"stderr\"}"), 0);
    config_print(&config, file);
    fclose(file);

    struct config again;
    cr_assert_eq(config_defaults(&again, &error), 0);
    cr_assert_eq(config_read_json(&again, text, length, &error), 0, "%s", error.message);
    cr_assert_eq(config_check(&again, &error), 0);
    const struct config_key *keys = config_keys(&count);
    for (size_t i = 0; i < count; i++)
        cr_assert(config_same(&config, &again, &keys[i]), "%s differs", keys[i].name);
    config_clear(&again);
    free(text);
}

static char changes[512];

static void note_change(const struct config_key *key)
{
    strcat(strcat(changes, key->name), " ");
}

Test(config, a_reload_applies_what_can_be_and_names_what_changed)
{
    struct config fresh;
    cr_assert_eq(config_check(&config, &error), 0);
    cr_assert_eq(config_defaults(&fresh, &error), 0);
    const char *text = "{\"threads\": 9, \"max_sessions\": 2, \"listen\": [\"127.0.0.1:1\"],"
                       "\"hardware\": {\"LOG_BATCH\": 1}}";
    cr_assert_eq(config_read_json(&fresh, text, strlen(text), &error), 0);
    cr_assert_eq(config_check(&fresh, &error), 0);

    changes[0] = '\0';
    config_reload(&config, &fresh, note_change);
    cr_assert_str_eq(changes, "listen hardware max_sessions threads ");
    cr_assert_eq(config.max_sessions, 2);
    cr_assert_eq(config.hw.batch, 2);
    cr_assert_eq(config.threads, 0);
    cr_assert_str_eq(config.listen.items[0], "127.0.0.1:9091");
    config_clear(&fresh);
}

/* ---- The table against its documentation --------------------------------------------------- */

Test(config, checks_the_keys_of_tvm_sessions)
{
    char text[400] = "{\"tvm_key\": \"";
    refuse("{\"tvm_key\": \"two words\"}", VTA_ECONFIG, "has a space in it");
    memset(text + strlen(text), 'k', 257);
    strcat(text, "\"}");
    refuse(text, VTA_ECONFIG, "tvm_key: has 257 bytes, the limit is 256");
    refuse("{\"tvm_key\": \"\", \"tvm_user\": \"\"}", VTA_ECONFIG, "tvm_user: a name of 1 to 32");
    refuse("{\"tvm_user\": \"nobody\", \"tvm\": \"maybe\"}", VTA_ECONFIG, "not one of on, off");
    refuse("{\"tvm_box\": \"open\"}", VTA_ECONFIG, "not one of require, warn");
    refuse("{\"tvm_memory_bytes\": \"256MiB\"}", VTA_ECONFIG,
           "tvm_memory_bytes: 268435456 is below dram_bytes, 536870912");
    refuse("{\"max_tvm_sessions\": 0}", VTA_ECONFIG, "below the least value 1");
}

Test(config, a_tracker_needs_a_key_and_tvm_sessions)
{
    refuse("{\"tracker\": \"farm:9190\"}", VTA_ECONFIG, "tracker: needs a tracker_key");
    refuse("{\"tracker_key\": \"pynq\", \"tvm\": \"off\"}", VTA_ECONFIG, "but tvm is off");
    refuse("{\"tvm\": \"on\", \"tracker_boards\": 5, \"max_tvm_sessions\": 4}", VTA_ECONFIG,
           "tracker_boards: 5 is above max_tvm_sessions, 4");
    cr_assert_eq(read_text("{\"tracker_boards\": 4}"), 0, "%s", error.message);
    refuse("{\"tracker_boards\": 257}", VTA_ECONFIG, "above the greatest value 256");
}

Test(config, trackers_have_addresses_of_hosts_and_words_for_keys)
{
    static const char *const addresses[] = { "farm", "farm:0", "farm:65536", "unix:/tmp/x", ":1" };
    char text[512];
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        snprintf(text, sizeof text, "{\"tracker\": \"%s\", \"tracker_key\": \"k\"}", addresses[i]);
        refuse(text, VTA_ECONFIG, "is not HOST:PORT or [IPV6]:PORT");
    }
    refuse("{\"tracker\": \"\", \"serve_tracker\": \"unix:/tmp/x\"}", VTA_ECONFIG,
           "serve_tracker: ");
    cr_assert_eq(read_text("{\"tracker\": \"[::1]:9190\", \"serve_tracker\": \"[::1]:0\"}"), 0,
                 "%s", error.message);
    refuse("{\"tracker_key\": \"py nq\"}", VTA_ECONFIG, "tracker_key: 'py nq' is not one word");
    refuse("{\"tracker_key\": \"k\", \"tracker_address\": \"a\\\\b\"}", VTA_ECONFIG,
           "tracker_address: ");
    refuse("{\"tracker_address\": \"\", \"tracker_stop_key\": \"\u00e9\"}", VTA_ECONFIG,
           "tracker_stop_key: ");
}

static char *read_source(const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", SOURCE_ROOT, name);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    char *text = calloc(1, 1 << 20);
    cr_assert(fread(text, 1, (1 << 20) - 1, file) > 0);
    fclose(file);
    return text;
}

Test(config, the_manual_documents_every_key_with_its_default_in_the_tables_order)
{
    char *page = read_source("docs/man/vtad.json.5"), entry[128];
    const char *at = page;
    size_t count;
    const struct config_key *keys = config_keys(&count);
    for (size_t i = 0; i < count; i++) {
        snprintf(entry, sizeof entry, "\n.BR %s \" (", keys[i].name);
        at = strstr(at, entry);
        cr_assert_not_null(at, "%s is not documented, or not in its place", keys[i].name);
        const char *line_end = strchr(at + 1, '\n');
        const char *fallback = keys[i].fallback != NULL ? keys[i].fallback : "default";
        const char *found = strstr(at, fallback);
        cr_assert(found != NULL && found < line_end, "%s: its default %s is not there",
                  keys[i].name, fallback);
        const char *reload = keys[i].reload == RELOAD_NOW        ? "Applies at a reload.\n"
                             : keys[i].reload == RELOAD_SESSIONS ? "reload, to new sessions.\n"
                                                                 : "Needs a restart.\n";
        const char *next = strstr(at, "\n.TP") != NULL ? strstr(at, "\n.TP") : strstr(at, "\n.SH");
        found = strstr(at, reload);
        cr_assert(found != NULL && found < next + 1, "%s: '%s' is not there", keys[i].name, reload);
    }
    free(page);
}

Test(config, the_default_file_says_what_the_defaults_are)
{
    char *text = read_source("config/vtad.json");
    struct config file;
    size_t count;
    const struct config_key *keys = config_keys(&count);
    cr_assert_eq(config_check(&config, &error), 0);
    cr_assert_eq(config_defaults(&file, &error), 0);
    cr_assert_eq(config_read_json(&file, text, strlen(text), &error), 0, "%s", error.message);
    cr_assert_eq(config_check(&file, &error), 0);
    for (size_t i = 0; i < count; i++) {
        char quoted[80];
        snprintf(quoted, sizeof quoted, "\"%s\":", keys[i].name);
        cr_assert_not_null(strstr(text, quoted), "%s is not in config/vtad.json", keys[i].name);
        cr_assert(config_same(&config, &file, &keys[i]), "%s differs", keys[i].name);
    }
    config_clear(&file);
    free(text);
}
