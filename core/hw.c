/* hw.c: derives and validates a hardware configuration, names its bitstream, compares.
 *
 * vta_hw_derive is the one gate: whatever passes it has sizes that every other room may rely on.
 * The JSON text is hw_json.c's.
 */
#include <vta/hw.h>

#include "isa.h"

#include <stdio.h>
#include <string.h>

#define LOG_WIDTH_MAX     5  /* 32-bit numbers */
#define LOG_ELEM_BITS_MIN 3  /* one byte */
#define LOG_ELEM_BITS_MAX 15 /* VTA_ELEM_BYTES_MAX */
#define LOG_DEPTH_MIN     1
#define LOG_DEPTH_MAX     16 /* sram_base has 16 bits */

static const struct vta_hw_key keys[VTA_HW_KEY_COUNT] = {
    { "LOG_INP_WIDTH", offsetof(struct vta_hw, log_inp_width) },
    { "LOG_WGT_WIDTH", offsetof(struct vta_hw, log_wgt_width) },
    { "LOG_ACC_WIDTH", offsetof(struct vta_hw, log_acc_width) },
    { "LOG_BATCH", offsetof(struct vta_hw, log_batch) },
    { "LOG_BLOCK", offsetof(struct vta_hw, log_block) },
    { "LOG_UOP_BUFF_SIZE", offsetof(struct vta_hw, log_uop_buff) },
    { "LOG_INP_BUFF_SIZE", offsetof(struct vta_hw, log_inp_buff) },
    { "LOG_WGT_BUFF_SIZE", offsetof(struct vta_hw, log_wgt_buff) },
    { "LOG_ACC_BUFF_SIZE", offsetof(struct vta_hw, log_acc_buff) },
};

const struct vta_hw_key *vta_hw_keys(void)
{
    return keys;
}

const char *vta_target_name(enum vta_target target)
{
    static const char *const names[VTA_TARGET_COUNT] = {
        [VTA_TARGET_SIM] = "sim",
        [VTA_TARGET_TSIM] = "tsim",
        [VTA_TARGET_PYNQ] = "pynq",
        [VTA_TARGET_ULTRA96] = "ultra96",
        [VTA_TARGET_ZCU104] = "zcu104",
        [VTA_TARGET_DE10NANO] = "de10nano",
        [VTA_TARGET_INTELFOCL] = "intelfocl",
    };
    return (unsigned)target < VTA_TARGET_COUNT ? names[target] : "?";
}

const char *vta_memory_name(enum vta_memory memory)
{
    static const char *const names[VTA_MEM_COUNT] = {
        [VTA_MEM_UOP] = "UOP", [VTA_MEM_WGT] = "WGT", [VTA_MEM_INP] = "INP",
        [VTA_MEM_ACC] = "ACC", [VTA_MEM_OUT] = "OUT", [VTA_MEM_ACC_8BIT] = "ACC8",
    };
    return (unsigned)memory < VTA_MEM_COUNT ? names[memory] : "?";
}

/* ---- Deriving ------------------------------------------------------------------------------ */

static int check_identity(const struct vta_hw *hw, struct vta_error *error)
{
    if ((unsigned)hw->target >= VTA_TARGET_COUNT)
        return vta_error_set(error, VTA_ECONFIG, "TARGET: there is no target number %d",
                             (int)hw->target);
    size_t length = strnlen(hw->hw_ver, sizeof hw->hw_ver);
    if (length == sizeof hw->hw_ver)
        return vta_error_limit(error, VTA_ECONFIG, VTA_HW_VER_MAX - 1, VTA_HW_VER_MAX,
                               "HW_VER has more than %d bytes", VTA_HW_VER_MAX - 1);
    for (size_t i = 0; i < length; i++)
        if (hw->hw_ver[i] < ' ' || hw->hw_ver[i] > '~')
            return vta_error_set(error, VTA_ECONFIG, "HW_VER '%s' is not printable ASCII",
                                 hw->hw_ver);
    return 0;
}

