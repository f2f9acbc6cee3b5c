/* upload.h: an uploaded file as ELF files in memory: a relocatable object, a shared library, or the
 * objects of a .tar (also compressed with gzip). Paths in an archive are never used as paths.
 */
#ifndef VTA_WORKER_UPLOAD_H
#define VTA_WORKER_UPLOAD_H

#include "loader/image.h"

struct upload {
    char *name;               /* the path's last part, for messages; owned */
    struct image_file *files; /* owned, with their names and bytes */
    uint32_t count;
    unsigned machine; /* of the first; the loader compares the others with it */
    bool library;     /* then there is one file */
};

/* Reads the file at `path` (links are not followed); at most `most` bytes, also of all members of
 * an archive together. The kind is told by content. VTA_EIO, VTA_ELIMIT, VTA_EFORMAT for a damaged
 * archive, one without objects, or another kind of file, and what image_identify says. After a
 * failure there is nothing to clear. */
int upload_read(struct upload *upload, const char *path, uint64_t most, struct vta_error *error);
/* The same of bytes (malloc'ed), which it takes over, also after a failure. */
int upload_take(struct upload *upload, const char *name, uint8_t *bytes, size_t nbytes,
                uint64_t most, struct vta_error *error);
void upload_clear(struct upload *upload);

#endif
