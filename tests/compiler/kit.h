/* kit.h: matrices in VTA's tiles, kernels on a board of their own, matmul in plain C. */
#ifndef VTA_TESTS_COMPILER_KIT_H
#define VTA_TESTS_COMPILER_KIT_H

#include <vta/build.h>
#include <vta/compile.h>

#include "core/board.h"
#include "core/verify.h"

/* The default configuration with another shape: log2 of batch, block, and of the width of inputs
 * and weights in bits. INP, WGT and ACC have 1024 entries. */
void kit_hw(struct vta_hw *hw, unsigned log_batch, unsigned log_block, unsigned log_width);

/* The next number of a fixed sequence. */
uint32_t kit_random(uint32_t *seed);
/* count numbers, each `bits` wide and signed. The caller frees them. */
int32_t *kit_random_numbers(size_t count, unsigned bits, uint32_t *seed);

/* Row-major numbers ↔ a parameter's bytes. The bytes are the caller's to free. */
uint8_t *kit_pack(const int32_t *matrix, uint32_t rows, uint32_t columns, uint32_t tile_rows,
                  uint32_t tile_columns, unsigned bits);
int32_t *kit_unpack(const uint8_t *bytes, uint32_t rows, uint32_t columns, uint32_t tile_rows,
                    uint32_t tile_columns, unsigned bits);

/* Runs a kernel on a fresh board. bytes: one array per parameter, of its size; written parameters
 * are read back into theirs. Asserts that everything succeeds. */
void kit_run(const struct vta_kernel *kernel, const struct vta_hw *hw, uint8_t *const *bytes,
             struct vta_counters *counters);

/* What the verifier predicts; asserts that it accepts. *insns may be NULL. */
struct vta_counters kit_predict(const struct vta_kernel *kernel, const struct vta_hw *hw);

/* result[batch][out] in plain C. bias may be NULL. The caller frees it. */
int32_t *kit_matmul(const struct vta_matmul *m, unsigned out_bits, const int32_t *data,
                    const int32_t *weight, const int32_t *bias);

/* Compiles, runs with random data, compares with plain C. */
void kit_check_matmul(const struct vta_matmul *m, const struct vta_hw *hw, uint32_t seed);

#endif
