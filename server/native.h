/* native.h: a connection that speaks MessagePack-RPC: requests in, calls on a service, replies out.
 *
 * Requests are executed one at a time in the order in which they arrived, quick ones on the loop,
 * slow ones on the thread pool (job.h); urgent ones overtake what waits. Small replies to what can
 * be executed in one go are written together. While too much waits, or too many replies are unsent,
 * nothing is read.
 */
#ifndef VTA_SERVER_NATIVE_H
#define VTA_SERVER_NATIVE_H

#include "inbox.h"
#include "job.h"
#include "service/service.h"

struct connection;

/* What calls may go on, by what is unsent:
 *
 *     FREE ──a reply from the session's memory──▶ BULK
 *      └──────────────too much else──────────────┴──▶ CLOGGED
 *
 * Any goes to FREE when everything is out. Whether a call is at work is another matter, as its
 * reply and those to urgent requests may come in each of these. */
enum native_output {
    NATIVE_FREE,
    NATIVE_BULK,   /* no call may change that memory meanwhile */
    NATIVE_CLOGGED /* nor is anything read */
};

struct native {
    struct connection *connection;
    struct vta_service *service; /* owned */
    struct inbox inbox;
    struct job *job;       /* owned; made at the first slow request */
    uint64_t unsent_limit; /* bytes */
    enum native_output output;
    uint64_t bulk_bytes; /* of what is on its way from the session's memory; 0: nothing is */
};

/* Opens a session. VTA_ENOMEM, or what vta_service_new says. */
int native_open(struct native **native, struct connection *connection, struct vta_error *error);

void native_room(struct native *native, uint8_t **bytes, size_t *nbytes);
void native_arrived(struct native *native, size_t nbytes);
/* Bytes that were read to the pool's shared buffer before there was a session. */
void native_begin(struct native *native, size_t nbytes);
void native_drained(struct native *native);

/* Nothing waits, runs, or is unsent. */
bool native_idle(const struct native *native);

/* Ends the call that is at work, if it can be stopped; its reply says code. Returns whether a call
 * is at work. */
bool native_stop(struct native *native, int code);

/* No more calls. The job, if one is at work, ends soon and releases the connection. */
void native_close(struct native *native);
/* After everything has come back. */
void native_free(struct native *native);

#endif
