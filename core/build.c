/* build.c: the public builder (vta/build.h) on top of the command queue recorder.
 *
 * Adds what the recorder does not know: parameters, kernels that are equal by content, errors that
 * stick, and an end that leaves every token queue empty.
 */
#include <vta/build.h>

#include <stdlib.h>
#include <string.h>

#include "record.h"
#include "tokens.h"
#include "verify.h"

#define FIRST_SLOTS 64u

struct vta_build {
    struct vta_record record;
    struct vta_error error; /* the first failure; code 0 while there is none */
    char *name;
    struct vta_param *params;
    uint32_t param_count;

    /* Micro-op kernels by content: open addressing, slot_count a power of two or 0. */
    struct kernel_slot {
        uint64_t hash;
        struct vta_record_kernel *kernel; /* NULL: free */
    } * slots;
    uint32_t slot_count, kernel_count;
};

static int no_memory(struct vta_build *build)
{
    return vta_error_set(&build->error, VTA_ENOMEM, "no memory to build %s", build->name);
}

struct vta_build *vta_build_new(const struct vta_hw *hw, const char *name)
{
    struct vta_build *build = calloc(1, sizeof(*build));
    if (build == NULL)
        return NULL;
    build->name = strdup(name);
    if (build->name == NULL) {
        free(build);
        return NULL;
    }
    build->error.insn = -1;
    vta_record_init(&build->record, hw);
    return build;
}

static void free_record_kernel(struct vta_record_kernel *kernel)
{
    if (kernel != NULL)
        free(kernel->uops);
    free(kernel);
}

void vta_build_free(struct vta_build *build)
{
    if (build == NULL)
        return;
    for (uint32_t i = 0; i < build->slot_count; i++)
        free_record_kernel(build->slots[i].kernel);
    free(build->slots);
    for (uint32_t i = 0; i < build->param_count; i++)
        free(build->params[i].name);
    free(build->params);
    vta_record_free(&build->record);
    free(build->name);
    free(build);
}

uint32_t vta_build_count(const struct vta_build *build)
{
    return build->record.count;
}

/* Names the kernel and the place in an error that has just been set. */
static int failed(struct vta_build *build, const char *what)
{
    vta_error_prefix(&build->error, "%s: after %u instructions: %s", build->name,
                     build->record.count, what);
    return build->error.code;
}

/* ---- Parameters ---------------------------------------------------------------------------- */

int vta_build_param(struct vta_build *build, const char *name, const struct vta_tensor_type *type,
                    enum vta_memory memory, enum vta_access access)
{
    if (build->error.code != 0)
        return build->error.code;
    uint64_t nbytes;
    if (memory == VTA_MEM_UOP || (unsigned)memory >= VTA_MEM_COUNT) {
        vta_error_set(&build->error, VTA_EINVAL, "memory %d has no tensors", (int)memory);
        return failed(build, name);
    }
    if ((unsigned)access < VTA_ACCESS_READ || (unsigned)access > VTA_ACCESS_READ_WRITE) {
        vta_error_set(&build->error, VTA_EINVAL, "access %d is none of read, write, read_write",
                      (int)access);
        return failed(build, name);
    }
    for (uint32_t i = 0; i < build->param_count; i++) {
        if (strcmp(build->params[i].name, name) == 0) {
            vta_error_set(&build->error, VTA_EEXIST, "a parameter has this name already");
            return failed(build, name);
        }
    }
    if (vta_tensor_nbytes(type, &nbytes, &build->error) != 0)
        return failed(build, name);

    struct vta_param *params = realloc(build->params, (build->param_count + 1) * sizeof(*params));
    if (params == NULL)
        return no_memory(build);
    build->params = params;
    char *copy = strdup(name);
    if (copy == NULL)
        return no_memory(build);
    params[build->param_count] =
        (struct vta_param){ .name = copy, .type = *type, .memory = memory, .access = access };
    return (int)build->param_count++;
}

static int check_param(struct vta_build *build, int param, enum vta_access access, const char *what)
{
    if (param < 0 || (uint32_t)param >= build->param_count) {
        vta_error_set(&build->error, VTA_EINVAL, "parameter %d of %u", param, build->param_count);
        return failed(build, what);
    }
    if ((build->params[param].access & access) == 0) {
        vta_error_set(&build->error, VTA_EINVAL, "parameter %s is declared %s",
                      build->params[param].name,
                      access == VTA_ACCESS_READ ? "write-only" : "read-only");
        return failed(build, what);
    }
    return 0;
}

