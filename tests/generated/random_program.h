/* random_program.h: random hardware configurations and random instruction streams that are valid
 * by construction: every index in range, every pop met by a push, every store before FINISH.
 */
#ifndef VTA_TESTS_RANDOM_PROGRAM_H
#define VTA_TESTS_RANDOM_PROGRAM_H

#include "core/program.h"

#include "random.h"

/* A configuration: one of the well-known ones, or any that derives. */
void random_hw(struct rng *rng, struct vta_hw *hw);

/* DRAM of the programs: one valid range, micro-ops first. */
#define RANDOM_DRAM_BEGIN 4096u
#define RANDOM_DRAM_UOPS  2048u /* micro-ops at RANDOM_DRAM_BEGIN */
#define RANDOM_DRAM_BYTES (4096u + 4 * RANDOM_DRAM_UOPS + (1u << 20))

/* Fills DRAM[RANDOM_DRAM_BYTES] with micro-ops and data, extreme values included. */
void random_dram(struct rng *rng, const struct vta_hw *hw, uint8_t *dram);

/* A stream for a board that starts with `before`; *count instructions, released with free(). It
 * reads what random_dram put into dram and never stores over the micro-ops. */
uint8_t *random_stream(struct rng *rng, const struct vta_hw *hw, const uint8_t *dram,
                       struct vta_tokens before, uint32_t *count);

#endif
