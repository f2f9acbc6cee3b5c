/* The queue of messages: what is copied, what is kept, when it is full.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "server/inbox.h"

static struct inbox_pool pool;
static struct inbox inbox;
static struct vta_error error;

static void setup(void)
{
    struct vta_wire_limits wire;
    vta_wire_limits_default(&wire);
    struct inbox_limits limits = { .requests = 4, .bytes = 1 << 20 };
    cr_assert_eq(inbox_pool_init(&pool), 0);
    inbox_init(&inbox, &pool, &wire, &limits);
}

static void teardown(void)
{
    inbox_clear(&inbox);
    inbox_pool_clear(&pool);
}

TestSuite(inbox, .init = setup, .fini = teardown);

/* Puts bytes where the inbox wants them, as a transport does. */
static void feed(const uint8_t *bytes, size_t nbytes)
{
    uint8_t *room;
    size_t size;
    inbox_room(&inbox, &room, &size);
    cr_assert(size >= nbytes);
    memcpy(room, bytes, nbytes);
    inbox_arrived(&inbox, nbytes);
}

static int cut(void)
{
    const uint8_t *bytes;
    size_t length;
    return inbox_cut(&inbox, &bytes, &length, &error);
}

/* A message: an array of one number. */
static void feed_small(uint8_t number)
{
    feed((uint8_t[]){ 0x91, number }, 2);
    cr_assert_eq(cut(), 1);
}

static void expect_front(uint8_t number)
{
    const uint8_t *bytes;
    size_t length;
    cr_assert(inbox_front(&inbox, &bytes, &length));
    cr_assert_eq(length, 2);
    cr_assert_eq(bytes[1], number);
}

/* A message that is one binary of `payload` bytes, all of them `fill`. */
static uint8_t *make_large(size_t payload, uint8_t fill, size_t *nbytes)
{
    uint8_t *bytes = malloc(payload + 5);
    memcpy(bytes,
           (uint8_t[]){ 0xc6, (uint8_t)(payload >> 24), (uint8_t)(payload >> 16),
                        (uint8_t)(payload >> 8), (uint8_t)payload },
           5);
    memset(bytes + 5, fill, payload);
    *nbytes = payload + 5;
    return bytes;
}

/* As a socket would: as much at a time as the inbox has room for, cutting in between. */
static int feed_in_pieces(const uint8_t *bytes, size_t nbytes)
{
    int messages = 0;
    while (nbytes > 0) {
        uint8_t *room;
        size_t size;
        inbox_room(&inbox, &room, &size);
        size_t n = size < nbytes ? size : nbytes;
        memcpy(room, bytes, n);
        inbox_arrived(&inbox, n);
        bytes += n;
        nbytes -= n;
        while (cut() == 1)
            messages++;
        cr_assert_eq(inbox_settle(&inbox), 0);
    }
    return messages;
}

Test(inbox, costs_nothing_when_nothing_waits)
{
    feed_small(1);
    cr_assert(inbox.borrowed);
    inbox_pop(&inbox);
    cr_assert_eq(inbox_settle(&inbox), 0);
    cr_assert_null(inbox.data);
}

Test(inbox, keeps_order_and_bytes_when_messages_wait)
{
    for (uint8_t i = 1; i <= 3; i++) {
        feed_small(i);
        cr_assert_eq(inbox_settle(&inbox), 0);
        cr_assert(!inbox.borrowed);
    }
    for (uint8_t i = 1; i <= 3; i++) {
        expect_front(i);
        inbox_pop(&inbox);
    }
    cr_assert_eq(inbox_settle(&inbox), 0);
    cr_assert_null(inbox.data);
}

Test(inbox, puts_together_a_message_that_comes_byte_by_byte)
{
    const uint8_t message[] = { 0x94, 0x00, 0x07, 0xa4, 'p', 'i', 'n', 'g', 0x90 };
    const uint8_t *bytes;
    size_t length;
    for (size_t i = 0; i < sizeof message; i++) {
        feed(&message[i], 1);
        int rc = inbox_cut(&inbox, &bytes, &length, &error);
        cr_assert_eq(rc, i + 1 == sizeof message);
        if (rc == 0)
            cr_assert_eq(inbox_settle(&inbox), 0);
    }
    cr_assert_eq(length, sizeof message);
    cr_assert_arr_eq(bytes, message, sizeof message);
}

Test(inbox, passes_over_what_was_executed_out_of_turn)
{
    feed_small(1);
    feed_small(2);
    inbox_skip(&inbox); /* 2 */
    feed_small(3);
    cr_assert_eq(inbox.waiting, 2);
    expect_front(1);
    inbox_pop(&inbox);
    expect_front(3);
    inbox_pop(&inbox);
    cr_assert_eq(inbox.waiting, 0);
    cr_assert_eq(inbox.begin, inbox.end);
}

