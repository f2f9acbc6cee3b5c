/* random_program.c: valid programs by construction (random_program.h). */
#include "random_program.h"

#include <stdlib.h>
#include <string.h>

#define INSNS_MAX 48 /* chosen; loads of micro-ops that a nest needs come on top */

/* ---- Configurations ------------------------------------------------------------------------ */

/* log2 of inp bits, wgt bits, batch, block, and the UOP, INP, WGT, ACC buffers. */
static const uint8_t known[][8] = {
    { 3, 3, 0, 4, 15, 15, 18, 17 }, /* 1x16 */
    { 3, 3, 2, 3, 15, 16, 16, 18 }, /* 4x8 */
    { 3, 3, 1, 5, 13, 14, 18, 17 }, /* 2x32 */
    { 3, 3, 0, 3, 12, 13, 15, 15 }, /* 1x8 */
    { 2, 2, 0, 4, 13, 14, 16, 16 }, /* int4 */
    { 3, 1, 0, 4, 12, 14, 15, 16 }, /* int8 by int2 */
    { 4, 3, 0, 3, 12, 14, 15, 15 }, /* int16 by int8 */
};

void random_hw(struct rng *rng, struct vta_hw *hw)
{
    vta_hw_default(hw);
    do {
        uint8_t raw[8];
        memcpy(raw, known[rng_between(rng, 0, sizeof(known) / sizeof(known[0]) - 1)], sizeof(raw));
        if (rng_one_in(rng, 2)) {
            raw[0] = (uint8_t)rng_between(rng, 0, 5);
            raw[1] = (uint8_t)rng_between(rng, 0, 5);
            raw[2] = (uint8_t)rng_between(rng, 0, 3);
            raw[3] = (uint8_t)rng_between(rng, 1, 4);
            for (int i = 4; i < 8; i++)
                raw[i] = (uint8_t)rng_between(rng, 6, 17);
        }
        hw->log_inp_width = raw[0];
        hw->log_wgt_width = raw[1];
        hw->log_acc_width = 5;
        hw->log_batch = raw[2];
        hw->log_block = raw[3];
        hw->log_uop_buff = raw[4];
        hw->log_inp_buff = raw[5];
        hw->log_wgt_buff = raw[6];
        hw->log_acc_buff = raw[7];
    } while (vta_hw_derive(hw, NULL) != 0);
}

/* ---- DRAM ---------------------------------------------------------------------------------- */

static uint32_t small_index(struct rng *rng, uint32_t depth)
{
    return rng_between(rng, 0, depth - 1) >> rng_between(rng, 0, 6);
}

/* A third lie anywhere, sources often close to their accumulator; the others are the next entries
 * after the micro-op before. */
static void random_uops(struct rng *rng, const struct vta_hw *hw, const struct vta_layout *layout,
                        uint8_t *to)
{
    const uint32_t dst_depth = hw->depth[VTA_MEM_ACC], wgt_depth = hw->depth[VTA_MEM_WGT];
    const uint32_t src_depth =
        hw->depth[VTA_MEM_INP] < dst_depth ? hw->depth[VTA_MEM_INP] : dst_depth;
    struct vta_uop uop = { 0 };
    for (uint32_t i = 0; i < RANDOM_DRAM_UOPS; i++) {
        if (i == 0 || rng_one_in(rng, 3) || uop.dst + 1 >= dst_depth || uop.src + 1 >= src_depth) {
            uop = (struct vta_uop){ small_index(rng, dst_depth), small_index(rng, src_depth),
                                    small_index(rng, wgt_depth) };
            if (rng_one_in(rng, 2))
                uop.src = (uop.dst + rng_between(rng, 0, 3)) % src_depth;
        } else {
            uop = (struct vta_uop){ uop.dst + 1, uop.src + 1, small_index(rng, wgt_depth) };
        }
        uint32_t word;
        vta_uop_encode(&uop, layout, &word, NULL);
        memcpy(to + 4 * i, &word, sizeof(word));
    }
}

