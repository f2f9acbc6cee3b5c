/* job.c: the way of a slow call to a thread and back.
 */
#include "job.h"

#include <stdlib.h>
#include <string.h>

#include "connection.h"
#include "native.h"
#include "server.h"

#define RETRY_MS   10   /* between attempts to stop a run that has not begun */
#define ZONE_BYTES 1024 /* first chunk; a request has few values */

int job_new(struct job **made, struct native *native, struct vta_error *error)
{
    struct job *job = calloc(1, sizeof *job);
    if (job == NULL || !msgpack_zone_init(&job->zone, ZONE_BYTES)) {
        free(job);
        return vta_error_set(error, VTA_ENOMEM, "no memory for a call");
    }
    job->native = native;
    job->service = native->service;
    vta_reply_init(&job->reply);
    uv_timer_init(&native->connection->server->loop, &job->timer);
    job->timer.data = job;
    connection_hold(native->connection);
    *made = job;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct job *job = handle->data;
    connection_release(job->native->connection);
}

void job_close(struct job *job)
{
    if (!uv_is_closing((uv_handle_t *)&job->timer))
        uv_close((uv_handle_t *)&job->timer, on_timer_closed);
}

void job_free(struct job *job)
{
    if (job == NULL)
        return;
    free(job->bytes.data);
    msgpack_zone_destroy(&job->zone);
    vta_reply_clear(&job->reply);
    free(job);
}

/* ---- Stopping ------------------------------------------------------------------------------ */

static void on_timer(uv_timer_t *timer);

/* A run that has not begun cannot be stopped yet, so it is tried again until the call is over. */
static void try_to_stop(struct job *job)
{
    if (!vta_service_stop(job->service, job->stop) && !uv_is_closing((uv_handle_t *)&job->timer))
        uv_timer_start(&job->timer, on_timer, RETRY_MS, 0);
}

/* The deadline counts from when a thread took the call. */
static void watch_deadline(struct job *job)
{
    uint64_t begun = atomic_load(&job->begun_ns);
    uint64_t spent_ms = begun != 0 ? (uv_hrtime() - begun) / 1000000 : 0;
    if (spent_ms < job->deadline_ms) {
        uv_timer_start(&job->timer, on_timer, job->deadline_ms - spent_ms, 0);
        return;
    }
    job->state = JOB_STOPPING;
    job->stop = VTA_EDEADLINE;
    try_to_stop(job);
}

static void on_timer(uv_timer_t *timer)
{
    struct job *job = timer->data;
    switch (job->state) {
    case JOB_AT_WORK:
        watch_deadline(job);
        break;
    case JOB_STOPPING:
        try_to_stop(job);
        break;
    case JOB_FREE:
        break;
    }
}

void job_stop(struct job *job, int code)
{
    switch (job->state) {
    case JOB_AT_WORK:
        job->state = JOB_STOPPING;
        job->stop = code;
        break;
    case JOB_STOPPING: /* the first code stays */
        break;
    case JOB_FREE:
        return;
    }
    if (uv_cancel((uv_req_t *)&job->work) != 0)
        try_to_stop(job);
}

/* ---- Going and coming ---------------------------------------------------------------------- */

static void on_pool(uv_work_t *work)
{
    struct job *job = work->data;
    const struct vta_rpc_message *message = &job->message;
    atomic_store(&job->begun_ns, uv_hrtime());
    vta_service_call(job->service, message->msgid, message->method, message->method_length,
                     &message->params, &job->reply);
}

static void after_pool(uv_work_t *work, int status)
{
    struct job *job = work->data;
    struct native *native = job->native;
    job->state = JOB_FREE;
    native->connection->server->calls_at_work--;
    if (!uv_is_closing((uv_handle_t *)&job->timer))
        uv_timer_stop(&job->timer);
    native_job_done(native, status != UV_ECANCELED);
    connection_release(native->connection);
}

static bool runs(const struct vta_rpc_message *message)
{
    static const char *const names[] = { "run", "time_evaluator" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i]) == message->method_length &&
            memcmp(names[i], message->method, message->method_length) == 0)
            return true;
    return false;
}

int job_start(struct job *job, struct bytes *bytes, struct vta_error *error)
{
    struct native *native = job->native;
    job->bytes = *bytes;
    *bytes = (struct bytes){ 0 };
    msgpack_zone_clear(&job->zone);
    int rc = vta_rpc_decode(&job->message, job->bytes.data, job->bytes.length, &job->zone, error);
    if (rc != 0)
        return rc;

    struct vta_rpc_message *message = &job->message;
    job->state = JOB_AT_WORK;
    job->is_run = runs(message);
    atomic_store(&job->begun_ns, 0);
    job->deadline_ms = vta_service_deadline(job->service, message->method, message->method_length,
                                            &message->params);
    if (job->deadline_ms > 0)
        uv_timer_start(&job->timer, on_timer, job->deadline_ms, 0);
    job->work.data = job;
    connection_hold(native->connection);
    native->connection->server->calls_at_work++;
    busy_poll_stop(&native->connection->server->busy_poll);
    uv_queue_work(&native->connection->server->loop, &job->work, on_pool, after_pool);
    return 0;
}
