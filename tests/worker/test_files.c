/* test_files.c: the scratch folder by relative names, and no way out of it. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kit.h"
#include "worker/files.h"

static struct kit kit;
static struct vta_error error;

static void begin(void)
{
    kit_open(&kit, NULL);
}

static void end(void)
{
    kit_close(&kit);
}

static int put(const char *name, const char *text)
{
    return files_write(&kit.worker, name, text, strlen(text), &error);
}

static void holds(const char *name, const char *text)
{
    char *bytes;
    size_t nbytes;
    cr_assert_eq(files_read(&kit.worker, name, &bytes, &nbytes, &error), 0, "%s", error.message);
    cr_assert_eq(nbytes, strlen(text));
    cr_assert_eq(memcmp(bytes, text, nbytes), 0);
    free(bytes);
}

/* Every way to use a name fails with this code and these words. */
static void refused(const char *name, int code, const char *words)
{
    char *bytes, *path;
    size_t nbytes;
    cr_assert_eq(put(name, "x"), code, "%s", name);
    cr_assert_neq(strstr(error.message, words), NULL, "%s", error.message);
    cr_assert_eq(files_read(&kit.worker, name, &bytes, &nbytes, &error), code);
    cr_assert_neq(strstr(error.message, words), NULL, "%s", error.message);
    cr_assert_eq(files_remove(&kit.worker, name, &error), code);
    cr_assert_eq(files_existing(&kit.worker, name, &path, &error), code);
}

TestSuite(files, .timeout = 60, .init = begin, .fini = end);

Test(files, are_read_as_they_were_written)
{
    cr_assert_eq(put("a.o", "hello"), 0, "%s", error.message);
    holds("a.o", "hello");
    cr_assert_eq(put("a.o", "replaced by more"), 0);
    holds("a.o", "replaced by more");
    cr_assert_eq(put("empty", ""), 0);
    holds("empty", "");
    holds("./a.o", "replaced by more");
}

Test(files, in_folders_make_them)
{
    cr_assert_eq(put("one/two/three.txt", "deep"), 0, "%s", error.message);
    holds("one/two/three.txt", "deep");
    holds("one//two/./three.txt", "deep");
}

Test(files, that_are_replaced_keep_their_bytes_for_who_has_them_open)
{
    char path[128], old[4] = "";
    cr_assert_eq(put("a.so", "old"), 0);
    snprintf(path, sizeof path, "%s/a.so", kit.scratch);
    int fd = open(path, O_RDONLY);
    cr_assert_eq(put("a.so", "new"), 0);
    cr_assert_eq(read(fd, old, 3), 3);
    cr_assert_str_eq(old, "old");
    close(fd);
}

Test(files, are_removed)
{
    char *path;
    cr_assert_eq(put("a", "x"), 0);
    cr_assert_eq(files_remove(&kit.worker, "a", &error), 0);
    cr_assert_eq(files_remove(&kit.worker, "a", &error), VTA_ENOTFOUND);
    cr_assert_neq(strstr(error.message, "'a': there is no such file"), NULL, "%s", error.message);
    cr_assert_eq(files_existing(&kit.worker, "a", &path, &error), VTA_ENOTFOUND);
}

Test(files, have_a_path_in_the_folder)
{
    char *path, expected[128];
    cr_assert_eq(files_path(&kit.worker, "d/a", &path, &error), 0);
    snprintf(expected, sizeof expected, "%s/d/a", kit.scratch);
    cr_assert_str_eq(path, expected);
    refused(path, VTA_EINVAL, "it is absolute");
    free(path);
}

Test(files, have_no_names_that_lead_out)
{
    refused("", VTA_EINVAL, "it is empty");
    refused("/etc/passwd", VTA_EINVAL, "it is absolute");
    refused("..", VTA_EINVAL, "'..'");
    refused("../a", VTA_EINVAL, "'..'");
    refused("a/../../b", VTA_EINVAL, "'..'");
    refused("a/..", VTA_EINVAL, "'..'");
    refused("a/", VTA_EINVAL, "ends with a slash");
    char longest[400];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    refused(longest, VTA_EINVAL, "too long");
    refused("a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q", VTA_EINVAL, "more than 16 deep");
}

