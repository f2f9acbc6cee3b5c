/* Linking of uploaded object files: by whom, kept how, and what is said where it fails.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "board.h"

static struct daemon daemon_;
static struct client client;
static char cache[128], linker[128];

static void setup(void)
{
    daemon_init(&daemon_);
    snprintf(cache, sizeof cache, "%s/cache", daemon_.dir);
    snprintf(linker, sizeof linker, "%s/linker", daemon_.dir);
    cr_assert_eq(mkdir(cache, 0700), 0);
    cr_assert_eq(mkdir(linker, 0755), 0);
    strcat(linker, "/ld");
}

static void teardown(void)
{
    client_close(&client);
    if (daemon_.pid > 0)
        board_stop(&daemon_);
    daemon_clear(&daemon_);
}

TestSuite(link, .init = setup, .fini = teardown);

#define START(...)                                                                                 \
    board_start(&daemon_, (const char *const[]){ "--tvm-cache", cache, __VA_ARGS__, NULL })

/* A linker that runs this, in a folder that it can read, with the real one as "$REAL". */
static void write_linker(const char *script)
{
    FILE *file = fopen(linker, "w");
    cr_assert_not_null(file);
    fprintf(file, "#!/bin/sh\nREAL=/usr/bin/ld\nHERE='%.*s'\n%s\n",
            (int)(strrchr(linker, '/') - linker), linker, script);
    fclose(file);
    cr_assert_eq(chmod(linker, 0755), 0);
}

/* From now on that linker fails, in its words; it stays the same program. */
static void break_linker(bool broken)
{
    char path[160];
    snprintf(path, sizeof path, "%.*s/broken", (int)(strrchr(linker, '/') - linker), linker);
    if (broken) {
        FILE *file = fopen(path, "w");
        cr_assert_not_null(file);
        fclose(file);
    } else {
        unlink(path);
    }
}

static const char fragile[] =
    "if [ -e \"$HERE/broken\" ]; then echo 'words of its own' >&2; exit 1; fi\nexec $REAL \"$@\"";

/* Uploads misbehave.o with some bytes more at its end, so that it is another file, and loads it. */
static struct answer load_object(unsigned variant)
{
    size_t nbytes;
    char *bytes = read_file(MISBEHAVE_O, &nbytes);
    bytes = realloc(bytes, nbytes + variant + 1);
    memset(bytes + nbytes, 0, variant);
    client_open(&client, daemon_.port);
    client_upload(&client, "misbehave.o", bytes, nbytes + variant);
    free(bytes);
    return client_ask(&client, "tvm.rpc.server.load_module", "s", "misbehave.o");
}

/* Loads it and calls a kernel. */
static void check_object(unsigned variant)
{
    struct answer answer = load_object(variant);
    cr_assert_eq(answer.packet, 4, "%s", answer.text != NULL ? answer.text : "the session ended");
    uint64_t module = answer.number;
    answer = client_call(&client, client_kernel(&client, module, "add"), "ii", UINT64_C(20),
                         UINT64_C(22));
    expect_int(&answer, 42);
    client_close(&client);
}

static void refuse_object(unsigned variant, const char *words)
{
    struct answer answer = load_object(variant);
    expect_exception(&answer, words);
    /* The session goes on. */
    cr_assert_neq(client_function(&client, "tvm.rpc.server.upload"), 0);
    client_close(&client);
}

/* A worker has a library a little before the process that linked it has ended. */
Test(link, follows_link_without_a_pause, .timeout = 60)
{
    START("--tvm-linker", "ld");
    struct answer answer = load_object(0);
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(answer.packet, 4, "%s",
                     answer.text != NULL ? answer.text : "the session ended");
        answer = client_ask(&client, "tvm.rpc.server.load_module", "s", "misbehave.o");
    }
    cr_assert_eq(answer.packet, 4);
}

/* The kept libraries; the last one's path goes to `path`. */
static unsigned kept(char *path, size_t size)
{
    DIR *list = opendir(cache);
    const struct dirent *entry;
    unsigned count = 0;
    cr_assert_not_null(list);
    while ((entry = readdir(list)) != NULL)
        if (entry->d_name[0] != '.') {
            count++;
            snprintf(path, size, "%s/%s", cache, entry->d_name);
        }
    closedir(list);
    return count;
}

Test(link, makes_a_library_of_an_object)
{
    board_start(&daemon_, NULL);
    check_object(0);
    check_object(0);
}

