/* vtactl_board.c: info, ping, counters.
 */
#include "vtactl.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- info ---------------------------------------------------------------------------------- */

static void info_as_json(cJSON *json, const struct vta_server_info *info, const char *hardware)
{
    cJSON_AddStringToObject(json, "server", info->server);
    cJSON_AddStringToObject(json, "device", info->device);
    json_u64(json, "protocol", info->protocol);
    json_u64(json, "module_format", info->module_format);
    cJSON_AddItemToObject(json, "hardware", cJSON_Parse(hardware));
    cJSON_AddStringToObject(json, "bitstream", info->bitstream);
    cJSON *limits = cJSON_AddObjectToObject(json, "limits");
    json_u64(limits, "message_bytes", info->message_bytes);
    json_u64(limits, "dram_bytes", info->dram_bytes);
    json_u64(limits, "upload_bytes", info->upload_bytes);
    json_u64(limits, "read_bytes", info->read_bytes);
    json_u64(limits, "modules", info->modules);
    json_u64(limits, "buffers", info->buffers);
    json_u64(limits, "run_deadline_ms", info->run_deadline_ms);
}

static void print_bytes(const char *name, uint64_t bytes)
{
    if (bytes >> 20 != 0 && (bytes & ((1u << 20) - 1)) == 0)
        printf("%-16s %" PRIu64 " MiB\n", name, bytes >> 20);
    else
        printf("%-16s %" PRIu64 " bytes\n", name, bytes);
}

int command_info(struct tool *tool)
{
    struct vta_server_info info;
    const struct vta_hw *hw = &info.hw;

    if (vta_server_info(tool->session, &info, &tool->error) != 0)
        return EXIT_FAILED;
    if (tool->arguments.json) {
        char *hardware = vta_hw_to_json(hw);
        if (hardware == NULL) {
            vta_error_set(&tool->error, VTA_ENOMEM, "no memory for the result");
            return EXIT_FAILED;
        }
        info_as_json(tool->json, &info, hardware);
        free(hardware);
        return 0;
    }
    printf("%-16s %s (protocol %" PRIu32 ", module format %" PRIu32 ")\n", "server", info.server,
           info.protocol, info.module_format);
    printf("%-16s %s\n", "device", info.device);
    printf("%-16s %s (target %s)\n", "hardware", info.bitstream, vta_target_name(hw->target));
    for (int i = 0; i <= VTA_MEM_OUT; i++)
        printf("  %-14s %" PRIu32 " entries of %" PRIu32 " bytes\n",
               vta_memory_name((enum vta_memory)i), hw->depth[i], hw->sram_elem_bytes[i]);
    print_bytes("DRAM", info.dram_bytes);
    print_bytes("message limit", info.message_bytes);
    print_bytes("read limit", info.read_bytes);
    print_bytes("upload limit", info.upload_bytes);
    printf("%-16s %" PRIu32 "\n%-16s %" PRIu32 "\n", "modules", info.modules, "buffers",
           info.buffers);
    if (info.run_deadline_ms != 0)
        printf("%-16s %" PRIu32 " ms\n", "run deadline", info.run_deadline_ms);
    else
        printf("%-16s none\n", "run deadline");
    return 0;
}

/* ---- ping ---------------------------------------------------------------------------------- */

int command_ping(struct tool *tool)
{
    uint32_t count = tool->arguments.count != 0 ? tool->arguments.count : 4;
    uint64_t least = UINT64_MAX, most = 0, sum = 0;

    for (uint32_t i = 0; i < count; i++) {
        uint64_t ns;
        if (vta_ping(tool->session, &ns, &tool->error) != 0)
            return EXIT_FAILED;
        least = ns < least ? ns : least;
        most = ns > most ? ns : most;
        sum += ns;
    }
    if (tool->arguments.json) {
        json_u64(tool->json, "count", count);
        json_u64(tool->json, "min_ns", least);
        json_u64(tool->json, "mean_ns", sum / count);
        json_u64(tool->json, "max_ns", most);
        return 0;
    }
    printf("%" PRIu32 " round trip%s: min ", count, count == 1 ? "" : "s");
    print_seconds((double)least / 1e9);
    printf(", mean ");
    print_seconds((double)sum / 1e9 / count);
    printf(", max ");
    print_seconds((double)most / 1e9);
    putchar('\n');
    return 0;
}

/* ---- counters ------------------------------------------------------------------------------ */

int command_counters(struct tool *tool)
{
    struct vta_counters counters;

    if (vta_get_counters(tool->session, &counters, &tool->error) != 0)
        return EXIT_FAILED;
    if (tool->arguments.clear && vta_clear_counters(tool->session, &tool->error) != 0)
        return EXIT_FAILED;
    if (tool->arguments.json) {
        cJSON_Delete(tool->json);
        tool->json = json_counters(&counters);
    } else {
        print_counters(&counters);
    }
    return 0;
}
