/* kit.c: see kit.h. */
#include "kit.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

void kit_hw(struct vta_hw *hw, unsigned log_batch, unsigned log_block, unsigned log_width)
{
    struct vta_error error;
    vta_hw_default(hw);
    hw->log_batch = (uint8_t)log_batch;
    hw->log_block = (uint8_t)log_block;
    hw->log_inp_width = hw->log_wgt_width = (uint8_t)log_width;
    hw->log_inp_buff = (uint8_t)(10 + log_width + log_batch + log_block - 3);
    hw->log_wgt_buff = (uint8_t)(10 + log_width + 2 * log_block - 3);
    hw->log_acc_buff = (uint8_t)(10 + hw->log_acc_width + log_batch + log_block - 3);
    cr_assert_eq(vta_hw_derive(hw, &error), 0, "%s", error.message);
}

uint32_t kit_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* The low `bits` of a number, as a signed one. */
static int32_t narrow(uint32_t number, unsigned bits)
{
    uint32_t sign = UINT32_C(1) << (bits - 1);
    uint32_t low = bits == 32 ? number : number & ((UINT32_C(1) << bits) - 1);
    return (int32_t)((low ^ sign) - sign);
}

int32_t *kit_random_numbers(size_t count, unsigned bits, uint32_t *seed)
{
    int32_t *numbers = calloc(count, sizeof(*numbers));
    for (size_t i = 0; i < count; i++)
        numbers[i] = narrow(kit_random(seed) ^ kit_random(seed) << 16, bits);
    return numbers;
}

/* Where number (row, column) is in the tiled tensor. */
static size_t tiled(uint32_t row, uint32_t column, uint32_t columns, uint32_t tile_rows,
                    uint32_t tile_columns)
{
    size_t tile = (size_t)(row / tile_rows) * (columns / tile_columns) + column / tile_columns;
    return (tile * tile_rows + row % tile_rows) * tile_columns + column % tile_columns;
}

uint8_t *kit_pack(const int32_t *matrix, uint32_t rows, uint32_t columns, uint32_t tile_rows,
                  uint32_t tile_columns, unsigned bits)
{
    uint8_t *bytes = calloc((size_t)rows * columns * bits / 8, 1);
    for (uint32_t r = 0; r < rows; r++) {
        for (uint32_t c = 0; c < columns; c++) {
            size_t at = tiled(r, c, columns, tile_rows, tile_columns) * bits;
            for (unsigned b = 0; b < bits; b++)
                bytes[(at + b) / 8] |=
                    (uint8_t)((((uint32_t)matrix[(size_t)r * columns + c] >> b) & 1)
                              << ((at + b) % 8));
        }
    }
    return bytes;
}

int32_t *kit_unpack(const uint8_t *bytes, uint32_t rows, uint32_t columns, uint32_t tile_rows,
                    uint32_t tile_columns, unsigned bits)
{
    int32_t *matrix = calloc((size_t)rows * columns, sizeof(*matrix));
    for (uint32_t r = 0; r < rows; r++) {
        for (uint32_t c = 0; c < columns; c++) {
            size_t at = tiled(r, c, columns, tile_rows, tile_columns) * bits;
            uint32_t number = 0;
            for (unsigned b = 0; b < bits; b++)
                number |= (uint32_t)(bytes[(at + b) / 8] >> ((at + b) % 8) & 1) << b;
            matrix[(size_t)r * columns + c] = narrow(number, bits);
        }
    }
    return matrix;
}

static struct vta_program *verified(const struct vta_kernel *kernel, const struct vta_hw *hw)
{
    struct vta_error error;
    struct vta_program *program = NULL;
    struct vta_verify_options options = { .tokens_must_end_empty = true };
    cr_assert_eq(vta_program_from_kernel(&program, kernel, hw, &error), 0, "%s", error.message);
    cr_assert_eq(vta_verify(program, &options, &error), 0, "%s", error.message);
    return program;
}

struct vta_counters kit_predict(const struct vta_kernel *kernel, const struct vta_hw *hw)
{
    struct vta_program *program = verified(kernel, hw);
    struct vta_counters counters = program->counters;
    vta_program_free(program);
    return counters;
}

