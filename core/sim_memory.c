/* sim_memory.c: the simulator's LOAD and STORE: rows between DRAM and SRAM, with padding, packed
 * numbers unpacked on the way in and packed on the way out.
 */
#include "sim.h"

#include <string.h>

/* ---- Numbers ------------------------------------------------------------------------------- */

/* The index-th signed number of `bits` (1, 2 or 4) in packed bytes, low bits first. */
static int8_t unpack_one(const uint8_t *bytes, size_t index, uint32_t bits)
{
    uint32_t per_byte = 8 / bits;
    uint32_t value = (uint32_t)bytes[index / per_byte] >> (index % per_byte * bits);
    uint32_t sign = UINT32_C(1) << (bits - 1);
    value &= (sign << 1) - 1;
    return (int8_t)((int32_t)(value ^ sign) - (int32_t)sign);
}

static void unpack_narrow(int8_t *to, const uint8_t *from, size_t count, uint32_t bits)
{
    if (bits == 8) {
        memcpy(to, from, count);
        return;
    }
    for (size_t i = 0; i < count; i++)
        to[i] = unpack_one(from, i, bits);
}

static void unpack_wide(int32_t *to, const uint8_t *from, size_t count, uint32_t bits)
{
    if (bits == 32) {
        memcpy(to, from, count * sizeof(*to));
        return;
    }
    for (size_t i = 0; i < count; i++) {
        int16_t value;
        memcpy(&value, from + 2 * i, sizeof(value));
        to[i] = value;
    }
}

static void widen(int32_t *to, const uint8_t *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = (int8_t)from[i];
}

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

static void truncate_row(uint8_t *to, const int32_t *from, size_t count, uint32_t bits)
{
    switch (bits) {
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
        for (size_t i = 0; i < count; i++)
            to[i] = (uint8_t)from[i];
        break;
    default:
        pack_low(to, from, count, bits);
    }
}

/* ---- LOAD ---------------------------------------------------------------------------------- */

/* What a LOAD writes to: `lanes` numbers of `size` bytes per SRAM entry. */
struct sram {
    uint8_t *bytes;
    size_t lanes, size;
};

static struct sram sram_of(const struct vta_sim *sim, uint32_t memory)
{
    const size_t batch = sim->hw.batch, block = sim->hw.block;
    switch (memory) {
    case VTA_MEM_INP:
        return (struct sram){ sim->inp, batch * block, sim->inp_wide ? 4 : 1 };
    case VTA_MEM_WGT:
        return (struct sram){ sim->wgt, block * block, sim->wgt_wide ? 4 : 1 };
    default: /* ACC and ACC_8BIT */
        return (struct sram){ (uint8_t *)sim->acc, batch * block, 4 };
    }
}

static void load_row(const struct vta_sim *sim, uint32_t memory, uint8_t *to, const uint8_t *from,
                     size_t count)
{
    switch (memory) {
    case VTA_MEM_INP:
        if (sim->inp_wide)
            unpack_wide((int32_t *)to, from, count, sim->hw.inp_bits);
        else
            unpack_narrow((int8_t *)to, from, count, sim->hw.inp_bits);
        break;
    case VTA_MEM_WGT:
        if (sim->wgt_wide)
            unpack_wide((int32_t *)to, from, count, sim->hw.wgt_bits);
        else
            unpack_narrow((int8_t *)to, from, count, sim->hw.wgt_bits);
        break;
    case VTA_MEM_ACC_8BIT:
        widen((int32_t *)to, from, count);
        break;
    default: /* ACC */
        memcpy(to, from, count * sizeof(int32_t));
        break;
    }
}

void vta_sim_load(struct vta_sim *sim, const struct vta_mem_insn *mem, const uint8_t *base)
{
    const struct sram sram = sram_of(sim, mem->memory);
    const size_t entry = sram.lanes * sram.size;
    const size_t columns = (size_t)mem->x_pad_before + mem->x_size + mem->x_pad_after;
    const size_t elem = sim->hw.dram_elem_bytes[mem->memory];
    const uint8_t *from = base + mem->dram_base * elem;
    uint8_t *to = sram.bytes + mem->sram_base * entry;

    memset(to, 0, mem->y_pad_before * columns * entry);
    to += mem->y_pad_before * columns * entry;
    for (uint32_t y = 0; y < mem->y_size; y++) {
        memset(to, 0, mem->x_pad_before * entry);
        to += mem->x_pad_before * entry;
        load_row(sim, mem->memory, to, from, mem->x_size * sram.lanes);
        to += mem->x_size * entry;
        memset(to, 0, mem->x_pad_after * entry);
        to += mem->x_pad_after * entry;
        from += mem->x_stride * elem;
    }
    memset(to, 0, mem->y_pad_after * columns * entry);
}

void vta_sim_load_uops(struct vta_sim *sim, const struct vta_mem_insn *mem,
                       const struct vta_uop *image)
{
    const size_t columns = (size_t)mem->x_pad_before + mem->x_size + mem->x_pad_after;
    const size_t rows = (size_t)mem->y_pad_before + mem->y_size + mem->y_pad_after;
    struct vta_uop *to = sim->uop + mem->sram_base;

    if (columns * rows != (size_t)mem->x_size * mem->y_size)
        memset(to, 0, columns * rows * sizeof(*to));
    to += mem->y_pad_before * columns + mem->x_pad_before;
    for (uint32_t y = 0; y < mem->y_size; y++)
        memcpy(to + y * columns, image + mem->dram_base + (size_t)y * mem->x_stride,
               mem->x_size * sizeof(*to));
}

/* ---- STORE --------------------------------------------------------------------------------- */

void vta_sim_store(const struct vta_sim *sim, const struct vta_mem_insn *mem, uint8_t *base)
{
    const size_t lanes = (size_t)sim->hw.batch * sim->hw.block;
    const size_t elem = sim->hw.dram_elem_bytes[VTA_MEM_OUT];
    const int32_t *from = sim->acc + mem->sram_base * lanes;
    uint8_t *to = base + mem->dram_base * elem;

    for (uint32_t y = 0; y < mem->y_size; y++) {
        truncate_row(to, from, mem->x_size * lanes, sim->hw.out_bits);
        from += mem->x_size * lanes;
        to += mem->x_stride * elem;
    }
}
