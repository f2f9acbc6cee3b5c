/* test_program.c: what a kernel or a raw stream must be before it becomes a program. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "kit.h"

static struct vta_error error;

/* A kernel of one LOAD INP and FINISH, with these relocations. */
static int load_with(const struct vta_reloc *relocs, uint32_t count, uint32_t dram_base)
{
    struct kit kit;
    uint8_t bytes[2 * VTA_INSN_BYTES];
    struct vta_program *program = NULL;
    kit_init(&kit);
    struct vta_insn load = { .opcode = VTA_OP_LOAD };
    load.mem = (struct vta_mem_insn){
        .memory = VTA_MEM_INP, .x_size = 1, .y_size = 1, .dram_base = dram_base
    };
    struct vta_insn finish = { .opcode = VTA_OP_FINISH };
    vta_insn_encode(&load, &kit.layout, bytes, NULL);
    vta_insn_encode(&finish, &kit.layout, bytes + VTA_INSN_BYTES, NULL);
    struct vta_kernel kernel = { .name = (char *)"k",
                                 .param_count = 4,
                                 .insn_count = 2,
                                 .reloc_count = count,
                                 .params = kit.params,
                                 .insns = bytes,
                                 .relocs = (struct vta_reloc *)relocs };
    int rc = vta_program_from_kernel(&program, &kernel, &kit.hw, &error);
    vta_program_free(program);
    return rc;
}

Test(program, needs_one_relocation_for_each_instruction_that_moves_data)
{
    const struct vta_reloc good = { 0, 0, 0 };
    cr_expect_eq(load_with(&good, 1, 0), 0, "%s", error.message);
    cr_expect_eq(load_with(NULL, 0, 0), VTA_EFORMAT);
    cr_expect(strstr(error.message, "no relocation says where") != NULL, "%s", error.message);
    const struct vta_reloc twice[] = { { 0, 0, 0 }, { 0, 1, 0 } };
    cr_expect_eq(load_with(twice, 2, 0), VTA_EFORMAT);
    cr_expect(strstr(error.message, "two relocations") != NULL, "%s", error.message);
}

Test(program, refuses_relocations_that_lead_nowhere)
{
    const struct vta_reloc no_insn = { 2, 0, 0 };
    cr_expect_eq(load_with(&no_insn, 1, 0), VTA_EFORMAT);
    cr_expect(strstr(error.message, "names insn 2 of 2") != NULL, "%s", error.message);
    const struct vta_reloc no_param = { 0, 4, 0 };
    cr_expect_eq(load_with(&no_param, 1, 0), VTA_EFORMAT);
    cr_expect(strstr(error.message, "refers to parameter 4 of 4") != NULL, "%s", error.message);
    const struct vta_reloc no_address = { 1, 0, 0 };
    cr_expect_eq(load_with(&no_address, 1, 0), VTA_EFORMAT);
    cr_expect(strstr(error.message, "has no DRAM address") != NULL, "%s", error.message);
    const struct vta_reloc uops = { 0, VTA_PARAM_UOPS, 0 };
    cr_expect_eq(load_with(&uops, 1, 0), VTA_EFORMAT);
    cr_expect(strstr(error.message, "only LOAD UOP") != NULL, "%s", error.message);
    const struct vta_reloc good = { 0, 0, 0 };
    cr_expect_eq(load_with(&good, 1, 7), VTA_EFORMAT);
    cr_expect(strstr(error.message, "dram_base is 7") != NULL, "%s", error.message);
}

Test(program, names_the_parameter_whose_size_is_no_number_of_bytes)
{
    struct kit kit;
    struct vta_program *program = NULL;
    uint8_t bytes[VTA_INSN_BYTES];
    const struct vta_insn finish = { .opcode = VTA_OP_FINISH };
    kit_init(&kit);
    vta_insn_encode(&finish, &kit.layout, bytes, NULL);
    kit.params[KIT_WGT].type = (struct vta_tensor_type){ { VTA_DTYPE_INT, 8 },
                                                         2,
                                                         { UINT64_C(1) << 40, UINT64_C(1) << 40 } };
    struct vta_kernel kernel = {
        .name = (char *)"k", .param_count = 4, .insn_count = 1, .params = kit.params, .insns = bytes
    };
    cr_expect_eq(vta_program_from_kernel(&program, &kernel, &kit.hw, &error), VTA_ESIZE);
    cr_expect_not_null(strstr(error.message, "parameter 1 'wgt': "), "%s", error.message);
    cr_expect_null(program);
}

/* A stream over 64 KiB of memory from address 4096. */
struct memory {
    uint8_t bytes[65536];
};

