/* stream_cache.c: a few verified programs, looked up by the bytes they came from (stream_cache.h).
 */
#include "stream_cache.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    struct vta_program *program; /* NULL: free */
    uint8_t *insns;              /* the bytes it was made from; NULL: a recorder's stream */
    uint64_t hash;               /* of those bytes, or 0 */
    uint64_t used;               /* the cache's clock at its last use */
    uint64_t epoch; /* of DRAM, when its addresses were last found inside allocations */
};

struct vta_stream_cache {
    uint32_t entry_count;
    uint64_t most; /* bytes, of all entries together */
    uint64_t clock;
    bool looks, made; /* for hazards; the latest program, rather than found */
    struct vta_hazard_options hazards;
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

void vta_stream_cache_look_for(struct vta_stream_cache *cache,
                               const struct vta_hazard_options *hazards)
{
    cache->looks = hazards != NULL;
    if (hazards != NULL)
        cache->hazards = *hazards;
}

bool vta_stream_cache_made(const struct vta_stream_cache *cache)
{
    return cache->made;
}

/* The memory that a program takes, and its stream beside it. */
static uint64_t size_of(const struct vta_program *program, bool raw)
{
    return vta_program_bytes(program) + (raw ? (uint64_t)program->count * VTA_INSN_BYTES : 0);
}

static void drop(struct vta_stream_cache *cache, struct entry *entry)
{
    if (entry->program == NULL)
        return;
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

/* What is asked for: bytes and their hash, or what a recorder holds. */
struct wanted {
    const struct vta_hw *hw;
    const struct vta_verify_options *options;
    const uint8_t *insns;
    uint32_t count;
    uint64_t hash;
    const struct vta_decoded *decoded; /* NULL: bytes */
};

/* Whether the entry was made from these bytes, or this recorder's stream. */
static bool made_from(const struct entry *entry, const struct wanted *wanted)
{
    const struct vta_program *program = entry->program;
    if (wanted->decoded != NULL)
        return entry->insns == NULL && vta_program_is_decoded(program, wanted->decoded);
    return entry->insns != NULL && entry->hash == wanted->hash && program->count == wanted->count &&
           memcmp(entry->insns, wanted->insns, (size_t)wanted->count * VTA_INSN_BYTES) == 0 &&
           vta_program_uops_unchanged(program, wanted->options->reader, wanted->options->context);
}

/* Whether the entry's addresses lie inside allocations; looked at again only after one was freed.
 */
static bool addresses_hold(struct entry *entry, const struct vta_verify_options *options)
{
    if (options->epoch != 0 && entry->epoch == options->epoch)
        return true;
    if (vta_verify_addresses(entry->program, options, NULL) != 0)
        return false;
    entry->epoch = options->epoch;
    return true;
}

static bool serves(struct entry *entry, const struct wanted *wanted)
{
    const struct vta_program *program = entry->program;
    const struct vta_verify_options *options = wanted->options;
    return program != NULL &&
           memcmp(&program->before, &options->before, sizeof(options->before)) == 0 &&
           vta_hw_equal(&program->hw, wanted->hw) && made_from(entry, wanted) &&
           (options->max_work == 0 || program->work <= options->max_work) &&
           addresses_hold(entry, options);
}

/* A free entry, after room was made for this much more. What programs take is summed anew, because
 * they get their plans when they run. */
static struct entry *make_room(struct vta_stream_cache *cache, uint64_t size)
{
    for (;;) {
        struct entry *free_one = NULL, *oldest = NULL;
        uint64_t kept = 0;
        for (uint32_t i = 0; i < cache->entry_count; i++) {
            struct entry *entry = &cache->entries[i];
            if (entry->program == NULL) {
                free_one = entry;
                continue;
            }
            kept += size_of(entry->program, entry->insns != NULL);
            if (oldest == NULL || entry->used < oldest->used)
                oldest = entry;
        }
        bool fits = oldest == NULL || (kept <= cache->most && size <= cache->most - kept);
        if (free_one != NULL && fits)
            return free_one;
        drop(cache, oldest);
    }
}

/* The bytes of a raw stream stay beside its program. */
static int copy_bytes(const struct wanted *wanted, uint8_t **bytes, struct vta_error *error)
{
    *bytes = NULL;
    if (wanted->decoded != NULL)
        return 0;
    *bytes = malloc((size_t)wanted->count * VTA_INSN_BYTES + 1);
    if (*bytes == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory to keep a stream");
    memcpy(*bytes, wanted->insns, (size_t)wanted->count * VTA_INSN_BYTES);
    return 0;
}

static int keep(struct vta_stream_cache *cache, struct vta_program *program,
                const struct wanted *wanted, struct vta_error *error)
{
    uint8_t *bytes;
    int rc = copy_bytes(wanted, &bytes, error);
    if (rc != 0)
        return rc;
    struct entry *entry = make_room(cache, size_of(program, bytes != NULL));
    *entry = (struct entry){ .program = program,
                             .insns = bytes,
                             .hash = wanted->hash,
                             .used = cache->clock,
                             .epoch = wanted->options->epoch };
    cache->stats.programs++;
    return 0;
}

static struct vta_program *find(struct vta_stream_cache *cache, const struct wanted *wanted)
{
    cache->clock++;
    for (uint32_t i = 0; i < cache->entry_count; i++) {
        struct entry *entry = &cache->entries[i];
        if (serves(entry, wanted)) {
            entry->used = cache->clock;
            cache->stats.hits++;
            return entry->program;
        }
    }
    cache->stats.misses++;
    return NULL;
}

static int find_hazards(const struct vta_stream_cache *cache, struct vta_program *program,
                        const struct wanted *wanted, struct vta_error *error)
{
    struct vta_hazard_options options = cache->hazards;
    options.control = wanted->options->control;
    return vta_program_find_hazards(program, &options, error);
}

/* A program that was kept while nobody looked for hazards, or not for these. It is then as new. */
static int look_again(struct vta_stream_cache *cache, struct vta_program *program,
                      const struct wanted *wanted, struct vta_error *error)
{
    if (!cache->looks ||
        (program->hazards != NULL && program->hazards->strict_board == cache->hazards.strict_board))
        return 0;
    cache->made = true;
    return find_hazards(cache, program, wanted, error);
}

static int get(struct vta_stream_cache *cache, const struct wanted *wanted,
               const struct vta_program **result, struct vta_error *error)
{
    struct vta_program *program = find(cache, wanted);
    cache->made = program == NULL;
    *result = program;
    if (program != NULL)
        return look_again(cache, program, wanted, error);
    int rc =
        wanted->decoded != NULL
            ? vta_program_from_decoded(&program, wanted->hw, wanted->decoded, error)
            : vta_program_from_stream(&program, wanted->hw, wanted->insns, wanted->count,
                                      wanted->options->reader, wanted->options->context, error);
    if (rc == 0)
        rc = vta_verify(program, wanted->options, error);
    if (rc == 0 && cache->looks)
        rc = find_hazards(cache, program, wanted, error);
    if (rc == 0)
        rc = keep(cache, program, wanted, error);
    if (rc != 0) {
        vta_program_free(program);
        return rc;
    }
    *result = program;
    return 0;
}

int vta_stream_cache_get(struct vta_stream_cache *cache, const struct vta_hw *hw,
                         const uint8_t *insns, uint32_t count,
                         const struct vta_verify_options *options,
                         const struct vta_program **program, struct vta_error *error)
{
    const struct wanted wanted = { .hw = hw,
                                   .options = options,
                                   .insns = insns,
                                   .count = count,
                                   .hash = hash_of(insns, (size_t)count * VTA_INSN_BYTES) };
    return get(cache, &wanted, program, error);
}

int vta_stream_cache_get_decoded(struct vta_stream_cache *cache, const struct vta_hw *hw,
                                 const struct vta_decoded *decoded,
                                 const struct vta_verify_options *options,
                                 const struct vta_program **program, struct vta_error *error)
{
    const struct wanted wanted = { .hw = hw, .options = options, .decoded = decoded };
    return get(cache, &wanted, program, error);
}

void vta_stream_cache_stats(const struct vta_stream_cache *cache,
                            struct vta_stream_cache_stats *stats)
{
    *stats = cache->stats;
}