static int check_width(const char *key, unsigned log_width, struct vta_error *error)
{
    if (log_width > LOG_WIDTH_MAX)
        return vta_error_limit(error, VTA_ECONFIG, LOG_WIDTH_MAX, log_width,
                               "%s is %u, but numbers have at most %u bits, whose logarithm is %d",
                               key, log_width, 1u << LOG_WIDTH_MAX, LOG_WIDTH_MAX);
    return 0;
}

static int check_widths(const struct vta_hw *hw, struct vta_error *error)
{
    int rc = check_width("LOG_INP_WIDTH", hw->log_inp_width, error);
    if (rc == 0)
        rc = check_width("LOG_WGT_WIDTH", hw->log_wgt_width, error);
    if (rc == 0 && hw->log_acc_width != LOG_WIDTH_MAX)
        rc = vta_error_limit(error, VTA_ECONFIG, LOG_WIDTH_MAX, hw->log_acc_width,
                             "LOG_ACC_WIDTH is %u, but must be %d: VTA accumulates in 32 bits",
                             hw->log_acc_width, LOG_WIDTH_MAX);
    return rc;
}

/* How the four memories with a buffer of their own follow from the keys. */
struct memory_keys {
    enum vta_memory memory;
    unsigned log_elem_bits, log_buff;
    const char *elem_key, *buff_key; /* what an element's size follows from, the buffer's key */
};

static int check_element(const struct memory_keys *memory, struct vta_error *error)
{
    unsigned bits = memory->log_elem_bits;
    if (bits < LOG_ELEM_BITS_MIN)
        return vta_error_limit(error, VTA_ECONFIG, LOG_ELEM_BITS_MIN, bits,
                               "%s is %u: one %s element would have %u bits, less than one byte",
                               memory->elem_key, bits, vta_memory_name(memory->memory), 1u << bits);
    if (bits > LOG_ELEM_BITS_MAX)
        return vta_error_limit(error, VTA_ECONFIG, LOG_ELEM_BITS_MAX, bits,
                               "%s is %u, but at most %d: one %s element has at most %u bytes",
                               memory->elem_key, bits, LOG_ELEM_BITS_MAX,
                               vta_memory_name(memory->memory), VTA_ELEM_BYTES_MAX);
    return 0;
}

static int check_depth(const struct memory_keys *memory, struct vta_error *error)
{
    unsigned elem_bytes = memory->log_elem_bits - 3;
    unsigned low = elem_bytes + LOG_DEPTH_MIN, high = elem_bytes + LOG_DEPTH_MAX;
    if (memory->log_buff >= low && memory->log_buff <= high)
        return 0;
    return vta_error_limit(
        error, VTA_ECONFIG, memory->log_buff < low ? low : high, memory->log_buff,
        "%s is %u, but must be from %u to %u: %u to %u entries of %u bytes", memory->buff_key,
        memory->log_buff, low, high, 1u << LOG_DEPTH_MIN, 1u << LOG_DEPTH_MAX, 1u << elem_bytes);
}

static int derive_memory(struct vta_hw *hw, const struct memory_keys *memory,
                         struct vta_error *error)
{
    int rc = check_element(memory, error);
    if (rc == 0)
        rc = check_depth(memory, error);
    if (rc != 0)
        return rc;
    enum vta_memory m = memory->memory;
    hw->sram_elem_bytes[m] = hw->dram_elem_bytes[m] = 1u << (memory->log_elem_bits - 3);
    hw->log_depth[m] = (uint8_t)(memory->log_buff + 3 - memory->log_elem_bits);
    hw->depth[m] = 1u << hw->log_depth[m];
    return 0;
}

/* OUT is written beside ACC and as deep; ACC_8BIT is ACC, filled from bytes. */
static void derive_companions(struct vta_hw *hw)
{
    hw->sram_elem_bytes[VTA_MEM_OUT] = hw->sram_elem_bytes[VTA_MEM_INP];
    hw->dram_elem_bytes[VTA_MEM_OUT] = hw->sram_elem_bytes[VTA_MEM_INP];
    hw->sram_elem_bytes[VTA_MEM_ACC_8BIT] = hw->sram_elem_bytes[VTA_MEM_ACC];
    hw->dram_elem_bytes[VTA_MEM_ACC_8BIT] = hw->sram_elem_bytes[VTA_MEM_ACC] / 4;
    for (enum vta_memory m = VTA_MEM_OUT; m <= VTA_MEM_ACC_8BIT; m++) {
        hw->log_depth[m] = hw->log_depth[VTA_MEM_ACC];
        hw->depth[m] = hw->depth[VTA_MEM_ACC];
    }
}

