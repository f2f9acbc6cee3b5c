/* test_hazard.c: what core/hazard finds in small programs, and in which words. That it finds all
 * there is and nothing else is for tests/generated/test_races.c.
 */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include <vta/build.h>

#include "core/hazard.h"
#include "core/tokens.h"

#include "kit.h"

/* A program of kit's with what was found in it. */
struct found {
    struct vta_program *program;
    struct vta_hazards *hazards;
};

static struct found find_from(const struct kit *kit, struct vta_tokens before, bool strict_board,
                              uint32_t list_at_most)
{
    const struct vta_verify_options verify = { .before = before };
    const struct vta_hazard_options options = { .strict_board = strict_board,
                                                .list_at_most = list_at_most };
    struct vta_error error = { 0 };
    struct found found = { .program = kit_program(kit) };
    cr_assert_eq(vta_verify(found.program, &verify, &error), 0, "%s", error.message);
    cr_assert_eq(vta_hazards_find(&found.hazards, found.program, &options, &error), 0, "%s",
                 error.message);
    cr_assert(found.hazards->complete);
    return found;
}

static struct found find(const struct kit *kit)
{
    return find_from(kit, (struct vta_tokens){ 0 }, false, 0);
}

static struct found find_strictly(const struct kit *kit)
{
    return find_from(kit, (struct vta_tokens){ 0 }, true, 0);
}

static void release(struct found *found)
{
    vta_hazards_free(found->hazards);
    vta_program_free(found->program);
}

/* Expects one finding of a kind and nothing else. */
static const struct vta_hazard *only(const struct found *found, enum vta_hazard_kind kind)
{
    char text[VTA_HAZARD_TEXT] = "nothing";
    if (found->hazards->count != 0)
        vta_hazard_print(found->program, &found->hazards->items[found->hazards->count - 1], text,
                         sizeof(text));
    cr_assert_eq(found->hazards->count, 1, "%u findings, the last: %s", found->hazards->count,
                 text);
    cr_assert_eq(found->hazards->items[0].kind, kind, "%s", text);
    return &found->hazards->items[0];
}

static void expect_nothing(const struct kit *kit, bool strict_board)
{
    struct found found = find_from(kit, (struct vta_tokens){ 0 }, strict_board, 0);
    char text[VTA_HAZARD_TEXT] = "";
    if (found.hazards->count != 0)
        vta_hazard_print(found.program, &found.hazards->items[0], text, sizeof(text));
    cr_assert_eq(found.hazards->count, 0, "%s", text);
    release(&found);
}

/* Instructions of `multiply` that tests change. */
enum {
    UOP,
    RESET,
    INP,
    WGT,
    GEMM,
    STORE
};

/* One tile: INP 0 times WGT 0 into ACC 0, stored; with every token that it needs. */
static void multiply(struct kit *kit)
{
    kit_init(kit);
    kit_uop(kit, 0, 0, 0, 0);
    kit_gemm(kit)->nest.reset = 1;
    kit_move(kit, KIT_INP, 0, 0, 1);
    kit_move(kit, KIT_WGT, 0, 0, 1)->push_next = 1;
    struct vta_insn *gemm = kit_gemm(kit);
    gemm->pop_prev = gemm->push_next = 1;
    struct vta_insn *store = kit_move(kit, KIT_OUT, 0, 0, 1);
    store->pop_prev = 1;
    kit_finish(kit);
}

/* ---- Races --------------------------------------------------------------------------------- */

Test(hazard, finds_nothing_where_tokens_order_all)
{
    struct kit kit;
    multiply(&kit);
    expect_nothing(&kit, false);
    expect_nothing(&kit, true);
}

Test(hazard, finds_a_gemm_that_does_not_wait_for_its_loads)
{
    struct kit kit;
    multiply(&kit);
    kit.insns[WGT].push_next = kit.insns[GEMM].pop_prev = 0;
    struct found found = find(&kit);
    cr_assert_eq(found.hazards->found[VTA_HAZARD_RACE], 2);
    cr_assert_eq(found.hazards->count, 2);
    const struct vta_hazard *inp = &found.hazards->items[0], *wgt = &found.hazards->items[1];
    cr_assert(inp->first == INP && inp->second == GEMM && inp->memory == VTA_MEM_INP);
    cr_assert(wgt->first == WGT && wgt->second == GEMM && wgt->memory == VTA_MEM_WGT);
    cr_assert(inp->first_writes && !inp->second_writes);
    cr_assert(inp->extent.begin == 0 && inp->extent.end == 1 && inp->extent.count == 1);
    release(&found);
}

Test(hazard, does_not_take_a_token_from_before_the_run_for_an_order)
{
    struct kit kit;
    multiply(&kit);
    kit.insns[WGT].push_next = 0;
    struct found found = find_from(&kit, (struct vta_tokens){ .load_to_compute = 1 }, false, 0);
    cr_assert_eq(found.hazards->found[VTA_HAZARD_RACE], 2);
    release(&found);
}

