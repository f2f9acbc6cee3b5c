/* test_isa.c: bit positions, disassembly, and which configurations have an instruction format. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "core/isa.h"

static struct vta_layout default_layout(void)
{
    struct vta_hw hw;
    struct vta_layout layout;
    vta_hw_default(&hw);
    cr_assert_eq(vta_layout_make(&layout, &hw, NULL), 0);
    return layout;
}

static uint64_t word(const uint8_t *bytes, int index)
{
    uint64_t value;
    memcpy(&value, bytes + 8 * index, sizeof(value));
    return value;
}

Test(isa, lays_a_load_down_at_its_documented_bits)
{
    struct vta_layout layout = default_layout();
    uint8_t bytes[16];
    struct vta_insn insn = { .opcode = VTA_OP_LOAD, .pop_next = 1, .push_next = 1 };
    insn.mem = (struct vta_mem_insn){ .memory = VTA_MEM_INP,
                                      .sram_base = 0x1234,
                                      .dram_base = 0x89abcdef,
                                      .y_size = 3,
                                      .x_size = 5,
                                      .x_stride = 7,
                                      .y_pad_before = 1,
                                      .y_pad_after = 2,
                                      .x_pad_before = 3,
                                      .x_pad_after = 4 };
    cr_assert_eq(vta_insn_encode(&insn, &layout, bytes, NULL), 0);
    cr_expect_eq(word(bytes, 0),
                 1ull << 4 | 1ull << 6 | 2ull << 7 | 0x1234ull << 10 | 0x89abcdefull << 26);
    cr_expect_eq(word(bytes, 1), 3ull | 5ull << 16 | 7ull << 32 | 1ull << 48 | 2ull << 52 |
                                     3ull << 56 | 4ull << 60);
}

Test(isa, lays_a_gemm_down_at_its_documented_bits)
{
    struct vta_layout layout = default_layout();
    uint8_t bytes[16];
    struct vta_insn insn = { .opcode = VTA_OP_GEMM, .pop_prev = 1, .push_prev = 1 };
    insn.nest = (struct vta_nest_insn){ .reset = 1,
                                        .uop_begin = 5,
                                        .uop_end = 8192,
                                        .iter_out = 100,
                                        .iter_in = 200,
                                        .dst_factor_out = 1,
                                        .dst_factor_in = 2,
                                        .src_factor_out = 3,
                                        .src_factor_in = 4,
                                        .wgt_factor_out = 5,
                                        .wgt_factor_in = 1023 };
    cr_assert_eq(vta_insn_encode(&insn, &layout, bytes, NULL), 0);
    cr_expect_eq(word(bytes, 0), 2ull | 1ull << 3 | 1ull << 5 | 1ull << 7 | 5ull << 8 |
                                     8192ull << 21 | 100ull << 35 | 200ull << 49);
    cr_expect_eq(word(bytes, 1),
                 1ull | 2ull << 11 | 3ull << 22 | 4ull << 33 | 5ull << 44 | 1023ull << 54);
}

Test(isa, lays_an_alu_down_at_its_documented_bits)
{
    struct vta_layout layout = default_layout();
    uint8_t bytes[16];
    struct vta_insn insn = { .opcode = VTA_OP_ALU };
    insn.nest = (struct vta_nest_insn){ .uop_end = 1,
                                        .iter_out = 1,
                                        .iter_in = 64,
                                        .dst_factor_in = 1,
                                        .src_factor_in = 1,
                                        .alu_opcode = 4,
                                        .use_imm = 1,
                                        .imm = -2 };
    cr_assert_eq(vta_insn_encode(&insn, &layout, bytes, NULL), 0);
    cr_expect_eq(word(bytes, 1),
                 1ull << 11 | 1ull << 33 | 4ull << 44 | 1ull << 47 | 0xfffeull << 48);
    vta_insn_decode(&insn, &layout, bytes);
    cr_expect_eq(insn.nest.imm, -2);
}

Test(isa, starts_a_field_that_would_cross_the_words_at_bit_64)
{
    struct vta_hw hw;
    struct vta_layout layout;
    vta_hw_default(&hw);
    hw.log_depth[VTA_MEM_UOP] = 8;
    cr_assert_eq(vta_layout_make(&layout, &hw, NULL), 0);
    cr_expect_eq(layout.gemm[10].bit, 53, "dst_factor_out follows iter_in where it fits");
    cr_expect_eq(layout.gemm[11].bit, 64, "dst_factor_in would end at bit 75");
    hw.log_depth[VTA_MEM_UOP] = 13;
    cr_assert_eq(vta_layout_make(&layout, &hw, NULL), 0);
    cr_expect_eq(layout.gemm[10].bit, 64);
}

Test(isa, refuses_configurations_that_no_instruction_can_address)
{
    struct vta_hw hw;
    struct vta_layout layout;
    struct vta_error error;
    vta_hw_default(&hw);
    hw.log_depth[VTA_MEM_WGT] = 12;
    cr_expect_eq(vta_layout_make(&layout, &hw, &error), VTA_ECONFIG);
    cr_expect(strstr(error.message, "micro-op needs 34 bits") != NULL, "%s", error.message);
    vta_hw_default(&hw);
    hw.log_depth[VTA_MEM_UOP] = 15;
    cr_expect_eq(vta_layout_make(&layout, &hw, &error), VTA_ECONFIG);
    cr_expect(strstr(error.message, "an instruction has 128") != NULL, "%s", error.message);
}

Test(isa, encoding_names_the_field_that_does_not_fit)
{
    struct vta_layout layout = default_layout();
    uint8_t bytes[16];
    struct vta_error error;
    struct vta_insn insn = { .opcode = VTA_OP_GEMM };
    insn.nest.iter_in = 16384;
    cr_expect_eq(vta_insn_encode(&insn, &layout, bytes, &error), VTA_ERANGE);
    cr_expect_str_eq(error.message, "iter_in is 16384, its field holds 0 to 16383");
    cr_expect(error.has_limit && error.limit == 16383 && error.value == 16384);
    insn = (struct vta_insn){ .opcode = VTA_OP_ALU };
    insn.nest.imm = -32769;
    cr_expect_eq(vta_insn_encode(&insn, &layout, bytes, &error), VTA_ERANGE);
    cr_expect_str_eq(error.message, "imm is -32769, its field holds -32768 to 32767");
}

/* Every field of a format, at both ends of what it holds and one beyond. */
Test(isa, an_instruction_fits_if_it_can_be_encoded)
{
    static const uint32_t opcodes[] = { VTA_OP_LOAD, VTA_OP_STORE, VTA_OP_GEMM, VTA_OP_FINISH,
                                        VTA_OP_ALU };
    struct vta_layout layout = default_layout();
    uint8_t bytes[16];
    uint32_t fitting = 0, others = 0;
    for (size_t o = 0; o < sizeof opcodes / sizeof opcodes[0]; o++) {
        const struct vta_format *format = vta_format_of(opcodes[o]);
        for (size_t f = 1; f < format->count; f++)
            for (uint32_t bit = 0; bit < 32; bit++)
                for (int32_t near = -1; near <= 1; near++) {
                    struct vta_insn insn = { .opcode = opcodes[o] };
                    const uint32_t value = (UINT32_C(1) << bit) + (uint32_t)near;
                    const uint32_t values[] = { value, ~value };
                    for (int k = 0; k < 2; k++) {
                        memcpy((char *)&insn + format->fields[f].offset, &values[k], 4);
                        const bool fits = vta_insn_encode(&insn, &layout, bytes, NULL) == 0;
                        cr_assert_eq(vta_insn_fits(&insn, &layout), fits, "%s = 0x%x",
                                     format->fields[f].name, values[k]);
                        fitting += fits;
                        others += !fits;
                    }
                }
    }
    cr_expect(fitting > 0 && others > 0);
}

