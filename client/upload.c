/* upload.c: module files on their way to and from a session, and what it has of them. Loading is
 * in module.c.
 */
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vta/module.h>

/* ---- Host files ---------------------------------------------------------------------------- */

static int read_all(int fd, uint8_t *bytes, size_t nbytes, const char *path,
                    struct vta_error *error)
{
    for (size_t done = 0; done < nbytes;) {
        ssize_t got = read(fd, bytes + done, nbytes - done);
        if (got > 0)
            done += (size_t)got;
        else if (got == 0)
            return vta_error_set(error, VTA_EIO, "%s: became shorter while it was read", path);
        else if (errno != EINTR)
            return vta_error_set(error, VTA_EIO, "%s: %s", path, strerror(errno));
    }
    return 0;
}

/* The whole of a regular file of at most `limit` bytes; the caller frees *bytes. */
static int read_file(const char *path, uint64_t limit, uint8_t **bytes, size_t *nbytes,
                     struct vta_error *error)
{
    struct stat status;
    int rc = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    *bytes = NULL;
    *nbytes = 0;
    if (fd < 0 || fstat(fd, &status) != 0)
        rc = vta_error_set(error, errno == ENOENT ? VTA_ENOTFOUND : VTA_EIO, "%s: %s", path,
                           strerror(errno));
    else if (!S_ISREG(status.st_mode))
        rc = vta_error_set(error, VTA_EINVAL, "%s: not a regular file", path);
    else if ((uint64_t)status.st_size > limit)
        rc = vta_error_limit(error, VTA_ELIMIT, (int64_t)limit, status.st_size,
                             "%s: %llu bytes pass the limit (upload_bytes), %llu", path,
                             (unsigned long long)status.st_size, (unsigned long long)limit);
    else if ((*bytes = malloc((size_t)status.st_size + 1)) == NULL)
        rc = vta_error_set(error, VTA_ENOMEM, "%s: no memory for %llu bytes", path,
                           (unsigned long long)status.st_size);
    else
        rc = read_all(fd, *bytes, *nbytes = (size_t)status.st_size, path, error);
    if (fd >= 0)
        close(fd);
    if (rc != 0)
        free(*bytes);
    return rc;
}

/* ---- Upload -------------------------------------------------------------------------------- */

static int upload_whole(struct vta_session *session, const char *name, const void *bytes,
                        size_t nbytes, struct vta_error *error)
{
    struct vta_bulk_part part = { .blob = bytes, .nbytes = nbytes };

    msgpack_packer *packer = vta_request_begin(session, "module.upload", 2);
    vta_pack_str(packer, name);
    msgpack_pack_bin(packer, nbytes);
    return vta_request_call(session, VTA_PATIENT, &part, NULL, error);
}

/* Best effort: the failure that led here is what the caller hears. */
static void abort_upload(struct vta_session *session, uint64_t handle)
{
    if (!session->open)
        return;
    msgpack_pack_uint64(vta_request_begin(session, "module.upload_abort", 1), handle);
    vta_request_call(session, VTA_PROMPT, NULL, NULL, NULL);
}

static int upload_chunks(struct vta_session *session, const char *name, const void *bytes,
                         size_t nbytes, struct vta_error *error)
{
    const msgpack_object *result;
    struct vta_error reason;
    uint64_t handle;

    msgpack_packer *packer = vta_request_begin(session, "module.upload_begin", 2);
    vta_pack_str(packer, name);
    msgpack_pack_uint64(packer, nbytes);
    int rc = vta_request_call(session, VTA_PROMPT, NULL, &result, error);
    if (rc != 0)
        return rc;
    if (vta_get_uint(result, UINT64_MAX, &handle, "result", &reason) != 0)
        return vta_session_bad_result(session, "module.upload_begin", &reason, error);

    struct vta_bulk bulk = { .what = name,
                             .method = "module.upload_chunk",
                             .handle = handle,
                             .from = bytes,
                             .total = nbytes };
    rc = vta_bulk_move(session, &bulk, error);
    if (rc == 0) {
        msgpack_pack_uint64(vta_request_begin(session, "module.upload_end", 1), handle);
        rc = vta_request_call(session, VTA_PATIENT, NULL, NULL, error);
    }
    if (rc != 0)
        abort_upload(session, handle);
    return rc;
}

int vta_upload_bytes(struct vta_session *session, const char *name, const void *bytes,
                     size_t nbytes, struct vta_error *error)
{
    int rc = vta_session_usable(session, error);

    if (rc != 0)
        return rc;
    if (nbytes <= vta_bulk_write_chunk(session))
        return upload_whole(session, name, bytes, nbytes, error);
    return upload_chunks(session, name, bytes, nbytes, error);
}

int vta_upload(struct vta_session *session, const char *path, const char *name,
               struct vta_error *error)
{
    uint8_t *bytes = NULL;
    size_t nbytes = 0;
    int rc = vta_session_usable(session, error);

