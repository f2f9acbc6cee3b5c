/* pool.c: how many workers there should be, and who gets the next one.
 */
#include "pool.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "server.h"
#include "worker/link_cache.h"

#define STARTING_MAX  4 /* at once; more would not be sooner ready */
#define REFILL_MS     4
#define RETRY_MS      100
#define RETRY_MAX_MS  10000
#define PROCESSES_MAX 8192                /* and threads of all workers; a bomb's end is at half */
#define MORE_BYTES    (UINT64_C(2) << 30) /* of address space, for code, stacks and messages */
#define PACKET_BYTES  (UINT64_C(1) << 20) /* of a packet besides the file that it uploads */

static const struct config *config_of(const struct pool *pool)
{
    return &pool->server->config;
}

/* ---- What workers are told ------------------------------------------------------------------ */

static void make_start(const struct pool *pool, struct channel_start *start)
{
    const struct config *config = config_of(pool);
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    *start = (struct channel_start){
        .bytes = sizeof *start,
        .build = VTAD_VERSION,
        .hw = config->hw,
        .dram_bytes = config->dram_bytes,
        .max_work = config->max_work,
        .hazards = (enum vta_hazard_policy)config->hazards,
        .strict_board = config->strict_board != 0,
        .timing = config->timing,
        .profile = config->timing_profile,
        .board_clock = config->clock == CLOCK_BOARD,
        .max_upload_bytes = config->max_tvm_upload_bytes,
        .max_message_bytes = config->max_tvm_upload_bytes + PACKET_BYTES,
        .max_cpu_bytes = config->max_tvm_cpu_bytes,
        .max_files = (uint32_t)config->max_tvm_files,
        .max_handles = (uint32_t)config->max_tvm_handles,
        .max_evaluations = (uint32_t)config->max_evaluations,
        .run_deadline_ms = (uint32_t)config->run_deadline_ms,
        .threads = (uint32_t)(config->tvm_threads != 0 ? config->tvm_threads
                              : processors > 0         ? (uint64_t)processors
                                                       : 1),
        .memory_bytes = config->tvm_memory_bytes != 0
                            ? config->tvm_memory_bytes
                            : config->dram_bytes + config->max_tvm_cpu_bytes + MORE_BYTES,
        .file_bytes = config->max_tvm_upload_bytes,
        .cpu_s = (uint32_t)config->tvm_cpu_s,
        .processes = PROCESSES_MAX,
        .box_required = config->tvm_box == TVM_BOX_REQUIRE,
    };
    if (config->kernels != 0)
        snprintf(start->kernels, sizeof start->kernels, "%s", config_kernels[config->kernels]);
    snprintf(start->user, sizeof start->user, "%s", config->tvm_user);
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

static uint64_t count(const struct pool *pool, enum worker_state state)
{
    uint64_t n = 0;
    for (const struct worker_process *each = pool->workers; each != NULL; each = each->next)
        n += each->state == state && !(each->outdated && state != WORKER_SERVING);
    return n;
}

static void fail_all(struct pool *pool, const struct vta_error *error)
{
    while (pool->first != NULL) {
        struct pool_request *request = pool->first;
        pool_cancel(pool, request);
        request->failed(request, error);
    }
}

static void on_timer(uv_timer_t *timer);

/* Starts none for a while, which doubles until a worker has lived to be given a session. */
static void pause_starts(struct pool *pool)
{
    uint64_t pause = pool->failed < 8 ? (uint64_t)RETRY_MS << pool->failed : RETRY_MAX_MS;
    pool->failed++;
    uv_timer_start(&pool->retry, on_timer, pause < RETRY_MAX_MS ? pause : RETRY_MAX_MS, 0);
}

/* A worker could not be started, or ended before it was ready. */
static void start_failed(struct pool *pool, const struct vta_error *error)
{
    log_error("a TVM worker could not be started: %s", error->message);
    pause_starts(pool);
    fail_all(pool, error);
}

static void refuse(struct pool *pool, const struct vta_error *error)
{
    pool->refusal = *error;
    if (pool->refusal.code == 0)
        pool->refusal.code = VTA_EUNSUPPORTED;
    log_error("TVM sessions are refused: %s", error->message);
    fail_all(pool, error);
}

/* Starts as many as are waited for, and the next one; where nobody waits, one of those that should
 * be ready, so that the others leave the processors to the sessions. */
static void refill(struct pool *pool)
{
    const struct config *config = config_of(pool);
    bool hurry = pool->waiting > 0;
    uint64_t wanted = hurry && config->tvm_pool > 0 ? pool->waiting + 1
                      : hurry                       ? pool->waiting
                                                    : config->tvm_pool;
    uint64_t at_once = hurry ? STARTING_MAX : 1;
    struct channel_start start;
    struct vta_error error = { .insn = -1 };
    if (!pool->open || pool->stopping || pool->refusal.code != 0 ||
        uv_is_active((uv_handle_t *)&pool->retry))
        return;
    if (wanted == 0 && !pool->reported)
        wanted = 1; /* so that what a box lacks is known from the start */

    uint64_t starting = count(pool, WORKER_STARTING);
    for (uint64_t have = starting + count(pool, WORKER_IDLE); have < wanted && starting < at_once;
         have++, starting++) {
        struct worker_process *worker;
        make_start(pool, &start);
        if (worker_process_start(&worker, pool, &start, &error) != 0) {
            start_failed(pool, &error);
            return;
        }
        worker->previous = NULL;
        worker->next = pool->workers;
        if (worker->next != NULL)
            worker->next->previous = worker;
        pool->workers = worker;
    }
}

static void on_timer(uv_timer_t *timer)
{
    refill(timer->data);
}

/* A process that starts takes processors from the session that has just begun: where nobody waits
 * for it, it may come a little later. */
static void refill_soon(struct pool *pool)
{
    if (!pool->open)
        return;
    if (pool->waiting > 0)
        refill(pool);
    else if (!uv_is_active((uv_handle_t *)&pool->refill))
        uv_timer_start(&pool->refill, on_timer, REFILL_MS, 0);
}

/* ---- Who gets one --------------------------------------------------------------------------- */

static struct worker_process *idle_worker(const struct pool *pool)
{
    for (struct worker_process *each = pool->workers; each != NULL; each = each->next)
        if (each->state == WORKER_IDLE && !each->outdated)
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
    refill_soon(pool);
}

int pool_request(struct pool *pool, struct pool_request *request, struct vta_error *error)
{
    uint64_t limit = config_of(pool)->max_tvm_sessions;
    uint64_t sessions = count(pool, WORKER_SERVING) + pool->waiting;
    if (pool->refusal.code != 0 || pool->stopping) {
        *error = pool->refusal;
        return pool->stopping ? vta_error_set(error, VTA_ECLOSED, "the server stops")
                              : VTA_EUNSUPPORTED;
    }
    if (sessions >= limit)
        return vta_error_limit(error, VTA_ELIMIT, (int64_t)limit, (int64_t)sessions + 1,
                               "the server has %llu TVM sessions, its limit (max_tvm_sessions)",
                               (unsigned long long)limit);
    request->waiting = true;
    request->next = NULL;
    request->previous = pool->last;
    if (pool->last != NULL)
        pool->last->next = request;
    else
        pool->first = request;
    pool->last = request;
    pool->waiting++;
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

/* ---- What workers tell ---------------------------------------------------------------------- */

/* Warm workers beyond what is wanted, and those that know an old configuration, are let go. */
static void retire(struct pool *pool)
{
    uint64_t idle = count(pool, WORKER_IDLE);
    for (struct worker_process *each = pool->workers; each != NULL; each = each->next) {
        if (each->state != WORKER_IDLE && each->state != WORKER_STARTING)
            continue;
        if (each->outdated) {
            worker_process_kill(each, "its configuration has changed");
        } else if (each->state == WORKER_IDLE && idle > config_of(pool)->tvm_pool + pool->waiting) {
            worker_process_kill(each, "not needed");
            idle--;
        }
    }
}

void pool_worker_ready(struct pool *pool, struct worker_process *worker,
                       const struct channel_ready *ready)
{
    if (!pool->reported)
        log_line(ready->complete ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
                 "TVM sessions run in a box of %s", ready->box);
    pool->reported = true;
    log_debug("worker %d is ready", (int)worker->pid);
    deal(pool);
    retire(pool);
}

/* One that ended before it was ready says why in its last word. */
void pool_worker_ended(struct pool *pool, struct worker_process *worker)
{
    struct vta_error error = { .insn = -1 };
    if (pool->stopping || worker->outdated)
        return;
    if (!worker->was_ready) {
        vta_error_set(&error, worker->code != 0 ? worker->code : VTA_EIO, "%s", worker->reason);
        if (worker->code == VTA_EUNSUPPORTED || worker->code == VTA_ECONFIG ||
            worker->code == VTA_EVERSION)
            refuse(pool, &error);
        else
            start_failed(pool, &error);
    } else if (worker->id == 0 && !worker->killed) {
        log_warning("idle worker %d has ended: %s", (int)worker->pid, worker->reason);
        pause_starts(pool);
    }
    refill_soon(pool);
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

static void open_cache(struct pool *pool)
{
    struct vta_error error = { .insn = -1 };
    const char *path = config_of(pool)->tvm_cache;
    if (pool->cache[0] != '\0')
        return;
    if (path == NULL && scratch_make(&pool->scratch, pool->cache, true, &error) != 0)
        pool->cache[0] = '\0';
    if (path != NULL && link_cache_check(path, &error) == 0)
        snprintf(pool->cache, sizeof pool->cache, "%s", path);
    if (pool->cache[0] == '\0')
        log_warning("linked modules are not kept: %s", error.message);
}

/* What follows from the configuration; also after a reload. */
static void begin(struct pool *pool)
{
    struct vta_error error = { .insn = -1 };
    pool->refusal = (struct vta_error){ .insn = -1 };
    pool->reported = false;
    pool->failed = 0;
    uv_timer_stop(&pool->retry);
    if (config_of(pool)->tvm == TVM_OFF) {
        vta_error_set(&pool->refusal, VTA_EUNSUPPORTED,
                      "TVM sessions are turned off (tvm in vtad.json)");
        return;
    }
    if (pool->scratch.path[0] == '\0' && scratch_open(&pool->scratch, config_of(pool)->tvm_scratch,
                                                      config_of(pool)->tvm_user, &error) != 0) {
        refuse(pool, &error);
        return;
    }
    open_cache(pool);
    refill(pool);
}

void pool_open(struct pool *pool, struct server *server)
{
    struct vta_error error = { .insn = -1 };
    pool->server = server;
    pool->scratch.lock = -1;
    uv_timer_init(&server->loop, &pool->retry);
    uv_timer_init(&server->loop, &pool->refill);
    pool->retry.data = pool->refill.data = pool;
    pool->open = true;
    find_program(pool);
    if (children_open(&pool->children, &server->loop, &error) != 0)
        refuse(pool, &error);
    else
        begin(pool);
}

void pool_reloaded(struct pool *pool)
{
    if (pool->stopping)
        return;
    for (struct worker_process *each = pool->workers; each != NULL; each = each->next) {
        if (each->state != WORKER_SERVING)
            each->outdated = true;
        worker_process_reloaded(each);
    }
    begin(pool);
    retire(pool);
    if (pool->refusal.code != 0)
        fail_all(pool, &pool->refusal);
}

void pool_drain(struct pool *pool)
{
    pool->stopping = true;
    for (struct worker_process *each = pool->workers; each != NULL; each = each->next)
        worker_process_drain(each);
}

void pool_kill(struct pool *pool)
{
    pool->stopping = true;
    for (struct worker_process *each = pool->workers; each != NULL; each = each->next)
        worker_process_kill(each, "the server stops");
}

bool pool_is_over(const struct pool *pool)
{
    return pool->workers == NULL && pool->links == NULL;
}

void pool_close(struct pool *pool)
{
    if (!pool->open)
        return;
    pool->open = false;
    uv_close((uv_handle_t *)&pool->retry, NULL);
    uv_close((uv_handle_t *)&pool->refill, NULL);
    children_close(&pool->children);
}

void pool_clear(struct pool *pool)
{
    if (pool->server != NULL)
        scratch_close(&pool->scratch);
}
