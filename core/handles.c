/* handles.c: a table of pointers behind generation-counted handles.
 *
 * Free slots form a list of index + 1, so that 0 ends it and a zeroed table is an empty one. A
 * slot's generation is that of its present user, or of its next one while it is free. A slot whose
 * generations are used up is retired: generation 0, in no list.
 */
#include "handles.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define INDEX_BITS      24
#define GENERATION_BITS 32
#define KIND_SHIFT      (INDEX_BITS + GENERATION_BITS)
#define SLOTS_MAX       (UINT32_C(1) << INDEX_BITS)
#define SLOTS_FIRST     8u

const char *vta_handle_kind_name(enum vta_handle_kind kind)
{
    switch (kind) {
    case VTA_HANDLE_BUFFER:
        return "buffer";
    case VTA_HANDLE_MODULE:
        return "module";
    case VTA_HANDLE_FUNCTION:
        return "function";
    case VTA_HANDLE_UPLOAD:
        return "upload";
    case VTA_HANDLE_DATA:
        return "data";
    case VTA_HANDLE_TENSOR:
        return "tensor";
    }
    return "unknown";
}

static vta_handle handle_of(const struct vta_handles *handles, uint32_t index)
{
    return (vta_handle)handles->kind << KIND_SHIFT |
           (vta_handle)handles->slots[index].generation << INDEX_BITS | index;
}

static uint32_t handle_index(vta_handle handle)
{
    return (uint32_t)(handle & (SLOTS_MAX - 1));
}

static uint32_t handle_generation(vta_handle handle)
{
    return (uint32_t)(handle >> INDEX_BITS & UINT32_MAX);
}

void vta_handles_init(struct vta_handles *handles, enum vta_handle_kind kind, uint32_t limit)
{
    *handles = (struct vta_handles){ .kind = kind, .limit = limit };
}

void vta_handles_clear(struct vta_handles *handles)
{
    free(handles->slots);
    vta_handles_init(handles, handles->kind, handles->limit);
}

/* Doubles the slots; the new ones go into the free list, lowest index first. */
static int grow(struct vta_handles *handles, struct vta_error *error)
{
    if (handles->size == SLOTS_MAX)
        return vta_error_limit(error, VTA_ELIMIT, SLOTS_MAX, (int64_t)SLOTS_MAX + 1,
                               "%s handles: all %u slots are used up",
                               vta_handle_kind_name(handles->kind), SLOTS_MAX);
    uint32_t size = handles->size == 0 ? SLOTS_FIRST : handles->size * 2;
    struct vta_handle_slot *slots = realloc(handles->slots, size * sizeof *slots);
    if (slots == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for %u %s handles", size,
                             vta_handle_kind_name(handles->kind));
    for (uint32_t i = size; i-- > handles->size;) {
        slots[i] = (struct vta_handle_slot){ .generation = 1, .next_free = handles->free_head };
        handles->free_head = i + 1;
    }
    handles->slots = slots;
    handles->size = size;
    return 0;
}

int vta_handles_add(struct vta_handles *handles, void *value, vta_handle *handle,
                    struct vta_error *error)
{
    if (handles->count >= handles->limit)
        return vta_error_limit(error, VTA_ELIMIT, handles->limit, (int64_t)handles->limit + 1,
                               "too many %ss: the limit is %u, all in use",
                               vta_handle_kind_name(handles->kind), handles->limit);
    if (handles->free_head == 0) {
        int rc = grow(handles, error);
        if (rc != 0)
            return rc;
    }
    uint32_t index = handles->free_head - 1;
    struct vta_handle_slot *slot = &handles->slots[index];
    handles->free_head = slot->next_free;
    slot->next_free = 0;
    slot->value = value;
    handles->count++;
    *handle = handle_of(handles, index);
    return 0;
}

/* Says what is wrong with a handle that names no live entry of this table. */
static void refuse(const struct vta_handles *handles, vta_handle handle, struct vta_error *error)
{
    const char *want = vta_handle_kind_name(handles->kind);
    uint64_t kind = handle >> KIND_SHIFT;
    if (handle == 0) {
        vta_error_set(error, VTA_EHANDLE, "%s handle 0 is never a handle", want);
        return;
    }
    if (kind != (uint64_t)handles->kind) {
        vta_error_set(error, VTA_EHANDLE, "handle 0x%" PRIx64 " is of kind %s, not %s", handle,
                      vta_handle_kind_name((enum vta_handle_kind)kind), want);
        return;
    }
    uint32_t index = handle_index(handle), generation = handle_generation(handle);
    bool before =
        index < handles->size && generation != 0 &&
        (handles->slots[index].generation == 0 || generation < handles->slots[index].generation);
    vta_error_set(error, VTA_EHANDLE, "%s handle 0x%" PRIx64 " %s", want, handle,
                  before ? "is stale (freed before)" : "was never given out");
}

/* The live slot of a handle, or NULL with the reason. */
static struct vta_handle_slot *find(const struct vta_handles *handles, vta_handle handle,
                                    struct vta_error *error)
{
    uint32_t index = handle_index(handle);
    if (index < handles->size && handles->slots[index].value != NULL &&
        handle_of(handles, index) == handle)
        return &handles->slots[index];
    refuse(handles, handle, error);
    return NULL;
}

void *vta_handles_get(const struct vta_handles *handles, vta_handle handle, struct vta_error *error)
{
    struct vta_handle_slot *slot = find(handles, handle, error);
    return slot == NULL ? NULL : slot->value;
}

void *vta_handles_remove(struct vta_handles *handles, vta_handle handle, struct vta_error *error)
{
    struct vta_handle_slot *slot = find(handles, handle, error);
    if (slot == NULL)
        return NULL;
    void *value = slot->value;
    slot->value = NULL;
    slot->generation++;
    handles->count--;
    if (slot->generation != 0) {
        slot->next_free = handles->free_head;
        handles->free_head = (uint32_t)(slot - handles->slots) + 1;
    }
    return value;
}

void *vta_handles_next(const struct vta_handles *handles, uint32_t *index, vta_handle *handle)
{
    for (uint32_t i = *index; i < handles->size; i++) {
        if (handles->slots[i].value == NULL)
            continue;
        *index = i + 1;
        if (handle != NULL)
            *handle = handle_of(handles, i);
        return handles->slots[i].value;
    }
    *index = handles->size;
    return NULL;
}
