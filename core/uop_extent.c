/* uop_extent.c: a segment tree with lazy assignment over the micro-op SRAM (uop_extent.h). */
#include "uop_extent.h"

#include <stdlib.h>

#define MIXED UINT32_MAX /* see the children */

struct vta_uop_node {
    struct vta_uop_extent extent; /* of the node's whole range */
    uint32_t insn;                /* the LOAD that the whole range comes from, or MIXED */
};

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static struct vta_uop larger_fields(struct vta_uop a, struct vta_uop b)
{
    return (struct vta_uop){ larger(a.dst, b.dst), larger(a.src, b.src), larger(a.wgt, b.wgt) };
}

static struct vta_uop_extent join(struct vta_uop_extent a, struct vta_uop_extent b)
{
    return (struct vta_uop_extent){ .max = larger_fields(a.max, b.max),
                                    .loaded = a.loaded && b.loaded,
                                    .exact = a.exact && b.exact };
}

/* ---- The image ----------------------------------------------------------------------------- */

static void build_image(struct vta_uop_extents *extents)
{
    const uint32_t size = extents->program->uop_count;
    for (uint32_t i = 0; i < size; i++)
        extents->image[size + i] = extents->program->uops[i];
    for (uint32_t i = size; i-- > 1;)
        extents->image[i] = larger_fields(extents->image[2 * i], extents->image[2 * i + 1]);
    extents->steps += size;
}

/* The maxima of micro-ops [begin, end). */
static struct vta_uop image_max(struct vta_uop_extents *extents, uint32_t begin, uint32_t end)
{
    struct vta_uop max = { 0, 0, 0 };
    size_t low = (size_t)extents->program->uop_count + begin;
    size_t high = (size_t)extents->program->uop_count + end;
    uint64_t steps = 0;
    for (; low < high; low /= 2, high /= 2, steps++) {
        if (low & 1)
            max = larger_fields(max, extents->image[low++]);
        if (high & 1)
            max = larger_fields(max, extents->image[--high]);
    }
    extents->steps += steps;
    return max;
}

/* ---- One load ------------------------------------------------------------------------------ */

/* The extent of the entries [begin, end) of the SRAM, all of which a LOAD has written in rows.
 * Padding writes zeros, which are micro-ops too and reach nothing. */
static struct vta_uop_extent rows_extent(struct vta_uop_extents *extents,
                                         const struct vta_mem_insn *mem, uint32_t begin,
                                         uint32_t end)
{
    const uint32_t columns = mem->x_pad_before + mem->x_size + mem->x_pad_after;
    const uint32_t first = begin - mem->sram_base, last = end - 1 - mem->sram_base;
    const uint32_t data = mem->y_pad_before, data_end = data + mem->y_size; /* rows */
    const uint32_t row = larger(first / columns, data);
    const uint32_t row_end = smaller(last / columns + 1, data_end);
    struct vta_uop_extent extent = { .loaded = true, .exact = true };
    if (row >= row_end)
        return extent;

    /* From which element of the first row, up to which one of the last. */
    uint32_t from = first / columns < row ? 0 : first % columns;
    uint32_t to = last / columns >= row_end ? columns : last % columns + 1;
    from = from > mem->x_pad_before ? smaller(from - mem->x_pad_before, mem->x_size) : 0;
    to = to > mem->x_pad_before ? smaller(to - mem->x_pad_before, mem->x_size) : 0;
    const uint32_t at = mem->dram_base + (row - data) * mem->x_stride;
    const uint32_t at_last = mem->dram_base + (row_end - 1 - data) * mem->x_stride;
    if (row + 1 == row_end || mem->x_stride == mem->x_size) {
        if (at + from < at_last + to)
            extent.max = image_max(extents, at + from, at_last + to);
        return extent;
    }
    extent.max = image_max(extents, at, at_last + mem->x_size);
    extent.exact = from == 0 && to == mem->x_size && mem->x_stride < mem->x_size;
    return extent;
}

/* The same of any LOAD; the usual one is a row without padding. */
static struct vta_uop_extent load_extent(struct vta_uop_extents *extents, uint32_t insn,
                                         uint32_t begin, uint32_t end)
{
    const struct vta_mem_insn *mem = &extents->program->insns[insn].mem;
    const uint32_t from = mem->dram_base + (begin - mem->sram_base);
    if (mem->y_size != 1 ||
        mem->y_pad_before + mem->y_pad_after + mem->x_pad_before + mem->x_pad_after != 0)
        return rows_extent(extents, mem, begin, end);
    return (struct vta_uop_extent){ .max = image_max(extents, from, from + (end - begin)),
                                    .loaded = true,
                                    .exact = true };
}

/* ---- The SRAM ------------------------------------------------------------------------------ */

