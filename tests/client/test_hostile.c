/* test_hostile.c: servers that lie, stammer, stop, or are not vtad at all. Whatever they send, a
 * call returns with a reason, the session stays broken, and what came from it can be freed.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake.h"

/* The fake answers the request after hello (msgid 2) with these bytes; the ping must fail so. */
static void expect_ping(const void *bytes, size_t nbytes, enum fake_end end, int code,
                        const char *says)
{
    struct fake fake;
    struct vta_error error = { .message = "" };

    fake_start(&fake, true, bytes, nbytes, end);
    struct vta_session *session = fake_connect(&fake, 100);
    cr_assert_eq(vta_ping(session, NULL, &error), code, "%s: %s", vta_error_name(error.code),
                 error.message);
    cr_assert_not_null(strstr(error.message, says), "%s", error.message);
    cr_assert_not_null(strstr(error.message, "127.0.0.1:"), "%s", error.message);
    cr_assert_eq(vta_ping(session, NULL, &error), VTA_ECLOSED);
    vta_close(session);
    fake_join(&fake);
}

#define PING_FAILS(bytes, end, code, says) expect_ping(bytes, sizeof(bytes) - 1, end, code, says)

Test(hostile, server_that_sends_garbage_is_left)
{
    PING_FAILS("HTTP/1.1 400 Bad Request\r\n\r\n", FAKE_WAITS, VTA_EPROTO, "");
    PING_FAILS("\xc1\xc1\xc1\xc1", FAKE_WAITS, VTA_EPROTO, "");
    PING_FAILS("\xd6\x01\x00\x00\x00\x00", FAKE_WAITS, VTA_EPROTO, ""); /* an ext type */
    PING_FAILS("\x2a", FAKE_WAITS, VTA_EPROTO, "");
    PING_FAILS("\x93\x01\x02\xc0", FAKE_WAITS, VTA_EPROTO, "array of 3");
    PING_FAILS("\x94\x01\x02\xc0", FAKE_CLOSES, VTA_EIO, "closed"); /* midway */
    PING_FAILS("\x95\x01\x02\xc0\xc0\xc0", FAKE_WAITS, VTA_EPROTO, "");
}

Test(hostile, answer_to_another_request_is_not_taken)
{
    PING_FAILS("\x94\x01\x07\xc0\xc0", FAKE_WAITS, VTA_EPROTO, "7");
    PING_FAILS("\x94\x01\xce\xff\xff\xff\xff\xc0\xc0", FAKE_WAITS, VTA_EPROTO, "4294967295");
    PING_FAILS("\x94\x00\x02\xa4ping\x90", FAKE_WAITS, VTA_EPROTO, "request");
    PING_FAILS("\x93\x02\xa4ping\x90", FAKE_WAITS, VTA_EPROTO, "request");
}

Test(hostile, announced_lengths_allocate_nothing)
{
    PING_FAILS("\x94\x01\x02\xc0\xc6\xff\xff\xff\xff", FAKE_WAITS, VTA_ELIMIT, "");
    PING_FAILS("\x94\x01\x02\xc0\xdb\xff\xff\xff\xff", FAKE_WAITS, VTA_ELIMIT, "");
    PING_FAILS("\x94\x01\x02\xc0\xdd\xff\xff\xff\xff", FAKE_WAITS, VTA_ELIMIT, "");
    PING_FAILS("\x94\x01\x02\xc0\xdf\xff\xff\xff\xff", FAKE_WAITS, VTA_ELIMIT, "");
    PING_FAILS("\x94\x01\x02\xc0\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91"
               "\x91\x91\x91\x91\xc0",
               FAKE_WAITS, VTA_ELIMIT, "");
    /* Within the limits, but it never comes. */
    PING_FAILS("\x94\x01\x02\xc0\xc6\x00\x40\x00\x00", FAKE_WAITS, VTA_ETIMEOUT, "100 ms");
}

Test(hostile, silent_server_is_left_after_the_timeout)
{
    PING_FAILS("", FAKE_WAITS, VTA_ETIMEOUT, "ping");
    PING_FAILS("", FAKE_CLOSES, VTA_EIO, "closed");
    PING_FAILS("\x94\x01\x02", FAKE_WAITS, VTA_ETIMEOUT, "100 ms");
}

Test(hostile, daemon_that_leaves_says_why)
{
    static const char words[] = "\x94\x01\x00\x82\xa4"
                                "code\xa5limit\xa7message\xa8too much\xc0";

    PING_FAILS(words, FAKE_CLOSES, VTA_ELIMIT, "too much");
    PING_FAILS("\x94\x01\x00\xc0\xc0", FAKE_CLOSES, VTA_EPROTO, "");
}

Test(hostile, errors_of_any_shape_are_errors)
{
    struct fake fake;
    struct vta_error error;
    static const char foreign[] = "\x94\x01\x02\xa5oops!\xc0";

    fake_start(&fake, true, foreign, sizeof foreign - 1, FAKE_WAITS);
    struct vta_session *session = fake_connect(&fake, 100);
    cr_assert_eq(vta_ping(session, NULL, &error), VTA_EPROTO);
    cr_assert_not_null(strstr(error.message, "oops!"), "%s", error.message);
    vta_close(session);
    fake_join(&fake);
}

