/* The box: what machine code of a client's asks the system for and does not get, and what it does.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "board.h"

static struct daemon daemon_;
static struct client client;
static uint64_t module;

static void setup(void)
{
    setenv("VTA_KERNELS", "portable", 1);
    setenv("VTA_SECRET", "words", 1);
    daemon_init(&daemon_);
    board_start(&daemon_, (const char *const[]){ "--max-tvm-upload-bytes", "4MiB", "--dram-bytes",
                                                 "64MiB", "--max-tvm-cpu-bytes", "64MiB", NULL });
    client_open(&client, daemon_.port);
    module = client_load(&client, MISBEHAVE_SO);
}

static void teardown(void)
{
    client_close(&client);
    board_stop(&daemon_);
    daemon_clear(&daemon_);
}

TestSuite(box, .init = setup, .fini = teardown);

static uint64_t kernel(const char *name)
{
    return client_kernel(&client, module, name);
}

static int64_t number_of(struct answer answer)
{
    cr_assert_eq(answer.packet, 4, "%s", answer.text != NULL ? answer.text : "the session ended");
    return (int64_t)answer.number;
}

/* ---- System calls -------------------------------------------------------------------------- */

Test(box, forbids_system_calls_that_reach_beyond_the_session)
{
    static const struct {
        const char *what;
        long number, a, b, c;
        int reason;
    } rows[] = {
        { "socket", SYS_socket, AF_INET, SOCK_STREAM, 0, EPERM },
        { "unix socket", SYS_socket, AF_UNIX, SOCK_STREAM, 0, EPERM },
        { "netlink socket", SYS_socket, AF_NETLINK, SOCK_RAW, 0, EPERM },
        { "socketpair", SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, EPERM },
        { "connect", SYS_connect, 0, 0, 0, EPERM },
        { "bind", SYS_bind, 0, 0, 0, EPERM },
        { "setsockopt", SYS_setsockopt, 0, SOL_SOCKET, SO_SNDBUF, EPERM },
        { "fork", SYS_clone, SIGCHLD, 0, 0, EPERM },
        { "clone with shared memory", SYS_clone, CLONE_VM | SIGCHLD, 0, 0, EPERM },
        { "clone into a namespace", SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, EPERM },
        { "clone3", SYS_clone3, 0, 0, 0, ENOSYS },
        { "unshare", SYS_unshare, CLONE_NEWUSER, 0, 0, EPERM },
        { "kill the daemon", SYS_kill, -1, SIGKILL, 0, EPERM },
        { "kill itself", SYS_kill, 0, SIGKILL, 0, EPERM },
        { "tkill", SYS_tkill, 1, SIGKILL, 0, EPERM },
        { "tgkill of another process", SYS_tgkill, 1, 1, SIGKILL, EPERM },
        { "ptrace", SYS_ptrace, PTRACE_TRACEME, 0, 0, EPERM },
        { "process_vm_readv", SYS_process_vm_readv, 1, 0, 0, EPERM },
        { "process_vm_writev", SYS_process_vm_writev, 1, 0, 0, EPERM },
        { "pidfd_open", SYS_pidfd_open, 1, 0, 0, EPERM },
        { "setuid", SYS_setuid, 0, 0, 0, EPERM },
        { "setresuid", SYS_setresuid, 0, 0, 0, EPERM },
        { "chroot", SYS_chroot, 0, 0, 0, EPERM },
        { "mount", SYS_mount, 0, 0, 0, EPERM },
        { "bpf", SYS_bpf, 0, 0, 0, EPERM },
        { "perf_event_open", SYS_perf_event_open, 0, 0, 0, EPERM },
        { "io_uring_setup", SYS_io_uring_setup, 8, 0, 0, EPERM },
        { "userfaultfd", SYS_userfaultfd, 0, 0, 0, EPERM },
        { "keyctl", SYS_keyctl, 0, 0, 0, EPERM },
        { "seccomp", SYS_seccomp, 0, 0, 0, EPERM },
        { "landlock", SYS_landlock_restrict_self, 0, 0, 0, EPERM },
        { "memfd_create", SYS_memfd_create, 0, 0, 0, EPERM },
        { "passing descriptors on", SYS_sendmsg, 0, 0, 0, EPERM },
        { "inotify", SYS_inotify_init1, 0, 0, 0, EPERM },
        { "ioctl", SYS_ioctl, 0, 0x5412, 0, EPERM },
        { "raising limits", SYS_prlimit64, 0, RLIMIT_AS, 4096, EPERM },
        { "dumpable again", SYS_prctl, PR_SET_DUMPABLE, 1, 0, EPERM },
        { "living on without the daemon", SYS_prctl, PR_SET_PDEATHSIG, 0, 0, EPERM },
        { "signals by descriptor", SYS_fcntl, 0, F_SETOWN, 1, EPERM },
        { "sched_setaffinity", SYS_sched_setaffinity, 0, 0, 0, EPERM },
        { "setpriority", SYS_setpriority, 0, 0, 0, EPERM },
    };
    uint64_t call = kernel("system_call");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t got =
            number_of(client_call(&client, call, "iiii", (uint64_t)rows[i].number,
                                  (uint64_t)rows[i].a, (uint64_t)rows[i].b, (uint64_t)rows[i].c));
        cr_expect_eq(got, -rows[i].reason, "%s gave %lld", rows[i].what, (long long)got);
    }
}

