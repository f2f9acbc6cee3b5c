/* tvm.h: what the daemon does for a TVM client: takes the handshake, has a worker made,
 * hands the socket over. Everything after that is between the client and its worker.
 */
#ifndef VTA_SERVER_TVM_H
#define VTA_SERVER_TVM_H

#include <stddef.h>
#include <stdint.h>

struct connection;
struct tvm;

/* Begins with these bytes. NULL without memory. */
struct tvm *tvm_open(struct connection *connection, const uint8_t *bytes, size_t nbytes);
void tvm_free(struct tvm *tvm); /* NULL is allowed */

void tvm_room(struct tvm *tvm, uint8_t **bytes, size_t *nbytes);
/* That many more bytes are there; 0 after tvm_open. */
void tvm_arrived(struct tvm *tvm, size_t nbytes);

#endif
