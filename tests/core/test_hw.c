/* test_hw.c: which hardware configurations there are, and that every reader agrees on them. */
#include <criterion/criterion.h>

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vta/hw.h>

#include "tests/generated/random.h"

static struct vta_error error;

static struct vta_hw default_hw(void)
{
    struct vta_hw hw;
    vta_hw_default(&hw);
    return hw;
}

static bool same(const struct vta_hw *a, const struct vta_hw *b)
{
    return vta_hw_equal(a, b) && a->target == b->target && strcmp(a->hw_ver, b->hw_ver) == 0 &&
           memcmp(a->depth, b->depth, sizeof a->depth) == 0 &&
           memcmp(a->dram_elem_bytes, b->dram_elem_bytes, sizeof a->dram_elem_bytes) == 0;
}

static void survives_its_text(const struct vta_hw *hw)
{
    char *text = vta_hw_to_json(hw);
    cr_assert_not_null(text);
    struct vta_hw again;
    cr_assert_eq(vta_hw_from_json(&again, text, strlen(text), &error), 0, "%s: %s", text,
                 error.message);
    cr_assert(same(hw, &again), "%s", text);
    free(text);
}

static void survives_its_bitstream(const struct vta_hw *hw)
{
    char name[VTA_BITSTREAM_NAME];
    struct vta_hw again;
    vta_hw_bitstream(hw, name);
    cr_assert_eq(vta_hw_from_bitstream(&again, name, hw->target, &error), 0, "%s", error.message);
    cr_assert(vta_hw_equal(hw, &again), "%s", name);
    cr_assert_eq(again.target, hw->target);
}

/* ---- Sizes --------------------------------------------------------------------------------- */

Test(hw, has_the_default_sizes_of_a_pynq)
{
    struct vta_hw hw = default_hw();
    static const uint32_t sram[] = { 4, 256, 16, 64, 16, 64 };
    static const uint32_t dram[] = { 4, 256, 16, 64, 16, 16 };
    static const uint32_t depth[] = { 8192, 1024, 2048, 2048, 2048, 2048 };
    for (int m = 0; m < VTA_MEM_COUNT; m++) {
        const char *name = vta_memory_name((enum vta_memory)m);
        cr_assert_eq(hw.sram_elem_bytes[m], sram[m], "%s", name);
        cr_assert_eq(hw.dram_elem_bytes[m], dram[m], "%s", name);
        cr_assert_eq(hw.depth[m], depth[m], "%s", name);
        cr_assert_eq(1u << hw.log_depth[m], depth[m], "%s", name);
    }
    cr_assert_eq(hw.batch, 1);
    cr_assert_eq(hw.block, 16);
    cr_assert_eq(hw.inp_bits, 8);
    cr_assert_eq(hw.wgt_bits, 8);
    cr_assert_eq(hw.acc_bits, 32);
    cr_assert_eq(hw.out_bits, 8);
}

