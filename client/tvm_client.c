/* tvm_client.c: TVM's RPC as its client speaks it: the handshake, a packet, its answer.
 */
#include "tvm_client.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/tvm_handshake.h"

#define PROTOCOL_VERSION "0.8.0"
#define SENT_AT_ONCE     (UINT64_C(1) << 20)   /* between two reports of progress */
#define ANSWER_BYTES_MAX (UINT64_C(256) << 20) /* of one that is no copy */

struct tvm_item vta_tvm_text(const char *text)
{
    return (struct tvm_item){ .code = TVM_STRING,
                              .bytes = { .data = (char *)text, .size = strlen(text) } };
}

struct tvm_item vta_tvm_bytes(const void *bytes, size_t nbytes)
{
    return (struct tvm_item){ .code = TVM_BYTES,
                              .bytes = { .data = (char *)bytes, .size = nbytes } };
}

struct tvm_item vta_tvm_int(int64_t number)
{
    return (struct tvm_item){ .code = TVM_INT, .i = number };
}

/* ---- Bytes --------------------------------------------------------------------------------- */

void vta_tvm_close(struct vta_tvm *tvm)
{
    if (tvm->transport != NULL)
        tvm->transport->ops->close(tvm->transport);
    free(tvm->answer);
    tvm->transport = NULL;
    tvm->answer = NULL;
    tvm->room = 0;
}

/* The connection is of no use any more; returns rc. */
static int broken(struct vta_tvm *tvm, int rc, struct vta_error *error)
{
    vta_error_prefix(error, "%s", tvm->peer);
    vta_tvm_close(tvm);
    return rc;
}

static int usable(const struct vta_tvm *tvm, struct vta_error *error)
{
    if (tvm->transport != NULL)
        return 0;
    return vta_error_set(error, VTA_ECLOSED, "%s: the session is closed", tvm->peer);
}

static int send_all(struct vta_tvm *tvm, const void *bytes, uint64_t nbytes, const char *what,
                    struct vta_error *error)
{
    const bool shown = what != NULL && tvm->progress != NULL && nbytes > SENT_AT_ONCE;
    for (uint64_t at = 0; at < nbytes;) {
        const uint64_t left = nbytes - at, now = left < SENT_AT_ONCE ? left : SENT_AT_ONCE;
        struct iovec part = { .iov_base = (uint8_t *)bytes + at, .iov_len = (size_t)now };
        int rc = tvm->transport->ops->send(tvm->transport, &part, 1, error);
        if (rc != 0)
            return rc;
        at += now;
        if (shown)
            tvm->progress(tvm->progress_context, what, at, nbytes);
    }
    return 0;
}

/* patient: waits on where the server is silent, because it computes. */
static int receive_all(struct vta_tvm *tvm, void *bytes, uint64_t nbytes, bool patient,
                       struct vta_error *error)
{
    for (uint64_t at = 0; at < nbytes;) {
        struct iovec part = { .iov_base = (uint8_t *)bytes + at, .iov_len = (size_t)(nbytes - at) };
        size_t got = 0;
        int rc = tvm->transport->ops->receive(tvm->transport, &part, 1, &got, error);
        if (rc == VTA_ETIMEOUT && patient)
            continue;
        if (rc != 0)
            return rc;
        at += got;
    }
    return 0;
}

/* ---- Packets ------------------------------------------------------------------------------- */

static int make_room(struct vta_tvm *tvm, uint64_t nbytes, struct vta_error *error)
{
    if (nbytes > ANSWER_BYTES_MAX)
        return vta_error_limit(error, VTA_EPROTO, (int64_t)ANSWER_BYTES_MAX,
                               nbytes > INT64_MAX ? INT64_MAX : (int64_t)nbytes,
                               "an answer of %" PRIu64 " bytes, at most %" PRIu64, nbytes,
                               ANSWER_BYTES_MAX);
    if (nbytes < tvm->room)
        return 0;
    free(tvm->answer);
    tvm->room = (size_t)nbytes + 1;
    tvm->answer = malloc(tvm->room);
    if (tvm->answer != NULL)
        return 0;
    tvm->room = 0;
    return vta_error_set(error, VTA_ENOMEM, "no memory for an answer of %" PRIu64 " bytes", nbytes);
}

