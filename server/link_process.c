/* link_process.c: the states of a linker process and what each event means in each of them.
 */
#include "link_process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "pool.h"
#include "server.h"
#include "worker/channel.h"
#include "worker/linking.h"

#define MEMORY_BYTES (UINT64_C(4) << 30) /* address space of the system's linker */

static void start_next(struct pool *pool);

/* ---- Answers ------------------------------------------------------------------------------- */

/* fd negative: *error is the answer. A worker that does not take it has filled its channel. */
static void answer(struct worker_process *worker, int fd, const struct vta_error *error)
{
    const struct channel_head head = { .type = CHANNEL_LINKED,
                                       .number = fd < 0 ? error->code : 0,
                                       .id = worker->wish.id };
    size_t length = fd < 0 ? strlen(error->message) : 0;
    if (channel_send(worker->channel.fd, &head, fd < 0 ? error->message : NULL, length, fd,
                     false) != 0)
        worker_process_kill(worker, "the worker does not listen to its channel");
}

/* ---- The end ------------------------------------------------------------------------------- */

static void unlist(struct link_process *link)
{
    struct pool *pool = link->pool;
    if (link->previous != NULL)
        link->previous->next = link->next;
    else
        pool->links = link->next;
    if (link->next != NULL)
        link->next->previous = link->previous;
}

