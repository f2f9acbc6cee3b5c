/* timeline_svg_roofline.c: the program under the roofline of its hardware, and the figures that go
 * with it (timeline_svg.h).
 *
 * The roof over a program is what its hardware could do with the bytes that it moves: the peak of
 * its units, or the memory port's rate times operations per byte, whichever is less.
 */
#include "timeline_svg.h"

#include <math.h>

/* What is plotted. Operations are those of GEMM (a multiplication and an addition each count), or
 * of the ALU where there is no GEMM. */
struct roofline {
    const char *what;
    double ops, bytes;
    double peak;         /* Gop/s */
    double cached, dram; /* GB/s of the port, from the host's cache and from DRAM */
    double reached;      /* Gop/s */
    double intensity;    /* ops per byte */
};

static struct roofline measure(const struct vta_timeline *timeline)
{
    const struct vta_timing *timing = &timeline->timing;
    const struct vta_timing_profile *profile = &timeline->profile;
    const double ghz = profile->clock_mhz / 1000;
    const double lanes = (double)timeline->program->hw.batch * timeline->program->hw.block;
    struct roofline roofline = { .bytes = (double)timing->port_bytes,
                                 .cached = profile->port_bytes_per_cycle * ghz,
                                 .dram = profile->dram_bytes_per_cycle * ghz };
    if (timing->macs != 0) {
        roofline.what = "GEMM";
        roofline.ops = 2 * (double)timing->macs;
        roofline.peak = 2 * (double)timing->peak_macs_per_cycle * ghz;
    } else {
        roofline.what = "ALU";
        roofline.ops = (double)timing->alu_ops * lanes;
        roofline.peak = lanes / (profile->alu_cycles > 0 ? profile->alu_cycles : 1) * ghz;
    }
    if (timing->device_ns != 0)
        roofline.reached = roofline.ops / (double)timing->device_ns;
    if (roofline.bytes > 0)
        roofline.intensity = roofline.ops / roofline.bytes;
    return roofline;
}

/* ---- The plot ------------------------------------------------------------------------------ */

/* Two logarithmic axes over whole decades. */
struct plot {
    FILE *file;
    double left, top, width, height;
    double x_low, x_high, y_low, y_high; /* powers of ten */
};

static double plot_x(const struct plot *plot, double value)
{
    return plot->left + (log10(value) - plot->x_low) / (plot->x_high - plot->x_low) * plot->width;
}

static double plot_y(const struct plot *plot, double value)
{
    return plot->top + plot->height -
           (log10(value) - plot->y_low) / (plot->y_high - plot->y_low) * plot->height;
}

static void choose_axes(struct plot *plot, const struct roofline *r)
{
    const double slow = r->dram < r->cached ? r->dram : r->cached;
    const double ridge = r->peak / slow, low = fmin(r->intensity, r->peak / r->cached);
    plot->x_low = floor(log10(low / 1.5));
    plot->x_high = ceil(log10(fmax(r->intensity, ridge) * 1.5));
    plot->y_high = ceil(log10(r->peak * 1.2));
    plot->y_low = fmin(floor(log10(r->reached / 1.5)), plot->y_high - 2);
}

static void put_grid(const struct plot *plot)
{
    const double right = plot->left + plot->width, bottom = plot->top + plot->height;
    for (double x = plot->x_low; x <= plot->x_high; x++) {
        const double at = plot_x(plot, pow(10, x));
        fprintf(plot->file,
                "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#e4e4e4\"/>\n", at,
                plot->top, at, bottom);
        svg_text(plot->file, at, bottom + 15, "s", "middle", "%g", pow(10, x));
    }
    for (double y = plot->y_low; y <= plot->y_high; y++) {
        const double at = plot_y(plot, pow(10, y));
        fprintf(plot->file,
                "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#e4e4e4\"/>\n",
                plot->left, at, right, at);
        svg_text(plot->file, plot->left - 6, at + 4, "s", "end", "%g", pow(10, y));
    }
    svg_text(plot->file, plot->left + plot->width / 2, bottom + 32, "s", "middle",
             "operations per byte moved");
}

/* A roof: the slope of a bandwidth up to the peak, then level up to x_high. */
static void put_roof(const struct plot *plot, const struct roofline *r, double bandwidth,
                     double x_high, const char *dash)
{
    const double x_low = pow(10, plot->x_low);
    const double y_low = pow(10, plot->y_low), ridge = r->peak / bandwidth;
    const double x_start = fmax(x_low, y_low / bandwidth);
    fprintf(plot->file,
            "<path d=\"M%.1f,%.1f L%.1f,%.1f L%.1f,%.1f\" fill=\"none\" stroke=\"#4477aa\" "
            "stroke-width=\"2\"%s/>\n",
            plot_x(plot, x_start), plot_y(plot, x_start * bandwidth), plot_x(plot, ridge),
            plot_y(plot, r->peak), plot_x(plot, x_high), plot_y(plot, r->peak), dash);
}

