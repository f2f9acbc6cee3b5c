/* What becomes of the daemon where it may open far fewer descriptors than its configuration needs.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "session.h"

#define CLIENTS 200

static struct daemon daemon_;
static int clients[CLIENTS];

static void setup(void)
{
    const struct rlimit few = { .rlim_cur = 60, .rlim_max = 60 };
    const char *const flags[] = { "--tvm", "off", NULL };
    daemon_init(&daemon_);
    daemon_start(&daemon_, flags);
    cr_assert_eq(prlimit(daemon_.pid, RLIMIT_NOFILE, &few, NULL), 0);
    daemon_signal(&daemon_, SIGHUP); /* it looks at its limit again */
    daemon_wait_log(&daemon_, "this process may open 60, so that more than 4 connections");
    daemon_wait_log(&daemon_, "reload: done");
}

static void teardown(void)
{
    for (int i = 0; i < CLIENTS; i++)
        if (clients[i] > 0)
            close(clients[i]);
    daemon_stop(&daemon_);
    daemon_clear(&daemon_);
}

TestSuite(descriptors, .init = setup, .fini = teardown);

static int connect_one(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)daemon_.port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void expect_closed(int fd)
{
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
    char byte;
    cr_assert_eq(poll(&poll_fd, 1, 20000), 1);
    cr_assert_leq(recv(fd, &byte, 1, 0), 0);
}

Test(descriptors, connections_that_do_not_fit_are_closed_and_the_others_served)
{
    struct session session;
    session_open(&session, daemon_.port, 1);
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = connect_one();
    for (int i = 3; i < CLIENTS; i++)
        expect_closed(clients[i]);
    session_check_add(&session);
    session_close(&session);
}

/* As if threads of the daemon's had opened so many files that there is not one descriptor left. */
Test(descriptors, the_daemon_lives_on_where_there_is_not_one_left)
{
    struct rlimit none = { .rlim_cur = 3, .rlim_max = 60 };
    struct session session;
    session_open(&session, daemon_.port, 1);
    cr_assert_eq(prlimit(daemon_.pid, RLIMIT_NOFILE, &none, NULL), 0);
    clients[0] = connect_one();
    daemon_wait_log(&daemon_, "accepting failed: too many open files");
    none.rlim_cur = 60;
    cr_assert_eq(prlimit(daemon_.pid, RLIMIT_NOFILE, &none, NULL), 0);
    session_close(&session);
    session_open(&session, daemon_.port, 1);
    session_check_add(&session);
    session_close(&session);
}
