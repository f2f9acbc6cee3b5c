/* sim_memory.c: the simulator's LOAD and STORE: rows between DRAM and SRAM, with padding. How a row
 * lies in INP and WGT is the kernel set's business.
 */
#include "sim.h"

#include <string.h>

/* ---- LOAD ---------------------------------------------------------------------------------- */

/* `tiles` tiles from packed DRAM bytes, or zeros where from is NULL, to entry `to` of a memory. */
static void load_tiles(const struct vta_sim *sim, uint32_t memory, size_t to, const uint8_t *from,
                       size_t tiles)
{
    const size_t lanes = (size_t)sim->hw.batch * sim->hw.block;
    int32_t *acc = sim->sram.acc + to * lanes;
    if (tiles == 0)
        return;
    switch (memory) {
    case VTA_MEM_INP:
        sim->kernels->load_inp(&sim->sram, to, from, tiles);
        break;
    case VTA_MEM_WGT:
        sim->kernels->load_wgt(&sim->sram, to, from, tiles);
        break;
    default: /* ACC and ACC_8BIT */
        if (from == NULL)
            memset(acc, 0, tiles * lanes * sizeof(*acc));
        else if (memory == VTA_MEM_ACC_8BIT)
            sim->kernels->widen(acc, (const int8_t *)from, tiles * lanes);
        else
            memcpy(acc, from, tiles * lanes * sizeof(*acc));
    }
}

void vta_sim_load(struct vta_sim *sim, const struct vta_mem_insn *mem, const uint8_t *base)
{
    const size_t columns = (size_t)mem->x_pad_before + mem->x_size + mem->x_pad_after;
    const size_t elem = sim->hw.dram_elem_bytes[mem->memory];
    const uint8_t *from = base + mem->dram_base * elem;
    size_t to = mem->sram_base, rows = mem->y_size, row = mem->x_size;

    load_tiles(sim, mem->memory, to, NULL, mem->y_pad_before * columns);
    to += mem->y_pad_before * columns;
    if (columns == row && mem->x_stride == row) { /* one piece */
        row *= rows;
        rows = rows != 0;
    }
    for (size_t y = 0; y < rows; y++) {
        load_tiles(sim, mem->memory, to, NULL, mem->x_pad_before);
        to += mem->x_pad_before;
        load_tiles(sim, mem->memory, to, from, row);
        to += row;
        load_tiles(sim, mem->memory, to, NULL, mem->x_pad_after);
        to += mem->x_pad_after;
        from += mem->x_stride * elem;
    }
    load_tiles(sim, mem->memory, to, NULL, mem->y_pad_after * columns);
}

/* ---- STORE --------------------------------------------------------------------------------- */

/* The low `bits` (1, 2 or 4) of each number, packed. count × bits is whole bytes. */
static void pack_low(uint8_t *to, const int32_t *from, size_t count, uint32_t bits)
{
    uint32_t per_byte = 8 / bits, mask = (UINT32_C(1) << bits) - 1;
    for (size_t i = 0; i < count / per_byte; i++) {
        uint32_t byte = 0;
        for (uint32_t k = 0; k < per_byte; k++)
            byte |= ((uint32_t)from[i * per_byte + k] & mask) << (k * bits);
        to[i] = (uint8_t)byte;
    }
}

static void truncate_row(const struct vta_sim *sim, uint8_t *to, const int32_t *from, size_t count)
{
    switch (sim->hw.out_bits) {
    case 32:
        memcpy(to, from, count * sizeof(*from));
        break;
    case 16:
        for (size_t i = 0; i < count; i++) {
            uint16_t value = (uint16_t)from[i];
            memcpy(to + 2 * i, &value, sizeof(value));
        }
        break;
    case 8:
        sim->kernels->truncate((int8_t *)to, from, count);
        break;
    default:
        pack_low(to, from, count, sim->hw.out_bits);
    }
}

void vta_sim_store(const struct vta_sim *sim, const struct vta_mem_insn *mem, uint8_t *base)
{
    const size_t lanes = (size_t)sim->hw.batch * sim->hw.block;
    const size_t elem = sim->hw.dram_elem_bytes[VTA_MEM_OUT];
    const int32_t *from = sim->sram.acc + mem->sram_base * lanes;
    uint8_t *to = base + mem->dram_base * elem;

    for (uint32_t y = 0; y < mem->y_size; y++) {
        truncate_row(sim, to, from, mem->x_size * lanes);
        from += mem->x_size * lanes;
        to += mem->x_stride * elem;
    }
}
