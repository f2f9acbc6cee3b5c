/* uop_extent.c: a segment tree over the micro-op SRAM (uop_extent.h). */
#include "uop_extent.h"

#include <stdlib.h>

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static struct vta_uop_extent join(struct vta_uop_extent a, struct vta_uop_extent b)
{
    return (struct vta_uop_extent){
        .max = { larger(a.max.dst, b.max.dst), larger(a.max.src, b.max.src),
                 larger(a.max.wgt, b.max.wgt) },
        .loaded = a.loaded & b.loaded,
    };
}

int vta_uop_extents_init(struct vta_uop_extents *extents, uint32_t depth, struct vta_error *error)
{
    extents->depth = depth;
    extents->nodes = calloc((size_t)depth * 2, sizeof(*extents->nodes));
    if (extents->nodes == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory to verify a program");
    return 0;
}

void vta_uop_extents_free(struct vta_uop_extents *extents)
{
    free(extents->nodes);
    extents->nodes = NULL;
}

void vta_uop_extents_load(struct vta_uop_extents *extents, uint32_t begin, uint32_t count,
                          const struct vta_uop *uops)
{
    if (count == 0)
        return;
    struct vta_uop_extent *nodes = extents->nodes;
    for (uint32_t i = 0; i < count; i++)
        nodes[extents->depth + begin + i] = (struct vta_uop_extent){
            .max = uops != NULL ? uops[i] : (struct vta_uop){ 0 },
            .loaded = 1,
        };
    uint32_t first = (extents->depth + begin) / 2, last = (extents->depth + begin + count - 1) / 2;
    for (; first >= 1; first /= 2, last /= 2)
        for (uint32_t i = first; i <= last; i++)
            nodes[i] = join(nodes[2 * i], nodes[2 * i + 1]);
}

struct vta_uop_extent vta_uop_extents_query(const struct vta_uop_extents *extents, uint32_t begin,
                                            uint32_t end)
{
    struct vta_uop_extent sum = { .loaded = 1 };
    uint32_t low = extents->depth + begin, high = extents->depth + end;
    for (; low < high; low /= 2, high /= 2) {
        if (low & 1)
            sum = join(sum, extents->nodes[low++]);
        if (high & 1)
            sum = join(sum, extents->nodes[--high]);
    }
    return sum;
}

uint32_t vta_uop_extents_hole(const struct vta_uop_extents *extents, uint32_t begin, uint32_t end)
{
    uint32_t i = begin;
    while (i < end && extents->nodes[extents->depth + i].loaded)
        i++;
    return i;
}
