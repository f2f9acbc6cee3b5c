/* kit.c: programs for tests (kit.h). */
#include "kit.h"

#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

static void set_param(struct kit *kit, const char *name, enum vta_memory memory, uint8_t bits,
                      enum vta_access access)
{
    struct vta_param *param = &kit->params[kit->param_count++];
    uint64_t lanes = (uint64_t)kit->hw.dram_elem_bytes[memory] * 8 / bits;
    param->name = (char *)name;
    param->memory = memory;
    param->access = access;
    param->type = (struct vta_tensor_type){ { VTA_DTYPE_INT, bits }, 2, { 64, lanes } };
}

void kit_init(struct kit *kit)
{
    memset(kit, 0, sizeof(*kit));
    vta_hw_default(&kit->hw);
    cr_assert_eq(vta_layout_make(&kit->layout, &kit->hw, NULL), 0);
    set_param(kit, "inp", VTA_MEM_INP, 8, VTA_ACCESS_READ);
    set_param(kit, "wgt", VTA_MEM_WGT, 8, VTA_ACCESS_READ);
    set_param(kit, "acc", VTA_MEM_ACC, 32, VTA_ACCESS_READ);
    set_param(kit, "out", VTA_MEM_OUT, 8, VTA_ACCESS_WRITE);
}

struct vta_insn *kit_add(struct kit *kit, struct vta_insn insn)
{
    kit->insns[kit->insn_count] = insn;
    return &kit->insns[kit->insn_count++];
}

static void relocate(struct kit *kit, uint32_t param, uint32_t offset)
{
    kit->relocs[kit->reloc_count++] =
        (struct vta_reloc){ .insn = kit->insn_count, .param = param, .offset = offset };
}

struct vta_insn *kit_move(struct kit *kit, uint32_t param, uint32_t offset, uint32_t sram,
                          uint32_t x)
{
    struct vta_insn insn = { .opcode = param == KIT_OUT ? VTA_OP_STORE : VTA_OP_LOAD };
    insn.mem.memory = kit->params[param].memory;
    insn.mem.sram_base = sram;
    insn.mem.y_size = 1;
    insn.mem.x_size = x;
    relocate(kit, param, offset);
    return kit_add(kit, insn);
}

struct vta_insn *kit_uop(struct kit *kit, uint32_t sram, uint32_t dst, uint32_t src, uint32_t wgt)
{
    struct vta_uop uop = { dst, src, wgt };
    struct vta_insn insn = { .opcode = VTA_OP_LOAD };
    cr_assert_eq(vta_uop_encode(&uop, &kit->layout, &kit->uops[kit->uop_count], NULL), 0);
    insn.mem.memory = VTA_MEM_UOP;
    insn.mem.sram_base = sram;
    insn.mem.y_size = insn.mem.x_size = 1;
    relocate(kit, VTA_PARAM_UOPS, kit->uop_count++);
    return kit_add(kit, insn);
}

struct vta_insn *kit_gemm(struct kit *kit)
{
    struct vta_insn insn = { .opcode = VTA_OP_GEMM };
    insn.nest.uop_end = insn.nest.iter_out = insn.nest.iter_in = 1;
    return kit_add(kit, insn);
}

struct vta_insn *kit_alu(struct kit *kit, uint32_t alu_opcode, int32_t imm)
{
    struct vta_insn insn = { .opcode = VTA_OP_ALU };
    insn.nest.uop_end = insn.nest.iter_out = insn.nest.iter_in = 1;
    insn.nest.alu_opcode = alu_opcode;
    insn.nest.use_imm = 1;
    insn.nest.imm = imm;
    return kit_add(kit, insn);
}

void kit_finish(struct kit *kit)
{
    kit_add(kit, (struct vta_insn){ .opcode = VTA_OP_STORE, .push_prev = 1 });
    kit_add(kit, (struct vta_insn){ .opcode = VTA_OP_FINISH, .pop_next = 1 });
}

struct vta_program *kit_program(const struct kit *kit)
{
    uint8_t bytes[KIT_MAX * VTA_INSN_BYTES];
    struct vta_error error = { 0 };
    struct vta_program *program = NULL;
    struct vta_kernel kernel = {
        .name = (char *)"kit",
        .param_count = kit->param_count,
        .insn_count = kit->insn_count,
        .uop_count = kit->uop_count,
        .reloc_count = kit->reloc_count,
        .params = (struct vta_param *)kit->params,
        .insns = bytes,
        .uops = (uint32_t *)kit->uops,
        .relocs = (struct vta_reloc *)kit->relocs,
    };
    for (uint32_t i = 0; i < kit->insn_count; i++)
        cr_assert_eq(
            vta_insn_encode(&kit->insns[i], &kit->layout, bytes + i * VTA_INSN_BYTES, &error), 0,
            "%s", error.message);
    cr_assert_eq(vta_program_from_kernel(&program, &kernel, &kit->hw, &error), 0, "%s",
                 error.message);
    return program;
}

int kit_verify(const struct kit *kit, struct vta_error *error)
{
    struct vta_program *program = kit_program(kit);
    struct vta_verify_options options = { 0 };
    int rc = vta_verify(program, &options, error);
    vta_program_free(program);
    return rc;
}
