/* What becomes of the daemon when memory runs out while clients connect: calloc, with which it
 * makes connections, goes through the wrapper below (the linker's --wrap).
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/log.h"
#include "server/server.h"

#define CLIENTS 5

static struct server server;
static char folder[] = "/tmp/vtad-test-XXXXXX";
static int clients[CLIENTS];
static unsigned spared, refused; /* so many allocations succeed, then so many fail */

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
    if (spared > 0) {
        spared--;
    } else if (refused > 0) {
        refused--;
        return NULL;
    }
    return __real_calloc(count, size);
}

/* ---- A daemon in this process -------------------------------------------------------------- */

static void start(const char *address)
{
    static const struct config_source source;
    struct config config;
    struct vta_error error = { .insn = -1 };
    char text[160];
    snprintf(text, sizeof text, "{\"tvm\": \"off\", \"listen\": [\"%s\"]}", address);
    log_set_level(LOG_LEVEL_ERROR);
    cr_assert_eq(config_defaults(&config, &error), 0, "%s", error.message);
    cr_assert_eq(config_read_json(&config, text, strlen(text), &error), 0, "%s", error.message);
    cr_assert_eq(server_start(&server, &config, &source, &error), 0, "%s", error.message);
}

static void setup_tcp(void)
{
    cr_assert_not_null(mkdtemp(folder));
    start("127.0.0.1:0");
}

static void setup_unix(void)
{
    char address[64];
    cr_assert_not_null(mkdtemp(folder));
    snprintf(address, sizeof address, "unix:%s/sock", folder);
    start(address);
}

static void stop(void)
{
    raise(SIGTERM);
    uv_run(&server.loop, UV_RUN_DEFAULT);
    server_clear(&server);
    rmdir(folder);
}

static void teardown(void)
{
    refused = 0;
    for (size_t i = 0; i < CLIENTS; i++)
        if (clients[i] > 0)
            close(clients[i]);
    stop();
}

TestSuite(memory_tcp, .init = setup_tcp, .fini = teardown, .timeout = 60);
TestSuite(memory_unix, .init = setup_unix, .fini = teardown, .timeout = 60);

/* ---- Clients ------------------------------------------------------------------------------- */

/* Connects this one, which the kernel does alone. */
static void connect_client(size_t i)
{
    int listener;
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    cr_assert_eq(uv_fileno(&server.listeners->uv.handle, &listener), 0);
    cr_assert_eq(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    clients[i] = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(clients[i], (struct sockaddr *)&address, size), 0);
}

static bool has_ended(size_t i)
{
    char byte;
    return recv(clients[i], &byte, 1, MSG_DONTWAIT) == 0;
}

/* Without an event that ends the wait, the test's time-out does. */
static void wait_for_end(size_t i)
{
    while (!has_ended(i))
        uv_run(&server.loop, UV_RUN_ONCE);
}

static void wait_for_connection(void)
{
    while (server.connection_count == 0)
        uv_run(&server.loop, UV_RUN_ONCE);
    cr_assert_eq(server.connection_count, 1);
}

/* ---- Both kinds of sockets ----------------------------------------------------------------- */

static void check_that_it_goes_on_listening(void)
{
    for (size_t i = 0; i < CLIENTS - 1; i++)
        connect_client(i);
    refused = 1000;
    for (size_t i = 0; i < CLIENTS - 1; i++)
        wait_for_end(i);
    cr_assert_eq(server.connection_count, 0);
    refused = 0;
    connect_client(CLIENTS - 1);
    wait_for_connection();
    cr_assert(!has_ended(CLIENTS - 1));
}

Test(memory_tcp, that_runs_out_ends_connections_and_no_listener)
{
    check_that_it_goes_on_listening();
}

Test(memory_unix, that_runs_out_ends_connections_and_no_listener)
{
    check_that_it_goes_on_listening();
}

Test(memory_tcp, that_comes_back_serves_the_connection_that_waited)
{
    connect_client(0);
    connect_client(1);
    refused = 2; /* the first is turned away, and the second waits until its handle is free */
    wait_for_end(0);
    wait_for_connection();
    cr_assert(!has_ended(1));
}

Test(memory_tcp, that_is_enough_for_half_a_connection_ends_it)
{
    connect_client(0);
    spared = 1;
    refused = 1;
    wait_for_end(0);
    connect_client(1);
    wait_for_connection();
}

/* A signal is seen after what else the loop has to do, that is, while a connection waits. */
Test(memory_tcp, that_runs_out_while_the_daemon_stops_keeps_nothing)
{
    connect_client(0);
    connect_client(1);
    refused = 1000;
    raise(SIGTERM);
    uv_run(&server.loop, UV_RUN_DEFAULT);
    cr_assert(has_ended(0));
    recv(clients[1], (char[1]){ 0 }, 1, 0); /* ended or reset: it does not wait for ever */
}
