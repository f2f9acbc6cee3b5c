/* worker_process.c: the states of a worker process and what each event means in each of them.
 */
#include "worker_process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "server.h"
#include "template.h"
#include "worker_furnish.h"
#include "worker_limits.h"

#define START_MS 10000 /* for a process to be ready */

static const struct config *config_of(const struct worker_process *worker)
{
    return &worker->template->server->config;
}

static uint64_t now_ms(const struct worker_process *worker)
{
    return uv_now(&worker->template->server->loop);
}

/* ---- References ---------------------------------------------------------------------------- */

static void release(struct worker_process *worker)
{
    if (--worker->references > 0)
        return;
    if (worker->page != NULL)
        munmap(worker->page, sizeof *worker->page);
    template_worker_gone(worker->template, worker);
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
    if (worker->scratch[0] != '\0')
        worker->removal_rc = scratch_remove_some(worker->scratch, SCRATCH_SLICE_MS);
}

static void after_removal(uv_work_t *work, int status)
{
    struct worker_process *worker = work->data;
    (void)status;
    if (worker->removal_rc == -EAGAIN) {
        uv_queue_work(&worker->template->server->loop, work, on_removal, after_removal);
        return;
    }
    if (worker->removal_rc != 0)
        log_warning("%s could not be removed: %s", worker->scratch, strerror(-worker->removal_rc));
    release(worker);
}

/* ---- The end -------------------------------------------------------------------------------- */

/* A process that has said why it ends, ends by itself; one that was killed has ended as it should.
 */
static void log_end(const struct worker_process *worker, bool killed, int status)
{
    char how[96];
    bool crashed = !killed && (worker->reason[0] == '\0' || status != 0);
    child_describe(how, sizeof how, status);
    log_line(crashed ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
             "session %llu from %s ended: %s; %.3f s, TVM, worker %d%s",
             (unsigned long long)worker->id, worker->peer,
             crashed ? "the worker process died" : worker->reason,
             (double)(now_ms(worker) - worker->began_ms) / 1000, (int)worker->pid, how);
}

/* Of one without a session the template judges the reason. */
static void complete_reason(struct worker_process *worker, int status)
{
    if (worker->reason[0] == '\0')
        snprintf(worker->reason, sizeof worker->reason, "the process died");
    size_t length = strlen(worker->reason);
    child_describe(worker->reason + length, sizeof worker->reason - length, status);
}

/* There is no process any more. */
static void finish(struct worker_process *worker, bool killed, int status)
{
    worker->state = WORKER_OVER;
    if (worker->id != 0)
        log_end(worker, killed, status);
    else
        complete_reason(worker, status);
    worker_channel_close(&worker->channel);
    free(worker->early);
    worker->early = NULL;
    uv_close((uv_handle_t *)&worker->timer, on_handle_closed);
    if (worker->client_fd >= 0)
        uv_close((uv_handle_t *)&worker->client, on_client_closed);
    worker->removal.data = worker;
    uv_queue_work(&worker->template->server->loop, &worker->removal, on_removal, after_removal);
    tracker_client_give_back(&worker->template->server->tracker_client, worker->offer);
    template_worker_over(worker->template, worker);
}

static void on_ended(struct child *child, int status)
{
    struct worker_process *worker =
        (struct worker_process *)((char *)child - offsetof(struct worker_process, child));
    worker_channel_drain(&worker->channel); /* its last words */
    finish(worker, worker->state == WORKER_KILLED, status);
}

/* From now on it cannot say its first word any more, without which it ends. It may have said it. */
static void settle(struct worker_process *worker)
{
    shutdown(worker->channel.fd, SHUT_RDWR);
    worker_channel_drain(&worker->channel);
}

