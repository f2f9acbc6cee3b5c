/* client.h: a small TVM client for tests, which can also say what no client should. It shares no
 * code with the server. Every wait ends with a failure of the test after some seconds.
 */
#ifndef VTA_TESTS_TVM_CLIENT_H
#define VTA_TESTS_TVM_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define MAGIC        0x000ff271
#define KEY_IN_USE   0x000ff272
#define KEY_MISMATCH 0x000ff273

struct client {
    int fd;
    bool ended; /* the server has closed the connection */
};

/* Where everything is written, too, that any client sends; or NULL. */
extern FILE *client_record;

/* ---- Bytes --------------------------------------------------------------------------------- */

void client_connect(struct client *client, int port); /* 127.0.0.1; nothing is said yet */
void client_close(struct client *client);
void client_send(struct client *client, const void *bytes, size_t nbytes);
/* False where the connection ended before all of it. */
bool client_read(struct client *client, void *bytes, size_t nbytes);
/* The server must close the connection now, having sent nothing more. */
void client_expect_end(struct client *client);

/* ---- Handshake ----------------------------------------------------------------------------- */

/* Magic number, length and text in `out`, which has room for strlen(text) + 8; returns its bytes.
 */
size_t greeting(uint8_t *out, const char *text);
/* Connects, sends the text as a handshake, and returns the server's number; 0 also where it closed
 * instead. The welcome's key is read. */
uint32_t client_greet(struct client *client, int port, const char *text);
/* A session: the handshake with the empty key and InitServer. */
void client_open(struct client *client, int port);

/* ---- Packets ------------------------------------------------------------------------------- */

struct packet {
    size_t size;
    uint8_t bytes[8192];
};

void packet_begin(struct packet *packet, uint32_t code);
void packet_u32(struct packet *packet, uint32_t value);
void packet_u64(struct packet *packet, uint64_t value);
/* A packed sequence; a letter and its argument each: i int64_t · f double · s const char * · n null
 * · p uint64_t (a handle) · m uint64_t (a module) · t const struct tensor * */
void packet_values(struct packet *packet, const char *letters, ...);
void packet_send(struct client *client, struct packet *packet);
void packet_init_server(struct packet *packet);

struct tensor {
    uint64_t data;
    int32_t device; /* 1 cpu, 12 ext_dev */
    uint8_t bits;   /* of an int */
    int32_t ndim;
    int64_t shape[6];
};

/* What came back. */
struct answer {
    uint32_t packet;  /* 4 return, 5 exception, 8 copy; 0: the connection has ended */
    int32_t code;     /* type code of the value */
    uint64_t number;  /* int, handle */
    const char *text; /* string, bytes, an exception's words; terminated; until the next answer */
    size_t nbytes;
};

/* Reads the next answer; value: the one of a function's result (index 1) or of another (0). */
struct answer client_answer(struct client *client, unsigned value);

/* ---- What a session does ------------------------------------------------------------------- */

uint64_t client_function(struct client *client, const char *name); /* 0: there is none */
struct answer client_call(struct client *client, uint64_t function, const char *letters, ...);
/* A call of a server's function by its name. */
struct answer client_ask(struct client *client, const char *name, const char *letters, ...);
void client_upload(struct client *client, const char *name, const void *bytes, size_t nbytes);
/* Uploads a file, loads it, and returns the module. */
uint64_t client_load(struct client *client, const char *path);
uint64_t client_kernel(struct client *client, uint64_t module, const char *name);

void client_alloc(struct client *client, struct tensor *tensor); /* sets data */
void client_copy_to(struct client *client, const struct tensor *tensor, const void *bytes,
                    size_t nbytes);
void client_copy_from(struct client *client, const struct tensor *tensor, void *bytes,
                      size_t nbytes);

/* The answer is a return of this int; or an exception that contains these words. */
void expect_int(const struct answer *answer, int64_t value);
void expect_exception(const struct answer *answer, const char *words);

char *read_file(const char *path, size_t *nbytes); /* malloc'ed */

#endif
