/* test_network.c: networks through a real daemon, as the client library and vtactl tvm-run set them
 * up: one whose only kernel adds on the board, and what TVM compiled, if it is there (VTA_SHARED).
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <netinet/in.h>

#include <vta/client.h>

#include "tests/client/tool.h"
#include "tests/integration/daemon.h"

#define NUMBERS 64

/* sum = a + b, of which b is a parameter. */
static const char graph[] =
    "{\"nodes\":[{\"op\":\"null\",\"name\":\"a\",\"inputs\":[]},"
    "{\"op\":\"null\",\"name\":\"b\",\"inputs\":[]},"
    "{\"op\":\"tvm_op\",\"name\":\"sum\",\"inputs\":[[0,0,0],[1,0,0]],\"attrs\":{"
    "\"func_name\":\"vector_add\",\"num_inputs\":\"2\",\"num_outputs\":\"1\","
    "\"flatten_data\":\"0\"}}],"
    "\"arg_nodes\":[0,1],\"heads\":[[2,0,0]],\"node_row_ptr\":[0,1,2,3],\"attrs\":{"
    "\"dltype\":[\"list_str\",[\"int32\",\"int32\",\"int8\"]],"
    "\"device_index\":[\"list_int\",[12,12,12]],"
    "\"storage_id\":[\"list_int\",[0,1,2]],"
    "\"shape\":[\"list_shape\",[[1,64],[1,64],[1,64]]]}}";

/* The parameters {b: int32 (1, 64)}, up to its numbers. */
static const uint64_t params_head[] = { UINT64_C(0xF7E58D4F05049CB7), 0, 1, 1 };
static const char params_name[] = { 'b' };
static const uint64_t params_tensor[] = { 1,       UINT64_C(0xDD5E40F096B4A13F), 0,
                                          1,       UINT64_C(0x0001200000000002), 1,
                                          NUMBERS, NUMBERS * sizeof(int32_t) };

static struct daemon daemon_;
static int32_t a[NUMBERS], b[NUMBERS];
static int8_t sums[NUMBERS];

static void write_params(void)
{
    uint8_t bytes[1024], *at = bytes;
    memcpy(at, params_head, sizeof params_head);
    at += sizeof params_head;
    memcpy(at, params_name, sizeof params_name);
    at += sizeof params_name;
    memcpy(at, params_tensor, sizeof params_tensor);
    at += sizeof params_tensor;
    memcpy(at, b, sizeof b);
    write_scratch("net/params.bin", bytes, (size_t)(at + sizeof b - bytes));
}

/* The folder "net", with a link to the library. */
static void write_folder(void)
{
    for (int i = 0; i < NUMBERS; i++) {
        a[i] = 3 * i - 50;
        b[i] = 7 - i;
        sums[i] = (int8_t)(a[i] + b[i]);
    }
    cr_assert_eq(mkdir("net", 0700), 0);
    write_scratch("net/graph.json", graph, strlen(graph));
    write_params();
    cr_assert_eq(symlink(IMITATION_O, "net/lib.o"), 0);
    write_scratch("a.bin", a, sizeof a);
}

static void start(void)
{
    char port[16];
    daemon_init(&daemon_);
    chmod(daemon_.dir, 0711); /* as /tmp: others may pass */
    cr_assert_eq(chdir(daemon_.dir), 0);
    write_folder();
    daemon_start(&daemon_, (const char *[]){ "--tvm-scratch", daemon_.dir, NULL });
    snprintf(port, sizeof port, "%d", daemon_.port);
    setenv("VTA_RPC_PORT", port, 1);
    setenv("VTA_RPC_HOST", "127.0.0.1", 1);
}

static void stop(void)
{
    cr_assert_eq(chdir("/"), 0);
    daemon_clear(&daemon_);
}

TestSuite(network, .init = start, .fini = stop, .timeout = 60);

/* ---- The library --------------------------------------------------------------------------- */

static const struct vta_network_options options = { .library = "net/lib.o",
                                                    .graph = "net/graph.json",
                                                    .params = "net/params.bin",
                                                    .timeout_ms = 10000,
                                                    .profile = true };

static struct vta_network *open_network(void)
{
    struct vta_error error = { .message = "" };
    struct vta_network *network = vta_network_open(&options, &error);
    cr_assert_not_null(network, "%s", error.message);
    return network;
}

