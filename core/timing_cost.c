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
 * order of filling, in blocks of 256 bytes; stores pass it by. Calls repeat: a program whose data
 * fit in the cache finds them there.
 */
#include "timing_cost.h"

#include <math.h>
#include <stdlib.h>

#define BLOCK_BYTES 256
/* Of padding, the same on every board: */
#define PAD_ENTRY_CYCLES 1  /* to write an SRAM entry */
#define PAD_SIDE_CYCLES  16 /* to enter the loop that does, before or after a row of data */

/* ---- The host's cache ---------------------------------------------------------------------- */

/* A block by its number; numbers of different parameters never meet. */
struct cache {
    uint32_t capacity; /* blocks; 0: none */
    uint32_t mask;     /* of the hash, a power of two less one */
    uint64_t fills;    /* since the program began; the block of fill k is in slot k % capacity */
    uint64_t *block;   /* per slot; owned, with the next two in one piece */
    uint32_t *next;    /* per slot: the next one of its chain, or NONE */
    uint32_t *first;   /* per hash value: the first slot of its chain, or NONE */
};
#define NONE UINT32_MAX

static int cache_open(struct cache *cache, double kib, struct vta_error *error)
{
    *cache = (struct cache){ .capacity = (uint32_t)(kib * 1024 / BLOCK_BYTES) };
    uint32_t buckets = 1;
    while (buckets < 2 * (uint64_t)cache->capacity)
        buckets *= 2;
    cache->mask = buckets - 1;
    cache->block = calloc((size_t)cache->capacity + 1, sizeof(*cache->block));
    cache->next = calloc((size_t)cache->capacity + 1, sizeof(*cache->next));
    cache->first = malloc(buckets * sizeof(*cache->first));
    if (cache->block == NULL || cache->next == NULL || cache->first == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a program's timing");
    for (uint32_t i = 0; i < buckets; i++)
        cache->first[i] = NONE;
    return 0;
}

static void cache_close(struct cache *cache)
{
    free(cache->block);
    free(cache->next);
    free(cache->first);
}

/* Neighbours stay neighbours, for the sake of this host's own cache; strides spread. */
static uint32_t hash(const struct cache *cache, uint64_t block)
{
    return (uint32_t)(block ^ block >> 12 ^ block >> 25 ^ block >> 36) & cache->mask;
}

static void evict(struct cache *cache, uint32_t slot)
{
    uint32_t *link = &cache->first[hash(cache, cache->block[slot])];
    while (*link != slot)
        link = &cache->next[*link];
    *link = cache->next[slot];
}

/* Whether the cache holds a block; it does afterwards. */
static bool cache_touch(struct cache *cache, uint64_t block)
{
    if (cache->capacity == 0) {
        cache->fills++;
        return false;
    }
    uint32_t *first = &cache->first[hash(cache, block)];
    for (uint32_t slot = *first; slot != NONE; slot = cache->next[slot])
        if (cache->block[slot] == block)
            return true;
    uint32_t slot = (uint32_t)(cache->fills % cache->capacity);
    if (cache->fills >= cache->capacity)
        evict(cache, slot);
    cache->fills++;
    cache->block[slot] = block;
    cache->next[slot] = *first;
    *first = slot;
    return false;
}

/* Bytes of [begin, end) that were not in the cache. */
static uint64_t cache_read(struct cache *cache, uint64_t begin, uint64_t end)
{
    uint64_t missed = 0;
    for (uint64_t block = begin / BLOCK_BYTES; block * BLOCK_BYTES < end; block++) {
        uint64_t low = block * BLOCK_BYTES, high = low + BLOCK_BYTES;
        if (!cache_touch(cache, block))
            missed += (high < end ? high : end) - (low > begin ? low : begin);
    }
    return missed;
}

/* Bytes that a LOAD misses. Each parameter has addresses of its own, 2^44 apart. */
static uint64_t load_misses(struct cache *cache, const struct vta_program *program, uint32_t index)
{
    const struct vta_mem_insn *mem = &program->insns[index].mem;
    const uint64_t elem = program->hw.dram_elem_bytes[mem->memory];
    uint64_t at = ((uint64_t)(program->bases[index] + 2) << 44) + mem->dram_base * elem;
    const uint64_t bytes = mem->x_size * elem, stride = mem->x_stride * elem;
    uint64_t missed = 0;
    for (uint32_t y = 0; y < mem->y_size; y++, at += stride)
        missed += cache_read(cache, at, at + bytes);
    return missed;
}

/* ---- Costs --------------------------------------------------------------------------------- */

static uint64_t up(double cycles)
{
    return (uint64_t)ceil(cycles - 1e-9);
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
                 const struct vta_timing_profile *profile, const uint32_t *misses)
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
              const struct vta_timing_profile *profile, const _Atomic int *stop,
              struct vta_error *error)
{
    struct cache cache;
    uint32_t *misses = calloc((size_t)program->count + 1, sizeof(*misses));
    int rc = cache_open(&cache, profile->cache_kib, error);
    if (rc == 0 && misses == NULL)
        rc = vta_error_set(error, VTA_ENOMEM, "no memory for a program's timing");
    for (uint32_t i = 0; rc == 0 && i < program->count; i++) {
        const struct vta_insn *insn = &program->insns[i];
        if (insn->opcode == VTA_OP_LOAD && insn->mem.x_size != 0)
            misses[i] = (uint32_t)load_misses(&cache, program, i);
        if (stop != NULL && *stop != 0)
            rc = vta_error_set(error, *stop, "stopped while its time was predicted");
    }
    if (rc == 0)
        fill(costs, program, profile, cache.fills <= cache.capacity ? NULL : misses);
    cache_close(&cache);
    free(misses);
    return rc;
}
