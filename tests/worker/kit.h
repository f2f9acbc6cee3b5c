/* kit.h: what the suites of worker/ share: a worker with an imitated loader, a client that asks
 * one session over a socket pair, and a wire that is memory.
 */
#ifndef TEST_WORKER_KIT_H
#define TEST_WORKER_KIT_H

#include "proto/tvm.h"
#include "worker/session.h"

/* ---- A worker ------------------------------------------------------------------------------ */

struct kit {
    char scratch[64];
    struct worker worker;
    char log[4096]; /* what it logged, a line each */
};

/* Small limits: 1 MiB of a packet, 1 MiB in 8 files, 1 MiB of cpu memory, 16 MiB of DRAM, 32
 * handles, 100 evaluations, no deadline. */
void kit_options(struct worker_options *options);
void kit_open(struct kit *kit, const struct worker_options *options); /* NULL: kit_options */
void kit_close(struct kit *kit);                                      /* removes its files */

/* The imitation of module_code_loader: a file that begins with "imitation" is a module of these
 * functions, and everything else is refused.
 *
 *   echo(x)        returns x: ints, floats, null; a string or bytes as such
 *   add_one(a, b)  b = a + 1 for int8 tensors of any device
 *   mix(a…, b)     b = 1 + 1 × the first a + 2 × the second …, for tensors of bytes; a short a is
 *                  taken again from its begin
 *   split(a, b…)   the first b = 2 × a, the second 3 × a …; a has one dimension
 *   double(a)      adds a to itself on the board: a is int32 on ext_dev, 16 numbers or more
 *   racing(a)      as double, but its store does not wait for the sums
 *   outside(a)     loads behind a's end on the board
 *   spin(a)        runs on the board until it is stopped
 *   fail()         fails with words of its own
 *   fail_both(a)   as outside, and fails with words of its own
 *   count()        how often it was called
 *   array(n)       an int8 array of n numbers 0, 1, …
 *   itself()       the function "itself"
 *   self()         the module
 *   pointer()      an address, which cannot be sent
 *   takes(…)       returns the type codes of its arguments as a string: "0,7,9"
 */
extern const struct module_loader kit_loader;
unsigned kit_modules(void); /* imitated modules that are alive */

/* ---- A client ------------------------------------------------------------------------------ */

/* One session in a thread, and this side of its socket. */
struct client {
    struct kit *kit;
    int fd, server_fd;
    void *thread;
    int rc; /* of session_run, after client_close */
    struct vta_error error;
};

void client_open(struct client *client, struct kit *kit); /* InitServer is sent */
void client_open_bare(struct client *client, struct kit *kit);
/* Closes this side, waits for the session's end; *client keeps rc and error. */
void client_close(struct client *client);

struct tensor {
    uint64_t data;
    int32_t device;
    uint8_t code, bits;
    uint16_t lanes; /* 0 counts as 1 */
    int32_t ndim;
    int64_t shape[4];
    uint64_t offset;
};

struct packet {
    uint8_t *bytes;
    size_t size, room;
};
void packet_free(struct packet *packet);
void put_bytes(struct packet *packet, const void *bytes, size_t nbytes);
void put_u32(struct packet *packet, uint32_t value);
void put_u64(struct packet *packet, uint64_t value);
void put_text(struct packet *packet, const char *text);
void put_tensor(struct packet *packet, const struct tensor *tensor);
/* A packed sequence; a letter and its arguments each:
 *   i int64_t   u int64_t (uint)   l int64_t (bool)   f double   n nothing (null)
 *   h m F o uint64_t: opaque, module, function, object   d int, int: device
 *   y int, int, int: dtype   s const char *   b const void *, size_t   t struct tensor * */
void put_values(struct packet *packet, const char *letters, ...);

/* What came back. items point into bytes. */
struct reply {
    uint32_t code;
    uint8_t *bytes; /* owned; reply_free */
    size_t size;
    uint32_t count;
    struct tvm_item items[8];
};
void reply_free(struct reply *reply);

void client_send(struct client *client, uint32_t code, const struct packet *body);
void client_send_raw(struct client *client, const void *bytes, size_t nbytes);
void client_receive(struct client *client, struct reply *reply);

/* A system call, and a call of a function; the reply to either. */
void ask(struct client *client, struct reply *reply, uint32_t code, const char *letters, ...);
void call(struct client *client, struct reply *reply, uint64_t function, const char *letters, ...);
/* Expecting one kind of reply; the message where it is another. */
uint64_t function_of(struct client *client, const char *name); /* 0: none */
uint64_t module_of(struct client *client, const char *name);   /* uploads an imitation */
uint64_t kernel_of(struct client *client, uint64_t module, const char *name);
uint64_t memory_of(struct client *client, int device, uint64_t nbytes);
void copy_to(struct client *client, const struct tensor *tensor, const void *bytes, size_t nbytes);
void copy_from(struct client *client, const struct tensor *tensor, void *bytes, size_t nbytes);

/* The reply is an exception that holds these words; both free it. */
void expect_exception(struct reply *reply, const char *words);
/* The reply is a return of null: of a system call, or of a function. */
void expect_null(struct reply *reply);
/* The int, handle or text that a function returned. */
int64_t expect_int(struct reply *reply);
uint64_t expect_handle(struct reply *reply, int32_t code);

/* ---- A wire of memory ---------------------------------------------------------------------- */

struct memory_wire {
    const uint8_t *input;
    size_t input_bytes, at;
    size_t most; /* bytes per read; 0: any */
    uint8_t *output;
    size_t output_bytes;
    size_t output_room; /* writes past it are counted, not kept; 0: keep all */
};
struct wire wire_memory(struct memory_wire *memory);

#endif
