/* hazard_sram.c: races in INP, WGT and OUT, and SRAM entries that are read unwritten (hazard.h).
 *
 * One walk in execution order. Per entry of INP, WGT and OUT it remembers the latest compute
 * instruction that accessed it. A load or store is compared just before the first compute
 * instruction that it precedes is passed: all that precede it or run beside it have been passed
 * then, so an entry holds a race exactly where its latest access does not precede the load or
 * store. Only then are the instructions beside it looked at one by one.
 */
#include <stdlib.h>

#include "footprint.h"
#include "hazard_find.h"
#include "plan.h"

#define NO_FOOTPRINT UINT32_MAX

struct sweep {
    struct vta_finder *finder;
    struct vta_footprints *footprints;
    uint32_t *ids;                     /* footprint of each compute position passed */
    uint32_t passed;                   /* compute instructions passed */
    uint32_t compared[VTA_CORE_UNITS]; /* loads and stores compared */
    uint32_t *latest[VTA_MEM_OUT + 1]; /* by entry: 1 + compute position of its latest access */
    struct vta_marks known;            /* written, or reported as unwritten */
    struct vta_marks loaded;           /* OUT entries whose ACC entry was last written by a LOAD */
};

/* ---- Races --------------------------------------------------------------------------------- */

/* The runs of a memory that a compute instruction touches, seen from load and store. */
static struct vta_runs runs_in(const struct vta_footprint *footprint, uint32_t memory)
{
    return memory == VTA_MEM_INP   ? footprint->inp
           : memory == VTA_MEM_WGT ? footprint->wgt
                                   : footprint->dst;
}

/* The entries that a run shares with the instruction at a compute position. False where that
 * instruction's footprint was forgotten. */
static bool shared_entries(struct sweep *s, uint32_t position, uint32_t memory, struct vta_run run,
                           struct vta_extent *extent)
{
    if (s->ids[position] == NO_FOOTPRINT)
        return true;
    const struct vta_footprint *footprint = vta_footprints_at(s->footprints, s->ids[position]);
    if (footprint == NULL)
        return false;
    const struct vta_runs list = runs_in(footprint, memory);
    const struct vta_run *runs = vta_footprint_runs(s->footprints, list);
    for (uint32_t i = 0; i < list.count && runs[i].begin < run.end; i++) {
        uint32_t begin = runs[i].begin > run.begin ? runs[i].begin : run.begin;
        uint32_t end = runs[i].end < run.end ? runs[i].end : run.end;
        if (begin < end)
            vta_extent_add(extent, begin, end);
    }
    const uint64_t cost = 1 + list.count / 8;
    s->finder->budget = s->finder->budget > cost ? s->finder->budget - cost : 0;
    return true;
}

static int add_race(struct sweep *s, uint32_t insn, uint32_t position, struct vta_extent extent,
                    struct vta_error *error)
{
    const struct vta_insn *which = &s->finder->program->insns[insn];
    const struct vta_hazard where = { .memory = which->mem.memory, .extent = extent };
    return vta_finder_add_race(s->finder, insn, which->opcode == VTA_OP_LOAD,
                               s->finder->ordering.insns[VTA_CORE_COMPUTE][position], &where,
                               error);
}

/* A load or store that races: finds with which instructions. `last` is the latest of them. */
static int list_races(struct sweep *s, uint32_t insn, struct vta_run run, uint32_t last,
                      struct vta_error *error)
{
    const uint32_t memory = s->finder->program->insns[insn].mem.memory;
    uint32_t position = vta_concurrent_begin(&s->finder->ordering, insn, VTA_CORE_COMPUTE);
    int rc = 0;
    for (; rc == 0 && position < last && s->finder->budget > 0; position++) {
        const uint64_t budget = s->finder->budget;
        struct vta_extent extent = { 0 };
        if (!shared_entries(s, position, memory, run, &extent))
            s->finder->hazards->complete = false;
        if (extent.count != 0)
            rc = add_race(s, insn, position, extent, error);
        if (rc == 0)
            rc = vta_finder_step(s->finder, 1 + budget - s->finder->budget, error);
    }
    if (position < last)
        s->finder->hazards->complete = false;
    struct vta_extent extent = { 0 };
    for (uint32_t entry = run.begin; entry < run.end; entry++)
        if (s->latest[memory][entry] == last + 1)
            vta_extent_add(&extent, entry, entry + 1);
    return rc != 0 ? rc : add_race(s, insn, last, extent, error);
}

/* Compares one load or store with the compute instructions passed. */
static int compare(struct sweep *s, uint32_t insn, struct vta_error *error)
{
    const struct vta_mem_insn *mem = &s->finder->program->insns[insn].mem;
    if (mem->x_size == 0)
        return 0;
    const struct vta_run run = vta_mem_run(mem);
    const uint32_t *latest = s->latest[mem->memory];
    uint32_t last = 0;
    for (uint32_t entry = run.begin; entry < run.end; entry++)
        last = latest[entry] > last ? latest[entry] : last;
    int rc = vta_finder_step(s->finder, 1 + (run.end - run.begin) / 8, error);
    if (rc != 0)
        return rc;
    if (last <= vta_concurrent_begin(&s->finder->ordering, insn, VTA_CORE_COMPUTE))
        return 0;
    return list_races(s, insn, run, last - 1, error);
}

