/* tvm_client.c: just enough of a TVM client to measure a server with. */
#include "tvm_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peers.h"
#include "proto/tvm_handshake.h"

static struct {
    uint8_t *bytes; /* the last answer's body */
    size_t nbytes, room;
} answer;

size_t client_answer_bytes(void)
{
    return answer.nbytes;
}

_Noreturn void client_give_up(const char *what)
{
    fprintf(stderr, "bench_tvm: %s\n", what);
    exit(1);
}

void *client_allocate(size_t nbytes)
{
    void *bytes = malloc(nbytes);
    if (bytes == NULL)
        client_give_up("no memory");
    memset(bytes, 1, nbytes);
    return bytes;
}

enum tvm_packet client_receive(int fd)
{
    uint64_t nbytes;
    peer_receive(fd, &nbytes, sizeof nbytes);
    if (nbytes > answer.room) {
        free(answer.bytes);
        answer.bytes = client_allocate(nbytes);
        answer.room = nbytes;
    }
    peer_receive(fd, answer.bytes, nbytes);
    answer.nbytes = nbytes;
    uint32_t code;
    memcpy(&code, answer.bytes, sizeof code);
    return (enum tvm_packet)code;
}

struct tvm_item client_value(uint32_t index)
{
    static struct tvm_item items[TVM_ITEMS_MAX];
    struct tvm_reader reader = { .at = answer.bytes + 4, .left = answer.nbytes - 4 };
    struct vta_error error;
    uint32_t count;
    if (tvm_read_sequence(&reader, items, &count, &error) != 0 || index >= count)
        client_give_up("the answer is not as long as it should be");
    return items[index];
}

void client_expect(enum tvm_packet code, enum tvm_packet wanted)
{
    if (code == wanted)
        return;
    if (code == TVM_PACKET_EXCEPTION)
        fprintf(stderr, "bench_tvm: the server says: %s\n", client_value(0).bytes.data);
    client_give_up("not the answer that was expected");
}

void body_put(struct body *body, const void *bytes, size_t nbytes)
{
    memcpy(body->bytes + body->size, bytes, nbytes);
    body->size += nbytes;
}

void body_put_u32(struct body *body, uint32_t value)
{
    body_put(body, &value, sizeof value);
}

void body_put_u64(struct body *body, uint64_t value)
{
    body_put(body, &value, sizeof value);
}

void body_put_text(struct body *body, const char *text)
{
    body_put_u64(body, strlen(text));
    body_put(body, text, strlen(text));
}

void client_send(int fd, enum tvm_packet code, const struct body *body, const void *bulk,
                 uint64_t bulk_bytes)
{
    uint8_t packet[TVM_HEADER_BYTES + sizeof body->bytes];
    tvm_write_header(packet, code, body->size + bulk_bytes);
    memcpy(packet + TVM_HEADER_BYTES, body->bytes, body->size);
    peer_send(fd, packet, TVM_HEADER_BYTES + body->size);
    peer_send(fd, bulk, bulk_bytes);
}

int client_hello(int port)
{
    static const char key[] = "client:";
    struct body hello = { .size = 0 };
    int fd = peer_connect(port);
    body_put_u32(&hello, TVM_MAGIC);
    body_put_u32(&hello, sizeof key - 1);
    body_put(&hello, key, sizeof key - 1);
    peer_send(fd, hello.bytes, hello.size);
    return fd;
}

void client_welcome(int fd)
{
    struct body init = { .size = 0 };
    uint8_t welcome[15];
    peer_receive(fd, welcome, sizeof welcome);
    body_put_text(&init, "0.8.0");
    body_put_u32(&init, 0);
    client_send(fd, TVM_PACKET_INIT_SERVER, &init, NULL, 0);
}

int client_open(int port)
{
    int fd = client_hello(port);
    client_welcome(fd);
    client_expect(client_receive(fd), TVM_PACKET_RETURN);
    return fd;
}

uint64_t client_function(int fd, const char *name)
{
    struct body body = { .size = 0 };
    body_put_u32(&body, 1);
    body_put_u32(&body, TVM_STRING);
    body_put_text(&body, name);
    client_send(fd, TVM_PACKET_GET_GLOBAL_FUNC, &body, NULL, 0);
    client_expect(client_receive(fd), TVM_PACKET_RETURN);
    return client_value(0).handle;
}

void client_call(int fd, uint64_t function, const struct body *values)
{
    struct body body = { .size = 0 };
    body_put_u64(&body, function);
    body_put(&body, values->bytes, values->size);
    client_send(fd, TVM_PACKET_CALL_FUNC, &body, NULL, 0);
    client_expect(client_receive(fd), TVM_PACKET_RETURN);
}

void client_upload(int fd, const char *name, const void *bytes, size_t nbytes)
{
    struct body body = { .size = 0 };
    body_put_u64(&body, client_function(fd, "tvm.rpc.server.upload"));
    body_put_u32(&body, 2);
    body_put_u32(&body, TVM_STRING);
    body_put_u32(&body, TVM_BYTES);
    body_put_text(&body, name);
    body_put_u64(&body, nbytes);
    client_send(fd, TVM_PACKET_CALL_FUNC, &body, bytes, nbytes);
    client_expect(client_receive(fd), TVM_PACKET_RETURN);
}

uint64_t client_load(int fd, const char *name)
{
    struct body values = { .size = 0 };
    uint64_t function = client_function(fd, "tvm.rpc.server.load_module");
    body_put_u32(&values, 1);
    body_put_u32(&values, TVM_STRING);
    body_put_text(&values, name);
    client_call(fd, function, &values);
    return client_value(1).handle;
}
