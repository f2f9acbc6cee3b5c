/* kernels_pairs.h: a layout of INP and WGT that two kernel sets share: 16-bit numbers in pairs.
 *
 * An input row is block 16-bit numbers (one more, zero, where block is 1); a WGT tile lies as
 * [pair][output][2], so that one pair of inputs meets consecutive weights of all outputs.
 */
#ifndef VTA_CORE_KERNELS_PAIRS_H
#define VTA_CORE_KERNELS_PAIRS_H

#include "kernels.h"

/* Numbers of an input row: whole pairs. */
static inline size_t vta_pairs_row(const struct vta_sram *sram)
{
    return sram->block < 2 ? 2 : sram->block;
}

void vta_pairs_layout(struct vta_sram *sram);
void vta_pairs_load_inp(const struct vta_sram *sram, size_t to, const uint8_t *from, size_t tiles);
void vta_pairs_load_wgt(const struct vta_sram *sram, size_t to, const uint8_t *from, size_t tiles);

#endif
