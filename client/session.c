/* session.c: sessions and their requests. What a method means is in the files named after what it
 * is about; how bytes travel is in wire.c and below.
 */
#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONNECT_TIMEOUT_MS 10000

/* ---- Lifetime ------------------------------------------------------------------------------ */

void vta_session_hold(struct vta_session *session)
{
    session->references++;
}

void vta_session_release(struct vta_session *session)
{
    if (--session->references > 0)
        return;
    msgpack_sbuffer_destroy(&session->request);
    free(session);
}

static void shut(struct vta_session *session)
{
    if (!session->open)
        return;
    session->open = false;
    session->pending_count = 0;
    vta_wire_close(&session->wire);
}

/* The end of a session that lost its stream. Returns the code of the reason. */
static int break_session(struct vta_session *session, const struct vta_error *reason,
                         struct vta_error *error)
{
    session->breakage = *reason;
    vta_error_prefix(&session->breakage, "%s", session->peer);
    if (error != NULL)
        *error = session->breakage;
    shut(session);
    return session->breakage.code;
}

int vta_session_usable(const struct vta_session *session, struct vta_error *error)
{
    if (session->open)
        return 0;
    if (session->breakage.code != 0)
        return vta_error_set(error, VTA_ECLOSED, "the session broke earlier: %s",
                             session->breakage.message);
    return vta_error_set(error, VTA_ECLOSED, "%s: the session is closed", session->peer);
}

int vta_session_bad_result(struct vta_session *session, const char *method,
                           const struct vta_error *reason, struct vta_error *error)
{
    struct vta_error bad;

    vta_error_set(&bad, VTA_EPROTO, "answer to %s: %s", method, reason->message);
    return break_session(session, &bad, error);
}

const msgpack_object *vta_result_get(const msgpack_object *map, const char *key)
{
    static const msgpack_object nothing = { .type = MSGPACK_OBJECT_NIL };
    const msgpack_object *value = map->type == MSGPACK_OBJECT_MAP ? vta_map_get(map, key) : NULL;

    return value != NULL ? value : &nothing;
}

/* ---- Requests ------------------------------------------------------------------------------ */

static int request_write(void *context, const char *bytes, size_t nbytes)
{
    struct vta_session *session = context;

    if (msgpack_sbuffer_write(&session->request, bytes, nbytes) != 0)
        session->request_failed = true;
    return 0;
}

msgpack_packer *vta_request_begin(struct vta_session *session, const char *method,
                                  uint32_t param_count)
{
    struct vta_pending *pending = &session->pending[session->pending_count];

    if (++session->next_msgid == 0) /* 0 is the daemon's, for its last words */
        session->next_msgid = 1;
    *pending = (struct vta_pending){ .msgid = session->next_msgid, .method = method };
    msgpack_sbuffer_clear(&session->request);
    session->request_failed = false;
    msgpack_packer_init(&session->packer, session, request_write);
    vta_rpc_pack_request(&session->packer, pending->msgid, method, param_count);
    return &session->packer;
}

/* The reason that an answer gives. The daemon's begins with the method, and the place of a bad
 * param among its params, for those who call methods; whoever calls this library has named neither.
 */
static int unpack_reason(const msgpack_object *object, const char *method, struct vta_error *error)
{
    struct vta_error reason;
    unsigned param;
    int length = 0;
    int rc = vta_rpc_unpack_error(object, &reason);

    if (rc == 0 || error == NULL)
        return rc;
    const char *text = reason.message;
    const size_t method_length = strlen(method);
    if (strncmp(text, method, method_length) == 0 && strncmp(text + method_length, ": ", 2) == 0)
        text += method_length + 2;
    if (sscanf(text, "params[%u]: %n", &param, &length) == 1 && length > 0)
        text += length;
    *error = reason;
    memmove(error->message, error->message + (text - reason.message), strlen(text) + 1);
    return rc;
}

/* An answer to no request: why the daemon closes. */
static int last_words(const struct vta_answer *answer, struct vta_error *reason)
{
    int rc = vta_rpc_unpack_error(&answer->message.error, reason);

    return rc != 0 ? rc : vta_error_set(reason, VTA_EPROTO, "an answer to no request");
}