Test(link, keeps_a_library_by_what_it_was_made_of)
{
    char path[512];
    write_linker(fragile);
    START("--tvm-linker", linker);
    check_object(0);
    cr_assert_eq(kept(path, sizeof path), 1);
    break_linker(true);
    check_object(0); /* needs no linker */
    refuse_object(1, "words of its own");
    cr_assert_eq(kept(path, sizeof path), 1);
    break_linker(false);
    check_object(1);
    cr_assert_eq(kept(path, sizeof path), 2);
}

static void corrupt(const char *path, long at)
{
    FILE *file = fopen(path, "r+");
    cr_assert_not_null(file);
    cr_assert_eq(fseek(file, at, at < 0 ? SEEK_END : SEEK_SET), 0);
    int byte = fgetc(file);
    fseek(file, -1, SEEK_CUR);
    fputc(byte ^ 1, file);
    fclose(file);
}

Test(link, never_serves_a_kept_library_that_was_changed)
{
    char path[512];
    write_linker(fragile);
    START("--tvm-linker", linker);
    check_object(0);
    static const long places[] = { 0, 1000, -1, -40 };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        cr_assert_eq(kept(path, sizeof path), 1);
        corrupt(path, places[i]);
        break_linker(true);
        refuse_object(0, "words of its own");
        cr_assert_eq(kept(path, sizeof path), 0, "what was changed is still there");
        break_linker(false);
        check_object(0);
    }
    cr_assert_eq(kept(path, sizeof path), 1);
    cr_assert_eq(truncate(path, 20), 0);
    check_object(0);
    cr_assert_eq(chmod(path, 0666), 0); /* whoever may have written to it */
    break_linker(true);
    refuse_object(0, "words of its own");
}

Test(link, never_serves_a_kept_library_under_the_name_of_another)
{
    char first[512], second[512];
    write_linker(fragile);
    START("--tvm-linker", linker);
    check_object(0);
    cr_assert_eq(kept(first, sizeof first), 1);
    char *bytes, other[600];
    size_t nbytes;
    bytes = read_file(first, &nbytes);
    cr_assert_eq(unlink(first), 0);
    check_object(1);
    cr_assert_eq(kept(second, sizeof second), 1);
    snprintf(other, sizeof other, "%s", second);
    FILE *file = fopen(other, "w"); /* a whole entry, which is not this one's */
    cr_assert_eq(fwrite(bytes, 1, nbytes, file), nbytes);
    fclose(file);
    free(bytes);
    break_linker(true);
    refuse_object(1, "words of its own");
}

Test(link, keeps_no_more_bytes_than_it_may)
{
    char path[512];
    struct stat st;
    START("--tvm-cache-bytes", "100KiB");
    for (unsigned i = 0; i < 8; i++)
        check_object(i);
    unsigned count = kept(path, sizeof path);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_gt(count, 0);
    cr_assert_leq(count * (uint64_t)st.st_size, 100u << 10);
    cr_assert_lt(count, 8);
}

Test(link, keeps_nothing_in_a_folder_that_others_may_write_to)
{
    char path[512];
    cr_assert_eq(chmod(cache, 0777), 0);
    START("--tvm-pool", "1");
    check_object(0);
    cr_assert(daemon_has_logged(&daemon_, "is not a folder of this user that nobody else may"));
    cr_assert_eq(kept(path, sizeof path), 0);
}

Test(link, says_that_there_is_no_linker_and_needs_none_for_a_library)
{
    START("--tvm-linker", "no-such-linker");
    refuse_object(0, "the linker 'no-such-linker' is not installed on the server (tvm_linker)");
    board_check(&daemon_);
}

Test(link, passes_on_the_linkers_words)
{
    START("--tvm-pool", "1");
    size_t nbytes;
    char *bytes = read_file(MISBEHAVE_TAR, &nbytes); /* the same object twice */
    client_open(&client, daemon_.port);
    client_upload(&client, "twice.tar", bytes, nbytes);
    free(bytes);
    struct answer answer = client_ask(&client, "tvm.rpc.server.load_module", "s", "twice.tar");
    expect_exception(&answer, "multiple definition of `add'");
}

Test(link, bounds_the_linkers_words_and_its_time)
{
    write_linker("case $(cat \"$HERE/how\") in\n"
                 "talk) i=0; while [ $i -lt 20000 ]; do echo 'words words words' >&2;"
                 " i=$((i+1)); done; exit 1;;\n"
                 "crash) kill -SEGV $$; exit 9;;\n"
                 "nothing) exit 0;;\n"
                 "hang) while :; do sleep 1000; done;;\n"
                 "esac");
    static const struct {
        const char *how, *words;
    } rows[] = { { "talk", "words words words" },
                 { "nothing", "the linker made no library" },
                 { "hang", "linking took longer than 1500 ms (tvm_link_deadline_ms)" } };
    START("--tvm-linker", linker, "--tvm-link-deadline-ms", "1500");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char path[160];
        snprintf(path, sizeof path, "%.*s/how", (int)(strrchr(linker, '/') - linker), linker);
        FILE *file = fopen(path, "w");
        fputs(rows[i].how, file);
        fclose(file);
        refuse_object(0, rows[i].words);
    }
    board_check(&daemon_);
}

