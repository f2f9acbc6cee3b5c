/* reference.c: the plain VTA (reference.h). Written to be compared with the facts line by line, not
 * to be quick.
 */
#include "reference.h"
#include "insn.h"

#include <stdlib.h>
#include <string.h>

const char *ref_outcome_name(enum ref_outcome outcome)
{
    static const char *const names[] = { "done",    "bad opcode", "bad SRAM index", "bad address",
                                         "bad uop", "deadlock",   "bad finish",     "too long" };
    return names[outcome];
}

/* ---- Numbers in packed bytes --------------------------------------------------------------- */

static int64_t get_number(const uint8_t *bytes, size_t index, unsigned width)
{
    uint64_t value = 0;
    for (unsigned k = 0; k < width; k++) {
        size_t bit = index * width + k;
        value |= (uint64_t)(bytes[bit / 8] >> (bit % 8) & 1) << k;
    }
    return value >> (width - 1) & 1 ? (int64_t)value - ((int64_t)1 << width) : (int64_t)value;
}

static void set_number(uint8_t *bytes, size_t index, unsigned width, int64_t value)
{
    for (unsigned k = 0; k < width; k++) {
        size_t bit = index * width + k;
        bytes[bit / 8] = (uint8_t)(bytes[bit / 8] & ~(1u << bit % 8));
        bytes[bit / 8] = (uint8_t)(bytes[bit / 8] | (unsigned)((value >> k) & 1) << bit % 8);
    }
}

static int32_t wrap32(int64_t value)
{
    return (int32_t)(uint32_t)(uint64_t)value;
}

/* ---- LOAD and STORE ------------------------------------------------------------------------ */

static bool in_dram(const struct ref_board *board, uint64_t address, uint64_t nbytes)
{
    return address >= board->dram_begin && address + nbytes <= board->dram_end;
}

static uint64_t *load_counter(struct ref_board *board, unsigned memory)
{
    switch (memory) {
    case VTA_MEM_UOP:
        return &board->counters.uop_load_nbytes;
    case VTA_MEM_WGT:
        return &board->counters.wgt_load_nbytes;
    case VTA_MEM_INP:
        return &board->counters.inp_load_nbytes;
    default:
        return &board->counters.acc_load_nbytes;
    }
}

static enum ref_outcome put_entry(struct ref_board *board, const struct ref_insn *insn,
                                  uint64_t entry, bool padding, uint64_t dram_element)
{
    const unsigned memory = insn->memory == VTA_MEM_ACC_8BIT ? VTA_MEM_ACC : insn->memory;
    const size_t size = board->hw.sram_elem_bytes[memory];
    if (entry >= board->hw.depth[memory])
        return REF_BAD_SRAM;
    uint8_t *to = board->sram[memory] + entry * size;
    if (memory == VTA_MEM_UOP)
        board->uop_loaded[entry] = true;
    if (padding) {
        memset(to, 0, size);
        return REF_DONE;
    }
    uint64_t dram_size = insn->memory == VTA_MEM_ACC_8BIT ? size / 4 : size;
    if (!in_dram(board, dram_element * dram_size, dram_size))
        return REF_BAD_DRAM;
    const uint8_t *from = board->dram + dram_element * dram_size;
    if (insn->memory != VTA_MEM_ACC_8BIT)
        memcpy(to, from, size);
    else
        for (size_t i = 0; i < size / 4; i++)
            set_number(to, i, 32, get_number(from, i, 8));
    return REF_DONE;
}

