/* linker.c: the linker process: files of its own of the objects, a library from the cache or from
 * the system's linker, and its words where it fails.
 *
 * The process itself has the daemon's user, because the cache is the daemon's; it reads nothing of
 * the objects but their headers. The system's linker, which does read them, runs in a box.
 */
#include "linking.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "box.h"
#include "channel.h"
#include "link_cache.h"

#define SOCKET      CHANNEL_FD
#define LIBRARY     "library.so"
#define WORDS_MAX   900           /* of the linker, in an error's message */
#define RULES       "vtad link 1" /* another one whenever the arguments below change */
#define DESCRIPTORS 256
#define OBJECTS_MS  5000 /* for all objects to come */
#define PROCESSES   8192 /* twice what all threads of clients' code may be */

static struct linker {
    const char *program, *folder, *user;
    uint64_t cache_bytes, file_bytes, memory_bytes, cpu_s;
    int cache;            /* its folder; -1: none */
    uint64_t patience_ms; /* until when objects may come, of CLOCK_MONOTONIC */
    EVP_MD_CTX *digest;
    uint32_t count;
    char names[CHANNEL_OBJECTS_MAX][16]; /* in the folder */
} linker;

static uint8_t bytes[CHANNEL_PAYLOAD_MAX];

/* ---- Results ------------------------------------------------------------------------------- */

static void send_reason(const struct vta_error *error)
{
    const struct channel_head head = { .type = LINK_RESULT, .number = error->code };
    channel_send(SOCKET, &head, error->message, strlen(error->message), -1, true);
}

/* Reads what the worker still says until it has read the reason: a socket that is closed with
 * something unread takes its last words with it. */
static void hear_out(void)
{
    struct channel_head head;
    size_t nbytes;
    int file;
    while (channel_receive(SOCKET, &head, bytes, &nbytes, &file, true))
        if (file >= 0)
            close(file);
}

static void send_library(int file, uint64_t nbytes)
{
    const struct channel_head head = { .type = LINK_RESULT, .id = nbytes };
    channel_send(SOCKET, &head, NULL, 0, file, true);
}

/* ---- Objects ------------------------------------------------------------------------------- */

static void add_to_digest(const void *data, size_t nbytes)
{
    EVP_DigestUpdate(linker.digest, data, nbytes);
}

/* What makes the same objects another library: these rules and the linker. */
static int begin_digest(struct vta_error *error)
{
    struct stat st;
    char *path = realpath(linker.program, NULL);
    if (path == NULL || stat(path, &st) != 0) {
        free(path);
        return vta_error_set(error, VTA_EUNSUPPORTED, "the server's linker %s: %s", linker.program,
                             strerror(errno));
    }
    linker.digest = EVP_MD_CTX_new();
    if (linker.digest == NULL || EVP_DigestInit_ex(linker.digest, EVP_sha256(), NULL) != 1) {
        free(path);
        return vta_error_set(error, VTA_ENOMEM, "linking: no memory");
    }
    add_to_digest(RULES, sizeof RULES);
    add_to_digest(path, strlen(path) + 1);
    add_to_digest(&st.st_size, sizeof st.st_size);
    add_to_digest(&st.st_mtim, sizeof st.st_mtim);
    free(path);
    return 0;
}

/* A linker takes what is no object file for a script, and what a script names it reads. */
static int check_object(const uint8_t *start, size_t nbytes, struct vta_error *error)
{
    Elf64_Ehdr header;
    if (nbytes >= sizeof header) {
        memcpy(&header, start, sizeof header);
        if (memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_type == ET_REL)
            return 0;
    }
    return vta_error_set(error, VTA_EFORMAT, "linking: object %u is not an object file",
                         (unsigned)linker.count);
}

/* Linkers are few, and others wait for one: a worker has its objects at hand, or is not served. */
static int await_message(struct vta_error *error)
{
    const uint64_t now = channel_now() / 1000000;
    struct pollfd socket = { .fd = SOCKET, .events = POLLIN };
    int ready = 0;
    if (now < linker.patience_ms)
        ready = poll(&socket, 1, (int)(linker.patience_ms - now));
    if (ready > 0)
        return 0;
    return vta_error_limit(error, VTA_ETIMEOUT, OBJECTS_MS, OBJECTS_MS,
                           "linking: the objects did not come within %d ms", OBJECTS_MS);
}

