/* child.c: posix_spawn(3), SIGCHLD and waitpid(2).
 */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
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

static void add(struct children *children, struct child *child, pid_t pid)
{
    child->children = children;
    child->pid = pid;
    child->previous = NULL;
    child->next = children->first;
    if (child->next != NULL)
        child->next->previous = child;
    children->first = child;
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

static struct child *find(const struct children *children, pid_t pid)
{
    struct child *each = children->first;
    while (each != NULL && each->pid != pid)
        each = each->next;
    return each;
}

/* The number is nobody else's until waitpid. */
static void bury(struct children *children, pid_t pid)
{
    int status;
    struct child *child = find(children, pid);
    if (child == NULL) {
        children->unknown(children);
        child = find(children, pid);
    }
    if (child != NULL)
        child_kill(child); /* what it has started */
    waitpid(pid, &status, 0);
    if (child == NULL)
        return;
    forget(child);
    child->ended(child, status);
}

/* One signal may stand for several ends. */
static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    for (;;) {
        siginfo_t info = { .si_pid = 0 };
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
            return;
        bury(handle->data, info.si_pid);
    }
}

int children_open(struct children *children, uv_loop_t *loop,
                  void (*unknown)(struct children *children), struct vta_error *error)
{
    *children = (struct children){ .unknown = unknown };
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

    add(children, child, pid);
    child->group = false;
    return 0;
}

void child_adopt(struct children *children, struct child *child, pid_t pid)
{
    add(children, child, pid);
    child->group = true;
}

void child_disown(struct child *child)
{
    if (child->pid > 0)
        forget(child);
}

void child_kill(struct child *child)
{
    if (child->pid > 0 && (!child->group || kill(-child->pid, SIGKILL) != 0))
        kill(child->pid, SIGKILL); /* it leads no group, or not yet */
}

void child_describe(char *text, size_t size, int status)
{
    text[0] = '\0';
    if (WIFSIGNALED(status))
        snprintf(text, size, " (signal %d, %s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) != 0)
        snprintf(text, size, " (exit status %d)", WEXITSTATUS(status));
}
