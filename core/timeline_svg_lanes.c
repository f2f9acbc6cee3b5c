/* timeline_svg_lanes.c: the lanes of the picture: what each unit executes over time
 * (timeline_svg.h).
 *
 * A short program is drawn instruction by instruction, with names where they fit and an arrow for
 * each token. Of a long one, whose instructions would be thinner than a line, each column shows
 * which share of its time went into what.
 */
#include "timeline_svg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EXACT_MAX  300u /* instructions that are drawn one by one */
#define ARROWS_MAX 160u /* tokens that are drawn */
#define COLUMNS    433u /* two pixels each */
#define LANE       38.0 /* height */
#define GAP        20.0

struct lanes {
    const struct vta_timeline *timeline;
    FILE *file;
    double y;     /* of the first lane */
    double scale; /* pixels per cycle */
};

static double x_of(const struct lanes *lanes, uint64_t cycles)
{
    return SVG_LEFT + (double)cycles * lanes->scale;
}

static double lane_y(const struct lanes *lanes, int lane)
{
    return lanes->y + lane * (LANE + GAP);
}

/* ---- Axis ---------------------------------------------------------------------------------- */

/* The smallest of 1, 2, 5, 10, … that makes at most ten ticks. */
static double tick_step(double whole)
{
    double step = pow(10, floor(log10(whole / 10)));
    static const double factors[] = { 1, 2, 5 };
    for (int i = 0; i < 3; i++)
        if (whole / (step * factors[i]) <= 10)
            return step * factors[i];
    return step * 10;
}

/* A tick's time, in the unit that suits the whole axis. */
static void put_tick(FILE *file, double x, double y, double ns, double whole)
{
    static const char *const units[] = { "ns", "µs", "ms", "s" };
    int unit = 0;
    for (; unit < 3 && whole >= 1000; unit++) {
        ns /= 1000;
        whole /= 1000;
    }
    svg_text(file, x, y, "s",
             ns == 0              ? "start"
             : x > SVG_RIGHT - 20 ? "end"
                                  : "middle",
             "%g %s", ns, units[unit]);
}

static void put_axis(const struct lanes *lanes, double bottom)
{
    const double whole =
        (double)lanes->timeline->timing.cycles * 1000 / lanes->timeline->profile.clock_mhz; /* ns */
    if (whole <= 0)
        return;
    const double step = tick_step(whole);
    for (int i = 0; i * step <= whole * 1.0001; i++) {
        const double x = SVG_LEFT + i * step / whole * (SVG_RIGHT - SVG_LEFT);
        fprintf(lanes->file,
                "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#dddddd\"/>\n", x,
                lanes->y - 6, x, bottom);
        put_tick(lanes->file, x, lanes->y - 10, i * step, whole);
    }
}

/* ---- Instruction by instruction ------------------------------------------------------------ */

static void put_insn(const struct lanes *lanes, uint32_t index)
{
    const struct vta_timing_event *event = &lanes->timeline->events[index];
    const struct vta_insn *insn = &lanes->timeline->program->insns[index];
    const enum svg_kind kind = svg_kind_of(insn);
    const double x = x_of(lanes, event->start), y = lane_y(lanes, (int)event->unit);
    const double width = x_of(lanes, event->end) - x;
    char name[VTA_TIMELINE_NAME];
    if (event->end == event->start)
        return;
    fprintf(lanes->file,
            "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.0f\" fill=\"%s\" "
            "stroke=\"#ffffff\" stroke-width=\"%.1f\"><title>insn %u</title></rect>\n",
            x, y, width < 0.5 ? 0.5 : width, LANE, svg_kind_colour(kind), width > 8 ? 0.6 : 0,
            index);
    vta_timeline_name(insn, name);
    const bool named = width >= 6.6 * (double)strlen(name) + 8;
    const char *class = svg_kind_is_light(kind) ? "s" : "b";
    if (named)
        svg_text(lanes->file, x + width / 2, y + 17, class, "middle", "%s", name);
    if (named || width >= 24)
        svg_text(lanes->file, x + width / 2, y + (named ? 31 : 24), class, "middle", "%u", index);
}

