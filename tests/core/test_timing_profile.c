/* test_timing_profile.c: profiles as text, the ones that ship, and finding them. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/timing_profile.h"

static struct vta_error error;
static struct vta_timing_profile profile;

static const char whole[] =
    "{\"name\": \"mine\", \"board\": \"A board\", \"hardware\": \"1x16_i8w8a32_15_15_18_17\",\n"
    " \"measured\": false, \"clock_mhz\": 125, \"port_bytes_per_cycle\": 16,\n"
    " \"dram_bytes_per_cycle\": 6.25, \"cache_kib\": 0, \"dma_row_cycles\": 70.5,\n"
    " \"insn_cycles\": 33, \"gemm_loop_cycles\": 0, \"alu_cycles\": 1.5, \"host_call_us\": 20,\n"
    " \"host_insn_ns\": 90}";

static int parse(const char *text)
{
    return vta_profile_from_json(&profile, text, strlen(text), &error);
}

/* The text with one piece of it replaced must be refused in these words. */
static void refuse(const char *piece, const char *other, int code, const char *words)
{
    char text[2048];
    const char *at = strstr(whole, piece);
    cr_assert_not_null(at, "%s", piece);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - whole), whole, other, at + strlen(piece));
    struct vta_timing_profile before = profile;
    cr_expect_eq(parse(text), code, "%s: %s", other, error.message);
    cr_expect(strstr(error.message, words) != NULL, "%s: %s", other, error.message);
    cr_expect_eq(memcmp(&before, &profile, sizeof before), 0, "%s: it was changed", other);
}

Test(timing_profile, reads_every_key)
{
    cr_assert_eq(parse(whole), 0, "%s", error.message);
    cr_expect_str_eq(profile.name, "mine");
    cr_expect_str_eq(profile.board, "A board");
    cr_expect_str_eq(profile.note, "");
    cr_expect_str_eq(profile.hardware, "1x16_i8w8a32_15_15_18_17");
    cr_expect_not(profile.measured);
    cr_expect(profile.clock_mhz == 125 && profile.port_bytes_per_cycle == 16);
    cr_expect(profile.dram_bytes_per_cycle == 6.25 && profile.cache_kib == 0);
    cr_expect(profile.dma_row_cycles == 70.5 && profile.insn_cycles == 33);
    cr_expect(profile.gemm_loop_cycles == 0 && profile.alu_cycles == 1.5);
    cr_expect(profile.host_call_us == 20 && profile.host_insn_ns == 90);
}

Test(timing_profile, refuses_with_key_limit_and_value)
{
    refuse("{\"name\"", "\"name\"", VTA_EFORMAT, "not JSON: error at byte");
    refuse("125", "125, \"clok_mhz\": 1", VTA_ECONFIG,
           "unknown key 'clok_mhz': did you mean 'clock_mhz'?");
    refuse("125", "125, \"zzz\": 1", VTA_ECONFIG, "unknown key 'zzz'");
    refuse("125", "125, \"clock_mhz\": 1", VTA_ECONFIG, "clock_mhz is given twice");
    refuse("\"clock_mhz\": 125,", "", VTA_ECONFIG, "clock_mhz is missing");
    refuse("125", "0", VTA_ECONFIG, "clock_mhz is 0, but must be from 1 to 5000");
    refuse("125", "1e999", VTA_ECONFIG, "clock_mhz is inf");
    refuse("125", "\"125\"", VTA_ECONFIG, "clock_mhz is not a number");
    refuse("33", "-1", VTA_ECONFIG, "insn_cycles is -1, but must be from 0 to 100000");
    refuse("false", "1", VTA_ECONFIG, "measured is neither true nor false");
    refuse("\"A board\"", "7", VTA_ECONFIG, "board is not a string");
    refuse("mine", "", VTA_ECONFIG, "name '' is not made of letters");
    refuse("mine", "../mine", VTA_ECONFIG, "name '../mine' is not made of letters");
    refuse("mine", "a-name-of-more-than-forty-seven-bytes-which-is-too-long", VTA_ECONFIG,
           "at most 47 fit");
    refuse("1x16_i8w8a32_15_15_18_17", "1x16", VTA_EFORMAT, "hardware: ");
    cr_expect_eq(parse("[]"), VTA_ECONFIG);
    cr_expect_eq(parse(""), VTA_EFORMAT);
    char *large = calloc(1, 70000);
    memset(large, ' ', 69999);
    cr_expect_eq(parse(large), VTA_EFORMAT);
    cr_expect(error.has_limit && error.limit == 65536);
    free(large);
}