/* ---- Results that are not what the protocol promises --------------------------------------- */

typedef int (*call)(struct vta_session *session, struct vta_error *error);

static void expect_bad_result(const void *bytes, size_t nbytes, call ask, int code)
{
    struct fake fake;
    struct vta_error error = { .message = "" };

    fake_start(&fake, true, bytes, nbytes, FAKE_WAITS);
    struct vta_session *session = fake_connect(&fake, 100);
    cr_assert_eq(ask(session, &error), code, "%s: %s", vta_error_name(error.code), error.message);
    cr_assert_eq(vta_ping(session, NULL, &error), VTA_ECLOSED);
    vta_close(session);
    fake_join(&fake);
}

static int ask_load(struct vta_session *session, struct vta_error *error)
{
    return vta_load_module(session, "m", error) == NULL ? error->code : 0;
}

static int ask_list(struct vta_session *session, struct vta_error *error)
{
    struct vta_module_info *list;
    size_t count;

    return vta_list_modules(session, &list, &count, error);
}

static int ask_counters(struct vta_session *session, struct vta_error *error)
{
    struct vta_counters counters;

    return vta_get_counters(session, &counters, error);
}

static int ask_download(struct vta_session *session, struct vta_error *error)
{
    void *bytes;
    size_t nbytes;

    return vta_download(session, "m", &bytes, &nbytes, error);
}

static int ask_array(struct vta_session *session, struct vta_error *error)
{
    struct vta_tensor_type type = { { VTA_DTYPE_INT, 8 }, 1, { 64 } };

    return vta_ndarray_empty(vta_ext_dev(session, 0), &type, error) == NULL ? error->code : 0;
}

Test(hostile, results_of_another_type_break_the_session)
{
    static const char nil[] = "\x94\x01\x02\xc0\xc0", number[] = "\x94\x01\x02\xc0\x05",
                      map[] = "\x94\x01\x02\xc0\x81\xa6module\x01",
                      names[] = "\x94\x01\x02\xc0\x82\xa6module\x01\xa9"
                                "functions\x92\xa3"
                                "add\x05",
                      list[] = "\x94\x01\x02\xc0\x92\x80\x80", text[] = "\x94\x01\x02\xc0\xa2hm";

    expect_bad_result(nil, sizeof nil - 1, ask_load, VTA_EPROTO);
    expect_bad_result(number, sizeof number - 1, ask_load, VTA_EPROTO);
    expect_bad_result(map, sizeof map - 1, ask_load, VTA_EPROTO);
    expect_bad_result(names, sizeof names - 1, ask_load, VTA_EPROTO);
    expect_bad_result(nil, sizeof nil - 1, ask_list, VTA_EPROTO);
    expect_bad_result(list, sizeof list - 1, ask_list, VTA_EPROTO);
    expect_bad_result(number, sizeof number - 1, ask_counters, VTA_EPROTO);
    expect_bad_result(map, sizeof map - 1, ask_download, VTA_EPROTO);
    expect_bad_result(text, sizeof text - 1, ask_array, VTA_EPROTO);
}

/* An array of 64 bytes is made (msgid 2, handle 1), then read (msgid 3) from these bytes. */
static void expect_read(const char *bytes, size_t nbytes, int code, const char *says)
{
    char script[256] = "\x94\x01\x02\xc0\x01";
    struct vta_tensor_type type = { { VTA_DTYPE_INT, 8 }, 1, { 64 } };
    uint8_t out[64];
    struct fake fake;
    struct vta_error error = { .message = "" };

    memcpy(script + 5, bytes, nbytes);
    fake_start(&fake, true, script, 5 + nbytes, FAKE_WAITS);
    struct vta_session *session = fake_connect(&fake, 100);
    struct vta_ndarray *array = vta_ndarray_empty(vta_ext_dev(session, 0), &type, &error);
    cr_assert_not_null(array, "%s", error.message);
    cr_assert_eq(vta_ndarray_copy_to(array, out, sizeof out, &error), code, "%s: %s",
                 vta_error_name(error.code), error.message);
    cr_assert_not_null(strstr(error.message, says), "%s", error.message);
    vta_close(session);
    cr_assert_eq(vta_ndarray_copy_to(array, out, sizeof out, &error), VTA_ECLOSED);
    vta_ndarray_free(array);
    fake_join(&fake);
}

