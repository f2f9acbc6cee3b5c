/* job.h: one slow call on the thread pool: its message, its deadline, its reply.
 *
 * A connection has one, which is used again and again; it holds the connection while it is at
 * work.
 *
 *     FREE ──start──▶ AT_WORK ──stop, deadline──▶ STOPPING
 *      ▲                 │                           │
 *      └─────────────────┴──────it has come back─────┘
 */
#ifndef VTA_SERVER_JOB_H
#define VTA_SERVER_JOB_H

#include <msgpack.h>
#include <stdatomic.h>
#include <uv.h>

#include "inbox.h"
#include "proto/rpc.h"
#include "service/service.h"

struct native;

enum job_state {
    JOB_FREE,
    JOB_AT_WORK, /* waits for a thread, or has one: begun_ns says which, as the thread knows it */
    JOB_STOPPING
};

struct job {
    uv_work_t work;
    uv_timer_t timer; /* deadline; repeats a stop that came before the run had begun */
    struct native *native;
    struct vta_service *service;
    enum job_state state;
    bool is_run; /* a method that `cancel` cancels */
    struct bytes bytes;
    msgpack_zone zone;
    struct vta_rpc_message message; /* points into bytes and zone */
    struct vta_reply reply;
    uint32_t deadline_ms;      /* 0: none */
    int stop;                  /* code that the run is to end with; from STOPPING on */
    _Atomic uint64_t begun_ns; /* uv_hrtime when a thread took it; 0: it waits for one */
};

int job_new(struct job **job, struct native *native, struct vta_error *error);

/* Takes the message over. Afterwards native_job_done is called from the loop. Returns 0,
 * VTA_EPROTO or VTA_ENOMEM. */
int job_start(struct job *job, struct bytes *bytes, struct vta_error *error);

/* Makes it end soon, whether it has begun or not. */
void job_stop(struct job *job, int code);

/* Closes the timer, which holds the connection. May be called again. */
void job_close(struct job *job);
void job_free(struct job *job); /* NULL is allowed */

/* In native.c: a reply is there, or the call was stopped before it began. */
void native_job_done(struct native *native, bool began);

#endif
