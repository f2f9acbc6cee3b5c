/* server.c: starting, reloading, stopping.
 */
#include "server.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "connection.h"
#include "log.h"
#include "native.h"
#include "notify.h"

#define DESCRIPTORS_MORE 64 /* what the daemon itself needs besides one or two per session */
#define CONNECTIONS_MIN  4  /* whatever the limit of descriptors */
#define ZONE_BYTES       8192
#define LAST_ANSWERS_MS  2500 /* after the grace time, for cancelled runs' answers to go out */

static const int signal_numbers[] = { SIGTERM, SIGINT, SIGHUP };

/* ---- Connections --------------------------------------------------------------------------- */

void server_add(struct server *server, struct connection *connection)
{
    connection->id = ++server->last_id;
    connection->previous = NULL;
    connection->next = server->connections;
    if (server->connections != NULL)
        server->connections->previous = connection;
    server->connections = connection;
    server->connection_count++;
}

void server_remove(struct server *server, struct connection *connection)
{
    if (connection->previous != NULL)
        connection->previous->next = connection->next;
    else
        server->connections = connection->next;
    if (connection->next != NULL)
        connection->next->previous = connection->previous;
    server->connection_count--;
}

/* ---- Stopping ------------------------------------------------------------------------------ */

/* Nothing is left: closes what keeps the loop alive. Another signal to stop would only keep the
 * process from tidying up, in whichever thread it came. */
static void close_handles(struct server *server)
{
    for (size_t i = 0; i < sizeof server->signals / sizeof server->signals[0]; i++)
        if (!uv_is_closing((uv_handle_t *)&server->signals[i]))
            uv_close((uv_handle_t *)&server->signals[i], NULL);
    for (size_t i = 0; i < sizeof signal_numbers / sizeof signal_numbers[0]; i++)
        signal(signal_numbers[i], SIG_IGN);
    if (!uv_is_closing((uv_handle_t *)&server->watchdog))
        uv_close((uv_handle_t *)&server->watchdog, NULL);
    if (!uv_is_closing((uv_handle_t *)&server->grace))
        uv_close((uv_handle_t *)&server->grace, NULL);
    busy_poll_close(&server->busy_poll);
    template_close(&server->template);
}

void server_something_gone(struct server *server)
{
    if (server->state != SERVER_RUNNING && server->connections == NULL &&
        template_is_over(&server->template))
        close_handles(server);
}

/* Connections leave the list only from the loop, so that walking it while they close is safe. */
static void close_all(struct server *server)
{
    server->state = SERVER_STOPPED;
    for (struct connection *each = server->connections; each != NULL; each = each->next)
        connection_close(each, "the server stops");
    template_kill(&server->template);
}

static void on_grace(uv_timer_t *timer);

static void cancel_all(struct server *server)
{
    server->state = SERVER_CANCELLING;
    log_notice("stopping: the grace time is over, runs are cancelled");
    for (struct connection *each = server->connections; each != NULL; each = each->next)
        if (each->native == NULL || !native_stop(each->native, VTA_ECANCELLED))
            connection_close(each, "the server stops"); /* its peer does not read */
    template_kill(&server->template);
    uv_timer_start(&server->grace, on_grace, LAST_ANSWERS_MS, 0);
}

static void on_grace(uv_timer_t *timer)
{
    struct server *server = timer->data;
    if (server->state == SERVER_STOPPING)
        cancel_all(server);
    else
        close_all(server);
}

void server_stop(struct server *server)
{
    if (server->state != SERVER_RUNNING)
        return;
    server->state = SERVER_STOPPING;
    notify_stopping();
    log_notice("stopping: %llu connections, %llu ms for runs to finish",
               (unsigned long long)server->connection_count,
               (unsigned long long)server->config.grace_ms);
    listen_close(server);
    tracker_client_close(&server->tracker_client);
    tracker_server_close(server);
    for (struct connection *each = server->connections; each != NULL; each = each->next)
        connection_drain(each);
    template_drain(&server->template);
    uv_timer_start(&server->grace, on_grace, server->config.grace_ms, 0);
    server_something_gone(server);
}

/* ---- Descriptors --------------------------------------------------------------------------- */

/* A connection has a descriptor, and another one while it is not read from; one that has had its
 * last word only the first. A TVM session has its worker's channel and its client's socket. A
 * tracker's connections are as any others. */
static void raise_descriptor_limit(struct server *server)
{
    const struct config *config = &server->config;
    struct rlimit limit;
    uint64_t workers = config->tvm == TVM_ON ? config->max_tvm_sessions : 0;
    uint64_t tracked = config->serve_tracker != NULL ? config->max_tracker_connections : 0;
    uint64_t others = DESCRIPTORS_MORE + 2 * workers + 2 * tracked;
    uint64_t need = others + 3 * config->max_sessions;
    server->connections_fit = UINT64_MAX;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= need)
        return;
    limit.rlim_cur = need < limit.rlim_max ? need : limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= need)
        return;
    server->connections_fit = CONNECTIONS_MIN;
    if (limit.rlim_cur > others + 2 * CONNECTIONS_MIN)
        server->connections_fit = (limit.rlim_cur - others) / 2;
    log_warning("max_sessions %llu and max_tvm_sessions %llu may need %llu descriptors; this "
                "process may open %llu, so that more than %llu connections are closed at once",
                (unsigned long long)config->max_sessions,
                (unsigned long long)config->max_tvm_sessions, (unsigned long long)need,
                (unsigned long long)limit.rlim_cur, (unsigned long long)server->connections_fit);
}

