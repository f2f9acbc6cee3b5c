/* cpu_emulated.c: an emulated processor (cpu.h). */
#include "cpu.h"

int cpu_emulated_open(struct cpu **cpu, unsigned machine, struct worker *worker,
                      const struct engine_ops *engine, struct vta_error *error)
{
    (void)cpu;
    (void)worker;
    (void)engine;
    return vta_error_set(error, VTA_EUNSUPPORTED,
                         "built for ELF machine %u, which this server does not emulate", machine);
}