static enum ref_outcome run_load(struct ref_board *board, const struct ref_insn *insn)
{
    if (insn->memory > VTA_MEM_ACC_8BIT || insn->memory == VTA_MEM_OUT)
        return REF_BAD_OPCODE;
    if (insn->x_size == 0)
        return REF_DONE;
    uint64_t entry = insn->sram;
    const unsigned rows = insn->y0 + insn->y_size + insn->y1;
    const unsigned columns = insn->x0 + insn->x_size + insn->x1;
    for (unsigned y = 0; y < rows; y++) {
        for (unsigned x = 0; x < columns; x++) {
            bool padding = y < insn->y0 || y >= insn->y0 + insn->y_size || x < insn->x0 ||
                           x >= insn->x0 + insn->x_size;
            uint64_t element =
                insn->dram + (uint64_t)(y - insn->y0) * insn->x_stride + (x - insn->x0);
            enum ref_outcome outcome = put_entry(board, insn, entry++, padding, element);
            if (outcome != REF_DONE)
                return outcome;
        }
    }
    *load_counter(board, insn->memory) +=
        (uint64_t)insn->x_size * insn->y_size * board->hw.sram_elem_bytes[insn->memory];
    return REF_DONE;
}

static enum ref_outcome run_store(struct ref_board *board, const struct ref_insn *insn)
{
    const size_t lanes = (size_t)board->hw.batch * board->hw.block;
    const size_t size = lanes * board->hw.out_bits / 8;
    if (insn->x_size == 0)
        return REF_DONE;
    if (insn->memory != VTA_MEM_OUT || insn->y0 + insn->y1 + insn->x0 + insn->x1 != 0)
        return REF_BAD_OPCODE;
    for (unsigned y = 0; y < insn->y_size; y++) {
        for (unsigned x = 0; x < insn->x_size; x++) {
            uint64_t entry = insn->sram + (uint64_t)y * insn->x_size + x;
            uint64_t element = insn->dram + (uint64_t)y * insn->x_stride + x;
            if (entry >= board->hw.depth[VTA_MEM_ACC])
                return REF_BAD_SRAM;
            if (!in_dram(board, element * size, size))
                return REF_BAD_DRAM;
            for (size_t i = 0; i < lanes; i++)
                set_number(board->dram + element * size, i, board->hw.out_bits,
                           get_number(board->sram[VTA_MEM_ACC], entry * lanes + i, 32));
        }
    }
    board->counters.out_store_nbytes += (uint64_t)insn->x_size * insn->y_size * size;
    board->stores_done += insn->y_size != 0;
    return REF_DONE;
}

/* ---- GEMM and ALU -------------------------------------------------------------------------- */

struct ref_step {
    uint64_t dst, src, wgt;
};

static enum ref_outcome gemm_step(struct ref_board *board, const struct ref_insn *insn,
                                  struct ref_step step)
{
    const struct vta_hw *hw = &board->hw;
    const size_t batch = hw->batch, block = hw->block;
    const uint8_t *inp = board->sram[VTA_MEM_INP], *wgt = board->sram[VTA_MEM_WGT];
    if (step.dst >= hw->depth[VTA_MEM_ACC])
        return REF_BAD_SRAM;
    if (!insn->reset && (step.src >= hw->depth[VTA_MEM_INP] || step.wgt >= hw->depth[VTA_MEM_WGT]))
        return REF_BAD_SRAM;
    for (size_t b = 0; b < batch; b++) {
        for (size_t o = 0; o < block; o++) {
            const size_t at = (step.dst * batch + b) * block + o;
            int64_t sum = insn->reset ? 0 : get_number(board->sram[VTA_MEM_ACC], at, 32);
            for (size_t i = 0; i < block && !insn->reset; i++) {
                int64_t x = get_number(inp, (step.src * batch + b) * block + i, hw->inp_bits);
                int64_t w = get_number(wgt, (step.wgt * block + o) * block + i, hw->wgt_bits);
                sum = wrap32((int64_t)((uint64_t)sum + (uint64_t)x * (uint64_t)w));
            }
            set_number(board->sram[VTA_MEM_ACC], at, 32, sum);
        }
    }
    board->counters.gemm_counter += !insn->reset;
    return REF_DONE;
}

static int64_t alu_number(unsigned opcode, int64_t a, int64_t b)
{
    switch (opcode) {
    case 0:
        return a < b ? a : b;
    case 1:
        return a > b ? a : b;
    case 2:
        return a + b;
    case 3: /* shift one by one; past the width nothing changes any more */
        for (; b > 0 && a != 0 && a != -1; b--)
            a = a >= 0 ? a / 2 : -((-a + 1) / 2);
        for (; b < 0 && a != 0; b++)
            a = wrap32(a * 2);
        return a;
    default:
        return a * b;
    }
}

