/* hazard_dram.c: races in DRAM: a store against a load whose bytes overlap (hazard.h).
 *
 * Most programs store where they never load, and then sorted spans say so. Where spans do meet, the
 * rows of those transfers cut DRAM into cells, and the walk of hazard_sram.c is made over cells
 * instead of entries, with a tree that assigns to and asks a whole row at once. Where there are too
 * many rows for one tree, DRAM is cut into windows that are walked one after the other.
 */
#include <stdlib.h>
#include <string.h>

#include "hazard_find.h"

/* Rows that are walked at once: some 100 bytes of memory each. */
#define ROWS_MAX (1u << 20)

/* Rows that are walked in all, which takes some ten seconds. */
#define ROWS_SEARCHED (1u << 24)

/* Of a row in one tree. */
#define STEPS_PER_ROW 64

/* A byte of DRAM: what it counts from comes first. */
struct place {
    uint64_t at;
    uint32_t base;
};

/* A LOAD or STORE that moves data: `rows` rows of `nbytes` bytes, `stride` apart, with gaps. */
struct transfer {
    struct place from;
    uint64_t nbytes, stride, rows, end; /* end: one past its last byte */
    uint32_t insn;
};

struct transfers {
    struct transfer *items; /* in the order of their unit */
    uint32_t count;
};

static int compare_places(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->base != y->base)
        return x->base < y->base ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static struct transfer transfer_of(const struct vta_program *program, uint32_t insn)
{
    const struct vta_mem_insn *mem = &program->insns[insn].mem;
    const uint64_t elem = program->hw.dram_elem_bytes[mem->memory];
    struct transfer t = { .from = { mem->dram_base * elem, program->bases[insn] },
                          .nbytes = mem->x_size * elem,
                          .stride = mem->x_stride * elem,
                          .rows = mem->y_size,
                          .insn = insn };
    t.end = t.from.at + (t.rows - 1) * t.stride + t.nbytes;
    if (t.stride <= t.nbytes) { /* rows without gaps are one row */
        t.nbytes = t.end - t.from.at;
        t.rows = 1;
    }
    return t;
}

/* A unit's transfers between DRAM and INP, WGT, ACC or OUT. Micro-ops are the program's own. */
static int collect(const struct vta_finder *finder, enum vta_core_unit unit,
                   struct transfers *transfers, struct vta_error *error)
{
    const uint32_t count = finder->ordering.count[unit];
    transfers->items = malloc(((size_t)count + 1) * sizeof(*transfers->items));
    if (transfers->items == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory to look for races in DRAM");
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t index = finder->ordering.insns[unit][i];
        const struct vta_insn *insn = &finder->program->insns[index];
        if (insn->opcode <= VTA_OP_STORE && insn->mem.memory != VTA_MEM_UOP &&
            insn->mem.x_size != 0 && insn->mem.y_size != 0)
            transfers->items[transfers->count++] = transfer_of(finder->program, index);
    }
    return 0;
}

/* ---- Spans --------------------------------------------------------------------------------- */

struct span {
    struct place from;
    uint64_t end;
};

/* The transfers' spans, sorted, those that overlap joined. Returns how many. */
static uint32_t join_spans(struct span *spans, const struct transfers *transfers)
{
    uint32_t joined = 0;
    for (uint32_t i = 0; i < transfers->count; i++)
        spans[i] = (struct span){ transfers->items[i].from, transfers->items[i].end };
    if (transfers->count != 0)
        qsort(spans, transfers->count, sizeof(*spans), compare_places); /* from comes first */
    for (uint32_t i = 0; i < transfers->count; i++) {
        struct span *last = joined == 0 ? NULL : &spans[joined - 1];
        if (last == NULL || last->from.base != spans[i].from.base || spans[i].from.at >= last->end)
            spans[joined++] = spans[i];
        else if (spans[i].end > last->end)
            last->end = spans[i].end;
    }
    return joined;
}

/* Whether a transfer's span meets one of these. */
static bool meets_span(const struct transfer *t, const struct span *spans, uint32_t count)
{
    uint32_t low = 0, high = count; /* the first span that ends after t's beginning */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct span *span = &spans[middle];
        if (span->from.base < t->from.base ||
            (span->from.base == t->from.base && span->end <= t->from.at))
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && spans[low].from.base == t->from.base && spans[low].from.at < t->end;
}

