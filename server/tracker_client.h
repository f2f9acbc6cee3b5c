/* tracker_client.h: vtad as the server of some of a TVM tracker's boards: connects, offers each
 * free board with a match key of its own, and has it taken by the client who comes with that key.
 *
 *     CLOSED ──open──▶ OFF, or PAUSING where a tracker is configured
 *
 *     PAUSING ──▶ RESOLVING ──▶ CONNECTING ──▶ GREETING ──▶ ASKING ◀──▶ IDLE
 *        ▲             └────────────┴──failed, or late──┴────────┴────────┤
 *        └────────────────────────────────────────────────────────────────┘
 *
 * A reload that changes what is offered goes to OFF or to a first try. Any state goes to CLOSED
 * when the daemon stops. One question is under way at a time: INFO first, then PUT for each board
 * that needs one and, from time to time, PENDING.
 *
 *     WANTED ──put──▶ OPEN ──a client has the match key──▶ TAKEN ──its session is over──▶ WANTED
 *       ▲               │
 *       └───────────────┴─ handed out, but nobody came; the tracker is a new one
 *
 * While the tracker is away, match keys that it has handed out before are still good.
 */
#ifndef VTA_SERVER_TRACKER_CLIENT_H
#define VTA_SERVER_TRACKER_CLIENT_H

#include <uv.h>

#include "proto/tvm_handshake.h"
#include "proto/tvm_tracker.h"

struct server;
struct tracker_link;

#define TRACKER_OFFERS_MAX 256

enum tracker_offer_state {
    OFFER_WANTED,
    OFFER_OPEN,
    OFFER_TAKEN
};

/* A board that is offered. Stays where it is. */
struct tracker_offer {
    enum tracker_offer_state state;
    bool listed;      /* by the tracker's last answer to PENDING */
    bool refused;     /* by the tracker, which may have room at the next PENDING */
    unsigned missing; /* how many of these answers in a row did not list it */
    char match_key[TVM_TRACKER_MATCH_MAX + 1];
};

enum tracker_client_state {
    TRACKER_CLOSED,
    TRACKER_OFF,     /* no tracker is configured */
    TRACKER_PAUSING, /* before the next try */
    TRACKER_RESOLVING,
    TRACKER_CONNECTING,
    TRACKER_GREETING, /* the tracker's magic number is awaited */
    TRACKER_ASKING,   /* an answer is awaited */
    TRACKER_IDLE
};

struct tracker_client {
    struct server *server;
    enum tracker_client_state state;
    enum tvm_tracker_code asked; /* in ASKING */
    uv_timer_t timer;            /* the end of a pause or of IDLE; else when the tracker is late */
    uint64_t poll_at;            /* loop time */
    struct tracker_link *link;   /* owned; in RESOLVING and after */
    bool complained;             /* since boards were offered last */
    /* What is offered, as it was configured. */
    char *tracker, *key, *address; /* owned; NULL: none */
    uint64_t boards;
    uint16_t port;
    struct tracker_offer offers[TRACKER_OFFERS_MAX];
    struct tracker_offer *put; /* that was put last */
};

/* After the listeners, the first TCP one of which is announced. What is wrong is logged. */
void tracker_client_open(struct tracker_client *client, struct server *server);
void tracker_client_reloaded(struct tracker_client *client);
/* Boards are offered no more, and given back without a word; the loop frees the rest. */
void tracker_client_close(struct tracker_client *client);

/* The offer whose match key a handshake asks for, which is taken then; or NULL. */
struct tracker_offer *tracker_client_take(struct tracker_client *client,
                                          const struct tvm_handshake *handshake);
/* The session is over, or came to nothing. offer NULL is allowed. */
void tracker_client_give_back(struct tracker_client *client, struct tracker_offer *offer);

#endif
