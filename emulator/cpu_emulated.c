/* cpu_emulated.c: an emulated processor as a cpu (cpu.h): modules loaded into its address space,
 * their symbols, and calls of their kernels. The rest of it: guest.h, imports.h.
 */
#include "worker/cpu.h"

#include <elf.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "imports.h"
#include "worker/abi_state.h"
#include "worker/worker.h"
#include "worker/workspace.h"

static struct guest *guest_of(struct cpu *cpu)
{
    return (struct guest *)cpu;
}

/* ---- Modules --------------------------------------------------------------------------------- */

struct reservation {
    struct guest *guest;
    struct guest_code *code;
};

/* First fit, with a page between two modules; the list stays in order. */
static struct guest_code **find_place(struct guest *guest, uint64_t nbytes, uint64_t *address)
{
    struct guest_code **at = &guest->codes;
    *address = guest->modules_begin;
    for (; *at != NULL; at = &(*at)->next) {
        if ((*at)->image.address - *address > nbytes)
            return at;
        *address = (*at)->image.address + (*at)->image.nbytes + IMAGE_PAGE;
    }
    return *address < guest->modules_end && nbytes <= guest->modules_end - *address ? at : NULL;
}

static int reserve(void *context, uint64_t nbytes, uint8_t **bytes, uint64_t *address,
                   struct vta_error *error)
{
    const struct reservation *reservation = context;
    struct guest *guest = reservation->guest;
    struct guest_code *code = reservation->code, **at = find_place(guest, nbytes, address);
    if (at == NULL)
        return vta_error_limit(error, VTA_ELIMIT,
                               (int64_t)(guest->modules_end - guest->modules_begin),
                               (int64_t)nbytes,
                               "%s: no gap for its %" PRIu64 " bytes in the %" PRIu64
                               " that an emulated processor has for modules",
                               code->name, nbytes, guest->modules_end - guest->modules_begin);
    void *memory = mmap(NULL, nbytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return vta_error_set(error, VTA_ENOMEM, "%s: no memory for %" PRIu64 " bytes", code->name,
                             nbytes);
    *bytes = code->memory = memory;
    code->image.address = *address;
    code->image.nbytes = code->memory_bytes = nbytes;
    code->next = *at;
    *at = code;
    return 0;
}

static uint64_t find_import(const struct guest *guest, const char *name)
{
    const uint32_t number = import_find(name);
    const int variable = import_variable(name);
    if (number != 0)
        return guest->trap_begin + 4 * (uint64_t)number;
    return variable >= 0 ? guest->stack.begin + guest->stack.nbytes - IMPORT_VARIABLES_BYTES +
                               (uint64_t)variable
                         : 0;
}

static uint64_t image_import(void *context, const char *name)
{
    return find_import(((const struct reservation *)context)->guest, name);
}

static int map_parts(struct guest *guest, struct guest_code *code, struct vta_error *error)
{
    int rc = 0;
    for (uint32_t i = 0; i < code->image.part_count && rc == 0; i++) {
        const struct image_part *part = &code->image.parts[i];
        rc = guest->ops->map(guest->engine, code->image.address + part->offset, part->nbytes,
                             part->access, code->image.bytes + part->offset, error);
        code->mapped += rc == 0;
    }
    return rc;
}

static void free_code(struct guest *guest, struct guest_code *code)
{
    struct guest_code **at = &guest->codes;
    for (uint32_t i = 0; i < code->mapped; i++)
        guest->ops->unmap(guest->engine, code->image.address + code->image.parts[i].offset,
                          code->image.parts[i].nbytes);
    while (*at != NULL && *at != code)
        at = &(*at)->next;
    if (*at != NULL)
        *at = code->next;
    for (uint32_t i = 0; i < guest->function_count; i++)
        if (guest->functions[i].code == code)
            guest->functions[i] = (struct guest_function){ 0 };
    if (guest->codes == NULL)
        guest_forget(guest);
    image_clear(&code->image);
    if (code->memory != NULL)
        munmap(code->memory, code->memory_bytes);
    free(code);
}

static int emulated_load(struct cpu *cpu, struct module *module, const char *name,
                         const struct image_file *files, uint32_t count, struct code **result,
                         struct vta_error *error)
{
    struct guest *guest = guest_of(cpu);
    struct guest_code *code = calloc(1, sizeof *code);
    if (code == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a module");
    code->code = (struct code){ .cpu = cpu, .module = module };
    code->name = name;
    struct reservation reservation = { guest, code };
    const struct image_host host = { reserve, image_import, &reservation };
    struct image image;
    int rc = image_load(&image, files, count, name, &host, error);
    if (rc == 0) {
        code->image = image;
        code->code.context = image.address;
        rc = map_parts(guest, code, error);
    }
    if (rc != 0) {
        free_code(guest, code);
        return rc;
    }
    *result = &code->code;
    return 0;
}

/* Makes a call from outside: nothing of an earlier one is left. */
static void begin_call(struct guest *guest)
{
    if (guest->depth > 0)
        return;
    guest->error.code = 0;
    guest->calling = NULL;
}

static int run_all(struct code *code, const uint64_t *functions, uint32_t count,
                   struct vta_error *error)
{
    struct guest *guest = guest_of(code->cpu);
    const uint64_t none[3] = { 0 };
    int32_t ignored;
    int rc = 0;
    begin_call(guest);
    for (uint32_t i = 0; i < count && rc == 0; i++)
        rc = guest_run(guest, functions[i], none, 3, &ignored);
    if (rc != 0)
        *error = guest->error;
    return rc;
}

static int emulated_initialise(struct code *code, struct vta_error *error)
{
    struct guest_code *guest_code = (struct guest_code *)code;
    guest_code->initialised = true;
    return run_all(code, guest_code->image.init, guest_code->image.init_count, error);
}

static void emulated_unload(struct code *code)
{
    struct guest_code *guest_code = (struct guest_code *)code;
    struct vta_error ignored;
    if (guest_code->initialised)
        run_all(code, guest_code->image.fini, guest_code->image.fini_count, &ignored);
    free_code(guest_of(code->cpu), guest_code);
}

static bool emulated_symbol(const struct code *code, const char *name, struct code_symbol *symbol)
{
    const struct image_symbol *found = image_find(&((const struct guest_code *)code)->image, name);
    if (found != NULL)
        *symbol = (struct code_symbol){ found->address, found->nbytes, found->function };
    return found != NULL;
}

static uint8_t *emulated_memory(struct cpu *cpu, uint64_t address, uint64_t nbytes)
{
    return guest_memory(guest_of(cpu), address, nbytes, 0);
}

static uint64_t emulated_import(struct cpu *cpu, const char *name)
{
    return find_import(guest_of(cpu), name);
}

/* ---- Calls ----------------------------------------------------------------------------------- */

static int call_kernel(struct guest *guest, uint64_t address, const union tvm_value *args,
                       const int32_t *codes, int count, struct result *result,
                       struct vta_error *error)
{
    const int32_t null = TVM_NULL;
    uint64_t call[6] = { 0, 0, (uint64_t)count };
    int32_t status = 0;
    uint8_t *slot = guest_push(guest, 16, &call[3]); /* of the result and its code */
    call[4] = call[3] + 8;
    if (slot != NULL) {
        memset(slot, 0, 16);
        memcpy(slot + 8, &null, sizeof null);
    }
    if (!guest_push_values(guest, args, codes, count, &call[0], &call[1]) ||
        guest_run(guest, address, call, 6, &status) != 0)
        return *error = guest->error, error->code;
    if (status == 0)
        return guest_take_result(guest, call[3], call[4], result, error);
    return abi_take_error(status, error);
}

static int emulated_call(struct code *code, const char *name, uint64_t address,
                         union tvm_value *args, const int32_t *codes, int count,
                         struct result *result, struct vta_error *error)
{
    struct guest *guest = guest_of(code->cpu);
    const uint64_t before = guest->sp;
    const struct workspace_mark mark = workspace_mark();
    (void)name;
    begin_call(guest);
    abi_forget_error();
    int rc = guest_map_dram(guest) ? call_kernel(guest, address, args, codes, count, result, error)
                                   : (*error = guest->error, error->code);
    guest->sp = before;
    /* What it did not finish to say to the board, and to free. */
    if (guest->error.code != 0 && guest->cpu.worker->runtime != NULL)
        vta_runtime_abandon(guest->cpu.worker->runtime);
    if (guest->error.code != 0)
        workspace_free_since(guest->cpu.worker, mark);
    return rc;
}

static void emulated_stop(struct cpu *cpu)
{
    guest_of(cpu)->ops->stop(guest_of(cpu)->engine);
}

static void emulated_close(struct cpu *cpu)
{
    struct guest *guest = guest_of(cpu);
    while (guest->codes != NULL)
        free_code(guest, guest->codes);
    guest_close(guest);
    free(guest);
}

#define EMULATED(elf_machine, bytes)                                                               \
    {                                                                                              \
        .machine = (elf_machine), .pointer_bytes = (bytes), .load = emulated_load,                 \
        .initialise = emulated_initialise, .unload = emulated_unload, .symbol = emulated_symbol,   \
        .memory = emulated_memory, .import = emulated_import, .call = emulated_call,               \
        .stop = emulated_stop, .close = emulated_close                                             \
    }

int cpu_emulated_open(struct cpu **cpu, unsigned machine, struct worker *worker,
                      const struct engine_ops *engine, struct vta_error *error)
{
    static const struct cpu_ops arm = EMULATED(EM_ARM, 4), aarch64 = EMULATED(EM_AARCH64, 8);
    if (machine != EM_ARM && machine != EM_AARCH64)
        return vta_error_set(error, VTA_EUNSUPPORTED, "built for %s, which cannot be emulated here",
                             machine == EM_X86_64 ? "x86-64" : "another machine");
    if (engine == NULL)
        return vta_error_set(error, VTA_EUNSUPPORTED,
                             "built for %s, which takes an emulator here: %s",
                             machine == EM_ARM ? "ARM" : "AArch64", cpu_engine_missing());
    struct guest *guest = calloc(1, sizeof *guest);
    if (guest == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a processor");
    const struct cpu_ops *ops = machine == EM_ARM ? &arm : &aarch64;
    guest->cpu = (struct cpu){ .ops = ops, .worker = worker };
    guest->pointer_bytes = ops->pointer_bytes;
    guest->machine = machine;
    guest->ops = engine;
    int rc = guest_open(guest, error);
    if (rc != 0)
        emulated_close(&guest->cpu);
    else
        *cpu = &guest->cpu;
    return rc;
}
