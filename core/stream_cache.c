/* stream_cache.c: a few verified programs, looked up by the bytes they came from (stream_cache.h).
 */
#include "stream_cache.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    struct vta_program *program; /* NULL: free */
    uint8_t *insns;              /* the bytes it was made from */
    uint64_t hash;               /* of those bytes */
    uint64_t used;               /* the cache's clock at its last use */
};

struct vta_stream_cache {
    uint32_t entry_count;
    uint64_t most, kept; /* instructions and micro-ops, of all entries together */
    uint64_t clock;
    struct vta_stream_cache_stats stats;
    struct entry entries[];
};

struct vta_stream_cache *vta_stream_cache_new(uint32_t programs, uint64_t most)
{
    struct vta_stream_cache *cache =
        calloc(1, sizeof(*cache) + programs * sizeof(cache->entries[0]));
    if (cache == NULL)
        return NULL;
    cache->entry_count = programs;
    cache->most = most;
    return cache;
}

/* What a program weighs: instructions and micro-ops. */
static uint64_t size_of(const struct vta_program *program)
{
    return (uint64_t)program->count + program->uop_count;
}

static void drop(struct vta_stream_cache *cache, struct entry *entry)
{
    if (entry->program == NULL)
        return;
    cache->kept -= size_of(entry->program);
    cache->stats.programs--;
    vta_program_free(entry->program);
    free(entry->insns);
    memset(entry, 0, sizeof(*entry));
}

void vta_stream_cache_free(struct vta_stream_cache *cache)
{
    if (cache == NULL)
        return;
    for (uint32_t i = 0; i < cache->entry_count; i++)
        drop(cache, &cache->entries[i]);
    free(cache);
}

/* Finds candidates; equality is decided by the bytes. */
static uint64_t hash_of(const uint8_t *bytes, size_t nbytes)
{
    uint64_t hash = nbytes;
    for (size_t i = 0; i < nbytes; i += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, bytes + i, sizeof(word));
        hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 29;
    }
    return hash;
}

static bool serves(const struct entry *entry, uint64_t hash, const struct vta_hw *hw,
                   const uint8_t *insns, uint32_t count, const struct vta_verify_options *options)
{
    struct vta_program *program = entry->program;
    return program != NULL && entry->hash == hash && program->count == count &&
           vta_hw_equal(&program->hw, hw) &&
           memcmp(&program->before, &options->before, sizeof(options->before)) == 0 &&
           memcmp(entry->insns, insns, (size_t)count * VTA_INSN_BYTES) == 0 &&
           (options->max_work == 0 || program->work <= options->max_work) &&
           vta_program_uops_unchanged(program, options->reader, options->context) &&
           vta_verify_addresses(program, options, NULL) == 0;
}

/* A free entry, after room was made for this much more. */
static struct entry *make_room(struct vta_stream_cache *cache, uint64_t size)
{
    for (;;) {
        struct entry *free_one = NULL, *oldest = NULL;
        for (uint32_t i = 0; i < cache->entry_count; i++) {
            struct entry *entry = &cache->entries[i];
            if (entry->program == NULL)
                free_one = entry;
            else if (oldest == NULL || entry->used < oldest->used)
                oldest = entry;
        }
        bool fits =
            oldest == NULL || (cache->kept <= cache->most && size <= cache->most - cache->kept);
        if (free_one != NULL && fits)
            return free_one;
        drop(cache, oldest);
    }
}

static int keep(struct vta_stream_cache *cache, struct vta_program *program, const uint8_t *insns,
                uint64_t hash, struct vta_error *error)
{
    struct entry *entry = make_room(cache, size_of(program));
    entry->insns = malloc((size_t)program->count * VTA_INSN_BYTES + 1);
    if (entry->insns == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory to keep a stream");
    memcpy(entry->insns, insns, (size_t)program->count * VTA_INSN_BYTES);
    entry->program = program;
    entry->hash = hash;
    entry->used = cache->clock;
    cache->kept += size_of(program);
    cache->stats.programs++;
    return 0;
}

int vta_stream_cache_get(struct vta_stream_cache *cache, const struct vta_hw *hw,
                         const uint8_t *insns, uint32_t count,
                         const struct vta_verify_options *options,
                         const struct vta_program **result, struct vta_error *error)
{
    const uint64_t hash = hash_of(insns, (size_t)count * VTA_INSN_BYTES);
    struct vta_program *program = NULL;

    cache->clock++;
    for (uint32_t i = 0; i < cache->entry_count; i++) {
        struct entry *entry = &cache->entries[i];
        if (serves(entry, hash, hw, insns, count, options)) {
            entry->used = cache->clock;
            cache->stats.hits++;
            *result = entry->program;
            return 0;
        }
    }
    cache->stats.misses++;
    int rc = vta_program_from_stream(&program, hw, insns, count, options->reader, options->context,
                                     error);
    if (rc == 0)
        rc = vta_verify(program, options, error);
    if (rc == 0)
        rc = keep(cache, program, insns, hash, error);
    if (rc != 0) {
        vta_program_free(program);
        return rc;
    }
    *result = program;
    return 0;
}

void vta_stream_cache_stats(const struct vta_stream_cache *cache,
                            struct vta_stream_cache_stats *stats)
{
    *stats = cache->stats;
}