Test(box, runs_no_program_and_makes_no_process)
{
    int64_t got =
        number_of(client_call(&client, kernel("system_call"), "isii", (uint64_t)SYS_execve,
                              "/bin/true", UINT64_C(0), UINT64_C(0)));
    cr_assert_eq(got, -EPERM);
    cr_assert_eq(number_of(client_call(&client, kernel("fork_process"), "")), -EPERM);
}

Test(box, leaves_threads_time_and_memory)
{
    cr_assert_eq(number_of(client_call(&client, kernel("use_a_thread"), "")), 42);
    uint64_t call = kernel("system_call");
    cr_assert_gt(number_of(client_call(&client, call, "i", (uint64_t)SYS_getpid)), 0);
    cr_assert_eq(number_of(client_call(&client, kernel("nap"), "i", UINT64_C(1))), 1);
}

/* To which the scheduler gives no more than to another, whatever it starts. */
Test(box, is_a_session_of_its_own)
{
    int64_t pid = number_of(client_call(&client, kernel("system_call"), "i", (uint64_t)SYS_getpid));
    cr_assert_eq(getsid((pid_t)pid), pid);
}

Test(box, is_another_user_without_privileges_where_the_daemon_is_root)
{
    int64_t user = number_of(client_call(&client, kernel("user"), ""));
    cr_assert_eq(user % 2, 0, "real and effective user differ");
    if (geteuid() == 0)
        cr_assert_neq(user / 2, 0);
    else
        cr_assert_eq(user / 2, (int64_t)geteuid());
}

Test(box, shows_nothing_of_the_daemons_environment)
{
    cr_assert_eq(number_of(client_call(&client, kernel("see_variable"), "s", "VTA_KERNELS")), 1);
    cr_assert_eq(number_of(client_call(&client, kernel("see_variable"), "s", "PATH")), 0);
    cr_assert_eq(number_of(client_call(&client, kernel("see_variable"), "s", "VTA_SECRET")), 0);
}

/* ---- Files --------------------------------------------------------------------------------- */

/* Absolute paths may not be there at all, or not to be read. */
static void expect_unreadable(const char *path)
{
    int64_t got = number_of(client_call(&client, kernel("read_path"), "s", path));
    cr_expect(got == -EACCES || got == -ENOENT || got == -EPERM, "%s: %lld", path, (long long)got);
}

