/* tvm.c: from the first bytes of a TVM client to the hand-over of its socket.
 */
#include "tvm.h"

#include <stdlib.h>
#include <string.h>

#include "connection.h"
#include "log.h"
#include "proto/tvm_handshake.h"
#include "server.h"
#include "template.h"

struct tvm {
    struct connection *connection;
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

void tvm_room(struct tvm *tvm, uint8_t **bytes, size_t *nbytes)
{
    *bytes = tvm->bytes + tvm->end;
    *nbytes = tvm->size - tvm->end;
}

static void refuse(struct tvm *tvm, uint32_t code, const struct vta_error *error)
{
    uint8_t answer[TVM_HANDSHAKE_MAX];
    size_t nbytes = tvm_handshake_answer(answer, code, "");
    connection_last_word(tvm->connection, answer, nbytes, error->message);
}

/* The number that a client makes the most fitting words of. */
static uint32_t answer_code(int code)
{
    return code == VTA_ELIMIT ? TVM_KEY_IN_USE : TVM_NOT_TVM_SERVER;
}

/* The welcome goes out before a worker can answer anything. offer: of a tracker, that the client
 * has come for, or NULL; the worker gives it back. */
static void begin_session(struct tvm *tvm, struct tracker_offer *offer)
{
    struct connection *connection = tvm->connection;
    struct transport *transport = connection->transport;
    struct template *template = &connection->server->template;
    const struct config *config = &connection->server->config;
    const char *key = offer != NULL ? config->tracker_key : config->tvm_key;
    uint8_t answer[TVM_HANDSHAKE_MAX];
    struct worker_process *worker;
    struct vta_error error = { .insn = -1 };

    int rc = template_admit(template, &error);
    if (rc == 0)
        rc = worker_process_new(&worker, template, false, &error);
    if (rc != 0) {
        tracker_client_give_back(&connection->server->tracker_client, offer);
        refuse(tvm, answer_code(rc), &error);
        return;
    }
    transport_read(transport, false); /* the rest is the worker's */
    size_t nbytes = tvm_handshake_answer(answer, TVM_MAGIC, key != NULL ? key : "");
    const struct worker_session session = { .id = connection->id,
                                            .peer = transport->peer,
                                            .timeout_ms = tvm->timeout_ms,
                                            .fd = transport_descriptor(transport),
                                            .early = tvm->bytes + tvm->begin,
                                            .early_bytes = tvm->end - tvm->begin,
                                            .offer = offer };
    if (transport_write(transport, answer, nbytes, NULL, 0) < 0 ||
        transport_unsent(transport) > 0) {
        worker_process_kill(worker, "not needed");
        tracker_client_give_back(&connection->server->tracker_client, offer);
        connection_close(connection, "the peer does not take the handshake's answer");
    } else if (worker_process_serve(worker, &session, &error) != 0) {
        connection_close(connection, "%s", error.message);
    } else {
        connection_handed_over(connection);
    }
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
    const bool plain = tvm_handshake_matches(handshake, key);
    struct tracker_offer *offer =
        plain ? NULL : tracker_client_take(&server->tracker_client, handshake);
    if (!plain && offer == NULL) {
        char shown[64];
        show_key(shown, sizeof shown, handshake);
        vta_error_set(&error, VTA_ENOTFOUND, "TVM handshake: the key '%s' is not 'client:%s'",
                      shown, key);
        refuse(tvm, TVM_KEY_MISMATCH, &error);
        return;
    }
    tvm->begin = handshake->bytes;
    tvm->timeout_ms = handshake->timeout_ms;
    begin_session(tvm, offer);
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
