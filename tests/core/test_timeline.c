/* test_timeline.c: timelines as Trace Event files and as pictures: what a viewer relies on. */
#include <criterion/criterion.h>

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include <vta/build.h>

#include "core/timeline.h"

#include "kit.h"

static struct vta_error error;

#define TRACKS 8

/* ---- Programs ------------------------------------------------------------------------------ */

/* Loads, multiplies, stores, `times` times over, with a token for each hand-over: two buffers of
 * inputs are filled in turn. */
static struct vta_program *pipeline(struct kit *kit, uint32_t times)
{
    const struct vta_verify_options options = { 0 };
    kit_init(kit);
    kit_uop(kit, 0, 0, 0, 0);
    kit_gemm(kit)->nest.reset = 1;
    for (uint32_t i = 0; i < times; i++) {
        struct vta_insn *load = kit_move(kit, KIT_INP, i % 2, i % 2, 16);
        load->pop_next = i >= 2;
        load->push_next = 1;
        struct vta_insn *gemm = kit_gemm(kit);
        gemm->pop_prev = 1;
        gemm->push_prev = i + 2 < times;
        gemm->push_next = 1;
        gemm->pop_next = i > 0;
        struct vta_insn *store = kit_move(kit, KIT_OUT, 0, 0, 1);
        store->pop_prev = 1;
        store->push_prev = 1;
    }
    kit_add(kit, (struct vta_insn){ .opcode = VTA_OP_FINISH, .pop_next = 1 });
    struct vta_program *program = kit_program(kit);
    cr_assert_eq(vta_verify(program, &options, &error), 0, "%s", error.message);
    return program;
}

static void timeline_of(struct vta_timeline *timeline, const struct vta_program *program,
                        const char *profile_name)
{
    struct vta_timing_profile profile;
    cr_assert_eq(vta_profile_find(&profile, profile_name, &error), 0, "%s", error.message);
    cr_assert_eq(vta_timeline_make(timeline, program, &profile, &error), 0, "%s", error.message);
}

static char *written(const struct vta_timeline *timeline,
                     int (*write)(const struct vta_timeline *, FILE *, struct vta_error *))
{
    char *text;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    cr_assert_eq(write(timeline, file, &error), 0, "%s", error.message);
    fclose(file);
    return text;
}

/* ---- The trace ----------------------------------------------------------------------------- */

static double number(const cJSON *event, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(event, key);
    cr_assert(cJSON_IsNumber(value), "%s", key);
    return value->valuedouble;
}

static const char *text_of(const cJSON *event, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(event, key);
    cr_assert(cJSON_IsString(value), "%s", key);
    return value->valuestring;
}

static int64_t ns_of(const cJSON *event, const char *key)
{
    return (int64_t)(number(event, key) * 1000 + 0.5);
}

/* What was met in a trace. */
struct met {
    uint32_t slices, executions, starts, ends, counters;
    int64_t until[TRACKS]; /* by track: the end of its last slice */
};

static void check_slice(const cJSON *event, struct met *met)
{
    const int track = (int)number(event, "tid");
    const int64_t begin = ns_of(event, "ts"), length = ns_of(event, "dur");
    cr_assert(track > 0 && track < TRACKS);
    cr_assert(length >= 0);
    cr_assert(begin >= met->until[track], "slices of track %d overlap at %lld ns", track,
              (long long)begin);
    met->until[track] = begin + length;
    met->slices++;
    met->executions += strcmp(text_of(event, "cat"), "insn") == 0;
}

/* An arrow's end is where it started or later, on another track. */
static void check_flow(const cJSON *start, const cJSON *end)
{
    cr_assert_str_eq(text_of(end, "ph"), "f");
    cr_assert_str_eq(text_of(end, "bp"), "e");
    cr_assert_str_eq(text_of(start, "name"), text_of(end, "name"));
    cr_assert_eq(number(start, "id"), number(end, "id"));
    cr_assert_neq(number(start, "tid"), number(end, "tid"));
    cr_assert(ns_of(start, "ts") <= ns_of(end, "ts"));
}

