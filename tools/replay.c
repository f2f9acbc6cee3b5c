/* replay.c: the tool vta-replay: runs recorded cases on the simulator and compares DRAM, counters
 * and tokens with what was recorded. Their time is replay_time.c's.
 */
#include <cjson/cJSON.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/board.h"
#include "core/kernels.h"

#include "case.h"
#include "replay.h"

static const char usage[] =
    "usage: vta-replay [--json] [--kernels NAME] CASE…\n"
    "       vta-replay --time [--json] [--profile NAME] CASE…\n"
    "       vta-replay --hazards [--json] [--strict-board] CASE…\n"
    "\n"
    "Runs recorded instruction streams on the simulator and compares DRAM, the seven counters and\n"
    "the token counts with the recording. A CASE is a folder with case.json, insn.bin, "
    "dram_in.bin\n"
    "and, where the result is known, dram_out.bin.\n"
    "\n"
    "With --time, predicts how long a board takes instead, and compares with what it was measured "
    "to\ntake. With --hazards, looks for what may go wrong on a board instead.\n"
    "\n"
    "  --json           print a list of {\"name\", \"ok\", \"reason\"} instead of lines; with "
    "--time\n"
    "                   of {\"name\", \"measured_s\", \"predicted_s\"}; with --hazards of\n"
    "                   {\"name\", \"ok\", \"reason\", \"hazards\"}\n"
    "  --kernels NAME   compute with vnni, avx2, neon or portable (default: the best there is)\n"
    "  --time           predict times\n"
    "  --profile NAME   by this timing profile, a name or a .json file (default: the one of the\n"
    "                   case's bitstream)\n"
    "  --hazards        look for hazards\n"
    "  --strict-board   also for what a board lacks\n"
    "  --help           print this\n"
    "  --version        print the version\n"
    "\n"
    "Exit status: 0 every case matches (--time: was predicted, --hazards: has none), 1 one does\n"
    "not, 2 wrong usage.\n";

/* ---- Comparing ----------------------------------------------------------------------------- */

static int compare_counters(const struct vta_counters *got, const struct vta_counters *want,
                            struct vta_error *error)
{
#define COMPARE(name)                                                                              \
    if (got->name != want->name)                                                                   \
        return vta_error_set(error, VTA_ESIZE, #name " is %llu, recorded %llu",                    \
                             (unsigned long long)got->name, (unsigned long long)want->name);
    VTA_COUNTERS(COMPARE)
#undef COMPARE
    return 0;
}

static int compare_tokens(struct vta_tokens got, struct vta_tokens want, struct vta_error *error)
{
#define COMPARE(name)                                                                              \
    if (got.name != want.name)                                                                     \
        return vta_error_set(error, VTA_ESIZE, #name " has %u tokens left, recorded %u", got.name, \
                             want.name);
    COMPARE(load_to_compute)
    COMPARE(compute_to_load)
    COMPARE(compute_to_store)
    COMPARE(store_to_compute)
#undef COMPARE
    return 0;
}

static int compare_memory(const uint8_t *dram, const struct replay_memory *want,
                          struct vta_error *error)
{
    for (size_t i = 0; i < want->count; i++) {
        const struct replay_segment *segment = &want->segments[i];
        const uint8_t *expected = want->bytes + segment->offset;
        const uint8_t *got = dram + segment->address;
        if (memcmp(got, expected, segment->nbytes) == 0)
            continue;
        uint64_t at = 0, differ = 0;
        for (uint64_t k = segment->nbytes; k-- > 0;) {
            if (got[k] != expected[k]) {
                at = k;
                differ++;
            }
        }
        return vta_error_set(error, VTA_ESIZE,
                             "%llu of %llu bytes at 0x%llx differ, the first at 0x%llx: 0x%02x, "
                             "recorded 0x%02x",
                             (unsigned long long)differ, (unsigned long long)segment->nbytes,
                             (unsigned long long)segment->address,
                             (unsigned long long)(segment->address + at), got[at], expected[at]);
    }
    return 0;
}

/* ---- Running ------------------------------------------------------------------------------- */

/* A board whose whole address space is one buffer, filled from the case. */
static int prepare(struct vta_board **board, const struct replay_case *rc, struct vta_error *error)
{
    struct vta_board_options options;
    vta_handle all;
    vta_board_options_default(&options);
    options.hw = rc->hw;
    options.dram_bytes = (UINT64_C(1) << 32) - VTA_DRAM_PAGE;
    int result = vta_board_open(board, &options, error);
    if (result != 0)
        return result;
    struct vta_dram *dram = vta_board_dram(*board, error);
    if (dram == NULL)
        return VTA_ENOMEM;
    result = vta_dram_alloc_at(dram, VTA_DRAM_PAGE, options.dram_bytes, &all, error);
    if (result != 0)
        return result;
    for (size_t i = 0; i < rc->in.count; i++)
        memcpy(vta_dram_base(dram) + rc->in.segments[i].address,
               rc->in.bytes + rc->in.segments[i].offset, rc->in.segments[i].nbytes);
    vta_board_set_tokens(*board, rc->before);
    return 0;
}