/* Compares a unit's instructions up to a position: those that precede what comes next. */
static int compare_until(struct sweep *s, enum vta_core_unit unit, uint32_t end,
                         struct vta_error *error)
{
    int rc = 0;
    while (rc == 0 && s->compared[unit] < end)
        rc = compare(s, s->finder->ordering.insns[unit][s->compared[unit]++], error);
    return rc;
}

/* Returns how many steps that took. */
static uint64_t remember(struct sweep *s, enum vta_memory memory, struct vta_runs list)
{
    const struct vta_run *runs = vta_footprint_runs(s->footprints, list);
    uint32_t *latest = s->latest[memory];
    uint64_t entries = 0;
    for (uint32_t i = 0; i < list.count; i++) {
        for (uint32_t entry = runs[i].begin; entry < runs[i].end; entry++)
            latest[entry] = s->passed + 1;
        entries += runs[i].end - runs[i].begin;
    }
    return list.count + entries / 8;
}

/* ---- Unwritten and stale entries ----------------------------------------------------------- */

static int add_entries(struct sweep *s, enum vta_hazard_kind kind, uint32_t insn,
                       enum vta_memory memory, struct vta_extent extent, struct vta_error *error)
{
    const struct vta_hazard hazard = { .kind = kind,
                                       .first = insn,
                                       .second = VTA_HAZARD_NO_INSN,
                                       .memory = memory,
                                       .extent = extent };
    return extent.count == 0 ? 0 : vta_finder_add(s->finder, &hazard, error);
}

/* Notes what of a run was never written, once per entry. */
static void read_run(struct sweep *s, enum vta_memory memory, struct vta_run run,
                     struct vta_extent *extent)
{
    const uint64_t before = extent->count;
    vta_marks_find(&s->known, memory, run, true, extent);
    if (extent->count == before)
        return;
    vta_marks_add_missing(&s->finder->hazards->needs, memory, run, &s->known);
    vta_marks_add(&s->known, memory, run);
}

static void read_runs(struct sweep *s, enum vta_memory memory, struct vta_runs list,
                      struct vta_extent *extent)
{
    const struct vta_run *runs = vta_footprint_runs(s->footprints, list);
    for (uint32_t i = 0; i < list.count; i++)
        read_run(s, memory, runs[i], extent);
}

static void write_run(struct sweep *s, enum vta_memory memory, struct vta_run run)
{
    vta_marks_add(&s->known, memory, run);
    vta_marks_add(&s->finder->hazards->writes, memory, run);
}

/* ---- The walk ------------------------------------------------------------------------------ */

static int pass_load(struct sweep *s, uint32_t index, struct vta_error *error)
{
    const struct vta_mem_insn *mem = &s->finder->program->insns[index].mem;
    if (mem->x_size == 0)
        return 0;
    const struct vta_run run = vta_mem_run(mem);
    switch (mem->memory) {
    case VTA_MEM_UOP:
        return vta_footprints_load_uops(s->footprints, mem, error);
    case VTA_MEM_ACC:
    case VTA_MEM_ACC_8BIT: /* the simulator stores what was loaded */
        write_run(s, VTA_MEM_ACC, run);
        write_run(s, VTA_MEM_OUT, run);
        vta_marks_add(&s->loaded, VTA_MEM_OUT, run);
        return 0;
    default:
        write_run(s, (enum vta_memory)mem->memory, run);
        return 0;
    }
}

static int pass_store(struct sweep *s, uint32_t index, struct vta_error *error)
{
    const struct vta_mem_insn *mem = &s->finder->program->insns[index].mem;
    struct vta_extent unwritten = { 0 }, stale = { 0 };
    if (mem->x_size == 0)
        return 0;
    const struct vta_run run = vta_mem_run(mem);
    read_run(s, VTA_MEM_OUT, run, &unwritten);
    int rc = add_entries(s, VTA_HAZARD_UNWRITTEN, index, VTA_MEM_OUT, unwritten, error);
    if (rc != 0 || !s->finder->options->strict_board)
        return rc;
    vta_marks_find(&s->loaded, VTA_MEM_OUT, run, false, &stale);
    return add_entries(s, VTA_HAZARD_STALE, index, VTA_MEM_OUT, stale, error);
}