Test(box, shows_no_file_outside_the_sessions_folder)
{
    char path[512];
    snprintf(path, sizeof path, "%s/vtad.json", daemon_.dir);
    chmod(path, 0644);
    static const char *const paths[] = { "/etc/passwd",        "/proc/self/status",
                                         "/proc/self/environ", "/proc/self/mem",
                                         "/dev/zero",          "/usr/bin/ld",
                                         "/sys/kernel/mm",     "../lock",
                                         "../../vtad.json",    "/.." };
    expect_unreadable(path);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (strcmp(paths[i], "/..") != 0 || geteuid() != 0) /* of a root folder: itself */
            expect_unreadable(paths[i]);
}

Test(box, writes_no_file_outside_the_sessions_folder)
{
    static const char *const paths[] = { "/tmp/vtad-test-box", "../file", "/file-of-nobody" };
    uint64_t call = kernel("system_call");
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        number_of(client_call(&client, call, "iisii", (uint64_t)SYS_openat, (uint64_t)AT_FDCWD,
                              paths[i], (uint64_t)(O_CREAT | O_WRONLY), UINT64_C(0644)));
    cr_assert_neq(access("/tmp/vtad-test-box", F_OK), 0);
    cr_assert_neq(access("/file-of-nobody", F_OK), 0);
    char path[512];
    snprintf(path, sizeof path, "%s/file", daemon_.dir);
    cr_assert_neq(access(path, F_OK), 0);
}

Test(box, makes_no_links_and_devices)
{
    uint64_t call = kernel("system_call"), here = (uint64_t)AT_FDCWD;
    cr_expect_eq(number_of(client_call(&client, call, "isis", (uint64_t)SYS_symlinkat,
                                       "/etc/passwd", here, "here")),
                 -EPERM);
    cr_expect_eq(number_of(client_call(&client, call, "iisis", (uint64_t)SYS_linkat, here,
                                       "misbehave.so", here, "there")),
                 -EPERM);
    cr_expect_eq(number_of(client_call(&client, call, "iisi", (uint64_t)SYS_mknodat, here, "fifo",
                                       (uint64_t)(S_IFIFO | 0600))),
                 -EPERM);
}

/* ---- Limits -------------------------------------------------------------------------------- */

Test(box, ends_an_appetite_for_memory)
{
    if (VTA_SANITIZED)
        cr_skip("a sanitised worker has no limit of its address space");
    int64_t got = number_of(client_call(&client, kernel("eat_memory"), ""));
    cr_assert_gt(got, 64);
    cr_assert_lt(got, 4096);
    cr_assert_eq(number_of(client_call(&client, kernel("add"), "ii", UINT64_C(1), UINT64_C(2))), 3);
}

Test(box, ends_an_appetite_for_threads_descriptors_and_disk)
{
    int64_t got = number_of(client_call(&client, kernel("eat_threads"), "i", UINT64_C(100000)));
    cr_assert_geq(got, 8);
    cr_assert_lt(got, 8192);
    got = number_of(client_call(&client, kernel("count_descriptors"), ""));
    cr_assert_lt(got, 16); /* its own; none of the daemon's */
    got = number_of(client_call(&client, kernel("eat_disk"), "s", "big"));
    cr_assert_eq(got, EFBIG);
}

Test(box, ends_with_its_folder_removed_however_deep_it_is)
{
    cr_assert_eq(number_of(client_call(&client, kernel("nest_folders"), "is", UINT64_C(500), ".")),
                 500);
    client_close(&client);
    daemon_wait_log(&daemon_, "ended: the client closed"); /* teardown sees that nothing is left */
}

Test(box, keeps_no_other_session_from_starting_by_its_threads)
{
    struct client others[6];
    number_of(client_call(&client, kernel("eat_threads"), "i", UINT64_C(100000)));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        client_open(&others[i], daemon_.port);
        uint64_t add = client_kernel(&others[i], client_load(&others[i], MISBEHAVE_SO), "add");
        cr_assert_eq(number_of(client_call(&others[i], add, "ii", UINT64_C(1), UINT64_C(2))), 3);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        client_close(&others[i]);
}