Test(hazard, matches_the_kth_pop_with_the_kth_push)
{
    struct kit kit;
    multiply(&kit);
    kit.insns[INP].push_next = 1; /* the GEMM pops this one, so the weights are not waited for */
    struct found found = find(&kit);
    const struct vta_hazard *hazard = only(&found, VTA_HAZARD_RACE);
    cr_assert(hazard->first == WGT && hazard->second == GEMM);
    release(&found);
}

Test(hazard, finds_a_store_that_does_not_wait_for_its_result)
{
    struct kit kit;
    multiply(&kit);
    kit.insns[GEMM].push_next = kit.insns[STORE].pop_prev = 0;
    struct found found = find(&kit);
    /* The reset and the GEMM both write OUT 0. */
    cr_assert_eq(found.hazards->found[VTA_HAZARD_RACE], 2);
    cr_assert_eq(found.hazards->items[0].first, RESET);
    cr_assert_eq(found.hazards->items[1].first, GEMM);
    cr_assert_eq(found.hazards->items[1].memory, VTA_MEM_OUT);
    release(&found);
}

Test(hazard, finds_a_load_that_overwrites_what_a_gemm_may_still_read)
{
    struct kit kit;
    kit_init(&kit);
    kit_uop(&kit, 0, 0, 0, 0);
    kit_gemm(&kit)->nest.reset = 1;
    kit_move(&kit, KIT_INP, 0, 0, 1);
    kit_move(&kit, KIT_WGT, 0, 0, 1)->push_next = 1;
    kit_gemm(&kit)->pop_prev = 1;
    kit_move(&kit, KIT_INP, 1, 0, 1); /* insn 5: no token from insn 4 */
    kit_finish(&kit);
    struct found found = find(&kit);
    const struct vta_hazard *hazard = only(&found, VTA_HAZARD_RACE);
    cr_assert(hazard->first == 4 && hazard->second == 5 && !hazard->first_writes &&
              hazard->second_writes);
    release(&found);
}

Test(hazard, does_not_mind_other_entries_of_the_same_memory)
{
    struct kit kit;
    multiply(&kit);
    kit.insn_count = STORE + 1;
    kit_move(&kit, KIT_INP, 1, 1, 8);
    kit_move(&kit, KIT_WGT, 1, 1, 8);
    kit_finish(&kit);
    expect_nothing(&kit, false);
}

/* A store into a parameter from which a load reads afterwards, with no token between them. */
static void store_then_load(struct kit *kit, uint32_t offset, uint32_t count)
{
    multiply(kit);
    kit->insn_count = STORE + 1;
    kit->params[KIT_OUT].access = VTA_ACCESS_READ_WRITE;
    kit_move(kit, KIT_INP, offset, 8, count);
    kit->relocs[kit->reloc_count - 1].param = KIT_OUT;
    kit_finish(kit);
}

Test(hazard, finds_a_load_of_bytes_that_a_store_may_still_write)
{
    struct kit kit;
    store_then_load(&kit, 0, 4);
    struct found found = find(&kit);
    const struct vta_hazard *hazard = only(&found, VTA_HAZARD_RACE);
    cr_assert(hazard->first == STORE && hazard->second == STORE + 1);
    cr_assert(hazard->first_writes && !hazard->second_writes);
    cr_assert_eq(hazard->memory, VTA_HAZARD_DRAM);
    cr_assert_eq(hazard->base, KIT_OUT);
    cr_assert(hazard->extent.begin == 0 && hazard->extent.end == 16);
    release(&found);
    store_then_load(&kit, 1, 4);
    expect_nothing(&kit, false);
}

Test(hazard, sees_the_gaps_between_rows_in_dram)
{
    struct kit kit;
    store_then_load(&kit, 0, 1);
    kit.insns[STORE].mem.y_size = 4; /* elements 0, 2, 4 and 6 */
    kit.insns[STORE].mem.x_stride = 2;
    kit.insns[STORE + 1].mem.y_size = 3;
    kit.insns[STORE + 1].mem.x_stride = 2;
    kit.relocs[kit.reloc_count - 1].offset = 1; /* elements 1, 3 and 5 */
    struct found found = find(&kit);
    cr_assert_eq(found.hazards->found[VTA_HAZARD_RACE], 0);
    release(&found);
    kit.relocs[kit.reloc_count - 1].offset = 2; /* elements 2, 4 and 6 */
    found = find(&kit);
    cr_assert_eq(found.hazards->found[VTA_HAZARD_RACE], 1);
    cr_assert(found.hazards->items[0].extent.begin == 32 &&
              found.hazards->items[0].extent.end == 112 &&
              found.hazards->items[0].extent.count == 48);
    release(&found);
}

