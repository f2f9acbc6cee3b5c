/* inbox.h: the bytes that a connection has received, cut into messages that wait to be executed.
 *
 * Bytes lie in one piece: [begin, cut) are whole messages that wait, and between them some that
 * were executed out of turn and are squeezed out before they are more than the rest; [cut, fed) is
 * what the scanner has seen of the next one, [fed, end) has not been looked at. The piece is either
 * the loop's shared buffer, borrowed during one read (what is executed at once is never copied), or
 * the inbox's own, which grows geometrically with what has arrived, whatever a message announces,
 * and is given back when nothing waits.
 *
 * No socket and no protocol: who reads and who executes is the caller's matter.
 */
#ifndef VTA_SERVER_INBOX_H
#define VTA_SERVER_INBOX_H

#include "proto/scan.h"

/* Bytes of an allocation that changes hands. */
struct bytes {
    uint8_t *data; /* owned; NULL: none */
    size_t length, capacity;
};

/* What the connections of a loop share: a buffer for reading, and one spare allocation, so that a
 * stream of large messages does not allocate one by one. */
struct inbox_pool {
    uint8_t *shared; /* owned */
    size_t shared_size;
    struct bytes spare;
};

#define INBOX_SHARED_BYTES (256u << 10)
#define INBOX_SPARE_BYTES  (16u << 20) /* larger allocations are not kept */

int inbox_pool_init(struct inbox_pool *pool); /* 0 or VTA_ENOMEM */
void inbox_pool_clear(struct inbox_pool *pool);
/* Takes over an allocation that is no longer needed: keeps it as the spare, or frees it. */
void inbox_pool_give(struct inbox_pool *pool, struct bytes *bytes);

struct inbox_limits {
    uint32_t requests; /* that wait */
    uint64_t bytes;    /* of those */
};

struct inbox {
    struct inbox_pool *pool; /* not owned */
    struct vta_scan scan;
    struct inbox_limits limits;

    uint8_t *data;
    size_t capacity, begin, cut, fed, end;
    bool borrowed; /* data is pool->shared */
    bool bulk;     /* the last message was large: the next one may be */

    struct inbox_entry { /* messages in [begin, cut), oldest first */
        uint32_t length;
        bool done; /* executed out of turn; its bytes are passed over */
    } * entries;
    uint32_t first, count, size; /* entries[first … first + count) */
    uint32_t waiting;            /* of them not done */
    uint64_t waiting_bytes, done_bytes;
    bool full; /* too much waits; false again at half of the limits */
};

void inbox_init(struct inbox *inbox, struct inbox_pool *pool, const struct vta_wire_limits *wire,
                const struct inbox_limits *limits);
void inbox_clear(struct inbox *inbox);

/* Where the next bytes may be read to; *nbytes is 0 where there is no memory. Between this and
 * inbox_settle no other inbox of the pool may be used. */
void inbox_room(struct inbox *inbox, uint8_t **bytes, size_t *nbytes);
/* nbytes were read to there. */
void inbox_arrived(struct inbox *inbox, size_t nbytes);

/* Cuts the next message: 1 where there is one (it waits as the newest; *bytes until the next call
 * that changes the inbox), 0 where more bytes are needed, or what vta_scan_feed says. */
int inbox_cut(struct inbox *inbox, const uint8_t **bytes, size_t *length, struct vta_error *error);
/* The newest was executed out of turn. */
void inbox_skip(struct inbox *inbox);

/* The oldest message that waits. */
bool inbox_front(struct inbox *inbox, const uint8_t **bytes, size_t *length);
void inbox_pop(struct inbox *inbox);
/* Pops the oldest into an allocation of its own, which inbox_pool_give takes back. VTA_ENOMEM
 * leaves it. */
int inbox_take(struct inbox *inbox, struct bytes *bytes);

/* Whether bytes are left that have not been cut, because the inbox was full. */
bool inbox_has_uncut(const struct inbox *inbox);

/* To be called before returning to the event loop: what is left moves out of the shared buffer,
 * and memory that is not needed is given back. VTA_ENOMEM: the bytes are lost. */
int inbox_settle(struct inbox *inbox);

#endif
