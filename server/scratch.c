/* scratch.c: making, locking, finding and removing scratch folders.
 */
#include "scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

#define PREFIX    "vtad-scratch-"
#define DEPTH_MAX 32 /* of folders in folders, a descriptor each */

/* ---- Removing ------------------------------------------------------------------------------ */

/* Where the modes of a folder forbid it, they are changed: it is ours, or we are root. */
static int open_folder(int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == EACCES && fchmodat(at, name, 0700, 0) == 0)
        fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0)
        fchmod(fd, 0700);
    return fd;
}

struct removal {
    int top;        /* the folder that goes */
    uint64_t until; /* when to pause, of CLOCK_MONOTONIC in ms */
    uint64_t done;  /* removed or moved */
};

static uint64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* By descriptors, so that a folder that turns into a link on the way leads nowhere. Folders too far
 * down are moved up to the top, which is emptied again then. */
static void empty(struct removal *removal, int folder, int depth)
{
    static _Atomic unsigned moved;
    DIR *list = fdopendir(folder);
    if (list == NULL) {
        close(folder);
        return;
    }
    const struct dirent *entry;
    while ((removal->done == 0 || clock_ms() < removal->until) && (entry = readdir(list)) != NULL) {
        char name[32];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(dirfd(list), entry->d_name, 0) == 0) {
            removal->done++;
            continue;
        }
        if (errno != EISDIR && errno != EPERM)
            continue;
        int inner = open_folder(dirfd(list), entry->d_name);
        if (inner < 0)
            continue;
        if (depth < DEPTH_MAX) {
            empty(removal, inner, depth + 1);
            removal->done += unlinkat(dirfd(list), entry->d_name, AT_REMOVEDIR) == 0;
            continue;
        }
        close(inner);
        snprintf(name, sizeof name, "deep-%u", moved++);
        removal->done += renameat(dirfd(list), entry->d_name, removal->top, name) == 0;
    }
    closedir(list);
}