Test(hazard, follows_tokens_through_compute_from_store_to_load)
{
    struct kit kit;
    store_then_load(&kit, 0, 4);
    kit.insns[STORE].push_prev = 1;
    struct vta_insn load = kit.insns[STORE + 1];
    kit.insn_count = STORE + 1;
    kit_add(&kit, (struct vta_insn){ .opcode = VTA_OP_LOAD, .pop_next = 1, .push_prev = 1 });
    load.pop_next = 1;
    kit_add(&kit, load);
    kit.relocs[kit.reloc_count - 1].insn = kit.insn_count - 1;
    kit_finish(&kit);
    expect_nothing(&kit, false);
}

Test(hazard, lists_as_many_as_wanted_and_counts_all)
{
    struct kit kit;
    multiply(&kit);
    kit.insns[WGT].push_next = kit.insns[GEMM].pop_prev = 0;
    struct found found = find_from(&kit, (struct vta_tokens){ 0 }, false, 1);
    struct vta_error error = { 0 };
    cr_assert_eq(found.hazards->count, 1);
    cr_assert_eq(found.hazards->found[VTA_HAZARD_RACE], 2);
    cr_assert_eq(vta_hazards_count(found.hazards), 2);
    cr_assert_eq(vta_hazards_error(found.program, found.hazards, &error), VTA_EHAZARD);
    cr_assert_not_null(strstr(error.message, "and 1 more"), "%s", error.message);
    release(&found);
}

/* ---- Unwritten entries --------------------------------------------------------------------- */

Test(hazard, warns_of_entries_that_nothing_has_written)
{
    struct kit kit;
    multiply(&kit);
    kit.insns[RESET].nest.uop_end = 0; /* no reset */
    struct found found = find(&kit);
    const struct vta_hazard *hazard = only(&found, VTA_HAZARD_UNWRITTEN);
    struct vta_error error = { 0 };
    cr_assert(hazard->first == GEMM && hazard->second == VTA_HAZARD_NO_INSN);
    cr_assert_eq(hazard->memory, VTA_MEM_ACC);
    cr_assert_eq(vta_hazards_warnings(found.hazards), 1);
    cr_assert_eq(vta_hazards_count(found.hazards), 0);
    cr_assert_eq(vta_hazards_error(found.program, found.hazards, &error), 0);
    release(&found);
}

Test(hazard, names_each_unwritten_entry_once)
{
    struct kit kit;
    kit_init(&kit);
    kit_uop(&kit, 0, 5, 5, 0);
    kit_alu(&kit, VTA_ALU_ADD, 1);
    kit_alu(&kit, VTA_ALU_ADD, 1);
    kit_finish(&kit);
    struct found found = find(&kit);
    cr_assert_eq(only(&found, VTA_HAZARD_UNWRITTEN)->extent.begin, 5);
    release(&found);
}

Test(hazard, keeps_what_a_program_needs_and_what_it_leaves)
{
    struct kit kit;
    struct vta_extent needs = { 0 }, writes = { 0 };
    multiply(&kit);
    kit.insns[RESET].nest.uop_end = 0;
    struct found found = find(&kit);
    const struct vta_run all = { 0, kit.hw.depth[VTA_MEM_ACC] };
    vta_marks_find(&found.hazards->needs, VTA_MEM_ACC, all, false, &needs);
    vta_marks_find(&found.hazards->writes, VTA_MEM_ACC, all, false, &writes);
    cr_assert(needs.count == 1 && needs.begin == 0);
    cr_assert(writes.count == 1 && writes.begin == 0);
    vta_marks_find(&found.hazards->needs, VTA_MEM_INP,
                   (struct vta_run){ 0, kit.hw.depth[VTA_MEM_INP] }, false, &needs);
    cr_assert_eq(needs.count, 1);
    release(&found);
}

/* ---- Differences of the board -------------------------------------------------------------- */

/* One ALU instruction on an accumulator that was reset. */
static void with_alu(struct kit *kit, uint32_t alu_opcode, int32_t imm)
{
    kit_init(kit);
    kit_uop(kit, 0, 0, 0, 0);
    kit_gemm(kit)->nest.reset = 1;
    kit_alu(kit, alu_opcode, imm);
    kit_finish(kit);
}

Test(hazard, tells_what_a_board_does_otherwise_only_when_asked)
{
    struct kit kit;
    with_alu(&kit, VTA_ALU_MUL, 3);
    expect_nothing(&kit, false);
    struct found found = find_strictly(&kit);
    cr_assert_eq(only(&found, VTA_HAZARD_MUL)->first, 2);
    release(&found);
    kit.insns[2].nest.iter_out = 0; /* it multiplies nothing */
    expect_nothing(&kit, true);
}

Test(hazard, takes_a_shift_of_five_signed_bits_for_what_a_board_has)
{
    static const int32_t good[] = { -16, -1, 0, 8, 15 }, bad[] = { -17, 16, 31, 32, 1000 };
    for (size_t i = 0; i < 5; i++) {
        struct kit kit;
        with_alu(&kit, VTA_ALU_SHR, good[i]);
        expect_nothing(&kit, true);
        with_alu(&kit, VTA_ALU_SHR, bad[i]);
        struct found found = find_strictly(&kit);
        only(&found, VTA_HAZARD_SHIFT);
        release(&found);
        with_alu(&kit, VTA_ALU_ADD, bad[i]);
        expect_nothing(&kit, true);
    }
}

