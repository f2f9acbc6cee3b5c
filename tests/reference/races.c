/* races.c: hazards by comparing everything with everything (races.h). */
#include "races.h"

#include <stdlib.h>
#include <string.h>

#include "insn.h"

#define MEMORIES 5 /* UOP, WGT, INP, ACC, OUT */

/* Bytes of DRAM, as ascending ranges that neither touch nor overlap. */
struct ranges {
    size_t count;
    struct range {
        uint64_t begin, end;
    } * items;
};

struct touch {
    struct ref_insn insn;
    uint8_t *reads[MEMORIES], *writes[MEMORIES]; /* a bit per entry; NULL: none */
    struct ranges dram;                          /* read by a LOAD, written by a STORE */
};

struct ref_touched {
    struct vta_hw hw;
    uint32_t count;
    struct touch *touches;
    uint32_t *uops; /* micro-op SRAM, while it is being made */
};

static bool has(const uint8_t *bits, uint64_t i)
{
    return bits != NULL && (bits[i / 8] >> (i % 8) & 1) != 0;
}

static void mark(uint8_t **bits, uint32_t depth, uint64_t i)
{
    if (*bits == NULL)
        *bits = calloc(depth / 8 + 1, 1);
    (*bits)[i / 8] = (uint8_t)((*bits)[i / 8] | 1u << (i % 8));
}

/* ---- What is touched ----------------------------------------------------------------------- */

static int compare_ranges(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    return x->begin < y->begin ? -1 : x->begin > y->begin;
}

static void add_range(struct ranges *ranges, uint64_t begin, uint64_t end)
{
    ranges->items = realloc(ranges->items, (ranges->count + 1) * sizeof(*ranges->items));
    ranges->items[ranges->count++] = (struct range){ begin, end };
}

static void tidy_ranges(struct ranges *ranges)
{
    size_t kept = 0;
    if (ranges->count == 0)
        return;
    qsort(ranges->items, ranges->count, sizeof(*ranges->items), compare_ranges);
    for (size_t i = 0; i < ranges->count; i++) {
        if (kept != 0 && ranges->items[i].begin <= ranges->items[kept - 1].end) {
            if (ranges->items[i].end > ranges->items[kept - 1].end)
                ranges->items[kept - 1].end = ranges->items[i].end;
        } else {
            ranges->items[kept++] = ranges->items[i];
        }
    }
    ranges->count = kept;
}

static void touch_mem(struct ref_touched *touched, struct touch *touch, const uint8_t *dram)
{
    const struct ref_insn *insn = &touch->insn;
    const unsigned memory = insn->memory == VTA_MEM_ACC_8BIT ? VTA_MEM_ACC : insn->memory;
    const uint64_t size = touched->hw.dram_elem_bytes[insn->memory];
    const bool store = insn->opcode == 1;
    const unsigned rows = insn->y0 + insn->y_size + insn->y1;
    const unsigned columns = insn->x0 + insn->x_size + insn->x1;
    uint64_t entry = insn->sram;
    for (unsigned y = 0; y < rows; y++) {
        for (unsigned x = 0; x < columns; x++, entry++) {
            mark(store ? &touch->reads[memory] : &touch->writes[memory], touched->hw.depth[memory],
                 entry);
            bool padding = y < insn->y0 || y >= insn->y0 + insn->y_size || x < insn->x0 ||
                           x >= insn->x0 + insn->x_size;
            uint64_t at =
                (insn->dram + (uint64_t)(y - insn->y0) * insn->x_stride + x - insn->x0) * size;
            if (memory == VTA_MEM_UOP && padding)
                touched->uops[entry] = 0;
            else if (memory == VTA_MEM_UOP)
                memcpy(&touched->uops[entry], dram + at, 4);
            else if (!padding)
                add_range(&touch->dram, at, at + size);
        }
    }
    tidy_ranges(&touch->dram);
}

