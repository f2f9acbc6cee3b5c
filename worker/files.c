/* files.c: the scratch folder, walked part by part from its own descriptor without following a
 * link.
 */
#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 16

/* ---- Names --------------------------------------------------------------------------------- */

static int refuse(const char *name, const char *why, struct vta_error *error)
{
    return vta_error_set(error, VTA_EINVAL, "file name '%.200s' is refused: %s", name, why);
}

static bool dots(const char *part, size_t length)
{
    return length == 2 && part[0] == '.' && part[1] == '.';
}

static int check_name(const struct worker *worker, const char *name, struct vta_error *error)
{
    int depth = 0;
    if (name[0] == '\0')
        return refuse(name, "it is empty", error);
    if (name[0] == '/')
        return refuse(name, "it is absolute", error);
    if (strlen(name) >= PATH_MAX - strlen(worker->scratch) - 1)
        return refuse(name, "it is too long", error);
    if (name[strlen(name) - 1] == '/')
        return refuse(name, "it ends with a slash", error);
    for (const char *part = name; *part != '\0';) {
        size_t length = strcspn(part, "/");
        if (dots(part, length))
            return refuse(name, "it has '..' in it", error);
        if (length > NAME_MAX)
            return refuse(name, "a part of it is too long", error);
        if (++depth > DEPTH_MAX)
            return refuse(name, "its folders are more than 16 deep", error);
        part += length;
        part += strspn(part, "/");
    }
    return 0;
}

static int failed(const char *name, const char *what, struct vta_error *error)
{
    int code = errno == ENOENT || errno == ENOTDIR ? VTA_ENOTFOUND : VTA_EIO;
    if (errno == ELOOP)
        return refuse(name, "there is a link on the way", error);
    if (errno == ENOENT)
        return vta_error_set(error, code, "%s '%.200s': there is no such file", what, name);
    return vta_error_set(error, code, "%s '%.200s': %s", what, name, strerror(errno));
}

/* The folder that a name's last part is in, opened; *last is that part. Folders on the way are
 * made where `make`. -1 with errno. */
