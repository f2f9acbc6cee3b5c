/* insn.h: an instruction as the reference reads it, and the three units with their queues. Private
 * to tests/reference.
 */
#ifndef VTA_TESTS_REFERENCE_INSN_H
#define VTA_TESTS_REFERENCE_INSN_H

#include <stdbool.h>
#include <stdint.h>

#include <vta/hw.h>

struct ref_insn {
    unsigned opcode;
    bool pop_prev, pop_next, push_prev, push_next;
    unsigned memory, sram, x_size, y_size, x_stride, y0, y1, x0, x1;
    uint64_t dram;
    bool reset, use_imm;
    unsigned uop_begin, uop_end, iter_out, iter_in;
    unsigned dst_out, dst_in, src_out, src_in, wgt_out, wgt_in, alu;
    int imm;
};

typedef unsigned __int128 ref_bits;

/* Takes the next `width` bits; a field does not straddle bit 64. */
uint64_t ref_take(ref_bits bits, unsigned *at, unsigned width);

struct ref_insn ref_decode(const struct vta_hw *hw, const uint8_t *bytes);

enum {
    LOAD_UNIT,
    COMPUTE_UNIT,
    STORE_UNIT,
    UNITS
};

int ref_unit(const struct ref_insn *insn);

enum {
    LOAD_COMPUTE,
    COMPUTE_LOAD,
    COMPUTE_STORE,
    STORE_COMPUTE,
    NO_QUEUE
};

/* By unit: the queues of prev and next. */
extern const int ref_pops[UNITS][2];
extern const int ref_pushes[UNITS][2];

#endif
