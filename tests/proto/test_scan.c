/* test_scan.c: where a value ends, held against msgpack-c; and limits, before payloads arrive. */
#include "proto/scan.h"

#include <criterion/criterion.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/generated/random.h"

/* ---- Values at random ---------------------------------------------------------------------- */

struct bytes {
    uint8_t data[1 << 16];
    size_t size;
};

static void put(struct bytes *to, uint8_t byte)
{
    if (to->size < sizeof to->data)
        to->data[to->size++] = byte;
}

static void put_number(struct bytes *to, uint64_t value, int width)
{
    for (int shift = 8 * (width - 1); shift >= 0; shift -= 8)
        put(to, (uint8_t)(value >> shift));
}

static void put_junk(struct rng *rng, struct bytes *to, uint32_t n)
{
    while (n-- > 0)
        put(to, (uint8_t)rng_next(rng));
}

static void put_payload(struct rng *rng, struct bytes *to)
{
    static const uint8_t leads[] = { 0xc4, 0xc5, 0xc6, 0xd9, 0xda, 0xdb };
    static const int widths[] = { 1, 2, 4, 1, 2, 4 };
    uint32_t which = rng_between(rng, 0, 6), length = rng_between(rng, 0, 40);

    if (which == 6) {
        length %= 32;
        put(to, (uint8_t)(0xa0 | length));
    } else {
        put(to, leads[which]);
        put_number(to, length, widths[which]);
    }
    put_junk(rng, to, length);
}

static void put_scalar(struct rng *rng, struct bytes *to)
{
    static const uint8_t leads[] = { 0xc0, 0xc2, 0xc3, 0xca, 0xcb, 0xcc, 0xcd,
                                     0xce, 0xcf, 0xd0, 0xd1, 0xd2, 0xd3 };
    static const uint8_t widths[] = { 0, 0, 0, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8 };
    uint32_t which = rng_between(rng, 0, 13);

    if (which == 13) {
        put(to, (uint8_t)(rng_next(rng) % 160 - 32)); /* both fixnums */
    } else {
        put(to, leads[which]);
        put_junk(rng, to, widths[which]);
    }
}

/* One valid value, in any of its encodings, nested at most `depth` deep. */
static void put_value(struct rng *rng, struct bytes *to, uint32_t depth)
{
    bool map = rng_one_in(rng, 2);
    uint32_t count = rng_between(rng, 0, 4), form = rng_between(rng, 0, 2);

    if (depth == 0 || rng_one_in(rng, 3)) {
        if (rng_one_in(rng, 2))
            put_payload(rng, to);
        else
            put_scalar(rng, to);
        return;
    }
    if (form == 0) {
        put(to, (uint8_t)((map ? 0x80 : 0x90) | count));
    } else {
        put(to, (uint8_t)((map ? 0xde : 0xdc) + form - 1));
        put_number(to, count, form == 1 ? 2 : 4);
    }
    for (uint32_t i = 0; i < (map ? 2 * count : count); i++)
        put_value(rng, to, depth - 1);
}

/* ---- Verdicts ------------------------------------------------------------------------------ */

struct verdict {
    int rc;
    size_t taken;
    char message[VTA_ERROR_TEXT];
};

/* Scans in chunks: at random where rng is given, else byte by byte where `single`. */
static struct verdict scan(const struct vta_wire_limits *limits, const uint8_t *data, size_t size,
                           struct rng *rng, bool single)
{
    struct vta_scan scanner;
    struct verdict verdict = { 0 };
    struct vta_error error = { 0 };

    vta_scan_init(&scanner, limits);
    while (verdict.rc == 0 && verdict.taken < size) {
        size_t left = size - verdict.taken, chunk = single ? 1 : left, taken;

        if (rng != NULL && left > 1)
            chunk = rng_between(rng, 1, left < 9 ? (uint32_t)left : 9);
        verdict.rc = vta_scan_feed(&scanner, data + verdict.taken, chunk, &taken, &error);
        cr_assert(taken <= chunk);
        cr_assert(verdict.rc != 0 || taken == chunk, "a chunk was not taken whole");
        verdict.taken += taken;
    }
    strcpy(verdict.message, error.message);
    return verdict;
}

