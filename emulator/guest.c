/* guest.c: the address space of an emulated processor, and calls into its code (guest.h). */
#include "guest.h"

#include <elf.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "imports.h"
#include "worker/worker.h"

#define STACK_BYTES   (UINT64_C(1) << 20)
#define GUARD_BYTES   (UINT64_C(1) << 16) /* below it: large frames miss a small guard */
#define MODULES_BYTES (UINT64_C(256) << 20)
#define ARM_BYTES     (UINT64_C(1) << 32)
#define DEPTH_MOST    24u

void guest_fail(struct guest *guest, int code, const char *format, ...)
{
    char text[VTA_ERROR_TEXT];
    va_list args;
    if (guest->error.code != 0)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    vta_error_set(&guest->error, code, "%s", text);
}

/* ---- Address space ------------------------------------------------------------------------- */

static int lay_out(struct guest *guest, struct vta_error *error)
{
    struct vta_dram_stats dram, cpu;
    vta_board_memory(guest->cpu.worker->board, &dram);
    vta_dram_stats(guest->cpu.worker->cpu_memory, &cpu);
    /* Of DRAM and of cpu memory the first page is nobody's. */
    guest->dram =
        (struct guest_segment){ .begin = IMAGE_PAGE, .nbytes = dram.capacity - IMAGE_PAGE };
    guest->cpu_memory = (struct guest_segment){
        .begin = dram.capacity + IMAGE_PAGE,
        .nbytes = cpu.capacity - IMAGE_PAGE,
        .bytes = vta_dram_base(guest->cpu.worker->cpu_memory) + IMAGE_PAGE,
    };
    guest->stack.begin = dram.capacity + cpu.capacity + GUARD_BYTES;
    guest->stack.nbytes = STACK_BYTES;
    guest->trap_begin = guest->stack.begin + STACK_BYTES + IMAGE_PAGE;
    const uint64_t words = 4 * (UINT64_C(1) + import_count());
    guest->modules_begin = guest->trap_begin + (words / IMAGE_PAGE + 2) * IMAGE_PAGE;
    guest->modules_end = guest->modules_begin + MODULES_BYTES;
    if (guest->machine != EM_ARM || guest->modules_end <= ARM_BYTES)
        return 0;
    return vta_error_limit(
        error, VTA_EUNSUPPORTED, (int64_t)ARM_BYTES, (int64_t)guest->modules_end,
        "an ARM processor has addresses for 4 GiB: %" PRIu64 " bytes of DRAM, %" PRIu64
        " of cpu memory and %" PRIu64 " for modules and stack do not fit",
        dram.capacity, cpu.capacity, guest->modules_end - dram.capacity - cpu.capacity);
}

static int map_segment(struct guest *guest, const struct guest_segment *segment,
                       struct vta_error *error)
{
    return guest->ops->map(guest->engine, segment->begin, segment->nbytes, IMAGE_READ | IMAGE_WRITE,
                           segment->bytes, error);
}

bool guest_map_dram(struct guest *guest)
{
    struct vta_error error;
    struct guest_segment segment = guest->dram;
    if (guest->dram.bytes != NULL || !vta_board_used(guest->cpu.worker->board))
        return true;
    struct vta_dram *dram = vta_board_dram(guest->cpu.worker->board, &error);
    if (dram != NULL) {
        segment.bytes = vta_dram_base(dram) + segment.begin;
        if (map_segment(guest, &segment, &error) == 0) {
            guest->dram = segment;
            return true;
        }
    }
    guest_fail(guest, error.code, "%s", error.message);
    return false;
}

