/* misbehave.c: a compiled module, as TVM makes them, whose kernels do what no kernel should: crash,
 * hang, eat, and ask the kernel for what the box forbids. And one that behaves.
 *
 * Built as an object file and as a shared library; needs nothing but the C library.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

union value {
    int64_t i;
    double f;
    void *p;
    const char *s;
};

#define KERNEL(name)                                                                               \
    int name(union value *args, int *codes, int count, union value *result, int *result_code,      \
             void *resource);                                                                      \
    int name(union value *args, int *codes, int count, union value *result, int *result_code,      \
             void *resource)

#define UNUSED (void)args, (void)codes, (void)count, (void)resource

static int give(union value *result, int *result_code, int64_t number)
{
    result->i = number;
    *result_code = 0;
    return 0;
}

const char __tvm_main__[] = "add";

KERNEL(add)
{
    UNUSED;
    return give(result, result_code, args[0].i + args[1].i);
}

/* ---- Crashing and hanging ------------------------------------------------------------------ */

KERNEL(segfault)
{
    UNUSED;
    volatile int *nowhere = (volatile int *)(uintptr_t)(count > 1000 ? 4096 : 8);
    return give(result, result_code, *nowhere);
}

KERNEL(divide_by_zero)
{
    UNUSED;
    raise(SIGFPE);
    return give(result, result_code, 0);
}

KERNEL(abort_process)
{
    UNUSED, (void)result, (void)result_code;
    abort();
}

KERNEL(exit_process)
{
    UNUSED, (void)result, (void)result_code;
    exit((int)args[0].i);
}

/* So that a test knows that a kernel has begun: a file in the folder of the session. */
static void show_at_work(void)
{
    close(open("at-work", O_CREAT | O_WRONLY, 0600));
}

KERNEL(loop_for_ever)
{
    UNUSED, (void)result, (void)result_code;
    show_at_work();
    for (volatile uint64_t i = 0;; i++)
        ;
}

KERNEL(sleep_for_ever)
{
    UNUSED, (void)result, (void)result_code;
    for (;;)
        pause();
}

KERNEL(overflow_stack)
{
    volatile char page[4096];
    memset((char *)page, (int)args[0].i, sizeof page);
    int rc = overflow_stack(args, codes, count, result, result_code, resource);
    return rc + page[0];
}

/* Closes every descriptor: its client's socket and the daemon's channel among them. */
KERNEL(close_everything)
{
    UNUSED;
    for (int fd = 0; fd < 256; fd++)
        close(fd);
    return give(result, result_code, 0);
}

/* Says to the daemon, as if the worker did, so many times: type of message and text. */
KERNEL(say)
{
    UNUSED;
    static char message[16 + 2048];
    const uint32_t type = (uint32_t)args[0].i;
    const size_t length = strlen(args[1].s);
    int64_t said = 0;
    memcpy(message, &type, sizeof type);
    memcpy(message + 16, args[1].s, length);
    while (said < args[2].i && write(0, message, 16 + length) > 0)
        said++;
    return give(result, result_code, said);
}

/* ---- Eating -------------------------------------------------------------------------------- */

/* Touches memory until there is no more; returns how many MiB it got. */
KERNEL(eat_memory)
{
    UNUSED;
    int64_t got = 0;
    const size_t piece = (size_t)64 << 20;
    void *last = NULL;
    for (;; got += 64) {
        void **bytes =
            mmap(NULL, piece, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (bytes == MAP_FAILED)
            break;
        bytes[0] = last;
        last = bytes;
    }
    while (last != NULL) {
        void *before = *(void **)last;
        munmap(last, piece);
        last = before;
    }
    return give(result, result_code, got);
}

static void *wait_for_ever(void *unused)
{
    for (;;)
        pause();
    return unused;
}

/* Starts threads until that fails; returns how many it got, and keeps them. */
KERNEL(eat_threads)
{
    UNUSED;
    pthread_attr_t small;
    pthread_t thread;
    int64_t got = 0;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 << 10);
    while (got < args[0].i && pthread_create(&thread, &small, wait_for_ever, NULL) == 0)
        got++;
    return give(result, result_code, got);
}

/* Opens descriptors until that fails; returns how many it got. */
KERNEL(eat_descriptors)
{
    UNUSED;
    int64_t got = 0;
    while (got < 100000 && dup(0) >= 0)
        got++;
    for (int64_t fd = 3; fd < got + 3; fd++)
        if (fd != args[0].i)
            close((int)fd);
    return give(result, result_code, got);
}

