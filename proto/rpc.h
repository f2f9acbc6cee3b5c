/* rpc.h: MessagePack-RPC messages: [0, msgid, method, params], [1, msgid, error, result],
 * [2, method, params]. docs/PROTOCOL.md says what the methods mean; nothing here knows.
 *
 * Pure functions over memory. Decoded messages point into the bytes they came from and into the
 * given zone; both must outlive them.
 */
#ifndef VTA_PROTO_RPC_H
#define VTA_PROTO_RPC_H

#include <msgpack.h>

#include "scan.h"
#include "values.h"

enum vta_rpc_type {
    VTA_RPC_REQUEST = 0,
    VTA_RPC_RESPONSE = 1,
    VTA_RPC_NOTIFY = 2
};

struct vta_rpc_message {
    enum vta_rpc_type type;
    uint32_t msgid;     /* requests and responses */
    const char *method; /* requests and notifications; not terminated */
    uint32_t method_length;
    msgpack_object params;        /* always an array */
    msgpack_object error, result; /* responses */
};

/* Decodes one whole value that vta_scan_feed accepted. VTA_EPROTO says what is wrong with it. */
int vta_rpc_decode(struct vta_rpc_message *message, const uint8_t *bytes, size_t nbytes,
                   msgpack_zone *zone, struct vta_error *error);

/* What opens a message; the params array or the result follows. */
void vta_rpc_pack_request(msgpack_packer *packer, uint32_t msgid, const char *method,
                          uint32_t param_count);
void vta_rpc_pack_notify(msgpack_packer *packer, const char *method, uint32_t param_count);
void vta_rpc_pack_result(msgpack_packer *packer, uint32_t msgid);
/* A whole response that says what failed: {"code", "message"} and, where known, "insn", "limit",
 * "value". */
void vta_rpc_pack_error(msgpack_packer *packer, uint32_t msgid, const struct vta_error *error);

/* Reads the error of a response into *error (which may be NULL) and returns its code; 0 for nil.
 * Accepts what other servers send (any value) as VTA_EPROTO with its text. */
int vta_rpc_unpack_error(const msgpack_object *object, struct vta_error *error);

#endif
