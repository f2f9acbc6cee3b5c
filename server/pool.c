/* pool.c: how many workers there should be, and who gets the next one.
 */
#include "pool.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "server.h"

#define STARTING_MAX 4 /* at once; more would not be sooner ready */
#define REFILL_MS    4
#define RETRY_MS     100
#define RETRY_MAX_MS 10000

static const struct config *config_of(const struct pool *pool)
{
    return &pool->server->config;
}

/* The worker program: the configured one, or that of a build folder (server/vtad and
 * worker/vtad-worker), or where it is installed. */
static void find_program(struct pool *pool)
{
    static const char built[] = "../worker/vtad-worker";
    const char *configured = config_of(pool)->tvm_worker;
    ssize_t n = readlink("/proc/self/exe", pool->program, sizeof pool->program - sizeof built);
    while (n > 0 && pool->program[n - 1] != '/')
        n--;
    if (n > 0)
        memcpy(pool->program + n, built, sizeof built);
    if (configured != NULL || n <= 0 || access(pool->program, X_OK) != 0)
        snprintf(pool->program, sizeof pool->program, "%s",
                 configured != NULL ? configured : VTAD_WORKER);
}

/* ---- How many ------------------------------------------------------------------------------- */

/* Of the workers that can have a session, or have one. */
struct census {
    uint64_t starting, idle, sessions;
};

static struct census count(const struct pool *pool)
{
    struct census census = { 0 };
    for (const struct worker_process *each = pool->workers; each != NULL; each = each->next)
        switch (each->state) {
        case WORKER_STARTING:
            census.starting++;
            break;
        case WORKER_IDLE:
            census.idle++;
            break;
        case WORKER_SERVING:
        case WORKER_KILLED:
            census.sessions++;
            break;
        case WORKER_ABORTED:
        case WORKER_RETIRED:
        case WORKER_REAPED:
            break;
        }
    return census;
}

static void fail_all(struct pool *pool, const struct vta_error *error)
{
    while (pool->first != NULL) {
        struct pool_request *request = pool->first;
        pool_cancel(pool, request);
        request->failed(request, error);
    }
}

static void enter(struct pool *pool, enum pool_state state)
{
    uv_timer_stop(&pool->pause);
    pool->state = state;
}

static void on_pause_over(uv_timer_t *timer);

/* Starts none for a while, which doubles until a worker has lived to be given a session. */
static void pause_starts(struct pool *pool)
{
    uint64_t pause = pool->failed < 8 ? (uint64_t)RETRY_MS << pool->failed : RETRY_MAX_MS;
    switch (pool->state) {
    case POOL_RUNNING:
    case POOL_PAUSING: /* of several that were starting, each one counts */
        pool->failed++;
        enter(pool, POOL_PAUSING);
        uv_timer_start(&pool->pause, on_pause_over, pause < RETRY_MAX_MS ? pause : RETRY_MAX_MS, 0);
        break;
    case POOL_REFUSING: /* starts none anyway */
    case POOL_STOPPING:
    case POOL_CLOSED:
        break;
    }
}

/* A worker could not be started, or ended before it was ready. */
static void start_failed(struct pool *pool, const struct vta_error *error)
{
    log_error("a TVM worker could not be started: %s", error->message);
    pause_starts(pool);
    if (count(pool).starting == 0) /* else those who wait may still get one */
        fail_all(pool, error);
}

static void refuse(struct pool *pool, const struct vta_error *error)
{
    enter(pool, POOL_REFUSING);
    pool->refusal = *error;
    if (pool->refusal.code == 0)
        pool->refusal.code = VTA_EUNSUPPORTED;
    log_error("TVM sessions are refused: %s", error->message);
    fail_all(pool, error);
}

/* Starts one; false where that failed. */
static bool start_one(struct pool *pool)
{
    struct worker_process *worker;
    struct vta_error error = { .insn = -1 };
    if (worker_process_start(&worker, pool, &error) != 0) {
        start_failed(pool, &error);
        return false;
    }
    worker->previous = NULL;
    worker->next = pool->workers;
    if (worker->next != NULL)
        worker->next->previous = worker;
    pool->workers = worker;
    return true;
}

/* Starts as many as are waited for, and the next one; where nobody waits, one of those that should
 * be ready, so that the others leave the processors to the sessions. */
static void fill(struct pool *pool)
{
    const struct config *config = config_of(pool);
    struct census have = count(pool);
    bool hurry = pool->waiting > 0;
    uint64_t wanted = hurry && config->tvm_pool > 0 ? pool->waiting + 1
                      : hurry                       ? pool->waiting
                                                    : config->tvm_pool;
    uint64_t at_once = hurry ? STARTING_MAX : 1;
    if (wanted == 0 && !pool->box_known)
        wanted = 1; /* so that what a box lacks is known from the start */
    for (; have.starting + have.idle < wanted && have.starting < at_once; have.starting++)
        if (!start_one(pool))
            return;
}