/* A return or an exception, whose code and length were read. *failed: an exception, in *error. */
static int receive_values(struct vta_tvm *tvm, uint32_t code, uint64_t nbytes, bool *failed,
                          struct vta_error *error)
{
    int rc = make_room(tvm, nbytes, error);
    if (rc == 0)
        rc = receive_all(tvm, tvm->answer, nbytes, false, error);
    if (rc != 0)
        return rc;
    struct tvm_reader reader = { .at = tvm->answer, .left = (size_t)nbytes };
    rc = tvm_read_sequence(&reader, tvm->items, &tvm->count, error);
    if (rc != 0)
        return rc;
    if (code != TVM_PACKET_EXCEPTION)
        return 0;
    *failed = true;
    if (tvm->count < 1 || tvm->items[0].code != TVM_STRING)
        return vta_error_set(error, VTA_EPROTO, "an exception without words");
    vta_error_set(error, VTA_EINVAL, "%s", tvm->items[0].bytes.data);
    return 0;
}

/* The answer to a request; a copy's bytes go to `into`. patient: to a call, which computes. */
static int receive_answer(struct vta_tvm *tvm, bool patient, void *into, uint64_t into_bytes,
                          bool *failed, struct vta_error *error)
{
    uint8_t head[TVM_HEADER_BYTES];
    int rc = receive_all(tvm, head, sizeof head, patient, error);
    if (rc != 0)
        return rc;
    const uint64_t length = tvm_get_u64(head);
    const uint32_t code = tvm_get_u32(head + 8);
    const uint32_t wanted = into != NULL ? TVM_PACKET_COPY_ACK : TVM_PACKET_RETURN;
    if (length < 4 || (code != wanted && code != TVM_PACKET_EXCEPTION))
        return vta_error_set(error, VTA_EPROTO,
                             "a packet of %" PRIu64 " bytes with code %" PRIu32
                             ", where an answer should be",
                             length, code);
    if (code != TVM_PACKET_COPY_ACK)
        return receive_values(tvm, code, length - 4, failed, error);
    if (length - 4 != into_bytes)
        return vta_error_set(error, VTA_EPROTO,
                             "a copy of %" PRIu64 " bytes, %" PRIu64 " were asked for", length - 4,
                             into_bytes);
    return receive_all(tvm, into, into_bytes, false, error);
}

/* head, which has its header, then bulk; and the answer. */
static int exchange(struct vta_tvm *tvm, const uint8_t *head, size_t head_bytes, const void *bulk,
                    uint64_t bulk_bytes, void *into, uint64_t into_bytes, const char *what,
                    struct vta_error *error)
{
    struct vta_error reason = { .insn = -1 };
    bool failed = false;
    int rc = send_all(tvm, head, head_bytes, what, &reason);
    if (rc == 0)
        rc = send_all(tvm, bulk, bulk_bytes, what, &reason);
    if (rc == 0)
        rc = receive_answer(tvm, tvm_get_u32(head + 8) == TVM_PACKET_CALL_FUNC, into, into_bytes,
                            &failed, &reason);
    if (rc != 0)
        rc = broken(tvm, rc, &reason);
    else if (failed)
        rc = reason.code;
    if (rc != 0 && error != NULL)
        *error = reason;
    return rc;
}

/* A packet of these bytes and a sequence. */
static int request(struct vta_tvm *tvm, enum tvm_packet code, const void *front, size_t front_bytes,
                   const struct tvm_item *items, uint32_t count, const char *what,
                   struct vta_error *error)
{
    int rc = usable(tvm, error);
    if (rc != 0)
        return rc;
    const uint64_t most = TVM_HEADER_BYTES + front_bytes + tvm_sequence_bytes_max(items, count);
    uint8_t *packet = malloc((size_t)most);
    if (packet == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a packet of %" PRIu64 " bytes",
                             most);
    if (front_bytes > 0)
        memcpy(packet + TVM_HEADER_BYTES, front, front_bytes);
    const uint8_t *end = tvm_write_sequence(packet + TVM_HEADER_BYTES + front_bytes, items, count);
    const size_t nbytes = (size_t)(end - packet);
    tvm_write_header(packet, code, nbytes - TVM_HEADER_BYTES);
    rc = exchange(tvm, packet, nbytes, NULL, 0, NULL, 0, what, error);
    free(packet);
    return rc;
}

static int bad_answer(struct vta_tvm *tvm, const char *what, struct vta_error *error)
{
    vta_error_set(error, VTA_EPROTO, "%s has no such answer", what);
    return broken(tvm, VTA_EPROTO, error);
}

