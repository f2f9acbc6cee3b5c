/* expected.h: what the kernels of compiled modules compute, in plain C, on their own layouts.
 */
#ifndef VTA_TESTS_MACHINE_EXPECTED_H
#define VTA_TESTS_MACHINE_EXPECTED_H

#include <stdint.h>

/* Bytes that follow from a seed. */
void expected_fill(int8_t *bytes, uint64_t nbytes, uint32_t seed);

/* (1, in/16, 1, 16) · (out/16, in/16, 16, 16): column o, without shift and clip. */
int32_t expected_product(const int8_t *data, const int8_t *weight, int in, int o);
/* The same shifted by 8 and clipped to 0…127. */
int32_t expected_dense(const int8_t *data, const int8_t *weight, int in, int o);

/* 3×3, pad 1, shift 8, bias, clip: data (1, 4, 14, 14, 1, 16), weight (4, 4, 3, 3, 16, 16), bias
 * (1, 4, 1, 1, 1, 16): channel o at row y, column x. */
int32_t expected_convolution(const int8_t *data, const int8_t *weight, const int32_t *bias, int o,
                             int y, int x);

#endif