int guest_open(struct guest *guest, struct vta_error *error)
{
    guest->stack.bytes = MAP_FAILED;
    int rc = lay_out(guest, error);
    if (rc != 0)
        return rc;
    guest->imports = import_layouts(guest->machine == EM_ARM);
    guest->stack.bytes = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (guest->imports == NULL || guest->stack.bytes == MAP_FAILED)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a processor");
    const struct engine_options options = { .machine = guest->machine,
                                            .trap_begin = guest->trap_begin,
                                            .trap_count = import_count(),
                                            .trap = import_trap,
                                            .context = guest };
    rc = guest->ops->open(&guest->engine, &options, error);
    if (rc == 0)
        rc = map_segment(guest, &guest->stack, error);
    if (rc == 0)
        rc = map_segment(guest, &guest->cpu_memory, error);
    guest->sp = guest->stack.begin + STACK_BYTES - IMPORT_VARIABLES_BYTES;
    import_variables(guest->stack.bytes + STACK_BYTES - IMPORT_VARIABLES_BYTES);
    return rc;
}

void guest_forget(struct guest *guest)
{
    while (guest->array_count > 0)
        guest_take_array(guest, guest->arrays[guest->array_count - 1].address);
    if (guest->text != NULL)
        worker_release(guest->cpu.worker, guest->text, NULL);
    if (guest->returned != NULL)
        worker_release(guest->cpu.worker, guest->returned, NULL);
    guest->text = guest->returned = NULL;
}

void guest_close(struct guest *guest)
{
    if (guest->engine != NULL)
        guest->ops->close(guest->engine);
    if (guest->stack.bytes != MAP_FAILED)
        munmap(guest->stack.bytes, STACK_BYTES);
    free(guest->arrays);
    free(guest->functions);
    free(guest->imports);
}

/* ---- Memory -------------------------------------------------------------------------------- */

static uint8_t *span_of_code(const struct guest_code *code, uint64_t address, unsigned access,
                             uint64_t *room)
{
    const uint64_t offset = address - code->image.address;
    if (access == 0) {
        *room = code->image.nbytes - offset;
        return code->image.bytes + offset;
    }
    for (uint32_t i = 0; i < code->image.part_count; i++) {
        const struct image_part *part = &code->image.parts[i];
        if (offset - part->offset < part->nbytes) {
            *room = part->nbytes - (offset - part->offset);
            return (part->access & access) == access ? code->image.bytes + offset : NULL;
        }
    }
    return NULL;
}

uint8_t *guest_span(const struct guest *guest, uint64_t address, unsigned access, uint64_t *room)
{
    const struct guest_segment *segments[] = { &guest->stack, &guest->cpu_memory, &guest->dram };
    for (size_t i = 0; i < sizeof segments / sizeof segments[0]; i++) {
        const uint64_t offset = address - segments[i]->begin;
        if (offset < segments[i]->nbytes && segments[i]->bytes != NULL) {
            *room = segments[i]->nbytes - offset;
            return segments[i]->bytes + offset;
        }
    }
    for (const struct guest_code *code = guest->codes; code != NULL; code = code->next)
        if (address - code->image.address < code->image.nbytes)
            return span_of_code(code, address, access, room);
    return NULL;
}

uint8_t *guest_memory(const struct guest *guest, uint64_t address, uint64_t nbytes, unsigned access)
{
    uint64_t room = 0;
    uint8_t *bytes = guest_span(guest, address, access, &room);
    return nbytes <= room ? bytes : NULL;
}

const char *guest_text(const struct guest *guest, uint64_t address)
{
    uint64_t room = 0;
    const char *text = (const char *)guest_span(guest, address, IMAGE_READ, &room);
    return text != NULL && memchr(text, '\0', room) != NULL ? text : NULL;
}

uint64_t guest_address(const struct guest *guest, const void *bytes)
{
    const struct guest_segment *segments[] = { &guest->stack, &guest->cpu_memory, &guest->dram };
    for (size_t i = 0; i < sizeof segments / sizeof segments[0]; i++) {
        const uint64_t offset = (uint64_t)((uintptr_t)bytes - (uintptr_t)segments[i]->bytes);
        if (offset < segments[i]->nbytes && segments[i]->bytes != NULL)
            return segments[i]->begin + offset;
    }
    for (const struct guest_code *code = guest->codes; code != NULL; code = code->next) {
        const uint64_t offset = (uint64_t)((uintptr_t)bytes - (uintptr_t)code->image.bytes);
        if (offset < code->image.nbytes)
            return code->image.address + offset;
    }
    return 0;
}