/* From the lane of the unit that pushed to that of the one that popped. */
static void put_arrow(const struct lanes *lanes, uint32_t from, const struct vta_timing_event *to)
{
    const struct vta_timing_event *pusher = &lanes->timeline->events[from];
    const bool down = to->unit > pusher->unit;
    const double y1 = lane_y(lanes, (int)pusher->unit) + (down ? LANE : 0);
    const double y2 = lane_y(lanes, (int)to->unit) + (down ? 0 : LANE);
    fprintf(lanes->file,
            "<path d=\"M%.2f,%.1f L%.2f,%.1f\" stroke=\"#333333\" stroke-width=\"0.9\" "
            "fill=\"none\" marker-end=\"url(#a)\"/>\n",
            x_of(lanes, pusher->end), y1, x_of(lanes, to->start), y2);
}

static bool is_insn(uint32_t index)
{
    return index != VTA_TIMING_NONE && index != VTA_TIMING_BEFORE;
}

static void put_arrows(const struct lanes *lanes)
{
    const struct vta_timeline *timeline = lanes->timeline;
    uint32_t tokens = 0;
    for (uint32_t i = 0; i < timeline->program->count; i++)
        tokens +=
            is_insn(timeline->events[i].popped_prev) + is_insn(timeline->events[i].popped_next);
    if (tokens > ARROWS_MAX)
        return;
    fputs("<marker id=\"a\" viewBox=\"0 0 6 6\" refX=\"6\" refY=\"3\" markerWidth=\"6\" "
          "markerHeight=\"6\" orient=\"auto\"><path d=\"M0,0 L6,3 L0,6 Z\" fill=\"#333333\"/>"
          "</marker>\n",
          lanes->file);
    for (uint32_t i = 0; i < timeline->program->count; i++) {
        const struct vta_timing_event *event = &timeline->events[i];
        if (is_insn(event->popped_prev))
            put_arrow(lanes, event->popped_prev, event);
        if (is_insn(event->popped_next))
            put_arrow(lanes, event->popped_next, event);
    }
}

/* ---- Column by column ---------------------------------------------------------------------- */

/* Adds `amount`, spread evenly over cycles [begin, end), to the columns. */
static void spread(const struct lanes *lanes, double *columns, uint64_t begin, uint64_t end,
                   double amount)
{
    const double per_cycle = (double)COLUMNS / (double)lanes->timeline->timing.cycles;
    const double from = (double)begin * per_cycle, to = (double)end * per_cycle;
    if (end <= begin)
        return;
    for (uint32_t column = (uint32_t)from; column < COLUMNS && column < to; column++) {
        const double low = column > from ? column : from;
        const double high = column + 1 < to ? column + 1 : to;
        columns[column] += amount * (high - low) / (to - from);
    }
}

/* One colour of a lane: in each column its share, on top of what `floors` holds. */
static void put_columns(const struct lanes *lanes, int lane, const double *shares, double *floors,
                        const char *colour)
{
    const double width = (SVG_RIGHT - SVG_LEFT) / COLUMNS, bottom = lane_y(lanes, lane) + LANE;
    bool open = false;
    for (uint32_t column = 0; column < COLUMNS; column++) {
        double share = shares[column] > 1 - floors[column] ? 1 - floors[column] : shares[column];
        if (share < 0.004)
            continue;
        if (!open)
            fprintf(lanes->file, "<path fill=\"%s\" d=\"", colour);
        open = true;
        fprintf(lanes->file, "M%.1f,%.1fh%.1fv-%.1fh-%.1fz", SVG_LEFT + column * width,
                bottom - floors[column] * LANE, width, share * LANE, width);
        floors[column] += share;
    }
    if (open)
        fputs("\"/>\n", lanes->file);
}

