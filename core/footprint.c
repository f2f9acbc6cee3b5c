/* footprint.c: footprints of loop nests, made from bitmaps and kept by nest (footprint.h). */
#include "footprint.h"

#include <stdlib.h>
#include <string.h>

#include "plan.h"

#define RUNS_MAX (1u << 20) /* runs that are kept, some 8 MiB */
#define SLOTS    4096u      /* a power of two */

struct kept {
    struct vta_nest_insn nest;
    uint32_t opcode, generation;
    struct vta_footprint footprint;
};

struct vta_footprints {
    const struct vta_program *program;
    struct vta_uop *sram;              /* micro-op SRAM at this point */
    uint32_t generation;               /* counts changes of it */
    const struct vta_mem_insn **loads; /* that it has not seen yet */
    uint32_t load_count, load_capacity;
    uint64_t *bits; /* scratch: one operand's entries */
    struct vta_run *runs;
    size_t run_count, run_capacity;
    struct kept *kept;
    uint32_t kept_count, kept_capacity;
    uint64_t steps;
    uint32_t first;        /* number of kept[0] */
    uint32_t slots[SLOTS]; /* by hash: 1 + number, of the latest one there; 0: none */
};

static int no_memory(struct vta_error *error)
{
    return vta_error_set(error, VTA_ENOMEM, "no memory for the footprints of a program");
}

static uint32_t deepest(const struct vta_hw *hw)
{
    uint32_t most = 0;
    for (int memory = VTA_MEM_WGT; memory <= VTA_MEM_ACC; memory++)
        most = hw->depth[memory] > most ? hw->depth[memory] : most;
    return most;
}

int vta_footprints_new(struct vta_footprints **result, const struct vta_program *program,
                       struct vta_error *error)
{
    struct vta_footprints *footprints = calloc(1, sizeof(*footprints));
    if (footprints == NULL)
        return no_memory(error);
    footprints->program = program;
    footprints->sram = calloc(program->hw.depth[VTA_MEM_UOP], sizeof(*footprints->sram));
    footprints->bits = calloc((size_t)deepest(&program->hw) / 64 + 1, sizeof(*footprints->bits));
    if (footprints->sram == NULL || footprints->bits == NULL) {
        vta_footprints_free(footprints);
        return no_memory(error);
    }
    *result = footprints;
    return 0;
}

void vta_footprints_free(struct vta_footprints *footprints)
{
    if (footprints == NULL)
        return;
    free(footprints->sram);
    free(footprints->loads);
    free(footprints->bits);
    free(footprints->runs);
    free(footprints->kept);
    free(footprints);
}

/* ---- Micro-ops ----------------------------------------------------------------------------- */

/* Whether a LOAD writes all entries that another one writes. */
static bool covers(const struct vta_mem_insn *mem, const struct vta_mem_insn *other)
{
    const struct vta_run run = vta_mem_run(mem), covered = vta_mem_run(other);
    return run.begin <= covered.begin && covered.end <= run.end;
}

int vta_footprints_load_uops(struct vta_footprints *footprints, const struct vta_mem_insn *mem,
                             struct vta_error *error)
{
    footprints->steps++;
    while (footprints->load_count > 0 && covers(mem, footprints->loads[footprints->load_count - 1]))
        footprints->load_count--;
    if (footprints->load_count == footprints->load_capacity) {
        uint32_t capacity = footprints->load_capacity == 0 ? 64 : footprints->load_capacity * 2;
        const struct vta_mem_insn **loads =
            realloc(footprints->loads, capacity * sizeof(*footprints->loads));
        if (loads == NULL)
            return no_memory(error);
        footprints->loads = loads;
        footprints->load_capacity = capacity;
    }
    footprints->loads[footprints->load_count++] = mem;
    return 0;
}

/* Brings the micro-op SRAM to where the program is. */
static void execute_loads(struct vta_footprints *footprints)
{
    for (uint32_t i = 0; i < footprints->load_count; i++) {
        const struct vta_mem_insn *mem = footprints->loads[i];
        footprints->steps += mem->y_size + (uint64_t)mem->x_size * mem->y_size / 8;
        footprints->generation += vta_uops_load(footprints->sram, mem, footprints->program->uops);
    }
    footprints->load_count = 0;
}

