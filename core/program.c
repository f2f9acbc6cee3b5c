/* program.c: makes programs from kernels and from raw streams, prints them, and words errors
 * about their instructions. It decides nothing about safety but where micro-ops come from.
 */
#include "program.h"

#include "hazard.h"
#include "plan.h"
#include "timing_kept.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A raw stream loads at most this many micro-ops' worth of DRAM. */
#define STREAM_UOPS_MAX (UINT32_C(1) << 24)

void vta_program_free(struct vta_program *program)
{
    if (program == NULL)
        return;
    free(program->name);
    free(program->insns);
    free(program->bases);
    free(program->uops);
    free(program->ranges);
    free(program->params);
    free(program->order);
    vta_hazards_free(program->hazards);
    vta_plan_free(program->plan);
    vta_timing_kept_free(program->timings);
    free(program);
}

uint64_t vta_program_bytes(const struct vta_program *program)
{
    const struct vta_plan *plan = atomic_load_explicit(&program->plan, memory_order_acquire);
    const uint64_t insn_bytes =
        sizeof(*program->insns) + sizeof(*program->bases) + sizeof(*program->order);
    return sizeof(*program) + program->count * insn_bytes +
           program->uop_count * sizeof(*program->uops) +
           program->range_count * sizeof(*program->ranges) +
           (program->hazards != NULL ? program->hazards->count * sizeof(struct vta_hazard) : 0) +
           (plan != NULL ? plan->nbytes : 0);
}

/* An empty program with room for count instructions, or NULL. */
static struct vta_program *program_new(const struct vta_hw *hw, const char *name, uint32_t count)
{
    struct vta_program *program = calloc(1, sizeof(*program));
    if (program == NULL)
        return NULL;
    program->hw = *hw;
    program->count = count;
    program->name = strdup(name);
    program->insns = calloc((size_t)count + 1, sizeof(*program->insns));
    program->bases = malloc(((size_t)count + 1) * sizeof(*program->bases));
    if (program->name == NULL || program->insns == NULL || program->bases == NULL) {
        vta_program_free(program);
        return NULL;
    }
    return program;
}

static int no_memory(struct vta_error *error)
{
    return vta_error_set(error, VTA_ENOMEM, "no memory for a program");
}

static void decode_insns(struct vta_program *program, const struct vta_layout *layout,
                         const uint8_t *bytes)
{
    for (uint32_t i = 0; i < program->count; i++) {
        vta_insn_decode(&program->insns[i], layout, bytes + (size_t)i * VTA_INSN_BYTES);
        program->bases[i] = VTA_BASE_ABSOLUTE;
    }
}

static bool is_mem(const struct vta_insn *insn)
{
    return insn->opcode == VTA_OP_LOAD || insn->opcode == VTA_OP_STORE;
}

static bool moves_data(const struct vta_insn *insn)
{
    return is_mem(insn) && insn->mem.x_size != 0 && insn->mem.y_size != 0;
}

static bool loads_uops(const struct vta_insn *insn)
{
    return insn->opcode == VTA_OP_LOAD && insn->mem.memory == VTA_MEM_UOP;
}

int vta_program_error(const struct vta_program *program, uint32_t index, int code,
                      struct vta_error *error, const char *format, ...)
{
    static const char *const names[8] = { "LOAD", "STORE", "GEMM", "FINISH",
                                          "ALU",  "OP5",   "OP6",  "OP7" };
    char detail[512], text[VTA_DISASM_TEXT];
    const struct vta_insn *insn = &program->insns[index];

    if (error == NULL)
        return code;
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    vta_insn_print(insn, text, sizeof(text));
    vta_error_set(error, code, "refused: insn %u %s: %s\n  %u  %s", index, names[insn->opcode & 7],
                  detail, index, text);
    error->insn = index;
    return code;
}

/* ---- From a kernel ------------------------------------------------------------------------- */

static int copy_params(struct vta_program *program, const struct vta_kernel *kernel,
                       struct vta_error *error)
{
    program->params = calloc((size_t)kernel->param_count + 1, sizeof(*program->params));
    if (program->params == NULL)
        return no_memory(error);
    program->param_count = kernel->param_count;
    for (uint32_t i = 0; i < kernel->param_count; i++) {
        struct vta_program_param *param = &program->params[i];
        int rc = vta_tensor_nbytes(&kernel->params[i].type, &param->nbytes, error);
        if (rc != 0) {
            vta_error_prefix(error, "parameter %u '%s'", i, kernel->params[i].name);
            return rc;
        }
        param->access = kernel->params[i].access;
    }
    return 0;
}

