/* vta/hw.h: the hardware configuration of a VTA (vta_config.json) and every size derived from it.
 *
 * The keys are those of the open VTA design; every LOG_… value is a base-2 logarithm, widths of
 * bits, buffer sizes of bytes. A struct vta_hw that came from one of the functions below is valid
 * and complete; copy it freely, nothing to release.
 */
#ifndef VTA_HW_H
#define VTA_HW_H

#include <stddef.h>
#include <stdint.h>

#include <vta/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Memory ids, as instructions carry them. */
enum vta_memory {
    VTA_MEM_UOP = 0,
    VTA_MEM_WGT = 1,
    VTA_MEM_INP = 2,
    VTA_MEM_ACC = 3,
    VTA_MEM_OUT = 4,
    VTA_MEM_ACC_8BIT = 5, /* loads int8 from DRAM, widened into ACC */
    VTA_MEM_COUNT = 6
};

enum vta_target {
    VTA_TARGET_SIM,
    VTA_TARGET_TSIM,
    VTA_TARGET_PYNQ,
    VTA_TARGET_ULTRA96,
    VTA_TARGET_ZCU104,
    VTA_TARGET_DE10NANO,
    VTA_TARGET_INTELFOCL,
    VTA_TARGET_COUNT
};

#define VTA_HW_VER_MAX     16
#define VTA_ELEM_BYTES_MAX 4096u
#define VTA_BITSTREAM_NAME 96
#define VTA_INSN_BYTES     16u
#define VTA_UOP_BYTES      4u

struct vta_hw {
    /* What vta_config.json says. */
    enum vta_target target;
    char hw_ver[VTA_HW_VER_MAX];
    uint8_t log_inp_width, log_wgt_width, log_acc_width;            /* bits of one number */
    uint8_t log_batch, log_block;                                   /* block_in = block_out */
    uint8_t log_uop_buff, log_inp_buff, log_wgt_buff, log_acc_buff; /* SRAM bytes */

    /* Derived. Arrays are indexed by enum vta_memory; OUT is as deep as ACC. */
    uint32_t batch, block; /* numbers per side of a tile */
    uint32_t inp_bits, wgt_bits, acc_bits, out_bits;
    uint32_t sram_elem_bytes[VTA_MEM_COUNT]; /* one SRAM entry (ACC_8BIT: that of ACC) */
    uint32_t dram_elem_bytes[VTA_MEM_COUNT]; /* its size in DRAM (ACC_8BIT: a quarter of ACC's) */
    uint8_t log_depth[VTA_MEM_COUNT];
    uint32_t depth[VTA_MEM_COUNT]; /* SRAM entries */
};

/* The default: 1x16_i8w8a32_15_15_18_17, target sim. */
VTA_API void vta_hw_default(struct vta_hw *hw);

/* Who hears of what a reader passes over: a line each, printable ASCII without a newline. */
struct vta_hw_warnings {
    void (*line)(void *context, const char *text);
    void *context;
};

/* Reads the text of a vta_config.json, of at most 64 keys.
 *
 * Passed over with a warning: an unknown key, with the nearest known one, and a TARGET that is none
 * of enum vta_target's, which becomes sim. A key that is missing takes the default configuration's
 * value, but is an error if an unknown key looks like it, or if no LOG_… key is there at all.
 * Derived keys (LOG_BLOCK_IN, LOG_BLOCK_OUT, LOG_OUT_WIDTH, LOG_OUT_BUFF_SIZE) are accepted if they
 * agree; the first two, if equal, stand for LOG_BLOCK.
 *
 * warnings   NULL, or with a NULL line: nobody hears of them
 *
 * Returns 0, VTA_EFORMAT (not JSON), or VTA_ECONFIG (the message names key, limit and value). */
VTA_API int vta_hw_read_json(struct vta_hw *hw, const char *text, size_t length,
                             const struct vta_hw_warnings *warnings, struct vta_error *error);

/* The same from a file. VTA_EIO if it cannot be read; at most 64 KiB. */
VTA_API int vta_hw_read_file(struct vta_hw *hw, const char *path,
                             const struct vta_hw_warnings *warnings, struct vta_error *error);

/* Both without warnings. */
VTA_API int vta_hw_from_json(struct vta_hw *hw, const char *text, size_t length,
                             struct vta_error *error);
VTA_API int vta_hw_from_file(struct vta_hw *hw, const char *path, struct vta_error *error);

/* Builds a configuration from its raw keys (target, hw_ver and the log_… members of *hw), derives
 * the rest and validates. The one gate: every other constructor passes through it.
 * Returns 0 or VTA_ECONFIG, and then leaves *hw as it was. */
VTA_API int vta_hw_derive(struct vta_hw *hw, struct vta_error *error);

/* JSON text on one line, the keys in their customary order, derived keys left out. The caller
 * frees it. NULL without memory. */
VTA_API char *vta_hw_to_json(const struct vta_hw *hw);

/* "1x16_i8w8a32_15_15_18_17". name holds VTA_BITSTREAM_NAME bytes. */
VTA_API void vta_hw_bitstream(const struct vta_hw *hw, char *name);

/* Reads a bitstream's name, with or without ".bit", into a configuration for this target.
 * VTA_EFORMAT where it is no such name, VTA_ECONFIG where no such hardware can be. */
VTA_API int vta_hw_from_bitstream(struct vta_hw *hw, const char *name, enum vta_target target,
                                  struct vta_error *error);

/* Whether the same instruction stream means the same on both (target and hw_ver do not count). */
VTA_API bool vta_hw_equal(const struct vta_hw *a, const struct vta_hw *b);

/* Says in *error which key differs first, as VTA_EHARDWARE; 0 where vta_hw_equal holds. */
VTA_API int vta_hw_compare(const struct vta_hw *want, const struct vta_hw *have,
                           struct vta_error *error);

VTA_API const char *vta_target_name(enum vta_target target);
VTA_API const char *vta_memory_name(enum vta_memory memory); /* "UOP", "WGT", …, "ACC8" */

/* The raw keys as a table, for readers and writers of other formats (the module file). */
struct vta_hw_key {
    const char *name; /* "LOG_INP_WIDTH" */
    size_t offset;    /* of the uint8_t member in struct vta_hw */
};
#define VTA_HW_KEY_COUNT 9
VTA_API const struct vta_hw_key *vta_hw_keys(void); /* VTA_HW_KEY_COUNT entries */

/* ---- Counters ------------------------------------------------------------------------------ */

/* The seven counters of VTA's simulator profiler; names, order and meaning are its own. */
#define VTA_COUNTERS(X)                                                                            \
    X(inp_load_nbytes)                                                                             \
    X(wgt_load_nbytes)                                                                             \
    X(acc_load_nbytes)                                                                             \
    X(uop_load_nbytes)                                                                             \
    X(out_store_nbytes)                                                                            \
    X(gemm_counter)                                                                                \
    X(alu_counter)

struct vta_counters {
#define VTA_COUNTER_MEMBER(name) uint64_t name;
    VTA_COUNTERS(VTA_COUNTER_MEMBER)
#undef VTA_COUNTER_MEMBER
};

#ifdef __cplusplus
}
#endif

#endif
