/* test_tune.c: fitting a timing profile: to times that a known board would have, and to nonsense.
 */
#include <criterion/criterion.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/tune.h"
#include "kit.h"

#define CASES 7

static struct vta_error error;
static struct vta_program *programs[CASES];
static struct vta_tune_case cases[CASES];
static struct vta_timing_profile truth;

static struct vta_program *compile(uint32_t in, uint32_t out, uint32_t block, bool clip)
{
    const struct vta_matmul matmul = { .batch = 1,
                                       .in = in,
                                       .out = out,
                                       .block_in = block,
                                       .block_out = block,
                                       .shift = clip,
                                       .shift_by = 8,
                                       .clip = clip,
                                       .clip_hi = 127 };
    const struct vta_verify_options options = { .tokens_must_end_empty = true };
    struct vta_kernel kernel;
    struct vta_program *program = NULL;
    struct vta_hw hw;
    vta_hw_default(&hw);
    cr_assert_eq(vta_compile_matmul(&kernel, &hw, "m", &matmul, &error), 0, "%s", error.message);
    cr_assert_eq(vta_program_from_kernel(&program, &kernel, &hw, &error), 0, "%s", error.message);
    cr_assert_eq(vta_verify(program, &options, &error), 0, "%s", error.message);
    vta_kernel_clear(&kernel);
    return program;
}

static double predicted(const struct vta_program *program, const struct vta_timing_profile *profile)
{
    struct vta_timing timing;
    cr_assert_eq(vta_timing_replay(&timing, program, profile, NULL, NULL, &error), 0);
    return (double)timing.total_ns * 1e-9;
}

/* A board unlike the usual one, and what it takes for a few multiplications. */
static void setup(void)
{
    static const uint32_t sizes[CASES][3] = { { 16, 16, 16 },     { 256, 256, 64 },
                                              { 1024, 256, 256 }, { 128, 256, 16 },
                                              { 2048, 64, 64 },   { 512, 512, 32 },
                                              { 64, 4096, 64 } };
    cr_assert_eq(vta_profile_shipped(&truth, "1x16-2019-07", &error), 0);
    truth.alu_cycles = 26;
    truth.insn_cycles = 70;
    truth.dma_row_cycles = 90;
    truth.dram_bytes_per_cycle = 3;
    truth.host_call_us = 150;
    for (int i = 0; i < CASES; i++) {
        programs[i] = compile(sizes[i][0], sizes[i][1], sizes[i][2], i % 2 == 0);
        cases[i] = (struct vta_tune_case){ programs[i], predicted(programs[i], &truth) };
    }
}

static void teardown(void)
{
    for (int i = 0; i < CASES; i++)
        vta_program_free(programs[i]);
}

TestSuite(tune, .init = setup, .fini = teardown);

static struct vta_timing_profile fitted(size_t without)
{
    struct vta_timing_profile profile;
    cr_assert_eq(vta_profile_shipped(&profile, "1x16-2019-07", &error), 0);
    cr_assert_eq(vta_tune(&profile, cases, CASES, without, &error), 0, "%s", error.message);
    return profile;
}

Test(tune, predicts_what_a_board_took)
{
    struct vta_timing_profile profile = fitted(SIZE_MAX);
    for (int i = 0; i < CASES; i++) {
        double ratio = predicted(programs[i], &profile) / cases[i].measured_s;
        cr_expect(fabs(ratio - 1) < 0.05, "case %d: %g", i, ratio);
    }
    /* What documents say was not touched. */
    cr_expect(profile.clock_mhz == truth.clock_mhz && profile.cache_kib == truth.cache_kib);
    cr_expect(profile.port_bytes_per_cycle == truth.port_bytes_per_cycle);
}

Test(tune, is_not_bent_by_a_time_that_others_contradict)
{
    struct vta_timing_profile profile;
    struct vta_tune_case more[CASES + 3];
    cr_assert_eq(vta_profile_shipped(&profile, "1x16-2019-07", &error), 0);
    memcpy(more, cases, sizeof cases);
    more[CASES] = more[CASES + 1] = more[CASES + 2] = cases[3];
    more[CASES + 2].measured_s *= 1.6;
    cr_assert_eq(vta_tune(&profile, more, CASES + 3, SIZE_MAX, &error), 0, "%s", error.message);
    for (int i = 0; i < CASES; i++) {
        double ratio = predicted(programs[i], &profile) / cases[i].measured_s;
        cr_expect(fabs(ratio - 1) < 0.08, "case %d: %g", i, ratio);
    }
}

Test(tune, gives_the_same_numbers_every_time_and_ignores_what_is_left_out)
{
    struct vta_timing_profile one = fitted(2);
    cases[2].measured_s = 1;
    struct vta_timing_profile other = fitted(2);
    cr_expect_eq(memcmp(&one, &other, sizeof one), 0);
}

Test(tune, rounds_numbers_to_three_digits)
{
    struct vta_timing_profile profile = fitted(SIZE_MAX);
    char text[32], *end;
    for (size_t i = 0; i < VTA_PROFILE_NUMBER_COUNT; i++) {
        double value = *(double *)((char *)&profile + vta_profile_numbers()[i].offset);
        snprintf(text, sizeof text, "%.3g", value);
        cr_expect(strtod(text, &end) == value, "%s is %.17g", vta_profile_numbers()[i].name, value);
    }
}

Test(tune, needs_a_case)
{
    struct vta_timing_profile profile = truth;
    cr_expect_eq(vta_tune(&profile, cases, 0, SIZE_MAX, &error), VTA_EINVAL);
    cr_expect_eq(vta_tune(&profile, cases, 1, 0, &error), VTA_EINVAL);
    cr_expect(strstr(error.message, "no case is left") != NULL, "%s", error.message);
}