static void release(struct link_process *link)
{
    if (--link->references > 0)
        return;
    struct pool *pool = link->pool;
    unlist(link);
    free(link);
    start_next(pool);
    server_something_gone(pool->server);
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

static void on_removal(uv_work_t *work)
{
    struct link_process *link = work->data;
    (void)scratch_remove(link->folder); /* one that stays goes with the daemon's */
}

static void after_removal(uv_work_t *work, int status)
{
    (void)status;
    release(work->data);
}

static void remove_folder(struct link_process *link)
{
    link->removal.data = link;
    uv_queue_work(&link->pool->server->loop, &link->removal, on_removal, after_removal);
}

/* The worker hears no more of this one. */
static void part(struct link_process *link)
{
    if (link->worker != NULL)
        link->worker->wish.link = NULL;
    link->worker = NULL;
}

static void describe_status(int status, struct vta_error *error)
{
    if (WIFSIGNALED(status))
        vta_error_set(error, VTA_EINTERNAL, "the linker process was ended by signal %d (%s)",
                      WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        vta_error_set(error, VTA_EINTERNAL, "the linker process ended with status %d",
                      WEXITSTATUS(status));
}

/* Says why the process has failed, to the log and to who asked. */
static void tell_failure(const struct link_process *link, int status)
{
    unsigned long long limit = link->pool->server->config.tvm_link_deadline_ms;
    struct vta_error error = { .insn = -1 };
    switch (link->state) {
    case LINK_RUNNING:
        describe_status(status, &error);
        break;
    case LINK_OVERDUE:
        vta_error_limit(&error, VTA_ETIMEOUT, (int64_t)limit, (int64_t)limit,
                        "linking took longer than %llu ms (tvm_link_deadline_ms)", limit);
        break;
    case LINK_ORPHANED: /* it did not fail: it was killed with its session */
    case LINK_WAITING:
    case LINK_ENDED:
    case LINK_WITHDRAWN:
        return;
    }
    log_warning("session %llu: %s", (unsigned long long)link->session, error.message);
    if (link->worker != NULL)
        answer(link->worker, -1, &error); /* it sees that its socket has ended, and reads this */
}

static void order(struct worker_process *worker, uint64_t id);

/* What a worker asked for has come to its end. */
static void wish_ended(struct worker_process *worker)
{
    switch (worker->wish.state) {
    case LINK_WISH_NEXT:
        order(worker, worker->wish.next_id);
        break;
    case LINK_WISH_ONE:
    case LINK_WISH_NOTHING:
        worker->wish.state = LINK_WISH_NOTHING;
        break;
    }
}

static void on_ended(struct child *child, int status)
{
    struct link_process *link =
        (struct link_process *)((char *)child - offsetof(struct link_process, child));
    struct worker_process *worker = link->worker;
    if (status != 0)
        tell_failure(link, status);
    link->state = LINK_ENDED;
    part(link);
    uv_close((uv_handle_t *)&link->timer, on_timer_closed);
    remove_folder(link);
    release(link);
    if (worker != NULL)
        wish_ended(worker);
}

static void on_deadline(uv_timer_t *timer)
{
    struct link_process *link = timer->data;
    switch (link->state) {
    case LINK_RUNNING:
        link->state = LINK_OVERDUE;
        child_kill(&link->child);
        break;
    case LINK_ORPHANED: /* is killed already */
    case LINK_WAITING:
    case LINK_OVERDUE:
    case LINK_ENDED:
    case LINK_WITHDRAWN:
        break;
    }
}

void link_process_forget(struct worker_process *worker)
{
    struct link_process *link = worker->wish.link;
    worker->wish.state = LINK_WISH_NOTHING;
    if (link == NULL)
        return;
    part(link);
    switch (link->state) {
    case LINK_WAITING:
        link->state = LINK_WITHDRAWN;
        uv_close((uv_handle_t *)&link->timer, on_timer_closed);
        break;
    case LINK_RUNNING:
        link->state = LINK_ORPHANED;
        child_kill(&link->child);
        break;
    case LINK_OVERDUE: /* is killed already */
    case LINK_ORPHANED:
    case LINK_ENDED:
    case LINK_WITHDRAWN:
        break;
    }
}

/* ---- The beginning ------------------------------------------------------------------------- */

/* The linker's absolute path; a name is looked for where a shell would. */
static int find_linker(const char *name, char *path, size_t size, struct vta_error *error)
{
    const char *folders = getenv("PATH");
    if (name == NULL)
        return vta_error_set(error, VTA_EUNSUPPORTED,
                             "this server links no object files (tvm_linker is empty)");
    if (strchr(name, '/') != NULL) {
        snprintf(path, size, "%s", name);
        if (path[0] == '/' && access(path, X_OK) == 0)
            return 0;
    }
    for (const char *at = folders != NULL ? folders : "/usr/bin:/bin"; strchr(name, '/') == NULL;) {
        size_t length = strcspn(at, ":");
        snprintf(path, size, "%.*s/%s", (int)length, at, name);
        if (path[0] == '/' && access(path, X_OK) == 0)
            return 0;
        if (at[length] == '\0')
            break;
        at += length + 1;
    }
    return vta_error_set(error, VTA_EUNSUPPORTED,
                         "the linker '%s' is not installed on the server (tvm_linker); a shared "
                         "library needs none",
                         name);
}

static int spawn(struct link_process *link, int socket, struct vta_error *error)
{
    struct pool *pool = link->pool;
    const struct config *config = &pool->server->config;
    char linker[PATH_MAX], cache_bytes[24], file_bytes[24], memory[24], cpu_s[24];
    char *arguments[2 + LINK_ARGUMENTS + 1] = { pool->program, (char *)"link" },
                                         **at = arguments + 2;
    int rc = find_linker(config->tvm_linker, linker, sizeof linker, error);
    if (rc == 0)
        rc = scratch_make(&pool->scratch, link->folder, false, error);
    if (rc != 0)
        return rc;
    snprintf(cache_bytes, sizeof cache_bytes, "%llu", (unsigned long long)config->tvm_cache_bytes);
    snprintf(file_bytes, sizeof file_bytes, "%llu",
             (unsigned long long)config->max_tvm_upload_bytes);
    snprintf(memory, sizeof memory, "%llu", (unsigned long long)MEMORY_BYTES);
    snprintf(cpu_s, sizeof cpu_s, "%llu",
             (unsigned long long)config->tvm_link_deadline_ms / 1000 + 1);
    at[LINK_ARGUMENT_PROGRAM] = linker;
    at[LINK_ARGUMENT_FOLDER] = link->folder;
    at[LINK_ARGUMENT_USER] = config->tvm_user;
    at[LINK_ARGUMENT_CACHE] = pool->cache;
    at[LINK_ARGUMENT_CACHE_BYTES] = cache_bytes;
    at[LINK_ARGUMENT_FILE_BYTES] = file_bytes;
    at[LINK_ARGUMENT_MEMORY_BYTES] = memory;
    at[LINK_ARGUMENT_CPU_S] = cpu_s;
    return child_spawn(&pool->children, &link->child, arguments, socket, error);
}

/* No process could be started: tells why, and is over. */
static void give_up(struct link_process *link, const struct vta_error *error)
{
    struct worker_process *worker = link->worker;
    log_warning("session %llu: %s", (unsigned long long)link->session, error->message);
    answer(worker, -1, error);
    link->state = LINK_ENDED;
    part(link);
    if (link->folder[0] != '\0') {
        link->references++;
        remove_folder(link);
    }
    uv_close((uv_handle_t *)&link->timer, on_timer_closed);
    wish_ended(worker);
}

/* Starts one that waits, and answers. */
static void start(struct link_process *link)
{
    struct vta_error error = { .insn = -1 };
    int ends[2] = { -1, -1 }, rc = 0;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        rc = vta_error_set(&error, VTA_EIO, "linking: %s", strerror(errno));
    if (rc == 0)
        rc = spawn(link, ends[1], &error);
    if (rc == 0) {
        link->state = LINK_RUNNING;
        link->references = 3; /* timer, child, removal */
        uv_timer_start(&link->timer, on_deadline, link->pool->server->config.tvm_link_deadline_ms,
                       0);
        answer(link->worker, ends[0], NULL);
    } else {
        give_up(link, &error);
    }
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
}

/* Whether it takes one of the places. */
static bool takes_place(enum link_state state)
{
    switch (state) {
    case LINK_RUNNING:
    case LINK_OVERDUE:
    case LINK_ORPHANED:
    case LINK_ENDED: /* its folder is being removed */
        return true;
    case LINK_WAITING:
    case LINK_WITHDRAWN:
        break;
    }
    return false;
}

static void start_next(struct pool *pool)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    long running = 0;
    for (struct link_process *each = pool->links; each != NULL; each = each->next)
        running += takes_place(each->state);
    for (struct link_process *each = pool->links; each != NULL; each = each->next) {
        if (running >= (processors > 0 ? processors : 1))
            return;
        if (each->state == LINK_WAITING) {
            start(each);
            running++;
        }
    }
}

/* Puts a link at the end of the queue. */
static void order(struct worker_process *worker, uint64_t id)
{
    struct pool *pool = worker->pool;
    struct vta_error error = { .insn = -1 };
    struct link_process *link = calloc(1, sizeof *link);
    worker->wish = (struct link_wish){ .state = LINK_WISH_NOTHING, .id = id };
    if (link == NULL) {
        vta_error_set(&error, VTA_ENOMEM, "no memory for a linker");
        answer(worker, -1, &error);
        return;
    }
    link->pool = pool;
    link->state = LINK_WAITING;
    link->worker = worker;
    link->session = worker->id;
    link->child.ended = on_ended;
    link->references = 1;
    uv_timer_init(&pool->server->loop, &link->timer);
    link->timer.data = link;
    worker->wish.link = link;
    worker->wish.state = LINK_WISH_ONE;
    struct link_process **place = &pool->links;
    for (; *place != NULL; place = &(*place)->next)
        link->previous = *place;
    *place = link;
    start_next(pool);
}

void link_process_request(struct worker_process *worker, uint64_t id)
{
    struct link_wish *wish = &worker->wish;
    switch (wish->state) {
    case LINK_WISH_NOTHING:
        order(worker, id);
        return;
    case LINK_WISH_ONE:
        if (wish->link->state == LINK_WAITING)
            break; /* it has no answer yet */
        wish->state = LINK_WISH_NEXT;
        wish->next_id = id;
        return;
    case LINK_WISH_NEXT:
        break;
    }
    worker_process_kill(worker, "the worker does not keep to the channel's rules");
}