/* Keeps of *these the transfers that meet one of the others. */
static int keep_meeting(const struct vta_finder *finder, struct transfers *these,
                        const struct transfers *others, struct vta_error *error)
{
    int rc = vta_finder_step(finder, ((uint64_t)these->count + others->count) * 8, error);
    struct span *spans = rc == 0 ? malloc(((size_t)others->count + 1) * sizeof(*spans)) : NULL;
    if (rc == 0 && spans == NULL)
        rc = vta_error_set(error, VTA_ENOMEM, "no memory to look for races in DRAM");
    if (rc != 0)
        return rc;
    const uint32_t count = join_spans(spans, others);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < these->count; i++)
        if (meets_span(&these->items[i], spans, count))
            these->items[kept++] = these->items[i];
    these->count = kept;
    free(spans);
    return 0;
}

/* ---- Windows ------------------------------------------------------------------------------- */

/* Places from `from` up to, but without, `to`. */
struct window {
    struct place from, to;
};

static bool holds(const struct window *window, struct place place)
{
    return compare_places(&window->from, &place) <= 0 && compare_places(&place, &window->to) < 0;
}

/* The rows of a transfer that have bytes in a window, which may cut the first and the last. */
static struct vta_run rows_in(const struct window *window, const struct transfer *t)
{
    const struct place end = { t->end - 1, t->from.base };
    struct vta_run rows = { 0, (uint32_t)t->rows };
    if (compare_places(&window->to, &t->from) <= 0 || compare_places(&window->from, &end) > 0)
        return (struct vta_run){ 0, 0 };
    if (window->from.base == t->from.base && window->from.at >= t->from.at + t->nbytes)
        rows.begin = (uint32_t)((window->from.at - t->from.at - t->nbytes) / t->stride + 1);
    if (window->to.base == t->from.base && t->rows > 1 && window->to.at < t->end)
        rows.end = (uint32_t)((window->to.at - 1 - t->from.at) / t->stride + 1);
    return rows.begin < rows.end ? rows : (struct vta_run){ 0, 0 };
}

/* The part of a row that a window holds. */
static struct span row_in(const struct window *window, const struct transfer *t, uint32_t row)
{
    struct span span = { { t->from.at + row * t->stride, t->from.base }, 0 };
    span.end = span.from.at + t->nbytes;
    if (window->from.base == t->from.base && window->from.at > span.from.at)
        span.from.at = window->from.at;
    if (window->to.base == t->from.base && window->to.at < span.end)
        span.end = window->to.at;
    return span;
}

/* Copies those of *from that have rows in a window. Returns how many rows they have there. */
static uint64_t take_those_in(struct transfers *these, const struct transfers *from,
                              const struct window *window)
{
    uint64_t rows = 0;
    these->count = 0;
    for (uint32_t i = 0; i < from->count; i++) {
        const struct vta_run run = rows_in(window, &from->items[i]);
        if (run.begin == run.end)
            continue;
        these->items[these->count++] = from->items[i];
        rows += run.end - run.begin;
    }
    return rows;
}

/* Shrinks a window to what the transfers that have rows in it reach. */
static void shrink(struct window *window, const struct transfers *transfers)
{
    struct window reach = { window->to, window->from };
    for (uint32_t i = 0; i < transfers->count; i++) {
        const struct transfer *t = &transfers->items[i];
        const struct place end = { t->end, t->from.base };
        if (compare_places(&t->from, &reach.from) < 0)
            reach.from = t->from;
        if (compare_places(&end, &reach.to) > 0)
            reach.to = end;
    }
    if (compare_places(&reach.from, &window->from) > 0)
        window->from = reach.from;
    if (compare_places(&reach.to, &window->to) < 0)
        window->to = reach.to;
}

/* Where a window is to be cut: between two bases, if it has several. */
static struct place middle_of(const struct window *window)
{
    struct place middle = window->from;
    if (window->from.base != window->to.base) {
        middle.base += (window->to.base - window->from.base + 1) / 2;
        middle.at = 0;
    } else {
        middle.at += (window->to.at - window->from.at) / 2;
    }
    return middle;
}

/* ---- Cells --------------------------------------------------------------------------------- */

/* DRAM cut where a row begins or ends, and for each cell 1 + the latest transfer that read it. */
struct cells {
    struct place *cuts;
    uint32_t count; /* of cuts */
    uint32_t *all;  /* by node of the tree: the latest that read the node's whole range */
    uint32_t *some; /* … that read any of it */
};

