/* test_memory.c: memory of both devices: allocation, copies in every direction, and what a forged
 * or stale handle, an offset or a shape does not get.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"

static struct kit kit;
static struct client client;
static struct reply reply;

static void begin(void)
{
    kit_open(&kit, NULL);
    client_open(&client, &kit);
}

static void end(void)
{
    client_close(&client);
    cr_assert_eq(client.rc, 0, "%s", client.error.message);
    cr_assert_eq(worker_cpu_bytes(&kit.worker), 0);
    kit_close(&kit);
}

static const int devices[] = { TVM_CPU, TVM_EXT_DEV };

/* An int8 vector at the beginning of new memory. */
static struct tensor vector(int device, int64_t n)
{
    return (struct tensor){ .data = memory_of(&client, device, (uint64_t)n),
                            .device = device,
                            .bits = 8,
                            .ndim = 1,
                            .shape = { n } };
}

static void fill(uint8_t *bytes, size_t nbytes, unsigned seed)
{
    for (size_t i = 0; i < nbytes; i++)
        bytes[i] = (uint8_t)((seed = seed * 1103515245u + 12345u) >> 16);
}

/* A copy whose announced bytes need not be those that come. */
static void try_copy(uint32_t code, const struct tensor *tensor, uint64_t announced, size_t nbytes)
{
    struct packet body = { 0 };
    uint8_t *bytes = calloc(1, nbytes + 1);
    put_tensor(&body, tensor);
    put_u64(&body, announced);
    put_bytes(&body, bytes, nbytes);
    client_send(&client, code, &body);
    client_receive(&client, &reply);
    packet_free(&body);
    free(bytes);
}

TestSuite(memory, .timeout = 60);

Test(memory, comes_back_as_it_was_sent, .init = begin, .fini = end)
{
    enum {
        BYTES = 300000
    };
    uint8_t *sent = malloc(BYTES), *got = malloc(BYTES);
    for (int d = 0; d < 2; d++) {
        struct tensor tensor = vector(devices[d], BYTES);
        fill(sent, BYTES, 7);
        copy_to(&client, &tensor, sent, BYTES);
        copy_from(&client, &tensor, got, BYTES);
        cr_assert_eq(memcmp(sent, got, BYTES), 0);
    }
    free(sent);
    free(got);
}

Test(memory, is_zero_at_first, .init = begin, .fini = end)
{
    uint8_t got[5000];
    for (int round = 0; round < 2; round++)
        for (int d = 0; d < 2; d++) {
            struct tensor tensor = vector(devices[d], 5000);
            copy_from(&client, &tensor, got, sizeof got);
            for (size_t i = 0; i < sizeof got; i++)
                cr_assert_eq(got[i], 0);
            memset(got, 0xee, sizeof got);
            copy_to(&client, &tensor, got, sizeof got);
            ask(&client, &reply, TVM_PACKET_DEV_FREE_DATA, "dh", devices[d], 0, tensor.data);
            expect_null(&reply);
        }
}

Test(memory, is_copied_in_blocks_at_byte_offsets, .init = begin, .fini = end)
{
    uint8_t sent[1000], got[1000];
    fill(sent, sizeof sent, 3);
    for (int d = 0; d < 2; d++) {
        struct tensor tensor = vector(devices[d], 1000);
        for (tensor.offset = 0; tensor.offset < 1000; tensor.offset += 300) {
            size_t block = tensor.offset + 300 > 1000 ? 100 : 300;
            copy_to(&client, &tensor, sent + tensor.offset, block);
        }
        for (tensor.offset = 0; tensor.offset < 1000; tensor.offset += 250)
            copy_from(&client, &tensor, got + tensor.offset, 250);
        cr_assert_eq(memcmp(sent, got, sizeof got), 0);
    }
}

Test(memory, is_copied_among_devices_in_all_directions, .init = begin, .fini = end)
{
    uint8_t sent[4096], got[4096];
    for (int d = 0; d < 4; d++) {
        struct tensor from = vector(devices[d / 2], 4096), to = vector(devices[d % 2], 4096);
        fill(sent, sizeof sent, (unsigned)d);
        copy_to(&client, &from, sent, sizeof sent);
        ask(&client, &reply, TVM_PACKET_COPY_AMONG_REMOTE, "tth", &from, &to, (uint64_t)0);
        expect_null(&reply);
        copy_from(&client, &to, got, sizeof got);
        cr_assert_eq(memcmp(sent, got, sizeof got), 0);
    }
}

