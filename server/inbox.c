/* inbox.c: see inbox.h for the invariants.
 */
#include "inbox.h"

#include <stdlib.h>
#include <string.h>

#define OWN_BYTES_MIN  4096u
#define LARGE_BYTES    (64u << 10) /* a message from which on reading goes to the own buffer */
#define READ_BYTES_MAX (1u << 20)
#define DONE_BYTES_MIN (64u << 10) /* less is not worth moving what lies around it */
#define ENTRIES_KEPT   64u

/* ---- The pool ------------------------------------------------------------------------------ */

int inbox_pool_init(struct inbox_pool *pool)
{
    *pool = (struct inbox_pool){ .shared_size = INBOX_SHARED_BYTES };
    pool->shared = malloc(pool->shared_size);
    return pool->shared != NULL ? 0 : VTA_ENOMEM;
}

void inbox_pool_clear(struct inbox_pool *pool)
{
    free(pool->shared);
    free(pool->spare.data);
    *pool = (struct inbox_pool){ 0 };
}

void inbox_pool_give(struct inbox_pool *pool, struct bytes *bytes)
{
    if (bytes->capacity > pool->spare.capacity && bytes->capacity <= INBOX_SPARE_BYTES) {
        struct bytes old = pool->spare;
        pool->spare = *bytes;
        *bytes = old;
    }
    free(bytes->data);
    *bytes = (struct bytes){ 0 };
}

static uint8_t *pool_take(struct inbox_pool *pool, size_t need, size_t *capacity)
{
    if (pool->spare.capacity >= need) {
        struct bytes spare = pool->spare;
        pool->spare = (struct bytes){ 0 };
        *capacity = spare.capacity;
        return spare.data;
    }
    *capacity = need > OWN_BYTES_MIN ? need : OWN_BYTES_MIN;
    return malloc(*capacity);
}

/* ---- Bytes --------------------------------------------------------------------------------- */

void inbox_init(struct inbox *inbox, struct inbox_pool *pool, const struct vta_wire_limits *wire,
                const struct inbox_limits *limits)
{
    *inbox = (struct inbox){ .pool = pool, .limits = *limits };
    vta_scan_init(&inbox->scan, wire);
}

/* Gives the bytes back; whatever was in them is gone. */
static void release(struct inbox *inbox)
{
    if (!inbox->borrowed && inbox->data != NULL) {
        struct bytes own = { .data = inbox->data, .capacity = inbox->capacity };
        inbox_pool_give(inbox->pool, &own);
    }
    inbox->data = NULL;
    inbox->capacity = inbox->begin = inbox->cut = inbox->fed = inbox->end = 0;
    inbox->borrowed = false;
}

void inbox_clear(struct inbox *inbox)
{
    release(inbox);
    free(inbox->entries);
    inbox->entries = NULL;
    inbox->first = inbox->count = inbox->size = inbox->waiting = 0;
    inbox->waiting_bytes = inbox->done_bytes = 0;
}

/* Moves what is left to the start of the own buffer. */
static void compact(struct inbox *inbox)
{
    if (inbox->begin == 0)
        return;
    memmove(inbox->data, inbox->data + inbox->begin, inbox->end - inbox->begin);
    inbox->cut -= inbox->begin;
    inbox->fed -= inbox->begin;
    inbox->end -= inbox->begin;
    inbox->begin = 0;
}

/* Makes room behind what has arrived: at most as much again, so that memory follows bytes. */
static bool grow(struct inbox *inbox)
{
    if (inbox->capacity - inbox->end >= OWN_BYTES_MIN / 2)
        return true;
    compact(inbox);
    if (inbox->capacity - inbox->end >= inbox->capacity / 4)
        return true;
    size_t capacity = inbox->capacity * 2;
    uint8_t *data = realloc(inbox->data, capacity);
    if (data == NULL)
        return false;
    inbox->data = data;
    inbox->capacity = capacity;
    return true;
}

