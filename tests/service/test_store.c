/* test_store.c: modules that outlive sessions, and what a crash may leave behind. */
#include <criterion/criterion.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"

static struct vta_service_options options;
static struct vta_service *service, *other;
static char store[64];
static uint8_t *file, *file2;
static size_t nbytes, nbytes2;

static void open_both(void)
{
    struct vta_error error;
    strcpy(store, "/tmp/vta-store-XXXXXX");
    cr_assert_not_null(mkdtemp(store));
    small_options(&options);
    options.store = store;
    options.max_store_modules = 3;
    options.max_store_bytes = 40000;
    cr_assert_eq(vta_service_store_prepare(store, &error), 0, "%s", error.message);
    service = open_service(&options);
    other = open_service(&options);
    file = make_simple(&nbytes, KERNEL_ADD, "add");
    file2 = make_simple(&nbytes2, KERNEL_TINY, "tiny");
}

/* Files in the store whose names begin so; "" for all. */
static int count_files(const char *prefix)
{
    int count = 0;
    DIR *dir = opendir(store);
    struct dirent *entry;
    cr_assert_not_null(dir);
    while ((entry = readdir(dir)) != NULL)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
                 strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    closedir(dir);
    return count;
}

static void close_both(void)
{
    char path[512];
    DIR *dir = opendir(store);
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        snprintf(path, sizeof path, "%s/%s", store, entry->d_name);
        unlink(path);
    }
    if (dir != NULL)
        closedir(dir);
    rmdir(store);
    vta_service_free(service);
    vta_service_free(other);
    release_answers();
    free(file);
    free(file2);
}

TestSuite(store, .init = open_both, .fini = close_both);

static bool stored(struct vta_service *by, const char *name)
{
    return at(cr_ok(ask(by, "module.stat", "s", name))->result, "stored")->via.boolean;
}

Test(store, shows_a_module_to_other_sessions_and_later_ones)
{
    cr_assert_eq(at(cr_ok(ask(service, "hello", ""))->result, "store")->via.boolean, true);
    cr_ok(ask(service, "module.upload", "sb", "add.vta", file, nbytes));
    cr_assert(stored(service, "add.vta"));
    cr_assert(stored(other, "add.vta"));
    vta_service_free(service);
    service = open_service(&options);
    const msgpack_object *list = cr_ok(ask(service, "module.list", ""))->result;
    cr_assert_eq(list->via.array.size, 1);
    cr_assert(is_text(at(&list->via.array.ptr[0], "name"), "add.vta"));
    cr_assert_eq(uint_at(&list->via.array.ptr[0], "bytes"), nbytes);
    const msgpack_object *got = cr_ok(ask(service, "module.download", "s", "add.vta"))->result;
    cr_assert_eq(got->via.bin.size, nbytes);
    cr_assert_eq(memcmp(got->via.bin.ptr, file, nbytes), 0);
    got =
        cr_ok(ask(service, "module.download", "suu", "add.vta", UINT64_C(3), UINT64_C(5)))->result;
    cr_assert_eq(memcmp(got->via.bin.ptr, file + 3, 5), 0);
    uint64_t module = uint_at(cr_ok(ask(service, "module.load", "s", "add.vta"))->result, "module");
    cr_ok(ask(service, "function.get", "us", module, "add"));
}

Test(store, digests_agree_on_both_sides)
{
    cr_ok(ask(service, "module.upload", "sb", "a", file, nbytes));
    const msgpack_object *own = cr_ok(ask(service, "module.stat", "s", "a"))->result;
    const msgpack_object *theirs = cr_ok(ask(other, "module.stat", "s", "a"))->result;
    cr_assert_eq(memcmp(at(own, "digest")->via.str.ptr, at(theirs, "digest")->via.str.ptr, 64), 0);
}

Test(store, takes_chunked_uploads_too)
{
    vta_handle up =
        as_uint(cr_ok(ask(service, "module.upload_begin", "su", "a", (uint64_t)nbytes))->result);
    cr_ok(ask(service, "module.upload_chunk", "uub", up, UINT64_C(0), file, nbytes));
    cr_fails(ask(other, "module.stat", "s", "a"), VTA_ENOTFOUND, "'a'");
    cr_ok(ask(service, "module.upload_end", "u", up));
    cr_assert(stored(other, "a"));
}

