/* upload.c: reads uploads; unpacks archives with libarchive (upload.h). */
#include "upload.h"

#include <archive.h>
#include <archive_entry.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEMBERS_MAX  1024u /* of an archive, of any kind */
#define TAR_BLOCK    512u
#define TAR_MAGIC_AT 257u
#define FIRST_BYTES  (64u << 10)

void upload_clear(struct upload *upload)
{
    for (uint32_t i = 0; i < upload->count; i++) {
        free((char *)upload->files[i].name);
        free((uint8_t *)upload->files[i].bytes);
    }
    free(upload->files);
    free(upload->name);
    *upload = (struct upload){ 0 };
}

/* A whole file of at most `most` bytes. */
static int read_file(const char *path, const char *name, uint64_t most, uint8_t **bytes,
                     size_t *nbytes, struct vta_error *error)
{
    struct stat status;
    size_t have = 0;
    ssize_t n = 1;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return vta_error_set(error, VTA_EIO, "%s: %s", name, strerror(errno));
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || (uint64_t)status.st_size > most) {
        close(fd);
        return vta_error_set(error, VTA_EIO, "%s: not a file of at most %" PRIu64 " bytes", name,
                             most);
    }
    uint8_t *content = malloc((size_t)status.st_size + 1);
    while (content != NULL && n > 0 && have < (size_t)status.st_size) {
        n = read(fd, content + have, (size_t)status.st_size - have);
        have += n > 0 ? (size_t)n : 0;
    }
    close(fd);
    if (content == NULL || n < 0) {
        free(content);
        return vta_error_set(error, VTA_EIO, "%s: it cannot be read", name);
    }
    *bytes = content;
    *nbytes = have;
    return 0;
}

/* Adds a file; takes `name` (NULL: no memory for it) and `bytes` over, also after a failure. */
static int add(struct upload *upload, char *name, uint8_t *bytes, size_t nbytes,
               struct vta_error *error)
{
    struct image_file *files =
        name != NULL ? realloc(upload->files, (upload->count + 1) * sizeof *files) : NULL;
    if (files == NULL) {
        free(name);
        free(bytes);
        return vta_error_set(error, VTA_ENOMEM, "no memory to load %s", upload->name);
    }
    upload->files = files;
    files[upload->count++] = (struct image_file){ .name = name, .bytes = bytes, .nbytes = nbytes };
    return 0;
}

/* ---- Archives ------------------------------------------------------------------------------ */

struct unpacking {
    struct archive *archive;
    struct upload *upload;
    uint64_t most, unpacked;
    uint32_t members;
};

static bool is_elf(const uint8_t *bytes, size_t nbytes)
{
    return nbytes >= SELFMAG && memcmp(bytes, ELFMAG, SELFMAG) == 0;
}

static bool is_archive(const uint8_t *bytes, size_t nbytes)
{
    if (nbytes >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b)
        return true;
    return nbytes >= TAR_BLOCK && memcmp(bytes + TAR_MAGIC_AT, "ustar", 5) == 0;
}

static int damaged(const struct unpacking *unpacking, struct vta_error *error)
{
    const char *reason = archive_error_string(unpacking->archive);
    return vta_error_set(error, VTA_EFORMAT, "%s: a damaged archive: %s", unpacking->upload->name,
                         reason != NULL ? reason : "it cannot be read");
}

/* A member's bytes; they grow with what is really there. */
static int read_member(struct unpacking *unpacking, uint8_t **result, size_t *nbytes,
                       struct vta_error *error)
{
    const char *name = unpacking->upload->name;
    size_t capacity = 0, used = 0;
    uint8_t *bytes = NULL;
    int rc = 0;
    for (;;) {
        if (used == capacity) {
            capacity = capacity == 0 ? FIRST_BYTES : capacity * 2;
            uint8_t *more = realloc(bytes, capacity);
            if (more == NULL) {
                rc = vta_error_set(error, VTA_ENOMEM, "%s: no memory for a member of %zu bytes",
                                   name, capacity);
                break;
            }
            bytes = more;
        }
        const la_ssize_t n = archive_read_data(unpacking->archive, bytes + used, capacity - used);
        if (n <= 0) {
            rc = n < 0 ? damaged(unpacking, error) : 0;
            break;
        }
        used += (size_t)n;
        unpacking->unpacked += (size_t)n;
        if (unpacking->unpacked > unpacking->most) {
            rc = vta_error_limit(
                error, VTA_ELIMIT, (int64_t)unpacking->most, (int64_t)unpacking->unpacked,
                "%s: unpacks to more than %" PRIu64 " bytes", name, unpacking->most);
            break;
        }
    }
    if (rc != 0)
        free(bytes);
    else
        *result = bytes;
    *nbytes = used;
    return rc;
}

