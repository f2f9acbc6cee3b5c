/* record.c: calls of a command queue in, instruction stream out (record.h states the rules).
 *
 * Every instruction (a kernel's, at its first use) is compared with its fields when it is
 * appended, so that a value which none can hold is refused at the call that brought it. Costs
 * are amortised constant per call: the micro-op cache never searches, and moves each kernel at most
 * once per pass over the SRAM.
 */
#include "record.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 64u

void vta_record_init(struct vta_record *record, const struct vta_hw *hw)
{
    memset(record, 0, sizeof(*record));
    record->hw = *hw;
    record->stream = 1;
    vta_layout_make(&record->layout, hw, NULL); /* cannot fail: hw is valid */
}

void vta_record_free(struct vta_record *record)
{
    free(record->insns);
    free(record->bases);
    free(record->uops);
    free(record->cached);
    memset(record, 0, sizeof(*record));
}

void vta_record_reset(struct vta_record *record)
{
    record->stream++;
    record->count = 0;
    record->uop_count = 0;
    record->low = 0;
    record->high = record->cache_capacity;
    record->cache_end = 0;
}

/* ---- Appending ----------------------------------------------------------------------------- */

static int no_memory(struct vta_error *error)
{
    return vta_error_set(error, VTA_ENOMEM, "no memory to record another instruction");
}

/* Room for one more instruction. */
static int reserve_insn(struct vta_record *record, struct vta_error *error)
{
    if (record->count < record->capacity)
        return 0;
    if (record->capacity > UINT32_MAX / 2)
        return no_memory(error);
    uint32_t capacity = record->capacity == 0 ? FIRST_CAPACITY : record->capacity * 2;
    struct vta_insn *insns = realloc(record->insns, capacity * sizeof(*insns));
    if (insns == NULL)
        return no_memory(error);
    record->insns = insns;
    uint32_t *bases = realloc(record->bases, capacity * sizeof(*bases));
    if (bases == NULL)
        return no_memory(error);
    record->bases = bases;
    record->capacity = capacity;
    return 0;
}

/* An instruction that is known to fit its fields. */
static int append_fitting(struct vta_record *record, const struct vta_insn *insn, uint32_t base,
                          struct vta_error *error)
{
    int rc = reserve_insn(record, error);
    if (rc != 0)
        return rc;
    record->insns[record->count] = *insn;
    record->bases[record->count] = base;
    record->count++;
    return 0;
}

static int append(struct vta_record *record, const struct vta_insn *insn, uint32_t base,
                  struct vta_error *error)
{
    uint8_t bytes[VTA_INSN_BYTES];
    if (!vta_insn_fits(insn, &record->layout))
        return vta_insn_encode(insn, &record->layout, bytes, error); /* has the words for it */
    return append_fitting(record, insn, base, error);
}

/* The public enum counts units from 1, so that it can say "none". */
static enum vta_unit unit_of(const struct vta_insn *insn)
{
    switch (vta_insn_unit(insn)) {
    case VTA_CORE_LOAD:
        return VTA_UNIT_LOAD;
    case VTA_CORE_STORE:
        return VTA_UNIT_STORE;
    default:
        return VTA_UNIT_COMPUTE;
    }
}

/* An instruction that does something takes the pops that wait for its unit … */
static void take_pops(const struct vta_record *record, enum vta_unit unit, struct vta_insn *insn)
{
    insn->pop_prev = record->pending_pop_prev[unit];
    insn->pop_next = record->pending_pop_next[unit];
}

/* … which wait no longer once it is in the stream. */
static void pops_taken(struct vta_record *record, enum vta_unit unit)
{
    record->pending_pop_prev[unit] = record->pending_pop_next[unit] = false;
}

static int append_work(struct vta_record *record, struct vta_insn *insn, uint32_t base,
                       struct vta_error *error)
{
    enum vta_unit unit = unit_of(insn);
    take_pops(record, unit, insn);
    int rc = append(record, insn, base, error);
    if (rc == 0)
        pops_taken(record, unit);
    return rc;
}

