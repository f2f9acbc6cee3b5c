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
    unsigned references; /* handles that are not closed yet */
    union listener_handle uv, spare;
    int reserve;           /* a descriptor, or -1 */
    uint64_t silent_until; /* loop time, of complaints */
};

/* Opens every address (or, where systemd passed sockets, those instead) and logs one line per
 * socket. Listeners are added to server->listeners, also before a failure. */
int listen_all(struct server *server, const struct config_list *addresses, struct vta_error *error);

/* Closes all; they are freed from the loop. A Unix socket's file is removed. */
void listen_close(struct server *server);

#endif
