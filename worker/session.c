/* session.c: one session: takes packets off the wire, has them served, sends what comes of it.
 *
 * A packet's length says where the next one begins, so whatever is wrong inside one is an
 * exception and no more. Only a length that no packet has ends a session.
 */
#include "session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "builtins.h"
#include "requests.h"

/* Longer than this is no packet but garbage: what follows cannot be found. */
#define PACKET_BYTES_MAX (UINT64_C(1) << 36)

/* Beside the bytes of a file, in the packet that uploads it. */
#define UPLOAD_EXTRA_BYTES UINT64_C(65536)

/* ---- Answers ------------------------------------------------------------------------------- */

static int send_pieces(struct session *session, const uint8_t *head, size_t head_bytes,
                       const void *bulk, size_t bulk_bytes, struct vta_error *error)
{
    struct iovec pieces[2] = { { .iov_base = (void *)head, .iov_len = head_bytes },
                               { .iov_base = (void *)bulk, .iov_len = bulk_bytes } };
    int count = bulk_bytes > 0 ? 2 : 1;
    if (session->wire->write(session->wire->context, pieces, count) == 0)
        return 0;
    return vta_error_set(error, VTA_EIO, "sending: %s", strerror(errno));
}

static int send_items(struct session *session, enum tvm_packet code, const struct tvm_item *items,
                      uint32_t count, struct vta_error *error)
{
    uint8_t head[TVM_HEAD_BYTES];
    size_t nbytes = tvm_write_packet(head, code, items, count);
    const struct tvm_item *last = &items[count - 1];
    if (last->code == TVM_STRING || last->code == TVM_BYTES)
        return send_pieces(session, head, nbytes, last->bytes.data, last->bytes.size, error);
    return send_pieces(session, head, nbytes, NULL, 0, error);
}

static int send_null(struct session *session, struct vta_error *error)
{
    const struct tvm_item item = { .code = TVM_NULL };
    return send_items(session, TVM_PACKET_RETURN, &item, 1, error);
}

static int send_exception(struct session *session, struct vta_error *reason,
                          struct vta_error *error)
{
    const struct tvm_item item = {
        .code = TVM_STRING, .bytes = { .data = reason->message, .size = strlen(reason->message) }
    };
    return send_items(session, TVM_PACKET_EXCEPTION, &item, 1, error);
}

static int send_memory(struct session *session, const uint8_t *bytes, uint64_t nbytes,
                       struct vta_error *error)
{
    uint8_t head[TVM_HEADER_BYTES];
    tvm_write_header(head, TVM_PACKET_COPY_ACK, nbytes);
    return send_pieces(session, head, sizeof head, bytes, (size_t)nbytes, error);
}

/* ---- Requests ------------------------------------------------------------------------------ */

static int serve_copy_to(struct session *session, uint64_t body_bytes, struct vta_error *error)
{
    struct vta_error reason;
    bool refused;
    int rc = copy_to_remote(session, body_bytes, &refused, &reason);
    if (rc != 0) {
        *error = reason;
        return rc;
    }
    if (!refused)
        return send_null(session, error);
    vta_error_prefix(&reason, "CopyToRemote");
    return send_exception(session, &reason, error);
}

static int serve_copy_from(struct session *session, struct tvm_reader *body,
                           struct vta_error *error)
{
    struct vta_error reason;
    uint8_t *bytes;
    uint64_t nbytes;
    int rc = request_allowed(session, TVM_PACKET_COPY_FROM_REMOTE, &reason);
    if (rc == 0) {
        rc = copy_from_remote(session, body, &bytes, &nbytes, &reason);
        if (rc != 0)
            vta_error_prefix(&reason, "CopyFromRemote");
    }
    return rc != 0 ? send_exception(session, &reason, error)
                   : send_memory(session, bytes, nbytes, error);
}

static int serve_request(struct session *session, uint32_t code, struct tvm_reader *body,
                         struct vta_error *error)
{
    struct answer answer = { .result.code = TVM_NULL };
    struct vta_error reason;
    int rc = request_serve(session, code, body, &answer, &reason);
    rc = rc != 0 ? send_exception(session, &reason, error)
                 : send_items(session, TVM_PACKET_RETURN, answer.items, answer.count, error);
    result_clear(&answer.result);
    return rc;
}

/* ---- Packets ------------------------------------------------------------------------------- */

/* What has arrived of the packet that is at hand. */
static const uint8_t *packet_at(const struct session *session, size_t at)
{
    return session->inbound.bytes + session->inbound.begin + at;
}

/* How long a packet that is received whole may be: a call of the upload function carries a file.
 * Its handle is looked at before the rest arrives. */
