/* board.c: counts processes, descriptors and folders in /proc and in the scratch folder.
 */
#include "board.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FLAGS_MAX     60
#define PROCESSES_MAX 1024
#define SAME          10 /* looks at what does not change, until it is taken to be at rest */

void board_start(struct daemon *daemon, const char *const *flags)
{
    const char *all[FLAGS_MAX] = { "--tvm-scratch", daemon->dir, "--log-level", "debug" };
    size_t count = 4;
    for (size_t i = 0; flags != NULL && flags[i] != NULL; i++) {
        cr_assert_lt(count, FLAGS_MAX - 1);
        all[count++] = flags[i];
    }
    chmod(daemon->dir, 0711); /* as /tmp: others may pass */
    daemon_start(daemon, all);
}

static const char *scratch_folder(const struct daemon *daemon)
{
    static char path[512];
    DIR *list = opendir(daemon->dir);
    const struct dirent *entry;
    path[0] = '\0';
    while (list != NULL && (entry = readdir(list)) != NULL)
        if (strncmp(entry->d_name, "vtad-scratch-", 13) == 0)
            snprintf(path, sizeof path, "%s/%s", daemon->dir, entry->d_name);
    if (list != NULL)
        closedir(list);
    return path[0] != '\0' ? path : NULL;
}

void board_stop(struct daemon *daemon)
{
    daemon_stop(daemon);
    cr_assert_null(scratch_folder(daemon), "%s is left", scratch_folder(daemon));
}

static unsigned count_entries(const char *path, bool folders)
{
    DIR *list = opendir(path);
    const struct dirent *entry;
    unsigned count = 0;
    while (list != NULL && (entry = readdir(list)) != NULL)
        count += entry->d_name[0] != '.' && (!folders || entry->d_type == DT_DIR);
    if (list != NULL)
        closedir(list);
    return count;
}

unsigned board_pids(const struct daemon *daemon, int *pids, unsigned most)
{
    char path[64];
    int pid;
    unsigned count = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)daemon->pid, (int)daemon->pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return 0;
    for (; count < most && fscanf(file, "%d", &pid) == 1; count++)
        pids[count] = pid;
    fclose(file);
    return count;
}

unsigned board_processes(const struct daemon *daemon)
{
    static int pids[PROCESSES_MAX];
    return board_pids(daemon, pids, PROCESSES_MAX);
}

unsigned board_descriptors(const struct daemon *daemon)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)daemon->pid);
    return count_entries(path, false);
}

unsigned board_folders(const struct daemon *daemon)
{
    const char *path = scratch_folder(daemon);
    return path != NULL ? count_entries(path, true) : 0;
}

unsigned board_expect(const struct daemon *daemon, unsigned processes, unsigned folders,
                      unsigned descriptors)
{
    const struct timespec pause = { .tv_nsec = 10000000 };
    unsigned p = 0, d = 0, f = 0, before = 0, same = 0;
    for (int i = 0; i < WAIT_MS / 10; i++) {
        p = board_processes(daemon);
        d = board_descriptors(daemon);
        f = board_folders(daemon);
        same = d == before && p == processes && f == folders ? same + 1 : 0;
        before = d;
        if (same >= SAME && (descriptors == 0 || d <= descriptors))
            return d;
        nanosleep(&pause, NULL);
    }
    cr_assert_fail("%u processes, not %u; %u descriptors, not %u; %u folders, not %u", p, processes,
                   d, descriptors, f, folders);
    return d;
}

void board_wait_at_work(const struct daemon *daemon)
{
    const struct timespec pause = { .tv_nsec = 10000000 };
    char pattern[600];
    snprintf(pattern, sizeof pattern, "%s/vtad-scratch-*/*/at-work", daemon->dir);
    for (int i = 0; i < WAIT_MS / 10; i++, nanosleep(&pause, NULL)) {
        glob_t found = { 0 };
        int rc = glob(pattern, 0, NULL, &found);
        globfree(&found);
        if (rc == 0)
            return;
    }
    cr_assert_fail("no kernel is at work: %s", pattern);
}

uint64_t board_kernel(struct client *client, const char *name)
{
    return client_kernel(client, client_load(client, MISBEHAVE_SO), name);
}

void board_check(const struct daemon *daemon)
{
    struct client client;
    client_open(&client, daemon->port);
    struct answer answer =
        client_call(&client, board_kernel(&client, "add"), "ii", UINT64_C(40), UINT64_C(2));
    expect_int(&answer, 42);
    client_close(&client);
}