uint64_t vta_footprints_steps(const struct vta_footprints *footprints)
{
    return footprints->steps;
}

/* ---- One operand --------------------------------------------------------------------------- */

/* Joins a bitmap with itself shifted up. */
static void shift_join(uint64_t *bits, size_t words, uint64_t distance)
{
    const size_t whole = (size_t)(distance / 64);
    const unsigned part = (unsigned)(distance % 64);
    for (size_t word = words; word-- > whole;) {
        uint64_t moved = bits[word - whole] << part;
        if (part != 0 && word > whole)
            moved |= bits[word - whole - 1] >> (64 - part);
        bits[word] |= moved;
    }
}

/* Joins a bitmap with its copies that a loop makes: shifted by factor, 2·factor, … */
static void spread(uint64_t *bits, size_t words, uint32_t extent, uint32_t factor)
{
    if (factor == 0)
        return;
    for (uint32_t have = 1; have < extent;) {
        uint32_t more = extent - have < have ? extent - have : have;
        shift_join(bits, words, (uint64_t)more * factor);
        have += more;
    }
}

static int add_run(struct vta_footprints *footprints, struct vta_run run)
{
    if (footprints->run_count == footprints->run_capacity) {
        size_t capacity = footprints->run_capacity == 0 ? 256 : footprints->run_capacity * 2;
        struct vta_run *runs = realloc(footprints->runs, capacity * sizeof(*runs));
        if (runs == NULL)
            return VTA_ENOMEM;
        footprints->runs = runs;
        footprints->run_capacity = capacity;
    }
    footprints->runs[footprints->run_count++] = run;
    return 0;
}

/* The first bit at or after `at` that is (not) set; end where there is none. */
static uint32_t next_bit(const uint64_t *bits, uint32_t at, uint32_t end, bool set)
{
    while (at < end) {
        uint64_t word = (set ? bits[at / 64] : ~bits[at / 64]) >> (at % 64);
        if (word != 0) {
            uint64_t found = (uint64_t)at + (unsigned)__builtin_ctzll(word);
            return found < end ? (uint32_t)found : end;
        }
        at = (at / 64 + 1) * 64;
    }
    return end;
}

/* Turns the scratch bitmap into runs and clears it. */
static int take_runs(struct vta_footprints *footprints, uint32_t end, struct vta_runs *runs)
{
    int rc = 0;
    runs->first = (uint32_t)footprints->run_count;
    for (uint32_t at = next_bit(footprints->bits, 0, end, true); rc == 0 && at < end;) {
        uint32_t stop = next_bit(footprints->bits, at, end, false);
        rc = add_run(footprints, (struct vta_run){ at, stop });
        at = next_bit(footprints->bits, stop, end, true);
    }
    runs->count = (uint32_t)footprints->run_count - runs->first;
    memset(footprints->bits, 0, ((size_t)end + 63) / 64 * sizeof(*footprints->bits));
    return rc;
}

/* An operand: where its index lies in a micro-op, and what the loops add to it. */
struct operand {
    size_t offset; /* of the uint32_t in struct vta_uop */
    uint32_t factor_out, factor_in;
};

static int make_operand(struct vta_footprints *footprints, const struct vta_nest_insn *nest,
                        struct operand operand, struct vta_runs *runs)
{
    uint32_t highest = 0;
    for (uint32_t u = nest->uop_begin; u < nest->uop_end; u++) {
        uint32_t index;
        memcpy(&index, (const char *)&footprints->sram[u] + operand.offset, sizeof(index));
        footprints->bits[index / 64] |= UINT64_C(1) << (index % 64);
        highest = index > highest ? index : highest;
    }
    /* The verifier has seen that this stays below the depth. */
    highest += (nest->iter_out - 1) * operand.factor_out + (nest->iter_in - 1) * operand.factor_in;
    const size_t words = highest / 64 + 1;
    footprints->steps += nest->uop_end - nest->uop_begin + words;
    spread(footprints->bits, words, nest->iter_in, operand.factor_in);
    spread(footprints->bits, words, nest->iter_out, operand.factor_out);
    return take_runs(footprints, highest + 1, runs);
}

