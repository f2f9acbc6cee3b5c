/* bulk.c: moves many bytes in pipelined chunks: several requests are under way while the daemon
 * works on the first. Payloads are sent from, and received into, the caller's own memory.
 */
#include "session.h"

/* The daemon holds a whole message before it executes what is written, and sends what is read from
 * the board's memory piece by piece. A MiB is large enough that nobody waits, and small enough to
 * stay in a cache between the two: reads in chunks of 4 MiB were slower and varied more. */
#define CHUNK_BYTES      ((uint64_t)1 << 20)
#define MESSAGE_OVERHEAD 512u /* a request but for its payload: method, name, numbers */

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t vta_bulk_write_chunk(const struct vta_session *session)
{
    uint64_t message = session->info.message_bytes;

    return smaller(CHUNK_BYTES,
                   message > 2 * MESSAGE_OVERHEAD ? message - MESSAGE_OVERHEAD : MESSAGE_OVERHEAD);
}

static uint64_t read_chunk(const struct vta_session *session)
{
    uint64_t most = session->info.read_bytes;

    return smaller(CHUNK_BYTES, most > 0 ? most : 1);
}

static int submit(struct vta_session *session, const struct vta_bulk *bulk, uint64_t offset,
                  size_t nbytes, struct vta_error *error)
{
    msgpack_packer *packer = vta_request_begin(session, bulk->method, 3);
    struct vta_bulk_part part = { 0 };

    if (bulk->name != NULL)
        vta_pack_str(packer, bulk->name);
    else
        msgpack_pack_uint64(packer, bulk->handle);
    msgpack_pack_uint64(packer, offset);
    if (bulk->from != NULL) {
        msgpack_pack_bin(packer, nbytes);
        part.blob = bulk->from + offset;
        part.nbytes = nbytes;
    } else {
        msgpack_pack_uint64(packer, nbytes);
        part.into = bulk->into + offset;
        part.into_bytes = nbytes;
    }
    return vta_request_submit(session, &part, error);
}

int vta_bulk_move(struct vta_session *session, const struct vta_bulk *bulk, struct vta_error *error)
{
    int rc = vta_session_usable(session, error);
    if (rc != 0)
        return rc;

    uint64_t chunk = bulk->from != NULL ? vta_bulk_write_chunk(session) : read_chunk(session);
    unsigned window = session->wire.transport->window;
    uint64_t sent = 0, done = 0;
    unsigned under_way = 0;

    while (under_way > 0 || (sent < bulk->total && rc == 0)) {
        while (rc == 0 && sent < bulk->total && under_way < window) {
            size_t nbytes = (size_t)smaller(chunk, bulk->total - sent);
            rc = submit(session, bulk, sent, nbytes, error);
            if (rc != 0 && !session->open)
                return rc; /* nothing comes any more */
            if (rc != 0)
                break; /* but the answers on their way go to the caller's memory: they are awaited
                        */
            sent += nbytes;
            under_way++;
        }
        if (under_way == 0)
            return rc;
        struct vta_error reason;
        bool failed;
        int broken = vta_request_collect(session, &failed, &reason);
        if (failed || broken != 0) {
            if (error != NULL && rc == 0)
                *error = reason;
            rc = rc != 0 ? rc : reason.code;
        }
        if (broken != 0)
            return broken;
        under_way--;
        done = smaller(done + chunk, bulk->total);
        if (rc == 0 && session->progress != NULL && bulk->total > chunk)
            session->progress(session->progress_context, bulk->what, done, bulk->total);
    }
    return rc;
}
