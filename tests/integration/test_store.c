/* Modules that outlive sessions, and daemons that are killed.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "session.h"

static struct daemon daemon_;
static struct wire wire;
static char store[128];
static const char *flags[] = { "--store", store, NULL };

static void setup(void)
{
    daemon_init(&daemon_);
    snprintf(store, sizeof store, "%s/store", daemon_.dir);
    cr_assert_eq(mkdir(store, 0700), 0);
    daemon_start(&daemon_, flags);
    wire_connect(&wire, daemon_.port);
}

static void teardown(void)
{
    if (wire.fd > 0)
        wire_close(&wire);
    if (daemon_.pid > 0)
        daemon_stop(&daemon_);
    daemon_clear(&daemon_);
}

TestSuite(store, .init = setup, .fini = teardown);

static void restart(void)
{
    wire_close(&wire);
    if (daemon_.pid > 0)
        daemon_stop(&daemon_);
    daemon_start(&daemon_, flags);
    wire_connect(&wire, daemon_.port);
}

static bool module_is(const char *name, const uint8_t *bytes, size_t nbytes)
{
    const msgpack_object *down = wire_call(&wire, NULL, "module.download", "s", name);
    return down->via.bin.size == nbytes && memcmp(down->via.bin.ptr, bytes, nbytes) == 0;
}

Test(store, a_stored_module_outlives_its_session_and_its_daemon)
{
    uint8_t *bytes;
    size_t nbytes;
    make_module(1, &bytes, &nbytes);
    wire_call(&wire, NULL, "module.upload", "sb", "kept.vta", bytes, nbytes);
    wire_call(&wire, NULL, "module.upload", "sbO", "mine.vta", bytes, nbytes, "store", 0);
    wire_close(&wire);
    wire_connect(&wire, daemon_.port);
    cr_assert(module_is("kept.vta", bytes, nbytes));
    wire_call(&wire, "not-found", "module.stat", "s", "mine.vta");
    restart();
    cr_assert(
        wire_bool(wire_get(wire_call(&wire, NULL, "module.stat", "s", "kept.vta"), "stored")));
    wire_call(&wire, NULL, "module.load", "s", "kept.vta");
    wire_call(&wire, NULL, "module.remove", "s", "kept.vta");
    restart();
    wire_call(&wire, "not-found", "module.stat", "s", "kept.vta");
    free(bytes);
}

Test(store, a_daemon_that_cannot_use_its_store_says_so_and_does_not_start)
{
    const char *wrong[] = { "--store", "/nonexistent/store", "--listen", "127.0.0.1:0", NULL };
    struct daemon second;
    daemon_init(&second);
    daemon_spawn(&second, wrong, NULL, -1);
    cr_assert_eq(daemon_wait(&second), 1);
    cr_assert_not_null(strstr(second.log, "/nonexistent/store"), "%s", second.log);
    daemon_clear(&second);
}

static int files_in_store(void)
{
    int count = 0;
    DIR *dir = opendir(store);
    cr_assert_not_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(dir);
    return count;
}

/* Kills it at ever later moments of replacing one module by another: whatever is in the store
 * afterwards is the old one or the new one. */
Test(store, a_kill_at_any_moment_of_an_upload_leaves_the_old_or_the_new_module)
{
    uint8_t *old, *new;
    size_t old_bytes, new_bytes;
    make_module(1, &old, &old_bytes);
    make_module(20000, &new, &new_bytes);
    int olds = 0, news = 0;
    unsigned seed = (unsigned)time(NULL);
    cr_log_info("seed %u", seed);
    for (int round = 0; round < 30; round++) {
        wire_call(&wire, NULL, "module.upload", "sb", "m.vta", old, old_bytes);
        wire_request(&wire, "module.upload", "sb", "m.vta", new, new_bytes);
        struct timespec moment = { .tv_nsec = (rand_r(&seed) % 3000) * 1000 };
        nanosleep(&moment, NULL); /* not a wait for anything: where the kill strikes is the point */
        daemon_signal(&daemon_, SIGKILL);
        cr_assert_eq(daemon_wait(&daemon_), 128 + SIGKILL);
        restart();
        if (module_is("m.vta", old, old_bytes))
            olds++;
        else if (module_is("m.vta", new, new_bytes))
            news++;
        else
            cr_assert_fail("round %d: neither the old nor the new module", round);
        cr_assert_eq(files_in_store(), 1, "the killed daemon left something behind");
    }
    cr_log_info("%d times the old one, %d times the new one", olds, news);
    free(old);
    free(new);
}
