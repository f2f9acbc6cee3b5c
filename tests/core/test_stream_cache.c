/* test_stream_cache.c: which streams are decided again, and which are not. */
#include <criterion/criterion.h>

#include <string.h>

#include "core/board.h"
#include "core/plan.h"
#include "core/stream_cache.h"

static struct vta_error error;

#define PLENTY (UINT64_C(1) << 20) /* bytes */

/* A board's DRAM with a buffer of micro-ops at 4096 and one of data behind it. */
struct scene {
    struct vta_hw hw;
    struct vta_layout layout;
    struct vta_dram *dram;
    vta_handle uops, data;
    struct vta_verify_options options;
    struct vta_stream_cache *cache;
    uint8_t bytes[8 * VTA_INSN_BYTES];
    uint32_t count;
};

static void add(struct scene *scene, struct vta_insn insn)
{
    cr_assert_eq(vta_insn_encode(&insn, &scene->layout,
                                 scene->bytes + scene->count++ * VTA_INSN_BYTES, &error),
                 0);
}

static void open_scene(struct scene *scene, uint32_t programs, uint64_t most)
{
    memset(scene, 0, sizeof(*scene));
    vta_hw_default(&scene->hw);
    vta_layout_make(&scene->layout, &scene->hw, NULL);
    cr_assert_eq(vta_dram_open(&scene->dram, 1 << 20, 1 << 19, &error), 0);
    cr_assert_eq(vta_dram_alloc_at(scene->dram, 4096, 4096, &scene->uops, &error), 0);
    cr_assert_eq(vta_dram_alloc_at(scene->dram, 8192, 4096, &scene->data, &error), 0);
    scene->options.reader = vta_dram_reader_fn;
    scene->options.context = scene->dram;
    scene->cache = vta_stream_cache_new(programs, most);
    struct vta_insn load = { .opcode = VTA_OP_LOAD };
    load.mem =
        (struct vta_mem_insn){ .memory = VTA_MEM_UOP, .dram_base = 1024, .y_size = 1, .x_size = 2 };
    add(scene, load);
    load.mem =
        (struct vta_mem_insn){ .memory = VTA_MEM_INP, .dram_base = 512, .y_size = 1, .x_size = 1 };
    add(scene, load);
    add(scene, (struct vta_insn){ .opcode = VTA_OP_FINISH });
}

static void close_scene(struct scene *scene)
{
    vta_stream_cache_free(scene->cache);
    vta_dram_close(scene->dram);
}

static const struct vta_program *get(struct scene *scene)
{
    const struct vta_program *program = NULL;
    int rc = vta_stream_cache_get(scene->cache, &scene->hw, scene->bytes, scene->count,
                                  &scene->options, &program, &error);
    return rc == 0 ? program : NULL;
}

static struct vta_stream_cache_stats stats_of(const struct scene *scene)
{
    struct vta_stream_cache_stats stats;
    vta_stream_cache_stats(scene->cache, &stats);
    return stats;
}

Test(stream_cache, decides_the_same_stream_once)
{
    struct scene scene;
    open_scene(&scene, 4, PLENTY);
    const struct vta_program *first = get(&scene);
    cr_assert_not_null(first, "%s", error.message);
    cr_expect(first->verified);
    cr_expect_eq(get(&scene), first);
    cr_expect_eq(get(&scene), first);
    cr_expect(stats_of(&scene).hits == 2 && stats_of(&scene).misses == 1);
    close_scene(&scene);
}

Test(stream_cache, decides_again_when_micro_ops_in_dram_have_changed)
{
    struct scene scene;
    const uint32_t word = 77;
    open_scene(&scene, 4, PLENTY);
    cr_assert_not_null(get(&scene));
    vta_dram_write(scene.dram, scene.uops, 4, &word, sizeof(word), NULL);
    const struct vta_program *program = get(&scene);
    cr_assert_not_null(program);
    cr_expect_eq(program->uops[1].dst, 77);
    cr_expect_eq(stats_of(&scene).misses, 2u);
    vta_dram_write(scene.dram, scene.data, 0, &word, sizeof(word), NULL);
    get(&scene);
    cr_expect_eq(stats_of(&scene).misses, 2u, "data decides nothing");
    close_scene(&scene);
}

