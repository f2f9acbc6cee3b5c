/* tvm_tracker.c: reads and writes the messages of a TVM tracker. What is written looks as Python's
 * json writes it, because some clients look for pieces of that text.
 */
#include "tvm_tracker.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

static const char server_word[] = "server:";

static uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void put_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

/* ---- Framing ------------------------------------------------------------------------------- */

void tvm_tracker_magic(uint8_t out[TVM_TRACKER_HEAD])
{
    put_u32(out, TVM_TRACKER_MAGIC);
}

bool tvm_tracker_is_magic(const uint8_t bytes[TVM_TRACKER_HEAD])
{
    return get_u32(bytes) == TVM_TRACKER_MAGIC;
}

int tvm_tracker_frame(const uint8_t *bytes, size_t nbytes, size_t max, size_t *length,
                      struct vta_error *error)
{
    if (nbytes < TVM_TRACKER_HEAD)
        return 1;
    uint32_t announced = get_u32(bytes);
    if (announced == 0)
        return vta_error_set(error, VTA_EPROTO, "tracker: a message of no bytes");
    if (announced > max)
        return vta_error_limit(error, VTA_ELIMIT, (int64_t)max, (int64_t)announced,
                               "tracker: a message of %u bytes, the limit is %zu",
                               (unsigned)announced, max);
    *length = announced;
    return nbytes - TVM_TRACKER_HEAD < announced;
}

/* ---- JSON ---------------------------------------------------------------------------------- */