Test(isa, prints_lines_that_a_person_wants_to_read)
{
    char text[VTA_DISASM_TEXT];
    struct vta_insn gemm = { .opcode = VTA_OP_GEMM, .pop_prev = 1, .push_prev = 1 };
    gemm.nest = (struct vta_nest_insn){ .uop_begin = 1,
                                        .uop_end = 2,
                                        .iter_out = 16,
                                        .iter_in = 16,
                                        .dst_factor_out = 1,
                                        .src_factor_in = 1,
                                        .wgt_factor_out = 16,
                                        .wgt_factor_in = 1 };
    vta_insn_print(&gemm, text, sizeof(text));
    cr_expect_str_eq(text, "GEMM   pop:load push:load  uop[1,2) 16×16  acc+1,0 inp+0,1 wgt+16,1");
    struct vta_insn load = { .opcode = VTA_OP_LOAD, .push_next = 1 };
    load.mem = (struct vta_mem_insn){ .memory = VTA_MEM_WGT,
                                      .sram_base = 0,
                                      .dram_base = 32,
                                      .y_size = 16,
                                      .x_size = 16,
                                      .x_stride = 64 };
    vta_insn_print(&load, text, sizeof(text));
    cr_expect_str_eq(text, "LOAD   push:compute  wgt[0,256)  16×16 stride 64  dram+32");
    struct vta_insn alu = { .opcode = VTA_OP_ALU, .push_next = 1 };
    alu.nest = (struct vta_nest_insn){ .uop_begin = 2,
                                       .uop_end = 3,
                                       .iter_out = 1,
                                       .iter_in = 16,
                                       .dst_factor_in = 1,
                                       .src_factor_in = 1,
                                       .alu_opcode = 3,
                                       .use_imm = 1,
                                       .imm = 8 };
    vta_insn_print(&alu, text, sizeof(text));
    cr_expect_str_eq(text, "ALU    push:store  uop[2,3) 1×16  shr acc+0,1 imm 8");
    struct vta_insn nop = { .opcode = VTA_OP_LOAD, .pop_next = 1 };
    vta_insn_print(&nop, text, sizeof(text));
    cr_expect_str_eq(text, "NOP    pop:store  (compute)");
}

