/* matmul.c: matrix multiply: what is accepted, how blocks are chosen, from nest to kernel. */
#include "matmul.h"

#include <stdlib.h>
#include <string.h>

#include <vta/build.h>
#include <vta/module.h>

/* ---- Validation ---------------------------------------------------------------------------- */

/* Sizes in tiles. */
struct tiles {
    uint32_t batch, in, out;
};

static int check_size(const char *what, uint32_t numbers, const char *tile_name, uint32_t tile,
                      struct vta_error *error)
{
    if (numbers > 0 && numbers % tile == 0)
        return 0;
    return vta_error_limit(error, VTA_EINVAL, tile, numbers,
                           "%s is %u: it must be a multiple of %s, %u, and not 0", what, numbers,
                           tile_name, tile);
}

static int check_sizes(const struct vta_matmul *m, const struct vta_hw *hw, struct vta_error *error)
{
    int rc = check_size("batch", m->batch, "BATCH", hw->batch, error);
    if (rc == 0)
        rc = check_size("in", m->in, "BLOCK", hw->block, error);
    if (rc == 0)
        rc = check_size("out", m->out, "BLOCK", hw->block, error);
    if (rc == 0 && m->block_batch != 0)
        rc = check_size("the block's batch", m->block_batch, "BATCH", hw->batch, error);
    if (rc == 0 && m->block_in != 0)
        rc = check_size("the block's in", m->block_in, "BLOCK", hw->block, error);
    if (rc == 0 && m->block_out != 0)
        rc = check_size("the block's out", m->block_out, "BLOCK", hw->block, error);
    return rc;
}

static int check_epilogue(const struct vta_matmul *m, struct vta_error *error)
{
    if (m->shift && (m->shift_by < 0 || m->shift_by > 31))
        return vta_error_limit(error, VTA_EINVAL, 31, m->shift_by,
                               "the shift is %d: it may be 0 to 31", m->shift_by);
    if (!m->clip)
        return 0;
    const int32_t ends[] = { m->clip_lo, m->clip_hi };
    for (int i = 0; i < 2; i++) {
        if (ends[i] < INT16_MIN || ends[i] > INT16_MAX)
            return vta_error_limit(error, VTA_EINVAL, ends[i] < 0 ? INT16_MIN : INT16_MAX, ends[i],
                                   "a clip limit is %d: an immediate has 16 bits, %d to %d",
                                   ends[i], INT16_MIN, INT16_MAX);
    }
    if (m->clip_lo > m->clip_hi)
        return vta_error_set(error, VTA_EINVAL, "clipping to %d … %d leaves nothing", m->clip_lo,
                             m->clip_hi);
    return 0;
}

static int check_tensor(const char *what, uint64_t tiles, uint32_t tile_bytes,
                        struct vta_error *error)
{
    uint64_t limit = UINT64_C(1) << 32;
    if (tiles <= (limit - 1) / tile_bytes)
        return 0;
    return vta_error_limit(error, VTA_ELIMIT, (int64_t)(limit - 1), INT64_MAX,
                           "%s has %llu tiles of %u bytes: DRAM addresses end at 4 GiB", what,
                           (unsigned long long)tiles, tile_bytes);
}

static int check_tensors(const struct tiles *all, const struct vta_hw *hw, struct vta_error *error)
{
    int rc = check_tensor("data", (uint64_t)all->batch * all->in, hw->dram_elem_bytes[VTA_MEM_INP],
                          error);
    if (rc == 0)
        rc = check_tensor("weight", (uint64_t)all->out * all->in, hw->dram_elem_bytes[VTA_MEM_WGT],
                          error);
    if (rc == 0)
        rc = check_tensor("bias", all->out, hw->dram_elem_bytes[VTA_MEM_ACC], error);
    if (rc == 0)
        rc = check_tensor("result", (uint64_t)all->batch * all->out,
                          hw->dram_elem_bytes[VTA_MEM_OUT], error);
    return rc;
}

