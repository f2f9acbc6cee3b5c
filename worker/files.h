/* files.h: the files of a session: names relative to its scratch folder, none that leads out of it.
 *
 * A name is made of parts between slashes. An absolute one, or one with ".." in it, is refused as
 * it stands; a link anywhere on the way, by the kernel while it walks and not by looking first.
 */
#ifndef VTA_WORKER_FILES_H
#define VTA_WORKER_FILES_H

#include <stddef.h>

#include "worker.h"

/* Writes a whole file, whose folders are created. VTA_ELIMIT past max_upload_bytes or max_files. */
int files_write(struct worker *worker, const char *name, const void *bytes, size_t nbytes,
                struct vta_error *error);
/* A whole file; *bytes is the caller's to free, never NULL on success. */
int files_read(struct worker *worker, const char *name, char **bytes, size_t *nbytes,
               struct vta_error *error);
/* VTA_ENOTFOUND where there is no such file. */
int files_remove(struct worker *worker, const char *name, struct vta_error *error);
/* The absolute path of a name, whether there is such a file or not; the caller frees it. */
int files_path(struct worker *worker, const char *name, char **path, struct vta_error *error);
/* The same of a regular file that is there. */
int files_existing(struct worker *worker, const char *name, char **path, struct vta_error *error);

#endif
