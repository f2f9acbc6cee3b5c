/* peers.h: the other processes that benchmarks talk to: a vtad of its own, and a raw peer that does
 * on a loopback socket only what no server can leave out.
 *
 * Whatever fails here ends the benchmark with a message.
 */
#ifndef VTA_BENCH_PEERS_H
#define VTA_BENCH_PEERS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct peer {
    pid_t pid;
    int port; /* on 127.0.0.1 */
    int log;  /* the daemon's log; -1 for a raw peer */
};

/* A daemon with nothing but its defaults, whatever /etc says. */
void peer_start_daemon(struct peer *peer, const char *path);
/* Serves one connection. */
void peer_start_raw(struct peer *peer);
/* The daemon's Pss in KiB, from the kernel. */
double peer_pss(const struct peer *peer);
void peer_stop(struct peer *peer);

/* Path of the vtad that was built together with this program. */
const char *peer_vtad(void);

/* The first processor that this process may use, and the last; the same where there is but one. */
void peer_processors(int processors[2]);
/* Binds a process, or this one (pid 0). */
void peer_bind(pid_t pid, int processor);

/* A blocking TCP socket with TCP_NODELAY. */
int peer_connect(int port);
void peer_send(int fd, const void *bytes, size_t nbytes);
void peer_receive(int fd, void *bytes, size_t nbytes);
/* At least one byte; returns how many. */
size_t peer_receive_some(int fd, void *bytes, size_t nbytes);

/* What the raw peer is told before each measurement, in these bytes. */
enum raw_kind {
    RAW_ANSWER, /* reads `count` requests, writes a reply for each; as many at once as are there */
    RAW_SINK,   /* reads `count` bytes in pieces of a MiB, then writes one */
    RAW_SOURCE  /* writes `count` bytes in pieces of a MiB */
};

struct raw_order {
    uint64_t kind, count;
    uint64_t request_bytes, reply_bytes; /* RAW_ANSWER: of one */
};

#define RAW_PIECE ((size_t)1 << 20)

#endif
