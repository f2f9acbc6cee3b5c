/* listen.c: from an address to a socket that accepts.
 */
#include "listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "address.h"
#include "config.h"
#include "connection.h"
#include "log.h"
#include "notify.h"
#include "server.h"
#include "tracker_server.h"

#define BACKLOG 511

static void release(struct listener *listener)
{
    if (--listener->references == 0)
        free(listener);
}

/* ---- Accepting ----------------------------------------------------------------------------- */

static void accept_one(struct listener *listener);

static void on_spare_closed(uv_handle_t *handle)
{
    struct listener *listener = handle->data;
    bool full = listener->state == LISTENER_FULL;
    if (listener->state != LISTENER_CLOSED)
        listener->state = LISTENER_LISTENING;
    if (full)
        accept_one(listener);
    release(listener);
}

static void close_into_spare(struct listener *listener)
{
    uv_loop_t *loop = listener->uv.handle.loop;
    if (listener->uv.handle.type == UV_TCP)
        uv_tcp_init(loop, &listener->spare.tcp);
    else
        uv_pipe_init(loop, &listener->spare.pipe, 0);
    listener->spare.handle.data = listener;
    listener->references++;
    uv_accept(&listener->uv.stream, &listener->spare.stream);
    uv_close(&listener->spare.handle, on_spare_closed);
}

/* There is no memory for a connection, or no descriptor that it may have. */
static void turn_away(struct listener *listener)
{
    if (listener->state == LISTENER_TURNING_AWAY) {
        listener->state = LISTENER_FULL; /* libuv keeps it, and stops listening meanwhile */
    } else if (listener->state == LISTENER_LISTENING) {
        listener->state = LISTENER_TURNING_AWAY;
        close_into_spare(listener);
    }
}

/* A warning, once a second at most. */
static void complain(struct listener *listener, int rc)
{
    uint64_t now = uv_now(listener->uv.handle.loop);
    if (now < listener->silent_until)
        return;
    listener->silent_until = now + 1000;
    log_warning("accepting failed: %s", uv_strerror(rc));
}

/* The reserve is what keeps libuv from trying to accept for ever where there is no descriptor left:
 * it is given up then, and no connection is kept before it is there again. */
static bool has_reserve(struct listener *listener)
{
    if (listener->reserve < 0)
        listener->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return listener->reserve >= 0;
}

static void give_up_reserve(struct listener *listener)
{
    if (listener->reserve >= 0)
        close(listener->reserve);
    listener->reserve = -1;
}

/* Closing what has descriptors is all that is left where another thread was quicker to take that of
 * the reserve: the newest connection goes. */
static void make_room(struct listener *listener)
{
    struct connection *newest = listener->server->connections;
    while (newest != NULL && newest->state == CONNECTION_CLOSING)
        newest = newest->next;
    if (listener->reserve >= 0)
        give_up_reserve(listener);
    else if (newest != NULL)
        connection_close(newest, "there are no descriptors left");
}

static void accept_one(struct listener *listener)
{
    int rc = has_reserve(listener) ? listener->accept(listener->server, &listener->uv.stream)
                                   : UV_EMFILE;
    if (rc == 0)
        return;
    complain(listener, rc);
    if (rc == UV_ENOMEM || rc == UV_EMFILE)
        turn_away(listener);
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct listener *listener = stream->data;
    if (status == 0) {
        accept_one(listener);
        return;
    }
    complain(listener, status);
    if (status == UV_EMFILE || status == UV_ENFILE)
        make_room(listener);
}

/* ---- Listening ----------------------------------------------------------------------------- */

static void log_listening(const struct listener *listener)
{
    int fd;
    struct sockaddr_storage address = { 0 };
    socklen_t size = sizeof address;
    char text[ADDRESS_TEXT] = "?";
    if (uv_fileno(&listener->uv.handle, &fd) == 0 &&
        getsockname(fd, (struct sockaddr *)&address, &size) == 0)
        address_print((struct sockaddr *)&address, text);
    log_notice("%s %s",
               listener->accept == tracker_server_accept ? "the tracker listens on"
                                                         : "listening on",
               text);
}

