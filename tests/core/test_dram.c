/* test_dram.c: where allocations lie, what they hold, and what nobody can reach. */
#include <criterion/criterion.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/dram.h"

#define KIB  UINT64_C(1024)
#define GIB  (KIB * KIB * KIB)
#define PAGE UINT64_C(4096)

static struct vta_error error;

static struct vta_dram *open_dram(uint64_t capacity, uint64_t quota)
{
    struct vta_dram *dram;
    cr_assert_eq(vta_dram_open(&dram, capacity, quota, &error), 0, "%s", error.message);
    return dram;
}

static vta_handle alloc(struct vta_dram *dram, uint64_t nbytes)
{
    vta_handle handle;
    cr_assert_eq(vta_dram_alloc(dram, nbytes, &handle, &error), 0, "%s", error.message);
    return handle;
}

static uint32_t address_of(struct vta_dram *dram, vta_handle handle)
{
    uint32_t address;
    cr_assert_eq(vta_dram_lookup(dram, handle, NULL, &address, &error), 0, "%s", error.message);
    return address;
}

static uint64_t used(const struct vta_dram *dram)
{
    struct vta_dram_stats stats;
    vta_dram_stats(dram, &stats);
    return stats.used;
}

Test(dram, never_gives_out_address_0)
{
    struct vta_dram *dram = open_dram(16 * PAGE, 16 * PAGE);
    cr_assert_eq(address_of(dram, alloc(dram, 1)), PAGE);
    vta_handle handle;
    cr_assert_eq(vta_dram_alloc_at(dram, 0, 1, &handle, &error), VTA_EINVAL);
    cr_assert_null(vta_dram_reader_fn(dram, 0, 1));
    cr_assert_null(vta_dram_reader_fn(dram, 0, 0));
    vta_dram_close(dram);
}

Test(dram, aligns_to_pages_and_uses_the_first_gap_that_fits)
{
    struct vta_dram *dram = open_dram(16 * PAGE, 16 * PAGE);
    vta_handle a = alloc(dram, 1), b = alloc(dram, 2 * PAGE), c = alloc(dram, PAGE + 1);
    vta_handle d = alloc(dram, 1);
    cr_assert_eq(address_of(dram, a), 1 * PAGE);
    cr_assert_eq(address_of(dram, b), 2 * PAGE);
    cr_assert_eq(address_of(dram, c), 4 * PAGE);
    cr_assert_eq(address_of(dram, d), 6 * PAGE);
    vta_dram_free(dram, a, &error);
    vta_dram_free(dram, c, &error);
    cr_assert_eq(address_of(dram, alloc(dram, 2 * PAGE)), 4 * PAGE);
    cr_assert_eq(address_of(dram, alloc(dram, PAGE)), 1 * PAGE);
    cr_assert_eq(address_of(dram, alloc(dram, PAGE)), 7 * PAGE);
    vta_dram_close(dram);
}

Test(dram, fills_its_capacity_exactly)
{
    struct vta_dram *dram = open_dram(4 * PAGE, 100 * PAGE);
    vta_handle all = alloc(dram, 3 * PAGE), more;
    cr_assert_eq(vta_dram_alloc(dram, 1, &more, &error), VTA_ENOMEM);
    cr_assert_eq(error.limit, 0);
    vta_dram_free(dram, all, &error);
    cr_assert_eq(vta_dram_alloc(dram, 3 * PAGE + 1, &more, &error), VTA_ENOMEM);
    cr_assert_eq(error.limit, 3 * PAGE, "the largest gap is named");
    cr_assert_eq(vta_dram_alloc(dram, UINT64_C(1) << 40, &more, &error), VTA_ELIMIT);
    alloc(dram, 3 * PAGE);
    vta_dram_close(dram);
}

Test(dram, counts_whole_pages_against_the_quota)
{
    struct vta_dram *dram = open_dram(GIB, 3 * PAGE);
    vta_handle a = alloc(dram, PAGE + 1), b;
    cr_assert_eq(used(dram), 2 * PAGE);
    cr_assert_eq(vta_dram_alloc(dram, PAGE + 1, &b, &error), VTA_ELIMIT);
    cr_assert_eq(error.limit, 3 * PAGE);
    cr_assert_eq(error.value, 4 * PAGE);
    alloc(dram, PAGE);
    vta_dram_free(dram, a, &error);
    cr_assert_eq(used(dram), PAGE);
    cr_assert_eq(vta_dram_alloc_at(dram, 64 * PAGE, 2 * PAGE + 1, &b, &error), VTA_ELIMIT);
    vta_dram_close(dram);
}