/* ---- Reloading ----------------------------------------------------------------------------- */

static void log_change(const struct config_key *key)
{
    switch (key->reload) {
    case RELOAD_NOW:
        log_notice("reload: %s has changed", key->name);
        break;
    case RELOAD_SESSIONS:
        log_notice("reload: %s has changed, for new sessions", key->name);
        break;
    case RELOAD_RESTART:
        log_warning("reload: %s has changed, which needs a restart", key->name);
        break;
    }
}

static void reload(struct server *server)
{
    struct config fresh;
    struct vta_error error;
    notify_reloading();
    if (config_load(&fresh, server->source, &error) != 0) {
        log_error("reload: %s; the configuration stays as it was", error.message);
    } else {
        config_reload(&server->config, &fresh, log_change);
        raise_descriptor_limit(server);
        log_set_level((enum log_level)server->config.log_level);
        for (struct connection *each = server->connections; each != NULL; each = each->next)
            connection_reloaded(each);
        template_reloaded(&server->template);
        tracker_client_reloaded(&server->tracker_client);
        log_notice("reload: done");
    }
    config_clear(&fresh);
    notify_ready();
}

/* ---- Signals and the watchdog -------------------------------------------------------------- */

static void on_signal(uv_signal_t *handle, int number)
{
    struct server *server = handle->data;
    if (number == SIGHUP) {
        if (server->state == SERVER_RUNNING)
            reload(server);
    } else if (server->state == SERVER_RUNNING) {
        server_stop(server);
    } else {
        log_notice("stopping: at once");
        close_all(server);
    }
}

static void on_watchdog(uv_timer_t *timer)
{
    (void)timer;
    notify_watchdog();
}

static int start_handles(struct server *server, struct vta_error *error)
{
    int rc = 0;
    uv_timer_init(&server->loop, &server->watchdog);
    uv_timer_init(&server->loop, &server->grace);
    busy_poll_open(&server->busy_poll, &server->loop);
    server->grace.data = server;
    for (size_t i = 0; i < sizeof server->signals / sizeof server->signals[0]; i++) {
        uv_signal_init(&server->loop, &server->signals[i]);
        server->signals[i].data = server;
    }
    for (size_t i = 0; i < sizeof server->signals / sizeof server->signals[0] && rc == 0; i++)
        rc = uv_signal_start(&server->signals[i], on_signal, signal_numbers[i]);
    if (rc != 0)
        return vta_error_set(error, VTA_EIO, "signals: %s", uv_strerror(rc));

    uint64_t period = notify_watchdog_ms() / 2;
    if (period > 0)
        uv_timer_start(&server->watchdog, on_watchdog, 0, period);
    return 0;
}

/* ---- Life ---------------------------------------------------------------------------------- */

void server_clear(struct server *server)
{
    uv_loop_close(&server->loop);
    template_clear(&server->template);
    inbox_pool_clear(&server->buffers);
    msgpack_zone_destroy(&server->zone);
    vta_reply_clear(&server->reply);
    config_clear(&server->config);
}

int server_start(struct server *server, struct config *config, const struct config_source *source,
                 struct vta_error *error)
{
    memset(server, 0, sizeof *server);
    server->config = *config;
    *config = (struct config){ 0 };
    server->source = source;
    vta_reply_init(&server->reply);
    int rc = uv_loop_init(&server->loop);
    if (rc != 0) {
        config_clear(&server->config);
        return vta_error_set(error, VTA_EIO, "event loop: %s", uv_strerror(rc));
    }

    if (!msgpack_zone_init(&server->zone, ZONE_BYTES) || inbox_pool_init(&server->buffers) != 0)
        rc = vta_error_set(error, VTA_ENOMEM, "no memory to start");
    raise_descriptor_limit(server);
    int started = start_handles(server, rc == 0 ? error : NULL);
    if (rc == 0)
        rc = started;
    if (rc == 0 && server->config.store != NULL)
        rc = vta_service_store_prepare(server->config.store, error);
    if (rc == 0)
        rc = listen_all(server, &server->config.listen, error);
    if (rc == 0 && server->config.serve_tracker != NULL)
        rc = listen_tracker(server, server->config.serve_tracker, error);
    if (rc == 0) {
        template_open(&server->template, server);
        tracker_client_open(&server->tracker_client, server);
        return 0;
    }

    listen_close(server);
    close_handles(server);
    uv_run(&server->loop, UV_RUN_DEFAULT);
    server_clear(server);
    return rc;
}
