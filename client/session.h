/* session.h: what modules, functions and arrays share: a session and how to ask it something.
 *
 * Everything that came from a session holds a reference to it, so a session that is closed or
 * broken stays in memory until the last of them is freed. Not thread-safe.
 */
#ifndef VTA_CLIENT_SESSION_H
#define VTA_CLIENT_SESSION_H

#include <vta/client.h>

#include "wire.h"

#define VTA_PENDING_MAX 12 /* a full window, a request and a probe */
#define VTA_PEER_TEXT   300

struct vta_session {
    unsigned references;
    bool local, open;
    char peer[VTA_PEER_TEXT];    /* "127.0.0.1:9091", for messages */
    struct vta_wire wire;        /* while open */
    struct vta_error breakage;   /* why it is not open, where it broke */
    struct vta_server_info info; /* as the first hello had it; limits do not change */
    void (*progress)(void *context, const char *what, uint64_t done, uint64_t total);
    void *progress_context;

    /* Requests: the one that is being packed, and those without an answer yet. */
    uint32_t next_msgid;
    msgpack_sbuffer request;
    bool request_failed; /* no memory while packing */
    msgpack_packer packer;
    struct vta_pending pending[VTA_PENDING_MAX];
    size_t pending_count;
    struct vta_answer answer; /* the last one */
};

void vta_session_hold(struct vta_session *session);
void vta_session_release(struct vta_session *session);

/* Connects as vta_connect_timeout says of host and port; peer is what messages call it. */
int vta_open_peer(struct vta_transport **transport, const char *host, int port, unsigned timeout_ms,
                  char peer[VTA_PEER_TEXT], struct vta_error *error);

/* 0, or VTA_ECLOSED with the reason. */
int vta_session_usable(const struct vta_session *session, struct vta_error *error);

/* A call: begin, pack the params with the packer, then call (or submit and collect). */
msgpack_packer *vta_request_begin(struct vta_session *session, const char *method,
                                  uint32_t param_count);

/* How long an answer may take. */
enum vta_patience {
    VTA_PROMPT, /* the session's timeout */
    VTA_PATIENT /* as long as the daemon answers pings meanwhile: it may run or verify */
};

/* What does not pass through the packer: a request's last parameter may be a binary of nbytes,
 * whose header was packed and whose payload is `blob`; its result may be one that goes to `into`.
 */
struct vta_bulk_part {
    const void *blob;
    size_t nbytes;
    uint8_t *into;
    size_t into_bytes;
};

/* Sends the request and waits for its answer. part and result may be NULL; a part has no `into`
 * here. *result is valid until the next request. A failure that the daemon reports leaves the
 * session as it is. */
int vta_request_call(struct vta_session *session, enum vta_patience patience,
                     const struct vta_bulk_part *part, const msgpack_object **result,
                     struct vta_error *error);

/* Pipelining: up to session->wire.transport->window requests at once. */
int vta_request_submit(struct vta_session *session, const struct vta_bulk_part *part,
                       struct vta_error *error);
/* The next answer, in any order. *failed: the daemon reports a failure (in *error), the session
 * goes on. Any return but 0: the session broke. */
int vta_request_collect(struct vta_session *session, bool *failed, struct vta_error *error);

/* A map's value; nil where there is none, which every vta_get_… refuses by name. */
const msgpack_object *vta_result_get(const msgpack_object *map, const char *key);

/* For results that are not what the protocol promises; the session breaks. Returns VTA_EPROTO. */
int vta_session_bad_result(struct vta_session *session, const char *method,
                           const struct vta_error *reason, struct vta_error *error);

/* ---- Bulk (bulk.c) ------------------------------------------------------------------------- */

struct vta_bulk {
    const char *what;   /* for progress */
    const char *method; /* [object, offset, bytes] or [object, offset, length] */
    uint64_t handle;    /* the object, or 0: name */
    const char *name;
    const uint8_t *from; /* what is written, or */
    uint8_t *into;       /* where it is read to */
    uint64_t total;
};

/* Moves `total` bytes in pipelined chunks. The daemon's failure of any chunk is reported once all
 * pending ones are answered. */
int vta_bulk_move(struct vta_session *session, const struct vta_bulk *bulk,
                  struct vta_error *error);

/* Bytes of one chunk written to this session. */
uint64_t vta_bulk_write_chunk(const struct vta_session *session);

#endif
