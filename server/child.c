/* child.c: posix_spawn(3), SIGCHLD and waitpid(2).
 */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* What a child sees of the environment: nothing that a client's code should not read. */
static const char *const passed_on[] = { "LD_LIBRARY_PATH=", "VTA_KERNELS=", "ASAN_OPTIONS=",
                                         "UBSAN_OPTIONS=", "TSAN_OPTIONS=" };
#define PASSED_ON (sizeof passed_on / sizeof passed_on[0])

static void make_environment(char *environment[PASSED_ON + 1])
{
    size_t count = 0;
    for (char **each = environ; *each != NULL; each++)
        for (size_t i = 0; i < PASSED_ON; i++)
            if (strncmp(*each, passed_on[i], strlen(passed_on[i])) == 0 && count < PASSED_ON)
                environment[count++] = *each;
    environment[count] = NULL;
}

static void forget(struct child *child)
{
    if (child->previous != NULL)
        child->previous->next = child->next;
    else
        child->children->first = child->next;
    if (child->next != NULL)
        child->next->previous = child->previous;
    child->pid = 0;
}

/* One signal may stand for several ends. */
static void on_signal(uv_signal_t *handle, int number)
{
    struct children *children = handle->data;
    struct child *next;
    (void)number;
    for (struct child *each = children->first; each != NULL; each = next) {
        siginfo_t info = { .si_pid = 0 };
        int status;
        next = each->next;
        if (waitid(P_PID, (id_t)each->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
            info.si_pid != each->pid)
            continue;
        kill(-each->pid, SIGKILL); /* what it has started, while nobody else can have its number */
        waitpid(each->pid, &status, 0);
        forget(each);
        each->ended(each, status);
    }
}

int children_open(struct children *children, uv_loop_t *loop, struct vta_error *error)
{
    *children = (struct children){ 0 };
    uv_signal_init(loop, &children->signal);
    children->signal.data = children;
    int rc = uv_signal_start(&children->signal, on_signal, SIGCHLD);
    if (rc != 0)
        return vta_error_set(error, VTA_EIO, "SIGCHLD: %s", uv_strerror(rc));
    uv_unref((uv_handle_t *)&children->signal); /* what a child belongs to keeps the loop alive */
    return 0;
}

void children_close(struct children *children)
{
    if (!uv_is_closing((uv_handle_t *)&children->signal))
        uv_close((uv_handle_t *)&children->signal, NULL);
}

/* Signals as a fresh process has them, whatever the daemon ignores or blocks. */
static int prepare(posix_spawnattr_t *attributes, posix_spawn_file_actions_t *files, int input)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &all);
    posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                             POSIX_SPAWN_SETPGROUP);
    int rc = posix_spawn_file_actions_adddup2(files, input, STDIN_FILENO);
    if (rc == 0)
        rc = posix_spawn_file_actions_addopen(files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    return rc;
}

/* What a sanitised process has to say, it says where the daemon's log goes. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ERRORS_ARE_HEARD 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define ERRORS_ARE_HEARD 1
#endif
#ifndef ERRORS_ARE_HEARD
#define ERRORS_ARE_HEARD 0
#endif

int child_spawn(struct children *children, struct child *child, char *const *arguments, int input,
                struct vta_error *error)
{
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t files;
    char *environment[PASSED_ON + 1];
    pid_t pid;
    make_environment(environment);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_init(&files);
    int rc = prepare(&attributes, &files, input);
    if (rc == 0 && !ERRORS_ARE_HEARD)
        rc = posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (rc == 0)
        rc = posix_spawn(&pid, arguments[0], &files, &attributes, arguments, environment);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    if (rc != 0)
        return vta_error_set(error, VTA_EIO, "%s: %s", arguments[0], strerror(rc));

    child->children = children;
    child->pid = pid;
    child->previous = NULL;
    child->next = children->first;
    if (child->next != NULL)
        child->next->previous = child;
    children->first = child;
    return 0;
}

void child_kill(struct child *child)
{
    if (child->pid > 0 && kill(-child->pid, SIGKILL) != 0)
        kill(child->pid, SIGKILL); /* on its way from its group to a session of its own */
}