static int check_sram(enum vta_memory memory, const char *what, uint64_t rows, uint64_t columns,
                      const struct vta_hw *hw, struct vta_error *error)
{
    uint64_t need = rows * columns * hw->sram_elem_bytes[memory];
    uint64_t have = (uint64_t)hw->depth[memory] * hw->sram_elem_bytes[memory];
    if (need <= have)
        return 0;
    return vta_error_limit(error, VTA_ESRAM, (int64_t)have, (int64_t)need,
                           "%s: a block of %llu × %llu tiles needs %llu bytes of the %s SRAM, "
                           "which has %llu",
                           what, (unsigned long long)rows, (unsigned long long)columns,
                           (unsigned long long)need, vta_memory_name(memory),
                           (unsigned long long)have);
}

static int check_fits(const struct tiles *block, const struct vta_hw *hw, struct vta_error *error)
{
    int rc = check_sram(VTA_MEM_INP, "data", block->batch, block->in, hw, error);
    if (rc == 0)
        rc = check_sram(VTA_MEM_WGT, "weight", block->out, block->in, hw, error);
    if (rc == 0)
        rc = check_sram(VTA_MEM_ACC, "accumulators", block->batch, block->out, hw, error);
    return rc;
}

/* ---- Choosing blocks ----------------------------------------------------------------------- */

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t parts(uint32_t all, uint32_t block)
{
    return all / block + (all % block != 0);
}

/* The candidate after `block` on an axis of `all` tiles: powers of two, then the axis; 0: none. */
static uint32_t next_candidate(uint32_t block, uint32_t all)
{
    if (block >= all)
        return 0;
    return block > all / 2 ? all : block * 2;
}

/* The longest `in` that fits beside the other two, in blocks of nearly equal length; 0: none. */
static uint32_t longest_in(const struct tiles *all, const struct tiles *block,
                           const struct vta_hw *hw)
{
    uint32_t most =
        smaller(hw->depth[VTA_MEM_INP] / block->batch, hw->depth[VTA_MEM_WGT] / block->out);
    if (most == 0)
        return 0;
    return parts(all->in, parts(all->in, smaller(most, all->in)));
}

struct cost {
    double bytes, steps;
};

static struct cost cost_of(const struct tiles *all, const struct tiles *block,
                           const struct vta_hw *hw)
{
    double batches = parts(all->batch, block->batch), outs = parts(all->out, block->out);
    double data = (double)all->batch * all->in * hw->dram_elem_bytes[VTA_MEM_INP];
    double weight = (double)all->out * all->in * hw->dram_elem_bytes[VTA_MEM_WGT];
    return (struct cost){ .bytes = data * outs + weight * batches,
                          .steps = batches * outs * (parts(all->in, block->in) + 1) };
}

static bool cheaper(struct cost a, struct cost b)
{
    return a.bytes < b.bytes || (a.bytes == b.bytes && a.steps < b.steps);
}

/* Fills the zeros of *block. Where nothing fits, with ones: the check that follows says why. */
static void choose_block(const struct tiles *all, struct tiles *block, const struct vta_hw *hw)
{
    struct tiles best = { block->batch ? block->batch : 1, block->in ? block->in : 1,
                          block->out ? block->out : 1 };
    struct cost best_cost = { -1, -1 };
    struct tiles try;
    for (try.batch = best.batch; try.batch != 0;
         try.batch = block->batch ? 0 : next_candidate(try.batch, all->batch)) {
        for (try.out = best.out; try.out != 0;
             try.out = block->out ? 0 : next_candidate(try.out, all->out)) {
            try.in = block->in ? block->in : longest_in(all, &try, hw);
            if (try.in == 0 || check_fits(&try, hw, NULL) != 0)
                continue;
            struct cost cost = cost_of(all, &try, hw);
            if (best_cost.bytes < 0 || cheaper(cost, best_cost)) {
                best = try;
                best_cost = cost;
            }
        }
    }
    *block = best;
}

int vta_matmul_resolve(struct vta_matmul *m, const struct vta_hw *hw, struct vta_error *error)
{
    int rc = check_sizes(m, hw, error);
    if (rc == 0)
        rc = check_epilogue(m, error);
    if (rc != 0)
        return rc;
    struct tiles all = { m->batch / hw->batch, m->in / hw->block, m->out / hw->block };
    rc = check_tensors(&all, hw, error);
    if (rc != 0)
        return rc;
    struct tiles block = { smaller(m->block_batch, m->batch) / hw->batch,
                           smaller(m->block_in, m->in) / hw->block,
                           smaller(m->block_out, m->out) / hw->block };
    choose_block(&all, &block, hw);
    rc = check_fits(&block, hw, error);
    if (rc != 0)
        return rc;
    m->block_batch = block.batch * hw->batch;
    m->block_in = block.in * hw->block;
    m->block_out = block.out * hw->block;
    return 0;
}