Test(hazard, tells_of_padding_that_a_board_does_not_make)
{
    struct kit kit;
    multiply(&kit);
    kit.insns[INP].mem.x_pad_after = 1;
    expect_nothing(&kit, true);
    kit.insns[WGT].mem.x_pad_after = 1;
    struct found found = find_strictly(&kit);
    cr_assert_eq(only(&found, VTA_HAZARD_PADDING)->first, WGT);
    release(&found);
}

/* ACC 0 loaded and stored; `alu` in between. */
static void load_and_store(struct kit *kit, uint32_t memory, bool alu)
{
    kit_init(kit);
    kit_uop(kit, 0, 0, 0, 0);
    kit_move(kit, KIT_ACC, 0, 0, 1)->mem.memory = memory;
    if (alu)
        kit_alu(kit, VTA_ALU_SHR, 0);
    kit->insns[kit->insn_count - 1].push_next = 1;
    kit_move(kit, KIT_OUT, 0, 0, 1)->pop_prev = 1;
    kit_finish(kit);
}

Test(hazard, tells_of_an_accumulator_that_is_stored_as_it_was_loaded)
{
    struct kit kit;
    load_and_store(&kit, VTA_MEM_ACC, true);
    expect_nothing(&kit, true);
    load_and_store(&kit, VTA_MEM_ACC, false);
    expect_nothing(&kit, false);
    struct found found = find_strictly(&kit);
    cr_assert_eq(only(&found, VTA_HAZARD_STALE)->first, 2);
    release(&found);
}

Test(hazard, tells_of_loads_of_8_bit_numbers_into_acc)
{
    struct kit kit;
    load_and_store(&kit, VTA_MEM_ACC_8BIT, true);
    struct found found = find_strictly(&kit);
    cr_assert_eq(only(&found, VTA_HAZARD_ACC_8BIT)->first, 1);
    release(&found);
}

/* A program of many no-ops: `loads` of load, the first of which waits for a token that compute
 * pushes behind them all. */
static struct vta_program *many_loads(struct kit *kit, uint32_t loads)
{
    struct vta_insn insn = { .opcode = VTA_OP_LOAD, .mem.memory = VTA_MEM_INP };
    uint8_t *bytes = calloc(loads + 2, VTA_INSN_BYTES);
    struct vta_kernel kernel = { .name = (char *)"many", .insn_count = loads + 2, .insns = bytes };
    const struct vta_verify_options verify = { 0 };
    struct vta_program *program = NULL;
    struct vta_error error = { 0 };
    kit_init(kit);
    for (uint32_t i = 0; i < loads; i++) {
        insn.pop_next = i == 0;
        vta_insn_encode(&insn, &kit->layout, bytes + (size_t)i * VTA_INSN_BYTES, NULL);
    }
    insn = (struct vta_insn){ .opcode = VTA_OP_LOAD, .push_prev = 1 };
    vta_insn_encode(&insn, &kit->layout, bytes + (size_t)loads * VTA_INSN_BYTES, NULL);
    insn = (struct vta_insn){ .opcode = VTA_OP_FINISH };
    vta_insn_encode(&insn, &kit->layout, bytes + (size_t)(loads + 1) * VTA_INSN_BYTES, NULL);
    cr_assert_eq(vta_program_from_kernel(&program, &kernel, &kit->hw, &error), 0, "%s",
                 error.message);
    cr_assert_eq(vta_verify(program, &verify, &error), 0, "%s", error.message);
    free(bytes);
    return program;
}

Test(hazard, tells_of_a_command_queue_that_fills_up_before_its_unit_may_go_on)
{
    static const struct {
        uint32_t loads, found;
    } cases[] = { { 513, 0 }, { 514, 1 } }; /* one is in the unit, 512 in its queue */
    for (size_t i = 0; i < 2; i++) {
        struct kit kit;
        struct vta_hazards *hazards;
        struct vta_program *program = many_loads(&kit, cases[i].loads);
        const struct vta_hazard_options options = { .strict_board = true };
        cr_assert_eq(vta_hazards_find(&hazards, program, &options, NULL), 0);
        cr_assert_eq(hazards->found[VTA_HAZARD_QUEUE], cases[i].found);
        if (cases[i].found != 0) {
            char text[VTA_HAZARD_TEXT];
            cr_assert(hazards->items[0].first == 0 && hazards->items[0].second == 513);
            vta_hazard_print(program, &hazards->items[0], text, sizeof(text));
            cr_assert_str_eq(text,
                             "board-queue: insn 0 waits for ever: 512 instructions wait for load, "
                             "so insn 513 and all behind it reach no unit\n"
                             "  insn 0  NOP    pop:compute  (load)\n"
                             "  insn 513  NOP     (load)");
        }
        vta_hazards_free(hazards);
        vta_program_free(program);
    }
}

