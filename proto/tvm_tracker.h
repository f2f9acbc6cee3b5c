/* tvm_tracker.h: what a TVM tracker, the servers of its boards and their clients say to each other.
 *
 * After a magic number from both sides: i32 length, JSON; a request is answered in order.
 *
 *   key        names boards of one kind: "pynq"
 *   match key  is known to a board's server and to the one client that was given the board
 *   word       a key, a match key, a host: printable ASCII without a space, '"' and '\', so that it
 *              can be the first word of a handshake (tvm_handshake.h) and stands in JSON as it is
 */
#ifndef VTA_PROTO_TVM_TRACKER_H
#define VTA_PROTO_TVM_TRACKER_H

#include <msgpack.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vta/error.h>

#define TVM_TRACKER_MAGIC 0x0002f271
#define TVM_TRACKER_HEAD  4 /* bytes of the magic number, and of a length */

#define TVM_TRACKER_REQUEST_MAX 4096  /* bytes of a request's JSON */
#define TVM_TRACKER_ANSWER_MAX  65536 /* of an answer's that the server of a board reads */
#define TVM_TRACKER_DEPTH_MAX   8     /* lists and objects in each other */
#define TVM_TRACKER_KEY_MAX     128   /* bytes of a key */
#define TVM_TRACKER_MATCH_MAX   255   /* of a match key */
#define TVM_TRACKER_HOST_MAX    255

enum tvm_tracker_code {
    TVM_TRACKER_PING = 1,
    TVM_TRACKER_STOP,
    TVM_TRACKER_PUT,     /* a board is free */
    TVM_TRACKER_REQUEST, /* a board is wanted; the answer may take a while */
    TVM_TRACKER_INFO,    /* who a server is */
    TVM_TRACKER_SUMMARY,
    TVM_TRACKER_PENDING /* the match keys that were put and not handed out yet */
};

/* Answers that are a number. */
#define TVM_TRACKER_SUCCESS 0
#define TVM_TRACKER_FAIL    (-1)

/* ---- Framing ------------------------------------------------------------------------------- */

void tvm_tracker_magic(uint8_t out[TVM_TRACKER_HEAD]);
bool tvm_tracker_is_magic(const uint8_t bytes[TVM_TRACKER_HEAD]);

/* Returns 0: a message is whole, *length bytes of JSON after its head; 1: more bytes are needed;
 * VTA_EPROTO or VTA_ELIMIT: it has no length from 1 to max. */
int tvm_tracker_frame(const uint8_t *bytes, size_t nbytes, size_t max, size_t *length,
                      struct vta_error *error);

/* ---- Requests ------------------------------------------------------------------------------ */

struct tvm_tracker_request {
    enum tvm_tracker_code code;
    char key[TVM_TRACKER_KEY_MAX + 1];         /* PUT, REQUEST; STOP: the stop key; INFO: what
                                                  follows "server:", "" if it is no server */
    char match_key[TVM_TRACKER_MATCH_MAX + 1]; /* PUT */
    char host[TVM_TRACKER_HOST_MAX + 1];       /* PUT, INFO; "": the address of who says so */
    uint16_t port;                             /* PUT, INFO; of INFO also 0, if it names none */
    double priority;                           /* REQUEST; larger ones first */
};

/* Decodes the JSON of a request. Items that are not known are passed over. VTA_EUNSUPPORTED: its
 * code is not known; VTA_EPROTO, VTA_ELIMIT, VTA_ENOMEM: it is none, with the reason. */
int tvm_tracker_parse(struct tvm_tracker_request *request, const void *json, size_t nbytes,
                      struct vta_error *error);

/* Whether a text is a word of 1 to max bytes. */
bool tvm_tracker_is_word(const char *text, size_t max);

/* The following append a message, its head included, and return 0 or VTA_ENOMEM; then out is as it
 * was. Words are not checked again. */
int tvm_tracker_ask(msgpack_sbuffer *out, enum tvm_tracker_code code); /* PING, SUMMARY, PENDING */
/* host NULL: the address that the tracker sees. */
int tvm_tracker_ask_info(msgpack_sbuffer *out, const char *key, const char *host, uint16_t port);
int tvm_tracker_ask_put(msgpack_sbuffer *out, const char *key, uint16_t port, const char *match_key,
                        const char *host);

/* ---- Answers ------------------------------------------------------------------------------- */

int tvm_tracker_answer(msgpack_sbuffer *out, int number);
/* [-1, reason]: a request that is not queued. The reason stands in JSON as it is. */
int tvm_tracker_answer_refusal(msgpack_sbuffer *out, const char *reason);
int tvm_tracker_answer_board(msgpack_sbuffer *out, const char *host, uint16_t port,
                             const char *match_key);
int tvm_tracker_answer_pending(msgpack_sbuffer *out, const char *const *match_keys, size_t count);

struct tvm_tracker_queue {
    const char *key;
    uint64_t free, pending;
};

struct tvm_tracker_server {
    const char *key, *host;
    uint16_t port;
};

int tvm_tracker_answer_summary(msgpack_sbuffer *out, const struct tvm_tracker_queue *queues,
                               size_t queue_count, const struct tvm_tracker_server *servers,
                               size_t server_count);

/* What the server of a board reads: an answer that is a number, or to PENDING, for each match key
 * found() is called. Return 0, or VTA_EPROTO or VTA_ENOMEM with the reason. */
int tvm_tracker_read(int *number, const void *json, size_t nbytes, struct vta_error *error);
int tvm_tracker_read_pending(const void *json, size_t nbytes,
                             void (*found)(void *owner, const char *match_key), void *owner,
                             struct vta_error *error);

#endif
