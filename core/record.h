/* record.h: the command queue of a board's runtime: calls in, instruction stream out.
 *
 * Knows micro-op kernels and their SRAM cache, pending pops, no-ops and what synchronise appends.
 * Knows nothing of parameters, files or who calls: vta/build.h records for a module file, a
 * runtime for machine code that calls it. Counts and bits are those of VTA's own runtime.
 *
 * The rules, where they show in a stream:
 *  - push(from, to): pops pending on `from` are first committed as a no-op. Then, if the last
 *    instruction belongs to `from` and has the bit free, the bit is set there; else a no-op of
 *    `from` that pushes is appended. A no-op LOAD belongs to no unit here, a no-op
 *    STORE to store.
 *  - pop(from, to) is remembered and goes into the next instruction of `to`; a second pop of the
 *    same direction first commits the pending ones of `to` as a no-op.
 *  - no-ops: x_size 0; LOAD INP for load, LOAD UOP for compute, STORE (memory 0) for store.
 *  - a GEMM or ALU whose kernel is not in the UOP SRAM is preceded by one LOAD UOP of just that
 *    kernel, which takes the pending pops of compute.
 */
#ifndef VTA_CORE_RECORD_H
#define VTA_CORE_RECORD_H

#include <vta/build.h>

#include "program.h"

/* A micro-op kernel with an identity: recorded once, cached in SRAM by identity. Zero it, then fill
 * the first part. It is for one record, must outlive the stream, and its first part must not change
 * meanwhile. */
struct vta_record_kernel {
    uint32_t alu; /* 0 GEMM, 1 ALU */
    uint32_t reset, alu_opcode, use_imm;
    int32_t imm;
    struct vta_uop_loop loops[2]; /* outermost first */
    uint32_t loop_count;          /* 0…2 */
    uint32_t uop_count;           /* at least 1 */
    struct vta_uop *uops;         /* owned by whoever made the kernel */

    /* The recorder's: its instruction without a range of micro-ops, once that was found to fit. */
    struct vta_insn insn;
    bool fits;
    /* Meaningful while stream equals that of the record. */
    uint64_t stream;
    uint32_t sram_begin, sram_end; /* in UOP SRAM; equal: nowhere */
    uint32_t image;                /* first micro-op in the stream's image */
};

struct vta_record {
    struct vta_hw hw;
    struct vta_layout layout;
    uint64_t stream; /* counts streams, from 1 */
    struct vta_insn *insns;
    uint32_t *bases; /* VTA_BASE_… or parameter index, one per instruction */
    uint32_t count, capacity;
    struct vta_uop *uops; /* the micro-op image */
    uint32_t uop_count, uop_capacity;
    bool pending_pop_prev[4], pending_pop_next[4]; /* by enum vta_unit */

    /* Kernels in UOP SRAM by ascending sram_begin, in one array with a gap: [0, low) were placed
     * since allocation last started at entry 0, [high, cache_capacity) before that. */
    struct vta_record_kernel **cached;
    uint32_t low, high, cache_capacity;
    uint32_t cache_end; /* where the next kernel goes */
};

void vta_record_init(struct vta_record *record, const struct vta_hw *hw);
void vta_record_free(struct vta_record *record);

/* Each appends; returns 0, VTA_ENOMEM, or VTA_EINVAL/VTA_ERANGE for what no instruction can hold
 * (VTA_ELIMIT for a kernel larger than the UOP SRAM). After a failure the stream is as it was. */
int vta_record_load(struct vta_record *record, const struct vta_mem_insn *mem, uint32_t base,
                    struct vta_error *error);
int vta_record_store(struct vta_record *record, const struct vta_mem_insn *mem, uint32_t base,
                     struct vta_error *error);
int vta_record_push(struct vta_record *record, enum vta_unit from, enum vta_unit to,
                    struct vta_error *error);
int vta_record_pop(struct vta_record *record, enum vta_unit from, enum vta_unit to,
                   struct vta_error *error);
int vta_record_nest(struct vta_record *record, struct vta_record_kernel *kernel,
                    struct vta_error *error);

/* Writes pops that are pending on a unit as a no-op of that unit. */
int vta_record_commit(struct vta_record *record, enum vta_unit unit, struct vta_error *error);

/* Appends FINISH alone. */
int vta_record_end(struct vta_record *record, struct vta_error *error);

/* synchronise: push store→compute, push load→compute, pop both on compute, commit, FINISH. */
int vta_record_synchronise(struct vta_record *record, struct vta_error *error);

/* Forgets the stream and the micro-op cache; pending pops survive, as on a board. */
void vta_record_reset(struct vta_record *record);

#endif
