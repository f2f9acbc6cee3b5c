/* test_record.c: the rules of the command queue recorder, one by one, and the recorded stream of a
 * whole matrix multiply against the one that TVM compiled. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/record.h"

static struct vta_record record;
static struct vta_error error;

static void start(void)
{
    struct vta_hw hw;
    vta_hw_default(&hw);
    vta_record_init(&record, &hw);
}

static void stop(void)
{
    vta_record_free(&record);
}

TestSuite(record, .init = start, .fini = stop);

#define LOAD    VTA_UNIT_LOAD
#define COMPUTE VTA_UNIT_COMPUTE
#define STORE   VTA_UNIT_STORE

static void push(enum vta_unit from, enum vta_unit to)
{
    cr_assert_eq(vta_record_push(&record, from, to, &error), 0, "%s", error.message);
}

static void pop(enum vta_unit from, enum vta_unit to)
{
    cr_assert_eq(vta_record_pop(&record, from, to, &error), 0, "%s", error.message);
}

static void load(uint32_t memory, uint32_t dram, uint32_t y, uint32_t x, uint32_t stride)
{
    struct vta_mem_insn mem = {
        .memory = memory, .dram_base = dram, .y_size = y, .x_size = x, .x_stride = stride
    };
    cr_assert_eq(vta_record_load(&record, &mem, 0, &error), 0, "%s", error.message);
}

static void store(uint32_t sram, uint32_t dram)
{
    struct vta_mem_insn mem = { .memory = VTA_MEM_OUT,
                                .sram_base = sram,
                                .dram_base = dram,
                                .y_size = 1,
                                .x_size = 1,
                                .x_stride = 1 };
    cr_assert_eq(vta_record_store(&record, &mem, 1, &error), 0, "%s", error.message);
}

static void nest(struct vta_record_kernel *kernel)
{
    cr_assert_eq(vta_record_nest(&record, kernel, &error), 0, "%s", error.message);
}

/* "pnPN" with '-' for bits that are clear. */
static void expect_bits(uint32_t index, const char *bits)
{
    const struct vta_insn *insn = &record.insns[index];
    const char have[] = { insn->pop_prev ? 'p' : '-', insn->pop_next ? 'n' : '-',
                          insn->push_prev ? 'P' : '-', insn->push_next ? 'N' : '-', '\0' };
    cr_assert_lt(index, record.count);
    cr_assert_str_eq(have, bits, "insn %u: %s, not %s", index, have, bits);
}

static void expect_noop(uint32_t index, uint32_t opcode, uint32_t memory, const char *bits)
{
    expect_bits(index, bits);
    cr_assert_eq(record.insns[index].opcode, opcode);
    cr_assert_eq(record.insns[index].mem.memory, memory);
    cr_assert_eq(record.insns[index].mem.x_size, 0);
    cr_assert_eq(record.insns[index].mem.y_size, 0);
}

/* ---- Pushes and pops ----------------------------------------------------------------------- */

Test(record, sets_a_push_on_the_last_instruction_of_its_unit)
{
    load(VTA_MEM_INP, 0, 1, 1, 1);
    push(LOAD, COMPUTE);
    cr_assert_eq(record.count, 1);
    expect_bits(0, "---N");
}

Test(record, appends_a_noop_for_a_push_into_an_empty_stream)
{
    push(STORE, COMPUTE);
    cr_assert_eq(record.count, 1);
    expect_noop(0, VTA_OP_STORE, 0, "--P-");
}

Test(record, appends_a_noop_for_a_push_after_another_units_instruction)
{
    load(VTA_MEM_INP, 0, 1, 1, 1);
    push(COMPUTE, LOAD);
    expect_bits(0, "----");
    expect_noop(1, VTA_OP_LOAD, VTA_MEM_UOP, "--P-");
}

Test(record, appends_a_noop_where_the_push_bit_is_taken)
{
    load(VTA_MEM_WGT, 0, 1, 1, 1);
    push(LOAD, COMPUTE);
    push(LOAD, COMPUTE);
    cr_assert_eq(record.count, 2);
    expect_noop(1, VTA_OP_LOAD, VTA_MEM_INP, "---N");
}

