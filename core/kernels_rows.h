/* kernels_rows.h: GEMM for 8-bit numbers on vectors of 32-bit lanes, as a template that each vector
 * kernel set includes.
 *
 * A row of an ACC tile is `block` lanes, V vectors. Along the other axis, K bytes (or 16-bit
 * numbers) of an input row form one 32-bit *group*; a row has G groups. A WGT tile lies as
 * [group][output][K numbers]: the group of an input row, broadcast to all lanes, meets one vector
 * of weights, and DOT adds the K products of each lane to its accumulator. Several rows share the
 * weights that were loaded (R at a time).
 *
 * The including file defines, for each vector width in use, WIDTH_load, WIDTH_store, WIDTH_zero,
 * WIDTH_set1, WIDTH_add and WIDTH_dot, and types WIDTH_vec; then DEFINE_ROWS per block size.
 *
 * If a set's DOT multiplies unsigned by signed numbers, it defines BIASED as 1: INP and WGT then
 * hold numbers + 128, WIDTH_flip makes them signed, and WIDTH_sub takes away what the 128 that is
 * left in the other factor has added. That is the same for all rows (or all outputs), so it is
 * computed once for them.
 */
#ifndef VTA_CORE_KERNELS_ROWS_H
#define VTA_CORE_KERNELS_ROWS_H

#include <string.h>

#include "kernels.h"

/* Keeps the compiler from splitting addresses into sums that it then has to spill. */
#define KEEP_IN_REGISTER(value) __asm__("" : "+r"(value))

#define ALWAYS_INLINE inline __attribute__((always_inline))

/* Some rows of one GEMM block. Strides are bytes, but of acc: numbers. */
struct vta_rows {
    int32_t *acc;
    size_t acc_stride;
    const uint8_t *inp;
    size_t inp_stride, inp_tile;
    const uint8_t *wgt;
    size_t wgt_tile;
    const struct vta_step *steps;
    uint32_t step_count;
};

static ALWAYS_INLINE int32_t vta_group(const uint8_t *bytes)
{
    int32_t group;
    memcpy(&group, bytes, sizeof(group));
    return group;
}

/* Accumulators for each vector of N, so that the dot products of one group need not wait for those
 * of the group before. */
#define VTA_ROWS_DEPTH(N) ((N) >= 8 ? 1 : (N) >= 4 ? 2 : 4)

/* Five rows share a pointer: their distances from it are what an address can hold. */
#define VTA_ROWS_POINTERS(R) (((R) + 4) / 5)