void random_dram(struct rng *rng, const struct vta_hw *hw, uint8_t *dram)
{
    static const uint8_t extremes[] = { 0x80, 0x7f, 0xff, 0x00 };
    struct vta_layout layout;
    vta_layout_make(&layout, hw, NULL);
    bool extreme = rng_one_in(rng, 4);
    for (size_t i = 0; i < RANDOM_DRAM_BYTES; i += 8) {
        uint64_t word = rng_next(rng);
        memcpy(dram + i, &word, sizeof(word));
        if (extreme)
            memset(dram + i, extremes[word & 3], sizeof(word));
    }
    random_uops(rng, hw, &layout, dram + RANDOM_DRAM_BEGIN);
}

/* ---- Streams ------------------------------------------------------------------------------- */

struct maker {
    struct rng *rng;
    const struct vta_hw *hw;
    struct vta_layout layout;
    const uint8_t *dram;
    uint8_t *bytes;
    uint32_t count;
    struct vta_tokens tokens;
    struct vta_uop *uops; /* the UOP SRAM at this point of the program */
    uint32_t loaded_begin, loaded_end;
};

static uint32_t *queue_of(struct vta_tokens *tokens, enum vta_core_unit unit, bool next, bool push)
{
    switch (unit) {
    case VTA_CORE_LOAD:
        return !next ? NULL : push ? &tokens->load_to_compute : &tokens->compute_to_load;
    case VTA_CORE_STORE:
        return next ? NULL : push ? &tokens->store_to_compute : &tokens->compute_to_store;
    default:
        if (next)
            return push ? &tokens->compute_to_store : &tokens->store_to_compute;
        return push ? &tokens->compute_to_load : &tokens->load_to_compute;
    }
}

static void emit(struct maker *m, const struct vta_insn *insn)
{
    if (vta_insn_encode(insn, &m->layout, m->bytes + (size_t)m->count * VTA_INSN_BYTES, NULL) != 0)
        abort();
    m->count++;
}

/* Pops what is there, pushes at random, and appends. */
static void emit_ordered(struct maker *m, struct vta_insn *insn)
{
    enum vta_core_unit unit = vta_insn_unit(insn);
    for (int next = 0; next < 2; next++) {
        uint32_t *pop = queue_of(&m->tokens, unit, next, false);
        uint32_t *bit = next ? &insn->pop_next : &insn->pop_prev;
        *bit = pop != NULL ? *pop != 0 && rng_one_in(m->rng, 2) : rng_one_in(m->rng, 16);
        if (pop != NULL)
            *pop -= *bit;
    }
    for (int next = 0; next < 2; next++) {
        uint32_t *push = queue_of(&m->tokens, unit, next, true);
        uint32_t *bit = next ? &insn->push_next : &insn->push_prev;
        *bit = rng_one_in(m->rng, 3);
        if (push != NULL)
            *push += *bit;
    }
    emit(m, insn);
}

static void shape_rows(struct maker *m, struct vta_mem_insn *mem, uint32_t depth, uint64_t elem,
                       uint32_t dram_from, uint32_t dram_to)
{
    uint32_t rows, columns;
    do {
        mem->y_size = rng_between(m->rng, 0, 4);
        mem->x_size = rng_between(m->rng, 0, 1u << rng_between(m->rng, 0, 5));
        mem->x_stride = rng_between(m->rng, 0, 40);
        rows = mem->y_pad_before + mem->y_size + mem->y_pad_after;
        columns = mem->x_pad_before + mem->x_size + mem->x_pad_after;
    } while (rows * columns > depth ||
             ((uint64_t)mem->y_size * mem->x_stride + mem->x_size + 1) * elem >
                 dram_to - dram_from - elem);
    mem->sram_base = rng_between(m->rng, 0, depth - rows * columns);
    uint64_t span = (uint64_t)mem->y_size * mem->x_stride + mem->x_size + 1;
    uint64_t first = (dram_from + elem - 1) / elem, last = dram_to / elem - span;
    mem->dram_base = (uint32_t)(first + rng_next(m->rng) % (last - first + 1));
}