/* A listener of a family, in the server's list. */
static struct listener *add(struct server *server, int family, listener_accept *accept,
                            struct vta_error *error)
{
    struct listener *listener = calloc(1, sizeof *listener);
    int rc = UV_ENOMEM;
    if (listener != NULL)
        rc = family == AF_UNIX ? uv_pipe_init(&server->loop, &listener->uv.pipe, 0)
                               : uv_tcp_init(&server->loop, &listener->uv.tcp);
    if (rc != 0) {
        free(listener);
        vta_error_set(error, VTA_ENOMEM, "listen: %s", uv_strerror(rc));
        return NULL;
    }
    listener->uv.handle.data = listener;
    listener->references = 1;
    listener->reserve = -1;
    listener->accept = accept;
    listener->server = server;
    listener->next = server->listeners;
    server->listeners = listener;
    return listener;
}

static int start(struct listener *listener, const char *name, struct vta_error *error)
{
    has_reserve(listener); /* else before the first connection is kept */
    int rc = uv_listen(&listener->uv.stream, BACKLOG, on_connection);
    if (rc != 0)
        return vta_error_set(error, VTA_EIO, "listen: %s: %s", name, uv_strerror(rc));
    log_listening(listener);
    return 0;
}

/* ---- TCP ----------------------------------------------------------------------------------- */

static int listen_tcp(struct server *server, const struct address *address, const char *name,
                      listener_accept *accept, struct vta_error *error)
{
    char port[8];
    snprintf(port, sizeof port, "%u", address->port);
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
    struct addrinfo *found = NULL;
    int rc = getaddrinfo(address->host, port, &hints, &found);
    if (rc != 0)
        return vta_error_set(error, VTA_EIO, "listen: %s: %s", name, gai_strerror(rc));

    struct listener *listener = add(server, found->ai_family, accept, error);
    if (listener == NULL) {
        freeaddrinfo(found);
        return VTA_ENOMEM;
    }
    /* [::] means IPv6 alone, so that it and 0.0.0.0 can stand side by side on one port. */
    rc = uv_tcp_bind(&listener->uv.tcp, found->ai_addr,
                     found->ai_family == AF_INET6 ? UV_TCP_IPV6ONLY : 0);
    freeaddrinfo(found);
    if (rc != 0)
        return vta_error_set(error, VTA_EIO, "listen: %s: %s", name, uv_strerror(rc));
    return start(listener, name, error);
}

/* ---- Unix sockets -------------------------------------------------------------------------- */

/* Removes a socket's file if nobody listens there. */
static int remove_stale(const char *path, const char *name, struct vta_error *error)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return 0; /* bind says what is wrong, if anything */
    if (!S_ISSOCK(st.st_mode))
        return vta_error_set(error, VTA_EEXIST, "listen: %s: a file that is not a socket is there",
                             name);

    struct sockaddr_un un = { .sun_family = AF_UNIX };
    snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return vta_error_set(error, VTA_EIO, "listen: %s: %s", name, strerror(errno));
    bool stale = connect(fd, (struct sockaddr *)&un, sizeof un) != 0 && errno == ECONNREFUSED;
    close(fd);
    if (!stale)
        return vta_error_set(error, VTA_EEXIST, "listen: %s: another process listens there", name);
    if (unlink(path) != 0)
        return vta_error_set(error, VTA_EIO, "listen: %s: %s", name, strerror(errno));
    return 0;
}

static int listen_unix(struct server *server, const struct address *address, const char *name,
                       struct vta_error *error)
{
    int rc = remove_stale(address->path, name, error);
    if (rc != 0)
        return rc;
    struct listener *listener = add(server, AF_UNIX, connection_accept, error);
    if (listener == NULL)
        return VTA_ENOMEM;
    rc = uv_pipe_bind(&listener->uv.pipe, address->path);
    if (rc != 0)
        return vta_error_set(error, VTA_EIO, "listen: %s: %s", name, uv_strerror(rc));
    return start(listener, name, error);
}

