/* wire.h: a raw MessagePack-RPC client for tests, which can also say what no client should.
 */
#ifndef VTA_TESTS_WIRE_H
#define VTA_TESTS_WIRE_H

#include <msgpack.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vta/hw.h>

struct wire {
    int fd;
    uint32_t last_msgid;
    msgpack_unpacker unpacker;
    msgpack_unpacked message; /* the last response */
    /* Of the last response; belong to it. */
    uint32_t msgid;
    msgpack_object error, result;
};

void wire_connect(struct wire *wire, int port);  /* 127.0.0.1 */
void wire_connect6(struct wire *wire, int port); /* ::1 */
void wire_connect_unix(struct wire *wire, const char *path);
void wire_close(struct wire *wire);

void wire_send(struct wire *wire, const void *bytes, size_t nbytes);

/* Packs a request with params by format, one letter each:
 *   s text (const char *)         u number (uint64_t)      t true or false (int)
 *   b bytes (const void *, size_t)  n nil                  h handles (const uint64_t *, size_t)
 *   o options: one key (const char *) and a number (uint64_t)
 *   O options: one key (const char *) and true or false (int)
 * Returns its msgid. */
uint32_t wire_request(struct wire *wire, const char *method, const char *format, ...);
/* The same into a buffer, with this msgid. */
void wire_pack(msgpack_sbuffer *buffer, uint32_t msgid, const char *method, const char *format,
               ...);
/* A notification. */
void wire_notify(struct wire *wire, const char *method);

/* Waits for the next response; false where the connection has ended instead. */
bool wire_read(struct wire *wire);
/* The next response must be to msgid, and succeed (code NULL) or fail with this code. */
void wire_expect(struct wire *wire, uint32_t msgid, const char *code);
/* The daemon must close the connection now. */
void wire_expect_end(struct wire *wire);

/* A request whose answer is awaited; code as for wire_expect. Returns the result. */
const msgpack_object *wire_call(struct wire *wire, const char *code, const char *method,
                                const char *format, ...);

/* What responses hold; each fails the test where it is something else. */
uint64_t wire_uint(const msgpack_object *object);
bool wire_bool(const msgpack_object *object);
const msgpack_object *wire_get(const msgpack_object *map, const char *key);
bool wire_is_text(const msgpack_object *object, const char *text);
/* Whether the error's message contains text. */
bool wire_says(const struct wire *wire, const char *text);
struct vta_counters wire_counters(const msgpack_object *map);

#endif