static void make_load(struct maker *m)
{
    static const uint32_t memories[] = { VTA_MEM_INP, VTA_MEM_WGT, VTA_MEM_ACC, VTA_MEM_ACC_8BIT };
    struct vta_insn insn = { .opcode = VTA_OP_LOAD };
    insn.mem.memory = memories[rng_between(m->rng, 0, 3)];
    if (rng_one_in(m->rng, 3)) {
        insn.mem.y_pad_before = rng_between(m->rng, 0, 2);
        insn.mem.y_pad_after = rng_between(m->rng, 0, 2);
        insn.mem.x_pad_before = rng_between(m->rng, 0, 2);
        insn.mem.x_pad_after = rng_between(m->rng, 0, 2);
        if (m->hw->depth[insn.mem.memory] < 32)
            insn.mem.y_pad_before = insn.mem.y_pad_after = insn.mem.x_pad_before =
                insn.mem.x_pad_after = 0;
    }
    shape_rows(m, &insn.mem, m->hw->depth[insn.mem.memory], m->hw->dram_elem_bytes[insn.mem.memory],
               RANDOM_DRAM_BEGIN + 4 * RANDOM_DRAM_UOPS, RANDOM_DRAM_BYTES);
    emit_ordered(m, &insn);
}

static void make_store(struct maker *m)
{
    struct vta_insn insn = { .opcode = VTA_OP_STORE };
    insn.mem.memory = VTA_MEM_OUT;
    shape_rows(m, &insn.mem, m->hw->depth[VTA_MEM_OUT], m->hw->dram_elem_bytes[VTA_MEM_OUT],
               RANDOM_DRAM_BEGIN + 4 * RANDOM_DRAM_UOPS, RANDOM_DRAM_BYTES);
    emit_ordered(m, &insn);
}

/* All of OUT, to the end of the data: what no other store shows. */
static void store_everything(struct maker *m)
{
    const uint32_t depth = m->hw->depth[VTA_MEM_OUT];
    const uint32_t elem = m->hw->dram_elem_bytes[VTA_MEM_OUT];
    struct vta_insn insn = { .opcode = VTA_OP_STORE };
    insn.mem.memory = VTA_MEM_OUT;
    insn.mem.y_size = 1;
    insn.mem.x_size = depth <= UINT16_MAX ? depth : UINT16_MAX;
    insn.mem.dram_base = RANDOM_DRAM_BYTES / elem - insn.mem.x_size;
    emit_ordered(m, &insn);
}

/* Mostly one row of data; sometimes several, apart or overlapping in DRAM, none at all, or padding.
 */
static void shape_uop_load(struct maker *m, struct vta_mem_insn *mem)
{
    const uint32_t depth = m->hw->depth[VTA_MEM_UOP];
    mem->y_size = 1;
    mem->x_size = rng_between(m->rng, 1, depth < 12 ? depth : 12);
    if (!rng_one_in(m->rng, 3) || depth < 64)
        return;
    mem->y_size = rng_between(m->rng, 0, 3);
    mem->x_size = rng_between(m->rng, 1, 6);
    mem->x_stride = rng_between(m->rng, 0, 9);
    mem->y_pad_before = rng_between(m->rng, 0, 1);
    mem->y_pad_after = rng_between(m->rng, 0, 1);
    mem->x_pad_before = rng_between(m->rng, 0, 1);
    mem->x_pad_after = rng_between(m->rng, 0, 1);
}

static void make_load_uop(struct maker *m)
{
    struct vta_insn insn = { .opcode = VTA_OP_LOAD };
    struct vta_mem_insn *mem = &insn.mem;
    mem->memory = VTA_MEM_UOP;
    shape_uop_load(m, mem);
    const uint32_t rows = mem->y_pad_before + mem->y_size + mem->y_pad_after;
    const uint32_t columns = mem->x_pad_before + mem->x_size + mem->x_pad_after;
    mem->sram_base = rng_between(m->rng, 0, m->hw->depth[VTA_MEM_UOP] - rows * columns);
    mem->dram_base = RANDOM_DRAM_BEGIN / 4 + rng_between(m->rng, 0, RANDOM_DRAM_UOPS - 64);
    for (uint32_t i = 0; i < rows * columns; i++) {
        const uint32_t y = i / columns - mem->y_pad_before, x = i % columns - mem->x_pad_before;
        uint32_t word = 0;
        if (y < mem->y_size && x < mem->x_size) /* unsigned: padding before is far beyond */
            memcpy(&word, m->dram + 4 * (mem->dram_base + y * mem->x_stride + x), sizeof(word));
        vta_uop_decode(&m->uops[mem->sram_base + i], &m->layout, word);
    }
    if (rows * columns != 0) {
        m->loaded_begin = mem->sram_base;
        m->loaded_end = mem->sram_base + rows * columns;
    }
    emit_ordered(m, &insn);
}