/* Where sending failed, the daemon may have said why before it closed. */
static void find_last_words(struct vta_session *session, struct vta_error *reason)
{
    struct vta_answer answer;
    struct vta_error ignored, said;

    if (reason->code == VTA_EIO &&
        vta_wire_receive(&session->wire, session->pending, 0, &answer, &ignored) == 0 &&
        last_words(&answer, &said) != 0)
        *reason = said;
}

int vta_request_submit(struct vta_session *session, const struct vta_bulk_part *part,
                       struct vta_error *error)
{
    struct vta_error reason = { .insn = -1 };
    struct vta_pending *pending = &session->pending[session->pending_count];
    int rc = vta_session_usable(session, error);

    if (rc != 0)
        return rc;
    if (session->request_failed)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a request");
    if (part != NULL) {
        pending->into = part->into;
        pending->into_bytes = part->into_bytes;
    }
    session->pending_count++;
    rc = vta_wire_send(&session->wire, session->request.data, session->request.size,
                       part != NULL ? part->blob : NULL, part != NULL ? part->nbytes : 0, &reason);
    if (rc == 0)
        return 0;
    find_last_words(session, &reason);
    return break_session(session, &reason, error);
}

/* Takes an answered request off the list. */
static struct vta_pending forget(struct vta_session *session, const struct vta_pending *pending)
{
    struct vta_pending done = *pending;

    session->pending[pending - session->pending] = session->pending[--session->pending_count];
    return done;
}

static bool probing(const struct vta_session *session)
{
    for (size_t i = 0; i < session->pending_count; i++)
        if (session->pending[i].probe)
            return true;
    return false;
}

/* Asks whether the daemon, which is silent, is alive. */
static int probe(struct vta_session *session, struct vta_error *error)
{
    vta_request_begin(session, "ping", 0);
    session->pending[session->pending_count].probe = true;
    return vta_request_submit(session, NULL, error);
}

/* The next answer goes to session->answer, its request to *done. A failure has broken the
 * session. */
static int receive(struct vta_session *session, enum vta_patience patience,
                   struct vta_pending *done, struct vta_error *error)
{
    struct vta_answer *answer = &session->answer;
    struct vta_error reason = { .insn = -1 };

    do {
        int rc = vta_wire_receive(&session->wire, session->pending, session->pending_count, answer,
                                  &reason);
        if (rc == VTA_ETIMEOUT && patience == VTA_PATIENT && !probing(session)) {
            rc = probe(session, error);
            if (rc != 0)
                return rc;
            done->probe = true;
            continue;
        }
        if (rc == VTA_ETIMEOUT)
            vta_error_prefix(&reason, "%s", session->pending[0].method);
        if (rc == 0 && answer->pending == NULL)
            rc = last_words(answer, &reason);
        if (rc != 0)
            return break_session(session, &reason, error);
        *done = forget(session, answer->pending);
    } while (done->probe);
    return 0;
}

int vta_request_collect(struct vta_session *session, bool *failed, struct vta_error *error)
{
    struct vta_pending done;
    struct vta_error reason;

    *failed = false;
    int rc = receive(session, VTA_PROMPT, &done, error);
    if (rc != 0 || session->answer.stored)
        return rc;
    *failed = unpack_reason(&session->answer.message.error, done.method, error) != 0;
    if (*failed || done.into == NULL)
        return 0;
    vta_error_set(&reason, VTA_EPROTO, "expected %zu bytes, got something else", done.into_bytes);
    return vta_session_bad_result(session, done.method, &reason, error);
}

int vta_request_call(struct vta_session *session, enum vta_patience patience,
                     const struct vta_bulk_part *part, const msgpack_object **result,
                     struct vta_error *error)
{
    struct vta_pending done;
    int rc = vta_request_submit(session, part, error);

    if (rc != 0)
        return rc;
    rc = receive(session, patience, &done, error);
    if (rc != 0)
        return rc;
    rc = unpack_reason(&session->answer.message.error, done.method, error);
    if (rc == 0 && result != NULL)
        *result = &session->answer.message.result;
    return rc;
}

/* ---- Opening and closing ------------------------------------------------------------------- */