static struct vta_insn noop(enum vta_unit unit)
{
    struct vta_insn insn = { .opcode = unit == VTA_UNIT_STORE ? VTA_OP_STORE : VTA_OP_LOAD };
    insn.mem.memory = unit == VTA_UNIT_LOAD ? VTA_MEM_INP : VTA_MEM_UOP;
    return insn;
}

int vta_record_load(struct vta_record *record, const struct vta_mem_insn *mem, uint32_t base,
                    struct vta_error *error)
{
    struct vta_insn insn = { .opcode = VTA_OP_LOAD, .mem = *mem };
    return append_work(record, &insn, base, error);
}

int vta_record_store(struct vta_record *record, const struct vta_mem_insn *mem, uint32_t base,
                     struct vta_error *error)
{
    struct vta_insn insn = { .opcode = VTA_OP_STORE, .mem = *mem };
    return append_work(record, &insn, base, error);
}

/* ---- Dependences --------------------------------------------------------------------------- */

static int check_neighbours(enum vta_unit from, enum vta_unit to, struct vta_error *error)
{
    bool known = from >= VTA_UNIT_LOAD && from <= VTA_UNIT_STORE && to >= VTA_UNIT_LOAD &&
                 to <= VTA_UNIT_STORE;
    if (known && (from == VTA_UNIT_COMPUTE) != (to == VTA_UNIT_COMPUTE))
        return 0;
    return vta_error_set(error, VTA_EINVAL,
                         "no token queue leads from unit %d to unit %d: units are 1 load, "
                         "2 compute and 3 store, and only neighbours share a queue",
                         (int)from, (int)to);
}

int vta_record_commit(struct vta_record *record, enum vta_unit unit, struct vta_error *error)
{
    if (!record->pending_pop_prev[unit] && !record->pending_pop_next[unit])
        return 0;
    struct vta_insn insn = noop(unit);
    return append_work(record, &insn, VTA_BASE_ABSOLUTE, error);
}

/* The last instruction, where it belongs to `unit` and may take a push; else NULL. A no-op LOAD
 * belongs to no unit here, and nothing comes after FINISH. */
static struct vta_insn *last_of(struct vta_record *record, enum vta_unit unit)
{
    if (record->count == 0)
        return NULL;
    struct vta_insn *last = &record->insns[record->count - 1];
    if (last->opcode == VTA_OP_FINISH || unit_of(last) != unit)
        return NULL;
    if (last->opcode == VTA_OP_LOAD && vta_insn_is_nop(last))
        return NULL;
    return last;
}

int vta_record_push(struct vta_record *record, enum vta_unit from, enum vta_unit to,
                    struct vta_error *error)
{
    int rc = check_neighbours(from, to, error);
    if (rc == 0)
        rc = vta_record_commit(record, from, error);
    if (rc != 0)
        return rc;

    struct vta_insn *last = last_of(record, from);
    if (last != NULL && from < to && !last->push_next) {
        last->push_next = 1;
        return 0;
    }
    if (last != NULL && from > to && !last->push_prev) {
        last->push_prev = 1;
        return 0;
    }
    struct vta_insn insn = noop(from);
    insn.push_next = from < to;
    insn.push_prev = from > to;
    return append(record, &insn, VTA_BASE_ABSOLUTE, error);
}

int vta_record_pop(struct vta_record *record, enum vta_unit from, enum vta_unit to,
                   struct vta_error *error)
{
    int rc = check_neighbours(from, to, error);
    if (rc != 0)
        return rc;
    bool *pending = from < to ? &record->pending_pop_prev[to] : &record->pending_pop_next[to];
    if (*pending) {
        rc = vta_record_commit(record, to, error);
        if (rc != 0)
            return rc;
    }
    *pending = true;
    return 0;
}

/* ---- Micro-op kernels ---------------------------------------------------------------------- */

static bool cached(const struct vta_record *record, const struct vta_record_kernel *kernel)
{
    return kernel->stream == record->stream && kernel->sram_begin != kernel->sram_end;
}

