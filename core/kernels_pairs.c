/* kernels_pairs.c: fills INP and WGT with 16-bit numbers in pairs (kernels_pairs.h). */
#include "kernels_pairs.h"

#include <string.h>

#define BLOCK_MAX 64

void vta_pairs_layout(struct vta_sram *sram)
{
    sram->inp_stride = sram->batch * vta_pairs_row(sram) * sizeof(int16_t);
    sram->wgt_stride = sram->block * vta_pairs_row(sram) * sizeof(int16_t);
}

static void widen(int16_t *restrict to, const int8_t *restrict from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = from[i];
}

/* Each number with a zero behind it. */
static void spread(int16_t *restrict to, const int8_t *restrict from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        to[2 * i] = from[i];
        to[2 * i + 1] = 0;
    }
}

void vta_pairs_load_inp(const struct vta_sram *sram, size_t to, const uint8_t *from, size_t tiles)
{
    int16_t *numbers = (int16_t *)(void *)(sram->inp + to * sram->inp_stride);
    const size_t rows = tiles * sram->batch, row = vta_pairs_row(sram);
    if (from == NULL) {
        memset(numbers, 0, tiles * sram->inp_stride);
        return;
    }
    if (sram->inp_bits == 8) {
        if (row == sram->block)
            widen(numbers, (const int8_t *)from, rows * row);
        else
            spread(numbers, (const int8_t *)from, rows);
        return;
    }
    if (row != sram->block)
        memset(numbers, 0, tiles * sram->inp_stride);
    for (size_t i = 0; i < rows * sram->block; i++) {
        int8_t number;
        vta_unpack_one(&number, from, i, sram->inp_bits);
        numbers[i / sram->block * row + i % sram->block] = number;
    }
}

/* A tile of whole pairs. */
static void rearrange(int16_t *restrict to, const int8_t *restrict from, size_t block)
{
    for (size_t i = 0; i < block; i += 2)
        for (size_t o = 0; o < block; o++) {
            to[i * block + 2 * o] = from[o * block + i];
            to[i * block + 2 * o + 1] = from[o * block + i + 1];
        }
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
    if (sram->wgt_bits == 8 && sram->block <= 2) { /* rows of one pair are in order */
        int16_t *to_numbers = (int16_t *)(void *)bytes;
        if (sram->block == 2)
            widen(to_numbers, (const int8_t *)from, tiles * numbers);
        else
            spread(to_numbers, (const int8_t *)from, tiles);
        return;
    }
    for (size_t t = 0; t < tiles; t++) {
        int16_t *pairs = (int16_t *)(void *)(bytes + t * sram->wgt_stride);
        vta_unpack_int8(tile, from + t * numbers * sram->wgt_bits / 8, numbers, sram->wgt_bits);
        rearrange(pairs, tile, sram->block);
    }
}
