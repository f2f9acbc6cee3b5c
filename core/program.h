/* program.h: a decoded instruction stream with its micro-ops, before and after verification.
 *
 * The way of a program: bytes → vta_program_from_… → vta_verify → (bound to buffers) → run.
 * A program owns a copy of every micro-op that it loads, so that what runs is what was verified,
 * whatever happens to DRAM meanwhile. After vta_verify it is immutable and may be run by many
 * boards at once.
 */
#ifndef VTA_CORE_PROGRAM_H
#define VTA_CORE_PROGRAM_H

#include <vta/hw.h>
#include <vta/kernel.h>

#include <stdatomic.h>

#include "isa.h"

/* Token counts of the four dependence queues. */
struct vta_tokens {
    uint32_t load_to_compute, compute_to_load, compute_to_store, store_to_compute;
};

/* What an instruction's dram_base counts from. */
#define VTA_BASE_ABSOLUTE UINT32_MAX       /* DRAM address 0 */
#define VTA_BASE_UOPS     (UINT32_MAX - 1) /* program->uops[0]; the LOAD UOP of every program */
/* any other value: the parameter with that index */

struct vta_plan;
struct vta_hazards;
struct vta_timing_kept;

struct vta_program {
    struct vta_hw hw;
    char *name; /* for messages; owned */
    uint32_t count;
    struct vta_insn *insns;
    uint32_t *bases; /* one per instruction, see VTA_BASE_… */
    uint32_t uop_count;
    struct vta_uop *uops;  /* decoded; what LOAD UOP loads from */
    struct vta_uop_range { /* a raw stream's: where its micro-ops lie, counted from DRAM address 0
                            */
        uint64_t begin, end;
        uint32_t image; /* index of the first one in uops */
    } * ranges;
    uint32_t range_count;
    uint32_t param_count;
    struct vta_program_param {
        uint64_t nbytes;
        enum vta_access access;
    } * params;

    /* Filled by vta_verify. */
    bool verified;
    uint32_t *order; /* instruction indices in an order that the tokens allow */
    struct vta_tokens before, after;
    struct vta_counters counters; /* what one run adds */
    uint64_t work;                /* steps of all GEMM and ALU nests, and micro-ops loaded */

    /* vta_program_find_hazards'; NULL where nobody looked. Owned. */
    struct vta_hazards *hazards;

    /* The simulator's, made at the first run by whichever board comes first; owned. */
    struct vta_plan *_Atomic plan;
    /* How long boards would take, where that was asked (timing_kept.h); owned. */
    struct vta_timing_kept *_Atomic timings;
};

void vta_program_free(struct vta_program *program); /* NULL is allowed */

/* The memory that a program takes, its plan included once there is one; what does not grow with the
 * stream (name, sets of SRAM entries, kept times) left out. Any thread. */
uint64_t vta_program_bytes(const struct vta_program *program);

/* From a kernel. Relocations are checked: every LOAD and STORE that moves data has exactly one,
 * to a parameter that exists, micro-op loads to the kernel's micro-ops.
 * The kernel is not kept. */
int vta_program_from_kernel(struct vta_program **program, const struct vta_kernel *kernel,
                            const struct vta_hw *hw, struct vta_error *error);

/* Reads DRAM for a stream with absolute addresses: the bytes [address, address + nbytes), or NULL
 * where that is not inside one allocation. */
typedef const void *(*vta_dram_reader)(void *context, uint64_t address, uint64_t nbytes);

/* From a stream as it lies in a board's memory: absolute addresses, micro-ops in DRAM.
 * Copies the micro-ops that the stream loads (merged ranges, so never more than DRAM holds).
 * A stream that stores into micro-ops which it loads is refused: VTA_EUOP. */
int vta_program_from_stream(struct vta_program **program, const struct vta_hw *hw,
                            const uint8_t *insns, uint32_t count, vta_dram_reader reader,
                            void *context, struct vta_error *error);

/* A stream as a recorder holds it: decoded, its micro-ops beside it. */
struct vta_decoded {
    const struct vta_insn *insns;
    const uint32_t *bases; /* VTA_BASE_UOPS for loads of micro-ops, else VTA_BASE_ABSOLUTE */
    uint32_t count;
    const struct vta_uop *uops;
    uint32_t uop_count;
};

/* From such a stream: absolute addresses for data, micro-ops from those given. All of it is
 * copied. VTA_EFORMAT where a base is neither of the two. */
int vta_program_from_decoded(struct vta_program **program, const struct vta_hw *hw,
                             const struct vta_decoded *decoded, struct vta_error *error);

/* Whether a program was made from the very same stream. */
bool vta_program_is_decoded(const struct vta_program *program, const struct vta_decoded *decoded);

/* Whether the micro-ops that a stream's program copied are still what DRAM holds. */
bool vta_program_uops_unchanged(const struct vta_program *program, vta_dram_reader reader,
                                void *context);

/* "insn 17  GEMM …": adds index and disassembly to an error about an instruction. Returns code. */
int vta_program_error(const struct vta_program *program, uint32_t index, int code,
                      struct vta_error *error, const char *format, ...) VTA_PRINTF(5, 6);

/* Index, disassembly, and the parameter or address of each instruction, one per line. */
void vta_program_print(const struct vta_program *program, void (*line)(void *, const char *),
                       void *context);

#endif