static int check_kernel(const struct vta_record *record, const struct vta_record_kernel *kernel,
                        struct vta_error *error)
{
    uint32_t depth = record->hw.depth[VTA_MEM_UOP];
    if (kernel->uop_count > depth)
        return vta_error_limit(error, VTA_ELIMIT, depth, kernel->uop_count,
                               "a micro-op kernel has %u micro-ops, the UOP SRAM holds %u",
                               kernel->uop_count, depth);
    return 0;
}

/* Puts the kernel's micro-ops into the image, once per stream. */
static int add_to_image(struct vta_record *record, struct vta_record_kernel *kernel,
                        struct vta_error *error)
{
    if (kernel->stream == record->stream)
        return 0;
    for (uint32_t i = 0; i < kernel->uop_count; i++) {
        uint32_t word;
        int rc = vta_uop_encode(&kernel->uops[i], &record->layout, &word, error);
        if (rc != 0)
            return rc;
    }
    uint64_t need = (uint64_t)record->uop_count + kernel->uop_count;
    if (need > record->uop_capacity) {
        uint64_t capacity = need + need / 2 + FIRST_CAPACITY;
        if (capacity > UINT32_MAX)
            return no_memory(error);
        struct vta_uop *uops = realloc(record->uops, capacity * sizeof(*uops));
        if (uops == NULL)
            return no_memory(error);
        record->uops = uops;
        record->uop_capacity = (uint32_t)capacity;
    }
    memcpy(record->uops + record->uop_count, kernel->uops,
           kernel->uop_count * sizeof(*kernel->uops));
    kernel->stream = record->stream;
    kernel->sram_begin = kernel->sram_end = 0;
    kernel->image = record->uop_count;
    record->uop_count = (uint32_t)need;
    return 0;
}

/* Room in the gap for one more cached kernel. */
static int reserve_cached(struct vta_record *record, struct vta_error *error)
{
    if (record->low < record->high)
        return 0;
    uint32_t capacity = record->cache_capacity == 0 ? FIRST_CAPACITY : record->cache_capacity * 2;
    uint32_t above = record->cache_capacity - record->high;
    struct vta_record_kernel **all = realloc(record->cached, capacity * sizeof(*all));
    if (all == NULL)
        return no_memory(error);
    if (above > 0)
        memmove(all + capacity - above, all + record->high, above * sizeof(*all));
    record->cached = all;
    record->high = capacity - above;
    record->cache_capacity = capacity;
    return 0;
}

/* Gives the kernel a place in the SRAM and evicts what was there. */
static void place(struct vta_record *record, struct vta_record_kernel *kernel)
{
    if (record->cache_end + kernel->uop_count > record->hw.depth[VTA_MEM_UOP]) {
        record->high -= record->low;
        if (record->low > 0)
            memmove(record->cached + record->high, record->cached,
                    record->low * sizeof(struct vta_record_kernel *));
        record->low = 0;
        record->cache_end = 0;
    }
    kernel->sram_begin = record->cache_end;
    kernel->sram_end = record->cache_end + kernel->uop_count;
    record->cache_end = kernel->sram_end;
    while (record->high < record->cache_capacity &&
           record->cached[record->high]->sram_begin < kernel->sram_end) {
        struct vta_record_kernel *evicted = record->cached[record->high++];
        evicted->sram_begin = evicted->sram_end = 0;
    }
    record->cached[record->low++] = kernel;
}

