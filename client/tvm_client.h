/* tvm_client.h: a session with a server that speaks TVM's RPC: its packets, one call at a time.
 *
 * After a failure of the connection the session is broken, and every call is VTA_ECLOSED. What the
 * server says of a call that failed, an exception, is VTA_EINVAL with its words, since it comes
 * without a code; the session goes on.
 */
#ifndef VTA_CLIENT_TVM_CLIENT_H
#define VTA_CLIENT_TVM_CLIENT_H

#include "proto/tvm.h"
#include "session.h"

struct vta_tvm {
    struct vta_transport *transport; /* owned; NULL: broken or closed */
    char peer[VTA_PEER_TEXT];
    uint8_t *answer; /* the last one's body; owned */
    size_t room;
    struct tvm_item items[TVM_ITEMS_MAX]; /* its values, which point into it */
    uint32_t count;
    void (*progress)(void *context, const char *what, uint64_t done, uint64_t total); /* or NULL */
    void *progress_context;
};

/* Connects, as vta_connect_timeout does, and begins a session. key NULL: none. VTA_EUNSUPPORTED:
 * the server has no TVM sessions, or is something else. Nothing is to be closed after a failure. */
int vta_tvm_open(struct vta_tvm *tvm, const char *host, int port, unsigned timeout_ms,
                 const char *key, struct vta_error *error);
void vta_tvm_close(struct vta_tvm *tvm);

/* The handle of a function of the server, or of a module's; 0: there is none. */
int vta_tvm_function(struct vta_tvm *tvm, const char *name, uint64_t *function,
                     struct vta_error *error);
int vta_tvm_member(struct vta_tvm *tvm, uint64_t module, const char *name, uint64_t *function,
                   struct vta_error *error);

/* Calls, as long as it may take. `what` is shown as progress while many bytes are sent; NULL:
 * never. Of the result, items[1] is the value, until the next call; a tensor has its handle in
 * items[2]. */
int vta_tvm_call(struct vta_tvm *tvm, uint64_t function, const struct tvm_item *args,
                 uint32_t count, const char *what, struct vta_error *error);
/* The same for a function of the server, which must be there: VTA_EUNSUPPORTED. */
int vta_tvm_ask(struct vta_tvm *tvm, const char *name, const struct tvm_item *args, uint32_t count,
                const char *what, struct vta_error *error);

/* Bytes of a tensor, all of them. */
int vta_tvm_copy_to(struct vta_tvm *tvm, const struct tvm_wire_tensor *tensor, const void *bytes,
                    uint64_t nbytes, const char *what, struct vta_error *error);
int vta_tvm_copy_from(struct vta_tvm *tvm, const struct tvm_wire_tensor *tensor, void *bytes,
                      uint64_t nbytes, struct vta_error *error);
int vta_tvm_free_tensor(struct vta_tvm *tvm, uint64_t handle, struct vta_error *error);

/* Values. */
struct tvm_item vta_tvm_text(const char *text);
struct tvm_item vta_tvm_bytes(const void *bytes, size_t nbytes);
struct tvm_item vta_tvm_int(int64_t number);

#endif