void inbox_room(struct inbox *inbox, uint8_t **bytes, size_t *nbytes)
{
    struct inbox_pool *pool = inbox->pool;
    if (inbox->data == NULL && inbox->bulk && pool->spare.data != NULL) {
        inbox->data = pool_take(pool, 0, &inbox->capacity);
    } else if (inbox->data == NULL) {
        inbox->data = pool->shared;
        inbox->capacity = pool->shared_size;
        inbox->borrowed = true;
    } else if (!inbox->borrowed && !grow(inbox)) {
        *bytes = NULL;
        *nbytes = 0;
        return;
    }

    *bytes = inbox->data + inbox->end;
    *nbytes = inbox->capacity - inbox->end;
    if (inbox->borrowed)
        return;
    /* Ends reads of a large message where the message ends, so that the next one starts a buffer
     * and nothing is moved. */
    uint64_t wanted = inbox->cut < inbox->fed ? vta_scan_wanted(&inbox->scan) : 0;
    size_t most = wanted > LARGE_BYTES / 4
                      ? (size_t)(wanted < READ_BYTES_MAX ? wanted : READ_BYTES_MAX)
                      : LARGE_BYTES;
    if (*nbytes > most)
        *nbytes = most;
}

void inbox_arrived(struct inbox *inbox, size_t nbytes)
{
    inbox->end += nbytes;
}

int inbox_settle(struct inbox *inbox)
{
    if (inbox->begin == inbox->end) {
        release(inbox);
        return 0;
    }
    if (!inbox->borrowed)
        return 0;

    size_t left = inbox->end - inbox->begin, capacity;
    uint8_t *own = pool_take(inbox->pool, left, &capacity);
    if (own == NULL) {
        release(inbox);
        return VTA_ENOMEM;
    }
    memcpy(own, inbox->data + inbox->begin, left);
    inbox->data = own;
    inbox->capacity = capacity;
    inbox->cut -= inbox->begin;
    inbox->fed -= inbox->begin;
    inbox->end = left;
    inbox->begin = 0;
    inbox->borrowed = false;
    return 0;
}

/* ---- Messages ------------------------------------------------------------------------------ */

static void update_full(struct inbox *inbox)
{
    const struct inbox_limits *limits = &inbox->limits;
    if (inbox->waiting >= limits->requests || inbox->waiting_bytes >= limits->bytes)
        inbox->full = true;
    else if (inbox->waiting <= limits->requests / 2 && inbox->waiting_bytes <= limits->bytes / 2)
        inbox->full = false;
}

static bool push(struct inbox *inbox, size_t length)
{
    if (inbox->first + inbox->count == inbox->size) {
        if (inbox->first > 0) {
            memmove(inbox->entries, inbox->entries + inbox->first,
                    inbox->count * sizeof *inbox->entries);
            inbox->first = 0;
        }
        if (inbox->count == inbox->size) {
            uint32_t size = inbox->size != 0 ? inbox->size * 2 : 4;
            struct inbox_entry *entries = realloc(inbox->entries, size * sizeof *entries);
            if (entries == NULL)
                return false;
            inbox->entries = entries;
            inbox->size = size;
        }
    }
    inbox->entries[inbox->first + inbox->count++] = (struct inbox_entry){ (uint32_t)length, false };
    inbox->waiting++;
    inbox->waiting_bytes += length;
    update_full(inbox);
    return true;
}

int inbox_cut(struct inbox *inbox, const uint8_t **bytes, size_t *length, struct vta_error *error)
{
    if (inbox->fed == inbox->end)
        return 0;
    size_t taken;
    int rc = vta_scan_feed(&inbox->scan, inbox->data + inbox->fed, inbox->end - inbox->fed, &taken,
                           error);
    if (rc < 0)
        return rc;
    inbox->fed += taken;
    if (rc == 0)
        return 0;

    *bytes = inbox->data + inbox->cut;
    *length = inbox->fed - inbox->cut;
    if (!push(inbox, *length))
        return vta_error_set(error, VTA_ENOMEM, "no memory for a request that waits");
    inbox->cut = inbox->fed;
    inbox->bulk = *length >= LARGE_BYTES;
    return 1;
}