/* How deep lists and objects lie in each other; of what is no JSON any number. */
static unsigned depth_of(const char *text, size_t nbytes)
{
    unsigned depth = 0, deepest = 0;
    bool quoted = false;
    for (size_t i = 0; i < nbytes; i++) {
        if (text[i] == '"')
            quoted = !quoted;
        else if (quoted)
            i += text[i] == '\\'; /* what follows ends no string */
        else if (text[i] == '[' || text[i] == '{')
            depth++;
        else if ((text[i] == ']' || text[i] == '}') && depth > 0)
            depth--;
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest;
}

/* A whole value, to be deleted, or NULL. */
static cJSON *read_json(const void *json, size_t nbytes, struct vta_error *error)
{
    const char *text = json, *end = NULL;
    unsigned depth = depth_of(text, nbytes);
    if (depth > TVM_TRACKER_DEPTH_MAX) {
        vta_error_limit(error, VTA_ELIMIT, TVM_TRACKER_DEPTH_MAX, depth,
                        "tracker: JSON of depth %u, the limit is %d", depth, TVM_TRACKER_DEPTH_MAX);
        return NULL;
    }
    cJSON *root = NULL;
    if (memchr(text, 0, nbytes) == NULL && memmem(text, nbytes, "\\u0000", 6) == NULL)
        root = cJSON_ParseWithLengthOpts(text, nbytes, &end, 0);
    while (root != NULL && end < text + nbytes && strchr(" \t\r\n", *end) != NULL)
        end++;
    if (root != NULL && end == text + nbytes)
        return root;
    cJSON_Delete(root);
    vta_error_set(error, VTA_EPROTO, "tracker: a message that is not JSON");
    return NULL;
}

bool tvm_tracker_is_word(const char *text, size_t max)
{
    size_t length = strnlen(text, max + 1);
    for (size_t i = 0; i < length; i++)
        if (text[i] <= ' ' || text[i] > '~' || text[i] == '"' || text[i] == '\\')
            return false;
    return length > 0 && length <= max;
}

/* A word into text[max + 1]. */
static int read_word(char *text, size_t max, const cJSON *item, const char *name,
                     struct vta_error *error)
{
    if (!cJSON_IsString(item))
        return vta_error_set(error, VTA_EPROTO, "tracker: %s is not a string", name);
    size_t length = strlen(item->valuestring);
    if (length > max)
        return vta_error_limit(error, VTA_ELIMIT, (int64_t)max, (int64_t)length,
                               "tracker: %s has %zu bytes, the limit is %zu", name, length, max);
    if (!tvm_tracker_is_word(item->valuestring, max))
        return vta_error_set(
            error, VTA_EPROTO,
            "tracker: %s is not one word of printable ASCII without quotes and backslashes", name);
    memcpy(text, item->valuestring, length + 1);
    return 0;
}

/* A host, or null: "". */
static int read_host(char *text, const cJSON *item, struct vta_error *error)
{
    if (item == NULL || cJSON_IsNull(item))
        return 0;
    return read_word(text, TVM_TRACKER_HOST_MAX, item, "the address", error);
}

/* A port as a number or, as servers of other languages have it, as text. */
static int read_port(uint16_t *port, const cJSON *item, struct vta_error *error)
{
    double number = cJSON_IsNumber(item) ? item->valuedouble : 0;
    if (cJSON_IsString(item)) {
        const char *at = item->valuestring;
        while (*at >= '0' && *at <= '9' && number <= UINT16_MAX)
            number = number * 10 + (*at++ - '0');
        number = *at == '\0' ? number : 0;
    }
    if (!(number >= 1 && number <= UINT16_MAX) || number != (double)(uint16_t)number)
        return vta_error_set(error, VTA_EPROTO, "tracker: the port is not a number from 1 to %d",
                             UINT16_MAX);
    *port = (uint16_t)number;
    return 0;
}

/* ---- Requests ------------------------------------------------------------------------------ */

static int read_key(struct tvm_tracker_request *request, const cJSON *item, struct vta_error *error)
{
    return read_word(request->key, TVM_TRACKER_KEY_MAX, item, "the key", error);
}

/* KEY, [port, MATCHKEY], host or null */
static int read_put(struct tvm_tracker_request *request, const cJSON *list, struct vta_error *error)
{
    const cJSON *pair = cJSON_GetArrayItem(list, 2);
    int rc = read_key(request, cJSON_GetArrayItem(list, 1), error);
    if (rc == 0 && !cJSON_IsArray(pair))
        rc = vta_error_set(error, VTA_EPROTO, "tracker: a board is not [port, match key]");
    if (rc == 0)
        rc = read_port(&request->port, cJSON_GetArrayItem(pair, 0), error);
    if (rc == 0)
        rc = read_word(request->match_key, TVM_TRACKER_MATCH_MAX, cJSON_GetArrayItem(pair, 1),
                       "the match key", error);
    return rc != 0 ? rc : read_host(request->host, cJSON_GetArrayItem(list, 3), error);
}

/* KEY, user, priority */
static int read_request(struct tvm_tracker_request *request, const cJSON *list,
                        struct vta_error *error)
{
    const cJSON *priority = cJSON_GetArrayItem(list, 3);
    if (!cJSON_IsNumber(priority))
        return vta_error_set(error, VTA_EPROTO, "tracker: the priority is not a number");
    request->priority = priority->valuedouble;
    return read_key(request, cJSON_GetArrayItem(list, 1), error);
}

/* {"key": "server:KEY", "addr": [host or null, port]}; some servers send no addr. */
static int read_info(struct tvm_tracker_request *request, const cJSON *list,
                     struct vta_error *error)
{
    char text[sizeof server_word + TVM_TRACKER_KEY_MAX];
    const cJSON *info = cJSON_GetArrayItem(list, 1);
    const cJSON *address = cJSON_GetObjectItemCaseSensitive(info, "addr");
    if (!cJSON_IsObject(info))
        return vta_error_set(error, VTA_EPROTO, "tracker: a server's info is not an object");
    int rc = read_word(text, sizeof text - 1, cJSON_GetObjectItemCaseSensitive(info, "key"),
                       "the key", error);
    size_t prefix = sizeof server_word - 1;
    if (rc == 0 && strncmp(text, server_word, prefix) == 0)
        memcpy(request->key, text + prefix, strlen(text) - prefix + 1);
    if (rc != 0 || address == NULL)
        return rc;
    if (!cJSON_IsArray(address))
        return vta_error_set(error, VTA_EPROTO, "tracker: a server's addr is not [address, port]");
    rc = read_host(request->host, cJSON_GetArrayItem(address, 0), error);
    return rc != 0 ? rc : read_port(&request->port, cJSON_GetArrayItem(address, 1), error);
}

static int read_message(struct tvm_tracker_request *request, const cJSON *list,
                        struct vta_error *error)
{
    const cJSON *code = cJSON_GetArrayItem(list, 0);
    if (!cJSON_IsArray(list) || !cJSON_IsNumber(code))
        return vta_error_set(error, VTA_EPROTO, "tracker: a request is not a list with a code");
    if (!(code->valuedouble >= TVM_TRACKER_PING && code->valuedouble <= TVM_TRACKER_PENDING) ||
        code->valuedouble != code->valueint)
        return vta_error_set(error, VTA_EUNSUPPORTED, "tracker: the code %g is not known",
                             code->valuedouble);
    request->code = (enum tvm_tracker_code)code->valueint;
    switch (request->code) {
    case TVM_TRACKER_PUT:
        return read_put(request, list, error);
    case TVM_TRACKER_REQUEST:
        return read_request(request, list, error);
    case TVM_TRACKER_INFO:
        return read_info(request, list, error);
    case TVM_TRACKER_STOP:
        return read_key(request, cJSON_GetArrayItem(list, 1), error);
    case TVM_TRACKER_PING:
    case TVM_TRACKER_SUMMARY:
    case TVM_TRACKER_PENDING:
        break;
    }
    return 0;
}

int tvm_tracker_parse(struct tvm_tracker_request *request, const void *json, size_t nbytes,
                      struct vta_error *error)
{
    struct vta_error reason = { .insn = -1 };
    *request = (struct tvm_tracker_request){ 0 };
    cJSON *root = read_json(json, nbytes, &reason);
    int rc = root != NULL ? read_message(request, root, &reason) : reason.code;
    cJSON_Delete(root);
    if (rc != 0 && error != NULL)
        *error = reason;
    return rc;
}

/* ---- Reading answers ----------------------------------------------------------------------- */

int tvm_tracker_read(int *number, const void *json, size_t nbytes, struct vta_error *error)
{
    struct vta_error reason = { .insn = -1 };
    cJSON *root = read_json(json, nbytes, &reason);
    int rc = reason.code;
    if (root != NULL && (!cJSON_IsNumber(root) || root->valuedouble != root->valueint))
        rc = vta_error_set(&reason, VTA_EPROTO, "tracker: an answer is not a whole number");
    else if (root != NULL)
        *number = root->valueint;
    cJSON_Delete(root);
    if (rc != 0 && error != NULL)
        *error = reason;
    return rc;
}

int tvm_tracker_read_pending(const void *json, size_t nbytes,
                             void (*found)(void *owner, const char *match_key), void *owner,
                             struct vta_error *error)
{
    struct vta_error reason = { .insn = -1 };
    cJSON *root = read_json(json, nbytes, &reason);
    int rc = reason.code;
    if (root != NULL && !cJSON_IsArray(root))
        rc = vta_error_set(&reason, VTA_EPROTO, "tracker: the match keys are not a list");
    for (const cJSON *item = rc == 0 ? root->child : NULL; item != NULL; item = item->next)
        if (cJSON_IsString(item))
            found(owner, item->valuestring);
    cJSON_Delete(root);
    if (rc != 0 && error != NULL)
        *error = reason;
    return rc;
}

/* ---- Writing ------------------------------------------------------------------------------- */

/* A message under way: what is appended after a failure is dropped, and all of it at the end. */
struct writer {
    msgpack_sbuffer *out;
    size_t begin;
    bool failed;
};

static struct writer begin(msgpack_sbuffer *out)
{
    struct writer writer = { .out = out, .begin = out->size };
    writer.failed = msgpack_sbuffer_write(out, "\0\0\0\0", TVM_TRACKER_HEAD) != 0;
    return writer;
}

static void add(struct writer *writer, const char *format, ...) VTA_PRINTF(2, 3);

static void add(struct writer *writer, const char *format, ...)
{
    char text[2048]; /* of a handful of words */
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof text ||
        (!writer->failed && msgpack_sbuffer_write(writer->out, text, (size_t)n) != 0))
        writer->failed = true;
}

