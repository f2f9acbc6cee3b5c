/* kit.c: see kit.h. Without Criterion, so that fuzz targets link it: what must hold is asserted. */
#include "kit.h"

#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Unlike assert, also in builds without it. */
#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);          \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* ---- A worker ------------------------------------------------------------------------------ */

void kit_options(struct worker_options *options)
{
    worker_options_default(options);
    options->board.dram_bytes = UINT64_C(16) << 20;
    options->max_message_bytes = UINT64_C(1) << 20;
    options->max_upload_bytes = UINT64_C(1) << 20;
    options->max_cpu_bytes = UINT64_C(1) << 20;
    options->max_files = 8;
    options->max_handles = 32;
    options->max_evaluations = 100;
}

static void note_log(void *context, int level, const char *text)
{
    struct kit *kit = context;
    size_t used = strlen(kit->log);
    (void)level;
    snprintf(kit->log + used, sizeof kit->log - used, "%s\n", text);
}

void kit_open(struct kit *kit, const struct worker_options *options)
{
    struct worker_options small;
    struct vta_error error;
    const char *tmp = getenv("TMPDIR");
    memset(kit, 0, sizeof *kit);
    kit_options(&small);
    snprintf(kit->scratch, sizeof kit->scratch, "%.40s/worker-XXXXXX", tmp != NULL ? tmp : "/tmp");
    MUST(mkdtemp(kit->scratch) != NULL);
    const struct worker_host host = { .log = note_log, .context = kit };
    MUST(worker_open(&kit->worker, options != NULL ? options : &small, &host, &kit_loader,
                     kit->scratch, &error) == 0);
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info, (void)type, (void)at;
    return remove(path);
}

void kit_close(struct kit *kit)
{
    worker_close(&kit->worker);
    MUST(nftw(kit->scratch, remove_entry, 8, FTW_DEPTH | FTW_PHYS) == 0);
}

/* ---- Packets ------------------------------------------------------------------------------- */

void packet_free(struct packet *packet)
{
    free(packet->bytes);
    *packet = (struct packet){ 0 };
}

void put_bytes(struct packet *packet, const void *bytes, size_t nbytes)
{
    if (packet->room - packet->size < nbytes) {
        packet->room = 2 * (packet->size + nbytes);
        packet->bytes = realloc(packet->bytes, packet->room);
        MUST(packet->bytes != NULL);
    }
    if (nbytes > 0)
        memcpy(packet->bytes + packet->size, bytes, nbytes);
    packet->size += nbytes;
}