/* Factors that keep base + (extents − 1) · factors below depth. */
static void fit_factors(struct maker *m, const struct vta_nest_insn *nest, uint32_t max,
                        uint32_t depth, uint32_t *out, uint32_t *in)
{
    uint32_t room = depth - 1 - max;
    *out = rng_between(m->rng, 0, nest->iter_out > 1 ? room / (nest->iter_out - 1) : room);
    *out = rng_one_in(m->rng, 2) ? *out : *out > 4 ? rng_between(m->rng, 0, 4) : *out;
    room -= nest->iter_out > 1 ? *out * (nest->iter_out - 1) : 0;
    *in = rng_between(m->rng, 0, nest->iter_in > 1 ? room / (nest->iter_in - 1) : room);
}

static void make_nest(struct maker *m)
{
    struct vta_insn insn = { .opcode = rng_one_in(m->rng, 2) ? VTA_OP_GEMM : VTA_OP_ALU };
    struct vta_nest_insn *nest = &insn.nest;
    struct vta_uop max = { 0 };

    while (m->loaded_begin == m->loaded_end)
        make_load_uop(m);
    nest->uop_begin = rng_between(m->rng, m->loaded_begin, m->loaded_end - 1);
    nest->uop_end = rng_between(m->rng, nest->uop_begin, m->loaded_end);
    nest->iter_out = rng_between(m->rng, rng_one_in(m->rng, 20) ? 0 : 1, 4);
    nest->iter_in = rng_between(m->rng, rng_one_in(m->rng, 20) ? 0 : 1, 4);
    for (uint32_t u = nest->uop_begin; u < nest->uop_end; u++) {
        max.dst = m->uops[u].dst > max.dst ? m->uops[u].dst : max.dst;
        max.src = m->uops[u].src > max.src ? m->uops[u].src : max.src;
        max.wgt = m->uops[u].wgt > max.wgt ? m->uops[u].wgt : max.wgt;
    }
    const uint32_t acc = m->hw->depth[VTA_MEM_ACC], inp = m->hw->depth[VTA_MEM_INP];
    nest->reset = rng_one_in(m->rng, 6);
    fit_factors(m, nest, max.dst, acc, &nest->dst_factor_out, &nest->dst_factor_in);
    fit_factors(m, nest, max.src, insn.opcode == VTA_OP_GEMM ? inp : acc, &nest->src_factor_out,
                &nest->src_factor_in);
    if (insn.opcode == VTA_OP_GEMM) {
        fit_factors(m, nest, max.wgt, m->hw->depth[VTA_MEM_WGT], &nest->wgt_factor_out,
                    &nest->wgt_factor_in);
    } else {
        nest->alu_opcode = rng_between(m->rng, 0, 4);
        nest->use_imm = rng_one_in(m->rng, 2);
        nest->imm = (int16_t)rng_next(m->rng);
        if (nest->alu_opcode == 3)
            nest->imm = (int32_t)rng_between(m->rng, 0, 80) - 40;
    }
    emit_ordered(m, &insn);
}

/* A few entries of OUT, to where a LOAD reads from. */
static void store_over(struct maker *m, const struct vta_mem_insn *load)
{
    const uint32_t out = m->hw->dram_elem_bytes[VTA_MEM_OUT];
    const uint32_t begin = load->dram_base * m->hw->dram_elem_bytes[load->memory];
    struct vta_insn insn = { .opcode = VTA_OP_STORE };
    insn.mem = (struct vta_mem_insn){
        .memory = VTA_MEM_OUT, .dram_base = (begin + out - 1) / out, .y_size = 1, .x_size = 2
    };
    if ((insn.mem.dram_base + 2) * out <= RANDOM_DRAM_BYTES && m->hw->depth[VTA_MEM_OUT] >= 2)
        emit_ordered(m, &insn);
}