static void expect_any_split_agrees(const struct vta_wire_limits *limits, const uint8_t *data,
                                    size_t size, struct rng *rng)
{
    struct verdict whole = scan(limits, data, size, NULL, false);
    struct verdict single = scan(limits, data, size, NULL, true);
    struct verdict split = scan(limits, data, size, rng, false);

    cr_assert_eq(whole.rc, single.rc);
    cr_assert_eq(whole.rc, split.rc);
    cr_assert_eq(whole.taken, single.taken);
    cr_assert_eq(whole.taken, split.taken);
    cr_assert_str_eq(whole.message, single.message);
    cr_assert_str_eq(whole.message, split.message);
}

/* What msgpack-c says: 1 with *end, 0 for more, −1 for no. */
static int unpack(const uint8_t *data, size_t size, size_t *end)
{
    msgpack_unpacked value;
    msgpack_unpack_return rc;

    *end = 0;
    msgpack_unpacked_init(&value);
    rc = msgpack_unpack_next(&value, (const char *)data, size, end);
    msgpack_unpacked_destroy(&value);
    if (rc == MSGPACK_UNPACK_SUCCESS || rc == MSGPACK_UNPACK_EXTRA_BYTES)
        return 1;
    return rc == MSGPACK_UNPACK_CONTINUE ? 0 : -1;
}

/* Limits that random bytes seldom keep, so that msgpack-c is not asked for gigabytes. */
static struct vta_wire_limits small_limits(void)
{
    return (struct vta_wire_limits){ .message_bytes = 4096,
                                     .depth = 8,
                                     .items = 64,
                                     .total_items = 256,
                                     .text_bytes = 64,
                                     .blob_bytes = 128 };
}

/* ---- Properties ---------------------------------------------------------------------------- */

Test(scan, ends_a_valid_value_where_msgpack_does)
{
    struct rng rng = rng_seeded("scan");
    struct vta_wire_limits limits;
    static struct bytes bytes;

    vta_wire_limits_default(&limits);
    for (uint32_t i = 0, runs = rng_runs(5000); i < runs; i++) {
        size_t value, end;
        struct verdict verdict;

        bytes.size = 0;
        put_value(&rng, &bytes, rng_between(&rng, 0, 7));
        value = bytes.size;
        put_junk(&rng, &bytes, rng_between(&rng, 0, 5));
        verdict = scan(&limits, bytes.data, bytes.size, NULL, false);
        cr_assert_eq(verdict.rc, 1, "%s", verdict.message);
        cr_assert_eq(verdict.taken, value);
        cr_assert_eq(unpack(bytes.data, value, &end), 1);
        cr_assert_eq(end, value);
        expect_any_split_agrees(&limits, bytes.data, bytes.size, &rng);
    }
}

Test(scan, agrees_with_msgpack_about_any_bytes)
{
    struct rng rng = rng_seeded("scan");
    struct vta_wire_limits limits = small_limits();
    uint32_t whole = 0, runs = rng_runs(50000);
    static struct bytes bytes;

    for (uint32_t i = 0; i < runs; i++) {
        struct verdict verdict;
        size_t end;
        int other;

        bytes.size = 0;
        if (rng_one_in(&rng, 2))
            put_value(&rng, &bytes, 4);
        put_junk(&rng, &bytes, rng_between(&rng, 1, 30));
        bytes.data[rng_next(&rng) % bytes.size] = (uint8_t)rng_next(&rng);
        expect_any_split_agrees(&limits, bytes.data, bytes.size, &rng);

        verdict = scan(&limits, bytes.data, bytes.size, NULL, false);
        if (verdict.rc == VTA_ELIMIT)
            continue;
        if (verdict.rc == VTA_EPROTO) { /* msgpack-c knows extensions, and would go on */
            uint8_t byte = bytes.data[verdict.taken - 1];

            cr_assert(byte == 0xc1 || (byte >= 0xc7 && byte <= 0xc9) ||
                      (byte >= 0xd4 && byte <= 0xd8));
            continue;
        }
        other = unpack(bytes.data, bytes.size, &end);
        cr_assert_eq(other, verdict.rc);
        if (verdict.rc == 1) {
            cr_assert_eq(end, verdict.taken);
            whole++;
        }
    }
    cr_expect(whole > runs / 20, "only %u of %u were whole values", whole, runs);
}

