/* memory.h: memory of a device, shared by whoever works on it: a client's handle, a tensor that a
 * function returned, a graph. It goes with the last reference.
 */
#ifndef VTA_WORKER_MEMORY_H
#define VTA_WORKER_MEMORY_H

#include <vta/error.h>

#include "proto/tvm.h"

struct worker;

struct memory {
    struct worker *worker;
    struct tvm_device device; /* cpu or ext_dev */
    uint8_t *bytes;           /* page-aligned; NULL only for 0 bytes */
    uint64_t nbytes;
    unsigned references;
    struct memory *next;
    struct memory **link; /* what points to it in the list of all */
};

/* Zeroed memory with one reference; on ext_dev this is the first use of the device. NULL with the
 * device's error: VTA_ELIMIT, VTA_ENOMEM. The cpu's may be made on any thread. */
struct memory *memory_new(struct worker *worker, struct tvm_device device, uint64_t nbytes,
                          struct vta_error *error);
struct memory *memory_hold(struct memory *memory);
void memory_release(struct memory *memory); /* NULL is allowed */

/* The memory that holds the byte at `pointer`; NULL if there is none. No new reference. */
struct memory *memory_find(const struct worker *worker, const void *pointer);

#endif