/* name: R rows of V vectors, G groups each. */
#define DEFINE_ROWS_R(name, W, V, G, R)                                                            \
    static void name(const struct vta_rows *rows)                                                  \
    {                                                                                              \
        enum {                                                                                     \
            A = VTA_ROWS_DEPTH((R) * (V)),                                                         \
            B = VTA_ROWS_DEPTH(2 * (V))                                                            \
        };                                                                                         \
        size_t stride = rows->inp_stride;                                                          \
        W##_vec acc[R][V][A], bias[V][B];                                                          \
        for (int v = 0; v < (V); v++)                                                              \
            for (int b = 0; b < B; b++)                                                            \
                bias[v][b] = W##_zero();                                                           \
        for (int r = 0; r < (R); r++)                                                              \
            for (int v = 0; v < (V); v++) {                                                        \
                acc[r][v][0] = W##_load(rows->acc + (size_t)r * rows->acc_stride + v * W##_lanes); \
                for (int a = 1; a < A; a++)                                                        \
                    acc[r][v][a] = W##_zero();                                                     \
            }                                                                                      \
        for (uint32_t s = 0; s < rows->step_count; s++) {                                          \
            const uint8_t *wgt = rows->wgt + rows->steps[s].wgt * rows->wgt_tile;                  \
            KEEP_IN_REGISTER(stride);                                                              \
            const uint8_t *row[VTA_ROWS_POINTERS(R)];                                              \
            row[0] = rows->inp + rows->steps[s].src * rows->inp_tile;                              \
            for (int p = 1; p < VTA_ROWS_POINTERS(R); p++) {                                       \
                row[p] = row[p - 1] + 5 * stride;                                                  \
                KEEP_IN_REGISTER(row[p]);                                                          \
            }                                                                                      \
            _Pragma("GCC unroll 16") for (int g = 0; g < (G); g++)                                 \
            {                                                                                      \
                W##_vec w[V];                                                                      \
                for (int v = 0; v < (V); v++) {                                                    \
                    w[v] = W##_flip(W##_load_wgt(wgt + ((size_t)g * (V) + v) * W##_lanes * 4));    \
                    if (BIASED)                                                                    \
                        bias[v][g % B] = W##_dot(bias[v][g % B], W##_flip(W##_zero()), w[v]);      \
                }                                                                                  \
                for (int r = 0; r < (R); r++) {                                                    \
                    W##_vec x =                                                                    \
                        W##_set1(vta_group(row[r / 5] + (size_t)(r % 5) * stride + 4 * g));        \
                    for (int v = 0; v < (V); v++)                                                  \
                        acc[r][v][g % A] = W##_dot(acc[r][v][g % A], x, w[v]);                     \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
        for (int v = 0; v < (V); v++)                                                              \
            for (int b = 1; b < B; b++)                                                            \
                bias[v][0] = W##_add(bias[v][0], bias[v][b]);                                      \
        for (int r = 0; r < (R); r++)                                                              \
            for (int v = 0; v < (V); v++) {                                                        \
                for (int a = 1; a < A; a++)                                                        \
                    acc[r][v][0] = W##_add(acc[r][v][0], acc[r][v][a]);                            \
                if (BIASED)                                                                        \
                    acc[r][v][0] = W##_sub(acc[r][v][0], bias[v][0]);                              \
                W##_store(rows->acc + (size_t)r * rows->acc_stride + v * W##_lanes, acc[r][v][0]); \
            }                                                                                      \
    }

/* R outputs for one row of inputs: each has weights of its own, so every vector of weights is used
 * once and loads are the limit; the groups of inputs are broadcast once for all. */
#define DEFINE_OUTPUTS(name, W, V, G, R)                                                           \
    static void name(const struct vta_rows *rows, size_t acc_output, size_t wgt_output)            \
    {                                                                                              \
        W##_vec acc[R][V], bias[2] = { W##_zero(), W##_zero() };                                   \
        for (int r = 0; r < (R); r++)                                                              \
            for (int v = 0; v < (V); v++)                                                          \
                acc[r][v] = W##_load(rows->acc + (size_t)r * acc_output + v * W##_lanes);          \
        for (uint32_t s = 0; s < rows->step_count; s++) {                                          \
            KEEP_IN_REGISTER(wgt_output);                                                          \
            const uint8_t *wgt[VTA_ROWS_POINTERS(R)];                                              \
            wgt[0] = rows->wgt + rows->steps[s].wgt * rows->wgt_tile;                              \
            for (int p = 1; p < VTA_ROWS_POINTERS(R); p++) {                                       \
                wgt[p] = wgt[p - 1] + 5 * wgt_output;                                              \
                KEEP_IN_REGISTER(wgt[p]);                                                          \
            }                                                                                      \
            const uint8_t *inp = rows->inp + rows->steps[s].src * rows->inp_tile;                  \
            _Pragma("GCC unroll 16") for (int g = 0; g < (G); g++)                                 \
            {                                                                                      \
                W##_vec x = W##_flip(W##_set1(vta_group(inp + 4 * g)));                            \
                if (BIASED)                                                                        \
                    bias[g % 2] = W##_dot(bias[g % 2], W##_flip(W##_zero()), x);                   \
                for (int r = 0; r < (R); r++)                                                      \
                    for (int v = 0; v < (V); v++)                                                  \
                        acc[r][v] =                                                                \
                            W##_dot(acc[r][v],                                                     \
                                    W##_load_wgt(wgt[r / 5] + (size_t)(r % 5) * wgt_output +       \
                                                 ((size_t)g * (V) + v) * W##_lanes * 4),           \
                                    x);                                                            \
            }                                                                                      \
        }                                                                                          \
        bias[0] = W##_add(bias[0], bias[1]);                                                       \
        for (int r = 0; r < (R); r++) {                                                            \
            for (int v = 0; v < (V); v++) {                                                        \
                if (BIASED)                                                                        \
                    acc[r][v] = W##_sub(acc[r][v], bias[0]);                                       \
                W##_store(rows->acc + (size_t)r * acc_output + v * W##_lanes, acc[r][v]);          \
            }                                                                                      \
        }                                                                                          \
    }

/* gemm_BLOCK(sram, block): rows BIG at a time, then half of that, 4, 2 and 1; outputs OUTS at a
 * time, then half of that, then 1. */
#define DEFINE_ROWS(block, W, V, G, BIG, OUTS)                                                     \
    DEFINE_ROWS_R(rows_##block##_big, W, V, G, BIG)                                                \
    DEFINE_ROWS_R(rows_##block##_half, W, V, G, BIG / 2)                                           \
    DEFINE_ROWS_R(rows_##block##_4, W, V, G, 4)                                                    \
    DEFINE_ROWS_R(rows_##block##_2, W, V, G, 2)                                                    \
    DEFINE_ROWS_R(rows_##block##_1, W, V, G, 1)                                                    \
    DEFINE_OUTPUTS(outputs_##block##_big, W, V, G, OUTS)                                           \
    DEFINE_OUTPUTS(outputs_##block##_half, W, V, G, OUTS / 2)                                      \
    static void gemm_##block(const struct vta_sram *sram, const struct vta_gemm_block *g)          \
    {                                                                                              \
        static const struct vta_rows_set set = { { { BIG, rows_##block##_big },                    \
                                                   { BIG / 2, rows_##block##_half },               \
                                                   { 4, rows_##block##_4 },                        \
                                                   { 2, rows_##block##_2 },                        \
                                                   { 1, rows_##block##_1 } },                      \
                                                 { { OUTS, outputs_##block##_big },                \
                                                   { OUTS / 2, outputs_##block##_half } } };       \
        vta_gemm_rows(sram, g, &set);                                                              \
    }

/* One block size of a set's gemm, in a switch over sram->block. */
#define GEMM_CASE(block)                                                                           \
    case block:                                                                                    \
        gemm_##block(sram, g);                                                                     \
        break;

struct vta_rows_set {
    struct {
        uint32_t count; /* of rows that it takes; the last takes 1 */
        void (*run)(const struct vta_rows *);
    } kernels[5];
    struct {
        uint32_t count; /* of outputs that it takes */
        void (*run)(const struct vta_rows *, size_t acc_output, size_t wgt_output);
    } outputs[2];
};

static void vta_rows_run(struct vta_rows rows, uint32_t count, const struct vta_rows_set *set)
{
    for (size_t k = 0; count > 0; k++) {
        const uint32_t some = set->kernels[k].count;
        for (; count >= some; count -= some) {
            set->kernels[k].run(&rows);
            rows.acc += some * rows.acc_stride;
            rows.inp += some * rows.inp_stride;
        }
    }
}

/* One output: the rows of one position where there is only one, else those of all positions, batch
 * by batch. */
static void vta_output_run(struct vta_rows rows, const struct vta_sram *sram,
                           const struct vta_gemm_block *g, const struct vta_rows_set *set)
{
    const size_t inp_row = rows.inp_stride;
    if (g->positions == 1) {
        vta_rows_run(rows, sram->batch, set);
        return;
    }
    rows.acc_stride = (size_t)g->position_dst * sram->batch * sram->block;
    rows.inp_stride = g->position_src * sram->inp_stride;
    for (uint32_t b = 0; b < sram->batch; b++) {
        vta_rows_run(rows, g->positions, set);
        rows.acc += sram->block;
        rows.inp += inp_row;
    }
}

/* Several outputs for one row of inputs; returns how many were done. */
static uint32_t vta_outputs_run(struct vta_rows rows, const struct vta_gemm_block *g,
                                const struct vta_rows_set *set, size_t acc_tile)
{
    const size_t acc_output = g->output_dst * acc_tile, wgt_output = g->output_wgt * rows.wgt_tile;
    uint32_t done = 0;
    for (size_t k = 0; k < 2; k++) {
        const uint32_t some = set->outputs[k].count;
        for (; g->outputs - done >= some; done += some) {
            set->outputs[k].run(&rows, acc_output, wgt_output);
            rows.acc += some * acc_output;
            rows.wgt += some * wgt_output;
        }
    }
    return done;
}

static ALWAYS_INLINE void vta_gemm_rows(const struct vta_sram *sram, const struct vta_gemm_block *g,
                                        const struct vta_rows_set *set)
{
    const size_t acc_tile = (size_t)sram->batch * sram->block;
    struct vta_rows rows = {
        .acc = sram->acc + g->dst * acc_tile,
        .acc_stride = sram->block,
        .inp = sram->inp + g->src * sram->inp_stride,
        .inp_stride = sram->inp_stride / sram->batch,
        .inp_tile = sram->inp_stride,
        .wgt = sram->wgt + g->wgt * sram->wgt_stride,
        .wgt_tile = sram->wgt_stride,
        .steps = g->steps,
        .step_count = g->step_count,
    };
    uint32_t done = 0;
    if (sram->batch == 1 && g->positions == 1)
        done = vta_outputs_run(rows, g, set, acc_tile);
    rows.acc += done * g->output_dst * acc_tile;
    rows.wgt += done * g->output_wgt * rows.wgt_tile;
    for (; done < g->outputs; done++) {
        vta_output_run(rows, sram, g, set);
        rows.acc += g->output_dst * acc_tile;
        rows.wgt += g->output_wgt * rows.wgt_tile;
    }
}

#endif
