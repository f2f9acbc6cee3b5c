/* engine_unicorn.c: Unicorn 2 as an engine (engine.h): a plugin, which nothing links.
 *
 * The words at which trap() is called are real return instructions in pages of the engine's own,
 * with a hook before each: nothing but the hook then has to happen at a call. One more word jumps
 * to the address in r12 or x16: every run begins there, with a hook, so that a stop that comes
 * before Unicorn listens is seen behind the point from which it does.
 *
 * Unicorn says in which block of instructions an access failed, not at which instruction of it.
 */
#include "engine.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <unicorn/unicorn.h>

#include "loader/image.h"

#define REGISTERS_MOST 32u
#define MAPPED_MOST    900u /* ranges; Unicorn ends the process at 1022 */
#define DEPTH_MOST     32u  /* of run(); Unicorn has room for 64, and ends the process behind it */
/* What Unicorn reserves for translated code, 1 GiB, and more than it takes beside that; it ends the
 * process if it cannot have it. */
#define CODE_BYTES ((UINT64_C(1) << 30) + (UINT64_C(16) << 20))

struct machine {
    unsigned elf;
    uc_arch arch;
    int model;
    int x0, x_count, d0, sp, lr, pc, jump; /* registers; jump: which the last word jumps to */
    uint32_t return_word, jump_word;
};

static const struct machine machines[] = {
    { EM_ARM, UC_ARCH_ARM, UC_CPU_ARM_CORTEX_A15, UC_ARM_REG_R0, 13, UC_ARM_REG_D0, UC_ARM_REG_SP,
      UC_ARM_REG_LR, UC_ARM_REG_PC, UC_ARM_REG_R12, 0xe12fff1e, 0xe12fff1c },
    { EM_AARCH64, UC_ARCH_ARM64, UC_CPU_ARM64_A72, UC_ARM64_REG_X0, 29, UC_ARM64_REG_D0,
      UC_ARM64_REG_SP, UC_ARM64_REG_LR, UC_ARM64_REG_PC, UC_ARM64_REG_X16, 0xd65f03c0, 0xd61f0200 },
};

struct engine {
    const struct machine *machine;
    struct engine_options options;
    uc_engine *uc;
    uc_context *fresh; /* the registers as after opening */
    uint32_t mapped;   /* ranges */
    uint32_t *words;   /* the pages of the trap words; mapped */
    uint64_t words_bytes;
    uint32_t depth; /* of run() */
    atomic_bool stopping;

    /* Of the run that ends: why, if not at its end. */
    bool ended; /* by trap(), or because it is to stop */
    bool interrupted;
    uint32_t interrupt;
    uint64_t wanted; /* address of an access that failed */
};

/* ---- Registers ----------------------------------------------------------------------------- */

static int register_of(const struct machine *machine, unsigned reg)
{
    switch (reg) {
    case ENGINE_SP:
        return machine->sp;
    case ENGINE_LR:
        return machine->lr;
    case ENGINE_PC:
        return machine->pc;
    default:
        return machine->x0 + (int)reg;
    }
}

/* Reads or writes `count` registers from Unicorn's `first`: on ARM 4 bytes each, which are the low
 * ones of a value. */
static void transfer(struct engine *engine, int first, uint32_t count, uint64_t *values, bool write)
{
    int ids[REGISTERS_MOST];
    void *pointers[REGISTERS_MOST];
    if (count > REGISTERS_MOST)
        count = REGISTERS_MOST;
    for (uint32_t i = 0; i < count; i++) {
        ids[i] = first + (int)i;
        pointers[i] = &values[i];
    }
    if (write)
        uc_reg_write_batch(engine->uc, ids, pointers, (int)count);
    else
        uc_reg_read_batch(engine->uc, ids, pointers, (int)count);
}

static void unicorn_read(struct engine *engine, enum engine_register first, uint32_t count,
                         uint64_t *values)
{
    memset(values, 0, count * sizeof *values);
    transfer(engine, register_of(engine->machine, first), count, values, false);
}

static void unicorn_write(struct engine *engine, enum engine_register first, uint32_t count,
                          const uint64_t *values)
{
    transfer(engine, register_of(engine->machine, first), count, (uint64_t *)values, true);
}

static void unicorn_read_float(struct engine *engine, uint32_t first, uint32_t count,
                               uint64_t *values)
{
    transfer(engine, engine->machine->d0 + (int)first, count, values, false);
}

static void unicorn_write_float(struct engine *engine, uint32_t first, uint32_t count,
                                const uint64_t *values)
{
    transfer(engine, engine->machine->d0 + (int)first, count, (uint64_t *)values, true);
}

/* ---- Hooks --------------------------------------------------------------------------------- */

static void on_trap(uc_engine *uc, uint64_t address, uint32_t size, void *context)
{
    struct engine *engine = context;
    const uint32_t number = (uint32_t)((address - engine->options.trap_begin) / 4);
    (void)size;
    const int rc = engine->options.trap(
        engine->options.context, number == engine->options.trap_count ? ENGINE_BEGIN : number);
    engine->interrupted = false; /* as a run within may have left it */
    engine->ended = rc != 0 || atomic_load(&engine->stopping);
    if (engine->ended)
        uc_emu_stop(uc);
}