/* Without data: `pushes` tokens from compute to load, which nobody takes. */
static struct vta_program *many_pushes(uint32_t pushes)
{
    static uint8_t bytes[(VTA_BOARD_TOKENS + 3) * VTA_INSN_BYTES];
    struct vta_insn insn = { .opcode = VTA_OP_STORE, .push_prev = 1, .mem.memory = VTA_MEM_OUT };
    struct kit kit;
    struct vta_kernel kernel = { .name = (char *)"many", .insns = bytes };
    const struct vta_verify_options verify = { 0 };
    struct vta_program *program = NULL;
    struct vta_error error = { 0 };
    kit_init(&kit);
    vta_insn_encode(&insn, &kit.layout, bytes + VTA_INSN_BYTES * kernel.insn_count++, NULL);
    insn = (struct vta_insn){ .opcode = VTA_OP_LOAD, .push_prev = 1 };
    for (uint32_t i = 0; i < pushes; i++)
        vta_insn_encode(&insn, &kit.layout, bytes + VTA_INSN_BYTES * kernel.insn_count++, NULL);
    insn = (struct vta_insn){ .opcode = VTA_OP_FINISH, .pop_next = 1 };
    vta_insn_encode(&insn, &kit.layout, bytes + VTA_INSN_BYTES * kernel.insn_count++, NULL);
    cr_assert_eq(vta_program_from_kernel(&program, &kernel, &kit.hw, &error), 0, "%s",
                 error.message);
    cr_assert_eq(vta_verify(program, &verify, &error), 0, "%s", error.message);
    return program;
}

Test(hazard, tells_of_a_token_queue_that_fills_up_where_nobody_takes_from_it)
{
    for (uint32_t more = 0; more <= 1; more++) {
        struct vta_hazards *hazards;
        struct vta_program *program = many_pushes(VTA_BOARD_TOKENS + more);
        const struct vta_hazard_options options = { .strict_board = true };
        cr_assert_eq(vta_hazards_find(&hazards, program, &options, NULL), 0);
        cr_assert_eq(hazards->found[VTA_HAZARD_QUEUE], more);
        if (more != 0) {
            char text[VTA_HAZARD_TEXT];
            vta_hazard_print(program, &hazards->items[0], text, sizeof(text));
            cr_assert_str_eq(text,
                             "board-queue: insn 1025 waits for ever: a token queue holds 1024 "
                             "tokens and is full\n"
                             "  insn 1025  NOP    push:load  (compute)");
        }
        vta_hazards_free(hazards);
        vta_program_free(program);
    }
}

/* ---- Words --------------------------------------------------------------------------------- */

Test(hazard, names_both_instructions_and_the_token_that_is_missing)
{
    struct kit kit;
    char text[VTA_HAZARD_TEXT];
    multiply(&kit);
    kit.insns[INP].push_next = 1;
    struct found found = find(&kit);
    vta_hazard_print(found.program, only(&found, VTA_HAZARD_RACE), text, sizeof(text));
    cr_assert_str_eq(text,
                     "race: WGT 0: insn 3 LOAD writes what insn 4 GEMM reads, and no token orders "
                     "them\n"
                     "  insn 3  LOAD   push:compute  wgt[0,1)  1×1  dram+0\n"
                     "  insn 4  GEMM   pop:load push:store  uop[0,1) 1×1  acc+0,0 inp+0,0 wgt+0,0\n"
                     "  ordered by: a push load→compute at or after insn 3, matched by a pop at or "
                     "before insn 4");
    release(&found);
}

Test(hazard, counts_the_entries_that_are_touched_where_there_are_gaps)
{
    struct kit kit;
    char text[VTA_HAZARD_TEXT];
    multiply(&kit);
    kit.insns[INP].mem.x_size = 8;
    kit.insns[INP].push_next = 1;
    kit.insns[WGT].push_next = 0;
    kit.insns[GEMM].nest.iter_out = 3;
    kit.insns[GEMM].nest.wgt_factor_out = 2;
    kit.insns[WGT].mem.x_size = 8; /* of which 0, 2 and 4 are read */
    struct found found = find(&kit);
    vta_hazard_print(found.program, only(&found, VTA_HAZARD_RACE), text, sizeof(text));
    cr_assert_not_null(strstr(text, "race: 3 entries of WGT 0 to 4: insn 3 LOAD writes what insn 4 "
                                    "GEMM reads"),
                       "%s", text);
    release(&found);
}