void worker_process_kill(struct worker_process *worker, const char *format, ...)
{
    va_list args;
    if (worker->state == WORKER_STARTING)
        settle(worker);
    if (worker->state == WORKER_KILLED || worker->state == WORKER_OVER)
        return; /* its reason stays */
    va_start(args, format);
    vsnprintf(worker->reason, sizeof worker->reason, format, args);
    va_end(args);
    worker->code = 0;
    uv_timer_stop(&worker->timer);
    if (worker->state == WORKER_STARTING) {
        finish(worker, true, 0);
    } else {
        worker->state = WORKER_KILLED;
        child_kill(&worker->child);
    }
}

static void break_rules(void *owner)
{
    worker_process_kill(owner, "the worker does not keep to the channel's rules");
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
    worker->left_ms = now_ms(worker);
    if (worker->state == WORKER_RUNNING)
        watch_session(worker);
}

/* Before the worker has the socket, and makes it a blocking one. */
static void watch_client(struct worker_process *worker, int fd)
{
    worker->client_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (worker->client_fd < 0)
        return;
    if (uv_poll_init(&worker->template->server->loop, &worker->client, worker->client_fd) != 0) {
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
    if (worker->state == WORKER_RUNNING && worker->id != 0)
        watch_session(worker);
    else
        worker_process_kill(worker, "was not ready within %d ms", START_MS);
}

void worker_process_reloaded(struct worker_process *worker)
{
    if (worker->state == WORKER_RUNNING && worker->id != 0)
        watch_session(worker);
}

void worker_process_drain(struct worker_process *worker)
{
    bool busy;
    if (worker->state == WORKER_OVER)
        return;
    atomic_store(&worker->page->stop, 1); /* before it is asked: who becomes idle later sees it */
    channel_since(worker->page, &busy);
    if (worker->state != WORKER_RUNNING || !busy)
        worker_process_kill(worker, "the server stops");
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

/* Its first word, which only its own code can have said; another one can be anybody's. */
static void on_started(struct worker_process *worker, pid_t pid)
{
    if (worker->state != WORKER_STARTING) {
        break_rules(worker);
        return;
    }
    worker->state = WORKER_RUNNING;
    worker->pid = pid;
    free(worker->early);
    worker->early = NULL;
    child_adopt(&worker->template->children, &worker->child, pid);
    if (worker->id == 0)
        return;
    log_info("session %llu from %s began: TVM, worker %d", (unsigned long long)worker->id,
             worker->peer, (int)pid);
    uv_timer_stop(&worker->timer);
    watch_session(worker);
}

static void on_ready(struct worker_process *worker, const uint8_t *payload, size_t nbytes)
{
    static struct channel_ready ready;
    if (worker->state != WORKER_RUNNING || worker->id != 0 || nbytes != sizeof ready) {
        break_rules(worker);
        return;
    }
    memcpy(&ready, payload, sizeof ready);
    ready.box[sizeof ready.box - 1] = '\0';
    template_worker_ready(worker->template, worker, &ready);
}

/* Says why it ends; only its first word counts, and none after the daemon's own. */
static void on_last_word(struct worker_process *worker, int code, const uint8_t *payload,
                         size_t nbytes)
{
    if (worker->state == WORKER_KILLED || worker->reason[0] != '\0')
        return;
    channel_clean_line(worker->reason, payload, nbytes);
    worker->code = code;
}

static void on_message(void *owner, const struct channel_head *head, const uint8_t *payload,
                       size_t nbytes)
{
    struct worker_process *worker = owner;
    switch (head->type) {
    case CHANNEL_STARTED:
        on_started(worker, head->number);
        break;
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

/* The end of the channel is the end of the process, or is made it; the status follows. Before its
 * first word it is the template that could not fork, and says why, or has ended, which follows. */
static void on_hung_up(void *owner)
{
    struct worker_process *worker = owner;
    if (worker->state != WORKER_STARTING)
        child_kill(&worker->child);
    else if (worker->reason[0] != '\0')
        finish(worker, false, 0);
}

static void on_channel_closed(void *owner)
{
    release(owner);
}

static const struct worker_channel_events channel_events = {
    .message = on_message, .broken = break_rules, .hung_up = on_hung_up, .closed = on_channel_closed
};

/* ---- The beginning --------------------------------------------------------------------------- */

static void link_in(struct worker_process *worker)
{
    struct template *template = worker->template;
    worker->next = template->workers;
    if (worker->next != NULL)
        worker->next->previous = worker;
    template->workers = worker;
}

static void watch(struct worker_process *worker, int channel)
{
    uv_loop_t *loop = &worker->template->server->loop;
    worker->references = 3; /* channel, timer, removal */
    worker_channel_open(&worker->channel, loop, channel, &channel_events, worker);
    uv_timer_init(loop, &worker->timer);
    worker->timer.data = worker;
    wake_in(worker, START_MS);
    link_in(worker);
}

/* The process is asked for first, so that it comes into being while the rest is made. */
int worker_process_new(struct worker_process **made, struct template *template, bool trial,
                       struct vta_error *error)
{
    int ends[2];
    struct worker_process *worker = calloc(1, sizeof *worker);
    if (worker == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a worker");
    worker->template = template;
    worker->client_fd = -1;
    worker->child.ended = on_ended;
    int rc = worker_channel_pair(ends, error);
    if (rc != 0) {
        free(worker);
        return rc;
    }
    rc = template_fork(template, ends[1], error);
    close(ends[1]);
    watch(worker, ends[0]);
    if (rc == 0)
        rc = worker_furnish(worker, trial, error);
    if (rc != 0)
        worker_process_kill(worker, "%s", error->message);
    *made = worker;
    return rc;
}

/* Until it is certain that there is a process. */
static int keep_early(struct worker_process *worker, const struct worker_session *session,
                      struct vta_error *error)
{
    worker->early_bytes = session->early_bytes;
    if (session->early_bytes == 0)
        return 0;
    worker->early = malloc(session->early_bytes);
    if (worker->early == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a worker");
    memcpy(worker->early, session->early, session->early_bytes);
    return 0;
}

int worker_process_serve(struct worker_process *worker, const struct worker_session *session,
                         struct vta_error *error)
{
    const struct channel_head head = { .type = CHANNEL_SESSION, .id = session->id };
    worker->id = session->id;
    worker->timeout_ms = session->timeout_ms;
    worker->offer = session->offer;
    worker->began_ms = now_ms(worker);
    snprintf(worker->peer, sizeof worker->peer, "%s", session->peer);
    channel_busy(worker->page, false);
    watch_client(worker, session->fd);
    int rc = keep_early(worker, session, error);
    if (rc == 0)
        rc = worker_channel_say(worker->channel.fd, &head, session->early, session->early_bytes,
                                session->fd, error);
    if (rc != 0)
        worker_process_kill(worker, "%s", error->message);
    return rc;
}

void worker_process_renew(struct worker_process *worker)
{
    struct worker_process *other;
    struct vta_error error = { .insn = -1 };
    const struct worker_session session = { .id = worker->id,
                                            .peer = worker->peer,
                                            .timeout_ms = worker->timeout_ms,
                                            .fd = worker->client_fd,
                                            .early = worker->early,
                                            .early_bytes = worker->early_bytes,
                                            .offer = worker->offer };
    if (worker->state != WORKER_STARTING || worker->id == 0)
        return;
    worker_channel_drain(&worker->channel);
    if (worker->state != WORKER_STARTING)
        return; /* the process is there */
    settle(worker);
    vta_error_set(&error, VTA_EIO, "the template of TVM workers has ended");
    /* One that has come between the two could not be heard any more. */
    if (worker->state == WORKER_STARTING && worker->client_fd >= 0 &&
        worker_process_new(&other, worker->template, false, &error) == 0) {
        worker->id = 0; /* the session, and what is said of its end, is the other one's */
        worker->offer = NULL;
        worker_process_serve(other, &session, &error);
    }
    worker_process_kill(worker, "%s", error.message);
}
