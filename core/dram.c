/* dram.c: a board's DRAM as one reserved mapping of the host, with a sorted list of allocations.
 *
 * The mapping is private and not reserved in swap: a page costs memory from its first write until
 * its allocation is freed. Bytes of an allocation beyond its requested size, up to the page, belong
 * to nobody: bounds are those that were asked for.
 */
#include "dram.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CAPACITY_MAX    (UINT64_C(1) << 32)
#define ALLOCATIONS_MAX (1u << 20) /* as many pages as 32-bit addresses reach */

struct allocation {
    uint32_t page;   /* first page */
    uint64_t nbytes; /* as requested, never 0 */
};

/* Where an allocation lies, and whose it is. Pages are kept here too: looking for a gap or an
 * address then walks one array and no pointers. */
struct range {
    uint32_t page, pages;
    struct allocation *allocation; /* owned */
    vta_handle handle;
};

struct vta_dram {
    uint8_t *base; /* host memory of address 0 */
    uint64_t capacity, quota, used;
    struct vta_handles handles; /* of struct allocation */
    struct range *ranges;       /* by ascending page */
    uint32_t count, size;
    uint32_t packed; /* ranges before this index follow each other without a gap, from page 1 */
    uint64_t frees;
};

/* Counts in an error are signed. */
static int64_t signed_count(uint64_t count)
{
    return count > INT64_MAX ? INT64_MAX : (int64_t)count;
}

