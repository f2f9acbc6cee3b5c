/* elf_file.h: what an uploaded file is, before anything maps or links it: its kind, the machine it
 * is for, and whether all of it is there. Bytes in, an answer out.
 */
#ifndef VTA_WORKER_ELF_FILE_H
#define VTA_WORKER_ELF_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vta/error.h>

enum elf_kind {
    ELF_NONE,   /* not an ELF file */
    ELF_OBJECT, /* relocatable: a .o */
    ELF_LIBRARY /* dynamic: a .so */
};

/* Checks an ELF file for this machine. Returns 0 (also for ELF_NONE), VTA_EHARDWARE where it is
 * for another machine, class or byte order, VTA_EFORMAT where headers, sections or segments lie
 * outside the file, or it is neither of the two kinds. name: for messages. */
int elf_check(const uint8_t *bytes, size_t nbytes, const char *name, enum elf_kind *kind,
              struct vta_error *error);

/* Calls take(context, symbol) for each strong symbol that a checked library wants from others,
 * until it returns false. */
void elf_undefined(const uint8_t *bytes, size_t nbytes,
                   bool (*take)(void *context, const char *symbol), void *context);

#endif
