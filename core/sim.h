/* sim.h: the simulator's inside: its SRAMs, and what each operation of a plan does to them.
 * Nothing here checks an index: the verifier has.
 */
#ifndef VTA_CORE_SIM_H
#define VTA_CORE_SIM_H

#include "device.h"
#include "kernels.h"
#include "plan.h"

struct vta_sim {
    struct vta_dev device; /* first: the device that others see */
    struct vta_hw hw;
    const struct vta_kernels *kernels;
    bool powered; /* SRAM is there */
    void *memory; /* the mapping that the SRAMs share; NULL: none */
    size_t memory_bytes;
    struct vta_sram sram;
    struct vta_uop *uop;
};

/* sim_memory.c: one LOAD or STORE that is not a no-op. base is host memory of the address (or, for
 * a parameter, of the element) that dram_base counts from; unused where nothing is moved. */
void vta_sim_load(struct vta_sim *sim, const struct vta_mem_insn *mem, const uint8_t *base);
void vta_sim_store(const struct vta_sim *sim, const struct vta_mem_insn *mem, uint8_t *base);

/* The weights of a GEMM that reads them in DRAM (struct vta_gemm_block's dram and dram_output). */
struct vta_sim_weights {
    const uint8_t *dram;
    size_t output;
};

/* sim_compute.c: one GEMM, reset or ALU instruction, given its shape; weights may be NULL. Returns
 * 0 or control->stop. */
int vta_sim_gemm(const struct vta_sim *sim, const struct vta_gemm_shape *shape,
                 const struct vta_sim_weights *weights, const struct vta_control *control);
int vta_sim_reset(const struct vta_sim *sim, const struct vta_alu_shape *shape,
                  const struct vta_control *control);
int vta_sim_alu(const struct vta_sim *sim, const struct vta_nest_insn *nest,
                const struct vta_alu_shape *shape, const struct vta_control *control);

#endif