static void check_counter(const cJSON *event)
{
    const cJSON *args = cJSON_GetObjectItem(event, "args");
    cr_assert_eq(cJSON_GetArraySize(args), 1);
    cr_assert(args->child->valuedouble >= 0, "%s is %g", text_of(event, "name"),
              args->child->valuedouble);
    cr_assert(strcmp(text_of(event, "name"), "memory port") != 0 || args->child->valuedouble <= 100,
              "the port carries %g %%", args->child->valuedouble);
}

static struct met check_trace(const char *text)
{
    struct met met = { 0 };
    cJSON *json = cJSON_Parse(text);
    cr_assert_not_null(json, "not JSON");
    const cJSON *event;
    cJSON_ArrayForEach(event, cJSON_GetObjectItem(json, "traceEvents"))
    {
        switch (text_of(event, "ph")[0]) {
        case 'X':
            check_slice(event, &met);
            break;
        case 's':
            check_flow(event, event->next);
            met.starts++;
            break;
        case 'f':
            met.ends++;
            break;
        case 'C':
            check_counter(event);
            met.counters++;
            break;
        default:
            cr_assert_str_eq(text_of(event, "ph"), "M");
        }
    }
    cJSON_Delete(json);
    return met;
}

static uint32_t tokens_taken(const struct vta_program *program)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < program->count; i++)
        count += program->insns[i].pop_prev + program->insns[i].pop_next;
    return count;
}

Test(timeline, trace_has_a_slice_per_instruction_and_an_arrow_per_token)
{
    static const char *const profiles[] = { "1x16-2019-11", "1x16-2019-08", "ultra96" };
    for (size_t i = 0; i < 3; i++) {
        struct kit kit;
        struct vta_timeline timeline;
        struct vta_program *program = pipeline(&kit, 12);
        timeline_of(&timeline, program, profiles[i]);
        char *text = written(&timeline, vta_timeline_trace);
        struct met met = check_trace(text);
        cr_assert_eq(met.executions, program->count);
        cr_assert_eq(met.starts, tokens_taken(program));
        cr_assert_eq(met.ends, met.starts);
        cr_assert(met.slices > 2 * program->count, "%u slices", met.slices);
        cr_assert(met.counters > 8);
        free(text);
        vta_timeline_clear(&timeline);
        vta_program_free(program);
    }
}

Test(timeline, trace_names_tracks_and_instructions)
{
    static const char *const parts[] = { "\"fetch\"",
                                         "\"compute\"",
                                         "\"LOAD inp\"",
                                         "\"GEMM reset\"",
                                         "\"STORE out\"",
                                         "\"FINISH\"",
                                         "\"tokens load→compute\"",
                                         "\"memory port\"",
                                         "\"wait for compute→store\"",
                                         "\"commands for store\"",
                                         "\"profile\":\"1x16-2019-11\"" };
    struct kit kit;
    struct vta_timeline timeline;
    struct vta_program *program = pipeline(&kit, 4);
    timeline_of(&timeline, program, "1x16-2019-11");
    char *text = written(&timeline, vta_timeline_trace);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        cr_assert_not_null(strstr(text, parts[i]), "no %s in the trace", parts[i]);
    free(text);
    vta_timeline_clear(&timeline);
    vta_program_free(program);
}

Test(timeline, trace_counts_tokens_from_before_the_run)
{
    struct kit kit;
    struct vta_timeline timeline;
    const struct vta_verify_options options = { .before = { .store_to_compute = 3 } };
    kit_init(&kit);
    kit_finish(&kit);
    struct vta_program *program = kit_program(&kit);
    cr_assert_eq(vta_verify(program, &options, &error), 0, "%s", error.message);
    timeline_of(&timeline, program, "1x16-2019-11");
    char *text = written(&timeline, vta_timeline_trace);
    struct met met = check_trace(text);
    cr_assert_eq(met.starts, 0, "a token from before the run has no arrow");
    cr_assert_not_null(strstr(text, "\"tokens store→compute\",\"args\":{\"tokens\":3}"), "%s",
                       text);
    free(text);
    vta_timeline_clear(&timeline);
    vta_program_free(program);
}