static void add_cuts(struct cells *cells, const struct transfers *transfers,
                     const struct window *window)
{
    for (uint32_t i = 0; i < transfers->count; i++) {
        const struct transfer *t = &transfers->items[i];
        const struct vta_run rows = rows_in(window, t);
        for (uint32_t row = rows.begin; row < rows.end; row++) {
            const struct span span = row_in(window, t, row);
            cells->cuts[cells->count++] = span.from;
            cells->cuts[cells->count++] = (struct place){ span.end, span.from.base };
        }
    }
}

static int cells_make(struct cells *cells, const struct transfers *stores,
                      const struct transfers *loads, const struct window *window, uint64_t rows,
                      struct vta_error *error)
{
    const size_t most = 2 * (size_t)rows;
    cells->cuts = malloc((most + 1) * sizeof(*cells->cuts));
    cells->all = calloc(4 * (most + 1), sizeof(*cells->all));
    cells->some = calloc(4 * (most + 1), sizeof(*cells->some));
    if (cells->cuts == NULL || cells->all == NULL || cells->some == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory to look for races in DRAM");
    add_cuts(cells, stores, window);
    add_cuts(cells, loads, window);
    qsort(cells->cuts, cells->count, sizeof(*cells->cuts), compare_places);
    uint32_t count = 0;
    for (uint32_t i = 0; i < cells->count; i++)
        if (count == 0 || compare_places(&cells->cuts[count - 1], &cells->cuts[i]) != 0)
            cells->cuts[count++] = cells->cuts[i];
    cells->count = count;
    return 0;
}

static void cells_free(struct cells *cells)
{
    free(cells->cuts);
    free(cells->all);
    free(cells->some);
}

/* The number of the cut at a place, which is one. */
static uint32_t cut_at(const struct cells *cells, struct place place)
{
    const struct place *cut =
        bsearch(&place, cells->cuts, cells->count, sizeof(*cells->cuts), compare_places);
    return (uint32_t)(cut - cells->cuts);
}

/* Cells [begin, end) were read by `value`, which is larger than all before. */
static void assign(struct cells *cells, uint32_t node, uint32_t low, uint32_t high,
                   struct vta_run run, uint32_t value)
{
    if (low >= run.end || high <= run.begin)
        return;
    cells->some[node] = value;
    if (low >= run.begin && high <= run.end) {
        cells->all[node] = value;
        return;
    }
    const uint32_t middle = low + (high - low) / 2;
    assign(cells, 2 * node, low, middle, run, value);
    assign(cells, 2 * node + 1, middle, high, run, value);
}

static uint32_t latest(const struct cells *cells, uint32_t node, uint32_t low, uint32_t high,
                       struct vta_run run)
{
    if (low >= run.end || high <= run.begin)
        return 0;
    if (low >= run.begin && high <= run.end)
        return cells->some[node];
    const uint32_t middle = low + (high - low) / 2;
    const uint32_t left = latest(cells, 2 * node, low, middle, run);
    const uint32_t right = latest(cells, 2 * node + 1, middle, high, run);
    const uint32_t best = left > right ? left : right;
    return best > cells->all[node] ? best : cells->all[node];
}

/* The cells of one row, as far as the window holds it. */
static struct vta_run row_cells(const struct cells *cells, const struct window *window,
                                const struct transfer *t, uint32_t row)
{
    const struct span span = row_in(window, t, row);
    const struct place end = { span.end, span.from.base };
    return (struct vta_run){ cut_at(cells, span.from), cut_at(cells, end) };
}

/* ---- Races --------------------------------------------------------------------------------- */

/* Adds to *extent the bytes that row [begin, end) shares with a transfer. */
static void shared_with_row(const struct transfer *t, uint64_t begin, uint64_t end,
                            struct vta_extent *extent)
{
    uint64_t row = 0; /* the first that may end after begin */
    if (t->stride != 0 && begin >= t->from.at + t->nbytes)
        row = (begin - t->from.at - t->nbytes) / t->stride + 1;
    for (; row < t->rows; row++) {
        uint64_t from = t->from.at + row * t->stride, to = from + t->nbytes;
        if (from >= end)
            return;
        from = from > begin ? from : begin;
        to = to < end ? to : end;
        if (from < to)
            vta_extent_add(extent, from, to);
    }
}

static struct vta_extent shared_bytes(struct vta_finder *finder, const struct transfer *a,
                                      const struct transfer *b)
{
    struct vta_extent extent = { 0 };
    if (a->from.base != b->from.base || a->from.at >= b->end || b->from.at >= a->end)
        return extent;
    for (uint64_t row = 0; row < a->rows; row++) {
        const uint64_t begin = a->from.at + row * a->stride;
        shared_with_row(b, begin, begin + a->nbytes, &extent);
    }
    const uint64_t cost = a->rows + b->rows;
    finder->budget = finder->budget > cost ? finder->budget - cost : 0;
    return extent;
}

/* The walk over one unit's loads, within a window. */
struct walk {
    struct vta_finder *finder;
    enum vta_core_unit unit;
    const struct transfers *stores, *loads; /* that have rows in the window */
    struct window window;
    struct cells cells;
    uint32_t passed; /* loads */
};

/* Adds the race of a store with a load, if they share bytes. Of several windows where they do, the
 * first one has it. */
static int compare_pair(const struct walk *walk, const struct transfer *store,
                        const struct transfer *load, struct vta_error *error)
{
    struct vta_finder *finder = walk->finder;
    const uint64_t budget = finder->budget;
    const struct vta_hazard where = { .memory = VTA_HAZARD_DRAM,
                                      .base = store->from.base,
                                      .extent = shared_bytes(finder, store, load) };
    finder->budget -= finder->budget > 0;
    int rc = vta_finder_step(finder, 1 + budget - finder->budget, error);
    if (rc != 0)
        return rc;
    const struct place first = { where.extent.begin, store->from.base };
    if (where.extent.count == 0 || !holds(&walk->window, first))
        return 0;
    return vta_finder_add_race(finder, store->insn, true, load->insn, &where, error);
}

/* The position in its unit of a load. */
static uint32_t position_of(const struct walk *walk, uint32_t load)
{
    return walk->finder->ordering.positions[walk->loads->items[load].insn];
}

/* The latest load passed that shares a byte with a store, as 1 + its number; or 0. */
static uint32_t latest_of(const struct walk *walk, const struct transfer *store)
{
    uint32_t last = 0;
    const struct vta_run rows = rows_in(&walk->window, store);
    for (uint32_t row = rows.begin; row < rows.end; row++) {
        const struct vta_run run = row_cells(&walk->cells, &walk->window, store, row);
        uint32_t found = latest(&walk->cells, 1, 0, walk->cells.count, run);
        last = found > last ? found : last;
    }
    return last;
}

/* The first load at or after a position of its unit. */
static uint32_t load_from(const struct walk *walk, uint32_t position)
{
    uint32_t low = 0, high = walk->passed;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (position_of(walk, middle) < position)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int compare_store(struct walk *walk, const struct transfer *store, struct vta_error *error)
{
    const uint32_t begin = vta_concurrent_begin(&walk->finder->ordering, store->insn, walk->unit);
    const uint32_t last = latest_of(walk, store);
    if (last == 0 || position_of(walk, last - 1) < begin)
        return 0;
    uint32_t first = load_from(walk, begin);
    int rc = 0;
    for (; rc == 0 && first < last - 1 && walk->finder->budget > 0; first++)
        rc = compare_pair(walk, store, &walk->loads->items[first], error);
    if (first < last - 1)
        walk->finder->hazards->complete = false;
    return rc != 0 ? rc : compare_pair(walk, store, &walk->loads->items[last - 1], error);
}

/* As core/control.h counts them, of walking these rows. */
static uint64_t steps_of(struct vta_run rows)
{
    return 1 + (uint64_t)(rows.end - rows.begin) * STEPS_PER_ROW;
}

/* Passes a load: its rows are read from now on. */
static int pass_load(struct walk *walk, struct vta_error *error)
{
    const struct transfer *load = &walk->loads->items[walk->passed++];
    const struct vta_run rows = rows_in(&walk->window, load);
    for (uint32_t row = rows.begin; row < rows.end; row++)
        assign(&walk->cells, 1, 0, walk->cells.count,
               row_cells(&walk->cells, &walk->window, load, row), walk->passed);
    return vta_finder_step(walk->finder, steps_of(rows), error);
}

static int walk_stores(struct walk *walk, uint64_t rows, struct vta_error *error)
{
    const struct vta_ordering *ordering = &walk->finder->ordering;
    int rc = vta_finder_step(walk->finder, rows * STEPS_PER_ROW, error);
    if (rc == 0)
        rc = cells_make(&walk->cells, walk->stores, walk->loads, &walk->window, rows, error);
    for (uint32_t i = 0; rc == 0 && i < walk->stores->count; i++) {
        const struct transfer *store = &walk->stores->items[i];
        const uint32_t position = ordering->positions[store->insn];
        while (rc == 0 && walk->passed < walk->loads->count &&
               !vta_precedes(ordering, VTA_CORE_STORE, position,
                             walk->loads->items[walk->passed].insn))
            rc = pass_load(walk, error);
        const struct vta_run rows_here = rows_in(&walk->window, store);
        if (rc == 0)
            rc = vta_finder_step(walk->finder, steps_of(rows_here), error);
        if (rc == 0)
            rc = compare_store(walk, store, error);
    }
    cells_free(&walk->cells);
    return rc;
}

/* Finds races whose first byte is in a window, if need be in its halves. */
static int find_in_window(struct vta_finder *finder, enum vta_core_unit unit,
                          const struct transfers *all_stores, const struct transfers *all_loads,
                          struct window window, struct vta_error *error)
{
    struct transfers stores = { .items = malloc((all_stores->count + 1) * sizeof(*stores.items)) };
    struct transfers loads = { .items = malloc((all_loads->count + 1) * sizeof(*loads.items)) };
    int rc = vta_finder_step(finder, (uint64_t)all_stores->count + all_loads->count, error);
    if (stores.items == NULL || loads.items == NULL) {
        rc = vta_error_set(error, VTA_ENOMEM, "no memory to look for races in DRAM");
        goto done;
    }
    const uint64_t rows =
        take_those_in(&stores, all_stores, &window) + take_those_in(&loads, all_loads, &window);
    if (rc != 0 || stores.count == 0 || loads.count == 0)
        goto done;
    shrink(&window, &stores);
    const struct place middle = middle_of(&window);
    if (rows <= ROWS_MAX || compare_places(&middle, &window.from) == 0) {
        struct walk walk = {
            .finder = finder, .unit = unit, .stores = &stores, .loads = &loads, .window = window
        };
        rc = walk_stores(&walk, rows, error);
        goto done;
    }
    rc = find_in_window(finder, unit, &stores, &loads, (struct window){ window.from, middle },
                        error);
    if (rc == 0)
        rc = find_in_window(finder, unit, &stores, &loads, (struct window){ middle, window.to },
                            error);
done:
    free(stores.items);
    free(loads.items);
    return rc;
}

static uint64_t rows_of(const struct transfers *transfers)
{
    uint64_t rows = 0;
    for (uint32_t i = 0; i < transfers->count; i++)
        rows += transfers->items[i].rows;
    return rows;
}

static int find_against(struct vta_finder *finder, enum vta_core_unit unit,
                        const struct transfers *all_stores, struct vta_error *error)
{
    struct transfers loads = { 0 }, stores = { 0 };
    int rc = collect(finder, unit, &loads, error);
    if (rc == 0)
        rc = keep_meeting(finder, &loads, all_stores, error);
    if (rc != 0 || loads.count == 0)
        goto done;
    rc = collect(finder, VTA_CORE_STORE, &stores, error);
    if (rc == 0)
        rc = keep_meeting(finder, &stores, &loads, error);
    if (rc != 0)
        goto done;
    if (rows_of(&stores) + rows_of(&loads) > ROWS_SEARCHED) {
        finder->hazards->complete = false;
        goto done;
    }
    const struct window everything = { { 0, 0 }, { UINT64_MAX, UINT32_MAX } };
    rc = find_in_window(finder, unit, &stores, &loads, everything, error);
done:
    free(loads.items);
    free(stores.items);
    return rc;
}

int vta_find_in_dram(struct vta_finder *finder, struct vta_error *error)
{
    struct transfers stores = { 0 };
    int rc = collect(finder, VTA_CORE_STORE, &stores, error);
    if (rc == 0 && stores.count != 0)
        rc = find_against(finder, VTA_CORE_LOAD, &stores, error);
    if (rc == 0 && stores.count != 0)
        rc = find_against(finder, VTA_CORE_COMPUTE, &stores, error);
    free(stores.items);
    return rc;
}