static int open_folder(const struct worker *worker, const char *name, bool make, const char **last)
{
    int folder = dup(worker->scratch_fd);
    const char *slash;
    while (folder >= 0 && (slash = strchr(name, '/')) != NULL) {
        char part[NAME_MAX + 1];
        memcpy(part, name, (size_t)(slash - name));
        part[slash - name] = '\0';
        if (make && mkdirat(folder, part, 0700) != 0 && errno != EEXIST) {
            close(folder);
            return -1;
        }
        int inner = openat(folder, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        /* A link in a folder's place: the kernel says "not a folder". */
        struct stat info;
        int why = errno;
        if (inner < 0 && fstatat(folder, part, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISLNK(info.st_mode))
            why = ELOOP;
        close(folder);
        errno = why;
        folder = inner;
        name = slash + strspn(slash, "/");
    }
    *last = name;
    return folder;
}

static int open_file(const struct worker *worker, const char *name, int flags)
{
    const char *last;
    int folder = open_folder(worker, name, (flags & O_CREAT) != 0, &last);
    if (folder < 0)
        return -1;
    int fd = openat(folder, last, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
    int why = errno;
    close(folder);
    errno = why;
    return fd;
}

/* ---- How much there is --------------------------------------------------------------------- */

struct usage {
    uint64_t bytes;
    uint64_t files;
};

/* Adds what is below a folder, whose descriptor it closes. What machine code put there counts. */
static int add_usage(int folder, int depth, struct usage *usage)
{
    DIR *dir = folder < 0 || depth > DEPTH_MAX ? NULL : fdopendir(folder);
    struct dirent *entry;
    if (dir == NULL) {
        if (folder >= 0)
            close(folder);
        return -1;
    }
    int rc = 0;
    while (rc == 0 && (entry = readdir(dir)) != NULL) {
        struct stat info;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (fstatat(dirfd(dir), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        usage->files++;
        if (S_ISREG(info.st_mode))
            usage->bytes += (uint64_t)info.st_size;
        if (S_ISDIR(info.st_mode))
            rc = add_usage(
                openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
                depth + 1, usage);
    }
    closedir(dir);
    return rc;
}

/* Whether a file of nbytes may be written; what it replaces does not count. */
static int check_room(const struct worker *worker, const char *name, uint64_t nbytes,
                      struct vta_error *error)
{
    const struct worker_options *options = &worker->options;
    struct usage usage = { 0 };
    struct stat old;
    if (add_usage(openat(worker->scratch_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), 0, &usage) !=
        0)
        return vta_error_set(error, VTA_EIO, "the scratch folder cannot be read: %s",
                             strerror(errno));
    int fd = open_file(worker, name, O_RDONLY);
    bool replaces = fd >= 0 && fstat(fd, &old) == 0 && S_ISREG(old.st_mode);
    if (fd >= 0)
        close(fd);
    uint64_t kept = usage.bytes - (replaces ? (uint64_t)old.st_size : 0);
    if (nbytes > options->max_upload_bytes || kept > options->max_upload_bytes - nbytes)
        return vta_error_limit(error, VTA_ELIMIT, (int64_t)options->max_upload_bytes,
                               (int64_t)(kept + nbytes),
                               "'%.200s': %" PRIu64 " bytes beside the %" PRIu64
                               " there pass the limit of %" PRIu64 " for all files",
                               name, nbytes, kept, options->max_upload_bytes);
    if (!replaces && usage.files >= options->max_files)
        return vta_error_limit(error, VTA_ELIMIT, options->max_files, (int64_t)usage.files + 1,
                               "'%.200s': the limit is %" PRIu32 " files, all are there", name,
                               options->max_files);
    return 0;
}

/* ---- Reading and writing ------------------------------------------------------------------- */

static int write_all(int fd, const char *bytes, size_t nbytes)
{
    for (size_t at = 0; at < nbytes;) {
        ssize_t n = write(fd, bytes + at, nbytes - at);
        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0)
            at += (size_t)n;
    }
    return 0;
}

int files_write(struct worker *worker, const char *name, const void *bytes, size_t nbytes,
                struct vta_error *error)
{
    int rc = check_name(worker, name, error);
    if (rc == 0)
        rc = check_room(worker, name, nbytes, error);
    if (rc != 0)
        return rc;
    /* A mapped library keeps its bytes: the old file is not written over but replaced. */
    const char *last;
    int folder = open_folder(worker, name, true, &last);
    if (folder < 0)
        return failed(name, "writing", error);
    if (unlinkat(folder, last, 0) != 0 && errno != ENOENT) {
        rc = failed(name, "replacing", error);
        close(folder);
        return rc;
    }
    close(folder);
    int fd = open_file(worker, name, O_WRONLY | O_CREAT | O_EXCL);
    if (fd < 0)
        return failed(name, "writing", error);
    if (write_all(fd, bytes, nbytes) != 0) {
        rc = failed(name, "writing", error);
        files_remove(worker, name, NULL);
    }
    close(fd);
    return rc;
}

/* Opens a regular file for reading; its size in *nbytes. */
static int open_regular(const struct worker *worker, const char *name, uint64_t *nbytes,
                        struct vta_error *error)
{
    struct stat info;
    int fd = open_file(worker, name, O_RDONLY);
    if (fd < 0)
        return failed(name, "reading", error);
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
        *nbytes = (uint64_t)info.st_size;
        return fd;
    }
    close(fd);
    return refuse(name, "it is no regular file", error);
}

static int read_all(int fd, char *bytes, size_t nbytes, size_t *got)
{
    for (*got = 0; *got < nbytes;) {
        ssize_t n = read(fd, bytes + *got, nbytes - *got);
        if (n < 0 && errno != EINTR)
            return -1;
        if (n == 0)
            return 0;
        if (n > 0)
            *got += (size_t)n;
    }
    return 0;
}

int files_read(struct worker *worker, const char *name, char **bytes, size_t *nbytes,
               struct vta_error *error)
{
    uint64_t size, most = worker->options.max_upload_bytes;
    int rc = check_name(worker, name, error);
    if (rc != 0)
        return rc;
    int fd = open_regular(worker, name, &size, error);
    if (fd < 0)
        return fd;
    char *read_bytes = NULL;
    if (size > most)
        rc = vta_error_limit(error, VTA_ELIMIT, (int64_t)most, (int64_t)size,
                             "reading '%.200s': %" PRIu64 " bytes pass the limit of %" PRIu64, name,
                             size, most);
    else if ((read_bytes = malloc((size_t)size + 1)) == NULL)
        rc = vta_error_set(error, VTA_ENOMEM, "reading '%.200s': no memory for %" PRIu64 " bytes",
                           name, size);
    else if (read_all(fd, read_bytes, (size_t)size, nbytes) != 0)
        rc = failed(name, "reading", error);
    close(fd);
    if (rc != 0)
        free(read_bytes);
    else
        *bytes = read_bytes;
    return rc;
}

int files_remove(struct worker *worker, const char *name, struct vta_error *error)
{
    const char *last;
    int rc = check_name(worker, name, error);
    if (rc != 0)
        return rc;
    int folder = open_folder(worker, name, false, &last);
    if (folder < 0)
        return failed(name, "removing", error);
    rc = unlinkat(folder, last, 0) == 0 ? 0 : failed(name, "removing", error);
    close(folder);
    return rc;
}

int files_path(struct worker *worker, const char *name, char **path, struct vta_error *error)
{
    int rc = check_name(worker, name, error);
    if (rc != 0)
        return rc;
    if (asprintf(path, "%s/%s", worker->scratch, name) >= 0)
        return 0;
    return vta_error_set(error, VTA_ENOMEM, "no memory for a path");
}

int files_existing(struct worker *worker, const char *name, char **path, struct vta_error *error)
{
    uint64_t nbytes;
    int rc = check_name(worker, name, error);
    if (rc != 0)
        return rc;
    int fd = open_regular(worker, name, &nbytes, error);
    if (fd < 0)
        return fd;
    close(fd);
    return files_path(worker, name, path, error);
}
