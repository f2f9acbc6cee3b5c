/* job.h: one slow call on the thread pool: its message and its reply.
 *
 * A connection has one, which is used again and again; it holds the connection while it is at
 * work. How long a call may take, and that it was stopped, the service knows (service.h).
 */
#ifndef VTA_SERVER_JOB_H
#define VTA_SERVER_JOB_H

#include <msgpack.h>
#include <uv.h>

#include "inbox.h"
#include "proto/rpc.h"
#include "service/service.h"

struct native;

struct job {
    uv_work_t work;
    struct native *native;
    struct vta_service *service;
    bool at_work; /* waits for a thread, or has one */
    struct bytes bytes;
    msgpack_zone zone;
    struct vta_rpc_message message; /* points into bytes and zone */
    struct vta_reply reply;
};

int job_new(struct job **job, struct native *native, struct vta_error *error);

/* Takes the message over. Afterwards native_job_done is called from the loop. Returns 0,
 * VTA_EPROTO or VTA_ENOMEM. */
int job_start(struct job *job, struct bytes *bytes, struct vta_error *error);

/* Makes it end soon with this code, if it can still be stopped (vta_service_stop). */
void job_stop(struct job *job, int code);

/* One that was stopped while it waits for a thread need not wait any longer. */
void job_give_up_waiting(struct job *job);

void job_free(struct job *job); /* NULL is allowed */

/* In native.c: a reply is there; or, with a code, the call was stopped with it before it began. */
void native_job_done(struct native *native, int stopped);

#endif
