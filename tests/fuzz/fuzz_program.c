/* fuzz_program.c: any bytes as an instruction stream: decode, print, verify; what the verifier
 * accepts is run, and nothing may happen.
 *
 * Input: a mode byte (bit 0: as a kernel with parameters, else as a raw stream), eight bytes of
 * configuration keys, an instruction count, the instructions, and what DRAM is filled with.
 */
#include <stdlib.h>
#include <string.h>

#include "core/board.h"
#include "core/hazard.h"
#include "core/verify.h"

/* Whatever is accepted is looked at, and what is found can be said. */
static void find_hazards(const struct vta_program *program)
{
    const struct vta_hazard_options options = { .strict_board = true,
                                                .list_at_most = VTA_HAZARDS_LISTED };
    struct vta_hazards *hazards;
    struct vta_error error;
    char text[VTA_HAZARD_TEXT];
    if (vta_hazards_find(&hazards, program, &options, &error) != 0)
        abort();
    for (uint32_t i = 0; i < hazards->count; i++)
        if (vta_hazard_print(program, &hazards->items[i], text, sizeof(text)) >= sizeof(text))
            abort();
    vta_hazards_free(hazards);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD       10
#define DRAM_BYTES (1u << 18)
#define PARAMS     3
#define MAX_WORK   20000

struct input {
    struct vta_hw hw;
    bool as_kernel;
    uint32_t count;
    const uint8_t *insns, *fill;
    size_t fill_bytes;
};

static bool parse(struct input *input, const uint8_t *data, size_t size)
{
    if (size < HEAD)
        return false;
    vta_hw_default(&input->hw);
    input->as_kernel = data[0] & 1;
    if (data[0] & 2) {
        input->hw.log_inp_width = data[1] % 6;
        input->hw.log_wgt_width = data[2] % 6;
        input->hw.log_batch = data[3] % 4;
        input->hw.log_block = data[4] % 7;
        input->hw.log_uop_buff = data[5] % 20;
        input->hw.log_inp_buff = data[6] % 20;
        input->hw.log_wgt_buff = data[7] % 20;
        input->hw.log_acc_buff = data[8] % 20;
    }
    input->count = data[9];
    input->insns = data + HEAD;
    if (vta_hw_derive(&input->hw, NULL) != 0 || size - HEAD < input->count * VTA_INSN_BYTES)
        return false;
    input->fill = input->insns + input->count * VTA_INSN_BYTES;
    input->fill_bytes = size - HEAD - input->count * VTA_INSN_BYTES;
    return true;
}

static void drop_line(void *context, const char *line)
{
    *(size_t *)context += strlen(line);
}

/* Every LOAD and STORE relocated: to the micro-ops, or to the parameter that its address says. */
static int from_kernel(struct vta_program **program, const struct input *input,
                       struct vta_error *error)
{
    struct vta_layout layout;
    struct vta_param params[PARAMS];
    struct vta_reloc relocs[256];
    uint32_t uops[64];
    uint8_t *insns = malloc((size_t)input->count * VTA_INSN_BYTES + 1);
    struct vta_kernel kernel = { .name = (char *)"fuzz",
                                 .param_count = PARAMS,
                                 .uop_count = 64,
                                 .insn_count = input->count,
                                 .params = params,
                                 .uops = uops,
                                 .insns = insns,
                                 .relocs = relocs };

    memset(uops, 0, sizeof(uops));
    memcpy(uops, input->fill, input->fill_bytes < sizeof(uops) ? input->fill_bytes : sizeof(uops));
    for (uint32_t i = 0; i < PARAMS; i++)
        params[i] =
            (struct vta_param){ .name = (char *)"p",
                                .access = VTA_ACCESS_READ_WRITE,
                                .type = { { VTA_DTYPE_INT, 8 }, 1, { 1u << (8 + 4 * i) } } };
    vta_layout_make(&layout, &input->hw, NULL);
    for (uint32_t i = 0; i < input->count; i++) {
        struct vta_insn insn;
        vta_insn_decode(&insn, &layout, input->insns + (size_t)i * VTA_INSN_BYTES);
        if (insn.opcode <= VTA_OP_STORE) {
            uint32_t param = insn.opcode == VTA_OP_LOAD && insn.mem.memory == VTA_MEM_UOP
                                 ? VTA_PARAM_UOPS
                                 : insn.mem.dram_base % PARAMS;
            relocs[kernel.reloc_count++] = (struct vta_reloc){ i, param, insn.mem.dram_base >> 2 };
            insn.mem.dram_base = 0;
        }
        vta_insn_encode(&insn, &layout, insns + (size_t)i * VTA_INSN_BYTES, NULL);
    }
    int rc = vta_program_from_kernel(program, &kernel, &input->hw, error);
    free(insns);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input;
    struct vta_board_options board_options;
    struct vta_error error;
    struct vta_board *board = NULL;
    struct vta_program *program = NULL;
    vta_handle handles[PARAMS] = { 0 };
    size_t printed = 0;

    if (!parse(&input, data, size))
        return 0;
    vta_board_options_default(&board_options);
    board_options.hw = input.hw;
    board_options.dram_bytes = DRAM_BYTES;
    if (vta_board_open(&board, &board_options, &error) != 0)
        abort();
    struct vta_dram *dram = vta_board_dram(board, &error);
    for (uint32_t i = 0; i < PARAMS; i++)
        if (vta_dram_alloc(dram, 1u << (8 + 4 * i), &handles[i], &error) != 0)
            abort();
    uint8_t *base = vta_dram_base(dram);
    for (size_t at = 4096; input.fill_bytes != 0 && at < DRAM_BYTES / 2; at += input.fill_bytes)
        memcpy(base + at, input.fill, input.fill_bytes < 4096 ? input.fill_bytes : 4096);

    int rc = input.as_kernel
                 ? from_kernel(&program, &input, &error)
                 : vta_program_from_stream(&program, &input.hw, input.insns, input.count,
                                           vta_dram_reader_fn, dram, &error);
    if (rc == 0) {
        struct vta_verify_options options = { .max_work = MAX_WORK,
                                              .reader = vta_dram_reader_fn,
                                              .context = dram };
        vta_program_print(program, drop_line, &printed);
        if (vta_verify(program, &options, &error) != 0)
            goto done;
        find_hazards(program);
        if (vta_board_run(board, program, handles, program->param_count, NULL, NULL, &error) != 0)
            abort();
    }
done:
    vta_program_free(program);
    vta_board_close(board);
    return 0;
}