/* ---- Loads, stores, tokens ----------------------------------------------------------------- */

static int check_extent(struct vta_build *build, uint32_t y_size, uint32_t x_size, const char *what)
{
    if (y_size > 0 && x_size > 0)
        return 0;
    vta_error_set(&build->error, VTA_EINVAL, "%u rows of %u elements: nothing to move", y_size,
                  x_size);
    return failed(build, what);
}

int vta_build_load(struct vta_build *build, int param, uint32_t offset, uint32_t y_size,
                   uint32_t x_size, uint32_t x_stride, const struct vta_pad *pad,
                   uint32_t sram_base, enum vta_memory memory)
{
    if (build->error.code != 0)
        return build->error.code;
    if (memory != VTA_MEM_INP && memory != VTA_MEM_WGT && memory != VTA_MEM_ACC &&
        memory != VTA_MEM_ACC_8BIT) {
        vta_error_set(&build->error, VTA_EINVAL, "memory %d cannot be loaded into", (int)memory);
        return failed(build, "load");
    }
    int rc = check_param(build, param, VTA_ACCESS_READ, "load");
    if (rc == 0)
        rc = check_extent(build, y_size, x_size, "load");
    if (rc != 0)
        return rc;
    struct vta_mem_insn mem = { .memory = memory,
                                .sram_base = sram_base,
                                .dram_base = offset,
                                .y_size = y_size,
                                .x_size = x_size,
                                .x_stride = x_stride };
    if (pad != NULL) {
        mem.y_pad_before = pad->y_before;
        mem.y_pad_after = pad->y_after;
        mem.x_pad_before = pad->x_before;
        mem.x_pad_after = pad->x_after;
    }
    rc = vta_record_load(&build->record, &mem, (uint32_t)param, &build->error);
    return rc == 0 ? 0 : failed(build, "load");
}

int vta_build_store(struct vta_build *build, uint32_t sram_base, int param, uint32_t offset,
                    uint32_t y_size, uint32_t x_size, uint32_t x_stride)
{
    if (build->error.code != 0)
        return build->error.code;
    int rc = check_param(build, param, VTA_ACCESS_WRITE, "store");
    if (rc == 0)
        rc = check_extent(build, y_size, x_size, "store");
    if (rc != 0)
        return rc;
    struct vta_mem_insn mem = { .memory = VTA_MEM_OUT,
                                .sram_base = sram_base,
                                .dram_base = offset,
                                .y_size = y_size,
                                .x_size = x_size,
                                .x_stride = x_stride };
    rc = vta_record_store(&build->record, &mem, (uint32_t)param, &build->error);
    return rc == 0 ? 0 : failed(build, "store");
}

int vta_build_push(struct vta_build *build, enum vta_unit from, enum vta_unit to)
{
    if (build->error.code != 0)
        return build->error.code;
    int rc = vta_record_push(&build->record, from, to, &build->error);
    return rc == 0 ? 0 : failed(build, "push");
}

int vta_build_pop(struct vta_build *build, enum vta_unit from, enum vta_unit to)
{
    if (build->error.code != 0)
        return build->error.code;
    int rc = vta_record_pop(&build->record, from, to, &build->error);
    return rc == 0 ? 0 : failed(build, "pop");
}

/* ---- Micro-op kernels ---------------------------------------------------------------------- */

/* FNV-1a, one number at a time. */
static uint64_t mix(uint64_t hash, uint32_t number)
{
    for (int i = 0; i < 4; i++)
        hash = (hash ^ ((number >> (8 * i)) & 0xff)) * UINT64_C(0x100000001b3);
    return hash;
}

/* head: everything but the micro-ops. */
static uint64_t hash_kernel(const struct vta_record_kernel *head, const struct vta_uop_index *uops)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    hash = mix(hash, head->alu << 8 | head->reset << 7 | head->use_imm << 6 | head->alu_opcode);
    hash = mix(hash, (uint32_t)head->imm);
    for (uint32_t i = 0; i < head->loop_count; i++) {
        hash = mix(hash, head->loops[i].extent);
        hash = mix(hash, head->loops[i].dst);
        hash = mix(hash, head->loops[i].src);
        hash = mix(hash, head->loops[i].wgt);
    }
    for (uint32_t i = 0; i < head->uop_count; i++) {
        hash = mix(hash, uops[i].dst);
        hash = mix(hash, uops[i].src);
        hash = mix(hash, uops[i].wgt);
    }
    return hash;
}