Test(record, gives_no_push_to_a_noop_load)
{
    push(LOAD, COMPUTE);
    push(COMPUTE, LOAD);
    push(COMPUTE, STORE);
    cr_assert_eq(record.count, 3);
    expect_noop(0, VTA_OP_LOAD, VTA_MEM_INP, "---N");
    expect_noop(1, VTA_OP_LOAD, VTA_MEM_UOP, "--P-");
    expect_noop(2, VTA_OP_LOAD, VTA_MEM_UOP, "---N");
}

Test(record, gives_a_push_to_a_noop_store)
{
    pop(COMPUTE, STORE);
    push(STORE, COMPUTE);
    cr_assert_eq(record.count, 1);
    expect_noop(0, VTA_OP_STORE, 0, "p-P-");
}

Test(record, commits_pending_pops_of_the_unit_before_its_push)
{
    load(VTA_MEM_INP, 0, 1, 1, 1);
    pop(COMPUTE, LOAD);
    push(LOAD, COMPUTE);
    cr_assert_eq(record.count, 3);
    expect_bits(0, "----");
    expect_noop(1, VTA_OP_LOAD, VTA_MEM_INP, "-n--");
    expect_noop(2, VTA_OP_LOAD, VTA_MEM_INP, "---N");
}

Test(record, leaves_pending_pops_of_other_units_alone_at_a_push)
{
    load(VTA_MEM_INP, 0, 1, 1, 1);
    pop(LOAD, COMPUTE);
    push(LOAD, COMPUTE);
    cr_assert_eq(record.count, 1);
    load(VTA_MEM_ACC, 0, 1, 1, 1);
    expect_bits(1, "p---");
}

Test(record, puts_a_pop_into_the_next_instruction_of_its_unit)
{
    pop(COMPUTE, LOAD);
    load(VTA_MEM_ACC, 0, 1, 1, 1);
    load(VTA_MEM_INP, 0, 1, 1, 1);
    load(VTA_MEM_INP, 0, 1, 1, 1);
    expect_bits(0, "----");
    expect_bits(1, "-n--");
    expect_bits(2, "----");
}

Test(record, lets_one_instruction_take_a_pop_of_each_direction)
{
    pop(LOAD, COMPUTE);
    pop(STORE, COMPUTE);
    load(VTA_MEM_ACC_8BIT, 0, 1, 1, 1);
    cr_assert_eq(record.count, 1);
    expect_bits(0, "pn--");
}

Test(record, commits_the_pending_pops_at_a_second_pop_of_the_same_direction)
{
    pop(LOAD, COMPUTE);
    pop(STORE, COMPUTE);
    pop(LOAD, COMPUTE);
    cr_assert_eq(record.count, 1);
    expect_noop(0, VTA_OP_LOAD, VTA_MEM_UOP, "pn--");
    load(VTA_MEM_ACC, 0, 1, 1, 1);
    expect_bits(1, "p---");
}

Test(record, refuses_units_that_are_no_neighbours)
{
    cr_assert_eq(vta_record_push(&record, LOAD, STORE, &error), VTA_EINVAL);
    cr_assert_eq(vta_record_pop(&record, STORE, LOAD, &error), VTA_EINVAL);
    cr_assert_eq(vta_record_push(&record, COMPUTE, COMPUTE, &error), VTA_EINVAL);
    cr_assert_eq(vta_record_pop(&record, (enum vta_unit)7, COMPUTE, &error), VTA_EINVAL);
    cr_assert_eq(record.count, 0);
}

Test(record, ends_with_both_pushes_one_noop_that_pops_them_and_finish)
{
    store(0, 0);
    cr_assert_eq(vta_record_synchronise(&record, &error), 0);
    cr_assert_eq(record.count, 4);
    expect_bits(0, "--P-");
    expect_noop(1, VTA_OP_LOAD, VTA_MEM_INP, "---N");
    expect_noop(2, VTA_OP_LOAD, VTA_MEM_UOP, "pn--");
    expect_bits(3, "----");
    cr_assert_eq(record.insns[3].opcode, VTA_OP_FINISH);
}