/* Weights in the same place again and again, each time for one GEMM (or a few): what the simulator
 * may read in DRAM. Sometimes a store comes between and writes where the weights came from. */
static void make_dense(struct maker *m)
{
    while (m->loaded_begin == m->loaded_end)
        make_load_uop(m);
    const uint32_t at = rng_between(m->rng, m->loaded_begin, m->loaded_end - 1);
    const uint32_t rows = rng_between(m->rng, 1, 6), columns = rng_between(m->rng, 1, 4);
    const uint32_t elem = m->hw->dram_elem_bytes[VTA_MEM_WGT], stride_max = 9;
    const uint32_t first = (RANDOM_DRAM_BEGIN + 4 * RANDOM_DRAM_UOPS + elem - 1) / elem;
    const uint32_t end = RANDOM_DRAM_BYTES / elem, span = rows * stride_max;
    const struct vta_uop uop = m->uops[at];
    if (uop.wgt + rows * columns >= m->hw->depth[VTA_MEM_WGT] || first + span > end ||
        uop.dst + rows >= m->hw->depth[VTA_MEM_ACC] ||
        uop.src + columns >= m->hw->depth[VTA_MEM_INP])
        return;
    for (uint32_t n = rng_between(m->rng, 1, 4); n > 0; n--) {
        struct vta_insn load = { .opcode = VTA_OP_LOAD };
        load.mem = (struct vta_mem_insn){ .memory = VTA_MEM_WGT,
                                          .sram_base = uop.wgt,
                                          .dram_base = rng_between(m->rng, first, end - span),
                                          .y_size = rows,
                                          .x_size = columns,
                                          .x_stride = rng_between(m->rng, columns, stride_max) };
        emit_ordered(m, &load);
        struct vta_insn gemm = { .opcode = VTA_OP_GEMM };
        gemm.nest =
            (struct vta_nest_insn){ .uop_begin = at,
                                    .uop_end = at + 1,
                                    .iter_out = rows,
                                    .iter_in = columns,
                                    .dst_factor_out = 1,
                                    .src_factor_in = 1,
                                    .wgt_factor_out = rng_one_in(m->rng, 4) ? columns - 1 : columns,
                                    .wgt_factor_in = 1 };
        for (uint32_t times = rng_one_in(m->rng, 6) ? 2 : 1; times > 0; times--) {
            if (rng_one_in(m->rng, 4))
                store_over(m, &load.mem);
            emit_ordered(m, &gemm);
        }
    }
}

/* Orders every store before FINISH, and leaves few tokens behind. */
static void make_end(struct maker *m)
{
    struct vta_insn push = { .opcode = VTA_OP_STORE, .push_prev = 1 };
    struct vta_insn pop = { .opcode = VTA_OP_LOAD, .pop_next = 1 };
    struct vta_insn finish = { .opcode = VTA_OP_FINISH };
    emit(m, &push);
    m->tokens.store_to_compute++;
    for (; m->tokens.store_to_compute > 0; m->tokens.store_to_compute--)
        emit(m, &pop);
    emit(m, &finish);
}

uint8_t *random_stream(struct rng *rng, const struct vta_hw *hw, const uint8_t *dram,
                       struct vta_tokens before, uint32_t *count)
{
    struct maker m = { .rng = rng, .hw = hw, .dram = dram, .tokens = before };
    uint32_t length = rng_between(rng, 1, INSNS_MAX);

    vta_layout_make(&m.layout, hw, NULL);
    m.uops = calloc(hw->depth[VTA_MEM_UOP], sizeof(*m.uops));
    m.bytes = malloc((size_t)(20 * INSNS_MAX + 9 + before.store_to_compute) * VTA_INSN_BYTES);
    for (uint32_t i = 0; i < length; i++) {
        switch (rng_between(rng, 0, 8)) {
        case 0:
            make_load_uop(&m);
            break;
        case 1:
        case 2:
        case 3:
            make_load(&m);
            break;
        case 4:
            make_store(&m);
            break;
        case 5:
            make_dense(&m);
            break;
        default:
            make_nest(&m);
        }
    }
    store_everything(&m);
    make_end(&m);
    free(m.uops);
    *count = m.count;
    return m.bytes;
}