/* ---- Passed sockets ------------------------------------------------------------------------ */

static int listen_passed(struct server *server, int fd, struct vta_error *error)
{
    char name[32];
    snprintf(name, sizeof name, "descriptor %d", fd);
    struct sockaddr_storage address = { 0 };
    socklen_t size = sizeof address;
    int accepts = 0;
    socklen_t accepts_size = sizeof accepts;
    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &accepts_size) != 0)
        return vta_error_set(error, VTA_EIO, "listen: %s was passed, but is no socket: %s", name,
                             strerror(errno));
    int family = address.ss_family;
    if (!accepts || (family != AF_INET && family != AF_INET6 && family != AF_UNIX))
        return vta_error_set(error, VTA_EUNSUPPORTED,
                             "listen: %s was passed, but is no listening TCP or Unix socket "
                             "(a .socket unit needs Accept=no)",
                             name);
    struct listener *listener = add(server, family, connection_accept, error);
    if (listener == NULL)
        return VTA_ENOMEM;
    int rc = family == AF_UNIX ? uv_pipe_open(&listener->uv.pipe, fd)
                               : uv_tcp_open(&listener->uv.tcp, fd);
    if (rc != 0)
        return vta_error_set(error, VTA_EIO, "listen: %s: %s", name, uv_strerror(rc));
    return start(listener, name, error);
}

/* ---- All ----------------------------------------------------------------------------------- */

static int listen_one(struct server *server, const char *name, struct vta_error *error)
{
    struct address address;
    int rc = address_parse(&address, name, error);
    if (rc != 0)
        return rc;
    return address.local ? listen_unix(server, &address, name, error)
                         : listen_tcp(server, &address, name, connection_accept, error);
}

int listen_all(struct server *server, const struct config_list *addresses, struct vta_error *error)
{
    int first, rc = 0;
    int passed = notify_listen_fds(&first);
    if (passed < 0)
        return vta_error_set(error, VTA_EIO, "socket activation: %s", strerror(-passed));
    for (int i = 0; i < passed && rc == 0; i++)
        rc = listen_passed(server, first + i, error);
    for (size_t i = 0; passed == 0 && i < addresses->count && rc == 0; i++)
        rc = listen_one(server, addresses->items[i], error);
    if (rc == 0 && server->listeners == NULL)
        rc = vta_error_set(error, VTA_ECONFIG, "listen: no address to listen on");
    return rc;
}

int listen_tracker(struct server *server, const char *name, struct vta_error *error)
{
    struct address address;
    int rc = address_parse(&address, name, error);
    return rc != 0 ? rc : listen_tcp(server, &address, name, tracker_server_accept, error);
}

uint16_t listen_port(const struct server *server)
{
    uint16_t port = 0; /* of the oldest listener, which is the last in the list */
    for (const struct listener *each = server->listeners; each != NULL; each = each->next) {
        struct sockaddr_storage address = { 0 };
        int size = sizeof address;
        if (each->accept == tracker_server_accept || each->uv.handle.type != UV_TCP ||
            uv_tcp_getsockname(&each->uv.tcp, (struct sockaddr *)&address, &size) != 0)
            continue;
        port = ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                                   : ((struct sockaddr_in *)&address)->sin_port);
    }
    return port;
}

static void on_closed(uv_handle_t *handle)
{
    release(handle->data);
}

void listen_close(struct server *server)
{
    while (server->listeners != NULL) {
        struct listener *listener = server->listeners;
        server->listeners = listener->next;
        listener->state = LISTENER_CLOSED;
        give_up_reserve(listener);
        uv_close(&listener->uv.handle, on_closed);
    }
}
