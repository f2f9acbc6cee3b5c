/* timing_cost.c: the physics of single instructions (timing_cost.h).
 *
 *   every instruction   insn_cycles to start it
 *   LOAD                a cycle per SRAM entry of padding, 16 to begin it on either side of a row;
 *                       per row dma_row_cycles, then its bytes
 *   STORE               its bytes: writes are posted, so rows follow one another without a wait
 *   GEMM                iter_out · iter_in · (micro-ops + gemm_loop_cycles): one step a cycle, and
 *                       a pause whenever the innermost loop is entered
 *   ALU                 alu_cycles per step
 *
 * Bytes that the host's cache holds come at port_bytes_per_cycle, others at dram_bytes_per_cycle:
 * the board's port is coherent, so its reads go through that cache. The cache here replaces in the
 * order of filling, in blocks of 512 bytes; stores pass it by. Calls repeat: a program whose data
 * fit in the cache finds them there.
 */
#include "timing_cost.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES 512
/* Of padding, the same on every board: */
#define PAD_ENTRY_CYCLES 1  /* to write an SRAM entry */
#define PAD_SIDE_CYCLES  16 /* to enter the loop that does, before or after a row of data */

/* ---- The host's cache ---------------------------------------------------------------------- */

/* Blocks by number; those of different parameters are far apart. A block stays for `capacity` fills
 * after its own. Which fill that was is noted for a region of neighbours together, which are looked
 * up one after another. Regions of which nothing is left in the cache make room for others, so that
 * there are never more than a few for each block that it holds, however far apart a program reads.
 */
#define REGION_LOG    6 /* blocks: 32 KiB */
#define REGION_BLOCKS (1u << REGION_LOG)
#define REGIONS_LEAST 256u

struct region {
    uint64_t number;
    uint32_t newest;               /* of its fills; 0: the place is free */
    uint32_t fills[REGION_BLOCKS]; /* per block: the count of fills after its own, 0: none */
};

struct cache {
    uint32_t capacity;      /* blocks; 0: none */
    uint32_t fills;         /* since the program began, and it may begin again at 1 */
    bool overflowed;        /* there were more fills than capacity */
    struct region *regions; /* hashed by number, at most half full; owned */
    struct region *spare;   /* as large, for the next time; NULL: none. Owned */
    uint32_t size, used;    /* size: a power of two */
    struct region *last;    /* that was looked up; NULL: none */
};

/* Whether a fill's block is still there. */
static bool is_there(const struct cache *cache, uint32_t fill)
{
    return fill != 0 && cache->fills - (fill - 1) <= cache->capacity;
}

/* The region's place, taken or free. */
static struct region *place_of(struct region *regions, uint32_t size, uint64_t number)
{
    uint32_t at = (uint32_t)((number * UINT64_C(0x9e3779b97f4a7c15)) >> 40);
    while (regions[at & (size - 1)].newest != 0 && regions[at & (size - 1)].number != number)
        at++;
    return &regions[at & (size - 1)];
}

/* An empty table: the spare one where that is as large. NULL without memory. */
static struct region *empty_table(struct cache *cache, uint32_t size)
{
    struct region *table = cache->spare;
    cache->spare = NULL;
    if (table != NULL && size == cache->size)
        return memset(table, 0, size * sizeof(*table));
    free(table);
    return calloc(size, sizeof(*table));
}

/* Drops the regions that have nothing left, and makes room for more where too few of them do. */
static bool make_room(struct cache *cache)
{
    uint32_t live = 0, size = cache->size == 0 ? REGIONS_LEAST : cache->size;
    for (uint32_t i = 0; i < cache->size; i++)
        live += is_there(cache, cache->regions[i].newest);
    if (live > size / 4)
        size *= 2;
    struct region *regions = empty_table(cache, size);
    if (regions == NULL)
        return false;
    for (uint32_t i = 0; i < cache->size; i++)
        if (is_there(cache, cache->regions[i].newest))
            *place_of(regions, size, cache->regions[i].number) = cache->regions[i];
    if (size == cache->size)
        cache->spare = cache->regions;
    else
        free(cache->regions);
    cache->regions = regions;
    cache->size = size;
    cache->used = live;
    return true;
}

/* The region, which may be a free place; NULL without memory. */
static struct region *find_region(struct cache *cache, uint64_t number)
{
    if (cache->last != NULL && cache->last->number == number)
        return cache->last;
    if (2 * cache->used >= cache->size && !make_room(cache))
        return NULL;
    cache->last = place_of(cache->regions, cache->size, number);
    cache->last->number = number;
    return cache->last;
}

static void note_fill(struct cache *cache, struct region *region, uint32_t *fill)
{
    if (cache->fills >= cache->capacity)
        cache->overflowed = true;
    if (++cache->fills == 0)
        cache->fills = 1;
    cache->used += region->newest == 0;
    region->newest = *fill = cache->fills;
}

/* Adds to *missed the bytes of [begin, end) that were not in the cache; they are afterwards.
 * False without memory. */
static bool cache_read(struct cache *cache, uint64_t begin, uint64_t end, uint64_t *missed)
{
    for (uint64_t block = begin / BLOCK_BYTES; block * BLOCK_BYTES < end; block++) {
        struct region *region = find_region(cache, block >> REGION_LOG);
        if (region == NULL)
            return false;
        uint32_t *fill = &region->fills[block & (REGION_BLOCKS - 1)];
        if (is_there(cache, *fill))
            continue;
        note_fill(cache, region, fill);
        uint64_t low = block * BLOCK_BYTES, high = low + BLOCK_BYTES;
        *missed += (high < end ? high : end) - (low > begin ? low : begin);
    }
    return true;
}