Test(record, keeps_pops_that_come_after_a_synchronise_for_the_next_stream)
{
    cr_assert_eq(vta_record_synchronise(&record, &error), 0);
    pop(STORE, COMPUTE);
    vta_record_reset(&record);
    cr_assert_eq(record.count, 0);
    load(VTA_MEM_ACC, 0, 1, 1, 1);
    expect_bits(0, "-n--");
}

Test(record, names_field_limit_and_value_of_what_no_instruction_holds)
{
    struct vta_mem_insn mem = { .memory = VTA_MEM_INP, .y_size = 1, .x_size = 70000 };
    cr_assert_eq(vta_record_load(&record, &mem, 0, &error), VTA_ERANGE);
    cr_assert_eq(record.count, 0);
    cr_assert_not_null(strstr(error.message, "x_size"), "%s", error.message);
    cr_assert_not_null(strstr(error.message, "70000"), "%s", error.message);
}

Test(record, keeps_a_pop_pending_when_the_instruction_is_refused)
{
    pop(COMPUTE, LOAD);
    struct vta_mem_insn mem = { .memory = VTA_MEM_INP, .y_size = 70000, .x_size = 1 };
    cr_assert_eq(vta_record_load(&record, &mem, 0, &error), VTA_ERANGE);
    load(VTA_MEM_INP, 0, 1, 1, 1);
    expect_bits(0, "-n--");
}

/* ---- Micro-op kernels and their cache ------------------------------------------------------ */

static struct vta_uop zeros[8192];

static struct vta_record_kernel kernel_of(uint32_t uops)
{
    return (struct vta_record_kernel){ .uop_count = uops, .uops = zeros };
}

/* Whether insn `index` loads [begin, end) of UOP SRAM from the image at `image`. */
static void expect_uop_load(uint32_t index, uint32_t begin, uint32_t end, uint32_t image)
{
    const struct vta_insn *insn = &record.insns[index];
    cr_assert_lt(index, record.count);
    cr_assert(insn->opcode == VTA_OP_LOAD && insn->mem.memory == VTA_MEM_UOP);
    cr_assert_eq(record.bases[index], VTA_BASE_UOPS);
    cr_assert_eq(insn->mem.sram_base, begin);
    cr_assert_eq(insn->mem.x_size, end - begin);
    cr_assert_eq(insn->mem.x_stride, end - begin);
    cr_assert_eq(insn->mem.y_size, 1);
    cr_assert_eq(insn->mem.dram_base, image);
}

static void expect_nest(uint32_t index, uint32_t begin, uint32_t end)
{
    cr_assert_lt(index, record.count);
    cr_assert_eq(record.insns[index].nest.uop_begin, begin);
    cr_assert_eq(record.insns[index].nest.uop_end, end);
}

Test(record, takes_a_gemms_only_loop_as_the_outer_one)
{
    struct vta_record_kernel kernel = kernel_of(1);
    kernel.loop_count = 1;
    kernel.loops[0] = (struct vta_uop_loop){ 5, 1, 2, 3 };
    nest(&kernel);
    const struct vta_nest_insn *n = &record.insns[1].nest;
    cr_assert_eq(record.insns[1].opcode, VTA_OP_GEMM);
    cr_assert(n->iter_out == 5 && n->dst_factor_out == 1 && n->src_factor_out == 2 &&
              n->wgt_factor_out == 3);
    cr_assert(n->iter_in == 1 && n->dst_factor_in == 0 && n->src_factor_in == 0 &&
              n->wgt_factor_in == 0);
}

