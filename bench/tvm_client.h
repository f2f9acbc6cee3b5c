/* tvm_client.h: just enough of a TVM client to measure a server with. Whatever fails here ends the
 * benchmark with a message.
 */
#ifndef VTA_BENCH_TVM_CLIENT_H
#define VTA_BENCH_TVM_CLIENT_H

#include "proto/tvm.h"

_Noreturn void client_give_up(const char *what);
void *client_allocate(size_t nbytes);

/* Values of any kind behind each other. */
struct body {
    uint8_t bytes[4096];
    size_t size;
};

void body_put(struct body *body, const void *bytes, size_t nbytes);
void body_put_u32(struct body *body, uint32_t value);
void body_put_u64(struct body *body, uint64_t value);
void body_put_text(struct body *body, const char *text);

/* Connects and sends the handshake; reads its answer and sends InitServer; both, and reads that
 * answer. */
int client_hello(int port);
void client_welcome(int fd);
int client_open(int port);
void client_send(int fd, enum tvm_packet code, const struct body *body, const void *bulk,
                 uint64_t bulk_bytes);
/* Reads one packet; its body starts with the code. */
enum tvm_packet client_receive(int fd);
void client_expect(enum tvm_packet code, enum tvm_packet wanted);
/* The value at this place of the last answer's sequence; asked once of an answer with a text. */
struct tvm_item client_value(uint32_t index);
size_t client_answer_bytes(void);

uint64_t client_function(int fd, const char *name); /* 0: none */
void client_call(int fd, uint64_t function, const struct body *values);
void client_upload(int fd, const char *name, const void *bytes, size_t nbytes);
uint64_t client_load(int fd, const char *name);

#endif
