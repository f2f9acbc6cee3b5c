/* sim.h: the simulator's inside: its SRAMs, and the operations on them.
 *
 * Numbers of at most 8 bits are kept unpacked, one per byte; wider ones as 32-bit integers. So a
 * tile operation never meets packed bits. Nothing here checks an index: the verifier has.
 */
#ifndef VTA_CORE_SIM_H
#define VTA_CORE_SIM_H

#include "device.h"

struct vta_sim {
    struct vta_dev device; /* first: the device that others see */
    struct vta_hw hw;
    bool powered; /* SRAM is there */
    struct vta_uop *uop;
    void *inp, *wgt; /* int8_t or int32_t per number, see wide */
    int32_t *acc;
    bool inp_wide, wgt_wide;
};

/* How many steps a nest takes between two looks at control->stop. */
#define VTA_SIM_STRIDE 4096

/* sim_memory.c: one LOAD or STORE that is not a no-op. base is host memory of the address (or, for
 * a parameter, of the element) that dram_base counts from; unused where nothing is moved. */
void vta_sim_load(struct vta_sim *sim, const struct vta_mem_insn *mem, const uint8_t *base);
void vta_sim_load_uops(struct vta_sim *sim, const struct vta_mem_insn *mem,
                       const struct vta_uop *image);
void vta_sim_store(const struct vta_sim *sim, const struct vta_mem_insn *mem, uint8_t *base);

/* sim_compute.c: one GEMM or ALU. Returns 0 or control->stop. */
int vta_sim_gemm(struct vta_sim *sim, const struct vta_nest_insn *nest,
                 const struct vta_control *control);
int vta_sim_alu(struct vta_sim *sim, const struct vta_nest_insn *nest,
                const struct vta_control *control);

#endif
