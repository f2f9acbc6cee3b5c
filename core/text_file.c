/* text_file.c: reads small files whole.
 */
#include "text_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int vta_text_read(const char *path, size_t most, char **text, size_t *length,
                  struct vta_error *error)
{
    FILE *file = fopen(path, "rbe");
    if (file == NULL)
        return vta_error_set(error, VTA_EIO, "%s: %s", path, strerror(errno));
    int rc = 0;
    *text = malloc(most + 1);
    if (*text == NULL) {
        rc = vta_error_set(error, VTA_ENOMEM, "%s: no memory to read it", path);
    } else {
        *length = fread(*text, 1, most + 1, file);
        if (ferror(file))
            rc = vta_error_set(error, VTA_EIO, "%s: %s", path, strerror(errno));
    }
    fclose(file);
    if (rc != 0) {
        free(*text);
        *text = NULL;
    }
    return rc;
}
