/* box.h: what a worker process may do once it is locked in: memory, threads, time, its socket, its
 * channel to the daemon, and its scratch folder. Nothing of a client's has been read before.
 *
 * The parts: privileges are given up, and none can be gained; limits of memory, processor time,
 * threads, file size and descriptors; a filter of system calls; a view of the file system that
 * holds the scratch folder alone.
 */
#ifndef VTA_WORKER_BOX_H
#define VTA_WORKER_BOX_H

#include <stdbool.h>
#include <stdint.h>

#include <vta/error.h>

struct box_options {
    const char *scratch;   /* absolute path */
    uint32_t uid, gid;     /* to become when root */
    uint64_t memory_bytes; /* address space */
    uint64_t file_bytes;   /* of one file */
    uint32_t cpu_s;        /* 0: no limit */
    uint32_t descriptors;
    uint32_t processes; /* and threads, of the user whom all workers share */
};

struct box_report {
    bool complete;   /* every part took hold */
    bool moved;      /* the scratch folder is the root of the file system now: "/" */
    bool viewless;   /* every file that its user may open can be opened: see below */
    char text[1024]; /* what the box is made of, and what is missing and why; one line */
};

/* Makes once what every process needs that is forked from this one, and that is slow to make. */
int box_prepare(struct vta_error *error);

/* Enters, prepared; there is no way back. The process has one thread. A part that the kernel lacks
 * is said in the report; VTA_ECONFIG and VTA_EIO are for what should have worked. */
int box_enter(const struct box_options *options, struct box_report *report,
              struct vta_error *error);

/* For a process whose own threads are there: from now on, the user's processes and threads. */
int box_limit_threads(uint32_t processes, struct vta_error *error);

/* For a process without a view: from now on no file can be opened at all. */
int box_forbid_opening(struct vta_error *error);

#endif