int scratch_remove_some(const char *path, uint64_t ms)
{
    struct removal removal = { .top = open_folder(AT_FDCWD, path) };
    int rc = -1, reason = errno;
    removal.until = ms < UINT64_MAX ? clock_ms() + ms : UINT64_MAX;
    for (bool more = removal.top >= 0; more;) {
        int folder = openat(removal.top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        removal.done = 0;
        if (folder >= 0)
            empty(&removal, folder, 0);
        rc = rmdir(path);
        reason = errno;
        more = rc != 0 && removal.done > 0;
        if (more && clock_ms() >= removal.until) {
            reason = EAGAIN;
            more = false;
        }
    }
    if (removal.top >= 0)
        close(removal.top);
    return rc == 0 ? 0 : -reason;
}

int scratch_remove(const char *path)
{
    return scratch_remove_some(path, UINT64_MAX);
}

/* ---- Left-overs ---------------------------------------------------------------------------- */

/* Whether a folder was a daemon's of this user, and no process holds its lock. */
static bool is_left_over(int parent, const char *name)
{
    struct stat st;
    if (strncmp(name, PREFIX, sizeof PREFIX - 1) != 0 ||
        fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(st.st_mode) ||
        st.st_uid != geteuid())
        return false;
    int folder = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return false;
    int lock = openat(folder, "lock", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    bool left = lock >= 0 && fstat(lock, &st) == 0 && st.st_uid == geteuid() &&
                S_ISREG(st.st_mode) && flock(lock, LOCK_EX | LOCK_NB) == 0;
    if (lock >= 0)
        close(lock);
    close(folder);
    return left;
}

static void sweep(const char *parent)
{
    DIR *list = opendir(parent);
    const struct dirent *entry;
    while (list != NULL && (entry = readdir(list)) != NULL) {
        char path[2 * SCRATCH_PATH_MAX];
        if (!is_left_over(dirfd(list), entry->d_name))
            continue;
        snprintf(path, sizeof path, "%s/%s", parent, entry->d_name);
        log_notice("removing %s, which a daemon that was killed has left", path);
        int rc = scratch_remove(path);
        if (rc != 0)
            log_warning("%s could not be removed: %s", path, strerror(-rc));
    }
    if (list != NULL)
        closedir(list);
}

/* ---- Making -------------------------------------------------------------------------------- */

static int find_user(struct scratch *scratch, const char *user, struct vta_error *error)
{
    scratch->root = geteuid() == 0;
    if (!scratch->root)
        return 0;
    const struct passwd *entry = getpwnam(user);
    if (entry == NULL)
        return vta_error_set(error, VTA_ECONFIG, "tvm_user: there is no user '%s'", user);
    if (entry->pw_uid == 0)
        return vta_error_set(error, VTA_ECONFIG, "tvm_user: '%s' is root itself", user);
    scratch->uid = entry->pw_uid;
    scratch->gid = entry->pw_gid;
    return 0;
}

/* The lock gets its name once it is held, so that nobody sees a folder whose lock is free. */
static int hold_lock(struct scratch *scratch)
{
    char fresh[SCRATCH_PATH_MAX + 16], name[SCRATCH_PATH_MAX + 16];
    snprintf(fresh, sizeof fresh, "%s/lock-", scratch->path);
    snprintf(name, sizeof name, "%s/lock", scratch->path);
    scratch->lock = open(fresh, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (scratch->lock < 0 || flock(scratch->lock, LOCK_EX | LOCK_NB) != 0)
        return -1;
    return rename(fresh, name);
}

static int make_locked(struct scratch *scratch, const char *parent, struct vta_error *error)
{
    int n = snprintf(scratch->path, sizeof scratch->path, "%s/" PREFIX "XXXXXX", parent);
    if (n >= (int)sizeof scratch->path - 16) {
        scratch->path[0] = '\0';
        return vta_error_set(error, VTA_ECONFIG, "tvm_scratch: %s: the path is too long", parent);
    }
    if (mkdtemp(scratch->path) == NULL) {
        int reason = errno;
        scratch->path[0] = '\0';
        return vta_error_set(error, VTA_EIO, "tvm_scratch: %s: %s", parent, strerror(reason));
    }
    if (hold_lock(scratch) != 0 || (scratch->root && chmod(scratch->path, 0711) != 0))
        return vta_error_set(error, VTA_EIO, "tvm_scratch: %s: %s", scratch->path, strerror(errno));
    return 0;
}

int scratch_open(struct scratch *scratch, const char *parent, const char *user,
                 struct vta_error *error)
{
    struct statvfs fs;
    *scratch = (struct scratch){ .lock = -1 };
    if (parent == NULL)
        parent = getenv("TMPDIR");
    if (parent == NULL || parent[0] != '/')
        parent = "/tmp";
    if (statvfs(parent, &fs) == 0 && (fs.f_flag & ST_NOEXEC) != 0)
        return vta_error_set(error, VTA_ECONFIG,
                             "tvm_scratch: %s: its file system is mounted noexec, so no module "
                             "could be loaded from it",
                             parent);
    sweep(parent);
    int rc = find_user(scratch, user, error);
    if (rc == 0)
        rc = make_locked(scratch, parent, error);
    if (rc != 0)
        scratch_close(scratch);
    return rc;
}

void scratch_close(struct scratch *scratch)
{
    if (scratch->path[0] != '\0')
        scratch_remove(scratch->path);
    if (scratch->lock >= 0)
        close(scratch->lock);
    *scratch = (struct scratch){ .lock = -1 };
}

int scratch_make(const struct scratch *scratch, char *path, struct vta_error *error)
{
    snprintf(path, SCRATCH_PATH_MAX, "%.*s/XXXXXX", SCRATCH_PATH_MAX - 8, scratch->path);
    if (mkdtemp(path) == NULL)
        return vta_error_set(error, VTA_EIO, "%s: %s", path, strerror(errno));
    if (!scratch->root || chown(path, scratch->uid, scratch->gid) == 0)
        return 0;
    vta_error_set(error, VTA_EIO, "%s: %s", path, strerror(errno));
    rmdir(path);
    return VTA_EIO;
}