Test(dram, refuses_sizes_that_cannot_be)
{
    struct vta_dram *dram = open_dram(GIB, UINT64_MAX);
    vta_handle handle;
    cr_assert_eq(vta_dram_alloc(dram, 0, &handle, &error), VTA_EINVAL);
    cr_assert_eq(vta_dram_alloc(dram, UINT64_MAX, &handle, &error), VTA_ENOMEM);
    cr_assert_eq(vta_dram_alloc(dram, UINT64_MAX - PAGE + 1, &handle, &error), VTA_ENOMEM);
    cr_assert_eq(vta_dram_alloc(dram, 4 * GIB + 1, &handle, &error), VTA_ENOMEM);
    cr_assert_eq(vta_dram_alloc_at(dram, PAGE, UINT64_MAX, &handle, &error), VTA_ERANGE);
    cr_assert_eq(vta_dram_alloc_at(dram, UINT64_MAX - PAGE + 1, 1, &handle, &error), VTA_ERANGE);
    cr_assert_eq(used(dram), 0);
    cr_assert_eq(handle, 0, "nothing that could be mistaken for a handle is left behind");
    vta_dram_close(dram);
}

Test(dram, refuses_capacities_that_cannot_be)
{
    static const uint64_t capacities[] = { 0, 1, PAGE + 1, 4 * GIB + PAGE, UINT64_MAX - PAGE + 1 };
    for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++) {
        struct vta_dram *dram;
        cr_assert_eq(vta_dram_open(&dram, capacities[i], PAGE, &error), VTA_EINVAL);
        cr_assert_null(dram);
    }
    vta_dram_close(NULL);
}

Test(dram, reaches_the_last_byte_of_4_gib)
{
    struct vta_dram *dram = open_dram(4 * GIB, 4 * GIB);
    vta_handle all = alloc(dram, 4 * GIB - PAGE);
    const uint8_t last = 42;
    cr_assert_eq(vta_dram_write(dram, all, 4 * GIB - PAGE - 1, &last, 1, &error), 0);
    const uint8_t *read = vta_dram_reader_fn(dram, 4 * GIB - 1, 1);
    cr_assert_not_null(read);
    cr_assert_eq(*read, 42);
    cr_assert_null(vta_dram_reader_fn(dram, 4 * GIB - 1, 2));
    cr_assert_null(vta_dram_reader_fn(dram, 4 * GIB, 1));
    vta_dram_free(dram, all, &error);

    vta_handle high;
    cr_assert_eq(vta_dram_alloc_at(dram, 4 * GIB - PAGE, PAGE, &high, &error), 0, "%s",
                 error.message);
    cr_assert_eq(address_of(dram, high), 4 * GIB - PAGE);
    cr_assert_eq(vta_dram_alloc_at(dram, 4 * GIB, 1, &high, &error), VTA_ERANGE);
    vta_dram_close(dram);
}

Test(dram, costs_nothing_until_it_is_touched)
{
    struct vta_dram *dram = open_dram(256 * 1024 * KIB, GIB);
    vta_handle handle = alloc(dram, 128 * 1024 * KIB);
    const uint8_t byte = 1;
    vta_dram_write(dram, handle, 77 * PAGE, &byte, 1, &error);

    size_t pages = 256 * KIB * KIB / PAGE, resident = 0;
    unsigned char *map = malloc(pages);
    cr_assert_eq(mincore(vta_dram_base(dram), pages * PAGE, map), 0);
    for (size_t i = 0; i < pages; i++)
        resident += map[i] & 1;
    free(map);
    /* One page, or one huge page where the host makes those. */
    cr_assert_geq(resident, 1);
    cr_assert_leq(resident, 512);
    vta_dram_close(dram);
}

Test(dram, is_zeroed_also_where_it_was_used_before)
{
    struct vta_dram *dram = open_dram(16 * PAGE, 16 * PAGE);
    vta_handle handle = alloc(dram, 2 * PAGE);
    uint8_t bytes[2 * PAGE], zeros[2 * PAGE] = { 0 };
    memset(bytes, 0xa5, sizeof bytes);
    vta_dram_write(dram, handle, 0, bytes, sizeof bytes, &error);
    vta_dram_free(dram, handle, &error);

    handle = alloc(dram, 2 * PAGE);
    cr_assert_eq(address_of(dram, handle), PAGE, "the test needs the same pages again");
    vta_dram_read(dram, handle, 0, bytes, sizeof bytes, &error);
    cr_assert_eq(memcmp(bytes, zeros, sizeof bytes), 0);
    vta_dram_close(dram);
}

Test(dram, is_zeroed_also_where_pages_are_locked)
{
    struct vta_dram *dram = open_dram(16 * PAGE, 16 * PAGE);
    vta_handle handle = alloc(dram, PAGE);
    memset(vta_dram_base(dram) + PAGE, 0xa5, PAGE);
    if (mlock(vta_dram_base(dram) + PAGE, PAGE) != 0)
        cr_skip("no pages may be locked here");
    vta_dram_free(dram, handle, &error);
    cr_assert_eq(vta_dram_base(dram)[PAGE], 0);
    cr_assert_eq(vta_dram_base(dram)[2 * PAGE - 1], 0);
    vta_dram_close(dram);
}

