/* module.c: limits, digest, and module files on disk. The format itself is in module_read.c,
 * module_write.c and module_check.c. */
#include "module_format.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void vta_module_limits_default(struct vta_module_limits *limits)
{
    *limits = (struct vta_module_limits){
        .file_bytes = UINT64_C(64) << 20,
        .kernels = 1024,
        .params = 64,
        .name_bytes = 255,
        .insns = UINT32_C(4) << 20,
        .uops = UINT32_C(4) << 20,
    };
}

void vta_digest(const void *bytes, size_t nbytes, uint8_t digest[VTA_DIGEST_BYTES])
{
    SHA256(bytes, nbytes, digest);
}

static int io_error(struct vta_error *error, const char *path, const char *doing)
{
    return vta_error_set(error, VTA_EIO, "%s: %s: %s", path, doing, strerror(errno));
}

/* ---- Reading ------------------------------------------------------------------------------- */

/* Reads exactly size bytes. 0, or -1 with errno; a file that ends early is EIO. */
static int read_all(int fd, uint8_t *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = read(fd, bytes + done, size - done);

        if (n > 0)
            done += (size_t)n;
        else if (n == 0)
            return errno = EIO, -1;
        else if (errno != EINTR)
            return -1;
    }
    return 0;
}

/* The whole file, which must not be larger than limit. The caller frees *bytes. */
static int read_file(int fd, const char *path, uint64_t limit, uint8_t **bytes, size_t *nbytes,
                     struct vta_error *error)
{
    struct stat status;
    int rc;

    if (fstat(fd, &status) != 0)
        return io_error(error, path, "cannot read");
    if (!S_ISREG(status.st_mode))
        return vta_error_set(error, VTA_EIO, "%s: not a regular file", path);
    rc = vta_module_limit("bytes in a module file", (uint64_t)status.st_size, limit, error);
    if (rc != 0) {
        vta_error_prefix(error, "%s", path);
        return rc;
    }
    *nbytes = (size_t)status.st_size;
    *bytes = malloc(*nbytes + 1); /* an empty file is no reason for NULL */
    if (*bytes == NULL)
        return vta_error_set(error, VTA_ENOMEM, "%s: no memory for %zu bytes", path, *nbytes);
    if (read_all(fd, *bytes, *nbytes) != 0) {
        rc = io_error(error, path, "cannot read");
        free(*bytes);
    }
    return rc;
}

int vta_module_open(struct vta_module_image *image, const char *path, struct vta_error *error)
{
    struct vta_module_limits limits;
    uint8_t *bytes = NULL;
    size_t nbytes = 0;
    int fd, rc;

    memset(image, 0, sizeof *image);
    vta_module_limits_default(&limits);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO is refused, not waited for */
    if (fd < 0)
        return io_error(error, path, "cannot open");
    rc = read_file(fd, path, limits.file_bytes, &bytes, &nbytes, error);
    close(fd);
    if (rc != 0)
        return rc;
    rc = vta_module_decode(image, bytes, nbytes, &limits, error);
    if (rc != 0)
        vta_error_prefix(error, "%s", path);
    free(bytes);
    return rc;
}

/* ---- Writing ------------------------------------------------------------------------------- */

static int write_all(int fd, const uint8_t *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = write(fd, bytes + done, size - done);

        if (n >= 0)
            done += (size_t)n;
        else if (errno != EINTR)
            return -1;
    }
    return 0;
}

/* Opens the folder of a path for *at functions; *name is the rest of the path. -1 with errno. */
static int open_folder(const char *path, const char **name)
{
    const char *slash = strrchr(path, '/');
    char *folder;
    int fd;

    *name = slash != NULL ? slash + 1 : path;
    if (**name == '\0')
        return errno = EISDIR, -1;
    folder = slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);
    if (folder == NULL)
        return -1;
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    return fd;
}

/* Creates a file with a name that nobody has yet, readable as the umask allows. -1 with errno. */
static int open_temporary(int folder, char *name, size_t size)
{
    static unsigned counter; /* a first guess only: O_EXCL decides */
    int fd = -1;

    for (int attempt = 0; attempt < 1000; attempt++) {
        unsigned n = __atomic_fetch_add(&counter, 1, __ATOMIC_RELAXED);

        snprintf(name, size, ".vta-%ld-%u.tmp", (long)getpid(), n);
        fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST)
            break;
    }
    return fd;
}

/* Puts a file in the place of `name`: complete and on disk before it has the name, so that a crash
 * leaves the old or the new one. 0, or -1 with errno. */
static int replace(int folder, const char *name, const uint8_t *bytes, size_t nbytes)
{
    char temporary[64];
    struct stat status;
    int fd, reason;

    /* A rename would put a file in the place of a device or a folder. */
    if (fstatat(folder, name, &status, 0) == 0 && !S_ISREG(status.st_mode))
        return errno = S_ISDIR(status.st_mode) ? EISDIR : EINVAL, -1;
    fd = open_temporary(folder, temporary, sizeof temporary);
    if (fd < 0)
        return -1;
    if (write_all(fd, bytes, nbytes) != 0 || fsync(fd) != 0)
        goto fail;
    reason = close(fd);
    fd = -1;
    if (reason != 0 || renameat(folder, temporary, folder, name) != 0)
        goto fail;
    return fsync(folder);

fail:
    reason = errno;
    if (fd >= 0)
        close(fd);
    unlinkat(folder, temporary, 0);
    errno = reason;
    return -1;
}

int vta_module_save(const struct vta_module_image *image, const char *path, struct vta_error *error)
{
    const char *name;
    uint8_t *bytes = NULL;
    size_t nbytes = 0;
    int folder, rc;

    rc = vta_module_encode(image, &bytes, &nbytes, error);
    if (rc != 0) {
        vta_error_prefix(error, "%s", path);
        return rc;
    }
    folder = open_folder(path, &name);
    if (folder < 0 || replace(folder, name, bytes, nbytes) != 0)
        rc = io_error(error, path, "cannot write");
    if (folder >= 0)
        close(folder);
    free(bytes);
    return rc;
}
