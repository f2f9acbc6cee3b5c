/* store.c: modules as files of a directory; see store.h.
 *
 * Locks (flock) are held on the directory for moments: while a temporary file is made and locked,
 * while leftovers are looked for, and from the check of the limits to the rename. The temporary
 * file's own lock says that its writer lives.
 */
#include "store.h"

#include "request.h"
#include "service.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMP_PREFIX ".upload-"
#define TEMP_NAME   (sizeof TEMP_PREFIX + 16)
#define FILE_NAME   256 /* NAME_MAX and its end */

/* ---- Names --------------------------------------------------------------------------------- */

static int file_name(char out[FILE_NAME], const char *name, struct vta_error *error)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t used = 0;
    for (const char *p = name; *p != '\0'; p++) {
        bool encode = *p == '%' || (*p == '.' && p == name);
        size_t need = encode ? 3 : 1;
        if (used + need >= FILE_NAME)
            return vta_error_limit(error, VTA_ELIMIT, FILE_NAME - 1, (int64_t)(used + need),
                                   "'%s': its file name would pass %d bytes", name, FILE_NAME - 1);
        if (encode) {
            unsigned char byte = (unsigned char)*p;
            out[used] = '%';
            out[used + 1] = hex[byte >> 4];
            out[used + 2] = hex[byte & 15];
        } else {
            out[used] = *p;
        }
        used += need;
    }
    out[used] = '\0';
    return 0;
}

/* The module's name of a file, or false where no upload would have named it so. */
static bool module_name(char out[FILE_NAME], const char *file)
{
    char again[FILE_NAME];
    size_t used = 0;
    for (const char *p = file; *p != '\0'; p++) {
        if (used + 1 >= FILE_NAME)
            return false;
        if (strncmp(p, "%25", 3) == 0 || strncmp(p, "%2E", 3) == 0) {
            out[used++] = p[2] == '5' ? '%' : '.';
            p += 2;
        } else {
            out[used++] = *p;
        }
    }
    out[used] = '\0';
    return used > 0 && vta_is_printable(out) && file_name(again, out, NULL) == 0 &&
           strcmp(again, file) == 0;
}

/* ---- The directory ------------------------------------------------------------------------- */

static int fail_io(struct vta_error *error, const char *doing, const char *what)
{
    int saved = errno;
    return vta_error_set(error, VTA_EIO, "store: %s %s: %s", doing, what, strerror(saved));
}

static int lock(int fd, int how)
{
    int rc;
    do
        rc = flock(fd, how);
    while (rc != 0 && errno == EINTR);
    return rc;
}

static int open_dir(const char *path, int *dir, struct vta_error *error)
{
    *dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *dir >= 0 ? 0 : fail_io(error, "opening", path);
}

/* A stream over the directory, which has an fd of its own. */
static DIR *read_dir(int dir)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    if (stream == NULL && fd >= 0)
        close(fd);
    return stream;
}

/* Makes renames and removals last. Some file systems cannot sync a directory; they need not. */
static int sync_dir(int dir)
{
    return fsync(dir) == 0 || errno == EINVAL ? 0 : -1;
}

int vta_store_each(const struct vta_store *store, int (*each)(void *context, const char *name),
                   void *context, struct vta_error *error)
{
    int dir;
    int rc = open_dir(store->path, &dir, error);
    if (rc != 0)
        return rc;
    DIR *stream = read_dir(dir);
    if (stream == NULL) {
        rc = fail_io(error, "reading", store->path);
        close(dir);
        return rc;
    }
    struct dirent *entry;
    while (rc == 0 && (entry = readdir(stream)) != NULL) {
        char name[FILE_NAME];
        struct stat st;
        if (module_name(name, entry->d_name) &&
            fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
            (uint64_t)st.st_size <= store->max_module_bytes)
            rc = each(context, name);
    }
    closedir(stream);
    close(dir);
    return rc;
}

/* ---- Writing ------------------------------------------------------------------------------- */

/* Makes a temporary file that is locked as long as *fd is open. */
static int temp_open(int dir, char name[TEMP_NAME], int *fd)
{
    if (lock(dir, LOCK_EX) != 0)
        return -1;
    do {
        uint64_t salt = 0;
        if (getrandom(&salt, sizeof salt, 0) != (ssize_t)sizeof salt)
            salt = (uint64_t)getpid() << 32 ^ (uint64_t)(uintptr_t)name ^ salt;
        snprintf(name, TEMP_NAME, TEMP_PREFIX "%016" PRIx64, salt);
        *fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    } while (*fd < 0 && errno == EEXIST);
    int saved = errno;
    if (*fd >= 0 && lock(*fd, LOCK_EX | LOCK_NB) != 0) {
        saved = errno;
        unlinkat(dir, name, 0);
        close(*fd);
        *fd = -1;
    }
    lock(dir, LOCK_UN);
    errno = saved;
    return *fd >= 0 ? 0 : -1;
}