Test(scan, never_wants_more_than_is_to_come)
{
    struct rng rng = rng_seeded("scan");
    struct vta_wire_limits limits;
    static struct bytes bytes;

    vta_wire_limits_default(&limits);
    for (uint32_t i = 0, runs = rng_runs(300); i < runs; i++) {
        struct vta_scan scanner;

        bytes.size = 0;
        put_value(&rng, &bytes, 5);
        vta_scan_init(&scanner, &limits);
        cr_assert_eq(vta_scan_wanted(&scanner), 1);
        for (size_t at = 0; at + 1 < bytes.size; at++) {
            size_t taken;
            uint64_t wanted;

            cr_assert_eq(vta_scan_feed(&scanner, bytes.data + at, 1, &taken, NULL), 0);
            wanted = vta_scan_wanted(&scanner);
            cr_assert(wanted >= 1 && wanted <= bytes.size - at - 1, "%llu of %zu",
                      (unsigned long long)wanted, bytes.size - at - 1);
        }
    }
}

/* ---- Cases --------------------------------------------------------------------------------- */

/* Scans a literal with these limits. */
#define SCAN(limits, text) scan(limits, (const uint8_t *)text, sizeof text - 1, NULL, false)

static void expect_limit(const struct vta_wire_limits *limits, const void *data, size_t size,
                         int64_t limit, int64_t value, const char *message)
{
    struct vta_scan scanner;
    struct vta_error error = { 0 };
    size_t taken;

    vta_scan_init(&scanner, limits);
    cr_expect_eq(vta_scan_feed(&scanner, data, size, &taken, &error), VTA_ELIMIT);
    cr_expect_str_eq(error.message, message);
    cr_expect(error.has_limit);
    cr_expect_eq(error.limit, limit);
    cr_expect_eq(error.value, value);
}

#define LIMIT(limits, text, limit, value, message)                                                 \
    expect_limit(limits, text, sizeof text - 1, limit, value, message)

Test(scan, refuses_on_the_header_before_the_payload)
{
    struct vta_wire_limits limits = small_limits();

    LIMIT(&limits, "\xda\x00\x41", 64, 65, "a string of 65 bytes, the limit is 64");
    LIMIT(&limits, "\xc6\xff\xff\xff\xff", 128, 0xffffffff,
          "a binary of 4294967295 bytes, the limit is 128");
    LIMIT(&limits, "\xdd\x00\x00\x00\x41", 64, 65, "an array of 65 entries, the limit is 64");
    LIMIT(&limits, "\xdf\xff\xff\xff\xff", 64, 0xffffffff,
          "a map of 4294967295 entries, the limit is 64");
    limits.total_items = 10;
    LIMIT(&limits, "\x92\x93\x01\x02\x03\x97", 10, 13, "at least 13 values, the limit is 10");
}

Test(scan, counts_what_must_still_come_against_the_size)
{
    struct vta_wire_limits limits = small_limits();

    limits.message_bytes = 20;
    /* header, header, 16 bytes, and one more value: 19, which is allowed */
    cr_expect_eq(SCAN(&limits, "\x92\xb0").rc, 0);
    LIMIT(&limits, "\x92\xb3", 20, 22, "a message of at least 22 bytes, the limit is 20");
    LIMIT(&limits, "\x9f\x9f", 20, 31, "a message of at least 31 bytes, the limit is 20");
    cr_expect_eq(SCAN(&limits, "\xb3"
                               "0123456789012345678")
                     .rc,
                 1);
}

