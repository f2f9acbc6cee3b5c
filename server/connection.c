/* connection.c: the states of a connection and what each event means in each of them.
 */
#include "connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "native.h"
#include "proto/rpc.h"
#include "server.h"
#include "stream.h"
#include "tvm.h"
#include "worker/channel.h"

#define LINGER_MS 2000 /* for a peer to read the last answer and close */

/* Of one read, before it is known whose they are: what a worker can be handed along with the
 * socket, less a magic number that came before. */
#define FIRST_BYTES_MAX (CHANNEL_EARLY_MAX - SNIFF_BYTES)

static const struct transport_events events;

/* ---- References ---------------------------------------------------------------------------- */

static void log_end(const struct connection *connection)
{
    const struct transport *transport = connection->transport;
    double seconds = (double)(uv_now(&connection->server->loop) - connection->opened) / 1000;
    if (connection->native == NULL) {
        log_info("connection %llu from %s closed: %s", (unsigned long long)connection->id,
                 transport->peer, connection->reason);
        return;
    }
    struct vta_service_stats stats;
    vta_service_stats(connection->native->service, &stats);
    log_info("session %llu from %s ended: %s; %.3f s, %llu runs, %llu bytes in, %llu bytes out",
             (unsigned long long)connection->id, transport->peer, connection->reason, seconds,
             (unsigned long long)stats.runs, (unsigned long long)transport->received,
             (unsigned long long)transport->sent);
}

void connection_hold(struct connection *connection)
{
    connection->references++;
}

void connection_release(struct connection *connection)
{
    if (--connection->references > 0)
        return;
    struct server *server = connection->server;
    server_remove(server, connection);
    native_free(connection->native);
    tvm_free(connection->tvm);
    free(connection);
    server_something_gone(server);
}

static void on_timer_closed(uv_handle_t *handle)
{
    connection_release(handle->data);
}

static void on_closed(void *owner)
{
    connection_release(owner);
}

/* Whether a connection takes one of max_sessions. */
static bool is_session(enum connection_state state)
{
    return state != CONNECTION_LINGERING && state != CONNECTION_CLOSING;
}

/* Whether what it reads and writes is its native session's. */
static bool is_native(const struct connection *connection)
{
    return connection->state == CONNECTION_OPEN || connection->state == CONNECTION_DRAINING;
}

static void enter(struct connection *connection, enum connection_state state)
{
    if (is_session(connection->state) && !is_session(state))
        connection->server->session_count--;
    connection->state = state;
}

static void let_go(struct connection *connection)
{
    enter(connection, CONNECTION_CLOSING);
    transport_close(connection->transport);
    uv_close((uv_handle_t *)&connection->timer, on_timer_closed);
    if (connection->native != NULL)
        native_close(connection->native);
}

void connection_close(struct connection *connection, const char *format, ...)
{
    if (connection->state == CONNECTION_CLOSING)
        return;
    if (connection->reason[0] == '\0') {
        va_list args;
        va_start(args, format);
        vsnprintf(connection->reason, sizeof connection->reason, format, args);
        va_end(args);
    }
    log_end(connection);
    let_go(connection);
}

void connection_handed_over(struct connection *connection)
{
    let_go(connection);
}

/* ---- The last word ------------------------------------------------------------------------- */

static void on_lingered(uv_timer_t *timer)
{
    connection_close(timer->data, "the peer did not close");
}

static void linger(struct connection *connection, const char *reason)
{
    enter(connection, CONNECTION_LINGERING);
    if (connection->reason[0] == '\0')
        snprintf(connection->reason, sizeof connection->reason, "%.*s",
                 (int)sizeof connection->reason - 1, reason);
    uv_timer_start(&connection->timer, on_lingered, LINGER_MS, 0);
    transport_finish(connection->transport);
    transport_read(connection->transport, true);
}

void connection_last_word(struct connection *connection, const void *bytes, size_t nbytes,
                          const char *reason)
{
    if (connection->state == CONNECTION_CLOSING || connection->state == CONNECTION_LINGERING)
        return;
    int rc = transport_write(connection->transport, bytes, nbytes, NULL, 0);
    if (rc < 0)
        connection_close(connection, "%s", reason);
    else
        linger(connection, reason);
}

