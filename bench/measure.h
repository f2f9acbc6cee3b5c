/* measure.h: what the benchmarks share: a clock, medians, and a table of ratios. */
#ifndef VTA_BENCH_MEASURE_H
#define VTA_BENCH_MEASURE_H

#include <stdbool.h>
#include <stddef.h>

/* Seconds on a clock that does not jump. */
double measure_now(void);

/* Sorts the samples; count is at least 1. */
double measure_median(double *samples, size_t count);
/* The value below which this share (0…1) of the samples lies; sorts them. */
double measure_percentile(double *samples, size_t count, double share);

/* What a benchmark's command line says. */
struct measure_options {
    const char *name;   /* of the program; set by it, as the next two */
    const char *daemon; /* vtad's path where none is named; NULL: it runs no daemon */
    bool recordings;    /* whether it looks for recorded streams; set by it */
    bool json, smoke;   /* --json; --smoke: measure next to nothing, to see that it runs */
};
/* Reads it. Prints how it is used and ends the program where it asks for that or is wrong. */
void measure_options(struct measure_options *options, int argc, char **argv);

struct measure_table;
struct measure_table *measure_table_new(const char *title); /* never NULL */

/* Adds a row: a figure, its ratio to what was measured beside it, and whether that ratio reaches
 * (at_least) or stays below the target: "ok" or "below". target may be NAN: there is none.
 * Strings are copied. */
void measure_row(struct measure_table *table, const char *name, double value, const char *unit,
                 double ratio, const char *ratio_of, double target, bool at_least);

/* Aligned lines, or one JSON value. */
void measure_table_print(const struct measure_table *table, bool json);
/* Rows so far, and how many miss their target. */
size_t measure_table_rows(const struct measure_table *table, size_t *missed);
void measure_table_free(struct measure_table *table);

#endif