static const void *read_memory(void *context, uint64_t address, uint64_t nbytes)
{
    struct memory *memory = context;
    return address >= 4096 && address + nbytes <= sizeof(memory->bytes) ? memory->bytes + address
                                                                        : NULL;
}

static struct vta_program *stream(struct memory *memory, const struct vta_insn *insns,
                                  uint32_t count, int *rc)
{
    struct vta_hw hw;
    struct vta_layout layout;
    uint8_t bytes[8 * VTA_INSN_BYTES];
    struct vta_program *program = NULL;
    vta_hw_default(&hw);
    vta_layout_make(&layout, &hw, NULL);
    for (uint32_t i = 0; i < count; i++)
        vta_insn_encode(&insns[i], &layout, bytes + i * VTA_INSN_BYTES, NULL);
    *rc = vta_program_from_stream(&program, &hw, bytes, count, read_memory, memory, &error);
    return program;
}

static struct vta_insn uop_load(uint32_t dram_base, uint32_t x_size)
{
    struct vta_insn insn = { .opcode = VTA_OP_LOAD };
    insn.mem = (struct vta_mem_insn){
        .memory = VTA_MEM_UOP, .dram_base = dram_base, .x_size = x_size, .y_size = 1
    };
    return insn;
}

Test(program, copies_each_micro_op_of_a_stream_once)
{
    struct memory *memory = calloc(1, sizeof(*memory));
    const struct vta_insn insns[] = { uop_load(2000, 10), uop_load(2005, 10), uop_load(3000, 1),
                                      uop_load(2001, 2) };
    int rc;
    for (uint32_t i = 1024; i < 4096; i++)
        memcpy(memory->bytes + 4 * i, &i, sizeof(i));
    struct vta_program *program = stream(memory, insns, 4, &rc);
    cr_assert_eq(rc, 0, "%s", error.message);
    cr_expect_eq(program->uop_count, 16);
    for (uint32_t i = 0; i < 4; i++) {
        cr_expect_eq(program->bases[i], VTA_BASE_UOPS);
        cr_expect_eq(program->uops[program->insns[i].mem.dram_base].dst,
                     insns[i].mem.dram_base & 2047);
    }
    memset(memory->bytes, 0, sizeof(memory->bytes)); /* what runs is what was seen */
    cr_expect_eq(program->uops[0].dst, 2000 & 2047);
    vta_program_free(program);
    free(memory);
}

Test(program, refuses_a_stream_that_stores_over_its_own_micro_ops)
{
    struct memory *memory = calloc(1, sizeof(*memory));
    struct vta_insn insns[] = { uop_load(2000, 10), { .opcode = VTA_OP_STORE } };
    int rc;
    insns[1].mem = (struct vta_mem_insn){
        .memory = VTA_MEM_OUT, .dram_base = 8039 / 16, .x_size = 1, .y_size = 1
    };
    cr_assert_null(stream(memory, insns, 2, &rc));
    cr_expect_eq(rc, VTA_EUOP);
    cr_expect(strstr(error.message, "loads micro-ops from") != NULL, "%s", error.message);
    insns[1].mem.dram_base = 8048 / 16;
    struct vta_program *program = stream(memory, insns, 2, &rc);
    cr_expect_eq(rc, 0, "%s", error.message);
    vta_program_free(program);
    free(memory);
}

Test(program, leaves_micro_ops_outside_dram_to_the_verifier)
{
    struct memory *memory = calloc(1, sizeof(*memory));
    const struct vta_insn insns[] = { uop_load(0, 1), { .opcode = VTA_OP_FINISH } };
    struct vta_verify_options options = { .reader = read_memory, .context = memory };
    int rc;
    struct vta_program *program = stream(memory, insns, 2, &rc);
    cr_assert_eq(rc, 0, "%s", error.message);
    cr_expect_eq(vta_verify(program, &options, &error), VTA_EDRAM);
    vta_program_free(program);
    free(memory);
}

static void append_line(void *context, const char *line)
{
    strcat(strcat(context, line), "\n");
}

Test(program, prints_where_each_instruction_finds_its_data)
{
    struct kit kit;
    char text[1024] = "";
    kit_init(&kit);
    kit_uop(&kit, 0, 0, 0, 0);
    kit_move(&kit, KIT_INP, 3, 0, 1);
    kit_finish(&kit);
    struct vta_program *program = kit_program(&kit);
    vta_program_print(program, append_line, text);
    cr_expect_str_eq(text, "    0  LOAD    uop[0,1)  1×1  dram+0  of micro-ops\n"
                           "    1  LOAD    inp[0,1)  1×1  dram+3  of parameter 0\n"
                           "    2  NOP    push:compute  (store)\n"
                           "    3  FINISH pop:store\n");
    vta_program_free(program);
}
