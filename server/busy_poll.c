/* busy_poll.c: an idle handle, for as long as which libuv does not wait in the kernel.
 */
#include "busy_poll.h"

static void on_idle(uv_idle_t *idle)
{
    struct busy_poll *poll = idle->data;
    if (!awake_still(&poll->awake))
        uv_idle_stop(idle);
}

void busy_poll_open(struct busy_poll *poll, uv_loop_t *loop)
{
    *poll = (struct busy_poll){ 0 };
    uv_idle_init(loop, &poll->idle);
    uv_unref((uv_handle_t *)&poll->idle);
    poll->idle.data = poll;
}

void busy_poll_for(struct busy_poll *poll, uint64_t us, int socket)
{
    if (uv_is_closing((uv_handle_t *)&poll->idle))
        return;
    if (awake_begin(&poll->awake, us, socket))
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