Test(timeline, trace_fills_the_port_where_two_units_want_more_than_it_carries)
{
    struct kit kit;
    struct vta_timeline timeline;
    const struct vta_verify_options options = { 0 };
    kit_init(&kit);
    kit_move(&kit, KIT_WGT, 0, 0, 64);
    kit_move(&kit, KIT_ACC, 0, 0,
             64); /* ends long before the other, and slows it down until then */
    kit_finish(&kit);
    struct vta_program *program = kit_program(&kit);
    cr_assert_eq(vta_verify(program, &options, &error), 0, "%s", error.message);
    timeline_of(&timeline, program, "1x16-2019-11");
    char *text = written(&timeline, vta_timeline_trace);
    check_trace(text);
    cr_assert_not_null(strstr(text, "\"memory port\",\"args\":{\"percent\":100.00}"), "%s", text);
    free(text);
    vta_timeline_clear(&timeline);
    vta_program_free(program);
}

/* ---- The picture --------------------------------------------------------------------------- */

static uint32_t occurrences(const char *text, const char *part)
{
    uint32_t count = 0;
    for (; (text = strstr(text, part)) != NULL; text += strlen(part))
        count++;
    return count;
}

Test(timeline, picture_draws_each_instruction_and_token_of_a_short_program)
{
    static const char *const parts[] = { "What each unit did", "Critical path", "Timeline",
                                         "Roofline",           "Gop/s",         "1x16-2019-11" };
    struct kit kit;
    struct vta_timeline timeline;
    struct vta_program *program = pipeline(&kit, 4);
    timeline_of(&timeline, program, "1x16-2019-11");
    char *text = written(&timeline, vta_timeline_svg);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        cr_assert_not_null(strstr(text, parts[i]), "no '%s' in the picture", parts[i]);
    cr_assert_eq(occurrences(text, "<title>insn "), program->count);
    cr_assert_eq(occurrences(text, "marker-end="), tokens_taken(program));
    cr_assert_eq(occurrences(text, "nan"), 0, "%s", strstr(text, "nan"));
    cr_assert_eq(occurrences(text, "inf"), 0, "%s", strstr(text, "inf"));
    free(text);
    vta_timeline_clear(&timeline);
    vta_program_free(program);
}

Test(timeline, picture_says_so_where_nothing_is_computed_or_measured)
{
    struct kit kit;
    struct vta_timeline timeline;
    const struct vta_verify_options options = { 0 };
    kit_init(&kit);
    kit_finish(&kit);
    struct vta_program *program = kit_program(&kit);
    cr_assert_eq(vta_verify(program, &options, &error), 0, "%s", error.message);
    timeline_of(&timeline, program, "ultra96");
    char *text = written(&timeline, vta_timeline_svg);
    cr_assert_not_null(strstr(text, "computes nothing"), "%s", text);
    cr_assert_not_null(strstr(text, "(not measured)"), "%s", text);
    free(text);
    vta_timeline_clear(&timeline);
    vta_program_free(program);
}

Test(timeline, picture_does_not_draw_what_takes_no_time)
{
    const struct vta_verify_options options = { 0 };
    struct vta_timing_profile profile;
    struct kit kit;
    struct vta_timeline timeline;
    kit_init(&kit);
    for (int i = 0; i < 16; i++)
        kit_move(&kit, KIT_INP, 0, 0, 1)->push_next = 1;
    for (int i = 0; i < 16; i++)
        kit_add(&kit, (struct vta_insn){ .opcode = VTA_OP_LOAD, .pop_prev = 1 });
    kit_finish(&kit);
    struct vta_program *program = kit_program(&kit);
    cr_assert_eq(vta_verify(program, &options, &error), 0, "%s", error.message);
    cr_assert_eq(vta_profile_shipped(&profile, "1x16-2019-11", &error), 0);
    profile.insn_cycles = 0; /* no-ops and FINISH are over at once */
    cr_assert_eq(vta_timeline_make(&timeline, program, &profile, &error), 0, "%s", error.message);
    char *text = written(&timeline, vta_timeline_svg);
    cr_assert_eq(occurrences(text, "<title>insn "), 16);
    cr_assert_eq(occurrences(text, "marker-end="), 17);
    free(text);
    vta_timeline_clear(&timeline);
    vta_program_free(program);
}

