/* serial.c: chains a stream's instructions through the token queues (serial.h).
 *
 * Neighbouring units hand each other a token directly; between load and store, which share no
 * queue, a no-op of compute passes it on. Tokens that were in a queue before would be popped in
 * place of the chain's own, so they are taken out first.
 */
#include "serial.h"

#include <stdlib.h>
#include <string.h>

#include "tokens.h"

void vta_serial_free(struct vta_serial *serial)
{
    free(serial->insns);
    free(serial->bases);
    *serial = (struct vta_serial){ 0 };
}

static struct vta_insn *append(struct vta_serial *serial, const struct vta_insn *insn,
                               uint32_t base)
{
    struct vta_insn *added = &serial->insns[serial->count];
    *added = *insn;
    added->pop_prev = added->pop_next = added->push_prev = added->push_next = 0;
    serial->bases[serial->count] = base;
    serial->count++;
    return added;
}

static struct vta_insn *append_noop(struct vta_serial *serial, enum vta_core_unit unit)
{
    struct vta_insn insn;
    memset(&insn, 0, sizeof(insn));
    insn.opcode = unit == VTA_CORE_STORE ? VTA_OP_STORE : VTA_OP_LOAD;
    insn.mem.memory = unit == VTA_CORE_LOAD ? VTA_MEM_INP : VTA_MEM_UOP;
    return append(serial, &insn, VTA_BASE_ABSOLUTE);
}

/* ---- Tokens before and after --------------------------------------------------------------- */

static void queues_of(int64_t queues[VTA_QUEUE_COUNT], const struct vta_tokens *tokens)
{
    for (int q = 0; q < VTA_QUEUE_COUNT; q++)
        queues[q] = vta_tokens_in(tokens, (enum vta_queue)q);
}

/* Adds what the stream itself pushes and pops. */
static void add_stream(int64_t queues[VTA_QUEUE_COUNT], const struct vta_record *record)
{
    int64_t sums[VTA_QUEUE_COUNT + 1] = { 0 }; /* the last one: bits that lead nowhere */
    for (uint32_t i = 0; i < record->count; i++) {
        const struct vta_insn *insn = &record->insns[i];
        const enum vta_core_unit unit = vta_insn_unit(insn);
        sums[vta_pop_queue(unit, false)] -= insn->pop_prev;
        sums[vta_pop_queue(unit, true)] -= insn->pop_next;
        sums[vta_push_queue(unit, false)] += insn->push_prev;
        sums[vta_push_queue(unit, true)] += insn->push_next;
    }
    for (int q = 0; q < VTA_QUEUE_COUNT; q++)
        queues[q] += sums[q];
}

/* Who pops a queue and who pushes it, and whether with the bit towards the next unit. */
static const struct end {
    enum vta_core_unit popper, pusher;
    bool pop_next, push_next;
} ends[VTA_QUEUE_COUNT] = {
    [VTA_QUEUE_LOAD_COMPUTE] = { VTA_CORE_COMPUTE, VTA_CORE_LOAD, false, true },
    [VTA_QUEUE_COMPUTE_LOAD] = { VTA_CORE_LOAD, VTA_CORE_COMPUTE, true, false },
    [VTA_QUEUE_COMPUTE_STORE] = { VTA_CORE_STORE, VTA_CORE_COMPUTE, false, true },
    [VTA_QUEUE_STORE_COMPUTE] = { VTA_CORE_COMPUTE, VTA_CORE_STORE, true, false },
};

static void pop_all(struct vta_serial *serial, const int64_t queues[VTA_QUEUE_COUNT])
{
    for (int q = 0; q < VTA_QUEUE_COUNT; q++) {
        for (int64_t i = 0; i < queues[q]; i++) {
            struct vta_insn *insn = append_noop(serial, ends[q].popper);
            *(ends[q].pop_next ? &insn->pop_next : &insn->pop_prev) = 1;
        }
    }
}

