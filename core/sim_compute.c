/* sim_compute.c: the simulator's GEMM and ALU in portable C: loop nests over micro-ops, and what
 * each step does to a tile.
 */
#include "sim.h"

#include <string.h>

/* ---- Walking a nest ------------------------------------------------------------------------ */

/* Counts down to the next look at the stop flag. */
struct patience {
    const struct vta_control *control;
    uint32_t left;
};

static inline int stopped(struct patience *patience, uint32_t steps)
{
    if (steps < patience->left) {
        patience->left -= steps;
        return 0;
    }
    patience->left = VTA_SIM_STRIDE;
    return atomic_load_explicit(&patience->control->stop, memory_order_relaxed);
}

/* Runs `body` for each step of a nest, with the operand indices dst, src and wgt. */
#define FOR_EACH_STEP(sim, nest, control, body)                                                    \
    do {                                                                                           \
        const struct vta_nest_insn *n_ = (nest);                                                   \
        struct patience patience_ = { (control), VTA_SIM_STRIDE };                                 \
        if (n_->uop_end <= n_->uop_begin)                                                          \
            return 0;                                                                              \
        for (uint32_t y_ = 0; y_ < n_->iter_out; y_++) {                                           \
            for (uint32_t x_ = 0; x_ < n_->iter_in; x_++) {                                        \
                const size_t dst0_ = y_ * n_->dst_factor_out + x_ * n_->dst_factor_in;             \
                const size_t src0_ = y_ * n_->src_factor_out + x_ * n_->src_factor_in;             \
                const size_t wgt0_ = y_ * n_->wgt_factor_out + x_ * n_->wgt_factor_in;             \
                for (uint32_t u_ = n_->uop_begin; u_ < n_->uop_end; u_++) {                        \
                    const struct vta_uop *uop_ = &(sim)->uop[u_];                                  \
                    const size_t dst = dst0_ + uop_->dst, src = src0_ + uop_->src;                 \
                    const size_t wgt = wgt0_ + uop_->wgt;                                          \
                    (void)src, (void)wgt;                                                          \
                    body                                                                           \
                }                                                                                  \
                int rc_ = stopped(&patience_, n_->uop_end - n_->uop_begin);                        \
                if (rc_ != 0)                                                                      \
                    return rc_;                                                                    \
            }                                                                                      \
        }                                                                                          \
    } while (0)

/* ---- GEMM ---------------------------------------------------------------------------------- */

/* acc[b][o] += Σ_i inp[b][i] · wgt[o][i], wrapping at 32 bits. Inlined with block as a constant. */
#define DEFINE_TILE(name, inp_type, wgt_type)                                                      \
    static inline void name(int32_t *restrict acc, const inp_type *restrict inp,                   \
                            const wgt_type *restrict wgt, uint32_t batch, uint32_t block)          \
    {                                                                                              \
        for (uint32_t b = 0; b < batch; b++) {                                                     \
            for (uint32_t o = 0; o < block; o++) {                                                 \
                uint32_t sum = (uint32_t)acc[b * block + o];                                       \
                for (uint32_t i = 0; i < block; i++)                                               \
                    sum += (uint32_t)inp[b * block + i] * (uint32_t)wgt[o * block + i];            \
                acc[b * block + o] = (int32_t)sum;                                                 \
            }                                                                                      \
        }                                                                                          \
    }

DEFINE_TILE(tile_8_8, int8_t, int8_t)
DEFINE_TILE(tile_8_32, int8_t, int32_t)
DEFINE_TILE(tile_32_8, int32_t, int8_t)
DEFINE_TILE(tile_32_32, int32_t, int32_t)

#define DEFINE_NEST(name, tile, inp_type, wgt_type, block_of)                                      \
    static int name(struct vta_sim *sim, const struct vta_nest_insn *nest,                         \
                    const struct vta_control *control)                                             \
    {                                                                                              \
        const uint32_t batch = sim->hw.batch, block = block_of;                                    \
        const inp_type *inp = sim->inp;                                                            \
        const wgt_type *weights = sim->wgt;                                                        \
        FOR_EACH_STEP(sim, nest, control, {                                                        \
            tile(sim->acc + dst * batch * block, inp + src * batch * block,                        \
                 weights + wgt * block * block, batch, block);                                     \
        });                                                                                        \
        return 0;                                                                                  \
    }