Test(network, runs_and_says_what_it_is)
{
    struct vta_error error = { .message = "" };
    struct vta_network *network = open_network();
    int8_t out[NUMBERS];
    uint64_t ns = 0;
    cr_assert_not(vta_network_input(network, 0)->parameter);
    cr_assert(vta_network_input(network, 1)->parameter);
    cr_assert_null(vta_network_input(network, 2));
    cr_assert_str_eq(vta_network_output(network, 0)->name, "sum");
    cr_assert_eq(vta_network_output(network, 0)->nbytes, NUMBERS);
    cr_assert_null(vta_network_output(network, 1));
    cr_assert_eq(vta_network_set_input(network, NULL, a, sizeof a, &error), 0, "%s", error.message);
    cr_assert_eq(vta_network_run(network, &ns, &error), 0, "%s", error.message);
    cr_assert_gt(ns, 0);
    cr_assert_eq(vta_network_get_output(network, 0, out, sizeof out, &error), 0, "%s",
                 error.message);
    cr_assert_arr_eq(out, sums, sizeof sums);
    /* Another parameter by its name. */
    cr_assert_eq(vta_network_set_input(network, "b", a, sizeof a, &error), 0, "%s", error.message);
    cr_assert_eq(vta_network_run(network, NULL, &error), 0, "%s", error.message);
    cr_assert_eq(vta_network_get_output(network, 0, out, sizeof out, &error), 0);
    for (int i = 0; i < NUMBERS; i++)
        cr_assert_eq(out[i], (int8_t)(2 * a[i]), "number %d", i);
    vta_network_close(network);
}

Test(network, profile_counts_what_each_node_does)
{
    struct vta_error error = { .message = "" };
    struct vta_network *network = open_network();
    struct vta_network_node *nodes;
    size_t count;
    for (int again = 0; again < 2; again++) {
        cr_assert_eq(vta_network_profile(network, &nodes, &count, &error), 0, "%s", error.message);
        cr_assert_eq(count, 1);
        cr_assert_str_eq(nodes[0].name, "sum");
        cr_assert_str_eq(nodes[0].device, "ext_dev0");
        cr_assert(nodes[0].counted);
        cr_assert_eq(nodes[0].counters.out_store_nbytes, NUMBERS);
        cr_assert_eq(nodes[0].counters.acc_load_nbytes, sizeof a + sizeof b);
        cr_assert(nodes[0].vta_ns > 0 && nodes[0].vta_ns <= nodes[0].wall_ns);
        cr_assert_gt(nodes[0].board_ns, 0);
        free(nodes);
    }
    vta_network_close(network);
}

Test(network, refuses_what_does_not_fit_and_goes_on)
{
    struct vta_error error = { .message = "" };
    struct vta_network_options plain = options;
    struct vta_network_node *nodes;
    size_t count;
    int8_t out[NUMBERS];
    plain.profile = false;
    struct vta_network *network = vta_network_open(&plain, &error);
    cr_assert_not_null(network, "%s", error.message);
    cr_assert_eq(vta_network_profile(network, &nodes, &count, &error), VTA_ESTATE);
    cr_assert_eq(vta_network_set_input(network, "c", a, sizeof a, &error), VTA_ENOTFOUND);
    says(error.message, "'c'; there are a");
    cr_assert_eq(vta_network_set_input(network, "a", a, 8, &error), VTA_ESIZE);
    cr_assert(error.has_limit && error.limit == sizeof a && error.value == 8);
    cr_assert_eq(vta_network_get_output(network, 1, out, sizeof out, &error), VTA_ERANGE);
    cr_assert_eq(vta_network_get_output(network, 0, out, 3, &error), VTA_ESIZE);
    cr_assert_eq(vta_network_set_input(network, "a", a, sizeof a, &error), 0);
    cr_assert_eq(vta_network_run(network, NULL, &error), 0);
    cr_assert_eq(vta_network_get_output(network, 0, out, sizeof out, &error), 0);
    cr_assert_arr_eq(out, sums, sizeof sums);
    vta_network_close(network);
}

