/* fuzz_tvm_packet.c: any bytes as the body of a TVM packet: a sequence, a tensor, a string. What
 * is read lies inside the body; a sequence that can be an answer is written as it was read.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/tvm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static volatile uint8_t sink;

/* All of it is there. */
static void touch(const void *bytes, size_t nbytes)
{
    for (size_t i = 0; i < nbytes; i++)
        sink = ((const uint8_t *)bytes)[i];
}

static void touch_tensor(const struct tvm_wire_tensor *tensor)
{
    struct vta_error error;
    uint64_t nbytes;
    must(tensor->ndim <= TVM_NDIM_MAX);
    touch(tensor->shape, 8 * (size_t)tensor->ndim);
    int rc = tvm_tensor_nbytes(tensor, &nbytes, &error);
    must(rc == 0 || (rc == error.code && error.message[0] != '\0'));
    for (uint32_t i = 0; i < tensor->ndim && rc == 0; i++)
        must(tvm_extent(tensor, i) >= 0);
}

static void touch_item(const struct tvm_item *item)
{
    must(tvm_code_name(item->code) != NULL);
    if (item->code == TVM_TENSOR)
        touch_tensor(&item->tensor);
    if (item->code == TVM_STRING)
        must(strlen(item->bytes.data) == item->bytes.size);
    if (item->code == TVM_BYTES)
        touch(item->bytes.data, item->bytes.size);
}

/* Whether writing keeps every byte of it: strings last, nothing that is read loosely. */
static bool writable(const struct tvm_item *items, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        bool text = items[i].code == TVM_STRING || items[i].code == TVM_BYTES;
        if ((text && i + 1 < count) || items[i].code == TVM_OBJECT || items[i].code == TVM_DTYPE)
            return false;
    }
    return count <= 3;
}

static void write_again(const struct tvm_item *items, uint32_t count, const uint8_t *body,
                        size_t nbytes)
{
    /* Three tensors are more than an answer has. */
    uint8_t head[3 * TVM_HEAD_BYTES];
    size_t used = tvm_write_packet(head, TVM_PACKET_RETURN, items, count);
    must(used <= sizeof head && used - TVM_HEADER_BYTES <= nbytes);
    must(memcmp(head + TVM_HEADER_BYTES, body, used - TVM_HEADER_BYTES) == 0);
}

static void read_sequence(const uint8_t *data, size_t size)
{
    struct tvm_item items[TVM_ITEMS_MAX];
    struct vta_error error;
    uint32_t count;
    uint8_t *body = malloc(size + 1);
    memcpy(body, data, size);
    struct tvm_reader reader = { .at = body, .left = size };
    int rc = tvm_read_sequence(&reader, items, &count, &error);
    must(rc == 0 || (rc == VTA_EFORMAT && error.message[0] != '\0'));
    if (rc == 0) {
        must(count <= TVM_ITEMS_MAX && reader.left <= size);
        for (uint32_t i = 0; i < count; i++)
            touch_item(&items[i]);
        if (writable(items, count))
            write_again(items, count, data, size - reader.left);
        must((tvm_read_end(&reader, &error) == 0) == (reader.left == 0));
    }
    free(body);
}

static void read_parts(const uint8_t *data, size_t size)
{
    struct tvm_wire_tensor tensor;
    struct vta_error error;
    char *text;
    size_t length;
    uint64_t number;
    uint8_t *body = malloc(size + 1);
    memcpy(body, data, size);
    struct tvm_reader reader = { .at = body, .left = size };
    if (tvm_read_tensor(&reader, &tensor, "tensor", &error) == 0) {
        must(size - reader.left <= TVM_TENSOR_BYTES_MAX);
        touch_tensor(&tensor);
    }
    (void)tvm_read_u64(&reader, &number, "number", &error);
    if (tvm_read_text(&reader, &text, &length, "text", &error) == 0)
        must(strlen(text) == length);
    free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_sequence(data, size);
    read_parts(data, size);
    return 0;
}
