/* fuzz_tvm_handshake.c: any bytes as the beginning of a TVM connection. What is found lies inside
 * the bytes, and a handshake that is whole is the same one however much follows.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/tvm_handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tvm_handshake handshake, exact;
    struct vta_error error = { 0 };
    int rc = tvm_handshake_parse(&handshake, data, size, &error);
    must(rc <= 1);
    must(memchr(error.message, '\0', sizeof error.message) != NULL);
    if (rc != 0)
        return 0;
    must(handshake.bytes >= 8 && handshake.bytes <= size && handshake.bytes <= TVM_HANDSHAKE_MAX);
    if (handshake.key != NULL)
        must(handshake.key >= (const char *)data + 8 &&
             handshake.key + handshake.key_bytes <= (const char *)data + handshake.bytes);
    must(tvm_handshake_parse(&exact, data, handshake.bytes, &error) == 0);
    must(exact.timeout_ms == handshake.timeout_ms && exact.key_bytes == handshake.key_bytes);
    must(tvm_handshake_parse(&exact, data, handshake.bytes - 1, &error) == 1);
    must(!tvm_handshake_matches(&handshake, "a key")); /* a word has no space in it */
    return 0;
}