Test(dram, bounds_access_by_the_size_that_was_asked_for)
{
    struct vta_dram *dram = open_dram(16 * PAGE, 16 * PAGE);
    vta_handle handle = alloc(dram, 100);
    uint8_t bytes[200] = { 0 }, *span;
    uint64_t nbytes;
    vta_dram_lookup(dram, handle, &nbytes, NULL, &error);
    cr_assert_eq(nbytes, 100);
    cr_assert_eq(vta_dram_write(dram, handle, 0, bytes, 100, &error), 0);
    cr_assert_eq(vta_dram_write(dram, handle, 1, bytes, 100, &error), VTA_ERANGE);
    cr_assert_eq(error.limit, 100);
    cr_assert_eq(error.value, 101);
    cr_assert_eq(vta_dram_read(dram, handle, 99, bytes, 1, &error), 0);
    cr_assert_eq(vta_dram_read(dram, handle, 100, bytes, 1, &error), VTA_ERANGE);
    cr_assert_eq(vta_dram_span(dram, handle, 100, 0, &span, &error), 0);
    cr_assert_eq(vta_dram_span(dram, handle, 101, 0, &span, &error), VTA_ERANGE);
    cr_assert_eq(vta_dram_span(dram, handle, UINT64_MAX, 2, &span, &error), VTA_ERANGE);
    cr_assert_eq(vta_dram_span(dram, handle, 2, UINT64_MAX, &span, &error), VTA_ERANGE);
    cr_assert_eq(vta_dram_copy(dram, handle, 50, handle, 0, 51, &error), VTA_ERANGE);
    cr_assert_eq(vta_dram_copy(dram, handle, 0, handle, 50, 51, &error), VTA_ERANGE);
    vta_dram_close(dram);
}

Test(dram, copies_within_one_allocation_whatever_overlaps)
{
    struct vta_dram *dram = open_dram(16 * PAGE, 16 * PAGE);
    vta_handle handle = alloc(dram, 8), other = alloc(dram, 8);
    char text[8];
    vta_dram_write(dram, handle, 0, "abcdefgh", 8, &error);
    cr_assert_eq(vta_dram_copy(dram, handle, 2, handle, 0, 6, &error), 0);
    vta_dram_read(dram, handle, 0, text, 8, &error);
    cr_assert_eq(memcmp(text, "ababcdef", 8), 0);
    cr_assert_eq(vta_dram_copy(dram, other, 0, handle, 4, 4, &error), 0);
    vta_dram_read(dram, other, 0, text, 8, &error);
    cr_assert_eq(memcmp(text, "cdef\0\0\0\0", 8), 0);
    vta_dram_close(dram);
}

Test(dram, refuses_a_handle_after_its_allocation_is_freed)
{
    struct vta_dram *dram = open_dram(16 * PAGE, 16 * PAGE);
    vta_handle handle = alloc(dram, 8);
    uint8_t *span;
    cr_assert_eq(vta_dram_free(dram, handle, &error), 0);
    cr_assert_eq(vta_dram_free(dram, handle, &error), VTA_EHANDLE);
    cr_assert_not_null(strstr(error.message, "stale"));
    cr_assert_eq(vta_dram_span(dram, handle, 0, 1, &span, &error), VTA_EHANDLE);
    cr_assert_eq(vta_dram_lookup(dram, handle, NULL, NULL, &error), VTA_EHANDLE);
    cr_assert_null(vta_dram_reader_fn(dram, PAGE, 1));
    vta_dram_close(dram);
}

Test(dram, claims_a_given_address_unless_it_overlaps)
{
    struct vta_dram *dram = open_dram(64 * PAGE, 64 * PAGE);
    vta_handle handle;
    cr_assert_eq(vta_dram_alloc_at(dram, 8 * PAGE, 4 * PAGE, &handle, &error), 0);
    cr_assert_eq(address_of(dram, handle), 8 * PAGE);
    cr_assert_eq(vta_dram_alloc_at(dram, 8 * PAGE + 16, 1, &handle, &error), VTA_EINVAL);
    cr_assert_eq(vta_dram_alloc_at(dram, 8 * PAGE, 1, &handle, &error), VTA_EEXIST);
    cr_assert_eq(vta_dram_alloc_at(dram, 11 * PAGE, 1, &handle, &error), VTA_EEXIST);
    cr_assert_eq(vta_dram_alloc_at(dram, 7 * PAGE, PAGE + 1, &handle, &error), VTA_EEXIST);
    cr_assert_eq(vta_dram_alloc_at(dram, 7 * PAGE, PAGE, &handle, &error), 0);
    cr_assert_eq(vta_dram_alloc_at(dram, 12 * PAGE, PAGE, &handle, &error), 0);
    cr_assert_eq(address_of(dram, alloc(dram, 6 * PAGE)), PAGE);
    cr_assert_eq(address_of(dram, alloc(dram, 1)), 13 * PAGE);
    vta_dram_close(dram);
}

