/* scan.c: the state machine of scan.h.
 *
 * A msgpack value is a header of 1 to 9 bytes and, for strings and binaries, a payload. The header
 * alone decides: what it announces is held against the limits before a byte of it arrives, and
 * payloads are passed over without being looked at. Nothing here depends on how the bytes were
 * cut into chunks.
 */
#include "scan.h"

#include <string.h>

enum kind {
    SCALAR, /* the header is the whole value */
    TEXT,
    BLOB,
    ARRAY,
    MAP,
    NEVER_USED, /* 0xc1 */
    EXTENSION
};

struct lead {
    uint8_t kind;         /* enum kind */
    uint8_t header_bytes; /* the leading byte included */
};

/* What the bytes 0xc0…0xdf announce. */
static const struct lead wide_leads[32] = {
    { SCALAR, 1 },    { NEVER_USED, 1 }, { SCALAR, 1 },    { SCALAR, 1 }, /* nil, –, booleans */
    { BLOB, 2 },      { BLOB, 3 },       { BLOB, 5 },      { EXTENSION, 1 }, /* bin 8, 16, 32 */
    { EXTENSION, 1 }, { EXTENSION, 1 },  { SCALAR, 5 },    { SCALAR, 9 },    /* float 32, 64 */
    { SCALAR, 2 },    { SCALAR, 3 },     { SCALAR, 5 },    { SCALAR, 9 }, /* uint 8, 16, 32, 64 */
    { SCALAR, 2 },    { SCALAR, 3 },     { SCALAR, 5 },    { SCALAR, 9 }, /* int 8, 16, 32, 64 */
    { EXTENSION, 1 }, { EXTENSION, 1 },  { EXTENSION, 1 }, { EXTENSION, 1 }, /* fixext */
    { EXTENSION, 1 }, { TEXT, 2 },       { TEXT, 3 },      { TEXT, 5 },      /* str 8, 16, 32 */
    { ARRAY, 3 },     { ARRAY, 5 },      { MAP, 3 },       { MAP, 5 },
};

static struct lead lead_of(uint8_t byte)
{
    if (byte <= 0x7f || byte >= 0xe0)
        return (struct lead){ SCALAR, 1 };
    if (byte <= 0x8f)
        return (struct lead){ MAP, 1 };
    if (byte <= 0x9f)
        return (struct lead){ ARRAY, 1 };
    if (byte <= 0xbf)
        return (struct lead){ TEXT, 1 };
    return wide_leads[byte - 0xc0];
}

/* The length or count that a whole header of a string, binary, array or map carries. */
static uint32_t announced(const uint8_t *head, uint8_t header_bytes)
{
    uint32_t value = 0;

    if (header_bytes == 1)
        return head[0] <= 0x9f ? head[0] & 0x0f : head[0] & 0x1f;
    for (uint8_t i = 1; i < header_bytes; i++)
        value = value << 8 | head[i];
    return value;
}

/* Values that open arrays and maps still wait for; each is a byte at least. */
static uint64_t values_to_come(const struct vta_scan *scan)
{
    uint64_t sum = 0;

    for (uint32_t level = 0; level < scan->depth; level++)
        sum += scan->left[level];
    return sum;
}

/* Refuses a header after which the value could not end within message_bytes. */
static int check_bytes(const struct vta_scan *scan, uint64_t payload, struct vta_error *error)
{
    uint64_t limit = scan->limits.message_bytes;
    uint64_t least = values_to_come(scan);

    if (payload > UINT64_MAX - scan->used || least > UINT64_MAX - scan->used - payload)
        least = UINT64_MAX;
    else
        least += scan->used + payload;
    if (least > limit)
        return vta_error_limit(error, VTA_ELIMIT, (int64_t)limit, (int64_t)least,
                               "a message of at least %llu bytes, the limit is %llu",
                               (unsigned long long)least, (unsigned long long)limit);
    return 0;
}

static int check_payload(const char *thing, uint64_t limit, uint32_t length,
                         struct vta_error *error)
{
    if (length > limit)
        return vta_error_limit(error, VTA_ELIMIT, (int64_t)limit, length,
                               "a %s of %u bytes, the limit is %llu", thing, length,
                               (unsigned long long)limit);
    return 0;
}

/* Opens an array or map of `count` entries. The value that it is has been counted. */
static int open_container(struct vta_scan *scan, bool map, uint32_t count, struct vta_error *error)
{
    const struct vta_wire_limits *limits = &scan->limits;
    const char *thing = map ? "a map" : "an array";
    uint64_t total;

    if (scan->depth >= limits->depth)
        return vta_error_limit(error, VTA_ELIMIT, limits->depth, (int64_t)scan->depth + 1,
                               "arrays and maps nested %u deep, the limit is %u", scan->depth + 1,
                               limits->depth);
    if (count > limits->items)
        return vta_error_limit(error, VTA_ELIMIT, limits->items, count,
                               "%s of %u entries, the limit is %u", thing, count, limits->items);
    if (count != 0)
        scan->left[scan->depth++] = map ? 2 * count : count;

    total = scan->total + values_to_come(scan);
    if (total > limits->total_items)
        return vta_error_limit(error, VTA_ELIMIT, limits->total_items, (int64_t)total,
                               "at least %llu values, the limit is %u", (unsigned long long)total,
                               limits->total_items);
    return 0;
}

/* A value has begun: takes it off the container that waits for it. */
static void count_value(struct vta_scan *scan)
{
    scan->total++;
    if (scan->depth > 0)
        scan->left[scan->depth - 1]--;
}

