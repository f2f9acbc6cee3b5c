/* bench_timing.c: how much faster a board's time is predicted than it passes.
 */
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vta/compile.h>

#include "core/timing.h"
#include "core/timing_profile.h"
#include "core/verify.h"
#include "measure.h"
#include "tools/case.h"

static struct measure_table *table;
static bool smoke; /* one round of everything, for a test */

static void must(int rc, const struct vta_error *error)
{
    if (rc == 0)
        return;
    fprintf(stderr, "bench_timing: %s\n", error->message);
    exit(1);
}

/* The median of many short rounds, so that most of them are undisturbed. */
static void row(const char *name, const struct vta_program *program,
                const struct vta_timing_profile *profile, double target)
{
    enum {
        ROUNDS = 51
    };
    double seconds[ROUNDS];
    struct vta_timing timing;
    struct vta_error error;
    double begin = measure_now();
    must(vta_timing_replay(&timing, program, profile, NULL, NULL, &error), &error);
    int rounds = smoke ? 1 : ROUNDS, calls = measure_now() - begin < 50e-6 ? 8 : 1;
    for (int i = 0; i < rounds; i++) {
        double start = measure_now();
        for (int k = 0; k < calls; k++)
            must(vta_timing_replay(&timing, program, profile, NULL, NULL, &error), &error);
        seconds[i] = (measure_now() - start) / calls;
    }
    double median = measure_median(seconds, (size_t)rounds);
    char text[96];
    snprintf(text, sizeof text, "predict the time of %s", name);
    measure_row(table, text, median * 1e6, "µs", (double)timing.device_ns * 1e-9 / median,
                "times as fast as the board", target, true);
}

static void tutorial_row(void)
{
    const struct vta_matmul matmul = { .batch = 1,
                                       .in = 1024,
                                       .out = 1024,
                                       .block_batch = 1,
                                       .block_in = 256,
                                       .block_out = 256,
                                       .shift = true,
                                       .shift_by = 8,
                                       .clip = true,
                                       .clip_hi = 127 };
    const struct vta_verify_options options = { .tokens_must_end_empty = true };
    struct vta_timing_profile profile;
    struct vta_kernel kernel;
    struct vta_program *program;
    struct vta_error error;
    struct vta_hw hw;
    vta_hw_default(&hw);
    must(vta_profile_for_hw(&profile, &hw, &error), &error);
    must(vta_compile_matmul(&kernel, &hw, "my_gemm", &matmul, &error), &error);
    must(vta_program_from_kernel(&program, &kernel, &hw, &error), &error);
    must(vta_verify(program, &options, &error), &error);
    row("tutorial matmul", program, &profile, NAN);
    vta_program_free(program);
    vta_kernel_clear(&kernel);
}

static void case_rows(const char *shared, const char *pattern, double target)
{
    char path[4096];
    glob_t found;
    snprintf(path, sizeof path, "%s/%s", shared, pattern);
    if (glob(path, 0, NULL, &found) != 0) {
        fprintf(stderr, "SKIPPED: no recorded streams at %s (set VTA_SHARED)\n", path);
        return;
    }
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct vta_timing_profile profile;
        struct vta_program *program;
        struct replay_case rc;
        struct vta_error error;
        must(replay_case_read(&rc, found.gl_pathv[i], &error), &error);
        must(vta_profile_find(&profile, rc.bitstream, &error), &error);
        must(replay_case_program(&program, &rc, &error), &error);
        row(rc.name, program, &profile, target);
        vta_program_free(program);
        replay_case_clear(&rc);
    }
    globfree(&found);
}

int main(int argc, char **argv)
{
    const char *shared = getenv("VTA_SHARED") != NULL ? getenv("VTA_SHARED") : "../shared";
    struct measure_options options = { .name = "bench_timing", .recordings = true };
    measure_options(&options, argc, argv);
    smoke = options.smoke;

    table = measure_table_new("bench_timing");
    tutorial_row();
    case_rows(shared, "board/vgg-*", 100);
    case_rows(shared, "board/resnet-50-10-*", NAN);
    case_rows(shared, "board/mobilenet-g-55-*", NAN);
    measure_table_print(table, options.json);
    measure_table_free(table);
    return 0;
}