static int finish(struct writer *writer)
{
    msgpack_sbuffer *out = writer->out;
    size_t length = out->size - writer->begin - TVM_TRACKER_HEAD;
    if (writer->failed || length > INT32_MAX) {
        out->size = writer->begin;
        return VTA_ENOMEM;
    }
    put_u32((uint8_t *)out->data + writer->begin, (uint32_t)length);
    return 0;
}

/* "HOST", or null. */
static void add_host(struct writer *writer, const char *host)
{
    if (host != NULL)
        add(writer, "\"%s\"", host);
    else
        add(writer, "null");
}

int tvm_tracker_ask(msgpack_sbuffer *out, enum tvm_tracker_code code)
{
    struct writer writer = begin(out);
    add(&writer, "[%d]", (int)code);
    return finish(&writer);
}

int tvm_tracker_ask_info(msgpack_sbuffer *out, const char *key, const char *host, uint16_t port)
{
    struct writer writer = begin(out);
    add(&writer, "[%d, {\"key\": \"server:%s\", \"addr\": [", TVM_TRACKER_INFO, key);
    add_host(&writer, host);
    add(&writer, ", %u]}]", port);
    return finish(&writer);
}

int tvm_tracker_ask_put(msgpack_sbuffer *out, const char *key, uint16_t port, const char *match_key,
                        const char *host)
{
    struct writer writer = begin(out);
    add(&writer, "[%d, \"%s\", [%u, \"%s\"], ", TVM_TRACKER_PUT, key, port, match_key);
    add_host(&writer, host);
    add(&writer, "]");
    return finish(&writer);
}

