/* tune.c: Nelder and Mead's search for the profiles that explain measured times best (tune.h).
 *
 * What is minimised is the mean of a loss of log(predicted/measured) that grows with its square up
 * to 5 % and only linearly beyond, so that a case which no model explains does not bend the numbers
 * of all others; plus a weak pull of each number towards what such a board has, which decides only
 * what the cases leave open.
 */
#include "tune.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SQUARE_UP_TO 0.05
#define ROUNDS       6
#define PULL         1e-4 /* of each number, relative to one case's loss, by its squared log */

/* What is fitted, by its logarithm. */
static const struct tuned {
    size_t offset; /* of the double in struct vta_timing_profile */
    double usual;  /* of a board like this: where the search starts */
    bool pulled;   /* towards it */
} tuned[] = {
    { offsetof(struct vta_timing_profile, dram_bytes_per_cycle), 4.1, true },
    { offsetof(struct vta_timing_profile, dma_row_cycles), 60, true },
    { offsetof(struct vta_timing_profile, insn_cycles), 40, true },
    { offsetof(struct vta_timing_profile, host_call_us), 70, true },
    { offsetof(struct vta_timing_profile, host_insn_ns), 150, true },
    { offsetof(struct vta_timing_profile, gemm_loop_cycles), 1, true },
    { offsetof(struct vta_timing_profile, alu_cycles), 2, false },
};
#define NUMBERS (sizeof(tuned) / sizeof(tuned[0]))
#define ALU     (NUMBERS - 1)

struct search {
    struct vta_timing_profile *profile;
    const struct vta_tune_case *cases;
    size_t count, without;
    struct vta_error *error;
    int rc; /* of the first replay that failed */
};

static double *number_of(struct vta_timing_profile *profile, size_t k)
{
    return (double *)((char *)profile + tuned[k].offset);
}

/* ---- The objective ------------------------------------------------------------------------- */

static double loss(double r)
{
    r = fabs(r);
    return r < SQUARE_UP_TO ? r * r : SQUARE_UP_TO * (2 * r - SQUARE_UP_TO);
}

static double objective(struct search *search, const double *x)
{
    double sum = 0;
    size_t count = 0;
    for (size_t k = 0; k < NUMBERS; k++)
        *number_of(search->profile, k) = exp(x[k]);
    for (size_t i = 0; i < search->count; i++) {
        const struct vta_tune_case *one = &search->cases[i];
        struct vta_timing timing;
        if (i == search->without)
            continue;
        int rc =
            vta_timing_replay(&timing, one->program, search->profile, NULL, NULL, search->error);
        if (rc != 0) {
            search->rc = rc;
            return HUGE_VAL;
        }
        sum += loss(log((double)timing.total_ns * 1e-9 / one->measured_s));
        count++;
    }
    for (size_t k = 0; k < NUMBERS; k++) {
        double pull = x[k] - log(tuned[k].usual);
        sum += tuned[k].pulled ? PULL * (double)count * pull * pull : 0;
    }
    return sum / (double)count;
}

/* ---- The search ---------------------------------------------------------------------------- */

struct point {
    double x[NUMBERS], value;
};

static int compare_points(const void *a, const void *b)
{
    double x = ((const struct point *)a)->value, y = ((const struct point *)b)->value;
    return (x > y) - (x < y);
}

/* The point that lies t times as far from the centre as the worst one, on the worst one's side. */
static void along(struct search *search, struct point *to, const double *centre,
                  const struct point *worst, double t)
{
    for (size_t i = 0; i < NUMBERS; i++)
        to->x[i] = centre[i] + t * (worst->x[i] - centre[i]);
    to->value = objective(search, to->x);
}

static void shrink(struct search *search, struct point *simplex)
{
    for (size_t k = 1; k <= NUMBERS; k++) {
        for (size_t i = 0; i < NUMBERS; i++)
            simplex[k].x[i] = (simplex[k].x[i] + simplex[0].x[i]) / 2;
        simplex[k].value = objective(search, simplex[k].x);
    }
}

