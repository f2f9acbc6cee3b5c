/* stream.h: the transport over TCP and Unix sockets.
 */
#ifndef VTA_SERVER_STREAM_H
#define VTA_SERVER_STREAM_H

#include <uv.h>

#include "transport.h"

/* Accepts a connection of a listening TCP or pipe handle. Returns NULL with a libuv code in *rc;
 * the connection, if there was one, is then closed, except that after UV_ENOMEM it still waits at
 * the listener. The transport frees itself after `closed`. */
struct transport *stream_accept(uv_stream_t *listener, const struct transport_events *events,
                                void *owner, int *rc);

#endif
