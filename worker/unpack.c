/* unpack.c: unpacks object files with libarchive (unpack.h). */
#include "unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "elf_file.h"

#define BLOCK       512u
#define MAGIC_AT    257u
#define FIRST_BYTES (64u << 10)

struct unpacking {
    struct archive *archive;
    const char *name, *folder;
    const struct unpack_limits *limits;
    uint64_t unpacked;
    uint32_t seen;
    char **paths;
    uint32_t count, capacity;
};

bool unpack_sniff(const uint8_t *bytes, size_t nbytes)
{
    if (nbytes >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b)
        return true;
    return nbytes >= BLOCK && memcmp(bytes + MAGIC_AT, "ustar", 5) == 0;
}

void unpack_free(char **paths, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        free(paths[i]);
    free(paths);
}

int unpack_write_file(const char *path, const void *bytes, size_t nbytes, struct vta_error *error)
{
    const char *at = bytes;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    while (fd >= 0 && nbytes > 0) {
        const ssize_t n = write(fd, at, nbytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        at += n;
        nbytes -= (size_t)n;
    }
    const int reason = errno;
    if (fd >= 0 && close(fd) == 0 && nbytes == 0)
        return 0;
    if (fd >= 0)
        unlink(path);
    return vta_error_set(error, VTA_EIO, "a file for a module cannot be written: %s",
                         strerror(reason));
}

/* ---- Members ------------------------------------------------------------------------------- */

static int damaged(const struct unpacking *unpacking, struct vta_error *error)
{
    const char *reason = archive_error_string(unpacking->archive);
    return vta_error_set(error, VTA_EFORMAT, "%s: a damaged archive: %s", unpacking->name,
                         reason != NULL ? reason : "it cannot be read");
}

/* A member's bytes; they grow with what is really there. */
static int read_member(struct unpacking *unpacking, uint8_t **result, size_t *nbytes,
                       struct vta_error *error)
{
    size_t capacity = 0, used = 0;
    uint8_t *bytes = NULL;
    for (;;) {
        if (used == capacity) {
            capacity = capacity == 0 ? FIRST_BYTES : capacity * 2;
            uint8_t *more = realloc(bytes, capacity);
            if (more == NULL) {
                free(bytes);
                return vta_error_set(error, VTA_ENOMEM, "%s: no memory for a member of %zu bytes",
                                     unpacking->name, capacity);
            }
            bytes = more;
        }
        const la_ssize_t n = archive_read_data(unpacking->archive, bytes + used, capacity - used);
        if (n == 0)
            break;
        if (n < 0) {
            free(bytes);
            return damaged(unpacking, error);
        }
        used += (size_t)n;
        unpacking->unpacked += (size_t)n;
        if (unpacking->unpacked > unpacking->limits->bytes) {
            free(bytes);
            return vta_error_limit(error, VTA_ELIMIT, (int64_t)unpacking->limits->bytes,
                                   (int64_t)unpacking->unpacked,
                                   "%s: unpacks to more than %" PRIu64 " bytes", unpacking->name,
                                   unpacking->limits->bytes);
        }
    }
    *result = bytes;
    *nbytes = used;
    return 0;
}

static int add_path(struct unpacking *unpacking, char **path, struct vta_error *error)
{
    if (unpacking->count == unpacking->capacity) {
        uint32_t capacity = unpacking->capacity == 0 ? 8 : unpacking->capacity * 2;
        char **paths = realloc(unpacking->paths, capacity * sizeof *paths);
        if (paths == NULL)
            return vta_error_set(error, VTA_ENOMEM, "no memory to unpack %s", unpacking->name);
        unpacking->paths = paths;
        unpacking->capacity = capacity;
    }
    if (asprintf(path, "%s/%u.o", unpacking->folder, unpacking->count) < 0)
        return vta_error_set(error, VTA_ENOMEM, "no memory to unpack %s", unpacking->name);
    unpacking->paths[unpacking->count++] = *path;
    return 0;
}

static int unpack_member(struct unpacking *unpacking, struct archive_entry *entry,
                         struct vta_error *error)
{
    uint8_t *bytes = NULL;
    size_t nbytes = 0;
    enum elf_kind kind;
    char *path, what[256];
    if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != NULL)
        return 0;
    const char *member = archive_entry_pathname(entry);
    snprintf(what, sizeof what, "%s: %s", unpacking->name, member != NULL ? member : "a member");
    int rc = read_member(unpacking, &bytes, &nbytes, error);
    if (rc == 0)
        rc = elf_check(bytes, nbytes, what, &kind, error);
    if (rc == 0 && kind == ELF_OBJECT) {
        rc = add_path(unpacking, &path, error);
        if (rc == 0)
            rc = unpack_write_file(path, bytes, nbytes, error);
    }
    free(bytes);
    return rc;
}

static int unpack_all(struct unpacking *unpacking, struct vta_error *error)
{
    struct archive_entry *entry;
    for (;;) {
        const int status = archive_read_next_header(unpacking->archive, &entry);
        if (status == ARCHIVE_EOF)
            break;
        if (status != ARCHIVE_OK && status != ARCHIVE_WARN)
            return damaged(unpacking, error);
        if (++unpacking->seen > unpacking->limits->members)
            return vta_error_limit(error, VTA_ELIMIT, unpacking->limits->members, unpacking->seen,
                                   "%s: an archive of more than %u members", unpacking->name,
                                   unpacking->limits->members);
        int rc = unpack_member(unpacking, entry, error);
        if (rc != 0)
            return rc;
    }
    if (unpacking->count > 0)
        return 0;
    return vta_error_set(error, VTA_EFORMAT,
                         "%s: an archive of %u members, none of which is an object file",
                         unpacking->name, unpacking->seen);
}

int unpack_objects(const uint8_t *bytes, size_t nbytes, const char *name, const char *folder,
                   const struct unpack_limits *limits, char ***paths, uint32_t *count,
                   struct vta_error *error)
{
    struct unpacking unpacking = {
        .archive = archive_read_new(), .name = name, .folder = folder, .limits = limits
    };
    int rc;
    if (unpacking.archive == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory to unpack %s", name);
    archive_read_support_filter_gzip(unpacking.archive);
    archive_read_support_format_tar(unpacking.archive);
    if (archive_read_open_memory(unpacking.archive, bytes, nbytes) != ARCHIVE_OK)
        rc = damaged(&unpacking, error);
    else
        rc = unpack_all(&unpacking, error);
    archive_read_free(unpacking.archive);
    if (rc != 0) {
        unpack_free(unpacking.paths, unpacking.count);
        return rc;
    }
    *paths = unpacking.paths;
    *count = unpacking.count;
    return 0;
}