Test(dram, reads_by_address_only_inside_one_allocation)
{
    struct vta_dram *dram = open_dram(16 * PAGE, 16 * PAGE);
    alloc(dram, PAGE);      /* 1 */
    alloc(dram, PAGE + 10); /* 2, 3 */
    const uint8_t *base = vta_dram_base(dram);
    cr_assert_eq(vta_dram_reader_fn(dram, PAGE, PAGE), base + PAGE);
    cr_assert_null(vta_dram_reader_fn(dram, PAGE, PAGE + 1), "across two allocations");
    cr_assert_eq(vta_dram_reader_fn(dram, 2 * PAGE + 5, PAGE + 5), base + 2 * PAGE + 5);
    cr_assert_null(vta_dram_reader_fn(dram, 2 * PAGE + 5, PAGE + 6), "past what was asked for");
    cr_assert_null(vta_dram_reader_fn(dram, 3 * PAGE + 10, 1));
    cr_assert_null(vta_dram_reader_fn(dram, PAGE - 1, 1));
    cr_assert_null(vta_dram_reader_fn(dram, UINT64_MAX, 1));
    cr_assert_null(vta_dram_reader_fn(dram, PAGE, UINT64_MAX));
    vta_dram_close(dram);
}

/* Random allocations and frees against a map that knows the owner of every page. */
#define MODEL_PAGES 64
Test(dram, agrees_with_a_map_of_its_pages)
{
    struct vta_dram *dram = open_dram(MODEL_PAGES * PAGE, GIB);
    vta_handle owner[MODEL_PAGES] = { 0 };
    uint32_t state = 12345;
    for (int step = 0; step < 20000; step++) {
        state = state * 1664525 + 1013904223;
        uint32_t pages = 1 + (state >> 24) % 6, page = 1 + (state >> 10) % (MODEL_PAGES - 1);
        if (owner[page] != 0) {
            vta_handle handle = owner[page];
            cr_assert_eq(vta_dram_free(dram, handle, &error), 0, "%s", error.message);
            for (uint32_t i = 1; i < MODEL_PAGES; i++)
                owner[i] = owner[i] == handle ? 0 : owner[i];
            continue;
        }
        uint32_t gap = 0, at = 1;
        while (at < MODEL_PAGES && gap < pages)
            gap = owner[at++] == 0 ? gap + 1 : 0;
        vta_handle handle;
        int rc = vta_dram_alloc(dram, pages * PAGE - 1, &handle, &error);
        cr_assert_eq(rc, gap == pages ? 0 : VTA_ENOMEM, "step %d", step);
        if (rc != 0)
            continue;
        cr_assert_eq(address_of(dram, handle), (at - pages) * PAGE, "step %d", step);
        for (uint32_t i = at - pages; i < at; i++)
            owner[i] = handle;
        cr_assert_not_null(vta_dram_reader_fn(dram, (at - pages) * PAGE, pages * PAGE - 1));
    }
    vta_dram_close(dram);
}

Test(dram, walks_allocations_by_address)
{
    struct vta_dram *dram = open_dram(32 * PAGE, GIB);
    vta_handle handle, a, b;
    uint64_t begin, nbytes;
    cr_expect(!vta_dram_next(dram, 0, &handle, &begin, &nbytes));
    cr_assert_eq(vta_dram_alloc_at(dram, 2 * PAGE, PAGE + 1, &a, &error), 0);
    cr_assert_eq(vta_dram_alloc_at(dram, 4 * PAGE, 10, &b, &error), 0);
    const struct {
        uint64_t address;
        vta_handle want; /* 0: none */
    } rows[] = { { 0, a },
                 { 2 * PAGE - 1, a },
                 { 2 * PAGE, a },
                 { 3 * PAGE, a },
                 { 3 * PAGE + 1, b },
                 { 4 * PAGE + 9, b },
                 { 4 * PAGE + 10, 0 },
                 { 31 * PAGE, 0 },
                 { UINT64_MAX, 0 } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool found = vta_dram_next(dram, rows[i].address, &handle, &begin, &nbytes);
        cr_assert_eq(found, rows[i].want != 0, "row %zu", i);
        if (!found)
            continue;
        cr_expect_eq(handle, rows[i].want, "row %zu", i);
        cr_expect_eq(begin, address_of(dram, handle));
        cr_expect_eq(nbytes, handle == a ? PAGE + 1 : 10);
    }
    vta_dram_close(dram);
}
