/* How a TVM session begins: keys, options, pieces, garbage, limits.
 */
#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

#include "board.h"
#include "tests/integration/session.h"

static struct daemon daemon_;
static struct client client;

static void setup(void)
{
    daemon_init(&daemon_);
}

static void teardown(void)
{
    client_close(&client);
    if (daemon_.pid > 0)
        board_stop(&daemon_);
    daemon_clear(&daemon_);
}

TestSuite(handshake, .init = setup, .fini = teardown);

#define FLAGS(...) ((const char *const[]){ __VA_ARGS__, NULL })

Test(handshake, welcomes_a_client_and_serves_it)
{
    board_start(&daemon_, NULL);
    board_check(&daemon_);
    daemon_wait_log(&daemon_, "began: TVM, worker ");
    daemon_wait_log(&daemon_, "ended: the client closed");
}

Test(handshake, tells_a_client_with_another_key_that_it_does_not_match)
{
    board_start(&daemon_, FLAGS("--tvm-key", "board7"));
    static const char *const others[] = {
        "client:", "client:board", "client:board77", "server:board7", "", "client:\x1b[31m"
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        cr_assert_eq(client_greet(&client, daemon_.port, others[i]), KEY_MISMATCH, "%s", others[i]);
        client_expect_end(&client);
        client_close(&client);
    }
    daemon_wait_log(&daemon_, "the key 'client:' is not 'client:board7'");
    daemon_wait_log(&daemon_, "the key 'client:?[31m' is not");
    cr_assert_eq(client_greet(&client, daemon_.port, "client:board7 -timeout=100"), MAGIC);
}

Test(handshake, is_taken_in_single_bytes)
{
    uint8_t bytes[64];
    board_start(&daemon_, NULL);
    size_t size = greeting(bytes, "client: -timeout=60");
    client_connect(&client, daemon_.port);
    for (size_t i = 0; i < size; i++) {
        const struct timespec pause = { .tv_nsec = 1000000 };
        client_send(&client, bytes + i, 1);
        nanosleep(&pause, NULL); /* so that the pieces are pieces */
    }
    cr_assert(client_read(&client, bytes, 15));
    cr_assert_arr_eq(bytes, "\x71\xf2\x0f\x00\x07\x00\x00\x00server:", 15);
}

Test(handshake, may_come_together_with_everything_after_it)
{
    uint8_t bytes[512];
    struct packet packet;
    board_start(&daemon_, NULL);
    size_t size = greeting(bytes, "client:");
    packet_init_server(&packet);
    uint64_t length = packet.size - 8;
    memcpy(packet.bytes, &length, 8);
    memcpy(bytes + size, packet.bytes, packet.size);
    client_connect(&client, daemon_.port);
    client_send(&client, bytes, size + packet.size - 3); /* cut inside a packet */
    client_send(&client, bytes + size + packet.size - 3, 3);
    cr_assert(client_read(&client, bytes, 15));
    struct answer answer = client_answer(&client, 0);
    cr_assert_eq(answer.packet, 4);
    cr_assert_neq(client_function(&client, "tvm.rpc.server.upload"), 0);
}

Test(handshake, of_a_client_that_pipelines_a_large_upload_hands_all_of_it_over)
{
    enum {
        BYTES = 300000
    };
    static uint8_t sent[BYTES], got[BYTES];
    uint8_t bytes[64];
    struct packet packet;
    board_start(&daemon_, NULL);
    for (size_t i = 0; i < BYTES; i++)
        sent[i] = (uint8_t)(i * 7);
    client_connect(&client, daemon_.port);
    client_send(&client, bytes, greeting(bytes, "client:"));
    packet_init_server(&packet);
    packet_send(&client, &packet);
    /* An allocation and a copy into it cannot be pipelined, for want of the handle; the bytes of a
     * function's name can. */
    packet_begin(&packet, 9);
    packet_u32(&packet, 1);
    packet_u32(&packet, 11);
    packet_u64(&packet, BYTES);
    uint64_t length = packet.size - 8 + BYTES;
    memcpy(packet.bytes, &length, 8);
    client_send(&client, packet.bytes, packet.size);
    client_send(&client, sent, BYTES);
    cr_assert(client_read(&client, got, 15));
    cr_assert_eq(client_answer(&client, 0).packet, 4);
    cr_assert_neq(client_answer(&client, 0).packet, 0); /* whatever it thinks of such a name */
    cr_assert_neq(client_function(&client, "tvm.rpc.server.upload"), 0);
}

