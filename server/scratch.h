/* scratch.h: the daemon's scratch folder, which holds one folder for each worker process.
 *
 *     PARENT/vtad-scratch-XXXXXX/         of this daemon, 0700 or 0711, with its `lock`, a file
 *     PARENT/vtad-scratch-XXXXXX/XXXXXX/  of one process
 *
 * A daemon that was killed leaves its folder behind; the next one in the same parent sees that
 * nobody holds the lock, and removes it.
 */
#ifndef VTA_SERVER_SCRATCH_H
#define VTA_SERVER_SCRATCH_H

#include <stdint.h>
#include <sys/types.h>

#include <vta/error.h>

#define SCRATCH_PATH_MAX 256
#define SCRATCH_SLICE_MS 20 /* of removing, between which runs have their turn */

struct scratch {
    char path[SCRATCH_PATH_MAX]; /* "": none is open */
    int lock;
    uid_t uid; /* whom the folders of processes are given to, where root */
    gid_t gid;
    bool root;
};

/* Makes the folder; parent NULL: $TMPDIR, else /tmp. user: who uses it, where this process is root.
 * Left-overs of others are removed on the way, which may take as long as they are large. */
int scratch_open(struct scratch *scratch, const char *parent, const char *user,
                 struct vta_error *error);
void scratch_close(struct scratch *scratch); /* removes it */

/* Makes a folder in it; path holds SCRATCH_PATH_MAX. */
int scratch_make(const struct scratch *scratch, char *path, struct vta_error *error);

/* Removes a folder and all in it, following no link. Blocks; any thread. 0 or a negative errno. */
int scratch_remove(const char *path);
/* The same for about so long: -EAGAIN where time was up before all was gone. For threads that
 * others wait for: machine code may leave any number of files. */
int scratch_remove_some(const char *path, uint64_t ms);

#endif