static int decode_uops(struct vta_program *program, const struct vta_layout *layout,
                       const uint32_t *words, uint32_t count, struct vta_error *error)
{
    program->uops = malloc(((size_t)count + 1) * sizeof(*program->uops));
    if (program->uops == NULL)
        return no_memory(error);
    program->uop_count = count;
    for (uint32_t i = 0; i < count; i++)
        vta_uop_decode(&program->uops[i], layout, words[i]);
    return 0;
}

static int apply_reloc(struct vta_program *program, const struct vta_reloc *reloc,
                       struct vta_error *error)
{
    if (reloc->insn >= program->count)
        return vta_error_set(error, VTA_EFORMAT, "a relocation names insn %u of %u", reloc->insn,
                             program->count);
    struct vta_insn *insn = &program->insns[reloc->insn];
    if (!is_mem(insn))
        return vta_program_error(program, reloc->insn, VTA_EFORMAT, error,
                                 "a relocation for an instruction that has no DRAM address");
    if (program->bases[reloc->insn] != VTA_BASE_ABSOLUTE)
        return vta_program_error(program, reloc->insn, VTA_EFORMAT, error, "two relocations");
    if (insn->mem.dram_base != 0)
        return vta_program_error(program, reloc->insn, VTA_EFORMAT, error,
                                 "dram_base is %u, with a relocation it must be 0",
                                 insn->mem.dram_base);
    if ((reloc->param == VTA_PARAM_UOPS) != loads_uops(insn))
        return vta_program_error(program, reloc->insn, VTA_EFORMAT, error,
                                 loads_uops(insn) ? "loads micro-ops from a parameter"
                                                  : "only LOAD UOP may refer to the micro-ops");
    if (reloc->param != VTA_PARAM_UOPS && reloc->param >= program->param_count)
        return vta_program_error(program, reloc->insn, VTA_EFORMAT, error,
                                 "refers to parameter %u of %u", reloc->param,
                                 program->param_count);
    program->bases[reloc->insn] = reloc->param == VTA_PARAM_UOPS ? VTA_BASE_UOPS : reloc->param;
    insn->mem.dram_base = reloc->offset;
    return 0;
}

int vta_program_from_kernel(struct vta_program **result, const struct vta_kernel *kernel,
                            const struct vta_hw *hw, struct vta_error *error)
{
    struct vta_layout layout;
    struct vta_program *program = program_new(hw, kernel->name, kernel->insn_count);
    int rc = program == NULL ? no_memory(error) : vta_layout_make(&layout, hw, error);
    if (rc == 0)
        rc = copy_params(program, kernel, error);
    if (rc == 0)
        rc = decode_uops(program, &layout, kernel->uops, kernel->uop_count, error);
    if (rc != 0)
        goto fail;

    decode_insns(program, &layout, kernel->insns);
    for (uint32_t i = 0; i < kernel->reloc_count; i++) {
        rc = apply_reloc(program, &kernel->relocs[i], error);
        if (rc != 0)
            goto fail;
    }
    for (uint32_t i = 0; i < program->count; i++) {
        if (moves_data(&program->insns[i]) && program->bases[i] == VTA_BASE_ABSOLUTE) {
            rc = vta_program_error(program, i, VTA_EFORMAT, error,
                                   "moves data, but no relocation says where");
            goto fail;
        }
    }
    *result = program;
    return 0;

fail:
    vta_program_free(program);
    return rc;
}

/* ---- From a stream with absolute addresses ------------------------------------------------- */

/* The DRAM elements that an instruction spans, gaps between its rows included. */
static struct vta_uop_range span_of(const struct vta_mem_insn *mem)
{
    uint64_t begin = mem->dram_base;
    return (struct vta_uop_range){
        .begin = begin,
        .end = begin + (uint64_t)(mem->y_size - 1) * mem->x_stride + mem->x_size,
    };
}

static int compare_ranges(const void *a, const void *b)
{
    const struct vta_uop_range *x = a, *y = b;
    return x->begin < y->begin ? -1 : x->begin > y->begin;
}

/* Sorts ranges and joins those that overlap; returns how many are left. */
static uint32_t merge_ranges(struct vta_uop_range *ranges, uint32_t count)
{
    uint32_t merged = 0;
    qsort(ranges, count, sizeof(*ranges), compare_ranges);
    for (uint32_t i = 0; i < count; i++) {
        if (merged != 0 && ranges[i].begin < ranges[merged - 1].end) {
            if (ranges[i].end > ranges[merged - 1].end)
                ranges[merged - 1].end = ranges[i].end;
        } else {
            ranges[merged++] = ranges[i];
        }
    }
    return merged;
}

