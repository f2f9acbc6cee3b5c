/* log.c: levels, and the two places that lines go to.
 */
#include "log.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#ifdef HAVE_SYSTEMD
#include <systemd/sd-journal.h>
#endif

#define LINE_MAX_BYTES 2048 /* below PIPE_BUF, which a writable pipe takes whole */

static enum log_level threshold = LOG_LEVEL_INFO;
static bool to_journal;
static unsigned long dropped;

/* Whether stderr is the journal's own socket: JOURNAL_STREAM holds "device:inode" of it. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long device = 0, inode = 0;
    struct stat st;
    return stream != NULL && sscanf(stream, "%lu:%lu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

int log_open(enum log_target target, struct vta_error *error)
{
#ifdef HAVE_SYSTEMD
    to_journal = target == LOG_TARGET_JOURNAL || (target == LOG_TARGET_AUTO && stderr_is_journal());
#else
    if (target == LOG_TARGET_JOURNAL)
        return vta_error_set(error, VTA_EUNSUPPORTED,
                             "log: this build has no libsystemd, so it cannot log to the journal");
    to_journal = false;
    (void)stderr_is_journal;
#endif
    (void)error;
    return 0;
}

void log_set_level(enum log_level level)
{
    threshold = level;
}

static void send_to_journal(enum log_level level, const char *text)
{
#ifdef HAVE_SYSTEMD
    static const int priority[] = { 3, 4, 5, 6, 7 }; /* syslog(3) */
    sd_journal_send("MESSAGE=%s", text, "PRIORITY=%i", priority[level], "SYSLOG_IDENTIFIER=vtad",
                    NULL);
#else
    (void)level;
    (void)text;
#endif
}

static bool stderr_takes_a_line(void)
{
    struct pollfd fd = { .fd = STDERR_FILENO, .events = POLLOUT };
    return poll(&fd, 1, 0) == 1 && (fd.revents & POLLOUT) != 0;
}

/* True where it is no pipe: nobody can tell then. */
static bool stderr_is_half_empty(void)
{
    int waiting = 0, size = fcntl(STDERR_FILENO, F_GETPIPE_SZ);
    return size <= 0 || ioctl(STDERR_FILENO, FIONREAD, &waiting) != 0 || waiting <= size / 2;
}

static void send_to_stderr(const char *line, size_t length, bool of_session)
{
    if (!stderr_takes_a_line() || (of_session && !stderr_is_half_empty())) {
        dropped++;
        return;
    }
    char note[80];
    int n = 0;
    if (dropped > 0)
        n = snprintf(note, sizeof note, "warning: %lu log lines were dropped\n", dropped);
    /* In one write: together they are below PIPE_BUF, one after the other they could wait. */
    const struct iovec both[] = { { note, (size_t)n }, { (void *)line, length } };
    if (writev(STDERR_FILENO, both, 2) < 0)
        dropped++;
    else
        dropped = 0;
}

static void VTA_PRINTF(3, 0)
    send(enum log_level level, bool of_session, const char *format, va_list args)
{
    if (level > threshold)
        return;

    char line[LINE_MAX_BYTES];
    const char *prefix = to_journal                   ? ""
                         : level == LOG_LEVEL_ERROR   ? "error: "
                         : level == LOG_LEVEL_WARNING ? "warning: "
                                                      : "";
    size_t length = strlen(prefix);
    memcpy(line, prefix, length);

    int n = vsnprintf(line + length, sizeof line - length - 1, format, args);
    if (n < 0)
        return;
    length += (size_t)n < sizeof line - length - 1 ? (size_t)n : sizeof line - length - 2;

    if (to_journal) {
        send_to_journal(level, line);
        return;
    }
    line[length] = '\n';
    send_to_stderr(line, length + 1, of_session);
}

void log_line(enum log_level level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    send(level, false, format, args);
    va_end(args);
}

void log_line_of_session(enum log_level level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    send(level, true, format, args);
    va_end(args);
}