Test(network, is_closed_when_the_daemon_has_gone)
{
    struct vta_error error = { .message = "" };
    struct vta_network *network = open_network();
    daemon_signal(&daemon_, SIGKILL);
    daemon_wait(&daemon_);
    /* Its worker sees that, and ends, too. */
    int rc;
    do
        rc = vta_network_run(network, NULL, &error);
    while (rc == 0);
    cr_assert_eq(rc, VTA_EIO, "%s", error.message);
    cr_assert_eq(vta_network_run(network, NULL, &error), VTA_ECLOSED);
    vta_network_close(network);
}

/* ---- The tool ------------------------------------------------------------------------------ */

Test(network, tool_writes_outputs_as_bytes_and_as_npy)
{
    int8_t out[NUMBERS + 1];
    static char npy[512];
    run_to(0, "tvm-run net --input a.bin --output sum.bin");
    FILE *file = fopen("sum.bin", "rb");
    cr_assert_not_null(file);
    cr_assert_eq(fread(out, 1, sizeof out, file), NUMBERS);
    fclose(file);
    cr_assert_arr_eq(out, sums, sizeof sums);
    run_to(0, "tvm-run net --input a=a.bin --output .");
    slurp("output0.npy", npy, sizeof npy);
    says(npy + 10, "{'descr': '|i1', 'fortran_order': False, 'shape': (1, 64), }");
    cr_assert_arr_eq(npy + 128, sums, sizeof sums);
}

Test(network, tool_reads_npy_and_compares_its_type_and_shape)
{
    static uint8_t npy[128 + sizeof a];
    static const char text[] = "{'descr': '<i4', 'fortran_order': False, 'shape': (1, 64), }";
    memset(npy, ' ', 128);
    memcpy(npy, "\x93NUMPY\x01\0\x76\0", 10);
    memcpy(npy + 10, text, sizeof text - 1);
    npy[127] = '\n';
    memcpy(npy + 128, a, sizeof a);
    write_scratch("a.npy", npy, sizeof npy);
    run_to(0, "tvm-run net --input a=a.npy");
    npy[10 + 12] = 'f';
    write_scratch("f.npy", npy, sizeof npy);
    says(run_to(1, "tvm-run net --input f.npy").err,
         "f.npy: its numbers are '<f4', the input's '<i4'");
    npy[10 + 12] = 'i';
    npy[10 + 51] = '2';
    write_scratch("g.npy", npy, sizeof npy);
    says(run_to(1, "tvm-run net --input g.npy").err, "g.npy: its shape is ");
    says(run_to(1, "tvm-run net --input none.npy").err, "none.npy: No such file");
    write_scratch("a.npy", a, sizeof a);
    says(run_to(1, "tvm-run net --input a.npy").err, "a.npy: not a .npy file");
}

Test(network, tool_shows_a_table_and_json)
{
    struct outcome outcome = run_to(0, "tvm-run net --profile --input a.bin --runs 2");
    says(outcome.out, "run 2: ");
    says(outcome.out, "output 0: sum int8[1, 64]\n");
    says(outcome.out, "board ms");
    says(outcome.out, "\nsum ");
    says(outcome.out, "\ntotal ");
    cJSON *json = run_json(0, "tvm-run net --profile --json --input a.bin --runs 3");
    cr_assert_eq(cJSON_GetArraySize(cJSON_GetObjectItem(json, "run_ns")), 3);
    const cJSON *output = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "outputs"), 0);
    cr_assert_str_eq(text(output, "dtype"), "int8");
    const cJSON *node = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "nodes"), 0);
    cr_assert_eq(number(cJSON_GetObjectItem(node, "counters"), "out_store_nbytes"), NUMBERS);
    cJSON_Delete(json);
}