int tvm_tracker_answer(msgpack_sbuffer *out, int number)
{
    struct writer writer = begin(out);
    add(&writer, "%d", number);
    return finish(&writer);
}

int tvm_tracker_answer_refusal(msgpack_sbuffer *out, const char *reason)
{
    struct writer writer = begin(out);
    add(&writer, "[%d, \"%s\"]", TVM_TRACKER_FAIL, reason);
    return finish(&writer);
}

int tvm_tracker_answer_board(msgpack_sbuffer *out, const char *host, uint16_t port,
                             const char *match_key)
{
    struct writer writer = begin(out);
    add(&writer, "[%d, [\"%s\", %u, \"%s\"]]", TVM_TRACKER_SUCCESS, host, port, match_key);
    return finish(&writer);
}

int tvm_tracker_answer_pending(msgpack_sbuffer *out, const char *const *match_keys, size_t count)
{
    struct writer writer = begin(out);
    add(&writer, "[");
    for (size_t i = 0; i < count; i++)
        add(&writer, "%s\"%s\"", i > 0 ? ", " : "", match_keys[i]);
    add(&writer, "]");
    return finish(&writer);
}

int tvm_tracker_answer_summary(msgpack_sbuffer *out, const struct tvm_tracker_queue *queues,
                               size_t queue_count, const struct tvm_tracker_server *servers,
                               size_t server_count)
{
    struct writer writer = begin(out);
    add(&writer, "[%d, {\"queue_info\": {", TVM_TRACKER_SUCCESS);
    for (size_t i = 0; i < queue_count; i++)
        add(&writer, "%s\"%s\": {\"free\": %llu, \"pending\": %llu}", i > 0 ? ", " : "",
            queues[i].key, (unsigned long long)queues[i].free,
            (unsigned long long)queues[i].pending);
    add(&writer, "}, \"server_info\": [");
    for (size_t i = 0; i < server_count; i++)
        add(&writer, "%s{\"key\": \"server:%s\", \"addr\": [\"%s\", %u]}", i > 0 ? ", " : "",
            servers[i].key, servers[i].host, servers[i].port);
    add(&writer, "]}]");
    return finish(&writer);
}