/* Raw keys in the order of vta_hw_keys(), and the depths that follow. */
static const struct {
    const char *bitstream;
    uint8_t keys[VTA_HW_KEY_COUNT];
    uint32_t depth[VTA_MEM_COUNT];
} valid[] = {
    { "1x16_i8w8a32_15_15_18_17",
      { 3, 3, 5, 0, 4, 15, 15, 18, 17 },
      { 8192, 1024, 2048, 2048, 2048, 2048 } },
    { "4x8_i8w8a32_15_16_16_18",
      { 3, 3, 5, 2, 3, 15, 16, 16, 18 },
      { 8192, 1024, 2048, 2048, 2048, 2048 } },
    { "2x32_i8w8a32_15_16_20_18",
      { 3, 3, 5, 1, 5, 15, 16, 20, 18 },
      { 8192, 1024, 1024, 1024, 1024, 1024 } },
    { "1x8_i8w8a32_15_14_16_16",
      { 3, 3, 5, 0, 3, 15, 14, 16, 16 },
      { 8192, 1024, 2048, 2048, 2048, 2048 } },
    { "1x16_i4w4a32_15_14_17_17",
      { 2, 2, 5, 0, 4, 15, 14, 17, 17 },
      { 8192, 1024, 2048, 2048, 2048, 2048 } },
    { "1x16_i2w2a32_15_13_16_17",
      { 1, 1, 5, 0, 4, 15, 13, 16, 17 },
      { 8192, 1024, 2048, 2048, 2048, 2048 } },
    { "1x16_i8w2a32_15_15_16_17",
      { 3, 1, 5, 0, 4, 15, 15, 16, 17 },
      { 8192, 1024, 2048, 2048, 2048, 2048 } },
    { "1x16_i1w1a32_15_12_15_17",
      { 0, 0, 5, 0, 4, 15, 12, 15, 17 },
      { 8192, 1024, 2048, 2048, 2048, 2048 } },
    { "1x8_i8w8a32_12_13_14_15",
      { 3, 3, 5, 0, 3, 12, 13, 14, 15 },
      { 1024, 256, 1024, 1024, 1024, 1024 } },
    { "4x32_i8w8a32_15_15_18_17",
      { 3, 3, 5, 2, 5, 15, 15, 18, 17 },
      { 8192, 256, 256, 256, 256, 256 } },
    { "1x16_i16w8a32_15_15_18_17",
      { 4, 3, 5, 0, 4, 15, 15, 18, 17 },
      { 8192, 1024, 1024, 2048, 2048, 2048 } },
    { "1x16_i16w16a32_15_16_18_17",
      { 4, 4, 5, 0, 4, 15, 16, 18, 17 },
      { 8192, 512, 2048, 2048, 2048, 2048 } },
    { "1x16_i32w32a32_15_16_19_17",
      { 5, 5, 5, 0, 4, 15, 16, 19, 17 },
      { 8192, 512, 1024, 2048, 2048, 2048 } },
    { "1x1_i32w32a32_3_3_3_3", { 5, 5, 5, 0, 0, 3, 3, 3, 3 }, { 2, 2, 2, 2, 2, 2 } },
    { "16x16_i8w8a32_15_15_18_17",
      { 3, 3, 5, 4, 4, 15, 15, 18, 17 },
      { 8192, 1024, 128, 128, 128, 128 } },
    { "1x64_i8w8a32_15_15_18_17",
      { 3, 3, 5, 0, 6, 15, 15, 18, 17 },
      { 8192, 64, 512, 512, 512, 512 } }, /* a weight of 4096 bytes, the largest element */
};

Test(hw, derives_every_configuration_that_compilers_use)
{
    for (size_t i = 0; i < sizeof valid / sizeof valid[0]; i++) {
        struct vta_hw hw = { .hw_ver = "0.0.2", .target = VTA_TARGET_PYNQ };
        for (size_t k = 0; k < VTA_HW_KEY_COUNT; k++)
            ((uint8_t *)&hw)[vta_hw_keys()[k].offset] = valid[i].keys[k];
        cr_assert_eq(vta_hw_derive(&hw, &error), 0, "%s: %s", valid[i].bitstream, error.message);
        for (int m = 0; m < VTA_MEM_COUNT; m++)
            cr_assert_eq(hw.depth[m], valid[i].depth[m], "%s: %s has %u", valid[i].bitstream,
                         vta_memory_name((enum vta_memory)m), hw.depth[m]);
        char name[VTA_BITSTREAM_NAME];
        vta_hw_bitstream(&hw, name);
        cr_assert_str_eq(name, valid[i].bitstream);
        survives_its_text(&hw);
        survives_its_bitstream(&hw);
    }
}

/* ---- Refusals ------------------------------------------------------------------------------ */

static void refuses(const char *text, int code, const char *words)
{
    struct vta_hw hw = default_hw(), before = hw;
    memset(&error, 0, sizeof error);
    int rc = vta_hw_from_json(&hw, text, strlen(text), &error);
    cr_assert_eq(rc, code, "%s: %d %s", text, rc, error.message);
    cr_assert_eq(error.code, code);
    cr_assert_not_null(strstr(error.message, words), "%s: '%s' lacks '%s'", text, error.message,
                       words);
    cr_assert(same(&hw, &before), "a refused text must change nothing");
}