void connection_refuse(struct connection *connection, const struct vta_error *error)
{
    if (connection->state == CONNECTION_CLOSING || connection->state == CONNECTION_LINGERING)
        return;
    if (connection->native != NULL)
        native_stop(connection->native, VTA_ECANCELLED);

    struct vta_reply *reply = &connection->server->reply;
    msgpack_packer packer;
    msgpack_sbuffer_clear(&reply->head);
    msgpack_packer_init(&packer, &reply->head, msgpack_sbuffer_write);
    vta_rpc_pack_error(&packer, 0, error);
    connection_last_word(connection, reply->head.data, reply->head.size, error->message);
}

/* ---- Timers -------------------------------------------------------------------------------- */

static void on_handshake_timeout(uv_timer_t *timer)
{
    struct connection *connection = timer->data;
    connection_close(connection, "no %s within %llu ms",
                     connection->state == CONNECTION_GREETING ? "handshake" : "protocol",
                     (unsigned long long)connection->server->config.handshake_timeout_ms);
}

static void watch_idleness(struct connection *connection);

static void on_idle(uv_timer_t *timer)
{
    struct connection *connection = timer->data;
    uint64_t limit = connection->server->config.idle_timeout_s * 1000;
    uint64_t idle = uv_now(timer->loop) - connection->active;
    if (connection->state != CONNECTION_OPEN || limit == 0)
        return;
    if (idle < limit || !native_idle(connection->native)) {
        watch_idleness(connection);
        return;
    }
    struct vta_error error;
    vta_error_limit(&error, VTA_ETIMEOUT, (int64_t)limit / 1000, (int64_t)idle / 1000,
                    "the session was idle for %llu s, the limit is %llu s",
                    (unsigned long long)idle / 1000, (unsigned long long)limit / 1000);
    connection_refuse(connection, &error);
}

/* The timer is not moved at each request; when it fires, it looks when the last one was. */
static void watch_idleness(struct connection *connection)
{
    uint64_t limit = connection->server->config.idle_timeout_s * 1000;
    uint64_t idle = uv_now(connection->timer.loop) - connection->active;
    if (limit == 0)
        uv_timer_stop(&connection->timer);
    else
        uv_timer_start(&connection->timer, on_idle, idle < limit ? limit - idle : limit, 0);
}

void connection_reloaded(struct connection *connection)
{
    if (connection->state == CONNECTION_OPEN)
        watch_idleness(connection);
}

/* ---- The first bytes ----------------------------------------------------------------------- */

static void open_session(struct connection *connection, size_t nbytes)
{
    struct vta_error error = { .insn = -1 };
    if (native_open(&connection->native, connection, &error) != 0) {
        connection_refuse(connection, &error);
        return;
    }
    enter(connection, CONNECTION_OPEN);
    log_info("session %llu from %s began", (unsigned long long)connection->id,
             connection->transport->peer);
    watch_idleness(connection);
    native_begin(connection->native, nbytes);
}

/* nbytes are in the shared buffer, after some of the magic number that may have come before. */
static void open_tvm(struct connection *connection, size_t had, size_t nbytes)
{
    uint8_t *bytes = connection->server->buffers.shared;
    memmove(bytes + had, bytes, nbytes);
    memcpy(bytes, connection->first, had);
    connection->tvm = tvm_open(connection, bytes, had + nbytes);
    if (connection->tvm == NULL) {
        connection_close(connection, "no memory for a TVM handshake");
        return;
    }
    enter(connection, CONNECTION_GREETING);
    tvm_arrived(connection->tvm, 0);
}

static void close_unknown(struct connection *connection)
{
    char text[3 * SNIFF_BYTES + 1] = "";
    for (size_t i = 0; i < connection->first_count; i++)
        snprintf(text + 3 * i, 4, " %02x", connection->first[i]);
    connection_close(connection, "first bytes%s are neither MessagePack-RPC nor TVM", text);
}

