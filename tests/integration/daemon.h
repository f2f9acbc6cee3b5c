/* daemon.h: a vtad process of a test's own: started on a free port, watched through its log,
 * stopped and its exit status checked. Every wait is for an event, and ends with a failure of the
 * test after WAIT_MS.
 */
#ifndef VTA_TESTS_DAEMON_H
#define VTA_TESTS_DAEMON_H

#include <stddef.h>
#include <sys/types.h>

#define WAIT_MS 30000

struct daemon {
    pid_t pid; /* 0: not running */
    int log_fd;
    char *log;                  /* everything that it has logged so far, terminated */
    size_t log_bytes, log_seen; /* log_seen: up to where daemon_wait_log has looked */
    int port;
    char dir[64];     /* a scratch folder, removed by daemon_clear */
    char config[128]; /* its configuration file, in dir */
};

/* Makes the scratch folder and an empty configuration ("{}"). */
void daemon_init(struct daemon *daemon);
void daemon_write_config(const struct daemon *daemon, const char *text);

/* Starts it with the configuration file, `--listen 127.0.0.1:0` and these flags (NULL-terminated,
 * or NULL), and waits for the port. */
void daemon_start(struct daemon *daemon, const char *const *flags);
/* The same without --listen; waits for nothing. extra_env as "NAME=value", NULL-terminated, or
 * NULL; listen_fd is passed as descriptor 3 where it is not negative, with LISTEN_FDS=1. */
void daemon_spawn(struct daemon *daemon, const char *const *flags, const char *const *extra_env,
                  int listen_fd);

/* Waits for a line that contains text, after what was seen before, and returns it (terminated,
 * valid until the next call). */
const char *daemon_wait_log(struct daemon *daemon, const char *text);
/* Whether such a line has been logged at any time so far. */
int daemon_has_logged(struct daemon *daemon, const char *text);

void daemon_signal(const struct daemon *daemon, int number);
/* Waits for its end; returns its exit status, or 128 + the signal that killed it. */
int daemon_wait(struct daemon *daemon);
/* SIGTERM, then daemon_wait. The test fails where the status is not 0. */
void daemon_stop(struct daemon *daemon);
/* Kills it if it still runs, and removes the scratch folder. */
void daemon_clear(struct daemon *daemon);

#endif