Test(hw, refuses_sizes_that_no_instruction_can_hold)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        { "{\"LOG_INP_WIDTH\":6}", "LOG_INP_WIDTH is 6" },
        { "{\"LOG_WGT_WIDTH\":6}", "LOG_WGT_WIDTH is 6" },
        { "{\"LOG_ACC_WIDTH\":4}", "LOG_ACC_WIDTH is 4, but must be 5" },
        { "{\"LOG_ACC_WIDTH\":6}", "accumulates in 32 bits" },
        { "{\"LOG_BLOCK\":1,\"LOG_INP_WIDTH\":0}", "LOG_INP_WIDTH is 1: one INP element" },
        { "{\"LOG_BLOCK\":0,\"LOG_WGT_WIDTH\":2,\"LOG_INP_BUFF_SIZE\":10}", "LOG_WGT_WIDTH is 2" },
        { "{\"LOG_BLOCK\":7,\"LOG_INP_BUFF_SIZE\":16}", "LOG_WGT_WIDTH is 17, but at most 15" },
        { "{\"LOG_BATCH\":9,\"LOG_INP_BUFF_SIZE\":16}", "LOG_INP_WIDTH is 16, but at most 15" },
        { "{\"LOG_BATCH\":7,\"LOG_INP_BUFF_SIZE\":16}", "LOG_ACC_WIDTH is 16, but at most 15" },
        { "{\"LOG_INP_BUFF_SIZE\":4}", "LOG_INP_BUFF_SIZE is 4, but must be from 5 to 20" },
        { "{\"LOG_INP_BUFF_SIZE\":21}", "LOG_INP_BUFF_SIZE is 21, but must be from 5 to 20" },
        { "{\"LOG_WGT_BUFF_SIZE\":8}", "LOG_WGT_BUFF_SIZE is 8, but must be from 9 to 24" },
        { "{\"LOG_ACC_BUFF_SIZE\":6}", "LOG_ACC_BUFF_SIZE is 6, but must be from 7 to 22" },
        { "{\"LOG_UOP_BUFF_SIZE\":2}", "LOG_UOP_BUFF_SIZE is 2, but must be from 3 to 18" },
        { "{\"LOG_UOP_BUFF_SIZE\":19}", "LOG_UOP_BUFF_SIZE is 19" },
        { "{\"LOG_WGT_BUFF_SIZE\":19}", "LOG_WGT_BUFF_SIZE 19" }, /* a micro-op of 33 bits */
        { "{\"LOG_INP_BUFF_SIZE\":16}", "LOG_INP_BUFF_SIZE 16" }, /* likewise */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        refuses(cases[i].text, VTA_ECONFIG, cases[i].words);
}

Test(hw, says_limit_and_value_of_what_it_refuses)
{
    refuses("{\"LOG_ACC_BUFF_SIZE\":6}", VTA_ECONFIG, "6");
    cr_assert(error.has_limit);
    cr_assert_eq(error.limit, 7);
    cr_assert_eq(error.value, 6);
}

Test(hw, refuses_raw_keys_that_are_out_of_this_world)
{
    struct vta_hw hw = default_hw();
    hw.target = (enum vta_target)VTA_TARGET_COUNT;
    cr_assert_eq(vta_hw_derive(&hw, &error), VTA_ECONFIG);
    hw = default_hw();
    memset(hw.hw_ver, 'x', sizeof hw.hw_ver);
    cr_assert_eq(vta_hw_derive(&hw, &error), VTA_ECONFIG);
    hw = default_hw();
    hw.log_batch = hw.log_block = UINT8_MAX;
    cr_assert_eq(vta_hw_derive(&hw, &error), VTA_ECONFIG);
    hw = default_hw();
    hw.log_inp_buff = UINT8_MAX;
    cr_assert_eq(vta_hw_derive(&hw, &error), VTA_ECONFIG);
    cr_assert_eq(hw.log_inp_buff, UINT8_MAX, "a refused configuration must not change");
}

Test(hw, refuses_what_is_not_one_json_object)
{
    static const char *const not_json[] = {
        "",
        " ",
        "{",
        "{\"LOG_BATCH\":0",
        "{\"LOG_BATCH\":0,",
        "{\"LOG_BATCH\":0} x",
        "{\"LOG_BATCH\":0}{}",
        "{\"LOG_BATCH",
        "{LOG_BATCH:0}",
        "{\"LOG_BATCH\\u0000\":0}",
    };
    for (size_t i = 0; i < sizeof not_json / sizeof not_json[0]; i++)
        refuses(not_json[i], VTA_EFORMAT, "not JSON");
    static const char *const no_configuration[] = { "[]", "3", "\"LOG_BATCH\"", "null" };
    for (size_t i = 0; i < sizeof no_configuration / sizeof no_configuration[0]; i++)
        refuses(no_configuration[i], VTA_ECONFIG, "JSON object");
    refuses("{}", VTA_ECONFIG, "none of its keys");
    refuses("{\"TARGET\":\"sim\",\"LOG_BLOCK_IN\":4}", VTA_ECONFIG, "none of its keys");

    static const char zeros[] = "{\"LOG_BATCH\":0}\0";
    struct vta_hw hw;
    cr_assert_eq(vta_hw_from_json(&hw, zeros, sizeof zeros - 1, &error), VTA_EFORMAT);
    cr_assert_eq(vta_hw_from_json(&hw, NULL, 0, &error), VTA_EFORMAT);
}

