/* box_filter.c: the lists of system calls, as tables, for whichever machine this is built for.
 *
 * A call that a machine does not have (open on AArch64) is a negative number, which libseccomp
 * passes over.
 */
#include "box_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static const int memory_calls[] = { SCMP_SYS(brk),     SCMP_SYS(mmap),    SCMP_SYS(mmap2),
                                    SCMP_SYS(munmap),  SCMP_SYS(mremap),  SCMP_SYS(mprotect),
                                    SCMP_SYS(madvise), SCMP_SYS(mincore), SCMP_SYS(msync) };

static const int thread_calls[] = {
    SCMP_SYS(futex),
    SCMP_SYS(futex_time64),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(get_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(set_tid_address),
    SCMP_SYS(gettid),
    SCMP_SYS(getpid),
    SCMP_SYS(getppid),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(sched_yield),
    SCMP_SYS(getcpu),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(membarrier),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(rt_sigtimedwait),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(uname),
    SCMP_SYS(sysinfo),
    SCMP_SYS(getrusage),
    SCMP_SYS(getrandom),
    SCMP_SYS(getrlimit),
};

static const int time_calls[] = { SCMP_SYS(clock_gettime),
                                  SCMP_SYS(clock_gettime64),
                                  SCMP_SYS(clock_getres),
                                  SCMP_SYS(clock_nanosleep),
                                  SCMP_SYS(nanosleep),
                                  SCMP_SYS(gettimeofday),
                                  SCMP_SYS(time),
                                  SCMP_SYS(times),
                                  SCMP_SYS(clock_nanosleep_time64) };

/* On descriptors that it has: its sockets and its files. None of these makes a socket. */
static const int descriptor_calls[] = {
    SCMP_SYS(read),        SCMP_SYS(write),    SCMP_SYS(readv),
    SCMP_SYS(writev),      SCMP_SYS(pread64),  SCMP_SYS(pwrite64),
    SCMP_SYS(preadv),      SCMP_SYS(pwritev),  SCMP_SYS(recvfrom),
    SCMP_SYS(sendto),      SCMP_SYS(recvmsg),  SCMP_SYS(sendmsg),
    SCMP_SYS(recv),        SCMP_SYS(send),     SCMP_SYS(shutdown),
    SCMP_SYS(close),       SCMP_SYS(poll),     SCMP_SYS(ppoll),
    SCMP_SYS(dup),         SCMP_SYS(lseek),    SCMP_SYS(_llseek),
    SCMP_SYS(fstat),       SCMP_SYS(fstat64),  SCMP_SYS(ftruncate),
    SCMP_SYS(fsync),       SCMP_SYS(sendfile), SCMP_SYS(copy_file_range),
    SCMP_SYS(close_range),
};

/* By name; the view says which. */
static const int opening_calls[] = { SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(openat2),
                                     SCMP_SYS(creat) };
static const int file_calls[] = {
    SCMP_SYS(open),     SCMP_SYS(openat),     SCMP_SYS(creat),      SCMP_SYS(stat),
    SCMP_SYS(lstat),    SCMP_SYS(newfstatat), SCMP_SYS(fstatat64),  SCMP_SYS(statx),
    SCMP_SYS(access),   SCMP_SYS(faccessat),  SCMP_SYS(faccessat2), SCMP_SYS(getdents64),
    SCMP_SYS(unlink),   SCMP_SYS(unlinkat),   SCMP_SYS(rename),     SCMP_SYS(renameat),
    SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getcwd),     SCMP_SYS(renameat2),
    SCMP_SYS(mkdir),    SCMP_SYS(mkdirat),    SCMP_SYS(rmdir),
};

/* What no linker needs, and what a defect of a linker could be used for. */
static const int linker_denied[] = {
    SCMP_SYS(socket),
    SCMP_SYS(socketpair),
    SCMP_SYS(connect),
    SCMP_SYS(bind),
    SCMP_SYS(listen),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(socketcall),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(kill),
    SCMP_SYS(tkill),
    SCMP_SYS(rt_sigqueueinfo),
    SCMP_SYS(pidfd_open),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(pidfd_send_signal),
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(open_tree),
    SCMP_SYS(move_mount),
    SCMP_SYS(fsopen),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(reboot),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(quotactl),
    SCMP_SYS(acct),
    SCMP_SYS(personality),
    SCMP_SYS(name_to_handle_at),
    SCMP_SYS(open_by_handle_at),
};

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

static int add(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t count)
{
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = seccomp_rule_add(filter, action, calls[i], 0);
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
                              SCMP_A1(SCMP_CMP_EQ, commands[i]));
    if (rc == 0) /* abort(3) and pthread_kill(3), within the process */
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                              SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
    if (rc == 0) /* reading limits, not setting them */
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2,
                              SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_EQ, 0));
    if (rc == 0)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
                              SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
    return rc;
}

static int load(scmp_filter_ctx filter, int rc, struct vta_error *error)
{
    if (rc == 0)
        rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (rc == 0)
        rc = seccomp_load(filter);
    seccomp_release(filter);
    if (rc == 0)
        return 0;
    return vta_error_set(error, rc == -EINVAL || rc == -ENOSYS ? VTA_EUNSUPPORTED : VTA_EIO,
                         "box: seccomp: %s", strerror(-rc));
}

int box_filter_worker(struct vta_error *error)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (filter == NULL)
        return vta_error_set(error, VTA_EIO, "box: seccomp: no filter could be made");
    int rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree, not a list */
    if (rc == 0)
        rc = add(filter, SCMP_ACT_ALLOW, memory_calls, COUNT(memory_calls));
    if (rc == 0)
        rc = add(filter, SCMP_ACT_ALLOW, thread_calls, COUNT(thread_calls));
    if (rc == 0)
        rc = add(filter, SCMP_ACT_ALLOW, time_calls, COUNT(time_calls));
    if (rc == 0)
        rc = add(filter, SCMP_ACT_ALLOW, descriptor_calls, COUNT(descriptor_calls));
    if (rc == 0)
        rc = add(filter, SCMP_ACT_ALLOW, file_calls, COUNT(file_calls));
    if (rc == 0)
        rc = add_some_uses(filter);
    return load(filter, rc, error);
}

int box_filter_linker(struct vta_error *error)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (filter == NULL)
        return vta_error_set(error, VTA_EIO, "box: seccomp: no filter could be made");
    return load(filter, add(filter, SCMP_ACT_ERRNO(EPERM), linker_denied, COUNT(linker_denied)),
                error);
}

int box_filter_opening(struct vta_error *error)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (filter == NULL)
        return vta_error_set(error, VTA_EIO, "box: seccomp: no filter could be made");
    return load(filter, add(filter, SCMP_ACT_ERRNO(EPERM), opening_calls, COUNT(opening_calls)),
                error);
}