static int packet_limit(struct session *session, uint64_t nbytes, uint32_t code, uint64_t *limit,
                        struct vta_error *error)
{
    const struct worker_options *options = &session->worker->options;
    const struct function *function;
    *limit = options->max_message_bytes;
    if (nbytes <= *limit || code != TVM_PACKET_CALL_FUNC)
        return 0;
    int rc = inbound_need(&session->inbound, TVM_HEADER_BYTES + 8, error);
    if (rc != 0)
        return rc;
    function = objects_function(&session->objects,
                                tvm_get_u64(packet_at(session, TVM_HEADER_BYTES)), NULL);
    if (function != NULL && builtin_is_upload(function) &&
        *limit < options->max_upload_bytes + UPLOAD_EXTRA_BYTES)
        *limit = options->max_upload_bytes + UPLOAD_EXTRA_BYTES;
    return 0;
}

/* A packet that is not looked into: received, forgotten, and refused. */
static int refuse_packet(struct session *session, uint64_t nbytes, struct vta_error *reason,
                         struct vta_error *error)
{
    int rc = inbound_skip(&session->inbound, nbytes, error);
    return rc != 0 ? rc : send_exception(session, reason, error);
}

/* A packet that is served from the buffer; nbytes without its length. */
static int serve_buffered(struct session *session, uint64_t nbytes, uint32_t code,
                          struct vta_error *error)
{
    struct inbound *inbound = &session->inbound;
    struct vta_error reason;
    uint64_t limit;
    int rc = packet_limit(session, nbytes, code, &limit, error);
    if (rc != 0)
        return rc;
    if (nbytes > limit) {
        const char *name = request_name(code);
        vta_error_limit(&reason, VTA_ELIMIT, (int64_t)limit, (int64_t)nbytes,
                        "%s: a packet of %" PRIu64 " bytes passes the limit of %" PRIu64,
                        name == NULL ? "unknown" : name, nbytes, limit);
        return refuse_packet(session, 8 + nbytes, &reason, error);
    }
    rc = inbound_need(inbound, 8 + (size_t)nbytes, error);
    if (rc != 0)
        return rc;
    struct tvm_reader body = { .at = inbound->bytes + inbound->begin + TVM_HEADER_BYTES,
                               .left = (size_t)nbytes - 4 };
    rc = code == TVM_PACKET_COPY_FROM_REMOTE ? serve_copy_from(session, &body, error)
                                             : serve_request(session, code, &body, error);
    inbound_take(inbound, 8 + (size_t)nbytes);
    return rc;
}

/* Whether the end of the session has been reached: 1, or 0, or an error. */
static int serve_packet(struct session *session, struct vta_error *error)
{
    struct inbound *inbound = &session->inbound;
    struct vta_error reason;
    int rc = inbound_need(inbound, 8, error);
    if (rc != 0)
        return rc == VTA_ECLOSED && inbound_empty(inbound) ? 1 : rc;
    uint64_t nbytes = tvm_get_u64(packet_at(session, 0));
    if (nbytes == 0) {
        inbound_take(inbound, 8);
        return 0;
    }
    if (nbytes > PACKET_BYTES_MAX) {
        vta_error_set(error, VTA_EPROTO, "a packet of %" PRIu64 " bytes: this is not TVM's RPC",
                      nbytes);
        reason = *error;
        send_exception(session, &reason, &reason);
        return VTA_EPROTO;
    }
    if (nbytes < 4) {
        vta_error_set(&reason, VTA_EPROTO, "a packet of %" PRIu64 " bytes has no code", nbytes);
        return refuse_packet(session, 8 + nbytes, &reason, error);
    }
    rc = inbound_need(inbound, TVM_HEADER_BYTES, error);
    if (rc != 0)
        return rc;
    uint32_t code = tvm_get_u32(packet_at(session, 8));
    if (code == TVM_PACKET_SHUTDOWN)
        return 1;
    if (code == TVM_PACKET_COPY_TO_REMOTE) {
        inbound_take(inbound, TVM_HEADER_BYTES);
        return serve_copy_to(session, nbytes - 4, error);
    }
    return serve_buffered(session, nbytes, code, error);
}

int session_run(struct worker *worker, const struct wire *wire, const void *early,
                size_t early_bytes, struct vta_error *error)
{
    struct vta_error unread;
    struct session *session = calloc(1, sizeof *session);
    if (error == NULL)
        error = &unread;
    if (session == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a session");
    session->worker = worker;
    session->wire = wire;
    objects_init(&session->objects, worker);
    int rc = inbound_open(&session->inbound, wire, early, early_bytes, error);
    while (rc == 0)
        rc = serve_packet(session, error);
    inbound_close(&session->inbound);
    objects_clear(&session->objects);
    values_free(&session->values);
    free(session);
    return rc == 1 ? 0 : rc;
}