Test(record, takes_an_alus_only_loop_as_the_inner_one)
{
    struct vta_record_kernel kernel = kernel_of(1);
    kernel.alu = 1;
    kernel.alu_opcode = VTA_ALU_SHR;
    kernel.use_imm = 1;
    kernel.imm = -8;
    kernel.loop_count = 1;
    kernel.loops[0] = (struct vta_uop_loop){ 5, 1, 2, 3 };
    nest(&kernel);
    const struct vta_nest_insn *n = &record.insns[1].nest;
    cr_assert_eq(record.insns[1].opcode, VTA_OP_ALU);
    cr_assert(n->iter_in == 5 && n->dst_factor_in == 1 && n->src_factor_in == 2);
    cr_assert(n->iter_out == 1 && n->dst_factor_out == 0 && n->src_factor_out == 0);
    cr_assert(n->alu_opcode == VTA_ALU_SHR && n->use_imm == 1 && n->imm == -8);
}

Test(record, takes_two_loops_as_outer_and_inner_and_none_as_one_iteration)
{
    struct vta_record_kernel two = kernel_of(1), none = kernel_of(1);
    two.loop_count = 2;
    two.loops[0] = (struct vta_uop_loop){ 5, 1, 2, 3 };
    two.loops[1] = (struct vta_uop_loop){ 6, 7, 8, 9 };
    nest(&two);
    nest(&none);
    cr_assert(record.insns[1].nest.iter_out == 5 && record.insns[1].nest.iter_in == 6);
    cr_assert_eq(record.insns[1].nest.wgt_factor_in, 9);
    cr_assert(record.insns[3].nest.iter_out == 1 && record.insns[3].nest.iter_in == 1);
}

Test(record, loads_a_kernel_once_while_it_is_cached)
{
    struct vta_record_kernel a = kernel_of(3), b = kernel_of(2);
    nest(&a);
    nest(&b);
    nest(&a);
    cr_assert_eq(record.count, 5);
    expect_uop_load(0, 0, 3, 0);
    expect_nest(1, 0, 3);
    expect_uop_load(2, 3, 5, 3);
    expect_nest(3, 3, 5);
    expect_nest(4, 0, 3);
}

Test(record, gives_pending_pops_to_the_load_of_the_kernel)
{
    struct vta_record_kernel a = kernel_of(1);
    pop(LOAD, COMPUTE);
    nest(&a);
    expect_bits(0, "p---");
    expect_bits(1, "----");
}

Test(record, starts_again_at_entry_0_and_evicts_the_kernels_it_overlaps)
{
    /* The UOP SRAM holds 8192: a fills half, b a quarter, c most of the rest. */
    struct vta_record_kernel a = kernel_of(4096), b = kernel_of(2048), c = kernel_of(2000),
                             d = kernel_of(100);
    nest(&a);
    nest(&b);
    nest(&c);
    nest(&d); /* does not fit after c: evicts a only */
    expect_uop_load(6, 0, 100, 8144);
    nest(&b);
    nest(&c);
    cr_assert_eq(record.count, 10); /* both are still there */
    nest(&a);                       /* loaded again at 100, over b; from the same image */
    expect_uop_load(10, 100, 4196, 0);
    expect_nest(11, 100, 4196);
    nest(&c);
    cr_assert_eq(record.count, 13);
    nest(&b); /* 4196 … 6244, over c */
    expect_uop_load(13, 4196, 6244, 4096);
    nest(&c); /* 6244 … 8244 passes the end: from 0, over d and a */
    expect_uop_load(15, 0, 2000, 6144);
    nest(&b);
    cr_assert_eq(record.count, 18, "b at 4196 is not overlapped");
    cr_assert_eq(record.uop_count, 4096 + 2048 + 2000 + 100, "each kernel is in the image once");
}

Test(record, evicts_a_kernel_that_is_overlapped_by_one_entry)
{
    struct vta_record_kernel a = kernel_of(4000), b = kernel_of(4000), c = kernel_of(4001);
    nest(&a);
    nest(&b);
    nest(&c);
    nest(&b);
    expect_uop_load(6, 4001, 8001, 4000);
}

Test(record, fills_the_uop_sram_to_the_last_entry)
{
    struct vta_record_kernel a = kernel_of(8192), b = kernel_of(1);
    nest(&a);
    expect_nest(1, 0, 8192);
    nest(&b);
    expect_uop_load(2, 0, 1, 8192);
}

