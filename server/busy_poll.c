/* busy_poll.c: an idle handle, for as long as which libuv does not wait in the kernel.
 */
#include "busy_poll.h"

#include <sched.h>

static void on_idle(uv_idle_t *idle)
{
    const struct busy_poll *poll = idle->data;
    if (uv_hrtime() >= poll->until_ns)
        uv_idle_stop(idle);
    else
        sched_yield(); /* the client may want this very processor */
}

void busy_poll_open(struct busy_poll *poll, uv_loop_t *loop)
{
    uv_idle_init(loop, &poll->idle);
    uv_unref((uv_handle_t *)&poll->idle);
    poll->idle.data = poll;
}

void busy_poll_for(struct busy_poll *poll, uint64_t us)
{
    if (us == 0 || uv_is_closing((uv_handle_t *)&poll->idle))
        return;
    poll->until_ns = uv_hrtime() + us * 1000;
    uv_idle_start(&poll->idle, on_idle); /* nothing where it is active */
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