/* ---- Whole nests --------------------------------------------------------------------------- */

static int make_footprint(struct vta_footprints *footprints, const struct vta_insn *insn,
                          struct vta_footprint *footprint, struct vta_error *error)
{
    const struct vta_nest_insn *nest = &insn->nest;
    const struct operand dst = { offsetof(struct vta_uop, dst), nest->dst_factor_out,
                                 nest->dst_factor_in };
    const struct operand src = { offsetof(struct vta_uop, src), nest->src_factor_out,
                                 nest->src_factor_in };
    const struct operand wgt = { offsetof(struct vta_uop, wgt), nest->wgt_factor_out,
                                 nest->wgt_factor_in };
    memset(footprint, 0, sizeof(*footprint));
    int rc = make_operand(footprints, nest, dst, &footprint->dst);
    if (rc == 0 && insn->opcode == VTA_OP_ALU && !nest->use_imm)
        rc = make_operand(footprints, nest, src, &footprint->acc);
    if (rc == 0 && insn->opcode == VTA_OP_GEMM && !nest->reset)
        rc = make_operand(footprints, nest, src, &footprint->inp);
    if (rc == 0 && insn->opcode == VTA_OP_GEMM && !nest->reset)
        rc = make_operand(footprints, nest, wgt, &footprint->wgt);
    return rc == 0 ? 0 : no_memory(error);
}

/* Makes room for one more, if need be by forgetting all. */
static int make_room(struct vta_footprints *footprints, struct vta_error *error)
{
    if (footprints->run_count > RUNS_MAX) {
        footprints->first += footprints->kept_count;
        footprints->kept_count = 0;
        footprints->run_count = 0;
    }
    if (footprints->kept_count < footprints->kept_capacity)
        return 0;
    uint32_t capacity = footprints->kept_capacity == 0 ? 64 : footprints->kept_capacity * 2;
    struct kept *kept = realloc(footprints->kept, capacity * sizeof(*kept));
    if (kept == NULL)
        return no_memory(error);
    footprints->kept = kept;
    footprints->kept_capacity = capacity;
    return 0;
}

static bool is_that_of(const struct vta_footprints *footprints, uint32_t id,
                       const struct vta_insn *insn)
{
    if (id < footprints->first)
        return false;
    const struct kept *kept = &footprints->kept[id - footprints->first];
    return kept->opcode == insn->opcode && kept->generation == footprints->generation &&
           kept->nest.reset == insn->nest.reset && vta_nest_same(&kept->nest, &insn->nest);
}

int vta_footprints_get(struct vta_footprints *footprints, const struct vta_insn *insn, uint32_t *id,
                       struct vta_error *error)
{
    execute_loads(footprints);
    uint32_t hash = vta_nest_hash(&insn->nest, insn->opcode, footprints->generation);
    uint32_t *slot = &footprints->slots[hash % SLOTS];
    if (*slot != 0 && is_that_of(footprints, *slot - 1, insn)) {
        *id = *slot - 1;
        return 0;
    }
    int rc = make_room(footprints, error);
    if (rc != 0)
        return rc;
    struct kept *kept = &footprints->kept[footprints->kept_count];
    *kept = (struct kept){ .nest = insn->nest,
                           .opcode = insn->opcode,
                           .generation = footprints->generation };
    rc = make_footprint(footprints, insn, &kept->footprint, error);
    if (rc != 0)
        return rc;
    *id = footprints->first + footprints->kept_count++;
    *slot = *id + 1;
    return 0;
}

const struct vta_footprint *vta_footprints_at(const struct vta_footprints *footprints, uint32_t id)
{
    return id < footprints->first ? NULL : &footprints->kept[id - footprints->first].footprint;
}

const struct vta_run *vta_footprint_runs(const struct vta_footprints *footprints,
                                         struct vta_runs runs)
{
    return footprints->runs + runs.first;
}