Test(memory, is_copied_among_overlapping_tensors, .init = begin, .fini = end)
{
    uint8_t sent[100], got[100];
    struct tensor whole = vector(TVM_EXT_DEV, 100), from = whole, to = whole;
    fill(sent, sizeof sent, 5);
    copy_to(&client, &whole, sent, sizeof sent);
    from.shape[0] = to.shape[0] = 60;
    to.offset = 40;
    ask(&client, &reply, TVM_PACKET_COPY_AMONG_REMOTE, "ttn", &from, &to);
    expect_null(&reply);
    copy_from(&client, &whole, got, sizeof got);
    cr_assert_eq(memcmp(got + 40, sent, 60), 0);
    to.offset = 41;
    ask(&client, &reply, TVM_PACKET_COPY_AMONG_REMOTE, "ttn", &from, &to);
    expect_exception(&reply, "60 bytes at byte offset 41 pass the end");
    to.offset = 0;
    to.shape[0] = 50;
    ask(&client, &reply, TVM_PACKET_COPY_AMONG_REMOTE, "ttn", &from, &to);
    expect_exception(&reply, "from a tensor of 60 bytes to one of 50");
    ask(&client, &reply, TVM_PACKET_COPY_AMONG_REMOTE, "tth", &from, &from, (uint64_t)7);
    expect_exception(&reply, "stream handle 0x7 was never given out");
}

