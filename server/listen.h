/* listen.h: listening sockets, made from addresses or passed by systemd.
 *
 *     LISTENING ──no room for a connection────▶ TURNING_AWAY ──none for another──▶ FULL
 *      ▲  ▲                                          │                              │
 *      │  └────────that connection is closed─────────┘                              │
 *      └───────────that connection is closed, and the next one is tried again───────┘
 *
 * Any state goes to CLOSED with listen_close. A connection that is not accepted would stay with
 * libuv, which looks for no other until it is: so one that there is no memory or descriptor for
 * is accepted into a handle that is kept for that, and closed.
 */
#ifndef VTA_SERVER_LISTEN_H
#define VTA_SERVER_LISTEN_H

#include <uv.h>

#include <vta/error.h>

struct server;
struct config_list;

enum listener_state {
    LISTENER_LISTENING,
    LISTENER_TURNING_AWAY, /* the spare handle is being closed */
    LISTENER_FULL,         /* so it is, and a connection waits for it */
    LISTENER_CLOSED
};

/* What takes a connection that waits at a listener, as connection_accept does. */
typedef int listener_accept(struct server *server, uv_stream_t *listener);

union listener_handle {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
};

struct listener {
    struct listener *next;
    struct server *server;
    enum listener_state state;
    listener_accept *accept;
    unsigned references; /* handles that are not closed yet */
    union listener_handle uv, spare;
    int reserve;           /* a descriptor, or -1 */
    uint64_t silent_until; /* loop time, of complaints */
};

/* Opens every address (or, where systemd passed sockets, those instead) and logs one line per
 * socket. Listeners are added to server->listeners, also before a failure. */
int listen_all(struct server *server, const struct config_list *addresses, struct vta_error *error);

/* The same for the one address at which vtad is a tracker. */
int listen_tracker(struct server *server, const char *name, struct vta_error *error);

/* The port of the first TCP socket that clients of boards connect to; 0: there is none. */
uint16_t listen_port(const struct server *server);

/* Closes all; they are freed from the loop. A Unix socket's file is removed. */
void listen_close(struct server *server);

#endif
