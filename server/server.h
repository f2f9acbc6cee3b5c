/* server.h: the daemon's one struct: loop, listeners, connections, and what they share.
 *
 * A run of the daemon: server_start, uv_run, server_clear. SIGTERM or SIGINT: RUNNING → STOPPING
 * (nothing new; runs finish within grace_ms) → CANCELLING (they are cancelled) → STOPPED
 * (everything is closed at once); a second signal takes the last step at once. SIGHUP reloads.
 */
#ifndef VTA_SERVER_SERVER_H
#define VTA_SERVER_SERVER_H

#include <msgpack.h>
#include <uv.h>

#include "busy_poll.h"
#include "config.h"
#include "inbox.h"
#include "listen.h"
#include "service/service.h"
#include "template.h"
#include "tracker_client.h"
#include "tracker_server.h"

struct connection;

#define GATHERED_BYTES (16u << 10)

enum server_state {
    SERVER_RUNNING,
    SERVER_STOPPING,   /* within the grace time */
    SERVER_CANCELLING, /* runs were cancelled; their answers go out */
    SERVER_STOPPED
};

struct server {
    uv_loop_t loop;
    struct config config;
    const struct config_source *source; /* for a reload; not owned */
    enum server_state state;

    struct listener *listeners; /* owned */
    uv_signal_t signals[3];
    uv_timer_t watchdog, grace;
    struct busy_poll busy_poll;

    struct template template;             /* of TVM sessions' workers */
    struct tracker_client tracker_client; /* which offers them */
    struct tracker_server tracker;        /* at which others do */

    uint64_t calls_at_work;         /* on the thread pool, or waiting for it */
    struct connection *connections; /* newest first */
    uint64_t connection_count, last_id;
    uint64_t connections_fit; /* so many of them, by the limit of descriptors */
    uint64_t session_count;   /* of the connections, those that have not had their last word */

    /* Shared by all connections between two returns to the loop. */
    struct inbox_pool buffers;
    msgpack_zone zone;      /* of a message that is executed at once */
    struct vta_reply reply; /* of a quick or urgent call */
    /* Small replies of the session at work, which go out together. */
    char gathered[GATHERED_BYTES];
    size_t gathered_bytes;
};

/* Takes the configuration over. On failure everything is released. */
int server_start(struct server *server, struct config *config, const struct config_source *source,
                 struct vta_error *error);
/* After the loop has ended. */
void server_clear(struct server *server);

/* As SIGTERM does; nothing where it stops already. */
void server_stop(struct server *server);

/* For connection.c. */
void server_add(struct server *server, struct connection *connection);
void server_remove(struct server *server, struct connection *connection);
/* The last connection or worker of a server that stops ends the loop. */
void server_something_gone(struct server *server);

#endif
