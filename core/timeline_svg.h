/* timeline_svg.h: what the parts of the picture share: colours, text, and where they go. Private to
 * core/timeline_svg…c.
 */
#ifndef VTA_CORE_TIMELINE_SVG_H
#define VTA_CORE_TIMELINE_SVG_H

#include "timeline.h"

/* The page, and the column that bars and lanes share: labels are left of it. */
#define SVG_WIDTH 1000.0
#define SVG_LEFT  110.0
#define SVG_RIGHT 976.0

/* What an instruction executes, as colours tell it apart. */
enum svg_kind {
    SVG_LOAD_INP,
    SVG_LOAD_WGT,
    SVG_LOAD_UOP,
    SVG_LOAD_ACC,
    SVG_GEMM,
    SVG_ALU,
    SVG_STORE,
    SVG_OTHER, /* no-ops and FINISH */
    SVG_KINDS
};
enum svg_kind svg_kind_of(const struct vta_insn *insn);
const char *svg_kind_name(enum svg_kind kind);
const char *svg_kind_colour(enum svg_kind kind);
/* Whether that colour wants dark text on it, class "s", rather than "b". */
bool svg_kind_is_light(enum svg_kind kind);

/* Text with its middle, begin or end at x. class: "t1" title, "h" heading, "t" text, "s" small,
 * "b" small on a colour. */
VTA_PRINTF(6, 7)
void svg_text(FILE *file, double x, double y, const char *class, const char *anchor,
              const char *format, ...);
void svg_rect(FILE *file, double x, double y, double width, double height, const char *colour);

/* "12.3 µs", "1.5 MB", "51.2": three digits that mean something. */
#define SVG_NUMBER 32
void svg_time(char text[SVG_NUMBER], double ns);
void svg_bytes(char text[SVG_NUMBER], double bytes);
void svg_number(char text[SVG_NUMBER], double value);
/* "8 692 702", in groups of three. */
void svg_count(char text[SVG_NUMBER], uint64_t value);

/* timeline_svg_lanes.c: the timeline proper, from y down; *below is where it ends. VTA_ENOMEM. */
int svg_lanes(const struct vta_timeline *timeline, FILE *file, double y, double *below,
              struct vta_error *error);

/* timeline_svg_roofline.c: the plot in the box at x, y, and the figures beside it. */
void svg_roofline(const struct vta_timeline *timeline, FILE *file, double x, double y, double width,
                  double height);

#endif
