/* main.c: vtad-worker, a program that vtad starts. Not for people. Started, it is the template of
 * workers (template.c); what is here is the life of a worker, which it forks: locks itself in, and
 * serves one session.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <ucontext.h>
#include <unistd.h>

#include "awake.h"
#include "box.h"
#include "channel.h"
#include "core/kernels.h"
#include "cpu_native.h"
#include "module.h"
#include "server/log.h"
#include "session.h"
#include "template.h"
#include "worker.h"

#define DESCRIPTORS 256

/* The one session's process. */
static struct process {
    struct worker worker;
    struct channel_start start;
    struct channel_page *page;
    uint64_t session;
    int client;
    struct awake awake;
    bool viewless; /* the box has no view: files can be opened until the first module is loaded */
    struct module_loader loader;
    const struct engine_ops *engine;
} process = { .client = -1 };

/* Of START, then of SESSION. */
static uint8_t payload[CHANNEL_PAYLOAD_MAX];

/* ---- What is said to the daemon ------------------------------------------------------------ */

static void say(enum channel_type type, int number, const void *bytes, size_t nbytes)
{
    struct channel_head head = { .type = type, .number = number, .id = process.session };
    channel_send(CHANNEL_FD, &head, bytes, nbytes, -1, true);
}

/* The last word. */
static _Noreturn void end(int code, const char *reason)
{
    size_t length = strlen(reason);
    say(CHANNEL_ENDED, code, reason, length < CHANNEL_LINE_MAX ? length : (size_t)CHANNEL_LINE_MAX);
    /* Not exit: what a client's code has registered for that is not run. */
    _exit(0);
}

static void host_log(void *context, int level, const char *text)
{
    size_t length = strlen(text);
    (void)context;
    say(CHANNEL_LOG, level, text, length < CHANNEL_LINE_MAX ? length : (size_t)CHANNEL_LINE_MAX);
}

/* ---- The client's socket, which knows when the worker waits --------------------------------- */

/* Like the wire's read, but -1 with EAGAIN where nothing comes within a moment. */
static ssize_t read_awake(void *bytes, size_t nbytes)
{
    ssize_t n = -1;
    errno = EAGAIN;
    if (!awake_begin(&process.awake, process.start.busy_poll_us, process.client))
        return n;
    do
        n = recv(process.client, bytes, nbytes, MSG_DONTWAIT);
    while (n < 0 && errno == EAGAIN && awake_still(&process.awake));
    return n;
}

static ssize_t client_read(void *context, void *bytes, size_t nbytes)
{
    struct wire *socket_wire = context;
    channel_busy(process.page, false);
    if (atomic_load(&process.page->stop) != 0)
        end(0, "the server stops");
    ssize_t n = read_awake(bytes, nbytes);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        n = socket_wire->read(socket_wire->context, bytes, nbytes);
    channel_busy(process.page, true);
    return n;
}

/* What has arrived with the request that is answered begins only now. */
static int client_write(void *context, struct iovec *pieces, int count)
{
    struct wire *socket_wire = context;
    int rc = socket_wire->write(socket_wire->context, pieces, count);
    channel_busy(process.page, true);
    return rc;
}

/* ---- Loading -------------------------------------------------------------------------------- */

/* The scheduler divides time among sessions (sched(7), autogroup): a thousand threads in one get
 * what a single one in another gets. Not before there is a client's code, because a switch between
 * sessions costs each round trip about 1 µs. */
static int be_a_session(struct vta_error *error)
{
    if (getsid(0) == getpid() || setsid() > 0)
        return 0;
    return vta_error_set(error, VTA_EIO, "a session for the module's code: %s", strerror(errno));
}

static int load_apart(struct worker *worker, const char *path, struct module **module,
                      struct vta_error *error)
{
    int rc = be_a_session(error);
    return rc != 0 ? rc : module_code_loader.load(worker, path, module, error);
}

/* Where the box has no view of the file system, nothing can be opened once a client's code is
 * there. A box without a filter, too, is one that the configuration takes. */
