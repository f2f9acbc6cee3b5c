/* tvm.h: TVM's RPC protocol as bytes: packets, packed sequences of values, tensors on the wire.
 *
 * The protocol of TVM 0.8 to 0.18, little-endian. A packet is u64 length (of what follows; 0 is
 * ignored), i32 code, body. Reading checks bounds and shapes; what a handle or a name means is not
 * known here.
 */
#ifndef VTA_PROTO_TVM_H
#define VTA_PROTO_TVM_H

#include <stddef.h>
#include <stdint.h>

#include <vta/error.h>

enum tvm_packet {
    TVM_PACKET_SHUTDOWN = 1,
    TVM_PACKET_INIT_SERVER = 2,
    TVM_PACKET_CALL_FUNC = 3,
    TVM_PACKET_RETURN = 4,
    TVM_PACKET_EXCEPTION = 5,
    TVM_PACKET_COPY_FROM_REMOTE = 6,
    TVM_PACKET_COPY_TO_REMOTE = 7,
    TVM_PACKET_COPY_ACK = 8,
    TVM_PACKET_GET_GLOBAL_FUNC = 9,
    TVM_PACKET_FREE_HANDLE = 10,
    TVM_PACKET_DEV_SET_DEVICE = 11,
    TVM_PACKET_DEV_GET_ATTR = 12,
    TVM_PACKET_DEV_ALLOC_DATA = 13,
    TVM_PACKET_DEV_FREE_DATA = 14,
    TVM_PACKET_DEV_STREAM_SYNC = 15,
    TVM_PACKET_COPY_AMONG_REMOTE = 16,
    TVM_PACKET_DEV_ALLOC_DATA_WITH_SCOPE = 17,
    TVM_PACKET_DEV_CREATE_STREAM = 18,
    TVM_PACKET_DEV_FREE_STREAM = 19,
    TVM_PACKET_DEV_SET_STREAM = 20,
    TVM_PACKET_DEV_GET_CURRENT_STREAM = 21
};

/* Type codes of arguments and results, on the wire and in the memory of compiled modules. */
enum tvm_code {
    TVM_INT = 0,
    TVM_UINT = 1,
    TVM_FLOAT = 2,
    TVM_OPAQUE = 3,
    TVM_NULL = 4,
    TVM_DTYPE = 5,
    TVM_DEVICE = 6,
    TVM_TENSOR = 7, /* a DLTensor */
    TVM_OBJECT = 8,
    TVM_MODULE = 9,
    TVM_FUNCTION = 10,
    TVM_STRING = 11,
    TVM_BYTES = 12,
    TVM_NDARRAY = 13, /* a tensor that the receiver owns; never as a value on the wire */
    TVM_BOOL = 15
};

/* "int", "DLTensor", …; "unknown type" for others. */
const char *tvm_code_name(int32_t code);

enum tvm_device_type {
    TVM_CPU = 1,
    TVM_EXT_DEV = 12
};

struct tvm_device {
    int32_t type, id;
};

struct tvm_dtype {
    uint8_t code; /* enum tvm_dtype_code */
    uint8_t bits;
    uint16_t lanes;
};

enum tvm_dtype_code {
    TVM_DTYPE_INT = 0,
    TVM_DTYPE_UINT = 1,
    TVM_DTYPE_FLOAT = 2,
    TVM_DTYPE_BFLOAT = 4
};

#define TVM_ITEMS_MAX    256u /* values of one sequence */
#define TVM_NDIM_MAX     32u
#define TVM_HEADER_BYTES 12u /* u64 length, i32 code */

/* A tensor as it travels. */
struct tvm_wire_tensor {
    uint64_t data; /* a handle */
    struct tvm_device device;
    struct tvm_dtype dtype;
    uint32_t ndim;
    const uint8_t *shape; /* ndim × i64, not aligned; in the packet */
    uint64_t byte_offset;
};

/* The longest DLTensor on the wire. */
#define TVM_TENSOR_BYTES_MAX (8u + 8u + 4u + 4u + 8u * TVM_NDIM_MAX + 8u)

int64_t tvm_extent(const struct tvm_wire_tensor *tensor, uint32_t dimension);

/* Bytes of all elements, each rounded up to whole bytes as TVM counts them. VTA_ESIZE where an
 * extent is negative or the product overflows, VTA_EFORMAT for a type without bits or lanes. */
int tvm_tensor_nbytes(const struct tvm_wire_tensor *tensor, uint64_t *nbytes,
                      struct vta_error *error);

/* One value of a packed sequence. */
struct tvm_item {
    int32_t code; /* enum tvm_code */
    union {
        int64_t i; /* TVM_INT, TVM_UINT, TVM_BOOL */
        double f;
        uint64_t handle; /* TVM_OPAQUE, TVM_MODULE, TVM_FUNCTION, TVM_OBJECT */
        struct tvm_dtype dtype;
        struct tvm_device device;
        struct tvm_wire_tensor tensor;
        struct {
            char *data; /* in the packet; TVM_STRING: terminated, without a zero byte inside */
            size_t size;
        } bytes;
    };
};

/* ---- Reading ------------------------------------------------------------------------------- */

/* What is left of a packet's body. Reading a string moves it by a byte within the packet to
 * terminate it, so a body is read once. */
struct tvm_reader {
    uint8_t *at;
    size_t left;
};

/* Numbers of bytes that are there. */
uint32_t tvm_get_u32(const uint8_t *bytes);
uint64_t tvm_get_u64(const uint8_t *bytes);

/* Each returns 0 or VTA_EFORMAT, with *error naming the value and what is missing. `what`: for
 * messages, "the function's handle". */
int tvm_read_u32(struct tvm_reader *reader, uint32_t *value, const char *what,
                 struct vta_error *error);
int tvm_read_u64(struct tvm_reader *reader, uint64_t *value, const char *what,
                 struct vta_error *error);
int tvm_read_text(struct tvm_reader *reader, char **text, size_t *length, const char *what,
                  struct vta_error *error);
int tvm_read_tensor(struct tvm_reader *reader, struct tvm_wire_tensor *tensor, const char *what,
                    struct vta_error *error);
/* items holds TVM_ITEMS_MAX. */
int tvm_read_sequence(struct tvm_reader *reader, struct tvm_item *items, uint32_t *count,
                      struct vta_error *error);
/* VTA_EFORMAT where bytes are left. */
int tvm_read_end(const struct tvm_reader *reader, struct vta_error *error);

/* ---- Writing ------------------------------------------------------------------------------- */

/* Length and code of a packet with so many bytes of body. */
void tvm_write_header(uint8_t header[TVM_HEADER_BYTES], enum tvm_packet code, uint64_t body_bytes);

/* Every packet with up to three values of which none is a string fits; a string or bytes as the
 * last value is not written but left to the caller, who sends it after the head. */
#define TVM_HEAD_BYTES (TVM_HEADER_BYTES + 16u + TVM_TENSOR_BYTES_MAX + 2u * 16u)

/* A packet whose body is a sequence of up to three values; strings and bytes only as the last one.
 * head holds TVM_HEAD_BYTES; returns how many of it are used. */
size_t tvm_write_packet(uint8_t *head, enum tvm_packet code, const struct tvm_item *items,
                        uint32_t count);

/* Writes a sequence of any values, strings and bytes among them, and returns its end. It takes at
 * most tvm_sequence_bytes_max. */
uint64_t tvm_sequence_bytes_max(const struct tvm_item *items, uint32_t count);
uint8_t *tvm_write_sequence(uint8_t *at, const struct tvm_item *items, uint32_t count);

#endif
