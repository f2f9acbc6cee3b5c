/* fuzz_profile.c: any bytes as a timing profile, which a client may send.
 *
 * What is accepted must survive being written and read again, and predict a time for a small
 * program without trouble; what is refused must say why.
 */
#include "core/timing.h"
#include "core/timing_profile.h"
#include "core/verify.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool holds)
{
    if (!holds)
        abort();
}

/* A store's token, and FINISH; between them a nest and a load of nothing. */
static struct vta_program *small_program(void)
{
    static const struct vta_insn insns[] = {
        { .opcode = VTA_OP_LOAD, .push_next = 1, .mem = { .memory = VTA_MEM_INP } },
        { .opcode = VTA_OP_LOAD, .pop_prev = 1, .mem = { .memory = VTA_MEM_UOP } },
        { .opcode = VTA_OP_STORE, .push_prev = 1, .mem = { .memory = VTA_MEM_OUT } },
        { .opcode = VTA_OP_FINISH, .pop_next = 1 },
    };
    enum {
        COUNT = sizeof insns / sizeof insns[0]
    };
    uint8_t bytes[COUNT * VTA_INSN_BYTES];
    const struct vta_verify_options options = { .max_work = 0 };
    struct vta_program *program = NULL;
    struct vta_layout layout;
    struct vta_hw hw;
    vta_hw_default(&hw);
    expect(vta_layout_make(&layout, &hw, NULL) == 0);
    for (size_t i = 0; i < COUNT; i++)
        expect(vta_insn_encode(&insns[i], &layout, bytes + i * VTA_INSN_BYTES, NULL) == 0);
    expect(vta_program_from_stream(&program, &hw, bytes, COUNT, NULL, NULL, NULL) == 0);
    expect(vta_verify(program, &options, NULL) == 0);
    return program;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vta_timing_profile profile, again;
    struct vta_error error = { 0 };
    struct vta_timing timing;
    int rc = vta_profile_from_json(&profile, (const char *)data, size, &error);
    if (rc != 0) {
        expect(error.code == rc && error.message[0] != '\0');
        return 0;
    }
    char *text = vta_profile_to_json(&profile);
    expect(text != NULL);
    expect(vta_profile_from_json(&again, text, strlen(text), NULL) == 0);
    expect(strcmp(profile.name, again.name) == 0 && strcmp(profile.note, again.note) == 0);
    free(text);

    struct vta_program *program = small_program();
    expect(vta_timing_replay(&timing, program, &profile, NULL, NULL, NULL) == 0);
    expect(timing.total_ns >= timing.host_ns);
    vta_program_free(program);
    return 0;
}
