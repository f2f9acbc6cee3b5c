/* wire.c: a socket as a wire (wire.h). Sends without sendmsg, which a worker has not;
 * SIGPIPE is the process's affair.
 */
#include "wire.h"

#include <errno.h>
#include <sys/socket.h>

static ssize_t read_socket(void *context, void *bytes, size_t nbytes)
{
    ssize_t n;
    do
        n = recv(*(const int *)context, bytes, nbytes, 0);
    while (n < 0 && errno == EINTR);
    return n;
}

/* Takes sent bytes off the front; returns how many pieces are done. */
static int advance(struct iovec *pieces, int count, size_t sent)
{
    int done = 0;
    while (done < count && sent >= pieces[done].iov_len) {
        sent -= pieces[done].iov_len;
        done++;
    }
    if (done < count) {
        pieces[done].iov_base = (char *)pieces[done].iov_base + sent;
        pieces[done].iov_len -= sent;
    }
    return done;
}

/* One piece, as most answers are, goes out by the shorter way. */
static ssize_t send_pieces(int fd, const struct iovec *pieces, int count)
{
    return count == 1 ? send(fd, pieces->iov_base, pieces->iov_len, 0) : writev(fd, pieces, count);
}

static int write_socket(void *context, struct iovec *pieces, int count)
{
    int done = 0;
    while (done < count) {
        ssize_t n = send_pieces(*(const int *)context, pieces + done, count - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        done += advance(pieces + done, count - done, (size_t)n);
    }
    return 0;
}

struct wire wire_socket(const int *fd)
{
    return (struct wire){ .read = read_socket, .write = write_socket, .context = (void *)fd };
}
