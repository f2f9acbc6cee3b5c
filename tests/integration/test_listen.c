/* Where the daemon listens, and what it does with a connection's first bytes.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "session.h"

static struct daemon daemon_;
static struct session session;

static void setup(void)
{
    daemon_init(&daemon_);
}

static void teardown(void)
{
    if (session.wire.fd > 0)
        session_close(&session);
    if (daemon_.pid > 0)
        daemon_stop(&daemon_);
    daemon_clear(&daemon_);
}

TestSuite(listen, .init = setup, .fini = teardown);

static char *in_dir(const char *format)
{
    static char text[4][256];
    static int next;
    char *it = text[next++ % 4];
    snprintf(it, sizeof text[0], format, daemon_.dir);
    return it;
}

/* ---- Addresses ----------------------------------------------------------------------------- */

Test(listen, the_log_line_is_exactly_the_address)
{
    daemon_start(&daemon_, NULL);
    char line[64];
    snprintf(line, sizeof line, "listening on 127.0.0.1:%d\n", daemon_.port);
    cr_assert_str_eq(daemon_.log, line);
}

Test(listen, on_ipv6)
{
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
    if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof any) != 0)
        cr_skip_test("this machine has no IPv6 loopback");
    close(fd);
    static const char *const flags[] = { "--listen", "[::1]:0", NULL };
    daemon_start(&daemon_, flags);
    const char *line = daemon_wait_log(&daemon_, "listening on [::1]:");
    wire_connect6(&session.wire, atoi(strrchr(line, ':') + 1));
    session_prepare(&session, 1);
    session_check_add(&session);
    daemon_wait_log(&daemon_, "session 1 from [::1]:");
}

Test(listen, on_a_unix_socket_whose_file_goes_with_the_daemon)
{
    const char *flags[] = { "--listen", in_dir("unix:%s/sock"), NULL };
    const char *path = in_dir("%s/sock");
    daemon_start(&daemon_, flags);
    daemon_wait_log(&daemon_, in_dir("listening on unix:%s/sock"));
    wire_connect_unix(&session.wire, path);
    session_prepare(&session, 1);
    session_check_add(&session);
    daemon_wait_log(&daemon_, "session 1 from unix:pid=");
    session_close(&session);
    daemon_stop(&daemon_);
    cr_assert_neq(access(path, F_OK), 0);
}

/* Without TVM: a worker that is on its way from fork to exec has the daemon's sockets, too, and
 * would listen a moment longer than a daemon that is killed then. */
Test(listen, replaces_a_unix_socket_that_a_dead_daemon_left)
{
    const char *flags[] = { "--listen", in_dir("unix:%s/sock"), "--tvm", "off", NULL };
    daemon_start(&daemon_, flags);
    daemon_wait_log(&daemon_, "listening on unix:");
    daemon_signal(&daemon_, SIGKILL);
    cr_assert_eq(daemon_wait(&daemon_), 128 + SIGKILL);
    cr_assert_eq(access(in_dir("%s/sock"), F_OK), 0);
    daemon_start(&daemon_, flags);
    daemon_wait_log(&daemon_, "listening on unix:");
    wire_connect_unix(&session.wire, in_dir("%s/sock"));
    wire_call(&session.wire, NULL, "ping", "");
}

Test(listen, leaves_a_unix_socket_alone_where_somebody_listens)
{
    const char *flags[] = { "--listen", in_dir("unix:%s/sock"), NULL };
    daemon_start(&daemon_, flags);
    daemon_wait_log(&daemon_, "listening on unix:");
    struct daemon second;
    daemon_init(&second);
    daemon_spawn(&second, flags, NULL, -1);
    cr_assert_eq(daemon_wait(&second), 1);
    cr_assert_not_null(strstr(second.log, "another process listens there"), "%s", second.log);
    daemon_clear(&second);
    wire_connect_unix(&session.wire, in_dir("%s/sock"));
    wire_call(&session.wire, NULL, "ping", "");
}

Test(listen, does_not_replace_a_file_that_is_no_socket)
{
    const char *flags[] = { "--listen", NULL, NULL };
    char address[160];
    snprintf(address, sizeof address, "unix:%s", daemon_.config);
    flags[1] = address;
    daemon_spawn(&daemon_, flags, NULL, -1);
    cr_assert_eq(daemon_wait(&daemon_), 1);
    cr_assert_not_null(strstr(daemon_.log, "not a socket"), "%s", daemon_.log);
}

Test(listen, a_port_that_is_taken_is_an_error_that_names_it)
{
    daemon_start(&daemon_, NULL);
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%d", daemon_.port);
    const char *flags[] = { "--listen", address, NULL };
    struct daemon second;
    daemon_init(&second);
    daemon_spawn(&second, flags, NULL, -1);
    cr_assert_eq(daemon_wait(&second), 1);
    cr_assert_not_null(strstr(second.log, address), "%s", second.log);
    cr_assert_not_null(strstr(second.log, "address already in use"), "%s", second.log);
    daemon_clear(&second);
}

/* ---- systemd ------------------------------------------------------------------------------- */

Test(listen, takes_a_socket_that_is_passed_instead_of_its_own)
{
#ifndef HAVE_SYSTEMD
    cr_skip_test("built without libsystemd");
#endif
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof in;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
    cr_assert_eq(listen(fd, 10), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&in, &size), 0);
    wire_connect(&session.wire, ntohs(in.sin_port)); /* before there is a daemon */

    static const char *const flags[] = { "--listen", "127.0.0.1:0", NULL };
    daemon_spawn(&daemon_, flags, NULL, fd);
    close(fd);
    const char *line = daemon_wait_log(&daemon_, "listening on 127.0.0.1:");
    cr_assert_eq(atoi(strrchr(line, ':') + 1), ntohs(in.sin_port));
    session_prepare(&session, 1);
    session_check_add(&session);
}

