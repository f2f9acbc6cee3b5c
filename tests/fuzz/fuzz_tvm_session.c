/* fuzz_tvm_session.c: any bytes as what a TVM client sends, to a whole worker over imitated
 * modules. The first byte says how many bytes each read brings. Whatever comes, the session ends
 * and leaves no memory, module or count behind.
 */
#include <stdlib.h>

#include "tests/worker/kit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void options_for_fuzzing(struct worker_options *options)
{
    kit_options(options);
    options->board.max_work = UINT64_C(1) << 16;
    options->run_deadline_ms = 20; /* ends a pause between measurements */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct worker_options options;
    struct vta_error error = { 0 };
    struct kit kit;
    if (size == 0)
        return 0;
    struct memory_wire memory = {
        .input = data + 1, .input_bytes = size - 1, .most = data[0], .output_room = 1
    };
    struct wire wire = wire_memory(&memory);
    options_for_fuzzing(&options);
    kit_open(&kit, &options);
    int rc = session_run(&kit.worker, &wire, NULL, 0, &error);
    must(rc == 0 || (rc == error.code && error.message[0] != '\0'));
    must(worker_cpu_bytes(&kit.worker) == 0 && kit_modules() == 0);
    free(memory.output);
    kit_close(&kit);
    return 0;
}
