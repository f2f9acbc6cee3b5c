/* template.c: the template's process and its trials; the list of workers.
 */
#include "template.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "server.h"

#define RETRY_MS     100
#define RETRY_MAX_MS 10000

static const struct config *config_of(const struct template *template)
{
    return &template->server->config;
}

/* The worker program: the configured one, or that of a build folder (server/vtad and
 * worker/vtad-worker), or where it is installed. */
static void find_program(struct template *template)
{
    static const char built[] = "../worker/vtad-worker";
    const char *configured = config_of(template)->tvm_worker;
    ssize_t n =
        readlink("/proc/self/exe", template->program, sizeof template->program - sizeof built);
    while (n > 0 && template->program[n - 1] != '/')
        n--;
    if (n > 0)
        memcpy(template->program + n, built, sizeof built);
    if (configured != NULL || n <= 0 || access(template->program, X_OK) != 0)
        snprintf(template->program, sizeof template->program, "%s",
                 configured != NULL ? configured : VTAD_WORKER);
}

/* ---- The process ---------------------------------------------------------------------------- */

static void on_ended(struct child *child, int status);

/* Unless one is there. */
static int start_process(struct template *template, struct vta_error *error)
{
    char *arguments[] = { template->program, (char *)"template", NULL };
    int ends[2];
    if (template->process.pid > 0)
        return 0;
    int rc = worker_channel_pair(ends, error);
    if (rc != 0)
        return rc;
    template->channel = ends[0];
    template->process.ended = on_ended;
    rc = child_spawn(&template->children, &template->process, arguments, ends[1], error);
    close(ends[1]);
    return rc;
}

static void close_channel(struct template *template)
{
    if (template->channel >= 0)
        close(template->channel);
    template->channel = -1;
}

/* Its end is nobody's business any more. */
static void kill_process(struct template *template)
{
    close_channel(template);
    child_kill(&template->process);
    child_disown(&template->process);
}

int template_fork(struct template *template, int channel, struct vta_error *error)
{
    const struct channel_head head = { .type = CHANNEL_FORK };
    return worker_channel_say(template->channel, &head, NULL, 0, channel, error);
}

/* ---- Trials --------------------------------------------------------------------------------- */

/* Nothing comes of the process, nor of the sessions that wait for it. */
static void give_up(struct template *template, enum template_state state,
                    const struct vta_error *error)
{
    template->state = state;
    template->refusal = *error;
    template->trial = NULL;
    uv_timer_stop(&template->pause);
    kill_process(template);
    for (struct worker_process *each = template->workers; each != NULL; each = each->next)
        if (each->state == WORKER_STARTING || each->id == 0)
            worker_process_kill(each, "%s", error->message);
}

static void refuse(struct template *template, const struct vta_error *error)
{
    log_error("TVM sessions are refused: %s", error->message);
    give_up(template, TEMPLATE_REFUSING, error);
}

static void on_pause_over(uv_timer_t *timer);

/* Tries again after a pause, which doubles until a trial is good. */
static void fail(struct template *template, const struct vta_error *error)
{
    uint64_t pause = template->failed < 8 ? (uint64_t)RETRY_MS << template->failed : RETRY_MAX_MS;
    log_error("a TVM worker could not be started: %s", error->message);
    give_up(template, TEMPLATE_PAUSING, error);
    template->failed++;
    uv_timer_start(&template->pause, on_pause_over, pause < RETRY_MAX_MS ? pause : RETRY_MAX_MS, 0);
}

static void try_out(struct template *template)
{
    struct vta_error error = { .insn = -1 };
    template->state = TEMPLATE_TRIED;
    if (start_process(template, &error) != 0 ||
        worker_process_new(&template->trial, template, true, &error) != 0)
        fail(template, &error);
}

static void on_pause_over(uv_timer_t *timer)
{
    try_out(timer->data);
}

void template_worker_ready(struct template *template, struct worker_process *worker,
                           const struct channel_ready *ready)
{
    if (worker != template->trial)
        return;
    log_line(ready->complete ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
             "TVM sessions run in a box of %s", ready->box);
    template->trial = NULL;
    template->state = TEMPLATE_PROVED;
    template->failed = 0;
}

/* A trial that is over before it was ready says why in its last word. */
void template_worker_over(struct template *template, struct worker_process *worker)
{
    struct vta_error error = { .insn = -1 };
    if (worker != template->trial)
        return;
    vta_error_set(&error, worker->code != 0 ? worker->code : VTA_EIO, "%s", worker->reason);
    if (error.code == VTA_EUNSUPPORTED || error.code == VTA_ECONFIG || error.code == VTA_EVERSION)
        refuse(template, &error);
    else
        fail(template, &error);
}

