/* insn.c: reads instructions bit by bit (insn.h). */
#include "insn.h"

#include <string.h>

uint64_t ref_take(ref_bits bits, unsigned *at, unsigned width)
{
    if (*at < 64 && *at + width > 64)
        *at = 64;
    uint64_t value = (uint64_t)(bits >> *at) & (((uint64_t)1 << width) - 1);
    *at += width;
    return value;
}

struct ref_insn ref_decode(const struct vta_hw *hw, const uint8_t *bytes)
{
    ref_bits bits;
    unsigned at = 0;
    struct ref_insn insn = { 0 };
    const unsigned uop = hw->log_depth[VTA_MEM_UOP], acc = hw->log_depth[VTA_MEM_ACC];
    const unsigned inp = hw->log_depth[VTA_MEM_INP], wgt = hw->log_depth[VTA_MEM_WGT];

    memcpy(&bits, bytes, sizeof(bits));
    insn.opcode = (unsigned)ref_take(bits, &at, 3);
    insn.pop_prev = ref_take(bits, &at, 1);
    insn.pop_next = ref_take(bits, &at, 1);
    insn.push_prev = ref_take(bits, &at, 1);
    insn.push_next = ref_take(bits, &at, 1);
    if (insn.opcode == 0 || insn.opcode == 1) {
        insn.memory = (unsigned)ref_take(bits, &at, 3);
        insn.sram = (unsigned)ref_take(bits, &at, 16);
        insn.dram = ref_take(bits, &at, 32);
        insn.y_size = (unsigned)ref_take(bits, &at, 16);
        insn.x_size = (unsigned)ref_take(bits, &at, 16);
        insn.x_stride = (unsigned)ref_take(bits, &at, 16);
        insn.y0 = (unsigned)ref_take(bits, &at, 4);
        insn.y1 = (unsigned)ref_take(bits, &at, 4);
        insn.x0 = (unsigned)ref_take(bits, &at, 4);
        insn.x1 = (unsigned)ref_take(bits, &at, 4);
    } else if (insn.opcode == 2 || insn.opcode == 4) {
        insn.reset = ref_take(bits, &at, 1);
        insn.uop_begin = (unsigned)ref_take(bits, &at, uop);
        insn.uop_end = (unsigned)ref_take(bits, &at, uop + 1);
        insn.iter_out = (unsigned)ref_take(bits, &at, 14);
        insn.iter_in = (unsigned)ref_take(bits, &at, 14);
        insn.dst_out = (unsigned)ref_take(bits, &at, acc);
        insn.dst_in = (unsigned)ref_take(bits, &at, acc);
        insn.src_out = (unsigned)ref_take(bits, &at, insn.opcode == 2 ? inp : acc);
        insn.src_in = (unsigned)ref_take(bits, &at, insn.opcode == 2 ? inp : acc);
        if (insn.opcode == 2) {
            insn.wgt_out = (unsigned)ref_take(bits, &at, wgt);
            insn.wgt_in = (unsigned)ref_take(bits, &at, wgt);
        } else {
            insn.alu = (unsigned)ref_take(bits, &at, 3);
            insn.use_imm = ref_take(bits, &at, 1);
            insn.imm = (int16_t)ref_take(bits, &at, 16);
        }
    }
    return insn;
}

int ref_unit(const struct ref_insn *insn)
{
    if (insn->opcode == 1)
        return STORE_UNIT;
    if (insn->opcode == 0 && (insn->memory == VTA_MEM_INP || insn->memory == VTA_MEM_WGT))
        return LOAD_UNIT;
    return COMPUTE_UNIT;
}

const int ref_pops[UNITS][2] = { { NO_QUEUE, COMPUTE_LOAD },
                                 { LOAD_COMPUTE, STORE_COMPUTE },
                                 { COMPUTE_STORE, NO_QUEUE } };
const int ref_pushes[UNITS][2] = { { NO_QUEUE, LOAD_COMPUTE },
                                   { COMPUTE_LOAD, COMPUTE_STORE },
                                   { STORE_COMPUTE, NO_QUEUE } };
