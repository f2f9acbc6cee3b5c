/* box_view.c: Landlock through its system calls, because the C library has no words for it and the
 * headers of the distribution know only its first versions.
 */
#include "box_view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* From the kernel's userspace-api/landlock. */
struct ruleset {
    uint64_t files, network, scopes;
};
struct path_rule {
    uint64_t allowed;
    int32_t parent;
} __attribute__((packed));

#define CREATE_VERSION    1
#define RULE_PATH_BENEATH 1

enum {
    FS_WRITE_FILE = 1 << 1,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_REMOVE_DIR = 1 << 4,
    FS_REMOVE_FILE = 1 << 5,
    FS_MAKE_DIR = 1 << 7,
    FS_MAKE_REG = 1 << 8,
    FS_TRUNCATE = 1 << 14
};

/* Everything that a version can forbid; a later one forbids what the last row says, at least. */
static const struct ruleset versions[] = {
    { .files = (1 << 13) - 1 },
    { .files = (1 << 14) - 1 },                            /* and linking across folders */
    { .files = (1 << 15) - 1 },                            /* and truncating */
    { .files = (1 << 15) - 1, .network = 3 },              /* and TCP's bind and connect */
    { .files = (1 << 16) - 1, .network = 3 },              /* and ioctl on devices */
    { .files = (1 << 16) - 1, .network = 3, .scopes = 3 }, /* and abstract sockets, signals */
};
#define VERSIONS ((long)(sizeof versions / sizeof versions[0]))

#define FS_SCRATCH                                                                                 \
    (FS_READ_FILE | FS_WRITE_FILE | FS_READ_DIR | FS_REMOVE_FILE | FS_REMOVE_DIR | FS_MAKE_REG |   \
     FS_MAKE_DIR | FS_TRUNCATE)

/* The scratch folder, which must be there. */
static int allow_scratch(int ruleset, const struct ruleset *handled, const char *path,
                         struct vta_error *error)
{
    struct path_rule rule = { .allowed = FS_SCRATCH & handled->files,
                              .parent = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) };
    long rc = rule.parent;
    if (rc >= 0)
        rc = syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0);
    int reason = errno;
    if (rule.parent >= 0)
        close(rule.parent);
    return rc == 0 ? 0
                   : vta_error_set(error, VTA_EIO, "box: Landlock: %s: %s", path, strerror(reason));
}

static long landlock_version(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_VERSION);
}

bool box_view_has_landlock(void)
{
    return landlock_version() >= 1;
}

int box_view_landlock(const char *scratch, struct vta_error *error)
{
    long version = landlock_version();
    if (version < 1)
        return 0;
    struct ruleset handled = versions[(version < VERSIONS ? version : VERSIONS) - 1];
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0);
    if (ruleset < 0)
        return vta_error_set(error, VTA_EIO, "box: Landlock: %s", strerror(errno));
    int rc = allow_scratch(ruleset, &handled, scratch, error);
    if (rc == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
        rc = vta_error_set(error, VTA_EIO, "box: Landlock: %s", strerror(errno));
    close(ruleset);
    return rc == 0 ? (int)version : rc;
}

int box_view_chroot(const char *scratch, struct vta_error *error)
{
    if (chroot(scratch) != 0 || chdir("/") != 0)
        return vta_error_set(error, VTA_EIO, "box: chroot to %s: %s", scratch, strerror(errno));
    return 0;
}
