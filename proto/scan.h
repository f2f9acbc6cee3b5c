/* scan.h: finds where a msgpack value ends in a stream of bytes, and whether it keeps the limits,
 * before anything is allocated for it.
 *
 * msgpack-c trusts announced lengths when it decodes; so nothing is decoded here before this
 * scanner has seen it whole. Incremental: bytes may arrive one at a time. Constant memory.
 */
#ifndef VTA_PROTO_SCAN_H
#define VTA_PROTO_SCAN_H

#include <stddef.h>
#include <stdint.h>

#include <vta/error.h>

#define VTA_SCAN_DEPTH_MAX 16

struct vta_wire_limits {
    uint64_t message_bytes; /* a whole value */
    uint32_t depth;         /* nesting, at most VTA_SCAN_DEPTH_MAX */
    uint32_t items;         /* entries of one array or map, at most INT32_MAX */
    uint32_t total_items;   /* all values in one message */
    uint64_t text_bytes;    /* one string */
    uint64_t blob_bytes;    /* one binary */
};

/* 8 MiB messages, depth 16, 65536 items, 1 MiB total items, 1 MiB strings, 8 MiB binaries. */
void vta_wire_limits_default(struct vta_wire_limits *limits);

struct vta_scan {
    struct vta_wire_limits limits;
    uint64_t used;  /* bytes of the present value so far */
    uint64_t skip;  /* payload bytes still to pass */
    uint64_t total; /* values seen in it */
    uint32_t depth;
    uint32_t left[VTA_SCAN_DEPTH_MAX]; /* values still to come at each level */
    uint8_t head[9];                   /* a value's header while it is incomplete */
    uint8_t head_used, head_need;
};

void vta_scan_init(struct vta_scan *scan, const struct vta_wire_limits *limits);

/* Takes bytes until one value is complete. *taken is how many belong to it.
 * Returns 1 (complete; the scanner is ready for the next value), 0 (more bytes needed; all were
 * taken), VTA_ELIMIT or VTA_EPROTO (0xc1, ext types). After an error the stream is lost. */
int vta_scan_feed(struct vta_scan *scan, const uint8_t *bytes, size_t nbytes, size_t *taken,
                  struct vta_error *error);

/* A lower bound, from what has arrived, of the bytes that the present value still needs; for
 * choosing a read size, not for allocating. 1 where nothing is known. */
uint64_t vta_scan_wanted(const struct vta_scan *scan);

#endif
