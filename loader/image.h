/* image.h: machine code placed in memory, ready to run: the relocatable objects of a module laid
 * out and relocated, or a shared library mapped by its program headers. For x86-64, ARM (EABI) and
 * AArch64, whatever machine this is. Runs nothing: who runs it says where memory is and what
 * imports mean.
 *
 * image   the code and data of one module in one contiguous range of memory
 * part    a run of whole pages of it with one kind of access; no part is writable and executable
 * GOT     table of addresses that code reads through (global offset table)
 * stub    a few instructions that jump to an address which a direct branch does not reach
 */
#ifndef VTA_LOADER_IMAGE_H
#define VTA_LOADER_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vta/error.h>

#define IMAGE_PAGE 4096u

/* One ELF file, in memory. */
struct image_file {
    const char *name; /* for messages */
    const uint8_t *bytes;
    size_t nbytes;
};

enum image_access {
    IMAGE_READ = 1,
    IMAGE_WRITE = 2,
    IMAGE_EXECUTE = 4
};

struct image_part {
    uint64_t offset, nbytes; /* whole pages, by ascending offset, together the image */
    unsigned access;         /* enum image_access */
};

/* A definition in the image. On ARM the address of a Thumb function is odd. */
struct image_symbol {
    const char *name;
    uint64_t address, nbytes;
    bool function;
    bool local; /* found by address only */
};

/* What the image takes from whoever runs it. */
struct image_host {
    /* Memory for the image: `nbytes` (whole pages, zeroed). *bytes: where it is written from here;
     * *address: where the code sees it, page-aligned. The host frees it, also after a failure. */
    int (*reserve)(void *context, uint64_t nbytes, uint8_t **bytes, uint64_t *address,
                   struct vta_error *error);
    /* The address of a function or variable that the code imports; 0: there is none. */
    uint64_t (*import)(void *context, const char *name);
    void *context;
};

struct image {
    unsigned machine; /* EM_X86_64, EM_ARM or EM_AARCH64 */
    uint8_t *bytes;
    uint64_t address, nbytes;
    struct image_part *parts; /* owned */
    uint32_t part_count;
    struct image_symbol *symbols; /* owned, names included; by name, then address */
    uint32_t symbol_count;
    uint64_t *init, *fini; /* addresses of functions to call, in order; owned */
    uint32_t init_count, fini_count;
    char *text; /* what names point to; owned */
};

/* The ELF machine of a file: 0, or VTA_EFORMAT (truncated, not ELF, neither a relocatable object
 * nor a shared library) or VTA_EHARDWARE (a machine, class or byte order that no image can hold,
 * named). *library: a shared library. */
int image_identify(const struct image_file *file, unsigned *machine, bool *library,
                   struct vta_error *error);

/* Makes an image of objects, all for one machine, or of one shared library. Everything in the files
 * is checked. VTA_EFORMAT (damaged; a relocation that does not fit), VTA_EHARDWARE (machines
 * differ), VTA_ENOTFOUND (symbols that nobody has: up to 8 named), VTA_EEXIST (a symbol defined
 * twice), VTA_EUNSUPPORTED (a relocation type, a section or a symbol type that is not supported:
 * named, with the object and the section), VTA_ELIMIT (more than 1 GiB), VTA_ENOMEM, or what the
 * host's reserve says. `name`: of the module, for messages. After a failure there is nothing to
 * clear. */
int image_load(struct image *image, const struct image_file *files, uint32_t count,
               const char *name, const struct image_host *host, struct vta_error *error);
/* Frees everything but the host's memory. */
void image_clear(struct image *image);

/* The global definition of a name, or NULL. */
const struct image_symbol *image_find(const struct image *image, const char *name);
/* The function that holds `address`, or the nearest before it, local ones included; or NULL.
 * Async-signal-safe. */
const struct image_symbol *image_at(const struct image *image, uint64_t address);

#endif