/* Keeps a member if it is an object. */
static int take_member(struct unpacking *unpacking, struct archive_entry *entry,
                       struct vta_error *error)
{
    struct upload *upload = unpacking->upload;
    const char *member = archive_entry_pathname(entry);
    uint8_t *bytes = NULL;
    size_t nbytes = 0;
    unsigned machine = 0;
    bool library = true;
    char *name = NULL;
    if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != NULL)
        return 0;
    int rc = read_member(unpacking, &bytes, &nbytes, error);
    if (rc != 0)
        return rc;
    if (asprintf(&name, "%s: %s", upload->name, member != NULL ? member : "a member") < 0)
        name = NULL;
    if (name != NULL && is_elf(bytes, nbytes)) {
        const struct image_file file = { .name = name, .bytes = bytes, .nbytes = nbytes };
        rc = image_identify(&file, &machine, &library, error);
    }
    if (name != NULL && (rc != 0 || library)) {
        free(name);
        free(bytes);
        return rc;
    }
    if (upload->count == 0)
        upload->machine = machine;
    return add(upload, name, bytes, nbytes, error);
}

static int take_members(struct unpacking *unpacking, struct vta_error *error)
{
    const char *name = unpacking->upload->name;
    struct archive_entry *entry;
    int rc = 0, status;
    while (rc == 0 &&
           (status = archive_read_next_header(unpacking->archive, &entry)) != ARCHIVE_EOF) {
        if (status != ARCHIVE_OK && status != ARCHIVE_WARN)
            return damaged(unpacking, error);
        if (++unpacking->members > MEMBERS_MAX)
            return vta_error_limit(error, VTA_ELIMIT, MEMBERS_MAX, unpacking->members,
                                   "%s: an archive of more than %u members", name, MEMBERS_MAX);
        rc = take_member(unpacking, entry, error);
    }
    if (rc == 0 && unpacking->upload->count == 0)
        rc = vta_error_set(error, VTA_EFORMAT,
                           "%s: an archive of %u members, none of which is an object file", name,
                           unpacking->members);
    return rc;
}

static int unpack(struct upload *upload, const uint8_t *bytes, size_t nbytes, uint64_t most,
                  struct vta_error *error)
{
    struct unpacking unpacking = { .archive = archive_read_new(), .upload = upload, .most = most };
    if (unpacking.archive == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory to load %s", upload->name);
    archive_read_support_filter_gzip(unpacking.archive);
    archive_read_support_format_tar(unpacking.archive);
    int rc = archive_read_open_memory(unpacking.archive, bytes, nbytes) == ARCHIVE_OK
                 ? take_members(&unpacking, error)
                 : damaged(&unpacking, error);
    archive_read_free(unpacking.archive);
    return rc;
}

/* ---- Uploads ------------------------------------------------------------------------------- */

static int take_file(struct upload *upload, uint8_t *bytes, size_t nbytes, uint64_t most,
                     struct vta_error *error)
{
    const struct image_file file = { .name = upload->name, .bytes = bytes, .nbytes = nbytes };
    int rc;
    if (is_elf(bytes, nbytes)) {
        rc = image_identify(&file, &upload->machine, &upload->library, error);
        if (rc == 0)
            return add(upload, strdup(upload->name), bytes, nbytes, error);
    } else if (is_archive(bytes, nbytes)) {
        rc = unpack(upload, bytes, nbytes, most, error);
    } else {
        rc =
            vta_error_set(error, VTA_EFORMAT,
                          "%s: neither an object file, a tar archive of them, nor a shared library",
                          upload->name);
    }
    free(bytes);
    return rc;
}

int upload_take(struct upload *upload, const char *name, uint8_t *bytes, size_t nbytes,
                uint64_t most, struct vta_error *error)
{
    *upload = (struct upload){ .name = strdup(name) };
    if (upload->name == NULL) {
        free(bytes);
        return vta_error_set(error, VTA_ENOMEM, "no memory to load a module");
    }
    int rc = take_file(upload, bytes, nbytes, most, error);
    if (rc != 0)
        upload_clear(upload);
    return rc;
}

int upload_read(struct upload *upload, const char *path, uint64_t most, struct vta_error *error)
{
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    uint8_t *bytes;
    size_t nbytes;
    int rc = read_file(path, name, most, &bytes, &nbytes, error);
    return rc == 0 ? upload_take(upload, name, bytes, nbytes, most, error) : rc;
}
