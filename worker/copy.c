/* copy.c: bulk between the wire and memory, and between memory and memory. */
#include <inttypes.h>
#include <string.h>

#include "requests.h"

/* What precedes the bytes of a copy: a tensor and their number. */
struct copy {
    struct tvm_wire_tensor tensor;
    uint64_t nbytes;
};

#define COPY_BYTES_MAX (TVM_TENSOR_BYTES_MAX + 8u)

static int read_copy(struct tvm_reader *reader, struct copy *copy, struct vta_error *error)
{
    int rc = tvm_read_tensor(reader, &copy->tensor, "the tensor", error);
    return rc != 0 ? rc : tvm_read_u64(reader, &copy->nbytes, "the number of bytes", error);
}

/* The memory that a copy is about: inside its allocation, and not longer than its tensor. */
static int find_memory(const struct session *session, const struct copy *copy, uint8_t **bytes,
                       struct vta_error *error)
{
    uint64_t whole;
    uint8_t *begin;
    int rc = tvm_tensor_nbytes(&copy->tensor, &whole, error);
    if (rc != 0)
        return rc;
    if (copy->nbytes > whole)
        return vta_error_set(error, VTA_ERANGE,
                             "a copy of %" PRIu64 " bytes for a tensor of %" PRIu64, copy->nbytes,
                             whole);
    rc = objects_memory(&session->objects, &copy->tensor, copy->nbytes, &begin, error);
    if (rc == 0)
        *bytes = begin == NULL ? NULL : begin + copy->tensor.byte_offset;
    return rc;
}

/* The head of a copy that is on its way; *head_bytes of it are taken. */
static int receive_head(struct session *session, uint64_t body_bytes, struct copy *copy,
                        uint64_t *head_bytes, bool *refused, struct vta_error *error)
{
    struct inbound *inbound = &session->inbound;
    size_t most = body_bytes < COPY_BYTES_MAX ? (size_t)body_bytes : COPY_BYTES_MAX;
    int rc = inbound_need(inbound, most, error);
    if (rc != 0)
        return rc;
    struct tvm_reader reader = { .at = inbound->bytes + inbound->begin, .left = most };
    rc = read_copy(&reader, copy, error);
    if (rc == 0 && copy->nbytes != body_bytes - (most - reader.left))
        rc = vta_error_set(error, VTA_EFORMAT, "a copy of %" PRIu64 " bytes comes with %" PRIu64,
                           copy->nbytes, body_bytes - (most - reader.left));
    *refused = rc != 0;
    *head_bytes = most - reader.left;
    return 0;
}

int copy_to_remote(struct session *session, uint64_t body_bytes, bool *refused,
                   struct vta_error *error)
{
    struct copy copy;
    uint8_t *bytes = NULL;
    uint64_t head_bytes;
    int rc = receive_head(session, body_bytes, &copy, &head_bytes, refused, error);
    if (rc != 0)
        return rc;
    if (!*refused)
        *refused = request_allowed(session, TVM_PACKET_COPY_TO_REMOTE, error) != 0 ||
                   find_memory(session, &copy, &bytes, error) != 0;
    if (*refused) {
        struct vta_error broken;
        rc = inbound_skip(&session->inbound, body_bytes, &broken);
        if (rc != 0 && error != NULL)
            *error = broken;
        return rc;
    }
    inbound_take(&session->inbound, (size_t)head_bytes);
    return inbound_receive(&session->inbound, bytes, copy.nbytes, error);
}

int copy_from_remote(struct session *session, struct tvm_reader *body, uint8_t **bytes,
                     uint64_t *nbytes, struct vta_error *error)
{
    struct copy copy;
    int rc = read_copy(body, &copy, error);
    if (rc == 0)
        rc = tvm_read_end(body, error);
    if (rc == 0)
        rc = find_memory(session, &copy, bytes, error);
    if (rc == 0)
        *nbytes = copy.nbytes;
    return rc;
}

int copy_among_remote(struct session *session, const struct tvm_wire_tensor *from,
                      const struct tvm_wire_tensor *to, struct vta_error *error)
{
    struct copy source = { .tensor = *from }, target = { .tensor = *to };
    uint8_t *source_bytes, *target_bytes;
    int rc = tvm_tensor_nbytes(from, &source.nbytes, error);
    if (rc == 0)
        rc = tvm_tensor_nbytes(to, &target.nbytes, error);
    if (rc != 0)
        return rc;
    if (source.nbytes != target.nbytes)
        return vta_error_set(error, VTA_ESIZE,
                             "a copy from a tensor of %" PRIu64 " bytes to one of %" PRIu64,
                             source.nbytes, target.nbytes);
    rc = find_memory(session, &source, &source_bytes, error);
    if (rc == 0)
        rc = find_memory(session, &target, &target_bytes, error);
    if (rc == 0 && source.nbytes > 0)
        memmove(target_bytes, source_bytes, source.nbytes);
    return rc;
}