bool inbox_has_uncut(const struct inbox *inbox)
{
    return inbox->fed < inbox->end;
}

/* Passes over what has been executed at the front. */
static void drop_done(struct inbox *inbox)
{
    while (inbox->count > 0 && inbox->entries[inbox->first].done) {
        inbox->begin += inbox->entries[inbox->first].length;
        inbox->done_bytes -= inbox->entries[inbox->first].length;
        inbox->first++;
        inbox->count--;
    }
    if (inbox->count > 0)
        return;
    inbox->first = 0;
    if (inbox->size > ENTRIES_KEPT) {
        free(inbox->entries);
        inbox->entries = NULL;
        inbox->size = 0;
    }
}

/* Moves together what waits and what has not been cut. */
static void squeeze(struct inbox *inbox)
{
    struct inbox_entry *entries = inbox->entries + inbox->first;
    size_t from = inbox->begin, to = inbox->begin;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < inbox->count; i++) {
        const struct inbox_entry entry = entries[i];
        if (!entry.done) {
            memmove(inbox->data + to, inbox->data + from, entry.length);
            entries[kept++] = entry;
            to += entry.length;
        }
        from += entry.length;
    }
    memmove(inbox->data + to, inbox->data + from, inbox->end - from);
    inbox->cut -= from - to;
    inbox->fed -= from - to;
    inbox->end -= from - to;
    inbox->count = kept;
    inbox->done_bytes = 0;
}

static void finish(struct inbox *inbox, struct inbox_entry *entry)
{
    entry->done = true;
    inbox->waiting--;
    inbox->waiting_bytes -= entry->length;
    inbox->done_bytes += entry->length;
    drop_done(inbox);
    /* As much is squeezed out as is moved, so that a byte is moved a bounded number of times. */
    if (inbox->done_bytes > DONE_BYTES_MIN &&
        inbox->done_bytes > inbox->waiting_bytes + (inbox->end - inbox->cut))
        squeeze(inbox);
    update_full(inbox);
}

void inbox_skip(struct inbox *inbox)
{
    finish(inbox, &inbox->entries[inbox->first + inbox->count - 1]);
}

bool inbox_front(struct inbox *inbox, const uint8_t **bytes, size_t *length)
{
    if (inbox->count == 0)
        return false;
    *bytes = inbox->data + inbox->begin;
    *length = inbox->entries[inbox->first].length;
    return true;
}

void inbox_pop(struct inbox *inbox)
{
    finish(inbox, &inbox->entries[inbox->first]);
}

int inbox_take(struct inbox *inbox, struct bytes *bytes)
{
    size_t length = inbox->entries[inbox->first].length, capacity;
    size_t rest = inbox->end - inbox->begin - length;
    uint8_t *other = NULL;

    /* Whichever is smaller is copied: the message, or what follows it. */
    if (inbox->borrowed || inbox->begin > 0 || length < rest || length < LARGE_BYTES) {
        other = pool_take(inbox->pool, length, &capacity);
        if (other == NULL)
            return VTA_ENOMEM;
        memcpy(other, inbox->data + inbox->begin, length);
        *bytes = (struct bytes){ .data = other, .length = length, .capacity = capacity };
        inbox_pop(inbox);
        return 0;
    }

    if (rest > 0) {
        other = pool_take(inbox->pool, rest, &capacity);
        if (other == NULL)
            return VTA_ENOMEM;
        memcpy(other, inbox->data + length, rest);
    }
    *bytes = (struct bytes){ .data = inbox->data, .length = length, .capacity = inbox->capacity };
    /* What is left lies as if the message had had no bytes, before anything else moves it. */
    inbox->data = other;
    inbox->capacity = rest > 0 ? capacity : 0;
    inbox->cut -= length;
    inbox->fed -= length;
    inbox->end -= length;
    inbox->waiting_bytes -= length;
    inbox->entries[inbox->first].length = 0;
    inbox_pop(inbox);
    return 0;
}