Test(hw, refuses_nesting_that_would_use_up_the_stack)
{
    size_t depth = 60000;
    char *text = malloc(depth);
    memset(text, '[', depth);
    struct vta_hw hw;
    cr_assert_eq(vta_hw_from_json(&hw, text, depth, &error), VTA_EFORMAT);
    free(text);
}

Test(hw, refuses_a_text_beyond_64_kib)
{
    size_t length = 65537;
    char *text = malloc(length);
    memset(text, ' ', length);
    memcpy(text, "{\"LOG_BATCH\":0}", 15);
    struct vta_hw hw;
    cr_assert_eq(vta_hw_from_json(&hw, text, length, &error), VTA_EFORMAT);
    cr_assert_eq(error.limit, 65536);
    cr_assert_eq(vta_hw_from_json(&hw, text, length - 1, &error), 0, "%s", error.message);
    free(text);
}

Test(hw, refuses_numbers_that_are_not_small_and_whole)
{
    static const char *const values[] = { "-1",   "32",    "1e999", "-1e999", "4294967299", "3.5",
                                          "1e-3", "\"3\"", "null",  "true",   "[3]",        "{}" };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char text[64];
        snprintf(text, sizeof text, "{\"LOG_INP_WIDTH\":%s}", values[i]);
        refuses(text, VTA_ECONFIG, "LOG_INP_WIDTH is");
        snprintf(text, sizeof text, "{\"LOG_BATCH\":0,\"LOG_OUT_WIDTH\":%s}", values[i]);
        refuses(text, VTA_ECONFIG, "LOG_OUT_WIDTH is");
    }
}

Test(hw, says_what_a_missing_key_is_written_like)
{
    refuses("{\"LOG_BACH\":0}", VTA_ECONFIG, "LOG_BATCH is missing; LOG_BACH looks like it");
    refuses("{\"LOG_BATCH\":0,\"LOG_BLOK\":3}", VTA_ECONFIG,
            "LOG_BLOCK is missing; LOG_BLOK looks like it");
    refuses("{\"log_block\":4}", VTA_ECONFIG, "LOG_BLOCK is missing; log_block looks like it");
    refuses("{\"LOG_OUT_BUF_SIZE\":4}", VTA_ECONFIG, "none of its keys");
    refuses("{\"port\":4}", VTA_ECONFIG, "none of its keys");
    refuses("{\"LOG_BATCH\":0,\"TARGET\":3}", VTA_ECONFIG, "TARGET is not a string");
}

/* ---- Warnings ------------------------------------------------------------------------------ */

static char warned[1024];

static void keep_warning(void *context, const char *text)
{
    char *to = context;
    size_t length = strlen(to);
    snprintf(to + length, sizeof warned - length, "%s\n", text);
}

static struct vta_hw takes(const char *text, const char *warnings)
{
    const struct vta_hw_warnings keep = { .line = keep_warning, .context = warned };
    struct vta_hw hw, quiet;
    warned[0] = '\0';
    cr_assert_eq(vta_hw_read_json(&hw, text, strlen(text), &keep, &error), 0, "%s: %s", text,
                 error.message);
    cr_assert_str_eq(warned, warnings);
    cr_assert_eq(vta_hw_from_json(&quiet, text, strlen(text), &error), 0);
    cr_assert(same(&hw, &quiet));
    return hw;
}

Test(hw, passes_over_unknown_keys_with_a_warning)
{
    takes("{\"LOG_BATCH\":0,\"port\":[4]}", "unknown key 'port' is ignored\n");
    takes("{\"LOG_BATCH\":0,\"\":{}}", "unknown key '' is ignored\n");
    takes("{\"LOG_BLOCK\":4,\"LOG_BLOK\":3}",
          "unknown key 'LOG_BLOK' is ignored; the nearest known one is LOG_BLOCK\n");
    takes("{\"LOG_BATCH\":0,\"LOG_OUT_BUF_SIZE\":4}",
          "unknown key 'LOG_OUT_BUF_SIZE' is ignored; the nearest known one is "
          "LOG_OUT_BUFF_SIZE\n");
    takes("{\"LOG_BATCH\":0,\"\\u001b[2J\xc3\xa9x\":1}", "unknown key '?[2J?\?x' is ignored\n");
}

