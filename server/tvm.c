/* tvm.c: from the first bytes of a TVM client to the hand-over of its socket.
 */
#include "tvm.h"

#include <stdlib.h>
#include <string.h>

#include "connection.h"
#include "log.h"
#include "pool.h"
#include "proto/tvm_handshake.h"
#include "server.h"

struct tvm {
    struct connection *connection;
    struct pool_request request;
    struct tracker_offer *offer; /* of a tracker, that the client has come for; or NULL */
    uint64_t timeout_ms;
    size_t begin, end, size; /* of bytes: the first one after the handshake; arrived; room */
    uint8_t bytes[];
};

struct tvm *tvm_open(struct connection *connection, const uint8_t *bytes, size_t nbytes)
{
    size_t size = nbytes > TVM_HANDSHAKE_MAX ? nbytes : TVM_HANDSHAKE_MAX;
    struct tvm *tvm = malloc(sizeof *tvm + size);
    if (tvm == NULL)
        return NULL;
    *tvm = (struct tvm){ .connection = connection, .end = nbytes, .size = size };
    memcpy(tvm->bytes, bytes, nbytes);
    return tvm;
}

void tvm_free(struct tvm *tvm)
{
    free(tvm);
}

/* There is no session after all. */
static void give_back_offer(struct tvm *tvm)
{
    tracker_client_give_back(&tvm->connection->server->tracker_client, tvm->offer);
    tvm->offer = NULL;
}

void tvm_close(struct tvm *tvm)
{
    pool_cancel(&tvm->connection->server->workers, &tvm->request);
    give_back_offer(tvm);
}

void tvm_room(struct tvm *tvm, uint8_t **bytes, size_t *nbytes)
{
    *bytes = tvm->bytes + tvm->end;
    *nbytes = tvm->size - tvm->end;
}

static void refuse(struct tvm *tvm, uint32_t code, const struct vta_error *error)
{
    uint8_t answer[TVM_HANDSHAKE_MAX];
    size_t nbytes = tvm_handshake_answer(answer, code, "");
    give_back_offer(tvm);
    connection_last_word(tvm->connection, answer, nbytes, error->message);
}

/* The number that a client makes the most fitting words of. */
static uint32_t answer_code(int code)
{
    return code == VTA_ELIMIT ? TVM_KEY_IN_USE : TVM_NOT_TVM_SERVER;
}

/* The welcome goes out before the socket does, so that client and worker wake up together. */
static void on_ready(struct pool_request *request, struct worker_process *worker)
{
    struct tvm *tvm = (struct tvm *)((char *)request - offsetof(struct tvm, request));
    struct connection *connection = tvm->connection;
    struct transport *transport = connection->transport;
    const struct config *config = &connection->server->config;
    const char *key = tvm->offer != NULL ? config->tracker_key : config->tvm_key;
    uint8_t answer[TVM_HANDSHAKE_MAX];
    struct vta_error error = { .insn = -1 };

    size_t nbytes = tvm_handshake_answer(answer, TVM_MAGIC, key != NULL ? key : "");
    int rc = transport_write(transport, answer, nbytes, NULL, 0);
    if (rc < 0 || transport_unsent(transport) > 0) {
        connection_close(connection, "the peer does not take the handshake's answer");
        return;
    }
    const struct worker_session session = { .id = connection->id,
                                            .peer = transport->peer,
                                            .timeout_ms = tvm->timeout_ms,
                                            .fd = transport_descriptor(transport),
                                            .early = tvm->bytes + tvm->begin,
                                            .early_bytes = tvm->end - tvm->begin,
                                            .offer = tvm->offer };
    if (worker_process_serve(worker, &session, &error) != 0) {
        connection_close(connection, "%s", error.message);
        return;
    }
    tvm->offer = NULL;
    connection_handed_over(connection);
}

static void on_failed(struct pool_request *request, const struct vta_error *error)
{
    struct tvm *tvm = (struct tvm *)((char *)request - offsetof(struct tvm, request));
    refuse(tvm, answer_code(error->code), error);
}

/* "KEY" for a message: what is printable of a client's word. */
static void show_key(char *text, size_t size, const struct tvm_handshake *handshake)
{
    size_t length = handshake->key_bytes < size - 1 ? handshake->key_bytes : size - 1;
    for (size_t i = 0; i < length; i++)
        text[i] = handshake->key[i] > 0x20 && handshake->key[i] < 0x7f ? handshake->key[i] : '?';
    text[length] = '\0';
}

static void on_handshake(struct tvm *tvm, const struct tvm_handshake *handshake)
{
    struct server *server = tvm->connection->server;
    const char *key = server->config.tvm_key != NULL ? server->config.tvm_key : "";
    struct vta_error error = { .insn = -1 };
    if (!tvm_handshake_matches(handshake, key))
        tvm->offer = tracker_client_take(&server->tracker_client, handshake);
    if (tvm->offer == NULL && !tvm_handshake_matches(handshake, key)) {
        char shown[64];
        show_key(shown, sizeof shown, handshake);
        vta_error_set(&error, VTA_ENOTFOUND, "TVM handshake: the key '%s' is not 'client:%s'",
                      shown, key);
        refuse(tvm, TVM_KEY_MISMATCH, &error);
        return;
    }
    tvm->begin = handshake->bytes;
    tvm->timeout_ms = handshake->timeout_ms;
    tvm->request.ready = on_ready;
    tvm->request.failed = on_failed;
    connection_queued(tvm->connection);
    if (pool_request(&server->workers, &tvm->request, &error) != 0)
        refuse(tvm, answer_code(error.code), &error);
}

void tvm_arrived(struct tvm *tvm, size_t nbytes)
{
    struct tvm_handshake handshake;
    struct vta_error error = { .insn = -1 };
    tvm->end += nbytes;
    int rc = tvm_handshake_parse(&handshake, tvm->bytes, tvm->end, &error);
    if (rc < 0)
        connection_close(tvm->connection, "TVM %s", error.message);
    else if (rc == 0)
        on_handshake(tvm, &handshake);
}