Test(handshake, that_is_none_ends_the_connection)
{
    static const struct {
        const char *bytes;
        size_t nbytes;
        const char *log;
    } rows[] = {
        { "\x71\xf2\x0f\x00\xff\xff\xff\xff", 8, "a key of 4294967295 bytes, the limit is 1024" },
        { "\x71\xf2\x0f\x00\x01\x04\x00\x00", 8, "a key of 1025 bytes" },
        { "\x71\xf2\x0f\x01", 4, "first bytes 71 f2 0f 01 are neither" },
        { "\x71\xf2\x0f\x00\x11\x00\x00\x00"
          "client: -timeout=",
          25, "is not a number of seconds" },
    };
    board_start(&daemon_, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        client_connect(&client, daemon_.port);
        client_send(&client, rows[i].bytes, rows[i].nbytes);
        client_expect_end(&client);
        client_close(&client);
        daemon_wait_log(&daemon_, rows[i].log);
    }
}

Test(handshake, that_is_too_slow_ends_the_connection)
{
    board_start(&daemon_, FLAGS("--handshake-timeout-ms", "200"));
    client_connect(&client, daemon_.port);
    client_send(&client, "\x71\xf2\x0f\x00\x07\x00\x00\x00", 8);
    client_expect_end(&client);
    daemon_wait_log(&daemon_, "closed: no handshake within 200 ms");
}

Test(handshake, is_refused_as_by_no_tvm_server_where_tvm_is_off)
{
    uint8_t bytes[64];
    board_start(&daemon_, FLAGS("--tvm", "off"));
    client_connect(&client, daemon_.port);
    client_send(&client, bytes, greeting(bytes, "client:"));
    cr_assert(client_read(&client, bytes, 4));
    cr_assert_arr_eq(bytes, "\0\0\0\0", 4);
    client_expect_end(&client);
    daemon_wait_log(&daemon_, "TVM sessions are turned off");
    cr_assert_eq(board_processes(&daemon_), 0);

    struct session native;
    session_open(&native, daemon_.port, 1);
    session_check_add(&native);
    session_close(&native);
}

Test(handshake, beyond_max_tvm_sessions_is_told_that_the_key_is_in_use)
{
    struct client first, second;
    board_start(&daemon_, FLAGS("--max-tvm-sessions", "2"));
    client_open(&first, daemon_.port);
    client_open(&second, daemon_.port);
    cr_assert_eq(client_greet(&client, daemon_.port, "client:"), KEY_IN_USE);
    client_expect_end(&client);
    daemon_wait_log(&daemon_, "the server has 2 TVM sessions, its limit (max_tvm_sessions)");
    client_close(&first);
    daemon_wait_log(&daemon_, "ended: the client closed");
    board_check(&daemon_);
    client_close(&second);
}

Test(handshake, fails_where_no_worker_can_be_started)
{
    board_start(&daemon_, FLAGS("--tvm-worker", "/no/such/vtad-worker"));
    daemon_wait_log(&daemon_, "a TVM worker could not be started: /no/such/vtad-worker");
    cr_assert_eq(client_greet(&client, daemon_.port, "client:"), 0);
    client_expect_end(&client);
}

Test(handshake, fails_where_the_worker_is_no_worker)
{
    board_start(&daemon_, FLAGS("--tvm-worker", "/bin/false"));
    daemon_wait_log(&daemon_,
                    "a TVM worker could not be started: the process died (exit status 1)");
    cr_assert_eq(client_greet(&client, daemon_.port, "client:"), 0);
}

Test(handshake, leaves_sessions_of_the_native_protocol_alone)
{
    struct session native;
    board_start(&daemon_, NULL);
    session_open(&native, daemon_.port, 1);
    client_open(&client, daemon_.port);
    session_check_add(&native);
    cr_assert_neq(client_function(&client, "tvm.rpc.server.upload"), 0);
    session_check_add(&native);
    session_close(&native);
}

Test(handshake, tells_what_the_box_is_made_of_before_any_session)
{
    board_start(&daemon_, NULL);
    const char *line = daemon_wait_log(&daemon_, "TVM sessions run in a box of ");
    cr_assert_not_null(strstr(line, "seccomp"), "%s", line);
    board_expect(&daemon_, 1, 0, 0); /* the worker that told has gone */
}
