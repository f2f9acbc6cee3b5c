/* kernels_pairs.c: fills INP and WGT with 16-bit numbers in pairs (kernels_pairs.h). */
#include "kernels_pairs.h"

#include <string.h>

#define BLOCK_MAX 64

void vta_pairs_layout(struct vta_sram *sram, bool *wants_sums)
{
    sram->inp_stride = sram->batch * vta_pairs_row(sram) * sizeof(int16_t);
    sram->wgt_stride = sram->block * vta_pairs_row(sram) * sizeof(int16_t);
    *wants_sums = false;
}

static void widen(int16_t *restrict to, const int8_t *restrict from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = from[i];
}

void vta_pairs_load_inp(const struct vta_sram *sram, size_t to, const uint8_t *from, size_t tiles)
{
    int16_t *numbers = (int16_t *)(void *)(sram->inp + to * sram->inp_stride);
    const size_t rows = tiles * sram->batch, row = vta_pairs_row(sram);
    if (from == NULL || row != sram->block)
        memset(numbers, 0, tiles * sram->inp_stride);
    if (from == NULL)
        return;
    if (sram->inp_bits == 8 && row == sram->block) {
        widen(numbers, (const int8_t *)from, rows * row);
        return;
    }
    for (size_t i = 0; i < rows * sram->block; i++) {
        int8_t number;
        vta_unpack_one(&number, from, i, sram->inp_bits);
        numbers[i / sram->block * row + i % sram->block] = number;
    }
}

static void rearrange(int16_t *to, const int8_t *from, size_t block, size_t row)
{
    for (size_t i = 0; i < row; i++)
        for (size_t o = 0; o < block; o++)
            to[(i / 2 * block + o) * 2 + i % 2] = i < block ? from[o * block + i] : 0;
}

void vta_pairs_load_wgt(const struct vta_sram *sram, size_t to, const uint8_t *from, size_t tiles)
{
    uint8_t *bytes = sram->wgt + to * sram->wgt_stride;
    const size_t numbers = (size_t)sram->block * sram->block;
    int8_t tile[BLOCK_MAX * BLOCK_MAX];
    if (from == NULL) {
        memset(bytes, 0, tiles * sram->wgt_stride);
        return;
    }
    for (size_t t = 0; t < tiles; t++) {
        vta_unpack_int8(tile, from + t * numbers * sram->wgt_bits / 8, numbers, sram->wgt_bits);
        rearrange((int16_t *)(void *)(bytes + t * sram->wgt_stride), tile, sram->block,
                  vta_pairs_row(sram));
    }
}