static int write_all(int fd, const uint8_t *bytes, size_t nbytes)
{
    while (nbytes > 0) {
        ssize_t n = write(fd, bytes, nbytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        bytes += n;
        nbytes -= (size_t)n;
    }
    return fsync(fd);
}

/* Whether one more file, in place of `file` where that exists, keeps the limits. */
static int check_limits(const struct vta_store *store, int dir, const char *file, const char *name,
                        uint64_t nbytes, struct vta_error *error)
{
    DIR *stream = read_dir(dir);
    if (stream == NULL)
        return fail_io(error, "reading", store->path);
    uint64_t count = 1, bytes = nbytes;
    struct dirent *entry;
    while ((entry = readdir(stream)) != NULL) {
        struct stat st;
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, file) == 0 ||
            fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
            continue;
        count++;
        bytes += (uint64_t)st.st_size;
    }
    closedir(stream);
    if (count > store->max_modules)
        return vta_error_limit(error, VTA_ELIMIT, store->max_modules, (int64_t)count,
                               "'%s': the store holds %" PRIu64
                               " modules, the limit (store_modules) is %" PRIu32,
                               name, count - 1, store->max_modules);
    if (bytes > store->max_bytes)
        return vta_error_limit(error, VTA_ELIMIT, (int64_t)store->max_bytes, (int64_t)bytes,
                               "'%s': %" PRIu64 " bytes more than the %" PRIu64
                               " of the store would pass store_bytes, %" PRIu64,
                               name, nbytes, bytes - nbytes, store->max_bytes);
    return 0;
}

int vta_store_put(const struct vta_store *store, const char *name, const uint8_t *bytes,
                  size_t nbytes, struct vta_error *error)
{
    char file[FILE_NAME], temp[TEMP_NAME] = "";
    int dir = -1, fd = -1;
    int rc = file_name(file, name, error);
    if (rc == 0)
        rc = open_dir(store->path, &dir, error);
    if (rc != 0)
        return rc;
    if (temp_open(dir, temp, &fd) != 0) {
        rc = fail_io(error, "creating a file in", store->path);
        goto done;
    }
    if (write_all(fd, bytes, nbytes) != 0) {
        rc = fail_io(error, "writing", name);
        goto fail;
    }
    if (lock(dir, LOCK_EX) != 0) {
        rc = fail_io(error, "locking", store->path);
        goto fail;
    }
    rc = check_limits(store, dir, file, name, nbytes, error);
    if (rc != 0)
        goto fail;
    if (renameat(dir, temp, dir, file) != 0) {
        rc = fail_io(error, "renaming", name);
        goto fail;
    }
    if (sync_dir(dir) != 0)
        rc = fail_io(error, "syncing", store->path);
    goto done;
fail:
    unlinkat(dir, temp, 0);
done:
    if (fd >= 0)
        close(fd);
    close(dir); /* its lock goes with it */
    return rc;
}

int vta_store_remove(const struct vta_store *store, const char *name, struct vta_error *error)
{
    char file[FILE_NAME];
    int dir;
    if (file_name(file, name, NULL) != 0)
        return vta_error_set(error, VTA_ENOTFOUND, "no module '%s'", name);
    int rc = open_dir(store->path, &dir, error);
    if (rc != 0)
        return rc;
    if (unlinkat(dir, file, 0) != 0)
        rc = errno == ENOENT ? vta_error_set(error, VTA_ENOTFOUND, "no module '%s'", name)
                             : fail_io(error, "removing", name);
    else if (sync_dir(dir) != 0)
        rc = fail_io(error, "syncing", store->path);
    close(dir);
    return rc;
}

/* ---- Reading ------------------------------------------------------------------------------- */

