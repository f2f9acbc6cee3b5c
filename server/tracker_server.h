/* tracker_server.h: vtad as a TVM tracker: servers put their free boards here, clients ask for one,
 * and who waits longest with the greatest priority gets the next one.
 *
 *   board   a server's board that is free; it goes with the connection that has put it
 *   peer    a connection: of a server, of a client, or of who wants a summary
 *
 *     GREETING ──magic number──▶ SERVING ──▶ CLOSING ──▶ freed
 *
 * Any state goes to CLOSING when the peer is gone, breaks the rules, or the daemon stops. What a
 * peer can make the tracker hold is limited: one message, one request that waits,
 * max_write_queue_bytes of answers and one more; all of them together max_tracker_boards and
 * max_tracker_requests.
 */
#ifndef VTA_SERVER_TRACKER_SERVER_H
#define VTA_SERVER_TRACKER_SERVER_H

#include <uv.h>

#include "proto/tvm_tracker.h"
#include "transport.h"

struct server;

struct tracker_board {
    struct tracker_board *previous, *next;
    struct tracker_peer *peer; /* who has put it */
    uint16_t port;
    char key[TVM_TRACKER_KEY_MAX + 1];
    char match_key[TVM_TRACKER_MATCH_MAX + 1];
    char host[TVM_TRACKER_HOST_MAX + 1];
};

enum tracker_peer_state {
    PEER_GREETING,
    PEER_SERVING,
    PEER_CLOSING
};

struct tracker_peer {
    struct tracker_peer *previous, *next; /* the tracker's list, until it is CLOSING */
    struct server *server;
    struct transport *transport;
    enum tracker_peer_state state;
    unsigned references; /* transport and timer */
    uv_timer_t timer;    /* in GREETING its end; later the next turn of a peer that asks a lot */
    char address[46];    /* as text, without a port */

    /* Who it is, if it is a server; "" else. */
    char key[TVM_TRACKER_KEY_MAX + 1];
    char host[TVM_TRACKER_HOST_MAX + 1];
    uint16_t port;

    /* The request that waits. */
    bool waits;
    double priority;
    uint64_t order; /* smaller ones came before */
    char wanted[TVM_TRACKER_KEY_MAX + 1];

    size_t nbytes; /* that have arrived and are not taken */
    bool half;     /* they are a part of a message, whose rest the timer waits for */
    uint8_t bytes[TVM_TRACKER_HEAD + TVM_TRACKER_REQUEST_MAX];
};

struct tracker_server {
    struct tracker_peer *first_peer, *last_peer;    /* owned; oldest first */
    struct tracker_board *first_board, *last_board; /* owned; oldest first */
    uint64_t peers, boards, requests;               /* how many; requests: that wait */
    uint64_t last_order;
    uint64_t silent_until; /* loop time, of complaints */
};

/* Accepts from a listener, as connection_accept does. */
int tracker_server_accept(struct server *server, uv_stream_t *listener);

/* The daemon stops: closes every connection. */
void tracker_server_close(struct server *server);

#endif
