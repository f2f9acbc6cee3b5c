/* timeline_svg.c: the picture of a timeline: page, heading, bars (timeline.h). Plain SVG 1.1
 * without scripts or fonts of its own, so that any viewer and any text processor shows the same.
 */
#include "timeline_svg.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- Shared -------------------------------------------------------------------------------- */

enum svg_kind svg_kind_of(const struct vta_insn *insn)
{
    if (vta_insn_is_nop(insn) || insn->opcode == VTA_OP_FINISH)
        return SVG_OTHER;
    switch (insn->opcode) {
    case VTA_OP_STORE:
        return SVG_STORE;
    case VTA_OP_GEMM:
        return SVG_GEMM;
    case VTA_OP_ALU:
        return SVG_ALU;
    default:
        return insn->mem.memory == VTA_MEM_INP   ? SVG_LOAD_INP
               : insn->mem.memory == VTA_MEM_WGT ? SVG_LOAD_WGT
               : insn->mem.memory == VTA_MEM_UOP ? SVG_LOAD_UOP
                                                 : SVG_LOAD_ACC;
    }
}

const char *svg_kind_name(enum svg_kind kind)
{
    static const char *const names[SVG_KINDS] = { "LOAD inp", "LOAD wgt", "LOAD uop", "LOAD acc",
                                                  "GEMM",     "ALU",      "STORE",    "other" };
    return names[kind];
}

/* Told apart with common kinds of colour blindness, too. */
const char *svg_kind_colour(enum svg_kind kind)
{
    static const char *const colours[SVG_KINDS] = { "#4477aa", "#2a4d7a", "#66ccee", "#88b8d8",
                                                    "#228833", "#ccbb44", "#ee6677", "#888888" };
    return colours[kind];
}

bool svg_kind_is_light(enum svg_kind kind)
{
    return kind == SVG_ALU || kind == SVG_LOAD_UOP || kind == SVG_LOAD_ACC;
}

static void put_escaped(FILE *file, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '&')
            fputs("&amp;", file);
        else if (*text == '<')
            fputs("&lt;", file);
        else if (*text == '>')
            fputs("&gt;", file);
        else if ((unsigned char)*text >= 0x20)
            fputc(*text, file);
    }
}

void svg_text(FILE *file, double x, double y, const char *class, const char *anchor,
              const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fprintf(file, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\" text-anchor=\"%s\">", x, y, class,
            anchor);
    put_escaped(file, text);
    fputs("</text>\n", file);
}

void svg_rect(FILE *file, double x, double y, double width, double height, const char *colour)
{
    fprintf(file, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\"/>\n", x,
            y, width, height, colour);
}

void svg_number(char text[SVG_NUMBER], double value)
{
    int digits = value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3;
    snprintf(text, SVG_NUMBER, "%.*f", digits, value);
}

void svg_count(char text[SVG_NUMBER], uint64_t value)
{
    char digits[24];
    size_t at = 0;
    const int count = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
    for (int i = 0; i < count && at + 4 < SVG_NUMBER; i++) {
        if (i != 0 && (count - i) % 3 == 0) {
            memcpy(text + at, "\u2009", 3); /* a thin space */
            at += 3;
        }
        text[at++] = digits[i];
    }
    text[at] = '\0';
}

static void put_unit(char text[SVG_NUMBER], double value, double step, const char *const *units,
                     int count)
{
    char number[SVG_NUMBER];
    int unit = 0;
    for (; unit + 1 < count && value >= step * 0.9995; unit++)
        value /= step;
    svg_number(number, value);
    snprintf(text, SVG_NUMBER, "%.20s %s", value == 0 ? "0" : number, units[unit]);
}

void svg_time(char text[SVG_NUMBER], double ns)
{
    static const char *const units[] = { "ns", "µs", "ms", "s" };
    put_unit(text, ns, 1000, units, 4);
}

void svg_bytes(char text[SVG_NUMBER], double bytes)
{
    static const char *const units[] = { "bytes", "KB", "MB", "GB" };
    put_unit(text, bytes, 1000, units, 4);
}

/* ---- Heading ------------------------------------------------------------------------------- */

