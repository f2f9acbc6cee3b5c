/* worker_process.c: the states of a worker process and what each event means in each of them.
 */
#include "worker_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "pool.h"
#include "server.h"
#include "worker_limits.h"
#include "worker_spawn.h"

#define START_MS 10000 /* for a process to be ready */

static const struct config *config_of(const struct worker_process *worker)
{
    return &worker->pool->server->config;
}

static uint64_t now_ms(const struct worker_process *worker)
{
    return uv_now(&worker->pool->server->loop);
}

/* ---- References ---------------------------------------------------------------------------- */

static void release(struct worker_process *worker)
{
    if (--worker->references > 0)
        return;
    struct pool *pool = worker->pool;
    if (worker->page != NULL)
        munmap(worker->page, sizeof *worker->page);
    pool_worker_gone(pool, worker);
    free(worker);
}

static void on_handle_closed(uv_handle_t *handle)
{
    release(handle->data);
}

static void on_client_closed(uv_handle_t *handle)
{
    struct worker_process *worker = handle->data;
    close(worker->client_fd);
    release(worker);
}

/* ---- The folder ----------------------------------------------------------------------------- */

static void on_removal(uv_work_t *work)
{
    struct worker_process *worker = work->data;
    worker->removal_rc = scratch_remove_some(worker->scratch, SCRATCH_SLICE_MS);
}

static void after_removal(uv_work_t *work, int status)
{
    struct worker_process *worker = work->data;
    (void)status;
    if (worker->removal_rc == -EAGAIN) {
        uv_queue_work(&worker->pool->server->loop, work, on_removal, after_removal);
        return;
    }
    if (worker->removal_rc != 0)
        log_warning("%s could not be removed: %s", worker->scratch, strerror(-worker->removal_rc));
    release(worker);
}

/* ---- The end -------------------------------------------------------------------------------- */

static void end(struct worker_process *worker, enum worker_state state, const char *format,
                va_list args)
{
    worker->state = state;
    worker->code = 0;
    vsnprintf(worker->reason, sizeof worker->reason, format, args);
    uv_timer_stop(&worker->timer);
    child_kill(&worker->child);
}

void worker_process_kill(struct worker_process *worker, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    switch (worker->state) {
    case WORKER_STARTING:
        end(worker, WORKER_ABORTED, format, args);
        break;
    case WORKER_IDLE:
        end(worker, WORKER_RETIRED, format, args);
        break;
    case WORKER_SERVING:
        end(worker, WORKER_KILLED, format, args);
        break;
    case WORKER_ABORTED: /* is killed already, and its reason stays */
    case WORKER_RETIRED:
    case WORKER_KILLED:
    case WORKER_REAPED:
        break;
    }
    va_end(args);
}

static void break_rules(void *owner)
{
    worker_process_kill(owner, "the worker does not keep to the channel's rules");
}