static int derive_memories(struct vta_hw *hw, struct vta_error *error)
{
    unsigned batch = hw->log_batch, block = hw->log_block;
    const struct memory_keys memories[] = {
        { VTA_MEM_INP, batch + block + hw->log_inp_width, hw->log_inp_buff,
          "LOG_BATCH + LOG_BLOCK + LOG_INP_WIDTH", "LOG_INP_BUFF_SIZE" },
        { VTA_MEM_WGT, 2 * block + hw->log_wgt_width, hw->log_wgt_buff,
          "LOG_BLOCK + LOG_BLOCK + LOG_WGT_WIDTH", "LOG_WGT_BUFF_SIZE" },
        { VTA_MEM_ACC, batch + block + hw->log_acc_width, hw->log_acc_buff,
          "LOG_BATCH + LOG_BLOCK + LOG_ACC_WIDTH", "LOG_ACC_BUFF_SIZE" },
        { VTA_MEM_UOP, 5, hw->log_uop_buff, "", "LOG_UOP_BUFF_SIZE" },
    };
    for (size_t i = 0; i < sizeof memories / sizeof memories[0]; i++) {
        int rc = derive_memory(hw, &memories[i], error);
        if (rc != 0)
            return rc;
    }
    derive_companions(hw);
    return 0;
}

/* The raw keys of `from`, everything else zero. */
static struct vta_hw raw_keys(const struct vta_hw *from)
{
    struct vta_hw hw = { .target = from->target };
    memcpy(hw.hw_ver, from->hw_ver, sizeof hw.hw_ver);
    for (size_t i = 0; i < VTA_HW_KEY_COUNT; i++)
        ((uint8_t *)&hw)[keys[i].offset] = ((const uint8_t *)from)[keys[i].offset];
    return hw;
}

int vta_hw_derive(struct vta_hw *hw, struct vta_error *error)
{
    struct vta_hw made = raw_keys(hw);
    int rc = check_identity(&made, error);
    if (rc == 0)
        rc = check_widths(&made, error);
    if (rc == 0)
        rc = derive_memories(&made, error);
    if (rc != 0)
        return rc;

    made.batch = 1u << made.log_batch;
    made.block = 1u << made.log_block;
    made.inp_bits = 1u << made.log_inp_width;
    made.wgt_bits = 1u << made.log_wgt_width;
    made.acc_bits = 1u << made.log_acc_width;
    made.out_bits = made.inp_bits;

    struct vta_layout layout;
    rc = vta_layout_make(&layout, &made, error);
    if (rc == 0)
        *hw = made;
    else
        vta_error_prefix(error,
                         "LOG_ACC_BUFF_SIZE %u, LOG_INP_BUFF_SIZE %u, LOG_WGT_BUFF_SIZE %u, "
                         "LOG_UOP_BUFF_SIZE %u",
                         made.log_acc_buff, made.log_inp_buff, made.log_wgt_buff,
                         made.log_uop_buff);
    return rc;
}

void vta_hw_default(struct vta_hw *hw)
{
    *hw = (struct vta_hw){
        .target = VTA_TARGET_SIM,
        .hw_ver = "0.0.2",
        .log_inp_width = 3,
        .log_wgt_width = 3,
        .log_acc_width = 5,
        .log_batch = 0,
        .log_block = 4,
        .log_uop_buff = 15,
        .log_inp_buff = 15,
        .log_wgt_buff = 18,
        .log_acc_buff = 17,
    };
    (void)vta_hw_derive(hw, NULL);
}

/* ---- Bitstreams ---------------------------------------------------------------------------- */

void vta_hw_bitstream(const struct vta_hw *hw, char *name)
{
    snprintf(name, VTA_BITSTREAM_NAME, "%ux%u_i%uw%ua%u_%u_%u_%u_%u", hw->batch, hw->block,
             hw->inp_bits, hw->wgt_bits, hw->acc_bits, hw->log_uop_buff, hw->log_inp_buff,
             hw->log_wgt_buff, hw->log_acc_buff);
}

