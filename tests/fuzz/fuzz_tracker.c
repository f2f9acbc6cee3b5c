/* fuzz_tracker.c: any bytes as messages of a tracker's clients, and as its answers. What is taken
 * from a request are words and numbers within their limits, and the same ones when it is written
 * and read again.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/tvm_tracker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static bool is_word_or_none(const char *text, size_t max)
{
    return text[0] == '\0' || tvm_tracker_is_word(text, max);
}

static const char *host_of(const struct tvm_tracker_request *request)
{
    return request->host[0] != '\0' ? request->host : NULL;
}

static void write_again(const struct tvm_tracker_request *request)
{
    struct tvm_tracker_request again;
    msgpack_sbuffer out;
    size_t length;
    msgpack_sbuffer_init(&out);
    if (request->code == TVM_TRACKER_PUT)
        must(tvm_tracker_ask_put(&out, request->key, request->port, request->match_key,
                                 host_of(request)) == 0);
    else if (request->code == TVM_TRACKER_INFO && request->key[0] != '\0' && request->port != 0)
        must(tvm_tracker_ask_info(&out, request->key, host_of(request), request->port) == 0);
    if (out.size > 0) {
        must(tvm_tracker_frame((uint8_t *)out.data, out.size, TVM_TRACKER_REQUEST_MAX, &length,
                               NULL) == 0);
        must(length == out.size - TVM_TRACKER_HEAD);
        must(tvm_tracker_parse(&again, out.data + TVM_TRACKER_HEAD, length, NULL) == 0);
        must(again.code == request->code && again.port == request->port);
        must(strcmp(again.key, request->key) == 0 && strcmp(again.host, request->host) == 0);
        must(strcmp(again.match_key, request->match_key) == 0);
    }
    msgpack_sbuffer_destroy(&out);
}

static void read_request(const uint8_t *json, size_t nbytes)
{
    struct tvm_tracker_request request;
    struct vta_error error = { 0 };
    int rc = tvm_tracker_parse(&request, json, nbytes, &error);
    must(rc <= 0 && rc == error.code);
    must(memchr(error.message, '\0', sizeof error.message) != NULL);
    if (rc != 0)
        return;
    must(request.code >= TVM_TRACKER_PING && request.code <= TVM_TRACKER_PENDING);
    must(is_word_or_none(request.key, TVM_TRACKER_KEY_MAX));
    must(is_word_or_none(request.match_key, TVM_TRACKER_MATCH_MAX));
    must(is_word_or_none(request.host, TVM_TRACKER_HOST_MAX));
    must(request.priority == request.priority);
    must(request.code != TVM_TRACKER_PUT || (request.key[0] != '\0' && request.port != 0));
    write_again(&request);
}

static void count(void *owner, const char *match_key)
{
    *(size_t *)owner += strlen(match_key);
}

static void read_answer(const uint8_t *json, size_t nbytes)
{
    int number = 0;
    size_t listed = 0;
    struct vta_error error = { 0 };
    int one = tvm_tracker_read(&number, json, nbytes, &error);
    int other = tvm_tracker_read_pending(json, nbytes, count, &listed, &error);
    must(one <= 0 && other <= 0 && (one < 0 || other < 0)); /* nothing is both */
    must(listed <= nbytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t length;
    if (size >= TVM_TRACKER_HEAD && tvm_tracker_is_magic(data)) {
        data += TVM_TRACKER_HEAD;
        size -= TVM_TRACKER_HEAD;
    }
    while (tvm_tracker_frame(data, size, TVM_TRACKER_ANSWER_MAX, &length, NULL) == 0) {
        must(length > 0 && length <= size - TVM_TRACKER_HEAD);
        must(tvm_tracker_frame(data, TVM_TRACKER_HEAD + length - 1, length, &length, NULL) == 1);
        read_request(data + TVM_TRACKER_HEAD, length);
        read_answer(data + TVM_TRACKER_HEAD, length);
        data += TVM_TRACKER_HEAD + length;
        size -= TVM_TRACKER_HEAD + length;
    }
    return 0;
}
