/* channel.h: what the daemon and a worker process say to each other: messages over a pair of
 * connected SOCK_SEQPACKET sockets, and one page of memory that both see.
 *
 *     daemon → template   FORK (the worker's end of a new channel)
 *     daemon → worker     START (a memfd: the page), SESSION (the client's socket)
 *     worker → daemon     STARTED, READY, LOG, ENDED
 *
 * START and SESSION wait in a channel before its other end is given away. Both ends are of the same
 * build, so that structs travel as they lie in memory; START says which build. What a worker says
 * is looked at as if a client had said it: its code may be a client's.
 */
#ifndef VTA_WORKER_CHANNEL_H
#define VTA_WORKER_CHANNEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vta/error.h>

#include "core/board.h"

/* The template's and a worker's end of its channel, as the process finds it. */
#define CHANNEL_FD 0

#define CHANNEL_PAYLOAD_MAX (72u << 10)
#define CHANNEL_EARLY_MAX   (64u << 10) /* bytes of a client that were read before the hand-over */
#define CHANNEL_LINE_MAX    1536        /* bytes of one log line or reason */

enum channel_type {
    CHANNEL_START = 1, /* struct channel_start; the page's memfd */
    CHANNEL_SESSION,   /* early bytes; the client's socket; id: the session */
    CHANNEL_FORK,      /* a worker is wanted; its end of a channel */
    CHANNEL_STARTED,   /* the first word of a worker, before a client's; number: its process */
    CHANNEL_READY,     /* struct channel_ready: it is locked in. Of a trial only */
    CHANNEL_LOG,       /* a line; number: enum log_level */
    CHANNEL_ENDED      /* the session or the process is over; number: VTA_E… or 0; why */
};

struct channel_head {
    uint32_t type;
    int32_t number;
    uint64_t id; /* of the session, where nothing else is said */
};

/* What a process needs to know before it locks itself in. */
struct channel_start {
    char build[32];
    uint32_t bytes; /* sizeof this */
    struct vta_hw hw;
    uint64_t dram_bytes, max_work;
    uint64_t max_upload_bytes, max_cpu_bytes, max_message_bytes;
    uint32_t max_files, max_handles, max_evaluations, threads;
    uint32_t run_deadline_ms, call_deadline_ms, busy_poll_us;
    char kernels[16];  /* "": the best */
    uint32_t uid, gid; /* to become where root */
    char scratch[256];
    uint64_t memory_bytes, file_bytes;
    uint32_t cpu_s, processes;
    enum vta_hazard_policy hazards;
    bool strict_board;
    enum vta_board_timing timing;
    struct vta_timing_profile profile;
    bool board_clock;
    bool box_required;
    bool trial; /* no session comes: locks itself in, and says in what */
};

struct channel_ready {
    char box[CHANNEL_LINE_MAX]; /* what the box is made of; what is missing, one line per part */
    bool complete;
};

/* Seen by both. What a worker writes here can at most keep itself alive or have itself killed. */
struct channel_page {
    _Atomic uint64_t activity; /* see channel_busy */
    _Atomic uint32_t stop;     /* the daemon stops: end instead of waiting for another request */
};

/* Marks that the worker works on a request, or waits for one, since now. */
void channel_busy(struct channel_page *page, bool busy);
/* Since when (CLOCK_MONOTONIC, ns); *busy says what. */
uint64_t channel_since(const struct channel_page *page, bool *busy);
uint64_t channel_now(void);

/* Sends one message, with a descriptor unless fd is negative. Never waits where wait is false.
 * 0, or -1 with errno. Where it waits and passes no descriptor, SIGPIPE is the caller's affair. */
int channel_send(int channel, const struct channel_head *head, const void *payload, size_t nbytes,
                 int fd, bool wait);

/* Receives one: the payload's bytes, at most CHANNEL_PAYLOAD_MAX, into payload; *fd is the
 * descriptor that came with it, owned by the caller, or -1. Returns false with errno: EAGAIN where
 * wait is false and none is there, EPIPE at the end, EPROTO for a message that is none. */
bool channel_receive(int channel, struct channel_head *head, void *payload, size_t *nbytes, int *fd,
                     bool wait);

/* Makes text one line without control characters, at most CHANNEL_LINE_MAX - 1 bytes long. */
void channel_clean_line(char *line, const void *text, size_t nbytes);

#endif