/* Replaces the worst point by a better one, or shrinks all towards the best. */
static void improve(struct search *search, struct point *simplex)
{
    double centre[NUMBERS] = { 0 };
    struct point *worst = &simplex[NUMBERS], try, further;
    for (size_t k = 0; k < NUMBERS; k++)
        for (size_t i = 0; i < NUMBERS; i++)
            centre[i] += simplex[k].x[i] / (double)NUMBERS;
    along(search, &try, centre, worst, -1);
    if (try.value < simplex[0].value) {
        along(search, &further, centre, worst, -2);
        *worst = further.value < try.value ? further : try;
    } else if (try.value < simplex[NUMBERS - 1].value) {
        *worst = try;
    } else {
        if (try.value < worst->value)
            *worst = try;
        along(search, &further, centre, worst, 0.5);
        if (further.value < worst->value)
            *worst = further;
        else
            shrink(search, simplex);
    }
}

/* Improves x from a simplex of this size; returns the value reached. */
static double descend(struct search *search, double *x, double size, int steps)
{
    struct point *simplex = calloc(NUMBERS + 1, sizeof(*simplex));
    if (simplex == NULL) {
        search->rc = vta_error_set(search->error, VTA_ENOMEM, "no memory to fit a profile");
        return HUGE_VAL;
    }
    for (size_t k = 0; k <= NUMBERS; k++) {
        memcpy(simplex[k].x, x, NUMBERS * sizeof(*x));
        if (k > 0)
            simplex[k].x[k - 1] += size;
        simplex[k].value = objective(search, simplex[k].x);
    }
    for (int step = 0; step < steps && search->rc == 0; step++) {
        qsort(simplex, NUMBERS + 1, sizeof(*simplex), compare_points);
        improve(search, simplex);
    }
    qsort(simplex, NUMBERS + 1, sizeof(*simplex), compare_points);
    memcpy(x, simplex[0].x, NUMBERS * sizeof(*x));
    double value = simplex[0].value;
    free(simplex);
    return value;
}

/* Builds differ by a factor of ten in their ALU, further than the search would go by itself. */
static void choose_alu(struct search *search, double *x)
{
    static const double candidates[] = { 1, 2, 4, 8, 16, 32 };
    double best = HUGE_VAL, at = x[ALU];
    for (size_t c = 0; c < sizeof(candidates) / sizeof(candidates[0]); c++) {
        x[ALU] = log(candidates[c]);
        double value = objective(search, x);
        if (value < best) {
            best = value;
            at = x[ALU];
        }
    }
    x[ALU] = at;
}

static double three_digits(double value)
{
    double unit = pow(10, floor(log10(value)) - 2);
    /* Divided where the unit is a fraction: 415/100 is the nearest to 4.15, 415·0.01 is not. */
    return unit < 1 ? round(value / unit) / round(1 / unit) : round(value / unit) * unit;
}

int vta_tune(struct vta_timing_profile *profile, const struct vta_tune_case *cases, size_t count,
             size_t without, struct vta_error *error)
{
    struct search search = {
        .profile = profile, .cases = cases, .count = count, .without = without, .error = error
    };
    double x[NUMBERS], value, before = HUGE_VAL;
    if (count == 0 || (count == 1 && without == 0))
        return vta_error_set(error, VTA_EINVAL, "no case is left to fit '%s' to", profile->name);
    for (size_t k = 0; k < NUMBERS; k++)
        x[k] = log(tuned[k].usual);
    choose_alu(&search, x);
    value = descend(&search, x, 0.4, 60 * NUMBERS);
    for (int round = 0; round < ROUNDS && before - value > 1e-7 && search.rc == 0; round++) {
        before = value;
        value = descend(&search, x, 0.2, 40 * NUMBERS);
    }
    for (size_t k = 0; k < NUMBERS; k++)
        *number_of(profile, k) = three_digits(exp(x[k]));
    return search.rc;
}
