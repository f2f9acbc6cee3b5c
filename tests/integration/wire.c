/* wire.c: blocking sockets and msgpack-c.
 */
#include "wire.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon.h"
#include "proto/rpc.h"

/* ---- Connections --------------------------------------------------------------------------- */

static void open_socket(struct wire *wire, const void *address, socklen_t size)
{
    int family = ((const struct sockaddr *)address)->sa_family, on = 1;
    struct timeval patience = { .tv_sec = WAIT_MS / 1000 };
    *wire = (struct wire){ .fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    cr_assert_geq(wire->fd, 0);
    cr_assert_eq(connect(wire->fd, address, size), 0, "connect: %s", strerror(errno));
    setsockopt(wire->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(wire->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (family != AF_UNIX)
        setsockopt(wire->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    cr_assert(msgpack_unpacker_init(&wire->unpacker, MSGPACK_UNPACKER_INIT_BUFFER_SIZE));
    msgpack_unpacked_init(&wire->message);
}

void wire_connect(struct wire *wire, int port)
{
    struct sockaddr_in in = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    open_socket(wire, &in, sizeof in);
}

void wire_connect6(struct wire *wire, int port)
{
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
                                .sin6_port = htons((uint16_t)port),
                                .sin6_addr = in6addr_loopback };
    open_socket(wire, &in6, sizeof in6);
}

void wire_connect_unix(struct wire *wire, const char *path)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
    open_socket(wire, &un, sizeof un);
}

void wire_close(struct wire *wire)
{
    if (wire->fd < 0)
        return;
    close(wire->fd);
    wire->fd = -1;
    msgpack_unpacked_destroy(&wire->message);
    msgpack_unpacker_destroy(&wire->unpacker);
}

/* ---- Sending ------------------------------------------------------------------------------- */

void wire_send(struct wire *wire, const void *bytes, size_t nbytes)
{
    const char *at = bytes;
    while (nbytes > 0) {
        ssize_t n = send(wire->fd, at, nbytes, MSG_NOSIGNAL);
        cr_assert_gt(n, 0, "send: %s", strerror(errno));
        at += n;
        nbytes -= (size_t)n;
    }
}

static void pack_param(msgpack_packer *packer, char type, va_list *args)
{
    switch (type) {
    case 's':
        vta_pack_str(packer, va_arg(*args, const char *));
        break;
    case 'u':
        msgpack_pack_uint64(packer, va_arg(*args, uint64_t));
        break;
    case 't':
        va_arg(*args, int) ? msgpack_pack_true(packer) : msgpack_pack_false(packer);
        break;
    case 'n':
        msgpack_pack_nil(packer);
        break;
    case 'b': {
        const void *bytes = va_arg(*args, const void *);
        size_t nbytes = va_arg(*args, size_t);
        msgpack_pack_bin(packer, nbytes);
        msgpack_pack_bin_body(packer, bytes, nbytes);
        break;
    }
    case 'h': {
        const uint64_t *handles = va_arg(*args, const uint64_t *);
        size_t count = va_arg(*args, size_t);
        msgpack_pack_array(packer, count);
        for (size_t i = 0; i < count; i++)
            msgpack_pack_uint64(packer, handles[i]);
        break;
    }
    case 'o':
    case 'O':
        msgpack_pack_map(packer, 1);
        vta_pack_str(packer, va_arg(*args, const char *));
        pack_param(packer, type == 'o' ? 'u' : 't', args);
        break;
    default:
        cr_assert_fail("no such format: %c", type);
    }
}

static void pack(msgpack_sbuffer *buffer, uint32_t msgid, const char *method, const char *format,
                 va_list *args)
{
    msgpack_packer packer;
    msgpack_packer_init(&packer, buffer, msgpack_sbuffer_write);
    vta_rpc_pack_request(&packer, msgid, method, (uint32_t)strlen(format));
    for (; *format != '\0'; format++)
        pack_param(&packer, *format, args);
}

void wire_pack(msgpack_sbuffer *buffer, uint32_t msgid, const char *method, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    pack(buffer, msgid, method, format, &args);
    va_end(args);
}

static uint32_t request(struct wire *wire, const char *method, const char *format, va_list *args)
{
    msgpack_sbuffer buffer;
    msgpack_sbuffer_init(&buffer);
    pack(&buffer, ++wire->last_msgid, method, format, args);
    wire_send(wire, buffer.data, buffer.size);
    msgpack_sbuffer_destroy(&buffer);
    return wire->last_msgid;
}

uint32_t wire_request(struct wire *wire, const char *method, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    uint32_t msgid = request(wire, method, format, &args);
    va_end(args);
    return msgid;
}

void wire_notify(struct wire *wire, const char *method)
{
    msgpack_sbuffer buffer;
    msgpack_packer packer;
    msgpack_sbuffer_init(&buffer);
    msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
    vta_rpc_pack_notify(&packer, method, 0);
    wire_send(wire, buffer.data, buffer.size);
    msgpack_sbuffer_destroy(&buffer);
}

/* ---- Receiving ----------------------------------------------------------------------------- */

bool wire_read(struct wire *wire)
{
    msgpack_unpack_return rc;
    while ((rc = msgpack_unpacker_next(&wire->unpacker, &wire->message)) ==
           MSGPACK_UNPACK_CONTINUE) {
        cr_assert(msgpack_unpacker_reserve_buffer(&wire->unpacker, 65536));
        ssize_t n = recv(wire->fd, msgpack_unpacker_buffer(&wire->unpacker), 65536, 0);
        cr_assert(n >= 0 || errno == ECONNRESET, "no answer: %s", strerror(errno));
        if (n <= 0)
            return false;
        msgpack_unpacker_buffer_consumed(&wire->unpacker, (size_t)n);
    }
    cr_assert_eq(rc, MSGPACK_UNPACK_SUCCESS);
    const msgpack_object *object = &wire->message.data;
    cr_assert(object->type == MSGPACK_OBJECT_ARRAY && object->via.array.size == 4);
    cr_assert_eq(wire_uint(&object->via.array.ptr[0]), VTA_RPC_RESPONSE);
    wire->msgid = (uint32_t)wire_uint(&object->via.array.ptr[1]);
    wire->error = object->via.array.ptr[2];
    wire->result = object->via.array.ptr[3];
    return true;
}

void wire_expect(struct wire *wire, uint32_t msgid, const char *code)
{
    cr_assert(wire_read(wire), "the connection has ended before the answer to %u", msgid);
    cr_assert_eq(wire->msgid, msgid, "an answer to %u, not to %u", wire->msgid, msgid);
    struct vta_error error = { 0 };
    const char *got =
        vta_rpc_unpack_error(&wire->error, &error) != 0 ? vta_error_name(error.code) : NULL;
    if (code == NULL)
        cr_assert_null(got, "request %u failed: %s: %s", msgid, got, error.message);
    else
        cr_assert(got != NULL && strcmp(got, code) == 0, "request %u: expected %s, got %s: %s",
                  msgid, code, got != NULL ? got : "success", error.message);
}

void wire_expect_end(struct wire *wire)
{
    cr_assert(!wire_read(wire), "an answer to %u, where the connection should end", wire->msgid);
}

const msgpack_object *wire_call(struct wire *wire, const char *code, const char *method,
                                const char *format, ...)
{
    va_list args;
    va_start(args, format);
    uint32_t msgid = request(wire, method, format, &args);
    va_end(args);
    wire_expect(wire, msgid, code);
    return &wire->result;
}

/* ---- Values -------------------------------------------------------------------------------- */

uint64_t wire_uint(const msgpack_object *object)
{
    cr_assert_eq(object->type, MSGPACK_OBJECT_POSITIVE_INTEGER);
    return object->via.u64;
}

bool wire_bool(const msgpack_object *object)
{
    cr_assert_eq(object->type, MSGPACK_OBJECT_BOOLEAN);
    return object->via.boolean;
}

const msgpack_object *wire_get(const msgpack_object *map, const char *key)
{
    const msgpack_object *value = vta_map_get(map, key);
    cr_assert_not_null(value, "no key '%s'", key);
    return value;
}

bool wire_is_text(const msgpack_object *object, const char *text)
{
    return object->type == MSGPACK_OBJECT_STR && object->via.str.size == strlen(text) &&
           memcmp(object->via.str.ptr, text, strlen(text)) == 0;
}

bool wire_says(const struct wire *wire, const char *text)
{
    struct vta_error error = { 0 };
    vta_rpc_unpack_error(&wire->error, &error);
    return strstr(error.message, text) != NULL;
}

struct vta_counters wire_counters(const msgpack_object *map)
{
    struct vta_counters counters;
    struct vta_error error;
    cr_assert_eq(vta_get_counter_map(map, &counters, "counters", &error), 0, "%s", error.message);
    return counters;
}
