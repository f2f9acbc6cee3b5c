/* uop_extent.c: a segment tree with lazy assignment over the micro-op SRAM (uop_extent.h). */
#include "uop_extent.h"

#include <stdlib.h>

#define MIXED (UINT32_MAX - 1) /* see the children */

struct vta_uop_node {
    struct vta_uop_extent extent; /* of the node's whole range */
    uint32_t run; /* first micro-op of the run that the whole range was loaded from, or
                     VTA_UOP_ZEROS, or MIXED */
};

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static struct vta_uop larger_fields(struct vta_uop a, struct vta_uop b)
{
    return (struct vta_uop){ larger(a.dst, b.dst), larger(a.src, b.src), larger(a.wgt, b.wgt) };
}

static struct vta_uop_extent join(struct vta_uop_extent a, struct vta_uop_extent b)
{
    return (struct vta_uop_extent){ .max = larger_fields(a.max, b.max),
                                    .loaded = a.loaded & b.loaded };
}

/* ---- The image ----------------------------------------------------------------------------- */

static void build_image(struct vta_uop_extents *extents, const struct vta_uop *uops)
{
    const uint32_t size = extents->image_size;
    for (uint32_t i = 0; i < size; i++)
        extents->image[size + i] = uops[i];
    for (uint32_t i = size; i-- > 1;)
        extents->image[i] = larger_fields(extents->image[2 * i], extents->image[2 * i + 1]);
}

/* The extent of `count` entries loaded from a run. */
static struct vta_uop_extent run_extent(const struct vta_uop_extents *extents, uint32_t run,
                                        uint32_t count)
{
    struct vta_uop_extent sum = { .loaded = 1 };
    if (run == VTA_UOP_ZEROS)
        return sum;
    size_t low = (size_t)extents->image_size + run, high = low + count;
    for (; low < high; low /= 2, high /= 2) {
        if (low & 1)
            sum.max = larger_fields(sum.max, extents->image[low++]);
        if (high & 1)
            sum.max = larger_fields(sum.max, extents->image[--high]);
    }
    return sum;
}

static uint32_t run_plus(uint32_t run, uint32_t offset)
{
    return run == VTA_UOP_ZEROS ? VTA_UOP_ZEROS : run + offset;
}

/* ---- The SRAM ------------------------------------------------------------------------------ */

int vta_uop_extents_init(struct vta_uop_extents *extents, uint32_t depth,
                         const struct vta_uop *uops, uint32_t uop_count, struct vta_error *error)
{
    extents->depth = depth;
    extents->image_size = uop_count;
    extents->image = malloc(((size_t)uop_count * 2 + 1) * sizeof(*extents->image));
    extents->nodes = malloc((size_t)depth * 2 * sizeof(*extents->nodes));
    if (extents->image == NULL || extents->nodes == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory to verify a program");
    build_image(extents, uops);
    for (uint32_t i = 0; i < 2 * depth; i++)
        extents->nodes[i] = (struct vta_uop_node){ .run = MIXED };
    return 0;
}

void vta_uop_extents_free(struct vta_uop_extents *extents)
{
    free(extents->image);
    free(extents->nodes);
    extents->image = NULL;
    extents->nodes = NULL;
}

static void assign(const struct vta_uop_extents *extents, uint32_t node, uint32_t run,
                   uint32_t width)
{
    extents->nodes[node].run = run;
    extents->nodes[node].extent = run_extent(extents, run, width);
}

/* A range [begin, end) of the SRAM and where its first entry comes from. */
struct load {
    uint32_t begin, end, from;
};

/* Loads what the node [low, low + width) shares with the range. */
static void load_node(const struct vta_uop_extents *extents, uint32_t node, uint32_t low,
                      uint32_t width, const struct load *load)
{
    if (low >= load->end || low + width <= load->begin)
        return;
    if (low >= load->begin && low + width <= load->end) {
        assign(extents, node, run_plus(load->from, low - load->begin), width);
        return;
    }
    struct vta_uop_node *nodes = extents->nodes;
    const uint32_t half = width / 2;
    if (nodes[node].run != MIXED) {
        assign(extents, 2 * node, nodes[node].run, half);
        assign(extents, 2 * node + 1, run_plus(nodes[node].run, half), half);
        nodes[node].run = MIXED;
    }
    load_node(extents, 2 * node, low, half, load);
    load_node(extents, 2 * node + 1, low + half, half, load);
    nodes[node].extent = join(nodes[2 * node].extent, nodes[2 * node + 1].extent);
}

void vta_uop_extents_load(struct vta_uop_extents *extents, uint32_t begin, uint32_t count,
                          uint32_t from)
{
    const struct load load = { begin, begin + count, from };
    load_node(extents, 1, 0, extents->depth, &load);
}

static struct vta_uop_extent query_node(const struct vta_uop_extents *extents, uint32_t node,
                                        uint32_t low, uint32_t width, uint32_t begin, uint32_t end)
{
    if (low >= end || low + width <= begin)
        return (struct vta_uop_extent){ .loaded = 1 };
    if (low >= begin && low + width <= end)
        return extents->nodes[node].extent;
    const uint32_t half = width / 2, run = extents->nodes[node].run;
    if (run != MIXED) {
        uint32_t first = larger(low, begin), last = low + width < end ? low + width : end;
        return run_extent(extents, run_plus(run, first - low), last - first);
    }
    return join(query_node(extents, 2 * node, low, half, begin, end),
                query_node(extents, 2 * node + 1, low + half, half, begin, end));
}

struct vta_uop_extent vta_uop_extents_query(const struct vta_uop_extents *extents, uint32_t begin,
                                            uint32_t end)
{
    return query_node(extents, 1, 0, extents->depth, begin, end);
}
