/* module_build.c: checks, unpacks and links what was uploaded (module_build.h). */
#include "module_build.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "elf_file.h"
#include "unpack.h"

#define MEMBERS_MAX   1024u
#define NAMED_SYMBOLS 8u /* in a message */

/* ---- Files --------------------------------------------------------------------------------- */

/* A whole file of at most `most` bytes. */
static int read_file(const char *path, const char *name, uint64_t most, uint8_t **bytes,
                     size_t *nbytes, struct vta_error *error)
{
    struct stat status;
    uint8_t *read_bytes = NULL;
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
    read_bytes = malloc((size_t)status.st_size + 1);
    while (read_bytes != NULL && n > 0 && have < (size_t)status.st_size) {
        n = read(fd, read_bytes + have, (size_t)status.st_size - have);
        have += n > 0 ? (size_t)n : 0;
    }
    close(fd);
    if (read_bytes == NULL || n < 0) {
        free(read_bytes);
        return vta_error_set(error, VTA_EIO, "%s: it cannot be read", name);
    }
    *bytes = read_bytes;
    *nbytes = have;
    return 0;
}

static int make_folder(struct module_build *build, const struct worker *worker,
                       struct vta_error *error)
{
    if (asprintf(&build->folder, "%s/.module-XXXXXX", worker->scratch) < 0) {
        build->folder = NULL;
        return vta_error_set(error, VTA_ENOMEM, "no memory for a module");
    }
    if (mkdtemp(build->folder) == NULL) {
        const int reason = errno;
        free(build->folder);
        build->folder = NULL;
        return vta_error_set(error, VTA_EIO, "%s: no folder to load it from: %s", build->name,
                             strerror(reason));
    }
    if (asprintf(&build->library, "%s/module.so", build->folder) < 0) {
        build->library = NULL;
        return vta_error_set(error, VTA_ENOMEM, "no memory for a module");
    }
    return 0;
}

void module_build_clear(struct module_build *build)
{
    for (uint32_t i = 0; i < build->object_count; i++)
        unlink(build->objects[i]);
    unpack_free(build->objects, build->object_count);
    if (build->library != NULL)
        unlink(build->library);
    if (build->folder != NULL)
        rmdir(build->folder);
    free(build->library);
    free(build->folder);
    free(build->bytes);
    memset(build, 0, sizeof *build);
}

/* ---- Linking ------------------------------------------------------------------------------- */

/* One object file, as if it had been in an archive. */
static int take_object(struct module_build *build, const uint8_t *bytes, size_t nbytes,
                       struct vta_error *error)
{
    char *path = NULL;
    build->objects = malloc(sizeof *build->objects);
    if (build->objects == NULL || asprintf(&path, "%s/0.o", build->folder) < 0)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a module");
    build->objects[build->object_count++] = path;
    return unpack_write_file(path, bytes, nbytes, error);
}

static int link_library(const struct module_build *build, struct vta_error *error)
{
    return vta_error_set(error, VTA_EUNSUPPORTED,
                         "%s: this server loads no object files; upload a shared library",
                         build->name);
}

static int take_archive(struct module_build *build, const struct worker *worker,
                        const uint8_t *bytes, size_t nbytes, struct vta_error *error)
{
    const struct unpack_limits limits = { .bytes = worker->options.max_upload_bytes,
                                          .members = MEMBERS_MAX };
    int rc = unpack_objects(bytes, nbytes, build->name, build->folder, &limits, &build->objects,
                            &build->object_count, error);
    return rc == 0 ? link_library(build, error) : rc;
}

/* Told by content. Takes *bytes over where the upload is the library. */
static int build_from(struct module_build *build, const struct worker *worker, uint8_t **bytes,
                      size_t nbytes, struct vta_error *error)
{
    enum elf_kind kind;
    int rc = elf_check(*bytes, nbytes, build->name, &kind, error);
    if (rc != 0)
        return rc;
    switch (kind) {
    case ELF_OBJECT:
        rc = take_object(build, *bytes, nbytes, error);
        return rc == 0 ? link_library(build, error) : rc;
    case ELF_LIBRARY:
        build->bytes = *bytes;
        build->nbytes = nbytes;
        *bytes = NULL;
        return unpack_write_file(build->library, build->bytes, nbytes, error);
    case ELF_NONE:
        break;
    }
    if (unpack_sniff(*bytes, nbytes))
        return take_archive(build, worker, *bytes, nbytes, error);
    return vta_error_set(error, VTA_EFORMAT,
                         "%s: neither an object file, a tar archive of them, nor a shared library",
                         build->name);
}

int module_build_make(struct module_build *build, struct worker *worker, const char *path,
                      struct vta_error *error)
{
    const char *slash = strrchr(path, '/');
    uint8_t *bytes = NULL;
    size_t nbytes = 0;
    *build = (struct module_build){ .name = slash != NULL ? slash + 1 : path };
    int rc = read_file(path, build->name, worker->options.max_upload_bytes, &bytes, &nbytes, error);
    if (rc == 0)
        rc = make_folder(build, worker, error);
    if (rc == 0)
        rc = build_from(build, worker, &bytes, nbytes, error);
    free(bytes);
    return rc;
}

/* ---- Explaining ---------------------------------------------------------------------------- */

struct missing {
    uint32_t count;
    size_t used;
    char text[VTA_ERROR_TEXT / 2];
};

static bool take_missing(void *context, const char *symbol)
{
    struct missing *missing = context;
    if (dlsym(RTLD_DEFAULT, symbol) != NULL)
        return true;
    if (missing->count++ < NAMED_SYMBOLS) {
        const size_t room = sizeof missing->text - missing->used;
        const int n = snprintf(missing->text + missing->used, room, "%s%.100s",
                               missing->used > 0 ? ", " : "", symbol);
        missing->used += n > 0 && (size_t)n < room ? (size_t)n : 0;
    }
    return true;
}

/* What stands behind the file's own name in dlerror's text: the name is ours, not the client's. */
static const char *without_path(const struct module_build *build, const char *reason)
{
    const size_t length = strlen(build->library);
    if (strncmp(reason, build->library, length) != 0)
        return reason;
    return reason + length + strspn(reason + length, ": ");
}

int module_build_explain(const struct module_build *build, const char *reason,
                         struct vta_error *error)
{
    static const char wanted[] = "undefined symbol: ";
    struct missing missing = { 0 };
    const char *text = without_path(build, reason);
    const char *symbol = strstr(text, wanted);
    if (symbol == NULL)
        return vta_error_set(error, VTA_EFORMAT, "%s: it cannot be loaded: %s", build->name, text);
    elf_undefined(build->bytes, build->nbytes, take_missing, &missing);
    if (missing.count == 0)
        return vta_error_set(error, VTA_ENOTFOUND, "%s: it wants a symbol that nobody has: %s",
                             build->name, symbol + sizeof wanted - 1);
    if (missing.count > NAMED_SYMBOLS)
        return vta_error_set(error, VTA_ENOTFOUND, "%s: it wants %u symbols that nobody has: %s, …",
                             build->name, missing.count, missing.text);
    return vta_error_set(error, VTA_ENOTFOUND, "%s: it wants symbols that nobody has: %s",
                         build->name, missing.text);
}