static bool on_access(uc_engine *uc, uc_mem_type type, uint64_t address, int size, int64_t value,
                      void *context)
{
    struct engine *engine = context;
    (void)uc, (void)type, (void)size, (void)value;
    engine->wanted = address;
    return false;
}

static void on_interrupt(uc_engine *uc, uint32_t number, void *context)
{
    struct engine *engine = context;
    engine->interrupted = true;
    engine->interrupt = number;
    uc_emu_stop(uc);
}

/* ---- Running ------------------------------------------------------------------------------- */

static enum engine_fault fault_of(struct engine *engine, uc_err status, bool arrived,
                                  uint64_t *address)
{
    const uint32_t undefined = 1; /* QEMU's EXCP_UDEF */
    *address = engine->wanted;
    switch (status) {
    case UC_ERR_READ_UNMAPPED:
    case UC_ERR_READ_PROT:
        return ENGINE_READ;
    case UC_ERR_WRITE_UNMAPPED:
    case UC_ERR_WRITE_PROT:
        return ENGINE_WRITE;
    case UC_ERR_FETCH_UNMAPPED:
    case UC_ERR_FETCH_PROT:
        return ENGINE_FETCH;
    case UC_ERR_INSN_INVALID:
        return ENGINE_UNDEFINED;
    case UC_ERR_OK:
        break;
    default:
        *address = status;
        return ENGINE_INTERNAL;
    }
    *address = engine->interrupt;
    if (engine->interrupted)
        return engine->interrupt == undefined ? ENGINE_UNDEFINED : ENGINE_EXCEPTION;
    if (engine->ended)
        return ENGINE_STOPPED;
    if (arrived)
        return ENGINE_OK;
    /* It was stopped, or waits for an interrupt. */
    return atomic_load(&engine->stopping) ? ENGINE_STOPPED : ENGINE_EXCEPTION;
}

static void unicorn_reset(struct engine *engine)
{
    uc_context_restore(engine->uc, engine->fresh);
}

static void unicorn_run(struct engine *engine, uint64_t begin, uint64_t until,
                        struct engine_outcome *outcome)
{
    const uint64_t jump = engine->options.trap_begin + UINT64_C(4) * engine->options.trap_count;
    if (engine->depth == DEPTH_MOST) {
        *outcome = (struct engine_outcome){ ENGINE_INTERNAL, begin, UC_ERR_RESOURCE };
        return;
    }
    if (engine->depth == 0)
        atomic_store(&engine->stopping, false);
    engine->depth++;
    engine->ended = engine->interrupted = false;
    engine->wanted = 0;
    engine->interrupt = 0;
    transfer(engine, engine->machine->jump, 1, &begin, true);
    const uc_err status = uc_emu_start(engine->uc, jump, until, 0, 0);
    unicorn_read(engine, ENGINE_PC, 1, &outcome->pc);
    outcome->fault = fault_of(engine, status, outcome->pc == until, &outcome->address);
    engine->depth--;
}

static void unicorn_stop(struct engine *engine)
{
    atomic_store(&engine->stopping, true);
    uc_emu_stop(engine->uc);
}

/* ---- Memory -------------------------------------------------------------------------------- */

static int unicorn_map(struct engine *engine, uint64_t address, uint64_t nbytes, unsigned access,
                       void *bytes, struct vta_error *error)
{
    uint32_t protection = UC_PROT_NONE;
    if (engine->mapped >= MAPPED_MOST)
        return vta_error_limit(error, VTA_ELIMIT, MAPPED_MOST, (int64_t)engine->mapped + 1,
                               "an emulated processor has room for %u parts of modules; free some",
                               MAPPED_MOST);
    if ((access & IMAGE_READ) != 0)
        protection |= UC_PROT_READ;
    if ((access & IMAGE_WRITE) != 0)
        protection |= UC_PROT_WRITE;
    if ((access & IMAGE_EXECUTE) != 0)
        protection |= UC_PROT_EXEC;
    const uc_err status = uc_mem_map_ptr(engine->uc, address, nbytes, protection, bytes);
    engine->mapped += status == UC_ERR_OK;
    if (status == UC_ERR_OK)
        return 0;
    return vta_error_set(error, status == UC_ERR_NOMEM ? VTA_ENOMEM : VTA_EINTERNAL,
                         "Unicorn: %" PRIu64 " bytes at 0x%" PRIx64 ": %s", nbytes, address,
                         uc_strerror(status));
}

/* What was translated of these pages is forgotten: others may come to the same place. */
static void unicorn_unmap(struct engine *engine, uint64_t address, uint64_t nbytes)
{
    uc_ctl_remove_cache(engine->uc, address, address + nbytes);
    engine->mapped -= uc_mem_unmap(engine->uc, address, nbytes) == UC_ERR_OK;
}

