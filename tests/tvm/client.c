/* client.c: bytes by hand, as TVM's protocol has them.
 */
#include "client.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define WAIT_S 60

enum {
    INIT_SERVER = 2,
    CALL = 3,
    RETURN = 4,
    EXCEPTION = 5,
    COPY_FROM = 6,
    COPY_TO = 7,
    COPY_ACK = 8,
    GET_FUNCTION = 9,
    ALLOC_SCOPED = 17
};

enum {
    T_INT = 0,
    T_FLOAT = 2,
    T_OPAQUE = 3,
    T_NULL = 4,
    T_TENSOR = 7,
    T_MODULE = 9,
    T_STRING = 11,
    T_BYTES = 12
};

/* ---- Bytes --------------------------------------------------------------------------------- */

FILE *client_record;

void client_connect(struct client *client, int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct timeval wait = { .tv_sec = WAIT_S };
    int one = 1;
    *client = (struct client){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    cr_assert_geq(client->fd, 0);
    cr_assert_eq(connect(client->fd, (struct sockaddr *)&address, sizeof address), 0, "%s",
                 strerror(errno));
    setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

void client_close(struct client *client)
{
    if (client->fd > 0)
        close(client->fd);
    client->fd = -1;
}

void client_send(struct client *client, const void *bytes, size_t nbytes)
{
    if (client_record != NULL)
        fwrite(bytes, 1, nbytes, client_record);
    for (size_t done = 0; done < nbytes;) {
        ssize_t n = send(client->fd, (const char *)bytes + done, nbytes - done, MSG_NOSIGNAL);
        if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) {
            client->ended = true;
            return;
        }
        cr_assert_gt(n, 0, "sending: %s", strerror(errno));
        done += (size_t)n;
    }
}

bool client_read(struct client *client, void *bytes, size_t nbytes)
{
    for (size_t done = 0; done < nbytes;) {
        ssize_t n = recv(client->fd, (char *)bytes + done, nbytes - done, 0);
        if (n == 0 || (n < 0 && errno == ECONNRESET)) {
            client->ended = true;
            return false;
        }
        cr_assert_gt(n, 0, "the server was silent for %d s", WAIT_S);
        done += (size_t)n;
    }
    return true;
}

void client_expect_end(struct client *client)
{
    char byte;
    cr_assert_not(client_read(client, &byte, 1), "the server said more: byte 0x%02x", byte);
}

/* ---- Handshake ----------------------------------------------------------------------------- */

static void put(uint8_t *at, uint64_t value, int nbytes)
{
    for (int i = 0; i < nbytes; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t get(const uint8_t *at, int nbytes)
{
    uint64_t value = 0;
    for (int i = 0; i < nbytes; i++)
        value |= (uint64_t)at[i] << 8 * i;
    return value;
}

size_t greeting(uint8_t *out, const char *text)
{
    size_t length = strlen(text);
    put(out, MAGIC, 4);
    put(out + 4, length, 4);
    memcpy(out + 8, text, length);
    return 8 + length;
}

uint32_t client_greet(struct client *client, int port, const char *text)
{
    uint8_t bytes[2048];
    client_connect(client, port);
    client_send(client, bytes, greeting(bytes, text));
    if (!client_read(client, bytes, 4))
        return 0;
    uint32_t code = (uint32_t)get(bytes, 4);
    if (code == MAGIC) {
        cr_assert(client_read(client, bytes, 4));
        size_t length = get(bytes, 4);
        cr_assert_lt(length, sizeof bytes);
        cr_assert(client_read(client, bytes, length));
        cr_assert(length >= 7 && memcmp(bytes, "server:", 7) == 0);
    }
    return code;
}

void client_open(struct client *client, int port)
{
    struct packet packet;
    cr_assert_eq(client_greet(client, port, "client:"), MAGIC);
    packet_init_server(&packet);
    packet_send(client, &packet);
    struct answer answer = client_answer(client, 0);
    cr_assert_eq(answer.packet, RETURN);
    cr_assert_eq(answer.code, T_NULL);
}

/* ---- Packets ------------------------------------------------------------------------------- */

static void packet_put(struct packet *packet, const void *bytes, size_t nbytes)
{
    cr_assert_leq(packet->size + nbytes, sizeof packet->bytes);
    memcpy(packet->bytes + packet->size, bytes, nbytes);
    packet->size += nbytes;
}

void packet_u32(struct packet *packet, uint32_t value)
{
    uint8_t bytes[4];
    put(bytes, value, 4);
    packet_put(packet, bytes, 4);
}

void packet_u64(struct packet *packet, uint64_t value)
{
    uint8_t bytes[8];
    put(bytes, value, 8);
    packet_put(packet, bytes, 8);
}

void packet_begin(struct packet *packet, uint32_t code)
{
    packet->size = 0;
    packet_u64(packet, 0); /* its length, at last */
    packet_u32(packet, code);
}

static void packet_text(struct packet *packet, const char *text)
{
    packet_u64(packet, strlen(text));
    packet_put(packet, text, strlen(text));
}

static void packet_tensor(struct packet *packet, const struct tensor *tensor)
{
    packet_u64(packet, tensor->data);
    packet_u32(packet, (uint32_t)tensor->device);
    packet_u32(packet, 0);
    packet_u32(packet, (uint32_t)tensor->ndim);
    packet_u32(packet, (uint32_t)tensor->bits << 8 | 1u << 16); /* code 0, bits, 1 lane */
    for (int32_t i = 0; i < tensor->ndim; i++)
        packet_u64(packet, (uint64_t)tensor->shape[i]);
    packet_u64(packet, 0);
}

static int32_t code_of(char letter)
{
    switch (letter) {
    case 'i':
        return T_INT;
    case 'f':
        return T_FLOAT;
    case 's':
        return T_STRING;
    case 'p':
        return T_OPAQUE;
    case 'm':
        return T_MODULE;
    case 't':
        return T_TENSOR;
    default:
        return T_NULL;
    }
}

static void values(struct packet *packet, const char *letters, va_list list)
{
    packet_u32(packet, (uint32_t)strlen(letters));
    for (const char *each = letters; *each != '\0'; each++)
        packet_u32(packet, (uint32_t)code_of(*each));
    for (const char *each = letters; *each != '\0'; each++) {
        double number;
        uint64_t bits;
        switch (*each) {
        case 'i':
        case 'p':
        case 'm':
            packet_u64(packet, va_arg(list, uint64_t));
            break;
        case 'f':
            number = va_arg(list, double);
            memcpy(&bits, &number, sizeof bits);
            packet_u64(packet, bits);
            break;
        case 's':
            packet_text(packet, va_arg(list, const char *));
            break;
        case 't':
            packet_tensor(packet, va_arg(list, const struct tensor *));
            break;
        default:
            break;
        }
    }
}

void packet_values(struct packet *packet, const char *letters, ...)
{
    va_list list;
    va_start(list, letters);
    values(packet, letters, list);
    va_end(list);
}

void packet_send(struct client *client, struct packet *packet)
{
    put(packet->bytes, packet->size - 8, 8);
    client_send(client, packet->bytes, packet->size);
}

void packet_init_server(struct packet *packet)
{
    packet_begin(packet, INIT_SERVER);
    packet_text(packet, "0.8.0");
    packet_values(packet, "");
}

/* ---- Answers ------------------------------------------------------------------------------- */

static uint8_t *received; /* the last packet's body, and a 0 */
static size_t received_bytes;

static uint64_t take(size_t *at, int nbytes)
{
    cr_assert_leq(*at + (size_t)nbytes, received_bytes);
    uint64_t value = get(received + *at, nbytes);
    *at += (size_t)nbytes;
    return value;
}

/* The value at *at; moves behind it. */
static void take_value(struct answer *answer, size_t *at)
{
    answer->text = NULL;
    answer->number = 0;
    switch (answer->code) {
    case T_NULL:
        break;
    case T_STRING:
    case T_BYTES:
        answer->nbytes = take(at, 8);
        cr_assert_leq(*at + answer->nbytes, received_bytes);
        answer->text = (const char *)received + *at;
        *at += answer->nbytes;
        if (*at == received_bytes) /* else a value follows, whose bytes end the text */
            received[*at] = '\0';
        break;
    default:
        answer->number = take(at, 8);
        break;
    }
}

struct answer client_answer(struct client *client, unsigned value)
{
    struct answer answer = { 0 };
    uint8_t head[8];
    if (!client_read(client, head, 8))
        return answer;
    received_bytes = get(head, 8);
    received = realloc(received, received_bytes + 1);
    cr_assert_not_null(received);
    if (!client_read(client, received, received_bytes))
        return answer;
    size_t at = 0;
    answer.packet = (uint32_t)take(&at, 4);
    if (answer.packet == COPY_ACK) {
        answer.text = (const char *)received + at;
        answer.nbytes = received_bytes - at;
        return answer;
    }
    uint32_t count = (uint32_t)take(&at, 4);
    size_t codes = at;
    at += 4 * (size_t)count;
    if (answer.packet == EXCEPTION)
        value = 0;
    cr_assert_lt(value, count, "packet %u has %u values", answer.packet, count);
    for (unsigned i = 0; i <= value; i++) {
        size_t place = codes + 4 * (size_t)i;
        answer.code = (int32_t)take(&place, 4);
        take_value(&answer, &at);
    }
    return answer;
}

/* ---- What a session does ------------------------------------------------------------------- */

uint64_t client_function(struct client *client, const char *name)
{
    struct packet packet;
    packet_begin(&packet, GET_FUNCTION);
    packet_values(&packet, "s", name);
    packet_send(client, &packet);
    struct answer answer = client_answer(client, 0);
    cr_assert_eq(answer.packet, RETURN, "%s: %s", name, answer.text != NULL ? answer.text : "end");
    return answer.number;
}

static struct answer call_list(struct client *client, uint64_t function, const char *letters,
                               va_list list)
{
    struct packet packet;
    packet_begin(&packet, CALL);
    packet_u64(&packet, function);
    values(&packet, letters, list);
    packet_send(client, &packet);
    return client_answer(client, 1);
}

struct answer client_call(struct client *client, uint64_t function, const char *letters, ...)
{
    va_list list;
    va_start(list, letters);
    struct answer answer = call_list(client, function, letters, list);
    va_end(list);
    return answer;
}

struct answer client_ask(struct client *client, const char *name, const char *letters, ...)
{
    va_list list;
    uint64_t function = client_function(client, name);
    cr_assert_neq(function, 0, "the server has no %s", name);
    va_start(list, letters);
    struct answer answer = call_list(client, function, letters, list);
    va_end(list);
    return answer;
}

void client_upload(struct client *client, const char *name, const void *bytes, size_t nbytes)
{
    struct packet packet;
    uint64_t upload = client_function(client, "tvm.rpc.server.upload");
    packet_begin(&packet, CALL);
    packet_u64(&packet, upload);
    packet_u32(&packet, 2);
    packet_u32(&packet, T_STRING);
    packet_u32(&packet, T_BYTES);
    packet_text(&packet, name);
    packet_u64(&packet, nbytes);
    put(packet.bytes, packet.size - 8 + nbytes, 8);
    client_send(client, packet.bytes, packet.size);
    client_send(client, bytes, nbytes);
    struct answer answer = client_answer(client, 1);
    cr_assert_eq(answer.packet, RETURN, "upload: %s", answer.text != NULL ? answer.text : "end");
}

char *read_file(const char *path, size_t *nbytes)
{
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file, "%s: %s", path, strerror(errno));
    fseek(file, 0, SEEK_END);
    *nbytes = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*nbytes + 1);
    cr_assert_eq(fread(bytes, 1, *nbytes, file), *nbytes);
    fclose(file);
    return bytes;
}

uint64_t client_load(struct client *client, const char *path)
{
    size_t nbytes;
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    char *bytes = read_file(path, &nbytes);
    client_upload(client, name, bytes, nbytes);
    free(bytes);
    struct answer answer = client_ask(client, "tvm.rpc.server.load_module", "s", name);
    cr_assert_eq(answer.packet, RETURN, "%s: %s", path, answer.text != NULL ? answer.text : "end");
    return answer.number;
}

uint64_t client_kernel(struct client *client, uint64_t module, const char *name)
{
    struct answer answer =
        client_ask(client, "tvm.rpc.server.ModuleGetFunction", "msi", module, name, UINT64_C(0));
    cr_assert_eq(answer.packet, RETURN, "%s: %s", name, answer.text != NULL ? answer.text : "end");
    cr_assert_neq(answer.number, 0, "the module has no %s", name);
    return answer.number;
}

void client_alloc(struct client *client, struct tensor *tensor)
{
    struct packet packet;
    packet_begin(&packet, ALLOC_SCOPED);
    packet_values(&packet, "tn", tensor);
    packet_send(client, &packet);
    struct answer answer = client_answer(client, 0);
    cr_assert_eq(answer.packet, RETURN, "%s", answer.text != NULL ? answer.text : "end");
    tensor->data = answer.number;
}

void client_copy_to(struct client *client, const struct tensor *tensor, const void *bytes,
                    size_t nbytes)
{
    struct packet packet;
    packet_begin(&packet, COPY_TO);
    packet_tensor(&packet, tensor);
    packet_u64(&packet, nbytes);
    put(packet.bytes, packet.size - 8 + nbytes, 8);
    client_send(client, packet.bytes, packet.size);
    client_send(client, bytes, nbytes);
    struct answer answer = client_answer(client, 0);
    cr_assert_eq(answer.packet, RETURN, "%s", answer.text != NULL ? answer.text : "end");
}

void client_copy_from(struct client *client, const struct tensor *tensor, void *bytes,
                      size_t nbytes)
{
    struct packet packet;
    packet_begin(&packet, COPY_FROM);
    packet_tensor(&packet, tensor);
    packet_u64(&packet, nbytes);
    packet_send(client, &packet);
    struct answer answer = client_answer(client, 0);
    cr_assert_eq(answer.packet, COPY_ACK, "%s", answer.text != NULL ? answer.text : "end");
    cr_assert_eq(answer.nbytes, nbytes);
    memcpy(bytes, answer.text, nbytes);
}

void expect_int(const struct answer *answer, int64_t value)
{
    cr_assert_eq(answer->packet, RETURN, "%s", answer->text != NULL ? answer->text : "end");
    cr_assert_eq(answer->code, T_INT);
    cr_assert_eq((int64_t)answer->number, value, "%lld, not %lld", (long long)answer->number,
                 (long long)value);
}

void expect_exception(const struct answer *answer, const char *words)
{
    cr_assert_eq(answer->packet, EXCEPTION, "packet %u", answer->packet);
    cr_assert_not_null(strstr(answer->text, words), "'%s' is not in: %s", words, answer->text);
}
