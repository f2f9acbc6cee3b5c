/* wire.h: where a session's bytes come from and go to; blocking. A socket is one, memory another
 * (tests, fuzzing).
 */
#ifndef VTA_WORKER_WIRE_H
#define VTA_WORKER_WIRE_H

#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

struct wire {
    /* Up to nbytes, at least 1; 0 at the end; -1 with errno. */
    ssize_t (*read)(void *context, void *bytes, size_t nbytes);
    /* All of it, or -1 with errno. Changes the pieces. */
    int (*write)(void *context, struct iovec *pieces, int count);
    void *context;
};

struct wire wire_socket(const int *fd); /* *fd outlives it */

#endif
