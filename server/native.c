/* native.c: the request loop of a native session.
 */
#include "native.h"

#include <stdlib.h>
#include <string.h>

#include "connection.h"
#include "log.h"
#include "server.h"

#define HEAD_BYTES_KEPT (64u << 10) /* a reply's buffer that grew beyond is given back */

/* board.reconfigure is a quick method, so this is the loop's thread. */
static void warn_of_hardware(void *context, const char *text)
{
    const struct connection *connection = context;
    log_line_of_session(LOG_LEVEL_WARNING, "session %llu: hardware: %s",
                        (unsigned long long)connection->id, text);
}

int native_open(struct native **opened, struct connection *connection, struct vta_error *error)
{
    struct server *server = connection->server;
    struct vta_service_options options;
    config_service_options(&server->config, &options);
    options.warnings = (struct vta_hw_warnings){ .line = warn_of_hardware, .context = connection };

    struct native *native = calloc(1, sizeof *native);
    if (native == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a session");
    struct vta_error why = { 0 };
    native->service = vta_service_new(&options, &why);
    if (native->service == NULL) {
        free(native);
        *error = why;
        return why.code != 0 ? why.code : VTA_EINTERNAL;
    }
    struct inbox_limits limits = { .requests = (uint32_t)server->config.max_queued_requests,
                                   .bytes = server->config.max_queued_bytes };
    inbox_init(&native->inbox, &server->buffers, &options.wire, &limits);
    native->connection = connection;
    native->unsent_limit = server->config.max_write_queue_bytes;
    *opened = native;
    return 0;
}

void native_close(struct native *native)
{
    native_stop(native, VTA_ECANCELLED);
}

void native_free(struct native *native)
{
    if (native == NULL)
        return;
    job_free(native->job);
    inbox_clear(&native->inbox);
    vta_service_free(native->service);
    free(native);
}

static bool at_work(const struct native *native)
{
    return native->job != NULL && native->job->at_work;
}

bool native_idle(const struct native *native)
{
    return !at_work(native) && native->inbox.waiting == 0 &&
           transport_unsent(native->connection->transport) == 0;
}

bool native_stop(struct native *native, int code)
{
    if (!at_work(native))
        return false;
    job_stop(native->job, code);
    return true;
}

/* ---- Replies ------------------------------------------------------------------------------- */

static bool is_live(const struct native *native)
{
    return native->connection->state == CONNECTION_OPEN ||
           native->connection->state == CONNECTION_DRAINING;
}

static void write_out(struct native *native, const void *head, size_t head_bytes, const void *bulk,
                      size_t bulk_bytes)
{
    struct connection *connection = native->connection;
    int rc = transport_write(connection->transport, head, head_bytes, bulk, bulk_bytes);
    if (rc < 0)
        connection_close(connection, "%s", uv_strerror(rc));
    else if (rc > 0)
        native->bulk_bytes = bulk_bytes;
    if (rc >= 0 && connection->server->calls_at_work == 0)
        busy_poll_for(&connection->server->busy_poll, connection->server->config.busy_poll_us,
                      transport_descriptor(connection->transport));
    /* A bulk costs no memory, and only one is on its way; the others' copies are what counts. */
    bool too_much =
        transport_unsent(connection->transport) > native->unsent_limit + native->bulk_bytes;
    if (too_much)
        native->output = NATIVE_CLOGGED;
    else if (native->output != NATIVE_CLOGGED)
        native->output = native->bulk_bytes != 0 ? NATIVE_BULK : NATIVE_FREE;
}

/* Writes the small replies that were gathered since the session was taken up. */
static void flush(struct native *native)
{
    struct server *server = native->connection->server;
    size_t nbytes = server->gathered_bytes;
    server->gathered_bytes = 0; /* also where nobody is left to read them */
    if (nbytes > 0 && is_live(native))
        write_out(native, server->gathered, nbytes, NULL, 0);
}

/* Every write wakes the peer, so small replies wait for each other, until flush. */
static void send_reply(struct native *native, const struct vta_rpc_message *message,
                       struct vta_reply *reply)
{
    struct server *server = native->connection->server;
    if (message->type == VTA_RPC_NOTIFY)
        return;
    if (reply->head.size == 0) {
        connection_close(native->connection, "no memory for a reply");
        return;
    }
    if (reply->bulk_bytes > 0 || reply->head.size > GATHERED_BYTES - server->gathered_bytes) {
        flush(native);
        write_out(native, reply->head.data, reply->head.size, reply->bulk, reply->bulk_bytes);
    } else {
        memcpy(server->gathered + server->gathered_bytes, reply->head.data, reply->head.size);
        server->gathered_bytes += reply->head.size;
    }
    if (reply->head.alloc > HEAD_BYTES_KEPT)
        vta_reply_clear(reply);
}

/* A reply that the connection gives, not the service. */
static void send_error(struct native *native, const struct vta_rpc_message *message, int code,
                       const char *text)
{
    struct vta_reply *reply = &native->connection->server->reply;
    struct vta_error error;
    msgpack_packer packer;
    vta_error_set(&error, code, "%.*s: %s", (int)message->method_length, message->method, text);
    msgpack_sbuffer_clear(&reply->head);
    reply->bulk_bytes = 0;
    msgpack_packer_init(&packer, &reply->head, msgpack_sbuffer_write);
    vta_rpc_pack_error(&packer, message->msgid, &error);
    send_reply(native, message, reply);
}

/* ---- Calls --------------------------------------------------------------------------------- */

static bool is_cancel(const struct vta_rpc_message *message)
{
    return message->method_length == 6 && memcmp(message->method, "cancel", 6) == 0;
}

/* ping and cancel. */
static void call_urgent(struct native *native, const struct vta_rpc_message *message)
{
    struct vta_reply *reply = &native->connection->server->reply;
    vta_service_urgent(native->service, message->msgid, message->method, message->method_length,
                       &message->params, reply);
    if (at_work(native) && is_cancel(message) && vta_service_stopped(native->service))
        job_give_up_waiting(native->job);
    send_reply(native, message, reply);
}

static void call_quick(struct native *native, const struct vta_rpc_message *message)
{
    struct vta_reply *reply = &native->connection->server->reply;
    vta_service_call(native->service, message->msgid, message->method, message->method_length,
                     &message->params, reply);
    send_reply(native, message, reply);
}

/* Moves the oldest message to the thread pool. */
static int call_slow(struct native *native, struct vta_error *error)
{
    struct bytes bytes;
    int rc = native->job == NULL ? job_new(&native->job, native, error) : 0;
    if (rc == 0 && inbox_take(&native->inbox, &bytes) != 0)
        rc = vta_error_set(error, VTA_ENOMEM, "no memory for a request");
    return rc == 0 ? job_start(native->job, &bytes, error) : rc;
}

static int decode(struct native *native, const uint8_t *bytes, size_t length,
                  struct vta_rpc_message *message, struct vta_error *error)
{
    msgpack_zone *zone = &native->connection->server->zone;
    msgpack_zone_clear(zone);
    int rc = vta_rpc_decode(message, bytes, length, zone, error);
    if (rc == 0 && message->type == VTA_RPC_RESPONSE)
        rc = vta_error_set(error, VTA_EPROTO, "a response came where requests are expected");
    return rc;
}

/* Executes the oldest message that waits. */
static int execute_front(struct native *native, const uint8_t *bytes, size_t length,
                         struct vta_error *error)
{
    struct vta_rpc_message message;
    int rc = decode(native, bytes, length, &message, error);
    if (rc != 0)
        return rc;

    enum vta_method_class class = vta_service_class(message.method, message.method_length);
    if (class == VTA_METHOD_URGENT) {
        call_urgent(native, &message);
    } else if (native->connection->state == CONNECTION_DRAINING) {
        send_error(native, &message, VTA_ECLOSED, "the server is stopping");
    } else if (class == VTA_METHOD_SLOW) {
        return call_slow(native, error);
    } else {
        call_quick(native, &message);
    }
    inbox_pop(&native->inbox);
    return 0;
}

/* Executes the newest message out of turn, if it is urgent. */
static int execute_urgent(struct native *native, const uint8_t *bytes, size_t length,
                          struct vta_error *error)
{
    struct vta_rpc_message message;
    int rc = decode(native, bytes, length, &message, error);
    if (rc == 0 && vta_service_class(message.method, message.method_length) == VTA_METHOD_URGENT) {
        call_urgent(native, &message);
        inbox_skip(&native->inbox);
    }
    return rc;
}

/* ---- The loop ------------------------------------------------------------------------------ */

static bool can_call(const struct native *native)
{
    return is_live(native) && !at_work(native) && native->output == NATIVE_FREE;
}

/* Executes what may be executed, cuts what has arrived, until neither goes on. */
static int advance(struct native *native, struct vta_error *error)
{
    const uint8_t *bytes;
    size_t length;
    for (;;) {
        int rc = 0;
        while (rc == 0 && can_call(native) && inbox_front(&native->inbox, &bytes, &length))
            rc = execute_front(native, bytes, length, error);
        if (rc != 0 || !is_live(native) || native->inbox.full || native->output == NATIVE_CLOGGED)
            return rc;

        rc = inbox_cut(&native->inbox, &bytes, &length, error);
        if (rc <= 0)
            return rc;
        if (!can_call(native) && (rc = execute_urgent(native, bytes, length, error)) != 0)
            return rc;
    }
}

static void go_on(struct native *native)
{
    struct connection *connection = native->connection;
    struct vta_error error = { .insn = -1 };
    int rc = advance(native, &error);
    flush(native);
    if (rc < 0 && is_live(native))
        connection_refuse(connection, &error);
    if (inbox_settle(&native->inbox) != 0)
        connection_close(connection, "no memory for what arrived");
    if (is_live(native))
        transport_read(connection->transport, !native->inbox.full &&
                                                  native->output != NATIVE_CLOGGED &&
                                                  !inbox_has_uncut(&native->inbox));
    connection_progress(connection);
}

void native_room(struct native *native, uint8_t **bytes, size_t *nbytes)
{
    inbox_room(&native->inbox, bytes, nbytes);
}

void native_arrived(struct native *native, size_t nbytes)
{
    inbox_arrived(&native->inbox, nbytes);
    go_on(native);
}

void native_begin(struct native *native, size_t nbytes)
{
    uint8_t *bytes;
    size_t room;
    inbox_room(&native->inbox, &bytes, &room); /* the shared buffer, as the inbox is empty */
    native_arrived(native, nbytes);
}

void native_drained(struct native *native)
{
    native->bulk_bytes = 0;
    native->output = NATIVE_FREE;
    go_on(native);
}

void native_job_done(struct native *native, int stopped)
{
    struct job *job = native->job;
    if (is_live(native) && stopped != 0)
        send_error(native, &job->message, stopped, "cancelled before it began");
    else if (is_live(native))
        send_reply(native, &job->message, &job->reply);
    inbox_pool_give(&native->connection->server->buffers, &job->bytes);
    if (native->connection->state != CONNECTION_CLOSING)
        go_on(native);
}
