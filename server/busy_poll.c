/* busy_poll.c: an idle handle, for as long as which libuv does not wait in the kernel.
 */
#include "busy_poll.h"

#include <sched.h>
#include <stdbool.h>
#include <sys/socket.h>

#define AWAY_NS  500000 /* between two looks: the scheduler had the processor do something else */
#define PAUSE_NS 250000000 /* after that */

static void on_idle(uv_idle_t *idle)
{
    struct busy_poll *poll = idle->data;
    uint64_t now = uv_hrtime();
    if (now - poll->seen_ns >= AWAY_NS)
        poll->not_until = now + PAUSE_NS;
    poll->seen_ns = now;
    if (now >= poll->until_ns || now < poll->not_until)
        uv_idle_stop(idle);
}

void busy_poll_open(struct busy_poll *poll, uv_loop_t *loop)
{
    *poll = (struct busy_poll){ 0 };
    uv_idle_init(loop, &poll->idle);
    uv_unref((uv_handle_t *)&poll->idle);
    poll->idle.data = poll;
}

/* Whether a peer on this machine sent its last bytes from the processor that this thread has. */
static bool shares_processor(int socket)
{
    int cpu;
    socklen_t size = sizeof cpu;
    return getsockopt(socket, SOL_SOCKET, SO_INCOMING_CPU, &cpu, &size) == 0 &&
           cpu == sched_getcpu();
}

void busy_poll_for(struct busy_poll *poll, uint64_t us, int socket)
{
    if (us == 0 || uv_is_closing((uv_handle_t *)&poll->idle))
        return;
    poll->seen_ns = uv_hrtime();
    poll->until_ns = poll->seen_ns + us * 1000;
    if (poll->seen_ns >= poll->not_until && !shares_processor(socket))
        uv_idle_start(&poll->idle, on_idle); /* nothing where it is active */
    else
        uv_idle_stop(&poll->idle);
}

void busy_poll_stop(struct busy_poll *poll)
{
    uv_idle_stop(&poll->idle);
}

void busy_poll_close(struct busy_poll *poll)
{
    if (!uv_is_closing((uv_handle_t *)&poll->idle))
        uv_close((uv_handle_t *)&poll->idle, NULL);
}