static int receive(enum link_message type, struct channel_head *head, size_t *nbytes,
                   struct vta_error *error)
{
    int file;
    if (await_message(error) != 0)
        return VTA_ETIMEOUT;
    if (!channel_receive(SOCKET, head, bytes, nbytes, &file, true))
        return vta_error_set(error, VTA_ECLOSED, "linking: the worker is gone");
    if (file >= 0)
        close(file);
    if (head->type != type || file >= 0)
        return vta_error_set(error, VTA_EINVAL, "linking: not what a worker says");
    return 0;
}

/* Writes the bytes that come to a file. */
static int receive_bytes(int to, uint64_t left, struct vta_error *error)
{
    for (bool first = true; left > 0; first = false) {
        struct channel_head head;
        size_t n;
        int rc = receive(LINK_BYTES, &head, &n, error);
        if (rc == 0 && (n == 0 || n > left))
            rc = vta_error_set(error, VTA_EINVAL, "linking: not what a worker says");
        if (rc == 0 && first)
            rc = check_object(bytes, n, error);
        if (rc != 0)
            return rc;
        if (write(to, bytes, n) != (ssize_t)n)
            return vta_error_set(error, VTA_EIO, "linking: writing an object: %s", strerror(errno));
        add_to_digest(bytes, n);
        left -= n;
    }
    return 0;
}

static int receive_object(const char *name, uint64_t nbytes, struct vta_error *error)
{
    if (nbytes == 0)
        return check_object(bytes, 0, error);
    int to = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    int rc = to < 0 || fchmod(to, 0644) != 0
                 ? vta_error_set(error, VTA_EIO, "linking: %s: %s", name, strerror(errno))
                 : 0;
    add_to_digest(&nbytes, sizeof nbytes);
    if (rc == 0)
        rc = receive_bytes(to, nbytes, error);
    if (to >= 0)
        close(to);
    return rc;
}

static int receive_objects(struct vta_error *error)
{
    uint64_t left = linker.file_bytes;
    struct channel_head head;
    size_t nbytes;
    linker.patience_ms = channel_now() / 1000000 + OBJECTS_MS;
    do {
        int rc = receive(LINK_OBJECT, &head, &nbytes, error);
        if (rc == 0 && (head.number < 1 || head.number > CHANNEL_OBJECTS_MAX))
            rc = vta_error_set(error, VTA_EINVAL, "linking: not what a worker says");
        if (rc == 0 && head.id > left)
            rc = vta_error_limit(error, VTA_ELIMIT, (int64_t)linker.file_bytes, (int64_t)head.id,
                                 "linking: the objects have more than %llu bytes together",
                                 (unsigned long long)linker.file_bytes);
        if (rc != 0)
            return rc;
        left -= head.id;
        uint32_t index = linker.count++;
        snprintf(linker.names[index], sizeof linker.names[index], "%u.o", (unsigned)index);
        rc = receive_object(linker.names[index], head.id, error);
        if (rc != 0)
            return rc;
    } while (linker.count < (uint32_t)head.number);
    return 0;
}

/* ---- The system's linker -------------------------------------------------------------------- */

/* In the child. Code without a note about its stack does not make the stack executable. */
static _Noreturn void become_linker(int words)
{
    const char *arguments[CHANNEL_OBJECTS_MAX + 8] = { linker.program, "-shared", "-z",
                                                       "noexecstack",  "-o",      LIBRARY };
    const struct box_options options = { .scratch = linker.folder,
                                         .user = linker.user,
                                         .memory_bytes = linker.memory_bytes,
                                         .file_bytes = linker.file_bytes,
                                         .cpu_s = (uint32_t)linker.cpu_s,
                                         .descriptors = DESCRIPTORS,
                                         .processes = PROCESSES,
                                         .linker = linker.program };
    static char *environment[] = { (char *)"PATH=/usr/bin:/bin", (char *)"LC_ALL=C",
                                   (char *)"TMPDIR=.", NULL };
    struct box_report report;
    struct vta_error error = { .insn = -1 };
    size_t n = 6;
    for (uint32_t i = 0; i < linker.count; i++)
        arguments[n++] = linker.names[i];
    dup2(words, STDOUT_FILENO);
    dup2(words, STDERR_FILENO);
    int null = open("/dev/null", O_RDONLY);
    dup2(null, STDIN_FILENO);
    close_range(STDERR_FILENO + 1, ~0U, 0);
    if (box_enter(&options, &report, &error) != 0)
        dprintf(STDERR_FILENO, "%s\n", error.message);
    else if (execve(linker.program, (char *const *)arguments, environment) != 0)
        dprintf(STDERR_FILENO, "%s: %s\n", linker.program, strerror(errno));
    _exit(127);
}