Test(memory, is_sized_by_shape_and_type, .init = begin, .fini = end)
{
    static const struct {
        struct tensor tensor;
        uint64_t nbytes;
    } cases[] = {
        { { .bits = 8, .ndim = 0 }, 1 },
        { { .bits = 32, .ndim = 2, .shape = { 3, 5 } }, 60 },
        { { .bits = 1, .ndim = 1, .shape = { 9 } }, 9 },
        { { .bits = 4, .lanes = 3, .ndim = 1, .shape = { 10 } }, 20 },
        { { .bits = 16, .lanes = 4, .ndim = 1, .shape = { 2 } }, 16 },
        { { .bits = 64, .code = 2, .ndim = 3, .shape = { 2, 2, 2 } }, 64 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tensor tensor = cases[i].tensor;
        tensor.device = devices[i % 2];
        ask(&client, &reply, TVM_PACKET_DEV_ALLOC_DATA_WITH_SCOPE, "tn", &tensor);
        tensor.data = expect_handle(&reply, 0);
        try_copy(TVM_PACKET_COPY_TO_REMOTE, &tensor, cases[i].nbytes, cases[i].nbytes);
        expect_null(&reply);
        try_copy(TVM_PACKET_COPY_TO_REMOTE, &tensor, cases[i].nbytes + 1, cases[i].nbytes + 1);
        expect_exception(&reply, "for a tensor of");
    }
}

Test(memory, has_one_scope, .init = begin, .fini = end)
{
    struct tensor tensor = { .device = TVM_EXT_DEV, .bits = 8, .ndim = 1, .shape = { 16 } };
    ask(&client, &reply, TVM_PACKET_DEV_ALLOC_DATA_WITH_SCOPE, "ts", &tensor, "global");
    cr_assert_neq(expect_handle(&reply, 0), 0);
    ask(&client, &reply, TVM_PACKET_DEV_ALLOC_DATA_WITH_SCOPE, "ts", &tensor, "global.texture");
    expect_exception(&reply, "there is no memory scope global.texture");
}

Test(memory, refuses_shapes_that_are_none, .init = begin, .fini = end)
{
    struct tensor negative = { .device = 1, .bits = 8, .ndim = 2, .shape = { 4, -1 } };
    struct tensor huge = { .device = 1, .bits = 8, .ndim = 2, .shape = { INT64_MAX, 4 } };
    struct tensor bitless = { .device = 1, .bits = 0, .ndim = 1, .shape = { 4 } };
    struct tensor deep = { .device = 1, .bits = 8, .ndim = 33 };
    struct tensor below = { .device = 1, .bits = 8, .ndim = -1 };
    struct tensor wide = { .device = 1, .bits = 8, .ndim = 1, .shape = { 2 << 20 } };
    struct tensor dram = { .device = 12, .bits = 8, .ndim = 1, .shape = { 17 << 20 } };
    const struct {
        struct tensor *tensor;
        const char *words;
    } cases[] = { { &negative, "dimension 1 of a tensor is -1" },
                  { &huge, "overflows at dimension 1" },
                  { &bitless, "0 bits" },
                  { &deep, "33 dimensions" },
                  { &below, "-1 dimensions" },
                  { &wide, "pass the limit of 1048576" },
                  { &dram, "pass the quota" } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ask(&client, &reply, TVM_PACKET_DEV_ALLOC_DATA_WITH_SCOPE, "tn", cases[i].tensor);
        expect_exception(&reply, cases[i].words);
    }
}

Test(memory, of_no_bytes_is_memory, .init = begin, .fini = end)
{
    for (int d = 0; d < 2; d++) {
        struct tensor tensor = vector(devices[d], 0);
        cr_assert_neq(tensor.data, 0);
        try_copy(TVM_PACKET_COPY_TO_REMOTE, &tensor, 0, 0);
        expect_null(&reply);
        try_copy(TVM_PACKET_COPY_FROM_REMOTE, &tensor, 0, 0);
        cr_assert_eq(reply.code, TVM_PACKET_COPY_ACK);
        cr_assert_eq(reply.size, 0);
        reply_free(&reply);
        tensor.data = 0; /* no data at all will do for no bytes */
        try_copy(TVM_PACKET_COPY_TO_REMOTE, &tensor, 0, 0);
        expect_null(&reply);
        tensor.shape[0] = 1;
        try_copy(TVM_PACKET_COPY_TO_REMOTE, &tensor, 1, 1);
        expect_exception(&reply, "has no data (handle 0)");
    }
}

Test(memory, refuses_bad_alignments_and_sizes, .init = begin, .fini = end)
{
    ask(&client, &reply, TVM_PACKET_DEV_ALLOC_DATA, "diiy", 1, 0, (int64_t)8, (int64_t)24, 0, 8, 1);
    expect_exception(&reply, "an alignment of 24");
    ask(&client, &reply, TVM_PACKET_DEV_ALLOC_DATA, "diiy", 1, 0, (int64_t)-8, (int64_t)8, 0, 8, 1);
    expect_exception(&reply, "-8 bytes");
    ask(&client, &reply, TVM_PACKET_DEV_ALLOC_DATA, "diiy", 1, 0, (int64_t)8, (int64_t)0, 0, 8, 1);
    cr_assert_neq(expect_handle(&reply, 0), 0);
    ask(&client, &reply, TVM_PACKET_DEV_ALLOC_DATA, "diiy", 5, 0, (int64_t)8, (int64_t)0, 0, 8, 1);
    expect_exception(&reply, "device type 5 id 0 does not exist");
}

Test(memory, stays_inside_its_allocation, .init = begin, .fini = end)
{
    for (int d = 0; d < 2; d++) {
        struct tensor tensor = vector(devices[d], 100);
        tensor.shape[0] = 1000;
        try_copy(TVM_PACKET_COPY_TO_REMOTE, &tensor, 101, 101);
        expect_exception(&reply, "101 bytes at byte offset 0 pass the end");
        tensor.offset = UINT64_MAX - 10;
        try_copy(TVM_PACKET_COPY_TO_REMOTE, &tensor, 20, 20);
        expect_exception(&reply, "pass the end");
        try_copy(TVM_PACKET_COPY_FROM_REMOTE, &tensor, 20, 0);
        expect_exception(&reply, "pass the end");
        tensor.offset = 90;
        try_copy(TVM_PACKET_COPY_FROM_REMOTE, &tensor, 11, 0);
        expect_exception(&reply, "11 bytes at byte offset 90 pass the end");
        try_copy(TVM_PACKET_COPY_FROM_REMOTE, &tensor, 10, 0);
        cr_assert_eq(reply.size, 10);
        reply_free(&reply);
    }
}

Test(memory, of_one_device_is_not_of_the_other, .init = begin, .fini = end)
{
    struct tensor tensor = vector(TVM_CPU, 100);
    tensor.device = TVM_EXT_DEV;
    try_copy(TVM_PACKET_COPY_TO_REMOTE, &tensor, 100, 100);
    expect_exception(&reply, "is memory of cpu, not of ext_dev");
    ask(&client, &reply, TVM_PACKET_DEV_FREE_DATA, "dh", TVM_EXT_DEV, 0, tensor.data);
    expect_exception(&reply, "is memory of cpu, not of ext_dev");
}

Test(memory, is_drained_where_a_copy_does_not_say_what_comes, .init = begin, .fini = end)
{
    struct tensor tensor = vector(TVM_CPU, 100);
    try_copy(TVM_PACKET_COPY_TO_REMOTE, &tensor, 50, 60);
    expect_exception(&reply, "CopyToRemote: a copy of 50 bytes comes with 60");
    try_copy(TVM_PACKET_COPY_TO_REMOTE, &tensor, 60, 50);
    expect_exception(&reply, "CopyToRemote: a copy of 60 bytes comes with 50");
    tensor.data = 12345;
    try_copy(TVM_PACKET_COPY_TO_REMOTE, &tensor, 100, 100);
    expect_exception(&reply, "CopyToRemote: ");
    struct packet half = { 0 };
    put_u64(&half, 1);
    client_send(&client, TVM_PACKET_COPY_TO_REMOTE, &half);
    client_receive(&client, &reply);
    expect_exception(&reply, "CopyToRemote: the packet ends within the tensor");
    packet_free(&half);
    try_copy(TVM_PACKET_COPY_FROM_REMOTE, &tensor, 100, 3);
    expect_exception(&reply, "CopyFromRemote: 3 bytes follow");
}

Test(memory, handles_are_found_or_refused_never_followed, .init = begin, .fini = end)
{
    struct tensor good = vector(TVM_EXT_DEV, 64);
    uint64_t function = function_of(&client, "vta.simulator.profiler_clear");
    const uint64_t forged[] = { 1,
                                0xdeadbeef,
                                (uint64_t)(uintptr_t)&kit,
                                UINT64_MAX,
                                good.data + 1,
                                good.data ^ UINT64_C(1) << 24,
                                good.data ^ UINT64_C(1) << 63,
                                function };
    for (size_t i = 0; i < sizeof forged / sizeof forged[0]; i++) {
        struct tensor bad = good;
        bad.data = forged[i];
        try_copy(TVM_PACKET_COPY_TO_REMOTE, &bad, 64, 64);
        expect_exception(&reply, "handle 0x");
        try_copy(TVM_PACKET_COPY_FROM_REMOTE, &bad, 64, 0);
        expect_exception(&reply, "handle 0x");
        ask(&client, &reply, TVM_PACKET_COPY_AMONG_REMOTE, "ttn", &good, &bad);
        expect_exception(&reply, "handle 0x");
        ask(&client, &reply, TVM_PACKET_COPY_AMONG_REMOTE, "ttn", &bad, &good);
        expect_exception(&reply, "handle 0x");
        ask(&client, &reply, TVM_PACKET_DEV_FREE_DATA, "dh", TVM_EXT_DEV, 0, bad.data);
        expect_exception(&reply, "handle 0x");
        call(&client, &reply, function_of(&client, "tvm.contrib.random.random_fill"), "t", &bad);
        expect_exception(&reply, "argument 1");
    }
}

Test(memory, handles_are_stale_once_freed, .init = begin, .fini = end)
{
    for (int d = 0; d < 2; d++) {
        struct tensor tensor = vector(devices[d], 64);
        ask(&client, &reply, TVM_PACKET_DEV_FREE_DATA, "dh", devices[d], 0, tensor.data);
        expect_null(&reply);
        struct tensor next = vector(devices[d], 64);
        cr_assert_neq(next.data, tensor.data);
        ask(&client, &reply, TVM_PACKET_DEV_FREE_DATA, "dh", devices[d], 0, tensor.data);
        expect_exception(&reply, "is stale (freed before)");
        try_copy(TVM_PACKET_COPY_FROM_REMOTE, &tensor, 64, 0);
        expect_exception(&reply, "is stale (freed before)");
    }
}

Test(memory, handles_have_a_limit, .init = begin, .fini = end)
{
    for (int i = 0; i < 32; i++)
        memory_of(&client, TVM_CPU, 8);
    ask(&client, &reply, TVM_PACKET_DEV_ALLOC_DATA, "diiy", 1, 0, (int64_t)8, (int64_t)8, 0, 8, 1);
    expect_exception(&reply, "the limit is 32");
    cr_assert_eq(worker_cpu_bytes(&kit.worker), 32 * 4096, "a page each");
}

Test(memory, may_be_large)
{
    enum {
        BYTES = 9 << 20
    };
    struct worker_options options;
    uint8_t *sent = malloc(BYTES), *got = malloc(BYTES);
    kit_options(&options);
    options.max_cpu_bytes = UINT64_C(32) << 20;
    kit_open(&kit, &options);
    client_open(&client, &kit);
    fill(sent, BYTES, 11);
    for (int d = 0; d < 2; d++) {
        struct tensor tensor = vector(devices[d], BYTES);
        copy_from(&client, &tensor, got, BYTES);
        cr_assert_eq(got[BYTES - 1], 0);
        copy_to(&client, &tensor, sent, BYTES);
        copy_from(&client, &tensor, got, BYTES);
        cr_assert_eq(memcmp(sent, got, BYTES), 0);
        ask(&client, &reply, TVM_PACKET_DEV_FREE_DATA, "dh", devices[d], 0, tensor.data);
        expect_null(&reply);
    }
    cr_assert_eq(worker_cpu_bytes(&kit.worker), 0);
    free(sent);
    free(got);
    end();
}