int vta_tvm_call(struct vta_tvm *tvm, uint64_t function, const struct tvm_item *args,
                 uint32_t count, const char *what, struct vta_error *error)
{
    uint8_t front[8];
    for (unsigned i = 0; i < sizeof front; i++)
        front[i] = (uint8_t)(function >> 8 * i);
    int rc = request(tvm, TVM_PACKET_CALL_FUNC, front, sizeof front, args, count, what, error);
    if (rc == 0 && tvm->count < 2)
        rc = bad_answer(tvm, "a call", error);
    return rc;
}

int vta_tvm_function(struct vta_tvm *tvm, const char *name, uint64_t *function,
                     struct vta_error *error)
{
    const struct tvm_item item = vta_tvm_text(name);
    int rc = request(tvm, TVM_PACKET_GET_GLOBAL_FUNC, NULL, 0, &item, 1, NULL, error);
    if (rc == 0 && tvm->count < 1)
        rc = bad_answer(tvm, "a function's name", error);
    if (rc == 0)
        *function = tvm->items[0].handle;
    return rc;
}

int vta_tvm_ask(struct vta_tvm *tvm, const char *name, const struct tvm_item *args, uint32_t count,
                const char *what, struct vta_error *error)
{
    uint64_t function;
    int rc = vta_tvm_function(tvm, name, &function, error);
    if (rc != 0)
        return rc;
    if (function == 0)
        return vta_error_set(error, VTA_EUNSUPPORTED, "%s: this server has no function '%s'",
                             tvm->peer, name);
    return vta_tvm_call(tvm, function, args, count, what, error);
}

int vta_tvm_member(struct vta_tvm *tvm, uint64_t module, const char *name, uint64_t *function,
                   struct vta_error *error)
{
    const struct tvm_item args[] = { { .code = TVM_MODULE, .handle = module },
                                     vta_tvm_text(name),
                                     vta_tvm_int(0) };
    int rc = vta_tvm_ask(tvm, "tvm.rpc.server.ModuleGetFunction", args, 3, NULL, error);
    if (rc == 0)
        *function = tvm->items[1].code == TVM_NULL ? 0 : tvm->items[1].handle;
    return rc;
}

/* A tensor and the number of its bytes, which is how both copies begin. */
static size_t copy_head(uint8_t head[TVM_HEAD_BYTES], const struct tvm_wire_tensor *tensor,
                        uint64_t nbytes)
{
    const struct tvm_item item = { .code = TVM_TENSOR, .tensor = *tensor };
    uint8_t sequence[8 + TVM_TENSOR_BYTES_MAX];
    const uint8_t *end = tvm_write_sequence(sequence, &item, 1);
    const size_t tensor_bytes = (size_t)(end - sequence) - 8; /* without count and type code */
    uint8_t *at = head + TVM_HEADER_BYTES;
    memcpy(at, sequence + 8, tensor_bytes);
    for (unsigned i = 0; i < 8; i++)
        at[tensor_bytes + i] = (uint8_t)(nbytes >> 8 * i);
    return TVM_HEADER_BYTES + tensor_bytes + 8;
}

int vta_tvm_copy_to(struct vta_tvm *tvm, const struct tvm_wire_tensor *tensor, const void *bytes,
                    uint64_t nbytes, const char *what, struct vta_error *error)
{
    uint8_t head[TVM_HEAD_BYTES];
    int rc = usable(tvm, error);
    if (rc != 0)
        return rc;
    const size_t head_bytes = copy_head(head, tensor, nbytes);
    tvm_write_header(head, TVM_PACKET_COPY_TO_REMOTE, head_bytes - TVM_HEADER_BYTES + nbytes);
    return exchange(tvm, head, head_bytes, bytes, nbytes, NULL, 0, what, error);
}

int vta_tvm_copy_from(struct vta_tvm *tvm, const struct tvm_wire_tensor *tensor, void *bytes,
                      uint64_t nbytes, struct vta_error *error)
{
    uint8_t head[TVM_HEAD_BYTES];
    int rc = usable(tvm, error);
    if (rc != 0)
        return rc;
    const size_t head_bytes = copy_head(head, tensor, nbytes);
    tvm_write_header(head, TVM_PACKET_COPY_FROM_REMOTE, head_bytes - TVM_HEADER_BYTES);
    return exchange(tvm, head, head_bytes, NULL, 0, bytes, nbytes, NULL, error);
}