/* Adds the bytes that a LOAD misses. Each parameter has addresses of its own, 2^44 apart. */
static bool load_misses(struct cache *cache, const struct vta_program *program, uint32_t index,
                        uint64_t *missed)
{
    const struct vta_mem_insn *mem = &program->insns[index].mem;
    const uint64_t elem = program->hw.dram_elem_bytes[mem->memory];
    uint64_t at = ((uint64_t)(program->bases[index] + 2) << 44) + mem->dram_base * elem;
    const uint64_t bytes = mem->x_size * elem, stride = mem->x_stride * elem;
    bool good = true;
    for (uint32_t y = 0; y < mem->y_size && good; y++, at += stride)
        good = cache_read(cache, at, at + bytes, missed);
    return good;
}

/* ---- Costs --------------------------------------------------------------------------------- */

/* Three hours at 100 MHz: no instruction is taken to be longer, so that sums never overflow. */
#define INSN_CYCLES_MOST (UINT64_C(1) << 40)

static uint64_t up(double cycles)
{
    return cycles < (double)INSN_CYCLES_MOST ? (uint64_t)ceil(cycles - 1e-9) : INSN_CYCLES_MOST;
}

/* Of a LOAD's padding. */
static uint64_t pad_cycles(const struct vta_mem_insn *mem)
{
    uint64_t entries = (uint64_t)mem->x_pad_before + mem->x_pad_after;
    uint64_t sides = (uint64_t)(mem->x_pad_before != 0) + (mem->x_pad_after != 0);
    uint64_t rows = (mem->x_size + entries) * (mem->y_pad_before + mem->y_pad_after);
    return (rows + entries * mem->y_size) * PAD_ENTRY_CYCLES +
           sides * mem->y_size * PAD_SIDE_CYCLES;
}

static bool is_mem(const struct vta_insn *insn)
{
    return insn->opcode == VTA_OP_LOAD || insn->opcode == VTA_OP_STORE;
}

/* What a LOAD or STORE costs beyond its start, given the bytes that the cache does not serve. */
static void mem_cost(struct vta_cost *cost, const struct vta_program *program,
                     const struct vta_insn *insn, uint64_t missed,
                     const struct vta_timing_profile *profile)
{
    const struct vta_mem_insn *mem = &insn->mem;
    if (mem->x_size == 0)
        return;
    cost->rows = mem->y_size;
    cost->bytes = (uint64_t)mem->y_size * mem->x_size * program->hw.dram_elem_bytes[mem->memory];
    cost->port = up((double)(cost->bytes - missed) / profile->port_bytes_per_cycle +
                    (double)missed / profile->dram_bytes_per_cycle);
    cost->cycles += cost->port;
    if (insn->opcode == VTA_OP_LOAD)
        cost->cycles += pad_cycles(mem) + up((double)cost->rows * profile->dma_row_cycles);
}

static void nest_cost(struct vta_cost *cost, const struct vta_insn *insn,
                      const struct vta_timing_profile *profile)
{
    const struct vta_nest_insn *nest = &insn->nest;
    double entries = (double)nest->iter_out * nest->iter_in;
    double uops = (double)(nest->uop_end - nest->uop_begin);
    if (insn->opcode == VTA_OP_GEMM)
        cost->cycles += up(entries * (uops + profile->gemm_loop_cycles));
    else
        cost->cycles += up(entries * uops * profile->alu_cycles);
}

/* Costs of everything; misses as they are when the program runs for the first time, or none. */
static void fill(struct vta_cost *costs, const struct vta_program *program,
                 const struct vta_timing_profile *profile, const uint64_t *misses)
{
    const uint64_t start = up(profile->insn_cycles);
    for (uint32_t i = 0; i < program->count; i++) {
        const struct vta_insn *insn = &program->insns[i];
        costs[i] = (struct vta_cost){ .cycles = start };
        if (is_mem(insn))
            mem_cost(&costs[i], program, insn, misses != NULL ? misses[i] : 0, profile);
        else if (insn->opcode == VTA_OP_GEMM || insn->opcode == VTA_OP_ALU)
            nest_cost(&costs[i], insn, profile);
    }
}

int vta_costs(struct vta_cost *costs, const struct vta_program *program,
              const struct vta_timing_profile *profile, struct vta_control *control,
              struct vta_error *error)
{
    struct cache cache = { .capacity = (uint32_t)(profile->cache_kib * 1024 / BLOCK_BYTES) };
    uint64_t *misses = calloc((size_t)program->count + 1, sizeof(*misses));
    bool good = misses != NULL;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && good && i < program->count; i++) {
        const struct vta_insn *insn = &program->insns[i];
        if (insn->opcode == VTA_OP_LOAD && insn->mem.x_size != 0)
            good = load_misses(&cache, program, i, &misses[i]);
        rc = vta_control_step(control, 1 + (insn->opcode <= VTA_OP_STORE ? insn->mem.y_size : 0));
        if (rc != 0)
            vta_control_error(control, rc, error, "prediction of its time");
    }
    if (rc == 0 && !good)
        rc = vta_error_set(error, VTA_ENOMEM, "no memory for a program's timing");
    if (rc == 0)
        fill(costs, program, profile, cache.overflowed ? misses : NULL);
    free(cache.regions);
    free(cache.spare);
    free(misses);
    return rc;
}