int vta_dram_open(struct vta_dram **dram, uint64_t capacity, uint64_t quota,
                  struct vta_error *error)
{
    *dram = NULL;
    if (capacity == 0 || capacity % VTA_DRAM_PAGE != 0 || capacity > CAPACITY_MAX)
        return vta_error_limit(
            error, VTA_EINVAL, signed_count(CAPACITY_MAX), signed_count(capacity),
            "DRAM: a capacity of %" PRIu64 " bytes is not a multiple of %u from %u to %" PRIu64,
            capacity, VTA_DRAM_PAGE, VTA_DRAM_PAGE, CAPACITY_MAX);
    struct vta_dram *made = calloc(1, sizeof *made);
    if (made == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a DRAM");
    void *base = mmap(NULL, capacity, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) {
        vta_error_set(error, VTA_ENOMEM, "DRAM: %" PRIu64 " bytes cannot be reserved: %s", capacity,
                      strerror(errno));
        free(made);
        return VTA_ENOMEM;
    }
    made->base = base;
    made->capacity = capacity;
    made->quota = quota;
    vta_handles_init(&made->handles, VTA_HANDLE_BUFFER, ALLOCATIONS_MAX);
    *dram = made;
    return 0;
}

void vta_dram_close(struct vta_dram *dram)
{
    if (dram == NULL)
        return;
    for (uint32_t i = 0; i < dram->count; i++)
        free(dram->ranges[i].allocation);
    free(dram->ranges);
    vta_handles_clear(&dram->handles);
    munmap(dram->base, dram->capacity);
    free(dram);
}

/* ---- Where things lie ---------------------------------------------------------------------- */

static uint32_t pages_of(uint64_t nbytes)
{
    return (uint32_t)((nbytes - 1) / VTA_DRAM_PAGE + 1);
}

static uint64_t bytes_of(uint32_t pages)
{
    return (uint64_t)pages * VTA_DRAM_PAGE;
}

/* The first range that begins after `page`; the one before it is the only one that may hold it. */
static uint32_t upper_bound(const struct vta_dram *dram, uint64_t page)
{
    uint32_t low = 0;
    for (uint32_t left = dram->count; left > 0;) {
        const uint32_t half = left / 2;
        /* Chosen, not jumped to: a processor cannot foresee which way a search goes. */
        const bool below = dram->ranges[low + half].page <= page;
        low = below ? low + half + 1 : low;
        left = below ? left - half - 1 : half;
    }
    return low;
}

/* Where range i ends; "range −1" is page 0, which is nobody's. */
static uint32_t end_before(const struct vta_dram *dram, uint32_t i)
{
    return i == 0 ? 1 : dram->ranges[i - 1].page + dram->ranges[i - 1].pages;
}

/* First fit. *index is where the new range goes; the gap begins at *page. */
static int find_gap(struct vta_dram *dram, uint64_t nbytes, uint32_t *index, uint32_t *page,
                    struct vta_error *error)
{
    uint32_t largest = 0;
    for (uint32_t i = dram->packed; i <= dram->count; i++) {
        uint32_t begin = end_before(dram, i);
        uint32_t end =
            i < dram->count ? dram->ranges[i].page : (uint32_t)(dram->capacity / VTA_DRAM_PAGE);
        uint32_t gap = end - begin;
        if (gap == 0 && i == dram->packed && i < dram->count)
            dram->packed++;
        if (bytes_of(gap) >= nbytes) {
            *index = i;
            *page = begin;
            return 0;
        }
        if (gap > largest)
            largest = gap;
    }
    return vta_error_limit(error, VTA_ENOMEM, signed_count(bytes_of(largest)), signed_count(nbytes),
                           "DRAM: no gap for %" PRIu64 " bytes; the largest has %" PRIu64, nbytes,
                           bytes_of(largest));
}

static int check_quota(const struct vta_dram *dram, uint64_t nbytes, struct vta_error *error)
{
    if (nbytes == 0)
        return vta_error_set(error, VTA_EINVAL, "DRAM: an allocation of 0 bytes");
    uint64_t left = dram->used < dram->quota ? dram->quota - dram->used : 0;
    uint64_t rounded = nbytes > CAPACITY_MAX ? nbytes : bytes_of(pages_of(nbytes));
    if (rounded > left)
        return vta_error_limit(error, VTA_ELIMIT, signed_count(dram->quota),
                               signed_count(dram->used + (uint64_t)signed_count(rounded)),
                               "DRAM: %" PRIu64 " bytes more than the %" PRIu64
                               " in use pass the quota of %" PRIu64,
                               rounded, dram->used, dram->quota);
    return 0;
}

/* ---- Allocations --------------------------------------------------------------------------- */

static int reserve_range(struct vta_dram *dram, struct vta_error *error)
{
    if (dram->count < dram->size)
        return 0;
    uint32_t size = dram->size == 0 ? 8 : dram->size * 2;
    struct range *ranges = realloc(dram->ranges, size * sizeof *ranges);
    if (ranges == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for %u DRAM allocations", size);
    dram->ranges = ranges;
    dram->size = size;
    return 0;
}

/* Records an allocation at a place that is known to be free. */
static int place(struct vta_dram *dram, uint32_t index, uint32_t page, uint64_t nbytes,
                 vta_handle *handle, struct vta_error *error)
{
    int rc = reserve_range(dram, error);
    if (rc != 0)
        return rc;
    struct allocation *allocation = malloc(sizeof *allocation);
    if (allocation == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a DRAM allocation");
    *allocation = (struct allocation){ .page = page, .nbytes = nbytes };
    rc = vta_handles_add(&dram->handles, allocation, handle, error);
    if (rc != 0) {
        free(allocation);
        return rc;
    }
    struct range *range = &dram->ranges[index];
    memmove(range + 1, range, (dram->count - index) * sizeof *range);
    *range = (struct range){
        .page = page, .pages = pages_of(nbytes), .allocation = allocation, .handle = *handle
    };
    dram->count++;
    dram->used += bytes_of(range->pages);
    return 0;
}

int vta_dram_alloc(struct vta_dram *dram, uint64_t nbytes, vta_handle *handle,
                   struct vta_error *error)
{
    *handle = 0;
    int rc = check_quota(dram, nbytes, error);
    if (rc != 0)
        return rc;
    uint32_t index = 0, page = 0;
    rc = find_gap(dram, nbytes, &index, &page, error);
    if (rc != 0)
        return rc;
    return place(dram, index, page, nbytes, handle, error);
}

int vta_dram_alloc_at(struct vta_dram *dram, uint64_t address, uint64_t nbytes, vta_handle *handle,
                      struct vta_error *error)
{
    *handle = 0;
    int rc = check_quota(dram, nbytes, error);
    if (rc != 0)
        return rc;
    if (address == 0 || address % VTA_DRAM_PAGE != 0)
        return vta_error_set(error, VTA_EINVAL,
                             "DRAM: address 0x%" PRIx64 " is not a multiple of %u above 0", address,
                             VTA_DRAM_PAGE);
    if (address >= dram->capacity || nbytes > dram->capacity - address)
        return vta_error_set(error, VTA_ERANGE,
                             "DRAM: %" PRIu64 " bytes at address 0x%" PRIx64
                             " pass the capacity of %" PRIu64,
                             nbytes, address, dram->capacity);
    uint32_t page = (uint32_t)(address / VTA_DRAM_PAGE);
    uint32_t index = upper_bound(dram, page);
    bool overlaps = end_before(dram, index) > page ||
                    (index < dram->count && dram->ranges[index].page - page < pages_of(nbytes));
    if (overlaps)
        return vta_error_set(error, VTA_EEXIST,
                             "DRAM: %" PRIu64 " bytes at address 0x%" PRIx64
                             " overlap another allocation",
                             nbytes, address);
    return place(dram, index, page, nbytes, handle, error);
}

/* Gives pages back to the host; they read as zero afterwards. */
static void discard(struct vta_dram *dram, uint32_t page, uint32_t pages)
{
    uint8_t *bytes = dram->base + bytes_of(page);
    /* Locked pages cannot be given back. */
    if (madvise(bytes, bytes_of(pages), MADV_DONTNEED) != 0)
        memset(bytes, 0, bytes_of(pages));
}

int vta_dram_free(struct vta_dram *dram, vta_handle handle, struct vta_error *error)
{
    struct allocation *allocation = vta_handles_remove(&dram->handles, handle, error);
    if (allocation == NULL)
        return VTA_EHANDLE;
    uint32_t index = upper_bound(dram, allocation->page) - 1;
    struct range *range = &dram->ranges[index];
    discard(dram, range->page, range->pages);
    dram->used -= bytes_of(range->pages);
    dram->count--;
    dram->frees++;
    memmove(range, range + 1, (dram->count - index) * sizeof *range);
    if (index < dram->packed)
        dram->packed = index;
    free(allocation);
    return 0;
}

/* ---- Access -------------------------------------------------------------------------------- */

int vta_dram_lookup(const struct vta_dram *dram, vta_handle handle, uint64_t *nbytes,
                    uint32_t *address, struct vta_error *error)
{
    const struct allocation *allocation = vta_handles_get(&dram->handles, handle, error);
    if (allocation == NULL)
        return VTA_EHANDLE;
    if (nbytes != NULL)
        *nbytes = allocation->nbytes;
    if (address != NULL)
        *address = (uint32_t)bytes_of(allocation->page);
    return 0;
}

bool vta_dram_next(const struct vta_dram *dram, uint64_t address, vta_handle *handle,
                   uint64_t *begin, uint64_t *nbytes)
{
    uint32_t index = upper_bound(dram, address / VTA_DRAM_PAGE);
    if (index > 0) {
        const struct allocation *before = dram->ranges[index - 1].allocation;
        index -= address < bytes_of(before->page) + before->nbytes;
    }
    if (index == dram->count)
        return false;
    *handle = dram->ranges[index].handle;
    *begin = bytes_of(dram->ranges[index].page);
    *nbytes = dram->ranges[index].allocation->nbytes;
    return true;
}

int vta_dram_span(struct vta_dram *dram, vta_handle handle, uint64_t offset, uint64_t nbytes,
                  uint8_t **bytes, struct vta_error *error)
{
    const struct allocation *allocation = vta_handles_get(&dram->handles, handle, error);
    if (allocation == NULL)
        return VTA_EHANDLE;
    if (offset > allocation->nbytes || nbytes > allocation->nbytes - offset) {
        uint64_t end = nbytes > UINT64_MAX - offset ? UINT64_MAX : offset + nbytes;
        return vta_error_limit(error, VTA_ERANGE, signed_count(allocation->nbytes),
                               signed_count(end),
                               "buffer handle 0x%" PRIx64 " has %" PRIu64 " bytes: %" PRIu64
                               " at offset %" PRIu64 " lie outside",
                               handle, allocation->nbytes, nbytes, offset);
    }
    *bytes = dram->base + bytes_of(allocation->page) + offset;
    return 0;
}

int vta_dram_write(struct vta_dram *dram, vta_handle handle, uint64_t offset, const void *bytes,
                   uint64_t nbytes, struct vta_error *error)
{
    uint8_t *to = NULL;
    int rc = vta_dram_span(dram, handle, offset, nbytes, &to, error);
    if (rc == 0 && nbytes > 0)
        memcpy(to, bytes, nbytes);
    return rc;
}

int vta_dram_read(struct vta_dram *dram, vta_handle handle, uint64_t offset, void *bytes,
                  uint64_t nbytes, struct vta_error *error)
{
    uint8_t *from = NULL;
    int rc = vta_dram_span(dram, handle, offset, nbytes, &from, error);
    if (rc == 0 && nbytes > 0)
        memcpy(bytes, from, nbytes);
    return rc;
}

int vta_dram_copy(struct vta_dram *dram, vta_handle to, uint64_t to_offset, vta_handle from,
                  uint64_t from_offset, uint64_t nbytes, struct vta_error *error)
{
    uint8_t *to_bytes = NULL, *from_bytes = NULL;
    int rc = vta_dram_span(dram, to, to_offset, nbytes, &to_bytes, error);
    if (rc == 0)
        rc = vta_dram_span(dram, from, from_offset, nbytes, &from_bytes, error);
    if (rc == 0)
        memmove(to_bytes, from_bytes, nbytes);
    return rc;
}

const void *vta_dram_reader_fn(void *context, uint64_t address, uint64_t nbytes)
{
    const struct vta_dram *dram = context;
    uint32_t after = upper_bound(dram, address / VTA_DRAM_PAGE);
    if (after == 0)
        return NULL;
    const struct allocation *allocation = dram->ranges[after - 1].allocation;
    uint64_t offset = address - bytes_of(allocation->page);
    if (offset > allocation->nbytes || nbytes > allocation->nbytes - offset)
        return NULL;
    return dram->base + address;
}

uint64_t vta_dram_epoch(const struct vta_dram *dram)
{
    return dram->frees + 1;
}

uint8_t *vta_dram_base(struct vta_dram *dram)
{
    return dram->base;
}

void vta_dram_stats(const struct vta_dram *dram, struct vta_dram_stats *stats)
{
    *stats = (struct vta_dram_stats){ .capacity = dram->capacity,
                                      .quota = dram->quota,
                                      .used = dram->used,
                                      .allocations = dram->count };
}