Test(hazard, names_both_tokens_between_load_and_store)
{
    struct kit kit;
    char text[VTA_HAZARD_TEXT];
    store_then_load(&kit, 0, 4);
    struct found found = find(&kit);
    vta_hazard_print(found.program, only(&found, VTA_HAZARD_RACE), text, sizeof(text));
    cr_assert_not_null(strstr(text, "parameter 3, bytes 0 to 15: insn 5 STORE writes what insn 6 "
                                    "LOAD reads"),
                       "%s", text);
    cr_assert_not_null(strstr(text, "a push store→compute at or after insn 5, matched by a pop of "
                                    "compute at or before a push compute→load, matched by a pop "
                                    "at or before insn 6"),
                       "%s", text);
    release(&found);
}

Test(hazard, gives_every_kind_a_name_and_a_text)
{
    for (int kind = 0; kind < VTA_HAZARD_KINDS; kind++) {
        cr_assert(strlen(vta_hazard_name((enum vta_hazard_kind)kind)) > 3);
        cr_assert(strlen(vta_hazard_text((enum vta_hazard_kind)kind)) > 10);
    }
    cr_assert_str_eq(vta_hazard_name(VTA_HAZARD_QUEUE), "board-queue");
}

/* ---- Bounds -------------------------------------------------------------------------------- */

/* A program of many instructions: raw bytes, and one micro-op 0, 0, 0. */
struct draft {
    struct kit kit; /* configuration, layout, parameters */
    uint8_t *bytes;
    struct vta_reloc *relocs;
    uint32_t count, reloc_count;
};

static void draft_open(struct draft *draft, uint32_t most)
{
    memset(draft, 0, sizeof(*draft));
    kit_init(&draft->kit);
    draft->bytes = calloc(most, VTA_INSN_BYTES);
    draft->relocs = calloc(most, sizeof(*draft->relocs));
}

static void draft_add(struct draft *draft, struct vta_insn insn, uint32_t param)
{
    if (insn.opcode == VTA_OP_LOAD && insn.mem.x_size != 0)
        draft->relocs[draft->reloc_count++] =
            (struct vta_reloc){ .insn = draft->count, .param = param };
    cr_assert_eq(vta_insn_encode(&insn, &draft->kit.layout,
                                 draft->bytes + (size_t)draft->count++ * VTA_INSN_BYTES, NULL),
                 0);
}

static struct vta_insn load_of(uint32_t memory)
{
    return (struct vta_insn){ .opcode = VTA_OP_LOAD,
                              .mem = { .memory = memory, .y_size = 1, .x_size = 1 } };
}

/* Verified; releases what the draft holds. */
static struct vta_program *draft_close(struct draft *draft)
{
    const struct vta_verify_options verify = { 0 };
    const struct vta_kernel kernel = { .name = (char *)"draft",
                                       .param_count = draft->kit.param_count,
                                       .params = draft->kit.params,
                                       .insn_count = draft->count,
                                       .insns = draft->bytes,
                                       .uop_count = 1,
                                       .uops = draft->kit.uops,
                                       .reloc_count = draft->reloc_count,
                                       .relocs = draft->relocs };
    struct vta_program *program = NULL;
    struct vta_error error = { 0 };
    cr_assert_eq(vta_program_from_kernel(&program, &kernel, &draft->kit.hw, &error), 0, "%s",
                 error.message);
    cr_assert_eq(vta_verify(program, &verify, &error), 0, "%s", error.message);
    free(draft->bytes);
    free(draft->relocs);
    return program;
}

/* `count` loads and as many GEMMs of the same input, with nothing between them. */
static struct vta_program *all_against_all(uint32_t count)
{
    const struct vta_insn gemm = { .opcode = VTA_OP_GEMM,
                                   .nest = { .uop_end = 1, .iter_out = 1, .iter_in = 1 } };
    struct draft draft;
    draft_open(&draft, 2 * count + 2);
    draft_add(&draft, load_of(VTA_MEM_UOP), VTA_PARAM_UOPS);
    for (uint32_t i = 0; i < count; i++) {
        draft_add(&draft, load_of(VTA_MEM_INP), KIT_INP);
        draft_add(&draft, gemm, 0);
    }
    draft_add(&draft, (struct vta_insn){ .opcode = VTA_OP_FINISH }, 0);
    return draft_close(&draft);
}

Test(hazard, counts_every_race_of_many_and_gives_up_at_too_many)
{
    static const struct {
        uint32_t count;
        bool complete;
    } cases[] = { { 500, true }, { 4000, false } };
    for (size_t i = 0; i < 2; i++) {
        struct vta_program *program = all_against_all(cases[i].count);
        const struct vta_hazard_options options = { .list_at_most = 3 };
        struct vta_hazards *hazards;
        const uint64_t all = (uint64_t)cases[i].count * cases[i].count;
        cr_assert_eq(vta_hazards_find(&hazards, program, &options, NULL), 0);
        cr_assert_eq(hazards->complete, cases[i].complete);
        if (cases[i].complete)
            cr_assert_eq(hazards->found[VTA_HAZARD_RACE], all);
        else
            cr_assert(hazards->found[VTA_HAZARD_RACE] >= cases[i].count &&
                      hazards->found[VTA_HAZARD_RACE] < all);
        vta_hazards_free(hazards);
        vta_program_free(program);
    }
}

