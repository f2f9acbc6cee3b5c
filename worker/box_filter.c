/* box_filter.c: the lists of system calls, for whichever machine this is built for.
 */
#include "box_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Names, because one that this machine has not (open on AArch64) is passed over then. */
static const char memory_calls[] = "brk mmap mmap2 munmap mremap mprotect madvise mincore msync";

static const char thread_calls[] =
    "futex futex_time64 set_robust_list get_robust_list rseq set_tid_address exit exit_group "
    "sched_yield sched_getaffinity getcpu membarrier gettid getpid getppid getuid geteuid getgid "
    "getegid uname sysinfo getrusage getrlimit getrandom rt_sigaction rt_sigprocmask rt_sigreturn "
    "rt_sigtimedwait rt_sigsuspend sigaltstack pause restart_syscall";

/* From a process group to a session of its own (worker/main.c), before a client's code is there;
 * who leads a session can do neither again. */
static const char session_calls[] = "getsid getpgid setpgid setsid";

static const char time_calls[] =
    "clock_gettime clock_gettime64 clock_getres clock_nanosleep clock_nanosleep_time64 nanosleep "
    "gettimeofday time times";

/* On descriptors that it has: its sockets and its files. None of these makes a socket, or passes a
 * descriptor on: those on their way count for the user whom all workers share. */
static const char descriptor_calls[] =
    "read write readv writev pread64 pwrite64 preadv pwritev recvfrom sendto recvmsg recv "
    "send shutdown close close_range dup select pselect6 poll ppoll lseek _llseek fstat fstat64 "
    "ftruncate fsync sendfile copy_file_range";

/* By name; the view says which. */
static const char opening_calls[] = "open openat openat2 creat";
static const char file_calls[] =
    "open openat creat stat lstat newfstatat fstatat64 statx access faccessat faccessat2 "
    "getdents64 unlink unlinkat rename renameat renameat2 mkdir mkdirat rmdir readlink readlinkat "
    "getcwd";

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

static int add(scmp_filter_ctx filter, uint32_t action, const char *names)
{
    int rc = 0;
    for (const char *at = names; *at != '\0' && rc == 0;) {
        char name[32];
        size_t length = strcspn(at, " ");
        snprintf(name, sizeof name, "%.*s", (int)length, at);
        int number = seccomp_syscall_resolve_name(name);
        rc = number == __NR_SCMP_ERROR ? -EFAULT : seccomp_rule_add(filter, action, number, 0);
        at += length + (at[length] == ' ');
    }
    return rc;
}

/* Threads yes, processes no. glibc takes clone where clone3, whose flags a filter cannot see, is
 * not there. */
static int add_clone(scmp_filter_ctx filter)
{
    const uint64_t thread = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;
    int rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, thread, thread));
    if (rc == 0)
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    return rc;
}

/* Calls of which only some uses are harmless. */
static int add_some_uses(scmp_filter_ctx filter)
{
    static const unsigned commands[] = { F_GETFL, F_SETFL, F_GETFD, F_SETFD, F_DUPFD_CLOEXEC };
    int rc = add_clone(filter);
    for (size_t i = 0; i < COUNT(commands) && rc == 0; i++)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                              SCMP_A1(SCMP_CMP_EQ, commands[i], 0));
    if (rc == 0) /* abort(3) and pthread_kill(3), within the process */
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                              SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
    if (rc == 0) /* reading limits, not setting them */
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2,
                              SCMP_A0(SCMP_CMP_EQ, 0, 0), SCMP_A2(SCMP_CMP_EQ, 0, 0));
    if (rc == 0) /* but for that of threads, which can only fall */
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2,
                              SCMP_A0(SCMP_CMP_EQ, 0, 0), SCMP_A1(SCMP_CMP_EQ, RLIMIT_NPROC, 0));
    if (rc == 0) /* whether the client runs on the same processor */
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(getsockopt), 2,
                              SCMP_A1(SCMP_CMP_EQ, SOL_SOCKET, 0),
                              SCMP_A2(SCMP_CMP_EQ, SO_INCOMING_CPU, 0));
    if (rc == 0)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
                              SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME, 0));
    return rc;
}

static int load(scmp_filter_ctx filter, int rc, struct vta_error *error)
{
    if (rc == 0)
        rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (rc == 0) /* no_new_privs is set, and may not be again */
        rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);
    if (rc == 0)
        rc = seccomp_load(filter);
    seccomp_release(filter);
    if (rc == 0)
        return 0;
    return vta_error_set(
        error, rc == -EINVAL || rc == -ENOSYS || rc == -EOPNOTSUPP ? VTA_EUNSUPPORTED : VTA_EIO,
        "box: seccomp: %s", strerror(-rc));
}

int box_filter_worker(bool more, struct vta_error *error)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (filter == NULL)
        return vta_error_set(error, VTA_EIO, "box: seccomp: no filter could be made");
    int rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree, not a list */
    if (rc == 0)
        rc = add(filter, SCMP_ACT_ALLOW, memory_calls);
    if (rc == 0)
        rc = add(filter, SCMP_ACT_ALLOW, thread_calls);
    if (rc == 0)
        rc = add(filter, SCMP_ACT_ALLOW, session_calls);
    if (rc == 0)
        rc = add(filter, SCMP_ACT_ALLOW, time_calls);
    if (rc == 0)
        rc = add(filter, SCMP_ACT_ALLOW, descriptor_calls);
    if (rc == 0)
        rc = add(filter, SCMP_ACT_ALLOW, file_calls);
    if (rc == 0)
        rc = add_some_uses(filter);
    if (rc == 0 && more)
        rc = add(filter, SCMP_ACT_ALLOW, "seccomp");
    return load(filter, rc, error);
}

int box_filter_opening(struct vta_error *error)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (filter == NULL)
        return vta_error_set(error, VTA_EIO, "box: seccomp: no filter could be made");
    return load(filter, add(filter, SCMP_ACT_ERRNO(EPERM), opening_calls), error);
}