Test(inbox, does_not_grow_with_what_is_executed_out_of_turn)
{
    size_t nbytes;
    uint8_t *large = make_large(100000, 9, &nbytes);
    feed_small(1);
    cr_assert_eq(inbox_settle(&inbox), 0);
    for (uint8_t i = 2; i < 202; i++) { /* 20 MB behind one that waits */
        cr_assert_eq(feed_in_pieces(large, nbytes), 1);
        inbox_skip(&inbox);
        if (i == 50 || i == 100) /* and some that wait in between */
            feed_small(i);
        cr_assert_eq(inbox_settle(&inbox), 0);
        cr_assert_leq(inbox.capacity, 1u << 20);
    }
    expect_front(1);
    inbox_pop(&inbox);
    expect_front(50);
    inbox_pop(&inbox);
    expect_front(100);
    inbox_pop(&inbox);
    cr_assert_eq(inbox.waiting, 0);
    cr_assert_eq(inbox_settle(&inbox), 0);
    cr_assert_null(inbox.data);
    free(large);
}

Test(inbox, squeezes_without_losing_the_message_that_is_arriving)
{
    static const uint8_t half[] = { 0x93, 7 }, rest[] = { 8, 9 };
    const uint8_t *bytes;
    size_t length;
    feed_small(1);
    for (int i = 0; i < 40000; i++) {
        feed((uint8_t[]){ 0x91, 2, half[0], half[1] }, 4);
        cr_assert_eq(cut(), 1);
        inbox_skip(&inbox); /* with two bytes of the next one behind it */
        cr_assert_eq(cut(), 0);
        cr_assert_eq(inbox_settle(&inbox), 0);
        feed(rest, 2);
        cr_assert_eq(inbox_cut(&inbox, &bytes, &length, &error), 1);
        cr_assert_eq(length, 4);
        cr_assert_arr_eq(bytes, ((uint8_t[]){ 0x93, 7, 8, 9 }), 4);
        inbox_skip(&inbox);
        cr_assert_eq(inbox_settle(&inbox), 0);
    }
    cr_assert_leq(inbox.capacity, 1u << 20);
    expect_front(1);
}

Test(inbox, is_full_at_the_limit_and_open_again_at_half_of_it)
{
    for (uint8_t i = 1; i <= 3; i++)
        feed_small(i);
    cr_assert(!inbox.full);
    feed_small(4);
    cr_assert(inbox.full);
    inbox_pop(&inbox);
    cr_assert(inbox.full);
    inbox_pop(&inbox);
    cr_assert(!inbox.full);
}

Test(inbox, is_full_by_bytes_too)
{
    size_t nbytes;
    uint8_t *large = make_large(600000, 1, &nbytes);
    cr_assert_eq(feed_in_pieces(large, nbytes), 1);
    cr_assert(!inbox.full);
    cr_assert_eq(feed_in_pieces(large, nbytes), 1);
    cr_assert(inbox.full);
    inbox_pop(&inbox);
    cr_assert(inbox.full, "600005 bytes are more than half of the limit");
    inbox_pop(&inbox);
    cr_assert(!inbox.full);
    free(large);
}

Test(inbox, says_when_bytes_are_left_that_were_not_cut)
{
    feed((uint8_t[]){ 0x91, 1, 0x91, 2 }, 4);
    cr_assert_eq(cut(), 1);
    cr_assert(inbox_has_uncut(&inbox));
    cr_assert_eq(cut(), 1);
    cr_assert(!inbox_has_uncut(&inbox));
}

Test(inbox, grows_with_what_has_arrived_not_with_what_is_announced)
{
    const uint8_t header[] = { 0xc6, 0x00, 0x7f, 0x00, 0x00 }; /* 8 MiB to come */
    feed(header, sizeof header);
    cr_assert_eq(cut(), 0);
    cr_assert_eq(inbox_settle(&inbox), 0);
    size_t arrived = sizeof header;
    for (int i = 0; i < 200; i++) {
        uint8_t *room;
        size_t size;
        inbox_room(&inbox, &room, &size);
        cr_assert_gt(size, 0);
        size_t n = size < 1000 ? size : 1000;
        memset(room, 0, n);
        inbox_arrived(&inbox, n);
        arrived += n;
        cr_assert_eq(cut(), 0);
        cr_assert_eq(inbox_settle(&inbox), 0);
        cr_assert_leq(inbox.capacity, 2 * arrived + 8192);
    }
}

Test(inbox, reads_a_large_message_to_its_end_and_not_beyond)
{
    size_t nbytes, size;
    uint8_t *large = make_large(500000, 3, &nbytes), *room;
    inbox_room(&inbox, &room, &size);
    memcpy(room, large, 200000);
    inbox_arrived(&inbox, 200000);
    cr_assert_eq(cut(), 0);
    cr_assert_eq(inbox_settle(&inbox), 0);
    size_t had = 200000;
    while (had < nbytes) {
        inbox_room(&inbox, &room, &size);
        cr_assert_leq(size, nbytes - had > 16384 ? nbytes - had : 65536);
        size_t n = size < nbytes - had ? size : nbytes - had;
        memcpy(room, large + had, n);
        inbox_arrived(&inbox, n);
        had += n;
        cr_assert_eq(cut(), had == nbytes);
    }
    const uint8_t *bytes;
    size_t length;
    cr_assert(inbox_front(&inbox, &bytes, &length));
    cr_assert_eq(length, nbytes);
    cr_assert_eq(memcmp(bytes, large, nbytes), 0);
    free(large);
}