static void touch_step(struct ref_touched *touched, struct touch *touch, unsigned y, unsigned x,
                       unsigned u)
{
    const struct vta_hw *hw = &touched->hw;
    const struct ref_insn *insn = &touch->insn;
    const unsigned acc = hw->log_depth[VTA_MEM_ACC], inp = hw->log_depth[VTA_MEM_INP];
    unsigned at = 0;
    ref_bits word = touched->uops[u];
    uint64_t dst = ref_take(word, &at, acc) + (uint64_t)y * insn->dst_out + x * insn->dst_in;
    uint64_t src =
        ref_take(word, &at, acc > inp ? acc : inp) + (uint64_t)y * insn->src_out + x * insn->src_in;
    uint64_t wgt = ref_take(word, &at, hw->log_depth[VTA_MEM_WGT]) + (uint64_t)y * insn->wgt_out +
                   x * insn->wgt_in;
    const bool gemm = insn->opcode == 2;

    mark(&touch->writes[VTA_MEM_ACC], hw->depth[VTA_MEM_ACC], dst);
    mark(&touch->writes[VTA_MEM_OUT], hw->depth[VTA_MEM_ACC], dst);
    if (!gemm || !insn->reset)
        mark(&touch->reads[VTA_MEM_ACC], hw->depth[VTA_MEM_ACC], dst);
    if (gemm && !insn->reset) {
        mark(&touch->reads[VTA_MEM_INP], hw->depth[VTA_MEM_INP], src);
        mark(&touch->reads[VTA_MEM_WGT], hw->depth[VTA_MEM_WGT], wgt);
    }
    if (!gemm && !insn->use_imm)
        mark(&touch->reads[VTA_MEM_ACC], hw->depth[VTA_MEM_ACC], src);
}

static void touch_insn(struct ref_touched *touched, struct touch *touch, const uint8_t *dram)
{
    const struct ref_insn *insn = &touch->insn;
    if (insn->opcode <= 1 && insn->x_size != 0)
        touch_mem(touched, touch, dram);
    if (insn->opcode != 2 && insn->opcode != 4)
        return;
    for (unsigned y = 0; y < insn->iter_out; y++)
        for (unsigned x = 0; x < insn->iter_in; x++)
            for (unsigned u = insn->uop_begin; u < insn->uop_end; u++)
                touch_step(touched, touch, y, x, u);
}

struct ref_touched *ref_touched_new(const struct vta_hw *hw, const uint8_t *insns, uint32_t count,
                                    const uint8_t *dram)
{
    struct ref_touched *touched = calloc(1, sizeof(*touched));
    touched->hw = *hw;
    touched->count = count;
    touched->touches = calloc(count + 1, sizeof(*touched->touches));
    touched->uops = calloc(hw->depth[VTA_MEM_UOP], sizeof(*touched->uops));
    for (uint32_t i = 0; i < count; i++) {
        touched->touches[i].insn = ref_decode(hw, insns + (size_t)i * 16);
        touch_insn(touched, &touched->touches[i], dram);
    }
    return touched;
}

void ref_touched_free(struct ref_touched *touched)
{
    for (uint32_t i = 0; i < touched->count; i++) {
        for (int memory = 0; memory < MEMORIES; memory++) {
            free(touched->touches[i].reads[memory]);
            free(touched->touches[i].writes[memory]);
        }
        free(touched->touches[i].dram.items);
    }
    free(touched->touches);
    free(touched->uops);
    free(touched);
}

/* ---- Order --------------------------------------------------------------------------------- */

struct table {
    uint32_t count;
    struct ref_insn *insns;
    uint32_t *order; /* as they run: of those that may start, the first in the program */
    size_t words;
    uint64_t *before; /* row i: a bit for every instruction that precedes i */
};

static bool precedes(const struct table *table, uint32_t a, uint32_t b)
{
    return table->before[b * table->words + a / 64] >> (a % 64) & 1;
}

/* Whatever precedes `a`, and `a` itself, precedes b. */
static void add_edge(struct table *table, uint32_t a, uint32_t b)
{
    for (size_t word = 0; word < table->words; word++)
        table->before[b * table->words + word] |= table->before[a * table->words + word];
    table->before[b * table->words + a / 64] |= UINT64_C(1) << (a % 64);
}

/* A queue: who pushed its tokens (UINT32_MAX: someone before the run). */
struct fifo {
    uint32_t *pushers;
    size_t pushed, popped;
};

