/* link_process.c: queue, start, deadline and end of linker processes.
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
                                       .id = worker->link_id };
    size_t length = fd < 0 ? strlen(error->message) : 0;
    if (channel_send(worker->channel_fd, &head, fd < 0 ? error->message : NULL, length, fd,
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
    if (link->worker != NULL)
        link->worker->link = NULL;
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

static void explain(const struct link_process *link, int status, struct vta_error *error)
{
    unsigned long long limit = link->pool->server->config.tvm_link_deadline_ms;
    if (link->timed_out)
        vta_error_limit(error, VTA_ETIMEOUT, (int64_t)limit, (int64_t)limit,
                        "linking took longer than %llu ms (tvm_link_deadline_ms)", limit);
    else if (WIFSIGNALED(status))
        vta_error_set(error, VTA_EINTERNAL, "the linker process was ended by signal %d (%s)",
                      WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        vta_error_set(error, VTA_EINTERNAL, "the linker process ended with status %d",
                      WEXITSTATUS(status));
}

/* The worker has its library before the process that made it has ended, and may have asked for the
 * next one. */
static void request_wanted(struct worker_process *worker)
{
    if (!worker->link_wanted)
        return;
    worker->link_wanted = false;
    link_process_request(worker, worker->next_link_id);
}

static void on_ended(struct child *child, int status)
{
    struct link_process *link =
        (struct link_process *)((char *)child - offsetof(struct link_process, child));
    struct worker_process *worker = link->worker;
    struct vta_error error = { .insn = -1 };
    if (status != 0) {
        explain(link, status, &error);
        log_warning("session %llu: %s", worker != NULL ? (unsigned long long)worker->id : 0,
                    error.message);
        if (worker != NULL)
            answer(worker, -1, &error); /* it sees that its socket has ended, and reads this */
    }
    if (worker != NULL)
        worker->link = NULL;
    link->worker = NULL;
    uv_close((uv_handle_t *)&link->timer, on_timer_closed);
    remove_folder(link);
    release(link);
    if (worker != NULL)
        request_wanted(worker);
}

static void on_deadline(uv_timer_t *timer)
{
    struct link_process *link = timer->data;
    link->timed_out = true;
    child_kill(&link->child);
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

/* Starts it, or answers why not. */
static void start(struct link_process *link)
{
    struct vta_error error = { .insn = -1 };
    int ends[2] = { -1, -1 }, rc = 0;
    link->started = true;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        rc = vta_error_set(&error, VTA_EIO, "linking: %s", strerror(errno));
    if (rc == 0)
        rc = spawn(link, ends[1], &error);
    if (rc == 0) {
        link->references = 3; /* timer, child, removal */
        uv_timer_start(&link->timer, on_deadline, link->pool->server->config.tvm_link_deadline_ms,
                       0);
        answer(link->worker, ends[0], NULL);
    } else {
        log_warning("session %llu: %s", (unsigned long long)link->worker->id, error.message);
        answer(link->worker, -1, &error);
        link->worker->link = NULL;
        link->worker = NULL;
        if (link->folder[0] != '\0') {
            link->references++;
            remove_folder(link);
        }
        uv_close((uv_handle_t *)&link->timer, on_timer_closed);
    }
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
}

static void start_next(struct pool *pool)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    long running = 0;
    for (struct link_process *each = pool->links; each != NULL; each = each->next)
        running += each->started;
    for (struct link_process *each = pool->links; each != NULL; each = each->next) {
        if (running >= (processors > 0 ? processors : 1))
            return;
        if (!each->started && each->worker != NULL) {
            start(each);
            running++;
        }
    }
}

void link_process_request(struct worker_process *worker, uint64_t id)
{
    struct pool *pool = worker->pool;
    struct vta_error error = { .insn = -1 };
    if (worker->link != NULL && worker->link->started && !worker->link_wanted) {
        worker->link_wanted = true;
        worker->next_link_id = id;
        return;
    }
    if (worker->link != NULL) {
        worker_process_kill(worker, "the worker does not keep to the channel's rules");
        return;
    }
    struct link_process *link = calloc(1, sizeof *link);
    worker->link_id = id;
    if (link == NULL) {
        vta_error_set(&error, VTA_ENOMEM, "no memory for a linker");
        answer(worker, -1, &error);
        return;
    }
    link->pool = pool;
    link->worker = worker;
    link->child.ended = on_ended;
    link->references = 1;
    uv_timer_init(&pool->server->loop, &link->timer);
    link->timer.data = link;
    worker->link = link;
    struct link_process **place = &pool->links;
    for (; *place != NULL; place = &(*place)->next)
        link->previous = *place;
    *place = link;
    start_next(pool);
}

void link_process_forget(struct worker_process *worker)
{
    struct link_process *link = worker->link;
    worker->link_wanted = false;
    if (link == NULL)
        return;
    worker->link = NULL;
    link->worker = NULL;
    if (link->started)
        child_kill(&link->child);
    else
        uv_close((uv_handle_t *)&link->timer, on_timer_closed);
}