static struct vta_insn nest_insn(const struct vta_record_kernel *kernel)
{
    static const struct vta_uop_loop once = { .extent = 1 };
    const struct vta_uop_loop *out = &once, *in = &once;
    if (kernel->loop_count == 2) {
        out = &kernel->loops[0];
        in = &kernel->loops[1];
    } else if (kernel->loop_count == 1 && kernel->alu) {
        in = &kernel->loops[0];
    } else if (kernel->loop_count == 1) {
        out = &kernel->loops[0];
    }
    struct vta_insn insn = { .opcode = kernel->alu ? VTA_OP_ALU : VTA_OP_GEMM };
    insn.nest = (struct vta_nest_insn){
        .reset = kernel->reset,
        .iter_out = out->extent,
        .iter_in = in->extent,
        .dst_factor_out = out->dst,
        .dst_factor_in = in->dst,
        .src_factor_out = out->src,
        .src_factor_in = in->src,
        .wgt_factor_out = kernel->alu ? 0 : out->wgt,
        .wgt_factor_in = kernel->alu ? 0 : in->wgt,
        .alu_opcode = kernel->alu ? kernel->alu_opcode : 0,
        .use_imm = kernel->alu ? kernel->use_imm : 0,
        .imm = kernel->alu ? kernel->imm : 0,
    };
    return insn;
}

/* Makes the kernel's instruction, once: whether its loops and values fit does not depend on where
 * in the SRAM its micro-ops are, and any range inside the SRAM fits. */
static int make_insn(const struct vta_record *record, struct vta_record_kernel *kernel,
                     struct vta_error *error)
{
    uint8_t bytes[VTA_INSN_BYTES];
    int rc = check_kernel(record, kernel, error);
    if (rc != 0)
        return rc;
    kernel->insn = nest_insn(kernel);
    rc = vta_insn_encode(&kernel->insn, &record->layout, bytes, error);
    kernel->fits = rc == 0;
    return rc;
}

static int load_kernel(struct vta_record *record, struct vta_record_kernel *kernel,
                       struct vta_error *error)
{
    int rc = add_to_image(record, kernel, error);
    if (rc == 0)
        rc = reserve_cached(record, error);
    if (rc != 0)
        return rc;
    place(record, kernel);
    struct vta_mem_insn load = { .memory = VTA_MEM_UOP,
                                 .sram_base = kernel->sram_begin,
                                 .dram_base = kernel->image,
                                 .y_size = 1,
                                 .x_size = kernel->uop_count,
                                 .x_stride = kernel->uop_count };
    return vta_record_load(record, &load, VTA_BASE_UOPS, error);
}

int vta_record_nest(struct vta_record *record, struct vta_record_kernel *kernel,
                    struct vta_error *error)
{
    /* All that may be refused comes first, so that a failure leaves the stream as it was. */
    int rc = kernel->fits ? 0 : make_insn(record, kernel, error);
    if (rc == 0 && !cached(record, kernel))
        rc = load_kernel(record, kernel, error);
    if (rc != 0)
        return rc;
    struct vta_insn insn = kernel->insn;
    insn.nest.uop_begin = kernel->sram_begin;
    insn.nest.uop_end = kernel->sram_end;
    take_pops(record, VTA_UNIT_COMPUTE, &insn);
    rc = append_fitting(record, &insn, VTA_BASE_ABSOLUTE, error);
    if (rc == 0)
        pops_taken(record, VTA_UNIT_COMPUTE);
    return rc;
}

/* ---- The end ------------------------------------------------------------------------------- */

int vta_record_end(struct vta_record *record, struct vta_error *error)
{
    struct vta_insn finish = { .opcode = VTA_OP_FINISH };
    return append_work(record, &finish, VTA_BASE_ABSOLUTE, error);
}

int vta_record_synchronise(struct vta_record *record, struct vta_error *error)
{
    int rc = vta_record_push(record, VTA_UNIT_STORE, VTA_UNIT_COMPUTE, error);
    if (rc == 0)
        rc = vta_record_push(record, VTA_UNIT_LOAD, VTA_UNIT_COMPUTE, error);
    if (rc == 0)
        rc = vta_record_pop(record, VTA_UNIT_STORE, VTA_UNIT_COMPUTE, error);
    if (rc == 0)
        rc = vta_record_pop(record, VTA_UNIT_LOAD, VTA_UNIT_COMPUTE, error);
    if (rc == 0)
        rc = vta_record_commit(record, VTA_UNIT_COMPUTE, error);
    if (rc == 0)
        rc = vta_record_end(record, error);
    return rc;
}
