/* unpack.h: the object files in a .tar, plain or compressed with gzip. Paths in the archive are
 * never used as paths: members become files with names of our own.
 */
#ifndef VTA_WORKER_UNPACK_H
#define VTA_WORKER_UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vta/error.h>

struct unpack_limits {
    uint64_t bytes;   /* of all members together, unpacked */
    uint32_t members; /* of any kind */
};

/* Whether bytes look like a tar archive, or one in gzip. */
bool unpack_sniff(const uint8_t *bytes, size_t nbytes);

/* Writes each regular member that is an object file into `folder` (absolute) as 0.o, 1.o, …; other
 * members are passed over. *paths: absolute, of *count files; release with unpack_free. name: for
 * messages. VTA_EFORMAT for a damaged archive or one without object files, VTA_ELIMIT, VTA_EIO,
 * and what elf_check says of a member. */
int unpack_objects(const uint8_t *bytes, size_t nbytes, const char *name, const char *folder,
                   const struct unpack_limits *limits, char ***paths, uint32_t *count,
                   struct vta_error *error);
void unpack_free(char **paths, uint32_t count);

/* Writes a file that must not exist yet; nothing is followed on its last part. */
int unpack_write_file(const char *path, const void *bytes, size_t nbytes, struct vta_error *error);

#endif