static void on_refill(uv_timer_t *timer)
{
    struct pool *pool = timer->data;
    switch (pool->state) {
    case POOL_RUNNING:
        fill(pool);
        break;
    case POOL_PAUSING: /* its end fills the pool */
    case POOL_REFUSING:
    case POOL_STOPPING:
    case POOL_CLOSED:
        break;
    }
}

static void on_pause_over(uv_timer_t *timer)
{
    struct pool *pool = timer->data;
    switch (pool->state) {
    case POOL_PAUSING:
        enter(pool, POOL_RUNNING);
        fill(pool);
        break;
    case POOL_RUNNING:
    case POOL_REFUSING:
    case POOL_STOPPING:
    case POOL_CLOSED:
        break;
    }
}

/* A process that starts takes processors from the session that has just begun: where nobody waits
 * for it, it may come a little later. */
static void refill(struct pool *pool)
{
    switch (pool->state) {
    case POOL_RUNNING:
        if (pool->waiting > 0)
            fill(pool);
        else if (!uv_is_active((uv_handle_t *)&pool->refill))
            uv_timer_start(&pool->refill, on_refill, REFILL_MS, 0);
        break;
    case POOL_PAUSING:
    case POOL_REFUSING:
    case POOL_STOPPING:
    case POOL_CLOSED:
        break;
    }
}

/* ---- Who gets one --------------------------------------------------------------------------- */

static struct worker_process *idle_worker(const struct pool *pool)
{
    for (struct worker_process *each = pool->workers; each != NULL; each = each->next)
        if (each->state == WORKER_IDLE)
            return each;
    return NULL;
}

static void deal(struct pool *pool)
{
    struct worker_process *worker;
    while (pool->first != NULL && (worker = idle_worker(pool)) != NULL) {
        struct pool_request *request = pool->first;
        pool_cancel(pool, request);
        pool->failed = 0;
        request->ready(request, worker);
    }
    refill(pool);
}

static void wait_for_worker(struct pool *pool, struct pool_request *request)
{
    request->waiting = true;
    request->next = NULL;
    request->previous = pool->last;
    if (pool->last != NULL)
        pool->last->next = request;
    else
        pool->first = request;
    pool->last = request;
    pool->waiting++;
}

int pool_request(struct pool *pool, struct pool_request *request, struct vta_error *error)
{
    uint64_t limit = config_of(pool)->max_tvm_sessions;
    uint64_t sessions = count(pool).sessions + pool->waiting;
    switch (pool->state) {
    case POOL_RUNNING:
    case POOL_PAUSING:
        break;
    case POOL_REFUSING:
        *error = pool->refusal;
        return VTA_EUNSUPPORTED;
    case POOL_STOPPING:
    case POOL_CLOSED:
        return vta_error_set(error, VTA_ECLOSED, "the server stops");
    }
    if (sessions >= limit)
        return vta_error_limit(error, VTA_ELIMIT, (int64_t)limit, (int64_t)sessions + 1,
                               "the server has %llu TVM sessions, its limit (max_tvm_sessions)",
                               (unsigned long long)limit);
    wait_for_worker(pool, request);
    deal(pool);
    return 0;
}

void pool_cancel(struct pool *pool, struct pool_request *request)
{
    if (!request->waiting)
        return;
    if (request->previous != NULL)
        request->previous->next = request->next;
    else
        pool->first = request->next;
    if (request->next != NULL)
        request->next->previous = request->previous;
    else
        pool->last = request->previous;
    request->waiting = false;
    pool->waiting--;
}

bool pool_is_open(const struct pool *pool)
{
    return pool->state == POOL_RUNNING || pool->state == POOL_PAUSING;
}

/* ---- What workers tell ---------------------------------------------------------------------- */

/* Warm workers beyond what is wanted are let go. */
static void retire(struct pool *pool)
{
    uint64_t idle = count(pool).idle;
    for (struct worker_process *each = pool->workers; each != NULL; each = each->next)
        if (each->state == WORKER_IDLE && idle > config_of(pool)->tvm_pool + pool->waiting) {
            worker_process_kill(each, "not needed");
            idle--;
        }
}

void pool_worker_ready(struct pool *pool, struct worker_process *worker,
                       const struct channel_ready *ready)
{
    if (!pool->box_known)
        log_line(ready->complete ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
                 "TVM sessions run in a box of %s", ready->box);
    pool->box_known = true;
    log_debug("worker %d is ready", (int)worker->pid);
    deal(pool);
    retire(pool);
}

