/* tracker_client.c: which boards are offered at the tracker, and what each of its answers means.
 * The connection itself is tracker_link.c's.
 */
#include "tracker_client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "log.h"
#include "server.h"
#include "tracker_link.h"

#define MISSING_MAX  3  /* answers that do not list a match key, before the board is offered anew */
#define RANDOM_BYTES 16 /* of a match key */

static const struct config *config_of(const struct tracker_client *client)
{
    return &client->server->config;
}

static void on_timer(uv_timer_t *timer);

static void enter(struct tracker_client *client, enum tracker_client_state state, uint64_t ms)
{
    client->state = state;
    uv_timer_start(&client->timer, on_timer, ms, 0);
}

static void drop_link(struct tracker_client *client)
{
    if (client->link != NULL)
        tracker_link_drop(client->link);
    client->link = NULL;
}

/* The first failure in a row is worth a warning. */
static void fail(struct tracker_client *client, const char *reason)
{
    uint64_t pause = config_of(client)->tracker_retry_ms;
    log_line(client->complained ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING,
             "tracker %s: %s; it is tried again every %" PRIu64 " ms", client->tracker, reason,
             pause);
    client->complained = true;
    drop_link(client);
    enter(client, TRACKER_PAUSING, pause);
}

/* ---- Offers --------------------------------------------------------------------------------- */

/* No match key is good any more, except of who has come with it. */
static void withdraw(struct tracker_client *client)
{
    for (size_t i = 0; i < TRACKER_OFFERS_MAX; i++)
        if (client->offers[i].state == OFFER_OPEN)
            client->offers[i].state = OFFER_WANTED;
}

static struct tracker_offer *next_wanted(struct tracker_client *client)
{
    for (uint64_t i = 0; i < client->boards; i++)
        if (client->offers[i].state == OFFER_WANTED && !client->offers[i].refused)
            return &client->offers[i];
    return NULL;
}

/* False without random bytes. */
static bool make_match_key(const struct tracker_client *client, struct tracker_offer *offer)
{
    uint8_t random[RANDOM_BYTES];
    if (uv_random(NULL, NULL, random, sizeof random, 0, NULL) != 0)
        return false;
    int n = snprintf(offer->match_key, sizeof offer->match_key, "%s:", client->key);
    for (size_t i = 0; i < RANDOM_BYTES; i++)
        n += snprintf(offer->match_key + n, sizeof offer->match_key - (size_t)n, "%02x", random[i]);
    return true;
}

/* ---- Questions ------------------------------------------------------------------------------ */

static void ask(struct tracker_client *client, enum tvm_tracker_code code,
                const struct tracker_offer *offer)
{
    msgpack_sbuffer out;
    msgpack_sbuffer_init(&out);
    int rc;
    if (code == TVM_TRACKER_INFO)
        rc = tvm_tracker_ask_info(&out, client->key, client->address, client->port);
    else if (code == TVM_TRACKER_PUT)
        rc =
            tvm_tracker_ask_put(&out, client->key, client->port, offer->match_key, client->address);
    else
        rc = tvm_tracker_ask(&out, code);
    client->asked = code;
    enter(client, TRACKER_ASKING, config_of(client)->handshake_timeout_ms);
    if (rc != 0 || !tracker_link_write(client->link, out.data, out.size))
        fail(client, "a message could not be sent");
    msgpack_sbuffer_destroy(&out);
}

static void put(struct tracker_client *client, struct tracker_offer *offer)
{
    if (!make_match_key(client, offer)) {
        fail(client, "there are no random bytes for a match key");
        return;
    }
    offer->state = OFFER_OPEN;
    offer->missing = 0;
    client->put = offer;
    ask(client, TVM_TRACKER_PUT, offer);
}

/* Asks the next question, or waits until there is one. Boards whose sessions would be refused are
 * not offered. */
static void go_on(struct tracker_client *client)
{
    uint64_t now = uv_now(client->timer.loop);
    struct tracker_offer *offer = next_wanted(client);
    if (now >= client->poll_at) {
        client->poll_at = now + config_of(client)->tracker_poll_ms;
        ask(client, TVM_TRACKER_PENDING, NULL);
    } else if (offer != NULL && template_is_open(&client->server->template)) {
        put(client, offer);
    } else {
        enter(client, TRACKER_IDLE, client->poll_at - now);
    }
}