/* Writes a file of its folder until that fails; returns errno. */
KERNEL(eat_disk)
{
    UNUSED;
    static char bytes[1 << 20];
    int fd = open(args[0].s, O_WRONLY | O_CREAT, 0600);
    while (fd >= 0 && write(fd, bytes, sizeof bytes) > 0)
        ;
    int64_t reason = errno;
    close(fd);
    unlink(args[0].s);
    return give(result, result_code, reason);
}

/* ---- What the box forbids ------------------------------------------------------------------ */

/* A system call: number and up to six arguments, ints or strings. Returns its result, or minus
 * errno. */
KERNEL(system_call)
{
    UNUSED;
    long words[7] = { 0 };
    for (int i = 0; i < count && i < 7; i++)
        words[i] = (long)args[i].i; /* a string is its address */
    long rc = syscall(words[0], words[1], words[2], words[3], words[4], words[5], words[6]);
    return give(result, result_code, rc < 0 ? -errno : rc);
}

/* fork(2) as the C library makes it. */
KERNEL(fork_process)
{
    UNUSED;
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            fork();
    return give(result, result_code, pid < 0 ? -errno : pid);
}

/* How many bytes of a file can be read; minus errno where it cannot be opened. */
KERNEL(read_path)
{
    UNUSED;
    char bytes[256];
    int fd = open(args[0].s, O_RDONLY);
    if (fd < 0)
        return give(result, result_code, -errno);
    ssize_t n = read(fd, bytes, sizeof bytes);
    int64_t got = n < 0 ? -errno : n;
    close(fd);
    return give(result, result_code, got);
}

/* Whether there is an environment variable of this name. */
KERNEL(see_variable)
{
    UNUSED;
    return give(result, result_code, getenv(args[0].s) != NULL);
}

/* How many of the descriptors 0…255 are open. */
KERNEL(count_descriptors)
{
    UNUSED;
    int64_t got = 0;
    for (int fd = 0; fd < 256; fd++)
        got += fcntl(fd, F_GETFD) >= 0;
    return give(result, result_code, got);
}

/* The user, times two, plus whether it is another than the real one. */
KERNEL(user)
{
    UNUSED;
    return give(result, result_code, (int64_t)getuid() * 2 + (getuid() != geteuid()));
}

static void *add_in_thread(void *number)
{
    return (void *)((intptr_t)number + 1);
}

/* A thread that ends; 42 where all is well. */
KERNEL(use_a_thread)
{
    UNUSED;
    pthread_t thread;
    void *back = NULL;
    if (pthread_create(&thread, NULL, add_in_thread, (void *)41) != 0)
        return give(result, result_code, -1);
    pthread_join(thread, &back);
    return give(result, result_code, (intptr_t)back);
}

/* Sleeps that many milliseconds, and returns them. */
KERNEL(nap)
{
    UNUSED;
    show_at_work();
    usleep((useconds_t)args[0].i * 1000);
    return give(result, result_code, args[0].i);
}

/* Folders in folders; returns how deep it got. */
KERNEL(nest_folders)
{
    UNUSED;
    int64_t got = 0;
    int at = open(args[1].s, O_RDONLY | O_DIRECTORY);
    while (got < args[0].i && at >= 0 && mkdirat(at, "deeper", 0700) == 0) {
        int inner = openat(at, "deeper", O_RDONLY | O_DIRECTORY);
        close(at);
        at = inner;
        got++;
    }
    close(at);
    return give(result, result_code, got);
}

/* ---- The worker's channel to the daemon, which is descriptor 0
 * ----------------------------------- */

/* Sends so many messages with this type, number and so many bytes of payload; returns how many went
 * out. */
KERNEL(say_to_daemon)
{
    UNUSED;
    static struct {
        uint32_t type;
        int32_t number;
        uint64_t id;
        char payload[4096];
    } message;
    int64_t sent = 0;
    message.type = (uint32_t)args[1].i;
    message.number = (int32_t)args[2].i;
    message.id = 77;
    memset(message.payload, 0x1b, sizeof message.payload); /* escape */
    while (sent < args[0].i && send(0, &message, 16 + (size_t)args[3].i, MSG_NOSIGNAL) > 0)
        sent++;
    return give(result, result_code, sent);
}

/* Sends so many bytes of nothing. */
KERNEL(mumble_to_daemon)
{
    UNUSED;
    static const char zeros[64];
    return give(result, result_code, send(0, zeros, (size_t)args[0].i, MSG_NOSIGNAL));
}