Test(stream_cache, decides_again_for_other_tokens_or_another_configuration)
{
    struct scene scene;
    open_scene(&scene, 4, PLENTY);
    cr_assert_not_null(get(&scene));
    scene.options.before.store_to_compute = 1;
    const struct vta_program *program = get(&scene);
    cr_assert_not_null(program);
    cr_expect_eq(program->after.store_to_compute, 1);
    scene.hw.log_acc_buff--;
    cr_assert_eq(vta_hw_derive(&scene.hw, &error), 0);
    get(&scene);
    cr_expect_eq(stats_of(&scene).hits, 0u);
    close_scene(&scene);
}

static void expect_no_lost_buffers(bool with_epoch)
{
    struct scene scene;
    open_scene(&scene, 4, PLENTY);
    scene.options.epoch = with_epoch ? vta_dram_epoch(scene.dram) : 0;
    cr_assert_not_null(get(&scene));
    cr_assert_not_null(get(&scene));
    cr_expect_eq(stats_of(&scene).hits, 1u);
    cr_assert_eq(vta_dram_free(scene.dram, scene.data, &error), 0);
    scene.options.epoch = with_epoch ? vta_dram_epoch(scene.dram) : 0;
    cr_expect_null(get(&scene));
    cr_expect_eq(error.code, VTA_EDRAM);
    cr_assert_eq(vta_dram_alloc_at(scene.dram, 8192, 4096, &scene.data, &error), 0);
    cr_expect_not_null(get(&scene));
    cr_assert_eq(vta_dram_free(scene.dram, scene.uops, &error), 0);
    cr_expect_null(get(&scene));
    close_scene(&scene);
}

Test(stream_cache, does_not_serve_a_program_whose_buffers_are_gone)
{
    expect_no_lost_buffers(false);
    expect_no_lost_buffers(true);
}

Test(stream_cache, forgets_what_was_used_longest_ago)
{
    struct scene scene;
    open_scene(&scene, 2, PLENTY);
    uint8_t *x_size = &scene.bytes[VTA_INSN_BYTES + 10]; /* of the LOAD INP */
    for (int round = 0; round < 2; round++) {
        for (uint8_t n = 1; n <= 3; n++) {
            *x_size = n;
            cr_assert_not_null(get(&scene), "%s", error.message);
        }
    }
    cr_expect_eq(stats_of(&scene).hits, 0u, "three streams go round in two places");
    cr_expect_eq(stats_of(&scene).programs, 2u);
    *x_size = 2;
    get(&scene);
    *x_size = 1;
    get(&scene);
    *x_size = 2;
    get(&scene);
    cr_expect_eq(stats_of(&scene).hits, 2u);
    close_scene(&scene);
}

/* What the scene's stream takes in a cache. */
static uint64_t size_of_one(void)
{
    struct scene scene;
    open_scene(&scene, 1, PLENTY);
    const struct vta_program *program = get(&scene);
    cr_assert_not_null(program);
    const uint64_t size = vta_program_bytes(program) + scene.count * VTA_INSN_BYTES;
    close_scene(&scene);
    return size;
}

Test(stream_cache, keeps_no_more_bytes_than_it_may)
{
    const uint64_t one = size_of_one();
    struct scene scene;
    open_scene(&scene, 8, 2 * one + one / 2);
    uint8_t *x_size = &scene.bytes[VTA_INSN_BYTES + 10];
    for (uint8_t n = 1; n <= 5; n++) {
        *x_size = n;
        cr_assert_not_null(get(&scene));
        cr_expect_eq(stats_of(&scene).programs, n < 2 ? 1u : 2u);
    }
    close_scene(&scene);
    open_scene(&scene, 8, one / 2); /* a larger one is kept alone */
    const struct vta_program *program = get(&scene);
    cr_assert_not_null(program);
    cr_expect_eq(get(&scene), program);
    close_scene(&scene);
}

