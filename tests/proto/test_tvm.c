/* test_tvm.c: TVM's packets as bytes: what is read, what is refused with which words, what is
 * written. fuzz_tvm_packet.c says the same of any bytes.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "proto/tvm.h"

static struct vta_error error;
static struct tvm_item items[TVM_ITEMS_MAX];
static uint32_t count;

/* Reads a copy of a body as a sequence. */
static int read_sequence(const void *bytes, size_t nbytes)
{
    static uint8_t body[4096];
    memcpy(body, bytes, nbytes);
    struct tvm_reader reader = { .at = body, .left = nbytes };
    int rc = tvm_read_sequence(&reader, items, &count, &error);
    return rc != 0 ? rc : tvm_read_end(&reader, &error);
}

#define READ(...) read_sequence((const uint8_t[]){ __VA_ARGS__ }, sizeof(uint8_t[]){ __VA_ARGS__ })

#define I32(n) (uint8_t)(n), (uint8_t)((n) >> 8), (uint8_t)((n) >> 16), (uint8_t)((n) >> 24)
#define U64(n) I32((uint64_t)(n)), I32((uint64_t)(n) >> 32)

static void refused(int rc, const char *words)
{
    cr_assert_eq(rc, VTA_EFORMAT);
    cr_assert_neq(strstr(error.message, words), NULL, "%s", error.message);
}

Test(tvm, reads_a_sequence_of_nothing)
{
    cr_assert_eq(READ(I32(0)), 0, "%s", error.message);
    cr_assert_eq(count, 0);
}

Test(tvm, reads_every_type)
{
    cr_assert_eq(READ(I32(9), I32(TVM_INT), I32(TVM_FLOAT), I32(TVM_NULL), I32(TVM_DTYPE),
                      I32(TVM_DEVICE), I32(TVM_STRING), I32(TVM_OBJECT), I32(TVM_BYTES),
                      I32(TVM_TENSOR), U64(-7), U64(0x3ff8000000000000), 2, 32, 4, 0, I32(0),
                      I32(12), I32(1), U64(2), 'a', 'b', I32(9), U64(77), U64(3), 0, 1, 2, U64(5),
                      I32(1), I32(0), I32(2), 0, 8, 1, 0, U64(3), U64(4), U64(6)),
                 0, "%s", error.message);
    cr_assert_eq(count, 9);
    cr_assert_eq(items[0].i, -7);
    cr_assert_eq(items[1].f, 1.5);
    cr_assert_eq(items[3].dtype.code, 2);
    cr_assert_eq(items[3].dtype.bits, 32);
    cr_assert_eq(items[3].dtype.lanes, 4);
    cr_assert_eq(items[4].device.type, 12);
    cr_assert_eq(items[4].device.id, 1);
    cr_assert_str_eq(items[5].bytes.data, "ab");
    cr_assert_eq(items[6].handle, 77);
    cr_assert_eq(items[7].bytes.size, 3);
    cr_assert_eq(memcmp(items[7].bytes.data, "\0\1\2", 3), 0);
    cr_assert_eq(items[8].tensor.data, 5);
    cr_assert_eq(items[8].tensor.ndim, 2);
    cr_assert_eq(tvm_extent(&items[8].tensor, 1), 4);
    cr_assert_eq(items[8].tensor.byte_offset, 6);
}

Test(tvm, terminates_strings_without_touching_what_follows)
{
    cr_assert_eq(READ(I32(3), I32(TVM_STRING), I32(TVM_STRING), I32(TVM_INT), U64(3), 'a', 'b', 'c',
                      U64(0), U64(0x1122334455667788)),
                 0, "%s", error.message);
    cr_assert_str_eq(items[0].bytes.data, "abc");
    cr_assert_str_eq(items[1].bytes.data, "");
    cr_assert_eq(items[2].i, 0x1122334455667788);
}

