/* tracker_link.c: from a tracker's name to bytes that arrive.
 */
#include "tracker_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/tvm_tracker.h"

#define KEEPALIVE_S 60

/* At any time the resolver, the handle or its closing holds the link. */
struct tracker_link {
    struct tracker_client *client; /* NULL: dropped */
    uv_loop_t *loop;
    uv_getaddrinfo_t resolver;
    struct addrinfo *found;      /* owned by libuv */
    const struct addrinfo *next; /* to be tried */
    int error;                   /* of the address before that */
    bool resolving;
    uv_tcp_t tcp;
    uv_connect_t connect;
    size_t nbytes; /* that have arrived and are not taken */
    uint8_t bytes[TVM_TRACKER_HEAD + TVM_TRACKER_ANSWER_MAX];
};

static void free_link(struct tracker_link *link)
{
    uv_freeaddrinfo(link->found);
    free(link);
}

/* ---- Bytes ---------------------------------------------------------------------------------- */

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct tracker_link *link = handle->data;
    (void)suggested;
    *buffer = uv_buf_init((char *)link->bytes + link->nbytes,
                          (unsigned)(sizeof link->bytes - link->nbytes));
}

static void on_bytes(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buffer)
{
    struct tracker_link *link = stream->data;
    size_t used;
    (void)buffer;
    if (link->client == NULL)
        return;
    if (nread < 0) {
        tracker_client_failed(link->client, nread == UV_EOF ? "it has closed the connection"
                                                            : uv_strerror((int)nread));
        return;
    }
    link->nbytes += (size_t)nread;
    while (link->client != NULL && link->nbytes > 0 &&
           (used = tracker_client_arrived(link->client, link->bytes, link->nbytes)) > 0) {
        link->nbytes -= used;
        memmove(link->bytes, link->bytes + used, link->nbytes);
    }
}

bool tracker_link_write(struct tracker_link *link, const void *bytes, size_t nbytes)
{
    uv_buf_t buffer = uv_buf_init((char *)bytes, (unsigned)nbytes);
    return uv_try_write((uv_stream_t *)&link->tcp, &buffer, 1) == (int)nbytes;
}

/* ---- Connecting ----------------------------------------------------------------------------- */

static void try_next(struct tracker_link *link);

static void on_closed(uv_handle_t *handle)
{
    struct tracker_link *link = handle->data;
    if (link->client == NULL)
        free_link(link);
    else
        try_next(link);
}

static void on_connected(uv_connect_t *request, int status)
{
    struct tracker_link *link = request->data;
    if (link->client == NULL)
        return;
    if (status == 0)
        status = uv_read_start((uv_stream_t *)&link->tcp, on_room, on_bytes);
    if (status == 0) {
        uv_tcp_nodelay(&link->tcp, 1);
        uv_tcp_keepalive(&link->tcp, 1, KEEPALIVE_S);
        tracker_client_connected(link->client);
        return;
    }
    link->error = status;
    uv_close((uv_handle_t *)&link->tcp, on_closed);
}

/* Holds no handle when it is called. */
static void try_next(struct tracker_link *link)
{
    const struct addrinfo *address = link->next;
    struct tracker_client *client = link->client;
    if (address == NULL || uv_tcp_init(link->loop, &link->tcp) != 0) {
        link->client = NULL; /* so that failing does not drop what is freed here */
        tracker_client_failed(client, uv_strerror(link->error));
        free_link(link);
        return;
    }
    link->next = address->ai_next;
    link->tcp.data = link;
    link->connect.data = link;
    tracker_client_connecting(client);
    int rc = uv_tcp_connect(&link->connect, &link->tcp, address->ai_addr, on_connected);
    if (rc != 0) {
        link->error = rc;
        uv_close((uv_handle_t *)&link->tcp, on_closed);
    }
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct tracker_link *link = request->data;
    link->resolving = false;
    link->found = found;
    link->next = found;
    link->error = status != 0 ? status : UV_EADDRNOTAVAIL;
    if (link->client == NULL)
        free_link(link);
    else
        try_next(link);
}

/* ---- Life ----------------------------------------------------------------------------------- */

struct tracker_link *tracker_link_open(struct tracker_client *client, uv_loop_t *loop,
                                       const char *host, uint16_t port)
{
    char service[8];
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct tracker_link *link = calloc(1, sizeof *link);
    if (link == NULL)
        return NULL;
    snprintf(service, sizeof service, "%u", port);
    link->client = client;
    link->loop = loop;
    link->resolver.data = link;
    link->resolving = true;
    if (uv_getaddrinfo(loop, &link->resolver, on_resolved, host, service, &hints) == 0)
        return link;
    free(link);
    return NULL;
}

void tracker_link_drop(struct tracker_link *link)
{
    if (link->client == NULL) /* is being freed */
        return;
    link->client = NULL;
    if (link->resolving)
        uv_cancel((uv_req_t *)&link->resolver);
    else if (!uv_is_closing((uv_handle_t *)&link->tcp))
        uv_close((uv_handle_t *)&link->tcp, on_closed);
}
