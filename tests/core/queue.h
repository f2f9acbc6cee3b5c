/* queue.h: a runtime on a board of its own, for tests: micro-op kernels as data, the tutorial's
 * matrix multiply in calls, and what a dump says.
 */
#ifndef VTA_TESTS_CORE_QUEUE_H
#define VTA_TESTS_CORE_QUEUE_H

#include "core/runtime.h"

#define QUEUE_LINES 4096

/* What the callback of a kernel pushes: loops, then micro-ops. */
struct queue_kernel {
    uint32_t mode, reset, opcode, use_imm;
    int32_t imm;
    uint32_t loop_count, uop_count;
    struct vta_uop_loop loops[3];
    struct vta_uop uops[4];
};

struct queue {
    struct vta_board *board;
    struct vta_runtime *runtime;
    struct vta_error error;
    char *lines[QUEUE_LINES]; /* of dumps, since the last queue_forget_lines */
    uint32_t line_count;
    uint32_t recorded; /* callbacks that were made */
};

/* The tests' one queue; callbacks of kernels have no context. */
extern struct queue queue;

/* hw: NULL for the default one. transfer_bytes: 0 for the default. */
void queue_open(const struct vta_hw *hw, uint64_t transfer_bytes);
void queue_close(void);
void queue_forget_lines(void);
/* How many lines hold `text`. */
uint32_t queue_count_lines(const char *text);

void *queue_alloc(uint64_t nbytes);
void queue_load(const void *src, uint32_t offset, uint32_t x, uint32_t sram, uint32_t memory);
void queue_store(uint32_t sram, void *dst, uint32_t offset, uint32_t x);
void queue_push_pop(int from, int to);
/* Calls vta_runtime_kernel with a callback that pushes this; its result. */
int queue_kernel(const struct queue_kernel *kernel, void **call_site);
/* Synchronises; asserts that nothing has failed. */
void queue_synchronise(void);
/* The error, after which the queue is clean. */
int queue_take_error(void);

/* The tutorial's blocked (1 × 1024) · (1024 × 1024)ᵀ, shifted by 8 and clipped to 0…127, as TVM's
 * code calls it: without the left-over token of `carry`, or with it, which the first compute
 * instruction of the next call pops. sites: 5 variables that start as NULL. */
void queue_matmul(const int8_t *data, const int8_t *weight, int8_t *result, void *sites[5],
                  bool carry);

#endif
