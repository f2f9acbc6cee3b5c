/* modules.h: module files for tests, made by hand, instruction by instruction.
 *
 *   add    out = low bytes of a + b; a and b are ADD_NUMBERS int32, out as many int8
 *   spin   computes nothing for a long time: GEMM resets, 2^24 iterations per instruction; one int8
 *          parameter `out` of ADD_NUMBERS, which it does not write
 */
#ifndef VTA_TESTS_MODULES_H
#define VTA_TESTS_MODULES_H

#include <stddef.h>
#include <stdint.h>

#define ADD_NUMBERS 64u

/* A module file with both functions; spin has this many GEMMs. The caller frees *bytes. */
void make_module(uint32_t spins, uint8_t **bytes, size_t *nbytes);

#endif
