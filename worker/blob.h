/* blob.h: reads what TVM serialises: numbers, texts and arrays with their length in front. All is
 * little-endian, as this machine, and nothing is aligned.
 */
#ifndef VTA_WORKER_BLOB_H
#define VTA_WORKER_BLOB_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* What is left to read. */
struct blob {
    const uint8_t *at;
    uint64_t left;
};

/* A text inside a blob; not terminated. */
struct blob_text {
    const char *text;
    uint64_t length;
};

/* Each is false, and has taken nothing that may be used, if the blob ends before. */

static inline bool blob_span(struct blob *blob, uint64_t count, uint64_t size,
                             const uint8_t **bytes)
{
    uint64_t nbytes;
    if (__builtin_mul_overflow(count, size, &nbytes) || nbytes > blob->left)
        return false;
    *bytes = blob->at;
    blob->at += nbytes;
    blob->left -= nbytes;
    return true;
}

static inline bool blob_copy(struct blob *blob, void *value, uint64_t nbytes)
{
    const uint8_t *bytes;
    if (!blob_span(blob, nbytes, 1, &bytes))
        return false;
    memcpy(value, bytes, nbytes);
    return true;
}

static inline bool blob_u64(struct blob *blob, uint64_t *value)
{
    return blob_copy(blob, value, sizeof *value);
}

static inline bool blob_text(struct blob *blob, struct blob_text *text)
{
    const uint8_t *bytes;
    if (!blob_u64(blob, &text->length) || !blob_span(blob, text->length, 1, &bytes))
        return false;
    text->text = (const char *)bytes;
    return true;
}

static inline bool blob_text_is(const struct blob_text *text, const char *wanted)
{
    return text->length == strlen(wanted) && memcmp(text->text, wanted, text->length) == 0;
}

/* For "%.*s" in a message. */
static inline int blob_text_width(const struct blob_text *text)
{
    return text->length < 64 ? (int)text->length : 64;
}

#endif
