/* sim.c: the simulator as a device: power, and the walk through a program's instructions. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "DRAM and host agree on byte order");

static struct vta_sim *sim_of(struct vta_dev *device)
{
    return (struct vta_sim *)device;
}

static int sim_open(struct vta_dev **device, const struct vta_hw *hw, struct vta_error *error)
{
    struct vta_sim *sim = calloc(1, sizeof(*sim));
    if (sim == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a simulator");
    sim->device.ops = &vta_sim_device;
    sim->hw = *hw;
    sim->inp_wide = hw->inp_bits > 8;
    sim->wgt_wide = hw->wgt_bits > 8;
    *device = &sim->device;
    return 0;
}

static void power_off(struct vta_sim *sim)
{
    free(sim->uop);
    free(sim->inp);
    free(sim->wgt);
    free(sim->acc);
    sim->uop = NULL;
    sim->inp = sim->wgt = NULL;
    sim->acc = NULL;
    sim->powered = false;
}

static int power_on(struct vta_sim *sim, struct vta_error *error)
{
    const struct vta_hw *hw = &sim->hw;
    const size_t inp = (size_t)hw->depth[VTA_MEM_INP] * hw->batch * hw->block;
    const size_t wgt = (size_t)hw->depth[VTA_MEM_WGT] * hw->block * hw->block;
    const size_t acc = (size_t)hw->depth[VTA_MEM_ACC] * hw->batch * hw->block;

    if (sim->powered)
        return 0;
    sim->uop = calloc(hw->depth[VTA_MEM_UOP], sizeof(*sim->uop));
    sim->inp = calloc(inp, sim->inp_wide ? sizeof(int32_t) : sizeof(int8_t));
    sim->wgt = calloc(wgt, sim->wgt_wide ? sizeof(int32_t) : sizeof(int8_t));
    sim->acc = calloc(acc, sizeof(*sim->acc));
    if (sim->uop == NULL || sim->inp == NULL || sim->wgt == NULL || sim->acc == NULL) {
        power_off(sim);
        return vta_error_set(error, VTA_ENOMEM, "no memory for the simulator's SRAM");
    }
    sim->powered = true;
    return 0;
}

/* Host memory that an instruction's dram_base counts from. */
static uint8_t *base_of(const struct vta_program *program, uint32_t index,
                        const struct vta_binding *binding, uint8_t *dram)
{
    uint32_t base = program->bases[index];
    return base < program->param_count ? dram + binding->addresses[base] : dram;
}

static int execute(struct vta_sim *sim, const struct vta_program *program, uint32_t index,
                   const struct vta_binding *binding, uint8_t *dram,
                   const struct vta_control *control)
{
    const struct vta_insn *insn = &program->insns[index];
    switch (insn->opcode) {
    case VTA_OP_LOAD:
        if (vta_insn_is_nop(insn))
            return 0;
        if (insn->mem.memory == VTA_MEM_UOP)
            vta_sim_load_uops(sim, &insn->mem, program->uops);
        else
            vta_sim_load(sim, &insn->mem, base_of(program, index, binding, dram));
        return 0;
    case VTA_OP_STORE:
        if (!vta_insn_is_nop(insn))
            vta_sim_store(sim, &insn->mem, base_of(program, index, binding, dram));
        return 0;
    case VTA_OP_GEMM:
        return vta_sim_gemm(sim, &insn->nest, control);
    case VTA_OP_ALU:
        return vta_sim_alu(sim, &insn->nest, control);
    default: /* FINISH: the verifier lets nothing else through */
        return 0;
    }
}

static int sim_run(struct vta_dev *device, const struct vta_program *program,
                   const struct vta_binding *binding, struct vta_dram *dram, bool skip,
                   struct vta_control *control, struct vta_error *error)
{
    struct vta_sim *sim = sim_of(device);
    if (skip)
        return 0; /* the counters were known before */
    int rc = power_on(sim, error);
    if (rc != 0)
        return rc;
    uint8_t *base = vta_dram_base(dram);
    for (uint32_t i = 0; i < program->count; i++) {
        rc = execute(sim, program, program->order[i], binding, base, control);
        if (rc == 0)
            rc = atomic_load_explicit(&control->stop, memory_order_relaxed);
        if (rc != 0)
            return vta_error_set(error, rc, "%s: %s at insn %u of %u", program->name,
                                 vta_error_text(rc), program->order[i], program->count);
    }
    return 0;
}

static void sim_reset(struct vta_dev *device)
{
    power_off(sim_of(device));
}

static void sim_close(struct vta_dev *device)
{
    if (device == NULL)
        return;
    power_off(sim_of(device));
    free(sim_of(device));
}

static void sim_info(const struct vta_dev *device, struct vta_device_info *info)
{
    (void)device;
    *info =
        (struct vta_device_info){ .name = "sim", .kernels = "portable", .exact_counters = true };
}

const struct vta_device_ops vta_sim_device = {
    .open = sim_open,
    .run = sim_run,
    .reset = sim_reset,
    .close = sim_close,
    .info = sim_info,
};