static void put_head(const struct vta_timeline *timeline, FILE *file)
{
    const struct vta_timing *timing = &timeline->timing;
    char hardware[VTA_BITSTREAM_NAME], device[SVG_NUMBER], host[SVG_NUMBER], total[SVG_NUMBER];
    char clock[SVG_NUMBER], cycles[SVG_NUMBER];
    vta_hw_bitstream(&timeline->program->hw, hardware);
    svg_time(device, (double)timing->device_ns);
    svg_time(host, (double)timing->host_ns);
    svg_time(total, (double)timing->total_ns);
    svg_number(clock, timeline->profile.clock_mhz);
    svg_count(cycles, timing->cycles);
    svg_text(file, 24, 38, "t1", "start", "%.60s: %s per call", timeline->program->name, total);
    svg_text(file, 24, 60, "t", "start",
             "%s on the board (%s cycles at %s MHz) and %s on its host, predicted by profile %s%s",
             device, cycles, clock, host, timeline->profile.name,
             timeline->profile.measured ? "" : " (not measured)");
    svg_text(file, 24, 78, "t", "start", "%u instructions for %s", timeline->program->count,
             hardware);
}

/* ---- Bars ---------------------------------------------------------------------------------- */

/* What a bar is made of. */
enum part {
    PART_KINDS = 0, /* executing; SVG_KINDS of them */
    PART_TOKENS = SVG_KINDS,
    PART_FETCH,
    PART_SPACE,
    PART_MEMORY,
    PART_IDLE,
    PART_COUNT
};

static const char *part_name(int part)
{
    static const char *const names[] = { "waits for a token", "waits for fetch",
                                         "waits for queue space", "waits for the memory port",
                                         "has finished" };
    return part < SVG_KINDS ? svg_kind_name((enum svg_kind)part) : names[part - SVG_KINDS];
}

static const char *part_colour(int part)
{
    static const char *const colours[] = { "#d0d0d0", "#b9a7c9", "#a89078", "#e8a860", "#f2f2f2" };
    return part < SVG_KINDS ? svg_kind_colour((enum svg_kind)part) : colours[part - SVG_KINDS];
}

static void measure_parts(const struct vta_timeline *timeline, int unit, uint64_t parts[PART_COUNT])
{
    const struct vta_timing_unit *times = &timeline->timing.units[unit];
    memset(parts, 0, PART_COUNT * sizeof(*parts));
    for (uint32_t i = 0; i < timeline->program->count; i++) {
        const struct vta_timing_event *event = &timeline->events[i];
        if ((int)event->unit == unit)
            parts[svg_kind_of(&timeline->program->insns[i])] +=
                event->end - event->start - event->port_wait;
    }
    for (int wait = 0; wait < VTA_WAIT_DEAL; wait++)
        parts[PART_TOKENS] += times->waits[wait];
    parts[PART_FETCH] = times->waits[VTA_WAIT_DEAL];
    parts[PART_SPACE] = times->waits[VTA_WAIT_SPACE];
    parts[PART_MEMORY] = times->waits[VTA_WAIT_MEMORY];
    parts[PART_IDLE] = times->idle;
}

/* One bar of a width that stands for the whole time; parts that are wide enough carry a figure. */
static void put_bar(const struct vta_timeline *timeline, FILE *file, double y, const char *label,
                    const uint64_t parts[PART_COUNT], bool used[PART_COUNT])
{
    const double whole = (double)timeline->timing.cycles;
    double x = SVG_LEFT;
    svg_text(file, SVG_LEFT - 10, y + 15, "t", "end", "%s", label);
    svg_rect(file, SVG_LEFT, y, SVG_RIGHT - SVG_LEFT, 22, part_colour(PART_IDLE));
    for (int part = 0; part < PART_COUNT; part++) {
        const double width = whole > 0 ? (double)parts[part] / whole * (SVG_RIGHT - SVG_LEFT) : 0;
        if (parts[part] == 0)
            continue;
        used[part] = used[part] || width >= 1;
        svg_rect(file, x, y, width, 22, part_colour(part));
        if (width >= 34)
            svg_text(file, x + width / 2, y + 15,
                     part >= SVG_KINDS || svg_kind_is_light((enum svg_kind)part) ? "s" : "b",
                     "middle", "%.0f %%", 100 * (double)parts[part] / whole);
        x += width;
    }
}