/* "", or how the process ended where it was not by its own will. */
static void describe_status(char *text, size_t size, int status)
{
    text[0] = '\0';
    if (WIFSIGNALED(status))
        snprintf(text, size, " (signal %d, %s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) != 0)
        snprintf(text, size, " (exit status %d)", WEXITSTATUS(status));
}

/* One that has said why it ends, ends by itself; one that was killed has ended as it should. */
static void log_session_end(const struct worker_process *worker, bool killed, int status)
{
    char how[96];
    bool crashed = !killed && (worker->reason[0] == '\0' || status != 0);
    describe_status(how, sizeof how, status);
    log_line(crashed ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
             "session %llu from %s ended: %s; %.3f s, TVM, worker %d%s",
             (unsigned long long)worker->id, worker->peer,
             crashed ? "the worker process died" : worker->reason,
             (double)(now_ms(worker) - worker->began_ms) / 1000, (int)worker->pid, how);
}

/* Says how it ended, to the log or, without a session, in its reason, which the pool tells. */
static void tell_end(struct worker_process *worker, int status)
{
    size_t length;
    switch (worker->state) {
    case WORKER_SERVING:
        log_session_end(worker, false, status);
        break;
    case WORKER_KILLED:
        log_session_end(worker, true, status);
        break;
    case WORKER_STARTING:
    case WORKER_IDLE:
    case WORKER_ABORTED:
    case WORKER_RETIRED:
        if (worker->reason[0] == '\0')
            snprintf(worker->reason, sizeof worker->reason, "the process died");
        length = strlen(worker->reason);
        describe_status(worker->reason + length, sizeof worker->reason - length, status);
        break;
    case WORKER_REAPED:
        break;
    }
}

static void on_ended(struct child *child, int status)
{
    struct worker_process *worker =
        (struct worker_process *)((char *)child - offsetof(struct worker_process, child));
    worker_channel_drain(&worker->channel); /* its last words */
    tell_end(worker, status);
    enum worker_state last = worker->state;
    worker->state = WORKER_REAPED;
    worker_channel_close(&worker->channel);
    uv_close((uv_handle_t *)&worker->timer, on_handle_closed);
    if (worker->client_fd >= 0)
        uv_close((uv_handle_t *)&worker->client, on_client_closed);
    worker->removal.data = worker;
    uv_queue_work(&worker->pool->server->loop, &worker->removal, on_removal, after_removal);
    tracker_client_give_back(&worker->pool->server->tracker_client, worker->offer);
    pool_worker_ended(worker->pool, worker, last);
    release(worker);
}

/* ---- What can be overdue --------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer);

static void wake_in(struct worker_process *worker, uint64_t ms)
{
    uv_timer_start(&worker->timer, on_timer, ms, 0);
}

/* Kills what has passed a limit; else wakes when something could have. */
static void watch_session(struct worker_process *worker)
{
    char reason[160];
    struct worker_times times = { .age = now_ms(worker) - worker->began_ms,
                                  .alone = worker->left_ms != 0,
                                  .timeout = worker->timeout_ms };
    uint64_t since = channel_since(worker->page, &times.busy) / 1000000;
    uint64_t now = channel_now() / 1000000;
    times.spent = since <= now ? now - since : 0;
    times.left = times.alone ? now_ms(worker) - worker->left_ms : 0;
    uint64_t next = worker_limits_check(&times, config_of(worker), reason, sizeof reason);
    if (next == 0)
        worker_process_kill(worker, "%s", reason);
    else if (next != UINT64_MAX)
        wake_in(worker, next);
}

/* The client has closed, or says at least that nothing more comes: a worker that waits for more
 * sees that, too; one that is at a call may finish it, for a while. */
static void on_client(uv_poll_t *poll, int status, int events)
{
    struct worker_process *worker = poll->data;
    (void)status;
    (void)events;
    uv_poll_stop(poll);
    switch (worker->state) {
    case WORKER_SERVING:
        worker->left_ms = now_ms(worker);
        watch_session(worker);
        break;
    case WORKER_STARTING:
    case WORKER_IDLE:
    case WORKER_ABORTED:
    case WORKER_RETIRED:
    case WORKER_KILLED:
    case WORKER_REAPED:
        break;
    }
}

/* Before the worker has the socket, and makes it a blocking one. */
static void watch_client(struct worker_process *worker, int fd)
{
    worker->client_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (worker->client_fd < 0)
        return;
    if (uv_poll_init(&worker->pool->server->loop, &worker->client, worker->client_fd) != 0) {
        close(worker->client_fd);
        worker->client_fd = -1;
        return;
    }
    worker->client.data = worker;
    worker->references++;
    uv_poll_start(&worker->client, UV_DISCONNECT, on_client);
}

static void on_timer(uv_timer_t *timer)
{
    struct worker_process *worker = timer->data;
    switch (worker->state) {
    case WORKER_STARTING:
        worker_process_kill(worker, "was not ready within %d ms", START_MS);
        break;
    case WORKER_SERVING:
        watch_session(worker);
        break;
    case WORKER_IDLE:
    case WORKER_ABORTED:
    case WORKER_RETIRED:
    case WORKER_KILLED:
    case WORKER_REAPED:
        break;
    }
}

void worker_process_reloaded(struct worker_process *worker)
{
    switch (worker->state) {
    case WORKER_SERVING:
        watch_session(worker);
        break;
    case WORKER_STARTING:
    case WORKER_IDLE:
        worker_process_kill(worker, "its configuration has changed");
        worker->state = WORKER_RETIRED;
        break;
    case WORKER_ABORTED: /* a failure of the old configuration's */
        worker->state = WORKER_RETIRED;
        break;
    case WORKER_RETIRED:
    case WORKER_KILLED:
    case WORKER_REAPED:
        break;
    }
}

void worker_process_drain(struct worker_process *worker)
{
    bool busy;
    atomic_store(&worker->page->stop, 1); /* before it is asked: who becomes idle later sees it */
    channel_since(worker->page, &busy);
    switch (worker->state) {
    case WORKER_SERVING:
        if (!busy)
            worker_process_kill(worker, "the server stops");
        break;
    case WORKER_STARTING:
    case WORKER_IDLE:
        worker_process_kill(worker, "the server stops");
        break;
    case WORKER_ABORTED:
    case WORKER_RETIRED:
    case WORKER_KILLED:
    case WORKER_REAPED:
        break;
    }
}

/* ---- What the worker says -------------------------------------------------------------------- */

static void on_log(struct worker_process *worker, int level, const void *text, size_t nbytes)
{
    char line[CHANNEL_LINE_MAX];
    channel_clean_line(line, text, nbytes);
    if (level < LOG_LEVEL_ERROR || level > LOG_LEVEL_DEBUG)
        level = LOG_LEVEL_INFO;
    log_line_of_session((enum log_level)level, "session %llu: %s", (unsigned long long)worker->id,
                        line);
}

/* Of a process that has ended since, too, the channel is heard to its end. */
static bool is_alive(const struct worker_process *worker)
{
    return worker->child.pid > 0;
}

static void become_idle(struct worker_process *worker, const uint8_t *payload, size_t nbytes)
{
    static struct channel_ready ready;
    if (nbytes != sizeof ready) {
        break_rules(worker);
        return;
    }
    memcpy(&ready, payload, sizeof ready);
    ready.box[sizeof ready.box - 1] = '\0';
    uv_timer_stop(&worker->timer);
    worker->state = WORKER_IDLE;
    pool_worker_ready(worker->pool, worker, &ready);
}

static void on_ready(struct worker_process *worker, const uint8_t *payload, size_t nbytes)
{
    switch (worker->state) {
    case WORKER_STARTING:
        if (is_alive(worker))
            become_idle(worker, payload, nbytes);
        break;
    case WORKER_IDLE:
    case WORKER_SERVING:
        break_rules(worker);
        break;
    case WORKER_ABORTED: /* too late */
    case WORKER_RETIRED:
    case WORKER_KILLED:
    case WORKER_REAPED:
        break;
    }
}

/* Says why it ends; only its first word counts, and none after the daemon's own. */
static void on_last_word(struct worker_process *worker, int code, const uint8_t *payload,
                         size_t nbytes)
{
    switch (worker->state) {
    case WORKER_STARTING:
    case WORKER_IDLE:
    case WORKER_SERVING:
        if (worker->reason[0] != '\0')
            break;
        channel_clean_line(worker->reason, payload, nbytes);
        worker->code = code;
        break;
    case WORKER_ABORTED:
    case WORKER_RETIRED:
    case WORKER_KILLED:
    case WORKER_REAPED:
        break;
    }
}

static void on_message(void *owner, const struct channel_head *head, const uint8_t *payload,
                       size_t nbytes)
{
    struct worker_process *worker = owner;
    switch (head->type) {
    case CHANNEL_READY:
        on_ready(worker, payload, nbytes);
        break;
    case CHANNEL_LOG:
        on_log(worker, head->number, payload, nbytes);
        break;
    case CHANNEL_ENDED:
        on_last_word(worker, head->number, payload, nbytes);
        break;
    default:
        break_rules(worker);
        break;
    }
}

/* The end of the channel is the end of the process, or is made it; the status follows. */
static void on_hung_up(void *owner)
{
    struct worker_process *worker = owner;
    child_kill(&worker->child);
}

static void on_channel_closed(void *owner)
{
    release(owner);
}

static const struct worker_channel_events channel_events = {
    .message = on_message, .broken = break_rules, .hung_up = on_hung_up, .closed = on_channel_closed
};

/* ---- The beginning --------------------------------------------------------------------------- */

static void watch(struct worker_process *worker, int channel)
{
    uv_loop_t *loop = &worker->pool->server->loop;
    uv_timer_init(loop, &worker->timer);
    worker->timer.data = worker;
    worker->references = 4; /* child, channel, timer, removal */
    worker_channel_open(&worker->channel, loop, channel, &channel_events, worker);
    wake_in(worker, START_MS);
}

int worker_process_start(struct worker_process **made, struct pool *pool, struct vta_error *error)
{
    int channel;
    struct worker_process *worker = calloc(1, sizeof *worker);
    if (worker == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a worker");
    worker->pool = pool;
    worker->state = WORKER_STARTING;
    worker->client_fd = -1;
    worker->child.ended = on_ended;
    int rc = worker_spawn(worker, &channel, error);
    if (rc != 0) {
        free(worker);
        return rc;
    }
    worker->pid = worker->child.pid;
    watch(worker, channel);
    *made = worker;
    return 0;
}

int worker_process_serve(struct worker_process *worker, const struct worker_session *session,
                         struct vta_error *error)
{
    const struct channel_head head = { .type = CHANNEL_SESSION, .id = session->id };
    channel_busy(worker->page, false);
    watch_client(worker, session->fd);
    if (channel_send(worker->channel.fd, &head, session->early, session->early_bytes, session->fd,
                     false) != 0) {
        vta_error_set(error, VTA_EIO, "worker %d: %s", (int)worker->pid, strerror(errno));
        worker_process_kill(worker, "took no session");
        return VTA_EIO;
    }
    worker->state = WORKER_SERVING;
    worker->id = session->id;
    worker->timeout_ms = session->timeout_ms;
    worker->offer = session->offer;
    worker->began_ms = now_ms(worker);
    snprintf(worker->peer, sizeof worker->peer, "%s", session->peer);
    log_info("session %llu from %s began: TVM, worker %d", (unsigned long long)worker->id,
             worker->peer, (int)worker->pid);
    watch_session(worker);
    return 0;
}
