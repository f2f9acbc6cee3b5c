/* text_file.h: small files that an administrator writes: configurations, profiles. */
#ifndef VTA_CORE_TEXT_FILE_H
#define VTA_CORE_TEXT_FILE_H

#include <stddef.h>

#include <vta/error.h>

/* Reads a whole file of at most `most` bytes; of a longer one, most + 1, so that whoever parses it
 * refuses it by its length. *text is the caller's to free. VTA_EIO, VTA_ENOMEM, with the path. */
int vta_text_read(const char *path, size_t most, char **text, size_t *length,
                  struct vta_error *error);

#endif
