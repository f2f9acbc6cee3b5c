/* fake.h: a daemon that says what a test tells it to, in a thread.
 */
#ifndef VTA_TESTS_CLIENT_FAKE_H
#define VTA_TESTS_CLIENT_FAKE_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include <vta/client.h>

/* What the fake does once it has answered hello properly: it waits for the first byte of the next
 * request, sends `bytes`, and then... */
enum fake_end {
    FAKE_CLOSES, /* closes at once */
    FAKE_WAITS   /* stays silent until the client closes */
};

struct fake {
    int listener, port;
    pthread_t thread;
    const void *bytes;
    size_t nbytes;
    enum fake_end end;
    bool hello;
    size_t hears; /* bytes that it still takes before FAKE_CLOSES; set before the client connects */
};

/* hello false: the bytes are the answer to hello. */
void fake_start(struct fake *fake, bool hello, const void *bytes, size_t nbytes, enum fake_end end);
/* After the client has closed. */
void fake_join(struct fake *fake);
/* A session with a fake that says hello. */
struct vta_session *fake_connect(const struct fake *fake, unsigned timeout_ms);

#endif