Test(files, are_not_reached_through_links)
{
    char link[128], *bytes;
    size_t nbytes;
    snprintf(link, sizeof link, "%s/out", kit.scratch);
    cr_assert_eq(symlink("/etc", link), 0);
    snprintf(link, sizeof link, "%s/file", kit.scratch);
    cr_assert_eq(symlink("/etc/passwd", link), 0);
    cr_assert_eq(files_read(&kit.worker, "out/passwd", &bytes, &nbytes, &error), VTA_EINVAL);
    cr_assert_neq(strstr(error.message, "there is a link on the way"), NULL, "%s", error.message);
    cr_assert_eq(files_read(&kit.worker, "file", &bytes, &nbytes, &error), VTA_EINVAL);
    cr_assert_neq(strstr(error.message, "there is a link on the way"), NULL, "%s", error.message);
    cr_assert_eq(put("out/x", "x"), VTA_EINVAL);
    cr_assert_eq(files_remove(&kit.worker, "out/passwd", &error), VTA_EINVAL);
    /* Writing replaces the link and not what it leads to. */
    cr_assert_eq(put("file", "mine"), 0, "%s", error.message);
    holds("file", "mine");
}

Test(files, that_are_none_are_refused)
{
    char path[128], *bytes;
    size_t nbytes;
    cr_assert_eq(put("d/a", "x"), 0);
    cr_assert_eq(files_read(&kit.worker, "d", &bytes, &nbytes, &error), VTA_EINVAL);
    cr_assert_neq(strstr(error.message, "no regular file"), NULL, "%s", error.message);
    snprintf(path, sizeof path, "%s/pipe", kit.scratch);
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_assert_eq(files_read(&kit.worker, "pipe", &bytes, &nbytes, &error), VTA_EINVAL);
    cr_assert_eq(put("d", "x"), VTA_EIO);
    cr_assert_eq(put("d/a/b", "x"), VTA_ENOTFOUND);
}

Test(files, have_a_limit_of_bytes_together)
{
    size_t nbytes = 600000;
    char *bytes = calloc(1, nbytes);
    cr_assert_eq(files_write(&kit.worker, "a", bytes, nbytes, &error), 0);
    cr_assert_eq(files_write(&kit.worker, "b", bytes, nbytes, &error), VTA_ELIMIT);
    cr_assert_neq(strstr(error.message, "the limit of 1048576"), NULL, "%s", error.message);
    cr_assert_eq(files_write(&kit.worker, "a", bytes, nbytes, &error), 0); /* in its place */
    cr_assert_eq(files_remove(&kit.worker, "a", &error), 0);
    cr_assert_eq(files_write(&kit.worker, "b", bytes, nbytes, &error), 0);
    free(bytes);
}

Test(files, have_a_limit_of_number)
{
    char name[16];
    for (int i = 0; i < 8; i++) {
        snprintf(name, sizeof name, "f%d", i);
        cr_assert_eq(put(name, "x"), 0);
    }
    cr_assert_eq(put("f8", "x"), VTA_ELIMIT);
    cr_assert_neq(strstr(error.message, "the limit is 8 files"), NULL, "%s", error.message);
    cr_assert_eq(put("f7", "y"), 0);
}