/* Opens a module's file. A symbolic link or a device is none. */
static int open_module(const struct vta_store *store, const char *name, int *fd, uint64_t *nbytes,
                       struct vta_error *error)
{
    char file[FILE_NAME];
    int dir;
    if (file_name(file, name, NULL) != 0)
        return vta_error_set(error, VTA_ENOTFOUND, "no module '%s'", name);
    int rc = open_dir(store->path, &dir, error);
    if (rc != 0)
        return rc;
    *fd = openat(dir, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (*fd < 0)
        rc = errno == ENOENT || errno == ELOOP
                 ? vta_error_set(error, VTA_ENOTFOUND, "no module '%s'", name)
                 : fail_io(error, "opening", name);
    close(dir);
    if (rc != 0)
        return rc;

    struct stat st;
    if (fstat(*fd, &st) != 0)
        rc = fail_io(error, "looking at", name);
    else if (!S_ISREG(st.st_mode))
        rc = vta_error_set(error, VTA_ENOTFOUND, "no module '%s'", name);
    else if ((uint64_t)st.st_size > store->max_module_bytes)
        rc = vta_error_limit(error, VTA_ELIMIT, (int64_t)store->max_module_bytes, st.st_size,
                             "'%s' in the store has %" PRIu64
                             " bytes, the limit (module_bytes) is %" PRIu64,
                             name, (uint64_t)st.st_size, store->max_module_bytes);
    if (rc != 0)
        close(*fd);
    else
        *nbytes = (uint64_t)st.st_size;
    return rc;
}

int vta_store_size(const struct vta_store *store, const char *name, uint64_t *nbytes,
                   struct vta_error *error)
{
    int fd;
    int rc = open_module(store, name, &fd, nbytes, error);
    if (rc == 0)
        close(fd);
    return rc;
}

static int read_all(int fd, uint8_t *bytes, uint64_t nbytes, uint64_t offset)
{
    while (nbytes > 0) {
        ssize_t n = pread(fd, bytes, nbytes, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = EIO; /* it was cut while it was read */
        if (n <= 0)
            return -1;
        bytes += n;
        offset += (uint64_t)n;
        nbytes -= (uint64_t)n;
    }
    return 0;
}

int vta_store_read(const struct vta_store *store, const char *name, uint64_t offset, uint64_t max,
                   uint8_t **bytes, uint64_t *nbytes, struct vta_error *error)
{
    int fd;
    uint64_t size, want = *nbytes;
    int rc = open_module(store, name, &fd, &size, error);
    if (rc != 0)
        return rc;
    if (offset <= size && want == UINT64_MAX)
        want = size - offset;
    if (offset > size || want > size - offset) {
        rc = vta_error_set(error, VTA_ERANGE,
                           "'%s' has %" PRIu64 " bytes, not %" PRIu64 " at offset %" PRIu64, name,
                           size, want, offset);
        goto done;
    }
    if (want > max) {
        rc = vta_error_limit(error, VTA_ELIMIT, (int64_t)max, (int64_t)want,
                             "'%s': %" PRIu64 " bytes at once pass the limit (read_bytes), %" PRIu64
                             "; ask for parts",
                             name, want, max);
        goto done;
    }
    *bytes = malloc(want > 0 ? want : 1);
    if (*bytes == NULL) {
        rc = vta_error_set(error, VTA_ENOMEM, "'%s': no memory for %" PRIu64 " bytes", name, want);
    } else if (read_all(fd, *bytes, want, offset) != 0) {
        rc = fail_io(error, "reading", name);
        free(*bytes);
        *bytes = NULL;
    } else {
        *nbytes = want;
    }
done:
    close(fd);
    return rc;
}

/* ---- At start-up --------------------------------------------------------------------------- */

/* Removes a temporary file whose writer is gone. */
static int remove_leftover(int dir, const char *name, const char *path, struct vta_error *error)
{
    int fd = openat(dir, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ELOOP ? 0
                                                 : fail_io(error, "opening a leftover in", path);
    int rc = 0;
    if (lock(fd, LOCK_EX | LOCK_NB) == 0 && unlinkat(dir, name, 0) != 0 && errno != ENOENT)
        rc = fail_io(error, "removing a leftover from", path);
    close(fd);
    return rc;
}

int vta_service_store_prepare(const char *path, struct vta_error *error)
{
    char temp[TEMP_NAME];
    int dir, fd;
    int rc = open_dir(path, &dir, error);
    if (rc != 0)
        return rc;
    if (temp_open(dir, temp, &fd) != 0) {
        rc = fail_io(error, "creating a file in", path);
        close(dir);
        return rc;
    }
    close(fd); /* a leftover like any other from here on */

    DIR *stream = NULL;
    if (lock(dir, LOCK_EX) != 0 || (stream = read_dir(dir)) == NULL)
        rc = fail_io(error, "reading", path);
    struct dirent *entry;
    while (rc == 0 && (entry = readdir(stream)) != NULL)
        if (strncmp(entry->d_name, TEMP_PREFIX, sizeof TEMP_PREFIX - 1) == 0)
            rc = remove_leftover(dir, entry->d_name, path, error);
    if (stream != NULL)
        closedir(stream);
    close(dir);
    return rc;
}