/* ---- Opening ------------------------------------------------------------------------------- */

static void unicorn_close(struct engine *engine)
{
    if (engine->fresh != NULL)
        uc_context_free(engine->fresh);
    if (engine->uc != NULL)
        uc_close(engine->uc);
    if (engine->words != MAP_FAILED)
        munmap(engine->words, engine->words_bytes);
    free(engine);
}

static int check_room(struct vta_error *error)
{
    void *room = mmap(NULL, CODE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED)
        return vta_error_set(error, VTA_ENOMEM,
                             "Unicorn needs %" PRIu64
                             " bytes of address space for code that it writes: %s",
                             CODE_BYTES, strerror(errno));
    munmap(room, CODE_BYTES);
    return 0;
}

static uc_err enable_floats(struct engine *engine)
{
    const uint64_t fpexc_enable = UINT64_C(1) << 30, arm_cp10_cp11 = 0xf << 20, fpen = 3 << 20;
    if (engine->machine->elf == EM_AARCH64)
        return uc_reg_write(engine->uc, UC_ARM64_REG_CPACR_EL1, &fpen);
    uc_err status = uc_reg_write(engine->uc, UC_ARM_REG_C1_C0_2, &arm_cp10_cp11);
    return status != UC_ERR_OK ? status : uc_reg_write(engine->uc, UC_ARM_REG_FPEXC, &fpexc_enable);
}

static uc_err set_up(struct engine *engine)
{
    const uint32_t count = engine->options.trap_count;
    const uint64_t begin = engine->options.trap_begin, end = begin + UINT64_C(4) * count;
    uc_hook hook;
    for (uint32_t i = 0; i < count; i++)
        engine->words[i] = engine->machine->return_word;
    engine->words[count] = engine->machine->jump_word;
    uc_err status = uc_open(engine->machine->arch, UC_MODE_ARM, &engine->uc);
    if (status == UC_ERR_OK)
        status = uc_ctl_set_cpu_model(engine->uc, engine->machine->model);
    if (status == UC_ERR_OK)
        status = uc_mem_map_ptr(engine->uc, begin, engine->words_bytes, UC_PROT_READ | UC_PROT_EXEC,
                                engine->words);
    if (status == UC_ERR_OK)
        status = enable_floats(engine);
    if (status == UC_ERR_OK)
        status = uc_context_alloc(engine->uc, &engine->fresh);
    if (status == UC_ERR_OK)
        status = uc_context_save(engine->uc, engine->fresh);
    if (status == UC_ERR_OK)
        status = uc_hook_add(engine->uc, &hook, UC_HOOK_CODE, on_trap, engine, begin, end);
    if (status == UC_ERR_OK)
        status = uc_hook_add(engine->uc, &hook, UC_HOOK_MEM_INVALID, on_access, engine, 1, 0);
    if (status == UC_ERR_OK)
        status = uc_hook_add(engine->uc, &hook, UC_HOOK_INTR, on_interrupt, engine, 1, 0);
    return status;
}

static const struct machine *find_machine(unsigned elf)
{
    for (size_t i = 0; i < sizeof machines / sizeof machines[0]; i++)
        if (machines[i].elf == elf)
            return &machines[i];
    return NULL;
}

static int unicorn_open(struct engine **result, const struct engine_options *options,
                        struct vta_error *error)
{
    const struct machine *machine = find_machine(options->machine);
    if (machine == NULL)
        return vta_error_set(error, VTA_EUNSUPPORTED, "Unicorn: ELF machine %u", options->machine);
    int rc = check_room(error);
    if (rc != 0)
        return rc;
    struct engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for an engine");
    engine->machine = machine;
    engine->options = *options;
    engine->words_bytes = (UINT64_C(4) * options->trap_count / IMAGE_PAGE + 1) * IMAGE_PAGE;
    engine->words =
        mmap(NULL, engine->words_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const uc_err status = engine->words != MAP_FAILED ? set_up(engine) : UC_ERR_NOMEM;
    if (status != UC_ERR_OK) {
        unicorn_close(engine);
        return vta_error_set(error, status == UC_ERR_NOMEM ? VTA_ENOMEM : VTA_EINTERNAL,
                             "Unicorn: %s", uc_strerror(status));
    }
    *result = engine;
    return 0;
}

/* ENGINE_PLUGIN_SYMBOL */
extern const struct engine_ops vta_engine_ops;
__attribute__((visibility("default"))) const struct engine_ops vta_engine_ops = {
    .version = ENGINE_VERSION,
    .open = unicorn_open,
    .close = unicorn_close,
    .map = unicorn_map,
    .unmap = unicorn_unmap,
    .read = unicorn_read,
    .write = unicorn_write,
    .read_float = unicorn_read_float,
    .write_float = unicorn_write_float,
    .reset = unicorn_reset,
    .run = unicorn_run,
    .stop = unicorn_stop,
};
