/* test_watch.c: what a board reports about the programs that run on it, and when. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "core/board.h"

#include "kit.h"

static struct vta_error error;

/* The lines that were reported. */
struct lines {
    char text[8192];
    uint32_t count;
};

static void take_line(void *context, const char *line)
{
    struct lines *lines = context;
    cr_assert_null(strchr(line, '\n'));
    cr_assert(strlen(lines->text) + strlen(line) + 2 < sizeof(lines->text));
    strcat(strcat(lines->text, line), "\n");
    lines->count++;
}

/* A board with one buffer, and in it the micro-op 0, 0, 0. */
struct scene {
    struct vta_board *board;
    struct kit kit;
    struct lines lines;
    uint32_t address;
};

static void scene_open(struct scene *scene, enum vta_hazard_policy policy)
{
    struct vta_board_options options;
    vta_handle buffer;
    memset(scene, 0, sizeof(*scene));
    kit_init(&scene->kit);
    vta_board_options_default(&options);
    options.hazards.policy = policy;
    options.hazards.report = take_line;
    options.hazards.context = &scene->lines;
    cr_assert_eq(vta_board_open(&scene->board, &options, &error), 0, "%s", error.message);
    struct vta_dram *dram = vta_board_dram(scene->board, &error);
    cr_assert_eq(vta_dram_alloc(dram, 65536, &buffer, &error), 0, "%s", error.message);
    cr_assert_eq(vta_dram_lookup(dram, buffer, NULL, &scene->address, &error), 0);
}

static void scene_close(struct scene *scene)
{
    vta_board_close(scene->board);
}

/* A LOAD of one element from the buffer into entry 0. */
static struct vta_insn *add_load(struct scene *scene, uint32_t memory)
{
    struct vta_insn insn = { .opcode = VTA_OP_LOAD };
    insn.mem.memory = memory;
    insn.mem.dram_base = scene->address / scene->kit.hw.dram_elem_bytes[memory];
    insn.mem.y_size = insn.mem.x_size = 1;
    return kit_add(&scene->kit, insn);
}

/* INP 0 times WGT 0 into ACC 0; `ordered`: after its loads. */
static void multiply(struct scene *scene, bool ordered)
{
    add_load(scene, VTA_MEM_UOP);
    kit_gemm(&scene->kit)->nest.reset = 1;
    add_load(scene, VTA_MEM_INP);
    add_load(scene, VTA_MEM_WGT)->push_next = ordered;
    kit_gemm(&scene->kit)->pop_prev = ordered;
    kit_finish(&scene->kit);
}

static int run(struct scene *scene)
{
    uint8_t bytes[KIT_MAX * VTA_INSN_BYTES];
    for (uint32_t i = 0; i < scene->kit.insn_count; i++)
        cr_assert_eq(vta_insn_encode(&scene->kit.insns[i], &scene->kit.layout,
                                     bytes + i * VTA_INSN_BYTES, &error),
                     0, "%s", error.message);
    return vta_board_run_stream(scene->board, bytes, scene->kit.insn_count, NULL, NULL, &error);
}

Test(watch, says_nothing_of_a_stream_without_hazards)
{
    struct scene scene;
    scene_open(&scene, VTA_HAZARDS_WARN);
    multiply(&scene, true);
    cr_assert_eq(run(&scene), 0, "%s", error.message);
    cr_assert_eq(scene.lines.count, 0, "%s", scene.lines.text);
    scene_close(&scene);
}

Test(watch, warns_of_each_race_once_and_runs_the_stream)
{
    struct scene scene;
    scene_open(&scene, VTA_HAZARDS_WARN);
    multiply(&scene, false);
    cr_assert_eq(run(&scene), 0, "%s", error.message);
    cr_assert_eq(scene.lines.count, 8, "%s", scene.lines.text);
    cr_assert_not_null(strstr(scene.lines.text, "race: INP 0: insn 2 LOAD writes what insn 4 GEMM "
                                                "reads, and no token orders them\n"),
                       "%s", scene.lines.text);
    cr_assert_not_null(strstr(scene.lines.text, "race: WGT 0"), "%s", scene.lines.text);
    cr_assert_eq(run(&scene), 0);
    cr_assert_eq(scene.lines.count, 8, "told again: %s", scene.lines.text);
    scene_close(&scene);
}

