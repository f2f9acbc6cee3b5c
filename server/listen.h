/* listen.h: listening sockets, made from addresses or passed by systemd.
 */
#ifndef VTA_SERVER_LISTEN_H
#define VTA_SERVER_LISTEN_H

#include <uv.h>

#include <vta/error.h>

struct server;
struct config_list;

struct listener {
    struct listener *next;
    struct server *server;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
};

/* Opens every address (or, where systemd passed sockets, those instead) and logs one line per
 * socket. Listeners are added to server->listeners, also before a failure. */
int listen_all(struct server *server, const struct config_list *addresses, struct vta_error *error);

/* Closes all; they are freed from the loop. A Unix socket's file is removed. */
void listen_close(struct server *server);

#endif
