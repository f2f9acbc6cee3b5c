/* board.h: what the suites of TVM sessions share: a daemon, its workers as the system sees them,
 * and the module of kernels that misbehave.
 */
#ifndef VTA_TESTS_TVM_BOARD_H
#define VTA_TESTS_TVM_BOARD_H

#include "client.h"
#include "tests/integration/daemon.h"

/* Starts the daemon with its scratch and all else in daemon->dir, and these flags. */
void board_start(struct daemon *daemon, const char *const *flags);
void board_stop(struct daemon *daemon); /* and checks that nothing is left */

/* Processes that the daemon has now, its template among them; a process that has ended and is not
 * reaped counts. */
unsigned board_processes(const struct daemon *daemon);
/* The first `most` of them; returns how many that are. */
unsigned board_pids(const struct daemon *daemon, int *pids, unsigned most);
unsigned board_descriptors(const struct daemon *daemon);
/* Folders of processes in the daemon's scratch folder; 0 where that is gone. */
unsigned board_folders(const struct daemon *daemon);
/* Waits until processes and folders are as given and there are no more descriptors; descriptors 0:
 * until their number stays as it is. Returns it. */
unsigned board_expect(const struct daemon *daemon, unsigned processes, unsigned folders,
                      unsigned descriptors);

/* Waits until a kernel that says so (nap, loop_for_ever) is at work in some worker. */
void board_wait_at_work(const struct daemon *daemon);

/* Loads misbehave.so and returns a kernel of it. */
uint64_t board_kernel(struct client *client, const char *name);
/* Opens a session, has it add, and closes it: all is well. */
void board_check(const struct daemon *daemon);

#endif
