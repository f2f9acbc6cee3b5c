/* child.h: processes that the daemon starts, or that are started for it, and that it hears of when
 * they end. What they are for is their owner's business.
 *
 * Not uv_spawn: that copies the daemon's page tables with fork, which takes a tenth of a second
 * once sessions use gigabytes of board memory. posix_spawn shares them until the program is there.
 */
#ifndef VTA_SERVER_CHILD_H
#define VTA_SERVER_CHILD_H

#include <uv.h>

#include <vta/error.h>

struct child {
    struct child *previous, *next;
    struct children *children;
    pid_t pid;                                      /* 0: none runs */
    bool group;                                     /* what it has started is killed with it */
    void (*ended)(struct child *child, int status); /* status as wait(2) gives it */
};

struct children {
    uv_signal_t signal; /* SIGCHLD */
    struct child *first;
    /* A child that nobody knows has ended, and its number will be free: whoever may be about to
     * adopt it does so now, or never. */
    void (*unknown)(struct children *children);
};

int children_open(struct children *children, uv_loop_t *loop,
                  void (*unknown)(struct children *children), struct vta_error *error);
void children_close(struct children *children); /* once none is left; may be called again */

/* Starts a program with these arguments (NULL-terminated) in a process group of its own, so that
 * the keys of a terminal do not reach it. Its standard input is `input`; its output goes nowhere;
 * of the environment it sees what a program needs to start.
 * child->ended is set, and called from the loop once. */
int child_spawn(struct children *children, struct child *child, char *const *arguments, int input,
                struct vta_error *error);

/* Makes a process that is a child of the daemon's already one that it hears of. */
void child_adopt(struct children *children, struct child *child, pid_t pid);

/* Hears no more of it, if it has not ended. */
void child_disown(struct child *child);

/* SIGKILL to it and, where that is so, what it has started; nothing where it has ended. */
void child_kill(struct child *child);

/* "", or how it has ended if not as it should: " (exit status 1)". */
void child_describe(char *text, size_t size, int status);

#endif