/* Takes the transport over, greets, and learns the limits. */
static struct vta_session *open_session(struct vta_transport *transport, bool local,
                                        const char *peer, struct vta_error *error)
{
    struct vta_session *session = calloc(1, sizeof *session);

    if (session == NULL) {
        transport->ops->close(transport);
        vta_error_set(error, VTA_ENOMEM, "no memory for a session");
        return NULL;
    }
    session->references = 1;
    session->local = local;
    snprintf(session->peer, sizeof session->peer, "%s", peer);
    msgpack_sbuffer_init(&session->request);
    if (vta_wire_open(&session->wire, transport, error) != 0)
        goto fail;
    session->open = true;
    if (vta_server_info(session, &session->info, error) != 0)
        goto fail;
    return session;

fail:
    vta_close(session);
    return NULL;
}

struct vta_session *vta_connect(const char *host, int port, struct vta_error *error)
{
    return vta_connect_timeout(host, port, CONNECT_TIMEOUT_MS, error);
}

/* The port that the environment names, or the default; negative where it names none. */
static int default_port(struct vta_error *error)
{
    const char *text = getenv("VTA_RPC_PORT");
    char *end;

    if (text == NULL || *text == '\0')
        return VTA_DEFAULT_PORT;
    long port = strtol(text, &end, 10);
    if (*end != '\0' || port < 1 || port > 65535)
        return vta_error_set(error, VTA_EINVAL, "VTA_RPC_PORT is \"%s\", not a port (1 to 65535)",
                             text);
    return (int)port;
}

int vta_open_peer(struct vta_transport **transport, const char *host, int port, unsigned timeout_ms,
                  char peer[VTA_PEER_TEXT], struct vta_error *error)
{
    if (host == NULL)
        host = getenv("VTA_RPC_HOST");
    if (host == NULL || *host == '\0')
        host = "127.0.0.1";
    bool is_unix = strncmp(host, "unix:", 5) == 0;
    if (!is_unix && port == 0) {
        port = default_port(error);
        if (port < 0)
            return port;
    }
    if (!is_unix && (port < 1 || port > 65535))
        return vta_error_limit(error, VTA_EINVAL, 65535, port, "%d is not a port (1 to 65535)",
                               port);
    if (is_unix)
        snprintf(peer, VTA_PEER_TEXT, "%s", host);
    else
        snprintf(peer, VTA_PEER_TEXT,
                 strchr(host, ':') != NULL && *host != '[' ? "[%s]:%d" : "%s:%d", host, port);
    int rc = vta_remote_open(transport, host, port, timeout_ms, error);
    if (rc != 0)
        vta_error_prefix(error, "%s", peer);
    return rc;
}

struct vta_session *vta_connect_timeout(const char *host, int port, unsigned timeout_ms,
                                        struct vta_error *error)
{
    struct vta_transport *transport;
    char peer[VTA_PEER_TEXT];

    if (vta_open_peer(&transport, host, port, timeout_ms, peer, error) != 0)
        return NULL;
    return open_session(transport, false, peer, error);
}

struct vta_session *vta_local_session(const struct vta_hw *hw, struct vta_error *error)
{
    struct vta_transport *transport;

    if (vta_local_open(&transport, hw, error) != 0)
        return NULL;
    return open_session(transport, true, "local session", error);
}

void vta_close(struct vta_session *session)
{
    if (session == NULL)
        return;
    shut(session);
    vta_session_release(session);
}

bool vta_session_is_local(const struct vta_session *session)
{
    return session->local;
}

int vta_ping(struct vta_session *session, uint64_t *ns, struct vta_error *error)
{
    struct timespec before, after;

    vta_request_begin(session, "ping", 0);
    clock_gettime(CLOCK_MONOTONIC, &before);
    int rc = vta_request_call(session, VTA_PROMPT, NULL, NULL, error);
    clock_gettime(CLOCK_MONOTONIC, &after);
    if (rc == 0 && ns != NULL)
        *ns = (uint64_t)(after.tv_sec - before.tv_sec) * 1000000000u + (uint64_t)after.tv_nsec -
              (uint64_t)before.tv_nsec;
    return rc;
}

void vta_set_progress(struct vta_session *session,
                      void (*progress)(void *context, const char *what, uint64_t done,
                                       uint64_t total),
                      void *context)
{
    session->progress = progress;
    session->progress_context = context;
}