/* What has been sent to the notification socket so far, or next. */
static const char *next_notification(int fd)
{
    static char text[512];
    ssize_t n = recv(fd, text, sizeof text - 1, 0);
    cr_assert_gt(n, 0, "no notification: %s", strerror(errno));
    text[n] = '\0';
    return text;
}

static void wait_notification(int fd, const char *text)
{
    while (strstr(next_notification(fd), text) == NULL)
        ;
}

Test(listen, tells_systemd_that_it_is_ready_alive_reloading_and_stopping)
{
#ifndef HAVE_SYSTEMD
    cr_skip_test("built without libsystemd");
#endif
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    struct timeval patience = { .tv_sec = WAIT_MS / 1000 };
    snprintf(un.sun_path, sizeof un.sun_path, "%s/notify", daemon_.dir);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);

    char socket_env[160];
    snprintf(socket_env, sizeof socket_env, "NOTIFY_SOCKET=%s", un.sun_path);
    const char *env[] = { socket_env, "WATCHDOG_USEC=100000", NULL };
    static const char *const flags[] = { "--listen", "127.0.0.1:0", NULL };
    daemon_spawn(&daemon_, flags, env, -1);
    wait_notification(fd, "READY=1");
    wait_notification(fd, "WATCHDOG=1");
    wait_notification(fd, "WATCHDOG=1");
    daemon_signal(&daemon_, SIGHUP);
    wait_notification(fd, "RELOADING=1");
    wait_notification(fd, "READY=1");
    daemon_signal(&daemon_, SIGTERM);
    wait_notification(fd, "STOPPING=1");
    cr_assert_eq(daemon_wait(&daemon_), 0);
    close(fd);
}

/* ---- First bytes --------------------------------------------------------------------------- */

Test(listen, closes_what_speaks_neither_protocol_and_shows_its_bytes)
{
    daemon_start(&daemon_, NULL);
    wire_connect(&session.wire, daemon_.port);
    wire_send(&session.wire, "GET / HTTP/1.0\r\n", 16);
    wire_expect_end(&session.wire);
    daemon_wait_log(&daemon_, "first bytes 47 45 54 20 are neither MessagePack-RPC nor TVM");
}

Test(listen, closes_every_first_byte_that_opens_neither_protocol)
{
    daemon_start(&daemon_, NULL);
    for (int byte = 0; byte < 256; byte++) {
        if ((byte & 0xf0) == 0x90 || byte == 0xdc || byte == 0xdd || byte == 0x71)
            continue;
        struct wire once;
        uint8_t it = (uint8_t)byte;
        wire_connect(&once, daemon_.port);
        wire_send(&once, &it, 1);
        wire_expect_end(&once);
        wire_close(&once);
    }
}

/* ---- The command line ---------------------------------------------------------------------- */

static void expect_exit(const char *const *flags, int status, const char *text)
{
    daemon_spawn(&daemon_, flags, NULL, -1);
    cr_assert_eq(daemon_wait(&daemon_), status, "%s", daemon_.log);
    cr_assert_not_null(strstr(daemon_.log, text), "%s", daemon_.log);
}

Test(listen, refuses_flags_that_it_does_not_know_with_a_suggestion)
{
    expect_exit((const char *[]){ "--lisen", "x", NULL }, 2, "did you mean '--listen'?");
    expect_exit((const char *[]){ "--max-sessions", NULL }, 2, "needs a value");
    expect_exit((const char *[]){ "--help=x", NULL }, 2, "takes no value");
    expect_exit((const char *[]){ "x", NULL }, 2, "unexpected argument 'x'");
    expect_exit((const char *[]){ "--max-sessions=0", NULL }, 1,
                "command line: max_sessions: 0 is below the least value 1");
}

Test(listen, check_config_prints_what_is_effective_or_why_it_is_not)
{
    expect_exit((const char *[]){ "--check-config", "--log-level", "loud", NULL }, 1,
                "log_level: 'loud' is not one of");
    daemon_write_config(&daemon_, "{\"max_sesions\": 1}");
    expect_exit((const char *[]){ "--check-config", NULL }, 1, "did you mean 'max_sessions'?");

    daemon_write_config(&daemon_, "{\"max_sessions\": 17}");
    char command[512], text[8192];
    const char *path = getenv("VTAD");
    snprintf(command, sizeof command, "'%s' --config '%s' --threads 3 --check-config",
             path != NULL ? path : VTAD_PATH, daemon_.config);
    FILE *pipe = popen(command, "r");
    size_t n = fread(text, 1, sizeof text - 1, pipe);
    text[n] = '\0';
    cr_assert_eq(pclose(pipe), 0);
    cr_assert_not_null(strstr(text, "\"max_sessions\": 17"));
    cr_assert_not_null(strstr(text, "\"threads\": 3"));
}

Test(listen, help_names_every_flag_with_its_default)
{
    char command[512];
    static char text[32768];
    const char *path = getenv("VTAD");
    snprintf(command, sizeof command, "'%s' --help", path != NULL ? path : VTAD_PATH);
    FILE *pipe = popen(command, "r");
    size_t n = fread(text, 1, sizeof text - 1, pipe);
    text[n] = '\0';
    cr_assert_eq(pclose(pipe), 0);
    cr_assert_not_null(strstr(text, "--listen ADDRESS"));
    cr_assert_not_null(strstr(text, "(default 127.0.0.1:9091)"));
    cr_assert_not_null(strstr(text, "--max-store-bytes BYTES"));
}
