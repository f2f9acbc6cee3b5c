/* job.c: the way of a slow call to a thread and back.
 */
#include "job.h"

#include <stdlib.h>

#include "connection.h"
#include "native.h"
#include "server.h"

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
    *made = job;
    return 0;
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

void job_stop(struct job *job, int code)
{
    if (vta_service_stop(job->service, code))
        job_give_up_waiting(job);
}

void job_give_up_waiting(struct job *job)
{
    uv_cancel((uv_req_t *)&job->work); /* fails where a thread has it, which is as well */
}

/* ---- Going and coming ---------------------------------------------------------------------- */

static void on_pool(uv_work_t *work)
{
    struct job *job = work->data;
    const struct vta_rpc_message *message = &job->message;
    vta_service_call(job->service, message->msgid, message->method, message->method_length,
                     &message->params, &job->reply);
}

static void after_pool(uv_work_t *work, int status)
{
    struct job *job = work->data;
    struct native *native = job->native;
    job->at_work = false;
    native->connection->server->calls_at_work--;
    native_job_done(native, status == UV_ECANCELED ? vta_service_withdraw(job->service) : 0);
    connection_release(native->connection);
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

    job->at_work = true;
    vta_service_announce(job->service);
    job->work.data = job;
    connection_hold(native->connection);
    native->connection->server->calls_at_work++;
    busy_poll_stop(&native->connection->server->busy_poll);
    uv_queue_work(&native->connection->server->loop, &job->work, on_pool, after_pool);
    return 0;
}
