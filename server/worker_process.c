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

#define START_MS            10000 /* for a process to be ready */
#define MESSAGES_PER_SECOND 1000
#define MESSAGES_AT_ONCE    64          /* per return to the loop */
#define CHANNEL_SOCK_BYTES  (160 << 10) /* for the largest message */

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

static void on_channel_closed(uv_handle_t *handle)
{
    struct worker_process *worker = handle->data;
    close(worker->channel_fd);
    release(worker);
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

void worker_process_kill(struct worker_process *worker, const char *format, ...)
{
    if (worker->reason[0] == '\0' || worker->said) {
        va_list args;
        va_start(args, format);
        vsnprintf(worker->reason, sizeof worker->reason, format, args);
        va_end(args);
        worker->said = false;
    }
    if (worker->state != WORKER_SERVING) /* that one counts until its end is seen */
        worker->state = WORKER_ENDING;
    worker->killed = true;
    uv_timer_stop(&worker->timer);
    child_kill(&worker->child);
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

static void log_session_end(const struct worker_process *worker, int status)
{
    char how[96];
    /* One that has said why it ends, ends by itself. */
    bool crashed = worker->reason[0] == '\0' || (worker->said && status != 0);
    describe_status(how, sizeof how, status);
    log_line(crashed ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
             "session %llu from %s ended: %s; %.3f s, TVM, worker %d%s",
             (unsigned long long)worker->id, worker->peer,
             crashed ? "the worker process died" : worker->reason,
             (double)(now_ms(worker) - worker->began_ms) / 1000, (int)worker->pid, how);
}

static bool drain_channel(struct worker_process *worker, unsigned most);
static void listen_again(struct worker_process *worker);

static void on_ended(struct child *child, int status)
{
    struct worker_process *worker =
        (struct worker_process *)((char *)child - offsetof(struct worker_process, child));
    bool served = worker->state == WORKER_SERVING;
    drain_channel(worker, UINT16_MAX); /* its last words */
    worker->state = WORKER_ENDING;
    if (served)
        log_session_end(worker, status);
    else if (worker->reason[0] == '\0')
        snprintf(worker->reason, sizeof worker->reason, "the process died");
    if (!served)
        describe_status(worker->reason + strlen(worker->reason),
                        sizeof worker->reason - strlen(worker->reason), status);
    uv_close((uv_handle_t *)&worker->channel, on_channel_closed);
    uv_close((uv_handle_t *)&worker->timer, on_handle_closed);
    if (worker->client_fd >= 0)
        uv_close((uv_handle_t *)&worker->client, on_client_closed);
    worker->removal.data = worker;
    uv_queue_work(&worker->pool->server->loop, &worker->removal, on_removal, after_removal);
    link_process_forget(worker);
    pool_worker_ended(worker->pool, worker);
    release(worker);
}

/* ---- What can be overdue --------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer);

static void wake_in(struct worker_process *worker, uint64_t ms)
{
    uv_timer_start(&worker->timer, on_timer, ms, 0);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Kills what has passed a limit; else wakes when something could have. A worker that waits now may
 * be busy from the next moment on, so that the soonest is a whole limit from now. */
static void watch_session(struct worker_process *worker)
{
    const struct config *config = config_of(worker);
    bool busy;
    uint64_t since = channel_since(worker->page, &busy) / 1000000, now = channel_now() / 1000000;
    uint64_t spent = since <= now ? now - since : 0, age = now_ms(worker) - worker->began_ms;
    uint64_t call = config->tvm_call_deadline_ms, idle = config->idle_timeout_s * 1000;
    uint64_t next = UINT64_MAX;
    uint64_t alone = worker->left_ms != 0 ? now_ms(worker) - worker->left_ms : 0;

    if (worker->left_ms != 0 && alone >= config->grace_ms) {
        worker_process_kill(worker, "the client closed, and a call went on for %llu ms more",
                            (unsigned long long)alone);
        return;
    }
    if (worker->timeout_ms != 0 && age >= worker->timeout_ms) {
        worker_process_kill(worker, "the client's own -timeout of %.3f s has passed",
                            (double)worker->timeout_ms / 1000);
        return;
    }
    if (busy && call != 0 && spent >= call) {
        worker_process_kill(worker, "a call took %llu ms, the limit is %llu (tvm_call_deadline_ms)",
                            (unsigned long long)spent, (unsigned long long)call);
        return;
    }
    if (!busy && idle != 0 && spent >= idle) {
        worker_process_kill(worker, "the session was idle for %llu s, the limit is %llu s",
                            (unsigned long long)spent / 1000, (unsigned long long)idle / 1000);
        return;
    }
    if (worker->left_ms != 0)
        next = config->grace_ms - alone;
    if (worker->timeout_ms != 0)
        next = least(next, worker->timeout_ms - age);
    if (call != 0)
        next = least(next, busy ? call - spent : call);
    if (idle != 0)
        next = least(next, busy ? idle : idle - spent);
    if (next != UINT64_MAX)
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
    if (worker->state == WORKER_SERVING && !worker->muted)
        watch_session(worker);
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
    if (worker->muted)
        listen_again(worker);
    switch (worker->state) {
    case WORKER_STARTING:
        worker_process_kill(worker, "was not ready within %d ms", START_MS);
        break;
    case WORKER_SERVING:
        watch_session(worker);
        break;
    case WORKER_IDLE:
    case WORKER_ENDING:
        break;
    }
}

void worker_process_reloaded(struct worker_process *worker)
{
    if (worker->state == WORKER_SERVING && !worker->muted) /* its timer is that of the pause then */
        watch_session(worker);
}

void worker_process_drain(struct worker_process *worker)
{
    bool busy;
    atomic_store(&worker->page->stop, 1); /* before it is asked: who becomes idle later sees it */
    channel_since(worker->page, &busy);
    if (worker->state != WORKER_SERVING || !busy)
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

static void on_ready(struct worker_process *worker, const uint8_t *payload, size_t nbytes)
{
    static struct channel_ready ready;
    if (worker->state != WORKER_STARTING || nbytes != sizeof ready) {
        worker_process_kill(worker, "the worker does not keep to the channel's rules");
        return;
    }
    memcpy(&ready, payload, sizeof ready);
    ready.box[sizeof ready.box - 1] = '\0';
    uv_timer_stop(&worker->timer);
    worker->state = WORKER_IDLE;
    worker->was_ready = true;
    pool_worker_ready(worker->pool, worker, &ready);
}

static void on_message(struct worker_process *worker, const struct channel_head *head,
                       const uint8_t *payload, size_t nbytes, int fd)
{
    if (fd >= 0)
        close(fd); /* a worker has none to give */
    worker->messages++;
    switch (head->type) {
    case CHANNEL_READY:
        on_ready(worker, payload, nbytes);
        break;
    case CHANNEL_LOG:
        on_log(worker, head->number, payload, nbytes);
        break;
    case CHANNEL_LINK:
        link_process_request(worker, head->id);
        break;
    case CHANNEL_ENDED:
        if (worker->reason[0] == '\0') {
            channel_clean_line(worker->reason, payload, nbytes);
            worker->code = head->number;
            worker->said = true;
        }
        break;
    default:
        worker_process_kill(worker, "the worker does not keep to the channel's rules");
        break;
    }
}

/* Whether the process may still be listened to in this second. */
static bool may_say_more(struct worker_process *worker)
{
    uint64_t second = now_ms(worker) / 1000;
    if (worker->second != second) {
        worker->second = second;
        worker->messages = 0;
    }
    return worker->messages < MESSAGES_PER_SECOND;
}

/* Takes up to that many messages; false where there are no more, for now or at all. */
static bool drain_channel(struct worker_process *worker, unsigned most)
{
    static uint8_t payload[CHANNEL_PAYLOAD_MAX];
    struct channel_head head;
    size_t nbytes;
    int fd;
    for (unsigned i = 0; i < most; i++) {
        if (channel_receive(worker->channel_fd, &head, payload, &nbytes, &fd, false)) {
            on_message(worker, &head, payload, nbytes, fd);
        } else if (errno == EPROTO) {
            worker_process_kill(worker, "the worker does not keep to the channel's rules");
        } else {
            return errno == EAGAIN;
        }
    }
    return true;
}

/* A process that says too much is not read from until the second is over, so that it waits. */
static void on_channel(uv_poll_t *poll, int status, int events)
{
    struct worker_process *worker = poll->data;
    (void)status;
    (void)events;
    if (!drain_channel(worker, MESSAGES_AT_ONCE)) {
        /* The end of the channel is the end of the process, or is made it; the status follows. */
        uv_poll_stop(poll);
        child_kill(&worker->child);
    } else if (!may_say_more(worker)) {
        uv_poll_stop(poll);
        worker->muted = true;
        wake_in(worker, 1000 - now_ms(worker) % 1000);
    }
}

static void listen_again(struct worker_process *worker)
{
    worker->muted = false;
    uv_poll_start(&worker->channel, UV_READABLE, on_channel);
}

/* ---- The beginning --------------------------------------------------------------------------- */

static int make_page(struct worker_process *worker, int *memfd, struct vta_error *error)
{
    /* Sealed: memory that the other side could take away would be a SIGBUS here. */
    *memfd = memfd_create("vtad-worker", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (*memfd < 0 || ftruncate(*memfd, sizeof *worker->page) != 0 ||
        fcntl(*memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return vta_error_set(error, VTA_EIO, "memfd: %s", strerror(errno));
    void *page = mmap(NULL, sizeof *worker->page, PROT_READ | PROT_WRITE, MAP_SHARED, *memfd, 0);
    if (page == MAP_FAILED)
        return vta_error_set(error, VTA_EIO, "memfd: %s", strerror(errno));
    worker->page = page;
    return 0;
}

static int make_channel(int ends[2], struct vta_error *error)
{
    int size = CHANNEL_SOCK_BYTES;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return vta_error_set(error, VTA_EIO, "socketpair: %s", strerror(errno));
    for (int i = 0; i < 2; i++)
        setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    return 0;
}

static int tell_start(struct worker_process *worker, int channel,
                      const struct channel_start *options, int memfd, struct vta_error *error)
{
    const struct channel_head head = { .type = CHANNEL_START };
    struct channel_start start = *options;
    snprintf(start.scratch, sizeof start.scratch, "%s", worker->scratch);
    if (channel_send(channel, &head, &start, sizeof start, memfd, false) != 0)
        return vta_error_set(error, VTA_EIO, "a worker's channel: %s", strerror(errno));
    return 0;
}

static void watch(struct worker_process *worker)
{
    uv_loop_t *loop = &worker->pool->server->loop;
    uv_timer_init(loop, &worker->timer);
    uv_poll_init(loop, &worker->channel, worker->channel_fd);
    worker->timer.data = worker->channel.data = worker;
    worker->references = 4; /* child, channel, timer, removal */
    uv_poll_start(&worker->channel, UV_READABLE, on_channel);
    wake_in(worker, START_MS);
}

int worker_process_start(struct worker_process **made, struct pool *pool,
                         const struct channel_start *start, struct vta_error *error)
{
    char *arguments[] = { pool->program, (char *)"serve", NULL };
    int ends[2] = { -1, -1 }, memfd = -1;
    struct worker_process *worker = calloc(1, sizeof *worker);
    if (worker == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a worker");
    worker->pool = pool;
    worker->client_fd = -1;
    worker->child.ended = on_ended;
    int rc = scratch_make(&pool->scratch, worker->scratch, false, error);
    if (rc != 0) {
        free(worker);
        return rc;
    }
    if ((rc = make_page(worker, &memfd, error)) != 0 || (rc = make_channel(ends, error)) != 0 ||
        (rc = tell_start(worker, ends[0], start, memfd, error)) != 0 ||
        (rc = child_spawn(&pool->children, &worker->child, arguments, ends[1], error)) != 0)
        goto fail;
    close(ends[1]);
    close(memfd);
    worker->pid = worker->child.pid;
    worker->channel_fd = ends[0];
    watch(worker);
    *made = worker;
    return 0;

fail:
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    if (memfd >= 0)
        close(memfd);
    if (worker->page != NULL)
        munmap(worker->page, sizeof *worker->page);
    rmdir(worker->scratch);
    free(worker);
    return rc;
}

int worker_process_serve(struct worker_process *worker, const struct worker_session *session,
                         struct vta_error *error)
{
    const struct channel_head head = { .type = CHANNEL_SESSION, .id = session->id };
    channel_busy(worker->page, false);
    watch_client(worker, session->fd);
    if (channel_send(worker->channel_fd, &head, session->early, session->early_bytes, session->fd,
                     false) != 0) {
        vta_error_set(error, VTA_EIO, "worker %d: %s", (int)worker->pid, strerror(errno));
        worker_process_kill(worker, "took no session");
        return VTA_EIO;
    }
    worker->state = WORKER_SERVING;
    worker->id = session->id;
    worker->timeout_ms = session->timeout_ms;
    worker->began_ms = now_ms(worker);
    snprintf(worker->peer, sizeof worker->peer, "%s", session->peer);
    log_info("session %llu from %s began: TVM, worker %d", (unsigned long long)worker->id,
             worker->peer, (int)worker->pid);
    watch_session(worker);
    return 0;
}
