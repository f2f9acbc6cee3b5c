/* local.c: the transport to a service in this process. What would go through a socket is scanned,
 * decoded and executed here at once, as the daemon does it; the reply waits to be received.
 *
 * One request at a time: a reply's bulk lives only until the next call on its service.
 */
#include "transport.h"

#include <stdlib.h>
#include <string.h>

#include "proto/rpc.h"
#include "service/service.h"

struct local {
    struct vta_transport transport;
    struct vta_service *service;
    struct vta_scan scan;
    msgpack_zone zone;
    msgpack_sbuffer request;
    struct vta_reply reply;
    size_t sent; /* bytes of the reply (head, then bulk) that were received */
};

static void execute(struct local *local, const struct vta_rpc_message *message)
{
    vta_reply_clear(&local->reply);
    vta_reply_init(&local->reply);
    local->sent = 0;
    if (vta_service_class(message->method, message->method_length) == VTA_METHOD_URGENT)
        vta_service_urgent(local->service, message->msgid, message->method, message->method_length,
                           &message->params, &local->reply);
    else
        vta_service_call(local->service, message->msgid, message->method, message->method_length,
                         &message->params, &local->reply);
    if (message->type == VTA_RPC_NOTIFY) {
        vta_reply_clear(&local->reply);
        vta_reply_init(&local->reply);
    }
}

static int local_send(struct vta_transport *transport, struct iovec *parts, size_t count,
                      struct vta_error *error)
{
    struct local *local = (struct local *)transport;
    struct vta_rpc_message message;
    size_t taken;

    msgpack_sbuffer_clear(&local->request);
    for (size_t i = 0; i < count; i++)
        if (msgpack_sbuffer_write(&local->request, parts[i].iov_base, parts[i].iov_len) != 0)
            return vta_error_set(error, VTA_ENOMEM, "no memory for a request");

    const uint8_t *bytes = (const uint8_t *)local->request.data;
    size_t nbytes = local->request.size;
    int rc = vta_scan_feed(&local->scan, bytes, nbytes, &taken, error);
    if (rc < 0)
        return rc;
    if (rc == 0 || taken != nbytes)
        return vta_error_set(error, VTA_EINTERNAL, "a request is not one whole message");
    msgpack_zone_clear(&local->zone);
    rc = vta_rpc_decode(&message, bytes, nbytes, &local->zone, error);
    if (rc != 0)
        return rc;
    execute(local, &message);
    return 0;
}

/* Copies the reply's next bytes out of its two pieces. */
static size_t take(struct local *local, uint8_t *into, size_t nbytes)
{
    const struct vta_reply *reply = &local->reply;
    size_t done = 0;

    while (done < nbytes && local->sent < reply->head.size + reply->bulk_bytes) {
        bool in_head = local->sent < reply->head.size;
        size_t at = in_head ? local->sent : local->sent - reply->head.size;
        size_t left = (in_head ? reply->head.size : reply->bulk_bytes) - at;
        size_t part = left < nbytes - done ? left : nbytes - done;
        memcpy(into + done, in_head ? (const uint8_t *)reply->head.data + at : reply->bulk + at,
               part);
        local->sent += part;
        done += part;
    }
    return done;
}

static int local_receive(struct vta_transport *transport, struct iovec *parts, size_t count,
                         size_t *got, struct vta_error *error)
{
    struct local *local = (struct local *)transport;

    *got = 0;
    for (size_t i = 0; i < count; i++)
        *got += take(local, parts[i].iov_base, parts[i].iov_len);
    if (*got == 0)
        return vta_error_set(error, VTA_EINTERNAL, "the local service gave no answer");
    return 0;
}

static void local_close(struct vta_transport *transport)
{
    struct local *local = (struct local *)transport;

    vta_reply_clear(&local->reply);
    vta_service_free(local->service);
    msgpack_sbuffer_destroy(&local->request);
    msgpack_zone_destroy(&local->zone);
    free(local);
}

static const struct vta_transport_ops local_ops = { local_send, local_receive, local_close };

int vta_local_open(struct vta_transport **transport, const struct vta_hw *hw,
                   struct vta_error *error)
{
    struct vta_service_options options;
    struct local *local = calloc(1, sizeof *local);

    if (local == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a local session");
    if (!msgpack_zone_init(&local->zone, MSGPACK_ZONE_CHUNK_SIZE)) {
        free(local);
        return vta_error_set(error, VTA_ENOMEM, "no memory for a local session");
    }
    msgpack_sbuffer_init(&local->request);
    vta_reply_init(&local->reply);
    vta_service_options_default(&options);
    options.build = "vta-client " VTAD_VERSION;
    options.run_deadline_ms = options.load_deadline_ms = 0; /* as vta/client.h says */
    if (hw != NULL)
        options.board.hw = *hw;
    vta_scan_init(&local->scan, &options.wire);
    local->transport = (struct vta_transport){ .ops = &local_ops, .window = 1 };
    local->service = vta_service_new(&options, error);
    if (local->service == NULL) {
        local_close(&local->transport);
        return error != NULL && error->code != 0 ? error->code : VTA_ENOMEM;
    }
    *transport = &local->transport;
    return 0;
}