void kit_run(const struct vta_kernel *kernel, const struct vta_hw *hw, uint8_t *const *bytes,
             struct vta_counters *counters)
{
    struct vta_error error;
    struct vta_board_options options;
    struct vta_board *board = NULL;
    vta_handle handles[8];
    uint64_t sizes[8];
    vta_board_options_default(&options);
    options.hw = *hw;
    cr_assert_eq(vta_board_open(&board, &options, &error), 0, "%s", error.message);
    struct vta_dram *dram = vta_board_dram(board, &error);
    for (uint32_t i = 0; i < kernel->param_count; i++) {
        cr_assert_eq(vta_tensor_nbytes(&kernel->params[i].type, &sizes[i], &error), 0);
        cr_assert_eq(vta_dram_alloc(dram, sizes[i], &handles[i], &error), 0);
        cr_assert_eq(vta_dram_write(dram, handles[i], 0, bytes[i], sizes[i], &error), 0);
    }
    struct vta_program *program = verified(kernel, hw);
    struct vta_run_result result;
    cr_assert_eq(vta_board_run(board, program, handles, kernel->param_count, NULL, &result, &error),
                 0, "%s", error.message);
    for (uint32_t i = 0; i < kernel->param_count; i++) {
        if (kernel->params[i].access & VTA_ACCESS_WRITE)
            cr_assert_eq(vta_dram_read(dram, handles[i], 0, bytes[i], sizes[i], &error), 0);
    }
    struct vta_tokens tokens = vta_board_tokens(board);
    cr_assert(tokens.load_to_compute == 0 && tokens.compute_to_load == 0 &&
              tokens.compute_to_store == 0 && tokens.store_to_compute == 0);
    if (counters != NULL)
        *counters = result.counters;
    vta_program_free(program);
    vta_board_close(board);
}

static int32_t epilogue(const struct vta_matmul *m, int32_t sum)
{
    if (m->shift)
        sum >>= m->shift_by;
    if (m->clip && sum < m->clip_lo)
        sum = m->clip_lo;
    if (m->clip && sum > m->clip_hi)
        sum = m->clip_hi;
    return sum;
}

int32_t *kit_matmul(const struct vta_matmul *m, unsigned out_bits, const int32_t *data,
                    const int32_t *weight, const int32_t *bias)
{
    int32_t *result = calloc((size_t)m->batch * m->out, sizeof(*result));
    for (uint32_t b = 0; b < m->batch; b++) {
        for (uint32_t o = 0; o < m->out; o++) {
            uint32_t sum = bias != NULL ? (uint32_t)bias[o] : 0;
            for (uint32_t i = 0; i < m->in; i++)
                sum += (uint32_t)(data[(size_t)b * m->in + i] * weight[(size_t)o * m->in + i]);
            result[(size_t)b * m->out + o] = narrow((uint32_t)epilogue(m, (int32_t)sum), out_bits);
        }
    }
    return result;
}

/* (out/BLOCK, BATCH, BLOCK): every row of a tile the same. */
static uint8_t *pack_bias(const int32_t *bias, const struct vta_matmul *m, const struct vta_hw *hw)
{
    int32_t *rows = calloc((size_t)hw->batch * m->out, sizeof(*rows));
    for (uint32_t b = 0; b < hw->batch; b++)
        memcpy(rows + (size_t)b * m->out, bias, m->out * sizeof(*rows));
    uint8_t *bytes = kit_pack(rows, hw->batch, m->out, hw->batch, hw->block, hw->acc_bits);
    free(rows);
    return bytes;
}

void kit_check_matmul(const struct vta_matmul *m, const struct vta_hw *hw, uint32_t seed)
{
    struct vta_kernel kernel;
    struct vta_error error;
    cr_assert_eq(vta_compile_matmul(&kernel, hw, "f", m, &error), 0, "%s", error.message);

    int32_t *data = kit_random_numbers((size_t)m->batch * m->in, hw->inp_bits, &seed);
    int32_t *weight = kit_random_numbers((size_t)m->out * m->in, hw->wgt_bits, &seed);
    int32_t *bias = m->bias ? kit_random_numbers(m->out, 16, &seed) : NULL;
    uint8_t *bytes[4];
    uint32_t n = 0;
    bytes[n++] = kit_pack(data, m->batch, m->in, hw->batch, hw->block, hw->inp_bits);
    bytes[n++] = kit_pack(weight, m->out, m->in, hw->block, hw->block, hw->wgt_bits);
    if (m->bias)
        bytes[n++] = pack_bias(bias, m, hw);
    bytes[n++] = calloc((size_t)m->batch * m->out * hw->out_bits / 8, 1);

    struct vta_counters counters, predicted = kit_predict(&kernel, hw);
    kit_run(&kernel, hw, bytes, &counters);
    cr_assert_arr_eq(&counters, &predicted, sizeof counters);

    int32_t *want = kit_matmul(m, hw->out_bits, data, weight, bias);
    int32_t *have = kit_unpack(bytes[n - 1], m->batch, m->out, hw->batch, hw->block, hw->out_bits);
    for (size_t i = 0; i < (size_t)m->batch * m->out; i++)
        cr_assert_eq(have[i], want[i], "%ux%ux%u block %u,%u,%u: result %zu is %d, not %d",
                     m->batch, m->in, m->out, m->block_batch, m->block_in, m->block_out, i, have[i],
                     want[i]);
    for (uint32_t i = 0; i < n; i++)
        free(bytes[i]);
    free(data);
    free(weight);
    free(bias);
    free(want);
    free(have);
    vta_kernel_clear(&kernel);
}