static void push_all(struct vta_serial *serial, const int64_t queues[VTA_QUEUE_COUNT])
{
    for (int q = 0; q < VTA_QUEUE_COUNT; q++) {
        for (int64_t i = 0; i < queues[q]; i++) {
            struct vta_insn *insn = append_noop(serial, ends[q].pusher);
            *(ends[q].push_next ? &insn->push_next : &insn->push_prev) = 1;
        }
    }
}

/* ---- The chain ----------------------------------------------------------------------------- */

/* A token from the last instruction to the next one, where another unit executes that. */
static void hand_over(struct vta_insn *last, enum vta_core_unit from, enum vta_core_unit to,
                      struct vta_insn *next)
{
    if (from < to) {
        last->push_next = 1;
        next->pop_prev = 1;
    } else if (from > to) {
        last->push_prev = 1;
        next->pop_next = 1;
    }
}

static void append_chained(struct vta_serial *serial, const struct vta_insn *insn, uint32_t base,
                           uint32_t first)
{
    const enum vta_core_unit unit = vta_insn_unit(insn);
    if (serial->count > first) {
        const enum vta_core_unit before = vta_insn_unit(&serial->insns[serial->count - 1]);
        if (unit != before && unit != VTA_CORE_COMPUTE && before != VTA_CORE_COMPUTE) {
            struct vta_insn *between = append_noop(serial, VTA_CORE_COMPUTE);
            hand_over(between - 1, before, VTA_CORE_COMPUTE, between);
        }
    }
    struct vta_insn *added = append(serial, insn, base);
    if (serial->count - 1 > first)
        hand_over(added - 1, vta_insn_unit(added - 1), unit, added);
}

static int reserve(struct vta_serial *serial, uint64_t count, struct vta_error *error)
{
    if (count <= UINT32_MAX) {
        serial->insns = calloc(count, sizeof(*serial->insns));
        serial->bases = calloc(count, sizeof(*serial->bases));
    }
    if (serial->insns == NULL || serial->bases == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory to serialise a stream");
    return 0;
}

int vta_serial_make(struct vta_serial *serial, const struct vta_record *record,
                    const struct vta_tokens *before, struct vta_error *error)
{
    int64_t had[VTA_QUEUE_COUNT], left[VTA_QUEUE_COUNT];
    uint64_t tokens = 0;
    *serial = (struct vta_serial){ 0 };
    queues_of(had, before);
    queues_of(left, before);
    add_stream(left, record);
    for (int q = 0; q < VTA_QUEUE_COUNT; q++) {
        const int64_t most = had[q] > left[q] ? had[q] : left[q];
        if (left[q] < 0)
            return 0;
        if (most > VTA_BOARD_TOKENS)
            return vta_error_limit(error, VTA_ELIMIT, VTA_BOARD_TOKENS, most,
                                   "%s holds %lld tokens, a board's queue %d",
                                   vta_queue_name((enum vta_queue)q), (long long)most,
                                   VTA_BOARD_TOKENS);
        tokens += (uint64_t)(had[q] + left[q]);
    }
    int rc = reserve(serial, 2 * (uint64_t)record->count + tokens + 3, error);
    if (rc != 0)
        return rc;

    pop_all(serial, had);
    const uint32_t first = serial->count;
    append_noop(serial, VTA_CORE_COMPUTE); /* compute's part of what was popped comes first, too */
    for (uint32_t i = 0; i + 1 < record->count; i++)
        append_chained(serial, &record->insns[i], record->bases[i], first);
    const struct vta_insn end = { .opcode = VTA_OP_LOAD, .mem = { .memory = VTA_MEM_UOP } };
    append_chained(serial, &end, VTA_BASE_ABSOLUTE, first);
    push_all(serial, left);
    append(serial, &record->insns[record->count - 1], VTA_BASE_ABSOLUTE);
    return 0;
}