/* Judges a whole header. scan->used already holds its bytes. */
static int take_header(struct vta_scan *scan, const uint8_t *head, struct lead lead,
                       struct vta_error *error)
{
    uint32_t length = 0;
    int rc = 0;

    switch (lead.kind) {
    case NEVER_USED:
        return vta_error_set(error, VTA_EPROTO, "byte %llu is 0xc1, which is not MessagePack",
                             (unsigned long long)(scan->used - 1));
    case EXTENSION:
        return vta_error_set(error, VTA_EPROTO,
                             "byte %llu is 0x%02x, an extension type; none is used here",
                             (unsigned long long)(scan->used - 1), head[0]);
    case TEXT:
        length = announced(head, lead.header_bytes);
        rc = check_payload("string", scan->limits.text_bytes, length, error);
        scan->skip = length;
        break;
    case BLOB:
        length = announced(head, lead.header_bytes);
        rc = check_payload("binary", scan->limits.blob_bytes, length, error);
        scan->skip = length;
        break;
    default:
        break;
    }
    if (rc != 0)
        return rc;
    count_value(scan);
    if (lead.kind == ARRAY || lead.kind == MAP)
        rc = open_container(scan, lead.kind == MAP, announced(head, lead.header_bytes), error);
    else if (scan->total > scan->limits.total_items)
        rc = vta_error_limit(error, VTA_ELIMIT, scan->limits.total_items, (int64_t)scan->total,
                             "at least %llu values, the limit is %u",
                             (unsigned long long)scan->total, scan->limits.total_items);
    return rc != 0 ? rc : check_bytes(scan, scan->skip, error);
}

/* Passes over payload bytes; returns how many. */
static size_t take_payload(struct vta_scan *scan, size_t available)
{
    size_t n = scan->skip < available ? (size_t)scan->skip : available;

    scan->skip -= n;
    scan->used += n;
    return n;
}

/* Gathers the header at `bytes`, which may have begun in an earlier chunk. Returns 1 when it was
 * whole and is judged, 0 when more bytes are needed, or an error. */
static int take_head(struct vta_scan *scan, const uint8_t *bytes, size_t available, size_t *taken,
                     struct vta_error *error)
{
    struct lead lead = lead_of(scan->head_used > 0 ? scan->head[0] : bytes[0]);
    const uint8_t *head = bytes;
    size_t need = (size_t)(lead.header_bytes - scan->head_used);
    int rc;

    if (scan->head_used > 0 || need > available) {
        *taken = need < available ? need : available;
        memcpy(scan->head + scan->head_used, bytes, *taken);
        scan->used += *taken;
        if (need > available) {
            scan->head_used = (uint8_t)(scan->head_used + available);
            scan->head_need = lead.header_bytes;
            return 0;
        }
        head = scan->head;
        scan->head_used = scan->head_need = 0;
    } else {
        *taken = need;
        scan->used += need;
    }
    rc = take_header(scan, head, lead, error);
    return rc != 0 ? rc : 1;
}

/* Closes the containers that have all their values; whether the whole value is complete. */
static bool complete(struct vta_scan *scan)
{
    if (scan->skip > 0)
        return false;
    while (scan->depth > 0 && scan->left[scan->depth - 1] == 0)
        scan->depth--;
    return scan->depth == 0;
}

static void next_value(struct vta_scan *scan)
{
    scan->used = scan->skip = scan->total = 0;
    scan->depth = 0;
    scan->head_used = scan->head_need = 0;
}

void vta_wire_limits_default(struct vta_wire_limits *limits)
{
    *limits = (struct vta_wire_limits){
        .message_bytes = UINT64_C(8) << 20,
        .depth = VTA_SCAN_DEPTH_MAX,
        .items = UINT32_C(1) << 16,
        .total_items = UINT32_C(1) << 20,
        .text_bytes = UINT64_C(1) << 20,
        .blob_bytes = UINT64_C(8) << 20,
    };
}

void vta_scan_init(struct vta_scan *scan, const struct vta_wire_limits *limits)
{
    memset(scan, 0, sizeof *scan);
    scan->limits = *limits;
    if (scan->limits.depth > VTA_SCAN_DEPTH_MAX)
        scan->limits.depth = VTA_SCAN_DEPTH_MAX;
    if (scan->limits.items > INT32_MAX) /* a map holds two values per entry */
        scan->limits.items = INT32_MAX;
}

int vta_scan_feed(struct vta_scan *scan, const uint8_t *bytes, size_t nbytes, size_t *taken,
                  struct vta_error *error)
{
    *taken = 0;
    while (*taken < nbytes) {
        size_t n = 0;

        if (scan->skip > 0) {
            n = take_payload(scan, nbytes - *taken);
        } else {
            int rc = take_head(scan, bytes + *taken, nbytes - *taken, &n, error);
            if (rc <= 0) {
                *taken += n;
                return rc;
            }
        }
        *taken += n;
        if (complete(scan)) {
            next_value(scan);
            return 1;
        }
    }
    return 0;
}

uint64_t vta_scan_wanted(const struct vta_scan *scan)
{
    uint64_t wanted =
        scan->skip + (uint64_t)(scan->head_need - scan->head_used) + values_to_come(scan);

    /* The value whose header is incomplete is still counted in its container. */
    if (scan->head_used > 0 && scan->depth > 0)
        wanted--;
    return wanted > 0 ? wanted : 1;
}