Test(hw, takes_any_target)
{
    struct vta_hw hw = takes("{\"LOG_BATCH\":0,\"TARGET\":\"simbricks-pci\"}",
                             "TARGET 'simbricks-pci' is unknown and taken as sim\n");
    cr_assert_eq(hw.target, VTA_TARGET_SIM);
    hw = takes("{\"LOG_BATCH\":0,\"TARGET\":\"ultra96\"}", "");
    cr_assert_eq(hw.target, VTA_TARGET_ULTRA96);
}

/* As they are found in public. */
Test(hw, takes_the_keys_of_other_tools)
{
    struct vta_hw want = default_hw();
    struct vta_hw hw =
        takes("{\"TARGET\":\"pynq\",\"HW_VER\":\"0.0.2\",\"FPGA_DEVICE\":\"xc7z020clg400-1\","
              "\"LOG_INP_WIDTH\":3,\"LOG_WGT_WIDTH\":3,\"LOG_ACC_WIDTH\":5,\"LOG_UOP_WIDTH\":5,"
              "\"LOG_BUS_WIDTH\":6,\"LOG_BATCH\":0,\"LOG_BLOCK_IN\":4,\"LOG_BLOCK_OUT\":4,"
              "\"LOG_UOP_BUFF_SIZE\":15,\"LOG_INP_BUFF_SIZE\":15,\"LOG_WGT_BUFF_SIZE\":18,"
              "\"LOG_ACC_BUFF_SIZE\":17}",
              "unknown key 'FPGA_DEVICE' is ignored\n"
              "unknown key 'LOG_UOP_WIDTH' is ignored; the nearest known one is LOG_INP_WIDTH\n"
              "unknown key 'LOG_BUS_WIDTH' is ignored; the nearest known one is LOG_OUT_WIDTH\n");
    cr_assert(vta_hw_equal(&hw, &want));
}

Test(hw, takes_two_equal_sides_for_a_block)
{
    struct vta_hw hw = takes("{\"LOG_BLOCK_IN\":3,\"LOG_BLOCK_OUT\":3,\"LOG_INP_BUFF_SIZE\":14,"
                             "\"LOG_WGT_BUFF_SIZE\":16,\"LOG_ACC_BUFF_SIZE\":16}",
                             "");
    cr_assert_eq(hw.block, 8);
    refuses("{\"LOG_BLOCK_IN\":3,\"LOG_BLOCK_OUT\":4}", VTA_ECONFIG,
            "LOG_BLOCK_IN is 3 and LOG_BLOCK_OUT is 4, but there are only square blocks");
    refuses("{\"LOG_BATCH\":0,\"LOG_BLOCK_IN\":3}", VTA_ECONFIG, "LOG_BLOCK_IN is 3, but");
}

Test(hw, refuses_more_than_64_keys)
{
    char text[2048] = "{\"LOG_BATCH\":0";
    struct vta_hw hw;
    for (int i = 0; i < 63; i++)
        sprintf(text + strlen(text), ",\"key%d\":0", i);
    size_t length = strlen(text);
    strcat(text, "}");
    cr_assert_eq(vta_hw_from_json(&hw, text, strlen(text), &error), 0, "%s", error.message);
    strcpy(text + length, ",\"more\":0}");
    refuses(text, VTA_ECONFIG, "a hardware configuration of 65 keys, at most 64");
    cr_assert_eq(error.limit, 64);
}

/* ---- Keys ---------------------------------------------------------------------------------- */

Test(hw, refuses_a_key_that_is_given_twice)
{
    refuses("{\"LOG_BATCH\":0,\"LOG_BATCH\":0}", VTA_ECONFIG, "LOG_BATCH is given twice");
    refuses("{\"TARGET\":\"sim\",\"TARGET\":\"sim\"}", VTA_ECONFIG, "TARGET is given twice");
}