static void put_point(const struct plot *plot, const struct roofline *r)
{
    const double x = plot_x(plot, r->intensity), y = plot_y(plot, r->reached);
    const bool left = x > plot->left + plot->width - 110;
    char reached[SVG_NUMBER];
    svg_number(reached, r->reached);
    fprintf(plot->file,
            "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5\" fill=\"#ee6677\" stroke=\"#222222\"/>\n", x,
            y);
    svg_text(plot->file, left ? x - 9 : x + 9, y + 4, "t", left ? "end" : "start", "%s Gop/s",
             reached);
}

static void put_plot(struct plot *plot, const struct roofline *r)
{
    choose_axes(plot, r);
    put_grid(plot);
    if (r->dram < r->cached)
        put_roof(plot, r, r->dram, r->peak / r->dram, " stroke-dasharray=\"6 4\"");
    put_roof(plot, r, r->cached, pow(10, plot->x_high), "");
    put_point(plot, r);
}

#define FIGURES 452.0 /* width of the column */

/* ---- The figures --------------------------------------------------------------------------- */

static void put_figure(FILE *file, double x, double *y, const char *name, const char *value)
{
    svg_text(file, x, *y, "t", "start", "%s", name);
    svg_text(file, x + FIGURES, *y, "t", "end", "%s", value);
    *y += 19;
}

/* A key to the two roofs. */
static void put_key(FILE *file, double x, double *y, const char *dash, double bandwidth,
                    const char *from)
{
    fprintf(file,
            "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#4477aa\" "
            "stroke-width=\"2\"%s/>\n",
            x, *y - 4, x + 34, *y - 4, dash);
    svg_text(file, x + 42, *y, "t", "start", "roof: memory port, from %s", from);
    char text[SVG_NUMBER];
    svg_number(text, bandwidth);
    svg_text(file, x + FIGURES, *y, "t", "end", "%s GB/s", text);
    *y += 19;
}

static void put_figures(const struct vta_timeline *timeline, FILE *file, double x, double y,
                        const struct roofline *r)
{
    char number[SVG_NUMBER], text[2 * SVG_NUMBER];
    put_key(file, x, &y, "", r->cached, "the host's cache");
    if (r->dram < r->cached)
        put_key(file, x, &y, " stroke-dasharray=\"6 4\"", r->dram, "DRAM");
    y += 8;
    svg_number(number, r->peak);
    snprintf(text, sizeof(text), "%s Gop/s", number);
    put_figure(file, x, &y, r->what[0] == 'G' ? "peak of GEMM" : "peak of the ALU", text);
    svg_number(number, r->reached);
    snprintf(text, sizeof(text), "%s Gop/s, %.1f %%", number,
             r->peak > 0 ? 100 * r->reached / r->peak : 0);
    put_figure(file, x, &y, "reached on the board", text);
    svg_bytes(text, r->bytes);
    put_figure(file, x, &y, "moved through the port", text);
    svg_count(text, timeline->timing.rows);
    put_figure(file, x, &y, "in DMA rows", text);
    svg_number(text, r->intensity);
    put_figure(file, x, &y, "operations per byte", text);
    svg_count(text, timeline->timing.gemm_ops);
    put_figure(file, x, &y, "GEMM steps", text);
    svg_count(text, timeline->timing.alu_ops);
    put_figure(file, x, &y, "ALU steps", text);
}

void svg_roofline(const struct vta_timeline *timeline, FILE *file, double x, double y, double width,
                  double height)
{
    const struct roofline r = measure(timeline);
    struct plot plot = { file, x + 46, y + 26, width * 0.5 - 70, height - 70, 0, 0, 0, 0 };
    svg_text(file, x, y, "h", "start", "Roofline");
    svg_text(file, x + 86, y, "s", "start", "Gop/s of %s", r.what);
    if (r.ops > 0 && r.reached > 0 && r.intensity > 0)
        put_plot(&plot, &r);
    else
        svg_text(file, x + 46, y + height / 2, "t", "start", "The program computes nothing.");
    put_figures(timeline, file, x + width * 0.5 + 24, y + 40, &r);
}