Test(files, travel_through_a_session)
{
    struct client client;
    struct reply reply;
    size_t nbytes = 900000;
    char *bytes = malloc(nbytes);
    for (size_t i = 0; i < nbytes; i++)
        bytes[i] = (char)(i * 7);
    client_open(&client, &kit);
    uint64_t upload = function_of(&client, "tvm.rpc.server.upload");
    uint64_t download = function_of(&client, "tvm.rpc.server.download");
    call(&client, &reply, upload, "sb", "big", bytes, nbytes);
    expect_null(&reply);
    call(&client, &reply, download, "s", "big");
    cr_assert_eq(reply.items[0].i, TVM_BYTES);
    cr_assert_eq(reply.items[1].bytes.size, nbytes);
    cr_assert_eq(memcmp(reply.items[1].bytes.data, bytes, nbytes), 0);
    reply_free(&reply);
    call(&client, &reply, upload, "sb", "../big", bytes, (size_t)10);
    expect_exception(&reply, "file name '../big' is refused");
    call(&client, &reply, upload, "s", "x");
    expect_exception(&reply, "tvm.rpc.server.upload takes 2 arguments, got 1");
    call(&client, &reply, upload, "ss", "x", "y");
    expect_exception(&reply,
                     "argument 2 of tvm.rpc.server.upload: expected type bytes, got string");
    call(&client, &reply, function_of(&client, "tvm.rpc.server.workpath"), "s", "big");
    cr_assert_eq(strncmp(reply.items[1].bytes.data, kit.scratch, strlen(kit.scratch)), 0);
    reply_free(&reply);
    call(&client, &reply, function_of(&client, "tvm.rpc.server.remove"), "s", "big");
    expect_null(&reply);
    call(&client, &reply, download, "s", "big");
    expect_exception(&reply, "there is no such file");
    client_close(&client);
    free(bytes);
}

/* As tuners do after every measurement. */
Test(files, that_are_not_there_are_removed_in_silence)
{
    static const char *const names[] = { "/tmp/tmpq4/tmp_func_1.tar",
                                         "/tmp/tmpq4/tmp_func_1.so",
                                         "",
                                         "tmp_func_1.so",
                                         "nowhere/tmp_func_1.so",
                                         "a/b" };
    struct client client;
    struct reply reply;
    client_open(&client, &kit);
    cr_assert_eq(put("a", "x"), 0);
    uint64_t remove = function_of(&client, "tvm.rpc.server.remove");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        call(&client, &reply, remove, "s", names[i]);
        expect_null(&reply);
    }
    call(&client, &reply, remove, "s", "../a");
    expect_exception(&reply, "file name '../a' is refused");
    holds("a", "x");
    client_close(&client);
}

Test(files, are_uploaded_in_packets_longer_than_others)
{
    struct worker_options options;
    struct client client;
    struct reply reply;
    size_t nbytes = 800000;
    char *bytes = calloc(1, nbytes);
    kit_close(&kit);
    kit_options(&options);
    options.max_message_bytes = 10000;
    kit_open(&kit, &options);
    client_open(&client, &kit);
    call(&client, &reply, function_of(&client, "tvm.rpc.server.upload"), "sb", "a", bytes, nbytes);
    expect_null(&reply);
    call(&client, &reply, function_of(&client, "tvm.rpc.server.remove"), "sb", "a", bytes, nbytes);
    expect_exception(&reply, "passes the limit of 10000");
    call(&client, &reply, function_of(&client, "tvm.rpc.server.remove"), "s", "a");
    expect_null(&reply);
    client_close(&client);
    free(bytes);
}

Test(files, may_be_large)
{
    struct worker_options options;
    struct client client;
    struct reply reply;
    size_t nbytes = 5000000;
    char *bytes = malloc(nbytes);
    for (size_t i = 0; i < nbytes; i++)
        bytes[i] = (char)(i % 251);
    kit_close(&kit);
    kit_options(&options);
    options.max_upload_bytes = 6000000;
    kit_open(&kit, &options);
    client_open(&client, &kit);
    uint64_t upload = function_of(&client, "tvm.rpc.server.upload");
    for (int i = 0; i < 2; i++) {
        call(&client, &reply, upload, "sb", "large", bytes, nbytes);
        expect_null(&reply);
        call(&client, &reply, function_of(&client, "tvm.rpc.server.download"), "s", "large");
        cr_assert_eq(reply.items[1].bytes.size, nbytes);
        cr_assert_eq(memcmp(reply.items[1].bytes.data, bytes, nbytes), 0);
        reply_free(&reply);
    }
    call(&client, &reply, upload, "sb", "second", bytes, nbytes);
    expect_exception(&reply, "'second': 5000000 bytes beside the 5000000 there pass the limit");
    client_close(&client);
    free(bytes);
}
