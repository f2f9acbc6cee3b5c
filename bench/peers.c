/* peers.c: fork, exec and blocking sockets (peers.h).
 */
#include "peers.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
    exit(1);
}

/* ---- Sockets ------------------------------------------------------------------------------- */

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void set_nodelay(int fd)
{
    int on = 1;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
        fail("TCP_NODELAY");
}

int peer_connect(int port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail("connecting");
    set_nodelay(fd);
    return fd;
}

void peer_send(int fd, const void *bytes, size_t nbytes)
{
    for (const char *at = bytes; nbytes > 0;) {
        ssize_t sent = send(fd, at, nbytes, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR)
            fail("sending");
        if (sent > 0) {
            at += sent;
            nbytes -= (size_t)sent;
        }
    }
}

size_t peer_receive_some(int fd, void *bytes, size_t nbytes)
{
    ssize_t got;
    do
        got = recv(fd, bytes, nbytes, 0);
    while (got < 0 && errno == EINTR);
    if (got == 0)
        errno = ECONNRESET;
    if (got <= 0)
        fail("receiving");
    return (size_t)got;
}

void peer_receive(int fd, void *bytes, size_t nbytes)
{
    for (char *at = bytes; nbytes > 0;) {
        size_t got = peer_receive_some(fd, at, nbytes);
        at += got;
        nbytes -= got;
    }
}

/* ---- The raw peer -------------------------------------------------------------------------- */

static void answer(int fd, const struct raw_order *order, char *bytes)
{
    size_t part = 0; /* of a request whose rest is on its way */
    for (uint64_t done = 0; done < order->count;) {
        part += peer_receive_some(fd, bytes, RAW_PIECE);
        uint64_t whole = part / order->request_bytes;
        part %= order->request_bytes;
        if (whole > 0)
            peer_send(fd, bytes, whole * order->reply_bytes);
        done += whole;
    }
}

static size_t piece_of(uint64_t left)
{
    return left < RAW_PIECE ? (size_t)left : RAW_PIECE;
}

static void sink(int fd, const struct raw_order *order, char *bytes)
{
    for (uint64_t left = order->count; left > 0;)
        left -= peer_receive_some(fd, bytes, piece_of(left));
    peer_send(fd, bytes, 1);
}

static void source(int fd, const struct raw_order *order, char *bytes)
{
    for (uint64_t left = order->count; left > 0; left -= piece_of(left))
        peer_send(fd, bytes, piece_of(left));
}

static _Noreturn void serve_raw(int listener)
{
    struct raw_order order;
    char *bytes = malloc(RAW_PIECE);
    int fd = accept(listener, NULL, NULL);
    if (fd < 0 || bytes == NULL)
        fail("raw peer");
    memset(bytes, 0, RAW_PIECE);
    set_nodelay(fd);
    for (;;) {
        if (recv(fd, &order, sizeof order, MSG_PEEK) == 0)
            _exit(0);
        peer_receive(fd, &order, sizeof order);
        if (order.kind == RAW_ANSWER)
            answer(fd, &order, bytes);
        else if (order.kind == RAW_SINK)
            sink(fd, &order, bytes);
        else
            source(fd, &order, bytes);
    }
}

void peer_start_raw(struct peer *peer)
{
    struct sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) != 0 ||
        listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0)
        fail("raw peer");
    *peer = (struct peer){ .pid = fork(), .port = ntohs(address.sin_port), .log = -1 };
    if (peer->pid < 0)
        fail("fork");
    if (peer->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve_raw(listener);
    }
    close(listener);
}

/* ---- The daemon ---------------------------------------------------------------------------- */

static _Noreturn void become_daemon(const char *path, int log)
{
    char config[64];
    int fd = memfd_create("vtad.json", 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (fd < 0 || write(fd, "{}", 2) != 2 || dup2(log, STDERR_FILENO) < 0)
        fail("vtad");
    snprintf(config, sizeof config, "/proc/self/fd/%d", fd);
    /* The log is read up to the port only; below notice it would fill the pipe. */
    execl(path, path, "--config", config, "--listen", "127.0.0.1:0", "--log", "stderr",
          "--log-level", "notice", (char *)NULL);
    dprintf(STDERR_FILENO, "%s\n", strerror(errno));
    _exit(127);
}

static int read_port(int log, const char *path)
{
    static const char mark[] = "listening on 127.0.0.1:";
    char text[4096];
    size_t length = 0;
    for (;;) {
        ssize_t got = read(log, text + length, sizeof text - 1 - length);
        if (got < 0 && errno == EINTR)
            continue;
        text[length += got > 0 ? (size_t)got : 0] = '\0';
        const char *at = strstr(text, mark);
        if (at != NULL && strchr(at, '\n') != NULL)
            return atoi(at + strlen(mark));
        if (got <= 0 || length == sizeof text - 1) {
            fprintf(stderr, "bench_rpc: %s did not say where it listens:\n%s", path, text);
            exit(1);
        }
    }
}

void peer_start_daemon(struct peer *peer, const char *path)
{
    int log[2];
    if (pipe2(log, O_CLOEXEC) != 0)
        fail("pipe");
    *peer = (struct peer){ .pid = fork(), .log = log[0] };
    if (peer->pid < 0)
        fail("fork");
    if (peer->pid == 0)
        become_daemon(path, log[1]);
    close(log[1]);
    peer->port = read_port(log[0], path);
}

double peer_pss(const struct peer *peer)
{
    char path[64], line[256];
    double pss = -1;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)peer->pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        fail(path);
    while (pss < 0 && fgets(line, sizeof line, file) != NULL)
        sscanf(line, "Pss: %lf kB", &pss);
    fclose(file);
    errno = ENODATA;
    if (pss < 0)
        fail(path);
    return pss;
}

void peer_stop(struct peer *peer)
{
    int status;
    kill(peer->pid, SIGTERM);
    if (waitpid(peer->pid, &status, 0) != peer->pid)
        fail("waitpid");
    if (peer->log < 0)
        return;
    close(peer->log);
    errno = ECHILD;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail("vtad did not end well");
}

/* ---- Processors ---------------------------------------------------------------------------- */

const char *peer_vtad(void)
{
    static char path[PATH_MAX + sizeof "/../server/vtad"];
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX);
    path[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(path, '/');
    strcpy(slash != NULL ? slash : path, "/../server/vtad");
    return path;
}

void peer_processors(int processors[2])
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        fail("sched_getaffinity");
    processors[0] = processors[1] = -1;
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, &set))
            continue;
        processors[0] = processors[0] < 0 ? i : processors[0];
        processors[1] = i;
    }
}

void peer_bind(pid_t pid, int processor)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    if (sched_setaffinity(pid, sizeof set, &set) != 0)
        fail("sched_setaffinity");
}