Test(watch, says_how_many_races_it_does_not_list)
{
    struct scene scene;
    scene_open(&scene, VTA_HAZARDS_WARN);
    add_load(&scene, VTA_MEM_UOP);
    kit_gemm(&scene.kit)->nest.reset = 1;
    add_load(&scene, VTA_MEM_WGT);
    for (int i = 0; i < 3 + VTA_HAZARDS_LISTED; i++)
        add_load(&scene, VTA_MEM_INP);
    kit_gemm(&scene.kit); /* races with each of the loads */
    kit_finish(&scene.kit);
    cr_assert_eq(run(&scene), 0, "%s", error.message);
    cr_assert_not_null(strstr(scene.lines.text, "hazards: 4 more, not listed\n"), "%s",
                       scene.lines.text);
    scene_close(&scene);
}

Test(watch, names_addresses_where_a_stream_has_no_parameters)
{
    struct scene scene;
    char text[64];
    scene_open(&scene, VTA_HAZARDS_WARN);
    const uint32_t inp = scene.address + 4096;
    add_load(&scene, VTA_MEM_UOP);
    kit_gemm(&scene.kit)->nest.reset = 1;
    scene.kit.insns[1].push_next = 1;
    struct vta_insn *store = add_load(&scene, VTA_MEM_OUT);
    store->opcode = VTA_OP_STORE;
    store->pop_prev = 1;
    store->mem.dram_base = inp / 16;
    add_load(&scene, VTA_MEM_INP)->mem.dram_base = inp / 16;
    kit_finish(&scene.kit);
    cr_assert_eq(run(&scene), 0, "%s", error.message);
    snprintf(text, sizeof(text), "race: DRAM 0x%x to 0x%x: insn 2 STORE", inp, inp + 15);
    cr_assert_not_null(strstr(scene.lines.text, text), "%s\nwithout %s", scene.lines.text, text);
    scene_close(&scene);
}

Test(watch, refuses_a_stream_with_a_race_every_time_where_it_shall_fail)
{
    struct scene scene;
    scene_open(&scene, VTA_HAZARDS_FAIL);
    multiply(&scene, false);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(run(&scene), VTA_EHAZARD);
        cr_assert_eq(error.insn, 2);
        cr_assert_not_null(strstr(error.message, "refused: race: INP 0"), "%s", error.message);
        cr_assert_not_null(strstr(error.message, "and 1 more"), "%s", error.message);
    }
    cr_assert_eq(scene.lines.count, 0, "%s", scene.lines.text);
    scene_close(&scene);
}

Test(watch, does_not_look_where_the_policy_is_off)
{
    struct scene scene;
    scene_open(&scene, VTA_HAZARDS_OFF);
    multiply(&scene, false);
    cr_assert_eq(run(&scene), 0, "%s", error.message);
    cr_assert_eq(scene.lines.count, 0, "%s", scene.lines.text);
    scene_close(&scene);
}

Test(watch, warns_once_of_what_nothing_on_this_board_has_written)
{
    struct scene scene;
    for (int policy = VTA_HAZARDS_WARN; policy <= VTA_HAZARDS_FAIL; policy++) {
        scene_open(&scene, (enum vta_hazard_policy)policy);
        add_load(&scene, VTA_MEM_UOP);
        kit_alu(&scene.kit, 2, 1);
        kit_finish(&scene.kit);
        cr_assert_eq(run(&scene), 0, "%s", error.message);
        cr_assert_eq(scene.lines.count, 2, "%s", scene.lines.text);
        cr_assert_not_null(strstr(scene.lines.text, "unwritten: ACC 0: insn 1 ALU"), "%s",
                           scene.lines.text);
        cr_assert_eq(run(&scene), 0);
        cr_assert_eq(scene.lines.count, 2, "told again: %s", scene.lines.text);
        scene_close(&scene);
    }
}