Test(network, tool_names_what_is_wrong)
{
    static const struct {
        const char *command, *says;
    } mistakes[] = {
        { "tvm-run none", "none: No such file or directory\n" },
        { "tvm-run a.bin", "a.bin: not a folder\n" },
        { "tvm-run empty", "empty: no library (.tar, .o, .so) is there\n" },
        { "tvm-run two", "two: 2 libraries are there, --library says which: " },
        { "tvm-run net", "no input for 'a': give --input FILE\n" },
        { "tvm-run net --input graph.bin", "a: graph.bin: No such file or directory\n" },
        { "tvm-run net --input short.bin", "a: short.bin: has 3 bytes, 256 are needed\n" },
        { "tvm-run net --input x=a.bin", "--input x=a.bin: the network has no input 'x'\n" },
        { "tvm-run net --input a.bin --output no/x", "no/x: No such file or directory\n" },
        { "tvm-run net --library none.o --input a.bin", "net/none.o: No such file or directory\n" },
        { "tvm-run net --graph params.bin", "net/params.bin: not a graph of TVM: " },
        { "tvm-run net --params graph.json", "net/graph.json: not a file of parameters" },
        { "tvm-run net --input a.bin --key x", "the server wants another key than 'x'\n" },
        { "tvm-run net --host unix:none.sock", "unix:none.sock: cannot connect: " },
        { "tvm-run net --hw none.json", "none.json: No such file or directory\n" },
        { "tvm-run bare --input a.bin", "bare/lib.o: it brings no graph, and no file" },
    };
    write_scratch("short.bin", "abc", 3);
    cr_assert_eq(mkdir("empty", 0700) | mkdir("two", 0700) | mkdir("bare", 0700), 0);
    write_scratch("two/one.o", "", 0);
    write_scratch("two/two.so", "", 0);
    cr_assert_eq(symlink(IMITATION_O, "bare/lib.o"), 0);
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++)
        says(run_to(1, mistakes[i].command).err, mistakes[i].says);
    says(run_to(2, "tvm-run net --local").err, "tvm-run needs a daemon");
    says(run_to(2, "run net x --runs 2").err, "run does not take --runs");
    cJSON *json = run_json(1, "tvm-run none --json");
    cr_assert_str_eq(text(cJSON_GetObjectItem(json, "error"), "code"), "not-found");
    cJSON_Delete(json);
}

Test(network, board_is_what_a_bitstream_says)
{
    says(run_to(1, "tvm-run net --input a.bin --bitstream 1x32_i8w8a32_15_15_18_17.bit").err,
         "sum");
    run_to(0, "tvm-run net --input a.bin --bitstream 1x16_i8w8a32_15_15_18_17.bit");
}

Test(network, daemon_without_tvm_is_named)
{
    static const char *const off[] = { "--tvm", "off", NULL };
    char port[16];
    daemon_stop(&daemon_);
    daemon_start(&daemon_, off);
    snprintf(port, sizeof port, "%d", daemon_.port);
    setenv("VTA_RPC_PORT", port, 1);
    says(run_to(1, "tvm-run net --input a.bin").err,
         "the server refuses TVM sessions ('tvm' may be off");
}

/* A server of one connection, which says some bytes and no more. */
struct fake {
    pthread_t thread;
    int listener;
    const void *bytes;
    size_t nbytes;
};

static void *answer(void *context)
{
    const struct fake *fake = context;
    char unread[4096];
    int fd = accept(fake->listener, NULL, NULL);
    if (fd < 0 || send(fd, fake->bytes, fake->nbytes, MSG_NOSIGNAL) != (ssize_t)fake->nbytes)
        abort();
    shutdown(fd, SHUT_WR);
    while (recv(fd, unread, sizeof unread, 0) > 0)
        ;
    close(fd);
    return NULL;
}

static void fake_start(struct fake *fake, const void *bytes, size_t nbytes)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    char port[16];
    *fake = (struct fake){ .bytes = bytes, .nbytes = nbytes };
    fake->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fake->listener, (struct sockaddr *)&address, length), 0);
    cr_assert_eq(listen(fake->listener, 1), 0);
    cr_assert_eq(getsockname(fake->listener, (struct sockaddr *)&address, &length), 0);
    snprintf(port, sizeof port, "%d", ntohs(address.sin_port));
    setenv("VTA_RPC_PORT", port, 1);
    cr_assert_eq(pthread_create(&fake->thread, NULL, answer, fake), 0);
}

static void fake_stop(struct fake *fake)
{
    pthread_join(fake->thread, NULL);
    close(fake->listener);
}

#define WELCOME "\x71\xf2\x0f\0\7\0\0\0server:"

