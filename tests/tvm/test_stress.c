/* Many sessions, half of them misbehaving: afterwards nothing is left over, and every session that
 * behaved had its answers right.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board.h"

#define NUMBERS 4096

static struct daemon daemon_;

static void setup(void)
{
    daemon_init(&daemon_);
    board_start(&daemon_, (const char *const[]){ "--tvm-call-deadline-ms", "500", "--log-level",
                                                 "info", NULL });
    daemon_wait_log(&daemon_, "TVM sessions run in a box");
    board_check(&daemon_);
    daemon_wait_log(&daemon_, "ended: the client closed");
}

static void teardown(void)
{
    board_stop(&daemon_);
    daemon_clear(&daemon_);
}

TestSuite(tvm_stress, .init = setup, .fini = teardown, .timeout = 300);

/* ---- One session, in steps, so that many can be interleaved --------------------------------- */

enum behaviour {
    CORRECT,
    GARBAGE,
    CUT_SHORT,
    CORRECT_TOO,
    CRASH,
    HALF_A_HANDSHAKE,
    CORRECT_AS_WELL,
    HANG,
    BEHAVIOURS
};

struct session {
    enum behaviour behaviour;
    struct client client;
    struct tensor cpu, board;
    uint8_t numbers[NUMBERS];
};

static void begin(struct session *session, unsigned seed)
{
    uint8_t bytes[64];
    *session = (struct session){ .behaviour = (enum behaviour)(seed % BEHAVIOURS) };
    for (size_t i = 0; i < NUMBERS; i++)
        session->numbers[i] = (uint8_t)(i * 31 + seed * 17);
    if (session->behaviour == HALF_A_HANDSHAKE) {
        client_connect(&session->client, daemon_.port);
        client_send(&session->client, bytes, greeting(bytes, "client:") - 3);
        return;
    }
    client_open(&session->client, daemon_.port);
}

static void allocate(struct session *session)
{
    if (session->behaviour == HALF_A_HANDSHAKE)
        return;
    session->cpu = (struct tensor){ .device = 1, .bits = 8, .ndim = 1, .shape = { NUMBERS } };
    session->board = (struct tensor){ .device = 12, .bits = 8, .ndim = 1, .shape = { NUMBERS } };
    client_alloc(&session->client, &session->cpu);
    client_alloc(&session->client, &session->board);
    client_copy_to(&session->client, &session->cpu, session->numbers, NUMBERS);
    client_copy_to(&session->client, &session->board, session->numbers, NUMBERS);
}

/* Sends a call and does not wait. */
static void send_call(struct client *client, uint64_t kernel)
{
    struct packet packet;
    packet_begin(&packet, 3);
    packet_u64(&packet, kernel);
    packet_values(&packet, "ii", UINT64_C(1), UINT64_C(2));
    packet_send(client, &packet);
}

static void act(struct session *session)
{
    uint8_t garbage[64];
    struct packet packet;
    struct client *client = &session->client;
    switch (session->behaviour) {
    case CORRECT:
    case CORRECT_TOO:
    case CORRECT_AS_WELL:
        send_call(client, board_kernel(client, "add"));
        break;
    case GARBAGE:
        memset(garbage, 0xee, sizeof garbage);
        client_send(client, garbage, sizeof garbage);
        break;
    case CUT_SHORT: /* a copy of which half comes */
        packet_begin(&packet, 7);
        packet_u64(&packet, session->cpu.data);
        packet_send(client, &packet);
        client_send(client, session->numbers, 5);
        client_close(client);
        break;
    case CRASH:
        send_call(client, board_kernel(client, "segfault"));
        break;
    case HANG:
        send_call(client, board_kernel(client, "loop_for_ever"));
        break;
    case HALF_A_HANDSHAKE:
    case BEHAVIOURS:
        client_close(client);
        break;
    }
}

static void finish(struct session *session)
{
    static uint8_t numbers[NUMBERS];
    struct client *client = &session->client;
    struct answer answer;
    switch (session->behaviour) {
    case CORRECT:
    case CORRECT_TOO:
    case CORRECT_AS_WELL:
        answer = client_answer(client, 1);
        expect_int(&answer, 3);
        client_copy_from(client, &session->cpu, numbers, NUMBERS);
        cr_assert_arr_eq(numbers, session->numbers, NUMBERS);
        client_copy_from(client, &session->board, numbers, NUMBERS);
        cr_assert_arr_eq(numbers, session->numbers, NUMBERS);
        break;
    case CRASH:
    case HANG:
        answer = client_answer(client, 1);
        cr_assert_eq(answer.packet, 0, "behaviour %d was answered", session->behaviour);
        break;
    case GARBAGE:
        while (client_read(client, numbers, 1)) /* an exception, perhaps */
            ;
        break;
    case CUT_SHORT:
    case HALF_A_HANDSHAKE:
    case BEHAVIOURS:
        break;
    }
    client_close(client);
}

/* The daemon's memory, in KiB. */
static long memory(void)
{
    char path[64], line[256];
    long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)daemon_.pid);
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "VmRSS: %ld", &kib) == 1)
            break;
    if (file != NULL)
        fclose(file);
    return kib;
}

static struct session sessions[40];

static void run(unsigned first, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        begin(&sessions[i], first + i);
    for (unsigned i = 0; i < count; i++)
        allocate(&sessions[i]);
    for (unsigned i = 0; i < count; i++)
        act(&sessions[i]);
    for (unsigned i = 0; i < count; i++)
        finish(&sessions[i]);
}

Test(tvm_stress, two_hundred_sessions_one_after_another_leave_nothing)
{
    unsigned descriptors = board_expect(&daemon_, 1, 0, 0);
    run(0, 8);
    board_expect(&daemon_, 1, 0, descriptors);
    long before = memory();
    for (unsigned i = 0; i < 200; i++)
        run(i, 1);
    board_expect(&daemon_, 1, 0, descriptors);
    board_check(&daemon_);
    board_expect(&daemon_, 1, 0, descriptors);
    if (!VTA_SANITIZED)
        cr_assert_lt(memory() - before, 2048, "%ld KiB more than before", memory() - before);
}

Test(tvm_stress, forty_sessions_at_once_leave_nothing)
{
    unsigned descriptors = board_expect(&daemon_, 1, 0, 0);
    for (unsigned round = 0; round < 3; round++) {
        run(round, 40);
        board_expect(&daemon_, 1, 0, descriptors);
    }
    board_check(&daemon_);
}