static bool same_kernel(const struct vta_record_kernel *a, const struct vta_record_kernel *head,
                        const struct vta_uop_index *uops)
{
    if (a->alu != head->alu || a->reset != head->reset || a->alu_opcode != head->alu_opcode ||
        a->use_imm != head->use_imm || a->imm != head->imm || a->loop_count != head->loop_count ||
        a->uop_count != head->uop_count)
        return false;
    for (uint32_t i = 0; i < head->loop_count; i++) {
        const struct vta_uop_loop *x = &a->loops[i], *y = &head->loops[i];
        if (x->extent != y->extent || x->dst != y->dst || x->src != y->src || x->wgt != y->wgt)
            return false;
    }
    for (uint32_t i = 0; i < head->uop_count; i++) {
        if (a->uops[i].dst != uops[i].dst || a->uops[i].src != uops[i].src ||
            a->uops[i].wgt != uops[i].wgt)
            return false;
    }
    return true;
}

static int grow_slots(struct vta_build *build)
{
    uint32_t count = build->slot_count == 0 ? FIRST_SLOTS : build->slot_count * 2;
    struct kernel_slot *slots = calloc(count, sizeof(*slots));
    if (slots == NULL)
        return no_memory(build);
    for (uint32_t i = 0; i < build->slot_count; i++) {
        if (build->slots[i].kernel == NULL)
            continue;
        uint32_t at = (uint32_t)build->slots[i].hash & (count - 1);
        while (slots[at].kernel != NULL)
            at = (at + 1) & (count - 1);
        slots[at] = build->slots[i];
    }
    free(build->slots);
    build->slots = slots;
    build->slot_count = count;
    return 0;
}

static struct vta_record_kernel *copy_kernel(struct vta_build *build,
                                             const struct vta_record_kernel *head,
                                             const struct vta_uop_index *uops)
{
    struct vta_record_kernel *kernel = malloc(sizeof(*kernel));
    struct vta_uop *copy = calloc(head->uop_count, sizeof(*copy));
    if (kernel == NULL || copy == NULL) {
        free(kernel);
        free(copy);
        no_memory(build);
        return NULL;
    }
    for (uint32_t i = 0; i < head->uop_count; i++)
        copy[i] = (struct vta_uop){ .dst = uops[i].dst, .src = uops[i].src, .wgt = uops[i].wgt };
    *kernel = *head;
    kernel->uops = copy;
    return kernel;
}

/* The kernel with this content, made where there is none yet; NULL after an error. */
static struct vta_record_kernel *intern_kernel(struct vta_build *build,
                                               const struct vta_record_kernel *head,
                                               const struct vta_uop_index *uops)
{
    if (build->kernel_count >= build->slot_count / 2 && grow_slots(build) != 0)
        return NULL;
    uint64_t hash = hash_kernel(head, uops);
    uint32_t at = (uint32_t)hash & (build->slot_count - 1);
    for (; build->slots[at].kernel != NULL; at = (at + 1) & (build->slot_count - 1)) {
        if (build->slots[at].hash == hash && same_kernel(build->slots[at].kernel, head, uops))
            return build->slots[at].kernel;
    }
    struct vta_record_kernel *kernel = copy_kernel(build, head, uops);
    if (kernel == NULL)
        return NULL;
    build->slots[at] = (struct kernel_slot){ .hash = hash, .kernel = kernel };
    build->kernel_count++;
    return kernel;
}