Test(tvm, names_the_value_that_is_cut_off)
{
    refused(READ(1, 0, 0), "the packet ends within the number of values: 4 bytes are needed, 3");
    refused(READ(I32(2), I32(0)), "the type codes: 8 bytes are needed, 4 are left");
    refused(READ(I32(2), I32(0), I32(2), U64(1), 1, 2),
            "value 2 of 2: the packet ends within float");
    refused(READ(I32(1), I32(TVM_TENSOR), U64(1), I32(1), I32(0), I32(2), 0, 8, 1, 0, U64(1)),
            "value 1 of 1: the packet ends within tensor: 24 bytes are needed, 8 are left");
    refused(READ(I32(1), I32(TVM_STRING), U64(-1), 'x'), "18446744073709551615 bytes are needed");
    refused(READ(I32(1), I32(TVM_NULL), 0), "1 bytes follow");
}

Test(tvm, refuses_what_no_client_means)
{
    refused(READ(I32(-1)), "a sequence of -1 values, from 0 to 256");
    refused(READ(I32(257)), "a sequence of 257 values");
    refused(READ(I32(1), I32(14), U64(0)), "value 1 of 1: unknown type has type code 14");
    refused(READ(I32(1), I32(TVM_NDARRAY), U64(0)), "type code 13, which is none");
    refused(READ(I32(1), I32(TVM_STRING), U64(3), 'a', 0, 'c'), "string has a zero byte in it");
    refused(READ(I32(1), I32(TVM_OBJECT), I32(3), U64(0)), "an object of type 3");
    refused(READ(I32(1), I32(TVM_TENSOR), U64(1), I32(1), I32(0), I32(33), 0, 8, 1, 0),
            "has 33 dimensions, from 0 to 32");
    refused(READ(I32(1), I32(TVM_TENSOR), U64(1), I32(1), I32(0), I32(-2), 0, 8, 1, 0),
            "has -2 dimensions");
}

static int tensor_bytes(uint8_t bits, uint16_t lanes, const int64_t *shape, uint32_t ndim,
                        uint64_t *nbytes)
{
    struct tvm_wire_tensor tensor = { .dtype = { .bits = bits, .lanes = lanes },
                                      .ndim = ndim,
                                      .shape = (const uint8_t *)shape };
    return tvm_tensor_nbytes(&tensor, nbytes, &error);
}

Test(tvm, counts_the_bytes_of_tensors_as_tvm_does)
{
    const struct {
        uint8_t bits;
        uint16_t lanes;
        int64_t shape[3];
        uint32_t ndim;
        uint64_t nbytes;
    } cases[] = {
        { 8, 1, { 0 }, 0, 1 },
        { 32, 1, { 2, 3, 4 }, 3, 96 },
        { 1, 1, { 9 }, 1, 9 },
        { 4, 3, { 5 }, 1, 10 },
        { 16, 8, { 2 }, 1, 32 },
        { 8, 1, { 7, 0, 9 }, 3, 0 },
        { 8, 1, { INT64_MAX }, 1, INT64_MAX },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t nbytes;
        cr_assert_eq(
            tensor_bytes(cases[i].bits, cases[i].lanes, cases[i].shape, cases[i].ndim, &nbytes), 0,
            "%s", error.message);
        cr_assert_eq(nbytes, cases[i].nbytes);
    }
}

Test(tvm, refuses_tensors_that_have_no_size)
{
    uint64_t nbytes;
    cr_assert_eq(tensor_bytes(8, 1, (int64_t[]){ 4, -1 }, 2, &nbytes), VTA_ESIZE);
    cr_assert_str_eq(error.message, "dimension 1 of a tensor is -1");
    cr_assert_eq(tensor_bytes(8, 1, (int64_t[]){ INT64_MAX, 3 }, 2, &nbytes), VTA_ESIZE);
    cr_assert_eq(tensor_bytes(64, 65535, (int64_t[]){ INT64_MAX }, 1, &nbytes), VTA_ESIZE);
    cr_assert_eq(tensor_bytes(0, 1, (int64_t[]){ 1 }, 1, &nbytes), VTA_EFORMAT);
    cr_assert_eq(tensor_bytes(8, 0, (int64_t[]){ 1 }, 1, &nbytes), VTA_EFORMAT);
}

