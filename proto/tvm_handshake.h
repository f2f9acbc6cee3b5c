/* tvm_handshake.h: the first bytes of a TVM connection, before any packet: a magic number, the key
 * that the client asks for, options; and the server's answer.
 *
 *     i32 magic, i32 length, "client:KEY" and, after white space, options as "-timeout=2.5"
 */
#ifndef VTA_PROTO_TVM_HANDSHAKE_H
#define VTA_PROTO_TVM_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vta/error.h>

/* What a server answers. A client reports any other number as "is not TVM RPC server". */
#define TVM_MAGIC          0x000ff271 /* welcome; length and "server:KEY" follow */
#define TVM_KEY_IN_USE     0x000ff272
#define TVM_KEY_MISMATCH   0x000ff273
#define TVM_NOT_TVM_SERVER 0

#define TVM_HANDSHAKE_TEXT_MAX 1024 /* bytes of key and options */
#define TVM_HANDSHAKE_MAX      (8 + TVM_HANDSHAKE_TEXT_MAX)

struct tvm_handshake {
    const char *key; /* the first word; points into the bytes, not terminated */
    size_t key_bytes;
    uint64_t timeout_ms; /* of the session; 0: none was asked for */
    size_t bytes;        /* of the whole handshake; what follows are packets */
};

/* Returns 0: the handshake is whole; 1: so far it is one, and more bytes are needed; VTA_EPROTO or
 * VTA_ELIMIT: it is none. Options that are not known are passed over, as TVM's server does. */
int tvm_handshake_parse(struct tvm_handshake *handshake, const void *bytes, size_t nbytes,
                        struct vta_error *error);

/* Whether the client asks for the server's key ("": the empty one); how long that takes does not
 * say how much of it is right. */
bool tvm_handshake_matches(const struct tvm_handshake *handshake, const char *key);

/* Writes an answer and returns its bytes; out holds TVM_HANDSHAKE_MAX, key at most
 * TVM_HANDSHAKE_TEXT_MAX - 7. Only the welcome has the key in it. */
size_t tvm_handshake_answer(uint8_t *out, uint32_t code, const char *key);

#endif
