/* queue.c: a runtime on a board of its own (queue.h). */
#include "queue.h"

#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

struct queue queue;

static void keep_line(void *context, const char *line)
{
    struct queue *q = context;
    cr_assert_lt(q->line_count, (uint32_t)QUEUE_LINES);
    q->lines[q->line_count++] = strdup(line);
}

void queue_open(const struct vta_hw *hw, uint64_t transfer_bytes)
{
    struct vta_board_options board;
    struct vta_runtime_options options;
    memset(&queue, 0, sizeof(queue));
    vta_board_options_default(&board);
    if (hw != NULL)
        board.hw = *hw;
    cr_assert_eq(vta_board_open(&queue.board, &board, &queue.error), 0);
    vta_runtime_options_default(&options);
    if (transfer_bytes != 0)
        options.transfer_bytes = transfer_bytes;
    options.log = keep_line;
    options.context = &queue;
    cr_assert_eq(vta_runtime_new(&queue.runtime, queue.board, &options, &queue.error), 0, "%s",
                 queue.error.message);
}

void queue_close(void)
{
    queue_forget_lines();
    vta_runtime_free(queue.runtime);
    vta_board_close(queue.board);
}

void queue_forget_lines(void)
{
    for (uint32_t i = 0; i < queue.line_count; i++)
        free(queue.lines[i]);
    queue.line_count = 0;
}

uint32_t queue_count_lines(const char *text)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < queue.line_count; i++)
        count += strstr(queue.lines[i], text) != NULL;
    return count;
}

void *queue_alloc(uint64_t nbytes)
{
    void *buffer = vta_runtime_alloc(queue.runtime, nbytes, &queue.error);
    cr_assert_not_null(buffer, "%s", queue.error.message);
    return buffer;
}

void queue_load(const void *src, uint32_t offset, uint32_t x, uint32_t sram, uint32_t memory)
{
    vta_runtime_load_2d(queue.runtime, src, offset, x, 1, x, 0, 0, 0, 0, sram, memory);
}

void queue_store(uint32_t sram, void *dst, uint32_t offset, uint32_t x)
{
    vta_runtime_store_2d(queue.runtime, sram, VTA_MEM_OUT, dst, offset, x, 1, x);
}

void queue_push_pop(int from, int to)
{
    vta_runtime_push(queue.runtime, from, to);
    vta_runtime_pop(queue.runtime, from, to);
}

static const struct queue_kernel *current;

static int record_current(void *signature)
{
    const struct queue_kernel *kernel = current;
    (void)signature;
    queue.recorded++;
    for (uint32_t i = 0; i < kernel->loop_count; i++)
        vta_runtime_loop_begin(queue.runtime, kernel->loops[i].extent, kernel->loops[i].dst,
                               kernel->loops[i].src, kernel->loops[i].wgt);
    for (uint32_t i = 0; i < kernel->uop_count; i++)
        vta_runtime_uop_push(queue.runtime, kernel->mode, kernel->reset, kernel->uops[i].dst,
                             kernel->uops[i].src, kernel->uops[i].wgt, kernel->opcode,
                             kernel->use_imm, kernel->imm);
    for (uint32_t i = 0; i < kernel->loop_count; i++)
        vta_runtime_loop_end(queue.runtime);
    return 0;
}

int queue_kernel(const struct queue_kernel *kernel, void **call_site)
{
    current = kernel;
    return vta_runtime_kernel(queue.runtime, kernel->mode, call_site, record_current, NULL, 0);
}

void queue_synchronise(void)
{
    vta_runtime_synchronise(queue.runtime);
    cr_assert_eq(vta_runtime_take_error(queue.runtime, &queue.error), 0, "%s", queue.error.message);
}

int queue_take_error(void)
{
    return vta_runtime_take_error(queue.runtime, &queue.error);
}

/* ---- The tutorial -------------------------------------------------------------------------- */

enum {
    LOAD = 1,
    COMPUTE = 2,
    STORE = 3
};

static const struct queue_kernel reset = {
    .reset = 1, .loop_count = 1, .loops = { { 16, 1, 0, 0 } }, .uop_count = 1
};
static const struct queue_kernel multiply = { .loop_count = 2,
                                              .loops = { { 16, 1, 0, 16 }, { 16, 0, 1, 1 } },
                                              .uop_count = 1 };
static const struct queue_kernel alu[3] = {
    { 1, 0, 3, 1, 8, 1, 1, { { 16, 1, 1, 0 } }, { { 0 } } },
    { 1, 0, 1, 1, 0, 1, 1, { { 16, 1, 1, 0 } }, { { 0 } } },
    { 1, 0, 0, 1, 127, 1, 1, { { 16, 1, 1, 0 } }, { { 0 } } },
};

void queue_matmul(const int8_t *data, const int8_t *weight, int8_t *result, void *sites[5],
                  bool carry)
{
    struct vta_runtime *runtime = queue.runtime;
    if (!carry)
        vta_runtime_push(runtime, STORE, COMPUTE);
    for (uint32_t co = 0; co < 4; co++) {
        if (co > 0 || !carry)
            vta_runtime_pop(runtime, STORE, COMPUTE);
        queue_kernel(&reset, &sites[0]);
        vta_runtime_push(runtime, COMPUTE, LOAD);
        for (uint32_t ci = 0; ci < 4; ci++) {
            vta_runtime_pop(runtime, COMPUTE, LOAD);
            queue_load(data, ci * 16, 16, 0, VTA_MEM_INP);
            vta_runtime_load_2d(runtime, weight, co * 1024 + ci * 16, 16, 16, 64, 0, 0, 0, 0, 0,
                                VTA_MEM_WGT);
            queue_push_pop(LOAD, COMPUTE);
            queue_kernel(&multiply, &sites[1]);
            vta_runtime_push(runtime, COMPUTE, LOAD);
        }
        for (int i = 0; i < 3; i++)
            queue_kernel(&alu[i], &sites[2 + i]);
        queue_push_pop(COMPUTE, STORE);
        queue_store(0, result, co * 16, 16);
        vta_runtime_push(runtime, STORE, COMPUTE);
        vta_runtime_pop(runtime, COMPUTE, LOAD);
    }
    vta_runtime_synchronise(runtime);
    vta_runtime_pop(runtime, STORE, COMPUTE);
}
