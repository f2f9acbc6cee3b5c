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
#define PULL         2e-5 /* of each number, relative to one case's loss, by its squared log */

/* What is fitted. Everything is searched by its logarithm. */
static const struct tuned {
    size_t offset; /* of the double in struct vta_timing_profile */
    double start;  /* of a board like this */
    bool per_build;
    bool pulled;
} tuned[] = {
    { offsetof(struct vta_timing_profile, dram_bytes_per_cycle), 4, false, true },
    { offsetof(struct vta_timing_profile, dma_row_cycles), 60, false, true },
    { offsetof(struct vta_timing_profile, insn_cycles), 50, true, true },
    { offsetof(struct vta_timing_profile, host_call_us), 70, false, true },
    { offsetof(struct vta_timing_profile, host_insn_ns), 150, false, true },
    { offsetof(struct vta_timing_profile, alu_cycles), 2, true, false },
    { offsetof(struct vta_timing_profile, gemm_loop_cycles), 1, true, true },
};
#define TUNED         (sizeof(tuned) / sizeof(tuned[0]))
#define FIRST_OF_NEST (TUNED - 2)
#define NUMBERS       (TUNED * VTA_TUNE_BUILDS) /* at most */

/* One dimension of the search: a number of one build, or of all. */
struct dimension {
    size_t tuned, build; /* build: SIZE_MAX for all */
};

struct search {
    struct vta_timing_profile *profiles;
    size_t builds;
    const struct vta_tune_case *cases;
    size_t count, without;
    struct dimension dimensions[NUMBERS];
    size_t n;
    struct vta_error *error;
    int rc; /* of the first replay that failed */
};

static double *number_of(struct vta_timing_profile *profile, size_t k)
{
    return (double *)((char *)profile + tuned[k].offset);
}

static void list_dimensions(struct search *search)
{
    for (size_t k = 0; k < TUNED; k++) {
        for (size_t b = 0; b < (tuned[k].per_build ? search->builds : 1); b++)
            search->dimensions[search->n++] =
                (struct dimension){ .tuned = k, .build = tuned[k].per_build ? b : SIZE_MAX };
    }
}

static void write_numbers(struct search *search, const double *x)
{
    for (size_t i = 0; i < search->n; i++) {
        const struct dimension *dimension = &search->dimensions[i];
        for (size_t b = 0; b < search->builds; b++)
            if (dimension->build == SIZE_MAX || dimension->build == b)
                *number_of(&search->profiles[b], dimension->tuned) = exp(x[i]);
    }
}