Test(isa, printing_never_passes_the_end_of_a_short_buffer)
{
    char text[VTA_DISASM_TEXT];
    struct vta_insn insn = { .opcode = VTA_OP_GEMM, .pop_prev = 1 };
    size_t whole = vta_insn_print(&insn, NULL, 0);
    for (size_t size = 1; size <= whole + 1; size++) {
        memset(text, '#', sizeof(text));
        cr_assert_eq(vta_insn_print(&insn, text, size), whole);
        cr_assert_eq(strlen(text), size - 1);
        cr_assert_eq(text[size], '#');
    }
}

Test(isa, prints_every_field_of_every_format)
{
    static const uint32_t opcodes[] = { VTA_OP_LOAD, VTA_OP_GEMM, VTA_OP_ALU };
    for (size_t k = 0; k < 3; k++) {
        const struct vta_format *format = vta_format_of(opcodes[k]);
        for (size_t i = VTA_HEADER_FIELDS; i < format->count; i++) {
            char name[64];
            size_t found = 0;
            for (const char *end = "}?!"; *end != '\0'; end++) {
                snprintf(name, sizeof(name), "{%s%c", format->fields[i].name, *end);
                found += strstr(format->text, name) != NULL;
            }
            cr_expect(found > 0, "%s is in the table, but not in the text '%s'",
                      format->fields[i].name, format->text);
        }
    }
}

Test(isa, prints_only_fields_that_the_table_has)
{
    static const char *const made[] = { "sram_end", "rows", "padding" };
    static const uint32_t opcodes[] = { VTA_OP_LOAD, VTA_OP_GEMM, VTA_OP_ALU };
    for (size_t k = 0; k < 3; k++) {
        const struct vta_format *format = vta_format_of(opcodes[k]);
        for (const char *at = strchr(format->text, '{'); at != NULL; at = strchr(at + 1, '{')) {
            const size_t length = strcspn(at + 1, "}?!");
            bool known = false;
            for (size_t i = 0; i < format->count; i++)
                known = known || (strlen(format->fields[i].name) == length &&
                                  memcmp(format->fields[i].name, at + 1, length) == 0);
            for (size_t i = 0; i < 3 && opcodes[k] == VTA_OP_LOAD; i++)
                known =
                    known || (strlen(made[i]) == length && memcmp(made[i], at + 1, length) == 0);
            cr_expect(known, "%.*s is no field", (int)length, at + 1);
        }
    }
}