Test(link, happens_in_a_box_of_its_own)
{
    write_linker("exec 2>&1\n"
                 "touch \"$HERE/touched\" || echo 'no touch'\n"
                 "cat \"$HERE/../vtad.json\" || echo 'no cat'\n"
                 "kill -0 $PPID || echo 'no kill'\n"
                 "echo 'the end'; exit 1");
    chmod(daemon_.config, 0644);
    START("--tvm-linker", linker);
    struct answer answer = load_object(0);
    expect_exception(&answer, "no touch");
    expect_exception(&answer, "no cat");
    expect_exception(&answer, "no kill");
    expect_exception(&answer, "the end");
    char path[160];
    snprintf(path, sizeof path, "%.*s/touched", (int)(strrchr(linker, '/') - linker), linker);
    cr_assert_neq(access(path, F_OK), 0);
}

Test(link, of_a_session_that_ends_meanwhile_is_given_up)
{
    write_linker("while :; do sleep 1000; done");
    START("--tvm-linker", linker, "--tvm-pool", "1");
    daemon_wait_log(&daemon_, "is ready");
    unsigned descriptors = board_expect(&daemon_, 1, 1, 0);
    struct packet packet;
    size_t nbytes;
    char *bytes = read_file(MISBEHAVE_O, &nbytes);
    cr_assert_eq(client_greet(&client, daemon_.port, "client: -timeout=1"), MAGIC);
    packet_init_server(&packet);
    packet_send(&client, &packet);
    client_answer(&client, 0);
    client_upload(&client, "misbehave.o", bytes, nbytes);
    free(bytes);
    struct answer answer = client_ask(&client, "tvm.rpc.server.load_module", "s", "misbehave.o");
    cr_assert_eq(answer.packet, 0);
    client_close(&client);
    board_expect(&daemon_, 1, 1, descriptors);
    cr_assert(!daemon_has_logged(&daemon_, "the linker process was ended"),
              "what the daemon has killed itself is no failure");
}

/* A place is free again once its link has ended, in whatever way; a session that ends before its
 * turn has come takes none. */
#define SESSIONS_MAX 40

static void ask_for_link(struct client *each, const void *bytes, size_t nbytes)
{
    struct packet packet;
    client_open(each, daemon_.port);
    client_upload(each, "misbehave.o", bytes, nbytes);
    uint64_t load = client_function(each, "tvm.rpc.server.load_module");
    packet_begin(&packet, 3);
    packet_u64(&packet, load);
    packet_values(&packet, "s", "misbehave.o");
    packet_send(each, &packet);
}

Test(link, waits_for_a_place_or_is_withdrawn)
{
    static struct client many[SESSIONS_MAX];
    size_t nbytes, processors = (size_t)sysconf(_SC_NPROCESSORS_ONLN);
    size_t count = processors + 3 < SESSIONS_MAX ? processors + 3 : SESSIONS_MAX;
    char *bytes = read_file(MISBEHAVE_O, &nbytes);
    write_linker("if [ -e \"$HERE/broken\" ]; then while :; do sleep 1000; done; fi\n"
                 "exec $REAL \"$@\"");
    break_linker(true); /* it hangs */
    START("--tvm-linker", linker, "--tvm-pool", "1", "--tvm-link-deadline-ms", "600000",
          "--grace-ms", "200");
    daemon_wait_log(&daemon_, "is ready");
    unsigned descriptors = board_expect(&daemon_, 1, 1, 0);
    for (size_t i = 0; i < count; i++)
        ask_for_link(&many[i], bytes, nbytes);
    free(bytes);
    unsigned running = (unsigned)(processors < count ? processors : count),
             workers = (unsigned)count + 1;
    board_expect(&daemon_, workers + running, workers + running, 0);
    for (size_t i = count; i-- > 1;) { /* the last first: those wait */
        client_close(&many[i]);
        daemon_wait_log(&daemon_, "ended: ");
    }
    break_linker(false);
    client_close(&many[0]);
    daemon_wait_log(&daemon_, "ended: ");
    board_expect(&daemon_, 1, 1, descriptors);
    check_object(1);
}
