/* vtactl_files.c: host files that vtactl reads and writes.
 */
#include "vtactl.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

bool is_file(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

int read_exactly(const char *path, void *bytes, uint64_t nbytes, struct vta_error *error)
{
    FILE *file = fopen(path, "rb");
    struct stat status;
    int rc = 0;

    if (file == NULL)
        return vta_error_set(error, errno == ENOENT ? VTA_ENOTFOUND : VTA_EIO, "%s: %s", path,
                             strerror(errno));
    if (fstat(fileno(file), &status) == 0 && S_ISREG(status.st_mode) &&
        (uint64_t)status.st_size != nbytes) {
        fclose(file);
        return vta_error_limit(error, VTA_ESIZE, (int64_t)nbytes, status.st_size,
                               "%s: has %" PRIu64 " bytes, %" PRIu64 " are needed", path,
                               (uint64_t)status.st_size, nbytes);
    }
    size_t got = fread(bytes, 1, (size_t)nbytes, file);
    if (ferror(file))
        rc = vta_error_set(error, VTA_EIO, "%s: %s", path, strerror(errno));
    else if (got < nbytes)
        rc = vta_error_limit(error, VTA_ESIZE, (int64_t)nbytes, (int64_t)got,
                             "%s: has %zu bytes, %" PRIu64 " are needed", path, got, nbytes);
    else if (fgetc(file) != EOF)
        rc = vta_error_set(error, VTA_ESIZE,
                           "%s: has more bytes than the %" PRIu64 " that are needed", path, nbytes);
    fclose(file);
    return rc;
}

int write_file(const char *path, const void *bytes, size_t nbytes, struct vta_error *error)
{
    FILE *file = fopen(path, "wb");

    if (file == NULL)
        return vta_error_set(error, VTA_EIO, "%s: %s", path, strerror(errno));
    bool written = fwrite(bytes, 1, nbytes, file) == nbytes;
    if (fclose(file) != 0 || !written)
        return vta_error_set(error, VTA_EIO, "%s: %s", path, strerror(errno));
    return 0;
}
