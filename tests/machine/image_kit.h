/* image_kit.h: what the suites of images share: files in memory, hosts that place an image and
 * resolve its imports, and calls of its code: on this processor, or on one that Unicorn emulates.
 */
#ifndef TEST_IMAGE_KIT_H
#define TEST_IMAGE_KIT_H

#include "loader/image.h"

#define KIT_FILES_MAX 4

/* Files of one module. */
struct kit_files {
    struct image_file files[KIT_FILES_MAX];
    uint32_t count;
};

/* Adds a file of the samples' folder or, with a slash in front, any other. false: there is none. */
bool kit_add_file(struct kit_files *files, const char *name);
void kit_free_files(struct kit_files *files);

/* A host. Its memory is mapped readable and writable; kit_protect gives each part its access. */
struct kit_host {
    struct image_host host;
    uint64_t address;            /* where the code is to see the image; 0: where it is */
    uint64_t nbytes_max;         /* more is refused */
    const struct image *imports; /* what has the imports, or NULL */
    uint64_t any;                /* the address of every import that has no other, if not 0 */
    uint8_t *bytes;
    uint64_t nbytes;
};

void kit_host(struct kit_host *host);
void kit_protect(const struct image *image);
void kit_release(struct kit_host *host);

/* An emulated processor. NULL: this build has no Unicorn, or it knows no such machine. */
struct kit_cpu;
struct kit_cpu *kit_cpu_open(unsigned machine);
void kit_cpu_map(struct kit_cpu *cpu, const struct image *image);
/* x in r0 and r1 or x0, the result from there. */
uint64_t kit_cpu_call(struct kit_cpu *cpu, uint64_t address, uint64_t x);
void kit_cpu_close(struct kit_cpu *cpu);

#endif