/* Loads INP 0, which the first GEMM has read and, with `again`, the last one; in between many
 * different footprints, none of which reads it. */
static struct vta_program *many_footprints(uint32_t count, bool again)
{
    const struct vta_insn reader = { .opcode = VTA_OP_GEMM,
                                     .nest = { .uop_end = 1, .iter_out = 1, .iter_in = 1 } };
    struct vta_insn gemm = { .opcode = VTA_OP_GEMM };
    struct draft draft;
    draft_open(&draft, count + 5);
    draft_add(&draft, load_of(VTA_MEM_UOP), VTA_PARAM_UOPS);
    draft_add(&draft, reader, 0);
    gemm.nest = (struct vta_nest_insn){ .reset = 1, .uop_end = 1, .iter_out = 2 };
    gemm.nest.dst_factor_in = 2; /* a run for each iteration */
    for (uint32_t i = 0; i < count; i++) {
        gemm.nest.iter_in = 500 + i % 500;
        gemm.nest.dst_factor_out = 2 * (i / 500);
        draft_add(&draft, gemm, 0);
    }
    if (again)
        draft_add(&draft, reader, 0);
    draft_add(&draft, load_of(VTA_MEM_INP), KIT_INP);
    draft_add(&draft, (struct vta_insn){ .opcode = VTA_OP_FINISH }, 0);
    return draft_close(&draft);
}

Test(hazard, misses_no_race_whose_footprint_was_forgotten)
{
    static const uint32_t counts[] = { 100, 1600 };
    for (size_t i = 0; i < 2; i++) {
        struct vta_program *program = many_footprints(counts[i], false);
        const struct vta_hazard_options options = { 0 };
        struct vta_hazards *hazards;
        cr_assert_eq(vta_hazards_find(&hazards, program, &options, NULL), 0);
        cr_assert_eq(hazards->found[VTA_HAZARD_RACE], 1);
        cr_assert_eq(hazards->items[0].kind, VTA_HAZARD_RACE);
        cr_assert(hazards->items[0].first == 1 && hazards->items[0].second == counts[i] + 2);
        vta_hazards_free(hazards);
        vta_program_free(program);
    }
}

Test(hazard, says_so_where_forgotten_footprints_may_hide_more_races)
{
    for (int i = 0; i < 2; i++) {
        struct vta_program *program = many_footprints(i == 0 ? 100 : 1600, true);
        const struct vta_hazard_options options = { 0 };
        struct vta_hazards *hazards;
        cr_assert_eq(vta_hazards_find(&hazards, program, &options, NULL), 0);
        cr_assert_eq(hazards->complete, i == 0);
        cr_assert_eq(hazards->found[VTA_HAZARD_RACE], i == 0 ? 2 : 1);
        vta_hazards_free(hazards);
        vta_program_free(program);
    }
}

Test(hazard, stops_when_it_is_told_to)
{
    struct vta_program *program = all_against_all(10);
    struct vta_control control = { .stop = VTA_ECANCELLED };
    const struct vta_hazard_options options = { .control = &control };
    struct vta_hazards *hazards;
    struct vta_error error = { 0 };
    cr_assert_eq(vta_hazards_find(&hazards, program, &options, &error), VTA_ECANCELLED);
    cr_assert_not_null(strstr(error.message, "search for hazards"), "%s", error.message);
    vta_program_free(program);
}

/* What was found until then is kept, and that there may be more. */
Test(hazard, ends_incomplete_where_the_budget_is_spent)
{
    struct vta_program *program = all_against_all(10);
    struct vta_control control = { 0 };
    const struct vta_hazard_options options = { .control = &control };
    struct vta_hazards *all, *some;
    struct vta_error error = { 0 };
    vta_control_begin(&control, 0, UINT64_MAX);
    cr_assert_eq(vta_hazards_find(&all, program, &options, &error), 0, "%s", error.message);
    cr_expect(all->complete);
    bool found_some = false;
    for (uint64_t budget = 1; budget < control.steps; budget++) {
        struct vta_control little = { 0 };
        const struct vta_hazard_options bounded = { .control = &little };
        vta_control_begin(&little, 0, budget);
        cr_assert_eq(vta_hazards_find(&some, program, &bounded, &error), 0, "%s", error.message);
        cr_expect_not(some->complete);
        cr_expect_leq(some->found[VTA_HAZARD_RACE], all->found[VTA_HAZARD_RACE]);
        found_some = found_some || some->found[VTA_HAZARD_RACE] != 0;
        vta_hazards_free(some);
    }
    cr_expect(found_some);
    vta_hazards_free(all);
    vta_program_free(program);
}

/* Loads and stores of columns of one matrix, or of two in turn, no two of them the same, except
 * that the last store writes what the last load reads. No token orders any of them. */