Test(tvm, writes_packets_that_say_how_long_they_are)
{
    const uint8_t expected[] = { U64(4 + 4 + 8 + 8 + 8 + 5),
                                 I32(TVM_PACKET_RETURN),
                                 I32(2),
                                 I32(TVM_INT),
                                 I32(TVM_STRING),
                                 U64(TVM_STRING),
                                 U64(5) };
    uint8_t head[TVM_HEAD_BYTES];
    const struct tvm_item answer[] = { { .code = TVM_INT, .i = TVM_STRING },
                                       { .code = TVM_STRING,
                                         .bytes = { .data = (char *)"hello", .size = 5 } } };
    cr_assert_eq(tvm_write_packet(head, TVM_PACKET_RETURN, answer, 2), sizeof expected);
    cr_assert_eq(memcmp(head, expected, sizeof expected), 0);
    tvm_write_header(head, TVM_PACKET_COPY_ACK, 1000);
    cr_assert_eq(memcmp(head, (const uint8_t[]){ U64(1004), I32(TVM_PACKET_COPY_ACK) }, 12), 0);
}

Test(tvm, writes_the_longest_answer_into_a_head)
{
    int64_t shape[TVM_NDIM_MAX] = { 1, 2, 3 };
    uint8_t head[TVM_HEAD_BYTES];
    const struct tvm_item answer[] = { { .code = TVM_INT, .i = TVM_NDARRAY },
                                       { .code = TVM_TENSOR,
                                         .tensor = { .data = 9,
                                                     .device = { .type = 12 },
                                                     .dtype = { .bits = 8, .lanes = 1 },
                                                     .ndim = TVM_NDIM_MAX,
                                                     .shape = (const uint8_t *)shape } },
                                       { .code = TVM_OPAQUE, .handle = 8 } };
    size_t nbytes = tvm_write_packet(head, TVM_PACKET_RETURN, answer, 3);
    cr_assert_leq(nbytes, TVM_HEAD_BYTES);
    cr_assert_eq(read_sequence(head + TVM_HEADER_BYTES, nbytes - TVM_HEADER_BYTES), 0);
    cr_assert_eq(count, 3);
    cr_assert_eq(items[1].tensor.ndim, TVM_NDIM_MAX);
    cr_assert_eq(tvm_extent(&items[1].tensor, 2), 3);
    cr_assert_eq(items[2].handle, 8);
}

Test(tvm, writes_strings_and_bytes_where_they_stand_in_a_sequence)
{
    const uint8_t expected[] = { I32(4),
                                 I32(TVM_STRING),
                                 I32(TVM_INT),
                                 I32(TVM_BYTES),
                                 I32(TVM_STRING),
                                 U64(3),
                                 'o',
                                 'n',
                                 'e',
                                 U64(2),
                                 U64(2),
                                 0,
                                 7,
                                 U64(0) };
    const struct tvm_item values[] = {
        { .code = TVM_STRING, .bytes = { .data = (char *)"one", .size = 3 } },
        { .code = TVM_INT, .i = 2 },
        { .code = TVM_BYTES, .bytes = { .data = (char *)"\0\7", .size = 2 } },
        { .code = TVM_STRING, .bytes = { .data = (char *)"", .size = 0 } }
    };
    uint8_t bytes[2048];
    cr_assert_leq(sizeof expected, tvm_sequence_bytes_max(values, 4));
    cr_assert_leq(tvm_sequence_bytes_max(values, 4), sizeof bytes);
    cr_assert_eq(tvm_write_sequence(bytes, values, 4) - bytes, sizeof expected);
    cr_assert_eq(memcmp(bytes, expected, sizeof expected), 0);
}

Test(tvm, names_every_type)
{
    for (int32_t code = 0; code <= 15; code++)
        cr_assert_eq(strcmp(tvm_code_name(code), "unknown type") == 0, code == 14);
    cr_assert_str_eq(tvm_code_name(-1), "unknown type");
}