DEFINE_NEST(gemm_8_8, tile_8_8, int8_t, int8_t, sim->hw.block)
DEFINE_NEST(gemm_8_8_block8, tile_8_8, int8_t, int8_t, 8)
DEFINE_NEST(gemm_8_8_block16, tile_8_8, int8_t, int8_t, 16)
DEFINE_NEST(gemm_8_8_block32, tile_8_8, int8_t, int8_t, 32)
DEFINE_NEST(gemm_8_32, tile_8_32, int8_t, int32_t, sim->hw.block)
DEFINE_NEST(gemm_32_8, tile_32_8, int32_t, int8_t, sim->hw.block)
DEFINE_NEST(gemm_32_32, tile_32_32, int32_t, int32_t, sim->hw.block)

static int gemm_reset(struct vta_sim *sim, const struct vta_nest_insn *nest,
                      const struct vta_control *control)
{
    const size_t lanes = (size_t)sim->hw.batch * sim->hw.block;
    FOR_EACH_STEP(sim, nest, control,
                  { memset(sim->acc + dst * lanes, 0, lanes * sizeof(*sim->acc)); });
    return 0;
}

int vta_sim_gemm(struct vta_sim *sim, const struct vta_nest_insn *nest,
                 const struct vta_control *control)
{
    if (nest->reset)
        return gemm_reset(sim, nest, control);
    if (sim->inp_wide || sim->wgt_wide) {
        if (!sim->wgt_wide)
            return gemm_32_8(sim, nest, control);
        return sim->inp_wide ? gemm_32_32(sim, nest, control) : gemm_8_32(sim, nest, control);
    }
    switch (sim->hw.block) {
    case 8:
        return gemm_8_8_block8(sim, nest, control);
    case 16:
        return gemm_8_8_block16(sim, nest, control);
    case 32:
        return gemm_8_8_block32(sim, nest, control);
    default:
        return gemm_8_8(sim, nest, control);
    }
}

/* ---- ALU ----------------------------------------------------------------------------------- */

static inline int32_t op_min(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static inline int32_t op_max(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

static inline int32_t op_add(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

static inline int32_t op_mul(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a * (uint32_t)b);
}

/* Arithmetic; a negative amount shifts left. Amounts past the width shift everything out. */
static inline int32_t op_shr(int32_t a, int32_t b)
{
    if (b >= 0)
        return a >> (b < 31 ? b : 31);
    return b > -32 ? (int32_t)((uint32_t)a << -b) : 0;
}

#define DEFINE_ALU(op)                                                                             \
    static int alu_imm_##op(struct vta_sim *sim, const struct vta_nest_insn *nest,                 \
                            const struct vta_control *control)                                     \
    {                                                                                              \
        const size_t lanes = (size_t)sim->hw.batch * sim->hw.block;                                \
        FOR_EACH_STEP(sim, nest, control, {                                                        \
            int32_t *tile = sim->acc + dst * lanes;                                                \
            for (size_t i = 0; i < lanes; i++)                                                     \
                tile[i] = op_##op(tile[i], nest->imm);                                             \
        });                                                                                        \
        return 0;                                                                                  \
    }                                                                                              \
    static int alu_##op(struct vta_sim *sim, const struct vta_nest_insn *nest,                     \
                        const struct vta_control *control)                                         \
    {                                                                                              \
        const size_t lanes = (size_t)sim->hw.batch * sim->hw.block;                                \
        FOR_EACH_STEP(sim, nest, control, {                                                        \
            int32_t *tile = sim->acc + dst * lanes;                                                \
            const int32_t *other = sim->acc + src * lanes;                                         \
            for (size_t i = 0; i < lanes; i++)                                                     \
                tile[i] = op_##op(tile[i], other[i]);                                              \
        });                                                                                        \
        return 0;                                                                                  \
    }

DEFINE_ALU(min)
DEFINE_ALU(max)
DEFINE_ALU(add)
DEFINE_ALU(shr)
DEFINE_ALU(mul)

int vta_sim_alu(struct vta_sim *sim, const struct vta_nest_insn *nest,
                const struct vta_control *control)
{
    /* By ALU opcode, then by use_imm. */
    static int (*const table[5][2])(struct vta_sim *, const struct vta_nest_insn *,
                                    const struct vta_control *) = {
        { alu_min, alu_imm_min }, { alu_max, alu_imm_max }, { alu_add, alu_imm_add },
        { alu_shr, alu_imm_shr }, { alu_mul, alu_imm_mul },
    };
    return table[nest->alu_opcode][nest->use_imm](sim, nest, control);
}
