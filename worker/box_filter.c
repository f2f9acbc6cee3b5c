/* box_filter.c: the lists of system calls, for whichever machine this is built for.
 */
#include "box_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Names, because one that this machine has not (open on AArch64) is passed over then. */
static const char memory_calls[] = "brk mmap mmap2 munmap mremap mprotect madvise mincore msync";

static const char thread_calls[] =
    "futex futex_time64 set_robust_list get_robust_list rseq set_tid_address exit exit_group "
    "sched_yield sched_getaffinity getcpu membarrier gettid getpid getppid getuid geteuid getgid "
    "getegid uname sysinfo getrusage getrlimit getrandom rt_sigaction rt_sigprocmask rt_sigreturn "
    "rt_sigtimedwait rt_sigsuspend sigaltstack pause restart_syscall";

/* To a session of its own (worker/main.c), before a client's code is there. */
static const char session_calls[] = "getsid setsid";

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
    if (rc == 0) /* abort(3) and pthread_kill(3); see stay_inside */
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 0);
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

static int fail(int reason, struct vta_error *error)
{
    bool lacking = reason == EINVAL || reason == ENOSYS || reason == EOPNOTSUPP;
    return vta_error_set(error, lacking ? VTA_EUNSUPPORTED : VTA_EIO, "box: seccomp: %s",
                         strerror(reason));
}

static int add_all(scmp_filter_ctx filter, bool more)
{
    static const char *const lists[] = { memory_calls, thread_calls,     session_calls,
                                         time_calls,   descriptor_calls, file_calls };
    int rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree, not a list */
    for (size_t i = 0; i < COUNT(lists) && rc == 0; i++)
        rc = add(filter, SCMP_ACT_ALLOW, lists[i]);
    if (rc == 0)
        rc = add_some_uses(filter);
    if (rc == 0 && more)
        rc = add(filter, SCMP_ACT_ALLOW, "seccomp");
    return rc;
}

/* The filter of workers, as the kernel takes it. */
static struct sock_fprog prepared;

/* 0, or a negative errno. */
static int export(scmp_filter_ctx filter)
{
    int fd = memfd_create("filter", MFD_CLOEXEC);
    int rc = fd < 0 ? -errno : seccomp_export_bpf(filter, fd);
    off_t nbytes = rc == 0 ? lseek(fd, 0, SEEK_END) : 0;
    if (rc == 0) {
        prepared.len = (unsigned short)((size_t)nbytes / sizeof *prepared.filter);
        prepared.filter = malloc((size_t)nbytes);
        if (prepared.filter == NULL || pread(fd, prepared.filter, (size_t)nbytes, 0) != nbytes)
            rc = -ENOMEM;
    }
    if (fd >= 0)
        close(fd);
    return rc;
}

int box_filter_prepare(bool more, struct vta_error *error)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int rc = filter != NULL ? add_all(filter, more) : -ENOMEM;
    if (rc == 0)
        rc = export(filter);
    seccomp_release(filter);
    return rc == 0 ? 0 : fail(-rc, error);
}

static int install(const struct sock_fprog *program, struct vta_error *error)
{
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, program) == 0)
        return 0;
    return fail(errno, error);
}

/* No signals to other processes. Beside the prepared filter, which cannot know its process; of
 * several filters the strictest decides. */
static int stay_inside(struct vta_error *error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_tgkill, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)getpid(), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    };
    const struct sock_fprog program = { .len = COUNT(code), .filter = code };
    return install(&program, error);
}

int box_filter_worker(struct vta_error *error)
{
    if (prepared.filter == NULL)
        return vta_error_set(error, VTA_EIO, "box: seccomp: no filter could be made");
    int rc = stay_inside(error);
    return rc == 0 ? install(&prepared, error) : rc;
}

/* For every thread of the process. */
int box_filter_opening(struct vta_error *error)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int rc = filter != NULL ? add(filter, SCMP_ACT_ERRNO(EPERM), opening_calls) : -ENOMEM;
    if (rc == 0)
        rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (rc == 0) /* no_new_privs is set, and may not be again */
        rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);
    if (rc == 0)
        rc = seccomp_load(filter);
    seccomp_release(filter);
    return rc == 0 ? 0 : fail(-rc, error);
}