/* The daemon dies while several requests are under way: it has the first, and not the second. */
Test(hostile, server_that_leaves_amid_a_long_write_is_an_error)
{
    enum {
        BYTES = 32 << 20,
        CHUNK = 1 << 20
    };
    struct vta_tensor_type type = { { VTA_DTYPE_INT, 8 }, 1, { BYTES } };
    uint8_t *bytes = calloc(1, BYTES);
    struct vta_error error = { .message = "" };
    struct fake fake;

    fake_start(&fake, true, "\x94\x01\x02\xc0\x01", 5, FAKE_CLOSES);
    fake.hears = CHUNK + CHUNK / 2;
    struct vta_session *session = fake_connect(&fake, 30000);
    struct vta_ndarray *array = vta_ndarray_empty(vta_ext_dev(session, 0), &type, &error);
    cr_assert_not_null(array, "%s", error.message);
    cr_expect_eq(vta_ndarray_copy_from(array, bytes, BYTES, &error), VTA_EIO, "%s", error.message);
    cr_expect_eq(vta_ndarray_copy_from(array, bytes, BYTES, &error), VTA_ECLOSED);
    vta_ndarray_free(array);
    vta_close(session);
    fake_join(&fake);
    free(bytes);
}

Test(hostile, reads_of_another_length_break_the_session)
{
    expect_read("\x94\x01\x03\xc0\xc4\x41", 6, VTA_EPROTO, "65");
    expect_read("\x94\x01\x03\xc0\xc4\x3f", 6, VTA_EPROTO, "63");
    expect_read("\x94\x01\x03\xc0\xc6\xff\xff\xff\xff", 9, VTA_EPROTO, "4294967295");
    expect_read("\x94\x01\x04\xc0\xc4\x02hm", 8, VTA_EPROTO, "not pending");
    expect_read("\x94\x01\x03\xc0\xc4\x40half", 10, VTA_ETIMEOUT, "buffer.read");
    expect_read("\x94\x01\x03\xc0\x05", 5, VTA_EPROTO, "64 bytes");
    expect_read("\x94\x01\x03\xc0\xa2hm", 7, VTA_EPROTO, "64 bytes");
}

/* ---- Not vtad at all ----------------------------------------------------------------------- */

static void expect_no_session(const void *bytes, size_t nbytes, enum fake_end end, int code)
{
    struct fake fake;
    struct vta_error error = { .message = "" };

    fake_start(&fake, false, bytes, nbytes, end);
    cr_assert_null(vta_connect_timeout("127.0.0.1", fake.port, 100, &error));
    cr_assert_eq(error.code, code, "%s: %s", vta_error_name(error.code), error.message);
    fake_join(&fake);
}

Test(hostile, hello_must_be_a_hello)
{
    expect_no_session("SSH-2.0-OpenSSH_9.2\r\n", 21, FAKE_WAITS, VTA_EPROTO);
    expect_no_session("", 0, FAKE_WAITS, VTA_ETIMEOUT);
    expect_no_session("", 0, FAKE_CLOSES, VTA_EIO);
    expect_no_session("\x94\x01\x01\xc0\xc0", 5, FAKE_WAITS, VTA_EPROTO);
    expect_no_session("\x94\x01\x01\xc0\x80", 5, FAKE_WAITS, VTA_EPROTO);
    expect_no_session("\x94\x01\x01\xc0\x81\xa6server\x01", 13, FAKE_WAITS, VTA_EPROTO);
}

Test(hostile, port_where_nobody_listens_is_an_error)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    struct vta_error error;
    int fd = socket(AF_INET, SOCK_STREAM, 0); /* bound and not listening: nobody else takes it */

    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    cr_assert_null(vta_connect("127.0.0.1", ntohs(address.sin_port), &error));
    cr_assert_eq(error.code, VTA_EIO);
    cr_assert_not_null(strstr(error.message, "refused"), "%s", error.message);
    close(fd);
    cr_assert_null(vta_connect("127.0.0.1", 65536, &error));
    cr_assert_eq(error.code, VTA_EINVAL);
    cr_assert_null(vta_connect("127.0.0.1", -1, &error));
    cr_assert_eq(error.code, VTA_EINVAL);
    cr_assert_null(vta_connect("[]", 1, &error));
    cr_assert_eq(error.code, VTA_EINVAL);
}

/* Random bytes after a right beginning: any outcome but a crash, a hang or an unexplained one. */
Test(hostile, random_answers_end_in_a_reason)
{
    static const uint8_t openings[][6] = { "\x94\x01\x02\xc0", "\x94\x01\x02", "\x94\x01", "\x94" };
    uint32_t state = 4242;

    for (int round = 0; round < 300; round++) {
        uint8_t bytes[64];
        size_t opening = 4 - (size_t)round % 4;
        memcpy(bytes, openings[round % 4], opening);
        for (size_t i = opening; i < sizeof bytes; i++) {
            state = state * 1664525u + 1013904223u;
            bytes[i] = (uint8_t)(state >> 16);
        }
        struct fake fake;
        struct vta_error error = { .message = "" };
        fake_start(&fake, true, bytes, sizeof bytes, FAKE_CLOSES);
        struct vta_session *session = fake_connect(&fake, 1000);
        if (ask_list(session, &error) != 0)
            cr_assert_neq(error.message[0], '\0');
        vta_close(session);
        fake_join(&fake);
    }
}