Test(store, is_left_alone_where_an_upload_says_so)
{
    cr_ok(ask(service, "module.upload", "sbB", "mine", file, nbytes, "store", 0));
    cr_assert_not(stored(service, "mine"));
    cr_fails(ask(other, "module.stat", "s", "mine"), VTA_ENOTFOUND, "'mine'");
    cr_assert_eq(count_files(""), 0);
}

Test(store, stands_behind_the_sessions_own_modules)
{
    cr_ok(ask(other, "module.upload", "sb", "a", file, nbytes));
    cr_ok(ask(service, "module.upload", "sbB", "a", file2, nbytes2, "store", 0));
    cr_assert_eq(uint_at(cr_ok(ask(service, "module.stat", "s", "a"))->result, "bytes"), nbytes2);
    cr_assert_eq(cr_ok(ask(service, "module.list", ""))->result->via.array.size, 1);
    cr_ok(ask(service, "module.remove", "s", "a")); /* its own only */
    cr_assert_eq(uint_at(cr_ok(ask(service, "module.stat", "s", "a"))->result, "bytes"), nbytes);
    cr_ok(ask(service, "module.remove", "s", "a")); /* the store's */
    cr_fails(ask(service, "module.remove", "s", "a"), VTA_ENOTFOUND, "'a'");
    cr_assert_eq(count_files(""), 0);
}

Test(store, loses_what_was_uploaded_to_both_when_it_is_removed)
{
    cr_ok(ask(service, "module.upload", "sb", "a", file, nbytes));
    cr_ok(ask(service, "module.remove", "s", "a"));
    cr_assert_eq(count_files(""), 0);
    cr_fails(ask(service, "module.stat", "s", "a"), VTA_ENOTFOUND, "'a'");
    cr_ok(ask(service, "module.upload", "sb", "a", file, nbytes));
    cr_ok(ask(other, "module.remove", "s", "a"));
    cr_ok(ask(service, "module.remove", "s", "a")); /* its own is still there */
}

Test(store, lists_no_file_that_no_upload_would_have_named_so)
{
    static const char *const foreign[] = { "bad\xff", "line\nbreak" };
    for (int i = 0; i < 2; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", store, foreign[i]);
        FILE *other_file = fopen(path, "w");
        cr_assert_not_null(other_file);
        fclose(other_file);
    }
    cr_ok(ask(service, "module.upload", "sb", "é", file, nbytes));
    const msgpack_object *list = cr_ok(ask(other, "module.list", ""))->result;
    cr_assert_eq(list->via.array.size, 1);
    cr_assert(is_text(at(&list->via.array.ptr[0], "name"), "é"));
}

/* Root may read every file, so the test gives that up; it runs in a process of its own. */
Test(store, lists_what_it_can_read_beside_what_it_cannot)
{
    char path[256];
    cr_ok(ask(service, "module.upload", "sb", "add.vta", file, nbytes));
    cr_ok(ask(service, "module.upload", "sb", "locked", file, nbytes));
    snprintf(path, sizeof path, "%s/locked", store);
    cr_assert_eq(chmod(path, 0), 0);
    cr_assert_eq(chmod(store, 0755), 0);
    snprintf(path, sizeof path, "%s/add.vta", store);
    cr_assert_eq(chmod(path, 0644), 0);
    const uid_t me = geteuid();
    if (me == 0 && seteuid(65534) != 0)
        cr_skip_test("this user may read every file and cannot become another");
    const msgpack_object *list = cr_ok(ask(other, "module.list", ""))->result;
    cr_expect_eq(list->via.array.size, 1);
    cr_expect(is_text(at(&list->via.array.ptr[0], "name"), "add.vta"));
    cr_fails(ask(other, "module.stat", "s", "locked"), VTA_EIO, "locked");
    cr_assert_eq(seteuid(me), 0);
}

