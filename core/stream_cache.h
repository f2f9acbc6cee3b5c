/* stream_cache.h: programs made from raw streams, kept by content.
 *
 * A runtime that builds a stream for every call builds the same one again and again. What is kept
 * is found by the instructions' bytes (or, where a recorder holds them decoded, by the
 * instructions); it serves where the micro-ops in DRAM and the token counts are the same too, and
 * its addresses are still inside allocations.
 */
#ifndef VTA_CORE_STREAM_CACHE_H
#define VTA_CORE_STREAM_CACHE_H

#include "hazard.h"
#include "verify.h"

struct vta_stream_cache;

/* Keeps at most `programs` of them, of at most `most` bytes of memory together (vta_program_bytes,
 * and the streams); the one that was used longest ago goes first, and a larger one is kept alone. A
 * plan counts from the next program on that is made. NULL without memory. */
struct vta_stream_cache *vta_stream_cache_new(uint32_t programs, uint64_t most);
void vta_stream_cache_free(struct vta_stream_cache *cache); /* NULL is allowed */

/* From now on programs that are made are looked at for hazards, too, by these options (but with the
 * control of who asks for the program); NULL: they are not. */
void vta_stream_cache_look_for(struct vta_stream_cache *cache,
                               const struct vta_hazard_options *hazards);

/* Whether the latest program was made (or looked at for the first time), rather than found. */
bool vta_stream_cache_made(const struct vta_stream_cache *cache);

/* The verified program of a stream: a kept one, or decoded and verified now. It belongs to the
 * cache and lives until the next call. Fails as vta_program_from_stream and vta_verify do. */
int vta_stream_cache_get(struct vta_stream_cache *cache, const struct vta_hw *hw,
                         const uint8_t *insns, uint32_t count,
                         const struct vta_verify_options *options,
                         const struct vta_program **program, struct vta_error *error);

/* The same for a stream that a recorder holds; a program comes from one or the other. */
int vta_stream_cache_get_decoded(struct vta_stream_cache *cache, const struct vta_hw *hw,
                                 const struct vta_decoded *decoded,
                                 const struct vta_verify_options *options,
                                 const struct vta_program **program, struct vta_error *error);

struct vta_stream_cache_stats {
    uint64_t hits, misses;
    uint32_t programs;
};
void vta_stream_cache_stats(const struct vta_stream_cache *cache,
                            struct vta_stream_cache_stats *stats);

#endif