static int pass_nest(struct sweep *s, uint32_t index, struct vta_error *error)
{
    const struct vta_insn *insn = &s->finder->program->insns[index];
    struct vta_extent inp = { 0 }, wgt = { 0 }, acc = { 0 };
    if (vta_nest_is_empty(&insn->nest))
        return 0;
    int rc = vta_footprints_get(s->footprints, insn, &s->ids[s->passed], error);
    if (rc != 0)
        return rc;
    const struct vta_footprint *footprint = vta_footprints_at(s->footprints, s->ids[s->passed]);
    uint64_t steps = footprint->acc.count;
    steps += remember(s, VTA_MEM_INP, footprint->inp);
    steps += remember(s, VTA_MEM_WGT, footprint->wgt);
    steps += remember(s, VTA_MEM_OUT, footprint->dst);
    rc = vta_finder_step(s->finder, steps, error);
    if (rc != 0)
        return rc;
    read_runs(s, VTA_MEM_INP, footprint->inp, &inp);
    read_runs(s, VTA_MEM_WGT, footprint->wgt, &wgt);
    read_runs(s, VTA_MEM_ACC, footprint->acc, &acc);
    if (insn->opcode == VTA_OP_ALU || !insn->nest.reset)
        read_runs(s, VTA_MEM_ACC, footprint->dst, &acc);
    const struct vta_run *runs = vta_footprint_runs(s->footprints, footprint->dst);
    for (uint32_t i = 0; i < footprint->dst.count; i++) {
        write_run(s, VTA_MEM_ACC, runs[i]);
        write_run(s, VTA_MEM_OUT, runs[i]);
        vta_marks_take(&s->loaded, VTA_MEM_OUT, runs[i]);
    }
    rc = add_entries(s, VTA_HAZARD_UNWRITTEN, index, VTA_MEM_INP, inp, error);
    if (rc == 0)
        rc = add_entries(s, VTA_HAZARD_UNWRITTEN, index, VTA_MEM_WGT, wgt, error);
    return rc != 0 ? rc : add_entries(s, VTA_HAZARD_UNWRITTEN, index, VTA_MEM_ACC, acc, error);
}

static int pass(struct sweep *s, uint32_t index, struct vta_error *error)
{
    const struct vta_insn *insn = &s->finder->program->insns[index];
    const bool compute = vta_insn_unit(insn) == VTA_CORE_COMPUTE;
    const uint64_t before = vta_footprints_steps(s->footprints);
    int rc = 0;
    if (compute) {
        const struct vta_clock *clock = &s->finder->ordering.clocks[index];
        if (rc == 0)
            rc = compare_until(s, VTA_CORE_LOAD, clock->ended[VTA_CORE_LOAD], error);
        if (rc == 0)
            rc = compare_until(s, VTA_CORE_STORE, clock->ended[VTA_CORE_STORE], error);
        s->ids[s->passed] = NO_FOOTPRINT;
    }
    if (rc == 0 && insn->opcode == VTA_OP_LOAD)
        rc = pass_load(s, index, error);
    else if (rc == 0 && insn->opcode == VTA_OP_STORE)
        rc = pass_store(s, index, error);
    else if (rc == 0 && insn->opcode != VTA_OP_FINISH)
        rc = pass_nest(s, index, error);
    s->passed += compute;
    const uint64_t steps = 1 + vta_footprints_steps(s->footprints) - before;
    return rc != 0 ? rc : vta_finder_step(s->finder, steps, error);
}

static int sweep_open(struct sweep *s, struct vta_error *error)
{
    const struct vta_program *program = s->finder->program;
    const uint32_t *depth = program->hw.depth;
    const size_t inp = depth[VTA_MEM_INP], wgt = depth[VTA_MEM_WGT], out = depth[VTA_MEM_OUT];

    s->ids = malloc(((size_t)s->finder->ordering.count[VTA_CORE_COMPUTE] + 1) * sizeof(*s->ids));
    s->latest[VTA_MEM_INP] = calloc(inp + wgt + out, sizeof(uint32_t)); /* one block for all */
    if (s->ids == NULL || s->latest[VTA_MEM_INP] == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory to look for hazards");
    s->latest[VTA_MEM_WGT] = s->latest[VTA_MEM_INP] + inp;
    s->latest[VTA_MEM_OUT] = s->latest[VTA_MEM_WGT] + wgt;
    int rc = vta_marks_init(&s->known, &program->hw, error);
    if (rc == 0)
        rc = vta_marks_init(&s->loaded, &program->hw, error);
    return rc != 0 ? rc : vta_footprints_new(&s->footprints, program, error);
}

static void sweep_close(struct sweep *s)
{
    free(s->ids);
    free(s->latest[VTA_MEM_INP]);
    vta_marks_clear(&s->known);
    vta_marks_clear(&s->loaded);
    vta_footprints_free(s->footprints);
}

int vta_find_in_sram(struct vta_finder *finder, struct vta_error *error)
{
    struct sweep s = { .finder = finder };
    const struct vta_program *program = finder->program;
    int rc = sweep_open(&s, error);
    for (uint32_t i = 0; rc == 0 && i < program->count; i++)
        rc = pass(&s, program->order[i], error);
    if (rc == 0)
        rc = compare_until(&s, VTA_CORE_LOAD, finder->ordering.count[VTA_CORE_LOAD], error);
    if (rc == 0)
        rc = compare_until(&s, VTA_CORE_STORE, finder->ordering.count[VTA_CORE_STORE], error);
    sweep_close(&s);
    return rc;
}