/* ---- Answers -------------------------------------------------------------------------------- */

static void on_pending(void *owner, const char *match_key)
{
    struct tracker_client *client = owner;
    for (size_t i = 0; i < TRACKER_OFFERS_MAX; i++)
        if (client->offers[i].state == OFFER_OPEN &&
            strcmp(client->offers[i].match_key, match_key) == 0)
            client->offers[i].listed = true;
}

/* A match key that is not listed was handed out; after a while its client comes no more. */
static int take_pending(struct tracker_client *client, const uint8_t *json, size_t nbytes,
                        struct vta_error *error)
{
    for (size_t i = 0; i < TRACKER_OFFERS_MAX; i++)
        client->offers[i].listed = client->offers[i].refused = false;
    int rc = tvm_tracker_read_pending(json, nbytes, on_pending, client, error);
    for (size_t i = 0; i < TRACKER_OFFERS_MAX && rc == 0; i++) {
        struct tracker_offer *offer = &client->offers[i];
        offer->missing = offer->listed ? 0 : offer->missing + 1;
        if (offer->state != OFFER_OPEN || offer->missing <= MISSING_MAX)
            continue;
        offer->state = OFFER_WANTED;
        log_info("tracker %s: nobody came for a board that was handed out; it is offered anew",
                 client->tracker);
    }
    return rc;
}

static int take_number(struct tracker_client *client, const uint8_t *json, size_t nbytes,
                       struct vta_error *error)
{
    int number, rc = tvm_tracker_read(&number, json, nbytes, error);
    if (rc == 0 && number != TVM_TRACKER_SUCCESS && client->asked == TVM_TRACKER_PUT) {
        client->put->refused = true; /* it has as many boards as it takes */
        if (client->put->state == OFFER_OPEN)
            client->put->state = OFFER_WANTED;
        return 0;
    }
    if (rc == 0 && number != TVM_TRACKER_SUCCESS)
        return vta_error_set(error, VTA_EPROTO, "the answer to request %d is %d",
                             (int)client->asked, number);
    if (rc == 0 && client->asked == TVM_TRACKER_INFO) {
        log_notice("tracker %s: %" PRIu64 " boards are offered as '%s'", client->tracker,
                   client->boards, client->key);
        client->complained = false;
    }
    return rc;
}

/* ---- What the connection tells --------------------------------------------------------------- */

void tracker_client_connecting(struct tracker_client *client)
{
    enter(client, TRACKER_CONNECTING, config_of(client)->handshake_timeout_ms);
}

void tracker_client_connected(struct tracker_client *client)
{
    uint8_t magic[TVM_TRACKER_HEAD];
    tvm_tracker_magic(magic);
    enter(client, TRACKER_GREETING, config_of(client)->handshake_timeout_ms);
    if (!tracker_link_write(client->link, magic, sizeof magic))
        fail(client, "a message could not be sent");
}

void tracker_client_failed(struct tracker_client *client, const char *reason)
{
    fail(client, reason);
}

/* Takes the magic number; it is another tracker than before, or one that knows nothing any more. */
static int take_magic(struct tracker_client *client, const uint8_t *bytes, size_t nbytes,
                      size_t *used, struct vta_error *error)
{
    if (nbytes < TVM_TRACKER_HEAD)
        return 0;
    if (!tvm_tracker_is_magic(bytes))
        return vta_error_set(error, VTA_EPROTO, "this is no tracker");
    *used = TVM_TRACKER_HEAD;
    withdraw(client);
    client->poll_at = uv_now(client->timer.loop) + config_of(client)->tracker_poll_ms;
    ask(client, TVM_TRACKER_INFO, NULL);
    return 0;
}

static int take_answer(struct tracker_client *client, const uint8_t *bytes, size_t nbytes,
                       size_t *used, struct vta_error *error)
{
    size_t length;
    int rc = tvm_tracker_frame(bytes, nbytes, TVM_TRACKER_ANSWER_MAX, &length, error);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    *used = TVM_TRACKER_HEAD + length;
    rc = client->asked == TVM_TRACKER_PENDING
             ? take_pending(client, bytes + TVM_TRACKER_HEAD, length, error)
             : take_number(client, bytes + TVM_TRACKER_HEAD, length, error);
    if (rc == 0)
        go_on(client);
    return rc;
}