/* The last range that begins at or before `at`, or NULL. */
static const struct vta_uop_range *range_before(const struct vta_program *program, uint64_t at)
{
    uint32_t low = 0, high = program->range_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (program->ranges[middle].begin <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? NULL : &program->ranges[low - 1];
}

/* Copies the ranges' micro-ops; a range outside DRAM is left to the verifier, which refuses it. */
static int copy_image(struct vta_program *program, const struct vta_layout *layout,
                      vta_dram_reader reader, void *context, struct vta_error *error)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < program->range_count; i++) {
        program->ranges[i].image = (uint32_t)total;
        total += program->ranges[i].end - program->ranges[i].begin;
        if (total > STREAM_UOPS_MAX)
            return vta_error_limit(error, VTA_ELIMIT, STREAM_UOPS_MAX, (int64_t)total,
                                   "a stream may load from at most %u micro-ops in DRAM",
                                   STREAM_UOPS_MAX);
    }
    program->uops = calloc((size_t)total + 1, sizeof(*program->uops));
    if (program->uops == NULL)
        return no_memory(error);
    program->uop_count = (uint32_t)total;
    for (uint32_t i = 0; i < program->range_count; i++) {
        const struct vta_uop_range *range = &program->ranges[i];
        uint64_t n = range->end - range->begin;
        const uint8_t *bytes = reader(context, range->begin * VTA_UOP_BYTES, n * VTA_UOP_BYTES);
        for (uint64_t k = 0; bytes != NULL && k < n; k++) {
            uint32_t word;
            memcpy(&word, bytes + k * VTA_UOP_BYTES, sizeof(word));
            vta_uop_decode(&program->uops[range->image + k], layout, word);
        }
    }
    return 0;
}

static int collect_ranges(struct vta_program *program, struct vta_error *error)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < program->count; i++)
        n += loads_uops(&program->insns[i]) && moves_data(&program->insns[i]);
    program->ranges = malloc(((size_t)n + 1) * sizeof(*program->ranges));
    if (program->ranges == NULL)
        return no_memory(error);
    n = 0;
    for (uint32_t i = 0; i < program->count; i++)
        if (loads_uops(&program->insns[i]) && moves_data(&program->insns[i]))
            program->ranges[n++] = span_of(&program->insns[i].mem);
    program->range_count = merge_ranges(program->ranges, n);
    return 0;
}

/* Micro-ops must be what they were when the program was verified, so nothing in it may write them.
 */
static int refuse_stores_into_uops(const struct vta_program *program, struct vta_error *error)
{
    const uint64_t out_bytes = program->hw.dram_elem_bytes[VTA_MEM_OUT];
    for (uint32_t i = 0; i < program->count; i++) {
        const struct vta_insn *insn = &program->insns[i];
        if (insn->opcode != VTA_OP_STORE || !moves_data(insn))
            continue;
        struct vta_uop_range span = span_of(&insn->mem);
        uint64_t first = span.begin * out_bytes, end = span.end * out_bytes;
        const struct vta_uop_range *range = range_before(program, (end - 1) / VTA_UOP_BYTES);
        if (range != NULL && range->end * VTA_UOP_BYTES > first)
            return vta_program_error(program, i, VTA_EUOP, error,
                                     "stores to bytes 0x%llx to 0x%llx, where the program loads "
                                     "micro-ops from",
                                     (unsigned long long)first, (unsigned long long)end);
    }
    return 0;
}

/* Makes each LOAD UOP count from the program's own copy. One outside DRAM stays absolute, and the
 * verifier refuses it. */
static void relocate_uop_loads(struct vta_program *program, vta_dram_reader reader, void *context)
{
    for (uint32_t i = 0; i < program->count; i++) {
        struct vta_insn *insn = &program->insns[i];
        if (!loads_uops(insn) || !moves_data(insn))
            continue;
        struct vta_uop_range span = span_of(&insn->mem);
        if (reader(context, span.begin * VTA_UOP_BYTES, (span.end - span.begin) * VTA_UOP_BYTES) ==
            NULL)
            continue;
        const struct vta_uop_range *range = range_before(program, span.begin);
        program->bases[i] = VTA_BASE_UOPS;
        insn->mem.dram_base = range->image + (uint32_t)(span.begin - range->begin);
    }
}