static enum ref_outcome alu_step(struct ref_board *board, const struct ref_insn *insn,
                                 struct ref_step step)
{
    const size_t lanes = (size_t)board->hw.batch * board->hw.block;
    const uint32_t depth = board->hw.depth[VTA_MEM_ACC];
    uint8_t *acc = board->sram[VTA_MEM_ACC];
    if (step.dst >= depth || (!insn->use_imm && step.src >= depth))
        return REF_BAD_SRAM;
    for (size_t i = 0; i < lanes; i++) {
        int64_t a = get_number(acc, step.dst * lanes + i, 32);
        int64_t b = insn->use_imm ? insn->imm : get_number(acc, step.src * lanes + i, 32);
        set_number(acc, step.dst * lanes + i, 32, wrap32(alu_number(insn->alu, a, b)));
    }
    board->counters.alu_counter++;
    return REF_DONE;
}

static enum ref_outcome uop_step(struct ref_board *board, const struct ref_insn *insn, unsigned y,
                                 unsigned x, unsigned u)
{
    const struct vta_hw *hw = &board->hw;
    const unsigned acc = hw->log_depth[VTA_MEM_ACC], inp = hw->log_depth[VTA_MEM_INP];
    ref_bits word = 0;
    unsigned at = 0;
    struct ref_step step;

    if (u >= hw->depth[VTA_MEM_UOP])
        return REF_BAD_SRAM;
    if (!board->uop_loaded[u])
        return REF_BAD_UOP;
    if (board->steps++ >= board->max_steps)
        return REF_TOO_LONG;
    memcpy(&word, board->sram[VTA_MEM_UOP] + 4 * (size_t)u, 4);
    step.dst = ref_take(word, &at, acc) + (uint64_t)y * insn->dst_out + (uint64_t)x * insn->dst_in;
    step.src = ref_take(word, &at, acc > inp ? acc : inp) + (uint64_t)y * insn->src_out +
               (uint64_t)x * insn->src_in;
    step.wgt = ref_take(word, &at, hw->log_depth[VTA_MEM_WGT]) + (uint64_t)y * insn->wgt_out +
               (uint64_t)x * insn->wgt_in;
    return insn->opcode == 2 ? gemm_step(board, insn, step) : alu_step(board, insn, step);
}

static enum ref_outcome run_nest(struct ref_board *board, const struct ref_insn *insn)
{
    if (insn->opcode == 4 && insn->alu > 4)
        return REF_BAD_OPCODE;
    for (unsigned y = 0; y < insn->iter_out; y++) {
        for (unsigned x = 0; x < insn->iter_in; x++) {
            for (unsigned u = insn->uop_begin; u < insn->uop_end; u++) {
                enum ref_outcome outcome = uop_step(board, insn, y, x, u);
                if (outcome != REF_DONE)
                    return outcome;
            }
        }
    }
    return REF_DONE;
}

/* ---- Units and tokens ---------------------------------------------------------------------- */

static bool ready(const struct ref_board *board, const struct ref_insn *insn)
{
    const int *queue = ref_pops[ref_unit(insn)];
    return (!insn->pop_prev || queue[0] == NO_QUEUE || board->tokens[queue[0]] > 0) &&
           (!insn->pop_next || queue[1] == NO_QUEUE || board->tokens[queue[1]] > 0);
}

static void pop(struct ref_board *board, int queue)
{
    if (queue == NO_QUEUE)
        return;
    board->tokens[queue]--;
    if (queue == STORE_COMPUTE) {
        uint64_t known = board->store_tokens[board->store_popped++];
        if (known > board->stores_known)
            board->stores_known = known;
    }
}

static void push(struct ref_board *board, int queue)
{
    if (queue == NO_QUEUE)
        return;
    board->tokens[queue]++;
    if (queue == STORE_COMPUTE)
        board->store_tokens[board->store_pushed++] = board->stores_done;
}