static bool may_start(const struct ref_insn *insn, const struct fifo *fifos)
{
    const int *queues = ref_pops[ref_unit(insn)];
    const bool pops[2] = { insn->pop_prev, insn->pop_next };
    for (int k = 0; k < 2; k++)
        if (pops[k] && queues[k] != NO_QUEUE && fifos[queues[k]].popped == fifos[queues[k]].pushed)
            return false;
    return true;
}

static void start(struct table *table, uint32_t i, struct fifo *fifos, uint32_t *previous)
{
    const struct ref_insn *insn = &table->insns[i];
    const int unit = ref_unit(insn);
    const bool pops[2] = { insn->pop_prev, insn->pop_next };
    const bool pushes[2] = { insn->push_prev, insn->push_next };
    if (previous[unit] != UINT32_MAX)
        add_edge(table, previous[unit], i);
    previous[unit] = i;
    for (int k = 0; k < 2; k++) {
        struct fifo *fifo = &fifos[ref_pops[unit][k]];
        if (!pops[k] || ref_pops[unit][k] == NO_QUEUE)
            continue;
        uint32_t pusher = fifo->pushers[fifo->popped++];
        if (pusher != UINT32_MAX)
            add_edge(table, pusher, i);
    }
    for (int k = 0; k < 2; k++) {
        struct fifo *fifo = &fifos[ref_pushes[unit][k]];
        if (pushes[k] && ref_pushes[unit][k] != NO_QUEUE)
            fifo->pushers[fifo->pushed++] = i;
    }
}

/* Fills order and before; false on a deadlock. */
static bool order_all(struct table *table, const uint64_t tokens[4])
{
    struct fifo fifos[5] = { 0 };
    uint32_t previous[UNITS] = { UINT32_MAX, UINT32_MAX, UINT32_MAX }, head[UNITS] = { 0 };
    uint32_t done = 0;
    for (int queue = 0; queue < 4; queue++) {
        fifos[queue].pushers = malloc((tokens[queue] + table->count + 1) * sizeof(uint32_t));
        for (uint64_t k = 0; k < tokens[queue]; k++)
            fifos[queue].pushers[fifos[queue].pushed++] = UINT32_MAX;
    }
    for (bool moved = true; moved;) {
        uint32_t best = UINT32_MAX;
        for (int unit = 0; unit < UNITS; unit++) {
            while (head[unit] < table->count && ref_unit(&table->insns[head[unit]]) != unit)
                head[unit]++;
            if (head[unit] < best && head[unit] < table->count &&
                may_start(&table->insns[head[unit]], fifos))
                best = head[unit];
        }
        moved = best != UINT32_MAX;
        if (!moved)
            break;
        start(table, best, fifos, previous);
        table->order[done++] = best;
        head[ref_unit(&table->insns[best])]++;
    }
    for (int queue = 0; queue < 4; queue++)
        free(fifos[queue].pushers);
    return done == table->count;
}

/* ---- Comparing ----------------------------------------------------------------------------- */

static void count_one(struct ref_race *race, uint64_t begin, uint64_t end)
{
    if (race->count == 0)
        race->begin = begin;
    race->end = end;
    race->count += end - begin;
}

static void keep(struct ref_races *races, const struct ref_race *race)
{
    if (race->count == 0)
        return;
    races->items = realloc(races->items, (races->count + 1) * sizeof(*races->items));
    races->items[races->count++] = *race;
}

static void compare_sram(const struct ref_touched *touched, uint32_t i, uint32_t j,
                         struct ref_races *races)
{
    const struct touch *a = &touched->touches[i], *b = &touched->touches[j];
    for (unsigned memory = 0; memory < MEMORIES; memory++) {
        struct ref_race race = { .first = i, .second = j, .memory = memory };
        if (a->writes[memory] == NULL && b->writes[memory] == NULL)
            continue;
        for (uint64_t entry = 0; entry < touched->hw.depth[memory]; entry++) {
            bool aw = has(a->writes[memory], entry), ar = has(a->reads[memory], entry);
            bool bw = has(b->writes[memory], entry), br = has(b->reads[memory], entry);
            if ((aw && (bw || br)) || (ar && bw))
                count_one(&race, entry, entry + 1);
        }
        keep(races, &race);
    }
}