static void not_its_memory(struct guest *guest, const char *what, uint64_t address, uint64_t nbytes)
{
    guest_fail(guest, VTA_EREFUSED,
               "%s of %" PRIu64 " bytes at 0x%" PRIx64 ", which is not its memory, by %s", what,
               nbytes, address, guest->calling);
}

bool guest_write(struct guest *guest, uint64_t address, const void *bytes, uint64_t nbytes)
{
    uint8_t *to = guest_memory(guest, address, nbytes, IMAGE_WRITE);
    if (to != NULL)
        memcpy(to, bytes, nbytes);
    else
        not_its_memory(guest, "write", address, nbytes);
    return to != NULL;
}

bool guest_write_word(struct guest *guest, uint64_t address, uint64_t word)
{
    return guest_write(guest, address, &word, guest->pointer_bytes);
}

bool guest_read_word(struct guest *guest, uint64_t address, uint64_t *word)
{
    const uint8_t *from = guest_memory(guest, address, guest->pointer_bytes, IMAGE_READ);
    *word = 0;
    if (from != NULL)
        memcpy(word, from, guest->pointer_bytes);
    else
        not_its_memory(guest, "read", address, guest->pointer_bytes);
    return from != NULL;
}

uint8_t *guest_push(struct guest *guest, uint64_t nbytes, uint64_t *address)
{
    const uint64_t at = guest->sp - guest->stack.begin; /* below sp; a wild one is refused below */
    if (at > STACK_BYTES || nbytes > STACK_BYTES || nbytes + 16 > at) {
        guest_fail(guest, VTA_ELIMIT,
                   "%" PRIu64 " bytes of arguments do not fit on its stack of %" PRIu64 " bytes",
                   nbytes, STACK_BYTES);
        return NULL;
    }
    guest->sp = (guest->sp - nbytes) & ~UINT64_C(15);
    *address = guest->sp;
    return guest->stack.bytes + (guest->sp - guest->stack.begin);
}

/* ---- Calls --------------------------------------------------------------------------------- */

/* "my_gemm+0x40 (gemm.o)"; false: the address is in no module. */
static bool describe_place(const struct guest *guest, uint64_t address, char *text, size_t nbytes)
{
    for (const struct guest_code *code = guest->codes; code != NULL; code = code->next) {
        if (address - code->image.address >= code->image.nbytes)
            continue;
        const struct image_symbol *symbol = image_at(&code->image, address);
        const uint64_t begin =
            symbol != NULL ? symbol->address & ~UINT64_C(1) : code->image.address;
        snprintf(text, nbytes, "%s+0x%" PRIx64 " (%s)", symbol != NULL ? symbol->name : "",
                 address - begin, code->name);
        return true;
    }
    return false;
}

/* Where the code was, in words that follow others. */
static void describe_outcome(const struct guest *guest, const struct engine_outcome *outcome,
                             char *text, size_t nbytes)
{
    char place[256];
    uint64_t lr = 0;
    if (describe_place(guest, outcome->pc, place, sizeof place)) {
        snprintf(text, nbytes, ", in %s", place);
        return;
    }
    guest->ops->read(guest->engine, ENGINE_LR, 1, &lr);
    if (describe_place(guest, lr & ~UINT64_C(1), place, sizeof place))
        snprintf(text, nbytes, "; the last call was in %s", place);
    else
        snprintf(text, nbytes, ", at 0x%" PRIx64, outcome->pc);
}