Test(scan, allows_nesting_up_to_the_limit)
{
    struct vta_wire_limits limits;
    uint8_t nested[VTA_SCAN_DEPTH_MAX + 2];
    struct verdict verdict;

    vta_wire_limits_default(&limits);
    limits.depth = 1000; /* no more than VTA_SCAN_DEPTH_MAX counts */
    memset(nested, 0x91, sizeof nested);
    nested[VTA_SCAN_DEPTH_MAX - 1] = 0x90;
    verdict = scan(&limits, nested, VTA_SCAN_DEPTH_MAX, NULL, false);
    cr_expect_eq(verdict.rc, 1);
    cr_expect_eq(verdict.taken, VTA_SCAN_DEPTH_MAX);

    nested[VTA_SCAN_DEPTH_MAX - 1] = 0x91;
    nested[VTA_SCAN_DEPTH_MAX] = 0x07;
    cr_expect_eq(scan(&limits, nested, VTA_SCAN_DEPTH_MAX + 1, NULL, false).rc, 1);

    nested[VTA_SCAN_DEPTH_MAX] = 0x90;
    expect_limit(&limits, nested, VTA_SCAN_DEPTH_MAX + 1, 16, 17,
                 "arrays and maps nested 17 deep, the limit is 16");
}

Test(scan, allows_scalars_where_no_array_may_be)
{
    struct vta_wire_limits limits = small_limits();

    limits.depth = 0;
    cr_expect_eq(SCAN(&limits, "\x07").rc, 1);
    cr_expect_eq(SCAN(&limits, "\x90").rc, VTA_ELIMIT);
}

Test(scan, ends_empty_containers_at_their_header)
{
    struct vta_wire_limits limits = small_limits();

    cr_expect_eq(SCAN(&limits, "\x90\x01").taken, 1);
    cr_expect_eq(SCAN(&limits, "\x80\x01").taken, 1);
    cr_expect_eq(SCAN(&limits, "\xdd\0\0\0\0\x01").taken, 5);
    cr_expect_eq(SCAN(&limits, "\xa0\x01").taken, 1);
    cr_expect_eq(SCAN(&limits, "\x93\x90\x80\xa0\x01").taken, 4);
    cr_expect_eq(SCAN(&limits, "\x81\x90\x80\x01").taken, 3);
}

Test(scan, takes_one_value_after_another)
{
    static const uint8_t stream[] = { 0x92, 0x01, 0xa1, 'x', 0xc0, 0x81, 0x01, 0x90, 0xcd };
    static const size_t ends[] = { 4, 1, 3 };
    struct vta_wire_limits limits = small_limits();
    struct vta_scan scanner;
    size_t at = 0, taken;

    limits.message_bytes = 4;
    limits.total_items = 3;
    vta_scan_init(&scanner, &limits);
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(vta_scan_feed(&scanner, stream + at, sizeof stream - at, &taken, NULL), 1);
        cr_assert_eq(taken, ends[i]);
        at += taken;
    }
    cr_expect_eq(vta_scan_feed(&scanner, stream + at, sizeof stream - at, &taken, NULL), 0);
    cr_expect_eq(taken, 1);
    cr_expect_eq(vta_scan_wanted(&scanner), 2);
    cr_expect_eq(vta_scan_feed(&scanner, stream, 0, &taken, NULL), 0);
}

Test(scan, refuses_what_the_protocol_does_not_use)
{
    struct vta_wire_limits limits = small_limits();
    struct verdict verdict = SCAN(&limits, "\x92\x01\xc1");

    cr_expect_eq(verdict.rc, VTA_EPROTO);
    cr_expect_str_eq(verdict.message, "byte 2 is 0xc1, which is not MessagePack");
    verdict = SCAN(&limits, "\xd4\x01\x02");
    cr_expect_eq(verdict.rc, VTA_EPROTO);
    cr_expect_str_eq(verdict.message, "byte 0 is 0xd4, an extension type; none is used here");
}

Test(scan, passes_a_payload_without_looking_at_it)
{
    const size_t payload = (size_t)1 << 30;
    struct vta_wire_limits limits = small_limits();
    struct vta_scan scanner;
    size_t taken;
    uint8_t *forbidden =
        mmap(NULL, payload, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    cr_assert_neq(forbidden, MAP_FAILED);
    limits.message_bytes = limits.blob_bytes = UINT64_C(2) << 30;
    vta_scan_init(&scanner, &limits);
    cr_assert_eq(vta_scan_feed(&scanner, (const uint8_t *)"\xc6\x40\0\0\0", 5, &taken, NULL), 0);
    cr_expect_eq(vta_scan_wanted(&scanner), payload);
    cr_expect_eq(vta_scan_feed(&scanner, forbidden, payload, &taken, NULL), 1);
    cr_expect_eq(taken, payload);
    munmap(forbidden, payload);
}