static void put_unit_columns(const struct lanes *lanes, int unit, double *columns, double *floors)
{
    const struct vta_timeline *timeline = lanes->timeline;
    const double column_cycles = (double)timeline->timing.cycles / COLUMNS;
    memset(floors, 0, COLUMNS * sizeof(*floors));
    for (int kind = 0; kind < SVG_KINDS; kind++) {
        memset(columns, 0, COLUMNS * sizeof(*columns));
        for (uint32_t i = 0; i < timeline->program->count; i++) {
            const struct vta_timing_event *event = &timeline->events[i];
            if ((int)event->unit == unit && (int)svg_kind_of(&timeline->program->insns[i]) == kind)
                spread(lanes, columns, event->start, event->end,
                       (double)(event->end - event->start) / column_cycles);
        }
        put_columns(lanes, unit, columns, floors, svg_kind_colour((enum svg_kind)kind));
    }
}

static void put_port_columns(const struct lanes *lanes, double *columns, double *floors)
{
    const struct vta_timeline *timeline = lanes->timeline;
    const double column_cycles = (double)timeline->timing.cycles / COLUMNS;
    memset(floors, 0, COLUMNS * sizeof(*floors));
    memset(columns, 0, COLUMNS * sizeof(*columns));
    for (uint32_t i = 0; i < timeline->program->count; i++) {
        const struct vta_timing_event *event = &timeline->events[i];
        if (event->bytes != 0)
            spread(lanes, columns, event->port_begin, event->port_end,
                   (double)event->port_busy / column_cycles);
    }
    put_columns(lanes, VTA_CORE_UNITS, columns, floors, "#aa3377");
}

/* ---- All ----------------------------------------------------------------------------------- */

static void put_labels(const struct lanes *lanes)
{
    for (int lane = 0; lane <= VTA_CORE_UNITS; lane++) {
        svg_rect(lanes->file, SVG_LEFT, lane_y(lanes, lane), SVG_RIGHT - SVG_LEFT, LANE, "#f6f6f6");
        svg_text(lanes->file, SVG_LEFT - 10, lane_y(lanes, lane) + LANE / 2 + 4, "t", "end", "%s",
                 lane == VTA_CORE_UNITS ? "memory port"
                                        : vta_core_unit_name((enum vta_core_unit)lane));
    }
}

int svg_lanes(const struct vta_timeline *timeline, FILE *file, double y, double *below,
              struct vta_error *error)
{
    const uint64_t cycles = timeline->timing.cycles > 0 ? timeline->timing.cycles : 1;
    const bool exact = timeline->program->count <= EXACT_MAX;
    const struct lanes lanes = { timeline, file, y + 30, (SVG_RIGHT - SVG_LEFT) / (double)cycles };
    double *columns = calloc(2 * (size_t)COLUMNS, sizeof(*columns));
    if (columns == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a picture");
    *below = lane_y(&lanes, VTA_CORE_UNITS) + LANE;
    svg_text(file, 24, y, "h", "start", "Timeline");
    svg_text(
        file, SVG_LEFT, y, "s", "start",
        exact ? "instruction by instruction; arrows are tokens; the port without what fetch reads"
              : "of each column of time, the share that went into what; the port without what "
                "fetch reads");
    put_labels(&lanes);
    put_axis(&lanes, *below);
    if (exact)
        for (uint32_t i = 0; i < timeline->program->count; i++)
            put_insn(&lanes, i);
    else
        for (int unit = 0; unit < VTA_CORE_UNITS; unit++)
            put_unit_columns(&lanes, unit, columns, columns + COLUMNS);
    if (timeline->timing.cycles > 0)
        put_port_columns(&lanes, columns, columns + COLUMNS);
    if (exact)
        put_arrows(&lanes);
    free(columns);
    return 0;
}