int vta_program_from_stream(struct vta_program **result, const struct vta_hw *hw,
                            const uint8_t *insns, uint32_t count, vta_dram_reader reader,
                            void *context, struct vta_error *error)
{
    struct vta_layout layout;
    struct vta_program *program = program_new(hw, "stream", count);
    int rc = program == NULL ? no_memory(error) : vta_layout_make(&layout, hw, error);
    if (rc != 0)
        goto fail;
    decode_insns(program, &layout, insns);
    rc = collect_ranges(program, error);
    if (rc == 0)
        rc = copy_image(program, &layout, reader, context, error);
    if (rc == 0)
        rc = refuse_stores_into_uops(program, error);
    if (rc != 0)
        goto fail;
    relocate_uop_loads(program, reader, context);
    *result = program;
    return 0;

fail:
    vta_program_free(program);
    return rc;
}

bool vta_program_uops_unchanged(const struct vta_program *program, vta_dram_reader reader,
                                void *context)
{
    struct vta_layout layout;
    if (vta_layout_make(&layout, &program->hw, NULL) != 0)
        return false;
    for (uint32_t i = 0; i < program->range_count; i++) {
        const struct vta_uop_range *range = &program->ranges[i];
        uint64_t n = range->end - range->begin;
        const uint8_t *bytes = reader(context, range->begin * VTA_UOP_BYTES, n * VTA_UOP_BYTES);
        for (uint64_t k = 0; k < n; k++) {
            struct vta_uop uop;
            uint32_t word;
            if (bytes == NULL)
                return false;
            memcpy(&word, bytes + k * VTA_UOP_BYTES, sizeof(word));
            vta_uop_decode(&uop, &layout, word);
            if (memcmp(&uop, &program->uops[range->image + k], sizeof(uop)) != 0)
                return false;
        }
    }
    return true;
}

/* ---- From a recorder ----------------------------------------------------------------------- */

/* memcpy and memcmp want pointers even for nothing. */
static void copy(void *to, const void *from, size_t nbytes)
{
    if (nbytes != 0)
        memcpy(to, from, nbytes);
}

static bool same(const void *a, const void *b, size_t nbytes)
{
    return nbytes == 0 || memcmp(a, b, nbytes) == 0;
}

int vta_program_from_decoded(struct vta_program **result, const struct vta_hw *hw,
                             const struct vta_decoded *decoded, struct vta_error *error)
{
    struct vta_program *program = program_new(hw, "stream", decoded->count);
    int rc = 0;
    if (program == NULL)
        return no_memory(error);
    copy(program->insns, decoded->insns, decoded->count * sizeof(*program->insns));
    copy(program->bases, decoded->bases, decoded->count * sizeof(*program->bases));
    for (uint32_t i = 0; rc == 0 && i < program->count; i++) {
        bool uops = loads_uops(&program->insns[i]) && moves_data(&program->insns[i]);
        if (program->bases[i] != (uops ? VTA_BASE_UOPS : VTA_BASE_ABSOLUTE))
            rc = vta_program_error(program, i, VTA_EFORMAT, error, "base %u is not what a %s has",
                                   program->bases[i], uops ? "load of micro-ops" : "stream");
    }
    program->uops = malloc(((size_t)decoded->uop_count + 1) * sizeof(*program->uops));
    if (rc == 0 && program->uops == NULL)
        rc = no_memory(error);
    if (rc != 0) {
        vta_program_free(program);
        return rc;
    }
    copy(program->uops, decoded->uops, decoded->uop_count * sizeof(*program->uops));
    program->uop_count = decoded->uop_count;
    *result = program;
    return 0;
}

bool vta_program_is_decoded(const struct vta_program *program, const struct vta_decoded *decoded)
{
    return program->count == decoded->count && program->uop_count == decoded->uop_count &&
           same(program->insns, decoded->insns, decoded->count * sizeof(*decoded->insns)) &&
           same(program->bases, decoded->bases, decoded->count * sizeof(*decoded->bases)) &&
           same(program->uops, decoded->uops, decoded->uop_count * sizeof(*decoded->uops));
}

/* ---- Printing ------------------------------------------------------------------------------ */

void vta_program_print(const struct vta_program *program, void (*line)(void *, const char *),
                       void *context)
{
    char insn[VTA_DISASM_TEXT], text[VTA_DISASM_TEXT + 64];
    for (uint32_t i = 0; i < program->count; i++) {
        vta_insn_print(&program->insns[i], insn, sizeof(insn));
        if (!moves_data(&program->insns[i]))
            snprintf(text, sizeof(text), "%5u  %s", i, insn);
        else if (program->bases[i] == VTA_BASE_UOPS)
            snprintf(text, sizeof(text), "%5u  %s  of micro-ops", i, insn);
        else if (program->bases[i] == VTA_BASE_ABSOLUTE)
            snprintf(text, sizeof(text), "%5u  %s", i, insn);
        else
            snprintf(text, sizeof(text), "%5u  %s  of parameter %u", i, insn, program->bases[i]);
        line(context, text);
    }
}