Test(store, keeps_names_apart_that_a_file_system_would_not)
{
    static const char *const names[] = { ".hidden", "%2Ehidden", "%" };
    for (int i = 0; i < 3; i++)
        cr_ok(ask(service, "module.upload", "sb", names[i], file, nbytes));
    for (int i = 0; i < 3; i++)
        cr_assert(stored(other, names[i]));
    const msgpack_object *list = cr_ok(ask(other, "module.list", ""))->result;
    cr_assert_eq(list->via.array.size, 3);
    cr_assert(is_text(at(&list->via.array.ptr[0], "name"), "%"));
    cr_assert(is_text(at(&list->via.array.ptr[1], "name"), "%2Ehidden"));
    cr_assert(is_text(at(&list->via.array.ptr[2], "name"), ".hidden"));
    cr_assert_eq(count_files("%"), 3);

    char name[256];
    memset(name, '%', 255);
    name[255] = '\0';
    cr_fails(ask(service, "module.upload", "sb", name, file, nbytes), VTA_ELIMIT, "file name");
    cr_fails(ask(service, "module.stat", "s", name), VTA_ENOTFOUND, "no module");
    cr_fails(ask(service, "module.remove", "s", name), VTA_ENOTFOUND, "no module");
}

Test(store, keeps_its_limits_and_the_session_what_it_had)
{
    cr_ok(ask(service, "module.upload", "sb", "a", file, nbytes));
    cr_ok(ask(service, "module.upload", "sb", "b", file, nbytes));
    cr_ok(ask(other, "module.upload", "sb", "c", file, nbytes));
    struct answer *answer = ask(service, "module.upload", "sb", "d", file, nbytes);
    cr_fails(answer, VTA_ELIMIT, "store_modules");
    cr_assert_eq(answer->error.limit, 3);
    cr_fails(ask(service, "module.stat", "s", "d"), VTA_ENOTFOUND, "'d'");

    size_t big_bytes;
    uint8_t *big = make_big(&big_bytes, 40000, 0);
    answer = ask(service, "module.upload", "sb", "a", big, big_bytes);
    cr_fails(answer, VTA_ELIMIT, "store_bytes");
    cr_assert_eq(answer->error.limit, 40000);
    cr_assert_eq(uint_at(cr_ok(ask(service, "module.stat", "s", "a"))->result, "bytes"), nbytes);
    cr_assert_eq(uint_at(cr_ok(ask(other, "module.stat", "s", "a"))->result, "bytes"), nbytes);
    cr_ok(ask(service, "module.upload", "sb", "a", file2, nbytes2)); /* replaces */
    cr_assert_eq(count_files("."), 0);
    free(big);
}

Test(store, that_fails_fails_the_upload)
{
    rmdir(store);
    cr_fails(ask(service, "module.upload", "sb", "a", file, nbytes), VTA_EIO, store);
    cr_fails(ask(service, "module.list", ""), VTA_EIO, store);
    cr_fails(ask(service, "module.stat", "s", "a"), VTA_EIO, store);
    cr_fails(ask(service, "module.download", "s", "a"), VTA_EIO, store);
    cr_fails(ask(service, "module.load", "s", "a"), VTA_EIO, store);
    cr_fails(ask(service, "module.remove", "s", "a"), VTA_EIO, store);
    cr_ok(ask(service, "module.upload", "sbB", "a", file, nbytes, "store", 0));
}

static void put_file(const char *name, const void *bytes, size_t n)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", store, name);
    FILE *out = fopen(path, "w");
    cr_assert_not_null(out);
    cr_assert_eq(fwrite(bytes, 1, n, out), n);
    fclose(out);
}

Test(store, is_not_fooled_by_what_else_is_in_its_directory)
{
    char path[512];
    put_file("broken", "not a module", 12);
    put_file("%zz", "x", 1);
    put_file(".upload-x", "x", 1);
    snprintf(path, sizeof path, "%s/link", store);
    cr_assert_eq(symlink("/etc/passwd", path), 0);
    snprintf(path, sizeof path, "%s/folder", store);
    cr_assert_eq(mkdir(path, 0700), 0);
    const msgpack_object *list = cr_ok(ask(service, "module.list", ""))->result;
    cr_assert_eq(list->via.array.size, 1);
    cr_assert(is_text(at(&list->via.array.ptr[0], "name"), "broken"));
    cr_fails(ask(service, "module.load", "s", "broken"), VTA_EFORMAT, "broken: ");
    cr_fails(ask(service, "module.download", "s", "link"), VTA_ENOTFOUND, "'link'");
    cr_fails(ask(service, "module.download", "s", "folder"), VTA_ENOTFOUND, "'folder'");
    rmdir(path);
}

