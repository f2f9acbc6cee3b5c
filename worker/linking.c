/* linking.c: the worker's side of linking: asks, passes objects, takes the library.
 */
#include "linking.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "channel.h"

/* Fails with a reason that came as a message. */
static int fail_with(struct vta_error *error, const struct channel_head *head, const char *text,
                     size_t nbytes)
{
    return vta_error_set(error, head->number < 0 ? head->number : VTA_EINTERNAL, "%.*s",
                         (int)(nbytes < VTA_ERROR_TEXT ? nbytes : VTA_ERROR_TEXT), text);
}

/* The daemon's answer: a socket to a linker process, or the reason why there is none (any more).
 * What it has said about an earlier link is passed over. */
static int receive_linker(uint64_t id, char *text, int *linker, struct vta_error *error)
{
    struct channel_head head;
    size_t nbytes;
    do
        if (!channel_receive(CHANNEL_FD, &head, text, &nbytes, linker, true) ||
            head.type != CHANNEL_LINKED)
            return vta_error_set(error, VTA_EINTERNAL, "linking: the server did not answer");
    while (head.id != id);
    return *linker >= 0 ? 0 : fail_with(error, &head, text, nbytes);
}

/* One message. A linker that has given up says why in its result: *gone. */
static int say(int linker, const struct channel_head *head, const char *bytes, size_t nbytes,
               bool *gone, struct vta_error *error)
{
    if (*gone || channel_send(linker, head, bytes, nbytes, -1, true) == 0)
        return 0;
    *gone = errno == EPIPE || errno == ECONNRESET;
    return *gone ? 0 : vta_error_set(error, VTA_EIO, "linking: %s", strerror(errno));
}

static int send_object(int linker, const char *path, uint32_t count, char *bytes,
                       struct vta_error *error)
{
    struct channel_head head = { .type = LINK_OBJECT, .number = (int32_t)count };
    struct stat st = { 0 };
    bool gone = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) != 0) {
        if (fd >= 0)
            close(fd);
        return vta_error_set(error, VTA_EIO, "%s: %s", path, strerror(errno));
    }
    head.id = (uint64_t)st.st_size;
    int rc = say(linker, &head, NULL, 0, &gone, error);
    for (uint64_t left = head.id; left > 0 && rc == 0 && !gone;) {
        ssize_t n = read(fd, bytes, left < LINK_PIECE ? (size_t)left : LINK_PIECE);
        head = (struct channel_head){ .type = LINK_BYTES };
        rc = n > 0 ? say(linker, &head, bytes, (size_t)n, &gone, error)
                   : vta_error_set(error, VTA_EIO, "%s: %s", path,
                                   n < 0 ? strerror(errno) : "it has become shorter");
        left -= n > 0 ? (uint64_t)n : 0;
    }
    close(fd);
    return rc;
}

static int copy_out(int from, uint64_t nbytes, const char *output, char *bytes, size_t size,
                    struct vta_error *error)
{
    int to = open(output, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    uint64_t done = 0;
    bool good = to >= 0;
    while (good && done < nbytes) {
        ssize_t n = pread(from, bytes, nbytes - done < size ? nbytes - done : size, (off_t)done);
        for (ssize_t at = 0, put; n > 0 && at < n; at += put)
            if ((put = write(to, bytes + at, (size_t)(n - at))) <= 0) {
                n = -1;
                break;
            }
        good = n > 0;
        done += good ? (uint64_t)n : 0;
    }
    int reason = errno;
    if (to >= 0)
        close(to);
    if (good)
        return 0;
    if (to >= 0)
        unlink(output);
    return vta_error_set(error, VTA_EIO, "%s: %s", output, strerror(reason));
}

int link_objects(const char *const *objects, uint32_t count, const char *output,
                 struct vta_error *error)
{
    static char bytes[CHANNEL_PAYLOAD_MAX];
    static uint64_t last_id;
    const uint64_t id = ++last_id;
    struct channel_head head = { .type = CHANNEL_LINK, .id = id };
    size_t nbytes;
    int linker = -1, library = -1;
    if (count == 0 || count > CHANNEL_OBJECTS_MAX)
        return vta_error_limit(error, VTA_ELIMIT, CHANNEL_OBJECTS_MAX, count,
                               "linking: %u object files, the limit is %d", (unsigned)count,
                               CHANNEL_OBJECTS_MAX);
    if (channel_send(CHANNEL_FD, &head, NULL, 0, -1, true) != 0)
        return vta_error_set(error, VTA_EIO, "linking: %s", strerror(errno));
    int rc = receive_linker(id, bytes, &linker, error);
    for (uint32_t i = 0; i < count && rc == 0; i++)
        rc = send_object(linker, objects[i], count, bytes, error);
    if (rc != 0)
        goto done;
    if (!channel_receive(linker, &head, bytes, &nbytes, &library, true)) {
        /* It was killed, and the daemon knows why. */
        close(linker);
        linker = -1;
        rc = receive_linker(id, bytes, &linker, error);
        if (rc == 0)
            rc = vta_error_set(error, VTA_EINTERNAL, "linking: the linker ended without a result");
    } else if (library < 0) {
        rc = fail_with(error, &head, bytes, nbytes);
    } else {
        rc = copy_out(library, head.id, output, bytes, sizeof bytes, error);
    }
done:
    if (library >= 0)
        close(library);
    if (linker >= 0)
        close(linker);
    return rc;
}
