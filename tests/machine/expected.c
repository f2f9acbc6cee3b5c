/* expected.c: plain C for compiled kernels (expected.h). */
#include "expected.h"

void expected_fill(int8_t *bytes, uint64_t nbytes, uint32_t seed)
{
    for (uint64_t i = 0; i < nbytes; i++) {
        seed = seed * 1664525 + 1013904223;
        bytes[i] = (int8_t)(seed >> 24);
    }
}

static int32_t clip(int32_t value)
{
    return value < 0 ? 0 : value > 127 ? 127 : value;
}

int32_t expected_product(const int8_t *data, const int8_t *weight, int in, int o)
{
    int32_t sum = 0;
    for (int i = 0; i < in; i++)
        sum += data[i] * weight[((o / 16 * (in / 16) + i / 16) * 16 + o % 16) * 16 + i % 16];
    return sum;
}

int32_t expected_dense(const int8_t *data, const int8_t *weight, int in, int o)
{
    return clip(expected_product(data, weight, in, o) >> 8);
}

int32_t expected_convolution(const int8_t *data, const int8_t *weight, const int32_t *bias, int o,
                             int y, int x)
{
    int32_t sum = 0;
    for (int c = 0; c < 64; c++)
        for (int ky = 0; ky < 3; ky++)
            for (int kx = 0; kx < 3; kx++) {
                const int iy = y + ky - 1, ix = x + kx - 1;
                if (iy < 0 || iy >= 14 || ix < 0 || ix >= 14)
                    continue;
                sum += data[((c / 16 * 14 + iy) * 14 + ix) * 16 + c % 16] *
                       weight[((((o / 16 * 4 + c / 16) * 3 + ky) * 3 + kx) * 16 + o % 16) * 16 +
                              c % 16];
            }
    return clip((sum >> 8) + bias[o]);
}