int vta_uop_extents_init(struct vta_uop_extents *extents, const struct vta_program *program,
                         struct vta_error *error)
{
    extents->program = program;
    extents->depth = program->hw.depth[VTA_MEM_UOP];
    extents->steps = 0;
    extents->image = malloc(((size_t)program->uop_count * 2 + 1) * sizeof(*extents->image));
    extents->nodes = malloc((size_t)extents->depth * 2 * sizeof(*extents->nodes));
    if (extents->image == NULL || extents->nodes == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory to verify a program");
    build_image(extents);
    for (uint32_t i = 0; i < 2 * extents->depth; i++)
        extents->nodes[i] = (struct vta_uop_node){ .extent = { .exact = true }, .insn = MIXED };
    return 0;
}

void vta_uop_extents_free(struct vta_uop_extents *extents)
{
    free(extents->image);
    free(extents->nodes);
    extents->image = NULL;
    extents->nodes = NULL;
}

static void assign(struct vta_uop_extents *extents, uint32_t node, uint32_t low, uint32_t width,
                   uint32_t insn)
{
    extents->nodes[node].insn = insn;
    extents->nodes[node].extent = load_extent(extents, insn, low, low + width);
    extents->steps++;
}

/* Hands what a node stands for to its children. */
static void push_down(struct vta_uop_extents *extents, uint32_t node, uint32_t low, uint32_t width)
{
    const uint32_t half = width / 2, insn = extents->nodes[node].insn;
    if (insn == MIXED)
        return;
    assign(extents, 2 * node, low, half, insn);
    assign(extents, 2 * node + 1, low + half, half, insn);
    extents->nodes[node].insn = MIXED;
}

static void pull_up(struct vta_uop_extents *extents, uint32_t node)
{
    struct vta_uop_node *nodes = extents->nodes;
    nodes[node].extent = join(nodes[2 * node].extent, nodes[2 * node + 1].extent);
}

/* Entries of the SRAM, and the instruction that loads them. */
struct load {
    uint32_t begin, end, insn;
};

/* Loads what the node [low, low + width) shares with the range. */
static void load_node(struct vta_uop_extents *extents, uint32_t node, uint32_t low, uint32_t width,
                      const struct load *load)
{
    extents->steps++;
    if (low >= load->end || low + width <= load->begin)
        return;
    if (low >= load->begin && low + width <= load->end) {
        assign(extents, node, low, width, load->insn);
        return;
    }
    push_down(extents, node, low, width);
    load_node(extents, 2 * node, low, width / 2, load);
    load_node(extents, 2 * node + 1, low + width / 2, width / 2, load);
    pull_up(extents, node);
}

void vta_uop_extents_load(struct vta_uop_extents *extents, uint32_t insn)
{
    const struct vta_mem_insn *mem = &extents->program->insns[insn].mem;
    const uint32_t columns = mem->x_pad_before + mem->x_size + mem->x_pad_after;
    const uint32_t rows = mem->y_pad_before + mem->y_size + mem->y_pad_after;
    const struct load load = { mem->sram_base, mem->sram_base + rows * columns, insn };
    load_node(extents, 1, 0, extents->depth, &load);
}

static struct vta_uop_extent query_node(struct vta_uop_extents *extents, uint32_t node,
                                        uint32_t low, uint32_t width, uint32_t begin, uint32_t end)
{
    extents->steps++;
    if (low >= end || low + width <= begin)
        return (struct vta_uop_extent){ .loaded = true, .exact = true };
    if (low >= begin && low + width <= end)
        return extents->nodes[node].extent;
    const uint32_t half = width / 2, insn = extents->nodes[node].insn;
    if (insn != MIXED)
        return load_extent(extents, insn, larger(low, begin), smaller(low + width, end));
    return join(query_node(extents, 2 * node, low, half, begin, end),
                query_node(extents, 2 * node + 1, low + half, half, begin, end));
}

struct vta_uop_extent vta_uop_extents_query(struct vta_uop_extents *extents, uint32_t begin,
                                            uint32_t end)
{
    return query_node(extents, 1, 0, extents->depth, begin, end);
}

/* An entry alone is always exact, so that this ends. */
static void tell_apart_node(struct vta_uop_extents *extents, uint32_t node, uint32_t low,
                            uint32_t width, uint32_t begin, uint32_t end)
{
    const uint32_t first = larger(low, begin), last = smaller(low + width, end);
    const uint32_t insn = extents->nodes[node].insn;
    extents->steps++;
    if (first >= last)
        return;
    if (last - first == width && extents->nodes[node].extent.exact)
        return;
    if (last - first < width && insn != MIXED && load_extent(extents, insn, first, last).exact)
        return;
    push_down(extents, node, low, width);
    tell_apart_node(extents, 2 * node, low, width / 2, begin, end);
    tell_apart_node(extents, 2 * node + 1, low + width / 2, width / 2, begin, end);
    pull_up(extents, node);
}

void vta_uop_extents_tell_apart(struct vta_uop_extents *extents, uint32_t begin, uint32_t end)
{
    tell_apart_node(extents, 1, 0, extents->depth, begin, end);
}
