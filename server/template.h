/* template.h: TVM sessions' workers, and the process that forks them: how many there may be, and
 * what becomes of sessions if none can be made.
 *
 * After each start a trial worker shows what its box is made of. What a template has not forked
 * when it dies, the next one is asked for.
 *
 *     TRIED ──the trial is good──▶ PROVED ──the process ends, or a reload──▶ TRIED
 *     TRIED ──the process or the trial fails──▶ PAUSING ──a while later──▶ TRIED
 *
 * TRIED goes to REFUSING if no later trial can be better: until a reload, which leads from any
 * state but the last two to TRIED, or to REFUSING if TVM is turned off. Any state goes to STOPPING
 * with the daemon, and to CLOSED when all processes are gone.
 */
#ifndef VTA_SERVER_TEMPLATE_H
#define VTA_SERVER_TEMPLATE_H

#include <limits.h>

#include "worker_process.h"

struct server;

enum template_state {
    TEMPLATE_CLOSED,
    TEMPLATE_TRIED,
    TEMPLATE_PROVED,
    TEMPLATE_PAUSING,
    TEMPLATE_REFUSING,
    TEMPLATE_STOPPING
};

struct template
{
    struct server *server;
    enum template_state state;
    struct children children;
    struct child process;
    int channel; /* to it; -1: there is none */
    struct scratch scratch;
    uv_timer_t pause;               /* active in PAUSING */
    struct worker_process *workers; /* owned; each goes by itself once its process has ended */
    struct worker_process *trial;   /* one of them; in TRIED, but for the moment of a failure */
    char program[PATH_MAX];         /* vtad-worker */
    unsigned failed;                /* trials in a row */
    struct vta_error refusal;       /* why there are no sessions, but in TRIED and PROVED */
};

/* Opens and starts the process. What keeps it from working is logged, and is the answer to every
 * session. */
void template_open(struct template *template, struct server *server);

/* Whether one more session may begin: VTA_EUNSUPPORTED or what else is the reason if there are
 * none, VTA_ELIMIT if there are too many, VTA_ECLOSED if the server stops, else 0. */
int template_admit(const struct template *template, struct vta_error *error);
/* Whether there are sessions at all. */
bool template_is_open(const struct template *template);

void template_reloaded(struct template *template);      /* the configuration has changed */
void template_drain(struct template *template);         /* no more sessions; busy ones finish */
void template_kill(struct template *template);          /* none at all */
bool template_is_over(const struct template *template); /* after these: no worker is left */
void template_close(struct template *template); /* once it is over; the loop frees the rest */
void template_clear(struct template *template); /* after the loop */

/* What worker_process.c asks for and tells. Asked for, a worker has this end of its channel, which
 * stays the caller's. */
int template_fork(struct template *template, int channel, struct vta_error *error);
void template_worker_ready(struct template *template, struct worker_process *worker,
                           const struct channel_ready *ready);
void template_worker_over(struct template *template, struct worker_process *worker);
void template_worker_gone(struct template *template, struct worker_process *worker);

#endif