Test(hw, takes_derived_keys_where_they_agree)
{
    static const char text[] =
        "{\"LOG_BATCH\":2,\"LOG_BLOCK\":3,\"LOG_INP_BUFF_SIZE\":16,\"LOG_WGT_BUFF_SIZE\":16,"
        "\"LOG_ACC_BUFF_SIZE\":18,\"LOG_BLOCK_IN\":3,\"LOG_BLOCK_OUT\":3,\"LOG_OUT_WIDTH\":3,"
        "\"LOG_OUT_BUFF_SIZE\":16}";
    struct vta_hw hw;
    cr_assert_eq(vta_hw_from_json(&hw, text, strlen(text), &error), 0, "%s", error.message);
    cr_assert_eq(hw.block, 8);
    refuses("{\"LOG_BLOCK\":4,\"LOG_BLOCK_IN\":3}", VTA_ECONFIG,
            "LOG_BLOCK_IN is 3, but LOG_BLOCK makes it 4");
    refuses("{\"LOG_BLOCK_OUT\":5,\"LOG_BLOCK\":4}", VTA_ECONFIG, "LOG_BLOCK_OUT is 5");
    refuses("{\"LOG_BLOCK\":4,\"LOG_OUT_WIDTH\":5}", VTA_ECONFIG, "makes it 3");
    refuses("{\"LOG_BLOCK\":4,\"LOG_OUT_BUFF_SIZE\":17}", VTA_ECONFIG, "makes it 15");
}

Test(hw, takes_a_version_of_15_printable_bytes)
{
    static const char text[] = "{\"LOG_BATCH\":0,\"HW_VER\":\"\\\"23456789\\\\1234\"}";
    struct vta_hw hw;
    cr_assert_eq(vta_hw_from_json(&hw, text, strlen(text), &error), 0, "%s", error.message);
    cr_assert_eq(strlen(hw.hw_ver), 14);
    survives_its_text(&hw);
    refuses("{\"LOG_BATCH\":0,\"HW_VER\":\"1234567890123456\"}", VTA_ECONFIG,
            "has 16 bytes, at most 15 fit");
    refuses("{\"LOG_BATCH\":0,\"HW_VER\":\"\xc3\xa9\"}", VTA_ECONFIG, "not printable ASCII");
    refuses("{\"LOG_BATCH\":0,\"HW_VER\":\"a\\nb\"}", VTA_ECONFIG, "not printable ASCII");
    refuses("{\"LOG_BATCH\":0,\"HW_VER\":2}", VTA_ECONFIG, "HW_VER is not a string");
}

/* ---- Text and files ------------------------------------------------------------------------ */

Test(hw, writes_its_keys_in_their_customary_order)
{
    struct vta_hw hw = default_hw();
    char *text = vta_hw_to_json(&hw);
    cr_assert_str_eq(text,
                     "{\"TARGET\":\"sim\",\"HW_VER\":\"0.0.2\",\"LOG_INP_WIDTH\":3,"
                     "\"LOG_WGT_WIDTH\":3,\"LOG_ACC_WIDTH\":5,\"LOG_BATCH\":0,\"LOG_BLOCK\":4,"
                     "\"LOG_UOP_BUFF_SIZE\":15,\"LOG_INP_BUFF_SIZE\":15,\"LOG_WGT_BUFF_SIZE\":18,"
                     "\"LOG_ACC_BUFF_SIZE\":17}");
    free(text);
}

Test(hw, takes_the_default_for_keys_that_are_missing)
{
    static const char text[] = "{\"LOG_BATCH\":0}";
    struct vta_hw hw, want = default_hw();
    cr_assert_eq(vta_hw_from_json(&hw, text, strlen(text), &error), 0, "%s", error.message);
    cr_assert(same(&hw, &want));
}

/* The folder of the configurations that are shipped comes from the build. */
Test(hw, reads_every_configuration_that_is_shipped)
{
    const char *folder = getenv("VTA_CONFIG_DIR");
    cr_assert_not_null(folder, "VTA_CONFIG_DIR must name the config/ folder");
    bool found[VTA_TARGET_COUNT] = { false }, found_default = false;
    DIR *dir = opendir(folder);
    cr_assert_not_null(dir, "%s", folder);
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        bool is_default = strcmp(entry->d_name, "vta_config.json") == 0;
        const char *suffix = strstr(entry->d_name, "_sample.json");
        if (!is_default && suffix == NULL)
            continue;
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        struct vta_hw hw, want = default_hw();
        cr_assert_eq(vta_hw_from_file(&hw, path, &error), 0, "%s", error.message);
        if (is_default) {
            found_default = true;
            cr_assert(same(&hw, &want));
            continue;
        }
        found[hw.target] = true;
        const char *target = vta_target_name(hw.target);
        cr_assert_eq(strncmp(entry->d_name, target, (size_t)(suffix - entry->d_name)), 0, "%s",
                     path);
        cr_assert(vta_hw_equal(&hw, &want), "%s", path);
    }
    closedir(dir);
    cr_assert(found_default);
    for (int i = 0; i < VTA_TARGET_COUNT; i++)
        cr_assert(found[i], "no sample for %s", vta_target_name((enum vta_target)i));
}