Test(watch, remembers_what_an_earlier_stream_has_written)
{
    struct scene scene;
    scene_open(&scene, VTA_HAZARDS_WARN);
    multiply(&scene, true);
    cr_assert_eq(run(&scene), 0, "%s", error.message);
    scene.kit.insn_count = 0;
    add_load(&scene, VTA_MEM_UOP);
    kit_alu(&scene.kit, 2, 1);
    kit_finish(&scene.kit);
    cr_assert_eq(run(&scene), 0, "%s", error.message);
    cr_assert_eq(scene.lines.count, 0, "%s", scene.lines.text);
    scene_close(&scene);
}

Test(watch, takes_everything_for_written_after_a_program_that_nobody_looked_at)
{
    struct scene scene;
    scene_open(&scene, VTA_HAZARDS_WARN);
    struct kit other;
    kit_init(&other);
    kit_finish(&other);
    struct vta_program *program = kit_program(&other);
    const struct vta_verify_options options = { 0 };
    struct vta_watch watch = {
        .options = { .policy = VTA_HAZARDS_WARN, .report = take_line, .context = &scene.lines }
    };
    cr_assert_eq(vta_verify(program, &options, &error), 0, "%s", error.message);
    vta_watch_after(&watch, program);
    cr_assert(watch.unknown);
    kit_init(&other);
    kit_uop(&other, 0, 0, 0, 0);
    kit_alu(&other, 2, 1);
    kit_finish(&other);
    vta_program_free(program);
    program = kit_program(&other);
    cr_assert_eq(vta_verify(program, &options, &error), 0, "%s", error.message);
    const struct vta_hazard_options looks = { 0 };
    cr_assert_eq(vta_program_find_hazards(program, &looks, &error), 0);
    cr_assert_eq(vta_watch_before(&watch, program, true, &error), 0);
    cr_assert_eq(scene.lines.count, 0, "%s", scene.lines.text);
    vta_watch_reset(&watch);
    cr_assert_eq(vta_watch_before(&watch, program, true, &error), 0);
    cr_assert_eq(scene.lines.count, 2, "%s", scene.lines.text);
    vta_watch_reset(&watch);
    vta_program_free(program);
    scene_close(&scene);
}

Test(watch, says_where_a_search_was_not_complete_and_does_not_fail_for_it)
{
    for (int policy = VTA_HAZARDS_WARN; policy <= VTA_HAZARDS_FAIL; policy++) {
        struct lines lines = { .count = 0 };
        struct kit kit;
        kit_init(&kit);
        kit_finish(&kit);
        struct vta_program *program = kit_program(&kit);
        const struct vta_verify_options options = { 0 };
        const struct vta_hazard_options looks = { 0 };
        struct vta_watch watch = { .options = { .policy = (enum vta_hazard_policy)policy,
                                                .report = take_line,
                                                .context = &lines } };
        cr_assert_eq(vta_verify(program, &options, &error), 0, "%s", error.message);
        cr_assert_eq(vta_program_find_hazards(program, &looks, &error), 0);
        program->hazards->complete = false; /* which by itself takes a million rows */
        cr_assert_eq(vta_watch_before(&watch, program, true, &error), 0);
        cr_assert_str_eq(lines.text, "hazards: not everything was compared, there may be more\n");
        cr_assert_eq(vta_watch_before(&watch, program, false, &error), 0);
        cr_assert_eq(lines.count, 1, "told again: %s", lines.text);
        vta_watch_reset(&watch);
        vta_program_free(program);
    }
}