int vta_tvm_free_tensor(struct vta_tvm *tvm, uint64_t handle, struct vta_error *error)
{
    const struct tvm_item args[] = { { .code = TVM_OPAQUE, .handle = handle },
                                     vta_tvm_int(TVM_NDARRAY) };
    return request(tvm, TVM_PACKET_FREE_HANDLE, NULL, 0, args, 2, NULL, error);
}

/* ---- Opening ------------------------------------------------------------------------------- */

static int send_handshake(struct vta_tvm *tvm, const char *key, struct vta_error *error)
{
    static const char word[] = "client:";
    uint8_t bytes[TVM_HANDSHAKE_MAX];
    const size_t length = sizeof word - 1 + strlen(key);
    if (length > TVM_HANDSHAKE_TEXT_MAX)
        return vta_error_limit(error, VTA_ELIMIT, TVM_HANDSHAKE_TEXT_MAX - (sizeof word - 1),
                               (int64_t)strlen(key), "a key of %zu bytes, at most %zu", strlen(key),
                               TVM_HANDSHAKE_TEXT_MAX - (sizeof word - 1));
    for (unsigned i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)((uint32_t)TVM_MAGIC >> 8 * i);
        bytes[4 + i] = (uint8_t)((uint32_t)length >> 8 * i);
    }
    memcpy(bytes + 8, word, sizeof word - 1);
    memcpy(bytes + 8 + sizeof word - 1, key, length - (sizeof word - 1));
    return send_all(tvm, bytes, 8 + length, NULL, error);
}

/* What else than a welcome was answered. */
static int refused(uint32_t code, const char *key, struct vta_error *error)
{
    if (code == TVM_KEY_MISMATCH)
        return vta_error_set(error, VTA_ENOTFOUND, "the server wants another key than '%s'", key);
    if (code == TVM_KEY_IN_USE)
        return vta_error_set(error, VTA_ELIMIT, "the server has as many TVM sessions as it takes");
    if (code == TVM_NOT_TVM_SERVER)
        return vta_error_set(error, VTA_EUNSUPPORTED,
                             "the server refuses TVM sessions ('tvm' may be off in its "
                             "vtad.json; its log says why)");
    return vta_error_set(error, VTA_EUNSUPPORTED,
                         "this is no TVM RPC server: it answers with 0x%08" PRIx32 ", not 0x%08x",
                         code, TVM_MAGIC);
}

static int read_welcome(struct vta_tvm *tvm, const char *key, struct vta_error *error)
{
    uint8_t word[4], text[TVM_HANDSHAKE_TEXT_MAX];
    int rc = receive_all(tvm, word, sizeof word, false, error);
    if (rc == VTA_EIO)
        return vta_error_set(error, VTA_EUNSUPPORTED,
                             "this is no TVM RPC server: it closes the connection");
    if (rc == VTA_ETIMEOUT)
        vta_error_prefix(error, "this seems to be no TVM RPC server");
    if (rc == 0 && tvm_get_u32(word) != TVM_MAGIC)
        return refused(tvm_get_u32(word), key, error);
    if (rc == 0)
        rc = receive_all(tvm, word, sizeof word, false, error);
    if (rc != 0)
        return rc;
    if (tvm_get_u32(word) > sizeof text)
        return vta_error_limit(error, VTA_EPROTO, sizeof text, tvm_get_u32(word),
                               "a welcome of %" PRIu32 " bytes, at most %zu", tvm_get_u32(word),
                               sizeof text);
    return receive_all(tvm, text, tvm_get_u32(word), false, error);
}

static int init_server(struct vta_tvm *tvm, struct vta_error *error)
{
    static const uint8_t front[] = "\5\0\0\0\0\0\0\0" PROTOCOL_VERSION;
    return request(tvm, TVM_PACKET_INIT_SERVER, front, sizeof front - 1, NULL, 0, NULL, error);
}

int vta_tvm_open(struct vta_tvm *tvm, const char *host, int port, unsigned timeout_ms,
                 const char *key, struct vta_error *error)
{
    struct vta_error reason = { .insn = -1 };
    if (key == NULL)
        key = "";
    int rc = vta_open_peer(&tvm->transport, host, port, timeout_ms, tvm->peer, &reason);
    if (rc == 0) {
        rc = send_handshake(tvm, key, &reason);
        if (rc == 0)
            rc = read_welcome(tvm, key, &reason);
        rc = rc != 0 ? broken(tvm, rc, &reason) : init_server(tvm, &reason);
    }
    if (rc != 0)
        vta_tvm_close(tvm);
    if (rc != 0 && error != NULL)
        *error = reason;
    return rc;
}
