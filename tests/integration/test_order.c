/* Pipelining: the order of answers, what overtakes, many sessions, back-pressure.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "session.h"

static struct daemon daemon_;
static struct session session;
static struct wire *const wire = &session.wire;

static void setup(void)
{
    static const char *const flags[] = { "--max-queued-requests", "8", "--max-write-queue-bytes",
                                         "4096", NULL };
    daemon_init(&daemon_);
    daemon_start(&daemon_, flags);
    session_open(&session, daemon_.port, SPINS_FOR_EVER);
}

static void teardown(void)
{
    session_close(&session);
    daemon_stop(&daemon_);
    daemon_clear(&daemon_);
}

TestSuite(order, .init = setup, .fini = teardown);

Test(order, write_run_and_read_may_be_sent_without_waiting)
{
    msgpack_sbuffer batch;
    msgpack_sbuffer_init(&batch);
    int32_t ones[ADD_NUMBERS];
    for (uint32_t round = 0; round < 20; round++) {
        for (uint32_t i = 0; i < ADD_NUMBERS; i++)
            ones[i] = (int32_t)round;
        wire_pack(&batch, 1000 + 3 * round, "buffer.write", "uub", session.buffers[0], (uint64_t)0,
                  ones, sizeof ones);
        wire_pack(&batch, 1001 + 3 * round, "run", "uh", session.add, session.buffers, (size_t)3);
        wire_pack(&batch, 1002 + 3 * round, "buffer.read", "uuu", session.buffers[2], (uint64_t)0,
                  (uint64_t)ADD_NUMBERS);
    }
    wire_send(wire, batch.data, batch.size);
    msgpack_sbuffer_destroy(&batch);
    for (uint32_t round = 0; round < 20; round++) {
        wire_expect(wire, 1000 + 3 * round, NULL);
        wire_expect(wire, 1001 + 3 * round, NULL);
        wire_expect(wire, 1002 + 3 * round, NULL);
        for (uint32_t i = 0; i < ADD_NUMBERS; i++)
            cr_assert_eq((int8_t)wire->result.via.bin.ptr[i],
                         (int8_t)((int32_t)round + session.b[i]));
    }
}

Test(order, ping_and_cancel_overtake_what_waits)
{
    uint32_t run = session_spin(&session);
    uint32_t later = wire_request(wire, "board.info", "");
    wire_call(wire, NULL, "ping", "u", (uint64_t)5);
    cr_assert_eq(wire_uint(&wire->result), 5);
    cr_assert(wire_bool(wire_call(wire, NULL, "cancel", "")));
    wire_expect(wire, run, "cancelled");
    wire_expect(wire, later, NULL);
}

Test(order, a_cancel_in_the_same_packet_as_the_run_finds_it)
{
    for (uint32_t i = 0; i < 50; i++) {
        msgpack_sbuffer batch;
        msgpack_sbuffer_init(&batch);
        wire_pack(&batch, 500, "run", "uh", session.spin, &session.buffers[2], (size_t)1);
        wire_pack(&batch, 501, "cancel", "");
        wire_send(wire, batch.data, batch.size);
        msgpack_sbuffer_destroy(&batch);
        wire_expect(wire, 501, NULL);
        cr_assert(wire_bool(&wire->result));
        wire_expect(wire, 500, "cancelled");
    }
}

Test(order, sixty_four_sessions_work_at_once_and_share_nothing)
{
    enum {
        SESSIONS = 64
    };
    static struct session many[SESSIONS];
    for (int i = 0; i < SESSIONS; i++)
        session_open(&many[i], daemon_.port, 1);
    for (int round = 0; round < 3; round++) {
        uint32_t runs[SESSIONS];
        for (int i = 0; i < SESSIONS; i++) {
            for (uint32_t k = 0; k < ADD_NUMBERS; k++)
                many[i].a[k] = i + round;
            wire_request(&many[i].wire, "buffer.write", "uub", many[i].buffers[0], (uint64_t)0,
                         many[i].a, sizeof many[i].a);
            runs[i] =
                wire_request(&many[i].wire, "run", "uh", many[i].add, many[i].buffers, (size_t)3);
        }
        for (int i = 0; i < SESSIONS; i++) {
            wire_expect(&many[i].wire, runs[i] - 1, NULL);
            wire_expect(&many[i].wire, runs[i], NULL);
        }
    }
    for (int i = 0; i < SESSIONS; i++) {
        session_check_add(&many[i]);
        session_close(&many[i]);
    }
}

/* Sends as much as the daemon takes without an answer; returns the bytes that it took. */
static size_t flood(int fd, const char *bytes, size_t nbytes)
{
    size_t sent = 0;
    while (sent < nbytes) {
        struct pollfd writable = { .fd = fd, .events = POLLOUT };
        if (poll(&writable, 1, 300) == 0)
            break;
        ssize_t n = send(fd, bytes + sent, nbytes - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        cr_assert_gt(n, 0);
        sent += (size_t)n;
    }
    return sent;
}

Test(order, a_session_with_too_much_queued_is_not_read_from_until_it_is_done)
{
    enum {
        REQUESTS = 200,
        CHUNK = 1 << 20
    };
    uint8_t *chunk = calloc(1, CHUNK);
    msgpack_sbuffer batch;
    msgpack_sbuffer_init(&batch);
    uint64_t buffer = wire_uint(wire_call(wire, NULL, "buffer.alloc", "u", (uint64_t)CHUNK));
    session_spin(&session);
    for (uint32_t i = 0; i < REQUESTS; i++)
        wire_pack(&batch, 1000 + i, "buffer.write", "uub", buffer, (uint64_t)0, chunk,
                  (size_t)CHUNK);
    size_t sent = flood(wire->fd, batch.data, batch.size);
    cr_assert_lt(sent, batch.size / 2, "the daemon took %zu bytes that it could not execute", sent);

    /* Another session is not disturbed, and the run ends when its connection is reset. */
    struct wire other;
    wire_connect(&other, daemon_.port);
    wire_call(&other, NULL, "ping", "");
    struct linger reset = { .l_onoff = 1 };
    setsockopt(wire->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    wire_close(wire);
    daemon_wait_log(&daemon_, "session 1 from 127.0.0.1:");
    daemon_wait_log(&daemon_, "session 1 from 127.0.0.1:");
    wire_close(&other);
    msgpack_sbuffer_destroy(&batch);
    free(chunk);
}

Test(order, a_peer_that_closes_while_it_is_not_read_from_is_noticed)
{
    session_spin(&session);
    for (uint32_t i = 0; i < 100; i++)
        wire_request(wire, "counters.get", "");
    wire_close(wire);
    daemon_wait_log(&daemon_, "ended: the peer closed");
}

Test(order, a_queue_that_was_full_is_worked_off_in_order)
{
    enum {
        REQUESTS = 100
    };
    msgpack_sbuffer batch;
    uint32_t run = wire_request(wire, "run", "uho", session.spin, &session.buffers[2], (size_t)1,
                                "deadline_ms", (uint64_t)200);
    msgpack_sbuffer_init(&batch);
    for (uint32_t i = 0; i < REQUESTS; i++)
        wire_pack(&batch, 1000 + i, i % 3 == 0 ? "module.list" : "counters.get", "");
    wire_send(wire, batch.data, batch.size);
    msgpack_sbuffer_destroy(&batch);
    wire_expect(wire, run, "deadline");
    for (uint32_t i = 0; i < REQUESTS; i++)
        wire_expect(wire, 1000 + i, NULL);
}

Test(order, a_client_that_does_not_read_is_not_read_from)
{
    enum {
        REQUESTS = 400000
    };
    msgpack_sbuffer batch;
    msgpack_sbuffer_init(&batch);
    for (uint32_t i = 0; i < REQUESTS; i++)
        wire_pack(&batch, 1000 + i, "board.info", "");
    size_t sent = flood(wire->fd, batch.data, batch.size);
    cr_assert_lt(sent, batch.size, "the daemon took all of %zu bytes", sent);
    /* Everything that it took is answered once the client reads. */
    wire_send(wire, batch.data + sent, 0);
    for (uint32_t i = 0; i < 1000; i++)
        wire_expect(wire, 1000 + i, NULL);
    msgpack_sbuffer_destroy(&batch);
}

Test(order, a_large_read_arrives_whole_while_pings_come_in_between)
{
    enum {
        BYTES = 8 << 20
    };
    uint64_t buffer = wire_uint(wire_call(wire, NULL, "buffer.alloc", "u", (uint64_t)BYTES));
    uint8_t *bytes = malloc(BYTES);
    for (size_t i = 0; i < BYTES; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 4096);
    for (size_t at = 0; at < BYTES; at += 1 << 20)
        wire_call(wire, NULL, "buffer.write", "uub", buffer, (uint64_t)at, bytes + at,
                  (size_t)(1 << 20));

    msgpack_sbuffer batch;
    msgpack_sbuffer_init(&batch);
    for (uint32_t i = 0; i < 6; i++) {
        wire_pack(&batch, 1000 + i, "buffer.read", "uuu", buffer, (uint64_t)0, (uint64_t)BYTES);
        /* What follows changes the buffer, but only after the read has left. */
        uint8_t byte = (uint8_t)i;
        wire_pack(&batch, 1100 + i, "buffer.write", "uub", buffer, (uint64_t)(BYTES - 1), &byte,
                  (size_t)1);
        wire_pack(&batch, 1200 + i, "ping", "");
    }
    wire_send(wire, batch.data, batch.size);
    msgpack_sbuffer_destroy(&batch);
    uint32_t next_read = 0, next_write = 0, next_ping = 0;
    while (next_read + next_write + next_ping < 18) {
        cr_assert(wire_read(wire));
        cr_assert_eq(wire->error.type, MSGPACK_OBJECT_NIL);
        if (wire->msgid >= 1200) {
            cr_assert_eq(wire->msgid - 1200, next_ping++);
        } else if (wire->msgid >= 1100) {
            cr_assert_eq(wire->msgid - 1100, next_write++);
        } else {
            cr_assert_eq(wire->msgid - 1000, next_read);
            cr_assert_eq(next_read++, next_write);
            cr_assert_eq(wire->result.via.bin.size, BYTES);
            cr_assert_eq(memcmp(wire->result.via.bin.ptr, bytes, BYTES - 1), 0);
            uint8_t last = next_read == 1 ? bytes[BYTES - 1] : (uint8_t)(next_read - 2);
            cr_assert_eq((uint8_t)wire->result.via.bin.ptr[BYTES - 1], last);
        }
    }
    free(bytes);
}

/* Writes that the daemon has made, or -1 where the kernel does not count them. */
static long daemon_writes(void)
{
    char path[64], line[128];
    long writes = -1;
    snprintf(path, sizeof path, "/proc/%d/io", (int)daemon_.pid);
    FILE *file = fopen(path, "r");
    while (file != NULL && writes < 0 && fgets(line, sizeof line, file) != NULL)
        sscanf(line, "syscw: %ld", &writes);
    if (file != NULL)
        fclose(file);
    return writes;
}

Test(order, what_arrives_together_is_answered_with_few_writes)
{
    enum {
        REQUESTS = 64
    };
    msgpack_sbuffer batch;
    msgpack_sbuffer_init(&batch);
    for (uint32_t i = 0; i < REQUESTS; i++)
        wire_pack(&batch, 1000 + i, i % 2 == 0 ? "ping" : "counters.get", "");
    long before = daemon_writes();
    if (before < 0)
        cr_skip_test("no /proc/PID/io here");
    wire_send(wire, batch.data, batch.size);
    msgpack_sbuffer_destroy(&batch);
    for (uint32_t i = 0; i < REQUESTS; i++)
        wire_expect(wire, 1000 + i, NULL);
    cr_assert_lt(daemon_writes() - before, REQUESTS / 4);
}

Test(order, small_and_large_answers_keep_their_order)
{
    enum {
        ROUNDS = 200,
        BYTES = 20000
    };
    uint64_t buffer = wire_uint(wire_call(wire, NULL, "buffer.alloc", "u", (uint64_t)BYTES));
    msgpack_sbuffer batch;
    msgpack_sbuffer_init(&batch);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        wire_pack(&batch, 1000 + 3 * i, "buffer.write", "uub", buffer, (uint64_t)0, &i, sizeof i);
        wire_pack(&batch, 1001 + 3 * i, "buffer.read", "uuu", buffer, (uint64_t)0,
                  (uint64_t)(i % 2 == 0 ? sizeof i : BYTES));
        wire_pack(&batch, 1002 + 3 * i, "board.info", ""); /* fills what is gathered */
    }
    wire_send(wire, batch.data, batch.size);
    msgpack_sbuffer_destroy(&batch);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        wire_expect(wire, 1000 + 3 * i, NULL);
        wire_expect(wire, 1001 + 3 * i, NULL);
        cr_assert_eq(wire->result.via.bin.size, i % 2 == 0 ? sizeof i : BYTES);
        cr_assert_eq(memcmp(wire->result.via.bin.ptr, &i, sizeof i), 0);
        wire_expect(wire, 1002 + 3 * i, NULL);
    }
}
