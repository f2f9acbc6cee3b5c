/* measure.c: clock, medians and the table of ratios (measure.h). */
#include "measure.h"

#include <cjson/cJSON.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double measure_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double measure_percentile(double *samples, size_t count, double share)
{
    qsort(samples, count, sizeof(*samples), ascending);
    size_t at = (size_t)(share * (double)count);
    return samples[at < count ? at : count - 1];
}

double measure_median(double *samples, size_t count)
{
    return measure_percentile(samples, count, 0.5);
}

struct row {
    char name[96], unit[16], ratio_of[64];
    double value, ratio, target;
    bool at_least, ok;
};

/* ---- The command line ---------------------------------------------------------------------- */

void measure_options(struct measure_options *options, int argc, char **argv)
{
    static const struct option known[] = { { "json", no_argument, NULL, 'j' },
                                           { "smoke", no_argument, NULL, 's' },
                                           { "help", no_argument, NULL, 'h' },
                                           { "daemon", required_argument, NULL, 'd' },
                                           { 0 } };
    const bool runs_daemon = options->daemon != NULL;
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == 'j') {
            options->json = true;
        } else if (option == 's') {
            options->smoke = true;
        } else if (option == 'd' && runs_daemon) {
            options->daemon = optarg;
        } else {
            FILE *to = option == 'h' ? stdout : stderr;
            fprintf(to, "usage: %s%s [--json] [--smoke]\n", options->name,
                    runs_daemon ? " [--daemon VTAD]" : "");
            if (options->recordings)
                fputs("Recorded streams are looked for under $VTA_SHARED (default ../shared).\n",
                      to);
            if (runs_daemon)
                fputs("The daemon is the build's unless another is named.\n", to);
            exit(option == 'h' ? 0 : 2);
        }
    }
}

struct measure_table {
    char title[64];
    struct row *rows;
    size_t count;
};

struct measure_table *measure_table_new(const char *title)
{
    struct measure_table *table = calloc(1, sizeof(*table));
    if (table == NULL)
        abort();
    snprintf(table->title, sizeof(table->title), "%s", title);
    return table;
}

void measure_row(struct measure_table *table, const char *name, double value, const char *unit,
                 double ratio, const char *ratio_of, double target, bool at_least)
{
    struct row *rows = realloc(table->rows, (table->count + 1) * sizeof(*rows));
    if (rows == NULL)
        abort();
    table->rows = rows;
    struct row *row = &rows[table->count++];
    memset(row, 0, sizeof(*row));
    snprintf(row->name, sizeof(row->name), "%s", name);
    snprintf(row->unit, sizeof(row->unit), "%s", unit);
    snprintf(row->ratio_of, sizeof(row->ratio_of), "%s", ratio_of);
    row->value = value;
    row->ratio = ratio;
    row->target = target;
    row->at_least = at_least;
    row->ok = isnan(target) || (at_least ? ratio >= target : ratio <= target);
}

/* How many columns a UTF-8 text takes. */
static int columns(const char *text)
{
    int n = 0;
    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void print_padded(const char *text, int width)
{
    printf("%s%*s", text, width > columns(text) ? width - columns(text) : 0, "");
}

static void print_lines(const struct measure_table *table)
{
    int name = 0, unit = 0;
    for (size_t i = 0; i < table->count; i++) {
        int n = columns(table->rows[i].name), u = columns(table->rows[i].unit);
        name = n > name ? n : name;
        unit = u > unit ? u : unit;
    }
    for (size_t i = 0; i < table->count; i++) {
        const struct row *row = &table->rows[i];
        print_padded(row->name, name);
        printf("  %9.3g ", row->value);
        print_padded(row->unit, unit);
        printf("  %7.3g %s", row->ratio, row->ratio_of);
        if (isnan(row->target))
            puts("");
        else
            printf(" (target %s %.3g)  %s\n", row->at_least ? "≥" : "≤", row->target,
                   row->ok ? "ok" : "below");
    }
}

static void print_json(const struct measure_table *table)
{
    cJSON *root = cJSON_CreateObject(), *rows = cJSON_AddArrayToObject(root, "rows");
    cJSON_AddStringToObject(root, "bench", table->title);
    for (size_t i = 0; i < table->count; i++) {
        const struct row *row = &table->rows[i];
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddStringToObject(entry, "name", row->name);
        cJSON_AddNumberToObject(entry, "value", row->value);
        cJSON_AddStringToObject(entry, "unit", row->unit);
        cJSON_AddNumberToObject(entry, "ratio", row->ratio);
        cJSON_AddStringToObject(entry, "ratio_of", row->ratio_of);
        if (!isnan(row->target)) {
            cJSON_AddNumberToObject(entry, "target", row->target);
            cJSON_AddStringToObject(entry, "target_is", row->at_least ? "at least" : "at most");
            cJSON_AddBoolToObject(entry, "ok", row->ok);
        }
        cJSON_AddItemToArray(rows, entry);
    }
    char *text = cJSON_Print(root);
    puts(text != NULL ? text : "{}");
    cJSON_free(text);
    cJSON_Delete(root);
}

void measure_table_print(const struct measure_table *table, bool json)
{
    if (json)
        print_json(table);
    else
        print_lines(table);
}

size_t measure_table_rows(const struct measure_table *table, size_t *missed)
{
    *missed = 0;
    for (size_t i = 0; i < table->count; i++)
        *missed += !table->rows[i].ok;
    return table->count;
}

void measure_table_free(struct measure_table *table)
{
    free(table->rows);
    free(table);
}
