/* daemon.c: fork, exec, read its log.
 */
#include "daemon.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS_MAX 64

void daemon_init(struct daemon *daemon)
{
    *daemon = (struct daemon){ .log_fd = -1 };
    snprintf(daemon->dir, sizeof daemon->dir, "/tmp/vtad-test-XXXXXX");
    cr_assert_not_null(mkdtemp(daemon->dir));
    snprintf(daemon->config, sizeof daemon->config, "%s/vtad.json", daemon->dir);
    daemon_write_config(daemon, "{}");
}

void daemon_write_config(const struct daemon *daemon, const char *text)
{
    FILE *file = fopen(daemon->config, "w");
    cr_assert_not_null(file);
    fputs(text, file);
    cr_assert_eq(fclose(file), 0);
}

/* ---- Starting ------------------------------------------------------------------------------ */

/* In the child. */
static void become_vtad(char **args, int log_fd, const char *const *extra_env, int listen_fd)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* it ends with its test, whatever happens to that */
    dup2(log_fd, STDERR_FILENO);
    for (size_t i = 0; extra_env != NULL && extra_env[i] != NULL; i++)
        putenv((char *)extra_env[i]);
    if (listen_fd >= 0) {
        char pid[32];
        snprintf(pid, sizeof pid, "%d", (int)getpid());
        setenv("LISTEN_PID", pid, 1);
        setenv("LISTEN_FDS", "1", 1);
        if (listen_fd != 3)
            dup2(listen_fd, 3);
        else /* it must survive exec */
            dup2(dup(3), 3);
    }
    execv(args[0], args);
    _exit(127);
}

void daemon_spawn(struct daemon *daemon, const char *const *flags, const char *const *extra_env,
                  int listen_fd)
{
    const char *path = getenv("VTAD");
    char *args[ARGS_MAX] = { (char *)(path != NULL ? path : VTAD_PATH), "--config",
                             daemon->config };
    size_t count = 3;
    for (size_t i = 0; flags != NULL && flags[i] != NULL; i++) {
        cr_assert_lt(count, ARGS_MAX - 1);
        args[count++] = (char *)flags[i];
    }

    int log[2];
    cr_assert_eq(pipe2(log, O_CLOEXEC), 0);
    free(daemon->log);
    daemon->log = calloc(1, 1);
    daemon->log_bytes = daemon->log_seen = 0;
    daemon->pid = fork();
    cr_assert_geq(daemon->pid, 0);
    if (daemon->pid == 0)
        become_vtad(args, log[1], extra_env, listen_fd);
    close(log[1]);
    if (daemon->log_fd >= 0)
        close(daemon->log_fd);
    daemon->log_fd = log[0];
}

void daemon_start(struct daemon *daemon, const char *const *flags)
{
    const char *all[ARGS_MAX] = { "--listen", "127.0.0.1:0" };
    for (size_t i = 0; flags != NULL && flags[i] != NULL; i++) {
        cr_assert_lt(i + 2, ARGS_MAX - 1);
        all[i + 2] = flags[i];
    }
    daemon_spawn(daemon, all, NULL, -1);
    const char *line = daemon_wait_log(daemon, "listening on 127.0.0.1:");
    daemon->port = atoi(strrchr(line, ':') + 1);
    cr_assert_gt(daemon->port, 0, "%s", line);
}

/* ---- The log ------------------------------------------------------------------------------- */

/* What a failed assertion shows of the log: Criterion waits for ever with a message of a MiB. */
static const char *log_end(const struct daemon *daemon)
{
    const size_t shown = 16384;
    return daemon->log + (daemon->log_bytes > shown ? daemon->log_bytes - shown : 0);
}

/* Reads what there is, waiting up to wait_ms for more; false at the end of the log. */
static bool read_log(struct daemon *daemon, int wait_ms)
{
    struct pollfd fd = { .fd = daemon->log_fd, .events = POLLIN };
    int rc = poll(&fd, 1, wait_ms);
    if (rc == 0 && wait_ms > 0)
        cr_assert_fail("vtad was silent for %d ms; its log ends:\n%s", wait_ms, log_end(daemon));
    if (rc <= 0)
        return rc == 0;
    char bytes[4096];
    ssize_t n = read(daemon->log_fd, bytes, sizeof bytes);
    if (n <= 0)
        return false;
    daemon->log = realloc(daemon->log, daemon->log_bytes + (size_t)n + 1);
    memcpy(daemon->log + daemon->log_bytes, bytes, (size_t)n);
    daemon->log_bytes += (size_t)n;
    daemon->log[daemon->log_bytes] = '\0';
    return true;
}

const char *daemon_wait_log(struct daemon *daemon, const char *text)
{
    static char line[4096];
    for (;;) {
        char *begin = daemon->log + daemon->log_seen, *end;
        while ((end = strchr(begin, '\n')) != NULL) {
            snprintf(line, sizeof line, "%.*s", (int)(end - begin), begin);
            begin = end + 1;
            daemon->log_seen = (size_t)(begin - daemon->log);
            if (strstr(line, text) != NULL)
                return line;
        }
        if (!read_log(daemon, WAIT_MS))
            cr_assert_fail("vtad ended without logging '%s'; its log ends:\n%s", text,
                           log_end(daemon));
    }
}

int daemon_has_logged(struct daemon *daemon, const char *text)
{
    size_t had;
    do {
        had = daemon->log_bytes;
        read_log(daemon, 0);
    } while (daemon->log_bytes > had);
    return strstr(daemon->log, text) != NULL;
}

/* ---- Ending -------------------------------------------------------------------------------- */

void daemon_signal(const struct daemon *daemon, int number)
{
    cr_assert_gt(daemon->pid, 0);
    cr_assert_eq(kill(daemon->pid, number), 0);
}

int daemon_wait(struct daemon *daemon)
{
    int status;
    while (read_log(daemon, WAIT_MS)) /* its end of the pipe closes when it ends */
        ;
    cr_assert_eq(waitpid(daemon->pid, &status, 0), daemon->pid);
    daemon->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void daemon_stop(struct daemon *daemon)
{
    daemon_signal(daemon, SIGTERM);
    int status = daemon_wait(daemon);
    cr_assert_eq(status, 0, "vtad ended with status %d; its log ends:\n%s", status,
                 log_end(daemon));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void daemon_clear(struct daemon *daemon)
{
    if (daemon->pid > 0) {
        kill(daemon->pid, SIGKILL);
        waitpid(daemon->pid, NULL, 0);
    }
    if (daemon->log_fd >= 0)
        close(daemon->log_fd);
    free(daemon->log);
    nftw(daemon->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    *daemon = (struct daemon){ .log_fd = -1 };
}
