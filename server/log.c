/* log.c: levels, and the two places that lines go to.
 */
#include "log.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef HAVE_SYSTEMD
#include <systemd/sd-journal.h>
#endif

#define LINE_MAX_BYTES 2048 /* below PIPE_BUF, so that a writable pipe takes a line whole */

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

static void send_to_stderr(const char *line, size_t length)
{
    if (!stderr_takes_a_line()) {
        dropped++;
        return;
    }
    if (dropped > 0) {
        char note[80];
        int n = snprintf(note, sizeof note, "warning: %lu log lines were dropped\n", dropped);
        dropped = 0;
        if (write(STDERR_FILENO, note, (size_t)n) < 0)
            return;
    }
    if (write(STDERR_FILENO, line, length) < 0)
        dropped++;
}

void log_line(enum log_level level, const char *format, ...)
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

    va_list args;
    va_start(args, format);
    int n = vsnprintf(line + length, sizeof line - length - 1, format, args);
    va_end(args);
    if (n < 0)
        return;
    length += (size_t)n < sizeof line - length - 1 ? (size_t)n : sizeof line - length - 2;

    if (to_journal) {
        send_to_journal(level, line);
        return;
    }
    line[length] = '\n';
    send_to_stderr(line, length + 1);
}