/* The colours that were used, in rows. Returns the y below. */
static double put_legend(FILE *file, double y, const bool used[PART_COUNT])
{
    double x = SVG_LEFT;
    for (int part = 0; part < PART_COUNT; part++) {
        if (!used[part])
            continue;
        const double width = 18 + 6.3 * (double)strlen(part_name(part)) + 20;
        if (x + width > SVG_RIGHT) {
            x = SVG_LEFT;
            y += 18;
        }
        fprintf(file,
                "<rect x=\"%.1f\" y=\"%.1f\" width=\"12\" height=\"12\" fill=\"%s\" "
                "stroke=\"#999999\" stroke-width=\"0.5\"/>\n",
                x, y, part_colour(part));
        svg_text(file, x + 18, y + 10, "s", "start", "%s", part_name(part));
        x += width;
    }
    return y + 18;
}

static double put_bars(const struct vta_timeline *timeline, FILE *file, double y)
{
    const struct vta_timing *timing = &timeline->timing;
    bool used[PART_COUNT] = { false };
    uint64_t parts[PART_COUNT];
    svg_text(file, 24, y, "h", "start", "What each unit did");
    y += 12;
    for (int unit = 0; unit < VTA_CORE_UNITS; unit++, y += 28) {
        measure_parts(timeline, unit, parts);
        put_bar(timeline, file, y, vta_core_unit_name((enum vta_core_unit)unit), parts, used);
    }
    svg_text(file, SVG_LEFT - 10, y + 15, "t", "end", "memory port");
    const double share =
        timing->cycles == 0 ? 0 : (double)timing->port_busy / (double)timing->cycles;
    const double width = (share < 1 ? share : 1) * (SVG_RIGHT - SVG_LEFT);
    svg_rect(file, SVG_LEFT, y, SVG_RIGHT - SVG_LEFT, 22, part_colour(PART_IDLE));
    svg_rect(file, SVG_LEFT, y, width, 22, "#aa3377");
    svg_text(file, width >= 40 ? SVG_LEFT + width / 2 : SVG_LEFT + width + 6, y + 15,
             width >= 40 ? "b" : "s", width >= 40 ? "middle" : "start", "%.0f %%", 100 * share);
    return put_legend(file, y + 32, used);
}

static double put_path(const struct vta_timeline *timeline, FILE *file, double y)
{
    char text[VTA_TIMING_PATH_TEXT];
    vta_timing_path_print(&timeline->timing, text, sizeof(text));
    svg_text(file, 24, y, "h", "start", "Critical path");
    svg_text(file, SVG_LEFT + 24, y, "t", "start", "%s", text);
    return y;
}

/* ---- The page ------------------------------------------------------------------------------ */

#define ROOFLINE_HEIGHT 290.0

/* Everything below the heading; *below is where it ends. */
static int put_body(const struct vta_timeline *timeline, FILE *file, double *below,
                    struct vta_error *error)
{
    double y = put_bars(timeline, file, 112);
    y = put_path(timeline, file, y + 24);
    int rc = svg_lanes(timeline, file, y + 36, &y, error);
    if (rc != 0)
        return rc;
    svg_roofline(timeline, file, 24, y + 34, SVG_WIDTH - 48, ROOFLINE_HEIGHT);
    *below = y + 34 + ROOFLINE_HEIGHT + 24;
    return 0;
}

int vta_timeline_svg(const struct vta_timeline *timeline, FILE *file, struct vta_error *error)
{
    char *body = NULL;
    size_t size = 0;
    double height;
    FILE *memory = open_memstream(&body, &size);
    if (memory == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a picture");
    int rc = put_body(timeline, memory, &height, error);
    if (fclose(memory) != 0 && rc == 0)
        rc = vta_error_set(error, VTA_ENOMEM, "no memory for a picture");
    if (rc == 0) {
        fprintf(file,
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
                "viewBox=\"0 0 %.0f %.0f\">\n"
                "<style>text{font-family:'DejaVu Sans',Verdana,sans-serif;fill:#222222}"
                ".t1{font-size:20px;font-weight:bold}.h{font-size:14px;font-weight:bold}"
                ".t{font-size:12px}.s{font-size:11px}.b{font-size:11px;fill:#ffffff}</style>\n",
                SVG_WIDTH, height, SVG_WIDTH, height);
        svg_rect(file, 0, 0, SVG_WIDTH, height, "#ffffff");
        put_head(timeline, file);
        fwrite(body, 1, size, file);
        fputs("</svg>\n", file);
    }
    free(body);
    if (rc == 0 && (fflush(file) != 0 || ferror(file)))
        rc = vta_error_set(error, VTA_EIO, "cannot write the picture: %s", strerror(errno));
    return rc;
}
