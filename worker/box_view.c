/* box_view.c: Landlock through its system calls, because the C library has no words for it and the
 * headers of the distribution know only its first versions.
 */
#include "box_view.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
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
    FS_EXECUTE = 1 << 0,
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
#define FS_SYSTEM (FS_READ_FILE | FS_READ_DIR | FS_EXECUTE)

/* What a linker reads and runs besides its scratch folder; some systems lack some of them. */
static const char *const system_paths[] = { "/usr",
                                            "/lib",
                                            "/lib32",
                                            "/lib64",
                                            "/bin",
                                            "/opt",
                                            "/nix",
                                            "/gnu",
                                            "/etc/ld.so.cache",
                                            "/etc/ld.so.conf",
                                            "/etc/ld.so.conf.d",
                                            "/etc/alternatives" };

static int allow(int ruleset, const struct ruleset *handled, const char *path, uint64_t access,
                 bool required, struct vta_error *error)
{
    struct stat st;
    struct path_rule rule = { .parent = open(path, O_PATH | O_CLOEXEC) };
    if (rule.parent < 0 && !required)
        return 0;
    long rc = rule.parent;
    if (rc >= 0)
        rc = fstat(rule.parent, &st);
    if (rc == 0) {
        rule.allowed = access & handled->files;
        if (!S_ISDIR(st.st_mode))
            rule.allowed &= FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE;
        rc = syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0);
    }
    int reason = errno;
    if (rule.parent >= 0)
        close(rule.parent);
    return rc == 0 ? 0
                   : vta_error_set(error, VTA_EIO, "box: Landlock: %s: %s", path, strerror(reason));
}

static int add_linker_rules(int ruleset, const struct ruleset *handled, const char *linker,
                            struct vta_error *error)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(linker, '/');
    snprintf(folder, sizeof folder, "%.*s", (int)(slash != NULL ? slash - linker : 0), linker);
    int rc = folder[0] != '\0' ? allow(ruleset, handled, folder, FS_SYSTEM, true, error) : 0;
    for (size_t i = 0; rc == 0 && i < sizeof system_paths / sizeof system_paths[0]; i++)
        rc = allow(ruleset, handled, system_paths[i], FS_SYSTEM, false, error);
    if (rc == 0)
        rc = allow(ruleset, handled, "/dev/null", FS_READ_FILE | FS_WRITE_FILE, false, error);
    return rc;
}

int box_view_landlock(const char *scratch, const char *linker, struct vta_error *error)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_VERSION);
    if (version < 1)
        return 0;
    struct ruleset handled = versions[(version < VERSIONS ? version : VERSIONS) - 1];
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0);
    if (ruleset < 0)
        return vta_error_set(error, VTA_EIO, "box: Landlock: %s", strerror(errno));
    int rc = allow(ruleset, &handled, scratch, linker != NULL ? FS_SCRATCH | FS_SYSTEM : FS_SCRATCH,
                   true, error);
    if (rc == 0 && linker != NULL)
        rc = add_linker_rules(ruleset, &handled, linker, error);
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
