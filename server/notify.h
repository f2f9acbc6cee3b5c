/* notify.h: what the daemon tells systemd, and the sockets it gets from it. Without libsystemd, or
 * without systemd, nothing happens.
 */
#ifndef VTA_SERVER_NOTIFY_H
#define VTA_SERVER_NOTIFY_H

#include <stdint.h>

void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);
void notify_watchdog(void);

/* The watchdog's period in ms, or 0 where none is wanted. */
uint64_t notify_watchdog_ms(void);

/* How many listening sockets were passed (socket activation), and the first one's descriptor. */
int notify_listen_fds(int *first);

#endif