size_t tracker_client_arrived(struct tracker_client *client, const uint8_t *bytes, size_t nbytes)
{
    struct vta_error error = { .insn = -1 };
    size_t used = 0;
    int rc = 0;
    if (client->state == TRACKER_GREETING)
        rc = take_magic(client, bytes, nbytes, &used, &error);
    else if (client->state == TRACKER_ASKING)
        rc = take_answer(client, bytes, nbytes, &used, &error);
    else
        rc = vta_error_set(&error, VTA_EPROTO, "it says something that it was not asked");
    if (rc != 0)
        fail(client, error.message);
    return used;
}

/* ---- Timers --------------------------------------------------------------------------------- */

static void try_now(struct tracker_client *client)
{
    struct address address;
    address_parse(&address, client->tracker, NULL); /* config_check has done so before */
    enter(client, TRACKER_RESOLVING, config_of(client)->handshake_timeout_ms);
    client->link = tracker_link_open(client, &client->server->loop, address.host, address.port);
    if (client->link == NULL)
        fail(client, "no memory or thread for a connection");
}

static void on_timer(uv_timer_t *timer)
{
    struct tracker_client *client = timer->data;
    switch (client->state) {
    case TRACKER_PAUSING:
        try_now(client);
        break;
    case TRACKER_RESOLVING:
        fail(client, "its name is not resolved in time");
        break;
    case TRACKER_CONNECTING:
    case TRACKER_GREETING:
    case TRACKER_ASKING:
        fail(client, "it does not answer in time");
        break;
    case TRACKER_IDLE:
        go_on(client);
        break;
    case TRACKER_OFF:
    case TRACKER_CLOSED:
        break;
    }
}

/* ---- Life ----------------------------------------------------------------------------------- */

static void forget(struct tracker_client *client)
{
    free(client->tracker);
    free(client->key);
    free(client->address);
    client->tracker = client->key = client->address = NULL;
}

static char *copy(const char *text)
{
    return text != NULL ? strdup(text) : NULL;
}

/* Begins with what the configuration says. */
static void start(struct tracker_client *client)
{
    const struct config *config = config_of(client);
    client->tracker = copy(config->tracker);
    client->key = copy(config->tracker_key);
    client->address = copy(config->tracker_address);
    client->boards = config->tracker_boards;
    client->port = listen_port(client->server);
    client->complained = false;
    client->state = TRACKER_OFF;
    if (config->tracker == NULL)
        return;
    if (client->tracker == NULL || client->key == NULL ||
        (client->address == NULL) != (config->tracker_address == NULL))
        log_error("tracker: no memory");
    else if (client->port == 0)
        log_error("tracker: boards that are offered need a TCP address to listen on");
    else
        try_now(client);
}

static void stop(struct tracker_client *client)
{
    uv_timer_stop(&client->timer);
    drop_link(client);
    withdraw(client);
    forget(client);
}

void tracker_client_open(struct tracker_client *client, struct server *server)
{
    client->server = server;
    uv_timer_init(&server->loop, &client->timer);
    client->timer.data = client;
    start(client);
}

static bool same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

void tracker_client_reloaded(struct tracker_client *client)
{
    const struct config *config = config_of(client);
    if (client->state == TRACKER_CLOSED ||
        (same(client->tracker, config->tracker) && same(client->key, config->tracker_key) &&
         same(client->address, config->tracker_address) &&
         client->boards == config->tracker_boards))
        return;
    stop(client);
    start(client);
}

void tracker_client_close(struct tracker_client *client)
{
    if (client->state == TRACKER_CLOSED)
        return;
    stop(client);
    client->state = TRACKER_CLOSED;
    uv_close((uv_handle_t *)&client->timer, NULL);
}

struct tracker_offer *tracker_client_take(struct tracker_client *client,
                                          const struct tvm_handshake *handshake)
{
    struct tracker_offer *taken = NULL;
    for (size_t i = 0; i < TRACKER_OFFERS_MAX; i++)
        if (client->offers[i].state == OFFER_OPEN &&
            tvm_handshake_matches(handshake, client->offers[i].match_key))
            taken = &client->offers[i];
    if (taken != NULL)
        taken->state = OFFER_TAKEN;
    return taken;
}

void tracker_client_give_back(struct tracker_client *client, struct tracker_offer *offer)
{
    if (offer == NULL)
        return;
    offer->state = OFFER_WANTED;
    if (client->state == TRACKER_IDLE)
        go_on(client);
}