/* One that dies after a good trial is replaced at once; sessions wait for the next one. */
static void on_ended(struct child *child, int status)
{
    struct template *template =
        (struct template *)((char *)child - offsetof(struct template, process));
    struct vta_error error = { .insn = -1 };
    char how[96];
    child_describe(how, sizeof how, status);
    close_channel(template);
    if (template->state != TEMPLATE_PROVED) {
        vta_error_set(&error, VTA_EIO, "the process died%s", how);
        fail(template, &error);
        return;
    }
    log_warning("the template of TVM workers has ended%s; the next one is started", how);
    try_out(template);
    for (struct worker_process *each = template->workers; each != NULL; each = each->next)
        worker_process_renew(each);
}

/* ---- Workers -------------------------------------------------------------------------------- */

bool template_is_open(const struct template *template)
{
    return template->state == TEMPLATE_TRIED || template->state == TEMPLATE_PROVED;
}

int template_admit(const struct template *template, struct vta_error *error)
{
    uint64_t limit = config_of(template)->max_tvm_sessions, sessions = 0;
    if (!template_is_open(template)) {
        *error = template->refusal;
        return error->code;
    }
    for (const struct worker_process *each = template->workers; each != NULL; each = each->next)
        sessions += each->id != 0 && each->state != WORKER_OVER;
    if (sessions < limit)
        return 0;
    return vta_error_limit(error, VTA_ELIMIT, (int64_t)limit, (int64_t)sessions + 1,
                           "the server has %llu TVM sessions, its limit (max_tvm_sessions)",
                           (unsigned long long)limit);
}

void template_worker_gone(struct template *template, struct worker_process *worker)
{
    if (worker->previous != NULL)
        worker->previous->next = worker->next;
    else
        template->workers = worker->next;
    if (worker->next != NULL)
        worker->next->previous = worker->previous;
    server_something_gone(template->server);
}

/* It may be the process of a worker whose first word was not heard yet. */
static void on_unknown(struct children *children)
{
    struct template *template =
        (struct template *)((char *)children - offsetof(struct template, children));
    for (struct worker_process *each = template->workers; each != NULL; each = each->next)
        if (each->state == WORKER_STARTING)
            worker_channel_drain(&each->channel);
}

/* ---- Life ----------------------------------------------------------------------------------- */

/* What follows from the configuration; also after a reload. */
static void begin(struct template *template)
{
    const struct config *config = config_of(template);
    struct vta_error error = { .insn = -1 };
    template->failed = 0;
    uv_timer_stop(&template->pause);
    if (config->tvm == TVM_OFF) {
        vta_error_set(&error, VTA_EUNSUPPORTED, "TVM sessions are turned off (tvm in vtad.json)");
        give_up(template, TEMPLATE_REFUSING, &error);
    } else if (template->scratch.path[0] == '\0' &&
               scratch_open(&template->scratch, config->tvm_scratch, config->tvm_user, &error) !=
                   0) {
        refuse(template, &error);
    } else {
        try_out(template);
    }
}

void template_open(struct template *template, struct server *server)
{
    struct vta_error error = { .insn = -1 };
    template->server = server;
    template->scratch.lock = -1;
    template->channel = -1;
    uv_timer_init(&server->loop, &template->pause);
    template->pause.data = template;
    find_program(template);
    if (children_open(&template->children, &server->loop, on_unknown, &error) != 0)
        refuse(template, &error);
    else
        begin(template);
}

void template_reloaded(struct template *template)
{
    if (template->state == TEMPLATE_STOPPING || template->state == TEMPLATE_CLOSED)
        return;
    struct worker_process *trial = template->trial;
    template->trial = NULL;
    if (trial != NULL)
        worker_process_kill(trial, "the configuration has changed");
    for (struct worker_process *each = template->workers; each != NULL; each = each->next)
        worker_process_reloaded(each);
    begin(template);
}

static void stop(struct template *template)
{
    struct vta_error error = { .insn = -1 };
    if (template->state == TEMPLATE_STOPPING || template->state == TEMPLATE_CLOSED)
        return;
    vta_error_set(&error, VTA_ECLOSED, "the server stops");
    give_up(template, TEMPLATE_STOPPING, &error);
}

void template_drain(struct template *template)
{
    stop(template);
    for (struct worker_process *each = template->workers; each != NULL; each = each->next)
        worker_process_drain(each);
}

void template_kill(struct template *template)
{
    stop(template);
    for (struct worker_process *each = template->workers; each != NULL; each = each->next)
        worker_process_kill(each, "the server stops");
}

bool template_is_over(const struct template *template)
{
    return template->workers == NULL;
}

void template_close(struct template *template)
{
    if (template->state == TEMPLATE_CLOSED)
        return;
    template->state = TEMPLATE_CLOSED;
    uv_close((uv_handle_t *)&template->pause, NULL);
    children_close(&template->children);
}

void template_clear(struct template *template)
{
    if (template->server != NULL)
        scratch_close(&template->scratch);
}
