/* TVM sessions where the kernel lacks a part of the box: the configuration decides, and the log
 * says what is missing.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "board.h"

static struct daemon daemon_;
static struct client client;

/* The folder of the build may be closed to whoever the daemon becomes. */
static void copy_programs(void)
{
    char command[8192], copy[256];
    snprintf(command, sizeof command, "cp '%s' '%s' '%s'", VTAD_PATH, VTAD_WORKER_PATH,
             daemon_.dir);
    cr_assert_eq(system(command), 0, "%s", command);
    snprintf(copy, sizeof copy, "%s/vtad", daemon_.dir);
    setenv("VTAD_COPY", copy, 1);
}

static void setup(void)
{
    setenv("VTAD", WITHOUT_LANDLOCK, 1);
    daemon_init(&daemon_);
    chmod(daemon_.dir, 0777); /* whoever the daemon becomes makes its scratch folder there */
    copy_programs();
}

static void teardown(void)
{
    client_close(&client);
    daemon_stop(&daemon_);
    daemon_clear(&daemon_);
}

TestSuite(lacking, .init = setup, .fini = teardown);

static void start(const char *box)
{
    char worker[256];
    snprintf(worker, sizeof worker, "%s/vtad-worker", daemon_.dir);
    daemon_start(&daemon_, (const char *const[]){ "--tvm-scratch", daemon_.dir, "--tvm-worker",
                                                  worker, "--tvm-box", box, NULL });
}

Test(lacking, refuses_sessions_where_the_whole_box_is_required)
{
    start("require");
    const char *line = daemon_wait_log(&daemon_, "TVM sessions are refused: ");
    cr_assert_not_null(strstr(line, "NO view of the file system"), "%s", line);
    cr_assert_eq(client_greet(&client, daemon_.port, "client:"), 0);
    client_expect_end(&client);
}

Test(lacking, loads_one_module_and_opens_nothing_afterwards_where_it_warns)
{
    start("warn");
    const char *line = daemon_wait_log(&daemon_, "TVM sessions run in a box of ");
    cr_assert_eq(strncmp(line, "warning: ", 9), 0, "%s", line);
    cr_assert_not_null(strstr(line, "NO view of the file system"), "%s", line);
    client_open(&client, daemon_.port);
    uint64_t module = client_load(&client, MISBEHAVE_SO);
    struct answer answer = client_call(&client, client_kernel(&client, module, "add"), "ii",
                                       UINT64_C(40), UINT64_C(2));
    expect_int(&answer, 42);
    answer = client_call(&client, client_kernel(&client, module, "read_path"), "s", "/etc/passwd");
    expect_int(&answer, -EPERM);
    answer = client_ask(&client, "tvm.rpc.server.load_module", "s", "misbehave.so");
    expect_exception(&answer, "Operation not permitted");
    daemon_wait_log(&daemon_, "without Landlock nothing can be opened from now on");
}