/* Reads `before` and then a decimal number of at most five digits. */
static bool take_number(const char **text, const char *before, uint32_t *number)
{
    size_t length = strlen(before);
    if (strncmp(*text, before, length) != 0)
        return false;
    const char *digit = *text + length;
    const char *first = digit;
    *number = 0;
    for (; *digit >= '0' && *digit <= '9' && digit - first < 5; digit++)
        *number = *number * 10 + (uint32_t)(*digit - '0');
    *text = digit;
    return digit > first;
}

/* The five sizes that a name gives as such and a configuration as logarithms. */
static int take_log(uint8_t *log, const char *key, uint32_t number, const char *name,
                    struct vta_error *error)
{
    if (number == 0 || (number & (number - 1)) != 0)
        return vta_error_set(error, VTA_ECONFIG, "bitstream '%.95s': %s: %u is not a power of two",
                             name, key, number);
    *log = (uint8_t)__builtin_ctz(number);
    return 0;
}

int vta_hw_from_bitstream(struct vta_hw *hw, const char *name, enum vta_target target,
                          struct vta_error *error)
{
    static const char *const before[VTA_HW_KEY_COUNT] = { "",  "x", "_i", "w", "a",
                                                          "_", "_", "_",  "_" };
    uint32_t numbers[VTA_HW_KEY_COUNT];
    const char *rest = name;
    bool good = true;
    for (size_t i = 0; i < VTA_HW_KEY_COUNT && good; i++)
        good = take_number(&rest, before[i], &numbers[i]);
    if (!good || (*rest != '\0' && strcmp(rest, ".bit") != 0))
        return vta_error_set(error, VTA_EFORMAT,
                             "bitstream '%.95s' is not named like 1x16_i8w8a32_15_15_18_17", name);

    struct vta_hw made;
    vta_hw_default(&made);
    made.target = target;
    uint8_t *const logs[] = { &made.log_batch, &made.log_block, &made.log_inp_width,
                              &made.log_wgt_width, &made.log_acc_width };
    static const char *const log_keys[] = { "LOG_BATCH", "LOG_BLOCK", "LOG_INP_WIDTH",
                                            "LOG_WGT_WIDTH", "LOG_ACC_WIDTH" };
    for (size_t i = 0; i < 5; i++) {
        int rc = take_log(logs[i], log_keys[i], numbers[i], name, error);
        if (rc != 0)
            return rc;
    }
    uint8_t *const buffers[] = { &made.log_uop_buff, &made.log_inp_buff, &made.log_wgt_buff,
                                 &made.log_acc_buff };
    for (size_t i = 0; i < 4; i++)
        *buffers[i] = (uint8_t)(numbers[5 + i] < UINT8_MAX ? numbers[5 + i] : UINT8_MAX);

    int rc = vta_hw_derive(&made, error);
    if (rc == 0)
        *hw = made;
    else
        vta_error_prefix(error, "bitstream '%.95s'", name);
    return rc;
}

/* ---- Comparing ----------------------------------------------------------------------------- */

int vta_hw_compare(const struct vta_hw *want, const struct vta_hw *have, struct vta_error *error)
{
    for (size_t i = 0; i < VTA_HW_KEY_COUNT; i++) {
        uint8_t wanted = ((const uint8_t *)want)[keys[i].offset];
        uint8_t present = ((const uint8_t *)have)[keys[i].offset];
        if (wanted == present)
            continue;
        char want_name[VTA_BITSTREAM_NAME], have_name[VTA_BITSTREAM_NAME];
        vta_hw_bitstream(want, want_name);
        vta_hw_bitstream(have, have_name);
        return vta_error_limit(error, VTA_EHARDWARE, present, wanted,
                               "hardware differs: %s is %u here, %u is wanted (%s here, %s wanted)",
                               keys[i].name, present, wanted, have_name, want_name);
    }
    return 0;
}

bool vta_hw_equal(const struct vta_hw *a, const struct vta_hw *b)
{
    return vta_hw_compare(a, b, NULL) == 0;
}