Test(record, refuses_a_kernel_larger_than_the_uop_sram_naming_both)
{
    struct vta_record_kernel a = kernel_of(8193);
    cr_assert_eq(vta_record_nest(&record, &a, &error), VTA_ELIMIT);
    cr_assert_not_null(strstr(error.message, "8193"), "%s", error.message);
    cr_assert_not_null(strstr(error.message, "8192"), "%s", error.message);
    cr_assert_eq(record.count, 0);
}

Test(record, forgets_the_cache_at_a_reset)
{
    struct vta_record_kernel a = kernel_of(3), b = kernel_of(2);
    nest(&a);
    nest(&b);
    vta_record_reset(&record);
    nest(&b);
    expect_uop_load(0, 0, 2, 0);
    nest(&a);
    expect_uop_load(2, 2, 5, 2);
}

/* Every step against a cache kept as a plain list, over kernels of many sizes. */
Test(record, caches_as_a_plain_list_would_over_many_kernels)
{
    enum {
        KERNELS = 400,
        STEPS = 20000
    };
    static struct vta_record_kernel kernels[KERNELS];
    static uint32_t begin[KERNELS], end[KERNELS];
    uint32_t used = 0, seed = 12345;
    for (uint32_t i = 0; i < KERNELS; i++)
        kernels[i] = kernel_of(1 + (i * 7919) % 97);
    for (uint32_t step = 0; step < STEPS; step++) {
        seed = seed * 1664525 + 1013904223;
        uint32_t k = (seed >> 8) % KERNELS, count = record.count;
        nest(&kernels[k]);
        cr_assert_eq(record.count - count, begin[k] == end[k] ? 2 : 1, "step %u", step);
        if (begin[k] == end[k]) {
            uint32_t n = kernels[k].uop_count, at = used + n > 8192 ? 0 : used;
            for (uint32_t j = 0; j < KERNELS; j++) {
                if (begin[j] < at + n && end[j] > at)
                    begin[j] = end[j] = 0;
            }
            begin[k] = at;
            end[k] = used = at + n;
        }
        expect_nest(record.count - 1, begin[k], end[k]);
    }
}

/* ---- A whole kernel ------------------------------------------------------------------------ */

/* DRAM bases of the tutorial's blocked matmul, in elements. */
enum {
    DATA = 256,
    WEIGHT = 32,
    RESULT = 66048,
    UOPS = 265216
};

static struct vta_record_kernel tutorial[5]; /* reset, gemm, shift, max, min */

static void make_tutorial_kernels(void)
{
    for (int i = 0; i < 5; i++) {
        tutorial[i] = kernel_of(1);
        tutorial[i].loop_count = 1;
        tutorial[i].loops[0] = (struct vta_uop_loop){ .extent = 16, .dst = 1 };
    }
    tutorial[0].reset = 1;
    tutorial[1].loop_count = 2;
    tutorial[1].loops[0] = (struct vta_uop_loop){ 16, 1, 0, 16 };
    tutorial[1].loops[1] = (struct vta_uop_loop){ 16, 0, 1, 1 };
    static const struct {
        enum vta_alu_opcode op;
        int imm;
    } epilogue[] = { { VTA_ALU_SHR, 8 }, { VTA_ALU_MAX, 0 }, { VTA_ALU_MIN, 127 } };
    for (int i = 0; i < 3; i++) {
        struct vta_record_kernel *kernel = &tutorial[2 + i];
        kernel->alu = kernel->use_imm = 1;
        kernel->alu_opcode = epilogue[i].op;
        kernel->imm = epilogue[i].imm;
        kernel->loops[0].src = 1;
    }
}