static int replay(const struct replay_case *rc, struct vta_error *error)
{
    struct vta_board *board = NULL;
    int result = prepare(&board, rc, error);
    if (result == 0)
        result = vta_board_run_stream(board, rc->insns, rc->insn_count, NULL, NULL, error);
    if (result != 0)
        goto done;

    struct vta_counters counters = vta_board_counters(board);
    result = compare_counters(&counters, &rc->counters, error);
    if (result == 0)
        result = compare_tokens(vta_board_tokens(board), rc->after, error);
    if (result == 0)
        result = compare_memory(vta_dram_base(vta_board_dram(board, error)), &rc->out, error);
done:
    vta_board_close(board);
    return result;
}

/* One case, reported as a line or as an entry of the list. Returns whether it matched. */
static bool report(const char *folder, cJSON *list)
{
    struct replay_case rc;
    struct vta_error error = { 0 };
    int result = replay_case_read(&rc, folder, &error);
    if (result == 0)
        result = replay(&rc, &error);
    const char *name = rc.name != NULL ? rc.name : folder;
    if (list != NULL) {
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddStringToObject(entry, "name", name);
        cJSON_AddBoolToObject(entry, "ok", result == 0);
        cJSON_AddStringToObject(entry, "reason", result == 0 ? "" : error.message);
        cJSON_AddItemToArray(list, entry);
    } else if (result == 0) {
        printf("ok    %s%s\n", name,
               rc.out.bytes == NULL ? "  (no recorded result: counters and tokens only)" : "");
    } else {
        printf("FAIL  %s: %s\n", name, error.message);
    }
    replay_case_clear(&rc);
    return result == 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = { { "json", no_argument, NULL, 'j' },
                                             { "kernels", required_argument, NULL, 'k' },
                                             { "time", no_argument, NULL, 't' },
                                             { "profile", required_argument, NULL, 'p' },
                                             { "hazards", no_argument, NULL, 'z' },
                                             { "strict-board", no_argument, NULL, 's' },
                                             { "help", no_argument, NULL, 'h' },
                                             { "version", no_argument, NULL, 'V' },
                                             { 0 } };
    cJSON *list = NULL;
    struct vta_error error;
    const char *profile = NULL;
    const char *of_other_mode = NULL; /* what is wrong together with the mode */
    enum mode {
        RUN,
        TIME,
        HAZARDS
    } mode = RUN;
    bool kernels = false, strict_board = false;
    int matched = 0, option;

    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'j':
            list = list != NULL ? list : cJSON_CreateArray();
            break;
        case 'k':
            if (vta_kernels_force(optarg, &error) != 0) {
                fprintf(stderr, "vta-replay: --kernels: %s\n", error.message);
                cJSON_Delete(list);
                return 2;
            }
            kernels = true;
            break;
        case 't':
            of_other_mode = mode == HAZARDS ? "--hazards" : of_other_mode;
            mode = TIME;
            break;
        case 'p':
            profile = optarg;
            break;
        case 'z':
            of_other_mode = mode == TIME ? "--time" : of_other_mode;
            mode = HAZARDS;
            break;
        case 's':
            strict_board = true;
            break;
        case 'h':
            fputs(usage, stdout);
            return 0;
        case 'V':
            puts("vta-replay " VTAD_VERSION);
            return 0;
        default:
            fputs("try 'vta-replay --help'\n", stderr);
            return 2;
        }
    }
    if (kernels && mode != RUN)
        of_other_mode = "--kernels";
    if (profile != NULL && mode != TIME)
        of_other_mode = "--profile";
    if (strict_board && mode != HAZARDS)
        of_other_mode = "--strict-board";
    if (of_other_mode != NULL) {
        static const char *const modes[] = { "a run", "--time", "--hazards" };
        fprintf(stderr, "vta-replay: %s does not go with %s; try 'vta-replay --help'\n",
                of_other_mode, modes[mode]);
        cJSON_Delete(list);
        return 2;
    }
    if (optind == argc) {
        fputs("vta-replay: no case given; try 'vta-replay --help'\n", stderr);
        cJSON_Delete(list);
        return 2;
    }
    if (mode != RUN) {
        bool json = list != NULL;
        cJSON_Delete(list);
        return mode == TIME ? replay_time(argv + optind, argc - optind, profile, json)
                            : replay_hazards(argv + optind, argc - optind, strict_board, json);
    }
    for (int i = optind; i < argc; i++)
        matched += report(argv[i], list);
    if (list != NULL) {
        char *text = cJSON_Print(list);
        puts(text != NULL ? text : "[]");
        cJSON_free(text);
        cJSON_Delete(list);
    } else {
        printf("%d of %d cases match\n", matched, argc - optind);
    }
    return matched == argc - optind ? 0 : 1;
}
