/* dram.h: a board's DRAM: a reserved address range, allocations looked up by handle.
 *
 * Addresses are 32-bit; 0 is never valid. Allocations are page-aligned (4 KiB) and zeroed when
 * first touched; untouched memory costs address space only. Not thread-safe.
 */
#ifndef VTA_CORE_DRAM_H
#define VTA_CORE_DRAM_H

#include "handles.h"

#include <vta/error.h>

#define VTA_DRAM_PAGE 4096u

struct vta_dram;

/* Reserves `capacity` bytes (a multiple of the page, at most 4 GiB). quota bounds the sum of what
 * is allocated, in bytes. Both are promises to the caller, not memory in use. */
int vta_dram_open(struct vta_dram **dram, uint64_t capacity, uint64_t quota,
                  struct vta_error *error);
void vta_dram_close(struct vta_dram *dram); /* NULL is allowed */

/* VTA_EINVAL for 0 bytes, VTA_ELIMIT past the quota, VTA_ENOMEM where no gap is large enough. */
int vta_dram_alloc(struct vta_dram *dram, uint64_t nbytes, vta_handle *handle,
                   struct vta_error *error);
/* Claims a range at a given page-aligned address, for replays. VTA_EEXIST where it overlaps. */
int vta_dram_alloc_at(struct vta_dram *dram, uint64_t address, uint64_t nbytes, vta_handle *handle,
                      struct vta_error *error);
/* Gives the pages back to the host. VTA_EHANDLE. */
int vta_dram_free(struct vta_dram *dram, vta_handle handle, struct vta_error *error);

/* Size and address of an allocation. Any pointer may be NULL. */
int vta_dram_lookup(const struct vta_dram *dram, vta_handle handle, uint64_t *nbytes,
                    uint32_t *address, struct vta_error *error);

/* The first live allocation that ends after `address`: the one that holds it, if one does. False
 * where none does. So that a loop that goes on at the end of each meets them all. */
bool vta_dram_next(const struct vta_dram *dram, uint64_t address, vta_handle *handle,
                   uint64_t *begin, uint64_t *nbytes);

/* Host memory of [offset, offset + nbytes) of an allocation; VTA_EHANDLE, VTA_ERANGE.
 * Valid until the allocation is freed. */
int vta_dram_span(struct vta_dram *dram, vta_handle handle, uint64_t offset, uint64_t nbytes,
                  uint8_t **bytes, struct vta_error *error);

int vta_dram_write(struct vta_dram *dram, vta_handle handle, uint64_t offset, const void *bytes,
                   uint64_t nbytes, struct vta_error *error);
int vta_dram_read(struct vta_dram *dram, vta_handle handle, uint64_t offset, void *bytes,
                  uint64_t nbytes, struct vta_error *error);
/* memmove semantics. */
int vta_dram_copy(struct vta_dram *dram, vta_handle to, uint64_t to_offset, vta_handle from,
                  uint64_t from_offset, uint64_t nbytes, struct vta_error *error);

/* A vta_dram_reader (program.h): context is the struct vta_dram. */
const void *vta_dram_reader_fn(void *dram, uint64_t address, uint64_t nbytes);

/* A number, never 0, that changes when an allocation is freed: while it stays, what lay inside an
 * allocation still does. */
uint64_t vta_dram_epoch(const struct vta_dram *dram);

/* Host memory of address 0; addresses of live allocations may be added to it without a check by
 * who has verified them. */
uint8_t *vta_dram_base(struct vta_dram *dram);

struct vta_dram_stats {
    uint64_t capacity, quota, used; /* bytes */
    uint32_t allocations;
};
void vta_dram_stats(const struct vta_dram *dram, struct vta_dram_stats *stats);

#endif