static int record_kernel(struct vta_build *build, struct vta_record_kernel *head,
                         const struct vta_uop_kernel *given, const char *what)
{
    if (build->error.code != 0)
        return build->error.code;
    uint32_t depth = build->record.hw.depth[VTA_MEM_UOP];
    if (given->loop_count > 2) {
        vta_error_limit(&build->error, VTA_EINVAL, 2, given->loop_count,
                        "%u loops, an instruction holds 2", given->loop_count);
        return failed(build, what);
    }
    if (given->uop_count == 0 || given->uop_count > depth) {
        vta_error_limit(&build->error, given->uop_count == 0 ? VTA_EINVAL : VTA_ELIMIT, depth,
                        given->uop_count,
                        "a micro-op kernel of %u micro-ops, the UOP SRAM holds 1 to %u",
                        given->uop_count, depth);
        return failed(build, what);
    }
    head->loop_count = given->loop_count;
    for (uint32_t i = 0; i < given->loop_count; i++)
        head->loops[i] = given->loops[i];
    head->uop_count = given->uop_count;
    struct vta_record_kernel *kernel = intern_kernel(build, head, given->uops);
    if (kernel == NULL)
        return build->error.code;
    int rc = vta_record_nest(&build->record, kernel, &build->error);
    return rc == 0 ? 0 : failed(build, what);
}

int vta_build_gemm(struct vta_build *build, const struct vta_uop_kernel *kernel, bool reset)
{
    struct vta_record_kernel head = { .reset = reset };
    return record_kernel(build, &head, kernel, reset ? "gemm reset" : "gemm");
}

int vta_build_alu(struct vta_build *build, const struct vta_uop_kernel *kernel,
                  enum vta_alu_opcode op)
{
    struct vta_record_kernel head = { .alu = 1, .alu_opcode = op };
    return record_kernel(build, &head, kernel, "alu");
}

int vta_build_alu_imm(struct vta_build *build, const struct vta_uop_kernel *kernel,
                      enum vta_alu_opcode op, int32_t imm)
{
    struct vta_record_kernel head = { .alu = 1, .alu_opcode = op, .use_imm = 1, .imm = imm };
    return record_kernel(build, &head, kernel, "alu");
}

/* ---- The end ------------------------------------------------------------------------------- */

/* Pushes minus pops of each queue, pops that are pending included. */
static void count_tokens(const struct vta_record *record, int64_t left[VTA_QUEUE_COUNT])
{
    memset(left, 0, VTA_QUEUE_COUNT * sizeof(*left));
    int64_t sums[VTA_QUEUE_COUNT + 1] = { 0 }; /* the last one: bits that the hardware ignores */
    for (uint32_t i = 0; i < record->count; i++) {
        const struct vta_insn *insn = &record->insns[i];
        enum vta_core_unit unit = vta_insn_unit(insn);
        sums[vta_pop_queue(unit, false)] -= insn->pop_prev;
        sums[vta_pop_queue(unit, true)] -= insn->pop_next;
        sums[vta_push_queue(unit, false)] += insn->push_prev;
        sums[vta_push_queue(unit, true)] += insn->push_next;
    }
    sums[VTA_QUEUE_LOAD_COMPUTE] -= record->pending_pop_prev[VTA_UNIT_COMPUTE];
    sums[VTA_QUEUE_STORE_COMPUTE] -= record->pending_pop_next[VTA_UNIT_COMPUTE];
    sums[VTA_QUEUE_COMPUTE_LOAD] -= record->pending_pop_next[VTA_UNIT_LOAD];
    sums[VTA_QUEUE_COMPUTE_STORE] -= record->pending_pop_prev[VTA_UNIT_STORE];
    memcpy(left, sums, VTA_QUEUE_COUNT * sizeof(*left));
}