static void explain(struct guest *guest, const struct engine_outcome *outcome)
{
    static const char *const words[] = {
        [ENGINE_READ] = "read at 0x%" PRIx64 ", which is not its memory",
        [ENGINE_WRITE] = "write at 0x%" PRIx64 ", which is not its memory to write",
        [ENGINE_FETCH] = "jump to 0x%" PRIx64 ", which is not its code",
        [ENGINE_UNDEFINED] = "an instruction at 0x%" PRIx64 " that its processor does not have",
        [ENGINE_EXCEPTION] = "exception %" PRIu64 " of its processor",
        [ENGINE_INTERNAL] = "error %" PRIu64 " of the emulator",
    };
    char what[96], place[300];
    snprintf(what, sizeof what, words[outcome->fault],
             outcome->fault == ENGINE_UNDEFINED ? outcome->pc : outcome->address);
    if (outcome->fault == ENGINE_WRITE && guest->stack.begin - outcome->address <= GUARD_BYTES)
        snprintf(what, sizeof what, "its stack of %" PRIu64 " bytes is full", STACK_BYTES);
    describe_outcome(guest, outcome, place, sizeof place);
    guest_fail(guest, VTA_EREFUSED, "%s%s", what, place);
}

static void finish(struct guest *guest, const struct engine_outcome *outcome, int32_t *result)
{
    uint64_t value;
    if (outcome->fault == ENGINE_OK) {
        guest->ops->read(guest->engine, ENGINE_X0, 1, &value);
        *result = (int32_t)value;
    } else if (outcome->fault == ENGINE_STOPPED) {
        char place[300];
        describe_outcome(guest, outcome, place, sizeof place);
        guest_fail(guest, VTA_EDEADLINE, "stopped: the call passed the deadline of %u ms%s",
                   guest->cpu.worker->options.call_deadline_ms, place);
    } else {
        explain(guest, outcome);
    }
}

/* Arguments in registers and, beyond those, in words on the stack. */
static void place_arguments(struct guest *guest, const uint64_t *args, uint32_t count)
{
    const uint32_t registers = guest->machine == EM_ARM ? 4 : 8;
    const uint32_t more = count > registers ? count - registers : 0;
    uint64_t address;
    if (more > 0) {
        uint8_t *words = guest_push(guest, more * guest->pointer_bytes, &address);
        for (uint32_t i = 0; i < more && words != NULL; i++)
            memcpy(words + i * guest->pointer_bytes, &args[registers + i], guest->pointer_bytes);
    }
    guest->ops->write(guest->engine, ENGINE_X0, count - more, args);
}

int guest_run(struct guest *guest, uint64_t function, const uint64_t *args, uint32_t count,
              int32_t *result)
{
    const bool nested = guest->depth > 0;
    const uint64_t before = guest->sp;
    const char *const calling = guest->calling;
    struct engine_outcome outcome;
    uint64_t sp = 0, lr = 0;
    if (nested) {
        guest->ops->read(guest->engine, ENGINE_SP, 1, &sp);
        guest->ops->read(guest->engine, ENGINE_LR, 1, &lr);
    } else {
        guest->ops->reset(guest->engine);
    }
    if (guest->depth == DEPTH_MOST)
        guest_fail(guest, VTA_ELIMIT, "calls of the code and back are %u deep", DEPTH_MOST);
    place_arguments(guest, args, count);
    if (guest->error.code == 0) {
        guest->sp &= ~UINT64_C(15);
        guest->ops->write(guest->engine, ENGINE_SP, 1, &guest->sp);
        guest->ops->write(guest->engine, ENGINE_LR, 1, &guest->trap_begin);
        guest->depth++;
        guest->ops->run(guest->engine, function, guest->trap_begin, &outcome);
        guest->depth--;
        finish(guest, &outcome, result);
    }
    if (nested) {
        guest->ops->write(guest->engine, ENGINE_SP, 1, &sp);
        guest->ops->write(guest->engine, ENGINE_LR, 1, &lr);
    }
    guest->sp = before;
    guest->calling = calling;
    return guest->error.code;
}