Test(stream_cache, counts_the_plans_that_programs_get_when_they_run)
{
    const uint64_t one = size_of_one();
    struct scene scene;
    struct vta_plan *plan = NULL;
    open_scene(&scene, 8, 2 * one + one / 2);
    uint8_t *x_size = &scene.bytes[VTA_INSN_BYTES + 10];
    struct vta_program *program = (struct vta_program *)get(&scene);
    cr_assert_not_null(program);
    cr_assert_eq(vta_plan_make(&plan, program, NULL, &error), 0, "%s", error.message);
    cr_expect_gt(plan->nbytes, 2 * sizeof(struct vta_plan_op));
    plan->nbytes = 2 * one; /* as that of a long one */
    atomic_store(&program->plan, plan);
    cr_expect_eq(vta_program_bytes(program) + scene.count * VTA_INSN_BYTES, 3 * one);
    *x_size = 2;
    cr_assert_not_null(get(&scene));
    cr_expect_eq(stats_of(&scene).programs, 1u, "the first one went");
    close_scene(&scene);
}

Test(stream_cache, keeps_nothing_that_was_refused)
{
    struct scene scene;
    open_scene(&scene, 4, PLENTY);
    scene.count--; /* no FINISH */
    cr_expect_null(get(&scene));
    cr_expect_eq(error.code, VTA_EFINISH);
    cr_expect_null(get(&scene));
    cr_expect_eq(stats_of(&scene).programs, 0u);
    close_scene(&scene);
}

Test(stream_cache, keeps_what_a_recorder_holds_beside_raw_streams)
{
    struct scene scene;
    open_scene(&scene, 4, PLENTY);
    struct vta_insn insns[3];
    uint32_t bases[3] = { VTA_BASE_UOPS, VTA_BASE_ABSOLUTE, VTA_BASE_ABSOLUTE };
    struct vta_uop uops[2] = { { 1, 2, 3 }, { 4, 5, 6 } };
    for (uint32_t i = 0; i < 3; i++)
        vta_insn_decode(&insns[i], &scene.layout, scene.bytes + i * VTA_INSN_BYTES);
    insns[0].mem.dram_base = 0;
    const struct vta_decoded decoded = {
        .insns = insns, .bases = bases, .count = 3, .uops = uops, .uop_count = 2
    };
    const struct vta_program *raw = get(&scene), *first = NULL, *again = NULL;
    cr_assert_eq(vta_stream_cache_get_decoded(scene.cache, &scene.hw, &decoded, &scene.options,
                                              &first, &error),
                 0, "%s", error.message);
    vta_stream_cache_get_decoded(scene.cache, &scene.hw, &decoded, &scene.options, &again, &error);
    cr_expect_eq(again, first);
    cr_expect_eq(get(&scene), raw);
    uops[1].src++;
    vta_stream_cache_get_decoded(scene.cache, &scene.hw, &decoded, &scene.options, &again, &error);
    cr_expect_neq(again, first, "other micro-ops");
    cr_expect_eq(again->uops[1].src, 6u);
    insns[1].mem.sram_base++;
    vta_stream_cache_get_decoded(scene.cache, &scene.hw, &decoded, &scene.options, &again, &error);
    cr_expect_eq(again->insns[1].mem.sram_base, 1u);
    cr_expect_eq(stats_of(&scene).programs, 4u);
    bases[1] = 0; /* a parameter, which streams do not have */
    cr_expect_eq(vta_stream_cache_get_decoded(scene.cache, &scene.hw, &decoded, &scene.options,
                                              &again, &error),
                 VTA_EFORMAT);
    close_scene(&scene);
}

/* Whether it is verified or looked at for hazards meanwhile. */
Test(stream_cache, keeps_nothing_of_a_stream_whose_making_was_stopped)
{
    const struct vta_hazard_options hazards = { 0 };
    struct vta_control control = { .stop = VTA_EDEADLINE };
    struct scene scene;
    open_scene(&scene, 4, PLENTY);
    scene.options.control = &control;
    cr_expect_null(get(&scene));
    cr_expect_eq(error.code, VTA_EDEADLINE, "%s", error.message);
    cr_expect_eq(stats_of(&scene).programs, 0);

    atomic_store(&control.stop, 0);
    cr_assert_not_null(get(&scene), "%s", error.message);
    vta_stream_cache_look_for(scene.cache, &hazards);
    atomic_store(&control.stop, VTA_EDEADLINE);
    cr_expect_null(get(&scene), "a kept program that nobody had looked at");
    cr_expect_eq(error.code, VTA_EDEADLINE, "%s", error.message);
    close_scene(&scene);
}
