/* footprint.h: which SRAM entries a GEMM or ALU instruction touches, exactly.
 *
 * A nest's footprint follows from its loops and its micro-ops without walking its steps: the
 * micro-ops' indices, spread by each loop, are a bitmap after a logarithmic number of shifts.
 * Equal nests share one footprint. What is kept is bounded: past the bound everything is forgotten,
 * and older footprints are gone.
 */
#ifndef VTA_CORE_FOOTPRINT_H
#define VTA_CORE_FOOTPRINT_H

#include "marks.h"
#include "program.h"

/* Which entries of an operand, as ascending runs that do not touch. */
struct vta_runs {
    uint32_t first, count; /* in the footprints' array; see vta_footprint_runs */
};

struct vta_footprint {
    struct vta_runs dst; /* ACC entries, written (and OUT with them), and read but by a reset */
    struct vta_runs acc; /* other ACC entries that an ALU reads, where it has two operands */
    struct vta_runs inp; /* INP entries that a GEMM reads */
    struct vta_runs wgt; /* WGT entries that a GEMM reads */
};

/* SRAM entries that a LOAD or STORE which is no no-op covers. */
static inline struct vta_run vta_mem_run(const struct vta_mem_insn *mem)
{
    uint32_t rows = mem->y_pad_before + mem->y_size + mem->y_pad_after;
    uint32_t columns = mem->x_pad_before + mem->x_size + mem->x_pad_after;
    if (rows * columns == 0)
        return (struct vta_run){ 0, 0 };
    return (struct vta_run){ mem->sram_base, mem->sram_base + rows * columns };
}

struct vta_footprints;

/* For a program's compute instructions, in their order. VTA_ENOMEM. */
int vta_footprints_new(struct vta_footprints **footprints, const struct vta_program *program,
                       struct vta_error *error);

/* Steps that were made, as control.h counts them. */
uint64_t vta_footprints_steps(const struct vta_footprints *footprints);
void vta_footprints_free(struct vta_footprints *footprints); /* NULL is allowed */

/* A LOAD UOP of the program that moves or pads. It is executed when a nest comes, unless another
 * one covers it before: loads that follow one another cost no more than their instructions.
 * VTA_ENOMEM.
 */
int vta_footprints_load_uops(struct vta_footprints *footprints, const struct vta_mem_insn *mem,
                             struct vta_error *error);

/* The number of a GEMM's or ALU's footprint; its nest must not be empty. */
int vta_footprints_get(struct vta_footprints *footprints, const struct vta_insn *insn, uint32_t *id,
                       struct vta_error *error);

/* Valid until the next call of vta_footprints_get. NULL where it was forgotten, which the one that
 * was got last never is. */
const struct vta_footprint *vta_footprints_at(const struct vta_footprints *footprints, uint32_t id);
const struct vta_run *vta_footprint_runs(const struct vta_footprints *footprints,
                                         struct vta_runs runs);

#endif