static enum ref_outcome execute(struct ref_board *board, const struct ref_insn *insn, bool last)
{
    switch (insn->opcode) {
    case 0:
        return run_load(board, insn);
    case 1:
        return run_store(board, insn);
    case 2:
    case 4:
        return run_nest(board, insn);
    case 3:
        return last && board->stores_known == board->stores_total ? REF_DONE : REF_BAD_FINISH;
    default:
        return REF_BAD_OPCODE;
    }
}

/* The first instruction not yet done that may start, or count. */
static uint32_t pick(const struct ref_board *board, const struct ref_insn *insns, const bool *done,
                     uint32_t count)
{
    bool blocked[UNITS] = { false };
    for (uint32_t i = 0; i < count; i++) {
        int unit = ref_unit(&insns[i]);
        if (done[i] || blocked[unit])
            continue;
        if (ready(board, &insns[i]))
            return i;
        blocked[unit] = true;
    }
    return count;
}

static enum ref_outcome run_decoded(struct ref_board *board, const struct ref_insn *insns,
                                    bool *done, uint32_t count, uint32_t *index)
{
    uint32_t first = 0; /* everything before it is done */
    for (uint32_t n = 0; n < count; n++) {
        while (done[first])
            first++;
        uint32_t i = first + pick(board, insns + first, done + first, count - first);
        *index = i;
        if (i == count)
            return REF_DEADLOCK;
        const struct ref_insn *insn = &insns[i];
        const int unit = ref_unit(insn);
        pop(board, insn->pop_prev ? ref_pops[unit][0] : NO_QUEUE);
        pop(board, insn->pop_next ? ref_pops[unit][1] : NO_QUEUE);
        enum ref_outcome outcome = execute(board, insn, i == count - 1);
        if (outcome != REF_DONE)
            return outcome;
        push(board, insn->push_prev ? ref_pushes[unit][0] : NO_QUEUE);
        push(board, insn->push_next ? ref_pushes[unit][1] : NO_QUEUE);
        done[i] = true;
    }
    return count != 0 && insns[count - 1].opcode == 3 ? REF_DONE : REF_BAD_FINISH;
}

enum ref_outcome ref_run(struct ref_board *board, const uint8_t *bytes, uint32_t count,
                         uint32_t *index)
{
    struct ref_insn *insns = calloc(count + 1, sizeof(*insns));
    bool *done = calloc(count + 1, sizeof(*done));
    size_t left_over = board->tokens[STORE_COMPUTE];

    board->store_tokens = calloc(left_over + count + 1, sizeof(*board->store_tokens));
    board->store_pushed = left_over;
    board->store_popped = 0;
    board->stores_done = board->stores_known = board->stores_total = board->steps = 0;
    memset(board->uop_loaded, 0, board->hw.depth[VTA_MEM_UOP] * sizeof(bool));
    for (uint32_t i = 0; i < count; i++) {
        insns[i] = ref_decode(&board->hw, bytes + (size_t)i * 16);
        board->stores_total += insns[i].opcode == 1 && insns[i].x_size != 0 && insns[i].y_size != 0;
    }
    enum ref_outcome outcome = run_decoded(board, insns, done, count, index);
    free(board->store_tokens);
    free(done);
    free(insns);
    return outcome;
}

void ref_open(struct ref_board *board, const struct vta_hw *hw, uint8_t *dram, uint64_t dram_begin,
              uint64_t dram_end)
{
    memset(board, 0, sizeof(*board));
    board->hw = *hw;
    board->dram = dram;
    board->dram_begin = dram_begin;
    board->dram_end = dram_end;
    board->max_steps = UINT64_MAX;
    for (int memory = VTA_MEM_UOP; memory <= VTA_MEM_ACC; memory++)
        board->sram[memory] = calloc(hw->depth[memory], hw->sram_elem_bytes[memory]);
    board->uop_loaded = calloc(hw->depth[VTA_MEM_UOP], sizeof(bool));
}

void ref_close(struct ref_board *board)
{
    for (int memory = VTA_MEM_UOP; memory <= VTA_MEM_ACC; memory++)
        free(board->sram[memory]);
    free(board->uop_loaded);
}