/* ---- Preparing and crashing ---------------------------------------------------------------- */

Test(store, preparing_removes_leftovers_but_not_what_is_being_written)
{
    struct vta_error error;
    char path[512];
    put_file(".upload-0123456789abcdef", "half", 4);
    put_file(".upload-fedcba9876543210", "half", 4);
    put_file("module", "kept", 4);
    snprintf(path, sizeof path, "%s/.upload-fedcba9876543210", store);
    int writer = open(path, O_WRONLY);
    cr_assert_eq(flock(writer, LOCK_EX), 0);
    cr_assert_eq(vta_service_store_prepare(store, &error), 0, "%s", error.message);
    cr_assert_eq(count_files(".upload-"), 1);
    close(writer);
    cr_assert_eq(vta_service_store_prepare(store, &error), 0, "%s", error.message);
    cr_assert_eq(count_files(""), 1);
}

Test(store, preparing_refuses_what_is_no_writable_directory)
{
    struct vta_error error;
    char path[512];
    cr_assert_eq(vta_service_store_prepare("/nonexistent/store", &error), VTA_EIO);
    cr_assert_not_null(strstr(error.message, "/nonexistent/store"));
    put_file("plain", "x", 1);
    snprintf(path, sizeof path, "%s/plain", store);
    cr_assert_eq(vta_service_store_prepare(path, &error), VTA_EIO);
    if (geteuid() != 0) { /* root may write anywhere */
        chmod(store, 0500);
        cr_assert_eq(vta_service_store_prepare(store, &error), VTA_EIO);
        chmod(store, 0700);
    }
}

/* Uploads without end, alternating between a small and a large file of each name. */
static _Noreturn void upload_for_ever(const uint8_t *big, size_t big_bytes)
{
    char name[2] = "a";
    for (unsigned i = 0;; i++) {
        name[0] = (char)('a' + i % 3);
        if (i % 2 == 0)
            ask(service, "module.upload", "sb", name, big, big_bytes);
        else
            ask(service, "module.upload", "sb", name, file, nbytes);
    }
}

/* Every file that is a module by its name is one by its bytes. */
static int count_whole_files(void)
{
    int whole = 0;
    char path[512];
    DIR *dir = opendir(store);
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        struct vta_module_image image;
        struct vta_error error = { 0 };
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", store, entry->d_name);
        cr_assert_eq(vta_module_open(&image, path, &error), 0, "%s: %s", path, error.message);
        vta_module_image_clear(&image);
        whole++;
    }
    closedir(dir);
    return whole;
}

Test(store, holds_whole_files_only_whenever_its_writer_is_killed, .timeout = 30)
{
    struct vta_error error;
    size_t big_bytes;
    uint8_t *big = make_big(&big_bytes, 10000, 0);
    int kills = 0, whole = 0, leftovers = 0;
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        pid_t child = fork();
        cr_assert_geq(child, 0);
        if (child == 0)
            upload_for_ever(big, big_bytes);
        struct timespec pause = { 0, (kills * 7919 % 30) * 1000000L / 2 + 1000000 };
        nanosleep(&pause, NULL);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        kills++;
        whole += count_whole_files();
        leftovers += count_files(".upload-");
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec - start.tv_sec < 2 && kills < 200);
    cr_assert_gt(whole, 0, "no upload was complete in %d attempts", kills);
    cr_assert_eq(vta_service_store_prepare(store, &error), 0, "%s", error.message);
    cr_assert_eq(count_files(".upload-"), 0, "%d leftovers before", leftovers);
    cr_log_info("%d kills, %d leftovers", kills, leftovers);
    free(big);
}
