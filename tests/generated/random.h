/* random.h: reproducible randomness for generated tests. The seed comes from $VTA_SEED, else from
 * the clock, and is printed, so that a failure can be run again.
 */
#ifndef VTA_TESTS_RANDOM_H
#define VTA_TESTS_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
    uint64_t state;
};

/* Prints "NAME: VTA_SEED=…" on stderr. */
struct rng rng_seeded(const char *name);

uint64_t rng_next(struct rng *rng);
/* Uniform in [low, high]. */
uint32_t rng_between(struct rng *rng, uint32_t low, uint32_t high);
/* True once in n. */
bool rng_one_in(struct rng *rng, uint32_t n);

/* How many cases a generated test runs: $VTA_RUNS, else `count`. */
uint32_t rng_runs(uint32_t count);

#endif