Test(hw, names_the_file_that_it_cannot_read)
{
    struct vta_hw hw;
    cr_assert_eq(vta_hw_from_file(&hw, "/nonexistent/vta_config.json", &error), VTA_EIO);
    cr_assert_not_null(strstr(error.message, "/nonexistent/vta_config.json: No such file"));
    cr_assert_eq(vta_hw_from_file(&hw, "/", &error), VTA_EIO);
    cr_assert_eq(vta_hw_from_file(&hw, "/dev/null", &error), VTA_EFORMAT);
    cr_assert_not_null(strstr(error.message, "/dev/null: not JSON"));
    cr_assert_eq(vta_hw_from_file(&hw, "/dev/zero", &error), VTA_EFORMAT, "reading must end");
}

/* ---- Bitstreams and comparison ------------------------------------------------------------- */

Test(hw, reads_a_bitstream_with_or_without_its_suffix)
{
    struct vta_hw hw, want = default_hw();
    cr_assert_eq(
        vta_hw_from_bitstream(&hw, "1x16_i8w8a32_15_15_18_17.bit", VTA_TARGET_PYNQ, &error), 0,
        "%s", error.message);
    cr_assert(vta_hw_equal(&hw, &want));
    cr_assert_eq(hw.target, VTA_TARGET_PYNQ);
}

