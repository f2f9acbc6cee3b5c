/* test_handles.c: a handle finds what it was given out for, and nothing else ever. */
#include <criterion/criterion.h>

#include <string.h>

#include "core/handles.h"

static int values[64];

static struct vta_handles table(uint32_t limit)
{
    struct vta_handles handles;
    vta_handles_init(&handles, VTA_HANDLE_BUFFER, limit);
    return handles;
}

static vta_handle add(struct vta_handles *handles, void *value)
{
    vta_handle handle = 0;
    struct vta_error error;
    cr_assert_eq(vta_handles_add(handles, value, &handle, &error), 0);
    return handle;
}

static void refuses(const struct vta_handles *handles, vta_handle handle, const char *words)
{
    struct vta_error error = { 0 };
    cr_assert_null(vta_handles_get(handles, handle, &error));
    cr_assert_eq(error.code, VTA_EHANDLE);
    cr_assert_not_null(strstr(error.message, words), "'%s' lacks '%s'", error.message, words);
}

Test(handles, finds_what_was_added)
{
    struct vta_handles handles = table(64);
    vta_handle given[64];
    for (int i = 0; i < 64; i++)
        given[i] = add(&handles, &values[i]);
    for (int i = 0; i < 64; i++) {
        cr_assert_eq(vta_handles_get(&handles, given[i], NULL), &values[i]);
        cr_assert_gt((int64_t)given[i], 0, "handles are positive");
    }
    cr_assert_eq(handles.count, 64);
    vta_handles_clear(&handles);
}

Test(handles, works_from_a_plain_initialiser)
{
    struct vta_handles handles = { .kind = VTA_HANDLE_UPLOAD, .limit = 1 };
    vta_handle handle = add(&handles, &values[0]);
    cr_assert_eq(handle >> 56, VTA_HANDLE_UPLOAD);
    cr_assert_eq(vta_handles_remove(&handles, handle, NULL), &values[0]);
    vta_handles_clear(&handles);
}

Test(handles, refuses_a_handle_that_was_removed_also_after_its_slot_is_used_again)
{
    struct vta_handles handles = table(4);
    vta_handle first = add(&handles, &values[0]);
    cr_assert_eq(vta_handles_remove(&handles, first, NULL), &values[0]);
    refuses(&handles, first, "stale");
    vta_handle second = add(&handles, &values[1]);
    cr_assert_eq(first & 0xffffff, second & 0xffffff, "the test needs one slot used twice");
    cr_assert_neq(first, second);
    refuses(&handles, first, "stale");
    cr_assert_null(vta_handles_remove(&handles, first, NULL));
    cr_assert_eq(vta_handles_get(&handles, second, NULL), &values[1]);
    cr_assert_eq(handles.count, 1);
    vta_handles_clear(&handles);
}

Test(handles, refuses_forged_handles)
{
    struct vta_handles handles = table(4);
    refuses(&handles, 1, "of kind unknown, not buffer");
    vta_handle handle = add(&handles, &values[0]);
    refuses(&handles, 0, "never a handle");
    refuses(&handles, handle + 1, "never given out");                         /* a free slot */
    refuses(&handles, handle + 100, "never given out");                       /* beyond the table */
    refuses(&handles, handle + (UINT64_C(1) << 24), "never given out");       /* a later user */
    refuses(&handles, handle & ~(UINT64_C(0xffffffff) << 24), "never given"); /* generation 0 */
    refuses(&handles, handle | UINT64_C(1) << 63, "of kind unknown, not buffer");
    refuses(&handles, UINT64_MAX, "of kind unknown, not buffer");
    vta_handles_clear(&handles);
}

Test(handles, says_what_kind_a_foreign_handle_is)
{
    struct vta_handles buffers = table(4), functions;
    vta_handles_init(&functions, VTA_HANDLE_FUNCTION, 4);
    vta_handle function = add(&functions, &values[0]);
    add(&buffers, &values[1]);
    refuses(&buffers, function, "of kind function, not buffer");
    vta_handles_clear(&buffers);
    vta_handles_clear(&functions);
}

Test(handles, stops_at_the_limit_and_goes_on_after_a_removal)
{
    struct vta_handles handles = table(3);
    vta_handle given[3];
    for (int i = 0; i < 3; i++)
        given[i] = add(&handles, &values[i]);
    struct vta_error error;
    vta_handle handle;
    cr_assert_eq(vta_handles_add(&handles, &values[3], &handle, &error), VTA_ELIMIT);
    cr_assert(error.has_limit);
    cr_assert_eq(error.limit, 3);
    vta_handles_remove(&handles, given[1], NULL);
    cr_assert_eq(vta_handles_add(&handles, &values[3], &handle, &error), 0);
    vta_handles_clear(&handles);
}

Test(handles, retires_a_slot_whose_generations_are_used_up)
{
    struct vta_handles handles = table(8);
    vta_handle first = add(&handles, &values[0]);
    uint32_t index = first & 0xffffff;
    vta_handles_remove(&handles, first, NULL);
    handles.slots[index].generation = UINT32_MAX;

    vta_handle last = add(&handles, &values[1]);
    cr_assert_eq(last & 0xffffff, index);
    cr_assert_gt((int64_t)last, 0);
    cr_assert_eq(vta_handles_remove(&handles, last, NULL), &values[1]);
    refuses(&handles, last, "stale");
    refuses(&handles, first, "stale");
    for (int i = 0; i < 8; i++)
        cr_assert_neq(add(&handles, &values[i]) & 0xffffff, index, "the slot came back");
    vta_handles_clear(&handles);
}

Test(handles, visits_each_live_entry_once)
{
    struct vta_handles handles = table(64);
    vta_handle given[20];
    for (int i = 0; i < 20; i++)
        given[i] = add(&handles, &values[i]);
    for (int i = 0; i < 20; i += 3)
        vta_handles_remove(&handles, given[i], NULL);

    uint32_t index = 0, seen = 0;
    vta_handle handle;
    int *value;
    while ((value = vta_handles_next(&handles, &index, &handle)) != NULL) {
        size_t i = (size_t)(value - values);
        cr_assert_neq(i % 3, 0);
        cr_assert_eq(handle, given[i]);
        cr_assert_not(seen & 1u << i);
        seen |= 1u << i;
    }
    cr_assert_eq(__builtin_popcount(seen), (int)handles.count);
    cr_assert_null(vta_handles_next(&handles, &index, NULL), "the end stays the end");
    vta_handles_clear(&handles);
}

Test(handles, is_empty_and_usable_after_clear)
{
    struct vta_handles handles = table(4);
    vta_handle handle = add(&handles, &values[0]);
    vta_handles_clear(&handles);
    cr_assert_eq(handles.count, 0);
    cr_assert_null(vta_handles_get(&handles, handle, NULL));
    cr_assert_eq(handles.limit, 4);
    add(&handles, &values[1]);
    vta_handles_clear(&handles);
}