Test(network, another_server_is_named_and_believed_in_nothing)
{
    static const struct {
        const char *bytes;
        size_t nbytes;
        const char *says;
    } rows[] = {
#define ROW(bytes, says) { bytes, sizeof bytes - 1, says }
        ROW("", "this is no TVM RPC server: it closes the connection"),
        ROW("HTTP/1.1 400", "this is no TVM RPC server: it answers with 0x50545448"),
        ROW("\x72\xf2\x0f\0", "has as many TVM sessions as it takes"),
        ROW("\x71\xf2\x0f\0\xff\xff\xff\xff", "a welcome of 4294967295 bytes, at most 1024"),
        ROW(WELCOME, "the peer closed the connection"),
        ROW(WELCOME "\3\0\0\0\0\0\0\0\4\0\0\0", "a packet of 3 bytes with code 4"),
        ROW(WELCOME "\4\0\0\0\0\0\0\0\10\0\0\0", "a packet of 4 bytes with code 8"),
        ROW(WELCOME "\4\0\0\0\0\1\0\0\4\0\0\0", "an answer of 1099511627776 bytes, at most "),
        ROW(WELCOME "\14\0\0\0\0\0\0\0\4\0\0\0\377\377\377\377\0\0\0\0", "a sequence of -1 values"),
        ROW(WELCOME "\10\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0", "an exception without words"),
        ROW(WELCOME "\27\0\0\0\0\0\0\0\5\0\0\0\1\0\0\0\13\0\0\0\3\0\0\0\0\0\0\0own", "own"),
#undef ROW
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fake fake;
        fake_start(&fake, rows[i].bytes, rows[i].nbytes);
        says(run_to(1, "tvm-run net --input a.bin").err, rows[i].says);
        fake_stop(&fake);
    }
}

/* ---- What TVM compiled --------------------------------------------------------------------- */

static void same_bytes(const char *one, const char *other)
{
    static char left[65536], right[65536];
    FILE *file = fopen(one, "rb");
    cr_assert_not_null(file, "%s", one);
    const size_t nbytes = fread(left, 1, sizeof left, file);
    fclose(file);
    file = fopen(other, "rb");
    cr_assert_not_null(file, "%s", other);
    cr_assert_eq(fread(right, 1, sizeof right, file), nbytes);
    fclose(file);
    cr_assert_arr_eq(left, right, nbytes);
}

/* The nodes' counters together against what TVM's simulator counted in a run. */
static void counters_are_those_of(const char *folder)
{
    static const char *const names[] = { "inp_load_nbytes", "wgt_load_nbytes",  "acc_load_nbytes",
                                         "uop_load_nbytes", "out_store_nbytes", "gemm_counter",
                                         "alu_counter" };
    char command[1000], path[400], wanted[1000] = "";
    snprintf(path, sizeof path, "%s/counters.json", folder);
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file, "%s", path);
    cr_assert_gt(fread(wanted, 1, sizeof wanted - 1, file), 0);
    fclose(file);
    cJSON *expected = cJSON_Parse(wanted);
    snprintf(command, sizeof command, "tvm-run %s --input %s/input.f32 --profile --json", folder,
             folder);
    cJSON *json = run_json(0, command);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        double sum = 0;
        const cJSON *node;
        cJSON_ArrayForEach(node, cJSON_GetObjectItem(json, "nodes"))
        {
            sum += number(cJSON_GetObjectItem(node, "counters"), names[i]);
        }
        cr_expect_eq(sum, number(expected, names[i]), "%s: %g", names[i], sum);
    }
    cJSON_Delete(expected);
    cJSON_Delete(json);
}

Test(network, of_tvm_gives_what_tvm_gave)
{
    const char *shared = getenv("VTA_SHARED");
    char folder[300], command[1000], wanted[400];
    snprintf(folder, sizeof folder, "%.200s/tvm/networks/small",
             shared != NULL ? shared : SHARED_DEFAULT);
    if (access(folder, R_OK) != 0)
        cr_skip_test("no %s: set VTA_SHARED", folder);
#ifndef __x86_64__
    cr_skip_test("its output is that of an x86-64");
#endif
    static const char *const ways[] = { "", " --profile", " --library factory-x86_64.tar",
                                        " --library factory-x86_64.tar --profile" };
    snprintf(wanted, sizeof wanted, "%s/output.f32", folder);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        snprintf(command, sizeof command, "tvm-run %s --input data=%s/input.f32 --output out.f32%s",
                 folder, folder, ways[i]);
        says(run_to(0, command).out, "\n       6: 0.912203\n");
        same_bytes("out.f32", wanted);
    }
    counters_are_those_of(folder);
}