/* `times` loads and resets in turn, each after the one before: two instructions and two tokens. */
static struct vta_program *in_turn(uint32_t times)
{
    const struct vta_tensor_type row = { { VTA_DTYPE_INT, 8 }, 2, { 1, 16 } };
    const struct vta_uop_index zero = { 0, 0, 0 };
    const struct vta_uop_kernel one = { NULL, 0, &zero, 1 };
    const struct vta_verify_options options = { 0 };
    struct vta_program *program = NULL;
    struct vta_kernel kernel;
    struct vta_hw hw;
    vta_hw_default(&hw);
    struct vta_build *build = vta_build_new(&hw, "in turn");
    const int data = vta_build_param(build, "data", &row, VTA_MEM_INP, VTA_ACCESS_READ);
    for (uint32_t i = 0; i < times; i++) {
        vta_build_load(build, data, 0, 1, 1, 1, NULL, 0, VTA_MEM_INP);
        vta_build_push(build, VTA_UNIT_LOAD, VTA_UNIT_COMPUTE);
        vta_build_pop(build, VTA_UNIT_LOAD, VTA_UNIT_COMPUTE);
        vta_build_gemm(build, &one, true);
        vta_build_push(build, VTA_UNIT_COMPUTE, VTA_UNIT_LOAD);
        vta_build_pop(build, VTA_UNIT_COMPUTE, VTA_UNIT_LOAD);
    }
    cr_assert_eq(vta_build_finish(build, &kernel, &error), 0, "%s", error.message);
    cr_assert_eq(vta_program_from_kernel(&program, &kernel, &hw, &error), 0, "%s", error.message);
    vta_kernel_clear(&kernel);
    cr_assert_eq(vta_verify(program, &options, &error), 0, "%s", error.message);
    return program;
}

Test(timeline, picture_leaves_out_arrows_where_they_would_cover_it)
{
    static const uint32_t times[] = { 70, 100, 200 };
    for (int i = 0; i < 3; i++) {
        struct vta_timeline timeline;
        struct vta_program *program = in_turn(times[i]);
        timeline_of(&timeline, program, "1x16-2019-11");
        char *text = written(&timeline, vta_timeline_svg);
        cr_expect_eq(occurrences(text, "<title>insn "), i < 2 ? program->count : 0);
        cr_expect_eq(occurrences(text, "marker-end="), i < 1 ? tokens_taken(program) : 0);
        free(text);
        vta_timeline_clear(&timeline);
        vta_program_free(program);
    }
}

Test(timeline, that_cannot_be_written_says_why)
{
    struct kit kit;
    struct vta_timeline timeline;
    struct vta_program *program = pipeline(&kit, 4);
    timeline_of(&timeline, program, "1x16-2019-11");
    for (int picture = 0; picture <= 1; picture++) {
        FILE *full = fopen("/dev/full", "w");
        cr_assert_not_null(full);
        error = (struct vta_error){ 0 };
        cr_expect_eq((picture ? vta_timeline_svg : vta_timeline_trace)(&timeline, full, &error),
                     VTA_EIO);
        cr_expect_not_null(strstr(error.message, "No space left on device"), "%s", error.message);
        fclose(full);
    }
    vta_timeline_clear(&timeline);
    vta_program_free(program);
}

Test(timeline, names_are_escaped)
{
    struct kit kit;
    struct vta_timeline timeline;
    struct vta_program *program = pipeline(&kit, 2);
    free(program->name);
    program->name = strdup("a<b>&\"c\\\n\x01");
    timeline_of(&timeline, program, "1x16-2019-11");
    char *text = written(&timeline, vta_timeline_svg);
    cr_assert_not_null(strstr(text, "a&lt;b&gt;&amp;"), "%s", text);
    free(text);
    text = written(&timeline, vta_timeline_trace);
    check_trace(text);
    free(text);
    vta_timeline_clear(&timeline);
    vta_program_free(program);
}
