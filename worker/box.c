/* box.c: the parts of the box, in the order in which they can be entered.
 */
#include "box.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "box_filter.h"
#include "box_view.h"

/* A sanitised process reserves terabytes of address space. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ADDRESS_SPACE_IS_LIMITED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ADDRESS_SPACE_IS_LIMITED 0
#endif
#endif
#ifndef ADDRESS_SPACE_IS_LIMITED
#define ADDRESS_SPACE_IS_LIMITED 1
#endif

/* Appends a part to the report. */
static void say(struct box_report *report, bool good, const char *text)
{
    size_t used = strlen(report->text);
    snprintf(report->text + used, sizeof report->text - used, "%s%s", used > 0 ? ", " : "", text);
    if (!good)
        report->complete = false;
}

static int limit_one(int resource, uint64_t value, const char *name, struct vta_error *error)
{
    struct rlimit had, limit = { .rlim_cur = value, .rlim_max = value };
    if (getrlimit((__rlimit_resource_t)resource, &had) == 0 && had.rlim_max < value)
        limit.rlim_cur = limit.rlim_max = had.rlim_max;
    if (setrlimit((__rlimit_resource_t)resource, &limit) != 0)
        return vta_error_set(error, VTA_EIO, "box: limit of %s: %s", name, strerror(errno));
    return 0;
}

static int limit_all(const struct box_options *options, struct vta_error *error)
{
    const struct {
        int resource;
        bool wanted;
        uint64_t value;
        const char *name;
    } rows[] = { { RLIMIT_CORE, true, 0, "core files" },
                 { RLIMIT_FSIZE, true, options->file_bytes, "file size" },
                 { RLIMIT_NOFILE, true, options->descriptors, "descriptors" },
                 { RLIMIT_NPROC, true, options->processes, "threads" },
                 { RLIMIT_CPU, options->cpu_s != 0, options->cpu_s, "processor time" },
                 { RLIMIT_AS, ADDRESS_SPACE_IS_LIMITED, options->memory_bytes, "memory" } };
    int rc = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && rc == 0; i++)
        if (rows[i].wanted)
            rc = limit_one(rows[i].resource, rows[i].value, rows[i].name, error);
    return rc;
}

/* Capabilities that a service manager may have given to an ordinary user. Where there are none, the
 * call that drops them may be forbidden. */
static int drop_capabilities(struct vta_error *error)
{
    struct {
        uint32_t version;
        int pid;
    } header = { .version = 0x20080522 };
    struct sets {
        uint32_t effective, permitted, inheritable;
    } had[2], none[2] = { { 0 } };
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); /* EINVAL where there are none */
    if (syscall(SYS_capget, &header, had) == 0 && memcmp(had, none, sizeof none) == 0)
        return 0;
    if (syscall(SYS_capset, &header, none) != 0)
        return vta_error_set(error, VTA_EIO, "box: capabilities: %s", strerror(errno));
    return 0;
}

static int drop_privileges(const struct box_options *options, bool root, struct vta_error *error)
{
    if (root &&
        (setgroups(0, NULL) != 0 || setresgid(options->gid, options->gid, options->gid) != 0 ||
         setresuid(options->uid, options->uid, options->uid) != 0))
        return vta_error_set(error, VTA_EIO, "box: becoming user %u: %s", options->uid,
                             strerror(errno));
    return drop_capabilities(error);
}

/* Landlock hides what files hold; a root folder of its own hides that they are there, too. */
static int enter_view(const struct box_options *options, bool root, struct box_report *report,
                      struct vta_error *error)
{
    char text[64];
    int version = box_view_landlock(options->scratch, error);
    if (version < 0)
        return version;
    snprintf(text, sizeof text, "Landlock %d", version);
    if (version > 0)
        say(report, true, text);
    if (root) {
        int rc = box_view_chroot(options->scratch, error);
        if (rc != 0)
            return rc;
        report->moved = true;
        say(report, true, "chroot");
    }
    if (!report->moved && chdir(options->scratch) != 0)
        return vta_error_set(error, VTA_EIO, "box: %s: %s", options->scratch, strerror(errno));
    if (version == 0 && !report->moved)
        report->viewless = true;
    if (report->viewless)
        say(report, false, "NO view of the file system (the kernel has no Landlock)");
    return 0;
}

static int enter_filter(struct box_report *report, struct vta_error *error)
{
    int rc = box_filter_worker(error);
    if (rc == 0)
        say(report, true, "seccomp");
    else if (rc == VTA_EUNSUPPORTED)
        say(report, false, "NO filter of system calls (the kernel has no seccomp)");
    return rc == VTA_EUNSUPPORTED ? 0 : rc;
}

int box_prepare(struct vta_error *error)
{
    bool viewless = !box_view_has_landlock() && geteuid() != 0;
    return box_filter_prepare(viewless, error);
}

int box_enter(const struct box_options *options, struct box_report *report, struct vta_error *error)
{
    bool root = geteuid() == 0;
    *report = (struct box_report){ .complete = true };
    if (root && options->uid == 0)
        return vta_error_set(error, VTA_ECONFIG, "box: the user to become is root itself");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return vta_error_set(error, VTA_EIO, "box: no_new_privs: %s", strerror(errno));
    int rc = enter_view(options, root, report, error);
    if (rc == 0)
        rc = limit_all(options, error);
    if (rc == 0)
        rc = drop_privileges(options, root, error);
    if (rc != 0)
        return rc;
    /* After the change of user, which resets both: memory that others cannot read, and an end
     * together with the daemon. */
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    return enter_filter(report, error);
}

int box_limit_threads(uint32_t processes, struct vta_error *error)
{
    return limit_one(RLIMIT_NPROC, processes, "threads", error);
}

int box_forbid_opening(struct vta_error *error)
{
    return box_filter_opening(error);
}