/* Takes the oldest and checks it; what follows must be untouched. */
static void take_and_check(const uint8_t *expected, size_t nbytes)
{
    struct bytes taken;
    cr_assert_eq(inbox_take(&inbox, &taken), 0);
    cr_assert_eq(taken.length, nbytes);
    cr_assert_eq(memcmp(taken.data, expected, nbytes), 0);
    inbox_pool_give(&pool, &taken);
    cr_assert_null(taken.data);
}

Test(inbox, takes_messages_out_whole_whatever_lies_behind_them)
{
    size_t nbytes;
    uint8_t *large = make_large(300000, 9, &nbytes);
    cr_assert_eq(feed_in_pieces(large, nbytes), 1);
    feed_small(5);
    inbox_skip(&inbox);
    feed_small(6);
    cr_assert_eq(inbox_settle(&inbox), 0);
    take_and_check(large, nbytes);
    expect_front(6);
    take_and_check((uint8_t[]){ 0x91, 6 }, 2);
    cr_assert_eq(inbox.waiting, 0);
    cr_assert_eq(inbox_settle(&inbox), 0);
    cr_assert_null(inbox.data);
    free(large);
}

/* What was executed out of turn is so much that taking the first message squeezes it out. */
Test(inbox, keeps_what_waits_behind_much_that_was_executed_out_of_turn)
{
    size_t nbytes, urgent_bytes;
    uint8_t *large = make_large(300000, 9, &nbytes), *urgent = make_large(70000, 4, &urgent_bytes);
    cr_assert_eq(feed_in_pieces(large, nbytes), 1);
    feed_small(5);
    cr_assert_eq(feed_in_pieces(urgent, urgent_bytes), 1);
    inbox_skip(&inbox);
    feed_small(6);
    cr_assert_eq(inbox_settle(&inbox), 0);
    take_and_check(large, nbytes);
    cr_assert_eq(inbox.waiting, 2);
    cr_assert_eq(inbox.waiting_bytes, 4);
    expect_front(5);
    inbox_pop(&inbox);
    expect_front(6);
    inbox_pop(&inbox);
    cr_assert_eq(inbox_settle(&inbox), 0);
    cr_assert_null(inbox.data);
    free(large);
    free(urgent);
}

Test(inbox, takes_a_message_out_of_the_shared_buffer_by_copying)
{
    feed_small(1);
    struct bytes taken;
    cr_assert_eq(inbox_take(&inbox, &taken), 0);
    cr_assert_neq(taken.data, pool.shared);
    cr_assert_eq(taken.data[1], 1);
    inbox_pool_give(&pool, &taken);
    cr_assert_eq(inbox_settle(&inbox), 0);
}

Test(inbox, a_stream_of_large_messages_uses_one_allocation)
{
    size_t nbytes;
    uint8_t *large = make_large(400000, 1, &nbytes);
    cr_assert_eq(feed_in_pieces(large, nbytes), 1);
    inbox_pop(&inbox);
    cr_assert_eq(inbox_settle(&inbox), 0);
    const uint8_t *spare = pool.spare.data;
    cr_assert_not_null(spare);
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(feed_in_pieces(large, nbytes), 1);
        cr_assert_eq(inbox.data, spare);
        inbox_pop(&inbox);
        cr_assert_eq(inbox_settle(&inbox), 0);
        cr_assert_eq(pool.spare.data, spare);
    }
    free(large);
}

Test(inbox, refuses_what_no_message_may_hold)
{
    feed((uint8_t[]){ 0xc1 }, 1);
    cr_assert_eq(cut(), VTA_EPROTO);
}

/* Random messages in random pieces come out as they went in. */
Test(inbox, random_messages_in_random_pieces_come_out_as_they_went_in)
{
    unsigned seed = 20240607;
    for (int round = 0; round < 200; round++) {
        uint8_t stream[8192], sizes[64];
        size_t total = 0, fed = 0, out = 0, count = 0;
        while (count < 64 && total < 4000) {
            sizes[count] = (uint8_t)(rand_r(&seed) % 200);
            stream[total] = 0xc4;
            stream[total + 1] = sizes[count];
            memset(stream + total + 2, (int)count, sizes[count]);
            total += 2u + sizes[count++];
        }
        while (out < count) {
            if (fed < total && !inbox.full) {
                size_t n = 1 + (size_t)rand_r(&seed) % 300;
                n = n < total - fed ? n : total - fed;
                feed(stream + fed, n);
                fed += n;
            }
            while (!inbox.full && cut() == 1)
                ;
            const uint8_t *bytes;
            size_t length;
            if (rand_r(&seed) % 2 == 0 && inbox_front(&inbox, &bytes, &length)) {
                cr_assert_eq(length, 2u + sizes[out]);
                cr_assert(sizes[out] == 0 || bytes[length - 1] == out);
                inbox_pop(&inbox);
                out++;
            }
            cr_assert_eq(inbox_settle(&inbox), 0);
        }
        cr_assert_null(inbox.data);
    }
}
