/* sim.c: the simulator as a device: power, and the walk through a program's plan. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

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
    sim->kernels = vta_kernels_choose(hw);
    *device = &sim->device;
    return 0;
}

/* ---- Power --------------------------------------------------------------------------------- */

static void power_off(struct vta_sim *sim)
{
    free(sim->uop);
    sim->uop = NULL;
    if (sim->memory != NULL)
        munmap(sim->memory, sim->memory_bytes);
    sim->memory = NULL;
    memset(&sim->sram, 0, sizeof(sim->sram));
    sim->powered = false;
}

/* Takes the next `nbytes`, whole cache lines, of the SRAM's memory. */
static void *take(uint8_t **next, size_t nbytes)
{
    uint8_t *taken = *next;
    *next += (nbytes + 63) / 64 * 64;
    return taken;
}

/* One mapping for all SRAMs, so that a closed board's goes back to the host. */
static int map_sram(struct vta_sim *sim)
{
    const struct vta_hw *hw = &sim->hw;
    struct vta_sram *sram = &sim->sram;
    const size_t inp = hw->depth[VTA_MEM_INP] * sram->inp_stride;
    const size_t wgt = hw->depth[VTA_MEM_WGT] * sram->wgt_stride;
    const size_t acc = (size_t)hw->depth[VTA_MEM_ACC] * hw->batch * hw->block * sizeof(int32_t);

    sim->memory_bytes = inp + wgt + acc + 3 * 64;
    void *memory =
        mmap(NULL, sim->memory_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return VTA_ENOMEM;
    sim->memory = memory;
    uint8_t *next = memory;
    sram->inp = take(&next, inp);
    sram->wgt = take(&next, wgt);
    sram->acc = take(&next, acc);
    return 0;
}

static int power_on(struct vta_sim *sim, struct vta_error *error)
{
    const struct vta_hw *hw = &sim->hw;
    struct vta_sram *sram = &sim->sram;

    if (sim->powered)
        return 0;
    *sram = (struct vta_sram){ .batch = hw->batch,
                               .block = hw->block,
                               .inp_bits = hw->inp_bits,
                               .wgt_bits = hw->wgt_bits,
                               .out_bits = hw->out_bits };
    sim->kernels->layout(sram);
    sim->uop = calloc(hw->depth[VTA_MEM_UOP], sizeof(*sim->uop));
    if (sim->uop == NULL || map_sram(sim) != 0) {
        power_off(sim);
        return vta_error_set(error, VTA_ENOMEM, "no memory for the simulator's SRAM");
    }
    /* The mapping is zero, but a set may keep a zero as another byte. */
    sim->kernels->load_inp(sram, 0, NULL, hw->depth[VTA_MEM_INP]);
    sim->kernels->load_wgt(sram, 0, NULL, hw->depth[VTA_MEM_WGT]);
    sim->powered = true;
    return 0;
}

/* ---- Running ------------------------------------------------------------------------------- */

/* The program's plan, made by whoever needs it first. */
static int plan_of(const struct vta_program *program, const struct vta_control *control,
                   const struct vta_plan **result, struct vta_error *error)
{
    struct vta_plan *_Atomic *slot = (struct vta_plan * _Atomic *)&program->plan;
    struct vta_plan *plan = atomic_load_explicit(slot, memory_order_acquire), *none = NULL;
    if (plan == NULL) {
        int rc = vta_plan_make(&plan, program, control, error);
        if (rc != 0)
            return rc;
        if (!atomic_compare_exchange_strong(slot, &none, plan)) {
            vta_plan_free(plan);
            plan = none; /* another board's, made meanwhile */
        }
    }
    *result = plan;
    return 0;
}

#define STEPS_PER_OP 128 /* as control.h counts them, of an operation of a usual size */

struct run {
    struct vta_sim *sim;
    const struct vta_program *program;
    const struct vta_plan *plan;
    const struct vta_binding *binding;
    uint8_t *dram;
    const struct vta_control *control;
    struct vta_error *error;
};

/* Host memory that an instruction's dram_base counts from. */
static uint8_t *base_of(const struct run *run, uint32_t index)
{
    uint32_t base = run->program->bases[index];
    return base < run->program->param_count ? run->dram + run->binding->addresses[base] : run->dram;
}

/* A nest whose shape the plan had no room for. */
static int execute_at_run(const struct run *run, const struct vta_plan_op *op)
{
    const struct vta_nest_insn *nest = &run->program->insns[op->insn].nest;
    const struct vta_uop *uops = run->sim->uop + nest->uop_begin;
    struct vta_gemm_shape gemm = { 0 };
    struct vta_alu_shape alu = { 0 };
    int rc;
    if (op->kind == VTA_PLAN_GEMM) {
        rc = vta_gemm_shape_make(&gemm, nest, uops, run->error);
        rc = rc != 0 ? rc : vta_sim_gemm(run->sim, &gemm, NULL, run->control);
    } else {
        rc = vta_alu_shape_make(&alu, nest, uops, op->kind == VTA_PLAN_ALU && !nest->use_imm,
                                run->error);
        if (rc == 0)
            rc = op->kind == VTA_PLAN_RESET ? vta_sim_reset(run->sim, &alu, run->control)
                                            : vta_sim_alu(run->sim, nest, &alu, run->control);
    }
    vta_gemm_shape_clear(&gemm);
    vta_alu_shape_clear(&alu);
    return rc;
}

static int execute_gemm(const struct run *run, const struct vta_plan_op *op)
{
    const struct vta_gemm_shape *shape = &run->plan->gemm_shapes[op->shape];
    const size_t tile = run->sim->hw.dram_elem_bytes[VTA_MEM_WGT];
    uint64_t first, next;
    if (op->partner == VTA_NO_PARTNER || !run->sim->sram.reads_dram)
        return vta_sim_gemm(run->sim, shape, NULL, run->control);
    const struct vta_mem_insn *load = &run->program->insns[op->partner].mem;
    vta_plan_weights_at(shape, load, &first, &next);
    const struct vta_sim_weights weights = {
        .dram = base_of(run, op->partner) + (load->dram_base + first) * tile, .output = next * tile
    };
    return vta_sim_gemm(run->sim, shape, &weights, run->control);
}

static int execute(const struct run *run, const struct vta_plan_op *op)
{
    const struct vta_insn *insn = &run->program->insns[op->insn];
    switch (op->kind) {
    case VTA_PLAN_LOAD_UOP:
        vta_uops_load(run->sim->uop, &insn->mem, run->program->uops);
        return 0;
    case VTA_PLAN_LOAD:
        if (op->partner != VTA_NO_PARTNER && run->sim->sram.reads_dram)
            return 0;
        vta_sim_load(run->sim, &insn->mem, base_of(run, op->insn));
        return 0;
    case VTA_PLAN_STORE:
        vta_sim_store(run->sim, &insn->mem, base_of(run, op->insn));
        return 0;
    case VTA_PLAN_GEMM:
    case VTA_PLAN_RESET:
    case VTA_PLAN_ALU:
        break;
    }
    if (op->shape == VTA_SHAPE_AT_RUN)
        return execute_at_run(run, op);
    if (op->kind == VTA_PLAN_GEMM)
        return execute_gemm(run, op);
    const struct vta_alu_shape *shape = &run->plan->alu_shapes[op->shape];
    return op->kind == VTA_PLAN_RESET ? vta_sim_reset(run->sim, shape, run->control)
                                      : vta_sim_alu(run->sim, &insn->nest, shape, run->control);
}

static int sim_run(struct vta_dev *device, const struct vta_program *program,
                   const struct vta_binding *binding, struct vta_dram *dram, bool skip,
                   struct vta_control *control, struct vta_error *error)
{
    struct run run = { .sim = sim_of(device),
                       .program = program,
                       .binding = binding,
                       .control = control,
                       .error = error };
    if (skip)
        return 0; /* the counters were known before */
    int rc = power_on(run.sim, error);
    if (rc != 0)
        return rc;
    run.dram = vta_dram_base(dram);
    rc = plan_of(program, control, &run.plan, error);
    if (rc != 0)
        return rc;
    for (uint32_t i = 0; i < run.plan->op_count; i++) {
        const struct vta_plan_op *op = &run.plan->ops[i];
        rc = execute(&run, op);
        if (rc == 0)
            rc = vta_control_step(control, STEPS_PER_OP);
        if (rc == VTA_ENOMEM)
            return rc;
        if (rc != 0)
            return vta_error_set(error, rc, "%s: %s at insn %u of %u", program->name,
                                 vta_error_text(rc), op->insn, program->count);
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

static void sim_info(const struct vta_dev *device, const struct vta_hw *hw,
                     struct vta_device_info *info)
{
    const struct vta_kernels *kernels =
        device != NULL ? ((const struct vta_sim *)device)->kernels : vta_kernels_choose(hw);
    *info =
        (struct vta_device_info){ .name = "sim", .kernels = kernels->name, .exact_counters = true };
}

const struct vta_device_ops vta_sim_device = {
    .open = sim_open,
    .run = sim_run,
    .reset = sim_reset,
    .close = sim_close,
    .info = sim_info,
};
