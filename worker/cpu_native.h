/* cpu_native.h: what is only said of this processor's code: where in it an address lies. */
#ifndef VTA_WORKER_CPU_NATIVE_H
#define VTA_WORKER_CPU_NATIVE_H

#include <stddef.h>
#include <stdint.h>

/* "NAME+0xOFFSET (MODULE)" of the function that an address lies in. For the handler of a signal
 * that ends the process: takes no lock of this program. */
void cpu_native_describe(uint64_t address, char *text, size_t size);

#endif
