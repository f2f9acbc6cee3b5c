/* box.h: what a worker process may do once it is locked in: memory, threads, time, its socket, its
 * channel to the daemon, and its scratch folder. Nothing of a client's has been read before.
 */
#ifndef VTA_WORKER_BOX_H
#define VTA_WORKER_BOX_H

#include <stdbool.h>
#include <stdint.h>

#include <vta/error.h>

struct box_options {
    const char *scratch;   /* absolute path */
    const char *user;      /* to become when root; NULL: "nobody" */
    uint64_t memory_bytes; /* address space */
    uint64_t file_bytes;   /* of one file */
    uint32_t cpu_s, descriptors, processes;
};

/* Which parts the kernel has. */
struct box_parts {
    bool privileges, no_new_privs, limits, seccomp;
    enum {
        BOX_VIEW_NONE,
        BOX_VIEW_LANDLOCK,
        BOX_VIEW_CHROOT
    } view;
};

/* What could be entered here, without entering; text: one line per missing part. */
void box_probe(struct box_parts *parts, char *text, uint64_t size);

/* Enters; there is no way back. *parts says what took hold. */
int box_enter(const struct box_options *options, struct box_parts *parts, struct vta_error *error);

#endif