/* nbytes are in the shared buffer. */
static void look_at_first_bytes(struct connection *connection, size_t nbytes)
{
    const uint8_t *bytes = connection->server->buffers.shared;
    size_t had = connection->first_count;
    for (size_t i = 0; i < nbytes && connection->first_count < SNIFF_BYTES; i++)
        connection->first[connection->first_count++] = bytes[i];

    switch (sniff(connection->first, connection->first_count)) {
    case SNIFF_MORE:
        break;
    case SNIFF_NATIVE: /* the first byte decides, so there were none before these */
        if (had == 0)
            open_session(connection, nbytes);
        break;
    case SNIFF_TVM:
        open_tvm(connection, had, nbytes);
        break;
    case SNIFF_UNKNOWN:
        close_unknown(connection);
        break;
    }
}

/* ---- What the transport tells -------------------------------------------------------------- */

static void on_room(void *owner, uint8_t **bytes, size_t *nbytes)
{
    struct connection *connection = owner;
    if (is_native(connection)) {
        native_room(connection->native, bytes, nbytes);
    } else if (connection->state == CONNECTION_GREETING) {
        tvm_room(connection->tvm, bytes, nbytes);
    } else {
        *bytes = connection->server->buffers.shared;
        *nbytes = FIRST_BYTES_MAX;
    }
}

static void on_arrived(void *owner, size_t nbytes)
{
    struct connection *connection = owner;
    connection->active = uv_now(&connection->server->loop);
    if (is_native(connection))
        native_arrived(connection->native, nbytes);
    else if (connection->state == CONNECTION_GREETING)
        tvm_arrived(connection->tvm, nbytes);
    else if (connection->state == CONNECTION_SNIFFING)
        look_at_first_bytes(connection, nbytes);
}

static void on_drained(void *owner)
{
    struct connection *connection = owner;
    if (is_native(connection))
        native_drained(connection->native);
}

static void on_ended(void *owner, const char *reason)
{
    connection_close(owner, "%s", reason != NULL ? reason : "the peer closed");
}

static const struct transport_events events = { .room = on_room,
                                                .arrived = on_arrived,
                                                .drained = on_drained,
                                                .ended = on_ended,
                                                .closed = on_closed };

/* ---- Beginning and stopping ---------------------------------------------------------------- */

void connection_progress(struct connection *connection)
{
    connection->active = uv_now(&connection->server->loop);
    if (connection->state == CONNECTION_DRAINING && native_idle(connection->native))
        linger(connection, "the server stops");
}

void connection_drain(struct connection *connection)
{
    switch (connection->state) {
    case CONNECTION_OPEN:
        if (native_idle(connection->native)) {
            connection_close(connection, "the server stops");
        } else {
            enter(connection, CONNECTION_DRAINING);
            uv_timer_stop(&connection->timer);
        }
        break;
    case CONNECTION_LINGERING: /* once the kernel has its last word, which is then delivered */
        if (transport_unsent(connection->transport) == 0)
            connection_close(connection, "the server stops");
        break;
    case CONNECTION_SNIFFING:
    case CONNECTION_GREETING:
        connection_close(connection, "the server stops");
        break;
    case CONNECTION_DRAINING:
    case CONNECTION_CLOSING:
        break;
    }
}

int connection_accept(struct server *server, uv_stream_t *listener)
{
    if (server->connection_count >= server->connections_fit)
        return UV_EMFILE;
    int rc = UV_ENOMEM;
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection != NULL)
        connection->transport = stream_accept(listener, &events, connection, &rc);
    if (connection == NULL || connection->transport == NULL) {
        free(connection);
        return rc;
    }

    connection->server = server;
    connection->state = CONNECTION_SNIFFING;
    connection->opened = connection->active = uv_now(&server->loop);
    connection->references = 2; /* transport and timer */
    uv_timer_init(&server->loop, &connection->timer);
    connection->timer.data = connection;
    uv_timer_start(&connection->timer, on_handshake_timeout, server->config.handshake_timeout_ms,
                   0);
    server_add(server, connection);
    server->session_count++;
    transport_read(connection->transport, true);

    if (server->connection_count - server->session_count > server->config.max_sessions) {
        connection_close(connection, "too many connections are on their way out");
    } else if (server->session_count > server->config.max_sessions) {
        struct vta_error error;
        vta_error_limit(&error, VTA_ELIMIT, (int64_t)server->config.max_sessions,
                        (int64_t)server->session_count,
                        "the server has %llu sessions, its limit (max_sessions); try again later",
                        (unsigned long long)server->config.max_sessions);
        connection_refuse(connection, &error);
    }
    return 0;
}