static void read_numbers(const struct search *search, double *x)
{
    for (size_t i = 0; i < search->n; i++) {
        const struct dimension *dimension = &search->dimensions[i];
        size_t b = dimension->build == SIZE_MAX ? 0 : dimension->build;
        x[i] = log(*number_of(&search->profiles[b], dimension->tuned));
    }
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
    write_numbers(search, x);
    for (size_t i = 0; i < search->count; i++) {
        const struct vta_tune_case *one = &search->cases[i];
        struct vta_timing timing;
        if (i == search->without)
            continue;
        int rc = vta_timing_replay(&timing, one->program, &search->profiles[one->build], NULL, NULL,
                                   search->error);
        if (rc != 0) {
            search->rc = rc;
            return HUGE_VAL;
        }
        sum += loss(log((double)timing.total_ns * 1e-9 / one->measured_s));
        count++;
    }
    for (size_t i = 0; i < search->n; i++) {
        const struct tuned *what = &tuned[search->dimensions[i].tuned];
        double pull = x[i] - log(what->start);
        sum += what->pulled ? PULL * (double)count * pull * pull : 0;
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
    for (size_t i = 0; i < search->n; i++)
        to->x[i] = centre[i] + t * (worst->x[i] - centre[i]);
    to->value = objective(search, to->x);
}

static void shrink(struct search *search, struct point *simplex)
{
    for (size_t k = 1; k <= search->n; k++) {
        for (size_t i = 0; i < search->n; i++)
            simplex[k].x[i] = (simplex[k].x[i] + simplex[0].x[i]) / 2;
        simplex[k].value = objective(search, simplex[k].x);
    }
}

/* Replaces the worst point by a better one, or shrinks all towards the best. */
static void improve(struct search *search, struct point *simplex)
{
    double centre[NUMBERS] = { 0 };
    struct point *worst = &simplex[search->n], try, further;
    for (size_t k = 0; k < search->n; k++)
        for (size_t i = 0; i < search->n; i++)
            centre[i] += simplex[k].x[i] / (double)search->n;
    along(search, &try, centre, worst, -1);
    if (try.value < simplex[0].value) {
        along(search, &further, centre, worst, -2);
        *worst = further.value < try.value ? further : try;
    } else if (try.value < simplex[search->n - 1].value) {
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
    struct point *simplex = calloc(search->n + 1, sizeof(*simplex));
    if (simplex == NULL) {
        search->rc = vta_error_set(search->error, VTA_ENOMEM, "no memory to fit a profile");
        return HUGE_VAL;
    }
    for (size_t k = 0; k <= search->n; k++) {
        memcpy(simplex[k].x, x, search->n * sizeof(*x));
        if (k > 0)
            simplex[k].x[k - 1] += size;
        simplex[k].value = objective(search, simplex[k].x);
    }
    for (int step = 0; step < steps && search->rc == 0; step++) {
        qsort(simplex, search->n + 1, sizeof(*simplex), compare_points);
        improve(search, simplex);
    }
    qsort(simplex, search->n + 1, sizeof(*simplex), compare_points);
    memcpy(x, simplex[0].x, search->n * sizeof(*x));
    double value = simplex[0].value;
    free(simplex);
    return value;
}

/* Builds differ by a factor of ten in their ALU and their GEMM loop, further than the search would
 * go by itself. */
static void choose_start(struct search *search, double *x)
{
    static const double factors[] = { 0.5, 1, 2, 5, 10, 14 };
    for (size_t i = 0; i < search->n; i++) {
        double best = HUGE_VAL, start = x[i], at = x[i];
        if (search->dimensions[i].tuned < FIRST_OF_NEST)
            continue;
        for (size_t f = 0; f < sizeof(factors) / sizeof(factors[0]); f++) {
            x[i] = start + log(factors[f]);
            double value = objective(search, x);
            if (value < best) {
                best = value;
                at = x[i];
            }
        }
        x[i] = at;
    }
}

static double three_digits(double value)
{
    double unit = pow(10, floor(log10(value)) - 2);
    /* Divided where the unit is a fraction: 415/100 is the nearest to 4.15, 415·0.01 is not. */
    return unit < 1 ? round(value / unit) / round(1 / unit) : round(value / unit) * unit;
}

int vta_tune(struct vta_timing_profile *profiles, size_t builds, const struct vta_tune_case *cases,
             size_t count, size_t without, bool quick, struct vta_error *error)
{
    struct search search = { .profiles = profiles,
                             .builds = builds,
                             .cases = cases,
                             .count = count,
                             .without = without,
                             .error = error };
    double x[NUMBERS];
    if (builds == 0 || builds > VTA_TUNE_BUILDS || count < 2)
        return vta_error_set(error, VTA_EINVAL, "%zu cases of %zu builds cannot be fitted", count,
                             builds);
    list_dimensions(&search);
    if (quick) {
        read_numbers(&search, x);
        descend(&search, x, 0.2, 40 * (int)search.n);
    } else {
        for (size_t i = 0; i < search.n; i++)
            x[i] = log(tuned[search.dimensions[i].tuned].start);
        choose_start(&search, x);
        double value = descend(&search, x, 0.4, 100 * (int)search.n), before = HUGE_VAL;
        for (int round = 0; round < 8 && before - value > 1e-7 && search.rc == 0; round++) {
            before = value;
            value = descend(&search, x, 0.2, 60 * (int)search.n);
        }
    }
    for (size_t i = 0; i < search.n; i++)
        x[i] = log(three_digits(exp(x[i])));
    write_numbers(&search, x);
    for (size_t b = 0; b < builds; b++)
        for (size_t k = 0; k < TUNED; k++)
            *number_of(&profiles[b], k) = three_digits(*number_of(&profiles[b], k));
    return search.rc;
}
