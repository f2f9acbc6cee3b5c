/* log.h: what the daemon tells its administrator: lines with a level, to stderr or the journal.
 *
 * For the loop's thread only. A line that stderr would not take at once (a pipe that nobody reads)
 * is dropped and counted, because the loop never waits for a reader of its log.
 */
#ifndef VTA_SERVER_LOG_H
#define VTA_SERVER_LOG_H

#include <vta/error.h>

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_NOTICE,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG
};

enum log_target {
    LOG_TARGET_AUTO, /* the journal where stderr is connected to it, else stderr */
    LOG_TARGET_STDERR,
    LOG_TARGET_JOURNAL
};

/* VTA_EUNSUPPORTED where the journal is asked for and this build has no libsystemd. */
int log_open(enum log_target target, struct vta_error *error);
void log_set_level(enum log_level level);

/* One line, without a newline at its end. Errors and warnings say so on stderr ("warning: …");
 * the others are bare, so that a line is exactly what the documentation shows. */
void log_line(enum log_level level, const char *format, ...) VTA_PRINTF(2, 3);

/* Like log_line, of what a session's own code says: dropped and counted, too, where a pipe that
 * stderr is has less than half of its room left, so that no code can drown the daemon's lines. */
void log_line_of_session(enum log_level level, const char *format, ...) VTA_PRINTF(2, 3);

#define log_error(...)   log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)  log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)    log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
