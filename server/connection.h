/* connection.h: the life of one connection, from accept to the last thing that is released.
 *
 *     SNIFFING ──a request──▶ OPEN ──the daemon stops──▶ DRAINING
 *         └──TVM's magic──▶ GREETING ──a worker has the socket──▶ CLOSING
 *
 *     any of these ──its last word goes out──▶ LINGERING ──the peer closes──▶ CLOSING ──▶ freed
 *
 * Any state goes to CLOSING at once when the peer is gone. CLOSING ends when the transport, the
 * timers and a call on the thread pool have all come back.
 */
#ifndef VTA_SERVER_CONNECTION_H
#define VTA_SERVER_CONNECTION_H

#include <uv.h>

#include <vta/error.h>

#include "sniff.h"
#include "transport.h"

struct server;
struct native;
struct tvm;

enum connection_state {
    CONNECTION_SNIFFING,
    CONNECTION_GREETING, /* TVM's handshake */
    CONNECTION_OPEN,
    CONNECTION_DRAINING,  /* answers what was started, starts nothing new */
    CONNECTION_LINGERING, /* has said its last word; discards what comes until the peer closes, so
                             that the word is not lost in a reset */
    CONNECTION_CLOSING
};

struct connection {
    struct connection *previous, *next; /* server's list */
    struct server *server;
    struct transport *transport;
    struct native *native; /* owned; from OPEN on */
    struct tvm *tvm;       /* owned; from GREETING on */
    uint64_t id;
    enum connection_state state;
    uv_timer_t timer;        /* first bytes, idleness, lingering */
    unsigned references;     /* handles and jobs that have to come back before it is freed */
    uint64_t opened, active; /* loop time in ms: accepted, last heard of */
    uint8_t first[SNIFF_BYTES];
    size_t first_count;
    char reason[256]; /* why it ends */
};

/* Accepts from a listener. Returns 0 or a libuv code, which is the caller's to log; after UV_ENOMEM
 * (no memory) and UV_EMFILE (more than connections_fit) the connection still waits there. */
int connection_accept(struct server *server, uv_stream_t *listener);

/* Sends an error response with msgid 0 and ends the connection. */
void connection_refuse(struct connection *connection, const struct vta_error *error);

/* Sends some bytes and ends the connection, so that the peer can read them. */
void connection_last_word(struct connection *connection, const void *bytes, size_t nbytes,
                          const char *reason);

/* A worker has the socket, and the session's log lines: lets go of it without one. */
void connection_handed_over(struct connection *connection);

/* Ends the connection now. The first reason given is the one that is logged. */
void connection_close(struct connection *connection, const char *format, ...) VTA_PRINTF(2, 3);

/* The daemon stops: idle connections and refused ones close, busy ones finish what they have
 * started. */
void connection_drain(struct connection *connection);

/* The configuration has changed. */
void connection_reloaded(struct connection *connection);

/* What native.c tells: something was done. */
void connection_progress(struct connection *connection);

/* A handle or job that holds the connection. */
void connection_hold(struct connection *connection);
void connection_release(struct connection *connection);

#endif