static int pop_times(struct vta_build *build, enum vta_unit from, enum vta_unit to, int64_t times)
{
    for (int64_t i = 0; i < times; i++) {
        int rc = vta_record_pop(&build->record, from, to, &build->error);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* As synchronise, but load and store first pop what compute still has for them, and compute pops
 * everything that it was ever sent. The last pop of a queue meets its last push, and those are
 * pushed here after all work of load and store: so FINISH, which comes next, is after everything.
 * Pops on compute go in pairs, since one no-op can carry one of each direction. */
static int drain(struct vta_build *build)
{
    struct vta_record *record = &build->record;
    int64_t left[VTA_QUEUE_COUNT];
    count_tokens(record, left);
    int rc = pop_times(build, VTA_UNIT_COMPUTE, VTA_UNIT_STORE, left[VTA_QUEUE_COMPUTE_STORE]);
    if (rc == 0)
        rc = pop_times(build, VTA_UNIT_COMPUTE, VTA_UNIT_LOAD, left[VTA_QUEUE_COMPUTE_LOAD]);
    if (rc == 0)
        rc = vta_record_push(record, VTA_UNIT_STORE, VTA_UNIT_COMPUTE, &build->error);
    if (rc == 0)
        rc = vta_record_push(record, VTA_UNIT_LOAD, VTA_UNIT_COMPUTE, &build->error);

    int64_t from_store = left[VTA_QUEUE_STORE_COMPUTE] + 1;
    int64_t from_load = left[VTA_QUEUE_LOAD_COMPUTE] + 1;
    while (rc == 0 && (from_store > 0 || from_load > 0)) {
        rc = pop_times(build, VTA_UNIT_STORE, VTA_UNIT_COMPUTE, from_store-- > 0);
        if (rc == 0)
            rc = pop_times(build, VTA_UNIT_LOAD, VTA_UNIT_COMPUTE, from_load-- > 0);
    }
    if (rc == 0)
        rc = vta_record_commit(record, VTA_UNIT_COMPUTE, &build->error);
    if (rc == 0)
        rc = vta_record_end(record, &build->error);
    return rc;
}

/* Bytes of one instruction: a relocation takes the DRAM base out of it. */
static int encode_insn(struct vta_build *build, struct vta_kernel *kernel, uint32_t i)
{
    struct vta_insn insn = build->record.insns[i];
    uint32_t base = build->record.bases[i];
    if (base != VTA_BASE_ABSOLUTE) {
        kernel->relocs[kernel->reloc_count++] =
            (struct vta_reloc){ .insn = i,
                                .param = base == VTA_BASE_UOPS ? VTA_PARAM_UOPS : base,
                                .offset = insn.mem.dram_base };
        insn.mem.dram_base = 0;
    }
    return vta_insn_encode(&insn, &build->record.layout, kernel->insns + (size_t)i * VTA_INSN_BYTES,
                           &build->error);
}

/* Moves name and parameters, encodes the rest. *kernel may be half filled after a failure. */
static int make_kernel(struct vta_build *build, struct vta_kernel *kernel)
{
    const struct vta_record *record = &build->record;
    memset(kernel, 0, sizeof(*kernel));
    kernel->name = build->name;
    kernel->params = build->params;
    kernel->param_count = build->param_count;
    build->name = NULL;
    build->params = NULL;
    build->param_count = 0;

    kernel->insns = calloc(record->count, VTA_INSN_BYTES);
    kernel->relocs = calloc(record->count, sizeof(*kernel->relocs));
    kernel->uops = calloc(record->uop_count + 1, sizeof(*kernel->uops));
    if (kernel->insns == NULL || kernel->relocs == NULL || kernel->uops == NULL)
        return vta_error_set(&build->error, VTA_ENOMEM, "%s: no memory for its instructions",
                             kernel->name);
    kernel->insn_count = record->count;
    kernel->uop_count = record->uop_count;
    int rc = 0;
    for (uint32_t i = 0; i < record->count && rc == 0; i++)
        rc = encode_insn(build, kernel, i);
    for (uint32_t i = 0; i < record->uop_count && rc == 0; i++)
        rc = vta_uop_encode(&record->uops[i], &record->layout, &kernel->uops[i], &build->error);
    return rc;
}

static int verify_kernel(const struct vta_kernel *kernel, const struct vta_hw *hw,
                         struct vta_error *error)
{
    struct vta_program *program = NULL;
    struct vta_verify_options options = { .tokens_must_end_empty = true };
    int rc = vta_program_from_kernel(&program, kernel, hw, error);
    if (rc == 0)
        rc = vta_verify(program, &options, error);
    vta_program_free(program);
    if (rc != 0)
        vta_error_prefix(error, "%s", kernel->name);
    return rc;
}

int vta_build_finish(struct vta_build *build, struct vta_kernel *kernel, struct vta_error *error)
{
    int rc = build->error.code;
    memset(kernel, 0, sizeof(*kernel));
    if (rc == 0)
        rc = drain(build);
    if (rc == 0)
        rc = make_kernel(build, kernel);
    if (rc == 0)
        rc = verify_kernel(kernel, &build->record.hw, &build->error);
    if (rc != 0) {
        vta_kernel_clear(kernel);
        if (error != NULL)
            *error = build->error;
    }
    vta_build_free(build);
    return rc;
}
