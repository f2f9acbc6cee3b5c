/* tvm_handshake.c: reads and writes the first bytes of a TVM connection.
 */
#include "tvm_handshake.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static const char client_word[] = "client:";
static const char server_word[] = "server:";
static const char timeout_option[] = "-timeout=";

#define TIMEOUT_S_MAX 1e9

static uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void put_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static bool is_space(char byte)
{
    return isspace((unsigned char)byte) != 0;
}

/* Seconds with a decimal point, read without regard to the locale's. */
static int read_timeout(struct tvm_handshake *handshake, const char *text, size_t length,
                        struct vta_error *error)
{
    double seconds = 0, unit = 1;
    bool digits = false, fraction = false, good = true;
    for (size_t i = 0; i < length && good; i++) {
        if (text[i] == '.' && !fraction) {
            fraction = true;
        } else if (isdigit((unsigned char)text[i])) {
            digits = true;
            if (fraction)
                unit /= 10;
            seconds = fraction ? seconds + unit * (text[i] - '0') : seconds * 10 + (text[i] - '0');
        } else {
            good = false;
        }
    }
    if (!good || !digits || !(seconds > 0 && seconds <= TIMEOUT_S_MAX))
        return vta_error_set(error, VTA_EPROTO,
                             "handshake: '%s%.*s' is not a number of seconds from 0 to %g",
                             timeout_option, (int)length, text, TIMEOUT_S_MAX);
    uint64_t whole = (uint64_t)(seconds * 1000);
    handshake->timeout_ms = whole > 0 ? whole : 1;
    return 0;
}

static int read_option(struct tvm_handshake *handshake, const char *text, size_t length,
                       struct vta_error *error)
{
    size_t prefix = sizeof timeout_option - 1;
    if (length < prefix || memcmp(text, timeout_option, prefix) != 0)
        return 0;
    return read_timeout(handshake, text + prefix, length - prefix, error);
}

static int read_words(struct tvm_handshake *handshake, const char *text, size_t length,
                      struct vta_error *error)
{
    for (size_t begin = 0, end; begin < length; begin = end) {
        while (begin < length && is_space(text[begin]))
            begin++;
        for (end = begin; end < length && !is_space(text[end]);)
            end++;
        int rc = 0;
        if (handshake->key == NULL) {
            handshake->key = text + begin;
            handshake->key_bytes = end - begin;
        } else {
            rc = read_option(handshake, text + begin, end - begin, error);
        }
        if (rc != 0)
            return rc;
    }
    return 0;
}

int tvm_handshake_parse(struct tvm_handshake *handshake, const void *bytes, size_t nbytes,
                        struct vta_error *error)
{
    const uint8_t *at = bytes;
    *handshake = (struct tvm_handshake){ 0 };
    if (nbytes < 4)
        return 1;
    if (get_u32(at) != TVM_MAGIC)
        return vta_error_set(error, VTA_EPROTO, "handshake: magic number 0x%08x, not 0x%08x",
                             (unsigned)get_u32(at), TVM_MAGIC);
    if (nbytes < 8)
        return 1;
    uint32_t length = get_u32(at + 4);
    if (length > TVM_HANDSHAKE_TEXT_MAX)
        return vta_error_limit(error, VTA_ELIMIT, TVM_HANDSHAKE_TEXT_MAX, (int64_t)length,
                               "handshake: a key of %u bytes, the limit is %d", (unsigned)length,
                               TVM_HANDSHAKE_TEXT_MAX);
    if (nbytes - 8 < length)
        return 1;
    handshake->bytes = 8 + length;
    return read_words(handshake, (const char *)at + 8, length, error);
}

bool tvm_handshake_matches(const struct tvm_handshake *handshake, const char *key)
{
    size_t word = sizeof client_word - 1, length = strlen(key);
    return handshake->key_bytes == word + length &&
           memcmp(handshake->key, client_word, word) == 0 &&
           CRYPTO_memcmp(handshake->key + word, key, length) == 0;
}

size_t tvm_handshake_answer(uint8_t *out, uint32_t code, const char *key)
{
    put_u32(out, code);
    if (code != TVM_MAGIC)
        return 4;
    size_t word = sizeof server_word - 1, length = strlen(key);
    put_u32(out + 4, (uint32_t)(word + length));
    memcpy(out + 8, server_word, word);
    memcpy(out + 8 + word, key, length);
    return 8 + word + length;
}
