/* runtime.c: the command queue that generated host code calls (runtime.h): record.h records,
 * uop_sites.h keeps micro-op kernels, the board runs.
 *
 * Streams are run as the recorder holds them, decoded: the board verifies them like any other and
 * keeps what it has verified, so a call that was seen before costs a comparison.
 */
#include "runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serial.h"
#include "uop_sites.h"

/* What one call appends at most, what ends a stream included. */
#define CALL_INSNS 4

struct vta_runtime {
    struct vta_runtime_options options;
    struct vta_board *board;
    struct vta_dram *dram; /* the board's */
    struct vta_record record;
    struct vta_uop_sites sites;
    struct vta_error error; /* the first failure; code 0: none */
    uint32_t debug;
    struct vta_run_result sum;
    bool untimed; /* a run of the sum has no predicted time */
};

void vta_runtime_options_default(struct vta_runtime_options *options)
{
    *options = (struct vta_runtime_options){ .transfer_bytes = UINT64_C(1) << 25,
                                             .max_kernels = 1u << 16 };
}

int vta_runtime_new(struct vta_runtime **result, struct vta_board *board,
                    const struct vta_runtime_options *options, struct vta_error *error)
{
    struct vta_runtime *runtime = calloc(1, sizeof(*runtime));
    if (runtime == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a runtime");
    runtime->options = *options;
    runtime->board = board;
    runtime->dram = vta_board_dram(board, error);
    if (runtime->dram == NULL) {
        free(runtime);
        return VTA_ENOMEM;
    }
    vta_record_init(&runtime->record, vta_board_hw(board));
    vta_uop_sites_init(&runtime->sites, options->max_kernels);
    *result = runtime;
    return 0;
}

void vta_runtime_free(struct vta_runtime *runtime)
{
    if (runtime == NULL)
        return;
    vta_handle handle;
    uint64_t begin, nbytes;
    while (vta_dram_next(runtime->dram, 0, &handle, &begin, &nbytes))
        vta_dram_free(runtime->dram, handle, NULL);
    vta_uop_sites_free(&runtime->sites);
    vta_record_free(&runtime->record);
    free(runtime);
}

/* ---- Errors -------------------------------------------------------------------------------- */

bool vta_runtime_failed(const struct vta_runtime *runtime)
{
    return runtime->error.code != 0;
}

void vta_runtime_abandon(struct vta_runtime *runtime)
{
    struct vta_record *record = &runtime->record;
    vta_uop_record_abandon(&runtime->sites);
    vta_record_reset(record);
    memset(record->pending_pop_prev, 0, sizeof(record->pending_pop_prev));
    memset(record->pending_pop_next, 0, sizeof(record->pending_pop_next));
    vta_board_set_tokens(runtime->board, (struct vta_tokens){ 0 });
    runtime->error.code = 0;
}

int vta_runtime_take_error(struct vta_runtime *runtime, struct vta_error *error)
{
    const int rc = runtime->error.code;
    if (rc == 0)
        return 0;
    if (error != NULL)
        *error = runtime->error;
    vta_runtime_abandon(runtime);
    return rc;
}

void vta_runtime_fail(struct vta_runtime *runtime, const struct vta_error *error)
{
    if (!vta_runtime_failed(runtime))
        runtime->error = *error;
}

void vta_runtime_reset(struct vta_runtime *runtime)
{
    vta_runtime_abandon(runtime);
    vta_uop_sites_free(&runtime->sites);
    runtime->debug = 0;
}

/* ---- Buffers ------------------------------------------------------------------------------- */

void *vta_runtime_alloc(struct vta_runtime *runtime, uint64_t nbytes, struct vta_error *error)
{
    vta_handle handle;
    uint32_t address;
    if (vta_dram_alloc(runtime->dram, nbytes, &handle, error) != 0 ||
        vta_dram_lookup(runtime->dram, handle, NULL, &address, error) != 0)
        return NULL;
    return vta_dram_base(runtime->dram) + address;
}

/* The DRAM address that a pointer would have; it may lie anywhere. */
static uint64_t address_of(const struct vta_runtime *runtime, const void *pointer)
{
    return (uint64_t)((uintptr_t)pointer - (uintptr_t)vta_dram_base(runtime->dram));
}

int vta_runtime_release(struct vta_runtime *runtime, void *buffer, struct vta_error *error)
{
    const uint64_t address = address_of(runtime, buffer);
    vta_handle handle;
    uint64_t begin, nbytes;
    if (!vta_dram_next(runtime->dram, address, &handle, &begin, &nbytes) || begin != address)
        return vta_error_set(error, VTA_EHANDLE, "no buffer begins at the pointer that is freed");
    return vta_dram_free(runtime->dram, handle, error);
}

int vta_runtime_find(const struct vta_runtime *runtime, const void *pointer, uint64_t nbytes,
                     void **begin, uint64_t *buffer_bytes, struct vta_error *error)
{
    const uint64_t address = address_of(runtime, pointer);
    vta_handle handle;
    uint64_t first, size;
    if (!vta_dram_next(runtime->dram, address, &handle, &first, &size) || address < first)
        return vta_error_set(error, VTA_ERANGE, "a pointer outside every buffer");
    const uint64_t left = size - (address - first);
    if (nbytes > left)
        return vta_error_limit(
            error, VTA_ERANGE, (int64_t)left, nbytes > INT64_MAX ? INT64_MAX : (int64_t)nbytes,
            "%llu bytes at offset %llu of a buffer that has %llu", (unsigned long long)nbytes,
            (unsigned long long)(address - first), (unsigned long long)size);
    if (begin != NULL)
        *begin = vta_dram_base(runtime->dram) + first;
    if (buffer_bytes != NULL)
        *buffer_bytes = size;
    return 0;
}

/* ---- Dumps --------------------------------------------------------------------------------- */

VTA_PRINTF(2, 3)
static void say(const struct vta_runtime *runtime, const char *format, ...)
{
    char line[256];
    va_list args;
    if (runtime->options.log == NULL)
        return;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    runtime->options.log(runtime->options.context, line);
}

static void dump_stream(const struct vta_runtime *runtime, const struct vta_decoded *stream)
{
    say(runtime, "%u instructions, %u micro-ops", stream->count, stream->uop_count);
    for (uint32_t i = 0; i < stream->count; i++) {
        char text[VTA_DISASM_TEXT];
        vta_insn_print(&stream->insns[i], text, sizeof(text));
        say(runtime, "%5u  %s", i, text);
    }
}

static void dump_kernel(const struct vta_runtime *runtime, const struct vta_record_kernel *kernel)
{
    say(runtime, "%s kernel of %u micro-ops, %u loops", kernel->alu ? "ALU" : "GEMM",
        kernel->uop_count, kernel->loop_count);
    for (uint32_t i = 0; i < kernel->loop_count; i++) {
        const struct vta_uop_loop *loop = &kernel->loops[i];
        say(runtime, "  loop %u  extent %u  dst+%u src+%u wgt+%u", i, loop->extent, loop->dst,
            loop->src, loop->wgt);
    }
    for (uint32_t i = 0; i < kernel->uop_count; i++) {
        const struct vta_uop *uop = &kernel->uops[i];
        say(runtime, "  uop %u  dst %u src %u wgt %u", i, uop->dst, uop->src, uop->wgt);
    }
}

/* ---- Running ------------------------------------------------------------------------------- */

static void add_result(struct vta_runtime *runtime, const struct vta_run_result *run)
{
    struct vta_run_result *sum = &runtime->sum;
    vta_counters_add(&sum->counters, &run->counters);
    sum->wall_ns += run->wall_ns;
    sum->board_cycles += run->board_cycles;
    sum->board_ns += run->board_ns;
    runtime->untimed = runtime->untimed || run->board_cycles == 0;
}

static int run_stream(struct vta_runtime *runtime, const struct vta_insn *insns,
                      const uint32_t *bases, uint32_t count)
{
    const struct vta_decoded stream = { .insns = insns,
                                        .bases = bases,
                                        .count = count,
                                        .uops = runtime->record.uops,
                                        .uop_count = runtime->record.uop_count };
    struct vta_run_result result;
    if (runtime->debug & VTA_DEBUG_DUMP_INSN)
        dump_stream(runtime, &stream);
    int rc = vta_board_run_decoded(runtime->board, &stream, runtime->options.control, &result,
                                   &runtime->error);
    if (rc == 0)
        add_result(runtime, &result);
    return rc;
}

static int run_serial(struct vta_runtime *runtime)
{
    const struct vta_record *record = &runtime->record;
    const struct vta_tokens before = vta_board_tokens(runtime->board);
    struct vta_serial serial;
    int rc = vta_serial_make(&serial, record, &before, &runtime->error);
    if (rc == 0)
        rc = serial.count > 0 ? run_stream(runtime, serial.insns, serial.bases, serial.count)
                              : run_stream(runtime, record->insns, record->bases, record->count);
    vta_serial_free(&serial);
    return rc;
}

static int synchronise(struct vta_runtime *runtime)
{
    struct vta_record *record = &runtime->record;
    int rc = vta_record_synchronise(record, &runtime->error);
    if (rc == 0 && (runtime->debug & VTA_DEBUG_FORCE_SERIAL))
        rc = run_serial(runtime);
    else if (rc == 0)
        rc = run_stream(runtime, record->insns, record->bases, record->count);
    vta_record_reset(record);
    return rc;
}

/* A call has failed: what it was about goes before the reason. The verifier's own words stand
 * alone. */
static void failed(struct vta_runtime *runtime, const char *what, int rc)
{
    runtime->error.code = rc;
    if (what != NULL)
        vta_error_prefix(&runtime->error, "%s", what);
}

/* Between two streams nothing points to a kernel. Where half of what may be kept is there, all are
 * forgotten, and recorded again when they are called: code that comes and goes uses nothing up. */
static void forget_many(struct vta_runtime *runtime)
{
    if (runtime->sites.kernel_count > runtime->sites.max_kernels / 2)
        vta_uop_sites_free(&runtime->sites);
}

void vta_runtime_synchronise(struct vta_runtime *runtime)
{
    if (vta_runtime_failed(runtime))
        return;
    int rc = runtime->sites.recording.kernel != NULL
                 ? vta_error_set(&runtime->error, VTA_ESTATE,
                                 "synchronise inside the recording of a micro-op kernel")
                 : synchronise(runtime);
    if (rc != 0)
        failed(runtime, NULL, rc);
    else
        forget_many(runtime);
}

/* After a call that appended: a stream that the next call might take past the limit runs now. */
static int check_overflow(struct vta_runtime *runtime)
{
    const uint64_t next = ((uint64_t)runtime->record.count + CALL_INSNS) * VTA_INSN_BYTES;
    return next >= runtime->options.transfer_bytes ? synchronise(runtime) : 0;
}

/* ---- Loads and stores ---------------------------------------------------------------------- */

/* The element of `memory` at which a pointer lies, plus an offset. */
static int element_of(const struct vta_runtime *runtime, const void *pointer, uint32_t memory,
                      uint32_t offset, uint32_t *element, struct vta_error *error)
{
    int rc = vta_runtime_find(runtime, pointer, 0, NULL, NULL, error);
    if (rc != 0)
        return rc;
    const uint32_t nbytes = runtime->record.hw.dram_elem_bytes[memory];
    const uint64_t address = address_of(runtime, pointer);
    if (address % nbytes != 0)
        return vta_error_set(error, VTA_EINVAL,
                             "a pointer to DRAM 0x%llx is not at a whole element of %u bytes",
                             (unsigned long long)address, nbytes);
    const uint64_t index = address / nbytes + offset;
    if (index > UINT32_MAX)
        return vta_error_limit(error, VTA_ERANGE, UINT32_MAX, (int64_t)index,
                               "element offset %u lies outside a board's DRAM", offset);
    *element = (uint32_t)index;
    return 0;
}

static int load_2d(struct vta_runtime *runtime, struct vta_mem_insn *mem, const void *src,
                   uint32_t offset)
{
    struct vta_error *error = &runtime->error;
    if (mem->memory >= VTA_MEM_COUNT || mem->memory == VTA_MEM_OUT || mem->memory == VTA_MEM_UOP)
        return vta_error_set(error, VTA_EOPCODE, "memory type %u cannot be loaded from a buffer",
                             mem->memory);
    int rc = element_of(runtime, src, mem->memory, offset, &mem->dram_base, error);
    if (rc == 0)
        rc = vta_record_load(&runtime->record, mem, VTA_BASE_ABSOLUTE, error);
    return rc;
}

void vta_runtime_load_2d(struct vta_runtime *runtime, const void *src, uint32_t src_elem_offset,
                         uint32_t x_size, uint32_t y_size, uint32_t x_stride, uint32_t x_pad_before,
                         uint32_t y_pad_before, uint32_t x_pad_after, uint32_t y_pad_after,
                         uint32_t sram_index, uint32_t memory)
{
    struct vta_mem_insn mem = { .memory = memory,
                                .sram_base = sram_index,
                                .y_size = y_size,
                                .x_size = x_size,
                                .x_stride = x_stride,
                                .y_pad_before = y_pad_before,
                                .y_pad_after = y_pad_after,
                                .x_pad_before = x_pad_before,
                                .x_pad_after = x_pad_after };
    if (vta_runtime_failed(runtime))
        return;
    int rc = load_2d(runtime, &mem, src, src_elem_offset);
    if (rc != 0) {
        failed(runtime, "load", rc);
        return;
    }
    rc = check_overflow(runtime);
    if (rc != 0)
        failed(runtime, NULL, rc);
}

static int store_2d(struct vta_runtime *runtime, struct vta_mem_insn *mem, void *dst,
                    uint32_t offset)
{
    struct vta_error *error = &runtime->error;
    if (mem->memory != VTA_MEM_OUT)
        return vta_error_set(error, VTA_EOPCODE, "memory type %u cannot be stored, only OUT (%d)",
                             mem->memory, VTA_MEM_OUT);
    int rc = element_of(runtime, dst, mem->memory, offset, &mem->dram_base, error);
    if (rc == 0)
        rc = vta_record_store(&runtime->record, mem, VTA_BASE_ABSOLUTE, error);
    return rc;
}

void vta_runtime_store_2d(struct vta_runtime *runtime, uint32_t sram_index, uint32_t memory,
                          void *dst, uint32_t dst_elem_offset, uint32_t x_size, uint32_t y_size,
                          uint32_t x_stride)
{
    struct vta_mem_insn mem = { .memory = memory,
                                .sram_base = sram_index,
                                .y_size = y_size,
                                .x_size = x_size,
                                .x_stride = x_stride };
    if (vta_runtime_failed(runtime))
        return;
    int rc = store_2d(runtime, &mem, dst, dst_elem_offset);
    if (rc != 0) {
        failed(runtime, "store", rc);
        return;
    }
    rc = check_overflow(runtime);
    if (rc != 0)
        failed(runtime, NULL, rc);
}

/* ---- Dependences --------------------------------------------------------------------------- */

void vta_runtime_push(struct vta_runtime *runtime, int from, int to)
{
    if (vta_runtime_failed(runtime))
        return;
    int rc =
        vta_record_push(&runtime->record, (enum vta_unit)from, (enum vta_unit)to, &runtime->error);
    if (rc != 0)
        failed(runtime, "push", rc);
}

void vta_runtime_pop(struct vta_runtime *runtime, int from, int to)
{
    if (vta_runtime_failed(runtime))
        return;
    int rc =
        vta_record_pop(&runtime->record, (enum vta_unit)from, (enum vta_unit)to, &runtime->error);
    if (rc != 0)
        failed(runtime, "pop", rc);
}

/* ---- Micro-op kernels ---------------------------------------------------------------------- */

void vta_runtime_uop_push(struct vta_runtime *runtime, uint32_t mode, uint32_t reset, uint32_t dst,
                          uint32_t src, uint32_t wgt, uint32_t opcode, uint32_t use_imm,
                          int32_t imm)
{
    const struct vta_record_kernel what = {
        .alu = mode, .reset = reset, .alu_opcode = opcode, .use_imm = use_imm, .imm = imm
    };
    const struct vta_uop uop = { .dst = dst, .src = src, .wgt = wgt };
    if (vta_runtime_failed(runtime))
        return;
    int rc = vta_uop_record_push(&runtime->sites, &what, &uop, &runtime->error);
    if (rc != 0)
        failed(runtime, "micro-op kernel", rc);
}

void vta_runtime_loop_begin(struct vta_runtime *runtime, uint32_t extent, uint32_t dst_factor,
                            uint32_t src_factor, uint32_t wgt_factor)
{
    const struct vta_uop_loop loop = {
        .extent = extent, .dst = dst_factor, .src = src_factor, .wgt = wgt_factor
    };
    if (vta_runtime_failed(runtime))
        return;
    int rc = vta_uop_record_loop(&runtime->sites, &loop, &runtime->error);
    if (rc != 0)
        failed(runtime, "micro-op kernel", rc);
}

void vta_runtime_loop_end(struct vta_runtime *runtime)
{
    if (vta_runtime_failed(runtime))
        return;
    int rc = vta_uop_record_loop_end(&runtime->sites, &runtime->error);
    if (rc != 0)
        failed(runtime, "micro-op kernel", rc);
}

/* Has the kernel recorded by its caller. */
static int record_kernel(struct vta_runtime *runtime, void **call_site,
                         int (*record)(void *signature), void *signature, int signature_bytes,
                         struct vta_record_kernel **kernel)
{
    struct vta_error *error = &runtime->error;
    int rc = vta_uop_record_begin(&runtime->sites, error);
    if (rc != 0)
        return rc;
    const int status = record(signature);
    if (vta_runtime_failed(runtime)) {
        vta_uop_record_abandon(&runtime->sites);
        return error->code;
    }
    if (status != 0) {
        vta_uop_record_abandon(&runtime->sites);
        return vta_error_set(error, VTA_EINVAL, "the recording of a micro-op kernel returned %d",
                             status);
    }
    rc = vta_uop_record_end(&runtime->sites, call_site, signature, signature_bytes, kernel, error);
    if (rc == 0 && (runtime->debug & VTA_DEBUG_DUMP_UOP))
        dump_kernel(runtime, *kernel);
    return rc;
}

/* A stream whose micro-ops would pass the transfer limit runs before it gets more. */
static int check_uop_overflow(struct vta_runtime *runtime, const struct vta_record_kernel *kernel)
{
    const uint64_t uops = (uint64_t)runtime->record.uop_count + kernel->uop_count;
    if (kernel->stream == runtime->record.stream || runtime->record.uop_count == 0 ||
        uops * VTA_UOP_BYTES <= runtime->options.transfer_bytes)
        return 0;
    return synchronise(runtime);
}

static int push_kernel(struct vta_runtime *runtime, uint32_t mode, struct vta_record_kernel *kernel)
{
    if (kernel->alu != mode)
        return vta_error_set(&runtime->error, VTA_EINVAL, "a %s call recorded %s micro-ops",
                             mode ? "ALU" : "GEMM", kernel->alu ? "ALU" : "GEMM");
    int rc = check_uop_overflow(runtime, kernel);
    if (rc == 0)
        rc = vta_record_nest(&runtime->record, kernel, &runtime->error);
    return rc;
}

int vta_runtime_kernel(struct vta_runtime *runtime, uint32_t mode, void **call_site,
                       int (*record)(void *signature), void *signature, int signature_bytes)
{
    struct vta_record_kernel *kernel = NULL;
    int rc = 0;
    if (vta_runtime_failed(runtime))
        return -1;
    if (signature_bytes != 0 && signature_bytes != 4)
        rc = vta_error_set(&runtime->error, VTA_EINVAL, "a signature of %d bytes, it has 0 or 4",
                           signature_bytes);
    else
        kernel = vta_uop_sites_find(&runtime->sites, *call_site, signature, signature_bytes);
    if (rc == 0 && kernel == NULL)
        rc = record_kernel(runtime, call_site, record, signature, signature_bytes, &kernel);
    if (rc == 0)
        rc = push_kernel(runtime, mode, kernel);
    if (rc == 0)
        rc = check_overflow(runtime);
    if (rc != 0)
        failed(runtime, NULL, rc);
    return rc == 0 ? 0 : -1;
}

/* ---- The rest ------------------------------------------------------------------------------ */

void vta_runtime_set_debug(struct vta_runtime *runtime, uint32_t flags)
{
    runtime->debug = flags;
}

void vta_runtime_take_result(struct vta_runtime *runtime, struct vta_run_result *sum)
{
    *sum = runtime->sum;
    if (runtime->untimed)
        sum->board_cycles = sum->board_ns = 0;
    runtime->sum = (struct vta_run_result){ 0 };
    runtime->untimed = false;
}