    if (rc == 0)
        rc = read_file(path, session->info.upload_bytes, &bytes, &nbytes, error);
    if (rc != 0)
        return rc;
    if (name == NULL) {
        const char *slash = strrchr(path, '/');
        name = slash != NULL ? slash + 1 : path;
    }
    rc = vta_upload_bytes(session, name, bytes, nbytes, error);
    free(bytes);
    return rc;
}

/* ---- What the session has ------------------------------------------------------------------ */

static int read_info(const msgpack_object *map, struct vta_module_info *info,
                     struct vta_error *error)
{
    int rc =
        vta_get_text(vta_result_get(map, "name"), info->name, sizeof info->name - 1, "name", error);

    if (rc == 0)
        rc = vta_get_uint(vta_result_get(map, "bytes"), UINT64_MAX, &info->bytes, "bytes", error);
    if (rc == 0)
        rc = vta_get_text(vta_result_get(map, "digest"), info->digest, sizeof info->digest - 1,
                          "digest", error);
    if (rc == 0)
        rc = vta_get_bool(vta_result_get(map, "stored"), &info->stored, "stored", error);
    return rc;
}

int vta_list_modules(struct vta_session *session, struct vta_module_info **list, size_t *count,
                     struct vta_error *error)
{
    const msgpack_object *result;
    struct vta_error reason;

    *list = NULL;
    *count = 0;
    vta_request_begin(session, "module.list", 0);
    int rc = vta_request_call(session, VTA_PATIENT, NULL, &result, error);
    if (rc != 0)
        return rc;
    if (result->type != MSGPACK_OBJECT_ARRAY) {
        vta_error_set(&reason, VTA_EPROTO, "expected an array");
        return vta_session_bad_result(session, "module.list", &reason, error);
    }
    size_t entries = result->via.array.size;
    struct vta_module_info *infos = calloc(entries + 1, sizeof *infos);
    if (infos == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a list of %zu modules", entries);
    for (size_t i = 0; i < entries; i++)
        if (read_info(&result->via.array.ptr[i], &infos[i], &reason) != 0) {
            free(infos);
            return vta_session_bad_result(session, "module.list", &reason, error);
        }
    *list = infos;
    *count = entries;
    return 0;
}

int vta_remove(struct vta_session *session, const char *name, struct vta_error *error)
{
    vta_pack_str(vta_request_begin(session, "module.remove", 1), name);
    return vta_request_call(session, VTA_PATIENT, NULL, NULL, error);
}

/* ---- Download ------------------------------------------------------------------------------ */

static int stat_module(struct vta_session *session, const char *name, struct vta_module_info *info,
                       struct vta_error *error)
{
    const msgpack_object *result;
    struct vta_error reason;

    vta_pack_str(vta_request_begin(session, "module.stat", 1), name);
    int rc = vta_request_call(session, VTA_PATIENT, NULL, &result, error);
    if (rc == 0 && read_info(result, info, &reason) != 0)
        return vta_session_bad_result(session, "module.stat", &reason, error);
    return rc;
}

/* Whether the bytes are those whose digest was announced: another session may have replaced the
 * module meanwhile. */
static int check_digest(const uint8_t *bytes, size_t nbytes, const struct vta_module_info *info,
                        struct vta_error *error)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t digest[VTA_DIGEST_BYTES];
    char hex[2 * VTA_DIGEST_BYTES + 1] = "";

    vta_digest(bytes, nbytes, digest);
    for (size_t i = 0; i < VTA_DIGEST_BYTES; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    if (strcmp(hex, info->digest) == 0)
        return 0;
    return vta_error_set(error, VTA_EDIGEST,
                         "%s: changed while it was downloaded (digest %s, not %s)", info->name, hex,
                         info->digest);
}

#define DOWNLOAD_MAX ((uint64_t)1 << 32) /* no module file is larger than a board's DRAM */

int vta_download(struct vta_session *session, const char *name, void **bytes, size_t *nbytes,
                 struct vta_error *error)
{
    struct vta_module_info info;
    int rc = stat_module(session, name, &info, error);

    if (rc != 0)
        return rc;
    if (info.bytes > DOWNLOAD_MAX)
        return vta_error_limit(error, VTA_ELIMIT, (int64_t)DOWNLOAD_MAX, (int64_t)info.bytes,
                               "%s: %llu bytes pass the limit of a download, %llu", name,
                               (unsigned long long)info.bytes, (unsigned long long)DOWNLOAD_MAX);
    uint8_t *into = malloc((size_t)info.bytes + 1); /* pages appear as they are written */
    if (into == NULL)
        return vta_error_set(error, VTA_ENOMEM, "%s: no memory for %llu bytes", name,
                             (unsigned long long)info.bytes);
    struct vta_bulk bulk = {
        .what = name, .method = "module.download", .name = name, .into = into, .total = info.bytes
    };
    rc = vta_bulk_move(session, &bulk, error);
    if (rc == 0)
        rc = check_digest(into, (size_t)info.bytes, &info, error);
    if (rc != 0) {
        free(into);
        return rc;
    }
    *bytes = into;
    *nbytes = (size_t)info.bytes;
    return 0;
}
