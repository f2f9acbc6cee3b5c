/* slow_load.h: a module file that is small and correct, and takes long to load: what a client sends
 * that wants to spend other people's time.
 */
#ifndef VTA_TESTS_CORE_SLOW_LOAD_H
#define VTA_TESTS_CORE_SLOW_LOAD_H

#include <stddef.h>
#include <stdint.h>

/* Two functions of the default hardware, 2 MB together: `rows` loads 8192 rows of micro-ops with
 * every instruction, `nests` has nests of 8192 micro-ops, no two of which are alike, so that
 * looking for its hazards takes seconds. The caller frees *bytes. */
void make_slow_load(uint8_t **bytes, size_t *nbytes);

#endif