static void compare_dram(const struct ref_touched *touched, uint32_t i, uint32_t j,
                         struct ref_races *races)
{
    const struct touch *a = &touched->touches[i], *b = &touched->touches[j];
    struct ref_race race = { .first = i, .second = j, .memory = REF_DRAM };
    if ((a->insn.opcode == 1) == (b->insn.opcode == 1))
        return;
    for (size_t x = 0; x < a->dram.count; x++) {
        for (size_t y = 0; y < b->dram.count; y++) {
            const struct range *p = &a->dram.items[x], *q = &b->dram.items[y];
            uint64_t begin = p->begin > q->begin ? p->begin : q->begin;
            uint64_t end = p->end < q->end ? p->end : q->end;
            if (begin < end)
                count_one(&race, begin, end);
        }
    }
    keep(races, &race);
}

/* In the order in which they run: entries that are read and were never written. A LOAD into ACC
 * counts as written in OUT, because the simulator stores it. */
static void find_unwritten(const struct ref_touched *touched, const struct table *table,
                           struct ref_races *races)
{
    bool *written[MEMORIES];
    for (int memory = 0; memory < MEMORIES; memory++)
        written[memory] = calloc(touched->hw.depth[memory], sizeof(bool));
    for (uint32_t n = 0; n < table->count; n++) {
        const struct touch *touch = &touched->touches[table->order[n]];
        for (unsigned memory = VTA_MEM_WGT; memory < MEMORIES; memory++) {
            struct ref_race race = { table->order[n], UINT32_MAX, memory, 0, 0, 0 };
            for (uint64_t entry = 0; entry < touched->hw.depth[memory]; entry++) {
                bool missing = has(touch->reads[memory], entry) && !written[memory][entry];
                if (missing)
                    count_one(&race, entry, entry + 1);
                if (missing || has(touch->writes[memory], entry) ||
                    (memory == VTA_MEM_OUT && has(touch->writes[VTA_MEM_ACC], entry)))
                    written[memory][entry] = true;
            }
            keep(races, &race);
        }
    }
    for (int memory = 0; memory < MEMORIES; memory++)
        free(written[memory]);
}

static void compare_all(const struct ref_touched *touched, const struct table *table,
                        struct ref_races *races)
{
    for (uint32_t i = 0; i < table->count; i++) {
        for (uint32_t j = i + 1; j < table->count; j++) {
            if (ref_unit(&table->insns[i]) == ref_unit(&table->insns[j]) || precedes(table, i, j) ||
                precedes(table, j, i))
                continue;
            compare_sram(touched, i, j, races);
            compare_dram(touched, i, j, races);
        }
    }
    find_unwritten(touched, table, races);
}

/* Whether every store that moves data precedes the last instruction. */
static bool stores_are_done(const struct table *table)
{
    for (uint32_t i = 0; i + 1 < table->count; i++)
        if (table->insns[i].opcode == 1 && table->insns[i].x_size != 0 &&
            table->insns[i].y_size != 0 && !precedes(table, i, table->count - 1))
            return false;
    return true;
}

struct ref_races ref_races_find(const struct ref_touched *touched, const uint8_t *bytes,
                                const uint64_t tokens[4])
{
    const uint32_t count = touched->count;
    struct ref_races races = { .outcome = REF_DONE };
    struct table table = { .count = count, .words = count / 64 + 1 };
    table.insns = calloc(count + 1, sizeof(*table.insns));
    table.order = calloc(count + 1, sizeof(*table.order));
    table.before = calloc((count + 1) * table.words, sizeof(*table.before));
    for (uint32_t i = 0; i < count; i++)
        table.insns[i] = ref_decode(&touched->hw, bytes + (size_t)i * 16);
    if (!order_all(&table, tokens))
        races.outcome = REF_DEADLOCK;
    else if (!stores_are_done(&table))
        races.outcome = REF_BAD_FINISH;
    else
        compare_all(touched, &table, &races);
    free(table.insns);
    free(table.order);
    free(table.before);
    return races;
}