/* The calls that TVM's generated code makes, in its order. */
static void record_tutorial(void)
{
    make_tutorial_kernels();
    push(STORE, COMPUTE);
    for (uint32_t o = 0; o < 4; o++) {
        pop(STORE, COMPUTE);
        nest(&tutorial[0]);
        push(COMPUTE, LOAD);
        for (uint32_t k = 0; k < 4; k++) {
            pop(COMPUTE, LOAD);
            load(VTA_MEM_INP, DATA + 16 * k, 1, 16, 16);
            load(VTA_MEM_WGT, WEIGHT + 1024 * o + 16 * k, 16, 16, 64);
            push(LOAD, COMPUTE);
            pop(LOAD, COMPUTE);
            nest(&tutorial[1]);
            push(COMPUTE, LOAD);
        }
        pop(COMPUTE, LOAD);
        for (int i = 0; i < 3; i++)
            nest(&tutorial[2 + i]);
        push(COMPUTE, STORE);
        pop(COMPUTE, STORE);
        for (uint32_t i = 0; i < 16; i++)
            store(i, RESULT + 16 * o + i);
        push(STORE, COMPUTE);
    }
    cr_assert_eq(vta_record_synchronise(&record, &error), 0);
    pop(STORE, COMPUTE);
}

Test(record, records_the_tutorials_matmul_in_142_instructions)
{
    record_tutorial();
    cr_assert_eq(record.count, 142);
    cr_assert_eq(record.uop_count, 5);
    expect_noop(0, VTA_OP_STORE, 0, "--P-");
    expect_bits(1, "-n--");
    expect_uop_load(1, 0, 1, 0);
    expect_bits(2, "--P-");
    expect_bits(3, "-n--");
    expect_bits(4, "---N");
    expect_bits(5, "p---");
    expect_bits(6, "--P-");
    expect_bits(21, "---N");
    expect_bits(22, "p---");
    expect_bits(37, "--P-");
    expect_bits(38, "-nP-");
    expect_noop(39, VTA_OP_LOAD, VTA_MEM_INP, "-n--");
    expect_bits(42, "p-P-");
    expect_noop(137, VTA_OP_STORE, 0, "--P-");
    expect_noop(138, VTA_OP_LOAD, VTA_MEM_INP, "-n--");
    expect_noop(139, VTA_OP_LOAD, VTA_MEM_INP, "---N");
    expect_noop(140, VTA_OP_LOAD, VTA_MEM_UOP, "pn--");
    cr_assert_eq(record.insns[141].opcode, VTA_OP_FINISH);
    cr_assert(record.pending_pop_next[COMPUTE], "the next kernel pops the token that is left");
}

Test(record, records_tvms_own_stream_bit_for_bit)
{
    const char *shared = getenv("VTA_SHARED"), *root = getenv("VTA_SOURCE_ROOT");
    char path[1024];
    snprintf(path, sizeof path, "%s%s/golden/tutorial-matrix_multiply_opt-1x16/insn.bin",
             shared != NULL ? shared
             : root != NULL ? root
                            : ".",
             shared != NULL ? "" : "/../shared");
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "SKIPPED: no %s (set VTA_SHARED)\n", path);
        cr_skip_test("no %s: set VTA_SHARED to compare with the stream that TVM compiled", path);
    }
    static uint8_t golden[142 * VTA_INSN_BYTES + 1];
    cr_assert_eq(fread(golden, 1, sizeof golden, file), 142 * VTA_INSN_BYTES);
    fclose(file);

    record_tutorial();
    for (uint32_t i = 0; i < record.count; i++) {
        struct vta_insn insn = record.insns[i];
        if (record.bases[i] == VTA_BASE_UOPS)
            insn.mem.dram_base += UOPS;
        /* Through decode and encode: TVM leaves the bits between and after fields as they were. */
        struct vta_insn tvm;
        uint8_t have[VTA_INSN_BYTES], want[VTA_INSN_BYTES];
        vta_insn_decode(&tvm, &record.layout, golden + (size_t)i * VTA_INSN_BYTES);
        cr_assert_eq(vta_insn_encode(&tvm, &record.layout, want, &error), 0);
        cr_assert_eq(vta_insn_encode(&insn, &record.layout, have, &error), 0);
        cr_assert_arr_eq(have, want, VTA_INSN_BYTES, "insn %u differs", i);
    }
}
