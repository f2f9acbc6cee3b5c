/* tracker_server.c: the connections of a tracker, and what becomes of each request.
 */
#include "tracker_server.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "server.h"
#include "stream.h"

#define TURN_MESSAGES 8 /* of a peer, before others have their turn */

static struct tracker_server *tracker_of(const struct tracker_peer *peer)
{
    return &peer->server->tracker;
}

static const struct config *config_of(const struct tracker_peer *peer)
{
    return &peer->server->config;
}

/* A limit was met: a warning, once a second at most. */
static void complain(struct server *server, const char *what, const char *key, uint64_t limit)
{
    uint64_t now = uv_now(&server->loop);
    if (now < server->tracker.silent_until)
        return;
    server->tracker.silent_until = now + 1000;
    log_warning("tracker: one more %s is refused: there are %llu, the limit (%s)", what,
                (unsigned long long)limit, key);
}

/* ---- Peers ---------------------------------------------------------------------------------- */

static void release(struct tracker_peer *peer)
{
    if (--peer->references == 0)
        free(peer);
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

static void on_closed(void *owner)
{
    release(owner);
}

static void add_peer(struct tracker_peer *peer)
{
    struct tracker_server *tracker = tracker_of(peer);
    peer->previous = tracker->last_peer;
    if (peer->previous != NULL)
        peer->previous->next = peer;
    else
        tracker->first_peer = peer;
    tracker->last_peer = peer;
    tracker->peers++;
}

static void remove_peer(struct tracker_peer *peer)
{
    struct tracker_server *tracker = tracker_of(peer);
    if (peer->previous != NULL)
        peer->previous->next = peer->next;
    else
        tracker->first_peer = peer->next;
    if (peer->next != NULL)
        peer->next->previous = peer->previous;
    else
        tracker->last_peer = peer->previous;
    tracker->peers--;
}

static void add_board(struct tracker_server *tracker, struct tracker_board *board)
{
    board->previous = tracker->last_board;
    if (board->previous != NULL)
        board->previous->next = board;
    else
        tracker->first_board = board;
    tracker->last_board = board;
    tracker->boards++;
}

static void remove_board(struct tracker_server *tracker, struct tracker_board *board)
{
    if (board->previous != NULL)
        board->previous->next = board->next;
    else
        tracker->first_board = board->next;
    if (board->next != NULL)
        board->next->previous = board->previous;
    else
        tracker->last_board = board->previous;
    tracker->boards--;
    free(board);
}

static void stop_waiting(struct tracker_peer *peer)
{
    if (peer->waits)
        tracker_of(peer)->requests--;
    peer->waits = false;
}

/* Ends a connection, with its boards and its request. A peer that leaves is not worth more than a
 * line of level debug. */
static void close_peer(struct tracker_peer *peer, enum log_level level, const char *reason)
{
    struct tracker_server *tracker = tracker_of(peer);
    if (peer->state == PEER_CLOSING)
        return;
    log_line(level, "tracker: connection from %s closed: %s", peer->transport->peer, reason);
    peer->state = PEER_CLOSING;
    for (struct tracker_board *each = tracker->first_board, *next; each != NULL; each = next) {
        next = each->next;
        if (each->peer == peer)
            remove_board(tracker, each);
    }
    stop_waiting(peer);
    remove_peer(peer);
    transport_close(peer->transport);
    uv_close((uv_handle_t *)&peer->timer, on_timer_closed);
}

/* ---- Answers -------------------------------------------------------------------------------- */

/* Sends what was made, if it was (rc 0), and releases it. False where the peer is closed then. */
static bool send_message(struct tracker_peer *peer, msgpack_sbuffer *out, int rc)
{
    if (rc == 0)
        rc = transport_write(peer->transport, out->data, out->size, NULL, 0);
    msgpack_sbuffer_destroy(out);
    if (rc < 0)
        close_peer(peer, LOG_LEVEL_INFO, "an answer could not be sent");
    return rc >= 0;
}

static void answer(struct tracker_peer *peer, int number)
{
    msgpack_sbuffer out;
    msgpack_sbuffer_init(&out);
    send_message(peer, &out, tvm_tracker_answer(&out, number));
}

static void refuse(struct tracker_peer *peer, const char *reason)
{
    msgpack_sbuffer out;
    msgpack_sbuffer_init(&out);
    send_message(peer, &out, tvm_tracker_answer_refusal(&out, reason));
}

static bool hand_out(struct tracker_peer *peer, const struct tracker_board *board)
{
    msgpack_sbuffer out;
    msgpack_sbuffer_init(&out);
    log_debug("tracker: a board of %s, '%s', goes to %s", board->peer->transport->peer, board->key,
              peer->transport->peer);
    return send_message(peer, &out,
                        tvm_tracker_answer_board(&out, board->host, board->port, board->match_key));
}

/* ---- Boards and who wants them --------------------------------------------------------------- */

/* Who gets the next board with this key; or NULL. */
static struct tracker_peer *first_in_line(const struct tracker_server *tracker, const char *key)
{
    struct tracker_peer *first = NULL;
    for (struct tracker_peer *each = tracker->first_peer; each != NULL; each = each->next)
        if (each->waits && strcmp(each->wanted, key) == 0 &&
            (first == NULL || each->priority > first->priority ||
             (each->priority == first->priority && each->order < first->order)))
            first = each;
    return first;
}

static struct tracker_board *first_board(const struct tracker_server *tracker, const char *key)
{
    struct tracker_board *each = tracker->first_board;
    while (each != NULL && strcmp(each->key, key) != 0)
        each = each->next;
    return each;
}

/* Gives a board to who waits for it; false where nobody does. A peer that cannot be told loses its
 * place. */
static bool give_to_first(struct tracker_server *tracker, const struct tracker_board *board)
{
    struct tracker_peer *peer;
    while ((peer = first_in_line(tracker, board->key)) != NULL) {
        stop_waiting(peer);
        if (hand_out(peer, board))
            return true;
    }
    return false;
}

static void serve_put(struct tracker_peer *peer, const struct tvm_tracker_request *request)
{
    struct tracker_server *tracker = tracker_of(peer);
    uint64_t limit = config_of(peer)->max_tracker_boards;
    struct tracker_board *board = malloc(sizeof *board);
    if (board == NULL) {
        close_peer(peer, LOG_LEVEL_WARNING, "no memory for a board");
        return;
    }
    *board = (struct tracker_board){ .peer = peer, .port = request->port };
    memcpy(board->key, request->key, sizeof board->key);
    memcpy(board->match_key, request->match_key, sizeof board->match_key);
    snprintf(board->host, sizeof board->host, "%s",
             request->host[0] != '\0' ? request->host : peer->address);
    bool given = give_to_first(tracker, board);
    bool full = !given && tracker->boards >= limit;
    if (given || full || peer->state == PEER_CLOSING) /* it may have waited itself */
        free(board);
    else
        add_board(tracker, board);
    if (full)
        complain(peer->server, "board", "max_tracker_boards", limit);
    answer(peer, full ? TVM_TRACKER_FAIL : TVM_TRACKER_SUCCESS);
}

static void serve_request(struct tracker_peer *peer, const struct tvm_tracker_request *request)
{
    struct tracker_server *tracker = tracker_of(peer);
    uint64_t limit = config_of(peer)->max_tracker_requests;
    struct tracker_board *board = first_board(tracker, request->key);
    char reason[128];
    if (peer->waits) {
        refuse(peer, "this connection waits for a board already");
    } else if (board != NULL) {
        if (hand_out(peer, board))
            remove_board(tracker, board);
    } else if (tracker->requests >= limit) {
        complain(peer->server, "request", "max_tracker_requests", limit);
        snprintf(reason, sizeof reason,
                 "%llu requests wait at the tracker, its limit (max_tracker_requests)",
                 (unsigned long long)tracker->requests);
        refuse(peer, reason);
    } else {
        peer->waits = true;
        peer->priority = request->priority;
        peer->order = ++tracker->last_order;
        memcpy(peer->wanted, request->key, sizeof peer->wanted);
        tracker->requests++;
    }
}

/* ---- Reports -------------------------------------------------------------------------------- */

static void serve_pending(struct tracker_peer *peer)
{
    const struct tracker_server *tracker = tracker_of(peer);
    const char **keys = calloc(tracker->boards + 1, sizeof *keys);
    size_t count = 0;
    msgpack_sbuffer out;
    msgpack_sbuffer_init(&out);
    for (struct tracker_board *each = tracker->first_board; keys != NULL && each != NULL;
         each = each->next)
        if (each->peer == peer)
            keys[count++] = each->match_key;
    send_message(peer, &out,
                 keys != NULL ? tvm_tracker_answer_pending(&out, keys, count) : VTA_ENOMEM);
    free(keys);
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(((const struct tvm_tracker_queue *)a)->key,
                  ((const struct tvm_tracker_queue *)b)->key);
}

/* Lists every board, request and server as a queue of its own, sorts them, and adds up what has the
 * same key. Returns how many queues there are. */
static size_t count_queues(const struct tracker_server *tracker, struct tvm_tracker_queue *queues)
{
    size_t entries = 0, count = 0;
    for (struct tracker_board *each = tracker->first_board; each != NULL; each = each->next)
        queues[entries++] = (struct tvm_tracker_queue){ .key = each->key, .free = 1 };
    for (struct tracker_peer *each = tracker->first_peer; each != NULL; each = each->next) {
        if (each->waits)
            queues[entries++] = (struct tvm_tracker_queue){ .key = each->wanted, .pending = 1 };
        if (each->key[0] != '\0')
            queues[entries++] = (struct tvm_tracker_queue){ .key = each->key };
    }
    qsort(queues, entries, sizeof *queues, compare_keys);
    for (size_t i = 0; i < entries; i++) {
        if (count == 0 || strcmp(queues[count - 1].key, queues[i].key) != 0) {
            queues[count++] = queues[i];
        } else {
            queues[count - 1].free += queues[i].free;
            queues[count - 1].pending += queues[i].pending;
        }
    }
    return count;
}

static size_t list_servers(const struct tracker_server *tracker, struct tvm_tracker_server *servers)
{
    size_t count = 0;
    for (struct tracker_peer *each = tracker->first_peer; each != NULL; each = each->next)
        if (each->key[0] != '\0')
            servers[count++] = (struct tvm_tracker_server){ .key = each->key,
                                                            .host = each->host,
                                                            .port = each->port };
    return count;
}

static void serve_summary(struct tracker_peer *peer)
{
    const struct tracker_server *tracker = tracker_of(peer);
    struct tvm_tracker_queue *queues = calloc(tracker->boards + 2 * tracker->peers, sizeof *queues);
    struct tvm_tracker_server *servers = calloc(tracker->peers, sizeof *servers);
    int rc = VTA_ENOMEM;
    msgpack_sbuffer out;
    msgpack_sbuffer_init(&out);
    if (queues != NULL && servers != NULL)
        rc = tvm_tracker_answer_summary(&out, queues, count_queues(tracker, queues), servers,
                                        list_servers(tracker, servers));
    send_message(peer, &out, rc);
    free(queues);
    free(servers);
}

/* ---- Requests ------------------------------------------------------------------------------- */

static void serve_info(struct tracker_peer *peer, const struct tvm_tracker_request *request)
{
    memcpy(peer->key, request->key, sizeof peer->key);
    snprintf(peer->host, sizeof peer->host, "%s",
             request->host[0] != '\0' ? request->host : peer->address);
    peer->port = request->port;
    answer(peer, TVM_TRACKER_SUCCESS);
}

static void serve_stop(struct tracker_peer *peer, const struct tvm_tracker_request *request)
{
    const char *key = config_of(peer)->tracker_stop_key;
    size_t length = strlen(request->key);
    bool right =
        key != NULL && strlen(key) == length && CRYPTO_memcmp(key, request->key, length) == 0;
    log_notice("tracker: %s wants it to stop, %s the stop key", peer->transport->peer,
               right ? "with" : "without");
    answer(peer, right ? TVM_TRACKER_SUCCESS : TVM_TRACKER_FAIL);
    if (right)
        server_stop(peer->server);
}

static void serve(struct tracker_peer *peer, const struct tvm_tracker_request *request)
{
    switch (request->code) {
    case TVM_TRACKER_PING:
        answer(peer, TVM_TRACKER_SUCCESS);
        break;
    case TVM_TRACKER_STOP:
        serve_stop(peer, request);
        break;
    case TVM_TRACKER_PUT:
        serve_put(peer, request);
        break;
    case TVM_TRACKER_REQUEST:
        serve_request(peer, request);
        break;
    case TVM_TRACKER_INFO:
        serve_info(peer, request);
        break;
    case TVM_TRACKER_SUMMARY:
        serve_summary(peer);
        break;
    case TVM_TRACKER_PENDING:
        serve_pending(peer);
        break;
    }
}

/* ---- Bytes ---------------------------------------------------------------------------------- */

/* Takes the magic number, or what could be one so far; returns how many bytes that was. */
static size_t take_magic(struct tracker_peer *peer, const uint8_t *bytes, size_t nbytes)
{
    uint8_t magic[TVM_TRACKER_HEAD];
    tvm_tracker_magic(magic);
    if (memcmp(bytes, magic, nbytes < sizeof magic ? nbytes : sizeof magic) != 0) {
        close_peer(peer, LOG_LEVEL_INFO, "its first bytes are not a tracker's magic number");
        return 0;
    }
    if (nbytes < sizeof magic)
        return 0;
    uv_timer_stop(&peer->timer);
    peer->state = PEER_SERVING;
    if (transport_write(peer->transport, magic, sizeof magic, NULL, 0) < 0)
        close_peer(peer, LOG_LEVEL_INFO, "the magic number could not be sent");
    return sizeof magic;
}

static size_t take_message(struct tracker_peer *peer, const uint8_t *bytes, size_t nbytes)
{
    struct tvm_tracker_request request;
    struct vta_error error = { .insn = -1 };
    size_t length;
    int rc = tvm_tracker_frame(bytes, nbytes, TVM_TRACKER_REQUEST_MAX, &length, &error);
    if (rc > 0)
        return 0;
    if (rc == 0)
        rc = tvm_tracker_parse(&request, bytes + TVM_TRACKER_HEAD, length, &error);
    if (rc != 0) {
        close_peer(peer, LOG_LEVEL_INFO, error.message);
        return 0;
    }
    serve(peer, &request);
    return TVM_TRACKER_HEAD + length;
}

static bool does_not_read(const struct tracker_peer *peer)
{
    return transport_unsent(peer->transport) > config_of(peer)->max_write_queue_bytes;
}

static void on_timer(uv_timer_t *timer);

/* Takes what has arrived, some messages at a time; a peer that does not read is not read from. */
static void go_on(struct tracker_peer *peer)
{
    size_t at = 0, used = 1;
    for (int i = 0; i < TURN_MESSAGES && used > 0 && peer->state != PEER_CLOSING; i++) {
        if (does_not_read(peer))
            break;
        used = peer->state == PEER_GREETING
                   ? take_magic(peer, peer->bytes + at, peer->nbytes - at)
                   : take_message(peer, peer->bytes + at, peer->nbytes - at);
        at += used;
    }
    if (peer->state == PEER_CLOSING)
        return;
    peer->nbytes -= at;
    memmove(peer->bytes, peer->bytes + at, peer->nbytes);
    bool reads = !does_not_read(peer);
    transport_read(peer->transport, reads && used == 0);
    if (peer->state == PEER_GREETING)
        return; /* its timer is that of the magic number */
    if (reads && used > 0)
        uv_timer_start(&peer->timer, on_timer, 0, 0);
    else if (!reads || peer->nbytes == 0)
        uv_timer_stop(&peer->timer);
    else if (!peer->half || at > 0)
        uv_timer_start(&peer->timer, on_timer, config_of(peer)->handshake_timeout_ms, 0);
    peer->half = reads && used == 0 && peer->nbytes > 0;
}

static void on_timer(uv_timer_t *timer)
{
    struct tracker_peer *peer = timer->data;
    switch (peer->state) {
    case PEER_GREETING:
        close_peer(peer, LOG_LEVEL_INFO, "no magic number within handshake_timeout_ms");
        break;
    case PEER_SERVING:
        if (peer->half)
            close_peer(peer, LOG_LEVEL_INFO, "half a message for handshake_timeout_ms");
        else
            go_on(peer);
        break;
    case PEER_CLOSING:
        break;
    }
}

static void on_room(void *owner, uint8_t **bytes, size_t *nbytes)
{
    struct tracker_peer *peer = owner;
    *bytes = peer->bytes + peer->nbytes;
    *nbytes = sizeof peer->bytes - peer->nbytes;
}

static void on_arrived(void *owner, size_t nbytes)
{
    struct tracker_peer *peer = owner;
    if (peer->state == PEER_CLOSING)
        return;
    peer->nbytes += nbytes;
    go_on(peer);
}

static void on_drained(void *owner)
{
    struct tracker_peer *peer = owner;
    if (peer->state == PEER_SERVING)
        go_on(peer);
}

static void on_ended(void *owner, const char *reason)
{
    close_peer(owner, LOG_LEVEL_DEBUG, reason != NULL ? reason : "the peer closed");
}

static const struct transport_events events = { .room = on_room,
                                                .arrived = on_arrived,
                                                .drained = on_drained,
                                                .ended = on_ended,
                                                .closed = on_closed };

/* ---- Beginning and stopping ----------------------------------------------------------------- */

/* The peer's address, which is what a server without one of its own is reached at. */
static void name_address(struct tracker_peer *peer)
{
    const char *text = peer->transport->peer; /* "127.0.0.1:9190", "[::1]:9190" */
    const char *end = strrchr(text, ':');
    size_t length = end != NULL ? (size_t)(end - text) : strlen(text);
    if (length > 2 && text[0] == '[') {
        text++;
        length -= 2;
    }
    snprintf(peer->address, sizeof peer->address, "%.*s", (int)length, text);
}

int tracker_server_accept(struct server *server, uv_stream_t *listener)
{
    int rc = UV_ENOMEM;
    uint64_t limit = server->config.max_tracker_connections;
    struct tracker_peer *peer = calloc(1, sizeof *peer);
    if (peer != NULL)
        peer->transport = stream_accept(listener, &events, peer, &rc);
    if (peer == NULL || peer->transport == NULL) {
        free(peer);
        return rc;
    }
    peer->server = server;
    peer->references = 2;
    name_address(peer);
    uv_timer_init(&server->loop, &peer->timer);
    peer->timer.data = peer;
    add_peer(peer);
    if (server->tracker.peers > limit) {
        complain(server, "connection", "max_tracker_connections", limit);
        close_peer(peer, LOG_LEVEL_DEBUG, "there are too many (max_tracker_connections)");
        return 0;
    }
    uv_timer_start(&peer->timer, on_timer, server->config.handshake_timeout_ms, 0);
    transport_read(peer->transport, true);
    return 0;
}

void tracker_server_close(struct server *server)
{
    while (server->tracker.first_peer != NULL)
        close_peer(server->tracker.first_peer, LOG_LEVEL_DEBUG, "the server stops");
}
