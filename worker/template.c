/* template.c: what is done once for all workers, and the fork.
 */
#include "template.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "box.h"
#include "channel.h"
#include "cpu.h"

/* ---- Once ----------------------------------------------------------------------------------- */

/* Where the machine runs out of memory, it is a worker that goes, not the daemon. */
static void be_the_first_to_go(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    ssize_t written = fd >= 0 ? write(fd, "500", 3) : 0;
    (void)written; /* where it may not, it goes when its turn comes */
    if (fd >= 0)
        close(fd);
}

/* What the C library, a thread's end and compiled modules would otherwise look for when no file is
 * to be seen any more. */
static void load_early(void)
{
    static const char *const libraries[] = { "libgcc_s.so.1", "libm.so.6",  "libstdc++.so.6",
                                             "libdl.so.2",    "librt.so.1", "libpthread.so.0" };
    for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++)
        (void)dlopen(libraries[i], RTLD_NOW | RTLD_GLOBAL); /* one that is missing is not used */
    mallopt(M_ARENA_MAX, 2); /* each arena reserves address space, which is limited */
}

/* ---- For each worker ------------------------------------------------------------------------ */

/* Not fork(2), which would make a child of this process. What else the C library does there is for
 * a process of several threads, but for its own copy of the thread's number: the kernel knows where
 * that is, and writes the new one. The argument is given twice, because machines differ in which of
 * the last two it is; the other one is not looked at. */
static pid_t fork_for_daemon(void)
{
    unsigned long flags = CLONE_PARENT | SIGCHLD;
    void *number = NULL;
    if (prctl(PR_GET_TID_ADDRESS, &number, 0, 0, 0) == 0 && number != NULL)
        flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
    return (pid_t)syscall(SYS_clone, flags, NULL, NULL, number, number);
}

static void say_why_not(int channel, int reason)
{
    const struct channel_head head = { .type = CHANNEL_ENDED, .number = VTA_EIO };
    char text[128];
    int length = snprintf(text, sizeof text, "no process could be forked: %s", strerror(reason));
    channel_send(channel, &head, text, (size_t)length, -1, false);
}

_Noreturn void template_run(void (*serve)(const struct engine_ops *engine, pid_t daemon))
{
    static unsigned char payload[CHANNEL_PAYLOAD_MAX];
    const pid_t daemon = getppid();
    struct channel_head head;
    struct vta_error why;
    size_t nbytes;
    int channel;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file beyond its limit is an error of a write */
    close_range(CHANNEL_FD + 3, ~0U, 0);
    load_early();
    const struct engine_ops *engine = cpu_engine_find();
    be_the_first_to_go();
    (void)box_prepare(&why); /* a worker that finds no filter says so */
    malloc_trim(
        0); /* what was used once would be put in order, and thereby copied, in every worker */
    while (channel_receive(CHANNEL_FD, &head, payload, &nbytes, &channel, true)) {
        pid_t pid = head.type == CHANNEL_FORK ? fork_for_daemon() : -1;
        if (pid == 0) {
            dup2(channel, CHANNEL_FD);
            close(channel);
            serve(engine, daemon);
        }
        if (pid < 0)
            say_why_not(channel, errno);
        close(channel);
    }
    _exit(0);
}
