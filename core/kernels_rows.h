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
 */
#ifndef VTA_CORE_KERNELS_ROWS_H
#define VTA_CORE_KERNELS_ROWS_H

#include <string.h>

#include "kernels.h"

/* Keeps the compiler from splitting addresses into sums that it then has to spill. */
#define KEEP_IN_REGISTER(pointer) __asm__("" : "+r"(pointer))

#define ALWAYS_INLINE inline __attribute__((always_inline))

/* Some rows of one GEMM block. Strides are bytes, but of acc: numbers. */
struct vta_rows {
    int32_t *acc;
    size_t acc_stride;
    const uint8_t *inp;
    size_t inp_stride, inp_tile;
    const int32_t *sums; /* NULL where the set wants none */
    size_t sums_stride, sums_tile;
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

/* name: R rows of V vectors, G groups each. */
#define DEFINE_ROWS_R(name, W, V, G, R)                                                            \
    static void name(const struct vta_rows *rows)                                                  \
    {                                                                                              \
        W##_vec acc[R][V];                                                                         \
        int32_t correction[R];                                                                     \
        for (int r = 0; r < (R); r++) {                                                            \
            correction[r] = 0;                                                                     \
            for (int v = 0; v < (V); v++)                                                          \
                acc[r][v] = W##_load(rows->acc + (size_t)r * rows->acc_stride + v * W##_lanes);    \
        }                                                                                          \
        for (uint32_t s = 0; s < rows->step_count; s++) {                                          \
            const uint8_t *wgt = rows->wgt + rows->steps[s].wgt * rows->wgt_tile;                  \
            const uint8_t *row[R];                                                                 \
            row[0] = rows->inp + rows->steps[s].src * rows->inp_tile;                              \
            for (int r = 1; r < (R); r++) {                                                        \
                row[r] = row[r - 1] + rows->inp_stride;                                            \
                KEEP_IN_REGISTER(row[r]);                                                          \
            }                                                                                      \
            if (USES_SUMS)                                                                         \
                for (int r = 0; r < (R); r++)                                                      \
                    correction[r] =                                                                \
                        (int32_t)((uint32_t)correction[r] +                                        \
                                  (uint32_t)rows->sums[rows->steps[s].src * rows->sums_tile +      \
                                                       (size_t)r * rows->sums_stride]);            \
            _Pragma("GCC unroll 16") for (int g = 0; g < (G); g++)                                 \
            {                                                                                      \
                W##_vec w[V];                                                                      \
                for (int v = 0; v < (V); v++)                                                      \
                    w[v] = W##_load_wgt(wgt + ((size_t)g * (V) + v) * W##_lanes * 4);              \
                for (int r = 0; r < (R); r++) {                                                    \
                    W##_vec x = W##_set1(vta_group(row[r] + 4 * g));                               \
                    for (int v = 0; v < (V); v++)                                                  \
                        acc[r][v] = W##_dot(acc[r][v], w[v], x);                                   \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
        for (int r = 0; r < (R); r++) {                                                            \
            for (int v = 0; v < (V); v++) {                                                        \
                if (USES_SUMS)                                                                     \
                    acc[r][v] = W##_add(acc[r][v], W##_set1(correction[r]));                       \
                W##_store(rows->acc + (size_t)r * rows->acc_stride + v * W##_lanes, acc[r][v]);    \
            }                                                                                      \
        }                                                                                          \
    }

/* One row: four accumulators in turn, so that a step does not wait for the one before it. */
#define DEFINE_ROWS_1(name, W, V, G)                                                               \
    static void name(const struct vta_rows *rows)                                                  \
    {                                                                                              \
        enum {                                                                                     \
            A = (V) >= 4 ? 1 : 4 / (V)                                                             \
        };                                                                                         \
        W##_vec acc[A][V];                                                                         \
        int32_t correction = 0;                                                                    \
        for (int v = 0; v < (V); v++) {                                                            \
            acc[0][v] = W##_load(rows->acc + v * W##_lanes);                                       \
            for (int a = 1; a < A; a++)                                                            \
                acc[a][v] = W##_zero();                                                            \
        }                                                                                          \
        for (uint32_t s = 0; s < rows->step_count; s++) {                                          \
            const uint8_t *wgt = rows->wgt + rows->steps[s].wgt * rows->wgt_tile;                  \
            const uint8_t *inp = rows->inp + rows->steps[s].src * rows->inp_tile;                  \
            if (USES_SUMS)                                                                         \
                correction =                                                                       \
                    (int32_t)((uint32_t)correction +                                               \
                              (uint32_t)rows->sums[rows->steps[s].src * rows->sums_tile]);         \
            _Pragma("GCC unroll 16") for (int g = 0; g < (G); g++)                                 \
            {                                                                                      \
                W##_vec x = W##_set1(vta_group(inp + 4 * g));                                      \
                for (int v = 0; v < (V); v++)                                                      \
                    acc[g % A][v] =                                                                \
                        W##_dot(acc[g % A][v],                                                     \
                                W##_load_wgt(wgt + ((size_t)g * (V) + v) * W##_lanes * 4), x);     \
            }                                                                                      \
        }                                                                                          \
        for (int v = 0; v < (V); v++) {                                                            \
            for (int a = 1; a < A; a++)                                                            \
                acc[0][v] = W##_add(acc[0][v], acc[a][v]);                                         \
            if (USES_SUMS)                                                                         \
                acc[0][v] = W##_add(acc[0][v], W##_set1(correction));                              \
            W##_store(rows->acc + v * W##_lanes, acc[0][v]);                                       \
        }                                                                                          \
    }

/* R outputs for one row of inputs: each has weights of its own, so every vector of weights is used
 * once and loads are the limit; the groups of inputs are broadcast once for all. */
#define DEFINE_OUTPUTS(name, W, V, G, R)                                                           \
    static void name(const struct vta_rows *rows, size_t acc_output, size_t wgt_output)            \
    {                                                                                              \
        W##_vec acc[R][V];                                                                         \
        int32_t correction = 0;                                                                    \
        for (int r = 0; r < (R); r++)                                                              \
            for (int v = 0; v < (V); v++)                                                          \
                acc[r][v] = W##_load(rows->acc + (size_t)r * acc_output + v * W##_lanes);          \
        for (uint32_t s = 0; s < rows->step_count; s++) {                                          \
            const uint8_t *wgt[R];                                                                 \
            wgt[0] = rows->wgt + rows->steps[s].wgt * rows->wgt_tile;                              \
            for (int r = 1; r < (R); r++) {                                                        \
                wgt[r] = wgt[r - 1] + wgt_output;                                                  \
                KEEP_IN_REGISTER(wgt[r]);                                                          \
            }                                                                                      \
            const uint8_t *inp = rows->inp + rows->steps[s].src * rows->inp_tile;                  \
            if (USES_SUMS)                                                                         \
                correction =                                                                       \
                    (int32_t)((uint32_t)correction +                                               \
                              (uint32_t)rows->sums[rows->steps[s].src * rows->sums_tile]);         \
            _Pragma("GCC unroll 16") for (int g = 0; g < (G); g++)                                 \
            {                                                                                      \
                W##_vec x = W##_set1(vta_group(inp + 4 * g));                                      \
                for (int r = 0; r < (R); r++)                                                      \
                    for (int v = 0; v < (V); v++)                                                  \
                        acc[r][v] = W##_dot(                                                       \
                            acc[r][v],                                                             \
                            W##_load_wgt(wgt[r] + ((size_t)g * (V) + v) * W##_lanes * 4), x);      \
            }                                                                                      \
        }                                                                                          \
        for (int r = 0; r < (R); r++) {                                                            \
            for (int v = 0; v < (V); v++) {                                                        \
                if (USES_SUMS)                                                                     \
                    acc[r][v] = W##_add(acc[r][v], W##_set1(correction));                          \
                W##_store(rows->acc + (size_t)r * acc_output + v * W##_lanes, acc[r][v]);          \
            }                                                                                      \
        }                                                                                          \
    }

/* gemm_BLOCK(sram, block): rows BIG at a time, then 4, 2 and 1; outputs OUTS at a time, then 1. */
#define DEFINE_ROWS(block, W, V, G, BIG, OUTS)                                                     \
    DEFINE_ROWS_R(rows_##block##_big, W, V, G, BIG)                                                \
    DEFINE_ROWS_R(rows_##block##_4, W, V, G, 4)                                                    \
    DEFINE_ROWS_R(rows_##block##_2, W, V, G, 2)                                                    \
    DEFINE_ROWS_1(rows_##block##_1, W, V, G)                                                       \
    DEFINE_OUTPUTS(outputs_##block, W, V, G, OUTS)                                                 \
    static void gemm_##block(const struct vta_sram *sram, const struct vta_gemm_block *g)          \
    {                                                                                              \
        static const struct vta_rows_set set = { rows_##block##_big,                               \
                                                 rows_##block##_4,                                 \
                                                 rows_##block##_2,                                 \
                                                 rows_##block##_1,                                 \
                                                 outputs_##block,                                  \
                                                 BIG,                                              \
                                                 OUTS };                                           \
        vta_gemm_rows(sram, g, &set);                                                              \
    }

/* One block size of a set's gemm, in a switch over sram->block. */
#define GEMM_CASE(block)                                                                           \
    case block:                                                                                    \
        gemm_##block(sram, g);                                                                     \
        break;

struct vta_rows_set {
    void (*big)(const struct vta_rows *);
    void (*four)(const struct vta_rows *);
    void (*two)(const struct vta_rows *);
    void (*one)(const struct vta_rows *);
    void (*outputs)(const struct vta_rows *, size_t acc_output, size_t wgt_output);
    uint32_t big_size, outputs_size; /* rows that big takes, outputs that outputs takes */
};

static void vta_rows_advance(struct vta_rows *rows, uint32_t count)
{
    rows->acc += count * rows->acc_stride;
    rows->inp += count * rows->inp_stride;
    if (rows->sums != NULL)
        rows->sums += count * rows->sums_stride;
}

static void vta_rows_run(struct vta_rows rows, uint32_t count, const struct vta_rows_set *set)
{
    for (; count >= set->big_size; count -= set->big_size, vta_rows_advance(&rows, set->big_size))
        set->big(&rows);
    for (; count >= 4; count -= 4, vta_rows_advance(&rows, 4))
        set->four(&rows);
    for (; count >= 2; count -= 2, vta_rows_advance(&rows, 2))
        set->two(&rows);
    if (count != 0)
        set->one(&rows);
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
    rows.sums_stride = (size_t)g->position_src * sram->batch;
    for (uint32_t b = 0; b < sram->batch; b++) {
        vta_rows_run(rows, g->positions, set);
        rows.acc += sram->block;
        rows.inp += inp_row;
        if (rows.sums != NULL)
            rows.sums++;
    }
}

/* Several outputs for one row of inputs; returns how many were done. */
static uint32_t vta_outputs_run(struct vta_rows rows, const struct vta_gemm_block *g,
                                const struct vta_rows_set *set, size_t acc_tile)
{
    const size_t acc_output = g->output_dst * acc_tile, wgt_output = g->output_wgt * rows.wgt_tile;
    uint32_t done = 0;
    for (; g->outputs - done >= set->outputs_size; done += set->outputs_size) {
        set->outputs(&rows, acc_output, wgt_output);
        rows.acc += set->outputs_size * acc_output;
        rows.wgt += set->outputs_size * wgt_output;
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
        .sums = sram->inp_sums == NULL ? NULL : sram->inp_sums + (size_t)g->src * sram->batch,
        .sums_stride = 1,
        .sums_tile = sram->batch,
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