static void put_number(struct packet *packet, uint64_t value, unsigned nbytes)
{
    uint8_t bytes[8];
    for (unsigned i = 0; i < nbytes; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
    put_bytes(packet, bytes, nbytes);
}

void put_u32(struct packet *packet, uint32_t value)
{
    put_number(packet, value, 4);
}

void put_u64(struct packet *packet, uint64_t value)
{
    put_number(packet, value, 8);
}

void put_text(struct packet *packet, const char *text)
{
    put_u64(packet, strlen(text));
    put_bytes(packet, text, strlen(text));
}

void put_tensor(struct packet *packet, const struct tensor *tensor)
{
    put_u64(packet, tensor->data);
    put_u32(packet, (uint32_t)tensor->device);
    put_u32(packet, 0);
    put_u32(packet, (uint32_t)tensor->ndim);
    put_number(packet, tensor->code, 1);
    put_number(packet, tensor->bits, 1);
    put_number(packet, tensor->lanes == 0 ? 1 : tensor->lanes, 2);
    for (int32_t i = 0; i < tensor->ndim && i < 4; i++)
        put_u64(packet, (uint64_t)tensor->shape[i]);
    put_u64(packet, tensor->offset);
}

static uint32_t code_of(char letter)
{
    const char *letters = "iufhndytomFsb";
    const int32_t codes[] = { TVM_INT,      TVM_UINT,   TVM_FLOAT,  TVM_OPAQUE, TVM_NULL,
                              TVM_DEVICE,   TVM_DTYPE,  TVM_TENSOR, TVM_OBJECT, TVM_MODULE,
                              TVM_FUNCTION, TVM_STRING, TVM_BYTES };
    if (letter == 'l')
        return TVM_BOOL;
    const char *at = strchr(letters, letter);
    MUST(at != NULL);
    return (uint32_t)codes[at - letters];
}

static void put_value(struct packet *packet, char letter, va_list args)
{
    const void *bytes;
    double number;
    uint64_t bits;
    switch (letter) {
    case 'f':
        number = va_arg(args, double);
        memcpy(&bits, &number, 8);
        put_u64(packet, bits);
        break;
    case 'n':
        break;
    case 'o':
        put_u32(packet, 9);
        put_u64(packet, va_arg(args, uint64_t));
        break;
    case 'd':
        put_u32(packet, (uint32_t)va_arg(args, int));
        put_u32(packet, (uint32_t)va_arg(args, int));
        break;
    case 'y':
        put_number(packet, (uint64_t)va_arg(args, int), 1);
        put_number(packet, (uint64_t)va_arg(args, int), 1);
        put_number(packet, (uint64_t)va_arg(args, int), 2);
        put_u32(packet, 0);
        break;
    case 's':
        put_text(packet, va_arg(args, const char *));
        break;
    case 'b':
        bytes = va_arg(args, const void *);
        bits = va_arg(args, size_t);
        put_u64(packet, bits);
        put_bytes(packet, bytes, bits);
        break;
    case 't':
        put_tensor(packet, va_arg(args, const struct tensor *));
        break;
    default:
        put_u64(packet, va_arg(args, uint64_t));
    }
}

static void put_all(struct packet *packet, const char *letters, va_list args)
{
    put_u32(packet, (uint32_t)strlen(letters));
    for (const char *letter = letters; *letter != '\0'; letter++)
        put_u32(packet, code_of(*letter));
    for (const char *letter = letters; *letter != '\0'; letter++)
        put_value(packet, *letter, args);
}

void put_values(struct packet *packet, const char *letters, ...)
{
    va_list args;
    va_start(args, letters);
    put_all(packet, letters, args);
    va_end(args);
}

/* ---- A client ------------------------------------------------------------------------------ */

static void *serve(void *context)
{
    struct client *client = context;
    struct wire wire = wire_socket(&client->server_fd);
    client->rc = session_run(&client->kit->worker, &wire, NULL, 0, &client->error);
    close(client->server_fd);
    return NULL;
}

void client_open_bare(struct client *client, struct kit *kit)
{
    int pair[2];
    pthread_t thread;
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    *client = (struct client){ .kit = kit, .fd = pair[0], .server_fd = pair[1] };
    MUST(pthread_create(&thread, NULL, serve, client) == 0);
    client->thread = malloc(sizeof thread);
    MUST(client->thread != NULL);
    memcpy(client->thread, &thread, sizeof thread);
}

void client_open(struct client *client, struct kit *kit)
{
    struct packet body = { 0 };
    struct reply reply;
    client_open_bare(client, kit);
    put_text(&body, "0.8.0");
    put_values(&body, "");
    client_send(client, TVM_PACKET_INIT_SERVER, &body);
    client_receive(client, &reply);
    expect_null(&reply);
    packet_free(&body);
}

void client_close(struct client *client)
{
    pthread_t thread;
    if (client->fd >= 0)
        close(client->fd);
    memcpy(&thread, client->thread, sizeof thread);
    pthread_join(thread, NULL);
    free(client->thread);
}

void client_send_raw(struct client *client, const void *bytes, size_t nbytes)
{
    for (size_t at = 0; at < nbytes;) {
        ssize_t n = send(client->fd, (const char *)bytes + at, nbytes - at, MSG_NOSIGNAL);
        MUST(n > 0);
        at += (size_t)n;
    }
}

void client_send(struct client *client, uint32_t code, const struct packet *body)
{
    struct packet whole = { 0 };
    put_u64(&whole, 4 + body->size);
    put_u32(&whole, code);
    put_bytes(&whole, body->bytes, body->size);
    client_send_raw(client, whole.bytes, whole.size);
    packet_free(&whole);
}

static uint64_t get_number(const uint8_t *bytes, unsigned nbytes)
{
    uint64_t value = 0;
    for (unsigned i = nbytes; i-- > 0;)
        value = value << 8 | bytes[i];
    return value;
}

void client_receive(struct client *client, struct reply *reply)
{
    struct tvm_item items[TVM_ITEMS_MAX];
    struct vta_error error;
    uint8_t head[12];
    *reply = (struct reply){ 0 };
    MUST(recv(client->fd, head, sizeof head, MSG_WAITALL) == sizeof head);
    reply->size = get_number(head, 8) - 4;
    reply->code = (uint32_t)get_number(head + 8, 4);
    reply->bytes = malloc(reply->size + 1);
    MUST(reply->bytes != NULL);
    MUST(reply->size == 0 ||
         recv(client->fd, reply->bytes, reply->size, MSG_WAITALL) == (ssize_t)reply->size);
    if (reply->code == TVM_PACKET_COPY_ACK)
        return;
    struct tvm_reader reader = { .at = reply->bytes, .left = reply->size };
    MUST(tvm_read_sequence(&reader, items, &reply->count, &error) == 0);
    MUST(tvm_read_end(&reader, &error) == 0 && reply->count <= 8);
    memcpy(reply->items, items, reply->count * sizeof items[0]);
}

void reply_free(struct reply *reply)
{
    free(reply->bytes);
    reply->bytes = NULL;
}

void ask(struct client *client, struct reply *reply, uint32_t code, const char *letters, ...)
{
    struct packet body = { 0 };
    va_list args;
    va_start(args, letters);
    put_all(&body, letters, args);
    va_end(args);
    client_send(client, code, &body);
    client_receive(client, reply);
    packet_free(&body);
}

void call(struct client *client, struct reply *reply, uint64_t function, const char *letters, ...)
{
    struct packet body = { 0 };
    va_list args;
    put_u64(&body, function);
    va_start(args, letters);
    put_all(&body, letters, args);
    va_end(args);
    client_send(client, TVM_PACKET_CALL_FUNC, &body);
    client_receive(client, reply);
    packet_free(&body);
}

/* ---- Expectations -------------------------------------------------------------------------- */

static void print_exception(const struct reply *reply)
{
    if (reply->code == TVM_PACKET_EXCEPTION)
        fprintf(stderr, "the session said: %s\n", reply->items[0].bytes.data);
}

void expect_exception(struct reply *reply, const char *words)
{
    MUST(reply->code == TVM_PACKET_EXCEPTION && reply->count == 1);
    MUST(reply->items[0].code == TVM_STRING);
    if (strstr(reply->items[0].bytes.data, words) == NULL) {
        fprintf(stderr, "expected: %s\n", words);
        print_exception(reply);
        abort();
    }
    reply_free(reply);
}

static void must_return(const struct reply *reply)
{
    if (reply->code != TVM_PACKET_RETURN)
        print_exception(reply);
    MUST(reply->code == TVM_PACKET_RETURN && reply->count > 0);
}

void expect_null(struct reply *reply)
{
    must_return(reply);
    MUST(reply->items[reply->count - 1].code == TVM_NULL);
    MUST(reply->count == 1 || reply->items[0].i == TVM_NULL);
    reply_free(reply);
}

int64_t expect_int(struct reply *reply)
{
    must_return(reply);
    const struct tvm_item *last = &reply->items[reply->count - 1];
    MUST(last->code == TVM_INT);
    int64_t value = last->i;
    reply_free(reply);
    return value;
}

uint64_t expect_handle(struct reply *reply, int32_t code)
{
    must_return(reply);
    const struct tvm_item *last = &reply->items[reply->count - 1];
    MUST(last->code == TVM_OPAQUE);
    MUST(reply->count == 1 || reply->items[0].i == code);
    uint64_t handle = last->handle;
    reply_free(reply);
    return handle;
}

uint64_t function_of(struct client *client, const char *name)
{
    struct reply reply;
    ask(client, &reply, TVM_PACKET_GET_GLOBAL_FUNC, "s", name);
    return expect_handle(&reply, 0);
}

static void forget(struct client *client, uint64_t function)
{
    struct reply reply;
    ask(client, &reply, TVM_PACKET_FREE_HANDLE, "hi", function, (int64_t)TVM_FUNCTION);
    expect_null(&reply);
}

uint64_t module_of(struct client *client, const char *name)
{
    struct reply reply;
    uint64_t upload = function_of(client, "tvm.rpc.server.upload");
    uint64_t load = function_of(client, "tvm.rpc.server.load_module");
    call(client, &reply, upload, "sb", name, "imitation", (size_t)9);
    expect_null(&reply);
    call(client, &reply, load, "s", name);
    forget(client, upload);
    forget(client, load);
    return expect_handle(&reply, TVM_MODULE);
}

uint64_t kernel_of(struct client *client, uint64_t module, const char *name)
{
    struct reply reply;
    uint64_t get = function_of(client, "tvm.rpc.server.ModuleGetFunction");
    call(client, &reply, get, "msi", module, name, (int64_t)0);
    forget(client, get);
    return expect_handle(&reply, TVM_FUNCTION);
}

uint64_t memory_of(struct client *client, int device, uint64_t nbytes)
{
    struct reply reply;
    ask(client, &reply, TVM_PACKET_DEV_ALLOC_DATA, "diiy", device, 0, nbytes, (int64_t)64, 0, 8, 1);
    return expect_handle(&reply, 0);
}

void copy_to(struct client *client, const struct tensor *tensor, const void *bytes, size_t nbytes)
{
    struct packet body = { 0 };
    struct reply reply;
    put_tensor(&body, tensor);
    put_u64(&body, nbytes);
    put_bytes(&body, bytes, nbytes);
    client_send(client, TVM_PACKET_COPY_TO_REMOTE, &body);
    client_receive(client, &reply);
    expect_null(&reply);
    packet_free(&body);
}

void copy_from(struct client *client, const struct tensor *tensor, void *bytes, size_t nbytes)
{
    struct packet body = { 0 };
    struct reply reply;
    put_tensor(&body, tensor);
    put_u64(&body, nbytes);
    client_send(client, TVM_PACKET_COPY_FROM_REMOTE, &body);
    client_receive(client, &reply);
    print_exception(&reply);
    MUST(reply.code == TVM_PACKET_COPY_ACK && reply.size == nbytes);
    memcpy(bytes, reply.bytes, nbytes);
    reply_free(&reply);
    packet_free(&body);
}

/* ---- A wire of memory ---------------------------------------------------------------------- */

static ssize_t read_memory(void *context, void *bytes, size_t nbytes)
{
    struct memory_wire *memory = context;
    size_t left = memory->input_bytes - memory->at;
    if (memory->most != 0 && nbytes > memory->most)
        nbytes = memory->most;
    if (nbytes > left)
        nbytes = left;
    if (nbytes > 0)
        memcpy(bytes, memory->input + memory->at, nbytes);
    memory->at += nbytes;
    return (ssize_t)nbytes;
}

static int write_memory(void *context, struct iovec *pieces, int count)
{
    struct memory_wire *memory = context;
    for (int i = 0; i < count; i++) {
        size_t nbytes = pieces[i].iov_len, end = memory->output_bytes + nbytes;
        if (memory->output_room == 0) {
            uint8_t *output = realloc(memory->output, end + 1);
            MUST(output != NULL);
            memory->output = output;
        }
        if (nbytes > 0 && (memory->output_room == 0 || end <= memory->output_room))
            memcpy(memory->output + memory->output_bytes, pieces[i].iov_base, nbytes);
        memory->output_bytes = end;
    }
    return 0;
}

struct wire wire_memory(struct memory_wire *memory)
{
    return (struct wire){ .read = read_memory, .write = write_memory, .context = memory };
}