static struct vta_program *columns(uint32_t count, uint32_t matrices)
{
    static const uint32_t params[] = { KIT_OUT, KIT_INP };
    struct vta_insn move = { .mem = { .y_size = 2048, .x_size = 1, .x_stride = 2 * count } };
    struct draft draft;
    draft_open(&draft, 2 * count + 2);
    for (uint32_t i = 0; i < matrices; i++) {
        draft.kit.params[params[i]].access = VTA_ACCESS_READ_WRITE;
        draft.kit.params[params[i]].type.shape[0] = (int64_t)2 * count * 2048;
    }
    for (uint32_t i = 0; i < 2 * count; i++) {
        move.opcode = i % 2 == 0 ? VTA_OP_LOAD : VTA_OP_STORE;
        move.mem.memory = i % 2 == 0 ? VTA_MEM_INP : VTA_MEM_OUT;
        draft.relocs[draft.reloc_count++] =
            (struct vta_reloc){ .insn = draft.count,
                                .param = params[i / 2 % matrices],
                                .offset = i == 2 * count - 1 ? i - 1 : i };
        vta_insn_encode(&move, &draft.kit.layout, draft.bytes + draft.count++ * VTA_INSN_BYTES,
                        NULL);
    }
    draft_add(&draft, (struct vta_insn){ .opcode = VTA_OP_STORE, .push_prev = 1 }, 0);
    draft_add(&draft, (struct vta_insn){ .opcode = VTA_OP_FINISH, .pop_next = 1 }, 0);
    return draft_close(&draft);
}

Test(hazard, finds_a_race_once_among_more_rows_than_it_walks_at_a_time)
{
    static const uint32_t counts[] = { 10, 300, 600 }, matrices[] = { 1, 1, 2 };
    for (size_t i = 0; i < 3; i++) {
        struct vta_program *program = columns(counts[i], matrices[i]);
        const struct vta_hazard_options options = { 0 };
        struct vta_hazards *hazards;
        cr_assert_eq(vta_hazards_find(&hazards, program, &options, NULL), 0);
        cr_assert(hazards->complete);
        cr_assert_eq(hazards->found[VTA_HAZARD_RACE], 1);
        cr_assert_eq(hazards->items[0].kind, VTA_HAZARD_RACE);
        cr_assert_eq(hazards->items[0].first, 2 * counts[i] - 2);
        cr_assert_eq(hazards->items[0].second, 2 * counts[i] - 1);
        cr_assert_eq(hazards->items[0].extent.count, 2048 * 16);
        vta_hazards_free(hazards);
        vta_program_free(program);
    }
}

/* `count` loads and as many stores of the same bytes, with nothing between them. */
Test(hazard, says_so_where_too_many_transfers_meet_to_compare_them_all)
{
    const uint32_t count = 2100; /* more than 2^22 pairs */
    struct vta_insn move = { .mem = { .y_size = 1, .x_size = 1 } };
    const struct vta_hazard_options options = { .list_at_most = 1 };
    struct vta_hazards *hazards;
    struct draft draft;
    draft_open(&draft, 2 * count + 2);
    draft.kit.params[KIT_OUT].access = VTA_ACCESS_READ_WRITE;
    for (uint32_t i = 0; i < 2 * count; i++) {
        move.opcode = i < count ? VTA_OP_LOAD : VTA_OP_STORE;
        move.mem.memory = i < count ? VTA_MEM_INP : VTA_MEM_OUT;
        draft.relocs[draft.reloc_count++] =
            (struct vta_reloc){ .insn = draft.count, .param = KIT_OUT };
        vta_insn_encode(&move, &draft.kit.layout, draft.bytes + draft.count++ * VTA_INSN_BYTES,
                        NULL);
    }
    draft_add(&draft, (struct vta_insn){ .opcode = VTA_OP_STORE, .push_prev = 1 }, 0);
    draft_add(&draft, (struct vta_insn){ .opcode = VTA_OP_FINISH, .pop_next = 1 }, 0);
    struct vta_program *program = draft_close(&draft);
    cr_assert_eq(vta_hazards_find(&hazards, program, &options, NULL), 0);
    cr_assert(!hazards->complete);
    cr_assert(hazards->found[VTA_HAZARD_RACE] > 0);
    cr_assert(hazards->found[VTA_HAZARD_RACE] < (uint64_t)count * count);
    vta_hazards_free(hazards);
    vta_program_free(program);
}

Test(hazard, says_so_where_there_are_too_many_rows_to_look_for_races)
{
    struct vta_program *program = columns(5000, 1);
    const struct vta_hazard_options options = { 0 };
    struct vta_hazards *hazards;
    cr_assert_eq(vta_hazards_find(&hazards, program, &options, NULL), 0);
    cr_assert(!hazards->complete);
    cr_assert_eq(hazards->found[VTA_HAZARD_RACE], 0);
    vta_hazards_free(hazards);
    vta_program_free(program);
}
