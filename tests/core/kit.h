/* kit.h: programs for tests, an instruction at a time, as a kernel with parameters. */
#ifndef VTA_TESTS_CORE_KIT_H
#define VTA_TESTS_CORE_KIT_H

#include "core/verify.h"

#define KIT_MAX 64

struct kit {
    struct vta_hw hw;
    struct vta_layout layout;
    struct vta_insn insns[KIT_MAX];
    struct vta_reloc relocs[KIT_MAX];
    uint32_t uops[KIT_MAX];
    uint32_t insn_count, reloc_count, uop_count;
    struct vta_param params[4];
    uint32_t param_count;
};

/* The default configuration, parameters inp (read), wgt (read), acc (read) and out (written), each
 * of 64 elements of its memory. */
void kit_init(struct kit *kit);

enum {
    KIT_INP,
    KIT_WGT,
    KIT_ACC,
    KIT_OUT
};

/* Appends; returns the instruction for further changes. */
struct vta_insn *kit_add(struct kit *kit, struct vta_insn insn);
/* One row of x elements of a parameter into (or, with OUT, out of) the memory it is tiled for. */
struct vta_insn *kit_move(struct kit *kit, uint32_t param, uint32_t offset, uint32_t sram,
                          uint32_t x);
/* Adds a micro-op and the LOAD of it into UOP SRAM entry `sram`. */
struct vta_insn *kit_uop(struct kit *kit, uint32_t sram, uint32_t dst, uint32_t src, uint32_t wgt);
/* One step of micro-op 0. */
struct vta_insn *kit_gemm(struct kit *kit);
struct vta_insn *kit_alu(struct kit *kit, uint32_t alu_opcode, int32_t imm);
/* What a board's runtime ends with: the last store told to compute, then FINISH. */
void kit_finish(struct kit *kit);

/* The program, not verified; asserts that it decodes. */
struct vta_program *kit_program(const struct kit *kit);
/* Verifies from empty queues and returns the code; *error may be looked at afterwards. */
int kit_verify(const struct kit *kit, struct vta_error *error);

#endif