/* Keeps the first of the words and reads the rest, so that the linker does not wait for us. */
static size_t read_words(int words, char *text, size_t size)
{
    size_t length = 0;
    for (;;) {
        ssize_t n = read(words, bytes, sizeof bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        size_t take = (size_t)n < size - 1 - length ? (size_t)n : size - 1 - length;
        memcpy(text + length, bytes, take);
        length += take;
    }
    while (length > 0 && text[length - 1] == '\n')
        length--;
    text[length] = '\0';
    return length;
}

static int run_linker(struct vta_error *error)
{
    static char text[WORDS_MAX];
    int words[2], status = 0;
    if (pipe2(words, O_CLOEXEC) != 0)
        return vta_error_set(error, VTA_EIO, "linking: %s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0)
        become_linker(words[1]);
    close(words[1]);
    if (pid > 0)
        read_words(words[0], text, sizeof text);
    close(words[0]);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return vta_error_set(error, VTA_EIO, "linking: %s", strerror(errno));
    if (WIFSIGNALED(status))
        return vta_error_set(error, VTA_EINVAL, "the linker was ended by signal %d (%s)%s%s",
                             WTERMSIG(status), strsignal(WTERMSIG(status)),
                             text[0] != '\0' ? ": " : "", text);
    if (WEXITSTATUS(status) != 0)
        return vta_error_set(error, VTA_EINVAL, "the linker failed: %s",
                             text[0] != '\0' ? text : "it gave no reason");
    return 0;
}

/* ---- The whole ----------------------------------------------------------------------------- */

static int make_library(const uint8_t *key, struct vta_error *error)
{
    struct stat st;
    int rc = run_linker(error);
    if (rc != 0)
        return rc;
    int file = open(LIBRARY, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0 || fstat(file, &st) != 0 || !S_ISREG(st.st_mode) ||
        (uint64_t)st.st_size > linker.file_bytes)
        return vta_error_set(error, VTA_EINVAL, "the linker made no library");
    if (linker.cache >= 0)
        link_cache_keep(linker.cache, key, file, (uint64_t)st.st_size, linker.cache_bytes);
    send_library(file, (uint64_t)st.st_size);
    return 0;
}

static int serve(struct vta_error *error)
{
    uint8_t key[LINK_DIGEST_BYTES];
    uint64_t nbytes = 0;
    if (chdir(linker.folder) != 0)
        return vta_error_set(error, VTA_EIO, "%s: %s", linker.folder, strerror(errno));
    int rc = begin_digest(error);
    if (rc == 0)
        rc = receive_objects(error);
    if (rc != 0)
        return rc;
    EVP_DigestFinal_ex(linker.digest, key, NULL);
    int kept = linker.cache >= 0 ? link_cache_find(linker.cache, key, &nbytes) : -1;
    if (kept < 0)
        return make_library(key, error);
    send_library(kept, nbytes);
    return 0;
}

static uint64_t number(const char *text)
{
    return strtoull(text, NULL, 10);
}

int linker_main(char *const *arguments)
{
    struct vta_error error = { .insn = -1 };
    const char *cache = arguments[LINK_ARGUMENT_CACHE];
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    signal(SIGPIPE, SIG_IGN);
    linker.program = arguments[LINK_ARGUMENT_PROGRAM];
    linker.folder = arguments[LINK_ARGUMENT_FOLDER];
    linker.user = arguments[LINK_ARGUMENT_USER];
    linker.cache_bytes = number(arguments[LINK_ARGUMENT_CACHE_BYTES]);
    linker.file_bytes = number(arguments[LINK_ARGUMENT_FILE_BYTES]);
    linker.memory_bytes = number(arguments[LINK_ARGUMENT_MEMORY_BYTES]);
    linker.cpu_s = number(arguments[LINK_ARGUMENT_CPU_S]);
    linker.cache = cache[0] != '\0' && linker.cache_bytes > 0
                       ? open(cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                       : -1;
    if (serve(&error) == 0)
        return 0;
    send_reason(&error);
    if (error.code == VTA_ETIMEOUT)
        return 1; /* which the daemon tells a worker that is only slow */
    hear_out();
    return 0;
}