Test(hw, refuses_a_bitstream_that_names_no_hardware)
{
    static const struct {
        const char *name;
        int code;
        const char *words;
    } cases[] = {
        { "", VTA_EFORMAT, "1x16_i8w8a32_15_15_18_17" },
        { "vta.bit", VTA_EFORMAT, "'vta.bit'" },
        { "1x16_i8w8a32_15_15_18", VTA_EFORMAT, "named like" },
        { "1x16_i8w8a32_15_15_18_17_1", VTA_EFORMAT, "named like" },
        { "1x16_i8w8a32_15_15_18_17.bits", VTA_EFORMAT, "named like" },
        { "1x16_i8w8a32_15_15_18_", VTA_EFORMAT, "named like" },
        { "1x16_i8w8a32_15_15_18_-17", VTA_EFORMAT, "named like" },
        { " 1x16_i8w8a32_15_15_18_17", VTA_EFORMAT, "named like" },
        { "1x16_i8w8a32_15_15_18_1700000000000", VTA_EFORMAT, "named like" },
        { "3x16_i8w8a32_15_15_18_17", VTA_ECONFIG, "LOG_BATCH: 3 is not a power of two" },
        { "1x0_i8w8a32_15_15_18_17", VTA_ECONFIG, "LOG_BLOCK: 0 is not a power of two" },
        { "1x16_i8w7a32_15_15_18_17", VTA_ECONFIG, "LOG_WGT_WIDTH: 7" },
        { "1x16_i8w8a16_15_15_18_17", VTA_ECONFIG, "LOG_ACC_WIDTH is 4" },
        { "1x16_i8w8a32_15_15_18_300", VTA_ECONFIG, "LOG_ACC_BUFF_SIZE is 255" },
        { "1x16_i64w8a32_15_15_18_17", VTA_ECONFIG, "LOG_INP_WIDTH is 6" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct vta_hw hw;
        int rc = vta_hw_from_bitstream(&hw, cases[i].name, VTA_TARGET_SIM, &error);
        cr_assert_eq(rc, cases[i].code, "%s", cases[i].name);
        cr_assert_not_null(strstr(error.message, cases[i].words), "'%s'", error.message);
        cr_assert_eq(vta_hw_from_bitstream(&hw, cases[i].name, VTA_TARGET_SIM, NULL), rc);
    }
}

Test(hw, compares_what_a_stream_means_and_not_where_it_runs)
{
    struct vta_hw a = default_hw(), b = default_hw();
    b.target = VTA_TARGET_ZCU104;
    strcpy(b.hw_ver, "9");
    cr_assert(vta_hw_equal(&a, &b));
    cr_assert_eq(vta_hw_compare(&a, &b, &error), 0);
    for (size_t i = 0; i < VTA_HW_KEY_COUNT; i++) {
        const struct vta_hw_key *key = &vta_hw_keys()[i];
        b = a;
        ((uint8_t *)&b)[key->offset]++;
        cr_assert_not(vta_hw_equal(&a, &b));
        cr_assert_eq(vta_hw_compare(&b, &a, &error), VTA_EHARDWARE);
        cr_assert_not_null(strstr(error.message, key->name), "%s", error.message);
        cr_assert_eq(error.value, ((uint8_t *)&b)[key->offset], "value is what is wanted");
        cr_assert_eq(error.limit, ((uint8_t *)&a)[key->offset], "limit is what is there");
    }
}

/* ---- Generated ----------------------------------------------------------------------------- */

static bool names_a_key(const char *message)
{
    for (size_t i = 0; i < VTA_HW_KEY_COUNT; i++)
        if (strstr(message, vta_hw_keys()[i].name) != NULL)
            return true;
    return false;
}

/* What the rest of the house relies on. */
static void is_sound(const struct vta_hw *hw)
{
    for (int m = 0; m < VTA_MEM_COUNT; m++) {
        cr_assert_geq(hw->sram_elem_bytes[m], 1);
        cr_assert_leq(hw->sram_elem_bytes[m], VTA_ELEM_BYTES_MAX);
        cr_assert_geq(hw->dram_elem_bytes[m], 1);
        cr_assert_leq(hw->dram_elem_bytes[m], VTA_ELEM_BYTES_MAX);
        cr_assert_eq(hw->depth[m], 1u << hw->log_depth[m]);
        cr_assert_geq(hw->depth[m], 2);
        cr_assert_leq(hw->depth[m], 65536);
    }
    cr_assert_eq(hw->sram_elem_bytes[VTA_MEM_INP], hw->batch * hw->block * hw->inp_bits / 8);
    cr_assert_eq(hw->sram_elem_bytes[VTA_MEM_WGT], hw->block * hw->block * hw->wgt_bits / 8);
    cr_assert_eq(hw->sram_elem_bytes[VTA_MEM_ACC], hw->batch * hw->block * 4);
    cr_assert_eq(hw->sram_elem_bytes[VTA_MEM_OUT], hw->batch * hw->block * hw->out_bits / 8);
    cr_assert_eq((uint64_t)hw->depth[VTA_MEM_INP] * hw->sram_elem_bytes[VTA_MEM_INP],
                 UINT64_C(1) << hw->log_inp_buff);
    cr_assert_eq((uint64_t)hw->depth[VTA_MEM_WGT] * hw->sram_elem_bytes[VTA_MEM_WGT],
                 UINT64_C(1) << hw->log_wgt_buff);
    cr_assert_eq((uint64_t)hw->depth[VTA_MEM_ACC] * hw->sram_elem_bytes[VTA_MEM_ACC],
                 UINT64_C(1) << hw->log_acc_buff);
    cr_assert_eq((uint64_t)hw->depth[VTA_MEM_UOP] * VTA_UOP_BYTES, UINT64_C(1) << hw->log_uop_buff);
}

/* Wild values mostly, the default's neighbourhood otherwise, so that both ends are met often. */
static struct vta_hw random_keys(struct rng *rng)
{
    struct vta_hw hw = default_hw();
    bool wild = rng_one_in(rng, 4);
    for (size_t i = 0; i < VTA_HW_KEY_COUNT; i++) {
        uint8_t *key = (uint8_t *)&hw + vta_hw_keys()[i].offset;
        if (wild)
            *key = (uint8_t)rng_between(rng, 0, rng_one_in(rng, 4) ? 255 : 24);
        else if (key != &hw.log_acc_width || rng_one_in(rng, 8))
            *key = (uint8_t)rng_between(rng, *key < 3 ? 0 : *key - 3u, *key + 2u);
    }
    hw.target = (enum vta_target)rng_between(rng, 0, VTA_TARGET_COUNT - 1);
    return hw;
}

Test(hw, derives_random_keys_or_names_the_one_that_is_wrong)
{
    struct rng rng = rng_seeded("random hardware");
    uint32_t accepted = 0, refused = 0;
    for (uint32_t run = rng_runs(20000); run > 0; run--) {
        struct vta_hw hw = random_keys(&rng);
        error = (struct vta_error){ 0 };
        int rc = vta_hw_derive(&hw, &error);
        if (rc != 0) {
            refused++;
            cr_assert_eq(rc, VTA_ECONFIG);
            cr_assert(names_a_key(error.message), "'%s'", error.message);
            continue;
        }
        accepted++;
        is_sound(&hw);
        survives_its_text(&hw);
        survives_its_bitstream(&hw);
    }
    fprintf(stderr, "random hardware: %" PRIu32 " accepted, %" PRIu32 " refused\n", accepted,
            refused);
    cr_assert_gt(accepted, 0);
    cr_assert_gt(refused, 0);
}