/* One that ended before it was ready says why in its last word. */
static void judge_start(struct pool *pool, const struct worker_process *worker)
{
    struct vta_error error = { .insn = -1 };
    vta_error_set(&error, worker->code != 0 ? worker->code : VTA_EIO, "%s", worker->reason);
    if (worker->code == VTA_EUNSUPPORTED || worker->code == VTA_ECONFIG ||
        worker->code == VTA_EVERSION)
        refuse(pool, &error);
    else
        start_failed(pool, &error);
}

static void judge_end(struct pool *pool, const struct worker_process *worker,
                      enum worker_state last)
{
    switch (last) {
    case WORKER_STARTING:
    case WORKER_ABORTED:
        judge_start(pool, worker);
        break;
    case WORKER_IDLE:
        log_warning("idle worker %d has ended: %s", (int)worker->pid, worker->reason);
        pause_starts(pool);
        break;
    case WORKER_SERVING: /* the session's own affair */
    case WORKER_KILLED:
    case WORKER_RETIRED:
    case WORKER_REAPED:
        break;
    }
    refill(pool);
}

void pool_worker_ended(struct pool *pool, struct worker_process *worker, enum worker_state last)
{
    switch (pool->state) {
    case POOL_RUNNING:
    case POOL_PAUSING:
    case POOL_REFUSING:
        judge_end(pool, worker, last);
        break;
    case POOL_STOPPING:
    case POOL_CLOSED:
        break;
    }
}

void pool_worker_gone(struct pool *pool, struct worker_process *worker)
{
    if (worker->previous != NULL)
        worker->previous->next = worker->next;
    else
        pool->workers = worker->next;
    if (worker->next != NULL)
        worker->next->previous = worker->previous;
    server_something_gone(pool->server);
}

/* ---- Life ----------------------------------------------------------------------------------- */

/* What follows from the configuration; also after a reload. */
static void begin(struct pool *pool)
{
    struct vta_error error = { .insn = -1 };
    pool->box_known = false;
    pool->failed = 0;
    if (config_of(pool)->tvm == TVM_OFF) {
        enter(pool, POOL_REFUSING);
        vta_error_set(&pool->refusal, VTA_EUNSUPPORTED,
                      "TVM sessions are turned off (tvm in vtad.json)");
        return;
    }
    if (pool->scratch.path[0] == '\0' && scratch_open(&pool->scratch, config_of(pool)->tvm_scratch,
                                                      config_of(pool)->tvm_user, &error) != 0) {
        refuse(pool, &error);
        return;
    }
    enter(pool, POOL_RUNNING);
    fill(pool);
}

void pool_open(struct pool *pool, struct server *server)
{
    struct vta_error error = { .insn = -1 };
    pool->server = server;
    pool->scratch.lock = -1;
    uv_timer_init(&server->loop, &pool->pause);
    uv_timer_init(&server->loop, &pool->refill);
    pool->pause.data = pool->refill.data = pool;
    find_program(pool);
    if (children_open(&pool->children, &server->loop, &error) != 0)
        refuse(pool, &error);
    else
        begin(pool);
}

static void begin_anew(struct pool *pool)
{
    for (struct worker_process *each = pool->workers; each != NULL; each = each->next)
        worker_process_reloaded(each);
    begin(pool);
    if (pool->state == POOL_REFUSING)
        fail_all(pool, &pool->refusal);
}

void pool_reloaded(struct pool *pool)
{
    switch (pool->state) {
    case POOL_RUNNING:
    case POOL_PAUSING:
    case POOL_REFUSING:
        begin_anew(pool);
        break;
    case POOL_STOPPING:
    case POOL_CLOSED:
        break;
    }
}

static void stop(struct pool *pool)
{
    switch (pool->state) {
    case POOL_RUNNING:
    case POOL_PAUSING:
    case POOL_REFUSING:
        enter(pool, POOL_STOPPING);
        break;
    case POOL_STOPPING:
    case POOL_CLOSED:
        break;
    }
}

void pool_drain(struct pool *pool)
{
    stop(pool);
    for (struct worker_process *each = pool->workers; each != NULL; each = each->next)
        worker_process_drain(each);
}

void pool_kill(struct pool *pool)
{
    stop(pool);
    for (struct worker_process *each = pool->workers; each != NULL; each = each->next)
        worker_process_kill(each, "the server stops");
}

bool pool_is_over(const struct pool *pool)
{
    return pool->workers == NULL;
}

void pool_close(struct pool *pool)
{
    if (pool->state == POOL_CLOSED)
        return;
    enter(pool, POOL_CLOSED);
    uv_close((uv_handle_t *)&pool->pause, NULL);
    uv_close((uv_handle_t *)&pool->refill, NULL);
    children_close(&pool->children);
}

void pool_clear(struct pool *pool)
{
    if (pool->server != NULL)
        scratch_close(&pool->scratch);
}