/* ---- Compiling ----------------------------------------------------------------------------- */

static void declare_params(struct vta_build *build, const struct vta_hw *hw,
                           const struct vta_matmul *m)
{
    uint32_t batch = m->batch / hw->batch, in = m->in / hw->block, out = m->out / hw->block;
    struct vta_tensor_type data = { { VTA_DTYPE_INT, (uint8_t)hw->inp_bits },
                                    4,
                                    { batch, in, hw->batch, hw->block } };
    struct vta_tensor_type weight = { { VTA_DTYPE_INT, (uint8_t)hw->wgt_bits },
                                      4,
                                      { out, in, hw->block, hw->block } };
    struct vta_tensor_type bias = { { VTA_DTYPE_INT, (uint8_t)hw->acc_bits },
                                    3,
                                    { out, hw->batch, hw->block } };
    struct vta_tensor_type result = { { VTA_DTYPE_INT, (uint8_t)hw->out_bits },
                                      4,
                                      { batch, out, hw->batch, hw->block } };
    vta_build_param(build, "data", &data, VTA_MEM_INP, VTA_ACCESS_READ);
    vta_build_param(build, "weight", &weight, VTA_MEM_WGT, VTA_ACCESS_READ);
    if (m->bias)
        vta_build_param(build, "bias", &bias, VTA_MEM_ACC, VTA_ACCESS_READ);
    vta_build_param(build, "result", &result, VTA_MEM_OUT, VTA_ACCESS_WRITE);
}

int vta_compile_matmul(struct vta_kernel *kernel, const struct vta_hw *hw, const char *name,
                       const struct vta_matmul *matmul, struct vta_error *error)
{
    struct vta_matmul m = *matmul;
    memset(kernel, 0, sizeof(*kernel));
    int rc = vta_matmul_resolve(&m, hw, error);
    if (rc != 0)
        return rc;
    struct vta_build *build = vta_build_new(hw, name);
    if (build == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory to compile %s", name);

    struct nest nest;
    struct vta_module_limits limits;
    struct vta_error own = { .insn = -1 }; /* the walk's; the builder keeps its own */
    vta_module_limits_default(&limits);
    vta_nest_init(&nest);
    declare_params(build, hw, &m);
    vta_matmul_nest(&nest, hw, &m, VTA_SCHEDULE_LOWERED);
    vta_nest_emit(&nest, hw, build, limits.insns, &own);
    vta_nest_free(&nest);
    if (own.code == 0)
        return vta_build_finish(build, kernel, error);
    vta_build_free(build);
    if (error != NULL)
        *error = own;
    vta_error_prefix(error, "%s", name);
    return own.code;
}

/* ---- Printing ------------------------------------------------------------------------------ */

const char *vta_schedule_step_name(enum vta_schedule_step step)
{
    static const char *const names[VTA_SCHEDULE_STEPS] = { "definition", "blocked", "lowered" };
    return (unsigned)step < VTA_SCHEDULE_STEPS ? names[step] : "?";
}

int vta_matmul_schedule(char **text, const struct vta_hw *hw, const struct vta_matmul *matmul,
                        enum vta_schedule_step step, struct vta_error *error)
{
    struct vta_matmul m = *matmul;
    *text = NULL;
    if ((unsigned)step >= VTA_SCHEDULE_STEPS)
        return vta_error_set(error, VTA_EINVAL, "schedule step %d: there are %d", (int)step,
                             VTA_SCHEDULE_STEPS);
    int rc = vta_matmul_resolve(&m, hw, error);
    if (rc != 0)
        return rc;
    size_t size;
    FILE *file = open_memstream(text, &size);
    if (file == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory to print a schedule");
    struct nest nest;
    vta_nest_init(&nest);
    vta_matmul_nest(&nest, hw, &m, step);
    vta_nest_print(&nest, file);
    bool incomplete = nest.out_of_memory || ferror(file);
    vta_nest_free(&nest);
    if (fclose(file) == 0 && !incomplete)
        return 0;
    free(*text);
    *text = NULL;
    return vta_error_set(error, VTA_ENOMEM, "no memory to print a schedule");
}