Test(timing_profile, names_the_file_that_it_cannot_read_or_understand)
{
    char path[] = "/tmp/profile-XXXXXX", words[64];
    cr_expect_eq(vta_profile_from_file(&profile, "/nowhere/p.json", &error), VTA_EIO);
    cr_expect(strstr(error.message, "/nowhere/p.json") != NULL, "%s", error.message);
    const int fd = mkstemp(path);
    cr_assert(fd >= 0 && write(fd, "{\"name\": 1}", 11) == 11);
    close(fd);
    cr_expect_eq(vta_profile_find(&profile, path, &error), VTA_ECONFIG);
    snprintf(words, sizeof words, "%s: ", path);
    cr_expect(strncmp(error.message, words, strlen(words)) == 0, "%s", error.message);
    unlink(path);
}

Test(timing_profile, writes_what_it_reads_the_same)
{
    struct vta_timing_profile again;
    cr_assert_eq(parse(whole), 0);
    char *text = vta_profile_to_json(&profile);
    cr_assert_not_null(text);
    cr_assert_eq(vta_profile_from_json(&again, text, strlen(text), &error), 0, "%s", error.message);
    cr_expect_eq(memcmp(&profile, &again, sizeof again), 0);
    free(text);
}

Test(timing_profile, has_those_that_ship_under_their_names_as_their_files_say)
{
    const char *folder = getenv("VTA_CONFIG_DIR");
    size_t count = 0, measured = 0;
    cr_assert_not_null(folder);
    for (const char *name; (name = vta_profile_name(count)) != NULL; count++) {
        struct vta_timing_profile file;
        char path[4096];
        cr_assert_eq(vta_profile_find(&profile, name, &error), 0, "%s: %s", name, error.message);
        cr_expect_str_eq(profile.name, name);
        cr_expect(profile.note[0] != '\0', "%s says nothing of where its numbers come from", name);
        cr_expect(profile.measured || strstr(profile.note, "Not measured") != NULL, "%s", name);
        measured += profile.measured;
        snprintf(path, sizeof path, "%s/profiles/%s.json", folder, name);
        cr_assert_eq(vta_profile_find(&file, path, &error), 0, "%s", error.message);
        cr_expect_eq(memcmp(&profile, &file, sizeof file), 0, "%s", name);
    }
    cr_expect_eq(count, 7);
    cr_expect_eq(measured, 4);
}

Test(timing_profile, suggests_the_nearest_name_and_lists_them_where_none_is_near)
{
    cr_expect_eq(vta_profile_find(&profile, "1x16-2019-8", &error), VTA_ENOTFOUND);
    cr_expect(strstr(error.message, "did you mean '1x16-2019-08'?") != NULL, "%s", error.message);
    cr_expect_eq(vta_profile_find(&profile, "something", &error), VTA_ENOTFOUND);
    cr_expect(strstr(error.message, "known are 1x16-2019-07, ") != NULL, "%s", error.message);
    cr_expect_eq(vta_profile_find(&profile, "./nowhere", &error), VTA_EIO);
    cr_expect_eq(vta_profile_find(&profile, "nowhere.json", &error), VTA_EIO);
    cr_expect_eq(vta_profile_shipped(&profile, "nowhere.json", &error), VTA_ENOTFOUND);
}

Test(timing_profile, takes_the_newest_measured_build_of_a_hardware)
{
    struct vta_hw hw;
    vta_hw_default(&hw);
    cr_assert_eq(vta_profile_for_hw(&profile, &hw, &error), 0);
    cr_expect_str_eq(profile.name, "1x16-2019-11");
    cr_assert_eq(vta_hw_from_bitstream(&hw, "4x8_i8w8a32_15_16_16_18", hw.target, &error), 0);
    cr_assert_eq(vta_profile_for_hw(&profile, &hw, &error), 0);
    cr_expect_str_eq(profile.name, "4x8-2019-08");
    cr_assert_eq(vta_hw_from_bitstream(&hw, "1x32_i8w8a32_15_15_18_17", hw.target, &error), 0, "%s",
                 error.message);
    cr_expect_eq(vta_profile_for_hw(&profile, &hw, &error), VTA_ENOTFOUND);
}