static int load_last(struct worker *worker, const char *path, struct module **module,
                     struct vta_error *error)
{
    struct vta_error why = { .insn = -1 };
    int rc = load_apart(worker, path, module, error);
    int forbidden = box_forbid_opening(&why);
    if (forbidden == 0)
        host_log(NULL, LOG_LEVEL_INFO,
                 "a module was loaded; without Landlock nothing can be opened from now on");
    else if (forbidden != VTA_EUNSUPPORTED)
        end(forbidden, why.message);
    return rc;
}

/* ---- Before the box ------------------------------------------------------------------------- */

static int receive_start(struct vta_error *error)
{
    struct channel_head head;
    size_t nbytes;
    int fd;
    if (!channel_receive(CHANNEL_FD, &head, payload, &nbytes, &fd, true))
        return vta_error_set(error, VTA_EIO, "the channel to vtad: %s", strerror(errno));
    if (head.type != CHANNEL_START || nbytes != sizeof process.start || fd < 0)
        return vta_error_set(error, VTA_EVERSION, "vtad and vtad-worker are not of one build");
    memcpy(&process.start, payload, nbytes);
    if (process.start.bytes != sizeof process.start ||
        strncmp(process.start.build, VTAD_VERSION, sizeof process.start.build) != 0)
        return vta_error_set(error, VTA_EVERSION,
                             "vtad and vtad-worker are not of one build: %.*s and %s",
                             (int)sizeof process.start.build, process.start.build, VTAD_VERSION);
    process.page = mmap(NULL, sizeof *process.page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (process.page == MAP_FAILED)
        return vta_error_set(error, VTA_EIO, "the page shared with vtad: %s", strerror(errno));
    return 0;
}

static int lock_in(pid_t daemon, struct channel_ready *ready, bool *moved, struct vta_error *error)
{
    const struct channel_start *start = &process.start;
    const struct box_options options = { .scratch = start->scratch,
                                         .uid = start->uid,
                                         .gid = start->gid,
                                         .memory_bytes = start->memory_bytes,
                                         .file_bytes = start->file_bytes,
                                         .cpu_s = start->cpu_s,
                                         .descriptors = DESCRIPTORS,
                                         .processes = start->processes };
    struct box_report report;
    int rc = box_enter(&options, &report, error);
    if (rc != 0)
        return rc;
    snprintf(ready->box, sizeof ready->box, "%s", report.text);
    ready->complete = report.complete;
    *moved = report.moved;
    process.viewless = report.viewless;
    if (getppid() != daemon) /* it ended before its end could be this one's */
        _exit(0);
    if (!report.complete && start->box_required)
        return vta_error_set(error, VTA_EUNSUPPORTED, "%s", report.text);
    return 0;
}

static int make_worker(const char *scratch, struct vta_error *error)
{
    const struct channel_start *start = &process.start;
    const struct worker_host host = { .log = host_log };
    struct worker_options options;
    worker_options_default(&options);
    options.board.hw = start->hw;
    options.board.dram_bytes = start->dram_bytes;
    options.board.max_work = start->max_work;
    options.board.hazards.policy = start->hazards;
    options.board.hazards.strict_board = start->strict_board;
    options.board.timing = start->timing;
    options.board.profile = &start->profile;
    options.board_clock = start->board_clock;
    options.run_deadline_ms = start->run_deadline_ms;
    options.call_deadline_ms = start->call_deadline_ms;
    options.engine = process.engine;
    options.max_message_bytes = start->max_message_bytes;
    options.max_upload_bytes = start->max_upload_bytes;
    options.max_cpu_bytes = start->max_cpu_bytes;
    options.max_files = start->max_files;
    options.max_handles = start->max_handles;
    options.max_evaluations = start->max_evaluations;
    options.threads = start->threads;
    process.loader = module_code_loader;
    process.loader.load = process.viewless ? load_last : load_apart;
    int rc = worker_open(&process.worker, &options, &host, &process.loader, scratch, error);
    if (rc == 0 && strcmp(scratch, "/") == 0)
        process.worker.scratch[0] = '\0'; /* what "/NAME" begins with */
    return rc;
}

/* ---- A crash of a client's code -------------------------------------------------------------- */

/* Says where it was; then the process ends of the signal, as it would have anyway. What is called
 * here would not be safe to return from into the code that was interrupted, and nothing does. */
static void on_crash(int signal_number, siginfo_t *info, void *context)
{
    const ucontext_t *interrupted = context;
    char where[256], text[512];
#if defined(__x86_64__)
    const uint64_t pc = (uint64_t)interrupted->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    const uint64_t pc = interrupted->uc_mcontext.pc;
#else
    const uint64_t pc = 0;
#endif
    cpu_native_describe(pc, where, sizeof where);
    snprintf(text, sizeof text, "SIG%s (address 0x%llx) in %s", sigabbrev_np(signal_number),
             (unsigned long long)(uintptr_t)info->si_addr, where);
    host_log(NULL, LOG_LEVEL_WARNING, text);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

/* On a stack of its own, because the client's may be what overflowed. */
static void watch_for_crashes(void)
{
    static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
    static char stack[64 << 10];
    const stack_t alternate = { .ss_sp = stack, .ss_size = sizeof stack };
    struct sigaction action = { .sa_sigaction = on_crash,
                                .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND };
    sigaltstack(&alternate, NULL);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaction(signals[i], &action, NULL);
}

/* ---- The session ---------------------------------------------------------------------------- */

static int prepare(pid_t daemon, struct vta_error *error)
{
    static struct channel_ready ready;
    bool moved = false;
    int rc = receive_start(error);
    if (rc == 0 && process.start.kernels[0] != '\0')
        rc = vta_kernels_force(process.start.kernels, error);
    if (rc == 0)
        rc = lock_in(daemon, &ready, &moved, error);
    if (rc == 0)
        rc = make_worker(moved ? "/" : process.start.scratch, error);
    /* A client's code gets half, so that it keeps no other worker from starting. */
    if (rc == 0)
        rc = box_limit_threads(process.start.processes / 2, error);
    if (rc == 0 && process.start.trial) {
        say(CHANNEL_READY, 0, &ready, sizeof ready);
        _exit(0);
    }
    return rc;
}

static _Noreturn void serve_one(void)
{
    struct channel_head head;
    struct vta_error error = { .insn = -1 };
    size_t nbytes;
    if (!channel_receive(CHANNEL_FD, &head, payload, &nbytes, &process.client, true))
        _exit(0); /* the daemon has ended, or needs this process no more */
    if (head.type != CHANNEL_SESSION || process.client < 0)
        end(VTA_EINTERNAL, "no session came");
    process.session = head.id;
    watch_for_crashes();
    int flags = fcntl(process.client, F_GETFL);
    if (flags < 0 || fcntl(process.client, F_SETFL, flags & ~O_NONBLOCK) != 0)
        end(VTA_EIO, strerror(errno));

    struct wire socket_wire = wire_socket(&process.client);
    const struct wire wire = { .read = client_read,
                               .write = client_write,
                               .context = &socket_wire };
    channel_busy(process.page, nbytes > 0); /* requests may have come with the handshake */
    int rc = session_run(&process.worker, &wire, payload, nbytes, &error);
    end(rc, rc == 0 ? "the client closed" : error.message);
}

static _Noreturn void serve(const struct engine_ops *engine, pid_t daemon)
{
    const struct channel_head started = { .type = CHANNEL_STARTED, .number = getpid() };
    struct vta_error error = { .insn = -1 };
    if (channel_send(CHANNEL_FD, &started, NULL, 0, -1, true) != 0)
        _exit(0); /* the daemon has ended, or needs this process no more */
    process.engine = engine;
    int rc = prepare(daemon, &error);
    if (rc != 0)
        end(rc, error.message);
    serve_one();
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "template") == 0)
        template_run(serve);
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("vtad-worker " VTAD_VERSION "\n");
        return 0;
    }
    fprintf(stderr, "vtad-worker is started by vtad(8)\n");
    return 2;
}
