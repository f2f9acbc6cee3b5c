/* random.c: SplitMix64 (Steele, Lea, Flood 2014) and where its seed comes from. */
#include "random.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct rng rng_seeded(const char *name)
{
    const char *text = getenv("VTA_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = text != NULL ? strtoull(text, NULL, 0)
                                 : (uint64_t)now.tv_sec * 1000003u ^ (uint64_t)now.tv_nsec;
    fprintf(stderr, "%s: VTA_SEED=%llu\n", name, (unsigned long long)seed);
    return (struct rng){ seed };
}

uint64_t rng_next(struct rng *rng)
{
    uint64_t z = rng->state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

uint32_t rng_between(struct rng *rng, uint32_t low, uint32_t high)
{
    return low + (uint32_t)(rng_next(rng) % ((uint64_t)high - low + 1));
}

bool rng_one_in(struct rng *rng, uint32_t n)
{
    return rng_next(rng) % n == 0;
}

uint32_t rng_runs(uint32_t count)
{
    const char *text = getenv("VTA_RUNS");
    return text != NULL ? (uint32_t)strtoul(text, NULL, 0) : count;
}
